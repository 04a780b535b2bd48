"""Reference methods that use the loss of the minimum or the Hessian."""

from dataclasses import dataclass

import numpy as np

from momentumlab.optimizers.base import Here, Optimizer, Stateless, dialect_parameter, optimizer
from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import sum_coordinates


@optimizer("polyak_step", lr=1.0, aliases=("polyak_sgd",))
@dataclass(frozen=True, kw_only=True)
class PolyakStep(Optimizer[Stateless]):
    """Gradient descent with Polyak's step size, which requires the loss f* of the minimum.

    If the loss were a cone, a step with lr = 1 would end at the minimum; lr multiplies it. (In optax.polyak_sgd 0.2.8
    ``scaling`` divides it; the two agree at 1.)
    """

    max_step: Real = parameter(0.0, ge=0, optax=1.0, doc="largest step size; 0: no limit")
    dialect: str = dialect_parameter("optax limits the step size to 1 by default, and stops at |g|² ≤ 2⁻⁵²")

    requires = frozenset({"minimum"})
    equation = "x ← x − lr·(f(x) − f*)/|g|²·g"
    source = "Polyak (1987), Introduction to Optimization, section 5.3; in its dialect agrees with optax.polyak_sgd"

    def init(self, x: Array) -> Stateless:
        return Stateless()

    def step(self, state: Stateless, g: Array, here: Here) -> tuple[Array, Stateless]:
        square = sum_coordinates(g * g)
        lowest = min(point.loss for point in here.surface.minima(len(g)))
        moves = square > (0.0 if self.dialect == "pytorch" else np.finfo(np.float64).eps)
        height = np.maximum(here.loss - lowest, 0.0)
        size = np.where(moves, height / np.where(moves, square, 1.0), 0.0)
        limit = np.where(np.greater(self.max_step, 0), self.max_step, np.inf)
        return np.minimum(size, limit) * g, state


@optimizer("newton", lr=1.0)
@dataclass(frozen=True, kw_only=True)
class Newton(Optimizer[Stateless]):
    """Newton's method: a step to the critical point of the local quadratic, of any kind.

    If the Hessian is singular, the step is the shortest one. Minima, saddles and maxima attract the iterates alike.
    """

    requires = frozenset({"hessian"})
    equation = "x ← x − lr·H⁻¹ g"
    source = "elementary; the pseudo-inverse where H is singular"

    def init(self, x: Array) -> Stateless:
        return Stateless()

    def step(self, state: Stateless, g: Array, here: Here) -> tuple[Array, Stateless]:
        hessian = np.moveaxis(here.surface.hessian(here.x), 2, 0)
        known = np.isfinite(hessian.sum(axis=(1, 2)))
        inverse = np.linalg.pinv(np.where(known[:, np.newaxis, np.newaxis], hessian, 0.0), hermitian=True)
        products = np.moveaxis(inverse, 0, 2) * g[np.newaxis]
        step = np.stack([sum_coordinates(row) for row in products])
        return np.where(known, step, np.nan), state
