"""Plug-ins that an experiment requires: comments at the head of its file, which name files and load nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plugins import loaded_plugins, needed_plugins, shown_path
from momentumlab.schedules.base import Schedule

COMMENT = re.compile(r"# needs --plugin (?P<file>.+) \(sha256 (?P<sha256>[0-9a-f]{64})\)")


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A plug-in that a file requires, and the place of the comment."""

    place: str
    file: str
    sha256: str

    @property
    def is_loaded(self) -> bool:
        """Whether a plug-in of that name is loaded."""
        return any(plugin.path.name == Path(self.file).name for plugin in loaded_plugins())

    @property
    def is_the_same(self) -> bool:
        """Whether a plug-in with that content is loaded."""
        return any(plugin.sha256 == self.sha256 for plugin in loaded_plugins())


def requirement_comments(experiment: Experiment | Comparison) -> list[str]:
    """Return the comments for the file of an experiment."""
    plugins = needed_plugins(_entries(experiment)) if loaded_plugins() else []
    return [f"# needs --plugin {shown_path(str(plugin.path))} (sha256 {plugin.sha256})" for plugin in plugins]


def _entries(experiment: Experiment | Comparison) -> Iterator[tuple[str, str]]:
    for each in experiment.experiments if isinstance(experiment, Comparison) else (experiment,):
        yield "surface", each.surface.name
        if each.noise is not None:
            yield "noise model", each.noise.name
        for choice in each.optimizers:
            yield "optimizer", choice.name
            for axis in choice.axes.values():
                yield from (("schedule", name) for value in axis.values for name in _schedules_in(value))


def _schedules_in(value: object) -> Iterator[str]:
    """The names of a schedule and of the schedules in it."""
    if isinstance(value, Schedule):
        yield value.name
        for part in vars(value).values():
            yield from _schedules_in(part)


def read_requirements(text: str, place: str) -> list[Requirement]:
    """Return the plug-ins named by the comments at the head of a file."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = COMMENT.fullmatch(line)
        if match is None:
            break
        found.append(Requirement(place=f"{place}:{number}", file=match["file"], sha256=match["sha256"]))
    return found


def unmet(requirements: list[Requirement]) -> list[Problem]:
    """Return a problem for each plug-in that is not loaded."""
    return [
        Problem(place=each.place, message=f"this was made with a plug-in: add --plugin {each.file}")
        for each in requirements
        if not each.is_loaded
    ]


def check_same(text: str, place: str, *, may_change: bool = False) -> None:
    """Refuse to continue a run with plug-ins that differ from those with which it began.

    Parameters
    ----------
    text, place
        The file of the experiment and its name.
    may_change
        Whether a plug-in may have changed, because an error in it ended the run.

    Raises
    ------
    ConfigError
        If one is not loaded or has changed.
    """
    requirements = read_requirements(text, place)
    changed = [
        Problem(place=each.place, message=f"{each.file} has changed since this run began: the results would be mixed")
        for each in requirements
        if each.is_loaded and not each.is_the_same and not may_change
    ]
    if problems := [*unmet(requirements), *changed]:
        raise ConfigError(problems)
