"""The scales on which hyperparameters are searched, and the ranges in which a search begins."""

import math
from dataclasses import dataclass

import numpy as np

from momentumlab.parameters import Array, Parameter

RESOLUTION = 20
"""Rounding changes a value by at most this part, 1/20, of the distance between neighbouring values."""

LR_RANGE = (1e-4, 10.0)
"""The default range of learning rates."""

HIGHEST_FRACTION = 0.99
"""The end of the default range of momenta and other decay rates, unless the default value is higher."""

DECADE = 10.0
"""A default range reaches two decades to either side of the default value."""

SMALLEST_SHARE = 1e-6
"""On a logarithmic scale that begins with 0, this share of the largest value is where the logarithm takes over."""

LARGEST = 1e50
"""The largest magnitude of a value that is searched."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale on which the values of a hyperparameter are evenly spaced.

    It is linear, or logarithmic in the distance to 1 or to ``origin``.

    Attributes
    ----------
    is_near_one
        Whether it is logarithmic in the distance to 1.
    is_linear
        Whether it is linear.
    origin
        The lower bound to which the distance is measured.
    offset
        Added to the distance, so that the origin itself has a position.
    """

    is_near_one: bool = False
    is_linear: bool = False
    origin: float = 0.0
    offset: float = 0.0

    def forward(self, values: Array) -> Array:
        """Return the positions of values."""
        if self.is_linear:
            return values
        positions: Array = np.log1p(-values) if self.is_near_one else np.log(values - self.origin + self.offset)
        return positions

    def inverse(self, positions: Array) -> Array:
        """Return the values at positions."""
        if self.is_linear:
            return positions
        if self.is_near_one:
            return np.clip(-np.expm1(positions), 0.0, 1 - 2.0**-40) + 0.0  # not −0
        distances = np.exp(positions) - self.offset
        return distances + self.origin if self.offset == 0 else np.maximum(distances, 0.0) + self.origin

    def rounded(self, values: Array, spacing: float) -> Array:
        """Round values to the digits that a grid resolves, so that a printed value can be typed in and gives the same.

        Parameters
        ----------
        values
            The values.
        spacing
            The distance between neighbours on the scale.
        """
        if self.is_linear:
            places = math.ceil(math.log10(RESOLUTION / 2 / spacing))
            return np.array([round(value, places) for value in values.tolist()])
        # Rounding to n significant digits changes a logarithm by at most 10^(1 - n) / 2.
        digits = max(1, math.ceil(1 + math.log10(RESOLUTION / 2 / spacing)))
        if not self.is_near_one and self.origin == 0:
            return np.array([float(f"{value:.{digits}g}") for value in values.tolist()])
        # The digits count from the first one of the distance to 1 or to the origin.
        distances = 1 - values if self.is_near_one else values - self.origin
        return np.array(
            [
                round(value, digits - 1 - math.floor(math.log10(distance))) if distance else value
                for value, distance in zip(values.tolist(), distances.tolist(), strict=True)
            ]
        )

    def grid(self, low: float, high: float, count: int) -> Array:
        """Return evenly spaced values, rounded except for the ends; a single value is in the middle of the range."""
        ends = self.forward(np.array([low, high]))
        spacing = abs(float(ends[1] - ends[0])) / max(1, count - 1)
        if count == 1:
            return self.rounded(self.inverse(ends.mean(keepdims=True)), min(spacing, 1.0))
        values = self.rounded(self.inverse(np.linspace(ends[0], ends[1], count)), spacing)
        values[0], values[-1] = low, high
        return values


def is_fraction(parameter: Parameter) -> bool:
    """Whether a parameter lies between 0 and 1, as β of momentum does."""
    return (parameter.ge, parameter.lt) == (0, 1)


def bounds_of(parameter: Parameter) -> tuple[float, float]:
    """Return the lower and the upper bound of a parameter; a missing bound is infinite."""
    low = parameter.gt if parameter.ge is None else parameter.ge
    high = parameter.lt if parameter.le is None else parameter.le
    return (-math.inf if low is None else low, math.inf if high is None else high)


def scale_of(parameter: Parameter, low: float, high: float) -> Scale:
    """Return the scale on which a hyperparameter is searched from ``low`` to ``high``.

    It is logarithmic in 1 − β for a decay rate β in [0, 1), linear between two other bounds, and otherwise logarithmic
    in the distance to a bound of at least 0. Without bounds it is logarithmic for positive values, else linear.
    """
    if is_fraction(parameter):
        return Scale(is_near_one=True)
    least, most = bounds_of(parameter)
    if math.isfinite(most) or (least < 0 and low <= 0):
        return Scale(is_linear=True)
    origin = max(least, 0.0)
    return Scale(origin=origin, offset=SMALLEST_SHARE * (high - origin) if low == origin else 0.0)


def default_range(parameter: Parameter) -> tuple[float, float] | None:
    """Return the range in which the search of a hyperparameter begins, which contains the default value.

    ``None`` if neither its bounds nor a positive default value suggest one.
    """
    least, most = bounds_of(parameter)
    default = math.nan if parameter.default is None else float(parameter.default)
    if parameter.name == "lr":
        return min(LR_RANGE[0], default or LR_RANGE[0]), max(LR_RANGE[1], default)
    if is_fraction(parameter):
        return 0.0, round(1 - (1 - default) / DECADE, 12) if default >= HIGHEST_FRACTION else HIGHEST_FRACTION
    if math.isfinite(least) and math.isfinite(most):
        margin = 0.01 * (most - least)  # a bound that is excluded is approached to 1 % of the interval
        low = least if parameter.ge is not None else min(least + margin, default)
        high = most if parameter.le is not None else max(most - margin, default)
        return low, high
    origin = max(least, 0.0)
    if math.isfinite(most) or not default >= origin or (default == 0 and least < 0):
        return None
    if default == origin:
        return origin, origin + 1.0
    low, high = (float(f"{origin + (default - origin) * factor:.4g}") for factor in (DECADE**-2, DECADE**2))
    return low, high
