"""Problems on data: losses over the rows of a table, with one coordinate per weight of the model.

=========  =================================================================
module     content
=========  =================================================================
`linear`   least_squares, logistic, softmax
`network`  mlp
`base`     what they share: parameters, panels of lanes, mini-batches
=========  =================================================================
"""

from momentumlab.surfaces.data import linear, network
from momentumlab.surfaces.data.base import DataSurface

__all__ = ["DataSurface", "linear", "network"]
