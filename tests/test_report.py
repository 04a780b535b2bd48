"""Tables, labels and data of a result."""

import json
import re
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab import engine
from momentumlab.plan import make_plan
from momentumlab.report import report_of
from momentumlab.report.columns import quartiles_cell
from momentumlab.report.data import json_document, json_text, strict, table_text
from momentumlab.report.labels import Labels, final_point, varying_hyperparameters
from momentumlab.report.result_table import result_table
from momentumlab.report.steps import steps_of
from momentumlab.report.sweep_table import sweep_tables
from tests.conftest import Command

RAVINE = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "iterations": 20}


def printed(result: momentumlab.Result, width: int = 80) -> list[str]:
    return ["".join(text for text, _ in line) for line in result_table(report_of(result)).rendered(width)]


@pytest.mark.parametrize(
    ("settings", "varying"),
    [
        (RAVINE, []),
        ({**RAVINE, "beta": [0.1, 0.2]}, ["beta"]),
        ({**RAVINE, "lr": [0.1, 0.2], "beta": [0.1, 0.2]}, ["lr", "beta"]),
        ({"surface": "ravine", "optimizers": ["adagrad", "adam"], "lr": 0.1}, []),  # only their own defaults differ
        ({"surface": "ravine", "optimizers": ["adagrad", "adam"]}, []),
        ({"surface": "ravine", "optimizers": [{"name": "sgd", "lr": 1}, {"name": "adam", "lr": 2}]}, ["lr"]),
        ({**RAVINE, "optimizer": None, "optimizers": [{"name": "momentum", "beta": b} for b in (0.1, 0.2)]}, ["beta"]),
    ],
)
def test_labels_contain_only_what_varies(settings: dict[str, Any], varying: list[str]) -> None:
    assert varying_hyperparameters(momentumlab.load(settings)) == varying


def test_labels_tell_trials_apart_and_titles_what_they_share() -> None:
    settings = {"optimizers": ["momentum", "nesterov"], "beta": [0.5, 0.9], "start": [[1, 0.1], [2, 0.2]]}
    result = momentumlab.run({"surface": {"name": "ravine", "b": 4.0}, **settings})
    labels = Labels(result.experiment)
    reported = [labels.of(trial) for trial in result.plan]
    assert reported[0] == "momentum, β = 0.5, from (1, 0.1)"
    assert len(set(reported)) == result.trials == 8
    assert labels.common(result.plan.trial(0)) == "ravine (b = 4) · lr = 0.001"


def test_numbers_are_aligned_and_readable() -> None:
    heading, columns, *rows, _ = printed(momentumlab.run(RAVINE, beta=[0.0, 0.5], iterations=20), width=120)
    assert heading.strip() == "experiment: ravine · momentum, lr = 0.1"
    assert re.split("  +", columns.strip()) == [
        "β", "iterations", "final point", "final loss", "rate", "predicted", "status",
    ]  # fmt: skip
    ends = {row.index("max_iterations") for row in rows}
    assert ends == {columns.index("status")}
    assert [row.split()[-3:-1] for row in rows] == [["0.9875", "0.9875"], ["0.9743", "0.9743"]]


def test_a_narrow_terminal_omits_less_important_columns() -> None:
    result = momentumlab.run(RAVINE, beta=[0.0, 0.5], iterations=20)
    wide, narrow, narrower = (printed(result, width) for width in (90, 62, 40))
    assert "iterations" in wide[1]
    assert "iterations 20" in " ".join(narrow), "what all rows share is in a line above"
    assert "predicted" in " ".join(narrow)
    assert "too narrow for these columns: final" in " ".join(narrower)


def test_a_table_that_does_not_fit_at_all_becomes_records() -> None:
    result = momentumlab.run(RAVINE, lr=[0.1234567891234, 0.0987654321], beta=[0.1111111111111, 0.22222222222])
    lines = printed(result, 36)
    assert max(map(len, lines)) <= 36
    start = lines.index("lr: 0.1234567891234")
    assert lines[start + 1] == "  β: 0.1111111111111"
    assert f"final loss: {result.final_losses[0]:.5g}" in " ".join(lines)


def test_a_rate_that_is_not_as_predicted_is_explained() -> None:
    settings = {"surface": "ravine", "lr": [0.05, 0.11], "start": [0.01, 0.4], "iterations": 60, "optimizer": "sgd"}
    text = "\n".join(printed(momentumlab.run(settings), width=200))
    assert "rate differs from the prediction (lr = 0.11): the run is too short: the transient lasts about" in text


def test_many_trials_show_the_best_ten_and_count_the_others() -> None:
    result = momentumlab.run(RAVINE, lr="linspace(0.01, 0.4, 40)", beta=0.5, tolerance=1e-2, iterations=60)
    lines = printed(result, width=160)
    losses = [float(line.split(")")[1].split()[0]) for line in lines[2:12]]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(np.nanmin(result.final_losses), rel=1e-4)
    counts = {label: sum(status.label == label for status in result.status) for label in ("converged", "diverged")}
    assert all(counts.values())
    (remark,) = (line for line in lines if line.startswith("the best 10 of 40 trials by final loss"))
    for label, count in counts.items():
        assert f"{count} {label}" in remark


def test_diverged_trials_rank_last_regardless_of_their_loss() -> None:
    result = momentumlab.run({"surface": "saddle", "optimizer": "sgd", "lr": [0.1, 3.0], "iterations": 60})
    assert [status.label for status in result.status] == ["max_iterations", "diverged"]
    assert result.final_losses[1] < result.final_losses[0]
    assert result.ranking().tolist() == [0, 1]


@pytest.mark.parametrize("name", ["run", "sweep", "compare"])
def test_results_are_printed_as_on_the_command_line(name: str, command: Command) -> None:
    settings = {"surface": "ravine", "optimizer": ["momentum", "sgd"], "lr": [0.05, 0.1], "name": "same"}
    result = getattr(momentumlab, name)(settings)
    words = ["--surface", "ravine", "--optimizer", "momentum,sgd", "--lr", "0.05,0.1", "--name", "same"]
    printed = command(name, *words, "--no-plots", COLUMNS="100").stdout.splitlines()
    assert str(result).splitlines() == printed[:-1]  # the last line is the run folder


def test_the_notebook_table_is_html() -> None:
    text = momentumlab.run(RAVINE, name="<b>")._repr_html_()
    assert text.startswith("<table>")
    assert "&lt;b&gt;" in text
    assert text.count("<tr>") == 2


def test_strict_json_has_null_for_every_number_that_is_not_finite() -> None:
    assert strict({"a": [np.inf, float("nan"), 1.5], "b": (-np.inf,)}) == {"a": [None, None, 1.5], "b": [None]}
    result = momentumlab.run({"surface": "rosenbrock", "optimizer": "sgd", "lr": 1e200, "iterations": 5})
    assert json.loads(json_text(json_document(report_of(result), steps=True)))["trials"][0]["status"] == "diverged"


def test_surface_parameters_are_in_the_json_where_they_vary() -> None:
    document = json_document(report_of(momentumlab.run({**RAVINE, "surface": {"name": "ravine", "a": [0.1, 0.2]}})))
    assert [trial["surface_parameters"] for trial in document["trials"]] == [{"a": 0.1, "b": 9.0}, {"a": 0.2, "b": 9.0}]
    assert "surface_parameters" not in json_document(report_of(momentumlab.run(RAVINE)))["trials"][0]


def test_csv_columns_are_the_union_in_a_sensible_order() -> None:
    text = table_text([{"a": 1, "z": 2}, {"a": 3, "b": 4, "z": 5}])
    assert text == "a,b,z\n1,,2\n3,4,5\n"


def test_steps_give_the_gradient_that_led_to_each_point() -> None:
    result = momentumlab.run(RAVINE, beta=0.0)
    for before, step in zip(result.positions[0], list(steps_of(result, 0))[1:], strict=False):
        assert step.gradient is not None
        np.testing.assert_array_equal(step.point, before - 0.1 * np.array(step.gradient))


def test_steps_leave_the_gradient_out_where_the_history_has_a_gap() -> None:
    plan = make_plan(momentumlab.load(RAVINE))
    thin = engine.run(plan, history_bytes=8 * 5 * 8)
    steps = list(steps_of(thin, 0))
    assert [step.iteration for step in steps] == [0, 3, 6, 9, 12, 15, 18, 20]
    assert all(step.gradient is None for step in steps)


def test_summary_has_a_row_per_trial() -> None:
    result = momentumlab.run(RAVINE, beta=[0.1, 0.2])
    assert [row["hyperparameters"]["beta"] for row in result.summary()] == [0.1, 0.2]
    assert result.summary()[1]["final_loss"] == result.final_losses[1]


def test_a_sweep_table_rounds_settings_and_states_the_best_cell_exactly() -> None:
    sweep = momentumlab.sweep(surface="ravine", optimizer="momentum", lr="geomspace(0.01, 1, 10)", beta=[0.5, 0.9])
    (table,) = sweep_tables(report_of(sweep.result))
    (rates,) = (column.cells for column in table.columns if column.heading == "lr")
    assert all(len(rate) <= 7 for rate in rates)
    axis = sweep.result.experiment.optimizers[0].axes["lr"].values
    assert set(rates) <= {f"{value:.4g}" for value in axis}
    (remark,) = (remark for remark in table.remarks if "exactly" in remark)
    best = sweep.best()
    assert remark == f"settings are rounded; the best cell is exactly lr = {best['lr']!r}, β = {best['beta']!r}"
    exact = momentumlab.sweep(surface="ravine", optimizer="momentum", lr=[0.01, 0.1], beta=[0.5, 0.9])
    assert not any("rounded" in remark for remark in sweep_tables(report_of(exact.result))[0].remarks)


def test_a_final_point_with_many_coordinates_is_shown_by_its_norm() -> None:
    assert final_point(np.full(400, 0.5)) == "norm 10 (400-D)"
    assert final_point([1.0, 2.0, 3.0, 4.0, 5.0]) == "(1, 2, 3, 4, … 5 coordinates)"


def test_a_narrow_table_breaks_the_final_points_of_a_run_and_leaves_out_those_of_a_comparison() -> None:
    settings = {"surface": "cubic", "optimizer": "momentum", "lr": 0.002, "start": [3.5, 0.3], "iterations": 300}
    result = momentumlab.run(settings, beta=[0, 0.9, 0.99])
    narrow = printed(result, width=80)
    assert not any("too narrow" in line for line in narrow)
    assert {"(1.001,", "0.00941)"} <= set(" ".join(narrow).split())
    assert "(1.001, 0.00941)" in "\n".join(printed(result, width=100))
    (table,) = momentumlab.compare(optimizers=["sgd", "momentum", "adam"], surface="ravine").tables()
    assert table.text(80).splitlines()[-1] == "too narrow for these columns: final point"


def test_the_best_cells_of_several_surfaces_are_not_compared_with_each_other() -> None:
    sweep = momentumlab.sweep(surface=["ravine", "booth"], optimizer="sgd", lr="geomspace(0.001, 0.1, 7)")
    (table,) = sweep_tables(report_of(sweep.result))
    assert "settings are rounded; JSON and CSV have all digits" in table.remarks


def test_quartiles_that_do_not_exist_are_one_word() -> None:
    assert quartiles_cell([1.0, 2.0, np.inf], ".3g", "diverged") == "2 [1, diverged]"
    assert quartiles_cell([np.inf] * 3, "g", "never") == "never"
