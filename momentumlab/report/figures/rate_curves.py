"""Predictions around given settings: the rate against β and lr, and the poles in the unit circle."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator

from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.sheets import Margins, sheet
from momentumlab.report.labels import axis_name
from momentumlab.theory import LocalModel, Mode, lr_limits
from momentumlab.theory.modes import critical_betas

BETAS: Array = np.concatenate([np.linspace(0.0, 0.98, 393), 1 - np.geomspace(0.02, 0.001, 60)])
LR_POINTS = 400

POLE_MARKERS = "osD^vP*X"
"""Markers of the directions; further directions share the last one."""


def prediction_figure(
    models: Sequence[tuple[str, LocalModel]], title: str, options: FigureOptions | None = None
) -> Figure:
    """Draw the rate against β (if the method has one) and against lr, and the poles.

    Parameters
    ----------
    models
        The label and the linear model of each setting.
    title
        The title of the figure.
    options
        Options of the figure.
    """
    options = options or FigureOptions()
    curves = style.listed_styles(options, [label for label, _ in models])
    names = [*(["beta"] if all(hasattr(model.optimizer, "beta") for _, model in models) else []), "lr"]
    critical = "dotted lines: critical β of each direction" if "beta" in names else ""
    remark = style.join("dots: the settings", critical, "dashed lines: stability limit of lr")
    margins = Margins(top=0.4, bottom=0.85, between_columns=0.85)
    with sheet(len(names) + 1, (3.6, 3.6), options, margins=margins, title=title, remark=remark, curves=curves) as page:
        for name, panel in zip(names, page.panels, strict=False):
            _draw_rates(panel, name, [model for _, model in models], curves)
        _draw_poles(page.panels[-1], [model for _, model in models], curves)
        directions = [[mode.curvature for mode in _curved_modes(model)] for _, model in models]
        if len(directions[0]) <= len(POLE_MARKERS) and all(each == directions[0] for each in directions):
            look = {"linestyle": "none", "color": style.GRAY, "markerfacecolor": "none", "markersize": 6}
            page.add_markers(
                [
                    (f"direction of curvature {curvature:.4g}", {"marker": marker, **look})
                    for curvature, marker in zip(directions[0], POLE_MARKERS, strict=False)
                ]
            )
    return page.figure


def _curved_modes(model: LocalModel) -> list[Mode]:
    """Return the modes along which the surface is not flat, in order of curvature."""
    modes = [mode for mode, flat in zip(model.modes, model.is_flat, strict=True) if not flat]
    return sorted(modes, key=lambda mode: mode.curvature)


def _draw_rates(panel: Axes, name: str, models: Sequence[LocalModel], curves: Sequence[style.CurveStyle]) -> None:
    """Draw the rate against one hyperparameter with all others fixed, and mark critical values."""
    limits = [float(lr_limits(model.optimizer, model.curved, period=model.map.period)[0]) for model in models]
    values = BETAS if name == "beta" else _learning_rates(models, limits)
    drawn: list[Array] = []
    highest = 1.05
    for model, curve, limit in zip(models, curves, limits, strict=True):
        critical = _critical_values(name, model, limit)
        positions = np.union1d(values, critical)  # the curve has a corner at a critical value
        rates = model.rates_along(name, positions)
        # Settings that differ only in this hyperparameter share a curve, which gets a neutral colour.
        is_shared = sum(_is_same_curve(name, model, other) for other in models) > 1
        if not any(np.array_equal(rates, other) for other in drawn):
            color = "black" if is_shared else curve.color
            panel.plot(positions, rates, **{**curve.line, "color": color})
            drawn.append(rates)
            for value in critical:
                panel.axvline(value, color=color, linewidth=1.0, linestyle="--" if name == "lr" else ":", zorder=1)
        current = model.lr if name == "lr" else model.optimizer.beta  # type: ignore[attr-defined]
        panel.plot([current], [model.rate], color=curve.color, **style.BEST_POINT)
        highest = max(highest, 1.05 * model.rate)
    panel.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    lowest = min(float(rates.min()) for rates in drawn)
    panel.set_ylim(max(0.0, lowest - 0.03), min(highest, 3.0))
    style.plain_ticks(panel)
    if name == "lr":
        style.log_scale(panel, "x")
    panel.set_title(f"rate against {axis_name(name)}", loc="left")
    panel.set_xlabel(axis_name(name))
    panel.set_ylabel("predicted rate (diverges above 1)")
    panel.grid(True, axis="y")


def _is_same_curve(name: str, model: LocalModel, other: LocalModel) -> bool:
    """Return whether two settings differ at most in this hyperparameter."""
    if name == "lr":
        return model.optimizer == other.optimizer
    at_zero = (replace(cast(Any, each.optimizer), **{name: 0.0}) for each in (model, other))
    return model.lr == other.lr and next(at_zero) == next(at_zero)


def _critical_values(name: str, model: LocalModel, limit: float) -> Array:
    """Return the critical β of each direction, or the stability limit of lr."""
    if name == "lr":
        return np.array([limit] if math.isfinite(limit) else [])
    if not model.map.is_exact or model.map.period > 1:
        return np.empty(0)
    found = critical_betas(model.optimizer, model.lr, np.array(model.curved))
    return found[np.isfinite(found)]


def _learning_rates(models: Sequence[LocalModel], limits: Sequence[float]) -> Array:
    """Return learning rates around the settings and the stability limits."""
    marks = [*(model.lr for model in models), *(limit for limit in limits if math.isfinite(limit))]
    return np.geomspace(min(marks) / 30, max(marks) * 2, LR_POINTS)


def _draw_poles(panel: Axes, models: Sequence[LocalModel], curves: Sequence[style.CurveStyle]) -> None:
    """Draw the eigenvalues of each direction in the complex plane; they are stable inside the unit circle."""
    panel.add_patch(Circle((0, 0), 1, fill=False, color="black", linewidth=1.0))
    extent = 1.1
    for model, curve in zip(models, curves, strict=True):
        for i, mode in enumerate(_curved_modes(model)):
            poles = np.array(mode.eigenvalues)
            marker = POLE_MARKERS[min(i, len(POLE_MARKERS) - 1)]
            panel.plot(
                poles.real, poles.imag, linestyle="none", marker=marker, markersize=6, markerfacecolor="none",
                color=curve.color,
            )  # fmt: skip
            extent = max(extent, float(np.abs(poles[np.abs(poles) < 2.5]).max(initial=0.0)) + 0.1)
    panel.set_xlim(-extent, extent)
    panel.set_ylim(-extent, extent)
    panel.set_aspect("equal")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(FixedLocator([-2, -1, 0, 1, 2]))
    panel.axhline(0, color="lightgray", linewidth=0.8, zorder=0)
    panel.axvline(0, color="lightgray", linewidth=0.8, zorder=0)
    panel.set_title("poles, a marker per direction", loc="left")
    panel.set_xlabel("real part")
    panel.set_ylabel("imaginary part")
