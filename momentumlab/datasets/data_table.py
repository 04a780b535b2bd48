"""Read data files into tables: CSV here, NPZ in `npz_files`. Messages name the line."""

import csv
import io
import math
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import ConfigError, Problem, os_reason, printable
from momentumlab.parameters import Array

MOST_BYTES = 2**28
"""Size limit of a file and of a table in memory: 256 MiB."""

MOST_PROBLEMS = 10
"""Number of problems reported per file."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
NAMELESS = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)
MISSING = ("", "?", "-", "na", "n/a", "nan", "null", "none")
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+", re.ASCII)

Words = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True, eq=False)
class DataTable:
    """Columns of equal length, in the order of the file.

    Attributes
    ----------
    place
        Name of the table in messages: the path of its file.
    columns
        Numbers ``(rows,)``, or words ``(rows,)`` as written in a text file.
    lines
        Line of each row in a text file, ``(rows,)``; ``None`` for other files.
    target
        The default target column.
    """

    place: str
    columns: dict[str, Array | Words]
    lines: NDArray[np.int64] | None
    target: str

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    def place_of(self, row: int) -> str:
        """Return the file and line of a row, for messages."""
        return f"{self.place}:{self.lines[row]}" if self.lines is not None else f"{self.place}: row {row}"

    def is_word_column(self, name: str) -> bool:
        """Whether a column contains words and no numbers."""
        column = self.columns[name]
        if column.dtype.kind != "U":
            return False
        values = [word for word in column.tolist() if not is_missing(word)]
        return bool(values) and not any(NUMBER.fullmatch(word) or NAMELESS.fullmatch(word) for word in values)

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return in which rows the value of a column is missing, ``(rows,)``."""
        column = self.columns[name]
        if column.dtype.kind == "U":
            return np.array([is_missing(word) for word in column.tolist()])
        return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)

    def numbers(self, name: str, problems: list[Problem]) -> Array:
        """Return a column as numbers, NaN where a value is missing; other words are added to ``problems``."""
        column, missing = self.columns[name], self.missing(name)
        if column.dtype.kind != "U":
            numbers: Array = column.astype(np.float64)
        else:
            words = column.tolist()
            numbers = np.array([float(word) if NUMBER.fullmatch(word) else math.nan for word in words])
        bad = np.flatnonzero(~np.isfinite(numbers) & ~missing)
        if bad.size:
            self.add_problem(problems, name, bad, complaint(str(column[bad[0]])))
        return numbers

    def add_problem(self, problems: list[Problem], name: str, rows: NDArray[np.intp], message: str) -> None:
        """Add a problem of a column that occurs in several rows, with the place of the first one."""
        others = f"; {len(rows):,} rows have such values" if len(rows) > 1 else ""
        problems.append(Problem(place=self.place_of(int(rows[0])), message=f"column '{name}': {message}{others}"))


def is_missing(word: str) -> bool:
    """Return whether a word of a text file stands for a missing value."""
    return word.lower() in MISSING


def complaint(word: str) -> str:
    """Explain why a value is not a finite number."""
    quoted = f"'{word}'" if len(word) <= 30 else f"'{word[:27]}...'"
    if NAMELESS.fullmatch(word) or NUMBER.fullmatch(word):
        return f"{quoted} is not a finite number"
    if DECIMAL_COMMA.fullmatch(word):
        return f"{quoted} is not a number: write {word.replace(',', '.')}"
    return f"{quoted} is not a number"


def bad_file(place: str, message: str) -> ConfigError:
    """Return the error of a file with a single problem."""
    return ConfigError.at(printable(place), printable(message))


def raise_any(problems: Sequence[Problem], place: str) -> None:
    """Raise an error if there are problems, with the first ones and the number of the others."""
    if not problems:
        return
    reported = list(problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        reported.append(
            Problem(place=place, message=f"and {len(problems) - MOST_PROBLEMS:,} more problems of this kind")
        )
    raise ConfigError([Problem(place=printable(each.place), message=printable(each.message)) for each in reported])


def read(path: str) -> DataTable:
    """Read a data file.

    Raises
    ------
    ConfigError
        If it cannot be read, is too large, or is not a table. A missing file is a problem of the setting ``data``.
    """
    content = _content(path)
    if content.startswith(b"PK"):
        from momentumlab.datasets.npz_files import parse_npz

        return parse_npz(content, path)
    if content.startswith(b"\x93NUMPY"):
        raise bad_file(path, "an NPY file has no named columns: use np.savez(path, X=features, y=target)")
    return parse_csv(_text(content, path), path)


def _content(path: str) -> bytes:
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
            raise bad_file("data", f"{path} is not a regular file")
        if status.st_size > MOST_BYTES:
            raise bad_file(path, f"{status.st_size:,} bytes are more than the limit of {MOST_BYTES:,}")
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES)
    except OSError as error:
        raise bad_file("data", f"{path}: {os_reason(error)}") from None
    except ValueError as error:  # a NUL in the path
        raise bad_file("data", f"{path!r}: {error}") from None
    if not content.strip():
        raise bad_file(path, "the file is empty")
    return content


def _text(content: bytes, path: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise bad_file(f"{path}:1", "the file is UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise bad_file(f"{path}:{line}", f"byte {error.start} is not UTF-8: save the file as UTF-8") from None


def parse_csv(text: str, place: str) -> DataTable:
    """Read a table whose first line names the columns. The separator is detected from that line.

    Raises
    ------
    ConfigError
        If a line has the wrong number of values; with up to `MOST_PROBLEMS` such lines.
    """
    # The separator is the one that splits the first line into the most columns.
    separator = max(SEPARATORS, key=lambda each: len(next(_numbered(text, each, place))[1]))
    # Read all rows before reporting, so that one attempt shows every bad line.
    lines, rows, problems = [], [], []
    numbered = _numbered(text, separator, place)
    line, names = next(numbered)
    names = [name.strip() for name in names]
    _check_names(names, f"{place}:{line}")
    for line, row in numbered:
        if len(row) != len(names):
            noun = "value" if len(row) == 1 else "values"
            message = f"{len(row)} {noun}, but line 1 names {len(names)} columns"
            problems.append(Problem(place=f"{place}:{line}", message=message))
            continue
        lines.append(line)
        rows.append([word.strip() for word in row])
    raise_any(problems, place)
    if not rows:
        raise bad_file(place, "the file has column names but no rows")
    # NumPy stores every word of a column with the width of the longest one, 4 bytes per character.
    longest = max(len(word) for row in rows for word in row)
    if 4 * longest * len(rows) > MOST_BYTES:
        raise bad_file(place, f"a value of {longest:,} characters is too long")
    columns: dict[str, Array | Words] = {
        name: np.array(each) for name, each in zip(names, zip(*rows, strict=True), strict=True)
    }
    return DataTable(place=place, columns=columns, lines=np.array(lines), target=names[-1])


def _numbered(text: str, separator: str, place: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the nonblank rows, each with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        begun = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "a quotation mark is not closed" if "unexpected end" in str(error) else str(error)
            raise bad_file(f"{place}:{begun}", reason) from None
        if any(word.strip() for word in row):
            yield reader.line_num, row


def _check_names(names: list[str], place: str) -> None:
    """Check that the first line has a unique name for each column."""
    if all(NUMBER.fullmatch(name) for name in names):
        raise bad_file(place, "the first line must name the columns, but has only numbers")
    problems = []
    for i, name in enumerate(names):
        if not name:
            problems.append(Problem(place=place, message=f"column {i + 1} has no name"))
        elif name in names[:i]:
            problems.append(Problem(place=place, message=f"two columns are called '{name}'"))
    if len(names) == 1:
        separators = " or ".join(SEPARATORS.values())
        problems.append(Problem(place=place, message=f"only one column; separate columns by {separators}"))
    raise_any(problems, place)
