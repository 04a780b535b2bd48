"""Runs under schedules: trajectories of other libraries, constant schedules, tables and figures."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import momentumlab
from momentumlab import engine
from momentumlab.config import load_comparison, to_dict, to_yaml
from momentumlab.config.values import read_schedule
from momentumlab.errors import ConfigError
from momentumlab.optimizers import OPTIMIZERS, Here
from momentumlab.parameters import Array, Parameter
from momentumlab.plan import make_plan
from momentumlab.report import report_of
from momentumlab.report.data import csv_text, json_document, json_text
from momentumlab.report.labels import Labels
from momentumlab.report.prediction_table import PredictionReport
from momentumlab.result import Status
from momentumlab.schedules import base
from momentumlab.search.planes import arrays, planes
from momentumlab.surfaces import SURFACES
from momentumlab.testing.common import other_values
from tests.conftest import ROOT, Command
from tests.golden.schedules import ARCHIVE, ITERATIONS, PATHS, START, PathCase

RECORDED = np.load(ARCHIVE, allow_pickle=False)
RAVINE = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "beta": 0.8, "iterations": 50}
MIXED = {**RAVINE, "lr": ["cosine(0.1, 0.001)", 0.05], "beta": [0.5, "nesterov_sequence()", "linear(0.1, 0.9)"]}

VARIABLE = [
    (name, parameter)
    for name in OPTIMIZERS
    for parameter in OPTIMIZERS[name].parameters()
    if not parameter.shared and not parameter.constant
]

every_variable = pytest.mark.parametrize(
    ("name", "parameter"), VARIABLE, ids=lambda value: value.name if isinstance(value, Parameter) else value
)


# The numbers


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case.key)
def test_trajectories_equal_those_of_the_library(case: PathCase) -> None:
    optimizer = {"name": case.optimizer, **case.fixed, **case.scheduled}
    result = momentumlab.run(surface="ravine", optimizer=optimizer, start=START.tolist(), iterations=ITERATIONS)
    recorded = RECORDED[case.key]
    assert np.abs(result.positions[0] - recorded).max() <= 1e-12 * np.abs(recorded).max()


@every_variable
def test_a_constant_schedule_gives_the_trajectory_of_the_number(name: str, parameter: Parameter) -> None:
    value = other_values(parameter)[0]
    settings: dict[str, Any] = {**RAVINE, "optimizer": name, "lr": 0.02, "beta": None}
    number = momentumlab.run(settings, **{parameter.name: value})
    schedule = momentumlab.run({**settings, parameter.name: f"piecewise({{0: {value!r}}})"})
    assert schedule.positions.tobytes() == number.positions.tobytes()
    assert schedule.velocities.tobytes() == number.velocities.tobytes()


@every_variable
def test_each_iteration_has_its_own_value(name: str, parameter: Parameter) -> None:
    """Compare with a plain loop that constructs a new optimizer in every iteration."""
    first, last = sorted((parameter.default, other_values(parameter)[0]))
    text = f"linear({first!r}, {last!r}, over=9)"
    lr = parameter.name == "lr"
    settings: dict[str, Any] = {"surface": "ravine", "optimizer": name, "lr": 0.02, "iterations": 12}
    result = momentumlab.run({**settings, parameter.name: text})

    surface = SURFACES["ravine"]()
    x = result.positions[0, 0][:, np.newaxis]
    values = [first + (last - first) * min(k / 9, 1) for k in range(12)]
    state = OPTIMIZERS[name](**({} if lr else {parameter.name: values[0]})).init(x)
    for k, value in enumerate(values):
        optimizer = OPTIMIZERS[name](**({} if lr else {parameter.name: np.array(value)}))
        rate = np.array([value if lr else 0.02])
        velocity, state = optimizer.step(state, surface.gradient(x), Here(x, k + 1, surface.value(x), rate, surface))
        x = x - rate * velocity
        np.testing.assert_allclose(result.positions[0, k + 1], x[:, 0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "sam"])
def test_a_schedule_multiplies_every_learning_rate(name: str) -> None:
    """Against a plain loop for each learning rate; trials that end early pass their lanes on."""
    factor = "warmup(0.2, cosine(1, 0.1), start=0.5)"
    settings: dict[str, Any] = {"surface": "ravine", "optimizer": name, "iterations": 20, "lr_schedule": factor}
    rates = [1e-3, 0.02, 0.04]
    result = momentumlab.run(settings, lr=rates)
    surface = SURFACES["ravine"]()
    for trial, lr in enumerate(rates):
        x = result.positions[trial, 0][:, np.newaxis]
        optimizer = OPTIMIZERS[name]()
        state = optimizer.init(x)
        for k in range(20):
            after = (1 + math.cos(math.pi * (k - 4) / 16)) / 2
            rate = np.array([lr * (0.5 + 0.125 * k if k < 4 else 0.1 + 0.9 * after)])
            here = Here(x, k + 1, surface.value(x), rate, surface)
            velocity, state = optimizer.step(state, surface.gradient(x), here)
            x = x - rate * velocity
            np.testing.assert_allclose(result.positions[trial, k + 1], x[:, 0], rtol=1e-9, atol=1e-12)
        row = result.summary()[trial]["hyperparameters"]
        assert (row["lr"], row["lr_schedule"]) == (lr, factor)
        again = momentumlab.run(settings, lr=row["lr"], lr_schedule=row["lr_schedule"])
        assert again.positions.tobytes() == result.positions[trial : trial + 1].tobytes()


def test_a_scaled_schedule_passes_to_the_next_trial_of_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH_BYTES", 8 * 2 * 4)
    settings: dict[str, Any] = {"surface": "booth", "optimizer": "momentum", "tolerance": 1e-3, "iterations": 300}
    rates = np.geomspace(1e-3, 0.2, 23).tolist()
    schedules: list[float | str] = [1, "cosine(1)", "wsd(1, start=0.1)"]
    swept = momentumlab.sweep(settings, lr=rates, lr_schedule=schedules)
    assert swept.axes["lr_schedule"].tolist() == ["1.0", "cosine(1)", "wsd(1, start=0.1)"]
    for place, schedule in enumerate(schedules):
        singles = [momentumlab.run(settings, lr=lr, lr_schedule=schedule, patience=5) for lr in rates]
        assert swept.final_loss[place].tolist() == [float(single.final_losses[0]) for single in singles]
        assert swept.iterations[place].tolist() == [int(single.iterations[0]) for single in singles]


def test_tables_show_the_factor_1_of_a_constant_learning_rate(command: Command) -> None:
    arguments = ("--surface", "rosenbrock", "--optimizer", "adam", "--lr", "0.1", "--iterations", "5", "--no-plots")
    lines = command("run", *arguments, "--lr-schedule", "1,cosine(1)").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["lr_schedule", "1", "cosine(1)"]
    best = command("compare", *arguments, "--lr-schedule", "1,wsd(1)").stdout.splitlines()[3]
    assert best.split()[:3] == ["1", "adam", "1"]


@pytest.mark.parametrize("search", [momentumlab.compare, momentumlab.tune])
def test_a_learning_rate_is_tuned_under_a_schedule_and_can_be_typed_back(search: Any) -> None:
    settings: dict[str, Any] = {"surface": "rosenbrock", "iterations": 40, "budget": 64}
    settings |= {"optimizers": ["momentum", "adam"], "lr_schedule": ["wsd(1)", "warmup(0.05, cosine(1, 0.01))", 1]}
    result = search(settings, lr="tuned", objective="final_loss")
    (match,) = result.matches
    for row in result.summary():
        own = dict(row["hyperparameters"])
        again = momentumlab.run(surface="rosenbrock", iterations=40, optimizer={"name": row["optimizer"], **own})
        assert again.final_losses[0] == row["final_loss"]["median"]
    for searched in match.searched:
        assert set(map(str, searched.columns["lr_schedule"])) == set(map(str, [*settings["lr_schedule"][:2], 1.0]))
    assert match.standing(1).final_loss[1] == match.searched[1].final_losses.min()
    written = load_comparison(yaml.safe_load(to_yaml(result.comparison)))
    assert written == result.comparison


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": "cosine(0.1)", "lr_schedule": "cosine(1)"}, "lr follows a schedule already"),
        ({"lr_schedule": 0.5}, "0.5 is not a schedule such as cosine(1, 0.01), or 1 for none"),
        ({"lr_schedule": "tuned"}, "only numerical hyperparameters of optimizers can be tuned"),
        ({"lr_schedule": "linear(1, -1)"}, "outside 0 ≤ lr_schedule"),
        ({"lr_schedule": "warmup(1.5, 1)"}, "1.5 is neither a whole number nor a share below 1"),
        ({"optimizer": "triple_momentum", "lr_schedule": "wsd(1)"}, "cannot follow a schedule"),
        ({"lr_schedule": "wsd(1)", "tolerance": 1e-9}, "begins with 0: the first iteration changes nothing"),
    ],
)
def test_invalid_factors_of_the_learning_rate_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        momentumlab.load({"surface": "ravine", "optimizer": "momentum", **settings})


@pytest.mark.parametrize(
    ("name", "scheduled"),
    [
        (name, parameter.name)
        for name, parameter in VARIABLE
        if name in ("adam", "adamw", "adamax", "qhadam", "radam", "adan") and "beta" in parameter.name
    ],
)
def test_bias_corrections_are_exact_under_a_schedule(name: str, scheduled: str) -> None:
    """The corrected averages of a gradient that never changes are that gradient and its square."""
    g = np.array([[0.25], [-3.0]])
    x = np.zeros_like(g)
    declared = {parameter.name for parameter in OPTIMIZERS[name].parameters()}
    plain = {key: value for key, value in {"weight_decay": 0.0, "eps": 1e-300}.items() if key in declared}
    expected = g if name == "radam" else np.sign(g)  # radam does not divide yet
    state: Any = None
    for t, beta in enumerate((0.9, 0.5, 0.99, 0.0, 0.7), start=1):
        optimizer = OPTIMIZERS[name](**plain, **{scheduled: beta})
        state = optimizer.init(x) if state is None else state
        velocity, state = optimizer.step(state, g, Here(x, t, np.zeros(1), np.ones(1), SURFACES["ravine"]()))
        np.testing.assert_allclose(velocity, expected, rtol=1e-12)


def _paths(lrs: list[float], beta: float) -> tuple[Array, Array]:
    """Heavy ball in both conventions: lr at the end of the sum, and inside of it."""
    ours, theirs = [1.0], [1.0]
    v = w = 0.0
    for lr in lrs:
        v = beta * v + ours[-1]
        w = beta * w - lr * theirs[-1]
        ours.append(ours[-1] - lr * v)
        theirs.append(theirs[-1] + w)
    return np.array(ours), np.array(theirs)


def test_the_conventions_of_velocity_agree_at_a_constant_lr_and_not_under_a_schedule() -> None:
    """v ← βv + g, x ← x − lr·v  against  v ← βv − lr·g, x ← x + v."""
    settings = {"surface": {"name": "quadratic", "eigenvalues": [1.0]}, "optimizer": "momentum", "start": [1.0]}
    for text, lrs in (("0.1", [0.1] * 30), ("linear(0.1)", [0.1 * (1 - k / 30) for k in range(30)])):
        result = momentumlab.run(settings, lr=text if "(" in text else float(text), beta=0.8, iterations=30)
        ours, theirs = _paths(lrs, 0.8)
        np.testing.assert_allclose(result.positions[0, :, 0], ours, atol=1e-14)
        if "(" in text:
            assert np.abs(ours - theirs).max() > 0.05
        else:
            np.testing.assert_allclose(ours, theirs, atol=1e-14)


def test_nesterovs_method_and_pytorchs_form_differ_under_his_sequence() -> None:
    """x₊ = y₊ + β (y₊ − y) with y₊ = x − lr·g; the docstring of the sequence says how PyTorch's form differs."""
    settings: dict[str, Any] = {"surface": "ravine", "lr": 0.02, "iterations": 60}
    own = momentumlab.run(settings, optimizer="nesterov_convex").positions[0]
    form = momentumlab.run(settings, optimizer="nesterov", beta="nesterov_sequence(rule=t_k)").positions[0]
    betas = read_schedule("nesterov_sequence(rule=t_k)").value(np.arange(60.0), 60)
    curvatures = np.array([0.125, 18.0])
    x = y = own[0]
    v = np.zeros(2)
    z = own[0]
    for k, beta in enumerate(betas):
        y, before = x - 0.02 * curvatures * x, y
        x = y + beta * (y - before)
        v = beta * v + curvatures * z
        z = z - 0.02 * (curvatures * z + beta * v)
        np.testing.assert_allclose(own[k + 1], x, atol=1e-13)
        np.testing.assert_allclose(form[k + 1], z, atol=1e-13)
    assert np.abs(own - form).max() > 1e-3


# Trials side by side


def test_trials_are_numbered_schedule_by_schedule_and_equal_single_runs() -> None:
    together = momentumlab.run(MIXED, start=[[-2.4, 0.2], [1.0, 0.1]])
    assert together.trials == 12
    for trial in together.plan:
        alone = momentumlab.run({**RAVINE, **trial.hyperparameters}, start=list(trial.start))
        assert alone.positions.tobytes() == together.positions[trial.number : trial.number + 1].tobytes()


@pytest.mark.parametrize("page", [1, 7, 16, 2**16])
def test_trials_that_start_at_different_times_follow_their_own_iterations(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        **RAVINE,
        "optimizer": "momentum",
        "lr": "warmup(5, step(0.1, factor=0.7, every=11), start=0.01)",
        "beta": "cosine(0.9, 0.1)",
        "dampening": "linear(0, 0.3)",
        "start": "random(300)",
        "tolerance": 1e-5,
        "iterations": 60,
    }
    wide = momentumlab.run(settings)
    monkeypatch.setattr(base, "PAGE", page)
    monkeypatch.setattr(engine, "BATCH_BYTES", 16 * 16)  # sixteen lanes, filled again as they become free
    narrow = momentumlab.run(settings, record="none")
    assert len(set(wide.iterations.tolist())) > 10
    assert narrow.final_points.tobytes() == wide.final_points.tobytes()
    assert narrow.iterations.tolist() == wide.iterations.tolist()
    assert narrow.status_codes.tolist() == wide.status_codes.tolist()
    for number in (0, 150, 299):
        alone = momentumlab.run(settings, start=list(wide.plan.trial(number).start))
        assert alone.final_points[0].tobytes() == wide.final_points[number].tobytes()


def test_processes_give_the_same_numbers(tmp_path: Path) -> None:
    from concurrent.futures import ProcessPoolExecutor

    settings = {**MIXED, "start": "random(50)"}
    with ProcessPoolExecutor(2) as executor:
        apart = momentumlab.run(settings, record="none", executor=executor)
    assert apart.final_points.tobytes() == momentumlab.run(settings).final_points.tobytes()


def test_a_long_schedule_is_tabulated_in_pages() -> None:
    for text in ("cosine(0.1)", "nesterov_sequence(rule=t_k)"):
        schedule = read_schedule(text)
        values = base.TabulatedSchedule(schedule, 10**9)
        ages = np.array([0.0, 1.0, 65_535.0, 65_536.0, 123_456_789.0, 2e9])
        expected = schedule.value(np.minimum(ages, 10**9 - 1), 10**9)
        np.testing.assert_allclose(values.at(ages), expected, rtol=1e-13)
        assert [float(values.at(int(age))) for age in ages] == values.at(ages).tolist()
        assert len(values.page(3)) == base.PAGE


@pytest.mark.parametrize("iterations", [0, 1])
def test_schedules_accept_few_iterations(iterations: int) -> None:
    result = momentumlab.run(RAVINE, lr="cosine(0.1)", beta="nesterov_sequence()", iterations=iterations)
    assert result.iterations.tolist() == [iterations]


def test_ended_trials_do_not_move_under_a_schedule() -> None:
    """Trials that diverge beside others do no harm, and a rate that has come down to 0 is met by the tolerance."""
    result = momentumlab.run(RAVINE, lr="linear(2.0, 0)", beta=[0.0, 0.99], start=[[0.0, 0.0], [1.0, 1.0]])
    assert result.status_of(0) is Status.MAX_ITERATIONS
    assert {result.status_of(1), result.status_of(3)} == {Status.DIVERGED}
    still = momentumlab.run(RAVINE, lr="linear(0.1, 0, over=10)", tolerance=0.0)
    assert still.iterations.tolist() == [11]


# What is read and written


def test_a_resolved_experiment_reads_back_as_itself_and_gives_the_same_numbers(tmp_path: Path) -> None:
    experiment = momentumlab.load(
        MIXED, optimizer=["momentum", {"name": "adam", "beta1": "piecewise({0: 0.9, 5: 0.5}, between=linear)"}]
    )
    file = tmp_path / "resolved.yaml"
    file.write_text(to_yaml(experiment))
    again = momentumlab.load(file)
    assert replace(again, name=experiment.name) == experiment
    assert to_dict(again) == to_dict(experiment)
    assert momentumlab.run(again).positions.tobytes() == momentumlab.run(experiment).positions.tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "beta: piecewise({0: 0.9, 50: 0.5})",
        "beta: piecewise(values={0: 0.9, 50: 0.5})  # falls",
        'beta: ["piecewise({0: 0.9, 50: 0.5})"]',
        "beta:\n  - piecewise({0: 0.9, 50: 0.5})",
    ],
)
def test_piecewise_may_be_written_in_yaml(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"surface: ravine\noptimizer: momentum\n{text}\niterations: 60\n")
    (choice,) = momentumlab.load(file).optimizers
    assert [str(value) for value in choice.axes["beta"].values] == ["piecewise({0: 0.9, 50: 0.5})"]


def test_schedules_are_read_inside_braces_and_brackets(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "surface: ravine\noptimizers:\n  - {name: momentum, lr: warmup(10, cosine(0.1, 0.001)), "
        "beta: [0.9, nesterov_sequence(rule=t_k), linear(0.1, 0.9, over=30)]}\n"
    )
    (choice,) = momentumlab.load(file).optimizers
    assert [str(value) for value in choice.axes["beta"].values] == [
        "0.9", "nesterov_sequence(rule=t_k)", "linear(0.1, 0.9, over=30)",
    ]  # fmt: skip
    assert str(choice.axes["lr"].values[0]) == "warmup(10, cosine(0.1, 0.001))"


def test_piecewise_without_quotes_inside_braces_gets_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("surface: ravine\noptimizer: {name: momentum, beta: piecewise({0: 0.9, 50: 0.5})}\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2:.*inside .* in quotes"):
        momentumlab.load(file)


def test_all_problems_of_a_file_are_reported_at_their_places(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("surface: ravine\noptimizer: momentum\nlr: cosine(0.1, edn=3)\nbeta: [0.9, linear(0.9, 1.1)]\n")
    with pytest.raises(ConfigError) as error:
        momentumlab.load(file)
    assert [problem.place.rpartition("x.yaml")[2] for problem in error.value.problems] == [":3:21", ":4:13"]
    file.write_text("surface: ravine\noptimizer: momentum\nlr: cosine(-0.1)\nbeta: [0.9, linear(0.9, 1.1)]\n")
    with pytest.raises(ConfigError) as error:
        momentumlab.load(file)
    assert [problem.place.rpartition("x.yaml")[2] for problem in error.value.problems] == [":3:5", ":4:13"]


def test_data_have_the_canonical_spelling(tmp_path: Path) -> None:
    result = momentumlab.run(MIXED, lr=["cosine(start=1e-1, end=0.001)", 0.05], out=tmp_path, plots=False)
    document = json.loads(json_text(json_document(report_of(result))))
    reported = [trial["hyperparameters"]["lr"] for trial in document["trials"]]
    assert reported == ["cosine(0.1, 0.001)"] * 3 + [0.05] * 3
    table = list(csv.DictReader(io.StringIO(csv_text([report_of(result)]))))
    assert [row["lr"] for row in table] == [str(each) for each in reported]
    assert result.run_folder is not None
    written = json.loads((result.run_folder / "result.json").read_text())
    assert written["trials"] == document["trials"]


def test_labels_distinguish_schedules() -> None:
    plan = make_plan(momentumlab.load(MIXED))
    labels = Labels(plan.experiment)
    assert labels.of(plan.trial(1)) == "lr = cosine(0.1, 0.001), β = nesterov_sequence()"
    fixed = make_plan(momentumlab.load(RAVINE, lr="cosine(0.1)", beta=[0.1, 0.2]))
    assert Labels(fixed.experiment).common(fixed.trial(0)) == "ravine · momentum, lr = cosine(0.1)"


def test_a_sweep_over_schedules_has_an_axis_of_their_calls() -> None:
    settings = {**MIXED, "beta": "linspace(0, 0.9, 30)", "lr": [0.05, "cosine(0.1)", "step(0.1)", 0.1]}
    result = momentumlab.run(settings, record="none")
    (plane,) = planes(result)
    assert [(axis.name, len(axis)) for axis in plane.axes] == [("lr", 4), ("beta", 30)]
    assert plane.axes[0].numbers is None
    for cell in (0, 45, 119):
        setting = {k: value if isinstance(value, float) else str(value) for k, value in plane.setting(cell).items()}
        one = momentumlab.run({**RAVINE, **setting})
        assert one.final_losses[0] == plane.final_losses[cell, 0]
    assert arrays([plane])["lr"].tolist() == ["0.05", "cosine(0.1)", "step(0.1)", "0.1"]


def test_cells_of_a_sweep_match_the_plan_if_a_later_axis_has_schedules() -> None:
    settings = {**RAVINE, "lr": "linspace(0.01, 0.1, 30)", "beta": [0.5, "linear(0.1, 0.9)"]}
    result = momentumlab.run(settings, record="none")
    (plane,) = planes(result)
    assert [(axis.name, len(axis)) for axis in plane.axes] == [("beta", 2), ("lr", 30)]
    for cell in range(60):
        setting = {
            name: value if isinstance(value, float) else str(value) for name, value in plane.setting(cell).items()
        }
        reported = result.plan.trial(cell).hyperparameters
        assert {name: reported[name] for name in setting} == setting


def test_a_sweep_over_schedules_is_drawn(tmp_path: Path) -> None:
    settings = {**MIXED, "beta": "linspace(0, 0.9, 60)", "lr": ["cosine(0.1)", 0.05]}
    folder = momentumlab.run(settings, record="none", out=tmp_path).run_folder
    assert folder is not None
    assert (folder / "map_loss.png").exists()


def test_a_comparison_accepts_fixed_and_searched_schedules() -> None:
    given = momentumlab.compare(optimizers=["sgd", "momentum"], lr="cosine(0.05)", beta="tuned", budget=9)
    assert [row["hyperparameters"]["lr"] for row in given.summary()] == ["cosine(0.05)"] * 2
    searched = momentumlab.compare(optimizers=["sgd", "momentum"], lr=[0.001, "cosine(0.1, 0.01)"], iterations=50)
    assert {row["hyperparameters"]["lr"] for row in searched.summary()} == {"cosine(0.1, 0.01)"}
    best = momentumlab.run(surface="ravine", optimizer="sgd", lr="cosine(0.1, 0.01)", iterations=50).final_losses[0]
    assert best in [row["final_loss"]["median"] for row in searched.summary()]


def test_predict_explains_why_it_does_not_apply_to_schedules() -> None:
    plan = make_plan(momentumlab.load(RAVINE, lr=["cosine(0.1)", 0.1], beta=[0.9, "nesterov_sequence()"]))
    said = [row["why_not"] for row in PredictionReport(plan=plan).summary()]
    because = "so the method changes with time"
    assert said == [
        f"lr follows a schedule, {because}",
        f"lr and beta follow a schedule, {because}",
        None,
        f"beta follows a schedule, {because}",
    ]


# The figure


def _lines(result: momentumlab.Result, title: str) -> list[NDArray[np.float64]]:
    (panel,) = [axes for axes in result.plot_velocities().axes if axes.get_title(loc="left").startswith(title)]
    return [np.array([line.get_xdata(), line.get_ydata()], dtype=np.float64) for line in panel.lines]


def test_the_velocities_have_a_panel_for_each_scheduled_hyperparameter() -> None:
    result = momentumlab.run(RAVINE, beta=[0.9, "linear(0.1, 0.9)"], lr="step(0.1, every=10)")
    titles = [axes.get_title(loc="left") for axes in result.plot_velocities().axes]
    assert titles[2:] == ["lr in each iteration", "β in each iteration"]
    numbers, rising = _lines(result, "β")
    assert numbers[1].tolist() == [0.9] * 50
    assert rising[0].tolist() == list(range(1, 51))
    np.testing.assert_allclose(rising[1], 0.1 + 0.8 * np.arange(50) / 50)
    (common,) = _lines(result, "lr")
    np.testing.assert_allclose(common[1], 0.1 * 0.1 ** (np.arange(50) // 10))


def test_velocities_without_schedules_have_no_further_panels() -> None:
    assert len(momentumlab.run(RAVINE).plot_velocities().axes) == 2


# The command line


def test_the_command_line_splits_at_commas_outside_of_brackets(command: Command) -> None:
    done = command(
        "run", "--surface", "ravine", "--optimizer", "momentum", "--lr", "cosine(0.1,0.001),0.05, warmup(3,0.1)",
        "--beta", "piecewise({0: 0.9, 50: 0.5})", "--format", "json", "--no-plots",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    reported = [trial["hyperparameters"] for trial in json.loads(done.stdout)["trials"]]
    assert [each["lr"] for each in reported] == ["cosine(0.1, 0.001)", 0.05, "warmup(3, 0.1)"]
    assert {each["beta"] for each in reported} == {"piecewise({0: 0.9, 50: 0.5})"}


def test_schedules_can_be_listed_and_shown(command: Command) -> None:
    listed = command("list", "schedules")
    assert all(name in listed.stdout for name in ("cosine", "warmup", "nesterov_sequence"))
    assert "CosineAnnealingLR" in command("show", "schedule", "cosine").stdout
    assert "did you mean 'cosine'" in command("show", "schedule", "cosin").stderr


def test_the_page_of_schedules_is_current(command: Command) -> None:
    written = (ROOT / "docs" / "schedules.md").read_text()
    assert written.partition("<!-- made")[2].partition("-->")[2].strip() == (
        command("list", "schedules", "--format", "markdown").stdout.strip()
    ), "make it anew as its comment says"
