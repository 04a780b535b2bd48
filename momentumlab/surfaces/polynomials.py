"""Polynomials of degree four and higher."""

import itertools
from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array
from momentumlab.surfaces.base import (
    CriticalPoint,
    Surface,
    Tag,
    diagonal,
    local_minimum,
    maximum,
    minimum,
    saddle_point,
    sum_coordinates,
    surface,
    symmetric,
)


@surface("three_hump_camel")
@dataclass(frozen=True, kw_only=True)
class ThreeHumpCamel(Surface):
    """Three adjacent valleys, the middle one the deepest.

    Slow runs are trapped in the outer valleys; with momentum, a run can cross the hump to the global minimum.
    """

    formula = "2x² − 1.05x⁴ + x⁶/6 + xy + y²"
    latex = r"2x^2 - 1.05x^4 + x^6/6 + xy + y^2"
    source = "Jamil & Yang (2013), A literature survey of benchmark functions, arXiv 1308.4008"
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-2.5, 2.5), (-2.5, 2.5))
    start = (2.3, -1.8)

    def value(self, x: Array) -> Array:
        x, y = x[0], x[1]
        square = x * x
        return square * (2 - 1.05 * square + square * square / 6) + x * y + y * y

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        square = x[0] * x[0]
        g[0] = x[0] * (4 - 4.2 * square + square * square) + x[1]
        g[1] = x[0] + 2 * x[1]
        return g

    def hessian(self, x: Array) -> Array:
        square = x[0] * x[0]
        return symmetric(4 - 12.6 * square + 5 * (square * square), 1, 2, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        # On y = −x/2 the gradient along x is x (x⁴ − 4.2x² + 3.5).
        low, high = np.sqrt(2.1 + np.sqrt(0.91)), np.sqrt(2.1 - np.sqrt(0.91))
        return (
            minimum(0.0, 0.0),
            *(local_minimum(sign * low, -sign * low / 2, loss=0.29863844223686) for sign in (1, -1)),
            *(saddle_point(sign * high, -sign * high / 2, loss=0.877361557763141) for sign in (1, -1)),
        )


@surface("six_hump_camel")
@dataclass(frozen=True, kw_only=True)
class SixHumpCamel(Surface):
    """Three pairs of equal minima, and hills that are steep near the edge of the window."""

    formula = "(4 − 2.1x² + x⁴/3) x² + xy + (4y² − 4) y²"
    latex = r"(4 - 2.1x^2 + x^4/3)\,x^2 + xy + (4y^2 - 4)\,y^2"
    source = "Dixon & Szegö (1978), The global optimization problem: an introduction"
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-2.0, 2.0), (-1.1, 1.1))
    start = (1.9, 1.0)

    def value(self, x: Array) -> Array:
        squares = x * x
        along, across = squares[0], squares[1]
        return along * (4 - 2.1 * along + along * along / 3) + x[0] * x[1] + across * (4 * across - 4)

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        square = x[0] * x[0]
        g[0] = x[0] * (8 - 8.4 * square + 2 * (square * square)) + x[1]
        g[1] = x[0] + x[1] * (16 * (x[1] * x[1]) - 8)
        return g

    def hessian(self, x: Array) -> Array:
        squares = x * x
        xx = 8 - 25.2 * squares[0] + 10 * (squares[0] * squares[0])
        return symmetric(xx, 1, 48 * squares[1] - 8, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        half = (
            minimum(0.08984201310031806, -0.7126564030207396, loss=-1.0316284534898774),
            local_minimum(1.703606714969981, -0.7960835686726251, loss=-0.21546382438371764),
            local_minimum(1.6071047529201972, 0.5686514548841314, loss=2.1042503103112584),
            saddle_point(1.1092053368047865, -0.7682680925095399, loss=0.5437186009781851),
            saddle_point(1.6380679841897785, 0.22867406904439408, loss=2.2293571975307147),
            saddle_point(1.2960702671671092, 0.6050843880386585, loss=2.22947081802986),
            maximum(1.2302298765166526, 0.16233458445899496, loss=2.496295351023577),
        )
        pairs = ((one, _mirrored(one)) for one in half)
        return (*itertools.chain.from_iterable(pairs), saddle_point(0.0, 0.0, loss=0.0))


def _mirrored(critical: CriticalPoint) -> CriticalPoint:
    point = tuple(-coordinate for coordinate in critical.point)
    return CriticalPoint(kind=critical.kind, point=point, loss=critical.loss)


@surface("goldstein_price")
@dataclass(frozen=True, kw_only=True)
class GoldsteinPrice(Surface):
    """Four minima on a surface whose losses span six orders of magnitude.

    It is the product of a function of s = x + y and a function of d = 2x − 3y; hence the critical points form a grid
    in s and d. A learning rate that is stable on the walls makes little progress on the floor. From most starts,
    momentum diverges even with lr = 0.001.
    """

    formula = "(1 + (s + 1)² (19 − 14s + 3s²)) (30 + d² (18 − 16d + 3d²)),  s = x + y,  d = 2x − 3y"
    latex = r"(1 + (s + 1)^2 (19 - 14s + 3s^2))\,(30 + d^2 (18 - 16d + 3d^2)),\ s = x + y,\ d = 2x - 3y"
    source = "Goldstein & Price (1971), On descent from local minima, Mathematics of Computation 25"
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-2.0, 2.0), (-2.0, 2.0))
    start = (-0.3, -0.8)

    def value(self, x: Array) -> Array:
        first, second = self._factors(x)
        return first * second

    def gradient(self, x: Array) -> Array:
        first, second = self._factors(x)
        slope, other = self._slopes(x)
        g = np.empty_like(x)
        g[0] = slope * second + 2 * first * other
        g[1] = slope * second - 3 * first * other
        return g

    def hessian(self, x: Array) -> Array:
        first, second = self._factors(x)
        slope, other = self._slopes(x)
        s, d = x[0] + x[1], 2 * x[0] - 3 * x[1]
        bend = 12 * (3 * (s * s) - 4 * s - 1) * second
        product = slope * other
        curve = 12 * (3 * (d * d) - 8 * d + 3) * first
        return symmetric(
            bend + 4 * product + 4 * curve, bend - product - 6 * curve, bend - 6 * product + 9 * curve, like=x
        )

    @staticmethod
    def _factors(x: Array) -> tuple[Array, Array]:
        s, d = x[0] + x[1], 2 * x[0] - 3 * x[1]
        first = 1 + (s + 1) * (s + 1) * (19 - 14 * s + 3 * (s * s))
        return first, 30 + d * d * (18 - 16 * d + 3 * (d * d))

    @staticmethod
    def _slopes(x: Array) -> tuple[Array, Array]:
        """Return the derivatives of the factors with respect to s and d."""
        s, d = x[0] + x[1], 2 * x[0] - 3 * x[1]
        return 12 * (s + 1) * (s - 1) * (s - 2), 12 * d * (d - 1) * (d - 3)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (
            minimum(0.0, -1.0, loss=3.0),
            local_minimum(-0.6, -0.4, loss=30.0),
            local_minimum(1.8, 0.2, loss=84.0),
            local_minimum(1.2, 0.8, loss=840.0),
            saddle_point(-0.4, -0.6, loss=35.0),
            saddle_point(1.2, -0.2, loss=99.0),
            saddle_point(1.4, 0.6, loss=980.0),
            saddle_point(0.6, 0.4, loss=990.0),
            maximum(0.8, 0.2, loss=1155.0),
        )


@surface("styblinski_tang")
@dataclass(frozen=True, kw_only=True)
class StyblinskiTang(Surface):
    """A deep and a shallow valley in every coordinate: 2ᵈ minima in d dimensions, one of them global.

    In more than two dimensions only the global minimum is listed.
    """

    formula = "½ Σ (xᵢ⁴ − 16xᵢ² + 5xᵢ)"
    latex = r"\frac{1}{2} \sum_i (x_i^4 - 16x_i^2 + 5x_i)"
    source = "Styblinski & Tang (1990), Experiments in nonconvex optimization, Neural Networks 3"
    dimension = None
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-4.5, 4.5),)
    start = (4.2, 0.7)

    def value(self, x: Array) -> Array:
        squares = x * x
        return 0.5 * sum_coordinates(squares * (squares - 16) + 5 * x)

    def gradient(self, x: Array) -> Array:
        return x * (2 * (x * x) - 16) + 2.5

    def hessian(self, x: Array) -> Array:
        return diagonal(6 * (x * x) - 16)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        deep, shallow = (-2.903534027771177, -39.16616570377141), (2.746802770990837, -25.02944665528394)
        hill = (0.1567312567803401, 0.19561235905535806)
        if dim > 2:
            return (minimum(*(deep[0],) * dim, loss=deep[1] * dim),)
        points = []
        for places in itertools.product((deep, shallow, hill), repeat=dim):
            point, loss = [place for place, _ in places], sum(part for _, part in places)
            hills = places.count(hill)
            is_lowest = places.count(deep) == dim
            kind = minimum if is_lowest else {0: local_minimum, dim: maximum}.get(hills, saddle_point)
            points.append(kind(*point, loss=loss))
        return tuple(sorted(points, key=lambda one: not one.kind.is_minimum))


@surface("dixon_price")
@dataclass(frozen=True, kw_only=True)
class DixonPrice(Surface):
    """A chain of parabolic valleys with two equal minima, mirror images in the last coordinate.

    In three or more dimensions, runs can also stall near (1/3, 0, …, 0), where the loss is 2/3.
    """

    formula = "(x₁ − 1)² + Σ i (2xᵢ² − xᵢ₋₁)²,  i from 2"
    latex = r"(x_1 - 1)^2 + \sum_{i \geq 2} i\,(2x_i^2 - x_{i-1})^2"
    source = "Dixon & Price (1989), Truncated Newton method for sparse unconstrained optimization"
    dimension = None
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-2.0, 3.0), (-1.5, 1.5))
    start = (-1.5, 0.4)

    def value(self, x: Array) -> Array:
        first, across = x[0] - 1, self._across(x)
        value = first * first
        for i, each in enumerate(across, start=2):
            value = value + i * (each * each)
        return value

    def gradient(self, x: Array) -> Array:
        pull = 2 * self._weights(x) * self._across(x)
        g = np.zeros_like(x)
        g[0] = 2 * (x[0] - 1)
        g[:-1] -= pull
        g[1:] += 4 * (x[1:] * pull)
        return g

    def hessian(self, x: Array) -> Array:
        across = self._across(x)
        hessian = np.zeros((len(x), *x.shape), dtype=x.dtype)
        hessian[0, 0] = 2
        for i in range(1, len(x)):
            hessian[i - 1, i - 1] += 2 * (i + 1)
            hessian[i, i] += 8 * (i + 1) * (across[i - 1] + 4 * (x[i] * x[i]))
            hessian[i - 1, i] = hessian[i, i - 1] = -8 * (i + 1) * x[i]
        return hessian

    @staticmethod
    def _across(x: Array) -> Array:
        """Return the distance of each coordinate from the valley of its predecessor, ``(dim - 1, lanes)``."""
        return 2 * (x[1:] * x[1:]) - x[:-1]

    @staticmethod
    def _weights(x: Array) -> Array:
        """Return 2, 3, … as a column."""
        return np.arange(2.0, len(x) + 1)[:, np.newaxis]

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        point = [2.0 ** (2.0 ** (1 - i) - 1) for i in range(1, dim + 1)]
        if dim == 1:
            return (minimum(*point),)
        minima = (minimum(*point), minimum(*point[:-1], -point[-1]))
        return (*minima, saddle_point(1 / 3, 0.0, loss=2 / 3)) if dim == 2 else minima


@surface("zakharov")
@dataclass(frozen=True, kw_only=True)
class Zakharov(Surface):
    """A round bowl with quartic growth in one oblique direction.

    Far out in that direction the gradient is orders of magnitude larger than near the minimum, and the learning rate
    must suit both.
    """

    formula = "Σ xᵢ² + s² + s⁴,  s = ½ Σ i xᵢ"
    latex = r"\sum_i x_i^2 + s^2 + s^4,\ s = \frac{1}{2} \sum_i i\,x_i"
    source = "Jamil & Yang (2013), A literature survey of benchmark functions, arXiv 1308.4008"
    dimension = None
    tags = frozenset({Tag.CONVEX})
    view = ((-8.0, 8.0),)
    start = (-7.0, 6.0)

    def value(self, x: Array) -> Array:
        s = self._slanting(x)
        square = s * s
        return sum_coordinates(x * x) + square + square * square

    def gradient(self, x: Array) -> Array:
        s = self._slanting(x)
        return 2 * x + self._weights(x) * (2 * s + 4 * (s * s * s))

    def hessian(self, x: Array) -> Array:
        s, weights = self._slanting(x), self._weights(x)
        hessian = weights[:, np.newaxis] * weights * (2 + 12 * (s * s))
        for i in range(len(x)):
            hessian[i, i] += 2
        return hessian

    def _slanting(self, x: Array) -> Array:
        """Return s, ``(lanes,)``."""
        return sum_coordinates(self._weights(x) * x)

    @staticmethod
    def _weights(x: Array) -> Array:
        """Return ½, 1, 1½, … as a column."""
        return np.arange(1.0, len(x) + 1)[:, np.newaxis] / 2

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(0.0,) * dim),)
