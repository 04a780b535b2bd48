"""What chance makes of a result: settings with all their replicates, and the columns that tell of noise."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from momentumlab.registry import Array
from momentumlab.result import Result, Status
from momentumlab.search.ranking import finished, quantile
from momentumlab.theory import noise_floor, running_average, tail_average

Cells = tuple[str, list[str]]
"""A heading, and a cell for each row."""

FLOORS = ("noise floor", "predicted", "averaged")


def replicates_of(result: Result, number: int) -> NDArray[np.int64]:
    """The trials of one setting, by the number of the first."""
    return np.arange(number, number + result.experiment.replicates)


def settings_by_rank(result: Result) -> NDArray[np.intp]:
    """The first trial of every setting, lowest median of the final losses first."""
    replicates = result.experiment.replicates
    losses = finished(result.final_losses, result.status_codes).reshape(-1, replicates)
    medians = np.array([quantile(line, 0.5) for line in losses])
    return np.argsort(medians, kind="stable") * replicates


def final_losses(result: Result, number: int) -> str:
    """The final loss of a setting; of several replicates the median and quartiles."""
    numbers = replicates_of(result, number)
    if len(numbers) == 1:
        return f"{result.final_losses[number]:.5g}"
    losses = finished(result.final_losses[numbers], result.status_codes[numbers])
    end = worst(result, number).label
    low, median, high = (
        f"{value:.3g}" if np.isfinite(value) else end
        for value in (float(quantile(losses, share)) for share in (0.25, 0.5, 0.75))
    )
    return f"{median} [{low}, {high}]"


def iterations(result: Result, number: int) -> str:
    """The iterations of a setting; of several replicates the median."""
    return f"{quantile(result.iterations[replicates_of(result, number)].astype(np.float64), 0.5):.0f}"


def statuses(result: Result, number: int) -> str:
    """How the replicates of a setting ended."""
    counts = Counter(result.status_of(int(each)) for each in replicates_of(result, number))
    if len(counts) == 1:
        return next(iter(counts)).label
    return ", ".join(f"{counts[status]} {status.label}" for status in Status if counts[status])


def worst(result: Result, number: int) -> Status:
    """The worst end among the replicates of a setting."""
    order = [Status.CONVERGED, Status.MAX_ITERATIONS, Status.DIVERGED]
    return max((result.status_of(int(each)) for each in replicates_of(result, number)), key=order.index)


def floor_columns(result: Result, numbers: Sequence[int]) -> Iterator[Cells]:
    """Where noise keeps each setting: the loss above the minimum, the predicted one, and that of averaged iterates."""
    if result.history is None or (result.experiment.noise is None and not result.experiment.is_random):
        return
    floors = [noise_floor(result, replicates_of(result, number)) for number in numbers]
    if any(floor.measured is not None for floor in floors):
        yield FLOORS[0], ["" if floor.measured is None else f"{floor.measured:.3g}" for floor in floors]
    if any(floor.predicted is not None for floor in floors):
        yield FLOORS[1], ["" if floor.predicted is None else f"{floor.predicted:.3g}" for floor in floors]
    averaged = [
        float(quantile(np.array([averages(result, int(each))[0] for each in replicates_of(result, number)]), 0.5))
        for number in numbers
    ]
    yield FLOORS[2], [f"{value:.3g}" if np.isfinite(value) else "" for value in averaged]


def averages(result: Result, number: int) -> tuple[float, float]:
    """The loss at the mean of the later half of a trial's iterates, and at their running average."""
    path: Array = result.path(number)
    surface = result.plan.surface_of(number)
    with np.errstate(all="ignore"):
        points = np.stack([tail_average(path), running_average(path)], axis=1)
        tail, running = surface.value(points).tolist()
    return tail, running


def meanings(headings: Sequence[str]) -> Iterator[str]:
    """What these columns mean."""
    if FLOORS[0] in headings:
        yield "noise floor: the mean loss above the minimum over the later half of all paths"
    if FLOORS[2] in headings:
        yield "averaged: the loss at the mean of the iterates of the later half"
