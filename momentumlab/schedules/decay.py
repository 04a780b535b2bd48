"""Schedules that lead from one value to another, once."""

from dataclasses import dataclass

import numpy as np

from momentumlab.registry import Array
from momentumlab.schedules.base import (
    Kind,
    Schedule,
    argument,
    between,
    end_argument,
    over_argument,
    schedule,
    start_argument,
)


@schedule("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a wave of a cosine: slow at first, fast in the middle, slow again.

    After its T updates it stays at ``end``, as in optax; PyTorch's rises again where one goes on beyond T_max.
    """

    start: float = start_argument()
    end: float = end_argument()
    over: int = over_argument()

    formula = "end + (start − end)·(1 + cos(π k/T))/2,  T = over"
    source = (
        "Loshchilov & Hutter (2017), arXiv 1608.03983, without restarts; "
        "agrees with torch CosineAnnealingLR(T_max=T, eta_min=end) and optax.cosine_decay_schedule(alpha=end/start)"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return between(self.end, self.start, (1 + np.cos(np.pi * _share(k, self.over or iterations))) / 2)


@schedule("linear")
@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line, up or down, and level after it."""

    start: float = start_argument()
    end: float = end_argument()
    over: int = over_argument()

    formula = "start + (end − start)·min(k/T, 1),  T = over"
    source = (
        "elementary; agrees with torch LinearLR(total_iters=T), whose factors multiply lr, and optax.linear_schedule"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return between(self.start, self.end, _share(k, self.over or iterations))


@schedule("polynomial", aliases=("poly",))
@dataclass(frozen=True)
class Polynomial(Schedule):
    """A power of the remaining time: the higher the power, the earlier the descent."""

    start: float = start_argument()
    end: float = end_argument()
    power: float = argument(Kind.NUMBER, default=2.0, gt=0, by_name=True, doc="1 is a straight line")
    over: int = over_argument()

    formula = "end + (start − end)·(1 − min(k/T, 1))^power,  T = over"
    source = (
        "elementary; agrees with optax.polynomial_schedule and, where end is 0, torch PolynomialLR(total_iters=T), "
        "whose power is 1 unless it is given"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return between(self.end, self.start, (1 - _share(k, self.over or iterations)) ** self.power)


@schedule("exponential", aliases=("exp",))
@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiplied by the same factor after every update."""

    start: float = start_argument()
    factor: float = argument(Kind.NUMBER, gt=0, doc="what one update multiplies it by")

    formula = "start·factor^k"
    source = "elementary; agrees with torch ExponentialLR(gamma=factor) and optax.exponential_decay(transition_steps=1)"

    def value(self, k: Array, iterations: int) -> Array:
        return self.start * np.power(self.factor, np.asarray(k, dtype=np.float64))


@schedule("step")
@dataclass(frozen=True)
class Step(Schedule):
    """Level, and multiplied by a factor every so many updates."""

    start: float = start_argument()
    factor: float = argument(Kind.NUMBER, default=0.1, gt=0, by_name=True, doc="what each step multiplies it by")
    every: int = argument(Kind.COUNT, default=30, ge=1, by_name=True, doc="the number of updates between steps")

    formula = "start·factor^⌊k/every⌋"
    source = (
        "elementary; agrees with torch StepLR(step_size=every, gamma=factor), whose gamma is 0.1, and "
        "optax.exponential_decay(transition_steps=every, staircase=True)"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return self.start * np.power(self.factor, np.floor_divide(k, self.every))


@schedule("inverse")
@dataclass(frozen=True)
class Inverse(Schedule):
    """Divided by the time that has passed: the decay of stochastic approximation.

    With power 1 the sum of all values diverges and that of their squares does not, the conditions of Robbins & Monro.
    """

    start: float = start_argument()
    k: float = argument(Kind.NUMBER, ge=0, by_name=True, doc="how fast: at update 1/k it has halved (power 1)")
    power: float = argument(Kind.NUMBER, default=1.0, gt=0, by_name=True, doc="0.5 is the inverse square root")

    formula = "start/(1 + κ k)^power,  κ being the argument k"
    source = (
        "Robbins & Monro (1951), Annals of Mathematical Statistics 22; in PyTorch the lr_decay of torch.optim.Adagrad, "
        "or a LambdaLR"
    )

    def value(self, k: Array, iterations: int) -> Array:
        decayed: Array = self.start / np.power(1 + self.k * np.asarray(k, dtype=np.float64), self.power)
        return decayed


@schedule("onecycle", aliases=("one_cycle",))
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to a peak and down to far below the beginning, each as half a cosine wave.

    PyTorch turns at update pct_start·T − 1 and reaches the end at T − 1, the last one; optax turns at
    ⌊pct_start·T⌋ and reaches it at T.
    """

    peak: float = argument(Kind.NUMBER, doc="the highest value")
    over: int = over_argument()
    pct_start: float = argument(Kind.NUMBER, default=0.3, gt=0, lt=1, by_name=True, doc="the share of the rise")
    div_factor: float = argument(Kind.NUMBER, default=25.0, ge=1, by_name=True, doc="the peak over the first value")
    final_div_factor: float = argument(
        Kind.NUMBER, default=1e4, gt=0, by_name=True, doc="the first value over the last"
    )
    dialect: str = argument(
        Kind.WORD, default="pytorch", choices=("pytorch", "optax"), by_name=True, doc="whose times of turning"
    )

    formula = "peak/div_factor → peak → peak/(div_factor·final_div_factor), along half waves of a cosine"
    source = (
        "Smith & Topin (2018), arXiv 1708.07120; agrees with torch OneCycleLR(cycle_momentum=False) and, in its "
        "dialect, optax.cosine_onecycle_schedule"
    )

    def _times(self, iterations: int) -> tuple[float, float]:
        """When it turns, and when it ends."""
        length = self.over or iterations
        if self.dialect == "pytorch":
            return self.pct_start * length - 1, max(length - 1, 0)
        return int(self.pct_start * length), length

    def value(self, k: Array, iterations: int) -> Array:
        turn, end = self._times(iterations)
        k = np.minimum(np.asarray(k, dtype=np.float64), end)
        first = self.peak / self.div_factor
        rise = np.clip(k / turn, 0.0, 1.0) if turn > 0 else np.ones_like(k)
        fall = np.clip((k - turn) / (end - turn), 0.0, 1.0) if end > turn else np.zeros_like(k)
        rising = between(self.peak, first, (1 + np.cos(np.pi * rise)) / 2)
        falling = between(first / self.final_div_factor, self.peak, (1 + np.cos(np.pi * fall)) / 2)
        return np.where(k <= turn, rising, falling)

    def turns(self, iterations: int) -> tuple[int, ...]:
        turn, end = self._times(iterations)
        return int(np.floor(turn)), int(np.ceil(turn)), int(end)


def _share(k: Array, length: int) -> Array:
    """Which share of so many updates has passed, at most 1."""
    share: Array = np.minimum(np.asarray(k, dtype=np.float64) / max(length, 1), 1.0)
    return share
