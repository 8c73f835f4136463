"""A small web server for pages of our own: this machine only, this run only.

A page on the web can make a browser send requests to 127.0.0.1, and with DNS rebinding even read the answers. So
the server listens on loopback, answers only to its own name in the Host header, refuses requests that another
site started, and keeps everything below a path that is random in each run.
"""

import contextlib
import http
import http.server
import json
import os
import secrets
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mltk.utils.errors import DeviceError, MltkError

HOST = "127.0.0.1"
# A browser that is still sending does not read an answer; we listen for so long before we hang up.
_DRAIN_S = 5.0
# How long the answers under way may take to end.
_CLOSE_S = 2.0
_PIECE = 1 << 20
_SAFETY_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Request:
    """What a browser asks for.

    Attributes:
        method: "GET" or "POST".
        path: below the run's secret path, without a leading slash.
        query: the address's parameters, the first value of each.
        body: what was posted.

    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What it gets."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(values: Mapping[str, Any], status: int = 200) -> Reply:
    """Return values as JSON; NaN and infinity, which JSON does not know, are a ValueError."""
    return Reply(json.dumps(values, allow_nan=False).encode(), status=status)


class RefusedError(MltkError):
    """A request that is not served; becomes an answer with this status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


Answer = Callable[[Request], Reply]
Describe = Callable[[MltkError], dict[str, Any]]


def _plain_error(error: MltkError) -> dict[str, Any]:
    return {"error": str(error)}


def _closed(_: Request) -> Reply:
    raise RefusedError(503, "The viewer was ended")


class LocalServer:
    """Serves on loopback in threads of its own until it is closed.

    Args:
        answer: called for each request that belongs to this run, from several threads at once; an `MltkError`
            becomes an answer with status 422 and its sentence.
        policy: the Content-Security-Policy, which keeps the page from talking to anyone else.
        port: 0 takes a free one.
        body_limits: longest body in bytes by path; 1 MiB for the others.
        describe: what is told of an `MltkError`.

    Raises:
        DeviceError: the port is taken or not allowed.

    """

    def __init__(
        self,
        answer: Answer,
        policy: str,
        port: int = 0,
        body_limits: Mapping[str, int] | None = None,
        describe: Describe = _plain_error,
    ) -> None:
        self.answer = answer
        self.policy = policy
        self.body_limits = dict(body_limits or {})
        self.describe = describe
        self.token = secrets.token_urlsafe(24)
        try:
            self._server = _Server((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DeviceError(
                f"Can not listen on {HOST} port {port} ({reason}): leave --port away to take a free one"
            ) from error
        self._server.local = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The page's address with the run's secret path; whoever has it can use the page."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def body_limit(self, path: str) -> int:
        """Return the longest body for a path in bytes."""
        return self.body_limits.get(path, _PIECE)

    def close(self) -> None:
        """Stop listening; what is under way is cut off."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        # Browsers keep connections open, and their threads would go on answering.
        open_connections = dict(self._server.connections)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        end = time.monotonic() + _CLOSE_S
        for thread in open_connections.values():
            thread.join(max(end - time.monotonic(), 0))
        # What was served, and what it holds, is freed now and not at the interpreter's end.
        self.answer = _closed


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    # On Windows the option lets another program take over the port.
    allow_reuse_address = os.name != "nt"
    request_queue_size = 64
    local: LocalServer

    def __init__(self, address: tuple[str, int], handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self.connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service for this machine's name, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A closed tab is no error.
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mltk", ""
    timeout = 60
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections[self.connection] = threading.current_thread()

    def finish(self) -> None:
        self.server.connections.pop(self.connection, None)
        super().finish()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet: the terminal belongs to the user."""

    def _serve(self) -> None:
        local = self.server.local
        try:
            path = self._checked_path()
            request = self._request(path)
        except RefusedError as refused:
            # The body, if any, was not read: this connection is of no more use.
            self.close_connection = True
            self._send(json_reply(local.describe(refused), refused.status))
            self._drain()
            return
        try:
            reply = local.answer(request)
        except RefusedError as refused:
            reply = json_reply(local.describe(refused), refused.status)
        except MltkError as error:
            reply = json_reply(local.describe(error), http.HTTPStatus.UNPROCESSABLE_ENTITY)
        self._send(reply)

    def _checked_path(self) -> str:
        """Return the path below the secret one.

        Raises:
            RefusedError: the request is not from the page of this run.

        """
        own = [f"{name}:{self.server.local.port}" for name in (HOST, "localhost")]
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in own:
            raise RefusedError(403, f"This page is served as {own[0]} only")
        origin = self.headers.get("Origin")
        foreign = origin is not None and origin.lower() not in [f"http://{name}" for name in own]
        if foreign or self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise RefusedError(403, "Requests of other web sites are not answered")
        token, slash, path = self.path.split("?", 1)[0].removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.local.token.encode()):
            raise RefusedError(
                403, "Open the address that the command printed: this one lacks its secret part"
            )
        return urllib.parse.unquote(path)

    def _request(self, path: str) -> Request:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, max_num_fields=16)
        first = {name: values[0] for name, values in query.items()}
        return Request(self.command, path, first, self._body(path))

    def _body(self, path: str) -> bytes:
        if self.command != "POST":
            return b""
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not lengths[0].isdecimal() or "Transfer-Encoding" in self.headers:
            raise RefusedError(411, "A request's body must announce its length")
        length, limit = int(lengths[0]), self.server.local.body_limit(path)
        if length > limit:
            raise RefusedError(
                413, f"{length / 1e6:.1f} MB are too much: at most {limit / 1e6:.0f} MB are taken at once"
            )
        body = self.rfile.read(length)
        if len(body) < length:
            raise RefusedError(400, "The request was cut short")
        return body

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            end = time.monotonic() + _DRAIN_S
            self.connection.settimeout(1)
            while time.monotonic() < end and self.rfile.read1(_PIECE):
                pass

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {
            **_SAFETY_HEADERS,
            "Content-Security-Policy": self.server.local.policy,
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body)),
            **reply.headers,
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
