"""Every setting of an experiment, run at once: what the interactive page shows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from momentumlab import engine
from momentumlab.experiment import Axis, Choice, Experiment
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import make_plan
from momentumlab.result import Result
from momentumlab.theory import TheoryDoesNotApplyError, plugins_may_fail, predict

FEW_VALUES = 8
"""An lr or momentum axis with up to this many values is refined to a grid that contains them."""

MOST_VALUES = 100
"""Longer axes are thinned out."""

MOMENTUM_NAMES = ("beta", "beta1")

LR_RANGE = 200.0
"""Without a stability limit, the grid of learning rates reaches this factor below and a tenth of it above."""

BELOW_LIMIT, ABOVE_LIMIT = 300.0, 1.3
"""With a stability limit, the grid reaches from the limit divided by the first to its product with the second."""

HIGHEST_MOMENTUM = 0.99

MOST_DIMENSIONS = 20
"""Theory is applied in up to this many dimensions: a page must not wait for large eigenvalue problems."""

HISTORY_BYTES = 2**29
"""The most memory for the trajectories of one page."""


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """The trials behind a page.

    Attributes
    ----------
    experiment
        The experiment with refined axes.
    result
        All trials with their history.
    current
        For each optimizer, the index on each axis of the setting that the page shows first.
    """

    experiment: Experiment
    result: Result
    current: tuple[Mapping[str, int], ...]


def explore(experiment: Experiment, *, lr_values: int, momentum_values: int) -> Exploration:
    """Refine the axes of an experiment and run all trials.

    Parameters
    ----------
    experiment
        What the user asked for. Axes with more than `FEW_VALUES` values stay as they are.
    lr_values, momentum_values
        The size of the grid over the learning rate and the momentum of each optimizer.
    """
    choices = []
    for choice in experiment.optimizers:
        axes = {name: _thinned(axis) for name, axis in choice.axes.items()}
        axes["lr"] = _refined(axes["lr"], _learning_rates(experiment, choice, lr_values))
        for name in MOMENTUM_NAMES:
            if name in axes:
                axes[name] = _refined(axes[name], np.linspace(0.0, HIGHEST_MOMENTUM, momentum_values).tolist())
                break
        choices.append(replace(choice, axes=axes))
    refined = replace(experiment, optimizers=tuple(choices))
    result = engine.run(make_plan(refined), history_bytes=HISTORY_BYTES)
    return Exploration(
        experiment=refined,
        result=result,
        current=tuple(
            {name: _position(own.axes[name], axis.values[0]) for name, axis in choice.axes.items()}
            for own, choice in zip(choices, experiment.optimizers, strict=True)
        ),
    )


def _thinned(axis: Axis) -> Axis:
    """Return at most `MOST_VALUES` values of an axis, its ends included."""
    if len(axis) <= MOST_VALUES:
        return axis
    indices = np.unique(np.linspace(0, len(axis) - 1, MOST_VALUES).round().astype(int))
    return Axis(values=tuple(axis.values[i] for i in indices.tolist()))


def _refined(axis: Axis, grid: Sequence[float]) -> Axis:
    """Add grid values to an axis with few numbers; schedules and long axes stay as they are."""
    if axis.has_schedules or len(axis) > FEW_VALUES or not grid:
        return axis
    own = {float(value) for value in axis.values}  # type: ignore[arg-type]
    rounded = {float(f"{value:.3g}") for value in grid}
    for mine in own:  # takes the place of its neighbour, so that the grid stays nearly even
        rounded.discard(min(rounded, key=lambda value: abs(value - mine), default=mine))
    return Axis(values=tuple(sorted(own | rounded)))


def _learning_rates(experiment: Experiment, choice: Choice, count: int) -> list[float]:
    """Learning rates around the stability limit or, if theory does not apply, around those of the experiment."""
    axis = choice.axes["lr"]
    if axis.has_schedules or count == 0:
        return []
    own = [float(value) for value in axis.values]  # type: ignore[arg-type]
    low, high = min(own) / LR_RANGE, max(own) * LR_RANGE / 10
    limit = _stability_limit(experiment, choice)
    if limit is not None:
        low, high = min(limit / BELOW_LIMIT, *own), max(limit * ABOVE_LIMIT, *own)
    return np.geomspace(low, high, count).tolist() if low > 0 else own


def _stability_limit(experiment: Experiment, choice: Choice) -> float | None:
    """The largest stable learning rate at the first minimum, with the largest momentum that the page offers."""
    fixed = {name: Axis(values=axis.values[:1]) for name, axis in choice.axes.items()}
    for name in MOMENTUM_NAMES:
        if name in fixed:
            fixed[name] = Axis(values=(HIGHEST_MOMENTUM,))
            break
    single = replace(experiment, optimizers=(replace(choice, axes=fixed),))
    if single.surface.combinations > 1 or single.dimension > MOST_DIMENSIONS:
        return None
    minima = single.first_surface.minima(single.dimension)
    if not minima:
        return None
    try:
        with np.errstate(all="ignore"), plugins_may_fail(type(single.first_surface), OPTIMIZERS[choice.name]):
            limit = predict(make_plan(single), 0, minima[0]).lr_limit
    except TheoryDoesNotApplyError:
        return None
    return limit if math.isfinite(limit) and limit > 0 else None


def _position(axis: Axis, value: object) -> int:
    """The index of a value on an axis, or of the nearest number."""
    if value in axis.values:
        return axis.values.index(value)
    numbers = np.array([other if isinstance(other, float) else math.nan for other in axis.values])
    return int(np.nanargmin(np.abs(numbers - float(value)))) if np.isfinite(numbers).any() else 0  # type: ignore[arg-type]


def settings_of(choice: Choice) -> Mapping[str, Any]:
    """The hyperparameters of an optimizer that have one value which is not its default."""
    defaults = {parameter.name: parameter.default for parameter in OPTIMIZERS[choice.name].parameters()}
    return {
        name: axis.values[0]
        for name, axis in choice.axes.items()
        if len(axis) == 1 and axis.values[0] != defaults.get(name)
    }
