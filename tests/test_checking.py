"""``momentumlab check`` reports mistakes in surfaces and optimizers with their most likely cause."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from momentumlab import plugins
from momentumlab.errors import ConfigError
from momentumlab.parameters import Array
from momentumlab.plugins import load_plugin
from momentumlab.surfaces import SURFACES
from momentumlab.testing import OPTIMIZER_CONTRACTS, SURFACE_CONTRACTS
from momentumlab.testing.checking import check_entry as check
from momentumlab.testing.derivatives import central, complex_steps, disagreement
from momentumlab.testing.templates import plugin_files
from tests.conftest import Command

VALUE = "x[0] ** 4 / 4 - self.a * x[0] ** 2 / 2 + self.b * x[1] ** 2 / 2"
GRADIENT = "np.stack([x[0] ** 3 - self.a * x[0], self.b * x[1]])"
HESSIAN = "np.array([[3 * x[0] ** 2 - self.a, zero], [zero, zero + self.b]])"
STEP = "v / (np.abs(v) + self.delta)"


@pytest.fixture
def checked(tmp_path: Path) -> Iterator["Checked"]:
    folder = Checked(tmp_path)
    yield folder
    folder.clear()


class Checked:
    """Change the file that ``new`` writes, load it and check it."""

    def __init__(self, folder: Path) -> None:
        self.paths = {"surface": folder / "my_wells.py", "optimizer": folder / "my_rule.py"}

    def __call__(self, noun: str, *changes: tuple[str, str]) -> dict[str, str]:
        """The problems, by contract."""
        path = self.paths[noun]
        text = plugin_files(noun, path)[path]
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text)
        load_plugin(path)
        return {finding.contract: finding.problem for finding in check(noun, path.stem) if finding.problem is not None}

    def clear(self) -> None:
        for path in self.paths.values():
            plugins.unload_plugin(path)


@pytest.mark.parametrize("contract", SURFACE_CONTRACTS, ids=lambda contract: contract.__name__)
@pytest.mark.parametrize("name", SURFACES)
def test_every_surface_satisfies_the_contract(contract: Callable[[str], None], name: str) -> None:
    with np.errstate(all="ignore"):
        contract(name)


@pytest.mark.parametrize("noun", ["surface", "optimizer"])
def test_templates_satisfy_all_contracts(checked: Checked, noun: str) -> None:
    assert checked(noun) == {}


GRADIENT_CONTRACT = "gradient_matches_value"
SURFACE_MISTAKES = [
    (
        GRADIENT_CONTRACT,
        "2 times the expected value everywhere, too large by a factor of 2",
        GRADIENT,
        GRADIENT.replace("self.b * x[1]", "2 * self.b * x[1]"),
    ),
    (GRADIENT_CONTRACT, "too small by a factor of 3", GRADIENT, GRADIENT.replace("self.b * x[1]", "self.b * x[1] / 3")),
    (
        GRADIENT_CONTRACT,
        "coordinate 0, at .*the sign is reversed",
        GRADIENT,
        GRADIENT.replace("x[0] ** 3 - self.a * x[0]", "self.a * x[0] - x[0] ** 3"),
    ),
    (GRADIENT_CONTRACT, "coordinates [01] and [01] are swapped", GRADIENT, f"{GRADIENT}[::-1]"),
    (
        GRADIENT_CONTRACT,
        r"coordinate 1, .*: off by \+0\.5 everywhere",
        GRADIENT,
        GRADIENT.replace("self.b * x[1]", "self.b * x[1] + 0.5"),
    ),
    (
        GRADIENT_CONTRACT,
        "coordinate 1, .*zero everywhere, a term forgotten",
        GRADIENT,
        GRADIENT.replace("self.b * x[1]", "0 * x[1]"),
    ),
    (
        GRADIENT_CONTRACT,
        r"coordinate 0, at \(.*\) is .*; the values say ",
        GRADIENT,
        GRADIENT.replace("x[0] ** 3", "x[0] ** 3.00001"),
    ),
    (
        "hessian_matches_gradient",
        "row 0 of the Hessian, coordinate 0",
        HESSIAN,
        HESSIAN.replace("3 * x[0]", "2 * x[0]"),
    ),
    (
        "hessian_matches_gradient",
        r"not symmetric: \[1, 0\] is 1 and \[0, 1\] is 0",
        HESSIAN,
        HESSIAN.replace("[zero, zero + self.b]", "[zero + 1, zero + self.b]"),
    ),
    (
        "has_correct_shapes",
        r"the value of 1 points .* has shape \(\); expected \(1,\); does a sum lack axis=0",
        VALUE,
        f"np.sum({VALUE})",
    ),
    ("has_correct_shapes", r"the gradient .* has shape \(1, 2\); expected \(2, 1\)", GRADIENT, f"{GRADIENT}.T"),
    ("has_correct_shapes", "has type float32; expected float64", VALUE, f"({VALUE}).astype(np.float32)"),
    ("is_pure", "gradient changes the points", f"return {GRADIENT}", f"x -= 0.1\n        return {GRADIENT}"),
    ("is_pure", "value returns different results", VALUE, f"{VALUE} + np.random.default_rng().normal()"),
    ("lanes_are_independent", "do lanes, the last axis, mix", VALUE, f"{VALUE} + x[0].mean()"),
    ("lanes_are_independent", "a difference in rounding", VALUE, f"{VALUE} + 1e-16 * x.shape[1]"),
    (
        "parameters_may_vary_by_lane",
        "a must accept an array.*np.where instead of 'if'",
        f"return {VALUE}",
        f"assert True if self.a > 0 else False\n        return {VALUE}",
    ),
    (
        "every_parameter_has_an_effect",
        "c has no effect",
        "    # Shown by",
        '    c: Real = parameter(1.0, doc="nothing")\n    # Shown by',
    ),
    ("is_finite_in_the_window", r"the value is not finite at", VALUE, f"{VALUE} + 0 * np.log(x[0] + 1.9)"),
    ("critical_points_are_correct", "the gradient there is 24, not zero", "self.a**0.5\n", "self.a**0.5 + 2\n"),
    ("critical_points_are_correct", "the loss there is -0.25, not -0.3", "-(self.a**2) / 4", "-0.3 * self.a**2"),
    (
        "critical_points_are_correct",
        r"by the losses around it, it is a saddle",
        "saddle_point(0.0, 0.0, loss=0.0)",
        "minimum(0.0, 0.0, loss=0.0)",
    ),
    ("is_documented", "the parameter a has no doc", "the wells are at x = ±√a", ""),
    ("is_documented", "no docstring", '    """Two wells with a saddle between them."""\n', ""),
    ("is_documented", r"the start \[0.2, 3.2\] lies outside", "(0.2, 1.2)", "(0.2, 3.2)"),
    (
        "is_documented",
        r"the default of a, 1, is not within its bounds, 0 < a < 1",
        'gt=0, doc="the wells',
        'gt=0, lt=1, doc="the wells',
    ),
    (
        "has_correct_shapes",
        r"my_wells.py:\d+ in MyWells.value: ZeroDivisionError: division by zero",
        VALUE,
        f"{VALUE} + 1 / 0",
    ),
]


@pytest.mark.parametrize(("contract", "message", "old", "new"), SURFACE_MISTAKES)
def test_mistakes_in_a_surface_are_found(checked: Checked, contract: str, message: str, old: str, new: str) -> None:
    problems = checked("surface", (old, new))
    assert contract in problems, problems
    assert re.search(message, problems[contract]), problems[contract]


INIT = "return State(np.zeros_like(x))"
AVERAGE = "v = self.beta * state.v + (1 - self.beta) * g"
OPTIMIZER_MISTAKES = [
    (
        "step_is_pure",
        "step changes its arguments",
        AVERAGE,
        "v = state.v\n        v *= self.beta\n        v += (1 - self.beta) * g",
    ),
    (
        "step_is_pure",
        r"the velocity must have the shape .*\(3, 5\); it has \(3, 1\)",
        STEP,
        f"({STEP})[:, :1]",
    ),
    ("step_is_pure", r"the state must keep its shapes", f"{STEP}, State(v)", f"{STEP}, State(v[0])"),
    (
        "step_is_pure",
        "the state must be a NamedTuple; init returns ndarray",
        INIT,
        "return np.zeros_like(x)",
    ),
    ("lanes_are_independent", "is different in a batch", STEP, f"{STEP} + 1e-9 * v.mean()"),
    (
        "lanes_are_independent",
        r"the last axis of the state's v must be the 5 lanes; its shape is \(\)",
        INIT,
        "return State(np.float64(0.0))",
    ),
    (
        "hyperparameters_may_vary_by_lane",
        "beta must accept an array: .*np.where instead of",
        AVERAGE,
        f"v = 0 * g if self.beta > 2 else g\n        {AVERAGE}",
    ),
    (
        "lanes_can_be_replaced",
        "removing lanes changes the others",
        STEP,
        f"{STEP} + 0.1 * np.abs(v).sum(axis=1, keepdims=True)",
    ),
    (
        "iterations_may_vary_by_lane",
        "step must accept an array for t",
        AVERAGE,
        f"v = g if here.t == 1 else 0 * g\n        {AVERAGE}",
    ),
    ("every_hyperparameter_has_an_effect", "delta has no effect", "self.delta)", "0.1)"),
    ("converges_on_a_quadratic", "no learning rate leads to the minimum", STEP, f"-{STEP}"),
    ("stays_finite_without_a_gradient", "from", "(np.abs(v) + self.delta)", "(np.abs(v) + 0 * self.delta)"),
    ("is_documented", "parameter beta has no doc", "decay of the average", ""),
    (
        "gradients_are_counted",
        "step calls here.gradient 1 times: set gradients_per_step = 2",
        AVERAGE,
        AVERAGE.replace("* g", "* here.gradient(here.x - here.lr * g)"),
    ),
    (
        "gradients_are_counted",
        r"my_rule.py:\d+ in MyRule.step: .*here.surface.gradient .*call here.gradient\(x\)",
        AVERAGE,
        AVERAGE.replace("* g", "* here.surface.gradient(here.x)"),
    ),
    (
        "converges_on_a_quadratic",
        r"my_rule.py:\d+ in MyRule.step: KeyError: 'v'",
        AVERAGE,
        f"raise KeyError('v')\n        {AVERAGE}",
    ),
]


@pytest.mark.parametrize(("contract", "message", "old", "new"), OPTIMIZER_MISTAKES)
def test_mistakes_in_an_optimizer_are_found(checked: Checked, contract: str, message: str, old: str, new: str) -> None:
    problems = checked("optimizer", (old, new))
    assert contract in problems, problems
    assert re.search(message, problems[contract]), problems[contract]


def test_every_contract_can_be_broken() -> None:
    """A contract that no mistake above violates would not be tested."""
    broken = {contract for contract, *_ in (*SURFACE_MISTAKES, *OPTIMIZER_MISTAKES)}
    every = {contract.__name__ for contract in (*SURFACE_CONTRACTS, *OPTIMIZER_CONTRACTS)}
    assert every - broken == {"bounds_are_enforced"}, "configurations enforce the bounds, not the class"


def kinked(x: Array) -> Array:
    value: Array = np.abs(x[0]) + x[1] * x[1]
    return value


def test_points_near_a_kink_are_not_judged() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, size=(2, 40))
    gradient = np.stack([np.sign(x[0]), 2 * x[1]])
    assert disagreement("the gradient", kinked, gradient, x, np.array([2.0, 2.0])) == ""
    assert "sign is reversed" in disagreement("the gradient", kinked, gradient * [[1], [-1]], x, np.array([2.0, 2.0]))
    assert not complex_steps(kinked, x)[0].any(), "complex steps of a modulus are wrong and must not be used"  # type: ignore[index]


def test_differences_and_complex_steps_match_the_closed_form() -> None:
    x = np.random.default_rng(2).uniform(-1, 1, size=(2, 30))

    def value(x: Array) -> Array:
        result: Array = np.exp(x[0]) * np.sin(3 * x[1])
        return result

    expected = np.stack([np.exp(x[0]) * np.sin(3 * x[1]), 3 * np.exp(x[0]) * np.cos(3 * x[1])])
    np.testing.assert_allclose(central(value, x, np.array([4e-3, 4e-3])), expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(complex_steps(value, x), expected, rtol=1e-13, atol=1e-15)  # type: ignore[arg-type]


def test_the_command_reports_problems_and_exits_with_2(command: Command, tmp_path: Path) -> None:
    assert command("new", "--surface-plugin", "my_wells.py", "--optimizer-plugin", "my_rule.py").stdout.split() == [
        "my_wells.py",
        "test_my_wells.py",
        "my_rule.py",
        "test_my_rule.py",
    ]
    good = command("check", "my_wells.py", "momentum", "rosenbrock")
    assert (good.returncode, good.stderr) == (0, "")
    assert [line for line in good.stdout.splitlines() if not line.startswith("  passed  ")] == [
        "surface my_wells",
        "optimizer momentum",
        "surface rosenbrock",
        "all 31 contracts kept",
    ]
    path = tmp_path / "my_wells.py"
    path.write_text(path.read_text().replace("self.b * x[1]]", "2 * self.b * x[1]]"))
    bad = command("check", "my_wells.py")
    assert (bad.returncode, bad.stderr) == (2, "")
    assert "  FAILED  The gradient is the derivative of the value.\n          the gradient, coordinate 1" in bad.stdout
    document = json.loads(command("check", "my_wells.py", "--format", "json").stdout)
    assert document["passed"] is False
    assert len(document["findings"]) == len(SURFACE_CONTRACTS)
    for argument, message in (("nonsense", "is not a file, a surface or an optimizer"), ("no.py", "no such file")):
        done = command("check", argument)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr


def test_new_writes_plugins_with_tests_that_pass_and_overwrites_nothing(command: Command, tmp_path: Path) -> None:
    command("new", "--surface-plugin", "my_wells.py", "--optimizer-plugin", "my_rule.py")
    # All contracts hold, as tested above; here a few of the written tests are run as a user would run them.
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "-k",
        "follows or pure",
    ]
    done = subprocess.run([*pytest_, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"4 passed, {len(SURFACE_CONTRACTS) + len(OPTIMIZER_CONTRACTS) - 2} deselected" in done.stdout
    (tmp_path / "my_wells.py").unlink()
    done = command("new", "--surface-plugin", "my_wells.py")
    assert (done.returncode, done.stderr) == (1, "error: test_my_wells.py: already exists; --force overwrites it\n")
    assert not (tmp_path / "my_wells.py").exists(), "both files, or none"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("ravine.py", "the name surface 'ravine' is taken"),
        ("my-lab.py", "'my-lab' is not a valid name"),
        ("x1.py", "'x1' is not a valid name"),
        ("lab.txt", "its name ends in .py"),
    ],
)
def test_invalid_plugin_names_are_rejected(file: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plugin_files("surface", Path(file))
