"""Resolve a configuration to an `Experiment`: look up names, fill in defaults, report every problem at once."""

import re
from collections.abc import Sequence
from typing import Any, cast

from momentumlab.config.axes import AxisReader
from momentumlab.config.components import (
    Component,
    find_optimizers,
    instances,
    read_optimizers,
    read_surface,
    shared_parameters,
)
from momentumlab.config.configuration import Configuration
from momentumlab.config.settings import SETTINGS, STOPPING, read_settings
from momentumlab.config.values import read_noise, read_starts
from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import ConfigError, Problem, Problems
from momentumlab.experiment import (
    Choice,
    Experiment,
    Grid,
    OwnStarts,
    Points,
    Starts,
    Stopping,
    build_surface,
    is_sampled,
)
from momentumlab.noise import Noise
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.surfaces import SURFACES, Surface

EPOCHS = re.compile(r"\s*(\d{1,9})\s*epochs?\s*", re.ASCII)

REQUIRED_PROPERTIES = {"minimum": "a known global minimum", "hessian": "a Hessian"}


def resolve(
    configuration: Configuration,
    default_name: str,
    *,
    patience: int = 1,
    budget: int | None = None,
    halves: bool = False,
) -> Experiment:
    """Check and complete a configuration.

    Parameters
    ----------
    configuration
        The whole configuration.
    default_name
        The experiment's name if the configuration sets none.
    patience
        The patience of the tolerance if the configuration sets none.
    budget
        In a comparison, the maximum number of trials of the first search for the ``tuned`` hyperparameters of an
        optimizer. A learning rate that is not set is then tuned.
    halves
        Whether the search is successive halving, for which an optimizer with two gradients per iteration gets half as
        many trials.

    Raises
    ------
    ConfigError
        With every problem, each at its place.
    """
    # Each part is resolved even if another one is invalid, so that one attempt reports all problems. An invalid part is
    # None or empty, and what depends on it is left out.
    problems = Problems()
    surface = read_surface(configuration, problems)
    surfaces = instances(surface)
    settings = _settings(configuration, surface, patience, problems)
    reader = AxisReader(Stopping(**{name: settings[name] for name in STOPPING}), problems)
    components = find_optimizers(configuration, problems)
    optimizers = read_optimizers(configuration, components, reader, budget, halves=halves)
    starts = _starts(configuration, surfaces, reader)
    noise = _noise(configuration, surface, problems)
    if starts:
        _check_requirements(configuration, surfaces, components, min(starts.dimensions), problems)
    if problems or not (surface and optimizers and starts):
        raise ConfigError(sorted(dict.fromkeys(problems), key=_position))
    experiment = Experiment(
        name=settings["name"] or default_name,
        surface=surface,
        optimizers=tuple(optimizers),
        starts=starts,
        dimension=min(starts.dimensions),
        stopping=reader.stopping,
        noise=noise,
        replicates=settings["replicates"],
        seed=settings["seed"],
        backend=settings["backend"],
        record=tuple(dict.fromkeys((settings["record"] or "").replace(",", " ").split())),
    )
    if experiment.record:
        _check_record(experiment, configuration.settings["record"])
    return experiment


def _position(problem: Problem) -> list[int]:
    """Line and column, to sort problems in the order of the file; those without a line come first."""
    return [int(number) for number in re.findall(r":(\d+)", problem.place)[-2:]]


def _settings(
    configuration: Configuration, surface: Choice | None, patience: int, problems: Problems
) -> dict[str, Any]:
    """Return the value of each setting."""
    nodes = dict(configuration.settings)
    # The iterations of an epoch depend on the data and on the size of mini-batches.
    given = nodes.get("iterations")
    epochs = EPOCHS.fullmatch(given.value) if given is not None and isinstance(given.value, str) else None
    if epochs:
        del nodes["iterations"]
    settings = read_settings(SETTINGS, nodes, problems)
    if given is not None and epochs and surface is not None:
        with problems.collecting(given.problem):
            settings["iterations"] = SETTINGS["iterations"].checked(int(epochs[1]) * _iterations_per_epoch(surface))
    # Without a tolerance the patience affects nothing: then it is 1, so that equal experiments are equal.
    settings["patience"] = 1 if settings["tolerance"] is None else settings["patience"] or patience
    return settings


def _iterations_per_epoch(surface: Choice) -> int:
    if SURFACES[surface.name].is_formula:
        raise ValueError("epochs need a loss on data: give the number of iterations")
    batches = {cast(Any, build_surface(surface.name, each)).batches for each in shared_parameters(surface)}
    if len(batches) > 1:
        raise ValueError("the sizes of mini-batches differ, and so do the iterations of an epoch: give a number")
    return int(batches.pop())


def _starts(configuration: Configuration, surfaces: Sequence[Surface], reader: AxisReader) -> Starts | None:
    """Return the starts, by default those of the surfaces; without a surface only their numbers are checked."""
    node, problems = configuration.settings.get("start"), reader.problems
    starts: Starts | None = None
    if node is None:
        dimensions = sorted({each.default_dimension for each in surfaces})
        if len(dimensions) > 1:
            found = " and ".join(map(str, dimensions))
            message = f"the surfaces have {found} coordinates: give a start, or sweep them separately"
            problems.append(configuration.surfaces.node.problem(message))
        elif len(surfaces) > 1:
            starts = OwnStarts(dimension=dimensions[0])
        elif surfaces:
            starts = Points(points=(surfaces[0].default_start(dimensions[0]),))
        return starts
    if isinstance(node.value, (list, int, float)):
        starts = reader.points(node)
    else:
        with problems.collecting(node.problem):
            starts = read_starts(node.value, surfaces[0].default_dimension if surfaces else 1)
    if starts is None or not surfaces or not all(_fits(starts, each, node, problems) for each in surfaces):
        return None
    if isinstance(starts, Grid) and len({each.window(len(starts.counts)) for each in surfaces}) > 1:
        message = "the surfaces have different windows, so a grid of starts differs between them: list the points"
        problems.append(node.problem(message))
        return None
    return starts


def _fits(starts: Starts, surface: Surface, node: ConfigNode, problems: Problems) -> bool:
    """Whether starts have the number of coordinates of a surface."""
    required, least = surface.required_dimension, surface.least_dimension
    wrong = {dimension for dimension in starts.dimensions if dimension != required} if required else set()
    if wrong or min(starts.dimensions) < least or len(starts.dimensions) > 1:
        needed = f"{required}" if required else f"{least} or more"
        found = " and ".join(map(str, sorted(wrong or starts.dimensions)))
        noun = "coordinate" if needed == "1" else "coordinates"
        problems.append(node.problem(f"the surface {surface.name} has {needed} {noun}, the start has {found}"))
        return False
    return True


def _noise(configuration: Configuration, surface: Choice | None, problems: Problems) -> Noise | None:
    """Return the noise model, and report replicates and seeds that have no effect."""
    node = configuration.settings.get("noise")
    noise = None
    if node is not None and isinstance(node.value, list):
        problems.append(node.problem("an experiment has one noise model, not a list"))
        return None
    if node is not None:
        try:
            noise = read_noise(node.plain())
        except ValueError as error:
            problems.append(node.problem(error))
            return None
    if surface is not None and not (is_sampled(surface) or (noise is not None and noise.is_random)):
        for name in ("replicates", "seed"):
            given = configuration.settings.get(name)
            if given is not None and given.plain() != SETTINGS[name].default:
                cause = "gradients are exact, or their errors are always the same; see 'noise'"
                problems.append(given.key_problem(f"'{name}' has no effect: {cause}"))
    return noise


def _check_requirements(
    configuration: Configuration,
    surfaces: Sequence[Surface],
    optimizers: Sequence[Component],
    dimension: int,
    problems: Problems,
) -> None:
    """Report surfaces of other dimensions, and optimizers that need a property which a surface does not have."""
    for surface in surfaces:
        found = Problems()
        with found.collecting(configuration.surfaces.node.problem):
            surface.check_dimension(dimension)
        problems += found
        if found:
            continue
        for component in optimizers:
            required = OPTIMIZERS[component.name].requires
            for each in sorted(required - surface.provides(dimension)) if required else ():  # may search for a minimum
                message = f"{component.name} needs {REQUIRED_PROPERTIES[each]}, which {surface.name} does not have"
                problems.append(component.node.problem(message))


def _check_record(experiment: Experiment, node: ConfigNode) -> None:
    """Raise an error for recorded quantities that no optimizer has."""
    from momentumlab.outcome import quantity_shapes
    from momentumlab.plan import make_plan

    try:
        quantity_shapes(make_plan(experiment, max_trials=experiment.trials))
    except ConfigError as error:
        raise ConfigError([node.problem(each.message) for each in error.problems]) from None
