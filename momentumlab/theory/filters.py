"""A method as a linear filter from gradients to velocities.

With z = e^{iω}, a filter s′ = A s + b g, v = c s + d g has the transfer function H(z) = c (z − A)⁻¹ b + d: a gradient
of frequency ω is multiplied by |H| and delayed by the angle of H. Momentum is a low-pass filter: its gain is
1 / (1 − β) for constant gradients, and 1 / (1 + β) for gradients that change sign in every iteration.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.optimizers import Optimizer
from momentumlab.parameters import Array
from momentumlab.theory.linear_map import TheoryDoesNotApplyError, check_steady, full_map

FREQUENCIES = 1201
LOWEST_FREQUENCY = 1e-4
"""In cycles per iteration."""

SMALL_ANGLE = 1e-7
"""An angle per iteration so small that the phase is proportional to it; the factor is the delay."""


@dataclass(frozen=True, kw_only=True)
class FilterResponse:
    """The velocity of a method as a linear filter of the gradients.

    Attributes
    ----------
    impulse
        The velocity after a gradient of 1 in the first iteration and 0 from then on, ``(iterations,)``.
    step
        The velocity if all gradients are 1, ``(iterations,)``.
    frequencies
        Cycles per iteration, from nearly 0 to ½, ``(frequencies,)``.
    gain
        The factor by which a gradient of each frequency is multiplied, ``(frequencies,)``.
    phase
        The angle by which it is delayed, in radians; negative if advanced, ``(frequencies,)``.
    gain_at_rest
        The gain for constant gradients: the ratio of the effective learning rate to lr.
    gain_alternating
        The gain for gradients that change sign in every iteration.
    delay
        The delay of slow changes in iterations, which is the mean age of the gradients in the velocity.
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
        """The lowest frequency at which the power falls below half, in cycles per iteration; infinite if none."""
        weak = np.flatnonzero(self.gain < self.gain_at_rest / math.sqrt(2))
        return float(self.frequencies[weak[0]]) if len(weak) else math.inf


def filter_response(optimizer: Optimizer[Any], lr: float, *, iterations: int = 60) -> FilterResponse:
    """Return the response of a method as a linear filter.

    Parameters
    ----------
    optimizer
        The method; its hyperparameters are plain numbers.
    lr
        The learning rate; the velocities of most methods do not depend on it.
    iterations
        The length of the impulse and the step response.

    Raises
    ------
    TheoryDoesNotApplyError
        If the velocity is not a fixed linear filter of the gradients.
    """
    if check_steady(optimizer, lr, 1.0).period > 1:
        raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it is not a fixed filter")
    flat, curved = (full_map(optimizer, np.array([lr]), np.array([curvature])) for curvature in (0.0, 1.0))
    if not (flat.is_exact and curved.is_exact):
        raise TheoryDoesNotApplyError(f"the velocity of {optimizer.name} is not linear in the gradients")
    # On a flat surface the point must have no effect, and an error of the gradient the same effect as on a curved one:
    # otherwise the method evaluates gradients elsewhere, or decays weights.
    matrix, inputs = flat.steps[0, 0], flat.inputs[0, 0]
    by_point = np.abs(matrix[:, 0] - np.eye(len(matrix))[:, 0]).max()
    if max(by_point, np.abs(curved.inputs[0, 0] - inputs).max()) > 1e-12:
        raise TheoryDoesNotApplyError(f"the velocity of {optimizer.name} depends on the surface, not only on gradients")
    # The filter s′ = a s + b g, v = c s + d g. The first component of the map is the point, x − lr v.
    a, b = matrix[1:, 1:], inputs[1:]
    c, d = -matrix[0, 1:] / lr, -inputs[0] / lr
    frequencies = np.geomspace(LOWEST_FREQUENCY, 0.5, FREQUENCIES)
    transfer = np.array([_transfer(a, b, c, d, 2 * math.pi * frequency) for frequency in frequencies])
    # A gradient of 1 in the first iteration gives the velocities d, c b, c a b, c a² b, …
    impulse = np.zeros(iterations)
    impulse[0], state = d, b
    for k in range(1, iterations):
        impulse[k] = float(c @ state)
        state = a @ state
    return FilterResponse(
        impulse=impulse,
        step=np.cumsum(impulse),
        frequencies=frequencies,
        gain=np.abs(transfer),
        phase=-np.unwrap(np.angle(transfer)),
        gain_at_rest=abs(_transfer(a, b, c, d, 0.0)),
        gain_alternating=abs(_transfer(a, b, c, d, math.pi)),
        delay=abs(float(np.angle(_transfer(a, b, c, d, SMALL_ANGLE)))) / SMALL_ANGLE,
    )


def _transfer(a: Array, b: Array, c: Array, d: float, angle: float) -> complex:
    """Return the transfer function H at z = e^{i angle}, infinite at a pole."""
    z = complex(math.cos(angle), math.sin(angle))
    try:
        return complex(c @ np.linalg.solve(z * np.eye(len(a)) - a, b) + d)
    except np.linalg.LinAlgError:  # a pole on the unit circle
        return complex(math.inf)
