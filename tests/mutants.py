"""Measure how many seeded faults the tests find: ``python -m tests.mutants --mutants 150 --seconds 1500``.

A mutant is the package with one operator or number changed, in the engine, the optimizers, the theory or the search. A
seeded sample of all mutants is drawn; for each, the fast tests of its part run in a copy of the repository until one
fails. A mutant that no test kills is printed with its line: it is either equivalent, or a test is missing.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

TESTS = {
    "engine.py": "test_engine test_classics test_golden",
    "outcome.py": "test_engine test_sweep_grids",
    "optimizers": "test_golden test_optimizers test_second_gradients",
    "theory": "test_theory test_theory_figures",
    "search": "test_tuning test_halving test_sweep_grids test_comparison test_reliable_choice",
}
"""The parts of the package, and the test modules of each, fast ones first."""

NOT_MUTATED = ("adapters",)
"""Adapters of other libraries need those libraries."""

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
    """One change of one module: the position of the node in the walk over its tree, and what happens to it."""

    path: Path
    position: int
    line: int
    change: str


def mutated_nodes(tree: ast.Module) -> Iterator[tuple[int, ast.AST]]:
    """Yield the nodes that decide about numbers, with their positions: no messages, annotations or declarations."""
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


def mutants() -> list[Mutant]:
    """Return all mutants of the package."""
    found = []
    for part in TESTS:
        place = ROOT / "momentumlab" / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if not any(name in path.parts for name in NOT_MUTATED):
                for position, node in mutated_nodes(ast.parse(path.read_text(encoding="utf-8"))):
                    if change := change_of(node):
                        found.append(Mutant(path.relative_to(ROOT), position, getattr(node, "lineno", 0), change))
    return found


def source_of(mutant: Mutant) -> str:
    """Return the code of the changed module."""
    tree = copy.deepcopy(ast.parse((ROOT / mutant.path).read_text(encoding="utf-8")))
    mutate(next(node for position, node in enumerate(ast.walk(tree)) if position == mutant.position))
    return ast.unparse(tree)


def tests_of(mutant: Mutant) -> list[str]:
    """Return the test modules of a mutant's part."""
    return [f"tests/{name}.py" for name in TESTS[mutant.path.parts[1]].split()]


def is_killed(tests: list[str], folder: Path, seconds: float) -> bool:
    """Return whether a test fails, or none ends in time, in a copy of the repository."""
    pid = os.fork()
    if pid == 0:
        os.setsid()  # what the tests start ends with them
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        import pytest

        options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-p", "no:randomly"]
        os._exit(1 if pytest.main([*options, *tests]) else 0)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return status != 0
            time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True
    except ProcessLookupError:
        return True


def main() -> None:
    """Run the tests of a sample of mutants, and print those that survive."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--mutants", type=int, default=150)
    parser.add_argument(
        "--seconds",
        type=float,
        default=1500,
        help="time for all of them, after the tests have run once without a fault",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Children inherit these imports; the package itself is imported by each of them.
    import matplotlib.figure  # noqa: F401
    import numpy  # noqa: F401
    import scipy.optimize  # noqa: F401
    import sympy  # noqa: F401

    everything = mutants()
    sample = random.Random(options.seed).sample(everything, min(options.mutants, len(everything)))
    print(f"{len(sample)} of {len(everything)} mutants, seed {options.seed}", flush=True)
    killed, survivors = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "repository"
        left_out = shutil.ignore_patterns(".*", "*.ipynb", "__pycache__")
        shutil.copytree(ROOT, folder, ignore=left_out)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        times = {}
        for part, words in list(TESTS.items()):
            begun = time.monotonic()
            for word in words.split():
                if is_killed([f"tests/{word}.py"], folder, 600):
                    print(f"  {word} fails without a fault, and is left out")
                    TESTS[part] = TESTS[part].replace(word, "").strip()
            times[part] = time.monotonic() - begun
            print(f"  {part}: {times[part]:.0f} s", flush=True)
        end = time.monotonic() + options.seconds
        for number, mutant in enumerate(sample):
            if time.monotonic() > end:
                print(f"out of time after {number} mutants")
                break
            original = (folder / mutant.path).read_text(encoding="utf-8")
            (folder / mutant.path).write_text(source_of(mutant), encoding="utf-8")
            if is_killed(tests_of(mutant), folder, 3 * times[mutant.path.parts[1]] + 10):
                killed += 1
            else:
                survivors += 1
                line = (ROOT / mutant.path).read_text(encoding="utf-8").splitlines()[mutant.line - 1].strip()
                print(f"  survived: {mutant.path}:{mutant.line}  {mutant.change}\n    {line}", flush=True)
            (folder / mutant.path).write_text(original, encoding="utf-8")
    print(f"killed {killed} of {killed + survivors}: {killed / max(1, killed + survivors):.0%}")


if __name__ == "__main__":
    main()
