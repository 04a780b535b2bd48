"""The shape of the package: imports run one way, and heavy libraries are loaded only where they are needed."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import momentumlab
from tests.conftest import ROOT

PACKAGE = ROOT / "momentumlab"

# From the inside out: a module imports from its own room and from those before it.
ROOMS = [
    "errors",
    "system",
    "stopping",
    "cache",
    "imports",
    "registry",
    "parameters",
    "lanes",
    "calls",
    "scales",
    "schedules",
    "noise",
    "datasets",
    "surfaces",
    "optimizers",
    "keywords",
    "plugins",
    "conventions",
    "experiment",
    "plan",
    "user_code",
    "result",
    "outcome",
    "engine",
    "kernels",
    "executor",
    "clusters",
    "search",
    "theory",
    "config",
    "report",
    "runs",
    "live",
    "execution",
    "api",
    "testing",
    "cli",
    "__main__",
]

# A result's figures and its notebook table are methods for the convenience of notebooks.
LAZY_EXCEPTIONS = {("result", "report"), ("result", "runs"), ("search", "report"), ("result", "api")}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, ast.parse(path.read_text(), str(path))


def imported_rooms(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("momentumlab."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "momentumlab":
            yield from (alias.name for alias in node.names if alias.name in ROOMS)


def test_imports_run_one_way() -> None:
    for room, tree in modules():
        for target in imported_rooms(tree):
            allowed = ROOMS.index(target) <= ROOMS.index(room) or (room, target) in LAZY_EXCEPTIONS
            assert allowed, f"{room} imports {target}"


# The only imports that close a circle; all of them are made when a function is called.
CLOSING_IMPORTS = {
    ("momentumlab.result", "momentumlab.report"),  # the aliases for notebooks
    ("momentumlab.result", "momentumlab.api"),  # save_page
    ("momentumlab.result", "momentumlab.runs"),  # and for saving animations
    ("momentumlab.search.comparison", "momentumlab.report"),
    ("momentumlab.surfaces.base", "momentumlab.surfaces.expressions"),  # SURFACES["x**2 + y**2"]
    ("momentumlab.surfaces.base", "momentumlab.surfaces.functions"),  # SURFACES["torch:package.module:function"]
    ("momentumlab.surfaces.base", "momentumlab.surfaces.moved"),  # SURFACES["moved(ravine)"]
    ("momentumlab.surfaces.base", "momentumlab.surfaces.one_of"),  # surface: [ravine, booth]
    ("momentumlab.optimizers.base", "momentumlab.optimizers.adapters"),  # OPTIMIZERS["torch:AdamW"]
    ("momentumlab.datasets.data_table", "momentumlab.datasets.npz_files"),  # a file that turns out to be an archive
}


def test_no_two_modules_have_the_same_name() -> None:
    names = [path.stem for path in PACKAGE.rglob("*.py") if path.stem not in ("__init__", "__main__", "base")]
    assert sorted(names) == sorted(set(names))


def module_imports() -> dict[str, set[str]]:
    """The modules that each module imports, at its top or in a function. The package itself only names its parts."""
    paths = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "") in paths:
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                found.setdefault(name, set()).update(each if each in paths else str(node.module) for each in full)
    return {name: targets - {name, "momentumlab"} for name, targets in found.items() if name != "momentumlab"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: {
            target
            for target in targets
            if not any(name == source and target.startswith(package) for source, package in CLOSING_IMPORTS)
        }
        for name, targets in module_imports().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def loaded(program: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after a program."""
    program += "\nimport sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_engine_loads_numpy_and_nothing_else_of_weight() -> None:
    packages = loaded("import momentumlab.engine")
    assert "numpy" in packages
    assert not packages & {"yaml", "typer", "rich", "matplotlib", "pydantic", "sympy", "click"}


def test_importing_the_package_loads_nothing_of_weight() -> None:
    assert not loaded("import momentumlab") & {"numpy", "yaml", "typer", "rich", "matplotlib", "pydantic"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["translate", "--help"], ["runs", "--help"], ["--version"]]
)
def test_help_loads_neither_numpy_nor_matplotlib(arguments: list[str]) -> None:
    program = f"""
from momentumlab.cli import app
try:
    app({arguments!r})
except SystemExit:
    pass
"""
    assert not loaded(program) & {"numpy", "matplotlib", "yaml"}


def test_a_list_of_runs_loads_neither_numpy_nor_yaml() -> None:
    folder = ROOT / "tests" / "data" / "runs"
    program = f"""
from momentumlab.cli import app
try:
    app(["runs", "--out", {str(folder)!r}])
except SystemExit as end:
    assert end.code == 0
"""
    assert not loaded(program) & {"numpy", "matplotlib", "yaml"}


def test_a_run_without_plots_does_not_load_matplotlib(tmp_path: Path) -> None:
    config = ROOT / "configs" / "ravine_beta_sweep.yaml"
    program = f"""
from momentumlab.cli import app
try:
    app(["run", {str(config)!r}, "--no-plots", "--out", {str(tmp_path)!r}])
except SystemExit:
    pass
"""
    assert "matplotlib" not in loaded(program)


def test_sympy_is_loaded_only_for_the_formula_of_an_expression() -> None:
    run = "import momentumlab; result = momentumlab.run(surface='x**2', optimizer='sgd', iterations=1)"
    assert "sympy" not in loaded(run)
    assert "sympy" in loaded(f"{run}; result.experiment.first_surface.latex")


def test_one_module_imports_sympy_and_no_module_evaluates_text() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                named = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
                assert path.name == "symbolic.py" or not any(name.split(".")[0] == "sympy" for name in named)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                is_kernel = path.name == "compiler.py"  # a kernel's text is written from a graph of operations
                assert is_kernel or node.func.id not in ("eval", "exec", "compile", "__import__"), path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("sympify", "lambdify", "parse_expr"), path


def test_figures_do_without_pyplot() -> None:
    program = (
        "import momentumlab, sys; momentumlab.run(surface='ravine', optimizer='sgd').plot_trajectories().canvas.draw();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_can_be_imported() -> None:
    for name in momentumlab.__all__:
        assert getattr(momentumlab, name) is not None
    assert set(momentumlab.__all__) <= set(dir(momentumlab))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = momentumlab.nonsense
