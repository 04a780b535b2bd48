"""Functions of PyTorch tensors and JAX arrays as surfaces. Tests that need a library are skipped without it."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.errors import ConfigError, UnknownNameError
from momentumlab.imports import ALLOW_IMPORT
from momentumlab.surfaces import SURFACES, from_function
from momentumlab.surfaces.base import CriticalKind, Surface
from tests.conftest import ROOT, Command

pytestmark = pytest.mark.usefixtures("own_functions")

MODULE = '''
"""Losses of the tests."""
import {library} as library
{imports}

CURVATURES = {array}([1 / 8, 18.0])

def ravine(x):
    """A ravine."""
    return x[0] ** 2 / 16 + 9 * x[1] ** 2

def quadratic(x):
    return 0.5 * (CURVATURES * x**2).sum()

def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2

def squares(x):
    return (({arange} - x) ** 2).sum()

def product(x):
    return {tanh}(x @ {array}([[0.3, 1.1, 0.2], [0.5, -0.7, 0.9], [1.3, 0.1, 0.4]])).sum()

def branches(x):
    return x[0] ** 2 if x[0] > 0 else 3 * x[0] ** 2 + x[1] ** 2

def vector(x):
    return x**2

def single(x):
    return {single}

def number(x):
    return 3.0

five = 5
'''

WORDS = {
    "torch": {
        "imports": "import torch",
        "array": "torch.tensor",
        "arange": "torch.arange(float(len(x)))",
        "tanh": "torch.tanh",
        "single": "x.float().sum()",
    },
    "jax": {
        "imports": "import jax.numpy as jnp",
        "array": "jnp.array",
        "arange": "jnp.arange(float(len(x)))",
        "tanh": "jnp.tanh",
        "single": "x.astype('float32').sum()",
    },
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules in the current folder, and consent to import them."""
    for library, words in WORDS.items():
        (tmp_path / f"losses_of_{library}.py").write_text(MODULE.format(library=library, **words))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ALLOW_IMPORT, "1")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    from momentumlab.surfaces import functions

    for cached in (functions.named_function, functions._fixed, functions._critical_points):
        cached.cache_clear()
    for library in WORDS:
        sys.modules.pop(f"losses_of_{library}", None)


@pytest.fixture(params=["torch", "jax"])
def library(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def name(library: str, function: str) -> str:
    return f"{library}:losses_of_{library}:{function}"


def surface(library: str, function: str) -> Surface:
    return SURFACES[name(library, function)]()


def points(dim: int, lanes: int) -> Any:
    return np.random.default_rng(0).normal(size=(dim, lanes))


def test_gradients_and_hessians_are_the_closed_forms(library: str) -> None:
    x = points(2, 200)
    ravine = SURFACES["ravine"]()
    for function in ("ravine", "quadratic"):
        own = surface(library, function)
        np.testing.assert_allclose(own.value(x), ravine.value(x), rtol=1e-14)
        np.testing.assert_allclose(own.gradient(x), ravine.gradient(x), rtol=1e-14)
        np.testing.assert_allclose(own.hessian(x), ravine.hessian(x), rtol=1e-14)
    own, built_in = surface(library, "himmelblau"), SURFACES["himmelblau"]()
    np.testing.assert_allclose(own.gradient(x), built_in.gradient(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(own.hessian(x), built_in.hessian(x), rtol=1e-12, atol=1e-12)


def test_a_path_and_its_theory_are_those_of_the_same_built_in_surface(library: str) -> None:
    settings: dict[str, Any] = {"optimizer": "momentum", "lr": [0.02, 0.1], "beta": 0.9, "start": [-2.4, 0.2]}
    own = momentumlab.run(surface=name(library, "ravine"), iterations=80, **settings)
    built_in = momentumlab.run(surface="ravine", iterations=80, **settings)
    np.testing.assert_allclose(own.positions, built_in.positions, rtol=1e-12, atol=1e-14)
    assert [row["rate"] for row in own.summary()] == pytest.approx([row["rate"] for row in built_in.summary()])
    predictions = momentumlab.predict(surface=name(library, "ravine"), **settings)
    for one, other in zip(predictions, momentumlab.predict(surface="ravine", **settings), strict=True):
        assert one.nearest is not None
        assert other.nearest is not None
        assert one.nearest.rate == pytest.approx(other.nearest.rate, rel=1e-12)


def test_critical_points_are_found_in_the_view_window(library: str) -> None:
    found = surface(library, "himmelblau").critical_points(2)
    known = SURFACES["himmelblau"]().critical_points(2)
    assert len(found) == len(known)
    for stated in known:
        distance = min(np.abs(np.subtract(point.point, stated.point)).max() for point in found)
        assert distance < 1e-8
    assert {point.kind for point in found} == {CriticalKind.LOWEST_FOUND, CriticalKind.SADDLE, CriticalKind.MAXIMUM}


@pytest.mark.parametrize(("function", "dim"), [("ravine", 2), ("squares", 30), ("product", 3), ("branches", 2)])
def test_the_numbers_of_a_lane_do_not_depend_on_the_other_lanes(library: str, function: str, dim: int) -> None:
    own, x = surface(library, function), points(dim, 700)
    for compute in (own.value, own.gradient):
        whole = compute(x)
        for first, last in ((0, 1), (5, 9), (100, 400), (699, 700)):
            assert compute(x[:, first:last].copy()).tobytes() == whole[..., first:last].tobytes()


def test_a_function_that_cannot_be_vectorised_is_called_once_per_trial(library: str) -> None:
    own, x = surface(library, "branches"), points(2, 20)
    expected = np.where(x[0] > 0, 2 * x[0], 6 * x[0])
    np.testing.assert_allclose(own.gradient(x), np.stack([expected, np.where(x[0] > 0, 0, 2 * x[1])]))
    assert own.notes(2)[0].endswith("gradient by autograd, one call per trial: vmap does not apply")
    assert surface(library, "ravine").notes(2)[0].endswith("gradient by autograd, all trials in one call")


def test_the_start_and_the_view_give_the_number_of_coordinates(library: str) -> None:
    five = momentumlab.run(surface=name(library, "squares"), optimizer="sgd", lr=0.5, start=[9.0] * 5, iterations=1)
    assert five.final_points.tolist() == [[0, 1, 2, 3, 4]]
    viewed = {"name": name(library, "squares"), "view": [[-2, 2], [-1, 1], [0, 4]]}
    experiment = momentumlab.load(surface=viewed, optimizer="sgd")
    assert (experiment.dimension, experiment.first_surface.window(3)) == (3, ((-2, 2), (-1, 1), (0, 4)))
    moved = momentumlab.load(surface={**viewed, "shift": [1.0, 0.0, 0.0]}, optimizer="sgd")
    assert moved.first_surface.critical_points(3)[0].point == pytest.approx((1, 1, 2), abs=1e-9)


def test_functions_of_a_library_are_recognised_in_python(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    module = importlib.import_module(f"losses_of_{library}")

    class Model:
        def __call__(self, x: Any) -> Any:
            return module.quadratic(x)

    for function in (module.quadratic, Model()):
        result = momentumlab.run(surface=function, optimizer="sgd", lr=0.05, start=[-2.4, 0.2], iterations=9)
        assert "gradient by autograd" in result.notes[0]
        expected = momentumlab.run(surface="ravine", optimizer="sgd", lr=0.05, start=[-2.4, 0.2], iterations=9)
        np.testing.assert_allclose(result.final_points, expected.final_points, rtol=1e-12)
    with pytest.raises(ConfigError, match="argument gradient: the gradient of a function of"):
        from_function(module.quadratic, lambda x: x)


def test_the_command_line_runs_a_function_and_records_the_library(library: str, command: Command) -> None:
    words = ["--optimizer", "momentum", "--lr", "0.02,0.05", "--iterations", "30", "--no-plots"]
    done = command("--allow-import", "run", "--surface", name(library, "ravine"), *words)
    assert done.returncode == 0, done.stderr
    document = next(Path("runs").glob("*/result.json")).read_text()
    assert re.search(rf'"libraries": {{"{library}": "[0-9.]+', document)
    again = command("--allow-import", "run", str(next(Path("runs").glob("*/experiment.yaml"))), "--no-plots")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("vector", r"returns an array of shape \(2,\) at \[-4.0, 2.2\], not a number"),
        ("single", "returns (torch.)?float32: make its parameters and constants float64"),
        ("number", "returns a float, not a (torch.Tensor|jax.Array): autograd cannot differentiate it"),
        ("product", "the function fails at .*coordinates is that of 'start' or of the view"),
        ("five", "five is of type int, not a function"),
        ("ravin", "has no function 'ravin' .did you mean '(torch|jax):losses_of_(torch|jax):ravine'"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_with_the_reason(library: str, function: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        momentumlab.load(surface=name(library, function), optimizer="sgd")


# Without the libraries


def test_a_module_is_imported_only_with_consent(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("harmless.py").write_text("raise SystemExit('imported')")
    monkeypatch.delenv(ALLOW_IMPORT)
    refused = command("run", "--surface", "torch:harmless:f", "--optimizer", "sgd", MOMENTUMLAB_ALLOW_IMPORT="")
    assert refused.returncode == 2
    assert "imports the module harmless, which runs its code: momentumlab --allow-import" in refused.stderr
    with pytest.raises(ConfigError, match="set MOMENTUMLAB_ALLOW_IMPORT=1"):
        momentumlab.load(surface="jax:harmless:f", optimizer="sgd")
    assert "harmless" not in sys.modules


@pytest.mark.parametrize("missing", ["torch", "jax"])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("without_imports.py").write_text("def loss(x):\n    return x.sum()\n")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UnknownNameError, match=rf'needs {missing}.*pip install "momentumlab\[{missing}\]"'):
        _ = SURFACES[f"{missing}:without_imports:loss"]


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("torch:loss", "names no function: write torch:package.module:function"),
        ("torch:no_such_module:loss", "module no_such_module not found: run the command in its folder, or install"),
        ("torch:broken:loss", r"importing broken fails: ZeroDivisionError: division by zero \(.*broken.py:2\)"),
        ("torch:broken_syntax:loss", r"importing broken_syntax fails: SyntaxError: .*broken_syntax.py:1"),
        ("torch:needs_other:loss", "needs no_such_library, which is not installed: pip install no_such_library"),
        ("torch:broken:loss on 2..1", "invalid view window"),
    ],
)
def test_a_name_that_refers_to_nothing_is_refused_with_the_reason(spelled: str, message: str) -> None:
    Path("broken.py").write_text("a = 0\n1 / a\n")
    Path("broken_syntax.py").write_text("def\n")
    Path("needs_other.py").write_text("import no_such_library\n")
    with pytest.raises(ConfigError, match=message):
        momentumlab.load(surface=spelled, optimizer="sgd")


def test_a_page_cannot_import_a_module() -> None:
    from momentumlab.live.laboratory import Laboratory, Request

    laboratory = Laboratory(momentumlab.load(surface="ravine", optimizer="sgd"))
    for settings in ({"surface": "torch:antigravity:f"}, {"surface": "ravine", "optimizer": "antigravity:f"}):
        with pytest.raises(ConfigError, match="a page cannot import modules"):
            laboratory._read(Request(settings=settings))
    assert "antigravity" not in sys.modules


def test_the_example_of_the_documentation_runs(command: Command) -> None:
    pytest.importorskip("torch")
    page = (ROOT / "docs" / "extending.md").read_text()
    example = page[page.index("## PyTorch and JAX functions") :]
    code = re.search(r"```py\n(.*?)```", example, re.DOTALL)
    shell = re.search(r"```console\n(.*?)```", example, re.DOTALL)
    assert code is not None
    assert shell is not None
    Path("losses.py").write_text(code[1])
    for line in shell[1].splitlines():
        if line.startswith("momentumlab "):
            done = command(*line.replace('"', "").split()[1:])
            assert done.returncode == 0, done.stderr
