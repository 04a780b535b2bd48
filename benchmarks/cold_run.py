"""Compare the time of whole processes: ``momentumlab run`` against a plain script that draws the same figures.

Usage: python benchmarks/cold_run.py [REPEATS]

The commands run in turn, REPEATS times (default 7) after one warm-up round. The times are medians; only their ratios
are meaningful. Two floors show what an ideal program with the same libraries would take: the imports of
``run --no-plots`` and nothing else, and matplotlib's import and the time in which it draws three finished figures.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CONFIG = HERE.parent / "configs" / "ravine_beta_sweep.yaml"
MOMENTUMLAB = [str(Path(sys.executable).with_name("momentumlab"))]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

DRAW = f"""
import io, time
import momentumlab
from momentumlab.report import report_of
from momentumlab.report.figure_files import run_drawings
from momentumlab.report.figure_options import FigureOptions
figures = [draw() for draw in run_drawings(report_of(momentumlab.run({str(CONFIG)!r})), FigureOptions()).values()]
clock = time.perf_counter()
for figure in figures:
    figure.savefig(io.BytesIO(), format="png")
print(time.perf_counter() - clock)
"""
"""Prints the time that matplotlib takes to draw the finished figures."""


def seconds(command: list[str]) -> float:
    """Return the wall time of a process."""
    clock = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - clock


def imported_by(command: list[str]) -> list[str]:
    """Return the names of all modules that a command imports."""
    traced = [sys.executable, "-X", "importtime", *command]
    lines = subprocess.run(traced, check=True, capture_output=True, text=True, env=ENVIRONMENT).stderr.splitlines()
    return [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")][1:]


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        run = [*MOMENTUMLAB, "run", str(CONFIG), "--out", folder]
        modules = imported_by([*run, "--no-plots"])
        # Some of the names are not modules of this system, such as _winapi.
        attempt = "    with contextlib.suppress(ImportError): __import__(name)"
        imports = f"import contextlib, sys\nfor name in sys.argv[1:]:\n{attempt}"
        expression = [*run, "--no-plots", "--surface", "x**2/16 + 9*y**2", "--start=-2.4,0.2"]
        commands = {
            "classic script, 5 PNGs": [sys.executable, str(HERE / "classic_script.py"), folder],
            "run, 3 PNGs": run,
            "run --no-plots": [*run, "--no-plots"],
            "run --no-plots, an expression": expression,
            "run --skip-existing, on a hit": [*run, "--no-plots", "--skip-existing"],
            "imports of run --no-plots": [sys.executable, "-c", imports, *modules],
            "import matplotlib": [sys.executable, "-c", "import matplotlib.figure, matplotlib.backends.backend_agg"],
            "import typer": [sys.executable, "-c", "import typer"],
            "--help": [*MOMENTUMLAB, "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in (*commands, "matplotlib, only drawing")}
        for repeat in range(repeats + 1):
            for name, command in commands.items():
                elapsed = seconds(command)
                if repeat > 0:
                    times[name].append(elapsed)
            printed = subprocess.run([sys.executable, "-c", DRAW], check=True, capture_output=True, env=ENVIRONMENT)
            times["matplotlib, only drawing"].append(float(printed.stdout))
    median = {name: statistics.median(values) for name, values in times.items()}
    classic = median["classic script, 5 PNGs"]
    for name, value in median.items():
        print(f"{name:32} {value * 1e3:7.0f} ms   {value / classic:5.2f} of the classic script")
    no_plots = median["run --no-plots"]
    print(f"run --no-plots: {no_plots / median['imports of run --no-plots']:.2f} of its imports")
    print(f"--help: {median['--help'] / (1.3 * median['import typer'] + 0.04):.2f} of 1.3 × 'import typer' + 40 ms")


if __name__ == "__main__":
    main()
