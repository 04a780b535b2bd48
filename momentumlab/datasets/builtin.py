"""The bundled and generated data sets, by name."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from momentumlab.calls import CallError, NamedCall, as_call, build, parse
from momentumlab.datasets.data_table import DataTable, bad_file, read
from momentumlab.datasets.in_memory import is_in_memory, table_of
from momentumlab.parameters import parameter
from momentumlab.registry import Registry

FOLDER = Path(__file__).parent / "files"

MAX_ROWS = 10**6


class DataSet(NamedCall, ABC):
    """A built-in data set."""

    source: ClassVar[str]

    @abstractmethod
    def table(self, *, numeric: bool) -> DataTable:
        """Return the table; ``numeric`` requests a numeric target instead of classes."""


DATA_SETS: Registry[DataSet] = Registry("data set", listed_as="data", required=("source",))

data_set = DATA_SETS.entry
"""Register the decorated class as a data set: ``@data_set("iris")``."""


@data_set("two_moons")
@dataclass(frozen=True, kw_only=True)
class TwoMoons(DataSet):
    """Two interleaved half circles: two classes that are not linearly separable."""

    n: int = parameter(200, ge=4, le=MAX_ROWS, doc="number of points; half of them, rounded down, in the upper moon")
    noise: float = parameter(0.2, ge=0, le=100, doc="standard deviation added to each coordinate")
    seed: int = parameter(0, ge=0, le=2**53, doc="random seed")

    source = "scikit-learn, make_moons"

    def table(self, *, numeric: bool) -> DataTable:
        """Return the points and their moons."""
        above = self.n // 2
        below = self.n - above
        upper, lower = (np.linspace(0, math.pi, count) for count in (above, below))
        x = np.concatenate([np.cos(upper), 1 - np.cos(lower)])
        y = np.concatenate([np.sin(upper), 0.5 - np.sin(lower)])
        x, y = np.stack([x, y]) + self.noise * np.random.default_rng(self.seed).standard_normal((2, self.n))
        moons = np.array(["upper"] * above + ["lower"] * below)
        return DataTable(place="two_moons", columns={"x": x, "y": y, "moon": moons}, lines=None, target="moon")


class BundledTable(DataSet):
    """A bundled table.

    Attributes
    ----------
    label
        The column of classes.
    number
        The target column if a numeric target is requested; the classes are then left out.
    """

    label: ClassVar[str]
    number: ClassVar[str]

    def table(self, *, numeric: bool) -> DataTable:
        """Return the table with its classes or its numeric column as the target."""
        table = read(str(FOLDER / f"{self.name}.csv"))
        if not numeric or self.number == self.label:
            return DataTable(place=self.name, columns=table.columns, lines=None, target=self.label)
        columns = {key: column for key, column in table.columns.items() if key != self.label}
        return DataTable(place=self.name, columns=columns, lines=None, target=self.number)


@data_set("iris")
@dataclass(frozen=True, kw_only=True)
class Iris(BundledTable):
    """150 flowers of three species, four measurements each."""

    label, number = "species", "petal_width"
    source = "R. A. Fisher (1936), The use of multiple measurements in taxonomic problems"


@data_set("wine")
@dataclass(frozen=True, kw_only=True)
class Wine(BundledTable):
    """178 wines of three cultivars, 13 chemical measurements each."""

    label, number = "cultivar", "alcohol"
    source = "M. Forina et al. (1991), UCI Machine Learning Repository"


@data_set("digits")
@dataclass(frozen=True, kw_only=True)
class Digits(BundledTable):
    """360 handwritten digits of 8 × 8 pixels."""

    label, number = "digit", "digit"
    source = "E. Alpaydin & C. Kaynak (1998), UCI Machine Learning Repository"


BUILT_IN = tuple(DATA_SETS)


def is_built_in(data: str) -> bool:
    """Whether a text names one of these data sets and not a file."""
    if is_in_memory(data):
        return True
    return data.partition("(")[0].strip() in DATA_SETS and "/" not in data.partition("(")[0]


def load(data: str, *, numeric: bool) -> DataTable:
    """Return the table that a text names: a built-in data set, or a file.

    Parameters
    ----------
    data
        ``iris``, ``two_moons(500, noise=0.1)`` or a path.
    numeric
        Whether the target must be numeric.

    Raises
    ------
    ConfigError
        If the call is invalid, the file does not exist or is not a table.
    """
    if is_in_memory(data):
        return table_of(data)
    if not is_built_in(data):
        return read(data)
    try:
        written = parse(data)
        call = as_call(written)
        if call is None:
            raise CallError(f"'{data}' is not a data set", 0)
        found: DataSet = build(call, DATA_SETS)
    except CallError as error:
        raise bad_file("data", str(error)) from None
    return found.table(numeric=numeric)
