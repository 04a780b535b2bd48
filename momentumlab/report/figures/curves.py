"""Velocities, losses and recorded quantities against the iteration, with the schedules of hyperparameters."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.histories import (
    BINS,
    HistoryCurve,
    bundle_remark,
    curve_of,
    envelope,
    limits_of,
    set_iterations,
)
from momentumlab.report.figures.sheets import Axeses, Margins, Sheet, sheet
from momentumlab.report.figures.trajectory import plane_of
from momentumlab.report.figures.trials import Selection, ShownTrial, select_trials
from momentumlab.report.labels import axis_name, minimum_name
from momentumlab.report.reports import Report
from momentumlab.result import Result

MAX_COORDINATES = 4
"""In more dimensions, velocities are drawn along two principal directions instead of the coordinates."""

FLOOR = 1e-16
"""Losses nearer to the minimum than this share of the highest one are rounding errors and drawn at this height."""

WIDE = 1e4
"""Losses beyond this get a symmetric log scale if they cannot get a log scale."""

ENVELOPE: style.Style = {"linestyle": ":", "linewidth": 1.2, "zorder": 1.5}

CUT = "curves are cut at the edge of the scale"
NO_THEORY = "theory does not apply"
RANGES = f"long curves: range (shaded) and median in {BINS} intervals"

MAX_SCHEDULE_POINTS = 2000
"""Longer schedules are drawn at this many iterations, evenly spaced."""


def velocity_figure(
    report: Report,
    options: FigureOptions | None = None,
    *,
    selection: Selection | None = None,
    ax: Axeses = None,
) -> Figure:
    """Draw the velocity against the iteration, a panel per coordinate and a curve per trial.

    In more than four dimensions the panels show the two principal directions of the trajectory figure. The velocity is
    the negative displacement per unit of learning rate, for every optimizer. If optimizers with different learning
    rates are compared, the step lr·v is drawn instead, which has the same unit for all. Scheduled hyperparameters have
    panels of their own below. Bundles are drawn as median and quartiles, long curves as their range in short
    intervals. With the option ``theory``, dotted lines show the predicted envelopes ρᵏ, tangent to each curve; bundles
    and principal directions have none.

    Parameters
    ----------
    report
        A report with trajectories.
    options
        Options of the figure.
    selection
        The trials to draw; by default those of `select_trials`.
    ax
        Axes to draw on, one per coordinate.

    Raises
    ------
    ValueError
        If no trajectories were recorded, or an option does not apply.
    """
    options = options or FigureOptions()
    result = report.result
    selection = selection or select_trials(report, options)
    shown = selection.trials
    bundles = bundle_remark(result, shown)

    # A list of curves per panel: along the coordinates, or along the principal directions in many dimensions.
    dimension, plane = result.plan.dimension, None
    names = [style.coordinate_name(coordinate, dimension) for coordinate in range(min(dimension, MAX_COORDINATES))]
    if dimension > MAX_COORDINATES:
        plane = plane_of(result, shown)
        names = ["the 1st principal direction", "the 2nd principal direction"]
    step_sizes = _step_sizes(shown)
    panels: list[list[HistoryCurve]] = [[] for _ in names]
    for one, factor in zip(shown, step_sizes or [1.0] * len(shown), strict=True):
        velocities = factor * result.velocities[one.members]
        along = np.moveaxis(velocities if plane is None else velocities @ plane.axes, 2, 0)
        for curves, values in zip(panels, along, strict=True):
            curves.append(curve_of(result, one, values))
    limits = [limits_of(curves) for curves in panels]

    has_envelopes = options.theory and not bundles and plane is None
    remark = style.join(
        bundles,
        "" if plane is None else plane.remark,
        CUT if any(limits) else "",
        RANGES if any(curve.is_long for curve in panels[0]) else "",
        _theory_remark(report, shown, "ρᵏ") if has_envelopes else "",
        "theory predicts losses only, see loss.png" if options.theory and bundles else "",
        selection.remark,
    )
    width = {1: 6.4, 2: 4.6}.get(len(panels), 3.6)
    with sheet(
        len(panels),
        (width, 3.0),
        options,
        ax=ax,
        shape=None if options.columns else (1, len(panels)),
        margins=Margins(left=1.0, top=0.4, between_columns=0.75),
        sharex=True,
        title=selection.title,
        remark=remark,
        curves=shown,
    ) as page:
        quantity = "velocity" if step_sizes is None else "step"
        for coordinate, (panel, curves) in enumerate(zip(page.panels, panels, strict=True)):
            panel.axhline(0, color="#999999", linewidth=0.8, zorder=0)
            for curve in curves:
                curve.draw(panel, limits[coordinate])
                rates = report.coordinate_rates(curve.one.number) if has_envelopes else None
                if rates is not None:
                    heights = np.abs(curve.values)
                    touching = envelope(heights, curve.iterations, rates[coordinate])
                    visible = np.where(touching <= 1.3 * heights.max(), touching, np.nan)
                    for side in (visible, -visible):
                        panel.plot(curve.iterations, side, color=curve.one.color, **ENVELOPE)
            style.plain_ticks(panel, whole_x=True)
            if limits[coordinate]:
                panel.set_ylim(limits[coordinate])
            panel.set_title(f"{quantity} along {names[coordinate]}", loc="left")
            panel.set_xlabel("iteration")
        symbol = "v" if step_sizes is None else "lr · v"
        page.panels[0].set_ylabel(f"{quantity} {symbol}  (x moves by −lr · v)")
        set_iterations(page.panels, result, shown)
        if page.owns_figure:
            _draw_schedules(page, result, shown)
    return page.figure


def _step_sizes(shown: Sequence[ShownTrial]) -> list[float] | None:
    """Return the learning rates of several optimizers if they differ and are constant."""
    if any(LR_SCHEDULE in one.trial.hyperparameters for one in shown):
        return None
    rates = [one.trial.hyperparameters.get("lr") for one in shown]
    if len({one.trial.optimizer for one in shown}) == 1 or len(set(rates)) == 1:
        return None
    constant = [rate for rate in rates if isinstance(rate, float)]
    return constant if len(constant) == len(rates) else None


def _draw_schedules(page: Sheet, result: Result, shown: Sequence[ShownTrial]) -> None:
    """Draw a strip for each scheduled hyperparameter below the panels.

    A constant is a level line, and an optimizer without the hyperparameter has no curve. Values that are the same for
    all trials are drawn once, in grey.
    """
    scheduled = [name for one in shown for name in result.plan.group_of(one.number).schedules]
    names = list(dict.fromkeys("lr" if name == LR_SCHEDULE else name for name in scheduled))
    for name in names:
        panel = page.add_strip()
        keys = ("lr", LR_SCHEDULE) if name == "lr" else (name,)
        is_common = len({tuple(map(one.trial.hyperparameters.get, keys)) for one in shown}) == 1 < len(shown)
        for one in [max(shown, key=lambda one: result.iterations[one.number])] if is_common else shown:
            length = int(result.iterations[one.number])
            if name not in one.trial.hyperparameters or length == 0:
                continue
            k = np.unique(np.linspace(0, length - 1, min(length, MAX_SCHEDULE_POINTS)).round())
            group = result.plan.group_of(one.number)
            if name in group.schedules:
                values = group.schedules[name].value(k, group.iterations)
            else:
                values = np.full(len(k), one.trial.hyperparameters[name], dtype=np.float64)
                if name == "lr" and LR_SCHEDULE in group.schedules:
                    values *= group.schedules[LR_SCHEDULE].value(k, group.iterations)
            is_stepwise = len(np.unique(values)) <= len(values) / 4
            look = {"color": style.GRAY, "linewidth": 1.5} if is_common else one.line
            # The value after k updates is that of iteration k + 1, whose velocity is drawn at k + 1.
            panel.plot(k + 1, values, drawstyle="steps-mid" if is_stepwise else "default", **look)
        panel.set_xlim(page.panels[0].get_xlim())
        style.plain_ticks(panel, whole_x=True)
        panel.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=style.TICK_STEPS))
        panel.margins(y=0.12)
        panel.set_title(f"{axis_name(name)} in each iteration", loc="left")
    if names:
        page.strips[-1].set_xlabel("iteration")


def loss_figure(
    report: Report,
    options: FigureOptions | None = None,
    *,
    selection: Selection | None = None,
    abscissa: str = "iteration",
    ax: Axeses = None,
) -> Figure:
    """Draw the loss against the iteration: on a log scale above the lowest known minimum, if one is known.

    If none is known, or a trial finds a lower loss, the loss itself is drawn. Bundles are drawn as
    median and quartiles. With the option ``theory``, dotted lines show the predicted slope ρ²ᵏ or, for replicates, the
    predicted noise floor. ``abscissa`` is the label of the horizontal axis; other parameters are those of
    `velocity_figure`.

    Raises
    ------
    ValueError
        If no trajectories were recorded, or an option does not apply.
    """
    options = options or FigureOptions()
    selection = selection or select_trials(report, options)
    margins = Margins(left=0.95, top=0.15)
    with sheet(1, (6.4, 3.6), options, ax=ax, margins=margins, title=selection.title, curves=selection.trials) as page:
        remark = draw_losses(page.panels[0], report, selection.trials, theory=options.theory)
        page.panels[0].set_xlabel(abscissa)
        page.remark = style.join(remark, selection.remark)
    return page.figure


def draw_losses(panel: Axes, report: Report, shown: Sequence[ShownTrial], *, theory: bool) -> str:
    """Draw the loss of each trial or bundle against the iteration; return a remark."""
    result, dimension = report.result, report.result.plan.dimension
    bundles = bundle_remark(result, shown)

    # Heights above the lowest known minimum are drawn unless a trial is lower, or none is known (NaN).
    minima = [result.plan.surface_of(one.number).minima(dimension) for one in shown]
    lowest = [min((point.loss for point in each), default=np.nan) for each in minima]
    above = [result.losses[one.members] - low for one, low in zip(shown, lowest, strict=True)]
    highest = max((float(heights[:, 0].max()) for heights in above), default=0.0)
    is_above = np.isfinite(highest) and highest > 0 and all(np.nanmin(each) > -1e-9 * highest for each in above)
    floor = FLOOR * highest
    is_at_floor = is_above and any((heights < floor).any() for heights in above)
    curves = [
        curve_of(result, one, np.maximum(heights, floor) if is_above else result.losses[one.members])
        for one, heights in zip(shown, above, strict=True)
    ]

    is_wide = not is_above and max(float(np.abs(curve.values).max()) for curve in curves) > WIDE
    limits = None if is_wide else limits_of(curves, log=is_above)
    for curve in curves:
        curve.draw(panel, limits)
    predicted = _draw_predicted_losses(panel, report, curves, floor) if theory and is_above else ""

    style.plain_ticks(panel, whole_x=True)
    if limits:
        panel.set_ylim(limits)
    if is_above and panel.get_ylim()[1] > 10 * min(float(curve.values.min()) for curve in curves):
        style.log_scale(panel)
        panel.grid(True, axis="y")
    elif is_wide:
        style.symmetric_log_scale(panel)
    minimum = minimum_name(report.experiment.first_surface)
    panel.set_ylabel(f"loss above the {minimum}" if is_above else "loss")
    panel.set_xlabel("iteration")
    set_iterations([panel], result, shown)
    return style.join(
        bundles,
        predicted,
        f"losses below {floor:.0e} are drawn at that height" if is_at_floor else "",
        CUT if limits else "",
        RANGES if any(curve.is_long for curve in curves) else "",
    )


def _draw_predicted_losses(panel: Axes, report: Report, curves: Sequence[HistoryCurve], floor: float) -> str:
    """Draw the predicted slope of each trial, or the predicted noise floor of each bundle; return a remark."""
    if all(curve.quartiles is None for curve in curves):
        for curve in curves:
            rate = report.rates[curve.one.number].predicted
            if rate is not None:
                heights = curve.values
                touching = envelope(np.where(heights > floor, heights, 0.0), curve.iterations, rate**2)
                is_inside = (touching >= heights.min()) & (touching <= 3 * heights.max())
                panel.plot(curve.iterations, np.where(is_inside, touching, np.nan), color=curve.one.color, **ENVELOPE)
        return _theory_remark(report, [curve.one for curve in curves], "ρ²ᵏ")
    floors = [report.floors[curve.one.number].predicted for curve in curves] if report.floors else []
    for curve, predicted in zip(curves, floors, strict=False):
        if predicted is not None:
            panel.axhline(predicted, color=curve.one.color, linestyle=":", linewidth=1.2)
    return "dotted: predicted noise floor" if any(floor is not None for floor in floors) else NO_THEORY


def _theory_remark(report: Report, shown: Sequence[ShownTrial], formula: str) -> str:
    if any(report.rates[one.number].predicted is not None for one in shown):
        return f"dotted: {formula} as theory predicts"
    return NO_THEORY


def quantity_figure(
    report: Report,
    options: FigureOptions | None = None,
    *,
    selection: Selection | None = None,
    ax: Axeses = None,
) -> Figure:
    """Draw each recorded quantity against the iteration, a panel per quantity or coordinate and a curve per trial.

    Norms are drawn on a logarithmic scale. If a part of the state has more than `MAX_COORDINATES`
    numbers, its Euclidean norm is drawn. Parameters and errors are those of `velocity_figure`.
    """
    options = options or FigureOptions()
    result = report.result
    if not result.quantities:
        raise ValueError('no further quantities were recorded (record=["gradient_norm", "state.v"] records them)')
    selection = selection or select_trials(report, options)
    shown = selection.trials
    drawn = list(_quantity_panels(result))
    remark = style.join(bundle_remark(result, shown), selection.remark)
    with sheet(
        len(drawn),
        (6.4 if len(drawn) == 1 else 4.4, 3.0),
        options,
        ax=ax,
        margins=Margins(left=0.9, top=0.4, between_columns=0.7, between_rows=0.75),
        title=selection.title,
        remark=remark,
        curves=shown,
    ) as page:
        for panel, (title, values) in zip(page.panels, drawn, strict=True):
            is_norm = "norm" in title
            # Optimizers whose state does not have this part have no curve.
            having = [one for one in shown if not np.isnan(values[one.members]).all()]
            curves = [curve_of(result, one, values[one.members]) for one in having]
            if is_norm:  # a logarithmic scale has no 0
                curves = [replace(each, values=np.where(each.values > 0, each.values, np.nan)) for each in curves]
            limits = limits_of(curves, log=is_norm)
            for curve in curves:
                curve.draw(panel, limits)
            style.plain_ticks(panel, whole_x=True)
            if limits:
                panel.set_ylim(limits)
                page.remark = style.join(remark, CUT)
            if is_norm:
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_title(title, loc="left")
            panel.set_xlabel("iteration")
        set_iterations(page.panels, result, shown)
    return page.figure


def _quantity_panels(result: Result) -> Iterator[tuple[str, Array]]:
    """Yield the title of each panel of recorded quantities, and a number per trial and entry, ``(trials, entries)``."""
    for name, values in result.quantities.items():
        parts = values.reshape(*values.shape[:2], -1)
        if values.ndim == 2:
            yield name.replace("_", " "), values
        elif parts.shape[2] > MAX_COORDINATES:
            yield f"norm of {name}", np.sqrt((parts**2).sum(axis=2))
        else:
            for i, index in enumerate(np.ndindex(values.shape[2:])):
                coordinate = style.coordinate_name(index[-1], result.plan.dimension)
                which = f"{name}[{', '.join(map(str, index[:-1]))}]" if len(index) > 1 else name
                yield f"{which} along {coordinate}", parts[:, :, i]
