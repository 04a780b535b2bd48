"""Sweeps: cells equal single trials, finished blocks are never lost, and maps show every cell."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.image import imread

import momentumlab
from momentumlab import engine
from momentumlab import executor as workers
from momentumlab.optimizers import OPTIMIZERS, Here, Optimizer
from momentumlab.outcome import Outcome
from momentumlab.parameters import Array
from momentumlab.plan import Plan, make_plan
from momentumlab.report import report_of
from momentumlab.report.figures.maps import map_figures
from momentumlab.report.sweep_table import sweep_tables
from momentumlab.result import Result, Status
from momentumlab.runs import unfinished
from momentumlab.runs.layout import only_one
from momentumlab.search.planes import arrays, best_trials, is_mapped, planes
from momentumlab.surfaces import SURFACES
from tests.conftest import SWEEPS, Command
from tests.test_figures import assert_text_is_clear, text_of

PLANE: dict[str, Any] = {
    "surface": "ravine",
    "optimizer": "momentum",
    "lr": "geomspace(0.01, 0.4, 23)",
    "beta": "linspace(0, 0.98, 19)",
    "iterations": 150,
    "tolerance": 1e-6,
}


def swept(settings: dict[str, Any], block_trials: int = 100, executor: Executor | None = None) -> Result:
    with workers.Workers(1, executor) as pool:
        return pool.run(plan_of(settings), block_trials=block_trials)


def plan_of(settings: dict[str, Any]) -> Plan:
    return make_plan(momentumlab.load(settings))


def assert_same(one: Result, other: Result) -> None:
    assert np.array_equal(one.final_points, other.final_points)
    assert np.array_equal(one.final_losses, other.final_losses)
    assert np.array_equal(one.iterations, other.iterations)
    assert np.array_equal(one.status_codes, other.status_codes)


# Blocks, batches and workers change nothing


@pytest.fixture(scope="module")
def plane() -> Result:
    return swept(PLANE)


def test_a_sweep_equals_the_recorded_run(plane: Result) -> None:
    assert_same(plane, engine.run(plane.plan))
    assert {status.label for status in plane.status} == {"converged", "max_iterations", "diverged"}


def test_a_sweep_is_patient_by_default_and_says_so(command: Command, tmp_path: Path) -> None:
    # At lr 0.1724 one small change of the loss at a turning point ends the trial at 9e-7, after the fewest iterations.
    settings: dict[str, Any] = {"surface": "himmelblau", "optimizer": "adam", "iterations": 300, "tolerance": 1e-10}
    sweep = momentumlab.sweep(settings, lr="geomspace(1e-3, 3, 200)")
    assert sweep.result.experiment.stopping.patience == 5
    best = sweep.best()
    assert best["final_loss"] < 1e-8
    once = momentumlab.sweep(settings, lr="geomspace(1e-3, 3, 200)", patience=1).best()
    assert once["final_loss"] > 5e-7
    assert momentumlab.run(settings).experiment.stopping.patience == 1
    compared = momentumlab.compare({**settings, "lr": [0.1]})
    assert compared.comparison.experiments[0].stopping.patience == 5
    words = "sweep --surface himmelblau --optimizer adam --lr geomspace(1e-3,3,20) --tolerance 1e-3 --no-plots"
    typed = command(*words.split())
    assert "tolerance met 5 times in a row" in " ".join(typed.stdout.split())
    written = next(tmp_path.rglob("experiment.yaml")).read_text()
    assert "\npatience: 5\n" in written


@pytest.mark.parametrize("block_trials", [1, 7, 64, 10_000])
def test_blocks_of_any_size_give_the_same_result(block_trials: int, plane: Result) -> None:
    assert_same(plane, swept(PLANE, block_trials))


@pytest.mark.parametrize("patience", [1, 4])
@pytest.mark.parametrize("lanes", [1, 5, 33])
@pytest.mark.parametrize("idle_share", [0.0, 0.125, 0.9])
def test_free_lanes_can_be_refilled_at_any_time(
    lanes: int, idle_share: float, patience: int, plane: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = plane if patience == 1 else swept({**PLANE, "patience": patience})
    monkeypatch.setattr(engine, "BATCH_BYTES", 16 * lanes)
    monkeypatch.setattr(engine, "IDLE_SHARE", idle_share)
    assert_same(plane, swept({**PLANE, "patience": patience}))


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("newton", "polyak_step")])
def test_every_optimizer_gives_the_same_result_in_refilled_lanes(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = {**PLANE, "optimizer": optimizer, "lr": "geomspace(1e-3, 3, 12)", "start": "random(3)"}
    experiment |= {"beta": None, "iterations": 40, "tolerance": 1e-3}
    expected = engine.run(plan_of(experiment))
    monkeypatch.setattr(engine, "BATCH_BYTES", 16 * 4)
    assert_same(expected, swept(experiment))


def test_time_dependent_hyperparameters_act_at_the_same_iteration_in_refilled_lanes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {
        "surface": "booth",
        "optimizers": [
            {"name": "momentum", "dampening": 0.3},
            {"name": "ogm", "horizon": 9.0},
            {"name": "adagrad", "lr_decay": 0.1},
            {"name": "adan"},
        ],
        "lr": "geomspace(1e-3, 0.3, 9)",
        "iterations": 30,
        "tolerance": 1e-2,
    }
    expected = engine.run(plan_of(settings))
    monkeypatch.setattr(engine, "BATCH_BYTES", 16 * 3)
    assert_same(expected, swept(settings))


class Kept(NamedTuple):
    loss: Array


@dataclass(frozen=True, kw_only=True)
class Keeper(Optimizer[Kept]):
    """Keeps the very array of losses that it is shown, and begins with losses of its own."""

    equation = source = "none"

    def init(self, x: Array) -> Kept:
        return Kept(np.full(x.shape[1], -1.0))

    def step(self, state: Kept, g: Array, here: Here) -> tuple[Array, Kept]:
        return np.where(state.loss < here.loss, 0.5, 1.0) * g, Kept(here.loss)


def test_arrays_kept_in_a_state_are_not_modified(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"name": "keeper", "default_lr": 1e-3}
    monkeypatch.setitem(OPTIMIZERS._classes, "keeper", type("Named", (Keeper,), names))
    experiment = {**PLANE, "optimizer": "keeper", "lr": "geomspace(1e-3, 0.12, 40)", "beta": None}
    expected = engine.run(plan_of(experiment))
    monkeypatch.setattr(engine, "BATCH_BYTES", 16 * 6)
    assert_same(expected, swept(experiment))


class Inline(Executor):
    """The least that an executor can be."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor_gives_the_same_result(plane: Result) -> None:
    assert_same(plane, swept(PLANE, executor=Inline()))
    with ThreadPoolExecutor(3) as threads:
        assert_same(plane, swept(PLANE, executor=threads))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        assert_same(plane, swept(PLANE, executor=processes))
    assert_same(plane, momentumlab.run(PLANE, executor=Inline()))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_random_block_of_a_plane_equals_single_runs(data: st.DataObject) -> None:
    surface = data.draw(st.sampled_from([name for name in SURFACES if SURFACES[name]().default_dimension == 2]))
    optimizer = data.draw(st.sampled_from(["sgd", "momentum", "nesterov", "adam", "rmsprop"]))
    experiment = {**PLANE, "surface": surface, "optimizer": optimizer, "lr": "geomspace(1e-4, 1, 30)", "beta": None}
    experiment |= {"start": "grid(4, 4)", "iterations": 60, "tolerance": 1e-5}
    plan = plan_of(experiment)
    first = data.draw(st.integers(0, plan.trials - 1))
    last = data.draw(st.integers(first + 1, min(first + 40, plan.trials)))
    block = engine.run_trials(plan, first, last)
    for number in data.draw(st.lists(st.integers(first, last - 1), min_size=1, max_size=4)):
        trial = plan.trial(number)
        alone = momentumlab.run(
            {**experiment, "lr": trial.hyperparameters["lr"], "start": list(trial.start)}, record="all"
        )
        assert np.array_equal(alone.final_points[0], block.points[number - first])
        assert alone.iterations[0] == block.iterations[number - first]
        assert alone.status_codes[0] == block.codes[number - first]


def test_a_plan_of_some_trials_gives_the_same_numbers(plane: Result) -> None:
    numbers = [300, 0, 17]
    few = engine.run(plane.plan.only(numbers))
    assert np.array_equal(few.final_points, plane.final_points[numbers])
    assert few.plan.trial(0).hyperparameters == plane.plan.trial(300).hyperparameters


def test_memory_of_a_plan_does_not_grow_with_its_trials() -> None:
    plan = plan_of({**PLANE, "lr": "linspace(0, 1, 9999)", "beta": "linspace(0, 0.99, 9999)"})
    assert plan.trials == 9999**2
    assert plan.trial(9999**2 - 1).hyperparameters["lr"] == 1.0


# Planes


def test_cells_have_the_values_of_their_axes(plane: Result) -> None:
    found = arrays(planes(plane))
    assert found["axes"].tolist() == ["lr", "beta"]
    assert found["final_loss"].shape == (23, 19) == found["status"].shape
    assert found["final_point"].shape == (23, 19, 2)
    for i, j in [(0, 0), (22, 18), (10, 5)]:
        alone = momentumlab.run(PLANE, lr=float(found["lr"][i]), beta=float(found["beta"][j]))
        assert alone.final_losses[0] == found["final_loss"][i, j]
        assert alone.iterations[0] == found["iterations"][i, j]


def test_shared_parameters_surfaces_and_starts_are_axes_too() -> None:
    experiment = {
        "surface": {"name": "ravine", "b": [1.0, 9.0]},
        "optimizers": [{"name": "adam", "amsgrad": [False, True], "beta2": [0.9, 0.99]}, "sgd"],
        "lr": [0.01, 0.02, 0.05],
        "start": "grid(2, 4)",
        "iterations": 5,
    }
    result = swept(experiment)
    adam, sgd = planes(result)
    assert [axis.name for axis in adam.axes] == ["amsgrad", "surface.b", "lr", "beta2", "start x", "start y"]
    assert adam.shape == (2, 2, 3, 2, 2, 4)
    assert [axis.name for axis in sgd.axes] == ["surface.b", "lr", "start x", "start y"]
    for plane_ in (adam, sgd):
        for cell in (0, plane_.cells - 1, plane_.cells // 3):
            trial = result.plan.trial(plane_.first + cell)
            setting = plane_.setting(cell)
            assert setting.get("lr") == trial.hyperparameters["lr"]
            assert (setting["start x"], setting["start y"]) == trial.start
            assert setting["surface.b"] == trial.surface_parameters["b"]
    assert set(arrays(planes(result))) >= {"adam.final_loss", "sgd.final_loss", "adam.amsgrad"}


def test_the_best_cell_converges_in_the_fewest_iterations(plane: Result) -> None:
    (only,) = planes(plane)
    is_near = plane.final_losses <= 1e-4  # 100 tolerances above the minimum; what stops higher has stalled
    converged = np.where((plane.status_codes == Status.CONVERGED.code) & is_near, plane.iterations, 10**9)
    assert plane.iterations[only.best] == converged.min()
    ranked = only.ranking(20)
    assert converged[ranked].tolist() == sorted(converged.tolist())[:20]
    assert best_trials(planes(plane), 5) == ranked[:5].tolist()


def test_without_a_tolerance_the_best_cell_has_the_lowest_loss() -> None:
    (only,) = planes(swept({**PLANE, "tolerance": None}))
    losses = np.where(only.status_codes == Status.DIVERGED.code, np.inf, only.final_losses)[:, 0]
    assert only.final_losses[only.best, 0] == losses.min()


def test_over_several_starts_a_cell_is_judged_by_the_median() -> None:
    (only,) = planes(swept({**PLANE, "start": "random(5)", "tolerance": None}))
    medians = np.median(np.where(only.status_codes == Status.DIVERGED.code, np.inf, only.final_losses), axis=1)
    assert only.best == medians.argmin()
    assert np.array_equal(only.median_losses(), medians)


def test_medians_over_starts_are_those_of_all_trials() -> None:
    (only,) = planes(swept({**PLANE, "start": "random(5)"}))
    for cell in range(0, only.cells, 7):
        codes, iterations = only.status_codes[cell], only.iterations[cell]
        made = sorted(iterations[codes == Status.CONVERGED.code].tolist()) + [np.inf] * 5
        assert only.median_iterations()[cell] == made[2]
        order = sorted(
            codes.tolist(), key=[Status.CONVERGED.code, Status.MAX_ITERATIONS.code, Status.DIVERGED.code].index
        )
        assert only.main_status()[cell] == order[2]


def test_rankings_of_any_length_are_prefixes_of_the_whole_ranking() -> None:
    (only,) = planes(swept({**PLANE, "iterations": 3, "tolerance": 1e-1}))
    keys = list(zip(*only.keys().tolist(), strict=True))
    for count in (1, 5, 50, only.cells):
        assert [keys[cell] for cell in only.ranking(count)] == sorted(keys)[:count]


def test_entries_of_the_same_optimizer_have_separate_arrays() -> None:
    optimizers = [{"name": "momentum", "beta": 0.0}, {"name": "momentum", "beta": 0.9}]
    result = swept({**PLANE, "optimizer": optimizers, "beta": None})
    found = arrays(planes(result))
    assert np.array_equal(found["momentum-1.final_loss"], result.final_losses[:23])
    assert np.array_equal(found["momentum-2.final_loss"], result.final_losses[23:])


def test_the_reach_ends_where_results_are_twice_as_bad(plane: Result) -> None:
    (only,) = planes(plane)
    results = only.keys()[0].reshape(only.shape)
    i, j = np.unravel_index(only.best, only.shape)
    for axis, low, high in only.reach():
        line = results[:, j] if axis.name == "lr" else results[i]
        first, last = axis.values.index(low), axis.values.index(high)
        assert (line[first : last + 1] <= 2 * results.min()).all()
        for beyond in (first - 1, last + 1):
            assert not 0 <= beyond < len(line) or line[beyond] > 2 * results.min()
    (table,) = sweep_tables(report_of(plane))
    assert "converged" in "".join(table.remarks)


@pytest.mark.parametrize(
    ("experiment", "mapped"), [(PLANE, True), ({**PLANE, "lr": 0.1, "beta": 0.5, "start": "random(200)"}, False)]
)
def test_only_what_has_axes_is_mapped(experiment: dict[str, Any], mapped: bool) -> None:
    assert is_mapped(momentumlab.load(experiment)) == mapped
    assert (momentumlab.run(experiment).history is None) == mapped


# The command


SWEEP = ["sweep", "--surface", "ravine", "--optimizer", "momentum", "--lr", "geomspace(0.01,0.4,12)",
         "--beta", "linspace(0,0.98,11)", "--iterations", "150", "--tolerance", "1e-6"]  # fmt: skip


def test_run_and_sweep_give_the_same_table_and_files(command: Command, tmp_path: Path) -> None:
    tables = [command(verb, *SWEEP[1:], "--patience", "5").stdout.splitlines() for verb in ("sweep", "run")]
    assert tables[0][:-1] == tables[1][:-1]
    folders = [tmp_path / table[-1] for table in tables]
    names = {"experiment.yaml", "summary.csv", "result.json", "run.json", "sweep.npz", "map_iterations.png",
             "map_loss.png", "map_status.png"}  # fmt: skip
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == names
        assert np.array_equal(imread(folder / "map_loss.png"), imread(folders[0] / "map_loss.png"))


def test_the_run_folder_repeats_to_the_same_numbers(command: Command, tmp_path: Path) -> None:
    folders = [tmp_path / command(*SWEEP, "--no-plots", "--quiet", "--workers", "2").stdout.strip()]
    folders.append(tmp_path / command("run", folders[0] / "experiment.yaml", "--no-plots", "--quiet").stdout.strip())
    with np.load(folders[0] / "sweep.npz") as one, np.load(folders[1] / "sweep.npz") as other:
        assert sorted(one.files) == sorted(other.files)
        for name in one.files:
            assert np.array_equal(one[name], other[name])


def test_the_best_paths_can_be_kept(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / command(*SWEEP, "--record", "best:3", "--quiet").stdout.strip()
    best = json.loads((folder / "result.json").read_text())["trials"][:3]
    with np.load(folder / "trajectories.npz") as kept:
        assert kept["positions"].shape[0] == 3
        for number, trial in enumerate(best):
            assert kept["positions"][number, kept["iterations"][number]].tolist() == trial["final_point"]
    assert (folder / "trajectory.png").exists()


def test_data_formats_have_the_best_rows_unless_all_are_asked_for(command: Command) -> None:
    arguments = [*SWEEP[:5], "--lr", "geomspace(0.01,0.4,60)", "--beta", "linspace(0,0.9,20)", "--no-plots"]
    best = command(*arguments, "--format", "csv")
    assert "the best 1,000 of 1,200 trials" in best.stderr
    assert len(best.stdout.splitlines()) == 1001
    every = command(*arguments, "--format", "json", "--all-rows")
    assert every.stderr == ""
    assert len(json.loads(every.stdout)["trials"]) == 1200


BAD = {
    "too many": ([*SWEEP[:5], "--lr", "linspace(0,1,20000)", "--beta", "linspace(0,0.9,20000)"], "GiB and up to"),
    "record": ([*SWEEP, "--record", "best"], "--record: 'best' is not all, none, auto or best:N"),
    "record all": ([*SWEEP, "--record", "all"], "--record: a sweep keeps no trajectories or the best"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_gives_one_clear_error(arguments: list[str], message: str, command: Command, tmp_path: Path) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


# Nothing that was finished is lost


class EnoughError(Exception):
    """Raised in the middle of a sweep."""


def interrupted_sweep(out: Path, blocks: int) -> Path:
    """A run folder in which only some blocks of `PLANE` are finished."""
    plan = plan_of(PLANE)
    folder = unfinished.begin_run(plan.experiment, out, datetime.now(), 100)

    def keep(block: Outcome) -> None:
        unfinished.save_block(folder, block)
        if len(list((folder / "blocks").iterdir())) == blocks:
            raise EnoughError

    with pytest.raises(EnoughError):
        workers.Workers(1).run(plan, block_trials=100, on_block=keep)
    return folder


def test_a_resumed_sweep_computes_only_the_missing_blocks(
    command: Command, tmp_path: Path, plane: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = interrupted_sweep(tmp_path, 3)
    partial = unfinished.read_partial(folder)
    computed: list[int] = []

    def noted(plan: Plan, first: int, last: int, history_bytes: int | None = None) -> Outcome:
        computed.append(first)
        return engine.run_trials(plan, first, last, history_bytes)

    monkeypatch.setattr(workers, "run_trials", noted)
    resumed = workers.Workers(1).run(plane.plan, block_trials=partial.block_trials, done=kept_blocks(folder))
    assert computed == [300, 400]
    assert_same(plane, resumed)

    done_ = command("sweep", "--resume", folder, "--no-plots", "--quiet")
    assert (done_.returncode, done_.stdout.strip()) == (0, str(folder))
    assert not (folder / "partial.json").exists()
    assert not (folder / "blocks").exists()
    with np.load(folder / "sweep.npz") as kept:
        assert np.array_equal(kept["final_loss"].ravel(), plane.final_losses)
    again = command("sweep", "--resume", folder)
    assert (again.returncode, again.stderr) == (
        1,
        f"error: {folder} is already complete: 'momentumlab runs show {folder}' prints it\n",
    )


def kept_blocks(folder: Path) -> dict[int, Outcome]:
    partial = unfinished.read_partial(folder)
    assert isinstance(partial.experiment, momentumlab.Experiment)
    return unfinished.read_blocks(folder, partial.experiment, partial.block_trials)


def test_a_damaged_block_is_computed_again(tmp_path: Path) -> None:
    folder = interrupted_sweep(tmp_path, 3)
    (folder / "blocks" / "100.npz").write_bytes(b"PK nonsense")
    (folder / "blocks" / "200.npz").write_bytes((folder / "blocks" / "0.npz").read_bytes()[:500])
    assert list(kept_blocks(folder)) == [0]


def test_another_experiment_is_not_resumed(command: Command, tmp_path: Path) -> None:
    folder = interrupted_sweep(tmp_path, 1)
    done = command("sweep", "--resume", folder, "--iterations", "7")
    assert done.returncode == 2
    assert "its experiment differs from this one in iterations" in done.stderr


def test_a_folder_whose_experiment_was_edited_is_not_resumed(command: Command, tmp_path: Path) -> None:
    folder = interrupted_sweep(tmp_path, 3)
    text = (folder / "experiment.yaml").read_text()
    (folder / "experiment.yaml").write_text(text.replace("iterations: 150", "iterations: 3"))
    done = command("sweep", "--resume", folder, "--no-plots")
    assert done.returncode == 1
    assert "cannot be resumed (experiment.yaml has changed since the run began" in done.stderr


@pytest.mark.parametrize("text", ["{}", "nonsense", '{"block_trials": 0}', "[]"])
def test_a_damaged_note_gives_one_clear_error(text: str, command: Command, tmp_path: Path) -> None:
    folder = interrupted_sweep(tmp_path, 1)
    (folder / "partial.json").write_text(text)
    done = command("sweep", "--resume", folder, "--no-plots")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"error: {folder}: cannot be resumed (partial.json" in done.stderr


def test_invalid_blocks_are_computed_again(tmp_path: Path, plane: Result) -> None:
    folder = interrupted_sweep(tmp_path, 3)
    (folder / "blocks" / "0x.npz").write_bytes(b"")
    for first, change in ((0, {"codes": np.full(100, 99, dtype=np.int8)}), (100, {"losses": np.zeros(1)})):
        with np.load(folder / "blocks" / f"{first}.npz") as kept:
            arrays_ = {**kept, **change}
        np.savez(folder / "blocks" / f"{first}.npz", **arrays_)
    assert list(kept_blocks(folder)) == [200]


def test_only_one_process_works_on_a_folder(command: Command, tmp_path: Path) -> None:
    folder = interrupted_sweep(tmp_path, 1)
    with only_one(folder):
        done = command("sweep", "--resume", folder, "--no-plots")
    assert done.returncode == 1
    assert "another process is at work on it" in done.stderr
    assert command("sweep", "--resume", folder, "--no-plots").returncode == 0


def test_a_worker_that_was_killed_gives_one_clear_error(tmp_path: Path) -> None:
    process, folder = begin_long_sweep(tmp_path)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "a worker process was killed" in errors
    assert f"--resume runs/{folder.name}" in errors


def test_processes_of_the_caller_are_not_stopped() -> None:
    def stop(block: Outcome) -> None:
        raise KeyboardInterrupt

    own = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    own.start()
    with pytest.raises(KeyboardInterrupt), workers.Workers(2) as pool:
        pool.run(plan_of(PLANE), on_block=stop)
    assert own.is_alive()
    own.kill()
    own.join()


def test_the_last_block_may_be_smaller(tmp_path: Path) -> None:
    folder = interrupted_sweep(tmp_path, 5)
    assert list(kept_blocks(folder)) == [0, 100, 200, 300, 400]


LONG = {
    **PLANE,
    "backend": "numpy",
    "lr": "linspace(1e-4, 0.1, 700)",
    "beta": "linspace(0, 0.9, 700)",
    "iterations": 1000,
}


def begin_long_sweep(tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A sweep of several seconds, after its first block."""
    (tmp_path / "long.yaml").write_text(json.dumps({**LONG, "tolerance": None}))
    process = subprocess.Popen(
        [Path(sys.executable).with_name("momentumlab"), "sweep", "long.yaml", "--no-plots", "--workers", "2"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/blocks/[0-9]*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    (folder,) = tmp_path.glob("runs/*")
    return process, folder


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_ctrl_c_keeps_finished_blocks_and_names_the_command_that_resumes(tmp_path: Path) -> None:
    process, folder = begin_long_sweep(tmp_path)
    process.send_signal(signal.SIGINT)
    clock = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - clock < 5  # a second, on a machine that has nothing else to do
    assert errors == f"error: interrupted; finished blocks are kept: momentumlab sweep --resume runs/{folder.name}\n"
    assert kept_blocks(folder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_kill_9_loses_at_most_the_blocks_in_progress(tmp_path: Path) -> None:
    process, folder = begin_long_sweep(tmp_path)
    children = children_of(process.pid)
    process.kill()
    process.communicate()
    partial = unfinished.read_partial(folder)
    block_trials, done = partial.block_trials, kept_blocks(folder)
    assert done
    plan = plan_of({**LONG, "tolerance": None})
    first, block = next(iter(done.items()))
    for number in (first, first + block_trials - 1):
        alone = engine.run(plan.only([number]))
        assert alone.final_losses[0] == block.losses[number - first]
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files")
def test_a_full_disk_gives_one_clear_error_and_the_sweep_can_be_resumed(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    program = str(Path(sys.executable).with_name("momentumlab"))
    arguments = [program, *SWEEP, "--no-plots"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, check=False)
    (folder,) = tmp_path.glob("runs/*")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "file too large" in done.stderr.lower()
    assert f"momentumlab sweep --resume runs/{folder.name}" in done.stderr
    again = subprocess.run(
        [program, "sweep", "--resume", folder, "--no-plots"], cwd=tmp_path, capture_output=True, check=False
    )
    assert again.returncode == 0
    assert (folder / "result.json").exists()


# Figures

PICTURED: dict[str, dict[str, Any]] = {
    "a plane": PLANE,
    "two planes": {**PLANE, "optimizer": ["momentum", "nesterov"]},
    "three axes": {**PLANE, "optimizer": "adam", "beta": None, "beta1": [0.0, 0.9], "beta2": "linspace(0.5,0.99,9)"},
    "many maps": {**PLANE, "start": "grid(4, 4)", "tolerance": 1e-5},
    "a line": {**PLANE, "beta": 0.9},
    "two lines": {**PLANE, "optimizer": ["sgd", "momentum"], "beta": None},
    "words and flags": {**PLANE, "optimizer": "adam", "beta": None, "amsgrad": [False, True]},
    "listed values": {**PLANE, "lr": [0.01, 0.02, 0.3], "beta": [0.0, 0.5, 0.9, 0.99]},
    "nothing converges": {**PLANE, "tolerance": 0.0, "iterations": 3},
    "all diverges": {**PLANE, "lr": "linspace(5, 9, 7)"},
    "no minimum": {**PLANE, "surface": "saddle", "start": [0.5, 0.1], "tolerance": None},
    "basins": {"surface": "himmelblau", "optimizer": ["sgd", "adam"], "lr": 0.01, "start": "grid(20, 30)"},
    "begins at the minimum": {**PLANE, "surface": "booth", "start": [1.0, 3.0]},
    "begins out of bounds": {**PLANE, "start": [1e200, 1e200]},
    "begins at almost nothing": {**PLANE, "start": [1e-170, 1e-170]},
    "a falling axis": {**PLANE, "lr": "geomspace(0.4, 0.01, 12)"},
    "a narrow range": {**PLANE, "lr": "geomspace(0.011, 0.019, 12)"},
    "a wide range": {**PLANE, "lr": "geomspace(1e-30, 1, 61)"},
    "twice the same": {
        **PLANE,
        "optimizer": [{"name": "momentum", "beta": 0.0}, {"name": "momentum", "beta": 0.9}],
        "beta": None,
    },
    "lines over other values": {
        **PLANE,
        "beta": None,
        "lr": None,
        "optimizer": [{"name": "sgd", "lr": "geomspace(0.3, 0.01, 20)"}, {"name": "adam", "lr": [0.3, 0.1, 0.02]}],
    },
    "starts beside a longer axis": {**PLANE, "surface": "himmelblau", "start": "grid(5, 7)"},
    "a line of starts": {"surface": "parabola", "optimizer": "sgd", "lr": 0.1, "start": "grid(50)"},
}


def drawn(settings: dict[str, Any]) -> dict[str, Figure]:
    return {name: draw() for name, draw in map_figures(report_of(swept(settings))).items()}


@pytest.mark.parametrize("experiment", PICTURED.values(), ids=PICTURED)
def test_no_text_of_a_map_overlaps_or_is_cut_off(experiment: dict[str, Any]) -> None:
    figures = drawn(experiment)
    assert figures
    for figure in figures.values():
        assert_text_is_clear(figure)


def test_a_map_shows_the_value_of_each_cell_in_its_place(plane: Result) -> None:
    figure = map_figures(report_of(plane))["map_loss"]()
    panel = figure.axes[0]
    shown = np.ma.filled(panel.get_images()[-1].get_array(), np.nan)  # type: ignore[arg-type]
    expected = plane.final_losses.reshape(23, 19).T  # lr to the right, β upwards
    kept = np.isfinite(shown)
    assert np.array_equal(shown[kept], expected[kept])
    assert np.array_equal(~kept, Status.DIVERGED.code == plane.status_codes.reshape(23, 19).T)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("lr", "β")
    assert panel.get_xlim()[0] < np.log10(0.01) < np.log10(0.4) < panel.get_xlim()[1]


def test_a_decreasing_axis_shows_each_cell_in_its_place() -> None:
    result = swept({**PLANE, "lr": [0.3, 0.2, 0.1], "beta": [0.0, 0.5]})
    panel = map_figures(report_of(result))["map_loss"]().axes[0]
    shown = np.ma.filled(panel.get_images()[-1].get_array(), np.nan)  # type: ignore[arg-type]
    expected = np.where(result.status_codes == Status.DIVERGED.code, np.nan, result.final_losses).reshape(3, 2)
    assert np.array_equal(shown, expected[::-1].T, equal_nan=True)


def test_stalled_cells_are_not_drawn_as_the_best() -> None:
    result = swept({**PLANE, "lr": "geomspace(1e-9, 0.3, 30)", "iterations": 400})
    (only,) = planes(result)
    panel = map_figures(report_of(result))["map_iterations"]().axes[0]
    shown = np.ma.filled(panel.get_images()[-1].get_array(), np.nan)  # type: ignore[arg-type]
    assert np.nanmin(shown) == only.best_result > 10
    assert "of the converged stalled" in "".join(sweep_tables(report_of(result))[0].remarks)


def test_cells_of_several_surfaces_have_their_own_initial_loss() -> None:
    surface = {"name": "ravine", "b": [9000.0, 9.0]}
    (only,) = planes(swept({**PLANE, "surface": surface, "lr": [1e-9, 1e-4], "beta": 0.0}))
    assert only.yardstick_of(slice(None)).start_losses.ravel() == pytest.approx([360.36, 360.36, 0.72, 0.72])
    assert only.stalled() == (only.status_codes == Status.CONVERGED.code).sum()


def test_the_best_cell_is_marked_with_its_values(plane: Result) -> None:
    (only,) = planes(plane)
    figure = map_figures(report_of(plane))["map_iterations"]()
    (star,) = [line for line in figure.axes[0].get_lines() if line.get_marker() == "*"]
    best = only.setting(only.best)
    assert [np.asarray(star.get_xdata())[0], np.asarray(star.get_ydata())[0]] == [
        pytest.approx(np.log10(float(best["lr"]))),  # type: ignore[arg-type]
        best["beta"],
    ]
    assert f"{only.best_result:.0f} iterations" in text_of(figure)


def test_basins_are_coloured_by_the_minimum_that_is_reached() -> None:
    result = swept(PICTURED["basins"])
    figure = map_figures(report_of(result))["basins"]()
    sgd = planes(result)[0]
    image = np.asarray(figure.axes[0].get_images()[-1].get_array())
    minima = [np.array(minimum.point) for minimum in result.experiment.first_surface.minima(2)]
    points = sgd.final_points[:, 0].reshape(20, 30, 2)
    nearest = np.argmin([np.hypot(*np.moveaxis(points - minimum, -1, 0)) for minimum in minima], axis=0)
    colors = {
        number: {tuple(np.argsort(image[j, i, :3])) for i in range(20) for j in range(30) if nearest[i, j] == number}
        for number in range(4)
    }
    assert all(len(orders) <= 2 for orders in colors.values())  # the order of red, green and blue survives the shade
    assert "reach a minimum" in text_of(figure)


@pytest.mark.parametrize("config", SWEEPS, ids=lambda path: path.stem)
def test_shipped_sweeps_run_and_are_clear(config: Path) -> None:
    """Cut short: a few of their iterations."""
    result = momentumlab.run(config, iterations=30)
    assert result.trials > 10_000
    for draw in map_figures(report_of(result)).values():
        assert_text_is_clear(draw())
