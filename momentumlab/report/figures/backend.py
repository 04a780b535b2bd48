"""Figures drawn with Agg, without pyplot and regardless of ``MPLBACKEND``.

matplotlib fails to import if it does not know the backend that ``MPLBACKEND`` names, such as a notebook's backend in a
process started from that notebook. Hence this module must be the first one that imports matplotlib.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any

_was_imported = "matplotlib" in sys.modules
_requested = os.environ.pop("MPLBACKEND", "")
try:
    import matplotlib as mpl
finally:
    if _requested:
        os.environ["MPLBACKEND"] = _requested
if _requested and not _was_imported:
    # The user's own figures keep the requested backend, if matplotlib knows it.
    with contextlib.suppress(ValueError):
        mpl.rcParams["backend"] = _requested

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

DPI = 150
"""Dots per inch of all figures."""

SCREEN_DPI = 96
"""CSS pixels per inch."""


class DisplayFigure(Figure):
    """A figure that notebooks show although pyplot does not know it, and that is laid out again if its size changes."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(self)
        self.lay_out: Callable[[], None] | None = None
        self.laid_out_size = (width, height)

    def draw(self, renderer: Any) -> None:
        """Draw the figure; matplotlib's layout engines would do so twice."""
        width, height = map(float, self.get_size_inches())
        if self.lay_out is not None and (width, height) != self.laid_out_size:
            self.laid_out_size = (width, height)
            self.lay_out()
        super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The figure as PNG, and its size on the screen in CSS pixels."""
        file = io.BytesIO()
        self.canvas.print_figure(file, dpi=DPI, format="png")
        width, height = (round(float(inches) * SCREEN_DPI) for inches in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}
