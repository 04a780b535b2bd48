"""The conventions in which libraries and papers write momentum, Adam and RMSprop, and translations between them.

=============  ================================================================
module         part
=============  ================================================================
`base`         the interface: a linear filter of gradients, and a step
`forms`        momentum: torch, optax, tf1, keras, ema, qhm, papers
`adam_forms`   Adam, AdamW and RMSprop: torch, optax, keras
`translation`  translations, exact or not, and the reason
`proof`        runs of both conventions on test surfaces
`reading`      conventions from options and arguments
=============  ================================================================
"""

from momentumlab.conventions import adam_forms, forms
from momentumlab.conventions.base import CONVENTIONS, Convention, Filter, MomentumConvention, Shape
from momentumlab.conventions.proof import Check, prove
from momentumlab.conventions.translation import Fidelity, Obstacle, Translation, translate

__all__ = [
    "CONVENTIONS",
    "Check",
    "Convention",
    "Fidelity",
    "Filter",
    "MomentumConvention",
    "Obstacle",
    "Shape",
    "Translation",
    "adam_forms",
    "forms",
    "prove",
    "translate",
]
