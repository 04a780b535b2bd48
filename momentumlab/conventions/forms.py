"""The conventions of momentum. Each step is the equation of its source, without simplification.

In every convention, the points at which gradients are evaluated satisfy

    x_{t+1} = x_t − Σ_{s ≤ t} h(t, s) g_s,   g_s the gradient at x_s, x₁ the start,

so two conventions have the same path on every surface if and only if all their weights h(t, s) are equal. While lr is
constant, the weights of all conventions are those of a `Filter`, which has a few parameters.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from momentumlab.conventions.base import Convention, Obstacle, convention, rounded
from momentumlab.errors import Problem
from momentumlab.parameters import Array, parameter

AGREEMENT = 1e-13
"""Weights that differ by at most this share of the gain differ only by rounding."""


def complement(beta: float) -> float:
    """Return 1 − β in decimal arithmetic: 0.001 for 0.999, not 0.0010000000000000009."""
    return float(1 - Decimal(repr(beta)))


class Shape(Enum):
    """The weight of the newest gradient relative to the sum of all."""

    PLAIN = "heavy ball: the sum only"
    AHEAD = "Nesterov: the newest gradient, and β times the sum"
    MIXED = "any mixture of the newest gradient and the sum"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The weights of gradients in a displacement while lr is constant.

    h(t, s) = now·[s = t] + (memory + first·[s = 1])·βᵗ⁻ˢ, and if ``debiased`` all of it over 1 − βᵗ (t, s from 1).

    Attributes
    ----------
    beta
        The share of the sum of gradients that is kept, from 0 to 0.999999. (Closer to 1, too few digits of 1 − β are
        left for a run to verify anything.)
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
    def stability_limit(self) -> float:
        """The largest curvature of a quadratic on which the method is stable: 2/(now + memory/(1 + β)).

        At this curvature λ, the characteristic polynomial (z − 1)(z − β) + λ(now·(z − β) + memory·z) has the root −1.
        """
        return 2 / (self.now + self.memory / (1 + self.beta))

    @property
    def safe_curvature(self) -> float:
        """The largest curvature for which the method is stable and the first steps do not overshoot far either.

        With debiasing, the gain determines the length of the first step. Otherwise, a first gradient with a larger
        weight h adds the energy h²|g|²/(2·memory), which must not be much larger than the loss, |g|²/(2·curvature).
        """
        if self.debiased:
            return min(self.stability_limit, 2 / self.gain)
        newest = self.now + self.memory + self.first
        return min(self.stability_limit, 2 * self.memory / newest**2) if self.first > 0 else self.stability_limit

    @property
    def normal(self) -> "Filter":
        """The canonical form: a filter without memory has β = 0 and all of its weight in ``memory``."""
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
        # The gain of `plain` is weight/(1 − β), that of `ahead` weight·(1 + β/(1 − β)), which is the same.
        weight = steady.gain * complement(steady.beta)
        plain = replace(steady, now=0.0, memory=weight)
        ahead = replace(steady, now=weight, memory=steady.beta * weight)
        known = {Shape.PLAIN: plain, Shape.AHEAD: ahead}
        return min((known[shape] for shape in shapes), key=steady.distance)

    def distance(self, other: "Filter") -> float:
        """Return the root of the summed squared differences of the weights of two steady filters with the same β."""
        # The differences are now + memory for the newest gradient, then memory·β, memory·β², …
        memory = self.memory - other.memory
        tail = memory * self.beta / math.sqrt(1 - self.beta**2)
        return math.hypot(self.now - other.now + memory, tail)

    def obstacles(self, found: "Filter") -> tuple[Obstacle, ...]:
        """Return why the path of another filter with the same β and gain differs while lr is constant."""
        wanted, found = self.normal, found.normal
        apart = max(abs(wanted.now - found.now), abs(wanted.memory - found.memory))
        known = {
            Obstacle.SHAPE: apart > AGREEMENT * wanted.gain,
            Obstacle.FIRST: wanted.first > 0,
            Obstacle.DEBIASED_SOURCE: wanted.debiased and not found.debiased,
            Obstacle.DEBIASED_TARGET: found.debiased and not wanted.debiased,
        }
        return tuple(obstacle for obstacle, applies in known.items() if applies)

    def depends_on_lr_as(self, found: "Filter") -> bool:
        """Return whether a changing lr has the same effect; without memory it always has."""
        return self.normal.beta == 0 or self.keeps_lr == found.keeps_lr


class Velocity(NamedTuple):
    """The state of a convention with a velocity."""

    x: Array
    v: Array


class TwoPoints(NamedTuple):
    """The state of a convention that stores two points: the parameters, and the previous or the look-ahead point."""

    x: Array
    other: Array


@dataclass(frozen=True, kw_only=True)
class MomentumConvention(Convention):
    """A convention of momentum.

    Attributes
    ----------
    shapes
        The shapes that its filter can have.
    keeps_lr
        Whether each gradient keeps the lr of its iteration, as in `Filter`.
    rescalable
        Whether its velocity can be multiplied by a factor without moving the stored point.
    """

    beta: float = parameter(0.9, ge=0, le=0.999999, aliases=("momentum",), doc="share of the past that is kept")

    shapes: ClassVar[tuple[Shape, ...]]
    keeps_lr: ClassVar[bool] = False
    rescalable: ClassVar[bool] = False

    @property
    @abstractmethod
    def form(self) -> Filter:
        """The weights of the convention."""

    @classmethod
    def nearest(cls, wanted: Filter) -> Self:
        """Return this convention with the weights that are nearest to a filter; see `Filter.fitted`."""
        found = cls.of(wanted.fitted(cls.shapes))
        # β is copied from the source, and keeps all its digits; the others are computed.
        changed = {
            name: rounded(value)
            for name, value in found.values.items()
            if name != "beta" and not isinstance(value, bool)
        }
        return replace(found, **changed)

    @classmethod
    @abstractmethod
    def of(cls, wanted: Filter) -> Self:
        """Return this convention with the hyperparameters that give a filter of one of its shapes."""

    def begin(self, x: Array) -> Any:
        """Return the initial state: a velocity of zero."""
        return Velocity(x, np.zeros_like(x))


@dataclass(frozen=True, kw_only=True)
class _HeavyBallOrNesterov(MomentumConvention):
    """A convention that is heavy ball or Nesterov's method with the same lr and β."""

    nesterov: bool = parameter(False, doc="Nesterov's method instead of the heavy ball")

    shapes = (Shape.PLAIN, Shape.AHEAD)
    rescalable = True

    @property
    def form(self) -> Filter:
        if self.nesterov:
            return Filter(beta=self.beta, now=self.lr, memory=self.lr * self.beta, keeps_lr=self.keeps_lr)
        return Filter(beta=self.beta, memory=self.lr, keeps_lr=self.keeps_lr)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.now or wanted.memory, beta=wanted.beta, nesterov=wanted.now > 0)


class _Sum(_HeavyBallOrNesterov):
    """The sum form: lr multiplies the velocity when the point moves."""

    plain = "v ← β v + g,  x ← x − lr·v"
    ahead = "v ← β v + g,  x ← x − lr·(g + β v)"

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        v = self.beta * state.v + g
        return Velocity(state.x - lr * (g + self.beta * v if self.nesterov else v), v)


@convention("torch", aliases=("pytorch", "sum", "momentumlab"))
@dataclass(frozen=True, kw_only=True)
class Torch(_Sum):
    """PyTorch: a velocity that sums gradients, with lr outside. momentumlab uses it, too.

    With dampening τ every gradient except the first is multiplied by 1 − τ; with momentum 0 PyTorch ignores the
    dampening. It refuses Nesterov's method with dampening or without momentum.
    """

    dampening: float = parameter(0.0, ge=0, lt=1, doc="uses (1 − τ) g instead of g, except for the first gradient")

    plain = "v ← β v + (1 − τ) g, but v ← g at first,  x ← x − lr·v"
    users = "torch.optim.SGD; momentumlab's momentum and nesterov"
    source = "the documentation and source of torch.optim.SGD, version 2.13"
    library_call = (
        "torch.optim.SGD(params, lr={lr!r}, momentum={beta!r}, dampening?={dampening!r}, nesterov?={nesterov!r})"
    )

    @property
    def written(self) -> str:
        """The equations with these hyperparameters; without dampening, those of the plain sum."""
        return self.ahead if self.nesterov else self.plain if self.dampening > 0 else _Sum.plain

    @property
    def form(self) -> Filter:
        if self.dampening == 0 or self.beta == 0:
            return super().form
        # The first gradient has the weight lr, all others lr (1 − τ).
        kept, excess = self.lr * (1 - self.dampening), self.lr * self.dampening
        return Filter(beta=self.beta, memory=kept, first=excess, keeps_lr=False)

    def refused(self) -> tuple[Problem, ...]:
        problems = []
        if self.nesterov and self.dampening > 0:
            problems.append("PyTorch refuses Nesterov's method with dampening; leave out one of the two")
        if self.nesterov and self.beta == 0:
            problems.append("PyTorch refuses Nesterov's method without momentum; give a larger beta")
        return tuple(Problem(place="nesterov", message=message) for message in problems)

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        if t > 1 and self.beta != 0:
            g = (1 - self.dampening) * g
        return super().step(state, g, lr, t)


@convention("optax")
@dataclass(frozen=True, kw_only=True)
class Optax(_Sum):
    """Optax: the same sum, without dampening; `optax.trace` followed by a scale by −lr."""

    users = "optax.sgd, optax.trace"
    source = "the documentation and source of optax.sgd and optax.trace, version 0.2.8"
    library_call = "optax.sgd(learning_rate={lr!r}, momentum={beta!r}, nesterov?={nesterov!r})"


@convention("tf1", aliases=("tensorflow1",))
@dataclass(frozen=True, kw_only=True)
class TensorFlow1(_Sum):
    """TensorFlow 1: the same sum; Keras in TensorFlow 2 has lr inside."""

    users = "tf.compat.v1.train.MomentumOptimizer"
    source = "the documentation of tf.compat.v1.train.MomentumOptimizer and tf.raw_ops.ApplyMomentum"
    library_call = (
        "tf.compat.v1.train.MomentumOptimizer(learning_rate={lr!r}, momentum={beta!r}, use_nesterov?={nesterov!r})"
    )


@convention("keras", aliases=("tf2", "lr_inside"))
@dataclass(frozen=True, kw_only=True)
class Keras(_HeavyBallOrNesterov):
    """Keras: lr is inside the velocity, which is the last displacement of heavy ball.

    Each gradient keeps the lr of its iteration: after lr is reduced, the old velocity keeps its size.
    Nesterov's method is written in the look-ahead point, so that the parameters are where gradients are taken.
    Optax has it as ``optax.chain(optax.scale_by_learning_rate(lr), optax.trace(β, nesterov))``.
    """

    plain = "v ← β v − lr·g,  x ← x + v"
    ahead = "v ← β v − lr·g,  x ← x + β v − lr·g"
    users = "keras.optimizers.SGD, tf.keras.optimizers.SGD"
    source = "the documentation and source of keras.optimizers.SGD, version 3.15"
    keeps_lr = True
    library_call = "keras.optimizers.SGD(learning_rate={lr!r}, momentum={beta!r}, nesterov?={nesterov!r})"

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        v = self.beta * state.v - lr * g
        return Velocity(state.x + (self.beta * v - lr * g if self.nesterov else v), v)


@convention("sutskever", aliases=("nag",))
@dataclass(frozen=True, kw_only=True)
class Sutskever(_HeavyBallOrNesterov):
    """Sutskever: as Keras, but Nesterov's method takes gradients ahead of the stored point."""

    plain = "v ← β v − lr·∇f(θ),  θ ← θ + v"
    ahead = "v ← β v − lr·∇f(θ + β v),  θ ← θ + v"
    stored = "θ; with nesterov gradients are taken ahead of it, at θ + β v"
    users = "Sutskever et al. (2013), and the textbooks that follow them"
    source = "Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum, equations 1-4"
    keeps_lr = True
    rescalable = False

    @property
    def stores_elsewhere(self) -> bool:
        return self.nesterov and self.beta > 0

    def gradient_point(self, state: Velocity) -> Array:
        return state.x + self.beta * state.v if self.nesterov else state.x

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        v = self.beta * state.v - lr * g
        return Velocity(state.x + v, v)


@convention("polyak", aliases=("heavy_ball", "two_step"))
@dataclass(frozen=True, kw_only=True)
class Polyak(MomentumConvention):
    """Polyak: one equation with the last two points, without a velocity."""

    plain = "x₊ = x − lr·g + β (x − x₋)"
    users = "Polyak (1964), and most papers on the heavy ball"
    source = "Polyak (1964), Some methods of speeding up the convergence of iteration methods"
    shapes = (Shape.PLAIN,)
    keeps_lr = True

    @property
    def form(self) -> Filter:
        return Filter(beta=self.beta, memory=self.lr, keeps_lr=True)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.memory, beta=wanted.beta)

    def begin(self, x: Array) -> TwoPoints:
        return TwoPoints(x, x)

    def step(self, state: TwoPoints, g: Array, lr: float, t: int) -> TwoPoints:
        x, before = state
        return TwoPoints(x - lr * g + self.beta * (x - before), x)


@convention("two_sequence", aliases=("nesterov", "xy"))
@dataclass(frozen=True, kw_only=True)
class TwoSequence(MomentumConvention):
    """Nesterov: a gradient step from y to x, then y ahead of x. Always Nesterov's method."""

    plain = "x₊ = y − lr·∇f(y),  y₊ = x₊ + β (x₊ − x)"
    stored = "x; gradients are taken at y"
    users = "Nesterov (2004), and most papers on acceleration"
    source = "Nesterov (2004), Introductory Lectures on Convex Optimization, section 2.2, constant step scheme III"
    shapes = (Shape.AHEAD,)
    keeps_lr = True

    @property
    def stores_elsewhere(self) -> bool:
        return self.beta > 0

    @property
    def form(self) -> Filter:
        return Filter(beta=self.beta, now=self.lr, memory=self.lr * self.beta, keeps_lr=True)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.now or wanted.memory, beta=wanted.beta)

    def begin(self, x: Array) -> TwoPoints:
        return TwoPoints(x, x)

    def gradient_point(self, state: TwoPoints) -> Array:
        return state.other

    def step(self, state: TwoPoints, g: Array, lr: float, t: int) -> TwoPoints:
        x, y = state
        ahead = y - lr * g
        return TwoPoints(ahead, ahead + self.beta * (ahead - x))


@convention("ema", aliases=("average",))
@dataclass(frozen=True, kw_only=True)
class Average(MomentumConvention):
    """The average form: the velocity has the size of a gradient, so lr is 1/(1 − β) times that of the sum form."""

    plain = "v ← β v + (1 − β) g,  x ← x − lr·v"
    users = "optax.ema with debias=False, momentumlab's momentum_ema, textbooks"
    source = "e.g. Goh, Why Momentum Really Works (Distill, 2017); the documentation of optax.ema, version 0.2.8"
    shapes = (Shape.PLAIN,)
    rescalable = True

    library_call = "optax.chain(optax.ema({beta!r}, debias=False), optax.scale_by_learning_rate({lr!r}))"

    _is_debiased = False

    @property
    def form(self) -> Filter:
        memory = self.lr * complement(self.beta)
        return Filter(beta=self.beta, memory=memory, debiased=self._is_debiased and self.beta > 0, keeps_lr=False)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.gain, beta=wanted.beta)

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        v = self.beta * state.v + (1 - self.beta) * g
        return Velocity(state.x - lr * v, v)


@convention("ema_debiased", aliases=("debiased",))
@dataclass(frozen=True, kw_only=True)
class DebiasedAverage(Average):
    """The bias-corrected average: the numerator of Adam, and the default of optax.ema."""

    plain = "v ← β v + (1 − β) g,  x ← x − lr·v/(1 − βᵗ)"
    users = "optax.ema, whose default it is"
    source = "the documentation of optax.ema, version 0.2.8; Kingma & Ba (2015), arXiv 1412.6980, section 3"

    library_call = "optax.chain(optax.ema({beta!r}, debias=True), optax.scale_by_learning_rate({lr!r}))"

    _is_debiased = True

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        v = self.beta * state.v + (1 - self.beta) * g
        return Velocity(state.x - lr * v / (1 - self.beta**t), v)


@convention("qhm", aliases=("quasi_hyperbolic",))
@dataclass(frozen=True, kw_only=True)
class QuasiHyperbolic(MomentumConvention):
    """Quasi-hyperbolic momentum: a weighted mean of the gradient and of its average.

    ν = 0 is gradient descent, ν = 1 the average form, ν = β Nesterov's method; its lr is 1/(1 − β) times that of the
    sum form in all of them.
    """

    nu: float = parameter(1.0, ge=0, le=1, doc="weight of the average against the current gradient")

    plain = "v ← β v + (1 − β) g,  x ← x − lr·((1 − ν) g + ν v)"
    users = "qhoptim.pyt.QHM, momentumlab's qhm"
    source = "Ma & Yarats (2019), arXiv 1810.06801, equations 3 and 4"
    shapes = (Shape.MIXED,)
    rescalable = True
    library_call = "qhoptim.pyt.QHM(params, lr={lr!r}, nu={nu!r}, momentum={beta!r})"

    @property
    def form(self) -> Filter:
        now, memory = self.lr * (1 - self.nu), self.lr * self.nu * complement(self.beta)
        return Filter(beta=self.beta, now=now, memory=memory, keeps_lr=False)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        lr = wanted.gain
        return cls(lr=lr, beta=wanted.beta, nu=wanted.memory / complement(wanted.beta) / lr)

    def step(self, state: Velocity, g: Array, lr: float, t: int) -> Velocity:
        v = self.beta * state.v + (1 - self.beta) * g
        return Velocity(state.x - lr * ((1 - self.nu) * g + self.nu * v), v)
