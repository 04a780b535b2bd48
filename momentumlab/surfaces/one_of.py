"""Several surfaces as the values of one setting, so that they can be an axis of a sweep."""

from dataclasses import dataclass
from typing import Any

from momentumlab.calls import Call, CallError, parse
from momentumlab.parameters import parameter, spelled
from momentumlab.registry import did_you_mean
from momentumlab.surfaces.base import ONE_OF, SURFACES, Surface


@dataclass(frozen=True, kw_only=True)
class OneOf(Surface):
    """The surface that its parameter names; an instance is that surface itself."""

    surface: str = parameter("", shared=True, required=True, doc="a surface, such as ravine or rosenbrock(b=10)")

    name = ONE_OF

    def __new__(cls, *, surface: str) -> Any:
        """Return the surface with this spelling."""
        name, parameters = read_spelling(surface)
        return SURFACES[name](**parameters)


def spelling(name: str, parameters: dict[str, Any]) -> str:
    """Return a surface as text: its name, with the parameters that are not the default."""
    declared = {each.name: each.default for each in SURFACES[name].parameters()}
    given = [
        f"{key}={spelled(list(value) if isinstance(value, tuple) else value)}"
        for key, value in parameters.items()
        if value != declared[key]
    ]
    return f"{name}({', '.join(given)})" if given else name


def read_spelling(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the parameters of a surface that is written as text.

    Raises
    ------
    CallError
        If an argument is unknown or invalid.
    """
    try:
        call = parse(text).value
    except CallError:  # an expression
        return text, {}
    if not isinstance(call, Call) or call.positional or call.name not in SURFACES:
        return text, {}
    declared = {word: each for each in SURFACES[call.name].parameters() for word in each.words}
    parameters = {}
    for key, value in call.named:
        if key not in declared:
            raise CallError(f"{call.name} has no '{key}'{did_you_mean(key, declared)}", value.column)
        try:
            parameters[declared[key].name] = declared[key].checked(value.plain())
        except ValueError as error:
            raise CallError(f"{call.name}(): {key} = {error}", value.column) from None
    return call.name, parameters
