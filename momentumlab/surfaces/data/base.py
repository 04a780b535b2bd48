"""Base class of losses over the rows of a table: parameters, mini-batches, and lanes in panels of fixed width."""

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from momentumlab.datasets.builtin import BUILT_IN
from momentumlab.datasets.design_matrix import DesignMatrix, DesignOptions, design_matrix
from momentumlab.errors import ConfigError
from momentumlab.noise import random_stream
from momentumlab.parameters import Array, ValueKind, parameter
from momentumlab.surfaces.base import Intervals, Surface, sum_coordinates

PANEL = 8
"""Lanes per panel, for models in which each lane is one column of a matrix product."""

PANEL_BYTES = 2**21
"""Size limit of intermediate arrays; a single panel may exceed it."""

WIDEST = 1e3
"""Largest default half-width of the view window."""

STREAM = 2
"""The purpose of the random streams of mini-batches; see `random_stream`."""

LARGEST_SOLVED = 2000
"""Largest dimension in which the minimum is computed: each step solves a linear system of this size."""


@dataclass(frozen=True, kw_only=True)
class DataSurface(Surface):
    """The mean loss over the rows of a table, plus ``l2/2`` times the sum of squares of all coordinates.

    Matrix products use BLAS, whose rounding of a column depends on the shape of the matrix. Lanes are therefore
    computed in panels of a fixed shape, the last one padded with zeros. The result of a lane does not depend on the
    other lanes.
    """

    data: str = parameter("", is_path=True, choices=BUILT_IN, doc="CSV or NPZ file, or built-in data set")
    target: str = parameter("", doc="target column; empty: last column (CSV), y (NPZ)")
    ignore: str = parameter("", kind=ValueKind.NAMES, doc="columns to ignore, separated by commas")
    standardise: bool = parameter(True, doc="scale each feature to mean 0 and variance 1")
    intercept: bool = parameter(True, doc="add a constant feature of 1")
    missing: str = parameter(
        "error", choices=("error", "drop", "mean"), doc="missing values: drop their rows, or use the mean of the column"
    )
    encode: str = parameter(
        "error", choices=("error", "onehot"), doc="columns of words: onehot makes an indicator column per word"
    )
    validation: float = parameter(0.0, ge=0, lt=1, shared=True, doc="fraction of the rows held out for validation")
    l2: float = parameter(0.0, ge=0, shared=True, doc="L2 penalty: adds l2/2 |w|²")
    batch_size: float = parameter(0.0, ge=0, shared=True, doc="rows per mini-batch; 0: all rows")

    outputs: ClassVar[str] = "classes"
    dimension = None
    is_formula = False
    view = ((-1.0, 1.0),)
    start = (0.0,)

    @cached_property
    def design(self) -> DesignMatrix:
        """The data, read and validated.

        Raises
        ------
        ConfigError
            If the settings or the file are invalid (see `momentumlab.datasets.design_matrix`).
        """
        return design_matrix(
            DesignOptions(
                data=self.data,
                target=self.target,
                ignore=self.ignore,
                standardise=self.standardise,
                intercept=self.intercept,
                outputs=self.outputs,
                missing=self.missing,
                encode=self.encode,
                validation=self.validation,
            )
        )

    @property
    def required_dimension(self) -> int:
        """Number of coordinates, which depends on the data; reads the data.

        Raises
        ------
        ConfigError
            If the settings or the file are invalid.
        """
        if self.batch_size:
            whole("batch_size", self.batch_size, self.design.rows)
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    @abstractmethod
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of the weight matrices; their entries, row by row, are the coordinates."""

    @property
    def is_classifier(self) -> bool:
        """Whether the model is a classifier and has an accuracy."""
        return self.outputs != "number"

    @property
    def work(self) -> int:
        return self.design.rows * self.required_dimension

    @property
    def is_sampled(self) -> bool:
        return self.batch_size > 0

    @property
    def batches(self) -> int:
        """Number of mini-batches per epoch."""
        return -(-self.design.rows // int(self.batch_size or self.design.rows))

    # Scores are the outputs of the model for each row. The first axis of all arrays is the panels, the last one the
    # columns of a panel: its outputs, or its lanes if there is only one output.

    @abstractmethod
    def scores(self, features: Array, weights: tuple[Array, ...]) -> Array:
        """Return the scores, ``(panels, rows, columns)``, of ``(rows, features)`` or ``(panels, rows, features)``."""

    @abstractmethod
    def backpropagated(self, features: Array, weights: tuple[Array, ...], slopes: Array) -> tuple[Array, ...]:
        """Return the gradient with respect to each weight matrix, given the derivatives with respect to the scores."""

    @abstractmethod
    def row_losses(self, scores: Array, targets: Array) -> Array:
        """Return the loss of each row, ``(panels, rows, lanes of a panel)``."""

    @abstractmethod
    def slopes(self, scores: Array, targets: Array) -> Array:
        """Return the derivatives of the row losses with respect to the scores."""

    def is_correct(self, scores: Array, targets: Array) -> NDArray[np.bool_]:
        """Return which rows are classified correctly, ``(panels, rows, lanes of a panel)``."""
        return (scores.argmax(axis=-1) == targets.argmax(axis=-1))[..., np.newaxis]

    def value(self, x: Array) -> Array:
        return self._mean(self.row_losses, x, self.design) + self.l2 / 2 * sum_coordinates(x * x)

    def gradient(self, x: Array) -> Array:
        return self._gradient(x, self.design.features, self.design.targets)

    def _gradient(self, x: Array, features: Array, targets: Array) -> Array:
        blocks = []
        for weights in self._panels(x):
            slopes = self.slopes(self.scores(features, weights), targets)
            matrices = self.backpropagated(features, weights, slopes / features.shape[-2])
            parts = [self._coordinates(each, shape) for each, shape in zip(matrices, self.shapes, strict=True)]
            blocks.append(np.concatenate(parts, axis=0))
        gradient = np.concatenate(blocks, axis=1)[:, : x.shape[1]]  # without the padding of the last panel
        return np.ascontiguousarray(gradient) + self.l2 * x

    def sampled_gradient(self, x: Array, k: Array | int, replicate: NDArray[np.int64], seed: int) -> Array:
        """Return the gradient of a mini-batch; see `Surface.sampled_gradient`.

        The rows are shuffled in each epoch. The last batch of an epoch contains the remaining rows.
        """
        if not self.is_sampled:
            return self.gradient(x)
        data = self.design
        epochs, batches = np.divmod(np.broadcast_to(np.asarray(k, dtype=np.int64), replicate.shape), self.batches)
        # Lanes with the same replicate, epoch and batch have the same rows, and are computed together.
        keys, lane_keys = np.unique(np.stack([replicate, epochs, batches]), axis=1, return_inverse=True)
        gradient = np.empty_like(x)
        for key, (one, epoch, batch) in enumerate(keys.T.tolist()):
            begin = batch * int(self.batch_size)
            rows = _order(data.rows, seed, one, epoch)[begin : begin + int(self.batch_size)]
            lanes = np.flatnonzero(lane_keys.ravel() == key)
            gradient[:, lanes] = self._gradient(x[:, lanes], data.features[rows], data.targets[rows])
        return gradient

    def accuracy(self, x: Array, data: DesignMatrix | None = None) -> Array:
        """Return the fraction of rows that are classified correctly: ``(dim, lanes) -> (lanes,)``.

        If two classes are equally probable, the first one is predicted.

        Parameters
        ----------
        x
            The weights, ``(dim, lanes)``.
        data
            The rows; by default the training rows.

        Raises
        ------
        NotImplementedError
            If the target is numeric.
        """
        if not self.is_classifier:
            raise NotImplementedError(f"{self.name} is not a classifier and has no accuracy")
        return self._mean(self.is_correct, x, data or self.design)

    def row_loss(self, x: Array, data: DesignMatrix) -> Array:
        """Return the mean loss of some rows without the L2 penalty: ``(dim, lanes) -> (lanes,)``."""
        return self._mean(self.row_losses, x, data)

    def _mean(self, of_rows: Callable[[Array, Array], NDArray[Any]], x: Array, data: DesignMatrix) -> Array:
        """Return the mean over rows of a quantity that depends on the scores and the target of a row."""
        means = [
            of_rows(self.scores(data.features, weights), data.targets).sum(axis=1).reshape(-1) / data.rows
            for weights in self._panels(x)
        ]
        return np.concatenate(means)[: x.shape[1]]  # without the padding of the last panel

    @property
    def _lanes_of_panel(self) -> int:
        """Lanes per panel: several if a lane is one column, and one if it is a matrix of its own."""
        return PANEL if len(self.shapes) == 1 and self.shapes[0][1] == 1 else 1

    def _panels(self, x: Array) -> Iterator[tuple[Array, ...]]:
        """Yield the weight matrices, ``(panels, rows, columns)`` each, a block of panels at a time."""
        dim, lanes = x.shape
        width = self._lanes_of_panel
        panels = -(-lanes // width)
        if panels * width > lanes:
            x = np.concatenate([x, np.zeros((dim, panels * width - lanes), dtype=x.dtype)], axis=1)
        widest = max(columns for _, columns in self.shapes) * width
        together = max(1, PANEL_BYTES // (x.itemsize * self.design.rows * widest))
        for first in range(0, panels, together):
            part = x[:, first * width : (first + together) * width]
            yield tuple(self._matrices(part, width))

    def _matrices(self, part: Array, width: int) -> Iterator[Array]:
        """Yield each weight matrix of some lanes, ``(panels, rows, columns)``; the columns of a lane are adjacent."""
        begin = 0
        for rows, columns in self.shapes:
            block = part[begin : begin + rows * columns].reshape(rows, columns, -1, width)
            yield np.ascontiguousarray(block.transpose(2, 0, 1, 3).reshape(-1, rows, columns * width))
            begin += rows * columns

    def _coordinates(self, matrices: Array, shape: tuple[int, int]) -> Array:
        """Return the coordinates of matrices, ``(rows · columns, lanes)``; the inverse of `_matrices`."""
        width = self._lanes_of_panel
        return matrices.reshape(-1, *shape, width).transpose(1, 2, 0, 3).reshape(shape[0] * shape[1], -1)

    def default_start(self, dim: int) -> tuple[float, ...]:
        return (0.0,) * dim

    def window(self, dim: int) -> Intervals:
        """Return a window centred at zero, half again as wide as needed to contain the known minima."""
        farthest = max((abs(c) for point in self.minima(dim) for c in point.point), default=1.0)
        reach = min(max(1.0, float(f"{1.5 * farthest:.1g}")), max(WIDEST, 1.1 * farthest))
        return ((-reach, reach),) * dim


@functools.lru_cache(maxsize=64)
def _order(rows: int, seed: int, replicate: int, epoch: int) -> NDArray[np.int32]:
    """Return the order of the rows in an epoch of a replicate."""
    return random_stream(seed, replicate, epoch, STREAM).permutation(rows).astype(np.int32)


def whole(name: str, value: Any, most: float) -> int:
    """Return a parameter that must be a positive integer.

    Raises
    ------
    ConfigError
        If it is not an integer from 1 to ``most``.
    """
    if not 1 <= value <= most or value != int(value):
        message = f"{value:g} is not an integer from 1 to {most:,.0f}"
        raise ConfigError.at(name, message)
    return int(value)
