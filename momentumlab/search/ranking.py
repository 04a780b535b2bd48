"""The objective of a search, the best setting under it, and the ranks of optimizers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import DEFAULT_ACCURACY, Experiment, Objective
from momentumlab.parameters import Array
from momentumlab.result import Status

FLOOR = 1e-30
"""A loss closer to the known minimum than this fraction of the initial height counts as the minimum: the loss is
quadratic there, so a point with fifteen correct digits has this height."""

SAMPLES = 1000
"""Number of bootstrap samples that decide ties."""

CONFIDENCE = 0.975
"""An optimizer is better than another if it wins this share of the samples, a two-sided test at 5 %."""

LAST_CHANGES = 100
"""A loss that falls by 1 % per iteration meets the tolerance at this many tolerances above the minimum."""

WITHIN = 10.0
"""A result within this factor of the best counts as good in the robustness."""

SEVERITY = (Status.CONVERGED, Status.MAX_ITERATIONS, Status.DIVERGED)
"""Statuses from the best to the worst."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """How trials on one surface are measured: the objective and what it refers to.

    Attributes
    ----------
    known
        The loss of the known global minimum, or one per cell, ``(cells, 1)``; NaN if it is not known.
    start_losses
        The loss at each start, ``(starts,)``.
    target
        The target loss; if set, a trial that reaches it has solved the problem.
    lowest
        The lowest final loss, ``(starts,)``, which stands for a minimum that is not known; if None, that of the trials
        that are measured.
    accuracy, tolerance
        Without a target, a trial that meets its tolerance has solved the problem if its height above the minimum is at
        most ``accuracy`` times the initial height or `LAST_CHANGES` tolerances; otherwise it has stalled.
    """

    objective: Objective
    known: float | Array
    start_losses: Array
    target: float | None = None
    lowest: Array | None = None
    accuracy: float = DEFAULT_ACCURACY
    tolerance: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether the loss of the minimum is known."""
        return not bool(np.isnan(self.known).any())

    def heights(self, losses: Array) -> Array:
        """Return the height of losses above the known minimum, at least `FLOOR`; without one, the losses themselves."""
        if not self.is_known:
            return losses
        # The floor is also at least one rounding error of the minimum. fmax ignores NaN: a start without a finite loss
        # has no height, and its trials have diverged.
        floor = np.fmax(FLOOR * (self.start_losses - self.known), np.spacing(np.abs(self.known)))
        heights: Array = np.fmax(losses - self.known, floor)
        return heights

    def results(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> Array:
        """Return the objective of each trial, ``(cells, starts)``; lower is better, infinite means unsolved."""
        if self.objective is Objective.ITERATIONS:
            return np.where(self.arrived(losses, codes), iterations, np.inf)
        return self.heights(finished(losses, codes))

    def arrived(self, losses: Array, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which trials converged near the minimum.

        Status *converged* does not suffice, since with a tiny learning rate the loss stops changing anywhere. The loss
        must reach the target or, without one, be near the known minimum or the lowest loss of these trials; see
        ``accuracy``.
        """
        if self.target is not None:
            near = losses <= self.target
        else:
            lowest = self.known if self.is_known else self.lowest
            if lowest is None:
                lowest = finished(losses, codes).min(axis=0)
            with np.errstate(invalid="ignore"):  # lowest is infinite if all trials diverged
                reach = np.fmax(self.accuracy * (self.start_losses - lowest), LAST_CHANGES * self.tolerance)
                near = losses <= lowest + reach
        arrived: NDArray[np.bool_] = (codes == Status.CONVERGED.code) & near
        return arrived

    def keys(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> Array:
        """Return the sort keys of the cells in order of precedence; lower is better.

        Returns
        -------
        Array
            ``(3, cells)``: the objective and the height, both as a quantile over the starts, and the fraction of
            starts that diverge.
        """
        q = self.objective.quantile
        results = quantile(self.results(losses, iterations, codes), q)
        heights = quantile(self.heights(finished(losses, codes)), q)
        return np.stack([results, heights, np.mean(codes == Status.DIVERGED.code, axis=1)])

    def sampled_keys(self, losses: Array, iterations: NDArray[np.int32], codes: NDArray[np.int8]) -> Array:
        """Return the keys of paired bootstrap samples of the starts, ``(samples, 3, cells)``."""
        # Paired: all cells use the same samples, so differences between starts cancel when cells are compared.
        starts = losses.shape[1]
        samples = np.random.default_rng(0).integers(starts, size=(SAMPLES, starts))
        results = self.results(losses, iterations, codes)
        heights = self.heights(finished(losses, codes))
        diverged = codes == Status.DIVERGED.code
        q = self.objective.quantile
        keys = [
            [quantile(own[samples], q), quantile(height[samples], q), ended[samples].mean(axis=1)]
            for own, height, ended in zip(results, heights, diverged, strict=True)
        ]
        return np.moveaxis(np.array(keys), -1, 0).transpose(0, 2, 1)

    def robustness(self, results: Array, best: float) -> float:
        """Return the fraction of median results within a factor of `WITHIN` of the best.

        If no minimum is known, a factor of a loss is meaningless: results then count if they achieve at least nine
        tenths of the decrease of the best result.
        """
        if not np.isfinite(best):
            return 0.0
        if not self.is_known and self.objective is not Objective.ITERATIONS:
            return float(np.mean(results <= best + (quantile(self.start_losses, 0.5) - best) / WITHIN))
        return float(np.mean(results <= WITHIN * best))


def best_cell(keys: Array) -> int:
    """Return the best cell; among equally good ones, the middle one in the order of lr.

    If all trials diverge, return the first cell, which has the lowest lr.
    """
    tied = best_cells(keys)
    return middle_of(tied, all_diverged=keys[-1, tied[0]] == 1)


def best_cells(keys: Array) -> NDArray[np.intp]:
    """Return all cells than which no other is better, in order.

    Parameters
    ----------
    keys
        Sort keys, ``(keys, cells)``; the last is the fraction of starts that diverge.
    """
    tied = np.flatnonzero(keys[0] == keys[0].min())
    for key in keys[1:]:
        tied = tied[key[tied] == key[tied].min()]
    return tied


def middle_of(tied: NDArray[np.intp], *, all_diverged: bool) -> int:
    """Return the middle one of equally good cells in the order of lr; the first, with the lowest lr, if all diverge."""
    return int(tied[0 if all_diverged else len(tied) // 2])


def yardstick_of(experiment: Experiment, objective: Objective, accuracy: float = DEFAULT_ACCURACY) -> Yardstick:
    """Return the measure of trials on the experiment's surface."""
    surface = experiment.first_surface
    with np.errstate(all="ignore"):
        start_losses = surface.value(experiment.starts.array(surface))
        # In the order of trials, replicates vary fastest.
        start_losses = np.repeat(start_losses, experiment.replicates)
    return Yardstick(
        objective=objective,
        known=min(
            (point.loss for point in experiment.shared_minima if point.kind.is_lowest),
            default=np.nan,
        ),
        start_losses=start_losses,
        target=experiment.stopping.target_loss,
        accuracy=accuracy,
        tolerance=experiment.stopping.tolerance or 0.0,
    )


def quantile(values: Array, q: float) -> Array:
    """Return the quantile of each row by linear interpolation, as `numpy.quantile`, which fails for infinities."""
    if values.shape[-1] == 1:
        return values[..., 0]
    ordered = np.sort(values, axis=-1)
    position = q * (values.shape[-1] - 1)
    low, high = ordered[..., int(np.floor(position))], ordered[..., int(np.ceil(position))]
    with np.errstate(invalid="ignore"):
        between: Array = low + (position - np.floor(position)) * (high - low)
    return np.where(low == high, low, between)  # between is NaN where both are infinite


def finished(losses: Array, codes: NDArray[np.int8]) -> Array:
    """Return the final losses, infinite if a trial diverged."""
    return np.where(codes == Status.DIVERGED.code, np.inf, losses)


def ranks_of(keys: Array, samples: Array | None = None) -> NDArray[np.int64]:
    """Return ranks from 1; results that are equal, or that the samples do not separate, share a rank.

    Parameters
    ----------
    keys
        The result of `Yardstick.keys`, ``(3, optimizers)``. A key counts only if all keys before it are infinite.
    samples
        The keys of paired bootstrap samples, ``(samples, 3, optimizers)``. An optimizer shares the rank of the best one
        before it that is not better in `CONFIDENCE` of the samples.
    """

    def without_idle_keys(keys: Array) -> Array:
        """Return keys, ``(…, 3, optimizers)``, with 0 for each one after a finite key."""
        result, height, diverged = np.moveaxis(keys, -2, 0)
        height = np.where(np.isinf(result), height, 0.0)
        return np.stack([result, height, np.where(np.isinf(height), diverged, 0.0)], axis=-2)

    keys = without_idle_keys(keys)
    sampled = None if samples is None else without_idle_keys(samples)
    order = np.lexsort(keys[::-1])
    ranks = np.ones(len(order), dtype=np.int64)
    # Ties are decided against the first of the tied group, not between neighbours: otherwise a chain of small
    # differences would tie the best optimizer with the worst.
    leader = order[0]
    for position, number in enumerate(order.tolist()):
        if sampled is None:
            is_tied = (keys[:, number] == keys[:, leader]).all()
        else:
            is_tied = _share_better(sampled[..., leader], sampled[..., number]) < CONFIDENCE
        if not is_tied:
            leader = number
        ranks[number] = ranks[leader] if is_tied else position + 1
    return ranks


def _share_better(one: Array, other: Array) -> float:
    """Return the share of samples, ``(samples, 3)``, in which one is better than the other; equal ones count half."""
    differs = one != other
    first = differs.argmax(axis=1)  # the first key that differs decides
    rows = np.arange(len(one))
    better = one[rows, first] < other[rows, first]
    return float(np.mean(np.where(differs.any(axis=1), better, 0.5)))
