"""Conventions of momentum: their steps are their libraries', their filters are their steps', and translations hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.conventions import CONVENTIONS as EVERY_CONVENTION
from momentumlab.conventions import Convention, Fidelity, Filter, MomentumConvention, Shape, prove, translate
from momentumlab.conventions.adam_forms import OptaxRMSprop, TorchAdam, TorchAdamW, TorchRMSprop
from momentumlab.conventions.forms import (
    Average,
    DebiasedAverage,
    Keras,
    Optax,
    Polyak,
    QuasiHyperbolic,
    Sutskever,
    TensorFlow1,
    Torch,
    TwoSequence,
)
from momentumlab.conventions.proof import ITERATIONS, REFERENCE_PROBLEMS, SCHEDULES, run_convention, stable_gradient
from momentumlab.parameters import Array
from tests.golden import generate_conventions as golden
from tests.golden.generate import problem

ARCHIVE = np.load(Path(__file__).parent / "golden" / "conventions.npz", allow_pickle=False)
STEPS = 40

CONVENTIONS: dict[str, type[MomentumConvention]] = {
    name: cls for name, cls in EVERY_CONVENTION.items() if issubclass(cls, MomentumConvention)
}

VARIANTS: list[MomentumConvention] = [
    Torch(),
    Torch(lr=0.3, beta=0.99, nesterov=True),
    Torch(lr=2.0, beta=0.5, dampening=0.8),
    Torch(beta=0.0, dampening=0.8),
    Optax(beta=0.95, nesterov=True),
    TensorFlow1(beta=0.3),
    Keras(lr=0.1, beta=0.999),
    Keras(beta=0.9, nesterov=True),
    Keras(beta=0.0, nesterov=True),
    Sutskever(beta=0.8),
    Sutskever(lr=7.0, beta=0.9, nesterov=True),
    Polyak(beta=0.97),
    TwoSequence(beta=0.9),
    Average(lr=0.1, beta=0.98),
    DebiasedAverage(beta=0.9),
    DebiasedAverage(beta=0.999),
    QuasiHyperbolic(lr=1.0, beta=0.999, nu=0.7),
    QuasiHyperbolic(lr=0.1, beta=0.9, nu=0.9),
    QuasiHyperbolic(beta=0.9, nu=0.0),
    QuasiHyperbolic(beta=0.9, nu=1.0),
]


def named(value: Any) -> str:
    return f"{value.name}({','.join(f'{v:g}' for v in value.values.values())})"


def response(convention: MomentumConvention, factors: Array) -> Array:
    """What the step makes of a gradient of 1 at each time, ``(t, s)``: the weights h(t, s)."""
    count = len(factors)
    weights = np.zeros((count, count))
    for s in range(count):

        def impulse(x: Array, t: int, s: int = s) -> Array:
            return np.array([1.0 if t == s + 1 else 0.0])

        weights[:, s] = -np.diff(run_convention(convention, impulse, (0.0,), factors).gradient_points[:, 0])
    return weights


def weights_of(wanted: Filter, factors: Array) -> Iterator[list[float]]:
    """The formula of `Filter`, number by number; of each gradient its own lr or today's."""
    for t in range(1, len(factors) + 1):
        row = [0.0] * len(factors)
        for s in range(1, t + 1):
            weight = (wanted.memory + (wanted.first if s == 1 else 0.0)) * wanted.beta ** (t - s)
            weight += wanted.now if s == t else 0.0
            weight /= 1 - wanted.beta**t if wanted.debiased else 1.0
            row[s - 1] = weight * factors[s - 1 if wanted.keeps_lr else t - 1]
        yield row


def some_factors(seed: int = 5) -> Array:
    return np.random.default_rng(seed).uniform(0.2, 1.5, STEPS)


@pytest.mark.parametrize("factors", golden.FACTORS)
@pytest.mark.parametrize("surface", golden.STARTS)
@pytest.mark.parametrize("case", [*golden.CASES, *golden.ADAPTIVE], ids=named)
def test_the_call_that_is_printed_gives_the_path_of_the_step(case: Convention, surface: str, factors: str) -> None:
    _, gradient = problem(surface)
    ours = run_convention(case, lambda x, t: gradient(x), golden.STARTS[surface], golden.FACTORS[factors])  # type: ignore[operator]
    calls = [case.call, *([golden.inside_call(case)] if isinstance(case, Keras) else [])]
    allowed = 1e-12 if isinstance(case, MomentumConvention) else 1e-11
    for call in calls:
        theirs = ARCHIVE[golden.key(call, surface, factors)]
        assert np.abs(theirs - theirs[0]).max() > 0.02
        np.testing.assert_allclose(ours.stored[golden.KEPT], theirs, rtol=0, atol=allowed * np.abs(theirs).max())


def test_every_convention_with_a_call_is_recorded() -> None:
    recorded = {case.name for case in [*golden.CASES, *golden.ADAPTIVE]}
    assert recorded == {name for name, cls in EVERY_CONVENTION.items() if cls().call}


def test_the_parameters_of_pytorch_are_those_of_keras_while_lr_is_constant() -> None:
    (torch,) = (case for case in golden.CASES if isinstance(case, Torch) and case.nesterov)
    (keras,) = (case for case in golden.CASES if isinstance(case, Keras) and case.nesterov)
    for surface in golden.STARTS:
        apart = {
            factors: np.abs(
                ARCHIVE[golden.key(torch.call, surface, factors)] - ARCHIVE[golden.key(keras.call, surface, factors)]
            ).max()
            for factors in golden.FACTORS
        }
        assert apart["constant"] < 1e-13
        assert apart["changing"] > 1e-3


@pytest.mark.parametrize("factors", [np.ones(STEPS), some_factors()], ids=["constant", "changing"])
@pytest.mark.parametrize("one", VARIANTS, ids=named)
def test_the_filter_is_what_the_step_does(one: MomentumConvention, factors: Array) -> None:
    expected = np.array(list(weights_of(one.form, factors)))
    np.testing.assert_allclose(response(one, factors), expected, rtol=0, atol=1e-13 * expected.max())


@pytest.mark.parametrize("one", VARIANTS, ids=named)
def test_the_normal_filter_has_the_same_weights(one: MomentumConvention) -> None:
    usual, normal = (np.array(list(weights_of(f, np.ones(STEPS)))) for f in (one.form, one.form.normal))
    np.testing.assert_allclose(normal, usual, rtol=1e-14)


@pytest.mark.parametrize("source", VARIANTS, ids=named)
def test_a_translation_is_called_exact_if_and_only_if_all_weights_agree(source: MomentumConvention) -> None:
    constant, changing = np.ones(STEPS), some_factors()
    ours_constant, ours_changing = response(source, constant), response(source, changing)
    for target in CONVENTIONS.values():
        translation = translate(source, target)
        assert isinstance(translation.target, MomentumConvention)
        apart = np.abs(response(translation.target, constant) - ours_constant).max()
        apart_changing = np.abs(response(translation.target, changing) - ours_changing).max()
        if apart_changing <= 1e-12 * ours_constant.max():
            expected = Fidelity.EXACT
        else:
            expected = Fidelity.CONSTANT_LR if apart <= 1e-12 * ours_constant.max() else Fidelity.NEAREST
        assert translation.fidelity is expected, target.name
        assert bool(translation.obstacles) == (expected is Fidelity.NEAREST)


@pytest.mark.parametrize("source", VARIANTS, ids=named)
def test_the_proof_shows_what_is_claimed(source: MomentumConvention) -> None:
    for target in CONVENTIONS.values():
        translation = translate(source, target)
        constant, changing, *more = prove(translation)
        assert np.isfinite([check.largest for check in (constant, changing, *more)]).all()
        assert (constant.largest < 1e-11) == (translation.fidelity is not Fidelity.NEAREST), target.name
        assert (changing.largest < 1e-11) == (translation.fidelity is Fidelity.EXACT), target.name
        for check in more:
            if check.question != "what is stored, lr constant":
                assert check.largest < 1e-11, (target.name, check.question)


def test_conventions_that_store_different_states_are_distinguished() -> None:
    source = Torch(nesterov=True)
    for target, is_same in ((Sutskever, False), (TwoSequence, False), (Keras, True)):
        checks = {check.question: check.largest for check in prove(translate(source, target))}
        assert checks.get("what is stored, lr constant", 0.0) > 1e-3 or is_same
    checks = {check.question: check.largest for check in prove(translate(TwoSequence(), Sutskever))}
    assert checks["what is stored, lr constant"] < 1e-12


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_schedule_changes_lr_and_separates_keras_from_torch(schedule: str) -> None:
    factors = SCHEDULES[schedule](np.arange(1.0, ITERATIONS + 1))
    assert factors.shape == (ITERATIONS,)
    assert 0 < factors.min() < factors.max() <= 1
    _, changing, rescaled = prove(translate(Keras(), Torch), schedule)
    assert changing.largest > 1e-4
    assert rescaled.largest < 1e-13


def test_a_halved_lr_is_halved_in_the_middle() -> None:
    expected = [1.0] * (ITERATIONS // 2) + [0.5] * (ITERATIONS // 2)
    assert SCHEDULES["halved"](np.arange(1.0, ITERATIONS + 1)).tolist() == expected


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Keras(lr=0.01, beta=0.9), Torch(lr=0.01, beta=0.9)),
        (Torch(lr=0.01, beta=0.9), Average(lr=0.1, beta=0.9)),
        (Torch(lr=0.01, beta=0.999), Average(lr=10.0, beta=0.999)),
        # Ma & Yarats, section 4: momentum is ν = 1, Nesterov's method ν = β, both with lr/(1 − β); ν = 0 is SGD
        (Torch(lr=0.1, beta=0.9), QuasiHyperbolic(lr=1.0, beta=0.9, nu=1.0)),
        (Torch(lr=0.1, beta=0.9, nesterov=True), QuasiHyperbolic(lr=1.0, beta=0.9, nu=0.9)),
        (QuasiHyperbolic(lr=0.1, beta=0.999, nu=0.0), Torch(lr=0.1, beta=0.0)),
        (QuasiHyperbolic(lr=1.0, beta=0.9, nu=0.9), Keras(lr=0.1, beta=0.9, nesterov=True)),
        (TwoSequence(lr=0.2, beta=0.8), Sutskever(lr=0.2, beta=0.8, nesterov=True)),
        (Polyak(lr=0.2, beta=0.8), Optax(lr=0.2, beta=0.8)),
        # without momentum PyTorch leaves out dampening
        (Torch(lr=0.3, beta=0.0, dampening=0.5), Keras(lr=0.3, beta=0.0)),
        # the same but for the first gradient; and but for the first steps
        (Torch(lr=0.1, beta=0.9, dampening=0.9), Average(lr=0.1, beta=0.9)),
        (DebiasedAverage(lr=0.1, beta=0.9), Torch(lr=0.01, beta=0.9)),
    ],
    ids=named,
)
def test_published_translations(source: MomentumConvention, target: MomentumConvention) -> None:
    assert translate(source, type(target)).target == target


@pytest.mark.parametrize("source", VARIANTS, ids=named)
def test_the_nearest_translation_has_the_same_beta_gain_and_smallest_distance(source: MomentumConvention) -> None:
    wanted = source.form
    steady = Filter(beta=wanted.beta, now=wanted.now, memory=wanted.memory, keeps_lr=wanted.keeps_lr).normal

    def impulse(now: float, memory: float) -> Array:
        weights: Array = memory * steady.beta ** np.arange(40_000.0)
        weights[0] += now
        return weights

    ours = impulse(steady.now, steady.memory)
    scale = ours.sum() * (1 - steady.beta)
    shapes = {Shape.PLAIN: impulse(0.0, scale), Shape.AHEAD: impulse(scale, steady.beta * scale)}
    for allowed in [(Shape.PLAIN,), (Shape.AHEAD,), (Shape.PLAIN, Shape.AHEAD)]:
        found = wanted.fitted(allowed)
        theirs = impulse(found.now, found.memory)
        assert found.beta == steady.beta
        assert theirs.sum() == pytest.approx(ours.sum(), rel=1e-12)
        distances = [np.linalg.norm(ours - shapes[shape]) for shape in allowed]
        assert np.linalg.norm(ours - theirs) == pytest.approx(min(distances), rel=1e-9, abs=1e-12 * ours.max())
        assert steady.distance(found) == pytest.approx(min(distances), rel=1e-9, abs=1e-12 * ours.max())


@pytest.mark.parametrize("one", VARIANTS, ids=named)
def test_the_steepest_stable_curvature_is_where_the_path_begins_to_grow(one: MomentumConvention) -> None:
    wanted = one.form
    for share, is_stable in ((0.9999, True), (1.0001, False)):
        curvature = share * wanted.stability_limit
        roots = np.roots(
            np.polyadd(
                np.polymul([1, -1], [1, -wanted.beta]),
                curvature * np.array([0, wanted.now + wanted.memory, -wanted.now * wanted.beta]),
            )
        )
        assert (np.abs(roots).max() < 1) == is_stable


@pytest.mark.parametrize("problem", REFERENCE_PROBLEMS, ids=lambda problem: problem.surface)
@pytest.mark.parametrize("target", [Torch, DebiasedAverage, QuasiHyperbolic], ids=lambda cls: cls.name)
@pytest.mark.parametrize("source", [*VARIANTS, Torch(beta=0.999, dampening=0.99)], ids=named)
def test_reference_trajectories_move_and_stay_bounded(source: MomentumConvention, target: Any, problem: Any) -> None:
    surface = momentumlab.SURFACES[problem.surface]()
    translation = translate(source, target)
    for one in (source, translation.target):
        path = run_convention(
            one, stable_gradient(problem, translation), problem.start, np.ones(ITERATIONS)
        ).gradient_points
        losses = surface.value(path.T)
        assert losses.max() < 1.5 * losses[0]
        assert np.abs(path - path[0]).max() > 1e-4
        assert max(np.linalg.eigvalsh(surface.hessian(path.T)[:, :, i])[-1] for i in range(0, ITERATIONS, 10)) <= (
            problem.largest_curvature
        )


ADAM = {"eps": 0.3, "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("one", "optimizer"),
    [
        (Torch(lr=0.02, beta=0.9), {"name": "momentum", "beta": 0.9}),
        (Torch(lr=0.02, beta=0.9, dampening=0.4), {"name": "momentum", "beta": 0.9, "dampening": 0.4}),
        (Torch(lr=0.02, beta=0.9, nesterov=True), {"name": "nesterov", "beta": 0.9}),
        (Average(lr=0.2, beta=0.9), {"name": "momentum_ema", "beta": 0.9}),
        (QuasiHyperbolic(lr=0.05, beta=0.9, nu=0.6), {"name": "qhm", "beta": 0.9, "nu": 0.6}),
        (TorchAdam(lr=0.02, **ADAM), {"name": "adam", **ADAM}),
        (TorchAdamW(lr=0.02, **ADAM), {"name": "adamw", **ADAM}),
        (TorchRMSprop(lr=0.02, beta2=0.9, eps=0.3), {"name": "rmsprop", "alpha": 0.9, "eps": 0.3}),
        (OptaxRMSprop(lr=0.02, eps=0.3), {"name": "rmsprop", "alpha": 0.9, "eps": 0.3, "dialect": "optax"}),
    ],
    ids=str,
)
def test_a_convention_of_momentumlab_is_its_optimizer(one: Convention, optimizer: dict[str, Any]) -> None:
    start = (-2.4, 0.2)
    result = momentumlab.run(surface="ravine", optimizer=optimizer, lr=one.lr, iterations=50, start=list(start))
    _, gradient = problem("ravine")
    path = run_convention(one, lambda x, t: gradient(x), start, np.ones(50)).gradient_points  # type: ignore[operator]
    np.testing.assert_allclose(path, result.positions[0], rtol=0, atol=1e-13 if one.name in CONVENTIONS else 1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    data=st.data(),
    lr=st.floats(1e-6, 1e3),
    beta=st.floats(0, 0.9999),
    names=st.tuples(*[st.sampled_from(sorted(CONVENTIONS))] * 2),
)
def test_there_and_back_again(data: st.DataObject, lr: float, beta: float, names: tuple[str, str]) -> None:
    source_cls, target_cls = (CONVENTIONS[name] for name in names)
    more = {p.name: data.draw(st.booleans()) for p in source_cls.parameters() if p.name == "nesterov" and beta > 0}
    source = source_cls(lr=lr, beta=beta, **more)
    there = translate(source, target_cls)
    if there.fidelity is Fidelity.NEAREST:
        return
    back = translate(there.target, source_cls)
    assert back.fidelity is there.fidelity
    for name, value in source.values.items():
        assert back.target.values[name] == pytest.approx(value, rel=1e-13, abs=1e-13), name
