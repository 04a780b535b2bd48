"""The limits in docs/limits.md, and the note before a long run."""

import time

import pytest

import momentumlab
from momentumlab import calls
from momentumlab.config import load_either, settings, yaml_reader
from momentumlab.engine import HISTORY_BYTES
from momentumlab.experiment import MAX_DIMENSION, MAX_VALUES
from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, make_plan
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
