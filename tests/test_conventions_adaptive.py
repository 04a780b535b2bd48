"""Conventions of Adam, AdamW and RMSprop: steps are their libraries', rules are their steps', translations hold."""

import numpy as np
import pytest

import momentumlab
from momentumlab.conventions import CONVENTIONS, Fidelity, prove, translate
from momentumlab.conventions.adam_forms import (
    AdaptiveConvention,
    AdaptiveRule,
    Decay,
    KerasAdam,
    KerasRMSprop,
    OptaxAdam,
    OptaxAdamW,
    OptaxRMSprop,
    TorchAdam,
    TorchAdamW,
    TorchRMSprop,
)
from momentumlab.conventions.proof import run_convention
from momentumlab.errors import ConfigError
from momentumlab.parameters import Array
from tests.conftest import Command
from tests.golden import generate_conventions as golden

EVERY: list[type[AdaptiveConvention]] = [cls for cls in CONVENTIONS.values() if issubclass(cls, AdaptiveConvention)]

SOURCES: list[AdaptiveConvention] = [
    *golden.ADAPTIVE,
    *(cls() for cls in EVERY),
    TorchAdam(beta1=0.0, beta2=0.9, eps=0.2),
    OptaxAdam(eps=0.0, eps_root=0.04),
    KerasAdam(beta1=0.0, beta2=0.0, eps=0.1),
]


def named(one: AdaptiveConvention) -> str:
    return f"{one.name}({','.join(f'{v:g}' for v in one.values.values())})"


def path(one: AdaptiveConvention, size: float = 1.0, count: int = 60) -> Array:
    """The path on a quadratic with gradients near ``size``, with a learning rate that changes."""
    scales = np.array([0.3, 2.0]) * size
    factors = np.random.default_rng(3).uniform(0.5, 1.5, count)
    unit = 50 * one.lr
    return run_convention(one, lambda x, t: scales * np.sin(x / unit + 0.7), (unit, -0.5 * unit), factors).stored


def by_rule(rule: AdaptiveRule, size: float, count: int = 60) -> Array:
    """The same path by a plain loop over the general rule, coordinate by coordinate."""
    factors = np.random.default_rng(3).uniform(0.5, 1.5, count)
    unit, columns = 50 * rule.lr, []
    for first, scale in ((50 * rule.lr, 0.3 * size), (-25 * rule.lr, 2.0 * size)):
        x, m, v = first, 0.0, 0.0
        points = [x]
        for t, factor in enumerate(factors, start=1):
            lr = rule.lr * float(factor)
            g = scale * np.sin(x / unit + 0.7) + (rule.weight_decay * x if rule.decay is Decay.COUPLED else 0.0)
            m, v = rule.beta1 * m + (1 - rule.beta1) * g, rule.beta2 * v + (1 - rule.beta2) * g * g
            c1, c2 = (1 - rule.beta1**t, 1 - rule.beta2**t) if rule.corrects else (1.0, 1.0)
            constant = rule.eps + (rule.eps_hat / c2**0.5)
            decay = rule.weight_decay * x if rule.decay is Decay.DECOUPLED else 0.0
            x = x - lr * (m / c1 / ((v / c2 + rule.eps_root) ** 0.5 + constant) + decay)
            points.append(x)
        columns.append(points)
    return np.array(columns).T


@pytest.mark.parametrize("one", SOURCES, ids=named)
def test_the_rule_is_what_the_step_does(one: AdaptiveConvention) -> None:
    for size in (1.0, one.form.damping):
        expected = by_rule(one.form, size)
        np.testing.assert_allclose(path(one, size), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_a_translation_is_called_exact_if_and_only_if_the_paths_agree(source: AdaptiveConvention) -> None:
    for target in EVERY:
        translation = translate(source, target)
        found = translation.target
        assert isinstance(found, AdaptiveConvention)
        ours, theirs = path(source, source.form.damping), path(found, source.form.damping)
        apart = float(np.abs(ours - theirs).max() / np.abs(ours - ours[0]).max())
        assert (translation.fidelity is Fidelity.EXACT) == (apart < 1e-9), (target.name, apart, translation.obstacles)
        assert bool(translation.obstacles) == (translation.fidelity is Fidelity.NEAREST)
        largest = [check.largest for check in prove(translation)]
        assert all((each < 1e-9) == (translation.fidelity is Fidelity.EXACT) for each in largest), target.name


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (TorchAdam(eps=1e-6), OptaxAdam(eps=1e-6)),
        (TorchAdamW(weight_decay=0.1), OptaxAdamW(weight_decay=0.1)),
        (TorchAdam(eps=1e-6), KerasAdam(eps=1e-6)),
        (OptaxAdam(eps=0.0, eps_root=1e-8), TorchAdam(eps=1e-4)),
        (TorchRMSprop(lr=0.1, beta2=0.9, eps=1e-3), KerasRMSprop(lr=0.1, beta2=0.9, eps=1e-6)),
        (OptaxRMSprop(lr=0.1, eps=1e-6), KerasRMSprop(lr=0.1, eps=1e-6)),
        (TorchRMSprop(lr=0.1, eps=1e-6), OptaxRMSprop(lr=0.1, beta2=0.99, eps=1e-6, eps_in_sqrt=False)),
        # Adam without the average of gradients is RMSprop with bias correction.
        (
            TorchAdam(beta1=0.0, eps=1e-6),
            OptaxRMSprop(lr=0.001, beta2=0.999, eps=1e-6, eps_in_sqrt=False, bias_correction=True),
        ),
    ],
    ids=named,
)
def test_adaptive_translations(source: AdaptiveConvention, target: AdaptiveConvention) -> None:
    assert translate(source, type(target)).target == target


def test_python_translates_adam() -> None:
    report = momentumlab.translate("torch_adam", "keras_adam", lr=0.01, eps=1e-6)
    assert report.hyperparameters == {"lr": 0.01, "beta2": 0.999, "eps": 1e-6, "beta1": 0.9, "weight_decay": 0.0}
    assert report.fidelity is Fidelity.NEAREST
    assert "before its correction" in report.notes[0]


def test_a_method_is_not_translated_into_another_one() -> None:
    with pytest.raises(ConfigError, match="torch_adam cannot be written in keras, which is another method"):
        momentumlab.translate("torch_adam", "keras")


def test_the_command_translates_adamw(command: Command) -> None:
    arguments = ["translate", "--from", "torch_adamw", "--to", "optax_adamw", "--set", "weight_decay=0.1"]
    done = command(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("torch_adamw → optax_adamw: the same path, also when lr changes\n")
    assert "eps_root=0.0, weight_decay=0.1)" in " ".join(done.stdout.split())
    wrong = command("translate", "--from", "torch_adam", "--set", "eps")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "NAME=VALUE" in wrong.stderr
