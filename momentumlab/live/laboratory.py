"""Answers to the requests of a live page: settings in, trajectories and maps out.

The settings are texts, read by the same grammar as those of the command line. Requests are not trusted: they can name
neither plug-ins nor files, and their work is limited before it begins.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from momentumlab import engine
from momentumlab.config import load_experiment
from momentumlab.config.dump import to_yaml
from momentumlab.config.yaml_reader import ConfigNode, parse_setting
from momentumlab.errors import ConfigError, Problem, UnknownNameError
from momentumlab.experiment import Axis, Choice, Experiment, Points
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter
from momentumlab.plan import make_plan
from momentumlab.report.labels import SYMBOLS
from momentumlab.report.page import Page, page
from momentumlab.report.page.blocks import describe_block, encode_theory, final_states, trajectories
from momentumlab.report.page.document import describe, fill_template
from momentumlab.report.page.encoding import Payload
from momentumlab.report.page.exploration import Block, Detail, Exploration, blocks, explore
from momentumlab.report.page.map_theory import MapTheory, map_theory
from momentumlab.report.page.shell_command import typed_value
from momentumlab.report.page.view import View, make_view
from momentumlab.result import Result
from momentumlab.surfaces import SURFACES

LONGEST_TEXT = 10_000
"""The maximum number of characters of a setting."""

MOST_SETTINGS = 100

MOST_PINS = 2

MOST_TABS = 100
"""The number of pages whose newest request is known."""

MOST_SECONDS = 10.0
"""The time limit of a request. It is refused if its estimated time is longer, and ended after this time otherwise."""

MAP_SECONDS = 0.5
"""The estimated time within which a map should be ready; experiments that take longer get a coarser map."""

MOST_TRIALS = 100_000

MOST_REPEATS = 100
"""The maximum number of starts times replicates."""

MOST_RECORDED = 4_000_000
"""The maximum number of coordinates in the trajectories of one answer."""

MOST_WORK = 2e6
"""The maximum number of multiplications for one gradient."""

ENTRIES = 1001
"""The number of iterates that are sent; longer trajectories are thinned."""

DETAILS = tuple(
    Detail(lr_values=lr, momentum_values=momentum, axis_values=values, entries=ENTRIES)
    for lr, momentum, values in ((64, 64, 100), (48, 36, 64), (24, 20, 32), (10, 8, 16), (0, 0, 8))
)
"""The sizes of maps, the finest first."""

NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?")

KEPT = 8
"""Views and predictions that are kept for later requests."""

COMMON = (
    ("start", "start", "Starting point, such as 1, -2; several: [[1, 2], [3, 4]], grid(3, 3) or random(5)."),
    ("iterations", "iterations", "Maximum number of iterations."),
    ("noise", "noise", "Noise of the gradients: 0.1 or relative(0.1)."),
    ("tolerance", "tolerance", "Stop when the loss changes by at most this."),
    ("patience", "patience", "Iterations in a row for which the tolerance must hold."),
    ("gradient_tolerance", "gradient tolerance", "Stop when the gradient norm is at most this."),
    ("target_loss", "target loss", "Stop when the loss is at most this."),
    ("replicates", "replicates", "Repetitions of each trial with independent noise."),
    ("seed", "seed", "Random seed for noise."),
)
"""The settings of every experiment: key, label and explanation."""

PROGRAM = ("decoding.js", "state.js", "drawing.js", "map.js", "controls.js", "live.js")

Settings = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a page asks for.

    Attributes
    ----------
    settings
        The texts of all settings by key: ``surface``, ``surface.a``, ``optimizer``, ``lr``, ``iterations``, …; an empty
        one is the default.
    pins
        Optimizers with hyperparameters that are compared with the selected setting.
    chosen
        The selected values of the map's axes by name, as texts; by default the first values of the settings.
    view
        The identifier of the view that the page has.
    with_map
        Whether the page needs a new map.
    fit
        Whether the window is fitted to the trajectories.
    is_moving
        Whether the next request will follow at once, so that rates need not be measured.
    """

    settings: Settings
    pins: tuple[Settings, ...] = ()
    chosen: Settings = field(default_factory=dict)
    view: int | None = None
    with_map: bool = True
    fit: bool = False
    is_moving: bool = False


class SupersededError(Exception):
    """A newer request of the same page has arrived."""


class Laboratory:
    """Computes the answers, one at a time.

    Parameters
    ----------
    experiment
        The experiment with which a page begins: its first optimizer is selected, the next ones are pinned.
    """

    def __init__(self, experiment: Experiment) -> None:
        if len(experiment.surfaces) > 1:
            raise ConfigError.at(
                "surface", f"the laboratory shows one surface: choose {' or '.join(experiment.surfaces)}"
            )
        self.experiment = experiment
        self._engine = threading.Lock()
        self._numbers = threading.Lock()
        self._newest: dict[str, int] = {}
        self._views: dict[int, View] = {}
        self._explorations: dict[str, Exploration] = {}
        self._theories: dict[str, MapTheory | str] = {}
        self._data = {axis.values[0] for axis in experiment.surface.axes.values() if isinstance(axis.values[0], str)}

    # What a page begins with

    def document(self) -> str:
        """Return the page, which contains no result yet."""
        first, *others = self.experiment.optimizers
        names = sorted({*OPTIMIZERS, *(choice.name for choice in self.experiment.optimizers)})  # also torch:AdamW
        header = {
            "name": self.experiment.name,
            "surfaces": sorted(SURFACES),
            "optimizers": {name: [each.name for each in OPTIMIZERS[name].settings()] for name in names},
            "settings": {**_common_settings(self.experiment), **_choice_settings(first)},
            "pins": [_choice_settings(choice) for choice in others[:MOST_PINS]],
        }
        return fill_template(header, "", PROGRAM, is_live=True)

    # Answers

    def answer(self, request: Request, tab: str, number: int) -> dict[str, Any]:
        """Return the header and the encoded arrays with which a page updates its figures.

        Parameters
        ----------
        tab, number
            The page, and the number of its request; older requests of the same page end, also while they are computed.

        Raises
        ------
        ConfigError
            With every problem of the settings, or if they take too long.
        SupersededError
            If the page has sent a newer request.
        PluginError
            If a user's code raises an exception.
        """
        with self._numbers:
            _keep(self._newest, tab, max(number, self._newest.pop(tab, 0)), most=MOST_TABS)
        with self._engine:
            return self._answer(request, self._deadline(lambda: number < self._newest.get(tab, 0)))

    def configuration(self, request: Request) -> tuple[str, str]:
        """Return the name and the text of a configuration of the selected setting and the pinned ones."""
        with self._engine:
            _, chosen = self._selection(request)
            return f"{chosen.name}.yaml", to_yaml(chosen)

    def page(self, request: Request) -> tuple[str, Page]:
        """Return the name and the content of a page without server that shows the selected and the pinned settings."""
        with self._engine:
            _, chosen = self._selection(request)
            return f"{chosen.name}.html", page(chosen, check=self._deadline(lambda: False))

    @staticmethod
    def _deadline(is_superseded: Callable[[], bool]) -> Callable[[], None]:
        """Return a function that raises an error when the time is over or the request is superseded."""
        end = time.monotonic() + MOST_SECONDS

        def check() -> None:
            if is_superseded():
                raise SupersededError
            if time.monotonic() > end:
                message = (
                    f"stopped after {MOST_SECONDS:.0f} s; give fewer iterations or values, or use 'momentumlab run'"
                )
                raise ConfigError.at("iterations", message)

        return check

    def _answer(self, request: Request, check: Callable[[], None]) -> dict[str, Any]:
        check()
        exploration, chosen = self._selection(request)
        payload, experiment = Payload(), exploration.experiment
        (block,) = blocks(experiment)
        index = self._index(request, exploration, block)
        # Run the selected setting and the pinned ones, and choose the window, which may depend on their trajectories.
        result = engine.run(make_plan(chosen), history_bytes=8 * 3 * MOST_RECORDED, check=check)
        check()
        assert result.history is not None
        stride = result.history.stride * -(-len(result.history.losses[0]) // ENTRIES)
        number, view, is_new = self._view(request, result)
        cell = 0
        for axis, i in zip(block.axes, index, strict=True):
            cell = cell * len(axis) + i
        # The selected cell has its trajectories; the final states of all cells are a map, computed only if needed.
        repeats = experiment.repeats
        _, *pins = blocks(chosen)
        selected: dict[str, Any] = {
            **describe_block(block, experiment, index),
            **trajectories(result, slice(0, repeats), view, payload, stride, with_rates=not request.is_moving),
            "firstTrial": cell * repeats,
        }
        if request.with_map:
            every = engine.run(make_plan(experiment), history=False, check=check)
            check()
            selected |= final_states(every, slice(0, block.trials), payload)
            selected |= encode_theory(self._theory(experiment, block), payload)
        pinned = [
            {
                **describe_block(pin, chosen, []),
                **final_states(result, slice(pin.first, pin.first + pin.trials), payload),
                **trajectories(result, slice(pin.first, pin.first + pin.trials), view, payload, stride),
                "name": _label(pin.choice),
            }
            for pin in pins
        ]
        header = {
            **describe(chosen, stride),
            **(view.header(payload) if is_new else {}),
            "view": number,
            "hasMap": request.with_map,
            "blocks": [selected, *pinned],
            "notes": [
                *exploration.notes,
                *([f"One iterate in {stride} is shown, and the last."] if stride > 1 else []),
            ],
            "fields": list(_fields(request.settings, chosen)),
        }
        return {"header": header, "payload": payload.text(level=1)}

    # From settings to experiments

    def _selection(self, request: Request) -> tuple[Exploration, Experiment]:
        """Return the settings of the map, and the experiment of the selected setting and the pinned ones."""
        # The first optimizer is mapped over a refined grid; the pinned ones are single settings beside it.
        asked = self._read(request)
        current, *pins = asked.optimizers
        mapped = replace(asked, optimizers=(current,))
        exploration = self._explore(mapped)
        (block,) = blocks(exploration.experiment)
        index = dict(zip((axis.name for axis in block.axes), self._index(request, exploration, block), strict=True))
        refined = exploration.experiment
        surface = {name.removeprefix("surface."): i for name, i in index.items() if name.startswith("surface.")}
        chosen = replace(
            refined,
            surface=_single(refined.surface, surface),
            optimizers=(_single(refined.optimizers[0], index), *(_single(pin, {}) for pin in pins)),
        )
        return exploration, chosen

    def _read(self, request: Request) -> Experiment:
        """Read and check an experiment, after refusing whatever could open a file, import a module or take too long."""
        every = (request.settings, *request.pins)
        surface = request.settings.get("surface", "").strip()
        # The optimizers of the experiment may be those of other libraries, which the registry would import.
        own = {choice.name.lower(): choice.name for choice in self.experiment.optimizers}
        names = [settings.get("optimizer", "").strip() for settings in every]
        optimizers = [own.get(name.lower(), name) for name in names]
        if len(request.pins) > MOST_PINS or any(len(settings) > MOST_SETTINGS for settings in every):
            raise ConfigError.at("", "too many settings")
        for key, text in ((key, text) for settings in every for key, text in settings.items()):
            if len(text) > LONGEST_TEXT:
                raise ConfigError.at(key, f"longer than {LONGEST_TEXT:,} characters")
        if not surface or surface.startswith(("{", "[")):
            raise ConfigError.at("surface", "give a name or an expression such as x**2 + 9*y**2")
        known = {self.experiment.surface.name, *own.values()}
        if modules := [name for name in (surface, *optimizers) if ":" in name and name not in known]:
            raise ConfigError.at("", f"a page cannot import modules: '{modules[0][:60]}'")
        if unknown := [name for name in optimizers if name not in OPTIMIZERS]:
            raise ConfigError.at("optimizer", f"unknown optimizer '{unknown[0][:60]}'")
        try:
            self._refuse_files(SURFACES[surface].parameters(), request.settings)
        except UnknownNameError as error:
            raise ConfigError.at("surface", str(error)) from None
        except ConfigError as error:  # of an expression
            problems = [Problem(place=each.place or "surface", message=each.message) for each in error.problems]
            raise ConfigError(problems) from None
        source = {
            "name": self.experiment.name,
            "surface": surface,
            "optimizers": [{"name": name} for name in optimizers],
        }
        experiment = load_experiment(source, _nodes(every, optimizers))
        _check_work(experiment)
        return experiment

    def _refuse_files(self, parameters: Sequence[Parameter], settings: Settings) -> None:
        """Refuse data files, except those of the experiment with which the page began."""
        for parameter in parameters:
            text = settings.get(f"surface.{parameter.name}", "").strip()
            if parameter.is_path and text and text not in parameter.choices and text not in self._data:
                message = f"a page cannot open files; use one of {', '.join(parameter.choices)}"
                raise ConfigError.at(f"surface.{parameter.name}", message)

    def _explore(self, experiment: Experiment) -> Exploration:
        """Refine the axes; the grid does not depend on the start, so that a dragged start keeps it."""
        of_map = (experiment.surface, experiment.optimizers, experiment.dimension, experiment.stopping)
        key = repr((*of_map, experiment.repeats))
        if key not in self._explorations:
            # The finest map that is ready soon enough; if none is, the coarsest must at least stay within the limits.
            for detail in DETAILS:
                found = explore(experiment, detail)
                if found.experiment.trials <= MOST_TRIALS and _seconds(found.experiment) <= MAP_SECONDS:
                    break
            if found.experiment.trials > MOST_TRIALS or _seconds(found.experiment) > MOST_SECONDS:
                message = f"{found.experiment.trials:,} trials take too long here; give fewer iterations or values"
                raise ConfigError.at("iterations", message)
            _keep(self._explorations, key, found)
        kept = self._explorations[key]
        refined = replace(experiment, surface=kept.experiment.surface, optimizers=kept.experiment.optimizers)
        return replace(kept, experiment=refined)

    @staticmethod
    def _index(request: Request, exploration: Exploration, block: Block) -> list[int]:
        """Return the index of the selected setting on each axis: that of the chosen value, or of the nearest number."""
        (current,) = exploration.current
        index = []
        for axis in block.axes:
            texts, chosen = [typed_value(value) for value in axis.values], request.chosen.get(axis.name, "")
            if chosen in texts:
                index.append(texts.index(chosen))
            elif axis.numbers is not None and NUMBER.fullmatch(chosen):
                index.append(int(np.abs(axis.numbers - float(chosen)).argmin()))
            else:
                index.append(current.get(axis.name, 0))
        return index

    # What does not change while a start is dragged

    def _theory(self, experiment: Experiment, block: Block) -> MapTheory | str:
        key = repr((experiment.surface, block.choice, experiment.dimension))
        if key not in self._theories:
            _keep(self._theories, key, map_theory(experiment, block))
        return self._theories[key]

    def _view(self, request: Request, result: Result) -> tuple[int, View, bool]:
        """Return a view with its number, and whether it is new to the page."""
        chosen = result.experiment
        if request.view in self._views and not request.fit:
            view = self._views[request.view]
            is_same = (view.experiment.surface, view.experiment.dimension) == (chosen.surface, chosen.dimension)
            if is_same and chosen.dimension > 2 and not request.with_map:
                return request.view, view, False
            if is_same and chosen.dimension <= 2:
                starts, (low, high) = chosen.starts.array(chosen.first_surface).T, np.array(view.window).T
                if ((starts >= low) & (starts <= high)).all():
                    return request.view, view, False
        view, number = make_view(result, fit=request.fit), max(self._views, default=0) + 1
        _keep(self._views, number, view)
        return number, view, True


Key = TypeVar("Key")
Kept = TypeVar("Kept")


def _keep(kept: dict[Key, Kept], key: Key, value: Kept, most: int = KEPT) -> None:
    """Store a value, and remove the oldest one if there are more than ``most``."""
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def _nodes(every: Sequence[Settings], optimizers: Sequence[str]) -> list[ConfigNode]:
    """Return the nodes of all settings except the names of the surface and the optimizers.

    Raises
    ------
    ConfigError
        With every setting that is unknown or cannot be read.
    """
    nodes: list[ConfigNode] = []
    problems: list[Problem] = []
    for number, (settings, name) in enumerate(zip(every, optimizers, strict=True)):
        paths = {each.name: f"optimizers.{number}.{each.name}" for each in OPTIMIZERS[name].settings()}
        if number == 0:
            paths |= {key: key for key, _, _ in COMMON}
            paths |= {key: key for key in settings if key.startswith("surface.")}
        for key, text in settings.items():
            if key not in ("surface", "optimizer") and text.strip():
                try:
                    nodes.append(parse_setting(text, key, paths[key]))
                except KeyError:
                    problems.append(Problem(place=key, message="unknown setting"))
                except ConfigError as error:
                    problems += error.problems
    if problems:
        raise ConfigError(problems)
    return nodes


def _single(choice: Choice, index: Mapping[str, int]) -> Choice:
    """Return a choice with one value on each axis: that of the index, or the first."""
    axes = {name: Axis(values=(axis.values[index.get(name, 0)],)) for name, axis in choice.axes.items()}
    return replace(choice, axes=axes)


def _seconds(experiment: Experiment) -> float:
    return make_plan(experiment).most_seconds


def _check_work(experiment: Experiment) -> None:
    """Raise an error if a single setting of an experiment takes too long or too much memory.

    Raises
    ------
    ConfigError
        With the setting that must be reduced.
    """
    stopping, dimension, repeats = experiment.stopping, experiment.dimension, experiment.repeats
    entries = min(stopping.iterations + 1, ENTRIES)
    problem = None
    if repeats > MOST_REPEATS:
        problem = Problem(place="start", message=f"{repeats:,} starts and replicates are too many here: {MOST_REPEATS}")
    elif experiment.first_surface.work > MOST_WORK or repeats * entries * dimension > MOST_RECORDED:
        problem = Problem(place="surface", message="too large for a live page; use 'momentumlab run'")
    else:
        single = replace(experiment, optimizers=tuple(_single(choice, {}) for choice in experiment.optimizers))
        seconds = _seconds(replace(single, surface=_single(experiment.surface, {})))
        if seconds > MOST_SECONDS:
            message = f"one trajectory takes about {seconds:.0f} s, at most {MOST_SECONDS:.0f} s are allowed here"
            problem = Problem(place="iterations", message=message)
    if problem is not None:
        raise ConfigError([problem])


# Texts of settings


def _common_settings(experiment: Experiment) -> dict[str, str]:
    """Return the texts of the settings that do not belong to an optimizer; empty where they are the default."""
    surface, stopping, starts = experiment.first_surface, experiment.stopping, experiment.starts
    start = str(starts)
    if isinstance(starts, Points):
        default = (surface.default_start(surface.default_dimension),)
        start = "" if starts.points == default else str([list(point) for point in starts.points])
    bounds = (stopping.tolerance, stopping.gradient_tolerance, stopping.target_loss)
    return {
        "surface": experiment.surface.name,
        **{f"surface.{key}": text for key, text in _axis_texts(experiment.surface, surface.parameters()).items()},
        "start": start,
        "iterations": str(stopping.iterations),
        **dict(zip(("tolerance", "gradient_tolerance", "target_loss"), map(_optional, bounds), strict=True)),
        "patience": str(stopping.patience),
        "noise": "" if experiment.noise is None else str(experiment.noise),
        "replicates": str(experiment.replicates),
        "seed": str(experiment.seed),
    }


def _choice_settings(choice: Choice) -> dict[str, str]:
    """Return the texts of the settings of an optimizer; empty where they are the default."""
    return {"optimizer": choice.name, **_axis_texts(choice, OPTIMIZERS[choice.name].settings())}


def _axis_texts(choice: Choice, parameters: Sequence[Parameter]) -> dict[str, str]:
    defaults = {parameter.name: parameter.default for parameter in parameters}
    return {
        name: "" if axis.values == (defaults[name],) and name != "lr" else _axis_text(axis)
        for name, axis in choice.axes.items()
    }


def _axis_text(axis: Axis) -> str:
    texts = [typed_value(value) for value in axis.values]
    return axis.spelling or (texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")


def _optional(bound: float | None) -> str:
    return "" if bound is None else repr(bound)


def _fields(settings: Settings, chosen: Experiment) -> Iterator[dict[str, str]]:
    """Yield key, label, text and explanation of every setting, in the order in which a page shows them."""
    current = chosen.optimizers[0]
    declared = [
        *(("surface.", parameter, chosen.surface) for parameter in type(chosen.first_surface).parameters()),
        *(("", parameter, current) for parameter in OPTIMIZERS[current.name].settings()),
    ]
    for prefix, parameter, choice in declared:
        key = prefix + parameter.name
        axis = choice.axes.get(parameter.name, Axis(values=(parameter.default,)))  # none for an unused lr_schedule
        text = settings.get(key, "").strip() or typed_value(axis.values[0])
        label = SYMBOLS.get(parameter.name, parameter.name)
        yield {"key": key, "label": label, "text": text, "help": parameter.doc}
    first = chosen.starts.array(chosen.first_surface)[:, 0]
    start = str(first.round(6).tolist())
    for key, label, explanation in COMMON:
        text = settings.get(key, "") or (start if key == "start" and chosen.dimension <= 4 else "")
        yield {"key": key, "label": label, "text": text, "help": explanation}


def _label(choice: Choice) -> str:
    """Return the name of a pinned setting: the optimizer and the hyperparameters that are not the default."""
    texts = {key: text for key, text in _axis_texts(choice, OPTIMIZERS[choice.name].settings()).items() if text}
    return ", ".join([choice.name, *(f"{SYMBOLS.get(key, key)} = {text}" for key, text in texts.items())])
