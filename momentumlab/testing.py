"""What every optimizer promises, as functions to be called from a test suite: your own, or this package's.

With pytest::

    import my_lab  # registers my_optimizer
    import pytest
    from momentumlab.testing import OPTIMIZER_CONTRACTS

    @pytest.mark.parametrize("contract", OPTIMIZER_CONTRACTS)
    def test_my_optimizer(contract):
        contract("my_optimizer")

Each raises `AssertionError` where the promise is broken.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from momentumlab.api import run
from momentumlab.catalogue import Parameter
from momentumlab.errors import ConfigError
from momentumlab.optimizers import OPTIMIZERS, Here
from momentumlab.result import Result
from momentumlab.surfaces import SURFACES

SEED = 20261120


def step_is_pure_and_keeps_shapes(name: str) -> None:
    """``step`` changes none of its arguments, repeats itself, and gives a velocity and a state of the same shapes."""
    random = np.random.default_rng(SEED)
    surface = SURFACES["rosenbrock"]()
    for variant in variants(name):
        optimizer = OPTIMIZERS[name](**variant)
        x, g = random.normal(size=(3, 5)), random.normal(size=(3, 5))
        state = optimizer.init(x)
        assert isinstance(state, tuple), "the state is a NamedTuple"
        for t in range(1, 4):
            frozen = [x.copy(), g.copy(), *(np.array(leaf) for leaf in state)]
            here = Here(x, t, surface.value(x), np.full(5, 0.1), surface)
            velocity, following = optimizer.step(state, g, here)
            again, repeated = optimizer.step(state, g, here)
            assert velocity.shape == x.shape, "the velocity has the shape of the gradient"
            assert velocity.tobytes() == again.tobytes(), "the same step twice gives the same velocity"
            for leaf, twin in zip(following, repeated, strict=True):
                assert np.asarray(leaf).tobytes() == np.asarray(twin).tobytes(), "and the same state"
            assert type(following) is type(state), "the state keeps its type"
            assert [np.shape(leaf) for leaf in following] == [np.shape(leaf) for leaf in state], "and its shapes"
            for array, before in zip([x, g, *state], frozen, strict=True):
                assert np.asarray(array).tobytes() == before.tobytes(), "the arguments are left as they were"
            state = following


def lanes_come_last_and_never_mix(name: str) -> None:
    """The last axis of every part of the state is the lanes, and a trial's path is the same alone and in a batch."""
    state = OPTIMIZERS[name]().init(np.zeros((3, 5)))
    assert all(leaf.shape[-1] == 5 for leaf in state), "the last axis of the state is the lanes"
    lrs = [0.001, 0.01, 0.05, 0.3]
    for variant in variants(name):
        batch = easy_run(name, **variant, lr=lrs)
        for lane, lr in enumerate(lrs):
            alone = easy_run(name, **variant, lr=lr)
            assert alone.path(0).tobytes() == batch.path(lane).tobytes(), f"lr = {lr} differs alone and in a batch"


def trials_may_begin_at_different_times(name: str) -> None:
    """``here.t`` may be an array, the iteration of each lane; what happens at a certain one happens lane by lane."""
    random = np.random.default_rng(SEED)
    surface = SURFACES["rosenbrock"]()
    ages = [1, 2, 5, 1, 40]
    for variant in variants(name):
        optimizer = OPTIMIZERS[name](**variant)
        x, g = random.normal(size=(2, 3, 5))
        state = optimizer.init(x)
        loss, lr = surface.value(x), np.full(5, 0.1)
        try:
            together, _ = optimizer.step(state, g, Here(x, np.array(ages, dtype=np.float64), loss, lr, surface))
        except ValueError as error:
            raise AssertionError(f"the step does not bear an array for t: {error} ({variant})") from error
        for lane, t in enumerate(ages):
            alone, _ = optimizer.step(state, g, Here(x, t, loss, lr, surface))
            assert together[:, lane].tobytes() == alone[:, lane].tobytes(), f"t = {t} differs in an array ({variant})"


def every_hyperparameter_changes_the_path(name: str) -> None:
    """No knob without an effect."""
    parameters = OPTIMIZERS[name].parameters()
    # Some knobs matter beside others alone, limits only where steps run into them, restarts only where paths oscillate.
    company = [{}, *({p.name: other_values(p)[0]} for p in parameters if p.is_optional and not p.choices)]
    grounds: list[dict[str, Any]] = [
        {},
        {"lr": 1.0},
        {"lr": 0.1, "iterations": 200},
        {"lr": 1e-7, "iterations": 5},
        {"lr": 40.0},
    ]
    for parameter in parameters:
        assert any(
            easy_run(name, **{**settings, parameter.name: value}).positions.tobytes()
            != easy_run(name, **settings).positions.tobytes()
            for beside in company
            for ground in grounds
            for settings in [{**beside, **ground}]
            for value in other_values(parameter)
        ), f"{parameter.name} has no effect"


def bounds_are_enforced(name: str) -> None:
    """Values out of bounds, and of the wrong kind, are refused before anything runs."""
    for parameter in OPTIMIZERS[name].parameters():
        for bound, sign in ((parameter.gt, 0), (parameter.ge, -1), (parameter.lt, 0), (parameter.le, 1)):
            if bound is not None:
                value = bound + sign * 1e-9
                assert_refused(name, parameter, [[value]] if parameter.kind is tuple else value)
        values: list[Any] = [float("nan"), float("inf"), "a", []]
        values += [7] if parameter.kind is not float else [True]
        for value in values:
            assert_refused(name, parameter, value)


def converges_on_an_easy_quadratic(name: str) -> None:
    """With one of a few learning rates, to what a method of fixed step size can reach."""
    still = {"weight_decay": 0.0} if "weight_decay" in {p.name for p in OPTIMIZERS[name].parameters()} else {}
    for variant in variants(name):
        result = easy_run(
            name,
            **variant,
            **still,
            surface={"name": "quadratic", "eigenvalues": [1.0, 2.0]},
            lr=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0],
            start=[1.0, -1.0],
            iterations=3000,
        )
        assert result.losses[0, 0] == 1.5
        assert np.nanmin(result.final_losses) < 1e-5, f"no learning rate leads to the minimum ({variant})"


def stays_finite_where_there_is_no_gradient(name: str) -> None:
    """Numbers stay finite without any gradient, in one coordinate or in all, and with one that never changes."""
    for variant in variants(name):
        for start in ([-2.4, 0.0], [0.0, 0.0]):
            assert np.isfinite(easy_run(name, **variant, start=start).positions).all(), f"from {start} ({variant})"
        still = easy_run(name, **variant, lr=0.0, start="random(5)", iterations=500)
        assert (still.positions == still.positions[:, :1]).all(), f"a constant gradient, without moving ({variant})"


def says_all_that_people_need(name: str) -> None:
    """Title, equation, source, and the meaning of every hyperparameter."""
    cls = OPTIMIZERS[name]
    assert cls.__doc__, "a docstring"
    assert cls.equation, "an equation"
    assert cls.source, "a source"
    assert all(parameter.doc for parameter in cls.parameters()), "the meaning of every hyperparameter"


OPTIMIZER_CONTRACTS: tuple[Callable[[str], None], ...] = (
    step_is_pure_and_keeps_shapes,
    lanes_come_last_and_never_mix,
    trials_may_begin_at_different_times,
    every_hyperparameter_changes_the_path,
    bounds_are_enforced,
    converges_on_an_easy_quadratic,
    stays_finite_where_there_is_no_gradient,
    says_all_that_people_need,
)


def variants(name: str) -> Iterator[dict[str, Any]]:
    """The settings by which to meet every variant of an optimizer: its defaults, and each other word and flag."""
    yield {}
    for parameter in OPTIMIZERS[name].parameters():
        if parameter.kind in (bool, str):
            yield from ({parameter.name: value} for value in other_values(parameter))


def other_values(parameter: Parameter) -> list[Any]:
    """Allowed values of a hyperparameter that differ from its default."""
    default = parameter.default
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, str):
        return [choice for choice in parameter.choices if choice != default]
    if isinstance(default, tuple):
        return [[[0.5 * value + 0.1 for value in default]]]
    if parameter.gt is not None and parameter.gt > 0:
        return [2 * default]
    upper = [bound for bound in (parameter.lt, parameter.le) if bound is not None]
    return [default / 3] if default else [0.4 * upper[0]] if upper else [3.0, 60.0]


def easy_run(name: str, **settings: Any) -> Result:
    """A short run on the ravine."""
    return run({"surface": "ravine", "optimizer": name, "lr": 0.02, "iterations": 60}, **settings)


def assert_refused(name: str, parameter: Parameter, value: Any) -> None:
    """A configuration with this value must be refused, naming the parameter."""
    message = ""
    try:
        easy_run(name, **{parameter.name: value})
    except ConfigError as error:
        message = str(error)
    assert parameter.name in message, f"{parameter.name} = {value} is not refused by name ({message})"
