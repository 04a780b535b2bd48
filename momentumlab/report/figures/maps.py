"""Figures of a sweep: maps of iterations, final loss, status and basins over two axes, and curves over one."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, to_rgb
from matplotlib.patches import Patch

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.backend import DisplayFigure
from momentumlab.report.figures.map_panels import (
    CONVERGED,
    UNFINISHED,
    CellAxis,
    MapSlice,
    best_cell_text,
    draw_image,
    draw_map,
    draw_theory,
    finish_maps,
    map_panels,
    mark_best,
    slices_of,
)
from momentumlab.report.figures.trials import optimizer_places
from momentumlab.report.labels import axis_name, setup
from momentumlab.report.reports import Report
from momentumlab.result import STATUS_OF_CODE, Status
from momentumlab.search.planes import GridAxis, Plane
from momentumlab.theory import TrialRate

RATE_LABEL = "rate (above 1: diverges)"
HIGHEST_RATE = 1.2
"""Rates above this are not shown, so that differences below 1 remain visible."""

CONTOUR_CELLS = 100
"""Contours are drawn from medians over blocks of cells, at most this many along an axis."""

MIN_HEIGHT = 1e-150
"""Smaller heights above the minimum are drawn like this one."""

MAX_RATIO = 100.0
"""Losses that exceed that of the start by this factor are drawn alike."""


def map_figures(report: Report, *, theory: bool = False) -> dict[str, Callable[[], DisplayFigure]]:
    """Return the figures of a sweep by file name; each is drawn when it is called.

    Parameters
    ----------
    report
        The report of a sweep.
    theory
        Whether to draw the stability limit, critical damping and the best rate over the maps.
    """
    figures: dict[str, Callable[[], DisplayFigure]] = {}
    if any(len(plane.axes) == 1 for plane in report.planes):
        figures["curve"] = lambda: curve_figure(report, theory=theory)
    if any(len(plane.axes) > 1 for plane in report.planes):
        over_starts = all(_has_start_axes(plane) for plane in report.planes)
        if report.result.plan.dimension == 2 and report.experiment.shared_minima and over_starts:
            figures["basins"] = lambda: basin_figure(report)
        if report.result.plan.stopping.can_converge:
            figures["map_iterations"] = lambda: iterations_figure(report, theory=theory)
        figures["map_loss"] = lambda: loss_map_figure(report, theory=theory)
        figures["map_status"] = lambda: status_figure(report, theory=theory)
    return figures


def iterations_figure(report: Report, *, theory: bool = False) -> DisplayFigure:
    """Draw the iterations until each cell converges, on a log scale with contours."""
    slices, remark = slices_of(report.planes)
    values = [part.of(part.plane.keys[0]) for part in slices]
    finite = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 10.0)
    norm = LogNorm(max(low, 1.0), max(high, 1.1 * max(low, 1.0)))
    with style.styled():
        figure, panels = map_panels(slices)
        for panel, part, each in zip(panels, slices, values, strict=True):
            iterations = np.where(np.isfinite(each), np.maximum(each, 1.0), np.nan)
            image = draw_map(panel, part, iterations, norm, mark_unfinished=True)
            _draw_contours(panel, part, each, norm)
            mark_best(panel, part)
        style.color_bar(figure, image, "iterations to convergence", bottom=0.95, top=1.15)
        _finish(report, figure, panels, slices, remark, theory=theory, unfinished="not converged, or stalled")
    return figure


def loss_map_figure(report: Report, *, theory: bool = False) -> DisplayFigure:
    """Draw the final loss of each cell: on a log scale above the known minimum, if one is known."""
    slices, remark = slices_of(report.planes)
    yardstick = slices[0].plane.yardstick
    known = yardstick.known
    values = [part.of(part.plane.median_losses()) for part in slices]
    norm: Normalize
    if math.isnan(known):
        finite = np.concatenate([each[np.isfinite(each)] for each in values])
        low, high = np.quantile(finite, [0.01, 0.99]) if len(finite) else (0.0, 1.0)
        norm = Normalize(float(low), float(max(high, low + 1e-12)))
    else:
        starts = yardstick.start_losses
        start = float(np.max(starts[np.isfinite(starts)], initial=known)) - known
        start = min(max(start, MIN_HEIGHT), 1 / MIN_HEIGHT)
        floor = max(1e-16 * start, MIN_HEIGHT)
        values = [np.maximum(each - known, floor) for each in values]
        finite = np.minimum(np.concatenate([each[np.isfinite(each)] for each in values]), MAX_RATIO * start)
        low = float(finite.min()) if len(finite) else floor
        norm = LogNorm(low, max(float(finite.max(initial=low)), 10 * low))
    with style.styled():
        figure, panels = map_panels(slices)
        for panel, part, each in zip(panels, slices, values, strict=True):
            image = draw_map(panel, part, np.where(np.isfinite(each), each, np.nan), norm)
            mark_best(panel, part)
        label = "final loss" + ("" if math.isnan(known) else " above the known minimum")
        style.color_bar(figure, image, label, bottom=0.95, top=1.15)
        _finish(report, figure, panels, slices, remark, theory=theory)
    return figure


def status_figure(report: Report, *, theory: bool = False) -> DisplayFigure:
    """Draw the status of each cell."""
    slices, remark = slices_of(report.planes)
    colors = LinearSegmentedColormap.from_list("status", [UNFINISHED, CONVERGED])
    with style.styled():
        figure, panels = map_panels(slices, with_bar=False)
        for panel, part in zip(panels, slices, strict=True):
            codes = part.of(part.plane.main_status().astype(np.float64))
            shown = np.where(codes >= Status.DIVERGED.code, np.nan, codes)
            draw_map(panel, part, shown, Normalize(0, 1), colors=colors)
            mark_best(panel, part)
        statuses = {int(code) for part in slices for code in np.unique(part.plane.main_status())}
        if len(statuses) == 1:
            remark = style.join(remark, f"every cell: {STATUS_OF_CODE[statuses.pop()].label}")
        handles = [Patch(facecolor=CONVERGED, label="converged")]
        _finish(report, figure, panels, slices, remark, theory=theory, handles=handles, unfinished="max_iterations")
    return figure


def basin_figure(report: Report) -> DisplayFigure:
    """Draw which known minimum each start reaches by colour, and the number of iterations by shade."""
    slices, remark = slices_of(report.planes, over_starts=True)
    minima = report.experiment.shared_minima
    iterations = [part.of(part.plane.iterations[:, 0].astype(np.float64)) for part in slices]
    fastest = max(1.0, min(float(each.min()) for each in iterations))
    slowest = max(fastest + 1, *(float(np.quantile(each, 0.99)) for each in iterations))
    texts = []
    with style.styled():
        figure, panels = map_panels(slices, with_bar=False)
        for panel, part, count in zip(panels, slices, iterations, strict=True):
            basins = part.of(part.plane.basins()[:, 0])
            image = np.ones((*count.shape, 4))
            image[..., :3] = to_rgb(UNFINISHED)
            share = np.log(np.maximum(count, fastest) / fastest) / math.log(slowest / fastest)
            shade = np.clip(share, 0, 1)[..., np.newaxis]
            for number in range(len(minima)):
                # From a tint for the fastest to a dark shade for the slowest.
                color = np.array(to_rgb(style.color(number)))
                shaded = (1 - shade) * (0.35 * color + 0.65) + shade * 0.7 * color
                image[basins == number, :3] = shaded[basins == number]
            image[part.of(part.plane.status_codes[:, 0] == Status.DIVERGED.code), 3] = 0.0
            draw_image(panel, part, image)
            for number, minimum in enumerate(minima):
                marker = {**style.MINIMUM, "markerfacecolor": style.color(number)}
                panel.plot(*minimum.point, zorder=6, **marker)
            texts.append(f"{np.mean(basins >= 0):.1%} of starts reach a minimum")
        names = [f"({', '.join(f'{coordinate:.3g}' for coordinate in minimum.point)})" for minimum in minima]
        handles = [Patch(facecolor=style.color(number), label=name) for number, name in enumerate(names)]
        explained = "colour: minimum reached from each start; shade: iterations, darker for more"
        finish_maps(
            figure,
            slices,
            _title(report),
            style.join(explained, remark),
            texts=texts,
            handles=handles,
            unfinished="none",
        )
    return figure


def curve_figure(report: Report, *, theory: bool = False) -> DisplayFigure:
    """Draw iterations and final loss over a single axis, a curve per optimizer; with theory also the rates."""
    planes = [plane for plane in report.planes if len(plane.axes) == 1]
    names = list(dict.fromkeys(plane.axes[0].name for plane in planes))
    places = optimizer_places([plane.choice.name for plane in planes]) if len(planes) > 1 else [0]
    curves = [
        style.CurveStyle(label=plane.name, color=style.color(place), line_style=style.line_style(place))
        for plane, place in zip(planes, places, strict=True)
    ]
    known = planes[0].yardstick.known
    has_minimum = not math.isnan(known)
    quantities: list[tuple[str, Callable[[Plane], Array]]] = []
    if report.result.plan.stopping.can_converge:
        quantities.append(("iterations to convergence", lambda plane: plane.median_iterations()))
    label = f"final loss{' above the known minimum' if has_minimum else ''}"
    quantities.append((label, lambda plane: plane.median_losses() - (known if has_minimum else 0.0)))
    remark = "dots: best values; gaps: the optimizer diverges or does not converge"
    rates = report.axis_rates if theory else ""
    if isinstance(rates, str):
        remark = style.join(remark, rates and f"no theory: {rates}")
    else:
        quantities.append((RATE_LABEL, partial(_rates_of, rates, "measured")))
        remark = style.join(remark, "solid: measured rate; dotted: predicted rate")
    with style.styled():
        head = style.Head(title=_title(report), remark=remark, curves=curves, columns=len(names))
        margins = style.Margins(left=0.95, top=head.height + 0.15, between_columns=0.75)
        shape = (len(quantities), len(names))
        width = 6.4 if len(names) == 1 else 4.4
        figure, panels = style.panels(len(quantities) * len(names), shape, width, 2.9, margins)
        for panel, ((label, values_of), name) in zip(panels, itertools.product(quantities, names), strict=True):
            style.plain_ticks(panel)
            drawn = [pair for pair in zip(planes, curves, strict=True) if pair[0].axes[0].name == name]
            for plane, curve in drawn:
                numbers = plane.axes[0].numbers
                positions = np.arange(len(plane.axes[0]), dtype=np.float64) if numbers is None else numbers
                values = values_of(plane)
                values = np.where(np.isfinite(values), values, np.nan)
                order = np.argsort(positions, kind="stable")
                panel.plot(positions[order], values[order], **curve.line)
                panel.plot(positions[[plane.best]], values[[plane.best]], color=curve.color, **style.BEST_POINT)
                if label == RATE_LABEL and not isinstance(rates, str):
                    predicted = _rates_of(rates, "predicted", plane)
                    panel.plot(positions[order], predicted[order], color="black", linestyle=":", linewidth=1.5)
            if label == RATE_LABEL:
                panel.axhline(1.0, color="black", linewidth=0.8, zorder=1)
                panel.set_ylim(top=min(panel.get_ylim()[1], HIGHEST_RATE))
                panel.grid(True, axis="y")
            elif panel.dataLim.ymin > 0 and np.isfinite(panel.dataLim.intervaly).all():
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_ylabel(label)
            _set_abscissa(panel, [plane.axes[0] for plane, _ in drawn])
            panel.set_xlabel(axis_name(name))
        head.draw(figure)
    return figure


def _rates_of(rates: Sequence[TrialRate], which: str, plane: Plane) -> Array:
    """Return the measured or predicted rate of each cell, the median over its starts."""
    found = np.array([getattr(rate, which) for rate in rates[plane.trials]], dtype=np.float64)
    medians: Array = np.median(found.reshape(-1, plane.starts), axis=1)
    return medians


def _title(report: Report) -> str:
    return f"{report.experiment.name}: {setup(report.result.plan)}"


def _finish(
    report: Report,
    figure: DisplayFigure,
    panels: Sequence[Axes],
    slices: Sequence[MapSlice],
    remark: str,
    *,
    theory: bool,
    handles: Sequence[Patch] = (),
    unfinished: str = "",
) -> None:
    """Draw theory, titles and the legend of a map."""
    remark = style.join(remark, draw_theory(report, panels, slices) if theory else "")
    texts = [best_cell_text(part) for part in slices]
    finish_maps(figure, slices, _title(report), remark, texts=texts, handles=handles, unfinished=unfinished)


def _has_start_axes(plane: Plane) -> bool:
    """Whether two axes of a plane are the coordinates of a grid of starts."""
    return sum(axis.name.startswith("start ") for axis in plane.axes) == 2


def _draw_contours(panel: Axes, part: MapSlice, iterations: Array, norm: Normalize) -> None:
    """Draw lines of equal iterations, from medians over blocks of cells because single cells are erratic."""
    rows, columns = (max(1, length // CONTOUR_CELLS) for length in iterations.shape)
    height, width = iterations.shape[0] // rows, iterations.shape[1] // columns
    if min(height, width) < 4:
        return
    blocks = iterations[: height * rows, : width * columns].reshape(height, rows, width, columns)
    cells = blocks.transpose(0, 2, 1, 3).reshape(height, width, rows * columns)
    medians = np.sort(cells, axis=2)[:, :, rows * columns // 2]
    low, high = norm.vmin or 1, norm.vmax or 10
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    levels = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    levels = [level for level in levels if low < level < high]
    if not levels or not np.isfinite(medians).any():
        return
    x, y = CellAxis(part.x).positions, CellAxis(part.y).positions
    lines = panel.contour(
        x[: width * columns].reshape(width, columns).mean(axis=1),
        y[: height * rows].reshape(height, rows).mean(axis=1),
        np.where(np.isfinite(medians), medians, np.nan),
        levels=levels,
        colors="black",
        linewidths=0.6,
        alpha=0.6,
    )
    panel.clabel(lines, fmt=lambda level: f"{level:.0f}", fontsize=7)


def _set_abscissa(panel: Axes, axes: Sequence[GridAxis]) -> None:
    """Set the horizontal axis of curves: a log scale if the values of one of them are evenly spaced there."""
    numbers = [axis.numbers for axis in axes if axis.numbers is not None]
    if len(numbers) < len(axes):
        CellAxis(axes[0]).set_ticks(panel.xaxis)
        return
    every = np.concatenate(numbers)
    panel.set_xlim(float(every.min()), float(every.max()))
    if every.min() > 0 and any(CellAxis(axis).kind == "log" for axis in axes):
        panel.set_xlim(float(every.min()) / 1.1, float(every.max()) * 1.1)
        style.log_scale(panel, "x")
