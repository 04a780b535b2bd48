"""The only loop over iterations in the package: advances all trials of a plan together."""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from momentumlab.catalogue import Array, take_lanes
from momentumlab.experiment import Stopping
from momentumlab.optimizers import Here
from momentumlab.plan import Group, Plan
from momentumlab.result import History, Result, Status
from momentumlab.surfaces.base import sum_coordinates

POSITION_BOUND = 1e16
"""A coordinate beyond this is divergence: float64 no longer tells points there from their neighbours one unit away."""

LOSS_BOUND = 1e100
"""A loss beyond this is divergence: the squares that surfaces and optimizers take soon overflow."""

HISTORY_BYTES = 2**30
"""The most memory that a history takes unless more is allowed: 1 GiB."""

BLOCK_BYTES = 2**16
"""Points are advanced in blocks of this size: NumPy's temporaries stay well below the 128 KiB from which on the
allocator maps and unmaps each of them, which costs more than the arithmetic."""


def run(plan: Plan, *, history: bool = True, history_bytes: int = HISTORY_BYTES) -> Result:
    """Run every trial of a plan.

    One iteration is: gradient at the current point, velocity, update, loss at the new point, stopping tests. A trial
    ends as *diverged* (a position, loss or gradient that is not finite, or beyond `POSITION_BOUND` or `LOSS_BOUND`),
    else as *converged* (see `Stopping`), else after its last iteration. The numbers of a trial do not depend on the
    other trials.

    Parameters
    ----------
    plan
        The trials.
    history
        Whether to keep the whole paths.
    history_bytes
        The most memory for them. Where it does not suffice, only every k-th iterate and the last are kept (at the
        least the first and the last), and the result's notes say so.
    """
    outcome = _Outcome(plan)
    recorder = _Recorder(plan, history_bytes) if history else None
    with np.errstate(all="ignore"):
        for group in plan.groups:
            lanes_per_block = max(1, BLOCK_BYTES // (8 * plan.dimension))
            for first in range(0, group.lanes, lanes_per_block):
                _advance(_block(group, first, lanes_per_block), plan.stopping, outcome, recorder)
    return Result(
        plan=plan,
        final_points=outcome.points,
        final_losses=outcome.losses,
        iterations=outcome.iterations,
        gradient_evaluations=outcome.iterations + (plan.stopping.gradient_tolerance is not None),
        status_codes=outcome.codes,
        history=recorder.history(outcome.iterations) if recorder else None,
        notes=recorder.notes if recorder else (),
    )


def _block(group: Group, first: int, lanes: int) -> Group:
    if first == 0 and lanes >= group.lanes:
        return group
    part = slice(first, first + lanes)
    return Group(
        surface=take_lanes(group.surface, part),
        optimizer=take_lanes(group.optimizer, part),
        lr=group.lr[part],
        start=group.start[:, part],
        first=group.first + first,
    )


def _advance(block: Group, stopping: Stopping, outcome: "_Outcome", recorder: "_Recorder | None") -> None:
    """The loop: takes all lanes of a block from their starts to their ends."""
    surface, optimizer, lr = block.surface, block.optimizer, block.lr
    trials = np.arange(block.first, block.first + block.lanes)
    x = np.ascontiguousarray(block.start)
    velocity = np.zeros_like(x)
    state = optimizer.init(x)
    loss = surface.value(x)
    previous_loss = np.full_like(loss, np.inf)

    for t in range(stopping.iterations + 1):
        g = surface.gradient(x)
        if recorder is not None:
            recorder.record(t, trials, x, velocity, loss)

        codes = _ends(stopping, t, x, loss, previous_loss, g)
        if codes is not None:
            ended = codes != RUNNING
            outcome.settle(t, trials[ended], x[:, ended], loss[ended], codes[ended])
            if recorder is not None:
                recorder.record_end(t, trials[ended], x[:, ended], velocity[:, ended], loss[ended])
            if ended.all():
                return
            kept = np.flatnonzero(~ended)
            surface, optimizer, state = take_lanes(surface, kept), take_lanes(optimizer, kept), take_lanes(state, kept)
            trials, lr, loss = trials[kept], lr[kept], loss[kept]
            x, g = x.take(kept, axis=1), g.take(kept, axis=1)

        velocity, state = optimizer.step(state, g, Here(x, t + 1, loss, lr, surface))
        x = x - lr * velocity
        previous_loss, loss = loss, surface.value(x)


RUNNING = -1


def _ends(stopping: Stopping, t: int, x: Array, loss: Array, previous_loss: Array, g: Array) -> NDArray[np.int8] | None:
    """The status code of each lane that ends after ``t`` updates, `RUNNING` for the others; ``None`` if none ends."""
    last = t == stopping.iterations
    converged = _converged(stopping, loss, previous_loss, g) if stopping.can_converge else None
    # One sum of squares tells that no lane at all is out of bounds; only when it fails is each looked at.
    bounded = (
        _sum_of_squares(x) <= POSITION_BOUND**2 and loss.dot(loss) <= LOSS_BOUND**2 and _sum_of_squares(g) < math.inf
    )
    if bounded and not last and (converged is None or not np.count_nonzero(converged)):
        return None
    codes = np.full(len(loss), Status.MAX_ITERATIONS.code if last else RUNNING, dtype=np.int8)
    if converged is not None:
        codes[converged] = Status.CONVERGED.code
    if not bounded:
        within = (np.abs(x) <= POSITION_BOUND).all(axis=0) & (np.abs(loss) <= LOSS_BOUND) & np.isfinite(g).all(axis=0)
        codes[~within] = Status.DIVERGED.code
    return codes if (codes != RUNNING).any() else None


def _sum_of_squares(array: Array) -> float:
    flat = array.ravel()
    total: float = flat.dot(flat)
    return total


def _converged(stopping: Stopping, loss: Array, previous_loss: Array, g: Array) -> NDArray[np.bool_]:
    """Which lanes meet one of the tolerances that are set."""
    tests = []
    if stopping.tolerance is not None:
        tests.append(np.abs(loss - previous_loss) <= stopping.tolerance)
    if stopping.gradient_tolerance is not None:
        tests.append(np.sqrt(sum_coordinates(g * g)) <= stopping.gradient_tolerance)
    if stopping.target_loss is not None:
        tests.append(loss <= stopping.target_loss)
    return functools.reduce(np.logical_or, tests)


class _Outcome:
    """Where ended lanes leave their final state, by the number of their trial."""

    def __init__(self, plan: Plan) -> None:
        self.points = np.empty((plan.trials, plan.dimension))
        self.losses = np.empty(plan.trials)
        self.iterations = np.empty(plan.trials, dtype=np.int64)
        self.codes = np.empty(plan.trials, dtype=np.int8)

    def settle(self, t: int, trials: NDArray[np.intp], x: Array, loss: Array, codes: NDArray[np.int8]) -> None:
        """Note that these trials have ended after ``t`` updates."""
        self.points[trials] = x.T
        self.losses[trials] = loss
        self.iterations[trials] = t
        self.codes[trials] = codes


class _Recorder:
    """Keeps every ``stride``-th state of all trials, and the last of each: arrays of ``(entries, …, trials)``."""

    def __init__(self, plan: Plan, memory: int) -> None:
        iterations = plan.stopping.iterations
        bytes_per_entry = 8 * plan.trials * (2 * plan.dimension + 1)
        affordable = max(memory // bytes_per_entry, 2)
        self.stride = max(1, -(-iterations // (affordable - 1)))
        entries = -(-iterations // self.stride) + 1
        self.positions = np.empty((entries, plan.dimension, plan.trials))
        self.velocities = np.empty_like(self.positions)
        self.losses = np.empty((entries, plan.trials))
        self.notes: tuple[str, ...] = ()
        if self.stride > 1:
            needed = bytes_per_entry * (iterations + 1) / 2**30
            self.notes = (
                f"the whole history could need {needed:.1f} GiB, above the limit of {memory / 2**30:.1f} GiB: "
                f"every {self.stride}th iterate and the last are kept",
            )

    def record(self, t: int, trials: NDArray[np.intp], x: Array, velocity: Array, loss: Array) -> None:
        """Keep the state after ``t`` updates, if ``t`` is a multiple of the stride."""
        if t % self.stride == 0:
            self._write(t // self.stride, trials, x, velocity, loss)

    def record_end(self, t: int, trials: NDArray[np.intp], x: Array, velocity: Array, loss: Array) -> None:
        """Keep the final state of trials that end after ``t`` updates."""
        if t % self.stride != 0:
            self._write(t // self.stride + 1, trials, x, velocity, loss)

    def _write(self, entry: int, trials: NDArray[np.intp], x: Array, velocity: Array, loss: Array) -> None:
        # Blocks are cut from consecutive trials; as long as none has ended, a slice serves, which is much faster.
        consecutive = trials[-1] - trials[0] + 1 == len(trials)
        lanes = slice(trials[0], trials[-1] + 1) if consecutive else trials
        self.positions[entry][:, lanes] = x
        self.velocities[entry][:, lanes] = velocity
        self.losses[entry][lanes] = loss

    def history(self, iterations: NDArray[np.int64]) -> History:
        """The recorded paths, cut after the longest; NaN follows the end of each."""
        ends = -(-iterations // self.stride)
        entries = int(ends.max()) + 1
        positions, velocities, losses = (kept[:entries] for kept in (self.positions, self.velocities, self.losses))
        ended = np.arange(entries)[:, np.newaxis] > ends
        positions.transpose(0, 2, 1)[ended] = np.nan
        velocities.transpose(0, 2, 1)[ended] = np.nan
        losses[ended] = np.nan
        return History(
            positions=positions.transpose(2, 0, 1),
            velocities=velocities.transpose(2, 0, 1),
            losses=losses.T,
            stride=self.stride,
        )
