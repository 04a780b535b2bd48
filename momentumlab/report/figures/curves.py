"""Velocities, schedules and losses against the iteration; bundles are drawn as medians and quartiles."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.sheets import Axeses, Margins, Sheet, sheet
from momentumlab.report.figures.trajectory import plane_of
from momentumlab.report.figures.trials import Selection, ShownTrial, select_trials
from momentumlab.report.labels import axis_name
from momentumlab.report.reports import Report
from momentumlab.result import Result, Status
from momentumlab.search.ranking import quantile

MAX_COORDINATES = 4
"""In more dimensions, velocities are drawn along two principal directions instead of the coordinates."""

FLOOR = 1e-16
"""Losses nearer to the minimum than this share of the highest one are rounding errors and drawn at this height."""

MAX_VALUE = 1e100
"""Larger numbers are drawn at this value."""

WIDE = 1e4
"""Losses beyond this get a symmetric log scale if they cannot get a log scale."""

OUTLIER = 20.0
"""Curves are cut where they exceed the usual height of all curves by this factor."""

MAX_SINGLE = 20
"""Members of a bundle are drawn behind its median if there are at most this many starts, …"""

SINGLE_REPLICATES = 3
"""… or this many replicates."""

DECAYED, FEW_ACTIVE = 1e-4, 5
"""Entries below this share of the peak end a decay, unless the peak is a jump of at most this many entries."""

FEW_ENTRIES = 31
"""Curves of at most this many entries have markers."""

BINS = 500
"""A curve of more than three times as many entries is drawn as the range and median of its values in each bin."""

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
    bundled = len(shown[0].members) > 1
    plane = plane_of(result, shown) if result.plan.dimension > MAX_COORDINATES else None
    step_sizes = _step_sizes(shown)
    quantity = "velocity" if step_sizes is None else "step"

    # ``(coordinates, members, entries)`` of each trial, on the scale on which it is drawn.
    values = []
    for one, factor in zip(shown, step_sizes or [1.0] * len(shown), strict=True):
        velocities = factor * _drawable(result, one, result.velocities)
        values.append(np.moveaxis(velocities if plane is None else velocities @ plane.axes, 2, 0))
    coordinates = len(values[0])
    curves = [[value[coordinate, 0] for value in values] for coordinate in range(coordinates)]
    limits = [None if bundled else _limits(shown, curves[c]) for c in range(coordinates)]
    envelopes = options.theory and not bundled and plane is None
    remark = style.join(
        _bands(report, shown) if bundled else "",
        "" if plane is None else plane.remark,
        CUT if any(limits) else "",
        RANGES if not bundled and any(map(_is_long, curves[0])) else "",
        _theory_remark(report, shown, "ρᵏ") if envelopes else "",
        "theory predicts losses only, see loss.png" if options.theory and bundled else "",
        selection.remark,
    )
    width = 6.4 if coordinates == 1 else 4.6 if coordinates == 2 else 3.6
    with sheet(
        coordinates,
        (width, 3.0),
        options,
        ax=ax,
        shape=None if options.columns else (1, coordinates),
        margins=Margins(left=1.0, top=0.4, between_columns=0.75),
        sharex=True,
        title=selection.title,
        remark=remark,
        curves=shown,
    ) as page:
        for coordinate, panel in enumerate(page.panels):
            panel.axhline(0, color="#999999", linewidth=0.8, zorder=0)
            medians = []
            for one, value, curve in zip(shown, values, curves[coordinate], strict=True):
                if bundled:
                    medians.append(_draw_bundle(panel, report, one, value[coordinate]))
                    continue
                _draw_curve(panel, result, one, curve, limits[coordinate])
                rates = report.coordinate_rates(one.number) if envelopes else None
                if rates is not None:
                    heights = np.abs(curve)
                    envelope = _envelope(heights, result.recorded(one.number), rates[coordinate])
                    visible = np.where(envelope <= 1.3 * heights.max(), envelope, np.nan)
                    for side in (visible, -visible):
                        panel.plot(result.recorded(one.number), side, color=one.color, **ENVELOPE)
            bounded = _bounded(shown, medians) if bundled else np.empty(0)
            style.plain_ticks(panel, whole_x=True)
            if limits[coordinate]:
                panel.set_ylim(limits[coordinate])
            elif len(bounded) and any(one.diverged for one in shown):
                panel.set_ylim(1.5 * float(bounded.min()), 1.5 * float(bounded.max()))
            name = style.coordinate_name(coordinate, result.plan.dimension)
            if plane is not None:
                name = f"the {('1st', '2nd')[coordinate]} principal direction"
            panel.set_title(f"{quantity} along {name}", loc="left")
            panel.set_xlabel("iteration")
        units = "v  (x moves by −lr · v)" if step_sizes is None else "lr · v  (x moves by −lr · v)"
        page.panels[0].set_ylabel(f"{quantity} {units}")
        _set_iterations(page.panels, result, shown)
        if page.owns_figure:
            _draw_schedules(page, result, shown)
    return page.figure


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
    shown = selection.trials
    margins = Margins(left=0.95, top=0.15)
    with sheet(1, (6.4, 3.6), options, ax=ax, margins=margins, title=selection.title, curves=shown) as page:
        remark = draw_losses(page.panels[0], report, shown, theory=options.theory)
        page.panels[0].set_xlabel(abscissa)
        page.remark = style.join(remark, selection.remark)
    return page.figure


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
    bundled = len(shown[0].members) > 1
    drawn = list(_quantity_panels(result))
    remark = style.join(_bands(report, shown) if bundled else "", selection.remark)
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
            having = [one for one in shown if not np.isnan(values[one.members]).all()]  # others lack such a state
            curves = [_drawable(result, one, values) for one in having]
            if is_norm:  # a logarithmic scale has no 0
                curves = [np.where(curve > 0, curve, np.nan) for curve in curves]
            limit = None
            if not bundled:
                finite = [curve[np.isfinite(curve)] for curve in curves]
                limit = _limits(having, finite, positive=is_norm) if all(map(len, finite)) else None
            for one, curve in zip(having, curves, strict=True):
                if bundled:
                    _draw_bundle(panel, report, one, curve)
                else:
                    _draw_curve(panel, result, one, curve[0], limit)
            if limit:
                panel.set_ylim(limit)
                page.remark = style.join(remark, CUT)
            style.plain_ticks(panel, whole_x=True)
            if is_norm:
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_title(title, loc="left")
            panel.set_xlabel("iteration")
        _set_iterations(page.panels, result, shown)
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


def draw_losses(panel: Axes, report: Report, shown: Sequence[ShownTrial], *, theory: bool) -> str:
    """Draw the loss of each trial or bundle against the iteration; return a remark."""
    losses = [_drawable(report.result, one, report.result.losses) for one in shown]
    heights = [loss - _lowest_minimum(report.result, one) for one, loss in zip(shown, losses, strict=True)]
    draw = _draw_loss_curves if len(shown[0].members) == 1 else _draw_loss_bundles
    above, remark = draw(panel, report, shown, losses, heights, theory)
    known = report.experiment.first_surface.minima_are
    panel.set_ylabel(f"loss above the {known} minimum" if above else "loss")
    panel.set_xlabel("iteration")
    _set_iterations([panel], report.result, shown)
    return remark


def _draw_loss_curves(
    panel: Axes,
    report: Report,
    shown: Sequence[ShownTrial],
    losses: Sequence[Array],
    heights: Sequence[Array],
    theory: bool,
) -> tuple[bool, str]:
    """Draw the loss of each trial; return whether losses are measured from the minimum, and a remark."""
    highest = max((float(height[0, 0]) for height in heights), default=0.0)
    above = bool(np.isfinite(highest) and highest > 0 and all(np.nanmin(h) > -1e-9 * highest for h in heights))
    floor = FLOOR * highest
    curves = [np.maximum(height[0], floor) for height in heights] if above else [loss[0] for loss in losses]
    wide = not above and max(float(np.abs(curve).max()) for curve in curves) > WIDE
    limit = None if wide else _limits(shown, curves, positive=above)
    for one, curve in zip(shown, curves, strict=True):
        _draw_curve(panel, report.result, one, curve, limit)
        rate = report.rates[one.number].predicted if theory and above else None
        if rate is not None:
            entries = report.result.recorded(one.number)
            envelope = _envelope(np.where(curve > floor, curve, 0.0), entries, rate**2)
            inside = (envelope >= curve.min()) & (envelope <= 3 * curve.max())
            panel.plot(entries, np.where(inside, envelope, np.nan), color=one.color, **ENVELOPE)
    style.plain_ticks(panel, whole_x=True)
    if limit:
        panel.set_ylim(limit)
    if above and panel.get_ylim()[1] > 10 * min(float(curve.min()) for curve in curves):
        style.log_scale(panel)
        panel.grid(True, axis="y")
    elif wide:
        style.symmetric_log_scale(panel)
    at_floor = above and any((height < floor).any() for height in heights)
    return above, style.join(
        _theory_remark(report, shown, "ρ²ᵏ") if theory and above else "",
        f"losses below {floor:.0e} are drawn at that height" if at_floor else "",
        CUT if limit else "",
        RANGES if any(map(_is_long, curves)) else "",
    )


def _draw_loss_bundles(
    panel: Axes,
    report: Report,
    shown: Sequence[ShownTrial],
    losses: Sequence[Array],
    heights: Sequence[Array],
    theory: bool,
) -> tuple[bool, str]:
    """Draw median and quartiles of each bundle; return whether losses are measured from the minimum, and a remark."""
    above = all(np.isfinite(height[0, 0]) for height in heights)
    floors = [FLOOR * abs(float(height[0, 0])) for height in heights]
    values = [np.maximum(h, floor) for h, floor in zip(heights, floors, strict=True)] if above else losses
    medians = [_draw_bundle(panel, report, one, value) for one, value in zip(shown, values, strict=True)]
    bounded = _bounded(shown, medians)
    style.plain_ticks(panel, whole_x=True)
    if len(bounded) and any(one.diverged for one in shown):
        panel.set_ylim(float(bounded.min()) / 3, 30 * float(bounded.max()))
    if above and len(bounded) and bounded.min() > 0:
        style.log_scale(panel)
        panel.grid(True, axis="y")
    bands = _bands(report, shown)
    if not theory:
        return above, bands
    predicted = [report.floors[one.number].predicted if report.floors else None for one in shown]
    for one, floor in zip(shown, predicted, strict=True):
        if floor is not None and above:
            panel.axhline(floor, color=one.color, linestyle=":", linewidth=1.2)
    has_floor = any(floor is not None for floor in predicted)
    return above, style.join(bands, "dotted: predicted noise floor" if has_floor else NO_THEORY)


def until_longest(result: Result, numbers: NDArray[np.int64], values: Array) -> tuple[NDArray[np.int64], Array]:
    """Extend curves to the length of the longest by their last value, or by `MAX_VALUE` if the trial diverged.

    Parameters
    ----------
    result
        The result with the trials.
    numbers
        Which trials, ``(repeats,)``.
    values
        A number per entry of their history, ``(repeats, entries)``.

    Returns
    -------
    entries
        The iterations of the longest trial, ``(length,)``.
    values
        ``(repeats, length)``
    """
    filled = values.copy()
    for row, number in zip(filled, numbers.tolist(), strict=True):
        length = len(result.recorded(number))
        row[length:] = MAX_VALUE if result.status_of(number) is Status.DIVERGED else row[length - 1]
    entries = result.recorded(int(numbers[result.iterations[numbers].argmax()]))
    return entries, filled[:, : len(entries)]


def draw_quartiles(panel: Axes, entries: NDArray[np.int64], values: Array, curve: style.CurveStyle) -> Array:
    """Draw the median of ``(repeats, entries)`` and a band between its quartiles; return the median."""
    low, median, high = (quantile(values.T, share) for share in (0.25, 0.5, 0.75))
    panel.fill_between(entries, low, high, color=curve.color, alpha=0.18, linewidth=0, zorder=1.5)
    panel.plot(entries, median, **curve.line)
    return median


def _step_sizes(shown: Sequence[ShownTrial]) -> list[float] | None:
    """Return the learning rates of several optimizers if they differ and are constant."""
    if any(LR_SCHEDULE in one.trial.hyperparameters for one in shown):
        return None
    rates = [one.trial.hyperparameters.get("lr") for one in shown]
    if len({one.trial.optimizer for one in shown}) == 1 or len(set(rates)) == 1:
        return None
    constant = [rate for rate in rates if isinstance(rate, float)]
    return constant if len(constant) == len(rates) else None


def _drawable(result: Result, one: ShownTrial, values: Array) -> Array:
    """Return the history of a bundle, ``(members, entries, …)``, clipped to what matplotlib can draw.

    A single trial is cut at its last entry; several are NaN where they have ended.
    """
    numbers = np.array(one.members)
    clipped: Array = np.clip(values[numbers], -MAX_VALUE, MAX_VALUE)
    if len(numbers) > 1:
        return clipped
    return np.nan_to_num(clipped[:, : len(result.recorded(one.number))], nan=MAX_VALUE)


def _bands(report: Report, shown: Sequence[ShownTrial]) -> str:
    """Return a remark that explains the lines and bands of bundles."""
    several = [f"{len(shown[0].members)} trials"]
    if len(shown[0].members) == report.experiment.replicates:
        several = [f"{report.experiment.replicates} replicates"]
    elif report.experiment.replicates == 1:
        several = [f"{len(shown[0].members)} starts"]
    return f"lines: medians of {several[0]}, bands: quartiles, faint: single trials"


def _lowest_minimum(result: Result, one: ShownTrial) -> float:
    minima = result.plan.surface_of(one.number).minima(result.plan.dimension)
    return min((point.loss for point in minima), default=float("nan"))


def _theory_remark(report: Report, shown: Sequence[ShownTrial], formula: str) -> str:
    if any(report.rates[one.number].predicted is not None for one in shown):
        return f"dotted: {formula} as theory predicts"
    return NO_THEORY


def _envelope(heights: Array, iterations: NDArray[np.int64], rate: float) -> Array:
    """Return the multiple of ``rate ** iterations`` that touches the second half of a curve from above."""
    counted = np.flatnonzero(heights > 1e-14 * heights.max(initial=0.0))
    later = counted[len(counted) // 2 :]
    if not len(later) or rate <= 0:
        return np.full(len(heights), np.nan)
    powers = iterations * math.log(rate)
    offset = float((np.log(heights[later]) - powers[later]).max())
    envelope: Array = np.exp(np.minimum(offset + powers, 700.0))
    return envelope


def _is_long(values: Array) -> bool:
    return len(values) > 3 * BINS


def _draw_curve(panel: Axes, result: Result, one: ShownTrial, values: Array, limit: tuple[float, float] | None) -> None:
    """Draw the curve of one trial; if it is long, the range and the median in each of `BINS` intervals."""
    values, entries = values.copy(), result.recorded(one.number)
    if limit and one.diverged:  # its oscillations would cover all other curves
        beyond = np.flatnonzero((values < limit[0]) | (values > limit[1]))
        values[beyond[0] + 1 if len(beyond) else len(values) :] = np.nan
    if _is_long(values):
        # Whole bins; the last one is filled up with the last value.
        size = math.ceil(len(values) / BINS)
        padded = np.pad(values, (0, -len(values) % size), mode="edge").reshape(-1, size)
        middles = np.pad(entries, (0, -len(values) % size), mode="edge").reshape(-1, size).mean(axis=1)
        low, high = padded.min(axis=1), padded.max(axis=1)
        panel.fill_between(middles, low, high, color=one.color, alpha=0.3, linewidth=0, zorder=1.5)
        panel.plot(middles, np.median(padded, axis=1), **{**one.line, "linewidth": 1.0})
        return
    marker = "o" if len(values) <= FEW_ENTRIES else ""
    panel.plot(entries, values, marker=marker, markersize=3.0, **one.line)


def _draw_bundle(panel: Axes, report: Report, one: ShownTrial, values: Array) -> Array:
    """Draw median, quartiles and some lines of ``(members, entries)``; return the median."""
    numbers = np.array(one.members)
    entries, filled = until_longest(report.result, numbers, values)
    count = SINGLE_REPLICATES if report.experiment.replicates > 1 else MAX_SINGLE
    lines = values[:count, : len(entries)]
    # All lines as one, with a gap after each.
    gaps = np.pad(lines, ((0, 0), (0, 1)), constant_values=np.nan)
    x = np.broadcast_to(np.append(entries, entries[-1]), gaps.shape)
    panel.plot(x.ravel(), gaps.ravel(), color=one.color, linewidth=0.6, alpha=0.35, zorder=1.8)
    return draw_quartiles(panel, entries, filled, one)


def _bounded(shown: Sequence[ShownTrial], medians: Sequence[Array]) -> Array:
    """Return all values of the medians of settings that do not diverge."""
    bounded = [curve for one, curve in zip(shown, medians, strict=True) if not one.diverged]
    return np.concatenate([np.empty(0), *bounded])


def _limits(
    shown: Sequence[ShownTrial], curves: Sequence[Array], *, positive: bool = False
) -> tuple[float, float] | None:
    """Return limits that keep curves legible beside those that diverge or jump; ``None`` for no limits."""
    kept = [curve for one, curve in zip(shown, curves, strict=True) if not one.diverged]
    if not kept:
        return None
    if positive:
        if len(kept) == len(curves):
            return None
        values = np.concatenate(kept)
        return float(values.min()) / 3, float(values.max()) * 100
    peaks = np.array([np.abs(curve).max() for curve in kept])
    usual = np.array([_usual(np.abs(curve)) for curve in kept])
    allowed = min(OUTLIER * np.median(peaks), np.minimum(peaks, OUTLIER * np.maximum(usual, np.median(usual))).max())
    if len(kept) == len(curves) and (peaks <= allowed).all():
        return None
    values = np.clip(np.concatenate(kept), -allowed, allowed)
    margin = 0.06 * float(np.ptp(values)) or 1.0
    return float(values.min()) - margin, float(values.max()) + margin


def _usual(heights: Array) -> float:
    """Return a height that most entries of a curve do not exceed, ignoring entries after its decay."""
    active = heights[heights > DECAYED * heights.max()]
    return float(np.quantile(active if len(active) > FEW_ACTIVE else heights, 0.9))


def _set_iterations(panels: Sequence[Axes], result: Result, shown: Sequence[ShownTrial]) -> None:
    """Show all iterations of the longest trial."""
    last = max(int(result.iterations[np.array(one.members)].max()) for one in shown)
    for panel in panels:
        panel.set_xlim(-0.03 * max(last, 1), 1.03 * max(last, 1))


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
