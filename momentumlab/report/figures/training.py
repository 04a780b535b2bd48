"""Training on data: loss over all rows and accuracy against gradient evaluations."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.sheets import Axeses, Margins, sheet
from momentumlab.report.figures.trials import ShownTrial, select_trials
from momentumlab.report.reports import Report
from momentumlab.surfaces.data import DataSurface

MAX_POINTS = 400
"""Longer curves are drawn at this many iterations, evenly spaced: each accuracy costs a pass over the data."""

MAX_LOSS = 1e100


def training_figure(report: Report, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw the loss over all rows and, for classifiers, the accuracy; a curve per trial.

    The abscissa is the number of gradient evaluations, with epochs on a second axis if gradients are those of
    mini-batches. If batch sizes differ between trials, it is the number of epochs.

    Raises
    ------
    ValueError
        If no trajectories were recorded, or the surface is not a loss on data.
    """
    options = options or FigureOptions()
    result = report.result
    selection = select_trials(report, options)
    shown = selection.trials
    models: dict[int, Any] = {one.number: result.plan.surface_of(one.number) for one in shown}
    if not all(isinstance(model, DataSurface) for model in models.values()):
        raise ValueError(f"{result.experiment.surface.name} is not a loss on data, so there is no training to draw")
    batches = {model.batches for model in models.values()}
    by_epochs = len(batches) > 1
    is_classifier = next(iter(models.values())).is_classifier
    remark = style.join(
        "diverged trials are drawn only up to the edge of the scale" if any(one.diverged for one in shown) else "",
        selection.remark,
    )
    names = ["loss over all rows", *(["accuracy over all rows"] if is_classifier else [])]
    has_epochs = batches != {1} and not by_epochs
    with sheet(
        len(names),
        (5.0 if is_classifier else 6.4, 3.4),
        options,
        ax=ax,
        margins=Margins(left=0.95, top=0.45 if has_epochs else 0.15, between_columns=0.95),
        sharex=True,
        title=selection.title,
        remark=remark,
        curves=shown,
    ) as page:
        panels = page.panels
        for one in shown:
            recorded = result.recorded(one.number)
            entries = np.unique(np.linspace(0, len(recorded) - 1, MAX_POINTS).round().astype(int))
            per_step = result.gradients_per_step[one.number]
            abscissas = recorded[entries] * per_step / (models[one.number].batches if by_epochs else 1)
            losses = np.clip(np.nan_to_num(result.losses[one.number, entries], nan=MAX_LOSS), 0, MAX_LOSS)
            panels[0].plot(abscissas, losses, **one.line)
            if is_classifier:
                points = np.ascontiguousarray(result.path(one.number)[entries].T)
                panels[1].plot(abscissas, models[one.number].accuracy(points), **one.line)
        for panel, name in zip(panels, names, strict=True):
            style.plain_ticks(panel, whole_x=not by_epochs)
            panel.set_ylabel(name)
            panel.grid(True, axis="y")
            panel.set_xlabel("epochs" if by_epochs else "gradient evaluations")
            if has_epochs:
                per_epoch = min(batches)
                functions = (partial(np.multiply, 1 / per_epoch), partial(np.multiply, per_epoch))
                panel.secondary_xaxis("top", functions=functions).set_xlabel("epochs")
        _set_losses(panels[0], result.losses, shown)
    return page.figure


def _set_losses(panel: Axes, losses: Array, shown: Sequence[ShownTrial]) -> None:
    """Leave no room for diverged trials, and use a log scale if the loss falls by more than a factor of ten."""
    kept = [losses[one.number] for one in shown if not one.diverged]
    values = np.concatenate(kept or [losses[one.number, :1] for one in shown])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > 10 * low:
        panel.set_ylim(low / 1.3, high * 1.3)
        style.log_scale(panel)
    else:
        margin = 0.06 * (high - low) or 0.1
        panel.set_ylim(low - margin, high + margin)
