"""``python tests/floors.py``: the tests with the oldest libraries that pyproject.toml allows, and with newer Pythons.

The oldest Python gets the oldest version of every dependency; it and all others get the newest, too. Each has a virtual
environment of its own, which is kept for the next time. Without --whole the part of the suite runs that touches the
libraries.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = [f"python3.{minor}" for minor in range(11, 16)]
PART = ["cli", "config", "engine", "expressions", "figures", "optimizers", "report", "schema", "store", "surfaces"]
TOOLS = ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "mpmath>=1.3", "jsonschema>=4.18"]


def floor(requirement: str) -> str:
    """``numpy>=1.26`` to ``numpy==1.26.*``, the oldest with its patches; ``pyyaml>=6.0.1`` to that very one."""
    name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
    return f"{name}=={version}" if version.count(".") == 2 else f"{name}=={version}.*"


def pythons() -> list[str]:
    """The interpreters that are here, oldest first."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3.*"))
    found = {
        name: shutil.which(name) or next((str(path) for path in kept if path.name == name), None) for name in PYTHONS
    }
    return [path for path in found.values() if path is not None]


def environment(folder: Path, python: str, requirements: list[str]) -> Path:
    """The interpreter of a virtual environment with these libraries and this package."""
    own = folder / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    subprocess.run([own, "-m", "pip", "install", "-q", *requirements, "-e", ROOT], check=True)
    return own


def versions(own: Path) -> str:
    """What is installed, in a line."""
    names = ["numpy", "matplotlib", "typer", "rich", "pyyaml", "sympy"]
    program = f"import importlib.metadata as m; print(*(n + ' ' + m.version(n) for n in {names}), sep=', ')"
    return subprocess.run([own, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/floors.py", description=__doc__)
    parser.add_argument("--whole", action="store_true", help="the whole suite")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "momentumlab-floors")
    parser.add_argument("--python", nargs="*", default=pythons(), help="interpreters, the oldest first")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    scipy = [each for each in project["optional-dependencies"]["dev"] if each.startswith("scipy")]
    oldest = [floor(each) for each in (*project["dependencies"], *scipy)]
    rows = [("oldest libraries", options.python[0], oldest)]
    rows += [("newest libraries", python, [*project["dependencies"], *scipy, "--upgrade"]) for python in options.python]
    tests = [] if options.whole else [f"tests/test_{name}.py" for name in PART]
    failed = 0
    for title, python, requirements in rows:
        name = re.sub(r"\W+", "-", f"{title} {Path(python).name}")
        own = environment(options.folder / name, python, [*requirements, *TOOLS])
        # Old libraries use of newer ones what these would rather forget: matplotlib 3.8 of pyparsing, for one.
        pytest = [str(own), "-m", "pytest", "-q", "-W", "ignore::DeprecationWarning", *tests]
        done = subprocess.run(pytest, cwd=ROOT, capture_output=True, text=True, check=False)
        failed += done.returncode != 0
        last = (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]
        print(
            f"{Path(python).name}, {title}: {'passed' if not done.returncode else 'FAILED'} ({last})\n  {versions(own)}"
        )
        if done.returncode:
            print(done.stdout[-6000:], file=sys.stderr)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
