"""How low and how high an expression can be anywhere, by interval arithmetic: what proves a minimum to be global.

The bounds hold for all real values of the variables. They are often far too wide, and never too narrow but for
rounding.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping

from momentumlab.surfaces.expressions.tree import (
    CONSTANTS,
    FUNCTIONS,
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
)

Interval = tuple[float, float]

ANYTHING: Interval = (-math.inf, math.inf)

INCREASING = {
    "sqrt": (0.0, math.inf),
    "exp": ANYTHING,
    "expm1": ANYTHING,
    "log": (0.0, math.inf),
    "log1p": (-1.0, math.inf),
    "asin": (-1.0, 1.0),
    "atan": ANYTHING,
    "sinh": ANYTHING,
    "tanh": ANYTHING,
    "sign": ANYTHING,
}
"""The functions that only rise, and where they are defined."""


def bounds(node: Node, parameters: Mapping[str, float]) -> Interval:
    """The least and the greatest value that a part can have; infinite where nothing better is known.

    Parameters
    ----------
    node
        The part.
    parameters
        The numbers that are given; whatever else has a name may be anything.
    """
    match node:
        case Number(value):
            return (float(value), float(value))
        case Name(name):
            known = CONSTANTS.get(name, parameters.get(name))
            return ANYTHING if known is None else (known, known)
        case Sum(terms):
            each = [bounds(term, parameters) for term in terms]
            return sum(low for low, _ in each), sum(high for _, high in each)
        case Product(factors):
            product: Interval = (1.0, 1.0)
            for factor, times in Counter(factors).items():  # x*x is a square
                product = _multiplied(product, _power(bounds(factor, parameters), times))
            return product
        case Quotient(top, bottom):
            return _multiplied(bounds(top, parameters), _power(bounds(bottom, parameters), -1))
        case Negative(inner):
            low, high = bounds(inner, parameters)
            return -high, -low
        case Power(base, exponent):
            low, high = bounds(exponent, parameters)
            return _power(bounds(base, parameters), low) if low == high else _open_power(bounds(base, parameters))
        case Call(function, arguments):
            return _called(function, [bounds(argument, parameters) for argument in arguments])
    return ANYTHING


def _times(a: float, b: float) -> float:
    return 0.0 if 0 in (a, b) else a * b


def _multiplied(a: Interval, b: Interval) -> Interval:
    corners = [_times(p, q) for p in a for q in b]
    return min(corners), max(corners)


def _power(base: Interval, exponent: float) -> Interval:
    low, high = base
    if exponent < 0:
        low, high = _power(base, -exponent)
        if low < 0 < high or math.isnan(low):
            return ANYTHING
        return _reciprocal(high, from_below=low < 0), _reciprocal(low, from_below=low < 0)
    if exponent != int(exponent):
        low, high = max(low, 0.0), max(high, 0.0)
        return _raised(low, exponent), _raised(high, exponent)
    if exponent % 2:
        return _raised(low, exponent), _raised(high, exponent)
    ends = sorted((_raised(abs(low), exponent), _raised(abs(high), exponent)))
    return (0.0 if low < 0 < high else ends[0]), ends[1]


def _open_power(base: Interval) -> Interval:
    """With an exponent that may be anything: a power of what is not negative is not negative."""
    return (0.0, math.inf) if base[0] >= 0 else ANYTHING


def _reciprocal(value: float, *, from_below: bool) -> float:
    if value == 0:
        return -math.inf if from_below else math.inf
    return 1 / value


def _raised(base: float, exponent: float) -> float:
    return _guarded(math.pow, base, exponent)


def _called(function: str, arguments: list[Interval]) -> Interval:
    low, high = arguments[0]
    if function in INCREASING:
        least, most = INCREASING[function]
        compute = FUNCTIONS[function][0]
        return _guarded(compute, max(low, least)), _guarded(compute, min(high, most))
    match function:
        case "sin" | "cos":
            return -1.0, 1.0
        case "acos":
            return math.acos(min(1.0, max(-1.0, high))), math.acos(min(1.0, max(-1.0, low)))
        case "abs" | "cosh":
            farthest = max(abs(low), abs(high))
            nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
            return (nearest, farthest) if function == "abs" else (math.cosh(nearest), _guarded(math.cosh, farthest))
        case "min" | "max":
            choose: Callable[..., float] = min if function == "min" else max
            return choose(low for low, _ in arguments), choose(high for _, high in arguments)
    return ANYTHING  # tan


def _guarded(compute: Callable[..., float], *arguments: float) -> float:
    """The value of a rising function; at the ends of what floats can hold, the end that is on the safe side."""
    try:
        return compute(*arguments)
    except (OverflowError, ValueError):
        if arguments[0] <= 0 and compute in (math.log, math.log1p, math.sqrt):
            return -math.inf
        return math.inf if arguments[0] > 0 else -math.inf
