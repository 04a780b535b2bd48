"""What ``list`` and ``show`` print: the catalogues, from what their classes declare."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from momentumlab.conventions import CONVENTIONS
from momentumlab.datasets.builtin import DATA_SETS
from momentumlab.errors import ConfigError, Problem
from momentumlab.noise import NOISE_MODELS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Parameter, Registry, Value, did_you_mean, explanation_of, title_of
from momentumlab.report.labels import point, short
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES, Tag

CATALOGUES: dict[str, Registry[Any]] = {
    "surfaces": SURFACES,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "noise": NOISE_MODELS,
    "data": DATA_SETS,
    "conventions": CONVENTIONS,
}


def entries(noun: str, tags: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A catalogue, by its plural, as data; of the surfaces, those with all the tags.

    Raises
    ------
    ConfigError
        If one of the tags is none, or the catalogue has no tags.
    """
    catalogue = CATALOGUES[noun]
    catalogue.load_installed()
    wanted = _known(tags)
    if wanted and catalogue is not SURFACES:
        raise ConfigError([Problem(place="--tag", message=f"only surfaces have tags; leave it out for {noun}")])
    every = (describe(catalogue, name) for name in sorted(catalogue))
    return [entry for entry in every if wanted <= set(entry.get("tags", ()))]


def _known(tags: Iterable[str]) -> set[str]:
    """The tags, if all of them are.

    Raises
    ------
    ConfigError
        With every one that is none.
    """
    known = [tag.value for tag in Tag]
    problems = [
        Problem(place="--tag", message=f"unknown tag '{tag}'{did_you_mean(tag, known)}; there are {', '.join(known)}")
        for tag in tags
        if tag not in known
    ]
    if problems:
        raise ConfigError(problems)
    return set(tags)


def describe(catalogue: Registry[Any], name: str) -> dict[str, Any]:
    """All that is declared of one entry, as data."""
    cls = catalogue[name]
    description: dict[str, Any] = {
        "name": cls.name,
        "aliases": list(catalogue.aliases(cls.name)),
        "title": title_of(cls),
        "explanation": explanation_of(cls),
        "parameters": [_parameter(parameter) for parameter in cls.parameters()],
        "source": cls.source,
    }
    if catalogue is OPTIMIZERS:
        return {**description, "equation": cls.equation}
    if catalogue is CONVENTIONS:
        return {**description, "equation": cls.equation, "users": cls.users, "stored": cls.stored}
    if catalogue is DATA_SETS:
        return description
    if catalogue in (SCHEDULES, NOISE_MODELS):
        return {**description, "formula": cls.formula}
    lacking = [parameter.name for parameter in cls.parameters() if parameter.required]
    if lacking:
        message = f"{' and '.join(lacking)} must be numbers here: write them into '{cls.name}'"
        raise ConfigError([Problem(place="", message=message)])
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


def list_table(noun: str, listed: Iterable[dict[str, Any]]) -> Table:
    """A line for each of some entries of a catalogue."""
    table = Table(box=None, pad_edge=False)
    are_surfaces = noun == "surfaces"
    formula = "equation" if noun in ("optimizers", "conventions") else "formula"
    for heading in ("name", *(["tags"] if are_surfaces else []), "parameters", formula):
        table.add_column(heading, no_wrap=heading == "name")
    for entry in listed:
        names = ", ".join(parameter["name"] for parameter in entry["parameters"])
        words = [", ".join(entry["tags"])] if are_surfaces else []
        table.add_row(Text(entry["name"], style="bold"), *words, names, escape(entry[formula]))
    return table


def page(noun: str, listed: Iterable[dict[str, Any]]) -> str:
    """Some entries of a catalogue as one page of Markdown; before surfaces, what their tags mean."""
    tags = list(_tag_rows()) if noun == "surfaces" else []
    return "\n".join([*tags, *(line for entry in listed for line in _section(entry))])


def _tag_rows() -> Iterator[str]:
    yield "| tag | says that |"
    yield "|---|---|"
    yield from (f"| {tag.value} | {tag.meaning} |" for tag in Tag)
    yield ""


def _section(entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {entry['name']}\n"
    yield f"{entry['title']}\n"
    if "tags" in entry:
        yield f"![{entry['name']}](surfaces/{entry['name']}.png)\n"
    yield f"```text\n{entry.get('equation') or entry['formula']}\n```\n"
    if entry["explanation"]:
        yield f"{entry['explanation'].replace('``', '`')}\n"
    yield from _parameter_rows(
        entry["parameters"], "parameter" if "tags" in entry or "equation" in entry else "argument"
    )
    if facts := list(_facts(entry)):
        yield from (f"- {fact}" for fact in facts)
        yield ""
    also = f" Also called `{'`, `'.join(entry['aliases'])}`." if entry["aliases"] else ""
    yield f"Source: {entry['source']}.{also}\n"


def _parameter_rows(parameters: list[dict[str, Any]], word: str) -> Iterator[str]:
    if not parameters:
        return
    have_dialects = any(parameter["name"] == "lr" for parameter in parameters)  # an optimizer's
    headings = [word, "default", *(["optax's"] if have_dialects else []), "bounds", "meaning"]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for parameter in parameters:
        also = f" (also `{'`, `'.join(parameter['aliases'])}`)" if parameter["aliases"] else ""
        optax = [_told(parameter["optax"])] if have_dialects else []
        bounds = parameter["bounds"].replace("|", "\\|")
        cells = [f"`{parameter['name']}`{also}", _told(parameter["default"]), *optax, bounds, parameter["doc"]]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _told(value: Any) -> str:
    return "" if value is None else short(tuple(value) if isinstance(value, list) else value)


def card(noun: str, name: str) -> RenderableType:
    """All about one entry.

    Raises
    ------
    UnknownNameError
        If there is no such entry.
    ConfigError
        If it is an expression with a mistake, or with constants that have no value.
    """
    catalogue = CATALOGUES[noun]
    entry = describe(catalogue, name)
    aliases = f"  (also: {', '.join(entry['aliases'])})" if entry["aliases"] else ""
    facts = list(_facts(entry))
    return Group(
        Text.assemble((entry["name"], "bold"), aliases),
        Text(entry["title"]),
        Text(""),
        Text(f"    {entry.get('equation') or entry['formula']}", style="bold cyan"),
        Text(""),
        Text(entry["explanation"].replace("``", "'")),
        *(Text(fact) for fact in (["", *facts] if facts else [])),
        *_parameters(entry["parameters"]),
        Text(""),
        Text(f"Source: {entry['source']}"),
    )


def _facts(entry: dict[str, Any]) -> Iterator[str]:
    """What there is to know of an entry beyond its formula, a line each."""
    if "users" in entry:
        yield f"Used by: {entry['users']}"
        yield f"Its parameters are: {entry['stored']}"
    if "dimension" not in entry:
        return
    if entry["tags"]:
        yield f"Tags: {', '.join(entry['tags'])}"
    least = entry["least_dimension"]
    if entry["is_formula"]:
        yield f"Dimension: {entry['dimension'] or ('any' if least == 1 else f'any from {least}')}"
    else:
        yield f"Dimension: that of the data, {len(entry['window'])} with the defaults"
    yield f"Default start: {point(entry['default_start'])} in the window {_box(entry['window'])}"
    if entry["domain"] is not None:
        yield f"Domain, for which the minima are given: {_box(entry['domain'])}"
    for critical in entry["critical_points"]:
        where = point(critical["point"], digits=10)
        yield f"{critical['kind'].capitalize()}: {where}, loss {critical['loss']:.10g}"
    if not entry["lists_all_minima"]:
        yield "Further minima in the window are not listed"


def _box(intervals: list[list[float]]) -> str:
    told = [f"[{low:g}, {high:g}]" for low, high in intervals]
    if len(told) <= 4:
        return " × ".join(told)
    runs = [(interval, len(list(run))) for interval, run in itertools.groupby(told)]
    return " × ".join(f"{interval} in {count} coordinates" for interval, count in runs)


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[RenderableType]:
    if not parameters:
        return
    table = Table(box=None, pad_edge=False)
    differ = any(parameter["optax"] is not None for parameter in parameters)
    for heading in ("parameter", "default", *(["optax's"] if differ else []), "bounds", "meaning"):
        table.add_column(heading, no_wrap=heading not in ("meaning", "bounds"))
    for parameter in parameters:
        also = f" (also: {', '.join(parameter['aliases'])})" if parameter["aliases"] else ""
        defaults = [_told(parameter["default"]), *([_told(parameter["optax"])] if differ else [])]
        table.add_row(parameter["name"], *defaults, parameter["bounds"], parameter["doc"] + also)
    yield Text("")
    yield table


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "aliases": list(parameter.aliases),
        "default": "required" if parameter.default is None else _plain(parameter.default),
        "optax": _plain(parameter.optax),
        "bounds": parameter.bounds,
        "doc": parameter.doc + (f"; follows no schedule: {parameter.constant}" if parameter.constant else ""),
    }


def _plain(value: Value | None) -> Any:
    return list(value) if isinstance(value, tuple) else value
