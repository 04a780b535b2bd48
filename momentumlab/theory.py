"""What a method will do near a critical point, computed from its own step.

On a quadratic with curvature λ, an optimizer whose velocity is linear in the gradients is a linear map of its point
and its state. That map is obtained by applying one iteration to unit vectors, and its eigenvalues say everything: the
largest modulus ρ is the rate, by which errors shrink (or grow) per iteration in the long run; a complex pair ρ e^{±iφ}
oscillates with period 2π/φ. In several dimensions this holds along each eigenvector of the Hessian by itself.

B. T. Polyak, *Some methods of speeding up the convergence of iteration methods* (1964); L. Lessard, B. Recht and
A. Packard, arXiv 1408.3595; B. O'Donoghue and E. Candès, arXiv 1204.3982.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.catalogue import Array, Value
from momentumlab.errors import MomentumLabError
from momentumlab.optimizers import OPTIMIZERS, Here, Optimizer
from momentumlab.plan import Group, Plan
from momentumlab.surfaces import CriticalPoint, Surface
from momentumlab.surfaces.quadratics import Parabola

LINEAR = 1e-9
"""How exactly a step must be linear, relative to its result."""

LATE = 10**9
"""The iteration at which a method is looked at: what depends on time has come to its limit, then."""

SETTLING = 5000
"""The iterations at rest after which the state of a method must not change any more."""

EQUAL = 1e-6
"""Eigenvalues that differ by less are one."""

NEUTRAL = 1e-12
"""A rate this near to one neither shrinks nor grows."""


class TheoryDoesNotApplyError(MomentumLabError):
    """There is no linear map to speak of, and why."""

    exit_code = 2


class Regime(Enum):
    """How the distance along one eigenvector of the Hessian goes to zero, if it does, in words for people."""

    MONOTONE = "monotone", "creeps towards the minimum without crossing it"
    CRITICAL = "critical", "comes in as fast as it can without oscillating"
    OSCILLATING = "oscillating", "swings to and fro across the minimum"
    ALTERNATING = "alternating", "jumps from one side to the other in every iteration"
    NEUTRAL = "neutral", "neither comes nearer nor flies off"
    DIVERGING = "diverging", "moves ever farther away"

    def __init__(self, label: str, words: str) -> None:
        self.label = label
        self.words = words


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One eigenvector of the Hessian, and what the method does along it.

    Attributes
    ----------
    curvature
        The eigenvalue of the Hessian.
    axis
        The number of the coordinate along which the eigenvector points; ``None`` if it points between them.
    rate
        The spectral radius: by what the error is multiplied per iteration in the long run.
    period
        Iterations per swing, where the dominant eigenvalues are a complex pair.
    overshoot
        How far beyond the minimum the point goes at most, as a share of where it began.
    growth
        The largest distance on the way, as a multiple of that at the start.
    """

    curvature: float
    axis: int | None
    eigenvalues: tuple[complex, ...]
    regime: Regime
    rate: float
    period: float | None
    overshoot: float
    growth: float

    @property
    def iterations_per_digit(self) -> float:
        """In how many iterations the error becomes a tenth; infinite where it does not shrink."""
        return math.log(0.1) / math.log(self.rate) if 0 < self.rate < 1 else 1.0 if self.rate == 0 else math.inf


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
    """

    point: CriticalPoint
    modes: tuple[Mode, ...]
    lr_limit: float
    best: Mapping[str, float]
    best_rate: float
    iterations_to_tolerance: float | None

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


def local_maps(optimizer: Optimizer[Any], lr: Array, curvature: Array, *, t: int = LATE) -> Array:
    """The matrix of one iteration on ½ λ x², as it acts on the point and the part of the state that it depends on.

    Parameters
    ----------
    optimizer
        Its hyperparameters are numbers, or have shape ``(lanes,)``.
    lr, curvature
        ``(lanes,)``
    t
        The iteration that is looked at.

    Returns
    -------
    Array
        ``(lanes, n, n)``; the first component is the point.

    Raises
    ------
    TheoryDoesNotApplyError
        If the step is not linear, or depends on time for ever.
    """
    lanes = len(lr)
    surface = Parabola(a=curvature / 2)
    rest = _state_at_rest(optimizer, lr, surface)
    sizes = [1, *(array[..., 0].size for array in rest if isinstance(array, np.ndarray))]
    count = sum(sizes)

    def iterated(vector: Array) -> Array:
        """One iteration from ``rest`` plus a vector of shape ``(n, lanes)``; the change from ``rest``."""
        x, state = vector[:1], _moved(rest, vector[1:])
        here = Here(x, t, surface.value(x), lr, surface)
        with np.errstate(all="ignore"):
            velocity, following = optimizer.step(state, surface.gradient(x), here)
            return np.concatenate([x - lr * velocity, _difference(following, rest, lanes)])

    columns = [iterated(np.eye(count)[:, [i]] * np.ones(lanes)) for i in range(count)]
    matrices = np.stack(columns, axis=1).transpose(2, 0, 1)
    _check_linear(optimizer, matrices, iterated)
    kept = _coupled(np.abs(matrices).max(axis=0) > 0)
    coupled: Array = matrices[:, kept][:, :, kept]
    return coupled


def _state_at_rest(optimizer: Optimizer[Any], lr: Array, surface: Surface) -> Any:
    """The state in which the method stays while it stands at the minimum."""
    x = np.zeros((1, len(lr)))
    state = optimizer.init(x)
    loss, g = surface.value(x), np.zeros_like(x)
    with np.errstate(all="ignore"):
        for _ in range(SETTLING):
            _, following = optimizer.step(state, g, Here(x, LATE, loss, lr, surface))
            change = np.abs(_difference(following, state, len(lr))).max(initial=0.0)
            state = following
            if change <= 1e-15:
                return state
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


def _check_linear(optimizer: Optimizer[Any], matrices: Array, iterated: Callable[[Array], Array]) -> None:
    """Whether the matrices say what the step does to any vector."""
    lanes, count, _ = matrices.shape
    rng = np.random.default_rng(0)
    for _ in range(2):
        vector = rng.standard_normal((count, lanes))
        expected = np.einsum("lij,jl->il", matrices, vector)
        scale = np.abs(expected).max(axis=0) + 1e-300
        if not (np.abs(iterated(vector) - expected).max(axis=0) <= LINEAR * scale).all():
            raise TheoryDoesNotApplyError(f"the step of {optimizer.name} is not linear in the gradient")


def _coupled(links: Any) -> list[int]:
    """The components that the point acts upon and that act upon the point, by the pattern of the matrix."""
    count = len(links)
    reaches = np.linalg.matrix_power((links | np.eye(count, dtype=bool)).astype(np.float64), count) > 0
    return [i for i in range(count) if reaches[i, 0] and reaches[0, i]]


def spectral_radii(optimizer: Optimizer[Any], lr: Array, curvature: Array) -> Array:
    """The rate of each lane, ``(lanes,)``; parameters and errors as those of `local_maps`."""
    eigenvalues = np.linalg.eigvals(local_maps(optimizer, lr, curvature))
    radii: Array = np.abs(eigenvalues).max(axis=1)
    return radii


def mode(optimizer: Optimizer[Any], lr: float, curvature: float, axis: int | None = None) -> Mode:
    """What a method does along an eigenvector with this curvature; errors as those of `local_maps`."""
    (matrix,) = local_maps(optimizer, np.array([lr]), np.array([curvature]))
    eigenvalues = sorted((complex(value) for value in np.linalg.eigvals(matrix)), key=abs, reverse=True)
    dominant = eigenvalues[0]
    rate = abs(dominant)
    is_pair = abs(dominant.imag) > EQUAL * max(rate, 1e-300)
    distances = _distances(matrix)
    return Mode(
        curvature=curvature,
        axis=axis,
        eigenvalues=tuple(eigenvalues),
        regime=_regime(eigenvalues, rate, is_pair=is_pair),
        rate=rate,
        period=2 * math.pi / abs(math.atan2(dominant.imag, dominant.real)) if is_pair else None,
        overshoot=max(0.0, -float(distances.min())),
        growth=float(np.abs(distances).max()),
    )


def _regime(eigenvalues: Sequence[complex], rate: float, *, is_pair: bool) -> Regime:
    if rate > 1 + NEUTRAL:
        return Regime.DIVERGING
    if rate >= 1 - NEUTRAL:
        return Regime.NEUTRAL
    real = eigenvalues[0].real
    is_double = len(eigenvalues) > 1 and abs(eigenvalues[0] - eigenvalues[1]) <= 1e-4 * max(rate, 1e-300)
    if is_double and real > 0:
        return Regime.CRITICAL
    if is_pair:
        return Regime.OSCILLATING
    return Regime.ALTERNATING if real < 0 else Regime.MONOTONE


def _distances(matrix: Array, most: int = 2000) -> Array:
    """The point after k iterations from 1, the state at rest, until all is settled, ``(k + 1,)``."""
    vector = np.zeros(len(matrix))
    vector[0] = 1.0
    distances = [1.0]
    for _ in range(most):
        vector = matrix @ vector
        distances.append(float(vector[0]))
        if not 1e-6 < float(np.abs(vector).max()) < 1e6:
            break
    return np.array(distances)


def predict(plan: Plan, number: int, point: CriticalPoint) -> Prediction:
    """What theory says of one trial near a critical point of its surface.

    Raises
    ------
    TheoryDoesNotApplyError
        If there is nothing that it can say, with the reason.
    """
    trial = plan.trial(number)
    surface = plan.surface_of(number)
    _check_constant(plan.group_of(number))
    if "hessian" not in surface.offers(plan.dimension):
        raise TheoryDoesNotApplyError(f"{surface.name} has no Hessian")
    hyperparameters = dict(trial.hyperparameters)
    lr = float(hyperparameters.pop("lr"))  # type: ignore[arg-type]
    optimizer = _optimizer(trial.optimizer, hyperparameters)
    directions = _directions(surface, point)
    distinct = list(directions)
    check_steady(optimizer, lr, distinct[-1])
    every = [mode(optimizer, lr, curvature, axis) for curvature, axis in directions.items()]
    modes = tuple(sorted(every, key=lambda one: -one.rate))
    check_decoupled(optimizer, lr, distinct)
    best, best_rate = _best(trial.optimizer, hyperparameters, lr, distinct)
    prediction = Prediction(
        point=point,
        modes=modes,
        lr_limit=lr_limit(optimizer, max(distinct)),
        best=best,
        best_rate=best_rate,
        iterations_to_tolerance=None,
    )
    return replace(prediction, iterations_to_tolerance=_iterations_to_tolerance(plan, number, prediction, surface))


def _directions(surface: Surface, point: CriticalPoint) -> dict[float, int | None]:
    """The different curvatures at a critical point, smallest first, and the coordinate along which each is found."""
    hessian = surface.hessian(np.array(point.point)[:, np.newaxis])[:, :, 0]
    curvatures, vectors = np.linalg.eigh(hessian)
    scale = float(np.abs(curvatures).max()) or 1.0
    directions: dict[float, int | None] = {}
    for curvature, vector in zip(curvatures.tolist(), vectors.T, strict=True):
        axis = int(np.abs(vector).argmax())
        is_along = bool(abs(vector[axis]) > 1 - EQUAL)
        last = next(reversed(directions), None)
        if last is not None and abs(curvature - last) <= EQUAL * scale:
            directions[last] = None
        else:
            directions[curvature] = axis if is_along else None
    return directions


def check_steady(optimizer: Optimizer[Any], lr: float, curvature: float) -> None:
    """Make sure that a method does the same in every iteration.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not, or has no linear map at all.
    """
    early, late = (local_maps(optimizer, np.array([lr]), np.array([curvature]), t=t) for t in (10, LATE))
    if early.shape != late.shape or not np.allclose(early, late, rtol=1e-9, atol=1e-12):
        raise TheoryDoesNotApplyError(f"{optimizer.name} changes with time: it has no fixed linear map")


def check_decoupled(optimizer: Optimizer[Any], lr: float, curvatures: Sequence[float]) -> None:
    """Make sure that a method does along each eigenvector what it does in one dimension.

    Raises
    ------
    TheoryDoesNotApplyError
        If it does not, or has no linear map at all.
    """
    curvature = np.array([[curvatures[0]], [curvatures[-1]]])
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 1))
    alone = [_path(optimizer, lr, curvature[i : i + 1], x[i : i + 1]) for i in range(2)]
    together = _path(optimizer, lr, curvature, x)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    rotated: Array = turn @ np.diag(curvature[:, 0]) @ turn.T
    turned = turn.T @ _path(optimizer, lr, rotated, turn @ x)
    scale = max(1.0, float(np.abs(together).max()))
    for other in (np.concatenate(alone), turned):
        if not np.abs(other - together).max() <= 1e-8 * scale:
            reason = "does not treat every direction by itself, so that curvatures alone do not decide"
            raise TheoryDoesNotApplyError(f"{optimizer.name} {reason}")


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


def _path(optimizer: Optimizer[Any], lr: float, matrix: Array, x: Array, iterations: int = 6) -> Array:
    """Where a few iterations lead, ``(dim, 1)``."""
    surface, lrs = _Bowl(matrix=matrix), np.array([lr])
    state = optimizer.init(x)
    with np.errstate(all="ignore"):
        for t in range(1, iterations + 1):
            here = Here(x, t, surface.value(x), lrs, surface)
            velocity, state = optimizer.step(state, surface.gradient(x), here)
            x = x - lrs * velocity
    return x


def lr_limit(optimizer: Optimizer[Any], curvature: float) -> float:
    """The smallest learning rate at which a method diverges along the steepest direction; infinite if none does."""
    if curvature <= 0:
        return 0.0
    rates = np.geomspace(1e-3, 1e3, 601) / curvature
    unstable = spectral_radii(optimizer, rates, np.full_like(rates, curvature)) > 1 + 1e-9
    if not unstable.any():
        return math.inf
    first = int(unstable.argmax())
    if first == 0:
        return 0.0
    low, high = float(rates[first - 1]), float(rates[first])
    for _ in range(50):
        middle = (low + high) / 2
        radius = spectral_radii(optimizer, np.array([middle]), np.array([curvature]))[0]
        low, high = (low, middle) if radius > 1 else (middle, high)
    return high


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
        optimizer = _optimizer(name, changed)
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


def _optimizer(name: str, hyperparameters: Mapping[str, Any]) -> Optimizer[Any]:
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


@dataclass(frozen=True, kw_only=True)
class PlaneTheory:
    """What theory says of a whole plane of trials on a surface with one minimum.

    Attributes
    ----------
    rates
        The rate of each trial over all curvatures, ``(trials,)``.
    oscillates
        For each curvature, whether the dominant eigenvalues of each trial are a complex pair, ``(trials,)`` each.
    """

    rates: Array
    oscillates: Mapping[float, NDArray[np.bool_]]


def _check_constant(group: Group) -> None:
    """Theory is of maps that stay as they are."""
    if group.schedules:
        names = " and ".join(group.schedules)
        verb = "changes" if len(group.schedules) == 1 else "change"
        raise TheoryDoesNotApplyError(f"{names} {verb} with time, by a schedule")


def plane_theory(plan: Plan, first: int, last: int) -> PlaneTheory:
    """Rates of the trials from ``first`` up to ``last``, all of one optimizer, near the surface's only minimum.

    Raises
    ------
    TheoryDoesNotApplyError
        If the surface has not exactly one minimum and a Hessian, or the method no fixed linear map.
    """
    surface = plan.experiment.first_surface
    minima = surface.minima(plan.dimension)
    if len(minima) != 1 or "hessian" not in surface.offers(plan.dimension):
        raise TheoryDoesNotApplyError(f"{surface.name} has not exactly one known minimum with a Hessian")
    if plan.experiment.surface.combinations > 1:
        raise TheoryDoesNotApplyError("the surface differs from trial to trial")
    curvatures = list(_directions(surface, minima[0]))
    group = plan.group_of(first)
    if last > group.first + group.size:
        raise TheoryDoesNotApplyError("flags, words or vectors differ from trial to trial")
    _check_constant(group)
    lanes = group.lanes(np.arange(first, last) - group.first)
    middle = plan.trial((first + last) // 2)
    hyperparameters = {name: value for name, value in middle.hyperparameters.items() if name != "lr"}
    one = _optimizer(middle.optimizer, hyperparameters)
    lr = float(middle.hyperparameters["lr"])  # type: ignore[arg-type]
    check_steady(one, lr, curvatures[-1])
    check_decoupled(one, lr, curvatures)
    rates = np.zeros(last - first)
    oscillates = {}
    for curvature in curvatures:
        eigenvalues = np.linalg.eigvals(local_maps(lanes.optimizer, lanes.lr, np.full(last - first, curvature)))
        sizes = np.abs(eigenvalues)
        rates = np.maximum(rates, sizes.max(axis=1))
        dominant = np.take_along_axis(eigenvalues, sizes.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        oscillates[curvature] = np.abs(dominant.imag) > EQUAL * np.abs(dominant)
    return PlaneTheory(rates=rates, oscillates=oscillates)
