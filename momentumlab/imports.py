"""Names such as ``torch:AdamW`` and ``package.module:function``: import what they refer to, with the user's consent."""

import contextlib
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from momentumlab.errors import UnknownNameError

ALLOW_IMPORT = "MOMENTUMLAB_ALLOW_IMPORT"
"""Environment variable that permits names such as ``package.module:Class``: the user agreed to run the module's code.
Worker processes inherit it."""

EXTRAS = {"torch": "torch", "optax": "optax", "jax": "jax"}
"""The extra of momentumlab that installs a library."""


def named_object(
    name: str, module: str, attribute: str, *, noun: str, needs_consent: bool = True
) -> Callable[..., Any]:
    """Import the class or function that a name refers to.

    Parameters
    ----------
    name
        The name as the user wrote it, for messages.
    module, attribute
        The module, and the name of the object in it. With consent, modules in the current folder are found, too.
    noun
        What the object is, for messages: ``optimizer``.
    needs_consent
        Whether the module is the user's own, which is imported only if `ALLOW_IMPORT` is set.

    Raises
    ------
    UnknownNameError
        If consent is missing, the module cannot be imported or has no such object. The message states the remedy.
    """
    if needs_consent:
        if not os.environ.get(ALLOW_IMPORT):
            remedy = "momentumlab --allow-import …"
            raise UnknownNameError(f"'{name}' imports the module {module}, which runs its code: {remedy}")
        if os.getcwd() not in sys.path:  # noqa: PTH109
            sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        package = error.name or module
        if needs_consent and f"{module}.".startswith(f"{package}."):
            message = f"'{name}': module {package} not found: run the command in its folder, or install it"
            raise UnknownNameError(message) from None
        raise missing_library(name, package) from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        file, line = getattr(error, "filename", None) or place.filename, getattr(error, "lineno", None) or place.lineno
        message = f"'{name}': importing {module} fails: {type(error).__name__}: {error} ({file}:{line})"
        raise UnknownNameError(message) from None
    value = getattr(found, attribute, None)
    if callable(value):
        return value  # type: ignore[no-any-return]
    if value is not None:
        raise UnknownNameError(f"'{name}': {attribute} is of type {type(value).__name__}, not a function")
    near = difflib.get_close_matches(attribute, dir(found), n=1)
    hint = f" (did you mean '{name.removesuffix(attribute)}{near[0]}'?)" if near else ""
    raise UnknownNameError(f"{module} has no {noun} '{attribute}'{hint}")


def missing_library(name: str, package: str) -> UnknownNameError:
    """Return the error for a package that a name needs and that is not installed."""
    remedy = f'pip install "momentumlab[{EXTRAS[package]}]"' if package in EXTRAS else f"pip install {package}"
    return UnknownNameError(f"'{name}' needs {package}, which is not installed: {remedy}")


def library_version(package: str) -> str:
    """Return the name and the version of an installed package, ``torch 2.13.0``; only the name without a version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


@contextlib.contextmanager
def double_precision(library: str) -> Iterator[None]:
    """Make double precision the default of a library that is installed; JAX keeps it."""
    if library == "jax":
        with contextlib.suppress(ImportError):
            import jax

            jax.config.update("jax_enable_x64", True)
    if library != "torch":
        yield
        return
    try:
        import torch
    except ImportError:
        yield
        return
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
