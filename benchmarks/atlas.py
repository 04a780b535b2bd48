"""A whole lr × β plane: momentumlab against programs that are written for this plane only.

Usage: python benchmarks/atlas.py [--side 1000] [--repeats 3] [--problems momentum-ravine,…] [--scaling] [--optimizers]

Two figures for each: the throughput of the computation (updates per second, compiled before the clock starts), and the
wall time of the whole process with imports and compilation. Programs take turns; the figures are medians. A program
whose library is not installed is skipped; ``pip install -e ".[bench]"`` installs them all.

``--cpu-time`` compares the computation by the CPU time of one thread, which other processes disturb less. ``--scaling``
varies the number of trials, ``--optimizers`` runs every optimizer on two surfaces.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ITERATIONS = 1000
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Problem:
    name: str
    surface: str
    optimizer: str
    start: tuple[float, float]
    highest_lr: float
    value: Callable[[Any, Any], Any]
    gradient: Callable[[Any, Any], tuple[Any, Any]]

    @property
    def adam(self) -> bool:
        return self.optimizer == "adam"

    def lrs(self, side: int) -> np.ndarray:
        return np.linspace(1e-4, self.highest_lr, side)

    def betas(self, side: int) -> np.ndarray:
        return np.linspace(0, 0.999, side)

    def settings(self, side: int) -> dict[str, Any]:
        beta = "beta1" if self.adam else "beta"
        return {
            "surface": self.surface,
            "optimizer": self.optimizer,
            "lr": f"linspace(1e-4, {self.highest_lr}, {side})",
            beta: f"linspace(0, 0.999, {side})",
            "start": list(self.start),
            "iterations": ITERATIONS,
            "tolerance": TOLERANCE,
            "patience": 1,
        }


def ravine(x: Any, y: Any) -> Any:
    return x * x / 16 + 9 * (y * y)


def ravine_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return x / 8, 18 * y


def rosenbrock(x: Any, y: Any) -> Any:
    across = y - x * x
    return 100 * (across * across) + (1 - x) * (1 - x)


def rosenbrock_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    across = 200 * (y - x * x)
    return -2 * (across * x) - 2 * (1 - x), across


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("momentum-ravine", "ravine", "momentum", (-2.4, 0.2), 0.25, ravine, ravine_gradient),
        Problem("momentum-rosenbrock", "rosenbrock", "momentum", (-1.2, 1.0), 0.005, rosenbrock, rosenbrock_gradient),
        Problem("adam-ravine", "ravine", "adam", (-2.4, 0.2), 1.0, ravine, ravine_gradient),
        Problem("adam-rosenbrock", "rosenbrock", "adam", (-1.2, 1.0), 1.0, rosenbrock, rosenbrock_gradient),
    )
}

COLD = "sweep --no-plots, numba, no cache"

ENGINE = """
import json, os, resource, sys, time
import numpy as np
import momentumlab
from momentumlab.plan import make_plan
from momentumlab.executor import Workers
experiment = momentumlab.load(json.loads(sys.argv[1]), backend=sys.argv[2])
plan = make_plan(experiment, max_trials=10**9)
few = plan.only(range(0, plan.trials, plan.trials // 8))
with Workers(int(sys.argv[3])) as pool:
    if sys.argv[2] == "numpy":
        pool.run(few, block_trials=1)  # starts the worker processes
    else:
        from momentumlab.kernels.dispatch import kernels_for
        kernels_for(plan)  # compiles
    clock, cpu = time.perf_counter(), time.process_time()
    result = pool.run(plan)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
print(json.dumps({"seconds": seconds, "cpu": cpu, "updates": int(result.iterations.sum(dtype=np.int64)),
                  "notes": result.notes, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def measured(command: list[str], cache: str) -> tuple[dict[str, Any], float] | None:
    """Return what a command prints, and its wall time; ``None`` if it cannot run here."""
    clock = time.perf_counter()
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False, env=environment)
    wall = time.perf_counter() - clock
    if done.returncode == 3:
        return None
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return (json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith("{") else {}), wall


def engine(settings: dict[str, Any], backend: str, workers: int) -> list[str]:
    return [sys.executable, "-c", ENGINE, json.dumps(settings), backend, str(workers)]


def compare(problem: Problem, side: int, repeats: int, wanted: list[str]) -> None:
    from atlas_peers import PEERS

    settings = problem.settings(side)
    momentumlab = str(Path(sys.executable).with_name("momentumlab"))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "plane.yaml"
        config.write_text(json.dumps(settings))
        sweep = [momentumlab, "sweep", str(config), "--out", folder, "--quiet", "--max-trials", "1000000000"]
        commands = {
            **{
                f"engine, {backend}, {workers} {'worker' if workers == 1 else 'workers'}": engine(
                    settings, backend, workers
                )
                for backend in ("numpy", "numba")
                for workers in (1, 2)
            },
            "sweep --no-plots, numpy": [*sweep, "--no-plots", "--backend", "numpy"],
            "sweep --no-plots, numba": [*sweep, "--no-plots", "--backend", "numba"],
            COLD: [*sweep, "--no-plots", "--backend", "numba"],
            "sweep, 3 maps, auto": sweep,
            **{peer: [sys.executable, "atlas_peers.py", peer, problem.name, str(side)] for peer in PEERS},
        }
        commands = {name: each for name, each in commands.items() if not wanted or any(map(name.startswith, wanted))}
        speeds: dict[str, list[float]] = {name: [] for name in commands}
        walls: dict[str, list[float]] = {name: [] for name in commands}
        for repeat in range(repeats):
            for name, command in commands.items():
                outcome = measured(command, f"{folder}/{repeat if name == COLD else 'cache'}")
                if outcome is None:
                    continue
                printed, wall = outcome
                walls[name].append(wall)
                if printed:
                    speeds[name].append(printed["updates"] / printed["seconds"])
    print(f"\n{problem.name}, {side} × {side}, relative to numba's prange")
    peer = "numba prange"
    for name in commands:
        if not walls[name]:
            print(f"  {name:32} not installed, skipped")
            continue
        wall = statistics.median(walls[name])
        text = f"{wall:6.2f} s {wall / statistics.median(walls[peer]):5.2f}"
        if speeds[name]:
            speed = statistics.median(speeds[name])
            text += f"   {speed / 1e6:8.3f} M updates/s {speed / statistics.median(speeds[peer]):6.2f}"
        print(f"  {name:32} {text}{' (a sample)' if name in PEERS and PEERS[name][1] > 1 else ''}", flush=True)


def compare_cpu_times(problem: Problem, side: int, repeats: int) -> None:
    """Print the speed of the numba program, a compiled kernel and the NumPy engine on one thread of this process."""
    os.environ["NUMBA_NUM_THREADS"] = "1"  # read when numba is imported
    from atlas_peers import PEERS

    import momentumlab
    from momentumlab import engine
    from momentumlab.kernels.dispatch import kernels_for
    from momentumlab.plan import make_plan

    plan = make_plan(momentumlab.load(problem.settings(side), backend="numba"))
    kernels, peer = kernels_for(plan), PEERS["numba prange"][0]()
    assert kernels is not None
    lrs, betas = (mesh.ravel() for mesh in np.meshgrid(problem.lrs(side), problem.betas(side)))
    peer(problem, lrs[:64], betas[:64])  # compiles
    works: dict[str, Callable[[], np.ndarray]] = {
        "numba": lambda: peer(problem, lrs, betas),
        "kernel": lambda: next(kernels.run_blocks([(0, plan.trials)], 1)).iterations,
        "NumPy": lambda: engine.run_trials(plan, 0, plan.trials).iterations,
    }
    speeds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            clock = time.process_time()
            made = work().sum(dtype=np.int64)
            speeds[name].append(float(made) / (time.process_time() - clock) / 1e6)
    numba, kernel, numpy = (statistics.median(each) for each in speeds.values())
    print(
        f"{problem.name:20} M updates/s of one thread: numba {numba:.0f}, "
        f"kernel {kernel:.0f} = {kernel / numba:.1f} ×, NumPy {numpy:.0f} = {numpy / numba:.2f} ×",
        flush=True,
    )


def scaling(problem: Problem, sides: list[int]) -> None:
    """Print throughput by the CPU time of all threads, and peak memory, by the number of trials."""
    print("\nscaling, compiled kernels, 2 threads")
    with tempfile.TemporaryDirectory() as cache:
        for side in sides:
            outcome = measured(engine(problem.settings(side), "numba", 2), cache)
            assert outcome is not None
            printed, _ = outcome
            per_trial = (printed["memory"] - 200e6) / side**2
            print(
                f"  {side**2:>11,} trials: {printed['updates'] / printed['cpu'] / 1e6:6.1f} M updates/s of CPU time, "
                f"{printed['memory'] / 1e6:6.0f} MB ({per_trial:.0f} bytes a trial above 200 MB)",
                flush=True,
            )


def all_optimizers(side: int) -> None:
    """Print the speed of every optimizer on two surfaces by CPU time, with kernels and with NumPy in one process."""
    import momentumlab
    from momentumlab.executor import Workers
    from momentumlab.optimizers import OPTIMIZERS
    from momentumlab.plan import make_plan

    surfaces = ("ravine", "rosenbrock")
    print("\nM updates/s of one thread: compiled kernel, NumPy, ratio")
    for optimizer in OPTIMIZERS:
        parts = []
        for surface in surfaces:
            lr = f"geomspace(1e-5, 1e-3, {side * side})"
            settings = {"surface": surface, "optimizer": optimizer, "lr": lr, "iterations": 300}
            speeds = {}
            for backend in ("numba", "numpy"):
                plan = make_plan(momentumlab.load(settings, backend=backend))
                with Workers(1) as pool:
                    pool.run(plan)
                    clock = time.process_time()
                    result = pool.run(plan)
                    speeds[backend] = int(result.iterations.sum(dtype=np.int64)) / (time.process_time() - clock) / 1e6
                if backend == "numba":
                    is_compiled = any("compiled" in note for note in result.notes)
            ratio = f"{speeds['numba'] / speeds['numpy']:5.1f}" if is_compiled else "    –"
            parts.append(f"{speeds['numba'] if is_compiled else 0:7.0f} {speeds['numpy']:6.0f} {ratio}")
        print(f"  {optimizer:20} {'   |   '.join(parts)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--only", default="", help="beginnings of the names of programs, separated by commas")
    parser.add_argument("--cpu-time", action="store_true", help="compare one thread of one process only")
    parser.add_argument("--scaling", default="", help="sides of the planes, such as 316,1000,3162")
    parser.add_argument("--optimizers", action="store_true")
    arguments = parser.parse_args()
    for name in filter(None, arguments.problems.split(",")):
        if arguments.cpu_time:
            compare_cpu_times(PROBLEMS[name], arguments.side, arguments.repeats)
        else:
            compare(PROBLEMS[name], arguments.side, arguments.repeats, list(filter(None, arguments.only.split(","))))
    if arguments.scaling:
        scaling(PROBLEMS["momentum-ravine"], [int(side) for side in arguments.scaling.split(",")])
    if arguments.optimizers:
        all_optimizers(arguments.side)


if __name__ == "__main__":
    main()
