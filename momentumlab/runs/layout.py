"""What a run folder is called and holds, the link to the latest one, and how one is removed.

The module loads nothing of weight.
"""

import os
import re
import stat
from collections.abc import Container
from datetime import datetime
from pathlib import Path

FORMAT = 2
"""The version of what `result.json` says; the first one had no number in it."""

RESULT = "result.json"
PARTIAL = "partial.json"
"""The file that says of a run folder that it is not complete."""

BLOCKS = "blocks"
"""The folder for the finished blocks of a sweep that is not finished itself."""

LATEST = "latest"
"""The link to the run folder that was completed last."""

DATA = (".yaml", ".csv", ".npz")
"""The endings of the files without which a run folder is damaged; figures can be drawn again."""

_NAME = re.compile(r"(\d{8}-\d{6})-.+", re.DOTALL)
_OWN = re.compile(
    r"(result|partial)\.json|experiment\.yaml|best.*\.yaml|(summary|ranking|tuning)\.csv|(sweep|search|trajectories.*)\.npz"
    r"|(trajectory|velocity|loss|training|map_|curve|basins|search|sensitivity|profiles).*\.(png|svg|pdf)|\..*\.part",
    re.DOTALL,
)
_OWN_BLOCK = re.compile(r"\d+\.npz|\..*\.part")


def time_in(name: str) -> datetime | None:
    """When a run folder of that name was begun, in local time; ``None`` if this is no such name."""
    match = _NAME.fullmatch(name)
    try:
        return datetime.strptime(match[1], "%Y%m%d-%H%M%S") if match else None
    except ValueError:  # a 32nd of a month
        return None


def foreign_files(folder: Path, written: Container[str] = ()) -> list[str]:
    """What is in a run folder without having been made with it; no link was.

    Parameters
    ----------
    folder
        A run folder.
    written
        The files that the folder itself says it was made with.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    found: list[str] = []
    for path in _inside(folder):
        relative = path.relative_to(folder)
        if path.is_symlink():
            is_own = False
        elif len(relative.parts) > 1:
            is_own = path.is_file() and _OWN_BLOCK.fullmatch(path.name) is not None
        elif path.name == BLOCKS:
            is_own = path.is_dir()
        else:
            is_own = path.is_file() and (path.name in written or _OWN.fullmatch(path.name) is not None)
        if not is_own:
            found.append(str(relative))
    return found


def remove(folder: Path, written: Container[str] = ()) -> None:
    """Remove a run folder file by file: what was not made with it is never touched, nor is what a link leads to.

    ``result.json`` goes first, so that a folder of which half is left does not look complete.

    Parameters
    ----------
    folder
        A run folder.
    written
        The files that the folder itself says it was made with.

    Raises
    ------
    FileExistsError
        If there are foreign files in it, or it is a link; then nothing is removed.
    OSError
        If something cannot be removed.
    """
    foreign = ["it is a link"] if folder.is_symlink() else foreign_files(folder, written)
    if foreign:
        raise FileExistsError(None, f"has what momentumlab did not make: {', '.join(foreign[:5])}", str(folder))
    (folder / RESULT).unlink(missing_ok=True)
    for path in sorted(_inside(folder), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()


def _inside(folder: Path) -> list[Path]:
    """Everything in a run folder, and in the folder of its blocks."""
    entries = list(folder.iterdir())
    blocks = folder / BLOCKS
    return entries + (list(blocks.iterdir()) if blocks.is_dir() and not blocks.is_symlink() else [])


def point_latest(folder: Path) -> None:
    """Let ``latest``, beside a run folder, lead to it: the link is exchanged in one step, so that there always is one.

    Where links cannot be made, or something else has that name, there is none; `latest` is then found by the time.
    """
    link = folder.parent / LATEST
    try:
        if not link.is_symlink() and link.exists():
            return
        temporary = folder.parent / f".{LATEST}.{os.getpid()}.{folder.name[-40:]}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(folder.name, target_is_directory=True)
        temporary.replace(link)
    except OSError:
        return


def unpoint_latest(out: Path, newest: Path | None) -> None:
    """Lead ``latest`` elsewhere once what it led to is gone: to the newest run folder left, or nowhere.

    Raises
    ------
    OSError
        If the link cannot be removed.
    """
    link = out / LATEST
    if link.is_symlink() and not link.exists():
        if newest is None:
            link.unlink()
        else:
            point_latest(newest)


def size_of(folder: str | os.PathLike[str]) -> tuple[int, dict[str, int]]:
    """The bytes of all files in a run folder, and those of each; links count for nothing.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    total = 0
    sizes: dict[str, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                sizes[entry.name] = status.st_size
                total += status.st_size
            elif stat.S_ISDIR(status.st_mode) and entry.name == BLOCKS:
                total += size_of(entry.path)[0]
    return total, sizes
