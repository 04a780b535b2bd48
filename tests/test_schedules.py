"""Values of schedules, agreement with other libraries, canonical spelling, and bounds."""

import itertools
import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momentumlab import load
from momentumlab.config.values import read_schedule
from momentumlab.errors import ConfigError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.report.entries import describe
from momentumlab.schedules import SCHEDULES
from momentumlab.schedules.sequences import TABULATED
from tests.golden.schedules import ARCHIVE, CASES, ITERATIONS, PATHS, Case

RECORDED = np.load(ARCHIVE, allow_pickle=False)

BUDGET = 40


def _sequence_ratio(k: int) -> float:
    theta = 1.0
    for _ in range(k):
        theta = (1 + math.sqrt(1 + 4 * theta**2)) / 2
    return (theta - 1) / ((1 + math.sqrt(1 + 4 * theta**2)) / 2)


# Our spelling, and the value after k updates in plain arithmetic, one number at a time.
EXAMPLES: dict[str, Callable[[int], float]] = {
    "cosine(0.1, 0.001)": lambda k: 0.001 + 0.099 * (1 + math.cos(math.pi * min(k / 40, 1))) / 2,
    "cosine(0.1, over=7)": lambda k: 0.1 * (1 + math.cos(math.pi * min(k / 7, 1))) / 2,
    "linear(0.5, 0.95, over=10)": lambda k: 0.5 + 0.045 * min(k, 10),
    "linear(1)": lambda k: 1 - min(k / 40, 1),
    "polynomial(0.3, 0.1, power=3)": lambda k: 0.1 + 0.2 * (1 - min(k / 40, 1)) ** 3,
    "exponential(0.1, 0.99)": lambda k: 0.1 * 0.99**k,
    "step(0.1, factor=0.5, every=20)": lambda k: 0.1 * 0.5 ** (k // 20),
    "step(2)": lambda k: 2 * 0.1 ** (k // 30),
    "inverse(0.1, k=0.01)": lambda k: 0.1 / (1 + 0.01 * k),
    "inverse(0.1, k=0.5, power=0.5)": lambda k: 0.1 / math.sqrt(1 + 0.5 * k),
    "warmup(10, 0.2)": lambda k: 0.02 * min(k, 10),
    "warmup(10, cosine(0.1, 0.001), start=0.01)": lambda k: (
        0.01 + 0.009 * k if k < 10 else 0.001 + 0.099 * (1 + math.cos(math.pi * min((k - 10) / 30, 1))) / 2
    ),
    "warmup(50, warmup(5, 0.1))": lambda k: 0.0 if k < 50 else 0.02 * min(k - 50, 5),
    "warmup(0.25, cosine(0.1, over=0.5))": lambda k: (
        0.01 * k if k < 10 else 0.1 * (1 + math.cos(math.pi * min((k - 10) / 15, 1))) / 2
    ),
    "step(1, every=0.1)": lambda k: 0.1 ** (k // 4),
    "wsd(0.5)": lambda k: _wsd(k, 2, 32, 40, lambda u: 1 - math.sqrt(u)) / 2,
    "wsd(1, 0.1, warmup=10, decay=0.5, form=linear)": lambda k: _wsd(k, 10, 20, 40, lambda u: 1 - 0.9 * u),
    "wsd(1, warmup=4, decay=12, form=cosine, over=30)": lambda k: _wsd(
        k, 4, 18, 30, lambda u: (1 + math.cos(math.pi * u)) / 2
    ),
    "wsd(1, warmup=30, decay=0.9, form=linear)": lambda k: _wsd(k, 30, 30, 40, lambda u: 1 - u),
    "piecewise({0: 0.9, 50: 0.5})": lambda k: 0.9 if k < 50 else 0.5,
    "piecewise({0: 0.2, 10: 0.4, 14: 0.1}, between=linear)": lambda k: float(
        np.interp(k, [0, 10, 14], [0.2, 0.4, 0.1])
    ),
    "piecewise({0: 0.2, 10: 0.4}, between=cosine)": lambda k: 0.3 - 0.1 * math.cos(math.pi * min(k / 10, 1)),
    "nesterov_sequence()": lambda k: k / (k + 3),
    "nesterov_sequence(rule=t_k)": _sequence_ratio,
    "onecycle(0.1)": lambda k: _onecycle(0.1, k, 0.3 * 40 - 1, 39),
    "onecycle(0.1, over=33)": lambda k: _onecycle(0.1, k, 0.3 * 33 - 1, 32),
    "onecycle(0.1, over=30, dialect=optax)": lambda k: _onecycle(0.1, k, 9, 30),
}

every_example = pytest.mark.parametrize("text", EXAMPLES)


def _wsd(k: int, warmup: int, decays: int, ends: int, form: Callable[[float], float]) -> float:
    if k < warmup:
        return k / warmup
    return 1.0 if k < decays else form(min((k - decays) / (ends - decays), 1.0))


def _onecycle(peak: float, k: int, turn: float, end: float) -> float:
    first, last = peak / 25, peak / 25 / 1e4
    if k <= turn:
        return first + (peak - first) * (1 - math.cos(math.pi * k / turn)) / 2
    return peak + (last - peak) * (1 - math.cos(math.pi * (min(k, end) - turn) / (end - turn))) / 2


# Values


@every_example
def test_values_equal_the_formula(text: str) -> None:
    k = np.arange(60.0)
    expected = [EXAMPLES[text](int(each)) for each in k]
    np.testing.assert_allclose(read_schedule(text).value(k, BUDGET), expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_values_equal_the_recorded_ones_of_the_library(case: Case) -> None:
    values = read_schedule(case.text).value(np.arange(case.recorded, dtype=np.float64), ITERATIONS)
    np.testing.assert_allclose(values, RECORDED[case.key], rtol=1e-12, atol=1e-18)


def test_every_case_and_nothing_else_is_recorded() -> None:
    assert {case.key for case in CASES} | {case.key for case in PATHS} == set(RECORDED) - {"versions"}


def test_every_schedule_has_an_example_and_every_claimed_agreement_is_recorded() -> None:
    shown = {text.partition("(")[0] for text in EXAMPLES}
    recorded = {case.text.partition("(")[0] for case in CASES}
    claiming = {name for name, cls in SCHEDULES.items() if "agrees with" in cls.source}
    assert shown == set(SCHEDULES)
    assert claiming <= recorded


@every_example
def test_first_and_last_values_are_exact(text: str) -> None:
    """So that a bound is not passed by rounding."""
    schedule = read_schedule(text)
    for name, k in (("start", 0), ("end", BUDGET)):
        if hasattr(schedule, name) and not text.startswith(("exponential", "step", "inverse")[: 3 * (name == "end")]):
            value = schedule.value(np.array([float(k)]), BUDGET)[0]
            assert value == getattr(schedule, name)


@every_example
def test_a_value_does_not_depend_on_other_requested_values(text: str) -> None:
    schedule = read_schedule(text)
    together = schedule.value(np.arange(60.0), BUDGET)
    alone = [schedule.value(np.array([float(k)]), BUDGET)[0] for k in range(60)]
    np.testing.assert_allclose(together, alone, rtol=1e-15)
    assert schedule.value(np.arange(60.0).reshape(3, 20), BUDGET).tolist() == together.reshape(3, 20).tolist()


@pytest.mark.parametrize("k", [0, 1, 10, 150])
def test_nesterov_sequence_is_accurate_to_rounding(k: int) -> None:
    with localcontext() as context:
        context.prec = 50
        theta = Decimal(1)
        for _ in range(k):
            theta = (1 + (1 + 4 * theta * theta).sqrt()) / 2
        exact = (theta - 1) / ((1 + (1 + 4 * theta * theta).sqrt()) / 2)
    value = read_schedule("nesterov_sequence(rule=t_k)").value(np.array([float(k)]), BUDGET)[0]
    assert abs(Decimal(value) - exact) < Decimal("4e-16")


def test_nesterov_sequence_is_continuous_beyond_its_table() -> None:
    theta, ratios, wanted = 1.0, {}, {TABULATED - 2, TABULATED - 1, TABULATED, TABULATED + 1, 200_000, 400_000}
    for k in range(400_001):
        following = (1 + math.sqrt(1 + 4 * theta * theta)) / 2
        if k in wanted:
            ratios[k] = (theta - 1) / following
        theta = following
    values = read_schedule("nesterov_sequence(rule=t_k)").value(np.array(sorted(wanted), dtype=np.float64), 10**9)
    np.testing.assert_allclose(values, [ratios[k] for k in sorted(wanted)], rtol=0, atol=3e-16)


# Spelling


@every_example
def test_the_canonical_spelling_reads_back(text: str) -> None:
    schedule = read_schedule(text)
    assert str(schedule) == text
    assert read_schedule(str(schedule)) == schedule
    assert hash(read_schedule(str(schedule))) == hash(schedule)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cosine( 1e-1 ,end = 1e-3)", "cosine(0.1, 0.001)"),
        ("cosine(start=0.1, over=1e2)", "cosine(0.1, over=100)"),
        ("linear(0.5, 0.0, 0)", "linear(0.5)"),
        ("exp(0.1,.9)", "exponential(0.1, 0.9)"),
        ("step(0.1, every=1_000)", "step(0.1, every=1000)"),
        (
            "warmup(over=3,then=piecewise({0:1,5:2},between=cosine))",
            "warmup(3, piecewise({0: 1, 5: 2}, between=cosine))",
        ),
        ("linear(0.1000000000000000055, 0.30000000000000004)", "linear(0.1, 0.30000000000000004)"),
    ],
)
def test_other_spellings_are_read(text: str, canonical: str) -> None:
    assert str(read_schedule(text)) == canonical


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(1, 10**9),
)
def test_every_number_reads_back_exactly(start: float, end: float, over: int) -> None:
    schedule = SCHEDULES["linear"](start, end, over)  # type: ignore[call-arg]
    assert read_schedule(str(schedule)) == schedule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cosin(0.1)", "unknown axis or schedule 'cosin' (did you mean 'cosine'?)"),
        ("warmup(10, cosin(0.1))", "(did you mean 'cosine'?); 'momentumlab list schedules' shows all (column 12)"),
        ("cosine()", "cosine(start, end, over) lacks start (column 1)"),
        ("cosine(0.1", "'(' is not closed (column 7)"),
        ("cosine(0.1,", "'(' is not closed (column 7)"),
        ("cosine(0.1))", "unexpected ')' (column 12)"),
        ("cosine(0.1 0.2)", "a comma is missing before '0.2' (column 12)"),
        ("cosine(0.1, endd=0.2)", "has no argument 'endd' (did you mean 'end'?) (column 18)"),
        ("cosine(0.1, start=0.2)", "has two values for 'start'"),
        ("cosine(0.1, 0, 0, 1)", "takes 3 arguments, not 4 (column 19)"),
        ("step(factor=0.5, 0.1)", "an argument without a name follows one with a name (column 21)"),
        ("cosine(0.1, over=1.5)", "cosine(): over = "),
        ("cosine(0.1, over=-3)", "cosine(): over = "),
        ("exponential(0.1, 0)", "exponential(): factor = 0 is outside 0 < factor (column 18)"),
        ("exponential(0.1, nan)", "factor = nan is not a finite number"),
        ("exponential(0.1, 1e999)", "factor = inf is not a finite number (column 18)"),
        ("cosine(1.2.3)", "'1.2.3' is not a number (column 8)"),
        ("cosine(true)", "cosine(): start = true is not a number"),
        ("cosine(cosine(0.1))", "cosine(): start must be a number, not a call"),
        ("cosine([0.1, 0.2])", "cosine(): start = [0.1, 0.2] is not a number (column 8)"),
        ("cosine(linspace(0, 1, 5))", "cosine(): start must be a number, not a call (column 8)"),
        ("nesterov_sequence(rule=tk)", "rule = 'tk' is not simple or t_k (did you mean 't_k'?)"),
        ("piecewise(0.9)", "values = 0.9 is not a mapping such as {0: 0.9, 50: 0.5}"),
        ("piecewise({})", "values = {} is not a mapping"),
        ("piecewise({1: 0.9})", "the keys must begin with 0 and increase"),
        ("piecewise({0: 0.9, 5: 0.1, 5: 0.2})", "two values for 5 (column 28)"),
        ("piecewise({0: 0.9, 2.5: 0.1})", "2.5 is not a whole number"),
        ("piecewise({0 0.9})", "a comma is missing before '0.9' (column 14)"),
        ("warmup(1, " * 13 + "0.1" + ")" * 13, "nested more than 12 deep"),
    ],
)
def test_invalid_schedules_are_reported_at_their_column(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        read_schedule(text)
    assert message in str(error.value)


@given(st.text(alphabet="cosinewarmup(){}[],.:=0123456789e+- \"'", max_size=60))
@settings(max_examples=300)
def test_any_text_is_a_schedule_or_one_clear_error(text: str) -> None:
    for attempt in (text, f"warmup({text})", f"piecewise({{{text}}})"):
        try:
            schedule = read_schedule(attempt)
        except ValueError as error:
            message = str(error)
        else:
            message = "(column 0)"
            assert read_schedule(str(schedule)) == schedule
        assert "(column " in message


# Bounds


@every_example
def test_between_its_turns_a_schedule_is_monotone(text: str) -> None:
    schedule = read_schedule(text)
    values = schedule.value(np.arange(70.0), BUDGET)
    ends = sorted({0, 69, *(k for k in schedule.turns(BUDGET) if 0 <= k < 70)})
    for first, last in itertools.pairwise(ends):
        steps = np.diff(values[first : last + 1])
        assert (steps >= -1e-16).all() or (steps <= 1e-16).all(), (first, last)


@given(st.sampled_from(sorted(EXAMPLES)), st.integers(0, 80), st.floats(0, 1), st.booleans())
@settings(max_examples=200)
def test_the_first_value_out_of_bounds_is_found(text: str, iterations: int, bound: float, is_upper: bool) -> None:
    schedule = read_schedule(text)
    values = schedule.value(np.arange(max(iterations, 1), dtype=np.float64), iterations)
    outside = np.flatnonzero(values > bound if is_upper else values < bound)
    found = schedule.first_outside(iterations, lambda value: bool(value <= bound if is_upper else value >= bound))
    if found is None or not len(outside):
        # Where a value is the bound itself, a scalar and an array may differ in the last digit.
        assert found is None or abs(found[1] - bound) < 1e-15
        assert not len(outside) or np.abs(values[outside] - bound).max() < 1e-15
    elif abs(values[outside[0]] - bound) > 1e-15:
        assert found[0] == outside[0] + 1


def test_the_bounds_of_a_very_long_run_are_checked_quickly() -> None:
    schedule = read_schedule("warmup(1000, linear(0.5, 1.5))")
    found = schedule.first_outside(10**9, lambda value: bool(value < 1))
    assert found is not None
    assert found[0] == 1000 + (10**9 - 1000) // 2 + 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beta": "linear(0.9, 1.1)"}, "the schedule linear(0.9, 1.1) reaches 1 at iteration 51, outside 0 ≤ beta < 1"),
        ({"beta": [0.5, "exponential(0.5, 1.1)"]}, "beta[1]: the schedule exponential(0.5, 1.1) reaches 1.0"),
        ({"lr": "cosine(-0.1)"}, "reaches -0.1 at iteration 1, outside 0 ≤ lr"),
        ({"lr": "exponential(0.1, 1e300)"}, "reaches inf at iteration 3"),
        ({"lr": ["cosin(0.1)", 0.1]}, "lr[0]: unknown axis or schedule 'cosin' (did you mean 'cosine'?)"),
        ({"lr": "cosin(0.1)"}, "unknown axis or schedule 'cosin' (did you mean 'cosine'?)"),
        ({"lr": [0.1, "linspace(0, 1, 3)"]}, "lr[1]: linspace() describes a whole axis"),
        ({"dialect": "cosine(0.1)"}, "'cosine(0.1)' is not pytorch or optax"),
        ({"surface": {"name": "ravine", "a": "cosine(1)"}}, "a of ravine cannot follow a schedule"),
        ({"lr": "warmup(5, 0.1)", "tolerance": 1e-9}, "begins with 0: the first iteration changes nothing"),
    ],
)
def test_invalid_uses_of_schedules_are_refused_on_loading(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load({"surface": "ravine", "optimizer": "momentum", **setting})
    assert message in str(error.value)


def test_bounds_are_checked_for_the_iterations_of_the_experiment() -> None:
    for iterations, fits in ((50, True), (51, False)):
        settings = {"optimizer": "momentum", "beta": "linear(0.9, 1.1, over=100)", "iterations": iterations}
        if fits:
            load({"surface": "ravine", **settings})
        else:
            with pytest.raises(ConfigError, match="iteration 51"):
                load({"surface": "ravine", **settings})


CONSTANT = [
    (name, parameter) for name in OPTIMIZERS for parameter in OPTIMIZERS[name].parameters() if parameter.constant
]


@pytest.mark.parametrize(("name", "parameter"), CONSTANT, ids=lambda value: getattr(value, "name", value))
def test_constant_parameters_refuse_schedules_with_a_reason(name: str, parameter: Any) -> None:
    value = str(parameter.default or 1)
    with pytest.raises(ConfigError) as error:
        load({"surface": "ravine", "optimizer": {"name": name, parameter.name: f"piecewise({{0: {value}}})"}})
    assert f"{parameter.name} of {name} cannot follow a schedule: {parameter.constant}" in str(error.value)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_documented(name: str) -> None:
    described = describe(SCHEDULES, name)
    assert all(described[key] for key in ("title", "formula", "source"))
    assert all(argument["doc"] for argument in described["parameters"])


def test_bounds_are_those_of_the_declaration() -> None:
    (beta,) = (each for each in OPTIMIZERS["momentum"].parameters() if each.name == "beta")
    allowed = [beta.allows(value) for value in (-1e-300, 0.0, 0.5, 1.0, math.nan, math.inf)]
    assert allowed == [False, True, True, False, False, False]
