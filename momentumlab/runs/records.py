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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from momentumlab import system
from momentumlab.errors import OutputError, os_reason, printable
from momentumlab.runs.layout import (
    COMPARISON,
    EXPERIMENT,
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
    when
        Start of the run, with its time zone.
    status
        State of the folder.
    size
        Bytes of all files.
    problem
        Why the run is not complete.
    record
        Content of `RECORD` or `PARTIAL`; empty if it cannot be understood.
    """

    path: Path
    when: datetime
    status: RunStatus
    size: int = 0
    problem: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return str(self.record["name"]) if self.record else self.path.name.split("-", 2)[-1]

    @property
    def trials(self) -> int | None:
        """Number of trials; None if it is not known."""
        return self.record.get("trials")

    @property
    def best_loss(self) -> float | None:
        """Lowest final loss of the trials that did not diverge; None if there is none."""
        return self.record.get("best_loss")

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Names of the optimizers."""
        return tuple(self.record.get("optimizers", ()))

    @property
    def surfaces(self) -> tuple[str, ...]:
        """Names of the surfaces."""
        return tuple(self.record.get("surfaces", ()))

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that the run wrote."""
        return tuple(self.record.get("files", ()))

    @property
    def is_resumable(self) -> bool:
        """Whether the run was interrupted and can be resumed."""
        return self.status is RunStatus.INTERRUPTED and self.record.get("block_trials") is not None

    @property
    def resume_command(self) -> str:
        """The command that completes an interrupted sweep or comparison."""
        return f"momentumlab {'sweep' if self.record['kind'] == SWEEP else 'compare'} --resume {self.path}"


def list_runs(out: str | os.PathLike[str] = "runs") -> list[RunFolder]:
    """Return all run folders in the folder ``out``, newest first; other folders and links are ignored.

    Raises
    ------
    OutputError
        If ``out`` cannot be read.
    """
    try:
        with os.scandir(out) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{os.fspath(out)}: {os_reason(error)}") from error
    found = [run for run in (read_run(Path(out) / name) for name in names) if run is not None]
    return sorted(found, key=lambda run: (run.when.timestamp(), run.path.name), reverse=True)


def read_run(path: Path) -> RunFolder | None:
    """Return a run folder; None if the path is not a run folder or was just removed."""
    try:
        size, sizes = sizes_in(path)
    except OSError:
        return None
    record: Mapping[str, Any] = {}
    status, problem = RunStatus.DAMAGED, None
    # The record is written last, so it decides; without it, the lock tells running from interrupted.
    try:
        if RECORD in sizes:
            record = read_record(path)
            problem = _changed_file(record["files"], sizes)
            status = RunStatus.COMPLETE if problem is None else RunStatus.DAMAGED
        elif PARTIAL in sizes:
            record = read_partial_record(path)
            status = RunStatus.RUNNING if _is_running(path, record) else RunStatus.INTERRUPTED
        elif all(name == LOCK or name.endswith(UNFINISHED) for name in sizes):  # the first moment of a process
            status = RunStatus.RUNNING if is_locked(path) else RunStatus.INTERRUPTED
        elif sizes.keys() & {RESULT, EXPERIMENT}:
            problem = f"{RECORD} is missing"
        else:
            return None
    except DamageError as error:
        problem = str(error)

    # Without a readable record, only folders whose name begins with a time are run folders.
    if record:
        when = local_time(datetime.fromisoformat(record["started"]))
    elif (found := _time_in_name(path.name)) is not None:
        when = found
    else:
        return None
    if problem is None and status is not RunStatus.COMPLETE:
        problem = status.message
    run = RunFolder(path=path, when=when, status=status, size=size, problem=problem, record=record)
    if run.is_resumable:
        run = replace(run, problem=f"{problem}; '{run.resume_command}' computes what is missing")
    return run


def _changed_file(files: Mapping[str, int], sizes: Mapping[str, int | None]) -> str | None:
    """Return which file is not as the record describes it; figures may be missing or drawn again."""
    for name, expected in files.items():
        size = sizes.get(name)
        if size != expected and name.endswith(DATA):
            reason = "is not a regular file" if size is None else f"has {size:,} bytes instead of {expected:,}"
            return f"{name} {reason if name in sizes else 'is missing'}"
    return None


def _time_in_name(name: str) -> datetime | None:
    """Return the start that the name of a run folder contains, in local time; None if there is none."""
    match = re.match(r"(\d{8}-\d{6})-.", name, re.DOTALL)
    try:
        moment = datetime.strptime(match[1], "%Y%m%d-%H%M%S") if match else None
    except ValueError:  # such as the 32nd of a month
        return None
    return local_time(moment) if moment is not None and moment.year >= 1970 else None


def _is_running(path: Path, record: Mapping[str, Any]) -> bool:
    """Return whether a process is writing a folder.

    The lock decides. On a file system without locks, the process that the folder names must be alive, or, if it runs on
    another machine, the folder must have changed within `QUIET_SECONDS`.
    """
    is_held = is_locked(path)
    if is_held is not None:
        return is_held
    process = record["process"]
    is_alive = system.is_alive(process["pid"]) if process["host"] == platform.node() else None
    if is_alive is not None:
        return is_alive
    try:
        return time.time() - path.stat().st_mtime < QUIET_SECONDS
    except OSError:  # just removed
        return False


# Records come from the disk and possibly from another machine, so every value is checked before it is used.

Check = Callable[[Any], bool]

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_IN_FILE_NAMES = re.compile("[/\\\\\0\ud800-\udfff]")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _SURROGATE.search(value) is None


def _is_loss(value: Any) -> bool:
    if type(value) is int:
        return value.bit_length() < 1000
    return value is None or (type(value) is float and math.isfinite(value))


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return moment.tzinfo is not None and 1970 <= moment.year < 9999


def _is_input(value: Any) -> bool:
    """Check a file on which the numbers depend: a plug-in or a data file."""
    has_file = isinstance(value, dict) and isinstance(value.get("file"), str) and "\0" not in value["file"]
    copy = value.get("copy") if has_file else None
    return has_file and _is_text(value.get("sha256")) and (copy is None or (_is_text(copy) and _are_file_names([copy])))


def _are(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _are_file_names(names: Iterable[str]) -> bool:
    """Check names of files directly in a folder, such as ``loss.png``; all at once, which is faster in a list."""
    return _NOT_IN_FILE_NAMES.search("".join(names)) is None and not {"", ".", ".."}.intersection(names)


_COMMON: dict[str, Check] = {
    "kind": lambda value: value in (RUN, SWEEP, COMPARISON),
    "name": _is_text,
    "started": _is_time,
    "trials": _is_count,
    "best_loss": _is_loss,
    "optimizers": _are(_is_text),
    "surfaces": _are(_is_text),
    "plugins": _are(_is_input),
    "data": _are(_is_input),
}
_RECORD: dict[str, Check] = _COMMON | {
    "identity": _is_text,
    "recorded": _is_count,
    "strides": _are(lambda value: _is_count(value) and 0 < value < 2**31),  # as the numbers of iterations
    "digest": _is_text,
    "origin": lambda value: isinstance(value, dict),
    "files": lambda value: isinstance(value, dict) and _are_file_names(value) and all(map(_is_count, value.values())),
}
_PARTIAL: dict[str, Check] = _COMMON | {
    "process": lambda value: isinstance(value, dict) and _is_text(value.get("host")) and _is_count(value.get("pid")),
    "files": lambda value: _are(_is_text)(value) and _are_file_names(value),
    "experiment_sha256": _is_text,
    "block_trials": lambda value: value is None or (_is_count(value) and value > 0),
    "shards": lambda value: value is None or (_is_count(value) and value > 0),
}


def _finite(text: str) -> float:
    """Return a number that can be written as JSON again."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a complete run folder; errors are those of `read_json`."""
    return read_json(f"{folder}{os.sep}{RECORD}", _RECORD, LARGEST_RECORD)


def read_partial_record(folder: Path) -> dict[str, Any]:
    """Return the record of an unfinished run folder; errors are those of `read_json`."""
    return read_json(f"{folder}{os.sep}{PARTIAL}", _PARTIAL, LARGEST_RECORD)


def read_json(path: str, checks: Mapping[str, Check], limit: int) -> dict[str, Any]:
    """Read a JSON object of at most ``limit`` bytes, and check the value of each key; that of a missing key is None.

    Raises
    ------
    DamageError
        If it cannot be read, or the value of a key is missing or invalid.
    """
    name = path[path.rfind(os.sep) + 1 :]
    try:
        record = json.loads(read_bytes(path, limit), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{name} is not valid JSON: {str(error)[:100]}") from None
    if not isinstance(record, dict):
        raise DamageError(f"{name} is not a JSON object")
    if record.get("format") != FORMAT:
        found = printable(str(record.get("format"))[:20])
        raise DamageError(f"{name} has format {found}; this version reads format {FORMAT}")
    for key, check in checks.items():
        if not check(record.get(key)):
            raise DamageError(f"{name}: '{key}' is {'invalid' if key in record else 'missing'}")
    return record
