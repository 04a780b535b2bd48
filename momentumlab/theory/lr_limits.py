"""The largest stable learning rate, and the learning rate and β with the best rate."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from momentumlab.lanes import take_lanes
from momentumlab.optimizers import Optimizer
from momentumlab.parameters import Array
from momentumlab.theory.linear_map import full_map, spectral_radii

GRID_POINTS = 801
GRID_MARGIN = 1e3
"""The grid extends by this factor below and above the learning rates at which one step reaches the minimum."""

SECTIONS, ROUNDS = 64, 8
"""Dividing a cell of the grid into 64 sections eight times reaches neighbouring floating-point numbers."""

ROUNDING = 1e-9
"""A spectral radius this close above 1 may be rounding, since tiny learning rates have a rate of nearly 1."""


def lr_limits(optimizer: Optimizer[Any], curvatures: Sequence[float], *, period: int = 1) -> Array:
    """Return the smallest learning rate at which a method diverges, for each setting of its other hyperparameters.

    Parameters
    ----------
    optimizer
        The method; each hyperparameter is a number or an array of shape ``(lanes,)``, such as all values of β for
        which the stability limit is drawn.
    curvatures
        The eigenvalues of the Hessian; only the smallest and the largest matter.
    period
        The period of the rule.

    Returns
    -------
    Array
        ``(lanes,)``, accurate to rounding; infinite if the method is stable at every lr, NaN if at none.

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

    # Start with a wide grid instead of an interval: the region of stability need not be connected.
    lowest, highest = lr_range(optimizer, curvatures, lanes)
    grid = np.geomspace(lowest / GRID_MARGIN, highest * GRID_MARGIN, GRID_POINTS)
    unstable = is_unstable(grid, ROUNDING)
    first, has_limit, is_never_stable = unstable.argmax(axis=0), unstable.any(axis=0), unstable[0]

    # Repeatedly divide the cell that ends at the first unstable lr, in all lanes together.
    every = np.arange(lanes)
    for _ in range(ROUNDS):
        grid = np.linspace(grid[np.maximum(first - 1, 0), every], grid[first, every], SECTIONS + 1)
        unstable = is_unstable(grid)
        unstable[-1] = True  # known from the coarser grid; here rounding may hide it
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
        # While the point stays at 1, the state settles at s = (1 − A)⁻¹ b. A component that never settles, such as a
        # sum, makes the matrix singular; the pseudo-inverse gives the smallest least-squares solution instead.
        settling = np.eye(matrix.shape[-1] - 1) - matrix[:, 1:, 1:]
        state = np.linalg.pinv(settling) @ matrix[:, 1:, :1]
        # The velocity at a distance of 1: in the first step, and once the state has settled.
        first = 1 - matrix[:, 0, 0]
        velocities += [first, first - (matrix[:, :1, 1:] @ state)[:, 0, 0]]
    with np.errstate(divide="ignore"):
        units = 1 / np.abs(velocities)
    units[~((units > 0) & (units < 1e300))] = np.nan  # a velocity of 0 has no unit
    units = np.where(np.isnan(units).all(axis=0), 1.0, units)
    return np.nanmin(units, axis=0), np.nanmax(units, axis=0)


def best_setting(
    optimizer: Optimizer[Any], curvatures: Sequence[float], period: int
) -> tuple[Mapping[str, float], float]:
    """Return the learning rate, and β if there is one, with the best rate over all curvatures, and that rate.

    Return an empty mapping and NaN if no setting converges.
    """
    # Trials that differ only in lr and β have the same answer, which is computed once.
    standard = {p.name: p.default for p in type(optimizer).parameters() if p.name == "beta"}
    return _best_setting(replace(cast(Any, optimizer), **standard), (min(curvatures), max(curvatures)), period)


@functools.lru_cache(maxsize=256)
def _best_setting(optimizer: Any, curvatures: tuple[float, float], period: int) -> tuple[Mapping[str, float], float]:
    most = max(map(abs, curvatures)) or 1.0
    least = max(min(map(abs, curvatures)), 1e-12 * most)
    has_beta = any(parameter.name == "beta" for parameter in type(optimizer).parameters())
    # The search is over log lr and log(1 − β).
    lowest, highest = (float(each[0]) for each in lr_range(optimizer, curvatures))
    lr_low, lr_high = math.log(1e-2 * lowest), math.log(1e1 * highest)
    # The best 1 − β is about 2/√κ, so the range must extend beyond that.
    decay_low, decay_high = math.log(min(1e-4, 0.05 * math.sqrt(least / most))), 0.0
    best: dict[str, float] = {}
    best_rate = math.inf

    def evaluate(lrs: Array, betas: Array) -> None:
        nonlocal best, best_rate
        changed = replace(optimizer, beta=betas) if has_beta else optimizer
        radii = largest_radii(changed, lrs, curvatures, period)
        winner = int(radii.argmin())
        if radii[winner] < best_rate:
            best_rate = float(radii[winner])
            best = {"lr": float(lrs[winner]), **({"beta": float(betas[winner])} if has_beta else {})}

    # Published optima of gradient descent, heavy ball and Nesterov's method lie on ridges that a grid can miss:
    # B. T. Polyak (1964); L. Lessard, B. Recht and A. Packard, arXiv 1408.3595, table 1.
    root, shifted = math.sqrt(most / least), math.sqrt(3 * most / least + 1)
    published = [
        (2 / (least + most), 0.0),
        (4 / (math.sqrt(least) + math.sqrt(most)) ** 2, ((root - 1) / (root + 1)) ** 2),
        (4 / (3 * most + least), (shifted - 2) / (shifted + 2)),
    ]
    evaluate(*map(np.array, zip(*published, strict=True)))

    # A grid, then finer ones around its best cell.
    for step in range(8):
        points = 25 if step else 61
        lrs = np.exp(np.linspace(lr_low, lr_high, points))
        betas = 1 - np.exp(np.linspace(decay_low, decay_high, points)) if has_beta else np.zeros(1)
        evaluate(*(mesh.ravel() for mesh in np.meshgrid(lrs, betas)))
        share = 12 if step else 4
        lr_reach, decay_reach = (lr_high - lr_low) / share, (decay_high - decay_low) / share
        lr_low, lr_high = math.log(best["lr"]) - lr_reach, math.log(best["lr"]) + lr_reach
        if has_beta:
            decay = math.log(1 - best["beta"])
            decay_low, decay_high = decay - decay_reach, min(decay + decay_reach, 0.0)
    return (best, best_rate) if best_rate < 1 else ({}, math.nan)
