"""From files and settings to experiments, all of them checked before the first is run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from momentumlab.cli.settings import joined_words, overriding
from momentumlab.errors import ConfigError, Problem

if TYPE_CHECKING:
    from momentumlab.config.load import Source
    from momentumlab.config.tree import Node
    from momentumlab.experiment import Comparison, Experiment


def load_experiments(
    configs: "Sequence[Path | dict[str, Any]] | None",
    flags: Mapping[str, str | None],
    settings: Sequence[str] | None,
    max_trials: int | None,
) -> "list[Experiment | Comparison]":
    """What ``run`` and ``sweep`` are to run: files, or an experiment that the options describe."""
    from momentumlab.config import load_either

    nodes = overriding(flags, settings)
    if not configs and not (flags["surface"] or flags["optimizer"]):
        raise ConfigError([Problem(place="", message="give a CONFIG file, or --surface and --optimizer")])
    name = joined_words(flags["surface"], flags["optimizer"])
    return load_all(configs, nodes, load_either, max_trials, default_name=name)


def load_resumed(
    resume: Path | None,
    configs: Sequence[Path] | None,
    flags: Mapping[str, str | None],
    settings: Sequence[str] | None,
    max_trials: int | None,
) -> "list[Experiment | Comparison]":
    """The experiment of the folder that is to be resumed, which must be the one that is asked for, if one is."""
    if resume is None:
        return load_experiments(configs, flags, settings, max_trials)
    from momentumlab.config import to_dict
    from momentumlab.config.load import read_text
    from momentumlab.config.needs import check_same
    from momentumlab.runs.write import ended_by_plugin, read_partial

    if (written := resume / "experiment.yaml").exists():
        check_same(read_text(written), str(written), may_change=ended_by_plugin(resume))
    kept = read_partial(resume).experiment
    written = resume / "experiment.yaml"
    own = written if written.exists() else to_dict(kept)  # a sweep that was killed at once has written none
    sources: Sequence[Path | dict[str, Any]] = configs or [own]
    for asked in load_experiments(sources, flags, settings, max_trials):
        theirs = to_dict(asked)
        differing = [key for key, value in to_dict(kept).items() if key != "name" and theirs.get(key) != value]
        if differing:
            message = f"its experiment differs from this one in {', '.join(differing)}"
            raise ConfigError([Problem(place=f"--resume {resume}", message=message)])
    return [kept]


def load_all(
    configs: "Sequence[Path | dict[str, Any]] | None",
    nodes: "list[Node]",
    load: "Callable[[Source, Iterable[Node]], Experiment | Comparison]",
    max_trials: int | None,
    *,
    default_name: str,
) -> "list[Experiment | Comparison]":
    """Every experiment, before the first is run; the problems of all files together.

    Parameters
    ----------
    configs
        The files; without any, the overrides say it all.
    nodes
        What overrides them.
    load
        How one is loaded.
    max_trials
        The most trials that each may have.
    default_name
        The name without a file.
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
            experiments, limit = (
                (one.experiments, MAX_SEARCHED) if isinstance(one, Comparison) else ((one,), MAX_TRIALS)
            )
            for experiment in experiments:
                check_size(experiment, limit if max_trials is None else max_trials, place=place)
            loaded.append(one)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return loaded
