"""A run as one table in long form, with a row per trial and iteration."""

import csv
import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, BinaryIO

from momentumlab.errors import ConfigError
from momentumlab.report.data import columns_of, flat
from momentumlab.result import Result
from momentumlab.runs.read import LoadedRun

OUTCOME = ("iterations", "gradient_evaluations", "final_point", "final_loss", "status")
"""Columns of a summary that describe the outcome of a trial rather than its settings."""


def columns(results: Sequence[Result]) -> list[str]:
    """Return the names of all columns: settings, iteration, state after that iteration, status."""
    # A trial of each group: together they have every setting.
    firsts = [result.rows([group.first for group in result.plan.groups]) for result in results]
    settings = columns_of(_settings(row) for rows_ in firsts for row in rows_)
    dimension = max(result.plan.dimension for result in results)
    points, velocities = ([f"{name}_{i}" for i in range(dimension)] for name in ("point", "velocity"))
    recorded = [result.quantities for result in results if result.history is not None]
    # The value of the first trial at its start has every column of a quantity.
    quantities = columns_of(flat({name: each[0, 0].tolist()}) for every in recorded for name, each in every.items())
    return ["experiment", "trial", *settings, "iteration", *points, *velocities, "loss", *quantities, "status"]


def _settings(row: dict[str, Any]) -> dict[str, Any]:
    return flat({key: value for key, value in row.items() if key not in OUTCOME})


def rows(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """Yield a row per recorded iteration of every trial, or a row per trial of a sweep, which has no histories.

    Only the last row of a trial has a status.
    """
    for result in results:
        for number, row in enumerate(result.rows()):
            head = {"experiment": result.experiment.name, "trial": number, **_settings(row)}
            if result.history is None:
                states = [{"iteration": row["iterations"], "point": row["final_point"], "loss": row["final_loss"]}]
            else:
                names = ("iteration", "point", "velocity", "loss", *result.quantities)
                every = (result.positions, result.velocities, result.losses, *result.quantities.values())
                histories = [each[number].tolist() for each in every]
                # Histories are padded behind the end of a trial; its recorded iterations determine the length.
                entries = zip(result.recorded(number).tolist(), *histories, strict=False)
                states = [dict(zip(names, entry, strict=True)) for entry in entries]
            for state in states:
                yield {**head, **flat(state), "status": row["status"] if state is states[-1] else None}


def csv_lines(loaded: LoadedRun) -> Iterator[str]:
    """Yield the table as lines of CSV; floats read back exactly."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns(loaded.results), lineterminator="\n")
    writer.writeheader()
    for row in rows(loaded.results):
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(row)
    yield buffer.getvalue()


def write_csv(loaded: LoadedRun, file: BinaryIO) -> None:
    """Write the table as CSV."""
    for line in csv_lines(loaded):
        file.write(line.encode())


def check_parquet() -> None:
    """Raise `ConfigError` if Parquet cannot be written because pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        message = "Parquet needs pyarrow: pip install pyarrow, or write a .csv"
        raise ConfigError.at("--to", message)


def write_parquet(loaded: LoadedRun, file: BinaryIO) -> None:
    """Write the table as Parquet, which needs pyarrow."""
    import pyarrow as pa
    from pyarrow import parquet

    found: dict[str, list[Any]] = {name: [] for name in columns(loaded.results)}
    for row in rows(loaded.results):
        for name, column in found.items():
            column.append(row.get(name))
    parquet.write_table(pa.table({name: _uniform(column) for name, column in found.items()}), file)


def _uniform(column: list[Any]) -> list[Any]:
    """Return the values of a column as one type; schedules mixed with numbers become texts."""
    kinds = {type(value) for value in column if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        return [float(value) for value in column] if kinds == {int, float} and None not in column else column
    return [None if value is None else str(value) for value in column]
