"""A whole lr × β plane: `momentumlab sweep` against what one would otherwise write, in turn.

Usage: python benchmarks/atlas.py [--side 1000] [--repeats 3] [--problems momentum-ravine,…] [--scaling]

Two figures for each: the throughput of the computation alone (updates per second, compiled before the clock starts
where something is compiled), and the wall time of the whole process, its imports and its compilation included. A peer
that is not installed is skipped, and that is said; ``pip install -e ".[bench]"`` installs them all.
"""

import argparse
import json
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

ENGINE = """
import json, resource, sys, time
import numpy as np
import momentumlab
from momentumlab.plan import make_plan
from momentumlab.executor import Workers
plan = make_plan(momentumlab.load(json.loads(sys.argv[1])), max_trials=10**9)
workers = int(sys.argv[2])
few = make_plan(momentumlab.load({"surface": "ravine", "optimizer": "sgd", "lr": "linspace(0.01, 0.1, 8)"}))
with Workers(workers) as pool:
    pool.run(few, block_trials=1)  # starts the processes
    clock = time.perf_counter()
    result = pool.run(plan)
    seconds = time.perf_counter() - clock
print(json.dumps({"seconds": seconds, "updates": int(result.iterations.sum(dtype=np.int64)), "share": 1.0,
                  "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def measured(command: list[str]) -> tuple[dict[str, Any], float] | None:
    """What a command prints, and its wall time; ``None`` if it cannot run here."""
    clock = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    wall = time.perf_counter() - clock
    if done.returncode == 3:
        return None
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return (json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith("{") else {}), wall


def compare(problem: Problem, side: int, repeats: int) -> None:
    from atlas_peers import PEERS

    settings = json.dumps(problem.settings(side))
    momentumlab = str(Path(sys.executable).with_name("momentumlab"))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "plane.yaml"
        config.write_text(settings)
        sweep = [momentumlab, "sweep", str(config), "--out", folder, "--quiet", "--max-trials", "1000000000"]
        commands = {
            "engine, 1 worker": [sys.executable, "-c", ENGINE, settings, "1"],
            "engine, 2 workers": [sys.executable, "-c", ENGINE, settings, "2"],
            "momentumlab sweep --no-plots": [*sweep, "--no-plots"],
            "momentumlab sweep, 3 maps": sweep,
            **{peer: [sys.executable, "atlas_peers.py", peer, problem.name, str(side)] for peer in PEERS},
        }
        speeds: dict[str, list[float]] = {name: [] for name in commands}
        walls: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                outcome = measured(command)
                if outcome is None:
                    continue
                printed, wall = outcome
                walls[name].append(wall)
                if printed:
                    speeds[name].append(printed["updates"] / printed["seconds"])
    print(f"\n{problem.name}, {side} × {side}")
    for name in commands:
        if not walls[name]:
            print(f"  {name:30} not installed, skipped")
            continue
        speed = f"{statistics.median(speeds[name]) / 1e6:8.3f} M updates/s" if speeds[name] else " " * 22
        sampled = " (a sample)" if name in PEERS and PEERS[name][1] > 1 else ""
        print(f"  {name:30} {speed}   {statistics.median(walls[name]):6.2f} s{sampled}")


def scaling(problem: Problem) -> None:
    """Throughput and peak memory of planes of 10⁴ to 10⁷ trials."""
    print("\nscaling, one process and two")
    for side in (100, 316, 1000, 3162):
        for workers in ("1", "2"):
            outcome = measured([sys.executable, "-c", ENGINE, json.dumps(problem.settings(side)), workers])
            assert outcome is not None
            printed, _ = outcome
            per_trial = (printed["memory"] - 200e6) / side**2
            print(
                f"  {side**2:>10,} trials, {workers} workers: {printed['updates'] / printed['seconds'] / 1e6:6.1f} M "
                f"updates/s, {printed['memory'] / 1e6:6.0f} MB ({per_trial:.0f} bytes a trial above 200 MB)"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--scaling", action="store_true")
    arguments = parser.parse_args()
    for name in filter(None, arguments.problems.split(",")):
        compare(PROBLEMS[name], arguments.side, arguments.repeats)
    if arguments.scaling:
        scaling(PROBLEMS["momentum-ravine"])


if __name__ == "__main__":
    main()
