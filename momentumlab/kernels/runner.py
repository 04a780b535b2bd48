"""Run the trials of a group with a kernel: its tables, its work space, and the arrays that it writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Experiment
from momentumlab.kernels.recording import Recording
from momentumlab.kernels.tracer import UntraceableError
from momentumlab.kernels.writer import LANES, slots
from momentumlab.noise import Errors
from momentumlab.outcome import Outcome
from momentumlab.parameters import Array
from momentumlab.plan import Group
from momentumlab.schedules.base import TabulatedSchedule

MOST_NUMBERS = 2**23
"""Schedules and errors are tabulated before the kernel starts if each needs at most this many numbers."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The arguments of a kernel that are the same for all blocks of a group."""

    numbers: Array
    sizes: NDArray[np.int64]
    tables: Array
    slots: int


def make_tables(recording: Recording, group: Group, experiment: Experiment) -> Tables:
    """Return the numbers that a kernel looks up: axes, starts, schedules and errors of the gradient.

    Raises
    ------
    UntraceableError
        If there would be too many.
    """
    maximum, dimension = experiment.stopping.iterations, recording.dimension
    tables: list[Array] = []

    def place(table: Array) -> int:
        tables.append(np.ascontiguousarray(table, dtype=np.float64).ravel())
        return sum(each.size for each in tables[:-1])

    # All tables are parts of one array. Integers tell the kernel where each begins, in the order of `_Writer.sizes`.
    starts_at = place(group.starts)
    draws_at = 0
    if recording.draws:
        replicates = len(group.replicates)
        if maximum * dimension * replicates > MOST_NUMBERS:
            raise UntraceableError("the errors of all iterations would need too much memory")
        assert experiment.noise is not None
        errors = Errors(experiment.noise, experiment.seed, dimension, experiment.replicates)
        draws = [errors.at(age, group.replicates) for age in range(maximum)]
        draws_at = place(np.array(draws))
    axes: list[int] = []
    for position in recording.axes.values():
        values = group.axes[position].values
        axes += [place(values), len(values)]
    schedules = []
    for name in recording.scheduled.values():
        if maximum > MOST_NUMBERS:
            raise UntraceableError("the values of a schedule would need too much memory")
        table = TabulatedSchedule(group.schedules[name], group.iterations)
        schedules.append(place(table.at(np.arange(maximum, dtype=np.float64))))
    sizes = [maximum, len(group.replicates), group.starts.shape[1], starts_at, draws_at, *axes, *schedules]
    return Tables(
        numbers=np.array([*recording.uniform.values()], dtype=np.float64),
        sizes=np.array(sizes, dtype=np.int64),
        tables=np.concatenate(tables),
        slots=slots(recording),
    )


def advance(
    kernel: Callable[..., None], tables: Tables, first: int, outcome: Outcome, places: slice, stop: NDArray[np.int64]
) -> None:
    """Run consecutive trials of a group, and write their results.

    Parameters
    ----------
    kernel
        A compiled kernel.
    tables
        Its tables.
    first
        The first trial, counted from the first of the group.
    outcome, places
        Where the results are written.
    stop
        An integer, ``(1,)``; the kernel returns early when it becomes nonzero.
    """
    work, integers = np.empty(tables.slots * LANES), np.empty(3 * LANES, dtype=np.int64)
    results = outcome.points[places], outcome.losses[places], outcome.iterations[places], outcome.codes[places]
    arrays: list[NDArray[Any]] = [tables.numbers, tables.sizes, tables.tables, *results, work, integers, stop]
    kernel(first, first + len(results[1]), *(array.ctypes.data for array in arrays))
