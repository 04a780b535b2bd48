"""The whole road in one call; the command line goes the same."""

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from momentumlab import engine, stopping
from momentumlab.config import ConfigNode, load_comparison, load_experiment, node_of
from momentumlab.config.load import Source
from momentumlab.engine import Outcome
from momentumlab.errors import (
    ConfigError,
    InterruptedSweepError,
    OutputError,
    PluginError,
    Problem,
    TerminatedSweepError,
)
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, Plan, check_size, make_plan
from momentumlab.plugins import attribute_errors, loaded_plugins, shown_path
from momentumlab.report.reports import ComparisonReport, Report, report_of
from momentumlab.result import Result
from momentumlab.runs import write as store
from momentumlab.runs.layout import PARTIAL, only_one
from momentumlab.search.planes import best_trials, is_mapped, planes

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from momentumlab.executor import OnBlock
    from momentumlab.report.page import Page
    from momentumlab.runs.rerun import Repetition
    from momentumlab.search import ComparisonResult

MOST_RECORDED = 100
"""Of up to so many trials, or settings with replicates, the whole paths are kept, unless something else is asked."""


def load(source: Source | None = None, **overrides: object) -> Experiment:
    """Read and check an experiment without running it.

    Parameters
    ----------
    source
        The path of a YAML file, a mapping of the same shape, an experiment; or nothing if the overrides say it all.
    **overrides
        Settings that take the place of the source's: ``lr=0.1, beta=[0, 0.9]``, ``**{"surface.a": 0.1}``.

    Raises
    ------
    ConfigError
        With every problem that was found.
    """
    return load_experiment({} if source is None else source, _nodes(overrides))


def _nodes(overrides: Mapping[str, object]) -> list[ConfigNode]:
    return [node_of(value, place=f"argument {path}", path=path) for path, value in overrides.items()]


def run(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    theory: bool = False,
    record: str = "auto",
    executor: "Executor | None" = None,
    max_trials: int = MAX_TRIALS,
    history_bytes: int = engine.HISTORY_BYTES,
    **overrides: object,
) -> Result:
    """Run an experiment.

    Parameters
    ----------
    source
        The path of a YAML file, a mapping of the same shape, an experiment; or nothing if the overrides say it all.
    out
        The folder in which a run folder is made; nothing is written without it.
    plots
        Whether to draw the figures into the run folder.
    theory
        Whether they show what theory says, too.
    record
        Whose paths are kept: ``"all"``, ``"none"``, or with ``"auto"`` all, if there are at most `MOST_RECORDED`
        trials, or no axis along which a map could be drawn.
    executor
        Who computes trials whose paths are not kept; else processes, as many as the work is worth.
    max_trials
        The most trials that the experiment may have.
    history_bytes
        The most memory for the paths; beyond it every k-th iterate is kept.
    **overrides
        Settings that take the place of the source's: ``lr=0.1, beta=[0, 0.9]``, ``**{"surface.a": 0.1}``.

    Raises
    ------
    ConfigError
        With every problem of the source and the overrides.
    OutputError
        If the run folder cannot be written.
    PluginError
        If a user's surface, optimizer or schedule raises an exception.
    """
    plan = make_plan(load(source, **overrides), max_trials=max_trials)
    how = Execution(plots=plots, theory=theory, record=record, executor=executor, history_bytes=history_bytes)
    return execute(plan, how, out=None if out is None else Path(out)).result


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a plan is run and written.

    Attributes
    ----------
    plots
        Whether to draw figures.
    record
        Whose paths are kept: ``all``, ``none``, ``auto`` (see `run`), or the best of a sweep: ``best:5``.
    is_sweep
        Whether it is to be run as a sweep, however few trials there are.
    all_rows
        Whether a sweep's tables for programs have all trials, not the best alone.
    theory
        Whether curves and maps show what theory says, too.
    workers
        How many processes run a sweep; 0 for as many as the work is worth.
    executor
        Who runs it instead.
    on_block
        Called with each block of a sweep that is finished.
    history_bytes
        The most memory for the paths of a run; beyond it every k-th iterate is kept.
    command_line
        What the run folder tells of how it was made.
    """

    plots: bool = True
    record: str = "auto"
    is_sweep: bool = False
    all_rows: bool = False
    theory: bool = False
    workers: int = 0
    executor: "Executor | None" = None
    on_block: "OnBlock | None" = None
    history_bytes: int = engine.HISTORY_BYTES
    command_line: str | None = None

    def __post_init__(self) -> None:
        check_record(self.record)

    def keeps_all(self, plan: Plan) -> bool:
        """Whether the paths of all trials are kept; else it is a sweep."""
        if self.record == "auto":
            settings = plan.trials // plan.experiment.replicates
            return not self.is_sweep and (settings <= MOST_RECORDED or not is_mapped(plan.experiment))
        return self.record == "all"

    @property
    def best(self) -> int:
        """How many of the best paths of a sweep are kept."""
        return int(self.record.removeprefix("best:")) if self.record.startswith("best:") else 0


def check_record(record: str) -> str:
    """A valid word for `Execution.record`.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if re.fullmatch(r"auto|all|none|best:[1-9][0-9]{0,2}", record) is None:
        raise ConfigError(
            [Problem(place="--record", message=f"'{record}' is not all, none, auto or best:N (N < 1000)")]
        )
    return record


@attribute_errors()
def execute(plan: Plan, how: Execution, *, out: Path | None = None, resume: Path | None = None) -> Report:
    """Run a plan, and write it into a run folder if there is to be one.

    Parameters
    ----------
    plan
        The trials.
    how
        How they are run.
    out
        The folder in which a run folder is made; nothing is written without it.
    resume
        The run folder of a sweep of the same plan that was not finished.

    Raises
    ------
    OutputError
        If the run folder cannot be written.
    InterruptedSweepError
        If somebody interrupts a sweep that has a run folder.
    PluginError
        If a user's code raises an exception.
    """
    if out is not None:
        store.prepare(out)
    started, clock = datetime.now(), time.perf_counter()

    def provenance() -> store.Provenance:
        seconds = time.perf_counter() - clock
        return store.Provenance(command_line=how.command_line, started=started, seconds=seconds)

    if resume is None and how.keeps_all(plan):
        report = report_of(_run_recorded(plan, how))
        return report if out is None else store.write_run(report, out, provenance(), plots=how.plots, theory=how.theory)
    return _sweep(plan, how, provenance, started=started, out=out, resume=resume)


def _run_recorded(plan: Plan, how: Execution) -> Result:
    """Run a plan and record all trajectories."""
    if how.executor is None and how.workers < 2 and (how.workers or not plan.is_worth_workers):
        return engine.run(plan, history_bytes=how.history_bytes)  # most runs need no processes and no code for them
    from momentumlab.executor import Workers

    with stopping.unwinding(), Workers(how.workers, how.executor) as workers:
        return workers.run(plan, history_bytes=how.history_bytes, on_block=how.on_block)


def _sweep(
    plan: Plan,
    how: Execution,
    provenance: Callable[[], store.Provenance],
    *,
    started: datetime,
    out: Path | None,
    resume: Path | None,
) -> Report:
    """Run a plan without recording trajectories; each block is written as soon as it is finished."""
    from momentumlab.executor import Workers

    folder = resume
    done: Mapping[int, Outcome] = {}
    with Workers(how.workers, how.executor) as workers:
        block_trials = workers.block_trials(plan)
        if resume is not None:
            partial = store.read_partial(resume)
            block_trials, done = partial.block_trials, store.read_blocks(resume, partial)
        elif out is not None:
            folder = store.begin_sweep(plan.experiment, out, started, block_trials)

        def keep(block: Outcome) -> None:
            if folder is not None:
                store.save_block(folder, block)
            if how.on_block is not None:
                how.on_block(block)

        with _resumable(folder):
            if how.on_block is not None:
                for block in done.values():
                    how.on_block(block)
            result = workers.run(plan, block_trials=block_trials, done=done, on_block=keep)
            recorded = engine.run(plan.only(best_trials(planes(result), how.best))) if how.best else None
            report = report_of(result, recorded=recorded, all_rows=how.all_rows)
            if folder is None:
                return report
            return store.write_sweep(report, folder, provenance(), plots=how.plots, theory=how.theory)


@contextmanager
def _resumable(folder: Path | None) -> Iterator[None]:
    """Lock an unfinished run folder, and say how to resume it if something ends the work.

    Parameters
    ----------
    folder
        The folder; without one, errors pass unchanged.
    """
    from concurrent.futures import BrokenExecutor

    killed = "a worker process was killed, possibly for lack of memory"
    try:
        with stopping.unwinding(), nullcontext() if folder is None else only_one(folder):
            yield
    except KeyboardInterrupt as stop:
        if folder is None:
            raise
        terminated = isinstance(stop, stopping.Terminated)
        error_class = TerminatedSweepError if terminated else InterruptedSweepError
        word = "terminated" if terminated else "interrupted"
        raise error_class(f"{word}; finished blocks are kept: {_how_to_resume(folder)}") from None
    except BrokenExecutor as error:
        kept = "" if folder is None else f"; finished blocks are kept: {_how_to_resume(folder)}"
        raise OutputError(f"{killed}{kept}") from error
    except PluginError as error:
        if folder is None:
            raise
        store.record_plugin_error(folder, str(error))
        message = f"{error}; finished blocks are kept, and after the correction: {_how_to_resume(folder)}"
        raise PluginError(message, error.original) from error.original
    except OutputError as error:
        if folder is None or not (folder / PARTIAL).exists():
            raise
        raise OutputError(f"{error}; once that is corrected: {_how_to_resume(folder)}") from error


def _how_to_resume(folder: Path | None) -> str:
    plugins = [f"--plugin {shlex.quote(shown_path(str(plugin.path)))}" for plugin in loaded_plugins()]
    return " ".join(["momentumlab sweep", *plugins, "--resume", shlex.quote(str(folder))])


def compare(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    max_trials: int = MAX_SEARCHED,
    **overrides: object,
) -> "ComparisonResult":
    """Compare optimizers, each with the best of what was searched for it.

    Parameters are those of `run`; ``max_trials`` counts those with which the search begins on a surface. Of an
    experiment's axes the best combination is chosen for each optimizer; a learning rate of which nothing is said is
    tuned, with the same ``budget`` for all. There may be several surfaces:
    ``compare(optimizers=["sgd", "adam"], surface=["ravine", "booth"], start="random(20)", objective="iterations",
    target_loss=1e-6)``.

    Raises
    ------
    ConfigError
        With every problem of the source and the overrides.
    OutputError
        If the run folder cannot be written.
    """
    loaded = load_comparison({} if source is None else source, _nodes(overrides))
    for experiment in loaded.experiments:
        check_size(experiment, max_trials, place=loaded.name)
    return execute_comparison(loaded, out=out, plots=plots).result


@attribute_errors()
def execute_comparison(
    loaded: Comparison,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    command_line: str | None = None,
) -> ComparisonReport:
    """Run a comparison; parameters and errors as those of `compare` and `execute`."""
    from momentumlab.search import compare as compare_

    if out is not None:
        store.prepare(Path(out))
    started, clock = datetime.now(), time.perf_counter()
    report = ComparisonReport(result=compare_(loaded))
    if out is None:
        return report
    provenance = store.Provenance(command_line=command_line, started=started, seconds=time.perf_counter() - clock)
    return store.write_comparison(report, Path(out), provenance, plots=plots)


def explore(source: Source | None = None, *, save: str | os.PathLike[str] | None = None, **overrides: object) -> "Page":
    """Build the interactive page of an experiment.

    Axes of the learning rate and the momentum with up to eight values are refined to a grid.

    Parameters
    ----------
    source
        Path of a YAML file, a mapping of the same form, or an experiment; not needed if the overrides are complete.
    save
        The HTML file to write.
    **overrides
        Settings that replace those of the source.

    Raises
    ------
    ConfigError
        With every problem of the source and the overrides.
    PageTooLargeError
        If the axes of the experiment do not fit on a page.
    OutputError
        If the file cannot be written.
    """
    from momentumlab.report.page import page

    built = page(load(source, **overrides))
    if save is not None:
        store.write_file(Path(save), lambda file: file.write(built.html.encode()))
    return built


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
    from momentumlab.runs.read import load_run

    text, folder = os.fspath(run), Path(out)
    png = repeating.read_png(Path(text)) if repeating.is_png(Path(text)) else None
    found = find([text], folder)[0] if png is None else repeating.folder_of(png, folder)
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
        results = execute_comparison(experiment, out=target, plots=plots, command_line=command_line).result.results
    else:
        is_sweep = kind == SWEEP
        record = "none" if is_sweep else "all"
        how = Execution(plots=plots, record=record, is_sweep=is_sweep, command_line=command_line)
        results = (execute(make_plan(experiment, max_trials=experiment.trials), how, out=target).result,)
    if stored is not None:
        return what, repeating.compare_with_folder(stored, results)
    assert png is not None
    return what, repeating.compare_with_png(png.summary, results)
