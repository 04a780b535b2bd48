"""The commands that look things up and ahead: ``explore``, ``predict``, ``translate``, ``list`` and ``show``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from momentumlab.cli.application import LOOKING, app, command
from momentumlab.cli.completion import KINDS, kinds_and_names, names_of, names_of_kind
from momentumlab.cli.loading import joined_words, load_without_search
from momentumlab.cli.options import (
    PROOF_SCHEDULES,
    Beta,
    DataOutput,
    FigureArguments,
    LearningRate,
    Options,
    Plugins,
    Settings,
    experiment_command,
    option,
    with_figures,
)
from momentumlab.cli.output import show_as
from momentumlab.cli.parsers import one_of
from momentumlab.cli.streams import complain, print_notes, show
from momentumlab.errors import ConfigError
from momentumlab.system import has_browser

if TYPE_CHECKING:
    from momentumlab.report.figure_options import FigureOptions


@experiment_command(
    group=LOOKING,
    examples=(
        "momentumlab explore",
        "momentumlab explore configs/ravine_beta_sweep.yaml",
        "momentumlab explore configs/ravine_beta_sweep.yaml --save ravine.html",
    ),
)
def explore(options: Options) -> None:
    """Open a live page in the browser: drag the start, change any setting, and see the trajectory and a map follow.

    The page is served on this computer only, until Ctrl-C. With --save, a page with every setting of the experiment is
    written instead: one file that works offline, without a server.
    """
    if not (options.configs or options.surface or options.optimizer):
        lr, beta = options.lr or "0.1", options.beta or "0.9"
        options = replace(options, surface="ravine", optimizer="momentum", lr=lr, beta=beta)
    loaded = load_without_search(options, "a page shows an experiment; give lr values to explore")
    if len(loaded) > 1:
        raise ConfigError.at("", "a page shows one experiment; give one CONFIG file")
    (one,) = loaded
    if options.save is not None:
        from momentumlab.report.page import page
        from momentumlab.runs.write import write_file

        content = page(one).html.encode()
        write_file(options.save, lambda file: file.write(content))
        print(options.save)
        return
    from momentumlab.live import LiveServer

    server = LiveServer(one, port=options.port)
    print(server.url, flush=True)
    print_notes(["press Ctrl-C to stop"])
    if not options.no_browser:
        open_browser(server.url)
    server.wait()


def open_browser(url: str) -> None:
    """Open a page in a graphical browser, if there is one."""
    import webbrowser

    if has_browser():
        webbrowser.open(url)


@experiment_command(
    group=LOOKING,
    examples=(
        "momentumlab predict configs/ravine_beta_sweep.yaml",
        "momentumlab predict --surface ravine --optimizer momentum --beta 0.5,0.9",
        "momentumlab predict --surface ravine --optimizer nesterov --beta 0.9 --plot",
    ),
)
def predict(options: Options) -> None:
    """Predict rate, oscillation, stability and the best hyperparameters without running anything.

    The theory holds near a minimum, for methods whose step is linear in the gradients.
    """
    if options.output == "csv":
        raise ConfigError.at("--format", "predictions are printed as table or json")
    from momentumlab.plan import make_plan
    from momentumlab.report.data import json_text, strict
    from momentumlab.report.prediction_table import PredictionReport

    refusal = "a comparison searches hyperparameters; give lr and the others as values to predict"
    for one in load_without_search(options, refusal):
        report = PredictionReport(plan=make_plan(one))
        if options.output == "json":
            print(json_text({"experiment": one.name, "trials": strict(report.summary())}))
        else:
            show_as(options.output, *report.tables())
        if options.plot or options.figure:
            from momentumlab.runs import write as store

            path, figures = options.figure or Path(f"{joined_words(one.name)}_prediction.png"), options.figure_options()
            written = store.write_figure(path, report.figure(figures, place="--plot"), figures)
            if options.output == "table":
                print("", *written, sep="\n")
            else:  # stdout holds data only
                complain(*written)


@command(
    app,
    group=LOOKING,
    examples=(
        "momentumlab translate --from keras --to torch --lr 0.01 --beta 0.9",
        "momentumlab translate --from torch --nesterov",
        "momentumlab translate --from torch_adam --to keras_adam --set eps=1e-7",
    ),
)
def translate(
    source: Annotated[
        str,
        option(
            None,
            "--from",
            metavar="CONVENTION",
            help="Convention of the given values.",
            autocompletion=names_of("conventions"),
        ),
    ],
    target: Annotated[
        str | None,
        option(
            None,
            "--to",
            metavar="CONVENTION",
            help="Convention of the result [all].",
            autocompletion=names_of("conventions"),
        ),
    ] = None,
    lr: Annotated[str | None, option(None, metavar="LR", help="Learning rate [0.01].")] = None,
    beta: Annotated[str | None, option(None, metavar="BETA", help="Momentum [0.9].")] = None,
    nesterov: Annotated[
        bool, option(None, "--nesterov", help="Nesterov's method, in conventions that have both.")
    ] = False,
    dampening: Annotated[str | None, option(None, metavar="TAU", help="PyTorch's dampening [0].")] = None,
    nu: Annotated[str | None, option(None, metavar="NU", help="The weight ν of QHM [1].")] = None,
    settings: Annotated[
        list[str] | None,
        option(None, "--set", metavar="NAME=VALUE", help="Any other hyperparameter: --set eps=1e-7. Repeatable."),
    ] = None,
    schedule: Annotated[
        str, option(None, help="Schedule with which a changing lr is checked [halved].", **one_of(*PROOF_SCHEDULES))
    ] = "halved",
    output: DataOutput = "table",
) -> None:
    """Translate momentum, Adam or RMSprop between the conventions of libraries, and check the result by running both.

    'momentumlab list conventions' lists the conventions.
    """
    from momentumlab.report.data import json_text, strict
    from momentumlab.report.translation_table import document, translation_reports, translation_tables

    given: dict[str, str | bool | None] = {
        "lr": lr, "beta": beta, "nesterov": nesterov, "dampening": dampening, "nu": nu
    }  # fmt: skip
    for text in settings or ():
        setting, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="--set")
        given[setting.strip()] = value
    proven = translation_reports(source, target, given, schedule)
    if output == "json":
        print(json_text(strict(document(proven))))
    else:
        show(*translation_tables(proven))


@command(
    app,
    "list",
    group=LOOKING,
    examples=("momentumlab list optimizers", "momentumlab list surfaces --tag ravine,convex"),
)
def list_entries(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="surfaces, optimizers, schedules, noise, data or conventions [all, with the number of entries].",
            show_default=False,
            **(one_of(*KINDS) | {"metavar": "KIND"}),
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        option(None, metavar="TAG", help="Only surfaces with all these tags: ravine or convex,kink. Repeatable."),
    ] = None,
    plugins: Plugins = None,
    output: Annotated[
        str, option(None, "--format", help="Output format [table].", **one_of("table", "json", "markdown"))
    ] = "table",
) -> None:
    """List surfaces, optimizers, schedules, noise models, data sets or conventions of momentum."""
    tags = [word.strip() for words in tag or [] for word in words.split(",")]
    from momentumlab.report.data import json_text
    from momentumlab.report.entries import REGISTRIES, entries, list_table, overview, page

    if kind is None and not tags:
        if output == "json":
            print(json_text({noun: list(registry) for noun, registry in REGISTRIES.items()}))
        else:
            show_as(output, overview())
        return
    noun = KINDS[kind or "surface"]  # only surfaces have tags
    listed = entries(noun, tags)
    if not listed:
        print_notes([f"no surface has all of these tags: {', '.join(tags)}"])
    if output == "json":
        print(json_text(listed))
    elif output == "markdown":
        print(page(noun, listed), end="")
    else:
        show(list_table(noun, listed))


@command(
    app,
    "show",
    group=LOOKING,
    examples=(
        "momentumlab show adam",
        "momentumlab show surface himmelblau --plot",
        "momentumlab show optimizer momentum --response --beta 0.5,0.9",
        "momentumlab show kernel --surface ravine --optimizer momentum --lr 0.1,0.2",
    ),
)
@with_figures
def show_entry(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[KIND]",
            help="surface, optimizer, schedule, noise, data, convention or kernel; not needed if NAME is unique.",
            autocompletion=kinds_and_names,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Its name, or the expression of a surface.",
            show_default=False,
            autocompletion=names_of_kind,
        ),
    ] = None,
    plot: Annotated[bool, option(None, "--plot", help="Also draw the surface.")] = False,
    response: Annotated[
        bool, option(None, "--response", help="Draw the response to gradients, a curve per value of --beta.")
    ] = False,
    surface: Annotated[str | None, option(None, metavar="NAME", help="Surface of a kernel.")] = None,
    optimizer: Annotated[str | None, option(None, metavar="NAME", help="Optimizer of a kernel.")] = None,
    lr: LearningRate = None,
    beta: Beta = None,
    settings: Settings = None,
    plugins: Plugins = None,
    output: DataOutput = "table",
    *,
    figures: FigureArguments,
    out: Annotated[
        Path | None, option(None, metavar="FILE", help="File of the figure [NAME.png or NAME_response.png].")
    ] = None,
) -> None:
    """Show a surface, optimizer, schedule, noise model, data set or convention: formula, parameters, minima, source.

    'show kernel' prints the code that is compiled for an optimizer on a surface.
    """
    kind, name = _kind_and_name(kind, name)
    if kind == "kernel":
        if name is not None or surface is None or optimizer is None:
            raise ConfigError.at("show kernel", "give --surface and --optimizer, and no name")
        _show_kernel(Options(surface=surface, optimizer=optimizer, lr=lr, beta=beta, settings=settings))
        return
    if name is None:
        raise ConfigError.at(f"show {kind}", f"the name is missing; 'momentumlab list {KINDS[kind]}' shows all")
    if plot and kind != "surface":
        raise typer.BadParameter("only surfaces can be drawn; optimizers have --response", param_hint="--plot")
    if response and kind != "optimizer":
        raise typer.BadParameter("only optimizers have a response; surfaces have --plot", param_hint="--response")
    only_with_response = {"--lr": lr, "--beta": beta, "--set": settings, "--format": output == "json"}
    for name_of_option, value in () if response else only_with_response.items():
        if value:
            raise typer.BadParameter("is only used with --response", param_hint=name_of_option)
    if response:
        options = Options(surface="parabola", optimizer=name, lr=lr, beta=beta, settings=settings)
        _show_response(options, output, out, figures.figure_options())
        return
    from momentumlab.report.entries import card

    if out and kind != "surface":
        raise ConfigError.at("--out", "nothing is drawn; add --response")
    show(*card(KINDS[kind], name))
    if plot or out:
        from momentumlab.report.figures import surface_figure
        from momentumlab.runs import write as store
        from momentumlab.surfaces import SURFACES

        drawn = SURFACES[name]()
        if drawn.default_dimension > 2 and drawn.is_formula:
            raise ConfigError.at("--plot", f"figures show 2 variables, this surface has {drawn.default_dimension}")
        path = out or Path(f"{joined_words(drawn.name)}.png")
        how = figures.figure_options()
        print("", *store.write_figure(path, surface_figure(drawn, how), how), sep="\n")


def _kind_and_name(word: str, name: str | None) -> tuple[str, str | None]:
    """Return the kind and the name of an entry, given ``KIND NAME`` or only ``NAME``."""
    from momentumlab.registry import did_you_mean
    from momentumlab.report.entries import nouns_of

    kinds = (*KINDS, "kernel")
    kind = next((each for each in kinds if word.lower() in (each, f"{each}s")), None)
    if kind is None and name is not None:
        raise ConfigError.at("KIND", f"unknown value '{word}'{did_you_mean(word, kinds)}; use {', '.join(kinds)}")
    if kind is None:
        nouns, name = nouns_of(word), word
        kind, *others = [each for each, noun in KINDS.items() if noun in nouns]
        print_notes([f"the {other} '{name}' is shown by 'momentumlab show {other} {name}'" for other in others])
    return kind, name


def _show_kernel(options: Options) -> None:
    from momentumlab.kernels.dispatch import kernel_source
    from momentumlab.kernels.tracer import UntraceableError
    from momentumlab.plan import make_plan

    (loaded,) = load_without_search(options, "a kernel needs values of the hyperparameters; give lr and the others")
    for group in make_plan(loaded).groups:
        try:
            print(kernel_source(group, loaded))
        except UntraceableError as error:
            print(f"{group.optimizer_class.name} on {group.surface_class.name} has no kernel: {error}")


def _show_response(options: Options, output: str, out: Path | None, figures: "FigureOptions") -> None:
    from momentumlab.plan import make_plan
    from momentumlab.report.data import json_text, strict
    from momentumlab.report.response_table import response_table, responses, rows, title
    from momentumlab.runs import write as store

    refusal = "a comparison searches hyperparameters; give lr and the others as values to show a response"
    (loaded,) = load_without_search(options, refusal)
    found = responses(make_plan(loaded))
    if output == "json":
        print(json_text({"responses": [strict(row) for row in rows(found)]}))
        return
    from momentumlab.report.figures import response_figure

    show(response_table(found))
    path = out or Path(f"{found[0].trial.optimizer}_response.png")
    figure = response_figure([(one.label, one.response) for one in found], title(found), figures)
    print("", *store.write_figure(path, figure, figures), sep="\n")
