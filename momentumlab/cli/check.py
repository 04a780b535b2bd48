"""The command that tests surfaces and optimizers against the contracts of their kind."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from momentumlab.cli.application import PREPARING, app, command
from momentumlab.cli.options import DataFormat, DataOutput, Plugins
from momentumlab.cli.streams import print_notes, show
from momentumlab.errors import ConfigError, Problem, UnknownNameError

if TYPE_CHECKING:
    from momentumlab.testing import Finding


@command(
    app,
    group=PREPARING,
    examples=("momentumlab check rosenbrock adam", "momentumlab check my_surface.py --format json"),
)
def check(
    what: Annotated[
        list[str], typer.Argument(metavar="FILE|NAME...", help="Plug-ins, or names of surfaces and optimizers.")
    ],
    plugins: Plugins = None,
    output: DataOutput = DataFormat.TABLE,
) -> None:
    """Test your own surfaces and optimizers: gradients, shapes, purity, and the independence of trials.

    Each failure is reported with its place and its most likely cause; the exit code is then 2.
    """
    from momentumlab.report.data import json_text
    from momentumlab.testing import check as checked

    findings: list[Finding] = []
    for noun, name in _entries(what):
        if output is DataFormat.TABLE:
            print(f"{noun} {name}")
        for finding in checked(noun, name):
            findings.append(finding)
            if output is DataFormat.TABLE:
                _print(finding)
    failed = sum(not finding.has_passed for finding in findings)
    if output is DataFormat.JSON:
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


def _entries(what: list[str]) -> list[tuple[str, str]]:
    """Return the kind and name of everything to check: what a file adds, or the entries with a name."""
    from momentumlab.optimizers import OPTIMIZERS
    from momentumlab.plugins import load_plugin
    from momentumlab.surfaces import SURFACES

    entries: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for word in what:
        if word.endswith(".py") or Path(word).is_file():
            try:
                added = load_plugin(word).entries
            except ConfigError as error:
                problems += error.problems
                continue
            schedules = [name for noun, name in added if noun == "schedule"]
            if schedules:
                print_notes([f"{word}: schedules are not checked ({', '.join(schedules)})"])
            entries += [entry for entry in added if entry[0] != "schedule"]
            continue
        named: list[tuple[str, str]] = []
        for catalogue in (SURFACES, OPTIMIZERS):
            try:
                named.append((catalogue.noun, catalogue.canonical(word)))
            except UnknownNameError:
                continue
            except ConfigError as error:
                problems += error.problems
                break
        else:
            if not named:
                message = "is not a file, a surface or an optimizer; see 'momentumlab list surfaces'"
                problems.append(Problem(place=word, message=message))
        entries += named
    if problems:
        raise ConfigError(problems)
    return list(dict.fromkeys(entries))


def _print(finding: "Finding") -> None:
    from momentumlab.report.table import Column, Kind, Table

    outcome = "  passed" if finding.has_passed else "  FAILED"
    problems = [] if finding.problem is None else [finding.problem]
    outcomes = Column(heading="", cells=[outcome, *("" for _ in problems)], kind=Kind.NAME)
    texts = Column(heading="", cells=[finding.promise, *problems], kind=Kind.PROSE)
    show(Table(columns=[outcomes, texts]))
    sys.stdout.flush()
