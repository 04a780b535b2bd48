"""Run the blocks of a plan in this process, on worker processes, or on any other executor.

The numbers of a trial depend neither on its block nor on the worker.
"""

import pickle
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from momentumlab.engine import run_trials
from momentumlab.errors import MomentumLabError, PluginError, WorkerWarning
from momentumlab.experiment import Experiment, entries_of
from momentumlab.outcome import Outcome
from momentumlab.plan import SECONDS_PER_ITERATION, Plan, make_plan
from momentumlab.plugins import Plugins, described, python_entries
from momentumlab.result import Result
from momentumlab.stopping import Terminated
from momentumlab.system import TERMINATE, cores, end_with_parent, is_stopped, keep_freed_memory, start_method

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from momentumlab.kernels.dispatch import Kernels

LARGEST_BLOCK = 2**18
"""Maximum number of trials in a block, whose final states are sent and written as one piece."""

SMALLEST_BLOCK = 2**14
"""Minimum number of cheap trials in a block, which keeps the batches of the engine large."""

LEAST_SECONDS = 0.05
"""Minimum duration of a block: starting and sending it takes a few milliseconds."""

MOST_SECONDS = 20.0
"""Maximum duration of a block, which limits what an interrupted sweep loses."""

BLOCKS_PER_WORKER = 4
"""Blocks per worker: with fewer, workers are idle at the end, when blocks have few active trials."""

CHECK_SECONDS = 5.0
"""Seconds between searches for stopped workers in a pool that finishes no block."""

OnBlock = Callable[[Outcome], None]


class Workers:
    """A pool of worker processes or a given executor, on which plans are run one after the other.

    Use it as a context manager. Processes are started when the first plan needs them. They end with the ``with`` block,
    at once if an exception leaves it.

    Parameters
    ----------
    count
        The number of processes, or of the workers of ``executor``; 0 for one per core if a plan takes long enough, else
        none.
    executor
        A `concurrent.futures.Executor` that runs the blocks instead. A block is sent as the paths of plug-ins, an
        experiment and two numbers.
    """

    def __init__(self, count: int = 0, executor: "Executor | None" = None) -> None:
        self.executor = executor
        self.is_own = executor is None
        size = getattr(executor, "_max_workers", None)  # not public, but both pools of Python have it
        self.count = count
        if executor is not None and not count:
            self.count = size if isinstance(size, int) and size > 0 else cores()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_own or self.executor is None:
            return
        if error is not None:
            for process in list(_processes(self.executor).values()):
                process.terminate()
        self.executor.shutdown(cancel_futures=True)

    def block_trials(self, plan: Plan) -> int:
        """Return the number of trials per block of a plan."""
        if self.is_own:
            return block_size(plan, self.count or worthwhile_workers(plan))
        return min(max(1, plan.trials // (self.count * BLOCKS_PER_WORKER)), LARGEST_BLOCK)

    def run(
        self,
        plan: Plan,
        *,
        block_trials: int = 0,
        done: Mapping[int, Outcome] | None = None,
        on_block: OnBlock | None = None,
        history_bytes: int | None = None,
    ) -> Result:
        """Run all trials of a plan.

        Parameters
        ----------
        plan
            What `make_plan` returned for an experiment.
        block_trials
            The number of trials per block; 0 for what `block_trials` returns.
        done
            Finished blocks by the number of their first trial, which are not run again.
        on_block
            Called with each block as soon as it is finished.
        history_bytes
            Memory limit for the trajectories; ``None`` to record nothing.

        Raises
        ------
        PluginError
            If a user's code raises an exception.
        """
        block_trials = block_trials or self.block_trials(plan)
        done = done or {}
        missing = [(first, last) for first, last in blocks(plan, block_trials) if first not in done]
        kernels = _kernels(plan) if history_bytes is None else None
        # A single block is the whole result: run it here, without a process and without a copy.
        if len(missing) == 1 and not done and self.is_own and kernels is None:
            outcome = run_trials(plan, 0, plan.trials, history_bytes)
            if on_block is not None:
                on_block(outcome)
            return outcome.result(plan)
        # Blocks finish in any order; each is copied to its place and reported as soon as it arrives.
        whole = Outcome.of(plan, 0, plan.trials, history_bytes)
        for outcome in done.values():
            whole.include(outcome)
        if kernels is not None and self.is_own:
            finished = kernels.run_blocks(missing, self.count or worthwhile_workers(plan))
        else:
            finished = self._finished(plan, missing, history_bytes)
        for outcome in finished:
            whole.include(outcome)
            if on_block is not None:
                on_block(outcome)
        result = whole.result(plan)
        return result if kernels is None else replace(result, notes=(*result.notes, *kernels.notes))

    def run_blocks(self, plan: Plan, ranges: Sequence[tuple[int, int]]) -> Iterator[Outcome]:
        """Run some blocks of a plan, given by their first trial and the next block's, and yield each when it ends.

        Raises
        ------
        PluginError
            If a user's code raises an exception.
        """
        kernels = _kernels(plan)
        if kernels is not None and self.is_own:
            return kernels.run_blocks(ranges, self.count or worthwhile_workers(plan))
        return self._finished(plan, ranges, None)

    def _can_send(self, experiment: Experiment) -> bool:
        """Return whether workers have everything that the experiment uses: forked processes and threads always do."""
        is_forked = start_method() == "fork" if self.is_own else hasattr(self.executor, "_threads")
        return is_forked or not python_entries(entries_of(experiment))

    def _finished(self, plan: Plan, ranges: Sequence[tuple[int, int]], history_bytes: int | None) -> Iterator[Outcome]:
        """Run blocks and yield each as soon as it is finished."""
        from concurrent.futures import BrokenExecutor

        count = self.count or worthwhile_workers(plan)
        is_here = not self._can_send(plan.experiment)
        if is_here and count > 1 and ranges:
            message = "one process: worker processes do not have what this Python program defines itself"
            warnings.warn(message, WorkerWarning, stacklevel=2)
        # Processes are started by the first plan that needs them, and kept for the next ones.
        if self.is_own and count > 1 and self.executor is None and ranges and not is_here:
            self.executor = _start_pool(count)
        if self.executor is None or is_here:
            for first, last in ranges:
                yield run_trials(plan, first, last, history_bytes)
            return
        # A worker gets the experiment, not the plan, and numbers the trials itself: that is small to send.
        tasks = [(Plugins(), plan.experiment, first, last, history_bytes) for first, last in ranges]
        futures = {self.executor.submit(_run_block, *task) for task in tasks}
        try:
            for future in _completed(futures, self.executor):
                yield self._outcome(future)
        except BrokenExecutor:
            if self.is_own:
                _kill_pool(self.executor)
            raise
        finally:
            for future in futures:
                future.cancel()

    def _outcome(self, future: "Future[Outcome]") -> Outcome:
        """Return the result of a block, or raise what ended it as in this process."""
        from concurrent.futures import BrokenExecutor

        try:
            return future.result()
        except PluginError as error:
            raise error from error.original  # pickling drops the __cause__
        except (MomentumLabError, BrokenExecutor):
            raise
        except Terminated:  # SIGTERM to all processes of a job may reach a worker first
            raise Terminated from None
        except Exception as error:
            if self.is_own:
                raise
            # A cluster that lost a worker too often, or its scheduler, raises exceptions of its own.
            raise BrokenExecutor(described(error)) from error


def _kernels(plan: Plan) -> "Kernels | None":
    """Return the compiled kernels of a plan; ``None`` if NumPy computes all of it."""
    backend = plan.experiment.backend
    if backend == "numpy" or (backend == "auto" and not plan.is_worth_workers):
        return None  # the usual case needs no further import
    from momentumlab.kernels.dispatch import kernels_for

    return kernels_for(plan)


def blocks(plan: Plan, block_trials: int) -> Iterator[tuple[int, int]]:
    """Yield the first trial of each block and the first trial after it."""
    for first in range(0, plan.trials, block_trials):
        yield first, min(first + block_trials, plan.trials)


def block_size(plan: Plan, workers: int) -> int:
    """Return the number of trials per block for a number of workers."""
    # Blocks are sized by work, not by trials: a trial of two coordinates takes microseconds, one of a neural network
    # seconds.
    per_trial = max(plan.stopping.iterations, 1) * plan.seconds_per_update
    # Lower limit: an iteration of a batch has a fixed cost; if the trials of a block cost less, splitting does not pay.
    least = max(LEAST_SECONDS / per_trial, SECONDS_PER_ITERATION / plan.seconds_per_update)
    # Between the limits: several blocks per worker, none of which takes so long that an interruption loses much.
    even = plan.trials / (workers * BLOCKS_PER_WORKER)
    size = max(min(even, MOST_SECONDS / per_trial), min(least, SMALLEST_BLOCK))
    # However small the plan is, every requested worker gets a block.
    if workers > 1:
        size = min(size, plan.trials / workers)
    return min(max(1, int(size)), LARGEST_BLOCK)


def worthwhile_workers(plan: Plan) -> int:
    """Return the number of worker processes that a plan is worth: one per core, or 1."""
    return min(cores(), plan.trials) if plan.is_worth_workers else 1


def _processes(executor: "Executor") -> dict[int, Any]:
    """Return the processes of a pool by their ids."""
    return getattr(executor, "_processes", None) or {}


def _start_pool(count: int) -> "Executor":
    import multiprocessing  # 20 ms, which most runs do not need
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(count, multiprocessing.get_context(start_method()), initializer=_prepare_worker)


def _kill_pool(executor: "Executor") -> None:
    """Shut down a pool that has lost one of its processes.

    The pool waits for the other workers (since Python 3.12), and SIGTERM does not end workers that wait for a block.
    If the lost worker was sending a result, the pool also waits for the rest of it, until nobody can write to the pipe.
    """
    for process in list(_processes(executor).values()):
        process.kill()
    results = getattr(executor, "_result_queue", None)
    if results is not None:
        results._writer.close()
    executor.shutdown()


def _completed(futures: "set[Future[Outcome]]", executor: "Executor") -> "Iterator[Future[Outcome]]":
    """Yield futures as they complete and remove them from the set; watch for workers that are stopped or gone."""
    from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait

    reported: set[int] = set()
    while futures:
        completed, _ = wait(futures, timeout=CHECK_SECONDS, return_when=FIRST_COMPLETED)
        if not completed:
            if not all(process.is_alive() for process in _processes(executor).values()):
                raise BrokenExecutor("a worker process was killed while it sent a result")
            stopped = {pid for pid in list(_processes(executor)) if is_stopped(pid)}
            for pid in sorted(stopped - reported):
                message = f"worker process {pid} is stopped (SIGSTOP): 'kill -CONT {pid}' continues it"
                warnings.warn(message, WorkerWarning, stacklevel=2)
            reported = stopped
        for future in completed:
            futures.discard(future)  # or every block would stay in memory until the end
            yield future


# In a worker process


class _Worker:
    """Whether this worker process is computing, and whether it has received SIGTERM."""

    is_computing = False
    is_over = False


def _prepare_worker() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the parent, and end if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if TERMINATE is not None:
        signal.signal(TERMINATE, _stop)
    end_with_parent()


def _stop(signal_number: int, frame: object) -> None:
    """Stop computing, but not while a result is sent: the parent would wait for the rest of it."""
    _Worker.is_over = True
    if _Worker.is_computing:
        raise Terminated


def _run_block(plugins: Plugins, experiment: Experiment, first: int, last: int, history_bytes: int | None) -> Outcome:
    # The plug-ins are unpickled first, which loads them: the experiment may contain their schedules.
    plugins.require()
    keep_freed_memory()
    plan = make_plan(experiment, max_trials=experiment.trials)
    _Worker.is_computing = True
    try:
        if _Worker.is_over:
            raise Terminated
        kernels = _kernels(plan) if history_bytes is None else None
        if kernels is not None:
            (outcome,) = kernels.run_blocks([(first, last)], 1)
            return outcome
        return run_trials(plan, first, last, history_bytes)
    except PluginError as error:
        error.original = _portable(error.original)
        raise
    finally:
        _Worker.is_computing = False


def _portable(error: BaseException | None) -> BaseException | None:
    """Return an exception that can be sent to the parent: one that cannot be unpickled would break the pool."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None if error is None else RuntimeError(described(error))
    return error
