"""Functions that return an ``optax.GradientTransformation``, such as ``optax.lion``.

The step of one lane is vectorised over all lanes by ``jax.vmap`` and compiled by ``jax.jit``; its numbers are those of
the library's own compiled loop. Hyperparameters are arguments of the compiled function, and may differ between lanes,
if the library's code can be traced with them; a probe at load finds out.
"""

import functools
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import numpy as np
import optax

from momentumlab.errors import PluginError, UnknownNameError
from momentumlab.optimizers.adapters.signatures import Signature, library_class, signature_of, usable_signature
from momentumlab.optimizers.base import Here, Optimizer
from momentumlab.parameters import Array, parameters_of

jax.config.update("jax_enable_x64", True)

LEAST_WIDTH = 8
"""The least number of lanes for which a step is compiled."""


class OptaxOptimizer(Optimizer[Any]):
    """The base of adapted optimizers; see `adapt`.

    The state is a named tuple of the new point ``x`` and the leaves of the library's state, lanes last.
    """

    factory: ClassVar[Callable[..., Any]]
    signature: ClassVar[Signature]

    @property
    def sets_point(self) -> bool:
        """The state has the new point."""
        return True

    @property
    def execution(self) -> str:
        """How the steps are computed."""
        return "vectorised over trials by JAX"

    def init(self, x: Array) -> Any:
        """Return the state before the first step."""
        fixed, numbers = self._split(x.shape[1])
        leaves = jax.tree.leaves(_vectorised(type(self), fixed).init(np.ones(x.shape[1]), numbers, x))
        return _state_class(len(leaves))(x, *map(np.array, leaves))

    def step(self, state: Any, g: Array, here: Here) -> tuple[Array, Any]:
        """Step all lanes."""
        lanes = g.shape[1]
        fixed, numbers = self._split(lanes)
        lr = np.broadcast_to(here.lr, lanes)
        leaves = list(state[1:])
        if np.any(first := np.asarray(here.t) == 1):
            # The initial state may depend on the learning rate, as that of Rprop, which `init` does not know.
            fresh = jax.tree.leaves(_vectorised(type(self), fixed).init(lr, numbers, here.x))
            leaves = [np.where(first, new, leaf) for new, leaf in zip(fresh, leaves, strict=True)]
        # A step is compiled for a number of lanes, which falls as trials end: powers of two limit the compilations.
        missing = max(LEAST_WIDTH, 1 << (lanes - 1).bit_length()) - lanes
        widened = jax.tree.map(
            lambda array: np.pad(array, [(0, 0)] * (np.ndim(array) - 1) + [(0, missing)], mode="edge"),
            (lr, numbers, here.x, g, leaves),
        )
        try:
            x, leaves = _vectorised(type(self), fixed).step(*widened)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise PluginError(f"{self.name}: {type(error).__name__}: {reason}", error) from error
        x, *leaves = (np.array(array)[..., :lanes] for array in (x, *leaves))
        return (here.x - x) / np.where(lr != 0, lr, 1.0), type(state)(x, *leaves)

    def _split(self, lanes: int) -> tuple[tuple[tuple[str, Any], ...], dict[str, Array]]:
        """Return the hyperparameters that all lanes share, and the others, ``(lanes,)``."""
        fixed, numbers = [], {}
        for parameter in parameters_of(type(self)):
            value = getattr(self, parameter.name)
            if parameter.shared:
                fixed.append((parameter.name, value.item() if isinstance(value, np.ndarray) else value))
            else:
                numbers[parameter.name] = np.broadcast_to(np.asarray(value, dtype=np.float64), lanes)
        return tuple(fixed), numbers


@functools.cache
def _state_class(leaves: int) -> Any:
    return namedtuple("OptaxState", ["x", *(f"leaf{i}" for i in range(leaves))])


class _Vectorised:
    """The initial state and the compiled step of an optimizer for given shared hyperparameters."""

    def __init__(self, factory: Callable[..., Any], signature: Signature, fixed: Mapping[str, Any]) -> None:
        def built(lr: Any, numbers: Mapping[str, Any]) -> Any:
            hyperparameters = {**fixed, **numbers}
            arguments = {argument.name: argument.value(hyperparameters) for argument in signature.arguments}
            return factory(**{signature.lr_name: lr}, **arguments)

        def init(lr: Any, numbers: Mapping[str, Any], x: Any) -> Any:
            return built(lr, numbers).init(x)

        def step(lr: Any, numbers: Mapping[str, Any], x: Any, g: Any, leaves: list[Any]) -> tuple[Any, list[Any]]:
            optimizer = built(lr, numbers)
            # The structure of the state is that of a new one: only its leaves are passed on between steps.
            tree = jax.tree.unflatten(jax.tree.structure(jax.eval_shape(optimizer.init, x)), leaves)
            updates, tree = optimizer.update(g, tree, x)
            return optax.apply_updates(x, updates), jax.tree.leaves(tree)

        self.init = jax.vmap(init, in_axes=-1, out_axes=-1)
        self.step = jax.jit(jax.vmap(step, in_axes=-1, out_axes=-1))


@functools.lru_cache(maxsize=1024)
def _vectorised(cls: type[OptaxOptimizer], fixed: tuple[tuple[str, Any], ...]) -> _Vectorised:
    return _Vectorised(cls.factory, cls.signature, dict(fixed))


def adapt(name: str, factory: Callable[..., Any]) -> type[Optimizer[Any]]:
    """Return an optimizer class for a function that returns an ``optax.GradientTransformation``.

    Raises
    ------
    UnknownNameError
        If it has no learning rate, or its steps need more than a gradient.
    """
    signature = usable_signature(name, factory)
    defaults = {field: declared.default for field, _, declared in signature.fields}
    if problem := _problem(factory, signature, defaults, ()):
        raise UnknownNameError(f"{name} cannot be used: {problem}")
    # Hyperparameters may differ between lanes if the library's code can be traced with them, one by one and together.
    floats = [field for field, default in defaults.items() if isinstance(default, float)]
    traced = [field for field in floats if not _problem(factory, signature, defaults, (field,))]
    traced = traced if not _problem(factory, signature, defaults, tuple(traced)) else []
    signature = signature_of(factory, shared=lambda field: field not in traced)
    cls: type[OptaxOptimizer] = library_class(
        OptaxOptimizer, name, factory, signature, f"x ← x + {name}.update(g, state, x)"
    )
    return cls


def _problem(
    factory: Callable[..., Any], signature: Signature, defaults: Mapping[str, Any], traced: tuple[str, ...]
) -> str:
    """Return why an optimizer cannot be traced with some hyperparameters as arguments, or an empty string."""
    lanes = np.ones((3, 2))
    fixed = {name: value for name, value in defaults.items() if name not in traced}
    numbers = {name: np.full(2, defaults[name]) for name in traced}
    vectorised = _Vectorised(factory, signature, fixed)
    try:
        leaves = jax.tree.leaves(vectorised.init(np.ones(2), numbers, lanes))
        jax.eval_shape(vectorised.step, np.ones(2), numbers, lanes, lanes, leaves)
        any(np.asarray(leaf).dtype.kind == "V" for leaf in leaves)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ""
