"""Methods that evaluate a second gradient, at a point away from the iterate."""

from dataclasses import dataclass

import numpy as np

from momentumlab.optimizers.base import (
    Here,
    Optimizer,
    Stateless,
    decayed,
    momentum_parameter,
    optimizer,
    weight_decay_parameter,
)
from momentumlab.optimizers.momentum import Velocity
from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import sum_coordinates


@optimizer("extragradient", lr=1e-3, aliases=("korpelevich",))
@dataclass(frozen=True, kw_only=True)
class Extragradient(Optimizer[Stateless]):
    """The extragradient method: a step with the gradient found after a trial step of gradient descent.

    On a quadratic, an iteration multiplies the component of curvature λ by 1 − z + z² with z = lr·λ: the method
    converges for lr < 1/L, and no faster than gradient descent. It was designed for saddle-point problems.
    """

    gradients_per_step = 2
    equation = "y = x − lr·g(x),  x ← x − lr·g(y)"
    source = "Korpelevich (1976), The extragradient method for finding saddle points and other problems, Matecon 12"

    def init(self, x: Array) -> Stateless:
        return Stateless()

    def step(self, state: Stateless, g: Array, here: Here) -> tuple[Array, Stateless]:
        return here.gradient(here.x - here.lr * g), state


@optimizer("sam", lr=1e-3, aliases=("sharpness_aware",))
@dataclass(frozen=True, kw_only=True)
class SAM(Optimizer[Velocity]):
    """Sharpness-aware minimization: heavy ball with the gradient at a point uphill, at the distance ρ.

    The second gradient is that of the largest loss within the distance ρ, to first order, which favours flat minima.
    Close to a minimum it does not vanish: with a constant lr the iterates end in a limit cycle.
    """

    rho: Real = parameter(0.05, ge=0, doc="distance of the second gradient, in units of x")
    beta: Real = momentum_parameter()
    weight_decay: Real = weight_decay_parameter()

    gradients_per_step = 2
    equation = "v ← β v + g(x + ρ g/|g|),  x ← x − lr·v"
    source = "Foret, Kleiner, Mobahi & Neyshabur (2021), arXiv 2010.01412, algorithm 1 with momentum as base optimizer"

    def init(self, x: Array) -> Velocity:
        return Velocity(np.zeros_like(x))

    def step(self, state: Velocity, g: Array, here: Here) -> tuple[Array, Velocity]:
        norm = np.sqrt(sum_coordinates(g * g))
        uphill = here.x + self.rho / np.where(norm > 0, norm, 1.0) * g
        v = self.beta * state.v + decayed(here.gradient(uphill), here.x, self.weight_decay)
        return v, Velocity(v)
