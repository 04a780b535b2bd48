"""``momentumlab check``: what is wrong with a surface or an optimizer is found, and said with its likeliest cause."""

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
from momentumlab.plugins import load_plugin
from momentumlab.registry import Array
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
    """Changes the file that ``new`` writes, loads it and checks it."""

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
def test_every_surface_of_the_catalogue_keeps_its_promises(contract: Callable[[str], None], name: str) -> None:
    with np.errstate(all="ignore"):
        contract(name)


@pytest.mark.parametrize("noun", ["surface", "optimizer"])
def test_what_new_writes_keeps_all_promises(checked: Checked, noun: str) -> None:
    assert checked(noun) == {}


GRADIENT_CONTRACT = "has_the_gradient_of_its_value"
SURFACE_MISTAKES = [
    (
        GRADIENT_CONTRACT,
        "2 times what it should be everywhere, a factor 2 too much",
        GRADIENT,
        GRADIENT.replace("self.b * x[1]", "2 * self.b * x[1]"),
    ),
    (GRADIENT_CONTRACT, "a factor 3 too little", GRADIENT, GRADIENT.replace("self.b * x[1]", "self.b * x[1] / 3")),
    (
        GRADIENT_CONTRACT,
        "coordinate 0, at .*the sign is turned",
        GRADIENT,
        GRADIENT.replace("x[0] ** 3 - self.a * x[0]", "self.a * x[0] - x[0] ** 3"),
    ),
    (GRADIENT_CONTRACT, "coordinates [01] and [01] are swapped", GRADIENT, f"{GRADIENT}[::-1]"),
    (
        GRADIENT_CONTRACT,
        r"coordinate 1, .*: \+0\.5 too much everywhere",
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
        "has_the_hessian_of_its_gradient",
        "row 0 of the Hessian, coordinate 0",
        HESSIAN,
        HESSIAN.replace("3 * x[0]", "2 * x[0]"),
    ),
    (
        "has_the_hessian_of_its_gradient",
        r"not symmetric: \[1, 0\] is 1 and \[0, 1\] is 0",
        HESSIAN,
        HESSIAN.replace("[zero, zero + self.b]", "[zero + 1, zero + self.b]"),
    ),
    (
        "gives_the_right_shapes",
        r"the value of 1 points .* the shape \(\), not \(1,\); does a sum lack axis=0",
        VALUE,
        f"np.sum({VALUE})",
    ),
    ("gives_the_right_shapes", r"the gradient .* has the shape \(1, 2\), not \(2, 1\)", GRADIENT, f"{GRADIENT}.T"),
    ("gives_the_right_shapes", "of the type float32, not float64", VALUE, f"({VALUE}).astype(np.float32)"),
    ("is_pure", "gradient changes the points", f"return {GRADIENT}", f"x -= 0.1\n        return {GRADIENT}"),
    ("is_pure", "value gives two answers", VALUE, f"{VALUE} + np.random.default_rng().normal()"),
    ("keeps_lanes_apart", "do lanes, the last axis, mix", VALUE, f"{VALUE} + x[0].mean()"),
    ("keeps_lanes_apart", "rounding only", VALUE, f"{VALUE} + 1e-16 * x.shape[1]"),
    (
        "takes_parameters_that_differ",
        "a may not be an array.*np.where in place of 'if'",
        f"return {VALUE}",
        f"assert True if self.a > 0 else False\n        return {VALUE}",
    ),
    (
        "has_no_idle_parameter",
        "c has no effect",
        "    # Shown by",
        '    c: Real = parameter(1.0, doc="nothing")\n    # Shown by',
    ),
    ("is_finite_in_the_view", r"the value is not finite at", VALUE, f"{VALUE} + 0 * np.log(x[0] + 1.9)"),
    ("knows_its_critical_points", "the gradient there is not zero but 24", "self.a**0.5\n", "self.a**0.5 + 2\n"),
    ("knows_its_critical_points", "the loss there is -0.25, not -0.3", "-(self.a**2) / 4", "-0.3 * self.a**2"),
    (
        "knows_its_critical_points",
        r"the losses around it say that it is a saddle",
        "saddle_point(0.0, 0.0, loss=0.0)",
        "minimum(0.0, 0.0, loss=0.0)",
    ),
    ("says_all_that_people_need_of_it", "the parameter a has no doc", "the wells are at x = ±√a", ""),
    ("says_all_that_people_need_of_it", "no docstring", '    """Two wells with a saddle between them."""\n', ""),
    ("says_all_that_people_need_of_it", r"the start \[0.2, 3.2\] lies outside", "(0.2, 1.2)", "(0.2, 3.2)"),
    (
        "says_all_that_people_need_of_it",
        r"the default of a, 1, is not within its bounds, 0 < a < 1",
        'gt=0, doc="the wells',
        'gt=0, lt=1, doc="the wells',
    ),
    (
        "gives_the_right_shapes",
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
        "step_is_pure_and_keeps_shapes",
        "step changes its arguments",
        AVERAGE,
        "v = state.v\n        v *= self.beta\n        v += (1 - self.beta) * g",
    ),
    (
        "step_is_pure_and_keeps_shapes",
        r"the velocity must have the shape .*\(3, 5\); it has \(3, 1\)",
        STEP,
        f"({STEP})[:, :1]",
    ),
    ("step_is_pure_and_keeps_shapes", r"the state must keep its shapes", f"{STEP}, State(v)", f"{STEP}, State(v[0])"),
    (
        "step_is_pure_and_keeps_shapes",
        "the state must be a NamedTuple; init gives ndarray",
        INIT,
        "return np.zeros_like(x)",
    ),
    ("lanes_come_last_and_never_mix", "differs alone and in a batch", STEP, f"{STEP} + 1e-9 * v.mean()"),
    (
        "lanes_come_last_and_never_mix",
        r"the last axis of the state's v must be the 5 lanes; its shape is \(\)",
        INIT,
        "return State(np.float64(0.0))",
    ),
    (
        "hyperparameters_may_differ_from_lane_to_lane",
        "beta must accept an array: .*np.where, not if",
        AVERAGE,
        f"v = 0 * g if self.beta > 2 else g\n        {AVERAGE}",
    ),
    (
        "lanes_can_be_taken_out_and_put_in",
        "removing lanes changes the others",
        STEP,
        f"{STEP} + 0.1 * np.abs(v).sum(axis=1, keepdims=True)",
    ),
    (
        "trials_may_begin_at_different_times",
        "step must accept an array for t",
        AVERAGE,
        f"v = g if here.t == 1 else 0 * g\n        {AVERAGE}",
    ),
    ("every_hyperparameter_changes_the_path", "delta has no effect", "self.delta)", "0.1)"),
    ("converges_on_an_easy_quadratic", "no learning rate leads to the minimum", STEP, f"-{STEP}"),
    ("stays_finite_where_there_is_no_gradient", "from", "(np.abs(v) + self.delta)", "(np.abs(v) + 0 * self.delta)"),
    ("says_all_that_people_need", "hyperparameter beta has no doc", "decay of the average", ""),
    (
        "converges_on_an_easy_quadratic",
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
    """A promise that no mistake above breaks would be no test."""
    broken = {contract for contract, *_ in (*SURFACE_MISTAKES, *OPTIMIZER_MISTAKES)}
    every = {contract.__name__ for contract in (*SURFACE_CONTRACTS, *OPTIMIZER_CONTRACTS)}
    assert every - broken == {"bounds_are_enforced"}, "that one is kept by configurations, not by the class"


def kinked(x: Array) -> Array:
    value: Array = np.abs(x[0]) + x[1] * x[1]
    return value


def test_a_kink_is_no_mistake_and_hides_none() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, size=(2, 40))
    gradient = np.stack([np.sign(x[0]), 2 * x[1]])
    assert disagreement("the gradient", kinked, gradient, x, np.array([2.0, 2.0])) == ""
    assert "sign is turned" in disagreement("the gradient", kinked, gradient * [[1], [-1]], x, np.array([2.0, 2.0]))
    assert not complex_steps(kinked, x)[0].any(), "complex steps see nothing of a modulus: so they are not believed"  # type: ignore[index]


def test_differences_and_complex_steps_are_those_of_the_closed_form() -> None:
    x = np.random.default_rng(2).uniform(-1, 1, size=(2, 30))

    def value(x: Array) -> Array:
        result: Array = np.exp(x[0]) * np.sin(3 * x[1])
        return result

    expected = np.stack([np.exp(x[0]) * np.sin(3 * x[1]), 3 * np.exp(x[0]) * np.cos(3 * x[1])])
    np.testing.assert_allclose(central(value, x, np.array([4e-3, 4e-3])), expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(complex_steps(value, x), expected, rtol=1e-13, atol=1e-15)  # type: ignore[arg-type]


def test_the_command_says_what_is_wrong_and_exits_with_2(command: Command, tmp_path: Path) -> None:
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
        "all 30 contracts kept",
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
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "."]
    done = subprocess.run(pytest_, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{len(SURFACE_CONTRACTS) + len(OPTIMIZER_CONTRACTS) + 2} passed" in done.stdout
    (tmp_path / "my_wells.py").unlink()
    done = command("new", "--surface-plugin", "my_wells.py")
    assert (done.returncode, done.stderr) == (1, "error: test_my_wells.py: already exists; --force overwrites it\n")
    assert not (tmp_path / "my_wells.py").exists(), "both files, or none"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("ravine.py", "there is a surface 'ravine' already"),
        ("my-lab.py", "'my-lab' is no name"),
        ("x1.py", "'x1' is no name"),
        ("lab.txt", "its name ends in .py"),
    ],
)
def test_names_that_a_plugin_could_not_have_are_refused(file: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plugin_files("surface", Path(file))
