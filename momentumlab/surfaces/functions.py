"""Surfaces from Python functions of a NumPy array."""

import contextlib
import dataclasses
import functools
import itertools
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from momentumlab.errors import ConfigError
from momentumlab.registry import Array
from momentumlab.surfaces.base import SURFACES, VARIABLE, CriticalKind, CriticalPoint, Intervals, Surface

Function = Callable[[Array], Any]
"""A function of a point ``(dim,)``: a loss is a number, a gradient has the shape of the point."""

VIEW = (-5.0, 5.0)
"""Default interval of each coordinate of the view window."""

PROBES = 5
SEED = 20261121

COMPLEX_STEP = 1e-30
"""The imaginary part of a complex step, whose square is negligible."""

FIRST_DIFFERENCE = float(np.cbrt(np.finfo(float).eps))
"""Relative step of central differences of the loss, which balances rounding and truncation."""

SECOND_DIFFERENCE = {"given": 1e-5, "complex step": 1e-5, "central differences": 1e-3}
"""Relative step of central differences of the gradient, by the accuracy of the gradient."""

LARGEST_SEARCHED = 10
"""In more dimensions, critical points are not searched."""


@dataclass(frozen=True, kw_only=True)
class BatchFunction:
    """A function of one point, applied to points ``(dim, lanes)``.

    Attributes
    ----------
    function
        The user's function.
    is_vectorized
        Whether it is called once with all points. Otherwise it is called point by point.
    """

    function: Function
    is_vectorized: bool

    def losses(self, x: Array) -> Array:
        """Return the loss of each point, ``(lanes,)``."""
        return self._values(x, x.shape[1:])

    def gradients(self, x: Array) -> Array:
        """Return the gradient at each point, ``(dim, lanes)``."""
        return self._values(x, x.shape)

    def _values(self, x: Array, shape: tuple[int, ...]) -> Array:
        if self.is_vectorized:
            own = x.view()
            own.flags.writeable = False  # the engine keeps x: a function must not change it
            values = np.asarray(self.function(own))
        else:
            columns = [np.asarray(self.function(column.copy())) for column in x.T]
            values = np.stack(columns, axis=-1) if columns else np.empty(shape)
        if values.shape != shape:
            raise ValueError(f"the function returned an array of shape {values.shape} for points of shape {x.shape}")
        return values if values.dtype.kind in "fc" else values.astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class FunctionSurface(Surface):
    """A surface defined by a Python function.

    Critical points are found numerically in the view window, unless the minimum is given or the function has to be
    called point by point; there may be others.

    Attributes
    ----------
    loss
        The function.
    given_gradient
        The gradient of the function; ``None`` if it is computed numerically.
    derivative
        How the gradient is computed: ``given``, ``complex step`` or ``central differences``.
    given_minimum
        The global minimum, if it is known.
    """

    loss: ClassVar[BatchFunction]
    given_gradient: ClassVar[BatchFunction | None]
    derivative: ClassVar[str]
    given_minimum: ClassVar[CriticalPoint | None]

    source = "a Python function"
    minima_are = "found"
    lists_all_minima = False

    @property
    def notes(self) -> tuple[str, ...]:
        """How the functions are called and differentiated."""
        notes = []
        if self.given_gradient is None:
            notes.append(f"{self.name}: the gradient is computed by {self.derivative}")
        functions = {"the function": self.loss, "the gradient": self.given_gradient}
        for noun, each in functions.items():
            if each is not None and not each.is_vectorized:
                notes.append(f"{self.name}: {noun} is called once per point; one of arrays (dim, lanes) is faster")
        return tuple(notes)

    def value(self, x: Array) -> Array:
        return self.loss.losses(x)

    def gradient(self, x: Array) -> Array:
        if self.given_gradient is not None:
            return self.given_gradient.gradients(x)
        differentiate = complex_step if self.derivative == "complex step" else central_differences
        return differentiate(self.loss.losses, x)

    def hessian(self, x: Array) -> Array:
        """Return the Hessian by central differences of the gradient."""
        hessian = central_differences(self.gradient, x, SECOND_DIFFERENCE[self.derivative])
        return (hessian + hessian.transpose(1, 0, 2)) / 2

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return _critical_points(type(self))


@functools.lru_cache(maxsize=256)
def _critical_points(cls: type[FunctionSurface]) -> tuple[CriticalPoint, ...]:
    from momentumlab.surfaces.expressions.critical import critical_points

    if cls.given_minimum is not None:
        return (cls.given_minimum,)
    functions = (cls.loss, cls.given_gradient)
    if any(each is not None and not each.is_vectorized for each in functions) or len(cls.start) > LARGEST_SEARCHED:
        return ()
    return critical_points(cls(), cls.view, calls=len(cls.start) ** 2)


@functools.lru_cache(maxsize=256)
def surface_of(function: Function, gradient: Function | None, dimension: int | None) -> Surface:
    """Return the surface of a function; the same arguments give the same surface, and so the same name in results."""
    return from_function(function, gradient, dimension=dimension)


def from_function(
    function: Function,
    gradient: Function | None = None,
    *,
    name: str | None = None,
    dimension: int | None = None,
    window: Sequence[Sequence[float]] | None = None,
    start: Sequence[float] | None = None,
    minimum: Sequence[float] | None = None,
) -> Surface:
    """Return a surface defined by a Python function, registered under its name.

    A function that also accepts points ``(dim, lanes)`` is called once for all trials, if the numbers of a lane do not
    depend on the other lanes. Otherwise it is called point by point, which is slower.

    Parameters
    ----------
    function
        The loss of a point ``(dim,)``.
    gradient
        Its gradient, ``(dim,)``. Without it the gradient is computed by complex steps if the function supports complex
        numbers, which is exact up to rounding, and otherwise by central differences, with relative errors of about
        1e-10.
    name
        The name in tables; by default that of the function. A number is appended to a name that is taken.
    dimension
        The number of coordinates; by default that of ``start``, ``minimum`` or ``window``, or 2.
    window
        The view window, an interval per coordinate; by default from -5 to 5.
    start
        The default start.
    minimum
        The global minimum, if it is known. Otherwise critical points are searched numerically.

    Raises
    ------
    ConfigError
        If an argument does not fit the others, or the function does not return one number at the start.
    """
    given = {"start": start, "minimum": minimum, "window": window}
    dim = dimension or next((len(each) for each in given.values() if each is not None), 2)
    for argument, each in given.items():
        if each is not None and len(each) != dim:
            raise ConfigError.at(f"argument {argument}", f"has {len(each)} coordinates, not {dim}")
    view: Intervals = tuple((float(low), float(high)) for low, high in window or [VIEW] * dim)
    if any(not -1e100 < low < high < 1e100 for low, high in view):
        raise ConfigError.at(
            "argument window", "an interval is two finite numbers, the lower one first, as in [[-2, 2], [-1, 1]]"
        )
    low, high = np.array(view).T
    if start is None:
        # Off the diagonals and the centre lines, where gradients of symmetric surfaces vanish.
        start = [float(f"{number:.2g}") for number in low + np.resize((0.1, 0.72), dim) * (high - low)]
    first = np.array(start, dtype=np.float64)
    probes = low + np.random.default_rng(SEED).uniform(size=(PROBES + (dim == PROBES), dim)) * (high - low)
    probes = np.vstack([first, probes]).T
    loss = _batched(function, probes, (), "surface")
    given_gradient = None if gradient is None else _batched(gradient, probes, (dim,), "gradient")
    given_minimum = None
    if minimum is not None:
        lowest = np.array(minimum, dtype=np.float64)
        with np.errstate(all="ignore"):
            known = float(loss.losses(lowest[:, np.newaxis])[0])
        kind = CriticalKind.GLOBAL_MINIMUM
        given_minimum = CriticalPoint(kind=kind, point=tuple(lowest.tolist()), loss=known)
    word = _free_name(function, name)
    cls = dataclasses.make_dataclass(
        "FunctionOf" + word.title().replace("_", ""),
        [],
        bases=(FunctionSurface,),
        namespace={
            "__doc__": (getattr(function, "__doc__", None) or "A surface defined by a Python function."),
            "name": word,
            "formula": f"{word}(x)",
            "latex": rf"\mathrm{{{word}}}(x)".replace("_", r"\_"),
            "dimension": dim,
            "view": view,
            "start": tuple(first.tolist()),
            "loss": loss,
            "given_gradient": given_gradient,
            "derivative": "given" if gradient is not None else _derivative(loss, probes),
            "given_minimum": given_minimum,
        },
        frozen=True,
        kw_only=True,
    )
    cls.__module__ = getattr(function, "__module__", None) or "__main__"  # Python 3.12 ignores it in the namespace
    SURFACES.register(word, cls)
    instance: Surface = cls()
    return instance


def _free_name(function: Function, name: str | None) -> str:
    """Return a valid, unused name for the surface: earlier results keep their own function."""
    word = re.sub(r"\W", "_", name or str(getattr(function, "__name__", ""))).strip("_") or "function"
    if word == "lambda" or not word[0].isalpha() or VARIABLE.search(word):
        word = "function"
    numbered = (f"{word}_{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([word], numbered) if each not in SURFACES)


def _batched(function: Function, probes: Array, shape: tuple[int, ...], argument: str) -> BatchFunction:
    """Return the function for batches after calling it at some points, the first of which is the start."""
    vectorized = BatchFunction(function=function, is_vectorized=True)
    call = vectorized.losses if shape == () else vectorized.gradients
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):  # a function of a single point can fail in any way
            # Lanes are independent: calls with different numbers of points must agree in every bit.
            parts = [call(probes[:, :1].copy()), call(probes[:, 1:].copy())]
            if np.array_equal(np.concatenate(parts, axis=-1), call(probes.copy()), equal_nan=True):
                return vectorized
        first = np.asarray(function(probes[:, 0].copy()))
    if first.shape != shape or first.dtype.kind not in "biuf":
        wanted = "a number" if shape == () else f"an array of shape {shape}"
        found = f"an array of shape {first.shape}" if first.shape else repr(first[()])
        raise ConfigError.at(
            f"argument {argument}", f"the function returns {found} at {probes[:, 0].tolist()}, not {wanted}"
        )
    return BatchFunction(function=function, is_vectorized=False)


def _derivative(loss: BatchFunction, probes: Array) -> str:
    """Return ``complex step`` if that agrees with central differences at all points, else ``central differences``."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            differences = central_differences(loss.losses, probes)
            exact = complex_step(loss.losses, probes)
        except Exception:  # the function does not support complex numbers
            return "central differences"
        scale = np.abs(differences).max(axis=0) + 1e-9 * np.abs(loss.losses(probes))
    is_known = np.isfinite(differences).all(axis=0)
    agrees = np.abs(exact - differences) <= 1e-5 * scale
    return "complex step" if agrees[:, is_known].all() and is_known.any() else "central differences"


def complex_step(value: Callable[[Array], Array], x: Array) -> Array:
    """Differentiate a function by complex steps (Squire & Trapp 1998, SIAM Review 40): ``(dim, lanes)``."""
    gradient = np.empty_like(x)
    for i in range(len(x)):
        stepped: Any = x.astype(np.complex128)
        stepped[i] += 1j * COMPLEX_STEP
        gradient[i] = value(stepped).imag / COMPLEX_STEP
    return gradient


def central_differences(values: Callable[[Array], Array], x: Array, relative_step: float = FIRST_DIFFERENCE) -> Array:
    """Differentiate a function by central differences; the first axis of the result is the coordinate."""
    columns = []
    for i in range(len(x)):
        step = relative_step * np.maximum(np.abs(x[i]), 1.0)
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        columns.append((values(above) - values(below)) / (above[i] - below[i]))
    return np.stack(columns)
