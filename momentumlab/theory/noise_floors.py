"""The loss at which noise in the gradients keeps a method: measured over the later half of its paths, and predicted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import Plan
from momentumlab.plugins import is_foreign
from momentumlab.registry import Array
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint
from momentumlab.theory.linear_map import TheoryDoesNotApplyError, check_constant, check_decoupled, check_steady
from momentumlab.theory.prediction import optimizer_of
from momentumlab.theory.variances import stationary_variances

EMA_DECAY = 0.99
"""Of the running average of iterates."""


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """Where one setting settles.

    Attributes
    ----------
    measured
        The mean loss above the minimum, over the later half of all replicates' paths; ``None`` if no minimum is known
        or a path ended early.
    predicted
        ½ Σ λ · variance over the eigenvalues λ of the Hessian; ``None`` where theory does not apply.
    """

    measured: float | None
    predicted: float | None


def noise_floor(result: Result, numbers: NDArray[np.int64]) -> NoiseFloor:
    """The floor of the trials of one setting, which differ by their replicates alone; the result has its history."""
    surface = result.plan.surface_of(int(numbers[0]))
    middle = np.median(result.final_points[numbers], axis=0)
    minima = surface.minima(result.plan.dimension)
    nearest = min(minima, key=lambda each: math.dist(middle, each.point), default=None)
    if nearest is None:
        return NoiseFloor(measured=None, predicted=None)
    ended = any(result.status_of(int(number)) is not Status.MAX_ITERATIONS for number in numbers)
    losses = result.losses[numbers]
    measured = None if ended else float(losses[:, losses.shape[1] // 2 :].mean()) - nearest.loss
    return NoiseFloor(measured=measured, predicted=predicted_noise_floor(result.plan, int(numbers[0]), nearest))


def predicted_noise_floor(plan: Plan, number: int, minimum: CriticalPoint) -> float | None:
    """½ Σ λ · variance of a trial at a minimum; ``None`` where theory does not apply."""
    surface, noise = plan.surface_of(number), plan.experiment.noise
    if noise is None or noise.variance is None or not math.isfinite(noise.variance):
        return None
    if "hessian" not in surface.offers(plan.dimension):
        return None
    trial = plan.trial(number)
    hyperparameters = dict(trial.hyperparameters)
    try:
        check_constant(plan.group_of(number).schedules)
        lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
        optimizer = optimizer_of(trial.optimizer, hyperparameters)
        hessian = surface.hessian(np.array(minimum.point)[:, np.newaxis])[:, :, 0]
        curvatures: Array = np.linalg.eigvalsh(hessian).astype(np.float64)
        if not check_steady(optimizer, lr, float(curvatures[-1])).is_exact:
            return None
        check_decoupled(optimizer, lr, curvatures.tolist())
        lrs = np.full(len(curvatures), lr)
        variances = stationary_variances(optimizer, lrs, curvatures, math.sqrt(noise.variance))
    except TheoryDoesNotApplyError:
        return None
    except Exception:  # theory tries points and shapes that the run did not
        if is_foreign(type(surface)) or is_foreign(OPTIMIZERS[trial.optimizer]):
            return None
        raise
    loss = float((0.5 * curvatures * variances).sum())
    return loss if math.isfinite(loss) else None


def tail_average(path: Array) -> Array:
    """The mean of the later half of a path, ``(entries, dim) -> (dim,)``.

    B. T. Polyak and A. B. Juditsky, *Acceleration of stochastic approximation by averaging* (1992), with the first half
    left out, in which the start still shows.
    """
    average: Array = path[len(path) // 2 :].mean(axis=0)
    return average


def running_average(path: Array) -> Array:
    """The exponentially weighted mean of a path with decay `EMA_DECAY`, corrected for its start, ``(dim,)``."""
    weights = EMA_DECAY ** np.arange(len(path) - 1, -1, -1)
    average: Array = (weights[:, np.newaxis] * path).sum(axis=0) / weights.sum()
    return average
