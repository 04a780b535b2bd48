"""Override a configuration by settings of the command line or by keyword arguments."""

from collections.abc import Iterable
from dataclasses import replace

from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.experiment import DEFAULT_OPTIMIZERS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Parameter

ALTERNATIVES = {"optimizer": "optimizers", "optimizers": "optimizer", "surface": "surfaces", "surfaces": "surface"}


def override(root: ConfigNode, settings: Iterable[ConfigNode]) -> ConfigNode:
    """Return the tree with some settings replaced, in order.

    Parameters
    ----------
    root
        The whole configuration.
    settings
        The new values; the path of each names what it replaces: ``lr``, ``surface.a``, ``optimizers.0.beta``. A
        hyperparameter at the top level also replaces that of individual optimizers.

    Raises
    ------
    ConfigError
        If a path leads through a value that is not a mapping or a list.
    """
    # Old values are removed before any new one is placed: lr=0.1 replaces the lr of every optimizer in the file, but
    # not that of a setting such as optimizers.0.lr=0.2.
    settings = list(settings)
    if isinstance(root.value, dict):
        parameters = _parameters([root, *settings])
        for setting in settings:
            if "." not in setting.path:
                root = _without(root, setting.path, parameters)
    # A path may use the singular or plural of the key in the file: optimizer.beta also reaches 'optimizers'.
    for setting in settings:
        steps = setting.path.split(".")
        alternative = ALTERNATIVES.get(steps[0], steps[0])
        if len(steps) > 1 and isinstance(root.value, dict) and steps[0] not in root.value and alternative in root.value:
            steps[0] = alternative
            if not isinstance(root.value[alternative].value, list) and steps[1] == "0":
                del steps[1]  # optimizers.0 if there is only one optimizer
        root = _placed(root, steps, setting)
    return root


def _placed(node: ConfigNode, steps: list[str], setting: ConfigNode) -> ConfigNode:
    if not steps:
        return setting
    step, *rest = steps
    if isinstance(node.value, list):
        if not (step.isascii() and step.isdecimal()) or int(step) >= len(node.value):
            raise setting.error(f"there is no entry '{step}': {len(node.value)} are counted from 0")
        items = list(node.value)
        items[int(step)] = _placed(items[int(step)], rest, setting)
        return replace(node, value=items)
    inside = node.value
    if isinstance(inside, str):  # surface: ravine is short for surface: {name: ravine}
        inside = {"name": node}
    if inside is None:
        inside = {}
    if not isinstance(inside, dict):
        raise setting.error(f"'{node.path or node.plain()}' has no settings such as '{step}'")
    empty = ConfigNode(value=None, place=setting.place, path=step, key_place=setting.place)
    return replace(node, value={**inside, step: _placed(inside.get(step, empty), rest, setting)})


def _without(root: ConfigNode, key: str, parameters: Iterable[Parameter]) -> ConfigNode:
    """Return the tree without the values that a new value of a top-level key replaces, under any of its names."""
    replaced = {key, ALTERNATIVES.get(key, key)}
    words = {word for parameter in parameters if key in parameter.words for word in parameter.words} - {"name"}
    tree = {k: node for k, node in root.value.items() if k not in replaced | words}
    for entry in ("optimizer", "optimizers"):
        if entry in tree and words:
            tree[entry] = _cleared(tree[entry], words)
    return replace(root, value=tree)


def _cleared(node: ConfigNode, words: set[str]) -> ConfigNode:
    if isinstance(node.value, list):
        return replace(node, value=[_cleared(item, words) for item in node.value])
    if isinstance(node.value, dict):
        return replace(node, value={key: item for key, item in node.value.items() if key not in words})
    return node


def _parameters(nodes: Iterable[ConfigNode]) -> list[Parameter]:
    """Return the hyperparameters of the optimizers that nodes name, or of the default optimizers."""
    names: set[str] = set()
    for node in nodes:
        inside = node.value if isinstance(node.value, dict) else {node.path: node}
        for key in ("optimizer", "optimizers"):
            given = inside.get(key)
            for item in given.value if given is not None and isinstance(given.value, list) else [given]:
                named = item.value.get("name") if item is not None and isinstance(item.value, dict) else item
                if named is not None and isinstance(named.value, str) and named.value in OPTIMIZERS:
                    names.add(OPTIMIZERS.canonical(named.value))
    return [parameter for name in names or DEFAULT_OPTIMIZERS for parameter in OPTIMIZERS[name].settings()]
