"""Recorded quantities: norms of gradients and updates, and parts of the state."""

import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.config import load_experiment, to_yaml
from momentumlab.engine import run as engine_run
from momentumlab.errors import ConfigError
from momentumlab.plan import make_plan
from momentumlab.report import report_of
from momentumlab.report.figures import quantity_figure
from momentumlab.result import Result
from momentumlab.surfaces import SURFACES
from tests.conftest import Command
from tests.test_figures import assert_text_is_clear, text_of

NAMES = ["gradient_norm", "update_norm", "state.v"]
SETTINGS: dict[str, Any] = {"surface": "rosenbrock", "iterations": 30, "lr": [1e-4, 5e-4, 0.5], "start": [-1.0, 1.5]}


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "aggmo"])
@pytest.mark.parametrize("workers", [1, 2])
def test_norms_are_those_of_the_recorded_trajectory(name: str, workers: int) -> None:
    result = momentumlab.run(SETTINGS, optimizer=name, record=NAMES[:2], workers=workers)
    surface = SURFACES["rosenbrock"]()
    for trial in range(3):
        path = result.path(trial)
        gradients = surface.gradient(np.ascontiguousarray(path.T)).T
        length = len(path)
        expected = [float(np.hypot(*each)) for each in gradients]
        np.testing.assert_allclose(result.quantities["gradient_norm"][trial, :length], expected, rtol=1e-14)
        steps = [0.0, *(float(np.hypot(*(b - a))) for a, b in itertools.pairwise(path))]
        np.testing.assert_allclose(result.quantities["update_norm"][trial, :length], steps, rtol=1e-13)
        for values in result.quantities.values():
            assert np.isnan(values[trial, length:]).all()


def test_parts_of_the_state_are_those_of_a_plain_loop() -> None:
    result = momentumlab.run(SETTINGS, optimizer=["momentum", "adam", "sgd"], lr=1e-3, record=["state.v", "state.m"])
    surface = SURFACES["rosenbrock"]()
    assert {name: values.shape for name, values in result.quantities.items()} == {
        "state.v": (3, 31, 2), "state.m": (3, 31, 2)
    }  # fmt: skip
    gradients = [surface.gradient(np.ascontiguousarray(path.T)).T for path in result.positions]
    v, m, s = np.zeros((3, 2))
    for k in range(31):
        np.testing.assert_allclose(result.quantities["state.v"][0, k], v, rtol=1e-12)
        np.testing.assert_allclose(result.quantities["state.m"][1, k], m, rtol=1e-9)
        np.testing.assert_allclose(result.quantities["state.v"][1, k], s, rtol=1e-9)
        v = 0.9 * v + gradients[0][k]
        m, s = 0.9 * m + 0.1 * gradients[1][k], 0.999 * s + 0.001 * gradients[1][k] ** 2
    # What an optimizer does not have is NaN: momentum has no m, and gradient descent no state.
    assert np.isnan(result.quantities["state.m"][0]).all()
    assert all(np.isnan(values[2]).all() for values in result.quantities.values())


def test_recorded_quantities_change_no_number() -> None:
    settings = {**SETTINGS, "optimizer": ["momentum", "adam"], "noise": 0.1, "replicates": 2, "tolerance": 1e-2}
    plain, recorded = momentumlab.run(settings), momentumlab.run(settings, record=NAMES)
    assert plain.positions.tobytes() == recorded.positions.tobytes()
    assert plain.quantities == {}
    # Trials that end early leave the batch: the others keep their own norms.
    single = momentumlab.run({**settings, "optimizer": "adam", "lr": 5e-4}, record=NAMES)
    number = next(t.number for t in recorded.plan if t.optimizer == "adam" and t.hyperparameters["lr"] == 5e-4)
    for name, values in single.quantities.items():
        length = values.shape[1]
        np.testing.assert_array_equal(recorded.quantities[name][number, :length], values[0])


def test_the_memory_of_recorded_quantities_counts_towards_the_limit() -> None:
    plan = make_plan(load_experiment({**SETTINGS, "optimizer": "momentum", "record": NAMES}))
    plain = make_plan(load_experiment({**SETTINGS, "optimizer": "momentum"}))
    # Position, velocity, loss: 5 numbers of 8 bytes per entry and trial; with two norms and a state of two, 9.
    limit = 8 * 3 * 5 * 31
    assert engine_run(plain, history_bytes=limit).history.stride == 1  # type: ignore[union-attr]
    thinned = engine_run(plan, history_bytes=limit)
    assert thinned.history is not None
    assert thinned.history.stride == 2
    complete = engine_run(plan, history_bytes=8 * 3 * 9 * 31)
    for name in NAMES:
        np.testing.assert_array_equal(thinned.quantities[name][0], complete.quantities[name][0, ::2])
    assert "0.0 GiB" in thinned.notes[0]


def test_a_run_folder_keeps_the_quantities(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(to_yaml(load_experiment({**SETTINGS, "optimizer": "adam", "record": NAMES})))
    assert "record: [gradient_norm, update_norm, state.v]" in (tmp_path / "own.yaml").read_text()
    folder = Path(command("run", "own.yaml", "--quiet").stdout.strip())
    expected = momentumlab.run(SETTINGS, optimizer="adam", record=NAMES).quantities
    result = momentumlab.open_run(tmp_path / folder)
    assert isinstance(result, Result)
    with np.load(tmp_path / folder / "trajectories.npz") as stored:
        for name, values in expected.items():
            assert stored[name].tobytes() == values.tobytes() == result.quantities[name].tobytes()
    assert (tmp_path / folder / "quantities.png").stat().st_size > 10_000
    command("runs", "export", str(folder), "--to", "long.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "long.csv").read_text())))
    assert [float(row["gradient_norm"]) for row in rows[:31]] == expected["gradient_norm"][0].tolist()
    assert [float(row["state.v_1"]) for row in rows[:31]] == expected["state.v"][0, :, 1].tolist()


def test_the_command_line_names_trials_and_quantities_in_one_option(command: Command, tmp_path: Path) -> None:
    run = ["--surface", "ravine", "--optimizer", "momentum", "--iterations", "20", "--quiet"]
    done = command("run", *run, "--record", "gradient_norm,state.v")
    with np.load(tmp_path / done.stdout.strip() / "trajectories.npz") as stored:
        assert stored["state.v"].shape == (1, 21, 2)
    done = command("sweep", *run, "--lr", "geomspace(0.01,0.1,5)", "--record", "best:2,gradient_norm", "--no-plots")
    with np.load(tmp_path / done.stdout.strip() / "trajectories.npz") as stored:
        assert stored["gradient_norm"].shape == (2, 21)
    swept = momentumlab.sweep(surface="ravine", optimizer="momentum", lr=[0.01, 0.1], record=["best:1", "update_norm"])
    assert swept.best_trials is not None
    assert swept.best_trials.quantities["update_norm"].shape == (1, 101)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("gradnorm", "'gradnorm' cannot be recorded (did you mean 'gradient_norm'?)"),
        (["state.vv"], "'state.vv' cannot be recorded (did you mean 'state.v'?)"),
        (
            "state_of_minds",
            "'state_of_minds' cannot be recorded; there are gradient_norm, update_norm, state.m, state.v",
        ),
        (
            "everything",
            "'everything' is not all, none, auto or best:N (N < 1000), nor a quantity such as gradient_norm",
        ),
    ],
)
def test_an_unknown_quantity_is_refused_with_a_suggestion(record: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        momentumlab.run(surface="ravine", optimizer="adam", record=record)
    assert message in str(error.value)


def test_parts_of_different_shapes_are_refused_together() -> None:
    with pytest.raises(ConfigError, match="'state.v' has another shape for each optimizer"):
        momentumlab.run(surface="ravine", optimizer=["momentum", "aggmo"], record=["state.v"])


def test_the_chosen_settings_of_a_comparison_keep_the_quantities(tmp_path: Path) -> None:
    settings = {"optimizers": ["sgd", "adam"], "budget": 8, "iterations": 20, "record": ["gradient_norm"]}
    result = momentumlab.compare(settings, out=tmp_path)
    assert result.results[0].quantities["gradient_norm"].shape == (2, 21)
    assert result.run_folder is not None
    assert (result.run_folder / "quantities.png").exists()
    with np.load(result.run_folder / "trajectories.npz") as stored:
        assert stored["gradient_norm"].tobytes() == result.results[0].quantities["gradient_norm"].tobytes()
    assert json.loads((result.run_folder / "result.json").read_text())["ranking"]


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": ["momentum", "adam", "sgd"], "record": [*NAMES, "state.m"]},
        {"optimizer": "momentum", "noise": 0.2, "replicates": 6, "lr": 1e-3, "record": NAMES},
        {"optimizer": "aggmo", "record": ["state.v"], "betas": [0.5, 0.9]},
        {"optimizer": "momentum", "lr": 1e-3, "iterations": 3000, "record": ["update_norm"]},
    ],
)
def test_the_figure_draws_what_was_recorded_and_its_text_is_clear(settings: dict[str, Any]) -> None:
    result = momentumlab.run({**SETTINGS, **settings})
    figure = quantity_figure(report_of(result))
    assert_text_is_clear(figure)
    assert "gradient norm" in text_of(figure) or "gradient_norm" not in settings["record"]
    for panel in figure.axes:
        assert panel.get_yscale() == ("log" if "norm" in panel.get_title(loc="left") else "linear")
    if settings["optimizer"] == ["momentum", "adam", "sgd"]:
        line = figure.axes[0].get_lines()[0]
        np.testing.assert_array_equal(line.get_ydata(), result.quantities["gradient_norm"][0])


def test_a_figure_of_nothing_recorded_says_how_to_record() -> None:
    result = momentumlab.run(surface="ravine", optimizer="sgd")
    with pytest.raises(ValueError, match="no further quantities were recorded"):
        result.plot_quantities()
