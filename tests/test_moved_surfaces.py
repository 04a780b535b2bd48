"""Rotated and shifted variants of surfaces."""

from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.errors import ConfigError
from momentumlab.parameters import Array
from momentumlab.surfaces import SURFACES, Surface
from momentumlab.surfaces.base import plane_rotations
from momentumlab.surfaces.functions import complex_step

CASES = [
    ("rosenbrock", {"rotate": 30.0, "shift": (1.0, 2.0)}, 2),
    ("himmelblau", {"rotate": -75.0}, 2),
    ("styblinski_tang", {"rotate": 20.0, "shift": (0.5,)}, 4),
    ("x**2/16 + 9*y**2 + x*y", {"shift": (3.0, -1.0)}, 2),
    ("parabola", {"rotate": 10.0, "shift": (2.0,)}, 1),
    ("bbob_discus", {"rotate": 45.0, "instance": 3}, 3),
]


def points(surface: Surface, dim: int) -> Array:
    low, high = np.array(surface.window(dim)).T
    return np.random.default_rng(3).uniform(low, high, size=(20, dim)).T


@pytest.mark.parametrize(("name", "motion", "dim"), CASES)
def test_a_moved_surface_is_the_original_at_points_that_are_moved_back(
    name: str, motion: dict[str, Any], dim: int
) -> None:
    surface = SURFACES[f"moved({name})"](**motion)
    original = SURFACES[name](**{key: value for key, value in motion.items() if key not in ("rotate", "shift")})
    x = points(surface, dim)
    turned = plane_rotations(dim, motion.get("rotate", 0.0))
    z = turned.T @ (x - np.broadcast_to(motion.get("shift", (0.0,)), dim)[:, np.newaxis])
    np.testing.assert_allclose(surface.value(x), original.value(z), rtol=1e-10, atol=1e-10)
    scale = np.abs(surface.gradient(x)).max()
    np.testing.assert_allclose(surface.gradient(x), turned @ original.gradient(z), atol=1e-10 * scale)
    np.testing.assert_allclose(surface.gradient(x), complex_step(surface.value, x), atol=1e-10 * scale)
    for critical in surface.critical_points(dim):
        place = np.array(critical.point)[:, np.newaxis]
        assert np.abs(surface.gradient(place)).max() <= 1e-9 * scale
        assert surface.value(place)[0] == pytest.approx(critical.loss, abs=1e-12)
    if "hessian" in surface.provides(dim):
        expected = np.einsum("ij,jkl,mk->iml", turned, original.hessian(z), turned)
        np.testing.assert_allclose(surface.hessian(x), expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["momentum", "newton", "nesterov"])
def test_linear_methods_do_not_depend_on_the_motion(name: str) -> None:
    plain = momentumlab.run(surface="beale", optimizer=name, lr=0.01, start=[1.0, -0.5], iterations=40)
    turned = plane_rotations(2, 50.0)
    moved = momentumlab.run(
        surface={"name": "beale", "rotate": 50, "shift": [2, -3]}, optimizer=name, lr=0.01,
        start=(turned @ [1.0, -0.5] + [2, -3]).tolist(), iterations=40,
    )  # fmt: skip
    np.testing.assert_allclose(moved.positions[0], plain.positions[0] @ turned.T + [2, -3], atol=1e-9)


def test_motions_are_axes_of_any_surface_in_yaml_and_can_be_written_back() -> None:
    result = momentumlab.run(
        surface={"expression": "x**2 + a*y**2", "a": [4, 9], "rotate": [0, 30]}, optimizer="adam", lr=0.1, iterations=20
    )
    settings = [dict(trial.surface_parameters) for trial in result.plan]
    assert [(each["rotate"], each["a"]) for each in settings] == [(0, 4), (0, 9), (30, 4), (30, 9)]
    again = momentumlab.run(momentumlab.config.to_dict(result.experiment))
    assert np.array_equal(again.positions, result.positions)
    assert momentumlab.load(surface="moved(Beale)", optimizer="sgd").surface.name == "moved(beale)"


@pytest.mark.parametrize(
    ("surface", "message"),
    [
        ({"name": "beale", "shift": [1, 2, 3]}, "shift: has 3 numbers, but beale has 2 coordinates"),
        ({"name": "beal", "rotate": 3}, "did you mean 'beale'"),
        ({"name": "logistic", "rotate": 3}, "logistic is a loss on data and cannot be moved"),
        ("moved(nothing)", "unknown surface 'nothing'"),
    ],
)
def test_invalid_motions_are_rejected(surface: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=".*") as caught:
        momentumlab.load(surface=surface, optimizer="sgd")
    assert message in str(caught.value)


def test_label_noise_drives_iterates_to_the_flattest_minimum() -> None:
    """Blanc et al. (2020): without noise, descent stops where it meets the valley x·y = 1."""
    settings: dict[str, Any] = {"optimizer": "sgd", "lr": 0.08, "iterations": 4000}
    exact = momentumlab.run({**settings, "surface": {"name": "noisy_valley", "s": 0}})
    x, y = exact.final_points[0]
    assert x * y == pytest.approx(1, abs=1e-9)
    assert x > 3
    noisy = momentumlab.run({**settings, "surface": "noisy_valley", "replicates": 16, "seed": 2})
    assert np.abs(np.abs(noisy.final_points).mean(axis=0) - 1).max() < 0.15


def test_noisy_valley_follows_a_plain_loop() -> None:
    result = momentumlab.run(surface="noisy_valley", optimizer="sgd", lr=0.05, iterations=30, replicates=2, seed=9)
    for replicate in range(2):
        errors = np.random.default_rng([9, replicate, 0, 4]).standard_normal(256)
        x, y = 4.0, 0.5
        for error in errors[:30].tolist():
            rest = x * y - 1 - 0.5 * error
            x, y = x - 0.05 * rest * y, y - 0.05 * rest * x
        assert result.final_points[replicate] == pytest.approx([x, y], rel=1e-12)
