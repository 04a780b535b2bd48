"""Predictions for a trial near a critical point: stability, rate, the best hyperparameters, iterations needed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import Plan
from momentumlab.registry import Array, Value
from momentumlab.surfaces import CriticalPoint
from momentumlab.theory.linear_map import linear_map
from momentumlab.theory.local_model import LocalModel, local_model, optimizer_of
from momentumlab.theory.lr_limits import largest_radii, lr_limits, lr_range
from momentumlab.theory.modes import BLOCK, Mode, responses

LONGEST_COUNT = 100_000
"""Up to so many iterations the loss is computed; beyond, it is extrapolated with the rate."""

MOST_CRITICAL = 20
"""Of more directions, the critical β are not computed."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What theory states about one trial near one critical point, before it is run.

    Attributes
    ----------
    point
        The critical point of the surface.
    fixed_point
        Where the method comes to rest: the critical point, unless weight decay shifts it.
    modes
        One per distinct eigenvalue of the Hessian, the slowest first; flat directions of a quadratic come last.
    stable
        Whether every error shrinks, apart from neutral errors along flat directions.
    rate
        The factor by which the distance shrinks per iteration in the long run.
    lr_limit
        The learning rate at which it begins to diverge, all else being equal; NaN if it is unstable at every lr,
        infinite if it is stable at every lr.
    best
        The learning rate (and β, if the method has one) with the best rate; empty if there is none.
    best_rate
        That rate; NaN if there is none.
    iterations_to_tolerance
        The iterations that the trial takes to its tolerance or target from its start; ``None`` if it has none, or if
        it starts farther away than ``holds_within``, or the method is nonlinear; infinite if it never gets there.
    holds_within
        The distance from the fixed point within which all this holds; infinite if everywhere.
    is_linear
        Whether the step is linear in the gradients everywhere, not only close to the point.
    rate_is_root_of_beta
        Whether every direction is underdamped with rate √β, so that a smaller β is faster.
    critical_betas
        For each mode the smallest β from which on its dominant eigenvalues are complex; ``None`` if there is none.
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
    """Return what theory states about one trial near a critical point of its surface.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not apply, with the reason.
    """
    model = local_model(plan, number, point)
    trial = plan.trial(number)
    hyperparameters = {name: value for name, value in trial.hyperparameters.items() if name != "lr"}
    curved = [curvature for curvature, flat in zip(model.curvatures, model.is_flat, strict=True) if not flat]
    best, best_rate = (
        _best(trial.optimizer, hyperparameters, model.lr, curved, model.map.period)
        if curved and model.map.is_exact
        else ({}, math.nan)
    )
    order = sorted(range(len(model.modes)), key=lambda i: (model.is_flat[i], -model.modes[i].rate))
    critical = critical_betas(model)
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
        holds_within=model.holds_within,
        is_linear=model.map.is_exact,
        rate_is_root_of_beta=model.rate_is_root_of_beta,
        critical_betas=tuple(critical[i] for i in order) if critical else (),
    )


# Limits and optima of the hyperparameters


def _best(
    name: str, hyperparameters: Mapping[str, Value], lr: float, curvatures: Sequence[float], period: int
) -> tuple[dict[str, float], float]:
    """Return the learning rate, and β if there is one, with the best rate over all curvatures."""
    curvatures = sorted({min(curvatures), max(curvatures)})
    most = max(map(abs, curvatures)) or 1.0
    least = max(min(map(abs, curvatures)), 1e-12 * most)
    has_beta = any(parameter.name == "beta" for parameter in OPTIMIZERS[name].parameters())
    lowest, highest = (float(each[0]) for each in lr_range(optimizer_of(name, hyperparameters), curvatures))
    lr_low, lr_high = math.log(1e-2 * lowest), math.log(1e1 * highest)
    # The best 1 − β is about 2/√κ, so the range must extend beyond that.
    decay_low, decay_high = math.log(min(1e-4, 0.05 * math.sqrt(least / most))), 0.0
    best, best_rate = {"lr": lr}, math.inf

    def evaluate(lrs: Array, betas: Array) -> None:
        nonlocal best, best_rate
        changed: dict[str, Any] = {**hyperparameters, **({"beta": betas} if has_beta else {})}
        radii = largest_radii(optimizer_of(name, changed), lrs, curvatures, period)
        winner = int(radii.argmin())
        if radii[winner] < best_rate:
            best_rate = float(radii[winner])
            best = {"lr": float(lrs[winner]), **({"beta": float(betas[winner])} if has_beta else {})}

    # A grid, then finer ones around its best cell; the published optima lie on ridges that a grid can miss.
    evaluate(*map(np.array, zip(*_published(least, most), strict=True)))
    for step in range(8):
        rates = np.exp(np.linspace(lr_low, lr_high, 61))
        betas = 1 - np.exp(np.linspace(decay_low, decay_high, 61)) if has_beta else np.zeros(1)
        lrs, every_beta = (mesh.ravel() for mesh in np.meshgrid(rates, betas))
        evaluate(lrs, every_beta)
        lr_reach = (lr_high - lr_low) / (12 if step else 4)
        decay_reach = (decay_high - decay_low) / (12 if step else 4)
        middle = math.log(best["lr"])
        lr_low, lr_high = middle - lr_reach, middle + lr_reach
        if has_beta:
            decay = math.log(1 - best["beta"])
            decay_low, decay_high = decay - decay_reach, min(decay + decay_reach, 0.0)
    return (best, best_rate) if best_rate < 1 else ({}, math.nan)


def _published(least: float, most: float) -> list[tuple[float, float]]:
    """Return the optimal (lr, β) of gradient descent, heavy ball and Nesterov's method for curvatures in between.

    B. T. Polyak (1964) and L. Lessard, B. Recht and A. Packard, arXiv 1408.3595, table 1.
    """
    root, shifted = math.sqrt(most / least), math.sqrt(3 * most / least + 1)
    return [
        (2 / (least + most), 0.0),
        (4 / (math.sqrt(least) + math.sqrt(most)) ** 2, ((root - 1) / (root + 1)) ** 2),
        (4 / (3 * most + least), (shifted - 2) / (shifted + 2)),
    ]


def critical_betas(model: LocalModel) -> tuple[float | None, ...]:
    """Return for each curvature the smallest β from which on the dominant eigenvalues are complex.

    For heavy ball this is (1 − √(lr·λ))², for Nesterov's method (1 − √(lr·λ)) / (1 + √(lr·λ)).

    Returns
    -------
    tuple of float or None
        Empty if the method has no β or is not linear, or if there are too many directions; ``None`` for a direction
        that oscillates at no β.
    """
    names = [parameter.name for parameter in type(model.optimizer).parameters()]
    is_suitable = model.map.is_exact and model.map.period == 1 and len(model.curvatures) <= MOST_CRITICAL
    if "beta" not in names or not is_suitable:
        return ()
    hyperparameters = {name: getattr(model.optimizer, name) for name in names if name != "lr"}
    found: list[float | None] = []
    for curvature in model.curvatures:
        low, high = 0.0, 1 - 1e-9
        crossing: float | None = None
        for _ in range(4):  # a grid, then finer ones
            betas = np.linspace(low, high, 201)
            optimizer = optimizer_of(model.optimizer.name, {**hyperparameters, "beta": betas})
            lanes = np.full(len(betas), model.lr), np.full(len(betas), curvature)
            eigenvalues = np.linalg.eigvals(linear_map(optimizer, *lanes).matrices).astype(np.complex128)
            dominant = np.take_along_axis(eigenvalues, np.abs(eigenvalues).argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
            is_complex = np.abs(dominant.imag) > 0
            if not is_complex.any():
                break
            first = int(is_complex.argmax())
            crossing = float(betas[first])
            low, high = (float(betas[max(first - 1, 0)]), crossing)
            if first == 0:
                break
        found.append(crossing)
    return tuple(found)


# Iterations to the tolerance


def _iterations_to_tolerance(plan: Plan, number: int, model: LocalModel) -> float | None:
    """Return after how many iterations the first of the stopping tests is met, on the predicted path."""
    stopping = plan.stopping
    start = np.array(plan.trial(number).start)
    along = model.coefficients(start)
    distance = float(np.linalg.norm(along))
    if not stopping.can_converge or not model.map.is_exact or distance > model.holds_within:
        return None
    if not math.isfinite(distance):
        return math.inf
    # Near the fixed point the loss is f̂ + Σ (slope d + ½ λ d²), d the displacement along each eigenvector.
    every = np.array(model.curvatures)[model.groups]
    fixed = model.fixed_point[:, np.newaxis]
    slopes = model.vectors.T @ model.surface.gradient(fixed)[:, 0] if model.fixed_point.any() else np.zeros(len(every))
    if np.array_equal(model.fixed_point, model.point.point):
        slopes = np.zeros(len(every))
    base = float(model.surface.value(fixed)[0])

    previous, count, small_changes = math.nan, 0, 0
    for block in _displacements(model, along):
        met = np.zeros(len(block), dtype=bool)
        with np.errstate(all="ignore"):
            heights = (block * slopes + 0.5 * every * block**2).sum(axis=1)
            losses = base + heights
            if stopping.tolerance is not None:
                # Differences of heights: the loss itself may be so large that they are lost in rounding.
                is_small = np.abs(np.diff(heights, prepend=previous)) <= stopping.tolerance
                lengths = _run_lengths(is_small, small_changes)
                met |= lengths >= stopping.patience
                small_changes = int(lengths[-1])
            if stopping.gradient_tolerance is not None:
                met |= np.sqrt(((slopes + every * block) ** 2).sum(axis=1)) <= stopping.gradient_tolerance
            if stopping.target_loss is not None:
                met |= losses <= stopping.target_loss
        if met.any():
            return float(count + int(met.argmax()))
        previous, count = float(heights[-1]), count + len(block)
        if not np.isfinite(heights[-1]) or count > LONGEST_COUNT:
            break
    return _extrapolated(stopping, model, previous, base, count) if model.is_stable else math.inf


def _run_lengths(is_small: NDArray[np.bool_], before: int) -> NDArray[np.int64]:
    """Return how many successive entries up to each one are true, with ``before`` true ones in front of the first."""
    places = np.arange(1, len(is_small) + 1)
    lengths: NDArray[np.int64] = places - np.maximum.accumulate(np.where(is_small, -before, places))
    return lengths


def _displacements(model: LocalModel, along: Array) -> Iterator[Array]:
    """Yield blocks of the predicted path along the eigenvectors, ``(iterations, dim)``."""
    for block in responses(model.optimizer, model.lr, np.array(model.curvatures), model.map, BLOCK):
        with np.errstate(all="ignore"):
            displaced = block[:, model.groups] * along
        yield displaced


def _extrapolated(stopping: Any, model: LocalModel, height: float, base: float, count: int) -> float:
    """Return when the height above the fixed point, which shrinks as ρ²ᵏ, meets the first of the tests."""
    rate = model.rate
    heights = []
    if stopping.target_loss is not None:
        heights.append(stopping.target_loss - base)
    if stopping.tolerance is not None:
        heights.append(stopping.tolerance / max(1 - rate**2, 1e-300))
    if stopping.gradient_tolerance is not None:
        heights.append(stopping.gradient_tolerance**2 / (2 * max(map(abs, model.curvatures))))
    wanted = max(heights)
    if wanted <= 0 or height <= 0:
        return math.inf
    further = max(0.0, math.log(wanted / height) / (2 * math.log(rate)))
    return count + further + int(stopping.patience) - 1
