"""From the options of a command to a convention: every problem at once, at the option where it can be mended."""

import math
import re
from collections.abc import Mapping
from typing import Any

from momentumlab.conventions.base import CONVENTIONS, Convention
from momentumlab.errors import ConfigError, Problem, UnknownNameError
from momentumlab.registry import Parameter

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
EVERY = "all"


def read_translation(
    source: str, target: str | None, given: Mapping[str, str | bool | None]
) -> tuple[Convention[Any], list[type[Convention[Any]]]]:
    """What to translate, and into which conventions.

    Parameters
    ----------
    source, target
        Their names; the target may be ``all`` or nothing, which is every other one.
    given
        By hyperparameter what the options say: text, a flag, or None where the default is meant.

    Raises
    ------
    ConfigError
        With every problem of the names and the hyperparameters.
    """
    problems: list[Problem] = []
    cls = _named("--from", source, problems)
    wanted = None if target in (None, EVERY) else _named("--to", str(target), problems)
    values: dict[str, Any] = {}
    if cls is not None:
        declared = {parameter.name: parameter for parameter in cls.parameters()}
        for name, value in given.items():
            if value is None or value is False:
                continue
            if name not in declared:
                message = f"{cls.name} has no {name}; it has {', '.join(declared)}"
                problems.append(Problem(place=f"--{name}", message=message))
            elif isinstance(value, str):
                number = _number(declared[name], value)
                values |= {name: number} if isinstance(number, float) else {}
                problems += [number] if isinstance(number, Problem) else []
            else:
                values[name] = value
    if cls is None or problems:
        raise ConfigError(problems)
    found = cls(**values)
    if refused := found.refused():
        raise ConfigError(refused)
    if wanted is not None:
        return found, [wanted]
    return found, [CONVENTIONS[name] for name in CONVENTIONS if name != cls.name]


def _named(place: str, name: str, problems: list[Problem]) -> type[Convention[Any]] | None:
    try:
        return CONVENTIONS[name]
    except UnknownNameError as error:
        problems.append(Problem(place=place, message=str(error)))
        return None


def _number(parameter: Parameter, text: str) -> float | Problem:
    """One number within the bounds of a parameter, or what is wrong with it."""
    place, text = f"--{parameter.name}", text.strip()
    if "," in text or "(" in text or "[" in text:
        return Problem(place=place, message=f"'{text}' is more than one value; translate takes one at a time")
    if not NUMBER.fullmatch(text):
        return Problem(place=place, message=f"'{text}' is not a number" if text else "is empty")
    value = float(text)
    if not math.isfinite(value):
        return Problem(place=place, message=f"{text} is not a finite number")
    within = (
        (parameter.gt is None or value > parameter.gt)
        and (parameter.ge is None or value >= parameter.ge)
        and (parameter.lt is None or value < parameter.lt)
        and (parameter.le is None or value <= parameter.le)
    )
    return value if within else Problem(place=place, message=f"{text} is outside of {parameter.bounds}")
