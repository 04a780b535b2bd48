"""Successive halving: its budget, its rungs, what it finds, and where it fails."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab import engine
from momentumlab.config import load_comparison
from momentumlab.errors import ConfigError, InterruptedSweepError
from momentumlab.execution import Execution, execute_comparison
from momentumlab.experiment import Comparison, Stopping
from momentumlab.outcome import Outcome
from momentumlab.plan import Plan, make_plan
from momentumlab.result import Result
from momentumlab.search import ComparisonResult, compare
from momentumlab.search.halving import Rung, rungs_of
from tests.conftest import Command

SURFACE = {"surface": {"name": "quadratic", "eigenvalues": [1.0]}, "start": [1.0], "iterations": 120}
STABLE: dict[str, Any] = {**SURFACE, "search": "halving", "objective": "final_loss"}
"""With gradient descent, the loss after k steps is (1 − lr)²ᵏ/2: the order of learning rates is the same for all k."""


def counted(comparison: Comparison) -> tuple[ComparisonResult, list[Plan], list[int]]:
    """Return the result of a comparison, the plans of its search, and the gradient evaluations of each."""
    plans: list[Plan] = []
    evaluations: list[int] = []

    def run(plan: Plan, *, history: bool) -> Result:
        result = engine.run(plan, history=history)
        if not history:
            plans.append(plan)
            evaluations.append(int(result.gradient_evaluations.sum()))
        return result

    return compare(comparison, run), plans, evaluations


@pytest.mark.parametrize("settings", [24, 31, 192, 3072, 100_000])
@pytest.mark.parametrize("gradients", [1, 2])
@pytest.mark.parametrize("tolerance", [None, 1e-9])
def test_rungs_halve_the_settings_and_use_the_evaluations(settings: int, gradients: int, tolerance: Any) -> None:
    stopping = Stopping(iterations=1000, gradient_tolerance=tolerance)
    evaluations = settings // 3 * gradients * 1000
    rungs = rungs_of(settings, evaluations, stopping, gradients)
    counts = [rung.settings for rung in rungs]
    assert counts[:-1] == [settings // 2**i for i in range(len(rungs) - 1)]
    assert 1 <= counts[-1] <= counts[-2]
    assert rungs[-1].iterations == 1000
    used = sum(rung.settings * (rung.iterations * gradients + (tolerance is not None)) for rung in rungs)
    assert used <= evaluations
    assert used + 1000 * gradients + 1 > evaluations or counts[-1] == counts[-2]


def test_rungs_of_an_example_by_hand() -> None:
    # Five equal shares of 64 · 200 evaluations are 2560: 192 settings get 13 iterations, 96 get 26, and so on. They
    # use 10,160; the last rung gets 13 complete trials from what is left.
    lengths = {192: 13, 96: 26, 48: 53, 24: 106, 13: 200}
    expected = [Rung(settings=settings, iterations=iterations) for settings, iterations in lengths.items()]
    assert rungs_of(192, 64 * 200, Stopping(iterations=200), 1) == expected
    assert rungs_of(8, 0, Stopping(iterations=0), 1) == [Rung(settings=8, iterations=0)]


@pytest.mark.parametrize("zooms", [0, 2])
def test_every_optimizer_keeps_to_the_same_budget_of_gradient_evaluations(zooms: int) -> None:
    optimizers = [{"name": name, "lr": "tuned(1e-6, 1e-5)"} for name in ("sgd", "momentum", "sam", "adam")]
    settings = {"surface": "ravine", "optimizers": optimizers, "start": [[2.0, 1.0], [-1.0, 1.0]], "iterations": 60}
    comparison = load_comparison({**settings, "budget": 96 * (zooms + 1), "zooms": zooms, "search": "halving"})
    _, plans, evaluations = counted(comparison)
    used: dict[str, int] = {}
    for plan, count in zip(plans, evaluations, strict=True):
        name = plan.experiment.optimizers[0].name
        used[name] = used.get(name, 0) + count
    declared = 96 * (zooms + 1) * 60 * 2  # complete trials × iterations × starts
    # No trial ends early here, so the evaluations are those of the rungs: at most as declared, and less than one
    # complete trial of two gradients per start and stage below.
    for count in used.values():
        assert declared - (zooms + 1) * 2 * 2 * 60 < count <= declared
    assert used["sgd"] == used["momentum"] == used["adam"]


def test_on_a_plane_with_a_stable_order_it_finds_the_best_of_the_grid() -> None:
    search = {**STABLE, "optimizer": "sgd", "lr": "tuned(1e-3, 0.05)", "budget": 64}
    result, plans, _ = counted(load_comparison(search))
    assert [plan.trials for plan in plans] == [192, 96, 48, 24, 12]
    (searched,) = result.matches[0].searched
    rates = make_plan(plans[0].experiment).groups[0].axes[0].values
    assert result.best_settings() == {"sgd": {"lr": 0.05}}
    # The settings that remain are the best ones of the grid, and have made all iterations.
    best = np.sort(rates)[-searched.cells :]
    assert searched.lr.tolist() == best.tolist()
    np.testing.assert_allclose(searched.final_losses[:, 0], (1 - best) ** 240 / 2, rtol=1e-9)
    assert (searched.iterations == 120).all()


def test_the_best_setting_may_be_the_first_of_the_grid() -> None:
    search = {**STABLE, "optimizer": "sgd", "lr": "tuned(1.8, 1.95)", "budget": 16}
    result, _, _ = counted(load_comparison(search))
    assert result.best_settings() == {"sgd": {"lr": 1.8}}


def test_on_a_plane_of_two_hyperparameters_with_a_stable_order_it_finds_the_best_of_the_grid() -> None:
    # Weight decay c turns the contraction 1 − lr into 1 − lr (1 + c); the minimum remains 0.
    search = {**STABLE, "optimizer": "sgd", "lr": "tuned(1e-3, 0.03)", "weight_decay": "tuned(0.01, 1)", "budget": 48}
    result, plans, _ = counted(load_comparison(search))
    experiment = plans[0].experiment
    complete = replace(experiment, stopping=replace(experiment.stopping, iterations=120))
    losses = engine.run(make_plan(complete), history=False).final_losses
    assert len(losses) == 144
    assert result.matches[0].standings[0].final_loss[1] == losses.min()


def test_a_rung_is_the_beginning_of_the_complete_trajectory() -> None:
    """Schedules extend over the complete run; noise and mini-batches depend on the iteration only."""
    settings = {**STABLE, "optimizer": "momentum", "lr_schedule": "wsd(1)", "noise": 0.1, "replicates": 2, "budget": 16}
    _, plans, _ = counted(load_comparison({**settings, "beta": ["cosine(0.9, 0.5)", 0.8]}))
    for plan in plans[:-1]:
        rung = engine.run(plan, history=True)
        number = plan.trials // 2
        trial = plan.trial(number)
        optimizer = {"name": "momentum", **trial.hyperparameters}
        single = momentumlab.run({**SURFACE, "optimizer": optimizer, "noise": 0.1, "replicates": 2})
        length = rung.positions.shape[1]
        assert length < 121
        assert rung.positions[number].tobytes() == single.positions[trial.replicate, :length].tobytes()


def test_slow_starters_are_discarded_as_the_documentation_says() -> None:
    """A large momentum is best after 400 iterations on an ill-conditioned quadratic, and worse after a few."""
    surface = {"name": "quadratic", "eigenvalues": [1.0, 2000.0]}
    settings: dict[str, Any] = {"surface": surface, "start": [1.0, 1.0], "iterations": 400, "budget": 1024}
    settings |= {"optimizer": "momentum", "beta": "tuned", "objective": "final_loss"}
    grid = momentumlab.compare(settings)
    halving = momentumlab.compare(settings, search="halving")
    found = [each.matches[0].standings[0].final_loss[1] for each in (grid, halving)]
    assert found[1] > 3 * found[0]


def test_the_command_says_what_it_did_and_its_folder_can_be_opened(command: Command, tmp_path: Path) -> None:
    done = command("compare", "--optimizer", "sgd,sam", "--search", "halving", "--budget", "32", COLUMNS="80")
    text = " ".join(done.stdout.split())
    assert (
        "searched for sgd: 96 lr from 0.0001 to 10, halved: 96, 48, 24, 12, 7 settings for 6, 13, 26, 53, 100" in text
    )
    assert "searched for sam: 48 lr" in text
    assert text.count("at most 3,200 gradient evaluations per start") == 2
    assert "did not get the same number" not in text
    folder = tmp_path / done.stdout.splitlines()[-1]
    again = command("runs", "show", str(folder), "--format", "json")
    assert json.loads(again.stdout)["ranking"] == json.loads((folder / "result.json").read_text())["ranking"]
    repeated = command("compare", str(folder / "experiment.yaml"), "--no-plots", "--format", "json")
    assert json.loads(repeated.stdout)["ranking"] == json.loads(again.stdout)["ranking"]


@pytest.mark.parametrize(
    "settings", [{"budget": 2}, {"iterations": 10}, {"optimizer": {"name": "sgd", "lr": "tuned"}, "budget": 3}]
)
def test_too_small_budgets_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="gradient evaluations are too few to halve .* or use the search 'grid'"):
        momentumlab.compare({"optimizer": "sgd", "search": "halving", **settings})


def test_an_interrupted_search_is_resumed(tmp_path: Path) -> None:
    settings = {"optimizers": ["sgd", "adam"], "search": "halving", "budget": 64, "zooms": 1, "iterations": 60}
    comparison = load_comparison(settings)
    expected = compare(comparison)
    for most in (1, 4, 9):
        blocks: list[Outcome] = []

        def stop(block: Outcome, blocks: list[Outcome] = blocks, most: int = most) -> None:
            blocks.append(block)
            if len(blocks) == most:
                raise KeyboardInterrupt

        with pytest.raises(InterruptedSweepError):
            execute_comparison(comparison, Execution(figures=None, on_block=stop), out=tmp_path / str(most))
        (folder,) = [each for each in (tmp_path / str(most)).iterdir() if each.is_dir() and not each.is_symlink()]
        result = momentumlab.tune(resume=folder, plots=False)
        assert result.best_settings() == expected.best_settings()
        for one, other in zip(result.matches[0].searched, expected.matches[0].searched, strict=True):
            assert one.final_losses.tobytes() == other.final_losses.tobytes()


def test_workers_and_processes_do_not_change_the_choice() -> None:
    settings = {"optimizers": ["sgd", "adam"], "search": "halving", "budget": 32, "tolerance": 1e-6, "iterations": 200}
    alone, together = (momentumlab.compare(settings, workers=workers) for workers in (1, 2))
    assert alone.best_settings() == together.best_settings()
    for one, other in zip(alone.matches[0].searched, together.matches[0].searched, strict=True):
        assert one.final_losses.tobytes() == other.final_losses.tobytes()
