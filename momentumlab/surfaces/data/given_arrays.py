"""Models for arrays in memory, such as ``momentumlab.logistic(X, y)``."""

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from momentumlab.datasets.in_memory import TARGET, add_arrays
from momentumlab.errors import ConfigError
from momentumlab.surfaces.data.base import DataSurface
from momentumlab.surfaces.data.linear import LeastSquares, Logistic, Softmax
from momentumlab.surfaces.data.network import MultilayerPerceptron


class DataSettings(TypedDict, total=False):
    """Settings of a model; see the parameters of `least_squares`."""

    l2: float
    standardise: bool
    intercept: bool
    batch_size: int
    validation: float


class NetworkSettings(DataSettings, total=False):
    """Settings of a neural network."""

    hidden: int


def least_squares(
    features: Any, targets: Any, *, names: Sequence[str] | None = None, **settings: Unpack[DataSettings]
) -> DataSurface:
    """Return half the mean squared error of a linear regression as a surface.

    Parameters
    ----------
    features
        The features, ``(rows, features)``.
    targets
        The target of each row, ``(rows,)``: a number here, a class in the classification models.
    names
        Names of the features; by default those of a DataFrame, or ``x1``, ``x2``, ….
    l2
        L2 penalty: adds l2/2 |w|² to the loss, intercept included. By default 0, in `logistic` and `softmax` 0.001.
    standardise, intercept
        Whether to scale each feature to mean 0 and variance 1, and to add a constant feature of 1; by default both.
    batch_size
        Rows of a mini-batch; 0, the default, for the exact gradient.
    validation
        Fraction of the rows held out for validation; by default 0.

    Raises
    ------
    ConfigError
        If the shapes do not match, a value is missing or not finite, or a setting is invalid.
    """
    return _surface(LeastSquares, features, targets, names, settings)


def logistic(
    features: Any, targets: Any, *, names: Sequence[str] | None = None, **settings: Unpack[DataSettings]
) -> DataSurface:
    """Return the loss of a logistic regression with two classes; parameters as in `least_squares`."""
    return _surface(Logistic, features, targets, names, settings)


def softmax(
    features: Any, targets: Any, *, names: Sequence[str] | None = None, **settings: Unpack[DataSettings]
) -> DataSurface:
    """Return the loss of a logistic regression with any number of classes; parameters as in `least_squares`."""
    return _surface(Softmax, features, targets, names, settings)


def mlp(
    features: Any, targets: Any, *, names: Sequence[str] | None = None, **settings: Unpack[NetworkSettings]
) -> DataSurface:
    """Return the loss of a classifier with one hidden layer of ``hidden`` units (6); others as in `least_squares`."""
    return _surface(MultilayerPerceptron, features, targets, names, settings)


def _surface(
    cls: type[DataSurface], features: Any, targets: Any, names: Sequence[str] | None, settings: Any
) -> DataSurface:
    values = {}
    for parameter in cls.parameters():
        if parameter.name in settings:
            try:
                values[parameter.name] = parameter.checked(settings[parameter.name])
            except ValueError as error:
                raise ConfigError.at(f"argument {parameter.name}", str(error)) from None
    if unknown := sorted(settings.keys() - values.keys()):
        raise TypeError(f"{cls.name}() got an unexpected keyword argument '{unknown[0]}'")
    surface = cls(data=add_arrays(features, targets, names), target=TARGET, **values)
    _ = surface.design  # reports classes that do not fit the model here, not in the middle of a run
    return surface
