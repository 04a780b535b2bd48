"""Files that are there whole or not at all, and that stay there when the power fails."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from momentumlab import stopping

ENDING = ".part"


def write(path: Path, content: Callable[[BinaryIO], object], *, settled: bool = False) -> None:
    """Write a file under another name, and rename it once it is complete.

    Parameters
    ----------
    path
        Where it is to be; what is there already is replaced.
    content
        Writes the content into an open file.
    settled
        Whether to wait until the content is on the disk before it gets its name.

    Raises
    ------
    OSError
        If it cannot be written; then neither the file nor a part of it is there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{ENDING}")
    stopping.unfinished.add(temporary)
    try:
        with temporary.open("wb") as file:
            content(file)
            if settled:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say where
            error.filename = str(path)
        raise
    finally:
        stopping.unfinished.discard(temporary)


def write_text(path: Path, text: str, *, settled: bool = False) -> None:
    """Write a text, as `write` does."""
    write(path, lambda file: file.write(text.encode()), settled=settled)


def settle(folder: Path) -> None:
    """Wait until the files of a folder, and the folder itself, are on the disk.

    To do so once, for all files together, costs less than to wait after each. Parts that a process which was killed
    left behind are removed.

    Raises
    ------
    OSError
        If the disk does not take them.
    """
    for entry in os.scandir(folder):
        if entry.name.endswith(ENDING) and entry.name.startswith("."):
            Path(entry).unlink()
        elif entry.is_file():
            _sync(entry.path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    settle_names(folder)


def settle_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; where folders cannot be opened, as on Windows, do nothing.

    Raises
    ------
    OSError
        If the disk does not take them.
    """
    if os.name != "nt":
        _sync(folder, os.O_RDONLY)


def _sync(path: str | Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
