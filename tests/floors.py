"""``python tests/floors.py``: run the whole test suite with the oldest libraries that pyproject.toml allows.

The versions are read from pyproject.toml: every direct dependency, and SciPy, has its oldest version. With --newest the
suite also runs with the newest versions on every Python found. Each environment is kept for the next time.
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
NOT_FOR_TESTS = ("mypy", "ruff", "types-")


def name_of(requirement: str) -> str:
    """``numpy`` of ``numpy>=1.26``."""
    return re.split(r"[<>=\[ ]", requirement, maxsplit=1)[0]


def floor(requirement: str) -> str:
    """``numpy>=1.26`` as ``numpy==1.26.*``, the oldest with its patches; ``pyyaml>=6.0.1`` as exactly this one."""
    name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
    return f"{name}=={version}" if version.count(".") == 2 else f"{name}=={version}.*"


def pythons() -> list[str]:
    """Return the interpreters on this machine, the oldest first."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3.*"))
    found = {
        name: shutil.which(name) or next((str(path) for path in kept if path.name == name), None) for name in PYTHONS
    }
    return [path for path in found.values() if path is not None]


def environment(folder: Path, python: str, requirements: list[str]) -> Path:
    """Make a virtual environment with these libraries and this package; its interpreter."""
    own = folder / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    subprocess.run([own, "-m", "pip", "install", "-q", *requirements, "-e", ROOT], check=True)
    return own


def versions(own: Path, names: list[str]) -> str:
    """Return the versions that are installed, in one line."""
    program = f"import importlib.metadata as m; print(*(n + ' ' + m.version(n) for n in {names}), sep=', ')"
    return subprocess.run([own, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Run the suite in every environment; the exit code is 1 if one of them fails."""
    parser = argparse.ArgumentParser(prog="python tests/floors.py", description=__doc__)
    parser.add_argument("--newest", action="store_true", help="also the newest libraries, on every Python")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "momentumlab-floors")
    parser.add_argument("--python", nargs="*", default=pythons(), help="interpreters, the oldest first")
    parser.add_argument("--processes", default="auto", help="processes of pytest-xdist")
    parser.add_argument("tests", nargs="*", help="only these tests")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies: list[str] = project["dependencies"]
    tools = [each for each in project["optional-dependencies"]["dev"] if not each.startswith(NOT_FOR_TESTS)]
    scipy = [each for each in tools if name_of(each) == "scipy"]
    tools = [each for each in tools if each not in scipy]
    rows = [("oldest libraries", options.python[0], [floor(each) for each in (*dependencies, *scipy)])]
    if options.newest:
        rows += [("newest libraries", python, [*dependencies, *scipy, "--upgrade"]) for python in options.python]
    failed = 0
    for title, python, requirements in rows:
        name = re.sub(r"\W+", "-", f"{title} {Path(python).name}")
        own = environment(options.folder / name, python, [*requirements, *tools])
        # Old libraries use what newer ones deprecate, such as pyparsing under Matplotlib 3.8.
        pytest = [str(own), "-m", "pytest", "-q", "-n", options.processes, "-W", "ignore::DeprecationWarning"]
        done = subprocess.run([*pytest, *options.tests], cwd=ROOT, capture_output=True, text=True, check=False)
        failed += done.returncode != 0
        last = (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]
        verdict = "FAILED" if done.returncode else "passed"
        print(f"{Path(python).name}, {title}: {verdict} ({last})")
        print(f"  {versions(own, [name_of(each) for each in dependencies])}")
        if done.returncode:
            print(done.stdout[-6000:], file=sys.stderr)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
