"""Predictions for every setting on a map: rates, the motion in each direction, and the exact stability limit."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.experiment import Experiment, Points
from momentumlab.parameters import Array
from momentumlab.plan import Lanes, make_plan
from momentumlab.report.page.exploration import MOST_DIMENSIONS, Block
from momentumlab.search.planes import GridAxis
from momentumlab.theory import TheoryDoesNotApplyError, plugins_may_fail, rate_plane
from momentumlab.theory.lr_limits import largest_radii

UNSTABLE = 1 + 1e-9
"""A larger rate is unstable; a neutral direction has the rate 1 up to rounding."""

BISECTIONS = 20
"""Each crossing of the stability limit is located to 2⁻²⁰ of the distance between two cells of the map."""

LOGARITHMIC = 20.0
"""An axis is drawn logarithmically if its largest value exceeds its smallest by this factor and its values are spaced
more evenly in the logarithm."""


@dataclass(frozen=True, kw_only=True)
class MapTheory:
    """Predictions for the settings of one optimizer near the only minimum.

    Attributes
    ----------
    curvatures
        The distinct eigenvalues of the Hessian that are not 0.
    rates
        ``(settings,)``
    is_unstable
        Whether the rate exceeds 1, ``(settings,)``.
    discriminants
        Change sign where oscillation begins, ``(curvatures, settings)``; see `rate_plane`.
    eigenvalues
        The dominant ones, ``(curvatures, settings)``.
    crossings
        For each axis, where between a setting and its successor on that axis the rate crosses 1: from 0 at the setting
        to 1 at the successor, on the scale on which the axis is drawn; NaN if it does not. ``(axes, settings)``
    """

    curvatures: tuple[float, ...]
    rates: Array
    is_unstable: NDArray[np.bool_]
    discriminants: Array
    eigenvalues: NDArray[np.complex128]
    crossings: Array


def map_theory(experiment: Experiment, block: Block) -> MapTheory | str:
    """Return the predictions for all settings of one optimizer, or the reason why there are none."""
    try:
        return _predictions(experiment, block)
    except TheoryDoesNotApplyError as error:
        return str(error)


def _predictions(experiment: Experiment, block: Block) -> MapTheory:
    if experiment.dimension > MOST_DIMENSIONS:
        raise TheoryDoesNotApplyError(f"the page predicts rates in up to {MOST_DIMENSIONS} dimensions")
    # Rates depend neither on the start nor on noise: one trial per setting.
    start = Points(points=((0.0,) * experiment.dimension,))
    single = replace(experiment, optimizers=(block.choice,), starts=start, noise=None, replicates=1)
    plan = make_plan(single)
    group = plan.groups[0]
    with np.errstate(all="ignore"), plugins_may_fail(group.surface_class, group.optimizer_class):
        plane = rate_plane(plan, 0, plan.trials)

        def is_unstable(settings: NDArray[np.int64], axis: GridAxis, values: Array) -> NDArray[np.bool_]:
            changed = _with_values(group.lanes(settings), axis.name, values)
            return largest_radii(changed.optimizer, changed.lr, plane.curvatures, period=1) > UNSTABLE

        crossings = [
            _crossings(plane.rates > UNSTABLE, block, number, is_unstable) for number in range(len(block.axes))
        ]
    return MapTheory(
        curvatures=plane.curvatures,
        rates=plane.rates,
        is_unstable=plane.rates > UNSTABLE,
        discriminants=plane.discriminants,
        eigenvalues=plane.eigenvalues,
        crossings=np.stack(crossings) if crossings else np.empty((0, plan.trials)),
    )


def axis_places(axis: GridAxis) -> tuple[str, Array]:
    """Return the scale on which an axis is drawn (log, linear or index) and the places of its values on that scale."""
    numbers = axis.numbers
    if numbers is None:
        return "index", np.arange(float(len(axis)))
    if numbers.min() > 0 and numbers.max() >= LOGARITHMIC * numbers.min():
        logarithms = np.log10(numbers)
        if _unevenness(logarithms) < _unevenness(numbers):
            return "log", logarithms
    return "linear", numbers


def _unevenness(places: Array) -> float:
    """Return the standard deviation of the distances between neighbours, relative to their mean."""
    distances = np.abs(np.diff(np.sort(places)))
    return float(distances.std() / distances.mean())


def _crossings(
    unstable: NDArray[np.bool_],
    block: Block,
    number: int,
    is_unstable: Callable[[NDArray[np.int64], GridAxis, Array], NDArray[np.bool_]],
) -> Array:
    """Locate by bisection where stability ends between each setting and its successor on one axis, ``(settings,)``."""
    axis = block.axes[number]
    scale, places = axis_places(axis)
    found = np.full(block.settings, math.nan)
    if scale == "index":
        return found
    shape = tuple(map(len, block.axes))
    stride = math.prod(shape[number + 1 :])
    index = np.arange(block.settings) // stride % shape[number]
    settings = np.flatnonzero(index < shape[number] - 1)
    settings = settings[unstable[settings] != unstable[settings + stride]]
    if not len(settings):
        return found
    first, second = places[index[settings]], places[index[settings] + 1]
    low, high = np.zeros(len(settings)), np.ones(len(settings))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        place = first + middle * (second - first)
        values = 10**place if scale == "log" else place
        is_beyond = is_unstable(settings, axis, values) != unstable[settings]
        low, high = np.where(is_beyond, low, middle), np.where(is_beyond, middle, high)
    found[settings] = (low + high) / 2
    return found


def _with_values(lanes: Lanes, name: str, values: Array) -> Lanes:
    """Return lanes with other values of one hyperparameter."""
    if name == "lr":
        return replace(lanes, lr=values)
    optimizer: Any = lanes.optimizer
    return replace(lanes, optimizer=replace(optimizer, **{name: values}))
