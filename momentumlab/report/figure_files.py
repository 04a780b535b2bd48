"""The figures of a run folder: functions that draw them, by file name without its extension."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from momentumlab.report.reports import ComparisonReport, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from momentumlab.surfaces.base import Intervals

Drawings = Mapping[str, Callable[[], "Figure"]]


def run_drawings(report: Report, *, theory: bool = False, view: "Intervals | None" = None) -> Drawings:
    """Return the figures of a run.

    Parameters
    ----------
    report
        The run, with its trajectories.
    theory
        Whether figures show what theory predicts.
    view
        Window of the trajectory figure, an interval per coordinate; by default one that holds the trajectories.
    """
    from momentumlab.report import figures

    has_data = not report.experiment.first_surface.is_formula
    training = {"training": partial(figures.training_figure, report)} if has_data else {}
    return {
        **training,
        "trajectory": partial(figures.trajectory_figure, report, view=view),
        "velocity": partial(figures.velocity_figure, report, theory=theory),
        "loss": partial(figures.loss_figure, report, theory=theory),
    }


def sweep_drawings(report: Report, *, theory: bool = False, view: "Intervals | None" = None) -> Drawings:
    """Return the maps of a sweep, and the trajectories that were kept; parameters are those of `run_drawings`."""
    from momentumlab.report import figures

    maps = figures.map_figures(report, theory=theory)
    if report.recorded is None:
        return maps
    return {**maps, "trajectory": partial(figures.trajectory_figure, report.recorded, view=view)}


def comparison_drawings(report: ComparisonReport, *, view: "Intervals | None" = None) -> Drawings:
    """Return the figures of a comparison; parameters are those of `run_drawings`."""
    from momentumlab.report import figures

    drawings: dict[str, Callable[[], Figure]] = {}
    for number, suffix in enumerate(file_suffixes([each.experiment.surface.name for each in report.reports])):
        drawings[f"trajectory{suffix}"] = partial(figures.comparison_trajectory_figure, report, number, view=view)
        drawings[f"velocity{suffix}"] = partial(figures.comparison_velocity_figure, report, number)
        drawings[f"loss{suffix}"] = partial(figures.comparison_loss_figure, report, number)
    if report.result.searched_planes or (report.result.searched_lr and not report.result.searched_rates):
        drawings["search"] = partial(figures.search_figure, report)
    if report.result.searched_rates:
        drawings["sensitivity"] = partial(figures.sensitivity_figure, report)
    if report.result.costs.shape[1] > 1:
        drawings["profiles"] = partial(figures.profile_figure, report)
    return drawings


def file_suffixes(surfaces: list[str]) -> list[str]:
    """Return what the file names of each surface end in; nothing if there is only one."""
    if len(surfaces) == 1:
        return [""]
    names = [re.sub(r"\W+", "-", surface).strip("-")[:40] for surface in surfaces]
    return [f"-{name}" if names.count(name) == 1 else f"-{name}-{i + 1}" for i, name in enumerate(names)]
