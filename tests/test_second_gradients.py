"""Optimizers that evaluate a second gradient per iteration: the same errors, counted, and never exact by mistake."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.errors import PluginError
from momentumlab.optimizers import OPTIMIZERS, Here, Optimizer, Stateless, optimizer
from momentumlab.parameters import Array
from momentumlab.surfaces.data.base import _order
from momentumlab.surfaces.data.linear import Softmax
from tests.test_noise import errors_of

RAVINE: dict[str, Any] = {"surface": "ravine", "lr": 0.05, "iterations": 40, "start": [-2.4, 0.2]}


def noisy_path(name: str, replicate: int) -> Iterator[tuple[float, float]]:
    """Yield the iterates on x²/16 + 9y² in plain floats; both gradients of an iteration have the same error."""
    x, y, u, v = -2.4, 0.2, 0.0, 0.0
    for m, n in errors_of(3, replicate, 40):
        yield x, y
        g, h = x / 8 + 0.1 * m, 18 * y + 0.1 * n
        if name == "extragradient":
            a, b, beta = x - 0.05 * g, y - 0.05 * h, 0.0
        else:
            norm = math.hypot(g, h)
            a, b, beta = x + 0.05 * g / norm, y + 0.05 * h / norm, 0.9
        u, v = beta * u + a / 8 + 0.1 * m, beta * v + 18 * b + 0.1 * n
        x, y = x - 0.05 * u, y - 0.05 * v


@pytest.mark.parametrize("name", ["extragradient", "sam"])
def test_both_gradients_of_an_iteration_have_the_same_error(name: str) -> None:
    result = momentumlab.run({**RAVINE, "optimizer": name, "noise": 0.1, "replicates": 3, "seed": 3})
    for replicate in range(3):
        expected = np.array(list(noisy_path(name, replicate)))
        np.testing.assert_allclose(result.positions[replicate, :40], expected, rtol=1e-11, atol=1e-13)


def test_both_gradients_of_an_iteration_use_the_same_mini_batch() -> None:
    surface = {"name": "softmax", "data": "iris", "batch_size": 16}
    result = momentumlab.run({"surface": surface, "optimizer": "extragradient", "lr": 0.1, "iterations": 25, "seed": 5})
    model = Softmax(data="iris", batch_size=16.0)
    x = result.positions[0, 0][:, np.newaxis]
    for k in range(25):
        epoch, batch = divmod(k, 10)  # 150 rows
        rows = _order(150, 5, 0, epoch)[16 * batch : 16 * batch + 16]
        features, targets = model.design.features[rows], model.design.targets[rows]

        def gradient(x: Array, features: Array = features, targets: Array = targets) -> Array:
            scores = features @ x.reshape(5, 3)
            p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            return np.asarray((features.T @ (p - targets) / len(features)).reshape(-1, 1) + 1e-3 * x)

        x = x - 0.1 * gradient(x - 0.1 * gradient(x))
        np.testing.assert_allclose(result.positions[0, k + 1], x[:, 0], rtol=1e-9, atol=1e-12)


def test_every_gradient_is_counted() -> None:
    result = momentumlab.run({**RAVINE, "optimizer": ["sgd", "sam"], "gradient_tolerance": 1e-12})
    assert result.gradient_evaluations.tolist() == [41, 81]
    assert [row["gradient_evaluations"] for row in result.rows()] == [41, 81]
    compared = momentumlab.compare({
        "surface": "parabola", "optimizers": ["sgd", "extragradient"], "lr": 0.1, "iterations": 300,
    })  # fmt: skip
    (match,) = compared.matches
    reached = [int((losses <= match.targets[0]).argmax()) for losses in match.result.losses]
    assert match.evaluations_to_target[:, 0].tolist() == [reached[0], 2 * reached[1]]


@pytest.fixture
def cheat() -> Iterator[str]:
    """Yield the name of an optimizer that asks the surface for the exact gradient at another point."""

    @optimizer("cheat", lr=0.1)
    @dataclass(frozen=True, kw_only=True)
    class Cheat(Optimizer[Stateless]):
        """Gradient descent with an exact gradient."""

        equation, source = "x ← x − lr·∇f(x)", "an example"

        def init(self, x: Array) -> Stateless:
            return Stateless()

        def step(self, state: Stateless, g: Array, here: Here) -> tuple[Array, Stateless]:
            return here.surface.gradient(here.x), state

    yield "cheat"
    OPTIMIZERS.forget("cheat")


@pytest.mark.parametrize("source", [{"noise": 0.5}, {"surface": {"name": "logistic", "batch_size": 20}, "start": None}])
def test_an_exact_gradient_under_noise_is_an_error(cheat: str, source: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=r"test_second_gradients.py:\d+ in .*call here.gradient\(x\)"):
        momentumlab.run({key: value for key, value in {**RAVINE, **source}.items() if value}, optimizer=cheat)


def test_compiled_kernels_find_exact_gradients_under_noise_too(cheat: str) -> None:
    pytest.importorskip("numba")
    with pytest.raises(PluginError, match=r"call here.gradient\(x\)"):
        momentumlab.run(RAVINE, optimizer=cheat, noise=0.5, record="none", backend="numba")


@pytest.mark.parametrize("surface", ["ravine", "noisy_valley"])
@pytest.mark.parametrize("name", ["sam", "extragradient"])
def test_compiled_kernels_use_the_same_second_gradients(surface: str, name: str) -> None:
    pytest.importorskip("numba")
    settings: dict[str, Any] = {**RAVINE, "surface": surface, "optimizer": name, "noise": 0.1, "seed": 4}
    one, other = (momentumlab.run(settings, record="none", backend=backend) for backend in ("numpy", "numba"))
    assert np.array_equal(one.final_points, other.final_points)


def test_an_undeclared_second_gradient_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPTIMIZERS["sam"], "gradients_per_step", 1)
    with pytest.raises(RuntimeError, match="set gradients_per_step = 2"):
        momentumlab.run({**RAVINE, "optimizer": "sam"})


@pytest.mark.parametrize("lr", [0.01, 0.05, 0.054, 0.06])
def test_the_linear_theory_covers_extragradient(lr: float) -> None:
    """On a quadratic, an iteration multiplies each component by 1 − z + z² with z = lr·λ."""
    (trial,) = momentumlab.predict(surface="ravine", optimizer="extragradient", lr=lr)
    expected = max(1 - lr * curvature + (lr * curvature) ** 2 for curvature in (0.125, 18.0))
    assert trial.nearest is not None
    assert trial.nearest.rate == pytest.approx(expected, rel=1e-9)
