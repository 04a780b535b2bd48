"""The contracts of optimizers. Each function raises `AssertionError` with the problem if its contract is broken."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from momentumlab.api import run
from momentumlab.errors import ConfigError, PluginError
from momentumlab.lanes import put_lanes, take_lanes
from momentumlab.optimizers import OPTIMIZERS, Here
from momentumlab.registry import Parameter, ValueKind
from momentumlab.result import Result
from momentumlab.surfaces import SURFACES
from momentumlab.testing.words import assert_texts, assert_titled

SEED = 20261120


def step_is_pure_and_keeps_shapes(name: str) -> None:
    """``step`` does not change its arguments, is reproducible, and keeps the shapes of velocity and state."""
    random = np.random.default_rng(SEED)
    surface = SURFACES["rosenbrock"]()
    for variant in variants(name):
        optimizer = OPTIMIZERS[name](**variant)
        x, g = random.normal(size=(3, 5)), random.normal(size=(3, 5))
        state = optimizer.init(x)
        assert isinstance(state, tuple), f"the state must be a NamedTuple; init gives {type(state).__name__}"
        for t in range(1, 4):
            frozen = [x.copy(), g.copy(), *(np.array(leaf) for leaf in state)]
            here = Here(x, t, surface.value(x), np.full(5, 0.1), surface)
            velocity, following = optimizer.step(state, g, here)
            for array, before in zip([x, g, *state], frozen, strict=True):
                assert np.asarray(array).tobytes() == before.tobytes(), (
                    "step changes its arguments: look for += or out="
                )
            again, repeated = optimizer.step(state, g, here)
            assert np.shape(velocity) == x.shape, (
                f"the velocity must have the shape of the gradient, {x.shape}; it has {np.shape(velocity)}"
            )
            assert velocity.tobytes() == again.tobytes(), "the same step twice gives two velocities: is state stored?"
            for leaf, twin in zip(following, repeated, strict=True):
                assert np.asarray(leaf).tobytes() == np.asarray(twin).tobytes(), "the same step twice gives two states"
            assert type(following) is type(state), (
                f"the state must keep its type, {type(state).__name__}; step gives {type(following).__name__}"
            )
            before_, after = ([np.shape(leaf) for leaf in each] for each in (state, following))
            assert before_ == after, f"the state must keep its shapes, {before_}; step gives {after}"
            state = following


def lanes_come_last_and_never_mix(name: str) -> None:
    """Lanes are the last axis of every state array, and a trial has the same path alone and in a batch."""
    state = OPTIMIZERS[name]().init(np.zeros((3, 5)))
    for field, leaf in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
        shape = np.shape(leaf)
        assert shape[-1:] == (5,), f"the last axis of the state's {field} must be the 5 lanes; its shape is {shape}"
    lrs = [0.001, 0.01, 0.05, 0.3]
    for variant in variants(name):
        batch = easy_run(name, **variant, lr=lrs)
        for lane, lr in enumerate(lrs):
            alone = easy_run(name, **variant, lr=lr)
            assert alone.path(0).tobytes() == batch.path(lane).tobytes(), f"lr = {lr} differs alone and in a batch"


def hyperparameters_may_differ_from_lane_to_lane(name: str) -> None:
    """Each numeric hyperparameter may be an array with a value per lane, as in a sweep."""
    for parameter in OPTIMIZERS[name].parameters():
        if parameter.shared or parameter.name == "lr":
            continue
        values = [parameter.default, *other_values(parameter)]
        try:
            batch = easy_run(name, **{parameter.name: values})
        except PluginError as error:
            raise AssertionError(f"{parameter.name} must accept an array: {error}; use np.where, not if") from None
        for lane, value in enumerate(values):
            alone = easy_run(name, **{parameter.name: value})
            assert alone.path(0).tobytes() == batch.path(lane).tobytes(), (
                f"{parameter.name} = {value} differs between a single trial and a batch with {values}"
            )


def lanes_can_be_taken_out_and_put_in(name: str) -> None:
    """Lanes can be removed and added without changing the other lanes."""
    random = np.random.default_rng(SEED)
    surface = SURFACES["rosenbrock"]()
    optimizer = OPTIMIZERS[name]()
    x, g = random.normal(size=(2, 2, 5))

    def stepped(state: Any, lanes: Any, t: int) -> tuple[Any, Any]:
        at = np.ascontiguousarray(x[:, lanes])
        here = Here(at, t, surface.value(at), np.full(at.shape[1], 0.1), surface)
        return optimizer.step(state, np.ascontiguousarray(g[:, lanes]), here)

    every = np.arange(5)
    _, state = stepped(optimizer.init(x), every, 1)
    whole, _ = stepped(state, every, 2)
    kept = np.array([0, 3])
    rest, _ = stepped(take_lanes(state, kept), kept, 2)
    assert rest.tobytes() == whole[:, kept].tobytes(), "removing lanes changes the others"
    free = np.array([1, 4])
    mixed, _ = stepped(put_lanes(state, free, optimizer.init(np.ascontiguousarray(x[:, free]))), every, 2)
    assert mixed[:, [0, 2, 3]].tobytes() == whole[:, [0, 2, 3]].tobytes(), "adding lanes changes the others"


def trials_may_begin_at_different_times(name: str) -> None:
    """``here.t`` may be an array with the iteration of each lane."""
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
            raise AssertionError(f"step must accept an array for t: {error} ({variant})") from error
        for lane, t in enumerate(ages):
            alone, _ = optimizer.step(state, g, Here(x, t, loss, lr, surface))
            assert together[:, lane].tobytes() == alone[:, lane].tobytes(), f"t = {t} differs in an array ({variant})"


def every_hyperparameter_changes_the_path(name: str) -> None:
    """Every hyperparameter changes the result."""
    parameters = OPTIMIZERS[name].parameters()
    # Some hyperparameters matter only together with others, limits only if reached, restarts only with oscillations.
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
    """Values out of bounds or of the wrong type are refused before a run."""
    for parameter in OPTIMIZERS[name].parameters():
        for bound, sign in ((parameter.gt, 0), (parameter.ge, -1), (parameter.lt, 0), (parameter.le, 1)):
            if bound is not None:
                value = bound + sign * 1e-9
                assert_refused(name, parameter, [[value]] if parameter.kind is ValueKind.VECTOR else value)
        values: list[Any] = [float("nan"), float("inf"), "a", []]
        values += [7] if parameter.kind is not ValueKind.NUMBER else [True]
        for value in values:
            assert_refused(name, parameter, value)


def converges_on_an_easy_quadratic(name: str) -> None:
    """The method minimizes an easy quadratic with one of several learning rates."""
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
    """Velocities stay finite for zero gradients, in some or all coordinates, and for constant gradients."""
    for variant in variants(name):
        for start in ([-2.4, 0.0], [0.0, 0.0]):
            assert np.isfinite(easy_run(name, **variant, start=start).positions).all(), f"from {start} ({variant})"
        still = easy_run(name, **variant, lr=0.0, start="random(5)", iterations=500)
        assert (still.positions == still.positions[:, :1]).all(), f"a constant gradient, without moving ({variant})"


def says_all_that_people_need(name: str) -> None:
    """It has a title, an equation, a source, and a description of every hyperparameter."""
    cls = OPTIMIZERS[name]
    assert_titled(cls)
    assert_texts(cls, "equation", "source")
    for parameter in cls.parameters():
        assert parameter.doc, f"the hyperparameter {parameter.name} has no doc"


OPTIMIZER_CONTRACTS: tuple[Callable[[str], None], ...] = (
    step_is_pure_and_keeps_shapes,
    lanes_come_last_and_never_mix,
    hyperparameters_may_differ_from_lane_to_lane,
    lanes_can_be_taken_out_and_put_in,
    trials_may_begin_at_different_times,
    every_hyperparameter_changes_the_path,
    bounds_are_enforced,
    converges_on_an_easy_quadratic,
    stays_finite_where_there_is_no_gradient,
    says_all_that_people_need,
)


def variants(name: str) -> Iterator[dict[str, Any]]:
    """Return settings that cover every variant of an optimizer: the defaults, and each other choice and flag."""
    yield {}
    for parameter in OPTIMIZERS[name].parameters():
        if parameter.kind in (ValueKind.FLAG, ValueKind.WORD):
            yield from ({parameter.name: value} for value in other_values(parameter))


def other_values(parameter: Parameter) -> list[Any]:
    """Return valid values of a hyperparameter other than its default."""
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
    """Return a short run on the ravine."""
    return run({"surface": "ravine", "optimizer": name, "lr": 0.02, "iterations": 60}, **settings)


def assert_refused(name: str, parameter: Parameter, value: Any) -> None:
    """Check that a configuration with this value is refused and the parameter named."""
    message = ""
    try:
        easy_run(name, **{parameter.name: value})
    except ConfigError as error:
        message = str(error)
    assert parameter.name in message, f"{parameter.name} = {value} is not refused by name ({message})"
