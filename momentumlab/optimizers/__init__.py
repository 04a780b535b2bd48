"""The catalogue of optimizers.

=============  =======================================================
module         optimizers
=============  =======================================================
`momentum`     sgd, momentum, nesterov
`adaptive`     adagrad, rmsprop, adam
`base`         what an optimizer is; the registry `OPTIMIZERS`
=============  =======================================================
"""

from momentumlab.optimizers import adaptive, momentum
from momentumlab.optimizers.base import OPTIMIZERS, Optimizer, Stateless, optimizer

__all__ = ["OPTIMIZERS", "Optimizer", "Stateless", "adaptive", "momentum", "optimizer"]
