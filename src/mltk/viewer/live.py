"""A microphone's sound as the page sends it: features and detections at once, and the recording afterwards."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.audio.convert import to_int16
from mltk.audio.resample import QUALITY
from mltk.detection.stream import KeywordDetector
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import AudioError, DetectionError
from mltk.viewer.analysis import Heard, Listener, as_dtype, check_rate
from mltk.viewer.clip import MAX_SECONDS, Clip, wav_bytes

MIN_RATE_HZ, MAX_RATE_HZ = 8000, 192_000
# A page sends a tenth of a second; ten seconds are what a sleeping tab may have kept.
MAX_CHUNK_BYTES = 10 * MAX_RATE_HZ * 4


@dataclass(frozen=True)
class LiveFeatures:
    """What a chunk brought.

    Attributes:
        features: uint16 or int8 [frames, channels], the rows that the chunk completed.
        heard: runs of the model and detections since the chunk before; None without a usable model.
        time_ms: milliseconds of audio since the start.

    """

    features: npt.NDArray[Any]
    heard: Heard | None
    time_ms: int


class LiveStream:
    """A stream of microphone samples through the frontend and, where there is one, a detector.

    Args:
        settings: legal frontend settings.
        rate_hz: the microphone's rate; the samples are converted to the frontend's with soxr.
        listener: the model; `detection_error` says why it can not listen with these settings.

    Raises:
        AudioError: a rate that no microphone has.
        FrontendError: illegal settings, or a sample rate that sound can not be converted to.

    """

    def __init__(
        self, settings: AudioFeatureGeneratorSettings, rate_hz: int, listener: Listener | None
    ) -> None:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioError(
                f"A microphone at {rate_hz} Hz can not be used: {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz can"
            )
        check_rate(settings)
        self.rate_hz = rate_hz
        self._settings = settings
        self._generator = AudioFeatureGenerator(settings)
        self._resampler = _resampler(rate_hz, settings.sample_rate_hz)
        self._window = np.zeros((0, settings.filterbank_n_channels), np.uint16)
        self._n_samples = 0
        self._kept: deque[npt.NDArray[np.int16]] = deque()
        self._n_kept = 0
        self._detector: KeywordDetector | None = None
        self._heard = Heard()
        self.detection_error: str | None = None
        if listener is not None:
            try:
                self._detector, self._heard = listener.detector(settings)
            except DetectionError as error:
                self.detection_error = str(error)

    def feed(self, samples: npt.NDArray[np.float32], dtype: str) -> LiveFeatures:
        """Take the next samples, float32 [n] in [-1, 1] at `rate_hz`, and return what they completed.

        Args:
            samples: as the browser gives them; beyond [-1, 1] saturates.
            dtype: 'uint16' or 'int8'. A dynamic scale spans the newest `sample_length_ms`, as a model gets it.

        Raises:
            AudioError: NaN or infinity.
            FrontendError: another dtype.

        """
        self._keep(to_int16(samples))
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        chunk = to_int16(samples)
        self._n_samples += len(chunk)
        features = self._generator.process(chunk)
        heard = None
        if self._detector is not None:
            self._heard.times_ms.clear()
            self._heard.scores.clear()
            self._heard.detections = self._detector.feed(chunk)
            heard = self._heard
        shown = self._shown(features, dtype)
        return LiveFeatures(shown, heard, self._n_samples * 1000 // self._settings.sample_rate_hz)

    def recording(self) -> Clip:
        """Return the last ten minutes as a clip at the microphone's rate.

        Raises:
            AudioError: nothing was recorded.

        """
        if not self._kept:
            raise AudioError("The microphone gave no sound: choose another in the browser's settings")
        return Clip(wav_bytes(np.concatenate(self._kept), self.rate_hz), "microphone.wav")

    def _keep(self, samples: npt.NDArray[np.int16]) -> None:
        if len(samples) == 0:
            return
        self._kept.append(samples)
        self._n_kept += len(samples)
        while self._n_kept > MAX_SECONDS * self.rate_hz:
            self._n_kept -= len(self._kept.popleft())

    def _shown(self, features: npt.NDArray[np.uint16], dtype: str) -> npt.NDArray[Any]:
        window = np.concatenate((self._window, features))
        n_frames = self._settings.spectrogram_shape[0]
        self._window = window[-n_frames:]
        seen = as_dtype(window[-max(n_frames, len(features)) :], self._settings, dtype)
        return seen[len(seen) - len(features) :]


def _resampler(rate_hz: int, target_hz: int) -> Any:
    if rate_hz == target_hz:
        return None
    import soxr

    return soxr.ResampleStream(rate_hz, target_hz, 1, dtype="float32", quality=QUALITY)
