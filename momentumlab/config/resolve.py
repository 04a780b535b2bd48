"""Resolve a tree of nodes to an `Experiment`: look up names, fill in defaults, report every problem at once."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from momentumlab.config import expressions
from momentumlab.config.axes import AxisReader
from momentumlab.config.settings import COMPARING, COMPONENTS, SETTINGS, STOPPING, read_settings
from momentumlab.config.values import is_tuned, read_noise, read_starts
from momentumlab.config.yaml_reader import ConfigNode
from momentumlab.errors import ConfigError, Problem, Problems, UnknownNameError
from momentumlab.experiment import (
    Axis,
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
from momentumlab.optimizers.base import LR_SCHEDULE
from momentumlab.registry import Parameter, Registry, did_you_mean, spelled
from momentumlab.surfaces import SURFACES, Surface
from momentumlab.surfaces.base import ONE_OF
from momentumlab.surfaces.one_of import read_spelling, spelling

EPOCHS = re.compile(r"\s*(\d{1,9})\s*epochs?\s*", re.ASCII)

REQUIRED_PROPERTIES = {"minimum": "a known global minimum", "hessian": "a Hessian"}


def resolve(
    root: ConfigNode, default_name: str, *, patience: int = 1, budget: int | None = None, halves: bool = False
) -> Experiment:
    """Check and complete a configuration.

    Parameters
    ----------
    root
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
    if not isinstance(root.value, dict):
        found = "empty" if root.value is None else spelled(root.plain())
        raise root.error(f"an experiment is a mapping such as 'surface: ravine', but this is {found}")
    resolver = _Resolver(root, patience, budget, halves)
    # Each part is resolved even if another one is invalid, so one attempt reports all problems. What involves several
    # parts is checked at the end, if they are valid.
    surface = resolver.surface()
    resolver.read_epochs(surface)
    surfaces: list[Surface] = []
    if surface and surface.name == ONE_OF:
        surfaces = [build_surface(ONE_OF, {"surface": name}) for name in surface.axes["surface"].values]
    elif surface:
        surfaces = [build_surface(surface.name, surface.first)]
    optimizers = resolver.optimizers()
    starts = resolver.starts(surfaces)
    noise = resolver.noise(surface)
    if starts:
        for each in surfaces:
            resolver.check_requirements(each, min(starts.dimensions))
    if resolver.problems or not (surface and optimizers and starts):
        raise ConfigError(sorted(dict.fromkeys(resolver.problems), key=_position))
    experiment = Experiment(
        name=resolver.settings["name"] or default_name,
        surface=surface,
        optimizers=tuple(optimizers),
        starts=starts,
        dimension=min(starts.dimensions),
        stopping=resolver.stopping,
        noise=noise,
        replicates=resolver.settings["replicates"],
        seed=resolver.settings["seed"],
        backend=resolver.settings["backend"],
        record=tuple(dict.fromkeys((resolver.settings["record"] or "").replace(",", " ").split())),
    )
    if experiment.record:
        _check_record(experiment, resolver.tree["record"])
    return experiment


def _check_record(experiment: Experiment, node: ConfigNode) -> None:
    """Refuse quantities that no optimizer has."""
    from momentumlab.outcome import quantity_shapes
    from momentumlab.plan import make_plan

    try:
        quantity_shapes(make_plan(experiment, max_trials=experiment.trials))
    except ConfigError as error:
        raise ConfigError([node.problem(each.message) for each in error.problems]) from None


@dataclass(frozen=True, kw_only=True)
class _Component:
    """A surface or an optimizer that the configuration names, and the settings of its parameters."""

    node: ConfigNode
    name: str
    parameters: tuple[Parameter, ...]

    @property
    def words(self) -> set[str]:
        return {word for parameter in self.parameters for word in parameter.words}

    @property
    def settings(self) -> dict[str, ConfigNode]:
        if not isinstance(self.node.value, dict):
            return {}
        return {key: node for key, node in self.node.value.items() if key != "name"}


def _shared_parameters(surface: Choice) -> Iterator[dict[str, Any]]:
    """Yield each combination of the parameters of a surface that trials share, with the first value of the others."""
    shared = [parameter.name for parameter in SURFACES[surface.name].parameters() if parameter.shared]
    for values in itertools.product(*(surface.axes[name].values for name in shared)):
        yield {**surface.first, **dict(zip(shared, values, strict=True))}


class _Resolver:
    """Collects problems instead of stopping at the first; a part that has problems becomes ``None``."""

    def __init__(self, root: ConfigNode, patience: int, budget: int | None, halves: bool) -> None:
        self.root = root
        self.budget = budget
        self.halves = halves
        self.tree: dict[str, ConfigNode] = {key: node for key, node in root.value.items() if node.value is not None}
        self.problems = Problems()
        self.components: list[_Component] = []
        given = self.tree.get("iterations")
        has_epochs = given is not None and isinstance(given.value, str) and EPOCHS.fullmatch(given.value)
        self.epochs = self.tree.pop("iterations") if has_epochs else None
        self.settings = read_settings(SETTINGS, self.tree, self.problems)
        # Without a tolerance the patience affects nothing: then it is 1, so that equal experiments are equal.
        has_tolerance = self.settings["tolerance"] is not None
        self.settings["patience"] = (self.settings["patience"] or patience) if has_tolerance else 1
        self.stopping = Stopping(**{name: self.settings[name] for name in STOPPING})
        self.reader = AxisReader(self.stopping, self.problems)

    def surface(self) -> Choice | None:
        node = self.tree.get("surface")
        if node is None:
            self.problems.append(self.root.problem("there is no 'surface'; 'momentumlab list surfaces' shows all"))
            return None
        if isinstance(node.value, list):
            return self.one_of(node)
        if isinstance(node.value, str):  # rosenbrock(b=10)
            try:
                name, parameters = read_spelling(node.value)
            except ValueError as error:
                self.problems.append(node.problem(error))
                return None
            if parameters:
                inner = {key: replace(node, value=value, path=key) for key, value in parameters.items()}
                node = replace(node, value={"name": replace(node, value=name), **inner})
        return self.single_surface(node)

    def one_of(self, node: ConfigNode) -> Choice | None:
        """Return several surfaces as the values of one axis."""
        if not node.value:
            self.problems.append(node.problem("has no values"))
        spellings: list[str] = []
        for item in node.value:
            self.tree["surface"] = item
            choice = self.surface()
            if choice is None:
                continue
            if not SURFACES[choice.name].is_formula:
                message = "data cannot be one of several surfaces: run it separately, or use 'momentumlab compare'"
                self.problems.append(item.problem(message))
            for values in itertools.product(*(axis.values for axis in choice.axes.values())):
                text = spelling(choice.name, dict(zip(choice.axes, values, strict=True)))
                if text in spellings:
                    self.problems.append(item.problem("this surface is listed twice with the same settings"))
                spellings.append(text)
        self.tree["surface"] = node
        if len(spellings) == 1:
            return self.single_surface(node.value[0])
        return Choice(name=ONE_OF, axes={"surface": Axis(values=tuple(spellings))}) if spellings else None

    def single_surface(self, node: ConfigNode) -> Choice | None:
        """Return a surface with the axes of its parameters."""
        component = choice = None
        with self.problems.collecting():
            component = self.component(SURFACES, expressions.by_name(node))
        if component is not None:
            choice = self.choice(component, self.settings_of(component, {}), {})
        if component is None or choice is None:
            return None
        if len({len(value) for axis in choice.axes.values() for value in axis.values if isinstance(value, tuple)}) > 1:
            self.problems.append(node.problem("the vectors of an axis must have the same length"))
            return None
        return choice if self.check_data(choice, component) else None

    def read_epochs(self, surface: Choice | None) -> None:
        """Set the iterations if they are given in epochs, which depend on the data and the size of mini-batches."""
        if self.epochs is None or surface is None:
            return
        if SURFACES[surface.name].is_formula:
            self.problems.append(self.epochs.problem("epochs need a loss on data: give the number of iterations"))
            return
        surfaces = [build_surface(surface.name, parameters) for parameters in _shared_parameters(surface)]
        batches = {cast(Any, each).batches for each in surfaces}
        if len(batches) > 1:
            message = "the sizes of mini-batches differ, and so do the iterations of an epoch: give a number"
            self.problems.append(self.epochs.problem(message))
            return
        count = EPOCHS.fullmatch(self.epochs.value)
        assert count is not None
        with self.problems.collecting(self.epochs.problem):
            self.settings["iterations"] = SETTINGS["iterations"].checked(int(count[1]) * batches.pop())
        self.stopping = replace(self.stopping, iterations=self.settings["iterations"])
        self.reader = AxisReader(self.stopping, self.problems)

    def check_data(self, choice: Choice, component: _Component) -> bool:
        """Whether all data of a surface can be read and have the same number of coordinates."""
        cls = SURFACES[choice.name]
        if cls.is_formula:
            return True
        dimensions = set()
        problems = Problems()
        for parameters in _shared_parameters(choice):
            with problems.collecting():
                dimensions.add(build_surface(choice.name, parameters).default_dimension)
        if len(dimensions) > 1:
            counts = " or ".join(map(str, sorted(dimensions)))
            problems.append(Problem(place="data", message=f"its values give {counts} coordinates; run them separately"))
        for problem in dict.fromkeys(problems):  # a place that is the name of a parameter becomes that of its setting
            node = component.settings.get(problem.place, self.tree["surface"])
            self.problems.append(node.problem(problem.message) if problem.place in choice.axes else problem)
        return not problems

    def optimizers(self) -> list[Choice]:
        shared = {key: node for key, node in self.tree.items() if key not in (*SETTINGS, *COMPONENTS)}
        given = [self.tree[key] for key in ("optimizer", "optimizers") if key in self.tree]
        if len(given) > 1:
            self.problems.append(given[1].key_problem("both 'optimizer' and 'optimizers' are given"))
        if not given:
            self.problems.append(self.root.problem("there is no 'optimizer'; 'momentumlab list optimizers' shows all"))
            self.check_shared(shared, [], complete=False)
            return []
        nodes = given[0].value if isinstance(given[0].value, list) else given
        if not nodes:
            self.problems.append(given[0].problem("has no values"))
        # Names first: which keys at the top level are hyperparameters depends on all optimizers.
        components = [self.component(OPTIMIZERS, node) for node in nodes]
        self.components = known = [component for component in components if component is not None]
        self.check_shared(shared, known, complete=len(known) == len(components))
        settings = [self.settings_of(component, shared) for component in known]
        # A search divides its budget among the tuned hyperparameters of an optimizer, so the lengths of tuned axes are
        # known only when the settings of all optimizers are. In a comparison lr is tuned unless it is set.
        tuned: list[list[str]] = []
        for component, given_nodes in zip(known, settings, strict=True):
            tuned_words = {name for name, node in given_nodes.items() if is_tuned(node.value)}
            tuned_words |= {"lr"} - given_nodes.keys() if self.budget is not None else set()
            tuned.append([parameter.name for parameter in component.parameters if parameter.name in tuned_words])
        gradients = [OPTIMIZERS[component.name].gradients_per_step if self.halves else 1 for component in known]
        counts = [_search_counts(tuned, max(1, (self.budget or 1) // count))[i] for i, count in enumerate(gradients)]
        choices: list[Choice] = []
        for component, given_nodes, lengths in zip(known, settings, counts, strict=True):
            choice = self.choice(component, given_nodes, lengths)
            if choice is None:
                continue
            if all(LR_SCHEDULE not in nodes for nodes in settings):  # else all have it, most with the factor 1
                axes = {name: axis for name, axis in choice.axes.items() if name != LR_SCHEDULE}
                choice = replace(choice, axes=axes)
            if choice in choices and self.budget is not None:
                message = f"{choice.name} is listed twice with the same settings"
                self.problems.append(component.node.problem(message))
            choices.append(choice)
        return choices

    def check_requirements(self, surface: Surface, dimension: int) -> None:
        """Refuse a surface of other dimensions, and optimizers that need a property which it does not have."""
        problems_before = len(self.problems)
        with self.problems.collecting(self.tree["surface"].problem):
            surface.check_dimension(dimension)
        if len(self.problems) > problems_before:
            return
        for component in self.components:
            required = OPTIMIZERS[component.name].requires
            for each in sorted(required - surface.provides(dimension)) if required else ():  # may search for a minimum
                message = f"{component.name} needs {REQUIRED_PROPERTIES[each]}, which {surface.name} does not have"
                self.problems.append(component.node.problem(message))

    def noise(self, surface: Choice | None) -> Noise | None:
        """Return the noise model, and refuse replicates and seeds that have no effect."""
        node = self.tree.get("noise")
        noise = None
        if node is not None and isinstance(node.value, list):
            self.problems.append(node.problem("an experiment has one noise model, not a list"))
            return None
        if node is not None:
            problems_before = len(self.problems)
            with self.problems.collecting(node.problem):
                noise = read_noise(node.plain())
            if len(self.problems) > problems_before:
                return None
        if surface is not None and not (is_sampled(surface) or (noise is not None and noise.is_random)):
            for name in ("replicates", "seed"):
                if name in self.tree and self.tree[name].plain() != SETTINGS[name].default:
                    cause = "gradients are exact, or their errors always the same; see 'noise'"
                    self.problems.append(self.tree[name].key_problem(f"'{name}' has no effect: {cause}"))
        return noise

    def check_shared(
        self, shared: Mapping[str, ConfigNode], components: Sequence[_Component], *, complete: bool
    ) -> None:
        """Refuse keys at the top level that are neither settings nor hyperparameters of one of the optimizers."""
        words = {word for component in components for word in component.words}
        unknown = {key: node for key, node in shared.items() if key not in words}
        if not unknown:
            return
        # Only an error imports all optimizers: a known hyperparameter of another optimizer gets another message than a
        # misspelled key.
        every_parameter = [parameter for cls in OPTIMIZERS.values() for parameter in cls.settings()]
        every_word = {word for parameter in every_parameter for word in parameter.words}
        for key, node in unknown.items():
            if key in every_word and complete:
                names = " or ".join(dict.fromkeys(component.name for component in components))
                own_name = next(parameter.name for parameter in every_parameter if key in parameter.words)
                near = did_you_mean(own_name, words)  # 'momentum' is an alias of beta, which resembles beta1
                in_python = node.key_place.startswith("argument ")
                remedy = "leave it out" if in_python else f"leave it out (on the command line: --set {key}=null)"
                self.problems.append(node.key_problem(f"'{key}' is not a hyperparameter of {names}{near}; {remedy}"))
            elif key not in every_word:
                hint = did_you_mean(key, {*(words or every_word), *SETTINGS, *COMPONENTS, *COMPARING})
                self.problems.append(node.key_problem(f"unknown key '{key}'{hint}"))

    def component(self, registry: Registry[Any], node: ConfigNode) -> _Component | None:
        """Look up a name, given as ``ravine`` or ``{name: ravine, …}``."""
        named = node.value.get("name") if isinstance(node.value, dict) else node
        if named is None or not isinstance(named.value, str):
            self.problems.append(node.problem(f"write the {registry.noun}'s name, or {{name: …}}"))
            return None
        try:
            cls = registry[named.value]
        except (UnknownNameError, ConfigError) as error:
            self.problems.append(named.problem(error))
            return None
        parameters = cls.settings() if registry is OPTIMIZERS else cls.parameters()
        return _Component(node=node, name=cls.name, parameters=parameters)

    def choice(
        self, component: _Component, nodes: Mapping[str, ConfigNode], counts: Mapping[str, int]
    ) -> Choice | None:
        """Return a component with the axes of its parameters.

        Parameters
        ----------
        component
            The surface or the optimizer.
        nodes
            The settings of parameters; others have their defaults.
        counts
            For each tuned parameter, the number of values of the first search.
        """
        missing = [p.name for p in component.parameters if p.required and p.name not in nodes]
        if missing:
            self.problems.append(component.node.problem(expressions.missing(component.name, missing)))
            return None
        dialect = nodes["dialect"].plain() if "dialect" in nodes else ""
        if isinstance(dialect, list) and len(dialect) > 1:
            self.problems.append(nodes["dialect"].problem("defaults depend on it: list the optimizer once per dialect"))
        dialect = dialect[0] if isinstance(dialect, list) and dialect else dialect
        axes: dict[str, Axis] = {}
        for parameter in component.parameters:
            name = parameter.name
            if name in nodes or name in counts:
                node = nodes.get(name) or ConfigNode(value="tuned", place=component.node.place)
                axis = self.reader.axis(component.name, parameter, node, counts.get(name, 1))
                axes |= {} if axis is None else {name: axis}
            else:
                axes[name] = Axis(values=(parameter.default_in(str(dialect)),))
        if LR_SCHEDULE in axes and "lr" in axes and axes[LR_SCHEDULE].has_schedules and axes["lr"].has_schedules:
            message = "lr follows a schedule already: give it a number, which lr_schedule multiplies"
            self.problems.append(nodes["lr"].problem(message))
        return Choice(name=component.name, axes=axes) if len(axes) == len(component.parameters) else None

    def settings_of(self, component: _Component, shared: Mapping[str, ConfigNode]) -> dict[str, ConfigNode]:
        """Return the setting of each parameter: the component's own, or else the one at the top level."""
        for key, node in component.settings.items():
            if key not in component.words:
                names = ", ".join(parameter.name for parameter in component.parameters) or "no parameters"
                hint = did_you_mean(key, component.words) or f"; it has {names}"
                self.problems.append(node.key_problem(f"{component.name} has no '{key}'{hint}"))
        nodes: dict[str, ConfigNode] = {}
        # A parameter may be written under any of its names, in the component and at the top level; the component wins.
        for parameter in component.parameters:
            for settings in (component.settings, shared):
                given = [settings[word] for word in parameter.words if word in settings]
                found = [node for node in given if node.value is not None]
                if len(found) > 1:
                    names = " and ".join(node.path for node in found)
                    self.problems.append(found[1].key_problem(f"'{parameter.name}' is given twice, as {names}"))
                if found and parameter.name not in nodes:
                    nodes[parameter.name] = found[0]
                elif found:  # checked even if the optimizer's own setting hides it
                    self.reader.axis(component.name, parameter, found[0])
        return nodes

    def starts(self, surfaces: Sequence[Surface]) -> Starts | None:
        """Return the starts, by default those of the surfaces; without a surface only the numbers are checked."""
        node = self.tree.get("start")
        if node is None:
            return self.default_starts(surfaces) if surfaces else None
        starts: Starts | None = None
        if isinstance(node.value, (list, int, float)):
            starts = self.reader.points(node)
        else:
            with self.problems.collecting(node.problem):
                starts = read_starts(node.value, surfaces[0].default_dimension if surfaces else 1)
        if starts is None or not all(self.fits(starts, each, node) for each in surfaces):
            return None
        if isinstance(starts, Grid) and len({each.window(len(starts.counts)) for each in surfaces}) > 1:
            message = "the surfaces have different windows, so a grid of starts differs between them: list the points"
            self.problems.append(node.problem(message))
            return None
        return starts if surfaces else None

    def default_starts(self, surfaces: Sequence[Surface]) -> Starts | None:
        """Return the default starts of surfaces with the same number of coordinates."""
        dimensions = sorted({each.default_dimension for each in surfaces})
        if len(dimensions) > 1:
            found = " and ".join(map(str, dimensions))
            message = f"the surfaces have {found} coordinates: give a start, or sweep them separately"
            self.problems.append(self.tree["surface"].problem(message))
            return None
        if len(surfaces) > 1:
            return OwnStarts(dimension=dimensions[0])
        return Points(points=(surfaces[0].default_start(dimensions[0]),))

    def fits(self, starts: Starts, surface: Surface, node: ConfigNode) -> bool:
        """Check that starts have the number of coordinates of a surface."""
        required, least = surface.required_dimension, surface.least_dimension
        wrong = {dimension for dimension in starts.dimensions if dimension != required} if required else set()
        if wrong or min(starts.dimensions) < least or len(starts.dimensions) > 1:
            needed = f"{required}" if required else f"{least} or more"
            found = " and ".join(map(str, sorted(wrong or starts.dimensions)))
            noun = "coordinate" if needed == "1" else "coordinates"
            message = f"the surface {surface.name} has {needed} {noun}, the start has {found}"
            self.problems.append(node.problem(message))
            return False
        return True


def _search_counts(tuned: Sequence[Sequence[str]], budget: int) -> list[dict[str, int]]:
    """Return the number of values of each tuned hyperparameter in the first search.

    Every optimizer gets the same number of trials: the size of the largest grid within the budget that has equally
    many values of every further hyperparameter of the optimizer that tunes most.

    Parameters
    ----------
    tuned
        The tuned hyperparameters of each optimizer.
    budget
        The maximum number of trials.
    """
    # For n tuned hyperparameters the grid is rates × others × … × others with n − 1 equal factors; an optimizer with
    # fewer of them gets the missing factors as further values of the first, its learning rate.
    most = max(map(len, tuned), default=0)
    others = max(1, int(budget ** (1 / most) + 1e-9)) if most else 1
    rates = budget // others ** (most - 1) if most else 1
    return [
        {name: others if i else rates * others ** (most - len(names)) for i, name in enumerate(names)}
        for names in tuned
    ]


def _position(problem: Problem) -> list[int]:
    """Line and column, to sort problems in the order of the file; those without a line come first."""
    return [int(number) for number in re.findall(r":(\d+)", problem.place)[-2:]]
