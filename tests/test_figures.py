"""Figures: what they must show, and that nothing in them overlaps or is cut off."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

import momentumlab
from momentumlab.report import report_of
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import loss_figure, map_figures, surface_figure, thumbnail
from momentumlab.report.figures.contours import bounding_box, contours, coordinate_plane, path_window, principal_plane
from momentumlab.report.figures.map_panels import CellAxis
from momentumlab.report.figures.style import ordered_colors, power_of_ten
from momentumlab.report.figures.surface import FORMULA_SIZE
from momentumlab.report.figures.trials import select_trials
from momentumlab.result import Status
from momentumlab.search.planes import GridAxis
from momentumlab.surfaces import SURFACES
from momentumlab.surfaces.quadratics import Quadratic, Ravine
from tests.conftest import CONFIGS

RAVINE = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "iterations": 40}
RICH: dict[str, dict[str, Any]] = {
    "one trial": RAVINE,
    "forty trials": {**RAVINE, "beta": "linspace(0, 0.99, 40)"},
    "long labels": {
        "surface": {"name": "quadratic", "eigenvalues": [0.123456, 17.654321], "rotation": 12.345},
        "optimizers": ["sgd", {"name": "adam", "beta2": [0.9, 0.99, 0.999]}, "nesterov"],
        "lr": [0.012345, 0.098765],
        "start": [[-2.4, 2.0], [1.23456, -2.34567]],
        "iterations": 30,
    },
    "all diverged": {**RAVINE, "lr": [0.5, 1.0]},
    "some diverged": {**RAVINE, "lr": [0.1, 0.5]},
    "one dimension": {"surface": "parabola", "optimizer": "momentum", "lr": 0.1, "beta": [0, 0.9], "iterations": 30},
    "one dimension, diverged": {"surface": "parabola", "optimizer": "sgd", "lr": 2.0, "iterations": 30},
    "five dimensions": {"surface": "rosenbrock", "optimizers": ["adam", "sgd"], "start": [-1, 1, 0.5, 0, 2.0]},
    "no minimum": {"surface": "saddle", "optimizers": ["sgd", "momentum"], "lr": 0.05, "iterations": 200},
    "no iterations": {**RAVINE, "iterations": 0},
    "not moving": {**RAVINE, "lr": 0.0},
    "surface axis": {**RAVINE, "surface": {"name": "ravine", "b": [1.0, 9.0]}},
    "far away": {**RAVINE, "start": [1e9, 1e9]},
    "schedules": {**RAVINE, "lr": ["warmup(10, cosine(0.1, 0.001))", 0.05], "beta": [0.5, "linear(0.1, 0.9)"]},
    "schedules in one dimension": {"surface": "parabola", "optimizer": "adam", "lr": "step(0.5, every=20)"},
}

every_result = pytest.mark.parametrize("settings", [pytest.param(s, id=name) for name, s in RICH.items()])


def figures_of(result: momentumlab.Result) -> list[Figure]:
    return [result.plot_trajectories(), result.plot_velocities(), result.plot_losses()]


def texts_of(figure: Figure) -> Iterator[Text]:
    """All visible text but tick labels, of which those at the edge of a panel are drawn clipped."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for panel in figure.axes:
        yield from (panel.title, panel._left_title, panel.xaxis.label, panel.yaxis.label, *panel.texts)  # type: ignore[attr-defined]


def points_in(line: Line2D) -> int:
    return len(np.asarray(line.get_xdata()))


def text_of(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts_of(figure))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_no_text_of_a_shipped_figure_overlaps_or_is_cut_off(config: Any) -> None:
    for figure in figures_of(momentumlab.run(config)):
        assert_text_is_clear(figure)


@every_result
def test_no_text_overlaps_or_is_cut_off(settings: dict[str, Any]) -> None:
    for figure in figures_of(momentumlab.run(settings)):
        assert_text_is_clear(figure)


def assert_text_is_clear(figure: Figure) -> None:
    figure.draw_without_rendering()  # the layout without the pixels, in half the time
    boxes = [
        (text.get_text().strip(), text.get_window_extent()) for text in texts_of(figure) if text.get_text().strip()
    ]
    ticks = [
        (f"tick {label.get_text()}", label.get_window_extent())
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for label in axis.get_ticklabels()
        if label.get_visible() and label.get_text() and _is_shown(panel, axis, label)
    ]
    width, height = figure.canvas.get_width_height()
    for name, box in [*boxes, *ticks]:
        assert box.x0 >= -1, f"{name!r} is cut off"
        assert box.y0 >= -1, f"{name!r} is cut off"
        assert box.x1 <= width + 1, f"{name!r} is cut off"
        assert box.y1 <= height + 1, f"{name!r} is cut off"
    for i, (name, box) in enumerate(boxes):
        for other, other_box in [*boxes[i + 1 :], *ticks]:
            across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
            along = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
            assert min(across, along) <= 2, f"{name!r} overlaps {other!r}"


def _is_shown(panel: Axes, axis: Any, label: Text) -> bool:
    position = label.get_position()[0 if axis is panel.xaxis else 1]
    low, high = sorted(axis.get_view_interval())
    visible: bool = axis.get_tick_params().get("labelbottom" if axis is panel.xaxis else "labelleft", True)
    return visible and low <= position <= high


@every_result
def test_all_panels_share_window_and_scale(settings: dict[str, Any]) -> None:
    panels = momentumlab.run(settings).plot_trajectories().axes
    assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1


def test_a_trial_has_the_same_colour_in_all_figures() -> None:
    result = momentumlab.run(RAVINE, beta=[0.0, 0.5, 0.9])
    trajectory, velocity, loss = figures_of(result)
    expected = ordered_colors(3)
    assert [panel._left_title.get_color() for panel in trajectory.axes] == expected  # type: ignore[attr-defined]
    for figure in (velocity, loss):
        for panel in figure.axes:
            curves = [line for line in panel.get_lines() if points_in(line) == 41]
            assert [line.get_color() for line in curves] == expected


def test_curves_hold_the_recorded_numbers() -> None:
    result = momentumlab.run(RAVINE, beta=0.9)
    _, velocity, loss = figures_of(result)
    for coordinate, panel in enumerate(velocity.axes):
        drawn = panel.get_lines()[-1].get_ydata()
        np.testing.assert_array_equal(drawn, result.velocities[0, :, coordinate])
    np.testing.assert_array_equal(loss.axes[0].get_lines()[-1].get_ydata(), result.losses[0])
    assert loss.axes[0].get_yscale() == "log"


def test_start_end_and_minimum_are_marked() -> None:
    result = momentumlab.run(RAVINE)
    (panel,) = result.plot_trajectories().axes
    marks = {
        line.get_marker(): (float(np.asarray(line.get_xdata())[0]), float(np.asarray(line.get_ydata())[0]))
        for line in panel.get_lines()
        if points_in(line) == 1
    }
    assert marks == {"*": (0, 0), "o": (-2.4, 0.2)}
    (end,) = [
        each for each in panel.collections if isinstance(each, PathCollection) and np.size(each.get_offsets()) == 2
    ]
    np.testing.assert_allclose(np.asarray(end.get_offsets()), result.final_points[:1])
    assert "start" in text_of(result.plot_trajectories())


def test_steps_are_points_while_there_are_few() -> None:
    def markers(iterations: int) -> set[str]:
        (panel,) = momentumlab.run(RAVINE, iterations=iterations).plot_trajectories().axes
        return {str(line.get_marker()) for line in panel.get_lines() if points_in(line) > 1}

    assert "o" in markers(50)
    assert "o" not in markers(2000)


def test_the_window_grows_to_hold_the_path_up_to_a_limit() -> None:
    surface = SURFACES["ravine"]()
    (_, right), _ = surface.window(2)
    near, far = np.array([[2.0 * right, 0.0]]), np.array([[0.0, 0.0], [100.0 * right, 0.0]])
    assert path_window(surface, [near])[0][1] > 2.0 * right
    assert path_window(surface, [far]) == surface.window(2)
    figure = momentumlab.run(RAVINE, lr=[0.1, 0.5]).plot_trajectories()
    leaving = ["the trajectory leaves the window" in [text.get_text() for text in panel.texts] for panel in figure.axes]
    assert leaving == [False, True]


def test_short_paths_are_enlarged_together_with_their_minimum() -> None:
    surface = SURFACES["cubic"]()
    (left, right), (bottom, top) = path_window(surface, [np.array([[0.5, 0.5], [0.99, 0.01]])])
    assert right - left < 2
    assert (left, bottom) < (0.5, 0)
    assert (right, top) > (1, 0.5)


def test_the_height_of_the_contours_follows_the_logarithm_above_the_minimum() -> None:
    surface = SURFACES["ravine"]()
    land = contours([surface], coordinate_plane(), ((-3, 3), (-0.5, 0.5)))[0]
    heights = surface.value(np.stack(np.meshgrid(np.linspace(-3, 3, 200), np.linspace(-0.5, 0.5, 200))).reshape(2, -1))
    heights = heights.reshape(200, 200)
    inside = (land.shade > 0) & (land.shade < 1)
    slope = np.polyfit(np.log(heights[inside]), land.shade[inside], 1)
    np.testing.assert_allclose(np.polyval(slope, np.log(heights[inside])), land.shade[inside], atol=1e-9)
    assert (land.shade < 0.15).mean() > 0.0005  # the floor is visible
    assert land.shade.max() == 1


def test_heights_are_measured_from_the_minimum() -> None:
    window = ((0.5, 1.5), (-0.5, 0.5))
    land = contours([SURFACES["cubic"]()], coordinate_plane(), window)[0]  # minimum −5 at (1, 0)
    floor = np.unravel_index(land.shade.argmin(), land.shade.shape)
    assert np.abs(np.array(floor) - 99.5).max() < 2
    assert land.shade.min() < 0.05
    assert land.shade.max() == 1


def test_the_local_minima_of_rastrigin_are_visible() -> None:
    surface = SURFACES["rastrigin"]()
    land = contours([surface], coordinate_plane(), ((-4.975, 4.975), (-4.975, 4.975)))[0]  # 20 points a unit
    at = {place: np.argmin(np.abs(np.linspace(-4.975, 4.975, 200) - place)) for place in (0.0, 3.0, 3.5)}
    dimple, rim, floor = (land.shade[at[place], at[place]] for place in (3.0, 3.5, 0.0))
    assert rim - dimple > 5 * (land.levels[1] - land.levels[0])
    assert floor == land.shade.min()
    assert np.mean(land.shade > 0.75) < 0.5
    heights = surface.value(np.stack(np.meshgrid(*[np.linspace(-4.975, 4.975, 200)] * 2)).reshape(2, -1))
    order = np.argsort(heights)
    assert (np.diff(land.shade.ravel()[order]) >= -1e-12).all()  # a higher place is never paler


def test_a_plateau_has_few_contours() -> None:
    land = contours([SURFACES["plateau"]()], coordinate_plane(), SURFACES["plateau"]().window(2))[0]
    assert np.mean(land.shade > land.levels[-2]) > 0.5


@pytest.mark.parametrize("name", ["goldstein_price", "levy"])
def test_long_formulas_fit(name: str) -> None:
    figure = surface_figure(SURFACES[name]())
    (panel,) = figure.axes
    (formula,) = (text for text in figure.findobj(Text) if text.get_text() == f"${SURFACES[name].latex}$")
    assert FORMULA_SIZE / 3 < float(formula.get_fontsize()) < FORMULA_SIZE
    assert formula.get_window_extent().x1 <= panel.get_window_extent().x1 + 1


def test_panels_of_different_surfaces_have_one_scale() -> None:
    gentle, steep = (Ravine(b=np.array(b)) for b in (1.0, 9.0))
    shades = [land.shade for land in contours([gentle, steep], coordinate_plane(), ((-3, 3), (-1, 1)))]
    axis = [shade[99:101, 170].mean() for shade in shades]  # along y = 0 both surfaces are the same
    assert axis[0] == pytest.approx(axis[1], abs=1e-3)
    assert shades[0].max() < shades[1].max() == 1


def test_many_dimensions_are_drawn_on_the_principal_plane() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    flat = rng.normal(size=(50, 2)) * [5.0, 1.0]
    path = 3.0 + flat @ basis[:2]
    plane = principal_plane([path], center=path[-1])
    np.testing.assert_allclose(plane.lift(plane.project(path).T).T, path, atol=1e-12)
    np.testing.assert_allclose(plane.axes.T @ plane.axes, np.eye(2), atol=1e-12)
    assert abs(plane.axes[:, 0] @ basis[0]) > 0.9
    figure = momentumlab.run(RICH["five dimensions"]).plot_trajectories()
    assert "5 dimensions, projected on the first two principal directions" in text_of(figure)


def test_the_legend_has_a_star_only_where_one_is_seen() -> None:
    near = momentumlab.run(
        {**RAVINE, "surface": {"name": "quadratic", "eigenvalues": [1.0, 2.0, 3.0]}}, start=[1, 1, 1]
    )
    assert "known minimum, projected" in text_of(near.plot_trajectories())
    assert "known minimum" not in text_of(momentumlab.run({**RAVINE, "surface": "saddle"}).plot_trajectories())


def test_a_window_around_a_single_point_is_not_empty() -> None:
    (left, right), (bottom, top) = bounding_box([np.zeros((1, 2))])
    assert left < right
    assert bottom < top


def test_figures_of_many_trials_show_the_best_the_worst_and_some_between() -> None:
    result = momentumlab.run(RICH["forty trials"])
    trajectory, velocity, loss = figures_of(result)
    assert len(trajectory.axes) == 12
    for figure in (trajectory, velocity, loss):
        assert "12 of 40 trials, evenly spaced in rank from best to worst" in text_of(figure)
    best, worst = result.ranking()[[0, -1]]
    for number in (best, worst):
        assert f"β = {result.plan.trial(number).hyperparameters['beta']:.4g}" in text_of(trajectory)


def test_one_dimension_gets_the_graph_of_the_loss_with_the_iterates_on_it() -> None:
    result = momentumlab.run(RICH["one dimension"])
    for trial, panel in enumerate(result.plot_trajectories().axes):
        graph, path = panel.get_lines()[0], next(line for line in panel.get_lines() if line.get_marker() == "o")
        x, y = np.asarray(graph.get_xdata()), np.asarray(graph.get_ydata())
        np.testing.assert_allclose(y, x**2)
        np.testing.assert_array_equal(path.get_xdata(), result.positions[trial, :, 0])
        np.testing.assert_array_equal(path.get_ydata(), result.losses[trial])


def test_diverging_trials_do_not_hide_the_others() -> None:
    result = momentumlab.run(RICH["some diverged"])
    _, velocity, loss = figures_of(result)
    assert velocity.axes[1].get_ylim()[1] < 100
    assert loss.axes[0].get_ylim()[1] < 1000
    assert "curves are cut at the edge of the scale" in text_of(loss)


def test_diverging_members_do_not_hide_their_bundle() -> None:
    result = momentumlab.run(surface="rosenbrock", optimizer="momentum", lr=1e-3, beta=[0.5, 0.9], start="random(30)")
    assert (result.status_codes == Status.DIVERGED.code).any()
    _, velocity, loss = figures_of(result)
    for panel in velocity.axes:
        assert max(np.abs(panel.get_ylim())) < 1e4
    (panel,) = loss.axes
    assert panel.get_yscale() == "log"
    assert panel.get_ylim()[0] < np.median(result.final_losses.reshape(2, 30), axis=1).min()
    assert panel.get_ylim()[1] < 1e7


def test_a_growing_trial_and_a_jump_do_not_hide_the_others() -> None:
    growing = momentumlab.run({**RAVINE, "iterations": 150}, lr=[0.11, 0.112, 0.212], beta=0.9)
    alone = momentumlab.run({**RAVINE, "iterations": 150}, lr=[0.11, 0.112], beta=0.9)
    (limit, reference) = (figures_of(each)[1].axes[1].get_ylim()[1] for each in (growing, alone))
    assert limit < 3 * reference
    optimizers = [{"name": "rmsprop", "lr": 1.34}, {"name": "sgd", "lr": 0.09}, {"name": "adam", "lr": 0.15}]
    result = momentumlab.run({"surface": "ravine", "iterations": 100, "optimizers": optimizers})
    for panel, steps in zip(figures_of(result)[1].axes, np.abs(result.velocities[0] * 1.34).T, strict=True):
        assert panel.get_ylim()[1] < np.nanmax(steps) / 3


def test_a_long_title_is_broken_between_its_clauses() -> None:
    result = momentumlab.sweep({**RAVINE, "name": "the_long_name_of_a_sweep_over_lr"}, lr=[0.1, 0.2, 0.3]).result
    (draw,) = map_figures(report_of(result)).values()
    assert "ravine,\nfrom (-2.4, 0.2), at most 40 iterations" in text_of(draw())


def test_titles_of_maps_name_what_is_fixed_and_the_lines_below_do_not_repeat_it() -> None:
    settings = {**RAVINE, "surface": ["ravine", "booth"], "lr": "geomspace(0.01, 0.1, 5)", "beta": [0.0, 0.5, 0.9]}
    for draw in map_figures(report_of(momentumlab.sweep(settings).result)).values():
        figure = draw()
        text = text_of(figure)
        assert text.count("surface = ravine") == text.count("surface = booth") == 1
        assert "best: lr = " in text
        assert "diverged" not in text, "no cell diverged"
        assert len({panel._left_title.get_position()[1] for panel in figure.axes}) <= 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SURFACES)
def test_every_surface_can_be_drawn(name: str) -> None:
    figure = surface_figure(SURFACES[name]())
    assert_text_is_clear(figure)
    assert "default start" in text_of(figure)


def test_thumbnails_are_filled_by_the_surface() -> None:
    figure = thumbnail(SURFACES["ravine"]())
    assert figure.canvas.get_width_height() == (320, 240)
    assert figure.axes[0].get_position().bounds == (0, 0, 1, 1)
    assert not text_of(figure).strip()


def test_a_surface_of_three_dimensions_cannot() -> None:
    with pytest.raises(ValueError, match="3 dimensions"):
        surface_figure(Quadratic(eigenvalues=(1.0, 2.0, 3.0)))


@pytest.mark.parametrize(("value", "text"), [(1e-3, "10⁻³"), (100.0, "10²"), (-1e12, "−10¹²"), (0.0, "0"), (20.0, "")])
def test_powers_of_ten(value: float, text: str) -> None:
    assert power_of_ten(value) == text


def test_settings_of_matplotlib_are_neither_used_nor_changed() -> None:
    import matplotlib as mpl

    with mpl.rc_context({"lines.linewidth": 9.0, "axes.grid": True}):
        figure = momentumlab.run(RAVINE).plot_losses()
        assert mpl.rcParams["lines.linewidth"] == 9.0
    assert figure.axes[0].get_lines()[-1].get_linewidth() == 1.5


FOREIGN = "$\\undefined$ \x1b[31m" + "long " * 12


def test_foreign_text_is_drawn_literally(tmp_path: Path) -> None:
    """Dollar signs do not start mathtext, control characters are escaped, and long names are shortened."""
    data = tmp_path / "$\\undefined$.csv"
    with data.open("w") as file:
        csv.writer(file).writerows([["a", "b", "y"], [0, 1, 2], [1, 0, 3], [2, 2, 5]])
    surface = {"name": "least_squares", "data": str(data), "target": "y"}
    result = momentumlab.run(surface=surface, optimizer="sgd", lr=[0.01, 0.02], iterations=5)
    for figure in [*figures_of(result), result.plot_training()]:
        assert_text_is_clear(figure)
        assert "$\\undefined$.csv" in text_of(figure)


def test_foreign_names_of_a_sweep_and_of_labels_are_drawn_literally() -> None:
    result = momentumlab.run({**RAVINE, "name": FOREIGN, "lr": [0.1, 0.2], "beta": [0.0, 0.5]})
    for draw in map_figures(report_of(result)).values():
        figure = draw()
        assert_text_is_clear(figure)
        assert "$\\undefined$" in text_of(figure)
        assert "\x1b" not in text_of(figure)
    report = report_of(momentumlab.run(RAVINE, beta=[0.0, 0.5]))
    selection = select_trials(report, FigureOptions(), lambda trial: f"{FOREIGN * 3} {trial.number}")
    figure = loss_figure(report, selection=selection)
    assert_text_is_clear(figure)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert all("$\\undefined$" in label and "…" in label and "\x1b" not in label for label in labels)
    assert labels[0][-1] != labels[1][-1], "what tells labels apart is at their end"


BACKENDS = ["nonsense", "module://matplotlib_inline.backend_inline", "module://", "qtagg", "inline", " ", "agg"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_figures_do_not_depend_on_the_backend_of_the_environment(backend: str, tmp_path: Path) -> None:
    program = (
        "from momentumlab.report.figures.backend import DisplayFigure;"
        f"figure = DisplayFigure(2, 2); figure.savefig({str(tmp_path / 'figure.png')!r})"
    )
    environment = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_backend_of_the_environment_is_kept_for_the_figures_of_the_user() -> None:
    program = (
        "import momentumlab.report.figures, matplotlib, os; assert os.environ['MPLBACKEND'] == 'svg';"
        "assert matplotlib.get_backend() == 'svg'"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "MPLBACKEND": "svg"}, check=True)


def test_notebooks_show_figures_once_and_without_pyplot() -> None:
    figure = momentumlab.run(RAVINE).plot_losses()
    png, size = figure._repr_png_()  # type: ignore[attr-defined]
    assert png.startswith(b"\x89PNG")
    assert size["width"] == round(96 * figure.get_figwidth())
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_an_optimizer_has_the_same_colour_in_every_figure() -> None:
    def colors(names: list[str]) -> dict[str, Any]:
        figure = momentumlab.run(RAVINE, optimizer=names).plot_losses()
        (legend,) = figure.legends
        labels = [text.get_text().split(",")[0] for text in legend.get_texts()]
        return dict(zip(labels, (line.get_color() for line in legend.get_lines()), strict=True))

    both, reordered = colors(["sgd", "adam"]), colors(["nesterov", "adam", "momentum", "sgd"])
    assert both.items() <= reordered.items()
    assert len(set(reordered.values())) == 4


def test_optimizers_with_different_learning_rates_are_compared_by_their_steps() -> None:
    experiment = {**RAVINE, "optimizers": [{"name": "sgd", "lr": 0.1}, {"name": "adam", "lr": 0.3}]}
    result = momentumlab.run({key: value for key, value in experiment.items() if key not in ("optimizer", "lr")})
    for coordinate, panel in enumerate(result.plot_velocities().axes):
        assert panel.get_title("left") == f"step along {'xy'[coordinate]}"
        for trial, lr in enumerate([0.1, 0.3]):
            drawn = np.asarray(panel.get_lines()[trial + 1].get_ydata())
            np.testing.assert_allclose(drawn, lr * result.velocities[trial, :, coordinate])


def test_many_coordinates_are_drawn_along_the_principal_directions_of_the_trajectories() -> None:
    experiment = {"surface": "nesterov_worst_case", "start": [1, 2, 3, 4, 5], "optimizer": "momentum", "lr": 0.3}
    result = momentumlab.run(experiment, beta=0.9, iterations=30)
    # The principal directions are the eigenvectors of the scatter matrix about the final point.
    centred = result.positions[0] - result.final_points[0]
    directions = np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1].T
    panels = result.plot_velocities().axes
    for panel, direction in zip(panels, directions, strict=True):
        drawn = np.asarray(panel.get_lines()[1].get_ydata())
        expected = result.velocities[0] @ direction
        np.testing.assert_allclose(drawn * np.sign(drawn @ expected), expected, atol=1e-12)
        assert "velocity along" in panel.get_title("left")


def test_a_diverging_trial_does_not_change_the_principal_plane() -> None:
    experiment = {"surface": {"name": "quadratic", "eigenvalues": [1, 2, 3]}, "optimizer": "sgd", "start": [1, 1, 1]}
    alone = momentumlab.run(experiment, lr=0.1, iterations=40).plot_trajectories().axes[0]
    beside = momentumlab.run(experiment, lr=[0.1, 2.0], iterations=40).plot_trajectories().axes[0]
    assert alone.get_xlim() == pytest.approx(beside.get_xlim())
    assert alone.get_ylim() == pytest.approx(beside.get_ylim())


def test_a_stepwise_schedule_is_drawn_as_stairs() -> None:
    figure = momentumlab.run(RAVINE, lr="step(0.1, every=20)").plot_velocities()
    (line,) = figure.axes[-1].get_lines()
    assert line.get_drawstyle() == "steps-mid"
    smooth = momentumlab.run(RAVINE, lr="cosine(0.1, 0.001)").plot_velocities()
    assert smooth.axes[-1].get_lines()[0].get_drawstyle() == "default"


def test_values_that_are_even_in_their_complement_are_drawn_on_that_scale() -> None:
    axis = GridAxis(name="beta2", values=(0.0, 0.9, 0.99, 0.999))
    np.testing.assert_allclose(np.diff(CellAxis(axis).positions), 1.0)
