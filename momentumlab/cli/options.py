"""The options, each declared once: its spelling, its text, its group and the commands that have it.

Options that other commands share are constants. The commands that run or predict experiments take theirs in one
`Options`; `experiment_command` builds the signature that Typer reads from its fields.
"""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from momentumlab.cli.application import app, command
from momentumlab.cli.completion import configurations, names_of
from momentumlab.cli.parsers import animation_file, gibibytes, number, one_of, read_by, whole

if TYPE_CHECKING:
    from momentumlab.report.figure_options import FigureOptions

WHAT, STOPPING, NOISE, SEARCH = "What to run", "Stopping", "Noise", "Search"
RECORDING, FIGURES, OUTPUT = "Recording", "Figures", "Output"
RUNS = Path("runs")


FORMATS = ("table", "json", "csv", "markdown", "latex")
DATA_FORMATS = ("table", "json")
"""The formats of results that are not one table."""

OBJECTIVES = ("robust_loss", "final_loss", "iterations", "q75", "q90", "q95")
PROOF_SCHEDULES = ("halved", "cosine", "warmup")
"""Learning-rate schedules with which a translation is checked."""


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


Configs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[CONFIG]...", help="YAML files. Options override their settings.", autocompletion=configurations
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
Digits = Annotated[int, option(OUTPUT, "--digits", metavar="N", parser=whole(1, 17), help="Digits of --steps [6].")]
Output = Annotated[str, option(OUTPUT, "--format", help="Output format [table].", **one_of(*FORMATS))]
DataOutput = Annotated[str, option(OUTPUT, "--format", help="Output format [table].", **one_of(*DATA_FORMATS))]
Quiet = Annotated[bool, option(OUTPUT, "--quiet", "-q", help="Print only the path of the run folder.")]


# The options of figures

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
Fps = Annotated[float, option(FIGURES, "--fps", metavar="N", parser=number(0.1, 100), help="Frames per second [20].")]
HoldLast = Annotated[
    float,
    option(FIGURES, "--hold-last", metavar="SECONDS", parser=number(0, 60), help="Time of the last frame [2]."),
]


# The options of experiments

EXECUTED = ("run", "sweep", "compare", "tune")
PRINTED = (*EXECUTED, "predict")
EVERY = (*PRINTED, "explore")
SEARCHED = ("compare", "tune")


def shared(annotated: Any, default: Any = None, *, commands: Sequence[str] = EVERY, is_setting: bool = False) -> Any:
    """Declare an option of other commands, too, as a field of `Options`; see `declared`."""
    metadata = {"info": get_args(annotated)[1], "commands": commands, "is_setting": is_setting, "texts": {}}
    return field(default=default, metadata=metadata)


def declared(
    group: str,
    text: str,
    *names: str,
    default: Any = None,
    commands: Sequence[str] = EVERY,
    is_setting: bool = False,
    texts: Mapping[str, str] | None = None,
    **details: Any,
) -> Any:
    """Declare an option as a field of `Options`.

    Parameters
    ----------
    group, text
        Its group and its text on the help page.
    *names
        Its spellings; by default one, derived from the name of the field.
    default
        The value if the option is not given.
    commands
        The commands that have it.
    is_setting
        Whether its text is the value of the configuration key of the same name.
    texts
        Help texts of commands in which the common text does not apply.
    **details
        Typer's further arguments: ``metavar``, ``parser``.
    """
    info = option(group, *names, help=text, **details)
    metadata = {"info": info, "commands": commands, "is_setting": is_setting, "texts": texts or {}}
    return field(default=default, metadata=metadata)


def flag(group: str, name: str, text: str, commands: Sequence[str]) -> Any:
    """Declare an option without a value; see `declared`."""
    return declared(group, text, name, default=False, commands=commands)


def setting(
    group: str, metavar: str, text: str, *, commands: Sequence[str] = EVERY, texts: Mapping[str, str] | None = None
) -> Any:
    """Declare an option whose text is the value of the configuration key of the same name; see `declared`."""
    return declared(group, text, metavar=metavar, commands=commands, is_setting=True, texts=texts)


def drawn(metavar: str, text: str, **details: Any) -> Any:
    """Declare an option of all commands that draw figures; see `declared`."""
    return declared(FIGURES, text, commands=PRINTED, metavar=metavar, **details)


@dataclass(frozen=True, kw_only=True)
class FigureArguments:
    """Options of every command that draws figures."""

    panels: Literal["each", "one"] = declared(
        FIGURES,
        "One panel for each trajectory, or one for all [each].",
        default="each",
        commands=PRINTED,
        **one_of("each", "one"),
    )
    view: str | None = drawn(
        "WINDOW",
        "Window of the trajectories: --view=-3,3,-1,1; or overlay, for all in one panel.",
        parser=read_by("view_of"),
    )
    equal: bool = flag(FIGURES, "--equal", "Use the same scale for x and y.", PRINTED)
    title: str | None = drawn("TEXT", "Title; $…$ is typeset as a formula.")
    no_title: bool = flag(FIGURES, "--no-title", "Draw no title.", PRINTED)
    size: str | None = drawn("SIZE", "16:9, 4:3, column, or inches such as 8x5.", parser=read_by("named_size"))
    font_size: float | None = drawn("POINTS", "Font size [10].", parser=read_by("font_size_of"))
    columns: int | None = drawn("N", "Columns in which panels are arranged.", parser=whole(1))
    trials: Any = drawn("NUMBERS", "Draw only these trials: 0,2,5.", parser=read_by("numbers_of"))
    labels: str | None = drawn("NAMES", "Names of the trials that are drawn: slow,fast.")
    style: Path | None = drawn("FILE", "Style file of matplotlib.")
    svg: bool = flag(FIGURES, "--svg", "Write SVG instead of PNG.", PRINTED)
    pdf: bool = flag(FIGURES, "--pdf", "Write PDF instead of PNG.", PRINTED)
    dpi: int | None = drawn("N", "Dots per inch of a PNG [150].", parser=whole(20, 600))

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
            panels=self.panels,
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

    configs: list[Path] | None = shared(Configs)
    surface: str | None = declared(
        WHAT,
        "Surface: a name, or an expression in x, y, …",
        "--surface",
        "--surfaces",
        metavar="NAME",
        autocompletion=names_of("surfaces", is_list=True),
        is_setting=True,
        texts=dict.fromkeys(PRINTED, "One or several surfaces: ravine,booth, or expressions in x, y, …"),
    )
    optimizer: str | None = declared(
        WHAT,
        "One or several optimizers: sgd,momentum,adam.",
        "--optimizer",
        "--optimizers",
        metavar="NAME",
        autocompletion=names_of("optimizers", is_list=True),
        is_setting=True,
    )
    lr: str | None = shared(LearningRate, is_setting=True)
    beta: str | None = shared(Beta, is_setting=True)
    lr_schedule: str | None = setting(
        WHAT, "SCHEDULE", "Factor of lr in each iteration: warmup(0.05,cosine(1,0.01)) or wsd(1)."
    )
    start: str | None = setting(WHAT, "POINT", "Starting point or points: --start=-1,1, grid(5,5) or random(20).")
    starts: int | None = declared(WHAT, "Number of random starts in the plotting window.", metavar="N", parser=whole(1))
    settings: list[str] | None = shared(Settings)
    plugins: list[Path] | None = shared(Plugins)
    name: str | None = setting(WHAT, "NAME", "Name of the experiment.")
    max_trials: int | None = declared(WHAT, "Refuse experiments with more trials.", metavar="N", parser=whole(1))

    over: str | None = declared(
        SEARCH,
        "Hyperparameters to search: lr or lr,beta,eps [lr].",
        "--over",
        "--tune",
        metavar="NAMES",
        commands=SEARCHED,
    )
    budget: str | None = setting(
        SEARCH, "N", "Trials per optimizer [64].", commands=SEARCHED, texts={"tune": "Trials per optimizer [4096]."}
    )
    search: str | None = setting(
        SEARCH,
        "NAME",
        "grid; or halving: more settings at the same cost, of which the better half runs for longer [grid].",
        commands=SEARCHED,
    )
    zooms: str | None = setting(
        SEARCH, "N", "Refinements of the grid [0].", commands=SEARCHED, texts={"tune": "Refinements of the grid [3]."}
    )
    objective: str | None = declared(
        SEARCH,
        "Criterion of the choice and the ranking [robust_loss].",
        commands=SEARCHED,
        is_setting=True,
        **one_of(*OBJECTIVES),
    )
    accuracy: str | None = setting(
        SEARCH,
        "SHARE",
        "A surface counts as solved when the loss has fallen to this share of its initial height above the lowest loss "
        "found [1e-6].",
        commands=SEARCHED,
    )

    iterations: str | None = setting(STOPPING, "N", "Maximum number of iterations, or of epochs: 5 epochs.")
    tolerance: str | None = setting(STOPPING, "T", "Stop when the loss changes by at most T.")
    patience: str | None = setting(
        STOPPING,
        "N",
        "Iterations in a row for which the tolerance must hold [1].",
        texts=dict.fromkeys(("sweep", *SEARCHED), "Iterations in a row for which the tolerance must hold [5]."),
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
        RECORDING,
        "Trials whose trajectories are kept: all, none, best:N, or auto: all if there are at most 100 [auto]; and "
        "quantities to keep with them: gradient_norm,update_norm,state.v.",
        default="auto",
        commands=("run", "sweep"),
        texts={
            "sweep": "Trials whose trajectories are kept: none or best:N [none]; and quantities to keep with them: "
            "best:3,gradient_norm,state.v."
        },
        metavar="WHAT",
    )
    max_history: int = declared(
        RECORDING,
        "Memory for trajectories; beyond it they are thinned [1].",
        default=2**30,
        commands=("run",),
        metavar="GIB",
        parser=gibibytes,
    )
    no_plots: bool = flag(FIGURES, "--no-plots", "Draw no figures.", EXECUTED)
    theory: bool = shared(Theory, False, commands=("run", "sweep"))
    page: bool = flag(RECORDING, "--page", "Also write an interactive page, page.html.", ("run", "sweep"))
    animate: Path | None = shared(Animate, commands=("run",))
    fps: float = shared(Fps, 20.0, commands=("run",))
    hold_last: float = shared(HoldLast, 2.0, commands=("run",))

    skip_existing: bool = flag(
        OUTPUT, "--skip-existing", "Reuse an identical completed run instead of computing it again.", EXECUTED
    )
    workers: int = declared(
        OUTPUT,
        "Number of processes [0: chosen by the work].",
        default=0,
        commands=EXECUTED,
        metavar="N",
        parser=whole(0),
    )
    executor: str | None = declared(
        OUTPUT,
        "Run blocks of trials on a cluster: dask:tcp://HOST:PORT, dask:FILE.json, mpi, or MODULE:FACTORY.",
        commands=EXECUTED,
        metavar="NAME",
    )
    resume: Path | None = declared(
        OUTPUT, "Finish the interrupted run in this folder.", commands=("sweep", *SEARCHED), metavar="RUN"
    )
    shard: str | None = declared(
        OUTPUT, "Run one of N parts, which are combined in the folder --into.", commands=("sweep",), metavar="I/N"
    )
    into: Path | None = declared(
        OUTPUT, "The run folder of all shards; the last one completes it.", commands=("sweep",), metavar="RUN"
    )
    out: Path = shared(Out, RUNS, commands=EXECUTED)
    steps: bool = flag(OUTPUT, "--steps", "Also print every iteration of every trial.", ("run",))
    digits: int = shared(Digits, 6, commands=("run",))
    all_rows: bool = flag(OUTPUT, "--all-rows", "Print all trials of a sweep in JSON and CSV.", ("sweep",))
    output: str = shared(Output, "table", commands=PRINTED)
    plot: bool = flag(OUTPUT, "--plot", "Also draw the rate against beta and lr, and the poles.", ("predict",))
    figure: Path | None = declared(
        OUTPUT, "File of the figure [NAME_prediction.png].", "--out", commands=("predict",), metavar="FILE"
    )
    save: Path | None = declared(
        OUTPUT, "Write a page that needs no server into this HTML file.", commands=("explore",), metavar="FILE"
    )
    port: int = declared(
        OUTPUT,
        "Port of the server [0: a free one].",
        default=0,
        commands=("explore",),
        metavar="N",
        parser=whole(0, 65535),
    )
    no_browser: bool = flag(OUTPUT, "--no-browser", "Print the address, but do not open a browser.", ("explore",))
    quiet: bool = shared(Quiet, False, commands=EXECUTED)

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
