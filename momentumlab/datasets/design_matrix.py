"""Design matrices: select and validate the features and the target of a table."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from momentumlab.datasets import builtin
from momentumlab.datasets.data_table import MOST_BYTES, NUMBER, DataTable, Words, bad_file, raise_any
from momentumlab.errors import Problem
from momentumlab.noise import random_stream
from momentumlab.parameters import Array
from momentumlab.registry import did_you_mean

MOST_CLASSES = 1000

STREAM = 3
"""The purpose of the random stream that chooses held-out rows; see `random_stream`."""

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
    held_out
        The rows held out for validation; ``None`` if there are none.
    """

    features: Array
    targets: Array
    names: tuple[str, ...]
    classes: tuple[str, ...]
    held_out: "DesignMatrix | None" = None

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
    missing
        Treatment of missing values: ``error``, ``drop`` their rows, or replace them by the ``mean`` of the column.
    encode
        Treatment of columns of words: ``error``, or ``onehot`` for an indicator column per word.
    validation
        Fraction of the rows that are held out.
    """

    data: str
    target: str
    ignore: str
    standardise: bool
    intercept: bool
    outputs: str
    missing: str = "error"
    encode: str = "error"
    validation: float = 0.0


def design_matrix(options: DesignOptions) -> DesignMatrix:
    """Return the features and targets of a data set; a file is read again only if it has changed.

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
    target, chosen = _chosen(table, options)
    # Collect the problems of all columns before anything is computed, so that one attempt reports them all.
    problems: list[Problem] = []
    columns: dict[str, Array] = {}
    for name in chosen:
        columns |= _feature_columns(table, name, options, problems)
    is_missing = table.missing(target)
    if is_missing.any() and options.missing != "drop":
        remedy = "set 'missing: drop' to leave out such rows"
        table.add_problem(problems, target, np.flatnonzero(is_missing), f"the value is missing: {remedy}")
    numbers = table.numbers(target, problems) if options.outputs == "number" else None
    raise_any(problems, table.place)

    # Select the rows: those without a target cannot be used, those without a feature only if it is replaced.
    features = np.stack(list(columns.values()), axis=1)
    if options.missing == "drop":
        is_missing |= np.isnan(features).any(axis=1)
    kept = ~is_missing
    classes: tuple[str, ...] = ()
    if numbers is not None:
        targets = numbers[kept, np.newaxis]
    else:
        classes, targets = _coded(table, target, _labels(table.columns[target][kept]), options.outputs)
    features, names = features[kept], list(columns)
    if 8 * len(features) * (len(names) + 1 + targets.shape[1]) > MOST_BYTES:
        raise bad_file(
            table.place, f"{len(features):,} rows of {len(names):,} features exceed the limit of {MOST_BYTES:,} bytes"
        )
    if len(features) < 2:
        raise bad_file(table.place, f"only {len(features)} complete rows; at least two are required")

    # Means and deviations are computed from the training rows only; held-out rows must not affect them.
    training = _training_rows(len(features), options.validation, table.place)
    if np.isnan(features).any():
        means = np.nanmean(features[training], axis=0)
        features = np.where(np.isnan(features), means, features)
    if options.standardise:
        features = _standardised(features, training, names, table.place)
    if options.intercept:
        features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        names = [*names, "intercept"]
    with np.errstate(all="ignore"):
        if not np.isfinite(features.T @ features).all() or not np.isfinite(targets.T @ targets).all():
            raise bad_file(table.place, "squares of the numbers overflow: choose other units")

    def part(rows: NDArray[np.bool_], held_out: DesignMatrix | None) -> DesignMatrix:
        return DesignMatrix(
            features=np.ascontiguousarray(features[rows]),
            targets=targets[rows],
            names=tuple(names),
            classes=classes,
            held_out=held_out,
        )

    return part(training, None if training.all() else part(~training, None))


def _feature_columns(table: DataTable, name: str, options: DesignOptions, problems: list[Problem]) -> dict[str, Array]:
    """Return the features derived from a column, NaN where a value is missing."""
    missing = table.missing(name)
    if missing.any() and options.missing == "error":
        remedy = "set 'missing' to drop or mean"
        table.add_problem(problems, name, np.flatnonzero(missing), f"the value is missing: {remedy}")
    if not table.is_word_column(name):
        return {name: table.numbers(name, problems)}
    # A column of words becomes one indicator column per word, or is a problem.
    words = table.columns[name]
    if options.encode != "onehot":
        remedy = f"set 'encode: onehot' or 'ignore: {name}'"
        table.add_problem(problems, name, np.flatnonzero(~missing), f"'{words[~missing][0]}' is a word: {remedy}")
        return {}
    categories = np.unique(words[~missing]).tolist()
    if len(categories) > min(MOST_CLASSES, max(2, table.rows // 2)):
        message = f"{len(categories):,} different words in {table.rows:,} rows are too many: set 'ignore: {name}'"
        problems.append(Problem(place=table.place, message=f"column '{name}': {message}"))
        return {}
    return {f"{name}={word}": np.where(missing, np.nan, words == word) for word in categories}


def _training_rows(rows: int, validation: float, place: str) -> NDArray[np.bool_]:
    """Return which rows are not held out, ``(rows,)``. The choice is random but reproducible."""
    held_out = round(validation * rows)
    if validation and not 1 <= held_out <= rows - 2:
        message = f"{place}: {validation:g} of {rows} rows is {held_out}; hold out at least 1 and keep at least 2"
        raise bad_file("validation", message)
    training = np.ones(rows, dtype=bool)
    training[random_stream(0, 0, 0, STREAM).permutation(rows)[:held_out]] = False
    return training


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


def _labels(column: Array | Words) -> Words:
    """Return the class of each row as a word; equal numbers are one class, however they are written."""
    words = [str(value) for value in column.tolist()]
    if not all(NUMBER.fullmatch(word) for word in words):
        return np.array(words)
    return np.array([f"{float(word):g}" if float(f"{float(word):g}") == float(word) else word for word in words])


def _coded(table: DataTable, target: str, labels: Words, outputs: str) -> tuple[tuple[str, ...], Array]:
    """Return the classes in numerical or alphabetical order, and the encoded targets."""
    # Numbers in numerical order: 2 before 10.
    found = np.unique(labels).tolist()
    classes = sorted(found, key=float) if all(NUMBER.fullmatch(word) for word in found) else found
    if len(classes) == 1:
        raise bad_file(table.place, f"column '{target}': all rows have the class '{classes[0]}'")
    if outputs == "two" and len(classes) > 2:
        message = f"{table.place}: column '{target}' has {len(classes):,} classes, logistic supports two: use softmax"
        raise bad_file("target", message)
    # A class in nearly every row is a sign of a numeric target.
    if len(classes) > min(MOST_CLASSES, max(2, len(labels) // 2)):
        message = f"column '{target}' has {len(classes):,} different values in {len(labels):,} rows: too many classes"
        raise bad_file("target", f"{table.place}: {message}; use least_squares for numbers")
    codes = {label: code for code, label in enumerate(classes)}
    coded = np.array([codes[label] for label in labels.tolist()])
    if outputs == "two":
        return tuple(classes), coded[:, np.newaxis].astype(np.float64)
    return tuple(classes), np.eye(len(classes))[coded]


def _standardised(features: Array, training: NDArray[np.bool_], names: list[str], place: str) -> Array:
    """Scale each column to mean 0 and variance 1 in the training rows."""
    with np.errstate(all="ignore"):
        sizes = np.abs(features).max(axis=0)
        scaled = features / np.where(sizes > 0, sizes, 1.0)  # prevents an overflow of squares
        centred = scaled - scaled[training].mean(axis=0)
        deviations = np.sqrt((centred[training] * centred[training]).mean(axis=0))
    constant = [name for name, deviation in zip(names, deviations.tolist(), strict=True) if not deviation > CONSTANT]
    if constant:
        columns = f"column '{constant[0]}' is" if len(constant) == 1 else f"columns {_listed(constant)} are"
        remedy = ", ".join(constant) if len(constant) <= 12 else "…"
        raise bad_file(place, f"{columns} constant and cannot be standardised: write 'ignore: \"{remedy}\"'")
    return np.asarray(centred / deviations)
