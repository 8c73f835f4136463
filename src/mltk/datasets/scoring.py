"""Every clip of a folder with the class that a model should find in it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mltk.datasets.folder import (
    BACKGROUND_NOISE,
    SILENCE,
    UNKNOWN,
    check_folder,
    find_audio_files,
    find_clips,
    missing_class_error,
)
from mltk.datasets.manifest import read_speakers
from mltk.datasets.selection import Clip, check_classes
from mltk.datasets.split import speaker_of
from mltk.utils.logging import get_mltk_logger


@dataclass(frozen=True, slots=True)
class ScoringClips:
    """The clips of a folder that a model can be scored on.

    Attributes:
        classes: the model's classes.
        clips: every clip with its class, in the order of the sub-folders' names.
        left_out: sub-folder -> number of its clips that no class of the model stands for.

    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    left_out: dict[str, int]

    def counts(self) -> dict[str, int]:
        """Return class -> number of clips, in the order of the classes."""
        numbers = [0] * len(self.classes)
        for clip in self.clips:
            numbers[clip.class_id] += 1
        return dict(zip(self.classes, numbers, strict=True))


def clips_for_scoring(directory: str | os.PathLike[str], classes: Sequence[str]) -> ScoringClips:
    """Give every clip of a folder the class that a model should find in it.

    A sub-folder with a class's name holds that class. The clips of other sub-folders are `_unknown_` and the
    files in `_background_noise_` are `_silence_` if the model has such a class; else they are left out, and
    the logger says so.

    Args:
        directory: a folder with one sub-folder per word.
        classes: the model's classes; some may have no clips.

    Raises:
        DatasetError: the folder can not be used, or it has no clip for any of the classes.

    """
    check_classes(classes)
    root = check_folder(directory)
    speakers = read_speakers(root)
    clips: list[Clip] = []
    left_out: dict[str, int] = {}
    for word, paths in _folders(root).items():
        name = _class_of(word, classes)
        if name is None:
            left_out[word] = len(paths)
            continue
        for path in paths:
            relative = path.relative_to(root).as_posix()
            speaker = speakers.get(relative) or speaker_of(relative)
            clips.append(Clip(str(path), classes.index(name), len(clips), speaker))
    if not clips:
        raise missing_class_error(classes[0], root, left_out)
    if left_out:
        told = ", ".join(f"{word} ({count})" for word, count in left_out.items())
        get_mltk_logger().warning("Left out clips that no class of the model stands for: %s", told)
    return ScoringClips(tuple(classes), tuple(clips), left_out)


def _folders(root: Path) -> dict[str, list[Path]]:
    """Return sub-folder -> its clips; noise alone will do, there need be no words."""
    noise = find_audio_files(root / BACKGROUND_NOISE) if (root / BACKGROUND_NOISE).is_dir() else []
    has_words = any(entry.is_dir() and entry.name != BACKGROUND_NOISE for entry in root.iterdir())
    folders = find_clips(root) if has_words or not noise else {}
    return {**folders, BACKGROUND_NOISE: noise} if noise else folders


def _class_of(word: str, classes: Sequence[str]) -> str | None:
    """Return the class that a sub-folder's clips belong to."""
    if word in classes:
        return word
    fallback = {BACKGROUND_NOISE: SILENCE, SILENCE: None}.get(word, UNKNOWN)
    return fallback if fallback in classes else None
