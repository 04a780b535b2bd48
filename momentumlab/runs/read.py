"""Reader of run folders: the results that were written, without computing them again."""

import functools
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.config import load_text
from momentumlab.errors import ConfigError, OutputError
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plan import Plan, make_plan
from momentumlab.plugins import load_plugin, loaded_plugins
from momentumlab.report.figure_files import file_suffixes
from momentumlab.report.reports import ComparisonReport, Report, report_of
from momentumlab.result import History, Result, Status
from momentumlab.runs.arrays import ArrayFile
from momentumlab.runs.find import find
from momentumlab.runs.identity import digest, sha256_of
from momentumlab.runs.layout import COMPARISON, RESULT, SWEEP, DamageError, read_bytes
from momentumlab.runs.records import RunFolder, RunStatus
from momentumlab.search import ComparisonResult
from momentumlab.search.comparison import judged
from momentumlab.search.planes import array_prefixes, best_trials, planes
from momentumlab.search.tuning import Searched

CODES = {status.label: status.code for status in Status}

LARGEST_RESULT = 2**26
"""Bytes of the largest ``result.json`` that is read."""

LARGEST_EXPERIMENT = 2**20
"""Bytes of the largest ``experiment.yaml`` that is read."""


class MissingInputError(OutputError):
    """A plug-in or data file that a run used is missing or has changed; the stored numbers can still be read."""


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """Content of a run folder.

    Attributes
    ----------
    run
        The folder.
    experiment
        What was run.
    results
        All trials; of a comparison, the trials of the chosen settings, one result per surface.
    recorded
        Of a sweep, the trials whose history was kept, if any.
    comparison
        The whole comparison, if it is one.
    provenance
        How it was run.
    """

    run: RunFolder
    experiment: Experiment | Comparison
    results: tuple[Result, ...]
    recorded: Result | None
    comparison: ComparisonResult | None
    provenance: Mapping[str, Any]

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """The report of each result."""
        return tuple(report_of(result, recorded=self.recorded) for result in self.results)

    @cached_property
    def comparison_report(self) -> ComparisonReport | None:
        """The report of the whole comparison, if it is one."""
        return None if self.comparison is None else ComparisonReport(result=self.comparison)

    @cached_property
    def digest(self) -> str:
        """See `momentumlab.runs.identity.digest`."""
        return digest(self.results)

    @property
    def kind(self) -> str:
        """Kind of the folder; see `momentumlab.runs.layout`."""
        return str(self.run.record["kind"])

    @property
    def is_sweep(self) -> bool:
        """Whether the folder holds a map instead of the history of all trials."""
        return self.kind == SWEEP


def open_run(path: str | os.PathLike[str]) -> Result | ComparisonResult:
    """Read the result in a run folder.

    Parameters
    ----------
    path
        A run folder, or ``runs/latest``. As on the command line, an unambiguous prefix is enough: ``runs/20261121``.

    Raises
    ------
    ConfigError
        If there is no such run folder.
    OutputError
        If it is not complete, or its content is damaged.
    """
    (run,) = find([os.fspath(path)], Path("runs"))
    loaded = load_run(run)
    return loaded.comparison or loaded.results[0]


def load_run(run: RunFolder) -> LoadedRun:
    """Read a whole run folder.

    The plug-ins that the run used are loaded from their recorded paths while their content is unchanged, but only if
    the folder was written on this machine and not copied: code must not run because somebody sent a folder.

    Raises
    ------
    MissingInputError
        If a plug-in or data file is missing or has changed, and the experiment cannot be read without it.
    OutputError
        If the folder is not complete, or its content is damaged.
    """
    _require_complete(run)
    try:
        loaded = _load(run, _read_experiment(run, run.path / "experiment.yaml"))
    except (DamageError, ConfigError) as error:
        raise OutputError(f"{run.path}: is damaged: {error}") from None
    except OSError as error:
        raise OutputError(f"{run.path}: {(error.strerror or str(error)).lower()}") from None
    if run.record["digest"] != loaded.digest:
        raise OutputError(f"{run.path}: is damaged: the stored numbers differ from those that were written")
    return loaded


def stored_document(run: RunFolder) -> dict[str, Any]:
    """Return what a complete run printed as JSON, which needs neither its plug-ins nor its data files.

    Raises
    ------
    OutputError
        If it cannot be read.
    """
    _require_complete(run)
    try:
        document = _read_result(run.path / RESULT)
    except DamageError as error:
        raise OutputError(f"{run.path}: is damaged: {error}") from None
    return {key: value for key, value in document.items() if key not in ("format", "settings", "provenance", "notes")}


def _require_complete(run: RunFolder) -> None:
    if run.is_resumable:
        raise OutputError(f"{run.path}: is not finished; continue with: momentumlab sweep --resume {run.path}")
    if run.status is not RunStatus.COMPLETE:
        raise OutputError(f"{run.path}: is {run.status.label}: {run.problem}")


# Plug-ins and data files


def _read_experiment(run: RunFolder, path: Path) -> Experiment | Comparison:
    missing = load_plugins_of(run)
    try:
        return load_text(read_bytes(path, LARGEST_EXPERIMENT).decode(), str(path))
    except UnicodeDecodeError:
        raise DamageError(f"{path.name} is not UTF-8") from None
    except ConfigError:
        for data in run.record["data"]:
            found = sha256_of(Path(data["file"]))
            if found != data["sha256"]:
                missing.append(f"data file {data['file']} {'is missing' if found is None else 'has changed'}")
        if not missing:
            raise
        raise MissingInputError("\n".join(f"{run.path}: {each}" for each in missing)) from None


def load_plugins_of(run: RunFolder) -> list[str]:
    """Load the plug-ins that a run used, and return why others cannot be loaded.

    A plug-in that was given by ``--plugin`` takes the place of a recorded one that has the same names.
    """
    problems = []
    for recorded in run.record["plugins"]:
        file, sha256 = recorded["file"], recorded["sha256"]
        entries = recorded.get("entries")
        names = {tuple(entry) for entry in entries} if isinstance(entries, list) else set()
        given = {entry for plugin in loaded_plugins() for entry in plugin.entries}
        if sha256 in {plugin.sha256 for plugin in loaded_plugins()} or (names and names <= given):
            continue
        found = sha256_of(Path(file)) if Path(file).is_absolute() else None
        if found is None:
            problem = "is missing; give it with --plugin FILE"
        elif found != sha256:
            problem = "has changed since the run; give it, or its old version, with --plugin FILE"
        elif not _was_written_here(run):
            problem = "is not loaded automatically, because the run folder was copied; give it with --plugin FILE"
        else:
            try:
                load_plugin(file, sha256=sha256)
                continue
            except ConfigError as error:
                problem = f"cannot be loaded: {error}"
        problems.append(f"plug-in {file} {problem}")
    return problems


def _was_written_here(run: RunFolder) -> bool:
    """Return whether this user wrote the folder on this machine: a copy has another inode."""
    status = run.path.stat()
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return is_own and run.record["origin"] == {"host": platform.node(), "inode": status.st_ino}


# The content of each kind of folder


def _read_result(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_bytes(path, LARGEST_RESULT))
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{path.name} is not valid JSON ({str(error)[:100]})") from None
    if not isinstance(document, dict) or not isinstance(document.get("trials"), list):
        raise DamageError(f"{path.name} has no list of trials")
    return document


def _load(run: RunFolder, experiment: Experiment | Comparison) -> LoadedRun:
    document = _read_result(run.path / RESULT)
    trials, strides, kind = document["trials"], run.record["strides"], run.record["kind"]
    notes = document.get("notes")
    common: dict[str, Any] = {
        "notes": tuple(map(str, notes)) if isinstance(notes, list) else (),
        "run_folder": run.path,
    }
    if isinstance(experiment, Comparison) != (kind == COMPARISON):
        raise DamageError(f"experiment.yaml is not that of a {kind}")
    recorded: Result | None = None
    comparison: ComparisonResult | None = None
    if isinstance(experiment, Comparison):
        comparison = _comparison(run, experiment, trials, **common)
        results = comparison.results
    elif kind == SWEEP:
        result = replace(_sweep(run.path, experiment), **common)
        recorded = _recorded(result, run) if run.record["recorded"] else None
        results = (result,)
    else:
        codes = _codes(trials, experiment.trials)
        results = (replace(_with_history(run.path / "trajectories.npz", experiment, codes, strides), **common),)
    provenance = document.get("provenance")
    return LoadedRun(
        run=run,
        experiment=experiment,
        results=results,
        recorded=recorded,
        comparison=comparison,
        provenance=provenance if isinstance(provenance, dict) else {},
    )


def _codes(trials: Sequence[Any], expected: int) -> NDArray[np.int8]:
    """Return the status codes of trials as ``result.json`` lists them, ``(trials,)``."""
    if len(trials) != expected:
        raise DamageError(f"{RESULT} has {len(trials):,} trials, the experiment {expected:,}")
    labels = [trial.get("status") if isinstance(trial, dict) else None for trial in trials]
    if not all(isinstance(label, str) and label in CODES for label in labels):
        raise DamageError(f"{RESULT} has a trial without a valid status")
    return np.array([CODES[str(label)] for label in labels], dtype=np.int8)


def _with_history(
    path: Path, experiment: Experiment, codes: NDArray[np.int8], strides: Sequence[int], plan: Plan | None = None
) -> Result:
    """Read the trials of an experiment, or of a plan of some of them, from the file of their histories."""
    trials, dimension = len(codes), experiment.dimension
    with ArrayFile(path) as file:
        if len(file.shape("positions")) != 3:
            raise DamageError(f"{path.name}: 'positions' does not have three dimensions")
        entries = file.shape("positions")[1]
        positions = file.read("positions", np.float64, trials, entries, dimension)
        velocities = file.read("velocities", np.float64, trials, entries, dimension)
        losses = file.read("losses", np.float64, trials, entries)
        iterations = file.read("iterations", np.int32, trials)
    if not strides:
        raise DamageError("the record has no stride")
    stride = strides[0]
    if iterations.min(initial=0) < 0 or -(-int(iterations.max(initial=0)) // stride) + 1 != entries:
        raise DamageError(f"{path.name}: the iterations do not fit its {entries:,} entries")
    last = -(-iterations // stride)
    numbers = np.arange(trials)
    return Result(
        plan=plan or make_plan(experiment, max_trials=trials),
        final_points=positions[numbers, last],
        final_losses=losses[numbers, last],
        iterations=iterations,
        status_codes=codes,
        history=History(positions=positions, velocities=velocities, losses=losses, stride=stride),
    )


def _sweep(folder: Path, experiment: Experiment) -> Result:
    """Read all trials of a sweep. Their number is compared with the experiment before a plan is made."""
    types: dict[str, type[np.generic]] = {
        "final_loss": np.float64,
        "iterations": np.int32,
        "status": np.int8,
        "final_point": np.float64,
    }
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in types}
    with ArrayFile(folder / "sweep.npz") as file:
        for prefix, choice in zip(array_prefixes(experiment), experiment.optimizers, strict=True):
            trials = experiment.surface.combinations * choice.combinations * experiment.repeats
            for name, dtype in types.items():
                shape = file.shape(prefix + name)
                expected = trials * (experiment.dimension if name == "final_point" else 1)
                if int(np.prod(shape, dtype=object)) != expected:
                    raise DamageError(f"sweep.npz: '{prefix + name}' does not have the size of {trials:,} trials")
                found[name].append(file.read(prefix + name, dtype, *shape).reshape(trials, -1))
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    return Result(
        plan=make_plan(experiment, max_trials=experiment.trials),
        final_points=arrays["final_point"],
        final_losses=arrays["final_loss"][:, 0],
        iterations=arrays["iterations"][:, 0],
        status_codes=_checked_codes("sweep.npz", arrays["status"][:, 0]),
        history=None,
    )


def _checked_codes(name: str, codes: NDArray[np.int8]) -> NDArray[np.int8]:
    if not np.isin(codes, list(CODES.values())).all():
        raise DamageError(f"{name}: 'status' has an unknown code")
    return codes


def _recorded(result: Result, run: RunFolder) -> Result:
    """Read the best trials of a sweep, whose history was kept."""
    count = run.record["recorded"]
    if count > min(result.trials, 1000):
        raise DamageError(f"the record claims {count:,} histories of {result.trials:,} trials")
    numbers = best_trials(planes(result), count)
    path, codes, strides = run.path / "trajectories.npz", result.status_codes[numbers], run.record["strides"]
    read = _with_history(path, result.experiment, codes, strides, plan=result.plan.only(numbers))
    return replace(read, run_folder=run.path)


def _comparison(
    run: RunFolder, comparison: Comparison, trials: Sequence[Any], *, notes: tuple[str, ...], run_folder: Path
) -> ComparisonResult:
    """Read the chosen trials on each surface and everything that was searched."""
    names = [experiment.surface.name for experiment in comparison.experiments]
    results: list[Result] = []
    first = 0
    for number, suffix in enumerate(file_suffixes(names)):
        best = _read_experiment(run, run.path / f"best{suffix}.yaml")
        if isinstance(best, Comparison):
            raise DamageError(f"best{suffix}.yaml is a comparison")
        last = first + best.trials
        codes, strides = _codes(trials[first:last], best.trials), run.record["strides"][number:]
        result = _with_history(run.path / f"trajectories{suffix}.npz", best, codes, strides)
        results.append(replace(result, run_folder=run_folder))
        first = last
    if len(trials) != first:
        raise DamageError(f"{RESULT} has {len(trials):,} trials, the chosen settings {first:,}")
    matches = []
    with ArrayFile(run.path / "search.npz") as file:
        for number, (experiment, result) in enumerate(zip(comparison.experiments, results, strict=True)):
            searched = tuple(_searched(file, number, j, experiment) for j in range(len(experiment.optimizers)))
            matches.append(judged(comparison, experiment, searched, functools.partial(_same_settings, result)))
    return ComparisonResult(comparison=comparison, matches=tuple(matches), notes=notes, run_folder=run_folder)


def _same_settings(result: Result, chosen: Experiment) -> Result:
    """Return the result that was read if its settings are those that the search chooses."""
    trials = [
        [(t.optimizer, t.hyperparameters, t.start) for t in make_plan(each)] for each in (result.experiment, chosen)
    ]
    if trials[0] != trials[1]:
        raise DamageError("the best settings of search.npz are not those of best.yaml")
    return result


def _searched(file: ArrayFile, surface: int, number: int, experiment: Experiment) -> Searched:
    """Read what was searched for one optimizer on one surface."""
    choice, repeats, prefix = experiment.optimizers[number], experiment.repeats, f"{surface}.{number}."
    losses = file.read(f"{prefix}final_loss", np.float64, -1, repeats)
    cells = len(losses)
    if not cells:
        raise DamageError("search.npz has no cells")
    columns: dict[str, NDArray[Any]] = {}
    for name, axis in choice.axes.items():
        if prefix + name not in file.shapes:
            continue
        column = file.read(prefix + name, None, cells)
        if column.dtype.kind == "U" and any(not isinstance(value, str) for value in axis.values):
            # Schedules are stored as texts: look up the value of the axis that each text stands for.
            values = {str(value): value for value in axis.values}
            texts = column.tolist()
            if not values.keys() >= set(texts):
                raise DamageError(f"search.npz: '{prefix + name}' has a value that was not searched")
            column = np.empty(cells, dtype=object)
            column[:] = [values[text] for text in texts]
        columns[name] = column
    return Searched(
        choice=choice,
        columns=columns,
        final_losses=losses,
        iterations=file.read(f"{prefix}iterations", np.int32, cells, repeats),
        status_codes=_checked_codes("search.npz", file.read(f"{prefix}status", np.int8, cells, repeats)),
    )
