"""From text to a schedule: ``warmup(10, cosine(0.1, 0.001))``, ``piecewise({0: 0.9, 50: 0.5})``.

The grammar, in which spaces mean nothing::

    call     = name "(" [ argument { "," argument } ] ")"
    argument = [ name "=" ] value
    value    = number | word | call | "{" number ":" number { "," number ":" number } "}"
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from momentumlab.config.tree import read_scalar
from momentumlab.errors import UnknownNameError
from momentumlab.experiment import Stopping
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Parameter, did_you_mean
from momentumlab.schedules import SCHEDULES, Argument, Kind, Schedule, within

MAX_DEPTH = 10
"""How deep schedules may be nested."""

MAX_COUNT = 10**9

AXIS_NAMES = ("linspace", "geomspace", "arange")

TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[-+]?[.0-9][0-9_.]*(?:[eE][-+]?\d+)?)|(?P<sign>\S))"
)
CALLED = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*\(")

Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class _Token:
    text: str
    kind: str
    column: int


@dataclass(frozen=True, kw_only=True)
class _Given:
    """A value of an argument, and the column at which it is written."""

    value: "float | str | Steps | Schedule"
    column: int


def called_name(text: str) -> str | None:
    """The name before the first bracket, if the text begins as a call does."""
    match = CALLED.match(text)
    return match[1] if match else None


def is_schedule(text: object) -> bool:
    """Whether something is text that begins as the call of a schedule does."""
    return isinstance(text, str) and called_name(text) in SCHEDULES


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Raises
    ------
    ValueError
        If it is none, with what is wrong and at which character.
    """
    reader = _Reader(text)
    schedule = reader.schedule(reader.take("word"), depth=1)
    if reader.next.kind != "end":
        raise reader.error(f"'{reader.next.text}' follows the end of the schedule")
    return schedule


def read_listed(value: object) -> object:
    """A value of a list: the schedule, where it is spelled as a call, or else the value as it is.

    Raises
    ------
    ValueError
        If it is a call, but of no schedule.
    """
    name = called_name(value) if isinstance(value, str) else None
    if name in AXIS_NAMES:
        raise ValueError(f"{name}() is an axis of its own, not one of the values in a list")
    return parse_schedule(str(value)) if name is not None else value


def schedule_problem(owner: str, parameter: Parameter, schedule: Schedule, stopping: Stopping) -> str:
    """What is wrong with a schedule for a parameter; empty if nothing is.

    Parameters
    ----------
    owner
        The name of the optimizer or the surface.
    parameter
        What would follow the schedule.
    schedule, stopping
        How, and for how long.
    """
    if owner not in OPTIMIZERS or parameter.shared:
        return f"{parameter.name} of {owner} cannot follow a schedule: the hyperparameters of optimizers alone can"
    if parameter.constant:
        return f"{parameter.name} of {owner} cannot follow a schedule: {parameter.constant}"
    outside = schedule.first_outside(stopping.iterations, lambda value: within(parameter, value))
    if outside is not None:
        iteration, value = outside
        return f"the schedule {schedule} reaches {value:.6g} at iteration {iteration}; needed is {parameter.bounds}"
    first = schedule.value(np.zeros(1), stopping.iterations)[0]
    if parameter.name == "lr" and first == 0 and stopping.tolerance is not None:
        return (
            f"the schedule {schedule} begins with 0: the first iteration changes nothing, and so meets the tolerance; "
            "begin above 0, as in warmup(10, 0.1, start=0.001), or set another test of convergence"
        )
    return ""


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.tokens = [
            _Token(
                text=match[match.lastgroup or 0], kind=str(match.lastgroup), column=match.start(match.lastgroup or 0)
            )
            for match in TOKEN.finditer(text)
        ]
        self.tokens.append(_Token(text="the end", kind="end", column=len(text)))

    @property
    def next(self) -> _Token:
        return self.tokens[0]

    def error(self, message: str, column: int | None = None) -> ValueError:
        return ValueError(f"{message} (character {(self.next.column if column is None else column) + 1})")

    def is_sign(self, sign: str) -> bool:
        """Whether this sign follows; then it is passed over."""
        found = self.next.kind == "sign" and self.next.text == sign
        if found:
            self.tokens.pop(0)
        return found

    def sign(self, sign: str) -> None:
        if not self.is_sign(sign):
            raise self.error(f"'{sign}' is missing before {self.told()}")

    def told(self) -> str:
        return self.next.text if self.next.kind == "end" else f"'{self.next.text}'"

    def take(self, kind: str) -> _Token:
        if self.next.kind != kind:
            raise self.error(f"a {'name' if kind == 'word' else kind} is missing before {self.told()}")
        return self.tokens.pop(0)

    def number(self) -> float:
        token = self.take("number")
        value = read_scalar(token.text)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(float(value)):
            raise self.error(f"'{token.text}' is not a number", token.column)
        return value

    def schedule(self, name: _Token, depth: int) -> Schedule:
        """A call, after its name."""
        if depth > MAX_DEPTH:
            raise self.error(f"schedules are nested more than {MAX_DEPTH} deep", name.column)
        try:
            cls = SCHEDULES[name.text]
        except UnknownNameError as error:
            if name.text in AXIS_NAMES:
                raise self.no_axis(name.column) from None
            raise self.error(str(error), name.column) from None
        declared = cls.parameters()
        usage = f"{cls.name}({', '.join(argument.name for argument in declared)})"
        given: dict[str, _Given] = {}
        self.sign("(")
        while not self.is_sign(")"):
            if given:
                self.sign(",")
            key, value = self.argument(depth)
            if key is None and len(given) == len(declared):
                raise self.error(f"{usage} takes {len(declared)} arguments", value.column)
            if key is None and list(given) != [argument.name for argument in declared[: len(given)]]:
                raise self.error("an argument without a name follows one with a name", value.column)
            chosen = declared[len(given)].name if key is None else key
            names = [argument.name for argument in declared]
            if chosen in given:
                raise self.error(f"{usage} has two values for '{chosen}'", value.column)
            if chosen not in names:
                raise self.error(f"{usage} has no argument '{chosen}'{did_you_mean(chosen, names)}", value.column)
            given[chosen] = value
        missing = [argument.name for argument in declared if argument.default is None and argument.name not in given]
        if missing:
            raise self.error(f"{usage} lacks {' and '.join(missing)}", name.column)
        return cls(**{a.name: self.checked(cls.name, a, given[a.name]) for a in declared if a.name in given})

    def argument(self, depth: int) -> tuple[str | None, _Given]:
        """One argument and its name, if it is given by it."""
        if self.next.kind == "word" and self.tokens[1].text == "=":
            key = self.take("word").text
            self.sign("=")
            return key, self.value(depth)
        return None, self.value(depth)

    def value(self, depth: int) -> _Given:
        column = self.next.column
        if self.next.kind == "word":
            word = self.take("word")
            if self.next.text == "(":
                return _Given(value=self.schedule(word, depth + 1), column=column)
            return _Given(value=word.text, column=column)
        if self.is_sign("{"):
            return _Given(value=self.steps(), column=column)
        if self.next.text == "[":
            raise self.no_axis(column)
        return _Given(value=self.number(), column=column)

    def steps(self) -> Steps:
        """The pairs of a mapping, after its bracket."""
        pairs: list[tuple[float, float]] = []
        while not self.is_sign("}"):
            if pairs:
                self.sign(",")
            key = self.number()
            self.sign(":")
            pairs.append((key, self.number()))
        return tuple(pairs)

    def no_axis(self, column: int) -> ValueError:
        remedy = "list whole schedules instead, as in [cosine(0.1), cosine(0.2)]"
        return self.error(f"an argument of a schedule has one value; {remedy}", column)

    def checked(self, name: str, argument: Argument, given: _Given) -> object:
        """The value of an argument, if it is of the right kind and within its bounds."""
        value, wanted = given.value, f"{name}(): {argument.name} must be"
        if argument.kind is Kind.WORD:
            if value not in argument.choices:
                hint = did_you_mean(str(value), argument.choices)
                raise self.error(f"{wanted} {' or '.join(argument.choices)}{hint}", given.column)
            return value
        if argument.kind is Kind.STEPS:
            return self.checked_steps(wanted, value, given.column)
        if argument.kind is Kind.SCHEDULE and isinstance(value, Schedule):
            return value
        if not isinstance(value, (int, float)):
            raise self.error(f"{wanted} {argument.kind.value}", given.column)
        if argument.kind is Kind.COUNT and not _is_count(value):
            raise self.error(f"{wanted} a whole number of at most {MAX_COUNT:,}", given.column)
        if not argument.allows(value):
            raise self.error(f"{name}() needs {argument.bounds}, not {value:g}", given.column)
        return int(value) if argument.kind is Kind.COUNT else float(value)

    def checked_steps(self, wanted: str, value: object, column: int) -> tuple[tuple[int, float], ...]:
        if not isinstance(value, tuple) or not value:
            raise self.error(f"{wanted} {Kind.STEPS.value}", column)
        times = [time for time, _ in value]
        if not all(map(_is_count, times)) or times[0] != 0 or any(b <= a for a, b in itertools.pairwise(times)):
            raise self.error(f"{wanted} {Kind.STEPS.value}: whole numbers that begin with 0 and grow", column)
        return tuple((int(time), float(number)) for time, number in value)


def _is_count(value: float) -> bool:
    return value == int(value) and 0 <= value <= MAX_COUNT


def schedules_hint(name: str, others: Mapping[str, object]) -> str:
    """A suggestion for a misspelt name of a schedule or of something else."""
    return did_you_mean(name, [*SCHEDULES, *others])
