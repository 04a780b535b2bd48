"""What ``translate`` prints: a translation as a table, its equations, its proof and plain words; and as data."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from momentumlab.conventions import Check, Convention, Fidelity, Obstacle, Shape, Translation
from momentumlab.conventions.proof import ITERATIONS, reweighting
from momentumlab.report.labels import axis_name, short

SYMBOLS = {"nu": "ν", "dampening": "dampening τ"}
STYLES = {Fidelity.EXACT: "green", Fidelity.CONSTANT_LR: "yellow", Fidelity.NEAREST: "red"}

Proven = tuple[Translation, Sequence[Check]]
"""A translation and what came out when it was run."""


def rich_translations(proven: Sequence[Proven]) -> RenderableType:
    """One translation with all that is to be said of it, or several in one table."""
    return _in_full(*proven[0]) if len(proven) == 1 else _side_by_side(proven)


def _in_full(translation: Translation, checks: Sequence[Check]) -> RenderableType:
    source, target, fidelity = translation.source, translation.target, translation.fidelity
    title = Text.assemble((f"{source.name} → {target.name}", "bold"), ": ", (fidelity.words, STYLES[fidelity]))
    return Group(
        title,
        Text(""),
        _hyperparameters([source, target]),
        Text(""),
        _lines([(one.name, one.written) for one in (source, target)]),
        Text(""),
        _lines([(one.name, one.call) for one in (source, target) if one.call]),
        Text(""),
        _measured(checks),
        Text(""),
        *(Text(f"• {note}") for note in notes(translation)),
    )


def _side_by_side(proven: Sequence[Proven]) -> RenderableType:
    source = proven[0][0].source
    table = Table(box=None, pad_edge=False)
    names = _names([source, *(translation.target for translation, _ in proven)])
    table.add_column("convention", no_wrap=True)
    for name in names:
        table.add_column(_symbol(name), justify="right", no_wrap=True)
    for heading in ("constant", "changing"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("translation")
    table.add_row(Text(source.name, style="bold"), *_values(source, names))
    for translation, checks in proven:
        measured = [f"{check.largest:.1e}" for check in checks[:2]]
        fidelity = Text(translation.fidelity.value, style=STYLES[translation.fidelity])
        table.add_row(translation.target.name, *_values(translation.target, names), *measured, fidelity)
    every = [source, *(translation.target for translation, _ in proven)]
    told: dict[str, list[str]] = {}
    for translation, _ in proven:
        for reason in why_not(translation, "{target}"):
            told.setdefault(reason, []).append(translation.target.name)
    reasons = [reason.replace("{target}", _listed(targets)) for reason, targets in told.items()]
    return Group(
        Text(f"{source.name} in all other conventions", style="bold"),
        table,
        Text(f"Columns: lr constant; {proven[0][1][1].question}. {_explained(proven[0][1])}", style="dim"),
        Text(""),
        _lines([(one.name, one.written) for one in every]),
        Text(""),
        _lines([(one.name, one.call) for one in every if one.call]),
        *([Text("")] if reasons else []),
        *(Text(f"• {reason}") for reason in reasons),
        Text(""),
        Text(f"'--to {proven[0][0].target.name}' tells more of one of them.", style="dim"),
    )


def _hyperparameters(conventions: Sequence[Convention[Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    names = _names(conventions)
    table.add_column("convention")
    for name in names:
        table.add_column(_symbol(name), justify="right")
    table.add_column("its parameters are")
    for one in conventions:
        table.add_row(one.name, *_values(one, names), one.stored)
    return table


def _names(conventions: Sequence[Convention[Any]]) -> list[str]:
    """The hyperparameters to tell of: lr, β, and what is not off everywhere."""
    names = dict.fromkeys(name for one in conventions for name in one.values)
    return [name for name in names if name in ("lr", "beta") or any(one.values.get(name) for one in conventions)]


def _values(convention: Convention[Any], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        value = convention.values.get(name, "")
        yield ("yes" if value else "no") if isinstance(value, bool) else _number(value) if value != "" else ""


def _number(value: float | str) -> str:
    """A number at a readable precision, unless that would be another number."""
    return short(value) if isinstance(value, str) or float(short(value)) == value else f"{value:.8g}"


def _symbol(name: str) -> Text:
    return Text(SYMBOLS.get(name, axis_name(name)))


def _lines(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, line in rows:
        table.add_row(Text(name), Text(line, style="cyan"))
    return table


def _measured(checks: Sequence[Check]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("run side by side")
    for surface in checks[0].differences:
        table.add_column(surface, justify="right", no_wrap=True)
    for check in checks:
        table.add_row(Text(check.question), *(f"{value:.1e}" for value in check.differences.values()))
    return Group(table, Text(_explained(checks), style="dim"))


def _explained(checks: Sequence[Check]) -> str:
    surfaces = " and ".join(checks[0].differences)
    return (
        f"The largest difference in {ITERATIONS} steps on {surfaces} (losses scaled to be stable), as a share of the "
        "way from the start. Compared are the points at which gradients are taken."
    )


def notes(translation: Translation) -> Iterator[str]:
    """What a person should know before relying on it."""
    source, target = translation.source, translation.target
    yield from why_not(translation)
    if translation.fidelity is not Fidelity.EXACT and source.filter.keeps_lr != target.filter.keeps_lr:
        yield from _about_lr(translation)
    if source.stores_elsewhere != target.stores_elsewhere:
        behind, at = (source, target) if source.stores_elsewhere else (target, source)
        yield (
            f"{at.name} stores the point at which gradients are taken, {behind.name} another one: {behind.stored}. "
            f"So {at.name}'s parameters are {behind.name}'s look-ahead point."
        )
    elif source.stores_elsewhere:
        yield "Both store a point that is not the one at which gradients are taken; it is the same point for both."


def _about_lr(translation: Translation) -> Iterator[str]:
    source, target = translation.source, translation.target
    keeps, applies = (source, target) if source.filter.keeps_lr else (target, source)
    steps = 1 / (1 - source.beta)
    yield (
        f"When lr changes, with {keeps.name} every gradient keeps the lr of its own time, with {applies.name} today's "
        f"lr goes for all of them: for about 1/(1 − β) = {short(steps)} steps the two move differently."
    )
    if target.rescalable and translation.fidelity is Fidelity.CONSTANT_LR:
        ratio = "lr now / lr before" if target.filter.keeps_lr else "lr before / lr now"
        yield f"Multiply the velocity of {target.name} by {ratio} before the step in which lr changes, and they agree."


def why_not(translation: Translation, name: str | None = None) -> Iterator[str]:
    """Why there is no exact translation; nothing if there is.

    Parameters
    ----------
    translation
        What was found.
    name
        How to call the target, if not by its name.
    """
    source, target = translation.source, translation.target
    wanted, called = source.filter.normal, target.name if name is None else name
    for obstacle in translation.obstacles:
        if obstacle is Obstacle.SHAPE:
            ratio = wanted.memory * wanted.beta / (wanted.now + wanted.memory)
            yield (
                f"With {source.name} a gradient weighs {short(ratio)} times as much in the second step as in its "
                f"first, and then β = {short(wanted.beta)} times as much in each. {_can_have(target, called)}"
            )
        elif obstacle is Obstacle.FIRST:
            more = 1 + wanted.first / wanted.memory
            yield (
                f"{source.name} does not dampen the very first gradient, which so weighs {short(more)} times as much "
                f"as any later one. With {called} all weigh alike: the same from the second gradient on, but for what "
                "the first one has moved."
            )
        else:
            is_source = obstacle is Obstacle.DEBIASED_SOURCE
            divides, other = (source.name, called) if is_source else (called, source.name)
            yield f"{divides} divides by 1 − βᵗ, so that its first steps are longer; with {other} they are not."
        if factor := reweighting(translation):
            yield f"A schedule makes up for it: lr {factor} (1 − βᵗ) in step t, with {called}, gives the same path."


def _can_have(target: Convention[Any], called: str) -> str:
    """What the second weight over the first can be in a convention with this β."""
    beta = target.beta
    ahead = f"β²/(1 + β) = {short(beta**2 / (1 + beta))}"
    of_shape = {Shape.PLAIN: f"β = {short(beta)}", Shape.AHEAD: f"{ahead} (Nesterov's method)"}
    words = " or ".join(of_shape[shape] for shape in target.shapes)
    return f"With {called} the first of these can only be {words}, whatever lr is."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def document(proven: Sequence[Proven]) -> dict[str, Any]:
    """The same as data, for one translation or several; every number at full precision."""
    source = proven[0][0].source
    return {
        "from": _convention(source),
        "translations": [
            {
                "to": _convention(translation.target),
                "fidelity": translation.fidelity.value,
                "exact": translation.fidelity is not Fidelity.NEAREST,
                "survives_changing_lr": translation.fidelity is Fidelity.EXACT,
                "why_not": list(why_not(translation)),
                "notes": list(notes(translation)),
                "checks": [{"question": check.question, "differences": dict(check.differences)} for check in checks],
            }
            for translation, checks in proven
        ],
    }


def _convention(convention: Convention[Any]) -> dict[str, Any]:
    return {
        "convention": convention.name,
        "hyperparameters": convention.values,
        "equation": convention.written,
        "call": convention.call or None,
        "stored": convention.stored,
    }
