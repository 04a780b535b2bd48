"""Reports: results with everything that tables, figures, JSON and run folders derive from them.

Each derived quantity is a cached property. It is computed when the first renderer asks for it, and only once.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab import engine
from momentumlab.experiment import Experiment, Objective
from momentumlab.parameters import Array
from momentumlab.report.final_state import FinalState, final_states
from momentumlab.report.labels import Labels, setup
from momentumlab.result import Result
from momentumlab.search import ComparisonResult
from momentumlab.search.planes import Plane, best_trials, planes
from momentumlab.search.ranking import finished, quantile
from momentumlab.theory import (
    NoiseFloor,
    RatePlane,
    TheoryDoesNotApplyError,
    TrialRate,
    coordinate_rates,
    noise_floor,
    plugins_may_fail,
    rate_plane,
    rate_reason,
    running_average,
    tail_average,
    trial_rates,
)

MAX_TABLE_ROWS = 20
"""A table with more settings than this shows only the best."""

BEST_TABLE_ROWS = 10
"""The number of settings that such a table shows."""

BEST_ROWS = 1000
"""Trials of a sweep that JSON and CSV list unless all are requested."""

MOST_RATE_NUMBERS = 10_000_000
"""Rates along an axis are measured if all trajectories together have at most this many numbers."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Report:
    """The result of a run or a sweep, with everything derived from it.

    Attributes
    ----------
    result
        All trials.
    recorded
        The trials of a sweep whose trajectories were kept, if any.
    all_rows
        Whether JSON and CSV list all trials of a sweep instead of the best `BEST_ROWS`.
    """

    result: Result
    recorded: "Report | None" = None
    all_rows: bool = False

    @property
    def experiment(self) -> Experiment:
        """The experiment that was run."""
        return self.result.experiment

    @property
    def is_sweep(self) -> bool:
        """Whether only final states were kept, no trajectories."""
        return self.result.history is None

    @property
    def is_noisy(self) -> bool:
        """Whether gradients are random, by noise or by mini-batches."""
        return self.experiment.noise is not None or self.experiment.is_random

    @property
    def run_folder(self) -> Path | None:
        """The run folder, if there is one."""
        return self.result.run_folder

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the result beyond its numbers."""
        return self.result.notes

    def written_to(self, folder: Path) -> "Report":
        """Return the same report with its run folder."""
        recorded = None if self.recorded is None else self.recorded.written_to(folder)
        return replace(self, result=self.result.written_to(folder), recorded=recorded)

    # Selection of trials

    @cached_property
    def labels(self) -> Labels:
        """Names of the trials."""
        return Labels(self.experiment)

    @cached_property
    def title(self) -> str:
        """What the trials have in common."""
        return self.labels.common(self.result.plan.trial(0))

    @cached_property
    def figure_title(self) -> str:
        """What all trials have in common, without settings that only some optimizers have."""
        return self.labels.common(self.result.plan.trial(0), in_figure=True)

    @cached_property
    def planes(self) -> list[Plane]:
        """The trials as one grid per optimizer."""
        return planes(self.result)

    @cached_property
    def best(self) -> list[int]:
        """The best trials of all planes, at most `BEST_ROWS`."""
        return best_trials(self.planes, BEST_ROWS)

    @cached_property
    def listed(self) -> Sequence[int]:
        """The trials that JSON and CSV list: all of a run, by default the best of a sweep."""
        if not self.is_sweep or self.all_rows or self.result.trials <= BEST_ROWS:
            return range(self.result.trials)
        return self.best

    @cached_property
    def shown(self) -> Sequence[int]:
        """The trials with a row in the table: all, or the best of many. The first replicate stands for its setting."""
        replicates = self.experiment.replicates
        if self.result.trials <= MAX_TABLE_ROWS * replicates:
            return range(0, self.result.trials, replicates)
        best: list[int] = self.ranking[:BEST_TABLE_ROWS].tolist()
        return best

    @cached_property
    def ranking(self) -> NDArray[np.intp]:
        """The first trial of each setting, lowest (median) final loss first, diverged ones last."""
        replicates = self.experiment.replicates
        if replicates == 1:
            return self.result.ranking()
        losses = finished(self.result.final_losses, self.result.status_codes).reshape(-1, replicates)
        return np.argsort(quantile(losses, 0.5), kind="stable") * replicates

    def replicates_of(self, number: int) -> NDArray[np.int64]:
        """Return the trials of one setting, given its first."""
        return np.arange(number, number + self.experiment.replicates)

    def median_loss(self, numbers: Sequence[int]) -> float:
        """Return the median final loss of some trials; infinite if most diverged."""
        chosen = np.array(numbers)
        return float(quantile(finished(self.result.final_losses[chosen], self.result.status_codes[chosen]), 0.5))

    # Derived from trajectories

    @cached_property
    def rates(self) -> Sequence[TrialRate]:
        """Measured and predicted rate of each trial; empty for a sweep."""
        return [] if self.is_sweep else trial_rates(self.result)

    @cached_property
    def rate_reasons(self) -> Mapping[int, str]:
        """Reasons why the rate of a shown trial is missing or differs from the predicted one, by trial."""
        if self.is_sweep or self.is_noisy:
            return {}
        reasons = {number: rate_reason(self.result, number, self.rates[number]) for number in self.shown}
        return {number: reason for number, reason in reasons.items() if reason is not None}

    def coordinate_rates(self, number: int) -> Array | None:
        """Return the predicted rate along each coordinate, ``(dim,)``; ``None`` if theory does not apply."""
        return coordinate_rates(self.result, number, self.rates[number])

    @cached_property
    def rate_planes(self) -> Mapping[int, RatePlane | str]:
        """Predictions for each plane, by its first trial, or the reason why there are none."""
        return {plane.first: _rate_plane(plane) for plane in self.planes}

    @cached_property
    def axis_rates(self) -> Sequence[TrialRate] | str:
        """Measured and predicted rates of all trials of a sweep, or the reason why there are none.

        A sweep keeps no trajectories, so its trials are run once more.
        """
        experiment = self.experiment
        if self.is_noisy:
            return "with noise there is a floor, not a rate"
        numbers = self.result.trials * (experiment.stopping.iterations + 1) * experiment.dimension
        if numbers > MOST_RATE_NUMBERS:
            return "the trajectories of all trials are too large to measure rates"
        return trial_rates(engine.run(self.result.plan))

    @cached_property
    def floors(self) -> Mapping[int, NoiseFloor]:
        """Noise floor of each setting, by its first trial; empty without noise or trajectories."""
        if self.is_sweep or not self.is_noisy:
            return {}
        firsts = range(0, self.result.trials, self.experiment.replicates)
        return {number: noise_floor(self.result, self.replicates_of(number)) for number in firsts}

    @cached_property
    def averaged_losses(self) -> Sequence[tuple[float, float]]:
        """Loss of each trial at two averages of its iterates: over the second half, and exponentially weighted.

        Empty without noise or trajectories.
        """
        if self.is_sweep or not self.is_noisy:
            return []
        losses = []
        for number in range(self.result.trials):
            path = self.result.path(number)
            with np.errstate(all="ignore"):
                points = np.stack([tail_average(path), running_average(path)], axis=1)
                tail, running = self.result.plan.surface_of(number).value(points).tolist()
            losses.append((tail, running))
        return losses

    @cached_property
    def final_states(self) -> Mapping[int, FinalState]:
        """Accuracy and curvature at the final points of the listed trials; empty unless on data."""
        return dict(zip(self.listed, final_states(self.result, self.listed), strict=False))

    def rows(self, numbers: Sequence[int] | None = None) -> Iterator[dict[str, Any]]:
        """Iterate over rows for JSON and CSV, for the given trials or for all `listed` ones."""
        numbers = self.listed if numbers is None else numbers
        for number, outcome in zip(numbers, self.result.rows(numbers), strict=True):
            row = dict(outcome)
            if number in self.final_states:
                row |= self.final_states[number].as_dict()
            if self.rates:
                row |= {"rate": self.rates[number].measured, "predicted_rate": self.rates[number].predicted}
            if self.averaged_losses:
                row["averaged_loss"], row["ema_loss"] = self.averaged_losses[number]
            yield row


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ComparisonReport:
    """The result of a comparison, with everything derived from it."""

    result: ComparisonResult

    @property
    def run_folder(self) -> Path | None:
        """The run folder, if there is one."""
        return self.result.run_folder

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the result beyond its numbers."""
        return self.result.notes

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """The trials of the chosen settings, one report per surface."""
        return tuple(Report(result=each) for each in self.result.results)

    @cached_property
    def held_out(self) -> tuple[tuple[dict[str, float], ...], ...]:
        """Medians of accuracy, validation loss and validation accuracy per surface and standing, where defined."""
        return tuple(
            tuple(_median_state(match.result, match.trials_of(standing.number)) for standing in match.standings)
            for match in self.result.matches
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows of `ComparisonResult.rows`, with the medians of `held_out`."""
        medians = itertools.chain.from_iterable(self.held_out)
        return (row | more for row, more in zip(self.result.rows(), medians, strict=True))

    def headline(self, surface: int) -> str:
        """Return surface, starts and objective, for the title of a table or figure."""
        match = self.result.matches[surface]
        median = "median " if match.starts > 1 else ""
        return f"{setup(match.result.plan)}, ranked by {median}{self.result.comparison.objective.words}"

    @cached_property
    def target(self) -> str:
        """The condition under which a trial has reached its target."""
        comparison = self.result.comparison
        target = comparison.experiments[0].stopping.target_loss
        if target is not None:
            return f"the loss was at most {target:g}"
        if comparison.objective is Objective.ITERATIONS:
            return "the tolerance was met near the minimum"
        return f"the loss was within {comparison.accuracy:g} of the initial loss above the lowest loss known or found"

    def written_to(self, folder: Path) -> "ComparisonReport":
        """Return the same report with its run folder."""
        return replace(self, result=self.result.written_to(folder))


def _median_state(result: Result, numbers: Sequence[int]) -> dict[str, float]:
    """Return the medians of accuracy, validation loss and validation accuracy that all of these trials have."""
    states = final_states(result, numbers, curvatures=False)
    names = ("accuracy", "validation_loss", "validation_accuracy")
    values = {name: [getattr(state, name) for state in states] for name in names}
    return {name: float(np.median(each)) for name, each in values.items() if each and None not in each}


def _rate_plane(plane: Plane) -> RatePlane | str:
    if plane.starts > 1 or any(axis.name.startswith("start") for axis in plane.axes):
        return "starts differ from trial to trial"
    plan = plane.result.plan
    group = plan.group_of(plane.trials.start)
    try:
        with plugins_may_fail(group.surface_class, group.optimizer_class):
            return rate_plane(plan, plane.trials.start, plane.trials.stop)
    except TheoryDoesNotApplyError as error:
        return str(error)


def report_of(result: Result, *, recorded: Result | None = None, all_rows: bool = False) -> Report:
    """Return the report of a run or a sweep; parameters are the attributes of `Report`."""
    kept = None if recorded is None else Report(result=recorded)
    return Report(result=result, recorded=kept, all_rows=all_rows)
