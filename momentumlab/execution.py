"""Run plans and comparisons, and write their run folders.

The finished blocks of sweeps and comparisons are written at once, so that an interrupted one can be resumed.
"""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from momentumlab import engine, stopping
from momentumlab.errors import (
    ConfigError,
    InterruptedSweepError,
    OutputError,
    PluginError,
    TerminatedSweepError,
)
from momentumlab.experiment import Comparison, Experiment, entries_of
from momentumlab.outcome import Outcome
from momentumlab.plan import Plan, make_plan
from momentumlab.plugins import attribute_errors, loaded_plugins, python_entries, shown_path
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.reports import ComparisonReport, Report, report_of
from momentumlab.result import Result
from momentumlab.runs import unfinished
from momentumlab.runs import write as store
from momentumlab.runs.layout import PARTIAL, is_locked
from momentumlab.search.planes import best_trials, is_mapped, planes

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from momentumlab.executor import OnBlock
    from momentumlab.search import ComparisonResult
    from momentumlab.search.searched import RunPlan

MOST_RECORDED = 100
"""By default, trajectories are recorded for at most this many trials, or settings with replicates."""

WITHOUT_KERNELS = "computed by NumPy: compiled kernels do not record trajectories (record: none)"
"""The note of a recorded run for which kernels were requested."""


def _ignore(block: Outcome) -> None:
    """Do nothing with a finished block."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a plan is run and written.

    Attributes
    ----------
    record
        Which trajectories are recorded: ``all``, ``none``, ``auto`` (see `momentumlab.run`), or the best of a sweep:
        ``best:5``.
    is_sweep
        Whether to run a sweep, however few trials there are.
    all_rows
        Whether CSV and JSON of a sweep have all trials, not only the best.
    figures
        How figures are drawn; ``None`` for no figures.
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
    on_block: "OnBlock" = _ignore
    history_bytes: int = engine.HISTORY_BYTES
    command_line: str | None = None

    def __post_init__(self) -> None:
        if re.fullmatch(r"auto|all|none|best:[1-9][0-9]{0,2}", self.record) is None:
            place = "argument record" if self.command_line is None else "--record"
            known = "all, none, auto or best:N (N < 1000), nor a quantity such as gradient_norm or state.v"
            raise ConfigError.at(place, f"'{self.record}' is not {known}")

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
    # A sweep keeps the final states of all trials, and runs the best ones again to record their trajectories.
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

    if how.figures is not None:
        how.figures.check(plan.trials)
    # All shards divide the trials into the same blocks, whatever machine they run on, and take every n-th one.
    number, count = shard
    block_trials = block_size(plan, count)
    unfinished.join_shards(plan.experiment, folder, datetime.now(), block_trials, count)
    every = list(blocks(plan, block_trials))
    done = unfinished.finished_blocks(folder)
    missing = [block for block in every[number - 1 :: count] if block[0] not in done]
    try:
        with stopping.unwinding(), Workers(how.workers, how.executor) as workers:
            for outcome in workers.run_blocks(plan, missing):
                if unfinished.is_complete(folder):  # 'sweep --resume' has run the blocks of all shards meanwhile
                    return None
                unfinished.save_block(folder, outcome)
                how.on_block(outcome)
    except KeyboardInterrupt as stop:
        raise _interrupted(stop, "repeat the command") from None
    # The last shard completes the folder. Shards that end together all find every block; one of them gets the lock.
    if any(first not in unfinished.finished_blocks(folder) for first, _ in every):
        return None
    try:
        return execute(plan, how, resume=folder)
    except OutputError:
        if unfinished.is_complete(folder) or is_locked(folder):
            return None
        raise


@attribute_errors()
def execute_comparison(
    comparison: Comparison, how: Execution, *, out: Path | None = None, resume: Path | None = None
) -> ComparisonReport:
    """Run a comparison, and write a run folder if ``out`` is given; parameters and errors are those of `execute`."""
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
            block_trials = unfinished.read_partial(resume).block_trials
        else:
            block_trials = min(map(workers.block_trials, plans))
            folder = None if out is None else unfinished.begin_run(experiment, out, started, block_trials)
        trials_before = 0

        def run_plan(plan: Plan, *, history: bool) -> Result:
            nonlocal trials_before
            if history:
                return workers.run(plan, history_bytes=engine.HISTORY_BYTES)
            offset, trials_before = trials_before, trials_before + plan.trials

            def keep(block: Outcome) -> None:
                if folder is not None:
                    unfinished.save_block(folder, block, offset)
                how.on_block(block)

            done = {} if resume is None else unfinished.read_blocks(resume, plan.experiment, block_trials, offset)
            for block in done.values():
                how.on_block(block)
            return workers.run(plan, block_trials=block_trials, done=done, on_block=keep)

        with _resumable(experiment, folder, how):
            yield folder, run_plan


@contextmanager
def _resumable(experiment: Experiment | Comparison, folder: Path | None, how: Execution) -> Iterator[None]:
    """Lock an unfinished run folder, and add the command that resumes it to whatever error ends the work.

    Without a folder, errors pass unchanged.
    """
    from concurrent.futures import BrokenExecutor

    remedy = "" if folder is None else _how_to_resume(experiment, folder, how)
    try:
        with stopping.unwinding(), nullcontext() if folder is None else unfinished.working_on(folder):
            yield
    except KeyboardInterrupt as stop:
        if folder is None:
            raise
        raise _interrupted(stop, remedy) from None
    except BrokenExecutor as error:
        kept = "" if folder is None else f"; finished blocks are kept: {remedy}"
        killed = "a worker process was killed, possibly for lack of memory"
        lost = killed if how.executor is None else f"the executor lost a block ({error})"
        raise OutputError(f"{lost}{kept}") from error
    except PluginError as error:
        if folder is None:
            raise
        unfinished.record_plugin_error(folder, str(error))
        message = f"{error}; finished blocks are kept, and after the correction: {remedy}"
        raise PluginError(message, error.original) from error.original
    except OutputError as error:
        if folder is None or not (folder / PARTIAL).exists():
            raise
        raise OutputError(f"{error}; once that is corrected: {remedy}") from error


def _interrupted(stop: KeyboardInterrupt, remedy: str) -> InterruptedSweepError:
    """Return the error of a sweep or a comparison that Ctrl-C or SIGTERM has ended."""
    if isinstance(stop, stopping.Terminated):
        return TerminatedSweepError(f"terminated; finished blocks are kept: {remedy}")
    return InterruptedSweepError(f"interrupted; finished blocks are kept: {remedy}")


def _how_to_resume(experiment: Experiment | Comparison, folder: Path, how: Execution) -> str:
    word = "sweep" if isinstance(experiment, Experiment) else "tune" if experiment.zooms else "compare"
    if how.command_line is None:
        return f"momentumlab.{word}(resume={str(folder)!r})"
    plugins = [f"--plugin {shlex.quote(shown_path(str(plugin.path)))}" for plugin in loaded_plugins()]
    return " ".join(["momentumlab", word, *plugins, "--resume", shlex.quote(str(folder))])
