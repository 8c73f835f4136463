"""Reading audio files of any format that libsndfile knows, as mono samples."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from mltk.audio.containers import announces_length, cut_short
from mltk.audio.convert import mix_to_mono, require_finite, to_int16
from mltk.audio.resample import MAX_FRAMES, QUALITY
from mltk.utils.errors import AudioError

if TYPE_CHECKING:
    import soundfile

# Rates outside of this are damaged headers, not recordings; a rate of 1 Hz would make resampling allocate
# gigabytes.
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1000, 1_000_000
_BLOCK_VALUES = 1 << 17


@overload
def read_audio_file(
    path: str | bytes | os.PathLike[str], return_numpy: bool = ..., return_sample_rate: Literal[False] = ...
) -> NDArray[np.float32]: ...
@overload
def read_audio_file(
    path: str | bytes | os.PathLike[str], return_numpy: bool = ..., *, return_sample_rate: Literal[True]
) -> tuple[NDArray[np.float32], int]: ...
def read_audio_file(
    path: str | bytes | os.PathLike[str], return_numpy: bool = True, return_sample_rate: bool = False
) -> NDArray[np.float32] | tuple[NDArray[np.float32], int]:
    """Read a WAV, FLAC, OGG, MP3 or other libsndfile file as mono (historical MLTK function).

    Several channels are mixed to one: their mean. The sample rate stays the file's own. Of an MP3 with a
        variable
    bit rate and no length header libsndfile gives only as much as it estimates from the first frame.

    Args:
        path: the file; bytes are decoded with the file system's encoding.
        return_numpy: kept for old scripts and without effect: the result is a NumPy array, also where the
            reference toolkit gave a TensorFlow tensor (TensorFlow's functions take it as it is).
        return_sample_rate: return the sample rate too.

    Returns:
        float32 [n] in [-1, 1] (integers divided by their full scale, floating-point files clipped), or with
        `return_sample_rate` the pair of it and the rate in Hz.

    Raises:
        AudioError: the file is missing, a folder, empty, damaged, cut short, longer than 2^28 frames, or
            holds NaN.

    """
    del return_numpy
    with _opened(path) as (file, name):
        blocks: list[NDArray[np.float32]] = []
        total = 0
        for block in _mono_blocks(file, name):
            total += len(block)
            if total > MAX_FRAMES:
                raise AudioError(
                    f"{name} is too long to read at once (over {MAX_FRAMES} frames): stream or cut it"
                )
            blocks.append(block)
        sample = np.concatenate(blocks)
        return (sample, int(file.samplerate)) if return_sample_rate else sample


def audio_sample_rate(path: str | bytes | os.PathLike[str]) -> int:
    """Return a file's sample rate in Hz; only its header is read.

    Raises:
        AudioError: as `read_audio_file`.

    """
    with _opened(path) as (file, _):
        return int(file.samplerate)


@overload
def stream_audio_file(
    path: str | bytes | os.PathLike[str],
    block_frames: int,
    target_sr: int | None = ...,
    dtype: Literal["float32"] = ...,
) -> Iterator[NDArray[np.float32]]: ...
@overload
def stream_audio_file(
    path: str | bytes | os.PathLike[str],
    block_frames: int,
    target_sr: int | None = ...,
    *,
    dtype: Literal["int16"],
) -> Iterator[NDArray[np.int16]]: ...
def stream_audio_file(
    path: str | bytes | os.PathLike[str],
    block_frames: int,
    target_sr: int | None = None,
    dtype: Literal["float32", "int16"] = "float32",
) -> Iterator[NDArray[np.float32]] | Iterator[NDArray[np.int16]]:
    """Read a file of any length piece by piece as mono, in memory that does not grow with the file.

    Args:
        path: as for `read_audio_file`.
        block_frames: frames a block; the last block has what is left. It does not change the samples: the
            blocks put together are the same for every size.
        target_sr: resample to this rate in Hz; None keeps the file's.
        dtype: 'float32' ([-1, 1]) or 'int16' (saturating; a 16-bit mono file comes back bit for bit).

    Yields:
        1-D blocks of `block_frames` samples at the target rate, never an empty one.

    Raises:
        AudioError: as `read_audio_file`, but without a limit of length. A missing or unreadable file is told
            at the call's first block, damage within the file when its place is reached.

    """
    if block_frames < 1:
        raise AudioError(f"A block can not have {block_frames} frames: give 1 or more")
    if target_sr is not None and not _LOWEST_RATE_HZ <= target_sr <= _HIGHEST_RATE_HZ:
        raise AudioError(
            f"Audio can not be streamed at {target_sr} Hz: give {_LOWEST_RATE_HZ} to {_HIGHEST_RATE_HZ}"
        )
    blocks = _reblocked(_resampled(path, target_sr), block_frames)
    return (to_int16(block) for block in blocks) if dtype == "int16" else blocks


def _resampled(path: str | bytes | os.PathLike[str], target_sr: int | None) -> Iterator[NDArray[np.float32]]:
    with _opened(path) as (file, name):
        if target_sr is None or target_sr == file.samplerate:
            yield from _mono_blocks(file, name)
            return
        import soxr

        stream = soxr.ResampleStream(file.samplerate, target_sr, 1, dtype="float32", quality=QUALITY)
        for block in _mono_blocks(file, name):
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _reblocked(blocks: Iterator[NDArray[np.float32]], block_frames: int) -> Iterator[NDArray[np.float32]]:
    """Cut a stream of blocks of any size into blocks of one size."""
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate((waiting, block))
        whole = len(waiting) // block_frames * block_frames
        for start in range(0, whole, block_frames):
            yield waiting[start : start + block_frames]
        waiting = waiting[whole:]
    if len(waiting):
        yield waiting


def _mono_blocks(file: "soundfile.SoundFile", name: str) -> Iterator[NDArray[np.float32]]:
    """Yield an open file's frames as mono until its end, which must be where the header says."""
    length_is_known = announces_length(Path(name))
    frames_at_once = max(1, _BLOCK_VALUES // int(file.channels))
    total = 0
    while True:
        frames = file.read(frames_at_once, dtype="float32", always_2d=True)
        if len(frames) == 0:
            break
        total += len(frames)
        require_finite(frames, name)
        yield np.clip(mix_to_mono(frames), -1.0, 1.0)
    if total == 0:
        raise AudioError(f"{name} holds no samples: record it again or remove it")
    if length_is_known and total < file.frames:
        raise AudioError(
            f"{name} is cut short: its header announces {file.frames} frames, but {total} are there; "
            "copy it again or remove it"
        )


@contextlib.contextmanager
def _opened(path: str | bytes | os.PathLike[str]) -> "Iterator[tuple[soundfile.SoundFile, str]]":
    """Open a file that `cut_short` has looked at; errors within become `AudioError` with its name."""
    name = os.fsdecode(path)
    file_path = Path(name)
    _require_file(file_path)
    import soundfile

    try:
        reason = cut_short(file_path)
        if reason:
            raise AudioError(f"{name} is damaged or cut short: {reason}; copy it again or remove it")
        # libsndfile takes '.raw' as an order to read headerless samples, whatever the file holds.
        if file_path.suffix.lower() == ".raw":
            raise AudioError(f"{name} is raw samples without a header: convert it to WAV first")
        with soundfile.SoundFile(name) as file:
            if not _LOWEST_RATE_HZ <= file.samplerate <= _HIGHEST_RATE_HZ:
                raise AudioError(f"{name} is damaged: its header gives a sample rate of {file.samplerate} Hz")
            yield file, name
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{name} is not audio that can be read, or is damaged: {error.error_string}"
        ) from error
    except OSError as error:
        raise AudioError(f"Can not read {name}: {error.strerror or error}") from error


def _require_file(path: Path) -> None:
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
        size = path.stat().st_size if exists else 0
    except (OSError, ValueError) as error:
        raise AudioError(f"Can not read {path}: {error}") from error
    if not exists:
        raise AudioError(f"There is no audio file at {path}: check the path")
    if is_folder:
        raise AudioError(f"{path} is a folder where an audio file was expected")
    if not is_file:
        raise AudioError(f"{path} is not a regular file, so it can not be read as audio")
    if size == 0:
        raise AudioError(f"{path} is empty: record it again or remove it")
