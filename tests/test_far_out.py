"""Runs that start at or reach extreme numbers have results, figures and files without warnings."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.surfaces import SURFACES

FAR_OUT: dict[str, dict[str, Any]] = {
    "1-D start": {"surface": "parabola", "optimizer": "sgd", "start": 1e200},
    "2-D start": {"surface": "ravine", "optimizer": "momentum", "start": [1e200, 1e200]},
    "no minimum": {"surface": "saddle", "optimizer": "sgd", "start": [1e200, 1e200]},
    "flat": {"surface": {"name": "quadratic", "eigenvalues": [0.0]}, "optimizer": "sgd", "start": 1.0},
    "flat 2-D": {"surface": {"name": "quadratic", "eigenvalues": [0.0, 0.0]}, "optimizer": "sgd"},
    "huge lr": {"surface": "himmelblau", "optimizers": ["sgd", "adam", "rprop"], "lr": [1e300, 0.0]},
    "many dimensions": {"surface": "rosenbrock", "optimizer": "adam", "start": "random(1, dimension=500)"},
    "one huge eigenvalue": {"surface": {"name": "quadratic", "eigenvalues": [1e-300, 1e300]}, "optimizer": "adam"},
}


@pytest.mark.parametrize("experiment", [pytest.param(value, id=name) for name, value in FAR_OUT.items()])
def test_extreme_numbers_give_a_complete_run_folder(experiment: dict[str, Any], tmp_path: Path) -> None:
    result = momentumlab.run({**experiment, "iterations": 20}, out=tmp_path)
    assert result.run_folder is not None
    assert (result.run_folder / "result.json").is_file()
    assert len(list(result.run_folder.glob("*.png"))) == 3


sizes = st.floats(-1e300, 1e300) | st.floats(-10, 10)


@settings(max_examples=10, deadline=None)
@given(
    surface=st.sampled_from(sorted(name for name, cls in SURFACES.items() if cls().default_dimension == 2)),
    optimizer=st.sampled_from(sorted(name for name, cls in OPTIMIZERS.items() if not cls.requires)),
    start=st.tuples(sizes, sizes),
    lr=st.floats(0, 1e300) | st.floats(0, 1),
)
def test_any_result_can_be_drawn(surface: str, optimizer: str, start: tuple[float, float], lr: float) -> None:
    result = momentumlab.run(
        {"surface": surface, "optimizer": optimizer, "lr": lr, "start": list(start), "iterations": 5}
    )
    for figure in (result.plot_trajectories(), result.plot_velocities(), result.plot_losses()):
        assert figure.axes
