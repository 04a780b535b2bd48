"""Gradients and Hessians of functions of PyTorch tensors and JAX arrays, as functions of NumPy arrays.

Everything is computed in double precision.
"""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from momentumlab.errors import ConfigError
from momentumlab.imports import double_precision, library_version, missing_library
from momentumlab.parameters import Array

Function = Callable[[Array], Any]

WIDTH = 64
"""The number of points in a call is a multiple of this number. Libraries choose instructions by the shapes of arrays;
otherwise the last bits of a lane's numbers would depend on the number of lanes."""


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """The loss, the gradient and the Hessian of a function.

    Attributes
    ----------
    library
        The library and its version, ``torch 2.13.0``.
    single
        Functions of one point ``(dim,)``.
    batched
        For each of these, functions of points ``(dim, lanes)``, vectorised by ``vmap``, the fastest first. They may
        fail, mix lanes, or round differently for different numbers of lanes.
    """

    library: str
    single: tuple[Function, Function, Function]
    batched: tuple[tuple[Function, ...], ...]


def derivatives(function: Callable[..., Any], library: str, name: str) -> Derivatives:
    """Return the derivatives of a function of a tensor or an array.

    Parameters
    ----------
    function
        The loss of a point ``(dim,)``: a tensor or an array without axes.
    library
        ``torch`` or ``jax``.
    name
        The name of the surface, for messages.

    Raises
    ------
    UnknownNameError
        If the library is not installed.
    """
    try:
        return (_torch_derivatives if library == "torch" else _jax_derivatives)(function)
    except ImportError as error:
        raise missing_library(name, error.name or library) from None


def library_of(function: Callable[..., Any], point: Array) -> str | None:
    """Return ``torch`` or ``jax`` if a function returns the arrays of this library at a point, else ``None``.

    Libraries that the program has not imported are not considered.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(function, torch.nn.Module):
        return "torch"
    arguments = [np.array] if torch is None else [np.array, torch.tensor]
    for argument in arguments if torch is not None or "jax" in sys.modules else ():
        with contextlib.suppress(Exception), double_precision("torch"):  # a function can fail in any way
            package = type(function(argument(point))).__module__.partition(".")[0]
            if package in ("torch", "jax", "jaxlib"):
                return package.removesuffix("lib")
            return None
    return None


def _checked(value: Any, is_array: bool, noun: str) -> Any:
    """Return the value of a function, which must be an array of the library in double precision."""
    message = ""
    if not is_array:
        message = f"the function returns a {type(value).__name__}, not a {noun}: autograd cannot differentiate it"
    elif not str(value.dtype).endswith("float64"):
        message = f"the function returns {value.dtype}: make its parameters and constants float64"
    if message:
        raise ConfigError.at("argument surface", message)
    return value


def _widened(x: Array, lanes: int) -> Array:
    """Return points with copies of the last one, ``(dim, lanes + …)``."""
    return np.pad(x, [(0, 0), (0, lanes)], mode="edge")


def _torch_derivatives(function: Callable[..., Any]) -> Derivatives:
    import torch

    torch.set_num_threads(1)  # threads of PyTorch's would not survive the fork of a worker process

    def loss(x: Any) -> Any:
        value = function(x)
        return _checked(value, isinstance(value, torch.Tensor), "torch.Tensor")

    def arrays(compute: Callable[[Callable[..., Any], Any], Any], losses: Callable[..., Any]) -> Function:
        def call(x: Array) -> Array:
            with double_precision("torch"), torch.enable_grad():
                point = torch.from_numpy(np.array(x)).requires_grad_()
                found: Array = compute(losses, point).detach().numpy()
                return found

        return call

    def value(losses: Callable[..., Any], x: Any) -> Any:
        return losses(x)

    def gradient(losses: Callable[..., Any], x: Any, keep: bool = False) -> Any:
        # Lanes are independent, so the gradient of the sum of their losses consists of their gradients.
        total = losses(x).sum()
        if not total.requires_grad:
            message = "torch finds no gradient: compute the result from the argument with operations of torch"
            raise ConfigError.at("argument surface", message)
        return torch.autograd.grad(total, x, create_graph=keep, materialize_grads=True)[0]

    def hessian(losses: Callable[..., Any], x: Any) -> Any:
        rows = gradient(losses, x, keep=True)
        if not rows.requires_grad:  # a linear function
            return torch.zeros(len(x), *x.shape)
        return torch.stack(
            [torch.autograd.grad(row.sum(), x, retain_graph=True, materialize_grads=True)[0] for row in rows]
        )

    def in_one_call(call: Function) -> Function:
        return lambda x: call(_widened(x, -x.shape[1] % WIDTH))[..., : x.shape[1]]

    # Some operations, such as matrix products, round differently for each width: these need parts of equal width.
    def in_equal_parts(call: Function) -> Function:
        def calls(x: Array) -> Array:
            widened = _widened(x, -x.shape[1] % WIDTH)
            parts = [call(widened[:, first : first + WIDTH]) for first in range(0, widened.shape[1], WIDTH)]
            return np.concatenate(parts, axis=-1)[..., : x.shape[1]]

        return calls

    orders = (value, gradient, hessian)
    vectorised = [arrays(order, torch.func.vmap(loss, in_dims=-1, out_dims=-1)) for order in orders]
    return Derivatives(
        library=library_version("torch"),
        single=(arrays(value, loss), arrays(gradient, loss), arrays(hessian, loss)),
        batched=tuple((in_one_call(call), in_equal_parts(call)) for call in vectorised),
    )


def _jax_derivatives(function: Callable[..., Any]) -> Derivatives:
    import jax

    jax.config.update("jax_enable_x64", True)

    def loss(x: Any) -> Any:
        value = function(x)
        return _checked(value, isinstance(value, jax.Array), "jax.Array")

    def single(order: Callable[..., Any]) -> Function:
        return lambda x: np.array(order(jax.numpy.asarray(x)))

    def batched(order: Callable[..., Any]) -> Function:
        # A loop over parts of equal width: its body is compiled in the same way for any number of parts but one.
        vectorised = jax.vmap(order, in_axes=-1, out_axes=-1)
        compiled = jax.jit(lambda parts: jax.lax.map(vectorised, parts))

        def call(x: Array) -> Array:
            # The loop is compiled for a number of parts, which falls as trials end: few different numbers limit that.
            (dim, lanes), count = x.shape, 2
            while count * WIDTH < lanes:
                count *= 4
            widened = _widened(x, count * WIDTH - lanes)
            parts = np.array(compiled(widened.reshape(dim, count, WIDTH).swapaxes(0, 1)))
            return np.concatenate(parts, axis=-1)[..., :lanes]

        return call

    # A function with branches on its argument cannot be compiled: single points are computed without.
    orders = (loss, jax.grad(loss), jax.hessian(loss))
    return Derivatives(
        library=library_version("jax"),
        single=(single(orders[0]), single(orders[1]), single(orders[2])),
        batched=tuple((batched(order),) for order in orders),
    )
