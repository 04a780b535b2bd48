"""What a method will do near a critical point, computed from its own step before anything is run.

Near a minimum a loss is a quadratic; along each eigenvector of its Hessian, a method is a linear map of its point and
its state, and the eigenvalues of that map say everything: the largest modulus ρ is the rate, by which errors shrink (or
grow) per iteration in the long run; a complex pair ρ e^{±iφ} oscillates with period 2π/φ.

B. T. Polyak, *Some methods of speeding up the convergence of iteration methods* (1964); L. Lessard, B. Recht and
A. Packard, arXiv 1408.3595; B. O'Donoghue and E. Candès, arXiv 1204.3982.

=============  ==============================================================
module         what
=============  ==============================================================
`linear_map`   the map, from the optimizer's own step; where there is none
`modes`        one eigenvector: regime, rate, period, overshoot, growth
`prediction`   a whole trial: the limit and the best of lr, iterations needed
`plane`        rates over planes of hyperparameters
`agreement`    the rate that a path really has, beside the predicted one
`noise`        the variance at which noisy gradients keep a method
`floor`        the loss at which they keep it, measured beside predicted
`response`     the method as a filter: gain and phase against frequency
=============  ==============================================================
"""

from momentumlab.theory.agreement import Agreement, agreements, coordinate_rates, measured_rate
from momentumlab.theory.floor import Floor, floor_of, predicted_floor, running_average, tail_average
from momentumlab.theory.linear_map import (
    LinearMap,
    TheoryDoesNotApplyError,
    check_constant,
    check_decoupled,
    check_steady,
    linear_map,
    spectral_radii,
)
from momentumlab.theory.modes import EQUAL, Mode, Regime, mode
from momentumlab.theory.noise import (
    Compromise,
    compromises,
    heavy_ball_variance,
    nesterov_variance,
    stationary_variances,
)
from momentumlab.theory.plane import PlaneTheory, plane_theory
from momentumlab.theory.prediction import Prediction, lr_limit, predict
from momentumlab.theory.response import Response, response

__all__ = [
    "EQUAL",
    "Agreement",
    "Compromise",
    "Floor",
    "LinearMap",
    "Mode",
    "PlaneTheory",
    "Prediction",
    "Regime",
    "Response",
    "TheoryDoesNotApplyError",
    "agreements",
    "check_constant",
    "check_decoupled",
    "check_steady",
    "compromises",
    "coordinate_rates",
    "floor_of",
    "heavy_ball_variance",
    "linear_map",
    "lr_limit",
    "measured_rate",
    "mode",
    "nesterov_variance",
    "plane_theory",
    "predict",
    "predicted_floor",
    "response",
    "running_average",
    "spectral_radii",
    "stationary_variances",
    "tail_average",
]
