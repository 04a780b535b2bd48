"""Optimizers with the interface of ``torch.optim.Optimizer``.

An adapted optimizer runs in one of two modes. A probe at load decides; both are compared with the library's own loop.

*batched*
    All lanes are one tensor ``(dim, lanes)``. This requires that lanes do not mix, and that the displacement is
    proportional to the learning rate: PyTorch has one learning rate per tensor, so the step is made with lr = 1 and the
    engine scales it. The numbers agree with the library's loop to rounding.
*separate*
    Each lane is a separate tensor ``(dim,)`` with its own optimizer and learning rate. The numbers are those of the
    library's loop, bit for bit.

States are copied before every step, since PyTorch changes them in place and steps must be pure.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from momentumlab.errors import PluginError, UnknownNameError
from momentumlab.imports import double_precision
from momentumlab.optimizers.adapters.signatures import Signature, library_class, usable_signature
from momentumlab.optimizers.base import Here, Optimizer
from momentumlab.parameters import Array

# Tensors are small, and threads of PyTorch's would not survive the fork of a worker process.
torch.set_num_threads(1)

PROBE_STEPS = 12

Memory = Mapping[str, Any]
"""The data of an optimizer for one tensor: its state, its parameter group, and further attributes of the object."""


class BatchedState(NamedTuple):
    """The state of all lanes.

    Attributes
    ----------
    tensors
        The tensors of the library's state that have the shape of the point, ``(tensors, dim, lanes)``.
    memory
        Everything else, the same for all lanes.
    changes
        The number of steps that changed the memory, ``(lanes,)``; it shows `momentumlab.theory` that a rule depends on
        time.
    """

    tensors: Array
    memory: Memory
    changes: Array


class SeparateState(NamedTuple):
    """The state of lanes that have an optimizer each.

    Attributes
    ----------
    x
        The new points as the library rounds them, ``(dim, lanes)``.
    memories
        A `Memory` per lane, ``(lanes,)``.
    """

    x: Array
    memories: NDArray[np.object_]


class TorchOptimizer(Optimizer[BatchedState | SeparateState]):
    """The base of adapted optimizers; see `adapt`."""

    factory: ClassVar[Callable[..., Any]]
    signature: ClassVar[Signature]
    starts_together = True

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters by name."""
        return {name: _plain(getattr(self, name)) for name, _, _ in self.signature.fields}

    @cached_property
    def library_optimizer(self) -> Any:
        """An optimizer of the library; its state is replaced before every step."""
        return self.built(torch.zeros(1, dtype=torch.float64))

    @cached_property
    def initial_memory(self) -> Memory:
        """The memory before the first step."""
        return _memory(self.built(torch.zeros(1, dtype=torch.float64)))

    @cached_property
    def tensors(self) -> int:
        """The number of tensors of the library's state that have the shape of the point."""
        point = np.ones((2, 3))
        _, memory = self._step_one(point, point, 1.0, self.initial_memory, {})
        return sum(_is_like(value, point.shape) for value in memory["state"].values())

    @cached_property
    def is_batched(self) -> bool:
        """Whether all lanes are one tensor."""
        return _is_batchable(type(self), tuple(self.hyperparameters.items()))

    @property
    def sets_point(self) -> bool:
        """Whether the state contains the new point; it does not in batched mode, where the step is made with lr = 1."""
        return not self.is_batched

    @property
    def execution(self) -> str:
        """How the steps are computed."""
        return "all trials as one tensor" if self.is_batched else "one optimizer per trial"

    def built(self, point: Any) -> Any:
        """Return an optimizer of the library for a tensor."""
        with double_precision("torch"):  # NAdam keeps a product in the default type
            optimizer = type(self).factory([point], **{self.signature.lr_name: self.default_lr}, **self.arguments())
        if callable(getattr(optimizer, "train", None)):  # schedule-free methods distinguish training from evaluation
            optimizer.train()
        return optimizer

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the library's class, except for the learning rate."""
        values = self.hyperparameters
        return {argument.name: argument.value(values) for argument in self.signature.arguments}

    def init(self, x: Array) -> BatchedState | SeparateState:
        """Return the state before the first step; the library creates its tensors in that step."""
        if self.is_batched:
            return self._at_start(x)
        memories = np.empty(x.shape[1], dtype=object)
        memories[:] = [self.initial_memory] * len(memories)
        return SeparateState(x, memories)

    def _at_start(self, x: Array) -> BatchedState:
        return BatchedState(np.zeros((self.tensors, *x.shape)), self.initial_memory, np.zeros(x.shape[1]))

    def step(
        self, state: BatchedState | SeparateState, g: Array, here: Here
    ) -> tuple[Array, BatchedState | SeparateState]:
        """Step all lanes together with lr = 1, or lane by lane."""
        if isinstance(state, BatchedState):
            x, after = self._step_together(state, g, here.x)
            return here.x - x, after
        x, memories = np.empty_like(here.x), np.empty_like(state.memories)
        lr = np.broadcast_to(here.lr, g.shape[1:])
        for lane, memory in enumerate(state.memories):
            x[:, lane], memories[lane] = self._step_one(here.x[:, lane], g[:, lane], lr[lane], memory, {})
        return (here.x - x) / np.where(lr != 0, lr, 1.0), SeparateState(x, memories)

    def _step_together(self, state: BatchedState, g: Array, x: Array) -> tuple[Array, BatchedState]:
        # Before the first step there are no names: the library creates its tensors in that step.
        tensors = dict(zip(state.memory["names"], torch.from_numpy(state.tensors.copy()), strict=False))
        x, memory = self._step_one(x, g, 1.0, state.memory, tensors)
        own = {name: value for name, value in memory["state"].items() if _is_like(value, x.shape)}
        shared = {name: value for name, value in memory["state"].items() if name not in own}
        arrays = np.stack([value.numpy() for value in own.values()]) if own else np.zeros((0, *x.shape))
        memory = {**memory, "state": shared, "names": tuple(own)}
        return x, BatchedState(arrays, memory, state.changes + (repr(memory) != repr(state.memory)))

    def _step_one(
        self, x: Array, g: Array, lr: float, memory: Memory, tensors: Mapping[str, Any]
    ) -> tuple[Array, Memory]:
        """Return the point and the memory after one step of the library on one tensor.

        Parameters
        ----------
        x, g
            Point and gradient, of the same shape.
        lr
            The learning rate.
        memory
            The memory before the step; it is not changed.
        tensors
            Further tensors of its state, which may be changed.
        """
        optimizer = self.library_optimizer
        point = torch.from_numpy(np.array(x))
        point.grad = torch.from_numpy(np.array(g))
        # One object of the library serves all lanes: give it the memory of this one.
        memory = _copied(memory)
        optimizer.__dict__.update(memory["attributes"])
        group = optimizer.param_groups[0]
        group.clear()
        group.update({**memory["group"], "params": [point], self.signature.lr_name: float(lr)})
        optimizer.state.clear()
        if memory["state"] or tensors:
            optimizer.state[point] = {**memory["state"], **tensors}
        with double_precision("torch"):
            try:
                optimizer.step()
            except Exception as error:
                message = " ".join(str(error).split())
                raise PluginError(f"{self.name}: {type(error).__name__}: {message}", error) from error
        return point.numpy(), _memory(optimizer, point)


def adapt(name: str, factory: Callable[..., Any]) -> type[Optimizer[Any]]:
    """Return an optimizer class for a subclass of ``torch.optim.Optimizer``.

    Raises
    ------
    UnknownNameError
        If its steps need more than a gradient, or its state cannot be saved and restored.
    """
    signature = usable_signature(name, factory)
    cls: type[TorchOptimizer] = library_class(TorchOptimizer, name, factory, signature, f"x ← x after {name}.step()")
    if problem := _problem(cls):
        raise UnknownNameError(f"{name} cannot be used: {problem}")
    return cls


def _memory(optimizer: Any, point: Any = None) -> Memory:
    """Return what an optimizer remembers of a tensor."""
    own = {"state", "param_groups", "defaults"}
    values = (torch.Tensor, int, float, bool, str, list, dict, tuple, type(None))
    attributes = {
        name: value
        for name, value in optimizer.__dict__.items()
        if name not in own and not name.startswith("_") and isinstance(value, values)
    }
    group = {name: value for name, value in optimizer.param_groups[0].items() if name not in ("params", "lr")}
    state = dict(optimizer.state.get(point, {})) if point is not None else {}
    return {"state": state, "group": group, "attributes": attributes, "names": ()}


def _copied(value: Any) -> Any:
    """Return a copy of a value that PyTorch may change in place."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _is_like(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, torch.Tensor) and tuple(value.shape) == shape


def _has_arrays(value: Any) -> bool:
    """Return whether a memory contains tensors of one or more dimensions, however deeply."""
    if isinstance(value, torch.Tensor):
        return bool(value.ndim > 0)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(map(_has_arrays, items))


# The probe


def _probe_lanes(lanes: int) -> tuple[Array, Array, Array]:
    """Return starts ``(dim, lanes)``, gradients ``(steps, dim, lanes)`` and learning rates ``(lanes,)``."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(PROBE_STEPS, 3, lanes)) * rng.uniform(0.1, 10, size=(1, 3, lanes))
    # Steps of constant sign, and learning rates of all sizes, reach the bounds of methods that adapt their step sizes.
    gradients[:, 0] = np.abs(gradients[:, 0])
    return rng.normal(size=(3, lanes)), gradients, 10 ** rng.uniform(-8, 2, size=lanes)


def _own_loop(optimizer: TorchOptimizer, x: Array, gradients: Array, lr: float) -> Array:
    """Return the points of the library's own loop, ``(steps, dim)``."""
    point = torch.from_numpy(x.copy())
    own = optimizer.built(point)
    own.param_groups[0][optimizer.signature.lr_name] = lr
    points = []
    with double_precision("torch"):
        for g in gradients:
            point.grad = torch.from_numpy(g.copy())
            own.step()
            points.append(point.numpy().copy())
    return np.array(points)


def _problem(cls: type[TorchOptimizer]) -> str:
    """Return why an optimizer cannot be used, or an empty string."""
    x, gradients, lr = _probe_lanes(2)
    optimizer = cls()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = [_own_loop(optimizer, x[:, i], gradients[:, :, i], float(lr[i])) for i in (0, 1, 0)]
            memory = optimizer.initial_memory
            adapted, point = [], x[:, 0]
            for g in gradients[:, :, 0]:
                point, memory = optimizer._step_one(point, g, lr[0], memory, {})
                adapted.append(point)
                optimizer._step_one(x[:, 1], gradients[0, :, 1], lr[1], memory, {})  # must not matter
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    if not np.array_equal(own[0], own[2], equal_nan=True):
        return "its steps are random"
    if not np.array_equal(own[0], adapted, equal_nan=True):
        return "its state cannot be saved and restored"
    return ""


@functools.lru_cache(maxsize=4096)
def _is_batchable(cls: type[TorchOptimizer], hyperparameters: tuple[tuple[str, Any], ...]) -> bool:
    """Return whether lanes do not mix, and displacements are proportional to the learning rate.

    Both depend on the hyperparameters; for example, a fixed weight decay is not proportional to the learning rate.
    """
    optimizer = cls(**dict(hyperparameters))
    x, gradients, lr = _probe_lanes(37)  # more than a vector register, and not a multiple of one

    def batched(lanes: slice) -> Array:
        points, point = [], x[:, lanes]
        state = optimizer._at_start(point)
        for g in gradients[:, :, lanes]:
            after, state = optimizer._step_together(state, g, point)
            if len(state.tensors) != optimizer.tensors or _has_arrays(state.memory):
                raise ValueError("a part of the state would not follow when lanes are taken from a batch")
            point = point - lr[lanes] * (point - after)
            points.append(point)
        return np.array(points)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            together = batched(slice(None))
            for lane in (0, 17, 36):
                own = _own_loop(optimizer, x[:, lane], gradients[:, :, lane], float(lr[lane]))
                if not np.array_equal(together[:, :, lane], batched(slice(lane, lane + 1))[:, :, 0]):
                    return False
                if not np.allclose(together[:, :, lane], own, rtol=0, atol=1e-12 * np.abs(own).max(initial=1.0)):
                    return False
    except Exception:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a hyperparameter as the library expects it; one that all lanes share may be an array without axes."""
    return value.item() if isinstance(value, np.ndarray) else value
