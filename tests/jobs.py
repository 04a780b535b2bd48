"""Run the steps of a job of the test workflow on this machine: ``python tests/jobs.py docs``; without a job, list them.

The commands run in a new virtual environment, one after the other, as the workflow would run them. Steps that use an
action of GitHub (the checkout, the choice of a Python) are left out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"


def main() -> None:
    """Run one job, or list all."""
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    parser = argparse.ArgumentParser(prog="python tests/jobs.py")
    parser.add_argument("job", nargs="?", choices=sorted(commands))
    job = parser.parse_args().job
    if job is None:
        for name, steps in commands.items():
            print(name, *steps, sep="\n  ")
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        programs = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin")
        variables = {**os.environ, **jobs[job].get("env", {}), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        for step in commands[job]:
            begun = time.monotonic()
            code = subprocess.run(["bash", "-e", "-c", step], cwd=ROOT, env=variables, check=False).returncode
            print(f"{job}: {step}: exit code {code}, {time.monotonic() - begun:.0f} s", flush=True)
            if code:
                sys.exit(code)


if __name__ == "__main__":
    main()
