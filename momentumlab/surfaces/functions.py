"""Surfaces made of Python functions of NumPy arrays."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from momentumlab.errors import DeclarationError
from momentumlab.registry import Array
from momentumlab.surfaces.base import Surface

COMPLEX_STEP = 1e-30
DIFFERENCE_STEP = float(np.cbrt(np.finfo(np.float64).eps))
"""Step of central differences, relative to a coordinate above 1; it balances truncation and rounding."""

Function = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class FunctionSurface(Surface):
    """A surface whose loss is a Python function; see `from_function`.

    Attributes
    ----------
    notes
        How the function is called and differentiated, where that costs speed or accuracy.
    """

    loss_function: ClassVar[Function]
    gradient_function: ClassVar[Function]
    notes: ClassVar[tuple[str, ...]]

    source = "a Python function"
    minima_are = "found"
    lists_all_minima = False

    def value(self, x: Array) -> Array:
        return np.asarray(type(self).loss_function(x))

    def gradient(self, x: Array) -> Array:
        return np.asarray(type(self).gradient_function(x))


def from_function(
    f: Function,
    gradient: Function | None = None,
    *,
    dimension: int = 2,
    window: Sequence[tuple[float, float]] | None = None,
    start: Sequence[float] | None = None,
    name: str | None = None,
) -> FunctionSurface:
    """Make a surface of a function.

    Parameters
    ----------
    f
        The loss, ``(dim, lanes) -> (lanes,)``, or of a single point, ``(dim,) -> float``, which is slower.
    gradient
        Its gradient, ``(dim, lanes) -> (dim, lanes)`` or ``(dim,) -> (dim,)``. If it is not given, it is computed by a
        complex step if `f` supports complex numbers, otherwise by central differences.
    dimension
        Number of coordinates.
    window
        Plotting window, an interval per coordinate; [-2, 2] by default.
    start
        Default start; by default, a point between the centre and the corner of the window.
    name
        Name in figures and tables; by default, that of the function.

    Raises
    ------
    DeclarationError
        If the results of the functions have the wrong shape.
    """
    view = tuple((float(low), float(high)) for low, high in window or [(-2.0, 2.0)] * dimension)
    low, high = np.array(view).T[:, :, np.newaxis]
    # More lanes than coordinates: a function of a single point cannot accept both shapes by accident.
    probe = low + (high - low) * np.random.default_rng(0).uniform(0.05, 0.95, size=(dimension, dimension + 2))
    notes: list[str] = []
    loss = _batched(f, probe, "the function", (), notes)
    if gradient is not None:
        slope = _batched(gradient, probe, "the gradient", (dimension,), notes)
    elif _supports_complex(loss, probe):
        slope = _complex_step(loss)
    else:
        slope = _central_differences(loss)
        notes.append("the gradient is approximated by central differences")
    title = str(name or getattr(f, "__name__", "function"))
    label = "function" if title == "<lambda>" else title
    cls = type(
        "FunctionSurface",
        (FunctionSurface,),
        {
            "__doc__": f"The function {label}." + "".join(f"\n\n{note[0].upper()}{note[1:]}." for note in notes),
            "name": label,
            "formula": f"{label}(x)",
            "latex": rf"\mathrm{{{label.replace('_', ' ')}}}(x)",
            "dimension": dimension,
            "view": view,
            "start": tuple(map(float, start)) if start is not None else tuple(0.3 * a + 0.7 * b for a, b in view),
            "loss_function": staticmethod(loss),
            "gradient_function": staticmethod(slope),
            "notes": tuple(notes),
        },
    )
    surface: FunctionSurface = cls()
    return surface


def _batched(function: Function, probe: Array, noun: str, shape: tuple[int, ...], notes: list[str]) -> Function:
    """Return the function over lanes: itself if it accepts them, or else a loop over single points."""
    try:
        with np.errstate(all="ignore"):
            whole = np.asarray(function(probe.copy()))
            lane = np.asarray(function(probe[:, :1].copy()))
            is_batched = whole.shape == (*shape, probe.shape[1]) and lane.shape == (*shape, 1)
            if is_batched and np.allclose(whole[..., :1], lane, rtol=1e-9, equal_nan=True):
                return function
    except (ValueError, TypeError, IndexError):
        pass  # a function of a single point

    def looped(x: Array) -> Array:
        return np.stack([np.asarray(function(point)) for point in x.T], axis=-1)

    found = np.asarray(function(probe[:, 0].copy())).shape
    if found != shape:
        wanted = "(lanes,)" if not shape else "(dim, lanes)"
        raise DeclarationError(f"{noun} returned the shape {found} for a point: return {wanted} for (dim, lanes)")
    notes.append(f"{noun} is called once per point; one of arrays (dim, lanes) is faster")
    return looped


def _complex_step(f: Function) -> Function:
    def gradient(x: Array) -> Array:
        slopes = np.empty_like(x)
        for i in range(len(x)):
            moved = x.astype(np.complex128)
            moved[i] += 1j * COMPLEX_STEP
            slopes[i] = np.asarray(f(moved)).imag / COMPLEX_STEP
        return slopes

    return gradient


def _central_differences(f: Function) -> Function:
    def gradient(x: Array) -> Array:
        slopes = np.empty_like(x)
        for i in range(len(x)):
            step = DIFFERENCE_STEP * np.maximum(1.0, np.abs(x[i]))
            above, below = x.copy(), x.copy()
            above[i] += step
            below[i] -= step
            slopes[i] = (f(above) - f(below)) / (above[i] - below[i])
        return slopes

    return gradient


def _supports_complex(f: Function, probe: Array) -> bool:
    """Whether the complex step agrees with central differences; abs() and comparisons silently break it."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")  # casting complex to real is only a warning
            exact, rough = _complex_step(f)(probe), _central_differences(f)(probe)
    except Exception:  # any failure of the user's function on complex numbers means that it does not support them
        return False
    return bool(np.allclose(exact, rough, rtol=1e-5, atol=1e-6 * np.abs(rough).max(initial=0.0)))
