"""Derivatives and LaTeX of expressions, by SymPy. The only module that imports SymPy, and itself imported lazily.

SymPy receives objects made from the closed list of operations, never text, and what it returns is converted back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from momentumlab.surfaces.expressions.syntax import SEVERAL, Operation

MOST_FACTORED = 400
MOST_SEARCHED = 2000
"""Operations up to which SymPy looks for common factors and common subexpressions; beyond, it takes seconds."""

PART_SIZE = 16
"""Operations after which a subexpression becomes a symbol of its own, differentiated by the chain rule. Without it,
derivatives of long products and nested functions grow with the square and the cube of the length."""


SMOOTH = ("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
FUNCTIONS: dict[str, Any] = {name: getattr(sympy, name) for name in SMOOTH}


def _declare(name: str, derivative: str | Callable[..., Any], arguments: int = 1) -> None:
    """Declare a function by its derivative, a function or the name of one; its first argument is the one it is by."""

    def fdiff(self: Any, argindex: int = 1) -> Any:
        compute = FUNCTIONS[derivative] if isinstance(derivative, str) else derivative
        return compute(self.args[argindex - 1], *self.args[: argindex - 1], *self.args[argindex:])

    FUNCTIONS[name] = type(name, (sympy.Function,), {"nargs": arguments, "fdiff": fdiff})


# Symbols carry no assumptions, and functions that are not smooth are our own: SymPy's Abs, Max and sign introduce
# complex parts, delta functions and case distinctions as soon as they are differentiated. ``step`` is 0 below zero, 1
# above, and a half at zero; ``kink`` is 0 but not a number at zero, which marks Hessians that do not exist.
_declare("log1p", lambda u: 1 / (1 + u))
_declare("expm1", "exp")
_declare("abs", "sign")
_declare("sign", "kink")
_declare("step", "kink")
_declare("kink", "kink")
_declare("min", lambda u, other: FUNCTIONS["step"](other - u), 2)
_declare("max", lambda u, other: FUNCTIONS["step"](u - other), 2)

NAMES = {function: name for name, function in FUNCTIONS.items()}


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Derivatives of an expression.

    Attributes
    ----------
    entries
        One operation per derivative.
    shared
        Common subexpressions by name, in an order in which they can be computed.
    """

    entries: tuple[Operation, ...]
    shared: Mapping[str, Operation]

    @property
    def names(self) -> frozenset[str]:
        """All names in the derivatives and in their common subexpressions."""
        return frozenset().union(*(node.names for node in (*self.entries, *self.shared.values())))


def gradient(tree: Operation, variables: Sequence[str]) -> Derivatives:
    """Return the first derivatives, one per variable."""
    chain = _Chain(tree)
    return _shared(chain.derivatives([chain.whole], map(sympy.Symbol, variables))[0], chain.parts)


def hessian(tree: Operation, variables: Sequence[str]) -> Derivatives:
    """Return the second derivatives: the upper triangle, row by row."""
    chain = _Chain(tree)
    symbols = [sympy.Symbol(name) for name in variables]
    (firsts,) = chain.derivatives([chain.whole], symbols)
    rows = chain.derivatives(firsts, symbols)
    return _shared([second for i, row in enumerate(rows) for second in row[i:]], chain.parts)


class _Chain:
    """An expression in parts: symbols for its longer subexpressions, which the chain rule puts together again.

    Attributes
    ----------
    parts
        The expression of each part, in an order in which they can be computed; derivatives of parts are added to it.
    whole
        The expression itself.
    """

    def __init__(self, tree: Operation) -> None:
        self.parts: dict[Any, Any] = {}
        self.dependencies: dict[Any, frozenset[Any]] = {}
        self.known: dict[tuple[Any, tuple[Any, ...]], Any] = {}
        self.origins: dict[Any, tuple[Any, tuple[Any, ...]]] = {}
        self.whole, _ = self.converted(tree)

    def converted(self, node: Operation) -> tuple[Any, int]:
        """Return SymPy's expression for an operation, and its size in operations."""
        if node.constant is not None:
            return _number(node.constant), 0
        if node.kind == "name":
            return sympy.Symbol(node.name), 0
        operands = [self.cut(*self.converted(operand)) for operand in node.operands]
        if node.kind in ("product", *SEVERAL):
            # Pair by pair, so that long ones are cut into parts too. Nested maxima always are: each occurs twice in
            # the derivative of the next.
            expression, size = operands[0]
            for operand, operand_size in operands[1:]:
                limit = PART_SIZE if node.kind == "product" else 0
                expression, size = self.cut(expression, size, limit)
                expression = _combined(node.kind, [expression, operand])
                size += 1 + operand_size
            return expression, size
        size = len(operands) + sum(size for _, size in operands)
        return _combined(node.kind, [expression for expression, _ in operands]), size

    def cut(self, expression: Any, size: int, limit: int = PART_SIZE) -> tuple[Any, int]:
        """Return a symbol in place of an expression above the size limit."""
        return (self.part(expression), 0) if size > limit else (expression, size)

    def part(self, expression: Any) -> Any:
        if expression.is_Atom:
            return expression
        symbol = sympy.Symbol(f"_{len(self.parts)}")  # no name in an expression begins with _
        self.parts[symbol] = expression
        # Symbols after which the expression can be differentiated: its own, and those of the parts in it.
        inner = (self.dependencies.get(other, frozenset({other})) for other in expression.free_symbols)
        self.dependencies[symbol] = frozenset().union(*inner)
        return symbol

    def derivatives(self, expressions: list[Any], variables: Iterable[Any]) -> list[list[Any]]:
        """Return a row per expression, with its total derivative by each variable."""
        # Derivatives of the parts come first and in order: recursion along a chain of hundreds would be too deep.
        parts, columns = tuple(self.parts), []
        for variable in variables:
            for part in parts:
                self.part_derivative(part, variable)
            columns.append([self.total(expression, variable) for expression in expressions])
        return [list(row) for row in zip(*columns, strict=True)]

    def part_derivative(self, part: Any, variable: Any) -> Any:
        base, before = self.origins.get(part, (part, ()))
        key = base, tuple(sorted((*before, variable), key=str))  # mixed derivatives are symmetric
        if key not in self.known:
            depends = variable in self.dependencies[part]
            total = self.total(self.parts[part], variable) if depends else sympy.S.Zero
            self.known[key] = self.part(total)
            self.origins.setdefault(self.known[key], key)
        return self.known[key]

    def total(self, expression: Any, variable: Any) -> Any:
        terms = [sympy.diff(expression, variable)]
        for part in sorted(expression.free_symbols & self.parts.keys(), key=str):
            inner = self.part_derivative(part, variable)
            if inner is not sympy.S.Zero:
                terms.append(sympy.diff(expression, part) * inner)
        return sympy.Add(*terms)


def _combined(kind: str, operands: list[Any], *, evaluate: bool = True) -> Any:
    match kind, operands:
        case "sum", terms:
            return sympy.Add(*terms, evaluate=evaluate)
        case "product", factors:
            return sympy.Mul(*factors, evaluate=evaluate)
        case "quotient", (top, bottom):
            return sympy.Mul(top, sympy.Pow(bottom, -1, evaluate=evaluate), evaluate=evaluate)
        case "negative", (inner,):
            return sympy.Mul(-1, inner, evaluate=evaluate)
        case "power", (base, exponent):
            return sympy.Pow(base, exponent, evaluate=evaluate)
        case "sqrt", (inner,):
            return sympy.Pow(inner, sympy.S.Half, evaluate=evaluate)
        case function, arguments:
            return FUNCTIONS[function](*arguments, evaluate=evaluate)


def _number(value: Fraction | float) -> Any:
    return sympy.Rational(value.numerator, value.denominator) if isinstance(value, Fraction) else sympy.Float(value)


def _shared(derivatives: list[Any], parts: Mapping[Any, Any]) -> Derivatives:
    """Extract common subexpressions, unless the derivatives are in parts already or too large to search."""
    operations = int(sympy.count_ops(derivatives)) if not parts else 0
    if parts or operations > MOST_SEARCHED:  # the compiler still shares equal subexpressions
        entries, shared = derivatives, parts
    else:
        forms = [derivatives]
        if operations <= MOST_FACTORED:
            # SymPy multiplies numbers into sums. Factored out again, as in 2(x + y − 7), they often save operations.
            forms.append([sympy.factor_terms(derivative, clear=False) for derivative in derivatives])
        candidates = [sympy.cse(form, symbols=sympy.numbered_symbols("_", cls=sympy.Symbol)) for form in forms]
        replacements, entries = min(candidates, key=_cost)
        shared = dict(replacements)
    return Derivatives(
        entries=tuple(map(_operation, entries)),
        shared={str(name): _operation(part) for name, part in shared.items()},
    )


def _cost(candidate: Any) -> int:
    replacements, entries = candidate
    return int(sympy.count_ops([part for _, part in replacements]) + sympy.count_ops(entries))


def _operation(expression: Any) -> Operation:
    """Convert SymPy's expression to an operation."""
    if expression.is_Symbol:
        return Operation(kind="name", name=expression.name)
    if expression.is_Add:
        return Operation(kind="sum", operands=tuple(map(_operation, expression.args)))
    if expression.is_Mul:
        return _product(expression)
    if expression.is_Pow and expression.base is not sympy.E:
        base, exponent = expression.args
        if exponent.is_Number and exponent < 0:
            return _quotient([], [_operation(sympy.Pow(base, -exponent))])
        return Operation(kind="power", operands=(_operation(base), _operation(exponent)))
    if expression.func in NAMES:
        return Operation(kind=NAMES[expression.func], operands=tuple(map(_operation, expression.args)))
    return _constant(expression)


def _constant(expression: Any) -> Operation:
    value: Fraction | float
    try:
        rational = expression.is_Rational
        value = Fraction(int(expression.p), int(expression.q)) if rational else float(expression)
        float(value)
    except OverflowError:
        value = float("inf") if expression > 0 else float("-inf")
    except TypeError:  # zoo, I: the derivative is not a real number anywhere
        value = float("nan")
    if value < 0:
        return Operation(kind="negative", operands=(Operation(kind="number", constant=-value),))
    return Operation(kind="number", constant=value)


def _product(expression: Any) -> Operation:
    """Convert a product: the sign in front, integer divisors and negative powers in a denominator."""
    coefficient, factors = expression.as_coeff_mul()
    above: list[Operation] = []
    below: list[Operation] = []
    number = _constant(coefficient)
    is_negative = number.kind == "negative"
    size = (number.operands[0] if is_negative else number).constant
    if isinstance(size, Fraction) and size.numerator == 1:  # x/16 instead of 0.0625·x: one rounding, as in x²/16
        below += [Operation(kind="number", constant=Fraction(size.denominator))] if size.denominator != 1 else []
    else:
        above.append(Operation(kind="number", constant=size))
    for factor in factors:
        is_below = factor.is_Pow and factor.exp.is_Number and factor.exp < 0
        (below if is_below else above).append(_operation(1 / factor if is_below else factor))
    product = _quotient(above, below) if below else _joined(above)
    return Operation(kind="negative", operands=(product,)) if is_negative else product


def _quotient(above: list[Operation], below: list[Operation]) -> Operation:
    return Operation(kind="quotient", operands=(_joined(above), _joined(below)))


def _joined(factors: list[Operation]) -> Operation:
    if len(factors) > 1:
        return Operation(kind="product", operands=tuple(factors))
    return factors[0] if factors else Operation(kind="number", constant=Fraction(1))


def latex(tree: Operation) -> str:
    """Return the LaTeX of an expression as it was written, within what matplotlib can typeset."""
    names = {sympy.Symbol(name): _latex_name(name) for name in tree.names}
    return str(sympy.latex(_as_written(tree), order="none", symbol_names=names))


def _latex_name(name: str) -> str:
    word = name.rstrip("0123456789").rstrip("_")
    index = name[len(word) :].lstrip("_")
    if word in GREEK:
        word = rf"\{word}"
    elif len(word) > 1:
        word = rf"\mathrm{{{word.replace('_', ' ')}}}"
    return f"{word}_{{{index}}}" if index else word


GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi", "rho",
    "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip


def _as_written(node: Operation) -> Any:
    """Return SymPy's expression without simplification, except that products are written as one fraction."""
    if node.kind == "number":
        value = node.constant or Fraction(0)
        is_integer = isinstance(value, Fraction) and value.denominator == 1 and value < 10**16
        return sympy.Integer(int(value)) if is_integer else sympy.Float(repr(float(value)))
    if node.kind == "name":
        return {"pi": sympy.pi, "e": sympy.E}.get(node.name) or sympy.Symbol(node.name)
    if node.kind in ("product", "quotient", "negative"):
        return _as_fraction(node)
    operands = [_as_written(operand) for operand in node.operands]
    match node.kind, operands:
        case "abs", _:
            return sympy.Abs(*operands, evaluate=False)
        case "log1p", (inner,):
            return sympy.log(sympy.Add(1, inner, evaluate=False), evaluate=False)
        case "expm1", (inner,):
            return sympy.Add(sympy.exp(inner, evaluate=False), -1, evaluate=False)
        case (("sign" | "min" | "max"), _):
            return sympy.Function(node.kind)(*operands, evaluate=False)
    return _combined(node.kind, operands, evaluate=False)


def _as_fraction(node: Operation) -> Any:
    above: list[Any] = []
    below: list[Any] = []
    sign = 1
    pending = [(node, False)]
    while pending:
        part, is_below = pending.pop()
        if part.kind == "product":
            pending += [(factor, is_below) for factor in reversed(part.operands)]
        elif part.kind == "quotient":
            pending += [(part.operands[1], not is_below), (part.operands[0], is_below)]
        elif part.kind == "negative":
            sign = -sign
            pending.append((part.operands[0], is_below))
        else:
            (below if is_below else above).append(_as_written(part))
    for factors in (above, below):
        factors.sort(key=lambda factor: not factor.is_Number)  # 2 x instead of x 2
    if sign < 0 and above and above[0].is_Number:
        above[0] = -above[0]
    elif sign < 0:
        above.insert(0, sympy.S.NegativeOne)
    if above[:1] == [sympy.S.One] and (below or len(above) > 1):
        above = above[1:]
    if below:
        bottom = sympy.Mul(*below, evaluate=False) if len(below) > 1 else below[0]
        above.append(sympy.Pow(bottom, -1, evaluate=False))
    return sympy.Mul(*above, evaluate=False) if len(above) > 1 else above[0]
