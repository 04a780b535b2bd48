"""Remarks on optimizers of other libraries."""

import itertools
from collections.abc import Iterator

from momentumlab.experiment import Choice, Experiment
from momentumlab.optimizers import OPTIMIZERS

MOST_SETTINGS = 100
"""The number of settings of an optimizer whose execution is reported."""


def library_remarks(experiment: Experiment) -> Iterator[str]:
    """Yield the version and the execution of each optimizer of another library."""
    executions: dict[str, set[str]] = {}
    for choice in experiment.optimizers:
        if ":" in choice.name:
            executions.setdefault(choice.name, set()).update(_executions(choice))
    for name, found in executions.items():
        yield f"{name}: {OPTIMIZERS[name].source}, {' or '.join(sorted(found))}"


def _executions(choice: Choice) -> Iterator[str]:
    """Yield how the steps are computed for each combination of hyperparameters other than lr."""
    axes = {name: axis.values for name, axis in choice.axes.items() if name != "lr" and not axis.has_schedules}
    for values in itertools.islice(itertools.product(*axes.values()), MOST_SETTINGS):
        yield OPTIMIZERS[choice.name](**dict(zip(axes, values, strict=True))).execution
