"""Requests to another machine that outlive cut connections."""

import base64
import shlex
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from mltk.remote.connection import Connection, frame, json_frame
from mltk.remote.errors import RemoteError, UnreachableError
from mltk.remote.target import Target
from mltk.utils.files import file_hash, replacing
from mltk.utils.logging import get_mltk_logger

AGENT = Path(__file__).with_name("agent.py")
# Seconds between tries to connect again: growing, then the last one for as long as it takes.
DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_PIECE = 1 << 16

Request = dict[str, Any] | Callable[[], dict[str, Any]]


class Session:
    """A machine that requests are sent to. A cut connection is made again, the request repeated.

    Only what ran once is tried again: where the first connection fails, the error is raised at once.
    """

    def __init__(self, target: Target, python: str) -> None:
        """Connect.

        Args:
            target: the machine.
            python: the Python there that runs the agent.

        Raises:
            RemoteError: the machine can not be reached, or does not let us in.

        """
        self.target = target
        self.python = python
        self._connection: Connection | None = Connection(target)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the last request went through."""
        return self._connection is not None

    def call(
        self,
        op: str,
        request: Request,
        *,
        sink: Callable[[bytes], None] | None = None,
        body: Callable[[dict[str, Any]], Iterable[bytes]] | None = None,
        again: bool = True,
    ) -> dict[str, Any]:
        """Send a request and return its result.

        Args:
            op: one of the agent's operations.
            request: its settings; a function is called before every try.
            sink: is given the data that comes.
            body: gives the frames that follow the request.
            again: repeat it after a cut.

        Raises:
            UnreachableError: the connection was cut and `again` is False.
            RemoteError: the machine refuses.

        """
        tries = 0
        while True:
            content = {"op": op, **(request() if callable(request) else request)}
            progress = _Progress(sink)
            try:
                if self._connection is None:
                    self._connection = Connection(self.target)
                    get_mltk_logger().info("Connected again")
                return self._connection.exchange(self._command(), partial(_frames, content, body), progress)
            except UnreachableError as error:
                self.close()
                if not again:
                    raise
                tries = 0 if progress.moved else tries
                delay = DELAYS[min(tries, len(DELAYS) - 1)]
                tries += 1
                get_mltk_logger().warning("%s; trying again in %.0f s", error, delay)
                time.sleep(delay)

    def _command(self) -> str:
        """Return what any login shell understands: letters, digits and quotes that none of them replaces."""
        code = base64.b64encode(zlib.compress(AGENT.read_bytes(), 9)).decode()
        return f"{_word(self.python)} -c \"import base64,zlib;exec(zlib.decompress(base64.b64decode('{code}')))\""

    # --- files ---

    def upload(self, work: str, files: Iterable[tuple[Path, str]]) -> None:
        """Send the files that are missing there or differ.

        Args:
            work: the working folder there.
            files: local path and path there, relative to the working folder or absolute.

        Raises:
            RemoteError: a file can not be read here or written there.

        """
        chosen = list(files)
        entries = [described(local, remote) for local, remote in chosen]

        def body(content: dict[str, Any]) -> Iterable[bytes]:
            for index, offset in content["wanted"]:
                yield from _file_frames(chosen[index][0], {**entries[index], "offset": offset})
            yield frame(b"Z", b"")

        def wanted() -> dict[str, Any]:
            # Asked before every try: what arrived before a cut is not sent again.
            missing = self.call("compare", {"work": work, "files": entries})["wanted"]
            megabytes = sum(entries[index]["size"] - offset for index, offset in missing) / 1e6
            get_mltk_logger().info(
                "Sending %d of %d files (%.1f MB) to %s on %s",
                *(len(missing), len(entries), megabytes, work, self.target.host),
            )
            return {"work": work, "wanted": missing}

        self.call("receive", wanted, body=body)

    def download(
        self, entry: dict[str, Any], target: Path, check: Callable[[Path], None] | None = None
    ) -> None:
        """Bring a file home, whole and with the hash that was announced, or leave `target` as it was.

        Args:
            entry: the agent's description of the file: path, size, sha256.
            target: where to.
            check: raises where the content must not take the place of an older file.

        Raises:
            RemoteError: the file changed or vanished meanwhile.
            MltkError: it can not be written here.

        """
        size = int(entry["size"])
        with replacing(target) as temporary:
            with temporary.open("wb") as file:

                def rest() -> dict[str, Any]:
                    file.flush()
                    return {"path": entry["path"], "offset": file.tell()}

                def take(data: bytes) -> None:
                    if file.tell() + len(data) > size:
                        raise RemoteError(f"{entry['path']} on {self.target.host} grows while it is fetched")
                    file.write(data)

                self.call("fetch", rest, sink=take)
            if file_hash(temporary) != entry["sha256"]:
                raise RemoteError(
                    f"{entry['path']} on {self.target.host} did not arrive as it was announced: fetch it again"
                )
            if check is not None:
                check(temporary)


class _Progress:
    """Hands data on and knows whether there was any: after progress the delays start anew."""

    def __init__(self, sink: Callable[[bytes], None] | None) -> None:
        self._sink = sink
        self.moved = False

    def __call__(self, data: bytes) -> None:
        self.moved = True
        if self._sink is not None:
            self._sink(data)


def described(local: Path, remote: str) -> dict[str, Any]:
    """Return what the other side is told of a file.

    Raises:
        RemoteError: it can not be read.

    """
    try:
        return {"path": remote, "size": local.stat().st_size, "sha256": file_hash(local)}
    except OSError as error:
        raise _unreadable(local, error) from error


def _unreadable(path: Path, error: OSError) -> RemoteError:
    return RemoteError(f"Can not read {path}, which is to be sent: {error.strerror or error}")


def _word(path: str) -> str:
    """Quote a path for the login shell; a leading ~ stays the home folder."""
    if path.startswith("~/"):
        return "~/" + shlex.quote(path[2:])
    return shlex.quote(path)


async def _frames(
    content: dict[str, Any], body: Callable[[dict[str, Any]], Iterable[bytes]] | None
) -> AsyncIterator[bytes]:
    yield json_frame(b"Q", content)
    for data in body(content) if body is not None else ():
        yield data


def _file_frames(path: Path, entry: dict[str, Any]) -> Iterable[bytes]:
    yield json_frame(b"F", entry)
    left = entry["size"] - entry["offset"]
    try:
        with path.open("rb") as file:
            file.seek(entry["offset"])
            while left > 0:
                # A file that shrank meanwhile is filled up: its hash is wrong then, and the other side says so.
                data = file.read(min(_PIECE, left)) or bytes(min(_PIECE, left))
                yield frame(b"D", data)
                left -= len(data)
    except OSError as error:
        raise _unreadable(path, error) from error
