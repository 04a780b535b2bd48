"""Contracts of the engine: iterations, stopping, statuses, independence of lanes, and history."""

import itertools
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab import engine
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.outcome import Recorder
from momentumlab.parameters import Array
from momentumlab.plan import make_plan
from momentumlab.result import Status
from momentumlab.surfaces import SURFACES, Surface

RAVINE = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "beta": 0.8, "iterations": 50}


def outcome(result: momentumlab.Result, trial: int) -> list[Any]:
    """Return everything about one trial, floats as bytes."""
    return [
        result.final_points[trial].tobytes(),
        result.final_losses[trial].tobytes(),
        result.iterations[trial],
        result.status_of(trial),
        result.path(trial).tobytes(),
        result.velocities[trial, : len(result.recorded(trial))].tobytes(),
    ]


# One iteration


def test_history_begins_with_the_start_and_zero_velocity() -> None:
    result = momentumlab.run(RAVINE)
    assert result.positions.shape == (1, 51, 2)
    assert result.positions[0, 0].tolist() == [-2.4, 0.2]
    assert result.velocities[0, 0].tolist() == [0, 0]
    assert result.positions[0, -1].tolist() == result.final_points[0].tolist()
    assert result.losses[0, -1] == result.final_losses[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_velocity_is_minus_the_displacement_per_unit_of_lr(optimizer: str) -> None:
    result = momentumlab.run({**RAVINE, "optimizer": optimizer, "lr": 0.05, "beta": None})
    moved = np.diff(result.positions[0], axis=0)
    np.testing.assert_allclose(moved, -0.05 * result.velocities[0, 1:], rtol=1e-9, atol=1e-15)


def test_losses_are_those_of_the_positions() -> None:
    result = momentumlab.run(RAVINE)
    surface = SURFACES["ravine"]()
    assert result.losses[0].tolist() == surface.value(result.positions[0].T).tolist()


# Stopping


def test_tolerance_stops_after_the_first_small_change_of_loss() -> None:
    result = momentumlab.run(RAVINE, tolerance=1e-3, iterations=1000)
    changes = np.abs(np.diff(result.losses[0]))
    assert changes[-1] <= 1e-3 < changes[:-1].min()
    assert result.status == (Status.CONVERGED,)
    assert result.iterations[0] == len(changes)


@pytest.mark.parametrize("patience", [1, 2, 5, 40])
@pytest.mark.parametrize("beta", [0.0, 0.8, 0.97])
def test_patience_stops_after_as_many_small_changes_of_loss_in_a_row(patience: int, beta: float) -> None:
    free = momentumlab.run(RAVINE, beta=beta, iterations=2000)
    in_a_row = stop = 0
    for before, after in itertools.pairwise(free.losses[0].tolist()):
        in_a_row = in_a_row + 1 if abs(after - before) <= 1e-4 else 0
        stop += 1
        if in_a_row == patience:
            break
    result = momentumlab.run(RAVINE, beta=beta, iterations=2000, tolerance=1e-4, patience=patience)
    assert (result.iterations[0], result.status) == (stop, (Status.CONVERGED,))
    assert result.path(0).tobytes() == free.path(0)[: stop + 1].tobytes()


@pytest.mark.parametrize("test", [{"gradient_tolerance": 1e-3}, {"target_loss": 1e-3}])
def test_patience_applies_only_to_the_tolerance(test: dict[str, Any]) -> None:
    once = momentumlab.run({**RAVINE, **test}, iterations=1000)
    patient = momentumlab.run({**RAVINE, **test}, iterations=1000, patience=7, tolerance=0.0)
    assert patient.iterations[0] == once.iterations[0]


def test_gradient_tolerance_stops_at_the_first_small_gradient() -> None:
    result = momentumlab.run(RAVINE, gradient_tolerance=1e-3, iterations=1000)
    norms = np.linalg.norm(SURFACES["ravine"]().gradient(result.positions[0].T), axis=0)
    assert norms[-1] <= 1e-3 < norms[:-1].min()
    assert result.gradient_evaluations[0] == result.iterations[0] + 1


def test_target_loss_stops_at_the_first_loss_that_low() -> None:
    result = momentumlab.run(RAVINE, target_loss=1e-3, iterations=1000)
    assert result.losses[0, -1] <= 1e-3 < result.losses[0, :-1].min()


@pytest.mark.parametrize("test", ["tolerance", "gradient_tolerance", "target_loss"])
def test_a_tighter_test_gives_a_tighter_result(test: str) -> None:
    # β = 0.25 is below critical damping on both axes at this lr: the loss falls monotonically.
    settings = {**RAVINE, "lr": 0.02, "beta": 0.25, "iterations": 100_000}
    results = [momentumlab.run({**settings, test: 10.0**-exponent}) for exponent in (2, 4, 8, 12)]
    assert all(result.status == (Status.CONVERGED,) for result in results)
    for loose, tight in itertools.pairwise(results):
        assert tight.iterations[0] > loose.iterations[0]
        assert tight.final_losses[0] < loose.final_losses[0]


@pytest.mark.parametrize("test", [{"gradient_tolerance": 1e-6}, {"target_loss": 1e-12}])
def test_a_start_that_meets_the_test_takes_no_iteration(test: dict[str, float]) -> None:
    result = momentumlab.run({**RAVINE, **test}, start=[0.0, 0.0])
    assert (result.iterations[0], result.status) == (0, (Status.CONVERGED,))
    assert result.positions.shape == (1, 1, 2)


def test_a_start_at_the_minimum_converges_by_tolerance_after_one_iteration() -> None:
    result = momentumlab.run(RAVINE, start=[0.0, 0.0], tolerance=1e-10)
    assert (result.iterations[0], result.status) == (1, (Status.CONVERGED,))


def test_no_iterations_is_legal() -> None:
    result = momentumlab.run(RAVINE, iterations=0)
    assert (result.iterations[0], result.gradient_evaluations[0]) == (0, 0)
    assert result.status == (Status.MAX_ITERATIONS,)
    assert result.final_points.tolist() == [[-2.4, 0.2]]
    assert result.positions.shape == (1, 1, 2)


def test_converged_comes_before_max_iterations() -> None:
    needed = int(momentumlab.run(RAVINE, tolerance=1e-3, iterations=1000).iterations[0])
    assert momentumlab.run(RAVINE, tolerance=1e-3, iterations=needed).status == (Status.CONVERGED,)
    assert momentumlab.run(RAVINE, tolerance=1e-3, iterations=needed - 1).status == (Status.MAX_ITERATIONS,)


def test_diverged_comes_before_converged() -> None:
    result = momentumlab.run({"surface": "saddle", "optimizer": "sgd", "lr": 1.0, "start": [0, 1]}, target_loss=-1e32)
    assert result.status == (Status.DIVERGED,)  # the same iteration passes the target and the bound on positions
    assert np.abs(result.final_points).max() > engine.POSITION_BOUND
    assert result.final_losses[0] < -1e32


def test_divergence_ends_a_trial_at_the_bound() -> None:
    result = momentumlab.run(RAVINE, lr=0.5, beta=0.0, iterations=10_000)
    assert result.status == (Status.DIVERGED,)
    sizes = np.abs(result.path(0)).max(axis=1)
    assert sizes[-2] <= engine.POSITION_BOUND < sizes[-1]


@dataclass(frozen=True, kw_only=True)
class Cliff(Surface):
    """Finite and flat, until the loss (x > 1) or the gradient (x < −1) is not."""

    formula = latex = source = ""
    dimension = 1
    view = ((-2.0, 2.0),)
    start = (0.0,)

    def value(self, x: Array) -> Array:
        return np.where(x[0] > 1, 1e101, 0.0)

    def gradient(self, x: Array) -> Array:
        return np.where(x < -1, np.inf, 1.0)


@pytest.mark.parametrize(("start", "status"), [(0.5, "max_iterations"), (1.5, "diverged"), (-1.5, "diverged")])
def test_a_loss_beyond_its_bound_and_an_infinite_gradient_are_divergence(start: float, status: str) -> None:
    plan = make_plan(momentumlab.load({"surface": "parabola", "optimizer": "sgd", "lr": 0.0, "start": start}))
    (group,) = plan.groups
    axes = tuple(axis for axis in group.axes if axis.owner is group.optimizer_class)
    result = engine.run(replace(plan, groups=(replace(group, surface_class=Cliff, axes=axes),)))
    assert [ended.label for ended in result.status] == [status]
    assert result.iterations[0] == (100 if status == "max_iterations" else 0)


@pytest.mark.parametrize("start", [[1e200, 1e200], [1e60, 0.0]])
def test_a_start_beyond_every_bound_diverges_at_once(start: list[float]) -> None:
    result = momentumlab.run(RAVINE, surface="rosenbrock", start=start)
    assert (result.iterations[0], result.status) == (0, (Status.DIVERGED,))


def test_no_warning_reaches_the_user() -> None:
    program = (
        "import momentumlab; momentumlab.run({'surface': 'himmelblau', 'optimizers': ['sgd', 'momentum', 'adam'],"
        "'lr': [0.01, 1, 100], 'start': [3, 4], 'iterations': 500}).plot_trajectories()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# Lanes do not touch each other

MIXED = {
    "surface": "rosenbrock",
    "optimizers": [
        {"name": "sgd", "lr": [1e-3, 2e-3, 0.1]},
        {"name": "momentum", "lr": [1e-4, 1e-3], "beta": [0.5, 0.9, 0.99]},
        {"name": "adam", "lr": [0.01, 0.3, 1e18]},
    ],
    "start": [[-1.2, 1.0], [0.9, 0.9]],
    "iterations": 400,
    "tolerance": 1e-5,
}


@pytest.mark.parametrize("patience", [1, 3])
def test_a_batch_equals_its_trials_one_at_a_time(patience: int) -> None:
    batch = momentumlab.run(MIXED, patience=patience)
    assert set(batch.status) == set(Status), "the batch is meant to end in every status"
    for trial in batch.plan:
        alone = momentumlab.run(
            {
                **MIXED,
                "optimizers": [{"name": trial.optimizer, **trial.hyperparameters}],
                "start": list(trial.start),
            },
            patience=patience,
        )
        assert outcome(alone, 0) == outcome(batch, trial.number)


def test_results_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = momentumlab.run(MIXED)
    for lanes in (1, 3, 7):
        monkeypatch.setattr(engine, "BATCH_BYTES", 8 * 2 * lanes)
        blocks = momentumlab.run(MIXED)
        assert [outcome(blocks, i) for i in range(whole.trials)] == [outcome(whole, i) for i in range(whole.trials)]


@pytest.mark.parametrize("evaluate_every", [2, 3])
def test_a_loss_that_is_evaluated_seldom_is_evaluated_at_the_same_iterations_in_every_lane(
    evaluate_every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials that take over a lane begin at other iterations of the batch than the trials beside them."""
    settings = {**RAVINE, "tolerance": 1e-3, "iterations": 61, "evaluate_every": evaluate_every}
    rates = np.geomspace(1e-3, 3, 19).tolist()
    monkeypatch.setattr(engine, "BATCH_BYTES", 8 * 2 * 3)
    batch = momentumlab.run(settings, lr=rates, record="none")
    assert set(batch.status) == set(Status)  # a trial may diverge between two evaluations
    losses = SURFACES["ravine"]().value(np.ascontiguousarray(batch.final_points.T))
    assert losses.tolist() == batch.final_losses.tolist()
    for number, lr in enumerate(rates):
        # An independent count: the tolerance is tested between evaluations only.
        free = momentumlab.run(RAVINE, lr=lr, iterations=61).losses[0]
        seen = [0, *range(evaluate_every, 62, evaluate_every)]
        ends = (k for before, k in itertools.pairwise(seen) if k < len(free) and abs(free[k] - free[before]) <= 1e-3)
        assert batch.iterations[number] == next(ends, len(free) - 1)


@settings(max_examples=30, deadline=None)
@given(
    surface=st.sampled_from(sorted(SURFACES)),
    optimizer=st.sampled_from(sorted(name for name, cls in OPTIMIZERS.items() if not cls.requires)),
    lrs=st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_results_do_not_depend_on_the_order_of_lanes(
    surface: str, optimizer: str, lrs: list[float], order: Any
) -> None:
    shuffled = list(range(len(lrs)))
    order.shuffle(shuffled)
    settings = {"surface": surface, "optimizer": optimizer, "iterations": 40, "tolerance": 1e-9}
    straight = momentumlab.run({**settings, "lr": lrs})
    mixed = momentumlab.run({**settings, "lr": [lrs[i] for i in shuffled]})
    for place, i in enumerate(shuffled):
        assert outcome(mixed, place) == outcome(straight, i)


@pytest.mark.parametrize("dimension", [3, 10, 40])
@pytest.mark.parametrize("surface", ["rosenbrock", "quadratic"])
def test_many_dimensions_round_the_same_in_a_single_trial_and_in_a_batch(surface: str, dimension: int) -> None:
    chosen: Any = surface
    if surface == "quadratic":
        chosen = {"name": "quadratic", "eigenvalues": list(np.geomspace(0.1, 10, dimension)), "rotation": 33.0}
    settings = {"surface": chosen, "optimizer": "momentum", "lr": [1e-4, 1e-3], "iterations": 60}
    batch = momentumlab.run(settings, start=f"random(50, dimension={dimension})")
    for number in (0, 17, 99):
        trial = batch.plan.trial(number)
        alone = momentumlab.run(settings, lr=trial.hyperparameters["lr"], start=list(trial.start))
        assert outcome(alone, 0) == outcome(batch, number)


# History


def test_after_its_end_a_trial_is_nan() -> None:
    result = momentumlab.run(MIXED)
    for trial in range(result.trials):
        end = int(result.iterations[trial]) + 1
        for array in (result.positions[trial], result.velocities[trial], result.losses[trial]):
            assert np.isnan(array[end:]).all()
        assert not np.isnan(result.losses[trial, : end - 1]).any()
    assert result.positions.shape[1] == result.iterations.max() + 1


def test_without_history_the_outcome_is_the_same() -> None:
    kept, bare = momentumlab.run(MIXED), momentumlab.run(MIXED, record="none")
    assert bare.history is None
    assert bare.final_points.tobytes() == kept.final_points.tobytes()
    assert bare.iterations.tolist() == kept.iterations.tolist()
    with pytest.raises(ValueError, match="without its history"):
        _ = bare.positions


@settings(max_examples=25, deadline=None)
@given(kept=st.integers(2, 60), iterations=st.integers(0, 120))
def test_a_history_above_the_memory_bound_keeps_every_kth_iterate_and_the_last(kept: int, iterations: int) -> None:
    plan = make_plan(momentumlab.load(MIXED, iterations=iterations))
    bytes_per_entry = 8 * plan.trials * (2 * plan.dimension + 1)
    full, thin = engine.run(plan), engine.run(plan, history_bytes=kept * bytes_per_entry)
    assert thin.history is not None
    stride = thin.history.stride
    assert thin.positions.shape[1] <= kept
    assert bool(thin.notes) == (stride > 1)
    for trial in range(plan.trials):
        recorded = thin.recorded(trial)
        assert recorded[-1] == thin.iterations[trial]
        assert (np.diff(recorded[:-1]) == stride).all()
        assert thin.path(trial).tobytes() == full.positions[trial][recorded].tobytes()
        assert np.isnan(thin.positions[trial, len(recorded) :]).all()


def test_the_note_on_a_thinned_history_says_what_the_whole_one_needs() -> None:
    plan = make_plan(momentumlab.load(RAVINE, lr="linspace(0.01, 0.1, 100)", iterations=10**6))
    (note,) = Recorder(plan, 0, plan.trials, 2**20).notes
    # Positions, velocities and losses are five numbers of 8 bytes per trial and iteration: 4·10⁹ bytes.
    assert note.startswith("the whole history could need 3.7 GiB, above the limit of 0.0 GiB: every 3832th iterate")


def test_a_thinned_history_survives_lanes_that_diverge_slowly() -> None:
    # The sum of all squares passes the bound before any lane does: a quick test that fails is not yet an end.
    settings = {"surface": "ravine", "optimizer": "sgd", "lr": [0.1122] * 200 + [0.1], "iterations": 2000}
    plan = make_plan(momentumlab.load(settings))
    full, thin = engine.run(plan), engine.run(plan, history_bytes=300 * 8 * plan.trials * 5)
    assert thin.history is not None
    assert thin.history.stride > 1
    assert thin.final_points.tobytes() == full.final_points.tobytes()


# The plan's limits


def test_too_many_trials_are_refused_before_anything_is_allocated() -> None:
    huge = momentumlab.load(RAVINE, lr="linspace(0, 1, 1000000)", beta="linspace(0, 0.9, 1000000)")
    assert huge.trials == 10**12
    with pytest.raises(momentumlab.ConfigError, match=r"1,000,000,000,000 trials are more than the limit"):
        make_plan(huge)


def test_trials_are_numbered_optimizer_by_optimizer_with_the_last_axis_fastest() -> None:
    plan = make_plan(momentumlab.load(MIXED))
    product = [
        *(("sgd", lr, None, start) for lr, start in itertools.product([1e-3, 2e-3, 0.1], [-1.2, 0.9])),
        *(
            ("momentum", lr, beta, start)
            for lr, beta, start in itertools.product([1e-4, 1e-3], [0.5, 0.9, 0.99], [-1.2, 0.9])
        ),
        *(("adam", lr, None, start) for lr, start in itertools.product([0.01, 0.3, 1e18], [-1.2, 0.9])),
    ]
    described = [
        (trial.optimizer, trial.hyperparameters["lr"], trial.hyperparameters.get("beta"), trial.start[0])
        for trial in plan
    ]
    assert described == product


def test_axes_of_the_surface_multiply_the_trials() -> None:
    axes: dict[str, Any] = {"surface.a": [0.05, 0.1], "surface.b": [1.0, 9.0, 20.0]}
    result = momentumlab.run(RAVINE, **axes, lr=[0.01, 0.02])
    assert result.trials == 12
    for trial in result.plan:
        a, b = trial.surface_parameters["a"], trial.surface_parameters["b"]
        alone = momentumlab.run(
            {**RAVINE, "surface": {"name": "ravine", "a": a, "b": b}, "lr": trial.hyperparameters["lr"]}
        )
        assert outcome(alone, 0) == outcome(result, trial.number)


def test_each_vector_of_an_axis_has_its_own_group() -> None:
    surface = {"name": "quadratic", "eigenvalues": [[1.0, 2.0], [1.0, 20.0]], "rotation": [0.0, 45.0]}
    result = momentumlab.run({"surface": surface, "optimizer": "sgd", "lr": [0.01, 0.05]})
    assert result.trials == 8
    assert len(result.plan.groups) == 4
    turned = result.plan.groups[-1].lanes(np.array([0])).surface  # by 45 degrees: its eigenvectors are the diagonals
    assert turned.value(np.array([[1.0, -1.0], [1.0, 1.0]])) == pytest.approx([1.0, 20.0])


def test_statuses_carry_their_message() -> None:
    assert {status.label for status in Status} == {"converged", "diverged", "max_iterations"}
    assert all(status.message for status in Status)
