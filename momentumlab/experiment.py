"""Experiments and comparisons: the frozen result of reading, checking and completing a configuration."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from momentumlab.calls import NamedCall
from momentumlab.datasets.in_memory import is_in_memory
from momentumlab.noise import Noise
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Array, Parameter, Value, ValueKind, parameter
from momentumlab.registry import Registry
from momentumlab.schedules.base import Schedule
from momentumlab.surfaces import SURFACES, CriticalPoint, Surface
from momentumlab.surfaces.base import ONE_OF
from momentumlab.surfaces.one_of import read_spelling

DEFAULT_ITERATIONS = 100

BACKENDS = ("auto", "numpy", "numba")

SEARCH_PATIENCE = 5
"""The default patience of sweeps, comparisons and searches.

An oscillating loss changes little at each turning point. The trials that happen to stop there have the fewest
iterations of all and would be chosen as best; five successive small changes exclude them.
"""

MAX_VALUES = 1_000_000
"""The maximum number of values of an axis."""

MAX_DIMENSION = 10_000
"""The maximum number of coordinates of random starts."""

Setting = Value | Schedule
"""The value of a parameter, or a schedule."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The values of one setting.

    Attributes
    ----------
    spelling
        The call that describes all values, if they were written as one: ``linspace(0, 1, 5)``.
    tuned
        The values begin a search; that of a learning rate may leave their range.
    """

    values: tuple[Setting, ...]
    spelling: str | None = None
    tuned: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def has_schedules(self) -> bool:
        """Whether any of the values is a schedule."""
        return any(isinstance(value, Schedule) for value in self.values)

    def is_shared(self, parameter: Parameter) -> bool:
        """Whether trials that are advanced together have the same value of this parameter."""
        return parameter.shared or self.has_schedules


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A surface or an optimizer by name, with an axis for each parameter, in the order of declaration.

    Attributes
    ----------
    cells
        The combinations of the axes of an optimizer that are run, in the order in which the plan counts them; ``None``
        for all.
    """

    name: str
    axes: Mapping[str, Axis]
    cells: tuple[int, ...] | None = None

    @property
    def first(self) -> dict[str, Setting]:
        """The first value of each axis."""
        return {key: axis.values[0] for key, axis in self.axes.items()}

    @property
    def combinations(self) -> int:
        """The size of the product of all axes, or the number of its cells that are run."""
        return math.prod(map(len, self.axes.values())) if self.cells is None else len(self.cells)


@dataclass(frozen=True, kw_only=True)
class Points:
    """Starts that are listed point by point."""

    points: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def dimensions(self) -> set[int]:
        """The numbers of coordinates of the starts."""
        return {len(point) for point in self.points}

    def array(self, surface: Surface) -> Array:
        """Return the starts on a surface, ``(dim, starts)``."""
        return np.array(self.points, dtype=np.float64).T


@dataclass(frozen=True, kw_only=True)
class OwnStarts:
    """The default start of each surface, if there are several."""

    dimension: int

    def __len__(self) -> int:
        return 1

    @property
    def dimensions(self) -> set[int]:
        """The numbers of coordinates of the starts."""
        return {self.dimension}

    def array(self, surface: Surface) -> Array:
        """Return the starts on a surface, ``(dim, starts)``."""
        return np.array([surface.default_start(self.dimension)], dtype=np.float64).T


START_CALLS: Registry[NamedCall] = Registry("start", listed_as="starts")


@START_CALLS.entry("grid")
@dataclass(frozen=True, kw_only=True)
class Grid(NamedCall):
    """Starts on a regular grid over the view window, edges included; the last coordinate varies fastest."""

    counts: tuple[int, ...] = parameter(
        kind=ValueKind.COUNT, ge=1, le=MAX_VALUES, is_variadic=True, doc="number of starts along each coordinate"
    )

    def __len__(self) -> int:
        return math.prod(self.counts)

    @property
    def dimensions(self) -> set[int]:
        """The numbers of coordinates of the starts."""
        return {len(self.counts)}

    def array(self, surface: Surface) -> Array:
        """Return the starts on a surface, ``(dim, starts)``."""
        window = surface.window(len(self.counts))
        lines = [np.linspace(low, high, count) for (low, high), count in zip(window, self.counts, strict=True)]
        return np.stack([mesh.ravel() for mesh in np.meshgrid(*lines, indexing="ij")])


@START_CALLS.entry("random")
@dataclass(frozen=True, kw_only=True)
class Random(NamedCall):
    """Starts drawn uniformly from the view window; the same seed gives the same starts."""

    count: int = parameter(kind=ValueKind.COUNT, ge=1, le=MAX_VALUES, doc="number of starts")
    seed: int = parameter(0, ge=0, le=2**63, by_name=True, doc="random seed")
    dimension: int = parameter(
        0, ge=0, le=MAX_DIMENSION, by_name=True, doc="number of coordinates; 0: that of the surface"
    )

    def __len__(self) -> int:
        return self.count

    @property
    def dimensions(self) -> set[int]:
        """The numbers of coordinates of the starts."""
        return {self.dimension}

    def array(self, surface: Surface) -> Array:
        """Return the starts on a surface, ``(dim, starts)``."""
        window = surface.window(self.dimension)
        low, high = np.array(window).T
        return np.random.default_rng(self.seed).uniform(low, high, size=(self.count, len(window))).T


Starts = Points | OwnStarts | Grid | Random


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When a trial ends. A criterion that is ``None`` is off.

    Attributes
    ----------
    iterations
        The maximum number of updates of a trial.
    tolerance
        Converged when ``|loss − previous loss|`` is at most this in `patience` successive iterations.
    patience
        The number of successive iterations in which the loss must change by at most `tolerance`; 1 without a tolerance.
    gradient_tolerance
        Converged when the Euclidean norm of the gradient is at most this.
    target_loss
        Converged when the loss is at most this.
    evaluate_every
        The number of iterations between evaluations of the loss; it is also evaluated at the end of a trial. Criteria
        for the loss are tested at these iterations; in between, histories repeat the last loss.
    """

    iterations: int = DEFAULT_ITERATIONS
    tolerance: float | None = None
    patience: int = 1
    gradient_tolerance: float | None = None
    target_loss: float | None = None
    evaluate_every: int = 1

    @cached_property
    def can_converge(self) -> bool:
        """Whether any convergence criterion is set."""
        return (self.tolerance, self.gradient_tolerance, self.target_loss) != (None, None, None)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A surface, optimizers, starts and stopping criteria; its trials are the product of all axes.

    Attributes
    ----------
    dimension
        The number of coordinates.
    noise
        The model of gradient errors; ``None`` for exact gradients.
    replicates
        The number of repetitions of each trial with different errors.
    seed
        The random seed of errors and mini-batches.
    backend
        The backend of trials whose trajectories are not recorded: ``numpy``, ``numba`` or ``auto``.
    record
        The quantities that are recorded beside positions, velocities and losses; see `Result.quantities`.
    horizon
        The number of updates over which schedules extend if trials end earlier, as in successive halving; ``None`` for
        the iterations of the stopping criteria.
    """

    name: str
    surface: Choice
    optimizers: tuple[Choice, ...]
    starts: Starts
    dimension: int
    stopping: Stopping
    noise: Noise | None = None
    replicates: int = 1
    seed: int = 0
    backend: str = "auto"
    record: tuple[str, ...] = ()
    horizon: int | None = None

    @property
    def repeats(self) -> int:
        """The number of trials per setting: starts times replicates."""
        return len(self.starts) * self.replicates

    @property
    def trials(self) -> int:
        """The number of trials."""
        optimizers = sum(optimizer.combinations for optimizer in self.optimizers)
        return optimizers * self.surface.combinations * self.repeats

    @property
    def is_random(self) -> bool:
        """Whether gradients are random, and replicates therefore differ."""
        return is_sampled(self.surface) or (self.noise is not None and self.noise.is_random)

    def idle_hyperparameters(self, optimizer: str) -> set[str]:
        """Return the optional terms of an optimizer that no trial uses; tables and files leave them out."""
        used = {
            name
            for choice in self.optimizers
            if choice.name == optimizer
            for name, axis in choice.axes.items()
            if axis.values != (_default(optimizer, name),)
        }
        return {p.name for p in OPTIMIZERS[optimizer].parameters() if p.is_optional} - used

    @property
    def surfaces(self) -> list[str]:
        """The names of the surface or of several ones, with parameters that are not the default."""
        return (
            list(map(str, self.surface.axes["surface"].values)) if self.surface.name == ONE_OF else [self.surface.name]
        )

    @property
    def first_surface(self) -> Surface:
        """The surface with the first value of each parameter: the one that figures show."""
        return build_surface(self.surface.name, self.surface.first)

    @property
    def shared_minima(self) -> tuple[CriticalPoint, ...]:
        """The minima of the surfaces of all trials.

        Empty if they are found numerically for each combination of parameters, and there are several combinations.
        """
        surface = self.first_surface
        if len(self.surfaces) > 1:
            return ()
        return () if surface.minima_are == "found" and self.surface.combinations > 1 else surface.minima(self.dimension)


def method_names(experiment: Experiment) -> list[str]:
    """Return the names of the optimizers; one that is listed several times has its distinguishing settings appended."""
    names = []
    for choice in experiment.optimizers:
        alike = [other for other in experiment.optimizers if other.name == choice.name]
        distinguishing = [
            f"{key} = {axis.values[0]:.4g}" if isinstance(axis.values[0], float) else f"{key} = {axis.values[0]}"
            for key, axis in choice.axes.items()
            if len(axis) == 1 and any(other.axes.get(key) != axis for other in alike)
        ]
        names.append(", ".join([choice.name, *distinguishing]))
    return names


class Objective(Enum):
    """The criterion by which a comparison chooses settings and ranks optimizers.

    Attributes
    ----------
    label
        The name in configurations.
    words
        The quantity that is ranked.
    quantile
        The quantile over starts and replicates that is compared.
    """

    ROBUST_LOSS = "robust_loss", "final loss"
    FINAL_LOSS = "final_loss", "final loss"
    ITERATIONS = "iterations", "iterations to convergence"
    Q75 = "q75", "75 % quantile of the final loss", 0.75
    Q90 = "q90", "90 % quantile of the final loss", 0.9
    Q95 = "q95", "95 % quantile of the final loss", 0.95

    def __init__(self, label: str, words: str, quantile: float = 0.5) -> None:
        self.label = label
        self.words = words
        self.quantile = quantile


DEFAULT_OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
"""The default optimizers of a comparison."""

DEFAULT_BUDGET = 64
DEFAULT_ACCURACY = 1e-6

GRID, HALVING = "grid", "halving"
SEARCHES = (GRID, HALVING)
"""How settings are searched; see `momentumlab.search.tuning.search`."""

HALVED_SETTINGS = 3
"""Successive halving begins with this many times as many settings as its budget has complete trials."""

TUNING_BUDGET = 4096
TUNING_ZOOMS = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several optimizers on the same problems, each with the best hyperparameters from its axes.

    Attributes
    ----------
    experiments
        One per surface, with the same optimizers in the same order.
    budget
        The maximum number of trials per optimizer, surface and start for ``tuned`` axes, including all zooms; ranges
        that are extended take more.
    zooms
        The number of refinements of the search around the best cells, each with as many trials as the first search.
    accuracy
        A trajectory has arrived when its loss exceeds the lowest known loss by this fraction of the initial excess.
    search
        How settings are searched, one of `SEARCHES`.
    """

    name: str
    experiments: tuple[Experiment, ...]
    objective: Objective = Objective.ROBUST_LOSS
    budget: int = DEFAULT_BUDGET
    zooms: int = 0
    accuracy: float = DEFAULT_ACCURACY
    search: str = GRID

    @property
    def coarse_budget(self) -> int:
        """The number of complete trials per optimizer and start in the first search, and in each zoom."""
        return max(1, self.budget // (self.zooms + 1))

    @property
    def trials(self) -> int:
        """The number of trials with which the search begins."""
        return sum(experiment.trials for experiment in self.experiments)


def _default(optimizer: str, name: str) -> Any:
    return next(parameter.default for parameter in OPTIMIZERS[optimizer].settings() if parameter.name == name)


def entries_of(experiment: Experiment | Comparison) -> Iterator[tuple[str, str]]:
    """Yield the noun and name of each registry entry that an experiment uses, and of data given as arrays."""
    for each in experiment.experiments if isinstance(experiment, Comparison) else (experiment,):
        yield from (("surface", read_spelling(name)[0]) for name in each.surfaces)
        for axis in each.surface.axes.values():
            yield from (("data", value) for value in axis.values if isinstance(value, str) and is_in_memory(value))
        if each.noise is not None:
            yield "noise model", each.noise.name
        for choice in each.optimizers:
            yield "optimizer", choice.name
            for axis in choice.axes.values():
                yield from (("schedule", name) for value in axis.values for name in _schedules_in(value))


def _schedules_in(value: object) -> Iterator[str]:
    """Yield the names of a schedule and of the schedules in it."""
    if isinstance(value, Schedule):
        yield value.name
        for part in vars(value).values():
            yield from _schedules_in(part)


def build_surface(name: str, parameters: Mapping[str, object]) -> Surface:
    """Return the surface of that name with these parameters."""
    return SURFACES[name](**parameters)


def is_sampled(choice: Choice) -> bool:
    """Whether any of these surfaces estimates its gradient; it is the same for trials that are advanced together."""
    shared = [parameter.name for parameter in SURFACES[choice.name].parameters() if parameter.shared]
    others = ({**choice.first, key: value} for key in shared for value in choice.axes[key].values[1:])
    return any(build_surface(choice.name, each).is_sampled for each in (choice.first, *others))
