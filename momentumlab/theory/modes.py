"""The behaviour of a method along the eigenvectors of the Hessian: rate, regime, period, overshoot and growth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from momentumlab.optimizers import Optimizer
from momentumlab.registry import Array
from momentumlab.surfaces.quadratics import Parabola
from momentumlab.theory.linear_map import LinearMap, difference, linear_map, simulated, state_at_rest

EQUAL = 1e-6
"""Eigenvalues with a smaller relative difference count as equal."""

DOUBLE = 1e-4
"""Rounding splits a double root by the square root of its own size, so this much is allowed."""

NEUTRAL = 1e-12
"""Rates this close to one neither shrink nor grow."""

CROSSING = 1e-9
"""An overshoot below this share of the initial distance is rounding."""

SETTLED = 1e-6
"""A response below this share of the initial distance has settled."""

BEGINNING = 64
"""Iterations of the method itself before its linear map takes over."""

BLOCK = 256
LONGEST_RESPONSE = 20_000


class Regime(Enum):
    """How the distance along one eigenvector of the Hessian approaches zero, if it does."""

    MONOTONE = "monotone", "approaches the minimum from one side"
    OVERSHOOTING = "overshooting", "crosses the minimum, then approaches it from one side"
    CRITICAL = "critical", "is critically damped: the fastest approach without oscillation"
    OSCILLATING = "oscillating", "oscillates around the minimum"
    ALTERNATING = "alternating", "changes sides in every iteration"
    NEUTRAL = "neutral", "neither approaches the minimum nor moves away"
    DIVERGING = "diverging", "moves away exponentially"

    def __init__(self, label: str, words: str) -> None:
        self.label = label
        self.words = words


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One eigenvector of the Hessian and the behaviour of the method along it.

    Overshoot, growth and regime come from the same response, which begins where a run begins.

    Attributes
    ----------
    curvature
        The eigenvalue of the Hessian; exactly 0 along a flat direction.
    axis
        The index of the coordinate along which the eigenvector points; ``None`` if it points between coordinates.
    eigenvalues
        Those of the linear map over one period, largest modulus first.
    rate
        The spectral radius per iteration: the factor by which the error shrinks or grows in the long run.
    period
        Iterations per oscillation; ``None`` unless the dominant eigenvalues are a complex pair.
    overshoot
        The largest distance beyond the minimum, as a share of the initial distance; NaN for a nonlinear method, for
        which it depends on the start.
    growth
        The largest distance on the way, as a multiple of the initial distance; infinite if it diverges, NaN for a
        nonlinear method.
    exact_after
        The iterations after which the error is zero but for rounding; ``None`` unless the method terminates so.
    """

    curvature: float
    axis: int | None
    eigenvalues: tuple[complex, ...]
    regime: Regime
    rate: float
    period: float | None
    overshoot: float
    growth: float
    exact_after: int | None = None

    @property
    def iterations_per_digit(self) -> float:
        """The iterations in which the error shrinks to a tenth; infinite if it does not shrink."""
        if self.exact_after is not None:
            return float(self.exact_after)
        return math.log(0.1) / math.log(self.rate) if 0 < self.rate < 1 else math.inf

    @property
    def has_double_root(self) -> bool:
        """Whether the dominant eigenvalue is a double root, so that the error behaves as t·ρᵗ."""
        return len(self.eigenvalues) > 1 and _is_double(self.eigenvalues)


def modes_of(
    optimizer: Optimizer[Any], lr: float, curvatures: Sequence[float], axes: Sequence[int | None], found: LinearMap
) -> list[Mode]:
    """Return the behaviour of a method along each eigenvector.

    Parameters
    ----------
    found
        The linear map with one lane per curvature.
    """
    eigenvalues = np.linalg.eigvals(found.matrices).astype(np.complex128)
    response = _whole_response(optimizer, lr, np.array(curvatures), found)
    modes = []
    for i, (curvature, axis) in enumerate(zip(curvatures, axes, strict=True)):
        values = sorted(map(complex, eigenvalues[i]), key=abs, reverse=True)
        modes.append(_mode(curvature, axis, values, response[:, i], found))
    return modes


def mode(optimizer: Optimizer[Any], lr: float, curvature: float) -> Mode:
    """Return the behaviour of a method along an eigenvector with this curvature; errors as in `linear_map`."""
    found = linear_map(optimizer, np.array([lr]), np.array([curvature]))
    return modes_of(optimizer, lr, [curvature], [None], found)[0]


def _mode(curvature: float, axis: int | None, values: list[complex], response: Array, found: LinearMap) -> Mode:
    dominant, period = values[0], found.period
    rate = abs(dominant) ** (1 / period)
    is_complex = abs(dominant.imag) > EQUAL * max(abs(dominant), 1e-300) and not _is_double(values)
    lasting = np.flatnonzero(np.abs(response) > 1e-14)
    ends = int(lasting[-1]) + 1 if len(lasting) else 0
    overshoot = max(0.0, -float(np.nanmin(response)))
    # A nilpotent map has eigenvalues of zero; rounding makes them about the square root of the machine epsilon.
    is_exact = rate < 1e-3 and ends <= len(values) * period + 1
    return Mode(
        curvature=curvature,
        axis=axis,
        eigenvalues=tuple(values),
        regime=_regime(values, rate, is_complex=is_complex, crosses=overshoot > CROSSING, period=period),
        rate=0.0 if is_exact else rate,
        period=2 * math.pi / abs(math.atan2(dominant.imag, dominant.real)) if is_complex and period == 1 else None,
        overshoot=(overshoot if overshoot > CROSSING and rate < 1 + NEUTRAL else 0.0) if found.is_exact else math.nan,
        growth=_growth(response, rate) if found.is_exact else math.nan,
        exact_after=max(ends, 1) if is_exact else None,
    )


def _growth(response: Array, rate: float) -> float:
    return float(np.nanmax(np.abs(response))) if rate < 1 + NEUTRAL else math.inf


def _is_double(values: Sequence[complex]) -> bool:
    return len(values) > 1 and abs(values[0] - values[1]) <= DOUBLE * max(abs(values[0]), 1e-300)


def _regime(values: Sequence[complex], rate: float, *, is_complex: bool, crosses: bool, period: int) -> Regime:
    if rate > 1 + NEUTRAL:
        return Regime.DIVERGING
    if rate >= 1 - NEUTRAL:
        return Regime.NEUTRAL
    real = values[0].real
    if _is_double(values) and real > 0 and not crosses:
        return Regime.CRITICAL
    if is_complex:
        return Regime.OSCILLATING
    if real < 0 and period == 1:
        return Regime.ALTERNATING
    return Regime.OVERSHOOTING if crosses else Regime.MONOTONE


def responses(
    optimizer: Optimizer[Any], lr: float, curvatures: Array, found: LinearMap, block: int = BLOCK
) -> Iterator[Array]:
    """Yield the displacement along each eigenvector from a unit start, in blocks of consecutive iterations.

    The first block of a linear method comes from the method itself, so it includes whatever is special about its first
    iterations; the other blocks come from powers of the linear map. A nonlinear method starts at rest instead: while
    its bias corrections are large, its step is not linear even for tiny gradients.

    Yields
    ------
    Array
        ``(iterations, lanes)``; the first block begins with the start.
    """
    period, size, lanes = found.period, found.steps.shape[-1], len(curvatures)
    vector = np.zeros((lanes, size, 1))
    if found.is_exact:
        # A whole number of periods, so that the phases of map and method agree.
        beginning = period * -(-BEGINNING // period)
        surface = Parabola(a=curvatures / 2)
        path, state = simulated(optimizer, lr, surface, np.ones((1, lanes)), beginning)
        yield path[:, 0]
        settled = difference(state, state_at_rest(optimizer, np.full(lanes, lr), surface), lanes)
        vector[:, :, 0] = np.concatenate([path[-1], settled]).T[:, list(found.components)]
    else:
        vector[:, 0] = 1.0
        yield np.ones((1, lanes))
    # The first rows of all powers up to one block, then the power that advances by a whole block.
    length = period * max(1, block // period)
    power = np.broadcast_to(np.eye(size), (lanes, size, size))
    rows = np.empty((length, lanes, size))
    with np.errstate(all="ignore"):
        for j in range(length):
            power = found.steps[j % period] @ power
            rows[j] = power[:, 0]
    while True:
        with np.errstate(all="ignore"):
            displacements: Array = np.einsum("jls,lst->jl", rows, vector)
            vector = power @ vector
        yield displacements


def _whole_response(optimizer: Optimizer[Any], lr: float, curvatures: Array, found: LinearMap) -> Array:
    """Return the response until it has settled or grown beyond doubt, ``(iterations, lanes)``."""
    blocks, count = [], 0
    for block in responses(optimizer, lr, curvatures, found):
        blocks.append(block)
        count += len(block)
        sizes = np.abs(block).max(axis=0)
        is_decided = (sizes < SETTLED) | ~(sizes < 1 / SETTLED) | _is_constant(block)
        if is_decided.all() or count >= LONGEST_RESPONSE:
            break
    whole: Array = np.concatenate(blocks)
    return whole


def _is_constant(block: Array) -> Array:
    constant: Array = np.ptp(block, axis=0) <= 1e-12 * np.abs(block).max(axis=0)
    return constant
