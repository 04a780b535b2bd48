"""All trials of an experiment as arrays, one entry (lane) per trial."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from momentumlab.catalogue import Array, Value, parameters_of
from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Choice, Experiment, Stopping
from momentumlab.optimizers import OPTIMIZERS, Optimizer
from momentumlab.surfaces import SURFACES, Surface

MAX_TRIALS = 1_000_000
"""The largest plan that is made unless more is asked for; a plan costs about 200 bytes a trial."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials of one optimizer, to be advanced together: lane i of every array belongs to trial ``first + i``.

    Attributes
    ----------
    surface, optimizer
        Their parameters have shape ``(lanes,)``, but for shared ones, and but for those that are zero in all lanes:
        these are a plain 0.0, so that a class can leave out their term.
    lr
        ``(lanes,)``
    start
        ``(dim, lanes)``
    first
        The number of the group's first trial in the plan.
    """

    surface: Surface
    optimizer: Optimizer[Any]
    lr: Array
    start: Array
    first: int

    @property
    def lanes(self) -> int:
        """How many trials the group has."""
        return len(self.lr)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of an experiment's product of axes, described for people and files."""

    number: int
    surface: str
    surface_parameters: Mapping[str, Value]
    optimizer: str
    hyperparameters: Mapping[str, Value]
    start: tuple[float, ...]
    replicate: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the engine runs."""

    experiment: Experiment
    groups: tuple[Group, ...]

    @property
    def stopping(self) -> Stopping:
        """When trials end."""
        return self.experiment.stopping

    @property
    def dimension(self) -> int:
        """The number of coordinates, the same for all trials."""
        return self.experiment.dimension

    @cached_property
    def trials(self) -> int:
        """The number of trials."""
        return sum(group.lanes for group in self.groups)

    def group_of(self, number: int) -> tuple[Group, int]:
        """The group of a trial, and the trial's lane in it."""
        group = next(group for group in reversed(self.groups) if group.first <= number)
        return group, number - group.first

    def trial(self, number: int) -> Trial:
        """The description of one trial."""
        group, lane = self.group_of(number)
        hyperparameters = {"lr": float(group.lr[lane]), **_values(group.optimizer, lane)}
        return Trial(
            number=number,
            surface=group.surface.name,
            surface_parameters=_values(group.surface, lane),
            optimizer=group.optimizer.name,
            hyperparameters=hyperparameters,
            start=tuple(group.start[:, lane].tolist()),
        )

    def surface_of(self, number: int) -> Surface:
        """The surface on which a trial runs, with plain numbers for parameters."""
        trial = self.trial(number)
        return SURFACES[trial.surface](**trial.surface_parameters)

    def __iter__(self) -> Iterator[Trial]:
        return map(self.trial, range(self.trials))


def make_plan(experiment: Experiment, *, max_trials: int = MAX_TRIALS) -> Plan:
    """Lay an experiment out as arrays.

    Trials are numbered optimizer by optimizer; then the first axis varies slowest and the starts fastest.

    Raises
    ------
    ConfigError
        If there would be more than ``max_trials`` trials; nothing has been allocated then.
    """
    check_size(experiment, max_trials, place=experiment.name)
    groups: list[Group] = []
    first = 0
    for choice in experiment.optimizers:
        for group in _groups_of(experiment, choice, first):
            groups.append(group)
            first += group.lanes
    return Plan(experiment=experiment, groups=tuple(groups))


def check_size(experiment: Experiment, max_trials: int, *, place: str) -> None:
    """Refuse an experiment of too many trials.

    Raises
    ------
    ConfigError
        If it has more than ``max_trials``.
    """
    if experiment.trials > max_trials:
        message = f"{experiment.trials:,} trials are more than the limit of {max_trials:,} (see --max-trials)"
        raise ConfigError([Problem(place=place, message=message)])


def _groups_of(experiment: Experiment, choice: Choice, first: int) -> Iterator[Group]:
    """The product of one optimizer's axes: a group for each combination of the parameters that lanes share."""
    surface_class, optimizer_class = SURFACES[experiment.surface.name], OPTIMIZERS[choice.name]
    starts = experiment.starts.array(experiment.first_surface.window(experiment.dimension))
    axes = [
        *(
            (surface_class, parameter, experiment.surface.axes[parameter.name])
            for parameter in surface_class.parameters()
        ),
        *((optimizer_class, parameter, choice.axes[parameter.name]) for parameter in optimizer_class.parameters()),
    ]
    shared = [axis for axis in axes if axis[1].shared]
    per_lane = [axis for axis in axes if not axis[1].shared]

    shape = (*(len(axis) for _, _, axis in per_lane), starts.shape[1])
    *indices, start_index = np.unravel_index(np.arange(math.prod(shape)), shape)
    columns = {
        (owner, parameter.name): np.array(axis.values, dtype=np.float64)[index]
        for (owner, parameter, axis), index in zip(per_lane, indices, strict=True)
    }
    for combination in itertools.product(*(axis.values for _, _, axis in shared)):
        fields: dict[type, dict[str, Any]] = {surface_class: {}, optimizer_class: {}}
        for (owner, name), column in columns.items():
            fields[owner][name] = column if column.any() or name == "lr" else 0.0
        for (owner, parameter, _), value in zip(shared, combination, strict=True):
            fields[owner][parameter.name] = value
        lr = fields[optimizer_class].pop("lr")
        yield Group(
            surface=surface_class(**fields[surface_class]),
            optimizer=optimizer_class(**fields[optimizer_class]),
            lr=lr,
            start=starts[:, start_index],
            first=first,
        )
        first += len(lr)


def _values(holder: object, lane: int) -> dict[str, Value]:
    """The parameters of one lane of a surface or an optimizer, as plain Python values."""
    values: dict[str, Value] = {}
    for parameter in parameters_of(type(holder)):
        value = getattr(holder, parameter.name)
        values[parameter.name] = float(value[lane]) if isinstance(value, np.ndarray) else value
    return values
