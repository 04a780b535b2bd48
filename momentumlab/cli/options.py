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
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from typer.models import ParameterInfo

from momentumlab.cli.application import app, command
from momentumlab.cli.completion import configurations, names_of

if TYPE_CHECKING:
    from momentumlab.report.figure_options import FigureOptions

WHAT, STOPPING, NOISE, SEARCH = "What to run", "Stopping", "Noise", "Search"
RECORDING, FIGURES, OUTPUT = "Recording", "Figures", "Output"
RUNS = Path("runs")


class Format(StrEnum):
    """Formats of results."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"

    @property
    def is_text(self) -> bool:
        """Whether results are printed as tables, with the path of the run folder."""
        return self not in (Format.JSON, Format.CSV)


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


def whole(*, least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Return a parser of whole numbers within bounds."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str | int) -> int:
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
Theory = Annotated[bool, option(FIGURES, "--theory", help="Add theoretical predictions to figures.")]
Steps = Annotated[bool, option(OUTPUT, "--steps", help="Also print every iteration of every trial.")]
Digits = Annotated[
    int, option(OUTPUT, "--digits", metavar="N", parser=whole(least=1, most=17), help="Digits of --steps [6].")
]
AllRows = Annotated[bool, option(OUTPUT, "--all-rows", help="Print all trials of a sweep in JSON and CSV.")]
Output = Annotated[Format, option(OUTPUT, "--format", help="Output format [table].", **one_of(Format))]
DataOutput = Annotated[DataFormat, option(OUTPUT, "--format", help="Output format [table].", **one_of(DataFormat))]
Quiet = Annotated[bool, option(OUTPUT, "--quiet", "-q", help="Print only the path of the run folder.")]


# The options of figures


class Panels(StrEnum):
    """Arrangements of trajectories."""

    EACH = "each"
    ONE = "one"


def read_by(name: str) -> Callable[[str], Any]:
    """Return a parser that is a function of `momentumlab.report.figure_options`, which is imported when it is used."""

    def parse(text: str) -> Any:
        from momentumlab.report import figure_options

        try:
            return getattr(figure_options, name)(text)
        except figure_options.FigureError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


ANIMATIONS = (".gif", ".apng", ".png", ".mp4")


def animation_file(text: str) -> Path:
    """Read the name of an animation, whose ending is its format."""
    path = Path(text)
    if path.suffix.lower() not in ANIMATIONS:
        raise typer.BadParameter(f"'{text}' does not end in {_either(ANIMATIONS)}")
    return path


def number_within(low: float, high: float) -> Callable[[str | float], float]:
    """Return a parser of numbers within bounds."""

    def parse(text: str | float) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise typer.BadParameter(f"'{text}' is not a number from {low:g} to {high:g}")
        return number

    return parse


Animate = Annotated[
    Path | None,
    option(
        FIGURES,
        "--animate",
        metavar="FILE",
        parser=animation_file,
        help="Also write an animation: FILE.gif, FILE.apng, or FILE.mp4 with ffmpeg.",
    ),
]
Fps = Annotated[
    float, option(FIGURES, "--fps", metavar="N", parser=number_within(0.1, 100), help="Frames per second [20].")
]
HoldLast = Annotated[
    float,
    option(FIGURES, "--hold-last", metavar="SECONDS", parser=number_within(0, 60), help="Time of the last frame [2]."),
]


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


def drawn(metavar: str, text: str, default: Any = None, **details: Any) -> Any:
    """Declare an option of all commands that draw figures; see `declared`."""
    return declared(option(FIGURES, metavar=metavar, help=text, **details), default, commands=PRINTED)


@dataclass(frozen=True, kw_only=True)
class FigureArguments:
    """Options of every command that draws figures."""

    panels: Panels = drawn(
        "each|one",
        "One panel for each trajectory, or one for all [each].",
        Panels.EACH,
        parser=one_of(Panels)["parser"],
    )
    view: str | None = drawn(
        "WINDOW",
        "Window of the trajectories: --view=-3,3,-1,1; or overlay, for all in one panel.",
        parser=read_by("view_of"),
    )
    equal: bool = declared(
        option(FIGURES, "--equal", help="Draw a unit as long in y as in x."), False, commands=PRINTED
    )
    title: str | None = drawn("TEXT", "Title; $…$ is typeset as a formula.")
    no_title: bool = declared(option(FIGURES, "--no-title", help="Draw no title."), False, commands=PRINTED)
    size: str | None = drawn("SIZE", "16:9, 4:3, column, or inches such as 8x5.", parser=read_by("named_size"))
    font_size: float | None = drawn("POINTS", "Font size [10].", parser=read_by("font_size_of"))
    columns: int | None = drawn("N", "Columns in which panels are arranged.", parser=whole(least=1))
    trials: Any = drawn("NUMBERS", "Draw only these trials: 0,2,5.", parser=read_by("numbers_of"))
    labels: str | None = drawn("NAMES", "Names of the trials that are drawn: slow,fast.")
    style: Path | None = drawn("FILE", "Style file of matplotlib.")
    svg: bool = declared(option(FIGURES, "--svg", help="Write SVG instead of PNG."), False, commands=PRINTED)
    pdf: bool = declared(option(FIGURES, "--pdf", help="Write PDF instead of PNG."), False, commands=PRINTED)
    dpi: int | None = drawn("N", "Dots per inch of a PNG [150].", parser=whole(least=20, most=600))

    def figure_options(self, *, theory: bool = False) -> "FigureOptions":
        """Return the options of figures."""
        from momentumlab.report.figure_options import FigureOptions

        kinds = tuple(kind for kind, wanted in (("svg", self.svg), ("pdf", self.pdf)) if wanted) or ("png",)
        if self.dpi is not None and "png" not in kinds:
            raise typer.BadParameter("applies to PNG only; leave out --svg and --pdf", param_hint="--dpi")
        if self.no_title and self.title is not None:
            raise typer.BadParameter("contradicts --title", param_hint="--no-title")
        return FigureOptions(
            theory=theory,
            panels=self.panels.value,
            view=self.view,
            equal=self.equal,
            title="" if self.no_title else self.title,
            size=self.size,
            font_size=self.font_size,
            columns=self.columns,
            trials=self.trials or (),
            labels=tuple(label.strip() for label in self.labels.split(",")) if self.labels else (),
            style=self.style,
            kinds=kinds,
            dpi=self.dpi,
        )


def with_figures(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of figures, which it gets as its argument ``figures``."""
    own = [each for each in inspect.signature(function, eval_str=True).parameters.values() if each.name != "figures"]
    types, added = get_type_hints(FigureArguments), fields(FigureArguments)

    def run_command(**arguments: Any) -> None:
        figures = FigureArguments(**{each.name: arguments.pop(each.name) for each in added})
        function(**arguments, figures=figures)

    options = [_keyword(each, types[each.name], each.metadata["info"]) for each in added]
    return _with_signature(run_command, function, [*own, *options])


def _keyword(each: Any, annotation: Any, info: Any) -> inspect.Parameter:
    """Return a field as a parameter of a command."""
    declaration: Any = Annotated[annotation, info]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=declaration)


def _with_signature(
    wrapper: Callable[..., None], function: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Give a wrapper the name and text of a function, and parameters. Some versions of Typer read the annotations."""
    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    wrapper.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in keywords}
    wrapper.__doc__, wrapper.__name__, wrapper.__module__ = function.__doc__, function.__name__, function.__module__
    return wrapper


@dataclass(frozen=True, kw_only=True)
class Options(FigureArguments):
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
    lr_schedule: str | None = setting(
        WHAT, "SCHEDULE", "Factor of lr in each iteration: warmup(0.05,cosine(1,0.01)) or wsd(1)."
    )
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
    no_plots: bool = declared(option(FIGURES, "--no-plots", help="Draw no figures."), False, commands=EXECUTED)
    theory: bool = declared(Theory, False, commands=("run", "sweep"))
    page: bool = declared(
        option(RECORDING, "--page", help="Also write an interactive page, page.html."),
        False,
        commands=("run", "sweep"),
    )
    animate: Path | None = declared(Animate, commands=("run",))
    fps: float = declared(Fps, 20.0, commands=("run",))
    hold_last: float = declared(HoldLast, 2.0, commands=("run",))

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
    digits: int = declared(Digits, 6, commands=("run",))
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
        of_figures = {each.name for each in fields(FigureArguments)}
        parameters = []
        # The options of figures follow those that say what is run.
        for each in sorted(fields(Options), key=lambda field: field.name in of_figures):
            if name in each.metadata["commands"]:
                info = copy.copy(each.metadata["info"])
                info.help = each.metadata["texts"].get(name, info.help)
                parameters.append(_keyword(each, types[each.name], info))
        _with_signature(run_command, function, parameters)
        command(app, name, group=group, examples=examples)(run_command)
        return function

    return register
