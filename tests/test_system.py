"""Commands on systems without fork, fcntl, symbolic links, SIGTERM, ``/proc`` and numeric users.

The facilities are removed one by one in this process, and all at once in new ones.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import momentumlab
from momentumlab import system
from momentumlab.runs.records import RunStatus, list_runs
from tests.conftest import ROOT
from tests.test_runs import typed

PACKAGE = ROOT / "momentumlab"

ABSENT = {
    "fork": ("os.fork", "os.forkpty"),
    "links": ("os.symlink",),
    "SIGTERM": ("signal.SIGTERM",),
    "users": ("os.getuid", "os.geteuid"),
    "affinity": ("os.sched_getaffinity",),
    "flags of open": ("os.O_NONBLOCK", "os.O_NOFOLLOW"),
}

HOOK = """
import os, signal, sys
for name in {names}.split():
    exec(f"del {{name}}")
sys.modules["fcntl"] = None
"""

PARABOLA = str(ROOT / "configs" / "parabola.yaml")
SWEEP = ("sweep", "--surface", "ravine", "--optimizer", "momentum", "--lr", "linspace(0.01,0.1,9)", "--no-plots")


def refuse(*arguments: object, **options: object) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


@pytest.mark.parametrize("facility", [*sorted(ABSENT.keys() - {"SIGTERM"}), "fcntl", "the right to make links"])
def test_commands_need_no_optional_facility(facility: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ABSENT.get(facility, ()):
        monkeypatch.delattr(name)
    if facility == "fcntl":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    if facility == "the right to make links":
        monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.chdir(tmp_path)
    printed = typed("run", PARABOLA, "--no-plots", "--format", "json")
    losses = momentumlab.run(PARABOLA).final_losses.tolist()
    assert [trial["final_loss"] for trial in json.loads(printed)["trials"]] == losses
    typed(*SWEEP)
    runs = list_runs(tmp_path / "runs")
    assert [run.status for run in runs] == [RunStatus.COMPLETE, RunStatus.COMPLETE]

    # `latest` leads to the newest run, is moved when that is removed, and goes with the last one.
    assert runs[0].path.name in typed("runs", "show", "latest")
    assert runs[0].path.name in typed("runs", "show", "runs/latest")
    typed("runs", "rm", "latest", "--yes")
    assert runs[1].path.name in typed("runs", "show", "latest")
    typed("runs", "rm", runs[1].path.name, "--yes")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("with_signal", [True, False], ids=["without all but SIGTERM", "without anything"])
def test_processes_need_no_optional_facility(with_signal: bool, tmp_path: Path) -> None:
    """The same in new processes, of which those of a pool are spawned."""
    names = " ".join(
        name for names in ABSENT.values() for name in names if not (with_signal and name == "signal.SIGTERM")
    )
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(names=repr(names)))
    # On POSIX, Python itself needs SIGTERM to manage worker processes.
    workers = "2" if with_signal else "1"
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "momentumlab", *SWEEP, "--workers", workers, "--quiet"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / done.stdout.strip()
    assert (folder.parent / "latest").read_text() == f"{folder.name}\n"
    assert momentumlab.open_run(folder).result.final_losses.tolist() == (  # type: ignore[union-attr]
        momentumlab.run(
            surface="ravine", optimizer="momentum", lr="linspace(0.01,0.1,9)", patience=5
        ).final_losses.tolist()
    )


def test_a_link_is_a_text_file_where_links_are_not_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "symlink")
    for name in ("20261121-101500-first", "20261121-101600-second"):
        (tmp_path / name).mkdir()
        system.point(tmp_path / "latest", name)
        assert (tmp_path / "latest").read_text() == f"{name}\n"
        assert system.target(tmp_path / "latest") == tmp_path / name
    monkeypatch.undo()  # the user got the right to make links
    system.point(tmp_path / "latest", "20261121-101500-first")
    assert (tmp_path / "latest").readlink() == Path("20261121-101500-first")


@pytest.mark.parametrize(
    "content",
    [b"", b"notes\n", b"../20261121-101500-a\n", b"20261121-101500-a/b\n", b"\xff\n", b"20261121-101500-a\n" * 30],
)
def test_a_file_of_the_user_named_latest_is_neither_followed_nor_replaced(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "latest").write_bytes(content)
    assert system.target(tmp_path / "latest") is None
    system.point(tmp_path / "latest", "20261121-101500-a")
    assert (tmp_path / "latest").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


def test_workers_are_spawned_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert system.start_method() == ("fork" if hasattr(os, "fork") else "spawn")
    monkeypatch.delattr(os, "fork", raising=False)
    assert system.start_method() == "spawn"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_workers_are_spawned_on_other_systems(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert system.start_method() == "spawn"


def test_no_process_is_asked_with_a_signal_where_that_would_interrupt_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        pytest.fail("signal 0 is Ctrl-C on Windows")

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(os, "name", "nt")
    assert system.is_alive(os.getpid()) is None


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "HOME/.cache/momentumlab"),
        ("darwin", {}, "HOME/Library/Caches/momentumlab"),
        ("win32", {}, "HOME/AppData/Local/momentumlab/Cache"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/momentumlab/Cache"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/momentumlab"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "HOME/.cache/momentumlab"),
    ],
)
def test_the_cache_folder_follows_the_platform(
    platform: str, variables: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert system.cache_folder().as_posix() == expected.replace("HOME", tmp_path.as_posix())


# What only `system` may use; the names that other modules need have a defined value everywhere.

PLATFORM = {
    "os": "fork forkpty kill killpg symlink link getuid geteuid getppid setsid O_NONBLOCK O_NOFOLLOW O_BINARY name "
    "sched_getaffinity fsync statvfs mkfifo chown umask sync",
    "sys": "platform getwindowsversion",
    "signal": "SIGTERM SIGHUP SIGKILL SIGSTOP SIGALRM SIGCHLD SIGUSR1 SIGUSR2 alarm setitimer pause sigwait",
}
PLATFORM_MODULES = {"fcntl", "resource", "termios", "pty", "tty", "pwd", "grp", "select", "msvcrt", "winreg", "posix"}
MENTIONED = re.compile(r"\b(" + "|".join([*" ".join(PLATFORM.values()).split(), *PLATFORM_MODULES]) + r")\b")
REPORTED = {("cli/startup.py", "sys.platform")}  # printed in the report of an internal error


def platform_uses(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in PLATFORM.get(node.value.id, "").split():
                found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & PLATFORM_MODULES
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {module} & PLATFORM_MODULES
            found |= {f"{module}.{a.name}" for a in node.names if a.name in PLATFORM.get(module, "").split()}
    return found


def test_only_one_module_depends_on_the_operating_system() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), use)
        for path in PACKAGE.rglob("*.py")
        if path.name != "system.py"
        if MENTIONED.search(text := path.read_text(encoding="utf-8"))
        for use in platform_uses(ast.parse(text))
    }
    assert found == REPORTED


def test_names_of_files_are_valid_everywhere(tmp_path: Path) -> None:
    (tmp_path / "hook").mkdir()
    result = momentumlab.run(ROOT / "configs" / "parabola.yaml", out=tmp_path, name='a:b*c?"<d>|e\\f/g. ')
    assert result.run_folder is not None
    for path in (result.run_folder, *result.run_folder.iterdir()):
        assert re.fullmatch(r"[\w.+-]+[\w+-]", path.name)
