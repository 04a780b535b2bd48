"""What a kernel computes: the start of a trial and one iteration, recorded from the classes of a group of trials."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from momentumlab.engine import meets_a_criterion, within_bounds
from momentumlab.experiment import Experiment
from momentumlab.kernels.graph import Graph, Node, evaluate, in_order
from momentumlab.kernels.tracer import Traced, UntraceableError, traced_inputs
from momentumlab.optimizers import Here
from momentumlab.optimizers.base import LR_SCHEDULE, WithoutExactGradient
from momentumlab.parameters import Array
from momentumlab.plan import Group
from momentumlab.user_code import check_user_code

LARGEST_GRAPH = 2000
"""Kernels with more operations take too long to compile."""

PROBED_TRIALS = 5
"""The number of trials with which a recording is compared with the recorded functions."""

COUNT = "small_changes"
"""The name of the number of successive small changes of the loss, which an optimizer's state cannot have."""

Rows = tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class State:
    """The nodes of a state: point, loss, gradient, and the state of the optimizer by the names of its entries."""

    x: Rows
    loss: Node
    g: Rows
    memory: Mapping[str, Node]

    @property
    def slots(self) -> dict[str, Node]:
        """All nodes by name."""
        x = {f"x[{i}]": node for i, node in enumerate(self.x)}
        g = {f"g[{i}]": node for i, node in enumerate(self.g)}
        return {**x, "loss": self.loss, **g, **self.memory}


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The start of a trial and one iteration, as nodes.

    Inputs have the names of the slots of `State`, of the following settings, and ``t``, the number of the iteration.

    Attributes
    ----------
    uniform
        The numbers that are the same for all trials, by name.
    axes
        The positions of the group's axes whose values differ between trials, by name.
    scheduled
        The hyperparameters that follow schedules, by the names of their inputs.
    draws
        The names of the draws of the noise model, one per coordinate.
    start, next
        The state at the start, and after an iteration from the state of the inputs.
    start_tests, next_tests
        Whether each of these states is within all bounds, and whether it has converged.
    """

    description: str
    dimension: int
    uniform: Mapping[str, float]
    axes: Mapping[str, int]
    scheduled: Mapping[str, str]
    draws: tuple[str, ...]
    start: State
    next: State
    start_tests: tuple[Node, Node]
    next_tests: tuple[Node, Node]


def record(group: Group, experiment: Experiment) -> Recording:
    """Record the computation of a group of trials.

    Raises
    ------
    UntraceableError
        If it cannot be recorded, or the recording does not compute the same numbers.
    """
    try:
        check_user_code(group, group.first, group.first + group.size)
        recording = _record(group, experiment)
        _compare(recording, group, experiment)
    except UntraceableError:
        raise
    except Exception as error:  # whatever a function does with an array that holds no numbers
        raise UntraceableError(f"{type(error).__name__}: {error}") from error
    return recording


def _record(group: Group, experiment: Experiment) -> Recording:
    if not group.surface_class.is_formula:
        raise UntraceableError("the surface is not a formula in the coordinates")
    if "hessian" in group.optimizer_class.requires:
        raise UntraceableError("the optimizer uses the Hessian, and linear algebra on it")
    graph = Graph()
    settings = _Settings(group, experiment, graph)
    if experiment.stopping.evaluate_every > 1:
        raise UntraceableError("the loss is not evaluated in every iteration")
    if settings.optimizer.sets_point:
        raise UntraceableError("the optimizer sets the point itself instead of returning a velocity")
    if settings.surface.is_sampled:
        raise UntraceableError("the gradient of the surface is sampled")
    dimension = experiment.dimension
    infinite, none = (Traced(_cells([graph.constant(number)]), graph) for number in (np.inf, 0.0))

    # The start of a trial.
    x = traced_inputs(graph, *(f"x[{i}]" for i in range(dimension)))
    start_state = settings.optimizer_at_start.init(cast(Any, x))
    names = type(start_state)._fields if hasattr(type(start_state), "_fields") else ()
    start_parts = {name: Traced(x._lifted(part), graph) for name, part in zip(names, start_state, strict=True)}
    start = _evaluated(settings, x, _flat(start_parts))

    # An iteration from any state.
    g = traced_inputs(graph, *(f"g[{i}]" for i in range(dimension)))
    loss = traced_inputs(graph, "loss")[0]
    state = type(start_state)(*(_inputs_like(part, name, graph) for name, part in start_parts.items()))
    t = traced_inputs(graph, "t")[0]
    noise = experiment.noise
    draws = () if noise is None else tuple(f"draw[{i}]" for i in range(dimension))

    def with_errors(exact: Any) -> Any:
        return exact if noise is None else noise.disturbed(exact, cast(Any, traced_inputs(graph, *draws)))

    def oracle(points: Any) -> Any:
        return with_errors(settings.surface.gradient(points))

    surface = settings.surface if noise is None else WithoutExactGradient(settings.surface)
    here = Here(*cast(Any, (x, t, loss, settings.lr, surface, oracle)))
    velocity, next_state = settings.optimizer.step(state, with_errors(g), here)
    _require_shape(velocity, x.shape, "velocity")
    next_parts = {name: Traced(x._lifted(part), graph) for name, part in zip(names, next_state, strict=True)}
    for name, part in next_parts.items():
        _require_shape(part, start_parts[name].shape, name)
    after = _evaluated(settings, x - settings.lr * cast(Any, velocity), _flat(next_parts))

    # The stopping tests count successive small changes of the loss, which belongs to the state.
    counts = none, traced_inputs(graph, COUNT)[0].copy()
    start_tests = _tests(settings, start, infinite, counts[0])
    next_tests = _tests(settings, after, loss, counts[1])
    start, after = (
        dataclasses.replace(state, memory={**state.memory, COUNT: _nodes(count)[0]})
        for state, count in zip((start, after), counts, strict=True)
    )

    recording = Recording(
        description=f"{group.optimizer_class.name} on {group.surface_class.name}",
        dimension=dimension,
        uniform=settings.uniform,
        axes=settings.axes,
        scheduled=settings.scheduled,
        draws=draws,
        start=start,
        next=after,
        start_tests=start_tests,
        next_tests=next_tests,
    )
    return _with_exact_reciprocals(_without_unused_memory(recording), graph)


class _Settings:
    """The surface, the optimizer and the stopping criteria of a group, with inputs in place of numbers."""

    def __init__(self, group: Group, experiment: Experiment, graph: Graph) -> None:
        self.graph = graph
        self.uniform: dict[str, float] = {}
        self.axes: dict[str, int] = {}
        self.scheduled: dict[str, str] = {}
        # Even a number that all trials share is an input and not a constant of the code: a kernel that is compiled once
        # then serves all values. Options such as truth values and texts decide about the code and stay as they are.
        fields: dict[type, dict[str, Any]] = {group.surface_class: {}, group.optimizer_class: {}}
        for (owner, name), common in group.shared.items():
            fields[owner][name] = common
        for position, axis in enumerate(group.axes):
            name = axis.parameter.name
            key = f"{'optimizer' if axis.owner is group.optimizer_class else 'surface'}.{name}"
            value: Any
            if not axis.values.any():
                value = 0.0  # as in the engine: a class can leave the term out
            elif len(axis.values) == 1:
                value = self._uniform(key, float(axis.values[0]))
            else:
                self.axes[key] = position
                value = traced_inputs(graph, key)[0]
            fields[axis.owner][name] = value
        # `init` runs before the first iteration: there, scheduled hyperparameters have their first values.
        first = dict(fields[group.optimizer_class])
        for name, schedule in group.schedules.items():
            at_start = self._uniform(f"first.{name}", float(schedule.value(np.zeros(1), group.iterations)[0]))
            self.scheduled[f"optimizer.{name}"] = name
            scheduled = traced_inputs(graph, f"optimizer.{name}")[0]
            if name == LR_SCHEDULE:
                fields[group.optimizer_class]["lr"] *= scheduled
            else:
                first[name], fields[group.optimizer_class][name] = at_start, scheduled
        first.pop("lr")
        lr = fields[group.optimizer_class].pop("lr")
        self.lr = Traced(_cells([lr.cells.flat[0] if isinstance(lr, Traced) else graph.constant(lr)]), graph)
        self.surface = group.surface_class(**fields[group.surface_class])
        self.optimizer = group.optimizer_class(**fields[group.optimizer_class])
        self.optimizer_at_start = group.optimizer_class(**first)
        # The number of iterations is the length of the kernel's loop, and the patience decides which tests there are.
        criteria: dict[str, Any] = {
            field.name: self._uniform(f"stopping.{field.name}", float(getattr(experiment.stopping, field.name)))
            for field in dataclasses.fields(experiment.stopping)
            if field.name not in ("iterations", "patience") and getattr(experiment.stopping, field.name) is not None
        }
        self.can_converge = experiment.stopping.can_converge
        self.stopping = dataclasses.replace(experiment.stopping, **criteria)

    def _uniform(self, name: str, value: float) -> Traced:
        self.uniform[name] = value
        cells = np.empty((), dtype=object)
        cells[()] = self.graph.input(name)
        return Traced(cells, self.graph)


def _evaluated(settings: _Settings, x: Traced, memory: Mapping[str, Node]) -> State:
    """Return the state at a point, with its loss and gradient."""
    loss, g = settings.surface.value(cast(Any, x)), settings.surface.gradient(cast(Any, x))
    _require_shape(loss, x.shape[1:], "loss")
    _require_shape(g, x.shape, "gradient")
    return State(x=_nodes(x), loss=_nodes(loss)[0], g=_nodes(g), memory=memory)


def _tests(settings: _Settings, state: State, previous_loss: Traced, count: Traced) -> tuple[Node, Node]:
    graph = settings.graph
    x, g = (Traced(_cells(rows)[:, np.newaxis], graph) for rows in (state.x, state.g))
    loss = Traced(_cells([state.loss]), graph)
    is_bounded = within_bounds(*cast(Any, (x, loss, g)))
    if not settings.can_converge:
        return _nodes(is_bounded)[0], graph.constant(False)
    has_converged = meets_a_criterion(settings.stopping, *cast(Any, (loss, previous_loss, count, g)))
    return _nodes(is_bounded)[0], _nodes(has_converged)[0]


def _without_unused_memory(recording: Recording) -> Recording:
    """Drop the entries of the optimizer's state that no result depends on."""
    memory = recording.next.memory
    kept: dict[str, Node] = {}
    # An entry that is kept may need another one of the iteration before: continue until none is added.
    while True:
        results = [*recording.next.x, recording.next.loss, *recording.next.g, *recording.next_tests, *kept.values()]
        needed = {node.value for node in in_order(results) if node.is_input}
        found = {name: node for name, node in memory.items() if name in needed}
        if found.keys() == kept.keys():
            break
        kept = found
    start = dataclasses.replace(recording.start, memory={name: recording.start.memory[name] for name in kept})
    return dataclasses.replace(recording, start=start, next=dataclasses.replace(recording.next, memory=kept))


def _with_exact_reciprocals(recording: Recording, graph: Graph) -> Recording:
    """Replace divisions by powers of two that are the same for all trials: the product with the reciprocal is equal.

    A vector division takes several times as long as a product, and coefficients such as 1/16 are common.
    """
    replaced: dict[Node, Node] = {}
    one = graph.constant(1.0)

    # Operands come before the operations on them, so each node is rebuilt once, from operands that have been rebuilt.
    nodes = in_order([*recording.start.slots.values(), *recording.next.slots.values()])
    nodes = in_order([*nodes, *recording.start_tests, *recording.next_tests])
    is_known = {node: node.is_constant or node.value in recording.uniform for node in nodes if node.operation is None}
    for node in nodes:
        if node.operation is None:
            replaced[node] = node
            continue
        is_known[node] = all(is_known[each] for each in node.operands)
        operands = tuple(replaced[each] for each in node.operands)
        if node.operation.evaluate is np.divide and is_known[node.operands[1]] and not is_known[node]:
            (divisor,) = evaluate([node.operands[1]], recording.uniform)
            # The reciprocal of a power of two is exact as long as it is not subnormal.
            if 1e-300 < abs(divisor) < 1e300 and abs(np.frexp(divisor)[0]) == 0.5:
                replaced[node] = graph.call(np.multiply, operands[0], graph.call(np.divide, one, operands[1]))
                continue
        replaced[node] = graph.call(node.operation.evaluate, *operands)

    def state(old: State) -> State:
        return State(
            x=tuple(replaced[node] for node in old.x),
            loss=replaced[old.loss],
            g=tuple(replaced[node] for node in old.g),
            memory={name: replaced[node] for name, node in old.memory.items()},
        )

    return dataclasses.replace(
        recording,
        start=state(recording.start),
        next=state(recording.next),
        start_tests=(replaced[recording.start_tests[0]], replaced[recording.start_tests[1]]),
        next_tests=(replaced[recording.next_tests[0]], replaced[recording.next_tests[1]]),
    )


def _compare(recording: Recording, group: Group, experiment: Experiment) -> None:
    """Compare one iteration of a few trials with the classes themselves.

    A function that does not depend on its arguments only, or mixes lanes, has been recorded wrongly.

    Raises
    ------
    UntraceableError
        If a number differs.
    """
    results = [*recording.start.slots.values(), *recording.next.slots.values()]
    if len(in_order(results)) > LARGEST_GRAPH:
        raise UntraceableError(f"needs more than {LARGEST_GRAPH} operations")
    # What the classes compute for some trials in the first iteration, with any numbers as errors of the gradient.
    places = np.unique(np.linspace(0, group.size - 1, PROBED_TRIALS).astype(np.int64))
    lanes = group.lanes(places)
    with np.errstate(all="ignore"):
        rows = {f"x[{i}]": row for i, row in enumerate(lanes.start)}
        state = lanes.optimizer.init(lanes.start)
        loss, g = lanes.surface.value(lanes.start), lanes.surface.gradient(lanes.start)
        draw = np.linspace(-1, 1, lanes.start.size).reshape(lanes.start.shape)

        def with_errors(exact: Array) -> Array:
            return exact if experiment.noise is None else experiment.noise.disturbed(exact, draw)

        def oracle(points: Array) -> Array:
            return with_errors(lanes.surface.gradient(points))

        lr = lanes.lr * recording.uniform.get(f"first.{LR_SCHEDULE}", 1.0)
        here = Here(lanes.start, 1, loss, lr, lanes.surface, oracle)
        velocity, _ = lanes.optimizer.step(state, with_errors(g), here)
        x = lanes.start - lr * velocity
        expected = [*lanes.start, loss, *g, *x, lanes.surface.value(x), *lanes.surface.gradient(x)]
        # The same from the recording.
        settings: dict[str, Any] = {**recording.uniform, "t": 1.0}
        for name, position in recording.axes.items():
            indices = group.indices(places)[position]
            settings[name] = group.axes[position].values[indices]
        settings |= {key: recording.uniform[f"first.{name}"] for key, name in recording.scheduled.items()}
        inputs = {**settings, **rows, **dict(zip(recording.draws, draw, strict=False))}
        first = evaluate(recording.start.slots.values(), inputs)
        inputs |= dict(zip(recording.start.slots, first, strict=True))
        after = evaluate(recording.next.slots.values(), inputs)
    # Slots begin with point, loss and gradient. Functions such as `np.linalg.norm` are rounded differently.
    found = [*first[: len(g) * 2 + 1], *after[: len(g) * 2 + 1]]
    for number, own in zip(expected, found, strict=True):
        if not np.allclose(number, own, rtol=1e-9, atol=0, equal_nan=True):
            raise UntraceableError("depends on more than its arguments, or mixes lanes")


def _require_shape(array: Any, shape: Sequence[int], what: str) -> None:
    if np.shape(array) != tuple(shape):
        raise UntraceableError(f"returns a {what} of shape {np.shape(array)} instead of {tuple(shape)}")


def _cells(nodes: Sequence[Node]) -> Any:
    cells = np.empty(len(nodes), dtype=object)
    cells[:] = nodes
    return cells


def _nodes(array: Any) -> Rows:
    """Return the entries of the only lane."""
    if not isinstance(array, Traced):
        raise UntraceableError("does not depend on its argument")
    return tuple(array.cells.ravel())


def _flat(parts: Mapping[str, Traced]) -> dict[str, Node]:
    """Return the entries of a state by their names: ``v[0]``, ``v[1]``, or ``theta[]``."""
    return {
        f"state.{name}[{','.join(map(str, index[:-1]))}]": cast(Node, part.cells[index])
        for name, part in parts.items()
        for index in np.ndindex(part.shape)
    }


def _inputs_like(part: Traced, name: str, graph: Graph) -> Traced:
    """Return inputs in the shape of a part of a state."""
    cells = np.empty(part.shape, dtype=object)
    for key, index in zip(_flat({name: part}), np.ndindex(part.shape), strict=True):
        cells[index] = graph.input(key)
    return Traced(cells, graph)
