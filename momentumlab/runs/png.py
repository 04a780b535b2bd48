"""The experiment that a picture carries; read without a library of images."""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from momentumlab.errors import ConfigError, Problem
from momentumlab.runs.png_metadata import EXPERIMENT, RUN
from momentumlab.runs.run import DamageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

LONGEST_TEXT = 2**22
"""A text that is longer, packed or unpacked, is not read."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a figure of ours says of itself: the experiment as YAML, and with what it was run."""

    path: Path
    experiment: str
    told: Mapping[str, Any]


def is_picture(path: Path) -> bool:
    """Whether there is a PNG at this path, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except (OSError, ValueError):
        return False


def read_picture(path: Path) -> Picture:
    """The experiment in a picture.

    Raises
    ------
    ConfigError
        If there is none.
    """
    try:
        with path.open("rb") as file:
            found = texts(file)
        told = json.loads(found[RUN])
        if not isinstance(told, dict) or not isinstance(told.get("digest"), str):
            raise DamageError("what it says of its run cannot be read")
        return Picture(path=path, experiment=found[EXPERIMENT], told=told)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except KeyError:
        reason = "carries no experiment: it is no figure of momentumlab, or something has removed its texts"
    except (DamageError, ValueError, RecursionError) as error:
        reason = str(error)
    raise ConfigError([Problem(place=str(path), message=reason)])


def texts(file: BinaryIO) -> dict[str, str]:
    """The texts of a PNG by keyword: its ``tEXt`` and ``iTXt`` chunks (PNG specification, 3rd edition, 11.3.3).

    Raises
    ------
    DamageError
        If it is no PNG, or a text in it is damaged or longer than `LONGEST_TEXT`.
    """
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise DamageError("is no PNG")
    found: dict[str, str] = {}
    for kind, content in _text_chunks(file):
        keyword, _, rest = content.partition(b"\0")
        if kind == b"tEXt":
            found[keyword.decode("latin-1")] = rest.decode("latin-1")
            continue
        is_packed, method, languages = rest[:1] == b"\1", rest[1:2], rest[2:]
        packed = languages.partition(b"\0")[2].partition(b"\0")[2]
        if is_packed and method != b"\0":
            raise DamageError("has a text in a packing that is not known")
        text = _unpacked(packed) if is_packed else packed
        try:
            found[keyword.decode("latin-1")] = text.decode("utf-8")
        except UnicodeDecodeError:
            raise DamageError("has a text that is not UTF-8") from None
    return found


def _text_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The kind and the content of each chunk of text; others are passed over without being read."""
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind == b"IEND":
            return
        if kind not in (b"tEXt", b"iTXt"):
            file.seek(length + 4, 1)
            continue
        if length > LONGEST_TEXT:
            raise DamageError(f"has a text of more than {LONGEST_TEXT:,} bytes")
        content, check = file.read(length), file.read(4)
        if len(content) != length or zlib.crc32(kind + content) != int.from_bytes(check):
            raise DamageError("has a text that is damaged")
        yield kind, content
    raise DamageError("has no end")


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, LONGEST_TEXT)
    except zlib.error:
        raise DamageError("has a text that is damaged") from None
    if not unpacker.eof:
        raise DamageError(f"has a text that is cut off, or of more than {LONGEST_TEXT:,} bytes")
    return text
