"""Schedules that change once from one value to another."""

from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array, parameter
from momentumlab.schedules.base import (
    Schedule,
    duration_parameter,
    end_parameter,
    interpolate,
    over_parameter,
    schedule,
    start_parameter,
    updates,
)


@schedule("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave: slow at first, fast in the middle, slow at the end.

    After T updates it stays at ``end``, as in optax; PyTorch's rises again after T_max.
    """

    start: float = start_parameter()
    end: float = end_parameter()
    over: float = over_parameter()

    formula = "end + (start − end)·(1 + cos(π k/T))/2,  T = over"
    source = (
        "Loshchilov & Hutter (2017), arXiv 1608.03983, without restarts; "
        "agrees with torch CosineAnnealingLR(T_max=T, eta_min=end) and optax.cosine_decay_schedule(alpha=end/start)"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return interpolate(self.end, self.start, (1 + np.cos(np.pi * _share(k, updates(self.over, iterations)))) / 2)


@schedule("linear")
@dataclass(frozen=True)
class LinearRamp(Schedule):
    """A straight line, rising or falling, then constant."""

    start: float = start_parameter()
    end: float = end_parameter()
    over: float = over_parameter()

    formula = "start + (end − start)·min(k/T, 1),  T = over"
    source = (
        "elementary; agrees with torch LinearLR(total_iters=T), whose factors multiply lr, and optax.linear_schedule"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return interpolate(self.start, self.end, _share(k, updates(self.over, iterations)))


@schedule("polynomial", aliases=("poly",))
@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """A power of the remaining time: a higher power falls earlier."""

    start: float = start_parameter()
    end: float = end_parameter()
    power: float = parameter(2.0, gt=0, by_name=True, doc="exponent; 1 is a straight line")
    over: float = over_parameter()

    formula = "end + (start − end)·(1 − min(k/T, 1))^power,  T = over"
    source = (
        "elementary; agrees with optax.polynomial_schedule and, if end is 0, torch PolynomialLR(total_iters=T), "
        "whose default power is 1"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return interpolate(self.end, self.start, (1 - _share(k, updates(self.over, iterations))) ** self.power)


@schedule("exponential", aliases=("exp",))
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """Multiplied by a constant factor after every update."""

    start: float = start_parameter()
    factor: float = parameter(gt=0, doc="factor per update")

    formula = "start·factor^k"
    source = "elementary; agrees with torch ExponentialLR(gamma=factor) and optax.exponential_decay(transition_steps=1)"

    def value(self, k: Array, iterations: int) -> Array:
        return self.start * np.power(self.factor, np.asarray(k, dtype=np.float64))


@schedule("step")
@dataclass(frozen=True)
class StepDecay(Schedule):
    """Piecewise constant, multiplied by a factor at regular intervals."""

    start: float = start_parameter()
    factor: float = parameter(0.1, gt=0, by_name=True, doc="factor per step")
    every: float = duration_parameter(30, by_name=True, doc="updates between steps")

    formula = "start·factor^⌊k/every⌋"
    source = (
        "elementary; agrees with torch StepLR(step_size=every, gamma=factor), whose gamma is 0.1, and "
        "optax.exponential_decay(transition_steps=every, staircase=True)"
    )

    def value(self, k: Array, iterations: int) -> Array:
        return self.start * np.power(self.factor, np.floor_divide(k, updates(self.every, iterations)))


@schedule("inverse")
@dataclass(frozen=True)
class InverseDecay(Schedule):
    """Divided by elapsed time: the decay of stochastic approximation.

    With power 1 the sum of all values diverges and the sum of their squares converges, as Robbins & Monro require.
    """

    start: float = start_parameter()
    k: float = parameter(ge=0, by_name=True, doc="speed: halved after 1/k updates (power 1)")
    power: float = parameter(1.0, gt=0, by_name=True, doc="exponent; 0.5 is the inverse square root")

    formula = "start/(1 + κ k)^power,  κ = argument k"
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
    """A rise to a peak and a fall far below the first value, each as half a cosine wave.

    PyTorch turns at update pct_start·T − 1 and reaches the end at T − 1, the last one; optax turns at
    ⌊pct_start·T⌋ and reaches it at T.
    """

    peak: float = parameter(doc="highest value")
    over: float = over_parameter()
    pct_start: float = parameter(0.3, gt=0, lt=1, by_name=True, doc="fraction of the duration spent rising")
    div_factor: float = parameter(25.0, ge=1, by_name=True, doc="peak divided by the first value")
    final_div_factor: float = parameter(1e4, gt=0, by_name=True, doc="first value divided by the last")
    dialect: str = parameter(
        "pytorch", choices=("pytorch", "optax"), by_name=True, doc="library whose turning points are used"
    )

    formula = "peak/div_factor → peak → peak/(div_factor·final_div_factor), along half cosine waves"
    source = (
        "Smith & Topin (2018), arXiv 1708.07120; agrees with torch OneCycleLR(cycle_momentum=False) and, with "
        "dialect=optax, optax.cosine_onecycle_schedule"
    )

    def _times(self, iterations: int) -> tuple[float, float]:
        """Return the turning point and the end, in updates."""
        length = updates(self.over, iterations)
        if self.dialect == "pytorch":
            return self.pct_start * length - 1, max(length - 1, 0)
        return int(self.pct_start * length), length

    def value(self, k: Array, iterations: int) -> Array:
        turn, end = self._times(iterations)
        k = np.minimum(np.asarray(k, dtype=np.float64), end)
        first = self.peak / self.div_factor
        rise = np.clip(k / turn, 0.0, 1.0) if turn > 0 else np.ones_like(k)
        fall = np.clip((k - turn) / (end - turn), 0.0, 1.0) if end > turn else np.zeros_like(k)
        rising = interpolate(self.peak, first, (1 + np.cos(np.pi * rise)) / 2)
        falling = interpolate(first / self.final_div_factor, self.peak, (1 + np.cos(np.pi * fall)) / 2)
        return np.where(k <= turn, rising, falling)

    def turns(self, iterations: int) -> tuple[int, ...]:
        turn, end = self._times(iterations)
        return int(np.floor(turn)), int(np.ceil(turn)), int(end)


def _share(k: Array, length: int) -> Array:
    """Return the fraction of ``length`` updates that has passed, at most 1."""
    share: Array = np.minimum(np.asarray(k, dtype=np.float64) / max(length, 1), 1.0)
    return share
