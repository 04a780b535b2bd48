"""The linear map that a method is near a minimum, obtained from its own step.

On a quadratic with curvature λ, an optimizer whose velocity is linear in the gradients is a linear map of its point
and its state. Its matrix is found by applying one iteration to unit vectors. A method that is not linear, but smooth,
has such a map for small distances: the same is done with vectors so short that doubling them doubles the result.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.errors import MomentumLabError
from momentumlab.optimizers import Here, Optimizer
from momentumlab.registry import Array
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.surfaces.quadratics import Parabola

SCALES = (1.0, 1e-6, 1e-17)
"""How far from the minimum a method is looked at, until it is linear there; that is far below the usual eps of 1e-8."""

LINEAR = (1e-9, 1e-5, 1e-5)
"""How exactly a step must be linear at each of these scales, relative to its result."""

EARLY = 10**6
LATE = 10**9
"""The iterations at which a method is looked at: a bias correction has come to its limit in both."""

SETTLING = 3, 50
"""How often the state of a method at rest is extrapolated to its limit, and after how many iterations each time."""

SHORT = 6
"""The iterations in which directions must not mix."""

FADING = 1e-9
"""What a component of the state must lose in an iteration at rest, if what it remembers is ever to be forgotten."""


class TheoryDoesNotApplyError(MomentumLabError):
    """There is no linear map to speak of, and why."""

    exit_code = 2


def check_constant(schedules: Mapping[str, object]) -> None:
    """Make sure that a method stays as it is throughout a run.

    Parameters
    ----------
    schedules
        What changes, by name.

    Raises
    ------
    TheoryDoesNotApplyError
        If anything does.
    """
    if schedules:
        verb = "changes" if len(schedules) == 1 else "change"
        raise TheoryDoesNotApplyError(f"{' and '.join(schedules)} {verb} with time, by a schedule")


@dataclass(frozen=True, kw_only=True)
class LinearMap:
    """One iteration as a matrix, for several learning rates and curvatures at once.

    Attributes
    ----------
    matrices
        What it does to the point (the first component) and to the state, ``(lanes, n, n)``.
    inputs
        What an error of one in the gradient adds, ``(lanes, n)``.
    scale
        The distance from the minimum at which this was found; 1 if the method is linear everywhere.
    """

    matrices: Array
    inputs: Array
    scale: float

    @property
    def is_exact(self) -> bool:
        """Whether it holds at any distance from the minimum of a quadratic."""
        return self.scale == 1.0

    @property
    def coupled(self) -> list[int]:
        """The components that the point acts upon and that act upon the point, by the pattern of the matrix."""
        # A method that is smooth alone has terms of second order in the distance, too: they do not count.
        count = self.matrices.shape[1]
        links = (np.abs(self.matrices) > (0.0 if self.is_exact else 1e-6)).any(axis=0)
        reaches = np.linalg.matrix_power((links | np.eye(count, dtype=bool)).astype(np.float64), count) > 0
        return [i for i in range(count) if reaches[i, 0] and reaches[0, i]]

    def among(self, kept: Sequence[int]) -> "LinearMap":
        """The same for some of the components alone."""
        return LinearMap(
            matrices=self.matrices[:, kept][:, :, kept], inputs=self.inputs[:, list(kept)], scale=self.scale
        )


def linear_map(optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int = LATE) -> LinearMap:
    """One iteration on ½ λ x², as it acts on the point and the part of the state that it depends on.

    Parameters
    ----------
    optimizer
        Its hyperparameters are numbers, or have shape ``(lanes,)``.
    lr, curvature
        ``(lanes,)``
    t
        The iteration that is looked at.

    Raises
    ------
    TheoryDoesNotApplyError
        If the step is not smooth, or depends on time or on the way to the minimum for ever.
    """
    whole = full_map(optimizer, lr, curvature, t=t)
    return whole.among(whole.coupled)


def full_map(optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int = LATE) -> LinearMap:
    """The same with every component of the state; parameters and errors as those of `linear_map`."""
    surface = Parabola(a=curvature / 2)
    rest = _state_at_rest(optimizer, lr, surface)
    for scale, exactness in zip(SCALES, LINEAR, strict=True):
        found = _tried(optimizer, lr, surface, rest, t, scale, exactness)
        if found is None:
            continue
        for kept_for_ever in _never_fading(found):
            other = _moved(rest, np.eye(len(found.inputs[0]))[1:, [kept_for_ever]] * np.ones(len(lr)))
            changed = _tried(optimizer, lr, surface, other, t, scale, exactness)
            if changed is None or not np.allclose(changed.matrices[:, found.coupled], found.matrices[:, found.coupled]):
                reason = "never forgets its path: what it does near the minimum depends on how it came there"
                raise TheoryDoesNotApplyError(f"{optimizer.name} {reason}")
        return found
    raise TheoryDoesNotApplyError(f"the step of {optimizer.name} is not smooth in the gradient")


def _tried(
    optimizer: Optimizer[Any], lr: Array, surface: Surface, rest: Any, t: int, scale: float, exactness: float
) -> LinearMap | None:
    """The map at one scale; ``None`` if the step is not linear there."""
    lanes = len(lr)
    count = 1 + sum(array[..., 0].size for array in rest if isinstance(array, np.ndarray))

    def stepped(x: Array, state: Any, push: float) -> tuple[Array, Any]:
        here = Here(x, t, surface.value(x), lr, surface)
        with np.errstate(all="ignore"):
            velocity, following = optimizer.step(state, surface.gradient(x) + push, here)
        return x - lr * velocity, following

    _, base = stepped(np.zeros((1, lanes)), rest, 0.0)

    def iterated(vector: Array, push: float = 0.0) -> Array:
        """What becomes, in one iteration, of a short vector added to ``rest``, ``(n, lanes)``, the gradient pushed."""
        x, following = stepped(scale * vector[:1], _moved(rest, scale * vector[1:]), scale * push)
        return np.concatenate([x, _difference(following, base, lanes)]) / scale

    units = [np.eye(count)[:, [i]] * np.ones(lanes) for i in range(count)]
    matrices = np.stack([iterated(unit) for unit in units], axis=1).transpose(2, 0, 1)
    inputs = iterated(np.zeros((count, lanes)), push=1.0).T
    found = LinearMap(matrices=matrices, inputs=inputs, scale=scale)
    kept = list(range(count)) if found.is_exact else found.coupled
    return found if _is_linear(matrices, iterated, kept, exactness) else None


def _is_linear(matrices: Array, iterated: Callable[[Array], Array], kept: Sequence[int], exactness: float) -> bool:
    """Whether the matrices say what the step does to any vector of these components."""
    lanes, count, _ = matrices.shape
    rng = np.random.default_rng(0)
    for _ in range(2):
        vector = np.zeros((count, lanes))
        vector[kept] = rng.standard_normal((len(kept), lanes))
        expected = np.einsum("lij,jl->il", matrices, vector)[kept]
        size = np.abs(expected).max(axis=0) + np.abs(vector).max(axis=0)
        if not (np.abs(iterated(vector)[kept] - expected).max(axis=0) <= exactness * size).all():
            return False
    return True


def _never_fading(found: LinearMap) -> list[int]:
    """The components of the state that keep for ever what they had when a method that is not linear came to rest."""
    coupled, count = found.coupled, found.matrices.shape[1]
    if found.is_exact:
        return []
    return [i for i in range(count) if i not in coupled and (np.abs(found.matrices[:, i, i]) > 1 - FADING).any()]


def _state_at_rest(optimizer: Optimizer[Any], lr: Array, surface: Surface) -> Any:
    """The state in which the method stays while it stands at the minimum."""
    x = np.zeros((1, len(lr)))
    g, here = np.zeros_like(x), Here(x, LATE, surface.value(x), lr, surface)
    state = optimizer.init(x)
    with np.errstate(all="ignore"):
        for _ in range(SETTLING[0]):
            changes: list[Array] = []
            for _ in range(SETTLING[1]):
                _, following = optimizer.step(state, g, here)
                changes = [*changes[-1:], _difference(following, state, len(lr))]
                if np.abs(changes[-1]).max(initial=0.0) <= 1e-18:
                    return following
                state = following
            # What decays by a constant factor, as powers of β do: Aitken's extrapolation leads to its limit.
            previous, last = changes
            left = last * last / (previous - last)
            state = _moved(state, np.where(np.isfinite(left), left, 0.0))
    raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")


def _moved(state: Any, vector: Array) -> Any:
    """The state with a vector of shape ``(n − 1, lanes)`` added to its arrays."""
    fields, first = [], 0
    for value in state:
        if isinstance(value, np.ndarray):
            size = value[..., 0].size
            fields.append(value + vector[first : first + size].reshape(value.shape))
            first += size
        else:
            fields.append(value)
    return type(state)(*fields)


def _difference(state: Any, other: Any, lanes: int) -> Array:
    """The difference of two states as a vector, ``(n − 1, lanes)``."""
    parts = [
        (one - two).reshape(-1, lanes) for one, two in zip(state, other, strict=True) if isinstance(one, np.ndarray)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, lanes))


def spectral_radii(optimizer: Optimizer[Any], lr: Array, curvature: Array) -> Array:
    """The rate of each lane, ``(lanes,)``; parameters and errors as those of `linear_map`."""
    eigenvalues = np.linalg.eigvals(linear_map(optimizer, lr, curvature).matrices)
    radii: Array = np.abs(eigenvalues).max(axis=1)
    return radii


def check_steady(optimizer: Optimizer[Any], lr: float, curvature: float) -> LinearMap:
    """Make sure that a method does in the long run the same in every iteration: its map, of one lane.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not, or has no linear map at all.
    """
    early, late = (linear_map(optimizer, np.array([lr]), np.array([curvature]), t=t) for t in (EARLY, LATE))
    if early.matrices.shape != late.matrices.shape or not np.allclose(
        early.matrices, late.matrices, rtol=1e-9, atol=1e-12
    ):
        raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")
    return late


def check_decoupled(optimizer: Optimizer[Any], lr: float, curvatures: Sequence[float], scale: float = 1.0) -> None:
    """Make sure that a method does along each eigenvector what it does in one dimension, at this scale.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not, or has no linear map at all.
    """
    curvature = np.array([[curvatures[0]], [curvatures[-1]]])
    rng = np.random.default_rng(1)
    if scale < 1:  # and it must still be very small after these iterations
        radii = spectral_radii(optimizer, np.full(2, lr), curvature[:, 0])
        scale = SCALES[-1] * math.exp(-SHORT * math.log(max(1.0, *radii)))
    x = scale * rng.standard_normal((2, 1))
    alone = [_path(optimizer, lr, curvature[i : i + 1], x[i : i + 1]) for i in range(2)]
    together = _path(optimizer, lr, curvature, x)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    rotated: Array = turn @ np.diag(curvature[:, 0]) @ turn.T
    turned = turn.T @ _path(optimizer, lr, rotated, turn @ x)
    size = max(scale, float(np.abs(together).max()))
    allowed = 1e-8 if scale == 1 else 1e-4
    for other in (np.concatenate(alone), turned):
        if not np.abs(other - together).max() <= allowed * size:
            reason = "does not treat every direction by itself, so that curvatures alone do not decide"
            raise TheoryDoesNotApplyError(f"{optimizer.name} {reason}")


def reach(optimizer: Optimizer[Any], lr: float, curvature: float, found: LinearMap) -> float:
    """How far from the minimum of ½ λ x² a map holds to a tenth, to the next power of ten; infinite if everywhere."""
    if found.is_exact:
        return math.inf
    lrs, surface = np.array([lr]), Parabola(a=np.array([curvature / 2]))
    rest = _state_at_rest(optimizer, lrs, surface)
    power = round(math.log10(found.scale))
    while power < 6 and _tried(optimizer, lrs, surface, rest, LATE, 10.0 ** (power + 1), 0.1) is not None:
        power += 1
    return 10.0**power


@dataclass(frozen=True, kw_only=True)
class _Bowl(Surface):
    """½ xᵀ H x, with H a matrix or a column of curvatures."""

    matrix: Any = None

    name = "bowl"
    formula = latex = source = ""
    dimension = None
    view = ((-1.0, 1.0),)
    start = (1.0,)

    def value(self, x: Array) -> Array:
        value: Array = 0.5 * (x * self.gradient(x)).sum(axis=0)
        return value

    def gradient(self, x: Array) -> Array:
        is_column = self.matrix.shape[1] == 1
        gradient: Array = self.matrix * x if is_column else self.matrix @ x
        return gradient

    def hessian(self, x: Array) -> Array:
        is_column = self.matrix.shape[1] == 1
        hessian: Array = (np.diag(self.matrix[:, 0]) if is_column else self.matrix)[:, :, np.newaxis]
        return hessian

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return Parabola().critical_points(1)


def _path(optimizer: Optimizer[Any], lr: float, matrix: Array, x: Array) -> Array:
    """Where a few late iterations lead, ``(dim, 1)``."""
    surface, lrs = _Bowl(matrix=matrix), np.array([lr])
    state = optimizer.init(x)
    with np.errstate(all="ignore"):
        for t in range(LATE, LATE + SHORT):
            here = Here(x, t, surface.value(x), lrs, surface)
            velocity, state = optimizer.step(state, surface.gradient(x), here)
            x = x - lrs * velocity
    return x
