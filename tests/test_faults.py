"""What happens to real processes that are killed, crowded, starved or cut off. docs/faults.md describes it."""

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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from momentumlab import stopping
from momentumlab.config import load_either
from momentumlab.runs.layout import LOCK, PARTIAL, RECORD
from tests.conftest import ROOT, Command
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
    """Start a process and return when it handles signals."""
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
    """Check that a file is complete according to its format."""
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
    """Reads every file of every folder until it is stopped, and notes files that are half written."""

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


@pytest.mark.parametrize("moments", [5, pytest.param(50, marks=pytest.mark.long)])
def test_kill_9_at_any_moment_leaves_no_partial_file_and_no_folder_marked_complete(
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


@pytest.mark.parametrize("count", [5, pytest.param(64, marks=pytest.mark.long)])
def test_processes_that_start_together_get_separate_folders(count: int, tmp_path: Path) -> None:
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
@pytest.mark.parametrize("moments", [3, pytest.param(40, marks=pytest.mark.long)])
def test_a_signal_at_any_moment_gives_one_line_and_the_right_exit_code(
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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_output_before_a_signal_is_not_lost(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text("surface: ravine\noptimizer: sgd\nlr: 1e-9\niterations: 50_000_000\n")
    process = begin("run", RAVINE, "long.yaml", "--no-plots", cwd=tmp_path)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ravine_beta_sweep")
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.splitlines()[-1]) == (128 + number, stopping.WORDS[number])


@ON_LINUX
def test_sighup_keeps_its_default_action(tmp_path: Path) -> None:
    process = begin_caught("run", RAVINE, *ENDLESS, cwd=tmp_path)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (-signal.SIGHUP, "")


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("whole_group", [False, True], ids=["the command", "all its processes"])
def test_a_sweep_that_a_signal_ends_says_how_to_resume(
    whole_group: bool, number: signal.Signals, tmp_path: Path
) -> None:
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
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert (
        errors
        == f"error: {stopping.WORDS[number]}; finished blocks are kept: momentumlab sweep --resume runs/{folder.name}\n"
    )
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 0)
        raise AssertionError("a worker is left over")


def finished(
    *arguments: str | Path,
    cwd: Path,
    prepare: Callable[[], None] | None = None,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [MOMENTUMLAB, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, preexec_fn=prepare,
        env={**os.environ, **(variables or {})},
    )  # fmt: skip


@ON_LINUX
def test_a_file_that_outgrows_its_limit_gives_one_line_and_the_next_run_is_unharmed(tmp_path: Path) -> None:
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
def test_a_full_file_system_gives_one_line(tmp_path: Path) -> None:
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


def without_privileges() -> None:
    """Let permissions of files apply to root as well; in a process that is about to start."""
    import ctypes

    drop_capability, overriding, searching = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    for capability in (overriding, searching):
        ctypes.CDLL(None).prctl(drop_capability, capability, 0, 0, 0)


@ON_LINUX
def test_a_read_only_folder_is_one_line_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "fixed").mkdir(mode=0o500)
    done = finished("run", RAVINE, *ENDLESS, "--out", "fixed", cwd=tmp_path, prepare=without_privileges)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == ["error: fixed: permission denied"], "after the note on the duration"


@ON_LINUX
def test_an_unreadable_run_folder_or_record_breaks_no_command(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        assert finished("run", RAVINE, "--no-plots", "--quiet", "--name", name, cwd=tmp_path).returncode == 0
    (tmp_path / "runs").joinpath("latest").unlink()
    first, second, third = sorted((tmp_path / "runs").iterdir(), key=lambda path: path.name[-1])
    first.chmod(0)
    (second / RECORD).chmod(0)
    done = finished("runs", "--format", "json", cwd=tmp_path, prepare=without_privileges)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(Path(row["run_folder"]).name, row["status"]) for row in json.loads(done.stdout)] == [
        (third.name, "complete"),
        (second.name, "damaged"),
    ]
    shown = finished("runs", "show", second.name, cwd=tmp_path, prepare=without_privileges)
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert "run.json cannot be opened: permission denied" in shown.stderr


@ON_LINUX
def test_a_folder_that_is_removed_in_mid_run_gives_one_line(tmp_path: Path) -> None:
    process = begin("run", RAVINE, cwd=tmp_path)
    while not list(tmp_path.glob("runs/*/experiment.yaml")) and process.poll() is None:
        time.sleep(0.001)
    (folder,) = tmp_path.glob("runs/[0-9]*")
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith(f"error: runs/{folder.name}")
    assert errors.endswith((": no such file or directory\n", " is missing\n"))
    assert errors.count("\n") == 1


@pytest.mark.parametrize("name", ["a folder with spaces", "Ordner-ü-実験-🎢", "x" * 200, "deep/" * 20 + "end"])
def test_output_folders_may_have_any_name(name: str, command: Command, tmp_path: Path) -> None:
    done = command("run", RAVINE, "--no-plots", "--quiet", "--out", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_complete(tmp_path / done.stdout.strip())
    assert (tmp_path / done.stdout.strip()).parent == tmp_path / name


def test_a_runs_folder_may_be_a_symlink(command: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").symlink_to("elsewhere", target_is_directory=True)
    done = command("run", RAVINE, "--no-plots", "--quiet")
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
    "stdout closed after one line": ("{} run {config} --no-plots --steps | head -1 > /dev/null", 0, ""),
    "stdout closed at once": ("{} run {config} --no-plots --format json | true", 0, ""),
    "stdout of a list closed at once": ("{} list surfaces | true", 0, ""),
    "stdout of the help closed at once": ("{} run --help | true", 0, ""),
}  # fmt: skip


def in_shell(script: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script whose exit code is that of the first command of a pipe that fails, not that of its last."""
    program = f"set -o pipefail; {script.format(MOMENTUMLAB, config=RAVINE)}"
    return subprocess.run(["bash", "-c", program], cwd=cwd, capture_output=True, text=True, check=False)


@ON_LINUX
@pytest.mark.parametrize(("script", "code", "errors"), SHELL.values(), ids=SHELL)
def test_closed_pipes_and_full_devices(script: str, code: int, errors: str, tmp_path: Path) -> None:
    done = in_shell(script, tmp_path)
    assert (done.returncode, done.stderr) == (code, errors)
    folders = list(tmp_path.glob("runs/[0-9]*"))
    assert len(folders) == ("{config}" in script)
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == WITHOUT_FIGURES


@ON_LINUX
@pytest.mark.parametrize(
    ("options", "reader"),
    [
        *(("", reader) for reader in ("head -1", "true", "sh -c 'exec <&-; sleep 1'")),
        *((options, "true") for options in ("--quiet", "--format json", "--format csv", "--steps")),
    ],
)
def test_all_configurations_run_although_nobody_reads_the_results(reader: str, options: str, tmp_path: Path) -> None:
    done = in_shell(f"{{}} run {{config}} {{config}} {{config}} --no-plots {options} | {reader}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folders = list(tmp_path.glob("runs/[0-9]*"))
    assert len(folders) == 3
    assert all(is_complete(folder) for folder in folders)


@ON_LINUX
def test_all_configurations_run_although_the_results_cannot_be_printed(tmp_path: Path) -> None:
    done = in_shell("{} run {config} {config} {config} --no-plots > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: cannot print the result: no space left on device\n")
    assert sum(is_complete(folder) for folder in tmp_path.glob("runs/[0-9]*")) == 3


ENVIRONMENTS = {
    "COLUMNS=²": ("run {config} --no-plots", 0, ""),
    "COLUMNS=-5": ("run {config} --no-plots", 0, ""),
    "COLUMNS=99999999999": ("run {config} --no-plots", 0, ""),
    "LINES=²": ("--help", 0, ""),
    "TZ=AAA-25:00": ("run {config} --no-plots", 0, ""),
    "TZ=/nowhere": ("run {config} --no-plots", 0, ""),
    "LC_ALL=C": ("run {config} --no-plots", 0, ""),
    "PYTHONIOENCODING=ascii": ("run {config} --no-plots", 0, ""),
}  # fmt: skip


@ON_LINUX
@pytest.mark.parametrize(("variable", "case"), ENVIRONMENTS.items(), ids=ENVIRONMENTS)
def test_invalid_environment_variables_are_ignored_or_reported(
    variable: str, case: tuple[str, int, str], tmp_path: Path
) -> None:
    arguments, code, errors = case
    done = in_shell(f"env {variable} {{}} {arguments}", tmp_path)
    assert (done.returncode, done.stderr) == (code, errors)
    assert done.stdout
    if variable.startswith("TZ="):
        (document,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/[0-9]*/result.json"))
        assert document["provenance"]["started"].endswith("+00:00")


@ON_LINUX
@pytest.mark.parametrize("arguments", ["--help", "run --help", "runs --help", "--version"])
def test_help_on_a_full_disk_is_a_single_error(arguments: str, tmp_path: Path) -> None:
    done = in_shell(f"{{}} {arguments} > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: cannot print the result: no space left on device\n")


NOT_UTF8 = "$'caf\\xe9'"


@ON_LINUX
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (f"run {{config}} --no-plots --quiet --out {NOT_UTF8}", 0),
        (f"new {NOT_UTF8}.yaml", 0),
        (f"run {NOT_UTF8}.yaml", 2),
        (f"run {{config}} --name {NOT_UTF8}", 2),
        (f"run {{config}} --lr {NOT_UTF8}", 2),
        (f"run {{config}} --set {NOT_UTF8}=1", 2),
        (f"run --{NOT_UTF8}", 2),
        (f"{NOT_UTF8}", 2),
        (f"list {NOT_UTF8}", 2),
        (f"show surface {NOT_UTF8}", 2),
        (f"validate {NOT_UTF8}", 2),
        (f"check {NOT_UTF8}", 2),
        (f"list surfaces --plugin {NOT_UTF8}.py", 2),
    ],
)
def test_a_path_or_argument_that_is_not_utf_8_works_or_is_named(
    arguments: str, code: int, tmp_path: Path, programs: Path
) -> None:
    script = f"{programs / 'momentumlab'} {arguments.format(config=RAVINE)}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    if code == 0:
        assert done.stderr == b""
        assert (Path(os.fsdecode(bytes(tmp_path) + b"/" + done.stdout.strip()))).exists(), "its name is printed raw"
    else:
        assert b"Traceback" not in done.stderr
        assert b"\\udce9" in done.stderr or b"U+DCE9" in done.stderr or b"--name" in done.stderr


@ON_LINUX
@pytest.mark.parametrize("size", ["inf", "nan", "-1", "0", "1e400", "much"])
def test_a_history_of_impossible_size_is_refused(size: str, command: Command) -> None:
    done = command("run", RAVINE, f"--max-history={size}")
    message = f"--max-history: '{size}' is not a finite number of GiB of at least 0.001\n"
    assert (done.returncode, done.stderr) == (2, message)


@pytest.mark.parametrize("noise", ["gaussian(1e200)", "heavy_tailed(1e200)", "relative(1e200)"])
def test_noise_that_overflows_is_divergence(noise: str, command: Command) -> None:
    done = command("run", RAVINE, "--no-plots", "--noise", noise)
    assert (done.returncode, done.stderr) == (0, "")
    assert "diverged" in done.stdout


SITE = """
import os, sys

def interrupt(event, arguments):
    if event == "import" and arguments[0] == os.environ["SIGNAL_AT"]:
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.addaudithook(interrupt)
"""


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "moment",
    [
        "momentumlab.stopping",
        "momentumlab.cli",
        "typer",
        "momentumlab.execution",
        "numpy",
        "yaml",
        "momentumlab.runs.write",
    ],
)
def test_a_signal_during_start_up_ends_the_process_at_once(moment: str, number: signal.Signals, tmp_path: Path) -> None:
    """The signal is sent when a module is about to be imported: at a known moment, however fast the machine is."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    environment = {"PYTHONPATH": str(tmp_path), "SIGNAL_AT": moment, "SIGNAL": str(int(number))}
    done = finished("run", RAVINE, cwd=tmp_path, variables=environment)
    quietly, with_a_line = (-number, ""), (128 + number, f"{stopping.WORDS[number]}\n")
    assert (done.returncode, done.stderr) in (quietly, with_a_line)
    assert done.stdout == ""


@ON_LINUX
@pytest.mark.parametrize("shown", ["", "option", "variable"])
def test_an_unexpected_exception_gives_one_line_and_a_log_file(shown: str, tmp_path: Path) -> None:
    broken, temporary, work = tmp_path / "broken", tmp_path / "temporary", tmp_path / "work"
    for folder in (broken, temporary, work):
        folder.mkdir()
    (broken / "sitecustomize.py").write_text("import sys; sys.modules['yaml'] = None")  # a damaged installation
    environment = {"PYTHONPATH": str(broken), "TMPDIR": str(temporary)}
    if shown == "variable":
        environment["MOMENTUMLAB_DEBUG"] = "1"
    done = finished(*["--debug"][: shown == "option"], "run", RAVINE, cwd=work, variables=environment)
    assert (done.returncode, done.stdout) == (1, "")
    logs = list(temporary.iterdir())
    if shown:
        assert done.stderr.startswith("Traceback")
        assert not logs
    else:
        (log,) = logs
        what = "internal error: ModuleNotFoundError: import of yaml halted; None in sys.modules"
        assert done.stderr == f"{what}; the traceback is in {log}; please report it\n"
        assert "Traceback" in log.read_text()
        assert str(RAVINE) in log.read_text()
    assert list(work.iterdir()) == []


PLUGIN = """
from momentumlab import Surface, surface

class Broken(Exception):
    def __str__(self):
        return "\x1b]0;owned\x07"

raise Broken
"""


@ON_LINUX
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "\x1b[31m.yaml"],
        ["run", "key.yaml"],
        ["run", "value.yaml"],
        ["run", "data.yaml"],
        ["run", RAVINE, "--set", "\x1b[31m=1"],
        ["run", RAVINE, "--set", "lr=\x1b[31m"],
        ["run", RAVINE, "--surface", "\x1b[31m"],
        ["run", RAVINE, "--plugin", "raises.py"],
        ["run", RAVINE, "--plugin", "wrong\x1b[31m.py"],
        ["run", RAVINE, "--resume\x1b[31m"],
        ["sweep", RAVINE, "--workers", "\x1b[31m"],
        ["\x1b[31m"],
        ["list", "\x1b[31m"],
        ["list", "surfaces", "--tag", "\x1b[31m"],
        ["show", "optimizer", "\x1b[31m"],
        ["check", "\x1b[31m"],
        ["runs", "show", "\x1b[31m"],
        ["translate", "--from", "\x1b[31m"],
    ],
    ids=lambda arguments: " ".join(map(ascii, arguments)).replace(str(RAVINE), "FILE"),
)
def test_foreign_text_in_errors_is_escaped(arguments: list[str | Path], command: Command, tmp_path: Path) -> None:
    (tmp_path / "key.yaml").write_text('surface: ravine\noptimizer: sgd\n"\\e[31mkey": 1\n')
    (tmp_path / "value.yaml").write_text('surface: ravine\noptimizer: "\\e[31mvalue"\n')
    (tmp_path / "table.csv").write_text("x,y\n1,\x1b[31m\n2,0\n")
    (tmp_path / "data.yaml").write_text(
        "surface: {name: logistic, data: {file: table.csv, target: y}}\noptimizer: sgd\n"
    )
    (tmp_path / "raises.py").write_text(PLUGIN)
    (tmp_path / "wrong\x1b[31m.py").write_text("def")
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(line.isprintable() for line in done.stderr.splitlines()), ascii(done.stderr)
    assert done.stderr


def test_tested_faults_are_documented() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    for name in [*NAMES, *SHELL, *ENVIRONMENTS]:
        assert name in page, name
