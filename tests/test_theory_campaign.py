"""A random campaign: every statement of ``predict`` and ``run`` is compared with what the engine does.

Random linear and smooth optimizers run on random surfaces from random starts. The share of false statements, and how
often theory does not apply, are those reported in docs/theory.md.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.plan import make_plan
from momentumlab.registry import Array
from momentumlab.result import Result, Status
from momentumlab.surfaces import CriticalPoint
from momentumlab.theory import Prediction, TheoryDoesNotApplyError, predict, rate_reason, trial_rates
from momentumlab.theory.local_model import local_model
from momentumlab.theory.rate_fits import agrees

LINEAR = ("sgd", "momentum", "nesterov", "momentum_ema", "qhm", "aggmo", "triple_momentum", "robust_momentum")
SMOOTH = ("adam", "rmsprop", "nadam", "adamax")
ITERATIONS = 2000
TOLERANCE = 1e-9

LONGEST_RUN = 50_000
UNEXPLAINED = "unexplained"

MARGIN = 2e-3
"""Nearer to a rate of 1 than this, a run of `ITERATIONS` cannot tell growth from decay."""


def trials(count: int, seed: int) -> list[dict[str, Any]]:
    """Return random experiments of one trial each."""
    rng = np.random.default_rng(seed)
    return [random_trial(rng) for _ in range(count)]


def random_trial(rng: np.random.Generator) -> dict[str, Any]:
    surface, dimension, curvature = random_surface(rng)
    is_linear = rng.random() < 0.8
    name = str(rng.choice(LINEAR if is_linear else SMOOTH))
    optimizer: dict[str, Any] = {"name": name}
    parameters = {parameter.name for parameter in momentumlab.optimizers.OPTIMIZERS[name].parameters()}
    if "beta" in parameters:
        optimizer["beta"] = float(rng.uniform(0, 0.97))
    if "weight_decay" in parameters and is_linear and rng.random() < 0.25:
        optimizer["weight_decay"] = float(rng.uniform(0, 0.3) * curvature)
    if not is_linear:
        optimizer["eps"] = float(10 ** rng.uniform(-1, 1))
    step = float(10 ** rng.uniform(-2, 0.5))
    lr = step / curvature * (optimizer.get("eps", 1))
    if name in ("momentum_ema", "qhm"):
        lr *= 1 / (1 - optimizer["beta"])
    start: Array = rng.standard_normal(dimension) * 10 ** rng.uniform(-2, 0.3)
    if rng.random() < 0.15:  # on an axis, which often is an eigenvector
        start[1:] = 0
    return {
        "surface": surface, "optimizer": optimizer, "lr": lr, "start": start.tolist(), "iterations": ITERATIONS,
    }  # fmt: skip


def random_surface(rng: np.random.Generator) -> tuple[dict[str, Any] | str, int, float]:
    """Return a surface, its dimension and its largest curvature at the minimum."""
    kind = rng.integers(6)
    if kind <= 2:  # quadratics: full, flat along some direction, rotated
        dimension = int(rng.integers(1, 4))
        eigenvalues = 10 ** rng.uniform(-2, 1, dimension)
        if kind == 1 and dimension > 1:
            eigenvalues[0] = 0.0
        surface: dict[str, Any] = {"name": "quadratic", "eigenvalues": eigenvalues.tolist()}
        if dimension > 1 and kind == 2:
            surface["rotation"] = float(rng.uniform(5, 85))
        return surface, dimension, float(eigenvalues.max())
    named: tuple[tuple[str, float], ...] = (("ravine", 18), ("booth", 18), ("matyas", 1), ("rosenbrock", 1002))
    name, curvature = named[int(rng.integers(4))]
    return {"name": name}, 2, float(curvature)


def compare(settings: dict[str, Any], checks: dict[str, bool]) -> tuple[str | None, bool]:
    """Note whether each statement about a trial is true; return the reason given and whether theory applies."""
    plan = make_plan(momentumlab.load(settings))
    minima = plan.surface_of(0).minima(plan.dimension)
    nearest = min(minima, key=lambda each: math.dist(settings["start"], each.point))
    try:
        prediction = predict(plan, 0, nearest)
    except TheoryDoesNotApplyError:
        return None, False
    result = momentumlab.run(settings)
    if math.isinf(prediction.holds_within):
        check_stability(prediction, result, checks)
        if prediction.stable:
            check_path(prediction, result, checks)
        check_iterations(plan, settings, nearest, checks)
    return check_rate(settings, result, checks), True


def check_stability(prediction: Prediction, result: Result, checks: dict[str, bool]) -> None:
    if abs(prediction.rate - 1) < MARGIN:
        return
    model = local_model(result.plan, 0, prediction.point)
    if not model.excited(np.array(result.plan.trial(0).start))[model.rates.argmax()]:
        return  # the slowest direction does not show from this start
    distances = displacements(prediction, result)
    if prediction.stable:
        shrinks = distances[-1] <= max(distances.max() * max(prediction.rate ** (ITERATIONS // 4), 1e-9), 1e-9)
        checks["stable"] = shrinks and result.status[0] is not Status.DIVERGED
    else:
        checks["stable"] = result.status[0] is Status.DIVERGED or bool(distances[-1] > distances[0])


def displacements(prediction: Prediction, result: Result) -> Array:
    """Return the distances from the fixed point, without the flat directions."""
    surface = result.plan.surface_of(0)
    fixed = np.array(prediction.fixed_point)
    displaced = result.path(0) - fixed
    displaced = displaced[np.isfinite(displaced).all(axis=1)]
    values, vectors = np.linalg.eigh(surface.hessian(fixed[:, np.newaxis])[:, :, 0])
    if any(mode.curvature == 0 and mode.rate > 1 - 1e-9 for mode in prediction.modes):
        displaced = displaced @ vectors[:, np.abs(values) > 1e-12 * np.abs(values).max()]
    distances: Array = np.linalg.norm(displaced, axis=1)
    return distances


def check_path(prediction: Prediction, result: Result, checks: dict[str, bool]) -> None:
    """Overshoot, growth and period along each direction that is a coordinate."""
    path = result.path(0) - np.array(prediction.fixed_point)
    path = path[np.isfinite(path).all(axis=1)]
    for mode in prediction.modes:
        if mode.axis is None or path[0, mode.axis] == 0 or not 0 < mode.rate < 1 or mode.curvature == 0:
            continue
        along = path[:, mode.axis] / path[0, mode.axis]
        scale = np.abs(np.array(prediction.fixed_point)).max() / abs(path[0, mode.axis])
        allowed = 1e-6 + 1e-12 * scale
        checks[f"overshoot {mode.axis}"] = abs(max(0.0, -along.min()) - mode.overshoot) <= allowed
        checks[f"growth {mode.axis}"] = abs(np.abs(along).max() - mode.growth) <= allowed
        if mode.regime.label in ("monotone", "critical"):
            checks[f"monotone {mode.axis}"] = along.min() >= -allowed
        if mode.period is not None:
            period = period_of(along, 1e-9 + 1e-9 * scale)
            if period is not None:
                checks[f"period {mode.axis}"] = abs(period / mode.period - 1) <= 0.05


def period_of(along: Array, floor: float) -> float | None:
    """Return the period from the zero crossings of a later part of the path; ``None`` if there are too few."""
    usable = np.flatnonzero(np.abs(along) > floor)
    if not len(usable):
        return None
    along = along[: usable[-1]]
    later = along[len(along) // 3 :]
    signs = np.flatnonzero(np.signbit(later[1:]) != np.signbit(later[:-1]))
    if len(signs) < 12:
        return None
    exact = signs + later[signs] / (later[signs] - later[signs + 1])
    return float(2 * (exact[-1] - exact[0]) / (len(exact) - 1))


def check_iterations(plan: Any, settings: dict[str, Any], nearest: CriticalPoint, checks: dict[str, bool]) -> None:
    """The predicted number of iterations to the tolerance, to the letter or within rounding."""
    with_tolerance = {**settings, "tolerance": TOLERANCE}
    said = predict(make_plan(momentumlab.load(with_tolerance)), 0, nearest).iterations_to_tolerance
    if said is None:
        checks["iterations"] = False
        return
    result = momentumlab.run(with_tolerance)
    made = int(result.iterations[0])
    if result.status[0] is Status.CONVERGED:
        checks["iterations"] = abs(said - made) <= 1
    else:
        checks["iterations"] = said >= ITERATIONS


def check_rate(settings: dict[str, Any], result: Result, checks: dict[str, bool]) -> str | None:
    """The measured rate agrees with the predicted one, or the reason given is true."""
    (rate,) = trial_rates(result)
    reason = rate_reason(result, 0, rate)
    if rate.predicted is None or reason == UNEXPLAINED:
        return reason
    if reason is None:
        checks["rate"] = rate.measured is not None and agrees(rate.measured, rate.predicted)
    elif "the run is too short: the transient lasts" in reason:
        length = math.ceil(1.3 * float(reason.split("about ")[1].split()[0]))
        if length <= LONGEST_RUN:
            (longer,) = trial_rates(momentumlab.run({**settings, "iterations": length}))
            checks["too short"] = longer.measured is not None and agrees(longer.measured, rate.predicted)
    elif "no component" in reason:
        excited = float(reason.rsplit(" ", 1)[1])
        checks["no component"] = rate.measured is not None and agrees(rate.measured, excited, 0.1)
    elif "a limit cycle of" in reason:
        period = int(reason.split("of ")[1].split()[0])
        last = result.path(0)[-period - 1 :]
        checks["limit cycle"] = bool(np.abs(last[-1] - last[0]).max() <= 1e-4 * np.abs(last).max())
    return reason


@dataclass(kw_only=True)
class Tally:
    """The outcome of a campaign."""

    false: list[str] = field(default_factory=list)
    statements: int = 0
    linear: int = 0
    silent: int = 0
    unexplained: int = 0


def campaign(count: int, seed: int) -> Tally:
    """Compare every statement about this many random trials with the engine."""
    tally = Tally()
    for settings in trials(count, seed):
        checks: dict[str, bool] = {}
        reason, applies = compare(settings, checks)
        tally.statements += len(checks)
        tally.unexplained += reason == UNEXPLAINED
        tally.false += [f"{name} ({reason}): {settings}" for name, is_true in checks.items() if not is_true]
        if settings["optimizer"]["name"] in LINEAR:
            tally.linear += 1
            tally.silent += not applies
    return tally


@pytest.mark.parametrize(
    ("count", "seed"), [(60, 1), pytest.param(1000, 2, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_no_statement_of_theory_is_false(count: int, seed: int) -> None:
    tally = campaign(count, seed)
    assert not tally.false, "\n".join(tally.false)
    assert tally.statements > 3 * count
    assert tally.silent < 0.1 * tally.linear
    assert tally.unexplained < 0.05 * count
