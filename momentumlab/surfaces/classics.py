"""Standard test functions of unconstrained optimization, and a cubic used in tutorials."""

from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import (
    CriticalPoint,
    Surface,
    Tag,
    local_minimum,
    maximum,
    minimum,
    saddle_point,
    sum_coordinates,
    surface,
    symmetric,
)


@surface("cubic")
@dataclass(frozen=True, kw_only=True)
class Cubic(Surface):
    """A cubic with one minimum, one maximum and two saddles.

    The minimum is local: beyond the saddles the loss is unbounded below, and long steps escape.
    """

    formula = "x³ − y³ + 3x² + 3y² − 9x"
    latex = r"x^3 - y^3 + 3x^2 + 3y^2 - 9x"
    source = "a textbook exercise on critical points, used by several tutorials on momentum"
    tags = frozenset({Tag.SADDLE, Tag.UNBOUNDED})
    view = ((-4.0, 2.5), (-1.5, 3.5))
    start = (0.5, 0.5)

    def value(self, x: Array) -> Array:
        x, y = x[0], x[1]
        return x * x * x - y * y * y + 3 * (x * x) + 3 * (y * y) - 9 * x

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        g[0] = 3 * (x[0] * x[0]) + 6 * x[0] - 9
        g[1] = -3 * (x[1] * x[1]) + 6 * x[1]
        return g

    def hessian(self, x: Array) -> Array:
        return symmetric(6 * x[0] + 6, 0, 6 - 6 * x[1], like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (
            local_minimum(1.0, 0.0, loss=-5.0),
            saddle_point(1.0, 2.0, loss=-1.0),
            saddle_point(-3.0, 0.0, loss=27.0),
            maximum(-3.0, 2.0, loss=31.0),
        )


@surface("monkey_saddle")
@dataclass(frozen=True, kw_only=True)
class MonkeySaddle(Surface):
    """A degenerate saddle between three hills and three valleys.

    The Hessian at the saddle is zero, and iterates leave it more slowly than exponentially.
    """

    formula = "x³ − 3 x y²"
    latex = r"x^3 - 3 x y^2"
    source = "Hilbert & Cohn-Vossen (1932), Anschauliche Geometrie, section 29"
    tags = frozenset({Tag.SADDLE, Tag.UNBOUNDED})
    view = ((-2.0, 2.0), (-2.0, 2.0))
    start = (1.6, 0.05)

    def value(self, x: Array) -> Array:
        squares = x * x
        return x[0] * (squares[0] - 3 * squares[1])

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        g[0] = 3 * (x[0] * x[0] - x[1] * x[1])
        g[1] = -6 * (x[0] * x[1])
        return g

    def hessian(self, x: Array) -> Array:
        return symmetric(6 * x[0], -6 * x[1], -6 * x[0], like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (saddle_point(0.0, 0.0, loss=0.0),)


@surface("rosenbrock", aliases=("banana",))
@dataclass(frozen=True, kw_only=True)
class Rosenbrock(Surface):
    """A curved ravine: the valley is easy to reach, but hard to follow to the minimum.

    In two dimensions the minimum is the only critical point. In four or more dimensions there is also a local minimum
    near (−1, 1, …, 1), which is not listed.
    """

    b: Real = parameter(100.0, gt=0, doc="steepness of the valley's walls")

    formula = "Σ b (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²"
    latex = r"\sum_i b\,(x_{i+1} - x_i^2)^2 + (1 - x_i)^2"
    source = "Rosenbrock (1960), An automatic method for finding the greatest or least value of a function"
    dimension = None
    least_dimension = 2
    tags = frozenset({Tag.RAVINE, Tag.ILL_CONDITIONED})
    view = ((-2.0, 2.0), (-1.0, 3.0))
    start = (-1.2, 1.0)

    def value(self, x: Array) -> Array:
        across, along = x[1:] - x[:-1] * x[:-1], 1 - x[:-1]
        return sum_coordinates(self.b * (across * across) + along * along)

    def gradient(self, x: Array) -> Array:
        across = 2 * self.b * (x[1:] - x[:-1] * x[:-1])
        g = np.empty_like(x)
        g[:-1] = -2 * (across * x[:-1]) - 2 * (1 - x[:-1])
        g[-1] = 0
        g[1:] += across
        return g

    def hessian(self, x: Array) -> Array:
        dim = len(x)
        hessian = np.zeros((dim, *x.shape), dtype=x.dtype)
        for i in range(dim - 1):
            hessian[i, i] += 2 - 4 * self.b * (x[i + 1] - 3 * x[i] * x[i])
            hessian[i + 1, i + 1] += 2 * self.b
            hessian[i, i + 1] = hessian[i + 1, i] = -4 * self.b * x[i]
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(1.0,) * dim),)


@surface("beale")
@dataclass(frozen=True, kw_only=True)
class Beale(Surface):
    """A flat valley with steep corners: gradients in the window differ by orders of magnitude."""

    formula = "(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²"
    latex = r"(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2"
    source = "Beale (1958), On an iterative method for finding a local minimum of a function of more than one variable"
    tags = frozenset({Tag.SADDLE, Tag.ILL_CONDITIONED})
    view = ((-4.5, 4.5), (-4.5, 4.5))
    start = (1.0, 1.5)

    def value(self, x: Array) -> Array:
        x, y = x[0], x[1]
        first = 1.5 - x + x * y
        second = 2.25 - x + x * (y * y)
        third = 2.625 - x + x * (y * y * y)
        return first * first + second * second + third * third

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        x, y = x[0], x[1]
        square, cube = y * y, y * y * y
        first, second, third = 1.5 - x + x * y, 2.25 - x + x * square, 2.625 - x + x * cube
        g[0] = 2 * (first * (y - 1) + second * (square - 1) + third * (cube - 1))
        g[1] = 2 * x * (first + 2 * second * y + 3 * third * square)
        return g

    def hessian(self, x: Array) -> Array:
        like, x, y = x, x[0], x[1]
        square, cube = y * y, y * y * y
        first, second, third = 1.5 - x + x * y, 2.25 - x + x * square, 2.625 - x + x * cube
        xx = (y - 1) * (y - 1) + (square - 1) * (square - 1) + (cube - 1) * (cube - 1)
        xy = first + x * (y - 1) + 2 * y * (second + x * (square - 1)) + 3 * square * (third + x * (cube - 1))
        yy = x * (x + 2 * second + 4 * x * square + 6 * third * y + 9 * x * (square * square))
        return symmetric(2 * xx, 2 * xy, 2 * yy, like=like)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (
            minimum(3.0, 0.5),
            saddle_point(0.10053793732415836, -2.644513585023125, loss=9.86451228475556),
            saddle_point(0.0, 1.0, loss=14.203125),
        )


@surface("booth")
@dataclass(frozen=True, kw_only=True)
class Booth(Surface):
    """A rotated bowl with condition number 9 and its minimum away from the origin."""

    formula = "(x + 2y − 7)² + (2x + y − 5)²"
    latex = r"(x + 2y - 7)^2 + (2x + y - 5)^2"
    source = "Jamil & Yang (2013), A literature survey of benchmark functions, arXiv 1308.4008, no. 17"
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX})
    view = ((-10.0, 10.0), (-10.0, 10.0))
    start = (-8.0, -6.0)

    def value(self, x: Array) -> Array:
        first, second = x[0] + 2 * x[1] - 7, 2 * x[0] + x[1] - 5
        return first * first + second * second

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        first, second = x[0] + 2 * x[1] - 7, 2 * x[0] + x[1] - 5
        g[0] = 2 * first + 4 * second
        g[1] = 4 * first + 2 * second
        return g

    def hessian(self, x: Array) -> Array:
        return symmetric(10, 8, 10, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(1.0, 3.0),)


@surface("himmelblau")
@dataclass(frozen=True, kw_only=True)
class Himmelblau(Surface):
    """Four equal minima around a hill: start, learning rate and momentum determine which one a run reaches."""

    formula = "(x² + y − 11)² + (x + y² − 7)²"
    latex = r"(x^2 + y - 11)^2 + (x + y^2 - 7)^2"
    source = "Himmelblau (1972), Applied Nonlinear Programming"
    tags = frozenset({Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-6.0, 6.0), (-6.0, 6.0))
    start = (-0.5, -0.5)

    def value(self, x: Array) -> Array:
        first, second = x[0] * x[0] + x[1] - 11, x[0] + x[1] * x[1] - 7
        return first * first + second * second

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        first, second = x[0] * x[0] + x[1] - 11, x[0] + x[1] * x[1] - 7
        g[0] = 4 * x[0] * first + 2 * second
        g[1] = 2 * first + 4 * x[1] * second
        return g

    def hessian(self, x: Array) -> Array:
        squares = x * x
        return symmetric(12 * squares[0] + 4 * x[1] - 42, 4 * (x[0] + x[1]), 12 * squares[1] + 4 * x[0] - 26, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (
            minimum(3.0, 2.0),
            minimum(-2.805118086952745, 3.131312518250573),
            minimum(-3.779310253377747, -3.2831859912861696),
            minimum(3.5844283403304917, -1.8481265269644036),
            saddle_point(3.385154183607021, 0.07385187983774928, loss=13.31192627040559),
            saddle_point(0.08667750455539636, 2.884254701174776, loss=67.71915008752615),
            saddle_point(-3.0730257507643897, -0.08135304428796751, loss=104.0151629175581),
            saddle_point(-0.12796134673068008, -1.9537149802445763, loss=178.33723920192747),
            maximum(-0.2708445906673476, -0.9230385564799815, loss=181.6165215225827),
        )
