"""Identity of an experiment, hash of its final states, and the versions on which the numbers depend."""

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from momentumlab import __version__
from momentumlab.experiment import Choice, Comparison, Experiment
from momentumlab.result import Result, Status
from momentumlab.runs.inputs import AnyExperiment, DataFile, data_files, plugin_files, with_data
from momentumlab.runs.layout import FORMAT, local_time


def identity(experiment: Experiment | Comparison) -> str:
    """Return a hash of everything that determines the numbers, as 64 hexadecimal digits.

    It is the SHA-256 of the resolved experiment with every default, of the versions of momentumlab and of the format of
    run folders, and of the content of data files and loaded plug-ins. The name of the experiment, its backend, the
    paths of data files and the spelling of axes do not count: ``arange(0, 1, 0.5)`` equals ``[0, 0.5]``.
    """
    experiment = with_data(experiment, {each.file: each.sha256 for each in data_files(experiment)})
    plugins = sorted(each["sha256"] for each in plugin_files())
    # The representation of a dataclass has all of its fields, those of later versions included.
    text = f"momentumlab {__version__}, format {FORMAT}\n{_nameless(experiment)!r}\n{plugins}"
    return hashlib.sha256(text.encode()).hexdigest()


def _nameless(experiment: AnyExperiment) -> AnyExperiment:
    """Return an experiment without its name, its backend and the spelling of its axes."""
    if isinstance(experiment, Comparison):
        return replace(experiment, name="", experiments=tuple(_nameless(each) for each in experiment.experiments))

    def plain(choice: Choice) -> Choice:
        return replace(choice, axes={name: replace(axis, spelling=None) for name, axis in choice.axes.items()})

    optimizers = tuple(map(plain, experiment.optimizers))
    return replace(experiment, name="", backend="auto", surface=plain(experiment.surface), optimizers=optimizers)


def summary(
    kind: str, experiment: Experiment | Comparison, data: Sequence[DataFile], *, started: datetime
) -> dict[str, Any]:
    """Return what the records of complete and unfinished run folders have in common."""
    experiments = experiment.experiments if isinstance(experiment, Comparison) else (experiment,)
    return {
        "format": FORMAT,
        "kind": kind,
        "name": experiment.name,
        "started": local_time(started).isoformat(timespec="milliseconds"),
        "trials": experiment.trials,
        "optimizers": list(dict.fromkeys(choice.name for each in experiments for choice in each.optimizers)),
        "surfaces": list(dict.fromkeys(name for each in experiments for name in each.surfaces)),
        "plugins": plugin_files(),
        "data": [each.as_dict() for each in data],
    }


def best_loss(results: Sequence[Result]) -> float | None:
    """Return the lowest final loss of the trials that did not diverge; None if all did."""
    lowest = math.inf
    for each in results:
        is_sound = (each.status_codes != Status.DIVERGED.code) & np.isfinite(each.final_losses)
        lowest = min(lowest, float(each.final_losses.min(where=is_sound, initial=math.inf)))
    return lowest if math.isfinite(lowest) else None


def digest(results: Sequence[Result]) -> str:
    """Return a hash of the final state of all trials: SHA-256 of points, losses, iterations and statuses."""
    found = hashlib.sha256()
    for result in results:
        for array in (result.final_points, result.final_losses):
            found.update(np.ascontiguousarray(array, dtype="<f8").data)
        found.update(np.ascontiguousarray(result.iterations, dtype="<i4").data)
        found.update(np.ascontiguousarray(result.status_codes, dtype="<i1").data)
    return found.hexdigest()


def current_versions() -> dict[str, str]:
    """Return the versions on which the last bits of the numbers may depend."""
    return {
        "momentumlab": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def changed_versions(then: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the versions then and now, where they differ."""
    now = current_versions()
    return {name: (str(then.get(name)), version) for name, version in now.items() if then.get(name) != version}
