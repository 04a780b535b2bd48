"""Design matrices: select and validate the features and the target of a table."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from momentumlab.datasets import builtin
from momentumlab.datasets.data_table import MOST_BYTES, NUMBER, DataTable, Words, bad_file, complaint, raise_any
from momentumlab.errors import Problem
from momentumlab.registry import Array, did_you_mean

MOST_CLASSES = 1000

CONSTANT = 1e-13
"""Standard deviation relative to the largest value below which a column counts as constant."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignMatrix:
    """Features and targets.

    Attributes
    ----------
    features
        ``(rows, features)``; with an intercept, the last column is ones.
    targets
        Numbers, ``(rows, 1)``; for ``two`` classes 0 and 1, ``(rows, 1)``; otherwise one-hot, ``(rows, classes)``.
    names
        Names of the features.
    classes
        Class labels in the order of their codes; empty if the target is numeric.
    """

    features: Array
    targets: Array
    names: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.features)


@dataclass(frozen=True, kw_only=True)
class DesignOptions:
    """Choice of a data set and its preparation.

    Attributes
    ----------
    data
        A built-in data set, or the path of a file.
    target
        The target column; empty for the default of the data set or file.
    ignore
        Columns to ignore, separated by commas.
    standardise
        Whether to scale each feature to mean 0 and variance 1.
    intercept
        Whether to add a constant feature of 1.
    outputs
        ``number``, ``two`` classes in one column, or ``classes`` with a column for each.
    """

    data: str
    target: str
    ignore: str
    standardise: bool
    intercept: bool
    outputs: str


def design_matrix(options: DesignOptions) -> DesignMatrix:
    """Return the data of a problem; a file is read again only if it has changed.

    Raises
    ------
    ConfigError
        With all problems. The place is the name of a setting, or the path and line of the file.
    """
    try:
        status = None if builtin.is_built_in(options.data) else Path(options.data).stat()
    except (OSError, ValueError):  # reported by the reader
        status = None
    return _design_matrix(options, None if status is None else (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=16)
def _design_matrix(options: DesignOptions, file_state: tuple[int, int] | None) -> DesignMatrix:
    table = builtin.load(options.data, numeric=options.outputs == "number")
    target, names = _chosen(table, options)
    problems: list[Problem] = []
    columns = [table.numbers(name, problems) for name in names]
    classes: tuple[str, ...] = ()
    if options.outputs == "number":
        targets = table.numbers(target, problems)[:, np.newaxis]
    else:
        labels = _labels(table, target, problems)
        raise_any(problems, table.place)
        classes, targets = _coded(table, target, labels, options.outputs)
    raise_any(problems, table.place)
    if 8 * table.rows * (len(names) + 1 + targets.shape[1]) > MOST_BYTES:
        raise bad_file(
            table.place, f"{table.rows:,} rows of {len(names):,} features exceed the limit of {MOST_BYTES:,} bytes"
        )
    if table.rows < 2:
        raise bad_file(table.place, "only one row; at least two are required")
    features = np.stack(columns, axis=1)
    if options.standardise:
        features = _standardised(features, names, table.place)
    if options.intercept:
        features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        names = [*names, "intercept"]
    with np.errstate(all="ignore"):
        if not np.isfinite(features.T @ features).all() or not np.isfinite(targets.T @ targets).all():
            raise bad_file(table.place, "squares of the numbers overflow: choose other units")
    return DesignMatrix(features=np.ascontiguousarray(features), targets=targets, names=tuple(names), classes=classes)


def _chosen(table: DataTable, options: DesignOptions) -> tuple[str, list[str]]:
    """Return the names of the target and of the features."""
    problems = []
    ignored = [name.strip() for name in options.ignore.split(",") if name.strip()]
    target = options.target.strip() or table.target
    for setting, name in [("target", target), *(("ignore", name) for name in ignored)]:
        if name not in table.columns:
            hint = did_you_mean(name, table.columns) or f"; it has {_listed(list(table.columns))}"
            problems.append(Problem(place=setting, message=f"{table.place} has no column '{name}'{hint}"))
    if target in ignored:
        problems.append(Problem(place="ignore", message=f"'{target}' is the target"))
    names = [name for name in table.columns if name != target and name not in ignored]
    if not names and not problems:
        problems.append(Problem(place="ignore", message="no feature columns are left"))
    raise_any(problems, table.place)
    return target, names


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])} and {len(names) - 10} more"


def _labels(table: DataTable, target: str, problems: list[Problem]) -> Words:
    """Return the class of each row as a word; equal numbers are one class, however they are written."""
    column = table.columns[target]
    if column.dtype.kind != "U":
        numbers = table.numbers(target, problems)
        return np.array(
            [f"{number:g}" if number == float(f"{number:g}") else repr(number) for number in numbers.tolist()]
        )
    for row, word in enumerate(column.tolist()):
        if "missing" in complaint(word) and not NUMBER.fullmatch(word):
            message = f"column '{target}': {complaint(word)}"
            problems.append(Problem(place=table.place_of(row), message=message))
    if all(NUMBER.fullmatch(word) for word in column.tolist()):
        return np.array(
            [f"{float(word):g}" if float(f"{float(word):g}") == float(word) else word for word in column.tolist()]
        )
    return column.astype(np.str_)


def _coded(table: DataTable, target: str, labels: Words, outputs: str) -> tuple[tuple[str, ...], Array]:
    """Return the classes in numerical or alphabetical order, and the encoded targets."""
    found = np.unique(labels).tolist()
    classes = sorted(found, key=float) if all(NUMBER.fullmatch(word) for word in found) else found
    if len(classes) == 1:
        raise bad_file(table.place, f"column '{target}': all rows have the class '{classes[0]}'")
    if outputs == "two" and len(classes) > 2:
        message = f"{table.place}: column '{target}' has {len(classes):,} classes, logistic supports two: use softmax"
        raise bad_file("target", message)
    if len(classes) > min(MOST_CLASSES, max(2, table.rows // 2)):
        message = f"column '{target}' has {len(classes):,} different values in {table.rows:,} rows: too many classes"
        raise bad_file("target", f"{table.place}: {message}; use least_squares for numbers")
    codes = {label: code for code, label in enumerate(classes)}
    coded = np.array([codes[label] for label in labels.tolist()])
    if outputs == "two":
        return tuple(classes), coded[:, np.newaxis].astype(np.float64)
    return tuple(classes), np.eye(len(classes))[coded]


def _standardised(features: Array, names: list[str], place: str) -> Array:
    """Scale each column to mean 0 and variance 1."""
    with np.errstate(all="ignore"):
        sizes = np.abs(features).max(axis=0)
        scaled = features / np.where(sizes > 0, sizes, 1.0)  # so that squares cannot overflow
        centred = scaled - scaled.mean(axis=0)
        deviations = np.sqrt((centred * centred).mean(axis=0))
    constant = [name for name, deviation in zip(names, deviations.tolist(), strict=True) if not deviation > CONSTANT]
    if constant:
        columns = f"column '{constant[0]}' is" if len(constant) == 1 else f"columns {_listed(constant)} are"
        remedy = ", ".join(constant) if len(constant) <= 12 else "…"
        raise bad_file(place, f"{columns} constant and cannot be standardised: write 'ignore: \"{remedy}\"'")
    return np.asarray(centred / deviations)
