"""Figures of a comparison: the chosen settings of each optimizer, the search, sensitivity to lr, and profiles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from momentumlab.experiment import Objective, method_names
from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.curves import (
    MAX_VALUE,
    WIDE,
    draw_quartiles,
    loss_figure,
    quantity_figure,
    until_longest,
    velocity_figure,
)
from momentumlab.report.figures.sheets import Axeses, Margins, sheet
from momentumlab.report.figures.trajectory import PathPanel, trajectory_figure
from momentumlab.report.figures.trials import Selection, ShownTrial, optimizer_colors
from momentumlab.report.labels import Labels, axis_name, point, repeats
from momentumlab.report.reports import ComparisonReport
from momentumlab.result import Status
from momentumlab.search import ComparisonResult, Match, Standing
from momentumlab.search.profiles import performance_ratios, profile
from momentumlab.search.ranking import FLOOR, quantile

MAX_RATIO = 100.0
"""Results that exceed the initial value by this factor are not drawn."""

CAUTION = "the profile identifies the best optimizer; the order of the others depends on which ones are compared"


def comparison_trajectory_figure(
    report: ComparisonReport, surface: int, options: FigureOptions | None = None, *, ax: Axeses = None
) -> Figure:
    """Draw the trajectories of the chosen settings on one surface, a panel per optimizer in order of rank."""
    match = report.result.matches[surface]
    groups = []
    for standing in _drawn_standings(report.result, match):
        trials = _shown(report.result, match, standing)
        subtitle = f"rank {standing.rank}: {_outcome(match, standing)}"
        groups.append(PathPanel(title=trials[0].label, subtitle=subtitle, color=trials[0].color, trials=trials))
    remark = _drawn_remark(report.result)
    title = report.headline(surface)
    return trajectory_figure(report.reports[surface], options, groups=groups, title=title, remark=remark, ax=ax)


def comparison_velocity_figure(
    report: ComparisonReport, surface: int, options: FigureOptions | None = None, *, ax: Axeses = None
) -> Figure:
    """Draw the velocity against the iteration, a curve per optimizer, from the first start."""
    return velocity_figure(report.reports[surface], options, selection=_first_of_each(report, surface), ax=ax)


def comparison_quantity_figure(
    report: ComparisonReport, surface: int, options: FigureOptions | None = None, *, ax: Axeses = None
) -> Figure:
    """Draw the recorded quantities against the iteration, a curve per optimizer, from the first start."""
    return quantity_figure(report.reports[surface], options, selection=_first_of_each(report, surface), ax=ax)


def _first_of_each(report: ComparisonReport, surface: int) -> Selection:
    """Select the first trial of each optimizer."""
    match = report.result.matches[surface]
    shown = _first_trials(report.result, match)
    first = f"from the first start, {point(shown[0].trial.start)}" if match.starts > 1 else ""
    remark = style.join(first, _drawn_remark(report.result))
    return Selection(trials=shown, title=report.headline(surface), remark=remark)


def comparison_loss_figure(
    report: ComparisonReport, surface: int, options: FigureOptions | None = None, *, ax: Axeses = None
) -> Figure:
    """Draw the loss against gradient evaluations, a curve per optimizer; for several starts, their quartiles."""
    options = options or FigureOptions()
    match = report.result.matches[surface]
    shown = _first_trials(report.result, match)
    title, remark = report.headline(surface), _drawn_remark(report.result)
    if match.starts == 1:
        selection = Selection(trials=shown, title=title, remark=remark)
        return loss_figure(report.reports[surface], options, selection=selection, abscissa=_abscissa(match), ax=ax)
    yardstick = match.yardstick
    above = yardstick.is_known
    start = float(np.max(yardstick.heights(yardstick.start_losses)))
    remark = style.join(f"median and quartiles of {repeats(match.experiment)}", remark)
    margins = Margins(left=0.95, top=0.15)
    with sheet(1, (6.4, 3.6), options, ax=ax, margins=margins, title=title, remark=remark, curves=shown) as page:
        (panel,) = page.panels
        for one in shown:
            numbers = np.arange(one.number, one.number + match.starts)
            entries, losses = until_longest(match.result, numbers, match.result.losses[numbers])
            heights = np.nan_to_num(yardstick.heights(losses.T).T, nan=MAX_VALUE, posinf=MAX_VALUE)
            heights = np.clip(heights, FLOOR * start if above else -MAX_VALUE, MAX_VALUE)
            draw_quartiles(panel, entries, heights, one)
        style.plain_ticks(panel, whole_x=True)
        lowest, highest = panel.dataLim.intervaly
        if above:
            panel.set_ylim(lowest / 3, min(highest * 3, MAX_RATIO * start))
            style.log_scale(panel)
            panel.grid(True, axis="y")
        elif highest - lowest > WIDE:
            style.symmetric_log_scale(panel)
        panel.set_ylabel("loss above the known minimum" if above else "loss")
        panel.set_xlabel(_abscissa(match))
    return page.figure


def _abscissa(match: Match) -> str:
    """Return whether the axis counts iterations or gradient evaluations; a step may take several."""
    return "gradient evaluations" if (match.result.gradients_per_step == 1).all() else "iterations"


def sensitivity_figure(report: ComparisonReport, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw the result against the learning rate, a panel per surface and a curve per optimizer, with the chosen lr.

    Other hyperparameters are as chosen. A curve has a gap if the optimizer diverges or, for iterations, does not
    converge. If no setting of any optimizer converges on a surface, final losses are drawn instead of iterations.

    Raises
    ------
    ValueError
        If no learning rate was searched.
    """
    options = options or FigureOptions()
    result = report.result
    if not result.searched_rates:
        raise ValueError("no learning rate was searched")
    curves = _curves(result)
    by_iterations = result.comparison.objective is Objective.ITERATIONS
    gap = "does not converge" if by_iterations else f"diverges or exceeds {MAX_RATIO:g} × its initial value"
    is_robust = result.comparison.objective is Objective.ROBUST_LOSS
    neighbours = ", the best together with its neighbours" if is_robust else ""
    count = len(result.matches)
    fallback = by_iterations and not all(_scored_by(result, match)[1] for match in result.matches)
    remark = style.join(
        f"dots: chosen lr{neighbours}; other hyperparameters as chosen",
        f"gap: the optimizer {gap}",
        "no setting converged: final loss instead of iterations" if fallback else "",
        _drawn_remark(result),
    )
    title = f"{result.comparison.objective.words} against lr"
    title += f" on {_surface_label(result.matches[0])}" if count == 1 else ""
    width = 6.4 if count == 1 else 4.4
    margins = Margins(left=0.95, top=0.15 if count == 1 else 0.4, between_columns=0.75)
    with sheet(count, (width, 3.6), options, ax=ax, margins=margins, title=title, remark=remark, curves=curves) as page:
        labels = []
        for panel, match in zip(page.panels, result.matches, strict=True):
            labels.append(_draw_sensitivity(panel, result, match, curves))
            panel.set_xlabel("lr")
            if count > 1:
                panel.set_title(style.shortened(_surface_label(match)), loc="left")
        for panel, label in zip(page.panels, labels, strict=True):
            if panel is page.panels[0] or len(set(labels)) > 1:
                panel.set_ylabel(label)
    return page.figure


def _draw_sensitivity(panel: Axes, result: ComparisonResult, match: Match, curves: Sequence[style.CurveStyle]) -> str:
    """Draw the results on one surface against lr, and return the label of the vertical axis."""
    yardstick = match.search_yardstick
    known = yardstick.is_known
    label, by_iterations = _scored_by(result, match)
    by_height = known and not by_iterations
    start = float(quantile(yardstick.heights(yardstick.start_losses), 0.5))
    rates = []
    for number, curve in zip(_drawn(result), curves, strict=True):
        searched, standing = match.searched[number], match.standing(number)
        line = searched.along_lr(standing.cell)
        values = _scores(match, number, by_iterations)[line]
        if by_height:
            values = np.where(values > MAX_RATIO * start, np.nan, np.maximum(values, FLOOR * start))
        lr, chosen = searched.lr[line], line == standing.cell
        rates.append(lr[np.isfinite(lr)])  # schedules have no number
        panel.plot(lr, values, **{**curve.line, "linestyle": curve.line_style if len(line) > 1 else "none"})
        panel.plot(lr[chosen], values[chosen], color=curve.color, **style.BEST_POINT)
    style.plain_ticks(panel)
    every = np.concatenate(rates)
    if len(every) and every.min() > 0:
        panel.set_xlim(every.min() / 1.5, every.max() * 1.5)
        style.log_scale(panel, "x")
    low, high = panel.dataLim.intervaly
    if not (np.isfinite(low) and np.isfinite(high)):
        panel.set_yticks([])
        panel.text(0.5, 0.5, "every trial diverges", transform=panel.transAxes, ha="center", color="#666666")
    elif (known or by_iterations) and low > 0:
        style.log_scale(panel)
        panel.grid(True, axis="y")
        if by_height:
            panel.axhline(start, color="#999999", linewidth=0.8, zorder=0)
            place: style.Style = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            panel.annotate("start", (0, start), (3, 2), fontsize=8, color="#666666", **place)
    elif not known and high - low > WIDE:
        style.symmetric_log_scale(panel)
    return label


def search_figure(report: ComparisonReport, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw every searched setting, coloured by its result, over lr and a second hyperparameter.

    If no other number was searched, the result itself is the second axis. The chosen setting has a star.

    Raises
    ------
    ValueError
        If no learning rate was searched.
    """
    options = options or FigureOptions()
    result = report.result
    names = method_names(result.comparison.experiments[0])
    numbers = _drawn(result)
    searches = [
        (match, number, second)
        for match in result.matches
        for number in numbers
        for second in match.searched[number].second_axes[:1]
    ]
    if not searches:
        every = [(match, number, "") for match in result.matches for number in numbers]
        searches = [each for each in every if len(np.unique(each[0].searched[each[1]].lr)) > 1]
    if not searches:
        raise ValueError("no learning rate was searched")
    chosen = np.linspace(0, len(searches) - 1, min(len(searches), style.MAX_SHOWN)).round().astype(int)
    remark = style.join(
        "dots: every setting tried, grey if it diverged or did not converge; star: chosen setting",
        f"{len(chosen)} of {len(searches)} searches, evenly spaced" if len(chosen) < len(searches) else "",
    )
    searches = [searches[i] for i in chosen]
    has_bar = any(second for *_, second in searches)
    label, by_iterations = _scored_by(result, *(match for match, *_ in searches))
    scores = [_scores(match, number, by_iterations) for match, number, _ in searches]
    norm = _norm(np.concatenate([each[np.isfinite(each)] for each in scores]))
    margins = Margins(left=0.95, right=1.3 if has_bar else 0.3, top=0.4, between_columns=0.75, between_rows=0.8)
    with sheet(
        len(searches),
        (4.6 if len(searches) in (1, 2, 4) else 3.7, 3.4),
        options,
        ax=ax,
        margins=margins,
        title=f"{result.comparison.name}: settings tried",
        remark=remark,
    ) as page:
        for panel, (match, number, second), values in zip(page.panels, searches, scores, strict=True):
            image = _draw_search(panel, match, number, second, values, norm)
            if not second and isinstance(norm, LogNorm):
                _set_results(panel, match, values, by_iterations)
            panel.set_ylabel(axis_name(second) if second else label)
            where = f" on {_surface_label(match)}" if len(result.matches) > 1 else ""
            page.add_title(panel, names[number] + where)
        if has_bar:
            page.add_color_bar(image, label)
    return page.figure


def _draw_search(panel: Axes, match: Match, number: int, second: str, values: Array, norm: Normalize) -> Any:
    """Draw the settings of one optimizer over lr and a second hyperparameter, or their result; return the dots."""
    searched, cell = match.searched[number], match.standing(number).cell
    lr = searched.lr
    heights = searched.columns[second].astype(np.float64) if second else values
    is_share = bool(second) and heights.min() >= 0 and 0.9 <= heights.max() < 1
    if is_share:  # such hyperparameters are searched on a log scale of 1 − β
        heights = -np.log10(1 - heights)
    good = np.isfinite(values)
    order = np.flatnonzero(good)[np.argsort(values[good])[::-1]]  # the best last, on top
    look: style.Style = {"s": min(max(6000 / searched.cells, 6), 60), "linewidth": 0}
    panel.scatter(lr[~good], heights[~good], color="#bbbbbb", **look)
    dots = panel.scatter(lr[order], heights[order], c=values[order], cmap=style.VALUE_COLORS, norm=norm, **look)
    panel.plot(lr[[cell]], heights[[cell]], **style.CHOSEN)

    style.plain_ticks(panel)
    panel.set_xlabel("lr")
    if lr.min() > 0:
        style.log_scale(panel, "x")
    if is_share:
        panel.set_yticks(*style.complement_ticks(float(heights.max())))
    return dots


def _set_results(panel: Axes, match: Match, values: Array, by_iterations: bool) -> None:
    """Set the vertical axis to results on a log scale; settings close to divergence would hide the others."""
    highest = float(np.nanmax(values))
    if not by_iterations:
        highest = min(highest, float(quantile(match.yardstick.heights(match.yardstick.start_losses), 0.5)))
    panel.set_ylim(float(np.nanmin(values)) / 3, highest * 3)
    style.log_scale(panel)
    panel.grid(True, axis="y")


def profile_figure(report: ComparisonReport, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw the performance profile (Dolan and Moré) and the data profile (Moré and Wild) over surfaces and starts."""
    result = report.result
    curves, drawn = _curves(result), _drawn(result)
    costs, ratios = result.costs[drawn], performance_ratios(result.costs)[drawn]
    solved = f"{costs.shape[1]} problems, solved when {report.target}"
    with sheet(
        2,
        (4.6, 3.4),
        options or FigureOptions(),
        ax=ax,
        margins=Margins(left=0.85, top=0.4, between_columns=0.5),
        sharey=True,
        title=f"{result.comparison.name}: problems solved against cost",
        remark=style.join(solved, CAUTION, _drawn_remark(result)),
        curves=curves,
    ) as page:
        for panel, values, low in zip(page.panels, (ratios, costs), (1.0, 0.0), strict=True):
            last = max(float(values[np.isfinite(values)].max(initial=low)), low + 1) * 1.1
            for row, curve in zip(values, curves, strict=True):
                steps, shares = profile(row)
                x, y = np.concatenate([[low], steps, [last]]), np.concatenate([[0.0], shares, shares[-1:], [0.0]])
                panel.step(x, y[: len(x)], where="post", **curve.line)
            panel.set_xlim(low, last)
            panel.set_ylim(-0.02, 1.04)
        relative, absolute = page.panels
        style.plain_ticks(absolute, whole_x=True)
        style.plain_ticks(relative)
        relative.set_xscale("log", base=2)
        relative.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.plain_number(value)))
        relative.xaxis.set_minor_locator(NullLocator())
        relative.set_ylabel("share of problems solved")
        relative.set_title("performance profile (Dolan–Moré)", loc="left")
        absolute.set_title("data profile (Moré–Wild)", loc="left")
        relative.set_xlabel("gradient evaluations relative to the best optimizer")
        absolute.set_xlabel("gradient evaluations")
    return page.figure


# The optimizers that are drawn: the same ones in the same colours in every figure of a comparison


def _drawn(result: ComparisonResult) -> list[int]:
    """Return the numbers of the drawn optimizers: all or, if there are many, the best by mean rank."""
    total = np.zeros(len(result.comparison.experiments[0].optimizers))
    for match in result.matches:
        for standing in match.standings:
            total[standing.number] += standing.rank
    return sorted(np.argsort(total, kind="stable")[: style.MAX_SHOWN].tolist())


def _drawn_standings(result: ComparisonResult, match: Match) -> list[Standing]:
    drawn = _drawn(result)
    return [standing for standing in match.standings if standing.number in drawn]


def _drawn_remark(result: ComparisonResult) -> str:
    count = len(result.comparison.experiments[0].optimizers)
    return f"the best {style.MAX_SHOWN} of {count} optimizers" if count > style.MAX_SHOWN else ""


def _curves(result: ComparisonResult) -> list[style.CurveStyle]:
    """Return the curve of each optimizer, labelled without the settings chosen for one surface."""
    drawn = _drawn(result)
    choices, names = result.comparison.experiments[0].optimizers, method_names(result.comparison.experiments[0])
    colors = optimizer_colors([choices[number].name for number in drawn])
    return [
        style.CurveStyle(label=names[number], color=color, line_style=dashes)
        for number, (color, dashes) in zip(drawn, colors, strict=True)
    ]


def _first_trials(result: ComparisonResult, match: Match) -> list[ShownTrial]:
    """Return the first trial of each optimizer, in the order of the comparison."""
    return [_shown(result, match, match.standing(number))[0] for number in _drawn(result)]


def _shown(result: ComparisonResult, match: Match, standing: Standing) -> list[ShownTrial]:
    """Return all trials of one optimizer in its colour; dashed if its curve coincides with another."""
    labels = Labels(match.experiment)
    curve = _curves(result)[_drawn(result).index(standing.number)]
    twin = min(standing.same_as, default=standing.number)
    coincides = twin < standing.number
    remark = f" = {match.experiment.optimizers[twin].name}" if coincides else ""
    trials = [match.result.plan.trial(number) for number in match.trials_of(standing.number)]
    return [
        ShownTrial(
            trial=trial,
            label=labels.method(trial) + remark,
            members=[trial.number],
            diverged=match.result.status_of(trial.number) is Status.DIVERGED,
            color=curve.color,
            line_style="--" if coincides else curve.line_style,
        )
        for trial in trials
    ]


def _outcome(match: Match, standing: Standing) -> str:
    if match.starts > 1:
        reached = int(np.isfinite(match.evaluations_to_target[standing.number]).sum())
        return f"{reached} of {match.starts} trials reach the target"
    number = match.trials_of(standing.number)[0]
    diverged = "diverged after " if match.result.status_of(number) is Status.DIVERGED else ""
    return f"{diverged}{match.result.iterations[number]:,} iterations, loss {match.result.final_losses[number]:.3g}"


def _surface_label(match: Match) -> str:
    return Labels(match.experiment).surface(match.result.plan.trial(0))


def _scores(match: Match, number: int, by_iterations: bool) -> Array:
    """Return the median iterations or final loss of each setting of an optimizer; NaN if it is infinite."""
    searched = match.searched[number]
    iterations_or_loss, height, _ = searched.keys(match.search_yardstick)
    score = iterations_or_loss if by_iterations else height
    return np.where(np.isfinite(score), score, np.nan)


def _scored_by(result: ComparisonResult, *matches: Match) -> tuple[str, bool]:
    """Return the label of the results that are drawn, and whether they are iterations.

    If no setting converges, final losses are drawn even if iterations were compared.
    """
    median = "median " if matches[0].starts > 1 else ""
    if result.comparison.objective is Objective.ITERATIONS:
        scores = [_scores(match, number, True) for match in matches for number in _drawn(result)]
        if np.isfinite(np.concatenate(scores)).any():
            return f"{median}iterations to convergence", True
    above = "" if not matches[0].yardstick.is_known else " above the known minimum"
    return f"{median}final loss{above}", False


def _norm(finite: Array) -> Normalize:
    """Return a colour scale that saturates at the worst tenth; logarithmic if all results are positive."""
    if not len(finite):
        return Normalize(0.0, 1.0)
    low, high = float(finite.min()), float(np.quantile(finite, 0.9))
    return LogNorm(low, max(high, 1.1 * low)) if low > 0 else Normalize(low, max(high, low + 1e-12))
