"""Arrays of a run folder's ``.npz`` files: nothing is unpickled, and nothing allocated before its size is checked."""

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from momentumlab.runs.run import DamageError

LONGEST_HEADER = 2**14

READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

PLAIN_KINDS = "fiubU"
"""Numbers, truth values and texts."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An array in a file, not yet read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class ArrayFile:
    """An ``.npz`` file as `numpy.savez` writes it: not compressed, so that no array can be longer than the file.

    Raises
    ------
    DamageError
        If it is not there, cannot be read, or holds anything but plain arrays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise DamageError(f"{path.name} is missing") from None
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise self._damage(error) from None
        try:
            self.stored: Mapping[str, Stored] = {
                info.filename.removesuffix(".npy"): self._stored(info) for info in self._file.infolist()
            }
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def _damage(self, reason: object) -> DamageError:
        return DamageError(f"{self.path.name} cannot be read ({str(reason)[:150]})")

    def _stored(self, info: zipfile.ZipInfo) -> Stored:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise self._damage(f"{info.filename} is compressed or encrypted")
        if not 0 <= info.file_size <= self.path.stat().st_size:
            raise self._damage(f"{info.filename} is longer than the file")
        try:
            with self._file.open(info) as member:
                reader = READERS.get(npy.read_magic(member))
                if reader is None:
                    raise ValueError("a version of arrays that is not known")
                shape, _, dtype = reader(member, max_header_size=LONGEST_HEADER)
                begin = member.tell()
        except (
            OSError,
            ValueError,
            EOFError,
            KeyError,
            NotImplementedError,
            RecursionError,
            zipfile.BadZipFile,
        ) as error:
            raise self._damage(f"{info.filename}: {error}") from None
        if dtype.kind not in PLAIN_KINDS:
            raise self._damage(f"{info.filename} holds no plain numbers")
        if any(length < 0 for length in shape) or begin + math.prod(shape) * dtype.itemsize != info.file_size:
            raise self._damage(f"{info.filename} is not as long as it says")
        return Stored(shape=shape, dtype=dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array that must be there.

        Raises
        ------
        DamageError
            If it is not.
        """
        if name not in self.stored:
            raise DamageError(f"{self.path.name} has no '{name}'")
        return self.stored[name].shape

    def read(self, name: str, dtype: type[np.generic] | None, *shape: int) -> NDArray[Any]:
        """An array that must be there.

        Parameters
        ----------
        name
            The array's.
        dtype
            What it must hold; ``None`` if that is all the same.
        *shape
            The shape that it must have; -1 where any length will do.

        Raises
        ------
        DamageError
            If it is not there, is something else, or cannot be read.
        """
        own = self.shape(name)
        fits = len(own) == len(shape) and all(want in (-1, have) for have, want in zip(own, shape, strict=True))
        if not fits or (dtype is not None and self.stored[name].dtype.newbyteorder("=") != np.dtype(dtype)):
            wanted = " × ".join("any" if want == -1 else str(want) for want in shape)
            raise DamageError(f"{self.path.name}: '{name}' has shape {own}, where {wanted or 'one number'} belongs")
        try:
            with self._file.open(f"{name}.npy") as member:
                array: NDArray[Any] = npy.read_array(member, allow_pickle=False, max_header_size=LONGEST_HEADER)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise self._damage(f"{name}: {error}") from None
        return array
