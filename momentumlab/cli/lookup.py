"""The commands that look something up, or ahead."""

from pathlib import Path
from typing import Annotated

import typer

from momentumlab.cli.application import LOOKING, app
from momentumlab.cli.loading import load_experiments
from momentumlab.cli.options import (
    Betas,
    Configs,
    DataFormat,
    Format,
    ListFormat,
    Noun,
    Nouns,
    Optimizer,
    Output,
    Plugins,
    Rates,
    ScheduleName,
    Settings,
    Start,
    Surface,
    TargetLoss,
    Tolerance,
)
from momentumlab.cli.output import print_notes, reported, show
from momentumlab.cli.settings import joined_words, settings_among
from momentumlab.errors import ConfigError, Problem


@app.command(rich_help_panel=LOOKING)
def predict(
    configs: Configs = None,
    surface: Surface = None,
    optimizer: Optimizer = None,
    lr: Rates = None,
    beta: Betas = None,
    start: Start = None,
    tolerance: Tolerance = None,
    target_loss: TargetLoss = None,
    settings: Settings = None,
    plugins: Plugins = None,
    output: Output = Format.TABLE,
) -> None:
    """Say what will happen before anything is run: rate, oscillation, stability, and what would be best.

    Theory holds near a minimum, for methods whose step is linear in the gradients.
    """
    flags = settings_among(locals())
    with reported():
        if output is Format.CSV:
            raise ConfigError([Problem(place="--format", message="predictions are printed as table or json")])
        from momentumlab.experiment import Comparison
        from momentumlab.plan import make_plan
        from momentumlab.report import prediction_table as predictions
        from momentumlab.report.data import json_text, strict

        for one in load_experiments(configs, flags, settings, None):
            if isinstance(one, Comparison):
                raise ConfigError(
                    [Problem(place=one.name, message="a comparison searches: there is no one lr to predict")]
                )
            plan = make_plan(one)
            if output is Format.JSON:
                print(json_text({"experiment": one.name, "trials": [strict(row) for row in predictions.rows(plan)]}))
            else:
                show(predictions.rich_predictions(plan))


@app.command(rich_help_panel=LOOKING)
def translate(
    source: Annotated[str, typer.Option("--from", metavar="CONVENTION", help="What to translate: keras, torch, qhm …")],
    target: Annotated[
        str | None, typer.Option("--to", metavar="CONVENTION", help="Into which convention. (all)", show_default=False)
    ] = None,
    lr: Annotated[str | None, typer.Option(metavar="LR", help="Learning rate. (0.01)")] = None,
    beta: Annotated[str | None, typer.Option(metavar="BETA", help="Momentum. (0.9)")] = None,
    nesterov: Annotated[bool, typer.Option("--nesterov", help="Nesterov's method, where there is a choice.")] = False,
    dampening: Annotated[str | None, typer.Option(metavar="TAU", help="PyTorch's dampening. (0)")] = None,
    nu: Annotated[str | None, typer.Option(metavar="NU", help="The weight ν of QHM. (1)")] = None,
    schedule: Annotated[
        ScheduleName, typer.Option(help="How lr changes in the test with a changing lr.")
    ] = ScheduleName.HALVED,
    output: Annotated[DataFormat, typer.Option("--format", help="How to print it.")] = DataFormat.TABLE,
) -> None:
    """Translate lr and momentum from one library's convention into another's, and prove it by running both.

    'momentumlab list conventions' shows them all.
    """
    with reported():
        from momentumlab.conventions import prove
        from momentumlab.conventions import translate as translated
        from momentumlab.conventions.reading import read_translation
        from momentumlab.report.data import json_text, strict
        from momentumlab.report.translation_table import document, rich_translations

        given = {"lr": lr, "beta": beta, "nesterov": nesterov, "dampening": dampening, "nu": nu}
        convention, targets = read_translation(source, target, given)
        translations = [translated(convention, cls) for cls in targets]
        proven = [(translation, prove(translation, schedule.value)) for translation in translations]
        if output is DataFormat.JSON:
            print(json_text(strict(document(proven))))
        else:
            show(rich_translations(proven))


@app.command("list", rich_help_panel=LOOKING)
def list_entries(
    what: Annotated[Nouns, typer.Argument(help="Which catalogue.")],
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Only surfaces with all these tags: ravine or convex,kink (may be repeated)."),
    ] = None,
    plugins: Plugins = None,
    output: Annotated[ListFormat, typer.Option("--format", help="How to print it.")] = ListFormat.TABLE,
) -> None:
    """List the surfaces, the optimizers, the schedules or the conventions of momentum."""
    tags = [word.strip() for words in tag or [] for word in words.split(",")]
    with reported():
        from momentumlab.report.data import json_text
        from momentumlab.report.entries import entries, list_table, page

        listed = entries(what.value, tags)
        if not listed:
            print_notes([f"no surface has all of these tags: {', '.join(tags)}"])
        if output is ListFormat.JSON:
            print(json_text(listed))
        elif output is ListFormat.MARKDOWN:
            print(page(what.value, listed), end="")
        else:
            show(list_table(what.value, listed))


@app.command("show", rich_help_panel=LOOKING)
def show_entry(
    what: Annotated[Noun, typer.Argument(help="Of which catalogue.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
    plot: Annotated[bool, typer.Option("--plot", help="Draw the surface, too.")] = False,
    response: Annotated[
        bool, typer.Option("--response", help="Draw the optimizer as a filter: a curve per value of --beta.")
    ] = False,
    lr: Rates = None,
    beta: Betas = None,
    settings: Settings = None,
    plugins: Plugins = None,
    output: Annotated[DataFormat, typer.Option("--format", help="How to print a response.")] = DataFormat.TABLE,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to draw [NAME.png, NAME_response.png].")
    ] = None,
) -> None:
    """Show all about one surface, optimizer, schedule or convention: formula, parameters, minima, source."""
    if plot and what is not Noun.SURFACE:
        raise typer.BadParameter("only a surface can be drawn; see --response", param_hint="--plot")
    if response and what is not Noun.OPTIMIZER:
        raise typer.BadParameter("only an optimizer responds to gradients; see --plot", param_hint="--response")
    if not response:
        for option, value in (
            ("--lr", lr),
            ("--beta", beta),
            ("--set", settings),
            ("--format", output is DataFormat.JSON),
        ):
            if value:
                raise typer.BadParameter("goes with --response", param_hint=option)
    with reported():
        if response:
            _show_response(name, {"lr": lr, "beta": beta}, settings, output, out)
            return
        from momentumlab.report.entries import card

        if out and what is not Noun.SURFACE:
            raise ConfigError([Problem(place="--out", message="nothing is drawn; see --response")])
        show(card(f"{what.value}s", name))
        if plot or out:
            from momentumlab.report.figures import surface_figure
            from momentumlab.runs import write as store
            from momentumlab.surfaces import SURFACES

            surface = SURFACES[name]()
            if surface.default_dimension > 2 and surface.is_formula:
                message = f"a picture shows 2 variables, not {surface.default_dimension}"
                raise ConfigError([Problem(place="--plot", message=message)])
            path = out or Path(f"{joined_words(surface.name)}.png")
            store.write_figure(path, surface_figure(surface))
            print(f"\n{path}")


def _show_response(
    name: str, flags: dict[str, str | None], settings: list[str] | None, output: DataFormat, out: Path | None
) -> None:
    from momentumlab.experiment import Comparison
    from momentumlab.plan import make_plan
    from momentumlab.report.data import json_text, strict
    from momentumlab.report.response_table import responses, rich_responses, rows
    from momentumlab.runs import write as store

    (loaded,) = load_experiments(None, {"surface": "parabola", "optimizer": name, **flags}, settings, None)
    if isinstance(loaded, Comparison):
        raise ConfigError([Problem(place="--set", message="a comparison searches: there is no one filter to show")])
    found = responses(make_plan(loaded))
    if output is DataFormat.JSON:
        print(json_text({"responses": [strict(row) for row in rows(found)]}))
        return
    from momentumlab.report.figures import response_figure

    show(rich_responses(found))
    path = out or Path(f"{found[0].trial.optimizer}_response.png")
    store.write_figure(path, response_figure(found))
    print(f"\n{path}")
