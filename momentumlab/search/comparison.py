"""Comparison of optimizers: search settings of each one, run the best settings again, and rank the results."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from momentumlab import engine
from momentumlab.experiment import GRID, Choice, Comparison, Experiment, Objective, Random, method_names
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Array, Value
from momentumlab.plan import make_plan
from momentumlab.result import Result, ShownAsTables, Status
from momentumlab.scales import bounds_of
from momentumlab.search.ranking import SEVERITY, Yardstick, finished, quantile, ranks_of, yardstick_of
from momentumlab.search.searched import RunPlan, Searched
from momentumlab.search.tuning import at_edges, search

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from momentumlab.report.figure_options import FigureSettings
    from momentumlab.report.table import Table

LEAST_REPEATS = 16
"""Minimum number of trials, over random starts and replicates, on which a chosen setting is judged."""

SAME_PATH = 1e-10
"""Optimizers whose trajectories differ by less than this fraction of their extent are the same method."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The result of one optimizer on one surface; over several starts, medians and quartiles.

    Attributes
    ----------
    number
        The index of the optimizer in the list of the comparison.
    choice
        The optimizer with the chosen setting.
    rank
        The rank from 1; equal results share a rank.
    cell
        The index of the chosen setting among the searched ones.
    setting
        The searched hyperparameters with the chosen values.
    evaluations_to_target
        Quartiles of the gradient evaluations until the target was reached; infinite if it was not.
    final_loss
        Quartiles; infinite for starts from which the trial diverges.
    result
        The quantity that is ranked: a quantile of the final loss, or the median iterations to convergence.
    counts
        The number of trials per status.
    always_diverged
        Whether all trials of all its settings diverged.
    robustness
        The fraction of the searched learning rates with a result within ten times the best; ``None`` for a single
        learning rate, and after zooms or halving, which search mostly near the best.
    same_as
        The other optimizers with the same trajectories.
    """

    number: int
    choice: Choice
    rank: int
    cell: int
    setting: Mapping[str, Value]
    evaluations_to_target: tuple[float, float, float]
    final_loss: tuple[float, float, float]
    result: float
    counts: Mapping[Status, int]
    always_diverged: bool
    robustness: float | None
    same_as: tuple[int, ...]

    @property
    def diverged(self) -> float:
        """The share of trials that diverged."""
        return self.counts.get(Status.DIVERGED, 0) / sum(self.counts.values())

    @property
    def mostly_diverged(self) -> bool:
        """Whether the best setting diverges from at least half of the starts."""
        return bool(np.isinf(self.final_loss[1]))


@dataclass(frozen=True, kw_only=True)
class Match:
    """All optimizers on one surface.

    Attributes
    ----------
    searched
        The searched settings of each optimizer.
    standings
        The standings of all optimizers in order of rank.
    yardstick, search_yardstick
        The measures of the final and of the searched trials.
    result
        The final trials, which run the chosen settings with a history and with noise, mini-batches and random starts
        other than those of the search; by optimizer, starts varying fastest.
    targets
        The loss at which the problem counts as solved, ``(starts,)``.
    evaluations_to_target
        Gradient evaluations to the target, or to convergence if the objective is the iterations;
        ``(optimizers, starts)``, infinite if not reached.
    """

    yardstick: Yardstick
    search_yardstick: Yardstick
    searched: tuple[Searched, ...]
    standings: tuple[Standing, ...]
    result: Result
    targets: Array
    evaluations_to_target: Array

    @property
    def experiment(self) -> Experiment:
        """The experiment of the chosen settings."""
        return self.result.experiment

    @property
    def starts(self) -> int:
        """The number of starts times the number of replicates."""
        return self.experiment.repeats

    def trials_of(self, number: int) -> range:
        """Return the trials of one optimizer in the result."""
        return range(number * self.starts, (number + 1) * self.starts)

    def standing(self, number: int) -> Standing:
        """Return the standing of one optimizer."""
        return next(standing for standing in self.standings if standing.number == number)

    @cached_property
    def same_methods(self) -> list[tuple[int, ...]]:
        """The groups of optimizers with the same trajectories."""
        groups = {(standing.number, *standing.same_as) for standing in self.standings if standing.same_as}
        return sorted({tuple(sorted(group)) for group in groups})


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ComparisonResult(ShownAsTables):
    """The result of a comparison, a `Match` per surface."""

    comparison: Comparison
    matches: tuple[Match, ...]
    notes: tuple[str, ...] = ()
    run_folder: Path | None = None

    @property
    def results(self) -> tuple[Result, ...]:
        """The trials of the chosen settings, one result per surface."""
        return tuple(match.result for match in self.matches)

    def best_settings(self) -> dict[str, dict[str, Value]]:
        """Return the chosen values of the searched hyperparameters of each optimizer on the first surface.

        ``matches[i].standing(number).setting`` has those of optimizer ``number`` on surface i.
        """
        names = method_names(self.matches[0].experiment)
        standings = self.matches[0].standings
        return {names[standing.number]: dict(standing.setting) for standing in standings}

    @property
    def costs(self) -> Array:
        """Gradient evaluations to the target, ``(optimizers, problems)``; a problem is a surface and a start."""
        return np.concatenate([match.evaluations_to_target for match in self.matches], axis=1)

    @property
    def searched_planes(self) -> bool:
        """Whether lr and another numeric hyperparameter were searched together for at least one optimizer."""
        return any(one.second_axes for match in self.matches for one in match.searched)

    @property
    def searched_rates(self) -> bool:
        """Whether some optimizer has a robustness: several learning rates were searched on a grid only."""
        return any(standing.robustness is not None for match in self.matches for standing in match.standings)

    @property
    def searched_lr(self) -> bool:
        """Whether several learning rates were searched for at least one optimizer, in any way."""
        return any(len(np.unique(one.lr)) > 1 for match in self.matches for one in match.searched)

    def summary(self) -> list[dict[str, Any]]:
        """Return one row per surface and optimizer in order of rank; values may be infinite or NaN.

        On data, a row also has the median accuracy, and the median loss and accuracy on the rows held out.
        """
        from momentumlab.report.reports import ComparisonReport

        return list(ComparisonReport(result=self).rows())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows of `summary`, without the medians on data."""
        for match in self.matches:
            names = [choice.name for choice in match.experiment.optimizers]
            parameters = {name: axis.values[0] for name, axis in match.experiment.surface.axes.items()}
            for standing in match.standings:
                low, median, high = standing.final_loss
                evaluations = dict(zip(("q1", "median", "q3"), standing.evaluations_to_target, strict=True))
                trial = match.result.plan.trial(match.trials_of(standing.number)[0])
                idle = match.experiment.idle_hyperparameters(trial.optimizer)
                yield {
                    "surface": trial.surface,
                    "surface_parameters": parameters,
                    "rank": standing.rank,
                    "optimizer": trial.optimizer,
                    "hyperparameters": {k: v for k, v in trial.hyperparameters.items() if k not in idle},
                    "searched": match.searched[standing.number].cells,
                    "starts": match.starts,
                    "evaluations_to_target": evaluations,
                    "final_loss": {"q1": low, "median": median, "q3": high},
                    "result": standing.result,
                    "diverged": standing.diverged,
                    "robustness": standing.robustness,
                    "statuses": {status.label: standing.counts.get(status, 0) for status in SEVERITY},
                    "same_as": [names[number] for number in standing.same_as],
                }

    def written_to(self, folder: Path) -> "ComparisonResult":
        """Return the result with the run folder to which it was written."""
        matches = tuple(replace(match, result=match.result.written_to(folder)) for match in self.matches)
        return replace(self, matches=matches, run_folder=folder)

    # As in `Result`, these aliases for notebooks import the outer package `report` when called.

    def plot_sensitivity(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the result against the learning rate, a panel per surface and a curve per optimizer."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.figures import FigureOptions, sensitivity_figure

        return sensitivity_figure(ComparisonReport(result=self), FigureOptions(**options), ax=ax)

    def plot_search(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw every searched setting over lr and a second hyperparameter, coloured by its result."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.figures import FigureOptions, search_figure

        return search_figure(ComparisonReport(result=self), FigureOptions(**options), ax=ax)

    def plot_profiles(self, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the performance and the data profile over all problems."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.figures import FigureOptions, profile_figure

        return profile_figure(ComparisonReport(result=self), FigureOptions(**options), ax=ax)

    def plot_trajectories(self, surface: int = 0, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the trajectories on one surface, a panel per optimizer."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.figures import FigureOptions, comparison_trajectory_figure

        return comparison_trajectory_figure(ComparisonReport(result=self), surface, FigureOptions(**options), ax=ax)

    def plot_losses(self, surface: int = 0, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the loss against gradient evaluations on one surface, a curve per optimizer."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.figures import FigureOptions, comparison_loss_figure

        return comparison_loss_figure(ComparisonReport(result=self), surface, FigureOptions(**options), ax=ax)

    def plot_velocities(self, surface: int = 0, *, ax: Any = None, **options: Unpack["FigureSettings"]) -> "Figure":
        """Draw the velocity against the iteration on one surface, from its first start."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.figures import FigureOptions, comparison_velocity_figure

        return comparison_velocity_figure(ComparisonReport(result=self), surface, FigureOptions(**options), ax=ax)

    def __repr__(self) -> str:
        winners = []
        for match in self.matches:
            first = [standing.choice.name for standing in match.standings if standing.rank == 1]
            winners.append(f"{match.experiment.surface.name}: {', '.join(first)} first")
        count = len(self.comparison.experiments[0].optimizers)
        return f"<ComparisonResult of {self.comparison.name}: {count} optimizers; {'; '.join(winners)}>"

    def tables(self) -> "list[Table]":
        """Return the ranking for each surface and, for several, the mean ranks."""
        from momentumlab.report import ComparisonReport
        from momentumlab.report.comparison_table import comparison_tables

        return comparison_tables(ComparisonReport(result=self))


def compare(comparison: Comparison, run: RunPlan = engine.run) -> ComparisonResult:
    """Compare optimizers on each surface of a comparison.

    Parameters
    ----------
    comparison
        The optimizers, the surfaces and the kind of search.
    run
        The function that runs the trials of a plan; by default the engine in this process.
    """
    matches = []
    notes: dict[str, None] = {}
    for experiment in comparison.experiments:
        yardstick = yardstick_of(experiment, comparison.objective, comparison.accuracy)
        searched = search(comparison, experiment, yardstick, run)
        match = judged(comparison, experiment, searched, lambda chosen: run(make_plan(chosen), history=True))
        matches.append(match)
        notes.update(dict.fromkeys([*match.result.notes, *_notes(match)]))
    return ComparisonResult(comparison=comparison, matches=tuple(matches), notes=tuple(notes))


def judged(
    comparison: Comparison,
    experiment: Experiment,
    searched: tuple[Searched, ...],
    run: Callable[[Experiment], Result],
) -> Match:
    """Choose the best searched settings on one surface, run them with fresh noise and starts, and rank the optimizers.

    Parameters
    ----------
    comparison
        The comparison with its objective.
    experiment
        The experiment of the surface.
    searched
        The searched settings of each optimizer.
    run
        The function that returns the result of an experiment with its history.
    """
    yardstick = yardstick_of(experiment, comparison.objective, comparison.accuracy)
    cells = [one.best(yardstick) for one in searched]
    chosen = tuple(one.chosen(cell) for one, cell in zip(searched, cells, strict=True))

    # Run the chosen settings again. The number of starts may differ from that of the search, and so does the measure.
    result = run(_with_fresh_randomness(replace(experiment, optimizers=chosen)))
    judge = yardstick_of(result.experiment, comparison.objective, comparison.accuracy)
    shape = (len(chosen), result.experiment.repeats)
    iterations, codes = result.iterations.reshape(shape), result.status_codes.reshape(shape)
    losses = finished(result.final_losses.reshape(shape), codes)

    # The cost to the target, which without a known minimum lies above the lowest loss that any optimizer found.
    found = losses
    if not is_random(experiment):  # the search used the same starts, so its results count too
        found = np.concatenate([losses, *(finished(one.final_losses, one.status_codes) for one in searched)])
    targets = _targets(comparison, judge, found.min(axis=0))
    if comparison.objective is Objective.ITERATIONS:
        results = judge.results(losses, iterations, codes)
        evaluations = results * result.gradients_per_step.reshape(shape)
    else:
        results, evaluations = losses, _evaluations_to_target(result, targets)

    # Ranks: bootstrap samples over the starts decide ties. Equal methods share the rank of the first one among them,
    # since rounding may order their results.
    keys = judge.keys(losses, iterations, codes)
    ranks = ranks_of(keys, judge.sampled_keys(losses, iterations, codes) if shape[1] > 1 else None)
    same = _same_paths(result, shape)
    ranked = quantile(results, comparison.objective.quantile)
    has_only_grid = comparison.zooms == 0 and comparison.search == GRID
    standings = [
        Standing(
            number=i,
            choice=chosen[i],
            rank=int(ranks[same[i]]),
            cell=cells[i],
            setting=one.setting(cells[i]),
            evaluations_to_target=_quartiles(evaluations[i]),
            final_loss=_quartiles(losses[i]),
            result=float(ranked[i]),
            counts={status: int(count) for status in SEVERITY if (count := np.sum(codes[i] == status.code))},
            always_diverged=bool((one.status_codes == Status.DIVERGED.code).all()),
            robustness=_robustness(yardstick, one, cells[i]) if has_only_grid else None,
            same_as=tuple(j for j in range(len(same)) if same[j] == same[i] and j != i),
        )
        for i, one in enumerate(searched)
    ]
    return Match(
        yardstick=judge,
        search_yardstick=yardstick,
        searched=searched,
        standings=tuple(sorted(standings, key=lambda each: (each.rank, keys[:, each.number].tolist(), each.number))),
        result=result,
        targets=targets,
        evaluations_to_target=evaluations,
    )


def is_random(experiment: Experiment) -> bool:
    """Return whether starts or gradients are random."""
    return experiment.is_random or isinstance(experiment.starts, Random)


def _with_fresh_randomness(experiment: Experiment) -> Experiment:
    """Return the experiment with other noise, mini-batches and random starts, and at least `LEAST_REPEATS` of them.

    Data that selected a setting must not judge it: the best of many noisy results is too good on average. A
    deterministic experiment is returned unchanged.
    """
    starts, replicates, seed = experiment.starts, experiment.replicates, experiment.seed
    if isinstance(starts, Random):
        count = max(starts.count, math.ceil(LEAST_REPEATS / replicates))
        starts = replace(starts, count=count, seed=_fresh_seed(starts.seed))
    if experiment.is_random:
        seed, replicates = _fresh_seed(seed), max(replicates, math.ceil(LEAST_REPEATS / len(starts)))
    return replace(experiment, starts=starts, replicates=replicates, seed=seed)


def _fresh_seed(seed: int) -> int:
    """Return a seed whose random stream is independent of those of the given seed and its neighbours."""
    return int(np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(1)[0])


def _targets(comparison: Comparison, judge: Yardstick, found: Array) -> Array:
    """Return the loss at which the problem counts as solved from each start, ``(starts,)``.

    It is the target loss or, without one, the lowest known or ``found`` loss plus the accuracy times the initial
    height; ``found`` has the lowest final loss from each start.
    """
    target = comparison.experiments[0].stopping.target_loss
    if target is not None:
        return np.full_like(judge.start_losses, target)
    lowest = np.fmin(found, judge.known)
    with np.errstate(invalid="ignore"):  # a start without a finite loss has no target
        lowest = np.minimum(lowest, judge.start_losses)
        targets: Array = lowest + comparison.accuracy * (judge.start_losses - lowest)
    return targets


def _evaluations_to_target(result: Result, targets: Array) -> Array:
    """Return the gradient evaluations until each trial first reached the target, ``(optimizers, starts)``."""
    # A history may have a stride: an entry belongs to the iteration that `Result.recorded` states.
    with np.errstate(invalid="ignore"):
        reached = result.losses <= np.tile(targets, result.trials // len(targets))[:, np.newaxis]
    evaluations: Array = np.full(result.trials, np.inf)
    for number in np.flatnonzero(reached.any(axis=1)).tolist():
        evaluations[number] = result.recorded(number)[reached[number].argmax()]
    evaluations *= result.gradients_per_step
    return evaluations.reshape(-1, len(targets))


def _robustness(yardstick: Yardstick, one: Searched, cell: int) -> float | None:
    """Return the robustness of a chosen setting over the searched learning rates, if they are several numbers."""
    line = one.along_lr(cell)
    if len(line) == 1 or np.isnan(one.lr[line]).any():  # the lr of a schedule is NaN
        return None
    results = one.keys(yardstick)[0, line]
    return yardstick.robustness(results, float(results[np.flatnonzero(line == cell)[0]]))


def _quartiles(values: Array) -> tuple[float, float, float]:
    return float(quantile(values, 0.25)), float(quantile(values, 0.5)), float(quantile(values, 0.75))


def _same_paths(result: Result, shape: tuple[int, ...]) -> list[int]:
    """Return, for each optimizer, the first one with the same trajectories from all starts, usually itself."""
    positions = result.positions.reshape(*shape, *result.positions.shape[1:])
    iterations = result.iterations.reshape(shape)
    first: list[int] = []
    with np.errstate(invalid="ignore", over="ignore"):
        for i, path in enumerate(positions):
            extent = np.nanmax(np.abs(path - path[:, :1]))
            same = [
                j
                for j in dict.fromkeys(first)
                if extent > 0  # optimizers that do not move are not the same method
                and (iterations[i] == iterations[j]).all()
                and np.nanmax(np.abs(path - positions[j])) <= SAME_PATH * extent
            ]
            first.append(same[0] if same else i)
    return first


def _notes(match: Match) -> Iterator[str]:
    """Yield remarks on a match, most of them on the search, which the table does not show."""
    surface = match.experiment.surface.name
    stride = match.result.history.stride if match.result.history else 1
    if stride > 1:
        yield f"gradient evaluations to the target are counted in steps of {stride} on {surface}"
    if not match.yardstick.is_known:
        yield f"no global minimum of {surface} is known: the lowest loss that was found is taken for it"
    if all(standing.always_diverged for standing in match.standings):
        finite = np.isfinite(match.yardstick.start_losses)
        reason = "" if finite.any() else ": the loss at the start is not finite; choose another start"
        yield f"all trials of all optimizers diverge on {surface}{reason}"
        return
    # One remark per optimizer, the most serious one; an edge of the range says nothing about a method that diverges.
    below, above = at_edges(match.searched, match.search_yardstick)
    for number, one in enumerate(match.searched):
        standing = match.standing(number)
        if standing.always_diverged:
            settings = "every setting tried" if one.cells > 1 else "its setting"
            yield f"{one.choice.name} diverges on {surface} with {settings}"
        elif standing.mostly_diverged:
            yield f"{one.choice.name} diverges on {surface} from half of the starts or more even with its best setting"
        elif below[number] or above[number]:
            edge = "lower" if below[number] else "upper"
            yield (
                f"the best lr of {one.choice.name} on {surface} lies at the {edge} edge of the search range; "
                "extend the range"
            )
        if not standing.always_diverged:
            yield from _notes_on_ranges(one, standing.cell, match)


def _notes_on_ranges(one: Searched, cell: int, match: Match) -> Iterator[str]:
    """Yield remarks on the ranges of tuned hyperparameters other than lr."""
    where = f"of {one.choice.name} on {match.experiment.surface.name}"
    results, *_ = one.keys(match.search_yardstick)
    parameters = {each.name: each for each in OPTIMIZERS[one.choice.name].parameters()}
    tuned = [name for name, axis in one.choice.axes.items() if axis.tuned and name != "lr"]
    single = [name for name in tuned if len(one.choice.axes[name]) == 1]
    if single:
        yield f"the budget allows a single value of {', '.join(single)} {where}: increase it to search them"
    for name in tuned:
        column, bounds = one.columns[name], bounds_of(parameters[name])
        others = results[column != column[cell]]
        # With two values, each is at an edge. With more, an edge matters only if the other values are worse and better
        # ones may lie beyond it.
        if len(np.unique(column)) > 2 and results[cell] < others.min() and column[cell] not in bounds:
            first, last = one.choice.axes[name].values[0], one.choice.axes[name].values[-1]
            for edge, value in (("lower", min(column.min(), first)), ("upper", max(column.max(), last))):
                if column[cell] == value:
                    yield f"the best {name} {where} lies at the {edge} edge of its range; extend the range"
