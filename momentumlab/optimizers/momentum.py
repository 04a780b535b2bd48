"""The momentum family: linear filters of the gradient."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.catalogue import Array, Real, parameter
from momentumlab.optimizers.base import Optimizer, Stateless, optimizer


class Velocity(NamedTuple):
    """The state of a method with one momentum buffer."""

    v: Array


@optimizer("sgd", lr=1e-3, aliases=("gd", "gradient_descent"))
@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer[Stateless]):
    """Gradient descent: the velocity is the gradient.

    On a quadratic with curvatures between μ and L it converges for lr < 2/L, best at lr = 2/(L + μ).
    """

    equation = "x ← x − lr·g"
    source = "Cauchy (1847); agrees with torch.optim.SGD and optax.sgd"

    def init(self, x: Array) -> Stateless:
        return Stateless()

    def step(self, state: Stateless, g: Array, x: Array, t: int) -> tuple[Array, Stateless]:
        return g, state


@optimizer("momentum", lr=1e-3, aliases=("heavy_ball", "polyak"))
@dataclass(frozen=True, kw_only=True)
class Momentum(Optimizer[Velocity]):
    """Polyak's heavy ball: the velocity is a decaying sum of all gradients so far.

    A steady gradient is amplified by 1/(1 − β); one that changes its sign in every iteration is damped by 1/(1 + β).
    This is PyTorch's convention. Where v ← βv + (1 − β)g is used instead, the same path needs lr/(1 − β); where
    v ← βv − lr·g, the same lr gives the same path as long as lr is constant.
    """

    beta: Real = parameter(0.9, ge=0, lt=1, aliases=("momentum",), doc="how much of the velocity is kept")

    equation = "v ← β v + g,  x ← x − lr·v"
    source = (
        "Polyak (1964), Some methods of speeding up the convergence of iteration methods; "
        "agrees with torch.optim.SGD(momentum=β) and optax.sgd(momentum=β)"
    )

    def init(self, x: Array) -> Velocity:
        return Velocity(np.zeros_like(x))

    def step(self, state: Velocity, g: Array, x: Array, t: int) -> tuple[Array, Velocity]:
        v = self.beta * state.v + g
        return v, Velocity(v)


@optimizer("nesterov", lr=1e-3, aliases=("nag",))
@dataclass(frozen=True, kw_only=True)
class Nesterov(Optimizer[Velocity]):
    """Nesterov's accelerated gradient: momentum that takes the gradient where the velocity is about to lead.

    Written in the look-ahead variable, as PyTorch and optax do: the point that is shown is the one at which the
    gradient is taken. The velocity that moves it is g + β v with v already updated; the update of v itself uses the
    old v.
    """

    beta: Real = parameter(0.9, ge=0, lt=1, aliases=("momentum",), doc="how much of the velocity is kept")

    equation = "v ← β v + g,  x ← x − lr·(g + β v)"
    source = (
        "Nesterov (1983); in this form Bengio et al., arXiv 1212.0901; "
        "agrees with torch.optim.SGD(momentum=β, nesterov=True) and optax.sgd(momentum=β, nesterov=True)"
    )

    def init(self, x: Array) -> Velocity:
        return Velocity(np.zeros_like(x))

    def step(self, state: Velocity, g: Array, x: Array, t: int) -> tuple[Array, Velocity]:
        v = self.beta * state.v + g
        return g + self.beta * v, Velocity(v)
