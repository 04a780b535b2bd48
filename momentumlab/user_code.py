"""Checks of a user's surfaces and optimizers before their first iteration, which prevent wrong numbers.

NumPy broadcasts an array of a wrong shape, and a sum over the wrong axis mixes trials; neither raises an exception. All
other contracts are checked only by ``momentumlab check``.
"""

from typing import Any

import numpy as np

from momentumlab import plugins
from momentumlab.errors import PluginError
from momentumlab.lanes import take_lanes
from momentumlab.optimizers import Here, Optimizer
from momentumlab.parameters import Array
from momentumlab.plan import Group
from momentumlab.surfaces import Surface

LANES = 3

SPREAD = 1e-3
"""Distance of the points of neighbouring lanes, relative to the width of the window."""

TOLERANCE = 1e-6
"""Relative difference above which lanes are mixed; smaller ones can be differences in rounding."""

_CHECKED: set[type] = set()
"""Classes that have passed all checks in this process."""


def check_user_code(group: Group, first: int, last: int) -> None:
    """Check the shapes of results and the independence of lanes for classes that are not part of this package.

    Parameters
    ----------
    group
        The trials that use the classes.
    first, last
        The number of the first trial to be run, and of the last one plus 1.

    Raises
    ------
    PluginError
        With the place of the class.
    """
    classes = {group.surface_class, group.optimizer_class}
    if {cls for cls in classes if plugins.is_foreign(cls)} <= _CHECKED:
        return
    # A few lanes are enough. Trials often begin at the same point, where a sum over lanes would be hard to see.
    batch = group.lanes(np.arange(first, min(first + LANES, last)) - group.first)
    lanes = np.arange(len(batch.lr))
    window = np.array(batch.surface.window(len(batch.start)), dtype=np.float64)
    points = batch.start + SPREAD * np.ptp(window, axis=1)[:, np.newaxis] * lanes
    together = _results(batch.surface, batch.optimizer, points, batch.lr)
    if len(lanes) == 1:
        return
    again = _results(batch.surface, batch.optimizer, points, batch.lr)
    for lane in lanes[:, np.newaxis]:
        surface, optimizer = take_lanes(batch.surface, lane), take_lanes(batch.optimizer, lane)
        alone = _results(surface, optimizer, np.ascontiguousarray(points[:, lane]), batch.lr[lane])
        for place, result in together.items():
            # A function that draws random numbers of its own has no reproducible result to compare with.
            is_random = not np.array_equal(result, again[place], equal_nan=True)
            one, other = alone[place][..., 0], result[..., lane[0]]
            if not is_random and not np.allclose(one, other, rtol=TOLERANCE, atol=0, equal_nan=True):
                message = "the result of a trial depends on its batch; does the code mix lanes (the last axis)?"
                raise PluginError(f"{place}: {message}")
    _CHECKED.update(classes)


def _results(surface: Surface, optimizer: Optimizer[Any], x: Array, lr: Array) -> dict[str, Array]:
    """Return value, gradient and two velocities, by the place of the method; check the shapes of all."""
    value, gradient, step = type(surface).value, type(surface).gradient, type(optimizer).step
    loss = _of_shape(surface.value(x), x.shape[1:], "(lanes,)", value)
    g = _of_shape(surface.gradient(x), x.shape, "(dim, lanes)", gradient)
    state = optimizer.init(x)
    arguments = (x.tobytes(), g.tobytes())
    results = {plugins.defined_at(value): loss, plugins.defined_at(gradient): g}
    velocities = []
    for t in (1, 2):
        here = Here(x, t, loss, lr, surface)
        returned = optimizer.step(state, g, here)
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise PluginError(f"{plugins.defined_at(step)}: does not return a pair (velocity, state)")
        velocity, state = returned
        velocities.append(_of_shape(velocity, x.shape, "(dim, lanes)", step, "a velocity of "))
    if (x.tobytes(), g.tobytes()) != arguments:
        raise PluginError(f"{plugins.defined_at(step)}: changes its arguments; look for += or out=")
    return {**results, plugins.defined_at(step): np.stack(velocities)}


def _of_shape(array: Any, shape: tuple[int, ...], meaning: str, method: Any, what: str = "") -> Array:
    if np.shape(array) != shape:
        message = f"returns {what}shape {np.shape(array)}, expected {meaning} = {shape}"
        raise PluginError(f"{plugins.defined_at(method)}: {message}")
    return np.asarray(array)
