"""The small language of settings, in YAML and on the command line: ``linspace(0, 0.99, 100)``, ``grid(50, 50)``."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from momentumlab.config.schedules import called_name, schedules_hint
from momentumlab.config.tree import read_scalar
from momentumlab.experiment import Grid, Random, Starts
from momentumlab.registry import Array, Parameter

MAX_VALUES = 1_000_000
"""The most values that one axis may have."""

MAX_SEED = 2**63
MAX_DIMENSION = 10_000

CALL = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*\(([^()]*)\)\s*")


@dataclass(frozen=True, kw_only=True)
class Call:
    """``name(positional, …, key=named, …)`` with numbers for arguments."""

    name: str
    positional: tuple[float, ...]
    named: Mapping[str, float]


def parse_call(text: str) -> Call | None:
    """Read a call; ``None`` if the text does not look like one.

    Raises
    ------
    ValueError
        If it is a call, but its arguments are not numbers.
    """
    match = CALL.fullmatch(text)
    if match is None:
        return None
    name, inside = match.groups()
    positional: list[float] = []
    named: dict[str, float] = {}
    for argument in filter(None, map(str.strip, inside.split(","))):
        key, equals, word = argument.rpartition("=")
        value = read_scalar(word.strip())
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"'{argument}' is not a number that {name}() takes")
        if equals:
            named[key.strip()] = value
        elif named:
            raise ValueError(f"in {name}() the argument {argument} follows a named one")
        else:
            positional.append(value)
    return Call(name=name, positional=tuple(positional), named=named)


def bind(call: Call, names: tuple[str, ...], defaults: Mapping[str, float] | None = None) -> list[float]:
    """The arguments of a call in the order of ``names``.

    Raises
    ------
    ValueError
        If one is missing, unknown or given twice.
    """
    usage = f"{call.name}({', '.join(names)})"
    if len(call.positional) > len(names):
        raise ValueError(f"{usage} takes {len(names)} arguments, not {len(call.positional)}")
    given = dict(zip(names, call.positional, strict=False))
    for key, value in call.named.items():
        if key not in names or key in given:
            raise ValueError(f"{usage} {'has two values for' if key in given else 'has no argument'} '{key}'")
        given[key] = value
    given = {**(defaults or {}), **given}
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"{usage} lacks {' and '.join(missing)}")
    return [given[name] for name in names]


def whole(value: float, name: str, least: int, most: int = MAX_VALUES) -> int:
    """A whole number.

    Raises
    ------
    ValueError
        If the number is not whole, or below ``least``, or above ``most``.
    """
    if value != int(value) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value:g}")
    if value > most != MAX_VALUES:
        raise ValueError(f"{name} must be at most {most:,}, not {int(value):,}")
    if value > most:
        raise ValueError(f"{int(value):,} values are more than the limit of {MAX_VALUES:,}")
    return int(value)


def _linspace(call: Call) -> Array:
    start, stop, count = map(float, bind(call, ("start", "stop", "count")))  # NumPy has no logarithm of a long integer
    return np.linspace(start, stop, whole(count, "count", 1))


def _geomspace(call: Call) -> Array:
    start, stop, count = map(float, bind(call, ("start", "stop", "count")))  # NumPy has no logarithm of a long integer
    if start <= 0 or stop <= 0:
        raise ValueError("geomspace needs a start and a stop above 0")
    return np.geomspace(start, stop, whole(count, "count", 1))


def _arange(call: Call) -> Array:
    start, stop, step = map(float, bind(call, ("start", "stop", "step")))
    steps = (stop - start) / step if step else math.nan
    if not 0 < steps < math.inf:
        raise ValueError(f"a step of {step:g} never leads from {start:g} to {stop:g}")
    count = whole(float(math.ceil(steps)), "count", 1)
    values: Array = start + step * np.arange(count, dtype=np.float64)
    return values


def _looks_like_a_list(text: str) -> bool:
    words = text.replace(",", " ").split()
    return len(words) > 1 and all(isinstance(read_scalar(word), (int, float)) for word in words)


AXES: dict[str, Callable[[Call], Array]] = {"linspace": _linspace, "geomspace": _geomspace, "arange": _arange}


def axis_values(text: str) -> list[float]:
    """The values of an axis that is spelled as a call.

    Raises
    ------
    ValueError
        If the text is no such call, with what is wrong.
    """
    name = called_name(text)
    if name is not None and name not in AXES:
        hint = schedules_hint(name, AXES)
        remedy = "'momentumlab list schedules' shows all schedules"
        raise ValueError(f"there is no {name}(){hint}; an axis is {', '.join(AXES)} or a list; {remedy}")
    call = parse_call(text)
    if call is None:
        hint = f"; a list is written [{', '.join(text.replace(',', ' ').split())}]" if _looks_like_a_list(text) else ""
        raise ValueError(f"'{text}' is not a number{hint}")
    with np.errstate(all="ignore"):  # what overflows is refused later, as not finite
        values: list[float] = AXES[call.name](call).tolist()
    return values


TUNED_RATES = (1e-4, 10.0)
"""Where the search for a learning rate begins: evenly spaced in its logarithm."""

TUNED_SHARES = (0.0, 0.99)
"""Where the search for a hyperparameter between 0 and 1 begins: evenly spaced in the logarithm of 1 − β."""


def is_tuned(value: object) -> bool:
    """Whether a value is the word ``tuned``, or ``tuned(low, high)``."""
    return isinstance(value, str) and re.fullmatch(r"\s*tuned\s*(\(.*\))?\s*", value) is not None


def tuned_values(text: str, parameter: Parameter, count: int) -> tuple[list[float], str]:
    """The values with which the search for a parameter begins, and how that is spelled in full.

    Raises
    ------
    ValueError
        If the parameter is not one that can be searched, or the range is not one.
    """
    is_share = (parameter.ge, parameter.lt) == (0, 1)
    if parameter.name != "lr" and not is_share:
        raise ValueError("only lr and what lies between 0 and 1 can be tuned; write the values to try, as in [0, 0.01]")
    low, high = default = TUNED_SHARES if is_share else TUNED_RATES
    call = parse_call(text)
    if call is not None:
        low, high = map(float, bind(call, ("low", "high")))
    elif "(" in text:
        raise ValueError(f"'{text}' is not tuned(low, high)")
    lowest, highest = (0, 1) if is_share else (1e-50, 1e50)
    if not (lowest <= low < high < highest):
        bounds = "0 ≤ low < high < 1" if is_share else "1e-50 ≤ low < high < 1e50"
        raise ValueError(f"tuned(low, high) needs {bounds}, such as tuned({default[0]:g}, {default[1]:g})")
    left, right = (1 - low, 1 - high) if is_share else (low, high)
    line = np.geomspace(left, right, count) if count > 1 else np.array([math.sqrt(left * right)])
    values: list[float] = (1 - line if is_share else line).tolist()
    return values, f"tuned({low!r}, {high!r})"


def starts(text: str, default_dimension: int) -> Starts:
    """Starts that are spelled as a call.

    Raises
    ------
    ValueError
        If the text is no such call, with what is wrong.
    """
    call = parse_call(text)
    if call is None or call.name not in ("grid", "random"):
        raise ValueError(f"'{text}' is no start; write [x, y], a list of such points, grid(50, 50) or random(32)")
    if call.name == "random":
        defaults = {"seed": 0.0, "dimension": float(default_dimension)}
        count, seed, dimension = bind(call, ("count", "seed", "dimension"), defaults)
        return Random(
            count=whole(count, "count", 1),
            seed=whole(seed, "seed", 0, MAX_SEED),
            dimension=whole(dimension, "dimension", 1, MAX_DIMENSION),
        )
    if call.named or not call.positional:
        raise ValueError("grid() takes a count for each coordinate, as grid(50, 50)")
    return Grid(counts=tuple(whole(count, "a count", 1) for count in call.positional))
