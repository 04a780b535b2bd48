"""The measured rate of each trial beside the predicted one, and the reason where they differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.plan import Group
from momentumlab.registry import Array
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.theory.linear_map import (
    LinearMap,
    TheoryDoesNotApplyError,
    check_constant,
    check_decoupled,
    check_steady,
    plugins_may_fail,
    simulated,
    spectral_radii,
)
from momentumlab.theory.local_model import FLAT, LocalModel, local_model, optimizer_of
from momentumlab.theory.rate_fits import FEWEST, agrees, path_rate, usable_entries

ROUNDING = 1e-12
"""A distance below this share of the coordinates is rounding."""

UNDERFLOW = 1e-150
"""The squares of smaller distances lose digits."""

MOST_COORDINATES = 200
"""Above this dimension, the eigenvalues of the Hessian are not computed for a table."""

LONGEST_TRANSIENT = 64
"""The length of a transient is searched up to this multiple of the run."""

MOST_EXTRA_ITERATIONS = 4000
"""A run that theory cannot continue is continued for at most so many iterations to see whether it was too short."""

CYCLE = 1e-6
"""Iterates that repeat to this share of their distance from the minimum form a limit cycle."""

LONGEST_CYCLE = 64


@dataclass(frozen=True, kw_only=True)
class TrialRate:
    """The rates of one trial.

    Attributes
    ----------
    minimum
        The known minimum nearest to the final point, or to the start if the trial diverged; ``None`` if none is known.
    measured
        The rate of the path; ``None`` if it has none.
    predicted
        The spectral radius at that minimum; ``None`` if the theory does not apply.
    """

    minimum: CriticalPoint | None = None
    measured: float | None = None
    predicted: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """What theory expects of one trial: the rate, the point to which it belongs, and the directions that count."""

    rate: float
    fixed_point: Array
    curved: Array
    """An orthonormal basis of the directions that are not flat, ``(dim, directions)``."""


def trial_rates(result: Result, numbers: Sequence[int] | None = None) -> list[TrialRate]:
    """Return the rates of some trials of a result with history, or of all."""
    numbers = range(result.trials) if numbers is None else numbers
    if result.experiment.noise is not None or result.experiment.is_random:  # then there is a floor, not a rate
        return [TrialRate() for _ in numbers]
    with np.errstate(all="ignore"):  # diverging trials may overflow here, too
        minima = {number: minimum for number in numbers if (minimum := _approached(result, number)) is not None}
        expected = _expectations(result, minima)
        found = []
        for number in numbers:
            if number not in minima:
                found.append(TrialRate())
                continue
            displaced, floor = _displaced(result, number, minima[number], expected.get(number))
            measured = path_rate(displaced, result.recorded(number), floor)
            predicted = expected[number].rate if number in expected else None
            found.append(TrialRate(minimum=minima[number], measured=measured, predicted=predicted))
    return found


def rate_reason(result: Result, number: int, rate: TrialRate) -> str | None:
    """Return why the measured rate of a trial differs from the predicted one, or why there is none.

    Returns
    -------
    str or None
        ``None`` if the two agree, or if nothing is predicted.
    """
    if result.experiment.noise is not None or result.experiment.is_random:
        return "noise: the iterates settle at a noise floor, not at a rate"
    if rate.minimum is None:
        return "no minimum of this surface is known"
    if rate.measured is not None and (rate.predicted is None or agrees(rate.measured, rate.predicted)):
        return None
    with np.errstate(all="ignore"):
        expected = _expectations(result, {number: rate.minimum})
        displaced, floor = _displaced(result, number, rate.minimum, expected.get(number))
        if rate.measured is None or rate.predicted is None:
            return _why_not_measured(displaced, floor)
        return _why_different(result, number, rate.minimum, rate.measured, rate.predicted, displaced, floor)


def coordinate_rates(result: Result, number: int, rate: TrialRate) -> Array | None:
    """Return the predicted rate along each coordinate, ``(dim,)``; ``None`` if the theory does not apply.

    If the eigenvectors do not lie along the coordinates, the slowest direction decides for all of them.
    """
    if rate.predicted is None or rate.minimum is None:
        return None
    try:
        model = local_model(result.plan, number, rate.minimum)
    except TheoryDoesNotApplyError:
        return None
    rates = np.full(result.plan.dimension, rate.predicted)
    for axis, along in zip(model.axes, model.rates.tolist(), strict=True):
        if axis is not None:
            rates[axis] = along
    return rates


def _approached(result: Result, number: int) -> CriticalPoint | None:
    """Return the minimum that a trial approached, or left."""
    surface = result.plan.surface_of(number)
    minima = [minimum for minimum in surface.minima(result.plan.dimension) if not _is_kink(surface, minimum)]
    has_diverged = result.status_of(number) is Status.DIVERGED
    place = np.array(result.plan.trial(number).start) if has_diverged else result.final_points[number]
    return min(minima, key=lambda minimum: float(np.linalg.norm(place - np.array(minimum.point))), default=None)


def _is_kink(surface: Surface, minimum: CriticalPoint) -> bool:
    """Return whether the surface has no curvature at a minimum, so that theory cannot say anything about it."""
    if surface.minima_are == "known" or not surface.is_formula:
        return False
    try:
        with plugins_may_fail(type(surface)):
            return not np.isfinite(surface.hessian(np.array(minimum.point)[:, np.newaxis])).all()
    except TheoryDoesNotApplyError:  # the measured rate does not need the curvature
        return False


# The predicted rate


def _expectations(result: Result, minima: Mapping[int, CriticalPoint]) -> dict[int, _Expected]:
    """Return what theory expects of each trial at its minimum; nothing for trials to which it does not apply."""
    plan = result.plan
    expected: dict[int, _Expected] = {}
    for group in plan.groups:
        numbers = [number for number in minima if group.first <= number < group.first + group.size]
        if not numbers or plan.dimension > MOST_COORDINATES:
            continue
        try:
            with plugins_may_fail(group.surface_class, group.optimizer_class):
                expected.update(_expectations_of_group(result, group, numbers, minima))
        except TheoryDoesNotApplyError:
            continue
    return expected


def _expectations_of_group(
    result: Result, group: Group, numbers: list[int], minima: Mapping[int, CriticalPoint]
) -> dict[int, _Expected]:
    plan = result.plan
    if "hessian" not in plan.surface_of(numbers[0]).provides(plan.dimension):
        raise TheoryDoesNotApplyError("the surface has no Hessian")
    check_constant(group.schedules)
    lanes = group.lanes(np.array(numbers) - group.first)
    points = np.array([minima[number].point for number in numbers]).T
    curvatures, vectors = np.linalg.eigh(np.moveaxis(lanes.surface.hessian(points), 2, 0))
    curvatures = np.where(
        np.abs(curvatures) <= FLAT * plan.dimension * np.abs(curvatures).max(axis=1, keepdims=True), 0.0, curvatures
    )
    ends = [_checked_map(result, number, curvatures[i]) for i, number in ((0, numbers[0]), (-1, numbers[-1]))]
    has_decay = np.any(np.asarray(getattr(lanes.optimizer, "weight_decay", 0.0)))
    if has_decay or any(found.period > 1 for found in ends) or (curvatures == 0).any():
        # These need a fixed point, a period or a test of the surface for each trial.
        return {
            number: each for number in numbers if (each := _expectation_of_trial(result, number, minima)) is not None
        }
    radii = np.zeros(len(numbers))
    for column in curvatures.T:
        radii = np.maximum(radii, spectral_radii(lanes.optimizer, lanes.lr, column))
    found = {
        number: _Expected(rate=radius, fixed_point=point, curved=basis)
        for number, radius, point, basis in zip(numbers, radii.tolist(), points.T, vectors, strict=True)
    }
    if ends[0].is_exact:
        return found
    # A nonlinear method has this rate only close to a minimum that is stable for it.
    within = local_model(plan, numbers[0], minima[numbers[0]]).attracts_within
    distances = np.sqrt(((result.final_points[numbers].T - points) ** 2).sum(axis=0))
    return {
        number: found[number]
        for number, distance in zip(numbers, distances.tolist(), strict=True)
        if distance <= within and found[number].rate < 1
    }


def _checked_map(result: Result, number: int, curvatures: Array) -> LinearMap:
    """Return the map of one trial along its steepest direction, after checking that curvatures decide."""
    trial = result.plan.trial(number)
    hyperparameters = dict(trial.hyperparameters)
    lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
    optimizer = optimizer_of(trial.optimizer, hyperparameters)
    found = check_steady(optimizer, lr, float(curvatures[np.abs(curvatures).argmax()]) or 1.0)
    check_decoupled(optimizer, lr, curvatures.tolist(), found)
    return found


def _expectation_of_trial(result: Result, number: int, minima: Mapping[int, CriticalPoint]) -> _Expected | None:
    try:
        model = local_model(result.plan, number, minima[number])
    except TheoryDoesNotApplyError:
        return None
    distance = float(np.linalg.norm(result.final_points[number] - model.fixed_point))
    if not model.map.is_exact and (distance > model.attracts_within or not model.is_stable):
        return None
    curved = model.vectors[:, ~model.is_flat[model.groups]]
    return _Expected(rate=model.rate, fixed_point=model.fixed_point, curved=curved)


# Both, and the reason for a difference


def _displaced(result: Result, number: int, minimum: CriticalPoint, expected: _Expected | None) -> tuple[Array, float]:
    """Return the displacements from the fixed point, ``(entries, directions)``, and where rounding begins."""
    centre = np.array(minimum.point) if expected is None else expected.fixed_point
    displaced = result.path(number) - centre
    if expected is not None:
        displaced = displaced @ expected.curved
    return displaced, max(ROUNDING * float(np.abs(centre).max()), UNDERFLOW)


def _why_not_measured(displaced: Array, floor: float) -> str:
    distances = np.sqrt((displaced**2).sum(axis=1))
    usable = len(usable_entries(distances, floor))
    made = max(usable - 1, 0)  # the first entry is the start
    if usable < FEWEST and not (distances[np.isfinite(distances)][-1:] > floor).any():
        return f"the minimum is reached within rounding after {_iterations(made)}, too few for a rate"
    if usable < FEWEST:
        return f"{_iterations(made)} {'is' if made == 1 else 'are'} too few for a rate"
    return "the run is too short: it has not completed enough oscillations"


def _iterations(number: int) -> str:
    return "1 iteration" if number == 1 else f"{number} iterations"


def _why_different(
    result: Result,
    number: int,
    minimum: CriticalPoint,
    measured: float,
    predicted: float,
    displaced: Array,
    floor: float,
) -> str:
    """Return the first hypothesis that passes its test; "unexplained" if none does."""
    try:
        model = local_model(result.plan, number, minimum)
    except TheoryDoesNotApplyError:
        return "unexplained"
    start = np.array(result.plan.trial(number).start)
    iterations = result.recorded(number)
    if model.is_exact:
        # Theory gives the whole path: does its rate, measured in the same way, agree?
        path = model.linear_path(start, int(iterations[-1]))
        expected = path_rate(path[iterations][:, ~model.is_flat[model.groups]], iterations, floor)
        is_explained = expected is not None and agrees(measured, expected)
        excited = model.excited(start) & ~model.is_flat
    else:
        is_explained = False
        sizes = np.zeros(len(model.curvatures))
        along = np.abs(model.coefficients(result.path(number).T))
        np.maximum.at(sizes, model.groups, np.nanmax(along, axis=1))
        excited = (sizes > 1e-9 * sizes.max()) & ~model.is_flat

    # 1. The start lies on a subset of the eigenvectors.
    rate_of_excited = float(model.rates[excited].max(initial=0.0))
    if excited.any() and not agrees(rate_of_excited, predicted) and (is_explained or agrees(measured, rate_of_excited)):
        missing = ", ".join(f"{curvature:.4g}" for curvature in np.array(model.curvatures)[~excited & ~model.is_flat])
        return (
            f"the start has no component along the direction with curvature {missing}; "
            f"the rate of the others is {rate_of_excited:.4f}"
        )
    # 2. A double root.
    slowest = model.modes[int(np.where(excited, model.rates, -1.0).argmax())]
    if slowest.has_double_root and (is_explained or _is_double_root(displaced, iterations, floor, predicted)):
        return "a double root: the distance behaves as t·ρᵗ, and its slope approaches ρ slowly"
    # 3. The run is too short. 4. A limit cycle. 5. It never was where the linear theory holds.
    transient = _transient(model, start, int(iterations[-1]), predicted, floor) if is_explained else None
    return (
        transient
        or _too_short_when_continued(result, number, model, predicted)
        or _limit_cycle(result, number)
        or _outside(result, number, model, predicted)
        or "unexplained"
    )


def _outside(result: Result, number: int, model: LocalModel, predicted: float) -> str | None:
    """Return that a diverged trial started outside the region where the linear theory predicts convergence."""
    distance = float(np.linalg.norm(np.array(result.plan.trial(number).start) - model.fixed_point))
    if result.status_of(number) is Status.DIVERGED and predicted < 1 and distance > model.holds_within:
        return f"the start is {distance:.3g} away, and the linear theory holds within {model.holds_within:g}"
    return None


def _is_double_root(displaced: Array, iterations: NDArray[np.int64], floor: float, predicted: float) -> bool:
    """Return whether the distance divided by the iteration has the predicted rate."""
    rate = path_rate(displaced / np.maximum(iterations, 1)[:, np.newaxis], iterations, floor)
    return rate is not None and agrees(rate, predicted)


def _transient(model: LocalModel, start: Array, iterations: int, predicted: float, floor: float) -> str | None:
    """Return that the run is too short, if the predicted path has the predicted rate once it is long enough."""
    longest = min(LONGEST_TRANSIENT * iterations, 200_000)
    path = model.linear_path(start, longest)[:, ~model.is_flat[model.groups]]
    length = float(iterations)
    while length < longest:
        length = min(1.2 * length, longest)
        times = np.arange(int(length) + 1)
        rate = path_rate(path[times], times, 0.0)
        if rate is not None and agrees(rate, predicted):
            distances = np.sqrt((path**2).sum(axis=1))
            reached = np.flatnonzero(distances[: int(length)] > floor)
            if len(reached) and reached[-1] < iterations:
                return f"rounding ends the run: the transient lasts about {length:.3g} iterations"
            return f"the run is too short: the transient lasts about {length:.3g} iterations"
    return None


def _too_short_when_continued(result: Result, number: int, model: LocalModel, predicted: float) -> str | None:
    """Return that the run is too short, if the method has the predicted rate when it is run for longer."""
    iterations = int(result.recorded(number)[-1])
    if predicted >= 1 or result.status_of(number) is Status.DIVERGED or iterations == 0:
        return None
    longest = min(8 * iterations, iterations + MOST_EXTRA_ITERATIONS)
    start = np.array(result.plan.trial(number).start)[:, np.newaxis]
    path, _ = simulated(model.optimizer, model.lr, model.surface, start, longest)
    displaced = (path[:, :, 0] - model.fixed_point) @ model.vectors[:, ~model.is_flat[model.groups]]
    floor = max(ROUNDING * float(np.abs(model.fixed_point).max()), UNDERFLOW)
    length = float(iterations)
    while length < longest:
        length = min(1.5 * length, longest)
        times = np.arange(int(length) + 1)
        rate = path_rate(displaced[times], times, floor)
        if rate is not None and agrees(rate, predicted):
            return f"the run is too short: the transient lasts about {length:.3g} iterations"
    return None


def _limit_cycle(result: Result, number: int) -> str | None:
    """Return that the last iterates repeat, with their period."""
    path = result.path(number)
    path = path[np.isfinite(path).all(axis=1)]
    if len(path) < FEWEST or result.recorded(number)[1] != 1:
        return None
    for period in range(1, min(LONGEST_CYCLE, len(path) // 4) + 1):
        # Relative to the motion over the same iterations, which would shrink if the trial converged.
        last = path[-3 * period - 1 :]
        amplitude = float(np.ptp(last, axis=0).max())
        if amplitude == 0:
            return "the iterates stand still away from the minimum"
        if np.abs(last[period:] - last[:-period]).max() <= CYCLE * amplitude:
            return f"a limit cycle of {period} iterations"
    return None


# Why a smaller momentum may be faster


def underdamped_remark(result: Result, rates: Mapping[int, TrialRate]) -> str | None:
    """Return why a larger β is slower, if it is among these trials because every direction is underdamped.

    The rate of an underdamped direction is √β whatever its curvature, so only a smaller β is faster.
    """
    from momentumlab.theory.prediction import critical_betas

    # The rates are known already: most trials are ruled out before a model is computed.
    candidates: dict[float, int] = {}
    for number, rate in rates.items():
        beta = result.plan.trial(number).hyperparameters.get("beta")
        if isinstance(beta, float) and rate.predicted is not None and abs(rate.predicted - math.sqrt(beta)) <= 1e-9:
            candidates[beta] = number
    if len(candidates) < 2:
        return None
    # If the rate is √β, so is the modulus in every direction of heavy ball: one model shows whether it oscillates.
    number = candidates[max(candidates)]
    minimum = rates[number].minimum
    assert minimum is not None
    try:
        model = local_model(result.plan, number, minimum)
    except TheoryDoesNotApplyError:
        return None
    if not model.rate_is_root_of_beta:
        return None
    critical = ", ".join(f"{beta:.3g}" for beta in critical_betas(model) if beta is not None)
    which = ", ".join(f"{beta:g}" for beta in sorted(candidates))
    return (
        f"β = {which}: all directions are underdamped, so the rate is √β and a smaller β is faster "
        f"(critical β: {critical})"
    )
