"""LaTeX of expressions, by SymPy, which only this module imports; it is itself imported for figures and pages only.

SymPy receives objects made from the closed list of operations, never text.
"""

from fractions import Fraction
from typing import Any

import sympy

from momentumlab.surfaces.expressions.syntax import Operation

GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi", "rho",
    "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip


def latex(tree: Operation) -> str:
    """Return the LaTeX of an expression as it was written, within what matplotlib can typeset."""
    names = {sympy.Symbol(name): _latex_name(name) for name in tree.names}
    return str(sympy.latex(_as_written(tree), order="none", symbol_names=names))


def _latex_name(name: str) -> str:
    word = name.rstrip("0123456789").rstrip("_")
    index = name[len(word) :].lstrip("_")
    if word in GREEK:
        word = rf"\{word}"
    elif len(word) > 1:
        word = rf"\mathrm{{{word.replace('_', ' ')}}}"
    return f"{word}_{{{index}}}" if index else word


def _as_written(node: Operation) -> Any:
    """Return SymPy's expression without simplification, except that products are written as one fraction."""
    if node.kind == "number":
        value = node.constant or Fraction(0)
        is_integer = isinstance(value, Fraction) and value.denominator == 1 and value < 10**16
        return sympy.Integer(int(value)) if is_integer else sympy.Float(repr(float(value)))
    if node.kind == "name":
        return {"pi": sympy.pi, "e": sympy.E}.get(node.name) or sympy.Symbol(node.name)
    if node.kind in ("product", "quotient", "negative"):
        return _as_fraction(node)
    operands = [_as_written(operand) for operand in node.operands]
    match node.kind, operands:
        case "sum", _:
            return sympy.Add(*operands, evaluate=False)
        case "power", _:
            return sympy.Pow(*operands, evaluate=False)
        case "sqrt", (inner,):
            return sympy.Pow(inner, sympy.S.Half, evaluate=False)
        case "abs", _:
            return sympy.Abs(*operands, evaluate=False)
        case "log1p", (inner,):
            return sympy.log(sympy.Add(1, inner, evaluate=False), evaluate=False)
        case "expm1", (inner,):
            return sympy.Add(sympy.exp(inner, evaluate=False), -1, evaluate=False)
        case (("sign" | "min" | "max"), _):
            return sympy.Function(node.kind)(*operands, evaluate=False)
    return getattr(sympy, node.kind)(*operands, evaluate=False)


def _as_fraction(node: Operation) -> Any:
    """Return nested products, quotients and signs as one fraction with its sign in front."""
    # Collect the factors above and below the bar, and count the signs.
    above: list[Any] = []
    below: list[Any] = []
    sign = 1
    pending = [(node, False)]
    while pending:
        part, is_below = pending.pop()
        if part.kind == "product":
            pending += [(factor, is_below) for factor in reversed(part.operands)]
        elif part.kind == "quotient":
            pending += [(part.operands[1], not is_below), (part.operands[0], is_below)]
        elif part.kind == "negative":
            sign = -sign
            pending.append((part.operands[0], is_below))
        else:
            (below if is_below else above).append(_as_written(part))
    for factors in (above, below):
        factors.sort(key=lambda factor: not factor.is_Number)  # 2 x instead of x 2
    # The sign belongs to the leading number, if there is one; a factor of 1 is not written.
    if sign < 0 and above and above[0].is_Number:
        above[0] = -above[0]
    elif sign < 0:
        above.insert(0, sympy.S.NegativeOne)
    if above[:1] == [sympy.S.One] and (below or len(above) > 1):
        above = above[1:]
    if below:
        bottom = sympy.Mul(*below, evaluate=False) if len(below) > 1 else below[0]
        above.append(sympy.Pow(bottom, -1, evaluate=False))
    return sympy.Mul(*above, evaluate=False) if len(above) > 1 else above[0]
