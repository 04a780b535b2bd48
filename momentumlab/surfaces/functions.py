"""Surfaces from Python functions of a NumPy array, a PyTorch tensor or a JAX array."""

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

from momentumlab.errors import ConfigError, UnknownNameError
from momentumlab.imports import double_precision, named_object
from momentumlab.parameters import Array
from momentumlab.surfaces.autograd import derivatives, library_of
from momentumlab.surfaces.base import SURFACES, VARIABLE, CriticalKind, CriticalPoint, Intervals, Surface

Function = Callable[[Array], Any]
"""A function of a point ``(dim,)``: a loss is a number, a gradient has the shape of the point."""

VIEW = (-5.0, 5.0)
"""Default interval of each coordinate of the view window."""

PROBES = 5
"""Random points, besides the start, at which a function is called before it is used."""

LIBRARY_PROBES = 255
"""The same for functions of PyTorch and JAX: with the start, four times `momentumlab.surfaces.autograd.WIDTH`."""

SEED = 20261121

COMPLEX_STEP = 1e-30
"""The imaginary part of a complex step, whose square is negligible."""

FIRST_DIFFERENCE = float(np.cbrt(np.finfo(float).eps))
"""Relative step of central differences of the loss, which balances rounding and truncation."""

SECOND_DIFFERENCE = {"given": 1e-5, "autograd": 1e-5, "complex step": 1e-5, "central differences": 1e-3}
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
        Whether it is called once with all points instead of point by point.
    """

    function: Function
    is_vectorized: bool

    def losses(self, x: Array) -> Array:
        """Return the loss of each point, ``(lanes,)``."""
        return self.values(x, ())

    def gradients(self, x: Array) -> Array:
        """Return the gradient at each point, ``(dim, lanes)``."""
        return self.values(x, (len(x),))

    def values(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Return the value at each point, ``(*shape, lanes)``, of a function whose values have this shape."""
        if self.is_vectorized:
            own = x.view()
            own.flags.writeable = False  # the engine keeps x: a function must not change it
            values = np.asarray(self.function(own))
        else:
            columns = [np.asarray(self.function(column.copy())) for column in x.T]
            values = np.stack(columns, axis=-1) if columns else np.empty((*shape, 0))
        if values.shape != (*shape, x.shape[1]):
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
    given_hessian
        Its Hessian; ``None`` if it is computed from the gradient.
    derivative
        How the gradient is computed: ``given``, ``autograd``, ``complex step`` or ``central differences``.
    given_minimum
        The global minimum, if it is known.
    """

    loss: ClassVar[BatchFunction]
    given_gradient: ClassVar[BatchFunction | None]
    given_hessian: ClassVar[BatchFunction | None]
    derivative: ClassVar[str]
    given_minimum: ClassVar[CriticalPoint | None]

    source = "a Python function"
    minima_are = "found"
    lists_all_minima = False

    def notes(self, dim: int) -> tuple[str, ...]:
        """Return how the functions are called and differentiated."""
        if self.library:
            calls = "all trials in one call" if self.loss.is_vectorized else "one call per trial: vmap does not apply"
            return (f"{self.name}: {self.library}, gradient by autograd, {calls}",)
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
        """Return the Hessian, if necessary by central differences of the gradient."""
        if self.given_hessian is not None:
            return self.given_hessian.values(x, (len(x), len(x)))
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


@dataclass(frozen=True, kw_only=True)
class NamedFunctionSurface(Surface):
    """A surface defined by a PyTorch or JAX function of a module, named ``torch:package.module:function``.

    The number of coordinates is that of the start or of the view window. Critical points are found numerically in the
    view window; there may be others.

    Attributes
    ----------
    function
        The function of a tensor or array.
    """

    function: ClassVar[Function]

    minima_are = "found"
    lists_all_minima = False

    def fixed(self, dim: int) -> Surface:
        """Return the surface of the function of ``dim`` coordinates.

        Raises
        ------
        ValueError
            If it is not a function of ``dim`` coordinates, or does not return a number in double precision.
        """
        return _fixed(type(self), dim)

    def check_dimension(self, dim: int) -> None:
        self.fixed(dim)

    def notes(self, dim: int) -> tuple[str, ...]:
        """Return how the function is called and differentiated."""
        return self.fixed(dim).notes(dim)

    def value(self, x: Array) -> Array:
        return self.fixed(len(x)).value(x)

    def gradient(self, x: Array) -> Array:
        return self.fixed(len(x)).gradient(x)

    def hessian(self, x: Array) -> Array:
        return self.fixed(len(x)).hessian(x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return self.fixed(dim).critical_points(dim)


@functools.lru_cache(maxsize=256)
def _fixed(cls: type[NamedFunctionSurface], dim: int) -> Surface:
    surface = cls()
    view, start = surface.window(dim), surface.default_start(dim)
    library = cls.name.partition(":")[0]
    try:
        return _function_class(cls.function, None, word=cls.name, view=view, start=start, library=library)()
    except ConfigError as error:
        raise ValueError(f"{cls.name}: {error.problems[0].message}") from None
    except Exception as error:
        what = f"the function fails at {list(start)}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        remedy = "its number of coordinates is that of 'start' or of the view"
        raise ValueError(f"{cls.name}: {what}; {remedy}") from None


@functools.lru_cache(maxsize=256)
def named_function(name: str) -> type[NamedFunctionSurface]:
    """Return the surface class of a function of a library.

    Parameters
    ----------
    name
        ``torch:package.module:function`` or ``jax:package.module:function``, optionally with its view window: ``… on
        -2..2 by -1..1``.

    Raises
    ------
    UnknownNameError
        If the library is not installed, the module must not or cannot be imported, or has no such function.
    ConfigError
        If the view window is invalid.
    """
    from momentumlab.surfaces.expressions.expression_surface import named, read_view

    path, separator, ranges = name.partition(" on ")
    view = read_view(name, ranges) if separator else None
    library, _, rest = path.strip().partition(":")
    module, _, attribute = rest.partition(":")
    if not (module and attribute):
        raise UnknownNameError(f"'{name}' names no function: write {library}:package.module:function")
    canonical = named(f"{library}:{module}:{attribute}", view)
    if canonical != name:
        return named_function(canonical)
    with double_precision(library):  # for constants of the module
        function = named_object(path, module, attribute, noun="function")
    installed = derivatives(function, library, path).library
    cls: type[NamedFunctionSurface] = _generated_class(
        NamedFunctionSurface,
        function,
        attribute,
        name=name,
        source=f"the function {attribute} of {module}, {installed}",
        library=installed,
        dimension=None if view is None else len(view),
        view=view or (VIEW,),
        start=_default_start(view or (VIEW, VIEW)),
        function=staticmethod(function),
    )
    return cls


def _generated_class(base: type[Surface], function: Function, word: str, /, **attributes: Any) -> Any:
    """Return a subclass of ``base`` for a function, with these class attributes; ``word`` is the function's name."""
    namespace = {
        "__doc__": getattr(function, "__doc__", None) or f"The function {word}.",
        "formula": f"{word}(x)",
        "latex": rf"\mathrm{{{word}}}(x)".replace("_", r"\_"),
        **attributes,
    }
    name = "FunctionOf" + word.title().replace("_", "")
    return dataclasses.make_dataclass(name, [], bases=(base,), namespace=namespace, frozen=True, kw_only=True)


@functools.lru_cache(maxsize=256)
def surface_of(function: Function, gradient: Function | None, dimension: int | None) -> Surface:
    """Return the surface of a function; it is cached, so a function has the same name in all results."""
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

    A function that returns a PyTorch tensor or a JAX array is differentiated by that library, in double precision, and
    vectorised by ``vmap`` if the numbers agree.

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
        message = "an interval is two finite numbers, the lower one first, as in [[-2, 2], [-1, 1]]"
        raise ConfigError.at("argument window", message)
    first = _default_start(view) if start is None else tuple(map(float, start))
    library = library_of(function, np.array(first))
    if library and gradient is not None:
        message = f"the gradient of a function of {library} is computed by autograd: leave it out"
        raise ConfigError.at("argument gradient", message)
    word = _free_name(function, name)
    cls = _function_class(function, gradient, word=word, view=view, start=first, library=library, minimum=minimum)
    SURFACES.register(word, cls)
    instance: Surface = cls()
    return instance


def _default_start(view: Intervals) -> tuple[float, ...]:
    """Return a point off the diagonals and the centre lines, where gradients of symmetric surfaces vanish."""
    low, high = np.array(view).T
    start = low + np.resize((0.1, 0.72), len(view)) * (high - low)
    return tuple(float(f"{number:.2g}") for number in start)


def _function_class(
    function: Function,
    gradient: Function | None,
    *,
    word: str,
    view: Intervals,
    start: tuple[float, ...],
    library: str | None,
    minimum: Sequence[float] | None = None,
) -> type[FunctionSurface]:
    """Return the class of a surface of a fixed number of coordinates, after calling its functions at some points."""
    # The start and random points. Their number must differ from the dimension: a function that confuses the two axes
    # could pass on a square array.
    (low, high), dim = np.array(view).T, len(view)
    count = LIBRARY_PROBES if library else PROBES
    probes = low + np.random.default_rng(SEED).uniform(size=(count + (dim == count), dim)) * (high - low)
    probes = np.vstack([start, probes]).T

    # The loss and its derivatives, by the library, by the user, or numerically.
    installed, given_gradient, given_hessian = "", None, None
    if library:
        found = derivatives(function, library, word)
        installed, derivative = found.library, "autograd"
        loss, given_gradient = (
            _batched(found.single[order], probes, (dim,) * order, "surface", found.batched[order]) for order in (0, 1)
        )
        # Not every function can be differentiated twice; in many dimensions a Hessian is large.
        with contextlib.suppress(Exception):
            if dim <= LARGEST_SEARCHED:
                given_hessian = _batched(found.single[2], probes, (dim, dim), "surface", found.batched[2])
    else:
        loss = _batched(function, probes, (), "surface")
        if gradient is not None:
            given_gradient = _batched(gradient, probes, (dim,), "gradient")
        derivative = "given" if gradient is not None else _derivative(loss, probes)

    given_minimum = None
    if minimum is not None:
        lowest = np.array(minimum, dtype=np.float64)
        with np.errstate(all="ignore"):
            known = float(loss.losses(lowest[:, np.newaxis])[0])
        kind = CriticalKind.GLOBAL_MINIMUM
        given_minimum = CriticalPoint(kind=kind, point=tuple(lowest.tolist()), loss=known)
    cls: type[FunctionSurface] = _generated_class(
        FunctionSurface,
        function,
        word.rpartition(":")[2].partition(" on ")[0],
        name=word,
        dimension=dim,
        view=view,
        start=start,
        library=installed,
        loss=loss,
        given_gradient=given_gradient,
        given_hessian=given_hessian,
        derivative=derivative,
        given_minimum=given_minimum,
    )
    cls.__module__ = getattr(function, "__module__", None) or "__main__"  # Python 3.12 ignores it in the namespace
    return cls


def _free_name(function: Function, name: str | None) -> str:
    """Return a valid, unused name for the surface: earlier results keep their own function."""
    word = re.sub(r"\W", "_", name or str(getattr(function, "__name__", ""))).strip("_") or "function"
    if word == "lambda" or not word[0].isalpha() or VARIABLE.search(word):
        word = "function"
    numbered = (f"{word}_{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([word], numbered) if each not in SURFACES)


def _batched(
    function: Function, probes: Array, shape: tuple[int, ...], argument: str, batched: Sequence[Function] = ()
) -> BatchFunction:
    """Return a function of batches, vectorized if possible, after calling it at some points.

    Parameters
    ----------
    function
        A function of one point with values of shape ``shape``; it may also accept points ``(dim, lanes)``.
    probes
        The points, ``(dim, lanes)``; the first one is the start.
    shape, argument
        The shape of the values, and the name of the argument in the message if they have another shape.
    batched
        Functions that compute the same for points ``(dim, lanes)``, in order of preference; by default ``function``.
        The first one that gives the same numbers is used.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = np.asarray(function(probes[:, 0].copy())) if batched else None
        for each in batched or (function,):
            vectorized = BatchFunction(function=each, is_vectorized=True)
            with contextlib.suppress(Exception):  # a function of a single point can fail in any way
                # Lanes are independent: calls with different numbers of points must agree in every bit.
                pieces = np.split(probes, [1, 70] if batched else [1], axis=1)
                parts = [vectorized.values(piece.copy(), shape) for piece in pieces]
                together = vectorized.values(probes.copy(), shape)
                is_independent = np.array_equal(np.concatenate(parts, axis=-1), together, equal_nan=True)
                if is_independent and (not batched or _agrees(function, probes, together)):
                    return vectorized
        if first is None:
            first = np.asarray(function(probes[:, 0].copy()))
    if first.shape != shape or first.dtype.kind not in "biuf":
        wanted = "a number" if shape == () else f"an array of shape {shape}"
        found = f"an array of shape {first.shape}" if first.shape else repr(first[()])
        raise ConfigError.at(
            f"argument {argument}", f"the function returns {found} at {probes[:, 0].tolist()}, not {wanted}"
        )
    return BatchFunction(function=function, is_vectorized=False)


def _agrees(function: Function, probes: Array, together: Array) -> bool:
    """Whether a function of one point gives the numbers that were computed for all points, up to rounding."""
    for lane in (0, probes.shape[1] // 2, probes.shape[1] - 1):
        alone = np.asarray(function(probes[:, lane].copy()))
        size = np.abs(alone).max(initial=0.0, where=np.isfinite(alone))
        if not np.allclose(together[..., lane], alone, rtol=1e-12, atol=1e-12 * size, equal_nan=True):
            return False
    return True


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
