"""Files that can be computed again, kept in the user's cache folder: compiled kernels and derivatives of expressions.

An entry is found by the hash of everything that it depends on, so it never becomes outdated. Entries are read only from
a folder that belongs to the user and that nobody else can write to, because kernels are machine code. Nothing here
raises an exception: without a usable folder, nothing is kept.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from momentumlab.system import cache_folder, is_private

DIGEST_BYTES = 32

MOST_ENTRIES = 1000
"""With more entries, the half that was written first is deleted."""


def key(*parts: str) -> str:
    """Return the name of an entry that depends on these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(name: str) -> bytes | None:
    """Return the contents of an entry; ``None`` if there is none, or if it is damaged or not trustworthy."""
    with suppress(OSError, RuntimeError):  # RuntimeError: no home folder
        own = cache_folder()
        if not is_private(own.stat()):
            return None
        with (own / name).open("rb") as file:
            if not is_private(os.fstat(file.fileno())):
                return None
            data = file.read()
        if hashlib.sha256(data[DIGEST_BYTES:]).digest() == data[:DIGEST_BYTES]:
            return data[DIGEST_BYTES:]
    return None


def write(name: str, contents: bytes) -> None:
    """Keep an entry, if possible."""
    with suppress(OSError, RuntimeError):
        own = cache_folder()
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(own.stat()):
            return
        # Several processes may write the same entry: each writes a file of its own and renames it.
        descriptor, temporary = tempfile.mkstemp(dir=own)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(contents).digest() + contents)
            Path(temporary).replace(own / name)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
        entries = sorted(_entries(), key=lambda path: path.stat().st_mtime)
        for path in entries[: len(entries) // 2 if len(entries) > MOST_ENTRIES else 0]:
            path.unlink(missing_ok=True)


def contents() -> tuple[int, int]:
    """Return the number of entries and their size in bytes."""
    with suppress(OSError, RuntimeError):
        sizes = [path.stat().st_size for path in _entries()]
        return len(sizes), sum(sizes)
    return 0, 0


def clear() -> tuple[int, int]:
    """Delete all entries, and return how many there were and their size in bytes."""
    deleted = contents()
    with suppress(OSError, RuntimeError):
        for path in list(_entries()):
            path.unlink(missing_ok=True)
    return deleted


def _entries() -> Iterator[Path]:
    return (path for path in cache_folder().iterdir() if path.is_file())
