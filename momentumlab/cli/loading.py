"""Load experiments from files and options; all of them are checked before the first one runs."""

import functools
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from momentumlab.cli.options import Options
from momentumlab.cli.streams import print_notes
from momentumlab.errors import ConfigError, Problems, printable

if TYPE_CHECKING:
    from momentumlab.config import ConfigNode
    from momentumlab.config.load import Source
    from momentumlab.experiment import Comparison, Experiment

MOST_NAMED = 60
"""Maximum number of characters of one option in a name derived from options."""

DECIMAL_COMMA = re.compile(r"\s*[+-]?0,\d+\s*")
POINTS = ("start", "surface", "optimizer", "name", "over")
"""Settings for which ``0,1`` is a common value."""


def typed() -> str:
    """Return the command line, quoted for a shell."""
    return printable(shlex.join(sys.argv))


def joined_words(*words: str | None) -> str:
    """Return a name derived from the arguments, short enough for the name of a folder."""
    plain = (re.sub(r"[^\w]+", "-", word).strip("-")[:MOST_NAMED].strip("-") for word in words if word)
    return "_".join(filter(None, plain))[:100]


def texts_of(options: Options) -> dict[str, tuple[str, str]]:
    """Return the option and the text of each setting that has an option of its own, by its configuration key."""
    from momentumlab.config.settings import split_record

    given = {
        key: (f"--{key.replace('_', '-')}", str(text)) for key, text in options.flags().items() if text is not None
    }
    # --record also names quantities, which belong to the experiment.
    if quantities := split_record(options.record)[1]:
        given["record"] = ("--record", quantities)
    # --starts is short for a start with the seed; then the seed is a setting only if there is noise, too.
    if options.starts is not None:
        if "start" in given:
            raise typer.BadParameter("--start gives the start already; leave out one of the two", param_hint="--starts")
        given["start"] = ("--starts", f"random({options.starts}, seed={options.seed or 0})")
        if options.noise is None and options.replicates is None:
            given.pop("seed", None)
    # --over gives hyperparameters the value 'tuned'.
    searched = options.over.replace(",", " ").split() if options.over else []
    for name in searched:
        if searched.count(name) > 1:
            raise typer.BadParameter(f"'{name}' is listed twice", param_hint="--over")
        if name in options.flags() and name not in ("lr", "beta"):
            raise typer.BadParameter(f"'{name}' is not a hyperparameter", param_hint="--over")
        if name in given:
            message = f"--{name} gives {name} a value, so it cannot be searched; leave out one of the two"
            raise typer.BadParameter(message, param_hint="--over")
        given[name] = ("--over", "tuned")
    return given


def overrides(options: Options) -> "list[ConfigNode]":
    """Return the settings given by options and by ``--set KEY=VALUE`` as nodes of a configuration.

    Raises
    ------
    ConfigError
        If a setting has no value or is given twice.
    """
    from momentumlab.config import settings_from_text

    given = texts_of(options)
    for setting in options.settings or []:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError.at(f"--set {setting}", "write KEY=VALUE, such as surface.a=0.1")
        if key in given:
            raise ConfigError.at(f"--set {key}", f"is set twice (the other is {given[key][0]})")
        given[key] = (f"--set {key}", text)
    for key, (place, text) in given.items():
        if any("\udc80" <= each <= "\udcff" for each in key + text):
            raise ConfigError.at(place, f"'{text}' is not valid UTF-8")
        if key not in POINTS and DECIMAL_COMMA.fullmatch(text):
            decimal = text.strip().replace(",", ".")
            print_notes([f"{place} {text.strip()} is a list of two values; a decimal number is written {decimal}"])
    return settings_from_text(given)


def load_experiments(options: Options, *, patience: int = 1) -> "list[Experiment | Comparison]":
    """Load the experiments of ``run``, ``sweep`` and ``predict``: files, or one that the options describe."""
    from momentumlab.config import load_either

    load = functools.partial(load_either, patience=patience)
    nodes = overrides(options)
    if not options.configs and not (options.surface or options.optimizer):
        raise ConfigError.at("", "give a CONFIG file, or --surface and --optimizer")
    name = joined_words(options.surface, options.optimizer)
    return load_all(options.configs, nodes, load, options.max_trials, default_name=name)


def load_without_search(options: Options, refusal: str) -> "list[Experiment]":
    """Load the experiments of a command that needs values of hyperparameters; refuse comparisons."""
    from momentumlab.experiment import Comparison

    experiments = []
    for one in load_experiments(options):
        if isinstance(one, Comparison):
            raise ConfigError.at(one.name, refusal)
        experiments.append(one)
    return experiments


def load_searches(
    options: Options, command: str, defaults: Mapping[str, int] | None = None
) -> "list[Experiment | Comparison]":
    """Load the comparisons of ``compare`` and ``tune``: files, or one that the options describe."""
    from momentumlab.config import load_comparison

    nodes = overrides(options)
    load = functools.partial(load_comparison, defaults=defaults)
    given = [node.plain() for node in nodes if node.path in ("surface", "surfaces")]
    surfaces = [" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in given]
    name = joined_words(command, *(surfaces or ["ravine"]))
    return load_all(options.configs, nodes, load, options.max_trials, default_name=name)


def load_resumed(options: Options, resume: Path, command: str) -> "list[Experiment | Comparison]":
    """Load the experiment of an unfinished run; options and files may repeat it, but not change it."""
    from momentumlab.config import load_either, to_dict
    from momentumlab.config.load import read_text
    from momentumlab.config.requirements import check_same
    from momentumlab.experiment import SEARCH_PATIENCE, Comparison
    from momentumlab.runs.unfinished import ended_by_plugin, read_partial

    if options.skip_existing:
        raise typer.BadParameter("finishes one run folder; leave out --skip-existing", param_hint="--resume")
    written = resume / "experiment.yaml"
    if written.is_file():
        check_same(read_text(written), str(written), may_change=ended_by_plugin(resume))
    kept = read_partial(resume).experiment
    if isinstance(kept, Comparison) != (command != "sweep"):
        own_command = "compare" if isinstance(kept, Comparison) else "sweep"
        raise ConfigError.at("--resume", f"{resume} is continued by 'momentumlab {own_command} --resume'")

    load = functools.partial(load_either, patience=SEARCH_PATIENCE)
    nodes = overrides(options)
    for asked in load_all(options.configs or [to_dict(kept)], nodes, load, options.max_trials, default_name=""):
        theirs = to_dict(asked)
        differing = [key for key, value in to_dict(kept).items() if key != "name" and theirs.get(key) != value]
        if differing:
            message = f"its experiment differs from this one in {', '.join(differing)}"
            raise ConfigError.at(f"--resume {resume}", message)
    return [kept]


def load_all(
    configs: "Sequence[Path | dict[str, Any]] | None",
    nodes: "list[ConfigNode]",
    load: "Callable[[Source, Iterable[ConfigNode]], Experiment | Comparison]",
    max_trials: int | None,
    *,
    default_name: str,
) -> "list[Experiment | Comparison]":
    """Load every experiment before the first one runs; report the problems of all files together.

    Parameters
    ----------
    configs
        The files. Without any, the overrides describe the experiment.
    nodes
        The overrides.
    load
        Loads one of them.
    max_trials
        The limit on the trials of each.
    default_name
        The name of an experiment without a file.

    Raises
    ------
    ConfigError
        With every problem of every file.
    """
    from momentumlab.experiment import Comparison
    from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, check_size

    sources: Sequence[Source] = configs or [{"name": default_name}]
    loaded: list[Experiment | Comparison] = []
    problems = Problems()
    for source in sources:
        place = default_name if isinstance(source, Mapping) else str(source)
        with problems.collecting():
            one = load(source, nodes)
            experiments = one.experiments if isinstance(one, Comparison) else (one,)
            limit = MAX_SEARCHED if isinstance(one, Comparison) else MAX_TRIALS
            for experiment in experiments:
                check_size(experiment, limit if max_trials is None else max_trials, place=place)
            loaded.append(one)
    problems.check()
    return loaded
