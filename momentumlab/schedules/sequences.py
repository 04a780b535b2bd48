"""Schedules composed of other schedules or of values, and Nesterov's sequence."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array, ValueKind, parameter
from momentumlab.schedules.base import (
    Schedule,
    duration_parameter,
    end_parameter,
    interpolate,
    over_parameter,
    schedule,
    updates,
)

TABULATED = 2**17
"""The number of θ of Nesterov's sequence computed by recursion; later ones are extrapolated to rounding accuracy."""


@schedule("warmup")
@dataclass(frozen=True)
class Warmup(Schedule):
    """A straight line to the first value of another schedule, which then begins.

    The schedule that follows has the remaining iterations: in an experiment of 100, the cosine of
    ``warmup(10, cosine(0.1))`` takes 90. With a start of 0, as in optax, the first update changes nothing; PyTorch
    begins at a third of the following value.
    """

    over: float = duration_parameter(doc="updates before the other schedule begins")
    then: "Schedule | float" = parameter(kind=ValueKind.SCHEDULE, doc="schedule or constant that follows")
    start: float = parameter(0.0, by_name=True, doc="value of the first update")

    formula = "start + (s(0) − start)·k/over  for k < over,  then s(k − over),  s = schedule that follows"
    source = (
        "Goyal et al. (2017), arXiv 1706.02677; agrees with torch SequentialLR of LinearLR(total_iters=over) and "
        "another, and with optax.warmup_cosine_decay_schedule and optax.join_schedules"
    )

    def value(self, k: Array, iterations: int) -> Array:
        k = np.asarray(k, dtype=np.float64)
        over = updates(self.over, iterations)
        rest = max(iterations - over, 1)
        later = np.maximum(k - over, 0.0)
        following = self.then.value(later, rest) if isinstance(self.then, Schedule) else np.full_like(k, self.then)
        return np.where(k < over, interpolate(self.start, following, np.minimum(k / over, 1.0)), following)

    def turns(self, iterations: int) -> Sequence[int]:
        over = updates(self.over, iterations)
        inner = self.then.turns(max(iterations - over, 1)) if isinstance(self.then, Schedule) else ()
        return over, *(over + k for k in inner)


@schedule("wsd", aliases=("warmup_stable_decay",))
@dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """A straight line to the peak, a constant phase, and a decay at the end (WSD).

    The decay begins ``decay`` updates before the end, but not before the warm-up is over. The form ``sqrt`` falls
    steeply first; Hägele et al. found it slightly better than a straight line.
    """

    peak: float = parameter(doc="value of the constant phase")
    end: float = end_parameter()
    warmup: float = duration_parameter(0.05, by_name=True, doc="updates before the constant phase")
    decay: float = duration_parameter(0.2, by_name=True, doc="updates of the decay")
    form: str = parameter("sqrt", choices=("sqrt", "linear", "cosine"), by_name=True, doc="form of the decay")
    start: float = parameter(0.0, by_name=True, doc="value of the first update")
    over: float = over_parameter()

    formula = (
        "start + (peak − start)·k/W  for k < W,  peak for k < T − D,  then end + (peak − end)·f(u) with "
        "f = 1 − √u, 1 − u or (1 + cos(π u))/2;  u = (k − T + D)/D,  W = warmup,  D = decay,  T = over"
    )
    source = "Hu et al. (2024), MiniCPM, arXiv 2404.06395; forms of the decay: Hägele et al. (2024), arXiv 2405.18392"

    def _phases(self, iterations: int) -> tuple[int, int, int]:
        """Return the end of the warm-up, the beginning of the decay and its end, in updates."""
        total = updates(self.over, iterations)
        warm = updates(self.warmup, total)
        return warm, max(warm, total - updates(self.decay, total)), max(warm, total)

    def value(self, k: Array, iterations: int) -> Array:
        k = np.asarray(k, dtype=np.float64)
        warm, decays, ends = self._phases(iterations)
        u = np.clip((k - decays) / max(ends - decays, 1), 0.0, 1.0)
        remaining = {"sqrt": 1 - np.sqrt(u), "linear": 1 - u, "cosine": (1 + np.cos(np.pi * u)) / 2}[self.form]
        rising = interpolate(self.start, self.peak, np.minimum(k / warm, 1.0))
        return np.where(k < decays, rising, interpolate(self.end, self.peak, remaining))

    def turns(self, iterations: int) -> Sequence[int]:
        return self._phases(iterations)


@schedule("piecewise")
@dataclass(frozen=True)
class Piecewise(Schedule):
    """Values from given updates on: constant between them, or along straight lines or half cosine waves.

    Inside {} and [] of a YAML file, write it in quotes.
    """

    values: tuple[tuple[int, float], ...] = parameter(
        kind=ValueKind.STEPS, doc="values by the number of completed updates, which begin with 0 and increase"
    )
    between: str = parameter(
        "constant",
        choices=("constant", "linear", "cosine"),
        by_name=True,
        doc="interpolation from one value to the next",
    )

    formula = "vᵢ for kᵢ ≤ k < kᵢ₊₁;  linear and cosine interpolate from vᵢ to vᵢ₊₁"
    source = (
        "elementary; agrees with torch MultiStepLR, optax.piecewise_constant_schedule and "
        "optax.piecewise_interpolate_schedule, all of which take factors instead of values"
    )

    def value(self, k: Array, iterations: int) -> Array:
        k = np.asarray(k, dtype=np.float64)
        times, values = (np.array(column, dtype=np.float64) for column in zip(*self.values, strict=True))
        piece = np.searchsorted(times, k, side="right") - 1
        if self.between == "constant":
            return values[piece]
        following = np.minimum(piece + 1, len(times) - 1)
        length = np.where(following > piece, times[following] - times[piece], 1.0)
        share = (k - times[piece]) / length
        if self.between == "cosine":
            share = (1 - np.cos(np.pi * share)) / 2
        return np.where(following > piece, interpolate(values[piece], values[following], share), values[piece])

    def turns(self, iterations: int) -> Sequence[int]:
        return [turn for k, _ in self.values for turn in (k - 1, k)]


@schedule("nesterov_sequence")
@dataclass(frozen=True)
class NesterovSequence(Schedule):
    """Nesterov's growing momentum, from 0 towards 1.

    ``simple`` is k/(k + 3), ``t_k`` the sequence of the paper; both are 1 − 3/k + … for large k. As the β of
    ``nesterov``, which is PyTorch's form, each β is used twice in its own iteration, for v and for the look-ahead.
    Nesterov's own method (``nesterov_convex``) looks ahead by β and carries that look-ahead into the next iteration.
    """

    rule: str = parameter(
        "simple", choices=("simple", "t_k"), by_name=True, doc="sequence: k/(k + 3), or that of the paper"
    )

    formula = "k/(k + 3);  t_k: (θ − 1)/θ₊,  θ₊ = (1 + √(1 + 4θ²))/2,  θ = 1 at k = 0"
    source = (
        "Nesterov (1983), Doklady 27, for t_k; Su, Boyd & Candès (2016), arXiv 1503.01243, for k/(k + 3) counted from 0"
    )

    def value(self, k: Array, iterations: int) -> Array:
        k = np.asarray(k, dtype=np.float64)
        if self.rule == "simple":
            return k / (k + 3)
        theta = _theta(k)
        ratio: Array = (theta - 1) / ((1 + np.sqrt(1 + 4 * theta * theta)) / 2)
        return ratio


@functools.cache
def _thetas(count: int) -> Array:
    """Return the first θ of Nesterov's sequence, ``(count,)``."""
    thetas = [1.0]
    for _ in range(count - 1):
        thetas.append((1 + math.sqrt(1 + 4 * thetas[-1] * thetas[-1])) / 2)
    return np.array(thetas)


def _theta(k: Array) -> Array:
    """Return θ after k steps, ``k.shape``.

    One step is θ₊ = θ + 1/2 + 1/(8θ) − O(θ⁻³). Beyond the table, θ follows the solution of θ' = 1/2 + 1/(8θ) that
    begins at its end: θ = θ₀ + (k − k₀)/2 + ln(θ/θ₀)/4 with an error of O(1/θ₀), which changes (θ − 1)/θ₊ by O(1/θ₀³).
    """
    count = 1024 if k.max(initial=0.0) < 1024 else TABULATED
    table = _thetas(count)
    theta: Array = table[np.minimum(k, count - 1).astype(np.intp)]
    steps = np.maximum(k - (count - 1), 0.0)
    if not steps.any():
        return theta
    first = table[-1]
    beyond = first + steps / 2
    for _ in range(4):
        beyond = first + steps / 2 + np.log(beyond / first) / 4
    return np.where(steps > 0, beyond, theta)
