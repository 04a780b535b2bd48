"""Results of a search: for each optimizer the settings that were tried, as cells, and the choice among them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Axis, Choice, Experiment, Objective
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Array, Value
from momentumlab.plan import Group, Plan, make_plan
from momentumlab.result import Result
from momentumlab.schedules import Schedule
from momentumlab.search.ranking import Yardstick, best_cell

NEIGHBOUR_RATIOS = (1.1, 1.5)
"""``robust_loss`` compares a learning rate with its next neighbours whose ratio to it lies in this range."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The settings that were searched for one optimizer on one surface, one cell per setting, in order of lr.

    Attributes
    ----------
    choice
        The optimizer with the axes of its first grid.
    columns
        The values of each searched hyperparameter, ``(cells,)``.
    final_losses, iterations, status_codes
        The results of the trials, ``(cells, starts)``.
    """

    choice: Choice
    columns: Mapping[str, NDArray[Any]]
    final_losses: Array
    iterations: NDArray[np.int32]
    status_codes: NDArray[np.int8]

    @property
    def cells(self) -> int:
        """The number of settings."""
        return len(self.final_losses)

    def setting(self, cell: int) -> dict[str, Value]:
        """Return the searched hyperparameters of a cell as plain Python values; a schedule is its text."""
        settings = {name: column.item(cell) for name, column in self.columns.items()}
        return {name: str(value) if isinstance(value, Schedule) else value for name, value in settings.items()}

    def chosen(self, cell: int) -> Choice:
        """Return the optimizer with the setting of a cell."""
        fixed = {name: Axis(values=(column.item(cell),)) for name, column in self.columns.items()}
        return replace(self.choice, axes={**self.choice.axes, **fixed})

    @cached_property
    def lr(self) -> Array:
        """The learning rate of each cell, ``(cells,)``; NaN if it follows a schedule."""
        column = self.columns.get("lr", np.array([self.choice.axes["lr"].values[0]], dtype=object)).tolist()
        rates = [math.nan if isinstance(value, Schedule) else value for value in column]
        return np.broadcast_to(np.array(rates, dtype=np.float64), self.cells)

    @cached_property
    def second_axes(self) -> list[str]:
        """The numeric hyperparameters that were searched together with a numeric lr."""
        if len(np.unique(self.lr)) == 1 or np.isnan(self.lr).any():
            return []
        numbers = {name: column for name, column in self.columns.items() if column.dtype.kind == "f"}
        return [name for name, column in numbers.items() if name != "lr" and len(np.unique(column)) > 1]

    @property
    def first_lr_range(self) -> tuple[float, float] | None:
        """The ends of the first grid of learning rates, if the search chose the grid; only such a range is widened."""
        axis = self.choice.axes["lr"]
        if not axis.tuned or len(axis) == 1:
            return None
        return float(axis.values[0]), float(axis.values[-1])  # type: ignore[arg-type]

    def keys(self, yardstick: Yardstick) -> Array:
        """Return the sort keys of the cells, ``(3, cells)``; see `Yardstick.keys`."""
        return yardstick.keys(self.final_losses, self.iterations, self.status_codes)

    def best(self, yardstick: Yardstick) -> int:
        """Return the chosen cell.

        With the objective ``robust_loss`` and a tuned lr, the measure of a cell is the median of its own result and
        those of its neighbours, the next lower and the next higher lr whose ratio to it is in `NEIGHBOUR_RATIOS`. Ties
        are broken by the worst of the three results. This avoids isolated dips of the loss. If the learning rates are
        too far apart for neighbours, the cell with the best result is chosen.
        """
        keys = self.keys(yardstick)
        if yardstick.objective is Objective.ROBUST_LOSS and self.first_lr_range is not None:
            lower, higher = self._lr_neighbours()
            if ((lower >= 0) & (higher >= 0)).any():
                result, _, diverged = keys
                padded = np.append(result, np.inf)  # a missing neighbour, of index -1, counts as diverged
                _, middle, worst = np.sort([result, padded[lower], padded[higher]], axis=0)
                keys = np.stack([middle, worst, result, diverged])
        return best_cell(keys)

    def _lr_neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the cells with the next lower and the next higher lr and otherwise equal settings; -1 if none."""
        # Group the cells by their other hyperparameters; within each group they are in order of lr.
        others = [column.tolist() for name, column in self.columns.items() if name != "lr"]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for cell, values in enumerate(zip(*others, strict=True) if others else [()] * self.cells):
            groups.setdefault(values, []).append(cell)
        lower, higher = np.full((2, self.cells), -1)
        for cells in map(np.array, groups.values()):
            lr = self.lr[cells]
            # The values of a grid are rounded, so the limits of the ratio have a tolerance.
            least, largest = NEIGHBOUR_RATIOS[0] * (1 - 1e-9), NEIGHBOUR_RATIOS[1] * (1 + 1e-9)
            # Zooms place learning rates closer together than `least`: skip those. The modulo only keeps the index
            # valid where no higher lr exists; the test below rejects the lr to which it wraps.
            below = np.searchsorted(lr, lr / least, side="right") - 1
            above = np.searchsorted(lr, lr * least, side="left") % len(cells)
            lower[cells] = np.where((below >= 0) & (lr[below] * largest >= lr), cells[below], -1)
            higher[cells] = np.where((lr[above] > lr) & (lr[above] <= lr * largest), cells[above], -1)
        return lower, higher

    def along_lr(self, cell: int) -> NDArray[np.intp]:
        """Return the cells that differ from a cell only in their learning rate, including the cell."""
        same = np.ones(self.cells, dtype=bool)
        for name, column in self.columns.items():
            if name != "lr":
                same &= np.array([value == column[cell] for value in column.tolist()])
        return np.flatnonzero(same)


class RunPlan(Protocol):
    """A function that runs all trials of a plan, such as `momentumlab.engine.run`."""

    def __call__(self, plan: Plan, *, history: bool) -> Result:
        """Return the result, with the trajectories if ``history``."""


def run_settings(experiment: Experiment, run: RunPlan) -> tuple[Searched, ...]:
    """Run all settings of an experiment and split the result by optimizer; the cells are in the order of the plan."""
    plan = make_plan(experiment)
    result = run(plan, history=False)
    starts = experiment.repeats
    groups = iter(plan.groups)
    first = 0
    searched = []
    for choice in experiment.optimizers:
        # A plan has one group per combination of options and schedules, so an optimizer may have several.
        own: list[Group] = []
        while sum(group.size for group in own) < choice.combinations * starts:
            own.append(next(groups))
        trials = slice(first, first := first + choice.combinations * starts)
        names = [name for name, axis in choice.axes.items() if len(axis) > 1 or axis.tuned]
        searched.append(
            Searched(
                choice=choice,
                columns={name: np.concatenate([_column(group, name) for group in own]) for name in names},
                final_losses=result.final_losses[trials].reshape(-1, starts),
                iterations=result.iterations[trials].reshape(-1, starts),
                status_codes=result.status_codes[trials].reshape(-1, starts),
            )
        )
    return tuple(searched)


def _column(group: Group, name: str) -> NDArray[Any]:
    """Return the values of a hyperparameter in all cells of a group."""
    # The first trial of each cell: starts and replicates vary fastest.
    lanes = group.lanes(np.arange(0, group.size, group.starts.shape[1] * len(group.replicates)))
    value: Any
    if name in group.schedules:
        value = group.schedules[name]
    elif name == LR_SCHEDULE:
        value = 1.0
    else:
        value = lanes.lr if name == "lr" else getattr(lanes.optimizer, name)
    if isinstance(value, (tuple, Schedule)):  # NumPy would turn the entries of a tuple into rows
        column = np.empty(len(lanes.lr), dtype=object)
        column[:] = [value] * len(column)
        return column
    return np.broadcast_to(value, lanes.lr.shape)


def joined(one: Searched, more: Searched) -> Searched:
    """Return the cells of two searches of one optimizer in order of lr."""
    return sorted_by_lr(
        replace(
            one,
            columns={name: np.concatenate([column, more.columns[name]]) for name, column in one.columns.items()},
            final_losses=np.concatenate([one.final_losses, more.final_losses]),
            iterations=np.concatenate([one.iterations, more.iterations]),
            status_codes=np.concatenate([one.status_codes, more.status_codes]),
        )
    )


def sorted_by_lr(one: Searched) -> Searched:
    """Return the cells in order of lr."""
    order = np.argsort(one.lr, kind="stable")
    return replace(
        one,
        columns={name: column[order] for name, column in one.columns.items()},
        final_losses=one.final_losses[order],
        iterations=one.iterations[order],
        status_codes=one.status_codes[order],
    )
