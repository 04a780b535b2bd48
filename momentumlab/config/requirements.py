"""Plug-ins that an experiment requires: comments at the head of its file, which name files and load nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from momentumlab.errors import Problem, Problems
from momentumlab.experiment import Comparison, Experiment, entries_of
from momentumlab.plugins import is_defined, loaded_plugins, needed_plugins, python_entries, shown_path

COMMENTS = (
    re.compile(r"# needs --(?P<noun>plugin) (?P<name>.+) \(sha256 (?P<sha256>[0-9a-f]{64})\)"),
    re.compile(
        r"# needs the (?P<noun>surface|optimizer|schedule|noise model|data) (?P<name>\S+) of a Python program"
        r"( \((?P<module>\S+)\))?"
    ),
)


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A plug-in that a file requires, or a class, function or array of a Python program.

    Attributes
    ----------
    place
        The place of the comment.
    noun, name
        ``plugin`` and its file, or the noun and the name of what the program defines.
    sha256
        The checksum of the plug-in.
    module
        The module of the Python program.
    """

    place: str
    noun: str
    name: str
    sha256: str = ""
    module: str | None = None

    @property
    def problem(self) -> Problem | None:
        """The problem if this process does not have it, else ``None``."""
        if self.noun == "plugin":
            is_loaded = any(plugin.path.name == Path(self.name).name for plugin in loaded_plugins())
            message = f"this was made with a plug-in: add --plugin {self.name}"
        else:
            is_loaded = is_defined(self.noun, self.name)
            source = f" ({self.module})" if self.module else ""
            remedy = (
                "make a surface of the same arrays, for example with momentumlab.logistic"
                if self.noun == "data"
                else "define it under the same name"
            )
            message = (
                f"this was made by a Python program{source} with its own {self.noun} {self.name}, which no file "
                f"contains: {remedy}, then open it from that program"
            )
        return None if is_loaded else Problem(place=self.place, message=message)


def requirement_comments(experiment: Experiment | Comparison) -> list[str]:
    """Return the comments for the file of an experiment."""
    entries = list(dict.fromkeys(entries_of(experiment)))
    plugins = needed_plugins(entries) if loaded_plugins() else []
    return [
        *(f"# needs --plugin {shown_path(str(plugin.path))} (sha256 {plugin.sha256})" for plugin in plugins),
        *(
            f"# needs the {noun} {name} of a Python program{f' ({module})' if module else ''}"
            for noun, name, module in python_entries(entries)
        ),
    ]


def read_requirements(text: str, place: str) -> list[Requirement]:
    """Return the requirements named by the comments at the head of a file."""
    found: list[Requirement] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = next(filter(None, (comment.fullmatch(line) for comment in COMMENTS)), None)
        if match is None:
            break
        found.append(Requirement(place=f"{place}:{number}", **match.groupdict()))
    return found


def python_problems(text: str, place: str) -> list[Problem]:
    """Return a problem for each part of a Python program that a file requires and this process does not define."""
    return unmet([each for each in read_requirements(text, place) if each.noun != "plugin"])


def unmet(requirements: Sequence[Requirement]) -> list[Problem]:
    """Return a problem for each requirement that this process does not meet."""
    return [problem for each in requirements if (problem := each.problem) is not None]


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
    problems = Problems(unmet(requirements))
    loaded = {plugin.sha256 for plugin in loaded_plugins()}
    for each in requirements:
        if each.noun == "plugin" and each.problem is None and each.sha256 not in loaded and not may_change:
            message = f"{each.name} has changed since this run began: the results would be mixed"
            problems.append(Problem(place=each.place, message=message))
    problems.check()
