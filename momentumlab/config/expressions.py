"""Read and write surfaces of the form ``{expression: …, view: …}``."""

from dataclasses import replace
from typing import Any

from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import ConfigError, UnknownNameError
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.base import LIBRARY_FUNCTION
from momentumlab.surfaces.one_of import read_spelling

MOTION = ("rotate", "shift")
"""The parameters of moved surfaces; see `momentumlab.surfaces.moved`."""


def by_name(entry: ConfigNode) -> ConfigNode:
    """Return the entry of a surface with a name that the registry knows in place of its other spellings.

    These are ``rosenbrock(b=10)``, the keys ``expression`` and ``view``, and ``rotate`` and ``shift`` of a surface that
    does not declare them.

    Raises
    ------
    ConfigError
        If both a name and an expression are given, or one of them or the view is invalid.
    """
    given: dict[str, ConfigNode] = {key: node for key, node in entry.value.items() if node.value is not None}
    expression = given.pop("expression", None)
    if expression is not None and "name" in given:
        raise ConfigError([expression.key_problem("both a name and an expression are given")])
    named = expression or given.get("name")
    if named is None or (expression is None and not isinstance(named.value, str)):
        return entry  # reported where the name is looked up
    text = named.value
    # An expression is a name; brackets keep one such as 'x' from being looked up among the names of surfaces.
    if expression is not None:
        if not isinstance(text, str) or not text.strip():
            remedy = 'write it as text, such as "x**2/16 + 9*y**2"'
            raise named.error(f"{remedy}; a number has no variable" if text else remedy)
        text = text if SURFACES.is_expression(text) else f"({text})"
    else:
        try:
            text, parameters = read_spelling(text)
        except ValueError as error:
            raise named.error(error) from None
        given = {key: replace(named, value=value, path=key) for key, value in parameters.items()} | given
    if "view" in given and _takes_view(text):
        view = given.pop("view")
        text = f"{text.partition(' on ')[0]} on {' by '.join(_interval(item, view) for item in _intervals(view))}"
    moves = any(key in given for key in MOTION) and not _declares_motion(text)
    # Keys without a value are dropped unless the surface is an entry of the registry, which must declare them.
    kept = given if moves or expression is not None or _takes_view(text) else {**entry.value, **given}
    return replace(entry, value={**kept, "name": replace(named, value=f"moved({text})" if moves else text)})


def _takes_view(name: str) -> bool:
    """Whether a surface has no view window of its own: an expression, or a function of a library."""
    is_function = LIBRARY_FUNCTION.fullmatch(name) is not None
    return is_function or (name not in SURFACES and SURFACES.is_expression(name))


def _declares_motion(name: str) -> bool:
    """Whether a surface has a parameter ``rotate`` or ``shift`` of its own."""
    try:
        return any(parameter.name in MOTION for parameter in SURFACES[name].parameters())
    except (ConfigError, UnknownNameError):
        return True  # reported where the name is looked up


def spelled(name: str) -> dict[str, Any]:
    """Return the configuration of the surface with this name."""
    if LIBRARY_FUNCTION.fullmatch(name) or name in SURFACES or not SURFACES.is_expression(name):
        return {"name": name}
    from momentumlab.surfaces.expressions import expression_class

    cls = expression_class(name)
    view = {} if cls.given_view is None else {"view": [list(interval) for interval in cls.given_view]}
    return {"expression": cls.expression, **view}


def missing(name: str, lacking: list[str]) -> str:
    """Return the message for required parameters, such as the constants of an expression, that have no value."""
    ((key, text),) = ((key, text) for key, text in spelled(name).items() if key != "view")
    product = next((word for word in lacking if len(word) > 1 and set(word) <= set("xyz")), "")
    hint = f"; a product is written {'*'.join(product)}" if product else ""
    constants = "".join(f", {word}: 1" for word in lacking)
    verb = "has no value" if len(lacking) == 1 else "have no values"
    example = f'{{{key}: "{text}"{constants}}}'
    return f"{' and '.join(lacking)} {verb}: write {example}, or set surface.{lacking[0]}{hint}"


def _intervals(view: ConfigNode) -> list[ConfigNode]:
    """Return the interval of each coordinate; in one dimension the outer brackets are optional."""
    items = view.value if isinstance(view.value, list) else []
    if len(items) == 2 and not any(isinstance(item.value, list) for item in items):
        return [view]
    if not items:
        raise view.error("a view is an interval per variable, such as [[-2, 2], [-1, 1]]")
    return list(items)


def _interval(node: ConfigNode, view: ConfigNode) -> str:
    ends = node.plain()
    if (
        not isinstance(ends, list)
        or len(ends) != 2
        or any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in ends)
        or not -1e100 < ends[0] < ends[1] < 1e100
    ):
        message = "an interval is two numbers, from low to high, as in [[-2, 2], [-1, 1]]"
        raise (node if node.path else view).error(message)
    low, high = map(float, ends)
    return f"{low!r}..{high!r}"
