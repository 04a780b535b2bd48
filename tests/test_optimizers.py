"""What every optimizer promises. A new optimizer in the catalogue is tested by all of this with nothing to add here."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.optimizers import OPTIMIZERS

RNG = np.random.default_rng(20261120)
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def run(name: str, **settings: Any) -> momentumlab.Result:
    return momentumlab.run({"surface": "ravine", "optimizer": name, "lr": 0.02, "iterations": 60}, **settings)


@every_optimizer
def test_step_is_pure_and_keeps_shapes(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    x, g = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5))
    state = optimizer.init(x)
    for t in range(1, 4):
        frozen = [x.copy(), g.copy(), *(np.array(leaf) for leaf in state)]
        velocity, following = optimizer.step(state, g, x, t)
        again, _ = optimizer.step(state, g, x, t)
        assert velocity.shape == x.shape
        assert velocity.tobytes() == again.tobytes()
        assert [np.shape(leaf) for leaf in following] == [np.shape(leaf) for leaf in state]
        for array, before in zip([x, g, *state], frozen, strict=True):
            assert np.asarray(array).tobytes() == before.tobytes()
        state = following


@every_optimizer
def test_state_has_lanes_last(name: str) -> None:
    state = OPTIMIZERS[name]().init(np.zeros((3, 5)))
    assert isinstance(state, tuple)
    assert all(leaf.shape[-1] == 5 for leaf in state)


@every_optimizer
def test_every_hyperparameter_changes_the_path(name: str) -> None:
    base = run(name)
    for parameter in OPTIMIZERS[name].parameters():
        default = parameter.default
        assert isinstance(default, float)
        other = default / 3 if parameter.lt is not None or parameter.name == "lr" else default + 0.5
        changed = run(name, **{parameter.name: other})
        assert changed.positions[0, 1:].tobytes() != base.positions[0, 1:].tobytes(), parameter.name


@every_optimizer
def test_bounds_are_enforced(name: str) -> None:
    for parameter in OPTIMIZERS[name].parameters():
        for bound, sign in ((parameter.gt, 0), (parameter.ge, -1), (parameter.lt, 0), (parameter.le, 1)):
            if bound is not None:
                with pytest.raises(momentumlab.ConfigError, match=parameter.name):
                    run(name, **{parameter.name: bound + sign * 1e-9})
        wrong: list[Any] = [float("nan"), float("inf"), "a", True, []]
        for value in wrong:
            with pytest.raises(momentumlab.ConfigError, match=parameter.name):
                run(name, **{parameter.name: value})


@every_optimizer
def test_aliases_are_read_and_the_canonical_name_is_kept(name: str) -> None:
    for parameter in OPTIMIZERS[name].parameters():
        for alias in parameter.aliases:
            result = run(name, lr=None, **{alias: 0.25})
            assert result.plan.trial(0).hyperparameters[parameter.name] == 0.25


@every_optimizer
def test_converges_on_an_easy_quadratic(name: str) -> None:
    surface = {"name": "quadratic", "eigenvalues": [1.0, 2.0]}
    lr = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    result = momentumlab.run({"surface": surface, "optimizer": name, "lr": lr, "start": [1, -1], "iterations": 3000})
    assert result.losses[0, 0] == 1.5
    assert np.nanmin(result.final_losses) < 1e-5  # RMSprop at a constant lr never comes nearer than about lr²


@every_optimizer
def test_stays_where_there_is_no_gradient(name: str) -> None:
    result = run(name, start=[0.0, 0.0], iterations=5)
    assert result.final_points.tolist() == [[0, 0]]


@every_optimizer
def test_is_finite_where_one_coordinate_has_no_gradient(name: str) -> None:
    result = run(name, start=[-2.4, 0.0])
    assert np.isfinite(result.positions).all()
    assert (result.positions[0, :, 1] == 0).all()


@every_optimizer
def test_says_all_that_people_need(name: str) -> None:
    cls = OPTIMIZERS[name]
    assert "←" in cls.equation
    assert cls.source
    assert cls.__doc__
    assert all(parameter.doc for parameter in cls.parameters())


# Identities that theory gives

settings_of_runs = settings(max_examples=25, deadline=None)


@settings_of_runs
@given(lr=st.floats(1e-4, 0.1))
def test_momentum_and_nesterov_without_beta_are_gradient_descent(lr: float) -> None:
    descent = run("sgd", lr=lr)
    for name in ("momentum", "nesterov"):
        assert run(name, lr=lr, beta=0.0).positions.tobytes() == descent.positions.tobytes()


@settings_of_runs
@given(lr=st.floats(1e-4, 0.1), beta=st.floats(0, 0.99))
def test_heavy_ball_in_closed_form(lr: float, beta: float) -> None:
    """On λ x²/2 the point obeys x₊ = (1 + β − lr λ) x − β x₋, a linear recurrence (Polyak 1964)."""
    x = run("momentum", lr=lr, beta=beta).positions[0]
    curvature = np.array([1 / 8, 18])
    scale = np.abs(x).max(axis=0)
    expected = (1 + beta - lr * curvature) * x[1:-1] - beta * x[:-2]
    np.testing.assert_allclose(x[2:] / scale, expected / scale, atol=1e-12)


@settings_of_runs
@given(lr=st.floats(1e-4, 0.05), beta=st.floats(0, 0.99))
def test_nesterov_in_its_two_sequence_form(lr: float, beta: float) -> None:
    """y = x + β (x − x₋), x₊ = y − lr ∇f(y) (Nesterov 1983): the package shows y."""
    shown = run("nesterov", lr=lr, beta=beta).positions[0]
    x = previous = y = shown[0]
    curvature = np.array([1 / 8, 18])
    for point in shown[1:]:
        previous, x = x, y - lr * curvature * y
        y = x + beta * (x - previous)
        np.testing.assert_allclose(point, y, atol=1e-12)


@settings_of_runs
@given(scale=st.floats(1e-3, 1e3))
def test_adaptive_methods_do_not_see_the_scale_of_the_loss(scale: float) -> None:
    for name in ("adagrad", "rmsprop", "adam"):
        plain = run(name, eps=1e-300)
        scaled = run(name, eps=1e-300, **{"surface.a": scale / 16, "surface.b": 9 * scale})
        np.testing.assert_allclose(scaled.positions, plain.positions, rtol=1e-8, atol=1e-10)
