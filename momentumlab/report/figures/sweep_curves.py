"""Curves of a sweep over a single axis."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.curves import finish, head_height
from momentumlab.report.figures.selection import Curve
from momentumlab.report.figures.sheets import Scale
from momentumlab.report.labels import axis_name, setup
from momentumlab.search.planes import GridAxis, Plane


def curve_figure(planes: Sequence[Plane]) -> Figure:
    """Iterations and final loss over a single axis, a curve per optimizer."""
    every = [plane for plane in planes if len(plane.axes) == 1]
    result = every[0].result
    names = list(dict.fromkeys(plane.axes[0].name for plane in every))
    curves = [
        Curve(label=plane.name, color=style.color(i), line_style=style.line_style(i)) for i, plane in enumerate(every)
    ]
    known = every[0].yardstick.known
    quantities: list[tuple[str, Callable[[Plane], Array]]] = []
    if result.plan.stopping.can_converge:
        quantities.append(("iterations to converge", lambda plane: plane.median_iterations()))
    above = "" if math.isnan(known) else " above the known minimum"
    shift = 0.0 if math.isnan(known) else known
    quantities.append((f"final loss{above}", lambda plane: plane.median_losses() - shift))
    remark = "dots mark the best; a gap where a method diverges, or does not converge"
    with style.styled():
        margins = style.Margins(left=0.95, top=head_height(curves, len(names), remark) + 0.15, between_columns=0.75)
        figure, panels = style.panels(len(quantities), len(names), 6.4 if len(names) == 1 else 4.4, 2.9, margins)
        for (row, (label, values_of)), (column, name) in itertools.product(enumerate(quantities), enumerate(names)):
            panel = panels[row * len(names) + column]
            style.plain_ticks(panel)
            for plane, curve in zip(every, curves, strict=True):
                if plane.axes[0].name == name:
                    _draw_curve(panel, plane, values_of(plane), curve)
            if panel.dataLim.ymin > 0 and np.isfinite(panel.dataLim.intervaly).all():
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_ylabel(label)
            _label_curves(panel, [plane.axes[0] for plane in every if plane.axes[0].name == name])
        finish(figure, panels, curves, f"{result.experiment.name}: {setup(result.plan)}", remark, "")
        for panel, name in zip(panels[-len(names) :], names, strict=True):
            panel.set_xlabel(axis_name(name))
    return figure


def _draw_curve(panel: Axes, plane: Plane, values: Array, curve: Curve) -> None:
    (axis,) = plane.axes
    values = np.where(np.isfinite(values), values, np.nan)
    positions = axis.numbers if axis.numbers is not None else np.arange(len(axis), dtype=np.float64)
    order = np.argsort(positions, kind="stable")
    panel.plot(positions[order], values[order], color=curve.color, linestyle=curve.line_style, linewidth=1.5)
    panel.plot(
        positions[[plane.best]],
        values[[plane.best]],
        marker="o",
        markersize=7,
        color=curve.color,
        markeredgecolor="black",
        linestyle="none",
        zorder=5,
    )


def _label_curves(panel: Axes, axes: Sequence[GridAxis]) -> None:
    """The horizontal axis of curves: on a log scale if all values of one of them are evenly spaced there."""
    numbers = [axis.numbers for axis in axes if axis.numbers is not None]
    if len(numbers) < len(axes):
        Scale(axes[0]).label(panel.xaxis)
        return
    every = np.concatenate(numbers)
    panel.set_xlim(float(every.min()), float(every.max()))
    if every.min() > 0 and any(Scale(axis).kind == "log" for axis in axes):
        panel.set_xlim(float(every.min()) / 1.1, float(every.max()) * 1.1)
        style.log_scale(panel, "x")
