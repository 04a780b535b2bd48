"""Compile operations to programs: flat lists of NumPy calls over lanes. No source text is generated or evaluated.

A program works on registers, numbered from 1, which hold the coordinates, parameters, constants and results of calls.
Derivatives are exact: every call is differentiated by the chain rule (forward differentiation), and equal calls are
made once. A program is therefore at most a constant factor longer per derivative than the expression.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.parameters import Array
from momentumlab.surfaces.expressions.syntax import CONSTANTS, Operation

Compute = Callable[..., Any]


# Programs pass ``out`` by position, which NumPy deprecates for minimum and maximum.
def _minimum(first: Any, second: Any, out: Any = None) -> Any:
    return np.minimum(first, second, out=out)


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
"""NumPy's functions by the names of expressions. Two occur only in derivatives: ``step``, the derivative of
``max(x, 0)``, and ``kink``, the derivative of a jump, which is NaN at zero and zero elsewhere."""

LONGEST_CHAIN = 128
"""Powers up to this exponent are computed by multiplication."""

Call = tuple[Compute, int, int, int, int]
"""A function and four registers: of its operands (0: no second one), of the array that it overwrites (0: a new one),
and of its result."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Several expressions of the same variables, computed together.

    Attributes
    ----------
    registers
        The initial contents: constants, otherwise ``None``. Register 0 stays empty; coordinates and parameters follow.
    parameters, inputs, rows
        The first register of the parameters, the first after them, and that of the first row of the result.
    calls
        The calls for real points, which overwrite arrays that are not needed again.
    allocating_calls
        The calls for complex points, which do not: real intermediate arrays cannot hold complex results.
    results
        The register of each expression.
    copied
        The expressions whose values must be copied into their rows, since no call writes them there.
    is_constant
        Whether no result depends on the coordinates.
    """

    registers: tuple[Any, ...]
    parameters: int
    inputs: int
    rows: int
    calls: tuple[Call, ...]
    allocating_calls: tuple[Call, ...]
    results: tuple[int, ...]
    copied: tuple[int, ...]
    is_constant: bool

    def value(self, x: Array, parameters: Sequence[Any]) -> Array:
        """Evaluate the first expression: ``(dim, lanes) -> (lanes,)``."""
        registers = self._loaded(x, parameters)
        self._run(registers, is_real=x.dtype.char == "d")
        value: Array = registers[self.results[0]]
        # A result that no call has computed is a constant or an input: return a copy of it.
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


def compiled(tree: Operation, variables: Sequence[str], parameters: Sequence[str] = (), *, order: int = 0) -> Program:
    """Compile an expression or its derivatives to one program.

    Parameters
    ----------
    tree
        The expression.
    variables, parameters
        Names of the coordinates and of the parameters, in the order in which they are passed.
    order
        0 for the value, 1 for the first derivatives, 2 for the upper triangle of the second ones, row by row.
    """
    compiler = _Compiler((*variables, *parameters), len(variables))
    results = [compiler.register(tree)]
    inputs = range(1, 1 + len(variables))
    if order >= 1:
        gradient = [compiler.derivatives(results, variable)[0] for variable in inputs]
        results = gradient
    if order == 2:
        # The Hessian is symmetric: differentiate the gradient by variable j only in its first j components.
        columns = [compiler.derivatives(gradient[:variable], variable) for variable in inputs]
        results = [columns[j][i] for i in range(len(columns)) for j in range(i, len(columns))]
    return compiler.program(results)


class _Compiler:
    """Assign registers to operations; equal calls share a register.

    Methods take and return registers. They add calls to the program, except where the result is known already.
    """

    def __init__(self, names: Sequence[str], variables: int) -> None:
        self.named = {name: 1 + i for i, name in enumerate(names)}
        self.registers: list[Any] = [None] * (1 + len(names))
        self.variables = variables
        # Registers that depend on coordinates and therefore hold arrays ``(lanes,)``.
        self.with_lanes = set(range(1, 1 + variables))
        self.inputs = len(self.registers)
        self.constants: dict[float, int] = {}
        # The register of each call in the order of computation, and the call of each register.
        self.calls: dict[tuple[Compute, int, int], int] = {}
        self.made_by: dict[int, tuple[Compute, int, int]] = {}
        # Base and exponent of each power that is computed by several calls, which need not be differentiated.
        self.powers: dict[int, tuple[int, int]] = {}

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
        # A zero-dimensional array: a Python float would be converted again in each call.
        if value not in self.constants:
            self.constants[value] = self.new(np.array(value))
        return self.constants[value]

    def new(self, value: Any = None) -> int:
        self.registers.append(value)
        return len(self.registers) - 1

    def call(self, compute: Compute, first: int, second: int = 0) -> int:
        """Return the register of a call; a call of constants is evaluated at once."""
        operands = [first, second] if second else [first]
        values = [self.registers[operand] for operand in operands]
        if all(value is not None for value in values):
            with np.errstate(all="ignore"):
                return self.constant(float(compute(*values)))
        key = (compute, first, second)
        if key not in self.calls:
            self.calls[key] = self.new()
            self.made_by[self.calls[key]] = key
            if self.with_lanes.intersection(operands):
                self.with_lanes.add(self.calls[key])
        return self.calls[key]

    def sum(self, terms: tuple[Operation, ...]) -> int:
        """Add terms from left to right; negative terms are subtracted, which saves a call and an array each."""
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
        result = self.half_power(base, abs(doubled))
        if doubled < 0:
            result = self.call(np.divide, self.constant(1.0), result)
        if result != base:
            self.powers.setdefault(result, (base, exponent))
        return result

    def half_power(self, base: int, doubled: int) -> int:
        """Compute the power ``doubled``/2 by repeated squaring."""
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

    def derivatives(self, results: Sequence[int], variable: int) -> list[int]:
        """Return the registers of the derivatives of some results by a coordinate, by the chain rule."""
        # Find the calls on which the results depend. Powers count as one call, however they are computed.
        needed, relevant = set(results), []
        for key, result in reversed(self.calls.items()):
            if result in needed:
                operands = self.powers.get(result) or key[1:]
                needed.update(operands)
                relevant.append((key, result, operands))
        # Differentiate them from the first to the last, not recursively: chains of calls may be long.
        zero = self.constant(0.0)
        known = {variable: self.constant(1.0)}
        for key, result, operands in reversed(relevant):
            if any(operand in known for operand in operands):
                slope = self.slope(key, result, known)
                if slope != zero:
                    known[result] = slope
        return [known.get(result, zero) for result in results]

    def slope(self, key: tuple[Compute, int, int], result: int, known: dict[int, int]) -> int:
        """Return the derivative of a call, from the known derivatives of its operands."""
        compute, a, b = key
        zero = self.constant(0.0)
        da, db = known.get(a, zero), known.get(b, zero)
        if result in self.powers:  # n bⁿ⁻¹ b′, not the derivative of the chain of products
            base, exponent = self.powers[result]
            lower = self.power(base, self.constant(float(self.registers[exponent]) - 1))
            return self.times(self.times(exponent, lower), known[base])
        if compute is np.add:
            return self.plus(da, db)
        if compute is np.subtract:
            return self.plus(da, self.scaled(-1.0, db))
        if compute is np.multiply:
            return self.plus(self.times(da, b), self.times(a, db))
        if compute is np.divide:  # (a′ − (a/b) b′)/b uses the quotient again
            return self.over(self.plus(da, self.scaled(-1.0, self.times(result, db))), b)
        if compute is np.power:  # b aᵇ⁻¹ a′ + aᵇ log(a) b′
            lower = self.call(np.power, a, self.plus(b, self.constant(-1.0)))
            by_base = self.times(self.times(b, lower), da)
            # The base may be negative: its logarithm is only needed if the exponent depends on the coordinate.
            return (
                by_base if db == zero else self.plus(by_base, self.times(self.times(result, self.call(np.log, a)), db))
            )
        if compute in (_minimum, _maximum):  # the derivative of the chosen operand; where they are equal, the mean
            excess, shortfall = self.call(np.subtract, a, b), self.call(np.subtract, b, a)
            by_a, by_b = (excess, shortfall) if compute is _maximum else (shortfall, excess)
            return self.plus(self.times(self.call(_step, by_a), da), self.times(self.call(_step, by_b), db))
        return self.times(SLOPES[compute](self, a, result), da)

    # The arithmetic of derivatives. The chain rule produces many zeros, ones and numbers: these methods leave them out
    # and keep at most one number in front of each product, so that equal terms become equal calls.

    def factored(self, register: int) -> tuple[float, int]:
        """Return the number in front of a term and the remaining factor, which is 1 if the term is a number."""
        if self.registers[register] is not None:
            return float(self.registers[register]), self.constant(1.0)
        if register not in self.made_by:
            return 1.0, register
        compute, a, b = self.made_by[register]
        if compute is np.negative:
            number, rest = self.factored(a)
            return -number, rest
        if compute is np.multiply and (self.registers[a] is not None or self.registers[b] is not None):
            a, b = (a, b) if self.registers[a] is not None else (b, a)
            number, rest = self.factored(b)
            return float(self.registers[a]) * number, rest
        return 1.0, register

    def scaled(self, number: float, register: int) -> int:
        """Multiply a term by a number."""
        inner, rest = self.factored(register)
        number *= inner
        if number == 0 or rest == self.constant(1.0):
            return self.constant(number)
        if abs(number) == 1:
            return rest if number == 1 else self.call(np.negative, rest)
        return self.call(np.multiply, self.constant(number), rest)

    def times(self, a: int, b: int) -> int:
        """Multiply two terms."""
        number, a = self.factored(a)
        other, b = self.factored(b)
        if a == self.constant(1.0):
            a, b = b, a
        if number * other == 0 or b == self.constant(1.0):
            return self.scaled(number * other, a)
        # a (1/b) is a/b.
        for factor, quotient in ((a, b), (b, a)):
            key = self.made_by.get(quotient)
            if key and key[0] is np.divide and self.registers[key[1]] is not None:
                number *= other * float(self.registers[key[1]])
                return self.scaled(number, self.call(np.divide, factor, key[2]))
        if (np.multiply, b, a) in self.calls:  # the same product in the other order
            a, b = b, a
        return self.scaled(number * other, self.call(np.multiply, a, b))

    def over(self, a: int, b: int) -> int:
        """Divide two terms."""
        number, top = self.factored(a)
        divisor, bottom = self.factored(b)
        with np.errstate(all="ignore"):
            number, inverse = float(np.divide(number, divisor)), float(np.divide(divisor, number))
        one = self.constant(1.0)
        if bottom == one and top != one and abs(inverse) > 1 and inverse.is_integer():
            return self.call(np.divide, top, self.constant(inverse))  # x/16 rounds once, as in x²/16
        if bottom == one or number == 0:
            return self.scaled(number, top)
        if top == one:
            return self.call(np.divide, self.constant(number), bottom)
        return self.scaled(number, self.call(np.divide, top, bottom))

    def plus(self, a: int, b: int) -> int:
        """Add two terms; a common number is factored out, and a negative number becomes a subtraction."""
        first, one = self.factored(a)
        second, other = self.factored(b)
        if first == 0 or second == 0:
            return b if first == 0 else a
        if one == other:
            return self.scaled(first + second, one)
        if first == second:  # n a + n b = n (a + b), and below n a − n b = n (a − b)
            return self.scaled(first, self.call(np.add, one, other))
        if first == -second:
            larger, smaller = (one, other) if first > 0 else (other, one)
            return self.scaled(abs(first), self.call(np.subtract, larger, smaller))
        if second < 0:
            return self.call(np.subtract, a, self.scaled(-second, other))
        if first < 0:
            return self.call(np.subtract, b, self.scaled(-first, one))
        return self.call(np.add, a, b)

    def program(self, results: list[int]) -> Program:
        """Return the program that computes these registers."""
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
            is_constant=not self.with_lanes & set(results),
        )


def _one_minus_square(compiler: _Compiler, a: int) -> int:
    return compiler.call(np.subtract, compiler.constant(1.0), compiler.call(np.multiply, a, a))


def _one_plus_square(compiler: _Compiler, a: int) -> int:
    return compiler.call(np.add, compiler.constant(1.0), compiler.call(np.multiply, a, a))


SLOPES: dict[Compute, Callable[[_Compiler, int, int], int]] = {
    np.negative: lambda c, a, r: c.constant(-1.0),
    np.sqrt: lambda c, a, r: c.over(c.constant(0.5), r),
    np.exp: lambda c, a, r: r,
    np.expm1: lambda c, a, r: c.call(np.exp, a),
    np.log: lambda c, a, r: c.over(c.constant(1.0), a),
    np.log1p: lambda c, a, r: c.over(c.constant(1.0), c.plus(c.constant(1.0), a)),
    np.sin: lambda c, a, r: c.call(np.cos, a),
    np.cos: lambda c, a, r: c.scaled(-1.0, c.call(np.sin, a)),
    np.tan: lambda c, a, r: _one_plus_square(c, r),
    np.arcsin: lambda c, a, r: c.over(c.constant(1.0), c.call(np.sqrt, _one_minus_square(c, a))),
    np.arccos: lambda c, a, r: c.over(c.constant(-1.0), c.call(np.sqrt, _one_minus_square(c, a))),
    np.arctan: lambda c, a, r: c.over(c.constant(1.0), _one_plus_square(c, a)),
    np.sinh: lambda c, a, r: c.call(np.cosh, a),
    np.cosh: lambda c, a, r: c.call(np.sinh, a),
    np.tanh: lambda c, a, r: _one_minus_square(c, r),
    np.abs: lambda c, a, r: c.call(np.sign, a),
    np.sign: lambda c, a, r: c.call(_kink, a),
    _step: lambda c, a, r: c.call(_kink, a),
    _kink: lambda c, a, r: c.call(_kink, a),
}
"""The derivative of each function of one operand, from the registers of the operand and of the result."""
