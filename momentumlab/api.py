"""The functions of the Python interface, which the command line uses as well.

Functions that take settings raise `ConfigError` with every problem they find, `PluginError` if a user's surface,
optimizer or schedule raises an exception, and `OutputError` if they cannot write. Their keyword arguments ``overrides``
replace settings of the source: ``lr=0.1, beta=[0, 0.9]``; `momentumlab.keywords.Settings` lists them.
"""

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from momentumlab import engine, stopping
from momentumlab.config import ConfigNode, load_comparison, load_experiment, node_of
from momentumlab.config.load import Source
from momentumlab.config.settings import split_record
from momentumlab.config.values import read_starts
from momentumlab.errors import (
    ConfigError,
    InterruptedSweepError,
    OutputError,
    PluginError,
    Problem,
    TerminatedSweepError,
    in_python,
)
from momentumlab.experiment import SEARCH_PATIENCE, TUNING_BUDGET, TUNING_ZOOMS, Comparison, Experiment, entries_of
from momentumlab.keywords import ConventionSettings, SearchSettings, Settings
from momentumlab.outcome import Outcome
from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, Plan, check_size, make_plan
from momentumlab.plugins import attribute_errors, loaded_plugins, python_entries, shown_path
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.reports import ComparisonReport, Report, report_of
from momentumlab.result import Result
from momentumlab.runs import write as store
from momentumlab.runs.layout import PARTIAL, is_locked
from momentumlab.search.planes import best_trials, is_mapped, planes
from momentumlab.surfaces import Surface

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from momentumlab.executor import OnBlock
    from momentumlab.live import LiveServer
    from momentumlab.report.page import Page
    from momentumlab.report.prediction_table import PredictionReport
    from momentumlab.report.translation_table import TranslationReport
    from momentumlab.runs.rerun import Repetition
    from momentumlab.search import ComparisonResult
    from momentumlab.search.searched import RunPlan
    from momentumlab.search.sweeps import Sweep

MOST_RECORDED = 100
"""By default, trajectories are recorded for at most this many trials, or settings with replicates."""

WITHOUT_KERNELS = "computed by NumPy: compiled kernels do not record trajectories (record: none)"
"""The note of a recorded run for which kernels were requested."""


def load(source: Source | None = None, **overrides: Unpack[Settings]) -> Experiment:
    """Read and check an experiment without running it.

    Parameters
    ----------
    source
        The path of a YAML file, a mapping of the same shape, or an experiment; nothing if the overrides are complete.
    **overrides
        Settings that replace those of the source: ``lr=0.1, beta=[0, 0.9]``. Those whose names are not keyword
        arguments are given as ``settings={"surface.a": 0.1}``, and the gradient of a ``surface`` that is a Python
        function as ``gradient``.
    """
    return _loaded(source, overrides)


def _loaded(source: Source | None, overrides: Mapping[str, Any], *, patience: int = 1) -> Experiment:
    source, nodes = _configuration(source, overrides)
    with in_python():
        return load_experiment(source, nodes, patience=patience)


@attribute_errors()
def _configuration(source: Source | None, overrides: Mapping[str, Any]) -> tuple[Source, list[ConfigNode]]:
    """Return a source and the nodes of its overrides, with registered surfaces in place of functions."""
    given = dict(overrides)
    gradient, settings = given.pop("gradient", None), dict(given.pop("settings", None) or {})
    if twice := sorted(settings.keys() & given.keys()):
        raise ConfigError([Problem(place=f"argument {name}", message="is also in 'settings'") for name in twice])
    given |= settings  # surface.a replaces a parameter of the surface, which is placed first
    own = dict(source) if isinstance(source, Mapping) else {}
    has_function = False

    def registered(surface: Any) -> Any:
        nonlocal has_function
        if isinstance(surface, (list, tuple)):
            return [registered(item) for item in surface]
        if not callable(surface) or isinstance(surface, (type, Surface)):
            return surface
        from momentumlab.surfaces.functions import surface_of

        has_function = True
        return surface_of(surface, gradient, _coordinates(given.get("start", own.get("start"))))

    for mapping in (own, given):
        mapping |= {key: registered(mapping[key]) for key in ("surface", "surfaces") if key in mapping}
    if gradient is not None and not has_function:
        raise ConfigError.at("argument gradient", "needs a surface that is a Python function")
    nodes = [node_of(value, place=f"argument {path}", path=path) for path, value in given.items()]
    return own if source is None or isinstance(source, Mapping) else source, nodes


def _coordinates(start: Any) -> int | None:
    """Return the number of coordinates of starts; ``None`` if they are those of the surface."""
    if isinstance(start, str) or hasattr(start, "dimensions"):
        with suppress(ValueError):
            return min(read_starts(start, 0).dimensions) or None
        return None
    start = start.tolist() if hasattr(start, "tolist") else start
    if isinstance(start, (list, tuple)) and start:
        return len(start[0]) if isinstance(start[0], (list, tuple)) else len(start)
    return None if start is None or isinstance(start, (list, tuple)) else 1


def run(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool | FigureOptions = True,
    theory: bool = False,
    page: bool = False,
    record: str | Sequence[str] = "auto",
    workers: int = 0,
    executor: "Executor | None" = None,
    max_trials: int = MAX_TRIALS,
    history_bytes: int = engine.HISTORY_BYTES,
    **overrides: Unpack[Settings],
) -> Result:
    """Run an experiment.

    Parameters
    ----------
    source, **overrides
        The experiment, as in `load`.
    out
        The folder in which a run folder is created; without it nothing is written.
    plots
        Whether to draw figures into the run folder, or how.
    theory
        Whether the figures show predictions.
    page
        Whether to write the interactive page into the run folder.
    record
        Which trajectories are recorded: ``"all"``, ``"none"``, with ``"best:3"`` those of the best three trials of a
        sweep (`Result.best_trials`), or with ``"auto"`` all if there are at most `MOST_RECORDED` trials or no axis for
        a map. Names of quantities are recorded with each trajectory: ``record=["gradient_norm", "update_norm",
        "state.v"]``, see `Result.quantities`.
    workers
        The number of worker processes; 0 for one per core if the work takes long enough.
    executor
        A `concurrent.futures.Executor` that runs blocks of trials instead.
    max_trials
        The maximum number of trials.
    history_bytes
        Memory limit for the trajectories; beyond it every k-th iterate is recorded.
    """
    record, overrides = _with_quantities(record, overrides)
    plan = make_plan(_loaded(source, overrides), max_trials=max_trials)
    how = Execution(
        figures=figure_options(plots, theory=theory),
        page=page,
        record=record,
        workers=workers,
        executor=executor,
        history_bytes=history_bytes,
    )
    return execute(plan, how, out=None if out is None else Path(out)).result


def sweep(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool | FigureOptions = True,
    theory: bool = False,
    page: bool = False,
    workers: int = 0,
    executor: "Executor | None" = None,
    resume: str | os.PathLike[str] | None = None,
    record: str | Sequence[str] = "none",
    max_trials: int = MAX_TRIALS,
    **overrides: Unpack[Settings],
) -> "Sweep":
    """Run all combinations of the axes of an experiment without recording trajectories.

    Parameters
    ----------
    resume
        The run folder of an unfinished sweep, of which the missing blocks are run.
    record
        ``"best:3"`` runs the best three trials again with their trajectories: `Sweep.best_trials`. Names of quantities
        are recorded with them, as in `run`: ``["best:3", "gradient_norm"]``.
    source, out, plots, theory, page, workers, executor, max_trials, **overrides
        As in `run`: ``lr="geomspace(1e-3, 1, 100)", beta=[0, 0.9]``.
    """
    from momentumlab.search.sweeps import Sweep

    folder = None if resume is None else Path(resume)
    record, overrides = _with_quantities(record, overrides)
    if folder is None:
        experiment = _loaded(source, overrides, patience=SEARCH_PATIENCE)
    else:
        experiment = _unfinished(folder, Experiment, source, overrides)
    figures = figure_options(plots, theory=theory)
    how = Execution(figures=figures, page=page, record=record, is_sweep=True, workers=workers, executor=executor)
    plan = make_plan(experiment, max_trials=max_trials if folder is None else experiment.trials)
    return Sweep.of(execute(plan, how, out=None if out is None else Path(out), resume=folder).result)


def sweep_shard(
    source: Source | None = None,
    *,
    shard: tuple[int, int],
    into: str | os.PathLike[str],
    plots: bool | FigureOptions = True,
    theory: bool = False,
    page: bool = False,
    workers: int = 0,
    record: str | Sequence[str] = "none",
    max_trials: int = MAX_TRIALS,
    **overrides: Unpack[Settings],
) -> "Sweep | None":
    """Run one of n parts of a sweep; the last one completes the run folder that all share.

    Parameters
    ----------
    shard
        The number of the part, from 1 to n, and n.
    into
        The run folder, which the first shard creates.
    source, plots, theory, page, workers, record, max_trials, **overrides
        As in `sweep`, and the same for every shard.

    Returns
    -------
    Sweep or None
        The complete sweep; ``None`` if trials of other shards are missing.
    """
    from momentumlab.search.sweeps import Sweep

    if not 1 <= shard[0] <= shard[1]:
        raise ConfigError.at("argument shard", f"{shard} is not (i, n) with i from 1 to n")
    record, overrides = _with_quantities(record, overrides)
    plan = make_plan(_loaded(source, overrides, patience=SEARCH_PATIENCE), max_trials=max_trials)
    figures = figure_options(plots, theory=theory)
    how = Execution(figures=figures, page=page, record=record, is_sweep=True, workers=workers)
    report = execute_shard(plan, how, shard, Path(into))
    return None if report is None else Sweep.of(report.result)


def compare(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool | FigureOptions = True,
    workers: int = 0,
    executor: "Executor | None" = None,
    resume: str | os.PathLike[str] | None = None,
    max_trials: int = MAX_SEARCHED,
    **overrides: Unpack[SearchSettings],
) -> "ComparisonResult":
    """Compare optimizers, each with the best of the settings that were searched for it.

    For each optimizer the best combination of an experiment's axes is chosen. A learning rate that is not given is
    tuned, with the same ``budget`` for every optimizer. There may be several surfaces::

        compare(optimizers=["sgd", "adam"], surface=["ravine", "booth"], start="random(20)", objective="iterations",
                target_loss=1e-6)

    Parameters
    ----------
    max_trials
        The maximum number of trials with which the search starts on a surface.
    source, out, plots, workers, executor, resume, **overrides
        As in `sweep`.
    """
    how = Execution(figures=figure_options(plots), workers=workers, executor=executor)
    return _search(source, overrides, {}, max_trials, how, out=out, resume=resume)


def tune(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool | FigureOptions = True,
    workers: int = 0,
    executor: "Executor | None" = None,
    resume: str | os.PathLike[str] | None = None,
    max_trials: int = MAX_SEARCHED,
    **overrides: Unpack[SearchSettings],
) -> "ComparisonResult":
    """Search the best hyperparameters: a coarse grid, then finer grids around its best cells.

    A hyperparameter with the value ``"tuned"`` is searched, and so is a learning rate that is not given::

        tune(surface="rosenbrock", optimizers=["momentum", "adam"], beta="tuned", budget=2000).best_settings()

    Parameters and errors are those of `compare`. The default of ``budget`` is `TUNING_BUDGET`, that of ``zooms``
    `TUNING_ZOOMS`.
    """
    defaults = {"budget": TUNING_BUDGET, "zooms": TUNING_ZOOMS}
    how = Execution(figures=figure_options(plots), workers=workers, executor=executor)
    return _search(source, overrides, defaults, max_trials, how, out=out, resume=resume)


@attribute_errors()
def _search(
    source: Source | None,
    overrides: Mapping[str, Any],
    defaults: Mapping[str, object],
    max_trials: int,
    how: "Execution",
    *,
    out: str | os.PathLike[str] | None,
    resume: str | os.PathLike[str] | None,
) -> "ComparisonResult":
    folder = None if resume is None else Path(resume)
    if folder is None:
        source, nodes = _configuration(source, overrides)
        with in_python():
            comparison = load_comparison(source, nodes, defaults=defaults)
        for experiment in comparison.experiments:
            check_size(experiment, max_trials, place=comparison.name)
    else:
        comparison = _unfinished(folder, Comparison, source, overrides)
    return execute_comparison(comparison, how, out=None if out is None else Path(out), resume=folder).result


Kind = TypeVar("Kind", Experiment, Comparison)


def _unfinished(folder: Path, kind: type[Kind], source: Source | None, overrides: Mapping[str, Any]) -> Kind:
    """Return the experiment of an unfinished run folder."""
    if source is not None or overrides:
        raise ConfigError.at("argument resume", "a resumed run has its own settings: leave out all others")
    experiment = store.read_partial(folder).experiment
    if not isinstance(experiment, kind):
        what = "a sweep" if isinstance(experiment, Experiment) else "a comparison"
        raise ConfigError.at("argument resume", f"{folder} is {what}")
    return experiment


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a plan is run and written.

    Attributes
    ----------
    record
        Which trajectories are recorded: ``all``, ``none``, ``auto`` (see `run`), or the best of a sweep: ``best:5``.
    is_sweep
        Whether to run a sweep, however few trials there are.
    all_rows
        Whether CSV and JSON of a sweep have all trials, not only the best.
    figures
        How figures are drawn; `None` for no figures.
    page
        Whether to write the interactive page into the run folder.
    workers
        The number of worker processes; 0 for one per core if the work takes long enough.
    executor
        An executor that runs blocks of trials instead.
    on_block
        Called with each finished block.
    history_bytes
        Memory limit for the trajectories; beyond it every k-th iterate is recorded.
    command_line
        The command line that the run folder records; ``None`` from Python.
    """

    record: str = "auto"
    is_sweep: bool = False
    all_rows: bool = False
    figures: FigureOptions | None = FigureOptions()
    page: bool = False
    workers: int = 0
    executor: "Executor | None" = None
    on_block: "OnBlock | None" = None
    history_bytes: int = engine.HISTORY_BYTES
    command_line: str | None = None

    def __post_init__(self) -> None:
        check_record(self.record, "argument record" if self.command_line is None else "--record")

    def keeps_all(self, plan: Plan) -> bool:
        """Return whether all trajectories are recorded; else it is a sweep."""
        if self.record == "auto":
            settings = plan.trials // plan.experiment.replicates
            return not self.is_sweep and (settings <= MOST_RECORDED or not is_mapped(plan.experiment))
        return self.record == "all"

    @property
    def best(self) -> int:
        """The number of best trials of a sweep whose trajectories are recorded."""
        return int(self.record.removeprefix("best:")) if self.record.startswith("best:") else 0


def figure_options(plots: bool | FigureOptions, *, theory: bool = False) -> FigureOptions | None:
    """Return the options of figures that the arguments ``plots`` and ``theory`` mean."""
    if isinstance(plots, FigureOptions):
        return replace(plots, theory=theory or plots.theory)
    return FigureOptions(theory=theory) if plots else None


def _with_quantities(record: str | Sequence[str], overrides: Any) -> tuple[str, Any]:
    """Return the trials whose trajectories are recorded, and the overrides with the names of recorded quantities."""
    trials, quantities = split_record(record)
    return trials, overrides | {"record": quantities} if quantities else overrides


def check_record(record: str, place: str) -> str:
    """Return a valid value of `Execution.record`.

    Raises
    ------
    ConfigError
        If the value is invalid.
    """
    message = f"'{record}' is not all, none, auto or best:N (N < 1000), nor a quantity such as gradient_norm or state.v"
    if re.fullmatch(r"auto|all|none|best:[1-9][0-9]{0,2}", record) is None:
        raise ConfigError.at(place, message)
    return record


@attribute_errors()
def execute(plan: Plan, how: Execution, *, out: Path | None = None, resume: Path | None = None) -> Report:
    """Run a plan, and write a run folder if ``out`` is given.

    Parameters
    ----------
    plan
        The trials.
    how
        How to run them.
    out
        The folder in which a run folder is created; without it nothing is written.
    resume
        The unfinished run folder of a sweep of the same plan.

    Raises
    ------
    OutputError
        If the run folder cannot be written.
    InterruptedSweepError
        If a sweep with a run folder is interrupted.
    PluginError
        If a user's code raises an exception.
    """
    if how.figures is not None:
        how.figures.check(plan.trials)
    if out is not None:
        store.prepare(out)
    provenance = _stopwatch(how)
    if resume is None and how.keeps_all(plan):
        result = _run_recorded(plan, how)
        if plan.experiment.backend == "numba":
            result = replace(result, notes=(*result.notes, WITHOUT_KERNELS))
        if out is None:
            return report_of(result)
        report = report_of(replace(result, notes=_notes(result)))
        return store.write_run(report, out, provenance(), how.figures, with_page=how.page)
    with _blockwise(plan.experiment, [plan], how, out, resume, provenance().started) as (folder, run_plan):
        result = run_plan(plan, history=False)
        recorded = engine.run(plan.only(best_trials(planes(result), how.best))) if how.best else None
        result = replace(result, best_trials=recorded)
        if folder is None:
            return report_of(result, recorded=recorded, all_rows=how.all_rows)
        result = replace(result, notes=_notes(result))
        report = report_of(result, recorded=recorded, all_rows=how.all_rows)
        return store.complete(report, folder, provenance(), how.figures, with_page=how.page)


@attribute_errors()
def execute_shard(plan: Plan, how: Execution, shard: tuple[int, int], folder: Path) -> Report | None:
    """Run every n-th block of a sweep into a folder that all n shards share.

    The shard after which no block is missing completes the folder.

    Parameters
    ----------
    plan, how
        As in `execute`.
    shard
        The number of the shard, from 1 to n, and n.
    folder
        The run folder, which the first shard creates.

    Returns
    -------
    Report or None
        The report of the complete sweep; ``None`` if blocks of other shards are missing.

    Raises
    ------
    OutputError
        If the folder is complete, belongs to another experiment or number of shards, or cannot be written.
    """
    from momentumlab.executor import Workers, block_size, blocks

    number, count = shard
    block_trials = block_size(plan, count)  # the same for all shards, whatever machine they run on
    if how.figures is not None:
        how.figures.check(plan.trials)
    store.join_shards(plan.experiment, folder, datetime.now(), block_trials, count)
    every = list(blocks(plan, block_trials))
    done = store.finished_blocks(folder)
    missing = [block for block in every[number - 1 :: count] if block[0] not in done]
    try:
        with stopping.unwinding(), Workers(how.workers, how.executor) as workers:
            for outcome in workers.run_blocks(plan, missing):
                if store.is_complete(folder):  # by --resume
                    return None
                store.save_block(folder, outcome)
                if how.on_block is not None:
                    how.on_block(outcome)
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, stopping.Terminated)
        error_class = TerminatedSweepError if terminated else InterruptedSweepError
        raise error_class("finished blocks are kept: repeat the command") from None
    if any(first not in store.finished_blocks(folder) for first, _ in every):
        return None
    try:
        return execute(plan, how, resume=folder)
    except OutputError:
        if store.is_complete(folder) or is_locked(folder):  # shards that end together all find every block
            return None
        raise


@attribute_errors()
def execute_comparison(
    comparison: Comparison, how: Execution, *, out: Path | None = None, resume: Path | None = None
) -> ComparisonReport:
    """Run a comparison and write it into a run folder if `out` or `resume` is given.

    Parameters and errors are those of `execute`.
    """
    from momentumlab.search import compare as search_and_rank

    if out is not None and resume is None:
        store.prepare(out)
    provenance = _stopwatch(how)
    plans = [make_plan(experiment, max_trials=experiment.trials) for experiment in comparison.experiments]
    with _blockwise(comparison, plans, how, out, resume, provenance().started) as (folder, run_plan):
        compared = search_and_rank(comparison, run_plan)
        if folder is None:
            return ComparisonReport(result=compared)
        report = ComparisonReport(result=replace(compared, notes=_notes(compared)))
        return store.complete(report, folder, provenance(), how.figures)


def _stopwatch(how: Execution) -> Callable[[], store.Provenance]:
    """Return a function for the provenance of a run that begins now and ends when the function is called."""
    started, clock = datetime.now(), time.perf_counter()

    def provenance() -> store.Provenance:
        seconds = time.perf_counter() - clock
        return store.Provenance(command_line=how.command_line, started=started, seconds=seconds)

    return provenance


def _notes(result: "Result | ComparisonResult") -> tuple[str, ...]:
    """Return the notes of a result that is written, which name what its run folder does not contain."""
    experiment = result.experiment if isinstance(result, Result) else result.comparison
    entries = [entry for entry in dict.fromkeys(entries_of(experiment)) if entry[0] != "data"]  # which is copied
    names = [f"{noun} {name}" for noun, name, _ in python_entries(entries)]
    if not names:
        return result.notes
    missing = f"not in the run folder: {', '.join(names)}; only a Python program that defines them can repeat this run"
    return (*result.notes, missing)


def _run_recorded(plan: Plan, how: Execution) -> Result:
    """Run a plan and record all trajectories."""
    if how.executor is None and how.workers < 2 and (how.workers or not plan.is_worth_workers):
        return engine.run(plan, history_bytes=how.history_bytes)  # most runs need no processes and no code for them
    from momentumlab.executor import Workers

    with stopping.unwinding(), Workers(how.workers, how.executor) as workers:
        return workers.run(plan, history_bytes=how.history_bytes, on_block=how.on_block)


@contextmanager
def _blockwise(
    experiment: Experiment | Comparison,
    plans: Sequence[Plan],
    how: Execution,
    out: Path | None,
    resume: Path | None,
    started: datetime,
) -> "Iterator[tuple[Path | None, RunPlan]]":
    """Run plans in blocks, each of which is written as soon as it is finished.

    Yields the run folder, if there is one, and the function that runs a plan. The blocks of successive plans are
    numbered consecutively, so a resumed comparison finds those of each step of its search.
    """
    from momentumlab.executor import Workers

    with Workers(how.workers, how.executor) as workers:
        if resume is not None:
            folder: Path | None = resume
            block_trials = store.read_partial(resume).block_trials
        else:
            block_trials = min(map(workers.block_trials, plans))
            folder = None if out is None else store.begin_run(experiment, out, started, block_trials)
        trials_before = 0

        def run_plan(plan: Plan, *, history: bool) -> Result:
            nonlocal trials_before
            if history:
                return workers.run(plan, history_bytes=engine.HISTORY_BYTES)
            offset, trials_before = trials_before, trials_before + plan.trials

            def keep(block: Outcome) -> None:
                if folder is not None:
                    store.save_block(folder, block, offset)
                if how.on_block is not None:
                    how.on_block(block)

            done = {} if resume is None else store.read_blocks(resume, plan.experiment, block_trials, offset)
            if how.on_block is not None:
                for block in done.values():
                    how.on_block(block)
            return workers.run(plan, block_trials=block_trials, done=done, on_block=keep)

        with _resumable(experiment, folder, how):
            yield folder, run_plan


@contextmanager
def _resumable(experiment: Experiment | Comparison, folder: Path | None, how: Execution) -> Iterator[None]:
    """Lock an unfinished run folder, and say how to resume it if something ends the work.

    Without a folder, errors pass unchanged.
    """
    from concurrent.futures import BrokenExecutor

    killed = "a worker process was killed, possibly for lack of memory"
    remedy = "" if folder is None else _how_to_resume(experiment, folder, how)
    try:
        with stopping.unwinding(), nullcontext() if folder is None else store.working_on(folder):
            yield
    except KeyboardInterrupt as stop:
        if folder is None:
            raise
        terminated = isinstance(stop, stopping.Terminated)
        error_class = TerminatedSweepError if terminated else InterruptedSweepError
        word = "terminated" if terminated else "interrupted"
        raise error_class(f"{word}; finished blocks are kept: {remedy}") from None
    except BrokenExecutor as error:
        kept = "" if folder is None else f"; finished blocks are kept: {remedy}"
        lost = killed if how.executor is None else f"the executor lost a block ({error})"
        raise OutputError(f"{lost}{kept}") from error
    except PluginError as error:
        if folder is None:
            raise
        store.record_plugin_error(folder, str(error))
        message = f"{error}; finished blocks are kept, and after the correction: {remedy}"
        raise PluginError(message, error.original) from error.original
    except OutputError as error:
        if folder is None or not (folder / PARTIAL).exists():
            raise
        raise OutputError(f"{error}; once that is corrected: {remedy}") from error


def _how_to_resume(experiment: Experiment | Comparison, folder: Path, how: Execution) -> str:
    word = "sweep" if isinstance(experiment, Experiment) else "tune" if experiment.zooms else "compare"
    if how.command_line is None:
        return f"momentumlab.{word}(resume={str(folder)!r})"
    plugins = [f"--plugin {shlex.quote(shown_path(str(plugin.path)))}" for plugin in loaded_plugins()]
    return " ".join(["momentumlab", word, *plugins, "--resume", shlex.quote(str(folder))])


def explore(
    source: Source | None = None, *, save: str | os.PathLike[str] | None = None, **overrides: Unpack[Settings]
) -> "Page":
    """Build the interactive page of an experiment.

    Axes of the learning rate and the momentum with up to eight values are refined to a grid.

    Parameters
    ----------
    save
        The HTML file to write.
    source, **overrides
        As in `load`.

    Raises
    ------
    PageTooLargeError
        If the axes of the experiment do not fit on a page.
    """
    from momentumlab.report.page import page

    built = page(_loaded(source, overrides))
    if save is not None:
        store.write_file(Path(save), lambda file: file.write(built.html.encode()))
    return built


def laboratory(source: Source | None = None, *, port: int = 0, **overrides: Unpack[Settings]) -> "LiveServer":
    """Start the live laboratory: a page on which every setting of an experiment can be changed.

    Parameters
    ----------
    port
        The port; 0 for a free one. If it cannot be used, `OutputError` is raised.
    source, **overrides
        As in `load`.

    Returns
    -------
    LiveServer
        The server, which runs in a thread until its method ``close`` is called; open its ``url`` in a browser.
    """
    from momentumlab.live import LiveServer

    return LiveServer(_loaded(source, overrides), port=port)


@attribute_errors()
def predict(
    source: Source | None = None, *, max_trials: int = MAX_TRIALS, **overrides: Unpack[Settings]
) -> "PredictionReport":
    """Predict rate, oscillation and stability of each trial near each critical point, without running anything.

    Parameters
    ----------
    source, max_trials, **overrides
        As in `run`.
    """
    from momentumlab.report.prediction_table import PredictionReport

    return PredictionReport(plan=make_plan(_loaded(source, overrides), max_trials=max_trials))


@overload
def translate(
    source: str, target: str, *, schedule: str = "halved", **hyperparameters: Unpack[ConventionSettings]
) -> "TranslationReport": ...


@overload
def translate(
    source: str, target: None = None, *, schedule: str = "halved", **hyperparameters: Unpack[ConventionSettings]
) -> "list[TranslationReport]": ...


def translate(
    source: str, target: str | None = None, *, schedule: str = "halved", **hyperparameters: Unpack[ConventionSettings]
) -> "TranslationReport | list[TranslationReport]":
    """Translate hyperparameters between the conventions of libraries, and check the result by running both.

    ``translate("keras", "torch", lr=0.01, beta=0.9).hyperparameters``

    Parameters
    ----------
    source, target
        The names of the conventions; without a target, a list with the translation into every other convention.
    schedule
        The schedule of lr in the check: ``"halved"``, ``"cosine"`` or ``"warmup"``.
    **hyperparameters
        The hyperparameters of the source; those that are not given have its defaults. Conventions of momentum have
        ``lr``, ``beta``, ``nesterov``, ``dampening`` and ``nu``; those of Adam and RMSprop ``beta1``, ``beta2``,
        ``eps`` and others instead.

    Raises
    ------
    ConfigError
        With every problem of the arguments.
    """
    from momentumlab.conventions.reading import argument
    from momentumlab.report.translation_table import translation_reports

    given: dict[str, Any] = {**hyperparameters}
    reports = translation_reports(source, target, given, schedule, place=argument)
    return reports if target is None else reports[0]


def rerun(
    run: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = "runs",
    keep: bool = False,
    plots: bool = True,
    command_line: str | None = None,
) -> tuple[str, "Repetition"]:
    """Repeat a run and compare the numbers with the stored ones.

    Parameters
    ----------
    run
        A run folder, a prefix of its name, ``latest``, or a PNG of a run. A PNG is compared with its run folder if that
        is beside it or in ``out``, and otherwise by the hash of the final states that it carries.
    out
        Folder of the run folders, also for the repetition.
    keep
        Whether to write a run folder of the repetition.
    plots
        Whether that run folder has figures.
    command_line
        Command line that the run folder records.

    Returns
    -------
    what, repetition
        The run folder or PNG that was repeated, and how the numbers compare.

    Raises
    ------
    ConfigError
        If there is no such run or PNG.
    OutputError
        If the run folder cannot be read, or the new one cannot be written.
    """
    from momentumlab.config import load_text
    from momentumlab.runs import rerun as repeating
    from momentumlab.runs.find import find
    from momentumlab.runs.layout import RUN, SWEEP
    from momentumlab.runs.plot import folder_of, is_png, read_png
    from momentumlab.runs.read import load_run

    text, folder = os.fspath(run), Path(out)
    png = read_png(Path(text)) if is_png(Path(text)) else None
    found = find([text], folder)[0] if png is None else folder_of(png, folder)
    stored = None if found is None else load_run(found)
    if stored is not None:
        what, experiment, kind = str(stored.run.path), stored.experiment, stored.kind
    else:
        assert png is not None
        what, experiment, kind = str(png.path), load_text(png.experiment, text), str(png.summary.get("kind", RUN))
        is_comparison = isinstance(experiment, Comparison)
        for each in experiment.experiments if isinstance(experiment, Comparison) else (experiment,):
            check_size(each, MAX_SEARCHED if is_comparison else MAX_TRIALS, place=text)
    target = folder if keep else None
    if isinstance(experiment, Comparison):
        how = Execution(figures=figure_options(plots), command_line=command_line)
        results = execute_comparison(experiment, how, out=target).result.results
    else:
        is_sweep = kind == SWEEP
        record = "none" if is_sweep else "all"
        how = Execution(figures=figure_options(plots), record=record, is_sweep=is_sweep, command_line=command_line)
        results = (execute(make_plan(experiment, max_trials=experiment.trials), how, out=target).result,)
    if stored is not None:
        return what, repeating.compare_with_folder(stored, results)
    assert png is not None
    return what, repeating.compare_with_png(png.summary, results)
