"""Quadratic surfaces. Their gradients are linear, and linear theory is exact."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import (
    CriticalKind,
    CriticalPoint,
    Surface,
    Tag,
    diagonal,
    matrix_product,
    minimum,
    plane_rotations,
    saddle_point,
    sum_coordinates,
    surface,
    symmetric,
)


@surface("parabola")
@dataclass(frozen=True, kw_only=True)
class Parabola(Surface):
    """A parabola in one dimension.

    The simplest surface on which momentum overshoots. For a = 1/2 the gradient equals the position.
    """

    a: Real = parameter(1.0, gt=0, doc="steepness; the curvature is 2a")

    formula = "a x²"
    latex = r"a x^2"
    source = "elementary"
    dimension = 1
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX})
    view = ((-6.0, 6.0),)
    start = (5.0,)

    def value(self, x: Array) -> Array:
        return self.a * (x[0] * x[0])

    def gradient(self, x: Array) -> Array:
        return 2 * self.a * x

    def hessian(self, x: Array) -> Array:
        return np.broadcast_to(2 * self.a, (1, *x.shape)).astype(x.dtype)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0),)


@surface("ravine")
@dataclass(frozen=True, kw_only=True)
class Ravine(Surface):
    """A long narrow valley: gentle along x, steep across it.

    Gradient descent must keep lr small for the steep walls (lr < 1/b) and then crawls along the floor; momentum adds
    up the small gradients along the floor while those across it cancel. The condition number is b/a.
    """

    a: Real = parameter(1 / 16, gt=0, doc="steepness along x; the curvature is 2a")
    b: Real = parameter(9.0, gt=0, doc="steepness along y; the curvature is 2b")

    formula = "a x² + b y²"
    latex = r"a x^2 + b y^2"
    source = "the standard picture of ill-conditioning, e.g. Goh, Why Momentum Really Works (Distill, 2017)"
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX, Tag.RAVINE, Tag.ILL_CONDITIONED})
    view = ((-3.0, 3.0), (-0.45, 0.45))
    start = (-2.4, 0.2)

    @cached_property
    def divisor(self) -> Real:
        """1/a. If it is an integer, results are bit-identical to those of x²/16 or x²/20."""
        return 1 / self.a

    def value(self, x: Array) -> Array:
        squares = x * x
        value: Array = squares[0] / self.divisor + self.b * squares[1]
        return value

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        np.divide(x[0], self.divisor, out=g[0])
        np.multiply(self.b, x[1], out=g[1])
        return np.add(g, g, out=g)

    def hessian(self, x: Array) -> Array:
        return symmetric(2 * self.a, 0, 2 * self.b, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0, 0.0),)


@surface("saddle")
@dataclass(frozen=True, kw_only=True)
class Saddle(Surface):
    """A saddle without a minimum.

    On the line y = 0, gradient descent converges to the saddle. From any other start, all methods escape, momentum
    faster than gradient descent. The loss is unbounded below, and runs that escape eventually diverge.
    """

    formula = "x² − y²"
    latex = r"x^2 - y^2"
    source = "elementary"
    tags = frozenset({Tag.QUADRATIC, Tag.SADDLE, Tag.UNBOUNDED})
    view = ((-2.0, 2.0), (-2.0, 2.0))
    start = (-1.5, 0.001)

    def value(self, x: Array) -> Array:
        squares = x * x
        return squares[0] - squares[1]

    def gradient(self, x: Array) -> Array:
        g = 2 * x
        np.negative(g[1], out=g[1])
        return g

    def hessian(self, x: Array) -> Array:
        return symmetric(2, 0, -2, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (saddle_point(0.0, 0.0, loss=0.0),)


@dataclass(frozen=True, kw_only=True)
class QuadraticForm(Surface):
    """½ xᵀ H x, where H has given eigenvalues and eigenvectors."""

    eigenvalues: tuple[float, ...] = parameter((0.125, 18.0), doc="eigenvalues of the Hessian, one per dimension")

    dimension = None
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX, Tag.RAVINE, Tag.ILL_CONDITIONED})
    view = ((-3.0, 3.0),)
    start = (-2.4, 2.0)

    @property
    def required_dimension(self) -> int:
        return len(self.eigenvalues)

    @property
    def instance_tags(self) -> frozenset[Tag]:
        """The tags for these eigenvalues; a condition number is only defined if all of them are positive."""
        least, largest = min(self.eigenvalues), max(self.eigenvalues)
        is_ill_conditioned = 0 < 100 * least <= largest
        holds = {
            Tag.QUADRATIC: True,
            Tag.CONVEX: least >= 0,
            Tag.ILL_CONDITIONED: is_ill_conditioned,
            Tag.RAVINE: is_ill_conditioned,
            Tag.FLAT_MINIMUM: least == 0,
            Tag.SADDLE: least < 0 < largest,
            Tag.UNBOUNDED: least < 0,
        }
        return frozenset(tag for tag, is_true in holds.items() if is_true)

    @cached_property
    def curvatures(self) -> Array:
        """λ as a column, ``(dim, 1)``."""
        return np.array(self.eigenvalues)[:, np.newaxis]

    @property
    @abstractmethod
    def axes(self) -> Array:
        """The eigenvectors as columns, ``(dim, dim)``."""

    @property
    def is_diagonal(self) -> bool:
        """Whether the eigenvectors are the coordinate axes."""
        return False

    @cached_property
    def matrix(self) -> Array:
        """H, ``(dim, dim)``."""
        matrix: Array = self.axes * np.array(self.eigenvalues) @ self.axes.T
        return (matrix + matrix.T) / 2

    def value(self, x: Array) -> Array:
        z = x if self.is_diagonal else matrix_product(self.axes.T, x)
        return 0.5 * sum_coordinates(self.curvatures * z * z)

    def gradient(self, x: Array) -> Array:
        return self.curvatures * x if self.is_diagonal else matrix_product(self.matrix, x)

    def hessian(self, x: Array) -> Array:
        return np.repeat(self.matrix[:, :, np.newaxis], x.shape[1], axis=2).astype(x.dtype)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        if min(self.eigenvalues) >= 0:
            kind = CriticalKind.GLOBAL_MINIMUM
        else:
            kind = CriticalKind.SADDLE if max(self.eigenvalues) > 0 else CriticalKind.MAXIMUM
        return (CriticalPoint(kind=kind, point=(0.0,) * dim, loss=0.0),)


@surface("quadratic")
@dataclass(frozen=True, kw_only=True)
class Quadratic(QuadraticForm):
    """A quadratic in any dimension, defined by the eigenvalues of its Hessian.

    H = R diag(λ) Rᵀ, where R rotates by the angle ``rotation`` in the planes (1,2), (2,3), … in turn. Without rotation
    the eigenvectors are the coordinate axes; rotation makes the problem harder for methods that scale each coordinate
    separately. Negative eigenvalues make a saddle or a maximum, zero eigenvalues a flat direction.
    """

    rotation: float = parameter(0.0, doc="rotation angle in degrees", shared=True)

    formula = "½ xᵀ R diag(λ) Rᵀ x"
    latex = r"\frac{1}{2} x^\top R \,\mathrm{diag}(\lambda)\, R^\top x"
    source = "elementary"

    @cached_property
    def axes(self) -> Array:
        """R: the eigenvectors as columns, ``(dim, dim)``."""
        return plane_rotations(len(self.eigenvalues), self.rotation)

    @property
    def is_diagonal(self) -> bool:
        return self.rotation == 0


@surface("random_quadratic")
@dataclass(frozen=True, kw_only=True)
class RandomQuadratic(QuadraticForm):
    """A quadratic with given eigenvalues and random eigenvectors, in any dimension.

    The eigenvectors are uniformly distributed (Haar measure) and determined by ``seed``.
    """

    seed: int = parameter(0, ge=0, le=2**53, doc="random seed of the eigenvectors")

    formula = "½ xᵀ Q diag(λ) Qᵀ x,  Q random"
    latex = r"\frac{1}{2} x^\top Q \,\mathrm{diag}(\lambda)\, Q^\top x"
    source = "Stewart (1980), SIAM J. Numer. Anal. 17, for the random orthogonal matrix"

    @cached_property
    def axes(self) -> Array:
        """Q: the eigenvectors as columns, ``(dim, dim)``."""
        dim = len(self.eigenvalues)
        q, r = np.linalg.qr(np.random.default_rng([self.seed, dim]).standard_normal((dim, dim)))
        return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0))


@surface("sphere")
@dataclass(frozen=True, kw_only=True)
class Sphere(Surface):
    """A round bowl in any dimension.

    The curvature is the same in all directions: gradient descent with lr = 1/2 reaches the minimum in one step.
    """

    formula = "Σ xᵢ²"
    latex = r"\sum_i x_i^2"
    source = "elementary; De Jong (1975), An analysis of the behavior of a class of genetic adaptive systems, F1"
    dimension = None
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX})
    view = ((-4.0, 4.0),)
    start = (-3.0, 2.0)

    def value(self, x: Array) -> Array:
        return sum_coordinates(x * x)

    def gradient(self, x: Array) -> Array:
        return 2 * x

    def hessian(self, x: Array) -> Array:
        return diagonal(np.full_like(x, 2))

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(*(0.0,) * dim),)


@surface("matyas")
@dataclass(frozen=True, kw_only=True)
class Matyas(Surface):
    """A valley along the diagonal with condition number 25.

    Scaling the coordinates does not improve the condition number, so adaptive methods have no advantage.
    """

    formula = "0.26 (x² + y²) − 0.48 x y"
    latex = r"0.26\,(x^2 + y^2) - 0.48\,x y"
    source = "Jamil & Yang (2013), A literature survey of benchmark functions, arXiv 1308.4008"
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX})
    view = ((-10.0, 10.0), (-10.0, 10.0))
    start = (-9.0, 4.0)

    def value(self, x: Array) -> Array:
        squares = x * x
        return 0.26 * (squares[0] + squares[1]) - 0.48 * (x[0] * x[1])

    def gradient(self, x: Array) -> Array:
        g = np.empty_like(x)
        g[0] = 0.52 * x[0] - 0.48 * x[1]
        g[1] = 0.52 * x[1] - 0.48 * x[0]
        return g

    def hessian(self, x: Array) -> Array:
        return symmetric(0.52, -0.48, 0.52, like=x)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0, 0.0),)


@surface("nesterov_worst_case")
@dataclass(frozen=True, kw_only=True)
class NesterovWorstCase(Surface):
    """A chain of coupled coordinates, the worst case of smooth convex optimization in many dimensions.

    At the default start, the origin, only the first component of the gradient is nonzero, and each iteration of a
    first-order method changes at most one further coordinate. After k iterations in 2k + 1 dimensions, the loss is at
    least 3 L |x₀ − x*|²/(32 (k + 1)²) above the minimum. Nesterov's method attains this bound up to a constant factor.
    The condition number is about 4 (d + 1)²/π² in d dimensions, and 3 in two.
    """

    smoothness: Real = parameter(4.0, gt=0, doc="L, an upper bound of the curvature")

    formula = "L/8 (x₁² + Σ (xᵢ − xᵢ₊₁)² + x_d²) − L/4 x₁"
    latex = r"\frac{L}{8}\,(x_1^2 + \sum_i (x_i - x_{i+1})^2 + x_d^2) - \frac{L}{4} x_1"
    source = "Nesterov (2004), Introductory Lectures on Convex Optimization, section 2.1.2"
    dimension = None
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX})
    view = ((-0.5, 1.5),)
    start = (0.0, 0.0)

    def value(self, x: Array) -> Array:
        steps = np.concatenate([x[:1], x[:-1] - x[1:], x[-1:]])
        return self.smoothness / 8 * sum_coordinates(steps * steps) - self.smoothness / 4 * x[0]

    def gradient(self, x: Array) -> Array:
        g = 2 * x
        g[:-1] -= x[1:]
        g[1:] -= x[:-1]
        g[0] -= 1
        return self.smoothness / 4 * g

    def hessian(self, x: Array) -> Array:
        dim = len(x)
        chain: Array = 2 * np.eye(dim) - np.eye(dim, k=1) - np.eye(dim, k=-1)
        return (self.smoothness / 4 * np.repeat(chain[:, :, np.newaxis], x.shape[1], axis=2)).astype(x.dtype)

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        point = (1 - i / (dim + 1) for i in range(1, dim + 1))
        return (minimum(*point, loss=self.smoothness / 8 * (1 / (dim + 1) - 1)),)
