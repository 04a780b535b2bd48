"""The paths: over the contours of the surface, a panel per trial; in one dimension, on the graph of the loss."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.landscape import (
    Plane,
    bounding_box,
    coordinate_plane,
    framed,
    landscapes,
    principal_plane,
)
from momentumlab.report.figures.selection import Panelled, Shown, join, selection, selection_remark
from momentumlab.report.reports import Report
from momentumlab.result import Result, Status
from momentumlab.surfaces.base import Intervals

MOST_POINTS = 200
"""Up to this many iterations each is marked with a point."""


FAR = 1e20
"""Coordinates beyond this are drawn there."""

MOST_REPLICATES = 8
"""More paths in one panel would hide each other."""

FEW_POINTS = 60
"""Longer paths are drawn with a thinner line."""


def trajectory_figure(
    report: Report,
    groups: Sequence[Panelled] | None = None,
    heading: str | None = None,
    remark: str = "",
    *,
    view: Intervals | None = None,
) -> Figure:
    """The path of each trial, with the start, the end and the known minima marked.

    A panel per trial, or per group of trials; all have the same window, contour levels and scale. The window grows to
    hold the paths of trials that did not diverge, up to a limit; a panel whose path leaves it says so. In more than
    two dimensions the paths are drawn on the plane of their two principal directions. A ``view``, an interval for
    each coordinate of the picture, is the window instead.

    Raises
    ------
    ValueError
        If the result was made without its history.
    """
    result = report.result
    if groups is None:
        groups = [_alone(report, one) for one in selection(report)]
        remark = selection_remark(report)
    with style.styled():
        rows, columns = arrangement(len(groups))
        width = {1: 6.0, 2: 4.6}.get(columns, 3.9)
        margins = style.Margins(left=0.95, top=1.0, bottom=0.85)
        figure, panels = style.panels(rows, columns, width, 0.72 * width, margins, sharex=True, sharey=True)
        for unused in panels[len(groups) :]:
            unused.remove()
        panels = panels[: len(groups)]
        style.plain_ticks(panels[0])
        for panel in panels[-columns:]:
            panel.tick_params(labelbottom=True)
            panel.set_xlabel("x")
        for panel in panels[::columns]:
            panel.set_ylabel("loss" if result.plan.dimension == 1 else "y")
        draw = _draw_graphs if result.plan.dimension == 1 else _draw_maps
        style.headline(figure, heading or report.title, join(draw(result, groups, panels, view), remark))
        kinds = [("start", style.START), ("end", {**style.END, "markerfacecolor": "#888888"})]
        if any(_shows_minimum(panel) for panel in panels):
            known = f"{result.experiment.first_surface.minima_are} minimum"
            kinds.append((known if result.plan.dimension <= 2 else f"{known}, projected", style.MINIMUM))
        style.marker_legend(figure, kinds)
    return figure


def arrangement(count: int) -> tuple[int, int]:
    """Rows and columns for that many panels: up to three side by side, four as 2 × 2, then rows of three or four."""
    if count <= 3:
        return 1, count
    columns = 2 if count == 4 else 3 if count <= 9 else 4
    return math.ceil(count / columns), columns


def _alone(report: Report, one: Shown) -> Panelled:
    """A trial in a panel of its own, and how it went."""
    result = report.result
    if report.experiment.replicates > 1:
        return _replicated(report, one)
    verbs = {Status.CONVERGED: "converged in ", Status.DIVERGED: "diverged after "}
    verbs[Status.MAX_ITERATIONS] = ""
    verb = verbs[result.status_of(one.number)]
    told = f"{verb}{result.iterations[one.number]:,} iterations, loss {result.final_losses[one.number]:.3g}"
    return Panelled(label=one.label, told=told, color=one.color, trials=[one])


def _replicated(report: Report, one: Shown) -> Panelled:
    """The first replicates of a setting in one panel."""
    result = report.result
    numbers = report.replicates_of(one.number)
    trials = [
        replace(
            one,
            trial=result.plan.trial(number),
            diverged=result.status_of(number) is Status.DIVERGED,
        )
        for number in numbers[:MOST_REPLICATES].tolist()
    ]
    more = f", {len(trials)} of them shown" if len(numbers) > len(trials) else ""
    told = f"{len(numbers)} replicates{more}, median loss {report.final_losses(one.number).split(' ')[0]}"
    return Panelled(label=one.label, told=told, color=one.color, trials=trials)


def _draw_maps(result: Result, groups: Sequence[Panelled], panels: Sequence[Axes], view: Intervals | None) -> str:
    """Paths over contours; returns what must be said about the plane."""
    shown = [one for group in groups for one in group.trials]
    plane = _plane(result, shown)
    paths = [plane.project(_finite_path(result, one)) for one in shown]
    holding = _worth_holding(shown, paths)
    if view is not None:
        window = view
    elif plane.is_surface:
        window = framed(result.experiment.first_surface, holding)
    else:
        window = bounding_box(holding)

    surfaces = [result.plan.surface_of(group.trials[0].number) for group in groups]
    if result.experiment.surface.combinations == 1:
        landscapes(surfaces[:1], plane, window)[0].draw(panels)
    else:
        for land, panel in zip(landscapes(surfaces, plane, window), panels, strict=True):
            land.draw([panel])
    remaining = iter(paths)
    size = min(style.fitted(group.label, style.width_of(panels[0]), 10) for group in groups)
    for panel, group, surface in zip(panels, groups, surfaces, strict=True):
        for minimum in surface.minima(result.plan.dimension):
            panel.plot(*plane.project(np.array([minimum.point]))[0], zorder=3, **style.MINIMUM)
        leaving = 0
        for one in group.trials:
            path = next(remaining)
            _draw_path(panel, one, path[:, 0], path[:, 1], alone=len(group.trials) == 1)
            leaving += _leaves(path, window)
        _describe(group, panel, size, leaving)
        for axis, name in zip((panel.xaxis, panel.yaxis), plane.names, strict=True):
            if axis.label.get_text():
                axis.set_label_text(name)
    return plane.remark


def _draw_graphs(result: Result, groups: Sequence[Panelled], panels: Sequence[Axes], view: Intervals | None) -> str:
    """Iterates on the graph of a loss of one coordinate."""
    shown = [one for group in groups for one in group.trials]
    paths = [_finite_path(result, one) for one in shown]
    window = view or framed(result.experiment.first_surface, _worth_holding(shown, paths))
    ((left, right),) = window
    line = np.linspace(left, right, 400)
    low, high = np.inf, -np.inf
    remaining = iter(paths)
    size = min(style.fitted(group.label, style.width_of(panels[0]), 10) for group in groups)
    for panel, group in zip(panels, groups, strict=True):
        surface = result.plan.surface_of(group.trials[0].number)
        with np.errstate(all="ignore"):
            heights = np.clip(surface.value(line[np.newaxis]), -FAR, FAR)
        low, high = min(low, float(np.nanmin(heights))), max(high, float(np.nanmax(heights)))
        panel.plot(line, heights, color=style.CONTOUR, linewidth=1.5, zorder=1)
        for minimum in surface.minima(1):
            panel.plot(*minimum.point, minimum.loss, zorder=3, **style.MINIMUM)
        leaving = 0
        for one in group.trials:
            path = next(remaining)
            with np.errstate(all="ignore"):
                losses = np.clip(surface.value(np.ascontiguousarray(path.T)), -FAR, FAR)
            _draw_path(panel, one, path[:, 0], losses, halo=False, alone=len(group.trials) == 1)
            leaving += _leaves(path, window)
        _describe(group, panel, size, leaving)
        panel.set_xlim(left, right)
    margin = 0.06 * (high - low) or 1.0
    panels[0].set_ylim(low - margin, high + margin)
    return ""


def _draw_path(panel: Axes, one: Shown, u: Array, v: Array, *, halo: bool = True, alone: bool = True) -> None:
    marked = alone and len(u) <= MOST_POINTS + 1
    line_width = 0.7 if not (halo and alone) else 1.4 if len(u) <= FEW_POINTS else 0.9
    if halo:
        panel.plot(u, v, color="white", linewidth=line_width + 1.6, alpha=0.7, zorder=4, solid_joinstyle="round")
    panel.plot(
        u,
        v,
        color=one.color,
        linewidth=line_width,
        marker="o" if marked else "",
        markersize=3.5 if len(u) <= FEW_POINTS else 2.5,
        markeredgewidth=0,
        zorder=5,
        solid_joinstyle="round",
    )
    smaller: style.Style = {} if alone else {"markersize": 4}
    panel.plot(u[:1], v[:1], zorder=7 if alone else 5, **{**style.START, **smaller})
    panel.plot(u[-1:], v[-1:], zorder=6, **{**style.END, "markerfacecolor": one.color, **smaller})


def _describe(group: Panelled, panel: Axes, size: float, leaving: int) -> None:
    """The title of a panel: what it shows, and how it went."""
    panel.set_title(group.label, loc="left", fontsize=size, fontweight="bold", color=group.color, pad=19)
    panel.annotate(
        group.told, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color="#444444"
    )
    if leaving:
        several = f"{leaving} of {len(group.trials)} paths leave the window"
        panel.text(
            0.99,
            0.02,
            several if len(group.trials) > 1 else "the path leaves the window",
            transform=panel.transAxes,
            ha="right",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            zorder=8,
        )


def _shows_minimum(panel: Axes) -> bool:
    """Whether the star of a minimum lies inside a panel; in many dimensions its projection may not."""
    stars = [line for line in panel.get_lines() if line.get_marker() == style.MINIMUM["marker"]]
    return any(panel.viewLim.contains(*np.asarray(star.get_xydata())[0]) for star in stars)


def _leaves(points: Array, window: Intervals) -> bool:
    low, high = np.array(window).T
    return bool(((points < low) | (points > high)).any())


def _finite_path(result: Result, one: Shown) -> Array:
    """The path within what matplotlib's arithmetic can bear, as far as it is finite."""
    path = result.path(one.number)
    finite: Array = path[np.isfinite(path).all(axis=1)]
    return np.clip(finite, -FAR, FAR)


def _worth_holding(shown: Sequence[Shown], paths: Sequence[Array]) -> list[Array]:
    """What the window should hold: all starts, and the paths that did not diverge."""
    ended = [path for one, path in zip(shown, paths, strict=True) if not one.diverged]
    return [*ended, *(path[:1] for path in paths)]


def _plane(result: Result, shown: Sequence[Shown]) -> Plane:
    if result.plan.dimension == 2:
        return coordinate_plane()
    paths = _worth_holding(shown, [_finite_path(result, one) for one in shown])
    best = result.final_points[result.ranking()[0]]
    return principal_plane(paths, center=best if np.isfinite(best).all() else paths[-1][0])
