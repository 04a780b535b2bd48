"""Surfaces with vanishing, bounded or nonsmooth gradients."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.noise import Errors, Gaussian
from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import (
    CriticalPoint,
    Surface,
    Tag,
    absolute,
    diagonal,
    minimum,
    saddle_point,
    sum_coordinates,
    surface,
    symmetric,
)

STREAM = 4
"""The purpose of the random streams of noisy_valley; see `momentumlab.noise.random_stream`."""


@surface("plateau")
@dataclass(frozen=True, kw_only=True)
class Plateau(Surface):
    """A valley in a high plateau on which the gradient vanishes exponentially.

    Runs that start on the plateau hardly move, and runs that overshoot onto it stay there, like saturated units of a
    neural network.
    """

    a: Real = parameter(0.25, gt=0, doc="half the curvature along x at the minimum")
    b: Real = parameter(1.0, gt=0, doc="half the curvature along y at the minimum")

    formula = "tanh(a x² + b y²)"
    latex = r"\tanh(a x^2 + b y^2)"
    source = "elementary"
    tags = frozenset({Tag.PLATEAU})
    view = ((-4.0, 4.0), (-2.0, 2.0))
    start = (-1.9, 0.7)

    def value(self, x: Array) -> Array:
        return np.tanh(self._squares(x))

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        slope = 2 * self._slope(x)
        g[0], g[1] = self.a * x[0] * slope, self.b * x[1] * slope
        return g

    def hessian(self, x: Array) -> Array:
        slope = 2 * self._slope(x)
        bend = -4 * slope * np.tanh(self._squares(x))
        ax, by = self.a * x[0], self.b * x[1]
        return symmetric(self.a * slope + bend * ax * ax, bend * ax * by, self.b * slope + bend * by * by, like=x)

    def _squares(self, x: Array) -> Array:
        squares = x * x
        return self.a * squares[0] + self.b * squares[1]

    def _slope(self, x: Array) -> Array:
        """Return 1 − tanh² without cancellation on the plateau."""
        fading = np.exp(-2 * self._squares(x))
        return 4 * fading / ((1 + fading) * (1 + fading))

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0, 0.0),)


@surface("easom")
@dataclass(frozen=True, kw_only=True)
class Easom(Surface):
    """A plain with one narrow hole.

    Outside the hole the gradient is nearly zero, and runs make no progress at any learning rate. Further minima around
    the hole are very shallow: none is lower than −0.0001.
    """

    formula = "−cos(x) cos(y) exp(−(x − π)² − (y − π)²)"
    latex = r"-\cos x\,\cos y\ e^{-(x - \pi)^2 - (y - \pi)^2}"
    source = "Easom (1990), A survey of global optimization techniques, thesis, University of Louisville"
    tags = frozenset({Tag.PLATEAU, Tag.MULTIMODAL})
    view = ((0.0, 6.0), (0.0, 6.0))
    start = (2.2, 2.5)
    lists_all_minima = False

    # −cos x = cos(x − π): in each coordinate, the hole is cos(t) exp(−t²) with t = x − π.
    def value(self, x: Array) -> Array:
        holes = self._hole(x - math.pi)
        return -(holes[0] * holes[1])

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        holes, slopes = self._hole(x - math.pi), self._slope(x - math.pi)
        g[0], g[1] = -(slopes[0] * holes[1]), -(holes[0] * slopes[1])
        return g

    def hessian(self, x: Array) -> Array:
        t = x - math.pi
        holes, slopes = self._hole(t), self._slope(t)
        bends = ((4 * t * t - 3) * np.cos(t) + 4 * t * np.sin(t)) * np.exp(-t * t)
        return symmetric(-bends[0] * holes[1], -slopes[0] * slopes[1], -holes[0] * bends[1], like=x)

    @staticmethod
    def _hole(t: Array) -> Array:
        return np.cos(t) * np.exp(-t * t)

    @staticmethod
    def _slope(t: Array) -> Array:
        return -(np.sin(t) + 2 * t * np.cos(t)) * np.exp(-t * t)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(math.pi, math.pi, loss=-1.0),)


@surface("logistic_bowl")
@dataclass(frozen=True, kw_only=True)
class LogisticBowl(Surface):
    """The cross-entropy of a logistic model whose label is true with probability p, in any dimension.

    Far from the minimum the gradient is constant, −p on one side and 1 − p on the other, and the curvature vanishes:
    the distance decreases linearly in time, and Newton steps overshoot. The minimum is at the log-odds.
    """

    p: Real = parameter(0.25, gt=0, lt=1, doc="probability of the label")

    formula = "Σ log(1 + exp(xᵢ)) − p xᵢ"
    latex = r"\sum_i \log(1 + e^{x_i}) - p\,x_i"
    source = "Cox (1958), The regression analysis of binary sequences, Journal of the Royal Statistical Society B 20"
    dimension = None
    tags = frozenset({Tag.CONVEX})
    view = ((-8.0, 8.0),)
    start = (6.0, -6.0)

    def value(self, x: Array) -> Array:
        softplus = np.where(x.real > 0, x, 0) + np.log1p(np.exp(-absolute(x)))
        return sum_coordinates(softplus - self.p * x)

    def gradient(self, x: Array) -> Array:
        fading = np.exp(-absolute(x))
        return np.where(x.real > 0, 1, fading) / (1 + fading) - self.p

    def hessian(self, x: Array) -> Array:
        fading = np.exp(-absolute(x))
        return diagonal(fading / ((1 + fading) * (1 + fading)))

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        truth, lie = np.log(self.p), np.log1p(-self.p)
        entropy = -self.p * truth - (1 - self.p) * lie
        return (minimum(*(truth - lie,) * dim, loss=dim * entropy),)


@surface("huber_valley")
@dataclass(frozen=True, kw_only=True)
class HuberValley(Surface):
    """A ravine that is quadratic up to the distance delta and linear beyond.

    On the linear walls the gradient does not depend on the distance: a learning rate suited to the floor is slow there.
    At the distance delta the curvature is discontinuous, and the Hessian is that of the quadratic part.
    """

    a: Real = parameter(0.125, gt=0, doc="curvature along x within delta")
    b: Real = parameter(16.0, gt=0, doc="curvature along y within delta")
    delta: Real = parameter(0.5, gt=0, doc="distance at which the walls become linear, in both coordinates")

    formula = "a h(x) + b h(y),  h(t) = t²/2 where |t| ≤ delta, else delta (|t| − delta/2)"
    latex = r"a\,h(x) + b\,h(y),\ h(t) = t^2/2 \ \mathrm{or}\ \delta\,(|t| - \delta/2)"
    source = "Huber (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics 35"
    tags = frozenset({Tag.CONVEX, Tag.RAVINE, Tag.ILL_CONDITIONED, Tag.KINK})
    view = ((-3.0, 3.0), (-1.5, 1.5))
    start = (-2.5, 1.2)

    def value(self, x: Array) -> Array:
        size = absolute(x)
        heights = np.where(size.real <= self.delta, x * x / 2, self.delta * (size - self.delta / 2))
        return self.a * heights[0] + self.b * heights[1]

    def gradient(self, x: Array) -> Array:
        slopes = np.where(absolute(x).real <= self.delta, x, self.delta * np.sign(x.real))
        g = np.empty_like(x)
        g[0], g[1] = self.a * slopes[0], self.b * slopes[1]
        return g

    def hessian(self, x: Array) -> Array:
        inside = absolute(x).real <= self.delta
        return symmetric(self.a * inside[0], 0, self.b * inside[1], like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0, 0.0),)


@surface("log_sum_exp")
@dataclass(frozen=True, kw_only=True)
class LogSumExp(Surface):
    """A smooth convex approximation of the maximum of three linear functions.

    The curvature is concentrated at the edges between the planes and nearly zero elsewhere. With b = 3 it is the
    logarithm of an example of Boyd and Vandenberghe for descent methods, without its constant.
    """

    b: Real = parameter(3.0, gt=0, doc="slope of two of the planes along y")

    formula = "log(exp(x + b y) + exp(x − b y) + exp(−x))"
    latex = r"\log(e^{x + b y} + e^{x - b y} + e^{-x})"
    source = "Boyd & Vandenberghe (2004), Convex Optimization, section 9.3.2"
    tags = frozenset({Tag.CONVEX})
    view = ((-3.0, 3.0), (-1.5, 1.5))
    start = (2.6, 1.1)

    def value(self, x: Array) -> Array:
        largest, parts = self._parts(x)
        return largest + np.log(parts[0] + parts[1] + parts[2])

    def gradient(self, x: Array) -> Array:
        up, down, back = self._shares(x)
        g = np.empty_like(x)
        g[0], g[1] = up + down - back, self.b * (up - down)
        return g

    def hessian(self, x: Array) -> Array:
        up, down, back = self._shares(x)
        forth = up + down
        yy = self.b * self.b * (forth * back + 4 * up * down)
        return symmetric(4 * forth * back, 2 * back * self.b * (up - down), yy, like=x)

    def _parts(self, x: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        """Return the largest exponent, and the exponentials relative to the largest one."""
        up, down, back = x[0] + self.b * x[1], x[0] - self.b * x[1], -x[0]
        largest = np.where(up.real > down.real, up, down)
        largest = np.where(largest.real > back.real, largest, back)
        return largest, (np.exp(up - largest), np.exp(down - largest), np.exp(back - largest))

    def _shares(self, x: Array) -> tuple[Array, Array, Array]:
        """Return the exponentials divided by their sum."""
        _, (up, down, back) = self._parts(x)
        total = up + down + back
        return up / total, down / total, back / total

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(-math.log(2) / 2, 0.0, loss=1.5 * math.log(2)),)


@surface("lessard")
@dataclass(frozen=True, kw_only=True)
class Lessard(Surface):
    """A strongly convex function in one dimension on which the heavy ball, tuned for quadratics, does not converge.

    The curvature is 1 between 1 and 2, and 25 elsewhere. With lr = 1/9 and β = 4/9, optimal for quadratics with
    curvatures from 1 to 25, a run from 3.3 enters a cycle of three points. At 1 and 2 the Hessian is that to the right.
    """

    formula = "25x²/2 where x < 1,  x²/2 + 24x − 12 where 1 ≤ x < 2,  25x²/2 − 24x + 36 from 2 on"
    latex = r"f'(x) = 25x\ (x < 1),\quad x + 24\ (1 \leq x < 2),\quad 25x - 24\ (x \geq 2)"
    source = "Lessard, Recht & Packard (2016), SIAM Journal on Optimization 26, arXiv 1408.3595, section 4.6"
    dimension = 1
    tags = frozenset({Tag.CONVEX, Tag.KINK})
    view = ((-3.0, 4.0),)
    start = (3.3,)

    def value(self, x: Array) -> Array:
        x = x[0]
        half = x * x / 2
        return np.where(x.real < 1, 25 * half, np.where(x.real < 2, half + 24 * x - 12, 25 * half - 24 * x + 36))

    def gradient(self, x: Array) -> Array:
        return np.where(x.real < 1, 25 * x, np.where(x.real < 2, x + 24, 25 * x - 24))

    def hessian(self, x: Array) -> Array:
        return diagonal(np.where((x.real >= 1) & (x.real < 2), 1, 25).astype(x.dtype))

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0),)


@surface("sum_of_powers")
@dataclass(frozen=True, kw_only=True)
class SumOfPowers(Surface):
    """A sum of increasing powers, one per coordinate; at the minimum, only the first direction is curved.

    Gradient descent and momentum with a fixed learning rate converge sublinearly along the other directions; Newton's
    method still converges linearly there, with the rate (p − 2)/(p − 1) for the power p.
    """

    formula = "Σ |xᵢ|ⁱ⁺¹"
    latex = r"\sum_i |x_i|^{i+1}"
    source = "Bingham & Surjanovic, Virtual Library of Simulation Experiments: sum of different powers"
    dimension = None
    tags = frozenset({Tag.CONVEX, Tag.FLAT_MINIMUM})
    view = ((-1.0, 1.0),)
    start = (-0.9, 0.8)

    def value(self, x: Array) -> Array:
        return sum_coordinates(self._powers(absolute(x), 1))

    def gradient(self, x: Array) -> Array:
        powers = np.arange(2.0, len(x) + 2)[:, np.newaxis]
        return powers * np.sign(x.real) * self._powers(absolute(x), 0)

    def hessian(self, x: Array) -> Array:
        powers = np.arange(2.0, len(x) + 2)[:, np.newaxis]
        return diagonal(powers * (powers - 1) * self._powers(absolute(x), -1))

    @staticmethod
    def _powers(sizes: Array, more: int) -> Array:
        """Return each coordinate to the power of its index, counted from 1, plus ``more``."""
        powers = np.empty_like(sizes)
        for i, size in enumerate(sizes):
            powers[i] = _power(size, i + 1 + more)
        return powers

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(0.0,) * dim),)


def _power(x: Array, exponent: int) -> Array:
    """Return an integer power by multiplication, which unlike ``pow`` rounds identically on all platforms."""
    power = np.ones_like(x)
    while exponent:
        if exponent % 2:
            power = power * x
        exponent //= 2
        if exponent:
            x = x * x
    return power


@surface("noisy_valley")
@dataclass(frozen=True, kw_only=True)
class NoisyValley(Surface):
    """A curved valley of minima whose noise grows with the steepness of the walls.

    The model x·y is fitted to the target 1, which has a new error s·n in every iteration: the gradient is
    (x y − 1 − s n)·(y, x). All points with x y = 1 are minima. The noise is larger where the valley is narrower, and
    pushes the iterates along the valley to its flattest points, ±(1, 1). With s = 0 the gradient is exact.
    """

    s: float = parameter(0.5, ge=0, shared=True, doc="standard deviation of the errors of the target")

    formula = "(x y − 1)²/2, with gradients of (x y − 1 − s n)²/2, n standard normal"
    latex = r"\frac{1}{2}(x y - 1)^2"
    source = "Blanc, Gupta, Valiant & Valiant (2020), arXiv 1904.09080: label noise, here with a single example"
    tags = frozenset({Tag.FLAT_MINIMUM, Tag.MULTIMODAL, Tag.SADDLE})
    view = ((-0.5, 4.5), (-0.5, 2.5))
    start = (4.0, 0.5)
    lists_all_minima = False

    def value(self, x: Array) -> Array:
        rest = x[0] * x[1] - 1
        return rest * rest / 2

    def gradient(self, x: Array) -> Array:
        return (x[0] * x[1] - 1) * np.stack([x[1], x[0]])

    def hessian(self, x: Array) -> Array:
        return symmetric(x[1] * x[1], 2 * x[0] * x[1] - 1, x[0] * x[0], like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return minimum(1.0, 1.0), saddle_point(0.0, 0.0, loss=0.5)

    @property
    def is_sampled(self) -> bool:
        return self.s > 0

    def sampled_gradient(self, x: Array, k: Array | int, replicate: NDArray[np.int64], seed: int) -> Array:
        """Return the gradient with the error of this iteration; see `Surface.sampled_gradient`."""
        error = target_errors(seed, int(replicate.max()) + 1).at(k, replicate)[0]
        return (x[0] * x[1] - 1 - self.s * error) * np.stack([x[1], x[0]])


@functools.lru_cache(maxsize=4)
def target_errors(seed: int, replicates: int) -> Errors:
    """Return the errors of the target in every iteration and replicate."""
    return Errors(Gaussian(deviation=1.0), seed, 1, replicates, purpose=STREAM)
