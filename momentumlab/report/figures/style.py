"""How all figures look: sizes, colours, markers."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, SymmetricalLogLocator

Style = dict[str, Any]
"""Keyword arguments of a matplotlib line."""

DPI = 150

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which people with any kind of colour vision can tell apart, without its yellow."""

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

STEPS = [1, 2, 2.5, 5, 10]
"""Ticks stand at multiples of these."""

LineStyle = Literal["-", "--"]
LINE_STYLES: tuple[LineStyle, ...] = ("-", "--")

LAND = LinearSegmentedColormap.from_list("land", ["#fffdf5", "#e9eef2", "#c3d0da", "#8fa5b8"])
"""The shade of a surface: pale at the bottom, so that paths stand out everywhere."""

VALUES = LinearSegmentedColormap.from_list("values", ["#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154"])
"""Viridis, the best brightest: its lightness alone tells the order."""

CONTOUR = "#70879b"

RC: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
}

START: Style = {
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markersize": 7,
    "linestyle": "none",
}
END: Style = {"marker": "D", "markeredgecolor": "black", "markersize": 5.5, "linestyle": "none"}
MINIMUM: Style = {
    "marker": "*",
    "markerfacecolor": "#F0E442",
    "markeredgecolor": "black",
    "markersize": 16,
    "linestyle": "none",
}


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The space around the panels, in inches, and between them."""

    left: float = 0.75
    right: float = 0.2
    bottom: float = 0.6
    top: float = 0.75
    between_columns: float = 0.45
    between_rows: float = 0.65


@contextmanager
def styled() -> Iterator[None]:
    """The time in which a figure is made: our settings of matplotlib, not the user's; no warnings of infinite runs."""
    # By way of dict, because asking rcParams itself for its backend would load pyplot.
    own: dict[Any, Any] = {
        key: default
        for key, default in dict.items(mpl.rcParamsDefault)
        if key != "backend" and dict.__getitem__(mpl.rcParams, key) != default
    }
    with mpl.rc_context({**own, **RC}), np.errstate(all="ignore"):
        yield


def color(index: int) -> str:
    """The colour of the trial that is shown as number ``index``, the same in every figure."""
    return COLORS[index % len(COLORS)]


def line_style(index: int) -> LineStyle:
    """Solid, and dashed once the colours are used up."""
    return LINE_STYLES[index // len(COLORS) % len(LINE_STYLES)]


def panels(
    rows: int, columns: int, width: float, height: float, margins: Margins, **sharing: Any
) -> tuple[Figure, Sequence[Axes]]:
    """A figure with a grid of panels of ``width`` × ``height`` inches each.

    Placed by arithmetic: matplotlib's layout engines would draw everything twice to find the same places.
    """
    total_width = margins.left + columns * width + (columns - 1) * margins.between_columns + margins.right
    total_height = margins.top + rows * height + (rows - 1) * margins.between_rows + margins.bottom
    figure = Figure(figsize=(total_width, total_height))
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **sharing)
    figure.subplots_adjust(
        left=margins.left / total_width,
        right=1 - margins.right / total_width,
        bottom=margins.bottom / total_height,
        top=1 - margins.top / total_height,
        wspace=margins.between_columns / width,
        hspace=margins.between_rows / height,
    )
    return figure, list(axes.flat)


def log_scale(panel: Axes, which: Literal["x", "y"] = "y") -> None:
    """A log axis with plain text on its powers of ten; matplotlib's own sets formulas there, which costs 100 ms."""
    if which == "x":
        panel.set_xscale("log")
    else:
        panel.set_yscale("log")
    axis = panel.xaxis if which == "x" else panel.yaxis
    low, high = sorted(panel.get_xlim() if which == "x" else panel.get_ylim())
    if low > 0 and high < 30 * low:  # too few powers of ten to read from
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_locator(NullLocator())


def plain_ticks(panel: Axes, *, whole_x: bool = False) -> None:
    """Tick labels without offsets and factors, which would stand in the way of titles; whole numbers for iterations."""
    panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=whole_x, steps=STEPS))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=STEPS))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def plain_number(value: float) -> str:
    """A tick's number in at most eight characters."""
    digits = 6 if 1e-3 <= abs(value) < 1e5 else 3
    return f"{value:.{digits}g}".replace("-", "−").replace("e+0", "e").replace("e+", "e").replace("e−0", "e−")


def symmetric_log_scale(panel: Axes) -> None:
    """A y-axis that is linear between -1 and 1 and logarithmic beyond, with plain text on its powers of ten."""
    panel.set_yscale("symlog", linthresh=1.0)
    locator = SymmetricalLogLocator(base=10, linthresh=1.0)
    locator.set_params(numticks=8)
    panel.yaxis.set_major_locator(locator)
    is_wide = max(np.abs(panel.get_ylim())) > 1e5  # then the ticks at ±1 would stand on that at 0
    panel.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "" if is_wide and abs(value) == 1 else power_of_ten(value))
    )


def power_of_ten(value: float) -> str:
    """``10⁻³``, ``−10²`` or 0; nothing for what is no power of ten."""
    if value == 0:
        return "0"
    exponent = math.log10(abs(value))
    if abs(exponent - round(exponent)) > 1e-6:
        return ""
    return f"{'−' if value < 0 else ''}10{str(round(exponent)).translate(SUPERSCRIPTS)}"


def width_of(panel: Axes) -> float:
    """The width of a panel, in inches."""
    dots: float = panel.get_window_extent().width
    return dots / DPI


def fitted(text: str, inches: float, size: float) -> float:
    """The font size at which a line of bold text fits: ``size``, or a smaller one."""
    inches_per_character_and_point = 0.0085
    return min(size, inches / (len(text) or 1) / inches_per_character_and_point)


def headline(figure: Figure, title: str, remark: str = "") -> None:
    """The title of a figure at its upper left, and a remark below it; set smaller where they would not fit."""
    width, height = figure.get_size_inches()
    for text, y, size, weight, shade in ((title, 0.1, 12, "bold", "black"), (remark, 0.34, 9, "normal", "#444444")):
        fitting = fitted(text, width - 0.3, size)
        figure.text(
            0.15 / width,
            1 - y / height,
            text,
            fontsize=fitting,
            fontweight=weight,
            color=shade,
            va="top",
            parse_math=False,
        )


def marker_legend(figure: Figure, kinds: Sequence[tuple[str, Style]]) -> None:
    """What the markers mean, at the bottom."""
    figure.legend(
        handles=[Line2D([], [], label=label, **style) for label, style in kinds],
        loc="lower center",
        ncols=len(kinds),
        fontsize=9,
        handletextpad=0.2,
        columnspacing=1.5,
        borderaxespad=0.3,
    )
