"""Comparison of several runs in one table and one figure, as if they were one experiment."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import ConfigError, printable
from momentumlab.parameters import Array
from momentumlab.plan import Plan
from momentumlab.report.columns import final_point_column, status_column
from momentumlab.report.data import strict
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.labels import ALWAYS_IN_TITLE, axis_name, brief, exact, exact_point
from momentumlab.report.reports import MAX_TABLE_ROWS, report_of
from momentumlab.report.table import Column, Kind, Table
from momentumlab.result import History, Result, Status
from momentumlab.runs.read import LoadedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A trial of one of the runs, with all its settings: ``surface``, ``beta``, ``at most`` and others."""

    folder: str  # name of the run folder
    result: Result
    number: int  # of the trial in the result
    settings: dict[str, Any]

    @property
    def status(self) -> Status:
        """Status of the trial."""
        return self.result.status_of(self.number)


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The trials of several runs, in the order of the runs."""

    entries: tuple[Entry, ...]

    @cached_property
    def differing(self) -> list[str]:
        """Settings that do not have the same value in all trials that have them."""
        values: dict[str, set[Any]] = {}
        for entry in self.entries:
            for name, value in entry.settings.items():
                values.setdefault(name, set()).add(value)
        return [name for name, own in values.items() if len(own) > 1]

    @cached_property
    def common(self) -> dict[str, Any]:
        """Settings with the same value in all trials."""
        first = self.entries[0].settings
        return {
            name: value
            for name, value in first.items()
            if all(name in entry.settings and entry.settings[name] == value for entry in self.entries)
        }

    @cached_property
    def labels(self) -> list[str]:
        """Labels of the trials: the settings that differ, and the run folder if these are not enough."""
        found = [
            ", ".join(_phrase(name, entry.settings[name]) for name in self.differing if name in entry.settings)
            for entry in self.entries
        ]
        counts = Counter(found)
        return [
            label if counts[label] == 1 else ", ".join(filter(None, (label, printable(entry.folder))))
            for label, entry in zip(found, self.entries, strict=True)
        ]

    @property
    def title(self) -> str:
        """What all trials have in common: surface, optimizer, lr and β."""
        names = ("surface", "optimizer", *ALWAYS_IN_TITLE)
        phrases = [_phrase(name, self.common[name]) for name in names if name in self.common]
        folders = len({entry.folder for entry in self.entries})
        return " · ".join([*phrases, f"{folders} runs" if folders > 1 else "1 run"])

    def ranking(self) -> list[int]:
        """Return the numbers of all entries by increasing final loss, diverged trials last."""
        losses = [
            np.inf if entry.status is Status.DIVERGED else entry.result.final_losses[entry.number]
            for entry in self.entries
        ]
        order: list[int] = np.argsort(np.nan_to_num(losses, nan=np.inf), kind="stable").tolist()
        return order


def _phrase(name: str, value: Any) -> str:
    return brief(str(value)) if name in ("surface", "optimizer") else f"{axis_name(name)} = {_text(name, value)}"


def _text(name: str, value: Any) -> str:
    if name == "start":
        return exact_point(value)
    return "off" if value is None else exact(value)


def side_by_side(runs: Sequence[LoadedRun]) -> SideBySide:
    """Return the trials of all runs; a comparison contributes its chosen settings."""
    return SideBySide(
        entries=tuple(
            Entry(folder=loaded.run.path.name, result=result, number=number, settings=_settings(result, number))
            for loaded in runs
            for result in loaded.results
            for number in range(result.trials)
        )
    )


def _settings(result: Result, number: int) -> dict[str, Any]:
    trial, stopping, experiment = result.plan.trial(number), result.plan.stopping, result.experiment
    noise = {} if experiment.noise is None else {"noise": str(experiment.noise)}
    return {
        "surface": trial.own_surface,
        **{f"surface.{name}": value for name, value in trial.surface_parameters.items() if name != "surface"},
        "optimizer": trial.optimizer,
        **trial.hyperparameters,
        "start": trial.start,
        "replicate": trial.replicate,
        **noise,
        **({"seed": experiment.seed} if noise or experiment.is_random else {}),
        "at most": stopping.iterations,
        "tolerance": stopping.tolerance,
        "patience": stopping.patience,
        "gradient_tolerance": stopping.gradient_tolerance,
        "target_loss": stopping.target_loss,
    }


def side_by_side_table(sides: SideBySide) -> Table:
    """Return the table of all trials or, if there are many, of the best."""
    numbers = range(len(sides.entries)) if len(sides.entries) <= MAX_TABLE_ROWS else sides.ranking()[:MAX_TABLE_ROWS]
    entries = [sides.entries[number] for number in numbers]
    kinds = {"surface": Kind.NAME, "optimizer": Kind.NAME, "start": Kind.POINT}
    settings = [
        Column(
            heading=axis_name(name),
            cells=[_text(name, entry.settings[name]) if name in entry.settings else "" for entry in entries],
            kind=kinds.get(name, Kind.VALUES),
        )
        for name in sides.differing
    ]
    iterations = [str(entry.result.iterations[entry.number]) for entry in entries]
    losses = [f"{entry.result.final_losses[entry.number]:.5g}" for entry in entries]
    rest = f"the best {MAX_TABLE_ROWS} of {len(sides.entries):,} trials by final loss; --format csv lists all"
    return Table(
        title=sides.title,
        columns=[
            *settings,
            Column(heading="iterations", cells=iterations),
            Column(heading="final loss", cells=losses),
            final_point_column(entry.result.final_points[entry.number] for entry in entries),
            status_column([{entry.status: 1} for entry in entries]),
            Column(heading="run", cells=[entry.folder for entry in entries], kind=Kind.NAME),
        ],
        remarks=[rest] if len(entries) < len(sides.entries) else [],
    )


def rows(runs: Iterable[LoadedRun]) -> Iterator[dict[str, Any]]:
    """Yield the rows of each run's summary with the run folder, for programs."""
    for loaded in runs:
        for report in loaded.reports:
            for number, row in enumerate(report.rows(range(report.result.trials))):
                yield {"run_folder": str(loaded.run.path), "experiment": loaded.run.name, "trial": number, **row}


def document(sides: SideBySide, runs: Sequence[LoadedRun]) -> dict[str, Any]:
    """Return the rows and the names of the settings that differ as strict JSON."""
    return {
        "run_folders": [str(loaded.run.path) for loaded in runs],
        "differing": sides.differing,
        "trials": [strict(row) for row in rows(runs)],
    }


def joined_drawings(sides: SideBySide, name: str, options: FigureOptions) -> "dict[str, Callable[[], Figure]]":
    """Return functions that draw the curves of all recorded trials: loss ``NAME`` and velocity ``NAME-velocity``.

    Raises
    ------
    ConfigError
        If no trajectories were recorded, or they cannot share an axis.
    """
    kept = [number for number, entry in enumerate(sides.entries) if entry.result.history is not None]
    results = list({id(sides.entries[number].result): sides.entries[number].result for number in kept}.values())
    problems = {
        "these runs recorded no trajectories, so there are no curves": not results,
        "these runs have different numbers of coordinates": len({each.plan.dimension for each in results}) > 1,
        "these runs recorded different iterations": len({each.history.stride for each in results if each.history}) > 1,
    }
    for reason, applies in problems.items():
        if applies:
            raise ConfigError.at("--figure", reason)
    report = report_of(joined(results))
    labels = {number: sides.labels[entry] for number, entry in enumerate(kept)}
    missing = len(sides.entries) - len(kept)

    def draw(quantity: str) -> "Figure":
        from momentumlab.report.figures import loss_figure, velocity_figure
        from momentumlab.report.figures.trials import select_trials

        selection = select_trials(report, options, lambda trial: labels[trial.number] or trial.optimizer)
        remarks = [f"no trajectories were recorded for {missing} trials"] if missing else []
        remarks += [selection.remark] if selection.remark else []
        draw_curves = loss_figure if quantity == "loss" else velocity_figure
        selection = replace(selection, title=sides.title, remark="; ".join(remarks))
        return draw_curves(report, options, selection=selection)

    return {name: partial(draw, "loss"), f"{name}-velocity": partial(draw, "velocity")}


def joined(results: Sequence[Result]) -> Result:
    """Return the trials of several results with the same number of coordinates as one result.

    Its experiment is that of the first result. Replicates become separate trials: runs may have different numbers.
    """
    groups = []
    first = 0
    for result in results:
        groups += [replace(group, first=first + group.first) for group in result.plan.groups]
        first += result.trials
    histories = [result.history for result in results if result.history is not None]
    entries = max(history.losses.shape[1] for history in histories)

    def together(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(result, name) for result in results])

    def padded(name: str) -> Array:
        """Return histories as one array; those that are shorter end in NaN."""
        arrays = [getattr(history, name) for history in histories]
        longer = [np.full((len(each), entries, *each.shape[2:]), np.nan) for each in arrays]
        for each, array in zip(longer, arrays, strict=True):
            each[:, : array.shape[1]] = array
        return np.concatenate(longer)

    return Result(
        plan=Plan(experiment=replace(results[0].experiment, noise=None, replicates=1), groups=tuple(groups)),
        final_points=together("final_points"),
        final_losses=together("final_losses"),
        iterations=together("iterations"),
        status_codes=together("status_codes"),
        history=History(
            positions=padded("positions"),
            velocities=padded("velocities"),
            losses=padded("losses"),
            stride=histories[0].stride,
        ),
    )
