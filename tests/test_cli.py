"""The command line, through the real command: what is printed where, exit codes, and what is left on disk."""

import csv
import io
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from momentumlab import __version__
from momentumlab.cli import app
from momentumlab.cli.completion import KINDS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.report.entries import entries
from momentumlab.surfaces import SURFACES, Tag
from tests.conftest import ROOT, Command

RAVINE = ROOT / "configs" / "ravine_beta_sweep.yaml"
ALL_FILES = {
    "experiment.yaml",
    "loss.png",
    "result.json",
    "run.json",
    "summary.csv",
    "trajectories.npz",
    "trajectory.png",
    "velocity.png",
}

TRIAL_KEYS = [
    "surface",
    "optimizer",
    "hyperparameters",
    "start",
    "replicate",
    "iterations",
    "gradient_evaluations",
    "final_point",
    "final_loss",
    "status",
    "rate",
    "predicted_rate",
]
RATES = ["rate", "predicted"]


def strict_json(text: str) -> Any:
    """As other programs read it: NaN and Infinity are not JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_main_example_gives_the_expected_table(command: Command, tmp_path: Path) -> None:
    done = command("run", RAVINE)
    assert (done.returncode, done.stderr) == (0, "")
    *table, folder = done.stdout.splitlines()
    assert table[0].startswith("ravine_beta_sweep: ravine · momentum, lr = 0.1")
    assert re.split("  +", table[1].strip()) == ["β", "iterations", "final point", "final loss", *RATES, "status"]
    assert [line.split()[0] for line in table[2:5]] == ["0", "0.8", "0.9"]
    assert {file.name for file in (tmp_path / folder).iterdir()} == ALL_FILES
    for png in (tmp_path / folder).glob("*.png"):
        assert png.read_bytes().startswith(b"\x89PNG")


def test_the_table_fits_80_columns(command: Command) -> None:
    done = command("run", RAVINE, "--no-plots", "--optimizer", "momentum,nesterov", COLUMNS="80")
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[:-1])
    assert "max_iterations" in done.stdout
    assert "2.8682e-05" in done.stdout


def test_a_narrow_terminal_folds_points_and_never_cuts_a_number(command: Command) -> None:
    arguments = ["run", "--surface", "rosenbrock", "--optimizer", "sgd,momentum,adam", "--lr", "0.0001,0.001"]
    arguments += ["--set", "beta=[0.5,0.9]", "--start", "[[-1.2345,1.2345],[2.345,1.111]]", "--no-plots"]
    narrow, wide = command(*arguments, COLUMNS="80").stdout, command(*arguments, COLUMNS="200").stdout
    assert max(map(len, narrow.splitlines()[:-1])) <= 80 < max(map(len, wide.splitlines()[:-1]))
    assert "…" not in narrow
    rows = [line for line in wide.splitlines()[2:] if line.split()[-1] in ("diverged", "max_iterations")]
    numbers = [row.split(")")[2].split()[0] for row in rows]
    assert len(numbers) == 16
    assert all(number in narrow for number in numbers)


def test_names_are_printed_as_they_are(command: Command) -> None:
    for name in ("x[/b]", "a [red]b", "5", "a: b", "*star", "nan"):
        done = command("run", RAVINE, "--no-plots", "--iterations", "1", "--name", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{name}: ravine")
    assert command("run", RAVINE, "--name", "").stderr == "--name: is empty\n"


def test_greek_letters_are_replaced_if_the_terminal_has_none(command: Command) -> None:
    done = command("run", RAVINE, "--no-plots", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" in done.stdout


def test_json_has_exactly_the_documented_keys(command: Command, tmp_path: Path) -> None:
    done = command("run", RAVINE, "--no-plots", "--format", "json")
    assert done.stderr == ""
    document = strict_json(done.stdout)
    assert list(document) == ["experiment", "run_folder", "trials"]
    assert document["experiment"] == "ravine_beta_sweep"
    assert (tmp_path / document["run_folder"]).is_dir()
    assert [list(trial) for trial in document["trials"]] == [TRIAL_KEYS] * 3
    assert document["trials"][1] == {
        "surface": "ravine",
        "optimizer": "momentum",
        "hyperparameters": {"lr": 0.1, "beta": 0.8},
        "start": [-2.4, 0.2],
        "replicate": 0,
        "iterations": 50,
        "gradient_evaluations": 50,
        "final_point": [-0.01940874633349659, -0.000755578637259143],
        "final_loss": 2.8681806333617533e-05,
        "status": "max_iterations",
        "rate": pytest.approx(math.sqrt(0.8)),
        "predicted_rate": pytest.approx(math.sqrt(0.8)),
    }


def test_json_has_null_for_nonfinite_numbers(command: Command) -> None:
    done = command(
        "run", "--surface", "rosenbrock", "--optimizer", "sgd", "--lr", "1e200", "--no-plots", "--format", "json"
    )
    assert done.returncode == 0, "divergence is a result"
    (trial,) = strict_json(done.stdout)["trials"]
    assert trial["status"] == "diverged"
    assert trial["final_loss"] is None


def test_csv_has_a_row_per_trial_of_all_files(command: Command) -> None:
    comparison = ROOT / "configs" / "optimizer_comparison.yaml"
    done = command("run", RAVINE, comparison, "--no-plots", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["experiment"] for row in rows] == ["ravine_beta_sweep"] * 3 + ["optimizer_comparison"] * 6
    assert float(rows[1]["final_loss"]) == 2.8681806333617533e-05
    assert (rows[-1]["optimizer"], rows[-1]["beta"], rows[-1]["beta2"]) == ("adam", "", "0.999")


def test_several_files_make_several_folders_and_a_json_line_each(command: Command, tmp_path: Path) -> None:
    parabola = ROOT / "configs" / "parabola.yaml"
    done = command("run", RAVINE, parabola, RAVINE, "--no-plots", "--format", "json")
    documents = [strict_json(line) for line in done.stdout.splitlines()]
    assert [document["experiment"] for document in documents] == ["ravine_beta_sweep", "parabola", "ravine_beta_sweep"]
    assert len({document["run_folder"] for document in documents}) == 3


def test_quiet_prints_only_the_run_folder_and_no_plots_draws_no_figures(command: Command, tmp_path: Path) -> None:
    done = command("run", RAVINE, "--no-plots", "--quiet")
    assert done.stderr == ""
    (folder,) = done.stdout.splitlines()
    assert {file.name for file in (tmp_path / folder).iterdir()} == {name for name in ALL_FILES if "png" not in name}


def test_steps_print_gradient_and_point_of_each_iteration(command: Command) -> None:
    done = command("run", ROOT / "configs" / "torch_parabola.yaml", "--no-plots", "--steps")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["k", "x", "gradient", "at", "x", "velocity", "new", "x", "loss"] in rows
    assert ["1", "1", "1", "1", "0.99", "0.49005"] in rows
    assert ["2", "0.99", "0.99", "1.89", "0.9711", "0.471518"] in rows


def test_json_and_csv_contain_the_steps(command: Command) -> None:
    parabola = ROOT / "configs" / "parabola.yaml"
    document = strict_json(command("run", parabola, "--no-plots", "--steps", "--format", "json").stdout)
    steps = document["trials"][0]["steps"]
    assert [step["iteration"] for step in steps] == list(range(11))
    assert steps[0] == {"iteration": 0, "point": [5.0], "gradient": None, "velocity": [0.0], "loss": 25.0}
    assert steps[1] == {"iteration": 1, "point": [4.0], "gradient": [10.0], "velocity": [10.0], "loss": 16.0}
    text = command("run", parabola, "--no-plots", "--steps", "--format", "csv", "--beta", "0,0.9").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 22
    assert [float(row["point_0"]) for row in rows[11:]] == [step["point"][0] for step in steps]


def test_overrides_reach_the_experiment(command: Command, tmp_path: Path) -> None:
    options = ["--lr", "0.05", "--beta", "0,0.5", "--start=-1,0.1", "--iterations", "7", "--tolerance", "1e-3"]
    options += ["--set", "surface.a=0.1", "--name", "mine", "--out", "elsewhere"]
    document = strict_json(command("run", RAVINE, *options, "--no-plots", "--format", "json").stdout)
    assert document["experiment"] == "mine"
    assert document["run_folder"].startswith("elsewhere/")
    assert [trial["hyperparameters"] for trial in document["trials"]] == [
        {"lr": 0.05, "beta": 0.0},
        {"lr": 0.05, "beta": 0.5},
    ]
    assert {tuple(trial["start"]) for trial in document["trials"]} == {(-1.0, 0.1)}
    assert all(trial["iterations"] <= 7 for trial in document["trials"])
    resolved = (tmp_path / document["run_folder"] / "experiment.yaml").read_text()
    assert "{name: ravine, a: 0.1, b: 9.0}" in resolved
    assert "tolerance: 0.001" in resolved


def test_a_loop_over_beta_makes_a_folder_for_each(command: Command, tmp_path: Path) -> None:
    folders = [
        command("run", RAVINE, "--beta", beta, "--no-plots", "--quiet").stdout.strip() for beta in ("0", "0.5", "0.9")
    ]
    assert len(set(folders)) == 3
    betas = [
        json.loads((tmp_path / f / "result.json").read_text())["trials"][0]["hyperparameters"]["beta"] for f in folders
    ]
    assert betas == [0, 0.5, 0.9]


def test_an_experiment_needs_no_file(command: Command) -> None:
    done = command("run", "--surface", "booth", "--optimizer", "adam", "--no-plots", "--format", "json")
    assert strict_json(done.stdout)["experiment"] == "booth_adam"
    done = command("run")
    assert done.returncode == 2
    assert "give a CONFIG file, or --surface and --optimizer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.yaml"], "none.yaml: no such file"),
        (["run", f"{ROOT}/configs/parabol.yaml"], "parabol.yaml: no such file (did you mean 'parabola.yaml'?)"),
        (["run", "."], ".: is a directory"),
        (["run", RAVINE, "--beta", "1.5"], "--beta: 1.5 is outside 0 ≤ beta < 1"),
        (["run", RAVINE, "--lr=-1"], "--lr: -1 is outside 0 ≤ lr"),
        (
            ["run", RAVINE, "--optimizer", "adam"],
            "'beta' is not a hyperparameter of adam (did you mean 'beta1'?); leave it out",
        ),
        (["run", RAVINE, "--surface", "ravene"], "unknown surface 'ravene' (did you mean 'ravine'?)"),
        (["run", RAVINE, "--set", "surface.a"], "--set surface.a: write KEY=VALUE"),
        (["run", RAVINE, "--set", "surfce.a=1"], "unknown key 'surfce' (did you mean 'surface'?)"),
        (["run", RAVINE, "--start", "1,2,3"], "--start: the surface ravine has 2 coordinates, the start has 3"),
        (
            ["run", RAVINE, "--lr", "linspace(0,1,20000)", "--beta", "linspace(0,0.9,20000)"],
            "400,000,000 trials are more",
        ),
        (["run", RAVINE, "--max-trials", "2"], "3 trials are more than the limit of 2"),
        (["run", RAVINE, "--quiet", "--format", "json"], "prints only the path"),
        (["run", RAVINE, "--lr", ""], "--lr: is empty; write null to remove the setting"),
        (["run", RAVINE, "--lr", "0.1", "--set", "lr=0.2"], "--set lr: is set twice (the other is --lr)"),
        (["run", RAVINE, "--set", "optimizers.²=1"], "optimizer"),
        (["run", RAVINE, "--beta", "0 0.5"], "--beta: a comma is missing before '0.5' (column 3)"),
        (["run", RAVINE, "--surface", "booth", "--set", "surface.a=1"], "booth has no 'a'; it has no parameters"),
        (["show", "surface", "ravene"], "unknown surface 'ravene' (did you mean 'ravine'?)"),
        (["show", "ravene"], "unknown name 'ravene' (did you mean 'ravine'?); 'momentumlab list' shows where to look"),
        (["show", "torch:Nothing"], "torch:Nothing"),
        (["show", "surfase", "ravine"], "KIND: unknown value 'surfase' (did you mean 'surface'?)"),
        (["show", "optimizer", "adam", "--plot"], "only surfaces can be drawn"),
        (["validate", "none.yaml"], "none.yaml: no such file"),
        (["nonsense"], "unknown command 'nonsense'; see 'momentumlab --help'"),
        (["run", "--nonsense"], "unknown option '--nonsense'; see 'momentumlab run --help'"),
    ],
)
def test_bad_input_gives_one_clear_error(
    arguments: list[str | Path], message: str, command: Command, tmp_path: Path
) -> None:
    done = command(*arguments, COLUMNS="200")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_nothing_runs_when_one_of_the_files_is_bad(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("surface: ravine\noptimizer: momentum\nbeta: 2\nlr: x\n")
    done = command("run", RAVINE, "bad.yaml")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bad.yaml:3:7: beta: 2 is outside 0 ≤ beta < 1",
        "bad.yaml:4:5: lr: 'x' is not a number",
    ]
    assert not (tmp_path / "runs").exists()


def test_an_output_folder_that_cannot_be_written_exits_with_1(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in ("file", "file/below", "/proc/none"):
        done = command("run", RAVINE, "--no-plots", "--out", out)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output_folder_exits_with_1(command: Command, tmp_path: Path) -> None:
    (tmp_path / "fixed").mkdir(mode=0o500)
    done = command("run", RAVINE, "--no-plots", "--out", "fixed")
    assert (done.returncode, done.stderr) == (1, "error: fixed: permission denied\n")


def test_interruption_exits_with_130(command: Command, tmp_path: Path) -> None:
    arguments = ["run", RAVINE, "--iterations", "50_000_000", "--no-plots", "--set", "beta=0.999999", "--lr", "1e-9"]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("momentumlab"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    assert process.stderr is not None
    note = process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert note.startswith("note: this may take up to about 25 minutes: 1 trial of at most 50,000,000 iterations")
    assert (process.returncode, stdout, stderr) == (130, "", "interrupted\n")


def test_list_names_the_whole_catalogue(command: Command) -> None:
    for noun, catalogue in (("surfaces", SURFACES), ("optimizers", OPTIMIZERS)):
        lines = command("list", noun).stdout.splitlines()[1:]
        assert [line.split()[0] for line in lines if not line.startswith(" ")] == sorted(catalogue)
        entries = strict_json(command("list", noun, "--format", "json").stdout)
        assert [entry["name"] for entry in entries] == sorted(catalogue)
    assert strict_json(command("list", "--format", "json").stdout)["optimizers"] == list(OPTIMIZERS)
    assert re.search(rf"^surfaces +{len(SURFACES)} ", command("list").stdout, re.MULTILINE)
    assert command("list", "--tag", "ravine").stdout == command("list", "surfaces", "--tag", "ravine").stdout


@pytest.mark.parametrize(("kind", "name"), [("surface", "rosenbrock"), ("schedule", "cosine"), ("surface", "x**2 + y")])
def test_show_finds_an_entry_without_its_kind(kind: str, name: str, command: Command) -> None:
    done = command("show", name)
    assert (done.stdout, done.stderr) == (command("show", kind, name).stdout, "")


def test_show_names_other_entries_of_the_same_name(command: Command) -> None:
    done = command("show", "nesterov")
    assert done.stdout == command("show", "optimizer", "nesterov").stdout
    assert done.stderr == "note: the convention 'nesterov' is shown by 'momentumlab show convention nesterov'\n"


def test_show_prints_everything_an_entry_declares(command: Command) -> None:
    text = command("show", "optimizer", "heavy_ball").stdout
    for part in (
        "Also called:      heavy_ball, polyak",
        "v ← β v + (1 − dampening) g",
        "0 ≤ beta < 1",
        "0.9",
        "Polyak (1964)",
    ):
        assert part in text
    text = command("show", "surface", "rosenbrock").stdout
    for part in (
        "Σ b (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²",
        "Global minimum:   (1, 1), loss 0",
        "Rosenbrock (1960)",
        "0 < b",
        "any",
    ):
        assert part in text


def test_list_finds_surfaces_by_all_of_their_tags(command: Command) -> None:
    for arguments in (["--tag", " kink,  ravine "], ["--tag", "ravine", "--tag", "kink"]):
        assert [line.split()[0] for line in command("list", "surfaces", *arguments).stdout.splitlines()[1:]] == [
            "huber_valley"
        ]
    for tag in Tag:
        assert {entry["name"] for entry in entries("surfaces", [tag])} == {
            name for name, cls in SURFACES.items() if tag in cls.tags
        }
    markdown = command("list", "surfaces", "--tag", "unbounded", "--format", "markdown").stdout
    assert re.findall(r"^## (.*)", markdown, re.MULTILINE) == ["cubic", "mccormick", "monkey_saddle", "saddle"]


def test_tags_that_no_surface_has_together_are_a_note(command: Command) -> None:
    done = command("list", "surfaces", "--tag", "convex,unbounded", "--format", "json")
    assert (done.returncode, strict_json(done.stdout)) == (0, [])
    assert done.stderr == "note: no surface has all of these tags: convex, unbounded\n"


def test_unknown_tags_give_one_error_each_with_a_suggestion(command: Command) -> None:
    done = command("list", "surfaces", "--tag", "ravin,convex", "--tag", "xyz")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("--tag: unknown tag 'ravin' (did you mean 'ravine'?); the tags are quadratic, convex,")
    assert second.startswith("--tag: unknown tag 'xyz'; the tags are quadratic")
    done = command("list", "optimizers", "--tag", "ravine")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--tag: only surfaces have tags: leave it out for optimizers\n"


def test_show_prints_tags_and_domain(command: Command) -> None:
    text = command("show", "surface", "mccormick").stdout
    assert re.search("Tags: +multimodal, saddle, unbounded", text)
    assert re.search(r"Domain: +\[-1.5, 4\] × \[-3, 4\], for which the minima are given", text)
    assert re.search("Dimension: +any from 2", command("show", "surface", "rosenbrock").stdout)


def test_show_draws_a_surface(command: Command, tmp_path: Path) -> None:
    assert command("show", "surface", "himmelblau", "--plot").stdout.splitlines()[-1] == "himmelblau.png"
    assert (tmp_path / "himmelblau.png").read_bytes().startswith(b"\x89PNG")
    command("show", "surface", "parabola", "--plot", "--out", "there.png")
    assert (tmp_path / "there.png").is_file()


def test_validate_counts_trials_and_reports_all_problems(command: Command, tmp_path: Path) -> None:
    done = command("validate", RAVINE)
    assert (done.returncode, done.stdout) == (0, f"{RAVINE}: 3 trials of at most 50 iterations\n")
    (tmp_path / "bad.yaml").write_text("surface: ravin\nlr: x\n")
    done = command("validate", "bad.yaml", RAVINE)
    assert done.returncode == 2
    assert "3 trials" in done.stdout
    assert [line.rpartition(": ")[0].partition(":")[0] for line in done.stderr.splitlines()] == ["bad.yaml"] * 2


def test_new_writes_a_configuration_that_runs_and_never_overwrites(command: Command, tmp_path: Path) -> None:
    assert command("new", "mine.yaml").stdout == "mine.yaml\n"
    assert command("run", "mine.yaml", "--no-plots", "--quiet").returncode == 0
    (tmp_path / "mine.yaml").write_text("precious")
    done = command("new", "mine.yaml")
    assert (done.returncode, done.stderr) == (1, "error: mine.yaml: already exists; --force overwrites it\n")
    assert (tmp_path / "mine.yaml").read_text() == "precious"
    assert command("new", "mine.yaml", "--force").returncode == 0


def test_notes_go_to_stderr(command: Command) -> None:
    stopping = ["--iterations", "100000", "--tolerance", "1e-10", "--max-history", "0.001"]
    done = command("run", RAVINE, "--no-plots", *stopping, "--format", "json")
    assert "every 12th iterate and the last are kept" in done.stderr
    assert strict_json(done.stdout)["trials"][0]["status"] == "converged"


def test_no_color_without_a_terminal(command: Command) -> None:
    assert "\x1b" not in command("run", RAVINE, "--no-plots").stdout
    assert "\x1b" not in command("show", "optimizer", "adam").stdout


def test_version_module_and_completion(command: Command) -> None:
    assert command("--version").stdout == f"momentumlab {__version__}\n"
    done = subprocess.run(
        [sys.executable, "-m", "momentumlab", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"momentumlab {__version__}\n"
    program = str(Path(sys.executable).with_name("momentumlab"))
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [program, "--show-completion", "bash"], capture_output=True, text=True, check=True, env=environment
    )
    assert "momentumlab" in done.stdout
    done = command("", _MOMENTUMLAB_COMPLETE="complete_bash", COMP_WORDS="momentumlab va", COMP_CWORD="1")
    assert done.stdout.split() == ["validate"]


COMPLETIONS: dict[str, tuple[str, set[str], set[str]]] = {
    "a surface": ("run --surface hi", {"himmelblau"}, set()),
    "a second surface": ("compare --surface booth,hi", {"booth,himmelblau"}, {"himmelblau"}),
    "an optimizer": ("run --optimizer nes", {"nesterov"}, {"adam"}),
    "an entry": ("show optimizer ada", {"adam", "adagrad"}, {"ackley"}),
    "a checked name": ("check ack", {"ackley"}, set()),
    "a convention": ("translate --from ke", {"keras"}, {"torch"}),
    "a configuration": ("run con", {"configs/"}, {"plot.py"}),
    "a configuration in a folder": ("validate configs/mi", {"configs/mine.yaml"}, {"configs/mine.txt"}),
    "a run": ("runs show 2026", {"20260101-000000-mine"}, {"latest"}),
    "the latest run": ("runs plot la", {"latest"}, set()),
    "a format": ("run --format j", {"json"}, {"csv"}),
}


@pytest.mark.parametrize(
    ("shell", "case"),
    [*(("bash", case) for case in COMPLETIONS), *itertools.product(("zsh", "fish"), ("a second surface", "a run"))],
)
def test_shells_complete_names(shell: str, case: str, command: Command, tmp_path: Path) -> None:
    typed, expected, absent = COMPLETIONS[case]
    for name in ("configs", "runs/20260101-000000-mine"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("configs/mine.yaml", "configs/mine.txt", "plot.py"):
        (tmp_path / name).touch()
    line = f"momentumlab {typed}"
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    if shell != "bash":
        variables = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = command("", _MOMENTUMLAB_COMPLETE=f"complete_{shell}", **variables)
    offered = set(re.findall(r"[\w./,-]+", done.stdout))
    assert expected <= offered
    assert not absent & offered


def commands_of(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the application by its path: ``("runs", "show")``."""
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from commands_of(each, (*path, name))
        else:
            yield (*path, name), each


APPLICATION: Any = typer.main.get_command(app)
COMMANDS = dict(commands_of(APPLICATION))
EXPERIMENTS = ("run", "sweep", "compare", "tune", "predict")


def test_help_groups_commands_and_options(command: Command) -> None:
    text = command("--help").stdout
    for heading in ("Run experiments", "Look things up", "Prepare experiments"):
        assert f"\n{heading}:\n" in text
    text = command("run", "--help").stdout
    for heading in ("What to run", "Stopping", "Noise", "Recording", "Figures", "Output"):
        assert f"\n{heading}:\n" in text


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_and_describes_every_option(path: tuple[str, ...], command: Command) -> None:
    done = command(*path, "--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    text, _, examples = done.stdout.partition("\nExamples:\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    others = {"compare", "tune", "sweep", "predict", "explore"} - {path[0]}
    options = text.partition("\nWhat to run:")[2] or text.partition("\nOptions:")[2]
    assert path[0] == "runs" or not [other for other in others if re.search(rf"\b(in|of) {other}\b", options)]
    assert all(line.startswith(("  momentumlab ", "      ")) for line in examples.splitlines())
    assert examples
    for parameter in COMMANDS[path].params:
        assert getattr(parameter, "help", None), parameter.name
        if parameter.param_type_name == "option":
            assert all(name in text for name in parameter.opts)


def test_the_same_option_exists_with_the_same_text_in_every_command() -> None:
    common = ["surface", "optimizer", "lr", "beta", "start", "starts", "settings", "plugins", "name", "max_trials"]
    common += ["iterations", "tolerance", "gradient_tolerance", "target_loss", "noise", "replicates", "seed", "output"]
    for name in EXPERIMENTS:
        options = {each.name: each for each in COMMANDS[(name,)].params}
        own = common if name == "predict" else [*common, "out", "no_plots", "skip_existing", "quiet"]
        for key in own:
            is_special = key == "surface" and name in ("compare", "tune")  # which accept several
            assert is_special or options[key].help == next(p.help for p in COMMANDS[("run",)].params if p.name == key)
        assert {"--optimizer", "--optimizers"} <= set(options["optimizer"].opts)


@pytest.mark.parametrize(
    ("option", "setting"),
    [
        (["--learning-rate", "0.01"], {"lr": 0.01}),
        (["--beta1=0.8"], {"beta1": 0.8}),
        (["--Weight_Decay", "0.1"], {"weight_decay": 0.1}),
        (["--beta1", "0.8", "--eps", "1e-4"], {"beta1": 0.8, "eps": 1e-4}),
    ],
)
def test_a_hyperparameter_can_be_written_as_an_option(
    option: list[str], setting: dict[str, float], command: Command
) -> None:
    done = command("run", "--surface", "booth", "--optimizer", "adam", *option, "--no-plots", "--format", "json")
    assert done.stderr == ""
    assert strict_json(done.stdout)["trials"][0]["hyperparameters"].items() >= setting.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--surfce", "ravine"], "unknown option '--surfce' (did you mean '--surface'?)"),
        (["rnu"], "unknown command 'rnu' (did you mean 'run'?); see 'momentumlab --help'"),
        (["runz"], "unknown command 'runz' (did you mean 'runs'?); see 'momentumlab --help'"),
        (["runs", "shw"], "unknown command 'shw' (did you mean 'show'?); see 'momentumlab runs --help'"),
        (["run", "--budget", "3"], "--budget: 'momentumlab run' does not have this option; compare and tune do"),
        (["run", "--lr"], "--lr: needs a value; see 'momentumlab run --help'"),
        (["run", "--quiet=3"], "--quiet: does not take a value"),
        (["run", "--beta1"], "--beta1: needs a value: --beta1 VALUE"),
        (["run", "--debug"], "--debug: goes before the command: momentumlab --debug …"),
        (["run", "--iters", "5"], "unknown option '--iters' (did you mean '--iterations'?)"),
        (["run", "--starts", "many"], "--starts: 'many' is not a whole number of at least 1"),
        (
            ["run", "--format", "jsn"],
            "--format: unknown value 'jsn' (did you mean 'json'?); use table, json, csv, markdown or latex",
        ),
        (["translate"], "--from: is missing; see 'momentumlab translate --help'"),
        (["show", "surface"], "the name is missing; 'momentumlab list surfaces' shows all"),
        (["list", "surfaces", "extra"], "unexpected argument: extra; see 'momentumlab list --help'"),
    ],
)
def test_a_mistake_in_the_arguments_gives_one_line_with_a_remedy(
    arguments: list[str], message: str, command: Command
) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


def test_options_and_commands_are_accepted_in_any_case(command: Command) -> None:
    done = command("RUN", "--Surface", "booth", "--OPTIMIZERS", "sgd", "--No_Plots", "--format", "JSON")
    assert (done.returncode, done.stderr) == (0, "")
    assert strict_json(done.stdout)["experiment"] == "booth_sgd"


def test_a_possible_decimal_comma_is_mentioned(command: Command) -> None:
    done = command("run", RAVINE, "--lr", "0,1", "--no-plots", "--quiet")
    assert done.stderr == "note: --lr 0,1 is a list of two values; a decimal number is written 0.1\n"
    assert command("run", RAVINE, "--beta", "0,0.9", "--start=0,1", "--no-plots", "--quiet").stderr == ""


@pytest.mark.parametrize("kind", KINDS)
def test_list_accepts_the_singular_and_the_plural(kind: str, command: Command) -> None:
    singular, plural = command("list", kind), command("list", KINDS[kind].upper())
    assert (singular.returncode, singular.stderr) == (0, "")
    assert singular.stdout == plural.stdout


@pytest.mark.parametrize("arguments", [["run", RAVINE, "--no-plots"], ["show", "surface", "nowhere"], ["--help"]])
def test_the_command_of_the_tests_is_the_real_one(arguments: list[str], command: Command, tmp_path: Path) -> None:
    real = subprocess.run(
        [Path(sys.executable).with_name("momentumlab"), *map(str, arguments)], capture_output=True, text=True,
        cwd=tmp_path, env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    quick = command(*arguments, COLUMNS="80")
    shown = real.stdout.replace("python -m momentumlab", "momentumlab")  # the command may be a script that calls it so
    without_time = [re.sub(r"runs/\d{8}-\d{6}", "runs/", text) for text in (quick.stdout, shown)]
    assert without_time[0].replace("_sweep-2", "_sweep") == without_time[1].replace("_sweep-2", "_sweep")
    assert (quick.returncode, quick.stderr) == (real.returncode, real.stderr)
