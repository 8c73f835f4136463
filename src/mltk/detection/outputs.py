"""What a listening session leaves on disk: the sound that was heard, pictures of the model's windows."""

import contextlib
import os
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mltk.detection.events import Inference
from mltk.detection.picture import write_window
from mltk.utils.errors import MltkError
from mltk.utils.files import is_writable_folder, make_folder, replacing
from mltk.utils.logging import get_mltk_logger

# A WAV file counts its bytes in 32 bits; half of that, 18 hours at 16 kHz, every reader understands.
_MAX_WAV_BYTES = 2**31 - 2**16


def output_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for outputs and check that files can be put into it, before work is done for them.

    Raises:
        MltkError: it can not be made or written.

    """
    folder = make_folder(path)
    if not is_writable_folder(folder):
        raise MltkError(f"Can not write into the folder {folder}: choose another or change its rights")
    return folder


def file_name(text: str) -> str:
    """Return a label or a model's name, which come out of files, so that it can not lead out of a folder."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text)[:64]


@contextlib.contextmanager
def wav_dump(
    path: str | os.PathLike[str], sample_rate_hz: int
) -> Iterator[Callable[[npt.NDArray[np.int16]], None]]:
    """Give a function that appends int16 samples to a 16-bit mono WAV, which is whole at the block's end.

    After 2^31 bytes (18 hours at 16 kHz) the rest is left out, with a warning.

    Raises:
        MltkError: the file can not be written.

    """
    with replacing(path) as temporary, wave.open(str(temporary), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(sample_rate_hz)
        n_bytes = 0

        def write(samples: npt.NDArray[np.int16]) -> None:
            nonlocal n_bytes
            if n_bytes >= _MAX_WAV_BYTES:
                return
            data = samples.astype("<i2", copy=False).tobytes()
            n_bytes += len(data)
            if n_bytes >= _MAX_WAV_BYTES:
                get_mltk_logger().warning("%s is full (2 GiB): the rest of the sound is left out", path)
                return
            wav.writeframesraw(data)

        yield write


def spectrogram_dump(folder: Path, every: bool) -> Callable[[Inference], None]:
    """Return a function that writes a PNG of the model's window into a folder.

    The files are named by time, and after what was heard: `000004056ms-yes-201.png`.

    Args:
        folder: see `output_folder`.
        every: every run of the model; else only those with a detection.

    """

    def write(inference: Inference) -> None:
        name = f"{inference.time_ms:09d}ms"
        if inference.detection is not None:
            name += f"-{file_name(inference.detection.label)}-{inference.detection.score}"
        if every or inference.detection is not None:
            write_window(folder / f"{name}.png", inference.features)

    return write
