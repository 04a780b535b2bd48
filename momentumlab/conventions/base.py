"""The interface of conventions, and translations between them.

The path of a convention consists of the points at which it evaluates gradients. All conventions of a family are special
cases of one general rule, given by their `Convention.form`; two conventions have the same path on every surface if and
only if their forms are equivalent. A translation chooses the hyperparameters of the target whose form is equal or
nearest to that of the source, and compares the two forms.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, Self, TypeVar

from momentumlab.errors import Problem
from momentumlab.parameters import Array, Parameter, parameter, parameters_of
from momentumlab.registry import Registry


class Fidelity(Enum):
    """The quality of a translation."""

    EXACT = "exact"
    CONSTANT_LR = "constant lr only"
    NEAREST = "not exact"

    @property
    def words(self) -> str:
        """A phrase that follows the two names."""
        return {
            Fidelity.EXACT: "the same path, also when lr changes",
            Fidelity.CONSTANT_LR: "the same path as long as lr is constant",
            Fidelity.NEAREST: "not exact; the nearest with the same step in the long run",
        }[self]


class Obstacle(Enum):
    """The reason why no exact translation exists."""

    SHAPE = "the newest gradient has a different weight relative to older ones"
    FIRST = "the first gradient is not dampened"
    DEBIASED_SOURCE = "the source divides by 1 − βᵗ"
    DEBIASED_TARGET = "the target divides by 1 − βᵗ"
    AVERAGE = "the target does not average gradients"
    CORRECTION = "only one of them corrects its averages"
    EPS = "they add ε in different places"
    DECAY = "they decay weights differently"


class Form(Protocol):
    """The parameters of the general rule of a family of conventions."""

    def obstacles(self, found: Any) -> tuple[Obstacle, ...]:
        """Return why the path of another form differs while lr is constant; empty if it does not."""

    def depends_on_lr_as(self, found: Any) -> bool:
        """Return whether a changing lr has the same effect on the path of an otherwise equivalent form."""


class State(Protocol):
    """The state of a convention, a named tuple of arrays with the shape ``(dim,)``."""

    @property
    def x(self) -> Array:
        """The parameters that users see."""


def lr_parameter(default: float) -> float:
    """Declare the learning rate."""
    value: float = parameter(default, ge=1e-30, le=1e30, aliases=("learning_rate",), doc="learning rate")
    return value


@dataclass(frozen=True, kw_only=True)
class Convention(ABC):
    """The form in which a library or paper writes an optimizer, with its hyperparameters.

    To add one, decorate a frozen dataclass with `convention`. Its step follows the source literally, for points and
    gradients of shape ``(dim,)``. It can be translated into the conventions of the same family: `MomentumConvention`
    or `AdaptiveConvention`.

    Attributes
    ----------
    plain, ahead
        The equations without and with ``nesterov``; ``ahead`` is empty for conventions without that option.
    stored
        What the parameters are that users see.
    users
        Libraries and papers that use the convention.
    source
        The documents from which the equations are taken.
    library_call
        The call of its library as a format string of the hyperparameters; empty if it belongs to no library. An
        argument marked with ``?`` is left out if it is 0 or false.
    """

    lr: float = lr_parameter(0.01)

    name: ClassVar[str]
    equation: ClassVar[str]
    plain: ClassVar[str]
    ahead: ClassVar[str] = ""
    stored: ClassVar[str] = "the point at which gradients are taken"
    users: ClassVar[str]
    source: ClassVar[str]
    library_call: ClassVar[str] = ""

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """The declared hyperparameters, lr first."""
        return parameters_of(cls)

    @property
    def values(self) -> dict[str, float | bool]:
        """Its hyperparameters by name."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters()}

    @property
    def written(self) -> str:
        """The equations with these hyperparameters."""
        return self.ahead if self.values.get("nesterov") else self.plain

    @property
    def stores_elsewhere(self) -> bool:
        """Whether the stored parameters differ from the point where gradients are taken."""
        return False

    @property
    def call(self) -> str:
        """The call of its library with these hyperparameters; empty if it belongs to no library."""
        call = self.library_call.format_map(self.values)
        return re.sub(r", \w+\?=(0|0\.0|False)(?=[,)])", "", call).replace("?=", "=")

    def refused(self) -> tuple[Problem, ...]:
        """Return a problem for each combination of hyperparameters that the library refuses."""
        return ()

    @property
    @abstractmethod
    def form(self) -> Form:
        """The convention as a case of the general rule; derived by hand, and compared with `step` by the tests."""

    @classmethod
    @abstractmethod
    def nearest(cls, wanted: Any) -> Self:
        """Return this convention with the hyperparameters whose form is nearest to the wanted one.

        Computed hyperparameters are rounded to 15 digits: 0.1 and not 0.10000000000000002.
        """

    @abstractmethod
    def begin(self, x: Array) -> State:
        """Return the initial state."""

    def gradient_point(self, state: Any) -> Array:
        """Return the point at which the next gradient is evaluated, by default the stored one."""
        x: Array = state.x
        return x

    @abstractmethod
    def step(self, state: Any, g: Array, lr: float, t: int) -> State:
        """Compute one iteration.

        Parameters
        ----------
        state
            The state returned by `begin` or the last step.
        g
            The gradient at `gradient_point`, ``(dim,)``.
        lr
            The learning rate of this iteration.
        t
            The number of the iteration, from 1.
        """


CONVENTIONS: Registry[Convention] = Registry("convention")

ConventionClass = TypeVar("ConventionClass", bound=type[Convention])


def convention(name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[ConventionClass], ConventionClass]:
    """Register the decorated class as a convention."""

    def enter(cls: ConventionClass) -> ConventionClass:
        cls.name = name
        cls.equation = ";  with nesterov  ".join(filter(None, (cls.plain, cls.ahead)))
        CONVENTIONS.register(name, cls, aliases)
        return cls

    return enter


def rounded(value: float) -> float:
    """Return a number with 15 significant digits."""
    return float(f"{value:.15g}")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The translation of a convention into another one.

    Attributes
    ----------
    source, target
        Both conventions with their hyperparameters.
    fidelity
        Whether the translation is exact.
    obstacles
        Why the paths differ; empty if they are equal at least for a constant lr.
    """

    source: Convention
    target: Convention
    fidelity: Fidelity
    obstacles: tuple[Obstacle, ...]


def translate(source: Convention, target: type[Convention]) -> Translation:
    """Return the hyperparameters with which the target has the path of the source, or the nearest one.

    The path is that of the points at which gradients are taken. If the translation of a momentum method is not exact,
    the target has the same β and gain, and the nearest weights (`Filter.fitted`); that of an adaptive method has the
    same hyperparameters as far as it has them, and the same effect of ε in the long run.
    """
    if type(source) is target:
        return Translation(source=source, target=source, fidelity=Fidelity.EXACT, obstacles=())
    wanted, found = source.form, target.nearest(source.form)
    obstacles = wanted.obstacles(found.form)
    if obstacles:
        fidelity = Fidelity.NEAREST
    else:
        fidelity = Fidelity.EXACT if wanted.depends_on_lr_as(found.form) else Fidelity.CONSTANT_LR
    return Translation(source=source, target=found, fidelity=fidelity, obstacles=obstacles)
