"""Surfaces made from expressions: a class for each, which the rest of the package uses as those of the catalogue."""

import dataclasses
import functools
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from momentumlab.registry import Array, Real, parameter
from momentumlab.surfaces.base import CriticalKind, CriticalPoint, Intervals, Surface
from momentumlab.surfaces.expressions.bounds import bounds
from momentumlab.surfaces.expressions.critical import Field, critical_points
from momentumlab.surfaces.expressions.parser import ExpressionError, Parsed, parse
from momentumlab.surfaces.expressions.program import Program, compiled

WIDEST: tuple[float, float] = (-5.0, 5.0)
"""Where critical points are looked for along each coordinate, unless a view window is given."""

HALF_WIDTH = 3.0
NARROWEST = 0.1
START = (0.1, 0.72)
"""The default start, as shares of the window; further coordinates begin again from the first."""

RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*(\S+?)\s*")


class Programs:
    """The programs of an expression, each made when it is first asked for."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed

    @cached_property
    def value(self) -> Program:
        """The expression as it was written."""
        return compiled([self.parsed.tree], self.parsed.variables, self.parsed.parameters)

    @cached_property
    def gradient(self) -> Program:
        """The first derivatives."""
        from momentumlab.surfaces.expressions import calculus

        found = calculus.gradient(self.parsed.tree, self.parsed.variables)
        return compiled(found.entries, self.parsed.variables, self.parsed.parameters, found.shared)

    @cached_property
    def hessian(self) -> Program:
        """The upper triangle of the second derivatives, row by row."""
        return self._hessian[0]

    @cached_property
    def is_quadratic(self) -> bool:
        """Whether the Hessian is the same everywhere."""
        return self._hessian[1]

    @cached_property
    def _hessian(self) -> tuple[Program, bool]:
        from momentumlab.surfaces.expressions import calculus

        found = calculus.hessian(self.parsed.tree, self.parsed.variables)
        program = compiled(found.entries, self.parsed.variables, self.parsed.parameters, found.shared)
        return program, not found.names & set(self.parsed.variables)


@dataclass(frozen=True, kw_only=True)
class ExpressionSurface(Surface):
    """A surface from an expression.

    Gradient and Hessian are exact, by SymPy. Critical points are found numerically in the view window; there may be
    others. A minimum is called global where it is proven to be, and local otherwise.

    Attributes
    ----------
    expression
        The text, in its one spelling.
    given_view
        The view window that a person asked for; ``None``: it is chosen by the critical points.
    """

    expression: ClassVar[str]
    given_view: ClassVar[Intervals | None]
    programs: ClassVar[Programs]

    source = "an expression"
    minima_are = "found"

    @cached_property
    def given(self) -> tuple[Any, ...]:
        """The parameters, in the order of the programs."""
        return tuple(getattr(self, name) for name in self.programs.parsed.parameters)

    def value(self, x: Array) -> Array:
        return self.programs.value.value(x, self.given)

    def gradient(self, x: Array) -> Array:
        return self.programs.gradient.rows_of(np.empty_like(x), x, self.given)

    def hessian(self, x: Array) -> Array:
        dim, lanes = x.shape
        upper = np.triu_indices(dim)
        hessian = np.empty((dim, dim, lanes), dtype=x.dtype)
        rows = np.empty((len(upper[0]), lanes), dtype=x.dtype)
        with np.errstate(all="ignore"):  # it may have none at a point where the gradient is zero
            hessian[upper] = self.programs.hessian.rows_of(rows, x, self.given)
        hessian[upper[1], upper[0]] = hessian[upper]
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """The points that were found in the window; none if the parameters differ from lane to lane."""
        if any(np.size(number) != 1 for number in self.given):
            return ()
        return _found(type(self), tuple(float(np.ravel(number)[0]) for number in self.given))

    def window(self, dim: int) -> Intervals:
        if self.given_view is not None:
            return self.given_view
        points = self.critical_points(dim)
        return _window_around(self, points) if points else (WIDEST,) * dim

    def default_start(self, dim: int) -> tuple[float, ...]:
        low, high = np.array(self.window(dim)).T
        shares = np.resize(START, dim)
        starts = np.stack([low + share * (high - low) for share in (shares, 1 - shares, shares[::-1], 0.9 * shares)]).T
        starts = np.array([[float(f"{number:.2g}") for number in row] for row in starts])
        with np.errstate(all="ignore"):
            usable = np.isfinite(self.value(starts)) & np.isfinite(self.gradient(starts)).all(axis=0)
        chosen: list[float] = starts[:, int(np.argmax(usable))].tolist()
        return tuple(chosen)

    def offers(self, dim: int) -> frozenset[str]:
        """Its Hessian; a minimum where it is proven and cannot differ from lane to lane."""
        if self.given:
            return frozenset({"hessian"})
        is_known = any(point.kind is CriticalKind.GLOBAL_MINIMUM for point in self.critical_points(dim))
        return frozenset({"hessian", "minimum"} if is_known else {"hessian"})


@functools.lru_cache(maxsize=256)
def _found(cls: type[ExpressionSurface], values: tuple[float, ...]) -> tuple[CriticalPoint, ...]:
    """The critical points of a surface with these parameters."""
    parsed = cls.programs.parsed
    parameters = dict(zip(parsed.parameters, values, strict=True))
    surface = cls(**parameters)
    field = Field(value=surface.value, gradient=surface.gradient, hessian=surface.hessian)
    lowest, _ = bounds(parsed.tree, parameters)
    points = critical_points(field, cls.given_view or (WIDEST,) * len(parsed.variables), lowest)
    if not cls.programs.is_quadratic:
        return points
    # Of a quadratic the only minimum is global.
    minimum = CriticalKind.GLOBAL_MINIMUM
    return tuple(dataclasses.replace(point, kind=minimum) if point.kind.is_minimum else point for point in points)


def _window_around(surface: Surface, points: tuple[CriticalPoint, ...]) -> Intervals:
    """A window that shows all critical points; around a single one, as wide along each coordinate as it is flat."""
    coordinates = np.array([point.point for point in points])
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    curvatures = np.abs(np.diagonal(surface.hessian(coordinates[:1].T)[:, :, 0]))
    flattest = curvatures[curvatures > 0].min(initial=math.inf)
    shares = np.sqrt(flattest / np.where(curvatures > 0, curvatures, flattest)) if np.isfinite(flattest) else 1.0
    padding = HALF_WIDTH * np.maximum(shares, NARROWEST)
    if (high - low).max() > 0:
        padding = np.maximum(0.3 * (high - low), 0.3 * np.minimum(padding, (high - low).max()))
    low, high = np.maximum(low - padding, WIDEST[0]), np.minimum(high + padding, WIDEST[1])  # where it was searched
    window = []
    for left, right in zip(low.tolist(), high.tolist(), strict=True):
        unit = 10.0 ** (math.floor(math.log10(right - left)) - 1)  # a few digits: easy to read, and safe to repeat
        digits = max(0, round(-math.log10(unit)))
        window.append((round(math.floor(left / unit) * unit, digits), round(math.ceil(right / unit) * unit, digits)))
    return tuple(window)


RESERVED = frozenset(dir(ExpressionSurface)) | {"name", "view", "start", "formula", "latex"}
"""What no parameter can be called."""


@functools.lru_cache(maxsize=256)
def expression_class(name: str) -> type[ExpressionSurface]:
    """The class of surfaces of an expression.

    Parameters
    ----------
    name
        The expression, and perhaps its view window: ``x**2 + y**2 on -2..2 by -1..1``. Different spellings of the same
        tree give the same class.

    Raises
    ------
    ExpressionError
        If it is no expression, or nowhere in its window a number.
    """
    text, separator, ranges = name.partition(" on ")
    parsed = parse(text, RESERVED)
    view = _view(name, ranges, len(parsed.variables)) if separator else None
    canonical = named(parsed.tree.text(), view)
    if canonical != name:
        return expression_class(canonical)
    cls: type[ExpressionSurface] = dataclasses.make_dataclass(
        "Expression",
        [(word, Real, _constant(word)) for word in parsed.parameters],
        bases=(ExpressionSurface,),
        namespace={
            "__doc__": ExpressionSurface.__doc__ and ExpressionSurface.__doc__.partition("\n\n    Attributes")[0],
            "name": canonical,
            "expression": parsed.tree.text(),
            "formula": parsed.tree.text(),
            "latex": parsed.tree.latex(),
            "dimension": len(parsed.variables),
            "given_view": view,
            "programs": Programs(parsed),
        },
        frozen=True,
        kw_only=True,
    )
    if not parsed.parameters and not _has_values(cls, view or (WIDEST,) * len(parsed.variables)):
        where = "the view window" if view else f"the window from {WIDEST[0]:g} to {WIDEST[1]:g}; give it a view"
        raise ExpressionError(name, 0, f"this is not a real number anywhere in {where}")
    return cls


def named(expression: str, view: Intervals | None) -> str:
    """The name of the surface of an expression, from its text and its view window."""
    if view is None:
        return expression
    return f"{expression} on {' by '.join(f'{_short(low)}..{_short(high)}' for low, high in view)}"


def _short(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _constant(name: str) -> Any:
    return parameter(math.nan, doc="a constant of the expression", required=True)


def _view(name: str, ranges: str, dim: int) -> Intervals:
    """The window after the word ``on``."""
    position = len(name) - len(ranges)
    view = []
    for part in ranges.split(" by "):
        match = RANGE.fullmatch(part)
        try:
            low, high = (float(word) for word in match.groups()) if match else (math.nan, math.nan)
        except ValueError:
            low = high = math.nan
        if not (low < high and math.isfinite(high - low)):
            raise ExpressionError(name, position, "a view window is written -2..2 by -1..1, each from low to high")
        view.append((low, high))
        position += len(part) + len(" by ")
    if len(view) != dim:
        noun = "interval" if len(view) == 1 else "intervals"
        plural = "variable" if dim == 1 else "variables"
        raise ExpressionError(name, 0, f"the view has {len(view)} {noun}, the expression {dim} {plural}")
    return tuple(view)


def _has_values(cls: type[ExpressionSurface], window: Intervals) -> bool:
    """Whether the expression is a number somewhere in a window."""
    low, high = np.array(window).T[:, :, np.newaxis]
    points = np.random.default_rng(0).uniform(size=(len(window), 1000)) * (high - low) + low
    with np.errstate(all="ignore"):
        return bool(np.isfinite(cls().value(points)).any())
