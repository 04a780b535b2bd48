"""Run folders of experiments on data: the folder holds what is needed to open, draw, export and repeat the run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.result import Result
from momentumlab.runs import inputs, unfinished
from momentumlab.runs.find import find
from momentumlab.runs.identity import identity
from momentumlab.runs.read import load_run
from momentumlab.runs.records import list_runs
from tests.conftest import Command
from tests.test_run_folders import fifo
from tests.test_runs import flip, folder_of, run_of, typed

TABLE = "x,z,y\n1,0,2\n2,1,3\n3,0,4.5\n4,1,4\n"
CHANGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "other numbers": lambda path: path.write_text(TABLE.replace("4.5", "9")),
    "other columns": lambda path: path.write_text("a,b\n1,2\n3,4\n"),
    "a FIFO": fifo,
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(TABLE)
    return path


def fit(table: Path, out: Path, **settings: Any) -> Path:
    surface = {"name": "least_squares", "data": str(table), "target": "y"}
    return folder_of(
        momentumlab.run(surface=surface, optimizer="sgd", lr=0.1, iterations=5, out=out, plots=False, **settings)
    )


def test_the_record_has_hash_shape_and_copy_of_the_data(table: Path, tmp_path: Path) -> None:
    import hashlib

    folder = fit(table, tmp_path / "runs")
    (data,) = run_of(folder).record["data"]
    expected = {"file": str(table), "sha256": hashlib.sha256(TABLE.encode()).hexdigest(), "shape": [4, 2]}
    assert data == {**expected, "copy": "data-1-t.csv"}
    assert (folder / "data-1-t.csv").read_text() == TABLE
    assert "data: data-1-t.csv" in (folder / "experiment.yaml").read_text()


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_whose_data_file_changed_is_shown_drawn_and_exported_from_its_folder(
    change: str, table: Path, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "fit.yaml").write_text(
        "surface: {name: least_squares, data: t.csv, target: y}\noptimizer: sgd\nlr: 0.1\niterations: 5\n"
    )
    folder = tmp_path / command("run", "fit.yaml", "--quiet").stdout.strip()
    figures = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    words: list[list[str | Path]] = [["show", "latest"], ["show", "latest", "--format", "csv"], ["export", "latest"]]
    before = [command("runs", *each).stdout.replace(str(table), "DATA") for each in words]
    CHANGES[change](table)
    what = "has changed since the run" if change.startswith("other") else "is missing"
    note = f"note: data file {table} {what}; its copy in the run folder is used\n"
    for each, printed in zip(words, before, strict=True):
        done = command("runs", *each)
        assert (done.returncode, done.stderr) == (0, note)
        shown = done.stdout
        for name in (str(folder / "data-1-t.csv"), "data-1-t.csv"):
            shown = shown.replace(name, "DATA")
        assert shown.replace("data = DATA", "data = t.csv") == printed
    done = command("runs", "plot", "latest", "--to", "again")
    assert done.stderr == note
    assert {path.name for path in (tmp_path / "again").iterdir()} == {*figures}
    assert '"complete"' in command("runs", "--format", "json").stdout


@pytest.mark.parametrize("change", CHANGES)
def test_a_repetition_uses_the_copy_and_names_the_changed_data(change: str, table: Path, tmp_path: Path) -> None:
    folder = fit(table, tmp_path / "runs")
    assert typed("runs", "rerun", folder) == f"{folder}: identical to the last bit\n"
    CHANGES[change](table)
    first, second = typed("runs", "rerun", folder).splitlines()
    assert first == f"{folder}: identical to the last bit"
    assert second.startswith(f"data file {table} ")
    assert second.endswith("its copy in the run folder is used")
    assert json.loads(typed("runs", "rerun", folder, "--format", "json"))["changed_data"] == [second]


def test_the_experiment_in_a_folder_gives_the_same_numbers_anywhere(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit(table, tmp_path / "runs")
    expected = load_run(run_of(folder)).results[0]
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    table.unlink()
    monkeypatch.chdir("/")
    again = momentumlab.run(moved / "experiment.yaml")
    assert again.positions.tobytes() == expected.positions.tobytes()


def test_an_unchanged_data_file_keeps_its_name(table: Path, tmp_path: Path) -> None:
    folder = fit(table, tmp_path / "runs")
    opened = momentumlab.open_run(folder)
    assert isinstance(opened, Result)
    assert opened.experiment.surface.first["data"] == str(table)
    assert identity(opened.experiment) == run_of(folder).record["identity"]


def test_the_identity_depends_on_the_content_of_data_and_not_on_their_path(table: Path, tmp_path: Path) -> None:
    folder = fit(table, tmp_path / "runs")
    table.rename(tmp_path / "u.csv")
    opened = momentumlab.open_run(folder)
    assert isinstance(opened, Result)
    assert identity(opened.experiment) == run_of(folder).record["identity"]
    (tmp_path / "u.csv").write_text(TABLE.replace("4.5", "5"))
    moved = fit(tmp_path / "u.csv", tmp_path / "runs")
    assert run_of(moved).record["identity"] != run_of(folder).record["identity"]


def test_files_of_the_same_name_get_separate_copies(table: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = Path(shutil.copy(table, tmp_path / "b" / "t.csv"))
    other.write_text(TABLE.replace("4.5", "7"))
    surface = {"name": "least_squares", "data": [str(table), str(other)], "target": "y"}
    result = momentumlab.run(surface=surface, optimizer="sgd", iterations=5, out=tmp_path / "runs", plots=False)
    table.unlink()
    other.unlink()
    repeated = json.loads(typed("runs", "rerun", folder_of(result), "--format", "json"))
    assert (repeated["verdict"], len(repeated["changed_data"])) == ("identical", 2)


def test_a_comparison_on_data_is_read_from_its_copies(table: Path, tmp_path: Path) -> None:
    surface = {"name": "least_squares", "data": str(table), "target": "y"}
    made = momentumlab.compare(
        surface=[surface, "booth"], optimizers=["sgd", "momentum"], budget=4, iterations=9, out=tmp_path, plots=False
    )
    table.unlink()
    assert made.run_folder is not None
    loaded = load_run(run_of(made.run_folder))
    assert [each.final_losses.tolist() for each in loaded.results] == [
        each.final_losses.tolist() for each in made.results
    ]
    assert json.loads(typed("runs", "rerun", made.run_folder, "--format", "json"))["verdict"] == "identical"


def test_a_resumed_sweep_uses_the_data_with_which_it_began(table: Path, tmp_path: Path) -> None:
    surface = {"name": "least_squares", "data": str(table), "target": "y"}
    settings: dict[str, Any] = {"surface": surface, "optimizer": "sgd", "lr": "linspace(0.01, 0.1, 7)", "iterations": 9}
    expected = momentumlab.sweep(settings)
    folder = unfinished.begin_run(momentumlab.load(settings), tmp_path, datetime.now(), 4)
    table.write_text(TABLE.replace("4.5", "9"))
    resumed = momentumlab.sweep(resume=folder, plots=False)
    assert resumed.final_loss.tobytes() == expected.final_loss.tobytes()
    assert typed("runs", "rerun", folder).startswith(f"{folder}: identical to the last bit")


def test_large_files_are_not_copied_and_stored_numbers_are_still_shown(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LARGEST_COPY", 10)
    folder = fit(table, tmp_path / "runs")
    assert run_of(folder).record["data"][0]["copy"] is None
    assert not list(folder.glob("data-*"))
    printed = typed("runs", "show", folder, "--format", "json")
    table.write_text(TABLE.replace("4.5", "9"))
    assert typed("runs", "show", folder, "--format", "json") == printed
    for name in ("plot", "export", "rerun"):
        assert typed("runs", name, folder, code=1) == f"error: {folder}: data file {table} has changed since the run\n"
    assert [run.status.label for run in list_runs(folder.parent)] == ["complete"]


def test_a_damaged_copy_of_the_data_is_reported(table: Path, tmp_path: Path) -> None:
    folder = fit(table, tmp_path / "runs")
    flip(folder / "data-1-t.csv")
    assert (
        typed("runs", "show", folder, code=1)
        == f"error: {folder}: is damaged: data-1-t.csv is missing or has changed\n"
    )


# Arrays given in Python

ARRAYS = """
import numpy, momentumlab
random = numpy.random.default_rng(0)
X = random.normal(size=(40, 2))
labels = numpy.where(X @ [1.0, -2.0] > 0, "yes", "no")
result = momentumlab.run(
    surface=momentumlab.logistic(X, labels, names=["file", "b/c"]), optimizer="adam", lr=[0.01, 0.1], iterations=20,
    out="runs",
)
print(result.run_folder)
"""


def test_a_run_on_arrays_is_opened_drawn_exported_and_repeated_by_another_process(
    command: Command, tmp_path: Path
) -> None:
    program = subprocess.run([sys.executable, "-c", ARRAYS], cwd=tmp_path, capture_output=True, text=True, check=True)
    folder = tmp_path / program.stdout.strip()
    document = json.loads((folder / "result.json").read_text())
    assert document["notes"] == []
    for words in (["show"], ["plot", "--only", "training"], ["export"], ["rerun"], ["compare"]):
        done = command("runs", words[0], "latest", *words[1:])
        assert (done.returncode, done.stderr) == (0, ""), words
    assert "identical to the last bit" in command("runs", "rerun", "latest").stdout
    assert json.loads(command("runs", "show", "latest", "--format", "json").stdout)["trials"] == document["trials"]
    assert command("run", folder / "experiment.yaml", "--no-plots", "--quiet").returncode == 0
    again = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert [trial["final_loss"] for trial in again["trials"]] == [trial["final_loss"] for trial in document["trials"]]


@pytest.mark.parametrize("model", ["least_squares", "logistic", "softmax", "mlp"])
def test_arrays_read_back_as_the_same_data(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from momentumlab.datasets import in_memory

    random = np.random.default_rng(1)
    features, classes = random.normal(size=(30, 3)), random.integers(0, 2, 30)
    surface = getattr(momentumlab, model)(features, classes)
    written = momentumlab.run(surface=surface, optimizer="sgd", iterations=3, out=tmp_path, plots=False)
    monkeypatch.setattr(in_memory, "_TABLES", {})
    opened = momentumlab.open_run(tmp_path / "latest")
    assert isinstance(opened, Result)
    assert opened.experiment == written.experiment
    assert opened.plan.surface_of(0).design.features.tobytes() == surface.design.features.tobytes()  # type: ignore[attr-defined]


def test_a_copy_that_does_not_hold_the_arrays_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surface = momentumlab.logistic(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])
    folder = folder_of(momentumlab.run(surface=surface, optimizer="sgd", iterations=3, out=tmp_path, plots=False))
    record = json.loads((folder / "run.json").read_text())
    (copy,) = folder.glob("data-*")
    with copy.open("wb") as file:
        np.savez(file, x1=np.zeros(4), x2=np.ones(4), y=np.array([0.0, 1, 0, 1]))
    record["data"][0]["sha256"] = inputs.sha256_of(copy)
    record["files"][copy.name] = copy.stat().st_size
    (folder / "run.json").write_text(json.dumps(record))
    (run,) = find([str(folder)], tmp_path)
    with pytest.raises(momentumlab.MomentumLabError, match="is damaged"):
        load_run(run)


def test_a_run_on_a_function_lists_what_the_folder_does_not_contain(tmp_path: Path, own_functions: None) -> None:
    result = momentumlab.run(
        surface=lambda x: (x * x).sum(axis=0), optimizer="sgd", start=[1, 1], iterations=3, out=tmp_path, plots=False
    )
    assert "not in the run folder: surface" in result.notes[-1]
