"""The conventions in which libraries and papers write momentum, and translations between them.

=============  ================================================================
module         part
=============  ================================================================
`base`         what a convention is: a linear filter of gradients, and a step
`forms`        the catalogue: torch, optax, tf1, keras, ema, qhm and the papers'
`translation`  from one to another: the filters agree, or they do not, and why
`proof`        both run side by side, on surfaces where the answer can be seen
`reading`      from the options of a command to a convention
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
