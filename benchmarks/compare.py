"""A whole comparison against a run of one trial, side by side as processes, without plots.

Usage: python benchmarks/compare.py [REPEATS]

Each is started in turn, REPEATS times (default 7), after one round that does not count. The goal: to search 64 learning
rates for each of 12 optimizers over 500 iterations costs at most 0.5 s more than one trial.
"""

import statistics
import sys
import tempfile

from cold_run import MOMENTUMLAB, seconds

OPTIMIZERS = "sgd,momentum,nesterov,qhm,nesterov_restart,signum,adagrad,rmsprop,adam,adamw,nadam,lion"


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        common = ["--iterations", "500", "--no-plots", "--quiet", "--out", folder]
        commands = {
            "run, one trial": [*MOMENTUMLAB, "run", "--surface", "ravine", "--optimizer", "momentum", *common],
            "compare, 12 × 64 trials": [*MOMENTUMLAB, "compare", "--optimizers", OPTIMIZERS, *common],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for repeat in range(repeats + 1):
            for name, command in commands.items():
                elapsed = seconds(command)
                if repeat > 0:
                    times[name].append(elapsed)
    run, compare = (statistics.median(values) for values in times.values())
    print(f"run {run * 1e3:.0f} ms, compare {compare * 1e3:.0f} ms: {(compare - run) * 1e3:.0f} ms more (goal 500)")


if __name__ == "__main__":
    main()
