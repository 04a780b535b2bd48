"""Exceptions by cause of failure, with their exit codes. Only the command line catches them."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar


class MomentumLabError(Exception):
    """Base of the errors that momentumlab raises deliberately."""

    exit_code: ClassVar[int] = 1


def printable(text: str) -> str:
    r"""Return a text of unknown origin with every character escaped that a terminal interprets or cannot show.

    Control characters, escape sequences, line breaks, invisible and bidirectional formatting characters and bytes that
    are not UTF-8 are written as in Python: ``\x1b``, ``\n``, ``\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def os_reason(error: OSError) -> str:
    """Return why a file cannot be read, as a message: ``no such file``, ``permission denied``."""
    return "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in an experiment, and the place where it can be corrected."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class ConfigError(MomentumLabError):
    """Invalid configuration or arguments; carries every problem, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    @classmethod
    def at(cls, place: str, message: str) -> "ConfigError":
        """Return the error for a single problem."""
        return cls([Problem(place=place, message=message)])


class Problems(list[Problem]):
    """Collects the problems of several steps, so that one error reports all of them."""

    @contextmanager
    def collecting(self, problem: "Callable[[Exception], Problem] | None" = None) -> Iterator[None]:
        """Add the problems of a step instead of raising them.

        Parameters
        ----------
        problem
            Returns the problem that a `ValueError` or an unknown name is; without it these errors are raised.
        """
        try:
            yield
        except ConfigError as error:
            self += error.problems
        except (ValueError, UnknownNameError) as error:
            if problem is None:
                raise
            self.append(problem(error))

    def check(self) -> None:
        """Raise a `ConfigError` if there are any problems."""
        if self:
            raise ConfigError(list(dict.fromkeys(self)))


PYTHON_SPELLINGS = (
    (r"momentumlab (sweep|compare|tune) --resume (\S+)", r"momentumlab.\1(resume='\2')"),
    (
        r"momentumlab --allow-import …",
        "pass the object itself, or set MOMENTUMLAB_ALLOW_IMPORT=1 in the environment",
    ),
    (r"(?:add|give it with) --plugin (\S+)", r"load it with momentumlab.load_plugin('\1')"),
    (r"--plugin (\S+)", r"momentumlab.load_plugin('\1')"),
)
"""The options in remedies, and their equivalents in Python."""


@contextmanager
def in_python() -> Iterator[None]:
    """Spell the remedies of errors as Python."""

    def spelled(text: str) -> str:
        for option, call in PYTHON_SPELLINGS:
            text = re.sub(option, call, text)
        return text

    try:
        yield
    except (ConfigError, OutputError) as error:
        if isinstance(error, ConfigError):
            error.problems = tuple(Problem(place=each.place, message=spelled(each.message)) for each in error.problems)
        error.args = (spelled(str(error)),)
        raise


class UnknownNameError(MomentumLabError):
    """A registry has no entry of that name."""

    exit_code = 2


class DeclarationError(ValueError):
    """A class cannot be registered: its declaration is incomplete or its name is taken."""


class PluginWarning(UserWarning):
    """A plug-in cannot be used, or a figure of it cannot be drawn."""


class WorkerWarning(UserWarning):
    """A worker process is stopped."""


class PluginError(MomentumLabError):
    """A user's surface, optimizer, schedule or function raised an exception, which is the ``__cause__``.

    Attributes
    ----------
    original
        The same exception; unlike ``__cause__`` it is kept when the error is pickled.
    """

    def __init__(self, message: str, original: BaseException | None = None) -> None:
        super().__init__(message)
        self.original = original


class OutputError(MomentumLabError):
    """A result could not be written: no permission, no space, or a file in place of a folder."""


class InterruptedSweepError(MomentumLabError):
    """Ctrl-C interrupted a sweep; its finished blocks are on disk and it can be resumed."""

    exit_code = 130


class TerminatedSweepError(InterruptedSweepError):
    """SIGTERM, for example from a batch system, ended a sweep; it can be resumed like an interrupted one."""

    exit_code = 143
