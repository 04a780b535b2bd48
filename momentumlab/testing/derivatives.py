"""Checks of derivatives by finite and complex steps, and a diagnosis of differences."""

from collections.abc import Callable

import numpy as np

from momentumlab.registry import Array

STEP = 2e-3
"""The step of a sixth-order central difference, as a share of the view: its error is about 1e-12 of a smooth value."""

COMPLEX_STEP = 1e-30

DIGITS = 1e-6
"""The accuracy of central differences, as a share of the gradient at the point."""

FINE_DIGITS = 1e-9
"""The accuracy of complex steps, which do not suffer from cancellation."""

CONSTANT = 1e-4
"""Ratios that differ by at most this count as the same factor."""


def disagreement(
    what: str,
    value: Callable[[Array], Array],
    stated: Array,
    x: Array,
    widths: Array,
    judge: str = "the values say",
) -> str:
    """Return what is wrong with a gradient; nothing if it is the derivative of the value.

    The reference is the complex-step derivative if the function accepts complex points and the result agrees with
    central differences; otherwise central differences. Points where differences with two step sizes disagree, as near
    a kink, are ignored.

    Parameters
    ----------
    what
        Name of the gradient in the message.
    value
        ``(dim, lanes) -> (lanes,)``
    stated
        The gradient in question, ``(dim, lanes)``.
    x
        The points, ``(dim, lanes)``.
    widths
        The scale of each coordinate, ``(dim,)``.
    judge
        Phrase of the message that introduces the reference.
    """
    coarse, fine = central(value, x, STEP * widths), central(value, x, STEP / 2 * widths)
    size = np.abs(fine).max(axis=0) + np.abs(stated).max(axis=0)
    rounding = 1e-13 * np.abs(value(x)) / (STEP * widths[:, np.newaxis])
    doubt = np.abs(fine - coarse)
    reliable = (doubt <= 1e-4 * size + 10 * rounding).all(axis=0)
    if not reliable.any():
        return f"{what} cannot be judged: the value is not smooth anywhere in the view, as far as differences tell"
    allowed = DIGITS * size + 100 * rounding + 10 * doubt
    expected, by = fine, f"by central differences, {judge}"
    exact = complex_steps(value, x)
    if exact is not None and (np.abs(exact - fine) <= allowed)[:, reliable].all():
        expected, allowed, by = exact, np.broadcast_to(FINE_DIGITS * size, exact.shape), judge
    wrong = (~(np.abs(stated - expected) <= allowed)) & reliable
    if not wrong.any():
        return ""
    i, lane = _worst(np.where(wrong, np.abs(stated - expected) / (size + 1e-300), -1.0))
    used = np.flatnonzero(reliable)
    found = f"{what}, coordinate {i}, at {tuple(x[:, lane].round(4).tolist())} is {stated[i, lane]:.8g}"
    return f"{found}; {by} {expected[i, lane]:.8g}{_cause(stated[:, used], expected[:, used], i)}"


def _worst(badness: Array) -> tuple[int, int]:
    i, lane = np.unravel_index(int(np.argmax(badness)), badness.shape)
    return int(i), int(lane)


def _cause(stated: Array, expected: Array, i: int) -> str:
    """Return the most likely mistake, from how the coordinate differs at all points."""
    own, right = stated[i], expected[i]
    large = np.abs(right) > 1e-3 * np.abs(right).max()
    if not own.any():
        return ": it is zero everywhere, a term forgotten?"
    for j in range(len(stated)):
        if j != i and _alike(stated[j], right) and _alike(own, expected[j]):
            return f": coordinates {i} and {j} are swapped"
    ratios = own[large] / right[large]
    if large.any() and np.ptp(ratios) <= CONSTANT * np.abs(ratios).max():
        ratio = float(np.median(ratios))
        if abs(ratio + 1) <= CONSTANT:
            return ": the sign is turned"
        side = "much" if abs(ratio) > 1 else "little"
        factor = ratio if abs(ratio) > 1 else 1 / ratio
        return f": {ratio:.6g} times what it should be everywhere, a factor {factor:.6g} too {side}?"
    differences = own - right
    if np.ptp(differences) <= CONSTANT * np.abs(differences).max():
        return f": {float(np.median(differences)):+.6g} too much everywhere, a constant term wrong?"
    return ""


def _alike(one: Array, other: Array) -> bool:
    return bool(np.allclose(one, other, rtol=CONSTANT, atol=CONSTANT * float(np.abs(other).max(initial=0.0))))


def central(value: Callable[[Array], Array], x: Array, steps: Array) -> Array:
    """Return the gradient by central differences of sixth order, ``(dim, lanes)``."""
    rows = []
    for i, step in enumerate(steps):
        total = np.zeros(x.shape[1])
        for reach, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
            ahead, behind = x.copy(), x.copy()
            ahead[i] += reach * step
            behind[i] -= reach * step
            total = total + weight * (value(ahead) - value(behind))
        rows.append(total / (60 * step))
    return np.stack(rows)


def complex_steps(value: Callable[[Array], Array], x: Array) -> Array | None:
    """Return the gradient by complex steps, ``(dim, lanes)``; ``None`` if the function rejects complex points."""
    rows = []
    for i in range(len(x)):
        point = x.astype(np.complex128)
        point[i] += 1j * COMPLEX_STEP
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(value(point))  # type: ignore[arg-type]
        except Exception:  # whatever a function that is not meant for it does
            return None
        if result.dtype != np.complex128 or not np.isfinite(result).all():
            return None
        rows.append(result.imag / COMPLEX_STEP)
    return np.stack(rows)
