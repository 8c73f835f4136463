"""The clips: three parts that share no speaker, and the batches of each step.

The parts follow the rule of P. Warden, "Speech Commands", 2018 (arXiv:1804.03209): a hash of the speaker tells the part,
so a clip stays in its part whatever else is added, and with 10 % each they are the official ones of that data set.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.audio.augment import Augmentation, make_silence, random_noise
from mltk.audio.convert import to_float32
from mltk.datasets.feed_epochs import Feed
from mltk.datasets.feed_recipe import ClipCache, Item, Recipe
from mltk.datasets.folder import (
    BACKGROUND_NOISE,
    SILENCE,
    UNKNOWN,
    find_audio_files,
    find_clips,
    missing_class_error,
)
from mltk.datasets.manifest import read_speakers
from mltk.datasets.selection import Clip
from mltk.datasets.split import speaker_of, stable_shuffle
from mltk.training.speech_commands.features import compute_features, fit_length
from mltk.training.speech_commands.settings import DataSettings, FeatureSettings, TrainSettings
from mltk.utils.errors import DatasetError

PARTS = ("training", "validation", "testing")
_MOST_A_CLASS = 2**27 - 1  # the data set's own figure
_CHOICE_SEED = 59185  # the parts hold the same clips whatever the training's seed


def part_of(speaker: str, validation_percentage: float, testing_percentage: float) -> str:
    """Return the part that a speaker's clips are in: 'training', 'validation' or 'testing'.

    Args:
        speaker: what stands before `_nohash_` in the file's name, else the whole name.
        validation_percentage: share of the speakers that validates.
        testing_percentage: share of the speakers that tests.

    """
    number = int(
        hashlib.sha1(speaker.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest(), 16
    )
    percentage = number % (_MOST_A_CLASS + 1) * (100.0 / _MOST_A_CLASS)
    if percentage < validation_percentage:
        return "validation"
    return "testing" if percentage < validation_percentage + testing_percentage else "training"


@dataclass(frozen=True)
class Parts:
    """The clips of a folder.

    Attributes:
        classes: the labels.
        clips: part -> its clips in a shuffled order; silence without a recording has no path.
        noise: background noises, of all parts.

    """

    classes: tuple[str, ...]
    clips: dict[str, tuple[Clip, ...]]
    noise: tuple[str, ...]

    def summary(self) -> str:
        """Return the number of clips of each class and part as a table."""
        rows = [["clips", *PARTS]]
        for class_id, name in enumerate(self.classes):
            counts = [sum(clip.class_id == class_id for clip in self.clips[part]) for part in PARTS]
            rows.append([name, *map(str, counts)])
        width = max(len(row[0]) for row in rows)
        return "\n".join(
            "  ".join([row[0].ljust(width), *(cell.rjust(10) for cell in row[1:])]) for row in rows
        )


def find_parts(classes: Sequence[str], settings: DataSettings) -> Parts:
    """Choose the clips of the three parts.

    A part gets all of its clips of the wanted words. `_unknown_` gets clips of all other sub-folders, and `_silence_` those of
    a folder of that name, then generated ones, each as many as the settings say or as there are.

    Args:
        classes: `_silence_`, `_unknown_`, then the wanted words.
        settings: the folder and the percentages.

    Raises:
        DatasetError: the folder can not be used, or a class has no clips to train with.

    """
    root = Path(settings.data_dir)
    folders = {word.lower(): paths for word, paths in find_clips(root).items()}
    for word in classes[2:]:
        if word.lower() not in folders:
            raise missing_class_error(word, root, folders)
    speakers = read_speakers(root)
    noise = root / BACKGROUND_NOISE
    found: dict[str, dict[str, list[tuple[str, str, str]]]] = {part: {} for part in PARTS}
    for word, paths in folders.items():
        label = word if word in (SILENCE, *map(str.lower, classes[2:])) else UNKNOWN
        for path in paths:
            name = path.relative_to(root).as_posix()
            speaker = speakers.get(name) or _speaker_of(path)
            part = part_of(speaker, settings.validation_percentage, settings.testing_percentage)
            found[part].setdefault(label, []).append((name, str(path), speaker))
    clips = {part: _choose(part, found[part], classes, settings) for part in PARTS}
    present = {clip.class_id for clip in clips["training"]}
    for class_id in range(2, len(classes)):
        if class_id not in present:
            raise DatasetError(
                f'The word "{classes[class_id]}" has no clips to train with in {root}, all are kept to validate and test: '
                "add clips of other speakers, or lower --validation_percentage and --testing_percentage"
            )
    return Parts(tuple(classes), clips, tuple(map(str, find_audio_files(noise))) if noise.is_dir() else ())


def _speaker_of(path: Path) -> str:
    """Return the speaker that a file's name tells; the name itself where it tells none."""
    speaker = speaker_of(path)
    return path.name if speaker == path.as_posix() else speaker


def _choose(
    part: str,
    found: dict[str, list[tuple[str, str, str]]],
    classes: Sequence[str],
    settings: DataSettings,
) -> tuple[Clip, ...]:
    """Return a part's clips: all of the words', then silence and unknown in proportion to them."""

    def shuffled(label: str) -> list[tuple[str, str, str]]:
        return stable_shuffle(found.get(label.lower(), []), lambda clip: clip[0], _CHOICE_SEED)

    words = [(class_id, clip) for class_id, word in enumerate(classes[2:], 2) for clip in shuffled(word)]
    n_silence = math.ceil(len(words) * settings.silence_percentage / 100)
    n_unknown = math.ceil(len(words) * settings.unknown_percentage / 100)
    silence: list[tuple[int, Any]] = [(0, clip) for clip in shuffled(SILENCE)[:n_silence]]
    silence += [(0, (f"{SILENCE}/{index}", None, "")) for index in range(n_silence - len(silence))]
    unknown = [(1, clip) for clip in shuffled(UNKNOWN)[:n_unknown]]
    order = stable_shuffle([*words, *silence, *unknown], lambda pair: f"{part}/{pair[1][0]}", _CHOICE_SEED)
    return tuple(
        Clip(path, class_id, index, speaker) for index, (class_id, (_, path, speaker)) in enumerate(order)
    )


@dataclass(slots=True)
class ClipRecipe(Recipe):
    """How a clip becomes a sample: moved in time, mixed with noise, made a spectrogram.

    Attributes:
        features: how it becomes one. Required.
        time_shift: samples by which it is moved at most.
        background_frequency: share of the clips that get noise.
        background_volume: its highest gain.

    """

    features: FeatureSettings | None = None
    time_shift: int = 0
    background_frequency: float = 0.0
    background_volume: float = 0.0

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """The features' dtype."""
        assert self.features is not None
        return np.dtype(np.int8 if self.features.quantize else np.float32)

    def make_sample(self, item: Item, epoch: int, length: int, cache: ClipCache) -> NDArray[np.float32]:
        """Return one clip, the warm-up before it included: float32 [length].

        What is random depends on the seed and the item's index alone.
        """
        del epoch
        rng = np.random.default_rng((self.seed, item.index))
        rate = self.frontend_settings.sample_rate_hz
        noises = [cache.samples(path, rate) for path in self._noise(rng)]
        if item.path is None:
            return make_silence(length, Augmentation(), rng, noises)
        # As large a number of draws for every clip: a setting that is switched off leaves the others' values.
        shift, chooses_noise, volume = rng.random(3)
        lead_in = length - self.frontend_settings.sample_length
        clip = fit_length(cache.get(item.path, rate), length - lead_in)
        clip = np.pad(_moved(clip, round((2 * shift - 1) * self.time_shift)), (lead_in, 0))
        if not noises or chooses_noise >= self.background_frequency or not self.background_volume:
            return to_float32(clip)
        noise = random_noise(length, noises, rng)
        clip = np.clip(clip + np.float32(volume * self.background_volume) * noise, -1.0, 1.0)
        # Digital silence leaves the frontend as it was made: a shorter warm-up in a row of the same length.
        clip[: rng.integers(lead_in + 1)] = 0.0
        return np.asarray(clip, np.float32)

    def _noise(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the one noise that a clip may get; only that is read."""
        place = int(rng.integers(1 << 31))
        return (self.noise_paths[place % len(self.noise_paths)],) if self.noise_paths else ()

    def _features(self, samples: NDArray[np.int16], settings: Any) -> NDArray[Any]:
        assert self.features is not None
        longer = replace(self.features, clip_duration_ms=settings.sample_length_ms)
        return compute_features(samples, longer)[:, -self.features.shape[0] :]


def _moved(clip: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """Return a clip that begins `by` samples later, zeros where nothing is left."""
    moved = np.zeros_like(clip)
    if by >= 0:
        moved[by:] = clip[: len(clip) - by]
    else:
        moved[:by] = clip[-by:]
    return moved


class StepFeed(Feed):
    """Training batches by step: each step's clips are drawn at random out of all, with their own random numbers.

    A batch depends on the seed and the number of its step, so a training that goes on from any step sees what it would have
    seen. An epoch is what lies between two validations.

    Args:
        recipe: how samples are made.
        clips: of the training part.
        batch_size: clips a step.
        steps: steps an epoch.
        offset: number of the step with which epoch 0 begins.
        n_workers: processes.

    """

    def __init__(
        self,
        recipe: Recipe,
        clips: Sequence[Clip],
        *,
        batch_size: int,
        steps: int,
        offset: int,
        n_workers: int,
    ) -> None:
        super().__init__(recipe, clips, batch_size=batch_size, training=True, n_workers=n_workers)
        self._n_batches = steps
        self._offset = offset

    def _items_of(self, epoch: int) -> list[Item]:
        return [item for step in self._steps(epoch) for item in self._drawn(step)]

    def _steps(self, epoch: int) -> range:
        first = self._offset + epoch * self._n_batches
        return range(first, first + self._n_batches)

    def _drawn(self, step: int) -> Iterator[Item]:
        places = np.random.default_rng((self.recipe.seed, step)).integers(
            len(self._items), size=self.batch_size
        )
        for number, place in enumerate(places):
            drawn = self._items[place]
            # An index of its own: a clip that is drawn again sounds different.
            yield Item(drawn.path, drawn.class_id, step * self.batch_size + number)


def make_recipe(
    parts: Parts, features: FeatureSettings, seed: int = _CHOICE_SEED, training: TrainSettings | None = None
) -> ClipRecipe:
    """Return how the clips of a folder become samples.

    Args:
        parts: the folder's clips.
        features: how to make spectrograms.
        seed: of what is random.
        training: what is varied; nothing without it, silence still gets its noise.

    """
    recipe = ClipRecipe(
        frontend_settings=features.frontend_settings,
        dtype="int8" if features.quantize else "float32",
        augmentation=Augmentation(),
        n_classes=len(parts.classes),
        noise_paths=parts.noise,
        seed=seed,
        features=features,
    )
    if training is not None:
        recipe.time_shift = int(training.time_shift_ms * features.sample_rate / 1000)
        recipe.background_frequency = training.background_frequency
        recipe.background_volume = training.background_volume
        # The other kinds of features know nothing of what was before a window.
        recipe.warmup_ms = training.warmup_ms if features.preprocess == "micro" else 0
    return recipe


def fixed_feed(
    parts: Parts, clips: Sequence[Clip], features: FeatureSettings, n_workers: int = 0, batch_size: int = 100
) -> Feed:
    """Return the batches of clips as they are, to measure with."""
    recipe = make_recipe(parts, features)
    return Feed(recipe, clips, batch_size=batch_size, training=False, n_workers=n_workers)
