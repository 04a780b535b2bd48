"""Where noise in the gradient keeps a method: the stationary variance, and what a better rate costs in noise.

With an independent error of variance s² in every gradient, the linear map s′ = M s + b n has a stationary covariance P
with P = M P Mᵀ + s² b bᵀ, the discrete Lyapunov equation. The closed forms are those of an autoregressive process of
second order (G. E. P. Box and G. M. Jenkins, *Time Series Analysis*, 1970), without and with a moving average.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.optimizers import OPTIMIZERS, Optimizer
from momentumlab.registry import Array, Value
from momentumlab.theory.linear_map import linear_map, spectral_radii


def heavy_ball_variance(lr: float, beta: float, curvature: float, noise: float = 1.0) -> float:
    """The stationary variance of the point, a s² (1 + β) / (λ (1 − β) (2 (1 + β) − aλ)); infinite where unstable.

    Parameters
    ----------
    lr, beta, curvature
        a, β and λ.
    noise
        s, the standard deviation of the error in a gradient.
    """
    room = 2 * (1 + beta) - lr * curvature
    if not 0 < lr * curvature < 2 * (1 + beta):
        return np.inf
    return lr * noise**2 * (1 + beta) / (curvature * (1 - beta) * room)


def nesterov_variance(lr: float, beta: float, curvature: float, noise: float = 1.0) -> float:
    """The stationary variance of the point at which gradients are taken; infinite where unstable.

    a s² (1 + β + aλ β (1 + 2β)) / (λ (1 − β + aλ β) (2 (1 + β) − aλ (1 + 2β))); parameters are those of
    `heavy_ball_variance`.
    """
    step = lr * curvature
    room = 2 * (1 + beta) - step * (1 + 2 * beta)
    if not (step > 0 and room > 0):
        return np.inf
    return lr * noise**2 * (1 + beta + step * beta * (1 + 2 * beta)) / (curvature * (1 - beta + step * beta) * room)


def stationary_variances(optimizer: Optimizer[Any], lr: Array, curvature: Array, noise: float = 1.0) -> Array:
    """The stationary variance of the point from the method's own linear map, ``(lanes,)``; infinite where unstable.

    Parameters and errors are those of `linear_map`.
    """
    found = linear_map(optimizer, lr, curvature)
    matrices, inputs = found.matrices, found.inputs
    stable = np.abs(np.linalg.eigvals(matrices)).max(axis=1) < 1 - 1e-12
    lanes, size, _ = matrices.shape
    safe = np.where(stable[:, np.newaxis, np.newaxis], matrices, 0.0)
    # P = M P Mᵀ + s² b bᵀ, row by row: (1 − M ⊗ M) vec P = s² vec b bᵀ.
    products = np.einsum("lij,lkm->likjm", safe, safe).reshape(lanes, size * size, size * size)
    shocks = noise**2 * np.einsum("li,lj->lij", inputs, inputs).reshape(lanes, size * size, 1)
    covariances = np.linalg.solve(np.eye(size * size) - products, shocks)
    variances: Array = np.where(stable, covariances[:, 0, 0], np.inf)
    return variances


@dataclass(frozen=True, kw_only=True)
class Compromise:
    """Hyperparameters for which no others have both a better rate and less noise.

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
    """The curve of rate against noise: a fast method averages over few gradients, a quiet one over many.

    Parameters
    ----------
    name
        A method with a hyperparameter ``beta``.
    curvatures
        The eigenvalues of the Hessian, all above 0.
    noise
        The standard deviation of the error in each coordinate of a gradient.
    cells
        Learning rates, and values of β, that are looked at.
    hyperparameters
        Its others.

    Returns
    -------
    list of Compromise
        From the best rate to the least noise; each is better than the one before it in noise, and worse in rate.

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
    order = np.lexsort((losses, rates))
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], losses[order]]))
    kept = order[(losses[order] < lowest[:-1]) & (rates[order] < 1)]
    return [
        Compromise(lr=float(lrs[i]), beta=float(betas[i]), rate=float(rates[i]), loss=float(losses[i])) for i in kept
    ]
