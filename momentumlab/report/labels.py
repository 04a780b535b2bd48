"""Names of trials: tables and legends show what differs between them, titles what they have in common.

Settings in tables are exact: typed back in, they give the same trial. Labels of trials, as in legends, and tables of
sweeps round a hyperparameter to the fewest digits (at least `DIGITS`) that distinguish its values. Results are rounded.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from momentumlab.experiment import Choice, Experiment, OwnStarts, Setting
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Array
from momentumlab.plan import Plan, Trial
from momentumlab.surfaces import SURFACES, Surface

ALWAYS_IN_TITLE = ("lr", "beta")
"""Hyperparameters that a title shows even if they have their default value."""

LONGEST_NAME = 60
"""Longer surface names, such as expressions, are shortened in titles."""

DIGITS = 4

MAX_DIGITS = 17
"""With this many digits, no two floats are equal."""

MAX_COORDINATES = 4
"""For longer points, only the first coordinates are shown."""

MANY_COORDINATES = 10
"""For final points with more coordinates, tables show the norm."""

SYMBOLS = {"beta": "β", "beta1": "β₁", "beta2": "β₂", "alpha": "α", "eps": "ε"}


def varying_hyperparameters(experiment: Experiment) -> list[str]:
    """Return the hyperparameters that distinguish trials, in the order of their declaration.

    These have several values for one optimizer, or differ between optimizers and not merely by their defaults.
    """
    varying = []
    for name in _hyperparameters(experiment):
        values = dict(_values_by_optimizer(experiment, name))
        several = any(len(own) > 1 for own in values.values())
        differ = len(set().union(*values.values())) > 1
        defaults = all(own == {_default(optimizer, name)} for optimizer, own in values.items())
        if several or (differ and not defaults):
            varying.append(name)
    return varying


class Labels:
    """Short labels for the trials of one experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.hyperparameters = varying_hyperparameters(experiment)
        self.surface_parameters = [name for name, axis in experiment.surface.axes.items() if len(axis) > 1]
        self.optimizers = len({choice.name for choice in experiment.optimizers}) > 1
        self.starts = len(experiment.starts) > 1
        self._digits: dict[str, int] = {}

    def of(self, trial: Trial) -> str:
        """Return what distinguishes a trial: ``momentum, β = 0.8``; the optimizer's name if nothing varies."""
        parts = self._method(trial) + ([f"from {point(trial.start)}"] if self.starts else [])
        return ", ".join(parts) or trial.optimizer

    def method(self, trial: Trial) -> str:
        """Return the same without the start."""
        return ", ".join(self._method(trial)) or trial.optimizer

    def in_figure(self, trial: Trial, *, with_start: bool = True) -> str:
        """Return the distinguishing settings of a trial and those that not all optimizers have."""
        parts = self._method(trial)
        for name, (value, optimizers) in self._shared().items():
            if trial.optimizer in optimizers and len(optimizers) < self._optimizer_count:
                parts.append(f"{axis_name(name)} = {short(value)}")
        if self.starts and with_start:
            parts.append(f"from {point(trial.start)}")
        return ", ".join(parts) or trial.optimizer

    def surface(self, trial: Trial) -> str:
        """Return the surface with the parameters that all trials share and that are not the default."""
        declared = {parameter.name: parameter.default for parameter in SURFACES[trial.surface].parameters()}
        shared = [
            f"{axis_name(name)} = {exact(value)}"
            for name, value in self._surface_settings(trial).items()
            if name not in self.surface_parameters and trial.surface_parameters[name] != declared[name]
        ]
        name = brief(", ".join(self.experiment.surfaces))
        return f"{name} ({', '.join(shared)})" if shared else name

    def common(self, trial: Trial, *, in_figure: bool = False) -> str:
        """Return what trials have in common: ``ravine · momentum, lr = 0.1``.

        A setting that only some optimizers have is followed by their names. In a figure it is left out, and numbers are
        rounded.
        """
        shared = [] if self.optimizers else [trial.optimizer]
        for name, (value, optimizers) in self._shared().items():
            is_common = len(optimizers) == self._optimizer_count
            if is_common or not in_figure:
                who = "" if is_common else f" ({', '.join(optimizers)})"
                shared.append(f"{axis_name(name)} = {short(value) if in_figure else exact(value)}{who}")
        noise = self._noise(short if in_figure else exact)
        return " · ".join(filter(None, (self.surface(trial), ", ".join(shared), noise)))

    def _method(self, trial: Trial) -> list[str]:
        parts = [trial.optimizer] if self.optimizers else []
        settings: dict[str, Setting | None] = {name: trial.hyperparameters.get(name) for name in self.hyperparameters}
        settings |= {name: self._surface_settings(trial)[name] for name in self.surface_parameters}
        return parts + [
            f"{axis_name(name)} = {short(value, self._digits_of(name))}"
            for name, value in settings.items()
            if value is not None
        ]

    def _digits_of(self, name: str) -> int:
        if name not in self._digits:
            choices = [self.experiment.surface, *self.experiment.optimizers]
            self._digits[name] = digits_apart(
                value for choice in choices if name in choice.axes for value in choice.axes[name].values
            )
        return self._digits[name]

    def _noise(self, text_of: Callable[[float], str]) -> str:
        """Return the noise model and the number of replicates."""
        noise, replicates = self.experiment.noise, self.experiment.replicates
        numbers = ", ".join(map(text_of, noise.numbers)) if noise else ""
        parts = [f"{noise.name.replace('_', '-')} noise ({numbers})"] if noise else []
        return ", ".join([*parts, *([f"{replicates:,} replicates"] if replicates > 1 else [])])

    def _shared(self) -> dict[str, tuple[Setting, list[str]]]:
        """Return hyperparameters with one value for all optimizers that have them, and these optimizers.

        Ordinary defaults are left out.
        """
        shared: dict[str, tuple[Setting, list[str]]] = {}
        for name in _hyperparameters(self.experiment):
            values = dict(_values_by_optimizer(self.experiment, name))
            distinct = set().union(*values.values())
            ordinary = all(own == {_default(optimizer, name)} for optimizer, own in values.items())
            if len(distinct) == 1 and (name in ALWAYS_IN_TITLE or not ordinary):
                shared[name] = distinct.pop(), list(values)
        return shared

    @property
    def _optimizer_count(self) -> int:
        return len({choice.name for choice in self.experiment.optimizers})

    @staticmethod
    def _surface_settings(trial: Trial) -> dict[str, Setting]:
        """Return the parameters of the surface, with file names instead of paths."""
        paths = {parameter.name for parameter in SURFACES[trial.surface].parameters() if parameter.is_path}
        return {
            name: Path(str(value)).name if name in paths else value for name, value in trial.surface_parameters.items()
        }


def brief(name: str) -> str:
    """Return a surface name for a title, shortened if it is a long expression."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"


def minimum_name(surface: Surface) -> str:
    """Return what figures call the lowest minimum of a surface, which may have been found numerically."""
    return "known minimum" if surface.minima_are == "known" else "lowest minimum found"


def repeats(experiment: Experiment) -> str:
    """Return the number of runs per setting: ``20 starts × 32 replicates``; empty if there is one."""
    counts = ((len(experiment.starts), "starts"), (experiment.replicates, "replicates"))
    return " × ".join(f"{count:,} {what}" for count, what in counts if count > 1)


def setup(plan: Plan) -> str:
    """Return surface, starts and iteration limit: ``ravine, from (-2, 0.4), at most 1,000 iterations``."""
    trial, stopping = plan.trial(0), plan.stopping
    own = isinstance(plan.experiment.starts, OwnStarts)
    starts = repeats(plan.experiment) or ("from their default starts" if own else f"from {exact_point(trial.start)}")
    patience = f", tolerance met {stopping.patience} times in a row" if stopping.patience > 1 else ""
    return f"{Labels(plan.experiment).surface(trial)}, {starts}, at most {stopping.iterations:,} iterations{patience}"


def axis_name(name: str) -> str:
    """Return the symbol of a hyperparameter, or its name if it has none."""
    return SYMBOLS.get(name, name)


def exact(value: Setting) -> str:
    """Return the shortest text that reads back as the same value."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(exact, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def short(value: Setting, digits: int = DIGITS) -> str:
    """Return a value rounded to some digits; a schedule as it is written."""
    if isinstance(value, tuple):
        return f"[{', '.join(short(each, digits) for each in value)}]"
    return f"{value:.{digits}g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else exact(value)


def digits_apart(values: Iterable[Setting]) -> int:
    """Return the fewest digits, at least `DIGITS`, that distinguish all values."""
    distinct, digits = set(values), DIGITS
    while digits < MAX_DIGITS and len({short(value, digits) for value in distinct}) < len(distinct):
        digits += 1
    return digits


def point(coordinates: Iterable[float], digits: int = DIGITS) -> str:
    """Return a point with rounded coordinates."""
    listed = list(coordinates)
    return _point([f"{each:.{digits}g}" for each in listed[:MAX_COORDINATES]], len(listed))


def final_point(coordinates: Sequence[float] | Array) -> str:
    """Return a point for a table of results: the norm and the dimension if it has many coordinates, else `point`."""
    if len(coordinates) <= MANY_COORDINATES:
        return point(coordinates)
    return f"norm {math.hypot(*coordinates):.{DIGITS}g} ({len(coordinates)}-D)"


def exact_point(coordinates: Iterable[float]) -> str:
    """Return a point with exact coordinates."""
    listed = list(coordinates)
    return _point([exact(float(each)) for each in listed[:MAX_COORDINATES]], len(listed))


def _point(texts: Sequence[str], dimension: int) -> str:
    inner = ", ".join(texts)
    if dimension == 1:
        return inner
    return f"({inner}, … {dimension} coordinates)" if dimension > len(texts) else f"({inner})"


def _hyperparameters(experiment: Experiment) -> list[str]:
    return list(dict.fromkeys(name for choice in experiment.optimizers for name in choice.axes))


def _values_by_optimizer(experiment: Experiment, name: str) -> Iterator[tuple[str, set[Setting]]]:
    by_optimizer: dict[str, list[Choice]] = {}
    for choice in experiment.optimizers:
        if name in choice.axes and name not in experiment.idle_hyperparameters(choice.name):
            by_optimizer.setdefault(choice.name, []).append(choice)
    for optimizer, choices in by_optimizer.items():
        yield optimizer, {value for choice in choices for value in choice.axes[name].values}


def _default(optimizer: str, name: str) -> Any:
    return next(parameter.default for parameter in OPTIMIZERS[optimizer].settings() if parameter.name == name)
