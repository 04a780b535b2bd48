"""Figures of a report. Only this package imports matplotlib.

======================  ==========================================================
module                  content
======================  ==========================================================
`backend`               figures without pyplot, regardless of ``MPLBACKEND``
`style`                 colours, markers, scales, ticks and text
`sheets`                panels, titles and legends, placed in inches
`trials`                which trials are shown, and their colours
`contours`              planes, windows and shaded heights of a surface
`trajectory`            trajectories over contours, or on the graph of the loss
`histories`             a number against the iteration, of a trial or a bundle of trials
`curves`                velocities, losses and recorded quantities against the iteration
`training`              loss and accuracy on data
`map_panels`, `maps`    sweeps: maps over two axes, curves over one
`comparison_figures`    comparisons: settings, search, sensitivity, profiles
`rate_curves`           predicted rates against β and lr, and poles
`response`              an optimizer as a filter
`surface`               a surface with its critical points
======================  ==========================================================
"""

# First, because it decides how matplotlib is imported.
from momentumlab.report.figures.backend import DisplayFigure  # isort: skip

from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures.comparison_figures import (
    comparison_loss_figure,
    comparison_quantity_figure,
    comparison_trajectory_figure,
    comparison_velocity_figure,
    profile_figure,
    search_figure,
    sensitivity_figure,
)
from momentumlab.report.figures.curves import loss_figure, quantity_figure, velocity_figure
from momentumlab.report.figures.maps import map_figures
from momentumlab.report.figures.rate_curves import prediction_figure
from momentumlab.report.figures.response import response_figure
from momentumlab.report.figures.surface import surface_figure, thumbnail
from momentumlab.report.figures.training import training_figure
from momentumlab.report.figures.trajectory import trajectory_figure

__all__ = [
    "DisplayFigure",
    "FigureOptions",
    "comparison_loss_figure",
    "comparison_quantity_figure",
    "comparison_trajectory_figure",
    "comparison_velocity_figure",
    "loss_figure",
    "map_figures",
    "prediction_figure",
    "profile_figure",
    "quantity_figure",
    "response_figure",
    "search_figure",
    "sensitivity_figure",
    "surface_figure",
    "thumbnail",
    "training_figure",
    "trajectory_figure",
    "velocity_figure",
]
