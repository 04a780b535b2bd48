"""Print results in the requested format."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from momentumlab.cli.streams import print_notes, show

if TYPE_CHECKING:
    from momentumlab.report import ComparisonReport, Report
    from momentumlab.report.table import Table
    from momentumlab.runs.read import LoadedRun
    from momentumlab.runs.records import RunFolder


def is_text(output: str) -> bool:
    """Return whether results are printed as tables, with the path of the run folder."""
    return output not in ("json", "csv")


def refuse_beside_quiet(quiet: bool, output: str, what: str = "--format") -> None:
    """Reject ``--quiet``, which prints only the path, together with an option that prints more."""
    if quiet and (output != "table" or what != "--format"):
        raise typer.BadParameter(f"prints only the path of the run folder; leave out {what}", param_hint="--quiet")


def warn_of_rest(report: "Report") -> None:
    """Note that JSON and CSV list only the best trials of a sweep."""
    if len(report.listed) < report.result.trials:
        count, trials = len(report.listed), report.result.trials
        print_notes([f"the best {count:,} of {trials:,} trials; 'sweep --all-rows' prints all"])


def show_as(output: str, *tables: "Table") -> None:
    """Print tables: laid out for the terminal, or as Markdown or LaTeX."""
    if output == "table":
        show(*tables)
        return
    for number, table in enumerate(tables):
        print("\n" * (number > 0) + (table.latex() if output == "latex" else table.markdown_document()))


def print_result(report: "Report", output: str, *, steps: bool, quiet: bool, digits: int = 6) -> None:
    """Print one result."""
    print_notes(report.notes)
    if quiet:
        print(report.run_folder)
    elif output == "json":
        from momentumlab.report.data import json_document, json_text

        warn_of_rest(report)
        print(json_text(json_document(report, steps=steps)))
    elif is_text(output):
        from momentumlab.report import result_tables
        from momentumlab.report.result_table import steps_table

        for number in range(report.result.trials if steps and not report.is_sweep else 0):
            show_as(output, steps_table(report, number, digits))
            print()
        show_as(output, *result_tables(report))
        print_folder(report, output)


def print_folder(report: "Report | ComparisonReport", output: str) -> None:
    """Print the run folder below a table; a document in Markdown or LaTeX holds tables only."""
    if output == "table":
        print(report.run_folder)


def print_comparison(report: "ComparisonReport", output: str, *, quiet: bool) -> None:
    """Print one comparison."""
    print_notes(report.notes)
    if quiet:
        print(report.run_folder)
    elif output == "json":
        from momentumlab.report.comparison_data import json_document
        from momentumlab.report.data import json_text

        print(json_text(json_document(report)))
    elif is_text(output):
        from momentumlab.report.comparison_table import comparison_tables

        show_as(output, *comparison_tables(report))
        print_folder(report, output)


def print_loaded(
    loaded: "LoadedRun", output: str, *, steps: bool, quiet: bool, all_rows: bool, digits: int = 6
) -> None:
    """Print the result that a run folder holds, as it was printed when it was computed."""
    comparison = loaded.comparison_report
    if comparison is not None:
        print_comparison(comparison, output, quiet=quiet)
        if output == "csv":
            print_csv([], [comparison], steps=False)
        return
    reports = [replace(report, all_rows=all_rows) for report in loaded.reports]
    for report in reports:
        print_result(report, output, steps=steps, quiet=quiet, digits=digits)
    if output == "csv":
        print_csv(reports, [], steps=steps)


def print_stored(run: "RunFolder", output: str, *, quiet: bool) -> None:
    """Print the stored numbers of a run whose plug-ins or data files are not available."""
    from momentumlab.report.data import flat, json_text, table_text
    from momentumlab.runs.read import stored_document

    document = stored_document(run)
    trials = [trial for trial in document["trials"] if isinstance(trial, dict)]
    if quiet:
        print(run.path)
    elif output == "json":
        print(json_text(document))
    elif output == "csv":
        rows = [{"experiment": run.name, "trial": number, **flat(trial)} for number, trial in enumerate(trials)]
        print(table_text(rows), end="")
    else:
        from momentumlab.report.table import Column, Kind, Table

        texts = [{key: str(value) for key, value in flat(trial).items()} for trial in trials]
        headings = dict.fromkeys(key for text in texts for key in text)
        columns = [
            Column(heading=key.replace("_", " "), cells=[text.get(key, "") for text in texts], kind=Kind.NAME)
            for key in headings
        ]
        show_as(output, Table(title=run.name, columns=columns))
        print(run.path)


def print_csv(reports: "Sequence[Report]", comparisons: "Sequence[ComparisonReport]", *, steps: bool) -> None:
    """Print the trials of all results as one CSV table and the rankings of all comparisons as another."""
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
