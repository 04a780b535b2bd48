"""The commands that prepare experiments: ``validate``, ``new`` and ``schema``."""

from pathlib import Path
from typing import Annotated

import typer

from momentumlab.cli.application import PREPARING, app, command
from momentumlab.cli.completion import configurations
from momentumlab.cli.loading import load_all
from momentumlab.cli.options import Plugins, option
from momentumlab.cli.parsers import one_of
from momentumlab.cli.streams import show
from momentumlab.errors import ConfigError, OutputError, Problems, printable


@command(app, group=PREPARING, examples=("momentumlab validate configs/parabola.yaml configs/noisy_ravine.yaml",))
def validate(
    configs: Annotated[
        list[Path], typer.Argument(metavar="CONFIG...", help="YAML files.", autocompletion=configurations)
    ],
    plugins: Plugins = None,
) -> None:
    """Check configuration files without running them: report every problem and count the trials."""
    from momentumlab.config import load_either
    from momentumlab.experiment import Comparison

    problems = Problems()
    for config in configs:
        with problems.collecting():
            (one,) = load_all([config], [], load_either, None, default_name="")
            experiments = one.experiments if isinstance(one, Comparison) else (one,)
            trials, iterations = sum(each.trials for each in experiments), experiments[0].stopping.iterations
            noun = "trial" if trials == 1 else "trials"
            begun = " to start a search" if isinstance(one, Comparison) else ""
            print(f"{printable(str(config))}: {trials:,} {noun} of at most {iterations:,} iterations{begun}")
    problems.check()


@command(
    app,
    group=PREPARING,
    examples=(
        "momentumlab new my_experiment.yaml",
        "momentumlab new ravine.yaml --example ravine_beta_sweep",
        "momentumlab new --optimizer-plugin my_optimizer.py",
    ),
)
def new(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="YAML file to write.")] = None,
    example: Annotated[
        str | None, option(None, metavar="NAME", help="Copy an example; 'momentumlab examples' lists them.")
    ] = None,
    surface_plugin: Annotated[
        Path | None, option(None, metavar="FILE.py", help="Write a surface and its tests.")
    ] = None,
    optimizer_plugin: Annotated[
        Path | None, option(None, metavar="FILE.py", help="Write an optimizer and its tests.")
    ] = None,
    force: Annotated[bool, option(None, "--force", help="Overwrite existing files.")] = False,
) -> None:
    """Write a commented starting point: a configuration, or a plug-in with its tests."""
    if example is not None and file is None:
        raise ConfigError.at("--example", f"give the file to write: new FILE --example {example}")
    if file is None and surface_plugin is None and optimizer_plugin is None:
        raise ConfigError.at("", "give a FILE, --surface-plugin FILE.py or --optimizer-plugin FILE.py")
    from momentumlab.config import starter
    from momentumlab.config.examples import example as example_text
    from momentumlab.runs import write as store

    texts: dict[Path, str] = {}
    if file is not None:
        texts[file] = starter(str(file)) if example is None else example_text(example)
    for noun, path in (("surface", surface_plugin), ("optimizer", optimizer_plugin)):
        if path is not None:
            from momentumlab.testing.templates import plugin_files

            texts |= plugin_files(noun, path)
    store.write_new_files(texts, force=force)
    for path in texts:
        print(path)


@command(app, group=PREPARING, examples=("momentumlab examples",))
def examples() -> None:
    """List the example configurations that are installed with momentumlab."""
    from momentumlab.config.examples import examples as found
    from momentumlab.config.examples import summary
    from momentumlab.report.table import Column, Kind, Table

    paths = found()
    show(
        Table(
            columns=[
                Column(heading="example", cells=list(paths), kind=Kind.NAME),
                Column(heading="about", cells=[summary(path) for path in paths.values()], kind=Kind.PROSE),
            ],
            remarks=["momentumlab new FILE --example NAME copies one"],
        )
    )


@command(
    app,
    group=PREPARING,
    examples=("momentumlab schema > experiment.schema.json", "momentumlab schema result > result.schema.json"),
)
def schema(
    what: Annotated[
        str, typer.Argument(help="Document to describe [experiment].", **one_of("experiment", "result"))
    ] = "experiment",
    plugins: Plugins = None,
) -> None:
    """Print the JSON schema of configurations, for editors, or of results, for programs that read them."""
    from momentumlab.config.experiment_schema import experiment_schema, schema_text

    if what == "experiment":
        document = experiment_schema()
    else:
        from momentumlab.report.schema import result_schema

        document = result_schema()
    print(schema_text(document))


@command(app, group=PREPARING, examples=("momentumlab cache", "momentumlab cache --clear"))
def cache(clear: Annotated[bool, option(None, "--clear", help="Delete the files.")] = False) -> None:
    """Show or clear the folder of compiled kernels, which are computed again when needed."""
    from momentumlab import cache as files
    from momentumlab.system import cache_folder

    try:
        folder = cache_folder()
    except RuntimeError:
        raise OutputError("no cache is kept: this user has no home folder; set XDG_CACHE_HOME to a folder") from None
    count, size = files.clear() if clear else files.contents()
    print(f"{folder}: {count:,} {'file' if count == 1 else 'files'}, {size / 1e3:,.0f} kB{' deleted' * clear}")
