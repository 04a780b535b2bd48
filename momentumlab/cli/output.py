"""What a person or a program gets to see: results, notes and errors."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer

from momentumlab.cli.options import Format
from momentumlab.errors import ConfigError, MomentumLabError
from momentumlab.stopping import end

if TYPE_CHECKING:
    from rich.console import RenderableType

    from momentumlab.result import Result
    from momentumlab.runs.read import Loaded
    from momentumlab.search import ComparisonResult


@contextmanager
def reported() -> Iterator[None]:
    """Report the errors that a user can fix in a line on stderr, with their exit code."""
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
        silence(sys.stdout)
        complain(f"error: cannot print the result: {(error.strerror or str(error)).lower()}")
        raise typer.Exit(1) from None


def complain(*lines: object) -> None:
    """Print to stderr; where nobody can read it, the exit code alone must do."""
    try:
        for line in lines:
            sys.stderr.write(f"{line}\n")  # in one go: a signal may come between a line and its end
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Lead what is still to be printed nowhere, or Python complains once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def shown_trials(result: "Result", *, all_rows: bool) -> "Sequence[int] | None":
    """Which trials data formats print: all of a run, of a sweep the best unless all are asked for."""
    from momentumlab.runs.write import BEST_ROWS

    if result.history is not None or all_rows or result.trials <= BEST_ROWS:
        return None
    from momentumlab.search.planes import best_trials, planes

    print_notes([f"the best {BEST_ROWS:,} of {result.trials:,} trials; 'sweep --all-rows' prints all"])
    return best_trials(planes(result), BEST_ROWS)


def print_result(result: "Result", output: Format, *, steps: bool, quiet: bool, all_rows: bool) -> None:
    """Print one result; notes go to stderr."""
    print_notes(result.notes)
    if quiet:
        print(result.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.data import json_document, json_text

        print(json_text(json_document(result, steps=steps, numbers=shown_trials(result, all_rows=all_rows))))
    elif output is Format.TABLE and result.history is None:
        from momentumlab.report.sweep_table import sweep_tables

        show(sweep_tables(result))
        print(result.run_folder)
    elif output is Format.TABLE:
        from momentumlab.report.table import rich_table, steps_table

        for number in range(result.trials if steps else 0):
            show(steps_table(result, number))
            print()
        show(rich_table(result))
        print(result.run_folder)


def print_comparison(result: "ComparisonResult", output: Format, *, quiet: bool) -> None:
    """Print one comparison; notes go to stderr."""
    print_notes(result.notes)
    if quiet:
        print(result.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.contest_data import json_document
        from momentumlab.report.data import json_text

        print(json_text(json_document(result)))
    elif output is Format.TABLE:
        from momentumlab.report.contest import rich_tables

        show(rich_tables(result))
        print(result.run_folder)


def print_loaded(loaded: "Loaded", output: Format, *, steps: bool, quiet: bool, all_rows: bool) -> None:
    """Print what was read from a run folder as it was printed when it was run."""
    if loaded.comparison is not None:
        print_comparison(loaded.comparison, output, quiet=quiet)
        if output is Format.CSV:
            print_csv([], [loaded.comparison], steps=False, all_rows=False)
        return
    if len(loaded.results) > 1 or loaded.kind == "comparison":
        print_notes(
            ["this comparison was written before all that it had searched was kept: here are the chosen settings"]
        )
    for result in loaded.results[:1] if quiet else loaded.results:
        print_result(result, output, steps=steps, quiet=quiet, all_rows=all_rows)
    if output is Format.CSV:
        print_csv(loaded.results, [], steps=steps, all_rows=all_rows)


def print_notes(notes: Sequence[str]) -> None:
    """What a person should know goes to stderr."""
    complain(*(f"note: {note}" for note in notes))


def print_csv(
    results: "Sequence[Result]", comparisons: "Sequence[ComparisonResult]", *, steps: bool, all_rows: bool
) -> None:
    """Print all results as one CSV table, and the ranks of all comparisons as another."""
    from momentumlab.report.contest_data import ranking_csv_text
    from momentumlab.report.data import csv_rows, steps_csv_text, table_text

    if results and steps:
        print(steps_csv_text(results), end="")
    elif results:
        rows = [row for result in results for row in csv_rows(result, shown_trials(result, all_rows=all_rows))]
        print(table_text(rows), end="")
    if results and comparisons:
        print()
    if comparisons:
        print(ranking_csv_text(comparisons), end="")


def show(renderable: "RenderableType") -> None:
    """Print for people: as wide as the terminal, or 160 columns where there is none."""
    from rich.console import Console

    console: Console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160
    console.print(renderable)
