"""A run by its path, an unambiguous prefix of its name, or ``latest``; and a run by what it computed."""

import os
from collections.abc import Sequence
from pathlib import Path

from momentumlab.errors import ConfigError, Problem
from momentumlab.runs.layout import LATEST, RESULT
from momentumlab.runs.run import DamageError, Run, RunStatus, read_header, read_run, runs_in

MOST_NAMED = 5
"""Of more folders that a prefix fits, only so many are named."""


def find(texts: Sequence[str], out: Path) -> list[Run]:
    """The runs that a person names, each once, in the order given.

    Parameters
    ----------
    texts
        Paths of run folders, beginnings of the names of run folders in ``out``, or ``latest``.
    out
        Where run folders are looked for.

    Raises
    ------
    ConfigError
        With every text that names none, or several.
    """
    found: dict[Path, Run] = {}
    problems: list[Problem] = []
    for text in texts:
        try:
            run = _found(text, out)
            found.setdefault(run.path.resolve(), run)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return list(found.values())


def _found(text: str, out: Path) -> Run:
    if not text or "\0" in text:
        raise _problem(text, "names no run")
    if text == LATEST:
        return _latest(out)
    path = Path(text)
    try:
        if path.is_dir():
            run = read_run(path.parent / path.readlink() if path.name == LATEST and path.is_symlink() else path)
            if run is None:
                raise _problem(text, "is not a run folder")
            return run
        folder, prefix = (path.parent, path.name) if path.parent != Path() else (out, text)
        names = sorted(entry for entry in os.listdir(folder) if entry.startswith(prefix))  # noqa: PTH208
    except FileNotFoundError:
        raise _problem(text, f"there is no run folder of that name, and no folder {folder}") from None
    except OSError as error:
        raise _problem(text, (error.strerror or str(error)).lower()) from None
    runs = [run for run in (read_run(folder / name) for name in names if name != LATEST) if run is not None]
    if len(runs) == 1:
        return runs[0]
    if not runs:
        remedy = f"'momentumlab runs --out {folder}' lists them" if names or folder.is_dir() else ""
        raise _problem(text, f"no run folder in {folder} has a name that begins so; {remedy}")
    listed = ", ".join(run.path.name for run in runs[:MOST_NAMED])
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    raise _problem(text, f"is the beginning of several: {listed}{more}")


def _problem(text: str, message: str) -> ConfigError:
    return ConfigError([Problem(place=text or "RUN", message=message)])


def _latest(out: Path) -> Run:
    """What the link leads to; without one, the newest run folder that is complete."""
    link = out / LATEST
    try:
        if link.is_symlink() and link.is_dir():
            run = read_run(out / link.readlink())
            if run is not None and run.status is RunStatus.COMPLETE:
                return run
        run = next((run for run in runs_in(out) if run.status is RunStatus.COMPLETE), None)
    except OSError as error:
        raise _problem(LATEST, f"{out}: {(error.strerror or str(error)).lower()}") from None
    if run is None:
        raise _problem(LATEST, f"there is no complete run folder in {out}")
    return run


def complete_run(out: Path, identity: str, *, kind: str, recorded: int) -> Run | None:
    """A complete run folder that holds the numbers of an experiment already; the newest, if several do.

    Parameters
    ----------
    out
        Where run folders are looked for.
    identity
        See `momentumlab.runs.identity.identity`.
    kind
        Of which kind the folder must be; see `momentumlab.runs.header`.
    recorded
        Of how many trials it must have the paths.

    Raises
    ------
    OSError
        If ``out`` is there, and cannot be read.
    """
    try:
        names = sorted(os.listdir(out), reverse=True)  # noqa: PTH208
    except FileNotFoundError:
        return None
    for name in names:
        if name == LATEST:
            continue
        try:
            header = read_header(out / name / RESULT)
        except (OSError, DamageError):
            continue
        if (header.get("identity"), header.get("kind")) == (identity, kind) and header["recorded"] >= recorded:
            run = read_run(out / name)
            if run is not None and run.status is RunStatus.COMPLETE and not run.path.is_symlink():
                return run
    return None
