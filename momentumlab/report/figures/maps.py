"""Maps of a sweep: iterations, final loss and status over two axes; curves over one; basins over a grid of starts."""

import itertools
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from momentumlab.catalogue import Array
from momentumlab.experiment import Setting
from momentumlab.report.figures import style
from momentumlab.report.figures.curves import finish, head_height
from momentumlab.report.figures.selection import Curve, join
from momentumlab.report.figures.trajectory import arrangement
from momentumlab.report.labels import axis_name, short
from momentumlab.report.sweep_table import headline
from momentumlab.result import Result, Status
from momentumlab.sweep import GridAxis, Plane, planes
from momentumlab.theory import PlaneTheory, TheoryDoesNotApplyError, plane_theory

LONG = 12
"""Longer words on an axis are set smaller, in several lines."""

MOST_PANELS = 12
MOST_CELLS = 2000
"""Of longer axes every second cell is drawn, or every third, …"""

MOST_TICKS = 8

CONTOUR_CELLS = 100
"""Contours are drawn from medians over blocks of cells, at most so many along an axis."""

LEAST = 1e-150
"""Smaller numbers are no better than this."""

CUT = 100.0
"""Losses this many times higher above the minimum than that of the start look alike."""

UNFINISHED = "#d9d9d9"
CONVERGED = "#2a788e"
DIVERGED: dict[str, Any] = {"facecolor": "white", "edgecolor": "#555555", "hatch": "////", "linewidth": 0}


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One map: a plane, or one slice of it across its longest two axes.

    Attributes
    ----------
    fixed
        The values of the other axes.
    index
        Where the slice is in an array of the plane's shape; the axes that are drawn come as (y, x).
    """

    plane: Plane
    x: GridAxis
    y: GridAxis
    fixed: dict[str, Setting]
    index: tuple[Any, ...]
    is_turned: bool

    def cut(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values of all cells, ``(cells,)``, on this sheet: ``(y, x)``."""
        array: NDArray[Any] = values.reshape(self.plane.shape)[self.index]
        return array.T if self.is_turned else array


def map_figures(result: Result, *, theory: bool = False) -> dict[str, Callable[[], Figure]]:
    """Every figure that shows all trials of a sweep, by the name of its file.

    Parameters
    ----------
    result
        The sweep.
    theory
        Whether to draw what theory says over the maps: the boundary of stability, and for each curvature the line from
        which on it oscillates.
    """
    figures: dict[str, Callable[[], Figure]] = {}
    every = planes(result)
    theories = Theories() if theory else None
    if any(len(plane.axes) == 1 for plane in every):
        figures["curve"] = lambda: curve_figure(result)
    if any(len(plane.axes) > 1 for plane in every):
        if result.plan.dimension == 2 and _minima(result) and all(_has_basins(plane) for plane in every):
            figures["basins"] = lambda: basin_figure(result)
        if result.plan.stopping.can_converge:
            figures["map_iterations"] = lambda: iterations_figure(result, theories=theories)
        figures["map_loss"] = lambda: loss_map_figure(result, theories=theories)
        figures["map_status"] = lambda: status_figure(result, theories=theories)
    return figures


def iterations_figure(result: Result, *, theories: "Theories | None" = None) -> Figure:
    """The iterations until each cell converges, on a log scale, with contours; what does not is set apart."""
    sheets, remark = _sheets(result)
    values = [sheet.cut(sheet.plane.keys[0]) for sheet in sheets]
    finite = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 10.0)
    norm = LogNorm(max(low, 1.0), max(high, 1.1 * max(low, 1.0)))
    with style.styled():
        figure, panels = _panels(sheets)
        for panel, sheet, each in zip(panels, sheets, values, strict=True):
            image = _draw(panel, sheet, np.where(np.isfinite(each), np.maximum(each, 1.0), np.nan), norm)
            _contours(panel, sheet, each, norm)
            _mark_best(panel, sheet)
        _color_bar(figure, image, "iterations to converge")
        remark = join(remark, _draw_theory(panels, sheets, theories) if theories else "")
        _finish(figure, result, sheets, remark, unfinished="not converged, or stalled")
    return figure


def loss_map_figure(result: Result, *, theories: "Theories | None" = None) -> Figure:
    """The final loss of each cell: above the known minimum on a log scale, where one is known."""
    sheets, remark = _sheets(result)
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
        figure, panels = _panels(sheets)
        for panel, sheet, each in zip(panels, sheets, values, strict=True):
            image = _draw(panel, sheet, np.where(np.isfinite(each), each, np.nan), norm, hatched_gaps=True)
            _mark_best(panel, sheet)
        _color_bar(figure, image, "final loss" + ("" if math.isnan(known) else " above the known minimum"))
        remark = join(remark, _draw_theory(panels, sheets, theories) if theories else "")
        _finish(figure, result, sheets, remark)
    return figure


def status_figure(result: Result, *, theories: "Theories | None" = None) -> Figure:
    """How each cell ended."""
    sheets, remark = _sheets(result)
    with style.styled():
        figure, panels = _panels(sheets, with_bar=False)
        for panel, sheet in zip(panels, sheets, strict=True):
            codes = sheet.cut(sheet.plane.main_status().astype(np.float64))
            colors = LinearSegmentedColormap.from_list("ends", [UNFINISHED, CONVERGED])
            shown = np.where(codes == Status.DIVERGED.code, np.nan, codes)
            _draw(panel, sheet, shown, Normalize(0, 1), colors=colors, hatched_gaps=True)
            _mark_best(panel, sheet)
        remark = join(remark, _draw_theory(panels, sheets, theories) if theories else "")
        _finish(figure, result, sheets, remark, unfinished="max_iterations", converged=True)
    return figure


def basin_figure(result: Result) -> Figure:
    """Which known minimum each start reaches, by colour, and how soon, by shade."""
    sheets, remark = _sheets(result, over_starts=True)
    minima = _minima(result)
    iterations = [sheet.cut(sheet.plane.iterations[:, 0].astype(np.float64)) for sheet in sheets]
    fastest = max(1.0, min(float(each.min()) for each in iterations))
    slowest = max(fastest + 1, *(float(np.quantile(each, 0.99)) for each in iterations))
    with style.styled():
        figure, panels = _panels(sheets, with_bar=False)
        for panel, sheet, made in zip(panels, sheets, iterations, strict=True):
            basins = sheet.cut(sheet.plane.basins()[:, 0])
            diverged = sheet.cut(sheet.plane.status_codes[:, 0] == Status.DIVERGED.code)
            image = np.ones((*made.shape, 4))
            image[..., :3] = to_rgb(UNFINISHED)
            shade = np.clip(np.log(np.maximum(made, fastest) / fastest) / math.log(slowest / fastest), 0, 1)
            for number in range(len(minima)):
                reached = basins == number
                color = np.array(to_rgb(style.color(number)))
                # From a tint for the quickest to a dark shade for the slowest.
                tinted = (1 - shade[..., np.newaxis]) * (0.35 * color + 0.65) + shade[..., np.newaxis] * 0.7 * color
                image[reached, :3] = tinted[reached]
            image[diverged, 3] = 0.0
            _draw_image(panel, sheet, image)
            for number, minimum in enumerate(minima):
                panel.plot(*minimum, zorder=6, **{**style.MINIMUM, "markerfacecolor": style.color(number)})
        handles = [
            Patch(facecolor=style.color(number), label=f"({', '.join(f'{c:.3g}' for c in minimum)})")
            for number, minimum in enumerate(minima)
        ]
        told = "which minimum each start reaches; the darker, the later"
        _finish(
            figure, result, sheets, join(told, remark), unfinished="none", handles=handles,
            words=lambda sheet: f"{np.mean(sheet.cut(sheet.plane.basins()[:, 0]) >= 0):.1%} of starts reach a minimum",
        )  # fmt: skip
    return figure


def curve_figure(result: Result) -> Figure:
    """Iterations and final loss over a single axis, a curve per optimizer."""
    every = [plane for plane in planes(result) if len(plane.axes) == 1]
    names = list(dict.fromkeys(plane.axes[0].name for plane in every))
    curves = [
        Curve(label=plane.name, color=style.color(i), line_style=style.line_style(i)) for i, plane in enumerate(every)
    ]
    known = every[0].yardstick.known
    quantities: list[tuple[str, Callable[[Plane], Array]]] = []
    if result.plan.stopping.can_converge:
        quantities.append(("iterations to converge", lambda plane: plane.median_iterations()))
    above = "" if math.isnan(known) else " above the known minimum"
    shift = 0.0 if math.isnan(known) else known
    quantities.append((f"final loss{above}", lambda plane: plane.median_losses() - shift))
    remark = "dots mark the best; a gap where a method diverges, or does not converge"
    with style.styled():
        margins = style.Margins(left=0.95, top=head_height(curves, len(names), remark) + 0.15, between_columns=0.75)
        figure, panels = style.panels(len(quantities), len(names), 6.4 if len(names) == 1 else 4.4, 2.9, margins)
        for (row, (label, values_of)), (column, name) in itertools.product(enumerate(quantities), enumerate(names)):
            panel = panels[row * len(names) + column]
            style.plain_ticks(panel)
            for plane, curve in zip(every, curves, strict=True):
                if plane.axes[0].name == name:
                    _draw_curve(panel, plane, values_of(plane), curve)
            if panel.dataLim.ymin > 0 and np.isfinite(panel.dataLim.intervaly).all():
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_ylabel(label)
            _label_curves(panel, [plane.axes[0] for plane in every if plane.axes[0].name == name])
        finish(figure, panels, curves, f"{result.experiment.name}: {headline(result)}", remark, "")
        for panel, name in zip(panels[-len(names) :], names, strict=True):
            panel.set_xlabel(axis_name(name))
    return figure


def _draw_curve(panel: Axes, plane: Plane, values: Array, curve: Curve) -> None:
    (axis,) = plane.axes
    values = np.where(np.isfinite(values), values, np.nan)
    positions = axis.numbers if axis.numbers is not None else np.arange(len(axis), dtype=np.float64)
    order = np.argsort(positions, kind="stable")
    panel.plot(positions[order], values[order], color=curve.color, linestyle=curve.line_style, linewidth=1.5)
    panel.plot(
        positions[[plane.best]],
        values[[plane.best]],
        marker="o",
        markersize=7,
        color=curve.color,
        markeredgecolor="black",
        linestyle="none",
        zorder=5,
    )


def _label_curves(panel: Axes, axes: Sequence[GridAxis]) -> None:
    """The horizontal axis of curves: on a log scale if all values of one of them are evenly spaced there."""
    numbers = [axis.numbers for axis in axes if axis.numbers is not None]
    if len(numbers) < len(axes):
        _Scale(axes[0]).label(panel.xaxis)
        return
    every = np.concatenate(numbers)
    panel.set_xlim(float(every.min()), float(every.max()))
    if every.min() > 0 and any(_Scale(axis).kind == "log" for axis in axes):
        panel.set_xlim(float(every.min()) / 1.1, float(every.max()) * 1.1)
        style.log_scale(panel, "x")


# Which part of a sweep each panel shows


def _has_basins(plane: Plane) -> bool:
    return sum(axis.name.startswith("start ") for axis in plane.axes) == 2


def _sheets(result: Result, *, over_starts: bool = False) -> tuple[list[Sheet], str]:
    """All maps, or an even choice of many; and what must be said of the choice."""
    several = [plane for plane in planes(result) if len(plane.axes) > 1]
    every = [sheet for plane in several for sheet in _sheets_of(plane, over_starts=over_starts)]
    if len(every) <= MOST_PANELS:
        return every, ""
    chosen = np.linspace(0, len(every) - 1, MOST_PANELS).round().astype(int)
    return [every[i] for i in chosen], f"{MOST_PANELS} of {len(every)} maps"


def _sheets_of(plane: Plane, *, over_starts: bool) -> Iterator[Sheet]:
    """The maps across the two longest axes (or the starts); lr runs to the right, or else the first of the two."""
    longest = sorted(np.argsort([-length for length in plane.shape], kind="stable")[:2].tolist())
    if over_starts:  # these are the last
        longest = [len(plane.axes) - 2, len(plane.axes) - 1]
    first, second = longest
    is_second_lr = plane.axes[second].name == "lr"
    x, y = (second, first) if is_second_lr else (first, second)
    others = [number for number in range(len(plane.axes)) if number not in longest]
    for combination in itertools.product(*(range(plane.shape[number]) for number in others)):
        index: list[Any] = [slice(None)] * len(plane.axes)
        for number, position in zip(others, combination, strict=True):
            index[number] = position
        yield Sheet(
            plane=plane,
            x=plane.axes[x],
            y=plane.axes[y],
            fixed={
                plane.axes[number].name: plane.axes[number].values[position]
                for number, position in zip(others, combination, strict=True)
            },
            index=tuple(index),
            is_turned=x < y,
        )


def _minima(result: Result) -> list[Array]:
    minima = result.experiment.first_surface.minima(result.plan.dimension)
    return [np.array(minimum.point) for minimum in minima]


# How a map is drawn


class _Scale:
    """Where the values of an axis stand: evenly on a log or a linear scale or, failing that, one beside the other."""

    def __init__(self, axis: GridAxis) -> None:
        self.axis = axis
        numbers = axis.numbers
        self.kind = "listed"
        self.positions = np.arange(len(axis), dtype=np.float64)
        if numbers is not None and _is_even(numbers):
            self.kind, self.positions = "linear", numbers
        elif numbers is not None and numbers.min() > 0 and _is_even(np.log10(numbers)):
            self.kind, self.positions = "log", np.log10(numbers)

    @property
    def is_descending(self) -> bool:
        """Whether the values fall."""
        return bool(self.positions[-1] < self.positions[0])

    @property
    def extent(self) -> tuple[float, float]:
        """From the lower edge of the lowest cell to the upper edge of the highest."""
        low, high = sorted((float(self.positions[0]), float(self.positions[-1])))
        half = 0.5 * (high - low) / (len(self.positions) - 1)
        return low - half, high + half

    def label(self, axis: Any) -> None:
        """Ticks with the values that people know."""
        if self.kind == "linear":
            return
        if self.kind == "log":
            low, high = float(self.positions.min()), float(self.positions.max())
            powers = range(math.floor(low), math.ceil(high) + 1)
            steps = (1,) if high - low > 1.5 else (1, 2, 5)
            marks = [power + math.log10(step) for power in powers for step in steps]
            marks = [mark for mark in marks if low - 0.01 <= mark <= high + 0.01]
            if len(marks) < 2:  # a range within 1, 2, 5, 10
                marks = np.linspace(low, high, 4).tolist()
            axis.set_major_locator(FixedLocator(marks[:: -(-len(marks) // MOST_TICKS)]))
            as_power = len(steps) == 1
            axis.set_major_formatter(
                FuncFormatter(lambda mark, _: style.power_of_ten(10**mark) if as_power else f"{10**mark:.3g}")
            )
        else:
            shown = np.unique(np.linspace(0, len(self.positions) - 1, min(len(self.positions), 8)).round().astype(int))
            axis.set_major_locator(FixedLocator(shown.tolist()))
            names = [short(value) for value in self.axis.values]
            if max(map(len, names)) > LONG:  # schedules
                box, is_across = axis.axes.get_window_extent(), axis.axis_name == "x"
                inches = (box.width if is_across else box.height) / style.DPI / len(shown)
                names = [textwrap.fill(name, max(8, int(inches / 0.055)), break_long_words=False) for name in names]
                axis.set_tick_params(labelsize=7, labelrotation=0 if is_across else 90)
                for label in axis.get_ticklabels():
                    label.set_verticalalignment("top" if is_across else "center")
            axis.set_major_formatter(
                FuncFormatter(lambda mark, _: names[round(mark)] if 0 <= mark < len(names) else "")
            )
        axis.set_minor_locator(NullLocator())


def _is_even(numbers: Array) -> bool:
    steps = np.diff(numbers)
    return bool(np.allclose(steps, steps.mean(), rtol=1e-4, atol=0) and steps.mean() != 0)


def _panels(sheets: Sequence[Sheet], *, with_bar: bool = True) -> tuple[Figure, list[Axes]]:
    rows, columns = arrangement(len(sheets))
    width = {1: 5.6, 2: 4.6}.get(columns, 3.7)
    margins = style.Margins(
        left=0.95, top=1.15, bottom=0.95, right=1.3 if with_bar else 0.3, between_columns=0.75, between_rows=0.95
    )
    figure, panels = style.panels(rows, columns, width, 0.8 * width, margins)
    for unused in panels[len(sheets) :]:
        unused.remove()
    return figure, list(panels[: len(sheets)])


def _draw(
    panel: Axes,
    sheet: Sheet,
    values: Array,
    norm: Normalize,
    *,
    colors: LinearSegmentedColormap = style.VALUES,
    hatched_gaps: bool = False,
) -> Any:
    """A map of values; where there are none, the cell has diverged or has not converged."""
    if not hatched_gaps:
        unfinished = sheet.cut(sheet.plane.main_status() != Status.DIVERGED.code) & np.isnan(values)
        layer = np.zeros((*values.shape, 4), dtype=np.float32)
        layer[unfinished] = (*to_rgb(UNFINISHED), 1.0)
        _draw_image(panel, sheet, layer)
    return _draw_image(panel, sheet, values, norm=norm, cmap=colors)


def _draw_image(panel: Axes, sheet: Sheet, values: Array, **how: Any) -> Any:
    across, up = _Scale(sheet.x), _Scale(sheet.y)
    thinned = values[:: -(-len(values) // MOST_CELLS), :: -(-values.shape[1] // MOST_CELLS)]
    thinned = thinned[:: -1 if up.is_descending else 1, :: -1 if across.is_descending else 1]
    panel.patch.set(**{**DIVERGED, "facecolor": "white"})
    image = panel.imshow(
        thinned, origin="lower", extent=(*across.extent, *up.extent), aspect="auto", interpolation="nearest", **how
    )
    style.plain_ticks(panel)
    across.label(panel.xaxis)
    up.label(panel.yaxis)
    panel.set_xlabel(axis_name(sheet.x.name))
    panel.set_ylabel(axis_name(sheet.y.name))
    return image


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
    x, y = _Scale(sheet.x).positions, _Scale(sheet.y).positions
    x_middles = x[: width * columns].reshape(width, columns).mean(axis=1)
    y_middles = y[: height * rows].reshape(height, rows).mean(axis=1)
    lines = panel.contour(
        x_middles, y_middles, np.where(np.isfinite(medians), medians, np.nan), levels=levels, colors="black",
        linewidths=0.6, alpha=0.6,
    )  # fmt: skip
    panel.clabel(lines, fmt=lambda level: f"{level:.0f}", fontsize=7)


class Theories:
    """What theory says of each plane, computed once for all figures."""

    def __init__(self) -> None:
        self._said: dict[int, PlaneTheory | str] = {}

    def of(self, plane: Plane) -> PlaneTheory | str:
        """What there is to draw, or the reason why there is nothing."""
        if plane.first not in self._said:
            try:
                if plane.starts > 1 or any(axis.name.startswith("start") for axis in plane.axes):
                    raise TheoryDoesNotApplyError("starts differ from trial to trial")
                said: PlaneTheory | str = plane_theory(plane.result.plan, plane.trials.start, plane.trials.stop)
            except TheoryDoesNotApplyError as error:
                said = str(error)
            self._said[plane.first] = said
        return self._said[plane.first]


def _draw_theory(panels: Sequence[Axes], sheets: Sequence[Sheet], theories: Theories) -> str:
    """The boundary of stability, the lines from which on a direction oscillates, the best rate; what is to be said."""
    remarks: dict[str, None] = {}
    for panel, sheet in zip(panels, sheets, strict=True):
        said = theories.of(sheet.plane)
        if isinstance(said, str):
            remarks[f"no theory: {said}"] = None
            continue
        x, y = _Scale(sheet.x).positions, _Scale(sheet.y).positions
        rates = sheet.cut(said.rates)
        panel.contour(x, y, rates, levels=[1.0], colors="#D55E00", linewidths=1.6)
        for number, oscillates in enumerate(said.oscillates.values()):
            line = "--" if number == 0 else ":"
            flags = sheet.cut(oscillates.astype(np.float64))
            if 0 < flags.mean() < 1:
                panel.contour(x, y, flags, levels=[0.5], colors="black", linewidths=1.2, linestyles=line)
        row, column = np.unravel_index(rates.argmin(), rates.shape)
        panel.plot(x[[column]], y[[row]], marker="P", markersize=9, color="#D55E00", markeredgecolor="black", zorder=7)
        drawn = (
            "theory: orange, where it becomes unstable; dashed and dotted, where the flattest and steeper directions"
        )
        remarks[f"{drawn} begin to oscillate; orange cross, the best rate"] = None
    return "; ".join(remarks)


def _mark_best(panel: Axes, sheet: Sheet) -> None:
    """A star on the best cell of the plane, where it is on this sheet."""
    if math.isinf(sheet.plane.best_result) or not _has_best(sheet):
        return
    best = sheet.plane.setting(sheet.plane.best)
    place = [_Scale(axis).positions[[axis.values.index(best[axis.name])]] for axis in (sheet.x, sheet.y)]
    panel.plot(*place, zorder=6, clip_on=False, **{**style.MINIMUM, "markersize": 13, "markerfacecolor": "white"})


def _has_best(sheet: Sheet) -> bool:
    best = sheet.plane.setting(sheet.plane.best)
    return all(best[name] == value for name, value in sheet.fixed.items())


def _color_bar(figure: Figure, image: Any, label: str) -> None:
    width, height = figure.get_size_inches()
    place = figure.add_axes((1 - 1.1 / width, 0.95 / height, 0.18 / width, 1 - 2.1 / height))
    bar = figure.colorbar(image, cax=place)
    bar.set_label(label)
    if isinstance(image.norm, LogNorm):
        style.log_scale(place)


def _finish(
    figure: Figure,
    result: Result,
    sheets: Sequence[Sheet],
    remark: str,
    *,
    unfinished: str | None = None,
    converged: bool = False,
    handles: Sequence[Patch] = (),
    words: "Callable[[Sheet], str] | None" = None,
) -> None:
    """Titles, and the meaning of what has no value."""
    several = len({sheet.plane.first for sheet in sheets}) > 1
    for panel, sheet in zip(figure.axes, sheets, strict=False):
        parts = [sheet.plane.name] if several or not sheet.fixed else []
        parts += [f"{axis_name(name)} = {short(value)}" for name, value in sheet.fixed.items()]
        panel.set_title(", ".join(parts), loc="left", fontweight="bold", pad=19)
        told = (words or _best_words)(sheet)
        panel.annotate(
            told, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color="#444444"
        )
    style.headline(figure, f"{result.experiment.name}: {headline(result)}", remark)
    kinds = [*handles]
    if converged:
        kinds.append(Patch(facecolor=CONVERGED, label="converged"))
    if unfinished is not None:
        kinds.append(Patch(facecolor=UNFINISHED, label=unfinished))
    kinds.append(Patch(label="diverged", **DIVERGED))
    figure.legend(handles=kinds, loc="lower center", ncols=len(kinds), fontsize=9, borderaxespad=0.3)


def _best_words(sheet: Sheet) -> str:
    """The best cell of the plane with its values, on the sheet that has it."""
    plane = sheet.plane
    if not _has_best(sheet):
        return ""
    if math.isinf(plane.best_result):
        return "no cell converges" if plane.by_iterations else "every cell diverges"
    where = ", ".join(f"{axis_name(name)} = {short(value)}" for name, value in plane.setting(plane.best).items())
    best = (
        f"{plane.best_result:.0f} iterations"
        if plane.by_iterations
        else f"loss {plane.median_losses()[plane.best]:.3g}"
    )
    return f"best: {where}: {best}"
