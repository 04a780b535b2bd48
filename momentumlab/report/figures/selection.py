"""Which trials a figure shows, and how: the same in every figure of a result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from momentumlab.plan import Trial
from momentumlab.report.figures import style
from momentumlab.report.reports import Report
from momentumlab.result import Status

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


def selection(report: Report) -> list[Shown]:
    """All trials, or of many the best, the worst and an even choice between them; in the order of the plan."""
    trials = [report.result.plan.trial(number) for number in selected_numbers(report)]
    return [
        Shown(
            trial=trial,
            label=report.labels.of(trial),
            diverged=report.worst_status(trial.number) is Status.DIVERGED,
            color=style.color(i),
            line_style=style.line_style(i),
        )
        for i, trial in enumerate(trials)
    ]


def selected_numbers(report: Report) -> Sequence[int]:
    """The numbers of the shown trials; of replicates that of the first."""
    replicates = report.experiment.replicates
    count = report.result.trials // replicates
    if count <= MOST_SHOWN:
        return range(0, report.result.trials, replicates)
    ranks = np.linspace(0, count - 1, MOST_SHOWN).round().astype(int)
    return sorted(report.ranking[ranks].tolist())


def selection_remark(report: Report) -> str:
    """Says that not all trials are shown, where that is so."""
    count = report.result.trials // report.experiment.replicates
    if count <= MOST_SHOWN:
        return ""
    what = "trials" if report.experiment.replicates == 1 else "settings"
    return f"{MOST_SHOWN} of {count:,} {what}: the best, the worst and an even choice between (by final loss)"


def join(*remarks: str) -> str:
    """Several remarks as one."""
    return "; ".join(filter(None, remarks))
