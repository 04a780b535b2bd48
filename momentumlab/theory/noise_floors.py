"""The noise floor of the loss: predicted by theory, and measured over the second half of the paths."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Array
from momentumlab.plan import Plan
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint
from momentumlab.theory.linear_map import TheoryDoesNotApplyError, plugins_may_fail, simulated
from momentumlab.theory.local_model import LocalModel, local_model
from momentumlab.theory.variances import variances_of

EMA_DECAY = 0.99
"""The decay of the running average of iterates."""

FALLING = 1.25
"""If the mean loss of the third quarter is a larger multiple of that of the fourth, the loss may still be falling."""

NEGLIGIBLE = 0.1
"""The transient is over once it contributes less than this share of the predicted floor."""

SPREADS = 3.0
"""The theory must hold within this many standard deviations of the fixed point."""


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """The noise floor of one setting.

    Attributes
    ----------
    measured
        The mean loss above the minimum over the second half of all paths; ``None`` if no minimum is known, a path
        ended early, or the transient is not over.
    predicted
        The loss at the fixed point above the minimum plus ½ Σ λ · variance over the eigenvalues λ of the Hessian;
        ``None`` if the theory does not apply, or is not valid at the distance to which the noise drives the iterates.
    is_transient
        Whether the transient still dominates the second half of the paths.
    """

    measured: float | None
    predicted: float | None
    is_transient: bool = False


@dataclass(frozen=True, kw_only=True)
class _Stationary:
    """The predicted stationary distribution of a trial around its fixed point."""

    model: LocalModel
    offset: float
    """The loss at the fixed point above the minimum."""
    losses: Array
    """The expected loss from the noise along each distinct curvature, ``(curvatures,)``."""

    @property
    def loss(self) -> float:
        """The expected loss above the minimum."""
        return self.offset + float(self.losses.sum())


def noise_floor(result: Result, numbers: NDArray[np.int64]) -> NoiseFloor:
    """Return the noise floor of the replicates of one setting from a result with a history."""
    plan, first = result.plan, int(numbers[0])
    # The minimum around which the iterates fluctuate. The median tolerates a few replicates that left it.
    middle = np.median(result.final_points[numbers], axis=0)
    minima = plan.surface_of(first).minima(plan.dimension)
    nearest = min(minima, key=lambda each: math.dist(middle, each.point), default=None)
    if nearest is None:
        return NoiseFloor(measured=None, predicted=None)
    stationary = _stationary(plan, first, nearest)
    predicted = None if stationary is None else stationary.loss
    if any(result.status_of(int(number)) is not Status.MAX_ITERATIONS for number in numbers):
        return NoiseFloor(measured=None, predicted=predicted)
    heights: Array = result.losses[numbers] - nearest.loss
    if _is_falling(heights) or (stationary is not None and _is_transient(plan, first, nearest, stationary)):
        return NoiseFloor(measured=None, predicted=predicted, is_transient=True)
    return NoiseFloor(measured=float(heights[:, heights.shape[1] // 2 :].mean()), predicted=predicted)


def predicted_noise_floor(plan: Plan, number: int, minimum: CriticalPoint) -> float | None:
    """Return the predicted noise floor of a trial at a minimum; ``None`` if the theory does not apply."""
    stationary = _stationary(plan, number, minimum)
    return None if stationary is None else stationary.loss


def _is_falling(heights: Array) -> bool:
    """Return whether the loss falls from the third quarter to the fourth by more than the noise explains."""
    length = heights.shape[1]
    third = heights[:, length // 2 : 3 * length // 4].mean(axis=1)
    fourth = heights[:, 3 * length // 4 :].mean(axis=1)
    if not third.mean() > FALLING * fourth.mean():
        return False
    # Noise may explain the difference: it must exceed three standard errors over the replicates. A single path has no
    # standard error, so there the loss must fall to half.
    if len(heights) == 1:
        return bool(third[0] > 2 * fourth[0])
    differences = third - fourth
    return bool(differences.mean() > 3 * differences.std(ddof=1) / math.sqrt(len(differences)))


def _is_transient(plan: Plan, number: int, minimum: CriticalPoint, stationary: _Stationary) -> bool:
    """Return whether the second half of the paths still depends on the start."""
    model, iterations = stationary.model, plan.stopping.iterations
    # The variance builds up as 1 − ρ²ᵏ: half-way through the run, it must be nearly stationary.
    missing = float((stationary.losses * model.rates**iterations).sum())
    if missing > NEGLIGIBLE * stationary.loss:
        return True
    # The loss without noise must have fallen below the floor. It is predicted if possible, else simulated, unless the
    # surface is a sum over data, where a simulation may take as long as the run.
    start = np.array(plan.trial(number).start)
    if model.is_exact:
        path = model.linear_path(start, iterations)[iterations // 2 :]
        heights = (0.5 * np.array(model.curvatures)[model.groups] * path**2).sum(axis=1)
    elif not model.surface.work:
        path, _ = simulated(model.optimizer, model.lr, model.surface, start[:, np.newaxis], iterations)
        heights = model.surface.value(path[iterations // 2 :, :, 0].T) - minimum.loss - stationary.offset
    else:
        return False
    return bool(heights.mean() > NEGLIGIBLE * stationary.loss)


def _stationary(plan: Plan, number: int, minimum: CriticalPoint) -> _Stationary | None:
    surface, noise = plan.surface_of(number), plan.experiment.noise
    if noise is None or noise.variance is None or not math.isfinite(noise.variance):
        return None
    try:
        with plugins_may_fail(type(surface), OPTIMIZERS[plan.trial(number).optimizer]):
            model = local_model(plan, number, minimum)
            if not model.map.is_exact:
                return None
            curvatures, flat = np.array(model.curvatures), model.is_flat
            variances = np.zeros(len(curvatures))
            # Noise moves the point along flat directions, too, but the loss does not change there.
            variances[~flat] = variances_of(model.map, math.sqrt(noise.variance))[~flat]
            variances *= np.bincount(model.groups, minlength=len(curvatures))
            # The iterates must stay where the surface is nearly quadratic.
            spread = math.sqrt(float(variances.sum()))
            if not (math.isfinite(spread) and SPREADS * spread <= model.holds_within):
                return None
            base = float(surface.value(model.fixed_point[:, np.newaxis])[0])
    except TheoryDoesNotApplyError:
        return None
    return _Stationary(model=model, offset=base - minimum.loss, losses=0.5 * curvatures * variances)


def tail_average(path: Array) -> Array:
    """Return the mean of the second half of a path, ``(entries, dim) -> (dim,)``.

    This is the average of B. T. Polyak and A. B. Juditsky, *Acceleration of stochastic approximation by averaging*
    (1992), without the first half, which depends on the start.
    """
    average: Array = path[len(path) // 2 :].mean(axis=0)
    return average


def running_average(path: Array) -> Array:
    """Return the bias-corrected exponential moving average of a path with decay `EMA_DECAY`, ``(dim,)``."""
    weights = EMA_DECAY ** np.arange(len(path) - 1, -1, -1)
    average: Array = (weights[:, np.newaxis] * path).sum(axis=0) / weights.sum()
    return average
