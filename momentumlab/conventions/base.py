"""What a convention is: a way to write momentum, which is a linear filter from gradients to displacements.

All gradients are taken along a path of points x_t, the first one x₁ being the start. A convention displaces it by

    x_{t+1} = x_t − Σ_{s ≤ t} h(t, s) g_s,   g_s the gradient at x_s,

and two conventions give the same path for every surface if and only if all their weights h(t, s) are the same. While
lr is constant, the weights of the whole family are those of a `Filter`, so that a handful of numbers decides.
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
    """1 − β as people read it: 0.001 for 0.999, where the difference of the floats would be 0.0010000000000000009."""
    return float(1 - Decimal(repr(beta)))


class Shape(Enum):
    """How the newest gradient weighs against the sum of all."""

    PLAIN = "heavy ball: the sum alone"
    AHEAD = "Nesterov: the newest gradient, and β times the sum"
    MIXED = "any mixture of the newest gradient and the sum"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The weights of gradients in a displacement while lr is constant.

    h(t, s) = now·[s = t] + (memory + first·[s = 1])·βᵗ⁻ˢ, and if ``debiased`` all of it over 1 − βᵗ (t, s from 1).

    Attributes
    ----------
    beta
        How much of the sum of gradients is kept, 0 ≤ beta < 1. (Conventions stop at 0.999999: nearer to 1 the
        digits of 1 − β are lost, and nothing can be proven by running it.)
    now
        The weight that the newest gradient has beside the sum, ≥ 0.
    memory
        The weight of the sum, ≥ 0.
    first
        By how much more the very first gradient weighs in the sum.
    debiased
        Whether the sum is divided by 1 − βᵗ.
    keeps_lr
        Where lr stands when it changes: a gradient keeps the lr of its own time (``v ← βv − lr·g``), or today's lr
        multiplies the sum of all (``x ← x − lr·v``).
    """

    beta: float
    now: float = 0.0
    memory: float
    first: float = 0.0
    debiased: bool = False
    keeps_lr: bool

    @property
    def gain(self) -> float:
        """The step that a steady gradient of 1 leads to in the end: now + memory/(1 − β)."""
        return self.now + self.memory / complement(self.beta)

    @property
    def steepest(self) -> float:
        """The curvature up to which it is stable on a quadratic: 2/(now + memory/(1 + β)).

        There z = −1 becomes a root of (z − 1)(z − β) + λ(now·(z − β) + memory·z).
        """
        return 2 / (self.now + self.memory / (1 + self.beta))

    @property
    def calm(self) -> float:
        """A curvature on which even its beginning does not leap, at most `steepest`.

        Debiased, the first step is as long as the gain makes it. A first gradient of greater weight h gives a kick
        whose energy h²|g|²/(2·memory) must stay near the loss, |g|²/(2·curvature): so curvature < 2·memory/h².
        """
        if self.debiased:
            return min(self.steepest, 2 / self.gain)
        newest = self.now + self.memory + self.first
        return min(self.steepest, 2 * self.memory / newest**2) if self.first > 0 else self.steepest

    @property
    def normal(self) -> "Filter":
        """The same filter in the one way to write it: what has no memory has β = 0, and is a sum of one gradient."""
        if self.beta == 0 or (self.memory == 0 and self.first == 0):
            return replace(self, beta=0.0, now=0.0, memory=self.now + self.memory, first=0.0, debiased=False)
        return self

    def fitted(self, shapes: tuple[Shape, ...]) -> "Filter":
        """The nearest filter of these shapes that has the same β and the same gain, without any peculiar beginning.

        Near is a small sum of the squared differences of all weights. Of the same shape it is the filter itself.
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
        """The root of the sum of squared differences of the weights of two steady filters with the same β."""
        memory = self.memory - other.memory
        tail = memory * self.beta / math.sqrt(1 - self.beta**2)
        return math.hypot(self.now - other.now + memory, tail)


State = TypeVar("State", bound=tuple[object, ...])


class Moving(NamedTuple):
    """The state of a convention with a velocity."""

    x: Array
    v: Array


class Pair(NamedTuple):
    """The state of a convention with two sequences: the newer point, and what came before or beside it."""

    newer: Array
    other: Array


@dataclass(frozen=True, kw_only=True)
class Convention(ABC, Generic[State]):
    """A way to write momentum, with its hyperparameters.

    A new one is a frozen dataclass below the decorator `convention`. Its step is written as its source writes it, for
    points and gradients of shape ``(dim,)``; its `filter` is derived on paper. The tests hold one against the other.

    Attributes
    ----------
    plain, ahead
        The equations without and with ``nesterov``; the latter empty where there is no choice.
    stored
        What its users find in their parameters.
    users
        Whose convention it is: libraries and papers.
    source
        Where its equations are to be found.
    shapes
        What its filter can be.
    rescalable
        Whether its velocity may be multiplied without moving anything else.
    """

    lr: float = parameter(0.01, ge=1e-30, le=1e30, aliases=("learning_rate",), doc="learning rate")
    beta: float = parameter(0.9, ge=0, le=0.999999, aliases=("momentum",), doc="how much of the past is kept")

    name: ClassVar[str]
    equation: ClassVar[str]
    plain: ClassVar[str]
    ahead: ClassVar[str] = ""
    stored: ClassVar[str] = "the point at which gradients are taken"
    users: ClassVar[str]
    source: ClassVar[str]
    shapes: ClassVar[tuple[Shape, ...]]
    rescalable: ClassVar[bool] = False

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """What it declares, lr and beta first."""
        return parameters_of(cls)

    @property
    def values(self) -> dict[str, float | bool]:
        """Its hyperparameters by name."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters()}

    @property
    def looks_ahead(self) -> bool:
        """Whether it is Nesterov's method, where there is a choice."""
        return bool(self.values.get("nesterov", False))

    @property
    def written(self) -> str:
        """The equations with these hyperparameters."""
        return self.ahead if self.looks_ahead else self.plain

    @property
    def stores_elsewhere(self) -> bool:
        """Whether its users' parameters are not the point at which gradients are taken."""
        return False

    @property
    @abstractmethod
    def filter(self) -> Filter:
        """Its weights."""

    @classmethod
    @abstractmethod
    def of(cls, wanted: Filter) -> "Convention[Any]":
        """The hyperparameters that give a filter of one of its shapes."""

    @property
    def call(self) -> str:
        """What its users write; empty where it is no library's."""
        return ""

    def refused(self) -> tuple[Problem, ...]:
        """Which hyperparameters do not go together."""
        return ()

    @abstractmethod
    def begin(self, x: Array) -> State:
        """The state at the start."""

    def asks_at(self, state: State) -> Array:
        """Where the next gradient is to be taken."""
        return self.stores(state)

    @abstractmethod
    def step(self, state: State, g: Array, lr: float, t: int) -> State:
        """One iteration with the gradient at `asks_at`, the lr of today and the number of the iteration, from 1."""

    @abstractmethod
    def stores(self, state: State) -> Array:
        """What its users find in their parameters."""

    def rescaled(self, state: State, ratio: float) -> State:
        """The same state with a velocity that many times as large, where it is `rescalable`."""
        raise NotImplementedError(f"{self.name} has no velocity that could be multiplied alone")


CONVENTIONS: Registry[Convention[Any]] = Registry("convention")

ConventionClass = TypeVar("ConventionClass", bound=type[Convention[Any]])


def convention(name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[ConventionClass], ConventionClass]:
    """Enter the class below into the catalogue of conventions."""

    def enter(cls: ConventionClass) -> ConventionClass:
        cls.name = name
        cls.equation = ";  with nesterov  ".join(filter(None, (cls.plain, cls.ahead)))
        CONVENTIONS.register(name, cls, aliases)
        return cls

    return enter
