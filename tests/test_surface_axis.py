"""Several surfaces as an axis: the numbers of single sweeps, in tables, maps, JSON and folders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.config import load_experiment, to_dict
from momentumlab.errors import ConfigError, MomentumLabError
from momentumlab.report import report_of
from momentumlab.report.figures import map_figures
from momentumlab.search.sweeps import Sweep
from momentumlab.surfaces import SURFACES
from tests.conftest import Command
from tests.test_figures import assert_text_is_clear, text_of

SURFACES_LISTED: list[Any] = ["ravine", {"name": "rosenbrock", "b": 10}, "styblinski_tang"]
SETTINGS: dict[str, Any] = {"optimizers": ["momentum", "adam"], "lr": [1e-3, 0.02, 0.3], "iterations": 40}


@pytest.mark.parametrize("start", [None, [0.5, -0.5], "random(4, seed=2)", [[1.0, 1.0], [-1.0, 2.0]]])
@pytest.mark.parametrize("tolerance", [None, 1e-4])
def test_each_surface_has_the_numbers_of_its_own_sweep(start: Any, tolerance: float | None) -> None:
    settings = {**SETTINGS, "start": start, "tolerance": tolerance}
    together = momentumlab.sweep(settings, surface=SURFACES_LISTED)
    for name in ("momentum", "adam"):
        axes = together[name].axes
        assert axes["surface"].tolist() == ["ravine", "rosenbrock(b=10)", "styblinski_tang"]
        assert list(axes)[:2] == ["surface", "lr"]
        for place, surface in enumerate(SURFACES_LISTED):
            alone = momentumlab.sweep(settings, surface=surface)
            assert together[name].final_loss[place].tobytes() == alone[name].final_loss.tobytes()
            assert together[name].final_point[place].tobytes() == alone[name].final_point.tobytes()
            assert together[name].iterations[place].tolist() == alone[name].iterations.tolist()
            best = alone[name].best()
            assert {**best, "surface": axes["surface"][place]} == together[name].best_settings()[place]


def test_heights_are_those_above_the_minimum_of_each_surface() -> None:
    settings = {**SETTINGS, "optimizers": "momentum"}
    (plane,) = report_of(momentumlab.sweep(settings, surface=["ravine", "styblinski_tang"]).result).planes
    lowest = [min(point.loss for point in SURFACES[name]().minima(2)) for name in ("ravine", "styblinski_tang")]
    assert lowest[0] == 0
    assert lowest[1] == pytest.approx(-78.33233140754285)
    expected = plane.final_losses.reshape(2, 3) - np.array(lowest)[:, np.newaxis]
    has_ended_well = np.isfinite(plane.median_losses()).reshape(2, 3)
    assert has_ended_well.sum() == 4
    heights = plane.median_heights().reshape(2, 3)
    np.testing.assert_array_equal(heights[has_ended_well], expected[has_ended_well])


def test_a_list_in_yaml_json_and_folders_names_the_surfaces(command: Command, tmp_path: Path) -> None:
    text = "surface: [ravine, {name: rosenbrock, b: [10, 50]}]\noptimizer: adam\nlr: [0.01, 0.1]\niterations: 20\n"
    (tmp_path / "both.yaml").write_text(text)
    expected = ["ravine", "rosenbrock(b=10)", "rosenbrock(b=50)"]
    document = json.loads(command("sweep", "both.yaml", "--format", "json").stdout)
    assert sorted({trial["surface"] for trial in document["trials"]}) == expected
    options = ["--optimizer", "adam", "--lr", "0.01,0.1", "--iterations", "20", "--format", "json", "--no-plots"]
    typed = json.loads(command("sweep", "--surface", ",".join(expected), *options).stdout)
    assert typed["trials"] == document["trials"]
    for trial in document["trials"]:
        lr, surface = trial["hyperparameters"]["lr"], trial["surface"]
        single = momentumlab.run(surface=surface, optimizer="adam", lr=lr, iterations=20)
        assert single.final_losses[0] == trial["final_loss"]
    folder = Path(document["run_folder"])
    assert (tmp_path / folder / "map_loss.png").exists()
    again = momentumlab.open_run(tmp_path / folder)
    assert isinstance(again, Sweep)
    assert again.result.experiment.surfaces == expected
    assert "ravine, rosenbrock(b=10)" in command("runs", "show", str(folder), COLUMNS="100").stdout
    repeated = command("runs", "rerun", str(folder))
    assert repeated.returncode == 0, repeated.stderr


def test_the_table_lists_the_best_setting_for_each_surface(command: Command) -> None:
    options = ["--optimizer", "momentum", "--lr", "geomspace(1e-3,0.1,7)", "--no-plots"]
    done = command("sweep", "--surface", "ravine,rosenbrock", *options, COLUMNS="80").stdout
    assert "ravine, rosenbrock, from their default starts" in done
    assert "momentum: 2 surfaces × 7 lr, the best for each surface by lowest final loss" in done.replace("\n  ", " ")
    assert "too narrow" not in done


def test_maps_have_a_row_or_a_panel_for_each_surface() -> None:
    surface = ["ravine", "rosenbrock(b=10)", "styblinski_tang"]
    rows = momentumlab.sweep(surface=surface, optimizer="adam", lr=[0.01, 0.1, 1.0], iterations=30)
    figure = map_figures(report_of(rows.result))["map_loss"]()
    assert_text_is_clear(figure)
    assert "best for each surface: stars" in text_of(figure)
    panels = momentumlab.sweep(
        surface=surface, optimizer="momentum", lr=[0.001, 0.01, 0.1, 0.2], beta="linspace(0, 0.9, 4)", iterations=30
    )
    figure = map_figures(report_of(panels.result))["map_loss"]()
    assert_text_is_clear(figure)
    assert all(f"surface = {name}" in text_of(figure) for name in surface)


def test_a_run_on_several_surfaces_draws_each_trajectory_on_its_own() -> None:
    result = momentumlab.run(surface=["ravine", "booth"], optimizer="momentum", lr=0.05, iterations=30)
    assert [row["surface"] for row in result.summary()] == ["ravine", "booth"]
    assert_text_is_clear(result.plot_trajectories())
    for number, name in enumerate(["ravine", "booth"]):
        single = momentumlab.run(surface=name, optimizer="momentum", lr=0.05, iterations=30)
        assert result.positions[number].tobytes() == single.positions[0].tobytes()


@pytest.mark.parametrize("surface", [["ravine", "rosenbrock(b=10)"], ["ravine"], ["x**2 + y**4", "booth"]])
def test_a_written_experiment_reads_back(surface: list[str]) -> None:
    experiment = load_experiment({"surface": surface, "optimizer": "sgd", "start": "random(3)"})
    assert load_experiment(to_dict(experiment)) == experiment
    assert experiment.surfaces == surface


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"surface": ["ravine", "ravin"]}, "surface[1]: unknown surface 'ravin' (did you mean 'ravine'?)"),
        ({"surface": ["ravine", "rosenbrock(c=1)"]}, "surface[1]: rosenbrock has no 'c'"),
        ({"surface": ["ravine", "rosenbrock(b=x)"]}, "surface[1]: rosenbrock(): b = 'x' is not a number"),
        ({"surface": ["ravine", "ravine"]}, "this surface is listed twice with the same settings"),
        (
            {"surface": ["ravine", {"name": "booth", "rotate": 9}]},
            "surface[1]: with constants, rotate or shift it cannot",
        ),
        ({"surface": ["ravine", "logistic"]}, "data cannot be one of several surfaces"),
        ({"surface": ["ravine", "parabola"]}, "the surfaces have 1 and 2 coordinates: give a start"),
        (
            {"surface": ["ravine", "parabola"], "start": [1.0, 1.0]},
            "the surface parabola has 1 coordinate, the start has 2",
        ),
        ({"surface": ["ravine", "booth"], "start": "grid(3, 3)"}, "the surfaces have different windows"),
        ({"surface": []}, "has no values"),
    ],
)
def test_surfaces_that_do_not_fit_together_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        momentumlab.sweep(settings, optimizer="sgd", lr=[0.01, 0.1])
    assert message in str(error.value)


def test_a_page_and_the_laboratory_show_one_surface(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"surface": ["ravine", "booth"], "optimizer": "sgd"}
    with pytest.raises(MomentumLabError, match="a page shows one surface: choose ravine or booth"):
        momentumlab.explore(settings)
    with pytest.raises(ConfigError, match="the laboratory shows one surface: choose ravine or booth"):
        momentumlab.laboratory(settings)
    result = momentumlab.run(settings, out=tmp_path, page=True)
    assert any("a page shows one surface" in note for note in result.notes)


def test_predictions_name_the_surface(command: Command) -> None:
    options = ["predict", "--surface", "ravine,booth", "--optimizer", "momentum"]
    assert [row["surface"] for row in json.loads(command(*options, "--format", "json").stdout)["trials"]] == [
        "ravine", "booth"
    ]  # fmt: skip
    table = command(*options, COLUMNS="80").stdout.splitlines()
    assert any(line.startswith("surface") for line in table)


def test_workers_and_kernels_give_the_same_numbers() -> None:
    settings = {**SETTINGS, "surface": SURFACES_LISTED}
    expected = momentumlab.sweep(settings).result.final_losses.tobytes()
    assert momentumlab.sweep(settings, workers=2).result.final_losses.tobytes() == expected
