"""Paths of files that a configuration names: relative to its own folder, or to the current one from elsewhere."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from momentumlab.config.tree import Node
from momentumlab.registry import Parameter
from momentumlab.surfaces import SURFACES


def anchored(root: Node, folder: str | os.PathLike[str]) -> Node:
    """The tree with absolute paths for the files that its surfaces name.

    Parameters
    ----------
    root
        The whole configuration.
    folder
        What paths are relative to.
    """
    if not isinstance(root.value, dict):
        return root
    tree = dict(root.value)
    for key in ("surface", "surfaces"):
        if key in tree:
            tree[key] = _surfaces(tree[key], folder)
    return replace(root, value=tree)


def _surfaces(node: Node, folder: str | os.PathLike[str]) -> Node:
    if isinstance(node.value, list):
        return replace(node, value=[_surfaces(item, folder) for item in node.value])
    if not isinstance(node.value, dict):
        return node
    paths = {word: parameter for parameter in _paths(node.value.get("name")) for word in parameter.words}
    return replace(
        node,
        value={
            key: _absolute(item, paths[key].choices, folder) if key in paths else item
            for key, item in node.value.items()
        },
    )


def _paths(name: Node | None) -> Sequence[Parameter]:
    """The parameters of a surface that are paths; of any, while nothing says which surface it is."""
    is_known = name is not None and isinstance(name.value, str) and name.value in SURFACES
    named = [name.value] if name is not None and is_known else list(SURFACES)
    return [parameter for each in named for parameter in SURFACES[each].parameters() if parameter.is_path]


def _absolute(node: Node, words: Sequence[str], folder: str | os.PathLike[str]) -> Node:
    """A path, or each of a list of paths; a word that the parameter knows is none."""
    if isinstance(node.value, list):
        return replace(node, value=[_absolute(item, words, folder) for item in node.value])
    if not isinstance(node.value, str) or node.value.partition("(")[0].strip() in words:
        return node
    path = Path(node.value).expanduser() if node.value.startswith("~/") else Path(node.value)
    return replace(node, value=os.path.normpath((Path(folder) / path).absolute()))
