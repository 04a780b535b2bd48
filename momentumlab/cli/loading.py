"""From files and options to experiments, all of which are checked before the first one runs."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from momentumlab.cli.options import Options
from momentumlab.cli.streams import print_notes
from momentumlab.errors import ConfigError, Problem, printable

if TYPE_CHECKING:
    from momentumlab.config import ConfigNode
    from momentumlab.config.load import Source
    from momentumlab.experiment import Comparison, Experiment

MOST_NAMED = 60
"""Maximum number of characters of one option in a name derived from options."""

DECIMAL_COMMA = re.compile(r"\s*[+-]?0,\d+\s*")
POINTS = ("start", "surface", "optimizer", "name", "over")
"""Settings of which ``0,1`` is a usual value."""


def typed() -> str:
    """Return the command line as it could be typed again."""
    return printable(shlex.join(sys.argv))


def joined_words(*words: str | None) -> str:
    """Return a name derived from the arguments, short enough for the name of a folder."""
    plain = (re.sub(r"[^\w]+", "-", word).strip("-")[:MOST_NAMED].strip("-") for word in words if word)
    return "_".join(filter(None, plain))[:100]


def overrides(
    flags: Mapping[str, str | None], settings: Sequence[str] | None, spelled: Mapping[str, str] | None = None
) -> "list[ConfigNode]":
    """Return the settings given by options and by ``--set KEY=VALUE`` as nodes of a configuration.

    Parameters
    ----------
    flags
        The text of each option by its key; ``None`` if it is not given.
    settings
        The texts of ``--set``.
    spelled
        The options that are not spelled like their keys.

    Raises
    ------
    ConfigError
        If a setting has no value or is given twice.
    """
    from momentumlab.config import settings_from_text

    names = {key: f"--{key.replace('_', '-')}" for key in flags} | dict(spelled or {})
    given = {key: (names[key], str(text)) for key, text in flags.items() if text is not None}
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError([Problem(place=f"--set {setting}", message="write KEY=VALUE, such as surface.a=0.1")])
        if key in given:
            raise ConfigError([Problem(place=f"--set {key}", message=f"is set twice (the other is {given[key][0]})")])
        given[key] = (f"--set {key}", text)
    for key, (place, text) in given.items():
        if any("\udc80" <= each <= "\udcff" for each in key + text):
            raise ConfigError([Problem(place=place, message=f"'{text}' is not valid UTF-8")])
        if key not in POINTS and DECIMAL_COMMA.fullmatch(text):
            decimal = text.strip().replace(",", ".")
            print_notes([f"{place} {text.strip()} is a list of two values; a decimal number is written {decimal}"])
    return settings_from_text(given)


def flags_of(options: Options) -> dict[str, str | None]:
    """Return the settings that the options give, with ``--starts`` written as a start."""
    flags = options.flags()
    if options.starts is None:
        return flags
    if flags["start"] is not None:
        raise typer.BadParameter("--start gives the start already; leave out one of the two", param_hint="--starts")
    has_noise = flags["noise"] is not None or flags["replicates"] is not None
    flags["start"] = f"random({options.starts}, seed={flags['seed'] or 0})"
    flags["seed"] = flags["seed"] if has_noise else None
    return flags


def load_experiments(options: Options, *, patience: int = 1) -> "list[Experiment | Comparison]":
    """Load the experiments of ``run``, ``sweep`` and ``predict``: files, or one that the options describe."""
    from momentumlab.config import load_either

    def load(source: "Source", nodes: "Iterable[ConfigNode]") -> "Experiment | Comparison":
        return load_either(source, nodes, patience=patience)

    flags = flags_of(options)
    spelled = {} if options.starts is None else {"start": "--starts"}
    nodes = overrides(flags, options.settings, spelled)
    if not options.configs and not (flags["surface"] or flags["optimizer"]):
        raise ConfigError([Problem(place="", message="give a CONFIG file, or --surface and --optimizer")])
    name = joined_words(flags["surface"], flags["optimizer"])
    return load_all(options.configs, nodes, load, options.max_trials, default_name=name)


def load_searches(
    options: Options, command: str, defaults: Mapping[str, int] | None = None
) -> "list[Experiment | Comparison]":
    """Load the comparisons of ``compare`` and ``tune``: files, or one that the options describe."""
    from momentumlab.config import load_comparison

    nodes = search_overrides(options)

    def load(source: "Source", nodes: "Iterable[ConfigNode]") -> "Comparison":
        return load_comparison(source, nodes, defaults=defaults)

    given = [node.plain() for node in nodes if node.path in ("surface", "surfaces")]
    surfaces = [" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in given]
    name = joined_words(command, *(surfaces or ["ravine"]))
    return load_all(options.configs, nodes, load, options.max_trials, default_name=name)


def search_overrides(options: Options) -> "list[ConfigNode]":
    """Return the settings that options give, with those of ``--over`` to be searched."""
    flags = flags_of(options)
    searched = options.over.replace(",", " ").split() if options.over else []
    for name in searched:
        if searched.count(name) > 1:
            raise typer.BadParameter(f"'{name}' is listed twice", param_hint="--over")
        if name in flags and name not in ("lr", "beta"):
            raise typer.BadParameter(f"'{name}' is not a hyperparameter", param_hint="--over")
        if flags.get(name) is not None:
            message = f"--{name} gives {name} a value, so it cannot be searched; leave out one of the two"
            raise typer.BadParameter(message, param_hint="--over")
    spelled = dict.fromkeys(searched, "--over") | ({} if options.starts is None else {"start": "--starts"})
    return overrides(flags | dict.fromkeys(searched, "tuned"), options.settings, spelled)


def load_resumed(options: Options, resume: Path, command: str) -> "list[Experiment | Comparison]":
    """Load the experiment of an unfinished run; options and files may repeat it, but not change it."""
    from momentumlab.config import load_either, to_dict
    from momentumlab.config.load import read_text
    from momentumlab.config.requirements import check_same
    from momentumlab.experiment import SEARCH_PATIENCE, Comparison
    from momentumlab.runs.write import ended_by_plugin, read_partial

    written = resume / "experiment.yaml"
    if written.is_file():
        check_same(read_text(written), str(written), may_change=ended_by_plugin(resume))
    kept = read_partial(resume).experiment
    if isinstance(kept, Comparison) != (command != "sweep"):
        own_command = "compare" if isinstance(kept, Comparison) else "sweep"
        message = f"{resume} is continued by 'momentumlab {own_command} --resume'"
        raise ConfigError([Problem(place="--resume", message=message)])

    def load(source: "Source", nodes: "Iterable[ConfigNode]") -> "Experiment | Comparison":
        return load_either(source, nodes, patience=SEARCH_PATIENCE)

    nodes = search_overrides(options)
    for asked in load_all(options.configs or [to_dict(kept)], nodes, load, options.max_trials, default_name=""):
        theirs = to_dict(asked)
        differing = [key for key, value in to_dict(kept).items() if key != "name" and theirs.get(key) != value]
        if differing:
            message = f"its experiment differs from this one in {', '.join(differing)}"
            raise ConfigError([Problem(place=f"--resume {resume}", message=message)])
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
    problems: list[Problem] = []
    for source in sources:
        place = default_name if isinstance(source, Mapping) else str(source)
        try:
            one = load(source, nodes)
            experiments = one.experiments if isinstance(one, Comparison) else (one,)
            limit = MAX_SEARCHED if isinstance(one, Comparison) else MAX_TRIALS
            for experiment in experiments:
                check_size(experiment, limit if max_trials is None else max_trials, place=place)
            loaded.append(one)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return loaded
