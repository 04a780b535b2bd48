"""Every iteration of every trial: its point, gradient, velocity and loss."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from momentumlab.result import Result


@dataclass(frozen=True, kw_only=True)
class Step:
    """One entry of a trial's history.

    Attributes
    ----------
    gradient
        The gradient that led to this point: the one at the point before. ``None`` at the start, and where the history
        does not hold the point before.
    """

    iteration: int
    point: list[float]
    gradient: list[float] | None
    velocity: list[float]
    loss: float


def steps_of(result: Result, number: int) -> Iterator[Step]:
    """The recorded iterations of one trial, the start first."""
    iterations = result.recorded(number)
    path = result.path(number)
    with np.errstate(all="ignore"):
        gradients = result.plan.surface_of(number).gradient(np.ascontiguousarray(path.T)).T
    for entry, iteration in enumerate(iterations.tolist()):
        follows = entry > 0 and iteration == iterations[entry - 1] + 1
        yield Step(
            iteration=iteration,
            point=path[entry].tolist(),
            gradient=gradients[entry - 1].tolist() if follows else None,
            velocity=result.velocities[number, entry].tolist(),
            loss=float(result.losses[number, entry]),
        )
