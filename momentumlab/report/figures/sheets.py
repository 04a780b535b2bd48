"""Sheets: the panels of a figure, with the title, remark, legends and colour bar around them, placed in inches."""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from momentumlab.report.figure_options import FigureError, FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.backend import DisplayFigure
from momentumlab.report.figures.style import CurveStyle, Style
from momentumlab.surfaces.base import Intervals

BOLD, PLAIN = 0.0085, 0.0078
"""Average width of a character, in inches per point of font size."""

LINE = 1.32 / 72
"""Height of a line, in inches per point of font size."""

EDGE = 0.12
"""Between text and the edges of a figure, in inches."""

LEAST_PANELS = 0.35
"""Margins shrink rather than leave less than this share of the width or height to panels."""

Axeses = Axes | Sequence[Axes] | None
"""The axes that a user provides: one, or one per panel."""

ITALIC: Style = {"fontfamily": "DejaVu Serif", "fontstyle": "italic"}
"""For formulas in Unicode. matplotlib's own formulas take a sixth of a second, as much as all other text of a run."""


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The space around and between panels, in inches at a font size of ten points."""

    left: float = 0.75
    right: float = 0.2
    bottom: float = 0.6
    top: float = 0.12
    between_columns: float = 0.45
    between_rows: float = 0.65


@dataclass(kw_only=True)
class PanelTitle:
    """The title above a panel, and a smaller line below it."""

    panel: Axes
    title: str
    subtitle: str = ""
    color: str = "black"
    artists: list[Text] = field(default_factory=list)


@dataclass(kw_only=True)
class Sheet:
    """The panels of a figure and everything around them.

    Attributes
    ----------
    figure, panels
        What is drawn on.
    shape
        Rows and columns of panels.
    panel_size
        Preferred width and height of a panel in inches.
    title, formula, remark
        The lines at the top of the figure.
    curves
        Entries of the legend below them.
    handles
        Entries of a legend at the bottom.
    titles
        The titles of panels.
    strips
        Wide panels below the others.
    bar
        The axes of a colour bar.
    units
        The window of the panels, if their axes have the same unit: the legend at the bottom says how far one of them is
        stretched.
    """

    figure: Figure
    panels: list[Axes]
    shape: tuple[int, int]
    panel_size: tuple[float, float]
    margins: Margins
    options: FigureOptions
    title: str = ""
    formula: str = ""
    remark: str = ""
    curves: Sequence[CurveStyle] = ()
    handles: Sequence[Artist] = ()
    titles: list[PanelTitle] = field(default_factory=list)
    strips: list[Axes] = field(default_factory=list)
    strip_size: tuple[float, float] = (0.85, 1.55)
    bar: Axes | None = None
    units: Intervals | None = None
    owns_figure: bool = True
    written: list[Artist] = field(default_factory=list)

    def add_title(self, panel: Axes, title: str, subtitle: str = "", *, color: str = "black") -> None:
        """Write a title above a panel."""
        self.titles.append(PanelTitle(panel=panel, title=title, subtitle=subtitle, color=color))

    def add_strip(self) -> Axes:
        """Return a new panel below all others, as wide as the figure."""
        strip = self.figure.add_axes((0.1, 0.1, 0.8, 0.1))
        self.strips.append(strip)
        return strip

    def add_color_bar(self, image: Any, label: str) -> None:
        """Draw the scale of colours in the right margin."""
        if self.owns_figure:
            self.bar = self.figure.add_axes((0.9, 0.1, 0.02, 0.8))
            self.figure.colorbar(image, cax=self.bar).set_label(label)
        else:
            self.bar = self.figure.colorbar(image, ax=self.panels, label=label).ax
        if type(image.norm).__name__ == "LogNorm":
            style.log_scale(self.bar)

    def add_markers(self, kinds: Sequence[tuple[str, Style]]) -> None:
        """Explain markers at the bottom of the figure."""
        self.handles = [*self.handles, *(Line2D([], [], label=label, **marker) for label, marker in kinds)]

    def finish(self) -> None:
        """Write titles and legends, and place everything."""
        if not self.owns_figure:
            self._finish_axes()
            return
        assert isinstance(self.figure, DisplayFigure)
        figure, (rows, columns), (width, height) = self.figure, self.shape, self.panel_size
        margins = self._scaled_margins()
        total_width = margins.left + columns * width + (columns - 1) * margins.between_columns + margins.right
        # The width determines how titles and legends wrap, and with them the height of the head and of the figure.
        figure.set_size_inches(*(self.options.inches or (total_width, 1.0)))
        head = self._write_head()
        if self.options.inches is None:
            panels = rows * height + (rows - 1) * margins.between_rows
            figure.set_size_inches(total_width, head + margins.top + panels + margins.bottom)
        self._place(head)
        figure.laid_out_size = tuple(map(float, figure.get_size_inches()))  # type: ignore[assignment]
        figure.lay_out = self._lay_out_again

    def _lay_out_again(self) -> None:
        with style.styled(self.options):
            self._place(self._write_head())

    def _finish_axes(self) -> None:
        """Write into the axes of the user: a title if there is one panel, and a legend if there are several curves."""
        if len(self.panels) == 1 and not self.titles:
            title = self.title if self.options.title is None else self.options.title
            self.panels[0].set_title(style.shortened(title), loc="left")
        for each in self.titles:
            each.panel.set_title(style.shortened(each.title), loc="left", color=each.color)
        if len(self.curves) > 1:
            self.panels[0].legend(handles=self._curve_handles(), fontsize=self._points(8))

    def _points(self, size: float) -> float:
        return size * style.scale()

    def _scaled_margins(self) -> Margins:
        """Return the margins at the font size of the figure, with room for strips."""
        margins, factor = self.margins, style.scale()
        room = 0.12 + self.strip_size[1] * len(self.strips) if self.strips else 0.0
        scaled = {name: factor * getattr(margins, name) for name in Margins.__dataclass_fields__}
        return replace(margins, **{**scaled, "bottom": factor * (margins.bottom + room)})

    def _place(self, head: float) -> None:
        """Place panels, strips, colour bar and panel titles below a head of the given height in inches."""
        figure, (rows, columns), margins = self.figure, self.shape, self._scaled_margins()
        width, height = map(float, figure.get_size_inches())
        head += margins.top
        # On small figures margins shrink by the factors x and y, so that panels keep a share of each side.
        across = margins.left + margins.right + (columns - 1) * margins.between_columns
        down = head + margins.bottom + (rows - 1) * margins.between_rows
        x = min(1.0, (1 - LEAST_PANELS) * width / (across or 1))
        y = min(1.0, (1 - LEAST_PANELS) * height / (down or 1))
        panel_width, panel_height = (width - x * across) / columns, (height - y * down) / rows
        figure.subplots_adjust(
            left=x * margins.left / width,
            right=1 - x * margins.right / width,
            bottom=y * margins.bottom / height,
            top=1 - y * head / height,
            wspace=x * margins.between_columns / panel_width,
            hspace=y * margins.between_rows / panel_height,
        )
        if self.bar is not None:
            factor = style.scale()
            place = (1 - x * 1.1 * factor / width, y * margins.bottom / height, 0.18 / width)
            self.bar.set_position((*place, 1 - y * (margins.bottom + head) / height))
        strip, pitch = (style.scale() * size for size in self.strip_size)
        for row, panel in enumerate(reversed(self.strips)):
            low = y * (style.scale() * self.margins.bottom + row * pitch) / height
            left = x * margins.left / width
            panel.set_position((left, low, 1 - left - x * margins.right / width, y * strip / height))
        self._fit_axes(panel_width, panel_height + 2 * y * min(margins.bottom, margins.top))
        self._write_panel_titles(panel_width)
        self._write_bottom_legend(width, panel_width, panel_height)

    def _fit_axes(self, panel_width: float, label_room: float) -> None:
        """Use as many ticks as panels have room for, and wrap labels or shrink their font if they are longer."""
        size = font_manager.FontProperties(size=mpl.rcParams["axes.labelsize"]).get_size_in_points()
        for panel in self.panels:
            locator = panel.xaxis.get_major_locator()
            if isinstance(locator, MaxNLocator):
                locator.set_params(nbins=max(2, min(6, int(panel_width / (0.5 * style.scale())))))
            for axis, room in ((panel.xaxis, panel_width + 0.4), (panel.yaxis, label_room)):
                text = axis.label.get_text().replace("\n", " ")
                if len(text) * PLAIN * size > room:
                    text = "\n".join(textwrap.wrap(text, math.ceil(len(text) / 2) + 3))
                longest = max(map(len, text.split("\n")))
                axis.label.set_text(text)
                axis.label.set_fontsize(min(size, room / (max(longest, 1) * PLAIN)))

    def _write_bottom_legend(self, width: float, panel_width: float, panel_height: float) -> None:
        """Draw the legend of markers and patches, with a note on the stretching of comparable axes."""
        handles = [*self.handles]
        if self.units is not None:
            (left, right), (bottom, top) = self.units
            ratio = (panel_height / (top - bottom)) / (panel_width / (right - left))
            names = ("vertical", "horizontal") if ratio >= 1 else ("horizontal", "vertical")
            if max(ratio, 1 / ratio) > 1.05:
                text = f"{names[0]} axis stretched {max(ratio, 1 / ratio):.2g} ×"
                handles.append(Line2D([], [], linestyle="none", label=text))
        if handles:
            characters = sum(len(str(handle.get_label())) for handle in handles)
            fitting = width / (style.scale() * (PLAIN * 9 * characters + 0.5 * len(handles)))
            options: Style = {"handletextpad": 0.3, "columnspacing": 1.5, "borderaxespad": 0.3}
            size = self._points(9) * min(1.0, fitting)
            legend = self.figure.legend(
                handles=handles, loc="lower center", ncols=len(handles), fontsize=size, **options
            )
            self.written.append(legend)

    def _write_head(self) -> float:
        """Write title, formula, remark and legend for the present width of the figure; return their height."""
        for artist in self.written:  # when the size has changed, everything is written again
            artist.remove()
        self.written.clear()
        figure = self.figure
        width = figure.get_figwidth()
        room = width - 2 * EDGE
        given = self.options.title
        title, is_math = (self.title, False) if given is None else (given, given.count("$") >= 2)
        lines: list[tuple[str, float, Style]] = []  # text, font size, font
        if title:
            text = style.shortened(title, 250)
            size = max(self._points(9.5), min(self._points(12), room / (len(text) * BOLD)))
            wrapped = [text] if is_math else _broken(text, max(10, int(room / (BOLD * size))))
            lines += [(line, size, {"fontweight": "bold", "parse_math": is_math}) for line in wrapped]
        if self.formula and given is None and len(self.formula) * PLAIN * self._points(10) < room:
            lines.append((self.formula, self._points(10), ITALIC))
        if self.remark and given != "":
            text = style.shortened(self.remark, 400)
            size = self._points(9 if len(text) * PLAIN * self._points(9) < 2 * room else 7.5)
            lines += [(line, size, {"color": style.GRAY}) for line in _broken(text, int(room / (PLAIN * size)))]
        top = EDGE * 0.8
        for line, size, font in lines:
            self.written.append(figure.text(EDGE, -top, line, fontsize=size, va="top", **font, **self._from_corner))
            top += LINE * size
        if self.curves:
            rows, size = self._write_legend(top, width)
            top += 0.06 + 0.021 * size * 1.1 * rows
        return top + 0.05

    @property
    def _from_corner(self) -> Style:
        """Places texts in inches from the upper left corner, whatever the height of the figure."""
        upper_left: Any = self.figure.transFigure
        corner = ScaledTranslation(0, 1, upper_left)
        return {"transform": self.figure.dpi_scale_trans + corner}

    def _write_legend(self, top: float, width: float) -> tuple[int, float]:
        """Write the legend of curves in rows of similar length; return the number of rows and the font size."""
        size = self._points(9 if len(self.curves) <= 6 else 7.5)
        longest = max(len(style.shortened(curve.label)) for curve in self.curves)
        fitting = max(1, min(len(self.curves), int((width - EDGE) / (0.6 * style.scale() + BOLD * size * longest))))
        rows = math.ceil(len(self.curves) / fitting)
        legend = self.figure.legend(
            handles=self._curve_handles(),
            loc="upper left",
            bbox_to_anchor=(0.05, -top - 0.02),
            bbox_transform=self._from_corner["transform"],
            ncols=math.ceil(len(self.curves) / rows),
            fontsize=size,
            borderaxespad=0.2,
        )
        self.written.append(legend)
        return rows, size

    def _curve_handles(self) -> list[Line2D]:
        return [Line2D([], [], label=style.shortened(curve.label), **curve.line) for curve in self.curves]

    def _write_panel_titles(self, panel_width: float) -> None:
        """Write the titles of panels, all in the largest font in which each of them fits."""
        if not self.titles:
            return
        names = [style.shortened(each.title) for each in self.titles]
        size = min(self._points(10), *(panel_width / (len(name) or 1) / BOLD for name in names))
        for each, name in zip(self.titles, names, strict=True):
            line = style.shortened(each.subtitle, 120)
            smaller = min(self._points(8.5), panel_width / (len(line) or 1) / PLAIN)
            if not each.artists:
                # All titles of a figure have the same height, whether or not there is a line below.
                lift = 8.5 * 1.32 * style.scale() if any(other.subtitle for other in self.titles) else 0.0
                bold: Style = {"color": each.color, "fontweight": "bold", "pad": 6 + lift}
                place: Style = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline"}
                each.artists.append(each.panel.set_title(name, loc="left", **bold))
                each.artists.append(each.panel.annotate(line, (0, 1), (0, 5), color=style.GRAY, **place))
            each.artists[0].set_fontsize(size)
            each.artists[1].set_fontsize(smaller)


def _broken(text: str, width: int) -> list[str]:
    """Wrap a text. If it takes two lines, break it between clauses or, failing that, into lines of similar length."""
    lines = textwrap.wrap(text, width)
    if len(lines) != 2:
        return lines
    for mark in (";", ",", ":"):
        ends = [match.end() for match in re.finditer(f"{mark} (?![^(]*\\))", text)]
        pairs = [[text[: end - 1], text[end:]] for end in ends]
        shortest = 0.3 * len(text)
        if fitting := [pair for pair in pairs if max(map(len, pair)) <= width and min(map(len, pair)) >= shortest]:
            return min(fitting, key=lambda pair: max(map(len, pair)))
    even = textwrap.wrap(text, math.ceil(0.55 * len(text)))
    return even if len(even) == 2 else lines


def arrangement(count: int, columns: int | None = None) -> tuple[int, int]:
    """Return rows and columns for ``count`` panels: up to three in a row, four as 2 × 2, then rows of three or four."""
    if columns is None:
        columns = count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4
    columns = min(columns, count)
    return math.ceil(count / columns), columns


@contextmanager
def sheet(
    count: int,
    panel_size: tuple[float, float],
    options: FigureOptions,
    *,
    ax: Axeses = None,
    shape: tuple[int, int] | None = None,
    margins: Margins | None = None,
    sharex: bool = False,
    sharey: bool = False,
    **texts: Any,
) -> Iterator[Sheet]:
    """Provide a sheet with ``count`` panels, which is finished at the end of the ``with`` block.

    Parameters
    ----------
    count
        Number of panels.
    panel_size
        Width and height of each, in inches.
    options
        Options of the figure.
    ax
        Axes of the user to draw on, instead of a new figure.
    shape
        Rows and columns; by default those of `arrangement`.
    margins
        Space around the panels.
    sharex, sharey
        Whether all panels have the same window.
    **texts
        Title, remark and legend, as in `Sheet`.

    Raises
    ------
    ValueError
        If the number of given axes is not that of the panels.
    """
    shape = shape or arrangement(count, options.columns)
    with style.styled(options):
        figure: Any
        if ax is None:
            margins_used = margins or Margins()
            # The width decides how tick labels are wrapped; the height is known when all text is.
            width = margins_used.left + shape[1] * (panel_size[0] + margins_used.between_columns) + margins_used.right
            figure = DisplayFigure(*(options.inches or (width, shape[0] * (panel_size[1] + 1.0))))
            axes = list(figure.subplots(*shape, squeeze=False, sharex=sharex, sharey=sharey).flat)
            for unused in axes[count:]:
                unused.remove()
        else:
            axes = list(np.ravel(np.array(ax, dtype=object)))
            if len(axes) != count:
                raise FigureError(f"ax: this figure has {count} panels, but {len(axes)} axes are given")
            figure = axes[0].figure
        one = Sheet(
            figure=figure,
            panels=axes[:count],
            shape=shape,
            panel_size=panel_size,
            margins=margins or Margins(),
            options=options,
            owns_figure=ax is None,
            **texts,
        )
        yield one
        one.finish()
