"""Conventions of Adam, AdamW and RMSprop: where ε is added, which averages are corrected, how weights decay.

All of them are special cases of one rule,

    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   x ← x − lr·m̂ / (√(v̂ + ε_root) + ε)  or  x − lrₜ·m / (√v + ε̂),

where m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ) if averages are corrected, and lrₜ = lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ). The form with ε̂
is the one at the end of section 2 of Kingma & Ba (2015), arXiv 1412.6980: there ε is ε̂/√(1 − β₂ᵗ). Weight decay w is
coupled if w·x is added to the gradient, and decoupled if x is multiplied by 1 − lr·w.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from momentumlab.conventions.base import Convention, convention
from momentumlab.registry import Array, parameter


class Decay(Enum):
    """How a library decays the weights."""

    NONE = "no weight decay"
    COUPLED = "weight decay added to the gradient"
    DECOUPLED = "decoupled weight decay"


class Place(Enum):
    """Where a library adds ε."""

    OUTSIDE = "to the root of the corrected average"
    INSIDE = "inside the root"
    UNCORRECTED = "to the root of the average before its correction"


@dataclass(frozen=True, kw_only=True)
class AdaptiveRule:
    """The parameters of the rule; unused constants ε are 0.

    Attributes
    ----------
    eps, eps_root, eps_hat
        The constants at each `Place`.
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
    def places(self) -> frozenset[Place]:
        """Where a constant is added."""
        constants = {Place.OUTSIDE: self.eps, Place.INSIDE: self.eps_root, Place.UNCORRECTED: self.eps_hat}
        return frozenset(place for place, value in constants.items() if value > 0)


class Averages(NamedTuple):
    """The state of an adaptive convention: the point, and the averages of gradients and of their squares."""

    x: Array
    m: Array
    v: Array


@dataclass(frozen=True, kw_only=True)
class Adaptive(Convention[Averages]):
    """A way to write Adam or RMSprop; its step follows the source literally, and its `rule` is derived by hand.

    Attributes
    ----------
    averages_gradients
        Whether it has β₁.
    corrections
        Which choices of bias correction it has.
    places, combines_places
        Where it can add ε, and whether in several places at once.
    decay
        How it decays weights.
    """

    lr: float = parameter(0.001, ge=1e-30, le=1e30, aliases=("learning_rate",), doc="learning rate")
    beta2: float = parameter(
        0.999, ge=0, le=0.999999, aliases=("b2", "beta_2", "alpha", "rho", "decay"), doc="decay of the average of g²"
    )
    eps: float = parameter(1e-8, gt=0, aliases=("epsilon",), doc="keeps the division finite")

    averages_gradients: ClassVar[bool] = True
    corrections: ClassVar[tuple[bool, ...]] = (True,)
    places: ClassVar[frozenset[Place]] = frozenset({Place.OUTSIDE})
    combines_places: ClassVar[bool] = False
    decay: ClassVar[Decay] = Decay.NONE

    @property
    def rule(self) -> AdaptiveRule:
        """Its parameters as those of the general rule."""
        values: dict[str, Any] = self.values
        return AdaptiveRule(
            lr=self.lr,
            beta1=values.get("beta1", 0.0),
            beta2=self.beta2,
            corrects=values.get("bias_correction", self.corrections[0]),
            weight_decay=values.get("weight_decay", 0.0),
            decay=self.decay if values.get("weight_decay") else Decay.NONE,
            **self._constants,
        )

    @property
    def _constants(self) -> dict[str, float]:
        """The constants ε of the rule."""
        return {"eps": self.eps}

    @classmethod
    def fitted(cls, wanted: AdaptiveRule) -> AdaptiveRule:
        """Return the nearest rule that the convention can express.

        β₁ and weight decay are left out if it has none or another kind, and ε becomes the constant with the same
        `AdaptiveRule.damping`.
        """
        found = wanted
        if wanted.beta1 > 0 and not cls.averages_gradients:
            found = replace(found, beta1=0.0)
        if wanted.corrects not in cls.corrections:
            found = replace(found, corrects=cls.corrections[0])
        if wanted.weight_decay > 0 and wanted.decay is not cls.decay:
            found = replace(found, weight_decay=0.0, decay=Decay.NONE)
        if not wanted.places <= cls.places or (len(wanted.places) > 1 and not cls.combines_places):
            constants: dict[str, Any] = {"eps": 0.0, "eps_root": 0.0, "eps_hat": 0.0}
            damping = float(f"{wanted.damping:.15g}")
            if Place.OUTSIDE in cls.places:
                constants["eps"] = damping
            elif Place.INSIDE in cls.places:
                constants["eps_root"] = float(f"{damping**2:.15g}")
            else:
                constants["eps_hat"] = damping
            found = replace(found, **constants)
        return found

    @classmethod
    def of(cls, rule: AdaptiveRule) -> Self:
        """Return the hyperparameters of a rule that the convention can express."""
        known = {
            "lr": rule.lr,
            "beta1": rule.beta1,
            "beta2": rule.beta2,
            "weight_decay": rule.weight_decay,
            "bias_correction": rule.corrects,
            **cls._constants_of(rule),
        }
        names = {parameter.name for parameter in cls.parameters()}
        return cls(**{name: value for name, value in known.items() if name in names})

    @classmethod
    def _constants_of(cls, rule: AdaptiveRule) -> dict[str, Any]:
        """Return the hyperparameters of the constants ε."""
        return {"eps": rule.eps}

    def begin(self, x: Array) -> Averages:
        """Return the initial state."""
        return Averages(x, np.zeros_like(x), np.zeros_like(x))

    def stores(self, state: Averages) -> Array:
        """Return the parameters that its users see."""
        return state.x


def beta1_parameter() -> float:
    """The decay of the average of gradients."""
    value: float = parameter(0.9, ge=0, le=0.999999, aliases=("b1", "beta_1"), doc="decay of the average of gradients")
    return value


def decay_parameter(default: float = 0.0) -> float:
    """The strength of weight decay."""
    value: float = parameter(default, ge=0, aliases=("wd",), doc="strength of weight decay")
    return value


def root_parameter() -> float:
    """Optax's ε inside the root."""
    value: float = parameter(0.0, ge=0, doc="ε inside the root")
    return value


def _averaged(state: Averages, g: Array, beta1: float, beta2: float) -> Averages:
    return Averages(state.x, beta1 * state.m + (1 - beta1) * g, beta2 * state.v + (1 - beta2) * g * g)


# PyTorch and momentumlab


@convention("torch_adam", aliases=("pytorch_adam", "momentumlab_adam"))
@dataclass(frozen=True, kw_only=True)
class TorchAdam(Adaptive):
    """Adam in PyTorch, also momentumlab's adam: ε is added to √v̂, weight decay to the gradient."""

    beta1: float = beta1_parameter()
    weight_decay: float = decay_parameter()

    plain = "g ← g + w x,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√v̂ + ε)"
    users = "torch.optim.Adam; momentumlab's adam"
    source = "the documentation and source of torch.optim.Adam, version 2.13"
    decay = Decay.COUPLED

    @property
    def call(self) -> str:
        """The call of its library."""
        return _torch_call("Adam", f"betas=({self.beta1!r}, {self.beta2!r})", self)

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g + self.weight_decay * state.x, self.beta1, self.beta2)
        denominator = np.sqrt(v) / math.sqrt(1 - self.beta2**t) + self.eps
        return Averages(x - lr / (1 - self.beta1**t) * m / denominator, m, v)


@convention("torch_adamw", aliases=("pytorch_adamw", "momentumlab_adamw"))
@dataclass(frozen=True, kw_only=True)
class TorchAdamW(Adaptive):
    """AdamW in PyTorch, also momentumlab's adamw: as Adam, but x is multiplied by 1 − lr·w first."""

    beta1: float = beta1_parameter()
    weight_decay: float = decay_parameter(0.01)

    plain = "x ← x − lr·w x,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√v̂ + ε)"
    users = "torch.optim.AdamW; momentumlab's adamw"
    source = "the documentation and source of torch.optim.AdamW, version 2.13"
    decay = Decay.DECOUPLED

    @property
    def call(self) -> str:
        """The call of its library."""
        return _torch_call("AdamW", f"betas=({self.beta1!r}, {self.beta2!r})", self)

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        denominator = np.sqrt(v) / math.sqrt(1 - self.beta2**t) + self.eps
        return Averages(x * (1 - lr * self.weight_decay) - lr / (1 - self.beta1**t) * m / denominator, m, v)


@convention("torch_rmsprop", aliases=("pytorch_rmsprop", "momentumlab_rmsprop"))
@dataclass(frozen=True, kw_only=True)
class TorchRMSprop(Adaptive):
    """RMSprop in PyTorch, also momentumlab's rmsprop: ε outside the root, no correction, without momentum."""

    lr: float = parameter(0.01, ge=1e-30, le=1e30, aliases=("learning_rate",), doc="learning rate")
    beta2: float = parameter(
        0.99, ge=0, le=0.999999, aliases=("b2", "beta_2", "alpha", "rho", "decay"), doc="decay of the average of g²"
    )
    weight_decay: float = decay_parameter()

    plain = "g ← g + w x,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·g / (√v + ε)"
    users = "torch.optim.RMSprop; momentumlab's rmsprop"
    source = "the documentation and source of torch.optim.RMSprop, version 2.13"
    averages_gradients = False
    corrections = (False,)
    decay = Decay.COUPLED

    @property
    def call(self) -> str:
        """The call of its library."""
        return _torch_call("RMSprop", f"alpha={self.beta2!r}", self)

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        g = g + self.weight_decay * state.x
        x, m, v = _averaged(state, g, 0.0, self.beta2)
        return Averages(x - lr * g / (np.sqrt(v) + self.eps), m, v)


def _torch_call(name: str, betas: str, one: Any) -> str:
    return f"torch.optim.{name}(params, lr={one.lr!r}, {betas}, eps={one.eps!r}, weight_decay={one.weight_decay!r})"


# Optax


@dataclass(frozen=True, kw_only=True)
class _OptaxAdam(Adaptive):
    """What adam and adamw of optax share: a constant outside and one inside the root."""

    beta1: float = beta1_parameter()
    eps: float = parameter(1e-8, ge=0, aliases=("epsilon",), doc="ε outside the root")
    eps_root: float = root_parameter()

    source = "the documentation and source of optax.adam and optax.adamw, version 0.2.8"
    places = frozenset({Place.OUTSIDE, Place.INSIDE})
    combines_places = True

    @property
    def _constants(self) -> dict[str, float]:
        return {"eps": self.eps, "eps_root": self.eps_root}

    @classmethod
    def _constants_of(cls, rule: AdaptiveRule) -> dict[str, Any]:
        return {"eps": rule.eps, "eps_root": rule.eps_root}

    def _arguments(self) -> str:
        return (
            f"learning_rate={self.lr!r}, b1={self.beta1!r}, b2={self.beta2!r}, eps={self.eps!r}, "
            f"eps_root={self.eps_root!r}"
        )

    def _update(self, m: Array, v: Array, t: int) -> Array:
        update: Array = m / (1 - self.beta1**t) / (np.sqrt(v / (1 - self.beta2**t) + self.eps_root) + self.eps)
        return update


@convention("optax_adam")
@dataclass(frozen=True, kw_only=True)
class OptaxAdam(_OptaxAdam):
    """Adam in optax: a constant outside and one inside the root, without weight decay."""

    plain = "m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·m̂ / (√(v̂ + ε_root) + ε)"
    users = "optax.adam"

    @property
    def call(self) -> str:
        """The call of its library."""
        return f"optax.adam({self._arguments()})"

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        return Averages(x - lr * self._update(m, v, t), m, v)


@convention("optax_adamw")
@dataclass(frozen=True, kw_only=True)
class OptaxAdamW(_OptaxAdam):
    """AdamW in optax: as its Adam, with w x added to the update."""

    weight_decay: float = decay_parameter(1e-4)

    plain = "m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·(m̂ / (√(v̂ + ε_root) + ε) + w x)"
    users = "optax.adamw"
    decay = Decay.DECOUPLED

    @property
    def call(self) -> str:
        """The call of its library."""
        return f"optax.adamw({self._arguments()}, weight_decay={self.weight_decay!r})"

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        return Averages(x - lr * (self._update(m, v, t) + self.weight_decay * x), m, v)


@convention("optax_rmsprop")
@dataclass(frozen=True, kw_only=True)
class OptaxRMSprop(Adaptive):
    """RMSprop in optax: ε inside the root by default, correction on request, without momentum."""

    beta2: float = parameter(
        0.9, ge=0, le=0.999999, aliases=("b2", "beta_2", "alpha", "rho", "decay"), doc="decay of the average of g²"
    )
    eps_in_sqrt: bool = parameter(True, doc="ε inside the root")
    bias_correction: bool = parameter(False, doc="divides v by 1 − β₂ᵗ")

    plain = "v ← β₂ v + (1 − β₂) g²,  x ← x − lr·g / √(v + ε);  or √v + ε, or v̂ for v"
    users = "optax.rmsprop"
    source = "the documentation and source of optax.rmsprop, version 0.2.8"
    averages_gradients = False
    corrections = (False, True)
    places = frozenset({Place.OUTSIDE, Place.INSIDE})

    @property
    def _constants(self) -> dict[str, float]:
        return {"eps_root" if self.eps_in_sqrt else "eps": self.eps}

    @classmethod
    def _constants_of(cls, rule: AdaptiveRule) -> dict[str, Any]:
        return {"eps": rule.eps or rule.eps_root, "eps_in_sqrt": rule.eps == 0}

    @property
    def call(self) -> str:
        """The call of its library."""
        return (
            f"optax.rmsprop(learning_rate={self.lr!r}, decay={self.beta2!r}, eps={self.eps!r}, "
            f"eps_in_sqrt={self.eps_in_sqrt}, bias_correction={self.bias_correction})"
        )

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g, 0.0, self.beta2)
        corrected = v / (1 - self.beta2**t) if self.bias_correction else v
        root = np.sqrt(corrected + self.eps) if self.eps_in_sqrt else np.sqrt(corrected) + self.eps
        return Averages(x - lr * g / root, m, v)


# Keras


@dataclass(frozen=True, kw_only=True)
class _Keras(Adaptive):
    """What the optimizers of Keras share: ε of 1e-7, and decoupled weight decay."""

    eps: float = parameter(1e-7, gt=0, aliases=("epsilon",), doc="keeps the division finite")

    decay = Decay.DECOUPLED

    def _call(self, name: str, betas: str) -> str:
        decay = f", weight_decay={self.values['weight_decay']!r}" if self.values["weight_decay"] else ""
        return f"keras.optimizers.{name}(learning_rate={self.lr!r}, {betas}, epsilon={self.eps!r}{decay})"


@convention("keras_adam", aliases=("tf2_adam",))
@dataclass(frozen=True, kw_only=True)
class KerasAdam(_Keras):
    """Adam in Keras: the form with ε̂, which is added before v is corrected; weight decay is decoupled."""

    beta1: float = beta1_parameter()
    weight_decay: float = decay_parameter()

    plain = (
        "x ← x − lr·w x,  m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m / (√v + ε̂)"
    )
    users = "keras.optimizers.Adam, keras.optimizers.AdamW"
    source = "the documentation and source of keras.optimizers.Adam, version 3.15"
    places = frozenset({Place.UNCORRECTED})

    @property
    def _constants(self) -> dict[str, float]:
        return {"eps_hat": self.eps}

    @classmethod
    def _constants_of(cls, rule: AdaptiveRule) -> dict[str, Any]:
        return {"eps": rule.eps_hat}

    @property
    def call(self) -> str:
        """The call of its library."""
        return self._call("Adam", f"beta_1={self.beta1!r}, beta_2={self.beta2!r}")

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g, self.beta1, self.beta2)
        alpha = lr * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        return Averages(x - x * self.weight_decay * lr - m * alpha / (np.sqrt(v) + self.eps), m, v)


@convention("keras_adamw", aliases=("tf2_adamw",))
@dataclass(frozen=True, kw_only=True)
class KerasAdamW(KerasAdam):
    """AdamW in Keras: its Adam with another default of the weight decay."""

    weight_decay: float = decay_parameter(0.004)

    users = "keras.optimizers.AdamW"

    @property
    def call(self) -> str:
        """The call of its library; an omitted weight decay would be its default."""
        betas = f"beta_1={self.beta1!r}, beta_2={self.beta2!r}"
        return (
            f"keras.optimizers.AdamW(learning_rate={self.lr!r}, weight_decay={self.weight_decay!r}, {betas}, "
            f"epsilon={self.eps!r})"
        )


@convention("keras_rmsprop", aliases=("tf2_rmsprop",))
@dataclass(frozen=True, kw_only=True)
class KerasRMSprop(_Keras):
    """RMSprop in Keras: ε inside the root, no correction, decoupled weight decay, without momentum."""

    beta2: float = parameter(
        0.9, ge=0, le=0.999999, aliases=("b2", "beta_2", "alpha", "rho", "decay"), doc="decay of the average of g²"
    )
    weight_decay: float = decay_parameter()

    plain = "x ← x − lr·w x,  v ← β₂ v + (1 − β₂) g²,  x ← x − lr·g / √(v + ε)"
    users = "keras.optimizers.RMSprop"
    source = "the documentation and source of keras.optimizers.RMSprop, version 3.15"
    averages_gradients = False
    corrections = (False,)
    places = frozenset({Place.INSIDE})

    @property
    def _constants(self) -> dict[str, float]:
        return {"eps_root": self.eps}

    @classmethod
    def _constants_of(cls, rule: AdaptiveRule) -> dict[str, Any]:
        return {"eps": rule.eps_root}

    @property
    def call(self) -> str:
        """The call of its library."""
        return self._call("RMSprop", f"rho={self.beta2!r}")

    def step(self, state: Averages, g: Array, lr: float, t: int) -> Averages:
        """Compute one iteration."""
        x, m, v = _averaged(state, g, 0.0, self.beta2)
        return Averages(x - x * self.weight_decay * lr - lr * g / np.sqrt(v + self.eps), m, v)
