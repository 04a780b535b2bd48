"""The 24 noiseless functions of the BBOB suite, with their instances.

Each function shifts, rotates and distorts its argument: see Hansen, Finck, Ros & Auger (2009), Real-parameter black-box
optimization benchmarking 2009: noiseless functions definitions, INRIA RR-6829, whose symbols are used here: x* and f*
are the minimum and its loss, R and Q rotations, Λ^α a diagonal matrix of condition √α, T_osz and T_asy distortions. The
random numbers of an instance are those of the COCO platform, so that values agree with the package coco-experiment.
"""

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from momentumlab.parameters import Array, parameter
from momentumlab.surfaces.base import (
    CriticalPoint,
    Surface,
    Tag,
    absolute,
    matrix_product,
    minimum,
    sum_coordinates,
    surface,
)

SOURCE = "Hansen, Finck, Ros & Auger (2009), INRIA RR-6829; instances as in coco-experiment"

UNIMODAL = {1, 2, 5, 6, 8, 9, 10, 11, 12, 13, 14}
"""Functions with a single minimum, the Rosenbrock functions only in two dimensions. f7 has plateaus instead."""

Evaluated = tuple[Array, Array]
"""A loss ``(lanes,)`` and its gradient ``(dim, lanes)``, or transformed coordinates and their derivatives."""


# Random numbers of an instance


@functools.lru_cache(maxsize=256)
def uniforms(count: int, seed: int) -> Array:
    """Return uniform numbers of the minimal standard generator (Park & Miller 1988) with a shuffle table."""
    state, table = max(abs(seed), 1), [0] * 32

    def following(state: int) -> int:
        return 16807 * state % (2**31 - 1)

    # Discard 8 numbers, then fill the table with 32.
    for i in range(39, -1, -1):
        state = following(state)
        if i < 32:
            table[i] = state
    # Each number chooses the entry of the table that is returned next and replaced by a new one.
    drawn, numbers = table[0], []
    for _ in range(count):
        state = following(state)
        index = drawn // 67108865  # 2²⁶ + 1: from 0 to 31
        drawn, table[index] = table[index], state
        numbers.append(drawn / 2.147483647e9 or 1e-99)
    return np.array(numbers)


def normals(count: int, seed: int) -> Array:
    """Return standard normal numbers by the method of Box and Muller."""
    one, other = uniforms(2 * count, seed).reshape(2, count)
    numbers: Array = np.sqrt(-2 * np.log(one)) * np.cos(2 * np.pi * other)
    return np.where(numbers == 0, 1e-99, numbers)


@functools.lru_cache(maxsize=256)
def rotation(dim: int, seed: int) -> Array:
    """Return a random rotation, ``(dim, dim)``: normal columns, orthogonalised by Gram and Schmidt."""
    columns = list(normals(dim * dim, seed).reshape(dim, dim))
    for i, column in enumerate(columns):
        for other in columns[:i]:
            column = column - (column * other).sum() * other  # noqa: PLW2901 - each projection uses the last one
        columns[i] = column / np.sqrt((column * column).sum())
    return np.stack(columns, axis=1)


def optimum(dim: int, seed: int) -> Array:
    """Return a random point in (−4, 4), ``(dim, 1)``."""
    point = 8 * np.floor(1e4 * uniforms(dim, seed)) / 1e4 - 4
    return np.where(point == 0, -1e-5, point)[:, np.newaxis]


# Distortions of coordinates, with their derivatives


def powers(base: float, dim: int) -> Array:
    """Return ``base`` raised to evenly spaced powers from 0 to 1, ``(dim, 1)``."""
    return np.asarray(base ** (np.arange(dim) / (dim - 1)))[:, np.newaxis]


def oscillated(x: Array) -> Evaluated:
    """Return the oscillation T_osz of numbers, and its derivative."""
    size = np.where(x == 0, 1.0, absolute(x))
    log = np.log(size)
    first, second = np.where(x.real > 0, 10.0, 5.5), np.where(x.real > 0, 7.9, 3.1)
    # sign(x) exp(x̂ + 0.049 (sin c₁x̂ + sin c₂x̂)) with x̂ = log |x| is x times this ratio.
    ratio = np.exp(0.049 * (np.sin(first * log) + np.sin(second * log)))
    slope = ratio * (1 + 0.049 * (first * np.cos(first * log) + second * np.cos(second * log)))
    return ratio * x, slope


def skewed(x: Array, beta: float) -> Evaluated:
    """Return the asymmetry T_asy of coordinates, and its derivative."""
    share = beta * np.linspace(0, 1, len(x))[:, np.newaxis]
    is_positive = x.real > 0
    # x^(1 + β (i − 1)/(d − 1) √x) for positive coordinates; the others are kept.
    positive = np.where(is_positive, x, 1.0)
    root, log = np.sqrt(positive), np.log(positive)
    y = np.exp((1 + share * root) * log)
    slope = y * ((1 + share * root) / positive + share * log / (2 * root))
    return np.where(is_positive, y, x), np.where(is_positive, slope, 1.0)


def penalty(x: Array) -> Evaluated:
    """Return the penalty f_pen, the sum of squared distances beyond the box [−5, 5], and its gradient."""
    beyond = np.where(absolute(x).real > 5, absolute(x) - 5, 0.0)
    return sum_coordinates(beyond * beyond), 2 * beyond * np.sign(x.real)


# Functions of distorted coordinates, with their gradients


def weighted_squares(z: Array, weights: Array) -> Evaluated:
    """Return Σ wᵢ zᵢ² and its gradient."""
    return sum_coordinates(weights * z * z), 2 * weights * z


def rastrigin(z: Array) -> Evaluated:
    """Return the Rastrigin function and its gradient."""
    value = sum_coordinates(10 - 10 * np.cos(2 * np.pi * z) + z * z)
    return value, 20 * np.pi * np.sin(2 * np.pi * z) + 2 * z


def rosenbrock_terms(z: Array) -> tuple[Array, Array, Array]:
    """Return the terms of the Rosenbrock function, and their derivatives with respect to zᵢ and zᵢ₊₁."""
    bend, rest = z[:-1] * z[:-1] - z[1:], z[:-1] - 1
    return 100 * bend * bend + rest * rest, 400 * bend * z[:-1] + 2 * rest, -200 * bend


def gradient_of_pairs(by_first: Array, by_second: Array) -> Array:
    """Return the gradient of a sum over neighbouring coordinates from the derivatives of its terms."""
    zero = np.zeros_like(by_first[:1])
    return np.concatenate([by_first, zero]) + np.concatenate([zero, by_second])


@dataclass(frozen=True, kw_only=True)
class BBOB(Surface):
    """A function of the BBOB suite.

    Attributes
    ----------
    number
        The number of the function in the suite.
    """

    instance: int = parameter(1, ge=1, le=1000, doc="number of the instance")

    number: ClassVar[int]

    source = SOURCE
    dimension = None
    least_dimension = 2
    view = ((-5.0, 5.0),)
    start = (0.0, 0.0)

    @property
    def seed(self) -> int:
        """The seed of the instance; f4 and f18 use the seeds of f3 and f17."""
        return {4: 3, 18: 17}.get(self.number, self.number) + 10_000 * self.instance

    @property
    def lowest(self) -> float:
        """The loss f* of the global minimum: 100 times a Cauchy number, rounded to cents and limited to ±1000."""
        one, other = normals(1, self.seed)[0], normals(1, self.seed + 1)[0]
        return float(min(1000.0, max(-1000.0, np.floor(1e4 * one / other + 0.5) / 100)))

    def shift(self, dim: int) -> Array:
        """Return x*, the position of the minimum, ``(dim, 1)``."""
        return optimum(dim, self.seed)

    def first_rotation(self, dim: int) -> Array:
        """Return R, ``(dim, dim)``."""
        return rotation(dim, self.seed + 1_000_000)

    def second_rotation(self, dim: int) -> Array:
        """Return Q, ``(dim, dim)``."""
        return rotation(dim, self.seed)

    def stretched(self, dim: int, condition: float) -> Array:
        """Return R Λ Q with entries of Λ from 1 to √condition, ``(dim, dim)``."""
        stretches = powers(condition**0.5, dim)
        return self.first_rotation(dim) @ (stretches * self.second_rotation(dim))

    @abstractmethod
    def evaluated(self, x: Array) -> Evaluated:
        """Return the loss above the minimum and its gradient."""

    def value(self, x: Array) -> Array:
        return self.evaluated(x)[0] + self.lowest

    def gradient(self, x: Array) -> Array:
        return self.evaluated(x)[1]

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*self.shift(dim)[:, 0].tolist(), loss=self.lowest),)


def bbob(name: str, number: int, formula: str) -> Callable[[type[BBOB]], type[BBOB]]:
    """Register a function of the suite under its name and number."""

    def register(cls: type[BBOB]) -> type[BBOB]:
        cls.number, cls.formula, cls.latex = number, formula, rf"\mathrm{{BBOB}}\;f_{{{number}}}(x)"
        cls.lists_all_minima = number in UNIMODAL
        cls.tags = frozenset({Tag.BBOB}) if number in {*UNIMODAL, 7} else frozenset({Tag.BBOB, Tag.MULTIMODAL})
        cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        return surface(f"bbob_{name}", aliases=(f"bbob_f{number}",))(cls)

    return register


@bbob("sphere", 1, "|z|² + f*, z = x − x*")
class BBOBSphere(BBOB):
    """BBOB f1: the sphere."""

    def evaluated(self, x: Array) -> Evaluated:
        return weighted_squares(x - self.shift(len(x)), np.ones((len(x), 1)))


@bbob("ellipsoid", 2, "Σ 10^(6i/(d−1)) zᵢ² + f*, z = T_osz(x − x*)")
class BBOBEllipsoid(BBOB):
    """BBOB f2: a separable ellipsoid with condition number 10⁶."""

    def evaluated(self, x: Array) -> Evaluated:
        z, slope = oscillated(x - self.shift(len(x)))
        value, gradient = weighted_squares(z, powers(1e6, len(x)))
        return value, gradient * slope


@bbob("rastrigin", 3, "Rastrigin(z) + f*, z = Λ¹⁰ T_asy(T_osz(x − x*))")
class BBOBRastrigin(BBOB):
    """BBOB f3: a separable Rastrigin function."""

    def evaluated(self, x: Array) -> Evaluated:
        y, first = oscillated(x - self.shift(len(x)))
        y, second = skewed(y, 0.2)
        stretches = powers(10**0.5, len(x))
        value, gradient = rastrigin(stretches * y)
        return value, gradient * stretches * second * first


@bbob("buche_rastrigin", 4, "Rastrigin(z) + 100 penalty + f*, z = s T_osz(x − x*)")
class BBOBBucheRastrigin(BBOB):
    """BBOB f4: the Büche–Rastrigin function."""

    def shift(self, dim: int) -> Array:
        point = super().shift(dim)
        return np.where(np.arange(dim)[:, np.newaxis] % 2 == 0, np.abs(point), point)

    def evaluated(self, x: Array) -> Evaluated:
        y, slope = oscillated(x - self.shift(len(x)))
        # Every other coordinate is ten times as long on the positive side, which makes the function asymmetric.
        is_even = np.arange(len(x))[:, np.newaxis] % 2 == 0
        stretches = powers(10**0.5, len(x)) * np.where((y.real > 0) & is_even, 10.0, 1.0)
        value, gradient = rastrigin(stretches * y)
        outside, outside_gradient = penalty(x)
        return value + 100 * outside, gradient * stretches * slope + 100 * outside_gradient


@bbob("linear_slope", 5, "Σ 5|sᵢ| − sᵢ xᵢ + f* inside the box")
class BBOBLinearSlope(BBOB):
    """BBOB f5: a linear slope that ends at a corner."""

    def shift(self, dim: int) -> Array:
        return 5 * np.sign(super().shift(dim))

    def evaluated(self, x: Array) -> Evaluated:
        corner = self.shift(len(x))
        slopes = np.sign(corner) * powers(10, len(x))
        is_inside = (x * corner).real < 25
        value = sum_coordinates(5 * np.abs(slopes) - slopes * np.where(is_inside, x, corner))
        return value, np.where(is_inside, -slopes, 0.0)


@bbob("attractive_sector", 6, "T_osz(Σ (sᵢ zᵢ)²)^0.9 + f*, z = Q Λ¹⁰ R(x − x*)")
class BBOBAttractiveSector(BBOB):
    """BBOB f6: a function that is steep except in one sector."""

    def evaluated(self, x: Array) -> Evaluated:
        matrix, point = self.stretched(len(x), 10), self.shift(len(x))
        z = matrix_product(matrix, x - point)
        # The sector: coordinates with the sign of x* count 100 times, so 10⁴ times in the squares.
        squares, gradient = weighted_squares(z, np.where((z * point).real > 0, 1e4, 1.0))
        height, slope = oscillated(squares)
        positive = np.where(height == 0, 1.0, height)
        factor = np.where(height == 0, 0.0, 0.9 * positive**-0.1 * slope)
        return np.where(height == 0, 0.0, positive**0.9), factor * matrix_product(matrix.T, gradient)


@bbob("step_ellipsoid", 7, "0.1 max(|ẑ₁|/10⁴, Σ 100^(i/(d−1)) zᵢ²) + penalty + f*")
class BBOBStepEllipsoid(BBOB):
    """BBOB f7: a rotated ellipsoid of plateaus."""

    def evaluated(self, x: Array) -> Evaluated:
        dim = len(x)
        matrix = powers(10**0.5, dim) * self.second_rotation(dim)
        y = matrix_product(matrix, x - self.shift(dim))
        # Rounding to steps of 1, or of 0.1 near the minimum, makes plateaus with a gradient of zero. A small tilt along
        # the first coordinate breaks ties at the bottom.
        steps = np.where(np.abs(y) > 0.5, np.floor(y.real + 0.5), np.floor(10 * y.real + 0.5) / 10)
        plateau, _ = weighted_squares(matrix_product(self.first_rotation(dim), steps), powers(100, dim))
        outside, outside_gradient = penalty(x)
        tilt = 1e-4 * absolute(y[0])
        is_tilted = tilt.real > plateau
        slope = np.where(is_tilted, 1e-5 * np.sign(y[0].real), 0.0)
        return 0.1 * np.where(is_tilted, tilt, plateau) + outside, slope * matrix[0][:, np.newaxis] + outside_gradient


def rosenbrock_scale(dim: int) -> float:
    """Return the factor s of the coordinates of the Rosenbrock functions."""
    return max(1.0, dim**0.5 / 8)


@bbob("rosenbrock", 8, "Rosenbrock(z) + f*, z = s(x − x*) + 1")
class BBOBRosenbrock(BBOB):
    """BBOB f8: the Rosenbrock function."""

    def shift(self, dim: int) -> Array:
        return 0.75 * super().shift(dim)

    def evaluated(self, x: Array) -> Evaluated:
        scale = rosenbrock_scale(len(x))
        terms, first, second = rosenbrock_terms(scale * (x - self.shift(len(x))) + 1)
        return sum_coordinates(terms), scale * gradient_of_pairs(first, second)


class _RotatedRosenbrock(BBOB):
    """A function of z = s R x + 1/2 with its minimum at z = 1."""

    def shift(self, dim: int) -> Array:
        return matrix_product(self.second_rotation(dim).T, np.full((dim, 1), 0.5 / rosenbrock_scale(dim)))

    def terms(self, z: Array) -> tuple[Array, Array, Array]:
        """Return the terms of the sum, and their derivatives with respect to zᵢ and zᵢ₊₁."""
        return rosenbrock_terms(z)

    def evaluated(self, x: Array) -> Evaluated:
        matrix = rosenbrock_scale(len(x)) * self.second_rotation(len(x))
        terms, first, second = self.terms(matrix_product(matrix, x) + 0.5)
        return sum_coordinates(terms), matrix_product(matrix.T, gradient_of_pairs(first, second))


@bbob("rosenbrock_rotated", 9, "Rosenbrock(z) + f*, z = s R x + 1/2")
class BBOBRosenbrockRotated(_RotatedRosenbrock):
    """BBOB f9: the rotated Rosenbrock function."""


class _RotatedEllipsoid(BBOB):
    """A weighted sum of squares of T_osz(R(x − x*))."""

    def weights(self, dim: int) -> Array:
        """Return the weights, ``(dim, 1)``."""
        return powers(1e6, dim)

    def evaluated(self, x: Array) -> Evaluated:
        matrix = self.first_rotation(len(x))
        z, slope = oscillated(matrix_product(matrix, x - self.shift(len(x))))
        value, gradient = weighted_squares(z, self.weights(len(x)))
        return value, matrix_product(matrix.T, gradient * slope)


@bbob("ellipsoid_rotated", 10, "Σ 10^(6i/(d−1)) zᵢ² + f*, z = T_osz(R(x − x*))")
class BBOBEllipsoidRotated(_RotatedEllipsoid):
    """BBOB f10: a rotated ellipsoid."""


@bbob("discus", 11, "10⁶ z₁² + Σ zᵢ² + f*, z = T_osz(R(x − x*))")
class BBOBDiscus(_RotatedEllipsoid):
    """BBOB f11: the discus: one direction is 10⁶ times as steep."""

    def weights(self, dim: int) -> Array:
        return np.where(np.arange(dim) == 0, 1e6, 1.0)[:, np.newaxis]


@bbob("bent_cigar", 12, "z₁² + 10⁶ Σ zᵢ² + f*, z = R T_asy(R(x − x*))")
class BBOBBentCigar(BBOB):
    """BBOB f12: a curved, very narrow ridge."""

    def shift(self, dim: int) -> Array:
        return optimum(dim, self.seed + 1_000_000)

    def evaluated(self, x: Array) -> Evaluated:
        matrix = self.first_rotation(len(x))
        y, slope = skewed(matrix_product(matrix, x - self.shift(len(x))), 0.5)
        weights = np.where(np.arange(len(x)) == 0, 1.0, 1e6)[:, np.newaxis]
        value, gradient = weighted_squares(matrix_product(matrix, y), weights)
        return value, matrix_product(matrix.T, slope * matrix_product(matrix.T, gradient))


@bbob("sharp_ridge", 13, "z₁² + 100 √(Σ zᵢ²) + f*, z = Q Λ¹⁰ R(x − x*)")
class BBOBSharpRidge(BBOB):
    """BBOB f13: a ridge with a sharp edge."""

    def evaluated(self, x: Array) -> Evaluated:
        matrix = self.stretched(len(x), 10)
        z = matrix_product(matrix, x - self.shift(len(x)))
        height = np.sqrt(sum_coordinates(z[1:] * z[1:]))
        gradient = np.concatenate([2 * z[:1], 100 * z[1:] / np.where(height == 0, 1.0, height)])
        return z[0] * z[0] + 100 * height, matrix_product(matrix.T, gradient)


@bbob("different_powers", 14, "√(Σ |zᵢ|^(2 + 4i/(d−1))) + f*, z = R(x − x*)")
class BBOBDifferentPowers(BBOB):
    """BBOB f14: a sum of different powers."""

    def evaluated(self, x: Array) -> Evaluated:
        matrix = self.first_rotation(len(x))
        z = matrix_product(matrix, x - self.shift(len(x)))
        exponents = 2 + 4 * np.linspace(0, 1, len(x))[:, np.newaxis]
        root = np.sqrt(sum_coordinates(absolute(z) ** exponents))
        slopes = exponents * absolute(z) ** (exponents - 1) * np.sign(z.real) / (2 * np.where(root == 0, 1.0, root))
        return root, matrix_product(matrix.T, slopes)


@bbob("rastrigin_rotated", 15, "Rastrigin(z) + f*, z = R Λ¹⁰ Q T_asy(T_osz(R(x − x*)))")
class BBOBRastriginRotated(BBOB):
    """BBOB f15: a rotated Rastrigin function."""

    def evaluated(self, x: Array) -> Evaluated:
        outer, inner = self.stretched(len(x), 10), self.first_rotation(len(x))
        y, first = oscillated(matrix_product(inner, x - self.shift(len(x))))
        y, second = skewed(y, 0.2)
        value, gradient = rastrigin(matrix_product(outer, y))
        return value, matrix_product(inner.T, first * second * matrix_product(outer.T, gradient))


@bbob("weierstrass", 16, "10 (Σᵢ Σₖ 2⁻ᵏ cos(2π 3ᵏ(zᵢ + 1/2))/d − f₀)³ + penalty 10/d + f*")
class BBOBWeierstrass(BBOB):
    """BBOB f16: the Weierstrass function."""

    def evaluated(self, x: Array) -> Evaluated:
        dim = len(x)
        outer, inner = self.stretched(dim, 0.01), self.first_rotation(dim)
        y, slope = oscillated(matrix_product(inner, x - self.shift(dim)))
        z = matrix_product(outer, y)
        # The sum over k at each coordinate and its derivative, and f₀, the sum at z = 0.
        waves, slopes, least = np.zeros_like(z), np.zeros_like(z), 0.0
        for k in range(12):
            height, frequency = 0.5**k, 2 * np.pi * 3.0**k
            waves = waves + height * np.cos(frequency * (z + 0.5))
            slopes = slopes - height * frequency * np.sin(frequency * (z + 0.5))
            least += height * np.cos(frequency * 0.5)
        mean = sum_coordinates(waves) / dim - least
        outside, outside_gradient = penalty(x)
        gradient = matrix_product(inner.T, slope * matrix_product(outer.T, 30 * mean * mean * slopes / dim))
        return 10 * mean * mean * mean + 10 / dim * outside, gradient + 10 / dim * outside_gradient


class _Schaffers(BBOB):
    """Schaffer's F7, rotated and stretched."""

    condition: ClassVar[float] = 10

    def evaluated(self, x: Array) -> Evaluated:
        dim = len(x)
        inner = self.first_rotation(dim)
        outer = powers(self.condition**0.5, dim) * self.second_rotation(dim)
        y, slope = skewed(matrix_product(inner, x - self.shift(dim)), 0.5)
        z = matrix_product(outer, y)
        squares = z[:-1] * z[:-1] + z[1:] * z[1:]
        positive = np.where(squares == 0, 1.0, squares)
        angles = 50 * positive**0.1
        sines = np.sin(angles)
        terms = np.where(squares == 0, 0.0, positive**0.25 * (1 + sines * sines))
        mean = sum_coordinates(terms) / (dim - 1)
        # The chain rule: d/ds of s^¼ (1 + sin²(50 s^0.1)), then the derivatives of s with respect to both coordinates.
        slopes = 0.25 * positive**-0.75 * (1 + sines * sines) + positive**-0.65 * 10 * sines * np.cos(angles)
        slopes = np.where(squares == 0, 0.0, slopes) * 2 * mean / (dim - 1)
        gradient = gradient_of_pairs(2 * slopes * z[:-1], 2 * slopes * z[1:])
        outside, outside_gradient = penalty(x)
        return mean * mean + 10 * outside, matrix_product(
            inner.T, slope * matrix_product(outer.T, gradient)
        ) + 10 * outside_gradient


@bbob("schaffers", 17, "(mean of √s (1 + sin²(50 s^(1/5))))² + 10 penalty + f*, sᵢ = √(zᵢ² + zᵢ₊₁²)")
class BBOBSchaffers(_Schaffers):
    """BBOB f17: Schaffer's F7."""


@bbob("schaffers_ill_conditioned", 18, "as bbob_schaffers, with Λ¹⁰⁰⁰")
class BBOBSchaffersIllConditioned(_Schaffers):
    """BBOB f18: Schaffer's F7 with condition number 1000."""

    condition: ClassVar[float] = 1000


@bbob("griewank_rosenbrock", 19, "10 + 10 Σ (rᵢ/4000 − cos rᵢ)/(d − 1) + f*")
class BBOBGriewankRosenbrock(_RotatedRosenbrock):
    """BBOB f19: the Griewank–Rosenbrock function F8F2."""

    def terms(self, z: Array) -> tuple[Array, Array, Array]:
        terms, first, second = rosenbrock_terms(z)
        factor = 10 / (len(z) - 1)
        slopes = factor * (1 / 4000 + np.sin(terms))
        return factor * (1 + terms / 4000 - np.cos(terms)), slopes * first, slopes * second


@bbob("schwefel", 20, "0.01 (418.98… − mean of zᵢ sin √|zᵢ|) + penalty + f*")
class BBOBSchwefel(BBOB):
    """BBOB f20: the Schwefel function."""

    def signs(self, dim: int) -> Array:
        """Return the signs of the minimum, ``(dim, 1)``."""
        return np.where(uniforms(dim, self.seed) < 0.5, -1.0, 1.0)[:, np.newaxis]

    def shift(self, dim: int) -> Array:
        return 4.2096874637 / 2 * self.signs(dim)

    def evaluated(self, x: Array) -> Evaluated:
        dim, peak = len(x), 4.2096874637
        signs, stretches = self.signs(dim), powers(10**0.5, dim)
        # Each coordinate is shifted by a quarter of the one before it, then stretched.
        y = 2 * signs * x - peak
        y = y + 0.25 * np.concatenate([np.zeros_like(y[:1]), y[:-1]])
        z = 100 * (stretches * y + peak)
        size = absolute(z)
        root = np.sqrt(size)
        outside = np.where(size.real > 500, size - 500, 0.0)  # a penalty of its own, in terms of z
        value = 4.189828872724339 + sum_coordinates(outside * outside - z * np.sin(root) / dim) / 100
        slopes = 2 * outside * np.sign(z.real) - (np.sin(root) + root * np.cos(root) / 2) / dim
        pulled = stretches * slopes  # the factors 100 and 1/100 cancel
        return value, 2 * signs * (pulled + 0.25 * np.concatenate([pulled[1:], np.zeros_like(y[:1])]))


@functools.lru_cache(maxsize=32)
def peaks_of(count: int, dim: int, seed: int) -> tuple[Array, Array, Array]:
    """Return the rotated positions and the curvatures, ``(count, dim)``, and the heights of peaks, ``(count,)``.

    The first peak is the global optimum. Each peak has a random condition number and a random order of its curvatures.
    """
    spread, offset, first_condition = (10.0, 5.0, 1000.0**0.5) if count == 101 else (9.8, 4.9, 1000.0)
    order = np.argsort(uniforms(count - 1, seed), kind="stable")
    conditions = np.concatenate([[first_condition], 1000.0 ** (order / (count - 2))])
    heights = np.concatenate([[10.0], np.linspace(1.1, 9.1, count - 1)])
    orders = np.stack([np.argsort(uniforms(dim, seed + 1000 * i), kind="stable") for i in range(count)])
    curvatures = conditions[:, np.newaxis] ** (orders / (dim - 1) - 0.5)
    points = spread * uniforms(dim * count, seed).reshape(count, dim) - offset
    points[0] *= 0.8
    return points @ rotation(dim, seed).T, curvatures, heights


class _Gallagher(BBOB):
    """The highest of many Gaussian peaks, turned upside down."""

    count: ClassVar[int] = 101

    def shift(self, dim: int) -> Array:
        points, *_ = peaks_of(self.count, dim, self.seed)
        return matrix_product(self.second_rotation(dim).T, points[0][:, np.newaxis])

    def evaluated(self, x: Array) -> Evaluated:
        dim, matrix = len(x), self.second_rotation(len(x))
        points, curvatures, heights = peaks_of(self.count, dim, self.seed)
        y = matrix_product(matrix, x)
        exponents = np.zeros((self.count, x.shape[1]), dtype=x.dtype)
        for j in range(dim):
            distances = y[j] - points[:, j, np.newaxis]
            exponents = exponents - curvatures[:, j, np.newaxis] * distances * distances / (2 * dim)
        values = heights[:, np.newaxis] * np.exp(exponents)
        # The gradient is that of the highest peak at each point.
        highest = values.real.argmax(axis=0)
        peak = np.take_along_axis(values, highest[np.newaxis], axis=0)[0]
        by_y = -curvatures[highest].T * (y - points[highest].T) / dim * peak
        height, slope = oscillated(10 - peak)
        outside, outside_gradient = penalty(x)
        return height * height + outside, matrix_product(matrix.T, -2 * height * slope * by_y) + outside_gradient


@bbob("gallagher_101", 21, "T_osz(10 − max wᵢ exp(−(x − yᵢ)ᵀ Cᵢ (x − yᵢ)/(2d)))² + penalty + f*")
class BBOBGallagher101(_Gallagher):
    """BBOB f21: Gallagher's 101 Gaussian peaks."""


@bbob("gallagher_21", 22, "as bbob_gallagher_101, with 21 peaks")
class BBOBGallagher21(_Gallagher):
    """BBOB f22: Gallagher's 21 Gaussian peaks."""

    count: ClassVar[int] = 21


@bbob("katsuura", 23, "10/d² (∏ (1 + i Σₖ |2ᵏzᵢ − [2ᵏzᵢ]|/2ᵏ)^(10/d^1.2) − 1) + penalty + f*")
class BBOBKatsuura(BBOB):
    """BBOB f23: the Katsuura function, rough everywhere."""

    def evaluated(self, x: Array) -> Evaluated:
        dim, matrix = len(x), self.stretched(len(x), 100)
        z = matrix_product(matrix, x - self.shift(dim))
        sums, slopes = np.zeros_like(z), np.zeros_like(z)
        for k in range(1, 33):
            scale = 2.0**k
            rest = scale * z - np.floor(scale * z.real + 0.5)  # the distance to the nearest integer
            sums = sums + absolute(rest) / scale
            slopes = slopes + np.sign(rest.real)
        ranks = np.arange(1, dim + 1)[:, np.newaxis]
        # Each factor is 1 + i times the sum; the gradient of their product follows from its logarithm.
        factors, exponent = 1 + ranks * sums, 10 / dim**1.2
        product = np.multiply.accumulate(factors, axis=0)[-1] ** exponent
        outside, outside_gradient = penalty(x)
        gradient = 10 / dim**2 * product * exponent * ranks * slopes / factors
        return 10 / dim**2 * (product - 1) + outside, matrix_product(matrix.T, gradient) + outside_gradient


@bbob("lunacek", 24, "min(|x̂ − μ₀|², d + s|x̂ − μ₁|²) + 10 (d − Σ cos 2πzᵢ) + 10⁴ penalty + f*")
class BBOBLunacek(BBOB):
    """BBOB f24: the Lunacek bi-Rastrigin function."""

    def shift(self, dim: int) -> Array:
        return np.where(normals(dim, self.seed) < 0, -1.25, 1.25)[:, np.newaxis]

    def evaluated(self, x: Array) -> Evaluated:
        # Two bowls with centres at μ₀ = 2.5 and μ₁ < 0; the second is higher by d, and both are equal at the origin.
        dim, first = len(x), 2.5
        share = 1 - 0.5 / ((dim + 20) ** 0.5 - 4.1)
        second = -(((first * first - 1) / share) ** 0.5)
        signs, matrix = np.sign(self.shift(dim)), self.stretched(dim, 100)
        y = 2 * signs * x
        z = matrix_product(matrix, y - first)
        one, other = sum_coordinates((y - first) ** 2), dim + share * sum_coordinates((y - second) ** 2)
        is_first = one.real < other.real
        bowl = np.where(is_first, one, other)
        slopes = np.where(is_first, 2 * (y - first), 2 * share * (y - second))
        slopes = slopes + matrix_product(matrix.T, 20 * np.pi * np.sin(2 * np.pi * z))
        outside, outside_gradient = penalty(x)
        value = bowl + sum_coordinates(10 - 10 * np.cos(2 * np.pi * z)) + 1e4 * outside
        return value, 2 * signs * slopes + 1e4 * outside_gradient
