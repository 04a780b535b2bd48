"""Which plug-ins an experiment needs: comments at the head of its file, which only say what a person should do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Comparison, Experiment
from momentumlab.plugins import loaded_plugins, needed_plugins, shown_path
from momentumlab.schedules import Schedule

COMMENT = re.compile(r"# needs --plugin (?P<file>.+) \(sha256 (?P<sha256>[0-9a-f]{64})\)")


@dataclass(frozen=True, kw_only=True)
class Need:
    """A plug-in that a file says it needs, and where it says so."""

    place: str
    file: str
    sha256: str

    @property
    def is_loaded(self) -> bool:
        """Whether a plug-in of that name is."""
        return any(plugin.path.name == Path(self.file).name for plugin in loaded_plugins())

    @property
    def is_the_same(self) -> bool:
        """Whether a plug-in of that very content is."""
        return any(plugin.sha256 == self.sha256 for plugin in loaded_plugins())


def needs(experiment: Experiment | Comparison) -> list[str]:
    """The comments for the file of an experiment."""
    plugins = needed_plugins(_entries(experiment)) if loaded_plugins() else []
    return [f"# needs --plugin {shown_path(str(plugin.path))} (sha256 {plugin.sha256})" for plugin in plugins]


def _entries(experiment: Experiment | Comparison) -> Iterator[tuple[str, str]]:
    for each in experiment.experiments if isinstance(experiment, Comparison) else (experiment,):
        yield "surface", each.surface.name
        for choice in each.optimizers:
            yield "optimizer", choice.name
            for axis in choice.axes.values():
                yield from (("schedule", name) for value in axis.values for name in _schedules_in(value))


def _schedules_in(value: object) -> Iterator[str]:
    """The name of a schedule, and of those within it."""
    if isinstance(value, Schedule):
        yield value.name
        for part in vars(value).values():
            yield from _schedules_in(part)


def read_needs(text: str, place: str) -> list[Need]:
    """What the comments at the head of a file say."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = COMMENT.fullmatch(line)
        if match is None:
            break
        found.append(Need(place=f"{place}:{number}", file=match["file"], sha256=match["sha256"]))
    return found


def unmet(needed: list[Need]) -> list[Problem]:
    """What to say of plug-ins that are not loaded."""
    return [
        Problem(place=need.place, message=f"this was made with a plug-in: give it again with --plugin {need.file}")
        for need in needed
        if not need.is_loaded
    ]


def check_same(text: str, place: str, *, may_change: bool = False) -> None:
    """Refuse to continue with other plug-ins than those with which a sweep was started.

    Parameters
    ----------
    text, place
        The file of the experiment and its name.
    may_change
        Whether a plug-in may have changed, since an error in it ended the sweep.

    Raises
    ------
    ConfigError
        If one is not loaded, or has changed.
    """
    needed = read_needs(text, place)
    changed = [
        Problem(
            place=need.place, message=f"{need.file} has changed since this was begun: numbers would not belong together"
        )
        for need in needed
        if need.is_loaded and not need.is_the_same and not may_change
    ]
    if problems := [*unmet(needed), *changed]:
        raise ConfigError(problems)
