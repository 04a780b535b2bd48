"""Theory: the numerical map against the published closed forms, and against what the engine does."""

import itertools
import json
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab import theory
from momentumlab.optimizers import OPTIMIZERS, Here, Optimizer
from momentumlab.parameters import Array
from momentumlab.plan import make_plan
from momentumlab.report.prediction_table import PredictionReport, explanation
from momentumlab.surfaces.quadratics import Parabola
from momentumlab.theory import (
    Prediction,
    Regime,
    TheoryDoesNotApplyError,
    compromises,
    lr_limits,
    measured_rate,
    mode,
    rate_plane,
    rate_reason,
    spectral_radii,
    stationary_variances,
    trial_rates,
    underdamped_remark,
)
from momentumlab.theory.linear_map import checked_map, simulated
from momentumlab.theory.modes import responses as unit_responses
from momentumlab.theory.rate_fits import agrees, oscillation_rate
from tests.conftest import CONFIGS, Command
from tests.papers import heavy_ball_variance, nesterov_variance

shares = st.floats(0.0, 0.999)
steps = st.floats(1e-3, 10.0)
"""lr times curvature."""


def made(name: str, **hyperparameters: Any) -> Any:
    return OPTIMIZERS[name](**hyperparameters)


def radius(name: str, lr: float, curvature: float, **hyperparameters: Any) -> float:
    return float(spectral_radii(made(name, **hyperparameters), np.array([lr]), np.array([curvature]))[0])


# Closed forms


@given(steps, shares, st.floats(0.01, 100))
def test_rates_are_the_largest_roots_of_the_published_polynomials(step: float, beta: float, curvature: float) -> None:
    """Polyak (1964); Lessard, Recht and Packard, arXiv 1408.3595."""
    polynomials = {
        "momentum": (1, -(1 + beta - step), beta),
        "nesterov": (1, -(1 + beta) * (1 - step), beta * (1 - step)),
    }
    for name, coefficients in polynomials.items():
        expected = float(np.abs(np.roots(coefficients)).max())
        assert radius(name, step / curvature, curvature, beta=beta) == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert radius("sgd", step / curvature, curvature) == pytest.approx(abs(1 - step), rel=1e-12, abs=1e-12)


def test_the_largest_stable_learning_rates_are_the_published_ones() -> None:
    """Heavy ball 2 (1 + β) / λ, Nesterov 2 (1 + β) / ((1 + 2β) λ), gradient descent 2 / λ, for many β at once."""
    betas = np.linspace(0, 0.999, 50)
    heavy_ball, nesterov = (lr_limits(made(name, beta=betas), [0.125, 18.0]) for name in ("momentum", "nesterov"))
    assert heavy_ball == pytest.approx(2 * (1 + betas) / 18, rel=1e-12)
    assert nesterov == pytest.approx(2 * (1 + betas) / (1 + 2 * betas) / 18, rel=1e-12)
    assert lr_limits(made("sgd"), [18.0]) == pytest.approx([2 / 18], rel=1e-12)


def test_a_method_that_is_unstable_at_every_lr_has_no_limit() -> None:
    assert np.isnan(lr_limits(made("momentum", beta=np.array([0.0, 0.9])), [-1.0, 2.0])).all()
    assert lr_limits(made("newton"), [-1.0, 2.0]) == pytest.approx([2.0], rel=1e-12)


def test_the_stability_limit_separates_decaying_from_growing_runs() -> None:
    nus = np.linspace(0.05, 0.95, 4)
    for nu, limit in zip(nus, lr_limits(made("qhm", nu=nus), [0.125, 18.0]), strict=True):
        lrs = [0.99 * limit, 1.01 * limit]
        result = momentumlab.run(
            surface="ravine", optimizer="qhm", nu=float(nu), lr=lrs, iterations=4000, record="none"
        )
        assert result.final_losses[0] < 1e-3
        assert result.final_losses[1] > 1e3


@pytest.mark.parametrize("step", [0.01, 0.1, 0.5, 0.9])
def test_critical_damping_agrees_with_the_published_formulas(step: float) -> None:
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
    ((_, said),) = PredictionReport(plan=plan)[0].points
    assert isinstance(said, Prediction)
    return said


@pytest.mark.parametrize(
    ("name", "best", "rate"),
    [
        ("sgd", {"lr": 16 / 145}, 143 / 145),
        ("momentum", {"lr": 32 / 169, "beta": (11 / 13) ** 2}, 11 / 13),
        (
            "nesterov",
            {"lr": 4 / (3 * 18 + 1 / 8), "beta": (math.sqrt(433) - 2) / (math.sqrt(433) + 2)},
            1 - 2 / math.sqrt(433),
        ),
    ],
)
def test_the_best_hyperparameters_of_the_ravine(name: str, best: dict[str, float], rate: float) -> None:
    """κ = 144: 4/(√L+√μ)² and ((√κ−1)/(√κ+1))² of Polyak; 4/(3L+μ) and (√(3κ+1)−2)/(√(3κ+1)+2) of Lessard et al."""
    prediction = predicted(optimizer=name)
    assert prediction.best_rate == pytest.approx(rate, abs=1e-7)  # a double eigenvalue: half of the digits
    for key, value in best.items():
        assert prediction.best[key] == pytest.approx(value, rel=1e-12)


def test_the_best_hyperparameters_of_an_averaged_velocity_are_those_of_heavy_ball() -> None:
    """With v ← βv + (1 − β) g, the best lr is that of Polyak divided by 1 − β, which the search must find."""
    prediction = predicted(optimizer="momentum_ema")
    beta = (11 / 13) ** 2
    assert prediction.best_rate == pytest.approx(11 / 13, abs=1e-6)
    assert prediction.best == pytest.approx({"lr": 32 / 169 / (1 - beta), "beta": beta}, rel=1e-5)


def test_triple_momentum_has_the_rate_of_its_paper() -> None:
    rate = 1 - 1 / 12
    prediction = predicted(optimizer={"name": "triple_momentum", "kappa": 144.0}, lr=(1 + rate) / 18)
    assert prediction.rate == pytest.approx(11 / 12, rel=1e-6)


def test_both_directions_of_the_lecture_example_oscillate() -> None:
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


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(LINEAR), st.floats(0.05, 3.0), st.floats(0.0, 0.95), st.floats(0.1, 50))
def test_predicted_and_measured_rates_agree_with_the_engine(
    name: str, step: float, beta: float, curvature: float
) -> None:
    """The independent measurement is the growth of the loss between two windows much longer than a swing."""
    has_beta = any(parameter.name == "beta" for parameter in OPTIMIZERS[name].parameters())
    result = momentumlab.run(
        surface={"name": "quadratic", "eigenvalues": [curvature]},
        optimizer={"name": name, **({"beta": beta} if has_beta else {})},
        lr=step / curvature * (1 - beta if name == "momentum_ema" else 1), start=[1.0], iterations=3000,
    )  # fmt: skip
    (rate,) = trial_rates(result)
    assert rate.predicted is not None
    if 0.5 < rate.predicted < 1.5 and abs(rate.predicted - 1) > 2e-3:
        losses = result.losses[0]
        good = np.flatnonzero((losses > 1e-250) & (losses < 1e30))
        first, last = good[len(good) // 4], good[-1]
        window = max(1, (last - first) // 4)
        early, late = losses[first : first + window].max(), losses[last - window + 1 : last + 1].max()
        assert (late / early) ** (0.5 / (last - first - window + 1)) == pytest.approx(rate.predicted, rel=0.01)
        assert rate.measured == pytest.approx(rate.predicted, rel=0.01)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_the_verdict_on_stability_is_that_of_the_engine(name: str) -> None:
    lrs, betas = np.linspace(0.001, 0.3, 80), np.linspace(0, 0.99, 80)
    settings_ = {"surface": "ravine", "optimizer": name, "lr": lrs.tolist(), "beta": betas.tolist(), "iterations": 2500}
    grown = momentumlab.run(settings_, record="none").final_losses.reshape(80, 80) > 0.72
    every_lr, every_beta = (mesh.ravel() for mesh in np.meshgrid(lrs, betas, indexing="ij"))
    optimizer = made(name, beta=every_beta)
    radii = [spectral_radii(optimizer, every_lr, np.full_like(every_lr, curvature)) for curvature in (0.125, 18.0)]
    unstable = (np.maximum(*radii) > 1).reshape(80, 80)
    wrong = grown != unstable
    assert wrong.mean() <= 1e-3
    # Only settings beside the limit may be too slow to show growth or decay within the run.
    padded = np.pad(unstable, 1, mode="edge")
    near = (padded[:-2, 1:-1] != unstable) | (padded[2:, 1:-1] != unstable)
    near |= (padded[1:-1, :-2] != unstable) | (padded[1:-1, 2:] != unstable)
    assert not (wrong & ~near).any()


@pytest.mark.parametrize("patience", [1, 5])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-10])
@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 0.1}, {"name": "momentum", "lr": 0.05, "beta": 0.9}])
def test_the_predicted_iterations_to_the_tolerance_are_those_that_are_made(
    optimizer: dict[str, Any], tolerance: float, patience: int
) -> None:
    settings_: dict[str, Any] = {"optimizer": optimizer, "tolerance": tolerance, "patience": patience}
    iterations = momentumlab.run(settings_, surface="ravine", iterations=5000).iterations[0]
    assert predicted(**settings_).iterations_to_tolerance == iterations


@pytest.mark.parametrize("eigenvalues", [[1.0], [1.0, 40.0]])
@pytest.mark.parametrize(
    "test", [{"tolerance": 1e-12}, {"tolerance": 1e-12, "patience": 5}, {"target_loss": 1e-12, "patience": 5},
             {"gradient_tolerance": 1e-6}, {"gradient_tolerance": 1e-6, "target_loss": 1e-9}],
)  # fmt: skip
def test_the_predicted_iterations_of_a_slow_run_are_those_of_the_closed_form(
    test: dict[str, Any], eigenvalues: list[float]
) -> None:
    """Gradient descent on x²/2 from 1: after k iterations x = ρᵏ. The steep direction has long decayed."""
    rho = 1 - 1e-5
    surface, start = {"name": "quadratic", "eigenvalues": eigenvalues}, [1.0] * len(eigenvalues)
    prediction = predicted(surface=surface, optimizer="sgd", lr=1e-5, start=start, **test)
    needed = [
        *(math.log(2 * test[name]) / (2 * math.log(rho)) for name in test if name == "target_loss"),
        *(math.log(test[name]) / math.log(rho) for name in test if name == "gradient_tolerance"),
    ]
    if "tolerance" in test:
        before = math.log(2 * test["tolerance"] / (1 - rho**2)) / (2 * math.log(rho))
        needed.append(before + test.get("patience", 1))
    assert prediction.iterations_to_tolerance == pytest.approx(min(needed), abs=1e-3)


def test_a_plane_has_the_rates_of_its_trials() -> None:
    settings_ = {"surface": "ravine", "optimizer": "nesterov", "lr": "geomspace(1e-3, 1, 4)", "beta": [0.0, 0.5, 0.9]}
    plan = make_plan(momentumlab.load(settings_))
    plane = rate_plane(plan, 0, plan.trials)
    for number in range(plan.trials):
        ((_, single),) = PredictionReport(plan=plan)[number].points
        assert isinstance(single, Prediction)
        assert plane.rates[number] == pytest.approx(single.rate, rel=1e-9)
        for one in single.modes:
            row = plane.curvatures.index(one.curvature)
            assert abs(plane.eigenvalues[row, number]) == pytest.approx(one.rate, rel=1e-9)
            oscillates = abs(one.eigenvalues[0].imag) > theory.EQUAL * one.rate
            assert oscillates == (plane.discriminants[row, number] < 0)


# Where it does not apply


@pytest.mark.parametrize(
    "name", ["adagrad", "yogi", "lion", "rprop", "nesterov_convex", "ogm", "polyak_step", "momentum_restart",
             "schedule_free_sgd", "schedule_free_adamw", "nesterov_restart"],
)  # fmt: skip
def test_the_message_names_the_method_to_which_theory_does_not_apply(name: str) -> None:
    plan = make_plan(momentumlab.load(surface="ravine", optimizer=name))
    ((_, said),) = PredictionReport(plan=plan)[0].points
    assert isinstance(said, str)
    assert name in said
    assert "Theory does not apply" in "".join(explanation([(plan.surface_of(0).minima(2)[0], said)]))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("surface", ["ravine", "himmelblau", "saddle"])
def test_every_optimizer_gets_a_clear_answer(name: str, surface: str) -> None:
    if OPTIMIZERS[name].requires and surface == "saddle":
        return
    plan = make_plan(momentumlab.load(surface=surface, optimizer=name, lr=0.01))
    for _, said in PredictionReport(plan=plan)[0].points:
        if isinstance(said, Prediction):
            assert math.isfinite(said.rate)
            assert all(math.isfinite(one.overshoot) == (said.is_linear and one.rate <= 1) for one in said.modes)


FLAT_SURFACES = (
    {"name": "quadratic", "eigenvalues": [0.0, 1.0]},
    {"name": "quadratic", "eigenvalues": [0.0, 1.0, 3.0], "rotation": 30},
)


@pytest.mark.parametrize("surface", FLAT_SURFACES)
def test_a_flat_direction_of_a_quadratic_is_neutral(surface: dict[str, Any]) -> None:
    """Rounding must not turn it into one that curves downwards, and the others decide."""
    prediction = predicted(surface=surface, optimizer="momentum", lr=0.1, tolerance=1e-8)
    assert prediction.modes[-1].regime is Regime.NEUTRAL
    assert prediction.modes[-1].curvature == 0
    assert prediction.stable
    assert prediction.rate == pytest.approx(math.sqrt(0.9))
    assert "does not move" in " ".join(explanation([(prediction.point, prediction)]))
    result = momentumlab.run(surface=surface, optimizer="momentum", lr=0.1, tolerance=1e-8, iterations=1000)
    assert result.iterations[0] == prediction.iterations_to_tolerance
    (rate,) = trial_rates(result)
    assert rate.measured == pytest.approx(rate.predicted, rel=1e-3)


def test_least_squares_with_more_weights_than_rows_converges_as_predicted() -> None:
    """Two of five directions are flat; rounding must not make their curvature negative."""
    rng = np.random.default_rng(0)
    surface = momentumlab.least_squares(rng.standard_normal((3, 5)), rng.standard_normal(3))
    prediction = predicted(surface=surface, optimizer="momentum", lr=0.05, tolerance=1e-10)
    assert prediction.modes[-1].curvature == 0
    assert prediction.stable
    result = momentumlab.run(surface=surface, optimizer="momentum", lr=0.05, tolerance=1e-10, iterations=5000)
    assert result.iterations[0] == prediction.iterations_to_tolerance
    (rate,) = trial_rates(result)
    assert rate.measured == pytest.approx(rate.predicted, rel=1e-3)


@pytest.mark.parametrize("surface", ["x**4", "monkey_saddle", "sum_of_powers"])
def test_flat_directions_of_other_surfaces_are_left_to_higher_orders(surface: str) -> None:
    plan = make_plan(momentumlab.load(surface=surface, optimizer="momentum", lr=0.01))
    ((_, said), *_) = PredictionReport(plan=plan)[0].points
    assert isinstance(said, str)
    assert "higher-order terms" in said


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
        "a period of 61.6 iterations",
        "lr must be below 0.2",
        "lr = 0.1893 and β = 0.716",
    ):
        assert expected in text


def test_a_comparison_cannot_be_predicted(command: Command) -> None:
    done = command("predict", "--surface", "ravine", "--optimizer", "sgd", "--lr", "tuned")
    assert done.returncode == 2
    assert "a comparison searches hyperparameters" in done.stderr


# Measured beside predicted


@given(st.floats(0.8, 1.2), st.floats(0.0, 3.0), st.integers(60, 400))
def test_oscillations_do_not_change_the_measured_rate(rate: float, angle: float, length: int) -> None:
    k = np.arange(length)
    distances: Array = rate**k * np.abs(np.cos(angle * k))
    if angle == 0 or 2 * math.pi / angle < length / 6:
        assert measured_rate(distances, k) == pytest.approx(rate, rel=0.02)


def test_distances_within_rounding_are_ignored() -> None:
    k = np.arange(400)
    distances: Array = np.exp(np.maximum(k * math.log(0.8), math.log(1e-13)))
    assert measured_rate(distances, k, floor=1e-12) == pytest.approx(0.8, rel=1e-9)
    assert measured_rate(distances, k) != pytest.approx(0.8, rel=1e-2)


@pytest.mark.parametrize(("rate", "stride"), [(0.9, 1), (0.97, 3), (1.04, 2)])
def test_a_damped_oscillation_has_its_rate_before_a_period_is_complete(rate: float, stride: int) -> None:
    k = stride * np.arange(12)
    values: Array = rate**k * np.cos(0.05 * k + 0.3)
    assert oscillation_rate(values, stride) == pytest.approx(rate, rel=1e-9)
    assert oscillation_rate(rate**k + 0.5 ** k.astype(float), stride) is None  # two exponentials
    assert oscillation_rate(np.where(k > 3 * stride, 0.0, values), stride) is None  # exactly at the minimum
    assert oscillation_rate(values[:8], stride) == pytest.approx(rate, rel=1e-6)
    assert oscillation_rate(values[:7], stride) is None
    assert oscillation_rate(values) == pytest.approx(rate**stride, rel=1e-9)


def test_rates_agree_if_the_digits_per_iteration_differ_by_at_most_five_percent() -> None:
    assert [agrees(rate, 0.9) for rate in (0.9**0.94, 0.9**0.96, 0.9**1.04, 0.9**1.06)] == [False, True, True, False]
    assert [agrees(0.0, 0.0), agrees(0.0, 0.5), agrees(0.5, 0.0)] == [True, False, False]


def test_a_short_path_has_no_rate() -> None:
    assert measured_rate(np.exp2(-np.arange(7.0)), np.arange(7)) is None
    assert measured_rate(np.full(50, np.nan), np.arange(50)) is None


REASONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # For each reason, a run for which it is true, and one for which it is not.
    "no component along the direction": (
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.02, "start": [0.0, 0.2], "iterations": 60},
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.02, "start": [1e-6, 0.2], "iterations": 20},
    ),
    "a double root": (
        {"surface": "parabola", "optimizer": "momentum", "lr": 0.02, "beta": 0.64, "start": [1.0], "iterations": 40},
        {"surface": "ravine", "optimizer": "momentum", "lr": 0.02, "beta": 0.5, "iterations": 40},
    ),
    "the run is too short": (
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.11, "start": [0.01, 0.4], "iterations": 60},
        {"surface": "himmelblau", "optimizer": "sgd", "lr": 0.02699, "iterations": 300},
    ),
    "a limit cycle of 2 iterations": (
        {"surface": "himmelblau", "optimizer": "sgd", "lr": 0.02699, "iterations": 600},
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.11, "start": [0.01, 0.4], "iterations": 60},
    ),
    "the averages of nadam have not settled": (
        {
            "surface": {"name": "quadratic", "eigenvalues": [0.105]},
            "optimizer": {"name": "nadam", "eps": 0.37},
            "lr": 0.238,
            "start": [0.0824],
            "iterations": 2000,
        },
        {"surface": "himmelblau", "optimizer": "sgd", "lr": 0.02699, "iterations": 600},
    ),
    "noise": (
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.05, "noise": 0.1, "iterations": 60},
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.11, "start": [0.01, 0.4], "iterations": 60},
    ),
    "the linear theory holds within": (
        {"surface": "cubic", "optimizer": "momentum", "lr": 0.3},
        {"surface": "ravine", "optimizer": "sgd", "lr": 0.11, "start": [0.01, 0.4], "iterations": 60},
    ),
    "away, and the linear theory holds within": (  # the minimum is unstable, but the run stays near it
        {"surface": "beale", "optimizer": "triple_momentum", "lr": 0.0533, "start": [3.001, 0.5], "iterations": 2000},
        {"surface": "himmelblau", "optimizer": "sgd", "lr": 0.02699, "iterations": 600},
    ),
}


def reason_of(settings_: dict[str, Any]) -> str:
    result = momentumlab.run(settings_)
    (rate,) = trial_rates(result)
    return str(rate_reason(result, 0, rate))


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_given_only_where_it_is_true(reason: str) -> None:
    true, other = REASONS[reason]
    assert reason in reason_of(true)
    assert reason not in reason_of(other)


def test_a_run_that_agrees_has_no_reason() -> None:
    assert reason_of({"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "beta": 0.9}) == "None"


def test_the_predicted_length_of_the_transient_is_long_enough() -> None:
    settings_ = {"surface": "ravine", "optimizer": "sgd", "lr": 0.11, "start": [0.01, 0.4]}
    length = re.search(r"lasts about ([0-9.e+]+) iterations", reason_of({**settings_, "iterations": 60}))
    assert length is not None
    assert reason_of({**settings_, "iterations": int(float(length.group(1)) * 1.1)}) == "None"


@pytest.mark.parametrize("beta", [0.8, 0.9, 0.95])
def test_slow_oscillations_have_a_measured_rate(beta: float) -> None:
    result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.1, beta=beta)
    assert trial_rates(result)[0].measured == pytest.approx(math.sqrt(beta), rel=1e-3)


def test_a_remark_explains_why_a_larger_beta_is_slower() -> None:
    result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.1, beta=[0.0, 0.8, 0.9])
    remark = str(underdamped_remark(result, dict(enumerate(trial_rates(result)))))
    assert remark.startswith("β = 0.8, 0.9: all directions are underdamped, so the rate is √β")
    assert "0.789, 0.117" in remark
    plain = momentumlab.run(surface="ravine", optimizer="sgd", lr=[0.1, 0.05])
    assert underdamped_remark(plain, dict(enumerate(trial_rates(plain)))) is None


@pytest.mark.parametrize("lr", [0.01, 0.05, 0.2])
def test_critical_betas_are_the_published_ones(lr: float) -> None:
    for name in ("momentum", "nesterov"):
        prediction = predicted(optimizer=name, lr=lr)
        for one, critical in zip(prediction.modes, prediction.critical_betas, strict=True):
            root = math.sqrt(lr * one.curvature)
            expected = (1 - root) ** 2 if name == "momentum" else (1 - root) / (1 + root)
            if expected > 0:
                assert critical == pytest.approx(expected, abs=1e-6)


def test_weight_decay_shifts_the_fixed_point_at_which_the_rate_is_predicted() -> None:
    settings_: dict[str, Any] = {
        "surface": "booth", "optimizer": {"name": "sgd", "weight_decay": 0.5}, "lr": 0.05
    }  # fmt: skip
    prediction = predicted(**settings_)
    assert prediction.fixed_point == pytest.approx((1.146, 2.746), abs=1e-3)
    assert prediction.shift == pytest.approx(0.293, abs=1e-3)
    result = momentumlab.run(**settings_, iterations=400)
    assert result.final_points[0] == pytest.approx(prediction.fixed_point, abs=1e-12)
    (rate,) = trial_rates(result)
    assert rate.measured == pytest.approx(rate.predicted, rel=1e-3)
    assert rate.predicted == pytest.approx(0.875)
    assert "shifts the fixed point to (1.146, 2.746)" in " ".join(explanation([(prediction.point, prediction)]))


@pytest.mark.parametrize("name", ["momentum", "nesterov", "sgd"])
def test_the_noise_floor_with_weight_decay_is_that_of_the_shifted_fixed_point(name: str) -> None:
    result = momentumlab.run(
        surface="booth", optimizer={"name": name, "weight_decay": 0.5}, lr=0.01, noise=0.3, replicates=64,
        iterations=2000,
    )  # fmt: skip
    floor = theory.noise_floor(result, np.arange(64))
    assert floor.measured == pytest.approx(floor.predicted, rel=0.05)


def test_newton_is_stable_up_to_lr_2_and_takes_one_step_with_lr_1() -> None:
    prediction = predicted(optimizer="newton", lr=0.5)
    assert prediction.lr_limit == pytest.approx(2)
    assert prediction.best["lr"] == pytest.approx(1)
    one_step = predicted(optimizer="newton", lr=1.0, tolerance=1e-8)
    assert one_step.slowest.exact_after == 1
    assert one_step.slowest.iterations_per_digit == 1
    assert "reaches the minimum in one step" in " ".join(explanation([(one_step.point, one_step)]))


def test_a_saddle_has_a_largest_stable_lr_only_if_the_method_converges_to_it() -> None:
    prediction = predicted(surface="saddle", optimizer="sgd", lr=0.05)
    assert math.isnan(prediction.lr_limit)
    assert "leaves this point" in " ".join(explanation([(prediction.point, prediction)]))
    attracted = predicted(surface="saddle", optimizer="newton", lr=0.05)
    assert attracted.stable
    assert "converges to this saddle" in " ".join(explanation([(attracted.point, attracted)]))


@pytest.mark.parametrize("kappa", [1e4, 1e8, 1e10, 1e12])
def test_the_optimum_of_nesterov_is_the_published_one_for_large_condition_numbers(kappa: float) -> None:
    surface = {"name": "quadratic", "eigenvalues": [1.0, kappa]}
    prediction = predicted(surface=surface, optimizer="nesterov", lr=1 / kappa)
    assert 1 - prediction.best_rate == pytest.approx(2 / math.sqrt(3 * kappa + 1), rel=0.03)


class LookaheadState(NamedTuple):
    slow: Array


@dataclass(frozen=True, kw_only=True)
class Lookahead(Optimizer[LookaheadState]):
    """Zhang et al. (2019), with gradient descent inside: every k iterations the slow point moves half way."""

    k: int = 7
    equation = "every k iterations: s ← (s + x)/2, x ← s"
    source = "arXiv 1907.08610"
    name = "lookahead"
    default_lr = 0.1

    def init(self, x: Array) -> LookaheadState:
        return LookaheadState(x.copy())

    def step(self, state: LookaheadState, g: Array, here: Here) -> tuple[Array, LookaheadState]:
        fast = here.x - here.lr * g
        slow = (state.slow + fast) / 2
        synchronizes = np.asarray(here.t) % self.k == 0
        following = np.where(synchronizes, slow, fast)
        return (here.x - following) / here.lr, LookaheadState(np.where(synchronizes, slow, state.slow))


@pytest.mark.parametrize("k", [2, 5, 7, 13, 64])
def test_periodic_rules_have_the_rate_of_one_period(k: int) -> None:
    optimizer, step = Lookahead(k=k), 0.1
    found = theory.check_steady(optimizer, step, 1.0)
    assert found.period == k
    exact = ((1 + (1 - step) ** k) / 2) ** (1 / k)
    assert found.rates[0] == pytest.approx(exact, rel=1e-9)
    path, _ = simulated(optimizer, step, Parabola(a=np.array(0.5)), np.ones((1, 1)), 300)
    response = np.concatenate(list(itertools.islice(unit_responses(optimizer, step, np.ones(1), found), 3)))
    assert response[:301, 0] == pytest.approx(path[:301, 0, 0], abs=1e-12)


def test_the_response_of_a_nonlinear_method_consists_of_powers_of_its_map() -> None:
    optimizer, lr, curvature = made("adam", eps=1.0), np.array([0.3]), np.array([2.0])
    found = theory.linear_map(optimizer, lr, curvature)
    assert not found.is_exact
    response = np.concatenate(list(itertools.islice(unit_responses(optimizer, 0.3, curvature, found, block=5), 4)))
    powers = [np.linalg.matrix_power(found.matrices[0], k)[0, 0] for k in range(16)]
    np.testing.assert_allclose(response[:, 0], powers, atol=1e-14)


def test_a_period_that_is_too_long_is_refused() -> None:
    with pytest.raises(TheoryDoesNotApplyError, match="changes with time"):
        theory.check_steady(Lookahead(k=65), 0.1, 1.0)


@pytest.mark.parametrize("lr", [0.02, 0.1])
@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_runs_from_within_the_validity_radius_have_the_predicted_rate(name: str, lr: float) -> None:
    optimizer = {"name": name, "eps": 1.0}
    prediction = predicted(optimizer=optimizer, lr=lr)
    assert prediction.stable
    assert prediction.holds_within > 0
    directions = np.concatenate([np.eye(2), np.random.default_rng(0).standard_normal((3, 2))])
    starts = directions / np.linalg.norm(directions, axis=1, keepdims=True) * prediction.holds_within
    result = momentumlab.run(surface="ravine", optimizer=optimizer, lr=lr, start=starts.tolist(), iterations=3000)
    for start, rate in zip(starts, trial_rates(result), strict=True):
        excited = [one.rate for one in prediction.modes if one.axis is not None and start[one.axis] != 0]
        assert rate.measured is not None
        assert math.log(rate.measured) == pytest.approx(math.log(max(excited)), rel=0.05)


def test_predictions_of_linear_methods_hold_everywhere_on_quadratics_only() -> None:
    assert predicted(surface="ravine", optimizer="momentum").holds_within == math.inf
    plan = make_plan(momentumlab.load(surface="himmelblau", optimizer="momentum", lr=0.01))
    (_, said), *_ = PredictionReport(plan=plan)[0].points
    assert isinstance(said, Prediction)
    assert 1e-3 <= said.holds_within <= 1


def test_a_transient_is_not_a_noise_floor() -> None:
    short = momentumlab.run(surface="ravine", optimizer="sgd", lr=0.01, noise=0.01, replicates=8, iterations=100)
    floor = theory.noise_floor(short, np.arange(8))
    assert floor.is_transient
    assert floor.measured is None
    assert "transient" in str(short._repr_html_())
    long = momentumlab.run(surface="ravine", optimizer="sgd", lr=0.01, noise=0.01, replicates=8, iterations=20_000)
    floor = theory.noise_floor(long, np.arange(8))
    assert not floor.is_transient
    assert floor.measured == pytest.approx(floor.predicted, rel=0.25)


@pytest.mark.parametrize(("factor", "is_transient"), [(0.98, False), (1.02, True)])
def test_a_transient_is_over_once_it_contributes_a_tenth_of_the_floor(factor: float, is_transient: bool) -> None:
    """Gradient descent on x²/2: without noise the loss is ρ²ᵏ x₀²/2, and the floor is lr s² / (2 (2 − lr))."""
    lr, noise, rho = 0.1, 0.01, 0.9
    floor = lr * noise**2 / (2 * (2 - lr))
    start = math.sqrt(0.1 * floor / np.mean(rho ** (2 * np.arange(100, 201)) / 2))
    surface = {"name": "quadratic", "eigenvalues": [1.0]}
    result = momentumlab.run(
        surface=surface, optimizer="sgd", lr=lr, noise=noise, iterations=200, start=[factor * start]
    )
    found = theory.noise_floor(result, np.arange(1))
    assert found.predicted == pytest.approx(floor)
    assert found.is_transient == is_transient


@pytest.mark.parametrize(("iterations", "is_transient"), [(229, True), (230, False)])
def test_the_variance_must_have_built_up_before_a_floor_is_measured(iterations: int, is_transient: bool) -> None:
    """From the minimum, the variance is 1 − ρ²ᵏ of its limit; half-way through the run at most a tenth is missing."""
    assert (0.99**iterations > 0.1) == is_transient
    surface = {"name": "quadratic", "eigenvalues": [1.0]}
    settings_ = {"surface": surface, "optimizer": "sgd", "lr": 0.01, "noise": 1.0, "start": [0.0], "replicates": 64}
    result = momentumlab.run(settings_, iterations=iterations)
    assert theory.noise_floor(result, np.arange(64)).is_transient == is_transient


@pytest.mark.parametrize(
    ("iterations", "said"), [(0, "0 iterations are"), (1, "1 iteration is"), (6, "6 iterations are")]
)
def test_a_short_run_is_too_short_for_a_rate(iterations: int, said: str) -> None:
    settings_ = {"surface": "ravine", "optimizer": "sgd", "lr": 0.02, "iterations": iterations}
    assert reason_of(settings_) == f"{said} too few for a rate"


def test_moderate_momentum_can_lower_the_noise_floor() -> None:
    """At a large lr, moderate momentum damps the alternation across the valley."""
    floors = [sum(0.5 * c * heavy_ball_variance(0.1, beta, c, 0.1) for c in (0.125, 18)) for beta in (0, 0.3, 0.5, 0.9)]
    assert floors == pytest.approx([0.0028, 0.0015, 0.0018, 0.0073], abs=1.5e-4)


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_the_stability_limit_of_adam_is_that_of_averaged_momentum_with_lr_over_eps(beta1: float) -> None:
    """Where gradients vanish, √v is negligible beside ε: x ← x − (lr/ε) m, stable up to 2 (1 + β₁) / ((1 − β₁) λ)."""
    for eps in (1e-8, 1e-3, 1.0):
        (limit,) = lr_limits(made("adam", beta1=beta1, eps=eps), [18.0])
        assert limit == pytest.approx(eps * 2 * (1 + beta1) / ((1 - beta1) * 18), rel=1e-5)


def test_adam_with_a_small_eps_does_not_settle_and_the_prediction_says_so() -> None:
    prediction = predicted(optimizer="adam", lr=0.1)
    assert not prediction.stable
    assert prediction.holds_within <= 1e-9
    result = momentumlab.run(surface="ravine", optimizer="adam", lr=0.1, iterations=8000)
    assert np.abs(result.positions[0, -2000:]).max() > 1e-9
    assert "cannot settle" in " ".join(explanation([(prediction.point, prediction)]))
    assert trial_rates(result)[0].predicted is None


# Noise


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 3.9), st.floats(0.0, 0.99), st.floats(0.1, 50), st.floats(0.1, 3))
def test_stationary_variances_are_the_closed_forms(step: float, beta: float, curvature: float, noise: float) -> None:
    lr = step / curvature
    for name, closed in (("momentum", heavy_ball_variance), ("nesterov", nesterov_variance)):
        expected = closed(lr, beta, curvature, noise)
        if radius(name, lr, curvature, beta=beta) < 1 - 1e-6:
            lanes = np.array([lr]), np.array([curvature])
            assert stationary_variances(made(name, beta=beta), *lanes, noise)[0] == pytest.approx(expected, rel=1e-7)
        elif radius(name, lr, curvature, beta=beta) > 1 + 1e-6:
            assert expected == math.inf


@pytest.mark.parametrize("name", ["momentum", "nesterov", "qhm", "momentum_ema", "aggmo"])
def test_the_stationary_variance_is_that_of_a_long_noisy_run(name: str) -> None:
    """By a plain loop over the method's own step, with 4000 independent copies."""
    curvature, lr, lanes = 2.0, 0.2, 4000
    optimizer = made(name)
    rng = np.random.default_rng(0)
    surface = Parabola(a=np.full(lanes, curvature / 2))
    x = np.zeros((1, lanes))
    state, lrs = optimizer.init(x), np.full(lanes, lr)
    total = 0.0
    for t in range(1, 601):
        g = surface.gradient(x) + 0.5 * rng.standard_normal(x.shape)
        velocity, state = optimizer.step(state, g, Here(x, t, surface.value(x), lrs, surface))
        x = x - lrs * velocity
        total += float((x * x).mean()) if t > 400 else 0.0
    expected = stationary_variances(optimizer, lrs[:1], np.array([curvature]), 0.5)[0]
    assert total / 200 == pytest.approx(expected, rel=0.03)


def test_every_compromise_is_pareto_optimal() -> None:
    curve = compromises("momentum", [0.125, 18.0], cells=80)
    rates, losses = np.array([[one.rate, one.loss] for one in curve]).T
    assert (np.diff(rates) > 0).all()
    assert (np.diff(losses) < 0).all()
    assert rates[0] == pytest.approx(11 / 13, abs=0.01)
    best = curve[len(curve) // 2]
    expected = sum(0.5 * c * heavy_ball_variance(best.lr, best.beta, c) for c in (0.125, 18.0))
    assert best.loss == pytest.approx(expected, rel=1e-9)


def test_a_missing_prediction_has_a_reason() -> None:
    adam = {"surface": "ravine", "optimizer": "adam"}
    limit = 2 * 1.9 * 1e-8 / (0.1 * 18.0)  # 2 (1 + β₁) ε / ((1 − β₁) λ)
    assert "the minimum is unstable" in reason_of({**adam, "lr": 1.01 * limit})
    assert "too far from the minimum" in reason_of({**adam, "lr": 0.99 * limit})
    assert "is not smooth in the gradient" in reason_of({**adam, "optimizer": "lion"})
    # With a large ε the same method has a prediction as soon as the trial comes close to the minimum.
    slow = {**adam, "lr": 0.5, "eps": 1.0, "start": [1e-3, 1e-3]}
    assert "too far from the minimum" in reason_of({**slow, "iterations": 100})
    assert trial_rates(momentumlab.run(slow, iterations=300))[0].predicted == pytest.approx(np.sqrt(0.9), rel=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamax", "adan", "rmsprop", "nadam"])
def test_a_method_that_divides_by_eps_treats_directions_independently_close_to_the_stability_limit(name: str) -> None:
    # Bias corrections let the first steps of a new run grow by 10⁶ at this limit.
    limit = 2 * 1.9 * 1e-8 / (0.1 * 18.0)
    for share in (0.5, 0.9, 1.0, 1.01, 2.0):
        assert checked_map(OPTIMIZERS[name](), share * limit, [0.125, 18.0]).scale < 1


@pytest.mark.parametrize(("start", "iterations"), [([1.0, 1.0], "1 iteration"), ([0.0, 0.0], "0 iterations")])
def test_a_minimum_that_is_reached_within_rounding_is_reported_with_the_iteration(
    start: list[float], iterations: str
) -> None:
    # lr = 1/λ reaches the minimum of a round bowl in its first step.
    result = momentumlab.run(surface="2*x**2 + 2*y**2", optimizer="sgd", lr=0.25, start=start, iterations=3)
    (rate,) = trial_rates(result)
    reason = rate_reason(result, 0, rate)
    assert reason is not None
    assert f"after {iterations}," in reason
