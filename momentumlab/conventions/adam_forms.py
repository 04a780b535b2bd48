"""Conventions of Adam, AdamW and RMSprop: where ε is added, which averages are corrected, how weights decay.

All of them are special cases of one rule,

    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   x ← x − lr·m̂ / (√(v̂ + ε_root) + ε)  or  x − lrₜ·m / (√v + ε̂),

where m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ) if averages are corrected, and lrₜ = lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ). The form with ε̂
is the one at the end of section 2 of Kingma & Ba (2015), arXiv 1412.6980: there ε is ε̂/√(1 − β₂ᵗ). Weight decay w is
coupled if w·x is added to the gradient, and decoupled if x is multiplied by 1 − lr·w.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from momentumlab.conventions.base import Convention, Obstacle, convention, lr_parameter, rounded
from momentumlab.parameters import Array, parameter

PLACES = {
    "eps": "to the root of the corrected average",
    "eps_root": "inside the root",
    "eps_hat": "to the root of the average before its correction",
}
"""Where each constant of an `AdaptiveRule` is added."""


class Decay(Enum):
    """How a library decays the weights."""

    NONE = "no weight decay"
    COUPLED = "weight decay added to the gradient"
    DECOUPLED = "decoupled weight decay"


@dataclass(frozen=True, kw_only=True)
class AdaptiveRule:
    """The parameters of the rule; unused constants ε are 0.

    Attributes
    ----------
    eps, eps_root, eps_hat
        The constants at each of the `PLACES`.
    corrects
        Whether averages are divided by 1 − βᵗ.
    """

    lr: float
    beta1: float = 0.0
    beta2: float
    eps: float = 0.0
    eps_root: float = 0.0
    eps_hat: float = 0.0
    corrects: bool
    weight_decay: float = 0.0
    decay: Decay = Decay.NONE

    @property
    def damping(self) -> float:
        """The constant that is added to the root in the long run, where gradients vanish."""
        return math.sqrt(self.eps_root) + self.eps + self.eps_hat

    @property
    def places(self) -> frozenset[str]:
        """The `PLACES` where a constant is added."""
        return frozenset(place for place in PLACES if getattr(self, place) > 0)

    def obstacles(self, found: "AdaptiveRule") -> tuple[Obstacle, ...]:
        """Return why the path of a rule with the same lr and β₂ differs."""
        # Without memory, 1 − β₂ᵗ is 1, and ε̂ is ε.
        ours, theirs = (
            (rule.eps + rule.eps_hat, rule.eps_root) if rule.beta2 == 0 else (rule.eps, rule.eps_hat, rule.eps_root)
            for rule in (self, found)
        )
        has_memory = max(self.beta1, self.beta2) > 0
        known = {
            Obstacle.AVERAGE: self.beta1 != found.beta1,
            Obstacle.CORRECTION: self.corrects != found.corrects and has_memory,
            Obstacle.EPS: ours != theirs,
            Obstacle.DECAY: (self.weight_decay, self.decay) != (found.weight_decay, found.decay),
        }
        return tuple(obstacle for obstacle, applies in known.items() if applies)

    def depends_on_lr_as(self, found: "AdaptiveRule") -> bool:
        """Return true: every adaptive convention multiplies the whole step by the current lr."""
        return True


class Averages(NamedTuple):
    """The state of an adaptive convention: the point, and the averages of gradients and of their squares."""

    x: Array
    m: Array
    v: Array


def beta1_parameter() -> float:
    """Declare the decay of the average of gradients."""
    value: float = parameter(0.9, ge=0, le=0.999999, aliases=("b1", "beta_1"), doc="decay of the average of gradients")
    return value


def beta2_parameter(default: float) -> float:
    """Declare the decay of the average of squared gradients."""
    aliases = ("b2", "beta_2", "alpha", "rho", "decay")
    value: float = parameter(default, ge=0, le=0.999999, aliases=aliases, doc="decay of the average of g²")
    return value


def eps_parameter(default: float) -> float:
    """Declare ε."""
    value: float = parameter(default, gt=0, aliases=("epsilon",), doc="keeps the division finite")
    return value


def decay_parameter(default: float = 0.0) -> float:
    """Declare the strength of weight decay."""
    value: float = parameter(default, ge=0, aliases=("wd",), doc="strength of weight decay")
    return value


@dataclass(frozen=True, kw_only=True)
class AdaptiveConvention(Convention):
    """A convention of Adam or RMSprop.

    `form` and `nearest` are derived from the declared hyperparameters: without ``beta1`` gradients are not averaged;
    ``bias_correction`` replaces the attribute ``corrects``; ``eps_in_sqrt`` selects one of the places in ``constants``.

    Attributes
    ----------
    corrects
        Whether averages are corrected, unless there is a hyperparameter ``bias_correction``.
    constants
        For each of the `PLACES` where the convention adds a constant, its hyperparameter.
    decay
        How weights are decayed.
    """

    lr: float = lr_parameter(0.001)
    beta2: float = beta2_parameter(0.999)
    eps: float = eps_parameter(1e-8)

    corrects: ClassVar[bool] = True
    constants: ClassVar[dict[str, str]] = {"eps": "eps"}
    decay: ClassVar[Decay] = Decay.NONE

    @property
    def form(self) -> AdaptiveRule:
        """The convention as a case of the general rule."""
        values: dict[str, Any] = self.values
        constants = {place: values[name] for place, name in self.constants.items()}
        if "eps_in_sqrt" in values:
            constants["eps" if values["eps_in_sqrt"] else "eps_root"] = 0.0
        return AdaptiveRule(
            lr=self.lr,
            beta1=values.get("beta1", 0.0),
            beta2=self.beta2,
            corrects=values.get("bias_correction", self.corrects),
            weight_decay=values.get("weight_decay", 0.0),
            decay=self.decay if values.get("weight_decay") else Decay.NONE,
            **constants,
        )

    @classmethod
    def nearest(cls, wanted: AdaptiveRule) -> Self:
        """Return this convention with the hyperparameters of a rule, as far as it has them.

        If it cannot add ε in the same places, it has one constant with the same `AdaptiveRule.damping`.
        """
        constants = {place: getattr(wanted, place) for place in PLACES}
        # Several constants need a hyperparameter each: RMSprop of optax has one ε for two places.
        is_combinable = len(set(cls.constants.values())) == len(cls.constants)
        if not wanted.places <= set(cls.constants) or (len(wanted.places) > 1 and not is_combinable):
            # Use the first place that is supported. Inside the root, a constant c has the damping √c.
            place = next(place for place in PLACES if place in cls.constants)
            damping = rounded(wanted.damping)
            constants = dict.fromkeys(PLACES, 0.0) | {place: rounded(damping**2) if place == "eps_root" else damping}
        known: dict[str, Any] = {
            "lr": wanted.lr,
            "beta1": wanted.beta1,
            "beta2": wanted.beta2,
            "weight_decay": wanted.weight_decay if wanted.decay is cls.decay else 0.0,
            "bias_correction": wanted.corrects,
            "eps_in_sqrt": constants["eps"] == 0,
        }
        # Places that share a hyperparameter: at most one of them has a constant, so the sum is that constant.
        for place, name in cls.constants.items():
            known[name] = known.get(name, 0.0) + constants[place]
        return cls(**{parameter.name: known[parameter.name] for parameter in cls.parameters()})

    def begin(self, x: Array) -> Averages:
        """Return the initial state: averages of zero."""
        return Averages(x, np.zeros_like(x), np.zeros_like(x))


def _averaged(state: Averages, g: Array, beta1: float, beta2: float) -> Averages:
    """Update both averages with a gradient."""
    return Averages(state.x, beta1 * state.m + (1 - beta1) * g, beta2 * state.v + (1 - beta2) * g * g)


# PyTorch and momentumlab


@convention("torch_adam", aliases=("pytorch_adam", "momentumlab_adam"))
@dataclass(frozen=True, kw_only=True)
class TorchAdam(AdaptiveConvention):
    """Adam in PyTorch, also momentumlab's adam: ε is added to √v̂, weight decay to the gradient."""

    beta1: float = beta1_parameter()
    weight_decay: float = decay_parameter()

    plain = "g ← g + w x,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√v̂ + ε)"
    users = "torch.optim.Adam; momentumlab's adam"
    source = "the documentation and source of torch.optim.Adam, version 2.13"
    decay = Decay.COUPLED
    library_call = (
        "torch.optim.Adam(params, lr={lr!r}, betas=({beta1!r}, {beta2!r}), eps={eps!r}, weight_decay={weight_decay!r})"
    )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g + self.weight_decay * state.x, self.beta1, self.beta2)
        denominator = np.sqrt(v) / math.sqrt(1 - self.beta2**t) + self.eps
        return Averages(x - lr / (1 - self.beta1**t) * m / denominator, m, v)


@convention("torch_adamw", aliases=("pytorch_adamw", "momentumlab_adamw"))
@dataclass(frozen=True, kw_only=True)
class TorchAdamW(AdaptiveConvention):
    """AdamW in PyTorch, also momentumlab's adamw: as Adam, but x is multiplied by 1 − lr·w first."""

    beta1: float = beta1_parameter()
    weight_decay: float = decay_parameter(0.01)

    plain = "x ← x − lr·w x,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√v̂ + ε)"
    users = "torch.optim.AdamW; momentumlab's adamw"
    source = "the documentation and source of torch.optim.AdamW, version 2.13"
    decay = Decay.DECOUPLED
    library_call = (
        "torch.optim.AdamW(params, lr={lr!r}, betas=({beta1!r}, {beta2!r}), eps={eps!r}, weight_decay={weight_decay!r})"
    )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        denominator = np.sqrt(v) / math.sqrt(1 - self.beta2**t) + self.eps
        return Averages(x * (1 - lr * self.weight_decay) - lr / (1 - self.beta1**t) * m / denominator, m, v)


@convention("torch_rmsprop", aliases=("pytorch_rmsprop", "momentumlab_rmsprop"))
@dataclass(frozen=True, kw_only=True)
class TorchRMSprop(AdaptiveConvention):
    """RMSprop in PyTorch, also momentumlab's rmsprop: ε outside the root, no correction, without momentum."""

    lr: float = lr_parameter(0.01)
    beta2: float = beta2_parameter(0.99)
    weight_decay: float = decay_parameter()

    plain = "g ← g + w x,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·g / (√v + ε)"
    users = "torch.optim.RMSprop; momentumlab's rmsprop"
    source = "the documentation and source of torch.optim.RMSprop, version 2.13"
    corrects = False
    decay = Decay.COUPLED
    library_call = "torch.optim.RMSprop(params, lr={lr!r}, alpha={beta2!r}, eps={eps!r}, weight_decay={weight_decay!r})"

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        g = g + self.weight_decay * state.x
        x, m, v = _averaged(state, g, 0.0, self.beta2)
        return Averages(x - lr * g / (np.sqrt(v) + self.eps), m, v)


# Optax


@convention("optax_adam")
@dataclass(frozen=True, kw_only=True)
class OptaxAdam(AdaptiveConvention):
    """Adam in optax: a constant outside and one inside the root, without weight decay."""

    beta1: float = beta1_parameter()
    eps: float = parameter(1e-8, ge=0, aliases=("epsilon",), doc="ε outside the root")
    eps_root: float = parameter(0.0, ge=0, doc="ε inside the root")

    plain = "m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√(v̂ + ε_root) + ε)"
    users = "optax.adam"
    source = "the documentation and source of optax.adam and optax.adamw, version 0.2.8"
    constants: ClassVar[dict[str, str]] = {"eps": "eps", "eps_root": "eps_root"}
    library_call = "optax.adam(learning_rate={lr!r}, b1={beta1!r}, b2={beta2!r}, eps={eps!r}, eps_root={eps_root!r})"

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        return Averages(x - lr * self._update(m, v, t), m, v)

    def _update(self, m: Array, v: Array, t: int) -> Array:
        update: Array = m / (1 - self.beta1**t) / (np.sqrt(v / (1 - self.beta2**t) + self.eps_root) + self.eps)
        return update


@convention("optax_adamw")
@dataclass(frozen=True, kw_only=True)
class OptaxAdamW(OptaxAdam):
    """AdamW in optax: as its Adam, with w x added to the update."""

    weight_decay: float = decay_parameter(1e-4)

    plain = "m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·(m̂ / (√(v̂ + ε_root) + ε) + w x)"
    users = "optax.adamw"
    decay = Decay.DECOUPLED
    library_call = (
        "optax.adamw(learning_rate={lr!r}, b1={beta1!r}, b2={beta2!r}, eps={eps!r}, eps_root={eps_root!r}, "
        "weight_decay={weight_decay!r})"
    )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        return Averages(x - lr * (self._update(m, v, t) + self.weight_decay * x), m, v)


@convention("optax_rmsprop")
@dataclass(frozen=True, kw_only=True)
class OptaxRMSprop(AdaptiveConvention):
    """RMSprop in optax: ε inside the root by default, correction on request, without momentum."""

    beta2: float = beta2_parameter(0.9)
    eps_in_sqrt: bool = parameter(True, doc="ε inside the root")
    bias_correction: bool = parameter(False, doc="divides v by 1 − β₂ᵗ")

    plain = "v ← β₂ v + (1 − β₂) g²,  x ← x − lr·g / √(v + ε);  or √v + ε, or v̂ for v"
    users = "optax.rmsprop"
    source = "the documentation and source of optax.rmsprop, version 0.2.8"
    constants: ClassVar[dict[str, str]] = {"eps": "eps", "eps_root": "eps"}
    library_call = (
        "optax.rmsprop(learning_rate={lr!r}, decay={beta2!r}, eps={eps!r}, eps_in_sqrt={eps_in_sqrt!r}, "
        "bias_correction={bias_correction!r})"
    )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g, 0.0, self.beta2)
        corrected = v / (1 - self.beta2**t) if self.bias_correction else v
        root = np.sqrt(corrected + self.eps) if self.eps_in_sqrt else np.sqrt(corrected) + self.eps
        return Averages(x - lr * g / root, m, v)


# Keras


@convention("keras_adam", aliases=("tf2_adam",))
@dataclass(frozen=True, kw_only=True)
class KerasAdam(AdaptiveConvention):
    """Adam in Keras: the form with ε̂, which is added before v is corrected; weight decay is decoupled."""

    eps: float = eps_parameter(1e-7)
    beta1: float = beta1_parameter()
    weight_decay: float = decay_parameter()

    plain = (
        "x ← x − lr·w x,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m / (√v + ε̂)"
    )
    users = "keras.optimizers.Adam, keras.optimizers.AdamW"
    source = "the documentation and source of keras.optimizers.Adam, version 3.15"
    constants: ClassVar[dict[str, str]] = {"eps_hat": "eps"}
    decay = Decay.DECOUPLED
    library_call = (
        "keras.optimizers.Adam(learning_rate={lr!r}, beta_1={beta1!r}, beta_2={beta2!r}, epsilon={eps!r}, "
        "weight_decay?={weight_decay!r})"
    )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        alpha = lr * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        return Averages(x - x * self.weight_decay * lr - m * alpha / (np.sqrt(v) + self.eps), m, v)


@convention("keras_adamw", aliases=("tf2_adamw",))
@dataclass(frozen=True, kw_only=True)
class KerasAdamW(KerasAdam):
    """AdamW in Keras: its Adam with another default of the weight decay."""

    weight_decay: float = decay_parameter(0.004)

    users = "keras.optimizers.AdamW"
    # A weight decay of 0 is not left out, because the default of Keras is not 0.
    library_call = (
        "keras.optimizers.AdamW(learning_rate={lr!r}, weight_decay={weight_decay!r}, beta_1={beta1!r}, "
        "beta_2={beta2!r}, epsilon={eps!r})"
    )


@convention("keras_rmsprop", aliases=("tf2_rmsprop",))
@dataclass(frozen=True, kw_only=True)
class KerasRMSprop(AdaptiveConvention):
    """RMSprop in Keras: ε inside the root, no correction, decoupled weight decay, without momentum."""

    beta2: float = beta2_parameter(0.9)
    eps: float = eps_parameter(1e-7)
    weight_decay: float = decay_parameter()

    plain = "x ← x − lr·w x,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·g / √(v + ε)"
    users = "keras.optimizers.RMSprop"
    source = "the documentation and source of keras.optimizers.RMSprop, version 3.15"
    corrects = False
    constants: ClassVar[dict[str, str]] = {"eps_root": "eps"}
    decay = Decay.DECOUPLED
    library_call = (
        "keras.optimizers.RMSprop(learning_rate={lr!r}, rho={beta2!r}, epsilon={eps!r}, weight_decay?={weight_decay!r})"
    )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        x, m, v = _averaged(state, g, 0.0, self.beta2)
        return Averages(x - x * self.weight_decay * lr - lr * g / np.sqrt(v + self.eps), m, v)
