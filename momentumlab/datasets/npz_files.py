"""NPZ archives to tables. Sizes are read from the headers and checked before anything is allocated."""

import io
import lzma
import math
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy

from momentumlab.datasets.data_table import MOST_BYTES, DataTable, Words, bad_file
from momentumlab.registry import Array

LONGEST_HEADER = 2**16
TARGET = "y"

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, RuntimeError, OverflowError),
)
"""What the library raises where an archive is damaged or encrypted."""


def parse_npz(content: bytes, place: str) -> DataTable:
    """Read the arrays of an archive: each of one dimension is a column, each of two has a column ``name_i`` for each i.

    Numbers of any kind, flags, and text (for labels) are read; objects never are, since pickles can run programs.

    Raises
    ------
    ConfigError
        If the archive is damaged, its arrays are of other kinds or shapes, or declare more than `MOST_BYTES`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = _arrays(archive, place)
    except DAMAGE as error:
        raise bad_file(place, f"this is no NPZ archive, or a damaged one ({error})") from None
    if not arrays:
        raise bad_file(place, "the archive has no arrays")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise bad_file(place, f"the arrays must have the same number of rows, but {told}")
    columns: dict[str, Array | Words] = {}
    for name, array in arrays.items():
        for column, values in (
            [(name, array)] if array.ndim == 1 else [(f"{name}_{i}", c) for i, c in enumerate(array.T)]
        ):
            if column in columns:
                raise bad_file(place, f"two columns are called '{column}'")
            columns[column] = np.ascontiguousarray(values)
    if not columns or not next(iter(lengths.values())):
        raise bad_file(place, "the arrays are empty")
    return DataTable(
        place=place, columns=columns, lines=None, target=TARGET if TARGET in columns else list(columns)[-1]
    )


def _arrays(archive: zipfile.ZipFile, place: str) -> dict[str, Any]:
    """All arrays of an archive, by name."""
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    shapes = {member.filename: _declared(archive, member, place) for member in members}
    # A table of float64 is made of them, whatever they are.
    total = sum(math.prod(shape) * max(dtype.itemsize, 8) for shape, dtype, _ in shapes.values())
    if total > MOST_BYTES:
        raise bad_file(place, f"the headers declare {total:,} bytes, more than the limit of {MOST_BYTES:,}")
    arrays = {}
    for member in members:
        shape, dtype, is_fortran = shapes[member.filename]
        with archive.open(member) as file:
            _header(file)
            data = file.read(math.prod(shape) * dtype.itemsize)
        array = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")
        arrays[member.filename.removesuffix(".npy")] = array
    return arrays


def _declared(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str
) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """The shape, type and order that the header of an array declares, held against the size of the array."""
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        try:
            shape, is_fortran, dtype = _header(file)
        except ValueError as error:
            raise bad_file(place, f"array '{name}': its header cannot be read ({error})") from None
        begun = file.tell()
    if dtype.kind not in "biufU":
        raise bad_file(place, f"array '{name}': {dtype} is neither numbers nor text")
    if len(shape) not in (1, 2):
        raise bad_file(place, f"array '{name}': it has {len(shape)} dimensions, not one or two")
    declared, there = math.prod(shape) * dtype.itemsize, member.file_size - begun
    if declared != there:
        message = f"array '{name}': its header declares {declared:,} bytes, but there are {there:,}"
        raise bad_file(place, message)
    return shape, dtype, is_fortran


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array, up to its first number: shape, whether columns come first, type."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    shape, is_fortran, dtype = readers[version](file, max_header_size=LONGEST_HEADER)
    return shape, is_fortran, dtype
