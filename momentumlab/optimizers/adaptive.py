"""The adaptive family: every coordinate has a scale of its own, learnt from its squared gradients."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.catalogue import Array, Real, parameter
from momentumlab.optimizers.base import Optimizer, optimizer


class SquaredGradients(NamedTuple):
    """The state of a method that keeps a sum or an average of squared gradients."""

    h: Array


class Moments(NamedTuple):
    """Adam's state: the two moments, and the powers β₁ᵗ and β₂ᵗ of their bias corrections."""

    m: Array
    v: Array
    beta1_power: Array
    beta2_power: Array


@optimizer("adagrad", lr=1e-2)
@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer[SquaredGradients]):
    """AdaGrad: steps shrink with the root of the sum of all squared gradients.

    ε is added outside the root, as in PyTorch (optax puts it inside).
    """

    eps: Real = parameter(1e-10, gt=0, doc="keeps the division finite; added to the root")

    equation = "h ← h + g²,  x ← x − lr·g / (√h + ε)"
    source = "Duchi, Hazan & Singer (2011), JMLR 12; agrees with torch.optim.Adagrad"

    def init(self, x: Array) -> SquaredGradients:
        return SquaredGradients(np.zeros_like(x))

    def step(self, state: SquaredGradients, g: Array, x: Array, t: int) -> tuple[Array, SquaredGradients]:
        h = state.h + g * g
        return g / (np.sqrt(h) + self.eps), SquaredGradients(h)


@optimizer("rmsprop", lr=1e-2)
@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer[SquaredGradients]):
    """RMSprop: steps are divided by the root of a running average of squared gradients.

    PyTorch's form: ε outside the root, and the average starts at zero without a correction, so that the first steps
    are longer by 1/√(1 − α).
    """

    alpha: Real = parameter(0.99, ge=0, lt=1, doc="decay of the average of squared gradients")
    eps: Real = parameter(1e-8, gt=0, doc="keeps the division finite; added to the root")

    equation = "h ← α h + (1 − α) g²,  x ← x − lr·g / (√h + ε)"
    source = "Tieleman & Hinton (2012), Coursera lecture 6.5; agrees with torch.optim.RMSprop"

    def init(self, x: Array) -> SquaredGradients:
        return SquaredGradients(np.zeros_like(x))

    def step(self, state: SquaredGradients, g: Array, x: Array, t: int) -> tuple[Array, SquaredGradients]:
        h = self.alpha * state.h + (1 - self.alpha) * g * g
        return g / (np.sqrt(h) + self.eps), SquaredGradients(h)


@optimizer("adam", lr=1e-3)
@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer[Moments]):
    """Adam: momentum as an average, divided by the root of an average of squared gradients, both bias-corrected.

    ε is added to the root of the corrected second moment, as in the paper's Algorithm 1, PyTorch and optax. (The
    paper's faster variant adds it to the root of the uncorrected one, where the same ε weighs 1/√(1 − β₂ᵗ) more.)
    """

    beta1: Real = parameter(0.9, ge=0, lt=1, aliases=("b1",), doc="decay of the average of gradients")
    beta2: Real = parameter(0.999, ge=0, lt=1, aliases=("b2",), doc="decay of the average of squared gradients")
    eps: Real = parameter(1e-8, gt=0, doc="keeps the division finite; added to the corrected root")

    equation = "m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√v̂ + ε)  with  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)"  # noqa: E501
    source = "Kingma & Ba (2015), arXiv 1412.6980; agrees with torch.optim.Adam and optax.adam"

    def init(self, x: Array) -> Moments:
        ones = np.ones(x.shape[1])
        return Moments(np.zeros_like(x), np.zeros_like(x), ones, ones)

    def step(self, state: Moments, g: Array, x: Array, t: int) -> tuple[Array, Moments]:
        m = self.beta1 * state.m + (1 - self.beta1) * g
        v = self.beta2 * state.v + (1 - self.beta2) * g * g
        # A running product: a power costs far more, and rounds differently from lane to lane.
        beta1_power, beta2_power = state.beta1_power * self.beta1, state.beta2_power * self.beta2
        root = np.sqrt(v / (1 - beta2_power)) + self.eps
        return m / (1 - beta1_power) / root, Moments(m, v, beta1_power, beta2_power)
