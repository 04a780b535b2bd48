"""Trees to programs: flat lists of NumPy calls over lanes. No source text is made, and none is compiled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.registry import Array
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

Compute = Callable[..., Any]


def _minimum(first: Any, second: Any, out: Any = None) -> Any:
    return np.minimum(first, second, out=out)  # which takes no third argument without its name


def _maximum(first: Any, second: Any, out: Any = None) -> Any:
    return np.maximum(first, second, out=out)


FUNCTIONS: dict[str, Compute] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "abs": np.abs,
    "sign": np.sign,
    "min": _minimum,
    "max": _maximum,
    "step": np.heaviside,
}
"""The calls for functions. In derivatives alone occur ``step``, that of ``max(x, 0)``, and ``kink``, that of a jump:
0/x, zero but for x = 0, where it is not a number."""

LONGEST_CHAIN = 128
"""Up to this exponent a power is a product."""


Step = tuple[Compute, int, int, int, int]
"""One call: the registers of its operands (0: there is no second one), of the array to write over (0: a new one), and
of the result."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Several expressions in the same variables, computed together.

    Attributes
    ----------
    registers
        What stands in each at the beginning: the constants, else ``None``. Number 0 stays empty; then follow the
        coordinates, and the parameters.
    parameters, inputs, rows
        The registers of the first parameter, of what follows the last, and of the first row of the result.
    steps
        The calls for real points. Arrays that are not needed again are written over: on many lanes a new array costs
        more than the arithmetic.
    fresh_steps
        The same with a new array for each, for complex points: of those some parts are real, and no place for the rest.
    results
        The register of each expression.
    copied
        The numbers of those that no call writes into their row.
    """

    registers: tuple[Any, ...]
    parameters: int
    inputs: int
    rows: int
    steps: tuple[Step, ...]
    fresh_steps: tuple[Step, ...]
    results: tuple[int, ...]
    copied: tuple[int, ...]

    def value(self, x: Array, parameters: Sequence[Any]) -> Array:
        """The first expression: ``(dim, lanes) -> (lanes,)``."""
        registers = [*self.registers]
        registers[1 : self.parameters] = map(x.__getitem__, range(len(x)))  # thrice as fast as the rows by themselves
        registers[self.parameters : self.inputs] = parameters
        self._compute(registers, is_real=x.dtype.char == "d")
        value: Array = registers[self.results[0]]
        return np.array(np.broadcast_to(value, x.shape[1:]), dtype=x.dtype) if self.copied else value

    def rows_of(self, out: Array, x: Array, parameters: Sequence[Any]) -> Array:
        """All expressions, a row each, into ``out`` of shape ``(expressions, lanes)``."""
        registers = [*self.registers]
        registers[1 : self.parameters] = map(x.__getitem__, range(len(x)))
        registers[self.parameters : self.inputs] = parameters
        is_real = x.dtype.char == "d"
        if is_real:
            registers[self.rows :] = map(out.__getitem__, range(len(out)))
        self._compute(registers, is_real=is_real)
        for row in self.copied if is_real else range(len(out)):
            out[row] = registers[self.results[row]]
        return out

    def _compute(self, registers: list[Any], *, is_real: bool) -> None:
        for compute, first, second, into, result in self.steps if is_real else self.fresh_steps:
            if second:
                registers[result] = compute(registers[first], registers[second], registers[into])
            else:
                registers[result] = compute(registers[first], registers[into])


def compiled(
    expressions: Sequence[Node],
    variables: Sequence[str],
    parameters: Sequence[str] = (),
    shared: Mapping[str, Node] | None = None,
) -> Program:
    """A program for some expressions.

    Parameters
    ----------
    expressions
        What is computed.
    variables, parameters
        The names of the coordinates, and of what is given beside them, in order.
    shared
        Common parts by the names under which the expressions, and later parts, refer to them.
    """
    compiler = _Compiler((*variables, *parameters), len(variables))
    for name, part in (shared or {}).items():
        compiler.named[name] = compiler.register(part)
    return compiler.program([compiler.register(expression) for expression in expressions])


class _Compiler:
    """Gives every part of a tree a register; equal parts share one."""

    def __init__(self, names: Sequence[str], variables: int) -> None:
        self.named = {name: 1 + i for i, name in enumerate(names)}
        self.registers: list[Any] = [None] * (1 + len(names))
        self.variables = variables
        self.with_lanes = set(range(1, 1 + variables))
        self.inputs = len(self.registers)
        self.constants: dict[float, int] = {}
        self.calls: dict[tuple[Compute, int, int], int] = {}

    def register(self, node: Node) -> int:
        """The register in which the value of a part will stand."""
        match node:
            case Number(value):
                return self.constant(float(value))
            case Name(name):
                return self.constant(CONSTANTS[name]) if name in CONSTANTS else self.named[name]
            case Sum(terms):
                return self.sum(terms)
            case Product(factors):
                first, *others = map(self.register, factors)
                for other in others:
                    first = self.call(np.multiply, first, other)
                return first
            case Quotient(top, bottom):
                return self.call(np.divide, self.register(top), self.register(bottom))
            case Negative(inner):
                return self.call(np.negative, self.register(inner))
            case Power(base, exponent):
                return self.power(self.register(base), exponent)
            case Call("kink", (argument,)):
                return self.call(np.divide, self.constant(0.0), self.register(argument))
            case Call(function, arguments):
                first, *others = map(self.register, arguments)
                if not others:
                    return self.call(FUNCTIONS[function], first)
                for other in others:
                    first = self.call(FUNCTIONS[function], first, other)
                return first
        raise TypeError(f"{node!r} is no part of an expression")

    def constant(self, value: float) -> int:
        # As an array without an axis: a Python float would be converted again in each call.
        if value not in self.constants:
            self.constants[value] = self.new(np.array(value))
        return self.constants[value]

    def new(self, value: Any = None) -> int:
        self.registers.append(value)
        return len(self.registers) - 1

    def call(self, ufunc: Compute, first: int, second: int = 0) -> int:
        operands = [first, second] if second else [first]
        values = [self.registers[operand] for operand in operands]
        if all(value is not None for value in values):
            with np.errstate(all="ignore"):
                return self.constant(float(ufunc(*values)))
        key = (ufunc, first, second)
        if key not in self.calls:
            self.calls[key] = self.new()
            if self.with_lanes.intersection(operands):
                self.with_lanes.add(self.calls[key])
        return self.calls[key]

    def sum(self, terms: tuple[Node, ...]) -> int:
        first, *others = terms
        if isinstance(first, Negative) and not isinstance(others[0], Negative):
            total = self.call(np.subtract, self.register(others[0]), self.register(first.inner))
            others = others[1:]
        else:
            total = self.register(first)
        for term in others:
            if isinstance(term, Negative):
                total = self.call(np.subtract, total, self.register(term.inner))
            else:
                total = self.call(np.add, total, self.register(term))
        return total

    def power(self, base: int, exponent: Node) -> int:
        """Whole and half powers by multiplication and roots: NumPy's general power is far slower."""
        register = self.register(exponent)
        number = self.registers[register]
        if number is None or not float(2 * number).is_integer() or abs(number) > LONGEST_CHAIN:
            return self.call(np.power, base, register)
        doubled = int(2 * number)
        if doubled < 0:
            return self.call(np.divide, self.constant(1.0), self.half_power(base, -doubled))
        return self.half_power(base, doubled)

    def half_power(self, base: int, doubled: int) -> int:
        if doubled % 2:
            root = self.call(np.sqrt, base)
            return root if doubled == 1 else self.call(np.multiply, self.half_power(base, doubled - 1), root)
        whole = doubled // 2
        if whole <= 1:
            return base if whole else self.constant(1.0)
        if whole % 2:
            return self.call(np.multiply, self.half_power(base, doubled - 2), base)
        half = self.half_power(base, whole)
        return self.call(np.multiply, half, half)

    def program(self, results: list[int]) -> Program:
        rows = len(self.registers)
        self.registers += [None] * len(results)
        row_of = {result: rows + i for i, result in reversed(list(enumerate(results)))}
        made = [(*key, result) for key, result in self.calls.items()]
        needed = self.needed(made, results)
        made = [call for call in made if call[-1] in needed]
        last_use = {operand: i for i, call in enumerate(made) for operand in call[1:3]}
        free_to_use = {call[-1] for call in made if call[-1] in self.with_lanes} - set(results)
        steps: list[Step] = []
        written = set()
        for i, (ufunc, first, second, result) in enumerate(made):
            into = 0
            if result in self.with_lanes:
                ending = [one for one in (first, second) if one in free_to_use and last_use[one] == i]
                into = row_of.get(result) or (ending[0] if ending else 0)
                written.add(into)
            steps.append((ufunc, first, second, into, result))
        return Program(
            registers=tuple(self.registers),
            parameters=1 + self.variables,
            inputs=self.inputs,
            rows=rows,
            steps=tuple(steps),
            fresh_steps=tuple((ufunc, first, second, 0, result) for ufunc, first, second, _, result in steps),
            results=tuple(results),
            copied=tuple(i for i in range(len(results)) if rows + i not in written),
        )

    @staticmethod
    def needed(made: list[tuple[Compute, int, int, int]], results: list[int]) -> set[int]:
        """The registers from which the results come."""
        needed = set(results)
        for _, first, second, result in reversed(made):
            if result in needed:
                needed |= {first, second}
        return needed
