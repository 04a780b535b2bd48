"""Who is ahead: what an objective makes of final losses, iterations and statuses, over one start or many."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.catalogue import Array
from momentumlab.experiment import Objective
from momentumlab.result import Status

FLOOR = 1e-30
"""A loss nearer to the known minimum than this share of the start's is at the minimum: the loss is quadratic there, and
so a point that is rounded to fifteen digits can hardly come nearer."""

STALLED = 1e-2
"""A trial that meets a tolerance farther than this share of the way from the minimum has stalled, not arrived."""

WITHIN = 10.0
"""A result is as good as the best where it is within this factor of it."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """By what trials on one surface are measured, start by start.

    Attributes
    ----------
    known
        The loss of the known global minimum; NaN where none is known.
    start_losses
        ``(starts,)``
    targeted
        The trials end at a target loss, so that whoever converges has arrived, however slow it was.
    """

    objective: Objective
    known: float
    start_losses: Array
    targeted: bool = False

    def heights(self, losses: Array) -> Array:
        """The height of losses above the known minimum, at least what rounding leaves; without one, the loss itself."""
        if np.isnan(self.known):
            return losses
        floor = np.maximum(FLOOR * (self.start_losses - self.known), np.spacing(abs(self.known)))
        heights: Array = np.maximum(losses - self.known, floor)
        return heights

    def results(self, losses: Array, iterations: NDArray[np.int64], codes: NDArray[np.int8]) -> Array:
        """What the objective sees of each trial, lower is better and infinite is hopeless; all ``(cells, starts)``."""
        if self.objective is Objective.FINAL_LOSS:
            return np.where(codes == Status.DIVERGED.code, np.inf, self.heights(losses))
        return np.where(self.arrived(losses, codes), iterations, np.inf)

    def arrived(self, losses: Array, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Which trials converged to something: with a tiny learning rate the loss stops changing anywhere.

        So where no target loss is set, the last of the way to the known minimum must lie behind, too (or, where none is
        known, a last part of the way that the best of these trials made).
        """
        converged: NDArray[np.bool_] = codes == Status.CONVERGED.code
        if self.targeted:
            return converged
        valid = np.where(codes == Status.DIVERGED.code, np.inf, losses)
        lowest = valid.min(axis=0) if np.isnan(self.known) else self.known
        arrived: NDArray[np.bool_] = converged & (losses <= lowest + STALLED * (self.start_losses - lowest))
        return arrived

    def keys(self, losses: Array, iterations: NDArray[np.int64], codes: NDArray[np.int8]) -> tuple[Array, Array]:
        """The median result of each cell over its starts; and the median height, by which the hopeless are told apart.

        Returns
        -------
        result, height
            ``(cells,)`` each, lower is better.
        """
        results = self.results(losses, iterations, codes)
        heights = np.where(codes == Status.DIVERGED.code, np.inf, self.heights(losses))
        return quantile(results, 0.5), quantile(heights, 0.5)

    def best(self, losses: Array, iterations: NDArray[np.int64], codes: NDArray[np.int8]) -> int:
        """The best cell: of several that are equally good, which are in the order of lr, the middle one."""
        result, height = self.keys(losses, iterations, codes)
        if not np.isfinite(height).any():
            return 0
        tied = np.flatnonzero(result == result.min())
        tied = tied[height[tied] == height[tied].min()]
        return int(tied[len(tied) // 2])

    def robustness(self, results: Array, best: float) -> float:
        """The share of median results that are within a factor of `WITHIN` of the best.

        Where no minimum is known, a loss has no factor: then those that make at least nine tenths of the best's way.
        """
        if not np.isfinite(best):
            return 0.0
        if np.isnan(self.known) and self.objective is Objective.FINAL_LOSS:
            return float(np.mean(results <= best + (quantile(self.start_losses, 0.5) - best) / WITHIN))
        return float(np.mean(results <= WITHIN * best))


def quantile(values: Array, q: float) -> Array:
    """The quantile of each row (linear between neighbours, as NumPy's), which may hold infinities."""
    ordered = np.sort(values, axis=-1)
    position = q * (values.shape[-1] - 1)
    low, high = ordered[..., int(np.floor(position))], ordered[..., int(np.ceil(position))]
    with np.errstate(invalid="ignore"):
        between: Array = low + (position - np.floor(position)) * (high - low)
    return np.where(low == high, low, between)


def ranks_of(result: Array, height: Array) -> NDArray[np.int64]:
    """Ranks from 1; equals share one. The height counts only between those whose result is infinite.

    Parameters
    ----------
    result, height
        ``(contestants,)``, as `Yardstick.keys` gives them.
    """
    height = np.where(np.isinf(result), height, 0.0)
    better = (result[:, np.newaxis] > result) | ((result[:, np.newaxis] == result) & (height[:, np.newaxis] > height))
    ranks: NDArray[np.int64] = better.sum(axis=1) + 1
    return ranks
