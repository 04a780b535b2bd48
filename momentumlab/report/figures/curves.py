"""Curves against the iteration: velocities, a panel per coordinate, and the loss."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from momentumlab.catalogue import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.selection import Shown, join, selection, selection_remark, title
from momentumlab.result import Result, Status

MOST_COORDINATES = 4
AXIS_NAMES = ("x", "y")

WIDE = 1e3
"""A loss without a known minimum that goes beyond this is drawn on a symmetric log scale."""


def velocity_figure(result: Result) -> Figure:
    """The velocity against the iteration, a panel per coordinate and a curve per trial.

    The velocity is minus the displacement per unit of learning rate, for every optimizer.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    shown = selection(result)
    coordinates = min(result.plan.dimension, MOST_COORDINATES)
    with style.styled():
        more = result.plan.dimension > MOST_COORDINATES
        coordinates_remark = f"the first {MOST_COORDINATES} of {result.plan.dimension} coordinates" if more else ""
        remark = join(coordinates_remark, _cut_remark(result, shown), selection_remark(result))
        head = _head_height(shown, coordinates, remark)
        margins = style.Margins(left=0.85, top=head + 0.35, between_columns=0.75)
        figure, panels = style.panels(1, coordinates, 4.6 if coordinates < 3 else 3.6, 3.0, margins, sharex=True)
        for coordinate, panel in enumerate(panels):
            panel.axhline(0, color="#999999", linewidth=0.8, zorder=0)
            curves = [(result.recorded(one.number), _velocity(result, one, coordinate)) for one in shown]
            for one, (iterations, velocity) in zip(shown, curves, strict=True):
                _draw(panel, one, iterations, velocity)
            _limit(panel, result, shown, [velocity for _, velocity in curves])
            panel.set_title(f"velocity along {coordinate_name(coordinate, result.plan.dimension)}", loc="left")
            panel.set_xlabel("iteration")
        panels[0].set_ylabel("velocity")
        _legend(figure, shown, coordinates, remark)
        style.headline(figure, title(result), remark)
    return figure


def loss_figure(result: Result) -> Figure:
    """The loss against the iteration, above the lowest known minimum and on a log scale where one is known.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    shown = selection(result)
    minima = result.experiment.first_surface.minima(result.plan.dimension)
    with style.styled():
        remark = join(_cut_remark(result, shown), selection_remark(result))
        margins = style.Margins(left=0.95, top=_head_height(shown, 1, remark) + 0.15)
        figure, (panel,) = style.panels(1, 1, 6.4, 3.6, margins)
        curves = []
        for one in shown:
            lowest = _lowest_minimum(result, one) if minima else 0.0
            losses = result.losses[one.number, : len(result.recorded(one.number))] - lowest
            curves.append(losses)
            _draw(panel, one, result.recorded(one.number), np.where(losses > 0, losses, np.nan) if minima else losses)
        positive = any((losses > 0).any() for losses in curves)
        if minima and positive:
            style.log_scale(panel)
            panel.grid(True, axis="y")
            panel.set_ylabel("loss above the known minimum")
        else:
            if max(float(np.nanmax(np.abs(losses))) for losses in curves) > WIDE:
                style.symmetric_log_scale(panel)
            panel.set_ylabel("loss")
        _limit(panel, result, shown, curves)
        panel.set_xlabel("iteration")
        _legend(figure, shown, 1, remark)
        style.headline(figure, title(result), remark)
    return figure


def coordinate_name(coordinate: int, dimension: int) -> str:
    """X and y, or x₁, x₂, … where there are more."""
    if dimension <= len(AXIS_NAMES):
        return AXIS_NAMES[coordinate]
    return f"x{str(coordinate + 1).translate(style.SUBSCRIPTS)}"


def _velocity(result: Result, one: Shown, coordinate: int) -> Array:
    velocity: Array = result.velocities[one.number, : len(result.recorded(one.number)), coordinate]
    return velocity


def _lowest_minimum(result: Result, one: Shown) -> float:
    return min(point.loss for point in result.plan.surface_of(one.number).minima(result.plan.dimension))


def _draw(panel: Axes, one: Shown, iterations: NDArray[np.int64], values: Array) -> None:
    finite = np.where(np.isfinite(values), values, np.nan)
    marker = "o" if len(values) <= 31 else ""
    panel.plot(
        iterations, finite, color=one.color, linestyle=one.line_style, linewidth=1.5, marker=marker, markersize=3.0
    )


def _limit(panel: Axes, result: Result, shown: Sequence[Shown], curves: Sequence[Array]) -> None:
    """Scale by the trials that did not diverge, if there are any: beside a diverging one nothing else is visible."""
    kept = [curve for one, curve in zip(shown, curves, strict=True) if not _diverged(result, one)]
    if not kept or len(kept) == len(shown):
        return
    values = np.concatenate(kept)
    if panel.get_yscale() == "log":
        values = values[values > 0]
        if len(values):
            panel.set_ylim(values.min() / 3, values.max() * 100)
        return
    margin = 0.1 * (values.max() - values.min()) or 1.0
    panel.set_ylim(values.min() - margin, values.max() + margin)


def _cut_remark(result: Result, shown: Sequence[Shown]) -> str:
    diverged = sum(_diverged(result, one) for one in shown)
    return "curves of diverging trials are cut" if 0 < diverged < len(shown) else ""


def _diverged(result: Result, one: Shown) -> bool:
    return result.status_of(one.number) is Status.DIVERGED


def _legend_columns(shown: Sequence[Shown], panels: int) -> int:
    """As many entries side by side as fit into the figure's width."""
    width = 6.0 if panels == 1 else 4.2 * panels
    longest = max(len(one.label) for one in shown)
    return max(1, min(len(shown), int(width / (0.55 + 0.085 * longest))))


def _head_height(shown: Sequence[Shown], panels: int, remark: str) -> float:
    """The height of title, remark and legend, in inches."""
    rows = -(-len(shown) // _legend_columns(shown, panels))
    return _legend_top(remark) + 0.1 + 0.21 * rows


def _legend_top(remark: str) -> float:
    return 0.55 if remark else 0.38


def _legend(figure: Figure, shown: Sequence[Shown], panels: int, remark: str) -> None:
    figure.legend(
        handles=[
            Line2D([], [], color=one.color, linestyle=one.line_style, linewidth=1.5, label=one.label) for one in shown
        ],
        loc="upper left",
        bbox_to_anchor=(0.05 / figure.get_figwidth(), 1 - _legend_top(remark) / figure.get_figheight()),
        ncols=_legend_columns(shown, panels),
        fontsize=9,
        borderaxespad=0.2,
    )
