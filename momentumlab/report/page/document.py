"""The interactive page: one self-contained HTML file with every setting of an experiment.

The page contains the engine's numbers and draws them; it does not implement any optimizer. Positions, velocities and
gradients are quantised to 16 bits for drawing, printed numbers have full precision.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from momentumlab import __version__, engine
from momentumlab.errors import MomentumLabError
from momentumlab.experiment import Experiment
from momentumlab.plan import make_plan
from momentumlab.report.labels import Labels
from momentumlab.report.page.blocks import LOG_LOSS, describe_block, encode_theory, final_states, trajectories
from momentumlab.report.page.encoding import Payload
from momentumlab.report.page.exploration import FEW_VALUES, MOMENTUM_NAMES, Block, Exploration, blocks, explore
from momentumlab.report.page.map_theory import map_theory
from momentumlab.report.page.view import make_view
from momentumlab.result import Result, Status
from momentumlab.theory import TheoryDoesNotApplyError

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

HISTORY_BYTES = 2**29
"""The most memory for the trajectories of one page."""

PROGRAM = ("decoding.js", "state.js", "drawing.js", "map.js", "controls.js", "offline.js")
"""The parts of the page's program, in the order in which they are joined."""


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
        result = engine.run(make_plan(exploration.experiment), history_bytes=HISTORY_BYTES)
        payload = Payload()
        header = _header(exploration, result, payload, notes)
        text = fill_template(header, payload.text(), PROGRAM)
        if len(text.encode()) <= MOST_BYTES:
            return Page(html=text)
    raise PageTooLargeError(f"{experiment.trials:,} trials are too many for one page; shorten the axes")


def _cost(experiment: Experiment, lr_values: int, momentum_values: int) -> tuple[float, float, float]:
    """Estimate the numbers in all trajectories, the bytes of the page, and the operations."""
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


def _header(exploration: Exploration, result: Result, payload: Payload, notes: Sequence[str]) -> dict[str, Any]:
    """Return everything but the arrays, which are added to the payload."""
    assert result.history is not None
    experiment, view = exploration.experiment, make_view(result)
    stride = result.history.stride * -(-len(result.history.losses[0]) // MOST_ENTRIES)
    own = []
    for block, current in zip(blocks(experiment), exploration.current, strict=True):
        trials = slice(block.first, block.first + block.trials)
        own.append(
            {
                **describe_block(block, experiment, [current.get(axis.name, 0) for axis in block.axes]),
                **final_states(result, trials, payload),
                **trajectories(result, trials, view, payload, stride),
                **theory_of(experiment, block, payload),
            }
        )
    return {
        **describe(experiment, stride),
        **view.header(payload),
        "blocks": own,
        "notes": [
            *notes,
            *exploration.notes,
            *([f"One iterate in {stride} is shown, and the last."] if stride > 1 else []),
            *([f"{view.plane.remark}."] if view.plane is not None else []),
        ],
    }


def describe(experiment: Experiment, stride: int) -> dict[str, Any]:
    """Return the names and constants of a page."""
    return {
        "version": __version__,
        "name": experiment.name,
        "title": Labels(experiment).surface(make_plan(experiment).trial(0)),
        "formula": experiment.first_surface.formula,
        "dimension": experiment.dimension,
        "stride": stride,
        "statuses": {str(status.code): status.label for status in Status},
        "logLoss": list(LOG_LOSS),
    }


def theory_of(experiment: Experiment, block: Block, payload: Payload) -> dict[str, Any]:
    """Return the predictions for one optimizer, or the reason why there are none."""
    try:
        return encode_theory(map_theory(experiment, block), payload)
    except TheoryDoesNotApplyError as error:
        return {"noTheory": str(error)}


def fill_template(header: Mapping[str, Any], payload: str, program: Sequence[str], connections: str = "") -> str:
    """Return the document.

    Parameters
    ----------
    header
        Everything but the arrays.
    payload
        The encoded arrays.
    program
        The files of the program.
    connections
        What the page may connect to, as in a content security policy; nothing by default.
    """
    style = _asset("explorer.css")
    code = '"use strict";\n(async function () {\n' + "\n".join(map(_asset, program)) + "})();\n"
    # The policy forbids every other request; only this style and this program may run.
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(code)}'"
    parts = {
        "{{title}}": html.escape(f"{header['name']} · momentumlab"),
        "{{policy}}": policy + (f"; connect-src {connections}" if connections else ""),
        "{{style}}": style,
        "{{header}}": json.dumps(header, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c"),
        "{{payload}}": payload,
        "{{program}}": code,
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
