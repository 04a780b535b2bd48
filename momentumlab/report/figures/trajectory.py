"""Trajectories over the contours of a surface or, in one dimension, on the graph of the loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureError, FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.contours import (
    Contours,
    Projection,
    bounding_box,
    contours,
    coordinate_plane,
    path_window,
    principal_plane,
)
from momentumlab.report.figures.sheets import Axeses, Margins, Sheet, arrangement, sheet
from momentumlab.report.figures.trials import ShownTrial, select_trials
from momentumlab.report.labels import axis_name, minimum_name, short
from momentumlab.report.reports import Report
from momentumlab.result import Result, Status
from momentumlab.surfaces import Surface
from momentumlab.surfaces.base import Intervals

MAX_MARKED = 200
"""Up to this many iterates are marked with a dot."""

FEW_ITERATES = 60
"""Longer trajectories get thinner lines and smaller dots; if several share a panel, only every tenth dot."""

MAX_COORDINATE = 1e20
"""Larger coordinates are drawn at this value."""

MOST_POINTS = 1024
"""Number of points that determine the plane on which trajectories are drawn."""

MAX_TOGETHER = 30
"""Trajectories of one bundle in a panel; more would hide each other."""

ARROWS = (0.12, 0.4, 0.7)
"""Positions of arrows, as shares of a trajectory's length; the last is used only if the panel has one trajectory."""

ARROW_REACH, ARROW_STEPS = 0.012, 20
"""The direction of an arrow is that of the iterates within this share of the window and this number of steps."""

MAX_ARROWED = 8
"""More trajectories in a panel have no arrows."""

SHORTEST = 0.1
"""Trajectories shorter than this share of the window have no arrows."""

NUMBERED = 6
"""In one dimension, the first iterates are numbered, since the trajectory covers itself."""

MINIMUM: style.Style = {**style.MINIMUM, "markersize": 9, "markeredgewidth": 0.7, "zorder": 5.2}

OUTCOMES = {Status.CONVERGED: "converged in ", Status.DIVERGED: "diverged after "}


@dataclass(frozen=True, kw_only=True)
class PathPanel:
    """The trials of one panel and the text above it."""

    trials: Sequence[ShownTrial]
    title: str = ""
    subtitle: str = ""
    color: str = "black"

    @property
    def is_crowded(self) -> bool:
        """Whether the panel shows several trajectories."""
        return len(self.trials) > 1


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The background of trajectories.

    Attributes
    ----------
    window
        An interval per axis of the panels; in one dimension only that of x.
    names
        The labels of the axes.
    paths
        The finite iterates of each trial by its number, ``(entries, 2)``.
    plane
        The plane of the contours; ``None`` in one dimension.
    """

    window: Intervals
    names: tuple[str, str]
    paths: dict[int, Array]
    plane: Projection | None


def trajectory_figure(
    report: Report,
    options: FigureOptions | None = None,
    *,
    groups: Sequence[PathPanel] | None = None,
    title: str | None = None,
    remark: str = "",
    ax: Axeses = None,
) -> Figure:
    """Draw the trajectory of each trial, with its start, its final point and the known minima.

    All panels have the same window, contour levels and scale. The window grows to hold the trajectories that did not
    diverge, up to a limit; a panel says if its trajectory leaves it. In more than two dimensions trajectories are
    projected on their first two principal directions.

    Parameters
    ----------
    report
        A report with trajectories.
    options
        Options of the figure.
    groups, title, remark
        The panels and the text above them; by default a panel for each selected trial.
    ax
        Axes to draw on: one for all trajectories, or one per panel.

    Raises
    ------
    ValueError
        If no trajectories were recorded, or an option does not apply.
    """
    options = options or FigureOptions()
    result = report.result
    # A panel per trial, or one for all of them.
    if groups is None:
        selection = select_trials(report, options)
        groups = [panel_of(report, one) for one in selection.trials]
        title, remark = selection.title, selection.remark
    is_overlay = options.is_overlay or (ax is not None and np.ndim(np.array(ax, dtype=object)) == 0)
    curves: list[ShownTrial] = []
    if is_overlay:
        if result.experiment.surface.combinations > 1:
            raise FigureError("the trials have different surfaces, so their trajectories cannot share a panel")
        curves = [group.trials[0] for group in groups]
        groups = [PathPanel(trials=[one for group in groups for one in group.trials])]
    ground = ground_of(result, [one for group in groups for one in group.trials], options)
    shape = arrangement(len(groups), options.columns)
    width = {1: 6.0, 2: 4.6}.get(shape[1], 3.9)
    on_graph = ground.plane is None
    with sheet(
        len(groups),
        (width, 0.72 * width),
        options,
        ax=ax,
        shape=shape,
        margins=Margins(left=0.95, right=0.3 if on_graph else 0.85, bottom=0.85, top=0.3 if is_overlay else 0.5),
        sharex=True,
        sharey=True,
        title=title or report.figure_title,
        formula=_formula(result, groups[0].trials[0]),
        curves=curves if len(curves) > 1 else (),
    ) as page:
        style.plain_ticks(page.panels[0])
        backgrounds = draw_ground(page.panels, surfaces_of(result, groups), ground)
        if backgrounds and page.owns_figure:
            backgrounds[0].draw_scale(page.panels[shape[1] - 1])
        spaced = False
        for panel, group in zip(page.panels, groups, strict=True):
            spaced |= _draw_paths(panel, group, ground)
            if group.title:
                page.add_title(panel, group.title, group.subtitle, color=group.color)
        _label_axes(page, ground, equal=options.equal)
        plane_remark = "" if ground.plane is None else ground.plane.remark
        page.remark = style.join(plane_remark, "dots: every tenth iterate" if spaced else "", remark)
        kinds = [("start", style.START), ("end", {**style.END, "markerfacecolor": "#888888"})]
        if any(_shows_minimum(panel) for panel in page.panels):
            known = minimum_name(result.experiment.first_surface)
            kinds.append((known if result.plan.dimension <= 2 else f"{known}, projected", MINIMUM))
        page.add_markers(kinds)
    return page.figure


def surfaces_of(result: Result, groups: Sequence[PathPanel]) -> list[Surface]:
    """Return the surface of each panel: the same object if all trials have the same one."""
    if result.experiment.surface.combinations == 1:
        return [result.plan.surface_of(groups[0].trials[0].number)] * len(groups)
    return [result.plan.surface_of(group.trials[0].number) for group in groups]


def _label_axes(page: Sheet, ground: Ground, *, equal: bool) -> None:
    """Label the outer axes; the inner ones are the same, and hiding them saves the time of their ticks."""
    columns = page.shape[1]
    for number, panel in enumerate(page.panels):
        panel.tick_params(labelbottom=True)
        if not page.owns_figure or number >= len(page.panels) - columns:
            panel.set_xlabel(ground.names[0])
        else:
            panel.xaxis.set_visible(False)
        if not page.owns_figure or number % columns == 0:
            panel.set_ylabel(ground.names[1])
        else:
            panel.yaxis.set_visible(False)
    if equal:
        for panel in page.panels:
            panel.set_aspect("equal", adjustable="box")
    elif ground.plane is not None:
        page.units = ground.window


def _formula(result: Result, one: ShownTrial) -> str:
    """Return the formula of the surface with the values of its parameters, unless they differ between trials.

    The formula of a loss on data is left out.
    """
    surface = result.experiment.first_surface
    is_one = len(result.experiment.surfaces) == 1
    if not (is_one and surface.is_formula and surface.formula) or surface.formula in surface.name:
        return ""
    differing = {name for name, axis in result.experiment.surface.axes.items() if len(axis) > 1}
    values = [
        f"{axis_name(name)} = {short(value)}"
        for name, value in one.trial.surface_parameters.items()
        if name not in differing and name in surface.formula
    ]
    return ",  ".join([f"f = {surface.formula}", *values])


def panel_of(report: Report, one: ShownTrial) -> PathPanel:
    """Return the panel of a trial, or of the first members of a bundle."""
    result = report.result
    if len(one.members) == 1:
        count, loss = result.iterations[one.number], result.final_losses[one.number]
        subtitle = f"{OUTCOMES.get(result.status_of(one.number), '')}{count:,} iterations, loss {loss:.3g}"
        return PathPanel(title=one.label, subtitle=subtitle, color=one.color, trials=[one])
    most = 8 if report.experiment.replicates > 1 else MAX_TOGETHER
    trials = one.singly(result, most)
    starts = len(one.members) // report.experiment.replicates
    kind = "replicates" if starts == 1 or report.experiment.replicates > 1 else "starts"
    shown = f", {len(trials)} of them shown" if len(one.members) > len(trials) else ""
    median = report.median_loss(one.members)
    loss = f"median loss {median:.3g}" if np.isfinite(median) else "most of them diverged"
    subtitle = f"{len(one.members)} {kind}{shown}, {loss}"
    return PathPanel(title=one.label, subtitle=subtitle, color=one.color, trials=trials)


def ground_of(result: Result, shown: Sequence[ShownTrial], options: FigureOptions) -> Ground:
    """Choose the plane and the window in which the trajectories are drawn."""
    surface, dimension = result.experiment.first_surface, result.plan.dimension
    plane = None if dimension == 1 else coordinate_plane() if dimension == 2 else plane_of(result, shown)
    # Only the projections of all trajectories are in memory at the same time.
    paths: dict[int, Array] = {}
    for one in shown:
        path = finite_path(result, one.number)
        if plane is None:
            with np.errstate(all="ignore"):
                losses = result.plan.surface_of(one.number).value(np.ascontiguousarray(path.T))
            paths[one.number] = np.column_stack([path[:, 0], np.clip(losses, -MAX_COORDINATE, MAX_COORDINATE)])
        else:
            paths[one.number] = plane.project(path)
    # The window holds all starts and the trajectories that did not diverge.
    held = [paths[one.number][: 1 if one.diverged else None, : min(dimension, 2)] for one in shown]
    window = options.window or (path_window(surface, held) if dimension <= 2 else bounding_box(held))
    return Ground(window=window, names=("x", "loss") if plane is None else plane.names, paths=paths, plane=plane)


def plane_of(result: Result, shown: Sequence[ShownTrial]) -> Projection:
    """Return the plane of the first two principal directions of the trajectories that do not diverge."""
    # The principal directions of long paths are those of every k-th of their points.
    step = max(1, int(result.iterations[[one.number for one in shown]].sum()) // MOST_POINTS)
    paths = [finite_path(result, one.number, step) for one in shown]
    # Diverged trajectories would dominate the directions, and single points have none.
    bounded = [path for one, path in zip(shown, paths, strict=True) if not one.diverged]
    best = result.final_points[result.ranking()[0]]
    center = best if np.isfinite(best).all() else paths[-1][0]
    return principal_plane(bounded or [path[:1] for path in paths], center=center)


def finite_path(result: Result, number: int, step: int = 1) -> Array:
    """Return the finite iterates of a trial, or every k-th of them, clipped to what matplotlib can draw."""
    path = result.path(number)[::step]
    finite: Array = path[np.isfinite(path).all(axis=1)]
    return np.clip(finite, -MAX_COORDINATE, MAX_COORDINATE)


def draw_ground(panels: Sequence[Axes], surfaces: Sequence[Surface], ground: Ground) -> list[Contours]:
    """Draw contours or graphs with their minima, on one scale in all panels; return the contours."""
    backgrounds: list[Contours] = []
    if ground.plane is None:
        line = np.linspace(*ground.window[0], 400)
        heights = [np.clip(surface.value(line[np.newaxis]), -MAX_COORDINATE, MAX_COORDINATE) for surface in surfaces]
        for panel, height in zip(panels, heights, strict=True):
            panel.plot(line, height, color=style.CONTOUR_COLOR, linewidth=1.5, zorder=1)
            panel.set_xlim(*ground.window[0])
        low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
        margin = 0.06 * (high - low) or 1.0
        panels[0].set_ylim(low - margin, high + margin)
    elif all(surface is surfaces[0] for surface in surfaces):
        backgrounds = contours(surfaces[:1], ground.plane, ground.window)
        backgrounds[0].draw(panels)
    else:
        backgrounds = contours(surfaces, ground.plane, ground.window)
        for background, panel in zip(backgrounds, panels, strict=True):
            background.draw([panel])
    for panel, surface in zip(panels, surfaces, strict=True):
        minima = surface.minima(1 if ground.plane is None else len(ground.plane.origin))
        star = {**MINIMUM, "markersize": MINIMUM["markersize"] * style.scale()}
        if minima and ground.plane is not None:
            panel.plot(*ground.plane.project(np.array([each.point for each in minima])).T, **star)
        elif minima:
            panel.plot([each.point[0] for each in minima], [each.loss for each in minima], **star)
    return backgrounds


def _draw_paths(panel: Axes, group: PathPanel, ground: Ground) -> bool:
    """Draw the trajectories of a panel, an artist per colour and kind; return whether only every tenth dot is drawn."""
    paths = [_shortened(ground.paths[one.number], ground.window, one) for one in group.trials]
    longest = max(map(len, paths))
    few, on_graph = longest <= FEW_ITERATES, ground.plane is None
    styles = dict.fromkeys((one.color, one.line_style) for one in group.trials)
    is_bundle = group.is_crowded and len(styles) == 1
    scale = style.scale()
    line_width = scale * (0.7 if on_graph or is_bundle else 1.4 if few else 0.9)
    if not on_graph:
        panel.plot(*_joined(paths).T, color="white", linewidth=line_width + 1.6, alpha=0.7, zorder=4)
    has_dots = not is_bundle and longest <= MAX_MARKED + 1
    is_spaced = has_dots and group.is_crowded and not few
    for color, line_style in styles:
        own = [path for path, one in zip(paths, group.trials, strict=True) if one.color == color]
        panel.plot(
            *_joined(own).T,
            color=color,
            linestyle="-" if not group.is_crowded else line_style,
            linewidth=line_width,
            marker="o" if has_dots else "",
            markersize=scale * (3.5 if few or is_spaced else 2.5),
            markevery=10 if is_spaced else None,
            markeredgewidth=0,
            alpha=0.7 if is_bundle else 1.0,
            zorder=5,
            solid_joinstyle="round",
        )
    size = scale * (4 if is_bundle else 6)
    starts = np.unique([path[0] for path in paths], axis=0)
    # From below: trajectories (5), stars of the minima (5.2), ends, arrows, starts.
    panel.plot(*starts.T, **{**style.START, "markersize": size, "zorder": 7})
    ends = np.array([path[-1] for path in paths])
    panel.scatter(
        ends[:, 0],
        ends[:, 1],
        s=(scale * (3 if is_bundle else style.END["markersize"])) ** 2,
        c=[one.color for one in group.trials],
        marker=style.END["marker"],
        edgecolors="black",
        linewidths=style.END["markeredgewidth"],
        zorder=5.4,
    )
    _draw_arrows(panel, group, paths)
    if on_graph and not group.is_crowded:
        _number_iterates(panel, paths[0])
    # The window is limited, so that a long trajectory does not hide the others: the panel then says so.
    low, high = np.array(ground.window).T
    shown = [path[:, : len(low)] for path in paths]
    leaving = sum(bool(((path < low) | (path > high)).any()) for path in shown)
    if leaving:
        several = f"{leaving} of {len(paths)} trajectories leave the window"
        text = several if group.is_crowded else "the trajectory leaves the window"
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
        place: style.Style = {"transform": panel.transAxes, "ha": "right", "fontsize": 8 * style.scale()}
        panel.text(0.99, 0.02, text, bbox=box, zorder=8, **place)
    return is_spaced


def _shortened(path: Array, window: Intervals, one: ShownTrial) -> Array:
    """Return a path; if it diverges, only the part until it leaves the window: its oscillations would cover it."""
    low, high = np.array(window).T
    outside = np.flatnonzero(((path[:, : len(low)] < low) | (path[:, : len(low)] > high)).any(axis=1))
    return path[: outside[0] + 1] if one.diverged and len(outside) else path


def _joined(paths: Sequence[Array]) -> Array:
    """Return paths ``(n, 2)`` as one, with gaps of NaN between them."""
    if len(paths) == 1:
        return paths[0]
    gap = np.full((1, 2), np.nan)
    return np.concatenate([part for path in paths for part in (path, gap)][:-1])


def _draw_arrows(panel: Axes, group: PathPanel, paths: Sequence[Array]) -> None:
    """Draw arrows in the direction of the trajectories."""
    low, high = np.array([panel.get_xlim(), panel.get_ylim()]).T
    places: list[NDArray[np.float64]] = []
    directions: list[NDArray[np.float64]] = []
    colors: list[str] = []
    for one, path in zip(group.trials, paths, strict=True):
        relative = (path - low) / (high - low)
        steps = np.diff(relative, axis=0)
        # Each step enters the window at a share of its length and leaves it at another; only the way between counts.
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = np.sort([-relative[:-1] / steps, (1 - relative[:-1]) / steps], axis=0)
        inside = (relative[:-1] >= 0) & (relative[:-1] <= 1)
        resting = steps == 0
        enter = np.where(resting, np.where(inside, 0, np.inf), sides[0]).max(axis=1).clip(0)
        leave = np.where(resting, 1, sides[1]).min(axis=1).clip(max=1)
        lengths = np.hypot(*steps.T)
        way = np.cumsum(np.where(leave > enter, (leave - enter) * lengths, 0))
        if not len(way) or way[-1] < SHORTEST:
            continue
        for share in ARROWS[: 3 if not group.is_crowded else 2 if len(paths) <= MAX_ARROWED else 0]:
            i = int(np.searchsorted(way, share * way[-1], side="right"))
            back = (way[i] - share * way[-1]) / lengths[i]
            middle = relative[i] + (leave[i] - back) * steps[i]
            # The direction of short steps is that of the trajectory around them.
            near = np.flatnonzero(
                (np.hypot(*(relative - middle).T) <= ARROW_REACH) & (abs(np.arange(len(path)) - i) < ARROW_STEPS)
            )
            direction = relative[near[-1]] - relative[near[0]] if len(near) > 1 else steps[i]
            places.append(low + middle * (high - low))
            directions.append((direction if direction.any() else steps[i]) * (high - low))
            colors.append(one.color)
    if places:
        units = np.array(directions) / np.hypot(*np.array(directions).T)[:, np.newaxis]
        panel.quiver(
            *np.array(places).T,
            *units.T,
            color=colors,
            angles="xy",
            pivot="mid",
            units="inches",
            scale_units="inches",
            scale=12.0 / style.scale(),
            width=0.02 * style.scale(),
            headwidth=6.0,
            headlength=6.0,
            headaxislength=5.0,
            minshaft=0.0,
            zorder=6,
        )


def _number_iterates(panel: Axes, path: Array) -> None:
    """Write the number of each of the first iterates beside it, where there is room."""
    low, high = np.array([panel.get_xlim(), panel.get_ylim()]).T
    labelled: list[Array] = []
    for number, point in enumerate(path[: NUMBERED + 1]):
        place = (point - low) / (high - low)
        if not ((place >= 0) & (place <= 0.95)).all():
            continue
        if all(np.abs(place - other).max() > 0.06 for other in labelled):
            labelled.append(place)
            text: style.Style = {"textcoords": "offset points", "fontsize": 7.5 * style.scale()}
            panel.annotate(str(number), tuple(point), (4, 4), color=style.GRAY, zorder=8, **text)


def _shows_minimum(panel: Axes) -> bool:
    """Whether a panel shows a minimum; in many dimensions its projection may lie outside."""
    stars = [line for line in panel.get_lines() if line.get_marker() == MINIMUM["marker"]]
    return any(panel.viewLim.contains(*point) for star in stars for point in np.asarray(star.get_xydata()))
