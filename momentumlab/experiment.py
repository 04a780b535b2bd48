"""What a YAML file describes, once it is read, checked and completed: frozen data, and nothing else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from momentumlab.noise import Noise
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Array, Parameter, Value
from momentumlab.schedules import Schedule
from momentumlab.surfaces import SURFACES, CriticalPoint, Surface
from momentumlab.surfaces.base import Intervals

DEFAULT_ITERATIONS = 100

Setting = Value | Schedule
"""What a parameter is set to: a value, or a schedule of values."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The values of one setting.

    Attributes
    ----------
    spelling
        How a person spelled them, where that is shorter: ``linspace(0, 1, 5)``.
    tuned
        The values are where a search begins; that of a learning rate may go beyond their ends.
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
        """Whether trials that are advanced together have the same of these values, for a parameter."""
        return parameter.shared or self.has_schedules


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One entry of a catalogue and an axis for each of its parameters, in the order of their declaration."""

    name: str
    axes: Mapping[str, Axis]

    @property
    def first(self) -> dict[str, Setting]:
        """The first value of every axis."""
        return {key: axis.values[0] for key, axis in self.axes.items()}

    @property
    def combinations(self) -> int:
        """The size of the product of all axes."""
        return math.prod(map(len, self.axes.values()))


@dataclass(frozen=True, kw_only=True)
class Points:
    """Starts that are written out."""

    points: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def dimensions(self) -> set[int]:
        """How many coordinates the starts have."""
        return {len(point) for point in self.points}

    def array(self, window: Intervals) -> Array:
        """The starts, ``(dim, starts)``."""
        return np.array(self.points, dtype=np.float64).T


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Starts on a regular grid over the view window, its edges included; the last coordinate varies fastest."""

    counts: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __str__(self) -> str:
        return f"grid({', '.join(map(str, self.counts))})"

    @property
    def dimensions(self) -> set[int]:
        """How many coordinates the starts have."""
        return {len(self.counts)}

    def array(self, window: Intervals) -> Array:
        """The starts, ``(dim, starts)``."""
        lines = [np.linspace(low, high, count) for (low, high), count in zip(window, self.counts, strict=True)]
        return np.stack([mesh.ravel() for mesh in np.meshgrid(*lines, indexing="ij")])


@dataclass(frozen=True, kw_only=True)
class Random:
    """Starts drawn uniformly from the view window, the same for the same seed."""

    count: int
    seed: int
    dimension: int

    def __len__(self) -> int:
        return self.count

    def __str__(self) -> str:
        return f"random({self.count}, seed={self.seed}, dimension={self.dimension})"

    @property
    def dimensions(self) -> set[int]:
        """How many coordinates the starts have."""
        return {self.dimension}

    def array(self, window: Intervals) -> Array:
        """The starts, ``(dim, starts)``."""
        low, high = np.array(window).T
        return np.random.default_rng(self.seed).uniform(low, high, size=(self.count, len(window))).T


Starts = Points | Grid | Random


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When a trial ends. Each tolerance is off where it is ``None``.

    Attributes
    ----------
    iterations
        The most updates that a trial makes.
    tolerance
        Converged when ``|loss − previous loss|`` is at most this.
    gradient_tolerance
        Converged when the Euclidean norm of the gradient is at most this.
    target_loss
        Converged when the loss is at most this.
    """

    iterations: int = DEFAULT_ITERATIONS
    tolerance: float | None = None
    gradient_tolerance: float | None = None
    target_loss: float | None = None

    @cached_property
    def can_converge(self) -> bool:
        """Whether any test of convergence is set."""
        return (self.tolerance, self.gradient_tolerance, self.target_loss) != (None, None, None)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A surface, optimizers, starts and when to stop: the product of all their axes is what runs.

    Attributes
    ----------
    noise
        How gradients are wrong, if they are.
    replicates
        How often each trial is repeated with other errors.
    seed
        Which errors these are.
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

    @property
    def repeats(self) -> int:
        """How many trials each setting has: from each start, in each replicate."""
        return len(self.starts) * self.replicates

    @property
    def trials(self) -> int:
        """How many trials the experiment has."""
        optimizers = sum(optimizer.combinations for optimizer in self.optimizers)
        return optimizers * self.surface.combinations * self.repeats

    @property
    def is_random(self) -> bool:
        """Whether gradients are estimated: then replicates differ."""
        return is_sampled(self.surface) or (self.noise is not None and self.noise.is_random)

    def idle_hyperparameters(self, optimizer: str) -> set[str]:
        """The optional terms of an optimizer that no trial uses: they are not told in tables and files."""
        used = {
            name
            for choice in self.optimizers
            if choice.name == optimizer
            for name, axis in choice.axes.items()
            if axis.values != (_default(optimizer, name),)
        }
        return {p.name for p in OPTIMIZERS[optimizer].parameters() if p.is_optional} - used

    @property
    def first_surface(self) -> Surface:
        """The surface with the first value of each of its parameters: the one to draw."""
        return build_surface(self.surface.name, self.surface.first)

    @property
    def shared_minima(self) -> tuple[CriticalPoint, ...]:
        """The minima that the surfaces of all trials have.

        None where they are found anew for each combination of its parameters, and there are several.
        """
        surface = self.first_surface
        return () if surface.minima_are == "found" and self.surface.combinations > 1 else surface.minima(self.dimension)


def method_names(experiment: Experiment) -> list[str]:
    """The names of the optimizers; where one is listed several times, with the settings that tell its entries apart."""
    names = []
    for choice in experiment.optimizers:
        alike = [other for other in experiment.optimizers if other.name == choice.name]
        telling = [
            f"{key} = {axis.values[0]:.4g}" if isinstance(axis.values[0], float) else f"{key} = {axis.values[0]}"
            for key, axis in choice.axes.items()
            if len(axis) == 1 and any(other.axes[key] != axis for other in alike)
        ]
        names.append(", ".join([choice.name, *telling]))
    return names


class Objective(Enum):
    """By what a comparison ranks, with the words that say so."""

    FINAL_LOSS = "final_loss", "final loss"
    ITERATIONS = "iterations", "iterations to convergence"

    def __init__(self, label: str, words: str) -> None:
        self.label = label
        self.words = words


DEFAULT_BUDGET = 64
DEFAULT_ACCURACY = 1e-6

TUNING_BUDGET = 4096
TUNING_ZOOMS = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several optimizers on the same problems: of all their axes, what serves the objective best is chosen for each.

    Attributes
    ----------
    experiments
        One per surface, with the same optimizers in the same order.
    budget
        The most trials per optimizer, surface and start for ``tuned`` axes, all zooms together; ranges that grow take
        more.
    zooms
        How often the search begins anew around the best cells, with as many trials as at first.
    accuracy
        A path has arrived where its loss is above the lowest known by this share of what it was at the start.
    """

    name: str
    experiments: tuple[Experiment, ...]
    objective: Objective = Objective.FINAL_LOSS
    budget: int = DEFAULT_BUDGET
    zooms: int = 0
    accuracy: float = DEFAULT_ACCURACY


def _default(optimizer: str, name: str) -> Value:
    return next(parameter.default for parameter in OPTIMIZERS[optimizer].parameters() if parameter.name == name)


def build_surface(name: str, parameters: Mapping[str, object]) -> Surface:
    """The surface of that name with these parameters."""
    return SURFACES[name](**parameters)


def is_sampled(choice: Choice) -> bool:
    """Whether the gradient of any of these surfaces is estimated; trials that are advanced together have one answer."""
    shared = [parameter.name for parameter in SURFACES[choice.name].parameters() if parameter.shared]
    others = ({**choice.first, key: value} for key in shared for value in choice.axes[key].values[1:])
    return any(build_surface(choice.name, each).is_sampled for each in (choice.first, *others))
