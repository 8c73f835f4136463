"""Where samples come from, besides the microphone: recordings and raw streams, block by block."""

import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mltk.audio.read import stream_audio_file
from mltk.utils.errors import AudioError
from mltk.utils.logging import get_mltk_logger

# The most seconds of audio at once: events are printed between blocks.
_BLOCK_S = 1


def file_blocks(
    path: str | os.PathLike[str], sample_rate_hz: int, block_s: int = _BLOCK_S
) -> Iterator[npt.NDArray[np.int16]]:
    """Yield a recording of any length, format and rate as mono int16 blocks at `sample_rate_hz`.

    Args:
        path: the recording.
        sample_rate_hz: the rate of the blocks.
        block_s: seconds a block; longer ones cost less, and events come later.

    Raises:
        AudioError: the file is missing, no audio, or damaged.

    """
    return stream_audio_file(path, sample_rate_hz * block_s, sample_rate_hz, dtype="int16")


def raw_blocks(stream: BinaryIO, sample_rate_hz: int) -> Iterator[npt.NDArray[np.int16]]:
    """Yield raw samples as they arrive: signed 16 bit, little-endian, mono, at the model's rate.

    Args:
        stream: a binary stream with `read1`, such as `sys.stdin.buffer`.
        sample_rate_hz: for the largest size of a block.

    Raises:
        AudioError: the stream ends without a sample, or can not be read.

    """
    rest = b""
    n_bytes = 0
    while True:
        try:
            data = stream.read1(2 * sample_rate_hz * _BLOCK_S)  # type: ignore[attr-defined]
        except OSError as error:
            raise AudioError(f"Can not read standard input: {error.strerror or error}") from error
        if not data:
            break
        n_bytes += len(data)
        data = rest + data
        rest = data[len(data) & ~1 :]
        if len(data) > 1:
            yield np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16, copy=False)
    if n_bytes < 2:
        raise AudioError("Standard input gave no samples: pipe raw s16le audio into `--audio -`")
    if rest:
        get_mltk_logger().warning("Standard input ended within a sample: is it signed 16-bit audio?")
