"""Run folders as their records describe them: state, name, time, number of trials and files.

Only `RECORD` or `PARTIAL` is opened, and this module imports neither NumPy nor YAML, so that a list is fast.
A folder whose record cannot be understood is listed as damaged; it never stops a command.
"""

import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from momentumlab.errors import printable
from momentumlab.runs.layout import (
    COMPARISON,
    FORMAT,
    LARGEST_RECORD,
    LOCK,
    PARTIAL,
    RECORD,
    RESULT,
    RUN,
    SWEEP,
    UNFINISHED,
    DamageError,
    is_locked,
    local_time,
    read_bytes,
    sizes_in,
)

DATA = (".yaml", ".csv", ".npz", ".json")
"""Suffixes of files that a complete run folder must hold; figures can be drawn again."""

QUIET_SECONDS = 600
"""Without a lock, an unfinished folder of another machine counts as running if it changed within this time."""

_UNPRINTABLE = re.compile("[\ud800-\udfff]")
_FILE_NAME = re.compile("[^/\\\\\0\ud800-\udfff]+")
_TIMED_NAME = re.compile(r"(\d{8}-\d{6})-.+", re.DOTALL)


class RunStatus(Enum):
    """State of a run folder, with an explanation."""

    COMPLETE = "complete", "all files are there"
    RUNNING = "running", "a process is writing it"
    INTERRUPTED = "interrupted", "the run was stopped before it was finished"
    DAMAGED = "damaged", "a file is missing or cannot be read"

    def __init__(self, label: str, message: str) -> None:
        self.label = label
        self.message = message


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A run folder as its record describes it.

    Attributes
    ----------
    path
        The folder.
    name
        Name of the experiment.
    when
        Start of the run, with its time zone.
    status
        State of the folder.
    trials
        Number of trials, if it is known.
    best_loss
        Lowest final loss of the trials that did not diverge.
    size
        Bytes of all files.
    optimizers, surfaces
        Names of what was run.
    problem
        Why the run is not complete.
    is_resumable
        Whether an interrupted run can be resumed.
    record
        Content of `RECORD` or `PARTIAL`; empty if it cannot be understood.
    """

    path: Path
    name: str
    when: datetime
    status: RunStatus
    trials: int | None = None
    best_loss: float | None = None
    size: int = 0
    optimizers: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    problem: str | None = None
    is_resumable: bool = False
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that the run wrote."""
        return tuple(self.record.get("files", ()))


def runs_in(out: Path) -> list[RunFolder]:
    """Return all run folders in a folder, newest first. Other folders and links are ignored.

    Raises
    ------
    OSError
        If ``out`` cannot be read.
    """
    with os.scandir(out) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    found = [run for run in (read_run(out / name) for name in names) if run is not None]
    return sorted(found, key=lambda run: (run.when, run.path.name), reverse=True)


def list_runs(out: str | os.PathLike[str] = "runs") -> list[RunFolder]:
    """Return all run folders in a folder, newest first; none if there is no such folder.

    Parameters
    ----------
    out
        Folder of the run folders.

    Raises
    ------
    OSError
        If ``out`` cannot be read.
    """
    return runs_in(Path(out)) if Path(out).exists() else []


def read_run(path: Path) -> RunFolder | None:
    """Return a run folder; None if the path is not a run folder or was just removed."""
    try:
        size, sizes = sizes_in(path)
    except OSError:
        return None
    is_timed = _TIMED_NAME.fullmatch(path.name) is not None
    if RECORD in sizes or PARTIAL in sizes:
        try:
            return _complete(path, size, sizes) if RECORD in sizes else _incomplete(path, size)
        except DamageError as error:
            return _damaged(path, size, str(error)) if is_timed else None
    if time_in(path.name) is not None and all(
        name == LOCK or name.endswith(UNFINISHED) for name in sizes
    ):  # a process died in its first moment
        status = RunStatus.RUNNING if is_locked(path) else RunStatus.INTERRUPTED
        name, when = _name_in(path), _when(path)
        return RunFolder(path=path, name=name, when=when, status=status, size=size, problem=status.message)
    has_results = time_in(path.name) is not None and sizes.keys() & {RESULT, "experiment.yaml"}
    return _damaged(path, size, f"{RECORD} is missing") if has_results else None


def time_in(name: str) -> datetime | None:
    """Return the start that the name of a run folder contains, in local time; None if there is none."""
    match = _TIMED_NAME.fullmatch(name)
    try:
        moment = datetime.strptime(match[1], "%Y%m%d-%H%M%S") if match else None
    except ValueError:  # such as the 32nd of a month
        return None
    return moment if moment is not None and moment.year >= 1970 else None


def _when(path: Path) -> datetime:
    """Return the start in the name of a folder, or the time of its last change."""
    moment = time_in(path.name)
    try:
        return local_time(moment or datetime.fromtimestamp(path.lstat().st_mtime, UTC))
    except (OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def _name_in(path: Path) -> str:
    """Return the name of the experiment as the folder's name contains it."""
    return path.name.split("-", 2)[-1]


def _complete(path: Path, size: int, sizes: Mapping[str, int | None]) -> RunFolder:
    record = read_json(path / RECORD, RECORD_CHECKS)
    for name, length in record["files"].items():
        if not name.endswith(DATA) or sizes.get(name) == length:
            continue
        if name not in sizes:
            return _damaged(path, size, f"{name} is missing", record)
        found = sizes[name]
        reason = "is not a regular file" if found is None else f"has {found:,} bytes instead of {length:,}"
        return _damaged(path, size, f"{name} {reason}", record)
    return _folder(path, size, record, RunStatus.COMPLETE)


def _incomplete(path: Path, size: int) -> RunFolder:
    record = read_json(path / PARTIAL, PARTIAL_CHECKS)
    status = RunStatus.RUNNING if is_running(path, record) else RunStatus.INTERRUPTED
    is_resumable = "block_trials" in record and status is RunStatus.INTERRUPTED
    problem = status.message
    if is_resumable:
        problem += "; 'momentumlab sweep --resume' computes what is missing"
    return _folder(path, size, record, status, problem=problem, is_resumable=is_resumable)


def is_running(path: Path, record: Mapping[str, Any]) -> bool:
    """Return whether a process is writing a folder.

    The lock tells. On a file system without locks, the process that the folder names must be alive, or, if it runs on
    another machine, the folder must have changed within `QUIET_SECONDS`.
    """
    is_held = is_locked(path)
    if is_held is not None:
        return is_held
    process = record.get("process", {})
    try:
        if process.get("host") != platform.node() or os.name == "nt":  # where os.kill would end it
            return time.time() - path.stat().st_mtime < QUIET_SECONDS
        os.kill(process["pid"], 0)
    except PermissionError:
        return True
    except (OSError, OverflowError, KeyError):
        return False
    return True


def _folder(path: Path, size: int, record: Mapping[str, Any], status: RunStatus, **more: Any) -> RunFolder:
    return RunFolder(
        path=path,
        name=record["name"],
        when=local_time(datetime.fromisoformat(record["started"])),
        status=status,
        trials=record["trials"],
        best_loss=record.get("best_loss"),
        size=size,
        optimizers=tuple(record["optimizers"]),
        surfaces=tuple(record["surfaces"]),
        record=record,
        **more,
    )


def _damaged(path: Path, size: int, problem: str, record: Mapping[str, Any] | None = None) -> RunFolder:
    if record:
        return _folder(path, size, record, RunStatus.DAMAGED, problem=problem)
    name, when = _name_in(path), _when(path)
    return RunFolder(path=path, name=name, when=when, status=RunStatus.DAMAGED, size=size, problem=problem)


# Checks of the records. They come from disk, so that every value must be checked before it is used.


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_list_of(check: Callable[[Any], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _UNPRINTABLE.search(value) is None


def _is_loss(value: Any) -> bool:
    if type(value) is int:
        return value.bit_length() < 1000
    return value is None or (type(value) is float and math.isfinite(value))


def is_file_name(value: object) -> bool:
    """Return whether a value is the name of a file directly in a folder, such as ``loss.png``."""
    return isinstance(value, str) and _FILE_NAME.fullmatch(value) is not None and value not in (".", "..")


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return moment.tzinfo is not None and 1970 <= moment.year < 9999


def _is_input(value: Any) -> bool:
    """Check a file on which the numbers depend: a plug-in or a data file."""
    return isinstance(value, dict) and _is_path(value.get("file")) and _is_text(value.get("sha256"))


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _are_sizes(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_file_name, value)) and all(map(_is_count, value.values()))


def _is_process(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("host")) and _is_count(value.get("pid"))


_COMMON: dict[str, Callable[[Any], bool]] = {
    "format": lambda value: value == FORMAT,
    "kind": lambda value: value in (RUN, SWEEP, COMPARISON),
    "name": _is_text,
    "started": _is_time,
    "trials": _is_count,
    "optimizers": _is_list_of(_is_text),
    "surfaces": _is_list_of(_is_text),
    "plugins": _is_list_of(_is_input),
}
RECORD_CHECKS = _COMMON | {
    "identity": _is_text,
    "best_loss": _is_loss,
    "recorded": _is_count,
    "strides": _is_list_of(lambda value: _is_count(value) and value > 0),
    "digest": _is_text,
    "data": _is_list_of(_is_input),
    "origin": lambda value: isinstance(value, dict),
    "files": _are_sizes,
}
PARTIAL_CHECKS = _COMMON | {
    "process": _is_process,
    "files": _is_list_of(is_file_name),
}


def read_json(path: Path, checks: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    """Read a JSON object of a run folder.

    Parameters
    ----------
    path
        A file of at most `LARGEST_RECORD` bytes.
    checks
        Required keys, each with a check of its value.

    Raises
    ------
    DamageError
        If it cannot be read, or a key is missing or has an invalid value.
    """
    try:
        record = json.loads(read_bytes(path, LARGEST_RECORD))
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{path.name} is not valid JSON: {str(error)[:100]}") from None
    if not isinstance(record, dict):
        raise DamageError(f"{path.name} is not a JSON object")
    if record.get("format", FORMAT) != FORMAT:
        raise DamageError(
            f"{path.name} has format {printable(str(record['format'])[:20])}; this version reads format {FORMAT}"
        )
    for key, check in checks.items():
        if key not in record or not check(record[key]):
            raise DamageError(f"{path.name}: '{key}' is {'invalid' if key in record else 'missing'}")
    return record


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of a complete run folder.

    Raises
    ------
    DamageError
        If it cannot be understood.
    """
    return read_json(path / RECORD, RECORD_CHECKS)
