"""Surfaces with many minima: bowls, cones and valleys with superimposed waves."""

import math
from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import (
    CriticalPoint,
    Surface,
    Tag,
    diagonal,
    local_minimum,
    minimum,
    saddle_point,
    sum_coordinates,
    surface,
    symmetric,
)

PI = math.pi


@surface("rastrigin")
@dataclass(frozen=True, kw_only=True)
class Rastrigin(Surface):
    """A round bowl with a local minimum near every point with integer coordinates.

    Slow runs are trapped in these minima.
    """

    a: Real = parameter(10.0, gt=0, doc="amplitude of the waves")

    formula = "Σ xᵢ² + a (1 − cos(2π xᵢ))"
    latex = r"\sum_i x_i^2 + a\,(1 - \cos 2\pi x_i)"
    source = "Rastrigin (1974), Systems of Extremal Control; in this form Mühlenbein, Schomisch & Born (1991)"
    dimension = None
    tags = frozenset({Tag.MULTIMODAL})
    view = ((-5.12, 5.12),)
    start = (-4.3, 3.4)
    lists_all_minima = False

    def value(self, x: Array) -> Array:
        waves = np.sin(PI * x)
        return sum_coordinates(x * x + 2 * self.a * (waves * waves))

    def gradient(self, x: Array) -> Array:
        return 2 * x + 2 * PI * self.a * np.sin(2 * PI * x)

    def hessian(self, x: Array) -> Array:
        return diagonal(2 + 4 * PI * PI * self.a * np.cos(2 * PI * x))

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(0.0,) * dim),)


@surface("ackley")
@dataclass(frozen=True, kw_only=True)
class Ackley(Surface):
    """A plain with many local minima around a funnel whose tip, the global minimum, is a cone.

    At the tip the gradient is undefined; here it is 0. The slope does not vanish towards the tip, so methods with a
    fixed step size do not converge. The Hessian at the tip is undefined too (here infinite) and therefore not provided
    to optimizers and theory.
    """

    formula = "20 (1 − exp(−0.2 r)) + e − exp(c),  r = √(Σ xᵢ²/d),  c = Σ cos(2π xᵢ)/d"
    latex = r"20\,(1 - e^{-0.2 r}) + e - e^{c},\ r^2 = \sum_i x_i^2/d,\ c = \sum_i \cos(2\pi x_i)/d"
    source = "Ackley (1987), A Connectionist Machine for Genetic Hillclimbing; in d dimensions Bäck & Schwefel (1993)"
    dimension = None
    tags = frozenset({Tag.MULTIMODAL, Tag.KINK})
    view = ((-5.0, 5.0),)
    start = (-1.4, 1.6)
    lists_all_minima = False

    def value(self, x: Array) -> Array:
        waves = np.sin(PI * x)
        below = -2 * sum_coordinates(waves * waves) / len(x)  # c − 1, without loss of digits near the tip
        return -20 * np.expm1(-0.2 * self._radius(x)) - math.e * np.expm1(below)

    def gradient(self, x: Array) -> Array:
        radius = self._radius(x)
        slope = 4 * np.exp(-0.2 * radius) / np.where(radius == 0, 1, radius)
        return (slope * x + 2 * PI * self._dimples(x) * np.sin(2 * PI * x)) / len(x)

    def hessian(self, x: Array) -> Array:
        dim, radius = len(x), self._radius(x)
        is_tip = radius == 0
        distance = np.where(is_tip, 1, radius)
        slope = 4 * np.exp(-0.2 * radius) / distance
        bend = slope * (0.2 + 1 / distance) / distance / (dim * dim)
        dimples, sines = self._dimples(x), np.sin(2 * PI * x)
        pull = (2 * PI / dim) ** 2 * dimples
        hessian = -bend * (x[:, np.newaxis] * x) - pull * (sines[:, np.newaxis] * sines)
        own = slope / dim + 4 * PI * PI / dim * dimples * np.cos(2 * PI * x)
        for i in range(dim):
            hessian[i, i] = np.where(is_tip, np.inf, hessian[i, i] + own[i])
        return hessian

    @staticmethod
    def _radius(x: Array) -> Array:
        return np.sqrt(sum_coordinates(x * x) / len(x))

    @staticmethod
    def _dimples(x: Array) -> Array:
        """Return exp(c), ``(lanes,)``."""
        return np.exp(sum_coordinates(np.cos(2 * PI * x)) / len(x))

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(0.0,) * dim),)

    def provides(self, dim: int) -> frozenset[str]:
        return super().provides(dim) - {"hessian"}


@surface("griewank")
@dataclass(frozen=True, kw_only=True)
class Griewank(Surface):
    """A wide bowl with a product of cosines, which couples the coordinates.

    The bowl dominates at large scales, the cosines at small ones. The window shows the latter.
    """

    formula = "1 + Σ xᵢ²/4000 − Π cos(xᵢ/√i)"
    latex = r"1 + \sum_i x_i^2/4000 - \prod_i \cos(x_i/\sqrt{i})"
    source = "Griewank (1981), Generalized descent for global optimization, JOTA 34"
    dimension = None
    tags = frozenset({Tag.MULTIMODAL})
    view = ((-10.0, 10.0),)
    start = (-2.5, 2.8)
    lists_all_minima = False

    def value(self, x: Array) -> Array:
        product = np.multiply.accumulate(np.cos(x / self._roots(x)), axis=0)[-1]
        return sum_coordinates(x * x) / 4000 + (1 - product)

    def gradient(self, x: Array) -> Array:
        roots = self._roots(x)
        return x / 2000 + np.sin(x / roots) / roots * _products_of_others(np.cos(x / roots))

    def hessian(self, x: Array) -> Array:
        roots = self._roots(x)
        cosines, sines = np.cos(x / roots), np.sin(x / roots) / roots
        own = 1 / 2000 + cosines / (roots * roots) * _products_of_others(cosines)
        hessian = np.empty((len(x), *x.shape), dtype=x.dtype)
        for i in range(len(x)):
            turned = cosines.copy()
            turned[i] = sines[i]
            hessian[i] = -sines * _products_of_others(turned)
            hessian[i, i] = own[i]
        return hessian

    @staticmethod
    def _roots(x: Array) -> Array:
        """Return √1, √2, √3, … as a column."""
        return np.sqrt(np.arange(1.0, len(x) + 1))[:, np.newaxis]

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(0.0,) * dim),)


def _products_of_others(factors: Array) -> Array:
    """Return the product of all other coordinates for each one, ``(dim, lanes) -> (dim, lanes)``, without division."""
    products = np.ones_like(factors)
    products[1:] = np.multiply.accumulate(factors[:-1], axis=0)
    after = np.ones_like(factors[0])
    for i in reversed(range(len(factors))):
        products[i] *= after
        after = after * factors[i]
    return products


@surface("levy")
@dataclass(frozen=True, kw_only=True)
class Levy(Surface):
    """A bowl with waves whose amplitude grows with the distance from the minimum.

    The waves in the last coordinate are lower than those in the others.
    """

    formula = "sin²(πw₁) + Σ uᵢ² (1 + 10 sin²(πwᵢ + 1)) + u_d² (1 + sin²(2πw_d)),  u = (x − 1)/4,  w = 1 + u,  i < d"
    latex = (
        r"\sin^2 \pi w_1 + \sum_{i<d} u_i^2\,(1 + 10 \sin^2(\pi w_i + 1)) + u_d^2\,(1 + \sin^2 2\pi w_d),"
        r"\ u = (x - 1)/4,\ w = 1 + u"
    )
    source = "Levy & Montalvo (1985), in the form of Bingham & Surjanovic, Virtual Library of Simulation Experiments"
    dimension = None
    tags = frozenset({Tag.MULTIMODAL})
    view = ((-10.0, 10.0),)
    start = (6.0, 6.0)
    lists_all_minima = False

    def value(self, x: Array) -> Array:
        u, (height, _, angle) = (x - 1) / 4, self._waves(x)
        first, waves = np.sin(PI * u[0]), np.sin(angle)
        return first * first + sum_coordinates(u * u * (1 + height * (waves * waves)))

    def gradient(self, x: Array) -> Array:
        u, (height, frequency, angle) = (x - 1) / 4, self._waves(x)
        waves = np.sin(angle)
        slopes = 2 * u * (1 + height * (waves * waves)) + height * frequency * (u * u) * np.sin(2 * angle)
        slopes[0] += PI * np.sin(2 * PI * u[0])
        return slopes / 4

    def hessian(self, x: Array) -> Array:
        u, (height, frequency, angle) = (x - 1) / 4, self._waves(x)
        waves, rate = np.sin(angle), height * frequency
        bends = 2 * (1 + height * (waves * waves)) + 4 * rate * u * np.sin(2 * angle)
        bends += 2 * rate * frequency * (u * u) * np.cos(2 * angle)
        bends[0] += 2 * PI * PI * np.cos(2 * PI * u[0])
        return diagonal(bends / 16)

    @staticmethod
    def _waves(x: Array) -> tuple[Array, Array, Array]:
        """Return amplitude and frequency of the waves as columns, and their phase in terms of u, ``(dim, lanes)``."""
        height, frequency, phase = np.full((len(x), 1), 10.0), np.full((len(x), 1), PI), np.ones((len(x), 1))
        height[-1], frequency[-1], phase[-1] = 1, 2 * PI, 0
        return height, frequency, frequency * ((x - 1) / 4) + phase

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(1.0,) * dim),)


@surface("branin")
@dataclass(frozen=True, kw_only=True)
class Branin(Surface):
    """A curved valley with waves along its floor: three equal minima with saddles between them.

    The floor is the parabola y = 5.1x²/(4π²) − 5x/π + 6, and the waves are a cosine of x. Minima and saddles alternate
    at the multiples of π; there are infinitely many outside the domain.
    """

    formula = "(y − 5.1x²/(4π²) + 5x/π − 6)² + 10 (1 − 1/(8π)) cos(x) + 10"
    latex = r"(y - 5.1x^2/4\pi^2 + 5x/\pi - 6)^2 + 10\,(1 - 1/8\pi) \cos x + 10"
    source = (
        "Branin (1972), Widely convergent method for finding multiple solutions, IBM Journal 16; Dixon & Szegö (1978)"
    )
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = domain = ((-5.0, 10.0), (0.0, 15.0))
    start = (6.0, 14.0)

    WAVE = 10 - 1.25 / PI

    def value(self, x: Array) -> Array:
        across, half = self._across(x), np.cos(x[0] / 2)
        return across * across + 2 * self.WAVE * (half * half) + 1.25 / PI

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        across = self._across(x)
        g[0] = -2 * across * self._slope(x) - self.WAVE * np.sin(x[0])
        g[1] = 2 * across
        return g

    def hessian(self, x: Array) -> Array:
        slope = self._slope(x)
        xx = 2 * (slope * slope) - 5.1 / (PI * PI) * self._across(x) - self.WAVE * np.cos(x[0])
        return symmetric(xx, -2 * slope, 2, like=x)

    @staticmethod
    def _across(x: Array) -> Array:
        """Return the distance of y from the parabola."""
        t = x[0] / PI
        return x[1] - 1.275 * (t * t) + 5 * t - 6

    @staticmethod
    def _slope(x: Array) -> Array:
        """Return the slope of the parabola."""
        return (2.55 * (x[0] / PI) - 5) / PI

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (
            minimum(-PI, 12.275, loss=1.25 / PI),
            minimum(PI, 2.275, loss=1.25 / PI),
            minimum(3 * PI, 2.475, loss=1.25 / PI),
            saddle_point(0.0, 6.0, loss=20 - 1.25 / PI),
            saddle_point(2 * PI, 1.1, loss=20 - 1.25 / PI),
        )


@surface("mccormick")
@dataclass(frozen=True, kw_only=True)
class McCormick(Surface):
    """A sloping valley with waves along its floor.

    Neighbouring minima differ by π in loss. The lowest one in the domain counts as global; outside the domain there are
    lower ones.
    """

    formula = "sin(x + y) + (x − y)² − 1.5x + 2.5y + 1"
    latex = r"\sin(x + y) + (x - y)^2 - 1.5x + 2.5y + 1"
    source = "McCormick (1976), Computability of global solutions to factorable nonconvex programs, part I"
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE, Tag.UNBOUNDED})
    view = domain = ((-1.5, 4.0), (-3.0, 4.0))
    start = (1.0, 3.5)

    def value(self, x: Array) -> Array:
        x, y = x[0], x[1]
        return np.sin(x + y) + (x - y) * (x - y) - 1.5 * x + 2.5 * y + 1

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        wave, across = np.cos(x[0] + x[1]), 2 * (x[0] - x[1])
        g[0] = wave + across - 1.5
        g[1] = wave - across + 2.5
        return g

    def hessian(self, x: Array) -> Array:
        wave = np.sin(x[0] + x[1])
        return symmetric(2 - wave, -2 - wave, 2 - wave, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        third, height = PI / 3, math.sqrt(3) / 2 + PI / 3
        return (
            minimum(0.5 - third, -0.5 - third, loss=-height),
            local_minimum(0.5 + 2 * third, -0.5 + 2 * third, loss=PI - height),
            saddle_point(0.5 + third, -0.5 + third, loss=height),
        )
