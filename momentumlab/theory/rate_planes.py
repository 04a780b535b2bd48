"""Rates over whole planes of hyperparameters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momentumlab.parameters import Array
from momentumlab.plan import Plan
from momentumlab.theory.linear_map import TheoryDoesNotApplyError, check_constant, checked_map, linear_map
from momentumlab.theory.local_model import eigenvectors, optimizer_of


@dataclass(frozen=True, kw_only=True)
class RatePlane:
    """The rates of a plane of trials on a surface with one minimum.

    Attributes
    ----------
    curvatures
        The distinct nonzero curvatures at the minimum, ascending.
    eigenvalues
        The dominant eigenvalue for each curvature, ``(curvatures, trials)``.
    discriminants
        (z₁ − z₂)²/4 of the dominant eigenvalue and its nearest neighbour, ``(curvatures, trials)``. It changes sign
        continuously where oscillation begins.
    """

    curvatures: tuple[float, ...]
    eigenvalues: NDArray[np.complex128]
    discriminants: Array

    @property
    def rates(self) -> Array:
        """The rate of each trial, ``(trials,)``."""
        rates: Array = np.abs(self.eigenvalues).max(axis=0)
        return rates


def rate_plane(plan: Plan, first: int, last: int) -> RatePlane:
    """Return the rates of the trials from ``first`` up to, but not including, ``last``; they share one optimizer.

    Raises
    ------
    TheoryDoesNotApplyError
        If the surface does not have exactly one minimum and a Hessian, or the method has no fixed linear map.
    """
    surface = plan.experiment.first_surface
    minima = surface.minima(plan.dimension)
    if len(minima) != 1 or "hessian" not in surface.provides(plan.dimension):
        raise TheoryDoesNotApplyError(f"{surface.name} does not have exactly one known minimum with a Hessian")
    if plan.experiment.surface.combinations > 1:
        raise TheoryDoesNotApplyError("the surface differs from trial to trial")
    curvatures = [curvature for curvature in eigenvectors(surface, np.array(minima[0].point))[0] if curvature != 0]
    if not curvatures:
        raise TheoryDoesNotApplyError("all curvatures are 0 at the minimum")
    group = plan.group_of(first)
    if last > group.first + group.size:
        raise TheoryDoesNotApplyError("options that are not numbers differ from trial to trial")
    check_constant(group.schedules)
    # Whether the method is linear does not depend on the values of its hyperparameters: one trial shows it.
    optimizer, lr = optimizer_of(plan.trial((first + last) // 2))
    found = checked_map(optimizer, lr, curvatures)
    if not found.is_exact:
        raise TheoryDoesNotApplyError(f"the step of {optimizer.name} is linear in the gradients only near the minimum")
    if found.period > 1:
        raise TheoryDoesNotApplyError(f"{optimizer.name} is periodic")
    lanes = group.lanes(np.arange(first, last) - group.first)
    dominant, discriminants = [], []
    for curvature in curvatures:
        matrices = linear_map(lanes.optimizer, lanes.lr, np.full(last - first, curvature)).matrices
        eigenvalues = np.linalg.eigvals(matrices).astype(np.complex128)
        largest = np.take_along_axis(eigenvalues, np.abs(eigenvalues).argmax(axis=1)[:, np.newaxis], axis=1)
        dominant.append(largest[:, 0])
        if eigenvalues.shape[1] == 1:
            discriminants.append(np.ones(len(eigenvalues)))
            continue
        # The second smallest distance is that of the nearest neighbour, after the 0 of the eigenvalue itself.
        nearest = np.sort(np.abs(eigenvalues - largest), axis=1)[:, 1]
        discriminants.append(np.where(largest[:, 0].imag != 0, -(largest[:, 0].imag ** 2), nearest**2 / 4))
    return RatePlane(
        curvatures=tuple(curvatures), eigenvalues=np.stack(dominant), discriminants=np.stack(discriminants)
    )
