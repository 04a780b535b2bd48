"""Surfaces of expressions, such as ``x**2/16 + 9*y**2``.

====================  ===========================================================
module                content
====================  ===========================================================
`syntax`              text to a tree of operations; limits and error messages
`program`             operations and their derivatives to flat lists of NumPy calls
`symbolic`            LaTeX, the only module that imports SymPy
`critical`            search for points of zero gradient
`expression_surface`  the surface class of an expression
====================  ===========================================================
"""

from momentumlab.surfaces.expressions.expression_surface import ExpressionSurface, expression_class, named
from momentumlab.surfaces.expressions.syntax import ExpressionError

__all__ = ["ExpressionError", "ExpressionSurface", "expression_class", "named"]
