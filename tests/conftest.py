"""What several test modules share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "configs").glob("**/*.yaml"))
COMPARISONS = [path for path in SHIPPED if "\nobjective:" in path.read_text()]
SWEEPS = [path for path in SHIPPED if "momentumlab sweep" in path.read_text()]
CONFIGS = [path for path in SHIPPED if path not in COMPARISONS + SWEEPS]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs the real ``momentumlab`` in an empty folder, without a terminal."""

    own = {key: value for key, value in os.environ.items() if key != "COLUMNS"}  # pytest-xdist sets it

    def run(*arguments: str | Path, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("momentumlab"), *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            check=False,
            timeout=120,
            env={**own, "PYTHONIOENCODING": "utf-8", **environment},
        )

    return run
