"""HTTP for the live laboratory: only this computer, only pages that know the token, and limits on everything.

A request must come to 127.0.0.1 under that name, from the page itself, with the token of the URL's fragment, which a
browser never sends to another site; its body is JSON of limited size. There are no CORS headers, so that another site
can neither send such a request nor read an answer.
"""

import hmac
import json
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from momentumlab.errors import ConfigError, MomentumLabError, OutputError, printable
from momentumlab.experiment import Experiment
from momentumlab.live.laboratory import Laboratory, Request, SupersededError

HOST = "127.0.0.1"

TOKEN_HEADER = "X-Momentumlab-Token"

MOST_BYTES = 1_000_000
"""The largest body of a request."""

READ_SECONDS = 10.0
"""The longest time in which a request must arrive, and for which a connection may be idle."""

MOST_CONNECTIONS = 64
"""If there are more, the one that has been waiting longest for a request is closed."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class RefusedError(Exception):
    """The request is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        super().__init__(message)


class LiveServer:
    """A live page and its server, which runs in a thread until it is closed.

    Parameters
    ----------
    experiment
        The experiment with which the page begins.
    port
        The port; 0 for a free one.

    Attributes
    ----------
    url
        The address of the page, with the token that the server requires.

    Raises
    ------
    OutputError
        If the port cannot be used.
    """

    def __init__(self, experiment: Experiment, *, port: int = 0) -> None:
        token = secrets.token_urlsafe(24)
        try:
            self._server = _Server(Laboratory(experiment), token, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"port {port}: {reason.lower()}; choose another one, or 0 for a free one") from None
        self.url = f"http://{HOST}:{self._server.server_port}/#token={token}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the server is closed."""
        self._thread.join()

    def close(self) -> None:
        """Stop the server without waiting for a running computation."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.connections):
            _disconnect(connection)

    def __enter__(self) -> "LiveServer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank" rel="noopener">{self.url}</a>'


class _Server(ThreadingHTTPServer):
    """Accepts connections and closes those that keep it waiting."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, laboratory: Laboratory, token: str, port: int) -> None:
        self.laboratory, self.token = laboratory, token
        self.waiting: dict[socket.socket, float] = {}
        """The connections from which a request is expected, and since when."""
        self.connections: set[Any] = set()
        super().__init__((HOST, port), _Handler)

    @property
    def name(self) -> str:
        """The host under which the server may be addressed."""
        return f"{HOST}:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its own thread; if there are too many, close the one that has waited longest."""
        if len(self.connections) >= MOST_CONNECTIONS:
            oldest = min(dict(self.waiting).items(), key=lambda each: each[1], default=None)
            if oldest is None:
                self.shutdown_request(request)
                return
            _disconnect(oldest[0])
            self.connections.discard(oldest[0])
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.connections.discard(request)
        self.waiting.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close connections whose request does not arrive in time; called a few times per second."""
        for connection, since in list(self.waiting.items()):
            if time.monotonic() - since > READ_SECONDS:
                _disconnect(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect; report anything else in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(printable(f"internal error: {error!r}"), file=sys.stderr)


def _disconnect(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "momentumlab", ""
    disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement
    wbufsize = -1  # head and body in one packet
    timeout = READ_SECONDS

    def handle_one_request(self) -> None:
        """Read and answer one request."""
        self.server.waiting[self.connection] = time.monotonic()
        super().handle_one_request()

    def do_GET(self) -> None:
        """Send the page, which contains nothing secret: everything else needs the token."""
        self._answer(self._page)

    def do_POST(self) -> None:
        """Answer a request of the page."""
        self._answer(self._computed)

    def _answer(self, respond: Callable[[], tuple[str, bytes]]) -> None:
        """Send what a method returns, or the error that it raises."""
        status = HTTPStatus.OK
        try:
            kind, body = respond()
        except RefusedError as error:
            status, kind, body = error.status, *_json({"problems": [{"place": "", "message": str(error)}]})
            self.close_connection = True  # the rest of the request has not been read
        except SupersededError:
            status, kind, body = HTTPStatus.CONFLICT, *_json({"problems": []})
        except ConfigError as error:
            problems = [{"place": each.place, "message": each.message} for each in error.problems]
            status, kind, body = HTTPStatus.UNPROCESSABLE_ENTITY, *_json({"problems": problems})
        except MomentumLabError as error:
            status, kind, body = HTTPStatus.UNPROCESSABLE_ENTITY, *_json({"problems": [_problem(str(error))]})
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            print(printable(f"internal error: {traceback.format_exception_only(error)[-1].strip()}"), file=sys.stderr)
            status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, *_json({"problems": [_problem("internal error")]})
        self._send(status, kind, body)

    def _page(self) -> tuple[str, bytes]:
        self._check_host()
        if self.path != "/":
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
        self.server.waiting.pop(self.connection, None)
        return "text/html; charset=utf-8", self.server.laboratory.document().encode()

    def _computed(self) -> tuple[str, bytes]:
        document = self._body()
        request, laboratory = _request(document), self.server.laboratory
        if self.path == "/answer":
            tab, number = document.get("tab"), document.get("number")
            if not isinstance(tab, str) or len(tab) > 40 or not isinstance(number, int):
                raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid tab or number")
            return _json(laboratory.answer(request, tab, number))
        if self.path == "/configuration":
            name, text = laboratory.configuration(request)
            return _json({"name": name, "content": text})
        if self.path == "/page":
            name, page = laboratory.page(request)
            return _json({"name": name, "content": page.html})
        raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")

    def _check_host(self) -> None:
        """Refuse requests that another site makes under its own name (DNS rebinding) or from its own pages."""
        if self.headers.get_all("Host") != [self.server.name]:
            raise RefusedError(HTTPStatus.FORBIDDEN, "unknown host")
        if self.headers.get("Origin") not in (None, f"http://{self.server.name}"):
            raise RefusedError(HTTPStatus.FORBIDDEN, "foreign origin")

    def _body(self) -> dict[str, Any]:
        """Check the origin of a request, then read its body."""
        self._check_host()
        given = self.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self.server.token.encode()):
            raise RefusedError(HTTPStatus.FORBIDDEN, "wrong or missing token: open the address that was printed")
        if self.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be JSON")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "the length of the body is required")
        if len(length) > 12 or int(length) > MOST_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES:,} bytes")
        content = self.rfile.read(int(length))
        self.server.waiting.pop(self.connection, None)
        if len(content) < int(length):
            raise ConnectionResetError
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
        if not isinstance(document, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body must be an object")
        return document

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer an invalid request without quoting any of it."""
        self.close_connection = True
        self._send(HTTPStatus(code), *_json({"problems": [_problem(HTTPStatus(code).phrase.lower())]}))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the name in the base class
        """Log nothing."""


def _json(document: object) -> tuple[str, bytes]:
    return "application/json", json.dumps(document, allow_nan=False).encode()


def _problem(message: str) -> dict[str, str]:
    return {"place": "", "message": message}


def _request(document: dict[str, Any]) -> Request:
    """Check the types of a request."""
    settings, pins = document.get("settings"), document.get("pins", [])
    chosen, view = document.get("chosen", {}), document.get("view")
    is_valid = (
        isinstance(pins, list)
        and all(
            isinstance(each, dict) and all(isinstance(text, str) for text in each.values())
            for each in (settings, chosen, *pins)
        )
        and (view is None or type(view) is int)
    )
    if not is_valid:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid request")
    return Request(
        settings=settings or {},
        pins=tuple(pins),
        chosen=chosen,
        view=view,
        with_map=document.get("map") is not False,
        fit=document.get("fit") is True,
        is_moving=document.get("moving") is True,
    )
