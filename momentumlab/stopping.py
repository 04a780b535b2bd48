"""Effect of SIGINT (Ctrl-C) and SIGTERM on the command: one line, the right exit code, no half-written file.

Usually there is nothing to unwind and the process ends at once: the exception that Python would raise at an arbitrary
instruction becomes a traceback in an import and is swallowed in a callback. Only a run with worker processes or with a
folder that can be resumed asks for an exception. Programs that import the package are not affected.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from momentumlab.system import TERMINATE

WORDS = {signal.SIGINT: "interrupted"} | ({} if TERMINATE is None else {TERMINATE: "terminated"})

unfinished: set[Path] = set()
"""The files that are being written, under their temporary names."""


class Interrupted(KeyboardInterrupt):
    """SIGINT arrived."""


class Terminated(Interrupted):
    """SIGTERM arrived."""


class _Unwinding:
    """The number of active blocks that request an exception."""

    depth = 0
    handled = False
    """Whether `obey_signals` was called: then every signal raises `Interrupted`, and never plain KeyboardInterrupt."""


def is_signal(error: BaseException) -> bool:
    """Return whether a signal raised this exception, as opposed to code that raises KeyboardInterrupt itself."""
    return isinstance(error, Interrupted) or (isinstance(error, KeyboardInterrupt) and not _Unwinding.handled)


def obey_signals() -> None:
    """Install the signal handlers; call this as early as possible, in the main thread."""
    own = os.getpid()
    _Unwinding.handled = True

    def stop(number: int, frame: object) -> None:
        if os.getpid() != own:  # a forked worker that has not set its own handlers yet
            os._exit(128 + number)
        if _Unwinding.depth:
            raise Terminated if number == TERMINATE else Interrupted
        end_by(number)

    def unraisable(problem: "sys.UnraisableHookArgs") -> None:
        if issubclass(problem.exc_type, KeyboardInterrupt):  # raised in a callback, where Python would ignore it
            end(problem.exc_type)
        sys.__unraisablehook__(problem)

    sys.unraisablehook = unraisable
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup or in the background of a shell script
            signal.signal(number, stop)


def end(stop: KeyboardInterrupt | type[BaseException]) -> NoReturn:
    """End the process like the signal that raised this exception."""
    cause = stop if isinstance(stop, type) else type(stop)
    end_by(TERMINATE if TERMINATE and issubclass(cause, Terminated) else signal.SIGINT)


def end_by(number: int) -> NoReturn:
    """End the process at once with one line, and remove its half-written files."""
    for path in list(unfinished):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        os.write(2, f"{WORDS[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)  # the convention of shells


@contextmanager
def unwinding() -> Iterator[None]:
    """Let a signal raise `Interrupted` or `Terminated` within the block."""
    _Unwinding.depth += 1
    try:
        yield
    finally:
        _Unwinding.depth -= 1
