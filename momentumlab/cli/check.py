"""The command that tests surfaces and optimizers against the contracts of their kind."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from momentumlab.cli.application import PREPARING, app, command
from momentumlab.cli.completion import names_of
from momentumlab.cli.options import DataOutput, Plugins
from momentumlab.cli.streams import print_notes, show

if TYPE_CHECKING:
    from momentumlab.testing import Finding


@command(
    app,
    group=PREPARING,
    examples=("momentumlab check rosenbrock adam", "momentumlab check my_surface.py --format json"),
)
def check(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|NAME...",
            help="Plug-ins, or names of surfaces and optimizers.",
            autocompletion=names_of("surfaces", "optimizers"),
        ),
    ],
    plugins: Plugins = None,
    output: DataOutput = "table",
) -> None:
    """Test your own surfaces and optimizers: gradients, shapes, purity, and the independence of trials.

    Each failure is reported with its place and its most likely cause; the exit code is then 2.
    """
    from momentumlab.report.data import json_text
    from momentumlab.testing.checking import check_entry, entries_of

    findings: list[Finding] = []
    entries, notes = entries_of(what)
    print_notes(notes)
    for noun, name in entries:
        if output == "table":
            print(f"{noun} {name}")
        for finding in check_entry(noun, name):
            findings.append(finding)
            if output == "table":
                _print(finding)
    failed = sum(not finding.has_passed for finding in findings)
    if output == "json":
        rows = [
            {
                "kind": finding.noun,
                "name": finding.name,
                "contract": finding.contract,
                "passed": finding.has_passed,
                "problem": finding.problem,
            }
            for finding in findings
        ]
        print(json_text({"passed": not failed, "findings": rows}))
    elif failed:
        print(f"{failed} of {len(findings)} contracts broken")
    else:
        print(f"all {len(findings)} contracts kept")
    sys.stdout.flush()
    if failed:
        raise typer.Exit(2)


def _print(finding: "Finding") -> None:
    from momentumlab.report.table import Column, Kind, Table

    outcome = "  passed" if finding.has_passed else "  FAILED"
    problems = [] if finding.problem is None else [finding.problem]
    outcomes = Column(heading="", cells=[outcome, *("" for _ in problems)], kind=Kind.NAME)
    texts = Column(heading="", cells=[finding.promise, *problems], kind=Kind.PROSE)
    show(Table(columns=[outcomes, texts]))
    sys.stdout.flush()
