"""Surfaces of expressions: hostile input is rejected quickly, and accepted expressions give exact numbers."""

import math
import pickle
import shlex
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.errors import ConfigError
from momentumlab.experiment import build_surface
from momentumlab.parameters import Array
from momentumlab.surfaces import SURFACES, CriticalKind, Surface
from momentumlab.surfaces.expressions import ExpressionError, expression_class
from momentumlab.surfaces.expressions.syntax import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, parse
from tests.conftest import Command

RNG = np.random.default_rng(20261121)

HOSTILE = [
    # attributes, items, calls, and other ways to reach into Python
    "x.real", "x.__class__", "().__class__.__bases__[0].__subclasses__()", "x.__init__.__globals__", "(x).imag",
    "x..y", "x.y.z", "1 .real*x", "1..real*x", "''.join(x)", "x[0]", "x[0:1]", "[x][0]",
    "{x}", "{x: y}", "[x, y]",
    "(x, y)", "x,", "()", "f(x)", "x()", "x(1)", "(x)(y)", "exec(x)", "eval(x)", "eval('x')", "compile(x)",
    "open('/etc/passwd')", "__import__('os').system('true')", "__import__(x)", "import os",
    "from os import *; x",
    "os.system(x)", "globals()", "locals()", "vars(x)", "dir(x)", "getattr(x, y)",
    "setattr(x, y, z)", "type(x)",
    "input()", "print(x)", "breakpoint()", "exit()", "quit()*x", "help(x)", "memoryview(x)", "lambda: 0",
    "lambda x: x", "(lambda x: x)(y)", "x if y else z", "x and y", "x or y", "not x",
    "x is y", "x in y", "yield x",
    "await x", "del x", "x := 1", "(y := x)", "x = 1", "x == y", "x != y", "x < y", "x >= y", "x <> y",
    "[x for x in y]", "(x for x in y)", "{x for x in y}", "sum(x for y in z)",
    "[i for i in range(10)]", "*x", "**x",
    "max(*x)", "max(x, key=y)", "max(x, **y)", "sqrt(x=1)",
    # strings, formats, comments, and more than one statement
    "'x'", '"x"', "'''x'''", "b'x'", "f'{x}'", "r'x'", "u'x'", "rb'x'", "x # y", "x; y",
    "x: y", "x\ny", "x\r\ny", "x\t+ y",
    "x \\\n + y", "`x`", "$x", "@x", "x@y", "x?", "x!", "5!*x", "~x", "x & y", "x | y",
    "x ^ y", "x << y", "x >> 1",
    "x // y", "x % y", "x -> y", "...", "x...", "{{x}}", "%s" "x",
    # reserved names
    "__x__ + x", "_ + x", "_a*x", "__builtins__*x", "None*x", "True*x", "False + x", "lambda*x", "class + x",
    "import*x", "match*x", "value*x", "gradient*x", "name + x", "self.x", "parameters*x", "hessian*x", "view*x",
    "S.One*x", "Symbol(x)", "Integer(3)*x", "oo*x.oo", "gamma(x)", "factorial(x)", "diff(x, y)", "integrate(x)",
    "Lambda(x, x)", "sympify(x)", "Piecewise((x, y))", "Sum(x, y)", "limit(x, y, z)", "zoo(x)", "beta(x, y)",
    # numbers and powers beyond all bounds
    "9**9**9**9*x", "9**9**9*x", "10**10**10*x", "x**9**9", "x**1e9", "x**-1e9", "x**101", "(x**50)**50",
    "((x**9)**9)**9", "(((2*x)**100)**100)**100", "x**100*x", "(1 + 1e-300)**(10**10)*x",
    "2**1000*x", "0.5**2000*x",
    "1e999*x", "1e-999*x", "1" * 100 + "*x", "0." + "1" * 100 + "*x", "1e99999999999*x", "exp(1000)*x",
    "exp(exp(exp(10)))*x", "sinh(1e6)*x", "(10**100)**100*x", "1e300*1e300*x", "x/0", "x/(1 - 1)", "0**-1*x",
    "log(0)*x", "log(-1)*x", "sqrt(-2)*x", "asin(2)*x", "acos(-3)*x", "(-8)**(1/3)*x",
    "(-2)**x", "0**x", "1/0", "0x10*x",
    "0b1*x", "0o7*x", "1_000*x", "1j*x", "1e*x", "1e+*x", "1.2.3*x", "x.5", ".", "1.e", "nan*x.a", "-inf.x",
    # size and depth
    "(" * 31 + "x" + ")" * 31, "(" * 1000 + "x" + ")" * 1000, "(" * 1_000_000, ")" * 1_000_000, "[" * 1_000_000,
    "(" * 1_000_000 + "x" + ")" * 1_000_000, "-" * 1000 + "x", "-" * 1_000_000 + "x", "x" * 1_000_000,
    "x" + "+x" * 1_000_000, "x" + "**1" * 600, "x" + "/2" * 600, "sin(" * 100 + "x" + ")" * 100,
    "sin(" * 300_000 + "x", "x+" * 450 + "x", "1" * 1_000_000, " " * 1_000_000 + "x", "x" + "*y" * 101,
    "x" + "*(x+1)" * 101, "a" * 31 + "*x", "max(" + "x," * 1000 + "x)", "+".join(f"x{i}" for i in range(1, 30)),
    # confusable or invisible characters
    "x\0", "\0", "x\u202ey", "\u202ex", "x\u200by", "\ufeffx", "x\u00a0+ y", "х + 1", "χ",
    "ｘ + y", "x＋y", "x − y", "x × y",
    "x·y", "x ÷ y", "x²", "x³", "√x", "∑x", "π*x", "β*x", "x₁", "½x", "١*x", "x\u0301", "𝑥",
    "𝟗*x", "x\u2028y", "\x1b[31mx",
    "😀", "\ud800", "x\x7f", "x\u2060", "İ*x", "ﬁ*x", "x’", "“x”", "x…",
    # not expressions, or not complete
    "", " ", "+", "-", "x +", "x *", "x **", "* x", "x ** ** y", "x * / y", "(x", "x)",
    "((x)", "(x))", ")x(", "x y",
    "2x", "x2y", "2 x", "x 2", "2(x)", "(x)2", "(x)(x)", "x(x)", "sin x", "sin", "sin + x",
    "sin*x", "sin()", "sin(x, y)",
    "sin(,x)", "max()", "max(x)", "max(x,)", "max(,)", "min x y", "|x|", "x, y", "sqrt(x",
    "ln(x)", "abs x", "pow(x, 2)",
    "log(x, 2)", "atan2(y, x)", "1.5,2*x",
    # no surfaces
    "1", "3.14", "a", "a*b", "pi", "e**2", "x + z", "y", "z", "x1 + x3", "x2", "x + x1",
    "sqrt(-1 - x**2)", "log(-x*x)",
    "log(x - 100)", "x on -2..2 by -1..1", "x on", "x on 2..-2", "x on a..b",
    "x on -1..1 on 2..3", "x on nan..1",
    "x on -inf..inf", "x + y on -1..1", "x on 1e308..-1e308", "x on __import__..1",
]  # fmt: skip


def refusal(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as refused:
        expression_class(text)
    return refused.value


def test_there_are_enough_hostile_texts() -> None:
    assert len(set(HOSTILE)) >= 300


@pytest.mark.parametrize("number", range(0, len(HOSTILE), 10))
def test_hostile_text_is_rejected_quickly_with_its_column(number: int) -> None:
    for text in HOSTILE[number : number + 10]:
        begin = time.process_time()
        error = refusal(text)
        assert time.process_time() - begin < 1, text[:50]
        assert isinstance(error, ConfigError)
        assert 0 <= error.position <= len(text), text[:50]
        assert f"at column {error.position + 1}" in str(error)
        assert len(str(error)) < 400, "a long text is shown in part"
        assert str(error).replace("\n", "").isprintable(), "what cannot be seen is not printed"


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) > 100_000], ids=len)
def test_long_text_is_rejected_without_much_memory(text: str) -> None:
    tracemalloc.start()
    try:
        refusal(text)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.strip() and text.isprintable() and len(text) < 200])
def test_configurations_reject_hostile_text(text: str) -> None:
    with pytest.raises(ConfigError):
        momentumlab.load({"surface": {"expression": text}, "optimizer": "sgd"})


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("x^2", 1, "unexpected character '^' at column 2: write powers as x**2"),
        ("x + 2y", 5, "missing operator at column 6: write products as 2*y"),
        ("sin x", 0, "function 'sin' without brackets at column 1: write sin(x)"),
        ("|x|", 0, "write abs(x)"),
        ("x² + y", 1, "write **2"),
        ("x − y", 2, "write a minus sign as -"),
        ("x × y", 2, "write *"),
        ("ln(x)", 0, "unknown function 'ln' at column 1: write log"),
        ("x+sinn(x)", 2, "unknown function 'sinn' at column 3: did you mean sin?"),
        ("bessel(x)", 0, "the functions are sqrt, exp"),
        ("(x + y", 0, "unclosed '('"),
        ("x + y)", 5, "unmatched ')'"),
        ("x +", 3, "missing operand at column 4"),
        ("x * / y", 4, "missing operand before '/'"),
        ("x/(2 - 2)", 1, "a division by zero"),
        ("x + log(-3)", 4, "the log of a constant is not a real number"),
        ("x + z", 4, "'z' without 'y' at column 5: 2 variables are called x, y"),
        ("x**101", 1, "a power above 100"),
        ("1e308*x**2", 0, "constants range from 1e-100 to 1e+100"),
        ("sin(x*1e-160) + y**2", 6, "constants range from 1e-100 to 1e+100"),
        ("β*x", 0, "beta"),
        ("max(x, 0,5", 3, "unclosed '('"),
        ("sin(x, y)", 5, "a second argument of sin"),
        ("1.5,2*x", 3, "write decimals as 0.5"),
        ("x.real", 1, "'.'"),
        ("(x + 1)(x - 1)", 7, "(…)*(…)"),
        ("lambda*x", 0, "cannot name a parameter"),
        ("007*x", 0, "leading zeros"),
    ],
)
def test_messages_name_the_column_and_the_remedy(text: str, position: int, words: str) -> None:
    error = refusal(text)
    assert error.position == position
    message, shown, caret = str(error).split("\n")
    assert words in message
    assert shown == f"    {text}"
    assert caret == " " * (4 + position) + "^"


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="xyza019.e+-*/(), sincobqrtmx", max_size=60)))
def test_any_text_raises_only_the_declared_error(text: str) -> None:
    try:
        cls = expression_class(text)
    except ExpressionError:
        return
    assert expression_class(cls.name) is cls


LARGE = [
    "+".join(f"sin(x*{i})" for i in range(1, 110)),
    "max(" + ",".join(f"x*{i}-{i * i}+y" for i in range(30)) + ")",
    "max(" + ",".join(f"x*{i}" for i in range(100)) + ")",
    "min(max(" * 14 + "x" + ",y),x)" * 14,
    "abs(" * 29 + "x-y" + "-1)" * 29,
    "*".join(f"(x-{i})" for i in range(100)),
    "*".join(f"(x1-{i}*x2*x3)" for i in range(33)),
    "/".join(f"(x+{i}*y)" for i in range(1, 28)),
    "+".join(f"x**{i}*y**{100 - i}" for i in range(1, 75)),
    "sin(" * 29 + "x*y" + ")" * 29,
    "exp(sin(" * 14 + "x*y" + "+1))" * 14,
    "atan(asin(" * 14 + "x*y" + "))" * 14,
    "x" + "/(1+x" * 14 + ")" * 14,
    "(" * 29 + "x" + "+1)**(1/2)" * 29,
    "(((x**4 + x)**4 + x)**4 + y)",
    "(x+y)**(x-y)**(x+y)**(x*y)",
    "(x-x)**y",
    "1e99*x**2 + (1e-99*y)**2",
    "(1e99*x)**0.123456789*(3*y)**0.987654321",
    "sqrt(2*x)*sqrt(3*y)*sqrt(5*x)*(7*x)**1.5*(11*y)**0.3",
    "(1234567890123456789012345*x)**(1/3)+y",
    "+".join(f"(x{i + 1} - x{i}**2)**2 + (1 - x{i})**2" for i in range(1, 20)),
    "log(" + "+".join(f"exp(x{i}*{i})" for i in range(1, 21)) + ")",
    "(" + "+".join(f"x{i}" for i in range(1, 21)) + ")**100",
    "exp(-(" + "+".join(f"(x{i}-x{j})**2" for i in range(1, 11) for j in range(1, i)) + "))",
    "tanh(" + "+".join(f"tanh(x{i}+x{i % 7 + 1}*x{i % 5 + 1})*x{i}" for i in range(1, 8)) + ")",
]

TOO_LARGE = [
    "*".join(f"x{i}" for i in range(1, 21)) + "*" + "*".join(f"(1+x{i}**2)" for i in range(1, 21)),
    "tanh(" * 8 + "+".join(f"tanh(x{i}*{i}+1)" for i in range(1, 21)) + ")" * 8,
    "max(" + ",".join(f"x*{i}+y*z" for i in range(90)) + ")",
]


def prepared(text: str) -> float:
    """Return the processor time, in seconds, until all programs and points of an expression are computed."""
    begin = time.process_time()
    try:
        cls = expression_class(text)
    except ExpressionError:
        return time.process_time() - begin
    surface = cls(**{p.name: 0.7 for p in cls.parameters()})
    dim = surface.default_dimension
    assert surface.programs.gradient
    assert surface.programs.hessian
    assert len(surface.window(dim)) == len(surface.default_start(dim)) == dim
    assert surface.latex
    return time.process_time() - begin


@pytest.mark.parametrize("text", LARGE, ids=range(len(LARGE)))
def test_the_largest_accepted_expressions_are_ready_in_two_seconds(text: str) -> None:
    prepared("x**2")  # loads SymPy
    expression_class(text)
    assert prepared(text) < 2


@pytest.mark.parametrize("text", TOO_LARGE, ids=range(len(TOO_LARGE)))
def test_expressions_with_larger_hessians_are_rejected(text: str) -> None:
    assert "too large for its" in str(refusal(text))


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions with many or nested operands, whose derivatives are large."""
    several = st.lists(inner, min_size=2, max_size=8)
    return st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "/"]), several).map(lambda drawn: f"({drawn[0].join(drawn[1])})"),
        st.tuples(st.sampled_from(["min", "max"]), several).map(lambda drawn: f"{drawn[0]}({','.join(drawn[1])})"),
        st.tuples(st.sampled_from(sorted(set(FUNCTIONS) - {"min", "max"})), inner).map(
            lambda drawn: f"{drawn[0]}({drawn[1]})"
        ),
        st.tuples(inner, st.sampled_from(["2", "7", "0.5", "-3", "x", "(y+1)"])).map(
            lambda drawn: f"({drawn[0]})**{drawn[1]}"
        ),
    )


@settings(max_examples=25, deadline=None)
@given(st.recursive(st.sampled_from(["x", "y", "z", "(x-y)", "2*z", "1e-90", "1e90*x", "a"]), larger, max_leaves=60))
def test_every_accepted_expression_is_ready_in_two_seconds(text: str) -> None:
    prepared("x**2")
    assert prepared(f"0*x+0*y+0*z+{text}") < 2


# Valid expressions, made beside functions that compute them with mpmath


Oracle = Callable[[dict[str, Any]], Any]
Made = tuple[str, Oracle]

ONE_ARGUMENT: dict[str, Callable[[Any], Any]] = {
    "sqrt": mpmath.sqrt,
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "abs": abs,
    "sign": mpmath.sign,
}


def leaves() -> st.SearchStrategy[Made]:
    def name(word: str) -> Made:
        return word, lambda at: at[word]

    def number(value: float) -> Made:
        return repr(value), lambda at: mpmath.mpf(repr(value))

    return st.one_of(
        st.sampled_from(["x", "y", "a", "b"]).map(name),
        st.sampled_from([1, 2, 3, 7, 0.5, 0.1, 1.25, 2.5e-2]).map(number),
        st.just(("pi", lambda at: mpmath.mpf(math.pi))),
    )


def defined(value: Any) -> Any:
    """Return a number, or ``None`` if it is not real."""
    return mpmath.nan if isinstance(value, mpmath.mpc) else value


def missing(*values: Any) -> bool:
    """Return whether one of the numbers is undefined; then min and max are undefined too."""
    return any(mpmath.isnan(value) for value in values)


def grown(inner: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    def binary(drawn: tuple[Made, str, Made]) -> Made:
        (left, f), operator, (right, g) = drawn
        compute: dict[str, Callable[[Any, Any], Any]] = {
            "+": lambda p, q: p + q,
            "-": lambda p, q: p - q,
            "*": lambda p, q: p * q,
            "/": lambda p, q: p / q,
        }
        return f"({left}) {operator} ({right})", lambda at: compute[operator](f(at), g(at))

    def power(drawn: tuple[Made, Any]) -> Made:
        (base, f), exponent = drawn
        return f"({base})**({exponent})", lambda at: defined(mpmath.power(f(at), mpmath.mpf(exponent)))

    def call(drawn: tuple[str, Made]) -> Made:
        function, (argument, f) = drawn
        return f"{function}({argument})", lambda at: defined(ONE_ARGUMENT[function](f(at)))

    def extreme(drawn: tuple[str, Made, Made]) -> Made:
        function, (left, f), (right, g) = drawn
        choose = min if function == "min" else max
        return (
            f"{function}({left}, {right})",
            lambda at: f(at) + g(at) if missing(f(at), g(at)) else choose(f(at), g(at)),
        )

    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(binary),
        st.tuples(inner, st.sampled_from([2, 3, -1, -2, 5, 0.5, 1.5, 0.3])).map(power),
        st.tuples(st.sampled_from(sorted(ONE_ARGUMENT)), inner).map(call),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(extreme),
    )


def real(value: Any) -> bool:
    return isinstance(value, mpmath.mpf) and bool(mpmath.isfinite(value)) and abs(value) < 1e6


@settings(max_examples=150, deadline=None)
@given(made=st.recursive(leaves(), grown, max_leaves=7), seed=st.integers(0, 10**6))
def test_value_and_gradient_agree_with_high_precision(made: Made, seed: int) -> None:
    text, oracle = made
    try:
        cls = expression_class(f"{text} + 0*x + 0*y on -3..3 by -3..3")
    except ExpressionError:  # a constant part that is not a number
        return
    random = np.random.default_rng(seed)
    numbers = {"a": 0.7, "b": -1.3}
    points = random.uniform(-2, 2, size=(2, 5))
    surface = cls(**{p.name: numbers[p.name] for p in cls.parameters()})
    with np.errstate(all="ignore"):
        values, gradients = surface.value(points), surface.gradient(points)
    with mpmath.workdps(40):
        for lane in range(5):
            at = {**{k: mpmath.mpf(v) for k, v in numbers.items()}}

            def along(i: int, h: Any, lane: int = lane, at: dict[str, Any] = at) -> Any:
                moved = [mpmath.mpf(float(c)) for c in points[:, lane]]
                moved[i] += h
                return oracle({**at, "x": moved[0], "y": moved[1]})

            h = mpmath.mpf(10) ** -12
            try:
                near = [along(i, k * h) for i in range(2) for k in (-2, -1, 0, 1, 2)]
            except (ZeroDivisionError, TypeError, ValueError, OverflowError):
                continue
            if not all(map(real, near)):
                continue
            # Rounding grows by at most what a move in the last digit of the point does, and by what cancels inside.
            slope = [(near[5 * i + 3] - near[5 * i + 1]) / (2 * h) for i in range(2)]
            rough = [(near[5 * i + 4] - near[5 * i]) / (4 * h) for i in range(2)]
            if any(abs(p - q) > 1e-9 * (1 + abs(p)) or abs(p) > 1e4 for p, q in zip(slope, rough, strict=True)):
                continue  # a kink or a pole is too near
            if "sign(" in text and np.isnan(gradients[:, lane]).any():
                continue  # at the edge of a domain: an infinite slope times zero
            assert values[lane] == pytest.approx(float(near[2]), rel=1e-7, abs=1e-7)
            assert gradients[:, lane] == pytest.approx([float(each) for each in slope], rel=1e-5, abs=1e-5)


EQUIVALENTS = [
    ("x**2/16 + 9*y**2", "ravine"),
    ("(1 - x)**2 + 100*(y - x**2)**2", "rosenbrock"),
    ("(x**2 + y - 11)**2 + (x + y**2 - 7)**2", "himmelblau"),
    ("(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2", "beale"),
    ("(x + 2*y - 7)**2 + (2*x + y - 5)**2", "booth"),
    ("x**3 - y**3 + 3*x**2 + 3*y**2 - 9*x", "cubic"),
    ("x**2 - y**2", "saddle"),
    ("x**2", "parabola"),
]

VARIOUS = [
    *(text for text, _ in EQUIVALENTS),
    "a*x**2 + b*y**2",
    "-20*exp(-0.2*sqrt((x**2 + y**2)/2)) - exp((cos(2*pi*x) + cos(2*pi*y))/2) + e + 20",
    "log(1 + x**2) + log1p(y**2)*expm1(-z) + atan(x*z)",
    "tanh(x/2)**4/3 - sinh(y/3)*cosh(x/3) + tan(x/9) + asin(y/9) - acos(x/9)",
    "(x1 - 1)**2 + (x2 - x1**2)**2 + x3*x4/(1 + x2**2) - x10*x9 + x5*x6 - x7**3/x8",
    "x**-2 + y**(1/2) + x**1.5 + 2**y + (1 + x**2)**y + abs(x)**a",
    "x*x*x - 3/x/y + -(-y)",
]


def surface_of(text: str) -> Surface:
    cls = SURFACES[text]
    return cls(**{p.name: 0.4 + 0.3 * i for i, p in enumerate(cls.parameters())})


def points_of(surface: Surface, count: int = 25) -> Array:
    return RNG.uniform(0.2, 2.5, size=(surface.default_dimension, count))


@pytest.mark.parametrize("text", VARIOUS)
def test_gradient_and_hessian_are_complex_step_derivatives(text: str) -> None:
    surface = surface_of(text)
    x, h = points_of(surface), 1e-30
    for i in range(len(x)):
        step = x.astype(np.complex128)
        step[i] += 1j * h
        if "abs" not in text:
            slope = surface.value(step).imag / h  # type: ignore[arg-type]
            np.testing.assert_allclose(surface.gradient(x)[i], slope, rtol=1e-11, atol=1e-12)
            row = surface.gradient(step).imag / h  # type: ignore[arg-type]
            hessian = surface.hessian(x)
            np.testing.assert_allclose(hessian[i], row, rtol=1e-10, atol=1e-12 * np.abs(hessian).max())


@pytest.mark.parametrize("text", VARIOUS)
def test_lanes_are_independent_and_calls_are_pure(text: str) -> None:
    surface = surface_of(text)
    x = points_of(surface, 37)
    before = x.tobytes()
    values, gradients, hessians = surface.value(x), surface.gradient(x), surface.hessian(x)
    assert x.tobytes() == before
    assert values.tobytes() == surface.value(x).tobytes()
    assert gradients.tobytes() == surface.gradient(x).tobytes()
    for lane in (0, 7, 36):
        alone = np.ascontiguousarray(x[:, lane : lane + 1])
        # Only + − × ÷ and √ round alike for any number of lanes.
        np.testing.assert_allclose(surface.value(alone)[0], values[lane], rtol=1e-14)
        np.testing.assert_allclose(surface.gradient(alone)[:, 0], gradients[:, lane], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(surface.hessian(alone)[:, :, 0], hessians[:, :, lane], rtol=1e-12, atol=1e-13)
        if text in dict(EQUIVALENTS):
            assert surface.value(alone)[0] == values[lane]
            assert surface.gradient(alone)[:, 0].tolist() == gradients[:, lane].tolist()


@pytest.mark.parametrize(("text", "name"), EQUIVALENTS)
def test_expressions_agree_with_built_in_surfaces(text: str, name: str) -> None:
    ours, theirs = SURFACES[text](), SURFACES[name]()
    low, high = np.array(theirs.window(ours.default_dimension)).T[:, :, np.newaxis]
    x = low + RNG.uniform(size=(len(low), 500)) * (high - low)
    np.testing.assert_allclose(ours.value(x), theirs.value(x), rtol=1e-12, atol=1e-12)
    scale = np.abs(theirs.gradient(x)).max()
    np.testing.assert_allclose(ours.gradient(x), theirs.gradient(x), rtol=1e-11, atol=1e-14 * scale)
    np.testing.assert_allclose(ours.hessian(x), theirs.hessian(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("text", "name"), EQUIVALENTS)
def test_exactly_the_known_critical_points_are_found(text: str, name: str) -> None:
    ours, theirs = SURFACES[f"{text} on {'-6..6 by -6..6' if name != 'parabola' else '-6..6'}"](), SURFACES[name]()
    dim = ours.default_dimension
    found = ours.critical_points(dim)
    for known in theirs.critical_points(dim):
        distances = [np.abs(np.subtract(known.point, each.point)).max() for each in found]
        nearest = found[int(np.argmin(distances))]
        assert min(distances) < 1e-9
        assert nearest.kind is known.kind or (nearest.kind.is_lowest and known.kind.is_lowest)
        assert nearest.loss == pytest.approx(known.loss, rel=1e-12, abs=1e-12)
    assert len(found) == len(theirs.critical_points(dim))


@pytest.mark.parametrize("text", VARIOUS)
def test_listed_points_are_critical_and_of_their_kind(text: str) -> None:
    surface = surface_of(text)
    dim = surface.default_dimension
    for critical in surface.critical_points(dim):
        x = np.array(critical.point)[:, np.newaxis]
        around = x + 1e-4 * RNG.normal(size=(dim, 200))
        with np.errstate(all="ignore"):
            slope, losses = np.abs(surface.gradient(x)).max(), surface.value(around)
        if critical.kind.is_minimum:
            assert losses.min() >= critical.loss - 1e-14 * abs(critical.loss)
        if critical.kind is CriticalKind.MAXIMUM:
            assert losses.max() <= critical.loss
        assert slope <= 1e-9 * np.abs(surface.hessian(x)).max() or not np.isfinite(slope)


@pytest.mark.parametrize(
    ("text", "points", "kind"),
    [
        ("x**4 + y**4", [(0, 0)], "lowest minimum found"),
        ("x**3", [(0,)], "saddle"),
        ("-x**4", [(0,)], "maximum"),
        ("x**3 - 3*x*y**2", [(0, 0)], "saddle"),
        ("abs(x - 1) + abs(y)", [(1, 0)], "lowest minimum found"),
        ("abs(abs(x) - 1)", [(-1,), (1,)], "lowest minimum found"),
        ("sqrt(x**2 + 4*y**2)", [(0, 0)], "lowest minimum found"),
        ("log(x) + 1/x", [(1,)], "lowest minimum found"),
        ("x**2 + y**2 + x*y", [(0, 0)], "global minimum"),
        ("x**2/2 - cos(x)/10", [(0,)], "lowest minimum found"),
        ("x**4/4 - x**3", [(3,), (0,)], "lowest minimum found"),
        ("(x - y)**2", [], ""),
        ("abs(x - y)", [], ""),
        ("x + y", [], ""),
        ("exp(-x)", [], ""),
    ],
)
def test_kinks_flat_floors_and_flat_points_are_classified(text: str, points: list[Any], kind: str) -> None:
    surface = SURFACES[text]()
    found = surface.critical_points(surface.default_dimension)
    assert [pytest.approx(each.point, abs=1e-4) for each in found] == points
    assert not kind or found[0].kind.value == kind


def test_only_minima_of_quadratics_are_global() -> None:
    """A lower minimum may lie outside the window, as for x**4/4 + x**3/3 − x**2 in a window of positive x."""
    (right,) = expression_class("x**4/4 + x**3/3 - x**2 on 0.5..3")().critical_points(1)
    left, *others = expression_class("x**4/4 + x**3/3 - x**2")().critical_points(1)
    assert right.point == pytest.approx((1.0,))
    assert left.point == pytest.approx((-2.0,))
    assert left.loss < right.loss
    assert right.kind is left.kind is CriticalKind.LOWEST_FOUND
    assert [point.kind for point in others] == [CriticalKind.LOCAL_MINIMUM, CriticalKind.MAXIMUM]
    assert expression_class("x**2 - x*y + y**2")().critical_points(2)[0].kind is CriticalKind.GLOBAL_MINIMUM


@pytest.mark.parametrize("text", ["(x - 1)*(x + 2)", "(x + y)**2 + (x - 2*y)**2/3", "a*x**2 + y*y - x*y", "-(-x)*x"])
def test_quadratics_are_recognised_however_they_are_written(text: str) -> None:
    assert surface_of(text).programs.hessian.is_constant  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["x**3/3 - x", "x**2 + y**3 - 3*y", "exp(-x) * (x**2 - 1)"])
def test_a_minimum_above_the_rest_of_the_window_is_not_called_the_lowest(text: str) -> None:
    cls = expression_class(text)
    kinds = [point.kind for point in cls().critical_points(cls.dimension or 0)]
    assert CriticalKind.LOCAL_MINIMUM in kinds or text.startswith("exp")
    assert "minimum" not in cls().provides(cls.dimension or 0) or text.startswith("exp")


def test_all_spellings_have_one_canonical_name() -> None:
    assert expression_class("x^2".replace("^", "**")) is expression_class(" (x)**(2) ") is expression_class("+x**2.0")
    assert expression_class("x*y/2 - -x").name == "x*y/2 - -x"
    assert expression_class("(x*y)/(2)-(-(x))") is expression_class("x*y/2 - -x")


@pytest.mark.parametrize("text", VARIOUS)
def test_the_canonical_text_is_the_same_expression(text: str) -> None:
    tree = parse(text).tree
    again = parse(str(tree)).tree
    assert str(again) == str(tree)
    cls = SURFACES[text]
    assert SURFACES[cls.name] is cls
    assert SURFACES.canonical(text) == cls.name


def settings_of(text: str) -> dict[str, Any]:
    return {"surface": {"expression": text}, "optimizer": "momentum", "lr": 0.01, "iterations": 20}


def test_limits_are_exact() -> None:
    assert parse("(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH).variables == ("x",)
    assert parse("x" + " " * (MAX_LENGTH - 1)).variables == ("x",)
    assert parse("x**100").variables == ("x",)
    long = "+".join(f"sin(x*{i})" for i in range(1, 90))
    assert parse(long).variables == ("x",)


@pytest.mark.parametrize(("text", "name"), EQUIVALENTS[:3])
def test_a_run_on_an_expression_is_the_run_on_the_surface(text: str, name: str) -> None:
    start = SURFACES[name]().default_start(2)
    ours, theirs = (
        momentumlab.run({"surface": each, "optimizer": "momentum", "lr": [1e-4, 1e-3], "start": list(start)})
        for each in (text, name)
    )
    np.testing.assert_allclose(ours.positions, theirs.positions, rtol=1e-9, atol=1e-11)


def test_constants_can_be_axes() -> None:
    both, theirs = (
        momentumlab.run(surface=surface, optimizer="momentum", start=[-2.4, 0.2], lr=0.05)
        for surface in (
            {"expression": "a*x**2 + b*y**2", "a": 0.0625, "b": [1, 9]},
            {"name": "ravine", "b": [1, 9]},
        )
    )
    np.testing.assert_allclose(both.positions, theirs.positions, rtol=1e-12)
    assert [trial.surface_parameters["b"] for trial in both.plan] == [1, 9]


@pytest.mark.parametrize(
    ("surface", "words"),
    [
        ("a*x**2", 'a has no value: write {expression: "a*x**2", a: 1}'),
        ("a*x**2 + b", "a and b have no value"),
        ("xy + x", "a product is written x*y"),
        ({"expression": "x**2", "a": 1}, "has no 'a'"),
        ({"expression": "x**2", "name": "ravine"}, "both a name and an expression"),
        ({"expression": 3}, "no variable"),
        ({"expression": ["x"]}, "write it as text"),
        ({"expression": "x**2", "view": [[1, -1]]}, "from low to high"),
        ({"expression": "x**2", "view": [[1, 2, 3]]}, "from low to high"),
        ({"expression": "x**2", "view": "wide"}, "an interval per variable"),
        ({"expression": "x**2", "view": [[-1, 1], [-1, 1]]}, "a view of 2 intervals for 1 variable at column 9"),
        ({"expression": "x^2"}, "x**2"),
        ({"expression": "ravine"}, "no variable at column 1: a surface needs x, y, z"),
        ({"name": "ravine", "view": [[-1, 1], [-1, 1]]}, "ravine has no 'view'"),
        ("ravin", "did you mean 'ravine'"),
    ],
)
def test_messages_about_expressions_in_configurations(surface: Any, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        momentumlab.load({"surface": surface, "optimizer": "sgd"})
    assert words in str(refused.value)
    assert str(refused.value).startswith("experiment: ")


@pytest.mark.parametrize(
    "surface",
    [
        "x",
        {"expression": "x"},
        "(x - 1)**2 + 10*y**4",
        {"expression": "x**2 + y**2", "view": [[-2, 2], [-1, 1]]},
        {"expression": "x**2", "view": [-2, 2]},
        {"expression": "a*x**2 + cos(b*y)", "a": [0.1, 0.3], "b": 2, "view": [[-2, 2], [-1.5, 1]]},
        "x**2 + y**2 on -2..2 by -1..1",
        "log(x) + 1/x",
    ],
)
@pytest.mark.parametrize("start", [None, "random(3)", "grid"])
def test_a_written_experiment_gives_the_same_numbers(surface: Any, start: str | None) -> None:
    from momentumlab.config import load_text, to_yaml
    from momentumlab.config.load import load_experiment

    given_settings = {"surface": surface, "optimizer": "momentum", "lr": 0.01, "iterations": 9, "start": start}
    if start == "grid":
        dimension = load_experiment({**given_settings, "start": None}).dimension
        given_settings["start"] = f"grid({', '.join('2' * dimension)})"
    experiment = momentumlab.load(given_settings)
    again = load_text(to_yaml(experiment), "again")
    assert isinstance(again, momentumlab.Experiment)
    assert again.surface == experiment.surface
    first, second = momentumlab.run(experiment), momentumlab.run(again)
    assert first.positions.tobytes() == second.positions.tobytes()


def test_random_starts_are_drawn_from_the_view() -> None:
    surface = {"expression": "x**2 + y**2", "view": [[1, 2], [-4, -3]]}
    result = momentumlab.run(surface=surface, optimizer="sgd", start="grid(2, 2)")
    assert result.positions[:, 0].tolist() == [[1, -4], [1, -3], [2, -4], [2, -3]]
    assert result.experiment.first_surface.critical_points(2) == (), "the minimum lies outside of it"


def test_undefined_losses_diverge_without_a_warning() -> None:
    result = momentumlab.run({"surface": "log(x) + 1/x", "optimizer": "sgd", "lr": 10.0, "start": [[2.0], [-1.0]]})
    assert [status.label for status in result.status] == ["diverged", "diverged"]
    result.plot_trajectories().canvas.draw()


@pytest.mark.parametrize("text", ["log(x) + y**2", "1/x + 1/y", "sqrt(x)", "abs(x) + y**2", "x + y + z", "x", "1/x"])
def test_every_surface_can_be_drawn_without_a_warning(text: str) -> None:
    result = momentumlab.run({"surface": text, "optimizer": "momentum", "lr": [0.01, 0.1], "iterations": 15})
    for figure in (result.plot_trajectories(), result.plot_losses(), result.plot_velocities()):
        figure.canvas.draw()


def test_a_found_minimum_is_not_called_known() -> None:
    result = momentumlab.run({"surface": "(x - 1)**2 + y**4", "optimizer": "sgd"})
    (panel,) = result.plot_losses().axes
    assert panel.get_ylabel() == "loss above the lowest minimum found"


def test_trials_with_different_constants_share_no_minimum() -> None:
    surface = {"expression": "(x - a)**2 + y**4 + a", "a": [0, 1]}
    experiment = momentumlab.load({"surface": surface, "optimizer": "sgd", "start": "grid(3, 3)"})
    assert experiment.shared_minima == ()
    for a in (0.0, 1.0):
        (minimum,) = build_surface(experiment.surface.name, {"a": a}).minima(2)
        assert minimum.point == pytest.approx((a, 0.0), abs=1e-4)
        assert minimum.loss == pytest.approx(a, abs=1e-12)
    single = momentumlab.load({"surface": {**surface, "a": 1}, "optimizer": "sgd"})
    assert len(single.shared_minima) == 1


def test_methods_that_need_a_minimum_use_the_lowest_found_if_no_parameter_changes_it() -> None:
    momentumlab.load({"surface": "(x - 1)**2 + y**4", "optimizer": "polyak_step"})
    for surface in ("x**3 - 3*x + y**2", {"expression": "(x - a)**2 + y**4", "a": 1}):
        with pytest.raises(ConfigError, match="a known global minimum"):
            momentumlab.load({"surface": surface, "optimizer": "polyak_step"})
    assert momentumlab.run({"surface": "x**2 + 3*y**2", "optimizer": "newton"}).final_losses[0] < 1e-30


def test_classes_are_pickled_by_name() -> None:
    experiment = momentumlab.load({**settings_of("a*x**2 + y**2"), "surface": {"expression": "a*x**2 + y**2", "a": 2}})
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def test_sweeps_with_workers_agree_with_one() -> None:
    from momentumlab.executor import Workers
    from momentumlab.plan import make_plan

    experiment = momentumlab.load(
        {
            **settings_of("x"),
            "surface": {"expression": "a*x**2 + y**4", "a": "linspace(0.1, 1, 300)"},
            "start": "random(50)",
        }
    )
    plan = make_plan(experiment)
    one = Workers(1).run(plan, block_trials=4000)
    with Workers(2) as workers:
        two = workers.run(plan, block_trials=4000)
    assert one.final_losses.tobytes() == two.final_losses.tobytes()


@pytest.mark.parametrize(
    "line",
    [
        "run --surface 'a*x**2/16' --set surface.a=2,3 --set 'surface.view=[-1, 1]' --optimizer sgd",
        "predict --surface 'x**2/16 + sqrt(y**2)' --optimizer sgd --lr 0.1",
        "compare --surface '[ravine, (x-1)**2 + max(y, 0)**2/3 + y**2/3]' --optimizers sgd,momentum --iterations 9 "
        "--no-plots",
        "show surface 'x**2/3 + y**2' --plot",
    ],
)
def test_commands_take_expressions(line: str, command: Command) -> None:
    done = command(*shlex.split(line))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "run --surface x^2 --optimizer sgd",
        "show surface x^2",
        "show surface a*x**2",
        "show surface 'x + y + z' --plot",
        "compare --surface x^2,y --optimizers sgd",
    ],
)
def test_errors_exit_with_code_2_and_no_traceback(line: str, command: Command) -> None:
    done = command(*shlex.split(line))
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr
