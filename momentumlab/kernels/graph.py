"""Graphs of scalar operations, recorded by the tracer and written as source code.

A graph never simplifies arithmetic: an operation stays as it was recorded, in the order of its operands, so that its
rounding stays the same. Equal operations on equal operands share a node.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Number = float | bool


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation on scalars.

    Attributes
    ----------
    text
        Its Python expression, with the operands as ``{0}``, ``{1}``, ….
    evaluate
        The NumPy function that computes it for arrays.
    precedence
        How strongly the expression binds, in the order of Python's operators; function calls bind strongest.
    is_test
        Whether the result is true or false.
    """

    text: str
    evaluate: Callable[..., Any]
    precedence: int
    is_test: bool = False


CHOICE, NOT, COMPARISON, OR, AND, SUM, PRODUCT, SIGN, ATOM = range(9)
"""Precedences of Python's expressions, from the weakest; `|` and `&` bind more strongly than comparisons."""


def _operation(ufunc: Callable[..., Any], text: str, precedence: int = ATOM) -> tuple[Any, Operation]:
    is_test = precedence in (NOT, COMPARISON, OR, AND)
    return ufunc, Operation(text=text, evaluate=ufunc, precedence=precedence, is_test=is_test)


OPERATIONS: dict[Callable[..., Any], Operation] = dict(
    [
        _operation(np.add, "{0} + {1}", SUM),
        _operation(np.subtract, "{0} - {1}", SUM),
        _operation(np.multiply, "{0} * {1}", PRODUCT),
        _operation(np.divide, "{0} / {1}", PRODUCT),
        _operation(np.negative, "-{0}", SIGN),
        _operation(np.power, "power({0}, {1})"),
        _operation(np.sqrt, "sqrt({0})"),
        _operation(np.abs, "abs({0})"),
        _operation(np.floor, "floor({0})"),
        _operation(np.exp, "exp({0})"),
        _operation(np.expm1, "expm1({0})"),
        _operation(np.log, "log({0})"),
        _operation(np.log1p, "log1p({0})"),
        _operation(np.sin, "sin({0})"),
        _operation(np.cos, "cos({0})"),
        _operation(np.tan, "tan({0})"),
        _operation(np.arcsin, "asin({0})"),
        _operation(np.arccos, "acos({0})"),
        _operation(np.arctan, "atan({0})"),
        _operation(np.sinh, "sinh({0})"),
        _operation(np.cosh, "cosh({0})"),
        _operation(np.tanh, "tanh({0})"),
        _operation(np.less, "{0} < {1}", COMPARISON),
        _operation(np.less_equal, "{0} <= {1}", COMPARISON),
        _operation(np.greater, "{0} > {1}", COMPARISON),
        _operation(np.greater_equal, "{0} >= {1}", COMPARISON),
        _operation(np.equal, "{0} == {1}", COMPARISON),
        _operation(np.not_equal, "{0} != {1}", COMPARISON),
        _operation(np.logical_not, "not {0}", NOT),
        _operation(np.logical_and, "{0} & {1}", AND),
        _operation(np.logical_or, "{0} | {1}", OR),
        _operation(np.where, "{1} if {0} else {2}", CHOICE),
    ]
)
"""The operations by the NumPy function that is recorded."""


class Node:
    """A constant, an input, or an operation on other nodes.

    Attributes
    ----------
    operation
        ``None`` for constants and inputs.
    value
        The value of a constant, the name of an input.
    """

    __slots__ = ("graph", "operands", "operation", "value")

    def __init__(self, graph: "Graph", operation: Operation | None, operands: "tuple[Node, ...]", value: Any) -> None:
        self.graph = graph
        self.operation = operation
        self.operands = operands
        self.value = value

    @property
    def is_input(self) -> bool:
        """Whether it is an input."""
        return isinstance(self.value, str)

    @property
    def is_constant(self) -> bool:
        """Whether it is a constant."""
        return self.operation is None and not self.is_input

    @property
    def is_test(self) -> bool:
        """Whether it is true or false rather than a number."""
        if self.operation is None:
            return isinstance(self.value, bool)
        if self.operation.evaluate is np.where:
            return self.operands[1].is_test
        return self.operation.is_test


class Graph:
    """The nodes of a computation; asking twice for the same operation returns the same node."""

    def __init__(self) -> None:
        self.nodes: dict[Any, Node] = {}

    def constant(self, value: Any) -> Node:
        """Return the node of a number or a truth value."""
        number: Number = bool(value) if isinstance(value, (bool, np.bool_)) else float(value)
        return self._node((type(number), repr(number)), None, (), number)

    def input(self, name: str) -> Node:
        """Return the node of an input."""
        return self._node(name, None, (), name)

    def call(self, function: Callable[..., Any], *operands: Node) -> Node:
        """Return the node of an operation."""
        # Truth values that are known while tracing come from settings, such as a dialect. Deciding them changes no
        # rounding.
        if function in (np.logical_and, np.logical_or):
            for known, other in (operands, operands[::-1]):
                if known.is_constant:
                    return other if bool(known.value) is (function is np.logical_and) else known
        if function is np.where and operands[0].is_constant:
            return operands[1] if operands[0].value else operands[2]
        if function not in (np.logical_and, np.logical_or, np.logical_not, np.where):
            # In arithmetic, true is 1 and false is 0.
            one, zero = self.constant(1.0), self.constant(0.0)
            operands = tuple(self.call(np.where, each, one, zero) if each.is_test else each for each in operands)
        return self._node((function, *map(id, operands)), OPERATIONS[function], operands, None)

    def _node(self, key: Any, operation: Operation | None, operands: tuple[Node, ...], value: Any) -> Node:
        if key not in self.nodes:
            self.nodes[key] = Node(self, operation, operands, value)
        return self.nodes[key]


def in_order(results: Iterable[Node], known: Container[Node] = ()) -> list[Node]:
    """Return all nodes that the results need, operands before the operations on them.

    Nodes that are known are left out, with the nodes that only they need.
    """
    ordered: dict[Node, None] = {}
    pending = [(node, False) for node in reversed(list(results))]
    while pending:
        node, are_operands_ready = pending.pop()
        if are_operands_ready:
            ordered[node] = None
        elif node not in ordered and node not in known:
            pending.append((node, True))
            pending += [(operand, False) for operand in reversed(node.operands)]
    return list(ordered)


def evaluate(results: Iterable[Node], inputs: Mapping[str, Any]) -> list[Any]:
    """Compute nodes with NumPy, for inputs by name."""
    results = list(results)
    values: dict[Node, Any] = {}
    for node in in_order(results):
        if node.operation is None:
            values[node] = inputs[node.value] if node.is_input else node.value
        else:
            values[node] = node.operation.evaluate(*(values[operand] for operand in node.operands))
    return [values[node] for node in results]
