"""The settings that an interactive page shows: the axes of an experiment, refined to a grid for its map."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from momentumlab.experiment import Axis, Choice, Experiment, method_names
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Array
from momentumlab.plan import make_plan
from momentumlab.search.planes import GridAxis, parameter_axes
from momentumlab.theory import TheoryDoesNotApplyError, lr_limits, plugins_may_fail
from momentumlab.theory.local_model import local_model

FEW_VALUES = 8
"""An lr or momentum axis with up to this many values is refined to a grid that contains them."""

MOMENTUM_NAMES = ("beta", "beta1")

LR_RANGE = 100.0
"""Without a stability limit, the grid of learning rates reaches this factor below and above those of the experiment."""

BELOW_LIMIT, ABOVE_LIMIT = 300.0, 1.3
"""With a stability limit, the grid reaches from the limit divided by the first to its product with the second."""

HIGHEST_MOMENTUM = 0.99

MOST_DIMENSIONS = 20
"""Theory is applied in up to this many dimensions: a page must not wait for large eigenvalue problems."""


@dataclass(frozen=True, kw_only=True)
class Detail:
    """The extent to which a page shows an experiment.

    Attributes
    ----------
    lr_values, momentum_values
        The size of the grid over the learning rate and the momentum of each optimizer.
    axis_values
        Longer axes are thinned out.
    entries
        Trajectories with more iterates are thinned out.
    """

    lr_values: int
    momentum_values: int
    axis_values: int
    entries: int


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a page shows.

    Attributes
    ----------
    experiment
        The experiment with refined axes.
    current
        For each optimizer, the index on each axis of the setting that the page shows first.
    notes
        How the axes differ from those of the original experiment.
    """

    experiment: Experiment
    current: tuple[Mapping[str, int], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """The trials of one optimizer: the product of its axes, the starts and the replicates.

    Attributes
    ----------
    axes
        The axes with several values, slowest first.
    first
        The number of the first trial.
    settings
        The number of combinations of the axes.
    trials
        The number of trials.
    """

    name: str
    choice: Choice
    axes: tuple[GridAxis, ...]
    first: int
    settings: int
    trials: int


def explore(experiment: Experiment, detail: Detail) -> Exploration:
    """Refine the axes of an experiment.

    Parameters
    ----------
    experiment
        Axes with more than `FEW_VALUES` values are not refined.
    detail
        The size of the grid, and the length to which axes are thinned out.
    """
    own = experiment.optimizers
    choices = tuple(_refined(experiment, choice, detail) for choice in own)
    thinned = {name: _thinned(axis, detail.axis_values) for name, axis in experiment.surface.axes.items()}
    surface = replace(experiment.surface, axes=thinned)
    notes = [
        f"{choice.name}, {name}: {_count(len(before))}; the page shows {len(after)} of them."
        if len(after) < len(before)
        else f"{choice.name}, {name}: {len(after)} values from {after.values[0]:g} to {after.values[-1]:g}, "
        f"including {_count(len(before))} of the experiment."
        for choice, new in [*zip(own, choices, strict=True), (experiment.surface, surface)]
        for (name, before), after in zip(choice.axes.items(), new.axes.values(), strict=True)
        if len(after) != len(before)
    ]
    return Exploration(
        experiment=replace(experiment, surface=surface, optimizers=choices),
        current=tuple(
            {name: _position(new.axes[name], axis.values[0]) for name, axis in choice.axes.items()}
            for new, choice in zip(choices, own, strict=True)
        ),
        notes=tuple(dict.fromkeys(notes)),
    )


def blocks(experiment: Experiment) -> Iterator[Block]:
    """Yield the trials of each optimizer, in the order of the plan."""
    first = 0
    for name, choice in zip(method_names(experiment), experiment.optimizers, strict=True):
        axes = tuple(axis for axis in parameter_axes(experiment, choice) if len(axis) > 1)
        settings = math.prod(map(len, axes))
        trials = settings * experiment.repeats
        yield Block(name=name, choice=choice, axes=axes, first=first, settings=settings, trials=trials)
        first += trials


def _count(values: int) -> str:
    return "the value" if values == 1 else f"{values} values"


def _refined(experiment: Experiment, choice: Choice, detail: Detail) -> Choice:
    """Return an optimizer with a grid over its learning rate and its momentum."""
    axes = {name: _thinned(axis, detail.axis_values) for name, axis in choice.axes.items()}
    axes["lr"] = _with_grid(axes["lr"], _learning_rates(experiment, choice, detail.lr_values))
    momentum = next((name for name in MOMENTUM_NAMES if name in axes), None)
    if momentum is not None:
        axes[momentum] = _with_grid(axes[momentum], np.linspace(0.0, HIGHEST_MOMENTUM, detail.momentum_values).tolist())
    return replace(choice, axes=axes)


def _thinned(axis: Axis, most: int) -> Axis:
    """Return a limited number of values of an axis, its ends included."""
    if len(axis) <= most:
        return axis
    indices = np.linspace(0, len(axis) - 1, most).round().astype(int)
    return Axis(values=tuple(axis.values[i] for i in indices.tolist()))


def _with_grid(axis: Axis, grid: Sequence[float]) -> Axis:
    """Add grid values to an axis with few numbers; schedules and long axes stay as they are."""
    if axis.has_schedules or len(axis) > FEW_VALUES or not grid:
        return axis
    own = {float(value) for value in axis.values}  # type: ignore[arg-type]
    rounded = {float(f"{value:.3g}") for value in grid}
    for mine in own:  # takes the place of its neighbour, so that the grid stays nearly even
        rounded.discard(min(rounded, key=lambda value: abs(value - mine), default=mine))
    return Axis(values=tuple(sorted(own | rounded)))


def _learning_rates(experiment: Experiment, choice: Choice, count: int) -> list[float]:
    """Return learning rates around the stability limit or, if theory does not apply, around those of the experiment."""
    axis = choice.axes["lr"]
    if axis.has_schedules or count == 0:
        return []
    own = [float(value) for value in axis.values]  # type: ignore[arg-type]
    low, high = min(own) / LR_RANGE, max(own) * LR_RANGE
    try:
        limits = _stability_limits(experiment, choice)
        # Steps of fixed length make adaptive methods unstable at the minimum for any lr: the limit is useless.
        if limits.max() > low:
            low, high = min(*(limits / BELOW_LIMIT), *own), max(*(limits * ABOVE_LIMIT), *own)
    except TheoryDoesNotApplyError:
        pass
    return np.geomspace(low, high, count).tolist() if low > 0 else own


def _stability_limits(experiment: Experiment, choice: Choice) -> Array:
    """Return the largest stable learning rates at the first minimum, without momentum and with the largest.

    Raises
    ------
    TheoryDoesNotApplyError
        If there is no positive finite limit that is the same for all trials.
    """
    first = {name: Axis(values=axis.values[:1]) for name, axis in choice.axes.items()}
    single = replace(experiment, optimizers=(replace(choice, axes=first),))
    surface = single.first_surface
    minima = surface.minima(single.dimension)
    if single.surface.combinations > 1 or single.dimension > MOST_DIMENSIONS or not minima:
        raise TheoryDoesNotApplyError("no single minimum of few dimensions is known")
    with np.errstate(all="ignore"), plugins_may_fail(type(surface), OPTIMIZERS[choice.name]):
        model = local_model(make_plan(single), 0, minima[0])
        curved = [curvature for curvature, flat in zip(model.curvatures, model.is_flat, strict=True) if not flat]
        momentum = next((name for name in MOMENTUM_NAMES if name in first and not first[name].has_schedules), None)
        extremes = {} if momentum is None else {momentum: np.array([0.0, HIGHEST_MOMENTUM])}
        optimizer: Any = model.optimizer
        limits = lr_limits(replace(optimizer, **extremes), curved, period=model.map.period) if curved else np.empty(0)
    limits = limits[np.isfinite(limits) & (limits > 0)]
    if not len(limits):
        raise TheoryDoesNotApplyError("there is no limit")
    return limits


def _position(axis: Axis, value: object) -> int:
    """Return the index of a value on an axis, or of the nearest number."""
    if value in axis.values:
        return axis.values.index(value)
    numbers = np.array([other if isinstance(other, float) else math.nan for other in axis.values])
    return int(np.nanargmin(np.abs(numbers - float(value)))) if np.isfinite(numbers).any() else 0  # type: ignore[arg-type]
