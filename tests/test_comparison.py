"""Comparisons: every optimizer gets the same search, the best is really the best, and ranks mean what they say."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from typer.testing import CliRunner

import momentumlab
from momentumlab.cli import app
from momentumlab.config import load_comparison, to_yaml
from momentumlab.experiment import Objective
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.report import ComparisonReport
from momentumlab.report.comparison_table import comparison_tables
from momentumlab.result import Status
from momentumlab.scales import Scale
from momentumlab.search import ComparisonResult, Match, Standing
from momentumlab.search.profiles import performance_ratios, profile
from momentumlab.search.ranking import Yardstick, quantile, ranks_of
from tests.conftest import COMPARISONS, Command
from tests.test_figures import assert_text_is_clear, text_of

THREE = ["sgd", "momentum", "adam"]
MANY = {
    "optimizers": THREE,
    "surface": ["ravine", "booth"],
    "start": "random(5, seed=3)",
    "budget": 16,
    "objective": "iterations",
    "target_loss": 1e-3,
}


@pytest.fixture(scope="module")
def simple() -> ComparisonResult:
    return momentumlab.compare(optimizers=THREE, objective="final_loss")


@pytest.fixture(scope="module")
def many() -> ComparisonResult:
    return momentumlab.compare(MANY)


def standing_of(match: Match, name: str) -> Standing:
    return next(standing for standing in match.standings if standing.choice.name == name)


# The search


def test_the_chosen_rate_is_the_best_of_single_runs(simple: ComparisonResult) -> None:
    (match,) = simple.matches
    for one in match.searched:
        alone = [momentumlab.run(surface="ravine", optimizer=one.choice.name, lr=float(lr)) for lr in one.lr]
        losses = np.array([run.final_losses[0] for run in alone])
        assert np.array_equal(losses, one.final_losses[:, 0])
        finished = np.where([run.status[0] is Status.DIVERGED for run in alone], np.inf, losses)
        standing = standing_of(match, one.choice.name)
        assert standing.setting["lr"] == one.lr[finished.argmin()]
        assert standing.final_loss[1] == finished.min()


def test_every_optimizer_gets_the_same_learning_rates() -> None:
    (match,) = momentumlab.compare(optimizers=list(OPTIMIZERS), iterations=20, budget=12).matches
    for one in match.searched:
        assert np.array_equal(one.lr, match.searched[0].lr)


def test_the_search_begins_with_the_declared_values(simple: ComparisonResult) -> None:
    for one in simple.matches[0].searched:
        np.testing.assert_allclose(one.lr, np.geomspace(1e-4, 10, 64), rtol=0.01)
        assert all(float(f"{lr:.3g}") == lr for lr in one.lr)


@pytest.mark.parametrize("is_near_one", [False, True])
@pytest.mark.parametrize("count", [2, 5, 64, 4096])
def test_searched_values_have_the_digits_that_the_grid_resolves(is_near_one: bool, count: int) -> None:
    scale = Scale(is_near_one=is_near_one)
    low, high = (0.0, 0.999) if is_near_one else (1e-4, 12.3456789)
    values = scale.grid(low, high, count)
    exact = 1 - np.geomspace(1 - low, 1 - high, count) if is_near_one else np.geomspace(low, high, count)
    spacing = abs(scale.forward(exact)[1] - scale.forward(exact)[0])
    assert np.abs(scale.forward(values) - scale.forward(exact)).max() <= spacing / 20 * (1 + 1e-9)
    assert (values[0], values[-1]) == (low, high)
    assert max(len(repr(value)) for value in values[1:-1].tolist() or [0.0]) <= 9 + np.log10(200 / spacing)


def test_a_tuned_value_that_is_printed_gives_the_same_loss_when_it_is_typed_in(command: Command) -> None:
    search = ["compare", "--optimizers", "sgd,adam", "--budget", "64", "--iterations", "30", "--no-plots"]
    printed = command(*search, COLUMNS="80").stdout
    assert "robust" in printed.replace("robust:", "")
    assert [line for line in printed.splitlines() if "too narrow" in line] == [
        "too narrow for these columns: final point"
    ]
    document = json.loads(command(*search, "--format", "json").stdout)
    for trial in document["trials"]:
        optimizer = trial["optimizer"]
        (lr,) = re.findall(rf"^ +\d+  {optimizer} +([\d.]+) ", printed, re.MULTILINE)
        again = command("run", "--surface", "ravine", "--optimizer", optimizer, "--lr", lr, "--iterations", "30",
                        "--no-plots", "--format", "json")  # fmt: skip
        assert json.loads(again.stdout)["trials"][0]["final_loss"] == trial["final_loss"]


@pytest.mark.parametrize("budget", [1, 2, 5, 49, 50, 64])
def test_an_optimizer_without_beta_gets_as_many_trials_as_the_others(budget: int) -> None:
    settings = {"optimizers": ["sgd", "momentum", "adam"], "lr": "tuned", "beta": "tuned", "iterations": 10}
    (match,) = momentumlab.compare(settings, budget=budget, surface="booth").matches
    begun = [one.choice.combinations for one in match.searched]
    assert len(set(begun)) == 1
    assert budget / 2 < begun[0] <= budget
    assert len({one.cells for one in match.searched}) == 1
    assert len({(one.lr.min(), one.lr.max()) for one in match.searched}) == 1 or budget < 8


def test_every_cell_of_a_grid_over_lr_and_beta_is_tried() -> None:
    (match,) = momentumlab.compare(optimizers="momentum", lr="tuned", beta="tuned", budget=64).matches
    (one,) = match.searched
    cells = set(zip(one.columns["lr"].tolist(), one.columns["beta"].tolist(), strict=True))
    assert len(cells) == one.cells == len(set(one.columns["lr"])) * 8
    np.testing.assert_allclose(sorted(set(one.columns["beta"])), 1 - np.geomspace(1, 0.01, 8), atol=0.02)


@pytest.mark.parametrize("curvature", [1e-5, 1e8])
def test_the_range_is_widened_for_all_until_no_best_rate_is_at_its_edge(curvature: float) -> None:
    surface = {"name": "quadratic", "eigenvalues": [curvature]}
    (match,) = momentumlab.compare(surface=surface, optimizers=["sgd", "signum"], start=[1.0], iterations=5).matches
    best = standing_of(match, "sgd").setting["lr"]
    assert best == pytest.approx(1 / curvature, rel=0.15)
    sgd, signum = match.searched
    assert np.array_equal(sgd.lr, signum.lr)
    assert sgd.lr.min() < best < sgd.lr.max()


def test_a_best_rate_at_the_edge_of_the_range_is_reported() -> None:
    surface = {"name": "quadratic", "eigenvalues": [1e-12]}
    result = momentumlab.compare(surface=surface, optimizers=["sgd"], start=[1.0], iterations=5)
    assert any("sgd" in note and "upper edge" in note for note in result.notes)


def test_only_given_values_are_searched() -> None:
    (match,) = momentumlab.compare(optimizers=["momentum"], lr=[0.01, 0.05], beta=[0.5, 0.8, 0.9]).matches
    (one,) = match.searched
    assert one.cells == 6
    assert set(one.lr) == {0.01, 0.05}


def test_the_middle_one_of_equally_good_rates_is_chosen() -> None:
    (match,) = momentumlab.compare(optimizers=["sgd"], lr=[0.1, 0.2, 0.3, 0.4, 0.5], start=[0.0, 0.0]).matches
    assert match.standings[0].setting["lr"] == 0.3


@pytest.mark.parametrize("kappa", [10, 100, 1000, 10_000])
def test_tuning_finds_the_optimum_of_polyak_on_quadratics(kappa: int) -> None:
    """To within 5 % of the rate: digits gained per iteration, from the roots of z² − (1 + β − aλ) z + β."""
    best = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    (match,) = momentumlab.compare(
        surface={"name": "quadratic", "eigenvalues": [1.0, float(kappa)]},
        optimizers=["momentum"],
        lr="tuned",
        beta="tuned",
        objective="iterations",
        target_loss=1e-60,
        iterations=int(300 / (1 - best)),
        budget=4096,
        zooms=3,
    ).matches
    lr, beta = (float(match.standings[0].setting[name]) for name in ("lr", "beta"))  # type: ignore[arg-type]
    rate = max(abs(np.roots([1, -(1 + beta - lr * curvature), beta])).max() for curvature in (1.0, kappa))
    assert np.log(rate) / np.log(best) > 0.95


def test_zooms_try_equally_many_settings_for_all_and_never_worsen_the_result() -> None:
    settings = {"optimizers": ["sgd", "momentum"], "lr": "tuned", "beta": "tuned", "budget": 1024}
    (coarse,) = momentumlab.compare(settings, budget=256).matches
    (fine,) = momentumlab.compare(settings, zooms=3).matches
    for number in (0, 1):
        assert fine.standing(number).final_loss[1] <= coarse.standing(number).final_loss[1]
        assert 0.8 * 1024 <= fine.searched[number].cells <= 1024 + 2 * 256
        assert fine.searched[number].columns["lr"].min() > 0
    assert (fine.searched[1].columns["beta"] >= 0).all()
    assert (fine.searched[1].columns["beta"] < 1).all()


def test_zooms_keep_listed_values() -> None:
    optimizers = [{"name": "momentum", "beta": [0.5, 0.9]}]
    (match,) = momentumlab.compare(optimizers=optimizers, zooms=2, budget=192).matches
    assert set(match.searched[0].columns["beta"]) == {0.5, 0.9}


def test_the_tune_command_leaves_an_experiment_ready_to_run(command: Command, tmp_path: Path) -> None:
    done = command("tune", "--optimizer", "sgd,momentum", "--over", "lr,beta", "--budget", "400")
    assert "400 settings: 10 lr from 0.0001 to 10 × 10 β" in done.stdout
    assert "robust" not in done.stdout
    folder = tmp_path / done.stdout.splitlines()[-1]
    assert (folder / "search.png").exists()
    assert not (folder / "sensitivity.png").exists()
    again = json.loads(command("run", folder / "best.yaml", "--format", "json", "--no-plots").stdout)
    assert again["trials"] == json.loads((folder / "result.json").read_text())["trials"]
    repeated = json.loads(command("tune", folder / "experiment.yaml", "--format", "json", "--no-plots").stdout)
    assert repeated["trials"] == again["trials"]


# Ranks


def test_ranks_follow_the_final_loss_and_equals_share_one() -> None:
    result = [3.0, 1.0, 1.0, np.inf, np.inf, 2.0, np.inf, np.inf]
    height = [0.0, 5.0, 7.0, 2.0, 1.0, 0.0, np.inf, np.inf]
    diverged = [0.0, 0.0, 0.4, 0.1, 0.2, 0.0, 1.0, 0.6]
    assert ranks_of(np.array([result, height, diverged])).tolist() == [4, 1, 1, 6, 5, 3, 8, 7]


def test_the_same_method_under_two_names_is_reported_and_shares_a_rank() -> None:
    settings: dict[str, Any] = {"optimizers": ["sgd", {"name": "momentum", "beta": 0.0}, "adam"], "budget": 8}
    (match,) = momentumlab.compare(settings).matches
    assert match.same_methods == [(0, 1)]
    assert standing_of(match, "sgd").rank == standing_of(match, "momentum").rank
    assert standing_of(match, "adam").same_as == ()


def test_an_optimizer_that_always_diverges_ranks_last_and_does_not_stop_the_others(command: Command) -> None:
    optimizers = ["momentum", {"name": "sgd", "lr": [5.0, 9.0]}, {"name": "nesterov", "lr": 7.0}, "adam"]
    result = momentumlab.compare(optimizers=optimizers, budget=8)
    (match,) = result.matches
    assert {standing.choice.name: standing.rank for standing in match.standings}["sgd"] == 3
    assert standing_of(match, "nesterov").always_diverged
    assert any("sgd diverges" in note and "every setting" in note for note in result.notes)
    done = command("compare", "--optimizers", "sgd,adam", "--lr", "3,5", "--surface", "rosenbrock")
    assert done.returncode == 0
    assert "note: sgd diverges on rosenbrock with every setting" in done.stderr


def test_the_objective_iterations_ranks_unconverged_trials_by_loss() -> None:
    settings = {"optimizers": ["momentum", "rprop", "sgd", "adadelta"], "objective": "iterations", "target_loss": 1e-6}
    (match,) = momentumlab.compare(settings).matches
    names = [standing.choice.name for standing in match.standings]
    arrived = [name for name in names if Status.CONVERGED in standing_of(match, name).counts]
    assert names[: len(arrived)] == arrived == ["rprop", "momentum"]
    iterations = [int(match.result.iterations[standing_of(match, name).number]) for name in arrived]
    assert iterations == sorted(iterations)
    losses = [standing_of(match, name).final_loss[1] for name in names[len(arrived) :]]
    assert losses == sorted(losses)


def test_an_optimizer_that_stalls_has_not_reached_the_target() -> None:
    """With a tiny learning rate the loss changes by less than any tolerance at once."""
    settings = {"optimizers": ["sgd"], "objective": "iterations", "tolerance": 1e-6, "iterations": 1000}
    (match,) = momentumlab.compare(settings, lr="geomspace(1e-12, 1, 60)").matches
    (one,) = match.searched
    assert one.iterations[0, 0] == 5
    assert one.status_codes[0, 0] == Status.CONVERGED.code
    assert match.standings[0].final_loss[1] < 1e-3
    assert match.standings[0].setting["lr"] == pytest.approx(0.1, rel=0.5)


def test_meeting_the_tolerance_is_not_reaching_the_target() -> None:
    settings = {"optimizers": THREE, "objective": "iterations", "target_loss": 1e-6, "tolerance": 1e-4}
    (match,) = momentumlab.compare(settings, iterations=500).matches
    ranked = [(standing.evaluations_to_target[1], standing.final_loss[1]) for standing in match.standings]
    assert ranked == sorted(ranked)
    assert ranked[0][1] <= 1e-6 or np.isinf(ranked[0][0])


def test_an_optimizer_that_diverges_from_fewer_starts_ranks_higher() -> None:
    settings = {"surface": "rosenbrock", "lr": [0.0025, 0.003, 0.004, 0.005], "start": "random(4, seed=14)"}
    result = momentumlab.compare(settings, optimizers=["sgd", "momentum"])
    (match,) = result.matches
    _, momentum = match.searched
    diverged = (momentum.status_codes == Status.DIVERGED.code).sum(axis=1)
    assert diverged.tolist() == [4, 3, 4, 4]
    assert match.standing(1).cell == 1
    assert [match.standing(0).rank, match.standing(1).rank] == [1, 2]
    assert any("from half of the starts or more" in note for note in result.notes)


def test_optimizers_that_do_not_move_are_not_reported_as_the_same_method() -> None:
    (match,) = momentumlab.compare(optimizers=THREE, iterations=0, budget=2).matches
    assert match.same_methods == []
    (match,) = momentumlab.compare(optimizers=["sgd", "adam"], lr=1e-13).matches
    assert match.same_methods == []


def test_only_equal_initial_ranges_are_widened_together() -> None:
    optimizers = ["sgd", {"name": "momentum", "lr": "tuned(1e-6, 1e-4)"}]
    (match,) = momentumlab.compare(optimizers=optimizers).matches
    sgd, momentum = match.searched
    assert (sgd.lr.min(), sgd.lr.max()) == (pytest.approx(1e-4), pytest.approx(10))
    assert momentum.lr.max() > 1e-3


def test_vectors_and_flags_can_be_searched_too() -> None:
    optimizers = [{"name": "aggmo", "betas": [[0, 0.9], [0, 0.5, 0.9]]}, {"name": "adam", "amsgrad": [True, False]}]
    (match,) = momentumlab.compare(optimizers=optimizers, budget=4).matches
    assert match.standing(0).setting["betas"] in ((0.0, 0.9), (0.0, 0.5, 0.9))
    assert [one.cells for one in match.searched] == [8 + (8 - 4) * k for k in [(match.searched[0].cells - 8) // 4] * 2]


def test_the_default_target_is_the_accuracy_above_the_lowest_loss() -> None:
    (match,) = momentumlab.compare(optimizers=["momentum"], lr=0.05, accuracy=1e-2).matches
    losses = match.result.losses[0]
    assert match.evaluations_to_target[0, 0] == np.flatnonzero(losses <= 1e-2 * losses[0])[0]
    saddle = momentumlab.compare(optimizers=["sgd", "momentum"], lr=0.05, surface="saddle", accuracy=0.5).matches[0]
    lowest, start = saddle.result.final_losses.min(), saddle.result.losses[0, 0]
    assert saddle.targets[0] == pytest.approx(lowest + 0.5 * (start - lowest))


def test_the_overall_table_counts_ranks_and_problems(many: ComparisonResult) -> None:
    *_, overall = comparison_tables(ComparisonReport(result=many))
    ranks = {name: [standing_of(match, name).rank for match in many.matches] for name in THREE}
    for name, mean, first, reached in overall.rows:
        assert float(mean) == pytest.approx(np.mean(ranks[name]), rel=1e-2)
        assert int(first) == ranks[name].count(1)
        assert reached == f"{np.isfinite(many.costs[THREE.index(name)]).sum()} of 32"
    means = [float(row[1]) for row in overall.rows]
    assert means == sorted(means)
    solved = [int(row[3].split()[0]) for row in overall.rows]
    assert bool(overall.remarks) == (solved[0] < max(solved))  # the profiles put another optimizer first


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values: list[float], q: float) -> None:
    np.testing.assert_allclose(quantile(np.array(values), q), np.quantile(values, q), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("values", "median"), [([1, np.inf, 2], 2), ([1, np.inf], np.inf), ([np.inf, np.inf], np.inf), ([0, 1, 2, 9], 1.5)]
)
def test_medians_may_include_trials_that_diverge(values: list[float], median: float) -> None:
    assert quantile(np.array(values), 0.5) == median


def test_results_over_several_starts_are_medians_and_quartiles(many: ComparisonResult) -> None:
    for match in many.matches:
        for standing in match.standings:
            losses = match.result.final_losses[list(match.trials_of(standing.number))]
            np.testing.assert_allclose(standing.final_loss, np.quantile(losses, [0.25, 0.5, 0.75]), rtol=1e-12)
            assert sum(standing.counts.values()) == match.starts == 16


def test_evaluations_to_target_are_those_of_a_plain_loop(many: ComparisonResult) -> None:
    for match in many.matches:
        for number, trial in enumerate(match.result.plan):
            surface = match.result.plan.surface_of(number)
            reached = np.inf
            for iteration, x in enumerate(match.result.path(number)):
                if surface.value(x[:, np.newaxis])[0] <= 1e-3:
                    reached = iteration
                    break
            method, start = divmod(number, match.starts)
            assert match.evaluations_to_target[method, start] == reached, trial


def test_robustness_is_the_share_of_rates_within_ten_times_the_best(simple: ComparisonResult) -> None:
    (match,) = simple.matches
    for one in match.searched:
        losses = np.where(one.status_codes[:, 0] == Status.DIVERGED.code, np.inf, one.final_losses[:, 0])
        near = sum(loss <= 10 * min(losses) for loss in losses)
        assert standing_of(match, one.choice.name).robustness == near / 64


def test_robustness_is_measured_by_progress_if_no_minimum_is_known() -> None:
    yardstick = Yardstick(objective=Objective.FINAL_LOSS, known=np.nan, start_losses=np.array([10.0]))
    assert yardstick.robustness(np.array([-90.0, -81.0, -79.0, 10.0]), -90.0) == 0.5


# Profiles


def test_performance_profiles_of_a_small_table() -> None:
    costs = np.array([[10.0, 30.0, np.inf, np.inf], [20.0, 15.0, 8.0, np.inf]])
    assert performance_ratios(costs).tolist() == [[1, 2, np.inf, np.inf], [2, 1, 1, np.inf]]
    steps, shares = profile(performance_ratios(costs)[1])
    assert (steps.tolist(), shares.tolist()) == ([1, 2], [0.5, 0.75])
    steps, shares = profile(costs[0])
    assert (steps.tolist(), shares.tolist()) == ([10, 30], [0.25, 0.5])


def test_an_optimizer_that_starts_at_the_target_is_as_good_as_the_best() -> None:
    assert performance_ratios(np.array([[0.0], [0.0], [5.0]])).ravel().tolist() == [1, 1, np.inf]


@given(st.lists(st.lists(st.sampled_from([1.0, 2.0, 5.0, np.inf]), min_size=6, max_size=6), min_size=1, max_size=4))
def test_profiles_end_at_the_share_of_solved_problems(costs: list[list[float]]) -> None:
    for row, ratios in zip(costs, performance_ratios(np.array(costs)), strict=True):
        _, shares = profile(ratios)
        assert (np.diff(shares) > 0).all()
        assert (shares[-1] if len(shares) else 0) == pytest.approx(np.isfinite(row).mean())
        assert (ratios >= 1).all()


# Settings


BAD = {
    "unknown optimizer": (["--optimizers", "sgd,adamm"], "unknown optimizer 'adamm' (did you mean 'adam'?)"),
    "twice the same": (["--optimizers", "sgd,sgd"], "sgd is listed twice with the same settings"),
    "twice under two names": (["--optimizers", "momentum,heavy_ball"], "momentum is listed twice"),
    "no such hyperparameter": (["--optimizers", "sgd,adam", "--beta", "0.9"], "not a hyperparameter of sgd or adam"),
    "no budget": (["--budget", "0"], "--budget: 0 is outside 1 ≤ budget"),
    "start of other dimension": (["--start=1"], "has 2 coordinates, the start has 1"),
    "unknown surface": (["--surface", "ravine,boot"], "unknown surface 'boot' (did you mean 'booth'?)"),
    "twice the same surface": (["--surface", "ravine,ravine"], "this surface is listed twice"),
    "cannot be tuned": (["--tune", "lr,dialect"], "only numerical hyperparameters of optimizers can be tuned"),
    "tuned twice": (["--tune", "beta,beta"], "'beta' is listed twice"),
    "tuned under two names": (["--tune", "beta", "--set", "momentum=tuned"], "'beta' is given twice"),
    "tuned in a list": (["--beta", "[tuned, 0.5]"], "tuned describes a whole axis: write it without the list"),
    "tuned out of bounds": (["--beta", "tuned(0.5, 1)"], "needs low < high and 0 ≤ beta < 1, such as tuned(0.0, 0.99)"),
    "tuned surface": (["--surface", "ravine", "--set", "surface.b=tuned"], "not b of ravine: list the values to try"),
    "tuned and given": (["--tune", "lr", "--lr", "0.1"], "--lr gives lr a value, so it cannot be searched"),
    "iterations to nothing": (["--objective", "iterations"], "set target_loss, tolerance or gradient_tolerance"),
    "unknown objective": (["--objective", "fun"], "fun"),
    "bad range": (["--lr", "tuned(1, 0.1)"], "tuned(low, high) needs low < high and 0 < lr"),
    "no range": (["--lr", "tuned(a, b)"], "tuned()"),
    "accuracy": (["--accuracy", "2"], "--accuracy: 2 is outside 0 < accuracy < 1"),
    "endless range": (["--lr", "tuned(1, 1e308)"], "tuned(low, high) needs"),
    "tune a setting": (["--tune", "lr,iterations"], "'iterations' is not a hyperparameter"),
    "twice by an axis": (["--surface", "ravine", "--set", "surface.b=[1, 1]"], "this surface is listed twice"),
    "zooms": (["--set", "zooms=-1"], "zooms: -1 is outside 0 ≤ zooms"),
    "starts twice": (["--starts", "5", "--start", "1,2"], "--start"),
    "seed alone": (["--seed", "5"], "'seed' has no effect"),
    "too many": (["--starts", "100000"], "trials are more than the limit"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_gives_one_clear_error(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["compare", *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_same_optimizer_with_other_settings_may_be_listed_again() -> None:
    optimizers = [{"name": "momentum", "beta": 0.5}, {"name": "momentum", "beta": 0.9}]
    result = momentumlab.compare(optimizers=optimizers, budget=8)
    assert len(result.matches[0].standings) == 2
    assert "momentum, beta = 0.5" in text_of(result.plot_sensitivity())


def test_each_value_of_a_surface_parameter_is_a_separate_problem() -> None:
    result = momentumlab.compare(surface={"name": "ravine", "b": [1.0, 9.0]}, optimizers=["sgd"], budget=4)
    assert [match.experiment.surface.first["b"] for match in result.matches] == [1.0, 9.0]


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizers": THREE},
        MANY,
        {"optimizers": THREE, "surface": ["parabola", "ravine"], "start": "random(3)"},
        {"optimizers": THREE, "surface": ["beale", "ravine"], "beta": "tuned", "lr": "tuned(0.001, 1)"},
        {"optimizers": [{"name": "adam", "beta1": "tuned"}, "sgd"], "lr": [0.1, 0.2], "accuracy": 1e-3},
    ],
)
def test_a_comparison_written_out_is_the_same_comparison(settings: dict[str, Any], tmp_path: Path) -> None:
    comparison = load_comparison(settings)
    (tmp_path / "experiment.yaml").write_text(to_yaml(comparison))
    assert load_comparison(tmp_path / "experiment.yaml") == comparison


# The command


def test_a_run_folder_repeats_to_the_same_numbers(command: Command, tmp_path: Path) -> None:
    first = json.loads(
        command("compare", "--optimizers", "sgd,adam", "--surface", "booth,ravine", "--starts", "4", "--seed", "7",
                "--budget", "10", "--iterations", "50", "--format", "json").stdout
    )  # fmt: skip
    folder = tmp_path / first["run_folder"]
    assert {path.name for path in folder.iterdir()} >= {
        "experiment.yaml", "ranking.csv", "tuning.csv", "summary.csv", "result.json", "sensitivity.png", "profiles.png",
        "trajectory-booth.png", "loss-ravine.png", "velocity-ravine.png", "trajectories-booth.npz",
    }  # fmt: skip
    for verb in ("run", "compare"):
        again = json.loads(command(verb, folder / "experiment.yaml", "--format", "json", "--no-plots").stdout)
        assert again["ranking"] == first["ranking"]
        assert again["trials"] == first["trials"]


def test_the_tuning_table_has_every_trial_and_marks_the_chosen_ones(command: Command, tmp_path: Path) -> None:
    words = "--optimizers sgd,momentum --tune lr,beta --objective final_loss --no-plots --quiet"
    done = command("compare", *words.split())
    folder = tmp_path / done.stdout.strip()
    rows = list(csv.DictReader(io.StringIO((folder / "tuning.csv").read_text())))
    (result,) = [json.loads((folder / "result.json").read_text())]
    for entry in result["ranking"]:
        own = [row for row in rows if row["optimizer"] == entry["optimizer"]]
        assert len(own) == entry["searched"]
        (chosen,) = [row for row in own if row["chosen"] == "1"]
        assert float(chosen["lr"]) == entry["hyperparameters"]["lr"]
        assert float(chosen["final_loss"]) == entry["final_loss"]["median"]
        assert float(chosen["result"]) == min(float(row["result"]) for row in own)
        settings = {key: float(own[3][key]) for key in ("lr", "beta") if own[3][key]}
        alone = momentumlab.run({"surface": "ravine", "optimizer": entry["optimizer"], **settings})
        assert float(own[3]["iterations"]) == alone.iterations[0]
        assert [int(own[3][status.label]) for status in Status] == [int(status is alone.status[0]) for status in Status]


def test_run_takes_a_comparison_and_python_says_how() -> None:
    with pytest.raises(momentumlab.ConfigError, match="use 'compare'"):
        momentumlab.run(optimizers=["sgd"], surface="ravine", lr="tuned")


def test_an_experiment_may_be_called_tuned() -> None:
    assert momentumlab.run(optimizer="sgd", surface="ravine", name="tuned").experiment.name == "tuned"


def test_the_header_states_exactly_what_was_searched(command: Command) -> None:
    done = command("compare", "--optimizers", "sgd,momentum", "--tune", "lr,beta", "--no-plots")
    assert "searched for sgd: 64 values of lr from 0.0001 to 10" in done.stdout
    assert "searched for momentum: 8 values of lr from 0.0001 to 10 × 8 values of β from 0 to 0.99" in done.stdout
    uneven = command("compare", "--optimizers", "sgd,momentum", "--beta", "0.5,0.9", "--no-plots")
    assert "the optimizers did not get the same number of trials" in uneven.stdout


def test_csv_contains_only_data(command: Command) -> None:
    done = command("compare", "--optimizers", "sgd,adam", "--no-plots", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["rank"], row["optimizer"]) for row in rows] == [("1", "adam"), ("2", "sgd")]


def test_a_rate_that_differs_from_its_prediction_has_a_reason() -> None:
    # (-9, -9) from the minimum is an eigenvector of curvature 18: 1 − 0.072 · 18 = −0.296, and 0.856 is never seen.
    text = str(momentumlab.compare(optimizers="sgd", surface="booth", lr=[0.072, 0.01], objective="final_loss"))
    assert re.search(r"0\.2960 +0\.8560", text)
    assert "the start has no component along the direction with curvature 2" in " ".join(text.split())


def test_notebooks_show_the_tables(many: ComparisonResult) -> None:
    text = many._repr_html_()
    assert text.count("<table>") == 3
    assert "mean rank" in text
    assert "ravine: " in repr(many)


# Figures

PICTURED: dict[str, dict[str, Any]] = {
    "simple": {"optimizers": THREE},
    "many": MANY,
    "thirty": {"optimizers": list(OPTIMIZERS), "iterations": 30, "budget": 8},
    "one dimension": {"surface": "parabola", "optimizers": THREE, "start": "random(4)", "budget": 8},
    "five dimensions": {"surface": "rosenbrock", "optimizers": THREE, "start": "random(4, dimension=5)", "budget": 8},
    "no minimum": {"surface": "saddle", "optimizers": THREE, "start": "random(4)", "budget": 8},
    "zooms": {"optimizers": THREE, "lr": "tuned", "beta": "tuned", "beta1": "tuned", "zooms": 2, "budget": 300},
    "planes on two surfaces": {**MANY, "lr": "tuned", "beta": "tuned", "start": None},
    "all diverge": {"optimizers": THREE, "lr": [1e4, 1e5], "surface": "rosenbrock", "start": "random(3)"},
    "twice": {"optimizers": [{"name": "momentum", "beta": 0.5}, {"name": "momentum", "beta": 0.9}], "budget": 8},
    "a zero rate": {"optimizers": THREE, "lr": [0.0, 0.05, 0.1]},
    "no iterations": {"optimizers": THREE, "iterations": 0, "budget": 4, "start": "random(3)"},
    "seven surfaces": {
        "surface": ["ravine", "booth", "beale", "himmelblau", "rosenbrock", "parabola", "cubic"],
        "optimizers": THREE, "budget": 8, "iterations": 20,
    },
}  # fmt: skip


def figures_of(result: ComparisonResult) -> list[Figure]:
    figures = [result.plot_profiles()] + ([result.plot_sensitivity()] if result.searched_rates else [])
    figures += [result.plot_search()] if result.searched_planes else []
    return [*figures, result.plot_trajectories(), result.plot_losses(), result.plot_velocities()]


@pytest.mark.parametrize("settings", PICTURED.values(), ids=PICTURED)
def test_no_text_of_a_figure_overlaps_or_is_cut_off(settings: dict[str, Any]) -> None:
    for figure in figures_of(momentumlab.compare(settings)):
        assert_text_is_clear(figure)


@pytest.mark.parametrize("config", COMPARISONS, ids=lambda path: path.stem)
def test_shipped_comparisons_run_and_are_clear(config: Path) -> None:
    for figure in figures_of(momentumlab.compare(config)):
        assert_text_is_clear(figure)


def test_the_sensitivity_figure_draws_the_searched_rates_and_marks_the_chosen_one(simple: ComparisonResult) -> None:
    (panel,) = simple.plot_sensitivity().axes
    (match,) = simple.matches
    curves = [line for line in panel.get_lines() if len(np.asarray(line.get_xdata())) == 64]
    for one, line in zip(match.searched, curves, strict=True):
        drawn = np.asarray(line.get_ydata(), dtype=float)
        kept = np.isfinite(drawn)
        assert np.array_equal(drawn[kept], one.final_losses[kept, 0])
    dots = [line for line in panel.get_lines() if line.get_marker() == "o"]
    assert [np.asarray(dot.get_xdata())[0] for dot in dots] == [
        standing_of(match, name).setting["lr"] for name in THREE
    ]


def test_profiles_have_their_names_and_the_warning(many: ComparisonResult) -> None:
    text = text_of(many.plot_profiles())
    for expected in (
        "Dolan–Moré",
        "Moré–Wild",
        "32 problems",
        "the profile identifies the best optimizer",
        "share of problems",
    ):
        assert expected in text


def test_each_profile_draws_the_named_quantity(many: ComparisonResult) -> None:
    performance, data = many.plot_profiles().axes
    assert "Dolan" in performance.get_title(loc="left")
    for panel, values in ((performance, performance_ratios(many.costs)), (data, many.costs)):
        for line, own in zip(panel.get_lines(), values, strict=True):
            steps = np.asarray(line.get_xdata())[1:-1]
            assert steps.tolist() == sorted(set(own[np.isfinite(own)].tolist()))


def test_the_loss_over_several_starts_is_drawn_as_median_and_quartiles(many: ComparisonResult) -> None:
    (panel,) = many.plot_losses(0).axes
    match = many.matches[0]
    for number, line in enumerate(panel.get_lines()):
        losses = match.result.losses[list(match.trials_of(number))]
        shortest = int(match.result.iterations[list(match.trials_of(number))].min())
        drawn = np.asarray(line.get_ydata(), dtype=float)[: shortest + 1]
        np.testing.assert_allclose(drawn, np.median(losses[:, : shortest + 1], axis=0), rtol=1e-12)


def test_only_the_best_of_many_optimizers_are_drawn() -> None:
    result = momentumlab.compare(optimizers=list(OPTIMIZERS), iterations=30, budget=4)
    labels = [legend.get_text() for legend in result.plot_sensitivity().legends[0].get_texts()]
    best = {standing.choice.name for standing in result.matches[0].standings[:12]}
    assert set(labels) == best


def test_a_name_is_never_read_as_a_formula() -> None:
    result = momentumlab.compare(optimizers=["sgd"], name="cost $x_$", start="random(2)", budget=2)
    result.plot_profiles().canvas.draw()


def test_a_panel_holds_the_paths_from_all_starts(many: ComparisonResult) -> None:
    figure = many.plot_trajectories(1)
    assert len(figure.axes) == 3
    for panel in figure.axes:
        starts = [line for line in panel.get_lines() if line.get_marker() == "o" and line.get_markersize() == 4]
        assert [np.size(line.get_xdata()) for line in starts] == [16]


@pytest.mark.parametrize("objective", [{}, {"objective": "iterations", "tolerance": 1e-6}, {"target_loss": 1e-3}])
@pytest.mark.parametrize(
    ("surface", "start"),
    [
        ("asin(x)", 5),
        ("sqrt(x*y)", [1, -1]),
        ("sqrt(x*y)", "random(3)"),
        ("x**1.5", -1),
        ("log(x)", 0),
        ("1/x", 0),
        ("acos(x) + y**2", [3, 1]),
    ],
)
@pytest.mark.parametrize("search", [momentumlab.compare, momentumlab.tune])
def test_trials_without_a_finite_loss_at_the_start_have_diverged(
    search: Any, surface: str, start: Any, objective: dict[str, Any]
) -> None:
    budget = {"budget": 30, "iterations": 10}
    result = search(surface=surface, start=start, optimizers=["sgd", "momentum"], **objective, **budget)
    (match,) = result.matches
    finite = np.isfinite(match.yardstick.start_losses)
    assert (match.result.status_codes.reshape(2, -1)[:, ~finite] == Status.DIVERGED.code).all()
    note = (
        f"all trials of all optimizers diverge on {surface}: the loss at the start is not finite; choose another start"
    )
    assert (note in result.notes) == (not finite.any())
    assert len([text for text in result.notes if "diverge" in text]) <= 2
