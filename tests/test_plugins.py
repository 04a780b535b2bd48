"""Surfaces and optimizers in a file of one's own: how it is loaded, run, sent to workers and blamed."""

import json
import multiprocessing
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

import momentumlab
from momentumlab import engine, plugins
from momentumlab.cli import app
from momentumlab.errors import ConfigError, PluginWarning
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.result import Status
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.quadratics import Ravine
from tests.conftest import ROOT, Command

Load = Callable[..., Path]

failing = pytest.mark.filterwarnings("ignore:.*failed:momentumlab.errors.PluginWarning")

LAB = '''
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.registry import parameter
from momentumlab.optimizers import Optimizer, optimizer
from momentumlab.schedules import Kind, Schedule, argument, schedule
from momentumlab.surfaces import Surface, surface


@surface("gully")
@dataclass(frozen=True, kw_only=True)
class Gully(Surface):
    """The ravine once more."""

    b: float = parameter(9.0, gt=0, doc="curvature across")
    formula, latex, source = "x²/16 + b y²", "x^2/16 + b y^2", "an example"
    view, start = ((-3.0, 3.0), (-0.5, 0.5)), (-2.4, 0.2)

    def value(self, x):
        return 0.0625 * (x[0] * x[0]) + self.b * (x[1] * x[1])

    def gradient(self, x):
        return np.stack([0.125 * x[0], 2 * self.b * x[1]])


class State(NamedTuple):
    v: np.ndarray


@optimizer("ball", lr=0.01)
@dataclass(frozen=True, kw_only=True)
class Ball(Optimizer[State]):
    """The heavy ball once more."""

    beta: float = parameter(0.9, ge=0, lt=1, doc="decay")
    equation, source = "v ← β v + g", "an example"

    def init(self, x):
        return State(np.zeros_like(x))

    def step(self, state, g, here):
        v = self.beta * state.v + g
        return v, State(v)


@schedule("stairs")
@dataclass(frozen=True)
class Stairs(Schedule):
    """Half after every other update."""

    start: float = argument(Kind.NUMBER, doc="the value at the top")
    formula, source = "start/2^(k//2)", "an example"

    def value(self, k, iterations):
        return self.start * 0.5 ** (k // 2)
'''

FAILING = LAB.replace("        v = self", "        if np.any(here.t == 18):\n            1 / 0\n        v = self")
RAISED_IN = FAILING[: FAILING.index("1 / 0")].count("\n") + 1

RUN: dict[str, Any] = {"surface": "gully", "optimizer": "ball", "lr": 0.05, "iterations": 40}
BUILT_IN: dict[str, Any] = {**RUN, "surface": "ravine", "optimizer": "momentum"}


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Writes a plug-in and loads it for the time of the test."""
    paths = []

    def write(text: str = LAB, name: str = "my_lab.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        paths.append(path)
        momentumlab.load_plugin(path)
        return path

    yield write
    for path in paths:
        plugins.unload_plugin(path)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A plug-in that is written and not loaded, for commands."""
    path = tmp_path / "my_lab.py"
    path.write_text(LAB)
    return path


def entries() -> list[str]:
    return [*SURFACES, *OPTIMIZERS, *SCHEDULES]


# Loading


def test_a_plugin_is_run_as_what_the_package_has_is(load: Load) -> None:
    load()
    assert momentumlab.run(RUN).positions.tobytes() == momentumlab.run(BUILT_IN).positions.tobytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", r"my_lab\.py:1:7: invalid syntax: def f\(:"),
        ("x = 1\nimport no_such_thing\n", r"my_lab\.py:2: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f():\n    1 / 0\n\nf()\n", r"my_lab\.py:2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", r"my_lab\.py:1: SystemExit: 3"),
        ("x = 1\n", r"my_lab\.py: it adds no surface, optimizer or schedule"),
        (LAB.replace('"gully"', '"ravine"'), r"my_lab\.py:\d+: the surface name 'ravine' is taken: choose another"),
        (LAB.replace('"gully"', '"x1"'), r"my_lab\.py:\d+: 'x1' is no name for a surface"),
        (LAB.replace('"ball"', '"a,b"'), r"my_lab\.py:\d+: the optimizer name 'a,b' is not letters, digits and _"),
        (
            LAB.replace("formula, latex, source", "formula, source, url"),
            r"the surface Gully is not complete: say its latex",
        ),
        (
            LAB.replace("    view, start = ((-3.0, 3.0), (-0.5, 0.5)), (-2.4, 0.2)\n", ""),
            "say its view and its start",
        ),
        (LAB.replace("def gradient", "def grad"), "the surface Gully is not complete: it has no gradient"),
        (LAB.replace("equation, source", "equation, url"), "the optimizer Ball is not complete: say its source"),
        (LAB.replace("def step", "def update"), "the optimizer Ball is not complete: it has no step"),
        (
            LAB.replace('("ball", lr=0.01)\n@dataclass(frozen=True, kw_only=True)', '("ball", lr=0.01)'),
            r"write @dataclass\(frozen=True, kw_only=True\) between @optimizer\(…\) and the class",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_of_it_remains(load: Load, text: str, message: str) -> None:
    before = entries()
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "\n" not in str(caught.value)
    assert entries() == before


def test_a_file_that_has_changed_takes_its_own_place(load: Load) -> None:
    path = load()
    first = momentumlab.load_plugin(path)
    assert momentumlab.load_plugin(path) is first
    load(LAB.replace("9.0", "4.0"))
    assert SURFACES["gully"]().b == 4.0  # type: ignore[attr-defined]
    load(LAB.replace('"gully"', '"gulch"'))
    assert "gulch" in SURFACES
    assert "gully" not in SURFACES
    assert list(path.parent.iterdir()) == [path], "no compiled code is left beside it"


def test_of_two_files_both_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)a\.py: no such file.*b\.py: no such file"):
        plugins.load_plugins([tmp_path / "a.py", tmp_path / "b.py"])


def test_every_command_that_names_surfaces_or_optimizers_takes_plugins() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    taking = {name for name, one in commands.items() if any("--plugin" in option.opts for option in one.params)}
    named = {"run", "sweep", "compare", "tune", "predict", "list", "show", "validate", "check"}
    assert taking & {*named, "translate"} == named


def test_a_command_without_plugins_loads_nothing_of_theirs() -> None:
    """A run with names of the package looks for no entry points: that costs 30 ms and more."""
    program = """
import importlib.metadata, momentumlab
groups, found = [], importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **wanted: groups.append(wanted["group"]) or found(**wanted)
momentumlab.run(surface='ravine', optimizer='adam', lr=0.1, **{'surface.b': 2.0})
assert not any("momentumlab" in group for group in groups), groups
try:
    momentumlab.run(surface='sandpit', optimizer='adam')
except momentumlab.ConfigError:
    assert groups[-1] == "momentumlab.surfaces", groups
else:
    raise AssertionError("an unknown surface")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# On the command line


def test_commands_know_a_plugin_and_its_run_folder_says_which(command: Command, lab: Path, tmp_path: Path) -> None:
    first = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "ball,momentum", "--quiet")
    assert (first.returncode, first.stderr) == (0, "")
    folder = tmp_path / first.stdout.strip()
    (told,) = json.loads((folder / "result.json").read_text())["provenance"]["plugins"]
    digest = subprocess.run(["sha256sum", lab], capture_output=True, text=True, check=True).stdout.split()[0]
    assert told == {"file": str(lab), "sha256": digest}

    without = command("run", folder / "experiment.yaml")
    assert without.returncode == 2
    assert "experiment.yaml:1: this was made with a plug-in: give it again with --plugin my_lab.py" in without.stderr
    assert "unknown surface 'gully'" in without.stderr
    again = command("run", folder / "experiment.yaml", "--plugin", lab, "--no-plots", "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / again.stdout.strip() / "summary.csv").read_text() == (folder / "summary.csv").read_text()


def test_an_experiment_without_anything_of_a_plugin_does_not_need_it(load: Load) -> None:
    from momentumlab.config import to_yaml

    load()
    assert to_yaml(momentumlab.load(BUILT_IN)).startswith("name:")
    for own in ({"surface": "gully"}, {"optimizer": "ball"}, {"lr": "stairs(0.1)"}, {"lr": "warmup(2, stairs(0.1))"}):
        text = to_yaml(momentumlab.load(BUILT_IN, **own))
        assert re.match(r"# needs --plugin \S*my_lab\.py \(sha256 [0-9a-f]{64}\)\nname:", text), own


def test_what_a_plugin_prints_does_not_get_among_the_results(command: Command, lab: Path) -> None:
    lab.write_text(LAB + '\nprint("hello")\n')
    done = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "sgd", "--no-plots", "--format", "json")
    assert json.loads(done.stdout)["trials"][0]["surface"] == "gully"
    assert done.stderr == "hello\n"


def test_a_sweep_goes_on_with_the_same_plugin_alone(command: Command, lab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unfinished"
    folder.mkdir()
    (folder / "experiment.yaml").write_text(f"# needs --plugin my_lab.py (sha256 {'0' * 64})\nname: a\n")
    done = command("sweep", "--plugin", lab, "--resume", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unfinished/experiment.yaml:1: my_lab.py has changed since this was begun" in done.stderr
    assert "give it again with --plugin my_lab.py" in command("sweep", "--resume", folder).stderr


# On other processes


def processes(method: str) -> Executor:
    return ProcessPoolExecutor(2, multiprocessing.get_context(method))


@pytest.mark.parametrize(
    "executor", [lambda: processes("fork"), lambda: processes("spawn"), lambda: ThreadPoolExecutor(2)]
)
def test_workers_know_plugins(load: Load, executor: Callable[[], Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr("momentumlab.executor.SMALLEST_BLOCK", 16)
    axes: dict[str, Any] = {"beta": "linspace(0, 0.9, 10)", "lr": ["stairs(0.1)", 0.01, 0.02, 0.05, 0.1]}
    with executor() as pool:
        swept = momentumlab.run(RUN, **axes, record="none", executor=pool)
    here = momentumlab.run({**BUILT_IN, **axes}, record="none")
    assert swept.final_points.tobytes() == here.final_points.tobytes()
    assert set(swept.status) == {Status.MAX_ITERATIONS}


@pytest.mark.parametrize(
    ("now", "message"), [(LAB.replace("9.0", "4.0"), "it was changed while it was running"), (None, "no such file")]
)
def test_a_plugin_that_changes_while_it_is_running_does_not_mix_numbers(
    load: Load, monkeypatch: pytest.MonkeyPatch, now: str | None, message: str
) -> None:
    path = load()
    travelling = pickle.dumps(plugins.Plugins())
    if now is None:
        path.unlink()
    else:
        path.write_text(now)
    assert not pickle.loads(travelling).problems, "where it is loaded already, it stays as it is"
    plugins.unload_plugin(path)  # as in another process
    with pytest.raises(ConfigError, match=message):
        pickle.loads(travelling).require()


# Exceptions in the middle of a run


def test_from_python_a_failure_is_a_warning(load: Load) -> None:
    load(FAILING)
    with pytest.warns(PluginWarning, match=r"ball on gully failed in iteration 18: .*my_lab\.py"):
        momentumlab.run(RUN)


@failing
def test_trials_of_a_plugin_that_raises_keep_what_they_had(load: Load) -> None:
    load(FAILING)
    result = momentumlab.run(RUN, optimizers=["ball", "sgd"], optimizer=None, lr=[0.01, 0.05])
    assert [status.label for status in result.status] == ["failed"] * 2 + ["max_iterations"] * 2
    assert result.iterations.tolist() == [17, 17, 40, 40]
    shorter = momentumlab.run({**BUILT_IN, "lr": [0.01, 0.05], "iterations": 17})
    for lane in range(2):
        assert result.path(lane).tobytes() == shorter.path(lane).tobytes()
        assert result.velocities[lane, :18].tobytes() == shorter.velocities[lane].tobytes()
        assert result.final_points[lane].tobytes() == shorter.final_points[lane].tobytes()
    assert result.final_losses[:2].tobytes() == shorter.final_losses.tobytes()
    others = momentumlab.run({**BUILT_IN, "optimizer": "sgd", "lr": [0.01, 0.05]})
    assert result.positions[2:].tobytes() == others.positions.tobytes()
    (failure,) = result.failures
    assert failure.where is not None
    assert failure.where.endswith(f"my_lab.py:{RAISED_IN} in Ball.step")
    assert (failure.error, failure.iteration, failure.trials) == ("ZeroDivisionError: division by zero", 18, 2)
    assert "1 / 0" in failure.traceback


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return State(np.zeros_like(x))", "raise KeyError('init')"),
        ("return np.stack([0.125 * x[0], 2 * self.b * x[1]])", "raise KeyError('gradient')"),
        ("return 0.0625 *", "raise KeyError('value'); return 0.0625 *"),
        ("        return 0.0625 * (x[0] * x[0]) + self.b * (x[1] * x[1])", "        return np.sum(x * x)"),
        ("return np.stack([0.125 * x[0], 2 * self.b * x[1]])", "return np.stack([0.125 * x[0]])"),
        ("return v, State(v)", "return v[:, :1], State(v)"),
        ("return v, State(v)", "return v"),
    ],
)
@pytest.mark.parametrize("record", ["all", "none"])
@failing
def test_a_plugin_that_fails_at_once_fails_from_the_start(load: Load, old: str, new: str, record: str) -> None:
    assert old in LAB
    load(LAB.replace(old, new))
    result = momentumlab.run(RUN, lr=[0.01, 0.05], record=record)
    assert set(result.status) == {Status.FAILED}
    assert result.iterations.tolist() == [0, 0]
    assert result.final_points.tolist() == [[-2.4, 0.2], [-2.4, 0.2]]
    assert sum(failure.trials for failure in result.failures) == 2
    if record == "all":
        assert result.positions.tolist() == [[[-2.4, 0.2]], [[-2.4, 0.2]]]


@failing
def test_in_a_sweep_what_was_finished_is_kept(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that converge before the exception keep their numbers; with few lanes, some trials never begin."""
    load(FAILING)
    monkeypatch.setattr(engine, "BATCH_BYTES", 8 * 2 * 4)
    monkeypatch.setattr(engine, "IDLE_SHARE", 0.0)
    axes: dict[str, Any] = {"lr": "geomspace(1e-4, 0.1, 12)", "beta": [0.0], "tolerance": 2e-3}
    failed = momentumlab.run(RUN, **axes, record="none")
    whole = momentumlab.run({**BUILT_IN, **axes}, record="none")
    early = failed.status_codes != Status.FAILED.code
    assert 0 < early.sum() < 12
    assert (whole.iterations[early] < 18).all()
    for name in ("final_points", "final_losses", "iterations", "status_codes"):
        assert getattr(failed, name)[early].tobytes() == getattr(whole, name)[early].tobytes()
    under_way = ~early & (failed.iterations > 0)
    for number in np.flatnonzero(under_way).tolist():
        iterations, lr = int(failed.iterations[number]), failed.plan.trial(number).hyperparameters["lr"]
        shorter = momentumlab.run(BUILT_IN, lr=lr, beta=0.0, iterations=iterations)
        assert shorter.final_points[0].tobytes() == failed.final_points[number].tobytes()
        assert shorter.final_losses[0] == failed.final_losses[number]
    waiting = ~early & (failed.iterations == 0)
    assert waiting.any()
    assert (failed.final_points[waiting] == [-2.4, 0.2]).all()


def test_a_fault_of_the_package_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Ravine, x: Any) -> Any:
        raise KeyError("a fault")

    monkeypatch.setattr(Ravine, "gradient", broken)
    with pytest.raises(KeyError):
        momentumlab.run(BUILT_IN)


def test_a_failed_run_is_saved_told_and_exit_1(command: Command, lab: Path, tmp_path: Path) -> None:
    lab.write_text(FAILING)
    config = tmp_path / "both.yaml"
    config.write_text("surface: ravine\noptimizers: [{name: ball, lr: 0.05}, {name: sgd, lr: 0.05}]\niterations: 30\n")
    done = command("run", "--plugin", lab, config, config)
    assert done.returncode == 1
    expected = (
        f"error: ball on ravine failed in iteration 18: my_lab.py:{RAISED_IN} in Ball.step: "
        "ZeroDivisionError: division by zero (status of 1 trial: failed)\n"
    )
    assert done.stderr == 2 * expected
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith(("ball", "sgd"))] == [
        "failed",
        "max_iterations",
    ] * 2
    folder = tmp_path / done.stdout.splitlines()[-1]
    assert {"result.json", "summary.csv", "trajectories.npz", "trajectory.png"} <= {f.name for f in folder.iterdir()}
    written = json.loads((folder / "result.json").read_text())
    assert [trial["status"] for trial in written["trials"]] == ["failed", "max_iterations"]
    assert written["failures"][0]["error"] == "ZeroDivisionError: division by zero"


def test_a_failed_sweep_is_saved_and_exit_1(command: Command, lab: Path, tmp_path: Path) -> None:
    lab.write_text(FAILING)
    arguments = ["--surface", "ravine", "--optimizer", "ball,sgd", "--lr", "linspace(0.01,0.1,60)"]
    done = command("sweep", "--plugin", lab, *arguments, "--workers", "2")
    assert done.returncode == 1
    assert done.stderr.count("error: ball on ravine failed in iteration 18") == 1
    assert "60 failed (100.0%)" in done.stdout
    folder = tmp_path / done.stdout.splitlines()[-1]
    with np.load(folder / "sweep.npz") as arrays:
        assert set(arrays["ball.status"].tolist()) == {Status.FAILED.code}
        assert Status.FAILED.code not in arrays["sgd.status"]


@failing
def test_in_a_comparison_who_fails_comes_last_and_the_others_are_ranked(load: Load) -> None:
    load(FAILING)
    result = momentumlab.compare(optimizers=["ball", "momentum", "sgd"], surface="ravine", iterations=30)
    assert [row["optimizer"] for row in result.summary()] == ["momentum", "sgd", "ball"]
    assert result.summary()[-1]["statuses"]["failed"] == 1
    alone = momentumlab.compare(optimizers=["momentum", "sgd"], surface="ravine", iterations=30)
    assert [row["final_loss"] for row in alone.summary()] == [row["final_loss"] for row in result.summary()[:2]]
    assert {failure.optimizer for failure in result.failures} == {"ball"}
    assert not any("ball diverges" in note for note in result.notes)


def test_a_surface_that_cannot_be_drawn_costs_a_picture_alone(command: Command, lab: Path, tmp_path: Path) -> None:
    lab.write_text(LAB.replace("        return 0.0625 *", "        assert x.shape[1] < 99\n        return 0.0625 *"))
    done = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "ball")
    assert done.returncode == 0
    assert re.fullmatch(
        r"warning: trajectory\.png is left out: my_lab\.py:\d+ in Gully\.value: AssertionError\n", done.stderr
    )
    names = {file.name for file in (tmp_path / done.stdout.splitlines()[-1]).iterdir()}
    assert {"velocity.png", "loss.png", "result.json"} <= names
    assert "trajectory.png" not in names


def test_a_plugin_that_theory_cannot_use_is_an_error_in_a_line(command: Command, lab: Path) -> None:
    lab.write_text(LAB.replace("        v = self.beta", "        assert len(g) == 2\n        v = self.beta"))
    assert command("run", "--plugin", lab, "--surface", "ravine", "--optimizer", "ball", "--no-plots").returncode == 0
    done = command("predict", "--plugin", lab, "--surface", "ravine", "--optimizer", "ball")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: my_lab\.py:\d+ in Ball\.step: AssertionError\n", done.stderr)


def test_a_surface_that_fails_where_it_is_judged_does_not_stop_what_comes_after_it(
    command: Command, lab: Path, tmp_path: Path
) -> None:
    lab.write_text(LAB.replace("        return 0.0625 *", "        1 / 0\n        return 0.0625 *"))
    for surface in ("gully", "ravine"):
        (tmp_path / f"{surface}.yaml").write_text(f"surface: {surface}\noptimizers: [sgd, momentum]\niterations: 9\n")
    done = command("compare", "--plugin", lab, "gully.yaml", "ravine.yaml", "--no-plots", "--quiet")
    assert done.returncode == 1
    assert re.fullmatch(r"error: my_lab\.py:\d+ in Gully\.value: ZeroDivisionError: division by zero\n", done.stderr)
    assert re.fullmatch(r"runs/\S+-ravine\n", done.stdout)


def test_replicates_of_a_plugin_that_raises_are_shown(command: Command, lab: Path) -> None:
    lab.write_text(FAILING)
    arguments = ["--surface", "ravine", "--optimizer", "ball,sgd", "--noise", "0.1", "--replicates", "3"]
    done = command("run", "--plugin", lab, *arguments)
    assert done.returncode == 1
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith(("ball", "sgd"))] == [
        "failed",
        "max_iterations",
    ]


# Installed packages


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with installed packages: one that works, and two that do not."""
    folder = tmp_path / "site"
    entry_points = {
        "good": "[momentumlab.surfaces]\ngully = good_lab:Gully\n[momentumlab.optimizers]\nball = good_lab:Ball\n",
        "bad": "[momentumlab.surfaces]\nbroken = bad_lab\nabsent = no_such_module:Thing\n",
    }
    for name, text in entry_points.items():
        info = folder / f"{name}_lab-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-lab\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(text)
    (folder / "good_lab.py").write_text(LAB)
    (folder / "bad_lab.py").write_text("raise RuntimeError('not today')\n")
    return folder


def test_installed_plugins_are_found_and_broken_ones_are_named(command: Command, site: Path) -> None:
    environment = {"PYTHONPATH": str(site)}
    known = command("run", ROOT / "configs" / "ravine_beta_sweep.yaml", "--no-plots", **environment)
    assert (known.returncode, known.stderr) == (0, "")
    own = command("run", "--surface", "gully", "--optimizer", "ball", "--no-plots", **environment)
    assert own.returncode == 0
    assert sorted(own.stderr.splitlines()) == [
        "warning: the installed plug-in 'absent' (no_such_module:Thing) of bad-lab is left out: "
        "ModuleNotFoundError: No module named 'no_such_module'",
        "warning: the installed plug-in 'broken' (bad_lab) of bad-lab is left out: RuntimeError: not today",
    ]
    listed = command("list", "optimizers", "--format", "json", **environment)
    assert listed.stderr == ""
    assert "ball" in {entry["name"] for entry in json.loads(listed.stdout)}
    unknown = command("run", "--surface", "gully", "--optimizer", "bal", "--no-plots", **environment)
    assert "unknown optimizer 'bal' (did you mean 'ball'?)" in unknown.stderr
