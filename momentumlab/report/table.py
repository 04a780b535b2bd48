"""The table that people see: a row per trial, in a terminal or in a notebook."""

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from momentumlab.plan import Trial
from momentumlab.report.labels import SYMBOLS, Labels, point, short
from momentumlab.report.steps import steps_of
from momentumlab.result import Result, Status

Justify = Literal["left", "right"]

MOST_ROWS = 20
BEST_ROWS = 10

STATUS_STYLES = {Status.CONVERGED: "green", Status.MAX_ITERATIONS: "yellow", Status.DIVERGED: "red"}


def rich_table(result: Result) -> RenderableType:
    """The table of a result; of many trials the best, and how the others ended."""
    table = Table(box=None, pad_edge=False)
    for heading, justify in columns(result):
        is_point = heading in ("start", "final point")  # these give way where the terminal is narrow
        table.add_column(Text(heading), justify=justify, no_wrap=not is_point, overflow="fold")
    for number in shown(result):
        *cells, status = cells_of(result, number)
        table.add_row(*map(Text, cells), Text(status, style=STATUS_STYLES[result.status_of(number)]))
    footer = remark(result)
    return Group(Text(title(result), style="bold"), table, *([Text(footer, style="dim")] if footer else []))


def html_table(result: Result) -> str:
    """The same table for a notebook."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading, _ in columns(result))
    rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in cells_of(result, number)) for number in shown(result))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    footer = f"<p>{html.escape(text)}</p>" if (text := remark(result)) else ""
    caption = f"<caption>{html.escape(title(result))}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}"


def title(result: Result) -> str:
    """The experiment's name and what all its trials have in common."""
    return f"{result.experiment.name}: {Labels(result.experiment).common(result.plan.trial(0))}"


def shown(result: Result) -> Sequence[int]:
    """The numbers of the trials that get a row: all, in their order, or the best."""
    return range(result.trials) if result.trials <= MOST_ROWS else result.ranking()[:BEST_ROWS].tolist()


def remark(result: Result) -> str:
    """What became of the trials that have no row; empty if all have one."""
    if result.trials <= MOST_ROWS:
        return ""
    counts = Counter(result.status)
    ended = ", ".join(f"{counts[status]:,} {status.label}" for status in Status if counts[status])
    where = "summary.csv in the run folder" if result.run_folder else "summary()"
    return f"the best {BEST_ROWS} of {result.trials:,} trials by final loss; {ended}; all of them: {where}"


def columns(result: Result) -> Iterator[tuple[str, Justify]]:
    """Heading and justification of each column."""
    labels = Labels(result.experiment)
    yield "optimizer", "left"
    for name in labels.hyperparameters:
        yield SYMBOLS.get(name, name), "right"
    for name in labels.surface_parameters:
        yield f"surface.{name}", "right"
    if labels.starts:
        yield "start", "left"
    yield "iterations", "right"
    yield "final point", "left"
    yield "final loss", "right"
    yield "status", "left"


def cells_of(result: Result, number: int) -> list[str]:
    """One row of the table."""
    labels = Labels(result.experiment)
    trial: Trial = result.plan.trial(number)
    return [
        trial.optimizer,
        *(_cell(trial.hyperparameters.get(name)) for name in labels.hyperparameters),
        *(_cell(trial.surface_parameters[name]) for name in labels.surface_parameters),
        *([point(trial.start)] if labels.starts else []),
        f"{result.iterations[number]}",
        point(result.final_points[number]),
        f"{result.final_losses[number]:.5g}",
        result.status_of(number).label,
    ]


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
