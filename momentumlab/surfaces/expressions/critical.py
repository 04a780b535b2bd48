"""Numerical search for the points of zero gradient in a window, and their classification."""

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from momentumlab.parameters import Array
from momentumlab.surfaces.base import CriticalKind, CriticalPoint, Intervals, Surface

STARTS = 400
"""Starts of the search in one and two dimensions; in more, where each costs more, there are fewer."""

STEPS = 60
SEED = 20261120

EVALUATIONS = 3_000_000
"""Approximate limit on the arithmetic operations per step of the search; large expressions get fewer starts."""

REACH = 0.05
"""Longest step, as a fraction of the window's diagonal; full Newton steps often leave the window."""

SAME = 1e-5
"""Distance, as a fraction of the diagonal, below which two points are the same."""

FLAT = 1e-9
"""A gradient is zero below this fraction of the window's median gradient, which is the level of rounding errors."""

DEGENERATE = 1e-7
"""A curvature below this fraction of the largest one does not determine the kind of a point."""

MOST = 200
"""Largest number of points returned, the lowest minima first."""

SAMPLES = 256
"""Random directions in which the losses around a point are compared with the loss at the point."""

KINK_STARTS = 32
KINK_STEPS = 120
"""Starts and steps of the search for minima at kinks."""


def critical_points(
    surface: Surface, window: Intervals, *, calls: int = 1, is_quadratic: bool = False
) -> tuple[CriticalPoint, ...]:
    """Find the points of zero gradient in a window by Newton's method from many starts.

    Minima come first, the lowest one in front. The search is deterministic. The list may be incomplete, and minima that
    are not isolated are left out.

    Parameters
    ----------
    surface
        The surface.
    window
        The window in which to search, an interval per coordinate.
    calls
        The length of the programs of the surface, which limits the number of starts.
    is_quadratic
        Whether the Hessian is constant; a minimum is then marked as global. Otherwise the lowest minimum is marked as
        the lowest one found, unless the loss is lower at a start of the search.
    """
    with np.errstate(all="ignore"):
        low, high = np.array(window).T[:, :, np.newaxis]
        diagonal = float(np.sqrt(((high - low) ** 2).sum()))
        starts = _starts(low, high, calls)
        # The median gradient at the starts sets the scale below which a gradient is a rounding error.
        slopes = _norms(surface.gradient(starts))
        usual = float(np.median(slopes[np.isfinite(slopes)])) if np.isfinite(slopes).any() else math.nan
        # Newton's method converges to points of any kind; with absolute curvatures, only to minima but from farther
        # away. Both are needed to find saddles as well as distant minima.
        ends = np.hstack([_newton(surface, starts, REACH * diagonal, downhill) for downhill in (True, False)])
        # Several searches end at the same point, with different rounding errors.
        flat = _norms(surface.gradient(ends)) <= FLAT * usual
        points = _distinct(surface, ends[:, flat & _inside(ends, low, high, 1e-9 * diagonal)], SAME * diagonal)
        found = _classified(surface, _rounded(surface, points, diagonal), diagonal, usual)
        # If a start is lower than every minimum found, the lowest minimum may be a kink, where no gradient vanishes.
        losses = surface.value(starts)
        lowest = float(np.nanmin(losses)) if np.isfinite(losses).any() else math.nan
        tolerance = 1e-12 * max(abs(lowest), 1e-6 * usual * diagonal, 1e-6)
        if not any(point.kind.is_minimum and point.loss <= lowest + tolerance for point in found):
            found += _kinks(surface, starts, window, calls, [point.point for point in found])
    # Losses are measured from the lowest minimum: mark it, unless the surface is lower elsewhere in the window.
    minima = [point.loss for point in found if point.kind.is_minimum]
    if minima and min(minima) <= lowest + tolerance:
        best = CriticalKind.GLOBAL_MINIMUM if is_quadratic else CriticalKind.LOWEST_FOUND
        tolerance = 1e-12 * max(abs(min(minima)), 1e-6 * usual * diagonal, 1e-6)
        is_best = [point.kind.is_minimum and point.loss <= min(minima) + tolerance for point in found]
        found = [replace(point, kind=best) if b else point for point, b in zip(found, is_best, strict=True)]
    order = list(CriticalKind)
    return tuple(sorted(found, key=lambda point: (order.index(point.kind), point.loss, point.point))[:MOST])


def _starts(low: Array, high: Array, calls: int) -> Array:
    """Return a grid in one and two dimensions, and random points in more."""
    dim = len(low)
    most = max(16, EVALUATIONS // (calls * 100 + dim**3))  # dim³: the eigenvectors of the Hessian
    if dim <= 2:
        count = round(min(STARTS, most) ** (1 / dim))
        # Off the window's centre lines, where the gradient of a symmetric surface points along them.
        line = (np.arange(count) + 0.45) / count
        unit = np.stack([mesh.ravel() for mesh in np.meshgrid(*[line] * dim, indexing="ij")])
    else:
        unit = np.random.default_rng(SEED).uniform(size=(dim, min(most, max(60, 1200 // dim))))
    starts: Array = low + unit * (high - low)
    return starts


def _norms(vectors: Array) -> Array:
    norms: Array = np.sqrt((vectors * vectors).sum(axis=0))
    return norms


def _inside(points: Array, low: Array, high: Array, margin: float) -> NDArray[np.bool_]:
    return np.asarray(((points >= low - margin) & (points <= high + margin)).all(axis=0))


def _newton(surface: Surface, x: Array, reach: float, downhill: bool) -> Array:
    """Search for zeros of the gradient from all starts at once; lanes that have converged are no longer updated."""
    x = x.copy()
    moving = np.arange(x.shape[1])
    for _ in range(STEPS):
        gradient = surface.gradient(x[:, moving])
        hessian = np.moveaxis(surface.hessian(x[:, moving]), 2, 0)
        known = np.isfinite(gradient).all(axis=0) & np.isfinite(hessian).all(axis=(1, 2))
        moving, gradient, hessian = moving[known], gradient[:, known], hessian[known]
        if not len(moving):
            break
        # Newton's step in the basis of eigenvectors, where curvatures can be treated one by one.
        curvatures, directions = np.linalg.eigh(hessian)
        largest = np.abs(curvatures).max(axis=1, keepdims=True)
        along = np.einsum("nji,jn->ni", directions, gradient)
        # The step is undefined along a direction without curvature: do not move along it.
        inverse = np.where(np.abs(curvatures) > 1e-13 * largest, 1 / curvatures, 0.0)
        if downhill:  # absolute curvatures turn every step into a descent
            inverse = np.abs(inverse)
        step = np.einsum("nij,nj->in", directions, along * inverse)
        length = _norms(step)
        step *= np.minimum(1.0, reach / np.maximum(length, 1e-300))
        x[:, moving] -= step
        moving = moving[length > 4e-16 * (_norms(x[:, moving]) + 1e-3 * reach)]
        if not len(moving):
            break
    return x


def _distinct(surface: Surface, points: Array, near: float) -> Array:
    """Return the point with the smallest gradient of each cluster."""
    # In order of the gradient, keep a point and drop all others near it.
    order = np.lexsort((*points, _norms(surface.gradient(points))))
    chosen: list[Array] = []
    remaining = points[:, order]
    while remaining.shape[1] and len(chosen) < 4 * MOST:
        chosen.append(remaining[:, 0])
        remaining = remaining[:, np.abs(remaining - remaining[:, :1]).max(axis=0) > near]
    return np.array(chosen).T if chosen else points[:, :0]


def _rounded(surface: Surface, points: Array, diagonal: float) -> Array:
    """Round the coordinates of points where the gradient does not grow: 1 instead of 0.9999999999999999."""
    best = _norms(surface.gradient(points))
    chosen, is_free = points.copy(), np.ones(points.shape[1], dtype=bool)
    near_zero = np.where(np.abs(points) < 1e-9 * diagonal, 0.0, points)
    for candidate in (np.round(points, 6), np.round(points, 10), near_zero):
        better = is_free & (_norms(surface.gradient(candidate)) <= best)
        chosen[:, better] = candidate[:, better]
        is_free &= ~better
    return chosen + 0.0  # turns −0 into 0


def _classified(surface: Surface, points: Array, diagonal: float, usual: float) -> list[CriticalPoint]:
    """Return the points with their losses and kinds, without those that belong to a line of minima."""
    losses, hessians = surface.value(points), np.moveaxis(surface.hessian(points), 2, 0)
    found = []
    for point, loss, hessian in zip(points.T, losses.tolist(), hessians, strict=True):
        if not (math.isfinite(loss) and np.isfinite(hessian).all()):
            continue
        curvatures, directions = np.linalg.eigh(hessian)
        # A Hessian that is zero as a whole has no largest curvature: compare with gradient per distance as well.
        small = np.abs(curvatures) <= max(DEGENERATE * np.abs(curvatures).max(), FLAT * usual / diagonal)
        kind: CriticalKind | None
        if small.any():
            kind = _sampled_kind(surface, point[:, np.newaxis], directions[:, small], loss, diagonal, usual)
        elif curvatures.min() > 0:
            kind = CriticalKind.LOCAL_MINIMUM
        else:
            kind = CriticalKind.MAXIMUM if curvatures.max() < 0 else CriticalKind.SADDLE
        if kind is not None:
            found.append(CriticalPoint(kind=kind, point=tuple(point.tolist()), loss=loss))
    return found


def _sampled_kind(
    surface: Surface, point: Array, flat: Array, loss: float, diagonal: float, usual: float
) -> CriticalKind | None:
    """Return the kind of a point from the losses around it, where the Hessian does not determine it.

    ``None`` on a line of minima, where the gradient is also zero nearby along a flat direction.
    """
    distance = 1e-2 * diagonal
    beside = np.hstack([point + distance * flat, point - distance * flat])
    if (_norms(surface.gradient(beside)) <= FLAT * usual).any():
        return None
    random = np.random.default_rng(SEED)
    around = np.hstack([flat, -flat, random.normal(size=(len(point), SAMPLES))])
    losses = surface.value(point + distance * around / _norms(around))
    if (losses > loss).all():
        return CriticalKind.LOCAL_MINIMUM
    return CriticalKind.MAXIMUM if (losses < loss).all() else CriticalKind.SADDLE


def _kinks(
    surface: Surface, starts: Array, window: Intervals, calls: int, known: list[tuple[float, ...]]
) -> list[CriticalPoint]:
    """Find minima at kinks, such as that of |x|, by a compass search: steps along the axes, halved if none descends."""
    low, high = np.array(window).T[:, :, np.newaxis]
    diagonal = float(np.sqrt(((high - low) ** 2).sum()))
    # Search from the lowest starts, all lanes together.
    losses = surface.value(starts)
    x = starts[:, np.argsort(np.where(np.isfinite(losses), losses, np.inf))[:KINK_STARTS]]
    loss = surface.value(x)
    dim, lanes = x.shape
    size = np.full(lanes, diagonal / 8)
    for _ in range(min(KINK_STEPS, EVALUATIONS // (50 * calls * dim))):
        better = np.zeros(lanes, dtype=bool)
        for i, sign in itertools.product(range(dim), (1.0, -1.0)):
            tried = x.copy()
            tried[i] += sign * size
            tried_loss = surface.value(tried)
            down = tried_loss < loss
            x, loss = np.where(down, tried, x), np.where(down, tried_loss, loss)
            better |= down
        size = np.where(better, size, size / 2)
    # Keep the searches that have converged inside the window, at round coordinates if these are as low.
    rounded = np.round(x, 9) + 0.0
    x = np.where(surface.value(rounded) <= loss, rounded, x)
    x = x[:, _inside(x, low, high, 0.0) & (size < 1e-9 * diagonal)]
    loss = surface.value(x)
    # A compass search also stops in creases that descend obliquely to the axes: compare with random directions.
    directions = np.random.default_rng(SEED).normal(size=(dim, SAMPLES))
    directions /= _norms(directions)
    chosen: list[Array] = [np.array(point) for point in known]
    kinks: list[CriticalPoint] = []
    for lane in np.argsort(loss):
        point = x[:, lane]
        if any(np.abs(point - other).max() <= SAME * diagonal for other in chosen):
            continue
        around = np.hstack([point[:, np.newaxis] + share * diagonal * directions for share in (1e-2, 1e-4, 1e-6)])
        if (surface.value(around) > loss[lane]).all():
            chosen.append(point)
            kind = CriticalKind.LOCAL_MINIMUM
            kinks.append(CriticalPoint(kind=kind, point=tuple(point.tolist()), loss=float(loss[lane])))
    # Points along a crease of constant loss are not isolated minima: the loss halfway between two of them is the same.
    middles = [(np.array(a.point) + np.array(b.point)) / 2 for a, b in itertools.combinations(kinks, 2)]
    lowest = min((kink.loss for kink in kinks), default=math.nan)
    is_crease = any(surface.value(middle[:, np.newaxis])[0] <= lowest + 1e-9 * abs(lowest) for middle in middles)
    return [] if is_crease else kinks
