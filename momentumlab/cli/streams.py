"""Results go to stdout, notes and errors to stderr. Expected errors are one line and an exit code."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer

from momentumlab.errors import ConfigError, MomentumLabError, printable
from momentumlab.stopping import end

if TYPE_CHECKING:
    from momentumlab.report.table import Table


@contextmanager
def reported() -> Iterator[None]:
    """Turn every expected exception into a message on stderr and an exit code."""
    try:
        try:
            yield
            sys.stdout.flush()
        except BaseException as error:
            plugins = sys.modules.get("momentumlab.plugins")  # not loaded: no user's code has run
            found = plugins.plugin_error(error) if plugins else None
            if found is None:
                raise
            raise found from error
    except ConfigError as error:
        complain(*error.problems)
        raise typer.Exit(error.exit_code) from None
    except MomentumLabError as error:
        complain(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    except MemoryError as error:
        complain(f"error: not enough memory ({error})")
        raise typer.Exit(1) from None
    except KeyboardInterrupt as stop:
        end(stop)
    except BrokenPipeError:
        silence(sys.stdout)
        raise typer.Exit(0) from None
    except OSError as error:
        complain_of_system(error)
        raise typer.Exit(1) from None


@contextmanager
def printing(failures: list[OSError]) -> Iterator[None]:
    """Print one of several results; if it cannot be printed, the others are still computed.

    If the reader has gone away, nothing more is printed. Any other failure, such as a full disk, is reported and added
    to the failures.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        if error.filename is not None:
            raise
        complain_of_system(error)
        failures.append(error)


def complain_of_system(error: OSError) -> None:
    """Report an operating-system error: of a file or, if it names none, of writing to stdout."""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if error.filename is not None:
        complain(f"error: {os.fsdecode(error.filename)}: {reason}")
    else:
        silence(sys.stdout)
        complain(f"error: cannot print the result: {reason}")


def complain(*lines: object) -> None:
    """Print lines to stderr, with foreign text escaped. If stderr is closed, the exit code must suffice."""
    try:
        for line in "\n".join(map(str, lines)).split("\n") if lines else ():
            sys.stderr.write(f"{printable(line)}\n")  # in one go: a signal may come between a line and its end
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def print_notes(notes: Sequence[str]) -> None:
    """Print a note to stderr."""
    complain(*(f"note: {note}" for note in notes))


def silence(stream: TextIO) -> None:
    """Discard what is still to be printed; otherwise Python complains when it flushes the stream at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show(*tables: "Table") -> None:
    """Print tables with an empty line between them, as wide as the terminal, or 160 columns wide without one."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160
    with console.capture() as captured:  # Rich ends the process if it meets a closed pipe
        for number, table in enumerate(tables):
            if number:
                console.print()
            console.print(table)
    sys.stdout.write(captured.get())
