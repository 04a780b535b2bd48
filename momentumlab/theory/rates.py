"""The measured and the predicted rate of each trial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array
from momentumlab.plan import Group
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.theory.linear_map import (
    TheoryDoesNotApplyError,
    check_constant,
    checked_map,
    plugins_may_fail,
    spectral_radii,
)
from momentumlab.theory.local_model import FLAT, local_model, optimizer_of
from momentumlab.theory.rate_fits import path_rate

ROUNDING = 1e-12
"""A distance below this share of the coordinates is a rounding error."""

UNDERFLOW = 1e-150
"""The squares of smaller distances lose digits."""

MOST_COORDINATES = 200
"""In more dimensions, tables do not predict rates, which need the eigenvalues of the Hessian."""

TOO_FAR = "the trial ends too far from the minimum for the linear theory"
UNSTABLE = "the minimum is unstable at this learning rate, so the iterates do not converge to it"


@dataclass(frozen=True, kw_only=True)
class TrialRate:
    """The rates of one trial.

    Attributes
    ----------
    minimum
        The known minimum nearest to the final point, or to the start if the trial diverged; ``None`` if none is known.
    measured
        The rate fitted to the path; ``None`` if it cannot be fitted.
    predicted
        The spectral radius at that minimum; ``None`` if the theory does not apply.
    not_predicted
        Why the theory does not apply; empty if it does, or if no minimum is known.
    """

    minimum: CriticalPoint | None = None
    measured: float | None = None
    predicted: float | None = None
    not_predicted: str = ""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The predicted rate of a trial, its fixed point, and the directions in which the distance is measured."""

    rate: float
    fixed_point: Array
    curved: Array
    """An orthonormal basis of the directions that are not flat, ``(dim, directions)``."""


def trial_rates(result: Result, numbers: Sequence[int] | None = None) -> list[TrialRate]:
    """Return the measured and the predicted rate of trials with a recorded history; by default, of all trials."""
    numbers = range(result.trials) if numbers is None else numbers
    if result.experiment.noise is not None or result.experiment.is_random:  # the loss ends at a noise floor
        return [TrialRate() for _ in numbers]
    with np.errstate(all="ignore"):  # distances of diverging trials may overflow
        minima = {number: minimum for number in numbers if (minimum := _approached(result, number)) is not None}
        expected = expectations(result, minima)
        found = []
        for number in numbers:
            if number not in minima:
                found.append(TrialRate())
                continue
            theory = expected[number]
            displaced, floor = displacements(result, number, minima[number], theory)
            measured = path_rate(displaced, result.recorded(number), floor)
            if isinstance(theory, Expected):
                rate = TrialRate(minimum=minima[number], measured=measured, predicted=theory.rate)
            else:
                rate = TrialRate(minimum=minima[number], measured=measured, not_predicted=theory)
            found.append(rate)
    return found


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
    """Return the minimum that a trial approached or diverged from."""
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


def expectations(result: Result, minima: Mapping[int, CriticalPoint]) -> dict[int, Expected | str]:
    """Return what theory predicts for each trial at its minimum, or why it does not apply."""
    plan = result.plan
    if plan.dimension > MOST_COORDINATES:
        return dict.fromkeys(minima, f"rates are predicted for at most {MOST_COORDINATES} coordinates")
    expected: dict[int, Expected | str] = {}
    for group in plan.groups:
        numbers = [number for number in minima if group.first <= number < group.first + group.size]
        if not numbers:
            continue
        try:
            with plugins_may_fail(group.surface_class, group.optimizer_class):
                expected.update(_expectations_of_group(result, group, numbers, minima))
        except TheoryDoesNotApplyError as error:
            expected.update(dict.fromkeys(numbers, str(error)))
    return expected


def _expectations_of_group(
    result: Result, group: Group, numbers: list[int], minima: Mapping[int, CriticalPoint]
) -> dict[int, Expected | str]:
    plan = result.plan
    if "hessian" not in plan.surface_of(numbers[0]).provides(plan.dimension):
        raise TheoryDoesNotApplyError("the surface has no Hessian")
    check_constant(group.schedules)
    lanes = group.lanes(np.array(numbers) - group.first)
    points = np.array([minima[number].point for number in numbers]).T
    curvatures, vectors = np.linalg.eigh(np.moveaxis(lanes.surface.hessian(points), 2, 0))
    # As in `eigenvectors`: curvatures that are zero up to rounding are zero.
    curvatures = np.where(
        np.abs(curvatures) <= FLAT * plan.dimension * np.abs(curvatures).max(axis=1, keepdims=True), 0.0, curvatures
    )
    # The first and the last trial show what kind of map the method has.
    ends = [
        checked_map(*optimizer_of(plan.trial(number)), curvatures[i].tolist())
        for i, number in ((0, numbers[0]), (-1, numbers[-1]))
    ]
    expected: dict[int, Expected | str] = {}
    has_decay = np.any(np.asarray(getattr(lanes.optimizer, "weight_decay", 0.0)))
    if has_decay or any(found.period > 1 for found in ends) or (curvatures == 0).any():
        # These need a fixed point, a period or a test of the surface, and so a model of each trial.
        for number in numbers:
            try:
                model = local_model(plan, number, minima[number])
            except TheoryDoesNotApplyError as error:
                expected[number] = str(error)
                continue
            distance = float(np.linalg.norm(result.final_points[number] - model.fixed_point))
            if model.map.is_exact or (distance <= model.attracts_within and model.is_stable):
                curved = model.vectors[:, ~model.is_flat[model.groups]]
                expected[number] = Expected(rate=model.rate, fixed_point=model.fixed_point, curved=curved)
            else:
                expected[number] = TOO_FAR if model.is_stable else UNSTABLE
        return expected
    # Otherwise the trials differ only in numbers, and their rates are computed together.
    radii = np.zeros(len(numbers))
    for column in curvatures.T:
        radii = np.maximum(radii, spectral_radii(lanes.optimizer, lanes.lr, column))
    within = math.inf
    if not ends[0].is_exact:
        # A nonlinear method has this rate only close to a minimum that is stable for it.
        within = local_model(plan, numbers[0], minima[numbers[0]]).attracts_within
    distances = np.sqrt(((result.final_points[numbers].T - points) ** 2).sum(axis=0))
    for i, number in enumerate(numbers):
        if ends[0].is_exact or (distances[i] <= within and radii[i] < 1):
            expected[number] = Expected(rate=float(radii[i]), fixed_point=points[:, i], curved=vectors[i])
        else:
            expected[number] = TOO_FAR if radii[i] < 1 else UNSTABLE
    return expected


def displacements(result: Result, number: int, minimum: CriticalPoint, expected: Expected | str) -> tuple[Array, float]:
    """Return the displacements from the fixed point, ``(entries, directions)``, and where rounding begins."""
    if isinstance(expected, Expected):
        centre = expected.fixed_point
        displaced = (result.path(number) - centre) @ expected.curved
    else:
        centre = np.array(minimum.point)
        displaced = result.path(number) - centre
    return displaced, max(ROUNDING * float(np.abs(centre).max()), UNDERFLOW)
