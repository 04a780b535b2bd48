"""Contours of a surface: the plane on which it is drawn, the window, and heights above the minimum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from numpy.typing import NDArray

from momentumlab.parameters import Array
from momentumlab.report.figures import style
from momentumlab.surfaces import Surface
from momentumlab.surfaces.base import Intervals

MAX_GROWTH = 4.0
"""Limit on the growth of a window beyond each side to hold a path, as a multiple of its width."""

SMALL_PATH = 0.35
"""The window is magnified if all paths extend over less than this share of it in every coordinate."""

PADDING = 0.04
MESH = 200
MIN_MESH = 60
MAX_WORK = 1.5e9
"""Limit on the multiplications of one map, about one second; expensive surfaces get a coarser mesh."""

BATCH_SIZE = 2**17
"""Coordinates evaluated at once, so that intermediate results stay in the cache."""

MAX_HEIGHT = 1e100
LEVELS = 16

SCALE = (1.03, 1.055)
"""Left and right end of the scale, as shares of the width of a panel."""

TICK_DISTANCE = 0.13
"""Least distance between labels of the scale, as a share of its length."""

DECADES = 4.0

CROWDED = 0.045
"""If 95 % of the heights exceed this share of the highest, a logarithmic scale would give them few levels."""

FLAT = 0.95
"""If half of the heights exceed this share of the highest, they are a plateau without features."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A plane through the space of a surface: ``origin + axes @ (u, v)``.

    Attributes
    ----------
    origin
        ``(dim,)``
    axes
        Orthonormal, ``(dim, 2)``.
    names
        The labels of u and v.
    remark
        How the plane was chosen; empty in two dimensions.
    """

    origin: Array
    axes: Array
    names: tuple[str, str]
    remark: str = ""

    def project(self, points: Array) -> Array:
        """Project points ``(n, dim)`` to ``(n, 2)``."""
        projected: Array = (points - self.origin) @ self.axes
        return projected

    def lift(self, flat: Array) -> Array:
        """Return the points of the surface ``(dim, n)`` for points of the plane ``(2, n)``."""
        lifted: Array = self.origin[:, np.newaxis] + self.axes @ flat
        return lifted


def coordinate_plane() -> Projection:
    """Return the plane of a two-dimensional surface."""
    return Projection(origin=np.zeros(2), axes=np.eye(2), names=("x", "y"))


def principal_plane(paths: Sequence[Array], center: Array) -> Projection:
    """Return the plane through ``center`` along the first two principal directions of the paths.

    Each path has the same weight, regardless of its number of points.

    Parameters
    ----------
    paths
        Finite points, ``(n, dim)`` each.
    center
        ``(dim,)``
    """
    spread = np.concatenate([(path - center) / np.sqrt(len(path)) for path in paths])
    _, singular_values, directions = np.linalg.svd(spread, full_matrices=False)
    variance = np.append(singular_values**2, [0.0, 0.0])
    shares = variance / variance.sum() if variance.sum() > 0 else variance
    # Paths on a line or in a point have fewer than two directions: unit vectors complete the plane.
    candidates = np.vstack([directions[variance[: len(directions)] > 0][:2], np.eye(3, len(center))])
    second = next(i for i in range(1, len(candidates)) if np.linalg.matrix_rank(candidates[[0, i]]) == 2)
    axes = np.linalg.qr(candidates[[0, second]].T)[0]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    names = (f"1st principal direction ({shares[0]:.0%} of variance)", f"2nd ({shares[1]:.0%})")
    remark = f"{len(center)} dimensions, projected on the first two principal directions through the best final point"
    return Projection(origin=center, axes=axes, names=names, remark=remark)


def path_window(surface: Surface, paths: Sequence[Array]) -> Intervals:
    """Return the window for paths ``(n, dim)``: that of the surface, enlarged for long paths, magnified for short ones.

    It holds all starts, the known minimum nearest to each final point, and every path that does not lead too far away.
    """
    dimension = paths[0].shape[1]
    low, high = np.array(surface.window(dimension)).T
    minima = np.array([point.point for point in surface.minima(dimension)])
    targets = [minima[((minima - path[-1]) ** 2).sum(axis=1).argmin()][np.newaxis] for path in paths if len(minima)]
    points = np.concatenate([*paths, *targets])
    extent = points.max(axis=0) - points.min(axis=0)
    if minima.size and (extent < SMALL_PATH * (high - low)).all() and (extent > 0).all():
        center = (points.max(axis=0) + points.min(axis=0)) / 2
        low, high = center - extent, center + extent

    starts = np.concatenate([path[:1] for path in paths])
    least, most = np.minimum(low, starts.min(axis=0)), np.maximum(high, starts.max(axis=0))
    reach = MAX_GROWTH * (most - least)
    near = [path for path in paths if ((path >= least - reach) & (path <= most + reach)).all()]
    held = np.concatenate([starts, *near])
    least, most = held.min(axis=0), held.max(axis=0)
    padding = PADDING * (np.maximum(most, high) - np.minimum(least, low))
    low, high = np.minimum(low, least - padding), np.maximum(high, most + padding)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def bounding_box(paths: Sequence[Array]) -> Intervals:
    """Return a window around the points ``(n, 2)`` of all paths; no side is shorter than a tenth of the other."""
    points = np.concatenate(paths)
    low, high = points.min(axis=0), points.max(axis=0)
    longer = float((high - low).max()) or 1.0
    center, extent = (low + high) / 2, np.maximum(high - low, 0.1 * longer) * (0.5 + 2 * PADDING)
    return tuple(zip((center - extent).tolist(), (center + extent).tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Contours:
    """Shaded heights of a surface over a window, computed once and drawn in every panel.

    Attributes
    ----------
    window
        The intervals of u and v.
    shade
        0 at the bottom to 1 at the top, on a mesh.
    levels
        Bounds of the bands of equal colour.
    losses
        The loss at each level.
    """

    window: Intervals
    shade: Array
    levels: Array
    losses: Array

    def draw(self, panels: Sequence[Axes]) -> None:
        """Shade the panels and draw the same contour lines in each."""
        first, *others = panels
        u, v = (np.linspace(*ends, count) for ends, count in zip(self.window, self.shade.shape[::-1], strict=True))
        bands = first.contourf(u, v, self.shade, self.levels, cmap=style.HEIGHT_COLORS, antialiased=False)
        lines = first.contour(u, v, self.shade, self.levels[1:-1], colors=style.CONTOUR_COLOR, linewidths=0.5)
        for panel in others:  # tracing contours costs more than drawing them
            for traced in (bands, lines):
                copied = PathCollection(
                    traced.get_paths(),
                    facecolors=traced.get_facecolor(),
                    edgecolors=traced.get_edgecolor(),
                    linewidths=traced.get_linewidth(),
                    antialiaseds=traced.get_antialiased(),
                )
                panel.add_collection(copied, autolim=False)
        for panel in panels:
            panel.set_xlim(*self.window[0])
            panel.set_ylim(*self.window[1])

    def draw_scale(self, panel: Axes) -> None:
        """Draw the bands as a scale with round losses to the right of a panel; separate axes would take longer."""
        left, right = SCALE
        low, high = self.levels[:-1], self.levels[1:]
        corners = [[(left, a), (right, a), (right, b), (left, b)] for a, b in zip(low, high, strict=True)]
        colors = style.HEIGHT_COLORS((low + high) / 2)
        place: style.Style = {"transform": panel.transAxes, "clip_on": False}
        bands = PolyCollection(corners, facecolors=colors, edgecolors=colors, linewidths=0.3, **place)
        panel.add_collection(bands, autolim=False)
        losses = _round_losses(self.losses, self.levels)
        texts = [(level, style.plain_number(loss)) for level, loss in zip(self._levels_of(losses), losses, strict=True)]
        for level, text in [*texts, (1.035, "loss")]:
            size = 8 * style.scale()
            panel.text(right + 0.01, level, text, va="center", fontsize=size, **place)

    def _levels_of(self, losses: Sequence[float]) -> list[float]:
        places: list[float] = np.interp(losses, self.losses, self.levels).tolist()
        return places


def _round_losses(losses: Array, levels: Array) -> list[float]:
    """Return round losses for the labels of a scale: powers of ten, then other round numbers where there is room."""
    low, high = float(losses[0]), float(losses[-1])
    largest = max(abs(low), abs(high)) or 1.0
    powers = 10.0 ** np.arange(math.floor(math.log10(largest)), math.floor(math.log10(largest)) - 2 * DECADES, -1)
    candidates = [0.0, *(sign * step * power for step in (1, 5, 2) for power in powers for sign in (1, -1))]
    chosen: list[float] = []
    for loss in candidates:
        distances = np.abs(np.interp(loss, losses, levels) - np.interp(chosen, losses, levels))
        if low <= loss <= high and (distances > TICK_DISTANCE).all():
            chosen.append(loss)
    return chosen if len(chosen) > 1 else [float(f"{low:.3g}"), float(f"{high:.3g}")]


def contours(surfaces: Sequence[Surface], plane: Projection, window: Intervals) -> list[Contours]:
    """Evaluate surfaces over a window of a plane, all on one scale.

    Shades follow the logarithm of the height above the lowest known minimum, which keeps the floor of a ravine
    visible. If no known minimum is the lowest point of the window, equal steps of shade cover equal areas. If most of
    the window lies within the highest decade, as on a bowl with many local minima, the shade is the mean of the two.
    Undefined heights stay blank.
    """
    work = max(sum(surface.work for surface in surfaces), 1)
    count = int(max(MIN_MESH, min(MESH, (MAX_WORK / work) ** 0.5)))
    mesh = np.meshgrid(*(np.linspace(*ends, count) for ends in window))
    flat = np.stack([axis.ravel() for axis in mesh])
    heights = np.stack([_heights(surface, plane, flat) for surface in surfaces]).reshape(-1, count, count)
    # A logarithm of heights needs the lowest point: a known minimum that no point of the window undercuts.
    dimension = len(plane.origin)
    lowest = min((point.loss for surface in surfaces for point in surface.minima(dimension)), default=math.inf)
    if np.nanmin(heights) >= lowest - 1e-9 * np.nanmax(np.abs(heights)):
        shades = _logarithmic(heights - lowest)
        low, middle = np.nanquantile(heights - lowest, [0.05, 0.5]) / (np.nanmax(heights - lowest) or 1.0)
        if low > CROWDED and middle < FLAT:
            shades = (shades + _equal_areas(heights)) / 2
    else:
        shades = _equal_areas(heights)
    levels = np.linspace(0, 1, LEVELS + 1)
    # Shades grow with heights, so the losses at the levels are found by interpolation.
    order = np.argsort(heights, axis=None)
    defined = order[np.isfinite(heights.ravel()[order])]
    losses = np.interp(levels, shades.ravel()[defined], heights.ravel()[defined])
    return [Contours(window=window, shade=shade, levels=levels, losses=losses) for shade in shades]


def _heights(surface: Surface, plane: Projection, flat: Array) -> Array:
    """Return the loss at points of the plane, ``(2, n) -> (n,)``, in batches to limit memory in many dimensions."""
    batches = max(1, len(plane.origin) * flat.shape[1] // BATCH_SIZE)
    with np.errstate(all="ignore"):
        heights = np.concatenate([surface.value(plane.lift(part)) for part in np.array_split(flat, batches, axis=1)])
    defined = np.isfinite(heights)
    if not defined.any():
        return np.full_like(heights, MAX_HEIGHT)
    return np.where(defined, np.clip(heights, -MAX_HEIGHT, MAX_HEIGHT), np.nan)


def _logarithmic(heights: Array) -> Array:
    highest = float(np.nanmax(heights))
    if not highest > 0:
        return np.zeros_like(heights)
    lowest = min(float(np.nanquantile(heights, 0.01)), highest * 10**-DECADES)
    lowest = max(lowest, highest * 10 ** (-2 * DECADES))
    shade: Array = np.log(np.maximum(heights, lowest) / lowest) / np.log(highest / lowest)
    return shade


def _equal_areas(heights: Array) -> Array:
    quantiles = np.nanquantile(heights, np.linspace(0, 1, 4 * LEVELS + 1))
    shares: NDArray[np.float64] = np.linspace(0, 1, len(quantiles))
    shade: Array = np.interp(heights, quantiles, shares)
    return shade
