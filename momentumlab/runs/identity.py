"""Identity of an experiment, hash of its final states, and the plug-ins and data files that it used."""

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from momentumlab import __version__
from momentumlab.experiment import Axis, Comparison, Experiment
from momentumlab.plugins import loaded_plugins
from momentumlab.result import Result, Status
from momentumlab.runs.layout import FORMAT, DamageError, local_time, open_regular
from momentumlab.surfaces import SURFACES

VERSIONS = ("momentumlab", "numpy", "python", "platform")
"""What the last bits of the numbers may depend on."""

_WITHOUT = {Experiment: ("name",), Comparison: ("name",), Axis: ("spelling",)}
"""Fields that do not affect any number."""


def identity(experiment: Experiment | Comparison) -> str:
    """Return a hash of everything that determines the numbers, as 64 hexadecimal digits.

    It is the SHA-256 of the resolved experiment, field by field with every default, of the versions of momentumlab and
    of the format of run folders, and of the content of data files and loaded plug-ins. The name of the experiment and
    the spelling of its axes do not count: ``arange(0, 1, 0.5)`` equals ``[0, 0.5]``.
    """
    digest = hashlib.sha256(f"momentumlab {__version__}, format {FORMAT}\n".encode())
    for piece in _pieces(experiment):
        digest.update(piece.encode())
    inputs = [each["sha256"] for each in [*plugins(), *data_files(experiment)]]
    for sha256 in sorted(inputs):
        digest.update(sha256.encode())
    return digest.hexdigest()


def plugins() -> list[dict[str, Any]]:
    """Return the loaded plug-ins as records have them: file, SHA-256 and the names that each adds."""
    return [
        {"file": str(each.path), "sha256": each.sha256, "entries": [list(entry) for entry in each.entries]}
        for each in loaded_plugins()
    ]


def data_files(experiment: Experiment | Comparison) -> list[dict[str, str]]:
    """Return the data files of an experiment that can be read, each with its SHA-256."""
    found: dict[str, str] = {}
    experiments = experiment.experiments if isinstance(experiment, Comparison) else (experiment,)
    for surface in (each.surface for each in experiments):
        for parameter in SURFACES[surface.name].parameters():
            for value in surface.axes[parameter.name].values if parameter.is_path else ():
                sha256 = sha256_of(Path(str(value)))
                if sha256 is not None:
                    found[str(value)] = sha256
    return [{"file": file, "sha256": sha256} for file, sha256 in found.items()]


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; None if it cannot be read."""
    try:
        with os.fdopen(open_regular(path.resolve()), "rb") as file:
            found = hashlib.sha256()
            while chunk := file.read(2**20):
                found.update(chunk)
            return found.hexdigest()
    except (OSError, RuntimeError, ValueError, DamageError):
        return None


def summary(kind: str, experiment: Experiment | Comparison, *, started: datetime, trials: int) -> dict[str, Any]:
    """Return what the records of complete and unfinished run folders have in common.

    Parameters
    ----------
    kind
        Kind of run folder; see `momentumlab.runs.layout`.
    experiment
        What is run.
    started
        Start of the run.
    trials
        Number of trials.
    """
    experiments = experiment.experiments if isinstance(experiment, Comparison) else (experiment,)
    return {
        "format": FORMAT,
        "kind": kind,
        "name": experiment.name,
        "started": local_time(started).isoformat(timespec="milliseconds"),
        "trials": trials,
        "optimizers": list(dict.fromkeys(choice.name for each in experiments for choice in each.optimizers)),
        "surfaces": list(dict.fromkeys(each.surface.name for each in experiments)),
        "plugins": plugins(),
    }


def best_loss(results: Sequence[Result]) -> float | None:
    """Return the lowest final loss of the trials that did not diverge; None if all did."""
    losses = np.concatenate([each.final_losses[each.status_codes != Status.DIVERGED.code] for each in results])
    losses = losses[np.isfinite(losses)]
    return float(losses.min()) if len(losses) else None


def digest(results: Sequence[Result]) -> str:
    """Return a hash of the final state of all trials: SHA-256 of points, losses, iterations and statuses."""
    found = hashlib.sha256()
    for result in results:
        for array in (result.final_points, result.final_losses):
            found.update(np.ascontiguousarray(array, dtype="<f8").data)
        found.update(np.ascontiguousarray(result.iterations, dtype="<i4").data)
        found.update(np.ascontiguousarray(result.status_codes, dtype="<i1").data)
    return found.hexdigest()


def current_versions() -> dict[str, str]:
    """Return the versions that the numbers may depend on."""
    return {
        "momentumlab": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _pieces(value: Any) -> Iterator[str]:
    """Yield a value as unambiguous text. New fields of dataclasses take part without being named here."""
    if isinstance(value, Enum):
        yield f"{type(value).__name__}.{value.name};"
    elif dataclasses.is_dataclass(value):
        yield f"{type(value).__name__}("
        for field in dataclasses.fields(value):
            if field.name not in _WITHOUT.get(type(value), ()):
                yield f"{field.name}="
                yield from _pieces(getattr(value, field.name))
        yield ")"
    elif isinstance(value, Mapping):
        yield "{"
        for key in sorted(value, key=repr):
            yield f"{key!r}:"
            yield from _pieces(value[key])
        yield "}"
    elif isinstance(value, tuple) and value and all(type(item) is float for item in value):
        yield f"floats {json.dumps(value)};"
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape} {value.tobytes().hex()};"
    elif isinstance(value, (tuple, list)):
        yield f"{type(value).__name__}{len(value)}["
        for item in value:
            yield from _pieces(item)
        yield "]"
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield f"{type(value).__name__} {json.dumps(value)};"
    else:
        raise TypeError(f"{type(value).__name__} has no identity")
