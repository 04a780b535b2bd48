"""The table of a run: one row per trial, or per setting if there are replicates."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from momentumlab.report.columns import (
    FINAL_STATE,
    FLOORS,
    final_point_column,
    quartiles_cell,
    rate_columns,
    setting_columns,
    status_column,
)
from momentumlab.report.final_state import FinalState
from momentumlab.report.labels import exact_point, point
from momentumlab.report.libraries import library_remarks
from momentumlab.report.reports import BEST_TABLE_ROWS, MAX_TABLE_ROWS, Report
from momentumlab.report.steps import steps_of
from momentumlab.report.table import Column, Kind, Table
from momentumlab.result import Status
from momentumlab.search.ranking import finished, quantile
from momentumlab.theory import NoiseFloor, underdamped_remark

MAX_NAMED = 3
"""A remark on several trials names at most this many."""

FLAT = 1e-12
"""A curvature smaller than this share of the largest one is zero up to rounding."""


def result_table(report: Report) -> Table:
    """Return the table of a run; for many trials, it shows the best and counts the statuses of the others."""
    title = f"{report.experiment.name}: {report.title}"
    return Table(title=title, columns=list(_columns(report)), remarks=list(_remarks(report)))


def steps_table(report: Report, number: int, digits: int = 6) -> Table:
    """Return every recorded iteration of one trial, with columns in the order of the computation.

    Columns are never wrapped. If the terminal is too narrow, x is left out first: it is the new x of the row above.
    """
    trial = report.result.plan.trial(number)
    steps = list(steps_of(report.result, number))
    before = [None, *(step.point for step in steps[:-1])]
    points: dict[str, list[list[float] | None]] = {
        "x": [None if step.gradient is None else x for step, x in zip(steps, before, strict=True)],
        "gradient at x": [step.gradient for step in steps],
        "velocity": [step.velocity for step in steps],
        "new x": [step.point for step in steps],
    }
    return Table(
        title=" · ".join([report.title, *([report.labels.of(trial)] if report.result.trials > 1 else [])]),
        columns=[
            Column(heading="k", cells=[str(step.iteration) for step in steps], meaning="iteration"),
            *(
                Column(
                    heading=heading,
                    cells=["" if each is None else point(each, digits) for each in values],
                    priority=1 if heading == "x" else 0,
                )
                for heading, values in points.items()
            ),
            Column(heading="loss", cells=[f"{step.loss:.{digits}g}" for step in steps]),
        ],
    )


def _columns(report: Report) -> Iterator[Column]:
    result, labels, numbers = report.result, report.labels, report.shown
    trials = [result.plan.trial(number) for number in numbers]
    replicates = [report.replicates_of(number) for number in numbers]
    yield from setting_columns(labels, trials)
    if labels.starts:
        yield Column(heading="start", cells=[exact_point(trial.start) for trial in trials], kind=Kind.POINT)
    medians = [float(quantile(result.iterations[each].astype(np.float64), 0.5)) for each in replicates]
    yield Column(heading="iterations", cells=[f"{median:.0f}" for median in medians])
    if report.experiment.replicates == 1:
        points = (result.final_points[number] for number in numbers)
        yield final_point_column(points, kind=Kind.POINT)
        losses = [f"{result.final_losses[number]:.5g}" for number in numbers]
    else:
        finals = [finished(result.final_losses[each], result.status_codes[each]) for each in replicates]
        quartiles = [[float(quantile(each, share)) for share in (0.25, 0.5, 0.75)] for each in finals]
        losses = [quartiles_cell(each, ".3g", Status.DIVERGED.label) for each in quartiles]
    yield Column(heading="final loss", cells=losses, kind=Kind.VALUES)
    yield from _final_state_columns(report, replicates)
    yield from _floor_columns(report, replicates)
    yield from rate_columns([report.rates[number] for number in numbers] if report.rates else [])
    yield status_column([Counter(result.status_of(int(number)) for number in each) for each in replicates])


def _final_state_columns(report: Report, replicates: Sequence[NDArray[np.int64]]) -> Iterator[Column]:
    """Yield medians of accuracy and of validation and, without replicates, condition number of trials on data."""
    if not report.final_states:
        return
    states = [[report.final_states[int(number)] for number in each] for each in replicates]
    for name, heading, form in (
        ("accuracy", "accuracy", ".1%"),
        ("validation_loss", "validation loss", ".5g"),
        ("validation_accuracy", "validation accuracy", ".1%"),
    ):
        # A diverged trial has no such value: it counts as the worst one.
        worst = math.inf if form == ".5g" else -math.inf
        values = [[worst if getattr(s, name) is None else getattr(s, name) for s in each] for each in states]
        medians = [statistics.median_low(each) for each in values]
        if any(map(math.isfinite, medians)):
            cells = [format(median, form) if math.isfinite(median) else "" for median in medians]
            yield Column(heading=heading, cells=cells)
    if report.experiment.replicates == 1 and any(each[0].curvatures for each in states):
        cells = [_condition(each[0]) for each in states]
        meaning = "ratio of the largest to the smallest curvature at the final point"
        yield Column(heading="condition", cells=cells, priority=FINAL_STATE, meaning=meaning)


def _condition(state: FinalState) -> str:
    """Return the condition number at the final point, or the reason why it is undefined."""
    if state.curvatures is None:
        return ""
    if state.condition_number is not None:
        return f"{state.condition_number:.3g}"
    return "saddle" if state.curvatures[0] < -FLAT * state.curvatures[1] else "flat"


def _floor_columns(report: Report, replicates: Sequence[NDArray[np.int64]]) -> Iterator[Column]:
    """Yield the noise floor, measured and predicted, and the loss at averaged iterates."""
    if not report.floors:
        return
    floors = [report.floors[int(each[0])] for each in replicates]
    columns = (
        ("noise floor", "mean loss above the minimum over the second half of all trajectories",
         [_floor_cell(floor) for floor in floors]),
        ("predicted floor", "", ["" if floor.predicted is None else f"{floor.predicted:.3g}" for floor in floors]),
    )  # fmt: skip
    for heading, meaning, cells in columns:
        if any(cells):
            yield Column(heading=heading, cells=cells, priority=FLOORS, meaning=meaning)
    losses = [np.array([report.averaged_losses[int(number)][0] for number in each]) for each in replicates]
    medians = [float(quantile(each, 0.5)) for each in losses]
    cells = [f"{median:.3g}" if math.isfinite(median) else "" for median in medians]
    meaning = "loss at the mean iterate of the second half"
    yield Column(heading="averaged", cells=cells, priority=FLOORS, meaning=meaning)


def _floor_cell(floor: NoiseFloor) -> str:
    if floor.is_transient:
        return "transient"
    return "" if floor.measured is None else f"{floor.measured:.3g}"


def _remarks(report: Report) -> Iterator[str]:
    replicates = report.experiment.replicates
    if report.result.trials > MAX_TABLE_ROWS * replicates:
        counts = Counter(report.result.status)
        ended = ", ".join(f"{counts[status]:,} {status.label}" for status in Status if counts[status])
        where = "summary.csv in the run folder" if report.run_folder else "summary()"
        what = "trials" if replicates == 1 else "settings"
        count = report.result.trials // replicates
        yield f"the best {BEST_TABLE_ROWS} of {count:,} {what} by final loss; {ended}; {where} lists all"
    if replicates > 1:
        yield f"final loss over {replicates:,} replicates: median [quartiles]"
    yield from rate_remarks(report)
    yield from library_remarks(report.experiment)
    if (
        report.rates
        and (why := underdamped_remark(report.result, {n: report.rates[n] for n in report.shown})) is not None
    ):
        yield why


def rate_remarks(report: Report) -> Iterator[str]:
    """Yield why rates are missing or differ from their predictions; trials that share a reason are named together."""
    trials: dict[tuple[str, str], list[str]] = {}
    for number, reason in report.rate_reasons.items():
        rate = report.rates[number]
        what = "no prediction" if rate.predicted is None else "rate differs from the prediction"
        what = "no rate" if rate.measured is None else what
        trials.setdefault((what, reason), []).append(report.labels.of(report.result.plan.trial(number)))
    for (what, reason), names in trials.items():
        others = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        yield f"{what} ({'; '.join(names[:MAX_NAMED])}{others}): {reason}"
