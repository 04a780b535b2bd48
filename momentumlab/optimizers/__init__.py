"""Optimizers.

===============  =================================================================
module           optimizers
===============  =================================================================
`momentum`       sgd, momentum, nesterov, momentum_ema, qhm, aggmo, signum
`accelerated`    nesterov_convex, ogm, triple_momentum, robust_momentum,
                 momentum_restart, nesterov_restart
`adaptive`       adagrad, rmsprop, adadelta, rprop
`adam`           adam, adamw, adamax, nadam, radam, adabelief, yogi, qhadam, lion,
                 adan
`schedule_free`  schedule_free_sgd, schedule_free_adamw
`extrapolation`  extragradient, sam
`informed`       polyak_step, newton
`base`           the base class; the registry `OPTIMIZERS`
===============  =================================================================

Modules and classes (`momentum`, `Adam`, …) are imported when they are first used.
"""

from typing import Any

from momentumlab.optimizers.base import OPTIMIZERS, Here, Optimizer, Stateless, optimizer

FAMILIES = {
    "momentum": (
        "sgd", "gd", "gradient_descent", "momentum", "heavy_ball", "polyak", "nesterov", "nag", "momentum_ema", "ema",
        "qhm", "quasi_hyperbolic", "aggmo", "aggregated_momentum", "signum",
    ),
    "accelerated": (
        "nesterov_convex", "fista", "ogm", "optimized_gradient", "triple_momentum", "tmm", "robust_momentum", "rmm",
        "momentum_restart", "heavy_ball_restart", "nesterov_restart", "fista_restart",
    ),
    "adaptive": ("adagrad", "rmsprop", "adadelta", "rprop"),
    "adam": ("adam", "adamw", "adamax", "nadam", "radam", "adabelief", "yogi", "qhadam", "lion", "adan"),
    "schedule_free": ("schedule_free_sgd", "schedule_free_adamw"),
    "extrapolation": ("extragradient", "korpelevich", "sam", "sharpness_aware"),
    "informed": ("polyak_step", "polyak_sgd", "newton"),
}  # fmt: skip

OPTIMIZERS.declare(__name__, FAMILIES)

__all__ = ["OPTIMIZERS", "Here", "Optimizer", "Stateless", "optimizer"]


def __getattr__(name: str) -> Any:
    return OPTIMIZERS.by_class_name(__name__, name)
