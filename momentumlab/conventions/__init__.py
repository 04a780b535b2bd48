"""The conventions in which libraries and papers write momentum, and translations between them.

=============  ================================================================
module         part
=============  ================================================================
`base`         the interface: a linear filter of gradients, and a step
`forms`        the conventions: torch, optax, tf1, keras, ema, qhm, papers
`translation`  translations, exact or not, and the reason
`proof`        runs of both conventions on test surfaces
`reading`      conventions from options and arguments
=============  ================================================================
"""

from momentumlab.conventions import forms
from momentumlab.conventions.base import CONVENTIONS, Convention, Filter, Shape
from momentumlab.conventions.proof import Check, prove
from momentumlab.conventions.translation import Fidelity, Obstacle, Translation, translate

__all__ = [
    "CONVENTIONS",
    "Check",
    "Convention",
    "Fidelity",
    "Filter",
    "Obstacle",
    "Shape",
    "Translation",
    "forms",
    "prove",
    "translate",
]
