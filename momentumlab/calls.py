"""The grammar of values: numbers, words, lists, mappings and calls, in YAML, on the command line and in Python.

``0.1``, ``[0, 0.9]``, ``linspace(0, 1, 5)``, ``warmup(10, cosine(0.1, over=90))``, ``piecewise({0: 0.9, 50: 0.5})``

Numbers are decimal: ``1e-3``, ``1_000``, and ``010`` is ten. A text is first split into tokens, which bounds its length
and nesting and finds most mistakes; then Python's `ast` parses it. Nothing is evaluated.
"""

import ast
import dataclasses
import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from momentumlab.errors import UnknownNameError
from momentumlab.parameters import Parameter, ValueKind, parameters_of, spelled
from momentumlab.registry import Registry, did_you_mean

MAX_LENGTH = 10_000
"""The maximum length of a value, in characters."""

MAX_DEPTH = 12
"""The maximum nesting of brackets in a value."""

# Possessive quantifiers (++): with backtracking a word of 10 000 digits would take seconds.
NUMBER = re.compile(r"[-+]?(\d++(_\d++)*+(\.\d*+)?|\.\d++)([eE][-+]?\d++)?", re.ASCII)
WORDS: dict[str, float | bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN", "nan", "NaN"), math.nan),
    **dict.fromkeys((".inf", "+.inf", "inf", "Infinity"), math.inf),
    **dict.fromkeys(("-.inf", "-inf", "-Infinity"), -math.inf),
}

TOKEN = re.compile(
    r"""(?P<space>[\s\xa0]+)
      | (?P<number>[-+]?\.?\d(?:[eE][-+]|[\w.])*+)
      | (?P<word>[-+]?\.?[A-Za-z_]\w*)
      | (?P<string>"[^"\\\n]*"|'[^'\\\n]*')
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<sign>[,=:])
      | (?P<other>.)""",
    re.ASCII | re.VERBOSE | re.DOTALL,
)
CLOSING = {"(": ")", "[": "]", "{": "}"}
ENDS_A_VALUE = ("number", "word", "string", "close")

Named = TypeVar("Named", bound="NamedCall")


class CallError(ValueError):
    """A value that cannot be read.

    Attributes
    ----------
    message
        What is wrong.
    column
        Where, counted from 0.
    """

    def __init__(self, message: str, column: int) -> None:
        self.message = message
        self.column = column
        super().__init__(f"{message} (column {column + 1})")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A value and the column where it is written.

    Attributes
    ----------
    value
        ``None``, a bool, a number, a string, a tuple of `Written`, a dict of `Written` by key, or a `Call`.
    """

    value: Any
    column: int

    def plain(self) -> Any:
        """Return the value without columns."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


@dataclass(frozen=True, kw_only=True)
class Call:
    """``name(positional, …, key=named, …)``."""

    name: str
    column: int
    positional: tuple[Written, ...] = ()
    named: tuple[tuple[str, Written], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}(…)"


class NamedCall:
    """Base class of values that are written as calls: schedules, noise models, axes, starts and data sets.

    A subclass is a frozen dataclass whose fields are declared with `momentumlab.parameters.parameter`.
    """

    name: ClassVar[str]

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the declared arguments, in order."""
        return parameters_of(cls)

    def __str__(self) -> str:
        """Return the canonical spelling, which reads back as an equal object."""
        parts: list[str] = []
        by_name = False
        for parameter in self.parameters():
            value = getattr(self, parameter.name)
            by_name = by_name or parameter.by_name
            if parameter.is_variadic:
                parts += map(_spelled, value)
            elif value == parameter.default:
                by_name = True
            else:
                parts.append(f"{parameter.name}={_spelled(value)}" if by_name else _spelled(value))
        return f"{self.name}({', '.join(parts)})"


def _spelled(value: object) -> str:
    """Return the shortest text that reads back as the same argument."""
    if isinstance(value, tuple):
        return f"{{{', '.join(f'{k}: {_spelled(number)}' for k, number in value)}}}"
    return spelled(value) if isinstance(value, float) else str(value)


def read_scalar(text: str) -> bool | int | float | str | None:
    """Return the meaning of an unquoted word: a number, a flag, null, or the word itself."""
    if NUMBER.fullmatch(text):
        is_whole = text.lstrip("+-").replace("_", "").isdigit()
        return int(text) if is_whole and len(text) < 100 else float(text)
    return WORDS.get(text, text)


def parse(text: str) -> Written:
    """Read a value; ``0, 0.9`` is a list like ``[0, 0.9]``.

    Raises
    ------
    CallError
        If the text is not a value, is longer than `MAX_LENGTH`, or is nested deeper than `MAX_DEPTH`.
    """
    # Python's parser sees only brackets, commas and harmless leaves: it refuses 010, takes keywords for syntax, and
    # deep nesting can exhaust its stack.
    leaves, skeleton = _scan(text)
    if not skeleton.strip():
        raise CallError("a value is missing", 0)
    # The brackets make a list of '0, 0.9' and allow line breaks; they shift every column by one.
    try:
        tree = ast.parse(f"({skeleton})", mode="eval").body
    except SyntaxError as error:
        follows = error.msg.startswith("positional argument")
        message = "an argument without a name follows one with a name" if follows else "not a valid value"
        raise CallError(message, max(0, min(len(text), (error.offset or 1) - 2))) from None
    return _converted(tree, leaves)


def _scan(text: str) -> tuple[dict[int, Any], str]:
    """Split a text into leaves and a skeleton.

    Returns
    -------
    leaves
        The numbers, words and strings by their column.
    skeleton
        A text of the same length that is harmless for Python's parser: every number is ``0``, every string is empty,
        and no word is a keyword. Brackets are balanced and nested at most `MAX_DEPTH` deep; operators do not occur.
    """
    if len(text) > MAX_LENGTH:
        raise CallError(f"a value of {len(text):,} characters is longer than the limit of {MAX_LENGTH:,}", 0)
    leaves: dict[int, Any] = {}
    skeleton: list[str] = []
    brackets: list[tuple[str, int]] = []
    kind_before = before = ""
    for match in TOKEN.finditer(text):
        kind, token, column = str(match.lastgroup), match[0], match.start()
        if kind == "space":
            skeleton.append(" " * len(token))
            continue
        # Refuse neighbours that cannot follow each other; only then is Python's parser safe from nesting.
        is_leaf, follows_value = kind in ("number", "word", "string"), kind_before in ENDS_A_VALUE
        if is_leaf and follows_value:
            raise CallError(f"a comma is missing before {token if kind == 'string' else spelled(token)}", column)
        if kind == "other" or (kind == "open" and follows_value and (kind_before, token) != ("word", "(")):
            raise CallError(f"unexpected {token!r}", column)
        if (kind == "sign" and kind_before in ("", "open", "sign")) or (kind == "close" and before in ("=", ":")):
            raise CallError(f"a value is missing before '{token}'", column)
        # Match the brackets.
        if kind == "open":
            brackets.append((token, column))
            if len(brackets) > MAX_DEPTH:
                raise CallError(f"nested more than {MAX_DEPTH} deep", column)
        elif kind == "close" and (not brackets or CLOSING[brackets.pop()[0]] != token):
            raise CallError(f"unexpected '{token}'", column)
        kind_before, before = kind, token
        # Keep the leaves apart.
        if is_leaf:
            leaves[column], token = _leaf(kind, token, column)
        skeleton.append(token)
    if brackets:
        bracket, column = brackets[-1]
        raise CallError(f"'{bracket}' is not closed", column)
    return leaves, "".join(skeleton)


def _leaf(kind: str, text: str, column: int) -> tuple[Any, str]:
    """Return the value of a number, a word or a string, and a replacement of the same length for Python's parser."""
    if kind == "string":
        return text[1:-1], '""'.ljust(len(text))
    value = read_scalar(text)
    is_number = kind == "number" or text[0] in "+-."
    if is_number and isinstance(value, str):
        raise CallError(f"{spelled(text)} is not a number", column)
    if is_number:
        return value, "0".ljust(len(text))
    return value, text.upper() if keyword.iskeyword(text) else text


def _converted(node: ast.expr, leaves: Mapping[int, Any]) -> Written:
    column = max(0, node.col_offset - 1)  # without the bracket that `parse` puts before the text
    match node:
        case ast.Constant() | ast.Name():
            return Written(value=leaves[column], column=column)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return Written(value=tuple(_converted(item, leaves) for item in items), column=column)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            mapping: dict[Any, Written] = {}
            for key, item in zip((_converted(key, leaves) for key in keys if key), values, strict=True):
                if isinstance(key.value, (tuple, dict, Call)):
                    raise CallError("a key must be a number or a word", key.column)
                if key.value in mapping:
                    raise CallError(f"two values for {spelled(key.value)}", key.column)
                mapping[key.value] = _converted(item, leaves)
            return Written(value=mapping, column=column)
        case ast.Call(func=ast.Name() as function, args=arguments, keywords=keywords):
            name = leaves[function.col_offset - 1]
            if not isinstance(name, str):
                raise CallError(f"{spelled(name)} is not a name", column)
            call = Call(
                name=name,
                column=column,
                positional=tuple(_converted(argument, leaves) for argument in arguments),
                named=tuple((str(leaves[each.col_offset - 1]), _converted(each.value, leaves)) for each in keywords),
            )
            return Written(value=call, column=column)
    raise CallError("not a valid value", column)


def as_call(written: Written) -> Call | None:
    """Return a call, or a word as a call without arguments; ``None`` for any other value."""
    if isinstance(written.value, Call):
        return written.value
    return Call(name=written.value, column=written.column) if isinstance(written.value, str) else None


def usage(cls: type[NamedCall]) -> str:
    """Return the signature of a call: ``cosine(start, end, over)``."""
    names = [f"{parameter.name}, …" if parameter.is_variadic else parameter.name for parameter in cls.parameters()]
    return f"{cls.name}({', '.join(names)})"


def bind(call: Call, cls: type[Named], *, within: Registry[Any] | None = None) -> Named:
    """Return the object that a call describes.

    Parameters
    ----------
    call
        Its arguments, by position or by name.
    cls
        The class, which declares the parameters.
    within
        The registry of calls that may be arguments: schedules of a schedule.

    Raises
    ------
    CallError
        If an argument is missing, unknown, given twice, of another kind or out of bounds.
    """
    parameters = cls.parameters()
    names = {word: parameter for parameter in parameters for word in parameter.words}
    given: dict[str, Written] = {}
    # Positional arguments first, as in Python: they take the parameters in order, the variadic one takes the rest.
    for i, argument in enumerate(call.positional):
        if parameters and parameters[-1].is_variadic and i >= len(parameters) - 1:
            rest = call.positional[i:]
            given[parameters[-1].name] = Written(value=rest, column=argument.column)
            break
        if i == len(parameters):
            count = f"{i} argument{'s' * (i != 1)}"
            raise CallError(f"{usage(cls)} takes {count}, not {len(call.positional)}", argument.column)
        given[parameters[i].name] = argument
    # Arguments by name, under any alias; a variadic parameter cannot be named.
    for key, argument in call.named:
        if key not in names or names[key].is_variadic:
            raise CallError(f"{usage(cls)} has no argument '{key}'{did_you_mean(key, names)}", argument.column)
        if names[key].name in given:
            raise CallError(f"{usage(cls)} has two values for '{key}'", argument.column)
        given[names[key].name] = argument
    # Values are checked last and in the order of declaration: a wrong number of arguments is the more helpful message.
    missing = [parameter.name for parameter in parameters if parameter.required and parameter.name not in given]
    if missing:
        raise CallError(f"{usage(cls)} lacks {' and '.join(missing)}", call.column)
    values = {
        parameter.name: _argument(cls, parameter, given[parameter.name], within)
        for parameter in parameters
        if parameter.name in given
    }
    return cls(**values)


def _argument(cls: type[NamedCall], parameter: Parameter, written: Written, within: Registry[Any] | None) -> Any:
    """Return the checked value of an argument."""
    if isinstance(written.value, Call):
        if parameter.kind is ValueKind.SCHEDULE and within is not None:
            return build(written.value, within)
        raise CallError(f"{cls.name}(): {parameter.name} must be {parameter.kind.value}, not a call", written.column)
    try:
        if parameter.is_variadic:
            each = dataclasses.replace(parameter, is_variadic=False)
            return tuple(_argument(cls, each, item, within) for item in written.value)
        return parameter.checked(written.plain())
    except CallError:
        raise
    except ValueError as error:
        raise CallError(f"{cls.name}(): {parameter.name} = {error}", written.column) from None


def build(call: Call, registry: Registry[Any]) -> Any:
    """Return the object that a call describes, of a class of a registry.

    Raises
    ------
    CallError
        If there is no entry of that name, or as `bind` does.
    """
    try:
        cls = registry[call.name]
    except UnknownNameError as error:
        raise CallError(str(error), call.column) from None
    return bind(call, cls, within=registry)


def read(text: str, registry: Registry[Any]) -> Any:
    """Return the object that a text describes, of a class of a registry.

    Raises
    ------
    CallError
        If the text is not a call of one of the entries.
    """
    written = parse(text)
    if not isinstance(written.value, Call):
        remedy = f"write a call such as {usage(next(iter(registry.values())))}"
        raise CallError(f"invalid {registry.noun} {spelled(text.strip())}: {remedy}", written.column)
    return build(written.value, registry)
