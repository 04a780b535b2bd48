"""The loop over iterations, which advances all trials of a plan together.

The batched loop follows the pattern of SciPy's element-wise iterative methods: arrays over all lanes, a mask of the
active ones, and results that are written when a trial ends.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from momentumlab import plugins
from momentumlab.experiment import Experiment, Stopping
from momentumlab.lanes import put_lanes, take_lanes
from momentumlab.noise import Errors
from momentumlab.optimizers import Here
from momentumlab.optimizers.base import LR_SCHEDULE, WithoutExactGradient
from momentumlab.outcome import Outcome
from momentumlab.parameters import Array
from momentumlab.plan import Group, Plan
from momentumlab.result import Result, Status
from momentumlab.schedules.base import TabulatedSchedule
from momentumlab.surfaces import Surface
from momentumlab.surfaces.base import sum_coordinates
from momentumlab.user_code import check_user_code

POSITION_BOUND = 1e16
"""A trial with a larger coordinate has diverged: float64 cannot resolve steps of 1 there."""

LOSS_BOUND = 1e100
"""A trial with a larger loss has diverged: squares of such numbers soon overflow."""

HISTORY_BYTES = 2**30
"""The default limit for the memory of a history, 1 GiB."""

BATCH_BYTES = 2**18
"""Memory of the points of a batch: large enough that the cost of calling NumPy is small, and small enough that the
dozen arrays of an iteration stay in the cache."""

SMALL_ARRAY = 8192
"""Up to this size the number of NumPy calls determines the cost of the divergence test, which then uses squares."""

SQUARED_POSITION_BOUND, SQUARED_LOSS_BOUND = POSITION_BOUND**2, LOSS_BOUND**2

IDLE_SHARE = 1 / 8
"""The share of a batch's lanes that may be idle before they are refilled or removed."""


def run(
    plan: Plan,
    *,
    history: bool = True,
    history_bytes: int = HISTORY_BYTES,
    check: Callable[[], None] | None = None,
) -> Result:
    """Run every trial of a plan in this process.

    One iteration is: gradient at the current point, velocity, update, loss at the new point, stopping tests. A trial
    ends as *diverged* (a position, loss or gradient is not finite or exceeds `POSITION_BOUND` or `LOSS_BOUND`), else as
    *converged* (see `Stopping`), else after its last iteration. The numbers of a trial do not depend on other trials.

    Parameters
    ----------
    plan
        The trials.
    history
        Whether to record the trajectories.
    history_bytes
        Memory limit for the history. If it is exceeded, only every k-th iterate and the last are recorded (at least
        the first and the last), and a note in the result says so.
    check
        Called before each iteration of a batch; an exception that it raises ends the run.

    Raises
    ------
    PluginError
        If a user's code raises an exception.
    """
    return run_trials(plan, 0, plan.trials, history_bytes if history else None, check).result(plan)


def run_trials(
    plan: Plan,
    first: int,
    last: int,
    history_bytes: int | None = None,
    check: Callable[[], None] | None = None,
) -> Outcome:
    """Run a range of trials.

    Parameters
    ----------
    plan
        All trials.
    first, last
        The number of the first trial, and of the last one plus 1.
    history_bytes
        Memory limit for the history of the whole plan; ``None`` to record nothing.
    check
        As in `run`.

    Raises
    ------
    PluginError
        If a user's code raises an exception.
    """
    outcome = Outcome.of(plan, first, last, history_bytes)
    # The width depends only on the dimension. A group with more trials than lanes is worked off by one batch, in which
    # waiting trials take over the lanes of trials that have ended: few lanes are idle as long as trials are waiting.
    width = max(1, BATCH_BYTES // (8 * plan.dimension))
    with np.errstate(all="ignore"):
        for group in plan.groups:
            begin, end = max(first, group.first), min(last, group.first + group.size)
            while begin < end:
                # Recorded trials are an exception: those of a batch start together and end with it, because an entry
                # of the history is then written as one slice, at the same iteration for all lanes.
                starts_together = outcome.recorder is not None or group.optimizer_class.starts_together
                stop = min(begin + width, end) if starts_together else end
                _run_group(group, begin, stop, width, plan.experiment, outcome, check)
                begin = stop
    return outcome


def _run_group(
    group: Group,
    first: int,
    last: int,
    width: int,
    experiment: Experiment,
    outcome: Outcome,
    check: Callable[[], None] | None,
) -> None:
    """Run trials of one group, at most ``width`` at a time.

    Raises
    ------
    PluginError
        If a user's code raises an exception.
    """
    classes = (group.surface_class, group.optimizer_class)
    batch: _Batch | None = None
    try:
        check_user_code(group, first, last)
        batch = _Batch(group, first, last, width, experiment)
        _iterate(batch, experiment.stopping, outcome, check)
    except BaseException as error:

        def where() -> str:
            if batch is None or not batch.active.any():
                return _describe_place(group, np.arange(first, last), 0)
            lanes = np.flatnonzero(batch.active)
            return _describe_place(group, batch.trials[lanes], batch.iterations_of(lanes) + 1)

        found = plugins.plugin_error(error, classes=classes, context=where)
        if found is None:
            raise
        raise found from error


def _iterate(batch: "_Batch", stopping: Stopping, outcome: Outcome, check: Callable[[], None] | None) -> None:
    """Iterate until all trials of a batch have ended, those that wait for a free lane included."""
    recorder = outcome.recorder
    idle_share = IDLE_SHARE if recorder is None else 0.0  # idle lanes would be recorded, too
    while True:
        if check is not None:
            check()
        # The lanes of trials that have ended stay idle until there are enough of them: copying the arrays in every
        # iteration would cost more than computing a few lanes in vain.
        if batch.idle and batch.idle > idle_share * len(batch.active):
            batch.refill()

        g = batch.gradient(batch.x)
        if recorder is not None:
            further = functools.partial(batch.quantities, g, slice(None))
            recorder.record(batch.nit, batch.trials, batch.x, batch.velocity, batch.loss, further)

        # Stopping tests on the state after `nit` updates. They come after the gradient, which two of them use, and
        # before the update, so a trial ends with the point, loss and velocity that were tested.
        for status, lanes in _ended(stopping, batch, g):
            trials, x, loss = batch.trials.take(lanes), batch.x.take(lanes, axis=1), batch.loss.take(lanes)
            if stopping.evaluate_every > 1:  # the loss can be that of an earlier point
                loss = take_lanes(batch.surface, lanes).value(x)
            outcome.write(trials, batch.iterations_of(lanes), x, loss, status)
            if recorder is not None:
                further = functools.partial(batch.quantities, g, lanes)
                recorder.record_end(batch.nit, trials, x, batch.velocity.take(lanes, axis=1), loss, further)
            batch.deactivate(lanes)
            if status is Status.DIVERGED:
                # An idle lane is still computed. With infinite numbers in it, the quick test of the whole batch would
                # fail in every iteration.
                batch.x[:, lanes], g[:, lanes] = batch.finite_point, 0.0
            if batch.has_ended:
                return

        # Schedules and noise depend on the iteration of each trial, not of the batch, so that the numbers of a trial
        # do not depend on when it got its lane.
        if batch.schedules:
            batch.set_scheduled()
        if batch.noise is not None:
            g = batch.with_errors(g)

        # Velocity, update, loss at the new point. Idle lanes have lr = 0 and do not move. Every array is new: an
        # optimizer may keep a reference to what it received.
        velocity, batch.state = batch.optimizer.step(batch.state, g, batch.here())
        x = batch.state.x if batch.optimizer.sets_point else batch.x - batch.lr * velocity
        batch.nit += 1
        if batch.update_norm is not None:
            batch.update_norm = _norms(x - batch.x)
        batch.loss, batch.previous_loss = batch.evaluated_losses(x)
        batch.x, batch.velocity = x, velocity


class _Batch:
    """The state of the trials that are advanced together, one per lane, and the trials that wait for a lane.

    Attributes
    ----------
    nit
        Iterations of the batch.
    start_nit
        The value of ``nit`` at which the trial of each lane started; one number as long as all started together.
    next_limit
        The value of ``nit`` at which the next trial reaches its maximum number of iterations.
    small_changes
        The number of successive iterations up to now in which the loss of each lane met the tolerance; counted only if
        the patience is above 1.
    unscaled_lr
        The learning rates without the factor of their schedule.
    active
        Whether the trial of each lane has not ended; ``idle`` counts the others.
    waiting
        The numbers of the trials that have not started.
    """

    def __init__(self, group: Group, first: int, last: int, width: int, experiment: Experiment) -> None:
        self.group = group
        self.maxiter = maxiter = experiment.stopping.iterations
        self.evaluate_every = experiment.stopping.evaluate_every
        self.seed = experiment.seed
        self.noise = experiment.noise
        if experiment.noise is not None:
            self.errors = Errors(experiment.noise, experiment.seed, experiment.dimension, experiment.replicates)
        self.schedules = {
            name: TabulatedSchedule(schedule, group.iterations) for name, schedule in group.schedules.items()
        }
        self.trials = np.arange(first, min(first + width, last))
        self.waiting = range(first + len(self.trials), last)
        lanes = group.lanes(self.trials - group.first)
        self.surface, self.optimizer, self.lr = lanes.surface, lanes.optimizer, lanes.lr
        self.unscaled_lr = lanes.lr.copy()
        self.replicate, self.is_sampled = lanes.replicate, lanes.surface.is_sampled
        self.x = np.ascontiguousarray(lanes.start)
        self.velocity = np.zeros_like(self.x)
        self.loss = self.surface.value(self.x)
        self.previous_loss = np.full_like(self.loss, np.inf)
        self.small_changes = np.zeros(len(self.loss), dtype=np.int32)
        self.state = self.optimizer.init(self.x)
        self.active = np.ones(len(self.trials), dtype=bool)
        self.idle = 0
        self.nit = 0
        self.start_nit: Array | int = 0
        self.next_limit: float = maxiter
        self.finite_point = self.x[:, :1].copy()
        self.update_norm = np.zeros_like(self.loss) if "update_norm" in experiment.record else None

    @property
    def has_ended(self) -> bool:
        """Whether all trials have ended."""
        return self.idle == len(self.active) and not self.waiting

    def iterations_of(self, lanes: NDArray[np.intp]) -> Array | int:
        """Return the number of iterations that the trials of some lanes have made."""
        return self.nit - (self.start_nit.take(lanes) if isinstance(self.start_nit, np.ndarray) else self.start_nit)

    def at_limit(self) -> NDArray[np.bool_]:
        """Return which trials have made all their iterations, and find the next limit; only to be called at one."""
        at_limit: NDArray[np.bool_] = self.active & np.asarray(self.nit - self.start_nit >= self.maxiter)
        if isinstance(self.start_nit, np.ndarray):
            self.next_limit = self.start_nit[self.active & ~at_limit].min(initial=math.inf) + self.maxiter
        return at_limit

    def gradient(self, x: Array) -> Array:
        """Return the gradient without errors, or its estimate from the mini-batch of this iteration."""
        if self.is_sampled:
            return self.surface.sampled_gradient(x, self.nit - self.start_nit, self.replicate, self.seed)
        return self.surface.gradient(x)

    def evaluated_losses(self, x: Array) -> tuple[Array, Array]:
        """Return the losses at new points and the previous ones.

        Where the loss is not evaluated in this iteration, the first is the last loss and the second NaN, which meets no
        tolerance.
        """
        if self.evaluate_every == 1:
            return self.surface.value(x), self.loss
        ages = self.nit - self.start_nit
        is_due = np.asarray((ages % self.evaluate_every == 0) | (ages >= self.maxiter))
        if not is_due.any():
            return self.loss, np.full_like(self.loss, np.nan)
        return np.where(is_due, self.surface.value(x), self.loss), np.where(is_due, self.loss, np.nan)

    def with_errors(self, g: Array) -> Array:
        """Return a gradient with the errors of this iteration."""
        assert self.noise is not None
        return self.noise.disturbed(g, self.errors.at(self.nit - self.start_nit, self.replicate))

    def quantities(self, g: Array, lanes: Any, names: Iterable[str]) -> dict[str, Any]:
        """Return recorded quantities of some lanes by name, ``(…, lanes)``."""
        found: dict[str, Any] = {}
        for name in names:
            if name == "gradient_norm":
                found[name] = _norms(g)[lanes]
            elif name == "update_norm" and self.update_norm is not None:
                found[name] = self.update_norm[lanes]
            elif hasattr(self.state, name.removeprefix("state.")):
                part = np.asarray(getattr(self.state, name.removeprefix("state.")))
                # A number that all lanes share has no axis.
                found[name] = part if part.ndim == 0 else part[..., lanes]
        return found

    def here(self) -> Here:
        """Return what the optimizer may know about this iteration."""
        surface = self.surface
        if self.noise is not None or self.is_sampled:
            surface = cast(Surface, WithoutExactGradient(surface))
        oracle = _refuse_gradient
        if self.optimizer.gradients_per_step > 1:
            oracle = self.gradient if self.noise is None else lambda x: self.with_errors(self.gradient(x))
        return Here(self.x, self.nit + 1 - self.start_nit, self.loss, self.lr, surface, oracle)

    def set_scheduled(self) -> None:
        """Set every hyperparameter that follows a schedule to its value in this iteration."""
        values = {name: schedule.at(self.nit - self.start_nit) for name, schedule in self.schedules.items()}
        if "lr" in values:
            self.lr[:] = values.pop("lr")
        if LR_SCHEDULE in values:
            np.multiply(self.unscaled_lr, values.pop(LR_SCHEDULE), out=self.lr)
        if self.idle:
            self.lr[~self.active] = 0.0
        if values:
            self.optimizer = replace(cast(Any, self.optimizer), **values)

    def deactivate(self, lanes: NDArray[np.intp]) -> None:
        """Make lanes idle; with a learning rate of 0 their points do not move."""
        self.active[lanes] = False
        self.lr[lanes] = 0.0
        self.idle += len(lanes)

    def refill(self) -> None:
        """Start waiting trials in idle lanes, and remove the lanes that remain idle."""
        # Lanes are removed only if no trial is waiting; then the batch shrinks until its last trial ends.
        if self.waiting:
            trials = np.asarray(self.waiting[: self.idle])
            self.waiting = self.waiting[self.idle :]
            self._start(trials, np.flatnonzero(~self.active)[: len(trials)])
        if self.idle:
            self._keep(np.flatnonzero(self.active))

    def _start(self, trials: NDArray[np.int64], free: NDArray[np.intp]) -> None:
        """Start trials in free lanes."""
        lanes = self.group.lanes(trials - self.group.first)
        start = np.ascontiguousarray(lanes.start)
        # From now on the trials differ in age. Until the first refill one number is enough, which is faster.
        if not isinstance(self.start_nit, np.ndarray):
            self.start_nit = np.full(len(self.trials), float(self.start_nit))
        self.trials[free], self.start_nit[free], self.active[free] = trials, self.nit, True
        self.surface = put_lanes(self.surface, free, lanes.surface)
        self.optimizer = put_lanes(self.optimizer, free, lanes.optimizer)
        self.state = put_lanes(self.state, free, lanes.optimizer.init(start))
        self.lr[free], self.x[:, free], self.replicate[free] = lanes.lr, start, lanes.replicate
        self.unscaled_lr[free] = lanes.lr
        # Copies, since an optimizer may hold references to the losses that it received.
        self.loss, self.previous_loss = self.loss.copy(), self.previous_loss.copy()
        self.loss[free], self.previous_loss[free] = lanes.surface.value(start), np.inf
        self.small_changes[free] = 0
        self.idle -= len(free)
        self.next_limit = min(self.next_limit, self.nit + self.maxiter)

    def _keep(self, lanes: NDArray[np.intp]) -> None:
        """Remove all other lanes."""
        self.surface, self.optimizer = take_lanes(self.surface, lanes), take_lanes(self.optimizer, lanes)
        self.state = take_lanes(self.state, lanes)
        self.trials, self.active, self.lr = self.trials[lanes], self.active[lanes], self.lr[lanes]
        self.replicate, self.unscaled_lr = self.replicate[lanes], self.unscaled_lr[lanes]
        self.x, self.velocity = self.x.take(lanes, axis=1), self.velocity.take(lanes, axis=1)
        self.loss, self.previous_loss = self.loss[lanes], self.previous_loss[lanes]
        self.small_changes = self.small_changes[lanes]
        self.update_norm = None if self.update_norm is None else self.update_norm[lanes]
        self.start_nit = self.start_nit[lanes] if isinstance(self.start_nit, np.ndarray) else self.start_nit
        self.idle = 0


def _norms(vectors: Array) -> Array:
    """Return the Euclidean norm of the vector of each lane, ``(lanes,)``."""
    norms: Array = np.sqrt(sum_coordinates(vectors * vectors))
    return norms


def _refuse_gradient(x: Array) -> Array:
    raise RuntimeError("here.gradient(x) is an additional gradient evaluation: set gradients_per_step = 2 in the class")


def _ended(stopping: Stopping, batch: _Batch, g: Array) -> Sequence[tuple[Status, NDArray[np.intp]]]:
    """Return the lanes whose trials end now, by status; if several statuses apply, the first one counts."""
    x, loss, active = batch.x, batch.loss, batch.active
    # In most iterations no trial ends. Three quick tests of the whole batch show it. They are made in every iteration:
    # a loss can be NaN in one iteration and finite in the next.
    all_bounded = _all_bounded(x, loss, g)
    converged = None
    if stopping.can_converge:
        converged = meets_a_criterion(stopping, loss, batch.previous_loss, batch.small_changes, g)
        if batch.idle:
            converged &= active  # an idle lane does not move, so it meets the tolerance
        if not np.count_nonzero(converged):
            converged = None
    if all_bounded and converged is None and batch.nit < batch.next_limit:
        return ()
    # Each test removes its lanes from the active ones, which gives the statuses their order of precedence.
    ended = []
    if not all_bounded:
        bounded = within_bounds(x, loss, g)
        ended.append((Status.DIVERGED, active & ~bounded))
        active = active & bounded
    if converged is not None:
        ended.append((Status.CONVERGED, converged & active))
        active = active & ~converged
    if batch.nit >= batch.next_limit:
        ended.append((Status.MAX_ITERATIONS, batch.at_limit() & active))
    return [(status, lanes) for status, mask in ended if len(lanes := mask.nonzero()[0])]


def _all_bounded(x: Array, loss: Array, g: Array) -> bool:
    """Return True only if all lanes are within the bounds; `within_bounds` then decides lane by lane."""
    # A non-finite number fails every comparison. For small arrays the calls cost more than the arithmetic: a sum of
    # squares is one call instead of two, and BLAS does not split it between threads.
    if x.size <= SMALL_ARRAY:
        points, slopes = x.ravel(), g.ravel()
        return bool(
            points.dot(points) < SQUARED_POSITION_BOUND
            and loss.dot(loss) < SQUARED_LOSS_BOUND
            and slopes.dot(slopes) < math.inf
        )
    return bool(
        x.max() < POSITION_BOUND
        and x.min() > -POSITION_BOUND
        and loss.max() < LOSS_BOUND
        and loss.min() > -LOSS_BOUND
        and g.max() < math.inf
        and g.min() > -math.inf
    )


def within_bounds(x: Array, loss: Array, g: Array) -> NDArray[np.bool_]:
    """Return which lanes are within all bounds."""
    points = np.logical_and.reduce(np.abs(x) <= POSITION_BOUND, axis=0)
    slopes = np.logical_and.reduce(np.isfinite(g), axis=0)
    bounded: NDArray[np.bool_] = points & slopes & (np.abs(loss) <= LOSS_BOUND)
    return bounded


def meets_a_criterion(
    stopping: Stopping, loss: Array, previous_loss: Array, small_changes: NDArray[np.int32], g: Array
) -> NDArray[np.bool_]:
    """Return which lanes meet one of the tolerances that are set, and count successive small changes in place."""
    tests = []
    if stopping.tolerance is not None:
        change = loss - previous_loss
        is_small = np.abs(change, out=change) <= stopping.tolerance
        if stopping.patience > 1:
            is_known = ~np.isnan(previous_loss)  # False between evaluations of the loss
            small_changes += is_known
            small_changes *= is_small | ~is_known
            is_small &= small_changes >= stopping.patience
        tests.append(is_small)
    if stopping.gradient_tolerance is not None:
        tests.append(np.sqrt(sum_coordinates(g * g)) <= stopping.gradient_tolerance)
    if stopping.target_loss is not None:
        tests.append(loss <= stopping.target_loss)
    return functools.reduce(np.logical_or, tests)


def _describe_place(group: Group, trials: NDArray[np.int64], iterations: Array | int) -> str:
    """Describe where an exception was raised: ``ball on ravine, trials 0 to 3, iteration 18``."""

    def span(noun: str, numbers: Array | NDArray[np.int64] | int) -> str:
        low, high = int(np.min(numbers)), int(np.max(numbers))
        return f"{noun} {low:,}" if low == high else f"{noun}s {low:,} to {high:,}"

    when = span("iteration", iterations) if np.any(iterations) else "before the first iteration"
    return f"{group.optimizer_class.name} on {group.surface_class.name}, {span('trial', trials)}, {when}"
