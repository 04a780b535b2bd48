"""JSON of a comparison, and CSV of its ranks and of all searched settings."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.report.data import flat, strict, table_text
from momentumlab.report.reports import ComparisonReport
from momentumlab.result import Status
from momentumlab.search import ComparisonResult, Match
from momentumlab.search.ranking import finished, quantile
from momentumlab.search.searched import Searched


def json_document(report: ComparisonReport, **extra: Any) -> dict[str, Any]:
    """Return the ranks and the trials of the chosen settings as strict JSON; ``extra`` adds members."""
    result = report.result
    return {
        "experiment": result.comparison.name,
        "run_folder": None if result.run_folder is None else str(result.run_folder),
        "objective": result.comparison.objective.label,
        "ranking": [strict(row) for row in report.rows()],
        "trials": [strict(row) for each in report.reports for row in each.rows()],
        **extra,
    }


def ranking_csv_text(reports: Iterable[ComparisonReport]) -> str:
    """Return a row per surface and optimizer, in order of rank, with one header for all comparisons."""
    return table_text(
        [{"experiment": report.result.comparison.name, **flat(row)} for report in reports for row in report.rows()]
    )


def tuning_csv_text(result: ComparisonResult) -> str:
    """Return a row per searched setting: medians over the starts, and the number of trials of each status."""
    rows: list[dict[str, Any]] = []
    for match in result.matches:
        chosen = {standing.number: standing.cell for standing in match.standings}
        for number, one in enumerate(match.searched):
            rows += _searched_rows(match, one, chosen[number])
    return table_text(rows)


def search_arrays(result: ComparisonResult) -> dict[str, NDArray[Any]]:
    """Return the arrays of the search, named by the numbers of surface and optimizer: ``0.2.final_loss``.

    ``final_loss``, ``iterations`` and ``status`` are ``(cells, starts)``; each hyperparameter that was searched is
    ``(cells,)``, as text unless it is a number.
    """
    found: dict[str, NDArray[Any]] = {}
    for i, match in enumerate(result.matches):
        for j, one in enumerate(match.searched):
            found[f"{i}.{j}.final_loss"] = one.final_losses
            found[f"{i}.{j}.iterations"] = one.iterations
            found[f"{i}.{j}.status"] = one.status_codes
            for name, column in one.columns.items():
                texts = np.array([str(value) for value in column]) if column.dtype.kind not in "fib" else column
                found[f"{i}.{j}.{name}"] = texts
    return found


def _searched_rows(match: Match, one: Searched, chosen: int) -> Iterator[dict[str, Any]]:
    results, *_ = one.keys(match.search_yardstick)
    final_losses = quantile(finished(one.final_losses, one.status_codes), 0.5)
    iterations = np.median(one.iterations, axis=1)
    counts = {status: (one.status_codes == status.code).sum(axis=1) for status in Status}
    surface = match.experiment.surface
    parameters = {f"surface.{name}": axis.values[0] for name, axis in surface.axes.items()}
    idle = match.experiment.idle_hyperparameters(one.choice.name)
    fixed = {name: axis.values[0] for name, axis in one.choice.axes.items() if name not in idle}
    for cell in range(one.cells):
        yield {
            "surface": surface.name,
            **parameters,
            "optimizer": one.choice.name,
            **fixed,
            **one.setting(cell),
            "starts": one.final_losses.shape[1],
            "iterations": float(iterations[cell]),
            "final_loss": float(final_losses[cell]),
            "result": float(results[cell]),
            **{status.label: int(count[cell]) for status, count in counts.items()},
            "chosen": int(cell == chosen),
        }
