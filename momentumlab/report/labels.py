"""Names for trials: tables and legends say what differs between them, titles what is common."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from momentumlab.experiment import Choice, Experiment, Setting
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import Plan, Trial
from momentumlab.schedules import Schedule
from momentumlab.surfaces import SURFACES

ALWAYS_TOLD = ("lr", "beta")
"""What a title tells even where it is the default."""

LONGEST_NAME = 60

SYMBOLS = {"beta": "β", "beta1": "β₁", "beta2": "β₂", "alpha": "α", "eps": "ε"}


def varying_hyperparameters(experiment: Experiment) -> list[str]:
    """The hyperparameters by which trials can be told apart, in the order of their declaration.

    Those with several values for one optimizer, and those that differ between optimizers, unless every optimizer just
    has its own default.
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


def varying_surface_parameters(experiment: Experiment) -> list[str]:
    """The parameters of the surface that have several values."""
    return [name for name, axis in experiment.surface.axes.items() if len(axis) > 1]


class Labels:
    """Short labels for the trials of one experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.hyperparameters = varying_hyperparameters(experiment)
        self.surface_parameters = varying_surface_parameters(experiment)
        self.optimizers = len({choice.name for choice in experiment.optimizers}) > 1
        self.starts = len(experiment.starts) > 1

    def of(self, trial: Trial) -> str:
        """What tells this trial from the others: ``momentum, β = 0.8``; the optimizer's name if nothing varies."""
        parts = self._method(trial) + ([f"from {point(trial.start)}"] if self.starts else [])
        return ", ".join(parts) or trial.optimizer

    def method(self, trial: Trial) -> str:
        """The same without the start."""
        return ", ".join(self._method(trial)) or trial.optimizer

    def _method(self, trial: Trial) -> list[str]:
        parts = [trial.optimizer] if self.optimizers else []
        parts += self._settings(trial.hyperparameters.items(), self.hyperparameters)
        return parts + self._surface_settings(trial, self.surface_parameters)

    def surface(self, trial: Trial) -> str:
        """The surface with those of its parameters that all trials share and that are not the default."""
        declared = {parameter.name: parameter.default for parameter in SURFACES[trial.surface].parameters()}
        own = [name for name, value in trial.surface_parameters.items() if value != declared[name]]
        told = [name for name in own if name not in self.surface_parameters]
        settings = ", ".join(self._surface_settings(trial, told))
        name = brief(trial.surface)
        return f"{name} ({settings})" if settings else name

    def common(self, trial: Trial) -> str:
        """What all trials have in common: ``ravine · momentum, lr = 0.1``."""
        shared = [] if self.optimizers else [trial.optimizer]
        shared += self._settings(self._shared().items(), self._shared())
        return " · ".join(filter(None, (self.surface(trial), ", ".join(shared), self._luck())))

    def _luck(self) -> str:
        """The noise and how often it was tried."""
        noise, replicates = self.experiment.noise, self.experiment.replicates
        numbers = ", ".join(short(number) for number in noise.numbers) if noise else ""
        told = [f"{noise.name.replace('_', '-')} noise ({numbers})"] if noise else []
        return ", ".join([*told, *([f"{replicates:,} replicates"] if replicates > 1 else [])])

    def _shared(self) -> dict[str, Setting]:
        """The hyperparameters that are the same for all optimizers that have them, but for ordinary defaults."""
        shared: dict[str, Setting] = {}
        for name in _hyperparameters(self.experiment):
            values = dict(_values_by_optimizer(self.experiment, name))
            distinct = set().union(*values.values())
            ordinary = all(own == {_default(optimizer, name)} for optimizer, own in values.items())
            if len(distinct) == 1 and (name in ALWAYS_TOLD or not ordinary):
                shared[name] = distinct.pop()
        return shared

    @staticmethod
    def _settings(items: Iterable[tuple[str, Setting]], names: Iterable[str]) -> list[str]:
        return [f"{SYMBOLS.get(name, name)} = {short(value)}" for name, value in items if name in names]

    def _surface_settings(self, trial: Trial, names: Iterable[str]) -> list[str]:
        """The same for a surface; of the path of a file its last part."""
        paths = {parameter.name for parameter in SURFACES[trial.surface].parameters() if parameter.is_path}
        settings = trial.surface_parameters.items()
        return self._settings(((key, Path(str(v)).name if key in paths else v) for key, v in settings), names)


def brief(name: str) -> str:
    """The name of a surface for a title: of a long expression its beginning."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"


def repeats(experiment: Experiment) -> str:
    """How often each setting was tried: ``20 starts × 32 replicates``; empty if once."""
    counts = ((len(experiment.starts), "starts"), (experiment.replicates, "replicates"))
    return " × ".join(f"{count:,} {what}" for count, what in counts if count > 1)


def setup(plan: Plan) -> str:
    """Return surface, starts and iteration limit: ``ravine, from (-2, 0.4), at most 1,000 iterations``."""
    trial = plan.trial(0)
    starts = repeats(plan.experiment) or f"from {point(trial.start)}"
    return f"{Labels(plan.experiment).surface(trial)}, {starts}, at most {plan.stopping.iterations:,} iterations"


def axis_name(name: str) -> str:
    """The name of a hyperparameter with its symbol, if it has one."""
    return SYMBOLS.get(name, name)


def short(value: Setting) -> str:
    """A value at a readable precision; a schedule as it is spelled."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(short, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, Schedule)):
        return str(value)
    return f"{value:.4g}"


def point(coordinates: Iterable[float], digits: int = 4) -> str:
    """A point at a readable precision; only the first coordinates of a long one."""
    listed = list(coordinates)
    inner = ", ".join(f"{c:.{digits}g}" for c in listed[:4])
    if len(listed) == 1:
        return inner
    return f"({inner}, … {len(listed)} coordinates)" if len(listed) > 4 else f"({inner})"


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
    return next(parameter.default for parameter in OPTIMIZERS[optimizer].parameters() if parameter.name == name)
