"""From a tree of values to an `Experiment`: names looked up, defaults filled in, every problem reported at once."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from momentumlab.config import expressions, grammar
from momentumlab.config.noise import read_noise
from momentumlab.config.schedules import is_schedule, parse_schedule, read_listed, schedule_problem
from momentumlab.config.tree import Node
from momentumlab.config.validation import ComparisonSettings, Settings, StartPoints, model_of, problems_of, spelled
from momentumlab.errors import ConfigError, Problem, UnknownNameError
from momentumlab.experiment import (
    Axis,
    Choice,
    Experiment,
    Points,
    Setting,
    Starts,
    Stopping,
    build_surface,
    is_sampled,
)
from momentumlab.noise import Noise
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Parameter, Registry, did_you_mean
from momentumlab.schedules import Schedule
from momentumlab.surfaces import SURFACES, Surface

SETTINGS = tuple(Settings.model_fields)
COMPONENTS = ("surface", "optimizer", "optimizers", "start", "noise")
STOPPING = tuple(field.name for field in fields(Stopping))
COMPARING = (*ComparisonSettings.model_fields, "surfaces")

NEEDS = {"minimum": "a known global minimum", "hessian": "a Hessian"}

Model = TypeVar("Model", bound=BaseModel)


def resolve(root: Node, default_name: str, *, budget: int | None = None) -> Experiment:
    """Check and complete what a person wrote.

    Parameters
    ----------
    root
        The whole configuration.
    default_name
        The experiment's name if it gives itself none.
    budget
        In a comparison, the most trials with which the search for an optimizer's ``tuned`` hyperparameters begins; a
        learning rate of which nothing is said is tuned, then.

    Raises
    ------
    ConfigError
        With every problem that was found, each at its place.
    """
    if not isinstance(root.value, dict):
        found = "empty" if root.value is None else spelled(root.plain())
        raise ConfigError([root.problem(f"an experiment is a mapping such as 'surface: ravine', but this is {found}")])
    resolver = _Resolver(root, budget)
    settings = resolver.settings(default_name)
    surface = resolver.surface()
    optimizers = resolver.optimizers()
    starts = resolver.starts(build_surface(surface.name, surface.first) if surface else None)
    noise = resolver.noise()
    if surface and starts:
        resolver.check_needs(build_surface(surface.name, surface.first), min(starts.dimensions))
    if surface and settings:
        resolver.check_randomness(surface, noise)
    if resolver.problems or not (settings and surface and optimizers and starts):
        raise ConfigError(sorted(dict.fromkeys(resolver.problems), key=_position))
    return Experiment(
        name=settings.name,
        surface=surface,
        optimizers=tuple(optimizers),
        starts=starts,
        dimension=min(starts.dimensions),
        stopping=resolver.stopping,
        noise=noise,
        replicates=settings.replicates,
        seed=settings.seed,
    )


@dataclass(frozen=True, kw_only=True)
class _Component:
    """An entry of a catalogue that the configuration names, and what it says of its parameters."""

    node: Node
    name: str
    parameters: tuple[Parameter, ...]

    @property
    def words(self) -> set[str]:
        return {word for parameter in self.parameters for word in parameter.words}

    @property
    def settings(self) -> dict[str, Node]:
        if not isinstance(self.node.value, dict):
            return {}
        return {key: node for key, node in self.node.value.items() if key != "name"}


class _Resolver:
    """Collects problems instead of stopping at the first; a part that has problems becomes ``None``."""

    def __init__(self, root: Node, budget: int | None) -> None:
        self.root = root
        self.budget = budget
        self.tree: dict[str, Node] = {key: node for key, node in root.value.items() if node.value is not None}
        self.problems: list[Problem] = []
        self.components: list[_Component] = []
        self.stopping = Stopping()  # replaced by what the settings say

    def settings(self, default_name: str) -> Settings | None:
        nodes = {key: self.tree[key] for key in SETTINGS if key in self.tree}
        values = {"name": default_name, **{key: node.plain() for key, node in nodes.items()}}
        iterations = values.get("iterations")
        if isinstance(iterations, float) and iterations.is_integer():  # 1e5 is a float to YAML
            values["iterations"] = int(iterations)
        settings = self.validated(Settings, values, {"name": self.root, **nodes})
        if settings is not None:
            self.stopping = Stopping(**settings.model_dump(include=set(STOPPING)))
        return settings

    def surface(self) -> Choice | None:
        if "surface" not in self.tree:
            self.problems.append(self.root.problem("there is no 'surface'; 'momentumlab list surfaces' shows them all"))
            return None
        if isinstance(self.tree["surface"].value, list):
            message = "several surfaces are compared: 'momentumlab compare'"
            self.problems.append(self.tree["surface"].problem(message))
            return None
        try:
            component = self.component(SURFACES, expressions.by_name(self.tree["surface"]))
        except ConfigError as error:
            self.problems += error.problems
            return None
        choice = self.choice(component, self.settings_of(component, {}), {}) if component else None
        if choice and len({len(value) for value in _all_values(choice) if isinstance(value, tuple)}) > 1:
            self.problems.append(self.tree["surface"].problem("the vectors of an axis must have the same length"))
            return None
        return choice if choice and self.check_data(choice, component) else None

    def check_data(self, choice: Choice, component: _Component | None) -> bool:
        """Whether the files that a surface reads are there, in order, and give the same number of coordinates."""
        cls = SURFACES[choice.name]
        if cls.is_formula:
            return True
        shared = [parameter.name for parameter in cls.parameters() if parameter.shared]
        found = set()
        problems: list[Problem] = []
        for values in itertools.product(*(choice.axes[name].values for name in shared)):
            try:
                found.add(
                    build_surface(
                        choice.name, {**choice.first, **dict(zip(shared, values, strict=True))}
                    ).default_dimension
                )
            except ConfigError as error:
                problems += error.problems
        if len(found) > 1:
            told = " or ".join(map(str, sorted(found)))
            problems.append(
                Problem(place="data", message=f"its values give {told} coordinates; run one after the other")
            )
        settings = component.settings if component else {}
        for problem in dict.fromkeys(
            problems
        ):  # what has the name of a parameter for its place is told where that stands
            node = settings.get(problem.place, self.tree["surface"])
            is_setting = problem.place in shared
            self.problems.append(node.problem(problem.message) if is_setting else problem)
        return not problems

    def optimizers(self) -> list[Choice]:
        shared = {key: node for key, node in self.tree.items() if key not in (*SETTINGS, *COMPONENTS)}
        given = [self.tree[key] for key in ("optimizer", "optimizers") if key in self.tree]
        if len(given) > 1:
            self.problems.append(given[1].key_problem("both 'optimizer' and 'optimizers' are given"))
        if not given:
            message = "there is no 'optimizer'; 'momentumlab list optimizers' shows them all"
            self.problems.append(self.root.problem(message))
            self.check_shared(shared, [], complete=False)
            return []
        nodes = given[0].value if isinstance(given[0].value, list) else given
        if not nodes:
            self.problems.append(given[0].problem("has no values"))
        components = [self.component(OPTIMIZERS, node) for node in nodes]
        self.components = known = [component for component in components if component is not None]
        self.check_shared(shared, known, complete=len(known) == len(components))
        settings = [self.settings_of(component, shared) for component in known]
        tuned = [self.tuned_names(component, nodes) for component, nodes in zip(known, settings, strict=True)]
        counts = _search_counts(tuned, self.budget or 1)
        choices = [self.choice(*each) for each in zip(known, settings, counts, strict=True)]
        if self.budget is not None:
            self.check_twice(known, choices)
        return [choice for choice in choices if choice is not None]

    def tuned_names(self, component: _Component, nodes: Mapping[str, Node]) -> list[str]:
        """The hyperparameters for which good values are to be searched."""
        names = [parameter.name for parameter in component.parameters]
        untold = {"lr"} - nodes.keys() if self.budget is not None else set()
        return [name for name in names if name in untold or (name in nodes and grammar.is_tuned(nodes[name].plain()))]

    def check_twice(self, components: list[_Component], choices: list[Choice | None]) -> None:
        """To compare a method with itself is a slip."""
        for i, (component, choice) in enumerate(zip(components, choices, strict=True)):
            if choice is not None and choice in choices[:i]:
                message = f"{choice.name} is listed twice with the same settings"
                self.problems.append(component.node.problem(message))

    def check_needs(self, surface: Surface, dimension: int) -> None:
        """Some methods need more than a gradient."""
        for component in self.components:
            needs = OPTIMIZERS[component.name].needs
            for need in sorted(needs - surface.offers(dimension)) if needs else ():
                message = f"{component.name} needs {NEEDS[need]}, which {surface.name} does not have"
                self.problems.append(component.node.problem(message))

    def noise(self) -> Noise | None:
        if "noise" not in self.tree:
            return None
        node = self.tree["noise"]
        if isinstance(node.value, list):
            self.problems.append(node.problem("is no axis: an experiment has one noise"))
            return None
        try:
            return read_noise(node.plain())
        except ValueError as error:
            self.problems.append(node.problem(str(error)))
            return None

    def check_randomness(self, surface: Choice, noise: Noise | None) -> None:
        """Without luck there is nothing to repeat."""
        is_random = is_sampled(surface) or (noise is not None and noise.is_random)
        if is_random or any(problem.place.endswith("noise") for problem in self.problems):
            return
        for key, ordinary in (("replicates", 1), ("seed", 0)):
            if key in self.tree and self.tree[key].plain() != ordinary:
                message = f"'{key}' has no effect: gradients are exact, or their errors always the same; see 'noise'"
                self.problems.append(self.tree[key].key_problem(message))

    def check_shared(self, shared: Mapping[str, Node], components: list[_Component], *, complete: bool) -> None:
        """Each key at the top level that is no setting must be a hyperparameter of one of the optimizers."""
        words = {word for component in components for word in component.words}
        every_word = {
            word for cls in map(OPTIMIZERS.__getitem__, OPTIMIZERS) for p in cls.parameters() for word in p.words
        }
        for key, node in shared.items():
            if key in every_word and key not in words and complete:
                names = " or ".join(dict.fromkeys(component.name for component in components))
                remedy = f"leave it out (on the command line: --set {key}=null)"
                self.problems.append(node.key_problem(f"'{key}' is no hyperparameter of {names}; {remedy}"))
            elif key not in every_word:
                hint = did_you_mean(key, {*(words or every_word), *SETTINGS, *COMPONENTS, *COMPARING})
                self.problems.append(node.key_problem(f"unknown key '{key}'{hint}"))

    def component(self, catalogue: Registry[Any], node: Node) -> _Component | None:
        """Look up what a node chooses: ``ravine`` or ``{name: ravine, …}``."""
        named = node.value.get("name") if isinstance(node.value, dict) else node
        if named is None or not isinstance(named.value, str):
            self.problems.append(node.problem(f"write the {catalogue.noun}'s name, alone or as {{name: …}}"))
            return None
        try:
            cls = catalogue[named.value]
        except (UnknownNameError, ConfigError) as error:
            self.problems.append(named.problem(str(error)))
            return None
        return _Component(node=node, name=cls.name, parameters=cls.parameters())

    def choice(self, component: _Component, nodes: Mapping[str, Node], counts: Mapping[str, int]) -> Choice | None:
        """The axes of a component's parameters: what is said of them, else defaults.

        Parameters
        ----------
        component
            What was chosen.
        nodes
            What is said of each parameter.
        counts
            With how many values the search for each tuned parameter begins.
        """
        lacking = [
            parameter.name for parameter in component.parameters if parameter.required and parameter.name not in nodes
        ]
        if lacking:
            self.problems.append(component.node.problem(expressions.missing(component.name, lacking)))
            return None
        untold = Node(value="tuned", place=component.node.place)
        nodes = {**nodes, **{name: untold for name in counts if name not in nodes}}
        read = {p.name: self.axis(p, nodes[p.name], counts) for p in component.parameters if p.name in nodes}
        values = {name: axis for name, axis in read.items() if axis is not None}
        dialects = values.get("dialect") or [""]
        if len(dialects) > 1:
            self.problems.append(nodes["dialect"].problem("defaults depend on it: name the optimizer once per dialect"))
        model = self.validated(model_of(component.name, component.parameters, str(dialects[0])), values, nodes)
        if model is None or len(values) < len(read) or not self.check_schedules(component, values, nodes):
            return None
        axes = {name: _axis(getattr(model, name), nodes.get(name)) for name in type(model).model_fields}
        for parameter in component.parameters:
            if parameter.name in counts:
                _, spelling = grammar.tuned_values(nodes[parameter.name].plain(), parameter, 1)
                axes[parameter.name] = replace(axes[parameter.name], spelling=spelling, tuned=True)
        return Choice(name=component.name, axes=axes)

    def check_schedules(
        self, component: _Component, values: Mapping[str, list[Any]], nodes: Mapping[str, Node]
    ) -> bool:
        """Whether schedules are where they may be, and stay within the bounds of what they are given for."""
        found = [
            (parameter, value, nodes[parameter.name].at([i]))
            for parameter in component.parameters
            for i, value in enumerate(values.get(parameter.name, ()))
            if isinstance(value, Schedule)
        ]
        problems = [
            node.problem(message)
            for parameter, value, node in found
            if (message := schedule_problem(component.name, parameter, value, self.stopping))
        ]
        self.problems += problems
        return not problems

    def settings_of(self, component: _Component, shared: Mapping[str, Node]) -> dict[str, Node]:
        """What the configuration says of each parameter, by the parameter's name."""
        for key, node in component.settings.items():
            if key not in component.words:
                names = ", ".join(parameter.name for parameter in component.parameters) or "no parameters"
                hint = did_you_mean(key, component.words) or f"; it has {names}"
                self.problems.append(node.key_problem(f"{component.name} has no '{key}'{hint}"))
        nodes: dict[str, Node] = {}
        for parameter in component.parameters:
            for settings in (component.settings, shared):
                given = [settings[word] for word in parameter.words if word in settings]
                found = [node for node in given if node.value is not None]
                if len(found) > 1:
                    names = " and ".join(node.path for node in found)
                    self.problems.append(found[1].key_problem(f"'{parameter.name}' is given twice, as {names}"))
                if found:
                    nodes.setdefault(parameter.name, found[0])
        self.check_unused(component, nodes, shared)
        return nodes

    def check_unused(self, component: _Component, nodes: Mapping[str, Node], shared: Mapping[str, Node]) -> None:
        """What the top level says must make sense even where an optimizer has a value of its own."""
        for parameter in component.parameters:
            for node in (shared[word] for word in parameter.words if word in shared):
                if nodes.get(parameter.name) is not node and node.value is not None:
                    values = self.axis(parameter, node)
                    model = model_of(component.name, component.parameters)
                    if values is not None and self.validated(model, {parameter.name: values}, {parameter.name: node}):
                        self.check_schedules(component, {parameter.name: values}, {parameter.name: node})

    def axis(self, parameter: Parameter, node: Node, counts: Mapping[str, int] = {}) -> list[Any] | None:
        """The values of one parameter, still unchecked: a list, a single value, or a call such as ``linspace(…)``."""
        value = node.plain()
        if isinstance(value, str) and parameter.kind is float:
            try:
                if grammar.is_tuned(value):
                    return grammar.tuned_values(value, parameter, counts.get(parameter.name, 1))[0]
                return [parse_schedule(value)] if is_schedule(value) else list(grammar.axis_values(value))
            except ValueError as error:
                self.problems.append(node.problem(str(error)))
                return None
        if parameter.kind is float and isinstance(value, list):
            problems = [*self.problems]
            read = [self.listed(node.at([i])) for i in range(len(value))]
            return read if problems == self.problems else None
        if parameter.kind is tuple:
            is_axis = isinstance(value, list) and any(isinstance(item, list) for item in value)
            return value if is_axis else [value]
        return value if isinstance(value, list) else [value]

    def listed(self, node: Node) -> Any:
        """One value of a list, still unchecked unless it is a schedule."""
        try:
            return read_listed(node.plain())
        except ValueError as error:
            self.problems.append(node.problem(str(error)))
            return None

    def starts(self, surface: Surface | None) -> Starts | None:
        """Where trials start; the surface's own start if nothing is said. No surface: the numbers are checked."""
        node = self.tree.get("start")
        if node is None:
            return Points(points=(surface.default_start(surface.default_dimension),)) if surface else None
        starts = self.called_starts(node, surface) if isinstance(node.value, str) else self.points(node)
        if starts is None or surface is None:
            return None
        required, least = surface.required_dimension, surface.least_dimension
        wrong = {dimension for dimension in starts.dimensions if dimension != required} if required else set()
        if wrong or min(starts.dimensions) < least or len(starts.dimensions) > 1:
            needed = f"{required}" if required else f"{least} or more"
            found = " and ".join(map(str, sorted(wrong or starts.dimensions)))
            noun = "coordinate" if needed == "1" else "coordinates"
            message = f"the surface {surface.name} has {needed} {noun}, the start has {found}"
            self.problems.append(node.problem(message))
            return None
        return starts

    def called_starts(self, node: Node, surface: Surface | None) -> Starts | None:
        try:
            return grammar.starts(node.value, surface.default_dimension if surface else 1)
        except ValueError as error:
            self.problems.append(node.problem(str(error)))
            return None

    def points(self, node: Node) -> Points | None:
        """One point, a list of points, or (in one dimension) a number."""
        if isinstance(node.value, list) and any(isinstance(item.value, list) for item in node.value):
            rows = node.value
        else:
            rows = [node if isinstance(node.value, list) else Node(value=[node], place=node.place, path=node.path)]
        listed = Node(value=rows, place=node.place, path=node.path)
        model = self.validated(StartPoints, {"start": listed.plain()}, {"start": listed})
        return Points(points=tuple(map(tuple, model.start))) if model else None

    def validated(self, model: type[Model], values: Mapping[str, Any], nodes: Mapping[str, Node]) -> Model | None:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self.problems += problems_of(error, nodes)
            return None


def _search_counts(tuned: list[list[str]], budget: int) -> list[dict[str, int]]:
    """With how many values the search for each tuned hyperparameter begins, so that each optimizer gets as many trials.

    Parameters
    ----------
    tuned
        The tuned hyperparameters of each optimizer.
    budget
        The most trials: each gets the largest grid within it that has as many values of every further hyperparameter
        of the optimizer that tunes most.
    """
    most = max(map(len, tuned), default=0)
    others = max(1, int(budget ** (1 / most) + 1e-9)) if most else 1
    rates = budget // others ** (most - 1) if most else 1
    return [
        {name: others if i else rates * others ** (most - len(names)) for i, name in enumerate(names)}
        for names in tuned
    ]


def _axis(items: list[Any], written: Node | None) -> Axis:
    """The checked values of a parameter, and the call by which they were spelled."""
    values = tuple(tuple(item) if isinstance(item, list) else item for item in items)
    is_call = written is not None and isinstance(written.value, str) and not isinstance(values[0], (str, Schedule))
    return Axis(values=values, spelling=written.value if written is not None and is_call else None)


def _position(problem: Problem) -> list[int]:
    """Line and column, so that problems come in the order of the file; what has no line comes first."""
    return [int(number) for number in re.findall(r":(\d+)", problem.place)[-2:]]


def _all_values(choice: Choice) -> Iterable[Setting]:
    return (value for axis in choice.axes.values() for value in axis.values)
