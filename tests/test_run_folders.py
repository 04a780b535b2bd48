"""Run folders of real processes and real faults: states, locks, other files, damage, plug-ins, written files."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

import momentumlab
from momentumlab.config import load_either
from momentumlab.runs import unfinished
from momentumlab.runs.find import complete_run
from momentumlab.runs.layout import only_one
from momentumlab.runs.records import RunStatus, list_runs
from tests.conftest import ROOT, Command
from tests.fuzz.judge import limited
from tests.test_faults import MOMENTUMLAB, ON_LINUX, begin
from tests.test_plugins import LAB
from tests.test_runs import MADE, change_record, folder_of, typed

RAVINE = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "iterations": 12}

SLOW = LAB.replace("0.0625 * (x[0] * x[0])", "0.0625 * (x[0] * x[0]) + (time.sleep(60) if x.shape[1] > 1000 else 0)")
"""A plug-in that is fast along a trajectory and slow for the contours of a figure, when the run folder exists."""


@pytest.fixture
def slow_run(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that is drawing the figures of its run folder."""
    (tmp_path / "slow.py").write_text(f"import time\n{SLOW}")
    arguments = ["--plugin", "slow.py", "--surface", "gully", "--optimizer", "ball", "--iterations", "3"]
    process = begin("run", *arguments, cwd=tmp_path)
    wait_until(lambda: list(tmp_path.glob("runs/*/trajectories.npz")) or process.poll() is not None)
    assert process.poll() is None, process.stderr and process.stderr.read()
    yield process
    process.kill()
    process.communicate()


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def states(out: Path) -> list[str]:
    return [row["status"] for row in json.loads(typed("runs", "--out", out, "--format", "json"))]


# States of real processes


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_is_running_until_a_signal_interrupts_it_and_then_clean_removes_it(
    number: signal.Signals, slow_run: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    (folder,) = out.glob("[0-9]*")
    assert states(out) == ["running"]
    assert "is running" in typed("runs", "rm", folder, "--yes", code=1)
    assert typed("runs", "clean", "--out", out, "--yes") == ""
    assert "is running" in typed("runs", "show", folder, code=1)
    assert (folder / "partial.json").exists()
    slow_run.send_signal(number)
    slow_run.communicate(timeout=30)
    assert states(out) == ["interrupted"]
    assert typed("runs", "clean", "--out", out, "--yes") == f"{folder}\n"
    assert list(out.iterdir()) == []


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_sweep_can_be_resumed_or_removed_on_request(number: signal.Signals, tmp_path: Path) -> None:
    axes = {"lr": "linspace(1e-4, 0.1, 300)", "beta": "linspace(0, 0.9, 300)"}
    (tmp_path / "long.yaml").write_text(
        json.dumps({"surface": "ravine", "optimizer": "momentum", "iterations": 9000, **axes})
    )
    process = begin("sweep", "long.yaml", "--no-plots", "--workers", "2", cwd=tmp_path)
    wait_until(lambda: list(tmp_path.glob("runs/*/blocks")) or process.poll() is not None)
    out = tmp_path / "runs"
    (folder,) = out.glob("[0-9]*")
    wait_until(lambda: states(out) == ["running"])
    assert "is running" in typed("runs", "rm", folder, "--yes", code=1)
    process.send_signal(number)
    process.communicate(timeout=30)
    wait_until(lambda: states(out) == ["interrupted"])  # workers that were orphaned end within a second
    (row,) = json.loads(typed("runs", "--out", out, "--format", "json", "--status", "interrupted"))
    assert row["resumable"]
    assert typed("runs", "clean", "--out", out, "--yes") == ""
    assert typed("runs", "clean", "--out", out, "--partial", "--yes") == f"{folder}\n"
    assert list(out.iterdir()) == []


def test_clean_removes_the_others_if_one_folder_contains_a_foreign_file(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / f"20260101-00000{number}-x"
        folder.mkdir()
    (tmp_path / "20260101-000001-x" / ".lock").write_text("")
    kept = folder_of(momentumlab.run(RAVINE, out=tmp_path, plots=False))
    partial = tmp_path / "20260102-000000-experiment"
    shutil.copytree(kept, partial)
    record = json.loads((partial / "run.json").read_text())
    (partial / "run.json").unlink()
    own = {"process": {"host": "elsewhere", "pid": 1}, "experiment_sha256": "", "files": [*record["files"]]}
    (partial / "partial.json").write_text(json.dumps({**record, **own}))
    (partial / "loss_annotated.png").write_text("mine")
    assert sorted(states(tmp_path)) == ["complete", *["interrupted"] * 4]
    printed = typed("runs", "clean", "--out", tmp_path, "--yes", code=1)
    assert printed.splitlines() == [str(tmp_path / f"20260101-00000{number}-x") for number in (2, 1, 0)]
    assert {path.name for path in tmp_path.iterdir()} == {"latest", kept.name, partial.name}
    assert (partial / "loss_annotated.png").read_text() == "mine"
    assert (partial / "trajectories.npz").exists()


def test_the_record_lists_exactly_the_files_of_the_run(tmp_path: Path) -> None:
    for name, make in MADE.items():
        folder = folder_of(make(tmp_path / name))
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "run.json"}
        assert json.loads((folder / "run.json").read_text())["files"] == sizes
        assert not {"partial.json", ".lock", "blocks"} & sizes.keys()


# File systems without locks


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, None])
def test_runs_and_sweeps_work_on_file_systems_without_locks(
    code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*arguments: object) -> None:
        assert code is not None
        raise OSError(code, os.strerror(code))

    if code is None:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "flock", refuse)
    momentumlab.run(RAVINE, out=tmp_path, plots=False)
    momentumlab.run(RAVINE, out=tmp_path, plots=False, record="none")
    assert states(tmp_path) == ["complete"] * 2


@ON_LINUX
def test_without_locks_the_process_decides_whether_a_run_is_running(
    slow_run: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert states(tmp_path / "runs") == ["running"]
    assert "is running" in typed("runs", "rm", "2", "--out", tmp_path / "runs", "--yes", code=1)
    slow_run.kill()
    slow_run.communicate()
    assert states(tmp_path / "runs") == ["interrupted"]


def test_without_locks_a_resumed_sweep_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    experiment = momentumlab.load({**RAVINE, "lr": "linspace(0.01, 0.1, 7)"})
    folder = unfinished.begin_run(experiment, tmp_path, datetime.now(), 4)
    partial = json.loads((folder / "partial.json").read_text())
    with subprocess.Popen(["true"]) as ended:  # the process that was interrupted
        partial["process"]["pid"] = ended.pid
    (folder / "partial.json").write_text(json.dumps(partial))
    assert states(tmp_path) == ["interrupted"]
    with unfinished.working_on(folder):
        assert states(tmp_path) == ["running"]


def test_a_lock_that_another_process_holds_is_respected(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(momentumlab.MomentumLabError, match="another process"), only_one(tmp_path):
        raise AssertionError


@pytest.mark.parametrize(("settings", "command"), [({}, "sweep"), ({"objective": "final_loss"}, "compare")])
def test_the_message_about_an_unfinished_run_names_the_command_that_completes_it(
    settings: dict[str, Any], command: str, tmp_path: Path
) -> None:
    experiment = load_either({**RAVINE, "lr": [0.05, 0.1], **settings})
    folder = unfinished.begin_run(experiment, tmp_path, datetime.now(), 4)
    remedy = f"momentumlab {command} --resume {folder}"
    assert typed("runs", "show", folder, code=1) == f"error: {folder}: is not finished; continue with: {remedy}\n"
    (row,) = json.loads(typed("runs", "--out", tmp_path, "--format", "json"))
    assert f"'{remedy}'" in row["problem"]
    assert run(["runs", "clean", "--out", str(tmp_path), "--yes"])
    assert run([*remedy.split()[1:], "--no-plots", "--quiet"]) == f"{folder}\n"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_runs_work_on_file_systems_that_cannot_sync_a_folder(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    momentumlab.run(RAVINE, out=tmp_path, plots=False)
    assert states(tmp_path) == ["complete"]


@ON_LINUX
def test_all_files_are_on_the_disk_before_the_record_makes_the_folder_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def note_rename(old: Path, new: Path) -> None:
        events.append(("rename", Path(new).name))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    folder = folder_of(momentumlab.run(RAVINE, out=tmp_path))
    at = events.index(("rename", "run.json"))
    before, after = events[:at], events[at:]
    names = {path.name for path in folder.iterdir()} - {"run.json"}
    assert {name for what, name in before if what == "rename"} == names | {"partial.json"}
    for name in names:
        assert before.index(("sync", name)) > before.index(("rename", name))
    assert before[-1] == ("sync", f".run.json.{os.getpid()}.part")
    assert ("sync", folder.name) in before, "the names of the files"
    assert ("sync", folder.name) in after
    assert ("sync", tmp_path.name) in after, "the name of the folder"


def test_a_disk_that_reports_an_error_leaves_the_folder_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(momentumlab.MomentumLabError, match="input/output error"):
        momentumlab.run(RAVINE, out=tmp_path, plots=False)
    assert states(tmp_path) == ["interrupted"]


# One bad folder never breaks a command

VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 10**12, 10**400, float("nan"), float("inf"), "", "x" * 10_000, "\x1b[2J\n", "\ud800",
    "../../x", [], [1], [10**12], [None], {}, {"a": 1}, {"": -1}, {"../x": 1}, [[[]]], "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59-23:59",
]  # fmt: skip


def check_commands(out: Path, healthy: Path) -> None:
    """Run every command on a folder of run folders: each must end quickly and without an unexpected exception."""
    with limited(20):
        for form in ("table", "json", "csv"):
            assert healthy.name in typed("runs", "list", "--out", out, "--limit", "0", "--format", form)
        typed("runs", "--out", out, "--since", "1d", "--optimizer", "sgd", "--status", "complete")
        assert healthy.name in typed("runs", "show", healthy.name, "--out", out, "--format", "json")
        assert momentumlab.list_runs(out)
        assert complete_run(out, 64 * "0", kind="run", recorded=0) is None
        others = sorted(str(path) for path in out.iterdir() if path.name not in (healthy.name, "latest"))
        for number, name in enumerate(others):
            run(["runs", ("show", "export", "compare")[number % 3], name])
        run(["runs", "clean", "--out", str(out), "--yes"])


def run(arguments: list[str]) -> str:
    """Run a command that may succeed or be refused."""
    from typer.testing import CliRunner

    from momentumlab.cli import app

    done = CliRunner().invoke(app, arguments)
    assert done.exit_code in (0, 1, 2), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), (arguments, done.exception)
    return done.output


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A complete run and an unfinished sweep."""
    out = tmp_path_factory.mktemp("templates")
    complete = folder_of(momentumlab.run(RAVINE, out=out, plots=False, name="complete"))
    experiment = momentumlab.load(surface="ravine", optimizer="momentum", lr="linspace(0.01, 0.1, 7)", name="half")
    return [complete, unfinished.begin_run(experiment, out, datetime.now(), 4)]


@pytest.mark.parametrize("which", ["run.json", "partial.json", "result.json"])
@pytest.mark.parametrize("values", [3, pytest.param(len(VALUES), marks=pytest.mark.long)])
def test_every_key_of_a_record_may_be_missing_or_wrong(
    values: int, which: str, templates: list[Path], tmp_path: Path
) -> None:
    complete, partial = templates
    source = partial if which == "partial.json" else complete
    healthy = Path(shutil.copytree(complete, tmp_path / "20260101-000000-healthy"))
    record = json.loads((source / which).read_text())
    random = Random(which)
    for number, key in enumerate(record):
        rest = {name: each for name, each in record.items() if name != key}
        for i, changed in enumerate([rest, *({**rest, key: value} for value in random.sample(VALUES, values))]):
            folder = Path(shutil.copytree(source, tmp_path / f"20260102-{number:04}{i:02}-{key}"))
            (folder / which).write_text(json.dumps(changed))
    check_commands(tmp_path, healthy)


def long_nesting(path: Path) -> None:
    path.write_text('{"format": ' + "[" * 100_000)


def sparse(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, 5 * 10**9)


def loop(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def unreadable(path: Path) -> None:
    path.chmod(0)


def foreign_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


FAULTS = [long_nesting, sparse, loop, fifo, directory, unreadable, foreign_link]


@ON_LINUX
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_file_of_a_folder_may_be_anything(
    fault: Callable[[Path], None], templates: list[Path], tmp_path: Path
) -> None:
    healthy = Path(shutil.copytree(templates[0], tmp_path / "20260101-000000-healthy"))
    for number, source in enumerate(templates):
        names = {"run.json", "partial.json", ".lock", *(path.name for path in source.iterdir() if path.is_file())}
        for i, name in enumerate(sorted(names)):
            folder = Path(shutil.copytree(source, tmp_path / f"20260102-{number:03}{i:03}-x"))
            if (folder / "run.json").exists() and name != "run.json":  # reading must find what the list then cannot
                change_record(folder, files={})
            if fault is not unreadable or (folder / name).exists():
                fault(folder / name)
    for name in ("00010101-000000-x", "99991231-235959-x", "20260101-000000-\x1b[2J", "x"):
        (tmp_path / name).mkdir(exist_ok=True)
        fault(tmp_path / name / "partial.json") if fault is not unreadable else None
    check_commands(tmp_path, healthy)


@pytest.mark.parametrize("zone", ["UTC+99999999999", "UTC+24:00:01", "Nowhere/City", "²"])
def test_an_impossible_time_zone_breaks_no_command(zone: str, tmp_path: Path) -> None:
    def finished(*arguments: str) -> str:
        done = subprocess.run(
            [MOMENTUMLAB, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "TZ": zone},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Error" not in done.stderr
        return done.stdout

    folder = finished("run", "--surface", "ravine", "--optimizer", "sgd", "--no-plots", "--quiet").strip()
    assert Path(folder).name in finished("runs", "--since", "2d")
    (tmp_path / folder / "run.json").unlink()
    assert "damaged" in finished("runs")


# Plug-ins

GULLY = [
    "--surface",
    "gully",
    "--optimizer",
    "ball",
    "--lr",
    "stairs(0.05)",
    "--iterations",
    "3",
    "--no-plots",
    "--quiet",
]


@pytest.fixture
def with_plugin(tmp_path: Path, command: Command) -> Path:
    (tmp_path / "lab.py").write_text(LAB)
    done = command("run", "--plugin", "lab.py", *GULLY)
    assert done.returncode == 0, done.stderr
    return tmp_path / done.stdout.strip()


COMMANDS = {
    "list": [],
    "show": ["latest"],
    "compare": ["latest"],
    "plot": ["latest", "--only", "loss"],
    "rerun": ["latest"],
    "export": ["latest"],
}


def test_a_run_with_a_plugin_reopens_in_every_command(with_plugin: Path, command: Command) -> None:
    for name, arguments in COMMANDS.items():
        done = command("runs", name, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), name
    assert command("runs", "--format", "json").stdout.count('"complete"') == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_plugin_of_a_folder_that_belongs_to_somebody_else_is_not_loaded(with_plugin: Path, command: Command) -> None:
    os.chown(with_plugin, 12345, -1)
    done = command("runs", "plot", "latest")
    assert done.returncode == 1
    assert "is not loaded automatically" in done.stderr


@pytest.mark.parametrize("fault", ["changed", "missing", "a FIFO", "a copy of the folder"])
@pytest.mark.parametrize("name", ["compare", "plot", "rerun", "export"])
def test_a_plugin_that_cannot_be_loaded_is_named_and_the_folder_is_not_called_damaged(
    fault: str, name: str, with_plugin: Path, command: Command, tmp_path: Path
) -> None:
    changed = LAB + "\nprint('this code has not been run before')\n"
    if fault == "changed":
        (tmp_path / "lab.py").write_text(changed)
    elif fault == "a copy of the folder":
        copied = Path(shutil.copytree(with_plugin, tmp_path / "20260101-000000-copied"))
        shutil.rmtree(with_plugin)
        copied.rename(with_plugin)
    else:
        (tmp_path / "lab.py").unlink()
        if fault == "a FIFO":
            os.mkfifo(tmp_path / "lab.py")
    done = command("runs", name, *COMMANDS[name])
    assert done.returncode == 1
    assert str(tmp_path / "lab.py") in done.stderr
    assert "--plugin" in done.stderr
    assert "damaged" not in done.stderr
    assert "this code" not in done.stderr + done.stdout
    assert '"complete"' in command("runs", "--format", "json").stdout
    shown = command("runs", "show", "latest", "--format", "json")
    stored = json.loads((with_plugin / "result.json").read_text())
    assert json.loads(shown.stdout)["trials"] == stored["trials"]
    assert str(tmp_path / "lab.py") in shown.stderr
    (tmp_path / "other.py").write_text(changed)
    done = command("runs", name, *COMMANDS[name], "--plugin", "other.py")
    assert done.returncode == 0, done.stderr


def test_a_plugin_option_exists_in_every_command(command: Command, tmp_path: Path) -> None:
    for words in (*(["runs", name] for name in (*COMMANDS, "rm", "clean")), ["schema"]):
        assert "--plugin" in command(*words, "--help").stdout, words


# Python


@pytest.mark.parametrize("name", MADE)
def test_open_run_returns_the_result_that_was_written(name: str, tmp_path: Path) -> None:
    made = MADE[name](tmp_path)
    for path in (tmp_path / "latest", str(folder_of(made)), str(folder_of(made))[:-1]):
        opened = momentumlab.open_run(path)
        if name == "sweep":
            assert isinstance(opened, momentumlab.Sweep)
            opened = opened.result
        assert type(opened) is type(made)
        assert repr(opened.summary()) == repr(made.summary())
    (run,) = momentumlab.list_runs(tmp_path)
    assert (run.path, run.status) == (folder_of(made), RunStatus.COMPLETE)
    assert momentumlab.list_runs(tmp_path / "nowhere") == []


def test_open_run_returns_the_grids_of_a_sweep(tmp_path: Path) -> None:
    made = momentumlab.sweep({**RAVINE, "lr": [0.05, 0.1], "beta": [0.0, 0.5, 0.9]}, out=tmp_path, plots=False)
    opened = momentumlab.open_run(tmp_path / "latest")
    assert isinstance(opened, momentumlab.Sweep)
    assert opened.shape == made.shape == (2, 3)
    assert opened.axes.keys() == made.axes.keys()
    assert opened.final_loss.tobytes() == made.final_loss.tobytes()


# What is written, and by what

PACKAGE = str(ROOT / "momentumlab") + os.sep
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Writes:
    """Every file that is opened for writing or made, with the innermost module of the package that is responsible."""

    is_on = False
    found: list[tuple[str, str]] = []  # noqa: RUF012


def note_write(event: str, arguments: tuple[Any, ...]) -> None:
    if not Writes.is_on:
        return
    is_open = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if not is_open and event not in ("os.mkdir", "os.rename", "os.remove", "os.symlink"):
        return
    path = arguments[1] if event == "os.symlink" else arguments[0]
    frame = sys._getframe()
    while frame.f_back is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if isinstance(path, (str, os.PathLike)) and os.fspath(path) != os.devnull:
        Writes.found.append((frame.f_code.co_filename.removeprefix(PACKAGE), os.path.abspath(path)))  # noqa: PTH100


def test_only_run_folders_write_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    momentumlab.run(RAVINE).plot_losses().canvas.draw()  # caches of matplotlib
    sys.addaudithook(note_write)
    Writes.found, Writes.is_on = [], True
    try:
        momentumlab.run(RAVINE)
        momentumlab.compare(surface="booth", optimizers=["sgd", "adam"], budget=8, iterations=9)
        for words in (
            ["list", "surfaces"],
            ["show", "surface", "ravine"],
            ["schema"],
            ["predict", "--surface", "booth"],
        ):
            run(words)
        assert Writes.found == []
        for make in MADE.values():
            make(tmp_path / "runs")
        for words in (["list"], ["show", "latest"], ["rerun", "latest"], ["export", "latest"], ["compare", "latest"]):
            run(["runs", *words])
    finally:
        Writes.is_on = False
    assert {module.split("/")[0] for module, _ in Writes.found} == {
        "runs",
        "system.py",
    }  # which makes the link `latest`
    assert all(path.startswith(str(tmp_path / "runs")) for _, path in Writes.found)
    for folder in list_runs(tmp_path / "runs"):
        assert {path.name for path in folder.path.iterdir()} == {*folder.files, "run.json"}
