"""A method as a filter: what its velocity makes of a stream of gradients.

With z = e^{iω}, a filter s′ = A s + b g, v = c s + d g has the transfer function H(z) = c (z − A)⁻¹ b + d: a gradient
that repeats with frequency ω comes out multiplied by |H| and delayed by the angle of H. Momentum is a low-pass filter:
its gain is 1 / (1 − β) for gradients that persist, and 1 / (1 + β) for those that change sign in every iteration.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.optimizers import Optimizer
from momentumlab.registry import Array
from momentumlab.theory.linear_map import TheoryDoesNotApplyError, check_steady, full_map

FREQUENCIES = 1201
SLOWEST = 1e-4
"""The lowest frequency that is looked at, in cycles per iteration."""

SLOW = 1e-7
"""An angle per iteration at which the phase is proportional to the delay."""


@dataclass(frozen=True, kw_only=True)
class FilterResponse:
    """The velocity of a method as a filter of the gradients.

    Attributes
    ----------
    impulse
        The velocity after a gradient of 1 in the first iteration and 0 from then on, ``(iterations,)``.
    step
        The velocity while all gradients are 1, ``(iterations,)``.
    frequencies
        Cycles per iteration, from nearly 0 to ½, ``(frequencies,)``.
    gain
        By what a gradient of each frequency is multiplied, ``(frequencies,)``.
    phase
        By which angle it is delayed or (below 0) advanced, in radians, ``(frequencies,)``.
    gain_at_rest
        The gain of gradients that persist: how much larger than lr the effective learning rate is.
    gain_alternating
        The gain of gradients that change sign in every iteration.
    delay
        By how many iterations slow changes come late: the mean age of a gradient in the velocity.
    """

    impulse: Array
    step: Array
    frequencies: Array
    gain: Array
    phase: Array
    gain_at_rest: float
    gain_alternating: float
    delay: float

    @property
    def cutoff(self) -> float:
        """The lowest frequency of which less than half the power passes, in cycles per iteration; infinite if none."""
        weak = np.flatnonzero(self.gain < self.gain_at_rest / math.sqrt(2))
        return float(self.frequencies[weak[0]]) if len(weak) else math.inf


def filter_response(optimizer: Optimizer[Any], lr: float, *, iterations: int = 60) -> FilterResponse:
    """A method's response.

    Parameters
    ----------
    optimizer
        With plain numbers for hyperparameters.
    lr
        Most methods' velocities do not depend on it.
    iterations
        The length of the impulse and the step response.

    Raises
    ------
    TheoryDoesNotApplyError
        If its velocity is no fixed linear filter of the gradients.
    """
    check_steady(optimizer, lr, 1.0)
    flat, curved = (full_map(optimizer, np.array([lr]), np.array([curvature])) for curvature in (0.0, 1.0))
    if not (flat.is_exact and curved.is_exact):
        raise TheoryDoesNotApplyError(f"the velocity of {optimizer.name} is not linear in the gradients")
    matrix, inputs = flat.matrices[0], flat.inputs[0]
    of_point = np.abs(matrix[:, 0] - np.eye(len(matrix))[:, 0]).max(), np.abs(curved.inputs[0] - inputs).max()
    if max(of_point) > 1e-12:
        raise TheoryDoesNotApplyError(
            f"the velocity of {optimizer.name} depends on the surface, not on gradients alone"
        )
    # The first component is the point, from which lr times the velocity is taken.
    a, b = matrix[1:, 1:], inputs[1:]
    c, d = -matrix[0, 1:] / lr, -inputs[0] / lr
    frequencies = np.geomspace(SLOWEST, 0.5, FREQUENCIES)
    transfer = np.array([_transfer(a, b, c, d, 2 * math.pi * frequency) for frequency in frequencies])
    impulse = np.zeros(iterations)
    state = b
    for k in range(iterations):
        impulse[k] = d if k == 0 else float(c @ state)
        state = state if k == 0 else a @ state
    return FilterResponse(
        impulse=impulse,
        step=np.cumsum(impulse),
        frequencies=frequencies,
        gain=np.abs(transfer),
        phase=-np.unwrap(np.angle(transfer)),
        gain_at_rest=abs(_transfer(a, b, c, d, 0.0)),
        gain_alternating=abs(_transfer(a, b, c, d, math.pi)),
        delay=abs(float(np.angle(_transfer(a, b, c, d, SLOW)))) / SLOW,
    )


def _transfer(a: Array, b: Array, c: Array, d: float, angle: float) -> complex:
    """H at z = e^{i angle}."""
    z = complex(math.cos(angle), math.sin(angle))
    try:
        return complex(c @ np.linalg.solve(z * np.eye(len(a)) - a, b) + d)
    except np.linalg.LinAlgError:  # a pole on the unit circle
        return complex(math.inf)
