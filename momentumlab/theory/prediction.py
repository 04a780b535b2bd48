"""What will happen to a trial near a critical point, said before it is run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from momentumlab.optimizers import OPTIMIZERS, Optimizer
from momentumlab.plan import Plan
from momentumlab.registry import Value
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.theory.linear_map import (
    TheoryDoesNotApplyError,
    check_constant,
    check_decoupled,
    check_steady,
    linear_map,
    reach,
    spectral_radii,
)
from momentumlab.theory.modes import EQUAL, NEUTRAL, Mode, mode


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory says of one trial near one critical point, before it is run.

    Attributes
    ----------
    modes
        One per eigenvalue of the Hessian, the slowest first.
    lr_limit
        The learning rate from which on it diverges, everything else as it is.
    best
        The learning rate (and β, where the method has one) with the best rate, and that rate.
    iterations_to_tolerance
        About how many iterations the trial takes to its tolerance or target; ``None`` if it has none, infinite if it
        never gets there.
    holds_within
        The distance from the point within which the method behaves so; infinite if its step is linear in the gradients.
    """

    point: CriticalPoint
    modes: tuple[Mode, ...]
    lr_limit: float
    best: Mapping[str, float]
    best_rate: float
    iterations_to_tolerance: float | None
    holds_within: float

    @cached_property
    def slowest(self) -> Mode:
        """The mode that decides in the long run."""
        return max(self.modes, key=lambda mode: mode.rate)

    @property
    def rate(self) -> float:
        """The spectral radius of the whole."""
        return self.slowest.rate

    @property
    def stable(self) -> bool:
        """Whether every error shrinks."""
        return self.rate < 1 - NEUTRAL


def predict(plan: Plan, number: int, point: CriticalPoint) -> Prediction:
    """What theory says of one trial near a critical point of its surface.

    Raises
    ------
    TheoryDoesNotApplyError
        If there is nothing that it can say, with the reason.
    """
    trial = plan.trial(number)
    surface = plan.surface_of(number)
    check_constant(plan.group_of(number).schedules)
    if "hessian" not in surface.offers(plan.dimension):
        raise TheoryDoesNotApplyError(f"{surface.name} has no Hessian")
    hyperparameters = dict(trial.hyperparameters)
    lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
    optimizer = optimizer_of(trial.optimizer, hyperparameters)
    axes = directions(surface, point)
    curvatures = list(axes)
    found = check_steady(optimizer, lr, curvatures[-1])
    check_decoupled(optimizer, lr, curvatures, found.scale)
    every = [mode(optimizer, lr, curvature, axis) for curvature, axis in axes.items()]
    best, best_rate = _best(trial.optimizer, hyperparameters, lr, curvatures) if found.is_exact else ({}, math.nan)
    prediction = Prediction(
        point=point,
        modes=tuple(sorted(every, key=lambda one: -one.rate)),
        lr_limit=lr_limit(optimizer, curvatures[-1]),
        best=best,
        best_rate=best_rate,
        iterations_to_tolerance=None,
        holds_within=reach(optimizer, lr, curvatures[-1], found),
    )
    return replace(prediction, iterations_to_tolerance=_iterations_to_tolerance(plan, number, prediction, surface))


def directions(surface: Surface, point: CriticalPoint) -> dict[float, int | None]:
    """The different curvatures at a critical point, smallest first, and the coordinate along which each is found."""
    hessian = surface.hessian(np.array(point.point)[:, np.newaxis])[:, :, 0]
    if not np.isfinite(hessian).all():
        raise TheoryDoesNotApplyError(f"{surface.name} has a kink there, and no curvature")
    curvatures, vectors = np.linalg.eigh(hessian)
    scale = float(np.abs(curvatures).max()) or 1.0
    axes: dict[float, int | None] = {}
    for curvature, vector in zip(curvatures.tolist(), vectors.T, strict=True):
        axis = int(np.abs(vector).argmax())
        is_along = bool(abs(vector[axis]) > 1 - EQUAL)
        last = next(reversed(axes), None)
        if last is not None and abs(curvature - last) <= EQUAL * scale:
            axes[last] = None
        else:
            axes[curvature] = axis if is_along else None
    return axes


def lr_limit(optimizer: Optimizer[Any], curvature: float) -> float:
    """The smallest learning rate at which a method diverges along the steepest direction; infinite if none does."""
    if curvature <= 0:
        return 0.0
    # What is smooth alone is bounded by its eps, many orders of magnitude below the reach of what is linear.
    is_exact = linear_map(optimizer, np.array([1 / curvature]), np.array([curvature])).is_exact
    rates = np.geomspace(1e-3 if is_exact else 1e-15, 1e3, 601 if is_exact else 901) / curvature
    for slack in (1e-9, 0.0, 0.0, 0.0, 0.0):  # a grid, and finer ones between its last stable and first unstable
        unstable = spectral_radii(optimizer, rates, np.full_like(rates, curvature)) > 1 + slack
        if not unstable.any():
            return math.inf
        first = int(unstable.argmax())
        if first == 0:
            return 0.0
        rates = np.linspace(rates[first - 1], rates[first], 201)
    return float(rates[-1])


def _best(
    name: str, hyperparameters: Mapping[str, Value], lr: float, curvatures: Sequence[float]
) -> tuple[dict[str, float], float]:
    """The learning rate, and β where there is one, with the best rate over all curvatures: a grid, then finer ones."""
    least, most = min(curvatures), max(curvatures)
    if least <= 0:
        return {}, math.nan
    has_beta = any(parameter.name == "beta" for parameter in OPTIMIZERS[name].parameters())
    lr_low, lr_high = math.log(1e-2 / most), math.log(1e1 / least)
    decay_low, decay_high = math.log(1e-4), 0.0
    best, best_rate = {"lr": lr}, math.inf
    for _ in range(8):
        rates = np.exp(np.linspace(lr_low, lr_high, 61))
        betas = 1 - np.exp(np.linspace(decay_low, decay_high, 61)) if has_beta else np.zeros(1)
        lrs, every_beta = (mesh.ravel() for mesh in np.meshgrid(rates, betas))
        changed: dict[str, Any] = {**hyperparameters, **({"beta": every_beta} if has_beta else {})}
        optimizer = optimizer_of(name, changed)
        ends = [spectral_radii(optimizer, lrs, np.full_like(lrs, each)) for each in (least, most)]
        radii = np.maximum(*ends)
        winner = int(radii.argmin())
        if radii[winner] < best_rate:
            best_rate = float(radii[winner])
            best = {"lr": float(lrs[winner]), **({"beta": float(every_beta[winner])} if has_beta else {})}
        lr_reach, decay_reach = (lr_high - lr_low) / 12, (decay_high - decay_low) / 12
        middle = math.log(best["lr"])
        lr_low, lr_high = middle - lr_reach, middle + lr_reach
        if has_beta:
            decay = math.log(1 - best["beta"])
            decay_low, decay_high = decay - decay_reach, min(decay + decay_reach, 0.0)
    return best, best_rate


def optimizer_of(name: str, hyperparameters: Mapping[str, Any]) -> Optimizer[Any]:
    """The optimizer of that name; its hyperparameters without lr."""
    return OPTIMIZERS[name](**hyperparameters)


def _iterations_to_tolerance(plan: Plan, number: int, prediction: Prediction, surface: Surface) -> float | None:
    """From the loss at the start and the rate: when ``f₀ ρ²ᵏ`` meets the first of the tests that are set."""
    stopping = plan.stopping
    start = np.array(plan.trial(number).start)[:, np.newaxis]
    height = float(surface.value(start)[0]) - prediction.point.loss
    rate = prediction.rate
    if not stopping.can_converge:
        return None
    if not prediction.stable or not 0 < height < math.inf:
        return 0.0 if height == 0 else math.inf
    if rate == 0:
        return 1.0
    heights = []
    if stopping.target_loss is not None:
        heights.append(stopping.target_loss - prediction.point.loss)
    if stopping.tolerance is not None:
        heights.append(stopping.tolerance / max(1 - rate**2, 1e-300))
    if stopping.gradient_tolerance is not None:
        heights.append(stopping.gradient_tolerance**2 / (2 * max(abs(one.curvature) for one in prediction.modes)))
    wanted = max(heights)
    return max(0.0, math.log(wanted / height) / (2 * math.log(rate))) if wanted > 0 else math.inf
