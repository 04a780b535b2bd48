"""Search for runs by name, or by the numbers that they hold."""

import os
from collections.abc import Sequence
from pathlib import Path

from momentumlab import system
from momentumlab.errors import ConfigError, Problem, os_reason
from momentumlab.runs.layout import LATEST, DamageError, named
from momentumlab.runs.records import RunFolder, RunStatus, list_runs, read_record, read_run


def find(texts: Sequence[str], out: Path) -> list[RunFolder]:
    """Return the runs that a user names by path, by a prefix of a name in ``out``, or as ``latest``; each once.

    Raises
    ------
    ConfigError
        With every text that does not name exactly one run.
    """
    found: dict[Path, RunFolder] = {}
    problems: list[Problem] = []
    for text in texts:
        try:
            run = _find_one(text, out)
            found.setdefault(Path(os.path.realpath(run.path)), run)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return list(found.values())


def _find_one(text: str, out: Path) -> RunFolder:
    if not text or "\0" in text:
        raise _problem(text, "is not the name of a run")
    path = Path(text)
    if path.name == LATEST:
        path = system.target(path) or path
    try:
        if text == LATEST:
            return _latest(out)
        if path.is_dir():
            run = read_run(path)
            if run is None:
                raise _problem(text, "is not a run folder")
            return run
        folder, prefix = (path.parent, path.name) if path.parent != Path() else (out, text)
        names = sorted(entry for entry in os.listdir(folder) if entry.startswith(prefix))  # noqa: PTH208
    except FileNotFoundError:
        raise _problem(text, f"there is no such run folder, and no folder {folder}") from None
    except OSError as error:
        raise _problem(text, os_reason(error)) from None
    runs = [run for run in (read_run(folder / name) for name in names if name != LATEST) if run is not None]
    if len(runs) == 1:
        return runs[0]
    if not runs:
        message = f"no run folder in {folder} has a name with this prefix; 'momentumlab runs --out {folder}' lists them"
        raise _problem(text, message)
    raise _problem(text, f"is a prefix of several names: {named([run.path.name for run in runs])}; write more of one")


def _problem(text: str, message: str) -> ConfigError:
    return ConfigError.at(text or "RUN", message)


def _latest(out: Path) -> RunFolder:
    """Return the run that the link points to or, without a link, the newest complete run."""
    linked = system.target(out / LATEST)
    if linked is not None and linked.is_dir():
        run = read_run(linked)
        if run is not None and run.status is RunStatus.COMPLETE:
            return run
    run = next((run for run in list_runs(out) if run.status is RunStatus.COMPLETE), None)
    if run is None:
        raise _problem(LATEST, f"there is no complete run folder in {out}")
    return run


def complete_run(out: Path, identity: str, *, kind: str, recorded: int) -> RunFolder | None:
    """Return the newest complete run folder in ``out`` that already holds the numbers of an experiment.

    It must have this `momentumlab.runs.identity.identity`, be of this kind and hold the history of ``recorded`` trials.
    """
    try:
        names = sorted(os.listdir(out), reverse=True)  # noqa: PTH208
    except FileNotFoundError:
        return None
    for name in names:
        if name == LATEST:
            continue
        try:
            record = read_record(out / name)
        except DamageError:
            continue
        if (record["identity"], record["kind"]) == (identity, kind) and record["recorded"] >= recorded:
            run = read_run(out / name)
            if run is not None and run.status is RunStatus.COMPLETE and not run.path.is_symlink():
                return run
    return None
