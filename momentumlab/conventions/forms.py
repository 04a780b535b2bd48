"""The conventions of momentum. Each step is exactly its equation, without simplification."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from momentumlab.conventions.base import Filter, MomentumConvention, Moving, Pair, Shape, complement, convention
from momentumlab.errors import Problem
from momentumlab.registry import Array, parameter


def nesterov_parameter() -> bool:
    """The switch to Nesterov's method."""
    flag: bool = parameter(False, doc="Nesterov's method instead of the heavy ball")
    return flag


class _WithVelocity(MomentumConvention[Moving]):
    """A convention whose state is a point and a velocity that begins at zero."""

    def begin(self, x: Array) -> Moving:
        return Moving(x, np.zeros_like(x))

    def stores(self, state: Moving) -> Array:
        return state.x

    def rescaled(self, state: Moving, ratio: float) -> Moving:
        return state._replace(v=ratio * state.v)


@dataclass(frozen=True, kw_only=True)
class _Switched(_WithVelocity):
    """A convention that is heavy ball or Nesterov's method with the same lr and β."""

    nesterov: bool = nesterov_parameter()

    shapes = (Shape.PLAIN, Shape.AHEAD)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.now or wanted.memory, beta=wanted.beta, nesterov=wanted.now > 0)

    def _filter(self, *, keeps_lr: bool) -> Filter:
        if self.nesterov:
            return Filter(beta=self.beta, now=self.lr, memory=self.lr * self.beta, keeps_lr=keeps_lr)
        return Filter(beta=self.beta, memory=self.lr, keeps_lr=keeps_lr)


class _Sum(_Switched):
    """The sum form: lr multiplies the velocity when the point moves."""

    plain = "v ← β v + g,  x ← x − lr·v"
    ahead = "v ← β v + g,  x ← x − lr·(g + β v)"
    rescalable = True

    @property
    def filter(self) -> Filter:
        return self._filter(keeps_lr=False)

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        v = self.beta * state.v + g
        return Moving(state.x - lr * (g + self.beta * v if self.nesterov else v), v)


@convention("torch", aliases=("pytorch", "sum", "momentumlab"))
@dataclass(frozen=True, kw_only=True)
class Torch(_Sum):
    """PyTorch: a velocity that sums gradients, with lr outside. momentumlab uses it, too.

    With dampening τ every gradient but the very first is multiplied by 1 − τ; with momentum 0 PyTorch leaves dampening
    out altogether. It refuses Nesterov's method with dampening or without momentum.
    """

    dampening: float = parameter(0.0, ge=0, lt=1, doc="uses (1 − τ) g instead of g, except for the first gradient")

    plain = "v ← β v + (1 − τ) g, but v ← g at first,  x ← x − lr·v"
    users = "torch.optim.SGD; momentumlab's momentum and nesterov"
    source = "the documentation and source of torch.optim.SGD, version 2.13"

    @property
    def written(self) -> str:
        """Without dampening there is no exception to mention."""
        return super().written if self.dampening > 0 or self.nesterov else _Sum.plain

    @property
    def call(self) -> str:
        nesterov = ", nesterov=True" if self.nesterov else ""
        dampening = f", dampening={self.dampening!r}" if self.dampening else ""
        return f"torch.optim.SGD(params, lr={self.lr!r}, momentum={self.beta!r}{dampening}{nesterov})"

    @property
    def filter(self) -> Filter:
        if self.dampening == 0 or self.beta == 0:
            return super().filter
        kept, excess = self.lr * (1 - self.dampening), self.lr * self.dampening
        return Filter(beta=self.beta, memory=kept, first=excess, keeps_lr=False)

    def refused(self) -> tuple[Problem, ...]:
        problems = []
        if self.nesterov and self.dampening > 0:
            problems.append("PyTorch refuses Nesterov's method with dampening; leave out one of the two")
        if self.nesterov and self.beta == 0:
            problems.append("PyTorch refuses Nesterov's method without momentum; give a larger beta")
        return tuple(Problem(place="nesterov", message=message) for message in problems)

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        if t > 1 and self.beta != 0:
            g = (1 - self.dampening) * g
        return super().step(state, g, lr, t)


@convention("optax")
@dataclass(frozen=True, kw_only=True)
class Optax(_Sum):
    """Optax: the same sum, without dampening; `optax.trace` followed by a scale by −lr."""

    users = "optax.sgd, optax.trace"
    source = "the documentation and source of optax.sgd and optax.trace, version 0.2.8"

    @property
    def call(self) -> str:
        nesterov = ", nesterov=True" if self.nesterov else ""
        return f"optax.sgd(learning_rate={self.lr!r}, momentum={self.beta!r}{nesterov})"


@convention("tf1", aliases=("tensorflow1",))
@dataclass(frozen=True, kw_only=True)
class TensorFlow1(_Sum):
    """TensorFlow 1: the same sum; Keras in TensorFlow 2 has lr inside."""

    users = "tf.compat.v1.train.MomentumOptimizer"
    source = "the documentation of tf.compat.v1.train.MomentumOptimizer and tf.raw_ops.ApplyMomentum"

    @property
    def call(self) -> str:
        nesterov = ", use_nesterov=True" if self.nesterov else ""
        return f"tf.compat.v1.train.MomentumOptimizer(learning_rate={self.lr!r}, momentum={self.beta!r}{nesterov})"


@convention("keras", aliases=("tf2", "lr_inside"))
@dataclass(frozen=True, kw_only=True)
class Keras(_Switched):
    """Keras: lr is inside the velocity, which is the last displacement of heavy ball.

    Each gradient keeps the lr of its iteration: after lr is reduced, the old velocity keeps its size.
    Nesterov's method is written in the look-ahead point, so that the parameters are where gradients are taken.
    Optax has it as ``optax.chain(optax.scale_by_learning_rate(lr), optax.trace(β, nesterov))``.
    """

    plain = "v ← β v − lr·g,  x ← x + v"
    ahead = "v ← β v − lr·g,  x ← x + β v − lr·g"
    users = "keras.optimizers.SGD, tf.keras.optimizers.SGD"
    source = "the documentation and source of keras.optimizers.SGD, version 3.15"
    rescalable = True

    @property
    def call(self) -> str:
        nesterov = ", nesterov=True" if self.nesterov else ""
        return f"keras.optimizers.SGD(learning_rate={self.lr!r}, momentum={self.beta!r}{nesterov})"

    @property
    def filter(self) -> Filter:
        return self._filter(keeps_lr=True)

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        v = self.beta * state.v - lr * g
        return Moving(state.x + (self.beta * v - lr * g if self.nesterov else v), v)


@convention("sutskever", aliases=("nag",))
@dataclass(frozen=True, kw_only=True)
class Sutskever(_Switched):
    """Sutskever: as Keras, but Nesterov's method takes gradients ahead of the stored point."""

    plain = "v ← β v − lr·∇f(θ),  θ ← θ + v"
    ahead = "v ← β v − lr·∇f(θ + β v),  θ ← θ + v"
    stored = "θ; with nesterov gradients are taken ahead of it, at θ + β v"
    users = "Sutskever et al. (2013), and the textbooks that follow them"
    source = "Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum, equations 1-4"

    @property
    def stores_elsewhere(self) -> bool:
        return self.nesterov and self.beta > 0

    @property
    def filter(self) -> Filter:
        return self._filter(keeps_lr=True)

    def asks_at(self, state: Moving) -> Array:
        return state.x + self.beta * state.v if self.nesterov else state.x

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        v = self.beta * state.v - lr * g
        return Moving(state.x + v, v)


class _TwoPoints(MomentumConvention[Pair]):
    """A convention that stores two points, initially equal."""

    def begin(self, x: Array) -> Pair:
        return Pair(x, x)


@convention("polyak", aliases=("heavy_ball", "two_step"))
@dataclass(frozen=True, kw_only=True)
class Polyak(_TwoPoints):
    """Polyak: one equation with the last two points, without a velocity."""

    plain = "x₊ = x − lr·g + β (x − x₋)"
    users = "Polyak (1964), and most papers on the heavy ball"
    source = "Polyak (1964), Some methods of speeding up the convergence of iteration methods"
    shapes = (Shape.PLAIN,)

    @property
    def filter(self) -> Filter:
        return Filter(beta=self.beta, memory=self.lr, keeps_lr=True)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.memory, beta=wanted.beta)

    def stores(self, state: Pair) -> Array:
        return state.newer

    def step(self, state: Pair, g: Array, lr: float, t: int) -> Pair:
        x, before = state
        return Pair(x - lr * g + self.beta * (x - before), x)


@convention("two_sequence", aliases=("nesterov", "xy"))
@dataclass(frozen=True, kw_only=True)
class TwoSequence(_TwoPoints):
    """Nesterov: a gradient step from y to x, then y ahead of x. Always Nesterov's method."""

    plain = "x₊ = y − lr·∇f(y),  y₊ = x₊ + β (x₊ − x)"
    stored = "x; gradients are taken at y"
    users = "Nesterov (2004), and most papers on acceleration"
    source = "Nesterov (2004), Introductory Lectures on Convex Optimization, section 2.2, constant step scheme III"
    shapes = (Shape.AHEAD,)

    @property
    def looks_ahead(self) -> bool:
        return True

    @property
    def written(self) -> str:
        return self.plain

    @property
    def stores_elsewhere(self) -> bool:
        return self.beta > 0

    @property
    def filter(self) -> Filter:
        return Filter(beta=self.beta, now=self.lr, memory=self.lr * self.beta, keeps_lr=True)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.now or wanted.memory, beta=wanted.beta)

    def asks_at(self, state: Pair) -> Array:
        return state.newer

    def stores(self, state: Pair) -> Array:
        return state.other

    def step(self, state: Pair, g: Array, lr: float, t: int) -> Pair:
        y, x = state
        ahead = y - lr * g
        return Pair(ahead + self.beta * (ahead - x), ahead)


@convention("ema", aliases=("average",))
@dataclass(frozen=True, kw_only=True)
class Average(_WithVelocity):
    """The average form: the velocity has the size of a gradient, so lr is 1/(1 − β) times that of the sum form."""

    plain = "v ← β v + (1 − β) g,  x ← x − lr·v"
    users = "optax.ema with debias=False, momentumlab's momentum_ema, textbooks"
    source = "e.g. Goh, Why Momentum Really Works (Distill, 2017); the documentation of optax.ema, version 0.2.8"
    shapes = (Shape.PLAIN,)
    rescalable = True

    _debias = False

    @property
    def call(self) -> str:
        average = f"optax.ema({self.beta!r}, debias={self._debias})"
        return f"optax.chain({average}, optax.scale_by_learning_rate({self.lr!r}))"

    @property
    def filter(self) -> Filter:
        memory = self.lr * complement(self.beta)
        return Filter(beta=self.beta, memory=memory, debiased=self._debias and self.beta > 0, keeps_lr=False)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        return cls(lr=wanted.gain, beta=wanted.beta)

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        v = self.beta * state.v + (1 - self.beta) * g
        return Moving(state.x - lr * v, v)


@convention("ema_debiased", aliases=("debiased",))
@dataclass(frozen=True, kw_only=True)
class DebiasedAverage(Average):
    """The bias-corrected average: the numerator of Adam, and the default of optax.ema."""

    plain = "v ← β v + (1 − β) g,  x ← x − lr·v/(1 − βᵗ)"
    users = "optax.ema, whose default it is"
    source = "the documentation of optax.ema, version 0.2.8; Kingma & Ba (2015), arXiv 1412.6980, section 3"

    _debias = True

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        v = self.beta * state.v + (1 - self.beta) * g
        return Moving(state.x - lr * v / (1 - self.beta**t), v)


@convention("qhm", aliases=("quasi_hyperbolic",))
@dataclass(frozen=True, kw_only=True)
class QuasiHyperbolic(_WithVelocity):
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

    @property
    def call(self) -> str:
        return f"qhoptim.pyt.QHM(params, lr={self.lr!r}, nu={self.nu!r}, momentum={self.beta!r})"

    @property
    def filter(self) -> Filter:
        now, memory = self.lr * (1 - self.nu), self.lr * self.nu * complement(self.beta)
        return Filter(beta=self.beta, now=now, memory=memory, keeps_lr=False)

    @classmethod
    def of(cls, wanted: Filter) -> Self:
        lr = wanted.gain
        return cls(lr=lr, beta=wanted.beta, nu=wanted.memory / complement(wanted.beta) / lr)

    def step(self, state: Moving, g: Array, lr: float, t: int) -> Moving:
        v = self.beta * state.v + (1 - self.beta) * g
        return Moving(state.x - lr * ((1 - self.nu) * g + self.nu * v), v)
