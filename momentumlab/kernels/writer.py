"""Write a recording as the source code of a kernel: plain Python, which numba compiles and tests also run as it is.

A kernel advances 64 trials in lockstep. Each quantity of their state has a slot of 64 numbers in one array, so that the
compiler can see that slots do not overlap, and turns the loop over the lanes into vector instructions. In most
iterations no trial ends, which costs one comparison. Otherwise a scan over the lanes writes the results of the trials
that have ended and starts waiting trials in their lanes.
"""

import keyword
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from momentumlab.kernels.graph import ATOM, CHOICE, COMPARISON, OPERATIONS, Node, in_order
from momentumlab.kernels.recording import Recording

LANES = 64
"""Trials that are advanced together: their state stays in the first-level cache."""

INLINE = 60
"""Longer expressions are assigned to a variable."""

FUNCTIONS: tuple[str, ...] = (
    "power", "sqrt", "floor", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "inf", "nan",
)  # fmt: skip
"""The names that a kernel finds outside, besides Python's own."""

EXPENSIVE = {
    np.divide,
    np.sqrt,
    np.power,
    *(each for each, operation in OPERATIONS.items() if operation.text[0].isalpha()),
}
"""Operations whose results are kept in a slot if they do not change during a trial."""

TEMPLATE = '''\
def advance(first, last, numbers, sizes, tables, points, losses, iterations, codes, w, k, stop):
    """{description}: {lanes} trials in lockstep; lane i of every slot of w and k belongs to one of them."""
    {header}

    n = 0  # iterations of all lanes; that of a lane began at k[BORN + i]
    following = first  # the next trial that waits for a lane
    width = min({lanes}, last - first)  # lanes in use
    for i in range(width):
        k[TRIAL + i] = -1
        w[CODE + i] = 1.0
    ended = 1
    limit = 4096  # the value of n at which ages and the request to stop are examined
    while True:
        if n >= limit:
            limit = n + 4096
            for i in range(width):
                if n - k[BORN + i] < maximum:
                    limit = min(limit, k[BORN + i] + maximum)
                elif w[CODE + i] == 0.0:
                    w[CODE + i] = -1.0
                    ended = 1
            if stop[0] != 0:
                return
        if ended != 0:
            i = 0
            while i < width:
                if w[CODE + i] == 0.0:
                    i += 1
                    continue
                if k[TRIAL + i] >= 0:
                    # The trial has ended: write its results.
                    place = k[TRIAL + i] - first
                    {results}
                    losses[place] = w[LOSS + i]
                    iterations[place] = n - k[BORN + i]
                    codes[place] = max(int(w[CODE + i]), 0)
                if following == last:
                    # No trial waits: the last lane moves here.
                    width -= 1
                    for slot in range({slots}):
                        w[slot * {lanes} + i] = w[slot * {lanes} + width]
                    for slot in range(3):
                        k[slot * {lanes} + i] = k[slot * {lanes} + width]
                    continue
                # Start the next trial; the loop then examines it.
                k[TRIAL + i] = following
                k[BORN + i] = n
                place = following
                following += 1
                limit = min(limit, n + maximum)
                {start}
            if width == 0:
                return
        ended = 0
        {prepare}for i in range(width):
            {step}
        n += 1
'''


def write(recording: Recording) -> str:
    """Return the source code of the kernel ``advance``.

    Its arguments are the first trial and the one after the last, counted from the group's first; the arrays of
    `momentumlab.kernels.runner`; results with an entry per trial from ``first`` on; work space for numbers and integers
    per lane; and an integer that ends the kernel early when it becomes nonzero.
    """
    return _Writer(recording).source()


def slots(recording: Recording) -> int:
    """Return the number of slots of the kernel of a recording."""
    return len(_Writer(recording).slots)


class _Writer:
    """The names of everything in a kernel, and its parts."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.names: dict[str, str] = {}
        self.starts = [*recording.start.slots.values(), *recording.start_tests]
        self.results = [*recording.next.slots.values(), *recording.next_tests]
        both = in_order([*self.starts, *self.results])
        inputs = {node.value: node for node in both if node.is_input}
        # How often each node changes decides where it is computed: once, per trial, or per iteration.
        constants = {
            node for node in both if not node.operands and (node.is_constant or node.value in recording.uniform)
        }
        per_trial = {inputs[name] for name in recording.axes if name in inputs}
        level: dict[Node, int] = {}
        for node in both:
            level[node] = max(
                (level[each] for each in node.operands),
                default=0 if node in constants else 1 if node in per_trial else 2,
            )
        self.common = _frontier([*self.starts, *self.results], level, 0)
        self.kept = [node for node in _frontier(self.results, level, 1) if _is_expensive(node)]
        needed = in_order(self.results, known={*self.common, *self.kept})
        self.per_trial = [node for node in needed if node in per_trial]
        self.per_iteration = [node for node in needed if node.is_input and self._table_entry(node.value)]
        self.inputs = inputs
        # Slots: the state; what differs between trials; what differs between iterations; the status.
        self.slot_names = [self.name(key) for key in recording.next.slots]
        self.slot_names += [self.name(node.value) for node in (*self.per_trial, *self.per_iteration)]
        self.kept_names = [self.name(f"kept{i}") for i in range(len(self.kept))]
        self.slots = [*self.slot_names, *self.kept_names, "code"]
        self.common_texts: dict[Node, tuple[str, int]] = {}

    def name(self, key: str) -> str:
        """Return the identifier of a quantity: ``x0`` for ``x[0]``, ``beta`` for ``optimizer.beta``."""
        if key not in self.names:
            owner, _, own = key.rpartition(".")
            plain = own.replace("[", "").replace("]", "").replace(",", "_")
            plain = f"first_{plain}" if owner == "first" else plain
            name, count = plain, 1
            while name in RESERVED or name in self.names.values() or keyword.iskeyword(name):
                count += 1
                name = f"{plain}_{count}"
            self.names[key] = name
        return self.names[key]

    def source(self) -> str:
        """Return the source code."""
        dimension = self.recording.dimension
        results = (f"points[{dimension} * place + {i}] = w[{self.slot(f'x[{i}]')} + i]" for i in range(dimension))
        prepare = [*self.prepare(), ""] if self.per_iteration else [""]
        return TEMPLATE.format(
            lanes=LANES,
            slots=len(self.slots),
            description=self.recording.description,
            header="\n    ".join(self.header()),
            results=("\n" + 20 * " ").join(results),
            start=("\n" + 16 * " ").join(self.start()),
            prepare=("\n" + 8 * " ").join(prepare),
            step=("\n" + 12 * " ").join(self.step()),
        )

    def slot(self, key: str) -> str:
        """Return the name of the constant that locates a slot."""
        return self.name(key).upper()

    def header(self) -> Iterator[str]:
        """Locate the slots and tables, and compute what is the same for all trials."""
        for i, name in enumerate(self.slots):
            yield f"{name.upper()} = {i * LANES}"
        yield f"TRIAL, BORN, REPLICATE = 0, {LANES}, {2 * LANES}"
        for i, key in enumerate(self.recording.uniform):
            yield f"{self.name(key)} = numbers[{i}]"
        for i, name in enumerate(self.sizes()):
            yield f"{name} = sizes[{i}]"
        body = _Body(self, {})
        body.assign({self.name(f"common{i}"): node for i, node in enumerate(self.common)})
        self.common_texts = {node: body.texts[node] for node in self.common}
        yield from body.lines

    def sizes(self) -> list[str]:
        """Return the names of the integers: the places of the tables and their lengths, outermost axis first."""
        recording = self.recording
        axes = [name for key in recording.axes for name in (f"{self.name(key)}_at", f"{self.name(key)}_count")]
        schedules = [f"{self.name(key)}_at" for key in recording.scheduled]
        return ["maximum", "replicates", "starts", "starts_at", "draws_at", *axes, *schedules]

    def start(self) -> Iterator[str]:
        """Compute the first state of a trial from its number, whose axes vary from the outermost to the replicates."""
        recording = self.recording
        known: dict[Node, tuple[str, int]] = {}
        if recording.draws:
            yield "k[REPLICATE + i] = place % replicates"
            yield "place //= replicates"
        for i in range(recording.dimension):
            name = self.name(f"x[{i}]")
            yield f"{name} = tables[starts_at + {i} * starts + place % starts]"
            if f"x[{i}]" in self.inputs:
                known[self.inputs[f"x[{i}]"]] = name, ATOM
        yield "place //= starts"
        for key in reversed(list(recording.axes)):
            name = self.name(key)
            if key in self.inputs:
                yield f"{name} = tables[{name}_at + place % {name}_count]"
                known[self.inputs[key]] = name, ATOM
            yield f"place //= {name}_count"
        body = _Body(self, known)
        state = {f"first_{self.name(key)}": node for key, node in recording.start.slots.items()}
        tests = dict(zip(("bounded", "converged"), recording.start_tests, strict=True))
        body.assign({**state, **dict(zip(self.kept_names, self.kept, strict=True)), **tests})
        yield from body.lines
        for key in recording.start.slots:
            yield f"w[{self.slot(key)} + i] = first_{self.name(key)}"
        for name in (*(self.name(node.value) for node in self.per_trial), *self.kept_names):
            yield f"w[{name.upper()} + i] = {name}"
        yield "w[CODE + i] = (1.0 if converged else -1.0 if maximum == 0 else 0.0) if bounded else 2.0"

    def _table_entry(self, key: str) -> str:
        """Return the expression of an input that changes with the iteration; empty for other inputs."""
        recording = self.recording
        if key == "t":
            return "age + 1.0"
        if key in recording.scheduled:
            return f"tables[{self.name(key)}_at + age]"
        if key in recording.draws:
            row = f"{recording.dimension} * age + {recording.draws.index(key)}"
            return f"tables[draws_at + ({row}) * replicates + k[REPLICATE + i]]"
        return ""

    def prepare(self) -> Iterator[str]:
        """Look up what changes with the iteration, in a loop of its own, which has no vector instructions."""
        yield "for i in range(width):"
        yield "    age = n - k[BORN + i]"
        for node in self.per_iteration:
            yield f"    w[{self.slot(node.value)} + i] = {self._table_entry(node.value)}"

    def step(self) -> Iterator[str]:
        """Compute an iteration of a lane: velocity, update, loss and gradient at the new point, stopping tests."""
        recording = self.recording
        known = {
            **{
                node: (self.name(node.value), ATOM)
                for node in in_order(self.results, known={*self.common, *self.kept})
                if node.is_input and node.value not in recording.uniform
            }
        }
        known |= {node: (name, ATOM) for node, name in zip(self.kept, self.kept_names, strict=True)}
        for name, _ in known.values():
            yield f"{name} = w[{name.upper()} + i]"
        body = _Body(self, known)
        state = {f"next_{self.name(key)}": node for key, node in recording.next.slots.items()}
        tests = dict(zip(("bounded", "converged"), recording.next_tests, strict=True))
        body.assign({**state, **tests})
        yield from body.lines
        for key in recording.next.slots:
            yield f"w[{self.slot(key)} + i] = next_{self.name(key)}"
        yield "code = (1.0 if converged else 0.0) if bounded else 2.0"
        yield "w[CODE + i] = code"
        # Not `1 if … else 0`: LLVM would make a branch of it if nothing can converge, and no vector instructions.
        yield "ended |= int(code != 0.0)"


class _Body:
    """Statements that compute nodes, given the expressions of other nodes with their precedences."""

    def __init__(self, writer: _Writer, known: Mapping[Node, tuple[str, int]]) -> None:
        self.writer = writer
        self.texts: dict[Node, tuple[str, int]] = {**writer.common_texts, **known}
        self.lines: list[str] = []

    def assign(self, results: Mapping[str, Node]) -> None:
        """Assign nodes to variables; nodes that are used several times get variables of their own."""
        nodes = in_order(results.values(), known=self.texts)
        uses = [operand for node in nodes for operand in node.operands]
        # The alternatives of a choice are computed before it: as expressions they would become branches.
        choices = {each for node in nodes if node.operation is OPERATIONS[np.where] for each in node.operands}
        name_of = {node: name for name, node in reversed(list(results.items()))}
        for node in nodes:
            text, precedence = self._expression(node)
            if node.operation is not None and (
                node in name_of or node in choices or uses.count(node) > 1 or len(text) > INLINE
            ):
                name = name_of.get(node) or self.writer.name(f"part{len(self.writer.names)}")
                self.lines.append(f"{name} = {text}")
                text, precedence = name, ATOM
            self.texts[node] = text, precedence
        self.lines += [
            f"{name} = {self.texts[node][0]}" for name, node in results.items() if self.texts[node][0] != name
        ]

    def _expression(self, node: Node) -> tuple[str, int]:
        if node.operation is None:
            return (self.writer.name(node.value) if node.is_input else repr(node.value)), ATOM
        own = node.operation.precedence
        operands = []
        for position, operand in enumerate(node.operands):
            text, precedence = self.texts[operand]
            # Python's operators associate to the left, and comparisons would form a chain.
            is_weak = precedence < own or (precedence == own and (position > 0 or own in (CHOICE, COMPARISON)))
            operands.append(f"({text})" if (is_weak and own < ATOM) or (own < ATOM and text[0] == "-") else text)
        return node.operation.text.format(*operands), own


RESERVED = {
    *FUNCTIONS, "abs", "min", "max", "int", "range", "w", "k", "i", "n", "slot", "place", "age", "width", "ended",
    "limit", "following", "code", "bounded", "converged", "first", "last", "numbers", "sizes", "tables", "points",
    "losses", "iterations", "codes", "stop", "maximum", "replicates", "starts", "starts_at", "draws_at", "trial",
    "born", "replicate",
}  # fmt: skip
"""Identifiers that quantities of a recording cannot have."""


def _frontier(results: Iterable[Node], level: Mapping[Node, int], own: int) -> list[Node]:
    """Return the operations of a level that are results or that operations of a higher level use."""
    results = list(results)
    used = {each for node in in_order(results) for each in node.operands if level[node] > own} | set(results)
    return [node for node in in_order(results) if node in used and level[node] == own and node.operation is not None]


def _is_expensive(node: Node) -> bool:
    return any(each.operation is not None and each.operation.evaluate in EXPENSIVE for each in in_order([node]))
