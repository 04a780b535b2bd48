"""A run folder as the results that it was written from, without computing them again."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.config import load_either, load_experiment
from momentumlab.engine import HISTORY_BYTES
from momentumlab.errors import ConfigError, OutputError
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plan import Plan, make_plan
from momentumlab.report.figure_files import file_suffixes
from momentumlab.report.reports import ComparisonReport, Report, report_of
from momentumlab.result import History, Result, Status
from momentumlab.runs.arrays import ArrayFile
from momentumlab.runs.header import COMPARISON, RUN, SWEEP, digest
from momentumlab.runs.layout import RESULT
from momentumlab.runs.run import DamageError, Run, RunStatus, read_result
from momentumlab.search import ComparisonResult
from momentumlab.search.comparison import judged
from momentumlab.search.planes import array_prefixes, best_trials, planes
from momentumlab.search.tuning import Searched

CODES = {status.label: status.code for status in Status}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a run folder holds.

    Attributes
    ----------
    run
        The folder.
    experiment
        What was run.
    results
        All trials; of a comparison those of the chosen settings, a result per surface.
    recorded
        Of a sweep the trials whose paths were kept, if any were.
    comparison
        The whole comparison, where the folder has all that was searched: those of the first format have not.
    provenance
        With what it was run.
    """

    run: Run
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
        """The report of the whole comparison, if this is one."""
        return None if self.comparison is None else ComparisonReport(result=self.comparison)

    @cached_property
    def digest(self) -> str:
        """See `momentumlab.runs.header.digest`."""
        return digest(self.results)

    @property
    def kind(self) -> str:
        """Of which kind the folder is; see `momentumlab.runs.header`."""
        if isinstance(self.experiment, Comparison):
            return COMPARISON
        return SWEEP if self.is_sweep else RUN

    @property
    def is_sweep(self) -> bool:
        """Whether it has a map instead of all paths."""
        return self.results[0].history is None


def load_run(run: Run) -> Loaded:
    """Read a whole run folder.

    Raises
    ------
    OutputError
        If it is not complete, or something in it is not what it should be.
    """
    if run.status is RunStatus.PARTIAL:
        raise OutputError(f"{run.path}: is not finished: momentumlab sweep --resume {run.path}")
    if run.status is not RunStatus.COMPLETE:
        raise OutputError(f"{run.path}: is {run.status.label}: {run.problem}")
    try:
        document = read_result(run.path / RESULT)
        experiment = load_either(run.path / "experiment.yaml")
        strides = run.header.get("strides", [])
        loaded = _loaded(run, experiment, document, strides)
    except DamageError as error:
        raise OutputError(f"{run.path}: is damaged: {error}") from None
    except ConfigError as error:
        raise OutputError(f"{run.path}: is damaged: {error}") from None
    except OSError as error:
        raise OutputError(f"{run.path}: {(error.strerror or str(error)).lower()}") from None
    if run.header and run.header["digest"] != loaded.digest:
        raise OutputError(f"{run.path}: is damaged: its numbers are not those with which it was written")
    return loaded


def _loaded(
    run: Run, experiment: Experiment | Comparison, document: Mapping[str, Any], strides: Sequence[int]
) -> Loaded:
    folder = run.path
    provenance = document.get("provenance")
    notes = document.get("notes")
    told = tuple(map(str, notes)) if isinstance(notes, list) else ()
    recorded: Result | None = None
    comparison: ComparisonResult | None = None
    if isinstance(experiment, Comparison):
        results, comparison = _comparison(folder, experiment, document["trials"], strides, told)
    elif (folder / "sweep.npz").exists():
        result = replace(_sweep(folder, experiment), notes=told, run_folder=folder)
        recorded = _best_of(result, folder, strides)
        results = (result,)
    elif "trials_in_all" in document:
        raise DamageError("sweep.npz is missing")
    else:
        codes = _codes(document["trials"], experiment.trials)
        result = _with_history(folder / "trajectories.npz", experiment, codes, strides[0] if strides else None)
        results = (replace(result, notes=told, run_folder=folder),)
    return Loaded(
        run=run,
        experiment=experiment,
        results=results,
        recorded=recorded,
        comparison=comparison,
        provenance=provenance if isinstance(provenance, dict) else {},
    )


def _codes(trials: Sequence[Any], expected: int) -> NDArray[np.int8]:
    """How each trial ended, ``(trials,)``."""
    if len(trials) != expected:
        raise DamageError(f"{RESULT} has {len(trials):,} trials, the experiment {expected:,}")
    labels = [trial.get("status") if isinstance(trial, dict) else None for trial in trials]
    if not all(label in CODES for label in labels):
        raise DamageError(f"{RESULT} has a trial without a status")
    return np.array([CODES[str(label)] for label in labels], dtype=np.int8)


def _with_history(
    path: Path,
    experiment: Experiment,
    codes: NDArray[np.int8],
    stride: int | None,
    *,
    plan: Plan | None = None,
) -> Result:
    """The trials of an experiment, or of a plan of some of them, from a file of their paths."""
    trials, dimension = len(codes), experiment.dimension
    with ArrayFile(path) as file:
        if len(file.shape("positions")) != 3:
            raise DamageError(f"{path.name}: 'positions' has no three dimensions")
        entries = file.shape("positions")[1]
        positions = file.read("positions", np.float64, trials, entries, dimension)
        velocities = file.read("velocities", np.float64, trials, entries, dimension)
        losses = file.read("losses", np.float64, trials, entries)
        iterations = file.read("iterations", np.int32, trials)
    if stride is None:
        stride = _usual_stride(experiment, trials)
    if stride < 1 or iterations.min(initial=0) < 0 or -(-int(iterations.max(initial=0)) // stride) + 1 != entries:
        raise DamageError(f"{path.name}: its iterations do not fit its {entries:,} entries")
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


def _usual_stride(experiment: Experiment, trials: int) -> int:
    """How many iterations apart the entries of a history are, where its folder does not say so."""
    affordable = max(HISTORY_BYTES // (8 * trials * (2 * experiment.dimension + 1)), 2)
    return max(1, -(-experiment.stopping.iterations // (affordable - 1)))


def _sweep(folder: Path, experiment: Experiment) -> Result:
    """All trials of a sweep; that there are as many as the experiment says is checked before anything is made."""
    found: dict[str, list[NDArray[Any]]] = {}
    kinds: dict[str, type[np.generic]] = {
        "final_loss": np.float64,
        "iterations": np.int32,
        "status": np.int8,
        "final_point": np.float64,
    }
    repeats, combinations = experiment.repeats, experiment.surface.combinations
    with ArrayFile(folder / "sweep.npz") as file:
        for prefix, choice in zip(array_prefixes(experiment), experiment.optimizers, strict=True):
            trials = combinations * choice.combinations * repeats
            for name, kind in kinds.items():
                shape = file.shape(prefix + name)
                expected = trials * (experiment.dimension if name == "final_point" else 1)
                if int(np.prod(shape, dtype=object)) != expected:
                    raise DamageError(f"sweep.npz: '{prefix + name}' has not the size of {trials:,} trials")
                found.setdefault(name, []).append(file.read(prefix + name, kind, *shape).reshape(trials, -1))
    codes = np.concatenate(found["status"])[:, 0]
    if not np.isin(codes, list(CODES.values())).all():
        raise DamageError("sweep.npz: 'status' has a number that is no status")
    return Result(
        plan=make_plan(experiment, max_trials=experiment.trials),
        final_points=np.concatenate(found["final_point"]),
        final_losses=np.concatenate(found["final_loss"])[:, 0],
        iterations=np.concatenate(found["iterations"])[:, 0],
        status_codes=codes,
        history=None,
    )


def _best_of(result: Result, folder: Path, strides: Sequence[int]) -> Result | None:
    """The best trials of a sweep with their paths, if those were kept."""
    path = folder / "trajectories.npz"
    if not path.exists():
        return None
    with ArrayFile(path) as file:
        count = file.shape("positions")[0]
    if not 0 < count <= min(result.trials, 1000):
        raise DamageError(f"{path.name}: {count:,} paths of {result.trials:,} trials")
    numbers = best_trials(planes(result), count)
    codes = result.status_codes[numbers]
    stride = strides[0] if strides else None
    plan = result.plan.only(numbers)
    return replace(_with_history(path, result.experiment, codes, stride, plan=plan), run_folder=folder)


def _comparison(
    folder: Path, comparison: Comparison, trials: Sequence[Any], strides: Sequence[int], notes: tuple[str, ...]
) -> tuple[tuple[Result, ...], ComparisonResult | None]:
    """The chosen trials on each surface, and the whole comparison if all that was searched was kept."""
    names = [experiment.surface.name for experiment in comparison.experiments]
    results: list[Result] = []
    first = 0
    for number, suffix in enumerate(file_suffixes(names)):
        best = load_experiment(folder / f"best{suffix}.yaml")
        last = first + best.trials
        codes = _codes(trials[first:last], best.trials)
        stride = strides[number] if number < len(strides) else None
        result = _with_history(folder / f"trajectories{suffix}.npz", best, codes, stride)
        results.append(replace(result, run_folder=folder))
        first = last
    if len(trials) != first:
        raise DamageError(f"{RESULT} has {len(trials):,} trials, the chosen settings {first:,}")
    if not (folder / "search.npz").exists():
        return tuple(results), None
    matches = []
    with ArrayFile(folder / "search.npz") as file:
        for number, (experiment, result) in enumerate(zip(comparison.experiments, results, strict=True)):
            searched = tuple(_searched(file, number, j, experiment) for j in range(len(experiment.optimizers)))
            for one in searched:
                if not one.cells:
                    raise DamageError("search.npz has no cells")
            matches.append(judged(comparison, experiment, searched, functools.partial(_same, result)))
    whole = ComparisonResult(comparison=comparison, matches=tuple(matches), notes=notes, run_folder=folder)
    return whole.results, whole


def _same(result: Result, chosen: Experiment) -> Result:
    """The result that was read, if it is that of the settings which were chosen."""
    trials = [
        [(t.optimizer, t.hyperparameters, t.start) for t in make_plan(each)] for each in (result.experiment, chosen)
    ]
    if trials[0] != trials[1]:
        raise DamageError("the best of search.npz are not the settings of best.yaml")
    return result


def _searched(file: ArrayFile, surface: int, number: int, experiment: Experiment) -> Searched:
    """What was tried for one optimizer on one surface."""
    choice, repeats, prefix = experiment.optimizers[number], experiment.repeats, f"{surface}.{number}."
    losses = file.read(f"{prefix}final_loss", np.float64, -1, repeats)
    cells = len(losses)
    columns: dict[str, NDArray[Any]] = {}
    for name, axis in choice.axes.items():
        if prefix + name not in file.stored:
            continue
        column = file.read(prefix + name, None, cells)
        if column.dtype.kind == "U" and any(not isinstance(value, str) for value in axis.values):
            values = {str(value): value for value in axis.values}
            texts = column.tolist()
            if not values.keys() >= set(texts):
                raise DamageError(f"search.npz: '{prefix + name}' has a value that was not searched")
            column = np.empty(cells, dtype=object)
            column[:] = [values[text] for text in texts]
        columns[name] = column
    codes = file.read(f"{prefix}status", np.int8, cells, repeats)
    if not np.isin(codes, list(CODES.values())).all():
        raise DamageError("search.npz: 'status' has a number that is no status")
    return Searched(
        choice=choice,
        columns=columns,
        final_losses=losses,
        iterations=file.read(f"{prefix}iterations", np.int32, cells, repeats),
        status_codes=codes,
    )
