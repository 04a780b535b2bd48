"""Loss surfaces.

=============  ====================================================================================================
module         surfaces
=============  ====================================================================================================
`quadratics`   parabola, ravine, saddle, quadratic, sphere, matyas, nesterov_worst_case
`classics`     cubic, monkey_saddle, rosenbrock, beale, booth, himmelblau
`polynomials`  three_hump_camel, six_hump_camel, goldstein_price, styblinski_tang, dixon_price, zakharov
`multimodal`   rastrigin, ackley, griewank, levy, branin, mccormick
`valleys`      plateau, easom, logistic_bowl, huber_valley, log_sum_exp, lessard, sum_of_powers
`data`         least_squares, logistic, softmax, mlp: losses over the rows of a table
`expressions`  surfaces given as expressions
`functions`    surfaces made of Python functions: `from_function`
`base`         the base class; the registry `SURFACES`; the tags
=============  ====================================================================================================

Modules and classes (`quadratics`, `Ravine`, …) are imported when they are first used.
"""

from typing import Any

from momentumlab.surfaces.base import SURFACES, CriticalKind, CriticalPoint, Surface, Tag, surface

FAMILIES = {
    "quadratics": ("parabola", "ravine", "saddle", "quadratic", "sphere", "matyas", "nesterov_worst_case"),
    "classics": ("cubic", "monkey_saddle", "rosenbrock", "banana", "beale", "booth", "himmelblau"),
    "polynomials": (
        "three_hump_camel", "six_hump_camel", "goldstein_price", "styblinski_tang", "dixon_price", "zakharov",
    ),
    "multimodal": ("rastrigin", "ackley", "griewank", "levy", "branin", "mccormick"),
    "valleys": ("plateau", "easom", "logistic_bowl", "huber_valley", "log_sum_exp", "lessard", "sum_of_powers"),
    "data.linear": (
        "least_squares", "linear_regression", "ridge", "logistic", "logistic_regression", "softmax",
        "multinomial_logistic",
    ),
    "data.network": ("mlp", "neural_network"),
}  # fmt: skip

SURFACES.declare(__name__, FAMILIES)

__all__ = ["SURFACES", "CriticalKind", "CriticalPoint", "Surface", "Tag", "surface"]


def __getattr__(name: str) -> Any:
    if name in ("from_function", "FunctionSurface"):
        from momentumlab.surfaces import functions

        return getattr(functions, name)
    return SURFACES.by_class_name(__name__, name)
