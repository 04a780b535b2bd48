"""Record reference paths of other libraries by executing the calls that ``translate`` prints.

Usage, from the repository, with torch 2.13, optax 0.2.8, keras 3.15 and qhoptim 1.1:

    KERAS_BACKEND=jax python -m tests.golden.generate_conventions

Run it again with the argument ``tensorflow`` where tensorflow-cpu is installed, and with the argument ``adaptive`` for
Adam and RMSprop, which need torch, optax and keras only. Each run adds its paths to the same archive.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momentumlab.conventions import MomentumConvention
from momentumlab.conventions.adam_forms import (
    AdaptiveConvention,
    KerasAdam,
    KerasAdamW,
    KerasRMSprop,
    OptaxAdam,
    OptaxAdamW,
    OptaxRMSprop,
    TorchAdam,
    TorchAdamW,
    TorchRMSprop,
)
from momentumlab.conventions.forms import Average, DebiasedAverage, Keras, Optax, QuasiHyperbolic, TensorFlow1, Torch
from tests.golden.generate import problem

ARCHIVE = Path(__file__).parent / "conventions.npz"
Vector = NDArray[np.float64]

ITERATIONS = 60
KEPT = slice(0, ITERATIONS + 1, 6)
STARTS = {"ravine": (-2.4, 0.2), "rosenbrock": (-1.2, 1.0)}

FACTORS: dict[str, Vector] = {
    "constant": np.ones(ITERATIONS),
    "changing": np.concatenate([np.linspace(0.2, 1.0, 10), np.ones(15), np.full(15, 0.5), np.linspace(0.5, 0.05, 20)]),
}

CASES: list[MomentumConvention] = [
    Torch(lr=4e-4, beta=0.9),
    Torch(lr=4e-4, beta=0.8, nesterov=True),
    Torch(lr=4e-4, beta=0.8, dampening=0.4),
    Torch(lr=4e-4, beta=0.0, dampening=0.4),
    Optax(lr=4e-4, beta=0.9),
    Optax(lr=4e-4, beta=0.8, nesterov=True),
    Keras(lr=4e-4, beta=0.9),
    Keras(lr=4e-4, beta=0.8, nesterov=True),
    Keras(lr=4e-4, beta=0.0),
    Average(lr=4e-3, beta=0.9),
    DebiasedAverage(lr=5e-4, beta=0.9),
    QuasiHyperbolic(lr=2e-3, beta=0.9, nu=0.7),
    # TensorFlow keeps momentum in single precision: numbers that it can keep exactly
    TensorFlow1(lr=4e-4, beta=0.875),
    TensorFlow1(lr=4e-4, beta=0.75, nesterov=True),
]

ADAPTIVE: list[AdaptiveConvention] = [
    # ε is large, so that its place matters
    TorchAdam(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3),
    TorchAdam(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3, weight_decay=0.4),
    TorchAdamW(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3, weight_decay=0.4),
    TorchRMSprop(lr=0.02, beta2=0.9, eps=0.3),
    TorchRMSprop(lr=0.02, beta2=0.9, eps=0.3, weight_decay=0.4),
    OptaxAdam(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3),
    OptaxAdam(lr=0.02, beta1=0.8, beta2=0.99, eps=0.1, eps_root=0.05),
    OptaxAdamW(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3, weight_decay=0.4),
    OptaxRMSprop(lr=0.02, beta2=0.9, eps=0.3),
    OptaxRMSprop(lr=0.02, beta2=0.9, eps=0.3, eps_in_sqrt=False),
    OptaxRMSprop(lr=0.02, beta2=0.9, eps=0.3, eps_in_sqrt=False, bias_correction=True),
    OptaxRMSprop(lr=0.02, beta2=0.9, eps=0.3, bias_correction=True),
    KerasAdam(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3),
    KerasAdam(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3, weight_decay=0.4),
    KerasAdamW(lr=0.02, beta1=0.8, beta2=0.99, eps=0.3, weight_decay=0.4),
    KerasRMSprop(lr=0.02, beta2=0.9, eps=0.3),
    KerasRMSprop(lr=0.02, beta2=0.9, eps=0.3, weight_decay=0.4),
]

OPTAX_INSIDE = "optax.chain(optax.scale_by_learning_rate({lr}), optax.trace({beta}, nesterov={nesterov}))"
"""What the catalogue says of Keras's convention in optax."""

INSIDE_CASES = [case for case in CASES if isinstance(case, Keras)]


def key(call: str, surface: str, factors: str) -> str:
    """The name of a path in the archive."""
    return f"{call} · {surface} · {factors}"


def inside_call(case: Keras) -> str:
    """Keras's convention in optax."""
    return OPTAX_INSIDE.format(lr=case.lr, beta=case.beta, nesterov=case.nesterov)


def path_of(call: str, lr: float, factors: Vector, surface: str) -> Vector:
    """The parameters at the start and after each step."""
    _, gradient = problem(surface)
    walks = {"torch": _torch, "qhoptim": _torch, "optax": _optax, "keras": _keras, "tf": _tensorflow}
    walk = walks[call.partition(".")[0]]
    return np.array(list(walk(call, lr, factors, gradient, np.array(STARTS[surface]))))


def _torch(call: str, lr: float, factors: Vector, gradient: Any, start: Vector) -> Iterator[Vector]:
    import torch

    names: dict[str, Any] = {"torch": torch}
    if call.startswith("qhoptim"):
        import qhoptim.pyt

        names["qhoptim"] = qhoptim
    x = torch.tensor(start)
    made = eval(call, {**names, "params": [x]})
    yield x.numpy().copy()
    for factor in factors:
        made.param_groups[0]["lr"] = lr * float(factor)
        x.grad = torch.tensor(gradient(x.numpy()))
        made.step()
        yield x.numpy().copy()


def _optax(call: str, lr: float, factors: Vector, gradient: Any, start: Vector) -> Iterator[Vector]:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    rates = jax.numpy.asarray(lr * factors)
    made = eval(call.replace(repr(lr), "schedule"), {"optax": optax, "schedule": lambda count: rates[count]})
    x = jax.numpy.asarray(start)
    state = made.init(x)
    yield np.asarray(x)
    for _ in factors:
        updates, state = made.update(jax.numpy.asarray(gradient(np.asarray(x))), state, x)
        x = optax.apply_updates(x, updates)
        yield np.asarray(x)


def _keras(call: str, lr: float, factors: Vector, gradient: Any, start: Vector) -> Iterator[Vector]:
    import jax
    import keras

    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    x = keras.Variable(start, dtype="float64")
    made = eval(call, {"keras": keras})
    made.build([x])
    yield np.array(x)
    for factor in factors:
        made.learning_rate = lr * float(factor)
        made.apply([keras.ops.convert_to_tensor(gradient(np.array(x)), dtype="float64")])
        yield np.array(x)


def _tensorflow(call: str, lr: float, factors: Vector, gradient: Any, start: Vector) -> Iterator[Vector]:
    import tensorflow as tf

    x = tf.Variable(start, dtype=tf.float64)
    rates = iter(lr * factors)
    made = eval(call.replace(repr(lr), "rate"), {"tf": tf, "rate": lambda: tf.constant(next(rates), tf.float64)})
    yield x.numpy().copy()
    for _ in factors:
        made.apply_gradients([(tf.constant(gradient(x.numpy()), tf.float64), x)])
        yield x.numpy().copy()


def main() -> None:
    momentum = [(case.call, case.lr) for case in CASES] + [(inside_call(case), case.lr) for case in INSIDE_CASES]
    adaptive = [(case.call, case.lr) for case in ADAPTIVE]
    tensorflow = [each for each in momentum if each[0].startswith("tf.")]
    if "adaptive" in sys.argv:
        calls, libraries = adaptive, ["torch", "optax", "keras", "jax"]
    elif "tensorflow" in sys.argv:
        calls, libraries = tensorflow, ["tensorflow-cpu"]
    else:
        calls = [each for each in momentum if each not in tensorflow]
        libraries = ["torch", "optax", "keras", "qhoptim", "jax"]
    every = [call for call, _ in momentum + adaptive]
    known = {key(call, surface, name) for call in every for surface in STARTS for name in FACTORS} | {"versions"}
    before = dict(np.load(ARCHIVE, allow_pickle=False)) if ARCHIVE.exists() else {}
    archive: dict[str, Any] = {name: path for name, path in before.items() if name in known}
    for call, lr in calls:
        for surface in STARTS:
            for name, factors in FACTORS.items():
                archive[key(call, surface, name)] = path_of(call, lr, factors, surface)[KEPT]
    versions = {line.split()[0]: line for line in archive.get("versions", np.array([], dtype=str)).tolist()}
    versions |= {library: f"{library} {version(library)}" for library in libraries}
    archive["versions"] = np.array(sorted(versions.values()))
    np.savez_compressed(ARCHIVE, **archive)
    print(f"{len(archive) - 1} paths, {ARCHIVE.stat().st_size:,} bytes, {sorted(versions.values())}")


if __name__ == "__main__":
    main()
