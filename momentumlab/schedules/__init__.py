"""The catalogue of schedules: hyperparameters that change in the course of a run.

===========  =================================================================
module       schedules
===========  =================================================================
`decay`      cosine, linear, polynomial, exponential, step, inverse, onecycle
`sequences`  warmup, piecewise, nesterov_sequence
`base`       what a schedule is; the registry `SCHEDULES`
`course`     the values of one in a run
===========  =================================================================
"""

from momentumlab.schedules import decay, sequences
from momentumlab.schedules.base import SCHEDULES, Argument, Kind, Schedule, argument, schedule, within

__all__ = [
    "SCHEDULES",
    "Argument",
    "Kind",
    "Schedule",
    "argument",
    "decay",
    "schedule",
    "sequences",
    "within",
]
