"""Record the golden schedules, and golden paths under schedules, with PyTorch and optax.

Usage, from the repository, with the extra ``[parity]`` installed: python -m tests.golden.schedules

Each case has our spelling, and the call of the library. Values are those of the first `RECORDED` updates in an
experiment of `ITERATIONS`: in PyTorch the rate in force at ``optimizer.step()``, with ``scheduler.step()`` after it; in
optax ``schedule(count)`` for count = 0, 1, …
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARCHIVE = Path(__file__).parent / "schedules.npz"
ITERATIONS = 100
RECORDED = 130

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A schedule, how one library makes it, and how many of its values are to be compared.

    Attributes
    ----------
    make
        From ``torch.optim.lr_scheduler`` and an optimizer whose lr is ``base``; or from ``optax``.
    recorded
        PyTorch's cosine rises again after its end, and its onecycle raises an error.
    """

    text: str
    library: str
    make: Callable[..., Any]
    base: float = 0.1
    recorded: int = RECORDED

    @property
    def key(self) -> str:
        """The name of its values in the archive."""
        return f"{self.library}/{self.text}"


CASES = [
    Case(
        text="cosine(0.1, 0.001)",
        library="torch",
        make=lambda s, o: s.CosineAnnealingLR(o, T_max=100, eta_min=0.001),
        recorded=101,
    ),
    Case(
        text="cosine(0.1, over=37)",
        library="torch",
        make=lambda s, o: s.CosineAnnealingLR(o, T_max=37),
        recorded=38,
    ),
    Case(text="step(0.1, factor=0.5, every=20)", library="torch", make=lambda s, o: s.StepLR(o, 20, 0.5)),
    Case(text="step(0.1)", library="torch", make=lambda s, o: s.StepLR(o, 30)),
    Case(text="exponential(0.1, 0.99)", library="torch", make=lambda s, o: s.ExponentialLR(o, 0.99)),
    Case(
        text="linear(0.1, 0.02, over=40)",
        library="torch",
        make=lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=40),
    ),
    Case(
        text="linear(0.02, 0.1)",
        library="torch",
        make=lambda s, o: s.LinearLR(o, start_factor=0.2, end_factor=1.0, total_iters=100),
    ),
    Case(
        text="linear(0.5, 0.95, over=50)",
        library="torch",
        make=lambda s, o: s.LinearLR(o, start_factor=0.5 / 0.95, end_factor=1.0, total_iters=50),
        base=0.95,
    ),
    Case(text="linear(0.5, 0.95, over=50)", library="optax", make=lambda optax: optax.linear_schedule(0.5, 0.95, 50)),
    Case(text="polynomial(0.1)", library="torch", make=lambda s, o: s.PolynomialLR(o, total_iters=100, power=2)),
    Case(
        text="polynomial(0.1, power=1.5, over=60)",
        library="torch",
        make=lambda s, o: s.PolynomialLR(o, total_iters=60, power=1.5),
    ),
    Case(
        text="onecycle(0.1)",
        library="torch",
        make=lambda s, o: s.OneCycleLR(o, 0.1, total_steps=100, cycle_momentum=False),
        recorded=100,
    ),
    Case(
        text="onecycle(0.3, over=77, pct_start=0.41, div_factor=10, final_div_factor=100)",
        library="torch",
        make=lambda s, o: s.OneCycleLR(
            o, 0.3, total_steps=77, pct_start=0.41, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
        recorded=77,
    ),
    Case(
        text="piecewise({0: 0.1, 30: 0.05, 70: 0.025})",
        library="torch",
        make=lambda s, o: s.MultiStepLR(o, [30, 70], gamma=0.5),
    ),
    Case(
        text="warmup(10, cosine(0.1, 0.001), start=0.025)",
        library="torch",
        make=lambda s, o: s.SequentialLR(
            o,
            [s.LinearLR(o, start_factor=0.25, total_iters=10), s.CosineAnnealingLR(o, T_max=90, eta_min=0.001)],
            milestones=[10],
        ),
        recorded=101,
    ),
    Case(
        text="warmup(7, step(0.05, factor=0.5, every=15), start=0.005)",
        library="torch",
        make=lambda s, o: s.SequentialLR(
            o, [s.LinearLR(o, start_factor=0.1, total_iters=7), s.StepLR(o, 15, 0.5)], milestones=[7]
        ),
        base=0.05,
    ),
    Case(text="inverse(0.1, k=0.01)", library="torch", make=lambda s, o: s.LambdaLR(o, lambda k: 1 / (1 + 0.01 * k))),
    Case(
        text="nesterov_sequence()",
        library="torch",
        make=lambda s, o: s.LambdaLR(o, lambda k: k / (k + 3)),
        base=1.0,
    ),
    Case(text="nesterov_sequence()", library="optax", make=lambda optax: lambda k: k / (k + 3)),
    Case(
        text="cosine(0.1, 0.001)",
        library="optax",
        make=lambda optax: optax.cosine_decay_schedule(0.1, 100, alpha=0.01),
    ),
    Case(
        text="exponential(0.1, 0.99)",
        library="optax",
        make=lambda optax: optax.exponential_decay(0.1, transition_steps=1, decay_rate=0.99),
    ),
    Case(
        text="step(0.1, factor=0.5, every=20)",
        library="optax",
        make=lambda optax: optax.exponential_decay(0.1, transition_steps=20, decay_rate=0.5, staircase=True),
    ),
    Case(text="linear(0.1, 0.02, over=40)", library="optax", make=lambda optax: optax.linear_schedule(0.1, 0.02, 40)),
    Case(
        text="polynomial(0.1, 0.01, power=3)",
        library="optax",
        make=lambda optax: optax.polynomial_schedule(0.1, 0.01, power=3, transition_steps=100),
    ),
    Case(
        text="piecewise({0: 0.1, 30: 0.05, 70: 0.025})",
        library="optax",
        make=lambda optax: optax.piecewise_constant_schedule(0.1, {30: 0.5, 70: 0.5}),
    ),
    Case(
        text="piecewise({0: 0.1, 30: 0.05, 70: 0.2}, between=linear)",
        library="optax",
        make=lambda optax: optax.piecewise_interpolate_schedule("linear", 0.1, {30: 0.5, 70: 4.0}),
    ),
    Case(
        text="piecewise({0: 0.1, 30: 0.05, 70: 0.2}, between=cosine)",
        library="optax",
        make=lambda optax: optax.piecewise_interpolate_schedule("cosine", 0.1, {30: 0.5, 70: 4.0}),
    ),
    Case(
        text="warmup(10, cosine(0.1, 0.001))",
        library="optax",
        make=lambda optax: optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 100, end_value=0.001),
    ),
    Case(
        text="warmup(12, exponential(0.1, 0.97), start=0.01)",
        library="optax",
        make=lambda optax: optax.join_schedules(
            [optax.linear_schedule(0.01, 0.1, 12), optax.exponential_decay(0.1, 1, 0.97)], [12]
        ),
    ),
    Case(
        text="onecycle(0.1, dialect=optax)",
        library="optax",
        make=lambda optax: optax.cosine_onecycle_schedule(100, 0.1),
    ),
    Case(
        text="onecycle(0.3, over=77, pct_start=0.41, div_factor=10, final_div_factor=100, dialect=optax)",
        library="optax",
        make=lambda optax: optax.cosine_onecycle_schedule(77, 0.3, 0.41, 10, 100),
    ),
]


@dataclass(frozen=True, kw_only=True)
class PathCase:
    """An optimizer whose hyperparameters change in the course of its path.

    PyTorch's are set in ``param_groups`` before each step, to the values of `CASES`; optax's are injected. A
    momentum of exactly 0 is left to optax: PyTorch does not touch its buffer then, so that a gradient is lost.

    Attributes
    ----------
    scheduled
        By our name, our spelling.
    """

    library: str
    optimizer: str
    fixed: dict[str, Any]
    scheduled: dict[str, str]

    @property
    def key(self) -> str:
        """The name of its path in the archive."""
        return f"path/{self.library}/{self.optimizer}/{self.fixed}/{self.scheduled}"


STEPS = "step(0.1, factor=0.5, every=20)"
WARM = "warmup(10, cosine(0.1, 0.001), start=0.025)"
WARM_STEPS = "warmup(7, step(0.05, factor=0.5, every=15), start=0.005)"
RISE = "linear(0.5, 0.95, over=50)"
SEQUENCE = "nesterov_sequence()"


def _path(library: str, optimizer: str, fixed: dict[str, Any], **scheduled: str) -> PathCase:
    return PathCase(library=library, optimizer=optimizer, fixed=fixed, scheduled=scheduled)


PATHS = [
    _path("torch", "sgd", {}, lr=WARM),
    _path("torch", "momentum", {"beta": 0.8}, lr="cosine(0.1, 0.001)"),
    _path("torch", "momentum", {"beta": 0.9}, lr=STEPS),
    _path("torch", "momentum", {"lr": 0.05}, beta=RISE),
    _path("torch", "momentum", {"dampening": 0.3}, lr=WARM, beta=RISE),
    _path("torch", "momentum", {"lr": 0.05, "beta": 0.5}, weight_decay="cosine(0.1, 0.001)"),
    _path("torch", "nesterov", {"beta": 0.8}, lr=WARM_STEPS),
    _path("torch", "nesterov", {"lr": 0.02}, beta=RISE),
    _path("torch", "adam", {}, lr="onecycle(0.1)"),
    _path("torch", "adam", {"beta1": 0.5, "weight_decay": 0.01}, lr="exponential(0.1, 0.99)"),
    _path("torch", "rmsprop", {"beta": 0.5}, lr=STEPS),
    _path("optax", "momentum", {"lr": 0.05}, beta=SEQUENCE),
    _path("optax", "nesterov", {}, lr="linear(0.1, 0.02, over=40)", beta=SEQUENCE),
    _path("optax", "adam", {}, lr="warmup(10, cosine(0.1, 0.001))"),
]

START = np.array([-2.4, 0.2])
CURVATURES = np.array([1 / 8, 18.0])
IN_TORCH = {"lr": "lr", "beta": "momentum", "weight_decay": "weight_decay"}
IN_OPTAX = {"lr": "learning_rate", "beta": "momentum"}


def reference_values(case: Case) -> Vector:
    """The values of a case, in float64."""
    if case.library == "optax":
        import jax
        import optax

        jax.config.update("jax_enable_x64", True)
        made = case.make(optax)
        return np.array([float(made(jax.numpy.asarray(k))) for k in range(case.recorded)])
    return np.array(list(_torch_values(case)))


def _torch_values(case: Case) -> Iterator[float]:
    import torch

    torch.set_default_dtype(torch.float64)
    made = torch.optim.SGD([torch.zeros(1)], lr=case.base)
    scheduler = case.make(torch.optim.lr_scheduler, made)
    for k in range(case.recorded):
        yield float(made.param_groups[0]["lr"])
        made.step()
        if k + 1 < case.recorded:
            scheduler.step()


def reference_path(case: PathCase, values: dict[str, Vector]) -> Vector:
    """The path on the ravine x²/16 + 9y², ``(ITERATIONS + 1, 2)``."""
    return np.array(list(_torch_path(case, values) if case.library == "torch" else _optax_path(case)))


def _torch_path(case: PathCase, values: dict[str, Vector]) -> Iterator[Vector]:
    import torch

    from tests.golden.references import TORCH

    torch.set_default_dtype(torch.float64)
    x = torch.tensor(START)
    made = TORCH[case.optimizer](torch.optim, [x], {"lr": 0.1, **case.fixed})
    yield x.numpy().copy()
    for k in range(ITERATIONS):
        for name, text in case.scheduled.items():
            made.param_groups[0][IN_TORCH[name]] = float(values[f"torch/{text}"][k])
        x.grad = torch.tensor(CURVATURES * x.numpy())
        made.step()
        yield x.numpy().copy()


def _optax_path(case: PathCase) -> Iterator[Vector]:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    schedules = {each.text: each.make(optax) for each in CASES if each.library == "optax"}
    scheduled = {IN_OPTAX[name]: _in_float64(schedules[text]) for name, text in case.scheduled.items()}
    fixed = {IN_OPTAX[name]: value for name, value in case.fixed.items()}
    named = {"momentum": optax.sgd, "nesterov": optax.sgd, "adam": optax.adam}[case.optimizer]
    more = {"nesterov": True} if case.optimizer == "nesterov" else {}
    injected = optax.inject_hyperparams(named, static_args=("nesterov",), hyperparam_dtype=jax.numpy.float64)
    made = injected(**fixed, **scheduled, **more)
    x = jax.numpy.asarray(START)
    state = made.init(x)
    yield np.asarray(x)
    for _ in range(ITERATIONS):
        updates, state = made.update(jax.numpy.asarray(CURVATURES * np.asarray(x)), state, x)
        x = optax.apply_updates(x, updates)
        yield np.asarray(x)


def _in_float64(schedule: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same schedule; optax counts in int32, of which JAX makes float32."""
    return lambda count: schedule(count.astype("float64"))


def main() -> None:
    values = {case.key: reference_values(case) for case in CASES}
    paths = {case.key: reference_path(case, values) for case in PATHS}
    versions = [f"{library} {version(library)}" for library in ("torch", "optax", "jax", "numpy")]
    np.savez_compressed(ARCHIVE, versions=np.array(versions), **values, **paths)  # type: ignore[arg-type]
    print(f"{len(values)} schedules, {len(paths)} paths, {ARCHIVE.stat().st_size:,} bytes, {versions}")


if __name__ == "__main__":
    main()
