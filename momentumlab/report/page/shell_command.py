"""The command that reproduces one setting of a page."""

import shlex
from collections.abc import Iterator
from typing import Any

from momentumlab.experiment import Choice, Experiment, Points, Setting, entries_of
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plugins import needed_plugins, shown_path
from momentumlab.surfaces import SURFACES

MOST_COORDINATES = 100
"""Maximum number of coordinates of a start in a command."""


def shell_command(experiment: Experiment, choice: Choice) -> str:
    """Return the command for one optimizer; the page appends the values of axes and the start."""
    words = ["momentumlab", "run"]
    for plugin in needed_plugins(entries_of(experiment)):
        words += ["--plugin", shown_path(str(plugin.path))]
    words += ["--surface", experiment.surface.name]
    words += _settings(experiment.surface, SURFACES[experiment.surface.name], prefix="surface.")
    words += ["--optimizer", choice.name]
    words += _settings(choice, OPTIMIZERS[choice.name])
    stopping = experiment.stopping
    words += ["--iterations", str(stopping.iterations)]
    for option, bound in (
        ("--tolerance", stopping.tolerance),
        ("--patience", stopping.patience if stopping.patience > 1 else None),
        ("--gradient-tolerance", stopping.gradient_tolerance),
        ("--target-loss", stopping.target_loss),
    ):
        words += [] if bound is None else [option, repr(bound)]
    words += [] if experiment.noise is None else ["--noise", str(experiment.noise)]
    if experiment.is_random:
        words += ["--replicates", str(experiment.replicates), "--seed", str(experiment.seed)]
    return shlex.join(words)


def start_options(experiment: Experiment) -> list[str] | None:
    """Return the option for each start: empty for the surface's own; ``None`` if a start is too long to be typed."""
    surface = experiment.first_surface
    if experiment.starts == Points(points=(surface.default_start(surface.default_dimension),)):
        return [""]
    if experiment.dimension > MOST_COORDINATES:
        return None
    starts = experiment.starts.array(surface).T.tolist()
    return [f"--start={','.join(map(repr, start))}" for start in starts]


def option_words(name: str, value: str) -> list[str]:
    """Return the words that set a hyperparameter or a parameter of the surface."""
    return [f"--{name}", value] if name in ("lr", "beta") else ["--set", f"{name}={value}"]


def typed_value(value: Setting) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, tuple):
        return f"[{','.join(map(repr, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _settings(choice: Choice, declared: Any, prefix: str = "") -> Iterator[str]:
    """Yield the words for the parameters with one value that is not the default; lr is always given."""
    defaults = {parameter.name: parameter.default for parameter in declared.parameters()}
    for name, axis in choice.axes.items():
        if len(axis) == 1 and (axis.values[0] != defaults.get(name) or name == "lr"):
            yield from option_words(prefix + name, typed_value(axis.values[0]))
