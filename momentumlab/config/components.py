"""Look up the surfaces and the optimizers of a configuration, and read the axes of their parameters."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from momentumlab.config import expressions
from momentumlab.config.axes import AxisReader
from momentumlab.config.configuration import Configuration, Entries
from momentumlab.config.settings import COMPARING, COMPONENTS, SETTINGS
from momentumlab.config.values import is_tuned
from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import ConfigError, Problem, Problems, UnknownNameError
from momentumlab.experiment import Axis, Choice, Stopping, build_surface
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.parameters import Parameter
from momentumlab.registry import Registry, did_you_mean
from momentumlab.surfaces import SURFACES, Surface
from momentumlab.surfaces.base import ONE_OF
from momentumlab.surfaces.one_of import spelling


@dataclass(frozen=True, kw_only=True)
class Component:
    """A surface or an optimizer that was found by its name.

    Attributes
    ----------
    node
        Its entry in the configuration.
    name
        Its canonical name.
    parameters
        The parameters that a configuration may set.
    settings
        Its own settings, each under one of the names of a parameter.
    """

    node: ConfigNode
    name: str
    parameters: tuple[Parameter, ...]
    settings: Mapping[str, ConfigNode]

    @property
    def words(self) -> set[str]:
        """All names of its parameters."""
        return {word for parameter in self.parameters for word in parameter.words}


def _check_entries(given: Entries, registry: Registry[Any], problems: Problems) -> None:
    """Report missing surfaces or optimizers, or two keys for them."""
    one, several = registry.noun, registry.listed_as
    if not given.key:
        problems.append(given.node.problem(f"there is no '{one}'; 'momentumlab list {several}' shows all"))
    elif not given.items:
        problems.append(given.node.problem("has no values"))
    if given.conflict is not None:
        problems.append(given.conflict.key_problem(f"both '{one}' and '{several}' are given"))


def _find(registry: Registry[Any], entry: ConfigNode, problems: Problems) -> Component | None:
    """Look up the name of an entry, and report settings that are not parameters of it."""
    named = entry.value.get("name")
    if named is None or not isinstance(named.value, str):
        problems.append(entry.problem(f"write the {registry.noun}'s name, or {{name: …}}"))
        return None
    try:
        cls = registry[named.value]
    except (UnknownNameError, ConfigError) as error:
        problems.append(named.problem(error))
        return None
    parameters = cls.settings() if registry is OPTIMIZERS else cls.parameters()
    settings = {key: node for key, node in entry.value.items() if key != "name"}
    component = Component(node=entry, name=cls.name, parameters=parameters, settings=settings)
    for key, node in settings.items():
        if key not in component.words:
            names = ", ".join(parameter.name for parameter in parameters) or "no parameters"
            hint = did_you_mean(key, component.words) or f"; it has {names}"
            problems.append(node.key_problem(f"{component.name} has no '{key}'{hint}"))
    return component


def _settings_of(component: Component, shared: Mapping[str, ConfigNode], reader: AxisReader) -> dict[str, ConfigNode]:
    """Return the setting of each parameter by its own name: the component's, or else the one at the top level."""
    found: dict[str, ConfigNode] = {}
    for parameter in component.parameters:
        for settings in (component.settings, shared):
            given = [settings[word] for word in parameter.words if word in settings]
            nodes = [node for node in given if node.value is not None]
            if len(nodes) > 1:
                names = " and ".join(node.path for node in nodes)
                reader.problems.append(nodes[1].key_problem(f"'{parameter.name}' is given twice, as {names}"))
            if nodes and parameter.name not in found:
                found[parameter.name] = nodes[0]
            elif nodes:  # checked even if the optimizer's own setting hides it
                reader.axis(component.name, parameter, nodes[0])
    return found


def _choice(
    component: Component, settings: Mapping[str, ConfigNode], reader: AxisReader, counts: Mapping[str, int]
) -> Choice | None:
    """Return a component with the axes of its parameters.

    Parameters
    ----------
    component
        The surface or the optimizer.
    settings
        The settings of parameters by their own names; others have their defaults.
    reader
        Reads their values.
    counts
        For each tuned parameter, the number of values of the first search.
    """
    problems = reader.problems
    missing = [each.name for each in component.parameters if each.required and each.name not in settings]
    if missing:
        problems.append(component.node.problem(expressions.missing(component.name, missing)))
        return None
    # Several defaults depend on the dialect, which therefore cannot be an axis.
    dialect = settings["dialect"].plain() if "dialect" in settings else ""
    if isinstance(dialect, list) and len(dialect) > 1:
        problems.append(settings["dialect"].problem("defaults depend on it: list the optimizer once per dialect"))
    dialect = dialect[0] if isinstance(dialect, list) and dialect else dialect
    axes: dict[str, Axis] = {}
    for parameter in component.parameters:
        name = parameter.name
        if name in settings or name in counts:
            node = settings.get(name) or ConfigNode(value="tuned", place=component.node.place)
            axis = reader.axis(component.name, parameter, node, counts.get(name, 1))
            axes |= {} if axis is None else {name: axis}
        else:
            axes[name] = Axis(values=(parameter.default_in(str(dialect)),))
    if LR_SCHEDULE in axes and "lr" in axes and axes[LR_SCHEDULE].has_schedules and axes["lr"].has_schedules:
        message = "lr follows a schedule already: give it a number, which lr_schedule multiplies"
        problems.append(settings["lr"].problem(message))
    return Choice(name=component.name, axes=axes) if len(axes) == len(component.parameters) else None


# Surfaces


def read_surface(configuration: Configuration, problems: Problems) -> Choice | None:
    """Return the surface, or several surfaces as the values of one axis."""
    given = configuration.surfaces
    _check_entries(given, SURFACES, problems)
    choices = [_single_surface(entry, problems) for entry in given.items]
    if len(choices) == 1:
        return choices[0]
    spellings: list[str] = []
    for entry, choice in zip(given.items, choices, strict=True):
        if choice is None:
            continue
        if not SURFACES[choice.name].is_formula:
            message = "data cannot be one of several surfaces: run it separately, or use 'momentumlab compare'"
            problems.append(entry.problem(message))
        for values in itertools.product(*(axis.values for axis in choice.axes.values())):
            text = spelling(choice.name, dict(zip(choice.axes, values, strict=True)))
            if text != choice.name and SURFACES.is_expression(choice.name):  # the text could not be read back
                message = "with constants, rotate or shift it cannot be one of several surfaces: run it separately"
                problems.append(entry.problem(message))
                break
            if text in spellings:
                problems.append(entry.problem("this surface is listed twice with the same settings"))
            spellings.append(text)
    return Choice(name=ONE_OF, axes={"surface": Axis(values=tuple(spellings))}) if spellings else None


def _single_surface(entry: ConfigNode, problems: Problems) -> Choice | None:
    """Return a surface with the axes of its parameters."""
    component = None
    with problems.collecting():
        component = _find(SURFACES, expressions.by_name(entry), problems)
    if component is None:
        return None
    reader = AxisReader(Stopping(), problems)  # parameters of surfaces follow no schedules, which stopping would limit
    choice = _choice(component, _settings_of(component, {}, reader), reader, {})
    if choice is None:
        return None
    if len({len(value) for axis in choice.axes.values() for value in axis.values if isinstance(value, tuple)}) > 1:
        problems.append(entry.problem("the vectors of an axis must have the same length"))
        return None
    return choice if SURFACES[choice.name].is_formula or _is_readable(choice, component, problems) else None


def _is_readable(choice: Choice, component: Component, problems: Problems) -> bool:
    """Whether all data of a surface can be read and have the same number of coordinates."""
    dimensions = set()
    found = Problems()
    for parameters in shared_parameters(choice):
        with found.collecting():
            dimensions.add(build_surface(choice.name, parameters).default_dimension)
    if len(dimensions) > 1:
        counts = " or ".join(map(str, sorted(dimensions)))
        found.append(Problem(place="data", message=f"its values give {counts} coordinates; run them separately"))
    for problem in dict.fromkeys(found):  # a place that is the name of a parameter becomes that of its setting
        node = component.settings.get(problem.place, component.node)
        problems.append(node.problem(problem.message) if problem.place in choice.axes else problem)
    return not found


def shared_parameters(surface: Choice) -> Iterator[dict[str, Any]]:
    """Yield each combination of the parameters of a surface that trials share, with the first value of the others."""
    shared = [parameter.name for parameter in SURFACES[surface.name].parameters() if parameter.shared]
    for values in itertools.product(*(surface.axes[name].values for name in shared)):
        yield {**surface.first, **dict(zip(shared, values, strict=True))}


def instances(surface: Choice | None) -> list[Surface]:
    """Return each surface with the first value of its parameters."""
    if surface is None:
        return []
    if surface.name == ONE_OF:
        return [build_surface(ONE_OF, {"surface": name}) for name in surface.axes["surface"].values]
    return [build_surface(surface.name, surface.first)]


# Optimizers


def find_optimizers(configuration: Configuration, problems: Problems) -> list[Component]:
    """Look up the optimizers, and report keys at the top level that are hyperparameters of none of them."""
    given = configuration.optimizers
    _check_entries(given, OPTIMIZERS, problems)
    found = [_find(OPTIMIZERS, entry, problems) for entry in given.items]
    components = [component for component in found if component is not None]
    words = {word for component in components for word in component.words}
    unknown = {key: node for key, node in configuration.shared.items() if key not in words}
    if not unknown:
        return components
    # Only an error imports all optimizers. The known hyperparameter of another optimizer gets another message than a
    # misspelled key, and none if the name of an optimizer is not known, which may have it.
    every_parameter = [parameter for cls in OPTIMIZERS.values() for parameter in cls.settings()]
    own_names = {word: parameter.name for parameter in reversed(every_parameter) for word in parameter.words}
    for key, node in unknown.items():
        if key not in own_names:
            hint = did_you_mean(key, {*(words or own_names), *SETTINGS, *COMPONENTS, *COMPARING})
            problems.append(node.key_problem(f"unknown key '{key}'{hint}"))
        elif components and len(components) == len(found):
            names = " or ".join(dict.fromkeys(component.name for component in components))
            near = did_you_mean(own_names[key], words)  # 'momentum' is an alias of beta, which resembles beta1
            in_python = node.key_place.startswith("argument ")
            remedy = "leave it out" if in_python else f"leave it out (on the command line: --set {key}=null)"
            problems.append(node.key_problem(f"'{key}' is not a hyperparameter of {names}{near}; {remedy}"))
    return components


def read_optimizers(
    configuration: Configuration,
    components: Sequence[Component],
    reader: AxisReader,
    budget: int | None,
    *,
    halves: bool,
) -> list[Choice]:
    """Return the optimizers with the axes of their hyperparameters; see `resolve` for ``budget`` and ``halves``."""
    settings = [_settings_of(component, configuration.shared, reader) for component in components]
    # The lengths of tuned axes depend on the settings of all optimizers, because every optimizer gets the same number
    # of trials. In a comparison lr is tuned unless it is set.
    tuned: list[list[str]] = []
    for component, nodes in zip(components, settings, strict=True):
        names = {name for name, node in nodes.items() if is_tuned(node.value)}
        names |= {"lr"} - nodes.keys() if budget is not None else set()
        tuned.append([parameter.name for parameter in component.parameters if parameter.name in names])
    most = max(map(len, tuned), default=0)
    choices: list[Choice] = []
    for component, nodes, names_tuned in zip(components, settings, tuned, strict=True):
        gradients = OPTIMIZERS[component.name].gradients_per_step if halves else 1
        counts = _search_counts(names_tuned, most, max(1, (budget or 1) // gradients))
        choice = _choice(component, nodes, reader, counts)
        if choice is None:
            continue
        if all(LR_SCHEDULE not in each for each in settings):  # else all have it, most with the factor 1
            axes = {name: axis for name, axis in choice.axes.items() if name != LR_SCHEDULE}
            choice = replace(choice, axes=axes)
        if choice in choices and budget is not None:
            message = f"{choice.name} is listed twice with the same settings"
            reader.problems.append(component.node.problem(message))
        choices.append(choice)
    return choices


def _search_counts(tuned: Sequence[str], most: int, budget: int) -> dict[str, int]:
    """Return the number of values of each tuned hyperparameter of an optimizer in the first search.

    The grid has as many trials for every optimizer: those of the largest grid within the budget that has equally many
    values of every hyperparameter but the first of the optimizer that tunes most, which tunes ``most`` of them.
    """
    # That grid is rates × others × … × others with most − 1 equal factors. An optimizer that tunes fewer gets the
    # missing factors as further values of the first, its learning rate.
    others = max(1, int(budget ** (1 / most) + 1e-9)) if most else 1
    rates = budget // others ** (most - 1) if most else 1
    return {name: others if i else rates * others ** (most - len(tuned)) for i, name in enumerate(tuned)}
