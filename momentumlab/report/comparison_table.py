"""The tables of a comparison: a ranking per surface with its search, and a ranking over all surfaces."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from momentumlab.experiment import GRID, HALVING, Comparison, method_names
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.report.columns import final_point_column, quartiles_cell, rate_columns, setting_columns, status_column
from momentumlab.report.labels import axis_name, exact, repeats
from momentumlab.report.libraries import library_remarks
from momentumlab.report.reports import ComparisonReport
from momentumlab.report.result_table import rate_remarks
from momentumlab.report.table import Column, Kind, Table
from momentumlab.result import Status
from momentumlab.search import Match
from momentumlab.search.comparison import is_random
from momentumlab.search.halving import evaluations_per_stage, first_rungs
from momentumlab.search.ranking import WITHIN
from momentumlab.search.searched import Searched
from momentumlab.search.tuning import ZOOM_CELLS, zoom_grids

MEDIAN = 0.5

FEW = 4
"""More searched values than this are summarised by their range."""

ROBUST = 1
"""Priority of the column ``robust``."""


def comparison_tables(report: ComparisonReport) -> list[Table]:
    """Return a table for each surface and, if there are several, a table over all of them."""
    surfaces = range(len(report.result.matches))
    tables = [_surface_table(report, surface) for surface in surfaces]
    return tables if len(tables) == 1 else [*tables, _overall_table(report)]


def _surface_table(report: ComparisonReport, surface: int) -> Table:
    result, match = report.result, report.result.matches[surface]
    every_name = method_names(result.comparison.experiments[0])
    remarks = [
        f"identical trajectories: {'; '.join(every_name[number] for number in group)}" for group in match.same_methods
    ]
    if np.isinf(match.evaluations_to_target).all():
        remarks.append("no optimizer reached the target: allow more iterations")
    if match.starts > 1:
        remarks.append(f"values over {repeats(match.experiment)}: median [quartiles]")
    else:
        remarks.extend(rate_remarks(report.reports[surface]))
    remarks.extend(library_remarks(match.experiment))
    return Table(
        title=f"{result.comparison.name}: {report.headline(surface)}",
        lines=list(searched_lines(report, match)),
        columns=list(_columns(report, surface)),
        remarks=remarks,
    )


def searched_lines(report: ComparisonReport, match: Match) -> Iterator[str]:
    """Yield descriptions of the search, one line if all optimizers share it."""
    comparison = report.result.comparison
    by_text: dict[str, list[str]] = {}
    for name, searched in zip(method_names(comparison.experiments[0]), match.searched, strict=True):
        if comparison.search == HALVING:
            text = _halved_text(comparison, match, searched)
        else:
            text = _zoomed_text(searched, comparison.zooms) if comparison.zooms else _searched_text(searched)
        by_text.setdefault(text, []).append(name)
    for text, names in by_text.items():
        yield f"searched for {'each optimizer' if len(by_text) == 1 else '; '.join(names)}: {text}"
    if is_random(match.experiment):
        yield f"judged on {repeats(match.experiment)} that the search has not seen"
    if len({searched.cells for searched in match.searched}) > 1 and comparison.search == GRID:
        yield "the optimizers did not get the same number of trials"


def _searched_text(searched: Searched) -> str:
    if not searched.columns:
        return "nothing, all hyperparameters are given"
    parts = []
    for name, column in searched.columns.items():
        values = sorted(set(column.tolist()), key=str) if column.dtype == object else np.unique(column).tolist()
        if not isinstance(values[0], float) or len(values) <= FEW:
            parts.append(f"{axis_name(name)} in {', '.join(map(exact, values))}")
            continue
        axis = searched.choice.axes[name]
        began = f", begun with {len(axis)}" if axis.tuned and len(values) != len(axis) else ""
        parts.append(f"{len(values)} values of {axis_name(name)} {interval(values[0], values[-1])}{began}")
    return " × ".join(parts)


def interval(low: Any, high: Any) -> str:
    """Return the ends of a range with enough digits to distinguish them: ``from 0.001 to 0.1``, or ``at 0.01``."""
    digits = 3
    while (low != high and f"{low:.{digits}g}" == f"{high:.{digits}g}") or (high < 1 and f"{high:.{digits}g}" == "1"):
        digits += 1
    return f"at {low:.{digits}g}" if low == high else f"from {low:.{digits}g} to {high:.{digits}g}"


def _zoomed_text(searched: Searched, zooms: int) -> str:
    """Describe the first grid of a search with zooms, and the grids that followed."""
    grid = _first_grid(searched)
    if not grid:
        return _searched_text(searched)
    finer = _zooms(zooms) if zoom_grids(searched.choice) else "too few for finer grids"
    return f"{searched.cells:,} settings: {grid}, {finer}"


def _halved_text(comparison: Comparison, match: Match, searched: Searched) -> str:
    """Describe the first grid of a search by halving, its rungs and their cost."""
    grid = _first_grid(searched)
    if not grid:
        return _searched_text(searched)
    rungs = first_rungs(comparison, match.experiment, searched.choice)
    settings = ", ".join(f"{rung.settings:,}" for rung in rungs)
    iterations = ", ".join(f"{rung.iterations:,}" for rung in rungs)
    evaluations = (comparison.zooms + 1) * evaluations_per_stage(comparison, match.experiment)
    zooms = f", {_zooms(comparison.zooms)}" if comparison.zooms and zoom_grids(searched.choice) else ""
    halving = f"halved: {settings} settings for {iterations} iterations"
    return f"{grid}, {halving}{zooms}; at most {evaluations:,} gradient evaluations per start"


def _first_grid(searched: Searched) -> str:
    """Return the axes with which a search began; empty if nothing is tuned."""
    return " × ".join(
        f"{len(axis)} {axis_name(name)} {interval(axis.values[0], axis.values[-1])}"
        for name, axis in searched.choice.axes.items()
        if axis.tuned
    )


def _zooms(zooms: int) -> str:
    return f"then {zooms} {'zoom' if zooms == 1 else 'zooms'} into the best {ZOOM_CELLS} cells"


def _columns(report: ComparisonReport, surface: int) -> Iterator[Column]:
    match, labels = report.result.matches[surface], report.reports[surface].labels
    standings = match.standings
    numbers = [match.trials_of(standing.number)[0] for standing in standings]
    trials = [match.result.plan.trial(number) for number in numbers]
    shared = len({standing.rank for standing in standings}) < len(standings) and match.starts > 1
    tie = (
        "optimizers share a rank if a paired bootstrap over the trials does not separate them (95 %)" if shared else ""
    )
    yield Column(heading="rank", cells=[str(standing.rank) for standing in standings], meaning=tie)
    if not labels.optimizers:  # otherwise it is a setting
        yield Column(heading="optimizer", cells=[standing.choice.name for standing in standings], kind=Kind.NAME)
    searched = [name for one in match.searched for name in one.columns]
    scheduled = [LR_SCHEDULE] if any(LR_SCHEDULE in trial.hyperparameters for trial in trials) else []
    yield from setting_columns(labels, trials, [*searched, *scheduled])
    if match.starts == 1:
        counts = [standing.evaluations_to_target[1] for standing in standings]
        evaluations = [f"{count:g}" if np.isfinite(count) else "never" for count in counts]
        losses = [f"{match.result.final_losses[number]:.5g}" for number in numbers]
    else:
        evaluations = [quartiles_cell(standing.evaluations_to_target, "g", "never") for standing in standings]
        losses = [quartiles_cell(standing.final_loss, ".3g", Status.DIVERGED.label) for standing in standings]
    # A meaning that all tables share is printed below the last one.
    is_last = surface == len(report.result.matches) - 1
    meaning = f"gradient evaluations until {report.target}" if is_last else ""
    yield Column(heading="to target", cells=evaluations, kind=Kind.VALUES, meaning=meaning)
    yield Column(heading="final loss", cells=losses, kind=Kind.VALUES)
    for name, shown in (("accuracy", ".1%"), ("validation_loss", ".4g"), ("validation_accuracy", ".1%")):
        medians = [state.get(name) for state in report.held_out[surface]]
        if any(median is not None for median in medians):
            cells = ["" if median is None else f"{median:{shown}}" for median in medians]
            yield Column(heading=name.replace("_", " "), cells=cells)
    objective = report.result.comparison.objective
    if match.starts > 1 and objective.quantile != MEDIAN:
        yield Column(heading=objective.label, cells=[f"{standing.result:.3g}" for standing in standings])
    if any(standing.diverged > 0 for standing in standings) and match.starts > 1:
        cells = [f"{standing.diverged:.0%}" for standing in standings]
        yield Column(heading="diverged", cells=cells, meaning="share of trials that diverge" if is_last else "")
    if match.starts == 1:
        yield final_point_column(match.result.final_points[number] for number in numbers)
        yield from rate_columns([report.reports[surface].rates[number] for number in numbers])
    if any(standing.robustness is not None for standing in standings):
        shares = [standing.robustness for standing in standings]
        meaning = f"share of the searched lr whose result is within {WITHIN:g} times the best" if is_last else ""
        cells = ["" if share is None else f"{100 * share:.0f}%" for share in shares]
        yield Column(heading="robust", cells=cells, priority=ROBUST, meaning=meaning)
    yield status_column([standing.counts for standing in standings])


def _overall_table(report: ComparisonReport) -> Table:
    """Return mean ranks and the number of problems solved over all surfaces."""
    result = report.result
    choices = result.comparison.experiments[0].optimizers
    ranks = np.array([[match.standing(i).rank for match in result.matches] for i in range(len(choices))])
    reached = np.isfinite(result.costs)
    solved = reached.sum(axis=1)
    order = np.lexsort((-solved, ranks.mean(axis=1))).tolist()
    remarks = []
    if solved[order[0]] < solved.max():  # another optimizer leads in the profiles
        most = " and ".join(choices[i].name for i in np.flatnonzero(solved == solved.max()))
        remarks.append(f"ordered by mean rank; {most} reached the target most often, which profiles.png shows")
    return Table(
        title=f"{result.comparison.name}: over all {len(result.matches)} surfaces",
        columns=[
            Column(heading="optimizer", cells=[choices[i].name for i in order], kind=Kind.NAME),
            Column(heading="mean rank", cells=[f"{ranks[i].mean():.3g}" for i in order]),
            Column(heading="first on", cells=[str((ranks[i] == 1).sum()) for i in order]),
            Column(heading="target reached", cells=[f"{solved[i]} of {reached.shape[1]}" for i in order]),
        ],
        remarks=remarks,
    )
