"""``list`` and ``show``: the entries of all registries as declared by their classes."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from momentumlab.config import load_experiment
from momentumlab.conventions import CONVENTIONS
from momentumlab.datasets.builtin import DATA_SETS
from momentumlab.errors import ConfigError, Problem
from momentumlab.noise import NOISE_MODELS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import Parameter, Value
from momentumlab.plan import make_plan
from momentumlab.registry import Registry, did_you_mean, explanation_of, title_of
from momentumlab.report.labels import exact, point
from momentumlab.report.table import Column, Kind, Table
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES, Tag

REGISTRIES: dict[str, Registry[Any]] = {
    "surfaces": SURFACES,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "noise": NOISE_MODELS,
    "data": DATA_SETS,
    "conventions": CONVENTIONS,
}


def nouns_of(name: str) -> list[str]:
    """Return the plurals of what a name denotes: ``["surfaces"]`` for ``ravine`` and for an expression.

    Raises
    ------
    ConfigError
        If there is no entry of this name.
    """
    found = [noun for noun, registry in REGISTRIES.items() if name in registry]
    if not found:
        for registry in REGISTRIES.values():
            registry.load_installed()
        found = [noun for noun, registry in REGISTRIES.items() if name in registry]
    if not found and ":" in name:  # such as torch:AdamW, without torch: its own error says what is missing
        found = ["optimizers"]
    if not found and SURFACES.is_expression(name):
        found = ["surfaces"]
    if not found:
        hint = did_you_mean(name, itertools.chain.from_iterable(REGISTRIES.values()))
        raise ConfigError.at("", f"unknown name '{name}'{hint}; 'momentumlab list' shows where to look")
    return found


def overview() -> Table:
    """Return a table of the kinds of entries, with their number and the names of some."""
    names = [list(registry) for registry in REGISTRIES.values()]
    examples = [f"{', '.join(each[:4])}, …" for each in names]
    return Table(
        columns=[
            Column(heading="kind", cells=list(REGISTRIES), kind=Kind.NAME),
            Column(heading="entries", cells=[str(len(each)) for each in names]),
            Column(heading="such as", cells=examples, kind=Kind.PROSE),
        ],
        remarks=["'momentumlab list KIND' lists the entries of one kind, 'momentumlab show NAME' shows one of them"],
    )


def entries(noun: str, tags: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Describe all entries of a registry, given its plural; ``tags`` selects surfaces that have all of them.

    Raises
    ------
    ConfigError
        If a tag is unknown, or the registry has no tags.
    """
    registry = REGISTRIES[noun]
    registry.load_installed()
    known = [tag.value for tag in Tag]
    messages = [
        f"unknown tag '{tag}'{did_you_mean(tag, known)}; the tags are {', '.join(known)}"
        for tag in tags
        if tag not in known
    ]
    if tags and not messages and registry is not SURFACES:
        messages = [f"only surfaces have tags: leave it out for {noun}"]
    if messages:
        raise ConfigError([Problem(place="--tag", message=message) for message in messages])
    every = (describe(registry, name) for name in sorted(registry))
    return [entry for entry in every if set(tags) <= set(entry.get("tags", ()))]


def describe(registry: Registry[Any], name: str) -> dict[str, Any]:
    """Return all declarations of an entry as data."""
    cls = registry[name]
    description: dict[str, Any] = {
        "name": cls.name,
        "aliases": list(registry.aliases(cls.name)),
        "title": title_of(cls),
        "family": cls.__module__.rpartition(".")[2],
        "explanation": explanation_of(cls),
        "parameters": [_parameter(parameter) for parameter in cls.parameters()],
        "source": cls.source,
    }
    if registry is OPTIMIZERS:
        return {**description, "equation": cls.equation}
    if registry is CONVENTIONS:
        return {**description, "equation": cls.equation, "users": cls.users, "stored": cls.stored}
    if registry is DATA_SETS:
        return description
    if registry in (SCHEDULES, NOISE_MODELS):
        return {**description, "formula": cls.formula}
    lacking = [parameter.name for parameter in cls.parameters() if parameter.required]
    if lacking:
        message = f"{' and '.join(lacking)} must be numbers here: replace them in '{cls.name}'"
        raise ConfigError.at("", message)
    surface = cls()
    dimension = surface.default_dimension
    return {
        **description,
        "formula": cls.formula,
        "latex": cls.latex,
        "dimension": cls.dimension,
        "is_formula": cls.is_formula,
        "least_dimension": cls.dimension or cls.least_dimension,
        "tags": [tag.value for tag in Tag if tag in cls.tags],
        "default_start": list(surface.default_start(dimension)),
        "window": [list(interval) for interval in surface.window(dimension)],
        "domain": None if cls.domain is None else [list(interval) for interval in cls.domain],
        "lists_all_minima": cls.lists_all_minima,
        "critical_points": [
            {"kind": critical.kind.value, "point": list(critical.point), "loss": critical.loss}
            for critical in surface.critical_points(dimension)
        ],
    }


def list_table(noun: str, listed: Sequence[dict[str, Any]]) -> Table:
    """Return a table with a line per entry."""
    columns = [Column(heading="name", cells=[entry["name"] for entry in listed], kind=Kind.NAME)]
    if noun == "surfaces":
        dimensions = [_dimension(entry) if entry["is_formula"] else "of the data" for entry in listed]
        columns.append(Column(heading="dimension", cells=dimensions, kind=Kind.NAME))
    columns += [
        Column(heading="family", cells=[entry["family"] for entry in listed], kind=Kind.NAME),
        Column(heading="description", cells=[entry["title"].replace("``", "'") for entry in listed], kind=Kind.PROSE),
    ]
    return Table(columns=columns)


def page(noun: str, listed: Iterable[dict[str, Any]]) -> str:
    """Return entries of a registry as one page of Markdown; pages of surfaces begin with the meaning of the tags."""
    tags = []
    if noun == "surfaces":
        cells = [tag.value for tag in Tag], [tag.meaning for tag in Tag]
        headings = ("tag", "meaning")
        columns = [Column(heading=heading, cells=each) for heading, each in zip(headings, cells, strict=True)]
        tags = [Table(columns=columns).markdown(), ""]
    return "\n".join([*tags, *(line for entry in listed for line in _section(entry))])


def _section(entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {entry['name']}\n"
    yield f"{entry['title']}\n"
    if "tags" in entry:
        yield f"![{entry['name']}](surfaces/{entry['name']}.png)\n"
    if formula := _formula(entry):
        yield f"```text\n{formula}\n```\n"
    if entry["explanation"]:
        yield f"{entry['explanation'].replace('``', '`')}\n"
    if entry["parameters"]:
        yield _parameters(entry, marks="`").markdown()
        yield ""
    if facts := list(_facts(entry)):
        yield from (f"- {name}: {fact}" for name, fact in facts)
        yield ""
    also = f" Also called `{'`, `'.join(entry['aliases'])}`." if entry["aliases"] else ""
    yield f"Source: {entry['source']}.{also}\n"


def _parameters(entry: dict[str, Any], *, marks: str = "") -> Table:
    """Return the parameters of an entry; names stand between ``marks``."""
    parameters = entry["parameters"]
    is_called = "tags" in entry or "equation" in entry
    names = [f"{marks}{each['name']}{marks}" for each in parameters]
    aliases = [", ".join(f"{marks}{alias}{marks}" for alias in each["aliases"]) for each in parameters]
    columns = [
        Column(heading="parameter" if is_called else "argument", cells=names, kind=Kind.NAME),
        Column(heading="also", cells=aliases, kind=Kind.PROSE),
        Column(heading="default", cells=[_default(each["default"]) for each in parameters], kind=Kind.NAME),
        Column(heading="in optax", cells=[_default(each["optax"]) for each in parameters], kind=Kind.NAME),
        Column(heading="bounds", cells=[each["bounds"] for each in parameters], kind=Kind.PROSE),
        Column(heading="meaning", cells=[each["doc"] for each in parameters], kind=Kind.PROSE),
    ]
    return Table(columns=[column for column in columns if any(column.cells)])


def _default(value: Any) -> str:
    return "" if value is None else exact(tuple(value) if isinstance(value, list) else value)


def card(noun: str, name: str) -> list[Table]:
    """Return everything about one entry.

    Raises
    ------
    UnknownNameError
        If there is no such entry.
    ConfigError
        If it is an invalid expression, or one whose constants have no value.
    """
    entry = describe(REGISTRIES[noun], name)
    facts = [*_facts(entry), ("Source", entry["source"])]
    if noun == "surfaces":
        facts.insert(-1, ("Compiled kernel", _kernel(surface=name, optimizer="sgd")))
    if noun == "optimizers":
        facts.insert(-1, ("Compiled kernel", _kernel(surface="ravine", optimizer=name)))
    if entry["aliases"]:
        facts.insert(0, ("Also called", ", ".join(entry["aliases"])))
    formula = Column(heading="", cells=[f"    {_formula(entry)}"], kind=Kind.PROSE, styles=["bold cyan"])
    explanation = entry["explanation"].replace("``", "'")
    paragraphs = [" ".join(text.split()) for text in explanation.split("\n\n")] if explanation else []
    return [
        Table(title=entry["name"], lines=[entry["title"]]),
        *([Table(columns=[formula])] if _formula(entry) else []),
        *(Table(lines=[paragraph]) for paragraph in paragraphs),
        Table(
            columns=[
                Column(heading="", cells=[f"{fact}:" for fact, _ in facts], kind=Kind.NAME),
                Column(heading="", cells=[text for _, text in facts], kind=Kind.PROSE),
            ]
        ),
        *([_parameters(entry)] if entry["parameters"] else []),
    ]


def _kernel(**names: str) -> str:
    """Return whether a surface or an optimizer with default settings can be compiled; numba is not needed for it."""
    from momentumlab.kernels.recording import record
    from momentumlab.kernels.tracer import UntraceableError

    try:
        experiment = load_experiment(names)
        record(make_plan(experiment).groups[0], experiment)
    except ConfigError:
        return "unknown: some settings have no default"
    except UntraceableError as error:
        return f"no, {error}"
    return "yes, with the extra 'fast'"


def _formula(entry: dict[str, Any]) -> str:
    """Return the equation of an optimizer or convention, or the formula of another entry; empty for a data set."""
    return str(entry.get("equation") or entry.get("formula", ""))


def _facts(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts about an entry beyond its formula, each with its name."""
    if "users" in entry:
        yield "Used by", entry["users"]
        yield "Its parameters are", entry["stored"]
    if "dimension" not in entry:
        return
    if entry["tags"]:
        yield "Tags", ", ".join(entry["tags"])
    yield "Dimension", _dimension(entry)
    yield "Default start", f"{point(entry['default_start'])} in the window {_box(entry['window'])}"
    if entry["domain"] is not None:
        yield "Domain", f"{_box(entry['domain'])}, for which the minima are given"
    for critical in entry["critical_points"]:
        where = point(critical["point"], digits=10)
        yield critical["kind"].capitalize(), f"{where}, loss {critical['loss']:.10g}"
    if not entry["lists_all_minima"]:
        found = any(critical["kind"].endswith("found") for critical in entry["critical_points"])
        yield "Further minima", "the window may have some" if found else "the window has some that are not listed"


def _dimension(entry: dict[str, Any]) -> str:
    if not entry["is_formula"]:
        return f"that of the data, by default {len(entry['window'])}"
    least = entry["least_dimension"]
    return str(entry["dimension"] or ("any" if least == 1 else f"any from {least}"))


def _box(intervals: list[list[float]]) -> str:
    texts = [f"[{low:g}, {high:g}]" for low, high in intervals]
    if len(texts) <= 4:
        return " × ".join(texts)
    runs = [(interval, len(list(run))) for interval, run in itertools.groupby(texts)]
    return " × ".join(f"{interval} in {count} coordinates" for interval, count in runs)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    def plain(value: Value | None) -> Any:
        return list(value) if isinstance(value, tuple) else value

    return {
        "name": parameter.name,
        "aliases": list(parameter.aliases),
        "default": "required" if parameter.default is None else plain(parameter.default),
        "optax": plain(parameter.optax),
        "bounds": parameter.bounds,
        "doc": parameter.doc + (f"; follows no schedule: {parameter.constant}" if parameter.constant else ""),
    }
