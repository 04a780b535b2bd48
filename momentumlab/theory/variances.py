"""The stationary variance under gradient noise, and the trade-off between rate and noise.

If every gradient has an independent error n of variance σ², the linear map s′ = M s + b n has a stationary covariance
P, the solution of the discrete Lyapunov equation P = M P Mᵀ + σ² b bᵀ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.optimizers import OPTIMIZERS, Optimizer
from momentumlab.parameters import Array, Value
from momentumlab.theory.linear_map import LinearMap, linear_map, spectral_radii


def stationary_variances(optimizer: Optimizer[Any], lr: Array, curvature: Array, noise: float = 1.0) -> Array:
    """Return the stationary variance of the point, ``(lanes,)``; infinite if unstable.

    ``noise`` is the standard deviation of the errors; the other parameters and the errors are those of `linear_map`.
    """
    return variances_of(linear_map(optimizer, lr, curvature), noise)


def variances_of(found: LinearMap, noise: float = 1.0) -> Array:
    """Return the stationary variance of the point under a linear map, averaged over its period, ``(lanes,)``."""
    stable = np.abs(np.linalg.eigvals(found.matrices)).max(axis=1) < 1 - 1e-12
    _, lanes, size, _ = found.steps.shape
    # Zeros instead of unstable maps, for which the equation may be singular.
    steps = np.where(stable[:, np.newaxis, np.newaxis], found.steps, 0.0)
    shocks = noise**2 * np.einsum("pli,plj->plij", found.inputs, found.inputs)
    # Over one period P becomes M P Mᵀ + Q: accumulate M and Q.
    matrix, accumulated = np.broadcast_to(np.eye(size), (lanes, size, size)), np.zeros((lanes, size, size))
    for step, shock in zip(steps, shocks, strict=True):
        matrix = step @ matrix
        accumulated = step @ accumulated @ step.swapaxes(1, 2) + shock
    # With the rows of P and Q as vectors: (1 − M ⊗ M) vec P = vec Q. The state is small, so this is cheap.
    products = np.einsum("lij,lkm->likjm", matrix, matrix).reshape(lanes, size * size, size * size)
    covariance = np.linalg.solve(np.eye(size * size) - products, accumulated.reshape(lanes, size * size, 1))
    covariance = covariance.reshape(lanes, size, size)
    # The covariance repeats with the period: average the variance of the point over it.
    total = np.zeros(lanes)
    for step, shock in zip(steps, shocks, strict=True):
        covariance = step @ covariance @ step.swapaxes(1, 2) + shock
        total += covariance[:, 0, 0]
    variances: Array = np.where(stable, total / found.period, np.inf)
    return variances


@dataclass(frozen=True, kw_only=True)
class Compromise:
    """One Pareto-optimal setting: no other has both a better rate and less noise.

    Attributes
    ----------
    rate
        The spectral radius over all curvatures.
    loss
        The expected stationary loss above the minimum, ½ Σ λ · variance.
    """

    lr: float
    beta: float
    rate: float
    loss: float


def compromises(
    name: str,
    curvatures: Sequence[float],
    *,
    noise: float = 1.0,
    cells: int = 200,
    hyperparameters: Mapping[str, Value] | None = None,
) -> list[Compromise]:
    """Return the Pareto front of rate and stationary loss over a grid of lr and β.

    Settings with a fast rate average over few gradients and have a high stationary loss.

    Parameters
    ----------
    name
        The name of an optimizer with a hyperparameter ``beta``.
    curvatures
        The eigenvalues of the Hessian, all positive.
    noise
        The standard deviation of the error in each coordinate of a gradient.
    cells
        The number of learning rates, and of values of β, in the grid.
    hyperparameters
        The values of the other hyperparameters.

    Returns
    -------
    list of Compromise
        The Pareto-optimal settings, from the best rate to the lowest stationary loss.

    Raises
    ------
    TheoryDoesNotApplyError
        If the method has no linear map.
    """
    lines = np.geomspace(1e-3 / max(curvatures), 4 / min(curvatures), cells), 1 - np.geomspace(1, 1e-3, cells)
    lrs, betas = (mesh.ravel() for mesh in np.meshgrid(*lines))
    optimizer = OPTIMIZERS[name](**{**(hyperparameters or {}), "beta": betas})
    rates, losses = np.zeros(len(lrs)), np.zeros(len(lrs))
    for curvature in curvatures:
        each = np.full(len(lrs), curvature)
        rates = np.maximum(rates, spectral_radii(optimizer, lrs, each))
        losses += 0.5 * curvature * stationary_variances(optimizer, lrs, each, noise)
    # In order of rate, a setting is optimal if its loss is lower than that of every faster one.
    order = np.lexsort((losses, rates))
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], losses[order]]))
    kept = order[(losses[order] < lowest[:-1]) & (rates[order] < 1)]
    return [
        Compromise(lr=float(lrs[i]), beta=float(betas[i]), rate=float(rates[i]), loss=float(losses[i])) for i in kept
    ]
