"""Which trials a figure shows, and how: the same in every figure of a result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from momentumlab.plan import Trial
from momentumlab.report.figures import style
from momentumlab.report.labels import Labels
from momentumlab.report.replication import settings_by_rank, worst
from momentumlab.result import Result, Status

MOST_SHOWN = 12
"""Figures show up to this many trials or methods."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How something is drawn, and called in the legend."""

    label: str
    color: str
    line_style: style.LineStyle


@dataclass(frozen=True, kw_only=True)
class Shown(Curve):
    """A trial that a figure shows."""

    trial: Trial
    diverged: bool

    @property
    def number(self) -> int:
        """The trial's number in its plan."""
        return self.trial.number


@dataclass(frozen=True, kw_only=True)
class Panelled:
    """The trials whose paths share a panel, and what is said above it."""

    label: str
    told: str
    color: str
    trials: Sequence[Shown]


def selection(result: Result) -> list[Shown]:
    """All trials, or of many the best, the worst and an even choice between them; in the order of the plan."""
    labels = Labels(result.experiment)
    trials = [result.plan.trial(number) for number in selected_numbers(result)]
    return [
        Shown(
            trial=trial,
            label=labels.of(trial),
            diverged=worst(result, trial.number) is Status.DIVERGED,
            color=style.color(i),
            line_style=style.line_style(i),
        )
        for i, trial in enumerate(trials)
    ]


def selected_numbers(result: Result) -> Sequence[int]:
    """The numbers of the shown trials; of replicates that of the first."""
    replicates = result.experiment.replicates
    count = result.trials // replicates
    if count <= MOST_SHOWN:
        return range(0, result.trials, replicates)
    ranks = np.linspace(0, count - 1, MOST_SHOWN).round().astype(int)
    ranking = result.ranking() if replicates == 1 else settings_by_rank(result)
    return sorted(ranking[ranks].tolist())


def selection_remark(result: Result) -> str:
    """Says that not all trials are shown, where that is so."""
    count = result.trials // result.experiment.replicates
    if count <= MOST_SHOWN:
        return ""
    what = "trials" if result.experiment.replicates == 1 else "settings"
    return f"{MOST_SHOWN} of {count:,} {what}: the best, the worst and an even choice between (by final loss)"


def title(result: Result) -> str:
    """What all trials have in common."""
    return Labels(result.experiment).common(result.plan.trial(0))


def join(*remarks: str) -> str:
    """Several remarks as one."""
    return "; ".join(filter(None, remarks))
