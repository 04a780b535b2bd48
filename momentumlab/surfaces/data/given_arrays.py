"""Models for arrays in memory, such as ``momentumlab.logistic(X, y)``."""

from collections.abc import Sequence
from typing import Any

from momentumlab.datasets.in_memory import TARGET, add_arrays
from momentumlab.surfaces.data.base import DataSurface
from momentumlab.surfaces.data.linear import LeastSquares, Logistic, Softmax
from momentumlab.surfaces.data.network import MultilayerPerceptron


def least_squares(
    features: Any,
    targets: Any,
    *,
    l2: float = 0.0,
    names: Sequence[str] | None = None,
    standardise: bool = True,
    intercept: bool = True,
    batch_size: int = 0,
) -> DataSurface:
    """Return half the mean squared error of a linear regression as a surface.

    Parameters
    ----------
    features
        The features, ``(rows, features)``.
    targets
        The target of each row, ``(rows,)``: a number here, a class in the classification models.
    l2
        L2 penalty: adds l2/2 |w|² to the loss, intercept included.
    names
        Names of the features; by default those of a DataFrame, or ``x1``, ``x2``, ….
    standardise
        Whether each feature is scaled to mean 0 and variance 1.
    intercept
        Whether a feature that is 1 everywhere is added.
    batch_size
        Rows of a mini-batch; 0 for the exact gradient.

    Raises
    ------
    ConfigError
        If the shapes do not match, or a value is missing or not finite.
    """
    return _surface(LeastSquares, features, targets, names, standardise, intercept, batch_size, l2=l2)


def logistic(
    features: Any,
    targets: Any,
    *,
    l2: float = 1e-3,
    names: Sequence[str] | None = None,
    standardise: bool = True,
    intercept: bool = True,
    batch_size: int = 0,
) -> DataSurface:
    """Return the loss of a logistic regression with two classes; see `least_squares` for the parameters."""
    return _surface(Logistic, features, targets, names, standardise, intercept, batch_size, l2=l2)


def softmax(
    features: Any,
    targets: Any,
    *,
    l2: float = 1e-3,
    names: Sequence[str] | None = None,
    standardise: bool = True,
    intercept: bool = True,
    batch_size: int = 0,
) -> DataSurface:
    """Return the loss of a logistic regression with any number of classes; parameters as in `least_squares`."""
    return _surface(Softmax, features, targets, names, standardise, intercept, batch_size, l2=l2)


def mlp(
    features: Any,
    targets: Any,
    *,
    hidden: int = 6,
    l2: float = 0.0,
    names: Sequence[str] | None = None,
    standardise: bool = True,
    intercept: bool = True,
    batch_size: int = 0,
) -> DataSurface:
    """Return the loss of a classifier with one hidden layer of ``hidden`` units; others as in `least_squares`."""
    return _surface(
        MultilayerPerceptron, features, targets, names, standardise, intercept, batch_size, l2=l2, hidden=float(hidden)
    )


def _surface(
    cls: type[DataSurface],
    features: Any,
    targets: Any,
    names: Sequence[str] | None,
    standardise: bool,
    intercept: bool,
    batch_size: int,
    **parameters: Any,
) -> DataSurface:
    surface = cls(
        data=add_arrays(features, targets, names),
        target=TARGET,
        standardise=standardise,
        intercept=intercept,
        batch_size=float(batch_size),
        **parameters,
    )
    _ = surface.design  # reports classes that do not fit the model here, not in the middle of a run
    return surface
