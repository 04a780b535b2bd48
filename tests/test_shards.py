"""Shards: parts of a sweep that several machines compute into one run folder."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import momentumlab
from momentumlab.cli import app
from momentumlab.errors import OutputError
from momentumlab.runs import unfinished

RUNNER = CliRunner()
PLANE: dict[str, Any] = {
    "surface": "rosenbrock",
    "optimizer": "momentum",
    "lr": "geomspace(1e-5,1e-2,50)",
    "beta": "linspace(0,0.95,40)",
    "iterations": 40,
}
OPTIONS = [word for key, value in PLANE.items() for word in (f"--{key}", str(value))]


def sha256(arrays: dict[str, Any]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays))).hexdigest()


def arrays_of(folder: Path) -> dict[str, Any]:
    with np.load(folder / "sweep.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SHA-256 of the arrays of the sweep that runs as a whole."""
    out = tmp_path_factory.mktemp("whole")
    momentumlab.sweep(**PLANE, out=out, plots=False)
    (folder,) = (path for path in out.iterdir() if not path.is_symlink())
    return sha256(arrays_of(folder))


def run_shard(folder: Path, number: int, count: int, **settings: Any) -> Any:
    return momentumlab.sweep_shard(**{**PLANE, **settings}, shard=(number, count), into=folder, plots=False)


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (4, 2, 5, 1, 3), (5, 5, 1, 1, 2, 4, 3)])
def test_shards_in_any_order_give_the_arrays_of_the_whole_sweep(
    order: tuple[int, ...], whole: str, tmp_path: Path
) -> None:
    results = [run_shard(tmp_path / "plane", number, 5) for number in order]
    assert results[:-1] == [None] * (len(order) - 1)
    assert isinstance(results[-1], momentumlab.Sweep)
    assert sha256(arrays_of(tmp_path / "plane")) == whole
    assert not (tmp_path / "plane" / "blocks").exists()
    assert not list(tmp_path.glob(".*"))


def test_resume_completes_a_folder_without_the_missing_shards(whole: str, tmp_path: Path) -> None:
    run_shard(tmp_path / "plane", 2, 3)
    momentumlab.sweep(resume=tmp_path / "plane", plots=False)
    assert sha256(arrays_of(tmp_path / "plane")) == whole


def test_concurrent_and_killed_shards_give_the_arrays_of_the_whole_sweep(whole: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "momentumlab", "sweep", *OPTIONS, "--no-plots", "--into", "plane", "--shard"]
    silent: dict[str, Any] = {"cwd": tmp_path, "stdout": subprocess.DEVNULL}
    first = subprocess.Popen([*words, "1/3"], **silent)
    while not (tmp_path / "plane").exists() and first.poll() is None:
        time.sleep(0.01)
    first.kill()
    first.wait()
    shards = [subprocess.Popen([*words, f"{number}/3"], **silent) for number in (1, 2, 3)]
    assert [each.wait(timeout=120) for each in shards] == [0, 0, 0]
    assert sha256(arrays_of(tmp_path / "plane")) == whole
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_block_is_computed_again(whole: str, tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    run_shard(folder, 1, 2)
    block = next((folder / "blocks").glob("*.npz"))
    block.write_bytes(block.read_bytes()[:50])
    run_shard(folder, 2, 2)
    assert sha256(arrays_of(folder)) == whole


def test_the_command_line_runs_shards(whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["sweep", *OPTIONS, "--no-plots", "--into", "plane", "--format", "json", "--shard"]
    first = RUNNER.invoke(app, [*command, "1/2"])
    assert (first.exit_code, first.stdout) == (0, "")
    remedy = "the last shard completes plane, or 'momentumlab sweep --resume plane'"
    assert f"shard 1 of 2 is finished; {remedy}" in first.stderr
    last = RUNNER.invoke(app, [*command, "2/2"])
    assert json.loads(last.stdout)["run_folder"] == "plane"
    assert sha256(arrays_of(Path("plane"))) == whole


def test_a_shard_of_another_sweep_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    run_shard(folder, 2, 8)
    with pytest.raises(OutputError, match=r"was begun with --shard …/8, but this shard is one of 16: give the same"):
        run_shard(folder, 3, 16)
    with pytest.raises(OutputError, match="belongs to another experiment: give each experiment a folder of its own"):
        run_shard(folder, 3, 8, iterations=41)
    momentumlab.sweep(resume=folder, plots=False)
    with pytest.raises(OutputError, match="is already complete: 'momentumlab runs show"):
        run_shard(folder, 3, 8)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="other"):
        run_shard(tmp_path / "other", 1, 2)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    assert not list(tmp_path.glob(".*"))


def test_a_sweep_that_is_completed_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "plane"
    run_shard(folder, 1, 2)
    real = unfinished.finished_blocks

    def completed_by_another(path: Path) -> set[int]:
        found = real(path)
        if not unfinished.is_complete(path):
            momentumlab.sweep(resume=path, plots=False)
        return found

    monkeypatch.setattr(unfinished, "finished_blocks", completed_by_another)
    assert run_shard(folder, 2, 2) is None
    assert not (folder / "blocks").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shard", "3", "--into", "plane"], "'3' is not I/N with I from 1 to N, such as 3/16"),
        (["--shard", "5/4", "--into", "plane"], "'5/4' is not I/N"),
        (["--shard", "0/4", "--into", "plane"], "'0/4' is not I/N"),
        (["--shard", "1/4"], "--shard: needs --into RUN, too"),
        (["--into", "plane"], "--into: needs --shard I/N, too"),
        (["--shard", "1/4", "--into", "plane", "--executor", "mpi"], "leave out --executor"),
    ],
)
def test_wrong_options_are_refused(words: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    refused = RUNNER.invoke(app, ["sweep", *OPTIONS, *words])
    assert refused.exit_code == 2
    assert message in refused.output
