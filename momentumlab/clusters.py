"""Executors of clusters by name: ``dask:tcp://host:8786``, ``mpi``, ``module:factory``.

momentumlab has no scheduler of its own. An executor receives blocks of trials, which are idempotent: a block that a
lost worker did not finish can be run again by any other.
"""

import importlib
import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

import numpy as np

from momentumlab import __version__
from momentumlab.errors import ConfigError

CONNECT_SECONDS = 10
"""How long to wait for the scheduler."""

RETRIES = 2
"""How often dask repeats a block whose worker was lost."""

KINDS = "dask:tcp://HOST:PORT, dask:FILE.json, mpi, or MODULE:FACTORY with --allow-import"


@contextmanager
def opened(spec: str | None, *, may_import: bool) -> Iterator[tuple[Executor | None, int]]:
    """Connect to an executor by its name, and disconnect at the end.

    Parameters
    ----------
    spec
        See the module; ``None`` for no executor.
    may_import
        Whether ``module:factory`` may import a module, which runs its code.

    Yields
    ------
    executor, workers
        The executor, and the number of its workers; 0 if unknown.

    Raises
    ------
    ConfigError
        If the name is invalid, a library is missing, the scheduler does not answer, or its workers have other versions
        of momentumlab or NumPy.
    """
    if spec is None:
        yield None, 0
        return
    kind, _, rest = spec.partition(":")
    connect: Callable[[str], Any] = {"dask": _dask, "mpi": _mpi}.get(kind, _factory)
    if connect is _factory and (not rest or not may_import):
        reason = "imports a module: allow it with 'momentumlab --allow-import …'" if rest else f"is not one of {KINDS}"
        raise _problem(spec, reason)
    with connect(spec if connect is _factory else rest) as (executor, workers):
        _check_versions(spec, executor)
        yield executor, workers


@contextmanager
def _dask(address: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError:
        raise _problem("dask", 'is not installed: pip install "momentumlab[dask]"') from None
    spec = f"dask:{address}"
    is_file = address.endswith(".json")
    if is_file and not os.path.exists(address):  # noqa: PTH110
        raise _problem(spec, "no such file; the scheduler writes it with --scheduler-file")
    if not is_file and "://" not in address:
        raise _problem(spec, "write dask:tcp://HOST:PORT or dask:FILE.json")
    try:
        given = {"scheduler_file": address} if is_file else {"address": address}
        client = Client(**given, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise _problem(spec, f"the scheduler does not answer: {str(error).partition(chr(10))[0]}") from None
    with client:
        workers = sum(client.nthreads().values())
        if workers == 0:
            raise _problem(spec, "the scheduler has no workers: start some with 'dask worker'")
        yield client.get_executor(pure=False, retries=RETRIES), workers


@contextmanager
def _mpi(rest: str) -> Iterator[tuple[Executor, int]]:
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPIPoolExecutor
    except ImportError:
        raise _problem("mpi", 'mpi4py is not installed: pip install "momentumlab[mpi]"') from None
    if rest:
        raise _problem(f"mpi:{rest}", "write mpi")
    workers = MPI.COMM_WORLD.Get_size() - 1
    if workers < 1:
        message = "there are no workers: mpiexec -n 4 python -m mpi4py.futures -m momentumlab …"
        raise _problem("mpi", message)
    with MPIPoolExecutor() as executor:
        yield executor, workers


@contextmanager
def _factory(spec: str) -> Iterator[tuple[Executor, int]]:
    module, _, name = spec.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise _problem(spec, str(error)) from None
    executor = factory()
    if not isinstance(executor, Executor):
        raise _problem(spec, "does not return a concurrent.futures.Executor")
    with executor:
        yield executor, 0


def versions() -> dict[str, str]:
    """Return the versions that the numbers of this process depend on."""
    return {"momentumlab": __version__, "numpy": np.__version__, "python": platform.python_version()}


def _check_versions(spec: str, executor: Executor) -> None:
    """Reject workers with other versions of momentumlab or NumPy, whose numbers could differ."""
    try:
        there = executor.submit(versions).result(timeout=6 * CONNECT_SECONDS)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise _problem(spec, f"its workers cannot run momentumlab: {reason}") from None
    here = versions()
    different = [
        f"{name} {there[name]} (here {here[name]})" for name in ("momentumlab", "numpy") if there[name] != here[name]
    ]
    if different:
        raise _problem(spec, f"its workers have {' and '.join(different)}: install the same versions")


def _problem(spec: str, message: str) -> ConfigError:
    return ConfigError.at(f"--executor {spec}", message)
