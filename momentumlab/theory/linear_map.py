"""The linear map of a method near a minimum, computed from the method's own step.

On a quadratic with curvature λ, an optimizer whose velocity is linear in the gradients is a linear map of its point
and its state. The matrix is found by applying one iteration to unit vectors. A smooth nonlinear method has such a map
for small distances: the same is done with vectors so short that doubling them doubles the result.

A rule may also be periodic, for instance one that averages its iterates every seven iterations. One period is then a
fixed linear map, the product of the maps of its iterations.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.errors import MomentumLabError
from momentumlab.optimizers import Here, Optimizer
from momentumlab.plugins import plugin_error
from momentumlab.registry import Array
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.surfaces.quadratics import Parabola

SCALES = (1.0, 1e-6, 1e-17)
"""Distances from the minimum at which linearity is tested; the last is far below the usual eps of 1e-8."""

LINEAR = (1e-9, 1e-5, 1e-5)
"""The relative error allowed at each of these scales."""

EARLY = 10**6
LATE = 10**9
"""Iterations at which the map is computed; bias corrections have converged at both."""

LONGEST_PERIOD = 64
"""Periods up to this length are detected."""

SETTLING = 3, 50
"""How often the state at rest is extrapolated to its limit, and the iterations before each extrapolation."""

SHORT = 6
"""The number of iterations in which directions must not mix."""

FADING = 1e-9
"""The share of a state component that must decay per iteration, if the method is to forget its past."""


class TheoryDoesNotApplyError(MomentumLabError):
    """The linear theory does not apply; the message says why."""

    exit_code = 2


@contextlib.contextmanager
def plugins_may_fail(*classes: type) -> Iterator[None]:
    """Turn an exception of a user's surface or optimizer into `TheoryDoesNotApplyError`.

    Theory evaluates points and array shapes that a run does not. A run that went well must not fail because of them.

    Parameters
    ----------
    *classes
        The surface and the optimizer that are evaluated. If one of them is a user's class, it is also responsible for
        exceptions that this package raises, such as for an array of the wrong shape.

    Raises
    ------
    TheoryDoesNotApplyError
        In place of the exception, which is the ``__cause__``.
    """
    try:
        yield
    except Exception as error:
        failure = plugin_error(error, classes=classes)
        if failure is None:
            raise
        raise TheoryDoesNotApplyError(f"the plug-in raised an exception: {failure}") from error


def check_constant(schedules: Mapping[str, object]) -> None:
    """Check that no hyperparameter follows a schedule.

    Parameters
    ----------
    schedules
        The scheduled hyperparameters, by name.

    Raises
    ------
    TheoryDoesNotApplyError
        If there are any.
    """
    if schedules:
        verb = "follows" if len(schedules) == 1 else "follow"
        raise TheoryDoesNotApplyError(f"{' and '.join(schedules)} {verb} a schedule, so the method changes with time")


@dataclass(frozen=True, kw_only=True)
class LinearMap:
    """One period of a method as matrices, for several learning rates and curvatures at once.

    The first component is the point, the others are the state.

    Attributes
    ----------
    steps
        The matrix of each iteration of one period, beginning with iterations 1, period + 1, …;
        ``(period, lanes, n, n)``.
    inputs
        The effect of a gradient error of 1 in each of these iterations, ``(period, lanes, n)``.
    components
        The components of the point and the whole state to which the matrices belong, ``n`` indices.
    scale
        The distance from the minimum at which the map was computed; 1 if the method is linear everywhere.
    """

    steps: Array
    inputs: Array
    components: tuple[int, ...]
    scale: float

    @property
    def is_exact(self) -> bool:
        """Whether the map holds at any distance from the minimum of a quadratic."""
        return self.scale == 1.0

    @property
    def period(self) -> int:
        """The number of iterations after which the rule repeats; 1 for a rule that does not depend on time."""
        return len(self.steps)

    @property
    def matrices(self) -> Array:
        """The product of the matrices over one period, ``(lanes, n, n)``."""
        product: Array = self.steps[0]
        for step in self.steps[1:]:
            product = step @ product
        return product

    @property
    def rates(self) -> Array:
        """The spectral radius per iteration, ``(lanes,)``."""
        radii: Array = np.abs(np.linalg.eigvals(self.matrices)).max(axis=1)
        if self.period > 1:
            radii **= 1 / self.period
        return radii

    @property
    def coupled(self) -> list[int]:
        """The components that influence the point and are influenced by it, from the pattern of the matrices."""
        # The map of a nonlinear method contains second-order terms in the distance, which do not count.
        count = self.steps.shape[-1]
        links = (np.abs(self.steps) > (0.0 if self.is_exact else 1e-6)).any(axis=(0, 1))
        reaches = np.linalg.matrix_power((links | np.eye(count, dtype=bool)).astype(np.float64), count) > 0
        return [i for i in range(count) if reaches[i, 0] and reaches[0, i]]

    def among(self, kept: Sequence[int]) -> "LinearMap":
        """Return the map restricted to some components."""
        kept = list(kept)
        return LinearMap(
            steps=self.steps[:, :, kept][:, :, :, kept],
            inputs=self.inputs[:, :, kept],
            components=tuple(self.components[i] for i in kept),
            scale=self.scale,
        )


def linear_map(
    optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int | Array = LATE, period: int = 1
) -> LinearMap:
    """Return the map of one iteration on ½ λ x², restricted to the point and the state components it depends on.

    Parameters
    ----------
    optimizer
        Hyperparameters are numbers or have shape ``(lanes,)``.
    lr, curvature
        ``(lanes,)``
    t
        The iteration at which the map is computed, a number or ``(lanes,)``; ignored for periodic rules.
    period
        The period of the rule.

    Raises
    ------
    TheoryDoesNotApplyError
        If the step is not smooth, or depends permanently on time or on the path.
    """
    whole = full_map(optimizer, lr, curvature, t=t, period=period)
    return whole.among(whole.coupled)


def full_map(
    optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int | Array = LATE, period: int = 1
) -> LinearMap:
    """Return the map with every component of the state; parameters and errors as in `linear_map`."""
    surface = Parabola(a=curvature / 2)
    rest = state_at_rest(optimizer, lr, surface)
    first = LATE - LATE % period + 1  # the same phase as iteration 1
    times: list[int | Array] = [t] if period == 1 else [first + i for i in range(period)]
    for scale, exactness in zip(SCALES, LINEAR, strict=True):
        found = _map_at_scale(optimizer, lr, surface, rest, times, scale, exactness)
        if found is None:
            continue
        # A component that never decays must not influence the map: else the result depends on the path.
        for permanent in _permanent_components(found):
            other = _moved(rest, np.eye(found.steps.shape[-1])[1:, [permanent]] * np.ones(len(lr)))
            changed = _map_at_scale(optimizer, lr, surface, other, times, scale, exactness)
            coupled = np.ix_(range(found.period), range(len(lr)), found.coupled)
            if changed is None or not np.allclose(changed.steps[coupled], found.steps[coupled]):
                raise TheoryDoesNotApplyError(
                    f"{optimizer.name} never forgets its path: its behaviour near the minimum depends on the way there"
                )
        return found
    raise TheoryDoesNotApplyError(f"the step of {optimizer.name} is not smooth in the gradient")


def _map_at_scale(
    optimizer: Optimizer[Any],
    lr: Array,
    surface: Surface,
    rest: Any,
    times: Sequence[int | Array],
    scale: float,
    exactness: float,
) -> LinearMap | None:
    """Return the map at one scale; ``None`` if the step is not linear there."""
    lanes = len(lr)
    count = 1 + sum(array[..., 0].size for array in rest if isinstance(array, np.ndarray))
    units = [np.eye(count)[:, [i]] * np.ones(lanes) for i in range(count)]
    steps, inputs = [], []
    for t in times:

        def stepped(x: Array, state: Any, push: float, t: int | Array = t) -> tuple[Array, Any]:
            here = Here(x, t, surface.value(x), lr, surface, lambda y: surface.gradient(y) + push)
            with np.errstate(all="ignore"):
                velocity, following = optimizer.step(state, here.gradient(x), here)
            return x - lr * velocity, following

        _, base = stepped(np.zeros((1, lanes)), rest, 0.0)

        def iterated(vector: Array, push: float = 0.0, base: Any = base, stepped: Any = stepped) -> Array:
            """Return the image of a short vector added to ``rest``, ``(n, lanes)``."""
            x, following = stepped(scale * vector[:1], _moved(rest, scale * vector[1:]), scale * push)
            return np.concatenate([x, difference(following, base, lanes)]) / scale

        matrices = np.stack([iterated(unit) for unit in units], axis=1).transpose(2, 0, 1)
        pushed = iterated(np.zeros((count, lanes)), push=1.0).T
        found = LinearMap(
            steps=matrices[np.newaxis], inputs=pushed[np.newaxis], components=tuple(range(count)), scale=scale
        )
        # The matrices must give the image of any vector, not only of the unit vectors.
        kept = list(range(count)) if found.is_exact else found.coupled
        rng = np.random.default_rng(0)
        for _ in range(2):
            vector = np.zeros((count, lanes))
            vector[kept] = rng.standard_normal((len(kept), lanes))
            expected = np.einsum("lij,jl->il", matrices, vector)[kept]
            size = np.abs(expected).max(axis=0) + np.abs(vector).max(axis=0)
            if not (np.abs(iterated(vector)[kept] - expected).max(axis=0) <= exactness * size).all():
                return None
        steps.append(matrices[np.newaxis])
        inputs.append(pushed[np.newaxis])
    return LinearMap(
        steps=np.concatenate(steps), inputs=np.concatenate(inputs), components=tuple(range(count)), scale=scale
    )


def _permanent_components(found: LinearMap) -> list[int]:
    """Return the state components that a nonlinear method keeps for ever once it has come to rest."""
    coupled, count = found.coupled, found.steps.shape[-1]
    if found.is_exact:
        return []
    diagonal = np.abs(found.steps.diagonal(axis1=2, axis2=3)).min(axis=0)
    return [i for i in range(count) if i not in coupled and (diagonal[:, i] > 1 - FADING).any()]


def state_at_rest(optimizer: Optimizer[Any], lr: Array, surface: Surface, dimension: int = 1) -> Any:
    """Return the state of the method after standing at the minimum, the origin, for a long time."""
    x = np.zeros((dimension, len(lr)))
    g, here = np.zeros_like(x), Here(x, LATE, surface.value(x), lr, surface)
    state = optimizer.init(x)
    if any(isinstance(array, np.ndarray) and array.dtype == object for array in state):
        raise TheoryDoesNotApplyError(f"the state of {optimizer.name} consists of objects of another library")
    with np.errstate(all="ignore"):
        for _ in range(SETTLING[0]):
            changes: list[Array] = []
            for _ in range(SETTLING[1]):
                _, following = optimizer.step(state, g, here)
                changes = [*changes[-1:], difference(following, state, len(lr))]
                if np.abs(changes[-1]).max(initial=0.0) <= 1e-18:
                    return following
                state = following
            # Powers of β decay by a constant factor: Aitken's extrapolation gives their limit.
            previous, last = changes
            left = last * last / (previous - last)
            state = _moved(state, np.where(np.isfinite(left), left, 0.0))
    raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")


def _moved(state: Any, vector: Array) -> Any:
    """Return the state with a vector of shape ``(n − 1, lanes)`` added to its arrays."""
    fields, first = [], 0
    for value in state:
        if isinstance(value, np.ndarray):
            size = value[..., 0].size
            fields.append(value + vector[first : first + size].reshape(value.shape))
            first += size
        else:
            fields.append(value)
    return type(state)(*fields)


def difference(state: Any, other: Any, lanes: int) -> Array:
    """Return the difference of two states as a vector, ``(n − 1, lanes)``."""
    parts = [
        (one - two).reshape(-1, lanes) for one, two in zip(state, other, strict=True) if isinstance(one, np.ndarray)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, lanes))


def spectral_radii(optimizer: Optimizer[Any], lr: Array, curvature: Array, *, period: int = 1) -> Array:
    """Return the rate of each lane, ``(lanes,)``; parameters and errors as in `linear_map`."""
    return linear_map(optimizer, lr, curvature, period=period).rates


def check_steady(optimizer: Optimizer[Any], lr: float, curvature: float) -> LinearMap:
    """Check that a method has a fixed or periodic linear map, and return it with one lane.

    Raises
    ------
    TheoryDoesNotApplyError
        If its map changes with time in any other way, or if it has none.
    """
    # One lane per iteration: consecutive iterations reveal every period up to the longest one considered.
    count = 3 * LONGEST_PERIOD
    lrs, curvatures = np.full(count, lr), np.full(count, curvature)
    maps = linear_map(optimizer, lrs, curvatures, t=LATE + np.arange(float(count))).steps[0]
    period = next((p for p in range(1, LONGEST_PERIOD + 1) if _equal(maps[p:], maps[:-p])), None)
    if period is not None:
        # A slow change is invisible in consecutive iterations, but not between distant ones.
        early = linear_map(optimizer, lrs, curvatures, t=EARLY + np.arange(float(count))).steps[0]
        aligned = (EARLY - LATE) % period
        if maps.shape == early.shape and _equal(maps[aligned : aligned + count // 2], early[: count // 2]):
            return linear_map(optimizer, lrs[:1], curvatures[:1], period=period)
    raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")


def _equal(maps: Array, others: Array) -> bool:
    return bool(np.allclose(maps, others, rtol=1e-9, atol=1e-12))


def check_decoupled(optimizer: Optimizer[Any], lr: float, curvatures: Sequence[float], found: LinearMap) -> None:
    """Check that a method with this map treats each eigenvector as it would in one dimension.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not, or if it has no linear map.
    """
    curvature = np.array([[curvatures[0]], [curvatures[-1]]])
    rng = np.random.default_rng(1)
    scale, iterations = found.scale, SHORT + (found.period if found.period > 1 else 0)
    if not found.is_exact:  # the iterates must still be very small after these iterations
        radii = spectral_radii(optimizer, np.full(2, lr), curvature[:, 0])
        scale = SCALES[-1] * math.exp(-iterations * math.log(max(1.0, *radii)))
    x = scale * rng.standard_normal((2, 1))
    alone = [_late_point(optimizer, lr, curvature[i : i + 1], x[i : i + 1], iterations) for i in range(2)]
    together = _late_point(optimizer, lr, curvature, x, iterations)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    rotated: Array = turn @ np.diag(curvature[:, 0]) @ turn.T
    turned = turn.T @ _late_point(optimizer, lr, rotated, turn @ x, iterations)
    size = max(scale, float(np.abs(together).max()))
    allowed = 1e-8 if scale == 1 else 1e-4
    for other in (np.concatenate(alone), turned):
        if not np.abs(other - together).max() <= allowed * size:
            raise TheoryDoesNotApplyError(
                f"{optimizer.name} mixes the directions, so the curvatures do not determine its behaviour"
            )


@dataclass(frozen=True, kw_only=True)
class Bowl(Surface):
    """½ xᵀ H x, with H a matrix or a column of curvatures."""

    matrix: Any = None

    name = "bowl"
    formula = latex = source = ""
    dimension = None
    view = ((-1.0, 1.0),)
    start = (1.0,)

    def value(self, x: Array) -> Array:
        """Return ½ xᵀ H x."""
        value: Array = 0.5 * (x * self.gradient(x)).sum(axis=0)
        return value

    def gradient(self, x: Array) -> Array:
        """Return H x."""
        is_column = self.matrix.shape[1] == 1
        gradient: Array = self.matrix * x if is_column else self.matrix @ x
        return gradient

    def hessian(self, x: Array) -> Array:
        """Return H for each lane."""
        matrix = np.diag(self.matrix[:, 0]) if self.matrix.shape[1] == 1 else self.matrix
        hessian: Array = np.broadcast_to(matrix[:, :, np.newaxis], (*matrix.shape, x.shape[1]))
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """Return the minimum at the origin."""
        return Parabola().critical_points(1)


def _late_point(optimizer: Optimizer[Any], lr: float, matrix: Array, x: Array, iterations: int) -> Array:
    """Return the point after a few late iterations, ``(dim, 1)``."""
    path, _ = simulated(optimizer, lr, Bowl(matrix=matrix), x, iterations, first=LATE)
    last: Array = path[-1]
    return last


def simulated(
    optimizer: Optimizer[Any],
    lr: float,
    surface: Surface,
    x: Array,
    iterations: int,
    *,
    first: int = 1,
    state: Any = None,
) -> tuple[Array, Any]:
    """Run a method from several starts without noise, stopping tests or schedules.

    Parameters
    ----------
    x
        The starts, ``(dim, lanes)``.
    first
        The number of the first iteration.
    state
        The initial state; by default that of a new run.

    Returns
    -------
    path, state
        ``(iterations + 1, dim, lanes)``, and the state after the last iteration.
    """
    lrs, path = np.full(x.shape[1], lr), np.empty((iterations + 1, *x.shape))
    path[0] = x
    state = optimizer.init(x) if state is None else state
    with np.errstate(all="ignore"):
        for k in range(iterations):
            here = Here(x, first + k, surface.value(x), lrs, surface)
            velocity, state = optimizer.step(state, surface.gradient(x), here)
            x = x - lrs * velocity
            path[k + 1] = x
    return path, state
