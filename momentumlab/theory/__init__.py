"""The behaviour of a method near a critical point, computed from its own step before anything is run.

Near a minimum a smooth loss is a quadratic. Along each eigenvector of its Hessian, a method is a linear map of its
point and state, and the eigenvalues of that map determine its behaviour: the largest modulus ρ is the rate, the factor
by which errors shrink or grow per iteration in the long run; a complex pair ρ e^{±iφ} oscillates with period 2π/φ.

B. T. Polyak, *Some methods of speeding up the convergence of iteration methods* (1964); L. Lessard, B. Recht and
A. Packard, arXiv 1408.3595; B. O'Donoghue and E. Candès, arXiv 1204.3982.

================  ============================================================
module            content
================  ============================================================
`linear_map`      the linear map, computed from the optimizer's own step
`local_model`     one trial at one point: fixed point, curvatures, linear map
`modes`           one eigenvector: regime, rate, period, overshoot, growth
`prediction`      one trial: best lr, iterations to the tolerance
`lr_limits`       the largest stable lr and the best lr, for many settings at once
`rate_planes`     rates over planes of hyperparameters
`rate_fits`       the measured rate of a path
`rates`           the measured and the predicted rate of each trial
`rate_reasons`    why the two differ
`variances`       the stationary variance of the iterates under gradient noise
`noise_floors`    the measured and the predicted noise floor of the loss
`filters`         the method as a filter: gain and phase over frequency
================  ============================================================
"""

from momentumlab.theory.filters import FilterResponse, filter_response
from momentumlab.theory.linear_map import (
    LinearMap,
    TheoryDoesNotApplyError,
    check_constant,
    check_steady,
    checked_map,
    linear_map,
    plugins_may_fail,
    spectral_radii,
)
from momentumlab.theory.local_model import LocalModel, local_model
from momentumlab.theory.lr_limits import lr_limits
from momentumlab.theory.modes import EQUAL, Mode, Regime, mode
from momentumlab.theory.noise_floors import (
    NoiseFloor,
    noise_floor,
    predicted_noise_floor,
    running_average,
    tail_average,
)
from momentumlab.theory.prediction import Prediction, predict
from momentumlab.theory.rate_fits import measured_rate
from momentumlab.theory.rate_planes import RatePlane, rate_plane
from momentumlab.theory.rate_reasons import rate_reason, underdamped_remark
from momentumlab.theory.rates import TrialRate, coordinate_rates, trial_rates
from momentumlab.theory.variances import (
    Compromise,
    compromises,
    stationary_variances,
)

__all__ = [
    "EQUAL",
    "Compromise",
    "FilterResponse",
    "LinearMap",
    "LocalModel",
    "Mode",
    "NoiseFloor",
    "Prediction",
    "RatePlane",
    "Regime",
    "TheoryDoesNotApplyError",
    "TrialRate",
    "check_constant",
    "check_steady",
    "checked_map",
    "compromises",
    "coordinate_rates",
    "filter_response",
    "linear_map",
    "local_model",
    "lr_limits",
    "measured_rate",
    "mode",
    "noise_floor",
    "plugins_may_fail",
    "predict",
    "predicted_noise_floor",
    "rate_plane",
    "rate_reason",
    "running_average",
    "spectral_radii",
    "stationary_variances",
    "tail_average",
    "trial_rates",
    "underdamped_remark",
]
