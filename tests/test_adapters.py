"""Optimizers of other libraries. Tests that need PyTorch, pytorch_optimizer or optax are skipped without them."""

import dataclasses
import importlib
import pickle
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import momentumlab
from momentumlab.errors import ConfigError, UnknownNameError
from momentumlab.imports import ALLOW_IMPORT
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.optimizers.adapters import adapted
from momentumlab.optimizers.adapters.signatures import signature_of
from momentumlab.parameters import ValueKind, parameters_of
from tests.conftest import ROOT, Command

LR = [1e-3, 0.02, 0.1]
ITERATIONS = 40


def gradient(x: Any) -> Any:
    """The gradient of the ravine."""
    return np.array([x[0] / 8, 18 * x[1]])


def torch_loop(factory: Callable[..., Any], lr: float) -> Any:
    """The final point of a plain loop over PyTorch's own step."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    x = torch.tensor([-2.4, 0.2], dtype=torch.float64)
    optimizer = factory([x], lr=lr)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for _ in range(ITERATIONS):
        x.grad = torch.from_numpy(gradient(x.numpy()))
        optimizer.step()
    torch.set_default_dtype(before)
    return x.numpy()


def optax_loop(factory: Callable[..., Any], lr: float) -> Any:
    """The final point of a plain loop over optax's own compiled update."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    optimizer = factory(learning_rate=lr)

    def step(x: Any, g: Any, state: Any) -> Any:
        updates, state = optimizer.update(g, state, x)
        return optax.apply_updates(x, updates), state

    x, compiled = np.array([-2.4, 0.2]), jax.jit(step)
    state = optimizer.init(x)
    for _ in range(ITERATIONS):
        x, state = compiled(x, gradient(np.asarray(x)), state)
    return np.asarray(x)


def run(name: str, **settings: Any) -> momentumlab.Result:
    return momentumlab.run(surface="ravine", optimizer=name, lr=LR, iterations=ITERATIONS, **settings)


BATCHED = ["torch:SGD", "torch:Adam", "torch:AdamW", "torch:NAdam", "torch:Adadelta", "pytorch_optimizer:Lion"]
SEPARATE = [
    "torch:Rprop",
    "torch:ASGD",
    "pytorch_optimizer:Lamb",
    "pytorch_optimizer:Prodigy",
    "pytorch_optimizer:Aida",
]


@pytest.mark.parametrize("name", BATCHED + SEPARATE)
def test_a_path_equals_the_loop_of_torch(name: str) -> None:
    library, _, attribute = name.partition(":")
    module = pytest.importorskip("torch.optim" if library == "torch" else library)
    result = run(name)
    expected = np.array([torch_loop(getattr(module, attribute), lr) for lr in LR])
    execution = OPTIMIZERS[name]().execution
    if name in SEPARATE:
        assert execution == "one optimizer per trial"
        assert result.final_points.tobytes() == expected.tobytes()
    else:
        assert execution == "all trials as one tensor"
        np.testing.assert_allclose(result.final_points, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["sgd", "adam", "lion", "lamb", "rprop", "yogi"])
def test_a_path_equals_the_compiled_loop_of_optax(name: str) -> None:
    optax = pytest.importorskip("optax")
    expected = np.array([optax_loop(getattr(optax, name), lr) for lr in LR])
    np.testing.assert_allclose(run(f"optax:{name}").final_points, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["torch:Adam", "torch:Rprop", "pytorch_optimizer:SOAP", "optax:adam"])
def test_a_trial_does_not_depend_on_the_other_trials(name: str) -> None:
    for library in ("torch", "pytorch_optimizer", "optax"):
        pytest.importorskip(library)
    together = momentumlab.run(surface="ravine", optimizer=name, lr=[0.5, 0.01, 0.1], start="random(5)", iterations=30)
    alone = momentumlab.run(surface="ravine", optimizer=name, lr=0.01, start="random(5)", iterations=30)
    assert together.final_points[5:10].tobytes() == alone.final_points.tobytes()


def test_the_numbers_do_not_depend_on_when_other_trials_end() -> None:
    pytest.importorskip("torch")
    settings: dict[str, Any] = {"surface": "ravine", "optimizer": "torch:RMSprop", "iterations": 400}
    several = momentumlab.run(lr=[1e-3, 0.3, 0.01], tolerance=1e-6, **settings)
    assert len(set(several.iterations)) > 1
    for i, lr in enumerate([1e-3, 0.3, 0.01]):
        alone = momentumlab.run(lr=lr, tolerance=1e-6, **settings)
        assert several.final_points[i].tobytes() == alone.final_points[0].tobytes()


def test_a_step_does_not_change_the_state_that_it_gets() -> None:
    pytest.importorskip("torch")
    from momentumlab.optimizers import Here
    from momentumlab.surfaces import SURFACES

    for name in ("torch:Adam", "torch:ASGD"):
        optimizer = OPTIMIZERS[name]()
        x, g, lr = np.ones((2, 3)), np.full((2, 3), 0.5), np.full(3, 0.1)
        state = optimizer.init(x)
        for t in (1, 2):
            here = Here(x, t, np.zeros(3), lr, SURFACES["ravine"]())
            first, following = optimizer.step(state, g, here)
            second, _ = optimizer.step(state, g, here)
            assert first.tobytes() == second.tobytes()
            state = following


def test_a_hyperparameter_that_scales_differently_with_lr_is_run_separately() -> None:
    pytest.importorskip("pytorch_optimizer")
    cls = OPTIMIZERS["pytorch_optimizer:AdaBelief"]
    fixed = {"weight_decay": 0.1, "weight_decouple": True, "fixed_decay": True}
    assert cls().execution == "all trials as one tensor"
    assert cls(**fixed).execution == "one optimizer per trial"


@pytest.mark.parametrize("library", ["torch", "optax"])
def test_hyperparameters_are_axes_under_their_own_names(library: str) -> None:
    pytest.importorskip(library)
    name, key = {"torch": ("torch:Adam", "beta1"), "optax": ("optax:adam", "b1")}[library]
    result = run(name, settings={key: [0.5, 0.9]})
    own = momentumlab.run(surface="ravine", optimizer="adam", lr=LR, beta1=[0.5, 0.9], iterations=ITERATIONS)
    # Trials with other values of a hyperparameter that all lanes share are computed one after another.
    points = {(t.hyperparameters["lr"], t.hyperparameters[key]): result.final_points[t.number] for t in result.plan}
    expected = {(t.hyperparameters["lr"], t.hyperparameters["beta1"]): own.final_points[t.number] for t in own.plan}
    assert points.keys() == expected.keys()
    for setting, point in points.items():
        np.testing.assert_allclose(point, expected[setting], rtol=1e-9)


def test_a_learning_rate_follows_a_schedule() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("optax")
    settings: dict[str, Any] = {"surface": "ravine", "lr": "cosine(0.1, 0.001)", "iterations": ITERATIONS}
    own = momentumlab.run(optimizer="adam", **settings).final_points
    for name in ("torch:Adam", "optax:adam"):
        np.testing.assert_allclose(momentumlab.run(optimizer=name, **settings).final_points, own, rtol=1e-9)


def test_classes_and_functions_of_python_are_optimizers() -> None:
    torch, optax = pytest.importorskip("torch"), pytest.importorskip("optax")
    optimizers = [torch.optim.SGD, optax.sgd, "sgd"]
    result = momentumlab.run(surface="ravine", optimizers=optimizers, lr=0.1, iterations=ITERATIONS)
    assert [trial.optimizer for trial in result.plan] == ["torch:SGD", "optax:sgd", "sgd"]
    np.testing.assert_allclose(result.final_points, result.final_points[[2, 2, 2]], rtol=1e-12)


def test_an_equal_method_of_another_library_is_identical_in_a_comparison() -> None:
    pytest.importorskip("torch")
    compared = momentumlab.compare(optimizers=["adam", "torch:Adam"], surface="ravine", iterations=30, budget=8)
    losses = [row["final_loss"] for row in compared.summary()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_the_linear_theory_applies_to_linear_methods_only() -> None:
    pytest.importorskip("torch")
    own = momentumlab.predict(surface="ravine", optimizer="momentum", lr=0.1, beta=0.9)
    theirs = momentumlab.predict(surface="ravine", optimizer="torch:SGD", lr=0.1, settings={"momentum": 0.9})
    assert theirs[0].nearest is not None
    assert own[0].nearest is not None
    assert theirs[0].nearest.rate == pytest.approx(own[0].nearest.rate, rel=1e-12)
    for name in ("torch:NAdam", "torch:Rprop"):
        assert momentumlab.predict(surface="ravine", optimizer=name)[0].why_not


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torch:LBFGS", "closure"),
        ("torch:SparseAdam", "dense gradients"),
        ("torch:Muon", "2D parameters"),
        ("torch:AdaW", "did you mean 'torch:AdamW'"),
        ("pytorch_optimizer:SAM", "requires the argument base_optimizer"),
        ("pytorch_optimizer:Gravity", "its steps are random"),
        ("optax:lbfgs", "value_fn"),
    ],
)
def test_an_optimizer_that_cannot_be_used_is_refused_with_the_reason(name: str, reason: str) -> None:
    pytest.importorskip(name.partition(":")[0])
    with pytest.raises(UnknownNameError, match=reason):
        adapted(name)


def test_workers_compute_optimizers_of_optax() -> None:
    pytest.importorskip("optax")
    settings: dict[str, Any] = {"surface": "ravine", "optimizer": "optax:adam", "lr": "geomspace(1e-3, 1, 40)"}
    one = momentumlab.run(**settings, record="none")
    assert momentumlab.run(**settings, record="none", workers=2).final_points.tobytes() == one.final_points.tobytes()


def test_adapted_classes_are_pickled_by_name() -> None:
    pytest.importorskip("torch")
    cls = adapted("torch:AdamW")
    assert pickle.loads(pickle.dumps(cls)) is cls
    assert pickle.loads(pickle.dumps(cls(weight_decay=0.5))).weight_decay == 0.5


@pytest.mark.parametrize("language", ["console", "py"])
def test_the_examples_of_the_documentation_run(language: str, command: Command, tmp_path: Path) -> None:
    for library in ("torch", "optax", "pytorch_optimizer"):
        pytest.importorskip(library)
    page = (ROOT / "docs" / "your_optimizer.md").read_text()
    for block in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL):
        if language == "py":
            exec(block, {"__name__": "documentation"})
            continue
        for line in block.splitlines():
            if line.startswith("momentumlab ") and "configs/" not in line and "my_package" not in line:
                done = command(*shlex.split(line)[1:])
                assert done.returncode == 0, done.stderr


# Without the libraries


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.partition(".")[0] in ("torch", "optax"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name.partition(".")[0])
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    for name in ("torch:Neither", "optax:nor"):
        with pytest.raises(UnknownNameError, match=rf'pip install "momentumlab\[{name.partition(":")[0]}\]"'):
            adapted(name)


def test_a_configuration_cannot_import_a_module(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW_IMPORT, raising=False)
    sys.modules.pop("this", None)
    with pytest.raises(ConfigError, match="imports the module this"):
        momentumlab.run(surface="ravine", optimizer="this:Zen")
    assert "this" not in sys.modules
    refused = command("run", "--surface", "ravine", "--optimizer", "decimal:Decimal")
    assert refused.returncode == 2
    assert "--allow-import" in refused.stderr
    allowed = command("--allow-import", "run", "--surface", "ravine", "--optimizer", "decimal:Decimal")
    assert allowed.returncode == 2
    assert "cannot be used" in allowed.stderr or "needs optax" in allowed.stderr


def test_hyperparameters_are_read_from_the_signature() -> None:
    def factory(
        params: Any,
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        wd: float = 0,
        nesterov: bool = False,
        k: int = 5,
        rho: float | None = None,
        growth: float = float("inf"),
        *,
        fused: Any = None,
    ) -> None: ...

    signature = signature_of(factory, shared=lambda _: False)
    defaults = {name: field.default for name, _, field in signature.fields}
    assert (signature.lr_name, signature.default_lr) == ("lr", 0.01)
    assert defaults == {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "wd": 0.0, "nesterov": False, "k": 5, "rho": 0.0}
    passed = {argument.name: argument.value(defaults) for argument in signature.arguments}
    declared = parameters_of(dataclasses.make_dataclass("Declared", signature.fields))
    assert {each.name: each.checked(each.default) for each in declared}["k"] == 5
    assert [each.name for each in declared if each.kind is ValueKind.COUNT] == ["k"]
    assert passed["betas"] == (0.9, 0.99)
    assert passed["rho"] is None
