"""Run folders: drawn again, compared, repeated, exported and removed."""

import csv
import io
import json
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

import momentumlab
from momentumlab.cli import app
from momentumlab.config.dump import to_yaml
from momentumlab.errors import ConfigError
from momentumlab.report.figure_options import FigureOptions
from momentumlab.result import Result
from momentumlab.runs import export, unfinished
from momentumlab.runs import write as store
from momentumlab.runs.compare import joined_drawings, side_by_side
from momentumlab.runs.find import find
from momentumlab.runs.layout import only_one
from momentumlab.runs.plot import PNG_SIGNATURE, drawings, read_png
from momentumlab.runs.read import LoadedRun, load_run
from momentumlab.runs.records import RunStatus, list_runs, read_run
from momentumlab.runs.rerun import Verdict, compare_with_folder
from tests.test_runs import forget_sizes, run_of, typed

NAME = "β sweep"


def loaded(out: Path, name: str) -> LoadedRun:
    return load_run(next(run for run in list_runs(out) if run.name == name))


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    source = loaded(out, NAME).run.path
    return Path(shutil.copytree(source, tmp_path / "runs" / source.name))


# Pictures


def test_a_png_carries_its_experiment(out: Path) -> None:
    kept = loaded(out, NAME)
    for path in kept.run.path.glob("*.png"):
        picture = read_png(path)
        assert picture.experiment == to_yaml(kept.experiment)
        assert NAME in picture.experiment
        assert picture.summary["run_folder"] == kept.run.path.name
        assert picture.summary["momentumlab"] == momentumlab.__version__
        assert picture.summary["digest"] == kept.run.record["digest"]
        with Image.open(path) as image:  # another reader of PNG
            image.load()
            assert image.info["momentumlab:experiment"] == picture.experiment
            assert json.loads(image.info["momentumlab:run"]) == picture.summary


def test_the_texts_of_a_png_take_less_than_4_kb_and_change_no_pixel(out: Path, tmp_path: Path) -> None:
    kept = loaded(out, NAME)
    path = kept.run.path / "velocity.png"
    store.write_figure(tmp_path / "plain.png", kept.results[0].plot_velocities())
    assert 0 < path.stat().st_size - (tmp_path / "plain.png").stat().st_size < 4000
    with Image.open(path) as one, Image.open(tmp_path / "plain.png") as other:
        assert one.tobytes() == other.tobytes()


def png(**texts: str) -> bytes:
    """A PNG of one pixel with these texts."""
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_itxt(f"momentumlab:{keyword}", text, zip=True)
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "png", pnginfo=info)
    return buffer.getvalue()


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


SUMMARY = json.dumps({"digest": "0" * 64})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(), "carries no experiment"),
        (png(run=SUMMARY), "carries no experiment"),
        (PNG_SIGNATURE, "cannot be read as a PNG"),
        (png(run=SUMMARY, experiment="x: 1")[:60], "cannot be read as a PNG"),
        (flipped(png(run=SUMMARY, experiment="x: 1"), 80), "cannot be read as a PNG"),
        (png(run=SUMMARY, experiment="x" * 2_000_000), "cannot be read as a PNG"),
        (png(run="[]", experiment="x"), "carries a summary of its run that cannot be read"),
        (png(run="[" * 99999, experiment="x"), "carries a summary of its run that cannot be read"),
        (png(run='{"digest": 1}', experiment="x"), "carries a summary of its run that cannot be read"),
    ],
)
def test_a_png_without_a_readable_experiment_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_png(tmp_path / "picture.png")
    assert typed("runs", "rerun", tmp_path / "picture.png", code=2).startswith(str(tmp_path / "picture.png"))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_survives_in_a_png(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        path.write_bytes(png(run=SUMMARY, experiment=text))
        assert read_png(path).experiment == text


def test_a_run_is_repeated_from_its_png_only(out: Path, tmp_path: Path) -> None:
    shutil.copy(loaded(out, NAME).run.path / "loss.png", tmp_path / "figure.png")
    nowhere = tmp_path / "nowhere"
    printed = typed("runs", "rerun", tmp_path / "figure.png", "--out", nowhere)
    assert printed == f"{tmp_path / 'figure.png'}: identical to the last bit\n"
    assert not nowhere.exists()
    printed = typed("runs", "rerun", tmp_path / "figure.png", "--out", nowhere, "--keep", "--no-plots")
    (again,) = (run for run in list_runs(nowhere))
    assert printed.splitlines()[1] == str(again.path)
    assert again.record["digest"] == loaded(out, NAME).run.record["digest"]


def test_a_png_finds_its_run_folder(out: Path, tmp_path: Path) -> None:
    kept = loaded(out, NAME).run.path
    shutil.copy(kept / "loss.png", tmp_path / "figure.png")
    for picture, where in ((kept / "loss.png", tmp_path), (tmp_path / "figure.png", out)):
        reported = json.loads(typed("runs", "rerun", picture, "--out", where, "--format", "json"))
        assert (reported["run"], reported["verdict"]) == (str(kept), "identical")


# Repetition


@pytest.mark.parametrize("name", [NAME, "sweep", "comparison"])
def test_a_repetition_is_identical(name: str, out: Path) -> None:
    run = loaded(out, name).run
    reported = json.loads(typed("runs", "rerun", run.path, "--format", "json"))
    assert reported["verdict"] == "identical"
    assert (reported["differences"], reported["versions"], reported["run_folder"]) == ([], {}, None)


@pytest.mark.parametrize(
    ("shift", "verdict"), [(1e-13, Verdict.ROUNDING), (1e-3, Verdict.DIFFERENT), (np.nan, Verdict.DIFFERENT)]
)
def test_the_largest_difference_is_reported(shift: float, verdict: Verdict, out: Path) -> None:
    kept = loaded(out, NAME)
    result = kept.results[0]
    positions = result.positions.copy()
    positions[1, 5, 0] += shift
    changed = _with(result, positions)
    found = compare_with_folder(kept, [changed])
    assert found.verdict is verdict
    (difference,) = found.differences
    assert (difference.quantity, difference.trial) == ("position", 1)
    largest = max(abs(float(x)) for entry in result.positions[1] for x in entry)
    moved = abs(float(positions[1, 5, 0]) - float(result.positions[1, 5, 0]))
    if np.isnan(shift):
        assert difference.absolute == np.inf
    else:
        assert difference.absolute == moved > 0
        assert difference.relative == moved / largest
    assert any("position" in line for line in found.lines("it"))


def _with(result: Result, positions: Any) -> Result:
    from dataclasses import replace

    assert result.history is not None
    return replace(result, history=replace(result.history, positions=positions))


def test_differences_are_reported_with_versions_and_exit_code(copy: Path) -> None:
    document = json.loads((copy / "result.json").read_text())
    document["provenance"]["numpy"] = "1.0"
    (copy / "result.json").write_text(json.dumps(document))
    forget_sizes(copy)
    kept = load_run(run_of(copy))
    arrays = {
        name: getattr(kept.results[0], name).copy() for name in ("positions", "velocities", "losses", "iterations")
    }
    arrays["losses"][0, 3] *= 2
    np.savez(copy / "trajectories.npz", **arrays)
    printed = typed("runs", "rerun", copy, code=1)
    assert ": different" in printed
    assert f"numpy was 1.0 and is {np.__version__}" in printed
    assert f"largest difference of a loss: {kept.results[0].losses[0, 3]:.3g} (trial 0" in printed
    reported = json.loads(typed("runs", "rerun", copy, "--format", "json", code=1))
    assert reported["verdict"] == "different"
    assert reported["versions"] == {"numpy": {"then": "1.0", "now": np.__version__}}


def test_trials_with_another_end_are_counted(out: Path) -> None:
    from dataclasses import replace

    kept = loaded(out, "sweep")
    codes = kept.results[0].status_codes.copy()
    codes[:3] = (codes[:3] + 1) % 3
    found = compare_with_folder(kept, [replace(kept.results[0], status_codes=codes)])
    assert (found.verdict, found.changed_ends) == (Verdict.DIFFERENT, 3)


# Figures


def test_figures_drawn_again_are_identical_to_the_byte(out: Path, tmp_path: Path) -> None:
    folder = loaded(out, NAME).run.path
    before = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert {*before} == {"trajectory.png", "velocity.png", "loss.png"}
    printed = typed("runs", "plot", folder, "--to", tmp_path)
    assert printed.splitlines() == [str(tmp_path / name) for name in ("trajectory.png", "velocity.png", "loss.png")]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_figures_are_drawn_with_the_requested_options(copy: Path) -> None:
    typed("runs", "plot", copy, "--only", "velocity", "--svg", "--pdf")
    assert {path.name for path in copy.glob("velocity.*")} == {"velocity.png", "velocity.svg", "velocity.pdf"}
    assert not list(copy.glob("loss.svg"))
    assert (copy / "velocity.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(copy / "loss.png") as image:
        width, height = image.size
    typed("runs", "plot", copy, "--only", "loss", "--dpi", "75")
    with Image.open(copy / "loss.png") as image:
        assert abs(image.size[0] - width / 2) <= 1
        assert abs(image.size[1] - height / 2) <= 1
    assert run_of(copy).status is RunStatus.COMPLETE
    assert read_png(copy / "loss.png").summary["run_folder"] == copy.name


def test_the_view_sets_the_window_of_the_trajectories(out: Path) -> None:
    kept = loaded(out, NAME)
    figure = drawings(kept, FigureOptions(view=((-1.0, 2.0), (-0.5, 0.25))), only=["trajectory"])["trajectory"]()
    assert {(panel.get_xlim(), panel.get_ylim()) for panel in figure.axes} == {((-1.0, 2.0), (-0.5, 0.25))}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sweep", {"map_iterations", "map_loss", "map_status", "trajectory"}),
        (
            "comparison",
            {f"{what}-{where}" for what in ("trajectory", "velocity", "loss") for where in ("ravine", "booth")}
            | {"search", "profiles"},
        ),
    ],
)
def test_every_figure_of_every_kind_can_be_drawn(name: str, expected: set[str], out: Path) -> None:
    every = drawings(loaded(out, name), FigureOptions())
    assert {each for each in every if each not in ("curve", "basins")} == expected
    for draw in every.values():
        assert draw().axes


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (NAME, ["--only", "map_loss"], "no figure 'map_loss'; it has trajectory, velocity, loss"),
        (NAME, ["--view=1,0"], "is not a window"),
        (NAME, ["--view=0,1"], "four numbers"),
        (NAME, ["--view=0,1,0,1", "--only", "loss"], "none is drawn"),
        ("comparison", ["--theory"], "does not apply"),
        (NAME, ["--dpi", "100", "--svg"], "--dpi"),
    ],
)
def test_figures_that_cannot_be_drawn_are_refused(
    name: str, arguments: list[str], message: str, out: Path, tmp_path: Path
) -> None:
    assert message in typed("runs", "plot", loaded(out, name).run.path, *arguments, "--to", tmp_path / "x", code=2)
    assert not (tmp_path / "x").exists()


# Side by side


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a shell loop over β leaves, the last with a schedule and fewer iterations."""
    folder = tmp_path_factory.mktemp("loop")
    betas: list[float | str] = [0.0, 0.5, 0.9, "linear(0, 0.9)"]
    for i, beta in enumerate(betas):
        momentumlab.run(
            surface="ravine",
            optimizer="momentum",
            lr=0.1,
            beta=beta,
            iterations=20 - 5 * (i == 3),
            name=f"loop{i}",
            out=folder,
            plots=False,
        )
    return folder


def test_a_loop_becomes_one_table(loop: Path) -> None:
    runs = [run.path for run in reversed(list_runs(loop))]
    lines = typed("runs", "compare", *runs[:3]).splitlines()
    assert lines[0] == "ravine · momentum · lr = 0.1 · 3 runs"
    assert lines[1].split() == ["β", "iterations", "final", "loss", "final", "point", "status", "run"]
    assert [line.split()[0] for line in lines[2:]] == ["0", "0.5", "0.9"]
    heading = typed("runs", "compare", *runs).splitlines()[1]
    assert heading.split()[:3] == ["β", "at", "most"]
    document = json.loads(typed("runs", "compare", *runs, "--format", "json"))
    assert document["differing"] == ["beta", "at most"]
    kept = [json.loads((path / "result.json").read_text())["trials"][0] for path in runs]
    own = [{key: value for key, value in row.items() if key in kept[0]} for row in document["trials"]]
    assert own == kept
    rows = list(csv.DictReader(io.StringIO(typed("runs", "compare", *runs, "--format", "csv"))))
    assert [float(row["final_loss"]) for row in rows] == [trial["final_loss"] for trial in kept]
    assert [row["run_folder"] for row in rows] == [*map(str, runs)]


def test_a_loop_becomes_one_figure(loop: Path, tmp_path: Path) -> None:
    runs = [load_run(run) for run in find([str(run.path) for run in reversed(list_runs(loop))], loop)]
    drawn = joined_drawings(side_by_side(runs), "together", FigureOptions())
    assert [*drawn] == ["together", "together-velocity"]
    (panel,) = drawn["together"]().axes
    curves = [np.asarray(line.get_xydata()) for line in panel.get_lines()]
    for curve, each in zip(curves, runs, strict=True):
        result = each.results[0]
        np.testing.assert_array_equal(curve[:, 0], np.arange(result.iterations[0] + 1))
        np.testing.assert_allclose(curve[:, 1], result.losses[0], rtol=1e-15)
    legend = drawn["together"]().legends[0]
    assert [text.get_text() for text in legend.get_texts()][:2] == ["β = 0, at most = 20", "β = 0.5, at most = 20"]
    printed = typed("runs", "compare", *(each.run.path for each in runs), "--figure", tmp_path / "new" / "all.png")
    assert printed.splitlines()[-2:] == [str(tmp_path / "new" / f"all{end}.png") for end in ("", "-velocity")]
    assert all(path.read_bytes().startswith(PNG_SIGNATURE) for path in (tmp_path / "new").iterdir())


def test_equal_runs_are_labelled_by_their_folders(out: Path, copy: Path) -> None:
    twice = side_by_side([loaded(out, NAME), load_run(run_of(copy))])
    assert twice.differing == ["beta"]
    assert all(copy.name in label for label in twice.labels)


def test_an_optional_term_that_one_run_uses_is_a_column(tmp_path: Path) -> None:
    for decay in (0.0, 0.1):
        momentumlab.run(surface="ravine", optimizer="sgd", lr=0.1, weight_decay=decay, out=tmp_path, plots=False)
    assert side_by_side([load_run(run) for run in list_runs(tmp_path)]).differing == ["weight_decay"]


def test_curves_that_cannot_share_an_axis_are_refused(out: Path, tmp_path: Path) -> None:
    momentumlab.run(surface="parabola", optimizer="sgd", lr=0.1, out=tmp_path, plots=False)
    sweep, plain = loaded(out, "sweep").run.path, loaded(out, NAME).run.path
    assert "no trajectories" in typed("runs", "compare", sweep, "--figure", tmp_path / "x.png", code=2)
    assert "ends in .png" in typed("runs", "compare", plain, "--figure", tmp_path / "x.svg", code=2)
    (line,) = list_runs(tmp_path)
    assert "coordinates" in typed("runs", "compare", plain, line.path, "--figure", tmp_path / "x.png", code=2)
    assert "trials by final loss" in typed("runs", "compare", plain, sweep)


# Export


@pytest.mark.parametrize("name", [NAME, "comparison"])
def test_the_exported_table_is_the_history(name: str, out: Path, tmp_path: Path) -> None:
    kept = loaded(out, name)
    printed = typed("runs", "export", kept.run.path)
    assert typed("runs", "export", kept.run.path, "--to", tmp_path / "long.csv").strip() == str(tmp_path / "long.csv")
    assert (tmp_path / "long.csv").read_text() == printed
    rows = iter(csv.DictReader(io.StringIO(printed)))
    for result in kept.results:
        for number in range(result.trials):
            trial = result.plan.trial(number)
            for entry in range(int(result.iterations[number]) + 1):
                row = next(rows)
                assert (int(row["trial"]), int(row["iteration"])) == (number, entry)
                assert (row["optimizer"], row["surface"]) == (trial.optimizer, trial.surface)
                assert row["lr"] == str(trial.hyperparameters["lr"])
                for i in range(result.plan.dimension):
                    assert float(row[f"point_{i}"]) == result.positions[number, entry, i]
                    assert float(row[f"velocity_{i}"]) == result.velocities[number, entry, i]
                assert float(row["loss"]) == result.losses[number, entry]
            assert row["status"] == result.status_of(number).label
    assert next(rows, None) is None


def test_a_sweep_exports_the_final_state_of_each_trial(out: Path) -> None:
    kept = loaded(out, "sweep")
    rows = list(csv.DictReader(io.StringIO(typed("runs", "export", kept.run.path))))
    assert [float(row["loss"]) for row in rows] == kept.results[0].final_losses.tolist()
    assert [int(row["iteration"]) for row in rows] == kept.results[0].iterations.tolist()


def test_parquet_has_the_same_rows(out: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    kept = loaded(out, "comparison")
    typed("runs", "export", kept.run.path, "--to", tmp_path / "long.parquet")
    table = parquet.read_table(tmp_path / "long.parquet").to_pylist()
    expected = list(export.rows(kept.results))
    assert len(table) == len(expected)
    for row, own in zip(table, expected, strict=True):
        assert {key: value for key, value in row.items() if value is not None} == {
            key: str(value) if key == "lr" else value for key, value in own.items() if value is not None
        }


def test_without_pyarrow_parquet_is_refused_with_a_remedy(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    folder = loaded(out, NAME).run.path
    assert "pip install pyarrow" in typed("runs", "export", folder, "--to", tmp_path / "x.parquet", code=2)
    assert "ends in .csv or .parquet" in typed("runs", "export", folder, "--to", tmp_path / "x.txt", code=2)


# Removal


def test_removal_requires_yes(copy: Path) -> None:
    assert "--yes" in typed("runs", "rm", copy, code=2)
    assert copy.exists()
    assert typed("runs", "rm", "2", "--out", copy.parent, "--yes") == f"{copy}\n"
    assert list(copy.parent.iterdir()) == []


@pytest.mark.parametrize(("answer", "is_gone"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_removal_asks(answer: str, is_gone: bool, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from momentumlab.cli import runs as archive

    monkeypatch.setattr(archive, "is_interactive", lambda: True)
    typed("runs", "rm", copy, answer=answer)
    assert copy.exists() is not is_gone


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        ".notes",
        "loss_annotated.png",
        "trajectory-for-paper-edited.pdf",
        "best_guess_notes.yaml",
        "loss.svg",
        ".loss_edited.png.1.part",
    ],
)
def test_files_that_the_record_does_not_list_are_never_removed(foreign: str, copy: Path) -> None:
    (copy / foreign).write_text("mine")
    before = sorted(copy.rglob("*"))
    assert f"files that momentumlab did not write ({foreign})" in typed("runs", "rm", copy, "--yes", code=1)
    assert sorted(copy.rglob("*")) == before


@pytest.mark.parametrize("foreign", ["folder", "link", "folder in blocks", "file in blocks", "link as blocks"])
def test_links_and_folders_are_never_removed_or_followed(foreign: str, copy: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "0.npz").write_text("years")
    if foreign == "folder in blocks":
        (copy / "blocks" / "mine").mkdir(parents=True)
    elif foreign == "file in blocks":
        (copy / "blocks").mkdir()
        (copy / "blocks" / "mine.npz").write_text("mine")
    elif foreign == "link as blocks":
        (copy / "blocks").symlink_to(precious)
    elif foreign == "link":
        (copy / "loss.png").unlink()
        (copy / "loss.png").symlink_to(precious / "0.npz")
    else:
        (copy / "summary").mkdir()
    before = sorted(copy.rglob("*"))
    assert "did not write" in typed("runs", "rm", copy, "--yes", code=1)
    assert sorted(copy.rglob("*")) == before
    assert (precious / "0.npz").read_text() == "years"
    typed("runs", "rm", precious, "--yes", code=2)
    assert precious.exists()


def test_a_link_to_a_run_folder_is_not_removed(copy: Path, tmp_path: Path) -> None:
    link = tmp_path / "runs" / "20260101-000000-link"
    link.symlink_to(copy)
    assert "symbolic link" in typed("runs", "rm", link, "--yes", code=1)
    assert load_run(run_of(link)).results[0].trials == load_run(run_of(copy)).results[0].trials


def test_a_folder_without_a_readable_record_is_not_removed(copy: Path) -> None:
    (copy / "run.json").write_text("{}")
    assert "has no readable record of its files" in typed("runs", "rm", copy, "--yes", code=1)
    assert (copy / "trajectories.npz").exists()


def test_a_folder_with_foreign_files_does_not_keep_the_others(out: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for run in list_runs(out):
        shutil.copytree(run.path, runs / run.path.name)
    kept, *others = (run.path for run in list_runs(runs))
    (kept / "notes.txt").write_text("mine")
    done = CliRunner().invoke(app, ["runs", "rm", *map(str, [kept, *others]), "--yes"])
    assert (done.exit_code, done.stdout.splitlines()) == (1, [str(path) for path in others])
    assert "notes.txt" in done.stderr
    assert [*runs.iterdir()] == [kept]


def test_figures_drawn_again_belong_to_the_run_but_never_replace_a_users_file(copy: Path) -> None:
    (copy / "loss.svg").write_text("mine")
    assert "was not written by momentumlab" in typed("runs", "plot", copy, "--svg", code=1)
    assert (copy / "loss.svg").read_text() == "mine"
    (copy / "loss.svg").unlink()
    typed("runs", "plot", copy, "--svg")
    typed("runs", "rm", copy, "--yes")
    assert not copy.exists()


def test_latest_points_to_the_newest_run_that_is_left(tmp_path: Path) -> None:
    for name in ("a", "b"):
        momentumlab.run(surface="booth", optimizer="sgd", iterations=1, name=name, out=tmp_path, plots=False)
    typed("runs", "rm", "latest", "--out", tmp_path, "--yes")
    (left,) = list_runs(tmp_path)
    assert left.name == "a"
    assert (tmp_path / "latest").resolve() == left.path.resolve()
    typed("runs", "rm", "latest", "--out", tmp_path, "--yes")
    assert list(tmp_path.iterdir()) == []


def test_unfinished_sweeps_are_removed_only_on_request_and_never_while_they_run(tmp_path: Path) -> None:
    experiment = momentumlab.load(surface="ravine", optimizer="momentum", lr="linspace(0.01, 0.1, 7)", name="half")
    folder = unfinished.begin_run(experiment, tmp_path, datetime.now(), 4)
    run = run_of(folder)
    assert (run.status, run.is_resumable, run.trials, run.name) == (RunStatus.INTERRUPTED, True, 7, "half")
    assert (run.surfaces, run.optimizers) == (("ravine",), ("momentum",))
    assert "sweep --resume" in typed("runs", "show", folder, code=1)
    assert typed("runs", "clean", "--out", tmp_path, "--yes") == ""
    with only_one(folder):
        assert run_of(folder).status is RunStatus.RUNNING
        assert typed("runs", "clean", "--partial", "--out", tmp_path, "--yes") == ""
        assert "is running" in typed("runs", "rm", folder, "--yes", code=1)
    assert folder.exists()
    assert typed("runs", "clean", "--partial", "--out", tmp_path, "--yes") == f"{folder}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_vanishes_while_it_is_listed_is_no_error(copy: Path) -> None:
    shutil.rmtree(copy)
    assert read_run(copy) is None


def test_the_real_command_reports_an_error_in_one_line(tmp_path: Path) -> None:
    import subprocess

    command = [str(Path(sys.executable).with_name("momentumlab")), "runs", "show", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
