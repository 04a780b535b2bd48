"""The values of one schedule in a run, looked up iteration by iteration."""

import functools

import numpy as np

from momentumlab.registry import Array
from momentumlab.schedules.base import Schedule

PAGE = 2**16
"""So many values of a schedule are tabulated at a time."""

PAGES = 16
"""So many such tables are kept."""


class Course:
    """The values of a schedule, tabulated as they are needed.

    Whatever trials are under way, a value comes from the same table: NumPy may round differently where it computes one
    value, or many.
    """

    def __init__(self, schedule: Schedule, iterations: int) -> None:
        self.schedule = schedule
        self.iterations = iterations
        self.page = functools.lru_cache(PAGES)(self._tabulated)

    def _tabulated(self, number: int) -> Array:
        first = number * PAGE
        k = np.arange(first, max(first + 1, min(first + PAGE, self.iterations)), dtype=np.float64)
        return self.schedule.value(k, self.iterations)

    def at(self, age: Array | int) -> Array:
        """The value after so many updates, without an axis; for an array ``(lanes,)`` of them, the value of each."""
        if not isinstance(age, np.ndarray):
            number, place = divmod(min(age, self.iterations - 1), PAGE)
            return self.page(number)[place, ...]
        ages = np.clip(age, 0, self.iterations - 1).astype(np.intp)  # a lane that idles grows older
        if self.iterations <= PAGE:
            return self.page(0)[ages]
        numbers, places = np.divmod(ages, PAGE)
        values = np.empty(len(ages))
        for number in np.unique(numbers).tolist():
            on_page = numbers == number
            values[on_page] = self.page(number)[places[on_page]]
        return values
