"""Write an `Experiment` as YAML that reads back as the same experiment."""

from dataclasses import replace
from typing import Any

import yaml

from momentumlab.calls import read_scalar
from momentumlab.config.expressions import spelled
from momentumlab.config.requirements import requirement_comments
from momentumlab.experiment import GRID, Axis, Choice, Comparison, Experiment, OwnStarts, Points, Random, Setting
from momentumlab.schedules.base import Schedule


def to_yaml(experiment: Experiment | Comparison) -> str:
    """Return the resolved experiment with all defaults; numbers read back exactly.

    Comments at its head name the required plug-ins.
    """
    text: str = yaml.dump(
        to_dict(experiment), Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    return "".join(f"{comment}\n" for comment in requirement_comments(experiment)) + text


class _Dumper(yaml.SafeDumper):
    """Quotes every string that would be read as another value, such as a name ``1e5``."""


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_plain = read_scalar(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _string)


def to_dict(experiment: Experiment | Comparison) -> dict[str, Any]:
    """Return the resolved experiment as plain data."""
    if isinstance(experiment, Comparison):
        first = experiment.experiments[0]
        return {
            **to_dict(first),
            "surface": [_choice(each.surface, spelled(each.surface.name)) for each in experiment.experiments],
            "start": _common_starts(experiment),
            "objective": experiment.objective.label,
            "budget": experiment.budget,
            "zooms": experiment.zooms,
            **({} if experiment.search == GRID else {"search": experiment.search}),
            "accuracy": experiment.accuracy,
        }
    stopping = experiment.stopping
    return {
        "name": experiment.name,
        "surface": experiment.surfaces if len(experiment.surfaces) > 1 else _surface(experiment),
        "optimizers": [_choice(optimizer, {"name": optimizer.name}) for optimizer in experiment.optimizers],
        "start": _starts(experiment),
        "iterations": stopping.iterations,
        "tolerance": stopping.tolerance,
        **({} if stopping.tolerance is None else {"patience": stopping.patience}),
        "gradient_tolerance": stopping.gradient_tolerance,
        "target_loss": stopping.target_loss,
        **({} if stopping.evaluate_every == 1 else {"evaluate_every": stopping.evaluate_every}),
        **({"noise": str(experiment.noise)} if experiment.noise else {}),
        **({"replicates": experiment.replicates, "seed": experiment.seed} if experiment.is_random else {}),
        **({"record": list(experiment.record)} if experiment.record else {}),
        **({"backend": experiment.backend} if experiment.backend != "auto" else {}),
    }


def _surface(experiment: Experiment) -> Any:
    return _choice(experiment.surface, spelled(experiment.surface.name))


def _choice(choice: Choice, named: dict[str, Any]) -> Any:
    if not choice.axes and named.keys() == {"name"}:
        return choice.name
    return {**named, **{key: _axis(axis) for key, axis in choice.axes.items()}}


def _axis(axis: Axis) -> Any:
    if axis.spelling is not None:
        return axis.spelling
    values = [_plain(value) for value in axis.values]
    return values[0] if len(values) == 1 else values


def _plain(value: Setting) -> Any:
    if isinstance(value, Schedule):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _common_starts(comparison: Comparison) -> Any:
    """Return one spelling of the starts of all surfaces; ``None`` if each has its own default start."""
    first, *others = (experiment.starts for experiment in comparison.experiments)
    if all(starts == first for starts in others):
        return _starts(comparison.experiments[0])
    if isinstance(first, Random):  # the surfaces differ in their number of coordinates
        return str(replace(first, dimension=0))
    return None


def _starts(experiment: Experiment) -> Any:
    starts = experiment.starts
    if isinstance(starts, OwnStarts):
        return None
    if not isinstance(starts, Points):
        return str(starts)
    points = [list(point) for point in starts.points]
    return points[0] if len(points) == 1 else points
