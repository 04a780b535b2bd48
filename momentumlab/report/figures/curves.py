"""Curves against the iteration: velocities, a panel per coordinate, and the loss."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.courses import PITCH, draw_courses, scheduled_names
from momentumlab.report.figures.selection import Curve, Shown, join, selection, selection_remark
from momentumlab.report.reports import Report
from momentumlab.result import Result

MOST_COORDINATES = 4
AXIS_NAMES = ("x", "y")

FLOOR = 1e-16
"""Losses nearer to the minimum than this share of the highest one drawn are rounding; they are drawn at this height."""

FAR = 1e100
"""Numbers beyond this are drawn there."""

WIDE = 1e4
"""A loss without a floor that goes beyond this is drawn on a symmetric log scale."""

ENVELOPE: style.Style = {"linestyle": ":", "linewidth": 1.2, "zorder": 1.5}

OUTLIER = 20.0
"""A curve may be this much higher than it mostly is; what goes beyond is cut."""


def velocity_figure(
    report: Report,
    shown: Sequence[Shown] | None = None,
    heading: str | None = None,
    remark: str | None = None,
    *,
    theory: bool = False,
) -> Figure:
    """The velocity against the iteration, a panel per coordinate and a curve per trial.

    The velocity is minus the displacement per unit of learning rate, for every optimizer. What follows a schedule has a
    thin panel of its own below.

    Parameters
    ----------
    report
        What is drawn.
    shown
        Which of its trials; else the usual selection.
    heading, remark
        What is said above; else what all trials have in common, and how the selection was made.
    theory
        Whether to draw how theory says that swings shrink or grow, ρᵏ, laid against each curve from outside.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    result = report.result
    shown = selection(report) if shown is None else shown
    coordinates = min(result.plan.dimension, MOST_COORDINATES)
    velocities = [_drawable(result.velocities[one.number, : len(result.recorded(one.number))]) for one in shown]
    limits = [_limits(shown, [v[:, coordinate] for v in velocities]) for coordinate in range(coordinates)]
    more = result.plan.dimension > MOST_COORDINATES
    remark = join(
        f"the first {MOST_COORDINATES} of {result.plan.dimension} coordinates" if more else "",
        "curves that leave the scale are cut" if any(limits) else "",
        _theory_remark(report, shown, "ρᵏ") if theory else "",
        selection_remark(report) if remark is None else remark,
    )
    rates = [report.coordinate_rates(one.number) if theory else None for one in shown]
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
            limit = limits[coordinate]
            for one, velocity, rate in zip(shown, velocities, rates, strict=True):
                _draw(panel, result, one, velocity[:, coordinate], limit)
                if rate is not None:
                    envelope = _envelope(np.abs(velocity[:, coordinate]), result.recorded(one.number), rate[coordinate])
                    highest = 1.3 * float(np.abs(velocity[:, coordinate]).max())
                    visible = np.where(envelope <= highest, envelope, np.nan)
                    for side in (visible, -visible):
                        panel.plot(result.recorded(one.number), side, color=one.color, **ENVELOPE)
            style.plain_ticks(panel, whole_x=True)
            if limit:
                panel.set_ylim(*limit)
            panel.set_title(f"velocity along {coordinate_name(coordinate, result.plan.dimension)}", loc="left")
        panels[0].set_ylabel("velocity v  (x moves by −lr · v)")
        _until_last(panels, result, shown)
        finish(figure, panels, shown, heading or report.title, remark)
        draw_courses(figure, result, shown, scheduled, bottom=0.6)
    return figure


def loss_figure(
    report: Report,
    shown: Sequence[Shown] | None = None,
    heading: str | None = None,
    remark: str | None = None,
    abscissa: str = "iteration",
    *,
    theory: bool = False,
) -> Figure:
    """The loss against the iteration: above the lowest known minimum and on a log scale, where one is known.

    Where a run finds less than the known minimum, or none is known, the loss itself. Parameters are those of
    `velocity_figure`; ``abscissa`` is what the horizontal axis is called.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    result = report.result
    shown = selection(report) if shown is None else shown
    losses = [_drawable(result.losses[one.number, : len(result.recorded(one.number))]) for one in shown]
    heights = [curve - _lowest_minimum(result, one) for one, curve in zip(shown, losses, strict=True)]
    highest = max((float(curve[0]) for curve in heights), default=0.0)
    above = np.isfinite(highest) and highest > 0 and all(np.nanmin(curve) > -1e-9 * highest for curve in heights)
    floor = FLOOR * highest
    curves = [np.maximum(curve, floor) for curve in heights] if above else losses
    wide = not above and max(float(np.nanmax(np.abs(curve))) for curve in losses) > WIDE
    limit = None if wide else _limits(shown, curves, positive=bool(above))
    remark = join(
        _theory_remark(report, shown, "ρ²ᵏ") if theory and above else "",
        f"what is below {floor:.0e} is drawn there" if above and any((c < floor).any() for c in heights) else "",
        "curves that leave the scale are cut" if limit else "",
        selection_remark(report) if remark is None else remark,
    )
    with style.styled():
        margins = style.Margins(left=0.95, top=head_height(shown, 1, remark) + 0.15)
        figure, (panel,) = style.panels(1, 1, 6.4, 3.6, margins)
        for one, curve in zip(shown, curves, strict=True):
            _draw(panel, result, one, curve, limit)
        for one, curve in zip(shown if theory and above else [], curves, strict=False):
            rate = report.rates[one.number].predicted
            if rate is not None:
                envelope = _envelope(np.where(curve > floor, curve, 0.0), result.recorded(one.number), rate**2)
                bounds = (float(curve.min()), 3 * float(curve.max()))
                visible = np.where((envelope >= bounds[0]) & (envelope <= bounds[1]), envelope, np.nan)
                panel.plot(result.recorded(one.number), visible, color=one.color, **ENVELOPE)
        style.plain_ticks(panel, whole_x=True)
        if limit:
            panel.set_ylim(*limit)
        if above and panel.get_ylim()[1] > 10 * min(float(np.nanmin(curve)) for curve in curves):
            style.log_scale(panel)
            panel.grid(True, axis="y")
        elif wide:
            style.symmetric_log_scale(panel)
        known = result.experiment.first_surface.minima_are
        panel.set_ylabel(f"loss above the {known} minimum" if above else "loss")
        _until_last([panel], result, shown)
        finish(figure, [panel], shown, heading or report.title, remark, abscissa)
    return figure


def _envelope(heights: Array, iterations: NDArray[np.int64], rate: float) -> Array:
    """A multiple of ``rate ** iterations`` that touches the later half of a curve from above, ``(entries,)``."""
    counted = np.flatnonzero(heights > 1e-14 * heights.max(initial=0.0))
    later = counted[len(counted) // 2 :]
    if not len(later) or rate <= 0:
        return np.full(len(heights), np.nan)
    powers = iterations * math.log(rate)
    offset = float((np.log(heights[later]) - powers[later]).max())
    envelope: Array = np.exp(np.minimum(offset + powers, 700.0))
    return envelope


def _theory_remark(report: Report, shown: Sequence[Shown], formula: str) -> str:
    """What dotted lines mean, and for whom there are none."""
    if any(report.rates[one.number].predicted is not None for one in shown):
        return f"dotted: {formula} as theory predicts"
    return "theory does not apply"


def coordinate_name(coordinate: int, dimension: int) -> str:
    """X and y, or x₁, x₂, … where there are more."""
    if dimension <= len(AXIS_NAMES):
        return AXIS_NAMES[coordinate]
    return f"x{str(coordinate + 1).translate(style.SUBSCRIPTS)}"


def _drawable(values: Array) -> Array:
    """The same numbers within what matplotlib's arithmetic can bear."""
    drawable: Array = np.clip(np.nan_to_num(values, nan=FAR, posinf=FAR, neginf=-FAR), -FAR, FAR)
    return drawable


def _lowest_minimum(result: Result, one: Shown) -> float:
    minima = result.plan.surface_of(one.number).minima(result.plan.dimension)
    return min((point.loss for point in minima), default=float("nan"))


def _draw(panel: Axes, result: Result, one: Shown, values: Array, limit: tuple[float, float] | None) -> None:
    values = values.copy()
    if limit and one.diverged:  # up to where it leaves: its swings would fence in all the others
        beyond = np.flatnonzero((values < limit[0]) | (values > limit[1]))
        values[beyond[0] + 1 if len(beyond) else len(values) :] = np.nan
    marker = "o" if len(values) <= 31 else ""
    panel.plot(
        result.recorded(one.number),
        values,
        color=one.color,
        linestyle=one.line_style,
        linewidth=1.5,
        marker=marker,
        markersize=3.0,
    )


def _limits(shown: Sequence[Shown], curves: Sequence[Array], *, positive: bool = False) -> tuple[float, float] | None:
    """Limits that leave most of all curves visible beside those that diverge or jump; ``None`` if all may be shown."""
    kept = [curve for one, curve in zip(shown, curves, strict=True) if not one.diverged]
    if not kept:
        return None
    if positive:
        if len(kept) == len(curves):
            return None
        values = np.concatenate(kept)
        return float(values.min()) / 3, float(values.max()) * 100
    peaks = np.array([np.abs(curve).max() for curve in kept])
    usual = np.array([np.quantile(np.abs(curve), 0.9) for curve in kept])
    allowed = min(OUTLIER * np.median(peaks), np.minimum(peaks, OUTLIER * np.maximum(usual, np.median(usual))).max())
    if len(kept) == len(curves) and (peaks <= allowed).all():
        return None
    values = np.clip(np.concatenate(kept), -allowed, allowed)
    margin = 0.06 * float(np.ptp(values)) or 1.0
    return float(values.min()) - margin, float(values.max()) + margin


def _until_last(panels: Sequence[Axes], result: Result, shown: Sequence[Shown]) -> None:
    """Iterations from the first to the last."""
    last = max(int(result.iterations[one.number]) for one in shown)
    for panel in panels:
        panel.set_xlim(-0.03 * max(last, 1), 1.03 * max(last, 1))


def finish(
    figure: Figure,
    panels: Sequence[Axes],
    shown: Sequence[Curve],
    heading: str,
    remark: str,
    abscissa: str = "iteration",
) -> None:
    """What all figures of curves have: the name of the horizontal axis, title, remark and a legend below these."""
    for panel in panels:
        panel.set_xlabel(abscissa)
    style.headline(figure, heading, remark)
    figure.legend(
        handles=[
            Line2D([], [], color=one.color, linestyle=one.line_style, linewidth=1.5, label=one.label) for one in shown
        ],
        loc="upper left",
        bbox_to_anchor=(0.05 / figure.get_figwidth(), 1 - _legend_top(remark) / figure.get_figheight()),
        ncols=_legend_columns(shown, len(panels)),
        fontsize=_legend_font(shown),
        borderaxespad=0.2,
    )


def _legend_font(shown: Sequence[Curve]) -> float:
    return 9 if len(shown) <= 6 else 7.5


def _legend_columns(shown: Sequence[Curve], panels: int) -> int:
    """As many entries side by side as fit into the figure's width."""
    width = 7.2 if panels == 1 else 4.2 * panels
    longest = max(len(one.label) for one in shown)
    return max(1, min(len(shown), int(width / (0.6 + 0.0085 * _legend_font(shown) * longest))))


def head_height(shown: Sequence[Curve], panels: int, remark: str) -> float:
    """The height of title, remark and legend, in inches."""
    rows = -(-len(shown) // _legend_columns(shown, panels))
    return _legend_top(remark) + 0.1 + 0.021 * _legend_font(shown) * 1.1 * rows


def _legend_top(remark: str) -> float:
    return 0.55 if remark else 0.38
