"""Panels of maps: slices of a sweep, their axes and cells, and the predictions of theory."""

import itertools
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray

from momentumlab.experiment import Setting
from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.sheets import Axeses, Margins, Sheet, arrangement, sheet
from momentumlab.report.labels import axis_name, setup, short
from momentumlab.report.reports import Report
from momentumlab.result import Status
from momentumlab.search.planes import GridAxis, Plane, is_problem

LONG_LABEL = 12
"""Longer tick labels are broken into several lines, in a smaller font."""

MAX_CELLS = 840
"""At most this many cells are drawn along an axis, evenly spaced; a panel is as many pixels wide."""

MAX_TICKS = 8

UNFINISHED = "#d9d9d9"
CONVERGED = "#2a788e"
DIVERGED: dict[str, Any] = {"facecolor": "white", "edgecolor": "#555555", "hatch": "////", "linewidth": 0}


@dataclass(frozen=True, kw_only=True)
class MapSlice:
    """A slice of a plane across two of its axes.

    Attributes
    ----------
    fixed
        The values of the other axes.
    index
        The position on each axis of the plane; None for the axes that are drawn.
    is_transposed
        Whether x comes before y in the plane.
    """

    plane: Plane
    x: GridAxis
    y: GridAxis
    fixed: Mapping[str, Setting]
    index: tuple[int | None, ...]
    is_transposed: bool

    @cached_property
    def cells(self) -> NDArray[np.intp]:
        """The cells that are drawn, row by row from the lowest y."""
        places = [
            shown_of(axis) if i is None else np.array([i]) for axis, i in zip(self.plane.axes, self.index, strict=True)
        ]
        cells = np.ravel_multi_index(np.ix_(*places), self.plane.shape)
        return cells.ravel(order="F" if self.is_transposed else "C")

    def map(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the drawn `cells` by y and x."""
        return values.reshape(len(shown_of(self.y)), len(shown_of(self.x)))

    @cached_property
    def best_cells(self) -> list[int]:
        """The best cells that the slice contains: one per value of a surface parameter, which is a problem."""
        best = {cell: self.plane.setting(cell) for cell in self.plane.best_per_problem}
        return [cell for cell, at in best.items() if all(at[name] == value for name, value in self.fixed.items())]


def slices_of(planes: Sequence[Plane], *, over_starts: bool = False) -> tuple[list[MapSlice], str]:
    """Return slices of all planes across their longest axes (or the starts), and a remark if there are too many.

    Learning rates run to the right; otherwise the first of the two axes does.
    """
    slices: list[MapSlice] = []
    for plane in planes:
        if len(plane.axes) < 2:
            continue
        longest = sorted(np.argsort([-length for length in plane.shape], kind="stable")[:2].tolist())
        if over_starts:  # these are the last axes
            longest = [len(plane.axes) - 2, len(plane.axes) - 1]
        x, y = reversed(longest) if plane.axes[longest[1]].name == "lr" else longest
        slices.extend(_slices(plane, x, y))
    if len(slices) <= style.MAX_SHOWN:
        return slices, ""
    chosen = np.linspace(0, len(slices) - 1, style.MAX_SHOWN).round().astype(int)
    return [slices[i] for i in chosen], f"{style.MAX_SHOWN} of {len(slices)} maps, evenly spaced"


def _slices(plane: Plane, x: int, y: int) -> Iterator[MapSlice]:
    others = [number for number in range(len(plane.axes)) if number not in (x, y)]
    for combination in itertools.product(*(range(plane.shape[number]) for number in others)):
        positions = dict(zip(others, combination, strict=True))
        yield MapSlice(
            plane=plane,
            x=plane.axes[x],
            y=plane.axes[y],
            fixed={plane.axes[i].name: plane.axes[i].values[position] for i, position in positions.items()},
            index=tuple(map(positions.get, range(len(plane.axes)))),
            is_transposed=x < y,
        )


def shown_of(axis: GridAxis) -> NDArray[np.intp]:
    """Return the positions along an axis at which cells are drawn."""
    return np.linspace(0, len(axis) - 1, min(len(axis), MAX_CELLS)).round().astype(np.intp)


class CellAxis:
    """Positions of the cells along an axis: on a linear or a log scale if the values are evenly spaced there.

    Values of a hyperparameter below 1 that are evenly spaced in log(1 − value) stand on that scale. Other values are
    listed side by side.
    """

    def __init__(self, axis: GridAxis) -> None:
        self.axis = axis
        self.kind = "listed"
        self.positions = np.arange(len(axis), dtype=np.float64)
        numbers = axis.numbers
        if numbers is None:
            return
        # The first scale with equal steps; a log scale needs positive values, log(1 − value) values below 1.
        scales = {"linear": numbers}
        if numbers.min() > 0:
            scales["log"] = np.log10(numbers)
        if numbers.max() < 1:
            scales["complement"] = -np.log10(1 - numbers)
        for kind, positions in scales.items():
            steps = np.diff(positions)
            if np.allclose(steps, steps.mean(), rtol=1e-4, atol=0) and steps.mean() != 0:
                self.kind, self.positions = kind, positions
                return

    @property
    def is_descending(self) -> bool:
        """Whether the values decrease."""
        return bool(self.positions[-1] < self.positions[0])

    @property
    def extent(self) -> tuple[float, float]:
        """The interval from the lower edge of the lowest cell to the upper edge of the highest."""
        low, high = sorted((float(self.positions[0]), float(self.positions[-1])))
        half = 0.5 * (high - low) / (len(self.positions) - 1)
        return low - half, high + half

    def set_ticks(self, axis: Axis, inches: float) -> None:
        """Label an axis of the given length with the values at some positions."""
        low, high = float(self.positions.min()), float(self.positions.max())
        if self.kind == "linear":
            return
        if self.kind == "log":
            powers = range(math.floor(low), math.ceil(high) + 1)
            steps = (1,) if high - low > 1.5 else (1, 2, 5)
            marks = [power + math.log10(step) for power in powers for step in steps]
            marks = [mark for mark in marks if low - 0.01 <= mark <= high + 0.01]
            if len(marks) < 2:  # the range lies between two of 1, 2, 5, 10
                marks = np.linspace(low, high, 4).tolist()
            marks = marks[:: -(-len(marks) // MAX_TICKS)]
            format_ = style.power_of_ten if len(steps) == 1 else "{:.3g}".format
            axis.set_ticks(marks, [format_(10**mark) for mark in marks])
            return
        if self.kind == "complement" and high - low > 1:
            axis.set_ticks(*style.complement_ticks(high))
            return
        numbers = np.unique(np.linspace(0, len(self.positions) - 1, min(len(self.positions), MAX_TICKS)).round())
        shown = numbers.astype(int).tolist()
        names = [style.shortened(short(self.axis.values[i])) for i in shown]
        if max(map(len, names)) > LONG_LABEL:  # such as schedules
            is_across, room = isinstance(axis, XAxis), inches / len(shown)
            names = [textwrap.fill(name, max(8, int(room / 0.055)), break_long_words=False) for name in names]
            axis.set_tick_params(labelsize=7 * style.scale(), labelrotation=0 if is_across else 90)
            for label in axis.get_ticklabels():
                label.set_verticalalignment("top" if is_across else "center")
        axis.set_ticks(self.positions[shown].tolist(), names)


@contextmanager
def map_sheet(
    report: Report,
    slices: Sequence[MapSlice],
    options: FigureOptions,
    *,
    ax: Axeses = None,
    remark: str = "",
    with_bar: bool = True,
    legend: Sequence[Patch] = (),
    texts: Sequence[str] | None = None,
) -> Iterator[Sheet]:
    """Provide a sheet with a panel for each slice; ``texts`` are written below the titles of the panels."""
    shape = arrangement(len(slices), options.columns)
    width = {1: 5.6, 2: 4.6}.get(shape[1], 3.7)
    margins = Margins(
        left=0.95, right=1.3 if with_bar else 0.3, bottom=0.95, top=0.5, between_columns=0.75, between_rows=0.95
    )
    title = f"{report.experiment.name}: {setup(report.result.plan)}"
    several = len({part.plane.first for part in slices}) > 1
    with sheet(
        len(slices), (width, 0.8 * width), options, ax=ax, shape=shape, margins=margins, title=title, remark=remark
    ) as page:
        yield page
        texts = texts or [best_cell_text(part) for part in slices]
        for panel, part, text in zip(page.panels, slices, texts, strict=True):
            names = [part.plane.name] if several or not part.fixed else []
            names += [f"{axis_name(name)} = {short(value)}" for name, value in part.fixed.items()]
            page.add_title(panel, ", ".join(names), text)
        if options.theory:
            page.remark = style.join(page.remark, draw_theory(report, page.panels, slices))
        diverged = any(part.plane.counts()[Status.DIVERGED] for part in slices)
        page.handles = [*legend, *([Patch(label="diverged", **DIVERGED)] if diverged else [])]


def draw_image(page: Sheet, panel: Axes, part: MapSlice, values: Array, **options: Any) -> AxesImage:
    """Draw an image over the two axes of a slice, with their ticks and names; NaN is hatched, which means diverged."""
    across, up = CellAxis(part.x), CellAxis(part.y)
    width, height = page.panel_size
    values = values[:: -1 if up.is_descending else 1, :: -1 if across.is_descending else 1]
    panel.patch.set(**DIVERGED)
    image = panel.imshow(
        values, origin="lower", extent=(*across.extent, *up.extent), aspect="auto", interpolation="nearest", **options
    )
    for side in ("top", "right"):  # the hatching of the background must not show beside the image
        panel.spines[side].set(visible=True, color="white", linewidth=1.5)
    style.plain_ticks(panel)
    across.set_ticks(panel.xaxis, width)
    up.set_ticks(panel.yaxis, height)
    panel.set_xlabel(axis_name(part.x.name))
    panel.set_ylabel(axis_name(part.y.name))
    return image


def mark_best(panel: Axes, part: MapSlice) -> None:
    """Mark the best cells of the slice with stars."""
    for cell in part.best_cells:
        if not math.isinf(part.plane.keys([cell])[0, 0]):
            best = part.plane.setting(cell)
            place = [CellAxis(axis).positions[[axis.values.index(best[axis.name])]] for axis in (part.x, part.y)]
            panel.plot(*place, clip_on=False, **style.CHOSEN)


def best_cell_text(part: MapSlice) -> str:
    """Describe the best cell of the slice, for the line above it."""
    plane = part.plane
    if len(part.best_cells) > 1:
        names = [axis_name(axis.name) for axis in (part.x, part.y) if is_problem(axis.name)]
        return f"best for each {' and '.join(names)}: stars"
    if not part.best_cells:
        return ""
    (cell,) = part.best_cells
    result = float(plane.keys([cell])[0, 0])
    if math.isinf(result):
        return "no cell converges" if plane.by_iterations else "every cell diverges"
    setting = ", ".join(
        f"{axis_name(name)} = {short(value)}"
        for name, value in plane.setting(cell).items()
        if name not in part.fixed  # the title names these
    )
    if plane.by_iterations:
        return f"best: {setting}: {result:.0f} iterations"
    return f"best: {setting}: loss {plane.median_losses([cell])[0]:.3g}"


def draw_theory(report: Report, panels: Sequence[Axes], slices: Sequence[MapSlice]) -> str:
    """Draw the stability limit, critical damping of each curvature and the best rate; return a remark."""
    remarks: dict[str, None] = {}
    for panel, part in zip(panels, slices, strict=True):
        theory = report.rate_planes[part.plane.first]
        if isinstance(theory, str):
            remarks[f"no theory: {theory}"] = None
            continue
        x, y = (CellAxis(axis).positions[shown_of(axis)] for axis in (part.x, part.y))
        rates = part.map(theory.rates[part.cells])
        panel.contour(x, y, rates, levels=[1.0], colors="#D55E00", linewidths=1.6)
        for number, discriminants in enumerate(theory.discriminants):
            signed = part.map(discriminants[part.cells])
            if signed.min() < 0 < signed.max():
                dashes = "--" if number == 0 else ":"
                panel.contour(x, y, signed, levels=[0.0], colors="black", linewidths=1.2, linestyles=dashes)
        row, column = np.unravel_index(rates.argmin(), rates.shape)
        panel.plot(x[[column]], y[[row]], marker="P", markersize=9, color="#D55E00", markeredgecolor="black", zorder=7)
        explained = "theory: stability limit (orange), critical damping of the flattest (dashed) and of steeper"
        remarks[f"{explained} directions (dotted), best rate (orange cross)"] = None
    return "; ".join(remarks)
