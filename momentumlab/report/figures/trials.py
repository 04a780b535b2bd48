"""The trials that the figures of a report show: the same ones in the same colours in every figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import Trial
from momentumlab.report.figure_options import FigureError, FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.style import LINE_STYLES, MAX_SHOWN, CurveStyle
from momentumlab.report.reports import Report
from momentumlab.result import Result, Status
from momentumlab.search.ranking import finished, quantile

FIRST_COLORS = ("momentum", "adam", "nesterov", "adagrad", "rmsprop", "adamw", "sgd")
"""Optimizers in the order of the palette; all others follow in the order of their registry."""

MAX_SINGLE_STARTS = 6
"""The trials of more starts are drawn as a bundle with its median."""


@dataclass(frozen=True, kw_only=True)
class ShownTrial(CurveStyle):
    """A trial that a figure shows, and how it is drawn.

    Attributes
    ----------
    members
        The trials that are drawn together: all replicates of a setting, and all its starts if there are many.
    diverged
        Whether one of them diverged.
    """

    trial: Trial
    members: Sequence[int]
    diverged: bool

    @property
    def number(self) -> int:
        """The trial's number in its plan."""
        return self.trial.number

    def singly(self, result: Result, most: int | None = None) -> list["ShownTrial"]:
        """Return the members, or the first of them, as trials of their own."""
        return [
            replace(
                self,
                trial=result.plan.trial(number),
                members=[number],
                diverged=result.status_of(number) is Status.DIVERGED,
            )
            for number in self.members[:most]
        ]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The trials of a figure, its title, and how the trials were selected."""

    trials: Sequence[ShownTrial]
    title: str
    remark: str = ""


def select_trials(report: Report, options: FigureOptions, label_of: Callable[[Trial], str] | None = None) -> Selection:
    """Select up to `MAX_SHOWN` trials: all, or of many the best, the worst and ranks evenly spaced between them.

    The first trial of a bundle stands for all. ``label_of`` replaces the labels of the report.

    Raises
    ------
    FigureError
        If the options name a trial that does not exist, or more trials than can be shown.
    """
    result, experiment = report.result, report.experiment
    # The trials of a bundle follow each other: replicates vary fastest, then starts.
    starts = len(experiment.starts)
    is_bundle = label_of is None and starts > MAX_SINGLE_STARTS and not options.trials
    size = experiment.replicates * (starts if is_bundle else 1)
    count = result.trials // size
    remark = ""
    if options.trials:
        numbers = _chosen(report, options, size)
    elif count <= MAX_SHOWN:
        numbers = list(range(0, result.trials, size))
    else:
        losses = finished(result.final_losses, result.status_codes).reshape(-1, size)
        ranking = np.argsort(quantile(losses, 0.5), kind="stable") * size
        numbers = sorted(ranking[np.linspace(0, count - 1, MAX_SHOWN).round().astype(int)].tolist())
        what = "trials" if size == 1 else "settings"
        remark = f"{MAX_SHOWN} of {count:,} {what}, evenly spaced in rank from best to worst final loss"
    # Labels and colours depend on all trials that are shown together.
    trials = [result.plan.trial(number) for number in numbers]
    names = report.labels
    labels = [label_of(trial) if label_of else names.in_figure(trial, with_start=not is_bundle) for trial in trials]
    if options.labels and len(options.labels) != len(labels):
        raise FigureError(f"{len(options.labels)} labels are given for {len(labels)} trials")
    shown = []
    for trial, label, (color, line_style) in zip(trials, options.labels or labels, trial_colors(trials), strict=True):
        members = range(trial.number, trial.number + size)
        shown.append(
            ShownTrial(
                trial=trial,
                label=label,
                members=members,
                diverged=any(result.status_of(each) is Status.DIVERGED for each in members),
                color=color,
                line_style=line_style,
            )
        )
    return Selection(trials=shown, title=report.figure_title, remark=remark)


def _chosen(report: Report, options: FigureOptions, size: int) -> list[int]:
    """Return the trials that the options name, each as the first of its replicates."""
    options.check(report.result.trials)
    numbers = list(dict.fromkeys(number - number % size for number in options.trials))
    if len(numbers) > MAX_SHOWN:
        raise FigureError(f"{len(numbers)} trials are chosen, but a figure shows at most {MAX_SHOWN}")
    return numbers


def trial_colors(trials: Sequence[Trial]) -> list[tuple[str, Any]]:
    """Return the colour and dashes of each trial.

    If there is one optimizer, a single ordered setting has a sequential scale, and other settings have the palette. If
    there are several, each has its own colour, and its trials have shades of it.
    """
    if len({trial.optimizer for trial in trials}) > 1 or len(trials) == 1:
        return optimizer_colors([trial.optimizer for trial in trials])
    values = _ordered_values(trials)
    if values is None:
        return [(each.color, each.line_style) for each in style.plain_sequence([""] * len(trials))]
    levels = sorted(set(values))
    colors = style.ordered_colors(len(levels))
    return [(colors[levels.index(value)], "-") for value in values]


def _ordered_values(trials: Sequence[Trial]) -> list[float] | None:
    """Return the values of the only setting in which the trials differ; ``None`` unless it is one with numbers."""
    settings = [{**trial.hyperparameters, **trial.surface_parameters, "start": trial.start} for trial in trials]
    names = dict.fromkeys(name for each in settings for name in each)
    differing = [name for name in names if len({each.get(name) for each in settings}) > 1]
    if len(differing) != 1:
        return None
    values = [each.get(differing[0]) for each in settings]
    numbers = [float(each) for each in values if isinstance(each, (int, float)) and not isinstance(each, bool)]
    return numbers if len(numbers) == len(values) else None


def optimizer_colors(names: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the colour and dashes of each optimizer: its colour in all figures, and dashes if another one has it, too.

    An optimizer that occurs several times has shades of its colour.
    """
    order = list(dict.fromkeys([*FIRST_COLORS, *OPTIMIZERS, *names]))  # names of other libraries are not listed
    sharing: dict[str, list[str]] = {}
    for name in sorted(set(names), key=order.index):
        sharing.setdefault(style.color(order.index(name)), []).append(name)
    styles = []
    for position, name in enumerate(names):
        color = style.color(order.index(name))
        dashes = LINE_STYLES[sharing[color].index(name) % len(LINE_STYLES)]
        total, before = names.count(name), names[:position].count(name)
        if total > 1:
            color = _shade(color, before / (total - 1))
        styles.append((color, dashes))
    return styles


def _shade(color: str, share: float) -> str:
    """Return a shade of a colour, from a lighter one at 0 to a darker one at 1."""
    rgb = np.array(to_rgb(color))
    light, dark = 0.45 * rgb + 0.55, 0.55 * rgb
    red, green, blue = (1 - share) * light + share * dark if rgb.any() else np.full(3, 0.6 * (1 - share))
    return to_hex((red, green, blue))
