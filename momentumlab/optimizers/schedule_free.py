"""Schedule-free methods: an average of the iterates replaces a decaying learning rate.

There are three sequences: z takes plain steps, x is the average of all z, and y = β x + (1 − β) z is the iterate, where
the gradient is evaluated. All begin at the start. The state holds their displacements per unit of lr. The velocity is
the displacement of y, which requires a constant lr.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.optimizers.base import Here, Optimizer, decayed, optimizer, per_lane, weight_decay_parameter
from momentumlab.parameters import Array, Real, parameter

AVERAGES = "its average of the iterates replaces a schedule and weights all iterates equally"
FIXED_WEIGHT = "y is a mean of x and z with a fixed weight"


class Sequences(NamedTuple):
    """Minus the displacements of z and x from the start, per unit of lr."""

    z: Array
    x: Array


class ScaledSequences(NamedTuple):
    """The sequences, the second moment of the gradients and the power β₂ᵗ of its bias correction."""

    z: Array
    x: Array
    v: Array
    beta2_power: Array


def _averaged(z: Array, x: Array, step: Array, beta: Real, t: Array | int) -> tuple[Array, Array, Array]:
    """Return the velocity of y, and the new z and x."""
    y = beta * x + (1 - beta) * z
    z = z + step
    x = x + (z - x) / t
    return beta * x + (1 - beta) * z - y, z, x


@optimizer("schedule_free_sgd", lr=1.0)
@dataclass(frozen=True, kw_only=True)
class ScheduleFreeSGD(Optimizer[Sequences]):
    """Schedule-free gradient descent: averaging instead of a decaying lr, without a predetermined number of iterations.

    β = 0 is gradient descent without averaging; as β approaches 1, the gradient is evaluated at the average.
    The iterate is y, where gradients are evaluated. The method returns the average x, which can be worse than y.
    """

    beta: Real = parameter(
        0.9,
        ge=0,
        lt=1,
        aliases=("b1", "beta1", "momentum"),
        constant=FIXED_WEIGHT,
        doc="weight of the average in y",
    )
    weight_decay: Real = weight_decay_parameter()

    constant_lr = AVERAGES
    equation = "z ← z − lr·g(y),  x ← (1 − 1/t) x + z/t,  y = β x + (1 − β) z"
    source = "Defazio et al. (2024), arXiv 2405.15682; agrees with optax.contrib.schedule_free_sgd"

    def init(self, x: Array) -> Sequences:
        return Sequences(np.zeros_like(x), np.zeros_like(x))

    def step(self, state: Sequences, g: Array, here: Here) -> tuple[Array, Sequences]:
        step = decayed(g, here.x, self.weight_decay)
        velocity, z, x = _averaged(state.z, state.x, step, self.beta, here.t)
        return velocity, Sequences(z, x)


@optimizer("schedule_free_adamw", lr=2.5e-3)
@dataclass(frozen=True, kw_only=True)
class ScheduleFreeAdamW(Optimizer[ScaledSequences]):
    """Schedule-free AdamW: averaging replaces Adam's first moment.

    The iterate is y, where gradients are evaluated. The method returns the average x.
    """

    beta1: Real = parameter(0.9, ge=0, lt=1, aliases=("b1",), constant=FIXED_WEIGHT, doc="weight of the average in y")
    beta2: Real = parameter(0.999, ge=0, lt=1, aliases=("b2",), doc="decay of the average of squared gradients")
    eps: Real = parameter(1e-8, gt=0, doc="keeps the division finite; added to the corrected root")
    weight_decay: Real = weight_decay_parameter(doc="decoupled: adds weight_decay · y to the step of z")

    constant_lr = AVERAGES
    equation = (
        "v ← β₂ v + (1 − β₂) g²,  z ← z − lr·(g/(√v̂ + ε) + weight_decay·y),  x ← (1 − 1/t) x + z/t,  "
        "y = β₁ x + (1 − β₁) z"
    )
    source = "Defazio et al. (2024), arXiv 2405.15682; agrees with optax.contrib.schedule_free_adamw"

    def init(self, x: Array) -> ScaledSequences:
        return ScaledSequences(np.zeros_like(x), np.zeros_like(x), np.zeros_like(x), per_lane(1.0, x))

    def step(self, state: ScaledSequences, g: Array, here: Here) -> tuple[Array, ScaledSequences]:
        v = self.beta2 * state.v + (1 - self.beta2) * g * g
        beta2_power = self.beta2 * state.beta2_power
        scaled = g / (np.sqrt(v / (1 - beta2_power)) + self.eps)
        step = decayed(scaled, here.x, self.weight_decay)
        velocity, z, x = _averaged(state.z, state.x, step, self.beta1, here.t)
        return velocity, ScaledSequences(z, x, v, beta2_power)
