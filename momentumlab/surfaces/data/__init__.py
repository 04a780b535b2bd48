"""Losses over the rows of a table, with one coordinate per weight of the model.

==============  ==================================================
module          content
==============  ==================================================
`linear`        least_squares, logistic, softmax
`network`       mlp
`given_arrays`  the same models for arrays in memory
`base`          base class: parameters, mini-batches, panels of lanes
==============  ==================================================
"""

from momentumlab.surfaces.data import linear, network
from momentumlab.surfaces.data.base import DataSurface

__all__ = ["DataSurface", "linear", "network"]
