"""Accuracy and curvature at the points where trials on data have ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.result import Result, Status
from momentumlab.surfaces import Surface

MAX_DIMENSION = 500
"""The eigenvalues of larger Hessians are not computed."""

MAX_WORK = 2e11
"""Limit on the multiplications for all Hessians of a result; beyond it, none is computed."""


@dataclass(frozen=True, kw_only=True)
class FinalState:
    """The final point of a trial on data.

    Attributes
    ----------
    accuracy
        Fraction of rows that are classified correctly; ``None`` for regression and for diverged trials.
    validation_loss, validation_accuracy
        Mean loss without the L2 penalty, and accuracy, of the rows held out; ``None`` if there are none.
    curvatures
        Smallest and largest eigenvalue of the Hessian; ``None`` if they were not computed.
    """

    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    curvatures: tuple[float, float] | None = None

    @property
    def condition_number(self) -> float | None:
        """Ratio of the curvatures; ``None`` if the smallest one is not above rounding error."""
        if self.curvatures is None:
            return None
        smallest, largest = self.curvatures
        return largest / smallest if smallest > np.finfo(np.float64).eps * largest else None

    def as_dict(self) -> dict[str, float | None]:
        """Return the columns of JSON and CSV."""
        smallest, largest = self.curvatures or (None, None)
        names = ("accuracy", "validation_loss", "validation_accuracy")
        measured = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {
            **measured,
            "smallest_curvature": smallest,
            "largest_curvature": largest,
            "condition_number": self.condition_number,
        }


def final_states(result: Result, numbers: Sequence[int], *, curvatures: bool = True) -> list[FinalState]:
    """Return the final state of each of these trials; an empty list unless the surface is a data problem.

    Without ``curvatures``, no Hessian is computed.
    """
    if result.experiment.first_surface.is_formula:
        return []
    surfaces = [result.plan.surface_of(number) for number in numbers]
    dimension = result.plan.dimension
    work = sum(surface.work for surface in surfaces) * dimension + len(surfaces) * 10.0 * dimension**3
    with_curvature = curvatures and dimension <= MAX_DIMENSION and work <= MAX_WORK
    return [
        _final_state(result, number, surface, with_curvature) for number, surface in zip(numbers, surfaces, strict=True)
    ]


def _final_state(result: Result, number: int, surface: Surface, with_curvature: bool) -> FinalState:
    point = result.final_points[number][:, np.newaxis]
    from momentumlab.surfaces.data import DataSurface  # loads the data sets: only if there are data

    if not isinstance(surface, DataSurface) or result.status_of(number) is Status.DIVERGED:
        return FinalState()
    measured: dict[str, Any] = {}
    if surface.is_classifier:
        measured["accuracy"] = float(surface.accuracy(point)[0])
    if (held_out := surface.design.held_out) is not None:
        measured["validation_loss"] = float(surface.row_loss(point, held_out)[0])
        if surface.is_classifier:
            measured["validation_accuracy"] = float(surface.accuracy(point, held_out)[0])
    if not with_curvature:
        return FinalState(**measured)
    eigenvalues = np.linalg.eigvalsh(surface.hessian(point)[:, :, 0])
    return FinalState(**measured, curvatures=(float(eigenvalues[0]), float(eigenvalues[-1])))
