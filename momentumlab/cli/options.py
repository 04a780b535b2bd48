"""The options, each declared once: its spelling, its text, its group and the commands that have it.

Options that other commands share are constants. The commands that run or predict experiments take theirs in one
`Options`; `experiment_command` builds the signature that Typer reads from its fields.
"""

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from typer.models import ParameterInfo

from momentumlab.cli.application import app, command
from momentumlab.cli.completion import configurations, names_of

WHAT, STOPPING, NOISE, SEARCH = "What to run", "Stopping", "Noise", "Search"
RECORDING, OUTPUT = "Recording and figures", "Output"
RUNS = Path("runs")


class Format(StrEnum):
    """Formats of results."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ListFormat(StrEnum):
    """Formats of a list of entries."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class DataFormat(StrEnum):
    """Formats of results that are not one table."""

    TABLE = "table"
    JSON = "json"


class ObjectiveName(StrEnum):
    """Criteria by which a search chooses."""

    ROBUST_LOSS = "robust_loss"
    FINAL_LOSS = "final_loss"
    ITERATIONS = "iterations"
    Q75 = "q75"
    Q90 = "q90"
    Q95 = "q95"


class Kind(StrEnum):
    """What can be listed and shown."""

    SURFACE = "surface"
    OPTIMIZER = "optimizer"
    SCHEDULE = "schedule"
    NOISE = "noise"
    DATA = "data"
    CONVENTION = "convention"

    @property
    def plural(self) -> str:
        """The name of the list."""
        return self.value if self in (Kind.NOISE, Kind.DATA) else f"{self.value}s"


class Shown(StrEnum):
    """What can be shown: an entry of a list, or the compiled kernel of an optimizer on a surface."""

    SURFACE = "surface"
    OPTIMIZER = "optimizer"
    SCHEDULE = "schedule"
    NOISE = "noise"
    DATA = "data"
    CONVENTION = "convention"
    KERNEL = "kernel"

    @property
    def plural(self) -> str:
        """The name of the list; empty for kernels."""
        return "" if self is Shown.KERNEL else Kind(self.value).plural


class SchemaOf(StrEnum):
    """Documents that have a JSON schema."""

    EXPERIMENT = "experiment"
    RESULT = "result"


class ScheduleName(StrEnum):
    """Learning-rate schedules with which a translation is checked."""

    HALVED = "halved"
    COSINE = "cosine"
    WARMUP = "warmup"


# Values. Typer's own conversions would name Python classes in their messages.

Choice = TypeVar("Choice", bound=StrEnum)


def one_of(kind: type[Choice]) -> dict[str, Any]:
    """Describe an option with a few possible values: in any case, in the singular or the plural."""
    names = [each.value for each in kind]

    def parse(text: str) -> Choice:
        word = text.strip().lower().replace("-", "_")
        if word not in names:
            word = word.removesuffix("s")
        if word not in names:
            from momentumlab.registry import did_you_mean

            raise typer.BadParameter(f"unknown value '{text}'{did_you_mean(text, names)}; use {_either(names)}")
        return kind(word)

    return {"parser": parse, "metavar": "|".join(names), "autocompletion": lambda: names}


def whole(*, least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise typer.BadParameter(f"'{text}' is not a whole number {bounds}")
        return number

    return parse


def gibibytes(text: str | int) -> int:
    """Parse a size in GiB and return the number of bytes."""
    if isinstance(text, int):  # the default, which some versions of Typer pass through the parser, too
        return text
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not (math.isfinite(size) and size >= 0.001):
        raise typer.BadParameter(f"'{text}' is not a finite number of GiB of at least 0.001")
    return int(size * 2**30)


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


# Options that other commands have, too


def option(group: str | None, *names: str, **details: Any) -> Any:
    """Declare an option in a group of the help page."""
    return typer.Option(*names, rich_help_panel=group, show_default=False, **details)


def load_plugins(context: typer.Context, files: list[Path] | None) -> list[Path] | None:
    """Load plug-ins as soon as the command line is parsed, before anything looks up a name."""
    if files and not context.resilient_parsing:
        from momentumlab.plugins import load_plugins as load

        load(files)
    return files


SurfaceName = Annotated[
    str | None,
    option(
        WHAT,
        "--surface",
        "--surfaces",
        metavar="NAME",
        help="Surface: a name, or an expression in x, y, …",
        autocompletion=names_of("surfaces", is_list=True),
    ),
]
OptimizerNames = Annotated[
    str | None,
    option(
        WHAT,
        "--optimizer",
        "--optimizers",
        metavar="NAME",
        help="One or several optimizers: sgd,momentum,adam.",
        autocompletion=names_of("optimizers", is_list=True),
    ),
]
LearningRate = Annotated[
    str | None,
    option(
        WHAT,
        "--lr",
        metavar="AXIS",
        help="Learning rate: a value, several (0.01,0.1 or geomspace(1e-3,1,50)), or a schedule such as "
        "cosine(0.1,0.001).",
    ),
]
Beta = Annotated[str | None, option(WHAT, "--beta", metavar="AXIS", help="Momentum: a value or several (0,0.5,0.9).")]
Settings = Annotated[
    list[str] | None,
    option(
        WHAT,
        "--set",
        metavar="KEY=VALUE",
        help="Any other setting, such as surface.a=0.1 or beta2=0.99. Hyperparameters are also accepted as options: "
        "--beta2 0.99. Repeatable.",
    ),
]
EntryKind = Annotated[
    Kind,
    typer.Argument(
        help="surface, optimizer, schedule, noise, data or convention.", **(one_of(Kind) | {"metavar": "KIND"})
    ),
]
ShownKind = Annotated[
    Shown,
    typer.Argument(
        help="surface, optimizer, schedule, noise, data, convention or kernel.",
        **(one_of(Shown) | {"metavar": "KIND"}),
    ),
]
Plugins = Annotated[
    list[Path] | None,
    option(
        WHAT,
        "--plugin",
        metavar="FILE",
        callback=load_plugins,
        help="Python file that defines surfaces, optimizers or schedules. Repeatable.",
    ),
]
Out = Annotated[Path, option(OUTPUT, "--out", metavar="FOLDER", help="Folder of the run folders [runs].")]
Theory = Annotated[bool, option(RECORDING, "--theory", help="Add theoretical predictions to figures.")]
Steps = Annotated[bool, option(OUTPUT, "--steps", help="Also print every iteration of every trial.")]
AllRows = Annotated[bool, option(OUTPUT, "--all-rows", help="Print all trials of a sweep in JSON and CSV.")]
Output = Annotated[Format, option(OUTPUT, "--format", help="Output format [table].", **one_of(Format))]
DataOutput = Annotated[DataFormat, option(OUTPUT, "--format", help="Output format [table].", **one_of(DataFormat))]
Quiet = Annotated[bool, option(OUTPUT, "--quiet", "-q", help="Print only the path of the run folder.")]


# The options of experiments

EXECUTED = ("run", "sweep", "compare", "tune")
PRINTED = (*EXECUTED, "predict")
EVERY = (*PRINTED, "explore")
SEARCHED = ("compare", "tune")
PATIENCE = "Iterations in a row for which the tolerance must hold [5]."
SEVERAL_SURFACES = "One or several surfaces: ravine,booth, or expressions in x, y, …"


def declared(
    info: Any, default: Any = None, *, commands: Sequence[str] = EVERY, is_setting: bool = False, **texts: str
) -> Any:
    """Declare an option as a field of `Options`.

    Parameters
    ----------
    info
        Typer's description of the option, or an annotated type that contains it.
    default
        The value if the option is not given.
    commands
        The commands that have it.
    is_setting
        Whether its text is the value of the configuration key of the same name.
    **texts
        Help texts of commands in which the common text does not apply.
    """
    info = info if isinstance(info, ParameterInfo) else get_args(info)[1]
    details = {"info": info, "commands": commands, "is_setting": is_setting, "texts": texts}
    return field(default=default, metadata=details)


def setting(group: str, metavar: str, text: str, *, commands: Sequence[str] = EVERY, **texts: str) -> Any:
    """Declare an option whose text is the value of the configuration key of the same name; see `declared`."""
    return declared(option(group, metavar=metavar, help=text), commands=commands, is_setting=True, **texts)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of ``run``, ``sweep``, ``compare``, ``tune``, ``predict`` and ``explore``.

    A command leaves those that it does not have at their defaults. Settings are kept as typed: the configuration reads
    them by the rules of YAML files.
    """

    configs: list[Path] | None = declared(
        typer.Argument(
            metavar="[CONFIG]...", help="YAML files. Options override their settings.", autocompletion=configurations
        )
    )
    surface: str | None = declared(SurfaceName, is_setting=True, compare=SEVERAL_SURFACES, tune=SEVERAL_SURFACES)
    optimizer: str | None = declared(OptimizerNames, is_setting=True)
    lr: str | None = declared(LearningRate, is_setting=True)
    beta: str | None = declared(Beta, is_setting=True)
    start: str | None = setting(WHAT, "POINT", "Starting point or points: --start=-1,1, grid(5,5) or random(20).")
    starts: int | None = declared(
        option(WHAT, metavar="N", parser=whole(least=1), help="Number of random starts in the plotting window.")
    )
    settings: list[str] | None = declared(Settings)
    plugins: list[Path] | None = declared(Plugins)
    name: str | None = setting(WHAT, "NAME", "Name of the experiment.")
    max_trials: int | None = declared(
        option(WHAT, metavar="N", parser=whole(least=1), help="Refuse experiments with more trials.")
    )

    over: str | None = declared(
        option(SEARCH, "--over", "--tune", metavar="NAMES", help="Hyperparameters to search: lr or lr,beta [lr]."),
        commands=SEARCHED,
    )
    budget: str | None = setting(
        SEARCH, "N", "Trials per optimizer [64].", commands=SEARCHED, tune="Trials per optimizer [4096]."
    )
    zooms: str | None = setting(
        SEARCH, "N", "Refinements of the grid [0].", commands=SEARCHED, tune="Refinements of the grid [3]."
    )
    objective: ObjectiveName | None = declared(
        option(SEARCH, help="Criterion of the choice and the ranking [robust_loss].", **one_of(ObjectiveName)),
        commands=SEARCHED,
        is_setting=True,
    )
    accuracy: str | None = setting(
        SEARCH,
        "SHARE",
        "A surface counts as solved when the loss has fallen to this share of its initial height above the lowest loss "
        "found [1e-6].",
        commands=SEARCHED,
    )

    iterations: str | None = setting(STOPPING, "N", "Maximum number of iterations, or 5 epochs.")
    tolerance: str | None = setting(STOPPING, "T", "Stop when the loss changes by at most T.")
    patience: str | None = setting(
        STOPPING,
        "N",
        "Iterations in a row for which the tolerance must hold [1].",
        sweep=PATIENCE,
        compare=PATIENCE,
        tune=PATIENCE,
    )
    gradient_tolerance: str | None = setting(STOPPING, "T", "Stop when the gradient norm is at most T.")
    target_loss: str | None = setting(STOPPING, "LOSS", "Stop when the loss is at most LOSS.")

    noise: str | None = setting(NOISE, "NOISE", "Noise of the gradients: 0.1 or relative(0.1).")
    replicates: str | None = setting(NOISE, "N", "Repeat each trial N times with independent noise.")
    seed: str | None = setting(NOISE, "N", "Random seed for noise and random starts [0].")

    backend: str | None = setting(
        OUTPUT,
        "NAME",
        "numpy, numba (compiled kernels, for trials whose trajectories are not recorded), or auto: numba if it is "
        "installed and the run is long enough [auto].",
        commands=EXECUTED,
    )

    record: str = declared(
        option(
            RECORDING,
            metavar="TRIALS",
            help="Trials whose trajectories are kept: all, none, best:N, or auto: all if there are at most 100 [auto].",
        ),
        "auto",
        commands=("run", "sweep"),
        sweep="Trials whose trajectories are kept: none or best:N [none].",
    )
    max_history: int = declared(
        option(
            RECORDING, metavar="GIB", parser=gibibytes, help="Memory for trajectories; beyond it they are thinned [1]."
        ),
        2**30,
        commands=("run",),
    )
    no_plots: bool = declared(option(RECORDING, "--no-plots", help="Draw no figures."), False, commands=EXECUTED)
    theory: bool = declared(Theory, False, commands=("run", "sweep"))
    page: bool = declared(
        option(RECORDING, "--page", help="Also write an interactive page, page.html."),
        False,
        commands=("run", "sweep"),
    )

    skip_existing: bool = declared(
        option(OUTPUT, "--skip-existing", help="Reuse an identical completed run instead of computing it again."),
        False,
        commands=EXECUTED,
    )
    workers: int = declared(
        option(OUTPUT, metavar="N", parser=whole(least=0), help="Number of processes [0: chosen by the work]."),
        0,
        commands=EXECUTED,
    )
    executor: str | None = declared(
        option(
            OUTPUT,
            metavar="NAME",
            help="Run blocks of trials on a cluster: dask:tcp://HOST:PORT, dask:FILE.json, mpi, or MODULE:FACTORY.",
        ),
        commands=EXECUTED,
    )
    resume: Path | None = declared(
        option(OUTPUT, metavar="RUN", help="Finish the interrupted run in this folder."),
        commands=("sweep", "compare", "tune"),
    )
    out: Path = declared(Out, RUNS, commands=EXECUTED)
    steps: bool = declared(Steps, False, commands=("run",))
    all_rows: bool = declared(AllRows, False, commands=("sweep",))
    output: Format = declared(Output, Format.TABLE, commands=PRINTED)
    plot: bool = declared(
        option(OUTPUT, "--plot", help="Also draw the rate against beta and lr, and the poles."),
        False,
        commands=("predict",),
    )
    figure: Path | None = declared(
        option(OUTPUT, "--out", metavar="FILE", help="File of the figure [NAME_prediction.png]."),
        commands=("predict",),
    )
    save: Path | None = declared(
        option(OUTPUT, metavar="FILE", help="Write a page that needs no server into this HTML file."),
        commands=("explore",),
    )
    port: int = declared(
        option(OUTPUT, metavar="N", parser=whole(least=0, most=65535), help="Port of the server [0: a free one]."),
        0,
        commands=("explore",),
    )
    no_browser: bool = declared(
        option(OUTPUT, "--no-browser", help="Print the address, but do not open a browser."),
        False,
        commands=("explore",),
    )
    quiet: bool = declared(Quiet, False, commands=EXECUTED)

    def flags(self) -> dict[str, str | None]:
        """Return the text of every setting by its configuration key; ``None`` if the option is not given."""
        return {each.name: getattr(self, each.name) for each in fields(Options) if each.metadata["is_setting"]}


def experiment_command(
    *, group: str, examples: Sequence[str]
) -> Callable[[Callable[[Options], None]], Callable[[Options], None]]:
    """Register a function of `Options` as the command of its name, with the options that this command has."""

    def register(function: Callable[[Options], None]) -> Callable[[Options], None]:
        def run_command(**arguments: Any) -> None:
            function(Options(**arguments))

        name = function.__name__
        types = get_type_hints(Options)
        parameters = []
        for each in fields(Options):
            if name in each.metadata["commands"]:
                info = copy.copy(each.metadata["info"])
                info.help = each.metadata["texts"].get(name, info.help)
                keyword: Any = inspect.Parameter.KEYWORD_ONLY
                declaration: Any = Annotated[types[each.name], info]
                parameters.append(inspect.Parameter(each.name, keyword, default=each.default, annotation=declaration))
        # Typer reads the signature and, in some versions, the annotations.
        run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run_command.__annotations__ = {each.name: each.annotation for each in parameters}
        run_command.__doc__ = function.__doc__
        command(app, name, group=group, examples=examples)(run_command)
        return function

    return register
