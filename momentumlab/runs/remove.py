"""Which run folders may be removed, and their removal."""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from momentumlab.errors import ConfigError, OutputError, Problem
from momentumlab.runs.layout import LATEST, foreign_files, remove, unpoint_latest
from momentumlab.runs.run import Run, RunStatus, runs_in

QUIET_MINUTES = 10
"""A folder that is not finished may be one that is being written, unless nothing in it has changed for so long."""


def check_removable(runs: Sequence[Run]) -> None:
    """Refuse to remove what was not made here.

    Raises
    ------
    ConfigError
        With every folder that has files in it which momentumlab did not make, or is reached by a link.
    """
    problems = []
    for run in runs:
        try:
            foreign = ["a link leads there"] if run.path.is_symlink() else foreign_files(run.path, run.files)
        except OSError as error:
            foreign = [(error.strerror or str(error)).lower()]
        if foreign:
            more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
            message = f"is not removed: it has what momentumlab did not make ({', '.join(foreign[:5])}{more})"
            problems.append(Problem(place=str(run.path), message=message))
    if problems:
        raise ConfigError(problems)


def remove_runs(runs: Sequence[Run]) -> None:
    """Remove run folders, and lead ``latest`` to the newest that is left where it led to one of them.

    Raises
    ------
    OutputError
        If one cannot be removed, or another process is at work on it; those before it are gone then.
    """
    from momentumlab.runs.write import only_one

    for run in runs:
        try:
            with only_one(run.path) if run.status is RunStatus.PARTIAL else nullcontext():
                remove(run.path, run.files)
        except OSError as error:
            raise OutputError(f"{run.path}: {error.strerror or error}") from error
    for out in dict.fromkeys(run.path.parent for run in runs):
        _lead_elsewhere(out)


def _lead_elsewhere(out: Path) -> None:
    link = out / LATEST
    if link.is_symlink() and not link.exists():
        complete = (run.path for run in runs_in(out) if run.status is RunStatus.COMPLETE)
        unpoint_latest(out, next(complete, None))


def interrupted_runs(runs: Sequence[Run], *, now: float | None = None) -> tuple[list[Run], list[Run]]:
    """Of some runs those that were never finished and cannot be resumed, and those in which something changed just now.

    ``now`` is in seconds since 1970.
    """
    moment = time.time() if now is None else now
    quiet: list[Run] = []
    busy: list[Run] = []
    for run in runs:
        if run.status is RunStatus.INTERRUPTED:
            changed = _last_change(run.path)
            (quiet if moment - changed > 60 * QUIET_MINUTES else busy).append(run)
    return quiet, busy


def _last_change(folder: Path) -> float:
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:  # it goes as we look
        return math.inf
