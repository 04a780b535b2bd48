"""A surface with its formula, critical points and default start."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.backend import DPI
from momentumlab.report.figures.contours import Contours, Projection, contours, coordinate_plane
from momentumlab.report.figures.sheets import Axeses, Margins, sheet
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


def surface_figure(surface: Surface, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw the contours of a surface (in one dimension, its graph), its critical points and its default start.

    A formula of any dimension is drawn in two, a loss on data on the plane of `informative_plane`.

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    options = options or FigureOptions()
    margins = Margins(right=0.85, top=0.4, bottom=0.85)
    with sheet(1, (5.6, 4.2), options, ax=ax, margins=margins, title=brief(surface.name)) as page:
        (panel,) = page.panels
        plane, ground = _draw_surface(panel, surface)
        style.plain_ticks(panel)
        if ground is not None and page.owns_figure:
            ground.draw_scale(panel)
            page.units = ground.window
        if options.equal and ground is not None:
            panel.set_aspect("equal", adjustable="box")
            page.units = None
        dimension = surface.default_dimension
        kinds = list(dict.fromkeys(point.kind for point in surface.critical_points(dimension)))
        panel.set_xlabel(plane.names[0])
        panel.set_ylabel("loss" if dimension == 1 else plane.names[1])
        page.remark = plane.remark
        if options.title != "":
            _write_formula(panel, f"${surface.latex}$", page.panel_size[0])
        markers = [(kind.value, CRITICAL_POINTS[kind]) for kind in kinds]
        page.add_markers([*markers, ("default start", style.START)])
    return page.figure


def thumbnail(surface: Surface) -> Figure:
    """Draw a surface without any text in a picture of `THUMBNAIL` inches.

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    margins = Margins(left=0, right=0, bottom=0, top=0)
    with sheet(1, THUMBNAIL, FigureOptions(size=THUMBNAIL), margins=margins) as page:
        _draw_surface(page.panels[0], surface, marker_scale=0.6)
        page.panels[0].set_axis_off()
    page.panels[0].set_position((0, 0, 1, 1))
    return page.figure


def _draw_surface(panel: Axes, surface: Surface, marker_scale: float = 1.0) -> tuple[Projection, Contours | None]:
    """Draw contours or a graph, critical points and the default start; return the plane and the contours."""
    dimension = surface.default_dimension
    if dimension > 2 and surface.is_formula:
        raise ValueError(f"this {surface.name} has {dimension} dimensions; a figure can show at most 2")
    plane = informative_plane(surface) if dimension > 2 else coordinate_plane()
    start = np.array(surface.default_start(dimension))
    ground = None
    if dimension == 1:
        line = np.linspace(*surface.window(1)[0], 400)
        heights = surface.value(line[np.newaxis])
        panel.plot(line, np.where(np.isfinite(heights), heights, np.nan), color=style.CONTOUR_COLOR, linewidth=1.5)
        panel.margins(y=0.1)
    else:
        window = surface.window(2)
        if dimension > 2:
            has_minimum = bool(surface.minima(dimension))
            distance = float(np.linalg.norm(start - plane.origin if has_minimum else start))
            reach = (1.6 if has_minimum else 3) * distance
            window = ((-reach, reach), (-0.75 * reach, 0.75 * reach))
        ground = contours([surface], plane, window)[0]
        ground.draw([panel])

    critical = [(np.array(point.point), CRITICAL_POINTS[point.kind]) for point in surface.critical_points(dimension)]
    for point, marker in [*critical, (start, style.START)]:
        if dimension == 1:
            place = (float(point[0]), float(surface.value(point[:, np.newaxis])[0]))
        else:
            place = tuple(plane.project(point[np.newaxis])[0])
        size = marker_scale * marker["markersize"]
        panel.plot(*place, zorder=3 + (point is start), **{**marker, "markersize": size})
    return plane, ground


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


def _write_formula(panel: Axes, formula: str, inches: float) -> None:
    """Write the formula above the panel, in a smaller font if it is long.

    It is left out if it would be illegible, or if matplotlib cannot typeset a plug-in's LaTeX.
    """
    title = panel.set_title(formula, loc="left", va="bottom", fontsize=FORMULA_SIZE * style.scale(), parse_math=True)
    try:
        room = inches * DPI / title.get_window_extent().width
    except ValueError:
        title.set_text("")
        return
    title.set_fontsize(FORMULA_SIZE * style.scale() * min(1.0, room))
    title.set_visible(FORMULA_SIZE * room >= MIN_FORMULA_SIZE)
