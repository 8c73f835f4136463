"""What a worker does: clips in, one batch of features out. Nothing in here knows of processes or of
TensorFlow.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mltk.audio.augment import Augmentation, augment, make_silence
from mltk.audio.convert import to_float32, to_int16
from mltk.audio.length import loud_part
from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.datasets.cache import ClipStore

CACHE_BYTES = 128 << 20
"""Memory for decoded clips, over all workers of a run: also where one has it all, less than half of the 300 MB of growth
at which loky takes a worker for a leaking one, warns, and starts another in its place.
"""


class ClipLike(Protocol):
    """What the feed asks of an `mltk.datasets.selection.Clip`."""

    @property
    def path(self) -> str | None:
        """The file; None for generated silence."""

    @property
    def class_id(self) -> int:
        """Index of the class."""

    @property
    def index(self) -> int:
        """The clip's number in the data set, from which its random numbers are seeded."""


@dataclass(frozen=True, slots=True)
class Item:
    """One clip of a batch: what a worker needs of a `ClipLike`."""

    path: str | None
    class_id: int
    index: int
    partial: bool = False


class ClipCache:
    """Decoded clips in memory, the least recently used thrown out first; behind it the clips on disk.

    Args:
        max_bytes: upper limit of the memory that the samples take.
        store: the clips on disk; None: a clip that is thrown out is decoded again.

    """

    def __init__(self, max_bytes: int = CACHE_BYTES, store: ClipStore | None = None) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._samples: OrderedDict[tuple[str, int], NDArray[Any]] = OrderedDict()
        self._loud_parts: dict[tuple[str, int], tuple[float, slice]] = {}  # of what is in _samples
        self._store = store

    @property
    def problem(self) -> str | None:
        """Why clips are kept in memory only, if something went wrong."""
        return self._store.problem if self._store is not None else None

    def get(self, path: str, sample_rate_hz: int) -> NDArray[np.float32]:
        """Return a file's samples, float32 [n] at `sample_rate_hz`; callers must not write into them.

        Raises:
            AudioError: the file can not be read.

        """
        return to_float32(self.samples(path, sample_rate_hz))

    def samples(self, path: str, sample_rate_hz: int) -> NDArray[Any]:
        """Return a file's samples as they are kept: int16 [n] where no bit is lost by it, else float32 [n].

        Callers must not write into them.

        Raises:
            AudioError: the file can not be read.

        """
        key = (path, sample_rate_hz)
        if key in self._samples:
            self._samples.move_to_end(key)
            return self._samples[key]
        if self._store is None:
            samples = decode_clip(path, sample_rate_hz)
        else:
            samples = self._store.get(path, sample_rate_hz, decode_clip)
        self._keep(key, samples)
        return samples

    def trimmed(self, path: str, sample_rate_hz: int, threshold_db: float | None) -> NDArray[Any]:
        """Return a file's samples without its quiet ends (see `trim_silence`; None: with them), a view.

        Where they are is looked for once as long as the samples are kept.

        Raises:
            AudioError: the file can not be read.

        """
        samples = self.samples(path, sample_rate_hz)
        if threshold_db is None:
            return samples
        key = (path, sample_rate_hz)
        known, part = self._loud_parts.get(key, (None, slice(0)))
        if known != threshold_db:
            part = loud_part(samples, threshold_db)
            if key in self._samples:
                self._loud_parts[key] = (threshold_db, part)
        return samples[part]

    def _keep(self, key: tuple[str, int], samples: NDArray[Any]) -> None:
        if samples.nbytes > self._max_bytes:
            return
        self._samples[key] = samples
        self._bytes += samples.nbytes
        while self._bytes > self._max_bytes:
            oldest, dropped = self._samples.popitem(last=False)
            self._loud_parts.pop(oldest, None)
            self._bytes -= dropped.nbytes


def decode_clip(path: str, sample_rate_hz: int) -> NDArray[Any]:
    """Read and resample a file: int16 [n] where no bit is lost by it (most recordings), else float32 [n].

    Raises:
        AudioError: the file can not be read.

    """
    sample, rate = read_audio_file(path, return_sample_rate=True)
    resampled = to_float32(resample(sample, rate, sample_rate_hz))
    pcm = to_int16(resampled)
    return pcm if np.array_equal(to_float32(pcm), resampled) else resampled


@dataclass(frozen=True, slots=True)
class _Noises(Sequence[NDArray[Any]]):
    """Background noises, read when they are used."""

    paths: tuple[str, ...]
    sample_rate_hz: int
    cache: ClipCache

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return self.cache.samples(self.paths[index], self.sample_rate_hz)


@dataclass(slots=True)
class Recipe:
    """How the samples of a feed are made; everything but the clips. It is pickled once a batch, so it stays
    small.

    Attributes:
        frontend_settings: `AudioFeatureGeneratorSettings` of one clip.
        dtype: the frontend's output: 'int8', 'uint16' or 'float32'.
        augmentation: what is varied.
        n_classes: width of the labels.
        noise_paths: background noise files.
        seed: with the epoch and a clip's index it seeds that clip's random numbers.
        center: subtract each spectrogram's mean.
        scale: divide each spectrogram by its standard deviation + 1e-6.
        rescale: multiply by this at last.
        warmup_ms: the longest audio before the clip whose features are dropped; each clip draws its own length.
        sample_shape: shape of one sample as the model takes it, such as (frames, 1, channels) of a temporal one;
            None for (frames, channels, 1).

    """

    frontend_settings: Any
    dtype: str
    augmentation: Augmentation
    n_classes: int
    noise_paths: tuple[str, ...] = ()
    seed: int = 0
    center: bool = False
    scale: bool = False
    rescale: float | None = None
    warmup_ms: int = 0
    sample_shape: tuple[int, ...] | None = None
    _frontend: Any = field(default=None, repr=False, compare=False)
    _trimmed: Augmentation | None = field(default=None, repr=False, compare=False)

    @property
    def is_normalized(self) -> bool:
        """Whether the frontend's features are centred, scaled or multiplied."""
        return self.center or self.scale or self.rescale is not None

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """The features' dtype: normalized ones are float32."""
        return np.dtype(np.float32) if self.is_normalized else np.dtype(self.dtype)

    def make_batch(
        self, items: Sequence[Item], epoch: int, cache: ClipCache
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Read, augment and turn clips into features.

        Args:
            items: the clips.
            epoch: seeds the augmentation; 0 or more.
            cache: where decoded clips are kept.

        Returns:
            Features [n, *sample_shape] of `output_dtype`, and one-hot labels float32 [n, n_classes].

        Raises:
            AudioError: a file can not be read; its path is in the message.
            FrontendError: the settings are illegal.

        """
        settings = self._settings_with_warmup()
        samples = np.empty((len(items), settings.sample_length), np.int16)
        for row, item in zip(samples, items, strict=True):
            row[:] = to_int16(self.make_sample(item, epoch, settings.sample_length, cache))
        features = self._normalized(self._features(samples, settings))
        x = features.reshape(len(items), *(self.sample_shape or (*features.shape[1:], 1)))
        return x, self.labels(items)

    def labels(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """Return the one-hot labels of a batch: float32 [n, n_classes]."""
        labels = np.zeros((len(items), self.n_classes), np.float32)
        labels[np.arange(len(items)), [item.class_id for item in items]] = 1.0
        return labels

    def make_sample(self, item: Item, epoch: int, length: int, cache: ClipCache) -> NDArray[np.float32]:
        """Return one augmented clip, warm-up included: float32 [length]."""
        rng = np.random.default_rng((self.seed, epoch, item.index))
        rate = self.frontend_settings.sample_rate_hz
        noises = _Noises(self.noise_paths, rate, cache)
        out_length = self.frontend_settings.sample_length
        lead_in = length - out_length
        if item.path is None:
            sample = make_silence(length, self.augmentation, rng, noises)
        else:
            sample = augment(
                cache.trimmed(item.path, rate, self.augmentation.trim_threshold_db),
                rate,
                self._augmentation_of_trimmed(),
                rng,
                noises,
                out_length=out_length,
                lead_in=lead_in,
                partial=item.partial,
            )
        # Digital silence leaves the frontend as it was made: a shorter warm-up in a row of the same length.
        sample[: rng.integers(lead_in + 1)] = 0.0
        return sample

    def _augmentation_of_trimmed(self) -> Augmentation:
        if self._trimmed is None:
            self._trimmed = replace(self.augmentation, trim_threshold_db=None)
        return self._trimmed

    def _settings_with_warmup(self) -> Any:
        if not self.warmup_ms:
            return self.frontend_settings
        settings = self.frontend_settings.copy()
        # Whole steps, so that the clip's windows lie where they lie without a warm-up.
        steps = -(-self.warmup_ms // settings.window_step_ms)
        settings.sample_length_ms = settings.sample_length_ms + steps * settings.window_step_ms
        return settings

    def _features(self, samples: NDArray[np.int16], settings: Any) -> NDArray[Any]:
        """Return the features [n, frames, channels] of the clips without their warm-up."""
        from mltk.frontend.generator import AudioFeatureGenerator
        from mltk.frontend.quantize import to_int8

        if self._frontend is None:
            self._frontend = AudioFeatureGenerator(settings)
        # The dynamic scale of int8 looks at a whole spectrogram: at what the warm-up leaves of it, as the
        # device does.
        frames = self.frontend_settings.spectrogram_shape[0]
        features = self._frontend.process_batch(samples, np.uint16)[:, -frames:]
        if self.dtype == "int8":
            return np.asarray(to_int8(features, self.frontend_settings))
        return np.asarray(features, dtype=self.dtype)

    def _normalized(self, features: NDArray[Any]) -> NDArray[Any]:
        if not self.is_normalized:
            return features
        x = features.astype(np.float32)
        if self.center:
            x -= x.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
        if self.scale:
            x /= x.std(axis=(1, 2), keepdims=True, dtype=np.float32) + np.float32(1e-6)
        if self.rescale is not None:
            x *= np.float32(self.rescale)
        return x
