"""The two coordinates in which the page draws trajectories, and the contours below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from momentumlab.experiment import Experiment, build_surface
from momentumlab.parameters import Array
from momentumlab.report.figures.contours import Projection, contours, coordinate_plane, path_window, principal_plane
from momentumlab.report.page.encoding import MISSING, Payload
from momentumlab.result import Result, Status
from momentumlab.surfaces import Surface
from momentumlab.surfaces.base import Intervals

BEYOND_WINDOW = 1.5
"""Positions are resolved up to this multiple of the window beyond each of its sides."""

PADDING = 0.08

SAMPLED_TRIALS = 200

CLIMB = 0.5
"""Trajectories that climb above their start by more than this share of their descent do not widen the window."""

SHADES = 30_000
"""The shades of the ground are integers from 0 to this; `MISSING` where the surface is undefined."""

CURVE_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class View:
    """Two coordinates in which all trajectories are drawn: x and y, x and loss, or two principal directions.

    Attributes
    ----------
    surfaces
        One for each combination of the surface's parameters.
    plane
        The plane of the principal directions; ``None`` in one and two dimensions.
    window
        The interval of each coordinate.
    floor
        The lowest known loss, above which losses are drawn.
    """

    experiment: Experiment
    surfaces: Sequence[Surface]
    plane: Projection | None
    window: Intervals
    floor: float

    @property
    def low(self) -> Array:
        """The lower ends of the intervals to which positions are quantised."""
        low, high = np.array(self.window).T
        lowest: Array = low - BEYOND_WINDOW * (high - low)
        return lowest

    @property
    def high(self) -> Array:
        """The upper ends of these intervals."""
        low, high = np.array(self.window).T
        highest: Array = high + BEYOND_WINDOW * (high - low)
        return highest

    def project(self, vectors: Array, *, is_point: bool) -> Array:
        """Return points or displacements ``(…, dim)`` in the coordinates of the view, ``(…, 1 or 2)``."""
        if self.plane is None:
            return vectors
        origin = self.plane.origin if is_point else 0.0
        projected: Array = (vectors - origin) @ self.plane.axes
        return projected

    def header(self, payload: Payload) -> dict[str, Any]:
        """Return window, contours or curves, and critical points."""
        dimension, surface = self.experiment.dimension, self.experiment.surface
        points = [
            {
                "at": self.project(np.array(point.point), is_point=True).tolist(),
                "kind": point.kind.name.lower(),
                "loss": float(point.loss),
            }
            for point in self.surfaces[0].critical_points(dimension)
            if dimension <= 2 or point.kind.is_minimum
        ]
        header: dict[str, Any] = {
            "window": [list(ends) for ends in self.window],
            "position": [self.low.tolist(), self.high.tolist()],
            "lossFloor": self.floor,
            "surfaceShape": [len(axis) for axis in surface.axes.values() if len(axis) > 1],
            "points": points,
        }
        if dimension == 1:
            grid = np.linspace(*self.window[0], CURVE_POINTS)
            with np.errstate(all="ignore"):
                curves = np.stack([surface.value(grid[np.newaxis]) for surface in self.surfaces]).astype(np.float32)
            return {**header, "names": ["x", "loss"], "curves": payload.add(curves)}
        plane = self.plane or coordinate_plane()
        shades = np.stack([ground.shade for ground in contours(self.surfaces, plane, self.window)])[:, ::2, ::2]
        quantised = np.where(np.isfinite(shades), np.rint(np.nan_to_num(shades) * SHADES), MISSING).astype(np.int16)
        return {**header, "names": list(plane.names), "shades": payload.add(quantised, difference_axis=-1)}


def make_view(result: Result, *, fit: bool = True) -> View:
    """Choose the coordinates and the window for a result with history.

    Parameters
    ----------
    fit
        Whether the window is fitted to the trajectories; otherwise it is that of the surface and holds the starts.
    """
    experiment = result.experiment
    dimension, axes = experiment.dimension, experiment.surface.axes
    surfaces = [
        build_surface(experiment.surface.name, dict(zip(axes, values, strict=True)))
        for values in product(*(axis.values for axis in axes.values()))
    ]
    known = [point.loss for surface in surfaces for point in surface.minima(dimension)]
    finite = result.final_losses[np.isfinite(result.final_losses)].tolist()
    trajectories = _sampled_trajectories(result)
    plane = None
    if dimension > 2:
        plane = principal_plane(trajectories, result.final_points[int(result.ranking()[0])])
        window = _bounds([plane.project(trajectory) for trajectory in trajectories], PADDING)
    elif fit:
        window = path_window(surfaces[0], trajectories)
    else:
        starts = [trajectory[:1] for trajectory in trajectories]
        corners = np.array(surfaces[0].window(dimension)).T
        is_inside = all(((start >= corners[0]) & (start <= corners[1])).all() for start in starts)
        window = _bounds([corners, *starts], 0.0 if is_inside else PADDING)
    floor = float(min([*known, *finite], default=0.0))
    return View(experiment=experiment, surfaces=surfaces, plane=plane, window=window, floor=floor)


def _bounds(points: Sequence[Array], padding: float) -> Intervals:
    """Return intervals that hold all points ``(n, coordinates)``, widened by a share of their lengths."""
    every = np.concatenate(points)
    low, high = every.min(axis=0), every.max(axis=0)
    margin = padding * np.maximum(high - low, 1e-12)
    return tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))


def _sampled_trajectories(result: Result) -> list[Array]:
    """Return evenly selected trajectories whose loss stays near or below its start; of all if there are none."""
    losses = result.losses
    with np.errstate(all="ignore"):
        highest = np.nanmax(losses, axis=1)
        span = np.abs(losses[:, 0] - np.nanmin(losses, axis=1))
        stays = highest <= losses[:, 0] + CLIMB * span
    sound = result.status_codes != Status.DIVERGED.code
    numbers = np.flatnonzero(stays & sound)
    numbers = numbers if len(numbers) else np.arange(result.trials)
    chosen = numbers[np.unique(np.linspace(0, len(numbers) - 1, SAMPLED_TRIALS).astype(int))]
    trajectories = [result.path(number) for number in chosen.tolist()]
    return [path[np.isfinite(path).all(axis=1)] for path in trajectories]
