"""The look of all figures: colours, markers, scales, ticks and text."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, SymmetricalLogLocator

from momentumlab.errors import printable
from momentumlab.report.figure_options import FigureError, FigureOptions
from momentumlab.report.figures.backend import DPI

Style = dict[str, Any]
"""Keyword arguments of a matplotlib line."""

MAX_SHOWN = 12
"""Figures show at most this many trials, settings, optimizers or maps."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito without its yellow: distinguishable with any kind of colour vision."""

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (1.2, 1)))
"""Solid, and four dash patterns for further rounds of the palette."""

ORDER_COLORS = LinearSegmentedColormap.from_list("order", ["#1b2a78", "#7a1fa2", "#c8325f", "#ee7b2e"])
"""Colours for an ordered setting, from small to large values; lightness gives the order, and all suit lines."""

HEIGHT_COLORS = LinearSegmentedColormap.from_list("height", ["#fffdf5", "#e9eef2", "#c3d0da", "#8fa5b8"])
"""Heights of a surface: pale, so that trajectories stand out."""

VALUE_COLORS = LinearSegmentedColormap.from_list(
    "value", ["#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154"]
)
"""Viridis reversed: the best values are the brightest, and lightness gives the order."""

CONTOUR_COLOR = "#70879b"
GRAY = "#444444"

RC: Any = {
    "axes.titlesize": "medium",
    "axes.labelsize": "medium",
    "axes.titley": 1.0,  # otherwise matplotlib measures all tick labels to place a title
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
END: Style = {"marker": "D", "markeredgecolor": "black", "markersize": 4, "markeredgewidth": 0.7, "linestyle": "none"}
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

MAX_LABEL = 80
"""Longer labels are shortened in the middle."""


@dataclass(frozen=True, kw_only=True)
class CurveStyle:
    """The legend entry, colour and dashes of a curve."""

    label: str
    color: str
    line_style: Any = "-"

    @property
    def line(self) -> Style:
        """Keyword arguments for matplotlib."""
        return {"color": self.color, "linestyle": self.line_style, "linewidth": 1.5 * scale()}


def color(index: int) -> str:
    """Return colour number ``index`` of the palette, which repeats."""
    return COLORS[index % len(COLORS)]


def ordered_colors(count: int) -> list[str]:
    """Return colours for ``count`` increasing values."""
    return [to_hex(ORDER_COLORS(share)) for share in np.linspace(0, 1, count)]


@contextmanager
def styled(options: FigureOptions) -> Iterator[None]:
    """Create artists with our rcParams and those of the options, and without floating-point warnings."""
    # Through dict, because reading the backend from rcParams would load pyplot.
    defaults: dict[Any, Any] = {
        key: default
        for key, default in dict.items(mpl.rcParamsDefault)
        if key != "backend" and dict.__getitem__(mpl.rcParams, key) != default
    }
    settings = {**defaults, **RC, "font.size": options.points, **_own_style(options)}
    with mpl.rc_context(settings), np.errstate(all="ignore"):
        yield


def _own_style(options: FigureOptions) -> dict[Any, Any]:
    """Return the rcParams of the user's style; its font size yields to an explicit one."""
    if options.style is None:
        return {}
    own: dict[Any, Any]
    if isinstance(options.style, Mapping):
        own = dict(options.style)
    else:
        options.check(0 if not options.trials else max(options.trials) + 1)
        own = dict(mpl.rc_params_from_file(options.style, use_default_template=False))
    own.pop("backend", None)
    if options.font_size is not None:
        own.pop("font.size", None)
    return own


def scale() -> float:
    """Return the font size relative to the size for which lengths in inches are given."""
    return float(mpl.rcParams["font.size"]) / 10


# Scales and ticks


def log_scale(panel: Axes, which: Literal["x", "y"] = "y") -> None:
    """Set a log scale with plain-text powers of ten; matplotlib's own labels are formulas, which cost 100 ms."""
    if which == "x":
        panel.set_xscale("log")
    else:
        panel.set_yscale("log")
    axis = panel.xaxis if which == "x" else panel.yaxis
    low, high = sorted(panel.get_xlim() if which == "x" else panel.get_ylim())
    if low > 0 and math.floor(math.log10(high)) - math.ceil(math.log10(low)) < 2:  # at most two powers of ten
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
    panel.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=TICK_STEPS))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def plain_number(value: float, digits: int = 6) -> str:
    """Format a number in at most eight characters."""
    digits = digits if 1e-3 <= abs(value) < 1e5 else min(digits, 3)
    return f"{value:.{digits}g}".replace("-", "−").replace("e+0", "e").replace("e+", "e").replace("e−0", "e−")


def power_of_ten(value: float) -> str:
    """Format ``10⁻³``, ``−10²`` or 0; return nothing for other numbers."""
    if value == 0:
        return "0"
    exponent = math.log10(abs(value))
    if abs(exponent - round(exponent)) > 1e-6:
        return ""
    return f"{'−' if value < 0 else ''}10{str(round(exponent)).translate(SUPERSCRIPTS)}"


def complement_ticks(largest: float) -> tuple[list[float], list[str]]:
    """Return ticks for values below 1, drawn at −log₁₀(1 − value), and their text; ``largest`` is the last position."""
    shares = [0, 0.5, *(1 - 10.0**-power for power in range(1, math.ceil(largest) + 1))]
    ticks = [share for share in shares if -math.log10(1 - share) <= largest + 0.1]
    return [-math.log10(1 - share) for share in ticks], [f"{share:.6g}" for share in ticks]


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


def coordinate_name(coordinate: int, dimension: int) -> str:
    """Return x and y, or x₁, x₂, … in more than two dimensions."""
    if dimension <= 2:
        return "xy"[coordinate]
    return f"x{str(coordinate + 1).translate(SUBSCRIPTS)}"


def plain_sequence(labels: Sequence[str]) -> list[CurveStyle]:
    """Return a style for each label: colours of the palette, then dashes."""
    return [
        CurveStyle(label=label, color=color(i), line_style=LINE_STYLES[i // len(COLORS) % len(LINE_STYLES)])
        for i, label in enumerate(labels)
    ]


def listed_styles(options: FigureOptions, labels: Sequence[str]) -> list[CurveStyle]:
    """Return a style for each setting in the order in which settings were given, with the labels of the options.

    Raises
    ------
    FigureError
        If the options have another number of labels.
    """
    if options.labels and len(options.labels) != len(labels):
        raise FigureError(f"{len(options.labels)} labels are given for {len(labels)} curves")
    colors = ordered_colors(len(labels)) if len(labels) > 1 else [COLORS[0]]
    pairs = zip(options.labels or labels, colors, strict=True)
    return [CurveStyle(label=label, color=color) for label, color in pairs]
