"""What ``list`` and ``show`` print: the catalogues, from what their classes declare."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from momentumlab.catalogue import Catalogue, Parameter, Value, explanation_of, title_of
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.report.labels import point, short
from momentumlab.schedules import SCHEDULES, Argument
from momentumlab.surfaces import SURFACES

CATALOGUES: dict[str, Catalogue[Any]] = {"surfaces": SURFACES, "optimizers": OPTIMIZERS, "schedules": SCHEDULES}


ARGUMENTS = "| argument | default | bounds | meaning |"


def entries(noun: str) -> list[dict[str, Any]]:
    """A catalogue (``surfaces``, ``optimizers`` or ``schedules``) as data, an entry each."""
    catalogue = CATALOGUES[noun]
    return [describe(catalogue, name) for name in sorted(catalogue)]


def describe(catalogue: Catalogue[Any], name: str) -> dict[str, Any]:
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
    if catalogue is SCHEDULES:
        return {**description, "formula": cls.formula}
    surface = cls()
    dimension = surface.default_dimension
    return {
        **description,
        "formula": cls.formula,
        "latex": cls.latex,
        "dimension": cls.dimension,
        "default_start": list(surface.default_start(dimension)),
        "window": [list(interval) for interval in surface.window(dimension)],
        "critical_points": [
            {"kind": critical.kind.value, "point": list(critical.point), "loss": critical.loss}
            for critical in surface.critical_points(dimension)
        ],
    }


def list_table(noun: str) -> Table:
    """A line for each entry of a catalogue."""
    table = Table(box=None, pad_edge=False)
    formula = "equation" if noun == "optimizers" else "formula"
    for heading in ("name", "parameters", formula):
        table.add_column(heading, no_wrap=heading == "name")
    for entry in entries(noun):
        names = ", ".join(parameter["name"] for parameter in entry["parameters"])
        table.add_row(Text(entry["name"], style="bold"), names, escape(entry[formula]))
    return table


def page(noun: str) -> str:
    """A catalogue as one page of Markdown."""
    return "\n".join(line for entry in entries(noun) for line in _section(entry))


def _section(entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {entry['name']}\n"
    yield f"{entry['title']}\n"
    yield f"```text\n{entry.get('equation') or entry['formula']}\n```\n"
    if entry["explanation"]:
        yield f"{entry['explanation'].replace('``', '`')}\n"
    if entry["parameters"]:
        dialects = "equation" in entry
        yield "| parameter | default | optax's | bounds | meaning |" if dialects else ARGUMENTS
        yield "|---|---|---|---|---|" if dialects else "|---|---|---|---|"
        for parameter in entry["parameters"]:
            default, optax = _told(parameter["default"]), f" {_told(parameter['optax'])} |" if dialects else ""
            also = f" (also `{'`, `'.join(parameter['aliases'])}`)" if parameter["aliases"] else ""
            bounds = parameter["bounds"].replace("|", "\\|")
            yield f"| `{parameter['name']}`{also} | {default} |{optax} {bounds} | {parameter['doc']} |"
        yield ""
    also = f" Also called `{'`, `'.join(entry['aliases'])}`." if entry["aliases"] else ""
    yield f"Source: {entry['source']}.{also}\n"


def _told(value: Any) -> str:
    return "" if value is None else short(tuple(value) if isinstance(value, list) else value)


def card(noun: str, name: str) -> RenderableType:
    """All about one entry.

    Raises
    ------
    UnknownNameError
        If there is no such entry.
    """
    catalogue = CATALOGUES[noun]
    entry = describe(catalogue, name)
    aliases = f"  (also: {', '.join(entry['aliases'])})" if entry["aliases"] else ""
    return Group(
        Text.assemble((entry["name"], "bold"), aliases),
        Text(entry["title"]),
        Text(""),
        Text(f"    {entry.get('equation') or entry['formula']}", style="bold cyan"),
        Text(""),
        Text(entry["explanation"].replace("``", "'")),
        *_facts(entry),
        *_parameters(entry["parameters"]),
        Text(""),
        Text(f"Source: {entry['source']}"),
    )


def _facts(entry: dict[str, Any]) -> Iterator[RenderableType]:
    if "dimension" not in entry:
        return
    yield Text("")
    yield Text(f"Dimension: {entry['dimension'] or 'any'}")
    window = " × ".join(f"[{low:g}, {high:g}]" for low, high in entry["window"])
    yield Text(f"Default start: {point(entry['default_start'])} in the window {window}")
    for critical in entry["critical_points"]:
        where = point(critical["point"], digits=10)
        yield Text(f"{critical['kind'].capitalize()}: {where}, loss {critical['loss']:.10g}")


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


def _parameter(parameter: Parameter | Argument) -> dict[str, Any]:
    if isinstance(parameter, Argument):
        default = "needed" if parameter.default is None else parameter.default
        declared: dict[str, Any] = {"aliases": [], "default": default, "optax": None}
        return {"name": parameter.name, **declared, "bounds": parameter.bounds, "doc": parameter.doc}
    return {
        "name": parameter.name,
        "aliases": list(parameter.aliases),
        "default": _plain(parameter.default),
        "optax": _plain(parameter.optax),
        "bounds": parameter.bounds,
        "doc": parameter.doc + (f"; follows no schedule: {parameter.constant}" if parameter.constant else ""),
    }


def _plain(value: Value | None) -> Any:
    return list(value) if isinstance(value, tuple) else value
