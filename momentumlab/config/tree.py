"""Text to a tree of plain values, each of which knows where it was written.

YAML is read from its event stream: nothing is constructed, no tag is obeyed, aliases are shared and not copied, and
size and depth are bounded. Scalars are decimal numbers (``1e-3`` and ``1_000`` too, ``010`` is ten), true, false, null,
nan and inf; everything else is a word, ``no`` and ``0x10`` as well.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from momentumlab.errors import ConfigError, Problem

MAX_BYTES = 1_000_000
"""The largest configuration file that is read."""

MAX_DEPTH = 20
"""The deepest nesting of lists and mappings that is read."""

MAX_NODES = 200_000
"""The most values that a configuration may hold, repeated aliases counted every time."""

# Possessive (++): what digits were taken is never tried again, or a word of 10 000 digits would take seconds.
NUMBER = re.compile(r"[-+]?(\d++(_\d++)*+(\.\d*+)?|\.\d++)([eE][-+]?\d++)?")
WORDS: dict[str, float | bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN", "nan", "NaN"), math.nan),
    **dict.fromkeys((".inf", "+.inf", "inf", "Infinity"), math.inf),
    **dict.fromkeys(("-.inf", "-inf", "-Infinity"), -math.inf),
}

CALL_OR_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\(.*\)|[^\s()\[\]{}\"':#]+")
STEPS = re.compile(r"[(=]\s*\{[^{}\n\"']*\}")

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value and where it comes from.

    Attributes
    ----------
    value
        ``None``, a bool, a number, a string, a list of nodes, or a dict of nodes.
    place
        Where the value is written: ``configs/x.yaml:4:7`` or ``--beta``.
    path
        How the value is called in the experiment: ``beta[2]``.
    key_place
        Where the key stands that leads to the value.
    size
        The number of values in it.
    """

    value: Any
    place: str
    path: str = ""
    key_place: str = ""
    size: int = field(default=1, compare=False)

    def problem(self, message: str) -> Problem:
        """A problem with this value."""
        is_told = not self.path or self.place in (f"--{self.path.replace('_', '-')}", f"--set {self.path}")
        return Problem(place=self.place, message=message if is_told else f"{self.path}: {message}")

    def key_problem(self, message: str) -> Problem:
        """A problem with the key that leads to this value."""
        return Problem(place=self.key_place or self.place, message=message)

    def plain(self) -> Any:
        """The value without the places."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value

    def at(self, location: Sequence[object]) -> "Node":
        """The node at this location, or the last one on the way to it."""
        node = self
        for step in location:
            inside = isinstance(node.value, (list, dict))
            if not inside:
                break
            try:
                node = node.value[step]
            except (KeyError, IndexError, TypeError):
                break
        return node


def read_scalar(text: str) -> bool | int | float | str | None:
    """What an unquoted word means."""
    if NUMBER.fullmatch(text):
        is_whole = text.lstrip("+-").replace("_", "").isdigit()
        return int(text) if is_whole and len(text) < 100 else float(text)
    return WORDS.get(text, text)


def parse_yaml(text: str, source: str, *, path: str = "") -> Node:
    """Read one YAML document.

    Parameters
    ----------
    text
        The document.
    source
        How places are called: the file's name.
    path
        How the whole document is called in the experiment.

    Raises
    ------
    ConfigError
        With the place, if the text is not YAML or uses tags, repeated keys, or passes a bound.
    """
    reader = _Reader(text, source)
    try:
        return reader.document(path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
        hint = "; inside of {} and [] write a piecewise({…}) in quotes" if STEPS.search(line) else ""
        message = f"not valid YAML: {error.problem or error.context}{hint}"
        raise ConfigError([Problem(place=place, message=message)]) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or str(error).partition("\n")[0]
        raise ConfigError([Problem(place=source, message=f"not valid YAML: {reason}")]) from None


class _Reader:
    """Builds nodes from the events of one document."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        # Outside of quotes YAML takes ": " for the end of a key. In piecewise({0: 0.9}) a space that YAML does not know
        # stands for the plain one: of the same length, so that places stay right.
        text = STEPS.sub(lambda match: match[0].replace(": ", ":\u00a0"), text)
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
        self.anchors: dict[str, Node] = {}

    def document(self, path: str) -> Node:
        """The only document of the stream; an empty stream is a null."""
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Node(value=None, place=f"{self.source}:1:1", path=path)
        root = self.node(next(self.events), path, depth=0)
        next(self.events)  # the document's end
        following = next(self.events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise self.error(following, "a second document begins here; one file is one experiment")
        return root

    def node(self, event: Any, path: str, depth: int, key_place: str = "") -> Node:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.error(event, f"the alias *{event.anchor} stands for nothing that is complete here")
            target = self.anchors[event.anchor]
            if target.size < 1000:  # a larger one is shared as it is, with the paths of its first place
                target = _renamed(target, path)
            return Node(value=target.value, place=self.place(event), path=path, key_place=key_place, size=target.size)
        if event.tag not in (None, "!") or (event.tag == "!" and not isinstance(event, yaml.ScalarEvent)):
            raise self.error(event, f"the tag {event.tag} is not read; a configuration is plain data")
        if depth > MAX_DEPTH:
            raise self.error(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.ScalarEvent):
            value, size = (event.value if event.style or event.tag else read_scalar(event.value)), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            value, size = self.items(event, path, depth)
        else:
            value, size = self.pairs(event, path, depth)
        node = Node(value=value, place=self.place(event), path=path, key_place=key_place, size=size)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def items(self, start: Any, path: str, depth: int) -> tuple[Any, int]:
        items: list[Node] = []
        size = 1
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            if start.flow_style:
                event = self.whole_call(event, in_mapping=False)
            items.append(self.node(event, f"{path}[{len(items)}]", depth + 1))
            size = self.counted(event, size + items[-1].size)
        return items, size

    def pairs(self, start: Any, path: str, depth: int) -> tuple[Any, int]:
        pairs: dict[str, Node] = {}
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
        """A scalar with what YAML's commas have cut off: inside {} and [] it ends ``linspace(0`` at the first one."""
        while (
            isinstance(event, yaml.ScalarEvent) and not event.style and event.value.count("(") > event.value.count(")")
        ):
            following = next(self.events)
            rest = next(self.events) if in_mapping else None
            if not isinstance(following, yaml.ScalarEvent) or (in_mapping and getattr(rest, "value", None) != ""):
                raise self.error(event, f"the bracket in '{event.value}' is not closed")
            event.value += f", {following.value}"
        return event

    def counted(self, event: Any, size: int) -> int:
        if size > MAX_NODES:
            raise self.error(event, f"more than {MAX_NODES:,} values (repeated aliases are counted every time)")
        return size

    def place(self, event: Any) -> str:
        return f"{self.source}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def error(self, event: Any, message: str) -> ConfigError:
        return ConfigError([Problem(place=self.place(event), message=message)])


def parse_setting(text: str, place: str, path: str) -> Node:
    """Read a value from the command line: YAML in one line, where ``0,0.8,0.9`` is a list too.

    Raises
    ------
    ConfigError
        If the text is not YAML.
    """
    if not text.isprintable():
        raise ConfigError([Problem(place=place, message=f"{text!r} holds characters that cannot be printed")])
    if not text.strip():
        raise ConfigError([Problem(place=place, message="is empty; write null to take the setting away")])
    words = [word.strip() for word in _split_at_commas(text)]
    if len(words) > 1 and not any(bracket in text for bracket in "[({\"'"):
        return node_of([read_scalar(word) for word in words], place, path)
    if "(" in text and all(CALL_OR_WORD.fullmatch(word) for word in words):
        return node_of([read_scalar(word) for word in words] if len(words) > 1 else words[0], place, path)
    node = parse_yaml(text, place, path=path)
    return relocated(node, place)


def _split_at_commas(text: str) -> list[str]:
    """The parts between the commas that are in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _renamed(node: Node, path: str) -> Node:
    """The same tree under another path, each value at its old place."""
    value = node.value
    if isinstance(value, list):
        value = [_renamed(item, f"{path}[{i}]") for i, item in enumerate(value)]
    elif isinstance(value, dict):
        value = {key: _renamed(item, f"{path}.{key}") for key, item in value.items()}
    return replace(node, value=value, path=path)


def relocated(node: Node, place: str) -> Node:
    """The same tree with one place for all its values."""
    return node_of(node.plain(), place, node.path)


def node_of(value: object, place: str, path: str = "", depth: int = 0) -> Node:
    """A tree from plain Python values; NumPy's arrays and numbers count as lists and numbers.

    Raises
    ------
    ConfigError
        If it is nested too deep, as what contains itself is.
    """
    if depth > MAX_DEPTH:
        raise ConfigError([Problem(place=place, message=f"nested more than {MAX_DEPTH} deep")])
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        inner = {str(k): node_of(v, place, f"{path}.{k}" if path else str(k), depth + 1) for k, v in value.items()}
        return Node(value=inner, place=place, path=path, key_place=place)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = [node_of(item, place, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        return Node(value=items, place=place, path=path, key_place=place)
    return Node(value=value, place=place, path=path, key_place=place)
