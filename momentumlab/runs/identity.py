"""What an experiment is, apart from its name and its spelling: equal for experiments that give the same numbers."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from momentumlab import __version__
from momentumlab.experiment import Axis, Comparison, Experiment
from momentumlab.plugins import loaded_plugins
from momentumlab.runs.layout import FORMAT
from momentumlab.surfaces import SURFACES

WITHOUT = {Experiment: ("name",), Comparison: ("name",), Axis: ("spelling",)}
"""What does not determine any number."""


def identity(experiment: Experiment | Comparison) -> str:
    """A hash of everything that determines the numbers, as 64 hexadecimal digits.

    It is the SHA-256 of the resolved experiment, field by field, with every default, of momentumlab's version, of the
    format of run folders, and of the content of data files and of the plug-ins that are loaded. Not of the experiment's
    name, nor of how its axes are spelled: ``arange(0, 1, 0.5)`` is ``[0, 0.5]``. Floats count by their shortest exact
    decimals.
    """
    digest = hashlib.sha256(f"momentumlab {__version__}, format {FORMAT}\n".encode())
    for piece in _pieces(experiment):
        digest.update(piece.encode())
    for content in sorted(_contents(experiment)):
        digest.update(content.encode())
    return digest.hexdigest()


def _contents(experiment: Experiment | Comparison) -> Iterator[str]:
    """The SHA-256 of every file of data or code on which the numbers depend; of a file that is gone, nothing."""
    yield from (plugin.sha256 for plugin in loaded_plugins())
    experiments = experiment.experiments if isinstance(experiment, Comparison) else (experiment,)
    for surface in (each.surface for each in experiments):
        for parameter in SURFACES[surface.name].parameters():
            for value in surface.axes[parameter.name].values if parameter.is_path else ():
                path = Path(str(value))
                if path.is_file():
                    yield hashlib.sha256(path.read_bytes()).hexdigest()


def _pieces(value: Any) -> Iterator[str]:
    """A value as text from which it could be told apart from every other; new fields take part without being named."""
    if isinstance(value, Enum):
        yield f"{type(value).__name__}.{value.name};"
    elif dataclasses.is_dataclass(value):
        yield f"{type(value).__name__}("
        for field in dataclasses.fields(value):
            if field.name not in WITHOUT.get(type(value), ()):
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
