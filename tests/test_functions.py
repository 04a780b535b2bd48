"""Surfaces of Python functions: shapes, gradients and notes."""

import math
from typing import Any

import numpy as np
import pytest

from momentumlab.errors import ConfigError
from momentumlab.surfaces import SURFACES, from_function

pytestmark = pytest.mark.usefixtures("own_functions")

EXACT = SURFACES["rosenbrock"]()
X = np.random.default_rng(1).uniform(-2, 2, size=(2, 50))


def rosenbrock(x: Any) -> Any:
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def of_a_point(x: Any) -> Any:
    return float(rosenbrock(x)) if not np.iscomplexobj(x) else complex(rosenbrock(x))


def real_only(x: Any) -> Any:
    return np.vectorize(lambda a, b: math.fsum([(1 - a) ** 2, 100 * (b - a * a) ** 2]))(x[0], x[1])


@pytest.mark.parametrize(
    ("function", "gradient", "tolerance", "notes"),
    [
        (rosenbrock, None, 1e-13, 1),
        (rosenbrock, EXACT.gradient, 1e-15, 0),
        (of_a_point, None, 1e-13, 2),
        (real_only, None, 1e-7, 1),
        (rosenbrock, lambda p: EXACT.gradient(np.asarray(p).reshape(2, 1))[:, 0], 1e-15, 1),
    ],
)
def test_values_and_gradients_are_those_of_the_exact_surface(
    function: Any, gradient: Any, tolerance: float, notes: int
) -> None:
    surface = from_function(function, gradient, window=[(-2, 2), (-1, 3)], start=(-1.2, 1))
    np.testing.assert_allclose(surface.value(X), EXACT.value(X), rtol=1e-12)
    exact = EXACT.gradient(X)
    np.testing.assert_allclose(surface.gradient(X), exact, atol=tolerance * np.abs(exact).max())
    assert len(surface.notes(2)) == notes
    assert (surface.window(2), surface.default_start(2)) == (((-2, 2), (-1, 3)), (-1.2, 1))


def test_functions_that_drop_imaginary_parts_are_differentiated_by_differences() -> None:
    surface = from_function(lambda x: np.abs(x[0]) ** 3 + x[1] ** 2)
    assert surface.notes(2) == (f"{surface.name}: the gradient is computed by central differences",)
    expected = np.stack([3 * X[0] * np.abs(X[0]), 2 * X[1]])
    np.testing.assert_allclose(surface.gradient(X), expected, rtol=1e-6, atol=1e-8)


def test_a_function_that_changes_its_argument_is_called_with_copies() -> None:
    def careless(x: Any) -> Any:
        x *= x
        return x.sum(axis=0)

    surface = from_function(careless, lambda x: 2 * x)
    x = X.copy()
    np.testing.assert_allclose(surface.value(x), (X * X).sum(axis=0))
    np.testing.assert_array_equal(x, X)


def test_a_function_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match="argument surface: the function returns an array of shape"):
        from_function(lambda x: np.asarray([x[0], x[1], x[0]]))
