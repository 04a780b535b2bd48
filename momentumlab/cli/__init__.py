"""The command line: parses arguments, calls the API and prints. Each command imports what it needs when it runs.

=============  ==============================================================
module         part
=============  ==============================================================
`application`  registration and help of commands, mistakes in arguments
`options`      options, each declared once
`completion`   completion of names in shells
`loading`      from files and options to experiments
`streams`      stdout, stderr and exit codes
`output`       results in the requested format
`execute`      ``run``, ``sweep``, ``compare``, ``tune``
`lookup`       ``predict``, ``translate``, ``list``, ``show``
`runs`         ``runs``
`authoring`    ``validate``, ``new``, ``schema``
`check`        ``check``
`startup`      the process: streams, environment, internal errors
=============  ==============================================================
"""

from momentumlab.cli import execute

# isort: split
# The order of these imports is the order of the commands in the help page.
from momentumlab.cli import authoring, check, lookup, runs
from momentumlab.cli.application import app
from momentumlab.cli.startup import main

__all__ = ["app", "authoring", "check", "execute", "lookup", "main", "runs"]
