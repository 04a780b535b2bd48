"""Loss surfaces.

=============  ====================================================================================================
module         surfaces
=============  ====================================================================================================
`quadratics`   parabola, ravine, saddle, quadratic, random_quadratic, sphere, matyas, nesterov_worst_case
`classics`     cubic, monkey_saddle, rosenbrock, beale, booth, himmelblau
`polynomials`  three_hump_camel, six_hump_camel, goldstein_price, styblinski_tang, dixon_price, zakharov
`multimodal`   rastrigin, ackley, griewank, levy, branin, mccormick
`valleys`      plateau, easom, logistic_bowl, huber_valley, log_sum_exp, lessard, sum_of_powers, noisy_valley
`bbob`         bbob_sphere to bbob_lunacek: the 24 functions of the BBOB suite
`data`         least_squares, logistic, softmax, mlp: losses over the rows of a table
`expressions`  surfaces given as expressions
`moved`        rotated and shifted variants of other surfaces
`functions`    surfaces made of Python functions: `from_function`
`autograd`     gradients of functions of PyTorch tensors and JAX arrays
`base`         the base class; the registry `SURFACES`; the tags
=============  ====================================================================================================

Modules and classes (`quadratics`, `Ravine`, …) are imported when they are first used.
"""

from typing import Any

from momentumlab.surfaces.base import SURFACES, CriticalKind, CriticalPoint, Surface, Tag, surface

FAMILIES = {
    "quadratics": ("parabola", "ravine", "saddle", "quadratic", "random_quadratic", "sphere", "matyas",
    "nesterov_worst_case"), "classics": ("cubic", "monkey_saddle", "rosenbrock", "banana", "beale", "booth",
    "himmelblau"), "polynomials": (
        "three_hump_camel", "six_hump_camel", "goldstein_price", "styblinski_tang", "dixon_price", "zakharov",
    ), "multimodal": ("rastrigin", "ackley", "griewank", "levy", "branin", "mccormick"), "valleys": ("plateau", "easom",
    "logistic_bowl", "huber_valley", "log_sum_exp", "lessard", "sum_of_powers", "noisy_valley"), "bbob": (
        "bbob_sphere", "bbob_f1", "bbob_ellipsoid", "bbob_f2", "bbob_rastrigin", "bbob_f3", "bbob_buche_rastrigin",
        "bbob_f4", "bbob_linear_slope", "bbob_f5", "bbob_attractive_sector", "bbob_f6", "bbob_step_ellipsoid",
        "bbob_f7", "bbob_rosenbrock", "bbob_f8", "bbob_rosenbrock_rotated", "bbob_f9", "bbob_ellipsoid_rotated",
        "bbob_f10", "bbob_discus", "bbob_f11", "bbob_bent_cigar", "bbob_f12", "bbob_sharp_ridge", "bbob_f13",
        "bbob_different_powers", "bbob_f14", "bbob_rastrigin_rotated", "bbob_f15", "bbob_weierstrass", "bbob_f16",
        "bbob_schaffers", "bbob_f17", "bbob_schaffers_ill_conditioned", "bbob_f18", "bbob_griewank_rosenbrock",
        "bbob_f19", "bbob_schwefel", "bbob_f20", "bbob_gallagher_101", "bbob_f21", "bbob_gallagher_21", "bbob_f22",
        "bbob_katsuura", "bbob_f23", "bbob_lunacek", "bbob_f24",
    ),
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
