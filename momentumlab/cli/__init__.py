"""The command line: parses, calls the API, prints. What a command needs is imported when it runs: help is quick.

=============  ==============================================================
module         part
=============  ==============================================================
`application`  what commands enter
`options`      the options that several commands have
`settings`     from options to settings of an experiment
`loading`      from files and settings to experiments
`output`       results, notes and errors
`running`      ``run``, ``sweep``, ``compare``, ``tune``
`looking`      ``predict``, ``translate``, ``list``, ``show``
`archive`      ``runs``
`preparing`    ``validate``, ``new``
=============  ==============================================================
"""

import gc
import io
import os
import sys

from momentumlab.cli import running

# isort: split
# Commands enter in the order in which --help shows them.
from momentumlab.cli import archive, looking, preparing
from momentumlab.cli.application import app
from momentumlab.cli.output import INTERRUPTED

__all__ = ["app", "archive", "looking", "main", "preparing", "running"]


def main() -> None:
    """The command ``momentumlab``."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # BLAS sees short vectors alone; its threads would only start
    if sys.stdout is None:  # closed by the caller: >&-
        sys.stdout = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # β in a table must not end a run on a terminal that lacks it
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        gc.freeze()  # or Python's end would search all of matplotlib for cycles: a tenth of a whole run
