"""Which clips train a model and which validate it: classes, `_unknown_`, `_silence_`, speakers, noise."""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mltk.datasets.folder import (
    BACKGROUND_NOISE,
    SILENCE,
    UNKNOWN,
    find_audio_files,
    find_clip_texts,
    missing_class_error,
)
from mltk.datasets.manifest import read_speakers
from mltk.datasets.split import speaker_of, stable_shuffle, validation_speakers
from mltk.utils.errors import DatasetError
from mltk.utils.logging import get_mltk_logger

Subset = Literal["training", "validation"]
SpeakerFunction = Callable[[str], str]

META_CLASSES = (UNKNOWN, SILENCE)


@dataclass(frozen=True, slots=True)
class Clip:
    """One sample of a data set.

    Attributes:
        path: the audio file, or None for silence that is generated (background noise goes over it).
        class_id: index into the selection's classes.
        index: the clip's number, unique over both subsets: with the run's seed it seeds this clip's
            augmentation.
        speaker: who speaks; a clip without a known speaker has its own, generated silence has "".
        partial: only the word's beginning or end is to be heard.

    """

    path: str | None
    class_id: int
    index: int
    speaker: str
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The clips of a training run. No speaker is in both subsets; each subset is in a shuffled order.

    Attributes:
        classes: the model's classes.
        training: clips to train with.
        validation: clips to measure with.
        noise_training: background noise files for training.
        noise_validation: background noise files for validation; the same single file where there is only one.
        spare_training: `_unknown_` clips of the training speakers beyond those that are wanted at a time; each
            epoch draws from them too. With `partial_words` the words' beginnings and ends are among them.

    """

    classes: tuple[str, ...]
    training: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    noise_training: tuple[str, ...]
    noise_validation: tuple[str, ...]
    spare_training: tuple[Clip, ...] = ()

    def counts(self, subset: Subset) -> dict[str, int]:
        """Return class -> number of clips, in the order of the classes."""
        numbers = [0] * len(self.classes)
        for clip in self._clips(subset):
            numbers[clip.class_id] += 1
        return dict(zip(self.classes, numbers, strict=True))

    def summary(self) -> str:
        """Return the class counts of both subsets, one line a class."""
        lines = []
        for subset in ("training", "validation"):
            counts = self.counts(subset)
            lines.append(
                f"{subset.capitalize()} dataset: Found {sum(counts.values())} samples "
                f"belonging to {len(counts)} classes:"
            )
            lines += [f"{name:>10} = {count}" for name, count in counts.items()]
        return "\n".join(lines)

    def class_weights(self, mode: Literal["balanced", "none"] = "balanced") -> dict[int, float]:
        """Return class index -> weight of its training clips in the loss.

        "balanced" makes every class count the same: n / (k * n_c) for n clips, k classes, n_c clips of the
        class (scikit-learn's rule). "none" gives 1 for each.

        Raises:
            DatasetError: the mode is unknown.

        """
        if mode not in ("balanced", "none"):
            raise DatasetError(f'The class weights are {mode!r}: use "balanced" or "none"')
        counts = list(self.counts("training").values())
        if mode == "none":
            return dict.fromkeys(range(len(counts)), 1.0)
        total = sum(counts)
        return {index: total / (len(counts) * count) if count else 0.0 for index, count in enumerate(counts)}

    def _clips(self, subset: Subset) -> tuple[Clip, ...]:
        if subset not in ("training", "validation"):
            raise DatasetError(f'There is no subset {subset!r}: use "training" or "validation"')
        return self.training if subset == "training" else self.validation


def select_clips(
    directory: str | os.PathLike[str],
    classes: Sequence[str],
    *,
    validation_split: float = 0.15,
    unknown_class_percentage: float = 1.0,
    silence_class_percentage: float = 0.6,
    background_noise_dir: str | None = BACKGROUND_NOISE,
    partial_words: bool = False,
    seed: int = 42,
    max_samples_per_class: int = -1,
    speaker_function: SpeakerFunction | None = None,
) -> Selection:
    """Choose the clips of a training run from a folder with one sub-folder per word.

    The same arguments and files give the same selection on every machine.

    Args:
        directory: the data set's folder.
        classes: the model's classes: names of sub-folders, and `_unknown_` and `_silence_` where wanted.
        validation_split: the part of the speakers' clips to validate with, 0 <= split < 1.
        unknown_class_percentage: number of `_unknown_` clips as a multiple of the mean number of the words'
            clips; fewer where there are not as many. The clips of a folder `_unknown_` come first, up to half
            of the number where other words can give the rest; those are drawn evenly over all sub-folders
            that are no class.
        silence_class_percentage: the same for `_silence_`: first the clips of a folder `_silence_`, then
            generated ones (path None).
        background_noise_dir: folder of noise files, relative to `directory` or absolute; None for no noise.
            The default folder may be missing, another one may not.
        partial_words: let the beginnings and ends of the words be `_unknown_` too in training: a running stream
            shows them, and a model that has only met whole words takes them for one.
        seed: another seed gives another split and other `_unknown_` clips.
        max_samples_per_class: upper limit for each class in each subset (dry runs); -1 for none.
        speaker_function: path of a clip -> speaker. Without it a manifest in the folder tells the speaker,
            and where that is silent the file's name (`split.speaker_of`).

    Raises:
        DatasetError: the folder can not be used, a class has no clips, an argument is out of its range, or
            all clips have one speaker, so that none are left to validate with.

    """
    _check_arguments(classes, unknown_class_percentage, silence_class_percentage, max_samples_per_class)
    root = Path(directory)
    source = _Source(root, classes, background_noise_dir, speaker_function)
    held_out = validation_speakers(source.clips_of_speakers(), validation_split, seed)
    draw = _Draw(source, unknown_class_percentage, silence_class_percentage, seed, max_samples_per_class)
    training = draw.subset("training", lambda speaker: speaker not in held_out)
    validation = draw.subset("validation", lambda speaker: speaker in held_out) if held_out else []
    _check_subsets(root, source, training, validation, validation_split)
    unknown = draw.unknown(lambda speaker: speaker not in held_out)
    taken = {clip.text for clip in training} if unknown else set()
    spare = [clip for clip in unknown if clip.text not in taken]
    first = len(training) + len(validation)
    partial = partial_words and UNKNOWN in classes and max_samples_per_class < 0
    noise_training, noise_validation = _split_noise(source.noise, validation_split, seed)
    return Selection(
        classes=tuple(classes),
        training=_numbered(training, 0),
        validation=_numbered(validation, len(training)),
        noise_training=noise_training,
        noise_validation=noise_validation,
        spare_training=_numbered(spare, first)
        + (_partial(training, classes, first + len(spare)) if partial else ()),
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A clip that may be drawn. There are as many as files, so no text is kept twice.

    Attributes:
        text: the path, or a name for silence that is generated.
        speaker: who speaks.
        start: where the name begins in the path; -1: there is no file.
        class_id: the class that it was drawn for.

    """

    text: str
    speaker: str
    start: int
    class_id: int = -1

    @property
    def path(self) -> str | None:
        """The file, or None."""
        return self.text if self.start >= 0 else None

    @property
    def name(self) -> str:
        """The path below the data set's folder: the same on every machine."""
        return self.text[self.start :].replace(os.sep, "/") if self.start >= 0 else self.text


@dataclass(slots=True)
class _Source:
    """All candidates of a data set, by what they may become."""

    root: Path
    classes: Sequence[str]
    noise_dir: str | None
    speaker_function: SpeakerFunction | None
    known: dict[str, list[_Candidate]] = field(init=False)
    others: dict[str, list[_Candidate]] = field(init=False)
    silence: list[_Candidate] = field(init=False)
    noise: list[Path] = field(init=False)
    _manifest: dict[str, str] = field(init=False)
    _speakers: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        words = find_clip_texts(self.root)
        self._manifest = {} if self.speaker_function else read_speakers(self.root)
        noise_folder = noise_folder_of(self.root, self.noise_dir)
        self.noise = find_audio_files(noise_folder) if noise_folder else []
        if noise_folder and noise_folder.parent == self.root:
            words.pop(noise_folder.name, None)
        self.known = {}
        for name in self.classes:
            if name not in META_CLASSES:
                if name not in words:
                    raise missing_class_error(name, self.root, words)
                self.known[name] = self._candidates(words[name])
        self.others = {}
        if UNKNOWN in self.classes:
            others = [name for name in words if name not in self.classes and name not in META_CLASSES]
            self.others = {
                name: self._candidates(words[name]) for name in [*others, UNKNOWN] if name in words
            }
            if not self.others:
                raise DatasetError(
                    f"The class {UNKNOWN} has no clips in {self.root}: add sub-folders with other words, "
                    f"or one with the name {UNKNOWN}"
                )
        self.silence = self._candidates(words.get(SILENCE, [])) if SILENCE in self.classes else []

    def _candidates(self, paths: Iterable[str]) -> list[_Candidate]:
        candidates = []
        above = str(self.root) + os.sep
        for path in paths:
            # Of 100,000 clips, cutting the text takes a tenth of the time that taking paths apart does.
            start = len(above)
            if not path.startswith(above):  # a root such as "."
                start = len(path) - len(str(Path(path).relative_to(self.root)))
            name = path[start:].replace(os.sep, "/")
            if self.speaker_function:
                speaker = str(self.speaker_function(path))
            else:
                speaker = self._manifest.get(name) or speaker_of(name)
            candidates.append(_Candidate(path, self._speakers.setdefault(speaker, speaker), start))
        return candidates

    def clips_of_speakers(self) -> dict[str, dict[str, int]]:
        """Return speaker -> class -> number of clips, for the split."""
        groups = dict(self.known)
        groups[UNKNOWN] = [clip for clips in self.others.values() for clip in clips]
        groups[SILENCE] = self.silence
        numbers: dict[str, dict[str, int]] = {}
        for name, clips in groups.items():
            for clip in clips:
                of_speaker = numbers.setdefault(clip.speaker, {})
                of_speaker[name] = of_speaker.get(name, 0) + 1
        return numbers


@dataclass(frozen=True, slots=True)
class _Draw:
    """Draws one subset's clips."""

    source: _Source
    unknown_percentage: float
    silence_percentage: float
    seed: int
    limit: int

    def subset(self, subset: Subset, belongs: Callable[[str], bool]) -> list[_Candidate]:
        def shuffled(clips: Iterable[_Candidate]) -> list[_Candidate]:
            mine = [clip for clip in clips if belongs(clip.speaker)]
            return stable_shuffle(mine, lambda clip: clip.name, self.seed)

        drawn = {name: shuffled(clips) for name, clips in self.source.known.items()}
        mean = sum(map(len, drawn.values())) / len(drawn)

        def share(percentage: float) -> int:
            """Return a meta class's size: at least one clip, so that tiny data sets keep the class."""
            return max(1, round(mean * percentage)) if mean * percentage > 0.0 else 0

        if UNKNOWN in self.source.classes:
            others = {name: shuffled(clips) for name, clips in self.source.others.items()}
            drawn[UNKNOWN] = _draw_unknown(others, share(self.unknown_percentage))
        if SILENCE in self.source.classes:
            number = share(self.silence_percentage)
            recorded = shuffled(self.source.silence)[:number]
            generated = [_Candidate(f"{subset}/{i}", "", -1) for i in range(number - len(recorded))]
            drawn[SILENCE] = recorded + generated
        chosen = [
            _Candidate(clip.text, clip.speaker, clip.start, class_id)
            for class_id, name in enumerate(self.source.classes)
            for clip in drawn[name][: self.limit if self.limit >= 0 else None]
        ]
        return stable_shuffle(chosen, lambda clip: f"{clip.class_id}/{clip.name}", self.seed)

    def unknown(self, belongs: Callable[[str], bool]) -> list[_Candidate]:
        """Return all `_unknown_` clips of the speakers, in a shuffled order; none in a dry run."""
        if UNKNOWN not in self.source.classes or self.limit >= 0 or self.unknown_percentage == 0.0:
            return []
        class_id = self.source.classes.index(UNKNOWN)
        clips = [
            _Candidate(clip.text, clip.speaker, clip.start, class_id)
            for others in self.source.others.values()
            for clip in others
            if belongs(clip.speaker)
        ]
        return stable_shuffle(clips, lambda clip: clip.name, self.seed)


def _draw_unknown(words: dict[str, list[_Candidate]], number: int) -> list[_Candidate]:
    """Take `number` clips, or all: up to half from the folder `_unknown_`, others evenly over the words."""
    labelled = words.pop(UNKNOWN, [])
    others = sum(map(len, words.values()))
    first = labelled[: max(math.ceil(number / 2), number - others)]
    quotas = _even_quotas([len(clips) for clips in words.values()], number - len(first))
    rest = [clip for clips, quota in zip(words.values(), quotas, strict=True) for clip in clips[:quota]]
    # Every word's turn before any word's second one: a dry run's first few clips then are different words.
    turns = [turn for quota in quotas for turn in range(quota)]
    return first + [clip for _, clip in sorted(zip(turns, rest, strict=True), key=lambda pair: pair[0])]


def _even_quotas(sizes: Sequence[int], total: int) -> list[int]:
    """Share `total` evenly over groups of these sizes; larger ones give what a small one can not."""
    quotas = [0] * len(sizes)
    left = max(0, total)
    for place, index in enumerate(sorted(range(len(sizes)), key=lambda index: sizes[index])):
        quotas[index] = min(sizes[index], left // (len(sizes) - place))
        left -= quotas[index]
    return quotas


def noise_folder_of(root: Path, name: str | None) -> Path | None:
    """Return the folder of background noise, or None where the default one is missing.

    Raises:
        DatasetError: a folder that was asked for by another name is missing.

    """
    if not name:
        return None
    folder = root / name
    if folder.is_dir():
        return folder
    if name == BACKGROUND_NOISE:
        return None
    raise DatasetError(f"There is no folder of background noise at {folder}: check bg_noise_dir")


def _split_noise(
    files: Sequence[Path], fraction: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the noise by file; a single file serves both sides."""
    ordered = [str(file) for file in stable_shuffle(files, lambda file: file.name, seed)]
    if fraction == 0.0:
        return tuple(sorted(ordered)), ()
    if len(ordered) < 2:
        return tuple(ordered), tuple(ordered)
    held_out = min(max(1, round(fraction * len(ordered))), len(ordered) - 1)
    return tuple(sorted(ordered[held_out:])), tuple(sorted(ordered[:held_out]))


def _numbered(clips: Sequence[_Candidate], first: int) -> tuple[Clip, ...]:
    return tuple(
        Clip(clip.path, clip.class_id, index, clip.speaker) for index, clip in enumerate(clips, first)
    )


def _partial(training: Sequence[_Candidate], classes: Sequence[str], first: int) -> tuple[Clip, ...]:
    """Return the words' clips once more, as parts that are `_unknown_`."""
    words = [clip for clip in training if classes[clip.class_id] not in META_CLASSES]
    unknown = list(classes).index(UNKNOWN)
    return tuple(
        Clip(clip.path, unknown, index, clip.speaker, partial=True) for index, clip in enumerate(words, first)
    )


def _check_arguments(classes: Sequence[str], unknown: float, silence: float, limit: int) -> None:
    check_classes(classes)
    if all(name in META_CLASSES for name in classes):
        raise DatasetError(f"The model's classes {list(classes)} name no word: add at least one")
    for name, value in (("unknown_class_percentage", unknown), ("silence_class_percentage", silence)):
        if not 0.0 <= value < math.inf:
            raise DatasetError(f"{name} is {value}: use a factor of 0 or more, such as 1.0")
    if limit != -1 and limit < 1:
        raise DatasetError(f"max_samples_per_class is {limit}: use 1 or more, or -1 for all")


def check_classes(classes: Sequence[str]) -> None:
    """Refuse class lists that no model can have.

    Raises:
        DatasetError: the list is empty, a string, or names a class twice or not at all.

    """
    if isinstance(classes, str) or not classes or not all(isinstance(name, str) and name for name in classes):
        raise DatasetError(
            f'The model\'s classes are {classes!r}: give a list of names such as ["yes", "no"]'
        )
    twice = sorted({name for name in classes if list(classes).count(name) > 1})
    if twice:
        raise DatasetError(f'The model\'s classes name "{twice[0]}" twice: give each class once')


def _check_subsets(
    root: Path,
    source: _Source,
    training: Sequence[_Candidate],
    validation: Sequence[_Candidate],
    fraction: float,
) -> None:
    if fraction > 0.0 and not validation:
        raise DatasetError(
            f"No clips in {root} can be kept apart to validate with, as each word has one speaker: "
            "add clips of other speakers, set validation_split to 0, or give another speaker_function"
        )
    for subset, clips in (("training", training), ("validation", validation)):
        present = {clip.class_id for clip in clips}
        missing = [name for class_id, name in enumerate(source.classes) if class_id not in present]
        if missing and subset == "training":
            raise DatasetError(
                f'The class "{missing[0]}" gets no training clips from {root}: raise its share '
                "(unknown_class_percentage, silence_class_percentage) or add clips of other speakers"
            )
        if missing and fraction > 0.0:
            get_mltk_logger().warning(
                "No validation clips for %s: add clips of a second speaker to %s", ", ".join(missing), root
            )
