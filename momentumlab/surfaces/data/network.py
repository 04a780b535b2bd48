"""Neural network with one hidden layer."""

from dataclasses import dataclass

import numpy as np

from momentumlab.datasets.builtin import BUILT_IN
from momentumlab.parameters import Array, parameter
from momentumlab.surfaces.base import Intervals, surface
from momentumlab.surfaces.data.base import PANEL_BYTES, DataSurface, whole
from momentumlab.surfaces.data.linear import cross_entropies, probabilities

MOST_HIDDEN = 10_000


@surface("mlp", aliases=("neural_network",))
@dataclass(frozen=True, kw_only=True)
class MultilayerPerceptron(DataSurface):
    """A neural network classifier: one hidden layer with tanh, softmax and cross-entropy.

    The coordinates are the weights of the hidden layer, ordered by feature (those of the intercept are its biases), the
    weights of the outputs, ordered by hidden unit, and the biases of the outputs. The view window is the interval from
    which PyTorch initializes the weights of a layer, ±1/√(inputs). The default start is a fixed draw from it;
    ``random(20)`` draws others. No minimum is known; there are many, since hidden units can be permuted.
    """

    data: str = parameter("two_moons", is_path=True, choices=BUILT_IN, doc="CSV or NPZ file, or built-in data set")
    hidden: float = parameter(6.0, ge=1, shared=True, doc="hidden units")

    formula = "mean cross-entropy of softmax(tanh(X U) V + b) + l2 (|U|² + |V|² + |b|²)/2"
    latex = r"\frac{1}{n}\sum_i H\!\left(t_i, \mathrm{softmax}(\tanh(x_i U) V + b)\right) + \frac{l_2}{2}|w|^2"
    source = "Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors, Nature 323"
    lists_all_minima = False

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        units = whole("hidden", self.hidden, MOST_HIDDEN)
        inputs, outputs = self.design.features.shape[1], self.design.targets.shape[1]
        return (inputs, units), (units, outputs), (1, outputs)

    def scores(self, features: Array, weights: tuple[Array, ...]) -> Array:
        u, v, b = weights
        return np.matmul(np.tanh(np.matmul(features, u)), v) + b

    def backpropagated(self, features: Array, weights: tuple[Array, ...], slopes: Array) -> tuple[Array, ...]:
        u, v, _ = weights
        active = np.tanh(np.matmul(features, u))
        behind = np.matmul(slopes, v.transpose(0, 2, 1)) * (1 - active * active)
        return (
            np.matmul(np.swapaxes(features, -1, -2), behind),
            np.matmul(active.transpose(0, 2, 1), slopes),
            slopes.sum(axis=1, keepdims=True),
        )

    def row_losses(self, scores: Array, targets: Array) -> Array:
        return cross_entropies(scores, targets)

    def slopes(self, scores: Array, targets: Array) -> Array:
        return probabilities(scores) - targets

    def hessian(self, x: Array) -> Array:
        """Return the Hessian: each column is a directional derivative of the gradient (Pearlmutter 1994)."""
        data = self.design
        hessian = np.empty((len(x), *x.shape), dtype=x.dtype)
        directions = np.eye(len(x))
        together = max(1, PANEL_BYTES // (x.itemsize * data.rows * self.shapes[0][1]))
        for lane in range(x.shape[1]):
            weights = tuple(self._matrices(x[:, lane : lane + 1], 1))
            for first in range(0, len(x), together):
                columns = slice(first, first + together)
                changes = self._changes(weights, tuple(self._matrices(directions[:, columns], 1)))
                pairs = zip(changes, self.shapes, strict=True)
                hessian[:, columns, lane] = np.concatenate([self._coordinates(*pair) for pair in pairs]) / data.rows
        curved: Array = (hessian + hessian.transpose(1, 0, 2)) / 2 + self.l2 * directions[:, :, np.newaxis]
        return curved

    def _changes(self, weights: tuple[Array, ...], along: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the derivative of the gradient of the summed loss along directions, one per panel."""
        (_, v, _), (du, dv, db) = weights, along
        features, targets = self.design.features, self.design.targets
        # The quantities of the gradient, as in `scores` and `backpropagated` …
        active = np.tanh(np.matmul(features, weights[0]))
        bent = 1 - active * active
        p = probabilities(self.scores(features, weights))
        slopes = p - targets
        pulled = np.matmul(slopes, v.transpose(0, 2, 1))

        # … and the derivative of each one along the directions, by the product rule.
        active_change = bent * np.matmul(features, du)
        scores_change = np.matmul(active_change, v) + np.matmul(active, dv) + db
        slopes_change = p * (scores_change - (p * scores_change).sum(axis=-1, keepdims=True))
        pulled_change = np.matmul(slopes_change, v.transpose(0, 2, 1)) + np.matmul(slopes, dv.transpose(0, 2, 1))
        behind_change = pulled_change * bent - 2 * pulled * active * active_change
        return (
            np.matmul(features.T, behind_change),
            np.matmul(active_change.transpose(0, 2, 1), slopes) + np.matmul(active.transpose(0, 2, 1), slopes_change),
            slopes_change.sum(axis=1, keepdims=True),
        )

    def window(self, dim: int) -> Intervals:
        (inputs, units), (_, outputs), _ = self.shapes
        first, second = inputs**-0.5, units**-0.5
        return ((-first, first),) * (inputs * units) + ((-second, second),) * (units * outputs + outputs)

    def default_start(self, dim: int) -> tuple[float, ...]:
        low, high = np.array(self.window(dim)).T
        drawn: list[float] = np.random.default_rng(0).uniform(low, high).tolist()
        return tuple(drawn)
