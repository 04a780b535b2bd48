"""Accelerated methods: momentum that varies with the iteration, is tuned to the condition number, or restarts.

The iterate is the point at which the gradient is evaluated. The papers analyse a second, hidden sequence with the
velocity w; the iterate runs ahead of it by a part of that velocity.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.optimizers.base import Here, Optimizer, momentum_parameter, optimizer, per_lane
from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import sum_coordinates

SCHEMES = ("function", "gradient")

CONSTANT_STEPS = "its hidden sequences use the same lr in every step"
CONSTANT_COEFFICIENTS = "the coefficients of the method follow from a single value"


class Lookahead(NamedTuple):
    """The state of a method with a sequence θ: the distance by which the iterate is ahead, and θ, ``(lanes,)``."""

    z: Array
    theta: Array


class Inertia(NamedTuple):
    """The state of a method with constant coefficients: the velocity of the hidden sequence."""

    w: Array


class Restarting(NamedTuple):
    """The state of heavy ball with restart: the velocity and the last loss."""

    v: Array
    loss: Array


class RestartingLookahead(NamedTuple):
    """The state of Nesterov's method with restart."""

    z: Array
    theta: Array
    loss: Array


def _kappa() -> Real:
    value: Real = parameter(
        100.0,
        gt=1,
        aliases=("condition_number",),
        constant=CONSTANT_COEFFICIENTS,
        doc="condition number L/μ for which the method is tuned",
    )
    return value


@optimizer("nesterov_convex", lr=1e-3, aliases=("fista",))
@dataclass(frozen=True, kw_only=True)
class NesterovConvex(Optimizer[Lookahead]):
    """Nesterov's method for convex functions: its momentum grows towards 1 as (θ − 1)/θ₊, about (t − 1)/(t + 2).

    With lr = 1/L the loss of the hidden sequence y is at most 2 L R²/(t + 1)² above the minimum (Beck & Teboulle), R
    being the distance of the start from it. The iterate is x, where gradients are evaluated.
    """

    constant_lr = CONSTANT_STEPS
    equation = "y₊ = x − lr·g,  x₊ = y₊ + (θ − 1)/θ₊ (y₊ − y),  θ₊ = (1 + √(1 + 4θ²))/2,  θ₀ = 1"
    source = (
        "Nesterov (1983), Doklady 27; as FISTA without the proximal step, Beck & Teboulle (2009), SIAM J. Imaging 2"
    )

    def init(self, x: Array) -> Lookahead:
        return Lookahead(np.zeros_like(x), per_lane(1.0, x))

    def step(self, state: Lookahead, g: Array, here: Here) -> tuple[Array, Lookahead]:
        theta = following(state.theta)
        w = state.z + g
        z = (state.theta - 1) / theta * w
        return g + z, Lookahead(z, theta)


@optimizer("ogm", lr=1e-3, aliases=("optimized_gradient",))
@dataclass(frozen=True, kw_only=True)
class OGM(Optimizer[Lookahead]):
    """The optimized gradient method: Nesterov's method with one more term.

    With lr = 1/L and a known number of iterations N (``horizon``), the loss after N iterations is at most L R²/(2 θ_N²)
    above the minimum, where θ_N uses the factor 8. In many dimensions, no first-order method has a better worst case.
    """

    horizon: Real = parameter(
        0.0,
        ge=0,
        constant=CONSTANT_COEFFICIENTS,
        doc="number of iterations N, of which the last is longer; 0: not known",
    )

    constant_lr = CONSTANT_STEPS
    equation = (
        "y₊ = x − lr·g,  x₊ = y₊ + (θ − 1)/θ₊ (y₊ − y) + θ/θ₊ (y₊ − x),  θ₊ = (1 + √(1 + 4θ²))/2 (8 instead of 4 at N)"
    )
    source = "Kim & Fessler (2016), arXiv 1406.5468"

    def init(self, x: Array) -> Lookahead:
        return Lookahead(np.zeros_like(x), per_lane(1.0, x))

    def step(self, state: Lookahead, g: Array, here: Here) -> tuple[Array, Lookahead]:
        theta = np.where(here.t == self.horizon, following(state.theta, 8), following(state.theta))
        w = state.z + g
        z = (state.theta - 1) / theta * w + state.theta / theta * g
        return g + z, Lookahead(z, theta)


@optimizer("triple_momentum", lr=1e-3, aliases=("tmm",))
@dataclass(frozen=True, kw_only=True)
class TripleMomentum(Optimizer[Inertia]):
    """The triple momentum method: rate 1 − 1/√κ on all smooth strongly convex functions.

    Designed for lr = (1 + ρ)/L with ρ = 1 − 1/√κ.
    """

    kappa: Real = _kappa()

    constant_lr = CONSTANT_STEPS
    equation = (
        "ξ₊ = (1 + β) ξ − β ξ₋ − lr·g,  x₊ = (1 + γ) ξ₊ − γ ξ,  β = ρ²/(2 − ρ),  γ = ρ²/((1 + ρ)(2 − ρ)),  ρ = 1 − 1/√κ"
    )
    source = "Van Scoy, Freeman & Lynch (2018), IEEE Control Systems Letters 2, The fastest known globally convergent…"

    def init(self, x: Array) -> Inertia:
        return Inertia(np.zeros_like(x))

    def step(self, state: Inertia, g: Array, here: Here) -> tuple[Array, Inertia]:
        rho = 1 - 1 / np.sqrt(self.kappa)
        beta = rho * rho / (2 - rho)
        gamma = beta / (1 + rho)
        w = beta * state.w + g
        return w + gamma * (w - state.w), Inertia(w)


@optimizer("robust_momentum", lr=1e-3, aliases=("rmm",))
@dataclass(frozen=True, kw_only=True)
class RobustMomentum(Optimizer[Inertia]):
    """The robust momentum method: trades the rate ρ for robustness against errors of the gradient.

    ``caution`` interpolates between the triple momentum method, ρ = 1 − 1/√κ (0), and gradient descent with lr = 1/L,
    ρ = 1 − 1/κ (1). Designed for lr = κ(1 − ρ)²(1 + ρ)/L.
    """

    kappa: Real = _kappa()
    caution: Real = parameter(
        0.5,
        ge=0,
        le=1,
        constant=CONSTANT_COEFFICIENTS,
        doc="position of ρ between 1 − 1/√κ (0, fastest) and 1 − 1/κ (1)",
    )

    constant_lr = CONSTANT_STEPS
    equation = "ξ₊ = ξ + β (ξ − ξ₋) − lr·g,  x₊ = ξ₊ + γ (ξ₊ − ξ),  β = κρ³/(κ − 1),  γ = ρ³/((κ − 1)(1 − ρ)²(1 + ρ))"
    source = "Cyrus, Hu, Van Scoy & Lessard (2018), arXiv 1710.04753, equations 2 and 3"

    def init(self, x: Array) -> Inertia:
        return Inertia(np.zeros_like(x))

    def step(self, state: Inertia, g: Array, here: Here) -> tuple[Array, Inertia]:
        kappa = self.kappa
        gap = (1 - self.caution) / np.sqrt(kappa) + self.caution / kappa  # 1 − ρ, without cancellation
        rho = 1 - gap
        cube = rho * rho * rho
        beta = kappa * cube / (kappa - 1)
        gamma = cube / ((kappa - 1) * gap * gap * (1 + rho))
        w = beta * state.w + g
        return w + gamma * (w - state.w), Inertia(w)


@optimizer("momentum_restart", lr=1e-3, aliases=("heavy_ball_restart",))
@dataclass(frozen=True, kw_only=True)
class MomentumRestart(Optimizer[Restarting]):
    """Heavy ball that resets its velocity when it points uphill.

    Scheme ``function`` restarts when the loss has increased, ``gradient`` when the gradient points along the last
    displacement, g·(x − x₋) > 0. The latter does not use the loss, and on convex functions it is never later.
    """

    beta: Real = momentum_parameter()
    scheme: str = parameter("gradient", choices=SCHEMES, doc="condition for a restart")

    equation = "v ← 0 on restart,  v ← β v + g,  x ← x − lr·v"
    source = "O'Donoghue & Candès (2015), arXiv 1204.3982, section 3.2, applied to Polyak's method"

    def init(self, x: Array) -> Restarting:
        return Restarting(np.zeros_like(x), per_lane(np.inf, x))

    def step(self, state: Restarting, g: Array, here: Here) -> tuple[Array, Restarting]:
        uphill = here.loss > state.loss if self.scheme == "function" else sum_coordinates(g * state.v) < 0
        v = np.where(uphill, 0.0, self.beta * state.v) + g
        return v, Restarting(v, here.loss)


@optimizer("nesterov_restart", lr=1e-3, aliases=("fista_restart",))
@dataclass(frozen=True, kw_only=True)
class NesterovRestart(Optimizer[RestartingLookahead]):
    """Nesterov's method for convex functions, restarted when its momentum points uphill.

    It attains the rate for strongly convex functions without knowing μ. Scheme ``gradient`` restarts when the gradient
    points along the displacement of the hidden sequence, g·(y₊ − y) > 0, ``function`` when the loss at the iterates has
    increased (the paper uses the loss of the hidden sequence, which is not evaluated here). The step that restarts is
    the first one of the new sequence.
    """

    scheme: str = parameter("gradient", choices=SCHEMES, doc="condition for a restart")

    constant_lr = CONSTANT_STEPS
    equation = "as nesterov_convex, with θ ← 1 and y₊ − y ← 0 on restart"
    source = "O'Donoghue & Candès (2015), arXiv 1204.3982, algorithm 1 and section 3.2"

    def init(self, x: Array) -> RestartingLookahead:
        return RestartingLookahead(np.zeros_like(x), per_lane(1.0, x), per_lane(np.inf, x))

    def step(self, state: RestartingLookahead, g: Array, here: Here) -> tuple[Array, RestartingLookahead]:
        z, theta = state.z, state.theta
        if self.scheme == "function":
            uphill = here.loss > state.loss
            z, theta = np.where(uphill, 0.0, z), np.where(uphill, 1.0, theta)
        w = z + g
        if self.scheme == "gradient":
            uphill = sum_coordinates(g * w) < 0
            w, theta = np.where(uphill, 0.0, w), np.where(uphill, 1.0, theta)
        theta_next = following(theta)
        z = (theta - 1) / theta_next * w
        return g + z, RestartingLookahead(z, theta_next, here.loss)


def following(theta: Array, factor: int = 4) -> Array:
    """Return the next θ of Nesterov's sequence, (1 + √(1 + 4θ²))/2."""
    return (1 + np.sqrt(1 + factor * theta * theta)) / 2
