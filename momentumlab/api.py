"""The whole road in one call; the command line goes the same."""

import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from momentumlab import comparison, engine, store
from momentumlab.comparison import ComparisonResult
from momentumlab.config import load_comparison, load_experiment
from momentumlab.config.load import Source
from momentumlab.config.tree import Node, node_of
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, Plan, check_size, make_plan
from momentumlab.result import Result


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


def _nodes(overrides: Mapping[str, object]) -> list[Node]:
    return [node_of(value, place=f"argument {path}", path=path) for path, value in overrides.items()]


def run(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    history: bool = True,
    max_trials: int = MAX_TRIALS,
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
    history
        Whether to keep the whole paths.
    max_trials
        The most trials that the experiment may have.
    **overrides
        Settings that take the place of the source's: ``lr=0.1, beta=[0, 0.9]``, ``**{"surface.a": 0.1}``.

    Raises
    ------
    ConfigError
        With every problem of the source and the overrides.
    OutputError
        If the run folder cannot be written.
    """
    plan = make_plan(load(source, **overrides), max_trials=max_trials)
    return execute(plan, out=out, plots=plots, history=history)


def execute(
    plan: Plan,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    history: bool = True,
    command_line: str | None = None,
) -> Result:
    """Run a plan; parameters and errors as those of `run`. The run folder tells the command line, if there was one."""
    if out is not None:
        store.prepare(Path(out))
    started, clock = datetime.now(), time.perf_counter()
    result = engine.run(plan, history=history)
    if out is None:
        return result
    provenance = store.Provenance(command_line=command_line, started=started, seconds=time.perf_counter() - clock)
    return store.write_run(result, Path(out), provenance, plots=plots)


def compare(
    source: Source | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    max_trials: int = MAX_SEARCHED,
    **overrides: object,
) -> ComparisonResult:
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
    return execute_comparison(loaded, out=out, plots=plots)


def execute_comparison(
    loaded: Comparison,
    *,
    out: str | os.PathLike[str] | None = None,
    plots: bool = True,
    command_line: str | None = None,
) -> ComparisonResult:
    """Run a comparison; parameters and errors as those of `compare` and `execute`."""
    if out is not None:
        store.prepare(Path(out))
    started, clock = datetime.now(), time.perf_counter()
    result = comparison.compare(loaded)
    if out is None:
        return result
    provenance = store.Provenance(command_line=command_line, started=started, seconds=time.perf_counter() - clock)
    return store.write_comparison(result, Path(out), provenance, plots=plots)
