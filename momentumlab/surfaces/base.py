"""The base class of surfaces: loss functions with exact gradients, Hessians and critical points."""

import contextlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import ConfigError, DeclarationError, UnknownNameError
from momentumlab.parameters import Array, Parameter, parameters_of
from momentumlab.registry import Registry

Intervals = tuple[tuple[float, float], ...]


class Tag(StrEnum):
    """Tags of surfaces. The class attribute ``tags`` holds for the default parameters."""

    def __new__(cls, word: str, meaning: str) -> "Tag":
        """Return a tag with its meaning."""
        tag = str.__new__(cls, word)
        tag._value_ = word
        tag.meaning = meaning
        return tag

    meaning: str

    QUADRATIC = "quadratic", "the gradient is linear, and linear theory is exact"
    CONVEX = "convex", "no curvature is negative anywhere"
    ILL_CONDITIONED = "ill-conditioned", "the condition number at a global minimum is 100 or more"
    RAVINE = "ravine", "a long, narrow valley, straight or curved"
    FLAT_MINIMUM = "flat-minimum", "the curvature at a global minimum is zero in some direction"
    MULTIMODAL = "multimodal", "several minima"
    SADDLE = "saddle", "saddle points, listed among the critical points"
    PLATEAU = "plateau", "the gradient is nearly zero in at least a quarter of the window"
    KINK = "kink", "the gradient or the curvature is discontinuous"
    BBOB = "bbob", "a function of the BBOB suite"
    UNBOUNDED = "unbounded", "the loss is unbounded below; runs may diverge"


class CriticalKind(Enum):
    """Kind of a critical point.

    The eigenvalues of the Hessian do not always determine it: at a flat minimum some are zero, at the monkey saddle all
    of them. ``LOWEST_FOUND`` is the lowest minimum of a numerical search, which need not be global.
    """

    GLOBAL_MINIMUM = "global minimum"
    LOWEST_FOUND = "lowest minimum found"
    LOCAL_MINIMUM = "local minimum"
    SADDLE = "saddle"
    MAXIMUM = "maximum"

    @property
    def is_minimum(self) -> bool:
        """Whether it is a minimum, global or local."""
        return self.is_lowest or self is CriticalKind.LOCAL_MINIMUM

    @property
    def is_lowest(self) -> bool:
        """Whether no lower minimum is known. Losses are measured from the lowest one."""
        return self in (CriticalKind.GLOBAL_MINIMUM, CriticalKind.LOWEST_FOUND)


@dataclass(frozen=True, kw_only=True)
class CriticalPoint:
    """A critical point with its loss and kind.

    The tip of a cone is included: its gradient is defined as zero.
    """

    kind: CriticalKind
    point: tuple[float, ...]
    loss: float


class Surface(ABC):
    """A loss surface over points of shape ``(dim, lanes)``.

    A new surface is a frozen dataclass with the decorator `surface`. It defines the class attributes, ``value``,
    ``gradient`` and, if known, ``hessian`` and ``critical_points``. Parameters are declared with
    `momentumlab.parameters.parameter`; inside the methods each is a number or has shape ``(lanes,)``.

    Lanes are independent, and the result of a lane does not depend on their number. Do not use BLAS or NumPy
    reductions over coordinates, which round differently for different shapes; see `sum_coordinates`.
    ``value`` and ``gradient`` also accept complex points, because the tests differentiate them by complex steps.

    Attributes
    ----------
    formula, latex
        The loss, as text and for figures.
    source
        The publication from which the function is taken.
    dimension
        Number of coordinates; ``None`` if any number from ``least_dimension`` is allowed.
    tags
        Properties of the surface with its default parameters; see `instance_tags`.
    minima_are
        Whether the minima are ``known`` or ``found`` numerically.
    view, start
        View window (an interval per coordinate) and default start; repeated for further coordinates.
    domain
        Region in which the statements about minima hold, an interval per coordinate; ``None`` for all points. The
        formula is also valid outside, and iterates can leave the region.
    lists_all_minima
        Whether `critical_points` contains every minimum in the view window, in the default dimension.
    is_formula
        Whether the loss is a formula in the coordinates, rather than a loss over the rows of a table.
    library
        The library that computes the loss, with its version, ``torch 2.13.0``; empty for NumPy.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    latex: ClassVar[str]
    source: ClassVar[str]
    dimension: ClassVar[int | None] = 2
    least_dimension: ClassVar[int] = 1
    tags: ClassVar[frozenset[Tag]] = frozenset()
    minima_are: ClassVar[str] = "known"
    view: ClassVar[Intervals]
    start: ClassVar[tuple[float, ...]]
    domain: ClassVar[Intervals | None] = None
    lists_all_minima: ClassVar[bool] = True
    is_formula: ClassVar[bool] = True
    library: ClassVar[str] = ""

    @abstractmethod
    def value(self, x: Array) -> Array:
        """Return the loss: ``(dim, lanes) -> (lanes,)``."""

    @abstractmethod
    def gradient(self, x: Array) -> Array:
        """Return the exact gradient: ``(dim, lanes) -> (dim, lanes)``."""

    def hessian(self, x: Array) -> Array:
        """Return the exact Hessian: ``(dim, lanes) -> (dim, dim, lanes)``.

        Raises
        ------
        NotImplementedError
            If the surface has no Hessian.
        """
        raise NotImplementedError(f"the surface {self.name} has no Hessian")

    @property
    def instance_tags(self) -> frozenset[Tag]:
        """Properties of the surface with its actual parameters; by default, the tags of the class."""
        return self.tags

    @property
    def work(self) -> int:
        """Approximate number of multiplications per evaluation; 0 if negligible."""
        return 0

    def notes(self, dim: int) -> tuple[str, ...]:
        """Return notes on the computation of the loss and its gradient, which are printed with the results."""
        return ()

    def check_dimension(self, dim: int) -> None:  # noqa: B027 — most surfaces need no check
        """Check that the loss can be computed in ``dim`` dimensions, for surfaces that must be evaluated to find out.

        Raises
        ------
        ValueError
            If it cannot be computed; the message begins with the name of the surface.
        """

    @property
    def is_sampled(self) -> bool:
        """Whether the gradient is estimated from mini-batches."""
        return False

    def sampled_gradient(self, x: Array, k: Array | int, replicate: NDArray[np.int64], seed: int) -> Array:
        """Return the gradient of a mini-batch, ``(dim, lanes)``.

        The batch depends only on ``k``, ``replicate`` and ``seed``.

        Parameters
        ----------
        x
            Points, ``(dim, lanes)``.
        k
            Number of updates already made; ``(lanes,)`` if trials started at different times.
        replicate
            Replicate of each lane, ``(lanes,)``.
        seed
            Seed of the experiment.

        Raises
        ------
        NotImplementedError
            If the surface has no mini-batches.
        """
        raise NotImplementedError(f"the gradient of {self.name} is not sampled")

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """Return the known critical points in ``dim`` dimensions, minima first."""
        return ()

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the declared parameters."""
        return parameters_of(cls)

    @property
    def required_dimension(self) -> int | None:
        """Number of coordinates with the actual parameters; ``None`` if any number is allowed."""
        return self.dimension

    @property
    def default_dimension(self) -> int:
        """Number of coordinates if no start is given."""
        return self.required_dimension or len(self.start)

    def default_start(self, dim: int) -> tuple[float, ...]:
        """Return the default start in ``dim`` dimensions."""
        return tuple(self.start[i % len(self.start)] for i in range(dim))

    def window(self, dim: int) -> Intervals:
        """Return the view window, an interval per coordinate."""
        return tuple(self.view[i % len(self.view)] for i in range(dim))

    def provides(self, dim: int) -> frozenset[str]:
        """Return what the surface provides besides its gradient, in the terms of `Optimizer.requires`."""
        has_hessian = type(self).hessian is not Surface.hessian
        has_minimum = any(point.kind.is_lowest for point in self.critical_points(dim))
        provided = {"hessian": has_hessian, "minimum": has_minimum}
        return frozenset(name for name, is_provided in provided.items() if is_provided)

    def minima(self, dim: int) -> tuple[CriticalPoint, ...]:
        """Return the known minima, global ones first."""
        return tuple(point for point in self.critical_points(dim) if point.kind.is_minimum)


PLAIN_NAME = re.compile(r"\s*[A-Za-z_]\w*([- ][A-Za-z_]\w*)*\s*", re.ASCII)
MOVED = re.compile(r"\s*moved\s*\((.*)\)\s*", re.DOTALL)
LIBRARY_FUNCTION = re.compile(r"\s*(torch|jax):.*", re.DOTALL)
VARIABLE = re.compile(r"\b([xyz]|x[0-9]+)\b")


ONE_OF = "several surfaces"
"""The name of the surface that stands for several ones; see `momentumlab.surfaces.one_of`."""


class SurfaceRegistry(Registry[Surface]):
    """Registry of surfaces.

    Keys are names, expressions in x, y, …, functions such as ``torch:package.module:function``, ``moved(…)`` with one
    of these, or `ONE_OF`.
    """

    def register(self, name: str, cls: type[Surface], aliases: tuple[str, ...] = ()) -> None:
        """Add a class under its name and aliases; see `Registry.register` for the errors."""
        for word in (name, *aliases):
            if VARIABLE.search(word):
                raise DeclarationError(
                    f"invalid surface name '{word}': x, y, z, x1, x2, … are the variables of expressions"
                )
        super().register(name, cls, aliases)

    @staticmethod
    def is_expression(name: str) -> bool:
        """Return whether a name is an expression."""
        if LIBRARY_FUNCTION.fullmatch(name):
            return False
        return PLAIN_NAME.fullmatch(name) is None or VARIABLE.search(name) is not None

    def canonical(self, name: str) -> str:
        """Return the canonical name of a name, an alias or an expression.

        Raises
        ------
        UnknownNameError
            If there is no such surface; with a suggestion.
        ConfigError
            If the expression is invalid; with the column.
        """
        is_function = LIBRARY_FUNCTION.fullmatch(name) is not None
        if MOVED.fullmatch(name) or is_function or (name not in self and self.is_expression(name)):
            return self[name].name
        return super().canonical(name)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and LIBRARY_FUNCTION.fullmatch(name):
            with contextlib.suppress(UnknownNameError, ConfigError):
                return self[name] is not None
            return False
        return super().__contains__(name) or (isinstance(name, str) and MOVED.fullmatch(name) is not None)

    def __getitem__(self, name: str) -> type[Surface]:
        if name == ONE_OF:
            from momentumlab.surfaces.one_of import OneOf

            return OneOf
        # Generated classes, whose modules are imported when one of their names is used.
        if moved := MOVED.fullmatch(name):
            from momentumlab.surfaces.moved import moved_class

            return moved_class(self.canonical(moved[1]))
        if LIBRARY_FUNCTION.fullmatch(name):
            from momentumlab.surfaces.functions import named_function

            return named_function(name)
        if name not in self and self.is_expression(name):
            from momentumlab.surfaces.expressions import expression_class

            return expression_class(name)
        return super().__getitem__(name)


SURFACES = SurfaceRegistry(
    "surface", required=("formula", "latex", "source", "view", "start"), group="momentumlab.surfaces"
)

surface = SURFACES.entry
"""Register the decorated class as a surface: ``@surface("ravine")``."""


def sum_coordinates(terms: Array) -> Array:
    """Sum over coordinates from first to last: ``(dim, lanes) -> (lanes,)``.

    The order of ``terms.sum(axis=0)``, and hence its rounding, depends on the number of lanes.
    """
    if len(terms) > terms.shape[1]:
        total: Array = np.add.accumulate(terms, axis=0)[-1]
        return total.copy()  # a view would keep all partial sums in memory
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def matrix_product(matrix: Array, x: Array) -> Array:
    """Return ``matrix @ x``: ``(dim, dim), (dim, lanes) -> (dim, lanes)``.

    The order of summation does not depend on the number of lanes. BLAS is faster in many dimensions, but its rounding
    depends on the number of lanes.
    """
    product: Array = matrix[:, :1] * x[0]
    for column, coordinate in zip(matrix.T[1:], x[1:], strict=True):
        product = product + column[:, np.newaxis] * coordinate
    return product


def plane_rotations(dim: int, degrees: float) -> Array:
    """Return the product of rotations by an angle in the planes (1,2), (2,3), … in turn, ``(dim, dim)``."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    product = np.eye(dim)
    for i in range(dim - 1):
        product[:, [i, i + 1]] = product[:, [i, i + 1]] @ np.array([[cosine, -sine], [sine, cosine]])
    return product


def minimum(*point: Any, loss: Any = 0.0) -> CriticalPoint:
    """Return a global minimum. Point and loss are arrays if they depend on parameters that are."""
    return CriticalPoint(kind=CriticalKind.GLOBAL_MINIMUM, point=point, loss=loss)


def local_minimum(*point: float, loss: float) -> CriticalPoint:
    """Return a local minimum."""
    return CriticalPoint(kind=CriticalKind.LOCAL_MINIMUM, point=point, loss=loss)


def maximum(*point: float, loss: float) -> CriticalPoint:
    """Return a maximum."""
    return CriticalPoint(kind=CriticalKind.MAXIMUM, point=point, loss=loss)


def saddle_point(*point: float, loss: float) -> CriticalPoint:
    """Return a saddle."""
    return CriticalPoint(kind=CriticalKind.SADDLE, point=point, loss=loss)


def absolute(x: Array) -> Array:
    """Return x or −x, depending on the sign of the real part; unlike the modulus, it supports complex steps."""
    return np.where(x.real < 0, -x, x)


def diagonal(curvatures: Array) -> Array:
    """Return the Hessian of a separable function: ``(dim, lanes) -> (dim, dim, lanes)``."""
    hessian = np.zeros((len(curvatures), *curvatures.shape), dtype=curvatures.dtype)
    for i, curvature in enumerate(curvatures):
        hessian[i, i] = curvature
    return hessian


def symmetric(xx: Any, xy: Any, yy: Any, like: Array) -> Array:
    """Return the Hessian of a two-dimensional surface from its three entries, ``(2, 2, lanes)``."""
    hessian = np.empty((2, *like.shape), dtype=like.dtype)
    hessian[0, 0], hessian[1, 1] = xx, yy
    hessian[0, 1] = hessian[1, 0] = xy
    return hessian
