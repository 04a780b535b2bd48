"""Schedules: hyperparameters that change during a run.

===========  =================================================================
module       schedules
===========  =================================================================
`decay`      cosine, linear, polynomial, exponential, step, inverse, onecycle
`sequences`  warmup, wsd, piecewise, nesterov_sequence
`base`       the base class, the registry `SCHEDULES`, tables of values
===========  =================================================================

Modules and classes (`Cosine`, `Warmup`, …) are imported when they are first used.
"""

from typing import Any

from momentumlab.schedules.base import SCHEDULES, Schedule, schedule

FAMILIES = {
    "decay": (
        "cosine", "linear", "polynomial", "poly", "exponential", "exp", "step", "inverse", "onecycle", "one_cycle",
    ),
    "sequences": ("warmup", "wsd", "warmup_stable_decay", "piecewise", "nesterov_sequence"),
}  # fmt: skip

SCHEDULES.declare(__name__, FAMILIES)

__all__ = ["SCHEDULES", "Schedule", "schedule"]


def __getattr__(name: str) -> Any:
    return SCHEDULES.by_class_name(__name__, name)
