"""Resolve a configuration to a `Comparison`: one experiment per surface, whose axes are searched."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from momentumlab.config.configuration import Configuration
from momentumlab.config.resolve import resolve
from momentumlab.config.settings import COMPARISON_SETTINGS, read_settings
from momentumlab.config.values import is_tuned
from momentumlab.config.yaml_reader import node_of
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


def is_comparison(configuration: Configuration) -> bool:
    """Whether a configuration describes a comparison: it has a key that only comparisons have, or tunes a value."""
    surfaces = configuration.surfaces
    if surfaces.key == "surfaces" or surfaces.conflict or configuration.settings.keys() & COMPARISON_SETTINGS.keys():
        return True
    mappings = [configuration.shared, *(entry.value for entry in configuration.optimizers.items)]
    return any(is_tuned(node.value) for each in mappings for node in each.values())


def resolve_comparison(configuration: Configuration, default_name: str) -> Comparison:
    """Check and complete a configuration.

    Parameters
    ----------
    configuration
        The whole configuration: that of an experiment with several surfaces, ``objective``, ``budget``, ``zooms`` and
        ``accuracy``. The best combination of the axes of each optimizer is chosen.
    default_name
        The comparison's name if the configuration sets none.

    Raises
    ------
    ConfigError
        With every problem.
    """
    problems = Problems()
    settings = read_settings(COMPARISON_SETTINGS, configuration.settings, problems)
    halves = settings["search"] == HALVING
    coarse = max(1, settings["budget"] // (settings["zooms"] + 1))

    # What remains is the configuration of an experiment, whose surface and optimizers have defaults.
    given = configuration.settings
    shared = replace(configuration, settings={key: given[key] for key in given if key not in COMPARISON_SETTINGS})
    defaults = {"surfaces": DEFAULT_SURFACE, "optimizers": list(DEFAULT_OPTIMIZERS)}
    for key, value in defaults.items():
        if key not in shared.components:
            shared = shared.placed([key], node_of(value, place=configuration.root.place, path=key))

    # One experiment for each surface, and for each combination of its parameters.
    surfaces = shared.surfaces
    singles = [replace(surfaces, node=entry, items=(entry,)) for entry in surfaces.items]
    experiments: list[Experiment] = []
    for single in singles or [surfaces]:
        with problems.collecting():
            resolved = resolve(
                replace(shared, components={**shared.components, "surfaces": single}),
                default_name,
                patience=SEARCH_PATIENCE,
                budget=HALVED_SETTINGS * coarse if halves else coarse,
                halves=halves,
            )
            for experiment in _with_single_surfaces(resolved):
                if experiment.surface in (other.surface for other in experiments):
                    problems.append(single.node.problem("this surface is listed twice with the same settings"))
                experiments.append(experiment)
    objective = next(one for one in Objective if one.label == settings["objective"])
    if objective is Objective.ITERATIONS and experiments and not experiments[0].stopping.can_converge:
        remedy = "set target_loss, tolerance or gradient_tolerance"
        message = f"the objective 'iterations' needs a convergence criterion: {remedy}"
        problems.append(given["objective"].problem(message))
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
        with problems.collecting(given["search"].problem):
            for experiment in experiments:
                for choice in experiment.optimizers:
                    first_rungs(comparison, experiment, choice)
        problems.check()
    return comparison


def _with_single_surfaces(experiment: Experiment) -> Iterator[Experiment]:
    """Yield an experiment for each combination of the surface's parameters."""
    axes = experiment.surface.axes
    for combination in itertools.product(*(axis.values for axis in axes.values())):
        single = {name: Axis(values=(value,)) for name, value in zip(axes, combination, strict=True)}
        yield replace(experiment, surface=replace(experiment.surface, axes=single))
