"""What happens to real processes that are killed, crowded, starved or cut off. docs/faults.md tells it to people."""

import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from momentumlab import stopping
from momentumlab.config import load_either
from momentumlab.runs.layout import LOCK, PARTIAL, RECORD
from tests.conftest import ROOT
from tests.fuzz.judge import run_in_process
from tests.test_cli import ALL_FILES, RAVINE

MOMENTUMLAB = str(Path(sys.executable).with_name("momentumlab"))
ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc, or limits resources")
WITHOUT_FIGURES = ALL_FILES - {"loss.png", "trajectory.png", "velocity.png"}
ENDLESS = ["--iterations", "50_000_000", "--set", "beta=0.999999", "--lr", "1e-9", "--no-plots"]


def begin(*arguments: str | Path, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [MOMENTUMLAB, *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def begin_caught(*arguments: str | Path, cwd: Path) -> "subprocess.Popen[str]":
    """A process from the moment on at which it says itself what signals do to it."""
    process = begin(*arguments, cwd=cwd)
    caught = f"/proc/{process.pid}/status"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        mask = next(line for line in Path(caught).read_text().splitlines() if line.startswith("SigCgt"))
        if int(mask.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return process
        time.sleep(0.001)
    raise AssertionError("it never catches SIGTERM")


def assert_whole(path: Path) -> None:
    """That a file is complete, by its own format."""
    content = path.read_bytes()
    if path.suffix == ".png":
        assert content.startswith(b"\x89PNG"), path
        assert content.endswith(b"IEND\xaeB`\x82"), path
    elif path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, path
    elif path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".yaml":
        load_either(path)
    elif path.suffix == ".csv":
        assert content.endswith(b"\n"), path
        assert len(list(csv.DictReader(content.decode().splitlines()))) == 3, path
    else:
        raise AssertionError(f"what is {path}?")


def visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())


def is_complete(folder: Path) -> bool:
    return (folder / RECORD).exists()


class Reader(threading.Thread):
    """Looks at every file of every folder, again and again, until it is told to end; keeps what it found half-made."""

    def __init__(self, runs: Path) -> None:
        super().__init__()
        self.runs = runs
        self.is_over = threading.Event()
        self.found: list[str] = []
        self.start()

    def run(self) -> None:
        while not self.is_over.wait(0.003):
            for path in self.runs.glob("*/[!.]*"):
                try:
                    assert_whole(path)
                except FileNotFoundError:
                    pass  # partial.json goes at the end
                except Exception as error:
                    self.found.append(f"{path}: {error!r}")

    def end(self) -> list[str]:
        self.is_over.set()
        self.join()
        return self.found


@pytest.mark.parametrize("moments", [8, pytest.param(50, marks=pytest.mark.long)])
def test_kill_9_at_any_moment_leaves_no_half_file_and_no_folder_that_claims_to_be_complete(
    moments: int, tmp_path: Path
) -> None:
    clock = time.monotonic()
    assert finished("run", RAVINE, cwd=tmp_path).returncode == 0
    duration = time.monotonic() - clock
    shutil.rmtree(tmp_path / "runs")
    chance = random.Random(7)
    reader = Reader(tmp_path / "runs")
    for number in range(moments):
        before = set(tmp_path.glob("runs/[0-9]*"))
        process = begin("run", RAVINE, cwd=tmp_path)
        if number % 4:  # most of them while it writes
            while set(tmp_path.glob("runs/[0-9]*")) == before and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, min(0.6 * duration, 0.5)))
        else:
            time.sleep(chance.uniform(0, duration))
        process.kill()
        process.communicate()
    assert not reader.end()
    folders = list(tmp_path.glob("runs/[0-9]*"))
    interrupted = [folder for folder in folders if not is_complete(folder)]
    assert interrupted
    for folder in folders:
        names = {path.name for path in visible(folder)}
        for path in visible(folder):
            assert_whole(path)
        if is_complete(folder):
            assert names >= ALL_FILES
        else:
            assert not names or PARTIAL in names
            assert names < ALL_FILES | {PARTIAL}
    last = begin("run", RAVINE, "--quiet", cwd=tmp_path)
    printed, errors = last.communicate()
    assert (last.returncode, errors) == (0, "")
    assert {file.name for file in (tmp_path / printed.strip()).iterdir()} == ALL_FILES


@pytest.mark.parametrize("count", [8, pytest.param(64, marks=pytest.mark.long)])
def test_a_crowd_that_starts_together_gets_a_folder_each(count: int, tmp_path: Path) -> None:
    processes = [begin("run", RAVINE, "--no-plots", "--quiet", cwd=tmp_path) for _ in range(count)]
    done = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    assert {errors for _, errors in done} == {""}
    folders = {tmp_path / path.strip() for path, _ in done}
    assert len(folders) == count
    assert folders == set(tmp_path.glob("runs/[0-9]*"))
    assert all({file.name for file in folder.iterdir()} == WITHOUT_FIGURES for folder in folders)
    numbers = {
        json.dumps(json.loads((folder / "result.json").read_text())["trials"], sort_keys=True) for folder in folders
    }
    assert len(numbers) == 1


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moments", [5, pytest.param(40, marks=pytest.mark.long)])
def test_a_signal_at_any_moment_is_one_line_and_the_right_exit_code(
    moments: int, number: signal.Signals, tmp_path: Path
) -> None:
    chance = random.Random(number)
    for moment in range(moments):
        process = begin_caught("run", RAVINE, cwd=tmp_path)
        time.sleep(0 if moment == 0 else chance.uniform(0, 0.6))
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        expected = (128 + number, f"{stopping.WORDS[number]}\n")
        assert (process.returncode, errors) in (expected, (0, "")), moment
    for folder in tmp_path.glob("runs/[0-9]*"):
        assert not list(folder.glob(".*.part")), "half-written files are removed"
        for path in visible(folder):
            assert_whole(path)
        names = {file.name for file in visible(folder)}
        assert is_complete(folder) or not names or PARTIAL in names  # in its first instant a folder is empty


@ON_LINUX
def test_what_was_printed_before_a_signal_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text("surface: ravine\noptimizer: sgd\nlr: 1e-9\niterations: 50_000_000\n")
    process = begin("run", RAVINE, "long.yaml", "--no-plots", cwd=tmp_path)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ravine_beta_sweep")
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.splitlines()[-1]) == (143, "terminated")


@ON_LINUX
@pytest.mark.parametrize("whole_group", [False, True], ids=["the command", "all its processes"])
def test_a_sweep_that_is_terminated_says_how_to_go_on(whole_group: bool, tmp_path: Path) -> None:
    plane = {"surface": "ravine", "optimizer": "momentum", "iterations": 6000}
    axes = {"lr": "linspace(1e-4, 0.1, 300)", "beta": "linspace(0, 0.9, 300)"}
    (tmp_path / "long.yaml").write_text(json.dumps({**plane, **axes}))
    process = subprocess.Popen(
        [MOMENTUMLAB, "sweep", "long.yaml", "--no-plots", "--workers", "2"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/[0-9]*/blocks/[0-9]*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    (folder,) = tmp_path.glob("runs/[0-9]*")
    if whole_group:
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert errors == f"error: terminated; finished blocks are kept: momentumlab sweep --resume runs/{folder.name}\n"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 0)
        raise AssertionError("a worker is left over")


def finished(
    *arguments: str | Path, cwd: Path, prepare: Callable[[], None] | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [MOMENTUMLAB, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, preexec_fn=prepare,
        env={**os.environ, **environment},
    )  # fmt: skip


@ON_LINUX
def test_a_file_that_outgrows_its_limit_is_one_line_and_the_next_run_is_unharmed(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = finished("run", RAVINE, cwd=tmp_path, prepare=limit)
    (folder,) = tmp_path.glob("runs/[0-9]*")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr == f"error: runs/{folder.name}/trajectory.png: file too large\n"
    assert {path.name for path in folder.iterdir()} == WITHOUT_FIGURES - {"result.json", RECORD} | {PARTIAL, LOCK}
    for path in visible(folder):
        assert_whole(path)
    assert finished("run", RAVINE, "--no-plots", cwd=tmp_path).returncode == 0


@ON_LINUX
def test_a_full_file_system_is_one_line(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        done = finished("run", RAVINE, "--out", small, cwd=tmp_path)
        (folder,) = small.glob("[0-9]*")
        assert done.returncode == 1
        assert done.stderr == f"error: {folder}/trajectory.png: no space left on device\n"
        assert not is_complete(folder)
        assert not list(folder.glob(".*.part"))
        for path in visible(folder):
            assert_whole(path)
        shutil.rmtree(folder)
        assert finished("run", RAVINE, "--out", small, "--no-plots", cwd=tmp_path).returncode == 0
    finally:
        subprocess.run(["umount", small], check=True)


@ON_LINUX
def test_a_folder_that_is_removed_in_mid_run_is_one_line(tmp_path: Path) -> None:
    process = begin("run", RAVINE, cwd=tmp_path)
    while not list(tmp_path.glob("runs/*/experiment.yaml")) and process.poll() is None:
        time.sleep(0.001)
    (folder,) = tmp_path.glob("runs/[0-9]*")
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith(f"error: runs/{folder.name}")
    assert errors.endswith(": no such file or directory\n")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("name", ["a folder with spaces", "Ordner-ü-実験-🎢", "x" * 200, "deep/" * 20 + "end"])
def test_folders_of_any_name_will_do(name: str, tmp_path: Path) -> None:
    done = finished("run", RAVINE, "--no-plots", "--quiet", "--out", name, cwd=tmp_path, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert is_complete(tmp_path / done.stdout.strip())
    assert (tmp_path / done.stdout.strip()).parent == tmp_path / name


def test_a_runs_folder_may_be_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").symlink_to("elsewhere", target_is_directory=True)
    done = finished("run", RAVINE, "--no-plots", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = (tmp_path / "elsewhere").glob("[0-9]*")
    assert is_complete(folder)


NAMES = {
    "parent": "../../escaped", "absolute": "/tmp/escaped", "reserved": "CON", "reserved with an ending": "nul.txt",
    "trailing dots": "name...", "right to left": "\u202egnp.exe", "emoji": "🎢" * 60, "dots": "..", "spaces": "   ",
    "home": "~root", "an option": "-rf", "zero width": "\u200b\ufeff", "tilde and dollar": "$HOME/`id`",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_cannot_leave_the_output_folder(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    code, _, errors = run_in_process(["run", str(RAVINE), "--no-plots", "--out", str(inner / "out"), f"--name={name}"])
    assert code in (0, 2), errors
    assert {path.name for path in tmp_path.iterdir()} == {"inner"}
    assert {path.name for path in inner.iterdir()} <= {"out"}
    for folder in (inner / "out").glob("[0-9]*") if code == 0 else ():
        assert folder.name[0].isdigit()  # no reserved name does
        assert folder.name.isprintable()
        assert not folder.name.endswith((".", " "))


SHELL = {
    "stdout closed": ("{} run {config} --no-plots >&-", 0, ""),
    "stderr closed": ("{} run {config} --no-plots 2>&- | tail -1 | cut -c1-7", 0, ""),
    "both closed": ("{} run {config} --no-plots >&- 2>&-", 0, ""),
    "stdin closed": ("{} run {config} --no-plots <&- >/dev/null", 0, ""),
    "stdout full": (
        "{} run {config} --no-plots > /dev/full", 1, "error: cannot print the result: no space left on device\n"
    ),
    "stderr full": ("{} run missing.yaml 2> /dev/full", 2, ""),
    "stderr closed, a mistake": ("{} run missing.yaml 2>&-", 2, ""),
    "a reader of one line": ("{} run {config} --no-plots --steps | head -1 > /dev/null", 0, ""),
    "a reader of nothing": ("{} run {config} --no-plots --format json | true", 0, ""),
    "a reader of a list": ("{} list surfaces | head -1 > /dev/null", 0, ""),
}  # fmt: skip


@ON_LINUX
@pytest.mark.parametrize(("script", "code", "errors"), SHELL.values(), ids=SHELL)
def test_closed_pipes_and_full_devices(script: str, code: int, errors: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", script.format(MOMENTUMLAB, config=RAVINE)], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, errors)
    for folder in tmp_path.glob("runs/[0-9]*"):
        assert {path.name for path in folder.iterdir()} == WITHOUT_FIGURES


def test_the_faults_that_are_tried_are_told() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    for name in [*NAMES, *SHELL]:
        assert name in page, name
