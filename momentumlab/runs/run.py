"""What a run folder says of itself: its name, time, status, size. Only the head of ``result.json`` is read."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from momentumlab.runs.layout import DATA, FORMAT, PARTIAL, RESULT, size_of, time_in

HEAD = 4096
"""The bytes of ``result.json`` that are read first: mostly enough."""

LONGEST_HEAD = 2**22
"""A head that is longer than this is no head."""

LONGEST_RESULT = 2**26
"""A ``result.json`` of the first format has no head; it is read whole if it is no larger than this."""

BEGIN = b'{"format": '


class RunStatus(Enum):
    """Whether a run folder is whole, with the sentence that says so."""

    COMPLETE = "complete", "everything is there"
    PARTIAL = "partial", "a sweep that is not finished; 'momentumlab sweep --resume' does the rest"
    INTERRUPTED = "interrupted", "was not finished, or is being written right now"
    DAMAGED = "damaged", "something is missing, or cannot be read"

    def __init__(self, label: str, message: str) -> None:
        self.label = label
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder, as far as it is told by small files.

    Attributes
    ----------
    path
        The folder.
    name
        The experiment's name.
    when
        When it was begun, with its time zone.
    trials
        How many trials there are, where that is told.
    best_loss
        The lowest final loss of those that did not diverge.
    size
        Bytes of all files.
    optimizers, surfaces
        The names of what ran.
    problem
        What is wrong with it, where something is.
    header
        The head of ``result.json``; empty in folders of the first format.
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
    header: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> Mapping[str, int]:
        """The files with which the folder was made, and their sizes in bytes."""
        files: Mapping[str, int] = self.header.get("files", {})
        return files


class DamageError(Exception):
    """A file of a run folder is not what it should be; says which, and why."""


def runs_in(out: Path) -> list[Run]:
    """All run folders in a folder, the newest first; what is no run folder is left out, and links are.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    with os.scandir(out) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    found = [run for run in (read_run(out / name) for name in names) if run is not None]
    return sorted(found, key=lambda run: (run.when, run.path.name), reverse=True)


def read_run(path: Path) -> Run | None:
    """A run folder; ``None`` if that is none, or has just been removed."""
    try:
        size, sizes = size_of(path)
    except OSError:
        return None
    if RESULT in sizes:
        return _finished(path, size, sizes)
    when = time_in(path.name)
    if PARTIAL in sizes:
        return _unfinished(path, size, when)
    if when is None or not (sizes.keys() <= {"experiment.yaml"} or "experiment.yaml" in sizes):
        return None
    status = RunStatus.INTERRUPTED
    return Run(path=path, name=_name_in(path), when=when.astimezone(), status=status, size=size, problem=status.message)


def _finished(path: Path, size: int, sizes: Mapping[str, int]) -> Run | None:
    try:
        header = read_header(path / RESULT)
        run = _run_of(path, size, header) if header else _first_format(path, size)
        if run is None:
            return None
    except (OSError, DamageError) as error:
        when = time_in(path.name)
        if when is None:
            return None
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return _damaged(path, size, when.astimezone(), f"{RESULT}: {reason}")
    gone = next(_missing(run.files, sizes), None)
    return run if gone is None else _damaged(path, size, run.when, gone, run.header)


def _missing(files: Mapping[str, int], sizes: Mapping[str, int]) -> Iterator[str]:
    """The files of data that are not there, or not as long as when they were written."""
    for name, size in files.items():
        if name.endswith(DATA) and sizes.get(name) != size:
            yield f"{name} is missing" if name not in sizes else f"{name} has {sizes[name]:,} bytes, not {size:,}"


def _damaged(path: Path, size: int, when: datetime, problem: str, header: Mapping[str, Any] | None = None) -> Run:
    return Run(
        path=path,
        name=str((header or {}).get("name", _name_in(path))),
        when=when,
        status=RunStatus.DAMAGED,
        size=size,
        problem=problem,
        header=header or {},
    )


def read_header(path: Path) -> dict[str, Any]:
    """The head of a ``result.json``; empty if it is of the first format, which has none.

    Raises
    ------
    OSError
        If it cannot be read.
    DamageError
        If it is not what it should be.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(HEAD) or b""
        last = os.fstat(file.fileno()).st_size
        if last > len(head):
            end = os.pread(file.fileno(), 2, last - 2) if hasattr(os, "pread") else b"}\n"
        else:
            end = head[-2:]
        if end.strip()[-1:] != b"}":
            raise DamageError("its end is missing")
        if not head.startswith(BEGIN):
            return {}
        try:
            return _parsed(head)
        except ValueError:
            head += file.read(LONGEST_HEAD) or b""
    try:
        return _parsed(head)
    except ValueError as error:
        raise DamageError(f"its head cannot be read ({error})") from None


def _parsed(head: bytes) -> dict[str, Any]:
    """The value of the second member, ``run``.

    Raises
    ------
    ValueError
        If the text ends before it does, or it is something else.
    """
    text = head.decode("utf-8", errors="replace")
    try:
        version, rest = json.JSONDecoder().raw_decode(text, len(BEGIN))
        if version != FORMAT:
            raise ValueError(f"its format is {str(version)[:20]}; this momentumlab reads up to {FORMAT}")
        begin = text.find('"run": ', rest)
        if begin < 0:
            raise ValueError("there is none")
        header, _ = json.JSONDecoder().raw_decode(text, begin + len('"run": '))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(header)
    found: dict[str, Any] = header
    return found


_SHAPES: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "identity": str,
    "name": str,
    "started": str,
    "trials": int,
    "best_loss": (float, int, type(None)),
    "recorded": int,
    "strides": list,
    "digest": str,
    "optimizers": list,
    "surfaces": list,
    "files": dict,
}


def _check(header: Any) -> None:
    """Whether a head has all that it should.

    Raises
    ------
    ValueError
        If something is missing, or of another type.
    """
    if not isinstance(header, dict):
        raise ValueError("it is no mapping")
    for name, types in _SHAPES.items():
        if not isinstance(header.get(name), types):
            raise ValueError(f"'{name}' is missing or of another kind")
    whole = [header["trials"], header["recorded"], *header["strides"], *header["files"].values()]
    finite = header["best_loss"] is None or math.isfinite(header["best_loss"])
    if not finite or not all(isinstance(each, int) and each >= 0 for each in whole):
        raise ValueError("a number in it is none")


def _run_of(path: Path, size: int, header: Mapping[str, Any]) -> Run:
    return Run(
        path=path,
        name=header["name"],
        when=_moment(header["started"]),
        status=RunStatus.COMPLETE,
        trials=header["trials"],
        best_loss=header["best_loss"],
        size=size,
        optimizers=tuple(map(str, header["optimizers"])),
        surfaces=tuple(map(str, header["surfaces"])),
        header=header,
    )


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise DamageError("'started' is no time") from None


def read_result(path: Path) -> dict[str, Any]:
    """The whole of a ``result.json``.

    Raises
    ------
    OSError
        If it cannot be read.
    DamageError
        If it is too large, or no document of ours.
    """
    if path.stat().st_size > LONGEST_RESULT:
        raise DamageError(f"it is larger than {LONGEST_RESULT:,} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamageError(f"it is no JSON ({str(error)[:100]})") from None
    if not isinstance(document, dict) or not isinstance(document.get("trials"), list):
        raise DamageError("it tells of no trials")
    return document


def _first_format(path: Path, size: int) -> Run | None:
    """A folder of the first format, whose ``result.json`` has no head and must be read whole."""
    document = read_result(path / RESULT)
    provenance, trials, settings = document.get("provenance"), document["trials"], document.get("settings")
    if not isinstance(provenance, dict) or not isinstance(settings, dict) or "momentumlab" not in provenance:
        return None  # somebody else's
    if not all(isinstance(trial, dict) for trial in trials):
        raise DamageError("a trial in it is none")
    losses = [trial.get("final_loss") for trial in trials if trial.get("status") != "diverged"]
    numbers = [float(loss) for loss in losses if isinstance(loss, (int, float)) and math.isfinite(loss)]
    total = document.get("trials_in_all", len(trials))
    return Run(
        path=path,
        name=str(document.get("experiment", _name_in(path))),
        when=_moment(str(provenance.get("started"))),
        status=RunStatus.COMPLETE,
        trials=total if isinstance(total, int) else len(trials),
        best_loss=min(numbers, default=None),
        size=size,
        optimizers=tuple(dict.fromkeys(str(trial.get("optimizer")) for trial in trials)),
        surfaces=tuple(dict.fromkeys(str(trial.get("surface")) for trial in trials)),
    )


def _unfinished(path: Path, size: int, when: datetime | None) -> Run | None:
    """The folder of a sweep that was begun."""
    status, problem = RunStatus.PARTIAL, RunStatus.PARTIAL.message
    try:
        partial = json.loads((path / PARTIAL).read_bytes())
        experiment = partial["experiment"]
        name = str(experiment["name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if when is None:
            return None
        name, status, problem = _name_in(path), RunStatus.DAMAGED, f"{PARTIAL} cannot be read ({str(error)[:100]})"
        experiment = {}
    if when is None:
        when = datetime.fromtimestamp((path / PARTIAL).stat().st_mtime)
    entries = experiment.get("optimizers")
    trials = partial.get("trials") if status is RunStatus.PARTIAL else None
    return Run(
        path=path,
        name=name,
        when=when.astimezone(),
        status=status,
        trials=trials if isinstance(trials, int) else None,
        size=size,
        optimizers=tuple(map(_entry_name, entries if isinstance(entries, list) else [])),
        surfaces=(_entry_name(experiment["surface"]),) if "surface" in experiment else (),
        problem=problem,
    )


def _entry_name(entry: Any) -> str:
    return str(entry.get("name", entry.get("expression"))) if isinstance(entry, dict) else str(entry)


def _name_in(path: Path) -> str:
    """The experiment's name, as well as the folder's tells it."""
    return path.name.split("-", 2)[-1]
