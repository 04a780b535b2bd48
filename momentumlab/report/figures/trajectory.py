"""Trajectories over the contours of the surface, a panel per trial; in one dimension, on the graph of the loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.backend import DisplayFigure
from momentumlab.report.figures.contours import (
    Projection,
    bounding_box,
    contours,
    coordinate_plane,
    path_window,
    principal_plane,
)
from momentumlab.report.figures.trials import ShownTrial, select_trials
from momentumlab.report.reports import Report
from momentumlab.result import Result, Status
from momentumlab.surfaces.base import Intervals

MAX_MARKED = 200
"""Up to this many iterates are marked with a dot."""

FEW_ITERATES = 60
"""Longer trajectories get thinner lines and smaller dots."""

MAX_COORDINATE = 1e20
"""Larger coordinates are drawn here."""

MOST_POINTS = 1024
"""Points of all trajectories that determine the plane on which they are drawn."""

MAX_REPLICATES = 8
"""Replicates in one panel; more would hide each other."""

END: style.Style = {**style.END, "markersize": 4.5}
MINIMUM: style.Style = {**style.MINIMUM, "markersize": 13}

OUTCOMES = {Status.CONVERGED: "converged in ", Status.DIVERGED: "diverged after "}


@dataclass(frozen=True, kw_only=True)
class PathPanel:
    """The trials of one panel, and what is written above it."""

    title: str
    subtitle: str
    color: str
    trials: Sequence[ShownTrial]


def trajectory_figure(
    report: Report,
    groups: Sequence[PathPanel] | None = None,
    title: str | None = None,
    remark: str = "",
    *,
    view: Intervals | None = None,
) -> DisplayFigure:
    """Draw the trajectory of each trial, with its start, its final point and the known minima.

    All panels have the same window, contour levels and scale. The window grows to hold the trajectories that did not
    diverge, up to a limit; a panel says if its trajectory leaves it. In more than two dimensions trajectories are
    projected on their first two principal directions.

    Parameters
    ----------
    report
        A report with trajectories.
    groups, title, remark
        The panels and the text above them; by default a panel for each selected trial.
    view
        The window, an interval for each drawn coordinate.

    Raises
    ------
    ValueError
        If no trajectories were recorded.
    """
    result = report.result
    if groups is None:
        selection = select_trials(report)
        groups = [_panel_of(report, one) for one in selection.trials]
        title, remark = selection.title, selection.remark
    with style.styled():
        rows, columns = style.arrangement(len(groups))
        width = {1: 6.0, 2: 4.6}.get(columns, 3.9)
        margins = style.Margins(left=0.95, top=1.0, bottom=0.85)
        figure, panels = style.panels(
            len(groups), (rows, columns), width, 0.72 * width, margins, sharex=True, sharey=True
        )
        style.plain_ticks(panels[0])
        draw = _draw_on_graph if result.plan.dimension == 1 else _draw_on_contours
        names, plane_remark = draw(result, groups, panels, view)
        for panel in panels[-columns:]:
            panel.tick_params(labelbottom=True)
            panel.set_xlabel(names[0])
        for panel in panels[::columns]:
            panel.set_ylabel(names[1])
        style.headline(figure, title or report.title, style.join(plane_remark, remark))
        kinds = [("start", style.START), ("end", {**END, "markerfacecolor": "#888888"})]
        if any(_shows_minimum(panel) for panel in panels):
            known = f"{result.experiment.first_surface.minima_are} minimum"
            kinds.append((known if result.plan.dimension <= 2 else f"{known}, projected", MINIMUM))
        style.marker_legend(figure, kinds)
    return figure


def _panel_of(report: Report, one: ShownTrial) -> PathPanel:
    """Return the panel of a trial, or of the first replicates of a setting."""
    result = report.result
    trials = [one]
    if report.experiment.replicates == 1:
        count, loss = result.iterations[one.number], result.final_losses[one.number]
        subtitle = f"{OUTCOMES.get(result.status_of(one.number), '')}{count:,} iterations, loss {loss:.3g}"
    else:
        numbers = report.replicates_of(one.number)
        trials = [
            replace(one, trial=result.plan.trial(number), diverged=result.status_of(number) is Status.DIVERGED)
            for number in numbers[:MAX_REPLICATES].tolist()
        ]
        shown = f", {len(trials)} of them shown" if len(numbers) > len(trials) else ""
        median, *_ = report.final_losses(one.number).split()
        subtitle = f"{len(numbers)} replicates{shown}, median loss {median}"
    return PathPanel(title=one.label, subtitle=subtitle, color=one.color, trials=trials)


def _draw_on_contours(
    result: Result, groups: Sequence[PathPanel], panels: Sequence[Axes], view: Intervals | None
) -> tuple[tuple[str, str], str]:
    """Draw trajectories over contours; return the names of the axes and a remark on the plane."""
    shown = [one for group in groups for one in group.trials]
    plane = _plane(result, shown)
    # Of all trajectories at once only the projections are in memory.
    paths = [plane.project(_finite_path(result, one)) for one in shown]
    # The window holds all starts and the trajectories that did not diverge.
    held = [path[:1] if one.diverged else path for one, path in zip(shown, paths, strict=True)]
    if view is not None:
        window = view
    elif result.plan.dimension == 2:
        window = path_window(result.experiment.first_surface, held)
    else:
        window = bounding_box(held)

    surfaces = [result.plan.surface_of(group.trials[0].number) for group in groups]
    if result.experiment.surface.combinations == 1:
        contours(surfaces[:1], plane, window)[0].draw(panels)
    else:
        for background, panel in zip(contours(surfaces, plane, window), panels, strict=True):
            background.draw([panel])

    remaining = iter(paths)
    size = _title_size(groups, panels[0])
    for panel, group, surface in zip(panels, groups, surfaces, strict=True):
        for minimum in surface.minima(result.plan.dimension):
            panel.plot(*plane.project(np.array([minimum.point]))[0], zorder=3, **MINIMUM)
        leaving = 0
        for one in group.trials:
            path = next(remaining)
            _draw_path(panel, one, path[:, 0], path[:, 1], single=len(group.trials) == 1)
            leaving += _leaves(path, window)
        _describe(panel, group, size, leaving)
    return plane.names, plane.remark


def _draw_on_graph(
    result: Result, groups: Sequence[PathPanel], panels: Sequence[Axes], view: Intervals | None
) -> tuple[tuple[str, str], str]:
    """Draw the iterates on the graph of a loss of one coordinate; return the names of the axes."""
    shown = [one for group in groups for one in group.trials]
    paths = [_finite_path(result, one) for one in shown]
    held = [path[:1] if one.diverged else path for one, path in zip(shown, paths, strict=True)]
    window = view or path_window(result.experiment.first_surface, held)
    line = np.linspace(*window[0], 400)
    low, high = np.inf, -np.inf
    remaining = iter(paths)
    size = _title_size(groups, panels[0])
    for panel, group in zip(panels, groups, strict=True):
        surface = result.plan.surface_of(group.trials[0].number)
        heights = np.clip(surface.value(line[np.newaxis]), -MAX_COORDINATE, MAX_COORDINATE)
        low, high = min(low, float(np.nanmin(heights))), max(high, float(np.nanmax(heights)))
        panel.plot(line, heights, color=style.CONTOUR_COLOR, linewidth=1.5, zorder=1)
        for minimum in surface.minima(1):
            panel.plot(*minimum.point, minimum.loss, zorder=3, **MINIMUM)
        leaving = 0
        for one in group.trials:
            path = next(remaining)
            losses = np.clip(surface.value(np.ascontiguousarray(path.T)), -MAX_COORDINATE, MAX_COORDINATE)
            _draw_path(panel, one, path[:, 0], losses, halo=False, single=len(group.trials) == 1)
            leaving += _leaves(path, window)
        _describe(panel, group, size, leaving)
        panel.set_xlim(*window[0])
    margin = 0.06 * (high - low) or 1.0
    panels[0].set_ylim(low - margin, high + margin)
    return ("x", "loss"), ""


def _plane(result: Result, shown: Sequence[ShownTrial]) -> Projection:
    if result.plan.dimension == 2:
        return coordinate_plane()
    # The principal directions of long paths are those of every k-th of their points.
    step = max(1, int(result.iterations[[one.number for one in shown]].sum()) // MOST_POINTS)
    paths = [_finite_path(result, one, step) for one in shown]
    # Diverged trajectories would dominate the directions, and single points have none.
    bounded = [path for one, path in zip(shown, paths, strict=True) if not one.diverged]
    best = result.final_points[result.ranking()[0]]
    center = best if np.isfinite(best).all() else paths[-1][0]
    return principal_plane(bounded or [path[:1] for path in paths], center=center)


def _finite_path(result: Result, one: ShownTrial, step: int = 1) -> Array:
    """Return the finite iterates of a trial, or every k-th of them, clipped to what matplotlib can draw."""
    path = result.path(one.number)[::step]
    finite: Array = path[np.isfinite(path).all(axis=1)]
    return np.clip(finite, -MAX_COORDINATE, MAX_COORDINATE)


def _draw_path(panel: Axes, one: ShownTrial, u: Array, v: Array, *, halo: bool = True, single: bool = True) -> None:
    few = len(u) <= FEW_ITERATES
    line_width = 0.7 if not (halo and single) else 1.4 if few else 0.9
    if halo:
        panel.plot(u, v, color="white", linewidth=line_width + 1.6, alpha=0.7, zorder=4, solid_joinstyle="round")
    panel.plot(
        u,
        v,
        color=one.color,
        linewidth=line_width,
        marker="o" if single and len(u) <= MAX_MARKED + 1 else "",
        markersize=3.5 if few else 2.5,
        markeredgewidth=0,
        zorder=5,
        solid_joinstyle="round",
    )
    smaller: style.Style = {} if single else {"markersize": 4}
    panel.plot(u[:1], v[:1], zorder=7 if single else 5, **{**style.START, **smaller})
    panel.plot(u[-1:], v[-1:], zorder=4.5 if single else 6, **{**END, "markerfacecolor": one.color, **smaller})


def _describe(panel: Axes, group: PathPanel, size: float, leaving: int) -> None:
    style.panel_title(panel, group.title, group.subtitle, color=group.color, size=size)
    if leaving:
        several = f"{leaving} of {len(group.trials)} trajectories leave the window"
        text = several if len(group.trials) > 1 else "the trajectory leaves the window"
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
        panel.text(0.99, 0.02, text, transform=panel.transAxes, ha="right", fontsize=8, bbox=box, zorder=8)


def _title_size(groups: Sequence[PathPanel], panel: Axes) -> float:
    """Return the font size at which the titles of all panels fit."""
    return min(style.fitting_size(style.shortened(group.title), style.panel_width(panel), 10) for group in groups)


def _shows_minimum(panel: Axes) -> bool:
    """Whether a panel shows a minimum; in many dimensions its projection may lie outside."""
    stars = [line for line in panel.get_lines() if line.get_marker() == MINIMUM["marker"]]
    return any(panel.viewLim.contains(*np.asarray(star.get_xydata())[0]) for star in stars)


def _leaves(points: Array, window: Intervals) -> bool:
    low, high = np.array(window).T
    return bool(((points < low) | (points > high)).any())
