"""The streaming detector: samples in, chunk by chunk, heard keywords out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.detection.engine import Engine, ModelSource
from mltk.detection.events import Detection, Inference
from mltk.detection.recognizer import Recognizer
from mltk.detection.settings import DetectionSettings, Mode, make_settings
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.native import native_settings
from mltk.frontend.quantize import scale_to_int8
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import DetectionError

# The frontend is fed at most this much at once, and the model this many windows, which bounds the memory.
_BLOCK_MS = 10_000
_MAX_WINDOWS = 64
# Features are standardized as Keras' generators do: (x - mean) / (std + this).
_EPSILON = 1e-6


class KeywordDetector:
    """Hear a model's keywords in a stream (reference page detection.md).

    The frontend runs on through the stream. At the first window's end at or after each `latency_ms` of audio,
    counted from the moment when the first `sample_length_ms` are complete, the newest `sample_length_ms` of
    features go through the model, and the recognizer decides from its scores. Everything depends on the
    samples only, never on the clock or on how they are cut into chunks. Nothing is inferred before the first
    `sample_length_ms` are there.

    Args:
        model: a `TfliteModel`, a trained `MltkModel`, a .tflite's bytes, or a path or name as for the command
            line. Its parameters give the frontend's and the detection's settings.
        window_duration_ms: replaces average_window_duration_ms, see `mltk.detection.settings.make_settings`.
        count: replaces minimum_count.
        threshold: replaces the thresholds, one value or one a class, 0 to 255.
        suppression_ms: replaces suppression_ms.
        latency_ms: replaces latency_ms; 0 or less than the frontend's step: every window.
        volume: replaces volume_gain.
        mode: "toolkit" never reports labels that begin with '_', "micro_speech" reports every class.
        engine: "litert" (fast), "tflm" (TensorFlow Lite Micro, what the device computes; Linux only) or "native"
            (the same on every machine).
        on_inference: called with an `Inference` after each run of the model.
        on_features: called with each block of new features, uint16 [frames, channels].

    Raises:
        DetectionError: settings out of range, or a model whose input or output a detector can not use.
        MltkError: the model can not be found or read; FrontendError for its frontend settings.

    """

    def __init__(
        self,
        model: ModelSource,
        *,
        window_duration_ms: int | None = None,
        count: int | None = None,
        threshold: int | Sequence[int] | None = None,
        suppression_ms: int | None = None,
        latency_ms: int | None = None,
        volume: float | None = None,
        mode: Mode = "toolkit",
        engine: str = "litert",
        on_inference: Callable[[Inference], None] | None = None,
        on_features: Callable[[npt.NDArray[np.uint16]], None] | None = None,
    ) -> None:
        self._engine = Engine(model, engine)
        parameters = self._engine.parameters
        if "fe.sample_rate_hz" not in parameters:
            raise DetectionError(
                f"{self._engine.name} holds no frontend settings (fe.*): use a model that mltk made, "
                "or add them with `mltk update_params`"
            )
        self._settings = make_settings(
            parameters,
            window_duration_ms=window_duration_ms,
            count=count,
            threshold=threshold,
            suppression_ms=suppression_ms,
            latency_ms=latency_ms,
            volume=volume,
            mode=mode,
        )
        self._frontend_settings = AudioFeatureGeneratorSettings(parameters)
        self._n_frames, self._n_channels = self._frontend_settings.spectrogram_shape
        self._check_tensors()
        self._rescale = float(parameters.get("samplewise_norm.rescale") or 0.0)
        self._standardize = bool(parameters.get("samplewise_norm.mean_and_std"))
        # The settings compute these anew at each look; a window's way through here is short.
        self._window_size = self._frontend_settings.window_size
        self._window_step = self._frontend_settings.window_step
        self._sample_rate_hz = self._frontend_settings.sample_rate_hz
        self._native_settings = native_settings(self._frontend_settings)
        self._generator = AudioFeatureGenerator(self._frontend_settings)
        self._recognizer = Recognizer(self._settings, self.shortest_interval_ms)
        self._block = max(self.sample_rate_hz * _BLOCK_MS // 1000, self._window_step)
        self.on_inference = on_inference
        self.on_features = on_features
        self.reset()

    def reset(self) -> None:
        """Start a new stream at 0 ms: forget audio, features, results and the previous detection."""
        self._generator.reset()
        self._recognizer.reset()
        self._ring = np.zeros((0, self._n_channels), np.uint16)
        self._n_samples = 0
        self._n_inferences = 0
        self._frames_seen = 0
        self._due = self._n_frames - 1
        self._last_time_ms = -1

    # what the detector is

    @property
    def settings(self) -> DetectionSettings:
        """The settings in use: the model's with the options on top."""
        return self._settings

    @property
    def frontend_settings(self) -> AudioFeatureGeneratorSettings:
        """The frontend's settings, from the model's parameters."""
        return self._frontend_settings

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's classes."""
        return self._settings.labels

    @property
    def sample_rate_hz(self) -> int:
        """The rate that `feed` expects."""
        return self._sample_rate_hz

    @property
    def shortest_interval_ms(self) -> int:
        """The least time between two results, for the size of the recognizer's memory."""
        step = self._window_step * 1000
        windows = max(self._settings.latency_ms * self.sample_rate_hz // step, 1)
        # Times are rounded down, which can bring two of them one millisecond nearer.
        return max(windows * step // self.sample_rate_hz - 1, 1)

    @property
    def name(self) -> str:
        """The model's name, for messages."""
        return self._engine.name

    @property
    def time_ms(self) -> int:
        """Milliseconds of audio fed since the start."""
        return self._n_samples * 1000 // self.sample_rate_hz

    @property
    def n_inferences(self) -> int:
        """How often the model ran since the start."""
        return self._n_inferences

    # the stream

    def feed(self, samples: npt.NDArray[np.int16]) -> list[Detection]:
        """Take the next samples and return what was heard by now.

        Args:
            samples: int16 [n] at `sample_rate_hz`, any n, also 0.

        Returns:
            The new detections in the order of their times.

        Raises:
            DetectionError: not a one-dimensional int16 array.

        """
        if not isinstance(samples, np.ndarray) or samples.dtype != np.int16 or samples.ndim != 1:
            got = (
                f"{samples.dtype} {samples.shape}"
                if isinstance(samples, np.ndarray)
                else type(samples).__name__
            )
            raise DetectionError(f"A detector is fed one-dimensional int16 arrays, got {got}")
        detections: list[Detection] = []
        for start in range(0, len(samples), self._block):
            detections += self._feed_block(samples[start : start + self._block])
        return detections

    def _feed_block(self, samples: npt.NDArray[np.int16]) -> list[Detection]:
        self._n_samples += len(samples)
        frames = self._generator.process(amplify(samples, self._settings.volume_gain))
        if len(frames) == 0:
            return []
        if self.on_features is not None:
            self.on_features(frames)
        ring = np.concatenate((self._ring, frames))
        self._frames_seen += len(frames)
        first = self._frames_seen - len(ring)
        due = self._due_windows()
        detections: list[Detection] = []
        for start in range(0, len(due), _MAX_WINDOWS):
            some = due[start : start + _MAX_WINDOWS]
            windows = [ring[end - self._n_frames : end] for end in (window + 1 - first for window in some)]
            detections += self._infer(list(map(self._end_ms, some)), windows)
        # The next window to be inferred needs at most n - 1 of the old frames.
        self._ring = ring[max(len(ring) - self._n_frames + 1, 0) :]
        return detections

    def _due_windows(self) -> list[int]:
        """Return the windows that are there and due."""
        due: list[int] = []
        while self._due < self._frames_seen:
            time_ms = self._end_ms(self._due)
            # With steps of 1 ms at 22,050 Hz two windows can end in the same millisecond: one result is enough.
            if time_ms != self._last_time_ms:
                due.append(self._due)
            self._last_time_ms = time_ms
            self._due = self._due_after(self._due)
        return due

    def _due_after(self, window: int) -> int:
        """Return the window of the next inference.

        The i-th is due i * latency_ms after the first and happens at the first window's end from then on.
        In whole numbers (both times the rate), so that nothing drifts: first + ceil(i * latency / step).
        """
        latency = self._settings.latency_ms * self._sample_rate_hz
        if latency == 0:
            return window + 1
        first, step = self._n_frames - 1, self._window_step * 1000
        i = (window - first) * step // latency + 1
        return first - (-i * latency // step)

    def _end_ms(self, window: int) -> int:
        return (window * self._window_step + self._window_size) * 1000 // self._sample_rate_hz

    def _infer(self, times_ms: list[int], windows: list[npt.NDArray[np.uint16]]) -> list[Detection]:
        """Run the model on windows and return what the recognizer makes of them."""
        inputs = self._model_inputs(np.stack(windows))
        found: list[Detection] = []
        for time_ms, window, model_input, scores in zip(
            times_ms, windows, inputs, self._engine.scores(inputs), strict=True
        ):
            self._n_inferences += 1
            decision = self._recognizer.update(scores, time_ms)
            detection = None
            if decision.is_detection:
                class_id = decision.class_id
                detection = Detection(self.labels[class_id], decision.score, time_ms, class_id)
                found.append(detection)
            if self.on_inference is not None:
                self.on_inference(Inference(time_ms, scores, window, detection, model_input))
        return found

    def _model_inputs(self, windows: npt.NDArray[np.uint16]) -> npt.NDArray[Any]:
        """Turn windows [n, frames, channels] into the model's data type, as the reference's device code does."""
        if self._engine.input_dtype == np.float32:
            return np.stack([self._as_float(window) for window in windows])
        if self._engine.input_dtype == np.int8:
            return scale_to_int8(windows, self._native_settings)
        return windows

    def _as_float(self, window: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
        features = window.astype(np.float32)
        # In the order of the training feed (mltk.datasets.feed_recipe).
        if self._standardize:
            features -= features.mean(dtype=np.float32)
            features /= features.std(dtype=np.float32) + np.float32(_EPSILON)
        if self._rescale:
            features *= np.float32(self._rescale)
        return features

    def _check_tensors(self) -> None:
        engine = self._engine
        if engine.input_size != self._n_frames * self._n_channels:
            raise DetectionError(
                f"{engine.name} takes {engine.input_size} values, but its frontend settings give "
                f"{self._n_frames} x {self._n_channels}: model and fe.* parameters do not belong together"
            )
        if engine.n_classes != len(self.labels):
            raise DetectionError(
                f"{engine.name} has {engine.n_classes} outputs, but its parameters name {len(self.labels)} "
                "classes: model and parameters do not belong together"
            )


def amplify(samples: npt.NDArray[np.int16], gain: float) -> npt.NDArray[np.int16]:
    """Multiply int16 samples by a gain of 1 or more; what becomes too loud saturates, rounded to nearest."""
    if gain == 1.0:
        return samples
    loud = np.rint(samples.astype(np.float32) * np.float32(gain))
    return np.asarray(np.clip(loud, -32768, 32767), dtype=np.int16)
