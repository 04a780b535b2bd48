"""Thin panels below the velocities: what followed a schedule, against the iteration."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.selection import Shown
from momentumlab.report.labels import axis_name
from momentumlab.result import Result

HEIGHT = 0.85
"""The height of a panel, in inches."""

PITCH = 1.55
"""From one panel to the next, in inches: with a title above, and tick labels below."""

COMMON = "#444444"
"""The colour of a course that all trials have in common."""

MOST_POINTS = 2000
"""Of longer courses so many points are drawn, evenly spaced."""


def scheduled_names(result: Result, shown: Sequence[Shown]) -> list[str]:
    """The hyperparameters that follow a schedule in one of the trials."""
    return list(dict.fromkeys(name for one in shown for name in result.plan.group_of(one.number).schedules))


def draw_courses(figure: Figure, result: Result, shown: Sequence[Shown], names: Sequence[str], bottom: float) -> None:
    """Draw a panel for each of these hyperparameters, a curve per trial, into the lower part of a figure.

    Parameters
    ----------
    figure
        The figure, with room for the panels: `PITCH` inches each.
    result, shown
        The trials, with their colours. One that has a number is level, one without the hyperparameter has no curve, and
        a course that is the same for all is grey.
    names
        The hyperparameters.
    bottom
        Where the lowest panel begins, in inches.
    """
    height = figure.get_figheight()
    left, right = figure.axes[0].get_position().x0, figure.axes[-1].get_position().x1
    for row, name in enumerate(reversed(names)):
        low = (bottom + row * PITCH) / height
        panel = figure.add_axes((left, low, right - left, HEIGHT / height))
        is_common = len({one.trial.hyperparameters.get(name) for one in shown}) == 1 < len(shown)
        for one in [max(shown, key=lambda one: result.iterations[one.number])] if is_common else shown:
            _draw(panel, result, one, name, COMMON if is_common else one.color)
        last = max(int(result.iterations[one.number]) for one in shown)
        panel.set_xlim(-0.03 * max(last, 1), 1.03 * max(last, 1))
        style.plain_ticks(panel, whole_x=True)
        panel.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=style.STEPS))
        panel.margins(y=0.12)
        panel.set_title(f"{axis_name(name)} of each iteration", loc="left")
        if row == 0:
            panel.set_xlabel("iteration")


def _draw(panel: Axes, result: Result, one: Shown, name: str, color: str) -> None:
    length = int(result.iterations[one.number])
    if name not in one.trial.hyperparameters or length == 0:
        return
    k = np.unique(np.linspace(0, length - 1, min(length, MOST_POINTS)).round())
    # The value after k updates is that of iteration k + 1, whose velocity is drawn at k + 1.
    panel.plot(
        k + 1,
        _values(result, one, name, k),
        color=color,
        linestyle="-" if color == COMMON else one.line_style,
        linewidth=1.5,
    )


def _values(result: Result, one: Shown, name: str, k: Array) -> Array:
    group = result.plan.group_of(one.number)
    if name in group.schedules:
        return group.schedules[name].value(k, group.iterations)
    return np.full(len(k), one.trial.hyperparameters[name], dtype=np.float64)
