"""The command line: parses, calls the API, prints. What a command needs is imported when it runs: help is quick."""

import functools
import gc
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from momentumlab import __version__
from momentumlab.errors import ConfigError, MomentumLabError, Problem

if TYPE_CHECKING:
    from rich.console import RenderableType

    from momentumlab.api import Execution
    from momentumlab.comparison import ComparisonResult
    from momentumlab.config.load import Source
    from momentumlab.config.tree import Node
    from momentumlab.experiment import Comparison, Experiment
    from momentumlab.result import Result

INTERRUPTED = 130

RUNNING, LOOKING, PREPARING = "Run experiments", "Look things up", "Prepare experiments"

app = typer.Typer(
    name="momentumlab",
    help="A laboratory for first-order optimizers: see how they move, why, and with which hyperparameters best.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ListFormat(StrEnum):
    """How a catalogue is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class ObjectiveName(StrEnum):
    """By what a comparison ranks."""

    FINAL_LOSS = "final_loss"
    ITERATIONS = "iterations"


class Nouns(StrEnum):
    """The catalogues."""

    SURFACES = "surfaces"
    OPTIMIZERS = "optimizers"


class Noun(StrEnum):
    """An entry of a catalogue."""

    SURFACE = "surface"
    OPTIMIZER = "optimizer"


# Options that several commands have

Configs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="CONFIG...", help="YAML files; none if --surface and --optimizer say it all."),
]
Surface = Annotated[str | None, typer.Option(help="Surface, by name.", show_default=False)]
Optimizer = Annotated[
    str | None, typer.Option("--optimizer", "--optimizers", help="Optimizers, by name: momentum or sgd,momentum.")
]
Rates = Annotated[str | None, typer.Option(metavar="AXIS", help="Learning rates: 0.1 or geomspace(1e-3,1,50).")]
Betas = Annotated[str | None, typer.Option(metavar="AXIS", help="Momentum: 0.9 or 0,0.5,0.9.")]
Start = Annotated[str | None, typer.Option(metavar="POINT", help="Start: --start=-1,1 or grid(5,5) or random(20).")]
Starts = Annotated[int | None, typer.Option(metavar="N", help="That many random starts in the view window.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Which random starts. (0)")]
Iterations = Annotated[str | None, typer.Option(metavar="N", help="The most iterations of a trial.")]
Tolerance = Annotated[str | None, typer.Option(metavar="T", help="Stop when the loss changes by no more.")]
GradientTolerance = Annotated[str | None, typer.Option(metavar="T", help="Stop at a gradient this small.")]
TargetLoss = Annotated[str | None, typer.Option(metavar="LOSS", help="Stop at a loss this low.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting: --set surface.a=0.1 (may be repeated)."),
]
Name = Annotated[str | None, typer.Option(help="The experiment's name.")]
Out = Annotated[Path, typer.Option(help="The folder for run folders.")]
NoPlots = Annotated[bool, typer.Option("--no-plots", help="Draw no figures.")]
Output = Annotated[Format, typer.Option("--format", help="How to print the result.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the run folder's path alone.")]
MaxTrials = Annotated[int | None, typer.Option(metavar="N", help="The most trials an experiment may have.")]

Record = Annotated[
    str, typer.Option(metavar="WHOSE", help="Whose paths to keep: all, none, auto, or best:5 of a sweep.")
]

RUNS = Path("runs")


def main() -> None:
    """The command ``momentumlab``."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # BLAS sees short vectors alone; its threads would only start
    if sys.stdout is None:  # closed by the caller: >&-
        sys.stdout = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # β in a table must not end a run on a terminal that lacks it
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        gc.freeze()  # or Python's end would search all of matplotlib for cycles: a tenth of a whole run


@contextmanager
def reported() -> Iterator[None]:
    """Turns the errors that a person can do something about into a line on stderr and an exit code."""
    try:
        yield
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except MomentumLabError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except MemoryError as error:
        print(f"error: not enough memory ({error})", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        silence_stdout()
        raise typer.Exit(0) from None
    except OSError as error:
        silence_stdout()
        print(f"error: cannot print the result: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        raise typer.Exit(1) from None


def silence_stdout() -> None:
    """Lead what is still to be printed nowhere, or Python complains once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_version(wanted: bool) -> None:
    """``--version``."""
    if wanted:
        print(f"momentumlab {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before any command."""


@app.command(rich_help_panel=RUNNING)
def run(
    configs: Configs = None,
    surface: Surface = None,
    optimizer: Optimizer = None,
    lr: Rates = None,
    beta: Betas = None,
    start: Start = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    gradient_tolerance: GradientTolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    record: Record = "auto",
    steps: Annotated[bool, typer.Option("--steps", help="Print every iteration of every trial, too.")] = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    max_trials: MaxTrials = None,
) -> None:
    """Run experiments: table, pictures and data of each in a run folder of its own.

    Options override what the files say.
    AXIS is a number, a list 0,0.5,0.9, or linspace(0,1,5), geomspace(…), arange(…).
    More than 100 trials along axes are a sweep: a map of all instead of their paths.
    """
    if steps:
        refuse_beside_quiet(quiet, output, "--steps and --format")
    refuse_beside_quiet(quiet, output)
    flags = settings_among(locals())
    with reported():
        from momentumlab.api import Execution, check_record

        how = Execution(plots=not no_plots, record="all" if steps else check_record(record), command_line=typed())
        loaded = load_experiments(configs, flags, settings, max_trials)
        execute_all(loaded, out, how, steps=steps, output=output, quiet=quiet)


@app.command(rich_help_panel=RUNNING)
def sweep(
    configs: Configs = None,
    surface: Surface = None,
    optimizer: Optimizer = None,
    lr: Rates = None,
    beta: Betas = None,
    start: Start = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    gradient_tolerance: GradientTolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    record: Record = "none",
    theory: Annotated[
        bool, typer.Option("--theory", help="Draw into the maps where theory sees stability and oscillation.")
    ] = False,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Tables for programs have all trials.")] = False,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes; 0 for as many as the work is worth.")
    ] = 0,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Do what is missing in this run folder.")] = None,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    max_trials: MaxTrials = None,
) -> None:
    """Run whole planes of hyperparameters or starts at once, and draw the map.

    Long axes: --lr "geomspace(1e-3,1,400)" --beta "linspace(0,0.99,400)", or --start "grid(500,500)".
    What was interrupted is finished by --resume RUN.
    """
    refuse_beside_quiet(quiet, output)
    flags = settings_among(locals())
    with reported():
        from momentumlab.api import Execution, check_record

        if check_record(record) == "all":
            raise ConfigError([Problem(place="--record", message="a sweep keeps none or best:N; 'run' can keep all")])
        how = Execution(
            plots=not no_plots,
            record="none" if record == "auto" else record,
            is_sweep=True,
            all_rows=all_rows,
            theory=theory,
            workers=workers,
            command_line=typed(),
        )
        loaded = load_resumed(resume, configs, flags, settings, max_trials)
        execute_all(loaded, out, how, resume=resume, output=output, quiet=quiet)


@app.command(rich_help_panel=RUNNING)
def compare(
    configs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CONFIG...", help="YAML files; none if --optimizers says it all."),
    ] = None,
    optimizers: Annotated[
        str | None, typer.Option("--optimizers", "--optimizer", metavar="NAMES", help="Which: sgd,momentum,adam.")
    ] = None,
    surface: Annotated[str | None, typer.Option(metavar="NAMES", help="On which (ravine): one, or a,b,c.")] = None,
    lr: Annotated[
        str | None, typer.Option(metavar="AXIS", help="Learning rates: tuned, 0.1, or the values to search. (tuned)")
    ] = None,
    beta: Annotated[
        str | None, typer.Option(metavar="AXIS", help="Momentum: 0.9, tuned, or the values to search.")
    ] = None,
    tune_: Annotated[
        str | None,
        typer.Option("--tune", "--over", metavar="NAMES", help="What to search, for those who have it: lr or lr,beta."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="N", help="Trials with which the search of each optimizer begins. (64)")
    ] = None,
    objective: Annotated[
        ObjectiveName | None, typer.Option(help="By what to choose and rank. (final_loss)", show_default=False)
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Arrived at this share of the start's loss above the lowest. (1e-6)"),
    ] = None,
    start: Start = None,
    starts: Annotated[int | None, typer.Option(metavar="N", help="That many random starts in the view window.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Which random starts. (0)")] = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    gradient_tolerance: GradientTolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    max_trials: MaxTrials = None,
) -> None:
    """Compare optimizers fairly: each gets the same search for its lr, then all are ranked.

    Of every AXIS with several values, in files too, the best is chosen for each optimizer.
    Several surfaces or starts add performance and data profiles.
    """
    refuse_beside_quiet(quiet, output)
    tuned = tune_.replace(",", " ").split() if tune_ else []
    flags = settings_among(locals()) | {"start": starts_or(start, starts, seed)}
    del flags["lr"], flags["beta"]  # which may be tuned
    refuse_settings(tuned, flags, "--tune")
    for key, axis in (("lr", lr), ("beta", beta)):
        if axis is not None and key in tuned:
            raise typer.BadParameter(f"{key} is tuned, and --{key} gives it a value, too", param_hint="--tune")
        flags[key] = axis
    flags |= dict.fromkeys(tuned, "tuned")
    with reported():
        from momentumlab.api import Execution
        from momentumlab.config import load_comparison

        options = {"start": "--starts"} if starts is not None else {}
        options |= dict.fromkeys(tuned, "--tune")
        nodes = overriding(flags, settings, options)
        given = [node.plain() for node in nodes if node.path in ("surface", "surfaces")]
        surfaces = [" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in given]
        default_name = joined_words("compare", *(surfaces or ["ravine"]))
        loaded = load_all(configs, nodes, load_comparison, max_trials, default_name=default_name)
        how = Execution(plots=not no_plots, command_line=typed())
        execute_all(loaded, out, how, output=output, quiet=quiet)


@app.command(rich_help_panel=RUNNING)
def tune(
    configs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CONFIG...", help="YAML files; none if --optimizer says it all."),
    ] = None,
    surface: Annotated[str | None, typer.Option(metavar="NAMES", help="On which (ravine): one, or a,b,c.")] = None,
    optimizer: Annotated[
        str | None,
        typer.Option("--optimizer", "--optimizers", metavar="NAMES", help="Which: momentum or momentum,adam."),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option("--over", "--tune", metavar="NAMES", help="What to search, for those who have it: lr,beta. (lr)"),
    ] = None,
    budget: Annotated[str | None, typer.Option(metavar="N", help="Trials per optimizer and start. (4096)")] = None,
    zooms: Annotated[str | None, typer.Option(metavar="N", help="Finer grids around the best cells. (3)")] = None,
    objective: Annotated[
        ObjectiveName | None, typer.Option(help="What is best. (final_loss)", show_default=False)
    ] = None,
    start: Start = None,
    starts: Starts = None,
    seed: Seed = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    gradient_tolerance: GradientTolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    max_trials: MaxTrials = None,
) -> None:
    """Find the best hyperparameters: a coarse grid, then zooms into its best cells; the same budget for all.

    The run folder has best.yaml, ready for 'momentumlab run'.
    """
    refuse_beside_quiet(quiet, output)
    tuned = over.replace(",", " ").split() if over else []
    flags = settings_among(locals()) | {"start": starts_or(start, starts, seed)}
    refuse_settings(tuned, flags, "--over")
    with reported():
        from momentumlab.api import Execution
        from momentumlab.config import load_comparison
        from momentumlab.experiment import TUNING_BUDGET, TUNING_ZOOMS

        options = dict.fromkeys(tuned, "--over") | ({"start": "--starts"} if starts is not None else {})
        nodes = overriding(flags | dict.fromkeys(tuned, "tuned"), settings, options)
        name_ = joined_words("tune", surface or "ravine")
        load = functools.partial(load_comparison, defaults={"budget": TUNING_BUDGET, "zooms": TUNING_ZOOMS})
        loaded = load_all(configs, nodes, load, max_trials, default_name=name_)
        how = Execution(plots=not no_plots, command_line=typed())
        execute_all(loaded, out, how, output=output, quiet=quiet)


@app.command(rich_help_panel=LOOKING)
def predict(
    configs: Configs = None,
    surface: Surface = None,
    optimizer: Optimizer = None,
    lr: Rates = None,
    beta: Betas = None,
    start: Start = None,
    tolerance: Tolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    output: Output = Format.TABLE,
) -> None:
    """Say what will happen before anything is run: rate, oscillation, stability, and what would be best.

    Theory holds near a minimum, for methods whose step is linear in the gradients.
    """
    flags = settings_among(locals())
    with reported():
        if output is Format.CSV:
            raise ConfigError([Problem(place="--format", message="predictions are printed as table or json")])
        from momentumlab.experiment import Comparison
        from momentumlab.plan import make_plan
        from momentumlab.report import predictions
        from momentumlab.report.data import json_text, strict

        for one in load_experiments(configs, flags, settings, None):
            if isinstance(one, Comparison):
                raise ConfigError(
                    [Problem(place=one.name, message="a comparison searches: there is no one lr to predict")]
                )
            plan = make_plan(one)
            if output is Format.JSON:
                print(json_text({"experiment": one.name, "trials": [strict(row) for row in predictions.rows(plan)]}))
            else:
                show(predictions.rich_predictions(plan))


def starts_or(start: str | None, starts: int | None, seed: int | None) -> str | None:
    """Where to start: as ``--start`` says, or ``--starts`` and ``--seed``."""
    if starts is not None and start is not None:
        raise typer.BadParameter("says where to start, and so does --start", param_hint="--starts")
    if seed is not None and starts is None:
        raise typer.BadParameter("goes with --starts", param_hint="--seed")
    return start if starts is None else f"random({starts}, seed={seed or 0})"


def refuse_settings(names: Sequence[str], flags: Mapping[str, str | None], option: str) -> None:
    """What is to be tuned must not be a setting of another kind."""
    for name in names:
        if name in flags:
            raise typer.BadParameter(f"{name} is no hyperparameter", param_hint=option)


def settings_among(arguments: Mapping[str, Any]) -> dict[str, str | None]:
    """The arguments of a command that are settings of an experiment or a comparison, by the setting's key."""
    keys = (
        "surface", "optimizer", "optimizers", "lr", "beta", "start", "iterations", "tolerance", "gradient_tolerance",
        "target_loss", "objective", "budget", "zooms", "accuracy", "name",
    )  # fmt: skip
    return {key: arguments[key] for key in keys if key in arguments}


def refuse_beside_quiet(quiet: bool, output: Format, what: str = "--format") -> None:
    """``--quiet`` prints the run folder alone: what asks for more is a slip."""
    if quiet and (output is not Format.TABLE or what != "--format"):
        raise typer.BadParameter(f"prints the path alone; leave out {what}", param_hint="--quiet")


def joined_words(*words: str | None) -> str:
    """A name for what has none, made from what was typed."""
    return re.sub(r"[^\w]+", "-", "_".join(filter(None, words))).strip("-")[:100]


def overriding(
    flags: Mapping[str, str | None], settings: Sequence[str] | None, options: Mapping[str, str] | None = None
) -> "list[Node]":
    """What the options of a command override, in the words of a configuration.

    Parameters
    ----------
    flags
        The text of each flag that was given, by the setting's key.
    settings
        ``--set KEY=VALUE``.
    options
        How a flag is called, where not by its key.
    """
    from momentumlab.config import settings_from_text

    spelled = {key: f"--{key.replace('_', '-')}" for key in flags} | dict(options or {})
    given = {key: (spelled[key], str(text)) for key, text in flags.items() if text is not None}
    return settings_from_text(parsed_settings(settings or [], given))


def parsed_settings(settings: Sequence[str], flags: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """``--set KEY=VALUE`` by key, beside the flags: the option as it was typed, and the value."""
    pairs = dict(flags)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError([Problem(place=f"--set {setting}", message="write KEY=VALUE, such as surface.a=0.1")])
        key = key.strip()
        if key in pairs:
            raise ConfigError([Problem(place=f"--set {key}", message=f"is set twice (the other is {pairs[key][0]})")])
        pairs[key] = (f"--set {key}", text)
    return pairs


def typed() -> str:
    """The command line."""
    return shlex.join(sys.argv)


def load_experiments(
    configs: Sequence[Path] | None,
    flags: Mapping[str, str | None],
    settings: Sequence[str] | None,
    max_trials: int | None,
) -> "list[Experiment | Comparison]":
    """What ``run`` and ``sweep`` are to run: files, or an experiment that the options describe."""
    from momentumlab.config import load_either

    nodes = overriding(flags, settings)
    if not configs and not (flags["surface"] or flags["optimizer"]):
        raise ConfigError([Problem(place="", message="give a CONFIG file, or --surface and --optimizer")])
    name = joined_words(flags["surface"], flags["optimizer"])
    return load_all(configs, nodes, load_either, max_trials, default_name=name)


def load_resumed(
    resume: Path | None,
    configs: Sequence[Path] | None,
    flags: Mapping[str, str | None],
    settings: Sequence[str] | None,
    max_trials: int | None,
) -> "list[Experiment | Comparison]":
    """The experiment of the folder that is to be resumed, which must be the one that is asked for, if one is."""
    if resume is None:
        return load_experiments(configs, flags, settings, max_trials)
    from momentumlab.config import to_dict
    from momentumlab.store import read_partial

    kept = read_partial(resume).experiment
    for asked in load_experiments(configs or [resume / "experiment.yaml"], flags, settings, max_trials):
        theirs = to_dict(asked)
        differing = [key for key, value in to_dict(kept).items() if key != "name" and theirs.get(key) != value]
        if differing:
            message = f"its experiment differs from this one in {', '.join(differing)}"
            raise ConfigError([Problem(place=f"--resume {resume}", message=message)])
    return [kept]


def load_all(
    configs: Sequence[Path] | None,
    nodes: "list[Node]",
    load: "Callable[[Source, Iterable[Node]], Experiment | Comparison]",
    max_trials: int | None,
    *,
    default_name: str,
) -> "list[Experiment | Comparison]":
    """Every experiment, before the first is run; the problems of all files together.

    Parameters
    ----------
    configs
        The files; without any, the overrides say it all.
    nodes
        What overrides them.
    load
        How one is loaded.
    max_trials
        The most trials that each may have.
    default_name
        The name without a file.
    """
    from momentumlab.experiment import Comparison
    from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, check_size

    sources: Sequence[Source] = configs or [{"name": default_name}]
    loaded: list[Experiment | Comparison] = []
    problems: list[Problem] = []
    for source in sources:
        place = default_name if isinstance(source, Mapping) else str(source)
        try:
            one = load(source, nodes)
            experiments, limit = (
                (one.experiments, MAX_SEARCHED) if isinstance(one, Comparison) else ((one,), MAX_TRIALS)
            )
            for experiment in experiments:
                check_size(experiment, limit if max_trials is None else max_trials, place=place)
            loaded.append(one)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return loaded


def execute_all(
    loaded: "Sequence[Experiment | Comparison]",
    out: Path,
    how: "Execution",
    *,
    resume: Path | None = None,
    steps: bool = False,
    output: Format,
    quiet: bool,
) -> None:
    """Run all that was loaded, and print each as soon as it is there; CSV as one table at the end."""
    from momentumlab.api import execute, execute_comparison
    from momentumlab.experiment import Comparison
    from momentumlab.plan import make_plan

    results: list[Result] = []
    comparisons: list[ComparisonResult] = []
    for one in loaded:
        if isinstance(one, Comparison):
            if how.best or how.all_rows:
                message = "a comparison keeps the chosen paths and all that it tried: leave out --record and --all-rows"
                raise ConfigError([Problem(place=one.name, message=message)])
            compared = execute_comparison(one, out=out, plots=how.plots, command_line=how.command_line)
            print_comparison(compared, output, quiet=quiet)
            comparisons.append(compared)
            continue
        plan = make_plan(one, max_trials=one.trials)
        if how.keeps_all(plan):
            result = execute(plan, how, out=out)
        else:
            from momentumlab.report.progress import progress

            with progress(plan.trials, wanted=not quiet) as on_block:
                result = execute(plan, replace(how, on_block=on_block), out=out, resume=resume)
        print_result(result, output, steps=steps, quiet=quiet, all_rows=how.all_rows)
        results.append(result)
    if output is Format.CSV:
        print_csv(results, comparisons, steps=steps, all_rows=how.all_rows)


def shown_trials(result: "Result", *, all_rows: bool) -> "Sequence[int] | None":
    """Which trials data formats print: all of a run, of a sweep the best unless all are asked for."""
    from momentumlab.store import BEST_ROWS

    if result.history is not None or all_rows or result.trials <= BEST_ROWS:
        return None
    from momentumlab.sweep import best_trials

    print_notes([f"the best {BEST_ROWS:,} of {result.trials:,} trials; 'sweep --all-rows' prints all"])
    return best_trials(result, BEST_ROWS)


def print_result(result: "Result", output: Format, *, steps: bool, quiet: bool, all_rows: bool) -> None:
    """Print one result; notes go to stderr."""
    print_notes(result.notes)
    if quiet:
        print(result.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.data import json_document, json_text

        print(json_text(json_document(result, steps=steps, numbers=shown_trials(result, all_rows=all_rows))))
    elif output is Format.TABLE and result.history is None:
        from momentumlab.report.sweep_table import sweep_tables

        show(sweep_tables(result))
        print(result.run_folder)
    elif output is Format.TABLE:
        from momentumlab.report.table import rich_table, steps_table

        for number in range(result.trials if steps else 0):
            show(steps_table(result, number))
            print()
        show(rich_table(result))
        print(result.run_folder)


def print_comparison(result: "ComparisonResult", output: Format, *, quiet: bool) -> None:
    """Print one comparison; notes go to stderr."""
    print_notes(result.notes)
    if quiet:
        print(result.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.contest_data import json_document
        from momentumlab.report.data import json_text

        print(json_text(json_document(result)))
    elif output is Format.TABLE:
        from momentumlab.report.contest import rich_tables

        show(rich_tables(result))
        print(result.run_folder)


def print_notes(notes: Sequence[str]) -> None:
    """What a person should know goes to stderr."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def print_csv(
    results: "Sequence[Result]", comparisons: "Sequence[ComparisonResult]", *, steps: bool, all_rows: bool
) -> None:
    """Print all results as one CSV table, and the ranks of all comparisons as another."""
    from momentumlab.report.contest_data import ranking_csv_text
    from momentumlab.report.data import csv_rows, steps_csv_text, table_text

    if results and steps:
        print(steps_csv_text(results), end="")
    elif results:
        rows = [row for result in results for row in csv_rows(result, shown_trials(result, all_rows=all_rows))]
        print(table_text(rows), end="")
    if results and comparisons:
        print()
    if comparisons:
        print(ranking_csv_text(comparisons), end="")


@app.command("list", rich_help_panel=LOOKING)
def list_entries(
    what: Annotated[Nouns, typer.Argument(help="Which catalogue.")],
    output: Annotated[ListFormat, typer.Option("--format", help="How to print it.")] = ListFormat.TABLE,
) -> None:
    """List the surfaces or the optimizers."""
    with reported():
        from momentumlab.report.catalogue import entries, list_table, page
        from momentumlab.report.data import json_text

        if output is ListFormat.JSON:
            print(json_text(entries(what.value)))
        elif output is ListFormat.MARKDOWN:
            print(page(what.value), end="")
        else:
            show(list_table(what.value))


@app.command("show", rich_help_panel=LOOKING)
def show_entry(
    what: Annotated[Noun, typer.Argument(help="Of which catalogue.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
    plot: Annotated[bool, typer.Option("--plot", help="Draw the surface, too.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where --plot draws to [NAME.png].")] = None,
) -> None:
    """Show all about one surface or optimizer: formula, parameters, minima, source."""
    if (plot or out) and what is not Noun.SURFACE:
        raise typer.BadParameter("only a surface can be drawn", param_hint="--plot")
    with reported():
        from momentumlab.report.catalogue import card

        show(card(f"{what.value}s", name))
        if plot or out:
            from momentumlab import store
            from momentumlab.report.figures import surface_figure
            from momentumlab.surfaces import SURFACES

            surface = SURFACES[name]()
            path = out or Path(f"{surface.name}.png")
            store.write_figure(path, surface_figure(surface))
            print(f"\n{path}")


@app.command(rich_help_panel=PREPARING)
def validate(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="YAML files.")],
) -> None:
    """Check configuration files without running them: every problem, and how many trials each would run."""
    with reported():
        from momentumlab.config import load_either
        from momentumlab.experiment import Comparison

        problems: list[Problem] = []
        for config in configs:
            try:
                (one,) = load_all([config], [], load_either, None, default_name="")
            except ConfigError as error:
                problems += error.problems
            else:
                experiments = one.experiments if isinstance(one, Comparison) else (one,)
                trials, iterations = sum(each.trials for each in experiments), experiments[0].stopping.iterations
                noun = "trial" if trials == 1 else "trials"
                begun = " to begin a search" if isinstance(one, Comparison) else ""
                print(f"{config}: {trials:,} {noun} of at most {iterations:,} iterations{begun}")
        if problems:
            raise ConfigError(problems)


@app.command(rich_help_panel=PREPARING)
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The YAML file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Write it even if it is there.")] = False,
) -> None:
    """Write a commented configuration to begin with."""
    with reported():
        from momentumlab import store
        from momentumlab.config import starter

        store.write_new_file(file, starter(str(file)), force=force)
        print(file)


def show(renderable: "RenderableType") -> None:
    """Print for people: as wide as the terminal, or 160 columns where there is none."""
    from rich.console import Console

    console: Console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160
    console.print(renderable)
