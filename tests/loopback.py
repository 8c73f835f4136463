"""A small HTTP server on this machine that can misbehave in the ways that real ones do."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Loopback:
    """What the server holds, how it behaves, and what it was asked."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    send_length: bool = True
    cut_after: list[int] = field(default_factory=list)  # for the next requests: bytes to send, then hang up
    statuses: list[int] = field(default_factory=list)  # for the next requests: answer with this status
    redirect_to: str | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def loopback_server() -> Iterator[Loopback]:
    state = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.close_connection = True
            state.requests.append((self.path, self.headers.get("Range")))
            data = state.files.get(self.path.partition("?")[0])
            if state.statuses:
                self._short(state.statuses.pop(0))
            elif state.redirect_to:
                self._short(302, Location=state.redirect_to)
            elif data is None:
                self._short(404)
            else:
                self._send(data)

        def _short(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, data: bytes) -> None:
            first = self._first_byte()
            if first >= len(data):
                self._short(416)
                return
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            if state.send_length:
                self.send_header("Content-Length", str(len(data) - first))
            self.send_header("Connection", "close")
            self.end_headers()
            stop = first + state.cut_after.pop(0) if state.cut_after else len(data)
            self.wfile.write(data[first:stop])

        def _first_byte(self) -> int:
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            if match is None or not state.ranges or (condition and condition != state.etag):
                return 0
            return int(match[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
