"""``momentumlab runs``: the runs that were made. A list loads no NumPy."""

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from momentumlab.cli.application import LOOKING, app
from momentumlab.cli.options import RUNS, DataFormat, Format, Output, Quiet, Theory
from momentumlab.cli.output import print_loaded, print_notes, reported, show
from momentumlab.cli.settings import refuse_beside_quiet
from momentumlab.errors import ConfigError, OutputError, Problem

if TYPE_CHECKING:
    from momentumlab.runs.run import Run

LOOK, REPEAT, TIDY = "Look at runs", "Repeat and hand on", "Tidy up"


class ListsByDefault(TyperGroup):
    """``runs`` alone, and ``runs --name …``, are ``runs list``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put ``list`` where no command is named."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


runs_app = typer.Typer(
    cls=ListsByDefault, help="Find, show, compare, repeat and remove the runs that were made; alone, it lists them."
)
app.add_typer(runs_app, name="runs", rich_help_panel=LOOKING)


class StatusName(StrEnum):
    """How whole a run folder is."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    INTERRUPTED = "interrupted"
    DAMAGED = "damaged"


OneRun = Annotated[str, typer.Argument(metavar="RUN", help="A path, the beginning of a folder's name, or 'latest'.")]
SeveralRuns = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Paths, beginnings of folders' names, or 'latest'.")
]
Where = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder in which run folders are.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def _listed(out: Path) -> "list[Run]":
    from momentumlab.runs.run import runs_in

    try:
        return runs_in(out)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{out}: {(error.strerror or str(error)).lower()}") from error


@runs_app.command("list", rich_help_panel=LOOK)
def list_runs(
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only those with this in their name, or a pattern: 'ravine_*'.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only those begun since: 2d, 36h, 2026-11-20.")
    ] = None,
    surface: Annotated[str | None, typer.Option(metavar="NAME", help="Only those with this surface.")] = None,
    optimizer: Annotated[str | None, typer.Option(metavar="NAME", help="Only those with this optimizer.")] = None,
    status: Annotated[StatusName | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The newest N alone; 0 for all. (20 in a table, else all)")
    ] = None,
    out: Where = RUNS,
    output: Annotated[Format, typer.Option("--format", help="How to print the list.")] = Format.TABLE,
) -> None:
    """List runs, the newest first: when, name, trials, best loss, status, size."""
    with reported():
        from momentumlab.runs import listing

        begun = None if since is None else listing.moment(since, datetime.now())
        wanted = listing.Wanted(
            name=name,
            since=begun,
            surface=surface,
            optimizer=optimizer,
            status=None if status is None else status.value,
        )
        every = _listed(out)
        chosen = [run for run in every if wanted.includes(run)]
        if limit is None:
            limit = listing.MOST_ROWS if output is Format.TABLE else 0
        printed = chosen[:limit] if limit else chosen
        if output is Format.JSON:
            import json

            print(json.dumps(listing.rows(printed), allow_nan=False, ensure_ascii=False))
        elif output is Format.CSV:
            print(listing.csv_text(printed), end="")
        elif not chosen:
            print_notes([f"there are no runs in {out}" if not every else f"none of {len(every):,} runs is asked for"])
        else:
            from rich.cells import cell_len

            print("\n".join(listing.table(printed, cell_len)))
            if len(printed) < len(chosen):
                print(f"the newest {len(printed)} of {len(chosen):,} runs; --limit 0 lists all")


@runs_app.command("show", rich_help_panel=LOOK)
def show_run(
    run: OneRun,
    out: Where = RUNS,
    steps: Annotated[bool, typer.Option("--steps", help="Print every iteration of every trial, too.")] = False,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Of a sweep, data formats have all trials.")] = False,
    output: Output = Format.TABLE,
    quiet: Quiet = False,
) -> None:
    """Print the table of a run again, from its folder."""
    refuse_beside_quiet(quiet, output)
    if steps:
        refuse_beside_quiet(quiet, output, "--steps and --format")
    with reported():
        from momentumlab.runs.find import find
        from momentumlab.runs.read import load_run

        (found,) = find([run], out)
        loaded = load_run(found)
        if steps and any(result.history is None for result in loaded.results):
            raise ConfigError([Problem(place="--steps", message="the paths of this run were not kept")])
        if steps and loaded.comparison is not None:
            raise ConfigError([Problem(place="--steps", message="a comparison has no table of steps; see 'export'")])
        print_loaded(loaded, output, steps=steps, quiet=quiet, all_rows=all_rows)


@runs_app.command("compare", rich_help_panel=LOOK)
def compare_runs(
    runs: SeveralRuns,
    out: Where = RUNS,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw all curves, too: FILE.png, FILE-velocity.png.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Put several runs into one table, and their curves into one figure: what differs becomes columns and labels."""
    with reported():
        from momentumlab.report.data import json_text, table_text
        from momentumlab.runs import compare as sides
        from momentumlab.runs import write as store
        from momentumlab.runs.find import find
        from momentumlab.runs.read import load_run

        if figure is not None and figure.suffix != ".png":
            raise ConfigError([Problem(place=f"--figure {figure}", message="write a name that ends in .png")])
        loaded = [load_run(run) for run in find(runs, out)]
        together = sides.side_by_side(loaded)
        drawn = {} if figure is None else sides.joined_drawings(together, figure.name.removesuffix(".png"))
        if output is Format.JSON:
            print(json_text(sides.document(together, loaded)))
        elif output is Format.CSV:
            print(table_text(sides.csv_rows(loaded)), end="")
        else:
            show(sides.rich_side_by_side(together))
        if figure is not None:
            for path in store.write_figures(figure.parent, drawn, {}, dpi=None):
                print(path, file=sys.stdout if output is Format.TABLE else sys.stderr)


@runs_app.command("plot", rich_help_panel=LOOK)
def plot_run(
    run: OneRun,
    out: Where = RUNS,
    only: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Only these figures: velocity or loss,trajectory.")
    ] = None,
    view: Annotated[
        str | None, typer.Option(metavar="WINDOW", help="The window of the paths: --view=-3,3,-1,1.")
    ] = None,
    theory: Theory = False,
    dpi: Annotated[int | None, typer.Option(metavar="N", min=20, max=600, help="Dots per inch of a PNG. (150)")] = None,
    svg: Annotated[bool, typer.Option("--svg", help="Write SVG instead of PNG.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write PDF instead of PNG.")] = False,
    to: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where to. (into the run folder)")] = None,
) -> None:
    """Draw the figures of a run again, without computing it."""
    kinds = [kind for kind, wanted in (("svg", svg), ("pdf", pdf)) if wanted] or ["png"]
    if dpi is not None and "png" not in kinds:
        raise typer.BadParameter("is for PNG; leave out --svg and --pdf", param_hint="--dpi")
    with reported():
        from momentumlab.runs import write as store
        from momentumlab.runs.find import find
        from momentumlab.runs.plot import drawings, texts_of, view_of
        from momentumlab.runs.read import load_run

        window = None if view is None else view_of(view)
        (found,) = find([run], out)
        loaded = load_run(found)
        names = only.replace(",", " ").split() if only else []
        chosen = drawings(loaded, only=names, theory=theory, view=window)
        for path in store.write_figures(to or found.path, chosen, texts_of(loaded), kinds=kinds, dpi=dpi):
            print(path)


@runs_app.command("rerun", rich_help_panel=REPEAT)
def rerun(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, or a picture that momentumlab has drawn: figure.png.")
    ],
    out: Where = RUNS,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave a run folder of the repetition, with its figures.")
    ] = False,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="With --keep, draw no figures.")] = False,
    output: Annotated[DataFormat, typer.Option("--format", help="How to print the verdict.")] = DataFormat.TABLE,
) -> None:
    """Run it once more, and say whether the numbers are the same: to the last bit, up to rounding, or not.

    The exit code is 1 if they are not.
    """
    if no_plots and not keep:
        raise typer.BadParameter("goes with --keep", param_hint="--no-plots")
    with reported():
        from momentumlab.cli.execute import typed
        from momentumlab.report.data import json_text, strict
        from momentumlab.runs.rerun import repeat
        from momentumlab.runs.verdict import Verdict

        what, repeated = repeat(run, out, keep=keep, plots=not no_plots, command_line=typed())
        folder = repeated.results[0].run_folder
        if output is DataFormat.JSON:
            told = {"run": what, **repeated.as_dict(), "run_folder": None if folder is None else str(folder)}
            print(json_text(strict(told)))
        else:
            print("\n".join(repeated.lines(what)))
            if folder is not None:
                print(folder)
        if repeated.verdict is Verdict.DIFFERENT:
            raise typer.Exit(1)


@runs_app.command("export", rich_help_panel=REPEAT)
def export_run(
    run: OneRun,
    out: Where = RUNS,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to: a .csv, or a .parquet with pyarrow. (stdout, CSV)")
    ] = None,
) -> None:
    """Write a run as one table in long form: a row per trial and iteration, with settings, point, velocity, loss."""
    with reported():
        from momentumlab.runs import export
        from momentumlab.runs import write as store
        from momentumlab.runs.find import find
        from momentumlab.runs.read import load_run

        if to is not None and to.suffix not in (".csv", ".parquet"):
            raise ConfigError([Problem(place=f"--to {to}", message="write a name that ends in .csv or .parquet")])
        if to is not None and to.suffix == ".parquet":
            export.check_parquet()
        (found,) = find([run], out)
        loaded = load_run(found)
        if loaded.is_sweep:
            print_notes(["the paths of a sweep are not kept: the table has a row for the end of each trial"])
        if to is None:
            for line in export.csv_lines(loaded):
                sys.stdout.write(line)
        else:
            write = export.write_parquet if to.suffix == ".parquet" else export.write_csv
            store.write_file(to, lambda file: write(loaded, file))
            print(to)


@runs_app.command("rm", rich_help_panel=TIDY)
def remove_runs(runs: SeveralRuns, out: Where = RUNS, yes: Yes = False) -> None:
    """Remove run folders, after asking. A folder with anything that momentumlab did not make stays."""
    with reported():
        from momentumlab.runs.find import find

        _remove(find(runs, out), yes)


@runs_app.command("clean", rich_help_panel=TIDY)
def clean(
    out: Where = RUNS,
    partial: Annotated[
        bool, typer.Option("--partial", help="Remove unfinished sweeps, too, which could be resumed.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Offer to remove the folders of runs that were interrupted."""
    with reported():
        from momentumlab.runs.remove import QUIET_MINUTES, interrupted_runs
        from momentumlab.runs.run import RunStatus

        every = _listed(out)
        removable, busy = interrupted_runs(every)
        if partial:
            removable += [run for run in every if run.status is RunStatus.PARTIAL]
        if busy:
            names = ", ".join(run.path.name for run in busy)
            print_notes([f"left alone, since something changed in the last {QUIET_MINUTES} minutes: {names}"])
        if removable:
            _remove(removable, yes)
        else:
            print_notes([f"there is nothing to remove in {out}"])


def is_interactive() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def _remove(runs: "list[Run]", yes: bool) -> None:
    from momentumlab.runs import remove as removing
    from momentumlab.runs.listing import shown, size_text

    removing.check_removable(runs)
    if not yes:
        if not is_interactive():
            raise ConfigError([Problem(place="--yes", message="is needed where nobody can be asked")])
        for run in runs:
            print(f"{shown(str(run.path))}  {run.status.label}, {size_text(run.size)}", file=sys.stderr)
        noun = "this run folder" if len(runs) == 1 else f"these {len(runs)} run folders"
        if not typer.confirm(f"Remove {noun}?", err=True):
            print_notes(["nothing is removed"])
            return
    removing.remove_runs(runs)
    for run in runs:
        print(shown(str(run.path)))
