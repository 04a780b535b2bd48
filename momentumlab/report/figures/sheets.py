"""What all maps of a sweep have in common: which part of it each panel shows, its axes, its legend."""

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

from momentumlab.experiment import Setting
from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.trajectory import arrangement
from momentumlab.report.labels import axis_name, setup, short
from momentumlab.result import Status
from momentumlab.search.planes import GridAxis, Plane

LONG = 12
"""Longer words on an axis are set smaller, in several lines."""

MOST_PANELS = 12


MOST_CELLS = 2000
"""Of longer axes every second cell is drawn, or every third, …"""


MOST_TICKS = 8


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


def sheets_of_all(planes: Sequence[Plane], *, over_starts: bool = False) -> tuple[list[Sheet], str]:
    """All maps, or an even choice of many; and what must be said of the choice."""
    several = [plane for plane in planes if len(plane.axes) > 1]
    every = [sheet for plane in several for sheet in sheets_of(plane, over_starts=over_starts)]
    if len(every) <= MOST_PANELS:
        return every, ""
    chosen = np.linspace(0, len(every) - 1, MOST_PANELS).round().astype(int)
    return [every[i] for i in chosen], f"{MOST_PANELS} of {len(every)} maps"


def sheets_of(plane: Plane, *, over_starts: bool) -> Iterator[Sheet]:
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


class Scale:
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


def map_panels(sheets: Sequence[Sheet], *, with_bar: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each map, and room for a colour bar."""
    rows, columns = arrangement(len(sheets))
    width = {1: 5.6, 2: 4.6}.get(columns, 3.7)
    margins = style.Margins(
        left=0.95, top=1.15, bottom=0.95, right=1.3 if with_bar else 0.3, between_columns=0.75, between_rows=0.95
    )
    figure, panels = style.panels(rows, columns, width, 0.8 * width, margins)
    for unused in panels[len(sheets) :]:
        unused.remove()
    return figure, list(panels[: len(sheets)])


def draw_map(
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
        draw_image(panel, sheet, layer)
    return draw_image(panel, sheet, values, norm=norm, cmap=colors)


def draw_image(panel: Axes, sheet: Sheet, values: Array, **how: Any) -> Any:
    """An image over the two axes of a sheet, with their ticks and names."""
    across, up = Scale(sheet.x), Scale(sheet.y)
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


def mark_best(panel: Axes, sheet: Sheet) -> None:
    """A star on the best cell of the plane, where it is on this sheet."""
    if math.isinf(sheet.plane.best_result) or not has_best(sheet):
        return
    best = sheet.plane.setting(sheet.plane.best)
    place = [Scale(axis).positions[[axis.values.index(best[axis.name])]] for axis in (sheet.x, sheet.y)]
    panel.plot(*place, zorder=6, clip_on=False, **{**style.MINIMUM, "markersize": 13, "markerfacecolor": "white"})


def has_best(sheet: Sheet) -> bool:
    """Whether the best cell of the plane is on this sheet."""
    best = sheet.plane.setting(sheet.plane.best)
    return all(best[name] == value for name, value in sheet.fixed.items())


def color_bar(figure: Figure, image: Any, label: str) -> None:
    """What the colours mean, at the right."""
    width, height = figure.get_size_inches()
    place = figure.add_axes((1 - 1.1 / width, 0.95 / height, 0.18 / width, 1 - 2.1 / height))
    bar = figure.colorbar(image, cax=place)
    bar.set_label(label)
    if isinstance(image.norm, LogNorm):
        style.log_scale(place)


def finish_maps(
    figure: Figure,
    sheets: Sequence[Sheet],
    remark: str,
    *,
    unfinished: str | None = None,
    converged: bool = False,
    handles: Sequence[Patch] = (),
    words: "Callable[[Sheet], str] | None" = None,
) -> None:
    """Titles, and the meaning of what has no value."""
    result = sheets[0].plane.result
    several = len({sheet.plane.first for sheet in sheets}) > 1
    for panel, sheet in zip(figure.axes, sheets, strict=False):
        parts = [sheet.plane.name] if several or not sheet.fixed else []
        parts += [f"{axis_name(name)} = {short(value)}" for name, value in sheet.fixed.items()]
        panel.set_title(", ".join(parts), loc="left", fontweight="bold", pad=19)
        told = (words or best_words)(sheet)
        panel.annotate(
            told, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color="#444444"
        )
    style.headline(figure, f"{result.experiment.name}: {setup(result.plan)}", remark)
    kinds = [*handles]
    if converged:
        kinds.append(Patch(facecolor=CONVERGED, label="converged"))
    if unfinished is not None:
        kinds.append(Patch(facecolor=UNFINISHED, label=unfinished))
    kinds.append(Patch(label="diverged", **DIVERGED))
    figure.legend(handles=kinds, loc="lower center", ncols=len(kinds), fontsize=9, borderaxespad=0.3)


def best_words(sheet: Sheet) -> str:
    """The best cell of the plane with its values, on the sheet that has it."""
    plane = sheet.plane
    if not has_best(sheet):
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
