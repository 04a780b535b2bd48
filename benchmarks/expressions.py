"""Compare surfaces of expressions with the same built-in surfaces.

Usage: python benchmarks/expressions.py

Microseconds for a gradient and a value, the two calls of an iteration, on few lanes and on many: medians of several
rounds in turn. Then whole processes without figures.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from momentumlab.surfaces import SURFACES, Surface

EQUIVALENTS = {
    "ravine": "x**2/16 + 9*y**2",
    "rosenbrock": "(1 - x)**2 + 100*(y - x**2)**2",
    "himmelblau": "(x**2 + y - 11)**2 + (x + y**2 - 7)**2",
    "beale": "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2",
}
LANES = (3, 1000, 100_000)
ROUNDS = 15
PROCESSES = 9


def work(surface: Surface, x: np.ndarray) -> Callable[[], None]:
    def both() -> None:
        surface.gradient(x)
        surface.value(x)

    return both


def microseconds(call: Callable[[], None], repeats: int) -> float:
    clock = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - clock) / repeats * 1e6


def seconds(surface: str, folder: str) -> float:
    program = Path(sys.executable).with_name("momentumlab")
    rest = ["--optimizer", "momentum", "--lr", "0.1", "--start=-2.4,0.2", "--no-plots", "--quiet", "--out", folder]
    clock = time.perf_counter()
    subprocess.run([program, "run", "--surface", surface, *rest], check=True, capture_output=True)
    return time.perf_counter() - clock


def main() -> None:
    print(f"{'surface':>12} {'lanes':>8} {'built-in':>10} {'expression':>11} {'ratio':>6}   µs per iteration")
    for name, text in EQUIVALENTS.items():
        for lanes in LANES:
            x = np.random.default_rng(0).uniform(-2, 2, size=(2, lanes))
            works = [work(SURFACES[each](), x) for each in (name, text)]
            repeats = max(5, 300_000 // (lanes + 100))
            times: list[list[float]] = [[], []]
            for _ in range(ROUNDS):
                for own, one in zip(times, works, strict=True):
                    own.append(microseconds(one, repeats))
            theirs, ours = map(statistics.median, times)
            ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
            print(f"{name:>12} {lanes:>8} {theirs:10.1f} {ours:11.1f} {ratio:6.2f}")
    with tempfile.TemporaryDirectory() as folder:
        runs = [[seconds(surface, folder) for surface in ("ravine", EQUIVALENTS["ravine"])] for _ in range(PROCESSES)]
    theirs, ours = (statistics.median(run[i] for run in runs) for i in range(2))
    print(f"run --no-plots: ravine {theirs:.2f} s, expression {ours:.2f} s")


if __name__ == "__main__":
    main()
