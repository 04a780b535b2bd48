"""Run a case and report what is wrong with its outcome."""

import atexit
import base64
import contextlib
import functools
import io
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from momentumlab.cli import app
from momentumlab.config import load_either, settings_from_text
from momentumlab.errors import ConfigError
from momentumlab.runs.layout import DamageError, read_bytes
from tests.fuzz.inputs import Case, damaged

if TYPE_CHECKING:
    from momentumlab.live import LiveServer

SECONDS = 2
"""Of computing, for a case; a machine that has other work to do does not make it fail."""

GIBIBYTES = 4
"""The address space of the process of the long script: libraries and what a case may allocate together."""

SWEEP = {"surface": "ravine", "optimizer": "momentum", "lr": "linspace(0.01, 0.1, 4)", "beta": [0.0, 0.5, 0.9]}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Finding(Exception):  # noqa: N818
    """Something that must not be."""


class Hang(BaseException):
    """It takes too long. No ``except Exception`` may swallow it."""


class _Watch:
    """The folder in which files may be written while a case is watched."""

    folder: str | None = None
    strayed: list[str] = []  # noqa: RUF012
    is_installed = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _Watch.folder is None:
        return
    if event == "open":
        path, mode, flags = arguments
        if not (
            isinstance(path, str) and (flags & WRITING if isinstance(flags, int) else set(mode or "") & set("wax+"))
        ):
            return
        paths = [path]
    elif event == "os.symlink":  # where it is made, and where it leads
        paths = [arguments[1], Path(arguments[1]).parent / arguments[0]]
    elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate"):
        paths = [arguments[0]]
        if event in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # beside that open folder
            paths = [Path(f"/proc/self/fd/{arguments[1]}") / arguments[0]]
    elif event == "os.rename":
        paths = list(arguments[:2])
    else:
        return
    for each in paths:
        real = os.path.realpath(os.fspath(each)) if isinstance(each, (str, os.PathLike)) else ""
        if real and real != os.devnull and not real.startswith(_Watch.folder):
            _Watch.strayed.append(f"{event} {real}")


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Notes everything that is written outside of a folder; modules that are imported meanwhile write no bytecode."""
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    if not _Watch.is_installed:
        sys.addaudithook(_audit)
        _Watch.is_installed = True
    _Watch.folder, _Watch.strayed = os.path.realpath(folder), []
    try:
        yield
    finally:
        _Watch.folder = None
        sys.dont_write_bytecode = kept


@contextlib.contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Ends what computes for longer than that, or does nothing for ten times as long."""

    def stop(number: int, frame: object) -> None:
        raise Hang

    kept = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in kept.items():
            signal.signal(number, handler)


def run_in_process(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(list(arguments))
        except SystemExit as error:
            code = error.code
    return (code if isinstance(code, int) else 0 if code is None else 1), out.getvalue(), err.getvalue()


def judge(case: Case, folder: Path) -> str:
    """Run a case in an empty folder.

    Returns
    -------
    str
        ``accepted`` or ``refused``.

    Raises
    ------
    Finding
        If it ends as it must not.
    """
    config = folder / "x.yaml"
    files = case.get("files", {}) | ({"x.yaml": case["file"]} if "file" in case else {})
    for name, content in files.items():
        (folder / name).write_bytes(base64.b64decode(content))
    if "operations" in case:
        damage_copy(case, folder / "out")
    if "request" in case:
        live_server()  # started before it is watched, since importing matplotlib makes folders
    try:
        with warnings.catch_warnings(), limited(), watched(folder / "out"):
            warnings.simplefilter("error")
            ending = _ending(case, folder, config)
    except Hang:
        raise Finding(f"takes more than {SECONDS} s\n{traceback.format_exc(limit=-6)}") from None
    except Finding:
        raise
    except BaseException:
        raise Finding(traceback.format_exc(limit=-8)) from None
    if _Watch.strayed:
        raise Finding(f"written outside of --out: {_Watch.strayed}")
    return ending


def _ending(case: Case, folder: Path, config: Path) -> str:
    if "request" in case:
        return _judge_request(case)
    if "command" in case:
        extra: list[str] = [str(config)] if case["command"][0] not in ("list", "show", "translate", "--help") else []
        if case["command"][0] in ("run", "sweep", "compare", "tune"):
            extra += ["--out", str(folder / "out"), "--max-trials", "64", "--iterations", "5"]
        if "name" in case:
            extra += [f"--name={case['name']}"]
        return _judge_command([*case["command"], *extra])
    if "operations" in case:
        return _judge_operations(case["operations"], folder / "out")
    if "changes" in case:
        return _judge_sweep(case["changes"], folder / "out")
    try:
        source = case.get("mapping", config)
        nodes = settings_from_text({path: (f"--set {path}", text) for path, text in case.get("settings", {}).items()})
        load_either(source, nodes)
    except ConfigError as error:
        if not error.problems or not all(problem.message for problem in error.problems):
            raise Finding("refused without a word") from None
        if len(str(error)) > 100_000:
            raise Finding(f"a message of {len(str(error)):,} characters") from None
        return "refused"
    return "accepted"


def _judge_command(arguments: Sequence[str]) -> str:
    code, _, errors = run_in_process(arguments)
    if code not in (0, 2) and not (code == 1 and "not enough memory" not in errors):
        raise Finding(f"exit code {code}: {errors[-2000:]}")
    if "Traceback" in errors or (code and not errors):
        raise Finding(f"exit code {code}: {errors[-2000:]!r}")
    return "refused" if code else "accepted"


@functools.cache
def live_server() -> "LiveServer":
    """Return a live server, started once per process."""
    import momentumlab

    server = momentumlab.laboratory(surface="ravine", optimizer="momentum", lr=0.1, beta=0.5, iterations=20)
    atexit.register(server.close)
    return server


def _judge_request(case: Case) -> str:
    """Send a request to the live server, which must answer in JSON, or close the connection if bytes are damaged."""
    from momentumlab.live import laboratory
    from momentumlab.report.page import document

    # With these limits an answer takes about a second at most. Other tests of this process keep the usual ones.
    with (
        mock.patch.multiple(laboratory, MOST_SECONDS=1.0, MAP_SECONDS=0.05),
        mock.patch.object(document, "DETAILS", document.DETAILS[5:]),
    ):
        return _judge_answer(case)


def _judge_answer(case: Case) -> str:
    host, _, token = live_server().url.removeprefix("http://").partition("/#token=")
    body = case["request"].encode(errors="surrogatepass")
    head = f"POST {case['path']} HTTP/1.1\r\nHost: {host}\r\nX-Momentumlab-Token: {token}\r\nConnection: close\r\n"
    content = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    if case["seed"] is not None:
        content = damaged(Random(case["seed"]), content)
    errors, answer = io.StringIO(), b""
    with contextlib.redirect_stderr(errors), contextlib.suppress(OSError):  # it may be closed at any time
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port))) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(2**16), b""))
    if errors.getvalue():
        raise Finding(errors.getvalue())
    if case["seed"] is not None and (not answer or answer.startswith(b'{"problems"')):  # to a request of HTTP/0.9
        return "refused"
    status, _, document = answer.partition(b"\r\n\r\n")
    code = status.split()[1] if status.startswith(b"HTTP/1.1 ") else b""
    if code not in (
        b"200",
        b"400",
        b"403",
        b"404",
        b"409",
        b"411",
        b"413",
        b"414",
        b"415",
        b"422",
        b"431",
        b"501",
        b"505",
    ):
        raise Finding(f"{case['path']}: {answer[:2000]!r}")
    if b"text/html" not in status:
        parsed = json.loads(document)
        if code != b"200" and not isinstance(parsed["problems"], list):
            raise Finding(f"{answer[:2000]!r}")
    return "accepted" if code == b"200" else "refused"


def _judge_operations(operations: Sequence[Sequence[str]], out: Path) -> str:
    """Run commands on a damaged run folder beside a healthy one, which every list must contain."""
    names = {"RUN": str(out / DAMAGED), "HEALTHY": str(out / HEALTHY), "OUT": str(out)}
    ending = "accepted"
    for operation in operations:
        words = list(operation)
        for name, path in names.items():
            words = [word.replace(name, path) for word in words]
        code, printed, errors = run_in_process(["runs", *words, "--out", str(out)])
        if code not in (0, 1, 2) or "Traceback" in errors or (code and not printed + errors) or "memory" in errors:
            raise Finding(f"{operation}: exit code {code}: {errors[-2000:]!r}")
        if words[0] == "list" and "--name" not in words and HEALTHY not in printed:
            raise Finding(f"{operation}: a healthy run folder is not listed")
        ending = "refused" if code else ending
    if not (out / HEALTHY / "run.json").is_file():
        raise Finding("a healthy run folder was removed")
    return ending


HEALTHY, DAMAGED = "20260101-000000-healthy", "20260102-000000-damaged"


@functools.cache
def templates() -> Path:
    """Return a folder with a run folder of each kind, made once per process and removed when it ends."""
    import momentumlab

    out = Path(tempfile.mkdtemp(prefix="templates"))
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    (out / "t.csv").write_text("x,z,y\n1,0,2\n2,1,3\n3,0,4.5\n4,1,4\n")
    small: dict[str, Any] = {"optimizer": "sgd", "iterations": 4}
    on_data = {"surface": {"name": "least_squares", "data": str(out / "t.csv")}, **small, "lr": [0.01, 0.1]}
    made: dict[str, Any] = {
        "run": momentumlab.run(**small, surface="ravine", out=out),
        "sweep": momentumlab.sweep(**small, surface="booth", lr=[0.01, 0.02, 0.03], out=out, plots=False).result,
        "comparison": momentumlab.compare(
            surface="booth", optimizers=["sgd"], budget=3, iterations=4, out=out, plots=False
        ),
        "data": momentumlab.run(on_data, out=out, plots=False),
    }
    for name, result in made.items():
        result.run_folder.rename(out / name)
    make_sweep(out / "unfinished-out").rename(out / "unfinished")
    return out


def damage_copy(case: Case, out: Path) -> None:
    """Copy a run folder, damage it, and put a healthy one beside it."""
    shutil.copytree(templates() / "run", out / HEALTHY)
    folder = Path(shutil.copytree(templates() / case["template"], out / DAMAGED))
    for name, change in case["damage"].items():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError):
            apply(folder / name, change)
    if case["forgets sizes"]:  # so that reading finds what the list would
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError, DamageError):
            record = json.loads(read_bytes(folder / "run.json", 10**6))
            (folder / "run.json").write_text(json.dumps({**record, "files": {}}))


def _judge_sweep(changes: Mapping[str, Mapping[str, Any]], out: Path) -> str:
    run = make_sweep(out)
    for name, change in changes.items():
        apply(run / name, change)
    code, _, errors = run_in_process(
        ["sweep", "--resume", str(run), "--no-plots", "--workers", "1", "--out", str(out), "--max-trials", "64"]
    )
    if code not in (0, 1, 2) or "Traceback" in errors or (code and not errors) or "enough memory" in errors:
        raise Finding(f"exit code {code}: {errors[-2000:]!r}")
    return "refused" if code else "accepted"


def make_sweep(out: Path) -> Path:
    """The folder of a sweep that was interrupted after its only block."""
    from momentumlab.config import load_experiment
    from momentumlab.engine import run_trials
    from momentumlab.plan import make_plan
    from momentumlab.runs import unfinished

    out.mkdir(parents=True)
    experiment = load_experiment({**SWEEP, "iterations": 5, "name": "x"})
    run = unfinished.begin_run(experiment, out, datetime(2026, 1, 1), 12)
    unfinished.save_block(run, run_trials(make_plan(experiment, max_trials=99), 0, 12))
    return run


def apply(path: Path, change: Mapping[str, Any]) -> None:
    """Damage one file of a run folder."""
    random = Random(change.get("seed", 0))
    content = path.read_bytes() if path.is_file() else b""
    path.unlink(missing_ok=True) if path.is_file() else None
    match change["how"]:
        case "damaged":
            path.write_bytes(damaged(random, content))
        case "removed":
            pass
        case "empty":
            path.write_bytes(b"")
        case "random":
            path.write_bytes(random.randbytes(random.choice((1, 100, 5000))))
        case "folder":
            path.mkdir(exist_ok=True)
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/etc/passwd")
        case "sparse":
            path.touch()
            os.truncate(path, 5 * 10**9)
        case "locked away":
            path.touch()
            path.chmod(0)
        case "json":
            path.write_text(json.dumps(change["json"]), errors="surrogatepass")
        case "header":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for name in ("points", "losses", "iterations", "codes"):
                    archive.writestr(f"{name}.npy", _npy(change["shape"], change["type"]))
        case "members":
            with contextlib.suppress(ValueError):
                content = json.dumps({**json.loads(content or b"{}"), **change["members"]}).encode()
            path.write_bytes(content)


def _npy(shape: Sequence[int], kind: str) -> bytes:
    """An array whose header declares more data than the file contains."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": tuple(shape)})
    return file.getvalue() + bytes(1_000_000)


def emptied(folder: Path) -> Path:
    """The same folder, without what the last case left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
