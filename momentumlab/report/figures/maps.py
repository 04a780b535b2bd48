"""Maps of a sweep over two axes: iterations, final loss, status."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.basins import basin_figure, has_basins, known_minima
from momentumlab.report.figures.selection import join
from momentumlab.report.figures.sheets import (
    CONVERGED,
    UNFINISHED,
    Scale,
    Sheet,
    color_bar,
    draw_map,
    finish_maps,
    map_panels,
    mark_best,
    sheets_of_all,
)
from momentumlab.report.figures.sweep_curves import curve_figure
from momentumlab.report.figures.theory_lines import Theories, draw_theory
from momentumlab.report.reports import Report
from momentumlab.result import Status
from momentumlab.search.planes import Plane

CONTOUR_CELLS = 100
"""Contours are drawn from medians over blocks of cells, at most so many along an axis."""

LEAST = 1e-150
"""Smaller numbers are no better than this."""

CUT = 100.0
"""Losses this many times higher above the minimum than that of the start look alike."""


def map_figures(report: Report, *, theory: bool = False) -> dict[str, Callable[[], Figure]]:
    """Every figure that shows all trials of a sweep, by the name of its file.

    Parameters
    ----------
    report
        The sweep.
    theory
        Whether to draw what theory says over the maps: the boundary of stability, and for each curvature the line from
        which on it oscillates.
    """
    figures: dict[str, Callable[[], Figure]] = {}
    every, result = report.planes, report.result
    theories = Theories() if theory else None
    if any(len(plane.axes) == 1 for plane in every):
        figures["curve"] = lambda: curve_figure(every)
    if any(len(plane.axes) > 1 for plane in every):
        if result.plan.dimension == 2 and known_minima(result) and all(has_basins(plane) for plane in every):
            figures["basins"] = lambda: basin_figure(every)
        if result.plan.stopping.can_converge:
            figures["map_iterations"] = lambda: iterations_figure(every, theories=theories)
        figures["map_loss"] = lambda: loss_map_figure(every, theories=theories)
        figures["map_status"] = lambda: status_figure(every, theories=theories)
    return figures


def iterations_figure(every: Sequence[Plane], *, theories: "Theories | None" = None) -> Figure:
    """The iterations until each cell converges, on a log scale, with contours; what does not is set apart."""
    sheets, remark = sheets_of_all(every)
    values = [sheet.cut(sheet.plane.keys[0]) for sheet in sheets]
    finite = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 10.0)
    norm = LogNorm(max(low, 1.0), max(high, 1.1 * max(low, 1.0)))
    with style.styled():
        figure, panels = map_panels(sheets)
        for panel, sheet, each in zip(panels, sheets, values, strict=True):
            image = draw_map(panel, sheet, np.where(np.isfinite(each), np.maximum(each, 1.0), np.nan), norm)
            _contours(panel, sheet, each, norm)
            mark_best(panel, sheet)
        color_bar(figure, image, "iterations to converge")
        remark = join(remark, draw_theory(panels, sheets, theories) if theories else "")
        finish_maps(figure, sheets, remark, unfinished="not converged, or stalled")
    return figure


def loss_map_figure(every: Sequence[Plane], *, theories: "Theories | None" = None) -> Figure:
    """The final loss of each cell: above the known minimum on a log scale, where one is known."""
    sheets, remark = sheets_of_all(every)
    known = sheets[0].plane.yardstick.known
    values = [sheet.cut(sheet.plane.median_losses()) for sheet in sheets]
    if not math.isnan(known):
        starts = sheets[0].plane.yardstick.start_losses
        start = float(np.max(starts[np.isfinite(starts)], initial=known)) - known
        start = min(max(start, LEAST), 1 / LEAST)
        floor = max(1e-16 * start, LEAST)
        values = [np.maximum(each - known, floor) for each in values]
    finite = np.concatenate([each[np.isfinite(each)] for each in values])
    norm: Normalize
    if math.isnan(known):
        low, high = np.quantile(finite, [0.01, 0.99]) if len(finite) else (0.0, 1.0)
        norm = Normalize(float(low), float(max(high, low + 1e-12)))
    else:
        finite = np.minimum(finite, CUT * start)
        low = float(finite.min()) if len(finite) else floor
        norm = LogNorm(low, max(min(float(finite.max(initial=low)), CUT * start), 10 * low))
    with style.styled():
        figure, panels = map_panels(sheets)
        for panel, sheet, each in zip(panels, sheets, values, strict=True):
            image = draw_map(panel, sheet, np.where(np.isfinite(each), each, np.nan), norm, hatched_gaps=True)
            mark_best(panel, sheet)
        color_bar(figure, image, "final loss" + ("" if math.isnan(known) else " above the known minimum"))
        remark = join(remark, draw_theory(panels, sheets, theories) if theories else "")
        finish_maps(figure, sheets, remark)
    return figure


def status_figure(every: Sequence[Plane], *, theories: "Theories | None" = None) -> Figure:
    """How each cell ended."""
    sheets, remark = sheets_of_all(every)
    with style.styled():
        figure, panels = map_panels(sheets, with_bar=False)
        for panel, sheet in zip(panels, sheets, strict=True):
            codes = sheet.cut(sheet.plane.main_status().astype(np.float64))
            colors = LinearSegmentedColormap.from_list("ends", [UNFINISHED, CONVERGED])
            shown = np.where(codes >= Status.DIVERGED.code, np.nan, codes)
            draw_map(panel, sheet, shown, Normalize(0, 1), colors=colors, hatched_gaps=True)
            mark_best(panel, sheet)
        remark = join(remark, draw_theory(panels, sheets, theories) if theories else "")
        finish_maps(figure, sheets, remark, unfinished="max_iterations", converged=True)
    return figure


def _contours(panel: Axes, sheet: Sheet, iterations: Array, norm: Normalize) -> None:
    """Lines of equal iterations, from medians over blocks of cells: single cells are often erratic."""
    rows, columns = (max(1, length // CONTOUR_CELLS) for length in iterations.shape)
    height, width = iterations.shape[0] // rows, iterations.shape[1] // columns
    if min(height, width) < 4:
        return
    blocks = iterations[: height * rows, : width * columns].reshape(height, rows, width, columns)
    cells = blocks.transpose(0, 2, 1, 3).reshape(height, width, rows * columns)
    medians = np.sort(cells, axis=2)[:, :, rows * columns // 2]
    levels = [
        step * 10.0**power
        for power in range(math.floor(math.log10(norm.vmin or 1)), math.ceil(math.log10(norm.vmax or 10)) + 1)
        for step in (1, 2, 5)
        if (norm.vmin or 1) < step * 10.0**power < (norm.vmax or 10)
    ]
    if not levels or not np.isfinite(medians).any():
        return
    x, y = Scale(sheet.x).positions, Scale(sheet.y).positions
    x_middles = x[: width * columns].reshape(width, columns).mean(axis=1)
    y_middles = y[: height * rows].reshape(height, rows).mean(axis=1)
    lines = panel.contour(
        x_middles, y_middles, np.where(np.isfinite(medians), medians, np.nan), levels=levels, colors="black",
        linewidths=0.6, alpha=0.6,
    )  # fmt: skip
    panel.clabel(lines, fmt=lambda level: f"{level:.0f}", fontsize=7)
