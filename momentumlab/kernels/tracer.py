"""Record what functions of NumPy arrays compute, as operations on scalars.

A traced array stands for the array ``(…, lanes)`` that the engine would pass, with a single lane. Its entries are nodes
of a graph. NumPy's protocols pass every operation on it to the methods here, so that the unchanged `value`, `gradient`,
`init` and `step` can be recorded.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from momentumlab.kernels.graph import OPERATIONS, Graph, Node


class UntraceableError(Exception):
    """A function cannot be recorded; the message says why."""


class Traced(NDArrayOperatorsMixin):
    """An array whose entries are nodes of a graph."""

    def __init__(self, cells: NDArray[Any], graph: Graph) -> None:
        self.cells = cells
        self.graph = graph

    # What functions ask an array for

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, with one lane."""
        return self.cells.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.cells.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.cells.size

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the entries: truth values or float64."""
        return np.dtype(bool if self.size and self.cells.flat[0].is_test else np.float64)

    @property
    def real(self) -> "Traced":
        """The array itself: the engine's points are real."""
        return self

    @property
    def T(self) -> "Traced":  # noqa: N802 (NumPy's name)
        """The transposed array."""
        return Traced(self.cells.T, self.graph)

    def copy(self) -> "Traced":
        """Return a copy."""
        return Traced(self.cells.copy(), self.graph)

    def astype(self, dtype: Any) -> "Traced":
        """Return a copy; only float64 is supported."""
        if np.dtype(dtype) != self.dtype:
            raise UntraceableError(f"converts an array to {np.dtype(dtype)}")
        return self.copy()

    def ravel(self) -> "Traced":
        """Return the entries in one axis."""
        return Traced(self.cells.ravel(), self.graph)

    def reshape(self, *shape: Any) -> "Traced":
        """Return the entries in another shape."""
        return Traced(self.cells.reshape(*shape), self.graph)

    def sum(self, axis: int | None = None) -> "Traced":
        """Return the sum over the first axis."""
        return self._reduce(np.add, axis)

    def tolist(self) -> list[Any]:
        """Return the entries one by one."""
        return [self[i] if self.ndim == 1 else self[i].tolist() for i in range(len(self))]

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> "Iterator[Traced]":
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> "Traced":
        _refuse_traced(key)
        found = self.cells[key]
        return Traced(found if isinstance(found, np.ndarray) else _zero_dimensional(found), self.graph)

    def __setitem__(self, key: Any, value: Any) -> None:
        _refuse_traced(key)
        self.cells[key] = self._lifted(value)

    def _not_known(self, *_: Any) -> Any:
        raise UntraceableError("takes a decision in Python that depends on the data")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __hash__ = _not_known

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if any(value is not True for name, value in options.items() if name not in ("axis", "dtype", "casting")):
            raise UntraceableError(f"calls np.{ufunc.__name__} with {', '.join(options)}")
        if method == "__call__":
            result = self._elementwise(ufunc, *inputs)
        elif method == "reduce":
            result = self._reduce(ufunc, options.get("axis", 0))
        elif method == "accumulate":
            parts = [Traced(row, self.graph) for row in self.cells]
            sums = list(_running(functools.partial(self._elementwise, ufunc), parts))
            result = Traced(np.stack([each.cells for each in sums]), self.graph)
        else:
            raise UntraceableError(f"calls np.{ufunc.__name__}.{method}")
        if out is None:
            return result
        # `np.add(g, g, out=g)` must change g itself, to which other names may refer.
        out[0][...] = result
        return out[0]

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function in STRUCTURAL:  # works on arrays of nodes as on any others
            arguments = [self._as_cells(argument) for argument in arguments]
            return Traced(function(*arguments, **options), self.graph)
        if function not in FUNCTIONS:
            raise UntraceableError(f"calls {function.__module__}.{function.__name__}")
        return FUNCTIONS[function](self, *arguments, **options)

    def _elementwise(self, function: Callable[..., Any], *inputs: Any) -> "Traced":
        if function in COMPOSED:
            return cast(Traced, COMPOSED[function](self, *inputs))
        name = getattr(function, "__name__", str(function))
        function = SYNONYMS.get(function, function)
        if function not in OPERATIONS:
            raise UntraceableError(f"calls np.{name}")
        # Applied entry by entry; NumPy broadcasts the arrays of nodes as it would broadcast numbers.
        apply = np.frompyfunc(functools.partial(self.graph.call, function), len(inputs), 1)
        found = apply(*(self._lifted(value) for value in inputs))
        return Traced(found if isinstance(found, np.ndarray) else _zero_dimensional(found), self.graph)

    def _reduce(self, ufunc: Any, axis: Any) -> "Traced":
        if axis != 0:
            raise UntraceableError(f"calls np.{ufunc.__name__}.reduce over the lanes")
        # From first to last, as NumPy adds the rows of an array whose last axis are the lanes.
        *_, total = _running(functools.partial(self._elementwise, ufunc), list(self))
        return cast(Traced, total)

    def _lifted(self, value: Any) -> NDArray[Any]:
        """Return the nodes of a traced array, of numbers, or of an array of either."""
        if isinstance(value, Traced):
            return value.cells
        found = np.asarray(value)
        if found.dtype.kind not in "biufO":
            raise UntraceableError(f"computes with {found.dtype} numbers")
        nodes = np.empty(found.shape, dtype=object)
        for index in np.ndindex(found.shape):
            entry = found[index]
            nodes[index] = entry.cells[()] if isinstance(entry, Traced) else self.graph.constant(entry)
        return nodes

    def _as_cells(self, argument: Any) -> Any:
        """Replace the arrays in an argument by arrays of nodes."""
        if isinstance(argument, (list, tuple)) and any(isinstance(each, Traced) for each in argument):
            return [self._lifted(each) for each in argument]
        return argument.cells if isinstance(argument, Traced) else argument


def traced_inputs(graph: Graph, *names: str) -> Traced:
    """Return an array of inputs with a row per name, ``(names, 1)``."""
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = [graph.input(name) for name in names]
    return Traced(cells, graph)


def _zero_dimensional(node: Node) -> NDArray[Any]:
    cells = np.empty((), dtype=object)
    cells[()] = node
    return cells


def _refuse_traced(key: Any) -> None:
    if any(isinstance(each, Traced) for each in (key if isinstance(key, tuple) else (key,))):
        raise UntraceableError("selects entries by their values")


def _running(combine: Callable[[Any, Any], Any], parts: list[Any]) -> Iterator[Any]:
    """Yield the first part, and its combinations with one more part each."""
    total = parts[0]
    yield total
    for part in parts[1:]:
        total = combine(total, part)
        yield total


# Functions that are several operations, or none


def _full_like(like: Any, value: Any, **_: Any) -> Traced:
    cells = np.empty(like.shape, dtype=object)
    cells[...] = like._lifted(value)
    return Traced(cells, like.graph)


def _where(any_traced: Traced, test: Any, chosen: Any, otherwise: Any) -> Traced:
    tests = Traced(any_traced._lifted(test), any_traced.graph)
    if tests.dtype != bool:
        tests = tests != 0
    return any_traced._elementwise(np.where, tests, chosen, otherwise)


def _maximum(any_traced: Traced, first: Any, second: Any) -> Any:
    # The comparison is false if either is not a number, and so is NumPy's result then.
    is_first = np.greater_equal(first, second) | np.not_equal(first, first)
    return _where(any_traced, is_first, first, second)


def _minimum(any_traced: Traced, first: Any, second: Any) -> Any:
    return _where(any_traced, np.less_equal(first, second) | np.not_equal(first, first), first, second)


def _sign(any_traced: Traced, x: Any) -> Any:
    return _by_sign(x, -1.0, 0.0)


def _heaviside(any_traced: Traced, x: Any, middle: Any) -> Any:
    return _by_sign(x, 0.0, middle)


def _by_sign(x: Any, negative: float, zero: Any) -> Any:
    """Return 1 where x is positive, the given numbers where it is negative or zero, and else x: not a number."""
    choices: Any = np.where(x == 0, zero, x)
    choices = np.where(x < 0, negative, choices)
    return np.where(x > 0, 1.0, choices)


def _clip(any_traced: Traced, x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


COMPOSED: dict[Any, Callable[..., Any]] = {
    np.maximum: _maximum,
    np.minimum: _minimum,
    np.sign: _sign,
    np.heaviside: _heaviside,
    np.isfinite: lambda any_traced, x: np.abs(x) < np.inf,
    np.isnan: lambda any_traced, x: np.not_equal(x, x),
    np.square: lambda any_traced, x: x * x,
    np.reciprocal: lambda any_traced, x: 1.0 / x,
    np.positive: lambda any_traced, x: x,
}
"""Functions of NumPy that are recorded as several operations."""

SYNONYMS: dict[Any, Any] = {
    np.bitwise_and: np.logical_and,
    np.bitwise_or: np.logical_or,
    np.invert: np.logical_not,
    np.float_power: np.power,
}
"""Other names of operations; bitwise operators are recorded for truth values only."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.clip: _clip,
    np.zeros_like: lambda self, like, **_: _full_like(like, 0.0),
    np.ones_like: lambda self, like, **_: _full_like(like, 1.0),
    np.empty_like: lambda self, like, **_: _full_like(like, np.nan),
    np.full_like: lambda self, like, value, **_: _full_like(like, value),
    np.sum: lambda self, x, axis=None: x.sum(axis),
    np.shape: lambda self, x: x.shape,
    np.ndim: lambda self, x: x.ndim,
    np.size: lambda self, x: x.size,
    np.real: lambda self, x: x,
    np.linalg.norm: lambda self, x, axis=None: np.sqrt((x * x).sum(axis)),
}

STRUCTURAL = {
    np.broadcast_to,
    np.concatenate,
    np.copy,
    np.expand_dims,
    np.flip,
    np.moveaxis,
    np.ravel,
    np.repeat,
    np.reshape,
    np.roll,
    np.squeeze,
    np.stack,
    np.swapaxes,
    np.transpose,
    np.vstack,
}
"""Functions that only arrange entries."""
