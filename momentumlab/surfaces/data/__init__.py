"""Problems on data: a loss over the rows of a table, in as many dimensions as the model has weights.

=========  ======================================================================================================
module     what it has
=========  ======================================================================================================
`linear`   least_squares, logistic, softmax
`network`  mlp
`base`     what they have in common: parameters, lanes in panels, batches of rows
`design`   from a table to features and targets: columns chosen, standardised, classes coded
`sets`     the sets that come with the package, and two moons
`table`    files to tables; CSV
`archive`  NPZ
=========  ======================================================================================================
"""

from momentumlab.surfaces.data import linear, network
from momentumlab.surfaces.data.base import DataSurface

__all__ = ["DataSurface", "linear", "network"]
