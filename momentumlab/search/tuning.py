"""Search of the settings of all optimizers on one surface: grids that are widened and refined as needed."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Axis, Choice, Experiment, Objective, Setting
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.plan import Group, Plan, make_plan
from momentumlab.registry import Array, Parameter, Value
from momentumlab.result import Result
from momentumlab.scales import Scale, scale_of
from momentumlab.schedules import Schedule
from momentumlab.search.ranking import Yardstick, best_cell

ZOOM_CELLS = 4
"""The number of best cells around which a zoom places finer grids."""

LEAST_ZOOM = 5
"""The minimum number of values on each axis of a finer grid over one or two hyperparameters; with fewer trials there is
no zoom."""

LEAST_ZOOM_OF_MANY = 3
"""The same for a grid over more hyperparameters: the best value and one to either side."""

ZOOM_REACH = 1.5
"""How far a finer grid extends to either side of a cell, in distances between neighbouring cells."""

NEARBY = (1.1, 1.5)
"""The least and the largest factor between a learning rate and the neighbours by which ``robust_loss`` judges it."""

MOST_WIDENINGS = 4
"""The maximum number of times a range of learning rates is widened, each time by a quarter of its logarithmic width
with a quarter of its number of values."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The cells that were searched for one optimizer on one surface, in order of lr; a cell is a setting.

    Attributes
    ----------
    choice
        The optimizer with the axes from which the search began.
    columns
        The values of each searched hyperparameter, ``(cells,)``.
    final_losses, iterations, status_codes
        ``(cells, starts)``
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
        settings = {name: _plain(column[cell]) for name, column in self.columns.items()}
        return {name: str(value) if isinstance(value, Schedule) else value for name, value in settings.items()}

    def chosen(self, cell: int) -> Choice:
        """Return the optimizer with the setting of a cell."""
        fixed = {name: Axis(values=(_plain(column[cell]),)) for name, column in self.columns.items()}
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
    def rates(self) -> int:
        """The number of learning rates in the first grid."""
        return len(self.choice.axes["lr"])

    @property
    def trials_per_rate(self) -> int:
        """The number of cells per learning rate in the first grid."""
        return self.choice.combinations // self.rates

    @property
    def may_grow(self) -> bool:
        """Whether the range of learning rates may be widened."""
        return self.choice.axes["lr"].tuned and self.rates > 1

    @property
    def began_with(self) -> tuple[Setting, Setting]:
        """The range of learning rates of the first grid."""
        values = self.choice.axes["lr"].values
        return values[0], values[-1]

    def began_as(self, other: "Searched") -> bool:
        """Return whether both first grids have the same range of learning rates and the same number of cells."""
        return (self.began_with, self.choice.combinations) == (other.began_with, other.choice.combinations)

    def keys(self, yardstick: Yardstick) -> Array:
        """Return the sort keys of the cells, ``(3, cells)``; see `Yardstick.keys`."""
        return yardstick.keys(self.final_losses, self.iterations, self.status_codes)

    def best(self, yardstick: Yardstick) -> int:
        """Return the cell that is chosen.

        With the objective ``robust_loss`` and a tuned lr, a cell is as good as the median of its own result and those
        of its neighbours, the next lower and the next higher lr at a factor within `NEARBY`. Of equal cells, the one
        with the better worst of the three is chosen. An isolated dip of the loss is therefore not chosen. If the
        learning rates are too far apart for neighbours, the cell with the best result is.
        """
        keys = self.keys(yardstick)
        if yardstick.objective is Objective.ROBUST_LOSS and self.may_grow:
            lower, higher = self._nearby()
            if ((lower >= 0) & (higher >= 0)).any():
                result, _, diverged = keys
                padded = np.append(result, np.inf)  # a missing neighbour, of index -1, counts as diverged
                _, middle, worst = np.sort([result, padded[lower], padded[higher]], axis=0)
                keys = np.stack([middle, worst, result, diverged])
        return best_cell(keys)

    def _nearby(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the neighbours in lr of each cell, with equal other hyperparameters; -1 if there is none."""
        others = [column.tolist() for name, column in self.columns.items() if name != "lr"]
        lines: dict[tuple[Any, ...], list[int]] = {}
        for cell, values in enumerate(zip(*others, strict=True) if others else [()] * self.cells):
            lines.setdefault(values, []).append(cell)
        lower, higher = np.full((2, self.cells), -1)
        for cells in map(np.array, lines.values()):
            lr = self.lr[cells]
            least, largest = NEARBY[0] * (1 - 1e-9), NEARBY[1] * (1 + 1e-9)  # the values of a grid are rounded
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


def search(experiment: Experiment, yardstick: Yardstick, run: RunPlan, *, zooms: int = 0) -> tuple[Searched, ...]:
    """Run every setting of every optimizer of an experiment.

    If the best learning rate of an optimizer lies at the edge of its range, the range is widened on that side, and so
    are those of all optimizers that started with the same range, at most `MOST_WIDENINGS` times. Optimizers that
    started with the same number of trials get the same number of additional ones: the comparison stays fair.

    Parameters
    ----------
    experiment
        A single surface; all combinations of the axes of its optimizers are run.
    yardstick
        The measure of the best.
    run
        Runs the trials.
    zooms
        How often the search is repeated with finer grids around the best cells, each with the trials of the first.
    """
    searched = _widened(experiment, yardstick, run)
    spacings = [_spacings(one.choice) for one in searched]
    for _ in range(zooms):
        finer = [_zoomed(one, own, yardstick) for one, own in zip(searched, spacings, strict=True)]
        entries = [choice for choices, _ in finer for choice in choices]
        if not entries:
            break
        tried = iter(_tried(replace(experiment, optimizers=tuple(entries)), run))
        searched = tuple(
            functools.reduce(_joined, (next(tried) for _ in choices), one)
            for one, (choices, _) in zip(searched, finer, strict=True)
        )
        spacings = [own for _, own in finer]
    return searched


def _widened(experiment: Experiment, yardstick: Yardstick, run: RunPlan) -> tuple[Searched, ...]:
    """Search the first grids, and widen them while a best learning rate lies at an edge."""
    searched = _tried(experiment, run)
    for _ in range(MOST_WIDENINGS):
        below, above = at_edges(searched, yardstick)
        wider: dict[int, Choice] = {}
        for i, one in enumerate(searched):
            if one.may_grow:
                alike = [other.may_grow and other.began_with == one.began_with for other in searched]
                if (below | above)[alike].any():
                    equals = [other for other in searched if other.may_grow and other.began_as(one)]
                    trials = max(other.trials_per_rate * max(1, other.rates // 4) for other in equals)
                    count = round(trials / one.trials_per_rate)
                    wider[i] = _with_rates(one, count, bool(below[alike].any()), bool(above[alike].any()))
        if not wider:
            break
        more = dict(zip(wider, _tried(replace(experiment, optimizers=tuple(wider.values())), run), strict=True))
        searched = tuple(_joined(one, more[i]) if i in more else one for i, one in enumerate(searched))
    return searched


def at_edges(searched: Sequence[Searched], yardstick: Yardstick) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each optimizer whether its best learning rate is the lowest, and whether it is the highest, searched.

    Only ranges that may be widened count. An optimizer that always diverges is at the lower edge.
    """
    below, above = np.zeros((2, len(searched)), dtype=bool)
    for i, one in enumerate(searched):
        if one.may_grow:
            best = one.lr[best_cell(one.keys(yardstick))]
            below[i], above[i] = best == one.lr.min(), best == one.lr.max()
    return below, above


def _spacings(choice: Choice) -> dict[str, float]:
    """Return the distance between neighbouring values on each tuned axis, on the scale of its search."""
    spacings = {}
    for name, axis in choice.axes.items():
        if axis.tuned:
            ends = _scale_of(choice, name).forward(np.array([axis.values[0], axis.values[-1]], dtype=np.float64))
            spacings[name] = abs(float(ends[1] - ends[0])) / max(len(axis) - 1, 1) or math.log(10)
    return spacings


def _zoomed(
    one: Searched, spacings: Mapping[str, float], yardstick: Yardstick
) -> tuple[list[Choice], dict[str, float]]:
    """Return finer grids around the best cells of an optimizer, together with as many trials as the first grid.

    Returns
    -------
    choices, spacings
        The optimizer with the axes of each grid, and the distances between neighbours in them.
    """
    if not spacings:
        return [], {}
    least = LEAST_ZOOM if len(spacings) <= 2 else LEAST_ZOOM_OF_MANY
    grids = min(ZOOM_CELLS, int(one.choice.combinations / least ** len(spacings)))
    if grids == 0:  # too few trials
        return [], {}
    cells = _best_cells(one, spacings, yardstick, grids)
    count = int((one.choice.combinations / len(cells)) ** (1 / len(spacings)) + 1e-9)
    reach = {name: ZOOM_REACH * spacing for name, spacing in spacings.items()}
    if yardstick.objective is Objective.ROBUST_LOSS and "lr" in reach:
        reach["lr"] = max(reach["lr"], 2 * math.log(NEARBY[0]))  # a grid must contain the neighbours of its middle
    steps = np.linspace(-1, 1, count)
    choices = []
    for cell in cells:
        chosen = one.chosen(cell).axes
        axes = {name: replace(axis, tuned=name in one.columns) for name, axis in chosen.items()}
        for name in spacings:
            scale, parameter = _scale_of(one.choice, name), _parameter(one.choice, name)
            middle = scale.forward(np.array([one.setting(cell)[name]], dtype=np.float64))
            values = scale.rounded(scale.inverse(middle + reach[name] * steps), reach[name] * (steps[1] - steps[0]))
            # The first grid has its own ends, which may be bounds of the hyperparameter; a finer one may exceed them.
            inside = sorted({value for value in values.tolist() if parameter.allows(value)})
            axes[name] = Axis(values=tuple(inside), tuned=True)
        choices.append(replace(one.choice, axes=axes))
    return choices, {name: 2 * reach[name] / (count - 1) for name in spacings}


def _best_cells(one: Searched, spacings: Mapping[str, float], yardstick: Yardstick, most: int) -> list[int]:
    """Return the best cells that are not neighbours of each other."""
    keys = one.keys(yardstick)
    order = np.lexsort(keys[::-1])
    best = one.best(yardstick)
    places = {
        name: _scale_of(one.choice, name).forward(one.columns[name].astype(np.float64)) / spacing
        for name, spacing in spacings.items()
    }
    chosen: list[int] = []
    for cell in [best, *order.tolist()]:
        far = all(any(abs(place[cell] - place[other]) > ZOOM_REACH for place in places.values()) for other in chosen)
        if far and (not chosen or np.isfinite(keys[0, cell])):
            chosen.append(cell)
        if len(chosen) == most:
            break
    return chosen


def _parameter(choice: Choice, name: str) -> Parameter:
    return next(each for each in OPTIMIZERS[choice.name].parameters() if each.name == name)


def _scale_of(choice: Choice, name: str) -> Scale:
    """Return the scale of a hyperparameter on its first grid."""
    values = choice.axes[name].values
    return scale_of(_parameter(choice, name), float(values[0]), float(values[-1]))  # type: ignore[arg-type]


def _tried(experiment: Experiment, run: RunPlan) -> tuple[Searched, ...]:
    """Run all settings of an experiment and split the result by optimizer."""
    plan = make_plan(experiment)
    result = run(plan, history=False)
    starts = experiment.repeats
    groups = iter(plan.groups)
    first = 0
    searched = []
    for choice in experiment.optimizers:
        own: list[Group] = []
        while sum(group.size for group in own) < choice.combinations * starts:
            own.append(next(groups))
        trials = slice(first, first := first + choice.combinations * starts)
        searched.append(
            _sorted(
                Searched(
                    choice=choice,
                    columns={
                        name: np.concatenate([_column(group, name) for group in own])
                        for name, axis in choice.axes.items()
                        if len(axis) > 1 or axis.tuned
                    },
                    final_losses=result.final_losses[trials].reshape(-1, starts),
                    iterations=result.iterations[trials].reshape(-1, starts),
                    status_codes=result.status_codes[trials].reshape(-1, starts),
                )
            )
        )
    return tuple(searched)


def _column(group: Group, name: str) -> NDArray[Any]:
    """Return the values of a hyperparameter in all cells of a group."""
    lanes = group.lanes(np.arange(0, group.size, group.starts.shape[1] * len(group.replicates)))
    value: Any
    if name in group.schedules:
        value = group.schedules[name]
    elif name == LR_SCHEDULE:
        value = 1.0
    else:
        value = lanes.lr if name == "lr" else getattr(lanes.optimizer, name)
    if isinstance(value, (tuple, Schedule)):  # a vector is one value
        column = np.empty(len(lanes.lr), dtype=object)
        column[:] = [value] * len(column)
        return column
    return np.broadcast_to(value, lanes.lr.shape)


def _with_rates(one: Searched, count: int, below: bool, above: bool) -> Choice:
    """Return the optimizer with additional learning rates beyond the searched range."""
    first, *_, last = (float(value) for value in one.choice.axes["lr"].values)  # type: ignore[arg-type]
    steps = math.log(last / first) * 0.25 * np.arange(1, count + 1) / count
    lower = one.lr.min() * np.exp(-steps[::-1]) if below else ()
    higher = one.lr.max() * np.exp(steps) if above else ()
    scale, values = _scale_of(one.choice, "lr"), np.array([*lower, *higher])
    rounded = scale.rounded(values, steps[0])
    # The new ends are rounded alike for all optimizers, however many values each of them gets.
    ends = [place for place, is_new in ((0, below), (-1, above)) if is_new]
    rounded[ends] = scale.rounded(values[ends], steps[-1])
    rates = Axis(values=tuple(rounded.tolist()), tuned=True)
    return replace(one.choice, axes={**one.choice.axes, "lr": rates})


def _joined(one: Searched, more: Searched) -> Searched:
    return _sorted(
        replace(
            one,
            columns={name: np.concatenate([column, more.columns[name]]) for name, column in one.columns.items()},
            final_losses=np.concatenate([one.final_losses, more.final_losses]),
            iterations=np.concatenate([one.iterations, more.iterations]),
            status_codes=np.concatenate([one.status_codes, more.status_codes]),
        )
    )


def _sorted(one: Searched) -> Searched:
    order = np.argsort(one.lr, kind="stable")
    return replace(
        one,
        columns={name: column[order] for name, column in one.columns.items()},
        final_losses=one.final_losses[order],
        iterations=one.iterations[order],
        status_codes=one.status_codes[order],
    )


def _plain(value: Any) -> Setting:
    plain: Setting = value.item() if isinstance(value, np.generic) else value
    return plain
