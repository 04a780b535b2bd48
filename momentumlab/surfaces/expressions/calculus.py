"""Derivatives by SymPy, of trees and as trees. The only module that loads SymPy, and it is loaded when needed.

SymPy gets objects, never text: a tree is built from the closed list of `tree`, and so is what comes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from momentumlab.surfaces.expressions.tree import (
    CONSTANTS,
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

MOST_FACTORED = 400
MOST_SEARCHED = 2000
"""Up to so many operations SymPy looks for common factors, and for common parts: longer takes it seconds."""


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Some derivatives of an expression.

    Attributes
    ----------
    entries
        One tree each.
    shared
        Their common parts by name, in the order in which they can be computed.
    """

    entries: tuple[Node, ...]
    shared: Mapping[str, Node]

    @property
    def names(self) -> frozenset[str]:
        """All names in them, those of the common parts too."""
        return frozenset().union(*(node.names for node in (*self.entries, *self.shared.values())))


def gradient(tree: Node, variables: Sequence[str]) -> Derivatives:
    """The first derivatives, a tree for each variable."""
    expression = _symbolic(tree)
    return _shared([sympy.diff(expression, sympy.Symbol(name)) for name in variables])


def hessian(tree: Node, variables: Sequence[str]) -> Derivatives:
    """The second derivatives: the upper triangle, row by row."""
    expression = _symbolic(tree)
    symbols = [sympy.Symbol(name) for name in variables]
    firsts = [sympy.diff(expression, symbol) for symbol in symbols]
    return _shared([sympy.diff(first, other) for i, first in enumerate(firsts) for other in symbols[i:]])


def _shared(derivatives: list[Any]) -> Derivatives:
    operations = int(sympy.count_ops(derivatives))
    if operations > MOST_SEARCHED:  # a program still shares what is equal
        return Derivatives(entries=tuple(map(_tree, derivatives)), shared={})
    forms = [derivatives]
    if operations <= MOST_FACTORED:
        # SymPy multiplies numbers into sums. Taken out again, as in 2(x + y − 7), they often leave less to compute.
        forms.append([sympy.factor_terms(derivative, clear=False) for derivative in derivatives])
    candidates = [sympy.cse(form, symbols=sympy.numbered_symbols("_", cls=sympy.Symbol)) for form in forms]
    parts, entries = min(candidates, key=_cost)
    return Derivatives(entries=tuple(map(_tree, entries)), shared={str(name): _tree(part) for name, part in parts})


def _cost(candidate: Any) -> int:
    """The operations that it takes."""
    parts, entries = candidate
    return int(sympy.count_ops([part for _, part in parts]) + sympy.count_ops(entries))


# Symbols carry no assumptions, and what is not smooth is a function of our own: SymPy's Abs, Max and sign bring in
# complex parts, delta functions and cases as soon as they are differentiated.


class _Kink(sympy.Function):
    """The derivative of a jump at zero: not a number there, and zero everywhere else."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return self


class _Sign(sympy.Function):
    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return _Kink(self.args[0])


class _Abs(sympy.Function):
    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return _Sign(self.args[0])


class _Step(sympy.Function):
    """0 below zero, 1 above, and at zero what its second argument says."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        return _Kink(self.args[0]) if argindex == 1 else sympy.S.Zero


class _Min(sympy.Function):
    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        return _Step(other - mine, sympy.S.Half)


class _Max(sympy.Function):
    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        return _Step(mine - other, sympy.S.Half)


class _Log1p(sympy.Function):
    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return 1 / (1 + self.args[0])


class _Expm1(sympy.Function):
    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.exp(self.args[0])


SYMBOLIC: dict[str, Any] = {
    "exp": sympy.exp,
    "expm1": _Expm1,
    "log": sympy.log,
    "log1p": _Log1p,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "abs": _Abs,
    "sign": _Sign,
    "min": _Min,
    "max": _Max,
    "step": _Step,
    "kink": _Kink,
}
OUR_NAMES = {function: name for name, function in SYMBOLIC.items()}


def _symbolic(node: Node) -> Any:
    """A tree as SymPy's object."""
    match node:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Name(name):
            return sympy.Float(CONSTANTS[name]) if name in CONSTANTS else sympy.Symbol(name)
        case Sum(terms):
            return sympy.Add(*map(_symbolic, terms))
        case Product(factors):
            return sympy.Mul(*map(_symbolic, factors))
        case Quotient(top, bottom):
            return _symbolic(top) / _symbolic(bottom)
        case Negative(inner):
            return -_symbolic(inner)
        case Power(base, exponent):
            return sympy.Pow(_symbolic(base), _symbolic(exponent))
        case Call("sqrt", (argument,)):
            return sympy.sqrt(_symbolic(argument))
        case Call("min" | "max" as function, arguments):
            first, *others = map(_symbolic, arguments)
            for other in others:
                first = SYMBOLIC[function](first, other)
            return first
        case Call(function, arguments):
            return SYMBOLIC[function](*map(_symbolic, arguments))
    raise TypeError(f"{node!r} is no part of an expression")


def _tree(expression: Any) -> Node:
    """SymPy's object as a tree."""
    if expression.is_Number:
        return _number(expression)
    if expression.is_Symbol:
        return Name(expression.name)
    if expression.is_Add:
        return Sum(tuple(map(_tree, expression.args)))
    if expression.is_Mul:
        return _product(expression)
    if expression.is_Pow:
        return _power(expression)
    if expression.func in OUR_NAMES:
        return Call(OUR_NAMES[expression.func], tuple(map(_tree, expression.args)))
    return Number(Fraction(float(expression)))  # what is left are constants, such as exp(1)


def _number(expression: Any) -> Node:
    if expression.is_Rational:
        size = Fraction(int(expression.p), int(expression.q))
    else:
        size = Fraction(float(expression))
    return Negative(Number(-size)) if size < 0 else Number(size)


def _product(expression: Any) -> Node:
    """A product as people write it: the sign in front, whole divisors and what has negative powers below the line."""
    coefficient, factors = expression.as_coeff_mul()
    above: list[Node] = []
    below: list[Node] = []
    number = _number(coefficient)
    is_negative = isinstance(number, Negative)
    size = number.inner if isinstance(number, Negative) else number
    if isinstance(size, Number) and size.value.numerator == 1:  # x/16 rounds once, and so to the very digits of x²/16
        below += [Number(Fraction(size.value.denominator))] if size.value.denominator != 1 else []
    else:
        above.append(size)
    for factor in factors:
        is_below = factor.is_Pow and factor.exp.is_Number and factor.exp < 0
        (below if is_below else above).append(_tree(1 / factor if is_below else factor))
    top = _joined(above)
    product = Quotient(top, _joined(below)) if below else top
    return Negative(product) if is_negative else product


def _joined(factors: list[Node]) -> Node:
    if len(factors) > 1:
        return Product(tuple(factors))
    return factors[0] if factors else Number(Fraction(1))


def _power(expression: Any) -> Node:
    base, exponent = expression.args
    if base is sympy.E:
        return Call("exp", (_tree(exponent),))
    if exponent.is_Number and exponent < 0:
        return Quotient(Number(Fraction(1)), _tree(sympy.Pow(base, -exponent)))
    return Power(_tree(base), _tree(exponent))
