"""Run folders: listed, found and read; damage is reported and never read."""

import contextlib
import csv
import io
import json
import math
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import momentumlab
from momentumlab.cli import app
from momentumlab.errors import ConfigError, OutputError
from momentumlab.report import ComparisonReport, report_of
from momentumlab.result import Result
from momentumlab.runs import listing
from momentumlab.runs.compare import side_by_side
from momentumlab.runs.find import complete_run, find
from momentumlab.runs.identity import digest, identity
from momentumlab.runs.read import load_run
from momentumlab.runs.records import RunFolder, RunStatus, list_runs, read_run
from momentumlab.search import ComparisonResult
from tests.conftest import ROOT, Command

STORED = sorted((ROOT / "tests" / "data" / "runs").iterdir())
"""Run folders that an earlier commit has written."""

RAVINE = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "beta": [0.0, 0.8], "iterations": 12}
MADE: dict[str, Callable[[Path], Result | ComparisonResult]] = {
    "run": lambda out: momentumlab.run(RAVINE, out=out, name="β sweep"),
    "scheduled": lambda out: momentumlab.run(
        surface="rosenbrock",
        optimizers=[{"name": "sgd", "lr": [5.0, 1e-3]}, {"name": "adam", "lr": "cosine(0.1, 0.01)"}],
        start="random(2)",
        gradient_tolerance=1e-3,
        name="scheduled",
        out=out,
        plots=False,
    ),
    "sweep": lambda out: momentumlab.run(
        surface={"name": "ravine", "b": [1.0, 9.0]},
        optimizers=["sgd", {"name": "momentum", "beta": [0.0, 0.5]}, {"name": "momentum", "beta": 0.9}],
        lr="linspace(0.02, 0.1, 4)",
        start="random(3)",
        tolerance=1e-3,
        record="best:2",
        name="sweep",
        out=out,
        plots=False,
    ),
    "comparison": lambda out: momentumlab.compare(
        optimizers=["sgd", {"name": "momentum", "beta": "tuned"}, {"name": "adam", "lr": ["cosine(0.1)", 0.5]}],
        surface=["ravine", "booth"],
        start="random(2)",
        iterations=12,
        budget=8,
        zooms=1,
        name="comparison",
        out=out,
        plots=False,
    ),
}


def folder_of(result: Result | ComparisonResult) -> Path:
    assert result.run_folder is not None
    return result.run_folder


def run_of(path: Path) -> RunFolder:
    run = read_run(path)
    assert run is not None
    return run


@pytest.fixture
def copy(made: dict[str, Result | ComparisonResult], tmp_path: Path) -> Path:
    """A copy of a run folder that a test may damage."""
    source = folder_of(made["scheduled"])
    return Path(shutil.copytree(source, tmp_path / "runs" / source.name))


def typed(*arguments: object, code: int = 0, answer: str | None = None) -> str:
    """Return what a command prints to stdout, or to stderr if it fails."""
    done = CliRunner().invoke(app, [*map(str, arguments)], input=answer, env={"COLUMNS": None})
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.stdout if code == 0 or (code == 1 and done.stdout) else done.stderr


# Reading


def assert_same(one: Result, other: Result) -> None:
    assert one.experiment == other.experiment
    for name in ("final_points", "final_losses", "iterations", "status_codes"):
        first, second = getattr(one, name), getattr(other, name)
        assert (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes()), name
    assert one.notes == other.notes
    if one.history is not None:
        assert other.history is not None
        assert one.history.stride == other.history.stride
        for name in ("positions", "velocities", "losses"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("name", MADE)
def test_reading_returns_what_was_written(name: str, made: dict[str, Result | ComparisonResult]) -> None:
    written = made[name]
    loaded = load_run(run_of(folder_of(written)))
    if isinstance(written, Result):
        assert_same(written, loaded.results[0])
        assert loaded.results[0].summary() == written.summary()
    else:
        assert loaded.comparison is not None
        assert loaded.comparison.notes == written.notes
        assert repr(loaded.comparison.summary()) == repr(written.summary())
        for old, new in zip(written.matches, loaded.comparison.matches, strict=True):
            assert_same(old.result, new.result)
            for a, b in zip(old.searched, new.searched, strict=True):
                assert a.final_losses.tobytes() == b.final_losses.tobytes()
                assert {k: [*map(str, v)] for k, v in a.columns.items()} == {
                    k: [*map(str, v)] for k, v in b.columns.items()
                }


def test_recorded_trajectories_of_a_sweep_are_read(made: dict[str, Result | ComparisonResult]) -> None:
    sweep = made["sweep"]
    assert isinstance(sweep, Result)
    recorded = load_run(run_of(folder_of(sweep))).recorded
    assert recorded is not None
    assert recorded.trials == 2
    for number in range(2):  # the same trial in a run of its own
        trial = recorded.plan.trial(number)
        alone = momentumlab.run(
            surface={"name": trial.surface, **trial.surface_parameters},
            optimizer={"name": trial.optimizer, **trial.hyperparameters},
            start=list(trial.start),
            tolerance=1e-3,
        )
        assert recorded.path(number).tobytes() == alone.positions[0].tobytes()


def test_a_strided_history_keeps_its_stride(tmp_path: Path) -> None:
    written = momentumlab.run({**RAVINE, "iterations": 11}, out=tmp_path, plots=False, history_bytes=500)
    assert written.history is not None
    assert written.history.stride > 1
    assert_same(written, load_run(run_of(folder_of(written))).results[0])


def test_noise_and_replicates_are_read_and_repeated(tmp_path: Path) -> None:
    noisy = {**RAVINE, "noise": 0.1, "replicates": 3, "start": "random(2)"}
    whole = momentumlab.run(noisy, out=tmp_path, plots=False)
    mapped = momentumlab.run({**noisy, "seed": 1}, out=tmp_path, plots=False, record="none")
    compared = momentumlab.compare(
        optimizers=["sgd", "momentum"], noise=0.1, replicates=2, iterations=9, budget=4, out=tmp_path, plots=False
    )
    for result in (whole, mapped):
        assert_same(result, load_run(run_of(folder_of(result))).results[0])
    read = load_run(run_of(folder_of(compared))).comparison
    assert read is not None
    assert repr(read.summary()) == repr(compared.summary())
    for run in list_runs(tmp_path):
        assert json.loads(typed("runs", "rerun", run.path, "--format", "json"))["verdict"] == "identical"
    sides = side_by_side([load_run(run_of(folder_of(result))) for result in (whole, mapped)])
    assert sides.differing == ["beta", "start", "replicate", "seed"]


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_show_prints_the_output_of_the_run(
    name: str,
    output: str,
    made: dict[str, Result | ComparisonResult],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it
    from momentumlab.cli.output import print_comparison, print_csv, print_result

    result = made[name]
    if isinstance(result, Result):
        print_result(report_of(result), output, steps=False, quiet=False)
        if output == "csv":
            print_csv([report_of(result)], [], steps=False)
    else:
        print_comparison(ComparisonReport(result=result), output, quiet=False)
        if output == "csv":
            print_csv([], [ComparisonReport(result=result)], steps=False)
    printed = capsys.readouterr().out
    assert len(printed) > 100
    assert typed("runs", "show", folder_of(result), "--format", output) == printed


@pytest.mark.parametrize("folder", STORED, ids=lambda path: path.name[16:])
def test_stored_folders_stay_readable(folder: Path) -> None:
    run = run_of(folder)
    assert run.status is RunStatus.COMPLETE
    document = json.loads((folder / "result.json").read_text())
    losses = [t["final_loss"] for t in document["trials"] if t["status"] != "diverged"]
    assert run.best_loss == min(losses)
    loaded = load_run(run)
    found = [loss for result in loaded.results for loss in result.final_losses.tolist()]
    if not loaded.is_sweep:
        assert found == [t["final_loss"] for t in document["trials"]]
    assert sum(result.trials for result in loaded.results) == run.trials
    assert typed("runs", "show", folder)
    assert json.loads(typed("runs", "rerun", folder, "--format", "json"))["verdict"] in ("identical", "within_rounding")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 60_000


# Damage


def spoil_npz(path: Path, name: str, content: bytes, *, compress: bool = False) -> None:
    with zipfile.ZipFile(path) as old:
        members = {each: old.read(each) for each in old.namelist()}
    members[f"{name}.npy"] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as new:
        for member, data in members.items():
            new.writestr(member, data)


def npy_header(shape: str, kind: str = "'<f8'") -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def zeros(length: int) -> bytes:
    return npy_header(f"({length},)") + bytes(8 * length)


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shift(path: Path) -> None:
    """Change numbers in a file without changing its length."""
    with np.load(path) as arrays:
        moved = {name: array + (name == "losses") for name, array in arrays.items()}
    np.savez(path, **{name: array.astype(np.int32) if name == "iterations" else array for name, array in moved.items()})


NPZ = "trajectories.npz"
DAMAGE: dict[str, Callable[[Path], object]] = {
    "no trajectories": lambda folder: (folder / NPZ).unlink(),
    "half of the trajectories": lambda folder: os.truncate(folder / NPZ, 3000),
    "a bit of the trajectories": lambda folder: flip(folder / NPZ),
    "other numbers": lambda folder: shift(folder / NPZ),
    "no zip file": lambda folder: (folder / NPZ).write_bytes(b"PK" * 100),
    "a pickle": lambda folder: spoil_npz(folder / NPZ, "losses", pickled()),
    "a claim of 8 exabytes": lambda folder: spoil_npz(folder / NPZ, "losses", npy_header("(1000000000, 1000000000)")),
    "a negative length": lambda folder: spoil_npz(folder / NPZ, "losses", npy_header("(-1, 5)")),
    "another kind of number": lambda folder: spoil_npz(folder / NPZ, "losses", npy_header("(6, 0)", "'<c16'")),
    "a bomb": lambda folder: spoil_npz(folder / NPZ, "losses", zeros(10**6), compress=True),
    "a longer array": lambda folder: spoil_npz(folder / NPZ, "losses", zeros(1000)),
    "another experiment": lambda folder: (folder / "experiment.yaml").write_text("surface: booth\noptimizer: sgd\n"),
    "no experiment": lambda folder: (folder / "experiment.yaml").unlink(),
    "a wrong experiment": lambda folder: (folder / "experiment.yaml").write_text("surface: nowhere"),
    "half of the result": lambda folder: os.truncate(folder / "result.json", 2000),
    "an empty result": lambda folder: os.truncate(folder / "result.json", 0),
    "an empty record": lambda folder: os.truncate(folder / "run.json", 0),
    "a record of another type": lambda folder: (folder / "run.json").write_text("[]"),
    "an unknown format": lambda folder: change_record(folder, format=99),
    "an infinite loss": lambda folder: change_record(folder, best_loss=math.inf),
    "no statuses": lambda folder: (folder / "result.json").write_text(
        (folder / "result.json").read_text().replace('"status"', '"state"')
    ),
    "a deeply nested result": lambda folder: (folder / "result.json").write_text('{"format": ' + "[" * 100_000 + "}"),
    "a deeply nested record": lambda folder: (folder / "run.json").write_text('{"format": ' + "[" * 100_000 + "}"),
}


def change_record(folder: Path, **changes: object) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, **changes}))


def forget_sizes(folder: Path) -> None:
    """Let the record list no files, so that damage is found by reading only."""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        change_record(folder, files={})


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("is_listed", [True, False], ids=["sizes known", "sizes unknown"])
def test_damage_is_reported_and_never_read(damage: str, is_listed: bool, copy: Path) -> None:
    DAMAGE[damage](copy)
    if not is_listed:
        forget_sizes(copy)
    for command in ("show", "rerun", "export", "plot"):
        assert str(copy) in typed("runs", command, copy, code=1)
    run = run_of(copy)
    identity_ = str(run.record.get("identity"))
    assert run.status is RunStatus.COMPLETE or complete_run(copy.parent, identity_, kind="run", recorded=0) is None
    (listed,) = json.loads(typed("runs", "--out", copy.parent, "--format", "json"))
    if run.status is not RunStatus.COMPLETE:
        assert (listed["status"], bool(listed["problem"])) == ("damaged", True)
        with pytest.raises(OutputError, match="damaged"):
            load_run(run)
    if is_listed and run.record:
        typed("runs", "rm", copy, "--yes")
        assert not copy.exists()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["run.json", "result.json", "experiment.yaml", NPZ]),
    place=st.floats(0, 1, exclude_max=True),
    content=st.binary(min_size=1, max_size=4),
)
def test_changed_bytes_give_a_result_or_a_message(name: str, place: float, content: bytes, copy: Path) -> None:
    whole = (copy / name).read_bytes()
    at = int(place * len(whole))
    (copy / name).write_bytes(whole[:at] + content + whole[at + len(content) :])
    run = read_run(copy)
    message = str(copy)
    try:
        if run is not None:
            assert digest(load_run(run).results) == run.record["digest"]
    except OutputError as error:
        message = str(error)
    finally:
        (copy / name).write_bytes(whole)
    assert str(copy) in message


# The list


def test_the_list_agrees_with_the_content_of_the_folders(out: Path, made: dict[str, Result | ComparisonResult]) -> None:
    listed = {run.path: run for run in list_runs(out)}
    assert {*listed} == {folder_of(result) for result in made.values()}
    for name, result in made.items():
        run, folder = listed[folder_of(result)], folder_of(result)
        assert (run.name, run.status) == ("β sweep" if name == "run" else name, RunStatus.COMPLETE)
        assert run.size == sum(file.stat().st_size for file in folder.iterdir())
        rows = list(csv.DictReader(io.StringIO((folder / "summary.csv").read_text())))
        assert run.trials == len(rows)
        assert run.best_loss == min(float(row["final_loss"]) for row in rows if row["status"] != "diverged")
        assert {*run.optimizers} == {row["optimizer"] for row in rows}
        assert {*run.surfaces} == {row["surface"] for row in rows}
        assert abs(run.when - datetime.now().astimezone()) < timedelta(minutes=10)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"run", "scheduled", "sweep", "comparison"}),
        (["--name", "swe"], {"sweep", "run"}),
        (["--name", "s*"], {"scheduled", "sweep"}),
        (["--name", "β*"], {"run"}),
        (["--name", "*-comparison"], {"comparison"}),
        (["--surface", "booth"], {"comparison"}),
        (["--optimizer", "adam"], {"scheduled", "comparison"}),
        (["--optimizer", "adam", "--surface", "rosenbrock"], {"scheduled"}),
        (["--since", "1h"], {"run", "scheduled", "sweep", "comparison"}),
        (["--since", "2999-01-01"], set()),
        (["--status", "interrupted"], set()),
        (["--limit", "1"], {"comparison"}),
    ],
)
def test_the_list_can_be_filtered(
    arguments: list[str], expected: set[str], out: Path, made: dict[str, Result | ComparisonResult]
) -> None:
    names = {"β sweep": "run"}
    listed = json.loads(typed("runs", *arguments, "--out", out, "--format", "json"))
    assert {names.get(row["experiment"], row["experiment"]) for row in listed} == expected
    rows = list(csv.DictReader(io.StringIO(typed("runs", "list", *arguments, "--out", out, "--format", "csv"))))
    assert [row["run_folder"] for row in rows] == [row["run_folder"] for row in listed]
    table = typed("runs", *arguments, "--out", out)
    assert [line.split()[2] for line in table.splitlines()[1:]] == [Path(r["run_folder"]).name for r in listed] or (
        "--limit" in arguments or not listed
    )


NOW = datetime(2026, 11, 21, 12).astimezone()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2d", NOW - timedelta(days=2)),
        ("36h", NOW - timedelta(hours=36)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("2026-11-20", datetime(2026, 11, 20).astimezone()),
        ("2026-11-20 18:30", datetime(2026, 11, 20, 18, 30).astimezone()),
    ],
)
def test_times_are_parsed(text: str, expected: datetime) -> None:
    assert listing.moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "999999999w", "2026-13-01", "-2d"])
def test_invalid_times_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a time"):
        listing.moment(text, NOW)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.2 kB"), (99_600, "100 kB"), (999_600, "1 MB"),
     (5 * 10**9, "5 GB")],
)  # fmt: skip
def test_sizes_are_printed_briefly(size: int, text: str) -> None:
    assert listing.size_text(size) == text


def test_listing_and_finding_open_only_the_records(out: Path, made: object) -> None:
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], (str, os.PathLike)):
            opened.append(os.fspath(arguments[0]))

    sys.addaudithook(watch)
    found = list_runs(out)
    assert complete_run(out, 64 * "0", kind="run", recorded=0) is None
    watching = False
    own = [Path(path) for path in opened if str(out) in path]
    assert sorted(own) == sorted(2 * [run.path / "run.json" for run in found])


def test_other_folders_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "result.json").write_text('{"trials": []}')
    (tmp_path / "20261120-101533-mine").mkdir()
    (tmp_path / "20261120-101533-mine" / "notes.txt").write_text("mine")
    (tmp_path / "20261399-101533-x").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "20261120-101533-link").symlink_to(tmp_path / "photos")
    assert list_runs(tmp_path) == []
    assert "there are no runs" in CliRunner().invoke(app, ["runs", "--out", str(tmp_path)]).stderr
    assert typed("runs", "--out", tmp_path / "nowhere", "--format", "json") == "[]\n"
    assert "not a directory" in typed("runs", "--out", tmp_path / "file", code=1)


def test_control_characters_in_names_are_escaped() -> None:
    run = RunFolder(path=Path("a\x1b[2Jb"), when=NOW, status=RunStatus.COMPLETE)
    lines = ["".join(text for text, _ in line) for line in listing.table([run]).rendered(80)]
    assert "a\\x1b[2Jb" in "".join(lines)
    assert "\x1b" not in "".join(lines)


# Finding


def test_runs_are_found_by_path_prefix_and_latest(out: Path, made: dict[str, Result | ComparisonResult]) -> None:
    folder, newest = folder_of(made["run"]), folder_of(made["comparison"])
    for text in (str(folder), f"{folder}/", folder.name, str(folder)[:-2]):
        assert [run.path for run in find([text], out)] == [folder]
    assert [run.path.resolve() for run in find(["latest"], out)] == [newest.resolve()]
    assert [run.path.resolve() for run in find([str(out / "latest")], Path("elsewhere"))] == [newest.resolve()]
    assert len(find([str(newest), newest.name, "latest"], out)) == 1
    with pytest.raises(ConfigError) as caught:
        find(["20", "1999", str(out), ""], out)
    first, second, third, fourth = (str(problem) for problem in caught.value.problems)
    assert "is a prefix of several names" in first
    assert "no run folder" in second
    assert "is not a run folder" in third
    assert "is not the name of a run" in fourth


def test_without_the_link_latest_is_the_newest_complete_run(out: Path, made: object, tmp_path: Path) -> None:
    for folder in out.iterdir():
        if not folder.is_symlink():
            shutil.copytree(folder, tmp_path / folder.name)
    newest, second, *_ = list_runs(tmp_path)
    assert find(["latest"], tmp_path)[0].path == newest.path
    (newest.path / "run.json").unlink()
    assert find(["latest"], tmp_path)[0].path == second.path


def test_latest_points_to_the_run_completed_last(tmp_path: Path) -> None:
    for _ in range(2):
        folder = folder_of(momentumlab.run(RAVINE, out=tmp_path, plots=False))
        assert (tmp_path / "latest").readlink() == Path(folder.name)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_latest_never_replaces_another_file(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    momentumlab.run(RAVINE, out=tmp_path, plots=False)
    assert not (tmp_path / "latest").is_symlink()


# What is needed


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"beta": [0, 0.8]},
        {"beta": "linspace(0, 0.8, 2)"},
        {"lr": [0.1]},
        {"start": [-2.4, 0.2]},
        {"surface": {"name": "ravine", "a": 0.0625}},
        {"tolerance": None},
        {"momentum": [0, 0.8], "beta": None},
    ],
)
def test_experiments_with_the_same_numbers_have_the_same_identity(change: dict[str, object]) -> None:
    assert identity(momentumlab.load({**RAVINE, **change})) == identity(momentumlab.load(RAVINE))


@pytest.mark.parametrize(
    "change",
    [
        {"beta": [0.8, 0.0]},
        {"beta": 0.8},
        {"beta": [0.0, 0.8000000000000002]},
        {"lr": "cosine(0.1)"},
        {"lr": 0.2},
        {"optimizer": "nesterov"},
        {"surface": "booth"},
        {"surface": {"name": "ravine", "a": 0.1}},
        {"start": [1.0, 1.0]},
        {"start": "random(1)"},
        {"start": "random(1, seed=1)"},
        {"iterations": 13},
        {"tolerance": 0.0},
        {"gradient_tolerance": 1e-6},
        {"target_loss": 0.0},
        {"dialect": "optax"},
        {"noise": 0.1},
        {"noise": "relative(0.1)"},
        {"replicates": 2, "noise": 0.1},
    ],
)
def test_experiments_with_other_numbers_have_another_identity(change: dict[str, object]) -> None:
    assert identity(momentumlab.load({**RAVINE, **change})) != identity(momentumlab.load(RAVINE))


def test_another_version_has_another_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(momentumlab.load(RAVINE))
    monkeypatch.setattr("momentumlab.runs.identity.__version__", "99")
    assert identity(momentumlab.load(RAVINE)) != before


def test_every_record_has_the_identity_of_its_experiment(made: dict[str, Result | ComparisonResult]) -> None:
    for result in made.values():
        run = run_of(folder_of(result))
        assert run.record["identity"] == identity(load_run(run).experiment)


SKIP = ["--surface", "ravine", "--optimizer", "momentum", "--no-plots", "--quiet", "--skip-existing", "--lr"]


def test_skip_existing_reuses_complete_runs_only(tmp_path: Path) -> None:
    def run(rate: str, command: str = "run", *more: str) -> str:
        return typed(command, *SKIP, rate, "--out", tmp_path, *more).strip()

    first = run("0.1")
    assert run("0.1") == run("1e-1", "run", "--name", "other") == first
    assert run("0.2") != first
    assert run("0.1", "sweep") != first, "a sweep's folder has a map, and no paths"
    assert run("0.1", "sweep") == run("0.1", "sweep")
    mapped = run("0.1", "sweep")
    assert run("0.1", "sweep", "--record", "best:1") != mapped, "the paths are missing there"
    flip(Path(first) / NPZ)
    again = run("0.1")
    assert again != first, "damaged"
    (Path(again) / "summary.csv").unlink()
    third = run("0.1")
    assert third not in (first, again)
    (Path(third) / "run.json").rename(Path(third) / ".run.json.1.part")
    assert run("0.1") not in (first, again, third), "interrupted"


def test_skip_existing_reuses_comparisons(tmp_path: Path) -> None:
    words = "compare --optimizers sgd,momentum --budget 4 --no-plots --skip-existing --out"
    arguments = [*words.split(), tmp_path]
    assert typed(*arguments) == typed(*arguments)
    assert len(list_runs(tmp_path)) == 1
    typed("sweep", "--resume", tmp_path, "--skip-existing", code=2)


def test_skip_existing_prints_the_table_of_the_folder(tmp_path: Path) -> None:
    arguments = ["run", "--surface", "booth", "--optimizer", "sgd", "--no-plots", "--out", tmp_path]
    assert typed(*arguments) == typed(*arguments, "--skip-existing")


def test_changed_data_have_another_identity(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    settings = {"surface": {"name": "least_squares", "data": str(table), "target": "y"}, "optimizer": "sgd", "lr": 0.1}
    identities = []
    for last in (3, 4):
        table.write_text(f"x,y\n1,2\n2,3\n3,{last}\n")
        identities.append(identity(momentumlab.load(settings)))
    assert identities[0] != identities[1]


def test_a_changed_plugin_has_another_identity(tmp_path: Path, command: Command) -> None:
    assert command("new", "--optimizer-plugin", "lab.py").returncode == 0
    source = (tmp_path / "lab.py").read_text()
    (name,) = re.findall(r'@optimizer\("(\w+)"', source)
    words = "run --plugin lab.py --surface ravine --no-plots --quiet --skip-existing --optimizer"
    arguments = [*words.split(), name]
    first, again = (command(*arguments).stdout for _ in range(2))
    (tmp_path / "lab.py").write_text(source + "\n# changed\n")
    other = command(*arguments).stdout
    assert first == again != other
