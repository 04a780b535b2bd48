"""Independent oracles: optimizers as their papers write them, with Python floats and the papers' own sequences.

Nothing here is a filter of gradients with a velocity, and nothing is vectorised. Each generator yields the points at
which the gradient is taken, the start first.
"""

import math
from collections.abc import Callable, Iterator

Vector = list[float]
Gradient = Callable[[Vector], Vector]
Loss = Callable[[Vector], float]
Path = Iterator[Vector]


def along(x: Vector, scale: float, direction: Vector) -> Vector:
    """x + scale · direction."""
    return [a + scale * b for a, b in zip(x, direction, strict=True)]


def minus(x: Vector, y: Vector) -> Vector:
    return along(x, -1.0, y)


def dot(x: Vector, y: Vector) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def sgd(gradient: Gradient, loss: Loss, x: Vector, lr: float) -> Path:
    while True:
        yield x
        x = along(x, -lr, gradient(x))


def momentum(gradient: Gradient, loss: Loss, x: Vector, lr: float, beta: float) -> Path:
    """Polyak (1964): x₊ = x − α ∇f(x) + β (x − x₋)."""
    previous = x
    while True:
        yield x
        x, previous = along(along(x, -lr, gradient(x)), beta, minus(x, previous)), x


def nesterov(gradient: Gradient, loss: Loss, y: Vector, lr: float, beta: float) -> Path:
    """x₊ = y − α ∇f(y), y₊ = x₊ + β (x₊ − x)."""
    x = y
    while True:
        yield y
        x, previous = along(y, -lr, gradient(y)), x
        y = along(x, beta, minus(x, previous))


def momentum_ema(gradient: Gradient, loss: Loss, x: Vector, lr: float, beta: float) -> Path:
    m = [0.0] * len(x)
    while True:
        yield x
        m = along([beta * a for a in m], 1 - beta, gradient(x))
        x = along(x, -lr, m)


def qhm(gradient: Gradient, loss: Loss, x: Vector, lr: float, beta: float, nu: float) -> Path:
    """Ma & Yarats, equations 3 and 4."""
    buffer = [0.0] * len(x)
    while True:
        yield x
        g = gradient(x)
        buffer = [(1 - beta) * a + beta * b for a, b in zip(g, buffer, strict=True)]
        x = [c - lr * ((1 - nu) * a + nu * b) for c, a, b in zip(x, g, buffer, strict=True)]


def aggmo(gradient: Gradient, loss: Loss, x: Vector, lr: float, betas: tuple[float, ...]) -> Path:
    """Lucas et al., equation 4: v ← βv − g, x ← x + (γ/K) Σ v."""
    velocities = [[0.0] * len(x) for _ in betas]
    while True:
        yield x
        g = gradient(x)
        velocities = [minus([beta * a for a in v], g) for beta, v in zip(betas, velocities, strict=True)]
        for v in velocities:
            x = along(x, lr / len(betas), v)


def nesterov_convex(gradient: Gradient, loss: Loss, y: Vector, lr: float) -> Path:
    """Beck & Teboulle, FISTA with a constant step and no proximal part."""
    x, t = y, 1.0
    while True:
        yield y
        x, previous = along(y, -lr, gradient(y)), x
        t, last = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        y = along(x, (last - 1) / t, minus(x, previous))


def ogm(gradient: Gradient, loss: Loss, x: Vector, lr: float, horizon: float) -> Path:
    """Kim & Fessler, the optimized gradient method."""
    y, theta, n = x, 1.0, 0
    while True:
        yield x
        n += 1
        y, previous = along(x, -lr, gradient(x)), y
        theta, last = (1 + math.sqrt(1 + (8 if n == horizon else 4) * theta * theta)) / 2, theta
        x = along(along(y, (last - 1) / theta, minus(y, previous)), last / theta, minus(y, x))


def triple_momentum(gradient: Gradient, loss: Loss, y: Vector, lr: float, kappa: float) -> Path:
    """Van Scoy, Freeman & Lynch, equations 8 and 9: the sequence ξ; the gradient is taken at y."""
    rho = 1 - 1 / math.sqrt(kappa)
    beta, gamma = rho**2 / (2 - rho), rho**2 / ((1 + rho) * (2 - rho))
    xi = previous = y
    while True:
        yield y
        step = gradient(y)
        xi, previous = [(1 + beta) * a - beta * b - lr * g for a, b, g in zip(xi, previous, step, strict=True)], xi
        y = [(1 + gamma) * a - gamma * b for a, b in zip(xi, previous, strict=True)]


def robust_momentum(gradient: Gradient, loss: Loss, y: Vector, lr: float, kappa: float, caution: float) -> Path:
    """Cyrus et al., equation 2: x₊ = x + β (x − x₋) − α ∇f(y), y = x + γ (x − x₋)."""
    rho = (1 - caution) * (1 - 1 / math.sqrt(kappa)) + caution * (1 - 1 / kappa)
    beta, gamma = kappa * rho**3 / (kappa - 1), rho**3 / ((kappa - 1) * (1 - rho) ** 2 * (1 + rho))
    x = previous = y
    while True:
        yield y
        x, previous = along(along(x, beta, minus(x, previous)), -lr, gradient(y)), x
        y = along(x, gamma, minus(x, previous))


def momentum_restart(gradient: Gradient, loss: Loss, x: Vector, lr: float, beta: float, scheme: str) -> Path:
    previous = x
    while True:
        yield x
        g, moved = gradient(x), minus(x, previous)
        uphill = loss(x) > loss(previous) if scheme == "function" else dot(g, moved) > 0
        x, previous = along(along(x, -lr, g), 0.0 if uphill else beta, moved), x


def nesterov_restart(gradient: Gradient, loss: Loss, y: Vector, lr: float, scheme: str) -> Path:
    """O'Donoghue & Candès, algorithm 1 with q = 0; the function scheme looks at the points y."""
    x, t, lowest = y, 1.0, math.inf
    while True:
        yield y
        if scheme == "function" and loss(y) > lowest:
            x, t = y, 1.0
        lowest = loss(y)
        g = gradient(y)
        x, previous = along(y, -lr, g), x
        if scheme == "gradient" and dot(g, minus(x, previous)) > 0:
            previous, t = x, 1.0
        t, last = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        y = along(x, (last - 1) / t, minus(x, previous))


def signum(gradient: Gradient, loss: Loss, x: Vector, lr: float, beta: float) -> Path:
    m = [0.0] * len(x)
    while True:
        yield x
        m = along([beta * a for a in m], 1 - beta, gradient(x))
        x = [a - math.copysign(lr, b) if b else a for a, b in zip(x, m, strict=True)]


def adagrad(gradient: Gradient, loss: Loss, x: Vector, lr: float, eps: float) -> Path:
    h = [0.0] * len(x)
    while True:
        yield x
        g = gradient(x)
        h = [a + b**2 for a, b in zip(h, g, strict=True)]
        x = [a - lr * b / (math.sqrt(c) + eps) for a, b, c in zip(x, g, h, strict=True)]


def rmsprop(gradient: Gradient, loss: Loss, x: Vector, lr: float, alpha: float, eps: float) -> Path:
    h = [0.0] * len(x)
    while True:
        yield x
        g = gradient(x)
        h = [alpha * a + (1 - alpha) * b**2 for a, b in zip(h, g, strict=True)]
        x = [a - lr * b / (math.sqrt(c) + eps) for a, b, c in zip(x, g, h, strict=True)]


def qhadam(
    gradient: Gradient, loss: Loss, x: Vector, lr: float, beta1: float, beta2: float, eps: float, nu1: float, nu2: float
) -> Path:
    """Ma & Yarats, equation 18; Adam where both ν are 1."""
    m, s, t = [0.0] * len(x), [0.0] * len(x), 0
    while True:
        yield x
        t += 1
        g = gradient(x)
        m = [beta1 * a + (1 - beta1) * b for a, b in zip(m, g, strict=True)]
        s = [beta2 * a + (1 - beta2) * b**2 for a, b in zip(s, g, strict=True)]
        top = [(1 - nu1) * b + nu1 * a / (1 - beta1**t) for a, b in zip(m, g, strict=True)]
        bottom = [math.sqrt((1 - nu2) * b**2 + nu2 * a / (1 - beta2**t)) + eps for a, b in zip(s, g, strict=True)]
        x = [a - lr * b / c for a, b, c in zip(x, top, bottom, strict=True)]


def adan(
    gradient: Gradient, loss: Loss, x: Vector, lr: float, beta1: float, beta2: float, beta3: float, eps: float
) -> Path:
    """Xie et al., algorithm 1 without weight decay, with bias corrections; the paper's β are 1 − these."""
    p1, p2, p3 = 1 - beta1, 1 - beta2, 1 - beta3
    m, v, n, t = [0.0] * len(x), [0.0] * len(x), [0.0] * len(x), 0
    previous: Vector | None = None
    while True:
        yield x
        t += 1
        g = gradient(x)
        d = minus(g, g if previous is None else previous)
        previous = g
        m = [(1 - p1) * a + p1 * b for a, b in zip(m, g, strict=True)]
        v = [(1 - p2) * a + p2 * b for a, b in zip(v, d, strict=True)]
        n = [(1 - p3) * a + p3 * (b + (1 - p2) * c) ** 2 for a, b, c in zip(n, g, d, strict=True)]
        c1, c2, c3 = 1 - beta1**t, 1 - beta2**t, 1 - beta3**t
        x = [
            a - lr * (b / c1 + (1 - p2) * c / c2) / (math.sqrt(s / c3) + eps)
            for a, b, c, s in zip(x, m, v, n, strict=True)
        ]


def adam(gradient: Gradient, loss: Loss, x: Vector, lr: float, beta1: float, beta2: float, eps: float) -> Path:
    return qhadam(gradient, loss, x, lr, beta1, beta2, eps, 1.0, 1.0)


def schedule_free_sgd(gradient: Gradient, loss: Loss, y: Vector, lr: float, beta: float) -> Path:
    """Defazio et al., equations 3 to 5."""
    z = x = y
    t = 0
    while True:
        yield y
        t += 1
        z = along(z, -lr, gradient(y))
        x = [(1 - 1 / t) * a + b / t for a, b in zip(x, z, strict=True)]
        y = [(1 - beta) * b + beta * a for a, b in zip(x, z, strict=True)]


def polyak_step(gradient: Gradient, loss: Loss, x: Vector, lr: float) -> Path:
    """For a minimum of loss 0."""
    while True:
        yield x
        g = gradient(x)
        x = along(x, -lr * loss(x) / dot(g, g), g)


def extragradient(gradient: Gradient, loss: Loss, x: Vector, lr: float) -> Path:
    """Korpelevich (1976): x̄ = x − α ∇f(x), x₊ = x − α ∇f(x̄)."""
    while True:
        yield x
        x = along(x, -lr, gradient(along(x, -lr, gradient(x))))


def sam(gradient: Gradient, loss: Loss, x: Vector, lr: float, rho: float, beta: float, weight_decay: float) -> Path:
    """As the usual PyTorch loop: first_step climbs to w + e(w), second_step returns to w and calls torch.optim.SGD."""
    buffer: Vector | None = None
    while True:
        yield x
        grad = gradient(x)
        grad_norm = math.sqrt(dot(grad, grad))
        e_w = [g * (rho / grad_norm) for g in grad]
        w = [p + e for p, e in zip(x, e_w, strict=True)]  # first_step
        grad = gradient(w)
        w = x  # second_step
        d_p = [g + weight_decay * p for g, p in zip(grad, w, strict=True)]
        buffer = d_p if buffer is None else [b * beta + d for b, d in zip(buffer, d_p, strict=True)]
        x = [p - lr * b for p, b in zip(w, buffer, strict=True)]


def heavy_ball_variance(lr: float, beta: float, curvature: float, noise: float = 1.0) -> float:
    """Stationary variance of heavy ball: a s² (1 + β) / (λ (1 − β) (2 (1 + β) − aλ)), infinite if unstable.

    That of an autoregressive process of second order (Box and Jenkins, *Time Series Analysis*, 1970).
    """
    room = 2 * (1 + beta) - lr * curvature
    if not 0 < lr * curvature < 2 * (1 + beta):
        return math.inf
    return lr * noise**2 * (1 + beta) / (curvature * (1 - beta) * room)


def nesterov_variance(lr: float, beta: float, curvature: float, noise: float = 1.0) -> float:
    """Stationary variance of Nesterov's method where it takes gradients: the same process with a moving average."""
    step = lr * curvature
    room = 2 * (1 + beta) - step * (1 + 2 * beta)
    if not (step > 0 and room > 0):
        return math.inf
    return lr * noise**2 * (1 + beta + step * beta * (1 + 2 * beta)) / (curvature * (1 - beta + step * beta) * room)
