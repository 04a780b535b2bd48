"""Point, gradient, velocity and loss of every recorded iteration."""

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
        Gradient at the previous point, which led to this one; ``None`` at the start or if the previous point was not
        recorded.
    """

    iteration: int
    point: list[float]
    gradient: list[float] | None
    velocity: list[float]
    loss: float


def steps_of(result: Result, number: int) -> Iterator[Step]:
    """Yield the recorded iterations of one trial, beginning with the start."""
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
