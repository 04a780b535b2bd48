"""Curves of settings that were tried several times: medians and quartiles over replicates, and a few single paths."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.courses import PITCH, draw_courses, scheduled_names
from momentumlab.report.figures.curves import FAR, FLOOR, MOST_COORDINATES, coordinate_name, finish, head_height
from momentumlab.report.figures.selection import Shown, join, selection, selection_remark
from momentumlab.report.reports import Report
from momentumlab.result import Result, Status
from momentumlab.search.ranking import quantile

SINGLES = 3
"""So many single paths are drawn behind each median."""

NOTHING: Array = np.empty(0)

TOLD = "lines: medians, bands: quartiles, faint: single paths"


def replicated_velocity_figure(report: Report, *, theory: bool = False) -> Figure:
    """The velocity against the iteration, a panel per coordinate: for each setting the median and the quartiles.

    With ``theory`` it says that it has none of velocities. What follows a schedule has a thin panel of its own below.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    result = report.result
    shown = selection(report)
    coordinates = min(result.plan.dimension, MOST_COORDINATES)
    more = result.plan.dimension > MOST_COORDINATES
    remark = join(
        TOLD,
        f"the first {MOST_COORDINATES} of {result.plan.dimension} coordinates" if more else "",
        "theory speaks of losses alone, see loss.png" if theory else "",
        selection_remark(report),
    )
    with style.styled():
        scheduled = scheduled_names(result, shown)
        margins = style.Margins(
            left=1.0,
            top=head_height(shown, coordinates, remark) + 0.35,
            bottom=0.6 + (0.12 + PITCH * len(scheduled) if scheduled else 0.0),
            between_columns=0.75,
        )
        figure, panels = style.panels(1, coordinates, 4.6 if coordinates < 3 else 3.6, 3.0, margins, sharex=True)
        for coordinate, panel in enumerate(panels):
            panel.axhline(0, color="#999999", linewidth=0.8, zorder=0)
            medians = []
            for one in shown:
                velocities = result.velocities[report.replicates_of(one.number), :, coordinate]
                medians.append(_draw_band(panel, report, one, _drawable(velocities)))
            calm = _calm(shown, medians)
            if any(one.diverged for one in shown) and len(calm):
                panel.set_ylim(1.5 * float(calm.min()), 1.5 * float(calm.max()))
            style.plain_ticks(panel, whole_x=True)
            panel.set_title(f"velocity along {coordinate_name(coordinate, result.plan.dimension)}", loc="left")
        panels[0].set_ylabel("velocity v  (x moves by −lr · v)")
        finish(figure, panels, shown, report.title, remark)
        draw_courses(figure, result, shown, scheduled, bottom=0.6)
    return figure


def replicated_loss_figure(report: Report, *, theory: bool = False) -> Figure:
    """The loss against the iteration, above the lowest known minimum if there is one: medians and quartiles.

    With ``theory``, dotted lines stand at the mean loss to which theory says that noise keeps each setting.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    result = report.result
    shown = selection(report)
    lowest = [_lowest_minimum(result, one) for one in shown]
    above = all(np.isfinite(lowest))
    floors = [report.floors[one.number].predicted for one in shown] if theory and report.floors else []
    has_floor = any(floor is not None for floor in floors)
    told = "dotted: the mean loss that theory predicts" if has_floor else "theory does not apply"
    remark = join(TOLD, told if theory else "", selection_remark(report))
    with style.styled():
        margins = style.Margins(left=0.95, top=head_height(shown, 1, remark) + 0.15)
        figure, (panel,) = style.panels(1, 1, 6.4, 3.6, margins)
        medians = []
        for one, base in zip(shown, lowest, strict=True):
            losses = _drawable(result.losses[report.replicates_of(one.number)])
            losses = np.maximum(losses - base, FLOOR * abs(float(losses[0, 0]) - base)) if above else losses
            medians.append(_draw_band(panel, report, one, losses))
        for one, floor in zip(shown, floors, strict=False):
            if floor is not None and above:
                panel.axhline(floor, color=one.color, linestyle=":", linewidth=1.2)
        style.plain_ticks(panel, whole_x=True)
        calm = _calm(shown, medians)
        if any(one.diverged for one in shown) and len(calm):
            panel.set_ylim(float(calm.min()) / 3, 30 * float(calm.max()))
        if above and len(calm) and calm.min() > 0:
            style.log_scale(panel)
            panel.grid(True, axis="y")
        known = result.experiment.first_surface.minima_are
        panel.set_ylabel(f"loss above the {known} minimum" if above else "loss")
        finish(figure, [panel], shown, report.title, remark)
    return figure


def _draw_band(panel: Axes, report: Report, one: Shown, values: Array) -> Array:
    """Median and quartiles of ``(replicates, entries)``, and the first few of them; the median."""
    numbers = report.replicates_of(one.number)
    entries, filled = _until_the_longest(report.result, numbers, values)
    low, median, high = (quantile(filled.T, share) for share in (0.25, 0.5, 0.75))
    panel.fill_between(entries, low, high, color=one.color, alpha=0.18, linewidth=0, zorder=1.5)
    for line in values[:SINGLES, : len(entries)]:
        panel.plot(entries, line, color=one.color, linewidth=0.6, alpha=0.35, zorder=1.8)
    panel.plot(entries, median, color=one.color, linestyle=one.line_style, linewidth=1.5)
    return median


def _until_the_longest(result: Result, numbers: NDArray[np.int64], values: Array) -> tuple[NDArray[np.int64], Array]:
    """The iterations of the longest path; what has ended stays where it was, or far off if it diverged."""
    filled = values.copy()
    for line, number in zip(filled, numbers.tolist(), strict=True):
        length = len(result.recorded(number))
        line[length:] = FAR if result.status_of(number) is Status.DIVERGED else line[length - 1]
    entries = result.recorded(int(numbers[result.iterations[numbers].argmax()]))
    return entries, filled[:, : len(entries)]


def _calm(shown: Sequence[Shown], medians: Sequence[Array]) -> Array:
    """All numbers of the medians of settings that do not diverge."""
    return np.concatenate([NOTHING, *(curve for one, curve in zip(shown, medians, strict=True) if not one.diverged)])


def _drawable(values: Array) -> Array:
    drawable: Array = np.where(np.isnan(values), np.nan, np.clip(values, -FAR, FAR))
    return drawable


def _lowest_minimum(result: Result, one: Shown) -> float:
    minima = result.plan.surface_of(one.number).minima(result.plan.dimension)
    return min((point.loss for point in minima), default=float("nan"))
