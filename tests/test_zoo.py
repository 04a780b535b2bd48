"""The zoo: every counterexample shows what docs/zoo.md states."""

import math
from pathlib import Path

import numpy as np
import pytest

import momentumlab
from momentumlab.result import Result, Status
from momentumlab.theory import lr_limits
from tests.conftest import ROOT
from tests.test_theory import made

ZOO = ROOT / "configs" / "zoo"


def zoo(name: str, **overrides: object) -> Result:
    return momentumlab.run(ZOO / f"{name}.yaml", **overrides)  # type: ignore[arg-type]


def test_every_example_is_documented_with_a_figure() -> None:
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    for config in ZOO.glob("*.yaml"):
        assert f"configs/zoo/{config.name}" in page
        assert f"images/zoo_{config.stem}.png" in page
        assert (ROOT / "docs" / "images" / f"zoo_{config.stem}.png").exists()


def test_heavy_ball_enters_a_limit_cycle_on_a_strongly_convex_function() -> None:
    """The cycle of Lessard, Recht and Packard, {792, −2208, 2592} / 1225."""
    result = zoo("heavy_ball_cycle", iterations=400)
    cycle = np.sort(np.array([-2208, 792, 2592]) / 1225)
    assert abs(result.final_points[0, 0]) < 1e-12
    for number in (1, 2, 3):
        assert np.sort(result.positions[number, -3:, 0]) == pytest.approx(cycle, abs=1e-9)


def test_transient_growth_is_proportional_to_the_root_of_kappa() -> None:
    """In the steep direction the eigenvalue is double, and |x| grows as k √β^k, up to √κ / e."""
    peaks = []
    for kappa in (1e2, 1e4, 1e6):
        root = math.sqrt(kappa)
        result = momentumlab.run(
            surface={"name": "quadratic", "eigenvalues": [1.0, kappa]}, optimizer="momentum", start=[1.0, 1.0],
            lr=4 / (root + 1) ** 2, beta=((root - 1) / (root + 1)) ** 2, iterations=int(10 * root),
        )  # fmt: skip
        peaks.append(float(np.abs(result.positions[0]).max()) / root)
        assert np.abs(result.final_points).max() < 1e-3
    assert peaks[2] == pytest.approx(1 / math.e, rel=0.01)
    assert max(peaks) < 1.1 * min(peaks)
    shipped = zoo("transient_growth")
    assert np.abs(shipped.positions[0]).max() == pytest.approx(100 * peaks[1], rel=1e-6)
    assert np.abs(shipped.positions[1]).max() == 1.0


def test_descent_from_the_ridge_stays_on_it() -> None:
    result = zoo("saddle_axis")
    assert (result.positions[[0, 2], :, 1] == 0).all()
    assert np.abs(result.final_points[[0, 2], 0]).max() < 1e-2
    left = [int(np.argmax(np.abs(result.positions[number, :, 1]) > 1)) for number in (1, 3)]
    assert 0 < left[1] < left[0]


def test_adam_moves_uphill_and_amsgrad_does_not() -> None:
    adam, amsgrad = zoo("adam_uphill", iterations=3000).positions[:, ::3, 0]
    assert (np.diff(adam)[10:] > 0).all()
    assert (np.diff(amsgrad)[10:] < 0).all()


def test_too_much_momentum_oscillates_longer() -> None:
    losses = zoo("beta_too_high").final_losses
    assert (np.diff(losses) > 0).all()
    assert losses[-1] > 0.1


def test_the_stability_limit_lies_between_the_two_learning_rates() -> None:
    result = zoo("stability_limit", iterations=4000)
    assert [status is Status.DIVERGED for status in result.status] == [False, True, False, True]
    assert result.final_losses[[0, 2]].max() < 1e-12
    for beta, (low, high) in ((0.0, (0.110, 0.112)), (0.9, (0.210, 0.212))):
        assert low < lr_limits(made("momentum", beta=beta), [18.0])[0] < high


def test_restarts_remove_the_oscillation() -> None:
    plain, restarted = zoo("restart").losses
    assert (np.diff(plain) > 0).sum() > 50
    assert (np.diff(restarted[:100]) <= 0).all()
    assert restarted[-1] < 1e-30
    assert plain[-1] > 1e-12


def test_high_momentum_escapes_the_local_minimum() -> None:
    result = zoo("cubic_escape")
    assert [status is Status.DIVERGED for status in result.status] == [False, False, True]
    assert result.final_points[:2] == pytest.approx(np.array([[1.0, 0.0]] * 2), abs=0.05)
    x = result.path(2)[:, 0]
    assert x[0] > 0
    assert x[-1] < -1e15
    assert result.final_losses[2] < -1e30


@pytest.mark.parametrize("config", sorted(ZOO.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_begins_with_a_comment(config: Path) -> None:
    _, first, second, *_ = config.read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith(("# ", "surface"))
