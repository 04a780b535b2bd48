"""What theory says, drawn over the maps of a sweep."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from momentumlab.report.figures.sheets import Scale, Sheet
from momentumlab.search.planes import Plane
from momentumlab.theory import RatePlane, TheoryDoesNotApplyError, rate_plane


class Theories:
    """What theory says of each plane, computed once for all figures."""

    def __init__(self) -> None:
        self._said: dict[int, RatePlane | str] = {}

    def of(self, plane: Plane) -> RatePlane | str:
        """What there is to draw, or the reason why there is nothing."""
        if plane.first not in self._said:
            try:
                if plane.starts > 1 or any(axis.name.startswith("start") for axis in plane.axes):
                    raise TheoryDoesNotApplyError("starts differ from trial to trial")
                said: RatePlane | str = rate_plane(plane.result.plan, plane.trials.start, plane.trials.stop)
            except TheoryDoesNotApplyError as error:
                said = str(error)
            self._said[plane.first] = said
        return self._said[plane.first]


def draw_theory(panels: Sequence[Axes], sheets: Sequence[Sheet], theories: Theories) -> str:
    """The boundary of stability, the lines from which on a direction oscillates, the best rate; what is to be said."""
    remarks: dict[str, None] = {}
    for panel, sheet in zip(panels, sheets, strict=True):
        said = theories.of(sheet.plane)
        if isinstance(said, str):
            remarks[f"no theory: {said}"] = None
            continue
        x, y = Scale(sheet.x).positions, Scale(sheet.y).positions
        rates = sheet.cut(said.rates)
        panel.contour(x, y, rates, levels=[1.0], colors="#D55E00", linewidths=1.6)
        for number, discriminants in enumerate(said.discriminants.values()):
            line = "--" if number == 0 else ":"
            signed = sheet.cut(discriminants)
            if signed.min() < 0 < signed.max():
                panel.contour(x, y, signed, levels=[0.0], colors="black", linewidths=1.2, linestyles=line)
        row, column = np.unravel_index(rates.argmin(), rates.shape)
        panel.plot(x[[column]], y[[row]], marker="P", markersize=9, color="#D55E00", markeredgecolor="black", zorder=7)
        drawn = (
            "theory: orange, where it becomes unstable; dashed and dotted, where the flattest and steeper directions"
        )
        remarks[f"{drawn} begin to oscillate; orange cross, the best rate"] = None
    return "; ".join(remarks)
