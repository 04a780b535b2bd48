"""What a person or a program gets to see: results, notes and errors."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

import typer

from momentumlab.cli.options import Format
from momentumlab.errors import ConfigError, MomentumLabError, printable
from momentumlab.stopping import end

if TYPE_CHECKING:
    from rich.console import RenderableType

    from momentumlab.report import ComparisonReport, Report
    from momentumlab.runs.read import LoadedRun
    from momentumlab.runs.records import RunFolder


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


def warn_of_rest(report: "Report") -> None:
    """Say so when data formats list only the best trials of a sweep."""
    if len(report.listed) < report.result.trials:
        count, trials = len(report.listed), report.result.trials
        print_notes([f"the best {count:,} of {trials:,} trials; 'sweep --all-rows' prints all"])


def print_result(report: "Report", output: Format, *, steps: bool, quiet: bool) -> None:
    """Print one result; notes go to stderr."""
    print_notes(report.notes)
    if quiet:
        print(report.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.data import json_document, json_text

        warn_of_rest(report)
        print(json_text(json_document(report, steps=steps)))
    elif output is Format.TABLE and report.is_sweep:
        from momentumlab.report.sweep_table import sweep_tables

        show(sweep_tables(report))
        print(report.run_folder)
    elif output is Format.TABLE:
        from momentumlab.report.result_table import rich_table, steps_table

        for number in range(report.result.trials if steps else 0):
            show(steps_table(report, number))
            print()
        show(rich_table(report))
        print(report.run_folder)


def print_comparison(report: "ComparisonReport", output: Format, *, quiet: bool) -> None:
    """Print one comparison; notes go to stderr."""
    print_notes(report.notes)
    if quiet:
        print(report.run_folder)
    elif output is Format.JSON:
        from momentumlab.report.comparison_data import json_document
        from momentumlab.report.data import json_text

        print(json_text(json_document(report)))
    elif output is Format.TABLE:
        from momentumlab.report.comparison_table import rich_tables

        show(rich_tables(report))
        print(report.run_folder)


def print_loaded(loaded: "LoadedRun", output: Format, *, steps: bool, quiet: bool, all_rows: bool) -> None:
    """Print what was read from a run folder as it was printed when it was run."""
    comparison = loaded.comparison_report
    if comparison is not None:
        print_comparison(comparison, output, quiet=quiet)
        if output is Format.CSV:
            print_csv([], [comparison], steps=False)
        return
    reports = [replace(report, all_rows=all_rows) for report in loaded.reports]
    for report in reports:
        print_result(report, output, steps=steps, quiet=quiet)
    if output is Format.CSV:
        print_csv(reports, [], steps=steps)


def print_stored(run: "RunFolder", output: Format, *, quiet: bool) -> None:
    """Print the stored numbers of a run whose plug-ins or data files are not available."""
    from momentumlab.report.data import flat, json_text, table_text
    from momentumlab.runs.read import stored_document

    document = stored_document(run)
    trials = [trial for trial in document["trials"] if isinstance(trial, dict)]
    if quiet:
        print(run.path)
    elif output is Format.JSON:
        print(json_text(document))
    elif output is Format.CSV:
        rows = [{"experiment": run.name, "trial": number, **flat(trial)} for number, trial in enumerate(trials)]
        print(table_text(rows), end="")
    else:
        for trial in trials:
            settings = ", ".join(f"{key} = {value}" for key, value in dict(trial.get("hyperparameters") or {}).items())
            end = f"{trial.get('status')} after {trial.get('iterations')} iterations, loss {trial.get('final_loss')}"
            print(printable(f"{trial.get('optimizer')} ({settings}): {end}"))
        print(run.path)


def print_notes(notes: Sequence[str]) -> None:
    """What a person should know goes to stderr."""
    complain(*(f"note: {note}" for note in notes))


def print_csv(reports: "Sequence[Report]", comparisons: "Sequence[ComparisonReport]", *, steps: bool) -> None:
    """Print all results as one CSV table, and the ranks of all comparisons as another."""
    from momentumlab.report.comparison_data import ranking_csv_text
    from momentumlab.report.data import csv_text, steps_csv_text

    if reports and steps:
        print(steps_csv_text(reports), end="")
    elif reports:
        for report in reports:
            warn_of_rest(report)
        print(csv_text(reports), end="")
    if reports and comparisons:
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
