"""The largest stable learning rate, for many settings of the other hyperparameters at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.lanes import take_lanes
from momentumlab.optimizers import Optimizer
from momentumlab.registry import Array
from momentumlab.theory.linear_map import full_map, spectral_radii

GRID_POINTS = 801
GRID_MARGIN = 1e3
"""The grid extends by this factor below and above the learning rates at which one step reaches the minimum."""

SECTIONS, ROUNDS = 64, 8
"""Eight divisions into 64 sections narrow one cell of the grid to neighbouring floating-point numbers."""

ROUNDING = 1e-9
"""A spectral radius this close above 1 may be rounding, since tiny learning rates have a rate of nearly 1."""


def lr_limits(optimizer: Optimizer[Any], curvatures: Sequence[float], *, period: int = 1) -> Array:
    """Return the smallest learning rate at which a method diverges, for each setting of its other hyperparameters.

    Parameters
    ----------
    optimizer
        Its hyperparameters are numbers or have the shape ``(lanes,)``. Pass an array of β, for example, to draw the
        stability limit over the plane of lr and β.
    curvatures
        Eigenvalues of the Hessian; only the smallest and the largest matter.
    period
        The period of the rule.

    Returns
    -------
    Array
        ``(lanes,)``, accurate to rounding; infinite if the method diverges at no lr, NaN if it diverges at every lr.

    Raises
    ------
    TheoryDoesNotApplyError
        As in `linear_map`.
    """
    curvatures = sorted({min(curvatures), max(curvatures)})
    lanes = max((len(value) for value in vars(optimizer).values() if np.ndim(value) == 1), default=1)

    def is_unstable(lrs: Array, slack: float = 0.0) -> NDArray[np.bool_]:
        """Return which learning rates diverge, ``(points, lanes)``."""
        tiled = take_lanes(optimizer, np.tile(np.arange(lanes), len(lrs)))
        radii = largest_radii(tiled, lrs.ravel(), curvatures, period).reshape(lrs.shape)
        diverging: NDArray[np.bool_] = radii > 1 + slack
        return diverging

    # Start with a wide grid and not with two ends: the region of stability need not be an interval.
    lowest, highest = lr_range(optimizer, curvatures, lanes)
    grid = np.geomspace(lowest / GRID_MARGIN, highest * GRID_MARGIN, GRID_POINTS)
    unstable = is_unstable(grid, ROUNDING)
    first, has_limit, is_never_stable = unstable.argmax(axis=0), unstable.any(axis=0), unstable[0]

    # Divide the cell before the first unstable lr repeatedly, in all lanes together.
    every = np.arange(lanes)
    for _ in range(ROUNDS):
        grid = np.linspace(grid[np.maximum(first - 1, 0), every], grid[first, every], SECTIONS + 1)
        unstable = is_unstable(grid)
        unstable[-1] = True  # but for rounding it is
        first = unstable.argmax(axis=0)
    limits: Array = np.where(is_never_stable, np.nan, np.where(has_limit, grid[first, every], np.inf))
    return limits


def largest_radii(optimizer: Optimizer[Any], lrs: Array, curvatures: Sequence[float], period: int) -> Array:
    """Return the largest spectral radius over all curvatures, ``(lanes,)``."""
    radii = np.zeros(len(lrs))
    for curvature in curvatures:
        radii = np.maximum(radii, spectral_radii(optimizer, lrs, np.full_like(lrs, curvature), period=period))
    return radii


def lr_range(optimizer: Optimizer[Any], curvatures: Sequence[float], lanes: int = 1) -> tuple[Array, Array]:
    """Return the smallest and the largest lr at which one step, or the steps in the long run, reach the minimum.

    These are the natural units of the learning rate: 1/λ for gradient descent, 1 for Newton's method.

    Returns
    -------
    lowest, highest
        ``(lanes,)`` each; 1 where the method does not move.
    """
    velocities = []
    for curvature in curvatures:
        matrix = full_map(optimizer, np.ones(lanes), np.full(lanes, curvature)).steps[0]
        settling = np.eye(matrix.shape[-1] - 1) - matrix[:, 1:, 1:]
        state = np.linalg.pinv(settling) @ matrix[:, 1:, :1]
        # The velocity at a distance of 1: in the first step, and once the state has settled.
        first = 1 - matrix[:, 0, 0]
        velocities += [first, first - (matrix[:, :1, 1:] @ state)[:, 0, 0]]
    with np.errstate(divide="ignore"):
        units = 1 / np.abs(velocities)
    units[~((units > 0) & (units < 1e300))] = np.nan
    units = np.where(np.isnan(units).all(axis=0), 1.0, units)
    return np.nanmin(units, axis=0), np.nanmax(units, axis=0)
