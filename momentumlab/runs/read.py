"""Reader of run folders: the results that were written, without computing them again."""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import ConfigError, OutputError, in_python, os_reason
from momentumlab.experiment import Choice, Comparison, Experiment
from momentumlab.outcome import quantity_shapes
from momentumlab.plan import Plan, make_plan
from momentumlab.report.figure_files import file_suffixes
from momentumlab.report.reports import ComparisonReport, Report, report_of
from momentumlab.result import History, Result, Status
from momentumlab.runs.arrays import ArrayType, read_arrays
from momentumlab.runs.find import find
from momentumlab.runs.identity import digest
from momentumlab.runs.inputs import changed_data, load_plugins_of, read_experiment
from momentumlab.runs.layout import COMPARISON, EXPERIMENT, RESULT, SWEEP, DamageError
from momentumlab.runs.records import Check, RunFolder, RunStatus, read_json
from momentumlab.search import ComparisonResult
from momentumlab.search.comparison import judged
from momentumlab.search.planes import array_prefixes, best_trials, planes
from momentumlab.search.searched import Searched
from momentumlab.search.sweeps import Sweep

CODES = {status.label: status.code for status in Status}

LARGEST_RESULT = 2**26
"""Bytes of the largest ``result.json`` that is read."""

_RESULT: dict[str, Check] = {
    "trials": lambda value: isinstance(value, list),
    "notes": lambda value: isinstance(value, list) and all(isinstance(note, str) for note in value),
    "provenance": lambda value: isinstance(value, dict),
}
"""Keys of ``result.json`` that are read, each with a check of its value."""


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """Content of a run folder."""

    run: RunFolder
    experiment: Experiment | Comparison
    results: tuple[Result, ...]  # all trials; for a comparison, the chosen settings, one result per surface
    recorded: Result | None  # the trials of a sweep whose history was kept, if any
    comparison: ComparisonResult | None
    provenance: Mapping[str, Any]  # as in result.json

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """The report of each result."""
        return tuple(report_of(result, recorded=self.recorded) for result in self.results)

    @cached_property
    def comparison_report(self) -> ComparisonReport | None:
        """The report of the whole comparison, if it is one."""
        return None if self.comparison is None else ComparisonReport(result=self.comparison)

    @property
    def kind(self) -> str:
        """Kind of the folder; see `momentumlab.runs.layout`."""
        return str(self.run.record["kind"])

    @property
    def is_sweep(self) -> bool:
        """Whether the folder holds a map instead of the history of all trials."""
        return self.kind == SWEEP

    @cached_property
    def changed_data(self) -> list[str]:
        """Which data files are missing or have changed since the run; their copies are used."""
        return changed_data(self.run.record)


def open_run(path: str | os.PathLike[str]) -> Result | Sweep | ComparisonResult:
    """Read what a run folder holds: what `run`, `sweep`, `compare` or `tune` returned.

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
    with in_python():
        loaded = load_run(run)
    if loaded.comparison is not None:
        return loaded.comparison
    (result,) = loaded.results
    return Sweep.of(replace(result, best_trials=loaded.recorded)) if loaded.is_sweep else result


def load_run(run: RunFolder) -> LoadedRun:
    """Read a whole run folder, and load the plug-ins that the run used; see `load_plugins_of`.

    Raises
    ------
    MissingInputError
        If a plug-in or data file is missing or has changed, and the experiment cannot be read without it.
    OutputError
        If the folder is not complete, or its content is damaged.
    """
    with _damage_reported(run):
        experiment = _read_experiment(run, EXPERIMENT)
        document = read_json(f"{run.path / RESULT}", _RESULT, LARGEST_RESULT)
        kind, provenance = run.record["kind"], document["provenance"]
        if isinstance(experiment, Comparison) != (kind == COMPARISON):
            raise DamageError(f"{EXPERIMENT} is not that of a {kind}")

        # Everything that allocates memory has compared sizes with the experiment before; see `read_arrays`.
        loaded = LoadedRun(
            run=run, experiment=experiment, results=(), recorded=None, comparison=None, provenance=provenance
        )
        if isinstance(experiment, Comparison):
            comparison = _read_comparison(run, experiment, document)
            loaded = replace(loaded, results=comparison.results, comparison=comparison)
        else:
            result = _read_sweep(run, experiment) if kind == SWEEP else _read_trials(run, experiment, document)
            result = replace(result, notes=tuple(document["notes"]), run_folder=run.path)
            recorded = _read_best_trials(run, result) if kind == SWEEP and run.record["recorded"] else None
            loaded = replace(loaded, results=(result,), recorded=recorded)
        # Files of the right sizes may still hold other numbers, for instance after a copy that failed.
        if digest(loaded.results) != run.record["digest"]:
            raise DamageError("the stored numbers differ from those that were written")
    return loaded


def _read_experiment(run: RunFolder, name: str) -> Experiment | Comparison:
    return read_experiment(run.path, name, run.record, missing=load_plugins_of(run.path, run.record))


def stored_document(run: RunFolder) -> dict[str, Any]:
    """Return what a complete run printed as JSON, which needs neither its plug-ins nor its data files.

    Raises
    ------
    OutputError
        If it cannot be read.
    """
    with _damage_reported(run):
        document = read_json(f"{run.path / RESULT}", _RESULT, LARGEST_RESULT)
    return {key: value for key, value in document.items() if key not in ("format", "settings", "provenance", "notes")}


@contextmanager
def _damage_reported(run: RunFolder) -> Iterator[None]:
    """Refuse a folder that is not complete, and turn everything that cannot be read into an `OutputError`."""
    if run.is_resumable:
        raise OutputError(f"{run.path}: is not finished; continue with: {run.resume_command}")
    if run.status is not RunStatus.COMPLETE:
        raise OutputError(f"{run.path}: is {run.status.label}: {run.problem}")
    try:
        yield
    except (DamageError, ConfigError) as error:
        raise OutputError(f"{run.path}: is damaged: {error}") from None
    except OSError as error:
        raise OutputError(f"{run.path}: {os_reason(error)}") from None


# The content of each kind of folder


def _read_trials(run: RunFolder, experiment: Experiment, document: Mapping[str, Any]) -> Result:
    """Read a run with the history of all its trials."""
    codes = _status_codes(document["trials"], experiment.trials)
    plan = make_plan(experiment, max_trials=experiment.trials)
    return _read_histories(run.path / "trajectories.npz", plan, codes, run.record["strides"])


def _read_sweep(run: RunFolder, experiment: Experiment) -> Result:
    """Read all trials of a sweep. Their number is compared with the experiment before a plan is made."""
    parts = []
    for prefix, choice in zip(array_prefixes(experiment), experiment.optimizers, strict=True):
        trials = experiment.surface.combinations * choice.combinations * experiment.repeats
        expected: dict[str, ArrayType] = {
            f"{prefix}final_point": (np.float64, trials * experiment.dimension),
            f"{prefix}final_loss": (np.float64, trials),
            f"{prefix}iterations": (np.int32, trials),
            f"{prefix}status": (np.int8, trials),
        }
        parts.append([array.ravel() for array in read_arrays(run.path / "sweep.npz", expected).values()])
    final_points, final_losses, iterations, codes = map(np.concatenate, zip(*parts, strict=True))
    return Result(
        plan=make_plan(experiment, max_trials=experiment.trials),
        final_points=final_points.reshape(-1, experiment.dimension),
        final_losses=final_losses,
        iterations=iterations,
        status_codes=_checked_codes("sweep.npz", codes),
        history=None,
    )


def _read_best_trials(run: RunFolder, sweep: Result) -> Result:
    """Read the best trials of a sweep, whose history was kept."""
    count = run.record["recorded"]
    if count > min(sweep.trials, 1000):
        raise DamageError(f"the record claims {count:,} histories of {sweep.trials:,} trials")
    numbers = best_trials(planes(sweep), count)
    path, plan, codes = run.path / "trajectories.npz", sweep.plan.only(numbers), sweep.status_codes[numbers]
    return replace(_read_histories(path, plan, codes, run.record["strides"]), run_folder=run.path)


def _read_histories(path: Path, plan: Plan, codes: NDArray[np.int8], strides: Sequence[int]) -> Result:
    """Read the history of each trial of a plan."""
    if not strides:
        raise DamageError("the record has no stride")
    # The iterations determine the number of entries, so no other array needs to be trusted.
    trials, stride = len(codes), strides[0]
    iterations = read_arrays(path, {"iterations": (np.int32, (trials,))})["iterations"]
    if iterations.min(initial=0) < 0:
        raise DamageError(f"{path.name}: a number of iterations is negative")
    last = -(-iterations // stride)
    entries = int(last.max(initial=0)) + 1
    shape = (trials, entries, plan.dimension)
    expected: dict[str, ArrayType] = {
        "positions": (np.float64, shape),
        "velocities": (np.float64, shape),
        "losses": (np.float64, shape[:2]),
    }
    shapes = quantity_shapes(plan)
    expected |= {name: (np.float64, (*shape[:2], *shapes[name])) for name in shapes}
    arrays = read_arrays(path, expected)
    quantities = {name: arrays.pop(name) for name in shapes}
    numbers = np.arange(trials)
    return Result(
        plan=plan,
        final_points=arrays["positions"][numbers, last],
        final_losses=arrays["losses"][numbers, last],
        iterations=iterations,
        status_codes=codes,
        history=History(**arrays, stride=stride, quantities=quantities),
    )


def _read_comparison(run: RunFolder, comparison: Comparison, document: Mapping[str, Any]) -> ComparisonResult:
    """Read the chosen trials on each surface and everything that was searched."""
    # The chosen trials of each surface; `RESULT` lists those of all surfaces one after the other.
    trials, results = document["trials"], list[Result]()
    for number, suffix in enumerate(file_suffixes([each.surface.name for each in comparison.experiments])):
        best = _read_experiment(run, f"best{suffix}.yaml")
        if isinstance(best, Comparison):
            raise DamageError(f"best{suffix}.yaml is a comparison")
        codes = _status_codes(trials[: best.trials], best.trials)
        trials = trials[best.trials :]
        path, plan = run.path / f"trajectories{suffix}.npz", make_plan(best, max_trials=best.trials)
        results.append(replace(_read_histories(path, plan, codes, run.record["strides"][number:]), run_folder=run.path))
    if trials:
        raise DamageError(f"{RESULT} has more trials than the chosen settings")
    # Ranks are not stored: the comparison judges the stored searches again, with the stored trials instead of a run.
    matches = []
    for number, (experiment, result) in enumerate(zip(comparison.experiments, results, strict=True)):
        searched = tuple(
            _read_searched(run.path / "search.npz", f"{number}.{j}.", choice, experiment.repeats)
            for j, choice in enumerate(experiment.optimizers)
        )
        matches.append(judged(comparison, experiment, searched, functools.partial(_with_same_settings, result)))
    notes = tuple(document["notes"])
    return ComparisonResult(comparison=comparison, matches=tuple(matches), notes=notes, run_folder=run.path)


def _with_same_settings(result: Result, chosen: Experiment) -> Result:
    """Return the result that was read if its settings are those that the search chooses."""
    read, expected = (
        [(trial.optimizer, trial.hyperparameters, trial.start) for trial in plan]
        for plan in (result.plan, make_plan(chosen))
    )
    if read != expected:
        raise DamageError("the best settings of search.npz are not those of best.yaml")
    return result


def _read_searched(path: Path, prefix: str, choice: Choice, repeats: int) -> Searched:
    """Read what was searched for one optimizer on one surface."""
    losses = read_arrays(path, {f"{prefix}final_loss": (np.float64, (-1, repeats))})[f"{prefix}final_loss"]
    cells = len(losses)
    if not cells:
        raise DamageError(f"{path.name} has no cells")
    expected: dict[str, ArrayType] = {
        f"{prefix}iterations": (np.int32, (cells, repeats)),
        f"{prefix}status": (np.int8, (cells, repeats)),
    }
    axes = {f"{prefix}{name}": axis for name, axis in choice.axes.items()}
    arrays = read_arrays(path, expected | dict.fromkeys(axes, (None, (cells,))), optional=axes)
    columns: dict[str, NDArray[Any]] = {}
    for name, axis in axes.items():
        if name not in arrays:
            continue
        column, values = arrays[name], axis.values
        if column.dtype.kind == "U" and any(not isinstance(value, str) for value in values):
            # Schedules are stored as texts: look up the value of the axis that each text stands for.
            value_of = {str(value): value for value in values}
            texts = column.tolist()
            if not value_of.keys() >= set(texts):
                raise DamageError(f"{path.name}: '{name}' has a value that was not searched")
            column = np.empty(cells, dtype=object)
            column[:] = [value_of[text] for text in texts]
        columns[name.removeprefix(prefix)] = column
    return Searched(
        choice=choice,
        columns=columns,
        final_losses=losses,
        iterations=arrays[f"{prefix}iterations"],
        status_codes=_checked_codes(path.name, arrays[f"{prefix}status"]),
    )


def _status_codes(trials: Sequence[Any], expected: int) -> NDArray[np.int8]:
    """Return the status codes of trials as ``result.json`` lists them, ``(trials,)``."""
    if len(trials) != expected:
        raise DamageError(f"{RESULT} has {len(trials):,} trials, the experiment {expected:,}")
    labels = [trial.get("status") if isinstance(trial, dict) else None for trial in trials]
    if not all(isinstance(label, str) and label in CODES for label in labels):
        raise DamageError(f"{RESULT} has a trial without a valid status")
    return np.array([CODES[str(label)] for label in labels], dtype=np.int8)


def _checked_codes(name: str, codes: NDArray[np.int8]) -> NDArray[np.int8]:
    if not np.isin(codes, list(CODES.values())).all():
        raise DamageError(f"{name}: 'status' has an unknown code")
    return codes
