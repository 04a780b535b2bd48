"""Reader of ``.npz`` files: nothing is unpickled, and nothing is allocated before its size is checked."""

import math
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from momentumlab.runs.layout import DamageError, open_regular

LONGEST_HEADER = 2**14

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

_PLAIN_KINDS = "fiubU"
"""Kinds of NumPy types that are read: numbers, truth values and texts."""

ArrayType = tuple[type[np.generic] | None, tuple[int, ...] | int]
"""Type (None for every plain type) and shape (-1 for every length) of an array, or its number of elements."""


def read_arrays(
    path: Path, expected: Mapping[str, ArrayType], *, optional: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """Read arrays of an ``.npz`` file as `numpy.savez` writes it; those that are ``optional`` may be missing.

    Raises
    ------
    DamageError
        If the file or an array is missing, cannot be read, or has another type or shape than expected.
    """
    found: dict[str, NDArray[Any]] = {}
    with os.fdopen(open_regular(path), "rb") as file:
        try:
            length = os.fstat(file.fileno()).st_size
            with zipfile.ZipFile(file) as archive:
                names = set(archive.namelist())
                for name, (dtype, shape) in expected.items():
                    if f"{name}.npy" in names:
                        found[name] = _read_array(archive, name, dtype, shape, length)
                    elif name not in optional:
                        raise DamageError(f"has no array '{name}'")
        except DamageError as error:
            raise DamageError(f"{path.name} {error}") from None
        except Exception as error:  # zipfile and NumPy report damage with a dozen types of exceptions
            raise DamageError(f"{path.name} cannot be read ({str(error)[:150]})") from None
    return found


def _read_array(
    archive: zipfile.ZipFile, name: str, dtype: type[np.generic] | None, shape: tuple[int, ...] | int, limit: int
) -> NDArray[Any]:
    """Read an array after comparing what its headers claim with what is expected and with the size of the file."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size > limit:
        raise DamageError(f"has '{name}' compressed, encrypted or longer than the file")
    with archive.open(info) as member:
        claimed, _, found_type = _HEADERS[npy.read_magic(member)](member, max_header_size=LONGEST_HEADER)
        header_size = member.tell()
    if found_type.kind not in _PLAIN_KINDS or (dtype is not None and found_type.newbyteorder("=") != np.dtype(dtype)):
        raise DamageError(f"has '{name}' of type {found_type} instead of {np.dtype(dtype) if dtype else 'numbers'}")

    if isinstance(shape, int):
        fits = math.prod(claimed) == shape
    else:
        fits = len(claimed) == len(shape) and all(e in (-1, c) for e, c in zip(shape, claimed, strict=True))
    # A product of negative lengths would be a plausible size.
    is_possible = min(claimed, default=0) >= 0
    if not (fits and is_possible and header_size + math.prod(claimed) * found_type.itemsize == info.file_size):
        raise DamageError(f"has '{name}' of shape {claimed} instead of {shape}, or of another length than it claims")
    with archive.open(info) as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False, max_header_size=LONGEST_HEADER)
    return array
