"""Rates over whole planes of hyperparameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.plan import Plan
from momentumlab.registry import Array
from momentumlab.theory.linear_map import (
    TheoryDoesNotApplyError,
    check_constant,
    check_decoupled,
    check_steady,
    linear_map,
)
from momentumlab.theory.local_model import eigenvectors, optimizer_of
from momentumlab.theory.modes import EQUAL


@dataclass(frozen=True, kw_only=True)
class RatePlane:
    """The rates of a whole plane of trials on a surface with one minimum.

    Attributes
    ----------
    optimizer
        The optimizer in the middle of the plane, with one value per hyperparameter. Replace some of them by arrays to
        compute curves over the plane, for example
        ``lr_limits(replace(plane.optimizer, beta=betas), plane.curvatures)``.
    curvatures
        The distinct curvatures at the minimum that are not 0, ascending.
    rates
        The rate of each trial over all curvatures that are not 0, ``(trials,)``.
    oscillates
        For each curvature, whether the dominant eigenvalues of each trial are complex, ``(trials,)`` each.
    discriminants
        For each curvature (z₁ − z₂)²/4 of the dominant eigenvalue and its nearest neighbour, ``(trials,)`` each. It
        changes sign smoothly where oscillation begins.
    """

    optimizer: Any
    curvatures: tuple[float, ...]
    rates: Array
    oscillates: Mapping[float, NDArray[np.bool_]]
    discriminants: Mapping[float, Array]


def rate_plane(plan: Plan, first: int, last: int) -> RatePlane:
    """Return the rates of the trials from ``first`` up to ``last``, of one optimizer, near the only minimum.

    Raises
    ------
    TheoryDoesNotApplyError
        If the surface has not exactly one minimum and a Hessian, or the method no fixed linear map.
    """
    surface = plan.experiment.first_surface
    minima = surface.minima(plan.dimension)
    if len(minima) != 1 or "hessian" not in surface.provides(plan.dimension):
        raise TheoryDoesNotApplyError(f"{surface.name} does not have exactly one known minimum with a Hessian")
    if plan.experiment.surface.combinations > 1:
        raise TheoryDoesNotApplyError("the surface differs from trial to trial")
    every = eigenvectors(surface, np.array(minima[0].point))[0]
    curvatures = [curvature for curvature in every if curvature != 0]
    if not curvatures:
        raise TheoryDoesNotApplyError("all curvatures are 0 at the minimum")
    group = plan.group_of(first)
    if last > group.first + group.size:
        raise TheoryDoesNotApplyError("options that are not numbers differ from trial to trial")
    check_constant(group.schedules)
    lanes = group.lanes(np.arange(first, last) - group.first)
    middle = plan.trial((first + last) // 2)
    hyperparameters = {name: value for name, value in middle.hyperparameters.items() if name != "lr"}
    one = optimizer_of(middle.optimizer, hyperparameters)
    lr = float(middle.hyperparameters["lr"])  # type: ignore[arg-type]
    found = check_steady(one, lr, curvatures[-1])
    if not found.is_exact:
        raise TheoryDoesNotApplyError(f"the step of {one.name} is linear in the gradients only near the minimum")
    if found.period > 1:
        raise TheoryDoesNotApplyError(f"{one.name} is periodic")
    check_decoupled(one, lr, curvatures, found)
    rates = np.zeros(last - first)
    oscillates, discriminants = {}, {}
    for curvature in curvatures:
        matrices = linear_map(lanes.optimizer, lanes.lr, np.full(last - first, curvature)).matrices
        eigenvalues = np.linalg.eigvals(matrices).astype(np.complex128)
        sizes = np.abs(eigenvalues)
        rates = np.maximum(rates, sizes.max(axis=1))
        dominant = eigenvalues[np.arange(len(eigenvalues)), sizes.argmax(axis=1)]
        oscillates[curvature] = np.abs(dominant.imag) > EQUAL * np.abs(dominant)
        discriminants[curvature] = _discriminants(eigenvalues, dominant)
    return RatePlane(
        optimizer=one,
        curvatures=tuple(curvatures),
        rates=rates,
        oscillates=oscillates,
        discriminants=discriminants,
    )


def _discriminants(eigenvalues: NDArray[np.complex128], dominant: NDArray[np.complex128]) -> Array:
    """Return ``(z₁ − z₂)²/4`` for the dominant eigenvalue and its nearest neighbour or conjugate, ``(trials,)``."""
    if eigenvalues.shape[1] == 1:
        return np.ones(len(dominant))
    gaps = eigenvalues - dominant[:, np.newaxis]
    np.put_along_axis(gaps, np.abs(gaps).argmin(axis=1)[:, np.newaxis], np.inf, axis=1)  # the eigenvalue itself
    nearest = np.take_along_axis(gaps, np.abs(gaps).argmin(axis=1)[:, np.newaxis], axis=1)[:, 0]
    squares: Array = np.where(np.abs(dominant.imag) > 0, -(dominant.imag**2), np.abs(nearest) ** 2 / 4)
    return squares
