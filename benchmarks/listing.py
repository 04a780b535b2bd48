"""``momentumlab runs`` and ``run --skip-existing`` in a folder of 10 000 runs.

Usage: python benchmarks/listing.py [FOLDERS] [REPEATS]

Creates that many run folders (default 10 000), each with the files of a run with figures, and runs every command
REPEATS times (default 5) in turn, after one round that does not count. Times are medians of whole processes.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import momentumlab

MOMENTUMLAB = [str(Path(sys.executable).with_name("momentumlab"))]
RAVINE = ["--surface", "ravine", "--optimizer", "momentum", "--no-plots", "--quiet"]


def fill(out: Path, folders: int) -> None:
    """Create folders like that of a real run, each with its own name, time and identity."""
    result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.123, out=out)
    assert result.run_folder is not None
    record = json.loads((result.run_folder / "run.json").read_text())
    began = datetime(2026, 1, 1)
    for number in range(folders):
        when = began + timedelta(minutes=number)
        folder = out / f"{when:%Y%m%d-%H%M%S}-run_{number}"
        shutil.copytree(result.run_folder, folder)
        record |= {
            "name": f"run_{number}",
            "started": when.astimezone().isoformat(),
            "identity": f"{number:064x}",
        }
        (folder / "run.json").write_text(json.dumps(record) + "\n")


def seconds(command: list[str]) -> float:
    """Return the wall time of a whole process."""
    clock = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - clock


def main() -> None:
    folders = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), folders)
        listing, run = [*MOMENTUMLAB, "runs", "--out", folder], [*MOMENTUMLAB, "run", *RAVINE]
        commands = {
            "runs": listing,
            "runs --limit 0": [*listing, "--limit", "0"],
            "runs --format json": [*listing, "--format", "json"],
            "runs show PREFIX": [*MOMENTUMLAB, "runs", "show", "20260103-000000", "--out", folder],
            "run --skip-existing, stored": [*run, "--lr", "0.123", "--skip-existing", "--out", folder],
            "run --skip-existing, new": [*run, "--lr", "0.2", "--skip-existing", "--out", folder],
            "run, an empty folder": [*run, "--lr", "0.2", "--out", f"{folder}/empty"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for repeat in range(repeats + 1):
            for name, command in commands.items():
                # What is not there is there from the second time on: another number each time.
                elapsed = seconds([word if word != "0.2" else f"0.2{repeat + 1}" for word in command])
                if repeat > 0:
                    times[name].append(elapsed)
        for name, values in times.items():
            print(f"{name:26} {statistics.median(values) * 1e3:7.0f} ms")


if __name__ == "__main__":
    main()
