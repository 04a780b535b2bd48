"""The linear map of a method near a minimum, computed from the method's own step.

On a quadratic with curvature λ, an optimizer whose velocity is linear in the gradients is a linear map of its point
and its state. The matrix is found by applying one iteration to unit vectors. A smooth nonlinear method has such a map
for small distances; it is found in the same way with very short vectors.

A rule may also be periodic, for instance one that averages its iterates every seven iterations. One period is then a
fixed linear map, the product of the maps of its iterations.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.errors import MomentumLabError
from momentumlab.optimizers import Here, Optimizer
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Array
from momentumlab.plugins import plugin_error
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.surfaces.base import minimum

SCALES = {1.0: 1e-9, 1e-6: 1e-5, 1e-17: 1e-5}
"""Distances at which linearity is tested, with the relative error allowed; the last is far below an eps of 1e-8."""

EARLY = 10**6
LATE = 10**9
"""Iterations at which the map is computed; bias corrections have converged at both."""

LONGEST_PERIOD = 64
"""The longest period, in iterations, of a rule that is recognized as periodic."""

EXTRAPOLATIONS, SETTLING_ITERATIONS = 3, 50
"""The state at rest is iterated this many times before each of this many extrapolations."""

MIXING_ITERATIONS = 6
"""Number of iterations for which the mixing of directions is tested."""

TINY = 1e-100
"""A distance that stays far below every eps in a few iterations, whatever the learning rate; its square is a number."""

LEAST_DECAY = 1e-9
"""A state component that decays by a smaller share per iteration is permanent."""


class TheoryDoesNotApplyError(MomentumLabError):
    """The linear theory does not apply; the message says why."""

    exit_code = 2


@contextlib.contextmanager
def plugins_may_fail(*classes: type) -> Iterator[None]:
    """Turn an exception of a user's surface or optimizer into `TheoryDoesNotApplyError`.

    Theory evaluates them at points and for array shapes that do not occur in a run, and must not make a successful run
    fail.

    Parameters
    ----------
    *classes
        The surface and the optimizer that are evaluated. A user's class among them is also responsible for exceptions
        that this package raises, for example because an array has the wrong shape.
    """
    try:
        yield
    except Exception as error:
        failure = plugin_error(error, classes=classes)
        if failure is None:
            raise
        raise TheoryDoesNotApplyError(f"the plug-in raised an exception: {failure}") from error


def check_constant(schedules: Mapping[str, object]) -> None:
    """Raise `TheoryDoesNotApplyError` if any hyperparameter follows a schedule."""
    if schedules:
        names = ["lr" if name == LR_SCHEDULE else name for name in schedules]
        verb = "follows" if len(names) == 1 else "follow"
        raise TheoryDoesNotApplyError(f"{' and '.join(names)} {verb} a schedule, so the method changes with time")


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
        return radii if self.period == 1 else radii ** (1 / self.period)

    @property
    def coupled(self) -> list[int]:
        """The components that influence the point and are influenced by it."""
        # Entry (i, j) of a matrix links component j to component i. The map of a nonlinear method also contains terms
        # of second order in the distance, which are not links.
        count = self.steps.shape[-1]
        links = (np.abs(self.steps) > (0.0 if self.is_exact else 1e-6)).any(axis=(0, 1))
        # Paths of up to n links are the nonzero entries of (1 + links)ⁿ.
        reaches = np.linalg.matrix_power((links | np.eye(count, dtype=bool)).astype(np.float64), count) > 0
        return [i for i in range(count) if reaches[i, 0] and reaches[0, i]]


@dataclass(frozen=True, kw_only=True)
class Bowl(Surface):
    """The quadratic with given curvatures along orthonormal vectors.

    Attributes
    ----------
    curvatures
        ``(dim, 1)``, or ``(1, lanes)`` in one dimension.
    vectors
        The directions as columns, ``(dim, dim)``; ``None`` for the coordinate axes.
    """

    curvatures: Any
    vectors: Any = None

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
        if self.vectors is None:
            gradient: Array = self.curvatures * x
        else:
            gradient = self.vectors @ (self.curvatures * (self.vectors.T @ x))
        return gradient

    def hessian(self, x: Array) -> Array:
        """Return H in each lane."""
        vectors = np.eye(len(x)) if self.vectors is None else self.vectors
        hessian: Array = np.einsum("ik,kl,jk->ijl", vectors, self.curvatures * np.ones(x.shape[1]), vectors)
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        """Return the minimum at the origin."""
        return (minimum(*(0.0,) * dim),)


def linear_map(
    optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int | Array = LATE, period: int = 1
) -> LinearMap:
    """Return the map of one iteration on ½ λ x², restricted to the point and the state components it depends on.

    Parameters
    ----------
    optimizer
        The method; each hyperparameter is a number or an array of shape ``(lanes,)``.
    lr, curvature
        The learning rates and the curvatures λ, ``(lanes,)``.
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
    kept = whole.coupled
    return LinearMap(
        steps=whole.steps[:, :, kept][:, :, :, kept],
        inputs=whole.inputs[:, :, kept],
        components=tuple(kept),
        scale=whole.scale,
    )


def full_map(
    optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int | Array = LATE, period: int = 1
) -> LinearMap:
    """Return the map with every component of the state; parameters and errors as in `linear_map`."""
    surface = Bowl(curvatures=curvature[np.newaxis])
    rest = state_at_rest(optimizer, lr, surface)
    first = LATE - LATE % period + 1  # the same phase as iteration 1
    times: list[int | Array] = [t] if period == 1 else [first + i for i in range(period)]
    # Try the scales from large to small: a method that is linear at a distance of 1 is linear everywhere; a smooth one
    # only where the distance is small compared with its eps.
    for scale in SCALES:
        found = _map_at_scale(optimizer, lr, surface, rest, times, scale)
        if found is None:
            continue
        # A state component that a nonlinear method retains at the minimum, such as a sum of squared gradients, must not
        # influence the map: otherwise the map depends on the path.
        diagonal = np.abs(found.steps.diagonal(axis1=2, axis2=3)).min(axis=0)
        retained = np.flatnonzero((diagonal > 1 - LEAST_DECAY).any(axis=0)).tolist()
        for permanent in [] if found.is_exact else [i for i in retained if i not in found.coupled]:
            # Recompute the map with another value of this component.
            displacement = np.zeros((found.steps.shape[-1] - 1, len(lr)))
            displacement[permanent - 1] = 1.0
            changed = _map_at_scale(optimizer, lr, surface, _displaced(rest, displacement), times, scale)
            coupled = np.ix_(range(found.period), range(len(lr)), found.coupled)
            if changed is None or not np.allclose(changed.steps[coupled], found.steps[coupled]):
                raise TheoryDoesNotApplyError(
                    f"{optimizer.name} never forgets its path: its behaviour near the minimum depends on the way there"
                )
        return found
    raise TheoryDoesNotApplyError(f"the step of {optimizer.name} is not smooth in the gradient")


def _map_at_scale(
    optimizer: Optimizer[Any], lr: Array, surface: Surface, rest: Any, times: Sequence[int | Array], scale: float
) -> LinearMap | None:
    """Return the map at one scale; ``None`` if the step is not linear there."""
    lanes = len(lr)
    count = 1 + len(flattened(rest, lanes))

    def iterated(vector: Array, t: int | Array, push: float = 0.0) -> Array:
        """Return point and state one iteration after a displacement from rest, ``(n, lanes)``."""
        x = scale * vector[:1]
        here = Here(x, t, surface.value(x), lr, surface, lambda y: surface.gradient(y) + scale * push)
        velocity, following = optimizer.step(_displaced(rest, scale * vector[1:]), here.gradient(x), here)
        return np.concatenate([x - lr * velocity, flattened(following, lanes)])

    steps, inputs = [], []
    with np.errstate(all="ignore"):
        for t in times:
            # The images of the unit vectors are the columns of the matrix.
            at_rest = iterated(np.zeros((count, lanes)), t)
            columns = [iterated(np.eye(count)[:, [i]] * np.ones(lanes), t) - at_rest for i in range(count)]
            matrices = np.stack(columns, axis=1).transpose(2, 0, 1) / scale
            pushed = (iterated(np.zeros((count, lanes)), t, push=1.0) - at_rest).T / scale
            found = LinearMap(
                steps=matrices[np.newaxis], inputs=pushed[np.newaxis], components=tuple(range(count)), scale=scale
            )
            # The matrix must give the image of any vector, not only of the unit vectors. For a nonlinear method only
            # the components coupled with the point count: the others, such as averages of g², are quadratic.
            kept = list(range(count)) if found.is_exact else found.coupled
            rng = np.random.default_rng(0)
            for _ in range(2):
                vector = np.zeros((count, lanes))
                vector[kept] = rng.standard_normal((len(kept), lanes))
                expected = np.einsum("lij,jl->il", matrices, vector)[kept]
                error = np.abs((iterated(vector, t) - at_rest)[kept] / scale - expected).max(axis=0)
                size = np.abs(expected).max(axis=0) + np.abs(vector).max(axis=0)
                if not (error <= SCALES[scale] * size).all():
                    return None
            steps.append(matrices)
            inputs.append(pushed)
    return LinearMap(steps=np.stack(steps), inputs=np.stack(inputs), components=tuple(range(count)), scale=scale)


def state_at_rest(optimizer: Optimizer[Any], lr: Array, surface: Surface, dimension: int = 1) -> Any:
    """Return the state of the method after it has stayed at the minimum, the origin, for a long time."""
    x = np.zeros((dimension, len(lr)))
    g, here = np.zeros_like(x), Here(x, LATE, surface.value(x), lr, surface)
    state = optimizer.init(x)
    if any(isinstance(array, np.ndarray) and array.dtype == object for array in state):
        raise TheoryDoesNotApplyError(f"the state of {optimizer.name} consists of objects of another library")
    with np.errstate(all="ignore"):
        for _ in range(EXTRAPOLATIONS):
            changes: list[Array] = []
            for _ in range(SETTLING_ITERATIONS):
                _, following = optimizer.step(state, g, here)
                changes = [*changes[-1:], flattened(following, len(lr)) - flattened(state, len(lr))]
                if np.abs(changes[-1]).max(initial=0.0) <= 1e-18:
                    return following
                state = following
            # Powers of β decay by a constant factor per iteration, which may be close to 1: Aitken's extrapolation
            # gives their limit from the last two changes.
            previous, last = changes
            remaining = last * last / (previous - last)
            state = _displaced(state, np.where(np.isfinite(remaining), remaining, 0.0))
    raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")


def _displaced(state: Any, vector: Array) -> Any:
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


def flattened(state: Any, lanes: int) -> Array:
    """Return the arrays of a state as one, ``(n − 1, lanes)``."""
    parts = [value.reshape(-1, lanes) for value in state if isinstance(value, np.ndarray)]
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
    # Compute the maps of many consecutive iterations at once, one per lane. The smallest shift under which they are
    # equal is the period.
    count = 3 * LONGEST_PERIOD
    lrs, curvatures = np.full(count, lr), np.full(count, curvature)
    late, early = (
        linear_map(optimizer, lrs, curvatures, t=first + np.arange(float(count))).steps[0] for first in (LATE, EARLY)
    )
    equal = functools.partial(np.allclose, rtol=1e-9, atol=1e-12)
    period = next((p for p in range(1, LONGEST_PERIOD + 1) if equal(late[p:], late[:-p])), None)
    if period is not None and late.shape == early.shape:
        # A slow change, as of 1/t, is invisible in consecutive iterations but not between distant ones.
        aligned = (EARLY - LATE) % period  # the lane of `late` with the phase of the first lane of `early`
        if equal(late[aligned : aligned + count // 2], early[: count // 2]):
            return linear_map(optimizer, lrs[:1], curvatures[:1], period=period)
    raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")


def checked_map(optimizer: Optimizer[Any], lr: float, curvatures: Sequence[float]) -> LinearMap:
    """Return the map along the steepest direction, after checking that each direction behaves independently.

    Parameters
    ----------
    curvatures
        The eigenvalues of the Hessian, ascending.

    Raises
    ------
    TheoryDoesNotApplyError
        If the method has no fixed linear map, or if directions influence each other.
    """
    found = check_steady(optimizer, lr, max(curvatures, key=abs) or 1.0)
    # Two directions suffice for the test: those with the smallest and the largest curvature.
    pair = np.array([[curvatures[0]], [curvatures[-1]]])
    scale, iterations = found.scale, MIXING_ITERATIONS + (found.period if found.period > 1 else 0)
    if not found.is_exact:
        # The iterates must stay so small that the method is linear. They grow faster than the spectral radius says,
        # because bias corrections multiply the first steps of a new run.
        radii = spectral_radii(optimizer, np.full(2, lr), pair[:, 0])
        scale = TINY * math.exp(-iterations * math.log(max(1.0, *radii)))

    def last_point(surface: Surface, x: Array) -> Array:
        path, _ = simulated(optimizer, lr, surface, x, iterations, first=LATE)
        last: Array = path[-1]
        return last

    # Run the method in both directions at once, in each one separately, and in rotated coordinates: all must agree.
    x = scale * np.random.default_rng(1).standard_normal((2, 1))
    together = last_point(Bowl(curvatures=pair), x)
    separate = np.concatenate([last_point(Bowl(curvatures=pair[[i]]), x[[i]]) for i in range(2)])
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    rotated = rotation.T @ last_point(Bowl(curvatures=pair, vectors=rotation), rotation @ x)
    allowed = (1e-8 if scale == 1 else 1e-4) * max(scale, float(np.abs(together).max()))
    if not max(np.abs(separate - together).max(), np.abs(rotated - together).max()) <= allowed:
        raise TheoryDoesNotApplyError(
            f"{optimizer.name} mixes the directions, so the curvatures do not determine its behaviour"
        )
    return found


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
