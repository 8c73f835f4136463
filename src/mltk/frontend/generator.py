"""Audio to features: whole clips, batches of clips, and streams."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mltk.audio.convert import to_int16
from mltk.frontend.native import native_frontend, native_settings
from mltk.frontend.quantize import describe, scale_to_int8
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import FrontendError

_DTYPES = (np.dtype(np.int8), np.dtype(np.uint16), np.dtype(np.float32))


class AudioFeatureGenerator:
    """Turns 16-bit audio into rows of mel features, one row a window.

    The features are those of TensorFlow's microfrontend op, bit for bit, and so is what a chip computes from
    the same C files. Clips (`process_sample`, `process_batch`) each start from a fresh state and do not
    disturb the stream (`process`, `reset`). Clips may be processed from several threads at once; a stream
    belongs to one thread.

    Samples are int16, or float32/float64 in [-1, 1], which are multiplied by 32768, rounded and saturated.
    """

    def __init__(self, settings: AudioFeatureGeneratorSettings) -> None:
        """Compute all tables.

        Args:
            settings: copied; later changes of them have no effect.

        Raises:
            FrontendError: a setting is outside its legal range.

        """
        self.settings = settings.copy()
        self._shape = self.settings.spectrogram_shape
        self._native_settings = native_settings(self.settings)
        self._native = native_frontend(self._native_settings, _chunk)
        # A stream calls this every few milliseconds: the C function itself, without a frame of Python around it.
        if type(self).process is AudioFeatureGenerator.process:
            self.__dict__["process"] = self._native.process
        self._clip_activity = False

    def __reduce__(self) -> tuple[Any, ...]:
        # For worker processes; a stream's state does not travel.
        return AudioFeatureGenerator, (self.settings,)

    @property
    def spectrogram_shape(self) -> tuple[int, int]:
        """Shape of one clip's features: (frames, channels)."""
        return self._shape

    @property
    def form(self) -> str:
        """Which form of the C core runs: "avx512", "avx2", "neon", or "scalar" (one number after the other).

        The fastest that this processor has, or what the environment variable `MLTK_FRONTEND` names. The features are
        the same.
        """
        return str(self._native.form)

    def process_sample(self, sample: NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Compute the features of one clip.

        Args:
            sample: int16 or float, 1-D, exactly `settings.sample_length` samples.
            dtype: uint16 (the features as computed), float32 (the same values), or int8 (see `to_int8`).

        Returns:
            `dtype` [frames, channels].

        Raises:
            FrontendError: the sample has another dtype, rank or length, or `dtype` is none of the three.
            AudioError: the sample holds NaN or infinity.

        """
        samples = _checked(sample, "A clip", (self.settings.sample_length,))
        features: NDArray[Any] = self._clips(samples[np.newaxis], 1, dtype)[0]
        return features

    def process_batch(
        self, samples: NDArray[Any], dtype: DTypeLike = np.float32, threads: int = 1
    ) -> NDArray[Any]:
        """Compute the features of many clips in one call, with the GIL released.

        Args:
            samples: int16 or float [n, `settings.sample_length`].
            dtype: as in `process_sample`.
            threads: how many threads share the clips.

        Returns:
            `dtype` [n, frames, channels].

        Raises:
            FrontendError: the samples have another dtype, rank or length, or `dtype` is none of the three.
            AudioError: the samples hold NaN or infinity.

        """
        if threads < 1:
            raise FrontendError(f"threads must be 1 or more, not {threads}")
        clips = _checked(samples, "A batch of clips", (None, self.settings.sample_length))
        return self._clips(clips, threads, dtype)

    def process(self, chunk: NDArray[Any]) -> NDArray[np.uint16]:
        """Take the next chunk of a stream.

        Args:
            chunk: int16 or float, 1-D, of any length.

        Returns:
            uint16 [frames, channels]: the rows that the chunk completed, often none. However a stream is cut
            into chunks, its rows are the same.

        Raises:
            FrontendError: the chunk has another dtype or rank.
            AudioError: the chunk holds NaN or infinity.

        """
        features: NDArray[np.uint16] = self._native.process(chunk)
        return features

    def reset(self) -> None:
        """Forget the stream's audio, so that it starts as fresh."""
        self._native.reset()
        self._clip_activity = False

    def activity_was_detected(self) -> bool:
        """Tell whether activity was detected since the last call, in the stream or in a clip."""
        detected = bool(self._native.activity_was_detected()) or self._clip_activity
        self._clip_activity = False
        return detected

    def _clips(self, clips: NDArray[np.int16], threads: int, dtype: DTypeLike) -> NDArray[Any]:
        wanted = np.dtype(dtype)
        if wanted not in _DTYPES:
            raise FrontendError(f"Features can be int8, uint16 or float32, not {wanted}")
        features = np.empty((len(clips), *self._shape), np.uint16)
        if self._native.process_clips(clips, features, threads):
            self._clip_activity = True
        if wanted == np.int8:
            return scale_to_int8(features, self._native_settings)
        return features.astype(wanted, copy=False)


def _checked(samples: NDArray[Any], what: str, shape: tuple[int | None, ...]) -> NDArray[np.int16]:
    """Check an array of samples and return it as contiguous, aligned int16."""
    if (
        not isinstance(samples, np.ndarray)
        or samples.dtype not in (np.int16, np.float32, np.float64)
        or samples.ndim != len(shape)
        or any(want is not None and want != got for want, got in zip(shape, samples.shape, strict=True))
    ):
        expected = ", ".join("n" if size is None else str(size) for size in shape)
        raise FrontendError(f"{what} must be int16 or float32 [{expected}], not {describe(samples)}")
    result = np.ascontiguousarray(to_int16(samples))
    return result if result.flags.aligned else result.copy()


def _chunk(chunk: NDArray[Any]) -> NDArray[np.int16]:
    return _checked(chunk, "A chunk", (None,))
