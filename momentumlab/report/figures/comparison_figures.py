"""Figures of a comparison: the chosen settings of each optimizer, the search, sensitivity to lr, and profiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
from momentumlab.report.figures.curves import WIDE, loss_figure, quantity_figure, velocity_figure
from momentumlab.report.figures.histories import MAX_VALUE, bundle_remark, curve_of
from momentumlab.report.figures.sheets import Axeses, Margins, sheet
from momentumlab.report.figures.trajectory import PathPanel, trajectory_figure
from momentumlab.report.figures.trials import Selection, ShownTrial, optimizer_colors
from momentumlab.report.labels import Labels, axis_name, point
from momentumlab.report.reports import ComparisonReport
from momentumlab.result import Status
from momentumlab.search import Match
from momentumlab.search.profiles import performance_ratios, profile
from momentumlab.search.ranking import FLOOR, quantile

MAX_RATIO = 100.0
"""Results that exceed the initial value by this factor are not drawn."""

CAUTION = "the profile identifies the best optimizer; the order of the others depends on which ones are compared"


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnOptimizers:
    """The optimizers of a comparison that are drawn: the same ones in the same colours in all of its figures."""

    report: ComparisonReport

    @cached_property
    def numbers(self) -> list[int]:
        """The numbers of the optimizers in the comparison: all or, if there are many, the best by mean rank."""
        total = np.zeros(len(self._choices))
        for match in self.report.result.matches:
            for standing in match.standings:
                total[standing.number] += standing.rank
        return sorted(np.argsort(total, kind="stable")[: style.MAX_SHOWN].tolist())

    @property
    def _choices(self) -> Sequence[Any]:
        return self.report.result.comparison.experiments[0].optimizers

    @cached_property
    def remark(self) -> str:
        """A remark if there are more optimizers than can be drawn."""
        count = len(self._choices)
        return f"the best {style.MAX_SHOWN} of {count} optimizers" if count > style.MAX_SHOWN else ""

    @cached_property
    def curves(self) -> dict[int, style.CurveStyle]:
        """The look of each optimizer by its number, labelled without the settings that were chosen for one surface."""
        names = method_names(self.report.result.comparison.experiments[0])
        colors = optimizer_colors([self._choices[number].name for number in self.numbers])
        return {
            number: style.CurveStyle(label=names[number], color=color, line_style=dashes)
            for number, (color, dashes) in zip(self.numbers, colors, strict=True)
        }

    def chosen(self, match: Match, number: int) -> ShownTrial:
        """Return the trials of the chosen setting of an optimizer; dashed if its curve coincides with another."""
        curve, numbers = self.curves[number], match.trials_of(number)
        trial = match.result.plan.trial(numbers[0])
        twin = min(match.standing(number).same_as, default=number)
        coincides = twin < number
        remark = f" = {match.experiment.optimizers[twin].name}" if coincides else ""
        return ShownTrial(
            trial=trial,
            label=Labels(match.experiment).method(trial) + remark,
            members=numbers,
            diverged=any(match.result.status_of(each) is Status.DIVERGED for each in numbers),
            color=curve.color,
            line_style="--" if coincides else curve.line_style,
        )

    def on(self, match: Match) -> list[ShownTrial]:
        """Return the chosen trials of each optimizer on a surface, in the order of the comparison."""
        return [self.chosen(match, number) for number in self.numbers]

    def scores(self, *matches: Match) -> "Scores":
        """Return the results of all settings that were searched on some surfaces.

        These are final losses unless iterations were compared and a setting converged.
        """
        objective = self.report.result.comparison.objective
        keys = [
            {number: match.searched[number].keys(match.search_yardstick) for number in self.numbers}
            for match in matches
        ]
        median = "median " if matches[0].starts > 1 else ""
        if objective is Objective.ITERATIONS:
            values = [{number: _finite(key[0]) for number, key in each.items()} for each in keys]
            if any(np.isfinite(value).any() for each in values for value in each.values()):
                return Scores(label=f"{median}iterations to convergence", are_iterations=True, values=values)
        above = " above the known minimum" if matches[0].yardstick.is_known else ""
        values = [{number: _finite(key[1]) for number, key in each.items()} for each in keys]
        return Scores(label=f"{median}final loss{above}", are_iterations=False, values=values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The results of searched settings, and the label of the axis on which they are drawn.

    Attributes
    ----------
    values
        For each surface, the result of each setting by the number of the optimizer, ``(cells,)``; NaN if it diverged or
        did not converge.
    """

    label: str
    are_iterations: bool
    values: Sequence[dict[int, Array]]


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _surface_label(match: Match) -> str:
    return Labels(match.experiment).surface(match.result.plan.trial(0))


# The chosen settings on one surface


def comparison_trajectory_figure(
    report: ComparisonReport, surface: int, options: FigureOptions | None = None, *, ax: Axeses = None
) -> Figure:
    """Draw the trajectories of the chosen settings on one surface, a panel per optimizer in order of rank."""
    drawn, match = DrawnOptimizers(report=report), report.result.matches[surface]
    panels = []
    for standing in match.standings:
        if standing.number not in drawn.numbers:
            continue
        chosen, first = drawn.chosen(match, standing.number), match.trials_of(standing.number)[0]
        if match.starts > 1:
            reached = int(np.isfinite(match.evaluations_to_target[standing.number]).sum())
            outcome = f"{reached} of {match.starts} trials reach the target"
        else:
            diverged = "diverged after " if chosen.diverged else ""
            count, loss = match.result.iterations[first], match.result.final_losses[first]
            outcome = f"{diverged}{count:,} iterations, loss {loss:.3g}"
        panels.append(
            PathPanel(
                title=chosen.label,
                subtitle=f"rank {standing.rank}: {outcome}",
                color=chosen.color,
                trials=chosen.singly(match.result),
            )
        )
    title = report.headline(surface)
    return trajectory_figure(report.reports[surface], options, groups=panels, title=title, remark=drawn.remark, ax=ax)


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
    drawn, match = DrawnOptimizers(report=report), report.result.matches[surface]
    shown = [chosen.singly(match.result)[0] for chosen in drawn.on(match)]
    first = f"from the first start, {point(shown[0].trial.start)}" if match.starts > 1 else ""
    return Selection(trials=shown, title=report.headline(surface), remark=style.join(first, drawn.remark))


def comparison_loss_figure(
    report: ComparisonReport, surface: int, options: FigureOptions | None = None, *, ax: Axeses = None
) -> Figure:
    """Draw the loss against gradient evaluations, a curve per optimizer; for several starts, their quartiles."""
    options = options or FigureOptions()
    drawn, match = DrawnOptimizers(report=report), report.result.matches[surface]
    title, shown = report.headline(surface), drawn.on(match)
    # An iteration may take several evaluations.
    abscissa = "gradient evaluations" if (match.result.gradients_per_step == 1).all() else "iterations"
    if match.starts == 1:
        selection = Selection(trials=shown, title=title, remark=drawn.remark)
        return loss_figure(report.reports[surface], options, selection=selection, abscissa=abscissa, ax=ax)

    # Each trial is measured from the minimum as in the ranking, and close to it on the same scale.
    yardstick = match.yardstick
    above = yardstick.is_known
    start = float(np.max(yardstick.heights(yardstick.start_losses)))
    remark = style.join(bundle_remark(match.result, shown, with_members=False), drawn.remark)
    margins = Margins(left=0.95, top=0.15)
    with sheet(1, (6.4, 3.6), options, ax=ax, margins=margins, title=title, remark=remark, curves=shown) as page:
        (panel,) = page.panels
        for one in shown:
            heights = yardstick.heights(match.result.losses[one.members].T).T
            heights = np.maximum(heights, FLOOR * start if above else -MAX_VALUE)
            curve_of(match.result, one, heights, with_members=False).draw(panel)
        style.plain_ticks(panel, whole_x=True)
        lowest, highest = panel.dataLim.intervaly
        if above:
            panel.set_ylim(lowest / 3, min(highest * 3, MAX_RATIO * start))
            style.log_scale(panel)
            panel.grid(True, axis="y")
        elif highest - lowest > WIDE:
            style.symmetric_log_scale(panel)
        panel.set_ylabel("loss above the known minimum" if above else "loss")
        panel.set_xlabel(abscissa)
    return page.figure


# The search


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
    result, objective = report.result, report.result.comparison.objective
    if not result.searched_rates:
        raise ValueError("no learning rate was searched")
    drawn = DrawnOptimizers(report=report)
    scores = [drawn.scores(match) for match in result.matches]
    by_iterations = objective is Objective.ITERATIONS
    neighbours = ", the best together with its neighbours" if objective is Objective.ROBUST_LOSS else ""
    gap = "does not converge" if by_iterations else f"diverges or exceeds {MAX_RATIO:g} × its initial value"
    fallback = by_iterations and not all(each.are_iterations for each in scores)
    remark = style.join(
        f"dots: chosen lr{neighbours}; other hyperparameters as chosen",
        f"gap: the optimizer {gap}",
        "final loss where no setting converged" if fallback else "",
        drawn.remark,
    )
    count = len(result.matches)
    with sheet(
        count,
        (6.4 if count == 1 else 4.4, 3.6),
        options,
        ax=ax,
        margins=Margins(left=0.95, top=0.15 if count == 1 else 0.4, between_columns=0.75),
        title=f"{objective.words} against lr" + (f" on {_surface_label(result.matches[0])}" if count == 1 else ""),
        remark=remark,
        curves=[*drawn.curves.values()],
    ) as page:
        for panel, match, each in zip(page.panels, result.matches, scores, strict=True):
            _draw_sensitivity(panel, match, each, drawn.curves)
            panel.set_xlabel("lr")
            if panel is page.panels[0] or len({score.label for score in scores}) > 1:
                panel.set_ylabel(each.label)
            if count > 1:
                panel.set_title(style.shortened(_surface_label(match)), loc="left")
    return page.figure


def _draw_sensitivity(panel: Axes, match: Match, scores: Scores, curves: dict[int, style.CurveStyle]) -> None:
    """Draw the results on one surface against lr."""
    yardstick = match.search_yardstick
    has_heights = yardstick.is_known and not scores.are_iterations
    start = float(quantile(yardstick.heights(yardstick.start_losses), 0.5))
    rates = []
    for number, curve in curves.items():
        searched, cell = match.searched[number], match.standing(number).cell
        line = searched.along_lr(cell)
        values = scores.values[0][number][line]
        if has_heights:
            values = np.where(values > MAX_RATIO * start, np.nan, np.maximum(values, FLOOR * start))
        lr, chosen = searched.lr[line], line == cell
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
    elif (yardstick.is_known or scores.are_iterations) and low > 0:
        style.log_scale(panel)
        panel.grid(True, axis="y")
        if has_heights:
            panel.axhline(start, color="#999999", linewidth=0.8, zorder=0)
            place: style.Style = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            panel.annotate("start", (0, start), (3, 2), fontsize=8, color="#666666", **place)
    elif not yardstick.is_known and high - low > WIDE:
        style.symmetric_log_scale(panel)


def search_figure(report: ComparisonReport, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw every searched setting, coloured by its result, over lr and a second hyperparameter.

    If no other number was searched, the result itself is the second axis. The chosen setting has a star.

    Raises
    ------
    ValueError
        If no learning rate was searched.
    """
    options = options or FigureOptions()
    result, drawn = report.result, DrawnOptimizers(report=report)
    # A panel per surface, optimizer and second hyperparameter; if there is none, per surface and optimizer.
    every = [(match, number) for match in result.matches for number in drawn.numbers]
    searches = [(match, n, second) for match, n in every for second in match.searched[n].second_axes[:1]]
    searches = searches or [(match, n, "") for match, n in every if len(np.unique(match.searched[n].lr)) > 1]
    if not searches:
        raise ValueError("no learning rate was searched")
    indices = np.linspace(0, len(searches) - 1, min(len(searches), style.MAX_SHOWN)).round().astype(int)
    remark = style.join(
        "dots: every setting tried, grey if it diverged or did not converge; star: chosen setting",
        f"{len(indices)} of {len(searches)} searches, evenly spaced" if len(indices) < len(searches) else "",
    )
    searches = [searches[i] for i in indices]
    scores = drawn.scores(*(match for match, *_ in searches))
    results = [each[number] for each, (_, number, _) in zip(scores.values, searches, strict=True)]
    norm = _norm(np.concatenate([each[np.isfinite(each)] for each in results]))
    has_bar = any(second for *_, second in searches)
    with sheet(
        len(searches),
        (4.6 if len(searches) in (1, 2, 4) else 3.7, 3.4),
        options,
        ax=ax,
        margins=Margins(left=0.95, right=1.3 if has_bar else 0.3, top=0.4, between_columns=0.75, between_rows=0.8),
        title=f"{result.comparison.name}: settings tried",
        remark=remark,
    ) as page:
        for panel, (match, number, second), values in zip(page.panels, searches, results, strict=True):
            image = _draw_search(panel, match, number, second, values, norm)
            if not second and isinstance(norm, LogNorm):
                # Settings close to divergence would hide the others.
                highest = float(np.nanmax(values))
                if not scores.are_iterations:
                    heights = match.yardstick.heights(match.yardstick.start_losses)
                    highest = min(highest, float(quantile(heights, 0.5)))
                panel.set_ylim(float(np.nanmin(values)) / 3, highest * 3)
                style.log_scale(panel)
                panel.grid(True, axis="y")
            panel.set_ylabel(axis_name(second) if second else scores.label)
            where = f" on {_surface_label(match)}" if len(result.matches) > 1 else ""
            page.add_title(panel, drawn.curves[number].label + where)
        if has_bar:
            page.add_color_bar(image, scores.label)
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


def _norm(finite: Array) -> Normalize:
    """Return a colour scale that saturates at the worst tenth; logarithmic if all results are positive."""
    if not len(finite):
        return Normalize(0.0, 1.0)
    low, high = float(finite.min()), float(np.quantile(finite, 0.9))
    return LogNorm(low, max(high, 1.1 * low)) if low > 0 else Normalize(low, max(high, low + 1e-12))


# All surfaces


def profile_figure(report: ComparisonReport, options: FigureOptions | None = None, *, ax: Axeses = None) -> Figure:
    """Draw the performance profile (Dolan and Moré) and the data profile (Moré and Wild) over surfaces and starts."""
    result = report.result
    drawn = DrawnOptimizers(report=report)
    costs, ratios = result.costs[drawn.numbers], performance_ratios(result.costs)[drawn.numbers]
    solved = f"{costs.shape[1]} problems, solved when {report.target}"
    with sheet(
        2,
        (4.6, 3.4),
        options or FigureOptions(),
        ax=ax,
        margins=Margins(left=0.85, top=0.4, between_columns=0.5),
        sharey=True,
        title=f"{result.comparison.name}: problems solved against cost",
        remark=style.join(solved, CAUTION, drawn.remark),
        curves=[*drawn.curves.values()],
    ) as page:
        for panel, values, low in zip(page.panels, (ratios, costs), (1.0, 0.0), strict=True):
            last = max(float(values[np.isfinite(values)].max(initial=low)), low + 1) * 1.1
            for row, curve in zip(values, drawn.curves.values(), strict=True):
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
