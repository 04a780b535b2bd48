"""The base class of schedules: the value of a hyperparameter as a function of the iteration."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from momentumlab.calls import NamedCall
from momentumlab.lanes import by_page
from momentumlab.parameters import MAX_COUNT, Array, ValueKind, parameter
from momentumlab.registry import Registry

PAGE = 2**16
"""Number of values of a schedule that are tabulated at a time."""

PAGES = 16
"""Number of such tables that are kept."""


class Schedule(NamedCall, ABC):
    """A value for each iteration of a run.

    A new schedule is a frozen dataclass with the decorator `schedule`; its fields are declared with
    `momentumlab.parameters.parameter`. Time is counted as in PyTorch and optax: ``k`` is the number of completed
    updates, so the first update uses the value at 0 and update number t uses the value at t − 1. (In PyTorch this is
    the learning rate of ``optimizer.step()`` if ``scheduler.step()`` follows it; in optax it is the ``count``.)

    Attributes
    ----------
    formula
        The value at k.
    source
        The paper, and the functions of PyTorch and optax with the same values.
    """

    formula: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def value(self, k: Array, iterations: int) -> Array:
        """Return the values of some updates.

        Parameters
        ----------
        k
            The number of updates completed before each, from 0; any shape.
        iterations
            The maximum number of updates of the experiment.

        Returns
        -------
        values
            The shape of ``k``.
        """

    def turns(self, iterations: int) -> Sequence[int]:
        """Return the updates at which the value turns or jumps; between two of them it is monotone."""
        return ()

    def first_outside(self, iterations: int, allows: Callable[[float], bool]) -> tuple[int, float] | None:
        """Return the number of the first update whose value is not allowed, from 1, and that value; ``None`` if none.

        Parameters
        ----------
        iterations
            The maximum number of updates of the experiment.
        allows
            Whether a value is allowed; the allowed values must form an interval.
        """
        last = max(iterations - 1, 0)
        ends = sorted({0, last, *(k for k in self.turns(iterations) if 0 <= k <= last)})

        def value(k: int) -> float:
            with np.errstate(all="ignore"):  # a value that overflows is not allowed, and reported
                return float(self.value(np.array([float(k)]), iterations)[0])

        inside = -1
        for k in ends:
            if allows(value(k)):
                inside = k
                continue
            # The values between two turns are monotone: bisect.
            while k - inside > 1:
                middle = (inside + k) // 2
                inside, k = (middle, k) if allows(value(middle)) else (inside, middle)  # noqa: PLW2901
            return k + 1, value(k)
        return None


class TabulatedSchedule:
    """The values of one schedule, tabulated when they are needed.

    All trials take their values from the same tables, because NumPy may round a value differently in arrays of other
    lengths.
    """

    def __init__(self, schedule: Schedule, iterations: int) -> None:
        self.schedule = schedule
        self.iterations = iterations
        self.page = functools.lru_cache(PAGES)(self._tabulate)

    def _tabulate(self, number: int) -> Array:
        first = number * PAGE
        k = np.arange(first, max(first + 1, min(first + PAGE, self.iterations)), dtype=np.float64)
        return self.schedule.value(k, self.iterations)

    def at(self, age: Array | int) -> Array:
        """Return the value after a number of updates, without an axis; for an array ``(lanes,)``, one value each."""
        if not isinstance(age, np.ndarray):
            number, place = divmod(min(age, self.iterations - 1), PAGE)
            return self.page(number)[place, ...]
        ages = np.clip(age, 0, self.iterations - 1).astype(np.intp)  # the age of an idle lane keeps growing
        if self.iterations <= PAGE:
            return self.page(0)[ages]
        values = np.empty(len(ages))
        for number, lanes, places in by_page(ages, PAGE):
            values[lanes] = self.page(number)[places]
        return values


SCHEDULES: Registry[Schedule] = Registry("schedule", required=("formula", "source"))

schedule = SCHEDULES.entry
"""Register the decorated class as a schedule: ``@schedule("cosine")``."""


def start_parameter() -> Any:
    """Declare the first value of a schedule."""
    return parameter(doc="value of the first update")


def end_parameter() -> Any:
    """Declare the last value of a schedule."""
    return parameter(0.0, doc="value after the last of these updates, kept from then on")


def over_parameter() -> Any:
    """Declare the duration of a schedule."""
    doc = "duration in updates, or below 1 as a share of the iterations; 0: all iterations of the experiment"
    return parameter(0, kind=ValueKind.DURATION, ge=0, le=MAX_COUNT, by_name=True, doc=doc)


def duration_parameter(default: float | None = None, *, doc: str, by_name: bool = False) -> Any:
    """Declare a duration in updates, or as a share of the iterations."""
    doc = f"{doc}, or below 1 as a share of the iterations"
    return parameter(default, kind=ValueKind.DURATION, gt=0, le=MAX_COUNT, by_name=by_name, doc=doc)


def updates(duration: float, iterations: int) -> int:
    """Return a duration in updates: a share of the iterations if it is below 1, all of them if it is 0."""
    if 0 < duration < 1:
        return max(1, round(duration * iterations))
    return int(duration) or iterations


def interpolate(start: float | Array, end: float | Array, share: Array) -> Array:
    """Interpolate linearly; exactly ``start`` at 0 and ``end`` at 1."""
    mixed: Array = start * (1 - share) + end * share
    return mixed
