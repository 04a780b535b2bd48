"""Surfaces from expressions, such as ``x**2/16 + 9*y**2``.

=============  ==================================================================
module         part
=============  ==================================================================
`tree`         what an expression is; its text and its LaTeX
`parser`       from text to a tree, by a closed grammar
`calculus`     derivatives of trees: the only module that loads SymPy
`program`      from trees to flat lists of NumPy calls
`bounds`       how low a tree can be anywhere
`critical`     the search for points of zero gradient
`surface`      the class of surfaces of an expression
=============  ==================================================================
"""

from momentumlab.surfaces.expressions.parser import ExpressionError
from momentumlab.surfaces.expressions.surface import ExpressionSurface, expression_class, named

__all__ = ["ExpressionError", "ExpressionSurface", "expression_class", "named"]
