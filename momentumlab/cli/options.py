"""The options that commands have, and their words."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
    SCHEDULES = "schedules"
    CONVENTIONS = "conventions"


class Noun(StrEnum):
    """An entry of a catalogue."""

    SURFACE = "surface"
    OPTIMIZER = "optimizer"
    SCHEDULE = "schedule"
    CONVENTION = "convention"


class DataFormat(StrEnum):
    """How what has no rows is printed: for people, or for programs."""

    TABLE = "table"
    JSON = "json"


class SchemaOf(StrEnum):
    """What has a JSON schema."""

    EXPERIMENT = "experiment"
    RESULT = "result"


class ScheduleName(StrEnum):
    """How lr changes where it is to be seen what a changing lr does."""

    HALVED = "halved"
    COSINE = "cosine"
    WARMUP = "warmup"


Configs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="CONFIG...", help="YAML files; none if --surface and --optimizer say it all."),
]
Surface = Annotated[str | None, typer.Option(help="Surface, by name, or as an expression.", show_default=False)]
Optimizer = Annotated[
    str | None, typer.Option("--optimizer", "--optimizers", help="Optimizers, by name: momentum or sgd,momentum.")
]
Rates = Annotated[
    str | None, typer.Option(metavar="AXIS", help="Learning rates: 0.1 or geomspace(1e-3,1,50) or cosine(0.1,0.001).")
]
Betas = Annotated[str | None, typer.Option(metavar="AXIS", help="Momentum: 0.9 or 0,0.5,0.9.")]
Start = Annotated[str | None, typer.Option(metavar="POINT", help="Start: --start=-1,1 or grid(5,5) or random(20).")]
Starts = Annotated[int | None, typer.Option(metavar="N", help="That many random starts in the view window.")]
Noise = Annotated[str | None, typer.Option(metavar="NOISE", help="Of gradients: 0.1, relative(0.1), …")]
Replicates = Annotated[str | None, typer.Option(metavar="N", help="Repeat each trial with other errors.")]
Seed = Annotated[str | None, typer.Option(metavar="N", help="Which errors, and which random starts. (0)")]
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
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Reuse an identical completed run instead of computing it again."),
]
MaxTrials = Annotated[int | None, typer.Option(metavar="N", help="The most trials an experiment may have.")]
Record = Annotated[
    str, typer.Option(metavar="WHOSE", help="Whose paths to keep: all, none, auto, or best:5 of a sweep.")
]
MaxHistory = Annotated[
    float,
    typer.Option(metavar="GIB", min=0.001, help="The most memory for all paths; beyond, every k-th iterate is kept."),
]
Theory = Annotated[bool, typer.Option("--theory", help="Draw into curves and maps what theory predicts, too.")]
RUNS = Path("runs")


def load_plugins(context: typer.Context, files: list[Path] | None) -> list[Path] | None:
    """Load plug-ins as soon as the command line is parsed, so that every command knows what they add."""
    if files and not context.resilient_parsing:
        from momentumlab.cli.output import reported
        from momentumlab.plugins import load_plugins as load

        with reported():
            load(files)
    return files


Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        callback=load_plugins,
        help="Python with surfaces, optimizers of your own (may be repeated).",
    ),
]
