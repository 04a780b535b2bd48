"""Read NPZ archives into tables. Sizes are checked in the headers before arrays are allocated."""

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
from momentumlab.parameters import Array

LONGEST_HEADER = 2**16
TARGET = "y"

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, RuntimeError, OverflowError),
)
"""Exceptions raised by the libraries for damaged or encrypted archives."""


def parse_npz(content: bytes, place: str) -> DataTable:
    """Read the arrays of an archive. A 1-D array is a column, a 2-D array has columns ``name_0``, ``name_1``, ….

    Real numbers, booleans and text are supported. Objects are not: unpickling can execute code.

    Raises
    ------
    ConfigError
        If the archive is damaged, has unsupported types or shapes, or declares more than `MOST_BYTES`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = _arrays(archive, place)
    except DAMAGE as error:
        raise bad_file(place, f"not an NPZ archive, or damaged ({error})") from None
    if not arrays:
        raise bad_file(place, "the archive contains no arrays")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise bad_file(place, f"the arrays must have the same number of rows, but {counts}")
    # A matrix becomes several columns, whose names may collide with those of other arrays.
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
    """Return all arrays of an archive by name."""
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    shapes = {member.filename: _declared(archive, member, place) for member in members}
    # All numbers are converted to float64 later, so each of them counts at least 8 bytes.
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
    """Return the shape, type and order declared by the header of an array, checked against its size."""
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        try:
            shape, is_fortran, dtype = _header(file)
        except ValueError as error:
            raise bad_file(place, f"array '{name}': unreadable header ({error})") from None
        begun = file.tell()
    if dtype.kind not in "biufU":
        raise bad_file(place, f"array '{name}': invalid type {dtype}: use numbers or text")
    if len(shape) not in (1, 2):
        raise bad_file(place, f"array '{name}': {len(shape)} dimensions instead of one or two")
    declared, there = math.prod(shape) * dtype.itemsize, member.file_size - begun
    # The rest of the member must be exactly the data; otherwise the archive is damaged.
    if declared != there:
        message = f"array '{name}': the header declares {declared:,} bytes, but there are {there:,}"
        raise bad_file(place, message)
    return shape, dtype, is_fortran


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array and return its shape, whether it is in Fortran order, and its type."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not supported")
    shape, is_fortran, dtype = readers[version](file, max_header_size=LONGEST_HEADER)
    return shape, is_fortran, dtype
