"""Columns that several tables have: settings, final points, rates and statuses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.plan import Trial
from momentumlab.report.labels import Labels, axis_name, exact, final_point
from momentumlab.report.table import Column, Kind
from momentumlab.result import Status
from momentumlab.search.ranking import SEVERITY
from momentumlab.theory import TrialRate

STATUS_STYLES = {Status.CONVERGED: "green", Status.MAX_ITERATIONS: "yellow", Status.DIVERGED: "red"}

# Columns with the highest priority number are left out first.
ESSENTIAL, RATES, FLOORS, FINAL_STATE, FINAL_POINT = range(5)


def setting_columns(labels: Labels, trials: Sequence[Trial], further: Iterable[str] = ()) -> Iterator[Column]:
    """Yield the settings that distinguish trials, and further hyperparameters.

    The cell of an optimizer that does not have a hyperparameter is empty.
    """
    if labels.optimizers:
        yield Column(heading="optimizer", cells=[trial.optimizer for trial in trials], kind=Kind.NAME)
    for name in dict.fromkeys([*labels.hyperparameters, *further]):
        # The factor of a constant learning rate is 1.
        default = 1.0 if name == LR_SCHEDULE else None
        values = [trial.hyperparameters.get(name, default) for trial in trials]
        cells = ["" if value is None else exact(value) for value in values]
        yield Column(heading=axis_name(name), cells=cells, kind=Kind.VALUES)
    for name in labels.surface_parameters:
        cells = [exact(trial.surface_parameters[name]) for trial in trials]
        heading = "surface" if name == "surface" else f"surface.{name}"
        yield Column(heading=heading, cells=cells, kind=Kind.VALUES)


def final_point_column(points: Iterable[Any], *, kind: Kind = Kind.NAME) -> Column:
    """Return the column of final points, ``(dim,)`` each; it is the first one that is left out.

    A ``Kind.POINT`` is broken into several lines before it is left out.
    """
    cells = [final_point(each) for each in points]
    return Column(heading="final point", cells=cells, kind=kind, priority=FINAL_POINT)


def quartiles_cell(quartiles: Sequence[float], form: str, lost: str) -> str:
    """Return ``median [low, high]``, with a word for values that are not finite."""
    if not np.isfinite(quartiles).any():
        return lost
    low, median, high = (format(value, form) if np.isfinite(value) else lost for value in quartiles)
    return f"{median} [{low}, {high}]"


def rate_columns(rates: Sequence[TrialRate]) -> Iterator[Column]:
    """Yield the measured and the predicted rates, if there are any; `rate_remarks` explains missing ones."""
    if any(rate.measured is not None for rate in rates):
        meaning = "factor by which the distance to the minimum shrinks per iteration"
        yield Column(heading="rate", cells=[_rate(rate.measured) for rate in rates], priority=RATES, meaning=meaning)
        if any(rate.predicted is not None for rate in rates):
            yield Column(heading="predicted", cells=[_rate(rate.predicted) for rate in rates], priority=RATES)


def _rate(rate: float | None) -> str:
    """Format a rate; a rate close to 1 as its difference from 1, which is the informative part."""
    if rate is None:
        return "–"
    return f"{rate:.4f}" if abs(rate - 1) > 1e-3 or rate == 1 else f"1{rate - 1:+.1e}".replace("e-0", "e-")


def status_column(counts: Sequence[Mapping[Status, int]]) -> Column:
    """Return the statuses of the trials of each row, with the number of trials per status if there are several."""
    cells, worst = [], []
    for each in counts:
        present = [status for status in Status if each.get(status)]
        several = ", ".join(f"{each[status]:,} {status.label}" for status in present)
        cells.append(several if len(present) > 1 else present[0].label)
        worst.append(max(present, key=SEVERITY.index))
    kind = Kind.PROSE if any(" " in cell for cell in cells) else Kind.NAME
    return Column(heading="status", cells=cells, kind=kind, styles=[STATUS_STYLES[status] for status in worst])
