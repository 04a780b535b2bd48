"""Files of a run folder: names, atomic writes, bounded reads, the lock and the link to the latest run.

A folder that is being written holds `PARTIAL`, which names the files written so far, and `LOCK`, which the writing
process keeps locked. `RECORD` comes last and makes the folder complete; it lists every file with its size.
This module imports nothing heavy.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from momentumlab import stopping, system
from momentumlab.errors import OutputError, os_reason

FORMAT = 3
"""Version of the files in a run folder."""

RECORD = "run.json"
RESULT = "result.json"
PARTIAL = "partial.json"
EXPERIMENT = "experiment.yaml"
LOCK = ".lock"
BLOCKS = "blocks"
LATEST = "latest"

RUN, SWEEP, COMPARISON = "run", "sweep", "comparison"
"""Kinds of run folders: the history of all trials, a map of all trials, or a search per optimizer."""

LARGEST_RECORD = 20_000_000
"""Bytes of the largest `RECORD` or `PARTIAL` that is read."""

UNFINISHED = ".part"

NAME_BYTES = 100
"""Bytes of a name in the name of a file or folder."""

MOST_NAMED = 5
"""Number of files or folders that a message names."""


class DamageError(Exception):
    """A file of a run folder is missing or malformed; the message names the file and the reason."""


def local_time(moment: datetime) -> datetime:
    """Return a time in the local time zone; in UTC if the environment's time zone is impossible (``TZ=UTC+99``)."""
    try:
        return moment.astimezone()
    except (ValueError, OverflowError, OSError):
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def named(names: list[str]) -> str:
    """Return the first names of a list, with the number of further names."""
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest


def file_name(name: str) -> str:
    """Return a name for files on every file system: letters, digits and ``._-``, at most `NAME_BYTES` bytes."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._") or "experiment"
    return safe.encode()[:NAME_BYTES].decode(errors="ignore")


# Writing


def write(path: Path, content: str | bytes | Callable[[BinaryIO], object], *, is_synced: bool = False) -> None:
    """Write a file under a temporary name and rename it when it is complete; an existing file is replaced.

    ``content`` may be a function that writes into an open file. With ``is_synced``, wait for the disk before renaming.

    Raises
    ------
    OSError
        If the file cannot be written; neither the file nor a part of it remains.
    """
    if path.is_dir():  # "/" and "." have no name from which to make a temporary one
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    stopping.unfinished.add(temporary)
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
        if is_synced:
            system.sync(temporary)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not name the file
            error.filename = str(path)
        raise
    finally:
        stopping.unfinished.discard(temporary)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an operating-system error into an `OutputError` that names the file, or else ``path``."""
    try:
        yield
    except DamageError as error:  # of a file that this process has written: another process has removed or changed it
        raise OutputError(f"{path}/{error}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null byte" not in str(error):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileExistsError) and error.errno is not None:
            reason = "there is a file in the way"
        place = str(getattr(error, "filename", None) or path)
        place = str(path) if place.endswith(UNFINISHED) else place
        raise OutputError(f"{place}: {reason[:1].lower()}{reason[1:]}") from error


# Reading


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading, and return its descriptor, which the caller closes.

    Pipes, devices and links are refused without waiting for them.

    Raises
    ------
    DamageError
        If the file is missing, is not a regular file or cannot be opened.
    """
    try:
        descriptor = os.open(path, system.READING)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        reason = "is not a regular file"
    except FileNotFoundError:
        reason = "is missing"
    except OSError as error:
        reason = f"cannot be opened: {'it is a symbolic link' if error.errno == errno.ELOOP else os_reason(error)}"
    raise DamageError(f"{os.path.basename(path)} {reason}")  # noqa: PTH119 — a Path for each file of a list takes long


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a regular file; raise `DamageError` if it cannot be read or is larger than ``limit`` bytes."""
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise DamageError(f"{os.path.basename(path)} is larger than {limit:,} bytes")  # noqa: PTH119
        return os.read(descriptor, size)
    except OSError as error:
        raise DamageError(f"{os.path.basename(path)} cannot be read: {os_reason(error)}") from None  # noqa: PTH119
    finally:
        os.close(descriptor)


def sizes_in(folder: str | os.PathLike[str]) -> tuple[int, dict[str, int | None]]:
    """Return the bytes of all files in a run folder, and the size of each entry.

    The size of anything but a regular file is None; only the folder of blocks counts towards the total.
    """
    total = 0
    sizes: dict[str, int | None] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # renamed or removed since the folder was read
                continue
            is_file = stat.S_ISREG(status.st_mode)
            sizes[entry.name] = status.st_size if is_file else None
            if is_file:
                total += status.st_size
            elif entry.name == BLOCKS and stat.S_ISDIR(status.st_mode):
                with suppress(OSError):
                    total += sizes_in(entry.path)[0]
    return total, sizes


# The lock


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. On a file system without locks, continue without one.

    Raises
    ------
    OutputError
        If another process holds the lock.
    """
    with output_errors(folder):
        descriptor = os.open(folder / LOCK, system.READING_AND_CREATING, 0o666)
    with os.fdopen(descriptor) as file:
        # `is_locked` takes the lock for an instant: a busy lock is tried again before another process is blamed.
        for pause in (0.01, 0.05, 0.2, None):
            is_busy = system.is_busy(descriptor, exclusive=True)
            if not is_busy:
                break
            if pause is None:
                raise OutputError(f"{folder}: another process is at work on it")
            time.sleep(pause)
        if is_busy is None:  # the open file would protect nothing, and Windows would not remove it
            file.close()
        yield


def is_locked(folder: Path) -> bool | None:
    """Return whether a process holds the lock of a run folder; None if the file system does not report it."""
    try:
        descriptor = os.open(folder / LOCK, system.READING)
    except OSError:
        return False  # a process creates the lock before it writes anything else
    try:
        return system.is_busy(descriptor, exclusive=False)
    finally:
        os.close(descriptor)


def point_latest(folder: Path) -> None:
    """Point the link ``latest`` beside a run folder to that folder, in one step.

    It is a text file where links are not supported; nothing happens if something else has that name.
    """
    with suppress(OSError):
        system.point(folder.parent / LATEST, folder.name)
