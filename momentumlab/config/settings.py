"""The settings of experiments and comparisons, each declared once with its bounds, default and meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import Problems
from momentumlab.experiment import (
    BACKENDS,
    DEFAULT_ACCURACY,
    DEFAULT_BUDGET,
    DEFAULT_ITERATIONS,
    SEARCHES,
    Objective,
    Stopping,
)
from momentumlab.parameters import Parameter, ValueKind

MAX_ITERATIONS = 10**9
MAX_BUDGET = 10**6
MAX_REPLICATES = 10_000


def _by_name(*parameters: Parameter) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters}


def _count(name: str, doc: str, *, default: int | None = None, ge: int = 1, le: int = MAX_ITERATIONS) -> Parameter:
    return Parameter(name=name, kind=ValueKind.COUNT, default=default, ge=ge, le=le, doc=doc)


def _word(name: str, doc: str, *, choices: tuple[str, ...]) -> Parameter:
    """Declare a setting with a few possible values, of which the first is the default."""
    return Parameter(name=name, kind=ValueKind.WORD, default=choices[0], choices=choices, doc=doc)


SETTINGS = _by_name(
    Parameter(
        name="name", kind=ValueKind.WORD, longest=100, doc="Name of run folders and tables; by default the file's."
    ),
    _count(
        "iterations",
        "Maximum number of updates of a trial; on data also in epochs: 5 epochs.",
        default=DEFAULT_ITERATIONS,
        ge=0,
    ),
    Parameter(name="tolerance", ge=0, doc="Converged when the loss changes by at most this."),
    _count(
        "patience",
        "Successive iterations for which 'tolerance' must hold; by default 1, or 5 in sweep, compare and tune.",
    ),
    Parameter(name="gradient_tolerance", ge=0, doc="Converged when the norm of the gradient is at most this."),
    Parameter(name="target_loss", doc="Converged when the loss is at most this."),
    _count(
        "evaluate_every", "Iterations from one evaluation of the loss to the next, for expensive losses.", default=1
    ),
    _count("replicates", "Number of repetitions of each trial with different errors.", default=1, le=MAX_REPLICATES),
    _count("seed", "Random seed of errors and mini-batches.", default=0, ge=0, le=2**63),
    _word(
        "backend",
        "What computes trials without trajectories: NumPy, compiled kernels (numba), or what is faster.",
        choices=BACKENDS,
    ),
    Parameter(
        name="record",
        kind=ValueKind.NAMES,
        doc="Quantities recorded with each trajectory: gradient_norm, update_norm, or a part of the state such as "
        "state.v.",
    ),
)
"""The settings of an experiment besides surface, optimizers, starts and noise."""

COMPARISON_SETTINGS = _by_name(
    _word(
        "objective",
        "Criterion by which a comparison chooses settings and ranks optimizers.",
        choices=tuple(objective.label for objective in Objective),
    ),
    _count(
        "budget", "Maximum number of trials of the search for each optimizer.", default=DEFAULT_BUDGET, le=MAX_BUDGET
    ),
    _word(
        "search",
        "All settings of a grid, or successive halving, which tries more settings for fewer iterations.",
        choices=SEARCHES,
    ),
    _count("zooms", "Number of refinements around the best cells.", default=0, ge=0, le=20),
    Parameter(
        name="accuracy",
        default=DEFAULT_ACCURACY,
        gt=0,
        lt=1,
        doc="Arrived at this fraction of the initial loss above the lowest.",
    ),
)
"""The further settings of a comparison."""

COMPONENTS = ("surface", "optimizer", "optimizers", "start", "noise")
"""The keys of an experiment that are not settings."""

STOPPING = tuple(field.name for field in fields(Stopping))
"""The settings that end a trial."""

COMPARING = (*COMPARISON_SETTINGS, "surfaces")
"""The keys that only comparisons have."""


def read_settings(
    declared: Mapping[str, Parameter], tree: Mapping[str, ConfigNode], problems: Problems
) -> dict[str, Any]:
    """Return the checked value or the default of each setting; invalid values become problems."""
    values = {name: parameter.default for name, parameter in declared.items()}
    for name, parameter in declared.items():
        if name in tree and tree[name].value is not None:
            with problems.collecting(tree[name].problem):
                values[name] = parameter.checked(tree[name].plain())
    return values


def split_record(record: str | Sequence[str]) -> tuple[str, str]:
    """Split ``best:3, gradient_norm`` into the trials whose trajectories are recorded and the names of quantities."""
    words = record.replace(",", " ").split() if isinstance(record, str) else list(record)
    quantities = [word for word in words if "norm" in word or word.startswith("state")]
    trials = [word for word in words if word not in quantities]
    return ",".join(trials) or "auto", ",".join(quantities)
