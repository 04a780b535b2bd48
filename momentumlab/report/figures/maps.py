"""Figures of a sweep: maps of iterations, final loss, status and basins over two axes, and curves over one."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.map_panels import (
    CONVERGED,
    UNFINISHED,
    CellAxis,
    MapSlice,
    draw_image,
    map_sheet,
    mark_best,
    shown_of,
    slices_of,
)
from momentumlab.report.figures.sheets import Axeses, Margins, sheet
from momentumlab.report.figures.trials import optimizer_colors
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
"""Smaller heights above the minimum are drawn at this value."""

MAX_RATIO = 100.0
"""Losses above this multiple of the loss at the start share one colour."""


def map_figures(
    report: Report, options: FigureOptions | None = None, *, ax: Axeses = None
) -> dict[str, Callable[[], Figure]]:
    """Return the figures of a sweep by file name; each is drawn when it is called.

    Parameters
    ----------
    report
        The report of a sweep.
    options
        Options of the figures; ``theory`` draws the stability limit, critical damping and the best rate over the maps.
    ax
        Axes to draw on, one per map.
    """
    options = options or FigureOptions()
    drawings: dict[str, Callable[[Report, FigureOptions, Axeses], Figure]] = {}
    if any(len(plane.axes) == 1 for plane in report.planes):
        drawings["curve"] = curve_figure
    if any(len(plane.axes) > 1 for plane in report.planes):
        over_starts = all(_has_start_axes(plane) for plane in report.planes)
        if report.result.plan.dimension == 2 and report.experiment.shared_minima and over_starts:
            drawings["basins"] = basin_figure
        if report.result.plan.stopping.can_converge:
            drawings["map_iterations"] = iterations_figure
        drawings["map_loss"] = loss_map_figure
        drawings["map_status"] = status_figure
    return {name: partial(draw, report, options, ax) for name, draw in drawings.items()}


def iterations_figure(report: Report, options: FigureOptions, ax: Axeses = None) -> Figure:
    """Draw the iterations until each cell converges, on a log scale with contours."""
    slices, remark = slices_of(report.planes)
    values = [part.map(part.plane.keys(part.cells)[0]) for part in slices]
    finite = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 10.0)
    high = max(high, 1.1 * max(low, 1.0))
    norm = LogNorm(max(low, 1.0), high)
    colors = style.VALUE_COLORS.with_extremes(over=UNFINISHED)
    if len(finite) and low == finite.max():
        remark = style.join(remark, f"every cell that converges takes {low:,.0f} iterations")
    legend = [Patch(facecolor=UNFINISHED, label="not converged, or stalled")]
    with map_sheet(report, slices, options, ax=ax, remark=remark, legend=legend) as page:
        for panel, part, each in zip(page.panels, slices, values, strict=True):
            is_diverged = part.map(part.plane.main_status(part.cells)) == Status.DIVERGED.code
            unfinished = np.where(is_diverged, np.nan, 10 * high)  # beyond the scale
            iterations = np.where(np.isfinite(each), np.maximum(each, 1.0), unfinished)
            image = draw_image(page, panel, part, iterations, norm=norm, cmap=colors)
            _draw_contours(panel, part, each, norm)
            mark_best(panel, part)
        page.add_color_bar(image, "iterations to convergence")
    return page.figure


def loss_map_figure(report: Report, options: FigureOptions, ax: Axeses = None) -> Figure:
    """Draw the final loss of each cell: on a log scale above the known minimum, if one is known."""
    slices, remark = slices_of(report.planes)
    # Above a known minimum, losses have a log scale from rounding errors to much above the start; otherwise the scale
    # is linear without the extremes.
    yardstick = slices[0].plane.yardstick
    values = [part.map(part.plane.median_heights(part.cells)) for part in slices]
    norm: Normalize
    if not yardstick.is_known:
        finite = np.concatenate([each[np.isfinite(each)] for each in values])
        low, high = np.quantile(finite, [0.01, 0.99]) if len(finite) else (0.0, 1.0)
        norm = Normalize(float(low), float(max(high, low + 1e-12)))
    else:
        yardsticks = [part.plane.yardstick_of(part.cells) for part in slices]
        starts = np.concatenate([np.ravel(each.start_losses - each.known) for each in yardsticks])
        start = float(np.max(starts[np.isfinite(starts)], initial=0.0))
        start = min(max(start, MIN_HEIGHT), 1 / MIN_HEIGHT)
        floor = max(1e-16 * start, MIN_HEIGHT)
        values = [np.maximum(each, floor) for each in values]
        finite = np.minimum(np.concatenate([each[np.isfinite(each)] for each in values]), MAX_RATIO * start)
        low = float(finite.min()) if len(finite) else floor
        norm = LogNorm(low, max(float(finite.max(initial=low)), 10 * low))
    if len(finite) and finite.min() == finite.max():
        remark = style.join(remark, f"every cell that does not diverge has the same value, {finite.min():.4g}")
    with map_sheet(report, slices, options, ax=ax, remark=remark) as page:
        for panel, part, each in zip(page.panels, slices, values, strict=True):
            image = draw_image(
                page, panel, part, np.where(np.isfinite(each), each, np.nan), norm=norm, cmap=style.VALUE_COLORS
            )
            mark_best(panel, part)
        page.add_color_bar(image, "final loss" + (" above the known minimum" if yardstick.is_known else ""))
    return page.figure


def status_figure(report: Report, options: FigureOptions, ax: Axeses = None) -> Figure:
    """Draw the status of each cell."""
    slices, remark = slices_of(report.planes)
    colors = LinearSegmentedColormap.from_list("status", [UNFINISHED, CONVERGED])
    values = [part.map(part.plane.main_status(part.cells)) for part in slices]
    found = {int(code) for each in values for code in np.unique(each)}
    if len(found) == 1:
        remark = style.join(remark, f"every cell: {STATUS_OF_CODE[found.pop()].label}")
    legend = [Patch(facecolor=CONVERGED, label="converged"), Patch(facecolor=UNFINISHED, label="max_iterations")]
    with map_sheet(report, slices, options, ax=ax, remark=remark, with_bar=False, legend=legend) as page:
        for panel, part, codes in zip(page.panels, slices, values, strict=True):
            shown = np.where(codes >= Status.DIVERGED.code, np.nan, codes)
            draw_image(page, panel, part, shown, norm=Normalize(0, 1), cmap=colors)
            mark_best(panel, part)
    return page.figure


def basin_figure(report: Report, options: FigureOptions, ax: Axeses = None) -> Figure:
    """Draw which known minimum each start reaches by colour, and the number of iterations by shade."""
    slices, remark = slices_of(report.planes, over_starts=True)
    minima = report.experiment.shared_minima
    iterations = [part.map(part.plane.iterations[part.cells, 0].astype(np.float64)) for part in slices]
    basins = [part.map(part.plane.basins(part.cells)[:, 0]) for part in slices]
    fastest = max(1.0, min(float(each.min()) for each in iterations))
    slowest = max(fastest + 1, *(float(np.quantile(each, 0.99)) for each in iterations))
    names = [f"({', '.join(f'{coordinate:.3g}' for coordinate in minimum.point)})" for minimum in minima]
    legend = [Patch(facecolor=style.color(number), label=name) for number, name in enumerate(names)]
    legend.append(Patch(facecolor=UNFINISHED, label="none"))
    remark = style.join("colour: minimum reached from each start; shade: iterations, darker for more", remark)
    # The starts are the last axes, so the cells of a slice follow each other.
    firsts = [int(part.cells[0]) for part in slices]
    cells = [slice(first, first + len(part.x) * len(part.y)) for first, part in zip(firsts, slices, strict=True)]
    shares = [part.plane.basin_shares(each).sum() for part, each in zip(slices, cells, strict=True)]
    texts = [f"{share:.1%} of starts reach a minimum" for share in shares]
    options = replace(options, theory=False)
    with map_sheet(report, slices, options, ax=ax, remark=remark, with_bar=False, legend=legend, texts=texts) as page:
        for panel, part, count, basin in zip(page.panels, slices, iterations, basins, strict=True):
            image = np.ones((*count.shape, 4))
            image[..., :3] = to_rgb(UNFINISHED)
            share = np.log(np.maximum(count, fastest) / fastest) / math.log(slowest / fastest)
            shade = np.clip(share, 0, 1)[..., np.newaxis]
            for number in range(len(minima)):
                # From a tint for the fastest to a dark shade for the slowest.
                color = np.array(to_rgb(style.color(number)))
                shaded = (1 - shade) * (0.35 * color + 0.65) + shade * 0.7 * color
                image[basin == number, :3] = shaded[basin == number]
            image[part.map(part.plane.status_codes[part.cells, 0]) == Status.DIVERGED.code, 3] = 0.0
            draw_image(page, panel, part, image)
            for number, minimum in enumerate(minima):
                marker = {**style.MINIMUM, "markerfacecolor": style.color(number)}
                panel.plot(*minimum.point, zorder=6, **marker)
    return page.figure


def curve_figure(report: Report, options: FigureOptions, ax: Axeses = None) -> Figure:
    """Draw iterations and final loss over a single axis, a curve per optimizer; with theory also the rates."""
    planes = [plane for plane in report.planes if len(plane.axes) == 1]
    names = list(dict.fromkeys(plane.axes[0].name for plane in planes))
    colors = optimizer_colors([plane.choice.name for plane in planes])
    curves = [
        style.CurveStyle(label=plane.name, color=color, line_style=dashes)
        for plane, (color, dashes) in zip(planes, colors, strict=True)
    ]
    has_minimum = planes[0].yardstick.is_known
    quantities: list[tuple[str, Callable[[Plane], Array]]] = []
    if report.result.plan.stopping.can_converge:
        quantities.append(("iterations to convergence", lambda plane: plane.median_iterations()))
    label = f"final loss{' above the known minimum' if has_minimum else ''}"
    quantities.append((label, lambda plane: plane.median_heights()))
    remark = "dots: best values; gaps: the optimizer diverges or does not converge"
    rates = report.axis_rates if options.theory else ""
    if isinstance(rates, str):
        remark = style.join(remark, rates and f"no theory: {rates}")
    else:
        quantities.append((RATE_LABEL, partial(_rates_of, rates, "measured")))
        remark = style.join(remark, "solid: measured rate; dotted: predicted rate")
    width = 6.4 if len(names) == 1 else 4.4
    with sheet(
        len(quantities) * len(names),
        (width, 2.9),
        options,
        ax=ax,
        shape=(len(quantities), len(names)),
        margins=Margins(left=0.95, top=0.15, between_columns=0.75),
        title=f"{report.experiment.name}: {setup(report.result.plan)}",
        remark=remark,
        curves=curves,
    ) as page:
        for panel, ((label, values_of), name) in zip(page.panels, itertools.product(quantities, names), strict=True):
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
                lines = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in panel.get_lines()])
                shown = lines[lines <= HIGHEST_RATE]  # NaN is not
                low, high = float(shown.min(initial=1.0)), float(shown.max(initial=1.0))
                margin = 0.06 * (high - low) or 0.01
                panel.set_ylim(low - margin, high + margin)
                panel.grid(True, axis="y")
            elif panel.dataLim.ymin > 0 and np.isfinite(panel.dataLim.intervaly).all():
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_ylabel(label)
            _set_abscissa(panel, [plane.axes[0] for plane, _ in drawn], width)
            panel.set_xlabel(axis_name(name))
    return page.figure


def _rates_of(rates: Sequence[TrialRate], which: str, plane: Plane) -> Array:
    """Return the measured or predicted rate of each cell, the median over its starts."""
    found = np.array([getattr(rate, which) for rate in rates[plane.trials]], dtype=np.float64)
    medians: Array = np.median(found.reshape(-1, plane.starts), axis=1)
    return medians


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
    x, y = (CellAxis(axis).positions[shown_of(axis)] for axis in (part.x, part.y))
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


def _set_abscissa(panel: Axes, axes: Sequence[GridAxis], inches: float) -> None:
    """Set the horizontal axis of curves: a log scale if the values of one of them are evenly spaced there."""
    numbers = [axis.numbers for axis in axes if axis.numbers is not None]
    if len(numbers) < len(axes):
        CellAxis(axes[0]).set_ticks(panel.xaxis, inches)
        return
    every = np.concatenate(numbers)
    panel.set_xlim(float(every.min()), float(every.max()))
    if every.min() > 0 and any(CellAxis(axis).kind == "log" for axis in axes):
        panel.set_xlim(float(every.min()) / 1.1, float(every.max()) * 1.1)
        style.log_scale(panel, "x")
