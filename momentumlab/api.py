"""The functions of the Python interface, which the command line uses as well.

Functions that take settings raise `ConfigError` with every problem they find, `PluginError` if a user's surface,
optimizer or schedule raises an exception, and `OutputError` if they cannot write. Their keyword arguments ``overrides``
replace settings of the source: ``lr=0.1, beta=[0, 0.9]``; `momentumlab.keywords.Settings` lists them.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from momentumlab import engine
from momentumlab.config import ConfigNode, load_comparison, load_experiment, node_of
from momentumlab.config.load import Source
from momentumlab.config.settings import split_record
from momentumlab.config.values import read_starts
from momentumlab.errors import ConfigError, Problem, in_python
from momentumlab.execution import Execution, execute, execute_comparison, execute_shard
from momentumlab.experiment import SEARCH_PATIENCE, TUNING_BUDGET, TUNING_ZOOMS, Comparison, Experiment
from momentumlab.keywords import ConventionSettings, SearchSettings, Settings
from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, check_size, make_plan
from momentumlab.plugins import attribute_errors
from momentumlab.report.figure_options import FigureOptions
from momentumlab.result import Result
from momentumlab.runs import unfinished
from momentumlab.runs import write as store
from momentumlab.surfaces import Surface

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from momentumlab.live import LiveServer
    from momentumlab.report.page import Page
    from momentumlab.report.prediction_table import PredictionReport
    from momentumlab.report.translation_table import TranslationReport
    from momentumlab.runs.rerun import Repetition
    from momentumlab.search import ComparisonResult
    from momentumlab.search.sweeps import Sweep

StrPath = str | os.PathLike[str]


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
    given |= settings
    own = dict(source) if isinstance(source, Mapping) else {}
    has_function = False

    # A configuration names surfaces, so a Python function is registered under a name of its own.
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
    out: StrPath | None = None,
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
        sweep (`Result.best_trials`), or with ``"auto"`` all if there are at most 100 trials or no axis for a map. Names
        of quantities are recorded with each trajectory: ``record=["gradient_norm", "update_norm", "state.v"]``, see
        `Result.quantities`.
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
    return execute(plan, how, out=_path(out)).result


def sweep(
    source: Source | None = None,
    *,
    out: StrPath | None = None,
    plots: bool | FigureOptions = True,
    theory: bool = False,
    page: bool = False,
    workers: int = 0,
    executor: "Executor | None" = None,
    resume: StrPath | None = None,
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

    folder = _path(resume)
    record, overrides = _with_quantities(record, overrides)
    if folder is None:
        experiment = _loaded(source, overrides, patience=SEARCH_PATIENCE)
    else:
        experiment = _unfinished(folder, Experiment, source, overrides)
    figures = figure_options(plots, theory=theory)
    how = Execution(figures=figures, page=page, record=record, is_sweep=True, workers=workers, executor=executor)
    plan = make_plan(experiment, max_trials=max_trials if folder is None else experiment.trials)
    return Sweep.of(execute(plan, how, out=_path(out), resume=folder).result)


def sweep_shard(
    source: Source | None = None,
    *,
    shard: tuple[int, int],
    into: StrPath,
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
    out: StrPath | None = None,
    plots: bool | FigureOptions = True,
    workers: int = 0,
    executor: "Executor | None" = None,
    resume: StrPath | None = None,
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
    return _search(source, overrides, how, out, resume, max_trials, {})


def tune(
    source: Source | None = None,
    *,
    out: StrPath | None = None,
    plots: bool | FigureOptions = True,
    workers: int = 0,
    executor: "Executor | None" = None,
    resume: StrPath | None = None,
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
    return _search(source, overrides, how, out, resume, max_trials, defaults)


@attribute_errors()
def _search(
    source: Source | None,
    overrides: Mapping[str, Any],
    how: Execution,
    out: StrPath | None,
    resume: StrPath | None,
    max_trials: int,
    defaults: Mapping[str, object],
) -> "ComparisonResult":
    """Run a comparison whose settings have other ``defaults``."""
    folder = _path(resume)
    if folder is None:
        source, nodes = _configuration(source, overrides)
        with in_python():
            comparison = load_comparison(source, nodes, defaults=defaults)
        for experiment in comparison.experiments:
            check_size(experiment, max_trials, place=comparison.name)
    else:
        comparison = _unfinished(folder, Comparison, source, overrides)
    return execute_comparison(comparison, how, out=_path(out), resume=folder).result


Kind = TypeVar("Kind", Experiment, Comparison)


def _unfinished(folder: Path, kind: type[Kind], source: Source | None, overrides: Mapping[str, Any]) -> Kind:
    """Return the experiment of an unfinished run folder."""
    if source is not None or overrides:
        raise ConfigError.at("argument resume", "a resumed run has its own settings: leave out all others")
    experiment = unfinished.read_partial(folder).experiment
    if not isinstance(experiment, kind):
        what = "a sweep" if isinstance(experiment, Experiment) else "a comparison"
        raise ConfigError.at("argument resume", f"{folder} is {what}")
    return experiment


def figure_options(plots: bool | FigureOptions, *, theory: bool = False) -> FigureOptions | None:
    """Return the options of figures that the arguments ``plots`` and ``theory`` mean."""
    if isinstance(plots, FigureOptions):
        return replace(plots, theory=theory or plots.theory)
    return FigureOptions(theory=theory) if plots else None


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _with_quantities(record: str | Sequence[str], overrides: Any) -> tuple[str, Any]:
    """Return the trials whose trajectories are recorded, and the overrides with the names of recorded quantities."""
    trials, quantities = split_record(record)
    return trials, overrides | {"record": quantities} if quantities else overrides


def explore(source: Source | None = None, *, save: StrPath | None = None, **overrides: Unpack[Settings]) -> "Page":
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
    run: StrPath,
    *,
    out: StrPath = "runs",
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
