"""The catalogue of optimizers.

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
`informed`       polyak_step, newton
`base`           what an optimizer is; the registry `OPTIMIZERS`
===============  =================================================================
"""

from momentumlab.optimizers import accelerated, adam, adaptive, informed, momentum, schedule_free
from momentumlab.optimizers.base import OPTIMIZERS, Here, Optimizer, Stateless, optimizer

__all__ = [
    "OPTIMIZERS",
    "Here",
    "Optimizer",
    "Stateless",
    "accelerated",
    "adam",
    "adaptive",
    "informed",
    "momentum",
    "optimizer",
    "schedule_free",
]
