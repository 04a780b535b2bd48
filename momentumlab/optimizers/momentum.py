"""The momentum family: linear filters of the gradient, and the sign of such a filter."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.optimizers.base import (
    Here,
    Optimizer,
    Stateless,
    decayed,
    dialect_parameter,
    is_off,
    momentum_parameter,
    optimizer,
    weight_decay_parameter,
)
from momentumlab.parameters import Array, Real, parameter


class Velocity(NamedTuple):
    """The state of a method with one momentum buffer, ``(dim, lanes)``."""

    v: Array


class Velocities(NamedTuple):
    """The state of a method with several momentum buffers, ``(buffers, dim, lanes)``."""

    v: Array


class _OneBuffer(Optimizer[Velocity]):
    """A method with one momentum buffer, initially zero."""

    def init(self, x: Array) -> Velocity:
        return Velocity(np.zeros_like(x))


@optimizer("sgd", lr=1e-3, aliases=("gd", "gradient_descent"))
@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer[Stateless]):
    """Gradient descent: the velocity is the gradient.

    On a quadratic with curvatures between μ and L it converges for lr < 2/L, best at lr = 2/(L + μ).
    """

    weight_decay: Real = weight_decay_parameter()

    equation = "x ← x − lr·g"
    source = "Cauchy (1847); agrees with torch.optim.SGD and optax.sgd"

    def init(self, x: Array) -> Stateless:
        return Stateless()

    def step(self, state: Stateless, g: Array, here: Here) -> tuple[Array, Stateless]:
        return decayed(g, here.x, self.weight_decay), state


@optimizer("momentum", lr=1e-3, aliases=("heavy_ball", "polyak"))
@dataclass(frozen=True, kw_only=True)
class Momentum(_OneBuffer):
    """Polyak's heavy ball: the velocity is a decaying sum of all gradients so far.

    A constant gradient is amplified by 1/(1 − β); one that changes sign in every iteration is damped by 1/(1 + β). This
    is PyTorch's convention. With v ← βv + (1 − β)g (``momentum_ema``), the same path needs lr/(1 − β); with
    v ← βv − lr·g, the same lr gives the same path as long as lr is constant.
    """

    beta: Real = momentum_parameter()
    dampening: Real = parameter(0.0, ge=0, le=1, doc="adds (1 − dampening) g instead of g to the velocity")
    weight_decay: Real = weight_decay_parameter()
    dialect: str = dialect_parameter(
        "pytorch does not dampen the first gradient, or without momentum; optax always dampens"
    )

    equation = "v ← β v + (1 − dampening) g,  x ← x − lr·v"
    source = (
        "Polyak (1964), Some methods of speeding up the convergence of iteration methods; "
        "agrees with torch.optim.SGD(momentum=β) and optax.sgd(momentum=β); its dampening, in the dialect, with "
        "optax.trace behind a scale"
    )

    def step(self, state: Velocity, g: Array, here: Here) -> tuple[Array, Velocity]:
        g = decayed(g, here.x, self.weight_decay)
        if not is_off(self.dampening):
            # Without momentum, PyTorch has no velocity and nothing to dampen.
            is_exempt = ((here.t == 1) | np.equal(self.beta, 0)) & (self.dialect == "pytorch")
            g = np.where(is_exempt, 1.0, 1 - self.dampening) * g
        v = self.beta * state.v + g
        return v, Velocity(v)


@optimizer("nesterov", lr=1e-3, aliases=("nag",))
@dataclass(frozen=True, kw_only=True)
class Nesterov(_OneBuffer):
    """Nesterov's accelerated gradient: momentum with the gradient at the look-ahead point.

    Written in the look-ahead variable, as in PyTorch and optax: the iterate is the point where the gradient is
    evaluated. Its velocity is g + β v with the updated v; the update of v uses the old v.
    """

    beta: Real = momentum_parameter()
    weight_decay: Real = weight_decay_parameter()

    equation = "v ← β v + g,  x ← x − lr·(g + β v)"
    source = (
        "Nesterov (1983), Doklady 27; in this form Bengio et al., arXiv 1212.0901; "
        "agrees with torch.optim.SGD(momentum=β, nesterov=True) and optax.sgd(momentum=β, nesterov=True)"
    )

    def step(self, state: Velocity, g: Array, here: Here) -> tuple[Array, Velocity]:
        g = decayed(g, here.x, self.weight_decay)
        v = self.beta * state.v + g
        return g + self.beta * v, Velocity(v)


@optimizer("momentum_ema", lr=1e-3, aliases=("ema",))
@dataclass(frozen=True, kw_only=True)
class MomentumEMA(_OneBuffer):
    """Heavy ball with an average instead of a sum: the path of ``momentum`` at lr·(1 − β).

    The velocity has the size of a gradient for every β, so a good lr depends less on β.
    """

    beta: Real = momentum_parameter(doc="decay of the average")

    equation = "v ← β v + (1 − β) g,  x ← x − lr·v"
    source = (
        "e.g. Goh, Why Momentum Really Works (Distill, 2017); agrees with optax.ema(β, debias=False) before a scale"
    )

    def step(self, state: Velocity, g: Array, here: Here) -> tuple[Array, Velocity]:
        v = self.beta * state.v + (1 - self.beta) * g
        return v, Velocity(v)


@optimizer("qhm", lr=1e-3, aliases=("quasi_hyperbolic",))
@dataclass(frozen=True, kw_only=True)
class QHM(_OneBuffer):
    """Quasi-hyperbolic momentum: a weighted mean of a gradient step and a step of averaged momentum.

    ν = 0 is gradient descent, ν = 1 is ``momentum_ema``, ν = β is Nesterov's method at lr·(1 − β).
    """

    beta: Real = momentum_parameter(0.999, doc="decay of the average")
    nu: Real = parameter(0.7, ge=0, le=1, doc="weight of the average against the gradient itself")

    equation = "v ← β v + (1 − β) g,  x ← x − lr·((1 − ν) g + ν v)"
    source = "Ma & Yarats (2019), arXiv 1810.06801, equations 3 and 4; defaults as recommended there"

    def step(self, state: Velocity, g: Array, here: Here) -> tuple[Array, Velocity]:
        v = self.beta * state.v + (1 - self.beta) * g
        return (1 - self.nu) * g + self.nu * v, Velocity(v)


@optimizer("aggmo", lr=1e-3, aliases=("aggregated_momentum",))
@dataclass(frozen=True, kw_only=True)
class AggMo(Optimizer[Velocities]):
    """Aggregated momentum: the mean of several heavy balls with different β, which damp each other's oscillations."""

    betas: tuple[float, ...] = parameter((0.0, 0.9, 0.99), ge=0, lt=1, doc="the β of each velocity")

    equation = "vᵢ ← βᵢ vᵢ + g,  x ← x − lr·(v₁ + … + v_K)/K"
    source = "Lucas, Sun, Zemel & Grosse (2019), arXiv 1804.00325, equation 4"

    def init(self, x: Array) -> Velocities:
        return Velocities(np.zeros((len(self.betas), *x.shape)))

    def step(self, state: Velocities, g: Array, here: Here) -> tuple[Array, Velocities]:
        v = np.array(self.betas)[:, np.newaxis, np.newaxis] * state.v + g
        total: Array = sum(v[1:], start=v[0])
        return total / len(self.betas), Velocities(v)


@optimizer("signum", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class Signum(_OneBuffer):
    """Sign momentum: every coordinate moves by lr against the sign of its averaged gradient.

    β = 0 is sign descent. With a constant lr the iterates end in a limit cycle of about that size.
    """

    beta: Real = momentum_parameter(doc="decay of the average")

    equation = "v ← β v + (1 − β) g,  x ← x − lr·sign(v)"
    source = "Bernstein, Wang, Azizzadenesheli & Anandkumar (2018), arXiv 1802.04434; agrees with optax.signum"

    def step(self, state: Velocity, g: Array, here: Here) -> tuple[Array, Velocity]:
        v = self.beta * state.v + (1 - self.beta) * g
        return np.sign(v), Velocity(v)
