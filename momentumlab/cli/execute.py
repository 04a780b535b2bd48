"""The commands that compute: ``run``, ``sweep``, ``compare`` and ``tune``."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from momentumlab.cli.application import RUNNING
from momentumlab.cli.loading import load_experiments, load_resumed, load_searches, typed
from momentumlab.cli.options import Options, experiment_command
from momentumlab.cli.output import print_comparison, print_csv, print_result, refuse_beside_quiet
from momentumlab.cli.parsers import shard_of
from momentumlab.cli.streams import print_notes, printing
from momentumlab.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from momentumlab.execution import Execution
    from momentumlab.experiment import Comparison, Experiment
    from momentumlab.plan import Plan
    from momentumlab.report import ComparisonReport, Report
    from momentumlab.report.figure_options import FigureOptions
    from momentumlab.runs.read import LoadedRun

LONG = 60
"""The estimated time in seconds above which it is announced."""


@experiment_command(
    group=RUNNING,
    examples=(
        "momentumlab run configs/ravine_beta_sweep.yaml",
        "momentumlab run --surface rosenbrock --optimizer sgd,adam --lr 1e-3",
        "momentumlab run configs/parabola.yaml --beta 0,0.5,0.9 --steps",
        "momentumlab run configs/parabola.yaml --beta 0,0.5,0.9 --animate race.gif",
    ),
)
def run(options: Options) -> None:
    """Run experiments and draw how the optimizers move.

    Each experiment gets a run folder with its table, figures and data. Options override the settings of the files.

    An AXIS is a number, a list such as 0,0.5,0.9, or linspace(0,1,5), geomspace(1e-3,1,7), arange(0,1,0.25). Axes with
    more than 100 trials are run as a sweep: a map of the final losses instead of trajectories.
    """
    if options.steps:
        refuse_beside_quiet(options.quiet, options.output, "--steps and --format")
    refuse_beside_quiet(options.quiet, options.output)
    from momentumlab.config.settings import split_record
    from momentumlab.execution import Execution

    how = Execution(
        figures=figures_of(options),
        page=options.page,
        record="all" if options.steps else split_record(options.record)[0],
        history_bytes=options.max_history,
        workers=options.workers,
        command_line=typed(),
    )
    loaded = load_experiments(options)
    if options.animate is not None and len(loaded) > 1:
        message = f"writes one animation, and there are {len(loaded)} experiments; run them one by one"
        raise ConfigError.at("--animate", message)
    if options.animate is not None and options.animate.suffix.lower() == ".mp4":
        from momentumlab.report.figures.animation import ffmpeg

        ffmpeg()  # raises before anything is computed
    execute_all(loaded, how, options)


@experiment_command(
    group=RUNNING,
    examples=(
        "momentumlab sweep --surface ravine --optimizer momentum --iterations 50 \\",
        '    --lr "geomspace(1e-3,1,60)" --beta "linspace(0,0.99,60)"',
        'momentumlab sweep --surface himmelblau --optimizer sgd --start "grid(50,50)"',
    ),
)
def sweep(options: Options) -> None:
    """Run whole planes of hyperparameters or starting points and draw a map.

    An interrupted sweep keeps its finished blocks; --resume RUN computes the others. Several machines that share a file
    system divide a sweep with --shard and --into.
    """
    refuse_beside_quiet(options.quiet, options.output)
    from momentumlab.config.settings import split_record
    from momentumlab.execution import Execution
    from momentumlab.experiment import SEARCH_PATIENCE

    trials, _ = split_record(options.record)
    if trials == "all":
        message = "a sweep keeps no trajectories or the best: none or best:N; use 'momentumlab run' to keep all"
        raise ConfigError.at("--record", message)
    how = Execution(
        figures=figures_of(options),
        record="none" if trials == "auto" else trials,
        is_sweep=True,
        all_rows=options.all_rows,
        page=options.page,
        workers=options.workers,
        command_line=typed(),
    )
    if options.resume is None:
        loaded = load_experiments(options, patience=SEARCH_PATIENCE)
    else:
        loaded = load_resumed(options, options.resume, "sweep")
    if options.shard is not None or options.into is not None:
        run_shard(loaded, how, options)
    else:
        execute_all(loaded, how, options)


def run_shard(loaded: "Sequence[Experiment | Comparison]", how: "Execution", options: Options) -> None:
    """Run one shard of a sweep, and print the result if it was the last one."""
    from momentumlab.execution import execute_shard
    from momentumlab.plan import make_plan

    if options.shard is None or options.into is None:
        given, missing = ("--shard", "--into RUN") if options.into is None else ("--into", "--shard I/N")
        raise typer.BadParameter(f"needs {missing}, too", param_hint=given)
    for name in ("resume", "executor", "skip_existing"):
        if getattr(options, name):
            message = f"one shard runs on this machine: leave out --{name.replace('_', '-')}"
            raise typer.BadParameter(message, param_hint="--shard")
    number, count = shard_of(options.shard)
    if len(loaded) > 1:
        message = f"a folder is for one experiment, and there are {len(loaded)}: run them one by one"
        raise typer.BadParameter(message, param_hint="--into")
    experiment = cast("Experiment", loaded[0])
    plan = make_plan(experiment, max_trials=experiment.trials)
    report = execute_shard(plan, how, (number, count), options.into)
    if report is not None:
        print_result(report, options.output, steps=False, quiet=options.quiet, digits=options.digits)
        if options.output == "csv":
            print_csv([report], [], steps=False)
        return
    remedy = f"the last shard completes {options.into}, or 'momentumlab sweep --resume {options.into}'"
    print_notes([f"shard {number} of {count} is finished; {remedy}"])


@experiment_command(
    group=RUNNING,
    examples=(
        "momentumlab compare --optimizer sgd,momentum,adam --surface rosenbrock",
        "momentumlab compare --optimizer momentum,adam --over lr,beta --starts 5",
    ),
)
def compare(options: Options) -> None:
    """Compare optimizers fairly: tune each with the same budget, then rank them.

    For each optimizer the search tries the hyperparameters of --over and every AXIS with several values, in files too,
    and keeps the best combination. Several surfaces or starts add performance profiles and data profiles.
    """
    execute_searches(options, "compare")


@experiment_command(
    group=RUNNING,
    examples=(
        "momentumlab tune --surface ravine --optimizer momentum --over lr,beta",
        "momentumlab tune --surface rosenbrock --optimizer adam --budget 512",
    ),
)
def tune(options: Options) -> None:
    """Find the best hyperparameters with a coarse grid that is refined around its best cells.

    Each optimizer gets the same budget. The run folder contains best.yaml, ready for 'momentumlab run'.
    """
    from momentumlab.experiment import TUNING_BUDGET, TUNING_ZOOMS

    execute_searches(options, "tune", {"budget": TUNING_BUDGET, "zooms": TUNING_ZOOMS})


def execute_searches(options: Options, command: str, defaults: dict[str, int] | None = None) -> None:
    """Load and run the comparisons of ``compare`` and ``tune``."""
    refuse_beside_quiet(options.quiet, options.output)
    from momentumlab.execution import Execution

    if options.resume is None:
        loaded = load_searches(options, command, defaults)
    else:
        loaded = load_resumed(options, options.resume, command)
    execute_all(loaded, Execution(figures=figures_of(options), workers=options.workers, command_line=typed()), options)


def figures_of(options: Options) -> "FigureOptions | None":
    """Return how figures are drawn; ``None`` if none are wanted."""
    return None if options.no_plots else options.figure_options(theory=options.theory)


def execute_all(loaded: "Sequence[Experiment | Comparison]", how: "Execution", options: Options) -> None:
    """Run all experiments and comparisons, on an executor if one is given.

    Each result is printed when it is finished; CSV is printed as one table at the end. If the reader of stdout has
    gone, the rest is still computed, because its run folders are wanted.
    """
    from momentumlab.experiment import Comparison

    if options.executor is not None:
        from momentumlab.clusters import opened
        from momentumlab.imports import ALLOW_IMPORT

        with opened(options.executor, may_import=ALLOW_IMPORT in os.environ) as (executor, workers):
            options, how = replace(options, executor=None), replace(how, executor=executor, workers=workers)
            return execute_all(loaded, how, options)
    reports: list[Report] = []
    comparisons: list[ComparisonReport] = []
    unprinted: list[OSError] = []
    for one in loaded:
        stored = existing(one, options.out, how) if options.skip_existing else None
        if isinstance(one, Comparison):
            compared = comparison_report(one, how, options, stored)
            comparisons.append(compared)
            with printing(unprinted):
                print_comparison(compared, options.output, quiet=options.quiet)
            continue
        report = run_report(one, how, options, stored)
        reports.append(report)
        if options.animate is not None:
            from momentumlab.runs.write import write_animation

            if report.is_sweep:
                raise ConfigError.at("--animate", "a sweep keeps no trajectories; add --record all")
            figures = options.figure_options()
            write_animation(options.animate, report, figures, fps=options.fps, hold_last=options.hold_last)
        with printing(unprinted):
            print_result(report, options.output, steps=options.steps, quiet=options.quiet, digits=options.digits)
            if options.animate is not None and options.output == "table":
                print(options.animate)
    if options.output == "csv" and not unprinted:
        print_csv(reports, comparisons, steps=options.steps)
    if unprinted:
        raise typer.Exit(1)
    return None


def run_report(one: "Experiment", how: "Execution", options: Options, stored: "LoadedRun | None") -> "Report":
    """Run an experiment, unless its results are stored, and show the progress of a sweep."""
    from momentumlab.execution import execute
    from momentumlab.plan import make_plan

    if stored is not None:
        return replace(stored.reports[0], all_rows=how.all_rows)
    plan = make_plan(one, max_trials=one.trials)
    announce_length([plan], how)
    if how.keeps_all(plan):
        return execute(plan, how, out=options.out)
    from momentumlab.report.progress import progress

    with progress(plan.trials, wanted=not options.quiet) as on_block:
        return execute(plan, replace(how, on_block=on_block or how.on_block), out=options.out, resume=options.resume)


def comparison_report(
    one: "Comparison", how: "Execution", options: Options, stored: "LoadedRun | None"
) -> "ComparisonReport":
    """Run a comparison, unless its results are stored."""
    from momentumlab.execution import execute_comparison
    from momentumlab.plan import make_plan

    if how.best or how.all_rows:
        message = "a comparison keeps the chosen paths and all that it tried: leave out --record and --all-rows"
        raise ConfigError.at(one.name, message)
    if stored is not None and stored.comparison_report is not None:
        return stored.comparison_report
    announce_length([make_plan(each) for each in one.experiments], how, rounds=one.zooms + 1)
    return execute_comparison(one, how, out=options.out, resume=options.resume)


def announce_length(plans: "Sequence[Plan]", how: "Execution", *, rounds: int = 1) -> None:
    """Announce the expected time of running each plan some ``rounds``, if it is more than `LONG` seconds."""
    from momentumlab.executor import worthwhile_workers

    seconds = sum(plan.most_seconds * rounds / (how.workers or worthwhile_workers(plan)) for plan in plans)
    if seconds > LONG:
        count, unit = (seconds / 3600, "hours") if seconds > 7200 else (seconds / 60, "minutes")
        trials, iterations = sum(plan.trials for plan in plans), plans[0].stopping.iterations
        work = f"{trials:,} {'trial' if trials == 1 else 'trials'} of at most {iterations:,} iterations"
        print_notes([f"this may take up to about {count:,.0f} {unit}: {work}"])


def existing(one: "Experiment | Comparison", out: Path, how: "Execution") -> "LoadedRun | None":
    """Read the complete run folder in ``out`` that holds everything this would compute; ``None`` if there is none."""
    from momentumlab.experiment import Comparison
    from momentumlab.plan import make_plan
    from momentumlab.runs.find import complete_run
    from momentumlab.runs.identity import identity
    from momentumlab.runs.layout import COMPARISON, RUN, SWEEP
    from momentumlab.runs.read import load_run

    if isinstance(one, Comparison):
        kind, recorded = COMPARISON, 0
    else:
        keeps_all = how.keeps_all(make_plan(one, max_trials=one.trials))
        kind, recorded = (RUN, one.trials) if keeps_all else (SWEEP, min(how.best, one.trials))
    try:
        run = complete_run(out, identity(one), kind=kind, recorded=recorded)
        loaded = None if run is None else load_run(run)
    except OSError as error:
        raise OutputError(f"{out}: {(error.strerror or str(error)).lower()}") from error
    except OutputError as error:  # it cannot be relied on
        print_notes([f"{error}; it is computed again"])
        return None
    if run is not None and how.figures is not None and not any(name.endswith(".png") for name in run.files):
        print_notes([f"{run.path} has no figures; 'momentumlab runs plot {run.path}' draws them"])
    return loaded
