"""The trials that the figures of a report show: the same ones in the same colours in every figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import Trial
from momentumlab.report.figures.style import COLORS, LINE_STYLES, MAX_SHOWN, CurveStyle, color, line_style
from momentumlab.report.reports import Report
from momentumlab.result import Status

FIRST_COLORS = ("momentum", "adam", "nesterov", "adagrad", "rmsprop", "adamw", "sgd")
"""Optimizers in the order of the palette; all others follow in the order of their registry."""


@dataclass(frozen=True, kw_only=True)
class ShownTrial(CurveStyle):
    """A trial that a figure shows, and how it is drawn."""

    trial: Trial
    diverged: bool

    @property
    def number(self) -> int:
        """The trial's number in its plan."""
        return self.trial.number


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The trials of a figure, its title, and how the trials were selected."""

    trials: Sequence[ShownTrial]
    title: str
    remark: str = ""


def select_trials(report: Report, label_of: Callable[[Trial], str] | None = None) -> Selection:
    """Select up to `MAX_SHOWN` trials: all, or of many the best, the worst and ranks evenly spaced between them.

    The first replicate stands for its setting. ``label_of`` replaces the labels of the report.
    """
    result, replicates = report.result, report.experiment.replicates
    count = result.trials // replicates
    if count <= MAX_SHOWN:
        numbers = list(range(0, result.trials, replicates))
        remark = ""
    else:
        ranks = np.linspace(0, count - 1, MAX_SHOWN).round().astype(int)
        numbers = sorted(report.ranking[ranks].tolist())
        what = "trials" if replicates == 1 else "settings"
        remark = f"{MAX_SHOWN} of {count:,} {what}, evenly spaced in rank from best to worst final loss"
    trials = [result.plan.trial(number) for number in numbers]
    names = [trial.optimizer for trial in trials]
    places = optimizer_places(names) if len(set(names)) == len(names) > 1 else range(len(names))
    return Selection(
        trials=[
            ShownTrial(
                trial=trial,
                label=(label_of or report.labels.of)(trial),
                diverged=report.worst_status(trial.number) is Status.DIVERGED,
                color=color(place),
                line_style=line_style(place),
            )
            for trial, place in zip(trials, places, strict=True)
        ],
        title=report.title,
        remark=remark,
    )


def optimizer_places(names: Sequence[str]) -> list[int]:
    """Return a place in the palette for each optimizer: its own colour, or the next free one if another has it."""
    order = list(dict.fromkeys([*FIRST_COLORS, *OPTIMIZERS, *names]))  # names of other libraries are not listed
    places: list[int] = []
    for name in names:
        own = order.index(name) % len(COLORS)
        # All colours as solid lines come before any dashed line.
        lines = range(0, len(COLORS) * len(LINE_STYLES), len(COLORS))
        free = (line + (own + i) % len(COLORS) for line in lines for i in range(len(COLORS)))
        places.append(next((place for place in free if place not in places), own))
    return places
