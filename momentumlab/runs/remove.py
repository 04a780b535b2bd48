"""Removal of run folders: only files that a run wrote are removed, and only if a folder holds nothing else."""

import re
from collections.abc import Collection, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from momentumlab import system
from momentumlab.errors import OutputError, os_reason
from momentumlab.runs.layout import (
    BLOCKS,
    LATEST,
    LOCK,
    PARTIAL,
    RECORD,
    UNFINISHED,
    named,
    only_one,
    point_latest,
)
from momentumlab.runs.records import RunFolder, RunStatus, list_runs, read_run


def _own_files(run: RunFolder) -> list[Path]:
    """Return the files that a run wrote: those of its record, unfinished copies of them, blocks and the record."""
    names = [*run.files, LOCK, PARTIAL, RECORD]
    listed = [run.path / name for name in names if _is_file(run.path / name)]
    return [*block_files(run.path), *unfinished_files(run.path, names), *listed]


def block_files(folder: Path) -> list[Path]:
    """Return the files of finished and unfinished blocks of a sweep."""
    blocks = folder / BLOCKS
    if not blocks.is_dir() or blocks.is_symlink():
        return []
    name = re.compile(rf"\d{{1,15}}\.npz|\.\d{{1,15}}\.npz\.\d+\{UNFINISHED}", re.ASCII)
    return [path for path in blocks.iterdir() if name.fullmatch(path.name) and _is_file(path)]


def unfinished_files(folder: Path, names: Collection[str]) -> list[Path]:
    """Return temporary files of these names that killed processes left; see `momentumlab.runs.layout.write`."""
    name = re.compile(rf"\.(.+)\.\d+\{UNFINISHED}", re.DOTALL)
    found = ((path, name.fullmatch(path.name)) for path in folder.iterdir())
    return [path for path, match in found if match and match[1] in {*names, RECORD, PARTIAL} and _is_file(path)]


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def obstacle(run: RunFolder) -> str | None:
    """Return why a run folder cannot be removed; None if it can."""
    if run.path.is_symlink():
        return "is a symbolic link; remove the link yourself"
    if run.status is RunStatus.RUNNING:
        return "is running: a process is writing it"
    # Links and folders never belong to a run, except the folder of blocks.
    try:
        inside, blocks = set(run.path.iterdir()), run.path / BLOCKS
        if blocks.is_dir() and not blocks.is_symlink():
            inside = (inside - {blocks}) | set(blocks.iterdir())
        foreign = sorted(str(path.relative_to(run.path)) for path in inside.difference(_own_files(run)))
    except OSError as error:
        return f"cannot be read: {os_reason(error)}"
    if not foreign:
        return None
    if not run.record and run.status is RunStatus.DAMAGED:
        files = named(foreign)
        return f"has no readable record of its files ({run.problem}); remove it yourself if you do not need {files}"
    return f"contains files that momentumlab did not write ({named(foreign)}); move or remove them first"


def remove_run(run: RunFolder) -> None:
    """Remove a run folder, its record last, so that a removal that was interrupted can be repeated.

    Raises
    ------
    OutputError
        If it must not be removed (see `obstacle`), or cannot be.
    """
    current = read_run(run.path)
    if current is None:
        raise OutputError(f"{run.path}: no such run folder")
    if reason := obstacle(current):
        raise OutputError(f"{run.path}: {reason}")
    try:
        with nullcontext() if current.status is RunStatus.COMPLETE else only_one(run.path):
            for path in _own_files(current):
                path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                (run.path / BLOCKS).rmdir()
            (run.path / LOCK).unlink(missing_ok=True)
            run.path.rmdir()
    except OSError as error:
        raise OutputError(f"{run.path}: cannot be removed: {os_reason(error)}") from error


def update_latest(runs: Sequence[RunFolder]) -> None:
    """Point ``latest`` to the newest complete run that is left if it pointed to one of these removed runs."""
    for out in dict.fromkeys(run.path.parent for run in runs):
        link = out / LATEST
        with suppress(OSError, OutputError):
            linked = system.target(link)
            if linked is not None and not linked.exists():
                left = next((run.path for run in list_runs(out) if run.status is RunStatus.COMPLETE), None)
                link.unlink() if left is None else point_latest(left)
