"""The five classic experiments, as shipped in configs/, give their published numbers.

``data/seeds.json`` holds what the tutorials' own programs print. To the last bit means equality of floats. Three of the
programs use the convention v ← βv − lr·g, x ← x + v; momentumlab's is v ← βv + g, x ← x − lr·v. The path is the same,
its rounding is not: those are compared at 1e-12, and the last test shows that nothing but the convention differs.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.surfaces import SURFACES

SEEDS = json.loads((Path(__file__).parent / "data" / "seeds.json").read_text())
CONFIGS = Path(__file__).parent.parent / "configs"


def close(expected: Any, rel: float = 1e-12) -> Any:
    return pytest.approx(expected, rel=rel, abs=0.0)


def gradient_of(name: str, **parameters: float) -> Any:
    surface = SURFACES[name](**parameters)
    return lambda x: surface.gradient(np.array(x)[:, np.newaxis])[:, 0].tolist()


def scaled_path(gradient: Any, start: list[float], lr: float, beta: float, iterations: int) -> list[list[float]]:
    """v ← βv − lr·g, x ← x + v, with Python floats."""
    x, v, path = list(start), [0.0] * len(start), []
    for _ in range(iterations):
        g = gradient(x)
        v = [beta * v[i] - lr * g[i] for i in range(len(x))]
        x = [x[i] + v[i] for i in range(len(x))]
        path.append(x)
    return path


def test_ravine_beta_sweep_to_the_last_bit() -> None:
    result = momentumlab.run(CONFIGS / "ravine_beta_sweep.yaml")
    for trial, seed in enumerate(SEEDS["004_ravine_beta_sweep"]["runs"]):
        assert result.plan.trial(trial).hyperparameters["beta"] == seed["beta"]
        assert result.final_points[trial].tolist() == [seed["x"], seed["y"]]
        assert result.velocities[trial, -1].tolist() == [seed["velocity_x"], seed["velocity_y"]]
        assert result.final_losses[trial] == seed["loss"]


def test_cubic_momentum_takes_exactly_the_published_iterations() -> None:
    result = momentumlab.run(CONFIGS / "cubic_momentum.yaml")
    runs = SEEDS["000_cubic_momentum"]["runs"]
    assert result.iterations.tolist() == [173, 75, 95, 195] == [seed["iterations"] for seed in runs]
    assert {status.label for status in result.status} == {"converged"}
    for trial, seed in enumerate(runs):
        assert result.final_points[trial] == close([seed["x"], seed["y"]])
        assert result.final_losses[trial] == close(seed["loss"])
    assert result.final_points[0].tolist() == [runs[0]["x"], runs[0]["y"]]  # β = 0: no convention to differ in


def test_optimizer_comparison() -> None:
    result = momentumlab.run(CONFIGS / "optimizer_comparison.yaml")
    seeds = {seed["optimizer"]: seed for seed in SEEDS["002_comparison"]["runs"]}
    for number, trial in enumerate(result.plan):
        seed = seeds[trial.optimizer]
        assert trial.hyperparameters["lr"] == seed["lr"]
        final = [*result.final_points[number], result.final_losses[number]]
        published = [seed["x"], seed["y"], seed["loss"]]
        first_three = result.positions[number, 1:4].tolist()
        if trial.optimizer in ("sgd", "adagrad"):
            assert final == published
            assert first_three == seed["first_three"]
        elif trial.optimizer == "adam":  # the tutorial adds eps to the root of the uncorrected second moment
            assert final == pytest.approx(published, rel=1e-4)
            assert np.ravel(first_three) == pytest.approx(np.ravel(seed["first_three"]), rel=1e-5)
        else:
            assert final == close(published)
            assert np.ravel(first_three) == close(np.ravel(seed["first_three"]))


def test_torch_parabola_prints_what_torch_does() -> None:
    from momentumlab.report.steps import steps_of

    result = momentumlab.run(CONFIGS / "torch_parabola.yaml")
    _, *steps = steps_of(result, 0)
    for step, seed in zip(steps, SEEDS["001_parabola_torch_sgd"]["steps"], strict=True):
        assert step.iteration == seed["step"]
        assert (step.gradient, step.point) == ([seed["gradient"]], [seed["w"]])
        assert step.point[0] == pytest.approx(seed["w_float32"], rel=2**-23)  # the tutorial runs float32


def test_parabola_iterates() -> None:
    result = momentumlab.run(CONFIGS / "parabola.yaml")
    seed = SEEDS["003_parabola"]
    assert result.positions[0, :, 0] == pytest.approx([5.0, *seed["iterates"]], rel=1e-12)


def test_the_other_convention_on_our_surfaces_gives_the_published_numbers_to_the_last_bit() -> None:
    parabola = SEEDS["003_parabola"]
    path = scaled_path(gradient_of("parabola"), parabola["start"], parabola["lr"], parabola["beta"], 10)
    assert [x for (x,) in path] == parabola["iterates"]

    cubic = SEEDS["000_cubic_momentum"]
    surface = SURFACES["cubic"]()
    for seed in cubic["runs"]:
        end = scaled_path(gradient_of("cubic"), cubic["start"], cubic["lr"], seed["beta"], seed["iterations"])[-1]
        assert end == [seed["x"], seed["y"]]
        assert surface.value(np.array(end)[:, np.newaxis])[0] == seed["loss"]

    comparison = SEEDS["002_comparison"]
    (seed,) = (seed for seed in comparison["runs"] if seed["optimizer"] == "momentum")
    end = scaled_path(gradient_of("ravine", a=1 / 20, b=1.0), comparison["start"], seed["lr"], 0.9, 30)[-1]
    assert end == [seed["x"], seed["y"]]


def test_adam_with_the_tutorials_eps_on_our_surface_gives_the_published_numbers() -> None:
    """It adds eps to the root of the uncorrected second moment: nothing else keeps our Adam from its numbers."""
    comparison = SEEDS["002_comparison"]
    (seed,) = (seed for seed in comparison["runs"] if seed["optimizer"] == "adam")
    gradient = gradient_of("ravine", a=1 / 20, b=1.0)
    x, m, v = list(comparison["start"]), [0.0, 0.0], [0.0, 0.0]
    path = []
    for t in range(1, seed["iterations"] + 1):
        g = gradient(x)
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        step = seed["lr"] * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        x = [a - step * b / (math.sqrt(c) + 1e-7) for a, b, c in zip(x, m, v, strict=True)]
        path.append(x)
    assert x == close([seed["x"], seed["y"]])
    assert np.ravel(path[:3]) == close(np.ravel(seed["first_three"]))
