"""The commands that prepare experiments."""

from pathlib import Path
from typing import Annotated

import typer

from momentumlab.cli.application import PREPARING, app
from momentumlab.cli.loading import load_all
from momentumlab.cli.options import Plugins, SchemaOf
from momentumlab.cli.output import reported
from momentumlab.errors import ConfigError, Problem


@app.command(rich_help_panel=PREPARING)
def validate(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="YAML files.")],
    plugins: Plugins = None,
) -> None:
    """Check configuration files without running them: every problem, and how many trials each would run."""
    with reported():
        from momentumlab.config import load_either
        from momentumlab.experiment import Comparison

        problems: list[Problem] = []
        for config in configs:
            try:
                (one,) = load_all([config], [], load_either, None, default_name="")
            except ConfigError as error:
                problems += error.problems
            else:
                experiments = one.experiments if isinstance(one, Comparison) else (one,)
                trials, iterations = sum(each.trials for each in experiments), experiments[0].stopping.iterations
                noun = "trial" if trials == 1 else "trials"
                begun = " to begin a search" if isinstance(one, Comparison) else ""
                print(f"{config}: {trials:,} {noun} of at most {iterations:,} iterations{begun}")
        if problems:
            raise ConfigError(problems)


@app.command(rich_help_panel=PREPARING)
def new(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The YAML file to write.", show_default=False)
    ] = None,
    surface_plugin: Annotated[
        Path | None,
        typer.Option("--surface-plugin", metavar="FILE.py", help="Write a surface of your own, and its tests."),
    ] = None,
    optimizer_plugin: Annotated[
        Path | None,
        typer.Option("--optimizer-plugin", metavar="FILE.py", help="Write an optimizer of your own, and its tests."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write it even if it is there.")] = False,
) -> None:
    """Write a commented file to begin with: a configuration, or a plug-in with its tests."""
    with reported():
        if file is None and surface_plugin is None and optimizer_plugin is None:
            message = "say what to write: FILE, --surface-plugin FILE.py or --optimizer-plugin FILE.py"
            raise ConfigError([Problem(place="", message=message)])
        from momentumlab.config import starter
        from momentumlab.runs import write as store

        texts: dict[Path, str] = {} if file is None else {file: starter(str(file))}
        for noun, path in (("surface", surface_plugin), ("optimizer", optimizer_plugin)):
            if path is not None:
                from momentumlab.testing.templates import plugin_files

                texts |= plugin_files(noun, path)
        store.write_new_files(texts, force=force)
        for path in texts:
            print(path)


@app.command(rich_help_panel=PREPARING)
def schema(
    what: Annotated[SchemaOf, typer.Argument(metavar="[experiment|result]", help="Of what.")] = SchemaOf.EXPERIMENT,
    plugins: Plugins = None,
) -> None:
    """Print the JSON schema of configurations, for editors, or of result.json, for programs that read it."""
    with reported():
        import json

        if what is SchemaOf.EXPERIMENT:
            from momentumlab.config.schema import experiment_schema

            document = experiment_schema()
        else:
            from momentumlab.report.schema import result_schema

            document = result_schema()
        print(json.dumps(document, indent=1, ensure_ascii=False))
