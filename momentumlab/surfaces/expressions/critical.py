"""The points of zero gradient in a window, found numerically and told apart by their Hessians."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from momentumlab.registry import Array
from momentumlab.surfaces.base import CriticalKind, CriticalPoint, Intervals

STARTS = 400
"""From how many points the search begins in one and two dimensions; in more, from fewer, as each costs more."""

STEPS = 60
SEED = 20261120

REACH = 0.05
"""The longest step, as a share of the window's diagonal: Newton's own steps leave every window now and then."""

SAME = 1e-5
"""Points nearer to each other than this share of the window's diagonal are one."""

FLAT = 1e-9
"""A gradient is zero below this share of the median gradient of the window, and no more than rounding leaves."""

DEGENERATE = 1e-7
"""A curvature below this share of the largest says nothing of the kind of a point."""

MOST = 200
"""The most points that are told, the lowest minima first."""

SAMPLES = 256

KINK_STARTS = 32
KINK_STEPS = 120


@dataclass(frozen=True, kw_only=True)
class Field:
    """What the search needs of a surface; arrays as those of `Surface`."""

    value: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    hessian: Callable[[Array], Array]


def critical_points(field: Field, window: Intervals, lowest: float) -> tuple[CriticalPoint, ...]:
    """All points of zero gradient that Newton's method finds in a window from many starts, minima first, by their loss.

    The same window gives the same points. There may be others: nothing numerical can exclude it. Floors that are not a
    point, but a line or more, are left out.

    Parameters
    ----------
    field
        The surface.
    window
        Where to search.
    lowest
        A bound that the surface is nowhere below. A minimum that touches it is global; every other is called local,
        even the lowest of those found. A kink such as that of |x|, without a gradient, is told if it touches it.
    """
    with np.errstate(all="ignore"):
        low, high = np.array(window).T[:, :, np.newaxis]
        diagonal = float(np.sqrt(((high - low) ** 2).sum()))
        starts = _starts(low, high)
        slopes = _norms(field.gradient(starts))
        usual = float(np.median(slopes[np.isfinite(slopes)])) if np.isfinite(slopes).any() else math.nan
        # Newton's own steps lead to points of every kind; downhill in every direction, to minima alone, but from afar.
        ends = np.hstack([_newton(field, starts, REACH * diagonal, downhill) for downhill in (True, False)])
        flat = _norms(field.gradient(ends)) <= FLAT * usual
        inside = ((ends >= low - 1e-9 * diagonal) & (ends <= high + 1e-9 * diagonal)).all(axis=0)
        found: list[CriticalPoint] = []
        for point in _distinct(field, ends[:, flat & inside], SAME * diagonal):
            critical = _described(field, _tidied(field, point, diagonal), diagonal, usual, lowest)
            if critical is not None:
                found.append(critical)
        if math.isfinite(lowest) and not any(each.kind is CriticalKind.GLOBAL_MINIMUM for each in found):
            kinks = _kinks(field, starts, diagonal, usual, lowest)
            found += [kink for kink in kinks if _is_within(kink.point, window)]
    order = list(CriticalKind)
    return tuple(sorted(found, key=lambda each: (order.index(each.kind), each.loss, each.point))[:MOST])


def _starts(low: Array, high: Array) -> Array:
    """A grid in one and two dimensions; in more, random points."""
    dim = len(low)
    if dim <= 2:
        count = round(STARTS ** (1 / dim))
        # Not on the window's middle lines: there the gradient of what is symmetric shows to one side alone.
        line = (np.arange(count) + 0.45) / count
        unit = np.stack([mesh.ravel() for mesh in np.meshgrid(*[line] * dim, indexing="ij")])
    else:
        unit = np.random.default_rng(SEED).uniform(size=(dim, max(60, 1200 // dim)))
    starts: Array = low + unit * (high - low)
    return starts


def _norms(vectors: Array) -> Array:
    norms: Array = np.sqrt((vectors * vectors).sum(axis=0))
    return norms


def _newton(field: Field, x: Array, reach: float, downhill: bool) -> Array:
    """Newton's method for the zeros of the gradient, all starts side by side; those that end early are left alone."""
    x = x.copy()
    moving = np.arange(x.shape[1])
    for _ in range(STEPS):
        gradient = field.gradient(x[:, moving])
        hessian = np.moveaxis(field.hessian(x[:, moving]), 2, 0)
        known = np.isfinite(gradient).all(axis=0) & np.isfinite(hessian).all(axis=(1, 2))
        moving, gradient, hessian = moving[known], gradient[:, known], hessian[known]
        if not len(moving):
            break
        curvatures, directions = np.linalg.eigh(hessian)
        largest = np.abs(curvatures).max(axis=1, keepdims=True)
        along = np.einsum("nji,jn->ni", directions, gradient)
        # In a direction without curvature Newton's method has nothing to say.
        inverse = np.where(np.abs(curvatures) > 1e-13 * largest, 1 / curvatures, 0.0)
        if downhill:
            inverse = np.abs(inverse)
        step = np.einsum("nij,nj->in", directions, along * inverse)
        length = _norms(step)
        step *= np.minimum(1.0, reach / np.maximum(length, 1e-300))
        x[:, moving] -= step
        moving = moving[length > 4e-16 * (_norms(x[:, moving]) + 1e-3 * reach)]
        if not len(moving):
            break
    return x


def _distinct(field: Field, points: Array, near: float) -> list[Array]:
    """One of each cluster: the point with the smallest gradient."""
    order = np.lexsort((*points, _norms(field.gradient(points))))
    chosen: list[Array] = []
    for point in points[:, order].T:
        if all(np.abs(point - other).max() > near for other in chosen):
            chosen.append(point)
            if len(chosen) == 4 * MOST:
                break
    return chosen


def _tidied(field: Field, point: Array, diagonal: float) -> Array:
    """The point with round coordinates where they are no worse: 1 instead of 0.9999999999999999."""
    best = float(_norms(field.gradient(point[:, np.newaxis]))[0])
    for candidate in (np.round(point, 6), np.round(point, 10), np.where(np.abs(point) < 1e-9 * diagonal, 0.0, point)):
        if float(_norms(field.gradient(candidate[:, np.newaxis]))[0]) <= best:
            return candidate + 0.0  # without a minus before zero
    return point + 0.0


def _described(field: Field, point: Array, diagonal: float, usual: float, lowest: float) -> CriticalPoint | None:
    """The point with its loss and kind; ``None`` if it is one of a whole floor, or of no kind."""
    column = point[:, np.newaxis]
    loss = float(field.value(column)[0])
    hessian = field.hessian(column)[:, :, 0]
    if not (math.isfinite(loss) and np.isfinite(hessian).all()):
        return None
    curvatures, directions = np.linalg.eigh(hessian)
    largest = float(np.abs(curvatures).max())
    small = np.abs(curvatures) <= max(DEGENERATE * largest, FLAT * usual / diagonal)
    if small.any():
        kind = _sampled_kind(field, column, directions[:, small], loss, diagonal, usual)
    elif curvatures.min() > 0:
        kind = CriticalKind.LOCAL_MINIMUM
    else:
        kind = CriticalKind.MAXIMUM if curvatures.max() < 0 else CriticalKind.SADDLE
    if kind is None:
        return None
    if kind is CriticalKind.LOCAL_MINIMUM and _touches(loss, lowest, usual * diagonal):
        kind = CriticalKind.GLOBAL_MINIMUM
    return CriticalPoint(kind=kind, point=tuple(point.tolist()), loss=loss)


def _touches(loss: float, lowest: float, rise: float) -> bool:
    """Whether a loss is at a bound, but for rounding; ``rise`` is about how much the surface rises in the window."""
    return math.isfinite(lowest) and loss - lowest <= 1e-12 * max(abs(lowest), 1e-6 * rise, 1e-6)


def _kinks(field: Field, starts: Array, diagonal: float, usual: float, lowest: float) -> list[CriticalPoint]:
    """The lowest points, if they touch the bound, by steps along the axes that halve where none leads down."""
    losses = field.value(starts)
    x = starts[:, np.argsort(np.where(np.isfinite(losses), losses, np.inf))[:KINK_STARTS]]
    loss = field.value(x)
    dim, lanes = x.shape
    size = np.full(lanes, diagonal / 8)
    for _ in range(KINK_STEPS):
        better = np.zeros(lanes, dtype=bool)
        for i in range(dim):
            for sign in (1.0, -1.0):
                tried = x.copy()
                tried[i] += sign * size
                tried_loss = field.value(tried)
                down = tried_loss < loss
                x, loss = np.where(down, tried, x), np.where(down, tried_loss, loss)
                better |= down
        size = np.where(better, size, size / 2)
    kinks: list[CriticalPoint] = []
    for lane in np.argsort(loss):
        rounded = np.round(x[:, lane], 9) + 0.0
        point = rounded if field.value(rounded[:, np.newaxis])[0] <= loss[lane] else x[:, lane]
        value = float(field.value(point[:, np.newaxis])[0])
        is_new = all(np.abs(point - np.array(kink.point)).max() > SAME * diagonal for kink in kinks)
        if is_new and _touches(value, lowest, usual * diagonal):
            kinks.append(CriticalPoint(kind=CriticalKind.GLOBAL_MINIMUM, point=tuple(point.tolist()), loss=value))
    middles = [(np.array(a.point) + np.array(b.point))[:, np.newaxis] / 2 for a, b in itertools.combinations(kinks, 2)]
    is_floor = any(_touches(float(field.value(middle)[0]), lowest, usual * diagonal) for middle in middles)
    return [] if is_floor else kinks


def _is_within(point: tuple[float, ...], window: Intervals) -> bool:
    return all(low <= coordinate <= high for coordinate, (low, high) in zip(point, window, strict=True))


def _sampled_kind(
    field: Field, point: Array, flat: Array, loss: float, diagonal: float, usual: float
) -> CriticalKind | None:
    """The kind of a point whose Hessian does not tell it, from losses around it.

    ``None`` if the gradient is zero a little way along a flat direction, too: a floor, not a point.
    """
    distance = 1e-2 * diagonal
    beside = np.hstack([point + distance * flat, point - distance * flat])
    if (_norms(field.gradient(beside)) <= FLAT * usual).any():
        return None
    random = np.random.default_rng(SEED)
    # Along the flat directions themselves, and everywhere around.
    around = np.hstack([flat, -flat, random.normal(size=(len(point), SAMPLES))])
    losses = field.value(point + distance * around / _norms(around))
    if (losses > loss).all():
        return CriticalKind.LOCAL_MINIMUM
    return CriticalKind.MAXIMUM if (losses < loss).all() else CriticalKind.SADDLE
