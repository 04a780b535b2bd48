"""Search for good settings of all optimizers on one surface: grids that are widened and refined as needed."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import HALVING, Axis, Choice, Comparison, Experiment, Objective
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter
from momentumlab.scales import Scale, scale_of
from momentumlab.search.halving import evaluations_per_stage, halved
from momentumlab.search.ranking import Yardstick, best_cell
from momentumlab.search.searched import NEIGHBOUR_RATIOS, RunPlan, Searched, joined, run_settings, sorted_by_lr

ZOOM_CELLS = 4
"""The number of best cells around which a zoom places finer grids."""

LEAST_ZOOM = 5
"""Minimum number of values per axis of a finer grid over one or two hyperparameters; with fewer there is no zoom."""

LEAST_ZOOM_OF_MANY = 3
"""The same minimum for a grid over more hyperparameters: the best value and one to either side."""

ZOOM_REACH = 1.5
"""How far a finer grid extends to either side of a cell, in distances between neighbouring cells."""

MOST_WIDENINGS = 4
"""How often a range of learning rates is widened at most, each time by a quarter of its first logarithmic width with a
quarter of its number of values."""


def search(comparison: Comparison, experiment: Experiment, yardstick: Yardstick, run: RunPlan) -> tuple[Searched, ...]:
    """Search the settings of every optimizer of an experiment.

    A search by grid runs all settings. If the best learning rate of an optimizer lies at the edge of its range, the
    range is widened on that side, and so are those of all optimizers that started with the same range, at most
    `MOST_WIDENINGS` times. Optimizers that started with the same number of trials get the same number of additional
    ones: the comparison stays fair. A search by `halving` stays within its budget and does not widen ranges.

    Parameters
    ----------
    comparison
        The kind of search, its budget and the number of zooms; a zoom searches finer grids around the best cells.
    experiment
        A single surface; all combinations of the axes of its optimizers are searched.
    yardstick
        The measure that defines the best cells.
    run
        The function that runs the trials.
    """
    halves = comparison.search == HALVING
    evaluations = evaluations_per_stage(comparison, experiment)
    if halves:
        searched = tuple(
            halved(experiment, [choice], evaluations, yardstick, run)[0] for choice in experiment.optimizers
        )
    else:
        searched = _widened(experiment, yardstick, run)
    spacings = [_spacings(one.choice) for one in searched]
    for _ in range(comparison.zooms):
        finer = [_zoomed(one, own, yardstick) for one, own in zip(searched, spacings, strict=True)]
        spacings = [own for _, own in finer]
        pools = [choices for choices, _ in finer]
        entries = [choice for choices in pools for choice in choices]
        if not entries:
            break
        if halves:
            more = [halved(experiment, choices, evaluations, yardstick, run) if choices else [] for choices in pools]
        else:  # the grids of all optimizers together, as one plan
            results = iter(run_settings(replace(experiment, optimizers=tuple(entries)), run))
            more = [[next(results) for _ in choices] for choices in pools]
        searched = tuple(functools.reduce(joined, found, one) for one, found in zip(searched, more, strict=True))
    return searched


def _widened(experiment: Experiment, yardstick: Yardstick, run: RunPlan) -> tuple[Searched, ...]:
    """Search the first grids, and widen them while a best learning rate lies at an edge."""
    searched = tuple(map(sorted_by_lr, run_settings(experiment, run)))
    # The number of cells per learning rate in each first grid.
    per_lr = [one.choice.combinations // len(one.choice.axes["lr"]) for one in searched]
    for _ in range(MOST_WIDENINGS):
        below, above = at_edges(searched, yardstick)
        wider: dict[int, Choice] = {}
        for i, one in enumerate(searched):
            if one.first_lr_range is None:
                continue
            # One best learning rate at an edge widens the range of every optimizer that began with the same range.
            alike = [j for j, other in enumerate(searched) if other.first_lr_range == one.first_lr_range]
            if not (below | above)[alike].any():
                continue
            # Optimizers with the same number of trials get the same number of new ones: the largest number that any of
            # them needs for a quarter of its learning rates.
            equals = [j for j in alike if searched[j].choice.combinations == one.choice.combinations]
            trials = max(per_lr[j] * max(1, len(searched[j].choice.axes["lr"]) // 4) for j in equals)
            count = round(trials / per_lr[i])
            wider[i] = _with_more_lrs(one, count, bool(below[alike].any()), bool(above[alike].any()))
        if not wider:
            break
        more = dict(zip(wider, run_settings(replace(experiment, optimizers=tuple(wider.values())), run), strict=True))
        searched = tuple(joined(one, more[i]) if i in more else one for i, one in enumerate(searched))
    return searched


def at_edges(searched: Sequence[Searched], yardstick: Yardstick) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, for each optimizer, whether its best learning rate is the lowest and whether it is the highest searched.

    Only ranges that may be widened count. An optimizer that always diverges is at the lower edge.
    """
    below, above = np.zeros((2, len(searched)), dtype=bool)
    for i, one in enumerate(searched):
        if one.first_lr_range is not None:
            best = one.lr[best_cell(one.keys(yardstick))]
            # Halving leaves only some learning rates, so the searched ones may not include the ends of the range.
            low, high = one.first_lr_range
            below[i], above[i] = best == min(one.lr.min(), low), best == max(one.lr.max(), high)
    return below, above


def _spacings(choice: Choice) -> dict[str, float]:
    """Return the distance between neighbouring values on each tuned axis, on the scale of its search."""
    spacings = {}
    for name, axis in choice.axes.items():
        if axis.tuned:
            ends = _scale_of(choice, name).forward(np.array([axis.values[0], axis.values[-1]], dtype=np.float64))
            # A single value has no neighbours: assume a decade.
            spacings[name] = abs(float(ends[1] - ends[0])) / max(len(axis) - 1, 1) or math.log(10)
    return spacings


def _zoomed(
    one: Searched, spacings: Mapping[str, float], yardstick: Yardstick
) -> tuple[list[Choice], dict[str, float]]:
    """Return finer grids around the best cells of an optimizer, which together have as many trials as the first grid.

    Returns
    -------
    choices, spacings
        The optimizer with the axes of each grid, and the distance between neighbours on each axis; both are empty if
        there is no axis to refine or too few trials.
    """
    if not spacings:
        return [], {}
    grids = zoom_grids(one.choice)
    if grids == 0:
        return [], {}
    cells = _best_cells(one, spacings, yardstick, grids)
    # Values per axis; 1e-9 because the root of a perfect power may be rounded down.
    count = int((one.choice.combinations / len(cells)) ** (1 / len(spacings)) + 1e-9)
    # With few values on an axis, the grid must be smaller to be finer.
    share = ZOOM_REACH if count >= LEAST_ZOOM else (count - 1) / 4
    reach = {name: share * spacing for name, spacing in spacings.items()}
    if yardstick.objective is Objective.ROBUST_LOSS and "lr" in reach:
        # The grid must contain the neighbours with which `Searched.best` compares its middle.
        reach["lr"] = max(reach["lr"], 2 * math.log(NEIGHBOUR_RATIOS[0]))
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


def zoom_grids(choice: Choice) -> int:
    """Return the number of cells around which a zoom places finer grids; 0 if the first grid has too few trials."""
    axes = sum(axis.tuned for axis in choice.axes.values())
    least = LEAST_ZOOM if axes <= 2 else LEAST_ZOOM_OF_MANY
    return min(ZOOM_CELLS, int(choice.combinations / least**axes))


def _best_cells(one: Searched, spacings: Mapping[str, float], yardstick: Yardstick, most: int) -> list[int]:
    """Return the best cells that are not neighbours of each other."""
    keys = one.keys(yardstick)
    order = np.lexsort(keys[::-1])
    # Positions in units of the spacing, in which a finer grid extends by `ZOOM_REACH` to either side.
    positions = {
        name: _scale_of(one.choice, name).forward(one.columns[name].astype(np.float64)) / spacing
        for name, spacing in spacings.items()
    }
    chosen: list[int] = []
    # The cell that would be chosen now comes first: with `robust_loss` it need not have the lowest key.
    for cell in [one.best(yardstick), *order.tolist()]:
        is_separate = all(
            any(abs(own[cell] - own[other]) > ZOOM_REACH for own in positions.values()) for other in chosen
        )
        if is_separate and (not chosen or np.isfinite(keys[0, cell])):
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


def _with_more_lrs(one: Searched, count: int, below: bool, above: bool) -> Choice:
    """Return the optimizer with ``count`` learning rates below or above the searched range, or on both sides."""
    assert one.first_lr_range is not None
    first, last = one.first_lr_range
    steps = math.log(last / first) * 0.25 * np.arange(1, count + 1) / count
    lower = one.lr.min() * np.exp(-steps[::-1]) if below else ()
    higher = one.lr.max() * np.exp(steps) if above else ()
    scale, values = _scale_of(one.choice, "lr"), np.array([*lower, *higher])
    rounded = scale.rounded(values, steps[0])
    # Round the new ends to the width of the whole step, which all optimizers share, not to the spacing, which depends
    # on the number of values: the widened ranges stay equal.
    ends = [index for index, is_new in ((0, below), (-1, above)) if is_new]
    rounded[ends] = scale.rounded(values[ends], steps[-1])
    lrs = Axis(values=tuple(rounded.tolist()), tuned=True)
    return replace(one.choice, axes={**one.choice.axes, "lr": lrs})
