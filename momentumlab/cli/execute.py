"""The commands that run something."""

import functools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from momentumlab.cli.application import RUNNING, app
from momentumlab.cli.loading import load_all, load_experiments, load_resumed
from momentumlab.cli.options import (
    RUNS,
    Betas,
    Configs,
    Format,
    GradientTolerance,
    Iterations,
    MaxHistory,
    MaxTrials,
    Name,
    Noise,
    NoPlots,
    ObjectiveName,
    Optimizer,
    Out,
    Output,
    Plugins,
    Quiet,
    Rates,
    Record,
    Replicates,
    Seed,
    Settings,
    SkipExisting,
    Start,
    Starts,
    Surface,
    TargetLoss,
    Theory,
    Tolerance,
)
from momentumlab.cli.output import print_comparison, print_csv, print_notes, print_result, reported
from momentumlab.cli.settings import (
    joined_words,
    overriding,
    refuse_beside_quiet,
    refuse_settings,
    settings_among,
    starts_or,
)
from momentumlab.errors import ConfigError, OutputError, Problem

LONG = 60

if TYPE_CHECKING:
    from momentumlab.api import Execution
    from momentumlab.experiment import Comparison, Experiment
    from momentumlab.plan import Plan
    from momentumlab.report import ComparisonReport, Report
    from momentumlab.runs.read import LoadedRun


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
    noise: Noise = None,
    replicates: Replicates = None,
    seed: Seed = None,
    settings: Settings = None,
    plugins: Plugins = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    record: Record = "auto",
    theory: Theory = False,
    steps: Annotated[bool, typer.Option("--steps", help="Print every iteration of every trial, too.")] = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    skip_existing: SkipExisting = False,
    max_trials: MaxTrials = None,
    max_history: MaxHistory = 1.0,
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
        from momentumlab.api import Execution

        how = Execution(
            plots=not no_plots,
            theory=theory,
            record="all" if steps else record,
            history_bytes=int(max_history * 2**30),
            command_line=typed(),
        )
        loaded = load_experiments(configs, flags, settings, max_trials)
        execute_all(loaded, out, how, steps=steps, output=output, quiet=quiet, skip_existing=skip_existing)


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
    noise: Noise = None,
    replicates: Replicates = None,
    seed: Seed = None,
    settings: Settings = None,
    plugins: Plugins = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    record: Record = "none",
    theory: Theory = False,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Tables for programs have all trials.")] = False,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes; 0 for as many as the work is worth.")
    ] = 0,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Do what is missing in this run folder.")] = None,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    skip_existing: SkipExisting = False,
    max_trials: MaxTrials = None,
) -> None:
    """Run whole planes of hyperparameters or starts at once, and draw the map.

    Long axes: --lr "geomspace(1e-3,1,400)" --beta "linspace(0,0.99,400)", or --start "grid(500,500)".
    What was interrupted is finished by --resume RUN.
    """
    refuse_beside_quiet(quiet, output)
    flags = settings_among(locals())
    if skip_existing and resume is not None:
        raise typer.BadParameter("completes one run folder; leave out --skip-existing", param_hint="--resume")
    with reported():
        from momentumlab.api import Execution

        if record == "all":
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
        execute_all(loaded, out, how, resume=resume, output=output, quiet=quiet, skip_existing=skip_existing)


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
    noise: Noise = None,
    replicates: Replicates = None,
    seed: Seed = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    gradient_tolerance: GradientTolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    plugins: Plugins = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    skip_existing: SkipExisting = False,
    max_trials: MaxTrials = None,
) -> None:
    """Compare optimizers fairly: each gets the same search for its lr, then all are ranked.

    Of every AXIS with several values, in files too, the best is chosen for each optimizer.
    Several surfaces or starts add performance and data profiles.
    """
    refuse_beside_quiet(quiet, output)
    tuned = tune_.replace(",", " ").split() if tune_ else []
    flags = starts_or(settings_among(locals()), starts)
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
        execute_all(loaded, out, how, output=output, quiet=quiet, skip_existing=skip_existing)


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
    noise: Noise = None,
    replicates: Replicates = None,
    seed: Seed = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    gradient_tolerance: GradientTolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    plugins: Plugins = None,
    name: Name = None,
    out: Out = RUNS,
    no_plots: NoPlots = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
    skip_existing: SkipExisting = False,
    max_trials: MaxTrials = None,
) -> None:
    """Find the best hyperparameters: a coarse grid, then zooms into its best cells; the same budget for all.

    The run folder has best.yaml, ready for 'momentumlab run'.
    """
    refuse_beside_quiet(quiet, output)
    tuned = over.replace(",", " ").split() if over else []
    flags = starts_or(settings_among(locals()), starts)
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
        execute_all(loaded, out, how, output=output, quiet=quiet, skip_existing=skip_existing)


def typed() -> str:
    """The command line."""
    return shlex.join(sys.argv)


def warn_of_length(plans: "Sequence[Plan]", how: "Execution", *, is_sweep: bool = False, rounds: int = 1) -> None:
    """Say before it begins that something may take more than `LONG` seconds.

    Parameters
    ----------
    plans
        What is to be run.
    how
        By how many processes, if it is a sweep.
    is_sweep
        Whether it is.
    rounds
        How often.
    """
    from momentumlab.executor import worthwhile_workers

    seconds = sum(
        plan.most_seconds * rounds / ((how.workers or worthwhile_workers(plan)) if is_sweep else 1) for plan in plans
    )
    if seconds > LONG:
        count, unit = (seconds / 3600, "hours") if seconds > 7200 else (seconds / 60, "minutes")
        trials, iterations = sum(plan.trials for plan in plans), plans[0].stopping.iterations
        work = f"{trials:,} {'trial' if trials == 1 else 'trials'} of at most {iterations:,} iterations"
        print_notes([f"this may take up to about {count:,.0f} {unit}: {work}"])


def execute_all(
    loaded: "Sequence[Experiment | Comparison]",
    out: Path,
    how: "Execution",
    *,
    resume: Path | None = None,
    steps: bool = False,
    output: Format,
    quiet: bool,
    skip_existing: bool = False,
) -> None:
    """Run all that was loaded, and print each as soon as it is there; CSV as one table at the end.

    With ``skip_existing``, an identical completed run is read instead of computed again.
    """
    from momentumlab.api import execute, execute_comparison
    from momentumlab.experiment import Comparison
    from momentumlab.plan import make_plan

    reports: list[Report] = []
    comparisons: list[ComparisonReport] = []
    for one in loaded:
        if isinstance(one, Comparison) and (how.best or how.all_rows):
            message = "a comparison keeps the chosen paths and all that it tried: leave out --record and --all-rows"
            raise ConfigError([Problem(place=one.name, message=message)])
        there = existing(one, out, how) if skip_existing else None
        if isinstance(one, Comparison):
            compared = None if there is None else there.comparison_report
            if compared is None:
                warn_of_length([make_plan(each) for each in one.experiments], how, rounds=one.zooms + 1)
                compared = execute_comparison(one, out=out, plots=how.plots, command_line=how.command_line)
            print_comparison(compared, output, quiet=quiet)
            sys.stdout.flush()
            comparisons.append(compared)
            continue
        plan = make_plan(one, max_trials=one.trials)
        if there is None:
            warn_of_length([plan], how, is_sweep=not how.keeps_all(plan))
        if there is not None:
            report = replace(there.reports[0], all_rows=how.all_rows)
        elif how.keeps_all(plan):
            report = execute(plan, how, out=out)
        else:
            from momentumlab.report.progress import progress

            with progress(plan.trials, wanted=not quiet) as on_block:
                report = execute(plan, replace(how, on_block=on_block), out=out, resume=resume)
        print_result(report, output, steps=steps, quiet=quiet)
        sys.stdout.flush()  # what is finished is not lost if the next one is interrupted
        reports.append(report)
    if output is Format.CSV:
        print_csv(reports, comparisons, steps=steps)


def existing(one: "Experiment | Comparison", out: Path, how: "Execution") -> "LoadedRun | None":
    """The complete run folder in ``out`` that has all that running this would give, as it was read; else ``None``."""
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
    except OutputError as error:  # nothing that one could rely on
        print_notes([f"{error}; it is computed again"])
        return None
    if run is not None and how.plots and not any(name.endswith(".png") for name in run.files):
        print_notes([f"{run.path} has no figures; 'momentumlab runs plot {run.path}' draws them"])
    return loaded
