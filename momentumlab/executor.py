"""Splits a plan into blocks and maps them over any executor; what comes back are arrays.

The numbers of a trial do not depend on the block it is in, nor on who computes it.
"""

import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager

from momentumlab.engine import Outcome, run_trials
from momentumlab.errors import PluginError
from momentumlab.experiment import Experiment
from momentumlab.plan import Plan, make_plan
from momentumlab.plugins import Plugins, described
from momentumlab.result import Result
from momentumlab.stopping import Terminated

LARGEST_BLOCK = 2**18
SMALLEST_BLOCK = 2**14
BLOCKS_PER_WORKER = 4
"""Few blocks leave workers idle at the end, many begin and end with few trials under way."""

WORTH_A_POOL = 20_000_000
"""The updates, if every trial made all of them, from which on to start processes costs less than it saves."""

OnBlock = Callable[[Outcome], None]


def run_blocks(
    plan: Plan,
    *,
    block_trials: int,
    executor: Executor | None = None,
    done: Mapping[int, Outcome] | None = None,
    on_block: OnBlock | None = None,
) -> Result:
    """Run all trials of a plan without keeping their paths.

    Parameters
    ----------
    plan
        The trials.
    block_trials
        How many trials make a block.
    executor
        Who computes the blocks; ``None`` computes them here, one after the other. Anything that implements
        `concurrent.futures.Executor` will do; a block travels as the paths of plug-ins, an experiment and two numbers.
    done
        Blocks that are there already, by their first trial; they are not computed again.
    on_block
        Called with each block that was computed, as soon as it is there.
    """
    whole = Outcome(0, plan.trials, plan.dimension)
    done = done or {}
    for outcome in done.values():
        whole.include(outcome)
    missing = [(first, last) for first, last in blocks(plan, block_trials) if first not in done]
    for outcome in _computed(plan, missing, executor):
        whole.include(outcome)
        if on_block is not None:
            on_block(outcome)
    return Result(
        plan=plan,
        final_points=whole.points,
        final_losses=whole.losses,
        iterations=whole.iterations,
        status_codes=whole.codes,
        history=None,
    )


def blocks(plan: Plan, block_trials: int) -> Iterator[tuple[int, int]]:
    """The first trial of each block, and the one after its last."""
    for first in range(0, plan.trials, block_trials):
        yield first, min(first + block_trials, plan.trials)


def block_size(trials: int, workers: int) -> int:
    """How many trials make a good block."""
    size = math.ceil(trials / (workers * BLOCKS_PER_WORKER))
    return min(max(size, SMALLEST_BLOCK), LARGEST_BLOCK)


def cores() -> int:
    """How many processes can really run at the same time."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def workers_for(plan: Plan) -> int:
    """How many processes the work is worth."""
    return cores() if plan.trials * plan.stopping.iterations >= WORTH_A_POOL else 1


@contextmanager
def pool(workers: int) -> Iterator[Executor | None]:
    """That many processes, or none for a single one. They end with the block, at once if it is left by an error."""
    if workers == 1:
        yield None
        return
    import multiprocessing  # 20 ms that most runs do without
    from concurrent.futures import ProcessPoolExecutor

    # Forked processes have loaded all that is needed; where there is no fork, they load it anew.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context(method), initializer=_obey_parent)
    try:
        yield executor
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


class _Duty:
    """Whether a worker is computing, and whether it has been told to stop."""

    is_computing = False
    is_over = False


def _obey_parent() -> None:
    """Begin a worker: what comes of Ctrl-C, which reaches every process of a terminal, is the parent's to say.

    And a worker whose parent was killed must not wait for more work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _stop(signal_number: int, frame: object) -> None:
    """Stop computing; but never in the middle of sending a result, for the rest of which the parent would wait."""
    _Duty.is_over = True
    if _Duty.is_computing:
        raise Terminated


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _computed(plan: Plan, ranges: list[tuple[int, int]], executor: Executor | None) -> Iterator[Outcome]:
    if executor is None:
        for first, last in ranges:
            yield run_trials(plan, first, last)
        return
    futures: set[Future[Outcome]] = {executor.submit(_compute, Plugins(), plan.experiment, *each) for each in ranges}
    try:
        for future in as_completed(futures):
            futures.discard(future)  # or every block would be kept until the end
            try:
                outcome = future.result()
            except PluginError as error:
                raise error from error.original
            except Terminated:  # SIGTERM to all processes of a job may reach a worker first
                raise Terminated from None
            yield outcome
    finally:
        for future in futures:
            future.cancel()


def _compute(plugins: Plugins, experiment: Experiment, first: int, last: int) -> Outcome:
    # The plug-ins come first: to unpickle them is to load them, and the experiment may hold schedules of theirs.
    plugins.require()
    plan = make_plan(experiment, max_trials=experiment.trials)
    _Duty.is_computing = True
    try:
        if _Duty.is_over:
            raise Terminated
        return run_trials(plan, first, last)
    except PluginError as error:
        error.original = _portable(error.original)
        raise
    finally:
        _Duty.is_computing = False


def _portable(error: BaseException | None) -> BaseException | None:
    """Return an exception that survives the way to the parent: a pool breaks if a user's own cannot be unpickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None if error is None else RuntimeError(described(error))
    return error
