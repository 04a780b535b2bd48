"""The part of a page for one optimizer: trajectories, final states and predictions as compressed arrays."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from momentumlab.experiment import Experiment
from momentumlab.parameters import Array
from momentumlab.report.labels import SYMBOLS
from momentumlab.report.page.encoding import Payload, quantise
from momentumlab.report.page.exploration import Block
from momentumlab.report.page.map_theory import MapTheory, axis_places
from momentumlab.report.page.shell_command import option_words, shell_command, start_options, typed_value
from momentumlab.report.page.view import View
from momentumlab.result import Result
from momentumlab.theory import trial_rates

MOST_COORDINATES = 4
"""Maximum number of coordinates of a point that the page prints."""

LOG_LOSS = (-20.0, 40.0)
"""The range of log₁₀ of the loss above its floor that the page resolves."""


def describe_block(block: Block, experiment: Experiment, current: Sequence[int]) -> dict[str, Any]:
    """Return names, axes, starts and the command of one optimizer; ``current`` are the indices first shown."""
    starts = experiment.starts.array(experiment.first_surface).T.tolist()
    axes = []
    for axis in block.axes:
        scale, places = axis_places(axis)
        axes.append(
            {
                "name": axis.name,
                "label": SYMBOLS.get(axis.name, axis.name),
                "values": [typed_value(value) for value in axis.values],
                "scale": scale,
                "places": places.tolist(),
                "flag": " ".join(option_words(axis.name, "")),
            }
        )
    return {
        "name": block.name,
        "lr": typed_value(block.choice.axes["lr"].values[0]),
        "axes": axes,
        "current": list(current),
        "starts": [", ".join(f"{number:.6g}" for number in start[:MOST_COORDINATES]) for start in starts],
        "replicates": experiment.replicates,
        "command": shell_command(experiment, block.choice),
        "startOptions": start_options(experiment),
    }


def final_states(result: Result, trials: slice, payload: Payload) -> dict[str, Any]:
    """Return iterations, status, loss and point at the end of some trials."""
    return {
        "iterations": payload.add(result.iterations[trials].astype(np.int32)),
        "status": payload.add(result.status_codes[trials].astype(np.int8)),
        "finalLoss": payload.add(result.final_losses[trials]),
        "finalPoint": payload.add(result.final_points[trials][:, :MOST_COORDINATES]),
    }


def trajectories(
    result: Result, trials: slice, view: View, payload: Payload, stride: int, *, with_rates: bool = True
) -> dict[str, Any]:
    """Return positions, velocities, gradients, losses and measured rates along recorded trajectories.

    Parameters
    ----------
    result
        A result with history.
    trials
        The trials of one optimizer.
    stride
        The page gets every stride-th iterate and the last; a multiple of the history's stride.
    with_rates
        Whether to measure rates, which takes longer than one trajectory; otherwise they are NaN.
    """
    history = result.history
    assert history is not None
    # A trial that ended early repeats its last iterate; the page knows the number of iterations.
    last = -(-result.iterations[trials] // history.stride)
    step = stride // history.stride
    entries = np.minimum(np.arange(-(-int(last.max()) // step) + 1) * step, last[:, np.newaxis])
    rows = np.arange(trials.start, trials.stop)[:, np.newaxis]
    positions, losses = history.positions[rows, entries], history.losses[rows, entries]

    velocities = view.project(history.velocities[rows, entries], is_point=False)
    gradients = view.project(_gradients(result, trials, positions), is_point=False)
    # One scale per trial and coordinate: a common one would lose the velocities of most trials.
    velocity_scale, gradient_scale = _largest(velocities), _largest(gradients)
    with np.errstate(all="ignore"):
        heights = np.log10(np.maximum(losses - view.floor, 10.0 ** LOG_LOSS[0]))
    heights = np.where(np.isfinite(losses), heights, LOG_LOSS[1])
    flat = view.project(positions, is_point=True)
    measured = np.full(len(rows), math.nan, dtype=np.float32)
    if with_rates:
        for row, rate in enumerate(trial_rates(result, range(trials.start, trials.stop))):
            measured[row] = math.nan if rate.measured is None else rate.measured
    return {
        "positions": payload.add(quantise(flat, view.low, view.high), difference_axis=1),
        "velocities": payload.add(quantise(velocities, -velocity_scale, velocity_scale), difference_axis=1),
        "gradients": payload.add(quantise(gradients, -gradient_scale, gradient_scale), difference_axis=1),
        "heights": payload.add(quantise(heights, *LOG_LOSS), difference_axis=1),
        "velocityScale": payload.add(velocity_scale[:, 0]),
        "gradientScale": payload.add(gradient_scale[:, 0]),
        "measuredRate": payload.add(measured),
    }


def encode_theory(theory: MapTheory | str, payload: Payload) -> dict[str, Any]:
    """Return predicted rates, the motion along each eigenvector and the crossings of the stability limit."""
    if isinstance(theory, str):
        return {"noTheory": theory}
    arrays = {
        "predictedRate": theory.rates,
        "discriminants": theory.discriminants,
        "modulus": np.abs(theory.eigenvalues),
        "angle": np.abs(np.angle(theory.eigenvalues)),
        "crossings": theory.crossings,
    }
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite
        encoded = {name: payload.add(array.astype(np.float32)) for name, array in arrays.items()}
    return {
        "curvatures": [f"{curvature:.4g}" for curvature in theory.curvatures],
        "isUnstable": payload.add(theory.is_unstable.astype(np.int8)),
        **encoded,
    }


def _gradients(result: Result, trials: slice, positions: Array) -> Array:
    """Return the exact gradients at all positions, ``(trials, entries, dim)``; each trial on its own surface."""
    gradients = np.empty_like(positions)
    for group in result.plan.groups:
        first, last = max(trials.start, group.first), min(trials.stop, group.first + group.size)
        if first < last:
            surface = group.lanes(np.arange(first, last) - group.first).surface
            own = slice(first - trials.start, last - trials.start)
            with np.errstate(all="ignore"):
                for entry in range(positions.shape[1]):
                    gradients[own, entry] = surface.gradient(np.ascontiguousarray(positions[own, entry].T)).T
    return gradients


def _largest(vectors: Array) -> Array:
    """Return the largest finite absolute value of each trial and coordinate, ``(trials, 1, coordinates)``."""
    sizes = np.where(np.isfinite(vectors), np.abs(vectors), 0.0).max(axis=1, keepdims=True)
    largest: Array = np.clip(sizes, 1e-300, 1e300)
    return largest
