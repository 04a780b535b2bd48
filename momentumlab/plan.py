"""The numbered trials of an experiment; the arrays of a trial are computed from its number on demand."""

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import ConfigError
from momentumlab.experiment import Choice, Experiment, Setting, Stopping, build_surface
from momentumlab.optimizers import OPTIMIZERS, Optimizer
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Array, Parameter, Value, parameters_of
from momentumlab.schedules import Schedule
from momentumlab.surfaces import SURFACES, Surface
from momentumlab.surfaces.base import ONE_OF

MAX_TRIALS = 100_000_000
"""The default limit of trials in a plan."""

MAX_SEARCHED = 10_000_000
"""The default limit of trials with which the search of a comparison starts on a surface."""

SECONDS_PER_COORDINATE = 1e-8
"""Time per update and coordinate on one core, estimated."""

SECONDS_PER_MULTIPLICATION = 8e-9
"""Time per update and unit of `Surface.work`, estimated; it covers the loss and its gradient."""

SECONDS_PER_ITERATION = 3e-5
"""Time per iteration of a batch that does not depend on the number of trials, estimated."""

POOL_SECONDS = 0.4
"""Work that takes longer on one core is worth the start of worker processes."""

BYTES_PER_TRIAL = 16
BYTES_PER_COORDINATE = 8
"""Memory of a trial without history, including its table and maps, estimated."""

BYTES_PER_START = 30
"""Memory of a coordinate of a start, estimated: starts are arrays, unlike the values of axes."""


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """Trials as arrays; lane i of every array belongs to the i-th trial.

    Attributes
    ----------
    surface, optimizer
        A number that differs between the trials of the group has shape ``(lanes,)``, any other has no axis; one that is
        zero throughout is a plain 0.0, so that a class can leave out its term.
    lr
        ``(lanes,)``
    start
        ``(dim, lanes)``
    replicate
        ``(lanes,)``
    """

    surface: Surface
    optimizer: Optimizer[Any]
    lr: Array
    start: Array
    replicate: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LaneAxis:
    """The values of one parameter of the surface or the optimizer, which may differ from lane to lane."""

    owner: type
    parameter: Parameter
    values: Array


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials of one optimizer that can be advanced together: the product of axes, starts and replicates.

    The replicates vary fastest, then the starts.

    Attributes
    ----------
    surface_class, optimizer_class
        The classes of the surface and of the optimizer.
    shared
        The parameters that are the same for all trials, by class and name.
    axes
        The other parameters; the first varies slowest.
    starts
        ``(dim, starts)``
    replicates
        The numbers of the replicates, ``(replicates,)``.
    first
        The number of the group's first trial in the plan.
    schedules
        The schedules of hyperparameters by name, the same for all trials; that of `LR_SCHEDULE` multiplies lr.
    iterations
        The default duration of schedules.
    cells
        The combinations of the axes that are run; ``None`` for all.
    """

    surface_class: type[Surface]
    optimizer_class: type[Optimizer[Any]]
    shared: Mapping[tuple[type, str], Value]
    axes: tuple[LaneAxis, ...]
    starts: Array
    replicates: NDArray[np.int64]
    first: int
    schedules: Mapping[str, Schedule]
    iterations: int
    cells: NDArray[np.int64] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis, and the numbers of starts and of replicates."""
        return (*(len(axis.values) for axis in self.axes), self.starts.shape[1], len(self.replicates))

    @cached_property
    def size(self) -> int:
        """The number of trials."""
        repeats = self.starts.shape[1] * len(self.replicates)
        return math.prod(self.shape) if self.cells is None else len(self.cells) * repeats

    def indices(self, positions: Any) -> tuple[Any, ...]:
        """Return the index along each axis, of the start and of the replicate for trials of the group."""
        if self.cells is not None:
            repeats = self.starts.shape[1] * len(self.replicates)
            positions = self.cells[positions // repeats] * repeats + positions % repeats
        return np.unravel_index(positions, self.shape)

    def lanes(self, positions: NDArray[np.int64]) -> Lanes:
        """Return some trials, counted from the group's first.

        A schedule is represented by its first value, and the learning rate is that without its factor.
        """
        *indices, start_index, replicate_index = self.indices(positions)
        fields: dict[type, dict[str, Any]] = {self.surface_class: {}, self.optimizer_class: {}}
        for (owner, name), value in self.shared.items():
            fields[owner][name] = value
        for axis, index in zip(self.axes, indices, strict=True):
            # Without an axis a number broadcasts as fast as with one; a Python float would cost a conversion each time.
            number: Any = axis.values[0, ...] if len(axis.values) == 1 else axis.values[index]
            fields[axis.owner][axis.parameter.name] = number if axis.values.any() else 0.0
        for name, schedule in self.schedules.items():
            if name == LR_SCHEDULE:
                continue
            fields[self.optimizer_class][name] = schedule.value(np.zeros(1), self.iterations)[0, ...]
        lr = fields[self.optimizer_class].pop("lr")
        return Lanes(
            surface=self.surface_class(**fields[self.surface_class]),
            optimizer=self.optimizer_class(**fields[self.optimizer_class]),
            lr=np.broadcast_to(lr, positions.shape).copy(),
            start=self.starts[:, start_index],
            replicate=self.replicates[replicate_index],
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of an experiment's product of axes in plain Python values; a schedule is represented by its call."""

    number: int
    surface: str
    surface_parameters: Mapping[str, Value]
    optimizer: str
    hyperparameters: Mapping[str, Value]
    start: tuple[float, ...]
    replicate: int = 0

    @property
    def own_surface(self) -> str:
        """The name of the trial's surface; with several surfaces, also its parameters that are not the default."""
        return str(self.surface_parameters["surface"]) if self.surface == ONE_OF else self.surface


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials of an experiment, in groups that are advanced together."""

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
        return sum(group.size for group in self.groups)

    def group_of(self, number: int) -> Group:
        """Return the group of a trial."""
        return self.groups[bisect.bisect_right(self.groups, number, key=lambda group: group.first) - 1]

    def trial(self, number: int) -> Trial:
        """Return the description of a trial."""
        group = self.group_of(number)
        lanes = group.lanes(np.array([number - group.first]))
        scheduled = {name: str(schedule) for name, schedule in group.schedules.items()}
        one_of = group.shared.get((group.surface_class, "surface")) if group.surface_class.name == ONE_OF else None
        return Trial(
            number=number,
            surface=group.surface_class.name,
            surface_parameters=_values(lanes.surface) if one_of is None else {"surface": one_of},
            optimizer=lanes.optimizer.name,
            hyperparameters={"lr": float(lanes.lr[0]), **_values(lanes.optimizer), **scheduled},
            start=tuple(lanes.start[:, 0].tolist()),
            replicate=int(lanes.replicate[0]),
        )

    def surface_of(self, number: int) -> Surface:
        """Return the surface of a trial, with plain numbers as parameters."""
        trial = self.trial(number)
        return SURFACES[trial.surface](**trial.surface_parameters)

    def start_losses(self, numbers: NDArray[np.int64]) -> Array:
        """Return the losses at the starts of some trials, ``(trials,)``."""
        losses = np.empty(len(numbers))
        with np.errstate(all="ignore"):
            for group in self.groups:
                own = np.flatnonzero((numbers >= group.first) & (numbers < group.first + group.size))
                if len(own):
                    lanes = group.lanes(numbers[own] - group.first)
                    losses[own] = lanes.surface.value(np.ascontiguousarray(lanes.start))
        return losses

    def only(self, numbers: Iterable[int]) -> "Plan":
        """Return a plan of some of the trials, in the given order."""
        groups = []
        for first, number in enumerate(numbers):
            group = self.group_of(number)
            *indices, start, replicate = group.indices(number - group.first)
            axes = tuple(
                replace(axis, values=axis.values[index : index + 1])
                for axis, index in zip(group.axes, indices, strict=True)
            )
            starts, replicates = group.starts[:, start : start + 1], group.replicates[replicate : replicate + 1]
            groups.append(replace(group, axes=axes, starts=starts, replicates=replicates, first=first, cells=None))
        return Plan(experiment=self.experiment, groups=tuple(groups))

    def __iter__(self) -> Iterator[Trial]:
        return map(self.trial, range(self.trials))

    @cached_property
    def seconds_per_update(self) -> float:
        """Estimated time per trial and iteration on one core."""
        return _seconds_per_update(self.experiment)

    @property
    def is_worth_workers(self) -> bool:
        """Whether the run is long enough for worker processes to reduce its time."""
        return self.trials * self.stopping.iterations * self.seconds_per_update >= POOL_SECONDS

    @property
    def most_seconds(self) -> float:
        """Estimated time on one core if no trial ends early, without figures."""
        per_iteration = SECONDS_PER_ITERATION * len(self.groups) + self.trials * self.seconds_per_update
        return self.stopping.iterations * per_iteration


def make_plan(experiment: Experiment, *, max_trials: int = MAX_TRIALS) -> Plan:
    """Number the trials of an experiment.

    Trials are numbered optimizer by optimizer; then the first axis varies slowest, the starts faster, and the
    replicates fastest.

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
            first += group.size
    return Plan(experiment=experiment, groups=tuple(groups))


def check_size(experiment: Experiment, max_trials: int, *, place: str) -> None:
    """Raise an error if an experiment has too many trials.

    Raises
    ------
    ConfigError
        If it has more than ``max_trials``.
    """
    if experiment.trials > max_trials:
        per_trial = BYTES_PER_TRIAL + BYTES_PER_COORDINATE * experiment.dimension
        starts = len(experiment.starts) * BYTES_PER_START * experiment.dimension
        memory = (experiment.trials * per_trial + starts) / 2**30
        hours = experiment.trials * experiment.stopping.iterations * _seconds_per_update(experiment) / 3600
        message = (
            f"{experiment.trials:,} trials are more than the limit of {max_trials:,} (max_trials); "
            f"they would need {memory:,.1f} GiB and up to {hours:,.1f} hours"
        )
        raise ConfigError.at(place, message)


def _seconds_per_update(experiment: Experiment) -> float:
    work = experiment.first_surface.work
    return experiment.dimension * SECONDS_PER_COORDINATE + work * SECONDS_PER_MULTIPLICATION


def _groups_of(experiment: Experiment, choice: Choice, first: int) -> Iterator[Group]:
    """Yield a group for each combination of the parameters that its lanes share."""
    surface_class, optimizer_class = SURFACES[experiment.surface.name], OPTIMIZERS[choice.name]
    declared = [
        *((surface_class, each, experiment.surface.axes.get(each.name)) for each in surface_class.parameters()),
        *((optimizer_class, each, choice.axes.get(each.name)) for each in optimizer_class.settings()),
    ]
    axes = [(owner, each, axis) for owner, each, axis in declared if axis is not None]  # lr_schedule may have none
    # The lanes of a group can differ in numbers only, so shared parameters and axes with schedules need a group for
    # each of their values.
    shared = [axis for axis in axes if axis[2].is_shared(axis[1])]
    lane_axes = [_lane_axis(*axis[:2], axis[2].values) for axis in axes if not axis[2].is_shared(axis[1])]
    starts = experiment.starts.array(experiment.first_surface)
    before = 0  # combinations of earlier groups
    for combination in itertools.product(*(axis.values for _, _, axis in shared)):
        same: dict[tuple[type, str], Value] = {}
        schedules: dict[str, Schedule] = {}
        numbers: list[LaneAxis] = []
        for (owner, parameter, _), value in zip(shared, combination, strict=True):
            if isinstance(value, Schedule):
                schedules[parameter.name] = value
            elif parameter.name == LR_SCHEDULE:
                continue  # the factor is 1
            elif parameter.shared:
                same[owner, parameter.name] = value
            else:  # a number on an axis that also has schedules
                numbers.append(_lane_axis(owner, parameter, (value,)))
        # A halved search runs some cells of the whole grid; those of this group are counted from its first one.
        cells, first_cell = None, before
        before += math.prod(len(axis.values) for axis in lane_axes)
        if choice.cells is not None:
            cells = np.array(
                [cell - first_cell for cell in choice.cells if first_cell <= cell < before], dtype=np.int64
            )
            if not len(cells):
                continue
        if experiment.surface.name == ONE_OF:  # each surface has its own default start and window
            starts = experiment.starts.array(build_surface(ONE_OF, {"surface": same[surface_class, "surface"]}))
        group = Group(
            surface_class=surface_class,
            optimizer_class=optimizer_class,
            shared=same,
            axes=(*numbers, *lane_axes),
            starts=starts,
            replicates=np.arange(experiment.replicates),
            first=first,
            schedules=schedules,
            iterations=experiment.horizon or experiment.stopping.iterations,
            cells=cells,
        )
        yield group
        first += group.size


def _lane_axis(owner: type, parameter: Parameter, values: Sequence[Setting]) -> LaneAxis:
    return LaneAxis(owner=owner, parameter=parameter, values=np.array(values, dtype=np.float64))


def _values(holder: object) -> dict[str, Value]:
    """Return the parameters of a surface or an optimizer with a single lane as plain Python values."""
    values: dict[str, Value] = {}
    for parameter in parameters_of(type(holder)):
        value = getattr(holder, parameter.name)
        values[parameter.name] = float(value.flat[0]) if isinstance(value, np.ndarray) else value
    return values
