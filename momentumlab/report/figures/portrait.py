"""A surface alone, with all that is known of it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from momentumlab.report.figures import style
from momentumlab.report.figures.landscape import Plane, coordinate_plane, landscapes
from momentumlab.report.labels import brief
from momentumlab.surfaces import CriticalKind, Surface

FORMULA_SIZE = 11
LEAST_SIZE = 4.5

THUMBNAIL = (320 / style.DPI, 240 / style.DPI)
"""Width and height in inches."""

KINDS = {
    CriticalKind.GLOBAL_MINIMUM: style.MINIMUM,
    CriticalKind.LOCAL_MINIMUM: {**style.MINIMUM, "markerfacecolor": "white"},
    CriticalKind.SADDLE: {**style.START, "marker": "X", "markersize": 9},
    CriticalKind.MAXIMUM: {**style.START, "marker": "^", "markersize": 9},
}


def surface_figure(surface: Surface) -> Figure:
    """The contours (in one dimension, the graph) of a surface, its critical points and its default start.

    Surfaces of any dimension are drawn in two, losses over the rows of a table on a plane (see `telling_plane`).

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    with style.styled():
        figure, (panel,) = style.panels(1, 1, 5.6, 4.2, style.Margins(top=1.0, bottom=0.85))
        _draw_surface(panel, surface)
        dimension = surface.default_dimension
        kinds = list(dict.fromkeys(point.kind for point in surface.critical_points(dimension)))
        plane = telling_plane(surface) if dimension > 2 else coordinate_plane()
        panel.set_xlabel(plane.names[0])
        panel.set_ylabel("loss" if dimension == 1 else plane.names[1])
        style.headline(figure, brief(surface.name), plane.remark)
        _write_formula(panel, f"${surface.latex}$")
        style.marker_legend(figure, [*((kind.value, KINDS[kind]) for kind in kinds), ("default start", style.START)])
    return figure


def thumbnail(surface: Surface) -> Figure:
    """A surface alone as a small picture of `THUMBNAIL` inches: contours or graph, minima and the default start.

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    with style.styled():
        figure, (panel,) = style.panels(1, 1, *THUMBNAIL, style.Margins(left=0, right=0, bottom=0, top=0))
        _draw_surface(panel, surface, scale=0.6)
        panel.set_axis_off()
    return figure


def _draw_surface(panel: Axes, surface: Surface, scale: float = 1.0) -> None:
    """Contours or graph, critical points and the default start, with markers of the given scale."""
    dimension = surface.default_dimension
    if dimension > 2:
        if surface.is_formula:
            raise ValueError(f"this {surface.name} has {dimension} dimensions; a picture can show 2")
        _draw_plane(panel, surface, scale)
        return
    window = surface.window(dimension)
    if dimension == 1:
        line = np.linspace(*window[0], 400)
        with np.errstate(all="ignore"):
            heights = surface.value(line[np.newaxis])
        panel.plot(line, np.where(np.isfinite(heights), heights, np.nan), color=style.CONTOUR, linewidth=1.5)
        panel.margins(y=0.1)
    else:
        landscapes([surface], coordinate_plane(), window)[0].draw([panel])
    start = surface.default_start(dimension)
    marked = [(point.point, KINDS[point.kind]) for point in surface.critical_points(dimension)]
    for point, marker in [*marked, (start, style.START)]:
        with np.errstate(all="ignore"):
            height = (float(surface.value(np.array(point)[:, np.newaxis])[0]),) if dimension == 1 else ()
        size = scale * marker["markersize"]
        panel.plot(*point, *height, zorder=3 + (point is start), **{**marker, "markersize": size})


def telling_plane(surface: Surface) -> Plane:
    """The plane through the minimum, the default start and the direction in which the loss curves most.

    Where no minimum is known, through the default start, along its gradient and where the loss curves most there.
    """
    dimension = surface.default_dimension
    start = np.array(surface.default_start(dimension))
    minima = surface.minima(dimension)
    center = np.array(minima[0].point) if minima else start
    towards = center - start if minima else -surface.gradient(start[:, np.newaxis])[:, 0]
    _, directions = np.linalg.eigh(surface.hessian(center[:, np.newaxis])[:, :, 0])
    axes = np.linalg.qr(np.stack([towards, directions[:, -1]], axis=1))[0]
    axes = axes * np.where(np.sum(axes * np.stack([towards, directions[:, -1]], axis=1), axis=0) < 0, -1, 1)
    first = "from the start to the minimum" if minima else "against the gradient at the start"
    remark = f"{dimension} dimensions: a plane through the {'minimum' if minima else 'default start'}"
    return Plane(origin=center, axes=axes, names=(first, "where it curves most"), remark=remark)


def _draw_plane(panel: Axes, surface: Surface, scale: float) -> None:
    """Contours on a plane of many dimensions, the minimum and the default start."""
    plane = telling_plane(surface)
    dimension = len(plane.origin)
    start = np.array(surface.default_start(dimension))
    minima = surface.minima(dimension)
    reach = 1.6 * float(np.linalg.norm(start - plane.origin)) if minima else 3 * float(np.linalg.norm(start))
    landscapes([surface], plane, ((-reach, reach), (-0.75 * reach, 0.75 * reach)))[0].draw([panel])
    marked = [*((np.array(point.point), KINDS[point.kind]) for point in minima), (start, style.START)]
    for point, marker in marked:
        (place,) = plane.project(point[np.newaxis])
        panel.plot(*place, zorder=3, **{**marker, "markersize": scale * marker["markersize"]})


def _write_formula(panel: Axes, formula: str) -> None:
    """The formula above the panel, smaller where it would not fit; none that nobody could read."""
    title = panel.set_title(formula, loc="left", va="bottom", fontsize=FORMULA_SIZE)
    room = panel.get_window_extent().width / title.get_window_extent().width
    title.set_fontsize(FORMULA_SIZE * min(1.0, room))
    title.set_visible(FORMULA_SIZE * room >= LEAST_SIZE)
