"""Text to a tree: a tokenizer and a parser of its own, which know a closed list of names and operators.

Nothing of the text is ever given to Python or SymPy: what this grammar does not say is refused, with its position.
Size, depth, numbers and powers are bounded, so that no text costs much time or memory.

::

    sum      = product (("+" | "-") product)*
    product  = signed (("*" | "/") signed)*
    signed   = ("+" | "-") signed | power
    power    = atom ["**" signed]
    atom     = number | name | function "(" sum ("," sum)* ")" | "(" sum ")"
"""

import keyword
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from momentumlab.errors import ConfigError, Problem
from momentumlab.registry import did_you_mean
from momentumlab.surfaces.expressions.tree import (
    CONSTANTS,
    FUNCTIONS,
    SEVERAL,
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

MAX_LENGTH = 2000
"""The longest text, in characters."""

MAX_DEPTH = 30
"""How deep brackets, signs, powers and divisions may be nested in each other."""

MAX_TOKENS = 800
"""The most numbers, names, operators and brackets."""

MAX_DIGITS = 30
"""The longest number, in characters."""

MAX_NAME = 30
"""The longest name, in characters."""

MAX_DEGREE = 100
"""The highest power of a variable, products and nested powers taken together."""

MAX_FACTORS = 20
"""The most factors of a product that are no numbers: its second derivatives have the cube of that many."""

MAX_VARIABLES = 20
"""The most variables."""

VARIABLE = re.compile(r"[xyz]|x[1-9][0-9]?")
"""What is a variable; every other name is a parameter."""

TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|[-+*/(),])",
    re.ASCII,
)

REMEDIES = {
    "^": "is no operator; a power is written x**2",
    "−": "is not the minus sign of a keyboard; write -",
    "–": "is not the minus sign of a keyboard; write -",
    "×": "is no operator; write *",
    "·": "is no operator; write *",
    "⋅": "is no operator; write *",
    "÷": "is no operator; write /",
    "²": "is no operator; write **2",
    "³": "is no operator; write **3",
    "√": "is no operator; write sqrt(x)",
    "|": "is no bracket; an absolute value is written abs(x)",
    "[": "is no bracket here; write (",
    "]": "is no bracket here; write )",
    "{": "is no bracket here; write (",
    "}": "is no bracket here; write )",
    "%": "is no operator; there is no remainder of a division",
    "=": "is no operator; write the right side alone",
    "!": "is no operator; there is no factorial",
}
"""What to write instead of characters by which people mean something."""

INSTEAD = {"ln": "log", "arctan": "atan", "arcsin": "asin", "arccos": "acos", "fabs": "abs", "Abs": "abs", "pow": "**"}
"""What functions are called elsewhere."""


class ExpressionError(ConfigError):
    """A text is no expression. Says what is wrong, where, and what to write instead."""

    def __init__(self, text: str, position: int, message: str) -> None:
        self.position = position
        begin = max(0, position - 40)
        shown = "".join(c if c.isprintable() and _is_narrow(c) else "?" for c in text[begin : position + 30])
        caret = " " * (position - begin)
        super().__init__(
            [Problem(place="", message=f"{message} (character {position + 1})\n    {shown}\n    {caret}^")]
        )


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """An expression, and the names in it.

    Attributes
    ----------
    tree
        The whole.
    variables
        In order: x, y, z, or x1, x2, ….
    parameters
        In the order of the alphabet.
    """

    tree: Node
    variables: tuple[str, ...]
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class _Part:
    """A tree and what is known of it: its value if it has no variables, and its degree."""

    node: Node
    constant: Fraction | float | None = None
    degree: int = 1


def parse(text: str, reserved: frozenset[str] = frozenset()) -> Parsed:
    """Read an expression.

    Parameters
    ----------
    text
        What a person wrote.
    reserved
        Names that no parameter may have.

    Raises
    ------
    ExpressionError
        With the position, if it is none, passes a bound, or has no value anywhere.
    """
    parser = _Parser(text, reserved)
    part = parser.whole()
    variables = [name for name in part.node.names if VARIABLE.fullmatch(name)]
    indexed = sorted(int(name[1:]) for name in variables if len(name) > 1)
    count = len(variables)
    if not variables:
        raise ExpressionError(text, 0, "a surface needs a variable: x, y, z, or x1, x2, …")
    if indexed and len(indexed) < count:
        raise parser.error_at_name(variables, "the variables are either x, y, z or x1, x2, …, not both")
    expected = [f"x{i + 1}" for i in range(count)] if indexed else ["x", "y", "z"][:count]
    missing = [name for name in expected if name not in variables]
    if missing:
        raise parser.error_at_name(
            [name for name in variables if name not in expected],
            f"there is no {missing[0]} in it; {count} {'variables' if count > 1 else 'variable'} "
            f"must be {', '.join(expected)}",
        )
    if count > MAX_VARIABLES:
        raise ExpressionError(text, 0, f"{count} variables are more than {MAX_VARIABLES}")
    parameters = tuple(sorted(part.node.names - set(variables)))
    return Parsed(tree=part.node, variables=tuple(expected), parameters=parameters)


def _is_narrow(character: str) -> bool:
    """Whether the caret below it stays in line."""
    return unicodedata.east_asian_width(character) not in ("W", "F") and not unicodedata.combining(character)


class _Parser:
    def __init__(self, text: str, reserved: frozenset[str]) -> None:
        self.text = text
        self.reserved = reserved
        self.tokens = self.tokenized()
        self.next = 0

    def error(self, position: int, message: str) -> ExpressionError:
        return ExpressionError(self.text, position, message)

    def error_at_name(self, names: list[str], message: str) -> ExpressionError:
        """An error where the first of some names stands."""
        return self.error(next(token.position for token in self.tokens if token.text in names), message)

    def tokenized(self) -> list[_Token]:
        text, tokens, position = self.text, list[_Token](), 0
        if len(text) > MAX_LENGTH:
            raise self.error(MAX_LENGTH, f"longer than {MAX_LENGTH} characters")
        while position < len(text):
            if text[position] == " ":
                position += 1
                continue
            match = TOKEN.match(text, position)
            if match is None:
                self.refuse_character(position)
            kind, word = str(match.lastgroup), match.group()
            if kind == "number" and len(word) > MAX_DIGITS:
                raise self.error(position, f"a number of more than {MAX_DIGITS} characters")
            if kind == "name" and len(word) > MAX_NAME:
                raise self.error(position, f"a name of more than {MAX_NAME} characters")
            if len(tokens) == MAX_TOKENS:
                raise self.error(position, f"more than {MAX_TOKENS} numbers, names and operators")
            tokens.append(_Token(kind, word, position))
            position = match.end()
        return [*tokens, _Token("end", "", len(text))]

    def refuse_character(self, position: int) -> NoReturn:
        character = self.text[position]
        if character in REMEDIES:
            raise self.error(position, f"'{character}' {REMEDIES[character]}")
        if character.isprintable() and not character.isspace():
            remedy = "; write Greek letters as alpha, beta" if "GREEK" in unicodedata.name(character, "") else ""
            raise self.error(position, f"'{character}' is not part of an expression{remedy}")
        name = unicodedata.name(character, f"U+{ord(character):04X}")
        raise self.error(position, f"the character {name} is not part of an expression")

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def take(self, *words: str) -> _Token | None:
        """The next token, if it is one of these operators."""
        token = self.token
        if token.kind != "operator" or token.text not in words:
            return None
        self.next += 1
        return token

    def whole(self) -> _Part:
        if self.token.kind == "end":
            raise self.error(0, "there is nothing in it; write an expression such as x**2/16 + 9*y**2")
        part = self.sum(0)
        if self.token.kind != "end":
            raise self.error(self.token.position, self.unexpected())
        return part

    def unexpected(self) -> str:
        token = self.token
        if token.kind == "end":
            return "something is missing at the end"
        if token.kind in ("number", "name") or token.text == "(":
            before = self.tokens[self.next - 1] if self.next else None
            if before and before.kind == "name" and before.text in FUNCTIONS:
                return f"a function has brackets: {before.text}({token.text.strip('(')})"
            if before and (before.kind in ("number", "name") or before.text == ")"):
                inner = "(…)" if token.text == "(" else token.text
                outer = "(…)" if before.text == ")" else before.text
                return f"an operator is missing; a product is written {outer}*{inner}"
        if token.text == ")":
            return "this bracket closes none" if self.next else "there is nothing before it"
        if token.text == ",":
            return f"a comma separates arguments of {' and '.join(SEVERAL)} alone; decimals are written 0.5"
        return f"'{token.text}' has nothing to stand on here"

    def nested(self, depth: int, token: _Token) -> int:
        if depth >= MAX_DEPTH:
            raise self.error(token.position, f"nested more than {MAX_DEPTH} deep")
        return depth + 1

    def sum(self, depth: int) -> _Part:
        parts = [self.product(depth)]
        while operator := self.take("+", "-"):
            part = self.product(depth)
            parts.append(_negative(part) if operator.text == "-" else part)
        if len(parts) == 1:
            return parts[0]
        constant = self.folded(self.tokens[self.next - 1], parts, lambda *values: sum(values))
        return _Part(Sum(tuple(part.node for part in parts)), constant, max(part.degree for part in parts))

    def product(self, depth: int) -> _Part:
        left = self.signed(depth)
        factors = [left]
        while operator := self.take("*", "/"):
            right = self.signed(depth)
            if operator.text == "*":
                factors.append(right)
                continue
            depth = self.nested(depth, operator)
            if right.constant == 0:
                raise self.error(operator.position, "a division by zero")
            top = self.multiplied(factors, operator)
            constant = self.folded(operator, [top, right], lambda a, b: a / b, vanishes=False)
            degree = self.checked_degree(operator, top.degree + right.degree)
            factors = [_Part(Quotient(top.node, right.node), constant, degree)]
        return self.multiplied(factors, self.tokens[self.next - 1])

    def multiplied(self, factors: list[_Part], token: _Token) -> _Part:
        if len(factors) == 1:
            return factors[0]
        if sum(factor.constant is None for factor in factors) > MAX_FACTORS:
            raise self.error(token.position, f"a product of more than {MAX_FACTORS} factors with variables")
        constant = self.folded(token, factors, lambda *values: math.prod(values), vanishes=False)
        degree = self.checked_degree(token, sum(factor.degree for factor in factors))
        return _Part(Product(tuple(factor.node for factor in factors)), constant, degree)

    def signed(self, depth: int) -> _Part:
        token = self.token
        if operator := self.take("+", "-"):
            inner = self.signed(self.nested(depth, token))
            return _negative(inner) if operator.text == "-" else inner
        return self.power(depth)

    def power(self, depth: int) -> _Part:
        base = self.atom(depth)
        operator = self.take("**")
        if operator is None:
            return base
        exponent = self.signed(self.nested(depth, operator))
        power: Fraction | float | None = exponent.constant
        if base.constant is not None and power is None and base.constant <= 0:
            raise self.error(operator.position, "a power of a number that is not above 0, with a variable exponent")
        if base.constant is not None and base.constant < 0 and power is not None and power != int(power):
            raise self.error(operator.position, "a negative number has no real power that is not whole")
        if base.constant == 0 and power is not None and power < 0:
            raise self.error(operator.position, "a division by zero")
        if power is not None and abs(float(power)) > MAX_DEGREE:
            raise self.error(operator.position, f"a power of more than {MAX_DEGREE}")
        constant = self.folded(operator, [base, exponent], _power, vanishes=False)
        times = 1 if power is None else max(1, math.ceil(abs(float(power))))
        degree = self.checked_degree(operator, times * base.degree + exponent.degree)
        return _Part(Power(base.node, exponent.node), constant, degree)

    def checked_degree(self, token: _Token, degree: int) -> int:
        if degree > MAX_DEGREE:
            raise self.error(token.position, f"a power of degree {degree}; at most {MAX_DEGREE} is computed")
        return degree

    def atom(self, depth: int) -> _Part:
        token = self.token
        if token.kind == "number":
            self.next += 1
            value = self.number(token)
            return _Part(Number(value), value, 0)
        if token.kind == "name":
            self.next += 1
            return self.named(token, depth)
        if self.take("("):
            part = self.sum(self.nested(depth, token))
            self.close(token)
            return part
        raise self.error(token.position, self.unexpected())

    def close(self, opening: _Token) -> None:
        if self.take(")"):
            return
        if self.token.kind == "end":
            raise self.error(opening.position, "this bracket is not closed")
        raise self.error(self.token.position, self.unexpected())

    def number(self, token: _Token) -> Fraction:
        if not (math.isfinite(float(token.text)) and abs(_exponent(token.text)) <= 308):
            raise self.error(token.position, "a number beyond what a computer can hold")
        return Fraction(token.text)

    def named(self, token: _Token, depth: int) -> _Part:
        name = token.text
        following = self.token
        if name in FUNCTIONS:
            if not self.take("("):
                self.refuse_bare(token)
            arguments = [self.sum(self.nested(depth, token))]
            while name in SEVERAL and self.take(","):
                arguments.append(self.sum(depth + 1))
            if name not in SEVERAL and self.token.text == ",":
                raise self.error(self.token.position, f"{name} takes one argument")
            self.close(following)
            if name in SEVERAL and len(arguments) < 2:
                raise self.error(token.position, f"{name} takes two arguments or more")
            return self.called(token, arguments)
        if following.text == "(" and name not in CONSTANTS and not VARIABLE.fullmatch(name):
            instead = f"; write {INSTEAD[name]}" if name in INSTEAD else did_you_mean(name, FUNCTIONS)
            known = "" if instead else f"; there are {', '.join(FUNCTIONS)}"
            raise self.error(token.position, f"there is no function '{name}'{instead}{known}")
        if name in CONSTANTS:
            return _Part(Name(name), CONSTANTS[name], 0)
        if name.startswith("_") or keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in self.reserved:
            raise self.error(token.position, f"'{name}' cannot be the name of a parameter; choose another")
        return _Part(Name(name))

    def refuse_bare(self, token: _Token) -> NoReturn:
        following = self.token
        argument = following.text if following.kind in ("name", "number") else "x"
        raise self.error(token.position, f"a function has brackets: {token.text}({argument})")

    def called(self, token: _Token, arguments: list[_Part]) -> _Part:
        constant = self.folded(token, arguments, FUNCTIONS[token.text][0])
        degree = max(0 if constant is not None else 1, *(argument.degree for argument in arguments))
        return _Part(Call(token.text, tuple(argument.node for argument in arguments)), constant, degree)

    def folded(
        self,
        token: _Token,
        parts: list[_Part],
        compute: Callable[..., Fraction | float],
        *,
        vanishes: bool = True,
    ) -> Fraction | float | None:
        """The value of a part without variables; ``vanishes`` where it may be zero though none of its parts is.

        Raises
        ------
        ExpressionError
            If it has none, or one that a computer cannot hold.
        """
        values = [part.constant for part in parts if part.constant is not None]
        if len(values) < len(parts):
            return None
        try:
            value = compute(*values)
            rounded = float(value)
        except (ValueError, ZeroDivisionError):
            what = token.text if token.kind == "name" else "this"
            raise self.error(token.position, f"{what} is not a real number") from None
        except OverflowError:
            rounded = math.inf
        if not math.isfinite(rounded) or (rounded == 0 and 0 not in values and not vanishes):
            raise self.error(token.position, "a number beyond what a computer can hold")
        is_short = isinstance(value, Fraction) and max(abs(value.numerator), value.denominator) < 2**64
        return value if is_short else rounded


def _negative(part: _Part) -> _Part:
    return _Part(Negative(part.node), None if part.constant is None else -part.constant, part.degree)


def _power(base: Fraction | float, exponent: Fraction | float) -> Fraction | float:
    if isinstance(base, Fraction) and exponent == int(exponent):
        size = max(abs(base.numerator), base.denominator).bit_length() * abs(int(exponent))
        if size <= 128:
            return base ** int(exponent)
    return math.pow(base, exponent)


def _exponent(number: str) -> int:
    digits = number.lower().partition("e")[2]
    return int(digits) if digits else 0
