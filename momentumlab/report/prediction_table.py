"""``predict``: predictions for each trial before it is run, as a table, in words and as JSON."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np

from momentumlab.errors import ConfigError
from momentumlab.plan import Plan, Trial
from momentumlab.report.figure_options import FigureOptions, FigureSettings
from momentumlab.report.labels import Labels, axis_name, exact, point, short
from momentumlab.report.result_table import hyperparameter_cell
from momentumlab.report.table import Column, Kind, Table
from momentumlab.result import ShownAsTables
from momentumlab.surfaces import CriticalPoint, Tag
from momentumlab.theory import (
    Mode,
    Prediction,
    Regime,
    TheoryDoesNotApplyError,
    local_model,
    predict,
    predicted_noise_floor,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_EXPLAINED = 6
"""At most this many trials are explained in words."""

MAX_ROWS = 200

MAX_MODES = 20
SHOWN_MODES = 3
"""If there are more modes, this many of the slowest and of the fastest are explained."""

PredictionOrReason = Prediction | str
"""A prediction, or the reason why there is none."""

NO_POINT = "no critical point of this surface is known"

REGIME_STYLES = {Regime.DIVERGING: "red", Regime.NEUTRAL: "yellow"}


def predictions(plan: Plan, number: int) -> list[tuple[CriticalPoint, PredictionOrReason]]:
    """Predict one trial near each critical point of its surface, the nearest minimum first."""
    found: list[tuple[CriticalPoint, PredictionOrReason]] = []
    for critical in _ordered_points(plan, number):
        try:
            found.append((critical, predict(plan, number, critical)))
        except TheoryDoesNotApplyError as error:
            found.append((critical, str(error)))
    return found


def _ordered_points(plan: Plan, number: int) -> list[CriticalPoint]:
    """Return the critical points of the surface of a trial: minima first, and the nearest to the start first."""
    start = np.array(plan.trial(number).start)
    return sorted(
        plan.surface_of(number).critical_points(plan.dimension),
        key=lambda critical: (not critical.kind.is_minimum, float(np.linalg.norm(start - np.array(critical.point)))),
    )


@dataclass(frozen=True, kw_only=True)
class TrialPrediction:
    """The predictions of one trial.

    Attributes
    ----------
    points
        The critical points of its surface, the nearest minimum first, each with a prediction or with the reason why
        theory does not apply there.
    noise_floor
        The predicted mean loss above the nearest minimum; ``None`` without noise.
    """

    trial: Trial
    points: Sequence[tuple[CriticalPoint, PredictionOrReason]]
    noise_floor: float | None

    @property
    def nearest(self) -> Prediction | None:
        """The prediction near the first of the points; ``None`` if there is none."""
        first = self.points[0][1] if self.points else NO_POINT
        return None if isinstance(first, str) else first

    @property
    def why_not(self) -> str | None:
        """The reason why `nearest` is ``None``."""
        first = self.points[0][1] if self.points else NO_POINT
        return first if isinstance(first, str) else None


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PredictionReport(ShownAsTables, Sequence[TrialPrediction]):
    """The predictions of all trials of a plan, one `TrialPrediction` each, computed when it is used."""

    plan: Plan

    def __len__(self) -> int:
        return self.plan.trials

    @overload
    def __getitem__(self, number: int) -> TrialPrediction: ...

    @overload
    def __getitem__(self, number: slice) -> list[TrialPrediction]: ...

    def __getitem__(self, number: int | slice) -> TrialPrediction | list[TrialPrediction]:
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        number = range(len(self))[number]
        points = predictions(self.plan, number)
        floor = _floor(self.plan, number, points) if self.plan.experiment.noise else None
        return TrialPrediction(trial=self.plan.trial(number), points=points, noise_floor=floor)

    def summary(self) -> list[dict[str, Any]]:
        """Return a row per trial with the columns of the JSON output."""
        return list(rows(self.plan))

    def tables(self) -> list[Table]:
        """Return a table with a row per trial and, for a few trials, an explanation of each."""
        return prediction_tables(self.plan)

    def plot(self, **options: Unpack[FigureSettings]) -> "Figure":
        """Draw the rate against β and lr around the settings, and the poles; see `prediction_plot`."""
        return prediction_plot(self.plan, FigureOptions(**options))

    __repr__ = ShownAsTables.__str__


def prediction_plot(plan: Plan, figures: FigureOptions | None = None, *, place: str = "plot") -> "Figure":
    """Draw the rate against β and lr around the settings of a plan near the nearest minimum, and the poles.

    Raises
    ------
    ConfigError
        If there are more than `MAX_EXPLAINED` settings, or theory applies to none; it calls the request ``place``.
    """
    from momentumlab.report.figures import prediction_figure

    labels = Labels(plan.experiment)
    settings = range(0, plan.trials, plan.experiment.replicates)
    if len(settings) > MAX_EXPLAINED:
        message = f"{len(settings):,} settings cannot be distinguished in a figure; give at most {MAX_EXPLAINED}"
        raise ConfigError.at(place, message)
    models, reasons = [], [NO_POINT]
    for number in settings:
        for critical in _ordered_points(plan, number)[:1]:
            try:
                models.append((labels.of(plan.trial(number)), local_model(plan, number, critical)))
            except TheoryDoesNotApplyError as error:
                reasons.append(str(error))
    if not models:
        raise ConfigError.at(place, f"theory does not apply: {reasons[-1]}")
    title = f"{plan.experiment.name}: {labels.common(plan.trial(0), in_figure=True)}: prediction"
    return prediction_figure(models, title, figures)


def prediction_tables(plan: Plan) -> list[Table]:
    """Return a table with a row per trial and, for a few trials, an explanation of each."""
    labels = Labels(plan.experiment)
    settings = range(0, plan.trials, plan.experiment.replicates)
    found = {number: predictions(plan, number) for number in settings[:MAX_ROWS]}
    more = len(settings) - MAX_ROWS
    near_minimum = {number: each[0][1] if each else NO_POINT for number, each in found.items()}
    table = Table(
        title=f"{plan.experiment.name}: {labels.common(plan.trial(0))}: prediction",
        columns=list(_columns(plan, labels, near_minimum)),
        remarks=[f"and {more:,} more, which the JSON output lists"] if more > 0 else [],
    )
    if len(settings) > MAX_EXPLAINED:
        return [table]
    explained = []
    for number, each in found.items():
        lines = list(explanation(each))
        if (floor := _floor(plan, number, each)) is not None:
            lines.append(f"With this noise the loss stays {floor:.3g} above the minimum on average.")
        explained.append(Table(title=labels.of(plan.trial(number)), lines=lines))
    if Tag.QUADRATIC not in plan.experiment.first_surface.instance_tags:
        explained.append(Table(remarks=[_validity(plan)]))
    return [table, *explained]


def _columns(plan: Plan, labels: Labels, found: dict[int, PredictionOrReason]) -> Iterator[Column]:
    trials = [plan.trial(number) for number in found]
    if labels.optimizers:
        yield Column(heading="optimizer", cells=[trial.optimizer for trial in trials], kind=Kind.NAME)
    for name in labels.hyperparameters:
        cells = [hyperparameter_cell(trial, name) for trial in trials]
        yield Column(heading=axis_name(name), cells=cells, kind=Kind.VALUES)
    for name in labels.surface_parameters:
        heading = "surface" if name == "surface" else f"surface.{name}"
        cells = [exact(trial.surface_parameters[name]) for trial in trials]
        yield Column(heading=heading, cells=cells, kind=Kind.VALUES)
    rows = [_cells(each) for each in found.values()]
    headings = (
        ("rate", 0, "factor by which the distance to the minimum shrinks per iteration"),
        ("per digit", 2, "iterations until the distance is a tenth"),
        ("to tolerance", 2, ""),
        ("lr limit", 0, "learning rate from which the trial diverges"),
        ("best rate", 1, ""),
    )
    for column, (heading, priority, meaning) in enumerate(headings):
        cells = [row[column] for row in rows]
        if any(cells):
            yield Column(heading=heading, cells=cells, priority=priority, meaning=meaning)
    if any(row[-2] for row in rows):
        yield Column(heading="with", cells=[row[-2] for row in rows], kind=Kind.PROSE, priority=1)
    styles = [
        "yellow" if isinstance(each, str) or _hovers(each) else REGIME_STYLES.get(each.slowest.regime, "")
        for each in found.values()
    ]
    yield Column(heading="slowest direction", cells=[row[-1] for row in rows], kind=Kind.PROSE, styles=styles)


def _cells(prediction: PredictionOrReason) -> Sequence[str]:
    """Return rate, iterations per digit, iterations to tolerance, lr limit, best rate, its setting, and the regime."""
    if isinstance(prediction, str):
        return ("",) * 6 + (prediction,)
    if _hovers(prediction):
        return ("", "", "", _limit(prediction.lr_limit), "", "", "hovers: the minimum is unstable")
    to_tolerance = prediction.iterations_to_tolerance
    return (
        f"{prediction.rate:.6f}",
        _per_digit(prediction),
        "" if to_tolerance is None else _count(to_tolerance),
        _limit(prediction.lr_limit),
        "" if math.isnan(prediction.best_rate) else f"{prediction.best_rate:.6f}",
        ", ".join(f"{axis_name(name)} = {short(value)}" for name, value in prediction.best.items()),
        prediction.slowest.regime.label,
    )


def _validity(plan: Plan) -> str:
    """Return a remark that theory is local, with the distance of the first start from the points where it holds."""
    start = np.array(plan.trial(0).start)
    points = plan.surface_of(0).critical_points(plan.dimension)
    distances = [float(np.linalg.norm(start - np.array(each.point))) for each in points]
    nearest = f"; the start is {min(distances):.3g} away from the nearest one" if distances else ""
    return f"These predictions hold only near the critical points{nearest}. The run may behave differently before."


def _floor(plan: Plan, number: int, found: list[tuple[CriticalPoint, PredictionOrReason]]) -> float | None:
    """Return the predicted noise floor at the nearest minimum, if there is noise."""
    return predicted_noise_floor(plan, number, found[0][0]) if found and found[0][0].kind.is_minimum else None


def explanation(found: list[tuple[CriticalPoint, PredictionOrReason]]) -> Iterator[str]:
    """Explain the predictions of one trial in words."""
    if not found:
        yield "No critical point of this surface is known, so theory cannot be applied."
        return
    for critical, prediction in found:
        if len(found) > 1:
            yield f"Near the {critical.kind.value} {point(critical.point)}:"
        if isinstance(prediction, str):
            yield f"Theory does not apply: {prediction}."
            continue
        if prediction.shift > 0:
            yield (
                f"Weight decay shifts the fixed point to {point(prediction.fixed_point)}, "
                f"{prediction.shift:.3g} away from the {critical.kind.value}; the predictions hold there."
            )
        if math.isfinite(prediction.holds_within):
            radius = prediction.holds_within
            where = f"within about {radius:g} of this point" if radius else "only immediately at this point"
            yield f"Theory holds {where}."
        if _hovers(prediction):
            yield (
                "There the minimum is unstable: the gradient is divided by such a small number that every step "
                "overshoots. With a constant lr the trial cannot settle; it hovers at a distance that grows with lr."
            )
            if math.isfinite(prediction.lr_limit):
                yield (
                    f"It would settle with lr below {prediction.lr_limit:.2g} or with a larger eps; "
                    "a decreasing lr brings it closer."
                )
            continue
        many = len(prediction.modes) > MAX_MODES
        for i, mode in enumerate(prediction.modes):
            if not many or i < SHOWN_MODES or i >= len(prediction.modes) - SHOWN_MODES:
                words = f"• {_direction(mode, len(critical.point))}: {mode_words(mode)}"
                critical_beta = prediction.critical_betas[i] if prediction.critical_betas else None
                yield words if critical_beta is None else f"{words}; critical β = {critical_beta:.4g}"
            elif i == SHOWN_MODES:
                between = len(prediction.modes) - 2 * SHOWN_MODES
                yield f"• and {between} directions in between, which the JSON output lists"
        yield from _verdict(prediction)


def _hovers(prediction: Prediction) -> bool:
    """Return whether a nonlinear method approaches a minimum but is unstable in its immediate neighbourhood."""
    return not prediction.is_linear and not prediction.stable and prediction.point.kind.is_minimum


def _direction(mode: Mode, dimension: int) -> str:
    """Return the direction of a mode: ``along x (curvature 0.125)``."""
    if mode.axis is None or dimension == 1:
        return f"curvature {mode.curvature:.4g}"
    names = ("x", "y") if dimension == 2 else [f"x{i + 1}" for i in range(dimension)]
    return f"along {names[mode.axis]} (curvature {mode.curvature:.4g})"


def mode_words(mode: Mode) -> str:
    """Describe the behaviour along one direction, as a sentence without its subject."""
    words = mode.regime.words
    if mode.regime is Regime.DIVERGING:
        return f"{words}, by a factor of {mode.rate:.4g} per iteration"
    if mode.regime is Regime.NEUTRAL:
        return "does not move, since this direction is flat" if mode.curvature == 0 else words
    if mode.exact_after is not None:
        return f"reaches the minimum in {_steps(mode.exact_after)}"
    if mode.period is not None:
        words += f", with a period of {mode.period:.3g} iterations"
    if mode.overshoot >= 0.005:
        words += f", overshoots by at most {mode.overshoot:.0%}"
    if mode.growth > 1.05:
        words += f", grows to at most {mode.growth:.3g} times the initial distance"
    return f"{words}; rate {mode.rate:.4f}, {_speed(mode.rate)}"


def _steps(count: int) -> str:
    return "one step" if count == 1 else f"{count} steps"


def _speed(rate: float) -> str:
    digit = math.log(0.1) / math.log(rate) if rate > 0 else 0.0
    return f"one digit in {_count(digit)} iterations" if digit >= 1 else "more than one digit per iteration"


def _per_digit(prediction: Prediction) -> str:
    if prediction.slowest.exact_after is not None:
        return _steps(prediction.slowest.exact_after)
    digits = math.log(0.1) / math.log(prediction.rate) if 0 < prediction.rate < 1 else math.inf
    return "< 1" if digits < 1 else _count(digits)


def _verdict(prediction: Prediction) -> Iterator[str]:
    slowest, limit, kind = prediction.slowest, prediction.lr_limit, prediction.point.kind
    curved = [mode for mode in prediction.modes if mode.regime is not Regime.NEUTRAL or mode.curvature != 0]
    if prediction.stable:
        slow = [mode for mode in curved if mode.rate > prediction.rate - 1e-6]
        if len(curved) == 1:
            yield f"It converges at rate {prediction.rate:.4f}."
        elif len(slow) == 1:
            yield f"The slowest direction has curvature {slowest.curvature:.4g}: overall rate {prediction.rate:.4f}."
        else:
            yield f"Several directions are equally slow: overall rate {prediction.rate:.4f}."
        if not kind.is_minimum:
            yield f"Critical points of every kind attract this method, so it converges to this {kind.value}."
        if prediction.rate_is_root_of_beta:
            yield "All directions are underdamped, so the rate is √β: a smaller β is faster."
        start_rate = prediction.start_rate
        if start_rate is not None and 0 < start_rate < prediction.rate - 1e-6:
            yield f"The start has no component along the slowest direction: this trial has rate {start_rate:.4f}."
        if math.isfinite(limit):
            yield f"With everything else unchanged, lr must be below {limit:.4g}."
    elif slowest.regime is Regime.DIVERGING:
        yield from _why_it_leaves(prediction)
    if prediction.best:
        best = " and ".join(f"{axis_name(name)} = {value:.4g}" for name, value in prediction.best.items())
        rate = prediction.best_rate
        yield f"Best setting: {best}, with " + (f"rate {rate:.4f}, {_speed(rate)}." if rate > 1e-7 else "one step.")


def _why_it_leaves(prediction: Prediction) -> Iterator[str]:
    if math.isnan(prediction.lr_limit):
        yield "It leaves this point at any learning rate."
    else:
        leaves = "It diverges" if math.isinf(prediction.holds_within) else "It moves away from this point"
        yield f"{leaves}. With everything else unchanged, lr must be below {prediction.lr_limit:.4g}."
    if prediction.start_rate is not None and prediction.start_rate < 1:
        yield "The start has no component along the unstable directions: only rounding can drive this trial away."


def rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a row per trial for JSON; unknown values are null, and ``why_not`` gives the reason."""
    found: list[tuple[CriticalPoint, PredictionOrReason]] = []
    for trial in plan:
        if trial.replicate == 0:  # predictions do not depend on the noise
            found = predictions(plan, trial.number)
        idle = plan.experiment.idle_hyperparameters(trial.optimizer)
        yield {
            "surface": trial.own_surface,
            "optimizer": trial.optimizer,
            "hyperparameters": {name: value for name, value in trial.hyperparameters.items() if name not in idle},
            "start": list(trial.start),
            "replicate": trial.replicate,
            **_outcome(found[0][1] if found else NO_POINT),
            **({"noise_floor": _floor(plan, trial.number, found)} if plan.experiment.noise else {}),
            "critical_points": [
                {"kind": critical.kind.value, "point": list(critical.point), **_outcome(each)}
                for critical, each in found
            ],
        }


def _outcome(prediction: PredictionOrReason) -> dict[str, Any]:
    if isinstance(prediction, str):
        names = (
            "fixed_point", "rate", "stable", "start_rate", "converges", "period", "iterations_per_digit",
            "iterations_to_tolerance", "lr_limit", "holds_within", "best",
        )  # fmt: skip
        return {**dict.fromkeys(names), "modes": [], "why_not": prediction}
    return {
        "fixed_point": list(prediction.fixed_point),
        "rate": prediction.rate,
        "stable": prediction.stable,
        "start_rate": prediction.start_rate,
        "converges": prediction.converges,
        "period": prediction.slowest.period,
        "iterations_per_digit": prediction.slowest.iterations_per_digit,
        "iterations_to_tolerance": prediction.iterations_to_tolerance,
        "lr_limit": prediction.lr_limit,
        "holds_within": prediction.holds_within,
        "best": {**prediction.best, "rate": prediction.best_rate} if prediction.best else None,
        "modes": [
            {
                "curvature": mode.curvature,
                "rate": mode.rate,
                "regime": mode.regime.label,
                "period": mode.period,
                "overshoot": mode.overshoot,
                "growth": mode.growth,
                "critical_beta": prediction.critical_betas[i] if prediction.critical_betas else None,
            }
            for i, mode in enumerate(prediction.modes)
        ],
        "why_not": None,
    }


def _count(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _limit(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "none" if math.isinf(value) else f"{value:.4g}"
