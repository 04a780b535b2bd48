"""The look of all figures: sizes, colours, markers, scales, titles and legends."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, SymmetricalLogLocator

from momentumlab.errors import printable
from momentumlab.report.figures.backend import DPI, DisplayFigure

Style = dict[str, Any]
"""Keyword arguments of a matplotlib line."""

MAX_SHOWN = 12
"""Figures show at most this many trials, settings, optimizers or maps."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito without its yellow: distinguishable with any kind of colour vision."""

LineStyle = Literal["-", "--"]
LINE_STYLES: tuple[LineStyle, ...] = ("-", "--")

HEIGHT_COLORS = LinearSegmentedColormap.from_list("height", ["#fffdf5", "#e9eef2", "#c3d0da", "#8fa5b8"])
"""Heights of a surface: pale, so that trajectories stand out."""

VALUE_COLORS = LinearSegmentedColormap.from_list(
    "value", ["#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154"]
)
"""Viridis reversed: the best values are the brightest, and lightness gives the order."""

CONTOUR_COLOR = "#70879b"
GRAY = "#444444"

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
    "text.parse_math": False,  # names may contain dollar signs
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
CHOSEN: Style = {**MINIMUM, "markersize": 13, "markerfacecolor": "white", "zorder": 6}
BEST_POINT: Style = {"marker": "o", "markersize": 7, "markeredgecolor": "black", "linestyle": "none", "zorder": 5}

TICK_STEPS = [1, 2, 2.5, 5, 10]
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

EM = 0.0085
"""Average width of a bold character, in inches per point of font size."""

MAX_LABEL = 80
"""Longer labels are shortened in the middle."""


@dataclass(frozen=True, kw_only=True)
class CurveStyle:
    """The legend entry, colour and dashes of a curve."""

    label: str
    color: str
    line_style: LineStyle

    @property
    def line(self) -> Style:
        """Keyword arguments for matplotlib."""
        return {"color": self.color, "linestyle": self.line_style, "linewidth": 1.5}


def curve_styles(labels: Sequence[str]) -> list[CurveStyle]:
    """Return a style for each label, in the order of the palette; dashed once the colours are used up."""
    return [CurveStyle(label=label, color=color(i), line_style=line_style(i)) for i, label in enumerate(labels)]


def color(index: int) -> str:
    """Return colour number ``index`` of the palette, which repeats."""
    return COLORS[index % len(COLORS)]


def line_style(index: int) -> LineStyle:
    """Return a solid line for the first round of the palette and a dashed one for the second."""
    return LINE_STYLES[index // len(COLORS) % len(LINE_STYLES)]


@contextmanager
def styled() -> Iterator[None]:
    """Create artists with our rcParams instead of the user's, and without floating-point warnings."""
    # Through dict, because reading the backend from rcParams would load pyplot.
    defaults: dict[Any, Any] = {
        key: default
        for key, default in dict.items(mpl.rcParamsDefault)
        if key != "backend" and dict.__getitem__(mpl.rcParams, key) != default
    }
    with mpl.rc_context({**defaults, **RC}), np.errstate(all="ignore"):
        yield


# Layout


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The space around and between panels, in inches."""

    left: float = 0.75
    right: float = 0.2
    bottom: float = 0.6
    top: float = 0.75
    between_columns: float = 0.45
    between_rows: float = 0.65


def arrangement(count: int) -> tuple[int, int]:
    """Return rows and columns for ``count`` panels: up to three in a row, four as 2 × 2, then rows of three or four."""
    if count <= 3:
        return 1, count
    columns = 2 if count == 4 else 3 if count <= 9 else 4
    return math.ceil(count / columns), columns


def panels(
    count: int, shape: tuple[int, int], width: float, height: float, margins: Margins, **sharing: Any
) -> tuple[DisplayFigure, list[Axes]]:
    """Return a figure with ``count`` panels of ``width`` × ``height`` inches, in rows and columns of ``shape``.

    Positions are computed here, because matplotlib's layout engines draw every figure twice.
    """
    rows, columns = shape
    total_width = margins.left + columns * width + (columns - 1) * margins.between_columns + margins.right
    total_height = margins.top + rows * height + (rows - 1) * margins.between_rows + margins.bottom
    figure = DisplayFigure(total_width, total_height)
    axes = list(figure.subplots(rows, columns, squeeze=False, **sharing).flat)
    figure.subplots_adjust(
        left=margins.left / total_width,
        right=1 - margins.right / total_width,
        bottom=margins.bottom / total_height,
        top=1 - margins.top / total_height,
        wspace=margins.between_columns / width,
        hspace=margins.between_rows / height,
    )
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def set_top(figure: Figure, top: float) -> None:
    """Change the space above the panels of a figure to ``top`` inches; the panels keep their size."""
    width, height = map(float, figure.get_size_inches())
    bottom, upper = figure.subplotpars.bottom * height, figure.subplotpars.top * height
    figure.set_size_inches(width, upper + top)
    figure.subplots_adjust(bottom=bottom / (upper + top), top=upper / (upper + top))


# Scales and ticks


def log_scale(panel: Axes, which: Literal["x", "y"] = "y") -> None:
    """Set a log scale with plain-text powers of ten; matplotlib's own labels are formulas, which cost 100 ms."""
    if which == "x":
        panel.set_xscale("log")
    else:
        panel.set_yscale("log")
    axis = panel.xaxis if which == "x" else panel.yaxis
    low, high = sorted(panel.get_xlim() if which == "x" else panel.get_ylim())
    if low > 0 and high < 30 * low:  # too few powers of ten
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_locator(NullLocator())


def symmetric_log_scale(panel: Axes) -> None:
    """Set a y-axis that is linear between −1 and 1 and logarithmic beyond."""
    panel.set_yscale("symlog", linthresh=1.0)
    locator = SymmetricalLogLocator(base=10, linthresh=1.0)
    locator.set_params(numticks=8)
    panel.yaxis.set_major_locator(locator)
    is_wide = max(np.abs(panel.get_ylim())) > 1e5  # the labels of ±1 would overlap that of 0
    panel.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "" if is_wide and abs(value) == 1 else power_of_ten(value))
    )


def plain_ticks(panel: Axes, *, whole_x: bool = False) -> None:
    """Label ticks without offsets and factors; ``whole_x`` allows only whole numbers, for iterations."""
    panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=whole_x, steps=TICK_STEPS))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=TICK_STEPS))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def plain_number(value: float) -> str:
    """Format a number in at most eight characters."""
    digits = 6 if 1e-3 <= abs(value) < 1e5 else 3
    return f"{value:.{digits}g}".replace("-", "−").replace("e+0", "e").replace("e+", "e").replace("e−0", "e−")


def power_of_ten(value: float) -> str:
    """Format ``10⁻³``, ``−10²`` or 0; return nothing for other numbers."""
    if value == 0:
        return "0"
    exponent = math.log10(abs(value))
    if abs(exponent - round(exponent)) > 1e-6:
        return ""
    return f"{'−' if value < 0 else ''}10{str(round(exponent)).translate(SUPERSCRIPTS)}"


# Text


def shortened(text: str, longest: int = MAX_LABEL) -> str:
    """Return text of unknown origin with control characters escaped and, if it is long, without its middle."""
    line = printable(text)
    if len(line) <= longest:
        return line
    end = longest // 3
    return f"{line[: longest - end - 1].rstrip()}…{line[-end:].lstrip()}"


def join(*remarks: str) -> str:
    """Join the remarks that are not empty."""
    return "; ".join(filter(None, remarks))


def fitting_size(text: str, inches: float, size: float) -> float:
    """Return the font size at which a line of bold text fits, at most ``size``."""
    return min(size, inches / (len(text) or 1) / EM)


def panel_width(panel: Axes) -> float:
    """Return the width of a panel in inches."""
    dots: float = panel.get_window_extent().width
    return dots / DPI


def headline(figure: Figure, title: str, remark: str = "") -> None:
    """Write the title of a figure at its upper left and a remark below it, in a smaller font if they are long."""
    width, height = figure.get_size_inches()
    for text, y, size, weight, shade in ((title, 0.1, 12, "bold", "black"), (remark, 0.34, 9, "normal", GRAY)):
        line = shortened(text, 250)
        fitting = fitting_size(line, width - 0.3, size)
        place = (0.15 / width, 1 - y / height)
        figure.text(*place, line, fontsize=fitting, fontweight=weight, color=shade, va="top")


def panel_title(panel: Axes, title: str, subtitle: str, *, color: str = "black", size: float = 10) -> None:
    """Write the title of a panel in bold, and a line below it."""
    panel.set_title(shortened(title), loc="left", fontsize=size, fontweight="bold", color=color, pad=19)
    line = shortened(subtitle, 120)
    size = fitting_size(line, panel_width(panel) + 0.3, 8.5)
    panel.annotate(
        line, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=size, color=GRAY
    )


def bottom_legend(figure: Figure, handles: Sequence[Artist], **options: Any) -> None:
    """Explain markers or patches in a row at the bottom of a figure."""
    figure.legend(
        handles=list(handles), loc="lower center", ncols=len(handles), fontsize=9, borderaxespad=0.3, **options
    )


def marker_legend(figure: Figure, kinds: Sequence[tuple[str, Style]]) -> None:
    """Explain the markers at the bottom of a figure."""
    handles = [Line2D([], [], label=label, **style) for label, style in kinds]
    bottom_legend(figure, handles, handletextpad=0.2, columnspacing=1.5)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The title, remark and legend of a figure of curves, laid out before the figure exists.

    Attributes
    ----------
    columns
        The columns of panels, which determine how wide the legend may be.
    """

    title: str
    remark: str
    curves: Sequence[CurveStyle]
    columns: int

    @property
    def font_size(self) -> float:
        """The font size of the legend."""
        return 9 if len(self.curves) <= 6 else 7.5

    @property
    def legend_columns(self) -> int:
        """As many legend entries side by side as fit, in rows of similar length."""
        width = 7.2 if self.columns == 1 else 4.2 * self.columns
        longest = max(len(shortened(curve.label)) for curve in self.curves)
        fitting = max(1, min(len(self.curves), int(width / (0.6 + EM * self.font_size * longest))))
        rows = -(-len(self.curves) // fitting)
        return -(-len(self.curves) // rows)

    @property
    def height(self) -> float:
        """The height of title, remark and legend in inches."""
        rows = -(-len(self.curves) // self.legend_columns)
        return self._legend_top + 0.1 + 0.021 * self.font_size * 1.1 * rows

    @property
    def _legend_top(self) -> float:
        return 0.55 if self.remark else 0.38

    def draw(self, figure: Figure) -> None:
        """Write title, remark and legend at the top of a figure."""
        headline(figure, self.title, self.remark)
        figure.legend(
            handles=[Line2D([], [], label=shortened(curve.label), **curve.line) for curve in self.curves],
            loc="upper left",
            bbox_to_anchor=(0.05 / figure.get_figwidth(), 1 - self._legend_top / figure.get_figheight()),
            ncols=self.legend_columns,
            fontsize=self.font_size,
            borderaxespad=0.2,
        )


def color_bar(figure: Figure, image: Any, label: str, *, bottom: float, top: float) -> None:
    """Draw the scale of colours in the right margin, between ``bottom`` and ``top`` inches from the edges."""
    width, height = figure.get_size_inches()
    place = figure.add_axes((1 - 1.1 / width, bottom / height, 0.18 / width, 1 - (bottom + top) / height))
    figure.colorbar(image, cax=place).set_label(label)
    if image.norm.__class__.__name__ == "LogNorm":
        log_scale(place)
