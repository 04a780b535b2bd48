"""An independent oracle: every optimizer as a plain loop over Python floats, one coordinate list at a time.

Written from the papers' equations, without NumPy and without a look at the package's arithmetic.
"""

import math
from collections.abc import Callable, Iterator

Vector = list[float]
Gradient = Callable[[Vector], Vector]


def path(
    optimizer: str, gradient: Gradient, start: Vector, iterations: int, lr: float, **hyper: float
) -> Iterator[Vector]:
    """The start and the point after each iteration."""
    x = list(start)
    n = range(len(x))
    first, second = [0.0] * len(x), [0.0] * len(x)
    yield list(x)
    for t in range(1, iterations + 1):
        g = gradient(x)
        if optimizer == "sgd":
            x = [x[i] - lr * g[i] for i in n]
        elif optimizer == "momentum":
            first = [hyper["beta"] * first[i] + g[i] for i in n]
            x = [x[i] - lr * first[i] for i in n]
        elif optimizer == "nesterov":
            first = [hyper["beta"] * first[i] + g[i] for i in n]
            x = [x[i] - lr * (g[i] + hyper["beta"] * first[i]) for i in n]
        elif optimizer == "adagrad":
            second = [second[i] + g[i] ** 2 for i in n]
            x = [x[i] - lr * g[i] / (math.sqrt(second[i]) + hyper["eps"]) for i in n]
        elif optimizer == "rmsprop":
            second = [hyper["alpha"] * second[i] + (1 - hyper["alpha"]) * g[i] ** 2 for i in n]
            x = [x[i] - lr * g[i] / (math.sqrt(second[i]) + hyper["eps"]) for i in n]
        elif optimizer == "adam":
            first = [hyper["beta1"] * first[i] + (1 - hyper["beta1"]) * g[i] for i in n]
            second = [hyper["beta2"] * second[i] + (1 - hyper["beta2"]) * g[i] ** 2 for i in n]
            m = [first[i] / (1 - hyper["beta1"] ** t) for i in n]
            v = [second[i] / (1 - hyper["beta2"] ** t) for i in n]
            x = [x[i] - lr * m[i] / (math.sqrt(v[i]) + hyper["eps"]) for i in n]
        else:
            raise ValueError(f"no plain loop for {optimizer}")
        yield list(x)
