"""A recording in memory: decoded once, and again at whatever rate the frontend wants."""

import contextlib
import io
import os
import re
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mltk.audio.read import audio_sample_rate, stream_audio_file
from mltk.utils.errors import AudioError
from mltk.utils.files import read_bytes

MAX_FILE_BYTES = 100_000_000
MAX_SECONDS = 600
# At any rate: 64 MB of 16-bit samples.
_MAX_SAMPLES = 1 << 25
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


class Clip:
    """A recording of at most ten minutes.

    Args:
        data: the bytes of an audio file of any format that mltk reads.
        name: what the user calls it; its ending tells some formats.

    Raises:
        AudioError: no audio, damaged, too long or too large.

    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._data = data
        if len(data) > MAX_FILE_BYTES:
            raise _too_large(name, len(data))
        with self._file() as path:
            self.sample_rate_hz = audio_sample_rate(path)
        self._own = self._decode(self.sample_rate_hz)
        self._rate_hz, self._samples = self.sample_rate_hz, self._own

    @classmethod
    def from_file(cls, path: str) -> "Clip":
        """Read a file that the user named.

        Raises:
            MltkError: it is missing, or as for a clip.

        """
        file = Path(path)
        if file.is_file() and file.stat().st_size > MAX_FILE_BYTES:
            raise _too_large(path, file.stat().st_size)
        return cls(read_bytes(path, "recording"), path)

    @property
    def n_samples(self) -> int:
        """Samples at the file's own rate."""
        return len(self._own)

    @property
    def duration_ms(self) -> float:
        """Length in milliseconds."""
        return self.n_samples * 1000 / self.sample_rate_hz

    def samples_at(self, sample_rate_hz: int) -> npt.NDArray[np.int16]:
        """Return the clip as mono int16 [n] at a rate, exactly as `mltk classify_audio` reads it.

        Raises:
            AudioError: the rate can not be had, or the samples would be too many.

        """
        if self._rate_hz != sample_rate_hz:
            self._samples, self._rate_hz = self._decode(sample_rate_hz), sample_rate_hz
        return self._samples

    def _decode(self, sample_rate_hz: int) -> npt.NDArray[np.int16]:
        blocks: list[npt.NDArray[np.int16]] = []
        total = 0
        with self._file() as path:
            for block in stream_audio_file(path, max(sample_rate_hz, 1), sample_rate_hz, dtype="int16"):
                blocks.append(block)
                total += len(block)
                if total > MAX_SECONDS * sample_rate_hz:
                    raise AudioError(
                        f"{self.name} is longer than {MAX_SECONDS // 60} minutes: cut a part out"
                    )
                if total > _MAX_SAMPLES:
                    raise AudioError(f"{self.name} is too long to be shown at {sample_rate_hz} Hz")
        return np.concatenate(blocks)

    def wav(self) -> bytes:
        """Return the clip as a 16-bit mono WAV at its own rate, which every browser plays."""
        return wav_bytes(self._own, self.sample_rate_hz)

    def peaks(self, n_bins: int) -> list[list[int]]:
        """Return the lowest and the highest sample of each of at most `n_bins` equal parts, for a waveform."""
        edges = np.linspace(0, self.n_samples, min(n_bins, self.n_samples) + 1).astype(np.int64)
        low = np.minimum.reduceat(self._own, edges[:-1])
        high = np.maximum.reduceat(self._own, edges[:-1])
        return [low.tolist(), high.tolist()]

    @contextlib.contextmanager
    def _file(self) -> Iterator[Path]:
        """Give the bytes as a file, since the readers want a path; errors name what the user knows."""
        suffix = Path(self.name).suffix
        handle, name = tempfile.mkstemp(
            prefix="mltk-clip-", suffix=suffix if _SUFFIX.fullmatch(suffix) else ""
        )
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._data)
            yield Path(name)
        except AudioError as error:
            raise AudioError(str(error).replace(name, self.name)) from error
        except OSError as error:
            raise AudioError(f"Can not keep {self.name} at {name}: {error.strerror or error}") from error
        finally:
            Path(name).unlink(missing_ok=True)


def _too_large(name: str, size: int) -> AudioError:
    return AudioError(f"{name} has {size / 1e6:.0f} MB: files up to {MAX_FILE_BYTES / 1e6:.0f} MB are shown")


def wav_bytes(samples: npt.NDArray[np.int16], sample_rate_hz: int) -> bytes:
    """Return int16 samples as a mono WAV file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(samples.astype("<i2", copy=False).tobytes())
    return target.getvalue()
