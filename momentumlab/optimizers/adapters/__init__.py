"""Optimizers of other libraries by name: ``torch:AdamW``, ``pytorch_optimizer:Prodigy``, ``optax:lion``.

====================  ==========================================================
module                contents
====================  ==========================================================
`torch_optimizers`    subclasses of ``torch.optim.Optimizer``
`optax_optimizers`    functions that return an ``optax.GradientTransformation``
`signatures`          hyperparameters from the signature of a class or function
====================  ==========================================================

`adapted` returns an `momentumlab.optimizers.Optimizer` class for a name; a library is imported when one of its
optimizers is named.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from momentumlab.errors import UnknownNameError
from momentumlab.imports import named_object
from momentumlab.optimizers.base import Optimizer

LIBRARIES = {"torch": "torch.optim", "pytorch_optimizer": "pytorch_optimizer", "optax": "optax"}
"""The module in which the optimizers of a library are found, by the prefix of their names."""

_ADAPTED: dict[str, type[Optimizer[Any]]] = {}


def adapted(name: str) -> type[Optimizer[Any]]:
    """Return the optimizer class for a name such as ``torch:AdamW``.

    Raises
    ------
    UnknownNameError
        If the library is not installed, has no such optimizer, the optimizer cannot be used here, or the name is that
        of a module whose import was not allowed. The message states the remedy.
    """
    if name not in _ADAPTED:
        _ADAPTED[name] = _adapt(name, _factory(name))
    return _ADAPTED[name]


def adapted_object(factory: Callable[..., Any]) -> type[Optimizer[Any]]:
    """Return the optimizer class for a class or function of another library.

    Parameters
    ----------
    factory
        A subclass of ``torch.optim.Optimizer``, or a function that returns an ``optax.GradientTransformation``.

    Raises
    ------
    UnknownNameError
        If it is neither, or cannot be used here.
    """
    attribute = factory.__qualname__
    package = factory.__module__.partition(".")[0]
    module = LIBRARIES.get(package, factory.__module__)
    is_public = getattr(sys.modules.get(module), attribute, None) is factory
    name = f"{package if is_public and package in LIBRARIES else factory.__module__}:{attribute}"
    # A class that a notebook cell defines again replaces the old one.
    if name not in _ADAPTED or _ADAPTED[name].factory is not factory:  # type: ignore[attr-defined]
        _ADAPTED[name] = _adapt(name, factory)
    return _ADAPTED[name]


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the libraries of some optimizers by name: ``{"torch": "2.13.0"}``."""
    sources = sorted({adapted(name).source for name in names if ":" in name})
    return dict(source.split(" ", 1) for source in sources if " " in source)


def _factory(name: str) -> Callable[..., Any]:
    """Return the class or function that a name refers to."""
    library, _, attribute = name.partition(":")
    if library not in LIBRARIES and not attribute:
        raise UnknownNameError(f"'{name}' has no name after the colon: write library:name, such as torch:AdamW")
    module = LIBRARIES.get(library, library)
    return named_object(name, module, attribute, noun="optimizer", needs_consent=library not in LIBRARIES)


def _adapt(name: str, factory: Callable[..., Any]) -> type[Optimizer[Any]]:
    if isinstance(factory, type) and any(base.__module__ == "torch.optim.optimizer" for base in factory.__mro__):
        from momentumlab.optimizers.adapters.torch_optimizers import adapt
    else:
        try:
            from momentumlab.optimizers.adapters.optax_optimizers import adapt
        except ImportError:
            reason = "it is not a subclass of torch.optim.Optimizer, and optimizers of optax need optax and jax"
            remedy = 'pip install "momentumlab[optax]"'
            raise UnknownNameError(f"{name} cannot be used: {reason}: {remedy}") from None
    cls = adapt(name, factory)
    # Pickle finds the class through `__getattr__` below; it would split a name at its dots.
    cls.__module__, cls.__qualname__ = __name__, name.replace(".", "/")
    return cls


def __getattr__(name: str) -> type[Optimizer[Any]]:
    if ":" in name:
        return adapted(name.replace("/", "."))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
