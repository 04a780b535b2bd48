"""Linear models with convex losses: least_squares, logistic, softmax."""

import functools
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.datasets.builtin import BUILT_IN
from momentumlab.datasets.design_matrix import DesignMatrix
from momentumlab.parameters import Array, parameter
from momentumlab.surfaces.base import CriticalPoint, Tag, absolute, minimum, surface
from momentumlab.surfaces.data.base import LARGEST_SOLVED, DataSurface

MOST_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class LinearModel(DataSurface):
    """A model whose scores are features times weights. The weight matrix has one column per output."""

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        return ((self.design.features.shape[1], self.design.targets.shape[1]),)

    def scores(self, features: Array, weights: tuple[Array, ...]) -> Array:
        return np.matmul(features, weights[0])

    def backpropagated(self, features: Array, weights: tuple[Array, ...], slopes: Array) -> tuple[Array, ...]:
        return (np.matmul(np.swapaxes(features, -1, -2), slopes),)

    @abstractmethod
    def curvatures(self, scores: Array) -> Array:
        """Return the second derivatives of the row losses of one lane in the scores, ``(rows, outputs, outputs)``."""

    def hessian(self, x: Array) -> Array:
        features, rows = self.design.features, self.design.rows
        dim, lanes = x.shape
        (inputs, outputs) = self.shapes[0]
        hessian = np.empty((dim, dim, lanes), dtype=x.dtype)
        for lane in range(lanes):
            # Contiguous, because BLAS rounds differently for other strides.
            weights = np.ascontiguousarray(x[:, lane]).reshape(inputs, outputs)
            curvatures = self.curvatures(features @ weights) / rows
            # The block of outputs i and j is Xᵀ diag(cᵢⱼ) X.
            blocks = np.empty((inputs, outputs, inputs, outputs), dtype=x.dtype)
            for i in range(outputs):
                for j in range(i + 1):
                    blocks[:, i, :, j] = features.T @ (curvatures[:, i, j, np.newaxis] * features)
                    blocks[:, j, :, i] = blocks[:, i, :, j].T
            hessian[:, :, lane] = blocks.reshape(dim, dim) + self.l2 * np.eye(dim)
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """Return the minimum if it certainly exists and the dimension is small enough to compute it."""
        is_certain = self.l2 > 0 or self.outputs == "number"
        return _lowest(self, self.design) if is_certain and dim <= LARGEST_SOLVED else ()


@surface("least_squares", aliases=("linear_regression", "ridge"))
@dataclass(frozen=True, kw_only=True)
class LeastSquares(LinearModel):
    """Linear regression: half the mean squared error over the rows of a table.

    The minimum is computed in closed form; if it is not unique, the one with the smallest norm. The curvatures are the
    eigenvalues of ``XᵀX/n`` plus l2. With ``standardise: false`` they also depend on the units of the columns.
    """

    data: str = parameter("wine", is_path=True, choices=BUILT_IN, doc="CSV or NPZ file, or built-in data set")

    outputs = "number"
    formula = "|X w − t|²/(2n) + l2 |w|²/2, rows of X: the features of the n rows"
    latex = r"\frac{1}{2n}\,|Xw - t|^2 + \frac{l_2}{2}|w|^2"
    source = "Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, sections 3.2 and 3.4.1"
    tags = frozenset({Tag.QUADRATIC, Tag.CONVEX})

    def row_losses(self, scores: Array, targets: Array) -> Array:
        rest = scores - targets
        return rest * rest / 2

    def slopes(self, scores: Array, targets: Array) -> Array:
        return scores - targets

    def curvatures(self, scores: Array) -> Array:
        return np.ones((*scores.shape, 1))


@surface("logistic", aliases=("logistic_regression",))
@dataclass(frozen=True, kw_only=True)
class Logistic(LinearModel):
    """Logistic regression with two classes: the mean cross-entropy over the rows of a table.

    The probability of the second class (in numerical or alphabetical order) is σ(X w). With l2 > 0 the minimum is
    unique and computed by Newton's method; with l2 = 0 and linearly separable classes, no minimum exists.
    The penalty l2 includes the intercept.
    """

    data: str = parameter("two_moons", is_path=True, choices=BUILT_IN, doc="CSV or NPZ file, or built-in data set")
    l2: float = parameter(1e-3, ge=0, shared=True, doc="L2 penalty: adds l2/2 |w|²")

    outputs = "two"
    formula = "mean of log(1 + exp(−s·x·w)) + l2 |w|²/2, s = ±1 the class of the row with features x"
    latex = r"\frac{1}{n}\sum_i \log(1 + e^{-s_i\, x_i \cdot w}) + \frac{l_2}{2}|w|^2"
    source = "Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, section 4.4"
    tags = frozenset({Tag.CONVEX})
    minima_are = "found"

    def row_losses(self, scores: Array, targets: Array) -> Array:
        # log(1 + eᵐ) for the margin m of the wrong class, without overflow.
        margin = (1 - 2 * targets) * scores
        return np.where(margin.real > 0, margin, 0.0) + np.log1p(np.exp(-absolute(margin)))

    def slopes(self, scores: Array, targets: Array) -> Array:
        side = 1 - 2 * targets
        return side * _sigmoid(side * scores)

    def curvatures(self, scores: Array) -> Array:
        return (_sigmoid(scores) * _sigmoid(-scores))[..., np.newaxis]

    def is_correct(self, scores: Array, targets: Array) -> NDArray[np.bool_]:
        return (scores > 0) == (targets > 0.5)


@surface("softmax", aliases=("multinomial_logistic",))
@dataclass(frozen=True, kw_only=True)
class Softmax(LinearModel):
    """Logistic regression with any number of classes: cross-entropy of the softmax of one linear score per class.

    The coordinates are ordered by feature, then by class. Adding a constant to all weights of a feature does not change
    the probabilities: without l2 the loss is flat in these directions. The penalty l2 includes the intercepts.
    """

    data: str = parameter("iris", is_path=True, choices=BUILT_IN, doc="CSV or NPZ file, or built-in data set")
    l2: float = parameter(1e-3, ge=0, shared=True, doc="L2 penalty: adds l2/2 |w|²")

    formula = "mean of log(Σₖ exp(x·wₖ)) − x·w_c + l2 |w|²/2, c the class of the row with features x"
    latex = r"\frac{1}{n}\sum_i \left[\log\sum_k e^{x_i \cdot w_k} - x_i \cdot w_{c_i}\right] + \frac{l_2}{2}|w|^2"
    source = "Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, section 4.4"
    tags = frozenset({Tag.CONVEX, Tag.ILL_CONDITIONED})
    minima_are = "found"

    def row_losses(self, scores: Array, targets: Array) -> Array:
        return cross_entropies(scores, targets)

    def slopes(self, scores: Array, targets: Array) -> Array:
        return probabilities(scores) - targets

    def curvatures(self, scores: Array) -> Array:
        p = probabilities(scores)
        return p[:, :, np.newaxis] * np.eye(p.shape[1]) - p[:, :, np.newaxis] * p[:, np.newaxis]


def _sigmoid(scores: Array) -> Array:
    """Return 1/(1 + exp(−z)) without overflow or cancellation."""
    power = np.exp(-absolute(scores))
    return np.where(scores.real > 0, 1.0, power) / (1 + power)


def probabilities(scores: Array) -> Array:
    """Return the softmax over the last axis."""
    powers = np.exp(scores - scores.real.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropies(scores: Array, targets: Array) -> Array:
    """Return −log of the probability of the true class, ``(…, outputs) -> (…, 1)``."""
    above = scores - (scores * targets).sum(axis=-1, keepdims=True)
    highest = above.real.max(axis=-1, keepdims=True)
    return highest + np.log(np.exp(above - highest).sum(axis=-1, keepdims=True))


@functools.lru_cache(maxsize=64)
def _lowest(model: LinearModel, data: DesignMatrix) -> tuple[CriticalPoint, ...]:
    """Return the minimum of a convex loss; ``data`` is part of the cache key, because a file can change."""
    w = _least_squares_solution(model) if model.outputs == "number" else _newton_minimum(model)
    return (minimum(*w.tolist(), loss=float(model.value(w[:, np.newaxis])[0])),)


def _least_squares_solution(model: LinearModel) -> Array:
    """Return the regularised least-squares solution with the smallest norm, by singular value decomposition."""
    data = model.design
    u, singular, v = np.linalg.svd(data.features / np.sqrt(data.rows), full_matrices=False)
    along = u.T @ (data.targets[:, 0] / np.sqrt(data.rows))
    # Singular values that are zero up to rounding belong to directions without an effect; there the solution is 0.
    counted = singular > np.finfo(np.float64).eps * max(data.features.shape) * singular[0]
    return v.T @ np.where(counted, singular * along / np.where(counted, singular**2 + model.l2, 1.0), 0.0)


def _newton_minimum(model: LinearModel) -> Array:
    """Return the minimum by Newton's method with backtracking from zero, up to rounding errors."""
    x = np.zeros((model.required_dimension, 1))
    loss = float(model.value(x)[0])
    gradient = model.gradient(x)
    for _ in range(MOST_STEPS):
        step = np.linalg.solve(model.hessian(x)[:, :, 0], gradient)
        decrease = float((gradient * step).sum())  # twice the decrease that the quadratic model predicts
        # Close to the minimum, differences of the loss are lost in rounding: continue while the gradient shrinks.
        if decrease <= 1e-13 * abs(loss):
            following = x - step
            slope = model.gradient(following)
            if np.abs(slope).max() >= np.abs(gradient).max():
                break
            x, gradient, loss = following, slope, float(model.value(following)[0])
            continue
        # Halve the step until it satisfies Armijo's condition.
        share = 1.0
        while (lower := float(model.value(x - share * step)[0])) > loss - 1e-4 * share * decrease and share > 1e-10:
            share /= 2
        x, loss = x - share * step, lower
        gradient = model.gradient(x)
    return x[:, 0]
