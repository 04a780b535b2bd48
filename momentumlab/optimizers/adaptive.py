"""The adaptive family: each coordinate is scaled by the size, or the signs, of its past gradients."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.optimizers.base import (
    Here,
    Optimizer,
    decayed,
    dialect_parameter,
    is_off,
    optimizer,
    weight_decay_parameter,
)
from momentumlab.parameters import Array, Real, parameter


class SquaredGradients(NamedTuple):
    """The state of a method that keeps a sum of squared gradients."""

    h: Array


class Averages(NamedTuple):
    """RMSprop's state: averages of squared gradients and of gradients, and the velocity."""

    h: Array
    m: Array
    v: Array


class Updates(NamedTuple):
    """AdaDelta's state: averages of squared gradients and of squared updates."""

    h: Array
    u: Array


class Signs(NamedTuple):
    """Rprop's state: the last gradient, and the step size of each coordinate in units of lr."""

    g: Array
    size: Array


@optimizer("adagrad", lr=1e-2)
@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer[SquaredGradients]):
    """AdaGrad: steps shrink with the root of the sum of all squared gradients.

    PyTorch adds ε to the root. optax adds it inside the root and starts with a positive sum, which shortens the first
    steps.
    """

    initial_accumulator_value: Real = parameter(
        0.0, ge=0, optax=0.1, constant="it is only used at the start", doc="initial value of the sum of squares"
    )
    lr_decay: Real = parameter(0.0, ge=0, doc="divides lr by 1 + (t − 1)·lr_decay")
    eps: Real = parameter(1e-10, gt=0, optax=1e-7, doc="keeps the division finite")
    weight_decay: Real = weight_decay_parameter()
    dialect: str = dialect_parameter("pytorch divides by √h + ε, optax by √(h + ε)")

    equation = "h ← h + g²,  x ← x − lr/(1 + (t − 1)·lr_decay)·g / (√h + ε);  optax: g / √(h + ε)"
    source = "Duchi, Hazan & Singer (2011), JMLR 12; agrees with torch.optim.Adagrad and, in its dialect, optax.adagrad"

    def init(self, x: Array) -> SquaredGradients:
        return SquaredGradients(np.zeros_like(x) + self.initial_accumulator_value)

    def step(self, state: SquaredGradients, g: Array, here: Here) -> tuple[Array, SquaredGradients]:
        g = decayed(g, here.x, self.weight_decay)
        h = state.h + g * g
        root = np.sqrt(h) + self.eps if self.dialect == "pytorch" else np.sqrt(h + self.eps)
        velocity = g / root
        if not is_off(self.lr_decay):
            velocity = velocity / (1 + (here.t - 1) * self.lr_decay)
        return velocity, SquaredGradients(h)


@optimizer("rmsprop", lr=1e-2)
@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer[Averages]):
    """RMSprop: steps are divided by the root of a moving average of squared gradients.

    The average starts at zero without bias correction, so the first steps are longer by the factor 1/√(1 − α).
    ``centered`` subtracts the squared average of gradients, an estimate of their variance; ``beta`` adds momentum.
    """

    alpha: Real = parameter(0.99, ge=0, lt=1, optax=0.9, doc="decay of the averages")
    eps: Real = parameter(1e-8, gt=0, doc="keeps the division finite")
    beta: Real = parameter(0.0, ge=0, lt=1, aliases=("momentum",), doc="fraction of the velocity that is kept")
    centered: bool = parameter(False, doc="divide by the standard deviation of the gradients")
    weight_decay: Real = weight_decay_parameter()
    dialect: str = dialect_parameter("pytorch divides by √h + ε, optax by √(h + ε)")

    equation = (
        "h ← α h + (1 − α) g²,  v ← β v + g / (√h + ε),  x ← x − lr·v;  centered: h − m² instead of h, "
        "m ← α m + (1 − α) g;  optax: g / √(h + ε)"
    )
    source = (
        "Tieleman & Hinton (2012), Coursera 6.5; agrees with torch.optim.RMSprop and, in its dialect, optax.rmsprop"
    )

    def init(self, x: Array) -> Averages:
        zeros = np.zeros_like(x)
        return Averages(zeros, zeros, zeros)

    def step(self, state: Averages, g: Array, here: Here) -> tuple[Array, Averages]:
        g = decayed(g, here.x, self.weight_decay)
        h = self.alpha * state.h + (1 - self.alpha) * g * g
        m, spread = state.m, h
        if self.centered:
            m = self.alpha * state.m + (1 - self.alpha) * g
            spread = np.maximum(h - m * m, 0.0)  # rounding can make it negative for a constant gradient
        root = np.sqrt(spread) + self.eps if self.dialect == "pytorch" else np.sqrt(spread + self.eps)
        v = g / root if is_off(self.beta) else self.beta * state.v + g / root
        return v, Averages(h, m, v)


@optimizer("adadelta", lr=1.0)
@dataclass(frozen=True, kw_only=True)
class Adadelta(Optimizer[Updates]):
    """AdaDelta: RMSprop times the root of the average of its squared updates.

    The step therefore has the unit of x, and lr = 1 is meant for all problems; ε sets the size of the first steps.
    """

    rho: Real = parameter(0.9, ge=0, lt=1, doc="decay of the averages")
    eps: Real = parameter(1e-6, gt=0, doc="keeps the division finite and the first steps nonzero")
    weight_decay: Real = weight_decay_parameter()

    equation = "h ← ρ h + (1 − ρ) g²,  Δ = √(u + ε)/√(h + ε)·g,  u ← ρ u + (1 − ρ) Δ²,  x ← x − lr·Δ"
    source = "Zeiler (2012), arXiv 1212.5701; agrees with torch.optim.Adadelta and optax.adadelta"

    def init(self, x: Array) -> Updates:
        return Updates(np.zeros_like(x), np.zeros_like(x))

    def step(self, state: Updates, g: Array, here: Here) -> tuple[Array, Updates]:
        g = decayed(g, here.x, self.weight_decay)
        h = self.rho * state.h + (1 - self.rho) * g * g
        delta = np.sqrt(state.u + self.eps) / np.sqrt(h + self.eps) * g
        return delta, Updates(h, self.rho * state.u + (1 - self.rho) * delta * delta)


@optimizer("rprop", lr=1e-2)
@dataclass(frozen=True, kw_only=True)
class Rprop(Optimizer[Signs]):
    """Resilient propagation without backtracking (iRprop−): only the sign of each partial derivative matters.

    The step of a coordinate grows while its gradient keeps its sign and shrinks when the sign changes. The first step
    is lr. After a change of sign the coordinate pauses for one iteration, as in PyTorch. (optax.rprop 0.2.8 moves by
    the step of the previous iteration and is a different method.) With lr = 0 the point does not move.
    """

    eta_minus: Real = parameter(0.5, gt=0, lt=1, doc="factor of a step after a change of sign")
    eta_plus: Real = parameter(1.2, gt=1, doc="factor of a step without a change of sign")
    min_step: Real = parameter(1e-6, gt=0, doc="smallest step, in units of x")
    max_step: Real = parameter(50.0, gt=0, doc="largest step, in units of x")

    constant_lr = "it only sets the first steps, which then adapt"
    equation = "Δ ← clip(Δ·(η⁺ if g·g₋ > 0, η⁻ if < 0, 1 if = 0), min, max),  x ← x − Δ·sign(g)  (g ← 0 if g·g₋ < 0)"
    source = (
        "iRprop− of Igel & Hüsken (2003), Neurocomputing 50, a variant of Riedmiller & Braun (1993); "
        "agrees with torch.optim.Rprop"
    )

    def init(self, x: Array) -> Signs:
        return Signs(np.zeros_like(x), np.ones_like(x))

    def step(self, state: Signs, g: Array, here: Here) -> tuple[Array, Signs]:
        agreement = np.sign(g * state.g)
        factor = np.where(agreement > 0, self.eta_plus, np.where(agreement < 0, self.eta_minus, 1.0))
        unit = np.where(here.lr > 0, here.lr, 1.0)  # where lr is 0, the velocity has no effect
        size = np.clip(state.size * factor, self.min_step / unit, self.max_step / unit)
        g = np.where(agreement < 0, 0.0, g)
        return np.sign(g) * size, Signs(g, size)
