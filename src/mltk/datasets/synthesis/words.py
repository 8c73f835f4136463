"""Folders of synthetic words: a data set with a manifest."""

import contextlib
import csv
import io
import os
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mltk.audio.write import write_audio_file
from mltk.datasets.manifest import MANIFEST_NAMES
from mltk.datasets.synthesis.interface import SAMPLE_RATE_HZ, Block, Request, Utterance
from mltk.datasets.synthesis.pool import deal, speak_blocks
from mltk.datasets.synthesis.registry import resolve_engines
from mltk.datasets.synthesis.vocabulary import DISTRACTORS, distractors_for
from mltk.utils.errors import DatasetError
from mltk.utils.files import make_folder, write_text

MANIFEST = "manifest.csv"

COLUMNS = (
    "path", "word", "speaker", "engine", "speaker_name", "voice", "variant", "rate", "pitch", "pitch_range",
    "text", "seconds", "seed", "index",
)  # fmt: skip
"""Columns of the manifest; `path` is relative to its folder and `speaker` is the group for splits."""

_LONGEST_WORD = 64
_MOST_CLIPS = 100_000
_MANIFEST_EVERY_S = 2.0

Row = dict[str, str]


@dataclass(frozen=True)
class SynthesisSummary:
    """What `synthesize_words` made.

    Attributes:
        folder: where.
        counts: word -> clips, the distractors included.
        speakers: number of speaker groups.
        seconds: length of all clips together.
        elapsed_s: how long it took.
        foreign: audio files in the words' folders that the manifest does not know; they stayed as they were.

    """

    folder: Path
    counts: dict[str, int]
    speakers: int
    seconds: float
    elapsed_s: float
    foreign: int


def folder_name(word: str) -> str:
    """Return the name of a word's folder: spaces become '_'.

    Raises:
        DatasetError: it is not a word or phrase of letters, digits, spaces, apostrophes, and hyphens.

    """
    text = unicodedata.normalize("NFC", " ".join(word.split()))
    legal = all(c in " '-" or unicodedata.category(c)[0] in "LMN" for c in text)
    if not legal or not text[:1].isalnum() or len(text) > _LONGEST_WORD:
        raise DatasetError(
            f"{word[: _LONGEST_WORD + 1]!r} can not be spoken as a word: use up to {_LONGEST_WORD} letters, "
            "digits, spaces, apostrophes and hyphens, beginning with a letter or digit"
        )
    return text.replace(" ", "_")


def synthesize_words(
    words: Sequence[str],
    out_dir: str | os.PathLike[str],
    count: int,
    *,
    seed: int = 42,
    engines: Sequence[str] = ("espeak",),
    language: str = "en",
    unknown: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> SynthesisSummary:
    """Speak words in many voices into a folder that `select_clips` takes as a data set.

    Every clip is a 16-bit WAV at 16 kHz, `<word>/<speaker>_nohash_<index>.wav`. The same arguments give the
    same bytes, whatever the number of workers; a larger `count` adds clips and leaves the others as they are.

    Clips of an earlier run that `manifest.csv` lists are replaced where their word is spoken again, and kept
    else. Files that the manifest does not list (your recordings) are never touched.

    Args:
        words: words or phrases ("hey computer"), each once.
        out_dir: the folder, made where it is missing.
        count: clips of each word.
        seed: 0 or more.
        engines: "espeak", "hibari", "mixed", or "module:Class"; several share each word's clips equally.
        language: a language code the engines know; "en" takes all its accents, "en-us" that one.
        unknown: clips in total of other common (English) words, each in its own folder.
        workers: processes at a time; None for one a core.
        progress: draw a progress bar where a terminal looks.

    Raises:
        DatasetError: a word, engine, or number can not be used, or a word can not be spoken.
        MissingExtraError: an engine's package is not installed.
        MltkError: the folder can not be written.

    """
    start = time.monotonic()
    _check_numbers(count, seed, unknown)
    wanted = _check_words(words)
    others = _other_words(wanted, language, unknown)
    engines = resolve_engines(engines)
    lists = _requests(wanted, count, others, unknown)
    counts = Counter(request.word for requests in lists for request in requests)
    blocks = [block for requests in lists for block in deal(requests, engines, language, seed)]
    folder = make_folder(out_dir)
    writer = _Writer(folder, {word: counts[word] for word in (*wanted, *others) if counts[word]}, seed)
    try:
        _speak(blocks, writer, workers, progress)
    except BaseException:
        # What is there is listed, so that the next run can replace it; the error that ended the run goes on.
        writer.save(finished=False)
        raise
    writer.save(finished=True)
    return writer.summary(time.monotonic() - start)


def _check_numbers(count: int, seed: int, unknown: int) -> None:
    if seed < 0:
        raise DatasetError(f"The seed must be 0 or more, not {seed}")
    if not 1 <= count <= _MOST_CLIPS:
        raise DatasetError(f"Can not make {count} clips of each word: use 1 to {_MOST_CLIPS}")
    if not 0 <= unknown <= _MOST_CLIPS:
        raise DatasetError(f"Can not make {unknown} clips of other words: use 0 to {_MOST_CLIPS}")


def _check_words(words: Sequence[str]) -> list[str]:
    """Return the words as they are spoken."""
    if not words:
        raise DatasetError("There is no word to speak: name at least one")
    clean = [folder_name(word).replace("_", " ") for word in words]
    seen: set[str] = set()
    for word in clean:
        # Some file systems do not tell "Yes" from "yes".
        if word.casefold() in seen:
            raise DatasetError(f"The word '{word}' is named twice: once is enough")
        seen.add(word.casefold())
    return clean


def _other_words(wanted: Sequence[str], language: str, unknown: int) -> list[str]:
    if unknown and language.lower().split("-")[0] != "en":
        raise DatasetError(
            f"The other words are English, not '{language}': name words of that language instead"
        )
    return distractors_for(wanted) if unknown else []


def _requests(wanted: Sequence[str], count: int, others: Sequence[str], unknown: int) -> list[list[Request]]:
    """Return the lists of requests that are cut into blocks.

    Each wanted word has blocks of its own, so that its clips do not depend on the other words. The
    distractors have a few clips each and share blocks; they take turns, so that a larger number only adds
    clips.
    """
    lists = [[Request(word, index) for index in range(count)] for word in wanted]
    return [*lists, [Request(others[i % len(others)], i // len(others)) for i in range(unknown)]]


def _speak(blocks: Sequence[Block], writer: "_Writer", workers: int | None, progress: bool) -> None:
    from mltk.utils.progress import progress as progress_display

    with contextlib.ExitStack() as stack:
        display = stack.enter_context(progress_display("clips")) if progress else None
        total = sum(len(block.requests) for block in blocks)
        task = display.add_task("Speaking", total=total) if display else None
        stream = stack.enter_context(contextlib.closing(speak_blocks(blocks, workers)))
        for _, utterances in stream:
            for utterance in utterances:
                writer.write(utterance)
            if display and task is not None:
                display.advance(task, len(utterances))


@dataclass
class _Writer:
    """Writes clips, and the manifest that lists what is there."""

    folder: Path
    plan: dict[str, int]
    seed: int
    _rows: dict[str, Row] = field(default_factory=dict)
    _earlier: dict[str, Row] = field(default_factory=dict)
    _saved_s: float = 0.0

    def __post_init__(self) -> None:
        self._earlier = read_manifest(self.folder)

    def write(self, utterance: Utterance) -> None:
        """Write one clip."""
        word = utterance.request.word
        path = f"{folder_name(word)}/{utterance.speaker_id}_nohash_{utterance.request.index}.wav"
        write_audio_file(self.folder / path, utterance.samples, SAMPLE_RATE_HZ)
        self._rows[path] = _row(path, utterance, self.seed)
        # A process that is killed leaves at most these seconds' clips unlisted.
        if time.monotonic() - self._saved_s > _MANIFEST_EVERY_S:
            self.save(finished=False)

    def save(self, finished: bool) -> None:
        """Write the manifest; at the end, remove the earlier clips of the words that were spoken again."""
        replaced = {folder_name(word) for word in self.plan}
        kept = dict(self._earlier)
        if finished:
            for path in self._earlier:
                if path.split("/")[0] in replaced:
                    del kept[path]
                    if path not in self._rows:
                        (self.folder / path).unlink(missing_ok=True)
        rows = {**kept, **self._rows}
        if not rows:
            return
        order = {folder_name(word): i for i, word in enumerate(self.plan)}
        listed = sorted(
            rows.values(),
            key=lambda row: (order.get(row["path"].split("/")[0], -1), row["word"], int(row["index"])),
        )
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(listed)
        write_text(self.folder / MANIFEST, text.getvalue())
        self._saved_s = time.monotonic()

    def summary(self, elapsed_s: float) -> SynthesisSummary:
        """Count what was made."""
        foreign = 0
        for word in self.plan:
            name = folder_name(word)
            foreign += sum(
                f"{name}/{file.name}" not in self._rows for file in (self.folder / name).glob("*.wav")
            )
        rows = self._rows.values()
        return SynthesisSummary(
            folder=self.folder,
            counts=dict(self.plan),
            speakers=len({row["speaker"] for row in rows}),
            seconds=sum(float(row["seconds"]) for row in rows),
            elapsed_s=elapsed_s,
            foreign=foreign,
        )


def _row(path: str, utterance: Utterance, seed: int) -> Row:
    settings = utterance.settings
    values = (
        path, utterance.request.word, utterance.speaker_id, utterance.engine, settings.speaker,
        settings.voice, settings.variant, settings.rate, settings.pitch, settings.pitch_range, utterance.text,
        f"{utterance.seconds:.3f}", seed, utterance.request.index,
    )  # fmt: skip
    return {column: str(value) for column, value in zip(COLUMNS, values, strict=True)}


def read_manifest(folder: Path) -> dict[str, Row]:
    """Read the manifest of an earlier run: path -> row, only of files that are there and lie in a word's
    folder.

    Raises:
        DatasetError: there is a manifest, but not one of ours: it is not ours to overwrite.

    """
    for name in MANIFEST_NAMES:
        if name != MANIFEST and (folder / name).exists():
            raise DatasetError(f"{folder / name} lists other recordings: choose a folder without a manifest")
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        with file.open(encoding="utf-8", newline="") as text:
            table = csv.DictReader(text)
            rows = list(table)
        columns = tuple(table.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"Can not read {file}: {error}; remove it or choose another folder") from error
    if columns != COLUMNS or any(not _is_ours(row) for row in rows):
        raise DatasetError(f"{file} was not written by this command: choose another folder")
    return {row["path"]: row for row in rows if (folder / row["path"]).is_file()}


def _is_ours(row: Row) -> bool:
    """Tell whether a row's path is one this module writes: what is listed may be deleted."""
    if any(not isinstance(row.get(column), str) for column in COLUMNS) or None in row:
        return False
    try:
        expected = f"{folder_name(row['word'])}/{row['speaker']}_nohash_{row['index']}.wav"
    except DatasetError:
        return False
    hexadecimal = len(row["speaker"]) == 8 and set(row["speaker"]) <= set("0123456789abcdef")
    digits = row["index"].isascii() and row["index"].isdigit()
    return hexadecimal and digits and row["path"] == expected


__all__ = [
    "COLUMNS",
    "DISTRACTORS",
    "MANIFEST",
    "SynthesisSummary",
    "folder_name",
    "read_manifest",
    "synthesize_words",
]
