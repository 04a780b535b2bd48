"""SymPy formulas of the surfaces, written independently from their sources, as references of the tests.

A formula takes the list of coordinates, and the parameters of the surface by name.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

Formula = Callable[..., Any]

HALF = sp.Rational(1, 2)


def decimal(text: str) -> Any:
    return sp.Rational(text)


def cubic(v: list[Any]) -> Any:
    x, y = v
    return x**3 - y**3 + 3 * x**2 + 3 * y**2 - 9 * x


def rosenbrock(v: list[Any], b: Any) -> Any:
    return sum(b * (v[i + 1] - v[i] ** 2) ** 2 + (1 - v[i]) ** 2 for i in range(len(v) - 1))


def beale(v: list[Any]) -> Any:
    x, y = v
    return sum((decimal(c) - x + x * y**k) ** 2 for k, c in enumerate(("1.5", "2.25", "2.625"), start=1))


def booth(v: list[Any]) -> Any:
    x, y = v
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def himmelblau(v: list[Any]) -> Any:
    x, y = v
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def quadratic(v: list[Any], eigenvalues: Any, rotation: Any) -> Any:
    assert rotation == 0  # test_surfaces turns it
    return sum(curvature * x**2 / 2 for curvature, x in zip(eigenvalues, v, strict=True))


def random_quadratic(v: list[Any], eigenvalues: Any, seed: Any) -> Any:
    """Orthogonalise the columns one after the other, by the method of Gram and Schmidt."""
    dim = len(eigenvalues)
    columns: list[Any] = []
    for drawn in np.random.default_rng([int(seed), dim]).standard_normal((dim, dim)).T:
        rest = drawn - sum((drawn @ column) * column for column in columns)
        columns.append(rest / np.sqrt(rest @ rest))
    products = [sum(sp.Float(c, 40) * x for c, x in zip(column.tolist(), v, strict=True)) for column in columns]
    return sum(curvature * z**2 / 2 for curvature, z in zip(eigenvalues, products, strict=True))


def nesterov_worst_case(v: list[Any], smoothness: Any) -> Any:
    steps = sum((v[i] - v[i + 1]) ** 2 for i in range(len(v) - 1))
    return smoothness / 4 * (HALF * (v[0] ** 2 + steps + v[-1] ** 2) - v[0])


def three_hump_camel(v: list[Any]) -> Any:
    x, y = v
    return 2 * x**2 - decimal("1.05") * x**4 + x**6 / 6 + x * y + y**2


def six_hump_camel(v: list[Any]) -> Any:
    x, y = v
    return 4 * x**2 - decimal("2.1") * x**4 + x**6 / 3 + x * y - 4 * y**2 + 4 * y**4


def goldstein_price(v: list[Any]) -> Any:
    x, y = v
    first = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    second = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return first * second


def styblinski_tang(v: list[Any]) -> Any:
    return sum(x**4 - 16 * x**2 + 5 * x for x in v) / 2


def dixon_price(v: list[Any]) -> Any:
    return (v[0] - 1) ** 2 + sum((i + 1) * (2 * v[i] ** 2 - v[i - 1]) ** 2 for i in range(1, len(v)))


def zakharov(v: list[Any]) -> Any:
    slanting = sum(HALF * i * x for i, x in enumerate(v, start=1))
    return sum(x**2 for x in v) + slanting**2 + slanting**4


def sum_of_powers(v: list[Any]) -> Any:
    return sum(sp.Abs(x) ** (i + 1) for i, x in enumerate(v, start=1))


def rastrigin(v: list[Any], a: Any) -> Any:
    return a * len(v) + sum(x**2 - a * sp.cos(2 * sp.pi * x) for x in v)


def ackley(v: list[Any]) -> Any:
    root = sp.sqrt(sum(x**2 for x in v) / len(v))
    waves = sum(sp.cos(2 * sp.pi * x) for x in v) / len(v)
    return -20 * sp.exp(-root / 5) - sp.exp(waves) + 20 + sp.E


def griewank(v: list[Any]) -> Any:
    waves = sp.prod(sp.cos(x / sp.sqrt(i)) for i, x in enumerate(v, start=1))
    return sum(x**2 for x in v) / 4000 - waves + 1


def levy(v: list[Any]) -> Any:
    w = [1 + (x - 1) / 4 for x in v]
    middle = sum((each - 1) ** 2 * (1 + 10 * sp.sin(sp.pi * each + 1) ** 2) for each in w[:-1])
    last = (w[-1] - 1) ** 2 * (1 + sp.sin(2 * sp.pi * w[-1]) ** 2)
    return sp.sin(sp.pi * w[0]) ** 2 + middle + last


def easom(v: list[Any]) -> Any:
    x, y = v
    return -sp.cos(x) * sp.cos(y) * sp.exp(-((x - sp.pi) ** 2 + (y - sp.pi) ** 2))


def branin(v: list[Any]) -> Any:
    x, y = v
    b, c, t = decimal("5.1") / (4 * sp.pi**2), 5 / sp.pi, 1 / (8 * sp.pi)
    return (y - b * x**2 + c * x - 6) ** 2 + 10 * (1 - t) * sp.cos(x) + 10


def mccormick(v: list[Any]) -> Any:
    x, y = v
    return sp.sin(x + y) + (x - y) ** 2 - decimal("1.5") * x + decimal("2.5") * y + 1


def logistic_bowl(v: list[Any], p: Any) -> Any:
    chances = [1 / (1 + sp.exp(-x)) for x in v]
    return sum(-p * sp.log(chance) - (1 - p) * sp.log(1 - chance) for chance in chances)


def huber_valley(v: list[Any], a: Any, b: Any, delta: Any) -> Any:
    def huber(t: Any) -> Any:
        return sp.Piecewise((t**2 / 2, sp.Abs(t) <= delta), (delta * (sp.Abs(t) - delta / 2), True))

    return a * huber(v[0]) + b * huber(v[1])


def log_sum_exp(v: list[Any], b: Any) -> Any:
    x, y = v
    return sp.log(sp.exp(x + b * y) + sp.exp(x - b * y) + sp.exp(-x))


def lessard(v: list[Any]) -> Any:
    (x,) = v
    t = sp.Symbol("t", real=True)
    slopes = [(25 * t, 0, 1), (t + 24, 1, 2), (25 * t - 24, 2, None)]
    below = sp.integrate(slopes[0][0], (t, 0, 1)), sp.integrate(slopes[1][0], (t, 1, 2))
    return sp.Piecewise(
        (sp.integrate(slopes[0][0], (t, 0, x)), x < 1),
        (below[0] + sp.integrate(slopes[1][0], (t, 1, x)), x < 2),
        (below[0] + below[1] + sp.integrate(slopes[2][0], (t, 2, x)), True),
    )


FORMULAS: dict[str, Formula] = {
    "parabola": lambda v, a: a * v[0] ** 2,
    "ravine": lambda v, a, b: a * v[0] ** 2 + b * v[1] ** 2,
    "saddle": lambda v: v[0] ** 2 - v[1] ** 2,
    "quadratic": quadratic,
    "random_quadratic": random_quadratic,
    "noisy_valley": lambda v, s: (v[0] * v[1] - 1) ** 2 / 2,
    "sphere": lambda v: sum(x**2 for x in v),
    "matyas": lambda v: decimal("0.26") * (v[0] ** 2 + v[1] ** 2) - decimal("0.48") * v[0] * v[1],
    "nesterov_worst_case": nesterov_worst_case,
    "cubic": cubic,
    "monkey_saddle": lambda v: sp.re(sp.expand((v[0] + sp.I * v[1]) ** 3)),
    "rosenbrock": rosenbrock,
    "beale": beale,
    "booth": booth,
    "himmelblau": himmelblau,
    "three_hump_camel": three_hump_camel,
    "six_hump_camel": six_hump_camel,
    "goldstein_price": goldstein_price,
    "styblinski_tang": styblinski_tang,
    "dixon_price": dixon_price,
    "zakharov": zakharov,
    "sum_of_powers": sum_of_powers,
    "rastrigin": rastrigin,
    "ackley": ackley,
    "griewank": griewank,
    "levy": levy,
    "easom": easom,
    "branin": branin,
    "mccormick": mccormick,
    "plateau": lambda v, a, b: sp.tanh(a * v[0] ** 2 + b * v[1] ** 2),
    "logistic_bowl": logistic_bowl,
    "huber_valley": huber_valley,
    "log_sum_exp": log_sum_exp,
    "lessard": lessard,
}
