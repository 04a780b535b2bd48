"""The conventions in which libraries and papers write momentum, Adam and RMSprop, and translations between them.

============  ===============================================================
module        part
============  ===============================================================
`base`        the interface, and `translate`
`forms`       momentum: torch, optax, tf1, keras, ema, qhm, papers
`adam_forms`  Adam, AdamW and RMSprop: torch, optax, keras
`proof`       runs of both conventions on test surfaces
`reading`     conventions from options and arguments
============  ===============================================================
"""

from momentumlab.conventions.adam_forms import AdaptiveConvention
from momentumlab.conventions.base import CONVENTIONS, Convention, Fidelity, Obstacle, Translation, translate
from momentumlab.conventions.forms import Filter, MomentumConvention, Shape
from momentumlab.conventions.proof import Check, prove

__all__ = [
    "CONVENTIONS",
    "AdaptiveConvention",
    "Check",
    "Convention",
    "Fidelity",
    "Filter",
    "MomentumConvention",
    "Obstacle",
    "Shape",
    "Translation",
    "prove",
    "translate",
]
