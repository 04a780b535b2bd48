"""Options of figures, common to all commands that draw and all plotting methods."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from momentumlab.errors import MomentumLabError, os_reason

if TYPE_CHECKING:
    from momentumlab.surfaces.base import Intervals

MAX_INCHES = 50.0
DPI_RANGE = (20, 600)
FONT_SIZES = (4.0, 40.0)

SIZES = {"16:9": (8.0, 4.5), "4:3": (8.0, 6.0), "column": (3.3, 2.4)}
"""Width and height in inches, by name: two formats of slides, and a column of a paper."""

SMALL_FONTS = {"column": 7.0}
"""Font sizes of some sizes, in points; the others have `FONT_SIZE`."""

FONT_SIZE = 10.0


class FigureError(MomentumLabError, ValueError):
    """A figure cannot be drawn with these options."""

    exit_code = 2


class FigureSettings(TypedDict, total=False):
    """The keyword arguments of plotting methods, see `FigureOptions`."""

    theory: bool
    view: "Intervals | str | None"
    panels: Literal["each", "one"]
    equal: bool
    title: str | None
    size: str | tuple[float, float] | None
    font_size: float | None
    columns: int | None
    trials: tuple[int, ...] | list[int]
    labels: tuple[str, ...] | list[str]
    style: str | Path | Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """How figures are drawn and written.

    Attributes
    ----------
    theory
        Whether curves and maps show predictions.
    view
        The window of trajectories, an interval per coordinate, such as ``((-3, 3), (-1, 1))``; by default one that
        holds the trajectories. ``"overlay"`` means ``panels="one"``.
    panels
        ``"each"`` draws a panel for each trajectory, ``"one"`` draws all of them in the same panel.
    equal
        Whether a unit has the same length on both axes of trajectories.
    title
        Replaces the title; an empty text leaves title, formula and remarks out. Text between dollar signs is
        mathematics.
    size
        Width and height in inches, as numbers or ``"8x5"``, or a name of `SIZES`.
    font_size
        In points, from 4 to 40.
    columns
        Number of columns in which panels are arranged.
    trials
        Numbers of the trials that are drawn, counted from 0 as in ``summary.csv``; by default all, or some of many.
    labels
        Replace the names of the trials, in the order in which they are drawn.
    style
        A matplotlib style file, or rcParams.
    kinds
        The formats in which figures are written: ``png``, ``svg``, ``pdf``.
    dpi
        Dots per inch of a PNG, from 20 to 600; `None` for the default.

    Raises
    ------
    FigureError
        If a value is invalid.
    """

    theory: bool = False
    view: "Intervals | str | None" = None
    panels: Literal["each", "one"] = "each"
    equal: bool = False
    title: str | None = None
    size: str | tuple[float, float] | None = None
    font_size: float | None = None
    columns: int | None = None
    trials: tuple[int, ...] | list[int] = ()
    labels: tuple[str, ...] | list[str] = ()
    style: str | Path | Mapping[str, Any] | None = field(default=None, hash=False)
    kinds: tuple[str, ...] = ("png",)
    dpi: int | None = None

    def __post_init__(self) -> None:
        low, high = FONT_SIZES
        if self.font_size is not None and not low <= self.font_size <= high:
            raise FigureError(f"font size {self.font_size:g} is not between {low:g} and {high:g} points")
        if self.panels not in ("each", "one"):
            raise FigureError(f"unknown arrangement '{self.panels}' of panels; use 'each' or 'one'")
        if self.columns is not None and self.columns < 1:
            raise FigureError("the number of columns must be at least 1")
        _ = self.inches, self.window  # invalid texts raise

    def check(self, trials: int) -> None:
        """Raise `FigureError`, before anything is computed, unless the trials and the style file exist."""
        for number in self.trials:
            if not 0 <= number < trials:
                raise FigureError(f"there is no trial {number}: trials are numbered from 0 to {trials - 1}")
        if isinstance(self.style, (str, Path)):
            try:
                Path(self.style).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise FigureError(f"the style file {self.style} is not text") from None
            except OSError as error:
                raise FigureError(f"the style file {self.style} cannot be read: {os_reason(error)}") from None

    @property
    def inches(self) -> tuple[float, float] | None:
        """Width and height, if they are given."""
        if self.size is None or not isinstance(self.size, str):
            return None if self.size is None else _checked(*self.size, str(self.size))
        return size_of(self.size)

    @property
    def points(self) -> float:
        """The font size."""
        if self.font_size is not None:
            return self.font_size
        return SMALL_FONTS.get(self.size, FONT_SIZE) if isinstance(self.size, str) else FONT_SIZE

    @property
    def window(self) -> "Intervals | None":
        """The window of trajectories, if one is given."""
        if self.view is None or self.view == "overlay":
            return None
        return window_of(self.view) if isinstance(self.view, str) else self.view

    @property
    def is_overlay(self) -> bool:
        """Whether all trajectories share a panel."""
        return self.panels == "one" or self.view == "overlay"


# Parsers of option values; invalid values raise `FigureError`.


def size_of(text: str) -> tuple[float, float]:
    """Parse a size such as ``16:9``, ``4:3``, ``column`` or ``8x5``; return width and height in inches."""
    word = text.strip().lower().removesuffix("in").strip()
    if word in SIZES:
        return SIZES[word]
    try:
        width, height = (float(part) for part in word.replace("×", "x").split("x"))
    except ValueError:
        raise FigureError(f"'{text}' is not a size: write {', '.join(SIZES)}, or inches such as 8x5") from None
    return _checked(width, height, text)


def _checked(width: float, height: float, text: str) -> tuple[float, float]:
    if not (1 <= width <= MAX_INCHES and 1 <= height <= MAX_INCHES):
        raise FigureError(f"the size {text} is not between 1 and {MAX_INCHES:g} inches")
    return width, height


def named_size(text: str) -> str:
    """Return the text of a size, if it is one."""
    _ = size_of(text)
    return text.strip().lower()


def view_of(text: str) -> str:
    """Return the text of a view: a window or ``overlay``."""
    if text != "overlay":
        _ = window_of(text)
    return text


def window_of(text: str) -> "Intervals":
    """Parse a window such as ``-3,3,-1,1``: two numbers per coordinate of the figure."""
    try:
        numbers = [float(part) for part in text.split(",")]
        intervals = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if len(intervals) not in (1, 2) or not all(-1e100 < low < high < 1e100 for low, high in intervals):
            raise ValueError
    except ValueError:
        message = f"'{text}' is not a window: write low,high of each axis, such as -3,3,-1,1, or overlay"
        raise FigureError(message) from None
    return intervals


def numbers_of(text: str) -> tuple[int, ...]:
    """Parse trial numbers such as ``0,2,5``."""
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise FigureError(f"'{text}' is not a list of trial numbers such as 0,2,5")
    return tuple(int(word) for word in words)


def font_size_of(text: str) -> float:
    """Parse a font size in points."""
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    low, high = FONT_SIZES
    if not low <= size <= high:
        raise FigureError(f"'{text}' is not a font size from {low:g} to {high:g} points")
    return size
