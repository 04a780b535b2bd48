"""Comparison of stated with numerical derivatives, and diagnosis of differences."""

from collections.abc import Callable

import numpy as np

from momentumlab.parameters import Array
from momentumlab.surfaces.functions import complex_step

STEP = 2e-3
"""Step of sixth-order central differences relative to the width of the window; their error is about 1e-12."""

DIGITS = 1e-6
"""Tolerance for central differences, relative to the gradient at the point."""

FINE_DIGITS = 1e-9
"""Tolerance for complex steps, which do not suffer from cancellation."""

CONSTANT = 1e-4
"""Relative spread of ratios, or of differences, that counts as constant."""


def disagreement(
    what: str,
    value: Callable[[Array], Array],
    stated: Array,
    x: Array,
    widths: Array,
    judge: str = "the values say",
) -> str:
    """Return a description of the error if a stated gradient is not the derivative of a function, else an empty string.

    Parameters
    ----------
    what
        Name of the gradient in the message.
    value
        The function, ``(dim, lanes) -> (lanes,)``.
    stated
        The stated gradient, ``(dim, lanes)``.
    x
        The points, ``(dim, lanes)``.
    widths
        Scale of each coordinate, ``(dim,)``.
    judge
        Phrase of the message that introduces the reference.
    """
    # Points where differences with two step sizes disagree, for example near a kink, are left out.
    coarse, fine = central(value, x, STEP * widths), central(value, x, STEP / 2 * widths)
    size = np.abs(fine).max(axis=0) + np.abs(stated).max(axis=0)
    rounding = 1e-13 * np.abs(value(x)) / (STEP * widths[:, np.newaxis])
    doubt = np.abs(fine - coarse)
    reliable = (doubt <= 1e-4 * size + 10 * rounding).all(axis=0)
    exact = complex_steps(value, x)
    if not reliable.any():
        if exact is None or not exact.any():
            return f"{what} cannot be checked: finite differences do not converge anywhere in the window"
        fine, doubt, reliable = exact, np.zeros_like(exact), np.ones_like(reliable)  # rough, but supports complex steps
    # Complex steps are a better reference where the function supports complex points. A function that drops the
    # imaginary part, as a modulus does, returns a wrong derivative: then they disagree with the differences.
    allowed = DIGITS * size + 100 * rounding + 10 * doubt
    expected, by = fine, f"by central differences, {judge}"
    if exact is not None and (np.abs(exact - fine) <= allowed)[:, reliable].all():
        # The last digits of x are uncertain, which matters for rough functions such as that of Weierstrass.
        neighbours = [complex_steps(value, x * (1 + k * np.finfo(np.float64).eps)) for k in (-2, 2)]
        changes = [np.abs(each - exact).max(axis=0) for each in neighbours if each is not None]
        sensitivity = 4 * np.max([np.zeros_like(size), *changes], axis=0)
        expected, allowed, by = exact, FINE_DIGITS * size + sensitivity, judge
    wrong = (~(np.abs(stated - expected) <= allowed)) & reliable
    if not wrong.any():
        return ""
    # Report the worst coordinate and point, with the most likely mistake.
    badness = np.where(wrong, np.abs(stated - expected) / (size + 1e-300), -1.0)
    i, lane = map(int, np.unravel_index(int(np.argmax(badness)), badness.shape))
    found = f"{what}, coordinate {i}, at {tuple(x[:, lane].round(4).tolist())} is {stated[i, lane]:.8g}"
    return f"{found}; {by} {expected[i, lane]:.8g}{_cause(stated[:, reliable], expected[:, reliable], i)}"


def _cause(stated: Array, expected: Array, i: int) -> str:
    """Return the most likely mistake in a coordinate, given its values at all points."""
    own, right = stated[i], expected[i]
    # In the order of how clearly a mistake shows: missing, swapped, wrong factor or sign, wrong constant.
    if not own.any():
        return ": it is zero everywhere, a term forgotten?"
    for j in range(len(stated)):
        if j != i and _equal(stated[j], right) and _equal(own, expected[j]):
            return f": coordinates {i} and {j} are swapped"
    large = np.abs(right) > 1e-3 * np.abs(right).max()
    ratios = own[large] / right[large]
    if large.any() and np.ptp(ratios) <= CONSTANT * np.abs(ratios).max():
        ratio = float(np.median(ratios))
        if abs(ratio + 1) <= CONSTANT:
            return ": the sign is reversed"
        factor, excess = (ratio, "large") if abs(ratio) > 1 else (1 / ratio, "small")
        return f": {ratio:.6g} times the expected value everywhere, too {excess} by a factor of {factor:.6g}?"
    differences = own - right
    if np.ptp(differences) <= CONSTANT * np.abs(differences).max():
        return f": off by {float(np.median(differences)):+.6g} everywhere, a constant term wrong?"
    return ""


def _equal(one: Array, other: Array) -> bool:
    return bool(np.allclose(one, other, rtol=CONSTANT, atol=CONSTANT * float(np.abs(other).max(initial=0.0))))


def central(value: Callable[[Array], Array], x: Array, steps: Array) -> Array:
    """Return the gradient by central differences of sixth order, ``(dim, lanes)``."""
    rows = []
    for i, step in enumerate(steps):
        total = np.zeros(x.shape[1])
        for distance, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
            ahead, behind = x.copy(), x.copy()
            ahead[i] += distance * step
            behind[i] -= distance * step
            total = total + weight * (value(ahead) - value(behind))
        rows.append(total / (60 * step))
    return np.stack(rows)


def complex_steps(value: Callable[[Array], Array], x: Array) -> Array | None:
    """Return the gradient by complex steps, ``(dim, lanes)``; ``None`` if the function does not support them."""
    try:
        with np.errstate(all="ignore"):
            gradient = complex_step(value, x)
    except Exception:  # a function that was not written for complex points can fail in any way
        return None
    return gradient if np.isfinite(gradient).all() else None
