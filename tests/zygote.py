"""The command without its start-up: a process that has imported everything forks for each command that is asked for.

Hundreds of tests call ``momentumlab`` as people do; most of their time would be Python importing NumPy and matplotlib
anew. The program that stands in for the command hands its arguments, folder, environment and streams to a fork of this
process, and ends as that ends. What depends on how a process begins, or on signals, is tested with the real command.
"""

import io
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = dict(argv=sys.argv, cwd=os.getcwd(), env=dict(os.environ))
socket.send_fds(server, [json.dumps(request).encode() + b"\\n"], [0, 1, 2])
sys.exit(int(server.recv(16) or 1))
"""


def write_client(path: Path, address: str) -> None:
    """The program that stands in for the command."""
    path.write_text(CLIENT.format(python=sys.executable, address=address))
    path.chmod(0o755)


def serve(address: str) -> None:
    """Import what commands need, and then fork for each of them, until somebody ends this process."""
    import matplotlib.backends.backend_agg
    import rich.console
    import sympy
    import yaml

    import momentumlab.api
    import momentumlab.cli
    import momentumlab.report.figures
    import momentumlab.report.result_table

    assert all((matplotlib, rich, sympy, yaml, momentumlab))
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for these children but the programs that asked
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
        code = _called(json.loads(message), descriptors)
    finally:
        connection.send(str(code).encode())
        os._exit(code)


def _called(request: dict[str, Any], descriptors: list[int]) -> int:
    """Run the command in this process as if it had been started so; its exit code."""
    from momentumlab.__main__ import main

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
        main()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return 0 if code is None else code if isinstance(code, int) else 1


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of the tests is none from which commands import
    serve(sys.argv[1])
