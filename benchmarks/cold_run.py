"""Compare the time of whole processes: ``momentumlab run`` against a plain script that draws the same figures.

Usage: python benchmarks/cold_run.py [REPEATS]

The commands run in turn, REPEATS times (default 7) after one warm-up round. The times are medians; only their ratios
are meaningful.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CONFIG = HERE.parent / "configs" / "ravine_beta_sweep.yaml"
MOMENTUMLAB = [str(Path(sys.executable).with_name("momentumlab"))]


def seconds(command: list[str]) -> float:
    """Return the wall time of a process."""
    clock = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - clock


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        run = [*MOMENTUMLAB, "run", str(CONFIG), "--out", folder]
        commands = {
            "classic script, 5 PNGs": [sys.executable, str(HERE / "classic_script.py"), folder],
            "momentumlab run, 3 PNGs": run,
            "momentumlab run --no-plots": [*run, "--no-plots"],
            "import typer": [sys.executable, "-c", "import typer"],
            "momentumlab --help": [*MOMENTUMLAB, "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for repeat in range(repeats + 1):
            for name, command in commands.items():
                elapsed = seconds(command)
                if repeat > 0:
                    times[name].append(elapsed)
    median = {name: statistics.median(values) for name, values in times.items()}
    classic = median["classic script, 5 PNGs"]
    for name, value in median.items():
        print(f"{name:28} {value * 1e3:7.0f} ms   {value / classic:5.2f} of the classic script")
    allowed = 1.5 * median["import typer"] + 0.05
    print(f"--help: {median['momentumlab --help'] / allowed:.2f} of 1.5 × 'import typer' + 50 ms")


if __name__ == "__main__":
    main()
