"""The two coordinates in which the page draws trajectories, and the ground below them."""

from itertools import product
from typing import Any

import numpy as np

from momentumlab.experiment import build_surface
from momentumlab.registry import Array
from momentumlab.report.figures.contours import Projection, contours, coordinate_plane, path_window, principal_plane
from momentumlab.report.page.encoding import MISSING, Payload
from momentumlab.report.page.exploration import Exploration
from momentumlab.result import Result, Status

BEYOND_WINDOW = 1.5
"""Positions are resolved up to this multiple of the window beyond each of its sides."""

SAMPLED_TRIALS = 200

CLIMB = 0.5
"""Trajectories that climb above their start by more than this share of their descent do not widen the window."""

SHADES = 30_000
"""The shades of the ground are integers from 0 to this; `MISSING` where the surface is undefined."""

CURVE_POINTS = 400


class View:
    """Two coordinates in which all trajectories are drawn: x and y, x and loss, or two principal directions."""

    def __init__(self, exploration: Exploration) -> None:
        result, experiment = exploration.result, exploration.experiment
        self.experiment = experiment
        surface, dimension = experiment.first_surface, experiment.dimension
        paths = _sampled_trajectories(result)
        axes = experiment.surface.axes
        combinations = list(product(*(range(len(axis)) for axis in axes.values())))
        self.surfaces = [
            build_surface(
                experiment.surface.name,
                {name: axis.values[i] for (name, axis), i in zip(axes.items(), indices, strict=True)},
            )
            for indices in combinations
        ]
        self.critical_points = surface.critical_points(dimension)
        losses = result.final_losses[np.isfinite(result.final_losses)]
        known = [point.loss for each in self.surfaces for point in each.minima(dimension)]
        self.floor = float(min([*known, *(losses.min(keepdims=True).tolist() if len(losses) else [0.0])]))
        self.plane: Projection | None = None
        if dimension > 2:
            best = result.final_points[int(result.ranking()[0])]
            self.plane = principal_plane(paths, best)
            flat = [self.plane.project(path) for path in paths]
            ends = np.concatenate(flat)
            low, high = ends.min(axis=0), ends.max(axis=0)
            padding = 0.08 * np.maximum(high - low, 1e-12)
            self.window = tuple(zip((low - padding).tolist(), (high + padding).tolist(), strict=True))
        else:
            self.window = path_window(surface, paths)
        low, high = np.array(self.window).T
        self.low, self.high = low - BEYOND_WINDOW * (high - low), high + BEYOND_WINDOW * (high - low)

    def project(self, vectors: Array, *, is_point: bool) -> Array:
        """Points or displacements ``(…, dim)`` in the coordinates of the view, ``(…, 1 or 2)``."""
        if self.plane is None:
            return vectors
        origin = self.plane.origin if is_point else 0.0
        projected: Array = (vectors - origin) @ self.plane.axes
        return projected

    def header(self, payload: Payload) -> dict[str, Any]:
        """Window, contours or curves, and critical points."""
        dimension = self.experiment.dimension
        header: dict[str, Any] = {
            "window": [list(ends) for ends in self.window],
            "position": [self.low.tolist(), self.high.tolist()],
            "lossFloor": self.floor,
            "surfaceShape": [len(axis) for axis in self.experiment.surface.axes.values() if len(axis) > 1],
        }
        points = []
        for point in self.critical_points:
            if dimension <= 2 or (self.plane is not None and point.kind.is_minimum):
                where = self.project(np.array(point.point), is_point=True).tolist()
                points.append({"at": where, "kind": point.kind.name.lower(), "loss": float(point.loss)})
        header["points"] = points
        if dimension == 1:
            (low, high) = self.window[0]
            grid = np.linspace(low, high, CURVE_POINTS)
            with np.errstate(all="ignore"):
                curves = np.stack([surface.value(grid[np.newaxis]) for surface in self.surfaces])
            header |= {"names": ["x", "loss"], "curves": payload.add(curves.astype(np.float32))}
        else:
            plane = self.plane or coordinate_plane()
            grounds = contours(self.surfaces, plane, self.window)
            shades = np.stack([ground.shade for ground in grounds])[:, ::2, ::2]
            quantised = np.where(np.isfinite(shades), np.rint(np.nan_to_num(shades) * SHADES), MISSING).astype(np.int16)
            header |= {"names": list(plane.names), "shades": payload.add(quantised, difference_axis=-1)}
        return header


def _sampled_trajectories(result: Result) -> list[Array]:
    """Trajectories that stay near their start or below it in loss, evenly chosen; all if there are none."""
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
