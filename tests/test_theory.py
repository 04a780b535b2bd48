"""Theory: the numerical map against the published closed forms, and against what the engine does."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab import theory
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import make_plan
from momentumlab.report.figures.maps import map_figures
from momentumlab.report.predictions import explanation, predictions
from momentumlab.theory import (
    Prediction,
    Regime,
    TheoryDoesNotApplyError,
    lr_limit,
    mode,
    plane_theory,
    spectral_radii,
)
from tests.conftest import CONFIGS, Command
from tests.test_figures import assert_text_is_clear, told
from tests.test_sweep import PLANE

shares = st.floats(0.0, 0.999)
steps = st.floats(1e-3, 10.0)
"""lr times curvature."""


def made(name: str, **hyperparameters: Any) -> Any:
    return OPTIMIZERS[name](**hyperparameters)


def radius(name: str, lr: float, curvature: float, **hyperparameters: Any) -> float:
    return float(spectral_radii(made(name, **hyperparameters), np.array([lr]), np.array([curvature]))[0])


def largest_root(*coefficients: float) -> float:
    return float(np.abs(np.roots(coefficients)).max())


# Closed forms


@given(steps, shares, st.floats(0.01, 100))
def test_heavy_ball_has_the_roots_of_its_polynomial(step: float, beta: float, curvature: float) -> None:
    """z² − (1 + β − aλ) z + β; Polyak (1964)."""
    expected = largest_root(1, -(1 + beta - step), beta)
    assert radius("momentum", step / curvature, curvature, beta=beta) == pytest.approx(expected, rel=1e-6, abs=1e-7)


@given(steps, shares, st.floats(0.01, 100))
def test_nesterov_has_the_roots_of_its_polynomial(step: float, beta: float, curvature: float) -> None:
    """z² − (1 + β)(1 − aλ) z + β (1 − aλ); Lessard, Recht and Packard, arXiv 1408.3595."""
    expected = largest_root(1, -(1 + beta) * (1 - step), beta * (1 - step))
    assert radius("nesterov", step / curvature, curvature, beta=beta) == pytest.approx(expected, rel=1e-6, abs=1e-7)


@given(steps, st.floats(0.01, 100))
def test_gradient_descent_multiplies_by_one_minus_the_step(step: float, curvature: float) -> None:
    assert radius("sgd", step / curvature, curvature) == pytest.approx(abs(1 - step), rel=1e-12, abs=1e-12)


@given(st.floats(0.01, 0.98), st.floats(0.05, 0.95))
def test_heavy_ball_shrinks_by_the_root_of_beta_in_its_wedge(beta: float, place: float) -> None:
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    step = low + place * (high - low)
    assert radius("momentum", step, 1.0, beta=beta) == pytest.approx(math.sqrt(beta), rel=1e-10)
    assert mode(made("momentum", beta=beta), step, 1.0).regime is Regime.OSCILLATING


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
def test_the_limits_of_lr_are_the_published_ones(beta: float) -> None:
    assert lr_limit(made("momentum", beta=beta), 18.0) == pytest.approx(2 * (1 + beta) / 18, rel=1e-10)
    nesterov = 2 * (1 + beta) / (1 + 2 * beta) / 18
    assert lr_limit(made("nesterov", beta=beta), 18.0) == pytest.approx(nesterov, rel=1e-10)
    assert lr_limit(made("sgd"), 18.0) == pytest.approx(2 / 18, rel=1e-10)


@pytest.mark.parametrize("step", [0.01, 0.1, 0.5, 0.9])
def test_critical_damping_is_where_it_is_published(step: float) -> None:
    heavy_ball, nesterov = (1 - math.sqrt(step)) ** 2, (1 - math.sqrt(step)) / (1 + math.sqrt(step))
    for name, beta in (("momentum", heavy_ball), ("nesterov", nesterov)):
        assert mode(made(name, beta=beta), step, 1.0).regime is Regime.CRITICAL
        assert mode(made(name, beta=beta + 0.01), step, 1.0).regime is Regime.OSCILLATING
        assert mode(made(name, beta=max(beta - 0.01, 0)), step, 1.0).regime in (
            Regime.MONOTONE,
            Regime.ALTERNATING,
        )


def predicted(**settings_: Any) -> Prediction:
    plan = make_plan(momentumlab.load({"surface": "ravine", **settings_}))
    ((_, said),) = predictions(plan, 0)
    assert isinstance(said, Prediction)
    return said


@pytest.mark.parametrize(
    ("name", "best", "rate"),
    [
        ("sgd", {"lr": 0.1103448}, 143 / 145),
        ("momentum", {"lr": 32 / 169, "beta": (11 / 13) ** 2}, 11 / 13),
        ("nesterov", {"lr": 4 / (3 * 18 + 1 / 8), "beta": (math.sqrt(433) - 2) / (math.sqrt(433) + 2)}, 0.9038861),
    ],
)
def test_the_best_hyperparameters_of_the_ravine(name: str, best: dict[str, float], rate: float) -> None:
    """κ = 144: 4/(√L+√μ)² and ((√κ−1)/(√κ+1))² of Polyak; 4/(3L+μ) and (√(3κ+1)−2)/(√(3κ+1)+2) of Lessard et al."""
    prediction = predicted(optimizer=name)
    assert prediction.best_rate == pytest.approx(rate, abs=2e-5)
    for key, value in best.items():
        assert prediction.best[key] == pytest.approx(value, rel=2e-3)


def test_triple_momentum_has_the_rate_of_its_paper() -> None:
    rate = 1 - 1 / 12
    prediction = predicted(optimizer={"name": "triple_momentum", "kappa": 144.0}, lr=(1 + rate) / 18)
    assert prediction.rate == pytest.approx(11 / 12, rel=1e-6)


def test_the_lecture_example_says_which_directions_oscillate() -> None:
    plain, slower = predicted(optimizer="momentum", lr=0.1, beta=0.8), predicted(optimizer="momentum", lr=0.1, beta=0.9)
    for prediction, beta in ((plain, 0.8), (slower, 0.9)):
        assert [one.regime for one in prediction.modes] == [Regime.OSCILLATING] * 2
        assert prediction.rate == pytest.approx(math.sqrt(beta))
        assert {one.axis for one in prediction.modes} == {0, 1}
    (along_x,) = [one for one in slower.modes if one.axis == 0]
    assert along_x.period == pytest.approx(61.58, rel=1e-3)
    assert along_x.overshoot > 0.15


@given(st.floats(0.02, 1.5), st.floats(0.05, 0.95))
def test_the_period_of_heavy_ball_is_that_of_its_roots(step: float, beta: float) -> None:
    """cos φ = (1 + β − aλ) / (2 √β)."""
    cosine = (1 + beta - step) / (2 * math.sqrt(beta))
    if abs(cosine) < 0.99:
        expected = 2 * math.pi / math.acos(cosine)
        assert mode(made("momentum", beta=beta), step, 1.0).period == pytest.approx(expected, rel=1e-9)


# The engine does what theory says


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "aggmo", "triple_momentum"])
@pytest.mark.parametrize("step", [0.05, 0.7, 1.7])
def test_overshoot_and_growth_are_those_of_the_path(name: str, step: float) -> None:
    surface = {"name": "quadratic", "eigenvalues": [1.0]}
    path = momentumlab.run(surface=surface, optimizer=name, lr=step, start=[1.0], iterations=2000).positions[0, :, 0]
    said = mode(made(name), step, 1.0)
    if said.rate < 1:
        assert said.overshoot == pytest.approx(max(0.0, -path.min()), abs=1e-6)
        assert said.growth == pytest.approx(np.abs(path).max(), rel=1e-6)


LINEAR = ("sgd", "momentum", "nesterov", "momentum_ema", "qhm", "aggmo", "triple_momentum", "robust_momentum")


def measured_rate(name: str, lr: float, curvature: float, hyperparameters: dict[str, Any]) -> float:
    """The growth of the distance over many iterations, in windows much longer than a swing."""
    surface = {"name": "quadratic", "eigenvalues": [curvature]}
    settings_ = {"surface": surface, "optimizer": {"name": name, **hyperparameters}, "lr": lr, "start": [1.0]}
    losses = momentumlab.run({**settings_, "iterations": 3000}).losses[0]
    good = np.flatnonzero((losses > 1e-250) & (losses < 1e30))
    first, last = good[len(good) // 4], good[-1]
    window = max(1, (last - first) // 4)
    early, late = losses[first : first + window].max(), losses[last - window + 1 : last + 1].max()
    return float((late / early) ** (0.5 / (last - first - window + 1)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LINEAR), st.floats(0.05, 3.0), st.floats(0.0, 0.95), st.floats(0.1, 50))
def test_measured_rates_are_the_predicted_ones(name: str, step: float, beta: float, curvature: float) -> None:
    has_beta = any(parameter.name == "beta" for parameter in OPTIMIZERS[name].parameters())
    hyperparameters = {"beta": beta} if has_beta else {}
    lr = step / curvature * (1 - beta if name == "momentum_ema" else 1)
    rate = radius(name, lr, curvature, **hyperparameters)
    if 0.5 < rate < 1.5 and abs(rate - 1) > 2e-3:
        assert measured_rate(name, lr, curvature, hyperparameters) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_the_verdict_on_stability_is_that_of_the_engine(name: str) -> None:
    lrs, betas = np.linspace(0.001, 0.3, 200), np.linspace(0, 0.99, 200)
    settings_ = {"surface": "ravine", "optimizer": name, "lr": lrs.tolist(), "beta": betas.tolist(), "iterations": 2500}
    grown = momentumlab.run(settings_).final_losses.reshape(200, 200) > 0.72
    every_lr, every_beta = (mesh.ravel() for mesh in np.meshgrid(lrs, betas, indexing="ij"))
    optimizer = made(name, beta=every_beta)
    radii = [spectral_radii(optimizer, every_lr, np.full_like(every_lr, curvature)) for curvature in (0.125, 18.0)]
    unstable = (np.maximum(*radii) > 1).reshape(200, 200)
    wrong = grown != unstable
    assert wrong.mean() <= 1e-3
    near = np.zeros_like(unstable)
    near[1:] |= unstable[1:] != unstable[:-1]
    near[:-1] |= unstable[1:] != unstable[:-1]
    near[:, 1:] |= unstable[:, 1:] != unstable[:, :-1]
    near[:, :-1] |= unstable[:, 1:] != unstable[:, :-1]
    assert not (wrong & ~near).any()


@pytest.mark.parametrize("tolerance", [1e-6, 1e-10])
@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 0.1}, {"name": "momentum", "lr": 0.05, "beta": 0.9}])
def test_the_iterations_to_the_tolerance_are_about_those_that_are_made(
    optimizer: dict[str, Any], tolerance: float
) -> None:
    iterations = momentumlab.run(
        surface="ravine", optimizer=optimizer, tolerance=tolerance, iterations=5000
    ).iterations[0]
    expected = predicted(optimizer=optimizer, tolerance=tolerance).iterations_to_tolerance
    assert expected is not None
    assert iterations == pytest.approx(expected, rel=0.35)


def test_a_plane_has_the_rates_of_its_trials() -> None:
    settings_ = {"surface": "ravine", "optimizer": "nesterov", "lr": "geomspace(1e-3, 1, 9)", "beta": [0.0, 0.5, 0.9]}
    plan = make_plan(momentumlab.load(settings_))
    said = plane_theory(plan, 0, plan.trials)
    for number in range(plan.trials):
        ((_, alone),) = predictions(plan, number)
        assert isinstance(alone, Prediction)
        assert said.rates[number] == pytest.approx(alone.rate, rel=1e-9)
        for one in alone.modes:
            is_pair = abs(one.eigenvalues[0].imag) > theory.EQUAL * one.rate
            assert said.oscillates[one.curvature][number] == is_pair


def test_theory_is_drawn_where_the_engine_begins_to_diverge() -> None:
    settings_ = {**PLANE, "lr": "linspace(0.01, 0.3, 60)", "beta": "linspace(0, 0.98, 50)", "iterations": 1500}
    result = momentumlab.run(settings_)
    figure = map_figures(result, theory=True)["map_status"]()
    panel = figure.axes[0]
    boundary: Any = next(each for each in panel.collections if each.get_linewidth()[0] == pytest.approx(1.6))  # type: ignore[index]
    points = np.concatenate([path.vertices for path in boundary.get_paths()])
    for lr, beta in points[:: max(1, len(points) // 20)]:
        assert lr == pytest.approx(2 * (1 + beta) / 18, abs=0.01)
    assert "where it becomes unstable" in told(figure)
    assert_text_is_clear(figure)


def test_where_there_is_no_theory_the_map_says_so() -> None:
    result = momentumlab.run({**PLANE, "optimizer": "adam", "beta": None, "beta1": "linspace(0, 0.9, 9)"})
    assert "no theory: adam changes with time" in told(map_figures(result, theory=True)["map_loss"]())


# Where it does not apply


@pytest.mark.parametrize(
    "name", ["adam", "rmsprop", "lion", "rprop", "nesterov_convex", "ogm", "polyak_step", "momentum_restart",
             "schedule_free_sgd", "adadelta", "nesterov_restart"],
)  # fmt: skip
def test_where_theory_does_not_apply_it_says_so(name: str) -> None:
    plan = make_plan(momentumlab.load(surface="ravine", optimizer=name))
    ((_, said),) = predictions(plan, 0)
    assert isinstance(said, str)
    assert name in said
    assert "Theory does not apply" in "".join(explanation([(plan.surface_of(0).minima(2)[0], said)]))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("surface", ["ravine", "himmelblau", "saddle"])
def test_every_optimizer_gets_a_clear_answer(name: str, surface: str) -> None:
    if OPTIMIZERS[name].needs and surface == "saddle":
        return
    plan = make_plan(momentumlab.load(surface=surface, optimizer=name, lr=0.01))
    for _, said in predictions(plan, 0):
        if isinstance(said, Prediction):
            assert math.isfinite(said.rate)
            assert all(math.isfinite(one.overshoot) for one in said.modes)


def test_a_flat_direction_neither_shrinks_nor_grows() -> None:
    prediction = predicted(surface={"name": "quadratic", "eigenvalues": [0.0, 1.0]}, optimizer="momentum", lr=0.1)
    assert prediction.slowest.regime is Regime.NEUTRAL
    assert not prediction.stable
    assert prediction.best == {}


def test_a_step_that_changes_with_time_has_no_map() -> None:
    with pytest.raises(TheoryDoesNotApplyError, match="changes with time"):
        theory.check_steady(made("schedule_free_sgd"), 0.1, 1.0)


# The command


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_predictions_of_shipped_configurations_are_one_row_per_trial(config: Any, command: Command) -> None:
    done = command("predict", config, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert len(document["trials"]) == momentumlab.load(config).trials
    for trial in document["trials"]:
        assert (trial["rate"] is None) == (trial["why_not"] is not None)


def test_the_table_explains_itself(command: Command) -> None:
    done = command("predict", "--surface", "ravine", "--optimizer", "momentum", "--lr", "0.1", "--beta", "0.8,0.9")
    text = " ".join(done.stdout.split())
    for expected in (
        "along y",
        "a full swing in 61.6 iterations",
        "lr must stay below 0.2",
        "lr = 0.1893 and β = 0.716",
    ):
        assert expected in text


def test_a_comparison_cannot_be_predicted(command: Command) -> None:
    done = command("predict", "--surface", "ravine", "--optimizer", "sgd", "--lr", "tuned")
    assert done.returncode == 2
    assert "there is no one lr to predict" in done.stderr
