"""Build the wheel and the sdist, and try the wheel in a fresh environment outside the repository.

    python tests/packaging.py [--keep FOLDER]

Needs the registry of Python packages. The steps: build both, check their metadata, install the wheel without the
repository, run a bundled example, and compare the files of the wheel with those of the package.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def call(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return its output; a failure ends the script."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path) -> Path:
    """Create a virtual environment and return the folder of its programs."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if sys.platform == "win32" else "bin")


def missing_files(wheel: Path) -> set[str]:
    """Return the files of the package that the wheel lacks."""
    tracked = call("git", "ls-files", "momentumlab", cwd=ROOT).split()
    return set(tracked) - set(zipfile.ZipFile(wheel).namelist())


def main() -> None:
    """Build, check and try the distributions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the distributions to this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        tools = environment(work / "tools")
        call(tools / "python", "-m", "pip", "install", "-q", "build", "twine")
        call(tools / "python", "-m", "build", "--outdir", work / "dist", ROOT)
        distributions = sorted((work / "dist").iterdir())
        print(call(tools / "python", "-m", "twine", "check", "--strict", *distributions))
        (wheel,) = (path for path in distributions if path.suffix == ".whl")
        if missing := missing_files(wheel):
            sys.exit(f"the wheel lacks {', '.join(sorted(missing))}")

        programs = environment(work / "fresh")
        call(programs / "python", "-m", "pip", "install", "-q", wheel)
        lab, elsewhere = programs / "momentumlab", work / "elsewhere"
        elsewhere.mkdir()
        print(call(lab, "examples", cwd=elsewhere))
        call(lab, "new", "example.yaml", "--example", "ravine_beta_sweep", cwd=elsewhere)
        print(call(lab, "run", "example.yaml", cwd=elsewhere))
        if not (elsewhere / "runs" / "latest" / "trajectory.png").is_file():
            sys.exit("the run folder has no trajectory.png")
        if arguments.keep:
            shutil.copytree(work / "dist", arguments.keep, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
