"""One file over HTTP: resumes, retries, checks; whole or not there."""

import contextlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mltk.utils.errors import DownloadError, MltkError
from mltk.utils.files import file_hash, make_folder
from mltk.utils.logging import get_mltk_logger
from mltk.utils.progress import progress

TIMEOUT_SECONDS = 30.0
TRIES_WITHOUT_PROGRESS = 3
FIRST_WAIT_SECONDS = 1.0

_CHUNK_BYTES = 256 * 1024
_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)


def check_hash_text(text: str) -> str:
    """Return the algorithm of a hex digest by its length.

    Raises:
        DownloadError: it is no MD5, SHA-1 or SHA-256 in hex.

    """
    algorithm = _ALGORITHMS.get(len(text))
    if algorithm is None or not re.fullmatch("[0-9a-fA-F]+", text):
        raise DownloadError(f"The file hash {text!r} is not an MD5, SHA-1 or SHA-256 in hex: check it")
    return algorithm


def check_url(url: str) -> None:
    """Refuse what is no http, https or file URL.

    Raises:
        DownloadError: it is not.

    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "file" or (parts.scheme in ("http", "https") and bool(parts.hostname))
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(
            f"Can not download {url!r}: give a URL that starts with https://, http:// or file://"
        )


def has_hash(path: Path, expected: str) -> bool:
    """Tell whether a file has a hash (MD5, SHA-1 or SHA-256 in hex)."""
    return file_hash(path, check_hash_text(expected)) == expected.lower()


def fetch(url: str, destination: Path, expected_hash: str | None, show_progress: bool) -> None:
    """Download `url` to `destination`, from where an earlier try stopped. The caller holds the file's lock.

    Raises:
        DownloadError: see `archive_downloader.download_url`.
        MltkError: the destination can not be written.

    """
    part = _Part(url, destination, expected_hash)
    get_mltk_logger().info("Downloading %s to %s", url, destination)
    make_folder(destination.parent)
    try:
        if urlsplit(url).scheme == "file":
            _copy_local(url, part)
        else:
            _download(part, show_progress)
        part.finish()
    except OSError as error:
        with contextlib.suppress(OSError):
            part.drop()  # a full disk: what can not be finished is not kept
        raise MltkError(f"Can not write {part.path}: {error.strerror or error}") from error


class _Part:
    """The piece of a file that came so far, with a note beside it on what it is a piece of."""

    def __init__(self, url: str, destination: Path, expected_hash: str | None) -> None:
        self.url = url
        self.destination = destination
        self.expected_hash = expected_hash.lower() if expected_hash else None
        self.path = destination.with_name(f".{destination.name}.part")
        self._note = destination.with_name(f".{destination.name}.part.json")
        self.was_resumed = False

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self) -> str | None:
        """Return what the server called this version of the file; None if the part is not of our file."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = isinstance(note, dict) and (
            note.get("hash") == self.expected_hash if self.expected_hash else note.get("url") == self.url
        )
        return str(note.get("validator", "")) if same else None

    def start(self, validator: str) -> None:
        """Begin the file from its first byte."""
        self._note.write_text(
            json.dumps({"url": self.url, "hash": self.expected_hash, "validator": validator}),
            encoding="utf-8",
        )
        self.path.write_bytes(b"")
        self.was_resumed = False

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def has_wanted_hash(self) -> bool:
        return self.expected_hash is None or has_hash(self.path, self.expected_hash)

    def finish(self) -> None:
        """Put the whole file at its place.

        Raises:
            DownloadError: it has another hash.

        """
        if not self.has_wanted_hash():
            found = file_hash(self.path, check_hash_text(self.expected_hash or ""))
            self.drop()
            raise DownloadError(
                f"What came from {self.url} is not the file that was announced (its hash is {found}, "
                f"expected {self.expected_hash}): try again, or take another mirror"
            )
        self.path.replace(self.destination)
        self._note.unlink(missing_ok=True)


def _copy_local(url: str, part: _Part) -> None:
    source = Path(urllib.request.url2pathname(urlsplit(url).path))
    if not source.is_file():
        raise DownloadError(f"There is no file at {source}: check the URL {url}")
    part.start("")
    shutil.copyfile(source, part.path)


class _Interrupted(Exception):
    """The connection failed in a way that may pass."""


def _download(part: _Part, show_progress: bool) -> None:
    failures = 0
    with _progress_bar(part.destination.name, show_progress) as report:
        while True:
            before = part.size()
            try:
                _request(part, report)
                if part.was_resumed and not part.has_wanted_hash():
                    # The pieces are of different files: once more from the first byte.
                    part.drop()
                    continue
                return
            except _Interrupted as error:
                failures = 1 if part.size() > before else failures + 1
                if failures >= TRIES_WITHOUT_PROGRESS:
                    raise _failure(part, str(error)) from error
                get_mltk_logger().debug("Download interrupted at byte %d: %s", part.size(), error)
                time.sleep(FIRST_WAIT_SECONDS * 2 ** (failures - 1))


def _failure(part: _Part, reason: str) -> DownloadError:
    check = f" (its hash: {part.expected_hash})" if part.expected_hash else ""
    return DownloadError(
        f"Can not download {part.url}: {reason}; check the network, or fetch the file{check} "
        f"by other means and put it at {part.destination}"
    )


def _request(part: _Part, report: Callable[[int, int | None], None]) -> None:
    """Ask for the file, or the rest of it, and write what comes.

    Raises:
        _Interrupted: it is not whole yet; try again.
        DownloadError: it makes no sense to try again.

    """
    request = _make_request(part)
    try:
        with _opener().open(request, timeout=TIMEOUT_SECONDS) as response:
            _receive(part, response, report)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # the part is as long as the file, or longer
                if part.expected_hash and part.has_wanted_hash():
                    return
                part.drop()
                raise _Interrupted("the server has no such range") from error
            if error.code in _PASSING_STATUS:
                raise _Interrupted(f"the server says {error.code} {error.reason}") from error
            raise _failure(part, f"the server says {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _Interrupted(str(error.reason)) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _make_request(part: _Part) -> urllib.request.Request:
    from mltk import __version__

    # An encoding on the way would make byte ranges those of other bytes.
    headers = {"User-Agent": f"mltk/{__version__}", "Accept-Encoding": "identity"}
    validator = part.validator()
    if validator is None:
        part.drop()
    elif part.size() and (validator or part.expected_hash):
        headers["Range"] = f"bytes={part.size()}-"
        if validator:
            headers["If-Range"] = validator
    return urllib.request.Request(part.url, headers=headers)


def _opener() -> urllib.request.OpenerDirector:
    """Make an opener that also after a redirection speaks HTTP only: no files, no FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _receive(
    part: _Part, response: http.client.HTTPResponse, report: Callable[[int, int | None], None]
) -> None:
    answer = _Answer.of(response)
    if answer.first_byte is None:
        part.start(answer.validator)
    elif answer.first_byte != part.size():
        part.drop()
        raise _Interrupted("the server sent another range than asked for")
    else:
        part.was_resumed = True
    _check_space(part, answer)
    received = part.size()
    report(received, answer.total)
    with part.path.open("ab") as file:
        while piece := _read(response):
            file.write(piece)
            received += len(piece)
            report(received, answer.total)
    if answer.total is not None and received < answer.total:
        raise _Interrupted(f"the connection ended after {received} of {answer.total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the head of an answer says: None where it says nothing."""

    first_byte: int | None
    total: int | None
    validator: str

    @classmethod
    def of(cls, response: http.client.HTTPResponse) -> "_Answer":
        etag = response.headers.get("ETag", "")
        # A weak tag names files that are alike, not files that are the same.
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        if response.status == 206:
            content_range = response.headers.get("Content-Range", "")
            match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", content_range)
            if match is None:
                return cls(-1, None, validator)
            return cls(int(match[1]), None if match[2] == "*" else int(match[2]), validator)
        length = response.headers.get("Content-Length", "")
        return cls(None, int(length) if re.fullmatch(r"\d{1,18}", length) else None, validator)


def _check_space(part: _Part, answer: _Answer) -> None:
    if answer.total is None:
        return
    free = shutil.disk_usage(part.destination.parent).free
    if answer.total - part.size() > free:
        raise DownloadError(
            f"{part.url} is {answer.total / 1e6:.0f} MB large, but only {free / 1e6:.0f} MB are free "
            f"for {part.destination}: make room, or set MLTK_CACHE_DIR to a folder on another disk"
        )


@contextlib.contextmanager
def _progress_bar(name: str, wanted: bool) -> Iterator[Callable[[int, int | None], None]]:
    if not wanted:
        yield lambda received, total: None
        return
    with progress("MB") as bar:
        task = bar.add_task(name, total=None)

        def report(received: int, total: int | None) -> None:
            bar.update(task, completed=received / 1e6, total=total / 1e6 if total is not None else None)

        yield report
