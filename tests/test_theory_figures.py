"""Figures of theory: the drawn numbers are closed forms, and rates of sweeps over one axis are those of runs."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import momentumlab
from momentumlab.cli import app
from momentumlab.errors import ConfigError
from momentumlab.parameters import Array
from momentumlab.report import report_of
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures.maps import map_figures
from momentumlab.theory import trial_rates
from tests.test_figures import assert_text_is_clear, text_of
from tests.test_sweep import PLANE

CURVATURES = (0.125, 18.0)


def heavy_ball_rate(lr: float, beta: float) -> float:
    return max(float(np.abs(np.roots([1, -(1 + beta - lr * c), beta])).max()) for c in CURVATURES)


def prediction(**settings: Any) -> Any:
    return momentumlab.predict(surface="ravine", optimizer="momentum", **settings)


def data(line: Any) -> Array:
    """The points of a line, ``(2, points)``."""
    return np.array([line.get_xdata(), line.get_ydata()], dtype=np.float64)


def test_the_prediction_figure_draws_the_rate_of_heavy_ball_and_its_critical_values() -> None:
    figure = prediction(lr=0.1, beta=0.9).plot()
    assert_text_is_clear(figure)
    over_beta, over_lr, _ = figure.axes
    for panel, settings in ((over_beta, lambda x: (0.1, x)), (over_lr, lambda x: (x, 0.9))):
        curve = data(max(panel.lines, key=lambda line: data(line).shape[1]))[:, ::37]
        assert curve[1] == pytest.approx([heavy_ball_rate(*settings(x)) for x in curve[0]], rel=1e-6)
    critical = [(1 - math.sqrt(0.1 * c)) ** 2 for c in CURVATURES]
    for panel, values in ((over_beta, critical), (over_lr, [2 * 1.9 / 18])):
        places = [data(line)[0] for line in panel.lines if data(line).shape[1] == 2]
        assert sorted(x[0] for x in places if x[0] == x[1]) == pytest.approx(sorted(values), abs=1e-6)


def test_the_prediction_figure_marks_every_setting_and_its_poles() -> None:
    over_beta, _, plane = prediction(lr=0.1, beta=[0.5, 0.9]).plot().axes
    marked = [tuple(data(line)[:, 0]) for line in over_beta.lines if data(line).shape[1] == 1]
    assert marked == [pytest.approx((beta, heavy_ball_rate(0.1, beta)), rel=1e-9) for beta in (0.5, 0.9)]
    poles = {complex(x, y) for line in plane.lines for x, y in data(line).T}
    for beta in (0.5, 0.9):
        for curvature in CURVATURES:
            for root in np.roots([1, -(1 + beta - 0.1 * curvature), beta]):
                assert min(abs(root - pole) for pole in poles) < 1e-6


def test_a_method_without_beta_is_drawn_over_lr_only() -> None:
    figure = momentumlab.predict(surface="ravine", optimizer={"name": "adam", "eps": 1.0}, lr=0.1).plot()
    assert len(figure.axes) == 2
    assert_text_is_clear(figure)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "momentum", "beta": [0.1 * i for i in range(8)]}, "8 settings cannot be distinguished"),
        ({"optimizer": "lion"}, "theory does not apply: the step of lion is not smooth"),
    ],
)
def test_a_prediction_that_cannot_be_drawn_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        momentumlab.predict(surface="ravine", **settings).plot()


def test_predict_writes_its_figure_and_prints_only_data_as_json(tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    arguments = ["predict", "--surface", "ravine", "--optimizer", "momentum", "--plot", "--out", str(file)]
    done = CliRunner().invoke(app, [*arguments, "--format", "json"])
    assert done.exit_code == 0
    assert done.stdout.startswith("{")
    assert str(file) in done.stderr
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_sweep_over_one_axis_draws_the_measured_rate_beside_the_predicted_one() -> None:
    settings: dict[str, Any] = {"surface": "ravine", "optimizer": "momentum", "lr": 0.1, "iterations": 400}
    betas = [0.0, 0.3, 0.6, 0.8, 0.9]
    report = report_of(momentumlab.sweep(settings, beta=betas).result)
    figure = map_figures(report, FigureOptions(theory=True))["curve"]()
    assert_text_is_clear(figure)
    assert "predicted rate" in text_of(figure)
    panel = next(panel for panel in figure.axes if "rate" in panel.get_ylabel())
    measured, predicted = (data(line)[1] for line in panel.lines if data(line).shape[1] == len(betas))
    assert predicted == pytest.approx([heavy_ball_rate(0.1, beta) for beta in betas], rel=1e-9)
    expected = [rate.measured for rate in trial_rates(momentumlab.run(settings, beta=betas))]
    np.testing.assert_array_equal(measured, np.array(expected, dtype=np.float64))


def test_a_noisy_sweep_over_one_axis_says_why_it_has_no_rates() -> None:
    sweep = momentumlab.sweep(surface="ravine", optimizer="sgd", lr=[0.05, 0.1], noise=0.1, iterations=20)
    figure = map_figures(report_of(sweep.result), FigureOptions(theory=True))["curve"]()
    assert "no theory: with noise there is a floor" in text_of(figure).replace("\n", " ")


def test_maps_draw_the_stability_limit_and_critical_damping_between_the_cells() -> None:
    settings = {**PLANE, "lr": "linspace(0.01, 0.3, 61)", "beta": "linspace(0, 0.98, 41)", "iterations": 5}
    report = report_of(momentumlab.run(settings))
    figure = map_figures(report, FigureOptions(theory=True))["map_status"]()
    assert "stability limit" in text_of(figure)
    assert_text_is_clear(figure)

    def points(width: float) -> list[Array]:
        lines: Any = figure.axes[0].collections
        drawn = [line for line in lines if line.get_linewidth()[0] == pytest.approx(width)]
        return [np.concatenate([path.vertices for path in line.get_paths()]) for line in drawn]

    (limit,) = points(1.6)
    assert limit[:, 0] == pytest.approx(2 * (1 + limit[:, 1]) / 18, abs=0.29 / 60)
    for curve, curvature in zip(points(1.2), CURVATURES, strict=True):
        assert np.abs(curve[:, 1] - (1 - np.sqrt(curve[:, 0] * curvature)) ** 2).max() < 0.1 * 0.98 / 40


def test_maps_without_theory_say_why() -> None:
    result = momentumlab.run({**PLANE, "optimizer": "adam", "beta": None, "beta1": "linspace(0, 0.9, 9)"})
    assert "no theory: the step of adam is linear in the gradients only near the minimum" in text_of(
        map_figures(report_of(result), FigureOptions(theory=True))["map_loss"]()
    )


def test_envelopes_touch_their_curves_from_above() -> None:
    result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.1, beta=[0.8, 0.9], iterations=150)
    for figure in (result.plot_velocities(theory=True), result.plot_losses(theory=True)):
        assert "as theory predicts" in text_of(figure)
        assert_text_is_clear(figure)
        for panel in figure.axes:
            curves = [line for line in panel.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 151]  # type: ignore[arg-type]
            dotted = [line for line in panel.lines if line.get_linestyle() == ":"]
            assert len(dotted) in (2, 4)
            for curve in curves:
                own = next(line for line in dotted if line.get_color() == curve.get_color())
                gaps = np.asarray(own.get_ydata())[75:] / np.abs(np.asarray(curve.get_ydata())[75:])
                assert np.nanmin(gaps) == pytest.approx(1, abs=1e-6)


def test_where_theory_does_not_apply_there_is_no_envelope() -> None:
    figure = momentumlab.run(surface="ravine", optimizer="adam").plot_losses(theory=True)
    assert "theory does not apply" in text_of(figure)
