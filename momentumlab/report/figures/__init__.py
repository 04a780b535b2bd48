"""Figures of a result. Importing this package loads matplotlib; nothing else does."""

from momentumlab.report.figures.contest import (
    contest_loss_figure,
    contest_trajectory_figure,
    contest_velocity_figure,
    profile_figure,
    search_figure,
    sensitivity_figure,
)
from momentumlab.report.figures.curves import loss_figure, velocity_figure
from momentumlab.report.figures.portrait import surface_figure, thumbnail
from momentumlab.report.figures.replicates import replicated_loss_figure, replicated_velocity_figure
from momentumlab.report.figures.response import response_figure
from momentumlab.report.figures.trajectory import trajectory_figure

__all__ = [
    "contest_loss_figure",
    "contest_trajectory_figure",
    "contest_velocity_figure",
    "loss_figure",
    "profile_figure",
    "replicated_loss_figure",
    "replicated_velocity_figure",
    "response_figure",
    "search_figure",
    "sensitivity_figure",
    "surface_figure",
    "thumbnail",
    "trajectory_figure",
    "velocity_figure",
]
