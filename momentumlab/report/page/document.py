"""The interactive page: one self-contained HTML file with every setting of an experiment.

The page contains the engine's numbers and draws them; it does not implement any optimizer. Positions, velocities and
gradients are quantised to 16 bits for drawing, printed numbers have full precision.
"""

import base64
import hashlib
import html
import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab import __version__
from momentumlab.errors import MomentumLabError
from momentumlab.experiment import Choice, Experiment
from momentumlab.registry import Array
from momentumlab.report.labels import SYMBOLS, Labels
from momentumlab.report.page.encoding import Payload, quantise
from momentumlab.report.page.exploration import (
    FEW_VALUES,
    MOMENTUM_NAMES,
    MOST_DIMENSIONS,
    Exploration,
    explore,
    settings_of,
)
from momentumlab.report.page.view import View
from momentumlab.result import Result, Status
from momentumlab.search.planes import Plane, planes
from momentumlab.theory import TheoryDoesNotApplyError, linear_map, measured_rate, plugins_may_fail, rate_plane

MOST_BYTES = 4_900_000
"""The largest page. A page that would be larger gets a coarser grid or fewer iterates."""

GRIDS = ((64, 48), (48, 36), (36, 28), (24, 20), (16, 12), (10, 8), (6, 5), (0, 0))
"""The numbers of learning rates and of momentum values, finest first."""

MOST_ENTRIES = 301
"""The most iterates of a trajectory on the page; longer ones are thinned out."""

MOST_NUMBERS = 40_000_000
"""The most numbers in the trajectories of one page, before encoding."""

SMOOTH_BYTES, NOISY_BYTES = 0.25, 2.4
"""Bytes of the page per number of a trajectory, without and with noise; measured."""

MOST_OPERATIONS = 3e9
"""The most operations for a refined grid, some seconds of work; the experiment's own settings always run."""

MOST_REPLICATES = 5
"""The most replicates on a page: their trajectories are drawn faintly behind the median one."""

LOG_LOSS = (-20.0, 40.0)
"""The range of log₁₀ of the loss above its floor that the page resolves."""


MOST_COORDINATES = 4
"""The most coordinates of a point that the page prints."""


class PageTooLargeError(MomentumLabError):
    """Even the coarsest grid of an experiment does not fit on a page."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A self-contained interactive page; notebooks show it in a frame.

    Attributes
    ----------
    html
        The whole document.
    """

    html: str

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.html)}" style="width: 100%; height: 1150px; border: 0"></iframe>'


def page(experiment: Experiment) -> Page:
    """Return the interactive page of an experiment.

    Parameters
    ----------
    experiment
        Axes of lr and momentum with few values are refined to a grid; the others are kept.

    Raises
    ------
    PageTooLargeError
        If the other axes of the experiment do not fit on a page.
    """
    notes = []
    if experiment.replicates > MOST_REPLICATES:
        notes.append(f"The first {MOST_REPLICATES} of {experiment.replicates} replicates are shown.")
        experiment = replace(experiment, replicates=MOST_REPLICATES)
    for lr_values, momentum_values in GRIDS:
        is_coarsest = (lr_values, momentum_values) == GRIDS[-1]
        numbers, size, operations = _cost(experiment, lr_values, momentum_values)
        if not is_coarsest and (size > MOST_BYTES or operations > MOST_OPERATIONS or numbers > MOST_NUMBERS):
            continue
        if numbers > MOST_NUMBERS:
            break
        exploration = explore(experiment, lr_values=lr_values, momentum_values=momentum_values)
        text = _document(exploration, notes)
        if len(text.encode()) <= MOST_BYTES:
            return Page(html=text)
    raise PageTooLargeError(f"{experiment.trials:,} trials are too many for one page; shorten the axes")


def _cost(experiment: Experiment, lr_values: int, momentum_values: int) -> tuple[float, float, float]:
    """Estimates of the numbers in all trajectories, of the bytes of the page, and of the operations."""
    settings = 0
    for choice in experiment.optimizers:
        own = {name: len(axis) for name, axis in choice.axes.items()}
        refined = {"lr": lr_values, next((name for name in MOMENTUM_NAMES if name in own), ""): momentum_values}
        settings += math.prod(n + refined.get(name, 0) if n <= FEW_VALUES else n for name, n in own.items())
    trials = settings * experiment.surface.combinations * experiment.repeats
    iterations, dimension = experiment.stopping.iterations, experiment.dimension
    entries = min(iterations + 1, MOST_ENTRIES)
    size = trials * entries * (3 * min(dimension, 2) + 1) * (NOISY_BYTES if experiment.is_random else SMOOTH_BYTES)
    work = max(experiment.first_surface.work, 20 * dimension)
    return trials * entries * (2 * dimension + 1), size, trials * iterations * work


def _document(exploration: Exploration, notes: Sequence[str]) -> str:
    """Fill the template: style, program, header and payload."""
    payload = Payload()
    header = json.dumps(_header(exploration, payload, notes), allow_nan=False, ensure_ascii=False)
    style, program = _asset("explorer.css"), _asset("explorer.js")
    # The policy forbids every request; only this style and this program may run.
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(program)}'"
    parts = {
        "{{title}}": html.escape(f"{exploration.experiment.name} · momentumlab"),
        "{{policy}}": policy,
        "{{style}}": style,
        "{{header}}": header.replace("<", "\\u003c"),
        "{{payload}}": payload.text(),
        "{{program}}": program,
    }
    text = _asset("explorer.html")
    for placeholder, content in parts.items():
        before, _, after = text.partition(placeholder)
        text = before + content + after
    return text


def _asset(name: str) -> str:
    return files("momentumlab.report.page").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _header(exploration: Exploration, payload: Payload, notes: Sequence[str]) -> dict[str, Any]:
    """Everything but the arrays: names, axes, window, exact final numbers, commands."""
    result, experiment = exploration.result, exploration.experiment
    assert result.history is not None
    stride = max(result.history.stride, -(-experiment.stopping.iterations // (MOST_ENTRIES - 1)))
    view = View(exploration)
    blocks = [_block(exploration, plane, view, payload, stride) for plane in planes(result)]
    notes = [*notes, *([f"Every {stride}th iterate is shown."] if stride > 1 else [])]
    return {
        "version": __version__,
        "name": experiment.name,
        "title": Labels(experiment).surface(result.plan.trial(0)),
        "formula": experiment.first_surface.formula,
        "dimension": experiment.dimension,
        "stride": stride,
        "iterations": experiment.stopping.iterations,
        "statuses": {str(status.code): status.label for status in Status},
        "logLoss": list(LOG_LOSS),
        **view.header(payload),
        "blocks": blocks,
        "notes": notes,
    }


def _block(exploration: Exploration, plane: Plane, view: View, payload: Payload, stride: int) -> dict[str, Any]:
    """One optimizer: its axes, its command, and the arrays of its trials in the order of the plan."""
    result, experiment = exploration.result, exploration.experiment
    trials, axes = plane.trials, [axis for axis in plane.axes if not axis.name.startswith("start ")]
    current = exploration.current[experiment.optimizers.index(plane.choice)]
    starts = experiment.starts.array(experiment.first_surface.window(experiment.dimension)).T.tolist()
    arrays = {
        **_trajectories(result, plane, view, payload, stride),
        "iterations": payload.add(result.iterations[trials].astype(np.int32)),
        "status": payload.add(result.status_codes[trials].astype(np.int8)),
        "finalLoss": payload.add(result.final_losses[trials]),
        "finalPoint": payload.add(result.final_points[trials][:, :MOST_COORDINATES]),
        "measuredRate": payload.add(_measured_rates(result, plane, view)),
        **_theory(result, plane, payload),
    }
    return {
        "name": plane.name,
        "axes": [
            {
                "name": axis.name,
                "label": SYMBOLS.get(axis.name, axis.name),
                "values": [_spelled(value) for value in axis.values],
                "isNumeric": axis.numbers is not None,
                "flag": {"lr": "--lr ", "beta": "--beta "}.get(axis.name, f"--set {axis.name}="),
            }
            for axis in axes
        ],
        "current": [current.get(axis.name, 0) for axis in axes],
        "starts": [", ".join(f"{number:.6g}" for number in start[:MOST_COORDINATES]) for start in starts],
        "startFlags": [f"--start={','.join(map(repr, start))}" for start in starts if len(start) <= MOST_COORDINATES],
        "replicates": experiment.replicates,
        "command": _command(experiment, plane.choice),
        "arrays": arrays,
    }


def _trajectories(result: Result, plane: Plane, view: View, payload: Payload, stride: int) -> dict[str, Any]:
    """Positions, velocities, gradients and losses along every stride-th iterate and the last."""
    history, trials = result.history, plane.trials
    assert history is not None
    # A trial that ended early repeats its last iterate; the page knows the number of iterations.
    last = -(-result.iterations[trials] // history.stride)
    step = stride // history.stride
    entries = np.minimum(np.arange(-(-int(last.max()) // step) + 1) * step, last[:, np.newaxis])
    rows = np.arange(trials.start, trials.stop)[:, np.newaxis]
    positions, losses = history.positions[rows, entries], history.losses[rows, entries]

    velocities = view.project(history.velocities[rows, entries], is_point=False)
    gradients = view.project(_gradients(plane, view, positions), is_point=False)
    # One scale per trial and coordinate: a common one would lose the velocities of most trials.
    velocity_scale, gradient_scale = _largest(velocities), _largest(gradients)
    with np.errstate(all="ignore"):
        heights = np.log10(np.maximum(losses - view.floor, 10.0 ** LOG_LOSS[0]))
    heights = np.where(np.isfinite(losses), heights, LOG_LOSS[1])
    flat = view.project(positions, is_point=True)
    return {
        "positions": payload.add(quantise(flat, view.low, view.high), difference_axis=1),
        "velocities": payload.add(quantise(velocities, -velocity_scale, velocity_scale), difference_axis=1),
        "gradients": payload.add(quantise(gradients, -gradient_scale, gradient_scale), difference_axis=1),
        "heights": payload.add(quantise(heights, *LOG_LOSS), difference_axis=1),
        "velocityScale": payload.add(velocity_scale[:, 0]),
        "gradientScale": payload.add(gradient_scale[:, 0]),
    }


def _gradients(plane: Plane, view: View, positions: Array) -> Array:
    """Exact gradients at all positions, ``(trials, entries, dim)``; each trial on its own surface."""
    trials, entries, dim = positions.shape
    # Surface parameters come first among the axes, so each surface has a contiguous share of the trials.
    shares = np.split(positions, len(view.surfaces)) if trials % len(view.surfaces) == 0 else [positions]
    with np.errstate(all="ignore"):
        parts = [
            surface.gradient(np.ascontiguousarray(share.reshape(-1, dim).T)).T.reshape(-1, entries, dim)
            for surface, share in zip(view.surfaces, shares, strict=True)
        ]
    gradients: Array = np.concatenate(parts)
    return gradients


def _largest(vectors: Array) -> Array:
    """The largest finite absolute value of each trial and coordinate, ``(trials, 1, coordinates)``."""
    sizes = np.where(np.isfinite(vectors), np.abs(vectors), 0.0).max(axis=1, keepdims=True)
    largest: Array = np.clip(sizes, 1e-300, 1e300)
    return largest


def _measured_rates(result: Result, plane: Plane, view: View) -> NDArray[np.float32]:
    """The measured rate of each trial towards the nearest minimum, ``(trials,)``; NaN if there is none."""
    rates = np.full(plane.trials.stop - plane.trials.start, np.nan, dtype=np.float32)
    minima = np.array([point.point for point in view.critical_points if point.kind.is_minimum])
    if result.experiment.noise is not None or result.experiment.is_random or not len(minima) or len(view.surfaces) > 1:
        return rates
    assert result.history is not None
    for i, number in enumerate(range(plane.trials.start, plane.trials.stop)):
        path = result.path(number)
        with np.errstate(all="ignore"):
            nearest = minima[((minima - path[-1]) ** 2).sum(axis=1).argmin()]
            distances = np.sqrt(((path - nearest) ** 2).sum(axis=1))
            rounding = 1e-12 * max(1.0, float(np.abs(nearest).max()))
            rate = measured_rate(distances, result.recorded(number), rounding)
        rates[i] = math.nan if rate is None else rate
    return rates


def _theory(result: Result, plane: Plane, payload: Payload) -> dict[str, Any]:
    """Predicted rates, and the dominant eigenvalue of each direction; empty where theory does not apply."""
    group = result.plan.group_of(plane.trials.start)
    try:
        if any(axis.name.startswith("start") for axis in plane.axes):
            raise TheoryDoesNotApplyError("starts differ from trial to trial")
        if result.plan.dimension > MOST_DIMENSIONS:
            raise TheoryDoesNotApplyError(f"the page predicts rates in up to {MOST_DIMENSIONS} dimensions")
        with np.errstate(all="ignore"), plugins_may_fail(group.surface_class, group.optimizer_class):
            said = rate_plane(result.plan, plane.trials.start, plane.trials.stop)
    except TheoryDoesNotApplyError as error:
        return {"noTheory": str(error)}
    lanes = group.lanes(np.arange(group.size))
    curvatures = list(said.discriminants)
    dominant = []
    for curvature in curvatures:
        eigenvalues = np.linalg.eigvals(linear_map(lanes.optimizer, lanes.lr, np.full(group.size, curvature)).matrices)
        largest = np.abs(eigenvalues).argmax(axis=1)[:, np.newaxis]
        dominant.append(np.take_along_axis(eigenvalues, largest, axis=1)[:, 0].astype(np.complex128))
    return {
        "curvatures": [f"{curvature:.4g}" for curvature in curvatures],
        "predictedRate": payload.add(said.rates.astype(np.float32)),
        "discriminants": payload.add(np.stack(list(said.discriminants.values())).astype(np.float32)),
        "modulus": payload.add(np.abs(np.stack(dominant)).astype(np.float32)),
        "angle": payload.add(np.abs(np.angle(np.stack(dominant))).astype(np.float32)),
    }


def _spelled(value: object) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, tuple):
        return f"[{','.join(map(repr, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _command(experiment: Experiment, choice: Choice) -> str:
    """The command that runs one trial of an optimizer; the page appends the values of its axes."""
    stopping = experiment.stopping
    words = ["momentumlab", "run", "--surface", experiment.surface.name]
    defaults = {parameter.name: parameter.default for parameter in type(experiment.first_surface).parameters()}
    for name, axis in experiment.surface.axes.items():
        if len(axis) == 1 and axis.values[0] != defaults.get(name):
            words += ["--set", f"surface.{name}={_spelled(axis.values[0])}"]
    words += ["--optimizer", choice.name]
    for name, value in settings_of(choice).items():
        words += ["--set", f"{name}={_spelled(value)}"]
    if len(choice.axes["lr"]) == 1:
        words += ["--lr", _spelled(choice.axes["lr"].values[0])]
    words += ["--iterations", str(stopping.iterations)]
    for option, bound in (
        ("--tolerance", stopping.tolerance),
        ("--gradient-tolerance", stopping.gradient_tolerance),
        ("--target-loss", stopping.target_loss),
    ):
        words += [option, repr(bound)] if bound is not None else []
    if experiment.noise is not None:
        words += ["--noise", str(experiment.noise)]
    if experiment.is_random:
        words += ["--replicates", str(experiment.replicates), "--seed", str(experiment.seed)]
    return shlex.join(words)
