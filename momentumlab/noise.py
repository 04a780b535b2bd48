"""Noise in gradients: what stands between a method and the surface when gradients are estimated.

Replicate r sees the same errors in every trial, whatever else runs, in any order and on any number of workers: they are
a function of the seed, the replicate and the iteration alone. So trials are compared on the same luck.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from momentumlab.registry import Array

PAGE_NUMBERS = 2**16
LONGEST_PAGE = 256
"""Errors are drawn for so many iterations at a time; fewer in many dimensions."""

CACHE_BYTES = 2**28
"""The memory for errors that have been drawn."""


@dataclass(frozen=True, kw_only=True)
class Noise(ABC):
    """How gradients are wrong.

    A new kind is one frozen dataclass below the decorator `noise`, with what is drawn for each coordinate of each
    gradient, and what it does to the gradient.
    """

    name: ClassVar[str]
    formula: ClassVar[str]

    @abstractmethod
    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        """What is drawn in some consecutive iterations, counted from 0, ``(iterations, dimension)``."""

    @abstractmethod
    def disturbed(self, g: Array, draw: Array) -> Array:
        """The gradient with its error, all ``(dim, lanes)``."""

    @property
    def variance(self) -> float | None:
        """Of the error in a coordinate, where it is independent of the gradient and has one."""
        return None

    @property
    def is_random(self) -> bool:
        """Whether replicates differ."""
        return True

    @property
    def numbers(self) -> tuple[float, ...]:
        """Its arguments, as they are written."""
        values = [getattr(self, field.name) for field in fields(self)]
        return tuple(number for value in values for number in (value if isinstance(value, tuple) else (value,)))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.numbers))})"


class _Normal(Noise):
    """With a normal number for each coordinate of each gradient."""

    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        return rng.standard_normal((len(iterations), dimension))


NOISES: dict[str, type[Noise]] = {}

NoiseClass = TypeVar("NoiseClass", bound=type[Noise])


def noise(name: str) -> Callable[[NoiseClass], NoiseClass]:
    """Enter the class below into the catalogue of noises."""

    def enter(cls: NoiseClass) -> NoiseClass:
        cls.name = name
        NOISES[name] = cls
        return cls

    return enter


@noise("gaussian")
@dataclass(frozen=True, kw_only=True)
class Gaussian(_Normal):
    """The same spread everywhere: what is left of a gradient at the minimum is noise alone."""

    deviation: float

    formula = "g + s n,  n normal in each coordinate"

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g + self.deviation * draw

    @property
    def variance(self) -> float:
        return self.deviation**2


@noise("heavy_tailed")
@dataclass(frozen=True, kw_only=True)
class HeavyTailed(Noise):
    """Now and then a gradient is far off: Student's t, whose variance is infinite with two degrees of freedom or fewer.

    J. Zhang et al., *Why are adaptive methods good for attention models?*, arXiv 1912.03194, on such gradients.
    """

    scale: float
    freedom: float = 3.0

    formula = "g + s t,  t Student's with `freedom` degrees of freedom in each coordinate"

    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        return rng.standard_t(self.freedom, (len(iterations), dimension))

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g + self.scale * draw

    @property
    def variance(self) -> float:
        return self.scale**2 * self.freedom / (self.freedom - 2) if self.freedom > 2 else math.inf


@noise("relative")
@dataclass(frozen=True, kw_only=True)
class Relative(_Normal):
    """In proportion to the length of the gradient, in any direction: it vanishes at the minimum."""

    share: float

    formula = "g + s |g| n / √dim,  n normal in each coordinate"

    def disturbed(self, g: Array, draw: Array) -> Array:
        squares: Array = np.add.accumulate(g * g, axis=0)[-1]  # the same for any number of lanes
        return g + self.share * np.sqrt(squares / len(g)) * draw


@noise("multiplicative")
@dataclass(frozen=True, kw_only=True)
class Multiplicative(_Normal):
    """Each coordinate of the gradient times a random factor: it vanishes where the gradient does."""

    share: float

    formula = "g (1 + s n),  n normal in each coordinate"

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g * (1 + self.share * draw)


@noise("cycle")
@dataclass(frozen=True, kw_only=True)
class Cycle(Noise):
    """The same errors again and again, the same in all coordinates: what a fixed order of mini-batches does."""

    errors: tuple[float, ...]

    formula = "g + e₁, g + e₂, …, and again from the first"

    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        errors = np.array(self.errors)[iterations % len(self.errors)]
        return np.repeat(errors[:, np.newaxis], dimension, axis=1)

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g + draw

    @property
    def is_random(self) -> bool:
        return False


class Errors:
    """What is drawn for every replicate and iteration, page by page as it is needed.

    Parameters
    ----------
    noise, seed, dimension
        What is drawn.
    replicates
        How many there are in all.
    """

    def __init__(self, noise: Noise, seed: int, dimension: int, replicates: int) -> None:
        self.noise = noise
        self.seed = seed
        self.dimension = dimension
        self.replicates = replicates
        # Of the dimension alone, so that a trial sees the same whatever else runs.
        self.length = max(1, min(LONGEST_PAGE, PAGE_NUMBERS // dimension))
        page_bytes = 8 * self.length * dimension * replicates
        self.page: Any = functools.lru_cache(max(4, CACHE_BYTES // page_bytes))(self._drawn)

    def _drawn(self, number: int) -> Array:
        iterations = np.arange(number * self.length, (number + 1) * self.length)
        pages = [
            self.noise.draws(np.random.default_rng([self.seed, replicate, number]), iterations, self.dimension)
            for replicate in range(self.replicates)
        ]
        return np.stack(pages, axis=2)

    def at(self, ages: Array | int, replicates: NDArray[np.int64]) -> Array:
        """The draws after so many updates in these replicates, ``(dim, lanes)``."""
        if not isinstance(ages, np.ndarray):
            number, place = divmod(ages, self.length)
            drawn: Array = self.page(number)[place].take(replicates, axis=1)
            return drawn
        numbers, places = np.divmod(ages.astype(np.int64), self.length)
        found = np.empty((self.dimension, len(replicates)))
        for number in np.unique(numbers).tolist():
            lanes = np.flatnonzero(numbers == number)
            found[:, lanes] = self.page(number)[places[lanes], :, replicates[lanes]].T
        return found
