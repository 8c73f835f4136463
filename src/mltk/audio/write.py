"""Writing clips as 16-bit WAV, whole or not at all."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mltk.audio.convert import mix_to_mono, to_int16
from mltk.utils.errors import AudioError
from mltk.utils.files import replacing


def write_audio_file(
    path: str | bytes | os.PathLike[str], sample: ArrayLike, sample_rate: int, mono: bool = True
) -> str:
    """Write a 16-bit PCM WAV file (historical MLTK function).

    Args:
        path: the file, ending in .wav; its folder is made if needed. An existing file is replaced once the
            new one is whole.
        sample: float32 in [-1, 1] (beyond saturates) or int16; [n], or [n, channels].
        sample_rate: in Hz, 1 to 2^31 - 1.
        mono: mix several channels to one (their mean); False keeps them.

    Returns:
        The path.

    Raises:
        AudioError: the name does not end in .wav, or the samples or the rate can not be written.
        MltkError: the folder can not be written or the disk is full.

    """
    target = os.fsdecode(path)
    if Path(target).suffix.lower() not in (".wav", ".wave"):
        raise AudioError(f"{target} can not be written: only WAV files are, so end the name in .wav")
    if not 1 <= int(sample_rate) < 1 << 31:
        raise AudioError(f"{target} can not be written with a sample rate of {sample_rate} Hz")
    samples = np.asarray(sample)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= 1024):
        raise AudioError(
            f"{target} can not be written from an array of shape {samples.shape}: give [n] or [n, channels]"
        )
    if mono and samples.ndim == 2:
        samples = mix_to_mono(
            samples.astype(np.float32) / np.float32(32768 if samples.dtype == np.int16 else 1)
        )
    pcm = to_int16(samples)
    if pcm.nbytes > 0xFFFF0000:
        raise AudioError(f"{target} would be over 4 GiB, which WAV can not hold: cut the audio")
    _write_wav(target, pcm, int(sample_rate))
    return target


def _write_wav(path: str, pcm: NDArray[np.int16], sample_rate: int) -> None:
    """Write int16 [n] or [n, channels]."""
    import wave

    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm.astype("<i2").tobytes())
