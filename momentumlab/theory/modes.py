"""The behaviour of a method along the eigenvectors of the Hessian: rate, regime, period, overshoot and growth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.optimizers import Optimizer
from momentumlab.parameters import Array
from momentumlab.theory.linear_map import Bowl, LinearMap, flattened, linear_map, simulated, state_at_rest

EQUAL = 1e-6
"""Eigenvalues with a smaller relative difference count as equal."""

DOUBLE = 1e-4
"""Eigenvalues this close count as a double root, which rounding of relative size ε splits by about √ε."""

NEUTRAL = 1e-12
"""A rate this close to 1 counts as neutral."""

CROSSING = 1e-9
"""An overshoot below this share of the initial distance is rounding."""

SETTLED = 1e-6
"""A response below this share of the initial distance has settled."""

SIMULATED = 64
"""Iterations of a response that are computed by the method itself; the linear map continues them."""

BLOCK = 256
"""Iterations of a response that are computed by one product of matrices."""

LONGEST_RESPONSE = 20_000
"""Iterations after which a response that has not settled is cut off."""


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
        The eigenvalues of the linear map over one period, largest modulus first.
    rate
        The spectral radius per iteration: the factor by which the error shrinks or grows in the long run.
    period
        Iterations per oscillation; ``None`` unless the dominant eigenvalues are a complex pair.
    overshoot
        The largest distance beyond the minimum, as a share of the initial distance; NaN if it diverges, if the
        response is too slow to be computed, or for a nonlinear method, for which it depends on the start.
    growth
        The largest distance on the way, as a multiple of the initial distance; infinite if it diverges, NaN for a
        nonlinear method.
    exact_after
        The number of iterations after which the error is zero up to rounding; ``None`` if that never happens.
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
    optimizer, lr
        The method and its learning rate.
    curvatures, axes
        The eigenvalue of each eigenvector, and the coordinate along which it points, if any.
    found
        The linear map with one lane per curvature.
    """
    eigenvalues = np.linalg.eigvals(found.matrices).astype(np.complex128)
    # The response until it has settled, stays constant or clearly diverges in every direction.
    blocks, count = [], 0
    for block in responses(optimizer, lr, np.array(curvatures), found):
        blocks.append(block)
        count += len(block)
        sizes = np.abs(block).max(axis=0)
        is_constant = np.ptp(block, axis=0) <= 1e-12 * sizes
        if ((sizes < SETTLED) | ~(sizes < 1 / SETTLED) | is_constant).all() or count >= LONGEST_RESPONSE:
            break
    response = np.concatenate(blocks)
    return [
        _mode(curvature, axis, sorted(map(complex, eigenvalues[i]), key=abs, reverse=True), response[:, i], found)
        for i, (curvature, axis) in enumerate(zip(curvatures, axes, strict=True))
    ]


def mode(optimizer: Optimizer[Any], lr: float, curvature: float) -> Mode:
    """Return the behaviour of a method along an eigenvector with this curvature; errors as in `linear_map`."""
    found = linear_map(optimizer, np.array([lr]), np.array([curvature]))
    return modes_of(optimizer, lr, [curvature], [None], found)[0]


def dominant_eigenvalues(matrices: Array) -> NDArray[np.complex128]:
    """Return the eigenvalue with the largest modulus of each matrix, ``(lanes,)``."""
    eigenvalues = np.linalg.eigvals(matrices).astype(np.complex128)
    dominant: NDArray[np.complex128] = eigenvalues[np.arange(len(eigenvalues)), np.abs(eigenvalues).argmax(axis=1)]
    return dominant


def critical_betas(optimizer: Any, lr: float, curvatures: Array) -> Array:
    """Return the smallest β at which the dominant eigenvalues are complex, for each curvature.

    For heavy ball this is (1 − √(lr·λ))², for Nesterov's method (1 − √(lr·λ)) / (1 + √(lr·λ)).

    Returns
    -------
    Array
        ``(curvatures,)``; NaN for a direction that does not oscillate for any β.
    """
    every, points = np.arange(len(curvatures)), 65
    low, high = np.zeros(len(curvatures)), np.full(len(curvatures), 1 - 1e-9)
    has_crossing = np.ones(len(curvatures), dtype=bool)
    # Five nested grids, each between the last β with real and the first with complex eigenvalues: accurate to 64⁻⁵,
    # about 10⁻⁹.
    for _ in range(5):
        betas = np.linspace(low, high, points)
        lanes = np.full(betas.size, lr), np.tile(curvatures, points)
        dominant = dominant_eigenvalues(linear_map(replace(optimizer, beta=betas.ravel()), *lanes).matrices)
        is_complex = (np.abs(dominant.imag) > 0).reshape(betas.shape)
        first = is_complex.argmax(axis=0)
        has_crossing &= is_complex.any(axis=0)
        low, high = betas[np.maximum(first - 1, 0), every], betas[first, every]
    return np.where(has_crossing, high, np.nan)


def _mode(curvature: float, axis: int | None, values: list[complex], response: Array, found: LinearMap) -> Mode:
    dominant = values[0]
    rate = abs(dominant) ** (1 / found.period)
    is_complex = abs(dominant.imag) > EQUAL * max(abs(dominant), 1e-300) and not _is_double(values)
    period = None
    if is_complex and found.period == 1:
        period = 2 * math.pi / abs(math.atan2(dominant.imag, dominant.real))

    # The response, which starts at 1, shows when it ends, how far it crosses the minimum and how far it grows.
    lasting = np.flatnonzero(np.abs(response) > 1e-14)
    ends = int(lasting[-1]) + 1 if len(lasting) else 0
    is_bounded = found.is_exact and rate < 1 + NEUTRAL
    overshoot = max(0.0, -float(np.nanmin(response)))
    crosses = overshoot > CROSSING
    is_too_slow = period is not None and period > len(response) and abs(response[-1]) > SETTLED
    # A nilpotent map has eigenvalues of zero; rounding makes them about the square root of the machine epsilon.
    is_exact = rate < 1e-3 and ends <= len(values) * found.period + 1

    if rate > 1 + NEUTRAL:
        regime = Regime.DIVERGING
    elif rate >= 1 - NEUTRAL:
        regime = Regime.NEUTRAL
    elif _is_double(values) and dominant.real > 0 and not crosses:
        regime = Regime.CRITICAL
    elif is_complex:
        regime = Regime.OSCILLATING
    elif dominant.real < 0 and found.period == 1:
        regime = Regime.ALTERNATING
    else:
        regime = Regime.OVERSHOOTING if crosses else Regime.MONOTONE

    grown = float(np.nanmax(np.abs(response))) if rate < 1 + NEUTRAL else math.inf
    return Mode(
        curvature=curvature,
        axis=axis,
        eigenvalues=tuple(values),
        regime=regime,
        rate=0.0 if is_exact else rate,
        period=period,
        overshoot=(overshoot if crosses else 0.0) if is_bounded and not is_too_slow else math.nan,
        growth=grown if found.is_exact else math.nan,
        exact_after=max(ends, 1) if is_exact else None,
    )


def _is_double(values: Sequence[complex]) -> bool:
    return len(values) > 1 and abs(values[0] - values[1]) <= DOUBLE * max(abs(values[0]), 1e-300)


def responses(
    optimizer: Optimizer[Any], lr: float, curvatures: Array, found: LinearMap, block: int = BLOCK
) -> Iterator[Array]:
    """Yield the displacement along each eigenvector from a unit start, in blocks of consecutive iterations.

    The first block of a linear method comes from the method itself, so it includes everything special about its first
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
        beginning = period * math.ceil(SIMULATED / period)
        surface = Bowl(curvatures=curvatures[np.newaxis])
        path, state = simulated(optimizer, lr, surface, np.ones((1, lanes)), beginning)
        yield path[:, 0]
        # The map continues from there; it acts on the point and the distance of the state from rest.
        rest = state_at_rest(optimizer, np.full(lanes, lr), surface)
        from_rest = flattened(state, lanes) - flattened(rest, lanes)
        vector[:, :, 0] = np.concatenate([path[-1], from_rest]).T[:, list(found.components)]
    else:
        vector[:, 0] = 1.0
        yield np.ones((1, lanes))
    # The first row of Mʲ gives the point after j iterations, so one product with all of these rows gives a block of
    # iterations; the highest power then advances the vector to the next block.
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
