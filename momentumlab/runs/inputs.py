"""Plug-ins and data on which the numbers of a run depend: recorded, copied into its folder, and found again.

A run folder holds a copy of each data file up to `LARGEST_COPY` bytes, and of data that were given as arrays in Python.
`EXPERIMENT` in the folder names the copies, so that it gives the same numbers wherever the folder is. A run that is
opened names the original files again, unless one is missing or has changed.
"""

import hashlib
import io
import os
import platform
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from momentumlab import system
from momentumlab.config import load_text
from momentumlab.config.requirements import python_problems
from momentumlab.datasets.in_memory import TARGET, add_arrays, is_in_memory, table_of
from momentumlab.errors import ConfigError, OutputError
from momentumlab.experiment import Comparison, Experiment, build_surface
from momentumlab.plugins import load_plugin, loaded_plugins
from momentumlab.runs.layout import DamageError, file_name, open_regular, read_bytes
from momentumlab.surfaces import SURFACES

LARGEST_COPY = 10_000_000
"""Bytes of the largest data file that is copied into a run folder."""

LARGEST_EXPERIMENT = 2**20
"""Bytes of the largest file of an experiment that is read."""

AnyExperiment = TypeVar("AnyExperiment", bound=Experiment | Comparison)


class MissingInputError(OutputError):
    """A plug-in or data file that a run used is missing or has changed; the stored numbers can still be read."""


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; None if it cannot be read."""
    try:
        with os.fdopen(open_regular(path.resolve()), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError, ValueError, DamageError):
        return None


# Data


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A data file that an experiment uses, or data that were given as arrays."""

    file: str  # the absolute path, or the name of the arrays
    sha256: str  # of the file, or of the copy of the arrays
    shape: tuple[int, int] | None  # rows and features, without the intercept; None if a plug-in reads the file
    copy: str | None  # name of the copy in the run folder; None if the file is too large
    content: bytes | None = field(repr=False)  # of the copy

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the record."""
        return {"file": self.file, "sha256": self.sha256, "shape": self.shape, "copy": self.copy}


def data_files(experiment: Experiment | Comparison) -> list[DataFile]:
    """Return the data that an experiment uses; files that cannot be read are left out."""
    found: dict[str, DataFile] = {}
    for each in experiment.experiments if isinstance(experiment, Comparison) else (experiment,):
        choice = each.surface
        for parameter in SURFACES[choice.name].parameters():
            for value in choice.axes[parameter.name].values if parameter.is_path else ():
                file = str(value)
                content = _arrays_content(file) if is_in_memory(file) else None
                sha256 = sha256_of(Path(file)) if content is None else hashlib.sha256(content).hexdigest()
                if sha256 is None or (content is None and not Path(file).is_absolute()):  # a built-in data set
                    continue
                if content is None and Path(file).stat().st_size <= LARGEST_COPY:
                    content = read_bytes(Path(file).resolve(), LARGEST_COPY)
                surface: Any = build_surface(choice.name, {**choice.first, parameter.name: file})
                shape = None
                if hasattr(surface, "design"):
                    shape = (surface.design.rows, len(surface.design.names) - surface.intercept)
                copy = None if content is None else f"data-{len(found) + 1}-{file_name(Path(file).name)}"
                found[file] = DataFile(file=file, sha256=sha256, shape=shape, copy=copy, content=content)
    return list(found.values())


def _arrays_content(name: str) -> bytes:
    """Return data that were given as arrays as an ``.npz`` file that the reader of data files understands.

    The same arrays give the same bytes. Columns may have names that `numpy.savez` does not accept, such as ``file``.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for column, values in table_of(name).columns.items():
            member = io.BytesIO()
            np.save(member, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{column}.npy"), member.getvalue())
    return buffer.getvalue()


def with_data(experiment: AnyExperiment, names: Mapping[str, str]) -> AnyExperiment:
    """Return an experiment with other names for its data files."""
    if not names:
        return experiment
    if isinstance(experiment, Comparison):
        return replace(experiment, experiments=tuple(with_data(each, names) for each in experiment.experiments))
    axes = {}
    for name, axis in experiment.surface.axes.items():
        values = tuple(names.get(each, each) if isinstance(each, str) else each for each in axis.values)
        axes[name] = replace(axis, values=values)
    return replace(experiment, surface=replace(experiment.surface, axes=axes))


def with_copies(experiment: AnyExperiment, data: list[DataFile]) -> AnyExperiment:
    """Return an experiment that names the copies of its data, as `EXPERIMENT` in a run folder does."""
    return with_data(experiment, {each.file: each.copy for each in data if each.copy is not None})


def read_experiment(
    folder: Path, name: str, record: Mapping[str, Any], *, missing: Sequence[str] = ()
) -> Experiment | Comparison:
    """Read an experiment in a run folder, with the original data files if these are unchanged.

    ``missing`` says why plug-ins are not loaded; it is reported if the experiment cannot be read without them.

    Raises
    ------
    MissingInputError
        If a plug-in is not loaded, or a data file without a copy is missing or has changed.
    ConfigError
        If it is invalid for another reason.
    DamageError
        If a file in the folder is damaged.
    """
    changed = []
    for data in record["data"]:
        copy = data.get("copy")
        if sha256_of(Path(data["file"]) if copy is None else folder / copy) == data["sha256"]:
            continue
        if copy is not None:
            raise DamageError(f"{copy} is missing or has changed")
        changed.append(_change_of(data))
    try:
        text = read_bytes(folder / name, LARGEST_EXPERIMENT).decode()
    except UnicodeDecodeError:
        raise DamageError(f"{name} is not UTF-8") from None
    problems = [*missing, *changed]
    try:
        if not changed:
            return with_data(load_text(text, str(folder / name), folder=folder), _originals(folder, record))
    except ConfigError:
        problems += [problem.message for problem in python_problems(text, name)]
        if not problems:
            raise
    raise MissingInputError("\n".join(f"{folder}: {each}" for each in problems))


def _originals(folder: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """Return the originals that are used instead of copies: unchanged files, and arrays, which are read first."""
    originals = {}
    for data in record["data"]:
        if data.get("copy") is None:
            continue
        copy = os.path.normpath((folder / data["copy"]).absolute())
        if not Path(data["file"]).is_absolute():
            from momentumlab.datasets.data_table import read

            columns = dict(read(copy).columns)
            targets = columns.pop(TARGET, None)
            names = [*columns]
            if targets is None or add_arrays(np.stack([*columns.values()], axis=1), targets, names) != data["file"]:
                raise DamageError(f"{data['copy']} does not hold the arrays of the run")
        elif sha256_of(Path(data["file"])) != data["sha256"]:
            continue
        originals[copy] = data["file"]
    return originals


def changed_data(record: Mapping[str, Any]) -> list[str]:
    """Return what has happened since the run to each data file that is missing or has changed."""
    files = [data for data in record["data"] if Path(data["file"]).is_absolute()]
    return [_change_of(data) for data in files if sha256_of(Path(data["file"])) != data["sha256"]]


def _change_of(data: Mapping[str, Any]) -> str:
    file = data["file"]
    what = "is missing" if sha256_of(Path(file)) is None else "has changed since the run"
    return f"data file {file} {what}{'; its copy in the run folder is used' if data.get('copy') else ''}"


# Plug-ins


def plugin_files() -> list[dict[str, Any]]:
    """Return the loaded plug-ins as they are recorded: file, SHA-256 and the names that each adds."""
    return [
        {"file": str(each.path), "sha256": each.sha256, "entries": [list(entry) for entry in each.entries]}
        for each in loaded_plugins()
    ]


def load_plugins_of(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Load the plug-ins that a run used from their recorded paths, and return why others cannot be loaded.

    A plug-in is loaded if its content is unchanged and the folder was written by this user on this machine and not
    copied: receiving a folder must not run code. A plug-in that was given by ``--plugin`` takes the place
    of a recorded one that has the same names.
    """
    status = folder.stat()
    # A copy of a folder has another inode.
    was_written_here = system.is_own(status) and record["origin"] == {"host": platform.node(), "inode": status.st_ino}
    given = {entry for plugin in loaded_plugins() for entry in plugin.entries}
    hashes = {plugin.sha256 for plugin in loaded_plugins()}
    problems = []
    for recorded in record["plugins"]:
        file, sha256, entries = recorded["file"], recorded["sha256"], recorded.get("entries")
        names = {tuple(entry) for entry in entries} if isinstance(entries, list) else set()
        if sha256 in hashes or (names and names <= given):
            continue
        found = sha256_of(Path(file)) if Path(file).is_absolute() else None
        if found is None:
            problem = "is missing; give it with --plugin FILE"
        elif found != sha256:
            problem = "has changed since the run; give it, or its old version, with --plugin FILE"
        elif not was_written_here:
            problem = "is not loaded automatically, because the run folder was copied; give it with --plugin FILE"
        else:
            try:
                load_plugin(file, sha256=sha256)
                continue
            except ConfigError as error:
                problem = f"cannot be loaded: {error}"
        problems.append(f"plug-in {file} {problem}")
    return problems
