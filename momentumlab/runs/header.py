"""What stands at the head of ``result.json``: enough to list a run, to find it again and to check that it is whole."""

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from momentumlab.experiment import Comparison, Experiment
from momentumlab.result import Result, Status
from momentumlab.runs.identity import identity
from momentumlab.runs.layout import RESULT, size_of

RUN, SWEEP, COMPARISON = "run", "sweep", "comparison"
"""The kinds of run folders: with all paths, with a map of all trials, with what was searched."""


def header(
    kind: str,
    experiment: Experiment | Comparison,
    results: Sequence[Result],
    recorded: Sequence[Result],
    *,
    started: datetime,
    folder: str | os.PathLike[str],
) -> dict[str, Any]:
    """The head of a run folder's ``result.json``, to be written once everything else is there.

    Parameters
    ----------
    kind
        `RUN`, `SWEEP` or `COMPARISON`.
    experiment
        What was run.
    results
        All trials: one result, or one per surface of a comparison.
    recorded
        Those whose paths are in ``trajectories.npz``.
    started
        When it was begun.
    folder
        The run folder, all of whose files are told with their sizes in bytes.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    experiments = experiment.experiments if isinstance(experiment, Comparison) else (experiment,)
    optimizers = [choice.name for each in experiments for choice in each.optimizers]
    _, sizes = size_of(folder)
    strides = [result.history.stride for result in recorded if result.history is not None]
    return {
        "kind": kind,
        "identity": identity(experiment),
        "name": experiment.name,
        "started": started.astimezone().isoformat(timespec="milliseconds"),
        "trials": sum(result.trials for result in results),
        "best_loss": best_loss(results),
        "recorded": sum(result.trials for result in recorded),
        "strides": strides,
        "digest": digest(results),
        "optimizers": list(dict.fromkeys(optimizers)),
        "surfaces": list(dict.fromkeys(each.surface.name for each in experiments)),
        "files": {name: size for name, size in sorted(sizes.items()) if name != RESULT and not name.startswith(".")},
    }


def best_loss(results: Sequence[Result]) -> float | None:
    """The lowest final loss of all trials that did not diverge; ``None`` if all did."""
    losses = np.concatenate([each.final_losses[each.status_codes != Status.DIVERGED.code] for each in results])
    losses = losses[np.isfinite(losses)]
    return float(losses.min()) if len(losses) else None


def digest(results: Sequence[Result]) -> str:
    """A hash of how all trials ended, to the last bit: SHA-256 of points, losses, iterations and statuses."""
    found = hashlib.sha256()
    for result in results:
        for array in (result.final_points, result.final_losses):
            found.update(np.ascontiguousarray(array, dtype="<f8").data)
        found.update(np.ascontiguousarray(result.iterations, dtype="<i4").data)
        found.update(np.ascontiguousarray(result.status_codes, dtype="<i1").data)
    return found.hexdigest()
