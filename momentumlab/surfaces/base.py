"""What a surface is: a loss function with its exact gradient and Hessian, and what is known about it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import DeclarationError
from momentumlab.registry import Array, Parameter, Registry, parameters_of

Intervals = tuple[tuple[float, float], ...]


class Tag(StrEnum):
    """The words by which surfaces are found: all that there are. Each holds for a surface with its defaults."""

    def __new__(cls, word: str, meaning: str) -> "Tag":
        """A word that knows its meaning."""
        tag = str.__new__(cls, word)
        tag._value_ = word
        tag.meaning = meaning
        return tag

    meaning: str

    QUADRATIC = "quadratic", "the gradient is linear, so that theory says everything"
    CONVEX = "convex", "it curves downwards nowhere"
    ILL_CONDITIONED = "ill-conditioned", "at a global minimum it curves 100 times as much one way as another, or more"
    RAVINE = "ravine", "a long narrow valley, straight or curved"
    FLAT_MINIMUM = "flat-minimum", "at a global minimum it does not curve at all along some direction"
    MULTIMODAL = "multimodal", "there are several minima"
    SADDLE = "saddle", "there are saddle points, and they are listed"
    PLATEAU = "plateau", "over a quarter of the view or more there is hardly any gradient"
    KINK = "kink", "the gradient or the curvature jumps somewhere"
    UNBOUNDED = "unbounded", "the loss falls without end, and a run may diverge"


class CriticalKind(Enum):
    """Behaviour of the surface around a point of zero gradient.

    The eigenvalues of the Hessian do not always determine it: a minimum may be flatter than any parabola, and around a
    saddle the surface may rise and fall in three directions each, as for the monkey saddle. ``LOWEST_FOUND`` is the
    lowest minimum of a numerical search, which need not be global.
    """

    GLOBAL_MINIMUM = "global minimum"
    LOWEST_FOUND = "lowest minimum found"
    LOCAL_MINIMUM = "local minimum"
    SADDLE = "saddle"
    MAXIMUM = "maximum"

    @property
    def is_minimum(self) -> bool:
        """Whether an optimizer can converge to it."""
        return self.is_lowest or self is CriticalKind.LOCAL_MINIMUM

    @property
    def is_lowest(self) -> bool:
        """Whether no lower minimum is known, so that losses can be measured from it."""
        return self in (CriticalKind.GLOBAL_MINIMUM, CriticalKind.LOWEST_FOUND)


@dataclass(frozen=True, kw_only=True)
class CriticalPoint:
    """A point of zero gradient, its loss and its kind.

    The tip of a cone counts, too: there the gradient is zero by definition.
    """

    kind: CriticalKind
    point: tuple[float, ...]
    loss: float


class Surface(ABC):
    """A loss surface over points of shape ``(dim, lanes)``, coordinates first, lanes last.

    A new surface is one frozen dataclass below the decorator `surface`: the class attributes, ``value`` and
    ``gradient``; ``hessian`` and ``critical_points`` where they are known. Its parameters are declared with
    `momentumlab.registry.parameter`; inside the methods each is a number or has shape ``(lanes,)``.

    Lanes never mix, and the result of a lane does not depend on how many there are: so no BLAS and no NumPy
    reduction over coordinates (both round differently for other shapes); see `sum_coordinates`.
    ``value`` and ``gradient`` also take complex points (the tests differentiate them by complex steps).

    Attributes
    ----------
    formula, latex
        The loss, for people and for figures.
    source
        Where the function comes from.
    dimension
        The number of coordinates; ``None`` where any number from ``least_dimension`` will do.
    tags
        Words by which it is found.
    minima_are
        How its minima are known, in a word: ``known``, or ``found`` numerically.
    view, start
        The view window (an interval per coordinate) and the default start; for more coordinates than given, both
        begin again from the first.
    domain
        Where what is said of the minima holds, an interval per coordinate; ``None`` where it holds everywhere. It is
        no wall: the formula goes on beyond it, and so may a path.
    lists_all_minima
        Whether `critical_points` has every minimum within the view, in the default dimension.
    is_formula
        Whether it is a function that is written down in its coordinates; a loss over the rows of a table is not.
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

    @abstractmethod
    def value(self, x: Array) -> Array:
        """Loss: ``(dim, lanes) -> (lanes,)``."""

    @abstractmethod
    def gradient(self, x: Array) -> Array:
        """Exact gradient: ``(dim, lanes) -> (dim, lanes)``."""

    def hessian(self, x: Array) -> Array:
        """Exact Hessian: ``(dim, lanes) -> (dim, dim, lanes)``.

        Raises
        ------
        NotImplementedError
            If the surface has none.
        """
        raise NotImplementedError(f"the surface {self.name} has no Hessian")

    @property
    def work(self) -> int:
        """About how many multiplications the loss of one point takes, where these are so many that they matter."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know about how the loss or its gradient is computed."""
        return ()

    @property
    def is_sampled(self) -> bool:
        """Whether its gradient is estimated from a part of what it is a sum of."""
        return False

    def sampled_gradient(self, x: Array, k: Array | int, replicate: NDArray[np.int64], seed: int) -> Array:
        """The estimated gradient, ``(dim, lanes)``; of surfaces that are sampled.

        Parameters
        ----------
        x
            ``(dim, lanes)``
        k
            The number of updates already made; ``(lanes,)`` where trials began at different times.
        replicate
            ``(lanes,)``; with the seed and k it decides what is sampled, and nothing else does.
        seed
            The seed of the experiment.
        """
        raise NotImplementedError(f"the gradient of {self.name} is not sampled")

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """The known points of zero gradient in ``dim`` dimensions, minima first."""
        return ()

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """What the class declares."""
        return parameters_of(cls)

    @property
    def required_dimension(self) -> int | None:
        """The number of coordinates with the parameters as they are; ``None`` where any number will do."""
        return self.dimension

    @property
    def default_dimension(self) -> int:
        """The number of coordinates where nothing says otherwise."""
        return self.required_dimension or len(self.start)

    def default_start(self, dim: int) -> tuple[float, ...]:
        """A start from which there is something to see."""
        return tuple(self.start[i % len(self.start)] for i in range(dim))

    def window(self, dim: int) -> Intervals:
        """The part of the surface that is worth drawing: an interval per coordinate."""
        return tuple(self.view[i % len(self.view)] for i in range(dim))

    def offers(self, dim: int) -> frozenset[str]:
        """What it has beyond its gradient, in the words of an optimizer's ``needs``."""
        has_hessian = type(self).hessian is not Surface.hessian
        has_minimum = any(point.kind.is_lowest for point in self.critical_points(dim))
        offered = {"hessian": has_hessian, "minimum": has_minimum}
        return frozenset(name for name, offer in offered.items() if offer)

    def minima(self, dim: int) -> tuple[CriticalPoint, ...]:
        """The known minima, global ones first."""
        return tuple(point for point in self.critical_points(dim) if point.kind.is_minimum)


PLAIN_NAME = re.compile(r"\s*[A-Za-z_]\w*([- ][A-Za-z_]\w*)*\s*", re.ASCII)
VARIABLE = re.compile(r"\b([xyz]|x[0-9]+)\b")


class SurfaceCatalogue(Registry[Surface]):
    """The surfaces by name; what is no plain name is an expression in x, y, …, and names the surface it describes."""

    def register(self, name: str, cls: type[Surface], aliases: tuple[str, ...] = ()) -> None:
        """Add a class under its name and aliases; errors as those of any catalogue."""
        for word in (name, *aliases):
            if VARIABLE.search(word):
                raise DeclarationError(
                    f"invalid surface name '{word}': x, y, z, x1, x2, … are the variables of expressions"
                )
        super().register(name, cls, aliases)

    @staticmethod
    def is_expression(name: str) -> bool:
        """Whether a name is to be read as an expression."""
        return PLAIN_NAME.fullmatch(name) is None or VARIABLE.search(name) is not None

    def canonical(self, name: str) -> str:
        """The entry's own name, given that, an alias, or a spelling of an expression.

        Raises
        ------
        UnknownNameError
            With a suggestion, if there is no such entry.
        ConfigError
            If it is an expression with a mistake; the message says where.
        """
        return self[name].name if name not in self and self.is_expression(name) else super().canonical(name)

    def __getitem__(self, name: str) -> type[Surface]:
        if name not in self and self.is_expression(name):
            from momentumlab.surfaces.expressions import expression_class

            return expression_class(name)
        return super().__getitem__(name)


SURFACES = SurfaceCatalogue(
    "surface", required=("formula", "latex", "source", "view", "start"), group="momentumlab.surfaces"
)

SurfaceClass = TypeVar("SurfaceClass", bound=type[Surface])


def surface(name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[SurfaceClass], SurfaceClass]:
    """Enter the class below into the catalogue of surfaces."""

    def enter(cls: SurfaceClass) -> SurfaceClass:
        cls.name = name
        SURFACES.register(name, cls, aliases)
        return cls

    return enter


def sum_coordinates(terms: Array) -> Array:
    """Sum over coordinates, ``(dim, lanes) -> (lanes,)``, first to last, whatever the number of lanes.

    ``terms.sum(axis=0)`` would add in another order where there is one lane alone, and so round differently.
    """
    if len(terms) > terms.shape[1]:
        total: Array = np.add.accumulate(terms, axis=0)[-1]
        return total
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def matrix_product(matrix: Array, x: Array) -> Array:
    """``matrix @ x``, ``(dim, dim), (dim, lanes) -> (dim, lanes)``, adding in the same order for any number of lanes.

    BLAS would be faster in many dimensions, and round differently for every number of lanes.
    """
    product: Array = matrix[:, :1] * x[0]
    for column, coordinate in zip(matrix.T[1:], x[1:], strict=True):
        product = product + column[:, np.newaxis] * coordinate
    return product


def minimum(*point: Any, loss: Any = 0.0) -> CriticalPoint:
    """A global minimum. Point and loss may depend on parameters, and then are arrays where those are."""
    return CriticalPoint(kind=CriticalKind.GLOBAL_MINIMUM, point=point, loss=loss)


def local_minimum(*point: float, loss: float) -> CriticalPoint:
    """A minimum above another one, or above a loss that falls without end."""
    return CriticalPoint(kind=CriticalKind.LOCAL_MINIMUM, point=point, loss=loss)


def maximum(*point: float, loss: float) -> CriticalPoint:
    """A maximum."""
    return CriticalPoint(kind=CriticalKind.MAXIMUM, point=point, loss=loss)


def saddle_point(*point: float, loss: float) -> CriticalPoint:
    """A saddle."""
    return CriticalPoint(kind=CriticalKind.SADDLE, point=point, loss=loss)


def absolute(x: Array) -> Array:
    """|x|; of a complex point it turns the sign by the real part, so that complex steps differentiate it."""
    return np.where(x.real < 0, -x, x)


def diagonal(curvatures: Array) -> Array:
    """The Hessian of a sum of functions of one coordinate each: ``(dim, lanes) -> (dim, dim, lanes)``."""
    hessian = np.zeros((len(curvatures), *curvatures.shape), dtype=curvatures.dtype)
    for i, curvature in enumerate(curvatures):
        hessian[i, i] = curvature
    return hessian


def symmetric(xx: Any, xy: Any, yy: Any, like: Array) -> Array:
    """The Hessian of a surface of two coordinates from its three entries: ``(2, 2, lanes)``."""
    hessian = np.empty((2, *like.shape), dtype=like.dtype)
    hessian[0, 0], hessian[1, 1] = xx, yy
    hessian[0, 1] = hessian[1, 0] = xy
    return hessian
