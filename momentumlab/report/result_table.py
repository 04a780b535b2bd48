"""The table that people see: a row per trial, in a terminal or in a notebook."""

import html
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from momentumlab.report.final_state import FinalState
from momentumlab.report.labels import SYMBOLS, point, short
from momentumlab.report.reports import BEST_TABLE_ROWS, MAX_TABLE_ROWS, Report
from momentumlab.report.steps import steps_of
from momentumlab.result import Status
from momentumlab.search.ranking import quantile

Justify = Literal["left", "right"]

FLOORS = ("noise floor", "predicted", "averaged")

MOST_NAMED = 3
"""Of more trials to which a remark applies, only so many are named."""

RATES = ("rate", "predicted")

FLAT = 1e-12
"""A curvature of a smaller share of the largest one is zero but for rounding."""

STATUS_STYLES = {
    Status.CONVERGED: "green",
    Status.MAX_ITERATIONS: "yellow",
    Status.DIVERGED: "red",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the table: a cell per trial that has a row."""

    heading: str
    justify: Justify
    cells: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """The table of a result for a terminal; what is less important is left out where the terminal is narrow."""

    report: Report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        every = columns(self.report)
        yield Text(title(self.report), style="bold")
        for left_out in self._sacrifices():
            table = self._table([column for column in every if column.heading not in left_out])
            needed = Measurement.get(console, options.update(max_width=10_000), table).minimum
            if needed <= options.max_width:
                break
        yield table
        for footer in remarks(self.report):
            yield Text(footer, style="dim")

    def _sacrifices(self) -> Iterator[tuple[str, ...]]:
        """What to leave out: nothing, or else what the title says anyway, or else the rates."""
        yield ()
        if not self.report.labels.optimizers:
            yield ("optimizer",)
        yield RATES
        yield (*RATES, *FLOORS)

    def _table(self, shown_columns: Sequence[Column]) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in shown_columns:
            is_point = column.heading in ("start", "final point")  # these give way where the terminal is narrow
            table.add_column(Text(column.heading), justify=column.justify, no_wrap=not is_point, overflow="fold")
        for row, number in enumerate(self.report.shown):
            *cells, status = (column.cells[row] for column in shown_columns)
            table.add_row(*map(Text, cells), Text(status, style=STATUS_STYLES[self.report.worst_status(number)]))
        return table


def rich_table(report: Report) -> RenderableType:
    """The table of a result; of many trials the best, and how the others ended."""
    return ResultTable(report=report)


def html_table(report: Report) -> str:
    """The same table for a notebook."""
    every = columns(report)
    head = "".join(f"<th>{html.escape(column.heading)}</th>" for column in every)
    rows = zip(*(column.cells for column in every), strict=True)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    footer = "".join(f"<p>{html.escape(text)}</p>" for text in remarks(report))
    caption = f"<caption>{html.escape(title(report))}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}"


def title(report: Report) -> str:
    """The experiment's name and what all its trials have in common."""
    return f"{report.experiment.name}: {report.title}"


def rate_text(rate: float | None) -> str:
    """A rate as tables have it; near to one by its difference, which is what counts there."""
    if rate is None:
        return ""
    return f"{rate:.4f}" if abs(rate - 1) > 1e-3 or rate == 1 else f"1{rate - 1:+.1e}".replace("e-0", "e-")


def remarks(report: Report) -> Iterator[str]:
    """What must be said below the table."""
    replicates = report.experiment.replicates
    if report.result.trials > MAX_TABLE_ROWS * replicates:
        yield _remark_on_the_rest(report)
    if replicates > 1:
        yield f"over {replicates:,} replicates: the median and [the quartiles]"
    if any(floor.measured is not None for floor in report.floors.values()):
        yield "noise floor: the mean loss above the minimum over the later half of all paths"
    if report.averaged_losses:
        yield "averaged: the loss at the mean of the iterates of the later half"
    differing: dict[str, list[str]] = {}
    for number in report.shown if report.rates else []:
        note = report.rates[number].reason
        if note is not None:
            differing.setdefault(note, []).append(report.labels.of(report.result.plan.trial(number)))
    for note, names in differing.items():
        others = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"rate is not as predicted for {'; '.join(names[:MOST_NAMED])}{others}: {note}"


def _remark_on_the_rest(report: Report) -> str:
    """What became of the trials that have no row."""
    counts = Counter(report.result.status)
    ended = ", ".join(f"{counts[status]:,} {status.label}" for status in Status if counts[status])
    where = "summary.csv in the run folder" if report.run_folder else "summary()"
    what = "trials" if report.experiment.replicates == 1 else "settings"
    count = report.result.trials // report.experiment.replicates
    return f"the best {BEST_TABLE_ROWS} of {count:,} {what} by final loss; {ended}; all of them: {where}"


def columns(report: Report) -> list[Column]:
    """Every column; those of the rates, where any trial has one."""
    result, labels, numbers = report.result, report.labels, report.shown
    trials = [result.plan.trial(number) for number in numbers]
    found = [Column(heading="optimizer", justify="left", cells=[trial.optimizer for trial in trials])]

    def add(heading: str, cells: Sequence[str], justify: Justify = "right") -> None:
        if any(cells):
            found.append(Column(heading=heading, justify=justify, cells=cells))

    for name in labels.hyperparameters:
        add(SYMBOLS.get(name, name), [_cell(trial.hyperparameters.get(name)) for trial in trials])
    for name in labels.surface_parameters:
        add(f"surface.{name}", [_cell(trial.surface_parameters[name]) for trial in trials])
    if labels.starts:
        add("start", [point(trial.start) for trial in trials], "left")
    replicates = [report.replicates_of(number) for number in numbers]
    add("iterations", [f"{np.median(result.iterations[each]):.0f}" for each in replicates])
    if report.experiment.replicates == 1:
        add("final point", [point(result.final_points[number]) for number in numbers], "left")
    add("final loss", [report.final_losses(number) for number in numbers])
    if report.final_states:
        states = [[report.final_states[int(number)] for number in each] for each in replicates]
        accuracies = [[-math.inf if s.accuracy is None else s.accuracy for s in each] for each in states]
        middles = [statistics.median_low(each) for each in accuracies]
        add("accuracy", [f"{middle:.1%}" if middle >= 0 else "" for middle in middles])
        if report.experiment.replicates == 1:
            add("condition", ["" if each[0].curvatures is None else _condition(each[0]) for each in states])
    if report.floors:
        floors = [report.floors[number] for number in numbers]
        add(FLOORS[0], ["" if floor.measured is None else f"{floor.measured:.3g}" for floor in floors])
        add(FLOORS[1], ["" if floor.predicted is None else f"{floor.predicted:.3g}" for floor in floors])
        tails = [
            float(quantile(np.array([report.averaged_losses[int(number)][0] for number in each]), 0.5))
            for each in replicates
        ]
        add(FLOORS[2], [f"{tail:.3g}" if np.isfinite(tail) else "" for tail in tails])
    rates = [report.rates[number] for number in numbers] if report.rates else []
    if any(rate.measured is not None for rate in rates):
        add(RATES[0], [rate_text(rate.measured) for rate in rates])
        found.append(Column(heading=RATES[1], justify="right", cells=[rate_text(rate.predicted) for rate in rates]))
    found.append(Column(heading="status", justify="left", cells=[_statuses(report, number) for number in numbers]))
    return found


def _statuses(report: Report, number: int) -> str:
    """How the replicates of a setting ended."""
    counts = Counter(report.result.status_of(int(each)) for each in report.replicates_of(number))
    if len(counts) == 1:
        return next(iter(counts)).label
    return ", ".join(f"{counts[status]} {status.label}" for status in Status if counts[status])


def _condition(ending: FinalState) -> str:
    """The condition number at the end; where it has none, which way the loss curves."""
    if ending.condition_number is not None:
        return f"{ending.condition_number:.3g}"
    return "saddle" if ending.curvatures and ending.curvatures[0] < -FLAT * ending.curvatures[1] else "flat"


def steps_table(report: Report, number: int) -> RenderableType:
    """Every recorded iteration of one trial, at the precision of a float."""
    result, labels = report.result, report.labels
    trial = result.plan.trial(number)
    heading = Text(f"{labels.common(trial)} · {labels.of(trial)}: every iteration", style="bold")
    table = Table(box=None, pad_edge=False)
    for name in ("iteration", "point", "gradient", "velocity", "loss"):
        table.add_column(name, justify="right" if name == "iteration" else "left", overflow="fold")
    for step in steps_of(result, number):
        gradient = "" if step.gradient is None else _exact(step.gradient)
        table.add_row(str(step.iteration), _exact(step.point), gradient, _exact(step.velocity), repr(step.loss))
    return Group(heading, table)


def _exact(coordinates: list[float]) -> str:
    return repr(coordinates[0]) if len(coordinates) == 1 else f"({', '.join(map(repr, coordinates))})"


def _cell(value: object) -> str:
    return "" if value is None else short(value)  # type: ignore[arg-type]
