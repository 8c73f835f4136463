"""Decoded clips on disk, shared by all runs and workers: reading, decoding and resampling happen once.

One file a clip, `<user folder>/clips/v1/<ab>/<key>`, where the key is the hash of the recording's bytes, its name's
suffix and the sample rate: what is cached can not be out of date, whatever happened to paths and times, and a
recording that lies in two data sets is kept once. A file is 64 bytes of header and the samples. It is written beside
and renamed, so readers need no lock: they see a whole file or none. What they see is checked (name, length, CRC of
the samples); a file that fails is removed and made again.
"""

import contextlib
import hashlib
import mmap
import os
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import DatasetError
from mltk.utils.path import user_dir

LIMIT_VARIABLE = "MLTK_CLIP_CACHE_MB"
"""Environment variable: the cache's largest size in MB (10^6 bytes); 0 switches it off."""

DEFAULT_LIMIT_MB = 8000  # twice the whole of Speech Commands
_MB = 1_000_000
_VERSION = "v1"
_MAGIC = b"mltkclip"
_HEADER = struct.Struct("<8s32sIIQ8x")  # magic, key, dtype, CRC-32 of the samples, number of samples
_DTYPES = (np.dtype("<i2"), np.dtype("<f4"))
# Up to this, a file is read as a whole; of longer ones, noises, only the segments in use are fetched.
_MAP_FROM_BYTES = 1 << 18
# A look over the whole folder (its size, the disk's free room) every so many bytes written; as long as there is much
# room, when an eighth of that was written: others write at the same time. A look at 100,000 files takes half a second.
_LOOK_EVERY_BYTES = 256 << 20
_SHARE_OF_ROOM = 8
_LEAVE_FREE_BYTES = 1 << 30
# What was used this lately belongs to a run that goes on: it is not thrown out for another one's clips.
_IN_USE_S = 3600.0
_ABANDONED_S = 3600.0


def cache_limit_bytes() -> int:
    """Return how large the cache may get; 0: there is none.

    Raises:
        DatasetError: $MLTK_CLIP_CACHE_MB is not a number of 0 or more.

    """
    text = os.environ.get(LIMIT_VARIABLE, "").strip() or str(DEFAULT_LIMIT_MB)
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise DatasetError(f"{LIMIT_VARIABLE} must be a whole number of MB, 0 for no cache, not '{text}'")
    return int(text) * _MB


class ClipStore:
    """The cache's folder, for reading and writing clips.

    Args:
        folder: where it is; made when the first clip is written.
        limit_bytes: its largest size, above 0.

    Attributes:
        problem: why nothing is written any more (a read-only or full disk), else None. Reading goes on.

    """

    def __init__(self, folder: str | os.PathLike[str], limit_bytes: int) -> None:
        self._folder = Path(folder) / _VERSION
        self._limit_bytes = limit_bytes
        self._until_look = 0
        self._full = False
        self.problem: str | None = None

    @staticmethod
    def of_user() -> "ClipStore | None":
        """Return the user's cache: in $MLTK_CACHE_DIR or ~/.mltk, of $MLTK_CLIP_CACHE_MB; None if that is 0.

        Raises:
            DatasetError: $MLTK_CLIP_CACHE_MB is not a number.

        """
        limit = cache_limit_bytes()
        return ClipStore(user_dir() / "clips", limit) if limit else None

    def get(self, path: str, sample_rate_hz: int, decode: Callable[[str, int], NDArray[Any]]) -> NDArray[Any]:
        """Return a recording's samples at a rate, decoded or out of the cache; both give the same bits.

        Args:
            path: the recording.
            sample_rate_hz: the rate in Hz.
            decode: (path, rate) -> int16 or float32 [n]; deterministic.

        Returns:
            What `decode` gave, read-only.

        Raises:
            AudioError: `decode` could not read the file.

        """
        key = _key(path, sample_rate_hz)
        if key is None:  # decode() tells what is wrong with the file
            return decode(path, sample_rate_hz)
        place = self._place(key)
        cached = _read(place, key)
        if cached is not None:
            return cached
        samples = decode(path, sample_rate_hz)
        # A file that was written to meanwhile may have been decoded in its new state.
        if _key(path, sample_rate_hz) == key:
            self._write(place, key, samples)
        return samples

    def _place(self, key: bytes) -> Path:
        name = key.hex()
        return self._folder / name[:2] / name

    def _write(self, place: Path, key: bytes, samples: NDArray[Any]) -> None:
        if self.problem or self._full or samples.dtype not in _DTYPES:
            return
        data = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
        header = _HEADER.pack(_MAGIC, key, _DTYPES.index(data.dtype), zlib.crc32(data.data), len(data))
        temporary: Path | None = None
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(data.nbytes)
            if self._full:
                return
            handle, name = tempfile.mkstemp(suffix=".part", dir=place.parent)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(header)
                file.write(data.data)
            temporary.replace(place)
            temporary = None
        except PermissionError as error:
            # Windows refuses to replace a file that another process reads: then it is there already.
            if not place.exists():
                self.problem = f"can not write {place.parent}: {error.strerror or error}"
        except OSError as error:
            self.problem = f"can not write {place.parent}: {error.strerror or error}"
        finally:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    temporary.unlink()

    def _make_room(self, n_bytes: int) -> None:
        """Now and then look at the size of the whole, and throw out what was not used for longest."""
        self._until_look -= n_bytes
        if self._until_look > 0:
            return
        total = sum(status.st_size for _, status in _files(self._folder))
        room = self._limit_bytes - total
        room = min(room, shutil.disk_usage(self._folder).free - _LEAVE_FREE_BYTES)
        smallest = min(_LOOK_EVERY_BYTES, self._limit_bytes // _SHARE_OF_ROOM)
        self._until_look = max(smallest, room // _SHARE_OF_ROOM)
        surplus = self._until_look - room
        if surplus > 0:
            surplus -= self._throw_out(surplus)
        self._full = surplus > 0

    def _throw_out(self, n_bytes: int) -> int:
        """Remove so many bytes of files, the least lately used first, but none in use; return how many went."""
        before = time.time() - _IN_USE_S
        old = [(s.st_mtime, s.st_size, path) for path, s in _files(self._folder) if s.st_mtime <= before]
        removed = 0
        for _, size, path in sorted(old):
            if removed >= n_bytes:
                break
            with contextlib.suppress(OSError):  # another process was faster, or (Windows) uses it
                Path(path).unlink()
                removed += size
        return removed


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Give all files; remove those that a killed writer left."""
    for below in _scan(folder):
        for entry in _scan(Path(below.path)) if below.is_dir() else ():
            try:
                status = entry.stat()
                if entry.name.endswith(".part") and time.time() - status.st_mtime > _ABANDONED_S:
                    Path(entry.path).unlink()
                    continue
            except OSError:
                continue
            yield entry.path, status


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _key(path: str, sample_rate_hz: int) -> bytes | None:
    """Return the hash of a recording's bytes and of all else that its samples depend on."""
    digest = hashlib.sha256(f"{_VERSION} {sample_rate_hz} {Path(path).suffix.lower()} ".encode())
    try:
        if not Path(path).is_file():
            return None
        with Path(path).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{size} ".encode())
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError):
        return None
    return digest.digest()


def _read(place: Path, key: bytes) -> NDArray[Any] | None:
    """Return a cached clip if it is there and whole; remove it if it is there but damaged."""
    try:
        with place.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            data: Any
            if status.st_size < _MAP_FROM_BYTES:
                data = file.read(status.st_size + 1)  # one that grew meanwhile is refused
            else:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # not there, or not readable: then it is decoded again
        return None
    samples = _checked(data, key)
    with contextlib.suppress(OSError):  # a cache that may only be read
        if samples is None:
            place.unlink()
        elif time.time() - status.st_mtime > _IN_USE_S / 2:
            os.utime(place)  # marks it as used
    return samples


def _checked(data: Any, key: bytes) -> NDArray[Any] | None:
    if len(data) < _HEADER.size:
        return None
    magic, stored_key, dtype, crc, n = _HEADER.unpack_from(data)
    if magic != _MAGIC or stored_key != key or dtype >= len(_DTYPES):
        return None
    if len(data) != _HEADER.size + n * _DTYPES[dtype].itemsize:
        return None
    samples = np.frombuffer(data, _DTYPES[dtype], n, _HEADER.size)
    if zlib.crc32(samples.data) != crc:
        return None
    return samples
