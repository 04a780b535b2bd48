"""The interactive page: one self-contained HTML file with every setting of an experiment.

The page contains the engine's numbers and draws them; it does not implement any optimizer. Positions, velocities and
gradients are quantised to 16 bits for drawing, printed numbers have full precision.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Callable, Mapping, Sequence
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
from momentumlab.report.page.exploration import FEW_VALUES, MOMENTUM_NAMES, Detail, Exploration, blocks, explore
from momentumlab.report.page.map_theory import map_theory
from momentumlab.report.page.view import make_view
from momentumlab.result import Result, Status

UNNAMED = "experiment"
"""The default name of an experiment."""

MOST_BYTES = 4_900_000
"""Size limit of a page in bytes. A larger page gets a coarser grid or fewer iterates."""

DETAILS = tuple(
    Detail(lr_values=lr, momentum_values=momentum, axis_values=values, entries=entries)
    for lr, momentum, values, entries in (
        (64, 48, 100, 301),
        (48, 36, 100, 301),
        (36, 28, 64, 301),
        (24, 20, 48, 201),
        (16, 12, 32, 151),
        (10, 8, 24, 101),
        (6, 5, 16, 101),
        (0, 0, 8, 101),
    )
)
"""Levels of detail of a page in decreasing order; the first that fits is used."""

MOST_NUMBERS = 40_000_000
"""Limit on the numbers in the trajectories of one page, before encoding."""

SMOOTH_BYTES, NOISY_BYTES = 0.25, 2.4
"""Bytes of the page per number of a trajectory, without and with noise; measured."""

MOST_OPERATIONS = 3e9
"""Limit on the operations for a refined grid, some seconds of work; the experiment's own settings always run."""

MOST_REPLICATES = 5
"""Maximum number of replicates on a page; their trajectories are drawn faintly behind the median one."""

HISTORY_BYTES = 2**29
"""Memory limit for the trajectories of one page."""

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


def page(experiment: Experiment, *, check: Callable[[], None] | None = None) -> Page:
    """Return the interactive page of an experiment.

    Parameters
    ----------
    experiment
        Axes of lr and momentum with few values are refined to a grid; the others are kept.
    check
        As in `momentumlab.engine.run`.

    Raises
    ------
    PageTooLargeError
        If the other axes of the experiment do not fit on a page, or there are several surfaces.
    """
    if len(experiment.surfaces) > 1:
        raise PageTooLargeError(f"a page shows one surface: choose {' or '.join(experiment.surfaces)}")
    notes = []
    if experiment.replicates > MOST_REPLICATES:
        notes.append(f"The first {MOST_REPLICATES} of {experiment.replicates} replicates are shown.")
        experiment = replace(experiment, replicates=MOST_REPLICATES)
    for detail in DETAILS:
        numbers, size, operations = _cost(experiment, detail)
        is_coarsest = detail is DETAILS[-1]
        if numbers > MOST_NUMBERS or (not is_coarsest and (size > MOST_BYTES or operations > MOST_OPERATIONS)):
            continue
        exploration = explore(experiment, detail)
        result = engine.run(make_plan(exploration.experiment), history_bytes=HISTORY_BYTES, check=check)
        payload = Payload()
        header = _header(exploration, result, payload, detail.entries, notes)
        text = fill_template(header, payload.text(), PROGRAM)
        if len(text.encode()) <= MOST_BYTES:
            return Page(html=text)
    raise PageTooLargeError(f"{experiment.trials:,} trials are too many for one page; shorten the axes")


def _cost(experiment: Experiment, detail: Detail) -> tuple[float, float, float]:
    """Estimate the numbers in all trajectories, the bytes of the page, and the operations."""

    def length(name: str, values: int) -> int:
        grid = {"lr": detail.lr_values} | dict.fromkeys(MOMENTUM_NAMES, detail.momentum_values)
        return values + grid.get(name, 0) if values <= FEW_VALUES else min(values, detail.axis_values)

    settings = sum(
        math.prod(length(name, len(axis)) for name, axis in choice.axes.items()) for choice in experiment.optimizers
    )
    surfaces = math.prod(min(len(axis), detail.axis_values) for axis in experiment.surface.axes.values())
    trials = settings * surfaces * experiment.repeats
    iterations, dimension = experiment.stopping.iterations, experiment.dimension
    entries = min(iterations + 1, detail.entries)
    size = trials * entries * (3 * min(dimension, 2) + 1) * (NOISY_BYTES if experiment.is_random else SMOOTH_BYTES)
    work = max(experiment.first_surface.work, 20 * dimension)
    return trials * entries * (2 * dimension + 1), size, trials * iterations * work


def _header(
    exploration: Exploration, result: Result, payload: Payload, most_entries: int, notes: Sequence[str]
) -> dict[str, Any]:
    """Return everything but the arrays, which are added to the payload."""
    assert result.history is not None
    experiment, view = exploration.experiment, make_view(result)
    stride = result.history.stride * -(-len(result.history.losses[0]) // most_entries)
    own = []
    for block, current in zip(blocks(experiment), exploration.current, strict=True):
        trials = slice(block.first, block.first + block.trials)
        own.append(
            {
                **describe_block(block, experiment, [current.get(axis.name, 0) for axis in block.axes]),
                **final_states(result, trials, payload),
                **trajectories(result, trials, view, payload, stride),
                **encode_theory(map_theory(experiment, block), payload),
            }
        )
    return {
        **describe(experiment, stride),
        **view.header(payload),
        "blocks": own,
        "notes": [
            *notes,
            *exploration.notes,
            *thinning_note(stride),
            *([f"{view.plane.remark}."] if view.plane is not None else []),
        ],
    }


def describe(experiment: Experiment, stride: int) -> dict[str, Any]:
    """Return the names and constants of a page."""
    surface = experiment.first_surface
    title = Labels(experiment).surface(make_plan(experiment).trial(0))
    methods = dict.fromkeys(choice.name for choice in experiment.optimizers)
    # The title has the parameters that are not the default.
    defaults = [
        f"{name} = {axis.values[0]:g}"
        for name, axis in experiment.surface.axes.items()
        if len(axis) == 1
        and isinstance(axis.values[0], float)
        and name in surface.formula
        and f"{name} = " not in title
    ]
    return {
        "version": __version__,
        "name": f"{', '.join(methods)} on {title}" if experiment.name == UNNAMED else experiment.name,
        "title": title,
        "formula": ", ".join([surface.formula, *defaults]),
        "dimension": experiment.dimension,
        "stride": stride,
        "statuses": {str(status.code): status.label for status in Status},
        "logLoss": list(LOG_LOSS),
    }


def thinning_note(stride: int) -> list[str]:
    """Return the note of a page that shows every stride-th iterate."""
    return [f"One iterate in {stride} is shown, and the last."] if stride > 1 else []


def fill_template(header: Mapping[str, Any], payload: str, program: Sequence[str], *, is_live: bool = False) -> str:
    """Return the document.

    Parameters
    ----------
    header
        Everything but the arrays.
    payload
        The encoded arrays.
    program
        The files of the program.
    is_live
        Whether the page has the controls of the laboratory and may connect to its own server.
    """
    style = _asset("explorer.css")
    code = '"use strict";\n(async function () {\n' + "\n".join(map(_asset, program)) + "})();\n"
    # The policy forbids every other request; only this style and this program may run.
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(code)}'"
    parts = {
        "{{title}}": html.escape(f"{header['name']} · momentumlab"),
        "{{policy}}": policy + ("; connect-src 'self'" if is_live else ""),
        "{{laboratory}}": _asset("laboratory.html") if is_live else "",
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
