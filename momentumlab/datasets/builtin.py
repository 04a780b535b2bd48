"""The sets of data that can be named by a word: tables that come with the package, and moons that it makes."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from momentumlab.datasets.data_table import DataTable, bad_file, read

FOLDER = Path(__file__).parent / "files"

MOST_ROWS = 10**6
CALL = re.compile(r"\s*([a-z_]+)\s*(?:\((.*)\))?\s*")


@dataclass(frozen=True, kw_only=True)
class BundledTable:
    """A table that comes with the package.

    Attributes
    ----------
    label
        The column of classes.
    number
        The column that is the target where numbers are to be foretold; the classes are left out, then.
    """

    label: str
    number: str


BUNDLED = {
    "iris": BundledTable(label="species", number="petal_width"),
    "wine": BundledTable(label="cultivar", number="alcohol"),
    "digits": BundledTable(label="digit", number="digit"),
}


def two_moons(n: float = 200, noise: float = 0.2, seed: float = 0) -> DataTable:
    """Two half circles, one around the end of the other: classes that no straight line parts.

    Parameters
    ----------
    n
        The number of points, half of them (rounded down) on the moon above.
    noise
        The standard deviation of what is added to each coordinate.
    seed
        The same gives the same points.
    """
    above = int(n) // 2
    below = int(n) - above
    upper, lower = (np.linspace(0, math.pi, count) for count in (above, below))
    x = np.concatenate([np.cos(upper), 1 - np.cos(lower)])
    y = np.concatenate([np.sin(upper), 0.5 - np.sin(lower)])
    x, y = np.stack([x, y]) + noise * np.random.default_rng(int(seed)).standard_normal((2, int(n)))
    moons = np.array(["upper"] * above + ["lower"] * below)
    return DataTable(place="two_moons", columns={"x": x, "y": y, "moon": moons}, lines=None, target="moon")


GENERATORS: dict[str, Callable[..., DataTable]] = {"two_moons": two_moons}

BUILT_IN = (*GENERATORS, *BUNDLED)


def is_built_in(data: str) -> bool:
    """Whether a text names a set of the package, and no file."""
    match = CALL.fullmatch(data)
    return match is not None and (match[1] in GENERATORS or data.strip() in BUNDLED)


def load(data: str, *, numeric: bool) -> DataTable:
    """The table that a text names: a set of the package, or a file.

    Parameters
    ----------
    data
        ``iris``, ``two_moons(500, noise=0.1)`` or a path.
    numeric
        Whether numbers are to be foretold, and not classes.

    Raises
    ------
    ConfigError
        If there is no such set or file, or it is no table.
    """
    if not is_built_in(data):
        return read(data)
    match = CALL.fullmatch(data)
    if match is not None and match[1] in GENERATORS:
        return GENERATORS[match[1]](**_arguments(GENERATORS[match[1]], match[2] or "", data))
    name = data.strip()
    table, bundled = read(str(FOLDER / f"{name}.csv")), BUNDLED[name]
    if not numeric or bundled.number == bundled.label:
        return DataTable(place=name, columns=table.columns, lines=None, target=bundled.label)
    columns = {key: column for key, column in table.columns.items() if key != bundled.label}
    return DataTable(place=name, columns=columns, lines=None, target=bundled.number)


def _arguments(make: Callable[..., DataTable], text: str, data: str) -> dict[str, float]:
    """The arguments of a call such as ``500, noise=0.1``, checked."""
    names = list(inspect.signature(make).parameters)
    arguments: dict[str, float] = {}
    for i, item in enumerate(text.split(",") if text.strip() else []):
        key, equals, value = item.rpartition("=")
        name = key.strip() if equals else names[i] if i < len(names) else ""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if name not in names or name in arguments or not math.isfinite(number):
            spelling = ", ".join(f"{name}={parameter.default:g}" for name, parameter in _defaults(make))
            raise bad_file("data", f"'{data}': '{item.strip()}' is not understood; write {make.__name__}({spelling})")
        arguments[name] = number
    _check_range(arguments, "n", 4, MOST_ROWS, whole=True)
    _check_range(arguments, "noise", 0, 100, whole=False)
    _check_range(arguments, "seed", 0, 2**53, whole=True)
    return arguments


def _defaults(make: Callable[..., DataTable]) -> list[tuple[str, inspect.Parameter]]:
    return list(inspect.signature(make).parameters.items())


def _check_range(arguments: dict[str, float], name: str, low: float, high: float, *, whole: bool) -> None:
    value = arguments.get(name, low)
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise bad_file("data", f"{name} is {kind} from {low:g} to {high:,}, not {value:g}")
