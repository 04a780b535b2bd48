"""The ground on which paths are drawn: a plane through the surface, its window, its shade and contour lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.contour import ContourSet
from numpy.typing import NDArray

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.surfaces import Surface
from momentumlab.surfaces.base import Intervals

GROWTH = 4.0
"""How far the window may grow beyond each of its sides to hold a path, as a multiple of its own width."""

SMALL = 0.35
"""Paths that take less than this share of the window, in every coordinate, are shown from nearer by."""

PADDING = 0.04
MESH = 200
COARSEST_MESH = 60
MOST_WORK = 1.5e9
"""The multiplications that a map may take, about a second's; a surface that needs more has a coarser mesh."""

LIFTED_AT_ONCE = 2**22
FAR = 1e100
LEVELS = 16
DECADES = 4.0

CROWDED = 0.045
"""Where 19 of 20 heights are above this share of the highest, a logarithm alone leaves them few levels."""

PLAIN = 0.95
"""Where half of the heights are above this share of the highest, what crowds there is a plain without features."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A flat map of the points of a surface: ``origin + axes @ (u, v)``.

    Attributes
    ----------
    origin
        ``(dim,)``
    axes
        Orthonormal, ``(dim, 2)``.
    names
        What u and v are called.
    remark
        What a person must know to read the map.
    """

    origin: Array
    axes: Array
    names: tuple[str, str]
    remark: str = ""

    @property
    def is_surface(self) -> bool:
        """Whether the plane is all there is: the surface has two coordinates."""
        return len(self.origin) == 2

    def project(self, points: Array) -> Array:
        """Points ``(n, dim)`` to ``(n, 2)``."""
        projected: Array = (points - self.origin) @ self.axes
        return projected

    def lift(self, flat: Array) -> Array:
        """Points of the plane ``(2, n)`` to points of the surface ``(dim, n)``."""
        lifted: Array = self.origin[:, np.newaxis] + self.axes @ flat
        return lifted


def coordinate_plane() -> Plane:
    """The plane of a surface that has two coordinates."""
    return Plane(origin=np.zeros(2), axes=np.eye(2), names=("x", "y"))


def principal_plane(paths: Sequence[Array], center: Array) -> Plane:
    """The plane through ``center`` along the two directions in which the paths extend most.

    Each path counts the same, however many points it has.

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
    # Unit vectors complete the plane where the paths lie on a line, or on a point.
    candidates = np.vstack([directions[variance[: len(directions)] > 0][:2], np.eye(3, len(center))])
    axes = np.linalg.qr(candidates[_independent(candidates)].T)[0]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    names = (f"1st principal direction ({shares[0]:.0%} of the spread)", f"2nd ({shares[1]:.0%})")
    remark = f"{len(center)} dimensions: the plane of the paths' two principal directions through the best end"
    return Plane(origin=center, axes=axes, names=names, remark=remark)


def grown(window: Intervals, paths: Sequence[Array]) -> Intervals:
    """The window, grown to hold all starts, and all of each path ``(n, dim)`` that does not go too far beyond them."""
    starts = np.concatenate([path[:1] for path in paths])
    low, high = np.array(window).T
    low, high = np.minimum(low, starts.min(axis=0)), np.maximum(high, starts.max(axis=0))
    reach = GROWTH * (high - low)
    points = np.concatenate([starts, *(path for path in paths if _within(path, low - reach, high + reach))])
    low, high = np.array(window).T
    least, most = points.min(axis=0), points.max(axis=0)
    padding = PADDING * (np.maximum(most, high) - np.minimum(least, low))
    low, high = np.minimum(low, least - padding), np.maximum(high, most + padding)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def _within(points: Array, low: Array, high: Array) -> bool:
    return bool(((points >= low) & (points <= high)).all())


def _independent(vectors: Array) -> list[int]:
    """The numbers of the first two linearly independent vectors."""
    for second in range(1, len(vectors)):
        if np.linalg.matrix_rank(vectors[[0, second]]) == 2:
            return [0, second]
    raise ValueError("all vectors are parallel")


def framed(surface: Surface, paths: Sequence[Array]) -> Intervals:
    """The window in which to draw paths ``(n, dim)``: the surface's own, or a nearer one around small paths.

    It never loses the known minimum that is nearest to the end of a path.
    """
    dimension = paths[0].shape[1]
    window = surface.window(dimension)
    minima = np.array([point.point for point in surface.minima(dimension)])
    targets = [minima[((minima - path[-1]) ** 2).sum(axis=1).argmin()][np.newaxis] for path in paths if len(minima)]
    points = np.concatenate([*paths, *targets])
    low, high = np.array(window).T
    extent = points.max(axis=0) - points.min(axis=0)
    if minima.size and (extent < SMALL * (high - low)).all() and (extent > 0).all():
        center = (points.max(axis=0) + points.min(axis=0)) / 2
        window = tuple(zip((center - extent).tolist(), (center + extent).tolist(), strict=True))
    return grown(window, paths)


def bounding_box(paths: Sequence[Array]) -> Intervals:
    """A window around the points ``(n, 2)`` of all paths, nowhere narrower than a tenth of its longer side."""
    points = np.concatenate(paths)
    low, high = points.min(axis=0), points.max(axis=0)
    longer = float((high - low).max()) or 1.0
    center, extent = (low + high) / 2, np.maximum(high - low, 0.1 * longer) * (0.5 + 2 * PADDING)
    return tuple(zip((center - extent).tolist(), (center + extent).tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """The heights of a plane above the surface's minimum, computed once and drawn in every panel.

    Attributes
    ----------
    window
        The intervals of u and v.
    shade
        0 to 1, by the logarithm of the height, on a mesh.
    levels
        The shades between which each band has one colour.
    """

    window: Intervals
    shade: Array
    levels: Array

    def draw(self, panels: Sequence[Axes]) -> None:
        """Shade the panels and draw the same contour lines in each."""
        first, *others = panels
        (left, right), (bottom, top) = self.window
        u, v = (np.linspace(*ends, count) for ends, count in zip(self.window, self.shade.shape[::-1], strict=True))
        bands = first.contourf(u, v, self.shade, self.levels, cmap=style.LAND, antialiased=False)
        lines = first.contour(u, v, self.shade, self.levels[1:-1], colors=style.CONTOUR, linewidths=0.5)
        for panel in others:  # tracing contours costs more than drawing them
            for traced in (bands, lines):
                panel.add_collection(_copied(traced), autolim=False)
        for panel in panels:
            panel.set_xlim(left, right)
            panel.set_ylim(bottom, top)


def _copied(traced: ContourSet) -> PathCollection:
    return PathCollection(
        traced.get_paths(),
        facecolors=traced.get_facecolor(),
        edgecolors=traced.get_edgecolor(),
        linewidths=traced.get_linewidth(),
        antialiaseds=traced.get_antialiased(),
    )


def landscapes(surfaces: Sequence[Surface], plane: Plane, window: Intervals) -> list[Landscape]:
    """Evaluate surfaces over a window of a plane, all on one scale.

    Heights are counted from the lowest known minimum and shown by their logarithm, so that a ravine's floor is visible.
    Where no known minimum is the lowest point of the window, equal steps of shade cover equal areas. Where most of the
    window is within the highest decade, as on a bowl full of dimples, the shade is the mean of the two. Where the
    surface is not defined, the map stays blank.
    """
    (left, right), (bottom, top) = window
    count = _mesh(sum(surface.work for surface in surfaces))
    mesh = np.meshgrid(np.linspace(left, right, count), np.linspace(bottom, top, count))
    flat = np.stack([axis.ravel() for axis in mesh])
    heights = np.stack([_heights(surface, plane, flat) for surface in surfaces]).reshape(-1, count, count)
    dimension = len(plane.origin)
    lowest = min((point.loss for surface in surfaces for point in surface.minima(dimension)), default=math.inf)
    # A local minimum is no floor to count from where the window holds lower ground.
    is_floor = np.nanmin(heights) >= lowest - 1e-9 * np.nanmax(np.abs(heights))
    shades = _counted(heights - lowest) if is_floor else _ranked(heights)
    return [Landscape(window=window, shade=shade, levels=np.linspace(0, 1, LEVELS + 1)) for shade in shades]


def _mesh(work: int) -> int:
    """How many points a side of the mesh has."""
    return int(max(COARSEST_MESH, min(MESH, (MOST_WORK / max(work, 1)) ** 0.5)))


def _heights(surface: Surface, plane: Plane, flat: Array) -> Array:
    """The loss at points of the plane, ``(2, n) -> (n,)``, a part at a time: there may be many dimensions."""
    parts = max(1, len(plane.origin) * flat.shape[1] // LIFTED_AT_ONCE)
    with np.errstate(all="ignore"):
        losses = [surface.value(plane.lift(part)) for part in np.array_split(flat, parts, axis=1)]
    heights = np.concatenate(losses)
    defined = np.isfinite(heights)
    if not defined.any():
        return np.full_like(heights, FAR)
    return np.where(defined, np.clip(heights, -FAR, FAR), np.nan)


def _counted(heights: Array) -> Array:
    low, middle = np.nanquantile(heights, [0.05, 0.5]) / (np.nanmax(heights) or 1.0)
    is_crowded = low > CROWDED and middle < PLAIN
    return (_logarithmic(heights) + _ranked(heights)) / 2 if is_crowded else _logarithmic(heights)


def _logarithmic(heights: Array) -> Array:
    highest = float(np.nanmax(heights))
    if not highest > 0:
        return np.zeros_like(heights)
    lowest = min(float(np.nanquantile(heights, 0.01)), highest * 10**-DECADES)
    lowest = max(lowest, highest * 10 ** (-2 * DECADES))
    shade: Array = np.log(np.maximum(heights, lowest) / lowest) / np.log(highest / lowest)
    return shade


def _ranked(heights: Array) -> Array:
    quantiles = np.nanquantile(heights, np.linspace(0, 1, 4 * LEVELS + 1))
    steps: NDArray[np.float64] = np.linspace(0, 1, len(quantiles))
    ranked: Array = np.interp(heights, quantiles, steps)
    return ranked
