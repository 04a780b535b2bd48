"""Workers: blocks are sized by work, and numbers do not depend on the number of workers or the size of blocks."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab import engine, executor
from momentumlab.executor import BLOCKS_PER_WORKER, MOST_SECONDS, Workers, block_size
from momentumlab.outcome import Outcome
from momentumlab.plan import Plan, make_plan
from momentumlab.result import Result
from momentumlab.search import ComparisonResult
from tests.conftest import Command

PLANE: dict[str, Any] = {
    "surface": "ravine",
    "optimizer": "momentum",
    "lr": "geomspace(0.01, 0.4, 23)",
    "beta": "linspace(0, 0.98, 19)",
    "iterations": 150,
    "tolerance": 1e-6,
}
SEARCH: dict[str, Any] = {
    "surface": ["ravine", "booth"],
    "optimizers": ["sgd", "momentum", "adam"],
    "beta": "tuned",
    "budget": 150,
    "iterations": 40,
    "start": "random(3)",
}


def plan_of(**settings: Any) -> Plan:
    return make_plan(momentumlab.load(settings))


def content(result: Result) -> list[bytes]:
    history = result.history
    arrays = [result.final_points, result.final_losses, result.iterations, result.status_codes]
    arrays += [] if history is None else [history.positions, history.velocities, history.losses]
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def searched(result: ComparisonResult) -> list[Any]:
    cells = [one for match in result.matches for one in match.searched]
    return [result.summary(), [content(each) for each in result.results], [one.final_losses.tobytes() for one in cells]]


class Recorder(Executor):
    """Run tasks immediately and count them."""

    _max_workers = 3

    def __init__(self) -> None:
        self.tasks = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += 1
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


# The same numbers


@pytest.mark.parametrize("record", ["all", "none"])
@pytest.mark.parametrize("noise", [{}, {"noise": "gaussian(0.1)", "replicates": 2}])
def test_a_run_gives_the_same_numbers_on_workers(record: str, noise: dict[str, Any]) -> None:
    expected = content(momentumlab.run(PLANE, **noise, record=record, workers=1))
    assert content(momentumlab.run(PLANE, **noise, record=record, workers=2)) == expected
    with ThreadPoolExecutor(3) as threads:
        assert content(momentumlab.run(PLANE, **noise, record=record, executor=threads)) == expected


@pytest.mark.parametrize("block_trials", [1, 7, 100, 10_000])
@pytest.mark.parametrize("history_bytes", [None, engine.HISTORY_BYTES, 100_000])
def test_blocks_of_any_size_give_the_same_numbers(block_trials: int, history_bytes: int | None) -> None:
    plan = plan_of(**{**PLANE, "lr": "geomspace(0.01, 0.4, 7)"})
    whole = engine.run_trials(plan, 0, plan.trials, history_bytes).result(plan)
    blocks = Workers(1).run(plan, block_trials=block_trials, history_bytes=history_bytes)
    assert content(blocks) == content(whole)
    assert blocks.notes == whole.notes


@pytest.mark.parametrize("search", [momentumlab.compare, momentumlab.tune])
def test_a_search_gives_the_same_numbers_on_workers(search: Any) -> None:
    expected = searched(search(SEARCH, workers=1))
    assert searched(search(SEARCH, workers=2)) == expected
    own = Recorder()
    assert searched(search(SEARCH, executor=own)) == expected
    assert own.tasks > BLOCKS_PER_WORKER


# The size of blocks

MLP: dict[str, Any] = {"surface": "mlp", "optimizer": "momentum", "lr": "geomspace(1e-3, 1, 1200)", "iterations": 1000}


@pytest.mark.parametrize("workers", [2, 8, 64])
def test_few_expensive_trials_occupy_all_workers(workers: int) -> None:
    plan = plan_of(**MLP)
    size = block_size(plan, workers)
    assert len(list(executor.blocks(plan, size))) >= BLOCKS_PER_WORKER * workers
    assert size * plan.stopping.iterations * plan.seconds_per_update <= MOST_SECONDS


def test_cheap_trials_make_few_blocks() -> None:
    plan = plan_of(**{**PLANE, "lr": "geomspace(0.01, 0.4, 30)"})
    assert block_size(plan, 1) >= plan.trials
    large = plan_of(**{**PLANE, "lr": "geomspace(0.01, 0.4, 1000)", "beta": "linspace(0, 0.98, 1000)"})
    assert executor.SMALLEST_BLOCK <= block_size(large, 2) <= executor.LARGEST_BLOCK


@pytest.mark.parametrize("settings", [PLANE, MLP, {**PLANE, "iterations": 10**6}])
def test_every_size_is_a_valid_number_of_trials(settings: dict[str, Any]) -> None:
    for workers in (1, 2, 1000):
        assert 1 <= block_size(plan_of(**settings), workers) <= executor.LARGEST_BLOCK


def test_the_estimate_counts_the_data_of_the_surface() -> None:
    plan = plan_of(**{**MLP, "lr": "geomspace(1e-3, 1, 12)", "iterations": 40})
    clock = time.process_time()
    engine.run(plan, history=False)
    taken = time.process_time() - clock
    assert taken / 8 < plan.most_seconds < taken * 8


def test_a_given_executor_gets_four_tasks_per_worker() -> None:
    own = Recorder()
    momentumlab.sweep(PLANE, executor=own)
    assert own.tasks >= BLOCKS_PER_WORKER * own._max_workers


# Unfinished searches


class EnoughError(Exception):
    """Raised in the middle of a search."""


@pytest.mark.parametrize(("name", "kept"), [("compare", 1), ("tune", 3)])
def test_an_interrupted_search_runs_only_its_missing_blocks(
    name: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = getattr(momentumlab, name)
    expected = searched(search(SEARCH))
    ranges: list[tuple[int, int]] = []

    def interrupted(plan: Plan, first: int, last: int, history_bytes: int | None = None) -> Outcome:
        if len(ranges) == kept:
            raise KeyboardInterrupt
        ranges.append((first, last))
        return engine.run_trials(plan, first, last, history_bytes)

    monkeypatch.setattr(executor, "run_trials", interrupted)
    with pytest.raises(momentumlab.MomentumLabError, match=rf"momentumlab\.{name}\(resume='\S+'\)") as caught:
        search(SEARCH, out=tmp_path, plots=False)
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]
    assert str(folder) in str(caught.value)
    assert len(list((folder / "blocks").iterdir())) == kept

    rest: list[tuple[int, int]] = []

    def noted(plan: Plan, first: int, last: int, history_bytes: int | None = None) -> Outcome:
        rest.append((first, last))
        return engine.run_trials(plan, first, last, history_bytes)

    monkeypatch.setattr(executor, "run_trials", noted)
    resumed = search(resume=folder, plots=False)
    assert searched(resumed) == expected
    runs_after_interruption = len(rest)
    rest.clear()
    search(SEARCH)
    assert len(rest) == runs_after_interruption + kept
    assert not (folder / "blocks").exists()
    with pytest.raises(momentumlab.MomentumLabError, match="is already complete: 'momentumlab runs show"):
        search(resume=folder)


def test_a_sweep_is_not_resumed_as_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(executor, "run_trials", stop)
    with pytest.raises(momentumlab.MomentumLabError, match=r"momentumlab\.sweep\(resume="):
        momentumlab.sweep(PLANE, out=tmp_path)
    (folder,) = [path for path in tmp_path.iterdir() if not path.is_symlink()]
    with pytest.raises(momentumlab.ConfigError, match="is a sweep"):
        momentumlab.compare(resume=folder)
    with pytest.raises(momentumlab.ConfigError, match="has its own settings"):
        momentumlab.sweep(resume=folder, iterations=3)


# Stopped workers


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_stopped_worker_is_reported(tmp_path: Path) -> None:
    axes = {"lr": "linspace(1e-4, 0.1, 700)", "beta": "linspace(0, 0.9, 700)", "iterations": 1000, "tolerance": None}
    (tmp_path / "long.yaml").write_text(json.dumps({**PLANE, **axes, "backend": "numpy"}))
    program = (
        "from momentumlab import executor; executor.CHECK_SECONDS = 0.3\n"
        "from momentumlab.cli import main; import sys\n"
        "sys.argv = ['momentumlab', 'sweep', 'long.yaml', '--no-plots', '--workers', '2']\nmain()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/blocks/[0-9]*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGSTOP)
    line = process.stderr.readline()
    assert "warning: worker process" in line
    assert "is stopped (SIGSTOP)" in line
    for child in children:
        os.kill(int(child), signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_workers_of_an_optimizer_from_a_plugin_end_with_its_error(command: Command, tmp_path: Path) -> None:
    """The pool ends when a block fails; nothing waits for the other blocks."""
    (tmp_path / "bad.py").write_text(
        "from dataclasses import dataclass\nfrom momentumlab.optimizers import Optimizer, optimizer\n"
        "@optimizer('bad', lr=0.1)\n@dataclass(frozen=True, kw_only=True)\nclass Bad(Optimizer):\n"
        '    """Fails."""\n    equation, source = "none", "none"\n'
        "    def init(self, x):\n        return ()\n    def step(self, state, g, here):\n        1 / 0\n"
    )
    words = "sweep --plugin bad.py --surface ravine --optimizer bad --lr linspace(0.01,0.1,200000) --workers 2"
    done = command(*words.split())
    assert done.returncode == 1
    assert done.stderr.startswith("error: bad.py:11 in Bad.step: ZeroDivisionError")


def begin_long_search(folder: Path, command: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a search of several seconds and return it after its first block, with its run folder."""
    words = "--surface mlp --optimizer momentum,adam --iterations 300 --budget 60 --workers 2 --no-plots"
    process = subprocess.Popen(
        [Path(sys.executable).with_name("momentumlab"), command, *words.split()],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(folder.glob("runs/*/blocks/[0-9]*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return process, next(folder.glob("runs/*"))


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_in_a_comparison_keeps_its_finished_blocks(command: Command, tmp_path: Path) -> None:
    process, folder = begin_long_search(tmp_path, "compare")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.endswith(f"finished blocks are kept: momentumlab compare --resume runs/{folder.name}\n")
    wrong = command("sweep", "--resume", f"runs/{folder.name}")
    assert (wrong.returncode, "'momentumlab compare --resume'" in wrong.stderr) == (2, True)
    changed = command("compare", "--resume", f"runs/{folder.name}", "--iterations", "7")
    assert (changed.returncode, "differs from this one in iterations" in changed.stderr) == (2, True)
    done = command("compare", "--resume", f"runs/{folder.name}", "--no-plots", "--quiet")
    assert (done.returncode, done.stdout.strip()) == (0, f"runs/{folder.name}")


def lose_the_end_of_a_result(*arguments: object) -> None:
    """Take the place of a block: write the beginning of a message to the parent, and die."""
    results = sys._getframe(1).f_locals["result_queue"]
    os.write(results._writer.fileno(), b"\0\0\1\0 the beginning")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks workers")
def test_a_worker_that_is_killed_while_it_sends_a_result_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_run_block", lose_the_end_of_a_result)
    monkeypatch.setattr(executor, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(executor, "start_method", lambda: "fork")
    with pytest.raises(BrokenExecutor), Workers(2) as pool:
        pool.run(plan_of(**PLANE), block_trials=2)
