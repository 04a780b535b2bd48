"""Python does what the command line does, and takes objects, functions and arrays; misspelt keywords are errors."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

import momentumlab
from momentumlab.cli import app
from momentumlab.config.settings import COMPARISON_SETTINGS, COMPONENTS, SETTINGS
from momentumlab.errors import ConfigError, MomentumLabError, WorkerWarning
from momentumlab.keywords import SearchSettings, Settings
from momentumlab.optimizers import OPTIMIZERS, Momentum, Optimizer, optimizer
from momentumlab.parameters import Array, Real, parameter
from momentumlab.report.data import json_text, strict
from momentumlab.schedules import Cosine
from momentumlab.surfaces import Ravine, from_function
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("own_functions")

RUNNER = CliRunner()
COMMON: dict[str, Any] = {"optimizer": "momentum", "lr": 0.02, "beta": [0.0, 0.9], "iterations": 30}


class Velocity(NamedTuple):
    v: Array


@pytest.fixture(scope="module", autouse=True)
def own_optimizer() -> Any:
    """An optimizer of this test program, as a notebook would define it."""

    @optimizer("test_rule", lr=0.01)
    @dataclass(frozen=True, kw_only=True)
    class Rule(Optimizer[Velocity]):
        """Momentum with a weight for the newest gradient."""

        alpha: Real = parameter(0.3, ge=0, le=1, doc="weight of the gradient")
        equation = "v ← (1 − α) v + α g"
        source = "a test"

        def init(self, x: Array) -> Velocity:
            return Velocity(np.zeros_like(x))

        def step(self, state: Velocity, g: Array, here: Any) -> tuple[Array, Velocity]:
            v = (1 - self.alpha) * state.v + self.alpha * g
            return v, Velocity(v)

    yield Rule
    OPTIMIZERS.forget("test_rule")


def bowl(x: Array) -> Any:
    return x[0] * x[0] / 16 + 9 * x[1] * x[1]


def slope(x: Array) -> Any:
    return np.array([x[0] / 8, 18 * x[1]])


def of_a_point(x: Array) -> float:
    return float(x[0]) ** 2 / 16 + 9 * float(x[1]) ** 2


# Names and keywords


def test_a_parameter_of_the_surface_in_settings_is_not_lost_beside_its_name() -> None:
    experiment = momentumlab.load(surface="ravine", optimizer="sgd", settings={"surface.a": 0.3})
    assert experiment.surface.axes["a"].values == (0.3,)


def test_every_keyword_is_a_setting_and_every_setting_is_a_keyword() -> None:
    own = [cls for cls in OPTIMIZERS.values() if cls.__module__.startswith("momentumlab.")]
    words = {word for cls in own for each in cls.settings() for word in each.words}
    own_arguments = {"record"}  # of `run` and `sweep`, which also take the trials that are recorded
    assert Settings.__annotations__.keys() == {*words, *SETTINGS, *COMPONENTS, "settings", "gradient"} - own_arguments
    further = {*COMPARISON_SETTINGS, "surfaces"}
    assert SearchSettings.__annotations__.keys() == Settings.__annotations__.keys() | further


def test_a_misspelt_keyword_is_an_error_for_mypy_and_when_it_is_called() -> None:
    # mypy checks this file with warn_unused_ignores: a comment below that is not needed would be an error.
    calls: list[Callable[[], object]] = [
        lambda: momentumlab.load(surface="ravine", optimizer="sgd", lerning_rate=0.1),  # type: ignore[call-arg]
        lambda: momentumlab.run(surface="ravine", optimizer="sgd", lerning_rate=0.1),  # type: ignore[call-arg]
        lambda: momentumlab.sweep(surface="ravine", optimizer="sgd", lerning_rate=0.1),  # type: ignore[call-arg]
        lambda: momentumlab.compare(optimizers=["sgd", "adam"], lerning_rate=0.1),  # type: ignore[call-arg]
        lambda: momentumlab.tune(optimizers=["sgd", "adam"], lerning_rate=0.1),  # type: ignore[call-arg]
        lambda: momentumlab.predict(surface="ravine", optimizer="sgd", lerning_rate=0.1),  # type: ignore[call-arg]
        lambda: momentumlab.explore(surface="ravine", optimizer="sgd", lerning_rate=0.1),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=r"^argument lerning_rate: unknown key .*did you mean 'learning_rate'"):
            call()


def refused(x: Array) -> Any:
    return x


MISTAKES: dict[str, dict[str, Any]] = {
    "surface": {"surface": "ravin"},
    "surface object": {"surface": object()},
    "function": {"surface": refused},
    "gradient without a function": {"gradient": slope},
    "optimizer": {"optimizer": "momentun"},
    "optimizer class": {"optimizer": int},
    "too many trials": {"max_trials": 1},
    "record": {"record": "some"},
    "lr": {"lr": object()},
    "negative lr": {"lr": -1},
    "lr twice": {"settings": {"lr": 0.1}},
    "unused hyperparameter": {"beta1": 0.5},
    "start": {"start": "grd(3,3)"},
    "parameter of an expression": {"surface": "a*x**2 + y**2"},
    "surfaces that differ in dimension": {"surface": ["ravine", "parabola"]},
    "no surface": {"surface": None},
    "source": {"source": 3},
    "file": {"source": "nothing.yaml"},
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_python_gives_one_clear_error_without_options(mistake: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"surface": "ravine", **COMMON, **mistake}
    with pytest.raises(MomentumLabError) as caught:
        momentumlab.run(**arguments)
    assert str(caught.value)
    assert "--" not in str(caught.value)


def test_a_mistake_in_a_translation_gives_one_clear_error_without_options() -> None:
    mistakes: list[dict[str, Any]] = [
        {"source": "kears"},
        {"source": "keras", "target": "tensor"},
        {"source": "keras", "schedule": "half"},
        {"source": "keras", "dampening": 0.5},
        {"source": "torch", "nesterov": True, "beta": 0.0},
        {"source": "keras", "lr": -1},
    ]
    for mistake in mistakes:
        with pytest.raises(ConfigError, match=r"^argument \w+: ") as caught:
            momentumlab.translate(**mistake)
        assert "--" not in str(caught.value)


# The same as on the command line


def test_predict_returns_the_data_of_the_command() -> None:
    report = momentumlab.predict(surface="ravine", optimizer="momentum", lr=0.1, beta=[0.0, 0.9])
    arguments = "predict --surface ravine --optimizer momentum --lr 0.1 --beta 0,0.9 --format json"
    printed = RUNNER.invoke(app, arguments.split())
    assert json.loads(printed.stdout)["trials"] == json.loads(json_text([strict(row) for row in report.summary()]))
    assert len(report) == 2
    nearest = report[1].nearest
    assert nearest is not None
    assert nearest.rate == pytest.approx(np.sqrt(0.9))
    assert [each.trial.hyperparameters["beta"] for each in report] == [0.0, 0.9]
    assert report[0].points[0][0].point == (0, 0)
    assert f"{nearest.rate:.6f}" in repr(report)
    assert "<table>" in report._repr_html_()
    unknown = momentumlab.predict(surface="mlp", optimizer="sgd")[0]
    assert (unknown.nearest, unknown.why_not) == (None, "no critical point of this surface is known")


def test_translate_returns_the_data_of_the_command() -> None:
    report = momentumlab.translate("keras", "torch", lr=0.01, beta=0.9)
    arguments = "translate --from keras --to torch --lr 0.01 --beta 0.9 --format json"
    printed = RUNNER.invoke(app, arguments.split(" "))
    assert json.loads(printed.stdout) == json.loads(json_text(strict(report.summary())))
    assert (report.hyperparameters["lr"], report.hyperparameters["beta"]) == (0.01, 0.9)
    assert report.is_exact
    assert "keras → torch" in repr(report)
    every = momentumlab.translate("keras", lr=0.01, beta=0.9)
    assert repr(report) in map(repr, every)


def test_check_returns_the_findings_of_the_command() -> None:
    findings = momentumlab.check("ravine", Momentum, Ravine())
    printed = json.loads(RUNNER.invoke(app, ["check", "ravine", "momentum", "--format", "json"]).stdout)
    assert [each.contract for each in findings] == [each["contract"] for each in printed["findings"]]
    assert all(each.has_passed for each in findings)
    with pytest.raises(ConfigError, match="nonsense: is not a file, a surface or an optimizer"):
        momentumlab.check("nonsense")


def test_summary_has_every_column_of_the_json(tmp_path: Path) -> None:
    result = momentumlab.run(surface="logistic", optimizer="momentum", lr=0.1, iterations=20, out=tmp_path, plots=False)
    assert result.run_folder is not None
    (trial,) = json.loads((result.run_folder / "result.json").read_text())["trials"]
    assert result.summary()[0].keys() == trial.keys()
    assert {"rate", "predicted_rate", "accuracy"} <= trial.keys()


@pytest.mark.parametrize("name", ["plot_trajectories", "plot_velocities", "plot_losses"])
def test_figures_show_in_notebooks_by_themselves(name: str) -> None:
    figure: Any = getattr(momentumlab.run(surface="ravine", **COMMON), name)()
    png, size = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert min(size.values()) > 100


# Objects


OBJECTS: dict[str, tuple[Callable[[], Any], Any]] = {
    "instance": (lambda: Ravine(a=0.25), {"name": "ravine", "a": 0.25}),
    "class": (lambda: Ravine, "ravine"),
    "function": (lambda: from_function(bowl, slope), "ravine"),
}


def use(call: str, surface: Any) -> Any:
    """The numbers that a function of the interface gives for a surface."""
    settings: Any = {"start": [-2.4, 0.2], **COMMON}
    match call:
        case "run":
            return momentumlab.run(surface=surface, **settings).final_losses.tolist()
        case "sweep":
            return momentumlab.sweep(surface=surface, **settings).final_loss.tolist()
        case "compare":
            rows = momentumlab.compare(surface=surface, **settings).summary()
            return [(row["optimizer"], row["hyperparameters"], row["final_loss"]["median"]) for row in rows]
        case "tune":
            rows = momentumlab.tune(surface=surface, **{**settings, "lr": "tuned", "budget": 16, "zooms": 1}).summary()
            return [(row["hyperparameters"], row["final_loss"]["median"]) for row in rows]
        case "predict":
            return [row["rate"] for row in momentumlab.predict(surface=surface, **settings).summary()]
    return [len(momentumlab.explore(surface=surface, **settings).html) > 10_000]


@pytest.mark.parametrize("call", ["run", "sweep", "compare", "tune", "predict", "explore"])
@pytest.mark.parametrize("kind", OBJECTS)
def test_an_object_gives_the_numbers_of_its_name(call: str, kind: str) -> None:
    make_surface, name = OBJECTS[kind]
    found, expected = use(call, make_surface()), use(call, name)
    if kind == "function" and call == "predict":
        assert found == pytest.approx(expected, rel=1e-6)  # its Hessian is computed by differences
    else:
        assert found == expected


def test_optimizers_and_schedules_can_be_objects(own_optimizer: Any) -> None:
    by_object = momentumlab.run(surface="ravine", optimizer=own_optimizer(alpha=0.5), lr=[0.1, Cosine(0.1, 0.001)])
    by_name = momentumlab.run(
        surface="ravine", optimizer="test_rule", lr=[0.1, "cosine(0.1, 0.001)"], settings={"alpha": 0.5}
    )
    np.testing.assert_array_equal(by_object.positions, by_name.positions)


# Functions


@pytest.mark.parametrize("function", [bowl, of_a_point])
def test_a_function_runs_like_the_surface_of_its_formula(function: Any) -> None:
    exact = momentumlab.run(surface="ravine", start=[-2.4, 0.2], **COMMON)
    found = momentumlab.run(surface=function, start=[-2.4, 0.2], **COMMON)
    np.testing.assert_allclose(found.positions, exact.positions, atol=1e-9)
    assert any("the gradient is computed by" in note for note in found.notes)
    given = momentumlab.run(surface=function, gradient=slope, start=[-2.4, 0.2], **COMMON)
    np.testing.assert_allclose(given.positions, exact.positions, atol=1e-15)
    assert not any("the gradient is computed by" in note for note in given.notes)


@pytest.mark.parametrize(
    ("start", "dimension"), [(None, 2), ([1, 2, 3], 3), ([[1, 2, 3], [4, 5, 6]], 3), (0.5, 1), ("grid(2, 2, 2)", 3)]
)
def test_the_start_decides_the_number_of_coordinates_of_a_function(start: Any, dimension: int) -> None:
    experiment = momentumlab.load(surface=lambda x: (x * x).sum(axis=0), optimizer="sgd", start=start)
    assert experiment.dimension == dimension


def test_results_of_functions_of_the_same_name_keep_their_own_surface() -> None:
    results = [momentumlab.run(surface=lambda x, a=a: a * x[0] ** 2 + x[1] ** 2, **COMMON) for a in (1.0, 2.0)]
    first, second = (result.experiment.first_surface.value(np.ones((2, 1)))[0] for result in results)
    assert (first, second) == (2.0, 3.0)
    again = [momentumlab.load(surface=bowl, optimizer="sgd").surface.name for _ in range(2)]
    assert again[0] == again[1]


def test_the_minimum_of_a_function_is_searched_or_given() -> None:
    assert from_function(bowl).critical_points(2)[0].point == (0, 0)
    (point,) = from_function(lambda x: (x * x).sum(axis=0) - 1, minimum=[0.0] * 20).critical_points(20)
    assert (point.loss, len(point.point)) == (-1, 20)


def test_an_exception_in_a_function_names_the_function() -> None:
    def broken(x: Array) -> Any:
        if np.abs(x).max() < 3:
            raise ZeroDivisionError("too near")
        return (x * x).sum(axis=0)

    with pytest.raises(momentumlab.PluginError, match=r"test_python.py:\d+ in .*broken: ZeroDivisionError: too near"):
        momentumlab.run(surface=broken, optimizer="sgd", lr=0.1, start=[4.0, 4.0])


# Arrays


def features_and_classes() -> tuple[Array, Any]:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 3)).round(3)
    return features, (features @ [1.0, -2.0, 0.5] + random.normal(size=60) > 0).astype(int)


@pytest.mark.parametrize("model", ["least_squares", "logistic", "softmax", "mlp"])
def test_arrays_give_the_numbers_of_a_file_with_the_same_rows(model: str, tmp_path: Path) -> None:
    features, classes = features_and_classes()
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x1", "x2", "x3", "y"], *np.column_stack([features, classes]).tolist()])
    surface = getattr(momentumlab, model)(features, classes, l2=0.01)
    settings: Any = {"optimizer": ["sgd", "adam"], "lr": 0.1, "iterations": 20}
    by_file = {"name": model, "data": str(tmp_path / "table.csv"), "l2": 0.01}
    found, expected = momentumlab.run(surface=surface, **settings), momentumlab.run(surface=by_file, **settings)
    np.testing.assert_array_equal(found.positions, expected.positions)


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        ([[1.0, 2.0], [3.0, np.nan]], [0, 1], "argument features: has the value nan at index [1, 1]"),
        ([[1.0], [2.0]], [0, 1, 1], "argument targets: has shape (3,) for 2 rows"),
        ("nonsense", [0, 1], "argument features: is not an array of numbers"),
        ([[1.0], [2.0], [3.0], [4.0]], [0, 1, 2, 1], "has 3 classes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(features: Any, targets: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        momentumlab.logistic(features, targets)
    assert message in str(caught.value)


def test_text_labels_and_the_names_of_a_table_are_used() -> None:
    class Table:
        columns = ("height", "width")

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return features_and_classes()[0][:, :2]

    labels = np.where(features_and_classes()[1] > 0, "cat", "dog")
    design = momentumlab.logistic(Table(), labels).design
    assert (design.names, design.classes) == (("height", "width", "intercept"), ("cat", "dog"))


# Workers


def test_workers_and_executors_give_the_same_numbers_for_what_only_this_program_has() -> None:
    features, classes = features_and_classes()
    settings: Any = {"optimizer": "test_rule", "lr": [0.01, 0.02], "iterations": 20}
    for surface in (bowl, momentumlab.logistic(features, classes)):
        expected = momentumlab.sweep(surface=surface, **settings).final_loss
        own = momentumlab.sweep(surface=surface, workers=2, **settings).final_loss
        with ThreadPoolExecutor(2) as threads:
            on_threads = momentumlab.sweep(surface=surface, executor=threads, **settings).final_loss
        with ProcessPoolExecutor(2) as processes, pytest.warns(WorkerWarning, match="one process: worker processes do"):
            in_process = momentumlab.sweep(surface=surface, executor=processes, **settings).final_loss
        for found in (own, on_threads, in_process):
            np.testing.assert_array_equal(found, expected)


# Run folders


def make(kind: str, out: Path) -> Any:
    features, classes = features_and_classes()
    settings: Any = {"optimizer": ["test_rule", "sgd"], "lr": [0.01, 0.02], "iterations": 5, "out": out, "plots": False}
    match kind:
        case "run":
            return momentumlab.run(surface=bowl, **settings)
        case "sweep":
            return momentumlab.sweep(surface=momentumlab.logistic(features, classes), **settings).result
    return momentumlab.compare(surface=bowl, **settings)


@pytest.mark.parametrize("kind", ["run", "sweep", "compare"])
def test_a_run_folder_says_what_only_a_python_program_can_repeat(kind: str, tmp_path: Path) -> None:
    made = make(kind, tmp_path)
    surface = "" if kind == "sweep" else "surface bowl, "  # arrays are copied into the folder
    assert any(f"not in the run folder: {surface}optimizer test_rule;" in note for note in made.notes)
    text = (made.run_folder / "experiment.yaml").read_text()
    assert text.startswith("# needs the ")
    assert "# needs the optimizer test_rule of a Python program (tests.test_python)\n" in text

    opened = momentumlab.open_run(made.run_folder)
    assert isinstance(opened, momentumlab.Sweep if kind == "sweep" else type(made))
    verdict = momentumlab.rerun(made.run_folder, out=tmp_path)[1].verdict
    assert verdict.name == "IDENTICAL"

    elsewhere = f"import momentumlab; momentumlab.open_run({str(made.run_folder)!r})"
    done = subprocess.run([sys.executable, "-c", elsewhere], capture_output=True, text=True, check=False)
    assert "made by a Python program (tests.test_python) with its own optimizer test_rule" in done.stderr
    assert "damaged" not in done.stderr


def test_the_remedy_for_a_missing_plugin_is_spelled_in_python(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"# needs --plugin my_lab.py (sha256 {'0' * 64})\nsurface: gully\noptimizer: sgd\n")
    with pytest.raises(ConfigError) as caught:
        momentumlab.run(config)
    assert "this was made with a plug-in: load it with momentumlab.load_plugin('my_lab.py')" in str(caught.value)
    assert "--" not in str(caught.value)


def test_a_run_folder_without_own_code_needs_no_python_program(tmp_path: Path) -> None:
    result = momentumlab.run(surface=Ravine(a=0.5), out=tmp_path, plots=False, **COMMON)
    assert result.notes == ()
    assert result.run_folder is not None
    assert (result.run_folder / "experiment.yaml").read_text().startswith("name:")


# Notebooks

CELL = """
@optimizer("mine", lr=0.1)
@dataclass(frozen=True, kw_only=True)
class Mine(Optimizer[Velocity]):
    '''An optimizer of a notebook.'''
    alpha: Real = parameter(0.5, ge=0, doc="factor")
    equation, source = "v ← α g", "a notebook"
    def init(self, x): return Velocity(np.zeros_like(x))
    def step(self, state, g, here): return FACTOR * self.alpha * g, state
"""

NOTEBOOK = f"""
from dataclasses import dataclass
from typing import NamedTuple
import numpy as np
import momentumlab
from momentumlab.optimizers import Optimizer, optimizer
from momentumlab.parameters import Array, Real, parameter
class Velocity(NamedTuple):
    v: Array
cell = '''{CELL.replace("'''", '"')}'''
exec(cell.replace("FACTOR", "1.0"))
old = Mine(alpha=0.1)
first = momentumlab.run(surface="parabola", optimizer="mine", iterations=1).final_points[0, 0]
exec(cell.replace("FACTOR", "0.0"))
second = momentumlab.run(surface="parabola", optimizer=Mine(), iterations=1)
assert second.final_points[0, 0] == second.positions[0, 0, 0] != first
try:
    momentumlab.run(surface="parabola", optimizer=old)
except momentumlab.ConfigError as error:
    assert "is an instance of an older definition: create it again" in str(error), error
else:
    raise SystemExit("the old class still runs")
"""


def test_running_a_notebook_cell_again_replaces_its_class() -> None:
    done = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
