"""Objectives: the value of final losses, iterations and statuses, the best setting, and ranks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Experiment, Objective
from momentumlab.registry import Array
from momentumlab.result import Status

FLOOR = 1e-30
"""A loss closer to the known minimum than this fraction of the initial height counts as the minimum: the loss is
quadratic there, and a point with fifteen correct digits cannot get closer."""

STALLED = 1e-3
"""A trial that meets a tolerance above this fraction of its initial height has stalled."""

WITHIN = 10.0
"""A result within this factor of the best counts as equally good for the robustness."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """The measure of trials on one surface, for each start.

    Attributes
    ----------
    known
        The loss of the known global minimum; NaN if none is known.
    start_losses
        ``(starts,)``
    target
        The target loss; if set, a trial that reaches it has solved the problem.
    """

    objective: Objective
    known: float
    start_losses: Array
    target: float | None = None

    def heights(self, losses: Array) -> Array:
        """Return the height of losses above the known minimum, at least `FLOOR`; without one, the losses themselves."""
        if np.isnan(self.known):
            return losses
        # fmax: a start without a finite loss has no height, and its trials have diverged.
        floor = np.fmax(FLOOR * (self.start_losses - self.known), np.spacing(abs(self.known)))
        heights: Array = np.fmax(losses - self.known, floor)
        return heights

    def results(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> Array:
        """Return the objective of each trial, lower is better; infinite if unsolved. All ``(cells, starts)``."""
        if self.objective is Objective.FINAL_LOSS:
            return self.heights(finished(losses, codes))
        return np.where(self.arrived(losses, codes), iterations, np.inf)

    def arrived(self, losses: Array, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which trials converged near the minimum: with a tiny learning rate the loss stops changing anywhere.

        The loss must reach the target or, without a target, be within `STALLED` of the initial height above the known
        minimum (without one, above the lowest loss of these trials).
        """
        if self.target is not None:
            near = losses <= self.target
        else:
            lowest = finished(losses, codes).min(axis=0) if np.isnan(self.known) else self.known
            with np.errstate(invalid="ignore"):  # lowest is infinite if all trials diverged
                near = losses <= lowest + STALLED * (self.start_losses - lowest)
        arrived: NDArray[np.bool_] = (codes == Status.CONVERGED.code) & near
        return arrived

    def keys(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> Array:
        """Return the sort keys of the cells; each one decides if those before it are equal or infinite.

        Returns
        -------
        Array
            ``(3, cells)``, lower is better: the median objective over the starts, the median height, and the fraction
            of starts that diverge.
        """
        results = self.results(losses, iterations, codes)
        heights = self.heights(finished(losses, codes))
        diverged = np.mean(codes == Status.DIVERGED.code, axis=1)
        return np.stack([quantile(results, 0.5), quantile(heights, 0.5), diverged])

    def best(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> int:
        """Return the best cell; of several equally good cells, which are in the order of lr, the middle one.

        If all trials diverge it is the first, with the lowest lr.
        """
        keys = self.keys(losses, iterations, codes)
        tied = np.arange(keys.shape[1])
        for key in keys:
            tied = tied[key[tied] == key[tied].min()]
        all_diverged = keys[2, tied[0]] == 1
        return int(tied[0 if all_diverged else len(tied) // 2])

    def robustness(self, results: Array, best: float) -> float:
        """Return the fraction of median results within a factor of `WITHIN` of the best.

        If no minimum is known, a factor of a loss is meaningless: then results count that make at least nine tenths of
        the best result's decrease.
        """
        if not np.isfinite(best):
            return 0.0
        if np.isnan(self.known) and self.objective is Objective.FINAL_LOSS:
            return float(np.mean(results <= best + (quantile(self.start_losses, 0.5) - best) / WITHIN))
        return float(np.mean(results <= WITHIN * best))


def yardstick_of(experiment: Experiment, objective: Objective) -> Yardstick:
    """Return the measure of trials on the experiment's surface."""
    surface = experiment.first_surface
    with np.errstate(all="ignore"):
        start_losses = surface.value(experiment.starts.array(surface.window(experiment.dimension)))
        start_losses = np.repeat(start_losses, experiment.replicates)
    return Yardstick(
        objective=objective,
        known=min(
            (point.loss for point in experiment.shared_minima if point.kind.is_lowest),
            default=np.nan,
        ),
        start_losses=start_losses,
        target=experiment.stopping.target_loss,
    )


def quantile(values: Array, q: float) -> Array:
    """Return the quantile of each row by linear interpolation, as NumPy does; rows may hold infinities."""
    if values.shape[-1] == 1:
        return values[..., 0]
    ordered = np.sort(values, axis=-1)
    position = q * (values.shape[-1] - 1)
    low, high = ordered[..., int(np.floor(position))], ordered[..., int(np.ceil(position))]
    with np.errstate(invalid="ignore"):
        between: Array = low + (position - np.floor(position)) * (high - low)
    return np.where(low == high, low, between)


def finished(losses: Array, codes: NDArray[np.int8]) -> Array:
    """Return the final losses, infinite if a trial diverged."""
    return np.where(codes == Status.DIVERGED.code, np.inf, losses)


def ranks_of(keys: Array) -> NDArray[np.int64]:
    """Return ranks from 1; equal results share a rank.

    Parameters
    ----------
    keys
        ``(3, optimizers)``, as `Yardstick.keys` gives them. A key counts only between those for which all before it
        are infinite.
    """
    result, height, diverged = keys
    height = np.where(np.isinf(result), height, 0.0)
    diverged = np.where(np.isinf(height), diverged, 0.0)
    rows = list(zip(result.tolist(), height.tolist(), diverged.tolist(), strict=True))
    return np.array([1 + sum(other < row for other in rows) for row in rows])
