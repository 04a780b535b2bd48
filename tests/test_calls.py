"""The grammar of values: accepted text, the places of errors, and the time that hostile text takes."""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momentumlab.calls import MAX_DEPTH, MAX_LENGTH, Call, CallError, NamedCall, build, parse, read
from momentumlab.datasets.builtin import DATA_SETS
from momentumlab.experiment import START_CALLS
from momentumlab.noise import NOISE_MODELS
from momentumlab.parameters import Parameter, ValueKind, parameter
from momentumlab.registry import Registry
from momentumlab.schedules import SCHEDULES

REGISTRIES: dict[str, Registry[Any]] = {
    registry.noun: registry for registry in (SCHEDULES, NOISE_MODELS, START_CALLS, DATA_SETS)
}


@dataclass(frozen=True, kw_only=True)
class Example(NamedCall):
    """A call with a parameter of every kind."""

    number: float = parameter(gt=0, lt=10, doc="")
    count: int = parameter(1, ge=1, doc="")
    flag: bool = parameter(False, doc="")
    word: str = parameter("slow", choices=("slow", "fast"), aliases=("speed",), by_name=True, doc="")
    steps: tuple[tuple[int, float], ...] = parameter(((0, 1.0),), kind=ValueKind.STEPS, doc="")

    name = "example"


EXAMPLES: Registry[Example] = Registry("example")
EXAMPLES.register("example", Example)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("010", 10),
        ("-1_000", -1000),
        ("optax", "optax"),
        ("true", True),
        ("'a, (b'", "a, (b"),
        ("[0, 0.9]", [0, 0.9]),
        ("0, 0.9", [0, 0.9]),
        ("((1, 2), [3])", [[1, 2], [3]]),
        ("{0: 0.9, 50: lambda}", {0: 0.9, 50: "lambda"}),
        (" [\n1 ,\t2 ] ", [1, 2]),
        ("9" * 5000, float("inf")),
    ],
)
def test_values_are_read(text: str, value: object) -> None:
    assert parse(text).plain() == value


def test_a_call_contains_its_arguments_and_their_columns() -> None:
    call = parse("f(1, g(2), if='x')").value
    assert isinstance(call, Call)
    assert (call.name, call.column, [each.column for each in call.positional]) == ("f", 0, [2, 5])
    assert call.positional[1].value.name == "g"
    assert [(key, each.value, each.column) for key, each in call.named] == [("if", "x", 14)]


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "a value is missing", 1),
        ("f(1 2)", "a comma is missing before '2'", 5),
        ("f(1-1)", "a comma is missing before '-1'", 4),
        ("f(1", "'(' is not closed", 2),
        ("f(1]", "unexpected ']'", 4),
        ("1)", "unexpected ')'", 2),
        ("f(,1)", "a value is missing before ','", 3),
        ("f(a=)", "a value is missing before ')'", 5),
        ("f(1 + x)", "unexpected '+'", 5),
        ("f()()", "unexpected '('", 4),
        ("a[0]", "unexpected '['", 2),
        ("f(not x)", "a comma is missing before 'x'", 7),
        ("1.2.3", "'1.2.3' is not a number", 1),
        ("-x", "'-x' is not a number", 1),
        ("nan(1)", "nan is not a name", 1),
        ("{1: 2, 1: 3}", "two values for 1", 8),
        ("{1, 2}", "not a valid value", 1),
        ("f(a=1, 2)", "an argument without a name follows one with a name", 9),
        ("f(é)", "unexpected 'é'", 3),
    ],
)
def test_invalid_values_are_reported_at_their_column(text: str, message: str, column: int) -> None:
    with pytest.raises(CallError) as caught:
        parse(text)
    assert (caught.value.message, caught.value.column + 1) == (message, column)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("exmple(1)", "unknown example 'exmple' (did you mean 'example'?)", 1),
        ("example()", "example(number, count, flag, word, steps) lacks number", 1),
        ("example(0)", "example(): number = 0 is outside 0 < number < 10", 9),
        ("example(true)", "example(): number = true is not a number", 9),
        ("example(nan)", "example(): number = nan is not a finite number", 9),
        ("example(g(1))", "example(): number must be a number, not a call", 9),
        ("example(1, 1.5)", "example(): count = 1.5 is not a whole number", 12),
        ("example(1, 0)", "example(): count = 0 is outside 1 ≤ count", 12),
        ("example(1, flag=yes)", "example(): flag = 'yes' is neither true nor false", 17),
        ("example(1, word=fats)", "word = 'fats' is not slow or fast (did you mean 'fast'?)", 17),
        ("example(1, wrd=fast)", "has no argument 'wrd' (did you mean 'word'?)", 16),
        ("example(1, word=fast, speed=slow)", "has two values for 'speed'", 29),
        ("example(1, number=2)", "has two values for 'number'", 19),
        ("example(1, steps={1: 2})", "the keys must begin with 0 and increase", 18),
        ("example(1, 1, true, slow, {0: 1}, 6)", "takes 5 arguments, not 6", 35),
        ("'example'", "invalid example ''example'': write a call such as example(number, count", 1),
    ],
)
def test_a_wrong_call_names_the_argument_its_column_and_a_remedy(text: str, message: str, column: int) -> None:
    with pytest.raises(CallError) as caught:
        read(text, EXAMPLES)
    assert message in caught.value.message
    assert caught.value.column + 1 == column


SCALARS = st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300, max_value=9.9)
OBJECTS = st.builds(
    Example,
    number=SCALARS,
    count=st.integers(1, 10**9),
    word=st.sampled_from(["slow", "fast"]),
    steps=st.lists(SCALARS, min_size=1, max_size=5).map(lambda values: tuple(enumerate(values))),
)


@given(OBJECTS)
def test_the_canonical_spelling_reads_back(example: Example) -> None:
    assert read(str(example), EXAMPLES) == example


ATOMS = ["0", "-1", "1e-3", "x", "optax", "'a b'", "nan", "lambda", "f", "=", ":", ",", "+", "**", ";", "é", "\\", " "]
TEXTS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.tuples(st.sampled_from(["f({})", "[{}]", "{{{}: 1}}", "({}", "{})", "{}, {}"]), inner, inner).map(
        lambda parts: parts[0].format(*parts[1:])
    ),
    max_leaves=30,
)


@given(TEXTS | st.text(max_size=60))
def test_any_text_is_a_value_or_one_clear_error(text: str) -> None:
    problem = None
    try:
        written = parse(text)
        if isinstance(written.value, Call):
            build(written.value, SCHEDULES)
    except CallError as error:
        problem = error
    assert problem is None or (problem.message and 0 <= problem.column <= len(text))


HOSTILE = {
    "open brackets": "(" * 50_000,
    "open lists": "[" * (MAX_LENGTH - 1),
    "nested calls": "f(" * 4000,
    "signs": "-" * (MAX_LENGTH - 1) + "1",
    "a difference": "1" + "-1" * 4000,
    "negations": "not " * 2000 + "x",
    "lambdas": "lambda:" * 1000 + "x",
    "calls of calls": "f" + "()" * 4000,
    "subscripts": "a" + "[0]" * 3000,
    "powers": "9**" * 3000 + "9",
    "conditions": "x if x else " * 500 + "x",
    "mappings": "{1:" * 3000 + "}" * 3000,
    "digits": "9" * 50_000,
    "words": "a" * 50_000,
    "null characters": "\0" * 5000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_in_milliseconds(text: str) -> None:
    clock = time.process_time()
    with pytest.raises(CallError):
        parse(text)
    assert time.process_time() - clock < 0.05


def test_the_deepest_nesting_is_read() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH).plain() is not None


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_every_entry_describes_its_parameters(registry: Registry[Any]) -> None:
    for name, cls in registry.items():
        assert cls.name == name
        assert cls.__doc__
        for each in cls.parameters():
            assert isinstance(each, Parameter)
            assert each.doc
            if each.default is not None:
                assert (
                    each.checked(dict(each.default) if each.kind is ValueKind.STEPS else each.default) == each.default
                )
