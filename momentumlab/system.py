"""What differs between operating systems, and what happens where a facility is missing.

Other modules do not ask which system they run on. Each function here uses a facility where it exists and otherwise does
what its docstring says. This module imports nothing heavy.
"""

import contextlib
import errno
import functools
import os
import re
import signal
import sys
import threading
from pathlib import Path

TERMINATE = getattr(signal, "SIGTERM", None)
"""The signal of a batch system; None where there is none."""

READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""Flags of `os.open` that do not wait for a pipe and do not follow a link, as far as the system has them."""

READING_AND_CREATING = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)

M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's mallopt."""

_NO_SYNC = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}
"""Answers of file systems that cannot sync a directory."""


# Processes


def cores() -> int:
    """Return the number of processes that can run at the same time."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def start_method() -> str:
    """Return how worker processes are started: ``fork`` or ``spawn``.

    A forked process has everything imported. On macOS fork is unsafe, Windows does not have it, and the threads of JAX,
    which optimizers of optax load, do not survive it.
    """
    can_fork = sys.platform == "linux" and hasattr(os, "fork") and "jax" not in sys.modules
    return "fork" if can_fork else "spawn"


def is_alive(pid: int) -> bool | None:
    """Return whether a process exists; None if that cannot be asked without a signal, as on Windows."""
    if os.name != "posix":
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:  # of another user
        return True
    except (OSError, OverflowError):
        return False
    return True


def is_stopped(pid: int) -> bool:
    """Return whether SIGSTOP has stopped a process; False where there is no /proc."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t")


def end_with_parent() -> None:
    """End this worker process as soon as the process that started it has ended, even if it was killed."""
    from multiprocessing import parent_process

    def wait() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc keep freed memory in this process; elsewhere do nothing.

    The engine makes a dozen temporary arrays per iteration. If their memory goes back to the system each time, page
    faults take up to a quarter of the time, and several times as much under dask, which starts workers with
    ``MALLOC_TRIM_THRESHOLD_=65536``.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_THRESHOLD, 2**26)
        mallopt(M_TRIM_THRESHOLD, 2**28)


def has_browser() -> bool:
    """Return whether a page can be shown: always, except on Linux without a display."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


# Files


def cache_folder() -> Path:
    """Return the user's cache folder for this package, which need not exist.

    It is ``momentumlab`` in ``XDG_CACHE_HOME`` or else in the platform's folder for caches.

    Raises
    ------
    RuntimeError
        If the user has no home folder.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    if home and Path(home).is_absolute():
        return Path(home) / "momentumlab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "momentumlab" / "Cache"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "momentumlab"


def is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to the user; always True where files have no numeric owner, as on Windows."""
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def is_private(status: os.stat_result) -> bool:
    """Return whether a file belongs to the user and only the user can write to it.

    On Windows this is True: the cache folder is in the user's profile, which protects it.
    """
    return not hasattr(os, "getuid") or (is_own(status) and not status.st_mode & 0o022)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; do nothing where that is not supported.

    Raises
    ------
    OSError
        If the disk reports an error.
    """
    is_windows = os.name == "nt"
    if is_windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if is_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def is_busy(descriptor: int, *, exclusive: bool) -> bool | None:
    """Lock an open file and return False; True if another process has locked it, None if there are no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except ImportError:  # Windows
        return None
    except OSError as error:  # such as ENOSYS on Lustre without -o flock
        return True if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN) else None
    return False


# A link to a folder in the same place. Where the system or the user's rights do not allow symbolic links, it is a text
# file with the folder's name.

_LINK_BYTES = 300


def point(link: Path, name: str) -> None:
    """Make a link that leads to the folder ``name`` beside it, or replace an existing one in one step.

    A file or a folder of the same name is kept. Where links are not available, the link is a small file with the name.

    Parameters
    ----------
    link
        The path of the link.
    name
        The name of the folder, which is in the same folder as the link.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if target(link) is None and os.path.lexists(link):
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}.{name[-40:]}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError, AttributeError):
        temporary.write_text(f"{name}\n", encoding="utf-8")
    temporary.replace(link)


def target(link: Path) -> Path | None:
    """Return the path to which a link made by `point` leads, even if nothing exists there.

    ``None`` if there is no such link: ``link`` is missing, or is an ordinary file or folder.
    """
    try:
        if link.is_symlink():
            return link.parent / link.readlink()
        if link.is_file() and link.stat().st_size <= _LINK_BYTES:
            text = link.read_text(encoding="utf-8")
            # Only the name of a run folder: any other file belongs to the user.
            return link.parent / text.strip() if re.fullmatch(r"\d{8}-\d{6}-[^/\\:\n]+\n", text) else None
    except (OSError, ValueError):
        pass
    return None
