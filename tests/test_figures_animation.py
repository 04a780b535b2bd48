"""Animations, opened frame by frame."""

import errno
import io
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import momentumlab
from momentumlab.cli import app
from momentumlab.errors import MomentumLabError, OutputError
from momentumlab.report import report_of
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import animation, style
from momentumlab.report.figures.animation import frame_iterations, frames, write_animation
from momentumlab.runs import write as store

EXPERIMENT = {"surface": "ravine", "optimizers": ["momentum", "adam"], "lr": 0.1, "iterations": 30}
COLORS = {"momentum": style.COLORS[0], "adam": style.COLORS[1]}


@pytest.fixture(scope="module")
def result() -> momentumlab.Result:
    return momentumlab.run(EXPERIMENT)


def animated(result: momentumlab.Result, kind: str = "gif", **options: Any) -> Image.Image:
    file = io.BytesIO()
    write_animation(report_of(result), file, kind=kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def pictures(image: Image.Image) -> list[np.ndarray[Any, Any]]:
    every = []
    for number in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(number)
        every.append(np.asarray(image.convert("RGB"), dtype=np.int64))
    return every


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_every_iteration_is_a_frame_and_the_last_one_is_held(kind: str, result: momentumlab.Result) -> None:
    image = animated(result, kind, fps=10, hold_last=1.5)
    assert image.format == ("GIF" if kind == "gif" else "PNG")
    assert image.size == (800, 500)
    durations = []
    for number in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(number)
        durations.append(image.info["duration"])
    assert durations == [100] * 30 + [1600]
    assert image.info.get("loop") == 0


def test_long_runs_are_shown_at_evenly_spaced_iterations() -> None:
    shown = frame_iterations(report_of(momentumlab.run(EXPERIMENT, iterations=1000)))
    assert (len(shown), shown[0], shown[-1]) == (100, 0, 1000)
    assert set(np.diff(shown)) <= {10, 11}


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_each_frame_has_a_marker_at_the_iterate_of_each_trial(kind: str, result: momentumlab.Result) -> None:
    report = report_of(result)
    options = FigureOptions(size=animation.SIZE, panels="one")
    with style.styled(options):
        _, pens, _ = animation._background(report, options)
    places = {pen.color: pen.points for pen in pens[:2]}
    for iteration, picture in enumerate(pictures(animated(result, kind))):
        # Momentum is drawn first, so the marker of Adam may cover its own.
        x, y = places[COLORS["adam"]][iteration]
        color = np.array(to_rgb(COLORS["adam"])) * 255
        assert np.abs(picture[499 - round(y - 0.5), round(x - 0.5)] - color).max() < 20


def test_lines_grow_and_nothing_else_changes(result: momentumlab.Result) -> None:
    every = pictures(animated(result))
    blue = np.array(to_rgb(COLORS["momentum"])) * 255

    def area(picture: np.ndarray[Any, Any]) -> int:
        return int((np.abs(picture - blue).max(axis=2) < 20).sum())

    legend = area(every[0])
    areas = np.array([area(picture) for picture in every]) - legend
    assert areas[-1] > 10 * areas[1] > 0
    assert (np.diff(areas) > -150).all()  # a marker may cover a piece of a line
    changed = np.any([np.any(picture != every[0], axis=2) for picture in every], axis=0)
    assert not changed[:60].any()  # title and legend
    assert not changed[-30:].any()  # axis labels


def test_the_first_frame_shows_the_whole_trajectories_faintly(result: momentumlab.Result) -> None:
    first = next(frames(report_of(result), FigureOptions()))[..., :3].astype(np.int64)
    report = report_of(result)
    options = FigureOptions(size=animation.SIZE, panels="one")
    with style.styled(options):
        canvas, pens, _ = animation._background(report, options)
        canvas.draw()
    momentum = pens[0]
    # Halfway between two iterates that are far apart, the line is bluer than its surroundings.
    far = int(np.argmax(np.hypot(*np.diff(momentum.points[3:], axis=0).T))) + 3
    x, y = (momentum.points[far] + momentum.points[far + 1]) / 2
    column, row = round(x - 0.5), 499 - round(y - 0.5)
    around = first[row - 12 : row + 13, column - 12 : column + 13].reshape(-1, 3)
    assert first[row - 1 : row + 2, column - 1 : column + 2, 0].min() < np.median(around[:, 0]) - 15


@pytest.mark.parametrize(
    "settings",
    [
        {"surface": "parabola", "optimizer": "momentum", "lr": 0.1, "beta": [0.5, 0.9]},
        {"surface": "rosenbrock", "optimizer": "adam", "start": [-1, 1, 0.5]},
        {"surface": "ravine", "optimizer": "sgd", "lr": [0.05, 0.5]},
        {"surface": "himmelblau", "optimizer": "momentum", "lr": 0.005, "start": "random(10)"},
        {"surface": "ravine", "optimizer": "sgd", "iterations": 0},
    ],
    ids=["one dimension", "three dimensions", "diverging", "many starts", "no iterations"],
)
def test_all_kinds_of_runs_can_be_animated(settings: dict[str, Any]) -> None:
    result = momentumlab.run({"iterations": 8, **settings})
    image = animated(result)
    assert getattr(image, "n_frames", 1) == int(result.iterations.max()) + 1


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_failed_write_leaves_no_part_and_keeps_the_old_file(
    kind: str, result: momentumlab.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / f"race.{kind}"
    path.write_bytes(b"old")
    monkeypatch.setattr(animation, "_write_images", full)
    monkeypatch.setattr(animation, "_write_video", full)
    with pytest.raises(OutputError, match="no space left"):
        result.save_animation(path)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {path.name: b"old"}


def test_a_video_without_ffmpeg_names_the_remedies(
    result: momentumlab.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MomentumLabError, match=r"momentumlab\[video\]; .gif and .apng need no other program"):
        result.save_animation(tmp_path / "race.mp4")
    command = ["run", "--surface", "ravine", "--optimizer", "sgd", "--out", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as ended:
        app([*command, "--animate", str(tmp_path / "race.mp4")])
    assert ended.value.code == 1
    assert "MP4 needs ffmpeg" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


FAKE_FFMPEG = """\
#!{python}
import sys
data = sys.stdin.buffer.read()
size = sys.argv[sys.argv.index("-s") + 1]
width, height = map(int, size.split("x"))
sys.stdout.write(f"{{size}} {{len(data) / (4 * width * height)}} {{sys.argv[sys.argv.index('-r') + 1]}}")
"""


def test_ffmpeg_gets_every_frame_and_the_last_one_repeatedly(
    result: momentumlab.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(FAKE_FFMPEG.format(python=sys.executable))
    program.chmod(0o755)
    fake = ModuleType("imageio_ffmpeg")
    fake.get_ffmpeg_exe = lambda: str(program)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", fake)
    path = result.save_animation(tmp_path / "race.mp4", fps=10, hold_last=2, size=(8.01, 5.01))
    assert path.read_text() == "800x500 51.0 10"  # 31 frames and 20 more, of even size


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_video_has_every_frame_and_holds_the_last_one(result: momentumlab.Result, tmp_path: Path) -> None:
    path = result.save_animation(tmp_path / "race.mp4", fps=10, hold_last=1)
    decode = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    decoded = subprocess.run(decode, capture_output=True, check=True).stdout
    shown = np.frombuffer(decoded, np.uint8).reshape(-1, 500, 800, 3).astype(int)
    drawn = [picture[..., :3].astype(int) for picture in frames(report_of(result), FigureOptions())]
    assert len(shown) == 31 + 10
    for number, picture in enumerate(shown):
        expected = drawn[min(number, 30)]
        # Compression changes every pixel a little; a wrong frame would change those of its lines a lot.
        assert np.abs(picture - expected).mean() < 3
        differing = np.abs(expected - drawn[(number + 10) % 31]).max(axis=2) > 100
        assert np.abs(picture - expected)[differing].mean() < 40


def test_invalid_options_are_refused(result: momentumlab.Result, tmp_path: Path) -> None:
    for wrong in ({"fps": 0.0}, {"hold_last": 100.0}, {"trials": (7,)}):
        with pytest.raises(ValueError, match=r"frames per second|held|no trial 7"):
            result.save_animation(tmp_path / "race.gif", **wrong)
    with pytest.raises(ValueError, match="unknown format 'avi'"):
        result.save_animation(tmp_path / "race.avi")
    assert not list(tmp_path.iterdir())


def test_a_run_is_animated_again_from_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, again = tmp_path / "first.gif", tmp_path / "again.gif"
    arguments = ["--surface", "ravine", "--optimizer", "sgd,adam", "--iterations", "5", "--out", str(tmp_path / "runs")]
    app(["run", *arguments, "--no-plots", "--animate", str(first)], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-1] == str(first)
    app(["runs", "plot", "latest", "--out", str(tmp_path / "runs"), "--animate", str(again)], standalone_mode=False)
    assert first.read_bytes() == again.read_bytes()


def test_a_sweep_without_trajectories_cannot_be_animated(tmp_path: Path) -> None:
    experiment = {"surface": "ravine", "optimizer": "sgd", "lr": [0.1, 0.2], "iterations": 5}
    sweep = momentumlab.sweep(experiment, out=tmp_path, plots=False)
    loaded = momentumlab.open_run(tmp_path / "latest")
    assert type(loaded) is type(sweep)
    with pytest.raises(SystemExit):
        app(["runs", "plot", "latest", "--out", str(tmp_path), "--animate", str(tmp_path / "x.gif")])
    assert not (tmp_path / "x.gif").exists()
    assert store.figure_files({}, FigureOptions()) == []
