"""Tuned hyperparameters: their scales and default ranges, and the search over any of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.errors import ConfigError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter, ValueKind
from momentumlab.scales import default_range, scale_of
from tests.conftest import Command

NUMBERS = {
    f"{name}.{parameter.name}": parameter
    for name, cls in OPTIMIZERS.items()
    for parameter in cls.parameters()
    if parameter.kind is ValueKind.NUMBER
}


@pytest.mark.parametrize("parameter", NUMBERS.values(), ids=NUMBERS)
def test_every_hyperparameter_has_a_default_range_that_contains_its_default_value(parameter: Parameter) -> None:
    found = default_range(parameter)
    assert found is not None
    low, high = found
    assert low <= parameter.default <= high
    assert parameter.allows(low)
    assert parameter.allows(high)
    values = scale_of(parameter, low, high).grid(low, high, 9)
    assert (np.diff(values) > 0).all()
    assert all(map(parameter.allows, values.tolist()))


@pytest.mark.parametrize(
    ("parameter", "low", "high", "expected"),
    [
        (Parameter(name="eps", gt=0), 1e-8, 1.0, np.geomspace(1e-8, 1, 9)),
        (Parameter(name="beta", ge=0, lt=1), 0.0, 0.9999, 1 - np.geomspace(1, 1e-4, 9)),
        (Parameter(name="nu", ge=0, le=1), 0.0, 1.0, np.linspace(0, 1, 9)),
        (Parameter(name="kappa", gt=1), 1.5, 5001.0, 1 + np.geomspace(0.5, 5000, 9)),
        (Parameter(name="free"), -2.0, 6.0, np.linspace(-2, 6, 9)),
        (Parameter(name="free"), 0.01, 100.0, np.geomspace(0.01, 100, 9)),
        (Parameter(name="decay", ge=0), 0.0, 1.0, np.geomspace(1e-6, 1 + 1e-6, 9) - 1e-6),
    ],
    ids=lambda value: value.name if isinstance(value, Parameter) else "",
)
def test_searched_values_are_evenly_spaced_on_their_scale(
    parameter: Parameter, low: float, high: float, expected: Any
) -> None:
    scale = scale_of(parameter, low, high)
    values = scale.grid(low, high, 9)
    spacing = abs(scale.forward(expected)[1] - scale.forward(expected)[0])
    assert np.abs(scale.forward(values) - scale.forward(expected)).max() <= spacing / 20 * (1 + 1e-9)
    assert (values[0], values[-1]) == (low, high)
    assert max(len(repr(value)) for value in values.tolist()) <= 10


def test_a_tuned_hyperparameter_has_the_best_value_of_single_runs() -> None:
    settings: dict[str, Any] = {"surface": "rosenbrock", "optimizer": "adam", "lr": 0.3, "iterations": 60}
    result = momentumlab.compare(settings, eps="tuned(1e-10, 1)", budget=30, objective="final_loss")
    (searched,) = result.matches[0].searched
    np.testing.assert_allclose(searched.columns["eps"], np.geomspace(1e-10, 1, 30), rtol=0.1)
    losses = [momentumlab.run(settings, eps=eps).final_losses[0] for eps in searched.columns["eps"].tolist()]
    assert result.best_settings() == {"adam": {"eps": searched.columns["eps"][int(np.argmin(losses))]}}


def test_yaml_command_line_and_python_search_the_same_settings(command: Command, tmp_path: Path) -> None:
    text = "surface: booth\noptimizer: adamw\neps: tuned(1e-10, 1)\nweight_decay: tuned\nbudget: 27\niterations: 20\n"
    (tmp_path / "search.yaml").write_text(text)
    options = ["--surface", "booth", "--optimizer", "adamw", "--budget", "27", "--iterations", "20"]
    tuned = ["--eps", "tuned(1e-10, 1)", "--tune", "lr,weight_decay"]
    asked: list[list[str]] = [["search.yaml"], [*options, *tuned]]
    ranked = [json.loads(command("compare", *each, "--format", "json", "--no-plots").stdout) for each in asked]
    settings = {"surface": "booth", "optimizer": "adamw", "eps": "tuned(1e-10, 1)", "weight_decay": "tuned"}
    result = momentumlab.compare(settings, budget=27, iterations=20)
    assert ranked[0]["ranking"] == ranked[1]["ranking"]
    assert ranked[0]["ranking"][0]["hyperparameters"] == result.summary()[0]["hyperparameters"]
    (searched,) = result.matches[0].searched
    assert {name: len(searched.choice.axes[name]) for name in searched.columns} == dict.fromkeys(searched.columns, 3)
    assert sorted(set(searched.columns["weight_decay"].tolist())) == pytest.approx([0.0001, 0.01, 1.0])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_search_over_several_hyperparameters_keeps_to_its_budget(count: int) -> None:
    names = ["lr", "beta1", "beta2", "eps", "weight_decay"][:count]
    tuned = dict.fromkeys(names, "tuned")
    settings: dict[str, Any] = {"surface": "booth", "optimizer": "adamw", "lr": 0.1, **tuned, "iterations": 10}
    (match,) = momentumlab.tune(settings, budget=1500, zooms=1, objective="final_loss").matches
    (searched,) = match.searched
    first = searched.choice.combinations
    assert 0.25 * 750 < first <= 750
    assert first < searched.cells <= 1500 + first  # extensions of the range of lr take at most as many again
    for name in names:
        assert len(set(searched.columns[name].tolist())) > len(searched.choice.axes[name])


def test_finer_grids_are_finer_with_few_values_of_each_hyperparameter() -> None:
    tuned = {"lr": "tuned(0.01, 1)", "beta1": "tuned", "eps": "tuned(1e-10, 1e-6)"}
    settings = {"surface": "rosenbrock", "optimizer": "adam", "iterations": 60, **tuned}
    (match,) = momentumlab.tune(settings, budget=400, zooms=3).matches
    (searched,) = match.searched
    first = np.log10(np.array(searched.choice.axes["eps"].values, dtype=np.float64))
    assert len(first) == 4
    # Each grid is half as fine as the one before, so all of them together reach less than one distance further.
    positions = np.log10(searched.columns["eps"])
    assert first[0] - np.diff(first)[0] < positions.min()
    assert positions.max() < first[-1] + np.diff(first)[0]
    assert np.diff(np.unique(positions.round(6))).min() < 0.3 * np.diff(first)[0]
    assert not np.signbit(searched.columns["beta1"]).any()


def test_a_finer_grid_stays_within_the_bounds_of_a_hyperparameter() -> None:
    settings = {"surface": "ravine", "optimizer": "qhm", "nu": "tuned", "lr": 0.05, "iterations": 30}
    (match,) = momentumlab.tune(settings, budget=60, zooms=2).matches
    values = match.searched[0].columns["nu"]
    assert len(values) > 20
    assert 0 <= values.min() < values.max() <= 1


OWN = '''
from dataclasses import dataclass
import numpy as np
from momentumlab.optimizers import Optimizer, optimizer
from momentumlab.optimizers.base import Stateless
from momentumlab.parameters import Real, parameter

@optimizer("damped", lr=0.1)
@dataclass(frozen=True, kw_only=True)
class Damped(Optimizer[Stateless]):
    """Gradient descent whose step is divided by 1 + c·t."""

    c: Real = parameter(0.0, doc="damping")
    scale: Real = parameter(2.0, doc="factor")
    equation = "v = scale·g/(1 + c·t)"
    source = "test"

    def init(self, x):
        return Stateless()

    def step(self, state, g, here):
        return self.scale * g / (1 + self.c * here.t), state
'''


def test_hyperparameters_of_plugins_are_tuned_and_need_a_range_without_bounds(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    base = ["compare", "--plugin", "own.py", "--optimizer", "damped", "--surface", "booth", "--no-plots"]
    refused = command(*base, "--tune", "lr,c")
    assert refused.returncode == 2
    assert "c has no finite range in which to search: give one, such as tuned(0.1, 10)" in refused.stderr
    done = command(*base, "--tune", "scale", "--set", "c=tuned(-0.5, 0.5)", "--lr", "0.1", "--format", "json")
    hyperparameters = json.loads(done.stdout)["ranking"][0]["hyperparameters"]
    assert 0.02 <= hyperparameters["scale"] <= 200
    assert -0.5 <= hyperparameters["c"] <= 0.5


def test_a_budget_too_small_for_finer_grids_is_reported(command: Command) -> None:
    options = ["--optimizer", "adamw", "--over", "lr,beta1,beta2,eps", "--budget", "64", "--iterations", "5"]
    text = " ".join(command("tune", *options, "--no-plots", COLUMNS="80").stdout.split())
    assert "2 lr from 0.0001 to 10 × 2 β₁ from 0 to 0.99" in text
    assert "too few for finer grids" in text
    assert "zooms" not in text


def test_the_edge_of_a_range_and_a_budget_without_choice_are_reported() -> None:
    notes = momentumlab.compare(optimizer="adam", eps="tuned(1e-12, 1e-4)").notes
    assert notes == ("the best eps of adam on ravine lies at the upper edge of its range; extend the range",)
    settings = dict.fromkeys(["beta1", "beta2", "eps"], "tuned")
    notes = momentumlab.compare(settings, optimizer="adam", budget=9).notes
    assert notes[0].startswith("the budget allows a single value of beta1, beta2, eps of adam on ravine")


def test_an_object_of_python_cannot_be_tuned_twice() -> None:
    with pytest.raises(ConfigError, match="'beta' is given twice, as beta and momentum"):
        momentumlab.tune(optimizer="momentum", beta="tuned", momentum="tuned")
