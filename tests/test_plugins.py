"""Surfaces and optimizers in a user's file: loading, runs, workers and errors."""

import importlib
import json
import multiprocessing
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

import momentumlab
from momentumlab import engine, plugins
from momentumlab.cli import app
from momentumlab.errors import ConfigError, PluginError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.result import Status
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.quadratics import Ravine
from tests.conftest import ROOT, Command

Load = Callable[..., Path]

LAB = '''
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from momentumlab.parameters import parameter
from momentumlab.optimizers import Optimizer, optimizer
from momentumlab.schedules import Schedule, schedule
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

    start: float = parameter(doc="the value at the top")
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


def test_plugin_classes_run_like_built_in_classes(load: Load) -> None:
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
        (LAB.replace('"gully"', '"x1"'), r"my_lab\.py:\d+: invalid surface name 'x1'"),
        (LAB.replace('"ball"', '"a,b"'), r"my_lab\.py:\d+: invalid optimizer name 'a,b': use letters, digits and _"),
        (LAB.replace("formula, latex, source", "formula, source, url"), r"the surface Gully is incomplete: set latex"),
        (LAB.replace("    view, start = ((-3.0, 3.0), (-0.5, 0.5)), (-2.4, 0.2)\n", ""), "set view and start"),
        (LAB.replace("def gradient", "def grad"), "the surface Gully is incomplete: define gradient"),
        (LAB.replace("equation, source", "equation, url"), "the optimizer Ball is incomplete: set source"),
        (LAB.replace("def step", "def update"), "the optimizer Ball is incomplete: define step"),
        (
            LAB.replace('("ball", lr=0.01)\n@dataclass(frozen=True, kw_only=True)', '("ball", lr=0.01)'),
            r"write @dataclass\(frozen=True, kw_only=True\) between @optimizer\(…\) and the class",
        ),
    ],
)
def test_an_invalid_file_is_reported_and_leaves_the_registries_unchanged(load: Load, text: str, message: str) -> None:
    before = entries()
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "\n" not in str(caught.value)
    assert entries() == before


def test_a_changed_file_replaces_its_old_classes(load: Load) -> None:
    path = load()
    first = momentumlab.load_plugin(path)
    assert momentumlab.load_plugin(path) is first
    load(LAB.replace("9.0", "4.0"))
    assert SURFACES["gully"]().b == 4.0  # type: ignore[attr-defined]
    load(LAB.replace('"gully"', '"gulch"'))
    assert "gulch" in SURFACES
    assert "gully" not in SURFACES
    assert list(path.parent.iterdir()) == [path], "no compiled code is left beside it"


def test_problems_of_several_files_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)a\.py: no such file.*b\.py: no such file"):
        plugins.load_plugins([tmp_path / "a.py", tmp_path / "b.py"])


def test_commands_that_name_surfaces_or_optimizers_accept_plugins() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    taking = {name for name, one in commands.items() if any("--plugin" in option.opts for option in one.params)}
    named = {"run", "sweep", "compare", "tune", "predict", "list", "show", "validate", "check"}
    assert taking & {*named, "translate"} == named


def test_a_command_without_plugins_does_not_import_their_helpers() -> None:
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


def test_commands_accept_a_plugin_and_the_run_folder_names_it(command: Command, lab: Path, tmp_path: Path) -> None:
    first = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "ball,momentum", "--quiet")
    assert (first.returncode, first.stderr) == (0, "")
    folder = tmp_path / first.stdout.strip()
    (reported,) = json.loads((folder / "result.json").read_text())["provenance"]["plugins"]
    digest = subprocess.run(["sha256sum", lab], capture_output=True, text=True, check=True).stdout.split()[0]
    assert reported == {"file": str(lab), "sha256": digest}

    without = command("run", folder / "experiment.yaml")
    assert without.returncode == 2
    assert "experiment.yaml:1: this was made with a plug-in: add --plugin my_lab.py" in without.stderr
    assert "unknown surface 'gully'" in without.stderr
    again = command("run", folder / "experiment.yaml", "--plugin", lab, "--no-plots", "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / again.stdout.strip() / "summary.csv").read_text() == (folder / "summary.csv").read_text()


def test_an_experiment_requires_only_plugins_that_it_uses(load: Load) -> None:
    from momentumlab.config import to_yaml

    load()
    assert to_yaml(momentumlab.load(BUILT_IN)).startswith("name:")
    for own in ({"surface": "gully"}, {"optimizer": "ball"}, {"lr": "stairs(0.1)"}, {"lr": "warmup(2, stairs(0.1))"}):
        text = to_yaml(momentumlab.load(BUILT_IN, settings=own))
        assert re.match(r"# needs --plugin \S*my_lab\.py \(sha256 [0-9a-f]{64}\)\nname:", text), own


def test_output_of_a_plugin_goes_to_stderr(command: Command, lab: Path) -> None:
    lab.write_text(LAB + '\nprint("hello")\n')
    done = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "sgd", "--no-plots", "--format", "json")
    assert json.loads(done.stdout)["trials"][0]["surface"] == "gully"
    assert done.stderr == "hello\n"


def test_a_sweep_is_resumed_only_with_the_same_plugin(command: Command, lab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unfinished"
    folder.mkdir()
    (folder / "experiment.yaml").write_text(f"# needs --plugin my_lab.py (sha256 {'0' * 64})\nname: a\n")
    done = command("sweep", "--plugin", lab, "--resume", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unfinished/experiment.yaml:1: my_lab.py has changed since this run began" in done.stderr
    assert "add --plugin my_lab.py" in command("sweep", "--resume", folder).stderr


# On other processes


def processes(method: str) -> Executor:
    return ProcessPoolExecutor(2, multiprocessing.get_context(method))


@pytest.mark.parametrize(
    "executor", [lambda: processes("fork"), lambda: processes("spawn"), lambda: ThreadPoolExecutor(2)]
)
def test_plugins_are_available_on_workers(load: Load, executor: Callable[[], Executor]) -> None:
    load()
    axes: dict[str, Any] = {"beta": "linspace(0, 0.9, 10)", "lr": ["stairs(0.1)", 0.01, 0.02, 0.05, 0.1]}
    with executor() as pool:
        swept = momentumlab.run(RUN, **axes, record="none", executor=pool)
    here = momentumlab.run({**BUILT_IN, **axes}, record="none")
    assert swept.final_points.tobytes() == here.final_points.tobytes()
    assert set(swept.status) == {Status.MAX_ITERATIONS}


@pytest.mark.parametrize("now", [LAB.replace("9.0", "4.0"), None], ids=["changed", "removed"])
def test_a_plugin_that_changes_during_a_run_does_not_mix_numbers(load: Load, now: str | None) -> None:
    path = load()
    expected = momentumlab.run(RUN).final_points
    travelling = pickle.dumps(plugins.Plugins())
    if now is None:
        path.unlink()
    else:
        path.write_text(now)
    assert not pickle.loads(travelling).problems, "where it is loaded already, it stays as it is"
    plugins.unload_plugin(path)  # as in another process
    pickle.loads(travelling).require()  # a worker gets the content with which the run began
    assert momentumlab.run(RUN).final_points.tobytes() == expected.tobytes()


# Exceptions in the middle of a run


def test_an_exception_in_a_plugin_is_raised_with_its_place_trial_and_iteration(load: Load) -> None:
    load(FAILING)
    with pytest.raises(PluginError) as caught:
        momentumlab.run(RUN, lr=[0.01, 0.05])
    message = r".*my_lab\.py:{} in Ball\.step: ZeroDivisionError: division by zero \({}\)"
    where = "ball on gully, trials 0 to 1, iteration 18"
    assert re.fullmatch(message.format(RAISED_IN, where), str(caught.value))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert isinstance(caught.value, momentumlab.MomentumLabError)


@pytest.mark.parametrize("executor", [nullcontext, lambda: ThreadPoolExecutor(2), lambda: processes("fork")])
def test_an_exception_on_any_executor_ends_the_sweep(load: Load, executor: Callable[[], Any]) -> None:
    load(FAILING)
    axes: dict[str, Any] = {"lr": "geomspace(1e-4, 0.1, 12)", "record": "none"}
    with executor() as pool, pytest.raises(PluginError, match=r"trials? \d+(?: to \d+)?, iteration 18") as caught:
        momentumlab.run(RUN, **axes, executor=pool)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_exception_that_cannot_be_pickled_is_sent_as_text(load: Load) -> None:
    own = "class Odd(Exception):\n    def __init__(self, a, b):\n        super().__init__(f'{a} {b}')\n\n\n"
    load(FAILING.replace("1 / 0", "raise Odd(1, 2)").replace("class State(", own + "class State("))
    with processes("fork") as pool, pytest.raises(PluginError, match=r"Ball\.step: Odd: 1 2 \(") as caught:
        momentumlab.run(RUN, lr="geomspace(1e-4, 0.1, 12)", record="none", executor=pool)
    assert str(caught.value.__cause__) == "Odd: 1 2"


def test_trials_that_start_at_different_times_are_named_with_their_iterations(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(FAILING)
    monkeypatch.setattr(engine, "BATCH_BYTES", 8 * 2 * 4)
    monkeypatch.setattr(engine, "IDLE_SHARE", 0.0)
    axes: dict[str, Any] = {"lr": "geomspace(1e-4, 0.1, 12)", "beta": [0.0], "tolerance": 2e-3}
    with pytest.raises(PluginError, match=r"trials \d+ to \d+, iterations \d+ to 18\)"):
        momentumlab.run(RUN, **axes, record="none")


@pytest.mark.parametrize("kind", ["SystemExit(3)", "KeyboardInterrupt", "type('Own', (BaseException,), {})()"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_plugin_cannot_end_the_program(command: Command, lab: Path, kind: str, workers: str) -> None:
    lab.write_text(FAILING.replace("1 / 0", f"raise {kind}"))
    arguments = ["--surface", "gully", "--optimizer", "ball", "--lr", "linspace(0.01,0.1,60)", "--workers", workers]
    done = command("sweep", "--plugin", lab, *arguments)
    assert done.returncode == 1
    name = kind.replace("type('", "").split("(")[0].split("'")[0]
    assert done.stderr.startswith(f"error: my_lab.py:{RAISED_IN} in Ball.step: {name}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return State(np.zeros_like(x))", "raise KeyError('init')", "Ball.init: KeyError: 'init'"),
        ("return np.stack([0.125 * x[0], 2 * self.b * x[1]])", "raise KeyError('a')", "Gully.gradient: KeyError: 'a'"),
        ("return 0.0625 *", "raise KeyError('value'); return 0.0625 *", "Gully.value: KeyError: 'value'"),
        (
            "        return 0.0625 * (x[0] * x[0]) + self.b * (x[1] * x[1])",
            "        return np.sum(x * x)",
            "Gully.value: returns shape (), expected (lanes,) = (2,)",
        ),
        (
            "return np.stack([0.125 * x[0], 2 * self.b * x[1]])",
            "return np.stack([0.125 * x[0]])",
            "Gully.gradient: returns shape (1, 2), expected (dim, lanes) = (2, 2)",
        ),
        (
            "return v, State(v)",
            "return v[:, :1], State(v)",
            "Ball.step: returns a velocity of shape (2, 1), expected (dim, lanes) = (2, 2)",
        ),
        ("return v, State(v)", "return v", "Ball.step: does not return a pair (velocity, state)"),
        ("return v, State(v)", "return (v if here.t < 3 else np.zeros(7)), State(v)", "my_lab.py in Gully and "),
        (
            "return v, State(v)",
            "return v + g.mean(), State(v)",
            "Ball.step: the result of a trial depends on its batch",
        ),
        (
            "return np.stack([0.125 * x[0], 2 * self.b * x[1]])",
            "return x - x.mean()",
            "Gully.gradient: the result of a trial depends on its batch; does the code mix lanes (the last axis)?",
        ),
        ("v = self.beta * state.v + g", "v = g; g += state.v", "changes its arguments; look for += or out="),
    ],
)
@pytest.mark.parametrize("record", ["all", "none"])
def test_a_plugin_that_breaks_a_contract_is_named(load: Load, old: str, new: str, message: str, record: str) -> None:
    assert old in LAB
    load(LAB.replace(old, new))
    with pytest.raises(PluginError, match=re.escape(message)) as caught:
        momentumlab.run(RUN, lr=[0.01, 0.05], record=record)
    assert "my_lab.py" in str(caught.value)


def test_an_integer_default_declares_a_number(load: Load) -> None:
    load(LAB.replace("beta: float = parameter(0.9, ge=0, lt=1", "beta: float = parameter(0, ge=0, lt=1"))
    result = momentumlab.run(RUN, beta=[0.0, 0.5, 0.9])
    assert [trial.hyperparameters["beta"] for trial in result.plan] == [0.0, 0.5, 0.9]
    assert type(momentumlab.run(RUN).plan.trial(0).hyperparameters["beta"]) is float
    assert len(result.plan.groups) == 1  # trials with different numbers are advanced together


def test_an_exception_in_the_package_is_not_a_plugin_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ravine, "gradient", {}.__getitem__)
    with pytest.raises(TypeError, match="unhashable"):
        momentumlab.run(BUILT_IN)


def test_an_interrupt_from_the_keyboard_is_not_a_plugin_error(load: Load) -> None:
    """In a notebook, where the package does not handle signals."""
    load(FAILING.replace("1 / 0", "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        momentumlab.run(RUN)


def test_a_plugin_error_ends_the_command(command: Command, lab: Path, tmp_path: Path) -> None:
    lab.write_text(FAILING)
    config = tmp_path / "both.yaml"
    config.write_text("surface: ravine\noptimizers: [{name: ball, lr: 0.05}, {name: sgd, lr: 0.05}]\niterations: 30\n")
    for subcommand in ("run", "compare", "tune"):
        done = command(subcommand, "--plugin", lab, config, config)
        assert (done.returncode, done.stdout) == (1, "")
        place = f"error: my_lab.py:{RAISED_IN} in Ball.step: ZeroDivisionError: division by zero (ball on ravine, trial"
        assert done.stderr.startswith(place)
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sweep_keeps_finished_blocks_and_is_resumed_after_the_fix(
    command: Command, lab: Path, tmp_path: Path, workers: str
) -> None:
    lab.write_text(FAILING.replace("if np.any(here.t == 18)", "if np.any(here.lr > 0.09)"))
    words = "--surface ravine --optimizer ball --lr linspace(0.01,0.1,70000) --iterations 20 --no-plots"
    arguments = words.split()
    done = command("sweep", "--plugin", lab, *arguments, "--workers", workers)
    assert (done.returncode, done.stdout) == (1, "")
    resume = re.fullmatch(
        r"error: my_lab\.py:\d+ in Ball\.step: ZeroDivisionError: division by zero "
        r"\(ball on ravine, trials [\d,]+ to [\d,]+, iteration 1\); "
        r"finished blocks are kept, and after the correction: momentumlab (sweep \S+ \S+ --resume \S+)\n",
        done.stderr,
    )
    assert resume
    folder = tmp_path / resume[1].split()[-1]
    finished = len(list((folder / "blocks").iterdir()))
    assert finished > 0
    lab.write_text(LAB)
    again = command(*resume[1].split())
    assert (again.returncode, again.stderr) == (0, "")
    whole = command("sweep", "--plugin", lab, *arguments)
    with (
        np.load(folder / "sweep.npz") as resumed,
        np.load(tmp_path / whole.stdout.splitlines()[-1] / "sweep.npz") as own,
    ):
        assert all(resumed[name].tobytes() == own[name].tobytes() for name in own)


def test_a_surface_that_cannot_be_drawn_loses_only_its_figure(command: Command, lab: Path, tmp_path: Path) -> None:
    lab.write_text(LAB.replace("        return 0.0625 *", "        assert x.shape[1] < 99\n        return 0.0625 *"))
    done = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "ball")
    assert done.returncode == 0
    assert re.fullmatch(
        r"warning: trajectory\.png is left out: my_lab\.py:\d+ in Gully\.value: AssertionError\n", done.stderr
    )
    names = {file.name for file in (tmp_path / done.stdout.splitlines()[-1]).iterdir()}
    assert {"velocity.png", "loss.png", "result.json"} <= names
    assert "trajectory.png" not in names


TWO_DIMENSIONAL_ONLY = LAB.replace("        v = self.beta", "        assert len(g) == 2\n        v = self.beta")
"""Theory evaluates `step` along one direction, which this optimizer refuses."""


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["run", "--theory"], {"trajectory.png", "loss.png"}),
        (["run", "--theory", "--noise", "0.1", "--replicates", "4"], {"trajectory.png", "loss.png"}),
        (["sweep", "--theory", "--lr", "linspace(0.01,0.1,3)", "--beta", "0,0.5,0.9"], {"map_loss.png"}),
        (["compare", "--budget", "4"], {"sensitivity.png", "loss.png"}),
    ],
    ids=["run", "noisy run", "sweep", "compare"],
)
def test_results_do_not_depend_on_whether_theory_can_use_a_plugin(
    command: Command, lab: Path, tmp_path: Path, arguments: list[str], files: set[str]
) -> None:
    lab.write_text(TWO_DIMENSIONAL_ONLY)
    done = command(*arguments, "--plugin", lab, "--surface", "ravine", "--optimizer", "ball", "--iterations", "20")
    assert (done.returncode, done.stderr) == (0, "")
    assert files <= {file.name for file in (tmp_path / done.stdout.splitlines()[-1]).iterdir()}


def test_a_plugin_that_theory_cannot_use_has_a_rate_and_the_reason(command: Command, lab: Path) -> None:
    lab.write_text(TWO_DIMENSIONAL_ONLY)
    done = command("run", "--plugin", lab, "--surface", "ravine", "--optimizer", "ball", "--no-plots")
    headings, cells = done.stdout.splitlines()[1:3]
    assert headings.split()[-2:] == ["rate", "status"]
    assert float(cells.split()[-2]) < 1
    assert "no prediction (ball): the plug-in raised an exception: " in done.stdout


def test_the_page_of_a_plugin_that_theory_cannot_use_has_the_reason(
    command: Command, lab: Path, tmp_path: Path
) -> None:
    lab.write_text(TWO_DIMENSIONAL_ONLY)
    done = command("explore", "--plugin", lab, "--surface", "ravine", "--optimizer", "ball", "--save", "page.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the plug-in raised an exception: " in (tmp_path / "page.html").read_text()


def test_a_hessian_that_raises_does_not_end_a_run(command: Command, lab: Path) -> None:
    known = """
    def critical_points(self, dim):
        return (CriticalPoint(kind=CriticalKind.GLOBAL_MINIMUM, point=(0.0, 0.0), loss=0.0),)

    def hessian(self, x):
        1 / 0

    def gradient"""
    text = LAB.replace("import Surface, surface", "import CriticalKind, CriticalPoint, Surface, surface")
    lab.write_text(text.replace("\n    def gradient", known))
    done = command("run", "--plugin", lab, "--surface", "gully", "--optimizer", "momentum", "--no-plots")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no prediction (momentum): the plug-in raised an exception: " in done.stdout


def test_predict_reports_the_exception_of_a_plugin(command: Command, lab: Path) -> None:
    lab.write_text(TWO_DIMENSIONAL_ONLY)
    done = command("predict", "--plugin", lab, "--surface", "ravine", "--optimizer", "ball")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: my_lab\.py:\d+ in Ball\.step: AssertionError\n", done.stderr)


def test_a_surface_that_raises_outside_the_engine_is_reported_in_one_line(
    command: Command, lab: Path, tmp_path: Path
) -> None:
    lab.write_text(LAB.replace("        return 0.0625 *", "        1 / 0\n        return 0.0625 *"))
    done = command("compare", "--plugin", lab, "--surface", "gully", "--optimizers", "sgd,momentum")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: my_lab\.py:\d+ in Gully\.value: ZeroDivisionError: division by zero\n", done.stderr)


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


@pytest.mark.parametrize(("folder", "is_users"), [("site-packages", False), ("dist-packages", False), ("work", True)])
def test_an_installed_package_is_not_taken_for_the_users_code(
    folder: str, is_users: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / f"broken_{folder[:4]}.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path / folder)
    with pytest.raises(ZeroDivisionError) as caught:
        importlib.import_module(f"broken_{folder[:4]}")
    place = plugins.raised_at(caught.value)
    assert place is not None
    assert (f"broken_{folder[:4]}.py" in place) is is_users, "otherwise the line of this test"
