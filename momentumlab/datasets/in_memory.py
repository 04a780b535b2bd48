"""Data sets given as arrays, named by a hash of their content."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from momentumlab.datasets.data_table import DataTable
from momentumlab.errors import ConfigError

PREFIX = "arrays_"
TARGET = "y"

_TABLES: dict[str, DataTable] = {}


def add_arrays(features: Any, targets: Any, names: Sequence[str] | None = None) -> str:
    """Keep a table for the rest of the process and return its name, ``arrays_`` and a hash.

    Parameters
    ----------
    features
        ``(rows, features)``, finite numbers; or a table with ``columns``, such as a pandas DataFrame.
    targets
        ``(rows,)``: finite numbers, or the class of each row as a number or text.
    names
        The names of the features; by default those of the columns, or ``x1``, ``x2``, ….

    Raises
    ------
    ConfigError
        If the shapes do not match or a value is missing.
    """
    # Features: a matrix; a single column may be given as a vector.
    columns = names if names is not None else getattr(features, "columns", None)
    matrix = _numbers(features, "features")
    if matrix.ndim == 1:
        matrix = matrix[:, np.newaxis]
    if matrix.ndim != 2 or not matrix.size:
        raise ConfigError.at(
            "argument features", f"has shape {matrix.shape}; give one row per observation and one column per feature"
        )
    # Targets: numbers, or texts in an array of any kind, such as the object arrays of pandas.
    labels = np.asarray(targets)
    is_text = labels.dtype.kind in "UO" and all(isinstance(label, str) for label in labels.ravel().tolist())
    labels = labels.astype(np.str_) if is_text else _numbers(targets, "targets")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != matrix.shape[:1]:
        raise ConfigError.at("argument targets", f"has shape {labels.shape} for {len(matrix):,} rows of features")
    words = [f"x{i + 1}" for i in range(matrix.shape[1])] if columns is None else [str(each) for each in columns]
    if len(words) != matrix.shape[1] or len({*words, TARGET}) != len(words) + 1:
        raise ConfigError.at("argument names", f"give {matrix.shape[1]} different names, none of them '{TARGET}'")
    # The hash makes the name of equal data equal, also in another process, and that of other data different.
    digest = hashlib.sha256(repr((words, matrix.shape, labels.dtype.str)).encode())
    digest.update(np.ascontiguousarray(matrix).tobytes())
    digest.update(np.ascontiguousarray(labels).tobytes())
    name = f"{PREFIX}{digest.hexdigest()[:12]}"
    features_by_name = {word: column.copy() for word, column in zip(words, matrix.T, strict=True)}
    _TABLES[name] = DataTable(place=name, columns={**features_by_name, TARGET: labels}, lines=None, target=TARGET)
    return name


def is_in_memory(name: str) -> bool:
    """Return whether a name is that of a table in memory."""
    return name in _TABLES


def table_of(name: str) -> DataTable:
    """Return the table with this name."""
    return _TABLES[name]


def _numbers(values: Any, argument: str) -> Any:
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError.at(f"argument {argument}", f"is not an array of numbers ({error})") from None
    if not np.isfinite(numbers).all():
        index = np.argwhere(~np.isfinite(numbers))[0].tolist()
        raise ConfigError.at(
            f"argument {argument}", f"has the value {numbers[tuple(index)]} at index {index}; remove or replace it"
        )
    return numbers
