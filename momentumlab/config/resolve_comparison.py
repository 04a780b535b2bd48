"""Resolve a tree of nodes to a `Comparison`: one experiment per surface, whose axes are searched."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from momentumlab.config.resolve import resolve
from momentumlab.config.settings import COMPARING, COMPARISON_SETTINGS, COMPONENTS, SETTINGS, read_settings
from momentumlab.config.values import is_tuned
from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import Problems
from momentumlab.experiment import (
    DEFAULT_OPTIMIZERS,
    HALVED_SETTINGS,
    HALVING,
    SEARCH_PATIENCE,
    Axis,
    Comparison,
    Experiment,
    Objective,
)
from momentumlab.search.halving import first_rungs

DEFAULT_SURFACE = "ravine"


def is_comparison(root: ConfigNode) -> bool:
    """Whether a configuration describes a comparison: it has a key that only comparisons have, or tunes a value."""
    if not isinstance(root.value, dict):
        return False
    given = root.value.get("optimizers", root.value.get("optimizer"))
    entries = given.value if given is not None and isinstance(given.value, list) else [given]
    settings = [root.value, *(entry.value for entry in entries if entry is not None and isinstance(entry.value, dict))]
    other = {*SETTINGS, *COMPONENTS}  # an experiment may have the name 'tuned'
    tunes = any(is_tuned(node.value) for each in settings for key, node in each.items() if key not in other)
    return tunes or bool(root.value.keys() & {*COMPARING})


def resolve_comparison(root: ConfigNode, default_name: str) -> Comparison:
    """Check and complete a configuration.

    Parameters
    ----------
    root
        The whole configuration: that of an experiment with several surfaces, ``objective``, ``budget``, ``zooms`` and
        ``accuracy``. The best combination of the axes of each optimizer is chosen.
    default_name
        The comparison's name if the configuration sets none.

    Raises
    ------
    ConfigError
        With every problem, each at its place.
    """
    if not isinstance(root.value, dict):
        resolve(root, default_name)  # raises the error
    tree = {key: node for key, node in root.value.items() if node.value is not None}
    problems = Problems()
    nodes = {key: tree.pop(key) for key in COMPARISON_SETTINGS if key in tree}
    settings = read_settings(COMPARISON_SETTINGS, nodes, problems)
    if not {"optimizer", "optimizers"} & tree.keys():
        tree["optimizers"] = ConfigNode(
            value=[ConfigNode(value=name, place=root.place) for name in DEFAULT_OPTIMIZERS], place=root.place
        )
    halves = settings["search"] == HALVING
    coarse = max(1, settings["budget"] // (settings["zooms"] + 1))
    budget = HALVED_SETTINGS * coarse if halves else coarse
    experiments: list[Experiment] = []
    for surface in _surfaces(tree, root, problems):
        single = replace(root, value={**tree, "surface": surface})
        with problems.collecting():
            resolved = resolve(single, default_name, patience=SEARCH_PATIENCE, budget=budget, halves=halves)
            for experiment in _with_single_surfaces(resolved):
                if experiment.surface in (other.surface for other in experiments):
                    problems.append(surface.problem("this surface is listed twice with the same settings"))
                experiments.append(experiment)
    objective = next(one for one in Objective if one.label == settings["objective"])
    if objective is Objective.ITERATIONS and experiments and not experiments[0].stopping.can_converge:
        remedy = "set target_loss, tolerance or gradient_tolerance"
        message = f"the objective 'iterations' needs a convergence criterion: {remedy}"
        problems.append(nodes["objective"].problem(message))
    problems.check()
    comparison = Comparison(
        name=experiments[0].name,
        experiments=tuple(experiments),
        objective=objective,
        budget=settings["budget"],
        zooms=settings["zooms"],
        accuracy=settings["accuracy"],
        search=settings["search"],
    )
    if halves:
        with problems.collecting(nodes["search"].problem):
            for experiment in experiments:
                for choice in experiment.optimizers:
                    first_rungs(comparison, experiment, choice)
        problems.check()
    return comparison


def _surfaces(tree: dict[str, ConfigNode], root: ConfigNode, problems: Problems) -> list[ConfigNode]:
    """Remove the surfaces from the tree and return the node of each."""
    given = [tree.pop(key) for key in ("surface", "surfaces") if key in tree]
    if len(given) > 1:
        problems.append(given[1].key_problem("both 'surface' and 'surfaces' are given"))
    if not given:
        return [ConfigNode(value=DEFAULT_SURFACE, place=root.place, path="surface")]
    if not isinstance(given[0].value, list):
        return [given[0]]
    if not given[0].value:
        problems.append(given[0].problem("has no values"))
    return list(given[0].value)


def _with_single_surfaces(experiment: Experiment) -> Iterator[Experiment]:
    """Return an experiment for each combination of the surface's parameters."""
    axes = experiment.surface.axes
    for combination in itertools.product(*(axis.values for axis in axes.values())):
        single = {name: Axis(values=(value,)) for name, value in zip(axes, combination, strict=True)}
        yield replace(experiment, surface=replace(experiment.surface, axes=single))
