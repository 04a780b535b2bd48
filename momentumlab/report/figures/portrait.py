"""A surface alone, with all that is known of it."""

import numpy as np
from matplotlib.figure import Figure

from momentumlab.report.figures import style
from momentumlab.report.figures.landscape import coordinate_plane, landscapes
from momentumlab.report.labels import LONGEST_NAME, brief
from momentumlab.surfaces import CriticalKind, Surface

KINDS = {
    CriticalKind.GLOBAL_MINIMUM: style.MINIMUM,
    CriticalKind.LOCAL_MINIMUM: {**style.MINIMUM, "markerfacecolor": "white"},
    CriticalKind.SADDLE: {**style.START, "marker": "X", "markersize": 9},
    CriticalKind.MAXIMUM: {**style.START, "marker": "^", "markersize": 9},
}


def surface_figure(surface: Surface) -> Figure:
    """The contours (in one dimension, the graph) of a surface, its critical points and its default start.

    Surfaces of any dimension are drawn in two.

    Raises
    ------
    ValueError
        If the surface's parameters fix more than two dimensions.
    """
    dimension = surface.default_dimension
    if dimension > 2:
        raise ValueError(f"this {surface.name} has {dimension} dimensions; a picture can show 2")
    with style.styled():
        figure, (panel,) = style.panels(1, 1, 5.6, 4.2, style.Margins(top=1.0, bottom=0.85))
        window = surface.window(dimension)
        kinds = list(dict.fromkeys(point.kind for point in surface.critical_points(dimension)))
        if dimension == 1:
            line = np.linspace(*window[0], 400)
            with np.errstate(all="ignore"):
                heights = surface.value(line[np.newaxis])
            panel.plot(line, np.where(np.isfinite(heights), heights, np.nan), color=style.CONTOUR, linewidth=1.5)
            panel.set_ylabel("loss")
        else:
            landscapes([surface], coordinate_plane(), window)[0].draw([panel])
            panel.set_ylabel("y")
        for point in surface.critical_points(dimension):
            height = (point.loss,) if dimension == 1 else ()
            panel.plot(*point.point, *height, zorder=3, **KINDS[point.kind])
        start = surface.default_start(dimension)
        with np.errstate(all="ignore"):
            height = (float(surface.value(np.array(start)[:, np.newaxis])[0]),) if dimension == 1 else ()
        panel.plot(*start, *height, zorder=4, **style.START)
        panel.set_xlabel("x")
        style.headline(figure, brief(surface.name))
        if len(surface.formula) <= LONGEST_NAME:
            panel.set_title(f"${surface.latex}$", loc="left", fontsize=11)
        style.marker_legend(figure, [*((kind.value, KINDS[kind]) for kind in kinds), ("default start", style.START)])
    return figure
