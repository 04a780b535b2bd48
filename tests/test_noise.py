"""Noise and replicates: independence of errors, predicted noise floors, tables and figures."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab import engine
from momentumlab.config import load_experiment, to_dict
from momentumlab.config.values import read_noise
from momentumlab.errors import ConfigError
from momentumlab.executor import Workers
from momentumlab.noise import LONGEST_PAGE, NOISE_MODELS, Errors, Gaussian, HeavyTailed
from momentumlab.plan import make_plan
from momentumlab.report import report_of
from momentumlab.report.result_table import result_table
from momentumlab.search.planes import arrays, planes
from momentumlab.surfaces.data.base import _order as batch_order
from momentumlab.surfaces.data.linear import Logistic
from momentumlab.theory import compromises, noise_floor
from tests.conftest import Command
from tests.papers import heavy_ball_variance, nesterov_variance
from tests.test_figures import assert_text_is_clear, text_of

NOISY: dict[str, Any] = {
    "surface": "ravine", "optimizer": "momentum", "lr": 0.05, "beta": 0.9, "iterations": 300, "noise": 0.1,
    "replicates": 4,
}  # fmt: skip

SPELLED = [
    "gaussian(0.1)",
    "heavy_tailed(0.1)",
    "relative(0.3)",
    "multiplicative(0.3)",
    "cycle(2, -1, -1)",
]


def errors_of(seed: int, replicate: int, iterations: int, kind: str = "gaussian") -> list[list[float]]:
    """Return the draws for two coordinates, directly from NumPy's generator."""
    drawn: list[list[float]] = []
    page = 0
    while len(drawn) < iterations:
        rng = np.random.default_rng([seed, replicate, page, 1])
        size = (LONGEST_PAGE, 2)
        drawn += (rng.standard_t(3.0, size) if kind == "heavy_tailed" else rng.standard_normal(size)).tolist()
        page += 1
    return drawn[:iterations]


def by_hand(spelled: str, seed: int, replicate: int, iterations: int) -> tuple[float, float]:
    """Heavy ball on x²/16 + 9y², in plain floats."""
    draws = errors_of(seed, replicate, iterations, "heavy_tailed" if "heavy" in spelled else "gaussian")
    x, y, u, v = -2.4, 0.2, 0.0, 0.0
    for k, (m, n) in enumerate(draws):
        g, h = x / 8, 18 * y
        if spelled.startswith("relative"):
            length = math.sqrt((g * g + h * h) / 2)
            g, h = g + 0.3 * length * m, h + 0.3 * length * n
        elif spelled.startswith("multiplicative"):
            g, h = g * (1 + 0.3 * m), h * (1 + 0.3 * n)
        elif spelled.startswith("cycle"):
            error = (2.0, -1.0, -1.0)[k % 3]
            g, h = g + error, h + error
        else:
            g, h = g + 0.1 * m, h + 0.1 * n
        u, v = 0.9 * u + g, 0.9 * v + h
        x, y = x - 0.05 * u, y - 0.05 * v
    return x, y


# Random streams


@pytest.mark.parametrize("spelled", SPELLED)
def test_noisy_trajectories_equal_those_of_a_plain_loop(spelled: str) -> None:
    replicates = 1 if spelled.startswith("cycle") else 3
    seed = {} if replicates == 1 else {"seed": 7}
    result = momentumlab.run({**NOISY, "noise": spelled, "replicates": replicates, **seed})
    for replicate in range(replicates):
        expected = by_hand(spelled, 7, replicate, 300)
        assert result.final_points[replicate] == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_trials_of_a_replicate_have_the_same_errors() -> None:
    """If the gradient is only noise, gradient descent sums the errors."""
    flat = {"name": "quadratic", "eigenvalues": [1e-300, 1e-300]}
    result = momentumlab.run(
        surface=flat, optimizer="sgd", lr=[0.5, 1.0], start=[[0.0, 0.0], [1.0, 1.0]], iterations=600,
        noise=1.0, replicates=2, seed=3,
    )  # fmt: skip
    assert [trial.replicate for trial in result.plan] == [0, 1] * 4
    for trial in result.plan:
        total = np.sum(errors_of(3, trial.replicate, 600), axis=0)
        expected = np.array(trial.start) - float(trial.hyperparameters["lr"]) * total  # type: ignore[arg-type]
        assert result.final_points[trial.number] == pytest.approx(expected, abs=1e-11)


def test_errors_batches_data_and_starts_have_independent_streams() -> None:
    """At equal seeds; NumPy ignores trailing zeros of a seed, so [0, 0, 0] and 0 are the same stream."""
    errors = Errors(Gaussian(deviation=1.0), 0, 2, 1)
    drawn = np.array([errors.at(age, np.array([0]))[:, 0] for age in range(200)]).ravel()
    exact, moons = (Logistic(data=f"two_moons(200, noise={noise})", standardise=False).design for noise in (0, 1))
    perturbation = (moons.features - exact.features)[:, :2].T.ravel()
    starts = np.random.default_rng(0)
    assert not np.allclose(drawn, starts.standard_normal(400))
    assert abs(np.corrcoef(drawn, perturbation)[0, 1]) < 0.2
    assert not np.array_equal(batch_order(200, 0, 0, 0), np.random.default_rng(0).permutation(200))


SWEPT = {**NOISY, "lr": "linspace(0.01, 0.12, 40)", "tolerance": 2e-6, "iterations": 700, "replicates": 5}


def test_trials_do_not_depend_on_each_other() -> None:
    """Bit for bit: in a batch with refilled lanes, in blocks, in processes, with histories, and in a batch of one."""
    plan = make_plan(momentumlab.load(SWEPT))
    together = engine.run(plan)
    assert len(set(together.iterations.tolist())) > 10
    blocks = Workers(1).run(plan, block_trials=17)
    with Workers(2) as workers:
        processes = workers.run(plan, block_trials=50)
    for other in (blocks, processes):
        assert np.array_equal(other.final_points, together.final_points)
        assert np.array_equal(other.iterations, together.iterations)
    for number in (0, 3, 104, 199):
        alone = engine.run(plan.only([number]))
        assert np.array_equal(alone.positions[0, -1], together.path(number)[-1])


def test_a_narrow_batch_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(momentumlab.load(SWEPT))
    wide = engine.run(plan, history=False)
    monkeypatch.setattr(engine, "BATCH_BYTES", 8 * 2 * 30)
    narrow = engine.run(plan, history=False)
    assert np.array_equal(wide.final_points, narrow.final_points)


def test_more_replicates_or_iterations_do_not_change_the_first_ones() -> None:
    few = momentumlab.run(NOISY)
    more = momentumlab.run({**NOISY, "replicates": 9, "iterations": 900})
    assert np.array_equal(few.positions, more.positions[:4, :301])


def test_seeds_and_replicates_differ() -> None:
    ends = {tuple(point) for seed in (0, 1) for point in momentumlab.run({**NOISY, "seed": seed}).final_points.tolist()}
    assert len(ends) == 8


@pytest.mark.parametrize("ages", [5, np.array([5.0, 300.0, 5.0, 1000.0])])
def test_draws_depend_on_iteration_and_replicate(ages: Any) -> None:
    replicates = np.array([1, 0, 2, 1])
    errors = Errors(Gaussian(deviation=1.0), 0, 2, 3)
    found = errors.at(ages, replicates)
    for lane, (age, replicate) in enumerate(zip(np.broadcast_to(ages, 4), replicates, strict=True)):
        assert found[:, lane].tolist() == errors_of(0, int(replicate), 1200)[int(age)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(0, 5000))
def test_errors_do_not_depend_on_pages(dimension: int, age: int) -> None:
    """The errors of a trial depend on the dimension but not on the number of replicates."""
    one = Errors(HeavyTailed(scale=1.0), 4, dimension, 1).at(age, np.array([0]))
    two = Errors(HeavyTailed(scale=1.0), 4, dimension, 3).at(age, np.array([0, 2]))
    assert np.array_equal(one[:, 0], two[:, 0])


# Theory


@pytest.mark.parametrize(("name", "closed"), [("momentum", heavy_ball_variance), ("nesterov", nesterov_variance)])
def test_the_stationary_variance_matches_the_closed_form(name: str, closed: Any) -> None:
    lr, beta, noise = 0.06, 0.8, 0.3
    result = momentumlab.run(
        surface={"name": "quadratic", "eigenvalues": [1.0, 10.0]}, optimizer=name, lr=lr, beta=beta,
        start=[0.0, 0.0], iterations=4000, noise=noise, replicates=48,
    )  # fmt: skip
    for coordinate, curvature in enumerate((1.0, 10.0)):
        variance = float(result.positions[:, 500:, coordinate].var())
        assert variance == pytest.approx(closed(lr, beta, curvature, noise), rel=0.05)


@pytest.mark.parametrize("spelled", [0.1, "heavy_tailed(0.05, freedom=6)"])
def test_the_noise_floor_equals_the_prediction(spelled: Any) -> None:
    result = momentumlab.run({**NOISY, "noise": spelled, "replicates": 64, "iterations": 2000, "start": [0.0, 0.0]})
    floor = noise_floor(result, np.arange(64))
    assert floor.predicted is not None
    assert floor.measured == pytest.approx(floor.predicted, rel=0.05)


@pytest.mark.parametrize(
    "spelled", ["relative(0.1)", "multiplicative(0.1)", "cycle(1, -1)", "heavy_tailed(0.1, freedom=2)"]
)
def test_no_noise_floor_is_predicted_without_a_finite_variance(spelled: str) -> None:
    settings_ = {**NOISY, "noise": spelled, "replicates": 1}
    assert noise_floor(momentumlab.run(settings_), np.arange(1)).predicted is None


def test_a_faster_rate_raises_the_noise_floor_as_predicted() -> None:
    curve = compromises("momentum", [0.125, 18.0], cells=60, noise=0.1)
    for one in (curve[0], next(one for one in curve if one.rate > 0.97)):
        result = momentumlab.run({
            **NOISY, "lr": one.lr, "beta": one.beta, "start": [0.0, 0.0], "iterations": 3000, "replicates": 32,
        })  # fmt: skip
        assert noise_floor(result, np.arange(32)).measured == pytest.approx(one.loss, rel=0.1)


def test_averaged_iterates_are_closer_to_the_minimum() -> None:
    result = momentumlab.run({**NOISY, "start": [0.0, 0.0], "iterations": 2000})
    for number in range(4):
        tail, running = report_of(result).averaged_losses[number]
        path = result.positions[number]
        expected = path[len(path) // 2 :].mean(axis=0)
        assert tail == pytest.approx(expected[0] ** 2 / 16 + 9 * expected[1] ** 2, rel=1e-12)
        assert max(tail, running) < result.losses[number, 1000:].mean()


# Output


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_noise_model_can_be_parsed_from_its_text(spelled: str) -> None:
    read = read_noise(spelled)
    assert str(read) == spelled
    assert read_noise(str(read)) == read


def test_every_noise_model_is_tested() -> None:
    assert {spelled.partition("(")[0] for spelled in SPELLED} == set(NOISE_MODELS)


def test_the_dumped_experiment_gives_the_same_numbers() -> None:
    result = momentumlab.run({**NOISY, "seed": 5})
    again = momentumlab.run(to_dict(result.experiment))
    assert np.array_equal(result.positions, again.positions)
    assert load_experiment(to_dict(result.experiment)) == result.experiment


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": "relativ(0.1)"}, "did you mean 'relative'"),
        ({"noise": -1}, "is outside 0 < deviation"),
        ({"noise": "gaussian(0)"}, "is outside 0 < deviation"),
        ({"noise": "gaussian(1, 2)"}, "gaussian(deviation) takes 1 argument, not 2"),
        ({"noise": "heavy_tailed(1, freedom=0)"}, "freedom = 0 is outside 0 < freedom"),
        ({"noise": "loud"}, "invalid noise"),
        ({"noise": True}, "invalid noise"),
        ({"noise": [0.1, 0.2]}, "an experiment has one noise model"),
        ({"noise": "cycle()"}, "cycle(errors, …) lacks errors"),
        ({"replicates": 0}, "0 is outside 1 ≤ replicates"),
        ({"replicates": 1.5}, "not a whole number"),
        ({"seed": -1}, "-1 is outside 0 ≤ seed"),
        ({"noise": None}, "'replicates' has no effect"),
        ({"noise": None, "replicates": 1, "seed": 3}, "'seed' has no effect"),
        ({"noise": "cycle(1, -1)"}, "'replicates' has no effect"),
    ],
)
def test_invalid_noise_is_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=".*") as caught:
        momentumlab.load({**NOISY, **change})
    assert message in str(caught.value)


def test_a_noise_of_zero_gives_exact_gradients() -> None:
    assert momentumlab.load({**NOISY, "noise": 0, "replicates": 1}).noise is None


def test_the_table_has_a_row_per_setting() -> None:
    result = momentumlab.run({**NOISY, "beta": [0.5, 0.9], "replicates": 16})
    heading, columns, *rows = (
        "".join(text for text, _ in line) for line in result_table(report_of(result)).rendered(140)
    )
    assert "gaussian noise (0.1), 16 replicates" in heading
    for column in ("final loss", "noise floor", "predicted", "averaged"):
        assert column in columns
    low, median, high = np.quantile(result.final_losses[:16], [0.25, 0.5, 0.75])
    assert f"{median:.3g} [{low:.3g}, {high:.3g}]" in rows[0]
    assert "final loss over 16 replicates: median [quartiles]" in rows[2:]


def test_many_settings_are_ranked_by_their_medians() -> None:
    result = momentumlab.run({**NOISY, "lr": "linspace(0.01, 0.15, 30)", "iterations": 60}, record="all")
    assert "the best 10 of 30 settings" in "".join(result_table(report_of(result)).remarks)


def test_machine_readable_rows_are_trials(command: Command) -> None:
    arguments = (
        "run",
        "--surface",
        "ravine",
        "--optimizer",
        "sgd",
        "--noise",
        "0.1",
        "--replicates",
        "3",
        "--seed",
        "2",
    )
    done = command(*arguments, "--no-plots", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    trials = json.loads(done.stdout)["trials"]
    assert [trial["replicate"] for trial in trials] == [0, 1, 2]
    assert all(trial["averaged_loss"] > 0 and trial["ema_loss"] > 0 and trial["rate"] is None for trial in trials)


def test_a_sweep_has_an_axis_of_replicates_and_maps_of_medians() -> None:
    result = momentumlab.run({**NOISY, "lr": "linspace(0.01, 0.1, 12)", "beta": [0.0, 0.5, 0.9], "replicates": 40},
                             record="none")  # fmt: skip
    (plane,) = planes(result)
    found = arrays([plane])
    assert found["axes"].tolist() == ["lr", "beta", "replicate"]
    assert found["final_loss"].shape == (12, 3, 40)
    expected = np.sort(found["final_loss"].reshape(36, 40), axis=1)[:, 19]
    assert np.array_equal(plane.median_losses(), expected)


def test_starts_and_replicates_are_separate_axes() -> None:
    result = momentumlab.run({**NOISY, "lr": [0.01, 0.02], "start": [[1.0, 1.0], [2.0, 0.5], [0.1, 0.1]]})
    found = arrays(planes(result))
    assert found["axes"].tolist() == ["lr", "start", "replicate"]
    assert found["final_loss"].shape == (2, 3, 4)


def test_a_comparison_ranks_by_medians_under_the_same_errors() -> None:
    compared = momentumlab.compare(
        optimizers=["sgd", "momentum"], surface="ravine", lr=[0.01, 0.05], iterations=100, noise=0.1, replicates=6
    )
    (match,) = compared.matches
    assert match.starts == 16  # the errors that chose a setting do not judge it
    for standing in match.standings:
        single = momentumlab.run(
            surface="ravine", optimizer=standing.choice.name, lr=standing.choice.axes["lr"].values[0],
            iterations=100, noise=0.1, replicates=16, seed=match.experiment.seed,
        )  # fmt: skip
        assert standing.final_loss[1] == pytest.approx(np.median(single.final_losses))


@pytest.mark.parametrize("theory", [False, True])
def test_figures_show_medians_bands_and_single_paths(theory: bool) -> None:
    result = momentumlab.run({**NOISY, "beta": [0.0, 0.9], "replicates": 12})
    loss = result.plot_losses(theory=theory)
    (panel,) = loss.axes
    solid = [line for line in panel.lines if line.get_linewidth() == 1.5]
    medians = np.quantile(result.losses[12:], 0.5, axis=0)
    assert np.asarray(solid[1].get_ydata()) == pytest.approx(medians)
    assert len(panel.collections) == 2
    dotted = [line for line in panel.lines if line.get_linestyle() == ":"]
    assert len(dotted) == (2 if theory else 0)
    for figure in (loss, result.plot_velocities(theory=theory), result.plot_trajectories()):
        assert_text_is_clear(figure)
    assert "12 replicates, 8 of them shown" in text_of(result.plot_trajectories())


def test_figures_are_drawn_with_diverged_replicates() -> None:
    result = momentumlab.run({**NOISY, "lr": [0.05, 5.0]})
    for figure in (result.plot_losses(), result.plot_velocities(), result.plot_trajectories()):
        figure.canvas.draw()
        assert_text_is_clear(figure)


def test_the_noise_floor_is_predicted_before_the_run(command: Command) -> None:
    arguments = ("predict", "--surface", "ravine", "--optimizer", "momentum", "--lr", "0.05", "--set", "noise=0.1")
    expected = sum(0.5 * c * heavy_ball_variance(0.05, 0.9, c, 0.1) for c in (0.125, 18.0))
    assert f"the loss stays {expected:.3g} above the minimum on average" in command(*arguments).stdout
    (trial,) = json.loads(command(*arguments, "--format", "json").stdout)["trials"]
    assert trial["noise_floor"] == pytest.approx(expected)
