"""The table that people see: a row per trial, in a terminal or in a notebook."""

import html
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from momentumlab.report import replication
from momentumlab.report.final_state import Ending, endings
from momentumlab.report.labels import SYMBOLS, Labels, point, short
from momentumlab.report.steps import steps_of
from momentumlab.result import Result, Status
from momentumlab.theory import TrialRate, trial_rates

Justify = Literal["left", "right"]

MOST_ROWS = 20
BEST_ROWS = 10

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

    result: Result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        result = self.result
        rates = rates_of(result)
        every = columns(result, rates)
        yield Text(title(result), style="bold")
        for left_out in self._sacrifices():
            table = self._table([column for column in every if column.heading not in left_out])
            needed = Measurement.get(console, options.update(max_width=10_000), table).minimum
            if needed <= options.max_width:
                break
        yield table
        for footer in remarks(result, rates):
            yield Text(footer, style="dim")

    def _sacrifices(self) -> Iterator[tuple[str, ...]]:
        """What to leave out: nothing, or else what the title says anyway, or else the rates."""
        yield ()
        if not Labels(self.result.experiment).optimizers:
            yield ("optimizer",)
        yield RATES
        yield (*RATES, *replication.FLOORS)

    def _table(self, shown_columns: Sequence[Column]) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in shown_columns:
            is_point = column.heading in ("start", "final point")  # these give way where the terminal is narrow
            table.add_column(Text(column.heading), justify=column.justify, no_wrap=not is_point, overflow="fold")
        for row, number in enumerate(shown(self.result)):
            *cells, status = (column.cells[row] for column in shown_columns)
            table.add_row(*map(Text, cells), Text(status, style=STATUS_STYLES[replication.worst(self.result, number)]))
        return table


def rich_table(result: Result) -> RenderableType:
    """The table of a result; of many trials the best, and how the others ended."""
    return ResultTable(result=result)


def html_table(result: Result) -> str:
    """The same table for a notebook."""
    rates = rates_of(result)
    every = columns(result, rates)
    head = "".join(f"<th>{html.escape(column.heading)}</th>" for column in every)
    rows = zip(*(column.cells for column in every), strict=True)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    footer = "".join(f"<p>{html.escape(text)}</p>" for text in remarks(result, rates))
    caption = f"<caption>{html.escape(title(result))}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}"


def title(result: Result) -> str:
    """The experiment's name and what all its trials have in common."""
    return f"{result.experiment.name}: {Labels(result.experiment).common(result.plan.trial(0))}"


def shown(result: Result) -> Sequence[int]:
    """The trials that get a row: all, in their order, or the best; of replicates the first stands for all."""
    replicates = result.experiment.replicates
    if result.trials <= MOST_ROWS * replicates:
        return range(0, result.trials, replicates)
    ranking = result.ranking() if replicates == 1 else replication.settings_by_rank(result)
    best: list[int] = ranking[:BEST_ROWS].tolist()
    return best


def rates_of(result: Result) -> list[TrialRate]:
    """The rates, measured and predicted, of the trials that have a row; empty where no paths were kept."""
    return [] if result.history is None else trial_rates(result, shown(result))


def rate_text(rate: float | None) -> str:
    """A rate as tables have it; near to one by its difference, which is what counts there."""
    if rate is None:
        return ""
    return f"{rate:.4f}" if abs(rate - 1) > 1e-3 or rate == 1 else f"1{rate - 1:+.1e}".replace("e-0", "e-")


def remarks(result: Result, rates: Sequence[TrialRate]) -> Iterator[str]:
    """What must be said below the table."""
    if result.trials > MOST_ROWS * result.experiment.replicates:
        yield _remark_on_the_rest(result)
    if result.experiment.replicates > 1:
        yield f"over {result.experiment.replicates:,} replicates: the median and [the quartiles]"
    yield from replication.meanings([heading for heading, _ in replication.floor_columns(result, shown(result)[:1])])
    labels = Labels(result.experiment)
    differing: dict[str, list[str]] = {}
    for number, rate in zip(shown(result), rates, strict=False):
        if rate.reason is not None:
            differing.setdefault(rate.reason, []).append(labels.of(result.plan.trial(number)))
    for note, names in differing.items():
        others = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"rate is not as predicted for {'; '.join(names[:MOST_NAMED])}{others}: {note}"


def _remark_on_the_rest(result: Result) -> str:
    """What became of the trials that have no row."""
    counts = Counter(result.status)
    ended = ", ".join(f"{counts[status]:,} {status.label}" for status in Status if counts[status])
    where = "summary.csv in the run folder" if result.run_folder else "summary()"
    what = "trials" if result.experiment.replicates == 1 else "settings"
    count = result.trials // result.experiment.replicates
    return f"the best {BEST_ROWS} of {count:,} {what} by final loss; {ended}; all of them: {where}"


def columns(result: Result, rates: Sequence[TrialRate]) -> list[Column]:
    """Every column; those of the rates, where any trial has one."""
    labels = Labels(result.experiment)
    numbers = shown(result)
    trials = [result.plan.trial(number) for number in numbers]
    told = [Column(heading="optimizer", justify="left", cells=[trial.optimizer for trial in trials])]
    for name in labels.hyperparameters:
        values = [trial.hyperparameters.get(name) for trial in trials]
        told.append(Column(heading=SYMBOLS.get(name, name), justify="right", cells=[*map(_cell, values)]))
    for name in labels.surface_parameters:
        values = [trial.surface_parameters[name] for trial in trials]
        told.append(Column(heading=f"surface.{name}", justify="right", cells=[*map(_cell, values)]))
    if labels.starts:
        told.append(Column(heading="start", justify="left", cells=[point(trial.start) for trial in trials]))
    iterations = [replication.iterations(result, number) for number in numbers]
    told.append(Column(heading="iterations", justify="right", cells=iterations))
    if result.experiment.replicates == 1:
        final_points = [point(result.final_points[number]) for number in numbers]
        told.append(Column(heading="final point", justify="left", cells=final_points))
    final_losses = [replication.final_losses(result, number) for number in numbers]
    told.append(Column(heading="final loss", justify="right", cells=final_losses))
    told += _ending_columns(result, numbers)
    told += [
        Column(heading=heading, justify="right", cells=cells)
        for heading, cells in replication.floor_columns(result, numbers)
    ]
    if any(rate.measured is not None for rate in rates):
        told.append(Column(heading=RATES[0], justify="right", cells=[rate_text(rate.measured) for rate in rates]))
        told.append(Column(heading=RATES[1], justify="right", cells=[rate_text(rate.predicted) for rate in rates]))
    labels_of_status = [replication.statuses(result, number) for number in numbers]
    told.append(Column(heading="status", justify="left", cells=labels_of_status))
    return told


def _ending_columns(result: Result, numbers: Sequence[int]) -> list[Column]:
    """Accuracy and condition number, of which trials on data have one; of replicates the median accuracy alone."""
    replicates = result.experiment.replicates
    every = [int(each) for number in numbers for each in replication.replicates_of(result, number)]
    ends = endings(result, every, curved=replicates == 1)
    accuracies = [
        [-math.inf if end.accuracy is None else end.accuracy for end in ends[i : i + replicates]]
        for i in range(0, len(ends), replicates)
    ]
    columns = {
        "accuracy": [f"{middle:.1%}" if (middle := statistics.median_low(some)) >= 0 else "" for some in accuracies],
        "condition": ["" if end.curvatures is None else _condition(end) for end in ends[::replicates]],
    }
    return [Column(heading=key, justify="right", cells=cells) for key, cells in columns.items() if any(cells)]


def _condition(ending: Ending) -> str:
    """The condition number at the end; where it has none, which way the loss curves."""
    if ending.condition_number is not None:
        return f"{ending.condition_number:.3g}"
    return "saddle" if ending.curvatures and ending.curvatures[0] < -FLAT * ending.curvatures[1] else "flat"


def steps_table(result: Result, number: int) -> RenderableType:
    """Every recorded iteration of one trial, at the precision of a float."""
    trial = result.plan.trial(number)
    labels = Labels(result.experiment)
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
