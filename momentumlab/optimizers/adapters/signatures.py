"""Hyperparameters of optimizers of other libraries, from the signatures of their classes and functions."""

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from momentumlab.errors import UnknownNameError
from momentumlab.imports import library_version
from momentumlab.parameters import ValueKind, parameter

MOMENTUM = re.compile(r"momentum|b(eta)?[0-9]*")

AVERAGES = ("alpha", "rho")
"""Names of decay rates of averages, if their default is at least 0.5; in other optimizers they have other meanings."""

LEARNING_RATES = ("lr", "learning_rate")

EXECUTION_OPTIONS = {"params", "foreach", "fused", "capturable", "differentiable", "maximize", "mu_dtype", "mask"}
"""Arguments that select the parameters or the implementation, not the path; they do not become hyperparameters."""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a factory, and the hyperparameters that it consists of.

    Attributes
    ----------
    fields
        The names of its hyperparameters: ``("beta1", "beta2")`` for ``betas``.
    is_tuple
        The argument is a tuple of them.
    none_at_zero
        Its default is ``None``; the hyperparameter is 0 then.
    """

    name: str
    fields: tuple[str, ...]
    is_tuple: bool = False
    none_at_zero: bool = False

    def value(self, hyperparameters: Mapping[str, Any]) -> Any:
        """Return what is passed to the factory."""
        values = tuple(hyperparameters[field] for field in self.fields)
        if self.is_tuple:
            return values
        return None if self.none_at_zero and isinstance(values[0], float) and values[0] == 0 else values[0]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The hyperparameters of a factory.

    Attributes
    ----------
    lr_name
        The name of the argument for the learning rate; empty if there is none.
    default_lr
        Its default, 1e-3 if the factory has none.
    arguments
        The other arguments.
    fields
        Declarations for `dataclasses.make_dataclass`: name, type, field.
    required
        Arguments without a default that are neither the parameters nor the learning rate.
    """

    lr_name: str
    default_lr: float
    arguments: tuple[Argument, ...]
    fields: tuple[tuple[str, Any, Any], ...]
    required: tuple[str, ...]


def signature_of(factory: Callable[..., Any], *, shared: Callable[[str], bool]) -> Signature:
    """Read the hyperparameters of a factory from its signature.

    Numbers, flags, words and tuples of numbers become hyperparameters; ``betas`` becomes ``beta1``, ``beta2``. An
    optional number whose default is ``None`` has the default 0, which stands for ``None``.

    Parameters
    ----------
    factory
        The class or function.
    shared
        Whether all lanes must have the same value of the hyperparameter of this name.
    """
    arguments: list[Argument] = []
    fields: list[tuple[str, Any, Any]] = []
    required: list[str] = []
    lr_name, default_lr = "", 1e-3
    # The kind of a hyperparameter follows from its default; arguments with other defaults keep them.
    for position, (name, each) in enumerate(inspect.signature(factory).parameters.items()):
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) or name in EXECUTION_OPTIONS:
            continue
        default, annotation = each.default, str(each.annotation)
        if name in LEARNING_RATES:
            lr_name = name
            default_lr = float(default) if isinstance(default, (int, float)) else default_lr
        elif default is each.empty:
            required += [name] if position else []
        elif isinstance(default, tuple) and default and all(isinstance(item, (int, float)) for item in default):
            names = tuple(f"{name.removesuffix('s')}{i}" for i in range(1, len(default) + 1))
            arguments.append(Argument(name=name, fields=names, is_tuple=True))
            fields += [
                _field(field, float(value), f"{name}[{i}]", shared)
                for i, (field, value) in enumerate(zip(names, default, strict=True))
            ]
        elif default is None and ("float" in annotation or "number" in annotation):
            arguments.append(Argument(name=name, fields=(name,), none_at_zero=True))
            fields.append(_field(name, 0.0, f"{name}; 0: the library's default", lambda _: True))
        elif isinstance(default, (bool, int, float, str)) and default not in (math.inf, -math.inf):
            is_count = isinstance(default, int) and "float" not in annotation and "number" not in annotation
            value = default if isinstance(default, (bool, str)) or is_count else float(default)
            arguments.append(Argument(name=name, fields=(name,)))
            fields.append(_field(name, value, name, shared))
    return Signature(
        lr_name=lr_name,
        default_lr=default_lr,
        arguments=tuple(arguments),
        fields=tuple(fields),
        required=tuple(required),
    )


def _field(name: str, default: Any, doc: str, shared: Callable[[str], bool]) -> tuple[str, Any, Any]:
    is_number = isinstance(default, float)
    bounds: dict[str, Any] = {}
    # Signatures have no bounds; these are the ones on which all libraries agree.
    is_decay = is_number and (MOMENTUM.fullmatch(name) or (name in AVERAGES and default >= 0.5))
    if is_decay and 0 <= default < 1:
        bounds = {"ge": 0, "lt": 1}
    elif is_number and name in ("eps", "weight_decay"):
        bounds = {"ge": 0}
    is_count = isinstance(default, int) and not isinstance(default, bool)  # libraries refuse 2.0 for a count
    kind = ValueKind.NUMBER if is_number else ValueKind.COUNT if is_count else None
    is_shared = not is_number or shared(name)
    constant = "its library takes one value for a whole run" if is_shared else ""
    return name, Any, parameter(default, doc=doc, kind=kind, shared=is_shared, constant=constant, **bounds)


def usable_signature(name: str, factory: Callable[..., Any]) -> Signature:
    """Read the hyperparameters of a factory that requires at most a learning rate; all lanes share their values.

    Raises
    ------
    UnknownNameError
        If it requires another argument, or has no learning rate; the message begins with ``name``.
    """
    try:
        signature = signature_of(factory, shared=lambda _: True)
    except (TypeError, ValueError):
        raise UnknownNameError(f"{name} cannot be used: it has no signature") from None
    if signature.required:
        raise UnknownNameError(f"{name} cannot be used: it requires the argument {' and '.join(signature.required)}")
    if not signature.lr_name:
        raise UnknownNameError(f"{name} cannot be used: it has no learning rate")
    return signature


def library_class(base: Any, name: str, factory: Callable[..., Any], signature: Signature, equation: str) -> Any:
    """Return a subclass of ``base`` with the hyperparameters of a factory as its fields.

    Parameters
    ----------
    base
        The adapter of the library.
    name
        The name in configurations, ``torch:AdamW``.
    factory, signature
        The library's class or function, and its hyperparameters.
    equation
        The equation shown by ``momentumlab show``.
    """
    version = library_version(factory.__module__.partition(".")[0])
    namespace = {
        "__doc__": f"{name} of {version}.",
        "name": name,
        "factory": staticmethod(factory),
        "signature": signature,
        "default_lr": signature.default_lr,
        "equation": equation,
        "source": version,
    }
    return dataclasses.make_dataclass(
        factory.__name__, signature.fields, bases=(base,), namespace=namespace, frozen=True, kw_only=True
    )
