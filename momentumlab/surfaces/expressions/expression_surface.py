"""Surfaces given as expressions: one generated class per expression, used like any registered surface."""

import dataclasses
import functools
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import CriticalPoint, Intervals, Surface
from momentumlab.surfaces.expressions.critical import critical_points
from momentumlab.surfaces.expressions.program import Program, compiled
from momentumlab.surfaces.expressions.syntax import ExpressionError, Parsed, parse

SEARCHED: tuple[float, float] = (-5.0, 5.0)
"""Interval of each coordinate in which critical points are searched, unless a view window is given."""

HALF_WIDTH = 3.0
NARROWEST = 0.1
"""The window around a single critical point extends this far to either side along the flattest coordinate, and at least
by this share of it along the others."""

START = (0.1, 0.72)
"""Default start, as fractions of the window; repeated for further coordinates."""

RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*(\S+?)\s*")


class Programs:
    """The programs of an expression, each compiled when it is first used."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed

    @cached_property
    def value(self) -> Program:
        """The expression, computed as it is written."""
        return self._compiled(0)

    @cached_property
    def gradient(self) -> Program:
        """The first derivatives."""
        return self._compiled(1)

    @cached_property
    def hessian(self) -> Program:
        """The upper triangle of the second derivatives, row by row."""
        return self._compiled(2)

    @cached_property
    def latex(self) -> str:
        """The expression as it is written, in LaTeX."""
        from momentumlab.surfaces.expressions import symbolic

        return symbolic.latex(self.parsed.tree)

    def _compiled(self, order: int) -> Program:
        return compiled(self.parsed.tree, self.parsed.variables, self.parsed.parameters, order=order)


class _Latex:
    """The class attribute ``latex``, computed on first access because it loads SymPy."""

    def __get__(self, surface: Surface | None, cls: "type[ExpressionSurface]") -> str:
        return cls.programs.latex


@dataclass(frozen=True, kw_only=True)
class ExpressionSurface(Surface):
    """A surface defined by an expression.

    Gradient and Hessian are exact. Critical points are found numerically in the view window; there may be
    others. The lowest minimum found is the reference for losses; it is the global one if the expression is quadratic.

    Attributes
    ----------
    expression
        The expression in its canonical spelling.
    given_view
        The requested view window; ``None`` to choose it by the critical points.
    """

    expression: ClassVar[str]
    given_view: ClassVar[Intervals | None]
    programs: ClassVar[Programs]

    source = "an expression"
    minima_are = "found"

    @cached_property
    def given(self) -> tuple[Any, ...]:
        """The parameters, in the order in which the programs take them."""
        return tuple(getattr(self, name) for name in self.programs.parsed.parameters)

    def value(self, x: Array) -> Array:
        return self.programs.value.value(x, self.given)

    def gradient(self, x: Array) -> Array:
        return self.programs.gradient.write_rows(np.empty_like(x), x, self.given)

    def hessian(self, x: Array) -> Array:
        dim, lanes = x.shape
        upper = np.triu_indices(dim)
        hessian = np.empty((dim, dim, lanes), dtype=x.dtype)
        rows = np.empty((len(upper[0]), lanes), dtype=x.dtype)
        with np.errstate(all="ignore"):  # it can be undefined where the gradient is not
            hessian[upper] = self.programs.hessian.write_rows(rows, x, self.given)
        hessian[upper[1], upper[0]] = hessian[upper]
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """Return the points found in the window; none if the parameters differ between lanes."""
        if any(np.size(number) != 1 for number in self.given):
            return ()
        return _found(type(self), tuple(float(np.ravel(number)[0]) for number in self.given))

    def window(self, dim: int) -> Intervals:
        if self.given_view is not None:
            return self.given_view
        points = self.critical_points(dim)
        return _window_around(self, points) if points else (SEARCHED,) * dim

    def default_start(self, dim: int) -> tuple[float, ...]:
        """Return the first of four candidate points at which loss and gradient are finite."""
        low, high = np.array(self.window(dim)).T
        shares = np.resize(START, dim)
        starts = np.stack([low + share * (high - low) for share in (shares, 1 - shares, shares[::-1], 0.9 * shares)]).T
        starts = np.array([[float(f"{number:.2g}") for number in row] for row in starts])
        with np.errstate(all="ignore"):
            usable = np.isfinite(self.value(starts)) & np.isfinite(self.gradient(starts)).all(axis=0)
        chosen: list[float] = starts[:, int(np.argmax(usable))].tolist()
        return tuple(chosen)

    def provides(self, dim: int) -> frozenset[str]:
        """Return ``hessian``, and ``minimum`` if one was found and no parameter can change it."""
        has_minimum = not self.given and any(point.kind.is_lowest for point in self.critical_points(dim))
        return frozenset({"hessian", "minimum"} if has_minimum else {"hessian"})


@functools.lru_cache(maxsize=256)
def _found(cls: type[ExpressionSurface], values: tuple[float, ...]) -> tuple[CriticalPoint, ...]:
    """Return the critical points of a surface with these parameters."""
    parsed, programs = cls.programs.parsed, cls.programs
    surface = cls(**dict(zip(parsed.parameters, values, strict=True)))
    calls = 1 + sum(len(program.calls) for program in (programs.value, programs.gradient, programs.hessian))
    window = cls.given_view or (SEARCHED,) * len(parsed.variables)
    return critical_points(surface, window, calls=calls, is_quadratic=programs.hessian.is_constant)


def _window_around(surface: Surface, points: tuple[CriticalPoint, ...]) -> Intervals:
    """Return a window that shows all critical points; around a single one, wider where the surface is flatter."""
    coordinates = np.array([point.point for point in points])
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    # Around a single point, the contours of the loss extend in proportion to 1/√λ along each coordinate.
    curvatures = np.abs(np.diagonal(surface.hessian(coordinates[:1].T)[:, :, 0]))
    flattest = curvatures[curvatures > 0].min(initial=math.inf)
    shares = np.sqrt(flattest / np.where(curvatures > 0, curvatures, flattest)) if np.isfinite(flattest) else 1.0
    padding = HALF_WIDTH * np.maximum(shares, NARROWEST)
    # Around several points, add 30 % of their extent; where that is small, 30 % of what a single point needs.
    if (high - low).max() > 0:
        padding = np.maximum(0.3 * (high - low), 0.3 * np.minimum(padding, (high - low).max()))
    low, high = np.maximum(low - padding, SEARCHED[0]), np.minimum(high + padding, SEARCHED[1])
    # Round outwards to two digits, which are easy to read and can be typed in again.
    window = []
    for left, right in zip(low.tolist(), high.tolist(), strict=True):
        unit = 10.0 ** (math.floor(math.log10(right - left)) - 1)
        digits = max(0, round(-math.log10(unit)))
        window.append((round(math.floor(left / unit) * unit, digits), round(math.ceil(right / unit) * unit, digits)))
    return tuple(window)


RESERVED = frozenset(dir(ExpressionSurface)) | {"name", "view", "start", "formula", "latex"}
"""Names that no parameter can have."""


@functools.lru_cache(maxsize=256)
def expression_class(name: str) -> type[ExpressionSurface]:
    """Return the surface class of an expression.

    Parameters
    ----------
    name
        The expression, optionally with its view window: ``x**2 + y**2 on -2..2 by -1..1``. Different spellings of the
        same tree give the same class.

    Raises
    ------
    ExpressionError
        If the expression is invalid, or undefined everywhere in its window.
    """
    text, separator, ranges = name.partition(" on ")
    parsed = parse(text, RESERVED)
    view = read_view(name, ranges, len(parsed.variables)) if separator else None
    # One class per tree: other spellings look up the canonical one, which the cache returns.
    expression = str(parsed.tree)
    canonical = named(expression, view)
    if canonical != name:
        return expression_class(canonical)
    cls: type[ExpressionSurface] = dataclasses.make_dataclass(
        "Expression",
        [
            (word, Real, parameter(math.nan, doc="parameter of the expression", required=True))
            for word in parsed.parameters
        ],
        bases=(ExpressionSurface,),
        namespace={
            "__doc__": ExpressionSurface.__doc__ and ExpressionSurface.__doc__.partition("\n\n    Attributes")[0],
            "name": canonical,
            "expression": expression,
            "formula": expression,
            "latex": _Latex(),
            "dimension": len(parsed.variables),
            "given_view": view,
            "programs": Programs(parsed),
        },
        frozen=True,
        kw_only=True,
    )
    if not parsed.parameters and not _has_values(cls, view or (SEARCHED,) * len(parsed.variables)):
        where = "the view window" if view else f"the window from {SEARCHED[0]:g} to {SEARCHED[1]:g}"
        raise ExpressionError(name, 0, f"no real value anywhere in {where}", "" if view else "give a view window")
    return cls


def named(expression: str, view: Intervals | None) -> str:
    """Return the name of the surface with an expression and a view window."""
    if view is None:
        return expression

    def short(number: float) -> str:
        return repr(float(number)).removesuffix(".0")

    return f"{expression} on {' by '.join(f'{short(low)}..{short(high)}' for low, high in view)}"


def read_view(name: str, ranges: str, dim: int | None = None) -> Intervals:
    """Return the view window after the word ``on`` of a name, which has ``dim`` intervals unless that is ``None``.

    Raises
    ------
    ExpressionError
        If it is invalid.
    """
    # Errors point at the interval within the whole name.
    position = len(name) - len(ranges)
    view = []
    for part in ranges.split(" by "):
        match = RANGE.fullmatch(part)
        try:
            low, high = (float(word) for word in match.groups()) if match else (math.nan, math.nan)
        except ValueError:
            low = high = math.nan
        if not (low < high and math.isfinite(high - low)):
            raise ExpressionError(name, position, "invalid view window", "write -2..2 by -1..1, each from low to high")
        view.append((low, high))
        position += len(part) + len(" by ")
    if dim is not None and len(view) != dim:
        intervals, variables = ("s" * (count != 1) for count in (len(view), dim))
        problem = f"a view of {len(view)} interval{intervals} for {dim} variable{variables}"
        raise ExpressionError(name, len(name) - len(ranges), problem, "give one interval per variable")
    return tuple(view)


def _has_values(cls: type[ExpressionSurface], window: Intervals) -> bool:
    """Whether the expression has a finite value somewhere in a window."""
    low, high = np.array(window).T[:, :, np.newaxis]
    points = np.random.default_rng(0).uniform(size=(len(window), 1000)) * (high - low) + low
    with np.errstate(all="ignore"):
        return bool(np.isfinite(cls().value(points)).any())
