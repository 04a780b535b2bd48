"""Compile operations to programs: flat lists of NumPy calls over lanes. No source text is generated or evaluated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.registry import Array
from momentumlab.surfaces.expressions.syntax import CONSTANTS, Operation

Compute = Callable[..., Any]


def _minimum(first: Any, second: Any, out: Any = None) -> Any:
    return np.minimum(first, second, out=out)  # which takes ``out`` only by name


def _maximum(first: Any, second: Any, out: Any = None) -> Any:
    return np.maximum(first, second, out=out)


def _step(x: Any, out: Any = None) -> Any:
    return np.heaviside(x, 0.5, out=out)


def _kink(x: Any, out: Any = None) -> Any:
    return np.divide(0.0, x, out=out)


UFUNCS: dict[str, Compute] = {
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
    "step": _step,
    "kink": _kink,
}
"""NumPy's functions by our names. Two occur only in derivatives: ``step``, the derivative of ``max(x, 0)``, and
``kink``, that of a jump, which is not a number at zero and zero elsewhere."""

LONGEST_CHAIN = 128
"""Powers up to this exponent are computed by multiplication."""

Call = tuple[Compute, int, int, int, int]
"""A call, and the registers of its operands (0: no second one), of the array it overwrites (0: a new one), and of its
result."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Several expressions of the same variables, computed together.

    Attributes
    ----------
    registers
        Initial contents: constants, else ``None``. Register 0 stays empty; coordinates and parameters follow.
    parameters, inputs, rows
        The first register of the parameters, the first after them, and that of the first row of the result.
    calls
        For real points. Arrays that are not needed again are overwritten.
    allocating_calls
        The same without overwriting, for complex points: real intermediate arrays cannot hold complex results.
    results
        The register of each expression.
    copied
        Indices of the expressions that no call writes into their row.
    """

    registers: tuple[Any, ...]
    parameters: int
    inputs: int
    rows: int
    calls: tuple[Call, ...]
    allocating_calls: tuple[Call, ...]
    results: tuple[int, ...]
    copied: tuple[int, ...]

    def value(self, x: Array, parameters: Sequence[Any]) -> Array:
        """Evaluate the first expression: ``(dim, lanes) -> (lanes,)``."""
        registers = self._loaded(x, parameters)
        self._run(registers, is_real=x.dtype.char == "d")
        value: Array = registers[self.results[0]]
        return np.broadcast_to(value, x.shape[1:]).astype(x.dtype) if self.copied else value

    def write_rows(self, out: Array, x: Array, parameters: Sequence[Any]) -> Array:
        """Evaluate every expression into its row of ``out``, ``(expressions, lanes)``, and return ``out``."""
        registers = self._loaded(x, parameters)
        is_real = x.dtype.char == "d"
        if is_real:
            registers[self.rows :] = map(out.__getitem__, range(len(out)))
        self._run(registers, is_real=is_real)
        for row in self.copied if is_real else range(len(out)):
            out[row] = registers[self.results[row]]
        return out

    def _loaded(self, x: Array, parameters: Sequence[Any]) -> list[Any]:
        registers = [*self.registers]
        registers[1 : self.parameters] = map(x.__getitem__, range(len(x)))  # three times as fast as iterating over x
        registers[self.parameters : self.inputs] = parameters
        return registers

    def _run(self, registers: list[Any], *, is_real: bool) -> None:
        for compute, first, second, into, result in self.calls if is_real else self.allocating_calls:
            if second:
                registers[result] = compute(registers[first], registers[second], registers[into])
            else:
                registers[result] = compute(registers[first], registers[into])


def compiled(
    expressions: Sequence[Operation],
    variables: Sequence[str],
    parameters: Sequence[str] = (),
    shared: Mapping[str, Operation] | None = None,
) -> Program:
    """Compile expressions to one program.

    Parameters
    ----------
    expressions
        What is computed.
    variables, parameters
        Names of the coordinates and of the parameters, in the order in which they are passed.
    shared
        Common subexpressions by the names under which the expressions and later subexpressions refer to them.
    """
    compiler = _Compiler((*variables, *parameters), len(variables))
    for name, part in (shared or {}).items():
        compiler.named[name] = compiler.register(part)
    return compiler.program([compiler.register(expression) for expression in expressions])


class _Compiler:
    """Assign registers to operations; equal calls share a register."""

    def __init__(self, names: Sequence[str], variables: int) -> None:
        self.named = {name: 1 + i for i, name in enumerate(names)}
        self.registers: list[Any] = [None] * (1 + len(names))
        self.variables = variables
        self.with_lanes = set(range(1, 1 + variables))
        self.inputs = len(self.registers)
        self.constants: dict[float, int] = {}
        self.calls: dict[tuple[Compute, int, int], int] = {}

    def register(self, node: Operation) -> int:
        """Return the register that will hold the value of a node."""
        if node.kind == "number":
            return self.constant(float(node.constant or 0))
        if node.kind == "name":
            return self.constant(CONSTANTS[node.name]) if node.name in CONSTANTS else self.named[node.name]
        if node.kind == "sum":
            return self.sum(node.operands)
        if node.kind == "power":
            return self.power(self.register(node.operands[0]), self.register(node.operands[1]))
        first, *others = map(self.register, node.operands)
        if node.kind == "negative":
            return self.call(np.negative, first)
        compute = {"product": np.multiply, "quotient": np.divide}.get(node.kind) or UFUNCS[node.kind]
        if not others:
            return self.call(compute, first)
        for other in others:
            first = self.call(compute, first, other)
        return first

    def constant(self, value: float) -> int:
        # As an array without an axis: a Python float would be converted again in each call.
        if value not in self.constants:
            self.constants[value] = self.new(np.array(value))
        return self.constants[value]

    def new(self, value: Any = None) -> int:
        self.registers.append(value)
        return len(self.registers) - 1

    def call(self, compute: Compute, first: int, second: int = 0) -> int:
        operands = [first, second] if second else [first]
        values = [self.registers[operand] for operand in operands]
        if all(value is not None for value in values):
            with np.errstate(all="ignore"):
                return self.constant(float(compute(*values)))
        key = (compute, first, second)
        if key not in self.calls:
            self.calls[key] = self.new()
            if self.with_lanes.intersection(operands):
                self.with_lanes.add(self.calls[key])
        return self.calls[key]

    def sum(self, terms: tuple[Operation, ...]) -> int:
        first, *others = terms
        if first.kind == "negative" and others[0].kind != "negative":  # −a + b is b − a
            total = self.call(np.subtract, self.register(others[0]), self.register(first.operands[0]))
            others = others[1:]
        else:
            total = self.register(first)
        for term in others:
            if term.kind == "negative":
                total = self.call(np.subtract, total, self.register(term.operands[0]))
            else:
                total = self.call(np.add, total, self.register(term))
        return total

    def power(self, base: int, exponent: int) -> int:
        """Compute integer and half-integer powers by multiplication and roots; NumPy's general power is far slower."""
        number = self.registers[exponent]
        if number is None or not float(2 * number).is_integer() or abs(number) > LONGEST_CHAIN:
            return self.call(np.power, base, exponent)
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
        # The rows of the result are registers too: a call can then write into the caller's array without a copy.
        rows = len(self.registers)
        self.registers += [None] * len(results)
        row_of = {result: rows + i for i, result in reversed(list(enumerate(results)))}
        # Drop calls without effect on the results: common subexpressions that only other derivatives need.
        needed = set(results)
        made: list[tuple[Compute, int, int, int]] = []
        for (compute, first, second), result in reversed(self.calls.items()):
            if result in needed:
                needed |= {first, second}
                made.append((compute, first, second, result))
        made.reverse()
        # A call writes into the row of its result or over an operand that no later call reads: with many lanes,
        # allocating a new array takes longer than the arithmetic.
        last_use = {operand: i for i, call in enumerate(made) for operand in call[1:3]}
        reusable = {call[-1] for call in made if call[-1] in self.with_lanes} - set(results)
        calls: list[Call] = []
        written = set()
        for i, (compute, first, second, result) in enumerate(made):
            into = 0
            if result in self.with_lanes:
                ending = [operand for operand in (first, second) if operand in reusable and last_use[operand] == i]
                into = row_of.get(result) or (ending[0] if ending else 0)
                written.add(into)
            calls.append((compute, first, second, into, result))
        return Program(
            registers=tuple(self.registers),
            parameters=1 + self.variables,
            inputs=self.inputs,
            rows=rows,
            calls=tuple(calls),
            allocating_calls=tuple((compute, first, second, 0, result) for compute, first, second, _, result in calls),
            results=tuple(results),
            copied=tuple(i for i in range(len(results)) if rows + i not in written),
        )
