"""The process around a command: its streams and environment, and the report of an internal error."""

import codecs
import gc
import io
import os
import re
import sys
import warnings

from momentumlab import __version__, stopping
from momentumlab.cli.application import DEBUG, app
from momentumlab.cli.loading import typed
from momentumlab.cli.streams import complain
from momentumlab.errors import PluginWarning, WorkerWarning, printable

_with_place = warnings.formatwarning


def main() -> None:
    """Run the command ``momentumlab``."""
    gc.set_threshold(20_000, 20, 20)  # imports make many objects and few cycles: 7 % of a run with figures
    prepare_streams()
    prepare_environment()
    warnings.formatwarning = _as_line
    try:
        app()
    except KeyboardInterrupt as stop:
        stopping.end(stop)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        report_internal(error)
        sys.exit(1)
    finally:
        gc.freeze()  # or Python would search all of matplotlib for cycles at its end: a tenth of a run


def prepare_streams() -> None:
    """Make stdout and stderr safe to write to."""
    if sys.stdout is None or sys.stderr is None:
        # The caller closed one (``>&-``): no file that is opened later may get its number.
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
        sys.stdout = sys.stdout or io.StringIO()
        sys.stderr = sys.stderr or io.StringIO()
    codecs.register_error("momentumlab", _encoded)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="momentumlab")


def _encoded(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode characters that a stream cannot: the bytes of a path that is not UTF-8 unchanged, others as ``?``."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return b"".join(os.fsencode(each) if "\udc80" <= each <= "\udcff" else b"?" for each in text), error.end


def prepare_environment() -> None:
    """Correct environment variables with which libraries would fail."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # BLAS gets short vectors only; threads would cost their start
    for name in ("COLUMNS", "LINES"):
        if not re.fullmatch("[1-9][0-9]{0,3}", os.environ.get(name, "80")):
            del os.environ[name]


def _as_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Format a warning without the line of source code that issued it."""
    if issubclass(category, (PluginWarning, WorkerWarning)):
        return f"warning: {printable(str(message))}\n"
    return _with_place(message, category, filename, lineno, line)


def report_internal(error: Exception) -> None:
    """Report an unexpected exception: one line, and the traceback in a file for a bug report."""
    import tempfile
    import traceback

    what = traceback.format_exception_only(error)[-1].strip()
    try:
        descriptor, path = tempfile.mkstemp(prefix="momentumlab-", suffix=".log")
        versions = f"momentumlab {__version__}, Python {sys.version}, {sys.platform}"
        text = f"{versions}\n{typed()}\n\n{''.join(traceback.format_exception(error))}"
        os.write(descriptor, text.encode(errors="backslashreplace"))
        where = f"the traceback is in {path}; please report it"
    except OSError:
        where = "'momentumlab --debug …' shows the traceback; please report it"
    complain(f"internal error: {what}; {where}")
