"""Maps over a grid of starts: which minimum each of them reaches."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.selection import join
from momentumlab.report.figures.sheets import UNFINISHED, draw_image, finish_maps, map_panels, sheets_of_all
from momentumlab.result import Result, Status
from momentumlab.search.planes import Plane


def has_basins(plane: Plane) -> bool:
    """Whether a plane is one over a grid of starts in two dimensions."""
    return sum(axis.name.startswith("start ") for axis in plane.axes) == 2


def basin_figure(every: Sequence[Plane]) -> Figure:
    """Which known minimum each start reaches, by colour, and how soon, by shade."""
    sheets, remark = sheets_of_all(every, over_starts=True)
    minima = known_minima(every[0].result)
    iterations = [sheet.cut(sheet.plane.iterations[:, 0].astype(np.float64)) for sheet in sheets]
    fastest = max(1.0, min(float(each.min()) for each in iterations))
    slowest = max(fastest + 1, *(float(np.quantile(each, 0.99)) for each in iterations))
    with style.styled():
        figure, panels = map_panels(sheets, with_bar=False)
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
            draw_image(panel, sheet, image)
            for number, minimum in enumerate(minima):
                panel.plot(*minimum, zorder=6, **{**style.MINIMUM, "markerfacecolor": style.color(number)})
        handles = [
            Patch(facecolor=style.color(number), label=f"({', '.join(f'{c:.3g}' for c in minimum)})")
            for number, minimum in enumerate(minima)
        ]
        told = "which minimum each start reaches; the darker, the later"
        finish_maps(
            figure, sheets, join(told, remark), unfinished="none", handles=handles,
            words=lambda sheet: f"{np.mean(sheet.cut(sheet.plane.basins()[:, 0]) >= 0):.1%} of starts reach a minimum",
        )  # fmt: skip
    return figure


def known_minima(result: Result) -> list[Array]:
    """The points of all known minima."""
    return [np.array(minimum.point) for minimum in result.experiment.shared_minima]
