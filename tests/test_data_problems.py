"""Losses over the rows of a table, compared with plain loops, scikit-learn, PyTorch, SciPy and closed forms."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.errors import ConfigError
from momentumlab.parameters import Array
from momentumlab.report import report_of
from momentumlab.report.figures.surface import informative_plane
from momentumlab.report.figures.training import training_figure
from momentumlab.report.final_state import FinalState, final_states
from momentumlab.surfaces import SURFACES, Tag
from momentumlab.surfaces.data.base import PANEL
from momentumlab.surfaces.data.linear import Softmax
from tests.conftest import ROOT

GOLDEN = np.load(ROOT / "tests" / "golden" / "data_problems.npz")
L2 = 0.01
"""As in the golden values."""

PROBLEMS = [name for name, cls in SURFACES.items() if not cls.is_formula]
CONVEX = [name for name in PROBLEMS if Tag.CONVEX in SURFACES[name].tags]
every_problem = pytest.mark.parametrize("name", PROBLEMS)
every_convex = pytest.mark.parametrize("name", CONVEX)


def problem(name: str, **parameters: Any) -> Any:
    made: Any = SURFACES[name]
    return made(**parameters)


def small(name: str, folder: Path, **parameters: Any) -> Any:
    """Return a surface over a table of five rows."""
    path = folder / "five.csv"
    path.write_text("a,b,k\n0.5,-1,1\n2,0.25,0\n-1.5,3,1\n0,0,0\n1,1,1\n")
    return problem(name, **{"data": str(path), "standardise": False, **parameters})


def points_of(surface: Any, count: int = 5, seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(size=(surface.required_dimension, count))


def plain_losses(name: str, point: list[float], hidden: int) -> Iterator[float]:
    """Yield the loss of each of the five rows, computed with Python floats."""
    rows = [(0.5, -1.0, 1.0), (2.0, 0.25, 1.0), (-1.5, 3.0, 1.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)]
    for x, target in zip(rows, [1, 0, 1, 0, 1], strict=True):
        if name == "least_squares":
            yield (sum(a * w for a, w in zip(x, point, strict=True)) - target) ** 2 / 2
            continue
        if name == "logistic":
            score = sum(a * w for a, w in zip(x, point, strict=True))
            scores = [0.0, score]
        elif name == "softmax":
            scores = [sum(x[j] * point[2 * j + k] for j in range(3)) for k in range(2)]
        else:
            active = [math.tanh(sum(x[j] * point[hidden * j + h] for j in range(3))) for h in range(hidden)]
            second, bias = 3 * hidden, 5 * hidden
            scores = [
                sum(active[h] * point[second + 2 * h + k] for h in range(hidden)) + point[bias + k] for k in range(2)
            ]
        yield math.log(sum(math.exp(score) for score in scores)) - scores[target]


@every_problem
def test_value_equals_a_plain_loop_over_the_rows(name: str, tmp_path: Path) -> None:
    extra = {"hidden": 4.0} if name == "mlp" else {}
    surface = small(name, tmp_path, l2=0.3, **extra)
    x = points_of(surface)
    for lane, value in enumerate(surface.value(x)):
        point = x[:, lane].tolist()
        expected = math.fsum(plain_losses(name, point, 4)) / 5 + 0.15 * math.fsum(c * c for c in point)
        assert value == pytest.approx(expected, rel=1e-14)


@every_problem
def test_results_of_a_lane_do_not_depend_on_other_lanes(name: str) -> None:
    """Bit for bit, for any number of lanes and any position in a panel."""
    surface = problem(name, data="two_moons(301)" if name != "least_squares" else "wine", batch_size=32.0)
    x = points_of(surface, 3 * PANEL + 1)
    replicate, k = np.arange(x.shape[1]) % 3, np.arange(x.shape[1]) % 7
    values, gradients = surface.value(x), surface.gradient(x)
    shares = surface.accuracy(x) if surface.is_classifier else None
    sampled = surface.sampled_gradient(x, k, replicate, 0)
    for width in (1, 2, PANEL, PANEL + 3):
        for first in (0, 1, 13):
            lanes = slice(first, first + width)
            part = np.ascontiguousarray(x[:, lanes])
            assert surface.value(part).tolist() == values[lanes].tolist()
            assert surface.gradient(part).tolist() == gradients[:, lanes].tolist()
            if shares is not None:
                assert surface.accuracy(part).tolist() == shares[lanes].tolist()
            batches = surface.sampled_gradient(part, k[lanes], replicate[lanes], 0)
            assert batches.tolist() == sampled[:, lanes].tolist()


@pytest.mark.parametrize("name", ["logistic", "softmax", "mlp"])
def test_losses_far_out_are_exact_and_finite(name: str, tmp_path: Path) -> None:
    surface = small(name, tmp_path, l2=0.0)
    x = 1e6 * points_of(surface)
    with np.errstate(over="raise", invalid="raise"):
        values, gradients = surface.value(x), surface.gradient(x)
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    if name == "logistic":  # correctly classified rows cost nothing, others their distance
        features, targets = surface.design.features, surface.design.targets
        costs = np.maximum((1 - 2 * targets) * (features @ x), 0).mean(axis=0)
        np.testing.assert_allclose(values, costs, rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "data"), [("logistic", "two_moons"), ("softmax", "iris"), ("softmax", "wine"), ("least_squares", "wine")]
)
def test_minima_agree_with_scikit_learn(name: str, data: str) -> None:
    surface = problem(name, data=data, l2=L2)
    (found,) = surface.critical_points(surface.required_dimension)
    theirs = GOLDEN[f"{name}-{data}"]
    np.testing.assert_allclose(found.point, theirs, rtol=1e-5, atol=1e-6)
    (value,) = surface.value(theirs[:, np.newaxis])
    assert 0 <= value - found.loss < 1e-11


@pytest.mark.parametrize(("data", "hidden"), [("two_moons", 5.0), ("iris", 3.0)])
def test_loss_gradient_and_hessian_of_a_network_agree_with_pytorch(data: str, hidden: float) -> None:
    surface = problem("mlp", data=data, hidden=hidden, l2=L2)
    points, losses, gradients, hessians = (
        GOLDEN[f"mlp-{data}-{kind}"] for kind in ("points", "losses", "gradients", "hessians")
    )
    np.testing.assert_allclose(surface.value(points), losses, rtol=1e-13)
    np.testing.assert_allclose(surface.gradient(points), gradients, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(surface.hessian(points), hessians, rtol=1e-10, atol=1e-13)


@every_convex
@pytest.mark.parametrize("l2", [1e-3, 1.0])
def test_minima_agree_with_scipy(name: str, l2: float) -> None:
    surface = problem(name, l2=l2)
    (found,) = surface.critical_points(surface.required_dimension)

    def loss_and_gradient(x: Array) -> tuple[float, Array]:
        return float(surface.value(x[:, np.newaxis])[0]), surface.gradient(x[:, np.newaxis])[:, 0]

    for start in points_of(surface, 3).T:
        ended = scipy.optimize.minimize(loss_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-9})
        assert ended.fun >= found.loss - 1e-14
        np.testing.assert_allclose(ended.x, found.point, atol=1e-5)
    slope = surface.gradient(np.array(found.point)[:, np.newaxis])
    assert np.abs(slope).max() < 1e-13


def test_least_squares_has_the_closed_form_and_the_minimum_norm_solution() -> None:
    surface = problem("least_squares", l2=0.2)
    features, targets = surface.design.features, surface.design.targets[:, 0]
    rows, columns = features.shape
    expected = np.linalg.solve(features.T @ features / rows + 0.2 * np.eye(columns), features.T @ targets / rows)
    np.testing.assert_allclose(surface.critical_points(columns)[0].point, expected, rtol=1e-11, atol=1e-13)
    wide = problem("least_squares", data="digits")  # pixels that are nearly the same: a singular matrix, or almost
    features, targets = wide.design.features, wide.design.targets[:, 0]
    shortest = np.linalg.lstsq(features, targets, rcond=None)[0]
    np.testing.assert_allclose(wide.critical_points(features.shape[1])[0].point, shortest, rtol=1e-9, atol=1e-11)


def test_minima_are_listed_only_if_they_certainly_exist() -> None:
    assert problem("logistic", l2=0.0).critical_points(3) == ()
    assert problem("softmax", l2=0.0).critical_points(15) == ()
    assert problem("mlp").critical_points(32) == ()
    assert problem("least_squares", l2=0.0).provides(13) == {"hessian", "minimum"}
    assert problem("mlp").provides(32) == {"hessian"}


@every_problem
def test_tags_agree_with_measurements(name: str) -> None:
    surface = problem(name)
    hessians = np.moveaxis(surface.hessian(points_of(surface, 30)), 2, 0)
    curvatures = np.linalg.eigvalsh(hessians)
    assert (curvatures.min() >= -1e-12) == (Tag.CONVEX in surface.tags)
    assert (np.ptp(hessians, axis=0).max() < 1e-12) == (Tag.QUADRATIC in surface.tags)
    minima = surface.minima(surface.required_dimension)
    if minima:
        at_minimum = np.linalg.eigvalsh(surface.hessian(np.array(minima[0].point)[:, np.newaxis])[:, :, 0])
        assert (at_minimum[-1] / at_minimum[0] >= 100) == (Tag.ILL_CONDITIONED in surface.tags)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(CONVEX), seed=st.integers(0, 2**32), share=st.floats(0, 1), scale=st.floats(1e-3, 1e3))
def test_convex_losses_are_below_their_chords(name: str, seed: int, share: float, scale: float) -> None:
    surface = problem(name)
    a, b = scale * points_of(surface, 2, seed).T[:, :, np.newaxis]
    chord = share * surface.value(a)[0] + (1 - share) * surface.value(b)[0]
    assert surface.value(share * a + (1 - share) * b)[0] <= chord + 1e-12 * (1 + abs(chord))


@pytest.mark.parametrize("name", ["logistic", "softmax", "mlp"])
def test_accuracy_equals_a_plain_loop_over_the_rows(name: str, tmp_path: Path) -> None:
    surface = small(name, tmp_path, **({"hidden": 4.0} if name == "mlp" else {}))
    x = points_of(surface, 20)
    for lane, accuracy in enumerate(surface.accuracy(x)):
        losses = plain_losses(name, x[:, lane].tolist(), 4)
        assert accuracy == sum(loss < math.log(2) for loss in losses) / 5  # more likely than not


def test_softmax_of_two_classes_is_logistic_in_the_difference_of_weights() -> None:
    two, one = problem("softmax", data="two_moons", l2=0.0), problem("logistic", l2=0.0)
    x = points_of(two)
    np.testing.assert_allclose(two.value(x), one.value(x[1::2] - x[::2]), rtol=1e-14)


# Mini-batches


@every_problem
def test_batches_of_an_epoch_contain_every_row_once(name: str) -> None:
    """The gradients of an epoch, weighted by their numbers of rows, add up to that of all rows."""
    data = "wine" if name == "least_squares" else "two_moons(178)"
    surface = problem(name, data=data, batch_size=50.0, l2=0.01)
    assert surface.batches == 4
    x = points_of(surface, 1)
    for epoch in (0, 1):
        gradients = [
            rows * surface.sampled_gradient(x, 4 * epoch + j, np.zeros(1, dtype=np.int64), 0)
            for j, rows in enumerate([50, 50, 50, 28])
        ]
        np.testing.assert_allclose(sum(gradients) / 178, surface.gradient(x), rtol=1e-11, atol=1e-14)


def test_the_gradient_of_a_batch_is_that_of_its_rows(tmp_path: Path) -> None:
    surface = small("softmax", tmp_path, batch_size=1.0, l2=0.0)
    x = points_of(surface, 1)
    found = {tuple(surface.sampled_gradient(x, k, np.zeros(1, dtype=np.int64), 0)[:, 0].round(12)) for k in range(10)}
    features, targets = surface.design.features, surface.design.targets
    expected = set()
    for row in range(5):
        powers = np.exp(features[row] @ x[:, 0].reshape(3, 2))
        slope = np.outer(features[row], powers / powers.sum() - targets[row])
        expected.add(tuple(slope.ravel().round(12)))
    assert found == expected


def test_batches_depend_only_on_epoch_replicate_and_seed() -> None:
    surface = problem("logistic", batch_size=10.0)
    x = np.repeat(points_of(surface, 1), 3, axis=1)
    gradients = {
        (seed, k): surface.sampled_gradient(x, k, np.arange(3), seed) for seed in (0, 1) for k in (0, 1, 20, 21)
    }
    columns = [tuple(column) for gradient in gradients.values() for column in gradient.T]
    assert len(set(columns)) == len(columns) == 24
    again = surface.sampled_gradient(x, np.array([20, 0, 21]), np.array([2, 0, 1]), 1)
    assert again[:, 0].tolist() == gradients[1, 20][:, 2].tolist()
    assert again[:, 1].tolist() == gradients[1, 0][:, 0].tolist()
    assert again[:, 2].tolist() == gradients[1, 21][:, 1].tolist()


def test_trials_of_a_replicate_share_their_batches() -> None:
    config = {"surface": {"name": "logistic", "batch_size": 30}, "optimizer": "sgd", "iterations": 9, "seed": 4}
    result = momentumlab.run({**config, "lr": [0.1, 1.0], "replicates": 2}, tolerance=None)
    surface = problem("logistic", batch_size=30.0)
    for number, trial in enumerate(result.plan):
        x = np.zeros((3, 1))
        for k in range(9):
            x = x - trial.hyperparameters["lr"] * surface.sampled_gradient(x, k, np.array([trial.replicate]), 4)
        assert result.final_points[number].tolist() == x[:, 0].tolist()
        assert result.final_losses[number] == surface.value(x)[0]


def test_a_sweep_agrees_with_the_recorded_run() -> None:
    config = {
        "surface": {"name": "logistic", "batch_size": [0, 30], "l2": [0.0, 0.1]},
        "optimizer": "momentum",
        "lr": "geomspace(0.01, 1, 4)",
        "iterations": 30,
        "replicates": 3,
        "tolerance": 1e-4,
    }
    recorded, swept = (momentumlab.run(config, record=record) for record in ("all", "none"))
    assert recorded.final_points.tolist() == swept.final_points.tolist()
    assert recorded.iterations.tolist() == swept.iterations.tolist()


# Reports


def test_rows_contain_final_accuracy_and_curvatures() -> None:
    result = momentumlab.run(surface="softmax", optimizer="sgd", lr=[0.1, 1.0], iterations=20)
    surface = problem("softmax")
    for row in result.summary():
        point = np.array(row["final_point"])[:, np.newaxis]
        scores = surface.design.features @ point.reshape(5, 3)
        reported = scores.argmax(axis=1) == surface.design.targets.argmax(axis=1)
        assert row["accuracy"] == reported.mean()
        curvatures = np.linalg.eigvals(surface.hessian(point)[:, :, 0]).real
        assert row["largest_curvature"] == pytest.approx(curvatures.max(), rel=1e-10)
        assert row["smallest_curvature"] == pytest.approx(curvatures.min(), rel=1e-8)
        assert row["condition_number"] == pytest.approx(curvatures.max() / curvatures.min(), rel=1e-8)


def test_accuracy_and_curvatures_are_omitted_if_undefined() -> None:
    fit = momentumlab.run(surface="least_squares", optimizer="sgd", iterations=3)
    assert "accuracy" not in fit.summary()[0]
    with pytest.raises(NotImplementedError, match="least_squares is not a classifier and has no accuracy"):
        problem("least_squares").accuracy(np.zeros((13, 1)))
    digits = momentumlab.run({"surface": {"name": "softmax", "data": "digits"}, "optimizer": "sgd"}, iterations=1)
    (large,) = final_states(digits, [0])
    assert large.accuracy is not None
    assert large.curvatures is None
    wild = momentumlab.run(surface="least_squares", optimizer="sgd", lr=1e3, iterations=100)
    assert final_states(wild, [0]) == [FinalState()]
    assert final_states(momentumlab.run(surface="ravine", optimizer="sgd"), [0]) == []
    assert FinalState(curvatures=(-1.0, 2.0)).condition_number is None


def test_the_table_has_columns_for_accuracy_and_condition() -> None:
    text = momentumlab.run(surface="mlp", optimizer="sgd", lr=0.1)._repr_html_()
    assert "<th>accuracy</th><th>condition</th>" in text
    assert "<td>saddle</td>" in text
    assert "accuracy" not in momentumlab.run(surface="ravine", optimizer="sgd")._repr_html_()


def test_training_draws_loss_and_accuracy_of_every_trial() -> None:
    result = momentumlab.run(
        {"surface": {"name": "softmax", "batch_size": 50}, "optimizers": ["sgd", "adam"]}, lr=0.1, iterations=30
    )
    losses, accuracies = training_figure(report_of(result)).axes[:2]
    surface = problem("softmax")
    for number in range(2):
        path = np.ascontiguousarray(result.path(number).T)
        drawn = np.asarray(losses.get_lines()[number].get_xydata())
        assert drawn[:, 0].tolist() == list(range(31))
        np.testing.assert_allclose(drawn[:, 1], surface.value(path), rtol=1e-13)
        shown = np.asarray(accuracies.get_lines()[number].get_ydata())
        assert shown.tolist() == surface.accuracy(path).tolist()
    (epochs,) = losses.child_axes
    assert epochs.get_xlabel() == "epochs"
    losses.figure.canvas.draw()
    assert np.array(epochs.get_xlim()) == pytest.approx(np.array(losses.get_xlim()) / 3)


def test_training_with_batches_of_several_sizes_counts_epochs() -> None:
    config = {"surface": {"name": "logistic", "batch_size": [0, 50]}, "optimizer": "sgd", "lr": 0.1, "iterations": 8}
    panel = training_figure(report_of(momentumlab.run(config))).axes[0]
    assert panel.get_xlabel() == "epochs"
    assert [np.asarray(line.get_xdata())[-1] for line in panel.get_lines()] == [8, 2]


def test_training_figures_require_a_surface_on_data() -> None:
    with pytest.raises(ValueError, match="ravine is not a loss on data"):
        momentumlab.run(surface="ravine", optimizer="sgd").plot_training()


@every_problem
def test_the_portrait_is_a_plane_through_minimum_and_start(name: str) -> None:
    surface = problem(name)
    plane = informative_plane(surface)
    np.testing.assert_allclose(plane.axes.T @ plane.axes, np.eye(2), atol=1e-14)
    start = np.array(surface.default_start(surface.required_dimension))
    back = plane.lift(plane.project(start[np.newaxis]).T)[:, 0]
    np.testing.assert_allclose(back, start, atol=1e-12)
    for minimum in surface.minima(surface.required_dimension):
        assert plane.origin.tolist() == list(minimum.point)


def test_random_starts_of_a_network_are_those_of_pytorch() -> None:
    result = momentumlab.run(surface="mlp", optimizer="sgd", start="random(200, seed=3)", iterations=0)
    first, second = result.final_points[:, :18], result.final_points[:, 18:]
    for drawn, bound in ((first, 3**-0.5), (second, 6**-0.5)):
        assert np.abs(drawn).max() <= bound
        assert drawn.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_validation_reports_loss_and_accuracy_of_held_out_rows() -> None:
    surface = {"name": "softmax", "data": "iris", "validation": 0.2}
    result = momentumlab.run({"surface": surface, "optimizer": "adam", "lr": 0.1, "iterations": 50})
    (row,) = result.summary()
    design = Softmax(data="iris", validation=0.2).design
    assert design.held_out is not None
    for data, prefix in ((design, ""), (design.held_out, "validation_")):
        scores = data.features @ result.final_points[0].reshape(5, 3)
        assert row[f"{prefix}accuracy"] == (scores.argmax(axis=1) == data.targets.argmax(axis=1)).mean()
        losses = np.log(np.exp(scores).sum(axis=1)) - (scores * data.targets).sum(axis=1)
        penalty = 0.0 if prefix else 5e-4 * (result.final_points[0] ** 2).sum()
        assert row[f"{prefix}loss" if prefix else "final_loss"] == pytest.approx(losses.mean() + penalty, rel=1e-12)


@pytest.mark.parametrize("record", ["all", "none"])
def test_the_loss_can_be_evaluated_less_often(record: Any) -> None:
    settings: dict[str, Any] = {
        "surface": {"name": "softmax", "data": "iris", "batch_size": 20}, "optimizer": "momentum", "lr": [0.01, 0.05],
        "iterations": 47, "replicates": 3, "seed": 1,
    }  # fmt: skip
    often = momentumlab.run(settings, record="all")
    seldom = momentumlab.run(settings, record=record, evaluate_every=10)
    assert np.array_equal(seldom.final_points, often.final_points)
    assert np.array_equal(seldom.final_losses, often.final_losses)
    if record == "all":
        expected = often.losses[:, [*np.repeat([0, 10, 20, 30, 40], 10)[:47], 47]]
        assert np.array_equal(seldom.losses, expected)


@pytest.mark.parametrize("patience", [1, 3])
def test_criteria_for_the_loss_are_tested_when_it_is_evaluated(patience: int) -> None:
    settings: dict[str, Any] = {"surface": "ravine", "optimizer": "sgd", "lr": 0.05, "iterations": 3000}
    losses = momentumlab.run(settings).losses[0]
    changes = np.abs(np.diff(losses[::7]))
    small = [i for i in range(len(changes)) if i + 1 >= patience and (changes[i + 1 - patience : i + 1] <= 1e-4).all()]
    result = momentumlab.run(settings, tolerance=1e-4, patience=patience, evaluate_every=7)
    assert result.iterations.tolist() == [7 * (small[0] + 1)]
    target = momentumlab.run(settings, target_loss=0.1, evaluate_every=7)
    assert target.iterations.tolist() == [7 * int((losses[::7] <= 0.1).argmax())]
    slope = momentumlab.run(settings, gradient_tolerance=0.1, evaluate_every=7)
    (x,) = slope.final_points
    assert slope.final_losses[0] == pytest.approx(x[0] ** 2 / 16 + 9 * x[1] ** 2, rel=1e-14)


@pytest.mark.parametrize(("batch_size", "iterations"), [(0, 3), (16, 24), (120, 3), (50, 9)])
def test_iterations_can_be_given_in_epochs(batch_size: int, iterations: int) -> None:
    surface = {"name": "softmax", "data": "iris", "validation": 0.2, "batch_size": batch_size}
    result = momentumlab.run({"surface": surface, "optimizer": "sgd", "lr": "linear(1, 0)", "iterations": "3 epochs"})
    assert result.iterations.tolist() == [iterations]


@pytest.mark.parametrize(
    ("surface", "message"),
    [
        ("ravine", "iterations: epochs need a loss on data"),
        ({"name": "mlp", "batch_size": [10, 20]}, "sizes of mini-batches differ"),
    ],
)
def test_epochs_without_a_single_length_are_rejected(surface: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        momentumlab.load({"surface": surface, "optimizer": "sgd", "iterations": "3 epochs"})


def test_a_comparison_shows_accuracy_and_the_loss_of_rows_held_out() -> None:
    compared = momentumlab.compare(
        surface={"name": "logistic", "data": "two_moons(60, noise=0.3)", "validation": 0.25},
        optimizers=["sgd", "adam"],
        lr=[0.01, 0.1],
        iterations=40,
    )
    for row in compared.summary():
        alone = momentumlab.run(
            surface={"name": "logistic", "data": "two_moons(60, noise=0.3)", "validation": 0.25},
            optimizer=row["optimizer"],
            lr=row["hyperparameters"]["lr"],
            iterations=40,
        )
        (expected,) = alone.summary()
        for name in ("accuracy", "validation_loss", "validation_accuracy"):
            assert row[name] == expected[name]
