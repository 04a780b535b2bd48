"""Plug-ins that an experiment requires: comments at the head of its file, which name files and load nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Comparison, Experiment, entries_of
from momentumlab.plugins import is_defined, loaded_plugins, needed_plugins, python_entries, shown_path

COMMENT = re.compile(r"# needs --plugin (?P<file>.+) \(sha256 (?P<sha256>[0-9a-f]{64})\)")

PYTHON_COMMENT = re.compile(
    r"# needs the (?P<noun>surface|optimizer|schedule|noise model|data) (?P<name>\S+) of a Python program"
    r"( \((?P<module>\S+)\))?"
)


@dataclass(frozen=True, kw_only=True)
class PythonRequirement:
    """A class, function or array of a Python program that a file requires, and the place of the comment."""

    place: str
    noun: str
    name: str
    module: str | None

    @property
    def problem(self) -> Problem | None:
        """What is wrong if it is not defined in this process."""
        if is_defined(self.noun, self.name):
            return None
        source = f" ({self.module})" if self.module else ""
        remedy = (
            "make a surface of the same arrays, for example with momentumlab.logistic"
            if self.noun == "data"
            else "define it under the same name"
        )
        message = (
            f"this was made by a Python program{source} with its own {self.noun} {self.name}, which no file contains: "
            f"{remedy}, then open it from that program"
        )
        return Problem(place=self.place, message=message)


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


Requirements = Sequence[Requirement | PythonRequirement]


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


def read_requirements(text: str, place: str) -> Requirements:
    """Return the plug-ins named by the comments at the head of a file."""
    found: list[Requirement | PythonRequirement] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := COMMENT.fullmatch(line):
            found.append(Requirement(place=f"{place}:{number}", **match.groupdict()))
        elif match := PYTHON_COMMENT.fullmatch(line):
            found.append(PythonRequirement(place=f"{place}:{number}", **match.groupdict()))
        else:
            break
    return found


def python_problems(text: str, place: str) -> list[Problem]:
    """Return a problem for each part of a Python program that a file requires and this process does not define."""
    return unmet([each for each in read_requirements(text, place) if isinstance(each, PythonRequirement)])


def unmet(requirements: Requirements) -> list[Problem]:
    """Return a problem for each plug-in that is not loaded and each part of a Python program that is not defined."""
    problems = []
    for each in requirements:
        if isinstance(each, PythonRequirement):
            problems += [each.problem] if each.problem is not None else []
        elif not each.is_loaded:
            message = f"this was made with a plug-in: add --plugin {each.file}"
            problems.append(Problem(place=each.place, message=message))
    return problems


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
        if isinstance(each, Requirement) and each.is_loaded and not each.is_the_same and not may_change
    ]
    if problems := [*unmet(requirements), *changed]:
        raise ConfigError(problems)
