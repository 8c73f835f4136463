"""Data from a folder of recordings, augmented and turned into features while the model trains."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltk.models.dataset import Batches, LoadedDataset
from mltk.models.mixins.dataset import DatasetMixin, accepted_arguments
from mltk.utils.errors import ModelError

if TYPE_CHECKING:
    from mltk.datasets.selection import Clip


class AudioDatasetMixin(DatasetMixin):
    """A folder with one sub-folder of clips per word, read by `datagen`.

    Attributes:
        dataset: the folder's path, a module or object with `load_data() -> path` (which may download it; one that
            takes `test` is told whether a dry run needs it), or an `MltkDataset` that loads everything itself.
        datagen: an `mltk.core.preprocess.audio.parallel_generator.ParallelAudioDataGenerator`.

    """

    datagen: Any = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample: what was set, else (frames, channels, 1) of the frontend.

        Raises:
            ModelError: it was not set and there is no datagen.

        """
        if self._input_shape is not None:
            return self._input_shape
        frames, channels = self.frontend_settings.spectrogram_shape
        return (int(frames), int(channels), 1)

    @input_shape.setter
    def input_shape(self, value: tuple[int, ...]) -> None:
        self._input_shape = value

    @property
    def frontend_settings(self) -> Any:
        """The frontend's settings, those of `datagen`.

        Raises:
            ModelError: there is no datagen.

        """
        if self.datagen is None:
            raise ModelError(f"The model {self.name} has no datagen: assign a ParallelAudioDataGenerator")
        return self.datagen.frontend_settings

    def load_dataset(
        self,
        subset: str = "training",
        test: bool = False,
        dataset_dir: str | None = None,
        seed: int = 42,
        max_samples_per_class: int | None = None,
    ) -> LoadedDataset:
        """Choose the clips and start the workers that read, augment and turn them into features.

        Args:
            subset: 'training' (gives training and validation batches) or 'evaluation' (validation batches
                only).
            test: a dry run: at most one batch of each class.
            dataset_dir: take the clips from this folder, not from `dataset`. An evaluation then scores all
                of its clips; without it, the speakers that the training kept apart.
            seed: seeds the split, the choice of clips, their order and the augmentation.
            max_samples_per_class: upper limit for each class in each subset.

        Raises:
            ModelError: no folder or no datagen is set.
            DatasetError: the folder can not be used.

        """
        if callable(getattr(self.dataset, "load_dataset", None)) and dataset_dir is None:
            return super().load_dataset(subset, test, None, seed, max_samples_per_class)
        limit = max_samples_per_class or (self.batch_size if test or self.test_mode_enabled else -1)
        if subset != "training" and dataset_dir is not None:
            return self._keep(self._load_all(dataset_dir, limit, seed))
        return self._keep(self._load_split(self.dataset_directory(dataset_dir), subset, limit, seed))

    def dataset_directory(self, override: str | os.PathLike[str] | None = None) -> Path:
        """Return the folder of the recordings; a data set that has to be downloaded is downloaded.

        Raises:
            ModelError: `dataset` names no folder.

        """
        source = self.dataset if override is None else override
        load_data = getattr(source, "load_data", None)
        if callable(load_data):
            source = load_data(**accepted_arguments(load_data, {"test": self.test_mode_enabled}))
        if isinstance(source, str | os.PathLike):
            return Path(source).expanduser()
        raise ModelError(
            f"The model {self.name} has no recordings: give a folder with one sub-folder per word "
            "(--dataset DIR), or set the attribute 'dataset' to its path or to a data set's module"
        )

    def frontend_parameters(self) -> dict[str, Any]:
        """Return what the .tflite tells about the features: their scaling, then every 'fe.*' setting."""
        if self.datagen is None:
            return {}
        mean_and_std = self.datagen.samplewise_center and self.datagen.samplewise_std_normalization
        parameters: dict[str, Any] = {
            "samplewise_norm.rescale": float(self.datagen.rescale or 0.0),
            "samplewise_norm.mean_and_std": bool(mean_and_std),
        }
        parameters.update(self.frontend_settings)
        return parameters

    def _load_split(self, directory: Path, subset: str, limit: int, seed: int) -> LoadedDataset:
        from mltk.datasets.selection import select_clips

        generator = self.checked_datagen()
        selection = select_clips(
            directory,
            self.classes,
            validation_split=generator.validation_split,
            unknown_class_percentage=generator.unknown_class_percentage,
            silence_class_percentage=generator.silence_class_percentage,
            background_noise_dir=generator.bg_noise_dir,
            partial_words=generator.partial_words,
            seed=seed,
            max_samples_per_class=limit,
        )
        self.class_counts["training"] = selection.counts("training")
        self.class_counts["validation"] = selection.counts("validation")
        training = None
        if subset == "training":
            training = self._feed(
                selection.training, selection.noise_training, True, seed, selection.spare_training
            )
        validation = self._feed(selection.validation, selection.noise_validation, False, seed)
        return LoadedDataset(training, validation, self.class_counts, self._weights_by_index())

    def _load_all(self, directory: str, limit: int, seed: int) -> LoadedDataset:
        from mltk.datasets.scoring import clips_for_scoring

        scoring = clips_for_scoring(directory, self.classes)
        clips = _limited(scoring.clips, limit, seed)
        numbers = Counter(clip.class_id for clip in clips)
        self.class_counts["evaluation"] = {label: numbers[index] for index, label in enumerate(self.classes)}
        return LoadedDataset(None, self._feed(clips, (), False, seed), self.class_counts)

    def _feed(
        self,
        clips: "tuple[Clip, ...]",
        noise: tuple[str, ...],
        training: bool,
        seed: int,
        spare: "tuple[Clip, ...]" = (),
    ) -> Batches | None:
        if not clips:
            return None
        feed: Batches = self.checked_datagen().feed(
            clips,
            noise,
            spare,
            training=training,
            batch_size=self.batch_size,
            n_classes=self.n_classes,
            seed=seed,
            sample_shape=self.input_shape,
        )
        return feed

    def checked_datagen(self) -> Any:
        """Return `datagen`.

        Raises:
            ModelError: there is none.

        """
        if self.datagen is None:
            raise ModelError(f"The model {self.name} has no datagen: assign a ParallelAudioDataGenerator")
        return self.datagen


def _limited(clips: "tuple[Clip, ...]", limit: int, seed: int) -> "tuple[Clip, ...]":
    """Keep at most `limit` clips of each class, drawn from all of its sub-folders; all for -1."""
    if limit < 0:
        return clips
    from mltk.datasets.split import stable_shuffle

    numbers: Counter[int] = Counter()
    kept = []
    for clip in stable_shuffle(clips, lambda clip: f"{clip.class_id}/{Path(clip.path or '').name}", seed):
        numbers[clip.class_id] += 1
        if numbers[clip.class_id] <= limit:
            kept.append(clip)
    return tuple(kept)
