"""Choose between NumPy and compiled kernels, and run the blocks of a plan on threads."""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.engine import run_trials
from momentumlab.errors import ConfigError
from momentumlab.experiment import Experiment
from momentumlab.kernels import compiler
from momentumlab.kernels.recording import record
from momentumlab.kernels.runner import Tables, advance, make_tables
from momentumlab.kernels.tracer import UntraceableError
from momentumlab.kernels.writer import write
from momentumlab.outcome import Outcome
from momentumlab.plan import Group, Plan

AUTO_SECONDS = 2.0
"""With the backend ``auto``, a group of trials is compiled if NumPy could take longer."""

CHUNKS_PER_THREAD = 8
LEAST_CHUNK = 2048
"""Threads share the trials of a block in chunks; at the end of a chunk some lanes are idle."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A compiled kernel and the tables of a group of trials."""

    function: compiler.Function
    tables: Tables


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The kernels of a plan, one per group; ``None`` for groups that NumPy computes.

    Attributes
    ----------
    notes
        What was compiled, and what was not and why.
    """

    plan: Plan
    by_group: tuple[Kernel | None, ...]
    notes: tuple[str, ...]

    def run_blocks(self, ranges: Sequence[tuple[int, int]], threads: int) -> Iterator[Outcome]:
        """Run blocks of trials, given by their first trial and the one after their last, and yield their outcomes."""
        stop = np.zeros(1, dtype=np.int64)
        with ThreadPoolExecutor(threads) as pool:
            try:
                # All threads share the chunks of one block, so that blocks are finished and stored one after the other.
                for first, last in ranges:
                    outcome = Outcome.of(self.plan, first, last)
                    chunks = list(self._chunks(first, last, threads))
                    for _ in pool.map(functools.partial(self._run_chunk, outcome, stop), chunks):
                        pass
                    yield outcome
            finally:
                stop[0] = 1  # after an exception, such as Ctrl-C, every kernel stops

    def _chunks(self, first: int, last: int, threads: int) -> Iterator[tuple[int, int, int]]:
        """Yield the index of a group, and the first trial of a chunk and the one after its last."""
        size = max((last - first) // (threads * CHUNKS_PER_THREAD), min(LEAST_CHUNK, -(-(last - first) // threads)))
        for number, group in enumerate(self.plan.groups):
            begin, end = max(first, group.first), min(last, group.first + group.size)
            for start in range(begin, end, size):
                yield number, start, min(start + size, end)

    def _run_chunk(self, outcome: Outcome, stop: NDArray[np.int64], chunk: tuple[int, int, int]) -> None:
        number, begin, end = chunk
        kernel = self.by_group[number]
        if stop[0]:
            return
        if kernel is None:
            outcome.include(run_trials(self.plan, begin, end))
            return
        first = begin - self.plan.groups[number].first
        advance(kernel.function, kernel.tables, first, outcome, slice(begin - outcome.first, end - outcome.first), stop)


def kernels_for(plan: Plan) -> Kernels | None:
    """Return the kernels with which a plan is computed; ``None`` if NumPy computes all of it.

    Raises
    ------
    ConfigError
        If numba is requested and not installed.
    """
    experiment = plan.experiment
    if experiment.backend == "numpy" or (experiment.backend == "auto" and not compiler.is_available()):
        return None
    if not compiler.is_available():
        message = "the backend 'numba' needs numba: pip install \"momentumlab[fast]\", or use the backend 'numpy'"
        raise ConfigError.at(experiment.name, message)
    kernels: list[Kernel | None] = []
    reasons: dict[str, None] = {}
    for group in plan.groups:
        kernels.append(None)
        if group.cells is not None:
            reasons["the later rungs of successive halving are computed by NumPy"] = None
            continue
        numpy_seconds = plan.most_seconds * group.size / plan.trials  # at most, on one core
        if experiment.backend == "auto" and numpy_seconds < AUTO_SECONDS:
            continue
        try:
            recording = record(group, experiment)
            tables = make_tables(recording, group, experiment)  # before compiling: it may refuse
            kernels[-1] = Kernel(function=compiler.load(write(recording)), tables=tables)
        except (UntraceableError, compiler.CompilationError) as error:
            reasons[f"{group.optimizer_class.name} on {group.surface_class.name} is computed by NumPy: {error}"] = None
    if not any(kernels):
        return Kernels(plan=plan, by_group=tuple(kernels), notes=tuple(reasons)) if reasons else None
    return Kernels(plan=plan, by_group=tuple(kernels), notes=("computed by compiled kernels (numba)", *reasons))


def kernel_source(group: Group, experiment: Experiment) -> str:
    """Return the source code of the kernel of a group.

    Raises
    ------
    UntraceableError
        If the group has no kernel.
    """
    return write(record(group, experiment))
