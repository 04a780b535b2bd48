"""The interface of conventions: ways to write an optimizer, and momentum as a linear filter of gradients.

Gradients are taken along a path of points x_t, which begins at the start x₁. A convention displaces the point by

    x_{t+1} = x_t − Σ_{s ≤ t} h(t, s) g_s,   g_s the gradient at x_s,

and two conventions have the same path on every surface if and only if all their weights h(t, s) are equal. While lr is
constant, the weights of all conventions are those of a `Filter`, which has a few parameters.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from momentumlab.errors import Problem
from momentumlab.registry import Array, Parameter, Registry, parameter, parameters_of


def complement(beta: float) -> float:
    """Return 1 − β in decimal arithmetic: 0.001 for 0.999, not 0.0010000000000000009."""
    return float(1 - Decimal(repr(beta)))


class Shape(Enum):
    """The weight of the newest gradient relative to the sum of all."""

    PLAIN = "heavy ball: only the sum"
    AHEAD = "Nesterov: the newest gradient, and β times the sum"
    MIXED = "any mixture of the newest gradient and the sum"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The weights of gradients in a displacement while lr is constant.

    h(t, s) = now·[s = t] + (memory + first·[s = 1])·βᵗ⁻ˢ, and if ``debiased`` all of it over 1 − βᵗ (t, s from 1).

    Attributes
    ----------
    beta
        The share of the sum of gradients that is kept, 0 ≤ beta < 1. (The limit is 0.999999: closer to 1, the digits
        of 1 − β are lost and a run verifies nothing.)
    now
        The weight of the newest gradient in addition to the sum, ≥ 0.
    memory
        The weight of the sum, ≥ 0.
    first
        The additional weight of the first gradient in the sum.
    debiased
        Whether the sum is divided by 1 − βᵗ.
    keeps_lr
        The effect of a changing lr: each gradient keeps the lr of its iteration (``v ← βv − lr·g``), or the current lr
        multiplies the sum (``x ← x − lr·v``).
    """

    beta: float
    now: float = 0.0
    memory: float
    first: float = 0.0
    debiased: bool = False
    keeps_lr: bool

    @property
    def gain(self) -> float:
        """The limit of the step under a constant gradient of 1: now + memory/(1 − β)."""
        return self.now + self.memory / complement(self.beta)

    @property
    def steepest(self) -> float:
        """The curvature up to which it is stable on a quadratic: 2/(now + memory/(1 + β)).

        There z = −1 becomes a root of (z − 1)(z − β) + λ(now·(z − β) + memory·z).
        """
        return 2 / (self.now + self.memory / (1 + self.beta))

    @property
    def calm(self) -> float:
        """A curvature, at most `steepest`, for which the first steps do not overshoot far either.

        With debiasing, the gain determines the length of the first step. A first gradient with a larger weight h adds
        the energy h²|g|²/(2·memory), which must stay near the loss, |g|²/(2·curvature): so curvature < 2·memory/h².
        """
        if self.debiased:
            return min(self.steepest, 2 / self.gain)
        newest = self.now + self.memory + self.first
        return min(self.steepest, 2 * self.memory / newest**2) if self.first > 0 else self.steepest

    @property
    def normal(self) -> "Filter":
        """The canonical form of the filter: without memory, β is 0 and the sum has one gradient."""
        if self.beta == 0 or (self.memory == 0 and self.first == 0):
            return replace(self, beta=0.0, now=0.0, memory=self.now + self.memory, first=0.0, debiased=False)
        return self

    def fitted(self, shapes: tuple[Shape, ...]) -> "Filter":
        """Return the nearest filter of these shapes with the same β and gain, and without a special first iteration.

        The nearest filter minimizes the sum of squared differences of all weights.
        """
        steady = replace(self.normal, first=0.0, debiased=False)
        if Shape.MIXED in shapes:
            return steady
        weight = steady.gain * complement(steady.beta)
        plain = replace(steady, now=0.0, memory=weight)
        ahead = replace(steady, now=weight, memory=steady.beta * weight)
        known = {Shape.PLAIN: plain, Shape.AHEAD: ahead}
        return min((known[shape] for shape in shapes), key=steady.distance)

    def distance(self, other: "Filter") -> float:
        """Return the root of the summed squared differences of the weights of two steady filters with the same β."""
        memory = self.memory - other.memory
        tail = memory * self.beta / math.sqrt(1 - self.beta**2)
        return math.hypot(self.now - other.now + memory, tail)


State = TypeVar("State", bound=tuple[object, ...])


class Moving(NamedTuple):
    """The state of a convention with a velocity."""

    x: Array
    v: Array


class Pair(NamedTuple):
    """The state of a convention with two sequences: the current point, and the previous or second one."""

    newer: Array
    other: Array


@dataclass(frozen=True, kw_only=True)
class Convention(ABC, Generic[State]):
    """A way to write an optimizer, with its hyperparameters.

    To add one, decorate a frozen dataclass with `convention`. Its step follows the source literally, for points and
    gradients of shape ``(dim,)``. It can be translated into the conventions of the same family: `MomentumConvention` or
    `momentumlab.conventions.adam_forms.Adaptive`.

    Attributes
    ----------
    plain, ahead
        The equations without and with ``nesterov``; ``ahead`` is empty for conventions without that option.
    stored
        Return the parameters that its users see.
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
        """The declared hyperparameters, lr and beta first."""
        return parameters_of(cls)

    @property
    def values(self) -> dict[str, float | bool]:
        """Its hyperparameters by name."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters()}

    @property
    def looks_ahead(self) -> bool:
        """Whether it is Nesterov's method, if there is a choice."""
        return bool(self.values.get("nesterov", False))

    @property
    def written(self) -> str:
        """The equations with these hyperparameters."""
        return self.ahead if self.looks_ahead else self.plain

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

    @abstractmethod
    def begin(self, x: Array) -> State:
        """Return the initial state."""

    def asks_at(self, state: State) -> Array:
        """Return the point of the next gradient."""
        return self.stores(state)

    @abstractmethod
    def step(self, state: State, g: Array, lr: float, t: int) -> State:
        """Compute one iteration from the gradient at `asks_at`, the current lr and the iteration, counted from 1."""

    @abstractmethod
    def stores(self, state: State) -> Array:
        """Return the parameters that its users see."""


@dataclass(frozen=True, kw_only=True)
class MomentumConvention(Convention[State]):
    """A way to write momentum. Its `filter` is derived by hand; the tests compare it with the step.

    Attributes
    ----------
    shapes
        Possible shapes of its filter.
    rescalable
        Whether its velocity may be multiplied without moving anything else.
    """

    beta: float = parameter(0.9, ge=0, le=0.999999, aliases=("momentum",), doc="share of the past that is kept")

    shapes: ClassVar[tuple[Shape, ...]]
    rescalable: ClassVar[bool] = False

    @property
    @abstractmethod
    def filter(self) -> Filter:
        """Its weights."""

    @classmethod
    @abstractmethod
    def of(cls, wanted: Filter) -> "MomentumConvention[Any]":
        """Return this convention with the hyperparameters that give a filter."""

    def rescaled(self, state: State, ratio: float) -> State:
        """Return the state with its velocity multiplied by a factor, if it is `rescalable`."""
        raise NotImplementedError(f"{self.name} has no velocity that can be rescaled")


CONVENTIONS: Registry[Convention[Any]] = Registry("convention")

ConventionClass = TypeVar("ConventionClass", bound=type[Convention[Any]])


def convention(name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[ConventionClass], ConventionClass]:
    """Register the decorated class as a convention."""

    def enter(cls: ConventionClass) -> ConventionClass:
        cls.name = name
        cls.equation = ";  with nesterov  ".join(filter(None, (cls.plain, cls.ahead)))
        CONVENTIONS.register(name, cls, aliases)
        return cls

    return enter
