"""The catalogue of surfaces.

=============  ====================================================================================================
module         surfaces
=============  ====================================================================================================
`quadratics`   parabola, ravine, saddle, quadratic, sphere, matyas, nesterov_worst_case
`classics`     cubic, monkey_saddle, rosenbrock, beale, booth, himmelblau
`polynomials`  three_hump_camel, six_hump_camel, goldstein_price, styblinski_tang, dixon_price, zakharov
`waves`        rastrigin, ackley, griewank, levy, branin, mccormick
`walls`        plateau, easom, logistic_bowl, huber_valley, log_sum_exp, lessard, sum_of_powers
`data`         least_squares, logistic, softmax, mlp: losses over the rows of a table
`expressions`  whatever a person writes down, loaded when it is asked for
`base`         what a surface is; the registry `SURFACES`; the tags
=============  ====================================================================================================
"""

from momentumlab.surfaces import classics, data, polynomials, quadratics
from momentumlab.surfaces import multimodal as waves
from momentumlab.surfaces import valleys as walls
from momentumlab.surfaces.base import SURFACES, CriticalKind, CriticalPoint, Surface, Tag, surface

__all__ = [
    "SURFACES",
    "CriticalKind",
    "CriticalPoint",
    "Surface",
    "Tag",
    "classics",
    "data",
    "polynomials",
    "quadratics",
    "surface",
    "walls",
    "waves",
]
