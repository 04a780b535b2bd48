"""Run folders: their content, and that no file is ever half written."""

import csv
import io
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import momentumlab
from momentumlab.config import load_experiment
from momentumlab.errors import OutputError
from momentumlab.runs import write as store
from momentumlab.runs.layout import file_name
from tests.test_runs import folder_of

SETTINGS = {
    "surface": "ravine",
    "optimizers": ["sgd", {"name": "momentum", "beta": [0.3, 0.9]}],
    "lr": [0.05, 0.3],
    "iterations": 30,
    "start": "random(2)",
    "tolerance": 1e-3,
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> momentumlab.Result:
    return momentumlab.run(SETTINGS, out=tmp_path_factory.mktemp("out"), plots=False)


def test_the_folder_is_named_by_time_and_experiment(result: momentumlab.Result) -> None:
    assert re.fullmatch(r"\d{8}-\d{6}-experiment", folder_of(result).name)


def test_the_resolved_experiment_gives_the_same_numbers(result: momentumlab.Result) -> None:
    again = momentumlab.run(folder_of(result) / "experiment.yaml")
    assert again.experiment == load_experiment(folder_of(result) / "experiment.yaml") == result.experiment
    assert again.positions.tobytes() == result.positions.tobytes()


def test_trajectories_are_the_history(result: momentumlab.Result) -> None:
    with np.load(folder_of(result) / "trajectories.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["iterations", "losses", "positions", "velocities"]
        assert arrays["positions"].shape == (12, result.iterations.max() + 1, 2)
        for name in ("positions", "velocities", "losses", "iterations"):
            np.testing.assert_array_equal(arrays[name], getattr(result, name))


def test_summary_and_result_agree_at_full_precision(result: momentumlab.Result) -> None:
    document = json.loads((folder_of(result) / "result.json").read_text())
    rows = list(csv.DictReader(io.StringIO((folder_of(result) / "summary.csv").read_text())))
    assert len(rows) == len(document["trials"]) == 12
    for number, (row, trial) in enumerate(zip(rows, document["trials"], strict=True)):
        assert float(row["final_loss"]) == trial["final_loss"] == result.final_losses[number]
        assert [float(row["final_point_0"]), float(row["final_point_1"])] == trial["final_point"]
        assert float(row["lr"]) == trial["hyperparameters"]["lr"]
        assert row["beta"] == str(trial["hyperparameters"].get("beta", ""))
        assert row["status"] == trial["status"] == result.status_of(number).label


def test_result_json_contains_the_provenance(result: momentumlab.Result) -> None:
    document = json.loads((folder_of(result) / "result.json").read_text())
    reported = ["experiment", "run_folder", "trials", "settings", "provenance", "notes"]
    assert list(document) == ["format", *reported]
    provenance = document["provenance"]
    assert provenance["momentumlab"] == momentumlab.__version__
    assert provenance["numpy"] == np.__version__
    assert provenance["seconds"] > 0
    assert datetime.fromisoformat(provenance["started"]).tzinfo is not None
    assert {"python", "platform", "command_line"} <= provenance.keys()


def test_runs_of_the_same_second_get_separate_folders(tmp_path: Path) -> None:
    when = datetime(2026, 11, 20, 10, 15, 33)
    names = [store.make_folder(tmp_path, "a b", when).name for _ in range(3)]
    assert names == ["20261120-101533-a_b", "20261120-101533-a_b-2", "20261120-101533-a_b-3"]


@given(st.text(min_size=1, max_size=100))
def test_folder_names_are_safe_on_every_file_system(name: str) -> None:
    safe = file_name(name)
    assert safe
    assert len(safe.encode()) <= 101
    assert not set(safe) & set('/\\:*?"<>|\0 ')
    assert safe.isprintable()
    assert not safe.startswith(".")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/absolute", "a/b", "..", "CON", "nul.txt", "com1", "\0", "x" * 100]
)
def test_names_cannot_leave_the_output_folder(name: str, tmp_path: Path) -> None:
    folder = store.make_folder(tmp_path, name, datetime.now())
    assert folder.parent == tmp_path
    assert folder.name[0].isdigit()  # no reserved name of Windows does


def test_a_file_that_cannot_be_finished_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OutputError, match="no space left on device"):
        momentumlab.run(SETTINGS, out=tmp_path, plots=False)
    (folder,) = tmp_path.iterdir()
    assert {file.name for file in folder.iterdir()} == {".lock", "partial.json", "experiment.yaml", "summary.csv"}


def test_readers_never_see_a_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    savez = np.savez

    def look(file: Any, **arrays: Any) -> None:
        seen.append({entry.name for entry in Path(file.name).parent.iterdir() if not entry.name.startswith(".")})
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", look)
    folder = folder_of(momentumlab.run(SETTINGS, out=tmp_path, plots=False))
    assert seen == [{"partial.json", "experiment.yaml", "summary.csv"}]
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]


def test_paths_with_spaces_and_letters_of_any_language(tmp_path: Path) -> None:
    out = tmp_path / "mein Ordner ü 実験"
    result = momentumlab.run({**SETTINGS, "name": "Σ β ≠ 1"}, out=out, plots=False)
    assert folder_of(result).parent == out
    assert (folder_of(result) / "result.json").is_file()


def test_without_out_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert momentumlab.run(SETTINGS).run_folder is None
    assert list(tmp_path.iterdir()) == []
