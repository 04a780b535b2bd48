"""What theory says of each trial, as a table, in plain words, and as data."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from momentumlab.plan import Plan
from momentumlab.report.labels import SYMBOLS, Labels, axis_name, point, short
from momentumlab.surfaces import CriticalPoint, Tag
from momentumlab.theory import Mode, Prediction, Regime, TheoryDoesNotApplyError, predict, predicted_noise_floor

MOST_EXPLAINED = 6
"""Of up to so many trials each is explained in words."""

MOST_ROWS = 200

Said = Prediction | str
"""A prediction, or the reason why there is none."""

MOST_MODES = 20
SHOWN_MODES = 3
"""Of more directions only so many are told from each end: the flattest and the steepest."""

REGIME_STYLES = {Regime.DIVERGING: "red", Regime.NEUTRAL: "yellow"}


def predictions(plan: Plan, number: int) -> list[tuple[CriticalPoint, Said]]:
    """What theory says of one trial near each critical point of its surface, the nearest minimum first."""
    points = plan.surface_of(number).critical_points(plan.dimension)
    start = np.array(plan.trial(number).start)

    def order(critical: CriticalPoint) -> tuple[bool, float]:
        return (not critical.kind.is_minimum, float(np.linalg.norm(start - np.array(critical.point))))

    said: list[tuple[CriticalPoint, Said]] = []
    for critical in sorted(points, key=order):
        try:
            said.append((critical, predict(plan, number, critical)))
        except TheoryDoesNotApplyError as error:
            said.append((critical, str(error)))
    return said


def rich_predictions(plan: Plan) -> RenderableType:
    """A row per trial, and of a few trials what it means."""
    labels = Labels(plan.experiment)
    table = Table(box=None, pad_edge=False)
    names = labels.hyperparameters
    table.add_column("optimizer")
    for name in names:
        table.add_column(Text(axis_name(name)), justify="right")
    for heading in ("rate", "per digit", "to tolerance", "lr limit", "best rate"):
        table.add_column(heading, justify="right")
    table.add_column("with")
    table.add_column("slowest direction")
    words: list[RenderableType] = []
    replicates = plan.experiment.replicates
    settings = range(0, plan.trials, replicates)
    for number in settings[:MOST_ROWS]:
        trial = plan.trial(number)
        said = predictions(plan, number)
        cells = [trial.optimizer, *(_cell(trial.hyperparameters.get(name)) for name in names)]
        table.add_row(*(Text(cell) for cell in cells), *_row(said))
        if len(settings) <= MOST_EXPLAINED:
            words += [Text(""), Text(labels.of(trial), style="bold"), *map(Text, explanation(said))]
            if (floor := _floor(plan, number, said)) is not None:
                words.append(Text(f"With this noise the loss stays {floor:.3g} above the minimum on average."))
    if words and Tag.QUADRATIC not in plan.experiment.first_surface.tags:
        words += [Text(""), Text(_how_far(plan), style="dim")]
    title = Text(f"{plan.experiment.name}: {labels.common(plan.trial(0))}: before it is run", style="bold")
    left = len(settings) - MOST_ROWS
    rest = [Text(f"and {left:,} more; --format json has all", style="dim")] if left > 0 else []
    return Group(title, table, *rest, *words)


def _row(said: list[tuple[CriticalPoint, Said]]) -> Iterator[Text]:
    prediction = said[0][1] if said else "no critical point of this surface is known"
    if isinstance(prediction, str):
        yield from [Text("")] * 6
        yield Text(prediction, style="yellow")
        return
    if _hovers(prediction):
        yield from [Text("")] * 3
        yield Text(_number(prediction.lr_limit))
        yield from [Text("")] * 2
        yield Text(f"hovers; the minimum is unstable within {prediction.holds_within:g}", style="yellow")
        return
    yield Text(f"{prediction.rate:.6f}")
    yield Text(_count(prediction.slowest.iterations_per_digit))
    to_tolerance = prediction.iterations_to_tolerance
    yield Text("" if to_tolerance is None else _count(to_tolerance))
    yield Text(_number(prediction.lr_limit))
    yield Text("" if math.isnan(prediction.best_rate) else f"{prediction.best_rate:.6f}")
    yield Text(", ".join(f"{SYMBOLS.get(name, name)} = {value:.4g}" for name, value in prediction.best.items()))
    slowest = prediction.slowest
    yield Text(slowest.regime.label, style=REGIME_STYLES.get(slowest.regime, ""))


def _how_far(plan: Plan) -> str:
    """That theory is local, and how far from its points the first trial starts."""
    trial = plan.trial(0)
    points = plan.surface_of(0).critical_points(plan.dimension)
    distances = [float(np.linalg.norm(np.array(trial.start) - np.array(each.point))) for each in points]
    nearest = f"; the start is {min(distances):.3g} away from the nearest" if distances else ""
    return f"All of this holds near these points alone{nearest}: farther out the run may do something else first."


def _floor(plan: Plan, number: int, said: list[tuple[CriticalPoint, Said]]) -> float | None:
    """The loss above the nearest minimum at which noise keeps a trial, if there is noise."""
    return predicted_noise_floor(plan, number, said[0][0]) if said and said[0][0].kind.is_minimum else None


def explanation(said: list[tuple[CriticalPoint, Said]]) -> Iterator[str]:
    """What theory says of one trial, for somebody who does not know what a spectral radius is."""
    if not said:
        yield "No critical point of this surface is known: theory has nowhere to look."
        return
    for critical, prediction in said:
        if len(said) > 1:
            yield f"Near the {critical.kind.value} {point(critical.point)}:"
        if isinstance(prediction, str):
            yield f"Theory does not apply: {prediction}."
            continue
        if math.isfinite(prediction.holds_within):
            yield from _what_is_smooth_alone(prediction)
            if _hovers(prediction):
                continue
        many = len(prediction.modes) > MOST_MODES
        for i, mode in enumerate(prediction.modes):
            if not many or i < SHOWN_MODES or i >= len(prediction.modes) - SHOWN_MODES:
                yield f"• {_where(mode, len(critical.point))}, the point {mode_words(mode)}"
            elif i == SHOWN_MODES:
                between = len(prediction.modes) - 2 * SHOWN_MODES
                yield f"• and {between} directions between them (all of them: --format json)"
        yield from _verdict(prediction)


def _hovers(prediction: Prediction) -> bool:
    """Whether a method that is not linear is driven away from a minimum, but from its close neighbourhood alone."""
    return math.isfinite(prediction.holds_within) and not prediction.stable and prediction.point.kind.is_minimum


def _what_is_smooth_alone(prediction: Prediction) -> Iterator[str]:
    near = f"{prediction.holds_within:g}"
    yield f"Its step is not linear in the gradients, but is so within about {near} of this point: theory holds there."
    if _hovers(prediction):
        yield (
            "There the minimum is unstable: the gradient is divided by so small a number that every step is too long. "
            "With a constant lr it cannot settle; it comes near and then hovers, at a distance that grows with lr."
        )
        yield (
            f"It would settle with lr below {prediction.lr_limit:.2g}, or with a larger eps; "
            "a falling lr brings it nearer."
        )


def _where(mode: Mode, dimension: int) -> str:
    """Along which direction: ``along x, where the surface curves by 0.125``."""
    curves = f"where the surface curves by {mode.curvature:.4g}"
    if mode.axis is None or dimension == 1:
        return curves
    names = ("x", "y") if dimension == 2 else [f"x{i + 1}" for i in range(dimension)]
    return f"along {names[mode.axis]}, {curves}"


def mode_words(mode: Mode) -> str:
    """What happens along one direction, as a sentence without its subject."""
    words = mode.regime.words
    if mode.regime is Regime.DIVERGING:
        return f"{words}: {mode.rate:.4g} times as far with every iteration"
    if mode.regime is Regime.NEUTRAL:
        return words
    if mode.period is not None:
        words += f", a full swing in {mode.period:.3g} iterations"
    if mode.overshoot >= 0.005:
        words += f", {mode.overshoot:.0%} of the way beyond it at most"
    if mode.growth > 1.05:
        words += f", after having been {mode.growth:.3g} times as far away as at first"
    digit = _count(mode.iterations_per_digit)
    return f"{words}; the error is multiplied by {mode.rate:.4f}: a digit in {digit} iterations"


def _verdict(prediction: Prediction) -> Iterator[str]:
    slowest, limit = prediction.slowest, prediction.lr_limit
    if prediction.stable:
        alike = [mode for mode in prediction.modes if mode.rate > prediction.rate - 1e-6]
        if len(alike) == 1:
            decides = f"the direction that curves by {slowest.curvature:.4g} decides"
            where = decides if len(prediction.modes) > 1 else "it converges"
        else:
            where = "these directions are equally slow"
        yield f"In the long run {where}: rate {prediction.rate:.4f}."
        if all(mode.regime is Regime.OSCILLATING for mode in prediction.modes):
            yield "Every direction oscillates: the velocity is remembered for longer than the way to the minimum takes."
        if math.isfinite(limit):
            yield f"With everything else as it is, lr must stay below {limit:.4g}."
    elif any(mode.curvature < 0 for mode in prediction.modes):
        yield "It leaves this point, whatever the learning rate."
    elif slowest.regime is Regime.DIVERGING:
        yield f"It diverges. With everything else as it is, lr must be below {limit:.4g}."
    if not math.isnan(prediction.best_rate) and prediction.best_rate < 1:
        best = " and ".join(f"{SYMBOLS.get(name, name)} = {value:.4g}" for name, value in prediction.best.items())
        digit = math.log(0.1) / math.log(prediction.best_rate) if prediction.best_rate > 0 else 1.0
        yield f"The best would be {best}: rate {prediction.best_rate:.4f}, a digit in {_count(digit)} iterations."


def rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """A row per trial as JSON has it; what theory does not say is null, and ``why_not`` the reason."""
    said: list[tuple[CriticalPoint, Said]] = []
    for trial in plan:
        if trial.replicate == 0:  # the others differ by their errors alone
            said = predictions(plan, trial.number)
        first = said[0][1] if said else "no critical point of this surface is known"
        idle = plan.experiment.idle_hyperparameters(trial.optimizer)
        used = {name: value for name, value in trial.hyperparameters.items() if name not in idle}
        yield {
            "surface": trial.surface,
            "optimizer": trial.optimizer,
            "hyperparameters": used,
            "start": list(trial.start),
            "replicate": trial.replicate,
            **_outcome(first),
            **({"noise_floor": _floor(plan, trial.number, said)} if plan.experiment.noise else {}),
            "critical_points": [
                {"kind": critical.kind.value, "point": list(critical.point), **_outcome(each)}
                for critical, each in said
            ],
        }


def _outcome(said: Said) -> dict[str, Any]:
    if isinstance(said, str):
        names = (
            "rate", "stable", "period", "iterations_per_digit", "iterations_to_tolerance", "lr_limit", "holds_within",
            "best",
        )  # fmt: skip
        return {**dict.fromkeys(names), "modes": [], "why_not": said}
    return {
        "rate": said.rate,
        "stable": said.stable,
        "period": said.slowest.period,
        "iterations_per_digit": said.slowest.iterations_per_digit,
        "iterations_to_tolerance": said.iterations_to_tolerance,
        "lr_limit": said.lr_limit,
        "holds_within": said.holds_within,
        "best": {**said.best, "rate": said.best_rate} if said.best else None,
        "modes": [
            {
                "curvature": mode.curvature,
                "rate": mode.rate,
                "regime": mode.regime.label,
                "period": mode.period,
                "overshoot": mode.overshoot,
                "growth": mode.growth,
            }
            for mode in said.modes
        ],
        "why_not": None,
    }


def _count(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _number(value: float) -> str:
    return "none" if math.isinf(value) else f"{value:.4g}"


def _cell(value: Any) -> str:
    return "" if value is None else short(value)
