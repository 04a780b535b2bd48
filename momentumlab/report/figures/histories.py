"""A number against the iteration, drawn as one curve per trial or per bundle of trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from momentumlab.parameters import Array
from momentumlab.report.figures.trials import ShownTrial
from momentumlab.result import Result, Status
from momentumlab.search.ranking import quantile

MAX_VALUE = 1e100
"""Larger numbers are drawn at this value."""

FEW_ENTRIES = 31
"""Curves of at most this many entries have markers."""

BINS = 500
"""A trial of more than three times as many entries is drawn as the range and median of its values in each bin."""

MAX_SINGLE = 20
"""Members of a bundle are drawn behind its median if there are at most this many starts, …"""

SINGLE_REPLICATES = 3
"""… or this many replicates."""

OUTLIER, SPIKE = 20.0, 6.0
"""Curves are cut where they exceed the median peak of all curves, or what is usual for a curve, by these factors."""

WORTHWHILE = 3.0
"""Curves are cut only if the others are then drawn larger by more than this factor."""

GROWTH = 1e3
"""A curve grows without bound if its peak is at its end and exceeds its first tenth by this factor."""

DECAYED, FEW_ACTIVE = 1e-4, 5
"""Entries below this share of the peak have decayed; this many entries before are too few to be typical."""

Limits = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class HistoryCurve:
    """The history of one number: of a single trial, or of a bundle as its median and quartiles.

    Attributes
    ----------
    one
        The trial, or the first of the bundle, with the look of the curve.
    iterations
        The recorded iterations of the longest member, ``(entries,)``.
    values
        The values of the trial or the medians of the bundle, ``(entries,)``.
    quartiles
        First and third quartile, ``(entries,)`` each; ``None`` for a single trial.
    members
        Members that are drawn behind the median, ``(members, entries)``; NaN where they have ended.
    diverges
        Whether the trial diverged, or so many members that the median is not finite.
    """

    one: ShownTrial
    iterations: NDArray[np.int64]
    values: Array
    quartiles: tuple[Array, Array] | None
    members: Array
    diverges: bool

    @property
    def is_long(self) -> bool:
        """Whether the curve shows the range and the median of the values in bins."""
        return self.quartiles is None and len(self.values) > 3 * BINS

    @property
    def grows(self) -> bool:
        """Whether the curve diverges or grows so much that it would hide all others on a linear scale."""
        heights, tenth = np.abs(self.values), max(1, len(self.values) // 10)
        at_end = heights[-tenth:].max() == heights.max()
        return self.diverges or bool(at_end and heights.max() > GROWTH * heights[: tenth + 1].max())

    def draw(self, panel: Axes, limits: Limits | None = None) -> None:
        """Draw the curve with its quartiles and members."""
        iterations, values, band = self.iterations, self.values, self.quartiles
        if limits and self.grows and band is None:
            # The oscillations of a diverging trial would cover all other curves.
            beyond = np.flatnonzero((values < limits[0]) | (values > limits[1]))
            values = np.where(np.arange(len(values)) <= (beyond[0] if len(beyond) else len(values)), values, np.nan)
        if self.is_long:
            # Whole bins; the last one is filled up with the last value.
            size = math.ceil(len(values) / BINS)
            binned = np.pad(values, (0, -len(values) % size), mode="edge").reshape(-1, size)
            iterations = np.pad(iterations, (0, -len(values) % size), mode="edge").reshape(-1, size).mean(axis=1)
            values, band = np.median(binned, axis=1), (binned.min(axis=1), binned.max(axis=1))
        if band is not None:
            panel.fill_between(
                iterations, *band, color=self.one.color, alpha=0.3 if self.is_long else 0.18, linewidth=0, zorder=1.5
            )
        if len(self.members):
            # All members as one line, with a gap after each: a line of its own for each takes longer.
            gaps = np.pad(self.members, ((0, 0), (0, 1)), constant_values=np.nan)
            x = np.broadcast_to(np.append(iterations, iterations[-1]), gaps.shape)
            panel.plot(x.ravel(), gaps.ravel(), color=self.one.color, linewidth=0.6, alpha=0.35, zorder=1.8)
        has_markers = band is None and len(values) <= FEW_ENTRIES
        look = {**self.one.line, "linewidth": 1.0} if self.is_long else self.one.line
        panel.plot(iterations, values, marker="o" if has_markers else "", markersize=3.0, **look)


def curve_of(result: Result, one: ShownTrial, values: Array, *, with_members: bool = True) -> HistoryCurve:
    """Return the history of a trial or bundle.

    Members that have ended keep their last value, or `MAX_VALUE` if they diverged, so that medians and quartiles cover
    the same trials in each iteration.

    Parameters
    ----------
    result
        The result with the trials.
    one
        The trial or bundle.
    values
        A number per entry for each member, ``(members, entries)``.
    with_members
        Whether some members of a bundle are drawn behind its median.
    """
    numbers = np.array(one.members)
    iterations = result.recorded(int(numbers[result.iterations[numbers].argmax()]))
    own = np.clip(values[:, : len(iterations)], -MAX_VALUE, MAX_VALUE)
    if len(numbers) == 1:
        return HistoryCurve(
            one=one,
            iterations=iterations,
            values=np.nan_to_num(own[0], nan=MAX_VALUE),
            quartiles=None,
            members=own[:0],
            diverges=one.diverged,
        )
    filled = own.copy()
    for row, number in zip(filled, numbers.tolist(), strict=True):
        length = len(result.recorded(number))
        row[:length] = np.nan_to_num(row[:length], nan=MAX_VALUE)
        row[length:] = MAX_VALUE if result.status_of(number) is Status.DIVERGED else row[length - 1]
    low, median, high = (quantile(filled.T, share) for share in (0.25, 0.5, 0.75))
    shown = SINGLE_REPLICATES if result.experiment.replicates > 1 else MAX_SINGLE
    return HistoryCurve(
        one=one,
        iterations=iterations,
        values=median,
        quartiles=(low, high),
        members=own[: shown if with_members else 0],
        diverges=bool(np.abs(median[-1]) >= MAX_VALUE),
    )


def limits_of(curves: Sequence[HistoryCurve], *, log: bool = False) -> Limits | None:
    """Return limits that keep curves legible beside others that diverge, grow or jump; ``None`` for no limits."""
    kept = [curve for curve in curves if not (curve.diverges if log else curve.grows)]
    values = [curve.values[np.isfinite(curve.values)] for curve in kept]
    values = [each for each in values if len(each)]
    if not values:
        return None
    is_complete = len(values) == len(curves) and not any(curve.one.diverged for curve in curves)
    quartiles = [each for curve in kept for each in curve.quartiles or () if abs(each[-1]) < MAX_VALUE]
    everything = np.concatenate([*values, *quartiles])
    if log:
        return None if is_complete else (float(everything.min()) / 3, float(everything.max()) * 100)

    # A curve may exceed the median peak by a factor, and its own usual height (or the median of these) by another.
    # Heights are usual over the entries in which some curve has not decayed.
    heights = [np.abs(each) for each in values]
    peaks = np.array([each.max() for each in heights])
    active = max(int((each > DECAYED * each.max()).sum()) for each in heights)
    usual = np.array([np.quantile(each[: active if active > FEW_ACTIVE else None], 0.9) for each in heights])
    spikes = np.minimum(peaks, SPIKE * np.maximum(usual, np.median(usual)))
    allowed = min(OUTLIER * float(np.median(peaks)), float(spikes.max()))
    if peaks.max() <= WORTHWHILE * allowed:
        allowed = peaks.max()
        if is_complete:
            return None
    if not quartiles:
        everything = np.clip(everything, -allowed, allowed)
    margin = 0.06 * float(np.ptp(everything)) or 1.0
    return float(everything.min()) - margin, float(everything.max()) + margin


def envelope(heights: Array, iterations: NDArray[np.int64], rate: float) -> Array:
    """Return the multiple of ``rate ** iterations`` that touches the second half of a curve from above."""
    counted = np.flatnonzero(heights > 1e-14 * heights.max(initial=0.0))
    later = counted[len(counted) // 2 :]
    if not len(later) or rate <= 0:
        return np.full(len(heights), np.nan)
    powers = iterations * math.log(rate)
    offset = float((np.log(heights[later]) - powers[later]).max())
    touching: Array = np.exp(np.minimum(offset + powers, 700.0))
    return touching


def set_iterations(panels: Sequence[Axes], result: Result, shown: Sequence[ShownTrial]) -> None:
    """Show all iterations of the longest trial."""
    last = max(1, *(int(result.iterations[np.array(one.members)].max()) for one in shown))
    for panel in panels:
        panel.set_xlim(-0.03 * last, 1.03 * last)


def bundle_remark(result: Result, shown: Sequence[ShownTrial], *, with_members: bool = True) -> str:
    """Return what the lines and bands of bundles show; nothing for single trials."""
    size, replicates = len(shown[0].members), result.experiment.replicates
    if size == 1:
        return ""
    several = "trials"
    if size == replicates:
        several = "replicates"
    elif replicates == 1:
        several = "starts"
    faint = ", faint: single trials" if with_members else ""
    return f"lines: medians of {size} {several}, bands: quartiles{faint}"
