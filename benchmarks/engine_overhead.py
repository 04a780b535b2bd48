"""The cost of an iteration: momentum on the ravine, by the number of lanes, without and with history.

Usage: python benchmarks/engine_overhead.py [ITERATIONS]

Microseconds of CPU time per iteration of the whole batch, medians of several runs in turn. Beside it the floor: the
same update in NumPy with nothing else, no surface, no stopping tests, no catalogue.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import momentumlab
from momentumlab import engine
from momentumlab.plan import make_plan

LANES = (1, 3, 100, 1000, 10_000)
REPEATS = 7


def bare_loop(lanes: int, iterations: int) -> None:
    """Ten calls of NumPy per iteration, which is what the update and the loss need at least."""
    a, b, beta, lr = (np.full(lanes, value) for value in (1 / 16, 9.0, 0.9, 0.1))
    x = np.repeat([[-2.4], [0.2]], lanes, axis=1)
    v = np.zeros_like(x)
    for _ in range(iterations):
        g = np.empty_like(x)
        np.multiply(a, x[0], out=g[0])
        np.multiply(b, x[1], out=g[1])
        v = beta * v + g
        x = x - lr * v
        squares = x * x
        _ = a * squares[0] + b * squares[1]


def microseconds(work: Callable[[], object], iterations: int) -> float:
    clock = time.process_time()  # of one thread: other processes do not count
    work()
    return (time.process_time() - clock) / iterations * 1e6


def main() -> None:
    iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{'lanes':>7} {'bare loop':>10} {'engine':>10} {'with history':>13}   µs per iteration")
    for lanes in LANES:
        betas = np.linspace(0, 0.99, lanes)
        plan = make_plan(
            momentumlab.load(
                {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "iterations": iterations}, beta=betas
            )
        )
        works: dict[str, Callable[[], object]] = {
            "bare": lambda lanes=lanes: bare_loop(lanes, iterations),
            "engine": lambda plan=plan: engine.run(plan, history=False),
            "history": lambda plan=plan: engine.run(plan),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(REPEATS):
            for name, work in works.items():
                times[name].append(microseconds(work, iterations))
        bare, alone, kept = (statistics.median(times[name]) for name in works)
        print(f"{lanes:>7} {bare:10.1f} {alone:10.1f} {kept:13.1f}")


if __name__ == "__main__":
    main()
