"""The figures of a comparison: paths, losses and velocities of the chosen settings, sensitivity to lr, and profiles."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from momentumlab.experiment import Objective, method_names
from momentumlab.registry import Array
from momentumlab.report.figures import style
from momentumlab.report.figures.curves import WIDE, finish, head_height, loss_figure, velocity_figure
from momentumlab.report.figures.selection import MOST_SHOWN, Curve, Panelled, Shown, join
from momentumlab.report.figures.style import VALUES
from momentumlab.report.figures.trajectory import arrangement, trajectory_figure
from momentumlab.report.labels import Labels, axis_name, point, repeats
from momentumlab.report.reports import ComparisonReport
from momentumlab.result import Status
from momentumlab.search import ComparisonResult, Match, Standing
from momentumlab.search.profiles import performance_ratios, profile
from momentumlab.search.ranking import FLOOR, quantile
from momentumlab.surfaces.base import Intervals

CUT = 100.0
"""Results this many times higher than the start are cut."""

CAUTION = "a performance profile tells who is best; the order of the others depends on who takes part"


def contest_trajectory_figure(report: ComparisonReport, surface: int, *, view: Intervals | None = None) -> Figure:
    """The paths of the chosen settings on one surface, a panel per optimizer, in order of rank."""
    result, match = report.result, report.result.matches[surface]
    groups = []
    for standing in _drawn_standings(result, match):
        trials = _shown(result, match, standing)
        told = f"rank {standing.rank}: {_outcome(match, standing)}"
        groups.append(Panelled(label=trials[0].label, told=told, color=trials[0].color, trials=trials))
    return trajectory_figure(report.reports[surface], groups, report.headline(surface), _remark(result), view=view)


def contest_loss_figure(report: ComparisonReport, surface: int) -> Figure:
    """The loss against gradient evaluations: a curve per optimizer; over several starts the median and quartiles."""
    result, match = report.result, report.result.matches[surface]
    shown = [_shown(result, match, standing)[0] for standing in _by_number(_drawn_standings(result, match))]
    if match.starts == 1:
        return loss_figure(
            report.reports[surface], shown, report.headline(surface), _remark(result), "gradient evaluations"
        )
    bands = {one.number: _band(match, one) for one in shown}
    above = not math.isnan(match.yardstick.known)
    remark = join(f"median and quartiles of {repeats(match.experiment)}", _remark(result))
    with style.styled():
        margins = style.Margins(left=0.95, top=head_height(shown, 1, remark) + 0.15)
        figure, (panel,) = style.panels(1, 1, 6.4, 3.6, margins)
        for one in shown:
            evaluations, (low, median, high) = bands[one.number]
            panel.fill_between(evaluations, low, high, color=one.color, alpha=0.1, linewidth=0)
            panel.plot(evaluations, median, color=one.color, linestyle=one.line_style, linewidth=1.5)
        style.plain_ticks(panel, whole_x=True)
        heights = np.concatenate([np.concatenate(curves) for _, curves in bands.values()])
        if above:
            start = float(np.max(match.yardstick.heights(match.yardstick.start_losses)))
            panel.set_ylim(float(heights.min()) / 3, min(float(heights.max()) * 3, CUT * start))
            style.log_scale(panel)
            panel.grid(True, axis="y")
        elif np.ptp(heights) > WIDE:
            style.symmetric_log_scale(panel)
        panel.set_ylabel("loss above the known minimum" if above else "loss")
        finish(figure, [panel], shown, report.headline(surface), remark, "gradient evaluations")
    return figure


def contest_velocity_figure(report: ComparisonReport, surface: int) -> Figure:
    """The velocity against the iteration, a curve per optimizer, from the first start."""
    result, match = report.result, report.result.matches[surface]
    shown = [_shown(result, match, standing)[0] for standing in _by_number(_drawn_standings(result, match))]
    first = f"from the first start, {point(shown[0].trial.start)}" if match.starts > 1 else ""
    return velocity_figure(report.reports[surface], shown, report.headline(surface), join(first, _remark(result)))


def sensitivity_figure(report: ComparisonReport) -> Figure:
    """The result against the learning rate, a panel per surface and a curve per optimizer, with the chosen lr marked.

    Other hyperparameters are as chosen. A curve has a gap where the optimizer diverges or, by iterations, does not
    arrive.

    Raises
    ------
    ValueError
        If no learning rate was searched.
    """
    result = report.result
    if not result.searched_rates:
        raise ValueError("no learning rate was searched")
    curves = _curves(result)
    by_iterations = result.comparison.objective is Objective.ITERATIONS
    gaps = "does not arrive" if by_iterations else f"diverges or ends {CUT:g} times higher than it began"
    remark = join(
        f"dots mark the chosen lr; other hyperparameters as chosen; a gap where a method {gaps}", _remark(result)
    )
    rows, columns = arrangement(len(result.matches))
    with style.styled():
        margins = style.Margins(left=0.95, top=head_height(curves, columns, remark) + 0.35, between_columns=0.75)
        width = 6.4 if columns == 1 else 4.4
        figure, panels = style.panels(rows, columns, width, 3.6, margins)
        for unused in panels[len(result.matches) :]:
            unused.remove()
        for panel, match in zip(panels, result.matches, strict=False):
            _draw_sensitivity(panel, result, match, curves)
            panel.set_xlabel("lr")
            if len(result.matches) > 1:
                panel.set_title(_surface_label(match), loc="left")
        heading = f"{result.comparison.objective.words} against lr"
        heading += f" on {_surface_label(result.matches[0])}" if len(result.matches) == 1 else ""
        finish(figure, panels[: len(result.matches)], curves, heading, remark, "lr")
        names = [_result_name(result, match) for match in result.matches]
        for panel, name in zip(panels, names, strict=False):
            if panel is panels[0] or len(set(names)) > 1:
                panel.set_ylabel(name)
    return figure


def search_figure(report: ComparisonReport) -> Figure:
    """Every setting that was tried, by lr and one more hyperparameter, coloured by its result; the chosen one marked.

    Raises
    ------
    ValueError
        If no optimizer searched lr and another number.
    """
    result = report.result
    drawn = _drawn(result)
    names = method_names(result.comparison.experiments[0])
    shown = [
        (match, number, other)
        for match in result.matches
        for number in drawn
        for other in match.searched[number].second_axes[:1]
    ]
    if not shown:
        raise ValueError("no second hyperparameter was searched")
    thinned = "" if len(shown) <= MOST_SHOWN else f"{MOST_SHOWN} of {len(shown)} searches"
    shown = [shown[i] for i in np.linspace(0, len(shown) - 1, min(len(shown), MOST_SHOWN)).round().astype(int)]
    rows, columns = arrangement(len(shown))
    with style.styled():
        margins = style.Margins(left=0.9, right=1.25, top=1.0, between_columns=0.75, between_rows=0.8)
        figure, panels = style.panels(rows, columns, 4.6 if columns < 3 else 3.7, 3.4, margins)
        for unused in panels[len(shown) :]:
            unused.remove()
        values = [_results_of(match, number) for match, number, _ in shown]
        finite = np.concatenate([each[np.isfinite(each)] for each in values])
        norm = _norm(finite)
        for panel, (match, number, other), results in zip(panels, shown, values, strict=False):
            one, standing = match.searched[number], match.standing(number)
            rates, others = one.lr, one.columns[other].astype(np.float64)
            good = np.isfinite(results)
            panel.scatter(rates[~good], others[~good], s=3, color="#cccccc", linewidth=0)
            order = np.flatnonzero(good)[np.argsort(results[good])[::-1]]  # the best last, on top
            image = panel.scatter(
                rates[order], others[order], c=results[order], s=6, cmap=VALUES, norm=norm, linewidth=0
            )
            chosen = {**style.MINIMUM, "markersize": 13, "markerfacecolor": "white"}
            panel.plot(rates[[standing.cell]], others[[standing.cell]], **chosen)
            style.plain_ticks(panel)
            if rates.min() > 0:
                style.log_scale(panel, "x")
            panel.set_xlabel("lr")
            panel.set_ylabel(axis_name(other))
            where = f" on {_surface_label(match)}" if len(result.matches) > 1 else ""
            panel.set_title(names[number] + where, loc="left", fontweight="bold")
        width, height = figure.get_size_inches()
        place = figure.add_axes((1 - 1.05 / width, margins.bottom / height, 0.16 / width, 1 - 1.7 / height))
        figure.colorbar(image, cax=place).set_label(_result_name(result, shown[0][0]))
        if isinstance(norm, LogNorm):
            style.log_scale(place)
        told = "every setting that was tried; grey: not arrived or diverged; the star: chosen"
        style.headline(figure, f"{result.comparison.name}: the search", join(told, thinned))
    return figure


def _results_of(match: Match, number: int) -> Array:
    one = match.searched[number]
    results: Array = match.yardstick.keys(one.final_losses, one.iterations, one.status_codes)[0]
    return results


def _norm(finite: Array) -> Normalize:
    """Colours for these results, the worst tenth alike: on a log scale if all are positive."""
    if not len(finite):
        return Normalize(0.0, 1.0)
    low, high = float(finite.min()), float(np.quantile(finite, 0.9))
    return LogNorm(low, max(high, 1.1 * low)) if low > 0 else Normalize(low, max(high, low + 1e-12))


def profile_figure(report: ComparisonReport) -> Figure:
    """The performance profile (Dolan and Moré) and the data profile (Moré and Wild) over all surfaces and starts."""
    result = report.result
    curves = _curves(result)
    drawn = _drawn(result)
    costs, ratios = result.costs[drawn], performance_ratios(result.costs)[drawn]
    remark = f"{costs.shape[1]} problems, solved when {report.target}"
    caution = join(CAUTION, _remark(result))
    with style.styled():
        margins = style.Margins(left=0.85, bottom=0.85, top=head_height(curves, 2, remark) + 0.35, between_columns=0.5)
        figure, panels = style.panels(1, 2, 4.6, 3.4, margins, sharey=True)
        figure.text(0.015, 0.02, caution, fontsize=9, color="#444444")
        for panel, values in zip(panels, (ratios, costs), strict=True):
            finite = values[np.isfinite(values)]
            low = 1.0 if values is ratios else 0.0
            last = max(float(finite.max(initial=low)), low + 1) * 1.1
            for i, curve in enumerate(curves):
                steps, shares = profile(values[i])
                x, y = np.concatenate([[low], steps, [last]]), np.concatenate([[0.0], shares, shares[-1:], [0.0]])
                panel.step(x, y[: len(x)], where="post", color=curve.color, linestyle=curve.line_style, linewidth=1.5)
            panel.set_xlim(low, last)
            panel.set_ylim(-0.02, 1.04)
        style.plain_ticks(panels[1], whole_x=True)
        style.plain_ticks(panels[0])
        if panels[0].get_xlim()[1] > 10:
            style.log_scale(panels[0], "x")
        panels[0].set_ylabel("share of problems solved")
        panels[0].set_title("performance profile (Dolan–Moré)", loc="left")
        panels[1].set_title("data profile (Moré–Wild)", loc="left")
        finish(figure, panels, curves, f"{result.comparison.name}: how many problems, at what cost", remark)
        panels[0].set_xlabel("gradient evaluations, as a multiple of the best method's")
        panels[1].set_xlabel("gradient evaluations")
    return figure


# Which optimizers are drawn, and how: the same in every figure of a comparison


def _drawn(result: ComparisonResult) -> list[int]:
    """The numbers of the optimizers that are drawn: all, or of many the best by mean rank."""
    count = len(result.comparison.experiments[0].optimizers)
    mean = np.zeros(count)
    for match in result.matches:
        for standing in match.standings:
            mean[standing.number] += standing.rank
    return sorted(np.argsort(mean, kind="stable")[:MOST_SHOWN].tolist())


def _drawn_standings(result: ComparisonResult, match: Match) -> list[Standing]:
    drawn = _drawn(result)
    return [standing for standing in match.standings if standing.number in drawn]


def _by_number(standings: Sequence[Standing]) -> list[Standing]:
    return sorted(standings, key=lambda standing: standing.number)


def _remark(result: ComparisonResult) -> str:
    count = len(result.comparison.experiments[0].optimizers)
    return f"the best {MOST_SHOWN} of {count} optimizers" if count > MOST_SHOWN else ""


def _curves(result: ComparisonResult) -> list[Curve]:
    """A curve for each optimizer that is drawn, named by what was given, not by what was chosen for one surface."""
    names = method_names(result.comparison.experiments[0])
    return [
        Curve(label=names[number], color=style.color(i), line_style=style.line_style(i))
        for i, number in enumerate(_drawn(result))
    ]


def _shown(result: ComparisonResult, match: Match, standing: Standing) -> list[Shown]:
    """All trials of one optimizer, in its colour."""
    labels = Labels(match.experiment)
    place = _drawn(result).index(standing.number)
    trials = [match.result.plan.trial(number) for number in match.trials_of(standing.number)]
    twin = min(standing.same_as, default=standing.number)
    has_twin = twin < standing.number  # its curve lies on another one
    remark = f" = {match.experiment.optimizers[twin].name}" if has_twin else ""
    return [
        Shown(
            trial=trial,
            label=labels.method(trial) + remark,
            diverged=match.result.status_of(trial.number) is Status.DIVERGED,
            color=style.color(place),
            line_style="--" if has_twin else style.line_style(place),
        )
        for trial in trials
    ]


def _outcome(match: Match, standing: Standing) -> str:
    """How it went, in a line above a panel."""
    if match.starts > 1:
        reached = int(np.isfinite(match.evaluations_to_target[standing.number]).sum())
        return f"{reached} of {match.starts} paths reach the target"
    number = match.trials_of(standing.number)[0]
    status = match.result.status_of(number)
    verb = f"{status.label} after " if status is Status.DIVERGED else ""
    return f"{verb}{match.result.iterations[number]:,} iterations, loss {match.result.final_losses[number]:.3g}"


def _surface_label(match: Match) -> str:
    return Labels(match.experiment).surface(match.result.plan.trial(0))


def _result_name(result: ComparisonResult, match: Match) -> str:
    median = "median " if match.starts > 1 else ""
    if result.comparison.objective is Objective.ITERATIONS:
        return f"{median}iterations to convergence"
    if math.isnan(match.yardstick.known):
        return f"{median}final loss"
    return f"{median}final loss above the known minimum"


def _band(match: Match, one: Shown) -> tuple[Array, tuple[Array, Array, Array]]:
    """Quartiles of the losses of one optimizer's trials against the iteration; what has ended stays where it was."""
    numbers = np.arange(one.number, one.number + match.starts)
    losses = match.result.losses[numbers].copy()
    diverged = match.result.status_codes[numbers] == Status.DIVERGED.code
    for row, number, has_diverged in zip(losses, numbers, diverged, strict=True):
        length = len(match.result.recorded(int(number)))
        row[length:] = np.inf if has_diverged else row[length - 1]
    heights = match.yardstick.heights(losses.T).T
    known = not math.isnan(match.yardstick.known)
    if known:
        top = match.yardstick.heights(match.yardstick.start_losses).max()
        heights = np.clip(heights, FLOOR * top, None)
    longest = int(match.result.iterations[numbers].max())
    entries = match.result.recorded(int(numbers[match.result.iterations[numbers].argmax()]))
    low, median, high = (quantile(heights.T[: len(entries)], q) for q in (0.25, 0.5, 0.75))
    limit = 1e100
    clipped = tuple(
        np.clip(np.nan_to_num(curve, nan=limit, posinf=limit), -limit, limit) for curve in (low, median, high)
    )
    return np.minimum(entries, longest).astype(np.float64), (clipped[0], clipped[1], clipped[2])


def _draw_sensitivity(panel: Axes, result: ComparisonResult, match: Match, curves: Sequence[Curve]) -> None:
    known = not math.isnan(match.yardstick.known)
    logarithmic = known or result.comparison.objective is Objective.ITERATIONS
    start = float(quantile(match.yardstick.heights(match.yardstick.start_losses), 0.5))
    highest = CUT * start if known else np.inf
    lowest_rate, highest_rate = np.inf, 0.0
    for number, curve in zip(_drawn(result), curves, strict=True):
        one, standing = match.searched[number], match.standing(number)
        line = one.along_lr(standing.cell)
        values, *_ = match.yardstick.keys(one.final_losses[line], one.iterations[line], one.status_codes[line])
        if known and result.comparison.objective is Objective.FINAL_LOSS:
            values = np.where(values > highest, np.nan, np.maximum(values, FLOOR * start))
        values = np.where(np.isfinite(values), values, np.nan)
        rates = one.lr[line]
        known_rates = rates[np.isfinite(rates)].tolist()  # the others follow schedules
        lowest_rate, highest_rate = min(lowest_rate, *known_rates, np.inf), max(highest_rate, *known_rates, 0.0)
        lone = "" if len(line) > 1 else "none"
        panel.plot(rates, values, color=curve.color, linestyle=lone or curve.line_style, linewidth=1.5)
        chosen = line == standing.cell
        panel.plot(
            rates[chosen],
            values[chosen],
            marker="o",
            markersize=7,
            color=curve.color,
            markeredgecolor="black",
            linestyle="none",
            zorder=5,
        )
    style.plain_ticks(panel)
    if not np.isfinite(panel.dataLim.intervaly).all():
        panel.set_yticks([])
        nobody = "arrives" if result.comparison.objective is Objective.ITERATIONS else "stays finite"
        panel.text(0.5, 0.5, f"nobody {nobody}", transform=panel.transAxes, ha="center", color="#666666")
    if lowest_rate > 0:
        panel.set_xlim(lowest_rate / 1.5, highest_rate * 1.5)
        style.log_scale(panel, "x")
    if logarithmic and panel.dataLim.ymin > 0:
        style.log_scale(panel)
        panel.grid(True, axis="y")
        if known and result.comparison.objective is Objective.FINAL_LOSS:
            panel.axhline(start, color="#999999", linewidth=0.8, zorder=0)
            panel.annotate(
                "start",
                (0, start),
                (3, 2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=8,
                color="#666666",
            )
    elif not known and np.ptp(panel.dataLim.intervaly) > WIDE:
        style.symmetric_log_scale(panel)
