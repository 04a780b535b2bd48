"""``translate``: a translation between conventions with its equations and its check, as tables and as JSON."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from momentumlab.conventions import (
    Check,
    Convention,
    Fidelity,
    MomentumConvention,
    Obstacle,
    Shape,
    Translation,
    prove,
    translate,
)
from momentumlab.conventions.adam_forms import PLACES
from momentumlab.conventions.proof import ITERATIONS, SCHEDULES, lr_correction
from momentumlab.conventions.reading import option, read_translation
from momentumlab.errors import ConfigError
from momentumlab.registry import did_you_mean
from momentumlab.report.labels import axis_name, exact, short
from momentumlab.report.table import Column, Kind, Table
from momentumlab.result import ShownAsTables

COLUMNS = ("lr", "beta", "beta1", "beta2", "eps", "eps_root", "weight_decay", "nesterov")
"""The order of hyperparameters; others follow."""

SYMBOLS = {"nu": "ν", "dampening": "dampening τ"}
STYLES = {Fidelity.EXACT: "green", Fidelity.CONSTANT_LR: "yellow", Fidelity.NEAREST: "red"}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class TranslationReport(ShownAsTables):
    """A translation and the outcome of running both conventions."""

    translation: Translation
    checks: Sequence[Check]  # the largest differences between both paths on each surface

    @property
    def source(self) -> Convention:
        """The convention that was given."""
        return self.translation.source

    @property
    def target(self) -> Convention:
        """The requested convention."""
        return self.translation.target

    @property
    def fidelity(self) -> Fidelity:
        """The quality of the translation."""
        return self.translation.fidelity

    @property
    def is_exact(self) -> bool:
        """Whether both give the same path, at least while lr is constant."""
        return self.fidelity is not Fidelity.NEAREST

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters of the target."""
        return dict(self.target.values)

    @property
    def notes(self) -> tuple[str, ...]:
        """The differences between both conventions, and what to consider."""
        return tuple(notes(self.translation))

    def summary(self) -> dict[str, Any]:
        """Return the translation with the keys of the JSON output."""
        return document([self])

    def tables(self) -> list[Table]:
        """Return the equations, code and checks."""
        return translation_tables([self])

    __repr__ = ShownAsTables.__str__


def translation_reports(
    source: str,
    target: str | None,
    given: Mapping[str, str | float | bool | None],
    schedule: str,
    *,
    place: Callable[[str], str] = option,
) -> list[TranslationReport]:
    """Translate a convention into another one, or into all, and run both; see `read_translation`.

    Raises
    ------
    ConfigError
        With every problem of the names and the hyperparameters.
    """
    if schedule not in SCHEDULES:
        message = f"'{schedule}' is not {' or '.join(SCHEDULES)}{did_you_mean(schedule, SCHEDULES)}"
        raise ConfigError.at(place("schedule"), message)
    convention, targets = read_translation(source, target, given, place=place)
    translations = [translate(convention, cls) for cls in targets]
    return [TranslationReport(translation=each, checks=prove(each, schedule)) for each in translations]


def translation_tables(reports: Sequence[TranslationReport]) -> list[Table]:
    """Return one translation in full, or several in one table."""
    return _in_full(reports[0]) if len(reports) == 1 else _side_by_side(reports)


def _in_full(report: TranslationReport) -> list[Table]:
    source, target, checks = report.source, report.target, report.checks
    conventions = [source, target]
    measured = [
        Column(heading=surface, cells=[f"{check.differences[surface]:.1e}" for check in checks])
        for surface in checks[0].differences
    ]
    return [
        Table(
            title=f"{source.name} → {target.name}: {report.fidelity.words}",
            columns=[
                *_setting_columns(conventions),
                Column(heading="its parameters are", cells=[one.stored for one in conventions], kind=Kind.PROSE),
            ],
        ),
        *_code_tables(conventions),
        Table(
            columns=[
                Column(heading="difference", cells=[check.question for check in checks], kind=Kind.PROSE),
                *measured,
            ],
            remarks=[_measurement(checks)],
        ),
        Table(lines=[f"• {note}" for note in report.notes]),
    ]


def _side_by_side(reports: Sequence[TranslationReport]) -> list[Table]:
    source, first = reports[0].source, reports[0].checks
    conventions = [source, *(report.target for report in reports)]
    columns = list(_setting_columns(conventions))
    for number, heading in enumerate(("constant", "changing")):
        cells = ["", *(f"{report.checks[number].largest:.1e}" for report in reports)]
        columns.append(Column(heading=heading, cells=cells, meaning=f"difference with {first[number].question}"))
    cells = ["", *(report.fidelity.value for report in reports)]
    styles = ["", *(STYLES[report.fidelity] for report in reports)]
    columns.append(Column(heading="translation", cells=cells, kind=Kind.NAME, styles=styles))
    # Targets that share a reason are named together.
    targets: dict[str, list[str]] = {}
    for report in reports:
        for reason in why_not(report.translation, "{target}"):
            targets.setdefault(reason, []).append(report.target.name)
    reasons = [f"• {reason.replace('{target}', _listed(names))}" for reason, names in targets.items()]
    hint = f"'--to {reports[0].target.name}' shows one of them in full."
    return [
        Table(title=f"{source.name} in all other conventions", columns=columns, remarks=[_measurement(first)]),
        *_code_tables(conventions),
        Table(lines=reasons, remarks=[hint]),
    ]


def _setting_columns(conventions: Sequence[Convention]) -> Iterator[Column]:
    """Yield lr, β and every other hyperparameter that is not zero everywhere."""
    yield Column(heading="convention", cells=[one.name for one in conventions], kind=Kind.NAME)
    names = {name for one in conventions for name in one.values}
    for name in sorted(names, key=lambda name: (COLUMNS.index(name) if name in COLUMNS else len(COLUMNS), name)):
        if name in ("lr", "beta", "beta2", "eps") or any(one.values.get(name) for one in conventions):
            cells = [_value(one.values.get(name)) for one in conventions]
            yield Column(heading=SYMBOLS.get(name, axis_name(name)), cells=cells)


def _value(value: float | bool | str | None) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else exact(value)


def _code_tables(conventions: Sequence[Convention]) -> Iterator[Table]:
    """Yield the equations and the library calls."""
    callable_ones = [one for one in conventions if one.call]
    for heading, ones, texts in (
        ("equation", conventions, [one.written for one in conventions]),
        ("call", callable_ones, [one.call for one in callable_ones]),
    ):
        yield Table(
            columns=[
                Column(heading="convention", cells=[one.name for one in ones], kind=Kind.NAME),
                Column(heading=heading, cells=texts, kind=Kind.PROSE, styles=["cyan"] * len(ones)),
            ]
        )


def _measurement(checks: Sequence[Check]) -> str:
    surfaces = " and ".join(checks[0].differences)
    return (
        f"Largest difference of the points where gradients are taken, in {ITERATIONS} steps on {surfaces}, with scaled "
        "losses, as a share of the distance from the start."
    )


def notes(translation: Translation) -> Iterator[str]:
    """Yield remarks that a user should read before relying on a translation."""
    source, target = translation.source, translation.target
    yield from why_not(translation)
    if (
        isinstance(source, MomentumConvention)
        and isinstance(target, MomentumConvention)
        and translation.fidelity is not Fidelity.EXACT
        and source.keeps_lr != target.keeps_lr
    ):
        yield from _about_lr(source, target, translation.fidelity)
    if source.stores_elsewhere != target.stores_elsewhere:
        behind, at = (source, target) if source.stores_elsewhere else (target, source)
        yield (
            f"{at.name} stores the point where gradients are taken, {behind.name} a different one: {behind.stored}. "
            f"The parameters of {at.name} are the look-ahead point of {behind.name}."
        )
    elif source.stores_elsewhere:
        yield "Both store the same point, which is not the one where gradients are taken."


def _about_lr(source: MomentumConvention, target: MomentumConvention, fidelity: Fidelity) -> Iterator[str]:
    keeps, applies = (source, target) if source.keeps_lr else (target, source)
    steps = 1 / (1 - source.beta)
    yield (
        f"When lr changes, {keeps.name} keeps the old lr for past gradients, while {applies.name} applies the new one "
        f"to all of them: for about 1/(1 − β) = {short(steps)} steps the two differ."
    )
    if target.rescalable and fidelity is Fidelity.CONSTANT_LR:
        ratio = "lr now / lr before" if target.keeps_lr else "lr before / lr now"
        step = "the step in which lr changes"
        yield f"They agree if the velocity of {target.name} is multiplied by {ratio} before {step}."


def why_not(translation: Translation, name: str | None = None) -> Iterator[str]:
    """Yield the reasons why a translation is not exact.

    Parameters
    ----------
    translation
        The translation.
    name
        What to call the target, instead of its name.
    """
    # Obstacles occur between conventions of one family, whose forms have the parameters that the sentence needs.
    source: Any = translation.source
    target: Any = translation.target
    given, called = source.name, target.name if name is None else name
    for obstacle in translation.obstacles:
        match obstacle:
            case Obstacle.SHAPE:
                rule, beta = source.form.normal, target.beta
                ratio = rule.memory * rule.beta / (rule.now + rule.memory)
                ahead = f"β²/(1 + β) = {short(beta**2 / (1 + beta))}"
                shapes = {Shape.PLAIN: f"β = {short(beta)}", Shape.AHEAD: f"{ahead} (Nesterov's method)"}
                yield (
                    f"In {given} the weight of a gradient changes by the factor {short(ratio)} from its first to its "
                    f"second step, and then by β = {short(rule.beta)} per step. In {called} the first factor can only "
                    f"be {' or '.join(shapes[shape] for shape in target.shapes)}, whatever lr is."
                )
            case Obstacle.FIRST:
                more = 1 + source.form.normal.first / source.form.normal.memory
                yield (
                    f"{given} does not dampen the first gradient, which therefore weighs {short(more)} times as much "
                    f"as any later one. In {called} all weigh the same. From the second gradient on both are equal, "
                    "apart from the effect of the first one."
                )
            case Obstacle.DEBIASED_SOURCE | Obstacle.DEBIASED_TARGET:
                divides, other = (given, called) if obstacle is Obstacle.DEBIASED_SOURCE else (called, given)
                yield f"{divides} divides by 1 − βᵗ, which makes its first steps longer; {other} does not."
            case Obstacle.AVERAGE:
                share = short(source.form.beta1)
                yield f"{given} averages gradients with β₁ = {share}; {called} uses the gradient itself."
            case Obstacle.CORRECTION:
                corrects, other = (given, called) if source.form.corrects else (called, given)
                longer = short(1 / math.sqrt(1 - source.form.beta2))
                yield (
                    f"{corrects} divides its averages by 1 − βᵗ and {other} does not: without the division of v, the "
                    f"first step is 1/√(1 − β₂) = {longer} times as long."
                )
            case Obstacle.EPS:
                before, after = (
                    " and ".join(sorted(PLACES[place] for place in one.form.places)) for one in (source, target)
                )
                yield (
                    f"{given} adds ε {before}, {called} {after}: they agree where gradients are much larger than ε, or "
                    "in the long run where they vanish, and differ in between."
                )
            case Obstacle.DECAY:
                yield (
                    f"{given} has {source.form.decay.value}, which is left out: {called} does not have it. Coupled "
                    "decay is divided by √v̂ with the gradient, so it weakens where gradients are large; decoupled "
                    "decay does not."
                )
        if factor := lr_correction(translation):
            yield f"A schedule compensates for it: lr {factor} (1 − βᵗ) in step t of {called} gives the same path."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def document(reports: Sequence[TranslationReport]) -> dict[str, Any]:
    """Return one translation or several as JSON, with exact numbers."""
    return {
        "from": _convention(reports[0].source),
        "translations": [
            {
                "to": _convention(report.target),
                "fidelity": report.fidelity.value,
                "exact": report.is_exact,
                "survives_changing_lr": report.fidelity is Fidelity.EXACT,
                "why_not": list(why_not(report.translation)),
                "notes": list(report.notes),
                "checks": [
                    {"question": each.question, "differences": dict(each.differences)} for each in report.checks
                ],
            }
            for report in reports
        ],
    }


def _convention(convention: Convention) -> dict[str, Any]:
    return {
        "convention": convention.name,
        "hyperparameters": convention.values,
        "equation": convention.written,
        "call": convention.call or None,
        "stored": convention.stored,
    }
