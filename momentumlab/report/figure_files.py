"""The figures of a run folder: functions that draw them, by file name without its extension."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.reports import ComparisonReport, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawings = Mapping[str, Callable[[], "Figure"]]


def run_drawings(report: Report, options: FigureOptions) -> Drawings:
    """Return the figures of a run with its trajectories."""
    from momentumlab.report import figures

    drawn = {
        "training": figures.training_figure,
        "trajectory": figures.trajectory_figure,
        "velocity": figures.velocity_figure,
        "loss": figures.loss_figure,
    }
    if report.experiment.record:
        drawn["quantities"] = figures.quantity_figure
    if report.experiment.first_surface.is_formula:
        del drawn["training"]
    return {name: partial(draw, report, options) for name, draw in drawn.items()}


def sweep_drawings(report: Report, options: FigureOptions) -> Drawings:
    """Return the maps of a sweep and the recorded trajectories."""
    from momentumlab.report import figures

    maps = figures.map_figures(report, options)
    if report.recorded is None:
        return maps
    drawn: dict[str, Callable[..., Figure]] = {"trajectory": figures.trajectory_figure}
    if report.experiment.record:
        drawn["quantities"] = figures.quantity_figure
    return {**maps, **{name: partial(draw, report.recorded, options) for name, draw in drawn.items()}}


def comparison_drawings(report: ComparisonReport, options: FigureOptions) -> Drawings:
    """Return the figures of a comparison."""
    from momentumlab.report import figures

    drawings: dict[str, Callable[[], Figure]] = {}
    suffixes = file_suffixes([each.experiment.surface.name for each in report.reports])
    for number, (each, suffix) in enumerate(zip(report.reports, suffixes, strict=True)):
        drawings[f"trajectory{suffix}"] = partial(figures.comparison_trajectory_figure, report, number, options)
        drawings[f"velocity{suffix}"] = partial(figures.comparison_velocity_figure, report, number, options)
        drawings[f"loss{suffix}"] = partial(figures.comparison_loss_figure, report, number, options)
        if each.experiment.record:
            drawings[f"quantities{suffix}"] = partial(figures.comparison_quantity_figure, report, number, options)
    if report.result.searched_planes or (report.result.searched_lr and not report.result.searched_rates):
        drawings["search"] = partial(figures.search_figure, report, options)
    if report.result.searched_rates:
        drawings["sensitivity"] = partial(figures.sensitivity_figure, report, options)
    if report.result.costs.shape[1] > 1:
        drawings["profiles"] = partial(figures.profile_figure, report, options)
    return drawings


def file_suffixes(surfaces: list[str]) -> list[str]:
    """Return the suffix of the file names of each surface; empty if there is only one surface."""
    if len(surfaces) == 1:
        return [""]
    names = [re.sub(r"\W+", "-", surface).strip("-")[:40] for surface in surfaces]
    return [f"-{name}" if names.count(name) == 1 else f"-{name}-{i + 1}" for i, name in enumerate(names)]
