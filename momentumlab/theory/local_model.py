"""The linear model of one trial near a critical point: fixed point, curvatures, linear map, and where it is valid.

Every prediction for a trial is derived from this model.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from momentumlab.optimizers import OPTIMIZERS, Optimizer
from momentumlab.parameters import Array
from momentumlab.plan import Plan, Trial
from momentumlab.surfaces import CriticalPoint, Surface, Tag
from momentumlab.theory.linear_map import (
    LATE,
    Bowl,
    LinearMap,
    TheoryDoesNotApplyError,
    check_constant,
    checked_map,
    full_map,
    linear_map,
    simulated,
    state_at_rest,
)
from momentumlab.theory.lr_limits import largest_radii
from momentumlab.theory.modes import EQUAL, NEUTRAL, Mode, dominant_eigenvalues, modes_of, responses
from momentumlab.theory.rate_fits import agrees, path_rate

FLAT = 64 * float(np.finfo(np.float64).eps)
"""A curvature below this share of the largest one, times the dimension, counts as zero."""

PROBES = 0.1, 1.0, 10.0
"""The distances at which the Hessian is compared with that of the critical point."""

VERIFIED = 0.03
"""Within the validity radius, rates and displacements differ from the prediction by at most this share.

The share refers to the digits gained per iteration for rates, and to the largest one of the path for displacements.
"""

FEWEST_VERIFYING, MOST_VERIFYING = 40, 400
"""Iterations of the runs that verify the validity radius."""

VERIFICATION_WORK = 10**9
"""Approximate limit on the multiplications of the verification on a surface that is a sum over data."""

Groups = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """The linear model of one trial near a critical point.

    Attributes
    ----------
    point
        The critical point of the surface.
    fixed_point
        The point at which the method comes to rest, ``(dim,)``; weight decay moves it away from the critical point.
    curvatures
        The distinct eigenvalues of the Hessian at the fixed point, ascending; exactly 0 if zero up to rounding.
    vectors
        All eigenvectors as columns, ``(dim, dim)``.
    groups
        The index into ``curvatures`` of each eigenvector, ``(dim,)``.
    axes
        For each curvature, the coordinate along which its eigenvector points; ``None`` if it points between
        coordinates or if there are several eigenvectors.
    map
        The linear map with one lane per curvature.
    is_quadratic
        Whether the Hessian is the same everywhere.
    """

    optimizer: Optimizer[Any]
    lr: float
    surface: Surface
    point: CriticalPoint
    fixed_point: Array
    curvatures: tuple[float, ...]
    vectors: Array
    groups: Groups
    axes: tuple[int | None, ...]
    map: LinearMap
    is_quadratic: bool

    @property
    def is_exact(self) -> bool:
        """Whether the model holds at any distance: the method is linear and the surface is quadratic."""
        return self.map.is_exact and self.is_quadratic

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """The behaviour along each distinct curvature, in their order."""
        return tuple(modes_of(self.optimizer, self.lr, self.curvatures, self.axes, self.map))

    @cached_property
    def rates(self) -> Array:
        """The spectral radius for each distinct curvature."""
        return self.map.rates

    @property
    def is_flat(self) -> NDArray[np.bool_]:
        """Whether neither the loss nor the method changes along a direction, for each distinct curvature."""
        flat: NDArray[np.bool_] = (np.array(self.curvatures) == 0) & (np.abs(self.rates - 1) <= NEUTRAL)
        return flat

    @property
    def curved(self) -> list[float]:
        """The curvatures of the directions that are not flat."""
        return [curvature for curvature, flat in zip(self.curvatures, self.is_flat, strict=True) if not flat]

    @property
    def rate(self) -> float:
        """The rate of the slowest direction; flat directions do not count."""
        return float(self.rates[~self.is_flat].max(initial=0.0))

    @property
    def is_stable(self) -> bool:
        """Whether every error shrinks, apart from neutral errors along flat directions."""
        return self.rate < 1 - NEUTRAL

    @property
    def rate_is_root_of_beta(self) -> bool:
        """Whether every direction that is not flat is underdamped and its rate is √β, as for heavy ball."""
        beta = getattr(self.optimizer, "beta", None)
        if not isinstance(beta, float) or self.map.period > 1 or self.is_flat.all():
            return False
        dominant = dominant_eigenvalues(self.map.matrices[~self.is_flat])
        is_underdamped = np.abs(dominant.imag) > EQUAL * np.abs(dominant)
        return bool((is_underdamped & (np.abs(np.abs(dominant) - math.sqrt(beta)) <= 1e-9)).all())

    def rates_along(self, name: str, values: Array) -> Array:
        """Return the rate for other values of lr or of a hyperparameter, all else being equal, ``(values,)``."""
        lrs = values if name == "lr" else np.full(len(values), self.lr)
        optimizer: Any = self.optimizer if name == "lr" else replace(cast(Any, self.optimizer), **{name: values})
        return largest_radii(optimizer, lrs, self.curved, self.map.period)

    def coefficients(self, x: Array) -> Array:
        """Return the displacement of points from the fixed point along each eigenvector, ``(dim, …)``."""
        along: Array = self.vectors.T @ (x.T - self.fixed_point).T
        return along

    def components(self, start: Array) -> Array:
        """Return the size of the displacement of a start within each eigenspace; rounding counts as 0."""
        along = np.abs(self.coefficients(start))
        sizes = np.zeros(len(self.curvatures))
        np.maximum.at(sizes, self.groups, along)
        # A start on an axis must not excite the other directions through rounding of the eigenvectors.
        sizes[sizes <= 1e-13 * max(float(np.abs(start).max()), float(sizes.max()))] = 0.0
        return sizes

    def linear_path(self, start: Array, iterations: int) -> Array:
        """Return the predicted path as displacements along the eigenvectors, ``(iterations + 1, dim)``."""
        with np.errstate(all="ignore"):  # diverging paths overflow
            path: Array = self._unit_response(iterations) * self.coefficients(start)
        return path

    def _unit_response(self, iterations: int) -> Array:
        """Return the displacement along each eigenvector from a unit displacement, ``(iterations + 1, dim)``."""
        blocks, count = [], 0
        for block in responses(self.optimizer, self.lr, np.array(self.curvatures), self.map):
            blocks.append(block)
            count += len(block)
            if count > iterations:
                break
        response: Array = np.concatenate(blocks)[: iterations + 1, self.groups]
        return response

    @cached_property
    def holds_within(self) -> float:
        """The distance from the fixed point within which runs behave as predicted; infinite if everywhere.

        The method itself is run from random starts, and along each eigenvector, at distances of 10⁻¹⁷ to 10⁶.
        """
        # The method limits the radius, and so may the surface. The method is tested first, on a quadratic, since it
        # can be tested there at any distance.
        radius = self._radius_on_quadratic(at_rest=False)
        # Closer to the point than this, rounding of its coordinates is visible.
        lowest = math.ceil(math.log10(1e-7 * max(1.0, float(np.abs(self.fixed_point).max()))))
        if not self.is_quadratic and radius >= 10.0**lowest:
            highest = 3 if math.isinf(radius) else round(math.log10(radius))
            radius = self._verified_radius(self.surface, self.fixed_point, range(lowest, highest + 1))
        return radius

    @cached_property
    def attracts_within(self) -> float:
        """The distance within which a method that has come to rest behaves linearly; infinite if everywhere.

        For a nonlinear method this may be larger than `holds_within`: the bias corrections of a new run are large.
        """
        return self._radius_on_quadratic(at_rest=True)

    def _radius_on_quadratic(self, *, at_rest: bool) -> float:
        """Return the validity radius on the quadratic with the same curvatures, where only the method limits it."""
        if self.map.is_exact:
            return math.inf
        bowl = Bowl(curvatures=np.array(self.curvatures)[self.groups][:, np.newaxis], vectors=self.vectors)
        return self._verified_radius(bowl, np.zeros(len(self.groups)), range(-17, 7), at_rest=at_rest)

    def _verified_radius(self, surface: Surface, centre: Array, powers: range, *, at_rest: bool = False) -> float:
        """Return the largest power of ten up to which all runs agree with the model; 0 if none does."""
        # Directions of the starts: some eigenvectors, and random directions with components along all of them.
        dimension, rate = len(centre), self.rate
        chosen = np.unique(np.linspace(0, dimension - 1, min(dimension, 6)).astype(int))
        mixed = np.random.default_rng(2).standard_normal((dimension, 4))
        directions = np.concatenate([mixed / np.linalg.norm(mixed, axis=0), self.vectors[:, chosen]], axis=1)

        # Iterations: enough for the slowest direction to gain a digit, without leaving the neighbourhood.
        per_digit = abs(2.3 / math.log(rate)) if 0 < rate != 1 else 0.0
        most = MOST_VERIFYING
        if self.surface.work:  # on data, what can be afforded
            affordable = VERIFICATION_WORK // (self.surface.work * FEWEST_VERIFYING * len(powers))
            directions, most = directions[:, : max(1, affordable)], FEWEST_VERIFYING
        iterations = int(min(max(per_digit * (1 if self.map.is_exact else 3), FEWEST_VERIFYING), most))
        if rate > 1:
            iterations = int(min(iterations, max(4.0, per_digit)))

        # Run the method from all distances at once: each lane is a direction at a distance.
        radii = np.repeat(10.0 ** np.array(powers), directions.shape[1])
        offsets = np.tile(directions, len(powers)) * radii
        first, state = 1, None
        if at_rest:
            first = LATE
            state = state_at_rest(self.optimizer, np.full(len(radii), self.lr), surface, dimension)
        starts = centre[:, np.newaxis] + offsets
        path, _ = simulated(self.optimizer, self.lr, surface, starts, iterations, first=first, state=state)

        # The radius is the last distance before the first one at which some run disagrees.
        rounding = 1e-12 * float(np.abs(centre).max())
        with np.errstate(all="ignore"):
            actual = self.vectors.T @ (path - centre[:, np.newaxis])
            predicted = self._unit_response(iterations)[:, :, np.newaxis] * (self.vectors.T @ offsets)
            agreeing = self._agreeing(actual, predicted, radii, rounding).reshape(len(powers), -1).all(axis=1)
        count = len(powers) if agreeing.all() else int(agreeing.argmin())
        return float(10.0 ** powers[count - 1]) if count else 0.0

    def _agreeing(self, actual: Array, predicted: Array, radii: Array, rounding: float) -> NDArray[np.bool_]:
        """Return which runs behave as predicted, both ``(iterations + 1, dim, lanes)``."""
        curved = ~self.is_flat[self.groups]  # a constant distance along flat directions would hide the others
        distances = np.linalg.norm(actual[:, curved], axis=1)
        expected = np.linalg.norm(predicted[:, curved], axis=1)
        if self.map.is_exact:
            gaps = np.linalg.norm((actual - predicted)[:, curved], axis=1)
            is_close = gaps.max(axis=0) <= VERIFIED * expected.max(axis=0) + 10 * rounding
        else:  # the first iterations of a nonlinear method differ
            is_close = np.ones(len(radii), dtype=bool)
        if self.map.is_exact or self.rate > 1:
            # The distance reached, relative to the digits gained or lost on the way.
            third = len(actual) // 3
            last, last_expected = distances[-third:].max(axis=0), expected[-third:].max(axis=0)
            error, digits = np.abs(np.log(last / last_expected)), np.abs(np.log(last_expected / radii))
            is_reached = (error <= VERIFIED * np.maximum(digits, 1.0)) & np.isfinite(error)
            # Distances within rounding cannot be compared.
            is_negligible = (last_expected <= 1e-12 * radii + 0.1 * rounding) & (last <= 1e-9 * radii + rounding)
            agreeing: NDArray[np.bool_] = is_close & (is_reached | is_negligible)
            return agreeing
        # Where only one of the two has a rate, for example because only one oscillates, they do not agree.
        times, floor = np.arange(len(actual)), max(1e-140, rounding)
        rates = [
            (path_rate(actual[:, curved, i], times, floor), path_rate(predicted[:, curved, i], times, floor))
            for i in range(len(radii))
        ]
        return np.array([a == b if a is None or b is None else agrees(a, b, VERIFIED) for a, b in rates])


def local_model(plan: Plan, number: int, point: CriticalPoint) -> LocalModel:
    """Return the linear model of a trial near a critical point of its surface.

    Raises
    ------
    TheoryDoesNotApplyError
        If there is none, with the reason.
    """
    surface = plan.surface_of(number)
    check_constant(plan.group_of(number).schedules)
    if "hessian" not in surface.provides(plan.dimension):
        raise TheoryDoesNotApplyError(f"the surface {surface.name} has no Hessian")
    optimizer, lr = optimizer_of(plan.trial(number))
    curvatures, vectors, groups, axes = eigenvectors(surface, np.array(point.point))
    found = checked_map(optimizer, lr, curvatures)
    # Weight decay moves the point of rest, where the curvatures may differ.
    fixed_point = _fixed_point(optimizer, lr, surface, np.array(point.point), found)
    if not np.array_equal(fixed_point, point.point):
        curvatures, vectors, groups, axes = eigenvectors(surface, fixed_point)
    # At a flat minimum such as that of x⁴ the linear map is the identity, and the loss decides by terms it ignores.
    is_quadratic = _is_quadratic(surface, fixed_point, plan.dimension)
    if not is_quadratic and 0.0 in curvatures and min(curvatures) >= 0:
        raise TheoryDoesNotApplyError(
            "the curvature is 0 along some direction, where higher-order terms decide, not the linear theory"
        )
    lanes = np.full(len(curvatures), lr), np.array(curvatures)
    return LocalModel(
        optimizer=optimizer,
        lr=lr,
        surface=surface,
        point=point,
        fixed_point=fixed_point,
        curvatures=tuple(curvatures),
        vectors=vectors,
        groups=groups,
        axes=tuple(axes),
        map=linear_map(optimizer, *lanes, period=found.period),
        is_quadratic=is_quadratic,
    )


def eigenvectors(surface: Surface, point: Array) -> tuple[list[float], Array, Groups, list[int | None]]:
    """Return the distinct curvatures at a point, the eigenvectors, their groups and the axes; see `LocalModel`."""
    hessian = surface.hessian(point[:, np.newaxis])[:, :, 0]
    if not np.isfinite(hessian).all():
        raise TheoryDoesNotApplyError(f"the surface {surface.name} has a kink there, and no curvature")
    values, vectors = np.linalg.eigh(hessian)
    # Rounding must not turn a flat direction into one that curves downwards.
    scale = float(np.abs(values).max())
    values[np.abs(values) <= FLAT * len(values) * scale] = 0.0
    curvatures: list[float] = []
    axes: list[int | None] = []
    groups = np.zeros(len(values), dtype=np.intp)
    for i, (curvature, vector) in enumerate(zip(values.tolist(), vectors.T, strict=True)):
        # The eigenvalues ascend, so equal ones follow each other; their eigenvectors span a plane or more.
        if curvatures and abs(curvature - curvatures[-1]) <= EQUAL * abs(curvature):
            axes[-1] = None
        else:
            axis = int(np.abs(vector).argmax())
            curvatures.append(curvature)
            axes.append(axis if abs(vector[axis]) > 1 - EQUAL else None)
        groups[i] = len(curvatures) - 1
    return curvatures, vectors, groups, axes


def _is_quadratic(surface: Surface, point: Array, dimension: int) -> bool:
    """Return whether the Hessian is the same at several random points; surfaces on data declare it."""
    if not surface.is_formula:
        return Tag.QUADRATIC in surface.instance_tags
    rng = np.random.default_rng(0)
    offsets = rng.standard_normal((dimension, len(PROBES))) * np.array(PROBES)
    with np.errstate(all="ignore"):
        hessians = surface.hessian(np.concatenate([point[:, np.newaxis], point[:, np.newaxis] + offsets], axis=1))
    scale = np.abs(hessians[:, :, 0]).max()
    return bool((np.abs(hessians - hessians[:, :, :1]) <= 1e-12 * scale).all())


def decay_of(optimizer: Optimizer[Any], lr: float) -> float:
    """Return the effective weight decay w: at rest, a point x contributes to the velocity like a gradient w x.

    Raises
    ------
    TheoryDoesNotApplyError
        If a nonlinear method has weight decay.
    """
    if optimizer.requires:  # these have no weight decay, and their steps are not defined on a flat surface
        return 0.0
    # On a flat surface only weight decay makes the velocity depend on the point.
    found = full_map(optimizer, np.array([lr]), np.zeros(1))
    if not found.is_exact:
        weight_decay = getattr(optimizer, "weight_decay", 0.0)
        if np.any(np.asarray(weight_decay)):
            raise TheoryDoesNotApplyError(
                f"weight decay moves the fixed point of {optimizer.name}, whose step is not linear in the gradients"
            )
        return 0.0
    # With x and g constant the state settles at s = (1 − A)⁻¹ (b x + c g), where A is the block of the matrix that maps
    # the state to itself. The decay is the ratio of the effects of x and of g on the velocity then.
    matrix, inputs = found.steps[0, 0], found.inputs[0, 0]
    settling = np.eye(len(matrix) - 1) - matrix[1:, 1:]
    from_point, from_gradient = (
        np.linalg.lstsq(settling, column, rcond=None)[0] for column in (matrix[1:, 0], inputs[1:])
    )
    by_point = 1 - (matrix[0, 0] + matrix[0, 1:] @ from_point)
    by_gradient = -(inputs[0] + matrix[0, 1:] @ from_gradient)
    decay = float(by_point / by_gradient) if by_gradient else 0.0
    return decay if abs(decay) > 1e-12 else 0.0


def _fixed_point(optimizer: Optimizer[Any], lr: float, surface: Surface, point: Array, found: LinearMap) -> Array:
    """Return the fixed point of the method, where ∇f(x) + w x = 0, by Newton's method from the critical point."""
    if found.period > 1 and np.any(np.asarray(getattr(optimizer, "weight_decay", 0.0))):
        raise TheoryDoesNotApplyError(f"{optimizer.name} is periodic and has weight decay")
    decay = decay_of(optimizer, lr) if found.period == 1 else 0.0
    if decay == 0:
        return point
    # Newton's method; the least-squares solution also covers flat directions, along which it does not move.
    x = point.astype(np.float64)
    for _ in range(50):
        residual = surface.gradient(x[:, np.newaxis])[:, 0] + decay * x
        jacobian = surface.hessian(x[:, np.newaxis])[:, :, 0] + decay * np.eye(len(x))
        step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        x = x - step
        if not np.isfinite(x).all():
            break
        if np.abs(step).max() <= 1e-15 * max(1.0, float(np.abs(x).max())):
            return x
    # On an ill-conditioned surface, rounding of the gradient keeps the steps larger than rounding of x.
    if np.isfinite(x).all() and float(np.abs(residual).max()) <= 1e-9:
        return x
    raise TheoryDoesNotApplyError("no fixed point was found near this point: weight decay moves it too far")


def optimizer_of(trial: Trial) -> tuple[Optimizer[Any], float]:
    """Return the optimizer of a trial and its learning rate."""
    hyperparameters: dict[str, Any] = dict(trial.hyperparameters)
    lr = float(hyperparameters.pop("lr"))
    return OPTIMIZERS[trial.optimizer](**hyperparameters), lr
