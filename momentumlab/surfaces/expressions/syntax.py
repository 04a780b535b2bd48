"""Text to a tree of operations: a scan of the tokens, Python's parser, a whitelist of nodes, and limits.

The scan decides whether the text is an expression and where its first mistake is; Python's parser then only supplies
precedence. The text is never evaluated, and SymPy never sees it.
"""

import ast
import keyword
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from momentumlab.errors import ConfigError, Problem
from momentumlab.registry import did_you_mean

MAX_LENGTH = 2000
"""Characters in an expression."""

MAX_TOKENS = 800
"""Numbers, names, operators and brackets in an expression."""

MAX_WORD = 30
"""Characters in one number or name."""

MAX_DEPTH = 30
"""Depth of nested brackets, signs, powers and divisions."""

MAX_DEGREE = 100
"""Highest power of a variable, with products and nested powers multiplied out."""

MAX_SIZE = 1e100
"""Largest absolute value of a constant; the smallest nonzero one is its reciprocal."""

MAX_VARIABLES = 20

MAX_WORK = 2000
"""Limit of the estimated size of the Hessian's program; see `_work`."""

CONSTANTS = {"pi": math.pi, "e": math.e}

FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "abs": abs,
    "sign": lambda u: float((u > 0) - (u < 0)),
    "min": min,
    "max": max,
}
"""The functions of expressions, which evaluate constant arguments exactly as Python does."""

SEVERAL = ("min", "max")
"""Functions of two or more arguments; all others have one."""

VARIABLE = re.compile(r"[xyz]|x[1-9][0-9]?")
"""Names of variables; every other name is a parameter."""

TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|[-+*/(),])",
    re.ASCII,
)

HINTS = {
    "^": "write powers as x**2",
    **dict.fromkeys("−–", "write a minus sign as -"),
    **dict.fromkeys("×·⋅", "write *"),
    "÷": "write /",
    "²": "write **2",
    "³": "write **3",
    "√": "write sqrt(x)",
    "|": "write abs(x)",
    **dict.fromkeys("[{", "write ("),
    **dict.fromkeys("]}", "write )"),
    "=": "write only the right-hand side",
    "ln": "write log",
    "arctan": "write atan",
    "arcsin": "write asin",
    "arccos": "write acos",
    "fabs": "write abs",
    "pow": "write powers as x**2",
}
"""Remedies for characters and functions of other languages."""


class ExpressionError(ConfigError):
    """An invalid expression. The message names the column and the remedy, and shows the place in the text.

    Parameters
    ----------
    text
        The whole expression.
    position
        The index of the first wrong character.
    problem, remedy
        Parts of the message: ``problem at column 3: remedy``.
    """

    def __init__(self, text: str, position: int, problem: str, remedy: str = "") -> None:
        self.position = position
        begin = max(0, position - 40)
        # Characters that are invisible or wider than one column would displace the caret.
        excerpt = "".join(
            c
            if c.isprintable() and unicodedata.east_asian_width(c) not in ("W", "F") and not unicodedata.combining(c)
            else "?"
            for c in text[begin : position + 30]
        )
        message = f"{problem} at column {position + 1}{': ' if remedy else ''}{remedy}"
        caret = " " * (position - begin) + "^"
        super().__init__([Problem(place="", message=f"{message}\n    {excerpt}\n    {caret}")])


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A node of an expression.

    Attributes
    ----------
    kind
        ``number``, ``name``, ``sum``, ``product``, ``quotient``, ``negative``, ``power``, or the name of a function.
    operands
        The operands; differences are sums with negative terms.
    constant
        The value of a node without variables and parameters, exact if it is a short fraction; otherwise ``None``.
    name
        The name of a variable, a parameter, or one of `CONSTANTS`.
    degree
        The highest power of the variables.
    """

    kind: str
    operands: tuple["Operation", ...] = ()
    constant: Fraction | float | None = None
    name: str = ""
    degree: int = 0

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its variables and parameters."""
        if self.kind == "name":
            return frozenset() if self.name in CONSTANTS else frozenset({self.name})
        return frozenset().union(*(operand.names for operand in self.operands))

    def __str__(self) -> str:
        """Return the expression in its canonical spelling, which parses to an equal tree."""
        match self.kind, self.operands:
            case "number", _:
                value = self.constant
                is_integer = isinstance(value, Fraction) and value.denominator == 1 and abs(value) < 10**16
                return str(value) if is_integer else repr(float(value or 0))
            case "name", _:
                return self.name
            case "sum", (first, *rest):
                signed = [
                    f" - {_enclosed(term.operands[0], 1)}" if term.kind == "negative" else f" + {_enclosed(term, 1)}"
                    for term in rest
                ]
                return _enclosed(first, 1) + "".join(signed)
            case "product", (first, *rest):
                return "*".join([_enclosed(first, 1), *(_enclosed(factor, 2) for factor in rest)])
            case "quotient", (top, bottom):
                return f"{_enclosed(top, 1)}/{_enclosed(bottom, 3)}"
            case "negative", (inner,):
                return f"-{_enclosed(inner, 1)}"
            case "power", (base, exponent):
                return f"{_enclosed(base, 4)}**{_enclosed(exponent, 3)}"
            case function, arguments:
                return f"{function}({', '.join(map(str, arguments))})"


PRECEDENCE = {"sum": 0, "product": 1, "quotient": 1, "negative": 2, "power": 3}


def _enclosed(node: Operation, least: int) -> str:
    """Return the text of a node, in brackets if its precedence is below ``least``."""
    return str(node) if PRECEDENCE.get(node.kind, 4) >= least else f"({node})"


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """An expression with the names of its coordinates, in order, and of its parameters."""

    tree: Operation
    variables: tuple[str, ...]
    parameters: tuple[str, ...]


def parse(text: str, reserved: frozenset[str] = frozenset()) -> Parsed:
    """Parse an expression.

    Parameters
    ----------
    text
        The expression.
    reserved
        Names that a parameter must not have.

    Raises
    ------
    ExpressionError
        If it is not an expression, exceeds a limit, or has a constant part without a real value.
    """
    # The scan first: it bounds the size before Python's parser runs, and its messages name columns and remedies.
    tokens = list(_tokens(text))
    if not tokens:
        raise ExpressionError(text, 0, "empty expression", "write, for example, x**2/16 + 9*y**2")
    _check_grammar(text, tokens, reserved)
    begin = len(text) - len(text.lstrip())
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:  # numbers such as 007, which pass the scan
        raise ExpressionError(text, begin + max(0, (error.offset or 1) - 1), f"{error.msg}") from None
    except (RecursionError, MemoryError):
        raise ExpressionError(text, 0, f"operators nested more than {MAX_DEPTH} deep") from None
    tree = _Builder(text, begin).built(body, 0)
    # Derivatives are computed later, possibly in the middle of a command: reject now what would take too long.
    variables = [name for name in tree.names if VARIABLE.fullmatch(name)]
    expected = _expected_variables(text, tokens, variables)
    work = _work(tree, frozenset(variables))
    if work > MAX_WORK:
        remedy = "use fewer variables or fewer nested operations"
        raise ExpressionError(text, 0, f"an expression too large for its {len(variables)} variables", remedy)
    return Parsed(tree=tree, variables=expected, parameters=tuple(sorted(tree.names - set(variables))))


def _expected_variables(text: str, tokens: list[re.Match[str]], variables: list[str]) -> tuple[str, ...]:
    """Return the coordinates in order; the names must be x, y, z or x1, x2, … without a gap."""

    def first(names: list[str]) -> int:
        return next(token.start() for token in tokens if token.group() in names)

    count = len(variables)
    # Report the first problem only: each of them may cause the others.
    if not variables:
        raise ExpressionError(text, 0, "no variable", "a surface needs x, y, z, or x1, x2, …")
    if count > MAX_VARIABLES:
        raise ExpressionError(text, 0, f"{count} variables", f"at most {MAX_VARIABLES} are supported")
    indexed = [name for name in variables if len(name) > 1]
    if indexed and len(indexed) < count:
        raise ExpressionError(text, first(indexed), "mixed names of variables", "use either x, y, z or x1, x2, …")
    expected = [f"x{i + 1}" for i in range(count)] if indexed else ["x", "y", "z"][:count]
    if missing := [name for name in expected if name not in variables]:
        extra = [name for name in variables if name not in expected]
        noun = "variable is" if count == 1 else "variables are"
        remedy = f"{count} {noun} called {', '.join(expected)}"
        raise ExpressionError(text, first(extra), f"'{extra[0]}' without '{missing[0]}'", remedy)
    return tuple(expected)


def _work(node: Operation, variables: frozenset[str]) -> int:
    """Estimate the size of the Hessian: nonlinear operations times pairs of variables, weighted for min and max."""
    # Linear operations add nothing to second derivatives; min and max add steps and their derivatives.
    weight = 0 if node.kind in ("sum", "negative") else 5 if node.kind in SEVERAL else 1
    pairs = len(node.names & variables) ** 2
    return weight * pairs * max(1, len(node.operands) - 1) + sum(_work(each, variables) for each in node.operands)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """Yield numbers, names and operators, after checking their size and number."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(text, MAX_LENGTH, f"an expression longer than {MAX_LENGTH} characters")
    position = count = 0
    while position < len(text):
        if text[position] == " ":
            position += 1
            continue
        token = TOKEN.match(text, position)
        # A character that begins no token: name it, even if it is invisible, and suggest what to write instead.
        if token is None:
            character = text[position]
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            shown = f"'{character}'" if character.isprintable() and not character.isspace() else name
            hint = "write Greek letters as alpha, beta, …" if name.startswith("GREEK") else HINTS.get(character, "")
            raise ExpressionError(text, position, f"unexpected character {shown}", hint)
        if token.lastgroup != "operator" and len(token.group()) > MAX_WORD:
            raise ExpressionError(text, position, f"a {token.lastgroup} of more than {MAX_WORD} characters")
        count += 1
        if count > MAX_TOKENS:
            raise ExpressionError(text, position, f"more than {MAX_TOKENS} numbers, names and operators")
        yield token
        position = token.end()


def _check_grammar(text: str, tokens: list[re.Match[str]], reserved: frozenset[str]) -> None:
    """Check that operands and operators alternate, that brackets match, and that names and commas are allowed."""
    operand_expected = True
    opened: list[tuple[int, str]] = []  # position and function of each open bracket
    words = ["", *(token.group() for token in tokens), ""]
    for previous, token, following in zip(words, tokens, words[2:], strict=False):
        word, position = token.group(), token.start()
        is_operand = token.lastgroup != "operator"
        # Operands and operators must alternate; signs and opening brackets may precede an operand.
        if not operand_expected and (is_operand or word == "("):
            factors = ["(…)" if factor in "()" else factor for factor in (previous, word)]
            raise ExpressionError(text, position, "missing operator", f"write products as {'*'.join(factors)}")
        if operand_expected and not is_operand and word not in "+-(":
            raise ExpressionError(text, position, f"missing operand before '{word}'")
        if token.lastgroup == "name":
            _check_name(text, token, following, reserved)
        elif word == "(":
            opened.append((position, previous if previous in FUNCTIONS else ""))
            if len(opened) > MAX_DEPTH:
                raise ExpressionError(text, position, f"brackets nested more than {MAX_DEPTH} deep")
        elif word == ")":
            if not opened:
                raise ExpressionError(text, position, "unmatched ')'")
            opened.pop()
        elif word == ",":
            function = opened[-1][1] if opened else ""
            if function not in SEVERAL:
                problem = f"a second argument of {function}" if function else "unexpected comma"
                raise ExpressionError(text, position, problem, "it takes one" if function else "write decimals as 0.5")
        # A function name must be followed by its bracket, which counts as an operand.
        operand_expected = word in FUNCTIONS if is_operand else word != ")"
    if operand_expected:
        raise ExpressionError(text, len(text), "missing operand")
    if opened:
        raise ExpressionError(text, opened[-1][0], "unclosed '('")


def _check_name(text: str, token: re.Match[str], following: str, reserved: frozenset[str]) -> None:
    """Check that a function is known and called, and that a parameter may have its name."""
    name, position = token.group(), token.start()
    if name in FUNCTIONS:
        if following != "(":
            argument = following if TOKEN.fullmatch(following) and following[0].isalnum() else "x"
            raise ExpressionError(text, position, f"function '{name}' without brackets", f"write {name}({argument})")
    elif following == "(" and name not in CONSTANTS and not VARIABLE.fullmatch(name):
        suggestion = did_you_mean(name, FUNCTIONS).strip(" ()").replace("'", "")
        hint = HINTS.get(name) or suggestion or f"the functions are {', '.join(FUNCTIONS)}"
        raise ExpressionError(text, position, f"unknown function '{name}'", hint)
    elif name.startswith("_") or keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in reserved:
        raise ExpressionError(text, position, f"'{name}' cannot name a parameter", "choose another name")


class _Builder:
    """Convert the nodes of Python's parser to operations; nodes outside the whitelist are errors.

    Constant parts are evaluated while they are built, so that division by zero and overflow are reported with their
    position. Limits apply before the evaluation: ``9**9**9`` is never computed.
    """

    def __init__(self, text: str, begin: int) -> None:
        self.text = text
        self.begin = begin

    def error(self, position: int, problem: str, remedy: str = "") -> ExpressionError:
        return ExpressionError(self.text, position, problem, remedy)

    def position_of(self, node: ast.expr) -> int:
        return self.begin + node.col_offset

    def operator_of(self, node: ast.BinOp, symbol: str) -> int:
        """Return the position of the operator, which Python's parser does not record."""
        return self.text.index(symbol, self.begin + (node.left.end_col_offset or 0))

    def built(self, node: ast.expr, depth: int) -> Operation:
        # Sums and products nest only in brackets, whose depth the scan has checked: they do not count again.
        if depth > MAX_DEPTH:
            raise self.error(self.position_of(node), f"operators nested more than {MAX_DEPTH} deep")
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return self.number(node)
            case ast.Name(id=name):
                return Operation(
                    kind="name", name=name, constant=CONSTANTS.get(name), degree=int(name not in CONSTANTS)
                )
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self.built(inner, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return _negative(self.built(inner, depth + 1))
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self.sum(node, depth)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self.product(node, depth)
            case ast.BinOp(op=ast.Pow()):
                return self.power(node, depth)
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in FUNCTIONS:
                operands = [self.built(argument, depth + 1) for argument in arguments]
                if function in SEVERAL and len(operands) < 2:
                    raise self.error(self.position_of(node), f"{function} with one argument", "it takes two or more")
                degree = max(1, *(operand.degree for operand in operands))
                return self.made(function, operands, FUNCTIONS[function], self.position_of(node), degree)
        raise self.error(self.position_of(node), "unsupported syntax")

    def number(self, node: ast.Constant) -> Operation:
        # Python's parser has rounded the number; its text is exact.
        literal = self.text[self.position_of(node) : self.begin + (node.end_col_offset or 0)]
        is_zero = not any(digit in "123456789" for digit in literal.lower().partition("e")[0])
        # Check the size first: the exact value of 1e99999999999 would not fit into memory.
        self.check_size(float(literal), self.position_of(node), may_vanish=is_zero)
        return Operation(kind="number", constant=Fraction(0) if is_zero else Fraction(literal))

    def sum(self, node: ast.BinOp, depth: int) -> Operation:
        first, rest = _left_operands(node, (ast.Add, ast.Sub))
        terms = [self.built(first, depth)]
        for each in rest:
            term = self.built(each.right, depth)
            terms.append(_negative(term) if isinstance(each.op, ast.Sub) else term)
        degree = max(term.degree for term in terms)
        return self.made("sum", terms, lambda *values: sum(values), self.position_of(node), degree)

    def product(self, node: ast.BinOp, depth: int) -> Operation:
        first, rest = _left_operands(node, (ast.Mult, ast.Div))
        factors = [self.built(first, depth)]
        for each in rest:
            position = self.operator_of(each, "/" if isinstance(each.op, ast.Div) else "*")
            right = self.built(each.right, depth)
            if isinstance(each.op, ast.Mult):
                factors.append(right)
                continue
            # a * b / c is the quotient (a * b)/c, as Python computes it, and the first factor of what follows.
            depth += 1  # a quotient encloses everything to its left
            if depth > MAX_DEPTH:
                raise self.error(position, f"operators nested more than {MAX_DEPTH} deep")
            top = self.multiplied(factors, position)
            degree = top.degree + right.degree
            factors = [self.made("quotient", [top, right], lambda a, b: a / b, position, degree)]
        return self.multiplied(factors, self.position_of(node))

    def multiplied(self, factors: list[Operation], position: int) -> Operation:
        if len(factors) == 1:
            return factors[0]
        degree = sum(factor.degree for factor in factors)
        return self.made("product", factors, lambda *values: math.prod(values), position, degree)

    def power(self, node: ast.BinOp, depth: int) -> Operation:
        position = self.operator_of(node, "**")
        base, exponent = self.built(node.left, depth + 1), self.built(node.right, depth + 1)
        # The number of factors, which also bounds how long a constant power takes to evaluate.
        times = 1
        if exponent.constant is not None:
            times = max(1, math.ceil(abs(float(exponent.constant))))
        if times > MAX_DEGREE:
            raise self.error(position, f"a power above {MAX_DEGREE}")
        if base.constant is not None and base.constant <= 0 and exponent.constant is None:
            raise self.error(position, "a power of a number that is not positive, with a variable exponent")
        return self.made("power", [base, exponent], _power, position, times * base.degree + exponent.degree)

    def made(
        self,
        kind: str,
        operands: list[Operation],
        compute: Callable[..., Fraction | float],
        position: int,
        degree: int,
    ) -> Operation:
        """Return the operation, with its value where all operands are constant."""
        if degree > MAX_DEGREE:
            raise self.error(position, f"a polynomial of degree {degree}", f"the limit is {MAX_DEGREE}")
        values = [operand.constant for operand in operands if operand.constant is not None]
        if len(values) < len(operands):  # not constant
            if kind == "quotient" and operands[1].constant == 0:
                raise self.error(position, "a division by zero")
            return Operation(kind=kind, operands=tuple(operands), degree=degree)
        try:
            value = compute(*values)
        except ZeroDivisionError:
            raise self.error(position, "a division by zero") from None
        except OverflowError:
            value = math.inf
        except (ValueError, TypeError):
            raise self.error(position, f"the {kind} of a constant is not a real number") from None
        # A product or power that is zero although no factor is has underflowed.
        may_vanish = kind in ("sum", *FUNCTIONS) or 0 in values
        self.check_size(value, position, may_vanish=may_vanish)
        # Numerators and denominators of exact fractions would grow without limit.
        is_short = isinstance(value, Fraction) and max(abs(value.numerator), value.denominator) < 2**64
        return Operation(kind=kind, operands=tuple(operands), constant=value if is_short else float(value))

    def check_size(self, value: Fraction | float, position: int, *, may_vanish: bool = True) -> None:
        size = abs(float(value))
        if not (1 / MAX_SIZE <= size <= MAX_SIZE or (size == 0 and may_vanish)):
            limits = f"from {1 / MAX_SIZE:g} to {MAX_SIZE:g}"
            raise self.error(position, "a constant too large or too small", f"constants range {limits}; rescale")


def _left_operands(node: ast.BinOp, operators: tuple[type[ast.operator], ...]) -> tuple[ast.expr, list[ast.BinOp]]:
    """Unroll ``a + b - c …`` into ``a`` and the operations from left to right: no recursion per term."""
    operations: list[ast.BinOp] = []
    first: ast.expr = node
    while isinstance(first, ast.BinOp) and isinstance(first.op, operators):
        operations.append(first)
        first = first.left
    return first, operations[::-1]


def _negative(inner: Operation) -> Operation:
    constant = None if inner.constant is None else -inner.constant
    return Operation(kind="negative", operands=(inner,), constant=constant, degree=inner.degree)


def _power(base: Fraction | float, exponent: Fraction | float) -> Fraction | float:
    """Return a constant power, exact if it is a short fraction."""
    if isinstance(base, Fraction) and exponent == int(exponent):
        size = max(abs(base.numerator), base.denominator).bit_length() * abs(int(exponent))
        if size <= 128:
            return base ** int(exponent)
    if base == 0 and exponent < 0:
        raise ZeroDivisionError
    return math.pow(base, exponent)
