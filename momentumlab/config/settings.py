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
    GRID,
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


RECORD = Parameter(
    name="record",
    kind=ValueKind.NAMES,
    doc="Quantities recorded with each trajectory: gradient_norm, update_norm, or a part of the state such as state.v.",
)

SETTINGS = _by_name(
    Parameter(
        name="name", kind=ValueKind.WORD, longest=100, doc="Name of run folders and tables; by default the file's."
    ),
    Parameter(
        name="iterations",
        kind=ValueKind.COUNT,
        default=DEFAULT_ITERATIONS,
        ge=0,
        le=MAX_ITERATIONS,
        doc="Maximum number of updates of a trial; on data also in epochs: 5 epochs.",
    ),
    Parameter(name="tolerance", ge=0, doc="Converged when the loss changes by at most this."),
    Parameter(
        name="patience",
        kind=ValueKind.COUNT,
        ge=1,
        le=MAX_ITERATIONS,
        doc="Successive iterations for which 'tolerance' must hold; by default 1, or 5 in sweep, compare and tune.",
    ),
    Parameter(name="gradient_tolerance", ge=0, doc="Converged when the norm of the gradient is at most this."),
    Parameter(name="target_loss", doc="Converged when the loss is at most this."),
    Parameter(
        name="evaluate_every",
        kind=ValueKind.COUNT,
        default=1,
        ge=1,
        le=MAX_ITERATIONS,
        doc="Iterations from one evaluation of the loss to the next, for expensive losses.",
    ),
    Parameter(
        name="replicates",
        kind=ValueKind.COUNT,
        default=1,
        ge=1,
        le=MAX_REPLICATES,
        doc="Number of repetitions of each trial with different errors.",
    ),
    Parameter(
        name="seed", kind=ValueKind.COUNT, default=0, ge=0, le=2**63, doc="Random seed of errors and mini-batches."
    ),
    Parameter(
        name="backend",
        kind=ValueKind.WORD,
        default="auto",
        choices=BACKENDS,
        doc="What computes trials without trajectories: NumPy, compiled kernels (numba), or what is faster.",
    ),
    RECORD,
)
"""The settings of an experiment besides surface, optimizers, starts and noise."""

COMPARISON_SETTINGS = _by_name(
    Parameter(
        name="objective",
        kind=ValueKind.WORD,
        default=Objective.ROBUST_LOSS.label,
        choices=tuple(objective.label for objective in Objective),
        doc="Criterion by which a comparison chooses settings and ranks optimizers.",
    ),
    Parameter(
        name="budget",
        kind=ValueKind.COUNT,
        default=DEFAULT_BUDGET,
        ge=1,
        le=MAX_BUDGET,
        doc="Maximum number of trials of the search for each optimizer.",
    ),
    Parameter(
        name="search",
        kind=ValueKind.WORD,
        default=GRID,
        choices=SEARCHES,
        doc="All settings of a grid, or successive halving, which tries more settings for fewer iterations.",
    ),
    Parameter(
        name="zooms", kind=ValueKind.COUNT, default=0, ge=0, le=20, doc="Number of refinements around the best cells."
    ),
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
