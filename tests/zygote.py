"""Processes without their start-up: a server that has imported the package forks for each process that is requested.

Hundreds of tests call ``momentumlab`` as users do, or run a Python program of the documentation; most of their time
would be Python importing NumPy and matplotlib. Two small clients stand in for ``momentumlab`` and ``python``: each
passes its arguments, folder, environment and streams to a fork of the server and exits with its exit code. What depends
on the start of a process, or on signals, is tested with the real command.
"""

import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

NOT_IMPORTED = ("momentumlab.__main__", "momentumlab.kernels", "momentumlab.optimizers.adapters")
"""Modules that start when they are imported, or import optional libraries."""

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = dict(argv=sys.argv, cwd=os.getcwd(), env=dict(os.environ))
socket.send_fds(server, [json.dumps(request).encode() + b"\\n"], [0, 1, 2])
sys.exit(int(server.recv(16) or 1))
"""


def write_clients(folder: Path, address: str) -> None:
    """Write the programs that stand in for ``momentumlab`` and ``python``."""
    for name in ("momentumlab", "python"):
        (folder / name).write_text(CLIENT.format(python=sys.executable, address=address))
        (folder / name).chmod(0o755)


def call(
    address: str, argv: list[str], cwd: Path, env: dict[str, str], timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run a program in a fork of the server without a client, and return its output and exit code."""
    with (
        socket.socket(socket.AF_UNIX) as server,
        tempfile.TemporaryFile("w+", encoding="utf-8") as output,
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        Path(os.devnull).open() as empty,
    ):
        server.settimeout(timeout)
        server.connect(address)
        request = json.dumps({"argv": argv, "cwd": str(cwd), "env": env}).encode() + b"\n"
        socket.send_fds(server, [request], [empty.fileno(), output.fileno(), errors.fileno()])
        code = int(server.recv(16) or 1)
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(argv, code, output.read(), errors.read())


def serve(address: str) -> None:
    """Import what commands need, then fork for each request until the process is killed."""
    import matplotlib.backends.backend_agg
    import rich.console
    import sympy
    import typer.main
    import yaml

    import momentumlab

    assert all((matplotlib, rich, sympy, yaml))
    for module in pkgutil.walk_packages(momentumlab.__path__, "momentumlab."):
        if not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)
    # What each process would compute once more: the commands with their options, and the types of parameters.
    typer.main.get_command = functools.cache(typer.main.get_command)
    typer.main.get_command(momentumlab.cli.app)
    momentumlab.run(surface="ravine", optimizer="momentum", iterations=1)
    gc.freeze()  # or the first collection in a fork would copy the pages of every object
    server = socket.socket(socket.AF_UNIX)
    # Whoever waits for the file may connect at once: it appears only when the socket listens.
    server.bind(f"{address}.new")
    server.listen(16)
    Path(f"{address}.new").rename(address)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the clients wait for the forks, this process does not
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            server.close()
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, 2**20, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(2**20)
    code = 1
    try:
        code = _run(json.loads(message), descriptors)
    finally:
        connection.send(str(code).encode())
        os._exit(code)


def _run(request: dict[str, Any], descriptors: list[int]) -> int:
    """Run the requested program in this process and return its exit code."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]
    sys.path[:0] = [folder for folder in request["env"].get("PYTHONPATH", "").split(os.pathsep) if folder]
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    encoding = request["env"].get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding, line_buffering=number == 2)
        for number in (1, 2)
    )
    try:
        if Path(sys.argv[0]).name == "python":
            _run_program(sys.argv[2])
        else:
            from momentumlab.__main__ import main

            main()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return 0 if code is None else code if isinstance(code, int) else 1


def _run_program(text: str) -> None:
    """Run a program as ``python -c`` does."""
    sys.argv = ["-c", *sys.argv[3:]]
    sys.path.insert(0, "")
    sys.modules["__main__"] = module = ModuleType("__main__")
    try:
        exec(text, vars(module))
    except Exception:
        import traceback

        traceback.print_exc()
        raise SystemExit(1) from None


if __name__ == "__main__":
    sys.path.pop(0)  # commands do not import from the folder of the tests
    serve(sys.argv[1])
