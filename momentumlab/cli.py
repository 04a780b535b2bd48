"""The command line: parses, calls the API, prints. What a command needs is imported when it runs: help is quick."""

import gc
import io
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from momentumlab import __version__
from momentumlab.errors import ConfigError, MomentumLabError, Problem

if TYPE_CHECKING:
    from rich.console import RenderableType

    from momentumlab.experiment import Experiment
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


class Nouns(StrEnum):
    """The catalogues."""

    SURFACES = "surfaces"
    OPTIMIZERS = "optimizers"


class Noun(StrEnum):
    """An entry of a catalogue."""

    SURFACE = "surface"
    OPTIMIZER = "optimizer"


def main() -> None:
    """The command ``momentumlab``."""
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
    configs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CONFIG...", help="YAML files; none if --surface and --optimizer say it all."),
    ] = None,
    surface: Annotated[str | None, typer.Option(help="Surface, by name.", show_default=False)] = None,
    optimizer: Annotated[str | None, typer.Option(help="Optimizers, by name: momentum or sgd,momentum.")] = None,
    lr: Annotated[str | None, typer.Option(metavar="AXIS", help="Learning rates: 0.1 or geomspace(1e-3,1,50).")] = None,
    beta: Annotated[str | None, typer.Option(metavar="AXIS", help="Momentum: 0.9 or 0,0.5,0.9.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="POINT", help="Start: --start=-1,1 or grid(5,5) or random(20).")
    ] = None,
    iterations: Annotated[str | None, typer.Option(metavar="N", help="The most iterations of a trial.")] = None,
    tolerance: Annotated[str | None, typer.Option(metavar="T", help="Stop when the loss changes by no more.")] = None,
    gradient_tolerance: Annotated[str | None, typer.Option(metavar="T", help="Stop at a gradient this small.")] = None,
    target_loss: Annotated[str | None, typer.Option(metavar="LOSS", help="Stop at a loss this low.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting: --set surface.a=0.1 (may be repeated)."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The experiment's name.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for run folders.")] = Path("runs"),
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Draw no figures.")] = False,
    steps: Annotated[bool, typer.Option("--steps", help="Print every iteration of every trial, too.")] = False,
    output: Annotated[Format, typer.Option("--format", help="How to print the result.")] = Format.TABLE,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the run folder's path alone.")] = False,
    max_trials: Annotated[int | None, typer.Option(metavar="N", help="The most trials an experiment may have.")] = None,
) -> None:
    """Run experiments: table, pictures and data of each in a run folder of its own.

    Options override what the files say.
    AXIS is a number, a list 0,0.5,0.9, or linspace(0,1,5), geomspace(…), arange(…).
    """
    if quiet and (steps or output is not Format.TABLE):
        raise typer.BadParameter("prints the path alone; leave out --steps and --format", param_hint="--quiet")
    flags = {
        "surface": surface,
        "optimizer": optimizer,
        "lr": lr,
        "beta": beta,
        "start": start,
        "iterations": iterations,
        "tolerance": tolerance,
        "gradient_tolerance": gradient_tolerance,
        "target_loss": target_loss,
        "name": name,
    }
    with reported():
        from momentumlab.api import execute
        from momentumlab.plan import MAX_TRIALS, make_plan

        limit = MAX_TRIALS if max_trials is None else max_trials
        overrides = {key: (f"--{key.replace('_', '-')}", text) for key, text in flags.items() if text is not None}
        overrides = parsed_settings(settings or [], overrides)
        results = []
        for experiment in load_all(configs or [], overrides, limit):
            plan = make_plan(experiment, max_trials=limit)
            result = execute(plan, out=out, plots=not no_plots, command_line=shlex.join(sys.argv))
            print_result(result, output, steps=steps, quiet=quiet)
            if output is Format.CSV:
                results.append(result)
        if results:
            print_csv(results, steps=steps)


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


def load_all(configs: Sequence[Path], overrides: dict[str, tuple[str, str]], max_trials: int) -> "list[Experiment]":
    """Every experiment, before the first is run; the problems of all files together."""
    from momentumlab.config import load_experiment, settings_from_text
    from momentumlab.plan import check_size

    nodes = settings_from_text(overrides)
    if not configs:
        if not {"surface", "optimizer"} & overrides.keys():
            raise ConfigError([Problem(place="", message="give a CONFIG file, or --surface and --optimizer")])
        words = [overrides[key][1] for key in ("surface", "optimizer") if key in overrides]
        name = re.sub(r"[^\w]+", "-", "_".join(words)).strip("-")[:100]
        experiment = load_experiment({"name": name}, nodes)
        check_size(experiment, max_trials, place=experiment.name)
        return [experiment]
    experiments: list[Experiment] = []
    problems: list[Problem] = []
    for config in configs:
        try:
            experiments.append(load_experiment(config, nodes))
            check_size(experiments[-1], max_trials, place=str(config))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return experiments


def print_result(result: "Result", output: Format, *, steps: bool, quiet: bool) -> None:
    """Print one result; notes go to stderr."""
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if quiet:
        print(result.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.data import json_document, json_text

        print(json_text(json_document(result, steps=steps)))
    elif output is Format.TABLE:
        from momentumlab.report.table import rich_table, steps_table

        for number in range(result.trials if steps else 0):
            show(steps_table(result, number))
            print()
        show(rich_table(result))
        print(result.run_folder)


def print_csv(results: "Sequence[Result]", *, steps: bool) -> None:
    """Print all results as one CSV table."""
    from momentumlab.report.data import csv_text, steps_csv_text

    print((steps_csv_text if steps else csv_text)(results), end="")


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
        from momentumlab.plan import MAX_TRIALS

        problems: list[Problem] = []
        for config in configs:
            try:
                (experiment,) = load_all([config], {}, MAX_TRIALS)
            except ConfigError as error:
                problems += error.problems
            else:
                trials, iterations = experiment.trials, experiment.stopping.iterations
                noun = "trial" if trials == 1 else "trials"
                print(f"{config}: {trials:,} {noun} of at most {iterations:,} iterations")
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
