"""Read YAML and command-line values into a tree of nodes with their places.

The reader uses the event stream of YAML: it constructs no objects, refuses tags, shares aliases instead of copying
them, and bounds size and depth. Scalars are decimal numbers (including ``1e-3`` and ``1_000``; ``010`` is ten), true,
false, null, nan and inf; everything else is a word, including ``no`` and ``0x10``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from momentumlab.calls import CallError, NamedCall, read_scalar
from momentumlab.errors import ConfigError, Problem, UnknownNameError
from momentumlab.optimizers.base import OPTIMIZERS, Optimizer
from momentumlab.registry import Registry
from momentumlab.surfaces.base import SURFACES, Surface

MAX_BYTES = 1_000_000
"""The maximum size of a configuration file."""

MAX_DEPTH = 20
"""The maximum nesting of lists and mappings."""

MAX_NODES = 200_000
"""The maximum number of values of a configuration; repeated aliases count every time."""

CALL_OR_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\(.*\)|[^\s()\[\]{}\"':#]+")
STEPS = re.compile(r"[(=]\s*\{[^{}\n\"']*\}")

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, kw_only=True)
class ConfigNode:
    """A value of a configuration and its place.

    Attributes
    ----------
    value
        ``None``, a bool, a number, a string, a list of nodes, a dict of nodes, or in Python an object: a schedule, a
        noise model, starts.
    place
        Where the value is written: ``configs/x.yaml:4:7`` or ``--beta``.
    path
        The name of the value in the experiment: ``beta[2]``.
    key_place
        The place of the key.
    size
        The number of values in it.
    folder
        The folder to which its paths of files are relative; ``None`` for the current one.
    inset
        The number of characters between the place and the text of a string; ``None`` if a column in the text cannot be
        added to the place.
    typed
        The text from which a list was read on the command line.
    """

    value: Any
    place: str
    path: str = ""
    key_place: str = ""
    size: int = field(default=1, compare=False)
    folder: Path | None = field(default=None, compare=False)
    inset: int | None = field(default=None, compare=False)
    typed: str = field(default="", compare=False)

    def problem(self, message: str | Exception) -> Problem:
        """Return a problem with this value; a `CallError` is reported at its column."""
        place = self.place
        if isinstance(message, CallError) and self.inset is not None:
            file, line, column = place.rsplit(":", 2)
            place = f"{file}:{line}:{int(column) + self.inset + message.column}"
            message = message.message
        # An option or an argument already names the setting.
        option = f"--{self.path.replace('_', '-')}"
        is_named = not self.path or place in (option, f"--set {self.path}", f"argument {self.path}")
        return Problem(place=place, message=str(message) if is_named else f"{self.path}: {message}")

    def error(self, message: str | Exception) -> ConfigError:
        """Return the error for a single problem with this value."""
        return ConfigError([self.problem(message)])

    def key_problem(self, message: str) -> Problem:
        """Return a problem with the key of this value."""
        return Problem(place=self.key_place or self.place, message=message)

    def plain(self) -> Any:
        """Return the value without places."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


def parse_yaml(text: str, source: str, *, path: str = "", folder: Path | None = None) -> ConfigNode:
    """Read one YAML document.

    Parameters
    ----------
    text
        The document.
    source
        The name of the file, for places.
    path
        The name of the whole document in the experiment.
    folder
        The folder to which the paths of files are relative.

    Raises
    ------
    ConfigError
        With the place, if the text is not YAML, uses tags or repeated keys, or exceeds a bound.
    """
    reader = _Reader(text, source, folder)
    try:
        return reader.document(path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
        hint = "; inside {} and [], write piecewise({…}) in quotes" if STEPS.search(line) else ""
        message = f"not valid YAML: {error.problem or error.context}{hint}"
        raise ConfigError.at(place, message) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or str(error).partition("\n")[0]
        raise ConfigError.at(source, f"not valid YAML: {reason}") from None


class _Reader:
    """Builds nodes from the events of one document."""

    def __init__(self, text: str, source: str, folder: Path | None) -> None:
        self.source = source
        self.folder = folder
        # YAML reads ": " outside quotes as the end of a key. In piecewise({0: 0.9}) a no-break space, which YAML does
        # not treat as one, replaces the plain space; it has the same length, so places stay correct.
        text = STEPS.sub(lambda match: match[0].replace(": ", ":\u00a0"), text)
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
        self.anchors: dict[str, ConfigNode] = {}

    def document(self, path: str) -> ConfigNode:
        """Read the only document of the stream; an empty stream is null."""
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return ConfigNode(value=None, place=f"{self.source}:1:1", path=path)
        root = self.node(next(self.events), path, depth=0)
        next(self.events)  # the document's end
        following = next(self.events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise self.error(following, "a second document begins here; write one experiment per file")
        return root

    def node(self, event: Any, path: str, depth: int, key_place: str = "") -> ConfigNode:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.error(event, f"the alias *{event.anchor} has no anchor before it")
            target = self.anchors[event.anchor]
            if target.size < 1000:  # a larger one is shared, and keeps the paths of its first place
                target = _renamed(target, path)
            return replace(target, place=self.place(event), path=path, key_place=key_place, inset=None)
        if event.tag not in (None, "!") or (event.tag == "!" and not isinstance(event, yaml.ScalarEvent)):
            raise self.error(event, f"the tag {event.tag} is not supported: a configuration is plain data")
        if depth > MAX_DEPTH:
            raise self.error(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.ScalarEvent):
            value, size = (event.value if event.style or event.tag else read_scalar(event.value)), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            value, size = self.items(event, path, depth)
        else:
            value, size = self.pairs(event, path, depth)
        node = ConfigNode(
            value=value,
            place=self.place(event),
            path=path,
            key_place=key_place,
            size=size,
            folder=self.folder,
            inset=self.inset(event),
        )
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def items(self, start: Any, path: str, depth: int) -> tuple[Any, int]:
        items: list[ConfigNode] = []
        size = 1
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            if start.flow_style:
                event = self.whole_call(event, in_mapping=False)
            items.append(self.node(event, f"{path}[{len(items)}]", depth + 1))
            size = self.counted(event, size + items[-1].size)
        return items, size

    def pairs(self, start: Any, path: str, depth: int) -> tuple[Any, int]:
        pairs: dict[str, ConfigNode] = {}
        size = 1
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.error(event, "a key must be a word")
            key = event.value
            if key in pairs:
                raise self.error(event, f"the key '{key}' is given twice (first at {pairs[key].key_place})")
            inner = f"{path}.{key}" if path else key
            value = next(self.events)
            if start.flow_style:
                value = self.whole_call(value, in_mapping=True)
            pairs[key] = self.node(value, inner, depth + 1, key_place=self.place(event))
            size = self.counted(event, size + pairs[key].size)
        return pairs, size

    def whole_call(self, event: Any, *, in_mapping: bool) -> Any:
        """Join a call that YAML split at its commas: inside {} and [] a plain scalar ends at the first one."""
        while (
            isinstance(event, yaml.ScalarEvent) and not event.style and event.value.count("(") > event.value.count(")")
        ):
            following = next(self.events)
            rest = next(self.events) if in_mapping else None
            if not isinstance(following, yaml.ScalarEvent) or (in_mapping and getattr(rest, "value", None) != ""):
                raise self.error(event, f"'(' in '{event.value}' is not closed")
            gap = _index(following.start_mark) - _index(event.end_mark) - 1  # keeps columns correct
            event.value += f",{' ' * max(0, gap)}{following.value}"
            event.end_mark = following.end_mark
        return event

    def counted(self, event: Any, size: int) -> int:
        if size > MAX_NODES:
            raise self.error(event, f"more than {MAX_NODES:,} values (repeated aliases are counted every time)")
        return size

    @staticmethod
    def inset(event: Any) -> int | None:
        """Return the number of characters before the text of a string on one line without escapes, else ``None``."""
        if not isinstance(event, yaml.ScalarEvent) or _line(event.start_mark) != _line(event.end_mark):
            return None
        return 0 if not event.style else 1 if event.style in "'\"" and "\\" not in event.value else None

    def place(self, event: Any) -> str:
        return f"{self.source}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def error(self, event: Any, message: str) -> ConfigError:
        return ConfigError.at(self.place(event), message)


def _index(mark: Any) -> int:
    return int(mark.index)


def _line(mark: Any) -> int:
    return int(mark.line)


def parse_setting(text: str, place: str, path: str) -> ConfigNode:
    """Read a value from the command line: one line of YAML, in which ``0,0.8,0.9`` is also a list.

    Raises
    ------
    ConfigError
        If the text is not YAML.
    """
    if not text.isprintable():
        raise ConfigError.at(place, f"{text!r} contains control characters")
    if not text.strip():
        raise ConfigError.at(place, "is empty; write null to remove the setting")
    words = [word.strip() for word in _split_at_commas(text)]
    if len(words) > 1 and not any(bracket in text for bracket in "[({\"'"):
        return replace(node_of([read_scalar(word) for word in words], place, path), typed=text)
    if "(" in text and all(CALL_OR_WORD.fullmatch(word) for word in words):
        return node_of([read_scalar(word) for word in words] if len(words) > 1 else words[0], place, path)
    # A line and column of YAML would be meaningless for an option: all values get the option as their place.
    return node_of(parse_yaml(text, place, path=path).plain(), place, path)


def _split_at_commas(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _renamed(node: ConfigNode, path: str) -> ConfigNode:
    """Return the same tree under another path; the places are unchanged."""
    value = node.value
    if isinstance(value, list):
        value = [_renamed(item, f"{path}[{i}]") for i, item in enumerate(value)]
    elif isinstance(value, dict):
        value = {key: _renamed(item, f"{path}.{key}") for key, item in value.items()}
    return replace(node, value=value, path=path)


def node_of(value: object, place: str, path: str = "", depth: int = 0) -> ConfigNode:
    """Return a tree of Python values: plain data, NumPy arrays, and objects of the library.

    A surface or an optimizer becomes its name and parameters; schedules, noise models and starts are kept.

    Raises
    ------
    ConfigError
        If it is nested too deeply, for example because it contains itself, or an object's class is not registered.
    """
    if isinstance(value, (Surface, Optimizer)):
        value = _described(value, place)
    if isinstance(value, type) and issubclass(value, (Surface, Optimizer)):
        value = getattr(value, "name", value.__name__)
    elif callable(value) and path.startswith("optimizer"):
        value = _library_optimizer(value, place)
    if isinstance(value, NamedCall):
        return ConfigNode(value=value, place=place, path=path, key_place=place)
    if depth > MAX_DEPTH:
        raise ConfigError.at(place, f"nested more than {MAX_DEPTH} deep")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        inner = {str(k): node_of(v, place, f"{path}.{k}" if path else str(k), depth + 1) for k, v in value.items()}
        return ConfigNode(value=inner, place=place, path=path, key_place=place)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = [node_of(item, place, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        return ConfigNode(value=items, place=place, path=path, key_place=place)
    return ConfigNode(value=value, place=place, path=path, key_place=place)


def _library_optimizer(factory: Callable[..., Any], place: str) -> str:
    """Return the name of an optimizer that is given as a class or a function of another library."""
    from momentumlab.optimizers.adapters import adapted_object

    try:
        return adapted_object(factory).name
    except UnknownNameError as error:
        raise ConfigError.at(place, str(error)) from None


def _described(instance: Surface | Optimizer[Any], place: str) -> dict[str, Any]:
    """Return the name and the parameters of a surface or an optimizer."""
    cls = type(instance)
    registry: Registry[Any] = SURFACES if isinstance(instance, Surface) else OPTIMIZERS
    name = getattr(cls, "name", "")
    if not name or (name not in registry and not SURFACES.is_expression(name)) or registry[name] is not cls:
        decorator = f'@{registry.noun}("{cls.__name__.lower()}")'
        reason = (
            "is an instance of an older definition: create it again" if name else f"write {decorator} above the class"
        )
        raise ConfigError.at(place, f"{cls.__name__} is not registered: {reason}")
    return {"name": name, **{p.name: getattr(instance, p.name) for p in cls.parameters() if hasattr(instance, p.name)}}
