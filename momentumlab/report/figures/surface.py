"""A surface with its formula, critical points and default start."""

import numpy as np
from matplotlib.axes import Axes

from momentumlab.report.figures import style
from momentumlab.report.figures.backend import DPI, DisplayFigure
from momentumlab.report.figures.contours import Projection, contours, coordinate_plane
from momentumlab.report.labels import brief
from momentumlab.surfaces import CriticalKind, Surface

FORMULA_SIZE = 11
MIN_FORMULA_SIZE = 4.5

THUMBNAIL = (320 / DPI, 240 / DPI)
"""Width and height in inches."""

CRITICAL_POINTS = {
    CriticalKind.GLOBAL_MINIMUM: style.MINIMUM,
    CriticalKind.LOWEST_FOUND: style.MINIMUM,
    CriticalKind.LOCAL_MINIMUM: {**style.MINIMUM, "markerfacecolor": "white"},
    CriticalKind.SADDLE: {**style.START, "marker": "X", "markersize": 9},
    CriticalKind.MAXIMUM: {**style.START, "marker": "^", "markersize": 9},
}


def surface_figure(surface: Surface) -> DisplayFigure:
    """Draw the contours of a surface (in one dimension, its graph), its critical points and its default start.

    A formula of any dimension is drawn in two, a loss on data on the plane of `informative_plane`.

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    with style.styled():
        figure, (panel,) = style.panels(1, (1, 1), 5.6, 4.2, style.Margins(top=1.0, bottom=0.85))
        plane = _draw_surface(panel, surface)
        dimension = surface.default_dimension
        kinds = list(dict.fromkeys(point.kind for point in surface.critical_points(dimension)))
        panel.set_xlabel(plane.names[0])
        panel.set_ylabel("loss" if dimension == 1 else plane.names[1])
        style.headline(figure, brief(surface.name), plane.remark)
        _write_formula(panel, f"${surface.latex}$")
        markers = [(kind.value, CRITICAL_POINTS[kind]) for kind in kinds]
        style.marker_legend(figure, [*markers, ("default start", style.START)])
    return figure


def thumbnail(surface: Surface) -> DisplayFigure:
    """Draw a surface without any text in a picture of `THUMBNAIL` inches.

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    with style.styled():
        margins = style.Margins(left=0, right=0, bottom=0, top=0)
        figure, (panel,) = style.panels(1, (1, 1), *THUMBNAIL, margins)
        _draw_surface(panel, surface, marker_scale=0.6)
        panel.set_axis_off()
    return figure


def _draw_surface(panel: Axes, surface: Surface, marker_scale: float = 1.0) -> Projection:
    """Draw contours or a graph, critical points and the default start; return the plane."""
    dimension = surface.default_dimension
    if dimension > 2 and surface.is_formula:
        raise ValueError(f"this {surface.name} has {dimension} dimensions; a figure can show at most 2")
    plane = informative_plane(surface) if dimension > 2 else coordinate_plane()
    start = np.array(surface.default_start(dimension))
    if dimension == 1:
        line = np.linspace(*surface.window(1)[0], 400)
        heights = surface.value(line[np.newaxis])
        panel.plot(line, np.where(np.isfinite(heights), heights, np.nan), color=style.CONTOUR_COLOR, linewidth=1.5)
        panel.margins(y=0.1)
    elif dimension == 2:
        contours([surface], plane, surface.window(2))[0].draw([panel])
    else:
        has_minimum = bool(surface.minima(dimension))
        reach = 1.6 * float(np.linalg.norm(start - plane.origin)) if has_minimum else 3 * float(np.linalg.norm(start))
        contours([surface], plane, ((-reach, reach), (-0.75 * reach, 0.75 * reach)))[0].draw([panel])

    critical = [(np.array(point.point), CRITICAL_POINTS[point.kind]) for point in surface.critical_points(dimension)]
    for point, marker in [*critical, (start, style.START)]:
        if dimension == 1:
            place = (float(point[0]), float(surface.value(point[:, np.newaxis])[0]))
        else:
            place = tuple(plane.project(point[np.newaxis])[0])
        size = marker_scale * marker["markersize"]
        panel.plot(*place, zorder=3 + (point is start), **{**marker, "markersize": size})
    return plane


def informative_plane(surface: Surface) -> Projection:
    """Return the plane through the minimum, the default start and the direction of largest curvature.

    If no minimum is known, it is the plane through the default start along the gradient and the direction of largest
    curvature there.
    """
    dimension = surface.default_dimension
    start = np.array(surface.default_start(dimension))
    minima = surface.minima(dimension)
    center = np.array(minima[0].point) if minima else start
    towards = center - start if minima else -surface.gradient(start[:, np.newaxis])[:, 0]
    _, directions = np.linalg.eigh(surface.hessian(center[:, np.newaxis])[:, :, 0])
    wanted = np.stack([towards, directions[:, -1]], axis=1)
    axes = np.linalg.qr(wanted)[0]
    axes = axes * np.where(np.sum(axes * wanted, axis=0) < 0, -1, 1)
    first = "from the start to the minimum" if minima else "along the negative gradient at the start"
    remark = f"{dimension} dimensions: a plane through the {'minimum' if minima else 'default start'}"
    return Projection(origin=center, axes=axes, names=(first, "direction of largest curvature"), remark=remark)


def _write_formula(panel: Axes, formula: str) -> None:
    """Write the formula above the panel, in a smaller font if it is long.

    It is left out if it would be illegible, or if matplotlib cannot typeset a plug-in's LaTeX.
    """
    title = panel.set_title(formula, loc="left", va="bottom", fontsize=FORMULA_SIZE, parse_math=True)
    try:
        room = panel.get_window_extent().width / title.get_window_extent().width
    except ValueError:
        title.set_text("")
        return
    title.set_fontsize(FORMULA_SIZE * min(1.0, room))
    title.set_visible(FORMULA_SIZE * room >= MIN_FORMULA_SIZE)
