"""The interface of conventions, and translations between them.

Gradients are taken along a path of points that begins at the start. Every convention of a family computes a special
case of one general rule, its `Convention.form`; two conventions have the same path on every surface if and only if
their forms are equivalent. A translation chooses hyperparameters of the target whose form is that of the source, or
the nearest one, and compares the two forms.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, Self, TypeVar

from momentumlab.errors import Problem
from momentumlab.registry import Array, Parameter, Registry, parameter, parameters_of


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
    """The general rule of a family of conventions, with its parameters."""

    def obstacles(self, found: Any) -> tuple[Obstacle, ...]:
        """Return why the path of another form differs while lr is constant; empty if it does not."""

    def depends_on_lr_as(self, found: Any) -> bool:
        """Return whether a changing lr has the same effect on the path of an otherwise equivalent form."""


class State(Protocol):
    """The state of a convention, a named tuple of arrays with the shape ``(dim,)``."""

    @property
    def x(self) -> Array:
        """The parameters that users see."""


@dataclass(frozen=True, kw_only=True)
class Convention(ABC):
    """A way to write an optimizer, with its hyperparameters.

    To add one, decorate a frozen dataclass with `convention`. Its step follows the source literally, for points and
    gradients of shape ``(dim,)``. It can be translated into the conventions of the same family: `MomentumConvention`
    or `AdaptiveConvention`.

    Attributes
    ----------
    plain, ahead
        The equations without and with ``nesterov``; ``ahead`` is empty for conventions without that option.
    stored
        Description of the parameters that users see.
    users
        Libraries and papers that use the convention.
    source
        Source of the equations.
    """

    lr: float = parameter(0.01, ge=1e-30, le=1e30, aliases=("learning_rate",), doc="learning rate")

    name: ClassVar[str]
    equation: ClassVar[str]
    plain: ClassVar[str]
    ahead: ClassVar[str] = ""
    stored: ClassVar[str] = "the point at which gradients are taken"
    users: ClassVar[str]
    source: ClassVar[str]

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
        """The call of its library; empty if it belongs to no library."""
        return ""

    def refused(self) -> tuple[Problem, ...]:
        """Return which hyperparameters exclude each other."""
        return ()

    @property
    @abstractmethod
    def form(self) -> Form:
        """The parameters of the general rule. They are derived by hand; the tests compare them with `step`."""

    @classmethod
    @abstractmethod
    def nearest(cls, wanted: Any) -> Self:
        """Return this convention with the hyperparameters whose form is nearest to a form.

        Hyperparameters that were computed are rounded to 15 digits: 0.1 and not 0.10000000000000002.
        """

    @abstractmethod
    def begin(self, x: Array) -> State:
        """Return the initial state."""

    def asks_at(self, state: Any) -> Array:
        """Return the point of the next gradient."""
        x: Array = state.x
        return x

    @abstractmethod
    def step(self, state: Any, g: Array, lr: float, t: int) -> State:
        """Compute one iteration from the gradient at `asks_at`, the current lr and the iteration, counted from 1."""


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


def library_call(function: str, **arguments: Any) -> str:
    """Write a call of a library without the arguments that are ``None``.

    Functions of torch and qhoptim take the parameters of the model first.
    """
    written = ["params"] if function.startswith(("torch.", "qhoptim.")) else []
    written += [f"{name}={value!r}" for name, value in arguments.items() if value is not None]
    return f"{function}({', '.join(written)})"


def rounded(value: float) -> float:
    """Return a number with 15 significant digits."""
    return float(f"{value:.15g}")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A convention expressed in another one.

    Attributes
    ----------
    source, target
        Both conventions with their hyperparameters.
    fidelity
        Whether the translation is exact.
    obstacles
        Why the translation is not exact; empty if it is exact at least for a constant lr.
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
