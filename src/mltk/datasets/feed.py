"""The training feed: clips in, batches of features out, with the reference toolkit's names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mltk.audio.augment import Augmentation
from mltk.audio.stretch import has_stretch_library
from mltk.datasets.feed_epochs import Feed
from mltk.datasets.feed_recipe import ClipLike, Recipe
from mltk.datasets.feed_workers import worker_count
from mltk.utils.errors import DatasetError, MissingExtraError
from mltk.utils.text import suggestion

__all__ = ["Feed", "ParallelAudioDataGenerator"]

_DTYPES = ("int8", "uint16", "float32")
_Range = tuple[float, float] | None


@dataclass(kw_only=True, eq=False)
class ParallelAudioDataGenerator:
    """How recordings become batches of features: what is varied, how it is scaled, by how many workers.

    The names and defaults are those of the reference toolkit; `resample_range`,
    `warmup_ms`, `partial_words` and `seed` are ours. Every range is
    (low, high) of a uniform distribution and None leaves that property alone; `Augmentation` tells each one.

    Attributes:
        frontend_settings: `AudioFeatureGeneratorSettings`; its sample_length_ms is the clips' length.
            Required.
        dtype: of the frontend's features: int8, uint16 or float32 (a name, or a NumPy or TensorFlow dtype).
        cores: worker processes: a number of them, or as a float up to 1.0 the share of the processors.
        debug: make the batches in this process, so that a debugger can step through.
        max_batches_pending: how many batches are made ahead.
        validation_split: share of the speakers that is kept for validation.
        validation_augmentation_enabled: vary validation clips too, the same way every epoch. Otherwise they
            are trimmed and sit at the middle of `offset_range`; silence always gets noise.
        samplewise_center: subtract each spectrogram's mean. The features are float32 then.
        samplewise_std_normalization: centre, and divide each spectrogram by its standard deviation + 1e-6.
        rescale: multiply the features by this, after the above.
        unknown_class_percentage: clips of `_unknown_`, as a share of the smallest other class.
        silence_class_percentage: the same for `_silence_`, whose clips are made of background noise.
        offset_range, trim_threshold_db, noise_colors, noise_color_range, loudness_range, speed_range,
            pitch_range, vtlp_range, resample_range, equalizer_db, bg_noise_range: see `Augmentation`.
        bg_noise_dir: folder of background noises, below the data set's folder or an own path.
        warmup_ms: noise before each training clip whose features are dropped: up to so much, another length
            each time, so that the noise reduction and gain control are met in every state between that of a
            single clip and that of a running stream.
        partial_words: train with beginnings and ends of the words as `_unknown_` (see `select_clips`).
        seed: used where `feed` is not given one.

    Raises:
        DatasetError: a keyword or attribute is misspelt (the message suggests the right one) or out of range.
        AudioError: a range of the augmentation is out of its limits.

    """

    frontend_settings: Any = None
    dtype: Any = "float32"
    cores: float = 0.25
    debug: bool = False
    max_batches_pending: int = 4
    validation_split: float = 0.0
    validation_augmentation_enabled: bool = True
    samplewise_center: bool = False
    samplewise_std_normalization: bool = False
    rescale: float | None = None
    unknown_class_percentage: float = 1.0
    silence_class_percentage: float = 0.6
    offset_range: _Range = (0.0, 1.0)
    trim_threshold_db: float | None = 20
    noise_colors: Sequence[str] | str | None = None
    noise_color_range: _Range = None
    loudness_range: _Range = None
    speed_range: _Range = None
    resample_range: _Range = None
    pitch_range: _Range = None
    vtlp_range: _Range = None
    equalizer_db: float | None = None
    bg_noise_range: _Range = None
    bg_noise_dir: str | None = None
    warmup_ms: int = 0
    partial_words: bool = False
    seed: int = 42

    def __new__(cls, *args: Any, **settings: Any) -> "ParallelAudioDataGenerator":
        """Refuse what is not a setting before the fields are filled."""
        if args:
            raise DatasetError("ParallelAudioDataGenerator takes keywords only, such as cores=0.5")
        for name in settings:
            cls._require_name(name)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if self.frontend_settings is None:
            raise DatasetError(
                "ParallelAudioDataGenerator needs frontend_settings, an AudioFeatureGeneratorSettings"
            )
        if self.samplewise_std_normalization:
            self.samplewise_center = True
        self._dtype_name()
        worker_count(self.cores)
        self._require("max_batches_pending", self.max_batches_pending >= 1, "1 or more")
        self._require("validation_split", 0.0 <= self.validation_split < 1.0, "0 up to, but not, 1")
        self._require("warmup_ms", 0 <= self.warmup_ms <= 60_000, "0 to 60000")
        self._require("rescale", self.rescale is None or np.isfinite(self.rescale), "a finite number or None")
        for name in ("unknown_class_percentage", "silence_class_percentage"):
            self._require(name, 0.0 <= getattr(self, name) < np.inf, "0 or more")
        self.augmentation  # noqa: B018 - building it checks the ranges

    def __setattr__(self, name: str, value: Any) -> None:
        self._require_name(name)
        super().__setattr__(name, value)

    @classmethod
    def _require_name(cls, name: str) -> None:
        known = [field.name for field in fields(cls)]
        if name not in known:
            raise DatasetError(f"ParallelAudioDataGenerator has no setting '{name}'{suggestion(name, known)}")

    def _require(self, name: str, holds: bool, legal: str) -> None:
        if not holds:
            raise DatasetError(f"{name} must be {legal}, not {getattr(self, name)!r}")

    def _dtype_name(self) -> str:
        try:
            name = str(np.dtype(getattr(self.dtype, "as_numpy_dtype", self.dtype)).name)
        except TypeError:
            name = repr(self.dtype)
        if name not in _DTYPES:
            raise DatasetError(f"dtype must be one of {', '.join(_DTYPES)}, not {name}")
        return name

    @property
    def augmentation(self) -> Augmentation:
        """What is varied, checked.

        Raises:
            AudioError: a range is out of its limits.

        """
        shared = {field.name: getattr(self, field.name) for field in fields(Augmentation)}
        return Augmentation(**{**shared, "noise_colors": self.noise_colors or ()})

    def feed(
        self,
        clips: Sequence[ClipLike],
        noise_paths: Sequence[str] = (),
        spare_clips: Sequence[ClipLike] = (),
        *,
        n_classes: int,
        batch_size: int = 32,
        training: bool = True,
        seed: int | None = None,
        shuffle: bool = True,
        max_batches: int | None = None,
        sample_shape: tuple[int, ...] | None = None,
    ) -> Feed:
        """Make the batches of one subset.

        Args:
            clips: `mltk.datasets.selection.Clip`; a clip without a path is generated silence.
            noise_paths: background noise files, read when needed.
            spare_clips: more clips of classes that `clips` has, of which each training epoch draws others.
            n_classes: width of the one-hot labels.
            batch_size: clips in a batch.
            training: vary the clips and their order, anew every epoch. Otherwise every epoch is the same.
            seed: 0 or more; with the epoch and a clip's index it decides all that is random.
            shuffle: False keeps the clips' order in training.
            max_batches: batches of an epoch at most.
            sample_shape: the shape that the model takes; the values stay in their order, frame by frame.
                None: (frames, channels, 1).

        Returns:
            A `Feed`: iterate over it for an epoch's (x, y), `len()` is the batches of an epoch, `close()`
            ends its workers.

        Raises:
            DatasetError: a number or a clip's class is out of range, or the shape does not fit the frontend's.
            FrontendError: the frontend's settings are illegal.
            MissingExtraError: speed or pitch vary and the extra 'train' is not installed.

        """
        self.__post_init__()
        self.frontend_settings.validate()
        frames, channels = self.frontend_settings.spectrogram_shape
        if sample_shape is not None and math.prod(sample_shape) != frames * channels:
            raise DatasetError(
                f"The model takes samples of shape {'x'.join(map(str, sample_shape))}, but the frontend makes "
                f"{frames}x{channels} features: set input_shape to the frontend's spectrogram_shape and a 1"
            )
        augmentation = self.augmentation
        if not training and not self.validation_augmentation_enabled:
            augmentation = augmentation.without_variation()
        if augmentation.needs_stretch and not has_stretch_library():
            raise MissingExtraError("train", "Changing speed or pitch (speed_range, pitch_range)")
        chosen_seed = self.seed if seed is None else seed
        if chosen_seed < 0:
            raise DatasetError(f"seed must be 0 or more, not {chosen_seed}")
        recipe = Recipe(
            frontend_settings=self.frontend_settings.copy(),
            dtype=self._dtype_name(),
            augmentation=augmentation,
            n_classes=n_classes,
            noise_paths=tuple(str(path) for path in noise_paths),
            seed=chosen_seed,
            center=self.samplewise_center,
            scale=self.samplewise_std_normalization,
            rescale=self.rescale,
            warmup_ms=self.warmup_ms if training else 0,
            sample_shape=sample_shape,
        )
        return Feed(
            recipe,
            clips,
            spare_clips,
            batch_size=batch_size,
            training=training,
            shuffle=shuffle,
            max_batches=max_batches,
            n_workers=0 if self.debug else worker_count(self.cores),
            max_pending=self.max_batches_pending,
        )
