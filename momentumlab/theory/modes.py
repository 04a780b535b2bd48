"""What a method does along one eigenvector of the Hessian: how fast, and whether it creeps, swings or flies off."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from momentumlab.optimizers import Optimizer
from momentumlab.registry import Array
from momentumlab.theory.linear_map import linear_map

EQUAL = 1e-6
"""Eigenvalues that differ by less are one."""

NEUTRAL = 1e-12
"""A rate this near to one neither shrinks nor grows."""


class Regime(Enum):
    """How the distance along one eigenvector of the Hessian goes to zero, if it does, in words for people."""

    MONOTONE = "monotone", "creeps towards the minimum without crossing it"
    CRITICAL = "critical", "comes in as fast as it can without oscillating"
    OSCILLATING = "oscillating", "swings to and fro across the minimum"
    ALTERNATING = "alternating", "jumps from one side to the other in every iteration"
    NEUTRAL = "neutral", "neither comes nearer nor flies off"
    DIVERGING = "diverging", "moves ever farther away"

    def __init__(self, label: str, words: str) -> None:
        self.label = label
        self.words = words


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One eigenvector of the Hessian, and what the method does along it.

    Attributes
    ----------
    curvature
        The eigenvalue of the Hessian.
    axis
        The number of the coordinate along which the eigenvector points; ``None`` if it points between them.
    rate
        The spectral radius: by what the error is multiplied per iteration in the long run.
    period
        Iterations per swing, where the dominant eigenvalues are a complex pair.
    overshoot
        How far beyond the minimum the point goes at most, as a share of where it began.
    growth
        The largest distance on the way, as a multiple of that at the start.
    """

    curvature: float
    axis: int | None
    eigenvalues: tuple[complex, ...]
    regime: Regime
    rate: float
    period: float | None
    overshoot: float
    growth: float

    @property
    def iterations_per_digit(self) -> float:
        """In how many iterations the error becomes a tenth; infinite where it does not shrink."""
        return math.log(0.1) / math.log(self.rate) if 0 < self.rate < 1 else 1.0 if self.rate == 0 else math.inf


def mode(optimizer: Optimizer[Any], lr: float, curvature: float, axis: int | None = None) -> Mode:
    """What a method does along an eigenvector with this curvature; errors as those of `linear_map`."""
    (matrix,) = linear_map(optimizer, np.array([lr]), np.array([curvature])).matrices
    eigenvalues = sorted((complex(value) for value in np.linalg.eigvals(matrix)), key=abs, reverse=True)
    dominant = eigenvalues[0]
    rate = abs(dominant)
    is_pair = abs(dominant.imag) > EQUAL * max(rate, 1e-300)
    distances = _distances(matrix)
    return Mode(
        curvature=curvature,
        axis=axis,
        eigenvalues=tuple(eigenvalues),
        regime=_regime(eigenvalues, rate, is_pair=is_pair),
        rate=rate,
        period=2 * math.pi / abs(math.atan2(dominant.imag, dominant.real)) if is_pair else None,
        overshoot=max(0.0, -float(distances.min())),
        growth=float(np.abs(distances).max()),
    )


def _regime(eigenvalues: Sequence[complex], rate: float, *, is_pair: bool) -> Regime:
    if rate > 1 + NEUTRAL:
        return Regime.DIVERGING
    if rate >= 1 - NEUTRAL:
        return Regime.NEUTRAL
    real = eigenvalues[0].real
    is_double = len(eigenvalues) > 1 and abs(eigenvalues[0] - eigenvalues[1]) <= 1e-4 * max(rate, 1e-300)
    if is_double and real > 0:
        return Regime.CRITICAL
    if is_pair:
        return Regime.OSCILLATING
    return Regime.ALTERNATING if real < 0 else Regime.MONOTONE


def _distances(matrix: Array, most: int = 2000) -> Array:
    """The point after k iterations from 1, the state at rest, until all is settled, ``(k + 1,)``."""
    vector = np.zeros(len(matrix))
    vector[0] = 1.0
    distances = [1.0]
    for _ in range(most):
        vector = matrix @ vector
        distances.append(float(vector[0]))
        if not 1e-6 < float(np.abs(vector).max()) < 1e6:
            break
    return np.array(distances)
