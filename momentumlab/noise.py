"""Noise models: errors that are added to exact gradients, as if these were estimated.

Replicate r has the same errors in every trial: they depend only on the seed, the replicate and the iteration, not on
other trials, their order or the number of workers. Trials are therefore compared under the same noise.
"""

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from momentumlab.calls import NamedCall
from momentumlab.lanes import by_page
from momentumlab.parameters import Array, ValueKind, parameter
from momentumlab.registry import Registry

PAGE_NUMBERS = 2**16
LONGEST_PAGE = 256
"""Errors are drawn for at most this many iterations at a time; for fewer in many dimensions."""

CACHE_BYTES = 2**28
"""The memory for errors that are kept."""

STREAM = 1
"""The purpose of the random streams of errors; see `random_stream`."""


@dataclass(frozen=True, kw_only=True)
class Noise(NamedCall, ABC):
    """A model of gradient errors.

    A new model is one frozen dataclass, decorated with `noise`. It defines what is drawn for each coordinate of
    each gradient, and how that changes the gradient.
    """

    formula: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        """Draw for consecutive iterations, counted from 0, ``(iterations, dimension)``."""

    @abstractmethod
    def disturbed(self, g: Array, draw: Array) -> Array:
        """Return the gradient with its error; all arrays are ``(dim, lanes)``."""

    @property
    def variance(self) -> float | None:
        """Variance of the error in a coordinate; ``None`` if it depends on the gradient or does not exist."""
        return None

    @property
    def is_random(self) -> bool:
        """Whether replicates differ."""
        return True

    @property
    def numbers(self) -> tuple[float, ...]:
        """The values of all arguments."""
        values = [getattr(self, parameter.name) for parameter in self.parameters()]
        return tuple(number for value in values for number in (value if isinstance(value, tuple) else (value,)))


class NormalNoise(Noise):
    """A model that draws a standard normal number for each coordinate."""

    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        return rng.standard_normal((len(iterations), dimension))


NOISE_MODELS: Registry[Noise] = Registry("noise model", listed_as="noise", required=("formula", "source"))

noise = NOISE_MODELS.entry
"""Register the decorated class as a noise model: ``@noise("gaussian")``."""


@noise("gaussian", aliases=("normal",))
@dataclass(frozen=True, kw_only=True)
class Gaussian(NormalNoise):
    """Normally distributed errors of constant size, which dominate the gradient near the minimum."""

    deviation: float = parameter(gt=0, doc="standard deviation in each coordinate")

    formula = "g + s n,  n standard normal in each coordinate"
    source = "elementary; the additive noise of stochastic approximation, Robbins & Monro (1951)"

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g + self.deviation * draw

    @property
    def variance(self) -> float:
        return self.deviation * self.deviation  # unlike a power, this overflows to infinity


@noise("heavy_tailed")
@dataclass(frozen=True, kw_only=True)
class HeavyTailed(Noise):
    """Rare large errors: Student's t, whose variance is infinite with two degrees of freedom or fewer."""

    scale: float = parameter(gt=0, doc="scale in each coordinate")
    freedom: float = parameter(3.0, gt=0, by_name=True, doc="degrees of freedom")

    formula = "g + s t,  t Student's t with `freedom` degrees of freedom in each coordinate"
    source = "J. Zhang et al. (2020), Why are adaptive methods good for attention models?, arXiv 1912.03194"

    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        return rng.standard_t(self.freedom, (len(iterations), dimension))

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g + self.scale * draw

    @property
    def variance(self) -> float:
        return self.scale * self.scale * self.freedom / (self.freedom - 2) if self.freedom > 2 else math.inf


@noise("relative")
@dataclass(frozen=True, kw_only=True)
class Relative(NormalNoise):
    """Errors in proportion to the norm of the gradient, in any direction: they vanish at the minimum."""

    share: float = parameter(gt=0, doc="size of the error relative to the norm of the gradient")

    formula = "g + s |g| n / √dim,  n standard normal in each coordinate"
    source = "elementary; the strong growth condition, Schmidt & Le Roux (2013), arXiv 1308.6370"

    def disturbed(self, g: Array, draw: Array) -> Array:
        squares: Array = np.add.accumulate(g * g, axis=0)[-1]  # the same for any number of lanes
        return g + self.share * np.sqrt(squares / len(g)) * draw


@noise("multiplicative")
@dataclass(frozen=True, kw_only=True)
class Multiplicative(NormalNoise):
    """A random factor for each coordinate of the gradient: errors vanish where the gradient does."""

    share: float = parameter(gt=0, doc="standard deviation of the factor of each coordinate")

    formula = "g (1 + s n),  n standard normal in each coordinate"
    source = "elementary; the multiplicative noise of stochastic approximation"

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g * (1 + self.share * draw)


@noise("cycle")
@dataclass(frozen=True, kw_only=True)
class Cycle(Noise):
    """A repeating sequence of errors, the same in all coordinates, like mini-batches in a fixed order."""

    errors: tuple[float, ...] = parameter(
        kind=ValueKind.NUMBER, is_variadic=True, doc="errors of consecutive gradients"
    )

    formula = "g + e₁, g + e₂, …, and again from the first"
    source = "elementary; Reddi, Kale & Kumar (2018), arXiv 1904.09237, section 3: a cycle under which Adam fails"

    def draws(self, rng: np.random.Generator, iterations: NDArray[np.int64], dimension: int) -> Array:
        errors = np.array(self.errors)[iterations % len(self.errors)]
        return np.repeat(errors[:, np.newaxis], dimension, axis=1)

    def disturbed(self, g: Array, draw: Array) -> Array:
        return g + draw

    @property
    def is_random(self) -> bool:
        return False


def random_stream(seed: int, replicate: int, number: int, purpose: int) -> np.random.Generator:
    """Return the random stream of a replicate for one purpose.

    The purpose is a positive number. NumPy ignores trailing zeros of a seed: without the purpose, the first stream of
    replicate 0 would be that of ``default_rng(seed)``, which draws data sets and random starts.
    """
    return np.random.default_rng([seed, replicate, number, purpose])


class Errors:
    """The draws of every replicate and iteration, made page by page when they are needed.

    Parameters
    ----------
    noise, seed, dimension
        The noise model, the seed of the experiment and the number of coordinates.
    replicates
        The number of replicates of the experiment.
    purpose
        The purpose of the random streams; see `random_stream`.
    """

    def __init__(self, noise: Noise, seed: int, dimension: int, replicates: int, purpose: int = STREAM) -> None:
        self.noise = noise
        self.seed = seed
        self.dimension = dimension
        self.replicates = replicates
        self.purpose = purpose
        # This depends only on the dimension: the errors of a trial do not depend on other trials.
        self.length = max(1, min(LONGEST_PAGE, PAGE_NUMBERS // dimension))
        # Trials in different lanes are at different iterations: keep several pages, or they would be drawn repeatedly.
        page_bytes = 8 * self.length * dimension * replicates
        self.page: Any = functools.lru_cache(max(4, CACHE_BYTES // page_bytes))(self._draw)

    def _draw(self, number: int) -> Array:
        iterations = np.arange(number * self.length, (number + 1) * self.length)
        pages = [
            self.noise.draws(random_stream(self.seed, replicate, number, self.purpose), iterations, self.dimension)
            for replicate in range(self.replicates)
        ]
        return np.stack(pages, axis=2)

    def at(self, ages: Array | int, replicates: NDArray[np.int64]) -> Array:
        """Return the draws of these replicates after a number of updates, ``(dim, lanes)``."""
        if not isinstance(ages, np.ndarray):
            number, place = divmod(ages, self.length)
            drawn: Array = self.page(number)[place].take(replicates, axis=1)
            return drawn
        found = np.empty((self.dimension, len(replicates)))
        for number, lanes, places in by_page(ages.astype(np.int64), self.length):
            found[:, lanes] = self.page(number)[places, :, replicates[lanes]].T
        return found
