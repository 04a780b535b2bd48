"""Design matrices: features and targets selected from a table, and checked."""

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
"""A column that varies by no more than this share of its size is constant but for rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignMatrix:
    """A problem's data.

    Attributes
    ----------
    features
        ``(rows, features)``; the last column is ones where there is an intercept.
    targets
        Numbers ``(rows, 1)``; of two classes 0 and 1, too, and of more (or where so asked) a column for each class,
        which has a one in its rows.
    names
        Of the features.
    classes
        The labels, in the order of their columns; none where the target is a number.
    """

    features: Array
    targets: Array
    names: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.features)


@dataclass(frozen=True, kw_only=True)
class DesignOptions:
    """Choice of a data set and its preparation.

    Attributes
    ----------
    data
        A set of the package, or the path of a file.
    target
        The target column; empty for the default of the data set, in a file the last column.
    ignore
        Columns to leave out, separated by commas.
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
        With everything that is wrong. A problem with a setting has the setting's name for its place, one with the file
        its path and line.
    """
    try:
        status = None if builtin.is_built_in(options.data) else Path(options.data).stat()
    except (OSError, ValueError):  # told when it is read
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
            table.place, f"{table.rows:,} rows of {len(names):,} features are more than {MOST_BYTES:,} bytes"
        )
    if table.rows < 2:
        raise bad_file(table.place, "there is one row: nothing can be learned from it")
    features = np.stack(columns, axis=1)
    if options.standardise:
        features = _standardised(features, names, table.place)
    if options.intercept:
        features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        names = [*names, "intercept"]
    with np.errstate(all="ignore"):
        if not np.isfinite(features.T @ features).all() or not np.isfinite(targets.T @ targets).all():
            raise bad_file(table.place, "the numbers are so large that their squares overflow: choose other units")
    return DesignMatrix(features=np.ascontiguousarray(features), targets=targets, names=tuple(names), classes=classes)


def _chosen(table: DataTable, options: DesignOptions) -> tuple[str, list[str]]:
    """The target and the features."""
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
    """The class of each row, as a word; numbers that are equal are the same class however they are written."""
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
    """The classes, numbers in their order and words by the alphabet, and what each row is of them."""
    found = np.unique(labels).tolist()
    classes = sorted(found, key=float) if all(NUMBER.fullmatch(word) for word in found) else found
    if len(classes) == 1:
        raise bad_file(table.place, f"column '{target}': all rows are of one class, '{classes[0]}'")
    if outputs == "two" and len(classes) > 2:
        message = (
            f"{table.place}: column '{target}' has {len(classes):,} classes, logistic tells two apart; take softmax"
        )
        raise bad_file("target", message)
    if len(classes) > min(MOST_CLASSES, max(2, table.rows // 2)):
        message = (
            f"column '{target}' has {len(classes):,} different values in {table.rows:,} rows: these are no classes"
        )
        raise bad_file("target", f"{table.place}: {message}; use least_squares for numbers")
    codes = {label: code for code, label in enumerate(classes)}
    coded = np.array([codes[label] for label in labels.tolist()])
    if outputs == "two":
        return tuple(classes), coded[:, np.newaxis].astype(np.float64)
    return tuple(classes), np.eye(len(classes))[coded]


def _standardised(features: Array, names: list[str], place: str) -> Array:
    """Each column less its mean, over its standard deviation."""
    with np.errstate(all="ignore"):
        sizes = np.abs(features).max(axis=0)
        scaled = features / np.where(sizes > 0, sizes, 1.0)  # no square of what a file may hold overflows so
        centred = scaled - scaled.mean(axis=0)
        deviations = np.sqrt((centred * centred).mean(axis=0))
    constant = [name for name, deviation in zip(names, deviations.tolist(), strict=True) if not deviation > CONSTANT]
    if constant:
        told = f"column '{constant[0]}' is" if len(constant) == 1 else f"columns {_listed(constant)} are"
        remedy = ", ".join(constant) if len(constant) <= 12 else "…"
        raise bad_file(place, f"{told} the same in every row, and cannot be standardised: write 'ignore: \"{remedy}\"'")
    return np.asarray(centred / deviations)
