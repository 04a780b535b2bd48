"""Predictions for a trial near a critical point: stability, rate, best hyperparameters, iterations to the tolerance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Stopping
from momentumlab.plan import Plan
from momentumlab.surfaces import CriticalPoint
from momentumlab.theory.local_model import LocalModel, local_model
from momentumlab.theory.lr_limits import best_setting, lr_limits
from momentumlab.theory.modes import NEUTRAL, Mode, critical_betas, responses

LONGEST_COUNT = 100_000
"""The loss is computed for at most this many iterations; beyond them it is extrapolated with the rate."""

MOST_CRITICAL = 20
"""Critical β are not computed for more directions than this."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory predicts for one trial near one critical point.

    Attributes
    ----------
    point
        The critical point of the surface.
    fixed_point
        The point at which the method comes to rest; weight decay moves it away from the critical point.
    modes
        One per distinct eigenvalue of the Hessian, the slowest first; flat directions of a quadratic come last.
    stable
        Whether every error shrinks, apart from neutral errors along flat directions.
    rate
        The factor by which the distance shrinks per iteration in the long run.
    lr_limit
        The smallest learning rate at which the method diverges, all else being equal; NaN if it is unstable at every
        lr, infinite if it is stable at every lr.
    best
        The learning rate (and β, if the method has one) with the best rate; empty if there is none.
    best_rate
        The best rate; NaN if there is none.
    iterations_to_tolerance
        The number of iterations from the start to the tolerance or target; infinite if the trial never meets it.
        ``None`` without a tolerance or target, if the trial leaves ``holds_within``, or if the method is nonlinear.
    start_rate
        The rate from the start of this trial, which may have no component along the slowest directions; ``None`` if
        the start is farther away than ``holds_within``.
    converges
        Whether this trial converges to the fixed point from its start; ``None`` if theory does not determine it: if
        the start is too far away, if a rate is 1, or if only rounding excites an unstable direction.
    holds_within
        The distance from the fixed point within which the prediction holds; infinite if everywhere.
    is_linear
        Whether the step is linear in the gradients everywhere, not only close to the point.
    rate_is_root_of_beta
        Whether every direction is underdamped with rate √β, so that a smaller β is faster.
    critical_betas
        For each mode the smallest β at which its dominant eigenvalues are complex; ``None`` if there is none.
    """

    point: CriticalPoint
    fixed_point: tuple[float, ...]
    modes: tuple[Mode, ...]
    stable: bool
    rate: float
    lr_limit: float
    best: Mapping[str, float]
    best_rate: float
    iterations_to_tolerance: float | None
    start_rate: float | None
    converges: bool | None
    holds_within: float
    is_linear: bool
    rate_is_root_of_beta: bool
    critical_betas: tuple[float | None, ...] = ()

    @cached_property
    def slowest(self) -> Mode:
        """The mode that determines the rate."""
        return self.modes[0]

    @property
    def shift(self) -> float:
        """The distance between the fixed point and the critical point."""
        return float(np.linalg.norm(np.array(self.fixed_point) - np.array(self.point.point)))


def predict(plan: Plan, number: int, point: CriticalPoint) -> Prediction:
    """Return what theory predicts for one trial near a critical point of its surface.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not apply, with the reason.
    """
    model = local_model(plan, number, point)
    curved = model.curved
    # Not for nonlinear methods, whose map holds only at tiny distances: there the best rate is not the best setting.
    best: Mapping[str, float] = {}
    best_rate = math.nan
    if curved and model.map.is_exact:
        best, best_rate = best_setting(model.optimizer, curved, model.map.period)
    critical: list[float | None] = []
    has_beta = any(parameter.name == "beta" for parameter in type(model.optimizer).parameters())
    if has_beta and model.map.is_exact and model.map.period == 1 and len(model.curvatures) <= MOST_CRITICAL:
        found = critical_betas(model.optimizer, model.lr, np.array(model.curvatures)).tolist()
        critical = [None if math.isnan(beta) else beta for beta in found]

    # Which directions this start excites determines its rate, which may differ from that of the slowest direction.
    start = np.array(plan.trial(number).start)
    excited = model.rates[(model.components(start) > 0) & ~model.is_flat]
    start_rate, converges = None, None
    if np.linalg.norm(start - model.fixed_point) <= model.holds_within:
        start_rate = float(excited.max(initial=0.0))
        if model.is_stable:
            converges = True
        elif start_rate > 1 + NEUTRAL:
            converges = False
    order = sorted(range(len(model.modes)), key=lambda i: (model.is_flat[i], -model.modes[i].rate))
    return Prediction(
        point=point,
        fixed_point=tuple(model.fixed_point.tolist()),
        modes=tuple(model.modes[i] for i in order),
        stable=model.is_stable,
        rate=model.rate if curved else 1.0,
        lr_limit=float(lr_limits(model.optimizer, curved, period=model.map.period)[0]) if curved else math.nan,
        best=best,
        best_rate=best_rate,
        iterations_to_tolerance=_iterations_to_tolerance(plan, number, model),
        start_rate=start_rate,
        converges=converges,
        holds_within=model.holds_within,
        is_linear=model.map.is_exact,
        rate_is_root_of_beta=model.rate_is_root_of_beta,
        critical_betas=tuple(critical[i] for i in order) if critical else (),
    )


def _iterations_to_tolerance(plan: Plan, number: int, model: LocalModel) -> float | None:
    """Return the number of iterations after which the predicted path meets the first stopping test."""
    stopping = plan.stopping
    along = model.coefficients(np.array(plan.trial(number).start))
    distance = float(np.linalg.norm(along))
    if not stopping.can_converge or not model.map.is_exact or distance > model.holds_within:
        return None
    if not model.is_stable and not model.is_quadratic:
        return None  # the path leaves the region where theory holds, and may settle elsewhere
    if not math.isfinite(distance):
        return math.inf
    # Near the fixed point the loss is f̂ + Σ (slope d + ½ λ d²), d the displacement along each eigenvector.
    every = np.array(model.curvatures)[model.groups]
    fixed = model.fixed_point[:, np.newaxis]
    slopes = np.zeros(len(every))
    if not np.array_equal(model.fixed_point, model.point.point):
        slopes = model.vectors.T @ model.surface.gradient(fixed)[:, 0]
    base = float(model.surface.value(fixed)[0])

    previous, count, small_changes = math.nan, 0, 0
    for block in responses(model.optimizer, model.lr, np.array(model.curvatures), model.map):
        met = np.zeros(len(block), dtype=bool)
        with np.errstate(all="ignore"):
            path = block[:, model.groups] * along
            heights = (path * slopes + 0.5 * every * path**2).sum(axis=1)
            if stopping.tolerance is not None:
                # Differences of heights, not of losses: a large loss at the minimum would hide them in rounding.
                is_small = np.abs(np.diff(heights, prepend=previous)) <= stopping.tolerance
                lengths = _run_lengths(is_small, small_changes)
                met |= lengths >= stopping.patience
                small_changes = int(lengths[-1])
            if stopping.gradient_tolerance is not None:
                met |= np.sqrt(((slopes + every * path) ** 2).sum(axis=1)) <= stopping.gradient_tolerance
            if stopping.target_loss is not None:
                met |= base + heights <= stopping.target_loss
        if met.any():
            return float(count + int(met.argmax()))
        previous, count = float(heights[-1]), count + len(block)
        if not np.isfinite(heights[-1]) or count > LONGEST_COUNT:
            break
    return _extrapolated(stopping, model, previous, base, count - 1) if model.is_stable else math.inf


def _run_lengths(is_small: NDArray[np.bool_], before: int) -> NDArray[np.int64]:
    """Return the number of successive true entries up to each one; ``before`` of them precede the first."""
    places = np.arange(1, len(is_small) + 1)
    lengths: NDArray[np.int64] = places - np.maximum.accumulate(np.where(is_small, -before, places))
    return lengths


def _extrapolated(stopping: Stopping, model: LocalModel, height: float, base: float, made: int) -> float:
    """Return the iteration at which the first test is met, if the height above the fixed point shrinks as ρ²ᵏ.

    ``height`` is that after ``made`` iterations.
    """
    rate = model.rate

    def reached(wanted: float) -> float:
        if wanted <= 0 or height <= 0:
            return math.inf
        return made + max(0.0, math.log(wanted / height) / (2 * math.log(rate)))

    tests = []
    if stopping.target_loss is not None:
        tests.append(reached(stopping.target_loss - base))
    if stopping.tolerance is not None:
        # The change in an iteration is (1 − ρ²) times the height before it.
        tests.append(reached(stopping.tolerance / max(1 - rate**2, 1e-300)) + stopping.patience)
    if stopping.gradient_tolerance is not None:
        # In the long run only the slowest direction is left, along which the squared gradient is 2 λ times the height.
        slowest = max(abs(one.curvature) for one in model.modes if one.curvature and one.rate >= 0.999999 * rate)
        tests.append(reached(stopping.gradient_tolerance**2 / (2 * slowest)))
    return min(tests)
