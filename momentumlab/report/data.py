"""A result as data for other programs: JSON and CSV."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from momentumlab.report.final_state import endings
from momentumlab.report.replication import averages
from momentumlab.report.steps import Step, steps_of
from momentumlab.result import Result
from momentumlab.theory import trial_rates


def json_document(
    result: Result, *, steps: bool = False, numbers: Sequence[int] | None = None, **extra: Any
) -> dict[str, Any]:
    """The result as strict JSON has it: a number that is not finite is null, the status says why.

    Parameters
    ----------
    result
        What to write.
    steps
        Whether each trial has its iterations, too.
    numbers
        Which trials; all if nothing is said.
    **extra
        More members of the document.
    """
    trials = [strict(row) for row in rows_of(result, numbers)]
    for number, trial in enumerate(trials if steps else []):
        trial["steps"] = [strict(_step_row(step)) for step in steps_of(result, number)]
    return {
        "experiment": result.experiment.name,
        "run_folder": None if result.run_folder is None else str(result.run_folder),
        "trials": trials,
        **extra,
    }


def json_text(document: Any) -> str:
    """One line of strict JSON; floats are written so that they read back exactly."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False)


def strict(value: Any) -> Any:
    """The same data with null for every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return value


def rows_of(result: Result, numbers: Sequence[int] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a result; on data with what is said of their ends, and where paths were kept with rates."""
    rows = result.rows(numbers)
    told = endings(result, range(result.trials) if numbers is None else numbers)
    if told:
        rows = ({**row, **ending.as_dict()} for row, ending in zip(rows, told, strict=True))
    if result.history is None:
        yield from rows
        return
    every = range(result.trials) if numbers is None else numbers
    for number, row, rate in zip(every, rows, trial_rates(result, numbers), strict=True):
        rated = {**row, "rate": rate.measured, "predicted_rate": rate.predicted}
        if result.experiment.noise is not None or result.experiment.is_random:
            rated["averaged_loss"], rated["ema_loss"] = averages(result, number)
        yield rated


def csv_text(results: Iterable[Result], numbers: Sequence[int] | None = None) -> str:
    """A row per trial of all results, or per trial of those numbers, with one header for all of them."""
    return table_text([row for result in results for row in csv_rows(result, numbers)])


def steps_csv_text(results: Iterable[Result]) -> str:
    """A row per iteration of all trials of all results; trials are counted from 0."""
    return table_text(
        [
            {
                "experiment": result.experiment.name,
                "trial": number,
                "optimizer": row["optimizer"],
                **row["hyperparameters"],
                **flat(_step_row(step)),
            }
            for result in results
            for number, row in enumerate(result.rows())
            for step in steps_of(result, number)
        ]
    )


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "iteration": step.iteration,
        "point": step.point,
        "gradient": step.gradient,
        "velocity": step.velocity,
        "loss": step.loss,
    }


def csv_rows(result: Result, numbers: Sequence[int] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a result with a column for each number: ``hyperparameters`` by name, points by coordinate."""
    for number, row in zip(range(result.trials) if numbers is None else numbers, rows_of(result, numbers), strict=True):
        yield {"experiment": result.experiment.name, "trial": number, **flat(row)}


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with a column for each number in it; words that are listed share one, and what is not there has none."""
    columns: dict[str, Any] = {}
    for key, value in row.items():
        if key == "hyperparameters":
            columns.update(value)
        elif key == "surface_parameters":
            columns.update({f"surface.{name}": item for name, item in value.items()})
        elif isinstance(value, dict):
            columns.update({f"{key}_{name}": item for name, item in value.items()})
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            columns[key] = " ".join(value)
        elif isinstance(value, list):
            columns.update({f"{key}_{i}": item for i, item in enumerate(value)})
        elif value is not None:
            columns[key] = value
    return columns


def table_text(rows: list[dict[str, Any]]) -> str:
    """CSV with every column that a row has."""
    columns = columns_of(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def columns_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Every column that a row has; the columns of later rows take their place among the earlier ones."""
    columns: list[str] = []
    for row in rows:
        position = 0
        for key in row:
            if key in columns:
                position = columns.index(key) + 1
            else:
                columns.insert(position, key)
                position += 1
    return columns
