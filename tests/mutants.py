"""Measure how many seeded faults the tests find: ``python -m tests.mutants --mutants 300 --seconds 3600``.

A mutant is the package with one operator or number changed, in the engine, the optimizers, the theory or the search.
The tests run once with coverage.py, which records the lines that each of them executes. Then a seeded sample of all
mutants is drawn; for each, the tests that execute the changed line run in a copy of the repository, the fastest first,
until one fails. A mutant that no test kills is printed with its line: it is either equivalent, or a test is missing.
"""

import argparse
import ast
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

MUTATED = ("engine.py", "outcome.py", "optimizers/*.py", "theory/*.py", "search/*.py")
"""The modules in which faults are seeded; the adapters in ``optimizers/adapters`` need other libraries."""

TESTS = (
    *("checking", "classics", "comparison", "conventions", "data_problems", "engine", "filters", "golden", "halving"),
    *("kernels", "limits", "noise", "optimizers", "quantities", "reliable_choice", "scheduled_runs", "schedules"),
    *("second_gradients", "surface_axis", "sweep", "sweep_grids", "theory", "theory_campaign", "theory_figures"),
    *("tuning", "zoo"),
)
"""The test modules that run; those that only call the command in other processes would not be attributed to lines."""

MOST_SECONDS = 40
"""The time of the tests of one mutant, if none fails."""

LONGEST_TEST = 5
"""Slower tests are left out. They start processes, and could fail for want of time."""

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.USub: ast.UAdd,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change of one module: the position of the node in the walk over its tree, and what happens to it.

    Attributes
    ----------
    lines
        The lines of the changed statement, without its body; none for statements that run when the module is imported.
    """

    path: Path
    position: int
    line: int
    lines: range
    change: str


def statement_lines(tree: ast.Module) -> dict[ast.AST, range]:
    """Return the lines of the statement that contains each node; empty outside of functions."""
    found: dict[ast.AST, range] = {}

    def visit(node: ast.AST, lines: range, in_function: bool) -> None:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = (body[0].lineno - 1) if body else (node.end_lineno or node.lineno)
            lines = range(node.lineno, max(last, node.lineno) + 1) if in_function else range(0)
        found[node] = lines
        if isinstance(node, ast.FunctionDef):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    visit(default, range(0), in_function=False)
            for statement in node.body:
                visit(statement, lines, in_function=True)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, lines, in_function)

    visit(tree, range(0), in_function=False)
    return found


def mutated_nodes(tree: ast.Module) -> Iterator[tuple[int, ast.AST]]:
    """Yield the nodes that decide about numbers, with their positions.

    Messages, annotations and declarations are left out, as are the constants at the top of a module, most of which are
    matters of judgement, and the check of ``zip`` that its arguments have the same length.
    """
    skipped: set[ast.AST] = set()
    for position, node in enumerate(ast.walk(tree)):
        hidden: list[ast.AST] = []
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            hidden = [node]
        elif isinstance(node, ast.AnnAssign):
            hidden = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            hidden = [each.annotation for each in arguments if each.annotation is not None]
            hidden += [] if node.returns is None else [node.returns]
            hidden += node.decorator_list
        elif isinstance(node, ast.ClassDef):
            hidden = [*node.decorator_list]
        elif isinstance(node, ast.Module):
            hidden = [each.value for each in node.body if isinstance(each, ast.Assign)]
        elif isinstance(node, ast.keyword) and node.arg == "strict":
            hidden = [node]
        for each in hidden:
            skipped.update(ast.walk(each))
        if node not in skipped:
            yield position, node


def change_of(node: ast.AST) -> str | None:
    """Return a description of the change of a node; None if it cannot be changed."""
    match node:
        case ast.BinOp(op=op) | ast.UnaryOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPPED:
            return f"{type(op).__name__} → {SWAPPED[type(op)].__name__}"
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            return f"{type(op).__name__} → {SWAPPED[type(op)].__name__}"
        case ast.Constant(value=bool() as value):
            return f"{value} → {not value}"
        case ast.Constant(value=int() | float() as value):
            return f"{value} → {value + 1}"
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in NAMES:
            return f"{name} → {NAMES[name]}"
    return None


def mutate(node: ast.AST) -> None:
    """Change a node in place."""
    match node:
        case ast.BinOp() | ast.UnaryOp() | ast.BoolOp() | ast.AugAssign():
            node.op = SWAPPED[type(node.op)]()  # type: ignore[assignment]
        case ast.Compare():
            node.ops = [SWAPPED[type(node.ops[0])]()]  # type: ignore[list-item]
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant():
            node.value = node.value + 1  # type: ignore[operator]
        case ast.Name():
            node.id = NAMES[node.id]
        case ast.Attribute():
            node.attr = NAMES[node.attr]


def mutants(folder: Path) -> list[Mutant]:
    """Return all mutants of the package in a copy of the repository."""
    found = []
    for modules in MUTATED:
        for path in sorted((folder / "momentumlab").glob(modules)):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            lines = statement_lines(tree)
            for position, node in mutated_nodes(tree):
                if change := change_of(node):
                    line = getattr(node, "lineno", 0)
                    found.append(Mutant(path.relative_to(folder), position, line, lines.get(node, range(0)), change))
    return found


def changed(source: str, mutant: Mutant) -> str:
    """Return the code of a module with the change of a mutant."""
    tree = ast.parse(source)
    mutate(next(node for position, node in enumerate(ast.walk(tree)) if position == mutant.position))
    return ast.unparse(tree)


class Recording:
    """A plugin of pytest that records the duration of each test, and which tests execute which lines.

    What fixtures execute belongs to all tests of the module, because only the first test sets up a shared fixture.
    """

    def __init__(self, folder: Path) -> None:
        import coverage

        self.folder = folder
        include = [f"{folder}/momentumlab/{modules}" for modules in MUTATED]
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=include)
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_sessionstart(self) -> None:
        self.coverage.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.coverage.switch_context(item.nodeid.partition("::")[0])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            str(Path(path).relative_to(self.folder)): data.contexts_by_lineno(path) for path in data.measured_files()
        }
        seconds = {name: value for name, value in self.seconds.items() if name not in self.failed}
        recorded = {"seconds": seconds, "lines": lines, "failed": sorted(self.failed)}
        (self.folder / "recorded.json").write_text(json.dumps(recorded), encoding="utf-8")


class Selection:
    """A plugin of pytest that runs some tests in a certain order."""

    def __init__(self, tests: list[str]) -> None:
        self.places = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self.places), key=lambda x: self.places[x.nodeid])


def tests_of(mutant: Mutant, recorded: dict[str, Any]) -> list[str]:
    """Return the tests that execute the changed statement, the fastest first, then the others of their modules.

    The others are needed where a result is cached, so that only the first of several tests executes its line.
    """
    by_line: dict[str, list[str]] = recorded["lines"].get(mutant.path.as_posix(), {})
    touching = {name for names in by_line.values() for name in names if name}
    hits = {name for line in mutant.lines for name in by_line.get(str(line), []) if name} or touching
    seconds: dict[str, float] = recorded["seconds"]
    modules = {name.partition("::")[0] for name in hits}
    candidates = [name for name in seconds if name.partition("::")[0] in modules and seconds[name] < LONGEST_TEST]
    candidates.sort(key=lambda name: (name not in hits, seconds[name]))
    chosen, total = [], 0.0
    for name in candidates:
        total += seconds[name]
        if total > MOST_SECONDS:
            break
        chosen.append(name)
    return chosen


def started(folder: Path, options: list[str], plugin: Callable[[], object]) -> int:
    """Start pytest in a fork of this process, in a copy of the repository, and return the process number."""
    pid = os.fork()
    if pid == 0:
        os.setsid()  # what the tests start ends with them
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        log = os.open(folder / "pytest.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os._exit(1 if pytest.main(["-q", "-n0", "-p", "no:cacheprovider", *options], plugins=[plugin()]) else 0)
    return pid


def recorded_tests(folder: Path) -> dict[str, Any]:
    """Run all tests without a fault and return what `Recording` has recorded; this also compiles all modules."""
    pid = started(folder, [f"tests/test_{name}.py" for name in TESTS], lambda: Recording(folder))
    os.waitpid(pid, 0)
    recorded: dict[str, Any] = json.loads((folder / "recorded.json").read_text(encoding="utf-8"))
    for name in recorded["failed"]:
        print(f"  {name} does not pass without a fault, and is left out")
    print(f"  {len(recorded['seconds'])} tests, {sum(recorded['seconds'].values()):.0f} s", flush=True)
    return recorded


@dataclass(frozen=True)
class Trial:
    """The tests of a mutant, running in a copy of the repository."""

    mutant: Mutant
    folder: Path
    original: str
    end: float


def main() -> None:
    """Run the tests of a sample of mutants, and print those that survive."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3600, help="time for all of them")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a regular expression for paths with lines, such as modes.py:24")
    options = parser.parse_args()
    # Children inherit these imports; the package itself is imported by each of them.
    import matplotlib.figure  # noqa: F401
    import numpy  # noqa: F401
    import scipy.optimize  # noqa: F401
    import sympy  # noqa: F401

    with tempfile.TemporaryDirectory() as name:
        first = Path(name) / "0"
        shutil.copytree(ROOT, first, ignore=shutil.ignore_patterns(".*", "*.ipynb", "__pycache__"))
        everything = [
            mutant for mutant in mutants(first) if re.search(options.only, f"{mutant.path.as_posix()}:{mutant.line}")
        ]
        sample = random.Random(options.seed).sample(everything, min(options.mutants, len(everything)))
        print(f"{len(sample)} of {len(everything)} mutants, seed {options.seed}", flush=True)
        recorded = recorded_tests(first)
        folders = [first]
        for number in range(1, options.processes):
            folders.append(Path(name) / str(number))
            shutil.copytree(first, folders[-1])
        survived(sample, folders, recorded, time.monotonic() + options.seconds)


def survived(sample: list[Mutant], folders: list[Path], recorded: dict[str, Any], end: float) -> None:
    """Try the mutants, one at a time in each folder, and print those that no test kills."""
    waiting, free, running = sample[::-1], list(folders), dict[int, Trial]()
    killed, timeouts, survivors = 0, 0, 0
    while running or (waiting and time.monotonic() < end):
        if free and waiting and time.monotonic() < end:
            mutant, folder = waiting.pop(), free.pop()
            tests = tests_of(mutant, recorded)
            module = folder / mutant.path
            original = module.read_text(encoding="utf-8")
            end_of_trial = time.monotonic() + 60 + 4 * sum(recorded["seconds"][test] for test in tests)
            trial = Trial(mutant, folder, original, end_of_trial)
            module.write_text(changed(original, mutant), encoding="utf-8")
            Path(importlib.util.cache_from_source(module)).unlink(missing_ok=True)  # the code of the previous fault
            modules = sorted({test.partition("::")[0] for test in tests})
            pid = started(folder, ["-x", *modules], lambda tests=tests: Selection(tests))  # type: ignore[misc]
            running[pid] = trial
            continue
        time.sleep(0.02)
        for pid, trial in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() > trial.end:
                os.killpg(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                timeouts += 1
            elif not done:
                continue
            del running[pid]
            (trial.folder / trial.mutant.path).write_text(trial.original, encoding="utf-8")
            free.append(trial.folder)
            killed += status != 0
            if status == 0:
                survivors += 1
                path, line = trial.mutant.path, trial.mutant.line
                text = trial.original.splitlines()[line - 1].strip()
                print(f"  survived: {path}:{line}  {trial.mutant.change}\n    {text}", flush=True)
            print(f"{killed} of {killed + survivors}", end="\r", flush=True)
    if waiting:
        print(f"out of time; {len(waiting)} mutants were not tried")
    tried = killed + survivors
    print(f"killed {killed} of {tried}: {killed / max(1, tried):.0%}; {timeouts} of them by the time limit")


if __name__ == "__main__":
    main()
