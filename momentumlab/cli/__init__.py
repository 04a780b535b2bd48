"""The command line: parses, calls the API, prints. What a command needs is imported when it runs: help is quick.

=============  ==============================================================
module         part
=============  ==============================================================
`application`  what commands enter
`options`      the options that several commands have
`settings`     from options to settings of an experiment
`loading`      from files and settings to experiments
`output`       results, notes and errors
`execute`      ``run``, ``sweep``, ``compare``, ``tune``
`lookup`      ``predict``, ``translate``, ``list``, ``show``
`runs`      ``runs``
`authoring`    ``validate``, ``new``
`check`     ``check``
=============  ==============================================================
"""

import gc
import io
import os
import sys
import warnings

from momentumlab import stopping
from momentumlab.cli import execute

# isort: split
# Commands enter in the order in which --help shows them.
from momentumlab.cli import authoring, check, lookup, runs
from momentumlab.cli.application import app
from momentumlab.errors import PluginWarning, WorkerWarning

_with_place = warnings.formatwarning

__all__ = ["app", "authoring", "check", "execute", "lookup", "main", "runs"]


def _as_a_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """What an installed plug-in cannot do is no matter of our source; of other warnings the place says more."""
    if issubclass(category, (PluginWarning, WorkerWarning)):
        return f"warning: {message}\n"
    return _with_place(message, category, filename, lineno, line)


def main() -> None:
    """The command ``momentumlab``."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # BLAS sees short vectors alone; its threads would only start
    stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # β in a table must not end a run on a terminal that lacks it
    warnings.formatwarning = _as_a_line
    try:
        app()
    except KeyboardInterrupt as stop:
        stopping.end(stop)
    finally:
        gc.freeze()  # or Python's end would search all of matplotlib for cycles: a tenth of a whole run


def stand_in_for_closed_streams() -> None:
    """Where the caller closed an output (``>&-``), no file that is opened later may come into its place."""
    if sys.stdout is None or sys.stderr is None:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
        sys.stdout = sys.stdout or io.StringIO()
        sys.stderr = sys.stderr or io.StringIO()
