"""The scales on which hyperparameters are searched: the logarithm of a value, or of its distance to 1."""

import math
from dataclasses import dataclass

import numpy as np

from momentumlab.registry import Array, Parameter

RESOLUTION = 20
"""Values are rounded by at most this fraction of the distance between neighbours."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale on which the values of a hyperparameter are evenly spaced.

    Attributes
    ----------
    is_near_one
        Whether it is the logarithm of the distance to 1 instead of that of the value.
    """

    is_near_one: bool

    def forward(self, values: Array) -> Array:
        """Return the positions of values."""
        positions: Array = np.log1p(-values) if self.is_near_one else np.log(values)
        return positions

    def inverse(self, positions: Array) -> Array:
        """Return the values at positions."""
        return np.clip(-np.expm1(positions), 0.0, 1 - 2.0**-40) if self.is_near_one else np.exp(positions)

    def rounded(self, values: Array, spacing: float) -> Array:
        """Round values to the digits that a grid resolves, so that a printed value can be typed in and gives the same.

        Parameters
        ----------
        values
            The values.
        spacing
            The distance between neighbours on the scale.
        """
        # Rounding to n significant digits changes a logarithm by at most 10^(1 - n) / 2.
        digits = max(1, math.ceil(1 + math.log10(RESOLUTION / 2 / spacing)))
        if not self.is_near_one:
            return np.array([float(f"{value:.{digits}g}") for value in values.tolist()])
        places = [digits - 1 - math.floor(math.log10(1 - value)) for value in values.tolist()]
        return np.array([round(value, each) for value, each in zip(values.tolist(), places, strict=True)])

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
    """Whether a parameter lies between 0 and 1, as the β of the momentum family do."""
    return (parameter.ge, parameter.lt) == (0, 1)


def scale_of(parameter: Parameter) -> Scale:
    """Return the scale of a hyperparameter."""
    return Scale(is_near_one=is_fraction(parameter))
