"""The application that commands enter, and what stands before any command."""

from typing import Annotated

import typer

from momentumlab import __version__

RUNNING, LOOKING, PREPARING = "Run experiments", "Look things up", "Prepare experiments"
app = typer.Typer(
    name="momentumlab",
    help="A laboratory for first-order optimizers: see how they move, why, and with which hyperparameters best.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
