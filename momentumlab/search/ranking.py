"""Who is ahead: what an objective makes of final losses, iterations and statuses, over one start or many."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Experiment, Objective
from momentumlab.registry import Array
from momentumlab.result import Status

FLOOR = 1e-30
"""A loss nearer to the known minimum than this share of the start's is at the minimum: the loss is quadratic there, and
so a point that is rounded to fifteen digits can hardly come nearer."""

STALLED = 1e-3
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
    target
        The target loss, where one is set: then whoever reaches it has arrived.
    """

    objective: Objective
    known: float
    start_losses: Array
    target: float | None = None

    def heights(self, losses: Array) -> Array:
        """The height of losses above the known minimum, at least what rounding leaves; without one, the loss itself."""
        if np.isnan(self.known):
            return losses
        # fmax: a start without a finite loss has no height, and its trials have diverged.
        floor = np.fmax(FLOOR * (self.start_losses - self.known), np.spacing(abs(self.known)))
        heights: Array = np.fmax(losses - self.known, floor)
        return heights

    def results(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> Array:
        """What the objective sees of each trial, lower is better and infinite is hopeless; all ``(cells, starts)``."""
        if self.objective is Objective.FINAL_LOSS:
            return self.heights(finished(losses, codes))
        return np.where(self.arrived(losses, codes), iterations, np.inf)

    def arrived(self, losses: Array, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Which trials converged to something: with a tiny learning rate the loss stops changing anywhere.

        So the target must be reached or, where none is set, the last of the way to the known minimum must lie behind
        (or, where none is known, a last part of the way that the best of these trials made).
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
        """By what cells are ordered; each of the three matters where those before it are equal or infinite.

        Returns
        -------
        Array
            ``(3, cells)``, lower is better: the median result over the starts, the median height, and the share of
            starts that diverge.
        """
        results = self.results(losses, iterations, codes)
        heights = self.heights(finished(losses, codes))
        diverged = np.mean(codes == Status.DIVERGED.code, axis=1)
        return np.stack([quantile(results, 0.5), quantile(heights, 0.5), diverged])

    def best(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> int:
        """The best cell: of several that are equally good, which are in the order of lr, the middle one.

        Where all diverge from everywhere it is the first, with the lowest lr.
        """
        keys = self.keys(losses, iterations, codes)
        tied = np.arange(keys.shape[1])
        for key in keys:
            tied = tied[key[tied] == key[tied].min()]
        is_hopeless = keys[2, tied[0]] == 1
        return int(tied[0 if is_hopeless else len(tied) // 2])

    def robustness(self, results: Array, best: float) -> float:
        """The share of median results that are within a factor of `WITHIN` of the best.

        Where no minimum is known, a loss has no factor: then those that make at least nine tenths of the best's way.
        """
        if not np.isfinite(best):
            return 0.0
        if np.isnan(self.known) and self.objective is Objective.FINAL_LOSS:
            return float(np.mean(results <= best + (quantile(self.start_losses, 0.5) - best) / WITHIN))
        return float(np.mean(results <= WITHIN * best))


def yardstick_of(experiment: Experiment, objective: Objective) -> Yardstick:
    """The yardstick for trials on the experiment's surface."""
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
    """The quantile of each row (linear between neighbours, as NumPy's), which may hold infinities."""
    if values.shape[-1] == 1:
        return values[..., 0]
    ordered = np.sort(values, axis=-1)
    position = q * (values.shape[-1] - 1)
    low, high = ordered[..., int(np.floor(position))], ordered[..., int(np.ceil(position))]
    with np.errstate(invalid="ignore"):
        between: Array = low + (position - np.floor(position)) * (high - low)
    return np.where(low == high, low, between)


def finished(losses: Array, codes: NDArray[np.int8]) -> Array:
    """The final losses, infinite where a trial diverged."""
    return np.where(codes == Status.DIVERGED.code, np.inf, losses)


def ranks_of(keys: Array) -> NDArray[np.int64]:
    """Ranks from 1; equals share one.

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
