"""Tables in real terminals of several widths: no number, setting or heading is ever cut."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from momentumlab.cli.completion import KINDS
from tests.conftest import ROOT

WIDTHS = (60, 80, 100)
WIDE = 250

QUICK = ["--iterations", "12", "--no-plots"]
RAVINE = ["--surface", "ravine", "--optimizer", "momentum", *QUICK]
NOTE = "too narrow for these columns:"
SHARED = "all rows: "
"""Begins the line with the values that take no column."""

COMMANDS = {
    "run": ["run", str(ROOT / "configs" / "ravine_beta_sweep.yaml"), "--no-plots"],
    "run --steps": ["run", *RAVINE, "--lr", "0.1", "--steps"],
    "run --theory": ["run", str(ROOT / "configs" / "noisy_ravine.yaml"), "--no-plots", "--theory"],
    "several optimizers and starts": [
        *("run", "--surface", "rosenbrock", "--optimizer", "sgd,momentum,adam", "--lr", "0.0001234567,0.001"),
        *("--set", "beta=[0.5,0.9]", "--start", "[[-1.2345,1.2345],[2.345,1.111]]", *QUICK),
    ],
    "data": ["run", "--surface", "softmax", "--optimizer", "sgd,adam", "--lr", "0.1,0.01", *QUICK],
    "many trials": ["run", *RAVINE, "--lr", "geomspace(0.001,0.2,30)"],
    "sweep": ["sweep", *RAVINE, "--lr", "geomspace(0.001,0.2,7)", "--beta", "linspace(0,0.9,6)"],
    "sweep over starts": ["sweep", "--surface", "himmelblau", "--optimizer", "sgd", "--start", "grid(4,4)", *QUICK],
    "compare": ["compare", "--optimizers", "sgd,momentum,adam", "--budget", "8", *QUICK],
    "compare over problems": [
        *("compare", "--optimizers", "sgd,adam", "--surface", "ravine,booth", "--starts", "3", "--budget", "4", *QUICK),
    ],
    "tune": ["tune", "--optimizer", "momentum,adam", "--over", "lr,beta", "--budget", "16", *QUICK],
    "predict": ["predict", "--surface", "ravine", "--optimizer", "momentum,sgd", "--lr", "0.1,0.0123456789"],
    "predict, nonlinear": ["predict", "--surface", "rosenbrock", "--optimizer", "adam", "--lr", "0.1"],
    "translate": ["translate", "--from", "torch", "--to", "keras", "--dampening", "0.3"],
    "translate to all": ["translate", "--from", "qhm", "--nu", "0.7", "--beta", "0.99"],
    **{f"list {noun}": ["list", noun] for noun in KINDS.values()},
    "show surface": ["show", "surface", "himmelblau"],
    "show optimizer": ["show", "optimizer", "adam"],
    "show schedule": ["show", "schedule", "cosine"],
    "show noise": ["show", "noise", "heavy_tailed"],
    "show data": ["show", "data", "two_moons"],
    "show convention": ["show", "convention", "qhm"],
    "show --response": ["show", "optimizer", "momentum", "--response", "--beta", "0,0.5,0.9123456789"],
    "check": ["check", "ravine"],
}  # fmt: skip


def in_terminals(commands: Sequence[Sequence[str]], width: int, folder: Path) -> list[str]:
    """Run commands one after the other in one process in a pseudo-terminal, and return what each printed."""
    process, terminal = pty.fork()
    if process == 0:
        code = 1
        try:
            os.chdir(folder)
            for name in ("COLUMNS", "LINES", "NO_COLOR"):
                os.environ.pop(name, None)
            os.environ["TERM"] = "xterm"
            # pytest's own capture stands in for the streams: these are the terminal's
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
            from momentumlab.cli import app

            input()  # wait until the terminal has its size
            for command in commands:
                try:
                    app(list(command))
                except SystemExit:
                    print("\f", flush=True)
            code = 0
        finally:
            os._exit(code)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    os.write(terminal, b"\n")
    printed = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the process has ended
            break
        if not chunk:
            break
        printed += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode()).replace("\r\n", "\n")
    return text.split("\f\n")[:-1]


def shown(text: str) -> list[str]:
    """The lines of a table without the path of a run folder or figure."""
    return [line for line in text.splitlines() if not re.match(r"runs/|\S*\.png$", line)]


def tokens(lines: Sequence[str]) -> set[str]:
    """The words of an output. Headings in records end in a colon; a call longer than a line is broken after `(`."""
    text = " ".join(line.removeprefix(SHARED) for line in lines).partition(NOTE)[0]
    return {word.rstrip(":,;") for word in re.split(r"[\s(]+", text)} - {"·", ""}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of each command in a terminal that is wide enough for every table."""
    outputs = in_terminals(list(COMMANDS.values()), WIDE, tmp_path_factory.mktemp("terminal"))
    return dict(zip(COMMANDS, outputs, strict=True))


@pytest.mark.parametrize("width", WIDTHS)
def test_no_printed_token_is_cut(width: int, wide: dict[str, str], tmp_path: Path) -> None:
    outputs = in_terminals(list(COMMANDS.values()), width, tmp_path)
    for name, output in zip(COMMANDS, outputs, strict=True):
        narrow, complete = shown(output), shown(wide[name])
        assert complete, f"{name} prints something"
        assert max(map(cell_len, narrow)) <= width, name
        assert tokens(narrow) <= tokens(complete), name


@pytest.mark.parametrize("width", WIDTHS)
def test_lists_of_runs_are_not_cut(width: int, tmp_path: Path) -> None:
    made = [
        ["run", *RAVINE, "--lr", "0.1,0.012345678901", "--name", "first"],
        ["sweep", *RAVINE, "--lr", "0.1,0.2", "--beta", "0.5,0.9", "--name", "second"],
    ]
    in_terminals(made, WIDE, tmp_path)
    names = sorted(folder.name for folder in (tmp_path / "runs").iterdir() if not folder.is_symlink())
    commands = [["runs"], ["runs", "show", names[0]], ["runs", "compare", *names]]
    for narrow, wide in zip(
        in_terminals(commands, width, tmp_path), in_terminals(commands, WIDE, tmp_path), strict=True
    ):
        assert max(map(cell_len, shown(narrow))) <= width
        assert tokens(shown(narrow)) <= tokens(shown(wide))
    assert "0.012345678901" in narrow, "a setting is exact"
