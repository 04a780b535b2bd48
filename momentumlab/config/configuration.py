"""The normal form of a configuration, in which every way to write the same thing looks the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from momentumlab.config.settings import COMPARING, COMPONENTS, SETTINGS
from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.experiment import DEFAULT_OPTIMIZERS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter, spelled

PLURALS = {"surface": "surfaces", "optimizer": "optimizers"}
"""The keys of which the singular and the plural mean the same."""


@dataclass(frozen=True, kw_only=True)
class Entries:
    """The surfaces or the optimizers of a configuration.

    Attributes
    ----------
    key
        The key as it is written: ``optimizer`` or ``optimizers``.
    node
        The value of the key.
    items
        One mapping per entry, with its ``name`` and the settings of its parameters; ``sgd`` is ``{name: sgd}``.
    conflict
        The value of the other key, if both are given.
    """

    key: str
    node: ConfigNode
    items: tuple[ConfigNode, ...]
    conflict: ConfigNode | None = None

    @classmethod
    def of(cls, key: str, node: ConfigNode) -> "Entries":
        """Return the entries that a value describes: one, or a list of them."""
        nodes = node.value if isinstance(node.value, list) else [node]
        return cls(key=key, node=node, items=tuple(map(_as_mapping, nodes)))

    def placed(self, steps: Sequence[str], setting: ConfigNode) -> "Entries":
        """Return the entries with a setting replaced: ``beta`` of the only entry, or ``1.beta`` of the second."""
        index, *rest = steps if steps[0].isdecimal() and steps[0].isascii() else ("0", *steps)
        if int(index) >= len(self.items):
            raise setting.error(f"no entry '{index}': the first of {len(self.items)} is 0")
        if rest == [*steps] and len(self.items) > 1:
            plural = PLURALS.get(self.key, self.key)
            example = f"{plural}.0.{'.'.join(steps)}"
            raise setting.error(f"there are {len(self.items)} {plural}: write {example} for the first of them")
        items = list(self.items)
        items[int(index)] = _as_mapping(_placed(items[int(index)], rest, setting))
        return replace(self, items=tuple(items))


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The keys of an experiment or a comparison that have a value; ``null`` stands for the default.

    Attributes
    ----------
    root
        The tree as it was read.
    components
        The entries of ``surfaces`` and ``optimizers``.
    settings
        Every other key: settings, start, noise, and hyperparameters.
    """

    root: ConfigNode
    components: Mapping[str, Entries] = field(default_factory=dict)
    settings: Mapping[str, ConfigNode] = field(default_factory=dict)

    @classmethod
    def of(cls, root: ConfigNode) -> "Configuration":
        """Return the normal form of a tree.

        Raises
        ------
        ConfigError
            If it is not a mapping.
        """
        if not isinstance(root.value, dict):
            found = "empty" if root.value is None else spelled(root.plain())
            raise root.error(f"an experiment is a mapping such as 'surface: ravine', but this is {found}")
        configuration = cls(root=root)
        for key, node in root.value.items():
            configuration = configuration.placed([key], node)
        return configuration

    @property
    def surfaces(self) -> Entries:
        """The surfaces; without a key if there are none."""
        return self.components.get("surfaces", Entries(key="", node=self.root, items=()))

    @property
    def optimizers(self) -> Entries:
        """The optimizers; without a key if there are none."""
        return self.components.get("optimizers", Entries(key="", node=self.root, items=()))

    @property
    def shared(self) -> dict[str, ConfigNode]:
        """The hyperparameters that all optimizers share: every key that has no other meaning."""
        return {key: node for key, node in self.settings.items() if key not in (*SETTINGS, *COMPONENTS, *COMPARING)}

    def placed(self, steps: Sequence[str], setting: ConfigNode) -> "Configuration":
        """Return the configuration with a value at a path of keys: ``("lr",)``, ``("optimizers", "0", "beta")``.

        Raises
        ------
        ConfigError
            If the path leads through a value that is not a mapping or a list.
        """
        key, *rest = steps
        if setting.value is None and not rest:
            return self
        empty = ConfigNode(value=None, place=setting.place, path=key, key_place=setting.place)
        plural = PLURALS.get(key, key)
        if plural not in PLURALS.values():
            return replace(self, settings={**self.settings, key: _placed(self.settings.get(key, empty), rest, setting)})
        known = self.components.get(plural)
        if rest:
            entries = (known or Entries.of(key, empty)).placed(rest, setting)
        else:
            entries = Entries.of(key, setting) if known is None else replace(known, conflict=setting)
        return replace(self, components={**self.components, plural: entries})

    def without(self, key: str, parameters: Iterable[Parameter]) -> "Configuration":
        """Return the configuration without the values of a key, under any of its names."""
        # A hyperparameter at the top level also replaces that of each optimizer.
        words = {word for parameter in parameters if key in parameter.words for word in parameter.words} - {"name"}
        settings = {other: node for other, node in self.settings.items() if other not in {key, *words}}
        components = {other: each for other, each in self.components.items() if other != PLURALS.get(key, key)}
        if words and "optimizers" in components:
            optimizers = components["optimizers"]
            kept = [{word: node for word, node in item.value.items() if word not in words} for item in optimizers.items]
            items = [replace(item, value=value) for item, value in zip(optimizers.items, kept, strict=True)]
            components["optimizers"] = replace(optimizers, items=tuple(items))
        return replace(self, settings=settings, components=components)


def override(configuration: Configuration, settings: Iterable[ConfigNode]) -> Configuration:
    """Return the configuration with some settings replaced.

    Parameters
    ----------
    configuration
        The whole configuration.
    settings
        The new values; the path of each names what it replaces: ``lr``, ``surface.a``, ``optimizers.0.beta``. A
        hyperparameter at the top level also replaces that of individual optimizers.

    Raises
    ------
    ConfigError
        If a path leads through a value that is not a mapping or a list.
    """
    settings = list(settings)
    given = [Entries.of(each.path, each) for each in settings if PLURALS.get(each.path, each.path) == "optimizers"]
    parameters = _hyperparameters([configuration.optimizers, *given]) if settings else []
    # Old values are removed before any new one is placed: lr=0.1 replaces the lr of every optimizer in the file, but
    # not that of a setting such as optimizers.0.lr=0.2. Such a setting comes last, since it changes a part of others.
    for setting in settings:
        if "." not in setting.path:
            configuration = configuration.without(setting.path, parameters)
    for setting in sorted(settings, key=lambda each: "." in each.path):
        configuration = configuration.placed(setting.path.split("."), setting)
    return configuration


def _hyperparameters(optimizers: Iterable[Entries]) -> list[Parameter]:
    """Return the hyperparameters of these optimizers, or of the default ones."""
    given = [item.value.get("name") for entries in optimizers for item in entries.items]
    names = {node.value for node in given if node is not None and isinstance(node.value, str)}
    known = [name for name in names if name in OPTIMIZERS]
    return [parameter for name in known or DEFAULT_OPTIMIZERS for parameter in OPTIMIZERS[name].settings()]


def _as_mapping(node: ConfigNode) -> ConfigNode:
    return node if isinstance(node.value, dict) else replace(node, value={"name": node})


def _placed(node: ConfigNode, steps: Sequence[str], setting: ConfigNode) -> ConfigNode:
    """Return a node in which the value at a path of keys and indices is replaced."""
    if not steps:
        return setting
    step, *rest = steps
    if isinstance(node.value, list):
        if not (step.isascii() and step.isdecimal()) or int(step) >= len(node.value):
            raise setting.error(f"no entry '{step}': the first of {len(node.value)} is 0")
        items = list(node.value)
        items[int(step)] = _placed(items[int(step)], rest, setting)
        return replace(node, value=items)
    inside = {} if node.value is None else node.value
    if not isinstance(inside, dict):
        raise setting.error(f"'{node.path or node.plain()}' has no settings such as '{step}'")
    empty = ConfigNode(value=None, place=setting.place, path=step, key_place=setting.place)
    return replace(node, value={**inside, step: _placed(inside.get(step, empty), rest, setting)})
