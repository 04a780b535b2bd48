"""Options of figures: overlay, texts, sizes, styles and formats, on the command line and in Python."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import momentumlab
from momentumlab.cli import app
from momentumlab.cli.options import FigureArguments
from momentumlab.report import report_of
from momentumlab.report.figure_options import FigureError, FigureOptions, FigureSettings, size_of, window_of
from momentumlab.report.figures import velocity_figure
from momentumlab.report.figures.contours import contours, coordinate_plane
from momentumlab.report.figures.histories import BINS
from momentumlab.report.figures.style import COLORS, ordered_colors
from momentumlab.report.figures.trials import select_trials
from momentumlab.runs.plot import save_figure
from momentumlab.surfaces import SURFACES
from tests.test_figures import assert_text_is_clear, figures_of, text_of

BETAS = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "iterations": 40, "beta": [0.0, 0.5, 0.9]}
MIXED = {
    "surface": "ravine",
    "optimizers": ["sgd", {"name": "momentum", "beta": 0.8}, {"name": "adam", "eps": 1e-6}],
    "lr": 0.1,
    "iterations": 40,
}


@pytest.fixture(scope="module")
def betas() -> momentumlab.Result:
    return momentumlab.run(BETAS)


def panels_of(figure: Figure) -> list[Any]:
    return figure.axes


# Overlay


@pytest.mark.parametrize("options", [{"panels": "one"}, {"view": "overlay"}])
def test_an_overlay_draws_all_trajectories_in_one_panel(options: Any, betas: momentumlab.Result) -> None:
    figure = betas.plot_trajectories(**options)
    (panel,) = figure.axes
    paths = {line.get_color(): np.asarray(line.get_xydata()) for line in panel.get_lines()}
    for number, color in enumerate(ordered_colors(3)):
        np.testing.assert_array_equal(paths[color], betas.positions[number])
    (legend,) = figure.legends[:1]
    assert [text.get_text() for text in legend.get_texts()] == ["β = 0", "β = 0.5", "β = 0.9"]
    assert_text_is_clear(figure)


def test_surfaces_cannot_share_a_panel() -> None:
    result = momentumlab.run(BETAS, settings={"surface.b": [1.0, 9.0]})
    with pytest.raises(FigureError, match="different surfaces"):
        result.plot_trajectories(panels="one")


def test_arrows_point_along_the_trajectory() -> None:
    result = momentumlab.run(surface="ravine", optimizer="sgd", lr=0.01, iterations=200)
    (panel,) = result.plot_trajectories().axes
    (arrows,) = [each for each in panel.collections if type(each).__name__ == "Quiver"]
    path = result.positions[0]
    for place, u, v in zip(np.asarray(arrows.get_offsets()), arrows.U, arrows.V, strict=True):  # type: ignore[attr-defined]
        nearest = int(((path - place) ** 2).sum(axis=1).argmin())
        step = path[nearest + 1] - path[nearest - 1]
        assert np.dot(step, (u, v)) > 0.9 * np.hypot(*step)


def test_arrows_of_an_overlay_lie_on_the_trajectories_of_their_colour(betas: momentumlab.Result) -> None:
    (panel,) = betas.plot_trajectories(panels="one").axes
    (arrows,) = [each for each in panel.collections if type(each).__name__ == "Quiver"]
    paths = {to_rgb(color): betas.positions[number] for number, color in enumerate(ordered_colors(3))}
    low, high = np.array([panel.get_xlim(), panel.get_ylim()]).T
    assert {tuple(color[:3]) for color in np.asarray(arrows.get_facecolor())} == set(paths)
    for place, color in zip(np.asarray(arrows.get_offsets()), np.asarray(arrows.get_facecolor()), strict=True):
        path = (paths[tuple(color[:3])] - low) / (high - low)
        begin, step = path[:-1], np.diff(path, axis=0)
        distances = [distance_to_segment((place - low) / (high - low), b, s) for b, s in zip(begin, step, strict=True)]
        assert min(distances) < 1e-9


def test_arrows_of_a_trajectory_that_leaves_the_window_lie_on_it() -> None:
    result = momentumlab.run(surface="ravine", optimizer="rmsprop", lr=1.34, iterations=100)
    (panel,) = result.plot_trajectories().axes
    (arrows,) = [each for each in panel.collections if type(each).__name__ == "Quiver"]
    path, places = result.positions[0], np.asarray(arrows.get_offsets())
    assert len(places)
    for place in places:
        assert panel.viewLim.contains(*place)
        distances = [distance_to_segment(place, b, s) for b, s in zip(path[:-1], np.diff(path, axis=0), strict=True)]
        assert min(distances) < 1e-9 * np.abs(path).max()


def distance_to_segment(point: Any, begin: Any, step: Any) -> float:
    share = np.clip(np.dot(point - begin, step) / max(np.dot(step, step), 1e-300), 0, 1)
    return float(np.hypot(*(point - begin - share * step)))


@pytest.mark.parametrize("name", ["himmelblau", "ravine", "booth", "six_hump_camel"])
def test_stars_are_at_the_known_minima(name: str) -> None:
    (panel,) = momentumlab.run(surface=name, optimizer="sgd", lr=1e-3, iterations=5).plot_trajectories().axes
    (stars,) = [line for line in panel.get_lines() if line.get_marker() == "*"]
    known = [each.point for each in SURFACES[name]().minima(2)]
    np.testing.assert_array_equal(np.asarray(stars.get_xydata()), known)


def test_the_star_of_many_dimensions_is_the_projected_minimum() -> None:
    experiment = {"surface": "nesterov_worst_case", "start": [1, 2, 3, 4, 5], "optimizer": "momentum", "lr": 0.3}
    result = momentumlab.run(experiment, beta=0.5, iterations=40)
    (panel,) = result.plot_trajectories().axes
    (star,) = [line for line in panel.get_lines() if line.get_marker() == "*"]
    # Distances in the plane: those of the projections on the eigenvectors of the scatter matrix.
    centred = result.positions[0] - result.final_points[0]
    plane = np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]
    (minimum,) = SURFACES["nesterov_worst_case"]().minima(5)
    expected = np.abs((np.array(minimum.point) - result.final_points[0]) @ plane)
    drawn = np.abs(np.asarray(star.get_xydata())[0] - end_of(panel))
    np.testing.assert_allclose(drawn, expected, atol=1e-9)


def end_of(panel: Any) -> Any:
    (end,) = [
        each for each in panel.collections if isinstance(each, PathCollection) and np.size(each.get_offsets()) == 2
    ]
    return np.asarray(end.get_offsets())[0]


# Colours and titles


def test_an_ordered_setting_has_a_sequential_scale(betas: momentumlab.Result) -> None:
    selection = select_trials(report_of(betas), FigureOptions())
    assert [one.color for one in selection.trials] == ordered_colors(3)
    schedules = momentumlab.run(BETAS, beta=["linear(0, 0.9)", 0.5])
    selection = select_trials(report_of(schedules), FigureOptions())
    assert [one.color for one in selection.trials] == list(COLORS[:2])


@pytest.mark.parametrize("others", [["sgd"], ["nesterov", "lion", "adagrad"], ["lion", "sgd", "rmsprop", "adamw"]])
def test_an_optimizer_keeps_its_colour_whatever_it_is_compared_with(others: list[str]) -> None:
    result = momentumlab.run(surface="ravine", optimizer=[*others, "adam"], lr=0.1, iterations=5)
    selection = select_trials(report_of(result), FigureOptions())
    (adam,) = (one for one in selection.trials if one.trial.optimizer == "adam")
    assert (adam.color, adam.line_style) == (COLORS[1], "-")
    assert len({(one.color, str(one.line_style)) for one in selection.trials}) == len(selection.trials)


def test_titles_name_only_settings_of_all_trials() -> None:
    result = momentumlab.run(MIXED)
    report = report_of(result)
    assert report.figure_title == "ravine · lr = 0.1"
    assert report.title == "ravine · lr = 0.1, β = 0.8 (momentum), ε = 1e-06 (adam)"
    labels = [one.label for one in select_trials(report, FigureOptions()).trials]
    assert labels == ["sgd", "momentum, β = 0.8", "adam, ε = 1e-06"]


def test_trajectories_have_the_formula_with_its_values(betas: momentumlab.Result) -> None:
    assert "f = a x² + b y²,  a = 0.0625,  b = 9" in text_of(betas.plot_trajectories())


def test_stretched_axes_are_declared_and_equal_axes_are_equal(betas: momentumlab.Result) -> None:
    figure = betas.plot_trajectories(panels="one")
    figure.canvas.draw()
    panel = figure.axes[0]
    box = panel.get_window_extent()
    ratio = (box.height / np.ptp(panel.get_ylim())) / (box.width / np.ptp(panel.get_xlim()))
    assert f"vertical axis stretched {ratio:.2g} ×" in text_of(figure)
    equal = betas.plot_trajectories(panels="one", equal=True)
    equal.canvas.draw()
    box = equal.axes[0].get_window_extent()
    panel = equal.axes[0]
    assert box.height / np.ptp(panel.get_ylim()) == pytest.approx(box.width / np.ptp(panel.get_xlim()), rel=1e-6)
    assert "stretched" not in text_of(equal)


@pytest.mark.parametrize("name", ["ravine", "rastrigin", "saddle", "cubic"])
def test_the_scale_gives_the_loss_of_each_shade(name: str) -> None:
    surface = SURFACES[name]()
    window = surface.window(2)
    ground = contours([surface], coordinate_plane(), window)[0]
    u, v = (np.linspace(*ends, length) for ends, length in zip(window, ground.shade.shape[::-1], strict=True))
    heights = surface.value(np.stack(np.meshgrid(u, v)).reshape(2, -1)).reshape(ground.shade.shape)
    for level, loss in list(zip(ground.levels, ground.losses, strict=True))[1:-1]:
        spread = np.abs(ground.shade - level)
        near = spread <= np.partition(spread.ravel(), 20)[20]
        assert heights[near].min() - 0.05 * np.ptp(heights) <= loss <= heights[near].max() + 0.05 * np.ptp(heights)
    assert (np.diff(ground.losses) >= 0).all()


# Bundles and long runs


def test_many_starts_are_a_bundle_with_its_median() -> None:
    result = momentumlab.run(surface="himmelblau", optimizer="momentum", lr=0.005, start="random(20)", iterations=30)
    figure = result.plot_losses()
    panel = figure.axes[0]
    *_, median = panel.get_lines()
    lowest = 0.0
    np.testing.assert_allclose(np.asarray(median.get_ydata()), np.median(result.losses, axis=0) - lowest)
    assert "medians of 20 starts" in text_of(figure)
    trajectories = result.plot_trajectories()
    assert len(trajectories.axes) == 1
    assert "20 starts, median loss" in text_of(trajectories)
    for each in figures_of(result):
        assert_text_is_clear(each)


def test_long_curves_are_drawn_as_their_range() -> None:
    result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.1, beta=0.999, iterations=5000)
    panel = velocity_figure(report_of(result)).axes[1]
    (band,) = panel.collections
    vertices: Any = band.get_paths()[0].vertices
    velocities = result.velocities[0, :, 1]
    assert len(vertices) < 3 * BINS
    assert vertices[:, 1].min() == pytest.approx(velocities.min())
    assert vertices[:, 1].max() == pytest.approx(velocities.max())


def test_a_long_decay_does_not_cut_the_transient() -> None:
    result = momentumlab.run(surface="ravine", optimizer="sgd", lr=0.1, iterations=3000)
    for coordinate, panel in enumerate(velocity_figure(report_of(result)).axes):
        low, high = panel.get_ylim()
        assert low <= result.velocities[0, :, coordinate].min()
        assert high >= result.velocities[0, :, coordinate].max()


def test_a_diverging_trajectory_is_drawn_until_it_leaves_the_window() -> None:
    result = momentumlab.run(surface="ravine", optimizer="sgd", lr=0.5, iterations=100)
    (panel,) = result.plot_trajectories().axes
    path = np.asarray(panel.get_lines()[-2].get_xydata())
    low, high = np.array([panel.get_xlim(), panel.get_ylim()]).T
    outside = ((path < low) | (path > high)).any(axis=1)
    assert outside.tolist() == [False] * (len(path) - 1) + [True]


# Texts, selection and size


def test_titles_labels_and_trials_can_be_chosen(betas: momentumlab.Result) -> None:
    figure = betas.plot_losses(trials=[0, 2], labels=["none", "much"], title="Two values of β")
    assert text_of(figure).splitlines()[0] == "Two values of β"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["none", "much"]
    curves = [np.asarray(line.get_ydata()) for line in figure.axes[0].get_lines()]
    np.testing.assert_array_equal(curves, betas.losses[[0, 2]])
    plain = betas.plot_trajectories(title="")
    assert "ravine" not in text_of(plain)
    assert "f =" not in text_of(plain)
    for each in (figure, plain):
        assert_text_is_clear(each)


def test_a_title_may_hold_mathematics(betas: momentumlab.Result) -> None:
    (title, *_) = betas.plot_losses(title=r"$f(x) = x^2$").texts
    assert title.get_parse_math()
    (title, *_) = betas.plot_losses(title="costs $5").texts
    assert not title.get_parse_math()


def test_panels_are_arranged_in_columns(betas: momentumlab.Result) -> None:
    figure = betas.plot_trajectories(columns=1)
    assert len({round(panel.get_position().x0, 6) for panel in figure.axes}) == 1
    assert_text_is_clear(figure)


@pytest.mark.parametrize("size", ["16:9", "4:3", "8x5", (6.0, 4.0)])
def test_figures_have_the_size_that_is_asked_for(size: Any, betas: momentumlab.Result) -> None:
    expected = size_of(size) if isinstance(size, str) else size
    for figure in (betas.plot_losses(size=size), betas.plot_velocities(size=size), betas.plot_trajectories(size=size)):
        assert tuple(figure.get_size_inches()) == expected
        assert_text_is_clear(figure)


@pytest.mark.parametrize("draw", ["plot_losses", "plot_velocities", "plot_trajectories"])
def test_axis_labels_survive_a_small_size(draw: str, betas: momentumlab.Result) -> None:
    for figure in (getattr(betas, draw)(), getattr(betas, draw)(size="column")):
        figure.set_size_inches(3.3, 2.4)
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        for panel in figure.axes:
            box = panel.get_window_extent()
            assert box.width > 20
            assert box.height > 40
            for label in (panel.xaxis.label, panel.yaxis.label):
                if label.get_text():
                    edges = label.get_window_extent()
                    assert edges.x0 >= -1
                    assert edges.x1 <= width + 1
                    assert edges.y0 >= -1
                    assert edges.y1 <= height + 1


def test_the_font_size_scales_all_text(betas: momentumlab.Result) -> None:
    small, large = betas.plot_losses(font_size=8), betas.plot_losses(font_size=16)
    for one, other in zip(small.texts, large.texts, strict=True):
        assert float(other.get_fontsize()) > 1.5 * float(one.get_fontsize())
    assert large.axes[0].xaxis.label.get_fontsize() == 16
    assert_text_is_clear(large)


def test_a_style_overrides_the_rc_params(betas: momentumlab.Result, tmp_path: Path) -> None:
    file = tmp_path / "mine.mplstyle"
    file.write_text("axes.facecolor: fff0e0\nxtick.direction: in\nfont.size: 13\n")
    for style in (file, str(file), {"axes.facecolor": "#fff0e0", "font.size": 13}):
        figure = betas.plot_losses(style=style)
        assert mpl.colors.to_hex(figure.axes[0].get_facecolor()) == "#fff0e0"
        assert figure.axes[0].xaxis.label.get_fontsize() == 13
    with pytest.raises(FigureError, match="no such file"):
        betas.plot_losses(style=tmp_path / "other.mplstyle")


@pytest.mark.parametrize("draw", ["plot_losses", "plot_trajectories"])
def test_figures_are_drawn_on_given_axes(draw: str, betas: momentumlab.Result) -> None:
    figure = Figure()
    first, second = figure.subplots(1, 2)
    assert getattr(betas, draw)(ax=second) is figure
    assert second.get_lines()
    assert not first.get_lines()
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["β = 0", "β = 0.5", "β = 0.9"]
    assert second.get_xlabel()
    assert second.get_title("left").startswith("ravine")


def test_velocities_need_axes_for_each_coordinate(betas: momentumlab.Result) -> None:
    figure = Figure()
    axes = figure.subplots(2, 1)
    betas.plot_velocities(ax=axes)
    assert all(len(panel.get_lines()) == 4 for panel in axes)
    with pytest.raises(FigureError, match="2 panels, but 1 axes are given"):
        betas.plot_velocities(ax=axes[0])


# Formats


def saved(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    save_figure(figure, file, kind=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_equal_figures_have_equal_bytes(kind: str, betas: momentumlab.Result) -> None:
    first, second = (saved(betas.plot_trajectories(), kind) for _ in range(2))
    assert first == second
    assert b"CreationDate" not in first


def test_pdf_has_truetype_fonts(betas: momentumlab.Result) -> None:
    content = saved(betas.plot_losses(), "pdf")
    assert b"/Type3" not in content.replace(b" ", b"")
    assert b"/FontFile2" in content


# The same options everywhere


def test_python_and_the_command_line_have_the_same_options() -> None:
    options = {field.name for field in dataclasses.fields(FigureOptions)}
    assert FigureSettings.__annotations__.keys() == options - {"kinds", "dpi"}  # of files, which commands write
    arguments = {field.name for field in dataclasses.fields(FigureArguments)}
    assert arguments == options - {"theory", "kinds"} | {"no_title", "svg", "pdf"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "big"], "--size: 'big' is not a size: write 16:9, 4:3, column, or inches such as 8x5"),
        (["--size", "900x5"], "--size: the size 900x5 is not between 1 and 50 inches"),
        (["--view", "1,2,3"], "--view: '1,2,3' is not a window: write low,high of each axis"),
        (["--font-size", "0"], "--font-size: '0' is not a font size from 4 to 40 points"),
        (["--trials", "a"], "--trials: 'a' is not a list of trial numbers such as 0,2,5"),
        (["--trials", "3"], "there is no trial 3: trials are numbered from 0 to 0"),
        (["--style", "no.mplstyle"], "the style file no.mplstyle cannot be read: no such file"),
        (["--title", "a", "--no-title"], "--no-title: contradicts --title"),
        (["--pdf", "--dpi", "300"], "--dpi: applies to PNG only; leave out --svg and --pdf"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_computed(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--surface", "ravine", "--optimizer", "sgd", "--out", str(tmp_path / "runs"), *arguments]
    with pytest.raises(SystemExit) as ended:
        app(command)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_options_that_do_not_fit_a_figure_leave_it_out_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--surface", "ravine", "--optimizer", "sgd", "--set", "surface.b=[1,9]", "--panels", "one"]
    with pytest.warns(UserWarning, match=r"trajectory.png is left out: the trials have different surfaces"):
        app([*command, "--out", str(tmp_path), "--quiet"], standalone_mode=False)
    folder = Path(capsys.readouterr().out.strip())
    assert {path.name for path in folder.glob("*.png")} == {"velocity.png", "loss.png"}
    with pytest.raises(SystemExit):
        app(["runs", "plot", str(folder), "--panels", "one"])
    assert "the trials have different surfaces" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--surface", "ravine", "--optimizer", "sgd"],
        ["sweep", "--surface", "ravine", "--optimizer", "momentum", "--lr", "0.1,0.2", "--beta", "0,0.5"],
        ["compare", "--optimizer", "sgd,adam", "--budget", "4", "--iterations", "10"],
        ["tune", "--surface", "ravine", "--optimizer", "sgd", "--budget", "4", "--zooms", "0", "--iterations", "10"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_draws_takes_the_options(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--size", "4x3", "--dpi", "50", "--title", "mine"]
    app([*command, "--out", str(tmp_path), "--quiet", *options], standalone_mode=False)
    pictures = list(Path(capsys.readouterr().out.strip()).glob("*.png"))
    assert pictures
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size == (200, 150)


@pytest.mark.parametrize(
    "command",
    [["show", "surface", "himmelblau", "--plot"], ["show", "optimizer", "momentum", "--response", "--beta", "0,0.9"]],
    ids=lambda command: command[1],
)
def test_show_takes_the_options(command: list[str], tmp_path: Path) -> None:
    app([*command, "--out", str(tmp_path / "x.png"), "--size", "4x3", "--pdf", "--svg"], standalone_mode=False)
    assert {path.name for path in tmp_path.iterdir()} == {"x.pdf", "x.svg"}


def test_a_run_of_pdf_figures_records_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(
        ["run", "--surface", "ravine", "--optimizer", "sgd", "--out", str(tmp_path), "--quiet", "--pdf"],
        standalone_mode=False,
    )
    folder = Path(capsys.readouterr().out.strip())
    names = {path.name for path in folder.iterdir()}
    assert {"trajectory.pdf", "velocity.pdf", "loss.pdf"} <= names
    assert not any(name.endswith(".png") for name in names)
    app(["runs", "rm", str(folder), "--yes"], standalone_mode=False)
    assert not folder.exists()


@pytest.mark.parametrize(("text", "window"), [("-3,3", ((-3, 3),)), ("-3,3,-1,1", ((-3, 3), (-1, 1)))])
def test_windows_are_read(text: str, window: Any) -> None:
    assert window_of(text) == window
    assert FigureOptions(view=text).window == window
