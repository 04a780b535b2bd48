"""Compile kernels with numba, keep their machine code in the user's cache folder, and load it from there.

Importing numba and compiling take a second or more; loading machine code needs only llvmlite, which numba is built on,
and takes milliseconds. Kernels are called through `ctypes`, which releases Python's global lock.
"""

import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from momentumlab import cache
from momentumlab.kernels.writer import FUNCTIONS

Function = Callable[..., None]

MATHEMATICS: dict[str, Any] = {
    **{name: getattr(math, name, None) for name in FUNCTIONS},
    "power": math.pow,
    "floor": np.floor,  # Python's returns an integer
}
"""Functions that kernels call."""

_engines: list[Any] = []
"""LLVM's execution engines, which own the machine code."""

_lock = threading.Lock()


class CompilationError(Exception):
    """A kernel cannot be compiled or loaded here; the message says why."""


def is_available() -> bool:
    """Return whether numba is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("numba", "llvmlite"))


@functools.lru_cache(maxsize=256)
def load(source: str) -> Function:
    """Return the compiled kernel of a source code, from the cache folder if it is there.

    Raises
    ------
    CompilationError
        If numba refuses the code, or the machine code cannot be loaded.
    """
    with _lock:
        name = cache_name(source)
        code = cache.read(name)
        if code is None:
            code = compiled(source)
            cache.write(name, code)
        return _loaded(code)


def cache_name(source: str) -> str:
    """Return the name of a kernel in the cache folder: it depends on the code, the compiler and the processor."""
    binding = _llvm()
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite")]
    processor = [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()]
    return f"{cache.key(source, *versions, *processor)}.kernel"


def compiled(source: str) -> bytes:
    """Compile a kernel to machine code, preceded by one line of JSON.

    Raises
    ------
    CompilationError
        If numba refuses the code.
    """
    numba: Any = importlib.import_module("numba")
    types, binding = numba.types, _llvm()
    namespace: dict[str, Any] = dict(MATHEMATICS)
    options: dict[str, Any] = {"error_model": "numpy", "boundscheck": False}  # as in NumPy, x/0 is infinite
    numbers, integers = types.CPointer(types.float64), types.CPointer(types.int64)
    results = (numbers, numbers, types.CPointer(types.int32), types.CPointer(types.int8))
    signature = types.void(types.int64, types.int64, numbers, integers, numbers, *results, numbers, integers, integers)
    try:
        exec(source, namespace)
        function = numba.cfunc(signature, **options)(namespace["advance"])
    except numba.core.errors.NumbaError as error:
        raise CompilationError(f"numba: {error}") from error
    # numba loads its machine code into this process only. Its LLVM code is compiled once more, to an object file that
    # other processes can load without numba.
    module = binding.parse_assembly(function.inspect_llvm())
    declared = [each.name for each in module.functions if each.is_declaration]
    # LLVM's own functions are instructions, or calls of the C library.
    own = {name.split(".")[1] for name in declared if name.startswith("llvm.")} & {
        *MATHEMATICS,
        "pow",
        "memset",
        "memcpy",
    }
    needed = [*own, *(name for name in declared if not name.startswith("llvm."))]
    header = {"name": function.native_name, "triple": module.triple, "needed": needed}
    machine_code: bytes = _machine(module.triple).emit_object(module)
    return json.dumps(header).encode() + b"\n" + machine_code


def _llvm() -> Any:
    return importlib.import_module("llvmlite.binding")


def _machine(triple: str) -> Any:
    binding = _llvm()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_triple(triple).create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        reloc="static",
        codemodel="jitdefault",
        jit=True,
    )


def _loaded(code: bytes) -> Function:
    """Return the function in machine code.

    Raises
    ------
    CompilationError
        If it needs a function that this process does not have.
    """
    binding = _llvm()
    first_line, _, machine_code = code.partition(b"\n")
    header = json.loads(first_line)
    machine = _machine(header["triple"])
    empty = binding.parse_assembly(f'target triple = "{header["triple"]}"')
    engine = binding.create_mcjit_compiler(empty, machine)
    # LLVM would end the process if a function were missing. Those of numba report exceptions, which kernels do not
    # raise; they exist only if numba is imported.
    for name in header["needed"]:
        if binding.address_of_symbol(name) is None:
            if not name.startswith(("numba_", "NRT_", "Py")):
                raise CompilationError(f"the function {name} is missing")
            binding.add_symbol(name, binding.address_of_symbol("abort"))
    engine.add_object_file(binding.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    _engines.append(engine)
    address = engine.get_function_address(header["name"])
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 10)(address)
