"""Training on data: the loss over all rows and the accuracy, against the gradients that they took."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.curves import finish, head_height
from momentumlab.report.figures.selection import Shown, join, selection, selection_remark
from momentumlab.report.reports import Report
from momentumlab.result import Result
from momentumlab.surfaces.data import DataSurface

MOST_POINTS = 400
"""Of longer paths the accuracy is computed at so many iterations, evenly spaced."""

FAR = 1e100


def training_figure(report: Report) -> Figure:
    """The loss over all rows and, where classes are told, the accuracy; a curve per trial.

    Against gradient evaluations and, where gradients are those of mini-batches, epochs on a second axis above. Where
    trials differ in the size of their batches, against epochs alone, in each of which every row is looked at once.

    Raises
    ------
    ValueError
        If the result was made without its history, or its surface is no problem on data.
    """
    result = report.result
    shown = selection(report)
    surfaces = {one.number: result.plan.surface_of(one.number) for one in shown}
    if not all(isinstance(surface, DataSurface) for surface in surfaces.values()):
        raise ValueError(f"{result.experiment.surface.name} is no problem on data: there is nothing to train")
    models: dict[int, Any] = surfaces
    batches = {model.batches for model in models.values()}
    by_epochs = len(batches) > 1
    classifies = result.experiment.first_surface.is_classifier  # type: ignore[attr-defined]
    remark = join(
        "of diverged trials nothing beyond their first loss is drawn" if any(one.diverged for one in shown) else "",
        selection_remark(report),
    )
    names = ["loss over all rows", *(["accuracy over all rows"] if classifies else [])]
    with style.styled():
        above = 0.45 if batches != {1} and not by_epochs else 0.15
        margins = style.Margins(left=0.95, top=head_height(shown, len(names), remark) + above, between_columns=0.95)
        figure, panels = style.panels(1, len(names), 5.0 if classifies else 6.4, 3.4, margins, sharex=True)
        for one in shown:
            entries = np.unique(np.linspace(0, len(result.recorded(one.number)) - 1, MOST_POINTS).round().astype(int))
            gradients = result.recorded(one.number)[entries] / (models[one.number].batches if by_epochs else 1)
            curves = [_drawable(result.losses[one.number, entries])]
            if classifies:
                with np.errstate(all="ignore"):
                    curves.append(models[one.number].accuracy(np.ascontiguousarray(result.path(one.number)[entries].T)))
            for panel, curve in zip(panels, curves, strict=True):
                panel.plot(gradients, curve, color=one.color, linestyle=one.line_style, linewidth=1.5)
        for panel in panels:
            style.plain_ticks(panel, whole_x=not by_epochs)
        _limit(panels[0], result, shown)
        for panel, name in zip(panels, names, strict=True):
            panel.set_ylabel(name)
            panel.grid(True, axis="y")
            if above > 0.4:
                _add_epochs(panel, next(iter(batches)))
        finish(figure, panels, shown, report.title, remark, "epochs" if by_epochs else "gradient evaluations")
    return figure


def _add_epochs(panel: Any, batches: int) -> None:
    """An axis above the panel, on which ``batches`` gradients are one."""
    epochs = panel.secondary_xaxis("top", functions=(lambda x: x / batches, lambda x: x * batches))
    epochs.set_xlabel("epochs")


def _drawable(losses: Array) -> Array:
    drawable: Array = np.clip(np.nan_to_num(losses, nan=FAR, posinf=FAR), 0, FAR)
    return drawable


def _limit(panel: Any, result: Result, shown: Sequence[Shown]) -> None:
    """A log scale where the loss falls far, and no room for what diverges."""
    kept = [result.losses[one.number] for one in shown if not one.diverged]
    losses = np.concatenate(kept or [result.losses[one.number, :1] for one in shown])
    losses = losses[np.isfinite(losses)]
    low, high = float(losses.min()), float(losses.max())
    if low > 0 and high > 10 * low:
        panel.set_ylim(low / 1.3, high * 1.3)
        style.log_scale(panel)
    else:
        margin = 0.06 * (high - low) or 0.1
        panel.set_ylim(low - margin, high + margin)
