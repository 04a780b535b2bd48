"""From a tree of values to a `Comparison`: an experiment per surface, whose axes are to be searched."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from pydantic import ValidationError

from momentumlab.config import grammar
from momentumlab.config.resolve import COMPARING, COMPONENTS, SETTINGS, resolve
from momentumlab.config.tree import Node
from momentumlab.config.validation import ComparisonSettings, problems_of
from momentumlab.errors import ConfigError, Problem
from momentumlab.experiment import Axis, Comparison, Experiment, Objective

DEFAULT_SURFACE = "ravine"
DEFAULT_OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


def is_comparison(root: Node) -> bool:
    """Whether a configuration asks for a comparison: it has a key of its own for it, or tunes something."""
    if not isinstance(root.value, dict):
        return False
    given = root.value.get("optimizers", root.value.get("optimizer"))
    entries = given.value if given is not None and isinstance(given.value, list) else [given]
    settings = [root.value, *(entry.value for entry in entries if entry is not None and isinstance(entry.value, dict))]
    other = {*SETTINGS, *COMPONENTS}  # an experiment may be called 'tuned', too
    tunes = any(grammar.is_tuned(node.value) for each in settings for key, node in each.items() if key not in other)
    return tunes or bool(root.value.keys() & {*COMPARING})


def resolve_comparison(root: Node, default_name: str) -> Comparison:
    """Check and complete what a person wrote.

    Parameters
    ----------
    root
        The whole configuration: what an experiment has, and ``objective``, ``budget``, ``accuracy``. There may be
        several surfaces; of all axes of an optimizer the best combination is chosen.
    default_name
        The comparison's name if it gives itself none.

    Raises
    ------
    ConfigError
        With every problem that was found, each at its place.
    """
    if not isinstance(root.value, dict):
        resolve(root, default_name)  # says what is wrong with it
    tree = {key: node for key, node in root.value.items() if node.value is not None}
    problems: list[Problem] = []
    nodes = {key: tree.pop(key) for key in ComparisonSettings.model_fields if key in tree}
    settings = ComparisonSettings()
    try:
        settings = ComparisonSettings.model_validate({key: node.plain() for key, node in nodes.items()})
    except ValidationError as error:
        problems += problems_of(error, nodes)
    if not {"optimizer", "optimizers"} & tree.keys():
        tree["optimizers"] = Node(
            value=[Node(value=name, place=root.place) for name in DEFAULT_OPTIMIZERS], place=root.place
        )
    coarse = max(1, settings.budget // (settings.zooms + 1))
    experiments: list[Experiment] = []
    for surface in _surfaces(tree, root, problems):
        single = replace(root, value={**tree, "surface": surface})
        try:
            for experiment in _with_single_surfaces(resolve(single, default_name, budget=coarse)):
                if experiment.surface in (other.surface for other in experiments):
                    problems.append(surface.problem("this surface is listed twice with the same settings"))
                experiments.append(experiment)
        except ConfigError as error:
            problems += error.problems
    objective = next(one for one in Objective if one.label == settings.objective)
    problems += _stopping_problems(objective, experiments, nodes)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Comparison(
        name=experiments[0].name,
        experiments=tuple(experiments),
        objective=objective,
        budget=settings.budget,
        zooms=settings.zooms,
        accuracy=settings.accuracy,
    )


def _surfaces(tree: dict[str, Node], root: Node, problems: list[Problem]) -> list[Node]:
    """The node of each surface; they leave the tree."""
    given = [tree.pop(key) for key in ("surface", "surfaces") if key in tree]
    if len(given) > 1:
        problems.append(given[1].key_problem("both 'surface' and 'surfaces' are given"))
    if not given:
        return [Node(value=DEFAULT_SURFACE, place=root.place, path="surface")]
    if not isinstance(given[0].value, list):
        return [given[0]]
    if not given[0].value:
        problems.append(given[0].problem("has no values"))
    return list(given[0].value)


def _with_single_surfaces(experiment: Experiment) -> Iterator[Experiment]:
    """An experiment for each combination of the surface's parameters."""
    axes = experiment.surface.axes
    for combination in itertools.product(*(axis.values for axis in axes.values())):
        single = {name: Axis(values=(value,)) for name, value in zip(axes, combination, strict=True)}
        yield replace(experiment, surface=replace(experiment.surface, axes=single))


def _stopping_problems(
    objective: Objective, experiments: list[Experiment], nodes: dict[str, Node]
) -> Iterator[Problem]:
    """Iterations to convergence need a test of convergence."""
    if objective is Objective.ITERATIONS and experiments and not experiments[0].stopping.can_converge:
        message = "iterations to what? set target_loss, tolerance or gradient_tolerance, too"
        yield nodes["objective"].problem(message)
