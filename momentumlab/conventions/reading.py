"""Read a convention and its hyperparameters from names and texts, and report every problem at its option."""

from collections.abc import Callable, Mapping
from typing import Any

from momentumlab.calls import Call, CallError, parse
from momentumlab.conventions.adam_forms import AdaptiveConvention
from momentumlab.conventions.base import CONVENTIONS, Convention
from momentumlab.conventions.forms import MomentumConvention
from momentumlab.errors import ConfigError, Problem, UnknownNameError

EVERY = "all"


def option(name: str) -> str:
    """Return the name of a setting on the command line."""
    return f"--{name}"


def argument(name: str) -> str:
    """Return the name of a setting in Python."""
    return f"argument {'source' if name == 'from' else 'target' if name == 'to' else name}"


def read_translation(
    source: str,
    target: str | None,
    given: Mapping[str, str | float | bool | None],
    *,
    place: Callable[[str], str] = option,
) -> tuple[Convention, list[type[Convention]]]:
    """Return the convention to translate and the conventions into which to translate it.

    Parameters
    ----------
    source, target
        The names of the conventions; the target ``all`` or ``None`` stands for all others of the family.
    given
        The values of hyperparameters by name, as texts, numbers or flags; ``None`` for the default.
    place
        The function that names a setting in messages: `option` or `argument`.

    Raises
    ------
    ConfigError
        With every problem of the names and the hyperparameters.
    """
    problems: list[Problem] = []
    cls = _named(place("from"), source, problems)
    wanted = None if target in (None, EVERY) else _named(place("to"), str(target), problems)
    values: dict[str, Any] = {}
    if cls is not None:
        declared = {word: parameter for parameter in cls.parameters() for word in parameter.words}
        for name, value in given.items():
            # The flag --nesterov is false unless it is given, also for conventions without Nesterov's method.
            if value is None or (value is False and name == "nesterov"):
                continue
            if name not in declared:
                names = ", ".join(parameter.name for parameter in cls.parameters())
                problems.append(Problem(place=place(name), message=f"{cls.name} has no {name}; it has {names}"))
                continue
            try:
                values[declared[name].name] = declared[name].checked(_plain(value))
            except ValueError as error:
                message = error.message if isinstance(error, CallError) and error.column == 0 else str(error)
                problems.append(Problem(place=place(name), message=message))
    if cls is None or problems:
        raise ConfigError(problems)
    found = cls(**values)
    if refused := found.refused():
        raise ConfigError([Problem(place=place(each.place), message=each.message) for each in refused])
    # Only conventions of the same family can be translated into each other.
    base = AdaptiveConvention if issubclass(cls, AdaptiveConvention) else MomentumConvention
    family = [each for each in CONVENTIONS.values() if issubclass(each, base)]
    if wanted is not None and wanted not in family:
        names = ", ".join(each.name for each in family)
        message = f"{cls.name} cannot be written in {wanted.name}, which is another method; choose one of {names}"
        raise ConfigError.at(place("to"), message)
    return found, [wanted] if wanted is not None else [each for each in family if each is not cls]


def _named(place: str, name: str, problems: list[Problem]) -> type[Convention] | None:
    try:
        return CONVENTIONS[name]
    except UnknownNameError as error:
        problems.append(Problem(place=place, message=str(error)))
        return None


def _plain(value: str | float | bool) -> Any:
    """Return a single value; a text is parsed by the grammar of values."""
    if not isinstance(value, str):
        return value
    written = parse(value)
    if isinstance(written.value, (tuple, Call)):
        raise ValueError(f"'{value.strip()}' is more than one value; translate takes one at a time")
    return written.plain()
