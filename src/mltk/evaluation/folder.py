"""All clips of a folder as samples to score a model on."""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mltk.audio.read import read_audio_file
from mltk.audio.write import write_audio_file
from mltk.datasets.folder import BACKGROUND_NOISE, SILENCE, check_folder, find_audio_files
from mltk.datasets.scoring import clips_for_scoring
from mltk.datasets.selection import Clip
from mltk.evaluation.samples import Samples, collect
from mltk.models.mixins.audio_dataset import AudioDatasetMixin


def samples_of_folder(
    model: AudioDatasetMixin, directory: str | os.PathLike[str], per_class: int = -1
) -> Samples:
    """Turn every clip of a folder into features, as the model's `datagen` validates; nothing varies.

    Recordings in `_background_noise_` are cut into pieces as long as a clip; each piece is a `_silence_`.

    Args:
        model: tells the classes, the frontend's settings and how features are scaled.
        directory: a folder with one sub-folder per word; see `clips_for_scoring`.
        per_class: that many of each class at most, spread over its sub-folders; -1: all.

    Raises:
        DatasetError: the folder can not be used.
        AudioError: a recording can not be read.

    """
    root = check_folder(directory)
    noise = _background_noise(root) if SILENCE in model.classes else []
    words = _words(root, model.classes)
    generator = dataclasses.replace(model.checked_datagen(), validation_augmentation_enabled=False)
    with tempfile.TemporaryDirectory(prefix="mltk-noise-") as scratch:
        silence_id = model.classes.index(SILENCE) if noise else -1
        pieces = _cut(noise, silence_id, generator.frontend_settings, Path(scratch))
        # A piece of a recording is scored as it is: no trimming to its loud part.
        untrimmed = dataclasses.replace(generator, trim_threshold_db=None)
        parts = [
            _features(source, chosen, model)
            for source, chosen in (
                (generator, _spread(words, per_class)),
                (untrimmed, _spread(pieces, per_class)),
            )
            if chosen
        ]
    joined = Samples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))
    return joined.at_most(per_class)


def _background_noise(root: Path) -> list[Path]:
    folder = root / BACKGROUND_NOISE
    return find_audio_files(folder) if folder.is_dir() else []


def _words(root: Path, classes: Sequence[str]) -> list[Clip]:
    """Return all clips but the background noise."""
    clips = clips_for_scoring(root, classes).clips
    return [clip for clip in clips if not Path(str(clip.path)).is_relative_to(root / BACKGROUND_NOISE)]


def _features(generator: Any, clips: Sequence[Clip], model: AudioDatasetMixin) -> Samples:
    with generator.feed(
        clips,
        (),
        n_classes=model.n_classes,
        batch_size=64,
        training=False,
        sample_shape=model.input_shape,
    ) as feed:
        return collect(feed)


def _cut(noise: Sequence[Path], class_id: int, settings: Any, scratch: Path) -> list[Clip]:
    """Write the pieces of noise recordings as files; one that is shorter than a piece stays whole."""
    pieces: list[Clip] = []
    for recording in noise:
        samples, rate = read_audio_file(str(recording), return_sample_rate=True)
        length = max(1, round(settings.sample_length_ms * rate / 1000))
        for start in range(0, max(1, len(samples) - length + 1), length):
            path = scratch / f"{len(pieces)}.wav"
            write_audio_file(path, samples[start : start + length], rate)
            pieces.append(Clip(str(path), class_id, len(pieces), str(recording)))
    return pieces


def _spread(clips: Sequence[Clip], per_class: int) -> list[Clip]:
    """Keep at most `per_class` clips of each class, at equal distances in its list."""
    if per_class < 0:
        return list(clips)
    kept: list[Clip] = []
    for class_id in sorted({clip.class_id for clip in clips}):
        of_class = [clip for clip in clips if clip.class_id == class_id]
        count = min(per_class, len(of_class))
        kept += [of_class[index * len(of_class) // count] for index in range(count)]
    return kept
