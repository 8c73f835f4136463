"""What a clip looks like to the frontend, and what a model hears in it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.detection.events import Detection, Inference
from mltk.detection.stream import KeywordDetector
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.quantize import to_int8
from mltk.frontend.settings import PREFIX, AudioFeatureGeneratorSettings
from mltk.models.loading import resolve_tflite
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import AudioError, DetectionError, FrontendError
from mltk.viewer.clip import Clip

# 64 MB as uint16; a page can not show more.
MAX_VALUES = 1 << 25
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1000, 1_000_000
# HTK's mel scale, which the filterbank uses.
_MEL_FACTOR, _MEL_BREAK_HZ = 1127.0, 700.0


def channel_centres_hz(settings: AudioFeatureGeneratorSettings) -> list[float]:
    """Return each channel's centre frequency in Hz: evenly spaced on the mel scale between the two limits."""
    lowest = _MEL_FACTOR * math.log1p(settings.filterbank_lower_band_limit / _MEL_BREAK_HZ)
    highest = _MEL_FACTOR * math.log1p(settings.filterbank_upper_band_limit / _MEL_BREAK_HZ)
    spacing = (highest - lowest) / (settings.filterbank_n_channels + 1)
    return [
        _MEL_BREAK_HZ * math.expm1((lowest + spacing * (i + 1)) / _MEL_FACTOR)
        for i in range(settings.filterbank_n_channels)
    ]


def check_rate(settings: AudioFeatureGeneratorSettings) -> None:
    """Refuse a sample rate that recordings can not be converted to.

    Raises:
        FrontendError: it is such a rate.

    """
    if not LOWEST_RATE_HZ <= settings.sample_rate_hz <= HIGHEST_RATE_HZ:
        raise FrontendError(
            f"{PREFIX}sample_rate_hz is {settings.sample_rate_hz}, sound can be converted to "
            f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
        )


def clip_features(clip: Clip, settings: AudioFeatureGeneratorSettings) -> npt.NDArray[np.uint16]:
    """Return a whole clip's features, whatever its length, from a fresh state.

    Returns:
        uint16 [frames, channels].

    Raises:
        FrontendError: the settings are illegal, or the features would be too many to show.
        AudioError: the clip is shorter than one window, or can not be had at this rate.

    """
    check_rate(settings)
    generator = AudioFeatureGenerator(settings)
    samples = clip.samples_at(settings.sample_rate_hz)
    if len(samples) < settings.window_size:
        raise AudioError(
            f"{clip.name} has {clip.duration_ms:.0f} ms, less than one window of {settings.window_size_ms} ms"
        )
    frames = (len(samples) - settings.window_size) // settings.window_step + 1
    if frames * settings.filterbank_n_channels > MAX_VALUES:
        raise FrontendError(
            f"{PREFIX}window_step_ms of {settings.window_step_ms} gives {frames} x "
            f"{settings.filterbank_n_channels} values for this clip, too many to show: take a longer step"
        )
    return generator.process(samples)


def as_dtype(
    features: npt.NDArray[np.uint16], settings: AudioFeatureGeneratorSettings, dtype: str
) -> npt.NDArray[Any]:
    """Return features as 'uint16' or 'int8'; a dynamic scale spans all that is given.

    Raises:
        FrontendError: another dtype.

    """
    if dtype == "uint16":
        return features
    if dtype == "int8":
        return to_int8(features, settings)
    raise FrontendError(f"Features are shown as uint16 or int8, not {dtype[:16]}")


@dataclass
class Heard:
    """What a model made of a stream so far.

    Attributes:
        times_ms: end of the newest window, for each run of the model.
        scores: the classes' scores 0 to 255, for each run, before averaging.
        detections: what was reported.

    """

    times_ms: list[int] = field(default_factory=list)
    scores: list[list[int]] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)

    def add(self, inference: Inference) -> None:
        """Take a run of the model."""
        self.times_ms.append(inference.time_ms)
        self.scores.append(inference.scores.tolist())

    def plain(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "times_ms": self.times_ms,
            "scores": self.scores,
            "detections": [
                {"time_ms": one.time_ms, "label": one.label, "score": one.score, "class_id": one.class_id}
                for one in self.detections
            ],
        }


class Listener:
    """A trained model that listens, with its own frontend settings or the page's.

    Args:
        model: name, archive or .tflite, as for the command line. Nothing of an archive's Python is run.

    Raises:
        MltkError: the model can not be used by a detector.

    """

    def __init__(self, model: str) -> None:
        self._data, self.name = resolve_tflite(model)
        detector = KeywordDetector(TfliteModel(self._data, model))
        self.settings = detector.frontend_settings
        self.detection = detector.settings

    def detector(self, settings: AudioFeatureGeneratorSettings) -> tuple[KeywordDetector, Heard]:
        """Return a detector at the start of a stream that computes its features with these settings.

        Raises:
            DetectionError: the model's input has another size than these settings give.

        """
        heard = Heard()
        model = TfliteModel(self._data, self.name)
        model.parameters.update({key: value for key, value in settings.items() if key.startswith(PREFIX)})
        if settings.spectrogram_shape != self.settings.spectrogram_shape:
            given, wanted = settings.spectrogram_shape, self.settings.spectrogram_shape
            raise DetectionError(
                f"{self.name} takes {wanted[0]} x {wanted[1]} features, these settings give "
                f"{given[0]} x {given[1]}: nothing can be heard until they fit"
            )
        return KeywordDetector(model, on_inference=heard.add), heard

    def listen(self, clip: Clip, settings: AudioFeatureGeneratorSettings) -> Heard:
        """Return what the model hears in a clip; with its own settings the events of `mltk classify_audio`.

        Raises:
            MltkError: the clip or the settings can not be used.

        """
        detector, heard = self.detector(settings)
        heard.detections += detector.feed(clip.samples_at(settings.sample_rate_hz))
        return heard
