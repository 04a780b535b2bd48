"""Expressions as trees of frozen data, and the trees as text, as LaTeX and as numbers."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

CONSTANTS = {"pi": math.pi, "e": math.e}
"""Names that stand for a number."""

FUNCTIONS: dict[str, tuple[Callable[..., float], str]] = {
    "sqrt": (math.sqrt, r"\sqrt{{{}}}"),
    "exp": (math.exp, r"e^{{{}}}"),
    "expm1": (math.expm1, r"\mathrm{{expm1}}\left({}\right)"),
    "log": (math.log, r"\log\left({}\right)"),
    "log1p": (math.log1p, r"\mathrm{{log1p}}\left({}\right)"),
    "sin": (math.sin, r"\sin\left({}\right)"),
    "cos": (math.cos, r"\cos\left({}\right)"),
    "tan": (math.tan, r"\tan\left({}\right)"),
    "asin": (math.asin, r"\arcsin\left({}\right)"),
    "acos": (math.acos, r"\arccos\left({}\right)"),
    "atan": (math.atan, r"\arctan\left({}\right)"),
    "sinh": (math.sinh, r"\sinh\left({}\right)"),
    "cosh": (math.cosh, r"\cosh\left({}\right)"),
    "tanh": (math.tanh, r"\tanh\left({}\right)"),
    "abs": (abs, r"\left|{}\right|"),
    "sign": (lambda u: float((u > 0) - (u < 0)), r"\mathrm{{sign}}\left({}\right)"),
    "min": (min, r"\min\left({}\right)"),
    "max": (max, r"\max\left({}\right)"),
}
"""What may be called: how it is computed for plain numbers, and its LaTeX. ``min`` and ``max`` take two arguments or
more, all others one."""

SEVERAL = ("min", "max")

GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi", "rho",
    "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip

SUM, PRODUCT, NEGATIVE, POWER, ATOM = range(5)
"""How tightly the outermost operator of a text binds."""


class Node:
    """A part of an expression."""

    binding = ATOM

    @property
    def children(self) -> tuple["Node", ...]:
        """The parts from which it is made."""
        return ()

    def text(self) -> str:
        """The expression as it can be read again."""
        raise NotImplementedError

    def latex(self) -> str:
        """The expression for figures, within what matplotlib can set."""
        raise NotImplementedError

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of variables and parameters in it."""
        return frozenset().union(*(child.names for child in self.children))


@dataclass(frozen=True)
class Number(Node):
    """An exact rational number; a decimal such as 0.1 is a tenth, and is rounded once, at the end."""

    value: Fraction

    def text(self) -> str:
        if self.value.denominator == 1 and abs(self.value) < 10**16:
            return str(self.value.numerator)
        return repr(float(self.value))

    def latex(self) -> str:
        digits, _, exponent = self.text().partition("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


@dataclass(frozen=True)
class Name(Node):
    """A variable, a parameter, or one of `CONSTANTS`."""

    name: str

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset() if self.name in CONSTANTS else frozenset({self.name})

    def text(self) -> str:
        return self.name

    def latex(self) -> str:
        word = self.name.rstrip("0123456789").rstrip("_")
        index = self.name[len(word) :].lstrip("_")
        if word in GREEK or word == "pi":
            word = rf"\{word}"
        elif len(word) > 1:
            word = rf"\mathrm{{{word.replace('_', ' ')}}}"
        return f"{word}_{{{index}}}" if index else word


@dataclass(frozen=True)
class Sum(Node):
    """Two terms or more, added from the left."""

    terms: tuple[Node, ...]
    binding = SUM

    @property
    def children(self) -> tuple[Node, ...]:
        return self.terms

    def text(self) -> str:
        return "".join(_signed(self.terms, _text))

    def latex(self) -> str:
        return "".join(_signed(self.terms, _latex))


@dataclass(frozen=True)
class Product(Node):
    """Two factors or more, multiplied from the left."""

    factors: tuple[Node, ...]
    binding = PRODUCT

    @property
    def children(self) -> tuple[Node, ...]:
        return self.factors

    def text(self) -> str:
        first, *others = self.factors
        return "*".join([_text(first, PRODUCT), *(_text(factor, NEGATIVE) for factor in others)])

    def latex(self) -> str:
        first, *others = self.factors
        written = _latex(first, PRODUCT)
        for before, factor in zip(self.factors, others, strict=False):
            following = _latex(factor, NEGATIVE)
            is_tight = isinstance(before, Number) and not following[0].isdigit()
            written += (r"\," if is_tight else r" \cdot " if following[0].isdigit() else r"\,") + following
        return written


@dataclass(frozen=True)
class Quotient(Node):
    """One part divided by another."""

    top: Node
    bottom: Node
    binding = PRODUCT

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.top, self.bottom)

    def text(self) -> str:
        return f"{_text(self.top, PRODUCT)}/{_text(self.bottom, POWER)}"

    def latex(self) -> str:
        return rf"\frac{{{self.top.latex()}}}{{{self.bottom.latex()}}}"


@dataclass(frozen=True)
class Negative(Node):
    """A part with the opposite sign."""

    inner: Node
    binding = NEGATIVE

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.inner,)

    def text(self) -> str:
        return f"-{_text(self.inner, PRODUCT)}"

    def latex(self) -> str:
        return f"-{_latex(self.inner, PRODUCT)}"


@dataclass(frozen=True)
class Power(Node):
    """A base and its exponent."""

    base: Node
    exponent: Node
    binding = POWER

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.base, self.exponent)

    def text(self) -> str:
        return f"{_text(self.base, ATOM)}**{_text(self.exponent, POWER)}"

    def latex(self) -> str:
        base = self.base.latex()
        is_bare = isinstance(self.base, (Name, Number)) and "^" not in base
        return f"{base if is_bare else _bracketed(base)}^{{{self.exponent.latex()}}}"


@dataclass(frozen=True)
class Call(Node):
    """A function of `FUNCTIONS`, or of those that occur in derivatives alone, and its arguments."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.arguments

    def text(self) -> str:
        return f"{self.function}({', '.join(argument.text() for argument in self.arguments)})"

    def latex(self) -> str:
        return FUNCTIONS[self.function][1].format(", ".join(argument.latex() for argument in self.arguments))


def _text(node: Node, least: int) -> str:
    return node.text() if node.binding >= least else f"({node.text()})"


def _latex(node: Node, least: int) -> str:
    is_fraction = isinstance(node, Quotient)
    return node.latex() if node.binding >= least or is_fraction else _bracketed(node.latex())


def _bracketed(latex: str) -> str:
    return rf"\left({latex}\right)"


def _signed(terms: tuple[Node, ...], written: Callable[[Node, int], str]) -> Iterator[str]:
    first, *others = terms
    yield written(first, PRODUCT)
    for term in others:
        if isinstance(term, Negative):
            yield f" - {written(term.inner, PRODUCT)}"
        else:
            yield f" + {written(term, PRODUCT)}"
