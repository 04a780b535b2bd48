"""Read and write surfaces of the form ``{expression: …, view: …}``."""

from dataclasses import replace
from typing import Any

from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import ConfigError, UnknownNameError
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.base import LIBRARY_FUNCTION

PARAMETERS = {"rotate", "shift"}
"""The parameters of moved surfaces; see `momentumlab.surfaces.moved`."""


def by_name(node: ConfigNode) -> ConfigNode:
    """Return the node of a surface with a name in place of ``expression`` and ``view``.

    Raises
    ------
    ConfigError
        If both a name and an expression are given, or the view is invalid.
    """
    if not isinstance(node.value, dict):
        return node
    given: dict[str, ConfigNode] = {key: item for key, item in node.value.items() if item.value is not None}
    if PARAMETERS & given.keys():
        return _moved(node, given)
    expression, view = given.pop("expression", None), given.pop("view", None)
    if expression is not None and "name" in given:
        raise ConfigError([expression.key_problem("both a name and an expression are given")])
    named = expression or given.get("name")
    if named is None or (expression is None and (view is None or not _takes_view(named))):
        return node
    text = named.value
    if not isinstance(text, str) or not text.strip():
        remedy = 'write it as text, such as "x**2/16 + 9*y**2"'
        raise named.error(f"{remedy}; a number has no variable" if text else remedy)
    if expression is not None and not SURFACES.is_expression(text):
        text = f"({text})"  # a name without brackets would be looked up in the registry
    if view is not None:
        text = f"{text.partition(' on ')[0]} on {' by '.join(_interval(item, view) for item in _intervals(view))}"
    return replace(node, value={**given, "name": replace(named, value=text)})


def _moved(node: ConfigNode, given: dict[str, ConfigNode]) -> ConfigNode:
    """Return the node of a surface with ``rotate`` or ``shift``, which is another surface unless it declares them."""
    original = by_name(replace(node, value={key: item for key, item in given.items() if key not in PARAMETERS}))
    named = original.value.get("name")
    if named is None or not isinstance(named.value, str):
        return node
    try:
        declared = {parameter.name for parameter in SURFACES[named.value].parameters()}
    except (ConfigError, UnknownNameError):
        return node  # reported where the name is looked up
    moved = replace(named, value=named.value if PARAMETERS & declared else f"moved({named.value})")
    motion = {key: item for key, item in given.items() if key in PARAMETERS}
    return replace(node, value={**original.value, **motion, "name": moved})


def spelled(name: str) -> dict[str, Any]:
    """Return the configuration of the surface with this name."""
    if LIBRARY_FUNCTION.fullmatch(name) or name in SURFACES or not SURFACES.is_expression(name):
        return {"name": name}
    from momentumlab.surfaces.expressions import expression_class

    cls = expression_class(name)
    view = {} if cls.given_view is None else {"view": [list(interval) for interval in cls.given_view]}
    return {"expression": cls.expression, **view}


def missing(name: str, lacking: list[str]) -> str:
    """Return the message for constants of an expression that have no value."""
    names = " and ".join(lacking)
    product = next((word for word in lacking if len(word) > 1 and set(word) <= set("xyz")), "")
    hint = f"; a product is written {'*'.join(product)}" if product else ""
    constants = "".join(f", {word}: 1" for word in lacking)
    verb = "has no value" if len(lacking) == 1 else "have no values"
    text = spelled(name)["expression"]
    return f'{names} {verb}: write {{expression: "{text}"{constants}}}, or set surface.{lacking[0]}{hint}'


def _takes_view(node: ConfigNode) -> bool:
    """Whether a surface has no view window of its own: an expression, or a function of a library."""
    if not isinstance(node.value, str):
        return False
    is_function = LIBRARY_FUNCTION.fullmatch(node.value) is not None
    return is_function or (node.value not in SURFACES and SURFACES.is_expression(node.value))


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
