"""Contracts of optimizers. A new optimizer in the registry is tested without changes here."""

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.optimizers import OPTIMIZERS, Here, Optimizer
from momentumlab.parameters import Array, Real, parameter
from momentumlab.surfaces.base import CriticalPoint, minimum
from momentumlab.surfaces.quadratics import Ravine
from momentumlab.testing.common import other_values
from momentumlab.testing.optimizers import (
    OPTIMIZER_CONTRACTS,
    converges_on_a_quadratic,
    every_hyperparameter_has_an_effect,
    iterations_may_vary_by_lane,
    lanes_are_independent,
    stays_finite_without_a_gradient,
    step_is_pure,
    variants,
)
from tests import papers
from tests.golden.cases import CASES
from tests.papers import dot

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def run(name: str, **settings: Any) -> momentumlab.Result:
    return momentumlab.run({"surface": "ravine", "optimizer": name, "lr": 0.02, "iterations": 60}, **settings)


@every_optimizer
@pytest.mark.parametrize("contract", OPTIMIZER_CONTRACTS, ids=lambda contract: contract.__name__)
def test_every_optimizer_satisfies_the_contract(contract: Callable[[str], None], name: str) -> None:
    contract(name)


@every_optimizer
def test_aliases_become_canonical_names(name: str) -> None:
    for declared in OPTIMIZERS[name].parameters():
        for alias in declared.aliases:
            value = 0.25 if declared.gt is None else declared.gt + 0.25
            result = run(name, lr=None, **{alias: value})
            assert result.plan.trial(0).hyperparameters[declared.name] == value


@every_optimizer
def test_points_do_not_move_without_a_gradient(name: str) -> None:
    initial = [p.name for p in OPTIMIZERS[name].parameters() if p.name == "initial_accumulator_value"]
    result = run(name, start=[0.0, 0.0], iterations=5, **dict.fromkeys(initial, 0.0))
    assert result.final_points.tolist() == [[0, 0]]


def test_defaults_match_the_source() -> None:
    """Defaults of torch.optim 2.13, optax 0.2.8 or the papers."""
    defaults: dict[str, dict[str, Any]] = {
        "sgd": {"lr": 1e-3, "weight_decay": 0.0},
        "momentum": {"lr": 1e-3, "dampening": 0.0, "weight_decay": 0.0},
        "adagrad": {"lr": 1e-2, "lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10, "weight_decay": 0.0},
        "rmsprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "beta": 0.0, "centered": False, "weight_decay": 0.0},
        "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        "adam": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "weight_decay": 0.0},
        "adamw": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "weight_decay": 0.01},
        "adamax": {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        "nadam": {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum_decay": 4e-3, "weight_decay": 0.0},
        "radam": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        # Not in PyTorch: the defaults of optax, or those that the papers recommend.
        "lion": {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 1e-3},
        "adabelief": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-16, "eps_root": 1e-16},
        "yogi": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-3, "initial_accumulator_value": 1e-6},
        "adan": {"beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8, "weight_decay": 0.0},
        "schedule_free_sgd": {"lr": 1.0, "beta": 0.9, "weight_decay": 0.0},
        "schedule_free_adamw": {"lr": 2.5e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        "qhm": {"beta": 0.999, "nu": 0.7},
        "qhadam": {"beta1": 0.995, "beta2": 0.999, "nu1": 0.7, "nu2": 1.0},
        "aggmo": {"betas": (0.0, 0.9, 0.99)},
        "signum": {"beta": 0.9},
        "rprop": {"lr": 1e-2, "eta_minus": 0.5, "eta_plus": 1.2, "min_step": 1e-6, "max_step": 50.0},
    }
    for name, expected in defaults.items():
        declared = {parameter.name: parameter.default for parameter in OPTIMIZERS[name].parameters()}
        assert {key: declared[key] for key in expected} == expected


def test_defaults_of_the_optax_dialect_match_optax() -> None:
    def first(name: str) -> dict[str, Any]:
        return (
            momentumlab.load({"surface": "ravine", "optimizer": {"name": name, "dialect": "optax"}}).optimizers[0].first
        )

    assert (first("rmsprop")["alpha"], first("rmsprop")["eps"]) == (0.9, 1e-8)
    assert (first("adagrad")["initial_accumulator_value"], first("adagrad")["eps"]) == (0.1, 1e-7)
    assert first("adamw")["weight_decay"] == 1e-4
    with pytest.raises(momentumlab.ConfigError, match="list the optimizer once per dialect"):
        run("rmsprop", dialect=["pytorch", "optax"])
    with pytest.raises(momentumlab.ConfigError, match="'torch' is not pytorch or optax"):
        run("rmsprop", dialect="torch")


# Independent references: the sequences of the papers with Python floats


def himmelblau(x: list[float]) -> float:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def himmelblau_gradient(x: list[float]) -> list[float]:
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return [4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b]


WRITTEN_OUT = [name for name in OPTIMIZERS if hasattr(papers, name)]


@pytest.mark.parametrize("name", WRITTEN_OUT)
@pytest.mark.parametrize("lr", [0.001, 0.01])
def test_paths_match_the_paper(name: str, lr: float) -> None:
    written = getattr(papers, name)
    accepted = set(inspect.signature(written).parameters)
    moved = {p.name: other_values(p)[0] for p in OPTIMIZERS[name].parameters() if p.name in accepted - {"lr"}}
    for variant in [*variants(name), moved]:
        if not accepted.issuperset(variant):
            continue  # another dialect than the paper's
        result = momentumlab.run(
            {"surface": "himmelblau", "optimizer": {"name": name, **variant}, "lr": lr, "iterations": 60}
        )
        hyper = {key: value for key, value in result.plan.trial(0).hyperparameters.items() if key in accepted}
        path = written(himmelblau_gradient, himmelblau, [-0.5, -0.5], **hyper)
        expected = np.array(list(itertools.islice(path, 61)))
        np.testing.assert_allclose(result.positions[0], expected, rtol=1e-9, atol=1e-12)


def test_every_optimizer_has_an_independent_reference() -> None:
    recorded = {case.optimizer for case in CASES}
    assert set(OPTIMIZERS) - recorded - set(WRITTEN_OUT) == {"newton"}


class Lifted(Ravine):
    """The ravine plus 3."""

    def value(self, x: Array) -> Array:
        return super().value(x) + 3.0

    def critical_points(self, dim: int) -> tuple[CriticalPoint, ...]:
        return (minimum(0.0, 0.0, loss=3.0),)


def test_polyak_step_uses_the_loss_of_the_minimum() -> None:
    x = np.array([[-2.4, 0.0], [0.2, 0.0]])
    velocities = []
    for surface in (Ravine(), Lifted()):
        here = Here(x, 1, surface.value(x), np.ones(2), surface)
        velocities.append(OPTIMIZERS["polyak_step"]().step((), surface.gradient(x), here)[0])
    np.testing.assert_allclose(velocities[1], velocities[0], rtol=1e-14)
    assert velocities[0][:, 1].tolist() == [0, 0]


def test_newton_solves_a_quadratic_in_one_step() -> None:
    surface = {"name": "quadratic", "eigenvalues": [0.5, 3.0, 20.0], "rotation": 20.0}
    result = momentumlab.run({"surface": surface, "optimizer": "newton", "start": [1, 2, 3], "iterations": 1})
    assert np.abs(result.final_points).max() < 1e-14
    flat = momentumlab.run(
        {"surface": {"name": "quadratic", "eigenvalues": [0.0, 2.0]}, "optimizer": "newton", "start": [5.0, 3.0]}
    )
    assert flat.final_points[0] == pytest.approx([5.0, 0.0])  # the shortest step where H is singular


def test_missing_requirements_are_reported() -> None:
    with pytest.raises(
        momentumlab.ConfigError, match="polyak_step needs a known global minimum, which saddle does not"
    ):
        momentumlab.load({"surface": "saddle", "optimizer": "polyak_step"})


# Rates on quadratics, as published


def rate(result: momentumlab.Result, first: int, last: int) -> float:
    """Return the factor per iteration by which the distance to the origin decreases."""
    distances = np.linalg.norm(result.positions[0], axis=1)
    return float((distances[last] / distances[first]) ** (1 / (last - first)))


@pytest.mark.parametrize("kappa", [10.0, 144.0, 1000.0])
def test_asymptotic_rates_match_the_published_ones(kappa: float) -> None:
    mu, high = 1.0, kappa
    root = np.sqrt(kappa)
    surface = {"name": "quadratic", "eigenvalues": [mu, high]}
    rho = 1 - 1 / root
    nesterov_beta = (np.sqrt(3 * kappa + 1) - 2) / (np.sqrt(3 * kappa + 1) + 2)
    published = [
        ({"name": "sgd", "lr": 2 / (high + mu)}, (kappa - 1) / (kappa + 1)),
        (
            {"name": "momentum", "lr": 4 / (np.sqrt(high) + np.sqrt(mu)) ** 2, "beta": ((root - 1) / (root + 1)) ** 2},
            (root - 1) / (root + 1),
        ),
        ({"name": "nesterov", "lr": 1 / high, "beta": (root - 1) / (root + 1)}, 1 - 1 / root),
        ({"name": "nesterov", "lr": 4 / (3 * high + mu), "beta": nesterov_beta}, 1 - 2 / np.sqrt(3 * kappa + 1)),
        ({"name": "triple_momentum", "lr": (1 + rho) / high, "kappa": kappa}, rho),
    ]  # Polyak 1964; Nesterov 2004; Lessard, Recht & Packard, arXiv 1408.3595, proposition 1; Van Scoy et al. 2018
    for optimizer, expected in published:
        iterations = int(min(12 / -np.log(expected), 4000))
        result = momentumlab.run(
            {"surface": surface, "optimizer": optimizer, "start": [1.0, 1.0], "iterations": 2 * iterations}
        )
        # A double eigenvalue leaves a factor t beside ρᵗ: its share is 2 ** (1 / iterations).
        measured = rate(result, iterations, 2 * iterations)
        assert expected * 0.995 < measured < expected * 2.3 ** (1 / iterations)


@settings(max_examples=40, deadline=None)
@given(kappa=st.floats(2, 1e4), steps=st.integers(1, 60), angle=st.floats(0, 90))
def test_accelerated_methods_satisfy_their_worst_case_bounds(kappa: float, steps: int, angle: float) -> None:
    surface = {"name": "quadratic", "eigenvalues": [1.0, kappa, np.sqrt(kappa)], "rotation": angle}
    start = [1.0, -2.0, 0.5]
    radius = dot(start, start)
    theta = 1.0
    for n in range(1, steps + 1):
        theta = (1 + np.sqrt(1 + (8 if n == steps else 4) * theta**2)) / 2
    problem = {"surface": surface, "start": start, "iterations": steps, "lr": 1 / kappa}
    ogm = momentumlab.run({**problem, "optimizer": {"name": "ogm", "horizon": steps}})
    assert ogm.final_losses[0] <= kappa * radius / (2 * theta**2) * (1 + 1e-9)  # Kim & Fessler, theorem 2
    descent = momentumlab.run({**problem, "optimizer": "sgd"})
    assert descent.final_losses[0] <= kappa * radius / (4 * steps + 2) * (1 + 1e-9)  # Drori & Teboulle 2014


def test_robust_momentum_lies_between_triple_momentum_and_gradient_descent() -> None:
    for name, caution, lr_factor in (("triple_momentum", 0.0, None), ("sgd", 1.0, 1.0)):
        kappa, high = 144.0, 18.0
        rho = 1 - ((1 - caution) / np.sqrt(kappa) + caution / kappa)
        lr = kappa * (1 - rho) ** 2 * (1 + rho) / high
        robust = run("robust_momentum", lr=lr, kappa=kappa, caution=caution)
        hyper = {"kappa": kappa} if name == "triple_momentum" else {}
        twin = run(name, lr=lr if lr_factor is None else lr_factor / high, **hyper)
        np.testing.assert_allclose(robust.positions, twin.positions, atol=1e-11)


def test_restarts_make_nesterov_fast_without_knowing_mu() -> None:
    plain = run("nesterov_convex", lr=1 / 18, iterations=1000, target_loss=1e-12)
    for scheme in ("function", "gradient"):
        restarted = run("nesterov_restart", lr=1 / 18, iterations=1000, target_loss=1e-12, scheme=scheme)
        assert restarted.iterations[0] < plain.iterations[0] / 2


# Identities

settings_of_runs = settings(max_examples=12, deadline=None)


@settings_of_runs
@given(lr=st.floats(1e-4, 0.1))
def test_momentum_and_nesterov_without_beta_are_gradient_descent(lr: float) -> None:
    descent = run("sgd", lr=lr)
    for name in ("momentum", "nesterov"):
        assert run(name, lr=lr, beta=0.0).positions.tobytes() == descent.positions.tobytes()


@settings_of_runs
@given(lr=st.floats(1e-4, 0.1), beta=st.floats(0, 0.99))
def test_heavy_ball_satisfies_its_recurrence(lr: float, beta: float) -> None:
    """On λ x²/2 the point obeys x₊ = (1 + β − lr λ) x − β x₋, a linear recurrence (Polyak 1964)."""
    x = run("momentum", lr=lr, beta=beta).positions[0]
    curvature = np.array([1 / 8, 18])
    scale = np.abs(x).max(axis=0)
    expected = (1 + beta - lr * curvature) * x[1:-1] - beta * x[:-2]
    np.testing.assert_allclose(x[2:] / scale, expected / scale, atol=1e-12)


@settings_of_runs
@given(lr=st.floats(1e-4, 0.05), beta=st.floats(0, 0.99))
def test_identities_between_methods(lr: float, beta: float) -> None:
    twins = [
        (run("qhm", lr=lr / (1 - beta), beta=beta, nu=beta), run("nesterov", lr=lr, beta=beta)),
        (run("qhm", lr=lr, beta=beta, nu=0.0), run("sgd", lr=lr)),
        (run("qhm", lr=lr, beta=beta, nu=1.0), run("momentum_ema", lr=lr, beta=beta)),
        (run("momentum_ema", lr=lr / (1 - beta), beta=beta), run("momentum", lr=lr, beta=beta)),
        (run("aggmo", lr=lr, betas=[[beta]]), run("momentum", lr=lr, beta=beta)),
        (run("adamw", lr=lr, weight_decay=0.0), run("adam", lr=lr)),
        (run("qhadam", lr=lr, beta1=beta, nu1=1.0, nu2=1.0), run("adam", lr=lr, beta1=beta)),
        (run("schedule_free_sgd", lr=lr, beta=0.0), run("sgd", lr=lr)),
        (run("momentum", lr=lr, beta=beta, dampening=beta, dialect="optax"), run("momentum_ema", lr=lr, beta=beta)),
        (run("momentum", lr=lr, beta=0.0, dampening=beta), run("sgd", lr=lr)),
        (run("rmsprop", lr=lr, beta=0.0, alpha=beta), run("rmsprop", lr=lr, alpha=beta)),
    ]
    for one, other in twins:
        np.testing.assert_allclose(one.positions, other.positions, rtol=1e-9, atol=1e-11)


@settings_of_runs
@given(scale=st.floats(1e-3, 1e3))
def test_adaptive_methods_are_invariant_to_the_scale_of_the_loss(scale: float) -> None:
    for name in ("adagrad", "rmsprop", "adam"):
        plain = run(name, eps=1e-300)
        scaled = run(name, eps=1e-300, **{"surface.a": scale / 16, "surface.b": 9 * scale})
        np.testing.assert_allclose(scaled.positions, plain.positions, rtol=1e-8, atol=1e-10)


# The contracts themselves: each must be able to fail


class Memory(NamedTuple):
    v: Array


@dataclass(frozen=True, kw_only=True)
class Broken(Optimizer[Memory]):
    """Momentum with a fault."""

    beta: Real = parameter(0.5, ge=0, lt=1, doc="decay")

    fault: ClassVar[str] = ""
    equation = "v ← β v + g"
    source = "none"

    def init(self, x: Array) -> Memory:
        return Memory(np.zeros_like(x))

    def step(self, state: Memory, g: Array, here: Here) -> tuple[Array, Memory]:
        v = self.beta * state.v + g
        if self.fault == "impure":
            state.v[...] = v
        if self.fault == "clock" and here.t == 1:
            v = 2 * v
        if self.fault == "mixing":
            v = v + 1e-9 * g.mean()
        if self.fault == "idle":
            v = g
        if self.fault == "diverging":
            v = -v
        if self.fault == "not finite":
            v = v / np.abs(g)
        return v, Memory(v)


FAULTS = {
    step_is_pure: "impure",
    lanes_are_independent: "mixing",
    iterations_may_vary_by_lane: "clock",
    every_hyperparameter_has_an_effect: "idle",
    converges_on_a_quadratic: "diverging",
    stays_finite_without_a_gradient: "not finite",
}


@pytest.mark.parametrize(("contract", "fault"), FAULTS.items(), ids=FAULTS.values())
def test_a_contract_can_fail(contract: Callable[[str], None], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"name": "faulty", "default_lr": 1e-3}
    monkeypatch.setitem(OPTIMIZERS._classes, "faulty", type("Faulty", (Broken,), {**names, "fault": fault}))
    with pytest.raises(AssertionError):
        contract("faulty")
    monkeypatch.setitem(OPTIMIZERS._classes, "sound", type("Sound", (Broken,), {**names, "name": "sound"}))
    contract("sound")
