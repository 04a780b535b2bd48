"""Unfinished sweeps and comparisons: their blocks are kept until the run folder is complete.

An unfinished folder holds the experiment, `PARTIAL` and one file per finished block, named after its first trial. Since
each block is renamed when it is complete, a resumed run computes exactly the blocks whose files are missing.
"""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from momentumlab.config.dump import to_dict
from momentumlab.errors import ConfigError, OutputError
from momentumlab.experiment import Comparison, Experiment
from momentumlab.outcome import Outcome
from momentumlab.result import Status
from momentumlab.runs import layout
from momentumlab.runs.arrays import read_arrays
from momentumlab.runs.inputs import read_experiment, sha256_of
from momentumlab.runs.layout import (
    BLOCKS,
    COMPARISON,
    EXPERIMENT,
    PARTIAL,
    RECORD,
    RUN,
    SWEEP,
    DamageError,
    only_one,
    output_errors,
)
from momentumlab.runs.records import read_partial_record
from momentumlab.runs.remove import block_files
from momentumlab.runs.write import begin, make_folder, save_arrays, this_process, write_json

BLOCK_ARRAYS: dict[str, type[np.generic]] = {
    "points": np.float64,
    "losses": np.float64,
    "iterations": np.int32,
    "codes": np.int8,
}


@dataclass(frozen=True, kw_only=True)
class Partial:
    """An unfinished sweep or comparison and the number of trials per block."""

    experiment: Experiment | Comparison
    block_trials: int


def begin_run(experiment: Experiment | Comparison, out: Path, started: datetime, block_trials: int) -> Path:
    """Create the run folder of a sweep or a comparison, which can be resumed until it is complete."""
    with output_errors(out):
        folder = make_folder(out, experiment.name, started)
    with output_errors(folder):
        kind = COMPARISON if isinstance(experiment, Comparison) else SWEEP
        begin(folder, kind, experiment, started, block_trials=block_trials)
        (folder / BLOCKS).mkdir()
    return folder


def join_shards(experiment: Experiment, folder: Path, started: datetime, block_trials: int, shards: int) -> None:
    """Create the run folder that the shards of a sweep fill together, or check that another shard has created it.

    Raises
    ------
    OutputError
        If the folder is complete, or belongs to another experiment or another number of shards.
    """
    with output_errors(folder):
        if not (folder / PARTIAL).exists() and not (folder / RECORD).exists():
            # Shards may begin at the same time: each makes a folder of its own, and the first to rename it wins.
            made = folder.absolute().with_name(f".{folder.name}-{platform.node()}-{os.getpid()}")
            (made / BLOCKS).mkdir(parents=True)
            begin(made, SWEEP, experiment, started, block_trials=block_trials, shards=shards)
            try:
                made.rename(folder)
            except OSError:
                shutil.rmtree(made)
                if not (folder / PARTIAL).exists() and not (folder / RECORD).exists():
                    raise
    kept = read_partial(folder)
    begun_with = read_partial_record(folder).get("shards")
    if begun_with is None:
        raise OutputError(f"{folder} is not a sweep in shards: finish it with 'momentumlab sweep --resume {folder}'")
    if begun_with != shards:
        what = f"was begun with --shard …/{begun_with}, but this shard is one of {shards}"
        raise OutputError(f"{folder} {what}: give the same number, or another folder")
    if not isinstance(kept.experiment, Experiment) or to_dict(kept.experiment) != to_dict(experiment):
        raise OutputError(f"{folder} belongs to another experiment: give each experiment a folder of its own")


def is_complete(folder: Path) -> bool:
    """Return whether a run folder is complete."""
    return (folder / RECORD).exists()


def _already_complete(folder: Path) -> str:
    return f"{folder} is already complete: 'momentumlab runs show {folder}' prints it"


def finished_blocks(folder: Path) -> set[int]:
    """Return the first trials of the blocks in an unfinished run folder; they are not opened."""
    return {int(path.stem) for path in block_files(folder) if path.suffix == ".npz" and path.stem.isdecimal()}


@contextmanager
def working_on(folder: Path) -> Iterator[None]:
    """Hold the lock of an unfinished run folder, and name this process in it for file systems without locks.

    Raises
    ------
    OutputError
        If another process holds the lock.
    """
    with only_one(folder):
        if is_complete(folder):  # since it was read
            raise OutputError(_already_complete(folder))
        with suppress(DamageError), output_errors(folder):
            unfinished = read_partial_record(folder)
            if unfinished["process"] != this_process():
                write_json(folder / PARTIAL, {**unfinished, "process": this_process()})
        yield


def read_partial(folder: Path) -> Partial:
    """Read the experiment of an unfinished sweep or comparison.

    Raises
    ------
    OutputError
        If the folder is not that of an unfinished sweep, or cannot be read.
    """
    from momentumlab.executor import LARGEST_BLOCK

    if not folder.exists():
        raise OutputError(f"{folder}: no such folder")
    if is_complete(folder):
        raise OutputError(_already_complete(folder))
    if not os.path.lexists(folder / PARTIAL):
        raise OutputError(f"{folder} is not the run folder of an unfinished sweep or comparison")
    try:
        unfinished = read_partial_record(folder)
        if unfinished["kind"] == RUN:
            raise OutputError(f"{folder} is an interrupted run, which cannot be resumed: run its experiment.yaml again")
        block_trials = unfinished.get("block_trials")
        if block_trials is None or block_trials > LARGEST_BLOCK:
            raise DamageError(f"{PARTIAL}: block_trials is not an integer from 1 to {LARGEST_BLOCK}")
        if sha256_of(folder / EXPERIMENT) != unfinished.get("experiment_sha256"):
            raise DamageError(f"{EXPERIMENT} has changed since the run began: its blocks would be those of another one")
        experiment = read_experiment(folder, EXPERIMENT, unfinished)
        if isinstance(experiment, Comparison) != (unfinished["kind"] == COMPARISON):
            raise DamageError(f"{EXPERIMENT} is not that of a {unfinished['kind']}")
    except (DamageError, ConfigError) as error:
        raise OutputError(f"{folder}: cannot be resumed ({'; '.join(str(error).splitlines())})") from error
    return Partial(experiment=experiment, block_trials=block_trials)


def record_plugin_error(folder: Path, message: str) -> None:
    """Note in an unfinished folder that a plug-in ended the run, so that it can be resumed with another version."""
    with output_errors(folder), suppress(DamageError):
        write_json(folder / PARTIAL, {**read_partial_record(folder), "plugin_error": message})


def ended_by_plugin(folder: Path) -> bool:
    """Return whether an error in a plug-in ended the run in a folder."""
    try:
        return "plugin_error" in read_partial_record(folder)
    except DamageError:
        return False


def save_block(folder: Path, outcome: Outcome, offset: int = 0) -> None:
    """Keep the trials of one block until the run is complete.

    ``offset`` is the number of trials in earlier plans of the same run, such as the steps of a search.
    """
    with output_errors(folder):
        (folder / BLOCKS).mkdir(exist_ok=True)
        content = {name: getattr(outcome, name) for name in BLOCK_ARRAYS}
        layout.write(folder / BLOCKS / f"{offset + outcome.first}.npz", partial(save_arrays, content))


def read_blocks(folder: Path, experiment: Experiment, block_trials: int, offset: int = 0) -> dict[int, Outcome]:
    """Return the finished blocks of an experiment by their first trial; damaged blocks are left out."""
    outcomes: dict[int, Outcome] = {}
    for path in block_files(folder):
        first = int(path.stem) - offset if path.stem.isdecimal() else -1
        if not 0 <= first < experiment.trials or first % block_trials:
            continue
        outcome = Outcome(first, min(block_trials, experiment.trials - first), experiment.dimension)
        with suppress(DamageError):
            expected = {name: (dtype, getattr(outcome, name).shape) for name, dtype in BLOCK_ARRAYS.items()}
            for name, array in read_arrays(path, expected).items():
                getattr(outcome, name)[:] = array
            if np.isin(outcome.codes, [status.code for status in Status]).all():
                outcomes[first] = outcome
    return dict(sorted(outcomes.items()))
