"""What there is to say of the points where trials on data have ended: accuracy, and how the loss curves there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from momentumlab.result import Result, Status
from momentumlab.surfaces import Surface
from momentumlab.surfaces.data import DataSurface

MOST_COORDINATES = 500
"""In more dimensions the eigenvalues of the Hessian are not computed."""

MOST_WORK = 2e11
"""The multiplications that all Hessians of a result may take; where they would take more, none is computed."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """One trial's.

    Attributes
    ----------
    accuracy
        The share of rows whose class is told right; ``None`` of what tells no classes.
    curvatures
        The smallest and the largest eigenvalue of the Hessian; ``None`` where they are not computed.
    """

    accuracy: float | None = None
    curvatures: tuple[float, float] | None = None

    @property
    def condition_number(self) -> float | None:
        """The ratio of the curvatures; ``None`` where the smallest is not above rounding."""
        if self.curvatures is None:
            return None
        smallest, largest = self.curvatures
        return largest / smallest if smallest > np.finfo(np.float64).eps * largest else None

    def as_dict(self) -> dict[str, float | None]:
        """As rows for programs have it."""
        smallest, largest = self.curvatures or (None, None)
        accuracy = {} if self.accuracy is None else {"accuracy": self.accuracy}
        return {
            **accuracy,
            "smallest_curvature": smallest,
            "largest_curvature": largest,
            "condition_number": self.condition_number,
        }


def endings(result: Result, numbers: Sequence[int], *, curved: bool = True) -> list[Ending]:
    """What there is to say of some trials' ends, unless ``curved`` nothing of how the loss curves there.

    Nothing at all where the surface is no problem on data.
    """
    if not isinstance(result.experiment.first_surface, DataSurface):
        return []
    surfaces = [result.plan.surface_of(number) for number in numbers]
    dimension = result.plan.dimension
    work = sum(surface.work for surface in surfaces) * dimension + len(surfaces) * 10.0 * dimension**3
    curved = curved and dimension <= MOST_COORDINATES and work <= MOST_WORK
    return [_ending(result, number, surface, curved) for number, surface in zip(numbers, surfaces, strict=True)]


def _ending(result: Result, number: int, surface: Surface, curved: bool) -> Ending:
    point = result.final_points[number][:, np.newaxis]
    if not isinstance(surface, DataSurface) or result.status_of(number) is Status.DIVERGED:
        return Ending()
    accuracy = float(surface.accuracy(point)[0]) if surface.is_classifier else None
    if not curved:
        return Ending(accuracy=accuracy)
    eigenvalues = np.linalg.eigvalsh(surface.hessian(point)[:, :, 0])
    return Ending(accuracy=accuracy, curvatures=(float(eigenvalues[0]), float(eigenvalues[-1])))
