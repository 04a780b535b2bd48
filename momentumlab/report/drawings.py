"""Which figures there are of what was run, by the names of their files; each is drawn when it is called."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from momentumlab.result import Result
from momentumlab.search.planes import planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from momentumlab.search import ComparisonResult
    from momentumlab.surfaces.base import Intervals

Drawings = Mapping[str, Callable[[], "Figure"]]


def run_drawings(result: Result, *, theory: bool = False, view: "Intervals | None" = None) -> Drawings:
    """The figures of a result whose paths were kept.

    Parameters
    ----------
    result
        What is drawn.
    theory
        Whether curves and maps show what theory says, too.
    view
        The window of the paths, an interval for each coordinate of the picture; else one that holds them.
    """
    training = {} if result.experiment.first_surface.is_formula else {"training": result.plot_training}
    return {
        **training,
        "trajectory": functools.partial(result.plot_trajectories, view=view),
        "velocity": functools.partial(result.plot_velocities, theory=theory),
        "loss": functools.partial(result.plot_losses, theory=theory),
    }


def sweep_drawings(
    result: Result, recorded: Result | None, *, theory: bool = False, view: "Intervals | None" = None
) -> Drawings:
    """The maps of a sweep, and the paths of its ``recorded`` trials; parameters are those of `run_drawings`."""
    from momentumlab.report.figures.maps import map_figures

    maps = map_figures(planes(result), theory=theory)
    if recorded is None:
        return maps
    return {**maps, "trajectory": functools.partial(recorded.plot_trajectories, view=view)}


def comparison_drawings(result: "ComparisonResult", *, view: "Intervals | None" = None) -> Drawings:
    """The figures of a comparison; parameters are those of `run_drawings`."""
    figures: dict[str, Callable[[], Figure]] = {}
    for i, ending in enumerate(endings(result)):
        figures[f"trajectory{ending}"] = functools.partial(result.plot_trajectories, i, view=view)
        figures[f"velocity{ending}"] = functools.partial(result.plot_velocities, i)
        figures[f"loss{ending}"] = functools.partial(result.plot_losses, i)
    if result.searched_planes:
        figures["search"] = result.plot_search
    if result.searched_rates:
        figures["sensitivity"] = result.plot_sensitivity
    if result.costs.shape[1] > 1:
        figures["profiles"] = result.plot_profiles
    return figures


def endings(result: "ComparisonResult") -> list[str]:
    """What the names of the files of each surface end in: nothing where there is one alone."""
    return surface_endings([match.experiment.surface.name for match in result.matches])


def surface_endings(surfaces: list[str]) -> list[str]:
    """The same, for surfaces of these names."""
    if len(surfaces) == 1:
        return [""]
    names = [re.sub(r"\W+", "-", surface).strip("-")[:40] for surface in surfaces]
    return [f"-{name}" if names.count(name) == 1 else f"-{name}-{i + 1}" for i, name in enumerate(names)]
