"""The functions of the BBOB suite against values of the package coco-experiment, and their gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

from momentumlab.parameters import Array
from momentumlab.surfaces import SURFACES, Tag
from momentumlab.surfaces.bbob import BBOB, oscillated, rotation, skewed
from momentumlab.surfaces.functions import complex_step
from tests.golden.generate_bbob import DIMENSIONS, INSTANCES, points

VALUES = json.loads((Path(__file__).parent / "golden" / "bbob.json").read_text(encoding="utf-8"))
NUMBERS = range(1, 25)


def function(number: int, instance: int) -> BBOB:
    surface = SURFACES[f"bbob_f{number}"](instance=instance)  # type: ignore[call-arg]
    assert isinstance(surface, BBOB)
    return surface


@pytest.mark.parametrize("number", NUMBERS)
def test_values_agree_with_coco(number: int) -> None:
    for dim in DIMENSIONS:
        for instance in INSTANCES:
            surface = function(number, instance)
            expected = np.array(VALUES[f"f{number} i{instance} d{dim}"])
            found = surface.value(points(dim))
            assert (np.abs(found - expected) <= 1e-9 * (1 + np.abs(expected - surface.lowest))).all()


@pytest.mark.parametrize("number", NUMBERS)
def test_gradients_are_complex_step_derivatives(number: int) -> None:
    for dim in DIMENSIONS:
        surface, x = function(number, 4), points(dim)
        expected = complex_step(surface.value, x)
        # Rounding of the argument moves Weierstrass's waves of length 6e-6.
        scale = np.abs(expected).max(axis=0)
        np.testing.assert_allclose(surface.gradient(x), expected, rtol=0, atol=(1e-7 * scale + 1e-12).max())


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dim", [2, 5, 40])
def test_the_minimum_is_the_stated_one(number: int, dim: int) -> None:
    surface = function(number, 2)
    (best,) = surface.critical_points(dim)
    x = np.array(best.point)[:, np.newaxis]
    assert surface.value(x)[0] == pytest.approx(best.loss, abs=1e-9)
    around = x + np.random.default_rng(0).normal(size=(dim, 200)) * 10.0 ** np.linspace(-6, 0, 200)
    assert (surface.value(around) >= best.loss - 1e-9).all()


@pytest.mark.parametrize("beta", [0.1, 0.2, 0.5])
def test_distortions_have_the_stated_derivatives(beta: float) -> None:
    x = np.random.default_rng(1).normal(size=(4, 30)) * 10.0 ** np.linspace(-4, 1, 30)

    def slopes(distortion: object) -> Array:
        stepped = x + 1e-30j * np.abs(x)
        return np.asarray(distortion(stepped)[0].imag / (1e-30 * np.abs(x)))  # type: ignore[operator]

    np.testing.assert_allclose(oscillated(x)[1], slopes(oscillated), rtol=1e-10)
    np.testing.assert_allclose(skewed(x, beta)[1], slopes(lambda z: skewed(z, beta)), rtol=1e-10)


def test_rotations_are_orthogonal_and_differ_between_instances() -> None:
    one, other = rotation(20, 1), rotation(20, 2)
    np.testing.assert_allclose(one.T @ one, np.eye(20), atol=1e-13)
    assert np.abs(one - other).max() > 0.1


def test_the_suite_has_24_functions_with_a_tag() -> None:
    tagged = [cls for cls in SURFACES.values() if Tag.BBOB in cls.tags]
    assert [getattr(cls, "number", 0) for cls in tagged] == [*NUMBERS]
