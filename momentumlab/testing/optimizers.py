"""Contracts of optimizers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from momentumlab.api import run
from momentumlab.errors import ConfigError, PluginError
from momentumlab.lanes import put_lanes, take_lanes
from momentumlab.optimizers import OPTIMIZERS, Here
from momentumlab.parameters import Array, ValueKind
from momentumlab.result import Result
from momentumlab.surfaces import SURFACES
from momentumlab.testing.common import assert_documented, other_values

SEED = 20261120


def step_is_pure(name: str) -> None:
    """``step`` does not change its arguments, is reproducible, and preserves the shapes of velocity and state."""
    x, g = np.random.default_rng(SEED).normal(size=(2, 3, 5))
    for variant in variants(name):
        optimizer = OPTIMIZERS[name](**variant)
        state = optimizer.init(x)
        assert isinstance(state, tuple), f"the state must be a NamedTuple; init returns {type(state).__name__}"
        for t in range(1, 4):
            arrays = [x, g, *state]
            before = [np.array(array) for array in arrays]
            velocity, following = optimizer.step(state, g, here_at(x, t))
            assert _bytes(arrays) == _bytes(before), "step changes its arguments: look for += or out="
            assert np.shape(velocity) == x.shape, (
                f"the velocity must have the shape of the gradient, {x.shape}; it has {np.shape(velocity)}"
            )
            assert type(following) is type(state), (
                f"the state must keep its type, {type(state).__name__}; step returns {type(following).__name__}"
            )
            shapes, new_shapes = ([np.shape(array) for array in each] for each in (state, following))
            assert shapes == new_shapes, f"the state must keep its shapes, {shapes}; step returns {new_shapes}"
            again, following_again = optimizer.step(state, g, here_at(x, t))
            assert _bytes([velocity, *following]) == _bytes([again, *following_again]), (
                "the same step returns two results: does the optimizer store anything?"
            )
            state = following


def _bytes(arrays: Sequence[Any]) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in arrays]


def lanes_are_independent(name: str) -> None:
    """Lanes are the last axis of every array of the state, and a trial has the same path on its own and in a batch."""
    state = OPTIMIZERS[name]().init(np.zeros((3, 5)))
    for field, array in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
        shape = np.shape(array)
        assert shape[-1:] == (5,), f"the last axis of the state's {field} must be the 5 lanes; its shape is {shape}"
    for variant in variants(name):
        _assert_same_alone(name, "lr", [0.001, 0.01, 0.05, 0.3], **variant)


def hyperparameters_may_vary_by_lane(name: str) -> None:
    """Each numeric hyperparameter may be an array with a value per lane, as in a sweep."""
    for parameter in OPTIMIZERS[name].parameters():
        if not parameter.shared and parameter.name != "lr":
            try:
                _assert_same_alone(name, parameter.name, [parameter.default, *other_values(parameter)])
            except PluginError as error:
                message = f"{parameter.name} must accept an array: {error}; use np.where instead of 'if'"
                raise AssertionError(message) from None


def _assert_same_alone(name: str, axis: str, values: Sequence[float], **settings: Any) -> None:
    """Check that each value of a hyperparameter gives the same path on its own and in a batch with the others."""
    batch = short_run(name, **settings, **{axis: values})
    for lane, value in enumerate(values):
        alone = short_run(name, **settings, **{axis: value})
        assert alone.path(0).tobytes() == batch.path(lane).tobytes(), (
            f"the path for {axis} = {value} is different in a batch with {list(values)}"
        )


def lanes_can_be_replaced(name: str) -> None:
    """Lanes can be removed and restarted without changing the other lanes."""
    x, g = np.random.default_rng(SEED).normal(size=(2, 2, 5))
    optimizer = OPTIMIZERS[name]()

    def stepped(state: Any, lanes: Any, t: int) -> tuple[Any, Any]:
        return optimizer.step(state, np.ascontiguousarray(g[:, lanes]), here_at(np.ascontiguousarray(x[:, lanes]), t))

    every, kept, free = np.arange(5), np.array([0, 3]), np.array([1, 4])
    _, state = stepped(optimizer.init(x), every, 1)
    whole, _ = stepped(state, every, 2)
    rest, _ = stepped(take_lanes(state, kept), kept, 2)
    assert rest.tobytes() == whole[:, kept].tobytes(), "removing lanes changes the others"
    mixed, _ = stepped(put_lanes(state, free, optimizer.init(np.ascontiguousarray(x[:, free]))), every, 2)
    assert mixed[:, [0, 2, 3]].tobytes() == whole[:, [0, 2, 3]].tobytes(), "restarting lanes changes the others"


def iterations_may_vary_by_lane(name: str) -> None:
    """``here.t`` may be an array with the iteration of each lane."""
    x, g = np.random.default_rng(SEED).normal(size=(2, 3, 5))
    iterations = np.array([1.0, 2.0, 5.0, 1.0, 40.0])
    for variant in variants(name):
        optimizer = OPTIMIZERS[name](**variant)
        state = optimizer.init(x)
        try:
            together, _ = optimizer.step(state, g, here_at(x, iterations))
        except ValueError as error:
            raise AssertionError(f"step must accept an array for t: {error} ({variant})") from error
        for lane, t in enumerate(iterations.astype(int).tolist()):
            alone, _ = optimizer.step(state, g, here_at(x, t))
            assert together[:, lane].tobytes() == alone[:, lane].tobytes(), (
                f"the step at t = {t} is different if t is an array ({variant})"
            )


def every_hyperparameter_has_an_effect(name: str) -> None:
    """Every hyperparameter changes the path."""
    parameters = OPTIMIZERS[name].parameters()
    # Some hyperparameters matter only together with others, limits only if reached, restarts only with oscillations.
    partners = [{}, *({p.name: other_values(p)[0]} for p in parameters if p.is_optional and not p.choices)]
    runs: list[dict[str, Any]] = [
        {},
        {"lr": 1.0},
        {"lr": 0.1, "iterations": 200},
        {"lr": 1e-7, "iterations": 5},
        {"lr": 40.0},
    ]
    for parameter in parameters:
        assert any(
            short_run(name, **{**partner, **each, parameter.name: value}).positions.tobytes()
            != short_run(name, **{**partner, **each}).positions.tobytes()
            for partner in partners
            for each in runs
            for value in other_values(parameter)
        ), f"{parameter.name} has no effect"


def bounds_are_enforced(name: str) -> None:
    """Values out of bounds or of the wrong type are rejected before a run."""
    for parameter in OPTIMIZERS[name].parameters():
        values: list[Any] = [float("nan"), float("inf"), "a", []]
        values += [True] if parameter.kind is ValueKind.NUMBER else [7]
        for bound, sign in ((parameter.gt, 0), (parameter.ge, -1), (parameter.lt, 0), (parameter.le, 1)):
            if bound is not None:
                outside = bound + sign * 1e-9
                values.append([[outside]] if parameter.kind is ValueKind.VECTOR else outside)
        for value in values:
            message = ""
            try:
                short_run(name, **{parameter.name: value})
            except ConfigError as error:
                message = str(error)
            assert parameter.name in message, f"{parameter.name} = {value} is not rejected by name ({message})"


def converges_on_a_quadratic(name: str) -> None:
    """The method minimizes an easy quadratic with one of several learning rates."""
    has_decay = "weight_decay" in {p.name for p in OPTIMIZERS[name].parameters()}
    for variant in variants(name):
        result = short_run(
            name,
            **variant,
            **({"weight_decay": 0.0} if has_decay else {}),
            surface={"name": "quadratic", "eigenvalues": [1.0, 2.0]},
            lr=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0],
            start=[1.0, -1.0],
            iterations=3000,
        )
        assert np.nanmin(result.final_losses) < 1e-5, f"no learning rate leads to the minimum ({variant})"


def stays_finite_without_a_gradient(name: str) -> None:
    """Velocities stay finite for zero gradients, in some or all coordinates, and for constant gradients."""
    for variant in variants(name):
        for start in ([-2.4, 0.0], [0.0, 0.0]):
            assert np.isfinite(short_run(name, **variant, start=start).positions).all(), f"from {start} ({variant})"
        still = short_run(name, **variant, lr=0.0, start="random(5)", iterations=500)
        assert (still.positions == still.positions[:, :1]).all(), f"a constant gradient, with lr = 0 ({variant})"


def gradients_are_counted(name: str) -> None:
    """It calls ``here.gradient`` as often as it declares and uses no other source of gradients."""
    x, g = np.random.default_rng(SEED).normal(size=(2, 3, 5))
    for variant in variants(name):
        optimizer, here = OPTIMIZERS[name](**variant), here_at(x, 1)
        calls: list[Array] = []

        def oracle(y: Array, calls: list[Array] = calls, here: Here = here) -> Array:
            calls.append(y)
            return here.surface.gradient(y)

        optimizer.step(optimizer.init(x), g, here._replace(oracle=oracle))
        assert len(calls) + 1 == optimizer.gradients_per_step, (
            f"step calls here.gradient {len(calls)} times: set gradients_per_step = {len(calls) + 1} in the class"
        )
        short_run(name, **variant, noise=0.1)  # raises an error if the optimizer asks the surface for its gradient


def is_documented(name: str) -> None:
    """It has a title, an equation, a source, and a description of every hyperparameter."""
    assert_documented(OPTIMIZERS[name], "equation", "source")


OPTIMIZER_CONTRACTS: tuple[Callable[[str], None], ...] = (
    step_is_pure,
    lanes_are_independent,
    hyperparameters_may_vary_by_lane,
    lanes_can_be_replaced,
    iterations_may_vary_by_lane,
    every_hyperparameter_has_an_effect,
    bounds_are_enforced,
    converges_on_a_quadratic,
    stays_finite_without_a_gradient,
    gradients_are_counted,
    is_documented,
)


def variants(name: str) -> Iterator[dict[str, Any]]:
    """Yield the default settings of an optimizer, then one change of each flag and to each other choice."""
    yield {}
    for parameter in OPTIMIZERS[name].parameters():
        if parameter.kind in (ValueKind.FLAG, ValueKind.WORD):
            yield from ({parameter.name: value} for value in other_values(parameter))


def here_at(x: Array, t: Array | int) -> Here:
    """Return points of the Rosenbrock function as the optimizer sees them in iteration ``t``."""
    surface = SURFACES["rosenbrock"]()
    return Here(x, t, surface.value(x), np.full(x.shape[1], 0.1), surface)


def short_run(name: str, **settings: Any) -> Result:
    """Return a short run on the ravine; a list is an axis, a tuple is one value."""
    settings = {key: [list(value)] if isinstance(value, tuple) else value for key, value in settings.items()}
    return run({"surface": "ravine", "optimizer": name, "lr": 0.02, "iterations": 60}, **settings)
