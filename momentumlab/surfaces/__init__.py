"""The catalogue of surfaces.

=============  =======================================================
module         surfaces
=============  =======================================================
`quadratics`   parabola, ravine, saddle, quadratic
`classics`     cubic, rosenbrock, beale, booth, himmelblau
`expressions`  whatever a person writes down, loaded when it is asked for
`base`         what a surface is; the registry `SURFACES`
=============  =======================================================
"""

from momentumlab.surfaces import classics, quadratics
from momentumlab.surfaces.base import SURFACES, CriticalKind, CriticalPoint, Surface, surface

__all__ = ["SURFACES", "CriticalKind", "CriticalPoint", "Surface", "classics", "quadratics", "surface"]
