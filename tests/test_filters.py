"""A method as a linear filter of gradients: closed forms, the method's own step, and the command."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.optimizers import OPTIMIZERS, Here
from momentumlab.plan import make_plan
from momentumlab.report.figures.response import response_figure
from momentumlab.report.response_table import responses
from momentumlab.surfaces.quadratics import Parabola
from momentumlab.theory import TheoryDoesNotApplyError, filter_response
from tests.conftest import Command
from tests.test_figures import assert_text_is_clear


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
def test_momentum_is_a_low_pass_filter(beta: float) -> None:
    """H(z) = 1 / (1 − β/z)."""
    momentum: Any = OPTIMIZERS["momentum"]
    said = filter_response(momentum(beta=beta), 0.1, iterations=50)
    exact = 1 / (1 - beta * np.exp(-2j * math.pi * said.frequencies))
    assert said.gain_at_rest == pytest.approx(1 / (1 - beta))
    assert said.gain_alternating == pytest.approx(1 / (1 + beta))
    assert said.gain == pytest.approx(np.abs(exact), rel=1e-9)
    assert said.phase == pytest.approx(-np.angle(exact), abs=1e-9)
    assert said.impulse == pytest.approx(beta ** np.arange(50))
    assert said.step == pytest.approx((1 - beta ** np.arange(1, 51)) / (1 - beta))
    assert said.delay == pytest.approx(beta / (1 - beta), rel=1e-6)


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "momentum_ema", "qhm", "aggmo"])
def test_responses_are_those_of_the_step_itself(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    said = filter_response(optimizer, 0.1, iterations=40)
    surface, x, lr = Parabola(), np.zeros((1, 1)), np.array([0.1])
    state, velocities = optimizer.init(x), []
    for t in range(1, 41):
        g = np.full((1, 1), 1.0 if t == 1 else 0.0)
        velocity, state = optimizer.step(state, g, Here(x, t, surface.value(x), lr, surface))
        velocities.append(float(velocity[0, 0]))
    assert said.impulse == pytest.approx(velocities, abs=1e-12)


@pytest.mark.parametrize("name", ["adam", "lion", "nesterov_convex", "schedule_free_sgd", "newton"])
def test_methods_that_are_not_fixed_filters_have_no_response(name: str) -> None:
    with pytest.raises(TheoryDoesNotApplyError, match=name):
        filter_response(OPTIMIZERS[name](), 0.1)


def test_the_command_draws_the_filter(command: Command, tmp_path: Path) -> None:
    done = command("show", "optimizer", "momentum", "--response", "--beta", "0,0.5,0.9")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"β = 0\.9 +10 +0\.5263 +9 ", done.stdout)
    assert (tmp_path / "momentum_response.png").read_bytes().startswith(b"\x89PNG")
    plan = make_plan(momentumlab.load(surface="parabola", optimizer="momentum", beta=[0.0, 0.5, 0.9]))
    figure = response_figure([(one.label, one.response) for one in responses(plan)], "filter")
    assert_text_is_clear(figure)
    assert [len(panel.lines) for panel in figure.axes] == [3] * 4


def test_the_response_as_data_draws_nothing(command: Command, tmp_path: Path) -> None:
    done = command("show", "optimizer", "nesterov", "--response", "--beta", "0.9", "--format", "json")
    (row,) = json.loads(done.stdout)["responses"]
    assert row["gain_at_rest"] == pytest.approx(10)
    assert len(row["gain"]) == len(row["frequencies"])
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["surface", "ravine", "--response"], "only optimizers have a response"),
        (["optimizer", "momentum", "--plot"], "optimizers have --response"),
        (["optimizer", "momentum", "--beta", "0.9"], "is only used with --response"),
        (["optimizer", "adam", "--response"], "the velocity of adam is not linear"),
        (["optimizer", "momentum", "--response", "--beta", "linspace(0,0.9,50)"], "at most 12"),
        (["optimizer", "momentum", "--response", "--beta", "1.5"], "1.5 is outside 0 ≤ beta < 1"),
        (["optimizer", "momentum", "--out", "x.png"], "nothing is drawn"),
    ],
)
def test_invalid_requests_for_a_response_are_refused(arguments: list[str], message: str, command: Command) -> None:
    done = command("show", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.replace("│", " ").split())
