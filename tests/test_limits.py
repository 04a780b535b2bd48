"""The limits in docs/limits.md, and the note before a long run."""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import momentumlab
from momentumlab import calls
from momentumlab.config import load_either, settings, yaml_reader
from momentumlab.engine import HISTORY_BYTES
from momentumlab.experiment import MAX_DIMENSION, MAX_VALUES
from momentumlab.plan import BYTES_PER_COORDINATE, BYTES_PER_TRIAL, MAX_SEARCHED, MAX_TRIALS, make_plan
from momentumlab.runs.layout import LARGEST_RECORD
from tests.conftest import ROOT, Command

BASE = {"surface": "ravine", "optimizer": "momentum", "tolerance": None}


def test_the_page_has_the_limits_of_the_code() -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    documented = {
        "size of a configuration file | 1 MB": yaml_reader.MAX_BYTES == 10**6,
        f"nesting of a configuration | {yaml_reader.MAX_DEPTH} levels": True,
        f"aliases counted each time | {yaml_reader.MAX_NODES:,}": True,
        f"values of one axis | {MAX_VALUES:,}": True,
        "iterations | 10⁹": settings.MAX_ITERATIONS == 10**9,
        f"`random()` starts | {MAX_DIMENSION:,}": True,
        f"`warmup(…)` | {calls.MAX_DEPTH} levels": True,
        f"a run or sweep | {MAX_TRIALS:,}": True,
        f"per surface | {MAX_SEARCHED:,}": True,
        "history of a run | 1 GiB": HISTORY_BYTES == 2**30,
        "record of a run folder | 20 MB": LARGEST_RECORD == 2 * 10**7,
    }
    for line, is_so in documented.items():
        assert line in page
        assert is_so, line


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": "geomspace(1e-4, 0.01, 3)", "iterations": 20_000},
        {"lr": "geomspace(1e-4, 0.01, 3000)", "iterations": 3000},
        {"lr": "geomspace(1e-4, 0.01, 60)", "beta": [0.5, "cosine(0.5, 0.4)"], "iterations": 4000},
    ],
)
def test_the_estimate_is_of_the_right_magnitude(settings: dict[str, object]) -> None:
    experiment = load_either({**BASE, **settings})
    assert isinstance(experiment, momentumlab.Experiment)
    plan = make_plan(experiment)
    clock = time.process_time()
    momentumlab.run(experiment, record="none")
    taken = time.process_time() - clock
    assert taken / 8 < plan.most_seconds < taken * 8


def test_a_long_run_is_announced(command: Command) -> None:
    quick = ["run", "--surface", "ravine", "--optimizer", "sgd", "--lr", "0.1", "--no-plots", "--target-loss", "1e-9"]
    assert command(*quick, "--iterations", "1_000_000").stderr == ""
    note = "note: this may take up to about 5 minutes: 1 trial of at most 10,000,000 iterations\n"
    assert command(*quick, "--iterations", "10_000_000").stderr.startswith(note)
    hours = command(*quick, "--iterations", "1e9")
    assert (hours.returncode, hours.stderr.splitlines()[0].split(":")[1]) == (0, " this may take up to about 8 hours")


def test_the_memory_limit_of_the_history_can_be_set() -> None:
    settings = {**BASE, "lr": [0.001, 0.01], "iterations": 1000}
    whole, thinned = momentumlab.run(settings), momentumlab.run(settings, history_bytes=10_000)
    assert (len(whole.losses[0]), whole.notes) == (1001, ())
    assert thinned.losses.nbytes + thinned.positions.nbytes + thinned.velocities.nbytes < 11_000
    assert "every" in thinned.notes[0]
    assert thinned.final_losses.tolist() == whole.final_losses.tolist()


def test_the_command_line_sets_the_memory_limit(command: Command) -> None:
    done = command(
        "run", "--surface", "ravine", "--optimizer", "sgd", "--lr", "0.01", "--iterations", "100_000", "--no-plots",
        "--max-history", "0.001",
    )  # fmt: skip
    assert done.returncode == 0
    assert "above the limit of 0.0 GiB: every 4th iterate" in done.stderr


# Memory


def peak_of(action: Callable[[], object]) -> int:
    """Return the most bytes that were allocated at the same time, beyond those before."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_contours_in_many_dimensions_take_little_memory() -> None:
    from momentumlab.report.figures.contours import _heights, principal_plane

    path = np.random.default_rng(0).normal(size=(9, 4000))
    plane = principal_plane([path], path[-1])
    mesh = np.random.default_rng(1).normal(size=(2, 10_000))
    surface = momentumlab.load(surface="rosenbrock", optimizer="sgd", start=[0.0, 0.0]).first_surface
    assert peak_of(lambda: _heights(surface, plane, mesh)) < 20e6  # all points together take 320 MB


def test_a_trajectory_figure_takes_half_as_much_memory_as_the_history() -> None:
    def draw(iterations: int) -> int:
        settings = {"surface": "rosenbrock", "optimizer": "momentum", "lr": 1e-5, "start": "random(4, dimension=500)"}
        result = momentumlab.run({**settings, "iterations": iterations})
        return peak_of(result.plot_trajectories)

    draw(5)  # imports
    history = 4 * 1000 * 500 * 16
    assert draw(1000) - draw(5) < 0.5 * history


@pytest.mark.long
def test_the_memory_of_a_sweep_with_its_map_is_estimated_within_a_factor_of_one_and_a_half(tmp_path: Path) -> None:
    def peak(side: int) -> int:
        axes = {"lr": f"linspace(0.001, 0.1, {side})", "beta": f"linspace(0, 0.9, {side})"}
        settings = {**BASE, **axes, "iterations": 2}
        return peak_of(lambda: momentumlab.sweep(settings, out=tmp_path, workers=1))

    # Maps draw at most 840 cells along an axis, so their memory is the same for both.
    peak(20)  # imports
    measured = (peak(1600) - peak(1100)) / (1600**2 - 1100**2)
    estimated = BYTES_PER_TRIAL + 2 * BYTES_PER_COORDINATE
    assert estimated / 1.5 < measured < 1.5 * estimated
