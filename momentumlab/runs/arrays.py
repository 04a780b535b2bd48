"""Reader of ``.npz`` files: nothing is unpickled, and nothing is allocated before its size is checked."""

import math
import os
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from momentumlab.runs.layout import DamageError, open_regular

LONGEST_HEADER = 2**14

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

_PLAIN_KINDS = "fiubU"
"""Kinds of NumPy types that are read: numbers, truth values and texts."""


class ArrayFile:
    """An ``.npz`` file as `numpy.savez` writes it: without compression, so that no array is longer than the file.

    Attributes
    ----------
    shapes
        Shape of each array, by name.

    Raises
    ------
    DamageError
        If it is missing, cannot be read, or holds anything but plain arrays.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file = open_regular(path)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype[Any]] = {}
        try:
            self._zip = zipfile.ZipFile(self._file)
            for info in self._zip.infolist():
                self._check(info)
        except DamageError:
            self._file.close()
            raise
        except Exception as error:  # zipfile and NumPy report damage with a dozen types of exceptions
            self._file.close()
            raise self._damage(error) from None

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def _damage(self, reason: object) -> DamageError:
        return DamageError(f"{self.name} cannot be read ({str(reason)[:150]})")

    def _check(self, info: zipfile.ZipInfo) -> None:
        """Compare what the headers of an array claim with the size of the file."""
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise self._damage(f"{info.filename} is compressed or encrypted")
        if not 0 <= info.file_size <= os.fstat(self._file.fileno()).st_size:
            raise self._damage(f"{info.filename} is longer than the file")
        with self._zip.open(info) as member:
            read_header = _HEADERS.get(npy.read_magic(member))
            if read_header is None:
                raise self._damage(f"{info.filename} has an unknown version")
            shape, _, dtype = read_header(member, max_header_size=LONGEST_HEADER)
            begin = member.tell()
        if dtype.kind not in _PLAIN_KINDS:
            raise self._damage(f"{info.filename} does not hold plain numbers")
        if any(length < 0 for length in shape) or begin + math.prod(shape) * dtype.itemsize != info.file_size:
            raise self._damage(f"{info.filename} does not have the length that it claims")
        name = info.filename.removesuffix(".npy")
        self.shapes[name], self._types[name] = shape, dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a required array.

        Raises
        ------
        DamageError
            If there is no such array.
        """
        if name not in self.shapes:
            raise DamageError(f"{self.name} has no array '{name}'")
        return self.shapes[name]

    def read(self, name: str, dtype: type[np.generic] | None, *shape: int) -> NDArray[Any]:
        """Read a required array.

        Parameters
        ----------
        name
            Name of the array.
        dtype
            Required type; None accepts every plain type.
        *shape
            Required shape; -1 accepts every length.

        Raises
        ------
        DamageError
            If it is missing, has another type or shape, or cannot be read.
        """
        found = self.shape(name)
        fits = len(found) == len(shape) and all(want in (-1, have) for have, want in zip(found, shape, strict=True))
        if not fits:
            expected = " × ".join("any" if want == -1 else str(want) for want in shape) or "a single number"
            raise DamageError(f"{self.name}: '{name}' has shape {found} instead of {expected}")
        if dtype is not None and self._types[name].newbyteorder("=") != np.dtype(dtype):
            raise DamageError(f"{self.name}: '{name}' has type {self._types[name]} instead of {np.dtype(dtype)}")
        try:
            with self._zip.open(f"{name}.npy") as member:
                array: NDArray[Any] = npy.read_array(member, allow_pickle=False, max_header_size=LONGEST_HEADER)
        except Exception as error:
            raise self._damage(f"{name}: {error}") from None
        return array
