"""`load_audio_directory`: the clips of a folder and their labels as two tf.data.Datasets."""

import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.datasets.folder import (
    AUDIO_EXTENSIONS,
    SILENCE,
    UNKNOWN,
    check_folder,
    find_clips,
    missing_class_error,
)
from mltk.datasets.split import speaker_of, stable_shuffle
from mltk.datasets.tf_dataset_failures import kept_failures
from mltk.utils.errors import DatasetError
from mltk.utils.path import user_dir

Split = tuple[float, float]
ListFunction = Callable[..., tuple[str, Sequence[str]]]

_SILENCE_RATE_HZ = 16000
_DEFAULT_SEED = 42


def load_audio_directory(
    directory: str | os.PathLike[str],
    classes: Sequence[str],
    unknown_class_percentage: float | None = 1.0,
    silence_class_percentage: float | None = 1.0,
    class_counts: MutableMapping[str, int] | None = None,
    onehot_encode: bool = False,
    shuffle: bool = False,
    seed: int | None = None,
    split: Split | None = None,
    max_samples_per_class: int = -1,
    sample_rate_hz: int | None = None,
    return_audio_data: bool = False,
    return_audio_sample_rate: bool = False,
    white_list_formats: Iterable[str] | None = None,
    follow_links: bool = False,
    shuffle_index_directory: str | None = None,
    list_valid_filenames_in_directory_function: ListFunction | None = None,
    process_samples_function: Callable[..., None] | None = None,
) -> tuple[Any, Any]:
    """List the clips of a folder with one sub-folder per class (historical MLTK function).

    The same files and arguments give the same samples in the same order on every machine, every time the data
    sets are read. With a `split`, a speaker (told by the file's name, see `split.speaker_of`) is on one side
    of it for all classes.

    Args:
        directory: the folder.
        classes: names of sub-folders; `_unknown_` stands for clips of all sub-folders that are no class, `_silence_`
            for one second of zeros.
        unknown_class_percentage: clips of `_unknown_`, as a multiple of the smallest other class; fewer if there
            are not as many. 0 or None: none, which is what a `process_samples_function` that adds them wants.
        silence_class_percentage: the same for `_silence_`.
        class_counts: a dict that is filled: class -> number of samples.
        onehot_encode: labels as one-hot int32 [n_classes] instead of int32 class ids.
        shuffle: mix the classes; otherwise they come one after the other.
        seed: of the order and of the choice of `_unknown_` clips; 42 if None.
        split: part of the speakers as fractions, such as (0, 0.1) and (0.1, 1). None: all.
        max_samples_per_class: upper limit for each class; -1: none. What `process_samples_function` adds is not
            limited.
        sample_rate_hz: with `return_audio_data`: resample to this rate. None: as recorded.
        return_audio_data: give the clips' samples, float32 [n] in [-1, 1], instead of their paths.
        return_audio_sample_rate: with that: give (samples, rate in Hz as int32).
        white_list_formats: endings of the files' names, such as ('.wav',). None: WAV, FLAC, OGG and MP3.
        follow_links: for your own list function; this one follows links always.
        shuffle_index_directory: for your own list function; this one keeps no index.
        list_valid_filenames_in_directory_function: called for each class that is a sub-folder with the keywords
            base_directory, search_class, white_list_formats (a tuple), split, follow_links and
            shuffle_index_directory; returns (search_class, paths relative to base_directory).
        process_samples_function: called at the end with the keywords directory, sample_paths (class -> list of
            relative paths, to be changed in place), split, follow_links, white_list_formats, shuffle and seed.
            An empty path stays an empty text: a sample that is filled in later.

    Returns:
        (features, labels): data sets of paths (or samples) and of labels, of the same length and order.

    Raises:
        DatasetError: there is no such folder, a class has no clips in it or in this part of the split, or the
            split is not a pair of fractions in order. A clip that can not be read is an AudioError, when it is
            read.

    """
    root = check_folder(directory)
    names = _checked_classes(classes)
    listing = _Listing(
        root=root,
        classes=names,
        formats=tuple(ending.lower() for ending in white_list_formats or AUDIO_EXTENSIONS),
        split=_checked_split(split),
        follow_links=follow_links,
        shuffle_index_directory=shuffle_index_directory,
        seed=_DEFAULT_SEED if seed is None else seed,
        limit=max_samples_per_class,
        list_function=list_valid_filenames_in_directory_function,
    )
    paths = listing.paths(unknown_class_percentage or 0.0, silence_class_percentage or 0.0, sample_rate_hz)
    if process_samples_function is not None:
        process_samples_function(
            directory=str(directory),
            sample_paths=paths,
            split=split,
            follow_links=follow_links,
            white_list_formats=listing.formats,
            shuffle=shuffle,
            seed=seed,
            **_further(process_samples_function, classes=list(names)),
        )
    _check_samples(paths, names, root, split)
    if class_counts is not None:
        class_counts.update({name: len(paths.get(name, ())) for name in names})
    files = [_full(root, path) for name in names for path in paths.get(name, ())]
    labels = np.repeat(np.arange(len(names), dtype=np.int32), [len(paths.get(name, ())) for name in names])
    order = np.random.default_rng(listing.seed).permutation(len(files)) if shuffle else np.arange(len(files))
    features = _features([files[index] for index in order])
    if return_audio_data:
        features = _read(features, sample_rate_hz, return_audio_sample_rate)
    return features, _labels(labels[order], len(names) if onehot_encode else 0)


@dataclass(frozen=True)
class _Listing:
    """How the clips are listed."""

    root: Path
    classes: tuple[str, ...]
    formats: tuple[str, ...]
    split: Split | None
    follow_links: bool
    shuffle_index_directory: str | None
    seed: int
    limit: int
    list_function: ListFunction | None

    def paths(self, unknown: float, silence: float, rate_hz: int | None) -> dict[str, list[str]]:
        """Return class -> paths relative to the folder."""
        words = [name for name in self.classes if name not in (UNKNOWN, SILENCE)]
        found = self._by_function(words, unknown) if self.list_function else self._by_speaker(words, unknown)
        smallest = min((len(found[name]) for name in words), default=0)
        if UNKNOWN in self.classes:
            others = sorted(path for name, clips in found.items() if name not in words for path in clips)
            wanted = round(unknown * smallest)
            found[UNKNOWN] = self._limited(stable_shuffle(others, str, self.seed)[:wanted])
        if SILENCE in self.classes:
            wanted = round(silence * smallest)
            found[SILENCE] = [_silence_file(rate_hz or _SILENCE_RATE_HZ)] * wanted if wanted else []
        return {name: found[name] for name in self.classes}

    def _by_function(self, words: list[str], unknown: float) -> dict[str, list[str]]:
        names = list(words)
        if UNKNOWN in self.classes and unknown:
            names += [name for name in find_clips(self.root) if name not in self.classes]
        found = {}
        for name in names:
            _, paths = self.list_function(  # type: ignore[misc]
                base_directory=self.root.as_posix(),
                search_class=name,
                white_list_formats=self.formats,
                split=self.split,
                follow_links=self.follow_links,
                shuffle_index_directory=self.shuffle_index_directory,
            )
            found[name] = self._limited(list(paths)) if name in words else list(paths)
        return found

    def _by_speaker(self, words: list[str], unknown: float) -> dict[str, list[str]]:
        every = {
            name: [clip for clip in clips if clip.name.lower().endswith(self.formats)]
            for name, clips in find_clips(self.root).items()
        }
        for name in words:
            if not every.get(name):
                raise missing_class_error(name, self.root, (key for key, clips in every.items() if clips))
        kept = self._speakers_of_split(every)
        found = {}
        for name, clips in every.items():
            if name not in words and not (UNKNOWN in self.classes and unknown):
                continue
            chosen = [
                clip.relative_to(self.root).as_posix()
                for clip in clips
                if kept is None or speaker_of(clip) in kept
            ]
            found[name] = self._limited(stable_shuffle(chosen, str, self.seed)) if name in words else chosen
        return found

    def _speakers_of_split(self, every: dict[str, list[Path]]) -> set[str] | None:
        """Return the speakers of this part: in a shuffled order, those whose first clip lies in it."""
        if self.split is None:
            return None
        clips_of = Counter(speaker_of(clip) for clips in every.values() for clip in clips)
        start, stop = self.split
        kept, before, total = set(), 0, clips_of.total()
        # By the file's name: the folder's own place must not change the split.
        for speaker in stable_shuffle(
            clips_of, lambda speaker: speaker.removeprefix(self.root.as_posix()), 0
        ):
            if start <= before / total < stop:
                kept.add(speaker)
            before += clips_of[speaker]
        return kept

    def _limited(self, paths: list[str]) -> list[str]:
        return paths if self.limit < 0 else paths[: self.limit]


def _checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    names = tuple(classes)
    if isinstance(classes, str) or not names or len(set(names)) != len(names):
        raise DatasetError(f"classes must be a list of different names, not {classes!r}")
    return names


def _checked_split(split: Any) -> Split | None:
    if split is None:
        return None
    try:
        start, stop = (float(part) for part in split)
    except (TypeError, ValueError):
        start, stop = 1.0, 0.0
    if not 0.0 <= start < stop <= 1.0:
        raise DatasetError(
            f"The split {split!r} is not a pair of fractions in order: use values such as (0, 0.15)"
        )
    return start, stop


def _further(function: Callable[..., Any], **more: Any) -> dict[str, Any]:
    """Return the arguments that a user's function takes by **kwargs."""
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    return {key: value for key, value in more.items() if takes_all or key in {p.name for p in parameters}}


def _check_samples(
    paths: dict[str, list[str]], names: tuple[str, ...], root: Path, split: Split | None
) -> None:
    for name in paths:
        if name not in names:
            raise DatasetError(
                f'process_samples_function added samples of "{name}", which is no class: there are {", ".join(names)}'
            )
    part = f" in the part {split} of the speakers" if split else ""
    for name in names:
        if name not in (UNKNOWN, SILENCE) and not paths.get(name):
            raise DatasetError(
                f'The class "{name}" has no clips in {root}{part}: add recordings of other speakers'
            )
    if not any(paths.values()):
        raise DatasetError(f"The folder {root} gave no samples{part}: check the classes {', '.join(names)}")


def _full(root: Path, path: str) -> str:
    return (root / path).as_posix() if path else ""


def _silence_file(rate_hz: int) -> str:
    """Return a WAV file of one second of zeros in the user's folder."""
    path = user_dir() / "silence" / f"silence_{rate_hz}hz.wav"
    if not path.is_file():
        from mltk.audio.write import write_audio_file

        write_audio_file(path, np.zeros(rate_hz, np.int16), rate_hz)
    return path.as_posix()


def _features(files: list[str]) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(np.array([os.fsencode(file) for file in files], dtype=object))


def _labels(labels: NDArray[np.int32], n_classes: int) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(
        np.eye(n_classes, dtype=np.int32)[labels] if n_classes else labels
    )


def _read(paths: Any, rate_hz: int | None, with_rate: bool) -> Any:
    """Turn a data set of paths into one of samples."""
    import tensorflow as tf

    from mltk.audio.read import read_audio_file
    from mltk.audio.resample import resample

    def read(path: bytes) -> tuple[NDArray[np.float32], np.int32]:
        with kept_failures():
            sample, rate = read_audio_file(path, return_numpy=True, return_sample_rate=True)
            if rate_hz is None or rate == rate_hz:
                return sample, np.int32(rate)
            return resample(sample, orig_sr=rate, target_sr=rate_hz).astype(np.float32), np.int32(rate_hz)

    def shaped(path: Any) -> Any:
        sample, rate = tf.numpy_function(read, [path], (tf.float32, tf.int32))
        sample.set_shape([None])
        rate.set_shape([])
        return (sample, rate) if with_rate else sample

    return paths.map(shaped, num_parallel_calls=tf.data.AUTOTUNE)
