"""``momentumlab runs``: list, show, compare, repeat and remove runs. The list does not import NumPy."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from momentumlab.cli import completion
from momentumlab.cli.application import LOOKING, Commands, app, command
from momentumlab.cli.options import (
    RUNS,
    Animate,
    DataOutput,
    Digits,
    FigureArguments,
    Fps,
    HoldLast,
    Out,
    Output,
    Plugins,
    Quiet,
    Theory,
    option,
    with_figures,
)
from momentumlab.cli.output import is_text, print_loaded, print_stored, refuse_beside_quiet, show_as
from momentumlab.cli.parsers import one_of, whole
from momentumlab.cli.streams import complain, print_notes
from momentumlab.errors import ConfigError, OutputError, printable

if TYPE_CHECKING:
    from momentumlab.runs.read import LoadedRun
    from momentumlab.runs.records import RunFolder

LOOK, REPEAT, TIDY = "Inspect", "Repeat and export", "Remove"


class ListsByDefault(Commands):
    """Makes ``runs`` and ``runs --name …`` mean ``runs list``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Insert ``list`` if no command is named."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


runs_app = typer.Typer(
    cls=ListsByDefault,
    help="List, show, compare, repeat and remove completed and interrupted runs. Without a command: list.",
)
app.add_typer(runs_app, name="runs", rich_help_panel=LOOKING)


STATES = ("complete", "running", "interrupted", "damaged")

OneRun = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Path, prefix of a folder's name, or 'latest'.", autocompletion=completion.runs),
]
SeveralRuns = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Paths, prefixes of names, or 'latest'.", autocompletion=completion.runs),
]
Yes = Annotated[bool, option(None, "--yes", "-y", help="Remove without asking.")]


@command(runs_app, "list", group=LOOK, examples=("momentumlab runs --since 2d --optimizer adam",))
def list_runs(
    name: Annotated[
        str | None, option(None, metavar="TEXT", help="Part of the name, or a pattern such as 'ravine_*'.")
    ] = None,
    since: Annotated[str | None, option(None, metavar="WHEN", help="Earliest start: 2d, 36h, 2026-11-20.")] = None,
    surface: Annotated[str | None, option(None, metavar="NAME", help="Only runs on this surface.")] = None,
    optimizer: Annotated[str | None, option(None, metavar="NAME", help="Only runs of this optimizer.")] = None,
    status: Annotated[str | None, option(None, help="Only runs in this state.", **one_of(*STATES))] = None,
    limit: Annotated[
        int | None, option(None, metavar="N", parser=whole(0), help="Newest N runs; 0 for all [20 in a table].")
    ] = None,
    out: Out = RUNS,
    plugins: Plugins = None,
    output: Output = "table",
) -> None:
    """List runs, newest first: start, name, trials, best loss, status, size."""
    from momentumlab.runs import listing, records

    conditions = listing.Filter(
        name=name,
        since=None if since is None else listing.moment(since, datetime.now()),
        surface=surface,
        optimizer=optimizer,
        status=status,
    )
    every = records.list_runs(out)
    chosen = [run for run in every if conditions.includes(run)]
    if limit is None:
        limit = listing.MOST_ROWS if is_text(output) else 0
    printed = chosen[:limit] if limit else chosen
    if output == "json":
        import json

        print(json.dumps(listing.rows(printed), allow_nan=False, ensure_ascii=False))
    elif output == "csv":
        print(listing.csv_text(printed), end="")
    elif not chosen:
        print_notes([f"there are no runs in {out}" if not every else f"none of {len(every):,} runs matches"])
    else:
        show_as(output, listing.table(printed))
        if len(printed) < len(chosen):
            print(f"the newest {len(printed)} of {len(chosen):,} runs; --limit 0 lists all")


def load_runs(names: list[str], out: Path) -> "list[LoadedRun]":
    """Find and read run folders, and note which data files are missing or have changed."""
    from momentumlab.runs.find import find
    from momentumlab.runs.read import load_run

    loaded = [load_run(run) for run in find(names, out)]
    for each in loaded:
        print_notes(each.changed_data)
    return loaded


@command(runs_app, "show", group=LOOK, examples=("momentumlab runs show latest --format csv",))
def show_run(
    run: OneRun,
    out: Out = RUNS,
    plugins: Plugins = None,
    steps: Annotated[bool, option(None, "--steps", help="Also print every iteration of every trial.")] = False,
    digits: Digits = 6,
    all_rows: Annotated[bool, option(None, "--all-rows", help="Print all trials of a sweep as data.")] = False,
    output: Output = "table",
    quiet: Quiet = False,
) -> None:
    """Print the table of a run again from its folder."""
    refuse_beside_quiet(quiet, output)
    if steps:
        refuse_beside_quiet(quiet, output, "--steps and --format")
    from momentumlab.runs.find import find
    from momentumlab.runs.inputs import MissingInputError

    try:
        (loaded,) = load_runs([run], out)
    except MissingInputError as error:
        if steps:
            raise
        print_notes([*str(error).splitlines(), "these are the stored numbers, without what is derived from them"])
        print_stored(find([run], out)[0], output, quiet=quiet)
        return
    if steps and any(result.history is None for result in loaded.results):
        raise ConfigError.at("--steps", "the histories of this run were not recorded")
    if steps and loaded.comparison is not None:
        raise ConfigError.at("--steps", "does not apply to a comparison; use 'runs export'")
    print_loaded(loaded, output, steps=steps, quiet=quiet, all_rows=all_rows, digits=digits)


@command(runs_app, "compare", group=LOOK, examples=("momentumlab runs compare runs/2* --figure curves.png",))
@with_figures
def compare_runs(
    runs: SeveralRuns,
    figures: FigureArguments,
    out: Out = RUNS,
    plugins: Plugins = None,
    figure: Annotated[
        Path | None, option(None, metavar="FILE", help="Also draw all curves: FILE.png, FILE-velocity.png.")
    ] = None,
    output: Output = "table",
) -> None:
    """Compare the trials of several runs in one table and one figure.

    Settings that differ become columns and labels.
    """
    from momentumlab.report.data import flat, json_text, table_text
    from momentumlab.runs import compare as comparing
    from momentumlab.runs import write as store

    if figure is not None and figure.suffix != ".png":
        raise ConfigError.at(f"--figure {figure}", "write a name that ends in .png")
    loaded = load_runs(runs, out)
    together = comparing.side_by_side(loaded)
    options = figures.figure_options()
    name = "" if figure is None else figure.name.removesuffix(".png")
    drawn = {} if figure is None else comparing.joined_drawings(together, name, options)
    if output == "json":
        print(json_text(comparing.document(together, loaded)))
    elif output == "csv":
        print(table_text([flat(row) for row in comparing.rows(loaded)]), end="")
    else:
        show_as(output, comparing.side_by_side_table(together))
    if figure is not None:
        for path in store.write_figures(figure.parent, drawn, {}, options):
            print(path, file=sys.stdout if is_text(output) else sys.stderr)


@command(runs_app, "plot", group=LOOK, examples=("momentumlab runs plot latest --only loss --theory --pdf",))
@with_figures
def plot_run(
    run: OneRun,
    figures: FigureArguments,
    out: Out = RUNS,
    plugins: Plugins = None,
    only: Annotated[
        str | None, option(None, metavar="NAMES", help="Figures to draw: velocity or loss,trajectory [all].")
    ] = None,
    theory: Theory = False,
    animate: Animate = None,
    fps: Fps = 20.0,
    hold_last: HoldLast = 2.0,
    to: Annotated[Path | None, option(None, metavar="FOLDER", help="Destination [the run folder].")] = None,
) -> None:
    """Draw the figures of a run again without computing it; with --animate, an animation instead."""
    options = figures.figure_options(theory=theory)
    from momentumlab.runs import write as store
    from momentumlab.runs.plot import animated_report, drawings, png_texts

    (loaded,) = load_runs([run], out)
    if animate is not None:
        store.write_animation(animate, animated_report(loaded), options, fps=fps, hold_last=hold_last)
        print(animate)
        return
    names = only.replace(",", " ").split() if only else []
    chosen = drawings(loaded, options, only=names)
    texts = png_texts(
        loaded.experiment, loaded.results, folder=loaded.run.path.name, kind=loaded.kind, provenance=loaded.provenance
    )
    for path in store.write_figures(to or loaded.run.path, chosen, texts, options):
        print(path)


@command(runs_app, "rerun", group=REPEAT, examples=("momentumlab runs rerun runs/latest/loss.png",))
def rerun(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Run, or a figure that momentumlab has drawn.", autocompletion=completion.runs
        ),
    ],
    out: Out = RUNS,
    plugins: Plugins = None,
    keep: Annotated[bool, option(None, "--keep", help="Write a run folder of the repetition, with figures.")] = False,
    no_plots: Annotated[bool, option(None, "--no-plots", help="With --keep: draw no figures.")] = False,
    output: DataOutput = "table",
) -> None:
    """Repeat a run and compare the numbers: identical to the last bit, identical up to rounding, or different.

    If they are different, the exit code is 1.
    """
    if no_plots and not keep:
        raise typer.BadParameter("requires --keep", param_hint="--no-plots")
    from momentumlab import api
    from momentumlab.cli.loading import typed
    from momentumlab.report.data import json_text, strict

    what, repeated = api.rerun(run, out=out, keep=keep, plots=not no_plots, command_line=typed())
    folder = repeated.results[0].run_folder
    if output == "json":
        document = {"run": what, **repeated.as_dict(), "run_folder": None if folder is None else str(folder)}
        print(json_text(strict(document)))
    else:
        print("\n".join(repeated.lines(what)))
        if folder is not None:
            print(folder)
    if repeated.verdict.label == "different":
        raise typer.Exit(1)


@command(runs_app, "export", group=REPEAT, examples=("momentumlab runs export latest --to run.csv",))
def export_run(
    run: OneRun,
    out: Out = RUNS,
    plugins: Plugins = None,
    to: Annotated[
        Path | None, option(None, metavar="FILE", help="Destination: .csv, or .parquet with pyarrow [CSV to stdout].")
    ] = None,
) -> None:
    """Write a run as one table with a row per trial and iteration: settings, point, velocity, loss."""
    from momentumlab.runs import export
    from momentumlab.runs import write as store

    if to is not None and to.suffix not in (".csv", ".parquet"):
        raise ConfigError.at(f"--to {to}", "write a name that ends in .csv or .parquet")
    if to is not None and to.suffix == ".parquet":
        export.check_parquet()
    (loaded,) = load_runs([run], out)
    if loaded.is_sweep:
        print_notes(["a sweep does not record histories: the table has one row per trial, its final state"])
    if to is None:
        for line in export.csv_lines(loaded):
            sys.stdout.write(line)
    else:
        write = export.write_parquet if to.suffix == ".parquet" else export.write_csv
        store.write_file(to, lambda file: write(loaded, file))
        print(to)


@command(runs_app, "rm", group=TIDY, examples=("momentumlab runs rm latest --yes",))
def remove_runs(runs: SeveralRuns, out: Out = RUNS, plugins: Plugins = None, yes: Yes = False) -> None:
    """Remove run folders after asking.

    Folders with files that momentumlab did not write and running runs stay.
    """
    from momentumlab.runs.find import find

    _remove(find(runs, out), yes)


@command(runs_app, "clean", group=TIDY, examples=("momentumlab runs clean --yes",))
def clean(
    out: Out = RUNS,
    plugins: Plugins = None,
    partial: Annotated[bool, option(None, "--partial", help="Also remove sweeps that could be resumed.")] = False,
    yes: Yes = False,
) -> None:
    """Remove the folders of interrupted runs after asking. Running, complete and damaged runs stay."""
    from momentumlab.runs.records import list_runs

    interrupted = [run for run in list_runs(out) if run.status.label == "interrupted"]
    removable = [run for run in interrupted if partial or not run.is_resumable]
    if len(removable) < len(interrupted):
        names = ", ".join(printable(run.path.name) for run in interrupted if run not in removable)
        print_notes([f"sweeps that can be resumed stay, unless --partial is given: {names}"])
    if removable:
        _remove(removable, yes)
    else:
        print_notes([f"there is nothing to remove in {out}"])


def is_interactive() -> bool:
    """Return whether a user can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def _remove(runs: "list[RunFolder]", yes: bool) -> None:
    """Remove runs; the command names each that cannot be removed, with the reason, and exits with code 1."""
    from momentumlab.runs import remove as removing
    from momentumlab.runs.listing import size_text

    reasons = [(run, removing.obstacle(run)) for run in runs]
    removable = [run for run, reason in reasons if reason is None]
    stayed = [f"{printable(str(run.path))}: {reason}" for run, reason in reasons if reason is not None]
    if removable and not yes:
        if not is_interactive():
            raise ConfigError.at("--yes", "is required if stdin is not a terminal")
        for run in removable:
            complain(f"{printable(str(run.path))}  {run.status.label}, {size_text(run.size)}")
        noun = "this run folder" if len(removable) == 1 else f"these {len(removable)} run folders"
        if not typer.confirm(f"Remove {noun}?", err=True):
            print_notes(["nothing was removed"])
            return
    for run in removable:
        try:
            removing.remove_run(run)
        except OutputError as error:
            stayed.append(str(error))
        else:
            print(printable(str(run.path)))
    removing.update_latest(removable)
    if stayed:
        complain(*(f"error: not removed: {line}" for line in stayed))
        raise typer.Exit(1)
