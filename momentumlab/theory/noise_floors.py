"""The noise floor of the loss: measured over the later half of the paths, and predicted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import Plan
from momentumlab.registry import Array
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint
from momentumlab.theory.linear_map import TheoryDoesNotApplyError, plugins_may_fail
from momentumlab.theory.local_model import LocalModel, local_model
from momentumlab.theory.variances import variances_of

EMA_DECAY = 0.99
"""The decay of the running average of iterates."""

FALLING = 1.25
"""The mean loss of the third quarter is at most this multiple of that of the fourth, once the transient is over."""

NEGLIGIBLE = 0.1
"""The transient is over where the loss without noise is below this share of the predicted floor."""


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """The noise floor of one setting.

    Attributes
    ----------
    measured
        The mean loss above the minimum over the later half of all paths; ``None`` if no minimum is known, a path
        ended early, or the transient is not over.
    predicted
        The loss at the fixed point above the minimum plus ½ Σ λ · variance over the eigenvalues λ of the Hessian;
        ``None`` if the theory does not apply.
    is_transient
        Whether the transient still dominates the later half of the paths.
    """

    measured: float | None
    predicted: float | None
    is_transient: bool = False


def noise_floor(result: Result, numbers: NDArray[np.int64]) -> NoiseFloor:
    """Return the noise floor of the trials of one setting, its replicates; the result has its history."""
    plan, first = result.plan, int(numbers[0])
    surface = plan.surface_of(first)
    middle = np.median(result.final_points[numbers], axis=0)
    minima = surface.minima(plan.dimension)
    nearest = min(minima, key=lambda each: math.dist(middle, each.point), default=None)
    if nearest is None:
        return NoiseFloor(measured=None, predicted=None)
    predicted = predicted_noise_floor(plan, first, nearest)
    if any(result.status_of(int(number)) is not Status.MAX_ITERATIONS for number in numbers):
        return NoiseFloor(measured=None, predicted=predicted)
    heights: Array = result.losses[numbers] - nearest.loss
    if _is_falling(heights) or _is_transient(plan, first, nearest, predicted):
        return NoiseFloor(measured=None, predicted=predicted, is_transient=True)
    return NoiseFloor(measured=float(heights[:, heights.shape[1] // 2 :].mean()), predicted=predicted)


def _is_falling(heights: Array) -> bool:
    """Return whether the loss falls from the third quarter to the fourth by more than the noise explains."""
    length = heights.shape[1]
    third = heights[:, length // 2 : 3 * length // 4].mean(axis=1)
    fourth = heights[:, 3 * length // 4 :].mean(axis=1)
    if not third.mean() > FALLING * fourth.mean():
        return False
    # The standard error of the difference over the replicates; a single path must fall to half.
    if len(heights) == 1:
        return bool(third[0] > 2 * fourth[0])
    differences = third - fourth
    return bool(differences.mean() > 3 * differences.std(ddof=1) / math.sqrt(len(differences)))


def _is_transient(plan: Plan, number: int, minimum: CriticalPoint, predicted: float | None) -> bool:
    """Return whether the run without noise is still above the predicted floor in the later half."""
    if predicted is None or not math.isfinite(predicted):
        return False
    model = local_model(plan, number, minimum)
    if not model.is_exact:
        return False
    iterations = plan.stopping.iterations
    path = model.linear_path(np.array(plan.trial(number).start), iterations)[iterations // 2 :]
    heights = (0.5 * np.array(model.curvatures)[model.groups] * path**2).sum(axis=1)
    return bool(heights.mean() > NEGLIGIBLE * predicted)


def predicted_noise_floor(plan: Plan, number: int, minimum: CriticalPoint) -> float | None:
    """Return the predicted noise floor of a trial at a minimum; ``None`` if the theory does not apply."""
    surface, noise = plan.surface_of(number), plan.experiment.noise
    if noise is None or noise.variance is None or not math.isfinite(noise.variance):
        return None
    try:
        with plugins_may_fail(type(surface), OPTIMIZERS[plan.trial(number).optimizer]):
            model = local_model(plan, number, minimum)
            if not model.map.is_exact:
                return None
            loss = _stationary_loss(model, noise.variance) - minimum.loss
    except TheoryDoesNotApplyError:
        return None
    return loss if math.isfinite(loss) else None


def _stationary_loss(model: LocalModel, variance: float) -> float:
    """Return the expected loss under noise of this variance in each coordinate of the gradient."""
    curvatures = np.array(model.curvatures)
    # Noise moves the point along flat directions, too, but the loss does not change there.
    flat = model.is_flat
    variances = np.zeros(len(curvatures))
    variances[~flat] = variances_of(model.map, math.sqrt(variance))[~flat]
    base = float(model.surface.value(model.fixed_point[:, np.newaxis])[0])
    multiplicity = np.bincount(model.groups, minlength=len(curvatures))
    return base + float((0.5 * curvatures * variances * multiplicity)[~flat].sum())


def tail_average(path: Array) -> Array:
    """Return the mean of the later half of a path, ``(entries, dim) -> (dim,)``.

    B. T. Polyak and A. B. Juditsky, *Acceleration of stochastic approximation by averaging* (1992), without the first
    half, which depends on the start.
    """
    average: Array = path[len(path) // 2 :].mean(axis=0)
    return average


def running_average(path: Array) -> Array:
    """Return the exponentially weighted mean of a path with decay `EMA_DECAY`, corrected for its start, ``(dim,)``."""
    weights = EMA_DECAY ** np.arange(len(path) - 1, -1, -1)
    average: Array = (weights[:, np.newaxis] * path).sum(axis=0) / weights.sum()
    return average
