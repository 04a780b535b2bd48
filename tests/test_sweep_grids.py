"""The Sweep that Python returns: grids with the shape of the named axes, and their conversions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab import MomentumLabError
from momentumlab.report import report_of
from momentumlab.report.comparison_table import interval
from momentumlab.report.data import json_document
from momentumlab.report.sweep_table import percentage, sweep_tables
from momentumlab.result import Status
from momentumlab.search.planes import planes

PLANE: dict[str, Any] = {
    "surface": "ravine",
    "optimizer": "momentum",
    "lr": "geomspace(0.01, 0.4, 5)",
    "beta": [0.0, 0.5, 0.9],
    "iterations": 300,
    "tolerance": 1e-6,
}


@pytest.fixture(scope="module")
def plane() -> momentumlab.Sweep:
    return momentumlab.sweep(PLANE)


def test_axes_and_grids_have_the_same_order(plane: momentumlab.Sweep) -> None:
    assert list(plane.axes) == ["lr", "beta"]
    assert plane.shape == (5, 3) == plane.final_loss.shape == plane.iterations.shape == plane.status.shape
    assert plane.final_point.shape == (5, 3, 2)
    for i, lr in enumerate(plane.axes["lr"]):
        for j, beta in enumerate(plane.axes["beta"]):
            alone = momentumlab.run(PLANE, lr=float(lr), beta=float(beta), patience=5)
            assert alone.final_losses[0] == plane.final_loss[i, j]
            assert alone.final_points[0].tolist() == plane.final_point[i, j].tolist()
            assert (alone.iterations[0], alone.status[0].label) == (plane.iterations[i, j], plane.status[i, j])
    assert set(plane.status.ravel()) <= {status.label for status in Status}


def test_starts_and_replicates_are_the_last_axes() -> None:
    sweep = momentumlab.sweep(PLANE, start="random(4)", noise="gaussian(0.1)", replicates=2)
    assert {name: len(values) for name, values in sweep.axes.items()} == {
        "lr": 5,
        "beta": 3,
        "start": 4,
        "replicate": 2,
    }
    assert sweep.final_loss.shape == (5, 3, 4, 2)
    assert sweep.axes["start"].shape == (4, 2)
    grid = momentumlab.sweep({**PLANE, "lr": 0.1, "beta": 0.9}, start="grid(3, 4)")
    assert (list(grid.axes), grid.shape) == (["start x", "start y"], (3, 4))


def test_best_is_the_cell_with_the_fewest_iterations(plane: momentumlab.Sweep) -> None:
    best = plane.best()
    converged = plane.iterations[plane.status == "converged"]
    assert best["iterations"] == converged.min()
    place = np.flatnonzero(plane.axes["lr"] == best["lr"]), np.flatnonzero(plane.axes["beta"] == best["beta"])
    assert plane.final_loss[place][0] == best["final_loss"]
    assert (best["optimizer"], best["status"]) == ("momentum", "converged")


def test_several_optimizers_are_chosen_by_name() -> None:
    both = momentumlab.sweep(PLANE, optimizer=None, optimizers=["momentum", "sgd"], beta=None)
    assert both.optimizers == ("momentum", "sgd")
    assert both["sgd"].shape == (5,)
    assert both.best()["optimizer"] in both.optimizers
    assert "momentum: 5 lr; sgd: 5 lr" in repr(both)
    with pytest.raises(MomentumLabError, match=r"choose one, sweep\['momentum'\]"):
        _ = both.final_loss
    with pytest.raises(KeyError, match="no optimizer 'adam'"):
        _ = both["adam"]
    twice = momentumlab.sweep(
        {**PLANE, "optimizer": None, "beta": None, "optimizers": [{"name": "momentum", "beta": b} for b in (0.1, 0.9)]}
    )
    assert twice.optimizers == ("momentum-1", "momentum-2")


@pytest.mark.parametrize("axes", [{}, {"beta": 0.9}, {"tolerance": None}])
def test_a_map_is_drawn_for_one_axis_and_two(axes: dict[str, Any]) -> None:
    assert momentumlab.sweep({**PLANE, **axes}).plot_map().axes


def test_a_sweep_of_one_trial_has_no_axes() -> None:
    single = momentumlab.sweep({**PLANE, "lr": 0.1, "beta": 0.5})
    assert (single.axes, single.shape, single.final_loss.shape, single.final_point.shape) == ({}, (), (), (2,))
    assert single.status == "converged"
    with pytest.raises(MomentumLabError, match="a map needs an axis"):
        single.plot_map()


def test_xarray_has_named_dimensions(plane: momentumlab.Sweep) -> None:
    pytest.importorskip("xarray")
    dataset = plane.to_xarray()
    assert dict(dataset.sizes) == {"lr": 5, "beta": 3, "coordinate": 2}
    assert np.array_equal(dataset["final_loss"].sel(beta=0.5).values, plane.final_loss[:, 1])


def test_a_dataframe_has_a_row_per_trial(plane: momentumlab.Sweep) -> None:
    pytest.importorskip("pandas")
    frame = plane.to_dataframe()
    assert list(frame.columns) == ["optimizer", "lr", "beta", "final_loss", "iterations", "status"]
    assert np.array_equal(frame["final_loss"].to_numpy(), plane.final_loss.ravel())
    several = momentumlab.sweep(PLANE, start="random(4)", optimizer=None, optimizers=["momentum", "sgd"], beta=None)
    assert len(several.to_dataframe()) == several.result.trials


@pytest.mark.parametrize(("method", "package"), [("to_xarray", "xarray"), ("to_dataframe", "pandas")])
def test_a_missing_package_is_named(
    plane: momentumlab.Sweep, method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        getattr(plane, method)()


def test_tune_returns_the_best_settings_and_all_that_was_searched() -> None:
    tuned = momentumlab.tune(surface="ravine", optimizers=["sgd", "momentum"], beta="tuned", budget=200, zooms=1)
    settings = tuned.best_settings()
    assert set(settings["momentum"]) == {"lr", "beta"}
    assert set(settings["sgd"]) == {"lr"}
    (match,) = tuned.matches
    assert match.searched[1].cells > 200 / 2
    again = momentumlab.run({"surface": "ravine", "optimizer": "momentum", **settings["momentum"]})
    assert again.final_losses[0] == tuned.results[0].final_losses[match.trials_of(1)[0]]


def test_xarray_holds_random_starts_and_replicates_as_coordinates() -> None:
    pytest.importorskip("xarray")
    sweep = momentumlab.sweep(PLANE, beta=0.5, start="random(4)", noise=0.1, replicates=2)
    dataset = sweep.to_xarray()
    assert dict(dataset.sizes) == {"lr": 5, "start": 4, "replicate": 2, "coordinate": 2}
    assert dataset["start"].values.tolist() == [0, 1, 2, 3]
    assert dataset["replicate"].values.tolist() == [0, 1]
    assert np.array_equal(dataset["start_point"].values, sweep.axes["start"])
    picked = dataset["final_loss"].sel(start=2, replicate=1).values
    assert np.array_equal(picked, sweep.final_loss[:, 2, 1])


def test_the_archive_of_a_sweep_loads_into_xarray_as_documented(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    settings: dict[str, Any] = {**PLANE, "beta": 0.5, "start": "random(4)", "noise": 0.1, "replicates": 2}
    result = momentumlab.sweep(settings, out=tmp_path, plots=False).result
    assert result.run_folder is not None
    with np.load(result.run_folder / "sweep.npz") as sweep:
        names = list(sweep["axes"])
        array = xarray.DataArray(sweep["final_loss"], coords={name: sweep[name] for name in names}, dims=names)
    assert array.sizes == {"lr": 5, "start": 4, "replicate": 2}


def test_the_best_trajectories_of_a_sweep_need_no_run_folder(plane: momentumlab.Sweep) -> None:
    assert plane.best_trials is None
    best = momentumlab.sweep(PLANE, record="best:3").best_trials
    assert best is not None
    assert best.trials == 3
    assert best.losses[0, -1] == best.final_losses[0] or np.isnan(best.losses[0, -1])
    assert best.iterations[0] == plane.best()["iterations"]
    run = momentumlab.run(PLANE, patience=5, record="best:3")
    assert run.best_trials is not None
    assert np.array_equal(run.best_trials.positions, best.positions, equal_nan=True)


def test_percentages_and_ranges_are_not_rounded_to_something_else() -> None:
    assert [percentage(count, 40_000) for count in (0, 1, 20_000, 39_989, 40_000)] == [
        "0.0%", "0.003%", "50.0%", "99.97%", "100.0%",
    ]  # fmt: skip
    assert interval(0.2026, 0.2026) == "at 0.203"
    assert interval(0.20261, 0.20264) == "from 0.20261 to 0.20264"
    assert interval(1e-4, 10.0) == "from 0.0001 to 10"


def test_values_of_a_surface_parameter_are_problems_with_a_best_setting_each() -> None:
    settings: dict[str, Any] = {"optimizer": "momentum", "lr": "geomspace(1e-3, 1, 12)", "iterations": 40}
    surface = {"name": "ravine", "b": [1.0, 9.0, 90.0]}
    sweep = momentumlab.sweep(settings, surface=surface)
    alone = [momentumlab.sweep(settings, surface={"name": "ravine", "b": b}).best() for b in (1.0, 9.0, 90.0)]
    best = sweep.best_settings()
    assert [{key: value for key, value in each.items() if key != "surface.b"} for each in best] == alone
    assert [each["surface.b"] for each in best] == [1.0, 9.0, 90.0]
    assert len({each["lr"] for each in best}) > 1  # they differ, so a single best setting would mislead
    with pytest.raises(MomentumLabError, match="best_settings"):
        sweep.best()
    (table,) = sweep_tables(report_of(sweep.result))
    assert "the best for each surface" in table.lines[0]
    column = next(each for each in table.columns if each.heading == "surface.b")
    assert [float(cell) for cell in column.cells] == [1.0, 9.0, 90.0]


def test_the_json_of_a_sweep_says_how_many_trials_there_are() -> None:
    result = momentumlab.sweep(PLANE, lr="geomspace(1e-3, 1, 400)", iterations=5).result
    document = json_document(report_of(result))
    assert (len(document["trials"]), document["trials_in_all"]) == (1000, 1200)


def test_maps_mark_the_best_cell_of_each_surface_parameter() -> None:
    from momentumlab.report.figures.map_panels import best_cell_text, slices_of

    result = momentumlab.sweep(
        surface="ravine",
        optimizer="sgd",
        lr="geomspace(0.01, 0.2, 12)",
        settings={"surface.b": [2.0, 9.0]},
        iterations=30,
    ).result
    (plane,) = planes(result)
    (part,), _ = slices_of([plane])
    marked = {plane.setting(cell)["surface.b"]: plane.setting(cell)["lr"] for cell in part.best_cells}
    losses = {(t.surface_parameters["b"], t.hyperparameters["lr"]): result.final_losses[t.number] for t in result.plan}
    for b in (2.0, 9.0):
        own = {lr: loss for (each, lr), loss in losses.items() if each == b}
        assert marked[b] == min(own, key=own.__getitem__)
    assert best_cell_text(part) == "best for each surface.b: stars"
