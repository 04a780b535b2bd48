"""What the engine writes: the final states of trials, and their trajectories if they are recorded."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.errors import ConfigError, Problem
from momentumlab.parameters import Array
from momentumlab.plan import Group, Plan
from momentumlab.registry import did_you_mean
from momentumlab.result import History, Result, Status

NOT_ENDED = -1
"""The status code of a trial that has not ended."""

Further = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns the values of quantities of some lanes by name, ``(…, lanes)``; those that an optimizer lacks are missing."""


class Outcome:
    """The final states of consecutive trials, and their trajectories if they are recorded.

    Attributes
    ----------
    first
        The number of the first trial.
    points
        ``(trials, dim)``
    losses, iterations, codes
        ``(trials,)``; the status code of a trial that has not ended is `NOT_ENDED`.
    recorder
        The trajectories, or ``None``.
    """

    def __init__(self, first: int, trials: int, dimension: int) -> None:
        self.first = first
        self.points = np.empty((trials, dimension))
        self.losses = np.empty(trials)
        self.iterations = np.empty(trials, dtype=np.int32)
        self.codes = np.full(trials, NOT_ENDED, dtype=np.int8)
        self.recorder: Recorder | None = None

    @classmethod
    def of(cls, plan: Plan, first: int, last: int, history_bytes: int | None = None) -> "Outcome":
        """Return an empty outcome for the trials ``first`` to ``last - 1`` of a plan."""
        outcome = cls(first, last - first, plan.dimension)
        if history_bytes is not None:
            outcome.recorder = Recorder(plan, first, last, history_bytes)
        return outcome

    def write(self, trials: NDArray[np.int64], iterations: Array | int, x: Array, loss: Array, status: Status) -> None:
        """Write the final states of trials."""
        places = trials - self.first
        self.points[places] = x.T
        self.losses[places] = loss
        self.iterations[places] = iterations
        self.codes[places] = status.code

    def include(self, part: "Outcome") -> None:
        """Copy the final states and trajectories of some of the trials."""
        begin = part.first - self.first
        places = slice(begin, begin + len(part.losses))
        self.points[places], self.losses[places] = part.points, part.losses
        self.iterations[places], self.codes[places] = part.iterations, part.codes
        if self.recorder is not None and part.recorder is not None:
            for whole, own in zip(self.recorder.arrays, part.recorder.arrays, strict=True):
                whole[..., places] = own

    def result(self, plan: Plan) -> Result:
        """Return the result of the plan whose trials these are."""
        return Result(
            plan=plan,
            final_points=self.points,
            final_losses=self.losses,
            iterations=self.iterations,
            status_codes=self.codes,
            history=self.recorder.history(self.iterations) if self.recorder else None,
            notes=(
                *plan.experiment.first_surface.notes(plan.dimension),
                *(self.recorder.notes if self.recorder else ()),
            ),
        )


NORMS = ("gradient_norm", "update_norm")
"""Quantities that can be recorded for every optimizer; the others are parts of its state, such as ``state.v``."""


def quantity_shapes(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the recorded quantities of one trial and iteration, by name.

    Raises
    ------
    ConfigError
        If an optimizer's state has no such part, or the parts of several optimizers differ in shape.
    """
    found: dict[str, tuple[int, ...]] = {}
    problems = []
    names = plan.experiment.record
    states = [_state_shapes(group) for group in plan.groups] if any(name not in NORMS for name in names) else []
    for name in names:
        shapes = {()} if name in NORMS else {state[name] for state in states if name in state}
        if not shapes:
            known = dict.fromkeys([*NORMS, *(part for state in states for part in state)])
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            problems.append(Problem(place="record", message=f"'{name}' cannot be recorded{hint}"))
        elif len(shapes) > 1:
            message = f"'{name}' has another shape for each optimizer: record it for one at a time"
            problems.append(Problem(place="record", message=message))
        else:
            found[name] = shapes.pop()
    if problems:
        raise ConfigError(problems)
    return found


def _state_shapes(group: Group) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the numerical parts of an optimizer's state for one trial, by ``state.name``."""
    lanes = group.lanes(np.zeros(1, dtype=np.int64))
    with np.errstate(all="ignore"):
        state: Any = lanes.optimizer.init(np.ascontiguousarray(lanes.start))
    parts = {f"state.{name}": np.asarray(part) for name, part in zip(state._fields, state, strict=True)}
    return {name: part.shape[:-1] for name, part in parts.items() if part.dtype.kind in "fiub"}


class Recorder:
    """Records every ``stride``-th state of consecutive trials and the last of each, ``(entries, …, trials)``.

    Attributes
    ----------
    quantities
        Further quantities by name; NaN for trials whose optimizer does not have them.
    """

    def __init__(self, plan: Plan, first: int, last: int, memory: int) -> None:
        iterations = plan.stopping.iterations
        shapes = quantity_shapes(plan)
        numbers = 2 * plan.dimension + 1 + sum(int(np.prod(shape)) for shape in shapes.values())
        bytes_per_entry = 8 * plan.trials * numbers
        # The limit holds for all trials together: those of one block have the stride that all have.
        affordable = max(memory // bytes_per_entry, 2)
        self.first = first
        self.stride = max(1, -(-iterations // (affordable - 1)))
        entries = -(-iterations // self.stride) + 1
        self.positions = np.empty((entries, plan.dimension, last - first))
        self.velocities = np.empty_like(self.positions)
        self.losses = np.empty((entries, last - first))
        self.quantities = {name: np.full((entries, *shape, last - first), np.nan) for name, shape in shapes.items()}
        self.notes: tuple[str, ...] = ()
        if self.stride > 1:
            needed = bytes_per_entry * (iterations + 1) / 2**30
            self.notes = (
                f"the whole history could need {needed:.1f} GiB, above the limit of {memory / 2**30:.1f} GiB: "
                f"every {self.stride}th iterate and the last are kept",
            )

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The recorded positions, velocities, losses and further quantities."""
        return self.positions, self.velocities, self.losses, *self.quantities.values()

    def record(
        self, nit: int, trials: NDArray[np.int64], x: Array, velocity: Array, loss: Array, further: "Further"
    ) -> None:
        """Record the state after ``nit`` updates, if that is a multiple of the stride."""
        if nit % self.stride == 0:
            self._write(nit // self.stride, trials, x, velocity, loss, further)

    def record_end(
        self, nit: int, trials: NDArray[np.int64], x: Array, velocity: Array, loss: Array, further: "Further"
    ) -> None:
        """Record the final state of trials that end after ``nit`` updates."""
        if nit % self.stride != 0:
            self._write(nit // self.stride + 1, trials, x, velocity, loss, further)

    def _write(
        self, entry: int, trials: NDArray[np.int64], x: Array, velocity: Array, loss: Array, further: "Further"
    ) -> None:
        # Trials are consecutive until the first one ends; a slice is much faster than an index array.
        low, high = trials[0] - self.first, trials[-1] - self.first + 1
        lanes = slice(low, high) if high - low == len(trials) else trials - self.first
        self.positions[entry][:, lanes] = x
        self.velocities[entry][:, lanes] = velocity
        self.losses[entry][lanes] = loss
        if self.quantities:
            for name, value in further(self.quantities).items():
                self.quantities[name][entry][..., lanes] = value

    def history(self, iterations: NDArray[np.int32]) -> History:
        """Return the trajectories, cut after the longest; entries after the end of a trial are NaN."""
        # The arrays were not initialised: what follows the last entry of a trial is whatever the memory contained.
        ends = -(-iterations // self.stride)
        entries = int(ends.max()) + 1
        positions, velocities, losses = (array[:entries] for array in (self.positions, self.velocities, self.losses))
        ended = np.arange(entries)[:, np.newaxis] > ends
        positions.transpose(0, 2, 1)[ended] = np.nan
        velocities.transpose(0, 2, 1)[ended] = np.nan
        losses[ended] = np.nan
        for array in self.quantities.values():
            np.moveaxis(array[:entries], -1, 1)[ended] = np.nan
        return History(
            positions=positions.transpose(2, 0, 1),
            velocities=velocities.transpose(2, 0, 1),
            losses=losses.T,
            stride=self.stride,
            quantities={name: np.moveaxis(array[:entries], -1, 0) for name, array in self.quantities.items()},
        )
