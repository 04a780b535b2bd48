"""The measured rate of a path: fits to its distances from the minimum, and to damped oscillations."""

import math

import numpy as np
from numpy.typing import NDArray

from momentumlab.parameters import Array

FEWEST = 8
FEWEST_PEAKS = 3
"""The fewest points, and the fewest peaks, to which a slope is fitted."""

AGREES = 0.05
"""Rates agree if the digits gained per iteration differ by at most this share of the prediction."""

NEGLIGIBLE_GAP = 1e-4
"""Rates whose logarithms differ by less than this agree in any case."""

FIT_ERROR = 1e-3
"""The largest relative residual of a fit of a damped oscillation."""


def agrees(measured: float, predicted: float, share: float = AGREES) -> bool:
    """Return whether the digits gained per iteration differ by at most this share."""
    if min(measured, predicted) <= 0:
        return measured == predicted
    digits, gap = math.log(predicted), math.log(measured) - math.log(predicted)
    return abs(gap) <= max(share * abs(digits), NEGLIGIBLE_GAP)


def measured_rate(distances: Array, iterations: NDArray[np.int64], floor: float = 0.0) -> float | None:
    """Return the factor by which a distance changes per iteration in the second half of a path.

    It is the least-squares slope of the logarithm, fitted to the peaks if the distance oscillates and to every point
    otherwise. In the first half, faster directions still contribute.

    Parameters
    ----------
    distances, iterations
        The distance at each recorded iteration, ``(entries,)``.
    floor
        The distance at which rounding begins; entries after the last larger distance are ignored.

    Returns
    -------
    float or None
        ``None`` if there are too few points.
    """
    usable = usable_entries(distances, floor)
    if len(usable) < FEWEST:
        return None
    # If there is a peak in the second half, fit the peaks there, or the last ones of all if they are too few: between
    # its peaks an oscillating distance may be arbitrarily small.
    later = usable[len(usable) // 2 :]
    peaks = _peaks(distances, usable)
    late_peaks = int((peaks >= later[0]).sum())
    used = peaks[-max(late_peaks, FEWEST_PEAKS) :] if late_peaks else later[distances[later] > 0]
    if len(used) < FEWEST_PEAKS:
        return None
    times = iterations[used] - iterations[used].mean()
    logarithms = np.log(distances[used])
    return math.exp(float((times * (logarithms - logarithms.mean())).sum() / (times * times).sum()))


def usable_entries(distances: Array, floor: float) -> NDArray[np.intp]:
    """Return the entries up to the last one above the floor, where rounding begins, or the first one not finite."""
    distances = distances[: np.argmin(np.append(np.isfinite(distances), False))]
    largest_to_come = np.maximum.accumulate(distances[::-1])[::-1]
    return np.flatnonzero(largest_to_come > floor)


def _peaks(distances: Array, usable: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the entries that are larger than both neighbours."""
    inner = usable[1:-1]
    peaks: NDArray[np.intp] = inner[
        (distances[inner] >= distances[inner - 1]) & (distances[inner] > distances[inner + 1])
    ]
    return peaks


def oscillation_rate(values: Array, stride: int = 1) -> float | None:
    """Return the rate of a damped oscillation from a signed displacement, which need not complete a period.

    A damped oscillation satisfies c(k+1) = p c(k) − q c(k−1) with q = ρ²: p and q are fitted by least squares, each
    equation relative to its size.

    Returns
    -------
    float or None
        ``None`` unless the values are a damped or growing oscillation.
    """
    if len(values) < FEWEST:
        return None
    before, middle, after = values[:-2], values[1:-1], values[2:]
    sizes = np.abs(before) + np.abs(middle) + np.abs(after)
    if not (sizes > 0).all():
        return None
    rows = np.stack([middle / sizes, -before / sizes], axis=1)
    (p, q), *_ = np.linalg.lstsq(rows, after / sizes, rcond=None)
    residual = float(np.abs(rows @ np.array([p, q]) - after / sizes).max())
    if residual > FIT_ERROR or p * p >= 4 * q:  # real roots: a sum of two exponentials
        return None
    return float(math.sqrt(q) ** (1 / stride))


def path_rate(displaced: Array, iterations: NDArray[np.int64], floor: float) -> float | None:
    """Return the rate of a path of displacements, ``(entries, directions)``."""
    distances = np.sqrt((displaced**2).sum(axis=1))
    usable = usable_entries(distances, floor)
    if len(usable) >= FEWEST:
        later = usable[len(usable) // 2 :]
        # Slow oscillations have few peaks: fit the direction that dominates instead.
        if (_peaks(distances, usable) >= later[0]).sum() < FEWEST_PEAKS and len(later) >= FEWEST:
            dominant = displaced[later, np.abs(displaced[later]).max(axis=0).argmax()]
            stride = int(iterations[later[1]] - iterations[later[0]])
            is_even = (np.diff(iterations[later]) == stride).all()
            if is_even and (rate := oscillation_rate(dominant, stride)) is not None:
                return rate
    return measured_rate(distances, iterations, floor)
