"""``predict``: predictions for each trial before it is run, as a table, in words, as a figure and as JSON."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np

from momentumlab.errors import ConfigError
from momentumlab.plan import Plan, Trial
from momentumlab.report.columns import setting_columns
from momentumlab.report.figure_options import FigureOptions, FigureSettings
from momentumlab.report.labels import Labels, axis_name, point, short
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
"""At most this many settings are explained in words or drawn."""

MAX_ROWS = 200

MAX_MODES = 20
SHOWN_MODES = 3
"""If there are more modes, this many of the slowest and of the fastest are explained."""

PredictionOrReason = Prediction | str
"""A prediction, or the reason why there is none."""

NO_POINT = "no critical point of this surface is known"

REGIME_STYLES = {Regime.DIVERGING: "red", Regime.NEUTRAL: "yellow"}


@dataclass(frozen=True, kw_only=True)
class TrialPrediction:
    """The predictions of one trial.

    Attributes
    ----------
    points
        The critical points of its surface, minima first and the nearest to the start first, each with a prediction or
        with the reason why theory does not apply there.
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
    """The predictions of all trials of a plan, one `TrialPrediction` each, computed once when it is first used."""

    plan: Plan
    _computed: dict[int, TrialPrediction] = field(default_factory=dict, init=False)

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
        setting = number - number % self.plan.experiment.replicates  # predictions do not depend on the errors
        if setting not in self._computed:
            self._computed[setting] = _predicted(self.plan, setting)
        return replace(self._computed[setting], trial=self.plan.trial(number))

    @property
    def settings(self) -> range:
        """The first trial of each setting."""
        return range(0, self.plan.trials, self.plan.experiment.replicates)

    @cached_property
    def labels(self) -> Labels:
        """Names of the trials."""
        return Labels(self.plan.experiment)

    def summary(self) -> list[dict[str, Any]]:
        """Return a row per trial for JSON; unknown values are ``None``, and ``why_not`` gives the reason."""
        return [_row(self.plan, each) for each in self]

    def tables(self) -> list[Table]:
        """Return a table with a row per setting and, for a few settings, an explanation of each."""
        experiment = self.plan.experiment
        shown = [self[number] for number in self.settings[:MAX_ROWS]]
        more = len(self.settings) - len(shown)
        table = Table(
            title=f"{experiment.name}: {self.labels.common(self.plan.trial(0))}: prediction",
            columns=[*setting_columns(self.labels, [each.trial for each in shown]), *_columns(shown)],
            remarks=[f"and {more:,} more, which the JSON output lists"] if more > 0 else [],
        )
        if len(self.settings) > MAX_EXPLAINED:
            return [table]
        explained = []
        for each in shown:
            lines = list(explanation(each.points))
            if each.noise_floor is not None:
                lines.append(f"With this noise the loss stays {each.noise_floor:.3g} above the minimum on average.")
            explained.append(Table(title=self.labels.of(each.trial), lines=lines))
        if Tag.QUADRATIC not in experiment.first_surface.instance_tags:
            explained.append(Table(remarks=[_validity(self.plan)]))
        return [table, *explained]

    def plot(self, **options: Unpack[FigureSettings]) -> "Figure":
        """Draw the rate against β and lr around the settings near the nearest minimum, and the poles.

        Raises
        ------
        ConfigError
            If there are more than `MAX_EXPLAINED` settings, or theory applies to none.
        """
        return self.figure(FigureOptions(**options), place="plot")

    def figure(self, options: FigureOptions, *, place: str) -> "Figure":
        """Return the figure of `plot`; messages call the request for it ``place``."""
        from momentumlab.report.figures import prediction_figure

        if len(self.settings) > MAX_EXPLAINED:
            count = len(self.settings)
            message = f"{count:,} settings cannot be distinguished in a figure; give at most {MAX_EXPLAINED}"
            raise ConfigError.at(place, message)
        predicted = [self[number] for number in self.settings]
        models = [
            (self.labels.of(each.trial), local_model(self.plan, each.trial.number, each.points[0][0]))
            for each in predicted
            if each.nearest is not None
        ]
        if not models:
            raise ConfigError.at(place, f"theory does not apply: {predicted[-1].why_not}")
        common = self.labels.common(self.plan.trial(0), in_figure=True)
        return prediction_figure(models, f"{self.plan.experiment.name}: {common}: prediction", options)

    __repr__ = ShownAsTables.__str__


def _predicted(plan: Plan, number: int) -> TrialPrediction:
    """Predict one trial near each critical point of its surface."""
    trial = plan.trial(number)
    start = np.array(trial.start)
    ordered = sorted(
        plan.surface_of(number).critical_points(plan.dimension),
        key=lambda critical: (not critical.kind.is_minimum, float(np.linalg.norm(start - np.array(critical.point)))),
    )
    points: list[tuple[CriticalPoint, PredictionOrReason]] = []
    for critical in ordered:
        try:
            points.append((critical, predict(plan, number, critical)))
        except TheoryDoesNotApplyError as error:
            points.append((critical, str(error)))
    has_floor = plan.experiment.noise is not None and ordered and ordered[0].kind.is_minimum
    floor = predicted_noise_floor(plan, number, ordered[0]) if has_floor else None
    return TrialPrediction(trial=trial, points=points, noise_floor=floor)


def _columns(shown: Sequence[TrialPrediction]) -> Iterator[Column]:
    """Yield the predictions near the nearest minimum; a column without any value is left out."""
    nearest = [each.nearest for each in shown]
    settling = [None if each is None or _hovers(each) else each for each in nearest]

    def cells(text_of: Callable[[Prediction], str], predictions: Sequence[Prediction | None] = settling) -> list[str]:
        return ["" if each is None else text_of(each) for each in predictions]

    columns = [
        Column(
            heading="rate",
            cells=cells(lambda each: f"{each.rate:.6f}"),
            meaning="factor by which the distance to the minimum shrinks per iteration",
        ),
        Column(
            heading="per digit",
            cells=cells(_per_digit),
            priority=2,
            meaning="iterations until the distance is a tenth",
        ),
        Column(
            heading="to tolerance",
            cells=cells(
                lambda each: "" if each.iterations_to_tolerance is None else _count(each.iterations_to_tolerance)
            ),
            priority=2,
        ),
        Column(
            heading="lr limit",
            cells=cells(lambda each: _limit(each.lr_limit), nearest),
            meaning="learning rate from which the trial diverges",
        ),
        Column(
            heading="best rate",
            cells=cells(lambda each: "" if math.isnan(each.best_rate) else f"{each.best_rate:.6f}"),
            priority=1,
        ),
        Column(
            heading="with",
            cells=cells(
                lambda each: ", ".join(f"{axis_name(name)} = {short(value)}" for name, value in each.best.items())
            ),
            kind=Kind.PROSE,
            priority=1,
        ),
    ]
    yield from (column for column in columns if any(column.cells))
    words, styles = [], []
    for each in shown:
        if each.nearest is None:
            words.append(each.why_not or "")
            styles.append("yellow")
        elif _hovers(each.nearest):
            words.append("hovers: the minimum is unstable")
            styles.append("yellow")
        else:
            words.append(each.nearest.slowest.regime.label)
            styles.append(REGIME_STYLES.get(each.nearest.slowest.regime, ""))
    yield Column(heading="slowest direction", cells=words, kind=Kind.PROSE, styles=styles)


def explanation(points: Sequence[tuple[CriticalPoint, PredictionOrReason]]) -> Iterator[str]:
    """Explain the predictions of one trial in words."""
    if not points:
        yield "No critical point of this surface is known, so theory cannot be applied."
        return
    for critical, prediction in points:
        if len(points) > 1:
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


def _validity(plan: Plan) -> str:
    """Return a remark that theory is local, with the distance of the first start from the points where it holds."""
    start = np.array(plan.trial(0).start)
    points = plan.surface_of(0).critical_points(plan.dimension)
    distances = [float(np.linalg.norm(start - np.array(each.point))) for each in points]
    nearest = f"; the start is {min(distances):.3g} away from the nearest one" if distances else ""
    return f"These predictions hold only near the critical points{nearest}. The run may behave differently before."


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


def _row(plan: Plan, predicted: TrialPrediction) -> dict[str, Any]:
    """Return the row of a trial for JSON."""
    trial = predicted.trial
    idle = plan.experiment.idle_hyperparameters(trial.optimizer)
    return {
        "surface": trial.own_surface,
        "optimizer": trial.optimizer,
        "hyperparameters": {name: value for name, value in trial.hyperparameters.items() if name not in idle},
        "start": list(trial.start),
        "replicate": trial.replicate,
        **_outcome(predicted.nearest or predicted.why_not or ""),
        **({"noise_floor": predicted.noise_floor} if plan.experiment.noise else {}),
        "critical_points": [
            {"kind": critical.kind.value, "point": list(critical.point), **_outcome(each)}
            for critical, each in predicted.points
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


def _steps(count: int) -> str:
    return "one step" if count == 1 else f"{count} steps"


def _count(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _limit(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "none" if math.isinf(value) else f"{value:.4g}"
