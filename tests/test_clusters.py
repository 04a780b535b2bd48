"""Executors of clusters by name. Tests with dask start its scheduler and workers; without dask they are skipped."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from momentumlab import clusters
from momentumlab.errors import ConfigError
from momentumlab.plugins import Plugins, load_plugin, unload_plugin
from tests.conftest import Command

SWEEP = [
    "sweep",
    "--surface",
    "ravine",
    "--optimizer",
    "momentum",
    "--lr",
    "linspace(0.01,0.1,40)",
    "--beta",
    "linspace(0,0.9,40)",
    "--iterations",
    "100",
    "--no-plots",
    "--backend",
    "numpy",
]


def stored(folder: Path) -> dict[str, bytes]:
    """The numbers of a sweep."""
    with np.load(folder / "sweep.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}


def latest(tmp_path: Path) -> Path:
    return max(tmp_path.rglob("sweep.npz"), key=lambda path: path.stat().st_mtime_ns).parent


class Dask:
    """A scheduler and two workers of the real command line."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.folder = folder
        self.scheduler = self.start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self.file)
        self.wait(lambda: self.file.exists() and self.file.stat().st_size > 0)
        options = ("--scheduler-file", self.file, "--nthreads", "1", "--no-dashboard", "--no-nanny")
        self.workers = [self.start("worker", *options) for _ in range(2)]
        from distributed import Client

        with Client(scheduler_file=str(self.file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)

    def start(self, role: str, *arguments: object) -> subprocess.Popen[bytes]:
        program = f"from distributed.cli.dask_{role} import main; main()"
        # The folder is that of the tests: workers import the same momentumlab.
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self, condition: Any) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    pytest.importorskip("distributed")
    cluster = Dask(tmp_path_factory.mktemp("dask"))
    yield cluster
    cluster.stop()


def test_the_numbers_are_the_same_on_dask(dask: Dask, command: Command, tmp_path: Path) -> None:
    assert command(*SWEEP).returncode == 0
    here = stored(latest(tmp_path))
    done = command(*SWEEP, "--executor", f"dask:{dask.file}")
    assert done.returncode == 0, done.stderr
    assert stored(latest(tmp_path)) == here


@pytest.mark.long
def test_another_worker_takes_over_when_one_is_killed(dask: Dask, command: Command, tmp_path: Path) -> None:
    import threading

    assert command(*SWEEP).returncode == 0
    here = stored(latest(tmp_path))
    threading.Timer(0.5, lambda: dask.workers[0].send_signal(signal.SIGKILL)).start()
    done = command(*SWEEP, "--executor", f"dask:{dask.file}")
    assert done.returncode == 0, done.stderr
    assert stored(latest(tmp_path)) == here


def test_workers_with_other_versions_are_refused(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "__version__", "9.9")
    with pytest.raises(ConfigError, match=r"its workers have momentumlab .* \(here 9\.9\)"):  # noqa: SIM117
        with clusters.opened(f"dask:{dask.file}", may_import=False):
            pass


def test_the_numbers_are_the_same_on_mpi(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    assert command(*SWEEP).returncode == 0
    here = stored(latest(tmp_path))
    words = [
        mpiexec,
        "-n",
        "3",
        sys.executable,
        "-m",
        "mpi4py.futures",
        "-m",
        "momentumlab",
        *SWEEP,
        "--executor",
        "mpi",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert stored(latest(tmp_path)) == here


# Without dask


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with factories of executors."""
    (tmp_path / "my_cluster.py").write_text(
        textwrap.dedent("""
        from concurrent.futures import ThreadPoolExecutor

        def threads():
            return ThreadPoolExecutor(2)

        def broken():
            class Broken(ThreadPoolExecutor):
                def submit(self, function, *arguments):
                    if function.__name__ == "versions":
                        return super().submit(function)
                    return super().submit(lambda: 1 / 0)
            return Broken(1)

        def nothing():
            return None
        """)
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return "my_cluster"


def test_an_executor_of_a_module_needs_consent(factory: str, command: Command, tmp_path: Path) -> None:
    refused = command(*SWEEP, "--executor", f"{factory}:threads")
    assert refused.returncode == 2
    assert "--allow-import" in refused.stderr
    assert command(*SWEEP).returncode == 0
    here = stored(latest(tmp_path))
    allowed = command("--allow-import", *SWEEP, "--executor", f"{factory}:threads")
    assert allowed.returncode == 0, allowed.stderr
    assert stored(latest(tmp_path)) == here


def test_a_lost_block_ends_the_command_with_the_way_to_resume(factory: str, command: Command) -> None:
    done = command("--allow-import", *SWEEP, "--executor", f"{factory}:broken")
    assert done.returncode == 1
    assert "the executor lost a block (ZeroDivisionError: division by zero)" in done.stderr
    assert "--resume" in done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("slurm", "is not one of dask:tcp"),
        ("dask:localhost", "write dask:tcp://HOST:PORT"),
        ("dask:missing.json", "no such file"),
        ("mpi:4", "mpi"),
    ],
)
def test_an_invalid_name_is_refused_with_the_valid_ones(name: str, reason: str) -> None:
    if name.startswith("dask"):
        pytest.importorskip("distributed")
    with pytest.raises(ConfigError, match=reason), clusters.opened(name, may_import=False):
        pass


def test_plugins_reach_machines_that_do_not_have_their_files(tmp_path: Path) -> None:
    path = tmp_path / "there.py"
    path.write_text(
        textwrap.dedent("""
        from dataclasses import dataclass
        from momentumlab.optimizers import Optimizer, Stateless, optimizer

        @optimizer("plugin_without_file", lr=0.1)
        @dataclass(frozen=True, kw_only=True)
        class Descent(Optimizer[Stateless]):
            equation = "v ← g"
            source = "a test"

            def init(self, x):
                return Stateless()

            def step(self, state, g, here):
                return g, state
        """)
    )
    load_plugin(path)
    try:
        sent = pickle.dumps(Plugins())
    finally:
        unload_plugin(path)
    path.unlink()
    program = f"import pickle; pickle.loads({sent!r}).require(); import momentumlab; \
        print(momentumlab.run(surface='ravine', optimizer='plugin_without_file', lr=0.1).final_losses[0])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout) < 1
