"""The rate that a path really has, beside the one that theory predicts, and why they may differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.plan import Group, Plan
from momentumlab.plugins import is_foreign
from momentumlab.registry import Array
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.theory.linear_map import (
    TheoryDoesNotApplyError,
    check_constant,
    check_decoupled,
    check_steady,
    reach,
    spectral_radii,
)
from momentumlab.theory.prediction import directions, optimizer_of

FEWEST = 8
FEWEST_SWINGS = 3
"""A slope through fewer points, or fewer peaks, than this says nothing."""

AGREES = 0.05
"""Rates agree where the digits gained per iteration differ by at most this share of those predicted."""

UNNOTICED = 1e-4
"""Rates nearer to each other than this agree in any case."""

STILL = 1e-3
"""A rate this near to one is none."""

ROUNDING = 1e-12
"""Relative to its coordinates, nearer to a minimum than this is rounding."""

UNDERFLOW = 1e-150
"""The squares of smaller distances lose their digits."""

MOST_COORDINATES = 200
"""In more dimensions the eigenvalues of the Hessian are not computed for a table."""


@dataclass(frozen=True, kw_only=True)
class TrialRate:
    """The rates of one trial.

    Attributes
    ----------
    minimum
        The known minimum nearest to where it ended, or began if it diverged; ``None`` if none is known.
    measured
        The rate of its path; ``None`` where the path is too short, or has no minimum to come to.
    predicted
        The spectral radius at that minimum; ``None`` where theory does not apply.
    reason
        Why the two differ, where they do.
    """

    minimum: CriticalPoint | None = None
    measured: float | None = None
    predicted: float | None = None
    reason: str | None = None


def trial_rates(result: Result, numbers: Sequence[int] | None = None) -> list[TrialRate]:
    """The rates of some trials of a result, or of all; it must have its history."""
    numbers = range(result.trials) if numbers is None else numbers
    if result.experiment.noise is not None or result.experiment.is_random:  # then nothing settles at any rate
        return [TrialRate() for _ in numbers]
    with np.errstate(all="ignore"):  # what diverges may overflow here, too
        minima = {number: minimum for number in numbers if (minimum := _approached(result, number)) is not None}
        predicted = _predicted_rates(result, minima)
        return [
            _agreement(result, number, minima[number], predicted.get(number)) if number in minima else TrialRate()
            for number in numbers
        ]


def coordinate_rates(result: Result, number: int, agreement: TrialRate) -> Array | None:
    """The predicted rate along each coordinate, ``(dim,)``; ``None`` where theory does not apply to the trial.

    Where the axes of the bowl are not those of the coordinates, the slowest direction decides for all of them.
    """
    if agreement.predicted is None or agreement.minimum is None:
        return None
    plan = result.plan
    trial = plan.trial(number)
    rates = np.full(plan.dimension, agreement.predicted)
    hyperparameters = dict(trial.hyperparameters)
    lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
    for curvature, axis in directions(plan.surface_of(number), agreement.minimum).items():
        if axis is not None:
            optimizer = optimizer_of(trial.optimizer, hyperparameters)
            rates[axis] = spectral_radii(optimizer, np.array([lr]), np.array([curvature]))[0]
    return rates


def measured_rate(distances: Array, iterations: NDArray[np.int64], floor: float = 0.0) -> float | None:
    """By what a distance is multiplied per iteration in the later half of a path.

    The least-squares slope of its logarithm: through its peaks where it swings, else through every point. In the
    earlier half faster directions still have their say.

    Parameters
    ----------
    distances, iterations
        The distance at each recorded iteration, ``(entries,)``.
    floor
        Where rounding begins: from the first entry on after which all are at most this, nothing counts.

    Returns
    -------
    float or None
        ``None`` if there are too few points.
    """
    distances = distances[: np.argmin(np.append(np.isfinite(distances), False))]
    farthest_yet_to_come = np.maximum.accumulate(distances[::-1])[::-1]
    usable = np.flatnonzero(farthest_yet_to_come > floor)
    if len(usable) < FEWEST:
        return None
    later = usable[len(usable) // 2 :]
    peaks = _peaks(distances, usable)
    swings = int((peaks >= later[0]).sum())
    used = peaks[-max(swings, FEWEST_SWINGS) :] if swings else later[distances[later] > 0]
    if len(used) < FEWEST_SWINGS:
        return None
    times = iterations[used] - iterations[used].mean()
    logarithms = np.log(distances[used])
    return math.exp(float((times * (logarithms - logarithms.mean())).sum() / (times * times).sum()))


def _peaks(distances: Array, usable: NDArray[np.intp]) -> NDArray[np.intp]:
    """The entries that are higher than both neighbours."""
    inner = usable[1:-1]
    peaks: NDArray[np.intp] = inner[
        (distances[inner] >= distances[inner - 1]) & (distances[inner] > distances[inner + 1])
    ]
    return peaks


def _approached(result: Result, number: int) -> CriticalPoint | None:
    """The minimum that a trial came to, or left."""
    surface = result.plan.surface_of(number)
    minima = [minimum for minimum in surface.minima(result.plan.dimension) if not _is_kink(surface, minimum)]
    has_diverged = result.status_of(number) is Status.DIVERGED
    place = np.array(result.plan.trial(number).start) if has_diverged else result.final_points[number]
    return min(minima, key=lambda minimum: float(np.linalg.norm(place - np.array(minimum.point))), default=None)


def _is_kink(surface: Surface, minimum: CriticalPoint) -> bool:
    """Whether the surface has no curvature at a minimum, of which theory could say anything."""
    if surface.minima_are == "known" or not surface.is_formula:
        return False
    return not np.isfinite(surface.hessian(np.array(minimum.point)[:, np.newaxis])).all()


def _predicted_rates(result: Result, minima: Mapping[int, CriticalPoint]) -> dict[int, float]:
    """The spectral radius of each trial at its minimum; of a method that is not linear, where it came so near."""
    plan = result.plan
    rates: dict[int, float] = {}
    for group in plan.groups:
        numbers = [number for number in minima if group.first <= number < group.first + group.size]
        if not numbers or plan.dimension > MOST_COORDINATES:
            continue
        points = np.array([minima[number].point for number in numbers]).T
        try:
            radii, within = _radii(plan, group, numbers, points)
        except TheoryDoesNotApplyError:
            continue
        except Exception:  # theory tries points and shapes that the run did not
            if is_foreign(group.surface_class) or is_foreign(group.optimizer_class):
                continue
            raise
        distances = np.sqrt(((result.final_points[numbers].T - points) ** 2).sum(axis=0))
        for number, radius, distance in zip(numbers, radii.tolist(), distances.tolist(), strict=True):
            # Near a minimum that is unstable for it, a method that is not linear has no one rate.
            if within == math.inf or (distance <= within and radius < 1):
                rates[number] = radius
    return rates


def _radii(plan: Plan, group: Group, numbers: list[int], points: Array) -> tuple[Array, float]:
    """The spectral radii of some trials of a group near these points, ``(dim, trials)``; within which distance."""
    if "hessian" not in plan.surface_of(numbers[0]).offers(plan.dimension):
        raise TheoryDoesNotApplyError("there is no Hessian")
    check_constant(group.schedules)
    lanes = group.lanes(np.array(numbers) - group.first)
    curvatures = np.linalg.eigvalsh(np.moveaxis(lanes.surface.hessian(points), 2, 0))
    hyperparameters = dict(plan.trial(numbers[0]).hyperparameters)
    lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
    one = optimizer_of(lanes.optimizer.name, hyperparameters)
    found = check_steady(one, lr, float(curvatures[0, -1]))
    check_decoupled(one, lr, curvatures[0].tolist(), found.scale)
    radii = np.zeros(len(numbers))
    for column in curvatures.T:
        radii = np.maximum(radii, spectral_radii(lanes.optimizer, lanes.lr, column))
    return radii, reach(one, lr, float(curvatures[0, -1]), found)


def _agreement(result: Result, number: int, minimum: CriticalPoint, predicted: float | None) -> TrialRate:
    point = np.array(minimum.point)
    distances = np.sqrt(((result.path(number) - point) ** 2).sum(axis=1))
    floor = max(ROUNDING * float(np.abs(point).max()), UNDERFLOW)
    measured = measured_rate(distances, result.recorded(number), floor)
    reason = None
    if measured is not None and predicted is not None and not _agrees(measured, predicted):
        reason = _reason(result, number, minimum, (measured, predicted), distances, floor)
    return TrialRate(minimum=minimum, measured=measured, predicted=predicted, reason=reason)


def _agrees(measured: float, predicted: float) -> bool:
    if min(measured, predicted) <= 0:
        return False
    digits, difference = math.log(predicted), math.log(measured) - math.log(predicted)
    return abs(difference) <= max(AGREES * abs(digits), UNNOTICED)


def _reason(
    result: Result,
    number: int,
    minimum: CriticalPoint,
    rates: tuple[float, float],
    distances: Array,
    floor: float,
) -> str:
    """The likeliest of the reasons why a path does not have the predicted rate."""
    measured, predicted = rates
    surface = result.plan.surface_of(number)
    start = np.array(result.plan.trial(number).start)
    nearest = min(
        surface.minima(result.plan.dimension), key=lambda each: float(np.linalg.norm(start - np.array(each.point)))
    )
    has_diverged = result.status_of(number) is Status.DIVERGED
    if has_diverged and predicted < 1:
        return "it diverged far from the minimum, where the surface is no bowl: theory speaks of the minimum alone"
    if predicted > 1 and not has_diverged:
        return "the minimum is unstable for this method: the path flies off, or finds a swing that it keeps"
    if abs(measured - 1) < STILL < 1 - predicted:
        return "it does not come nearer: it circles, or is held up somewhere"
    if not distances[-1] > floor:
        return "it met the limits of rounding before its slowest direction alone was left"
    if nearest.point != minimum.point:
        return "it went to another minimum than the nearest, and is not near enough to it yet"
    return "it is too early, the start or faster directions still show"
