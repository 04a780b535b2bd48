"""Settings from the command line, or from keyword arguments, laid over what a file says."""

from collections.abc import Iterable
from dataclasses import replace

from momentumlab.config.tree import Node
from momentumlab.errors import ConfigError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Parameter

ALTERNATIVES = {
    "optimizer": "optimizers",
    "optimizers": "optimizer",
    "surface": "surfaces",
    "surfaces": "surface",
}


def override(root: Node, settings: Iterable[Node]) -> Node:
    """The tree with some of its settings replaced, in order.

    Parameters
    ----------
    root
        The whole configuration.
    settings
        The new values; the path of each says what it replaces: ``lr``, ``surface.a``, ``optimizers.0.beta``. A
        hyperparameter at the top level also takes the place of what single optimizers of the tree say of it.

    Raises
    ------
    ConfigError
        If a path leads through a value that has no inside.
    """
    settings = list(settings)
    for setting in settings:
        if isinstance(root.value, dict) and "." not in setting.path:
            root = _without(root, setting.path)
    for setting in settings:
        steps = setting.path.split(".")
        alternative = ALTERNATIVES.get(steps[0], steps[0])
        if len(steps) > 1 and isinstance(root.value, dict) and steps[0] not in root.value and alternative in root.value:
            steps[0] = alternative
            if not isinstance(root.value[alternative].value, list) and steps[1] == "0":
                del steps[1]  # optimizers.0 where there is one optimizer alone
        root = _placed(root, steps, setting)
    return root


def _placed(node: Node, steps: list[str], setting: Node) -> Node:
    if not steps:
        return setting
    step, *rest = steps
    if isinstance(node.value, list):
        if not (step.isascii() and step.isdecimal()) or int(step) >= len(node.value):
            raise ConfigError([setting.problem(f"there is no entry '{step}' among {len(node.value)}, counted from 0")])
        items = list(node.value)
        items[int(step)] = _placed(items[int(step)], rest, setting)
        return replace(node, value=items)
    inside = node.value
    if isinstance(inside, str):  # surface: ravine is short for surface: {name: ravine}
        inside = {"name": node}
    if inside is None:
        inside = {}
    if not isinstance(inside, dict):
        raise ConfigError([setting.problem(f"'{node.path or node.plain()}' has no setting '{step}' inside")])
    empty = Node(value=None, place=setting.place, path=step, key_place=setting.place)
    return replace(node, value={**inside, step: _placed(inside.get(step, empty), rest, setting)})


def _without(root: Node, key: str) -> Node:
    """The tree without what a new value of this top-level key replaces, under whatever name it goes."""
    replaced = {key, ALTERNATIVES.get(key, key)}
    words = {word for parameter in _parameters() if key in parameter.words for word in parameter.words} - {"name"}
    tree = {k: node for k, node in root.value.items() if k not in replaced | words}
    for entry in ("optimizer", "optimizers"):
        if entry in tree and words:
            tree[entry] = _cleared(tree[entry], words)
    return replace(root, value=tree)


def _cleared(node: Node, words: set[str]) -> Node:
    if isinstance(node.value, list):
        return replace(node, value=[_cleared(item, words) for item in node.value])
    if isinstance(node.value, dict):
        return replace(node, value={key: item for key, item in node.value.items() if key not in words})
    return node


def _parameters() -> Iterable[Parameter]:
    return (parameter for name in OPTIMIZERS for parameter in OPTIMIZERS[name].parameters())
