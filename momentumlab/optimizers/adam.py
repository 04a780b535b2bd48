"""Adam and its variants: an average of gradients, divided per coordinate by an average of their size."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.optimizers.base import (
    Here,
    Optimizer,
    State,
    decayed,
    dialect_parameter,
    optimizer,
    per_lane,
    weight_decay_parameter,
)
from momentumlab.parameters import Array, Real, parameter


class Moments(NamedTuple):
    """Two moments, ``(dim, lanes)``, and the powers β₁ᵗ and β₂ᵗ, ``(lanes,)``, of their bias corrections.

    The powers are running products: ``beta ** t`` costs far more, and rounds differently from lane to lane. If β
    follows a schedule, only the product makes the correction exact: the weights of all gradients in m sum to 1 − Πβ₁.
    (PyTorch and optax raise the current β to the power t, which is correct only for a constant β.)
    """

    m: Array
    v: Array
    beta1_power: Array
    beta2_power: Array


class MaximalMoments(NamedTuple):
    """Adam's state: `Moments`, and the largest second moment so far (the second moment itself without AMSGrad)."""

    m: Array
    v: Array
    largest: Array
    beta1_power: Array
    beta2_power: Array


class ScheduledMoments(NamedTuple):
    """NAdam's state: moments, the product of all μ so far, β₂ᵗ, and 0.96^ψ with its power."""

    m: Array
    v: Array
    mu_product: Array
    beta2_power: Array
    decay: Array
    decay_power: Array


class Differences(NamedTuple):
    """Adan's state: averages of gradients, of their differences and of squares; the last gradient; three powers."""

    m: Array
    v: Array
    n: Array
    g: Array
    beta1_power: Array
    beta2_power: Array
    beta3_power: Array


def _beta1(default: float = 0.9, constant: str = "") -> Real:
    doc = "decay of the average of gradients"
    value: Real = parameter(default, ge=0, lt=1, aliases=("b1",), constant=constant, doc=doc)
    return value


def _beta2(default: float = 0.999, constant: str = "") -> Real:
    doc = "decay of the average of squared gradients"
    value: Real = parameter(default, ge=0, lt=1, aliases=("b2",), constant=constant, doc=doc)
    return value


def _eps(default: float = 1e-8, doc: str = "keeps the division finite; added to the corrected root") -> Real:
    value: Real = parameter(default, gt=0, doc=doc)
    return value


@dataclass(frozen=True, kw_only=True)
class _TwoMoments(Optimizer[State]):
    """The part that most variants share: β₁, β₂, ε and the two moments."""

    beta1: Real = _beta1()
    beta2: Real = _beta2()
    eps: Real = _eps()

    def first_moments(self, x: Array, value: float = 0.0) -> Moments:
        """Return both moments before the first gradient."""
        return Moments(np.full_like(x, value), np.full_like(x, value), per_lane(1.0, x), per_lane(1.0, x))

    def moments(self, state: Moments, g: Array) -> Moments:
        """Return both moments after one more gradient."""
        return Moments(
            self.beta1 * state.m + (1 - self.beta1) * g,
            self.beta2 * state.v + (1 - self.beta2) * g * g,
            self.beta1 * state.beta1_power,
            self.beta2 * state.beta2_power,
        )


@dataclass(frozen=True, kw_only=True)
class _AdamStep(_TwoMoments[MaximalMoments]):
    """The step shared by Adam and AdamW, which differ only in the weight decay."""

    amsgrad: bool = parameter(False, doc="divide by the largest second moment so far (arXiv 1904.09237)")
    dialect: str = dialect_parameter(
        "of amsgrad: pytorch corrects the bias of the maximum, optax takes the maximum of v̂"
    )

    def init(self, x: Array) -> MaximalMoments:
        m, v, *powers = self.first_moments(x)
        return MaximalMoments(m, v, v, *powers)

    def adam(self, state: MaximalMoments, g: Array) -> tuple[Array, MaximalMoments]:
        """Return the velocity of Adam for a gradient."""
        old = Moments(state.m, state.v, state.beta1_power, state.beta2_power)
        m, v, beta1_power, beta2_power = self.moments(old, g)
        corrected = v / (1 - beta2_power)
        if not self.amsgrad:
            largest = v
        elif self.dialect == "pytorch":
            largest = np.maximum(state.largest, v)
            corrected = largest / (1 - beta2_power)
        else:
            largest = corrected = np.maximum(state.largest, corrected)
        velocity = m / (1 - beta1_power) / (np.sqrt(corrected) + self.eps)
        return velocity, MaximalMoments(m, v, largest, beta1_power, beta2_power)


@optimizer("adam", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class Adam(_AdamStep):
    """Adam: momentum as an average, divided by the root of an average of squared gradients, both bias-corrected.

    ε is added to the root of the corrected second moment, as in the paper's Algorithm 1, PyTorch and optax. (The
    paper's faster variant adds it to the root of the uncorrected one, where the same ε weighs 1/√(1 − β₂ᵗ) more.)
    """

    weight_decay: Real = weight_decay_parameter()

    equation = (
        "m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√v̂ + ε),  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)"
    )
    source = (
        "Kingma & Ba (2015), arXiv 1412.6980; "
        "agrees with torch.optim.Adam, optax.adam and, in its dialect, optax.amsgrad"
    )

    def step(self, state: MaximalMoments, g: Array, here: Here) -> tuple[Array, MaximalMoments]:
        return self.adam(state, decayed(g, here.x, self.weight_decay))


@optimizer("adamw", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class AdamW(_AdamStep):
    """Adam with decoupled weight decay: x shrinks by lr·weight_decay apart from the gradient step.

    The default decay is 0.01 in PyTorch and 0.0001 in optax. Both move the fixed point away from the minimum.
    """

    weight_decay: Real = weight_decay_parameter(
        0.01, optax=1e-4, doc="decoupled: adds weight_decay · x to the velocity"
    )

    equation = "as adam, and  x ← x − lr·weight_decay·x"
    source = (
        "Loshchilov & Hutter (2019), arXiv 1711.05101; agrees with torch.optim.AdamW and, in its dialect, optax.adamw"
    )

    def step(self, state: MaximalMoments, g: Array, here: Here) -> tuple[Array, MaximalMoments]:
        velocity, state = self.adam(state, g)
        return decayed(velocity, here.x, self.weight_decay), state


@optimizer("adamax", lr=2e-3)
@dataclass(frozen=True, kw_only=True)
class Adamax(_TwoMoments[Moments]):
    """Adam in the maximum norm: divided by the largest gradient so far, which decays at the rate β₂."""

    eps: Real = _eps(doc="keeps the division finite; added to every |g|")
    weight_decay: Real = weight_decay_parameter()

    equation = "m ← β₁ m + (1 − β₁) g,  u ← max(β₂ u, |g| + ε),  x ← x − lr·m̂ / u"
    source = "Kingma & Ba (2015), arXiv 1412.6980, Algorithm 2; agrees with torch.optim.Adamax and optax.adamax"

    def init(self, x: Array) -> Moments:
        return self.first_moments(x)

    def step(self, state: Moments, g: Array, here: Here) -> tuple[Array, Moments]:
        g = decayed(g, here.x, self.weight_decay)
        m, _, beta1_power, beta2_power = self.moments(state, g)
        u = np.maximum(self.beta2 * state.v, np.abs(g) + self.eps)
        return m / (1 - beta1_power) / u, Moments(m, u, beta1_power, beta2_power)


@optimizer("nadam", lr=2e-3)
@dataclass(frozen=True, kw_only=True)
class NAdam(_TwoMoments[ScheduledMoments]):
    """Adam with Nesterov's look-ahead in the first moment.

    PyTorch lets the momentum μ grow from β₁/2 to β₁ at the rate ψ (``momentum_decay``), as the paper suggests; optax
    keeps it at β₁ and has no ψ.
    """

    beta1: Real = _beta1(constant="each step looks ahead to the μ of the next one")
    momentum_decay: Real = parameter(
        0.004,
        ge=0,
        constant="it is itself the rate of a schedule",
        doc="ψ: how fast the momentum grows; no effect in optax's dialect",
    )
    weight_decay: Real = weight_decay_parameter()
    dialect: str = dialect_parameter("pytorch varies the momentum by ψ, optax does not")

    equation = (
        "as adam with  m̂ = μ₊ m/(1 − Πμ·μ₊) + (1 − μ) g/(1 − Πμ),  μ = β₁ (1 − ½·0.96^(tψ));  optax: μ = β₁ throughout"
    )
    source = (
        "Dozat (2016), Incorporating Nesterov momentum into Adam; "
        "agrees with torch.optim.NAdam and, in its dialect, optax.nadam"
    )

    def init(self, x: Array) -> ScheduledMoments:
        m, v, ones, _ = self.first_moments(x)
        # Python's power, number by number: NumPy's may round differently from lane to lane.
        decay = np.array([0.96**psi for psi in per_lane(self.momentum_decay, x).tolist()])
        return ScheduledMoments(m, v, ones, ones, decay, ones)

    def step(self, state: ScheduledMoments, g: Array, here: Here) -> tuple[Array, ScheduledMoments]:
        g = decayed(g, here.x, self.weight_decay)
        old = Moments(state.m, state.v, state.mu_product, state.beta2_power)
        m, v, beta1_power, beta2_power = self.moments(old, g)
        decay_power = state.decay_power * state.decay
        if self.dialect == "pytorch":
            mu = self.beta1 * (1 - 0.5 * decay_power)
            mu_next = self.beta1 * (1 - 0.5 * (decay_power * state.decay))
            product = state.mu_product * mu
        else:
            mu = mu_next = self.beta1
            product = beta1_power
        corrected = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        velocity = corrected / (np.sqrt(v / (1 - beta2_power)) + self.eps)
        return velocity, ScheduledMoments(m, v, product, beta2_power, state.decay, decay_power)


@optimizer("radam", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class RAdam(_TwoMoments[Moments]):
    """Rectified Adam: averaged gradients until the second moment is reliable, then Adam times a factor r.

    ρ is the effective number of gradients in the second moment; the adaptive step begins when ρ exceeds 5.
    """

    beta2: Real = _beta2(constant="ρ is derived for a constant β₂")
    eps: Real = _eps(doc="keeps the division finite; pytorch adds it to √v, optax to the corrected root")
    weight_decay: Real = weight_decay_parameter()
    dialect: str = dialect_parameter("pytorch adds ε to √v, optax to √v̂, and optax begins at ρ = 5 instead of above it")

    equation = (
        "x ← x − lr·m̂·r·√(1 − β₂ᵗ)/(√v + ε) if ρ > 5 else x − lr·m̂,  ρ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ),  ρ∞ = 2/(1 − β₂) − 1,  "
        "r² = (ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)"
    )
    source = "Liu et al. (2020), arXiv 1908.03265; agrees with torch.optim.RAdam and, in its dialect, optax.radam"

    def init(self, x: Array) -> Moments:
        return self.first_moments(x)

    def step(self, state: Moments, g: Array, here: Here) -> tuple[Array, Moments]:
        g = decayed(g, here.x, self.weight_decay)
        state = m, v, beta1_power, beta2_power = self.moments(state, g)
        average = m / (1 - beta1_power)
        longest = 2 / (1 - self.beta2) - 1
        rho = longest - 2 * here.t * beta2_power / (1 - beta2_power)
        ratio = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
        if self.dialect == "pytorch":
            enough = rho > 5
            scale = np.sqrt(1 - beta2_power) / (np.sqrt(v) + self.eps)
        else:
            enough = rho >= 5
            scale = 1 / (np.sqrt(v / (1 - beta2_power)) + self.eps)
        adaptive = np.sqrt(np.where(enough, ratio, 1.0)) * scale * average
        return np.where(enough, adaptive, average), Moments(*state)


@optimizer("adabelief", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class AdaBelief(_TwoMoments[Moments]):
    """Adam divided by the deviation of gradients from their average instead of their size.

    Steps are long when gradients agree with their average. With β₁ = 0 they always agree, and the method diverges.
    """

    eps: Real = _eps(1e-16)
    eps_root: Real = parameter(1e-16, ge=0, doc="added to s in every iteration")

    equation = "m ← β₁ m + (1 − β₁) g,  s ← β₂ s + (1 − β₂)(g − m)² + ε_root,  x ← x − lr·m̂ / (√ŝ + ε)"
    source = "Zhuang et al. (2020), arXiv 2010.07468; agrees with optax.adabelief"

    def init(self, x: Array) -> Moments:
        return self.first_moments(x)

    def step(self, state: Moments, g: Array, here: Here) -> tuple[Array, Moments]:
        m, _, beta1_power, beta2_power = self.moments(state, g)
        s = self.beta2 * state.v + (1 - self.beta2) * (g - m) * (g - m) + self.eps_root
        velocity = m / (1 - beta1_power) / (np.sqrt(s / (1 - beta2_power)) + self.eps)
        return velocity, Moments(m, s, beta1_power, beta2_power)


@optimizer("yogi", lr=1e-2)
@dataclass(frozen=True, kw_only=True)
class Yogi(_TwoMoments[Moments]):
    """Adam whose second moment changes by a fixed fraction of g², up or down, so it does not decay quickly."""

    eps: Real = _eps(1e-3)
    initial_accumulator_value: Real = parameter(
        1e-6, ge=0, constant="it is only used at the start", doc="initial value of both moments"
    )

    equation = "m ← β₁ m + (1 − β₁) g,  v ← v − (1 − β₂) sign(v − g²) g²,  x ← x − lr·m̂ / (√v̂ + ε)"
    source = "Zaheer, Reddi, Sachan, Kale & Kumar (2018), NeurIPS 31; agrees with optax.yogi"

    def init(self, x: Array) -> Moments:
        m, v, *powers = self.first_moments(x)
        return Moments(m + self.initial_accumulator_value, v + self.initial_accumulator_value, *powers)

    def step(self, state: Moments, g: Array, here: Here) -> tuple[Array, Moments]:
        m, _, beta1_power, beta2_power = self.moments(state, g)
        square = g * g
        v = state.v - (1 - self.beta2) * np.sign(state.v - square) * square
        velocity = m / (1 - beta1_power) / (np.sqrt(v / (1 - beta2_power)) + self.eps)
        return velocity, Moments(m, v, beta1_power, beta2_power)


@optimizer("qhadam", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class QHAdam(_TwoMoments[Moments]):
    """Quasi-hyperbolic Adam: both moments are mixed with the current gradient, by weights ν₁ and ν₂."""

    beta1: Real = _beta1(0.995)
    nu1: Real = parameter(0.7, ge=0, le=1, doc="weight of the first moment against the current gradient")
    nu2: Real = parameter(1.0, ge=0, le=1, doc="weight of the second moment against the current squared gradient")

    equation = "x ← x − lr·((1 − ν₁) g + ν₁ m̂) / (√((1 − ν₂) g² + ν₂ v̂) + ε)"
    source = "Ma & Yarats (2019), arXiv 1810.06801, equation 18; defaults as recommended there"

    def init(self, x: Array) -> Moments:
        return self.first_moments(x)

    def step(self, state: Moments, g: Array, here: Here) -> tuple[Array, Moments]:
        state = self.moments(state, g)
        numerator = (1 - self.nu1) * g + self.nu1 * (state.m / (1 - state.beta1_power))
        square = (1 - self.nu2) * g * g + self.nu2 * (state.v / (1 - state.beta2_power))
        return numerator / (np.sqrt(square) + self.eps), state


class FirstMoment(NamedTuple):
    """Lion's state: the average of gradients."""

    m: Array


@optimizer("lion", lr=1e-4)
@dataclass(frozen=True, kw_only=True)
class Lion(Optimizer[FirstMoment]):
    """Lion: the sign of a mix of momentum and gradient; found by a search over programs.

    Every coordinate moves by lr. With a constant lr it ends in a cycle of about that size.
    """

    beta1: Real = parameter(0.9, ge=0, lt=1, aliases=("b1",), doc="weight of the average against the gradient")
    beta2: Real = parameter(0.99, ge=0, lt=1, aliases=("b2",), doc="decay of the average of gradients")
    weight_decay: Real = weight_decay_parameter(1e-3, doc="decoupled: adds weight_decay · x to the velocity")

    equation = "x ← x − lr·(sign(β₁ m + (1 − β₁) g) + weight_decay·x),  m ← β₂ m + (1 − β₂) g"
    source = "Chen et al. (2023), arXiv 2302.06675; agrees with optax.lion"

    def init(self, x: Array) -> FirstMoment:
        return FirstMoment(np.zeros_like(x))

    def step(self, state: FirstMoment, g: Array, here: Here) -> tuple[Array, FirstMoment]:
        direction = np.sign(self.beta1 * state.m + (1 - self.beta1) * g)
        m = self.beta2 * state.m + (1 - self.beta2) * g
        return decayed(direction, here.x, self.weight_decay), FirstMoment(m)


@optimizer("adan", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class Adan(Optimizer[Differences]):
    """Adan: Adam with averages of gradients, of their differences and of the squares of both together.

    The decays here are one minus the paper's (0.02, 0.08, 0.01), as in its authors' code. optax 0.2.8 weighs the
    differences by 1 − β₂ where the paper and the authors' code have β₂.
    """

    beta1: Real = parameter(0.98, ge=0, lt=1, aliases=("b1",), doc="decay of the average of gradients")
    beta2: Real = parameter(0.92, ge=0, lt=1, aliases=("b2",), doc="decay of the average of differences")
    beta3: Real = parameter(0.99, ge=0, lt=1, aliases=("b3",), doc="decay of the average of squares")
    eps: Real = _eps()
    eps_root: Real = parameter(0.0, ge=0, optax=1e-8, doc="added inside the root")
    weight_decay: Real = weight_decay_parameter(doc="decoupled: adds weight_decay · x to the velocity")
    dialect: str = dialect_parameter("the weight w of differences: pytorch (here the paper's form) β₂, optax 1 − β₂")

    equation = (
        "d = g − g₋,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) d,  n ← β₃ n + (1 − β₃)(g + w d)²,  "
        "x ← x − lr·(m̂ + w v̂) / (√(n̂ + ε_root) + ε),  w = β₂ (optax: 1 − β₂)"
    )
    source = "Xie, Zhou, Li, Lin & Yan (2022), arXiv 2208.06677, algorithm 1; in its dialect agrees with optax.adan"

    def init(self, x: Array) -> Differences:
        zeros, ones = np.zeros_like(x), per_lane(1.0, x)
        return Differences(zeros, zeros, zeros, zeros, ones, ones, ones)

    def step(self, state: Differences, g: Array, here: Here) -> tuple[Array, Differences]:
        d = np.where(here.t == 1, 0.0, g - state.g)
        weight = self.beta2 if self.dialect == "pytorch" else 1 - self.beta2
        mixed = g + weight * d
        m = self.beta1 * state.m + (1 - self.beta1) * g
        v = self.beta2 * state.v + (1 - self.beta2) * d
        n = self.beta3 * state.n + (1 - self.beta3) * mixed * mixed
        beta1_power = self.beta1 * state.beta1_power
        beta2_power = self.beta2 * state.beta2_power
        beta3_power = self.beta3 * state.beta3_power
        numerator = m / (1 - beta1_power) + weight * (v / (1 - beta2_power))
        velocity = numerator / (np.sqrt(n / (1 - beta3_power) + self.eps_root) + self.eps)
        velocity = decayed(velocity, here.x, self.weight_decay)
        return velocity, Differences(m, v, n, g, beta1_power, beta2_power, beta3_power)
