"""The only loop over iterations in the package: advances all trials of a plan together."""

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from momentumlab import plugins
from momentumlab.errors import PluginError
from momentumlab.experiment import Experiment, Stopping
from momentumlab.noise import Errors
from momentumlab.optimizers import Here
from momentumlab.plan import Group, Lanes, Plan
from momentumlab.registry import Array, put_lanes, take_lanes
from momentumlab.result import History, Result, Status
from momentumlab.schedules.course import Course
from momentumlab.surfaces.base import sum_coordinates

POSITION_BOUND = 1e16
"""A coordinate beyond this is divergence: float64 no longer tells points there from their neighbours one unit away."""

LOSS_BOUND = 1e100
"""A loss beyond this is divergence: the squares that surfaces and optimizers take soon overflow."""

HISTORY_BYTES = 2**30
"""The most memory that a history takes unless more is allowed: 1 GiB."""

BATCH_BYTES = 2**19
"""The points that are advanced together take this much memory: enough that calling NumPy costs little beside what it
computes, and little enough that the dozen arrays of a step stay in the caches."""

UNSETTLED = -1
"""In the place of a status: the trial has not ended."""

FEW = 8192
"""Arrays of up to so many numbers are small: what counts is how often NumPy is called."""

IDLE_SHARE = 1 / 8
"""The share of a batch's lanes that may idle before they are filled."""


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
    recorder = _Recorder(plan, history_bytes) if history else None
    outcome = run_trials(plan, 0, plan.trials, recorder)
    return Result(
        plan=plan,
        final_points=outcome.points,
        final_losses=outcome.losses,
        iterations=outcome.iterations,
        status_codes=outcome.codes,
        history=recorder.history(outcome.iterations) if recorder else None,
        notes=recorder.notes if recorder else (),
    )


def run_trials(plan: Plan, first: int, last: int, recorder: "_Recorder | None" = None) -> "Outcome":
    """Run the trials from ``first`` up to ``last``, which is not among them."""
    outcome = Outcome(first, last - first, plan.dimension)
    width = max(1, BATCH_BYTES // (8 * plan.dimension))
    with np.errstate(all="ignore"):
        for group in plan.groups:
            begin, end = max(first, group.first), min(last, group.first + group.size)
            while begin < end:
                # A path is recorded from its first iteration to its last beside others of the same age.
                stop = end if recorder is None else min(begin + width, end)
                _work_off(_Queue(group, begin, stop), width, plan.experiment, outcome, recorder)
                begin = stop
    return outcome


class _Queue:
    """The trials of a group that are still to be run."""

    def __init__(self, group: Group, first: int, last: int) -> None:
        self.group = group
        self.next = first
        self.last = last

    def take(self, count: int) -> tuple[NDArray[np.int64], Lanes]:
        """The numbers of the next trials, and the trials."""
        trials = np.arange(self.next, min(self.next + count, self.last))
        self.next += len(trials)
        return trials, self.group.lanes(trials - self.group.first)

    @property
    def is_empty(self) -> bool:
        return self.next == self.last


class _Batch:
    """The trials that are under way, one in each lane, and where each of them is.

    The lane of a trial that has ended idles, until enough others do: then all of them begin with waiting trials or,
    when none waits, are removed. To do so in every iteration would cost more than the idling.
    """

    def __init__(self, queue: _Queue, width: int, experiment: Experiment) -> None:
        self.queue = queue
        self.iterations = iterations = experiment.stopping.iterations
        self.seed = experiment.seed
        self.noise = experiment.noise
        if experiment.noise is not None:
            self.errors = Errors(experiment.noise, experiment.seed, experiment.dimension, experiment.replicates)
        self.courses = {name: Course(schedule, iterations) for name, schedule in queue.group.schedules.items()}
        self.trials, lanes = queue.take(width)
        self.surface, self.optimizer, self.lr = lanes.surface, lanes.optimizer, lanes.lr
        self.replicate, self.is_sampled = lanes.replicate, lanes.surface.is_sampled
        self.x = np.ascontiguousarray(lanes.start)
        self.velocity = np.zeros_like(self.x)
        self.loss = self.surface.value(self.x)
        self.previous_loss = np.full_like(self.loss, np.inf)
        self.state = self.optimizer.init(self.x)
        self.running = np.ones(len(self.trials), dtype=bool)
        self.idle = 0
        self.births: Array | int = 0  # the tick at which each trial began; a number while all began together
        self.deadline: float = iterations
        self.haven = self.x[:, :1].copy()
        self.tick = 0

    @property
    def is_done(self) -> bool:
        """Whether no trial is under way, and none waits."""
        return self.idle == len(self.running) and self.queue.is_empty

    def ages(self, tick: int, lanes: NDArray[np.intp]) -> Array | int:
        """The iterations that some of the trials have made."""
        return tick - (self.births.take(lanes) if isinstance(self.births, np.ndarray) else self.births)

    def expired(self, tick: int) -> NDArray[np.bool_]:
        """Which trials have made all their iterations. Not to be asked before the deadline: it finds the next."""
        expired: NDArray[np.bool_] = self.running & np.asarray(tick - self.births >= self.iterations)
        if isinstance(self.births, np.ndarray):
            self.deadline = self.births[self.running & ~expired].min(initial=math.inf) + self.iterations
        return expired

    def gradient(self, tick: int) -> Array:
        """The gradient at the points, or what is estimated of it."""
        if self.is_sampled:
            return self.surface.sampled_gradient(self.x, tick - self.births, self.replicate, self.seed)
        return self.surface.gradient(self.x)

    def follow(self, tick: int) -> None:
        """Set what follows a schedule to its value in this iteration."""
        values = {name: course.at(tick - self.births) for name, course in self.courses.items()}
        if "lr" in values:
            self.lr[:] = values.pop("lr")
            if self.idle:
                self.lr[~self.running] = 0.0
        if values:
            self.optimizer = replace(cast(Any, self.optimizer), **values)

    def rest(self, lanes: NDArray[np.intp]) -> None:
        """Let lanes idle: they stay where they are."""
        self.running[lanes] = False
        self.lr[lanes] = 0.0
        self.idle += len(lanes)

    def fill(self, tick: int) -> None:
        """Begin with waiting trials in the lanes that idle, and remove those for which there are none."""
        if not self.queue.is_empty:
            numbers, lanes = self.queue.take(self.idle)
            self._begin(np.flatnonzero(~self.running)[: len(numbers)], numbers, lanes, tick)
        if self.idle:
            self._keep(np.flatnonzero(self.running))

    def _begin(self, free: NDArray[np.intp], numbers: NDArray[np.int64], lanes: Lanes, tick: int) -> None:
        start = np.ascontiguousarray(lanes.start)
        if not isinstance(self.births, np.ndarray):
            self.births = np.full(len(self.trials), float(self.births))
        self.trials[free], self.births[free], self.running[free] = numbers, tick, True
        self.surface = put_lanes(self.surface, free, lanes.surface)
        self.optimizer = put_lanes(self.optimizer, free, lanes.optimizer)
        self.state = put_lanes(self.state, free, lanes.optimizer.init(start))
        self.lr[free], self.x[:, free], self.replicate[free] = lanes.lr, start, lanes.replicate
        # Copies, since an optimizer may have kept the losses that it saw.
        self.loss, self.previous_loss = self.loss.copy(), self.previous_loss.copy()
        self.loss[free], self.previous_loss[free] = lanes.surface.value(start), np.inf
        self.idle -= len(free)
        self.deadline = min(self.deadline, tick + self.iterations)

    def _keep(self, kept: NDArray[np.intp]) -> None:
        self.surface, self.optimizer = take_lanes(self.surface, kept), take_lanes(self.optimizer, kept)
        self.state = take_lanes(self.state, kept)
        self.trials, self.running, self.lr = self.trials[kept], self.running[kept], self.lr[kept]
        self.replicate = self.replicate[kept]
        self.x, self.velocity = self.x.take(kept, axis=1), self.velocity.take(kept, axis=1)
        self.loss, self.previous_loss = self.loss[kept], self.previous_loss[kept]
        self.births = self.births[kept] if isinstance(self.births, np.ndarray) else self.births
        self.idle = 0


def _work_off(
    queue: _Queue, width: int, experiment: Experiment, outcome: "Outcome", recorder: "_Recorder | None"
) -> None:
    """Take all trials of a queue to their ends.

    Raises
    ------
    PluginError
        If a user's code raises an exception.
    """
    classes = (queue.group.surface_class, queue.group.optimizer_class)
    first, last = queue.next, queue.last
    batch: _Batch | None = None
    try:
        batch = _Batch(queue, width, experiment)
        if any(map(plugins.is_foreign, classes)):
            _check_shapes(batch)
        _advance(batch, experiment.stopping, outcome, recorder)
    except BaseException as error:

        def where() -> str:
            if batch is None or not batch.running.any():
                return _place(queue.group, np.arange(first, last), 0)
            lanes = np.flatnonzero(batch.running)
            return _place(queue.group, batch.trials[lanes], batch.ages(batch.tick, lanes) + 1)

        found = plugins.plugin_error(error, classes=classes, context=where)
        if found is None:
            raise
        raise found from error


def _place(group: Group, trials: NDArray[np.int64], iterations: Array | int) -> str:
    """Describe where the engine was when an exception was raised: ``ball on ravine, trials 0 to 3, iteration 18``."""

    def span(noun: str, numbers: Array | NDArray[np.int64] | int) -> str:
        low, high = int(np.min(numbers)), int(np.max(numbers))
        return f"{noun} {low:,}" if low == high else f"{noun}s {low:,} to {high:,}"

    when = span("iteration", iterations) if np.any(iterations) else "before the first iteration"
    return f"{group.optimizer_class.name} on {group.surface_class.name}, {span('trial', trials)}, {when}"


def _check_shapes(batch: _Batch) -> None:
    """Refuse results of a user's code that NumPy would broadcast to lanes they do not belong to.

    Raises
    ------
    PluginError
        If the value, the gradient or the step has a wrong shape.
    """
    lanes = batch.x.shape[1:]
    g = batch.surface.gradient(batch.x)
    here = Here(batch.x, 1, batch.loss, batch.lr, batch.surface)
    _require_shape(batch.loss, lanes, "(lanes,)", type(batch.surface).value)
    _require_shape(g, batch.x.shape, "(dim, lanes)", type(batch.surface).gradient)
    step = batch.optimizer.step(batch.state, g, here)
    if not (isinstance(step, tuple) and len(step) == 2):
        raise PluginError(f"{plugins.defined_at(type(batch.optimizer).step)}: returns no pair (velocity, state)")
    _require_shape(step[0], batch.x.shape, "(dim, lanes)", type(batch.optimizer).step, "a velocity of ")


def _require_shape(array: Any, shape: tuple[int, ...], meaning: str, function: Any, what: str = "") -> None:
    if np.shape(array) != shape:
        message = f"returns {what}shape {np.shape(array)}, expected {meaning} = {shape}"
        raise PluginError(f"{plugins.defined_at(function)}: {message}")


def _advance(batch: _Batch, stopping: Stopping, outcome: "Outcome", recorder: "_Recorder | None") -> None:
    """The loop: takes all trials of a batch, and those that wait behind it, from their starts to their ends."""
    idle_share = IDLE_SHARE if recorder is None else 0.0  # what idles would be recorded, too
    tick = 0
    while True:
        if batch.idle and batch.idle > idle_share * len(batch.running):
            batch.fill(tick)
        g = batch.gradient(tick)
        if recorder is not None:
            recorder.record(tick, batch.trials, batch.x, batch.velocity, batch.loss)

        for status, ended in _ends(stopping, batch, tick, g):
            trials, x, loss = batch.trials.take(ended), batch.x.take(ended, axis=1), batch.loss.take(ended)
            outcome.settle(trials, batch.ages(tick, ended), x, loss, status)
            if recorder is not None:
                recorder.record_end(tick, trials, x, batch.velocity.take(ended, axis=1), loss)
            batch.rest(ended)
            if status is Status.DIVERGED:  # their numbers must do no harm while they idle
                batch.x[:, ended], g[:, ended] = batch.haven, 0.0
            if batch.is_done:
                return

        if batch.courses:
            batch.follow(tick)
        if batch.noise is not None:
            g = batch.noise.disturbed(g, batch.errors.at(tick - batch.births, batch.replicate))
        here = Here(batch.x, tick + 1 - batch.births, batch.loss, batch.lr, batch.surface)
        velocity, batch.state = batch.optimizer.step(batch.state, g, here)
        x = batch.x - batch.lr * velocity
        loss = batch.surface.value(x)
        batch.x, batch.velocity, batch.previous_loss, batch.loss = x, velocity, batch.loss, loss
        batch.tick = tick = tick + 1


def _ends(stopping: Stopping, batch: _Batch, tick: int, g: Array) -> Sequence[tuple[Status, NDArray[np.intp]]]:
    """The lanes whose trials end now, by status; of several that apply the first counts."""
    x, loss, running = batch.x, batch.loss, batch.running
    is_bounded = _is_bounded(x, loss, g)
    converged = _converged(stopping, loss, batch.previous_loss, g) if stopping.can_converge else None
    if converged is not None and batch.idle:
        converged &= running
    if is_bounded and tick < batch.deadline and (converged is None or not np.count_nonzero(converged)):
        return ()
    ends = []
    if not is_bounded:
        outside = running & ~_within(x, loss, g)
        running = running & ~outside
        ends.append((Status.DIVERGED, outside))
    if converged is not None:
        ends.append((Status.CONVERGED, converged & running))
        running = running & ~converged
    if tick >= batch.deadline:
        ends.append((Status.MAX_ITERATIONS, batch.expired(tick) & running))
    return [(status, np.flatnonzero(ended)) for status, ended in ends if ended.any()]


def _is_bounded(x: Array, loss: Array, g: Array) -> bool:
    """Whether everything is within its bounds, quickly; where it says no, `_within` says exactly which lanes are."""
    if x.size <= FEW:  # a sum of squares is one call, as long as BLAS does not give it to several threads
        points, slopes = x.ravel(), g.ravel()
        return bool(
            points.dot(points) < POSITION_BOUND**2 and loss.dot(loss) < LOSS_BOUND**2 and slopes.dot(slopes) < math.inf
        )
    return bool(
        x.max() < POSITION_BOUND
        and x.min() > -POSITION_BOUND
        and loss.max() < LOSS_BOUND
        and loss.min() > -LOSS_BOUND
        and g.max() < math.inf
        and g.min() > -math.inf
    )


def _within(x: Array, loss: Array, g: Array) -> NDArray[np.bool_]:
    """Which lanes are within all bounds."""
    points = np.logical_and.reduce(np.abs(x) <= POSITION_BOUND, axis=0)
    slopes = np.logical_and.reduce(np.isfinite(g), axis=0)
    within: NDArray[np.bool_] = points & slopes & (np.abs(loss) <= LOSS_BOUND)
    return within


def _converged(stopping: Stopping, loss: Array, previous_loss: Array, g: Array) -> NDArray[np.bool_]:
    """Which lanes meet one of the tolerances that are set."""
    tests = []
    if stopping.tolerance is not None:
        change = loss - previous_loss
        tests.append(np.abs(change, out=change) <= stopping.tolerance)
    if stopping.gradient_tolerance is not None:
        tests.append(np.sqrt(sum_coordinates(g * g)) <= stopping.gradient_tolerance)
    if stopping.target_loss is not None:
        tests.append(loss <= stopping.target_loss)
    return functools.reduce(np.logical_or, tests)


class Outcome:
    """The final states of consecutive trials, from number ``first`` on.

    Attributes
    ----------
    points
        ``(trials, dim)``
    losses, iterations, codes
        ``(trials,)``; the code of a trial that has not ended is `UNSETTLED`.
    """

    def __init__(self, first: int, trials: int, dimension: int) -> None:
        self.first = first
        self.points = np.empty((trials, dimension))
        self.losses = np.empty(trials)
        self.iterations = np.empty(trials, dtype=np.int32)
        self.codes = np.full(trials, UNSETTLED, dtype=np.int8)

    def include(self, part: "Outcome") -> None:
        """Take over the final states of some of the trials."""
        places = slice(part.first - self.first, part.first - self.first + len(part.losses))
        self.points[places], self.losses[places] = part.points, part.losses
        self.iterations[places], self.codes[places] = part.iterations, part.codes

    def settle(self, trials: NDArray[np.int64], ages: Array | int, x: Array, loss: Array, status: Status) -> None:
        """Note how these trials have ended, after ``ages`` updates each."""
        places = trials - self.first
        self.points[places] = x.T
        self.losses[places] = loss
        self.iterations[places] = ages
        self.codes[places] = status.code


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

    def record(self, t: int, trials: NDArray[np.int64], x: Array, velocity: Array, loss: Array) -> None:
        """Keep the state after ``t`` updates, if ``t`` is a multiple of the stride."""
        if t % self.stride == 0:
            self._write(t // self.stride, trials, x, velocity, loss)

    def record_end(self, t: int, trials: NDArray[np.int64], x: Array, velocity: Array, loss: Array) -> None:
        """Keep the final state of trials that end after ``t`` updates."""
        if t % self.stride != 0:
            self._write(t // self.stride + 1, trials, x, velocity, loss)

    def _write(self, entry: int, trials: NDArray[np.int64], x: Array, velocity: Array, loss: Array) -> None:
        # Batches begin with consecutive trials; as long as none has ended, a slice serves, which is much faster.
        consecutive = trials[-1] - trials[0] + 1 == len(trials)
        lanes = slice(trials[0], trials[-1] + 1) if consecutive else trials
        self.positions[entry][:, lanes] = x
        self.velocities[entry][:, lanes] = velocity
        self.losses[entry][lanes] = loss

    def history(self, iterations: NDArray[np.int32]) -> History:
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
