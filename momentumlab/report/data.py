"""JSON and CSV of runs and sweeps."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from momentumlab.report.reports import Report
from momentumlab.report.steps import Step, steps_of


def json_document(
    report: Report, *, steps: bool = False, numbers: Sequence[int] | None = None, **extra: Any
) -> dict[str, Any]:
    """Return a report as strict JSON: non-finite numbers are null, and the status says why.

    Parameters
    ----------
    report
        What is written.
    steps
        Whether each trial includes its iterations.
    numbers
        The trials; by default the listed ones.
    **extra
        Further members of the document.
    """
    numbers = report.listed if numbers is None else numbers
    trials = [strict(row) for row in report.rows(numbers)]
    for number, trial in zip(numbers, trials if steps else [], strict=False):
        trial["steps"] = [strict(_step_row(step)) for step in steps_of(report.result, number)]
    return {
        "experiment": report.experiment.name,
        "run_folder": None if report.run_folder is None else str(report.run_folder),
        "trials": trials,
        **({"trials_in_all": report.result.trials} if report.is_sweep else {}),
        **extra,
    }


def json_text(document: Any) -> str:
    """Return one line of strict JSON; floats round-trip."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False)


def strict(value: Any) -> Any:
    """Replace every non-finite number by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return value


def csv_text(reports: Iterable[Report]) -> str:
    """Return CSV with a row per listed trial of all reports and a common header."""
    return table_text([row for report in reports for row in csv_rows(report)])


def steps_csv_text(reports: Iterable[Report]) -> str:
    """Return a row per iteration of all trials of all reports; trials are counted from 0."""
    return table_text(
        [
            {
                "experiment": report.experiment.name,
                "trial": number,
                "optimizer": row["optimizer"],
                **row["hyperparameters"],
                **flat(_step_row(step)),
            }
            for report in reports
            for number, row in enumerate(report.result.rows())
            for step in steps_of(report.result, number)
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


def csv_rows(report: Report) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a report with a column per number: hyperparameters by name, points by coordinate."""
    for number, row in zip(report.listed, report.rows(), strict=True):
        yield {"experiment": report.experiment.name, "trial": number, **flat(row)}


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with a column per number; lists of words share a column, and missing values have none."""
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
    """Return CSV with a column for every name in any row."""
    columns = columns_of(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def columns_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the columns of all rows; new columns of later rows are inserted at their places."""
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
