"""A data set of synthetic words that makes itself when a training needs it."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mltk.datasets.folder import BACKGROUND_NOISE
from mltk.datasets.noise import write_background_noise
from mltk.datasets.synthesis.registry import resolve_engines
from mltk.datasets.synthesis.words import folder_name, synthesize_words
from mltk.utils.errors import MltkError
from mltk.utils.files import make_folder
from mltk.utils.lock import file_lock
from mltk.utils.logging import get_mltk_logger
from mltk.utils.path import user_dir

SUBFOLDER = "datasets/synthesized"
"""Where the data sets lie in the user's folder."""

_DRY_RUN_COUNT = 8
_DRY_RUN_NOISE_S = 2.0
_FORMAT = 1
"""Raise it where the same arguments would give other clips."""


@dataclass(frozen=True)
class SynthesizedWords:
    """A data set for `my_model.dataset`: words spoken by a synthesizer, other words, and background noise.

    It is made once, by the first training that has no other recordings, in the user's folder ($MLTK_CACHE_DIR, or
    ~/.mltk); a folder's name tells its words and a hash of all arguments, so that other arguments make another one.

    Attributes:
        words: words or phrases, each once.
        count: clips of each word.
        unknown: clips in total of other common English words, each in its own folder.
        noise: make background noise in `_background_noise_` too.
        engines: "espeak", "hibari", "mixed", or "module:Class" (see `synthesize_words`).
        language: a language code the engines know.
        seed: 0 or more.

    """

    words: Sequence[str]
    count: int = 300
    unknown: int = 0
    noise: bool = True
    engines: Sequence[str] = ("espeak",)
    language: str = "en"
    seed: int = 42

    def load_data(self, test: bool = False, show_progress: bool = True) -> str:
        """Return the data set's folder; make it first if it is not there yet.

        The folder gets its name when it is whole: a run that is killed leaves only a hidden folder that the
        next run removes. Two runs at a time make it once.

        Args:
            test: a dry run's: a few clips of each word, in a folder of its own.
            show_progress: draw a progress bar if a terminal looks.

        Raises:
            MissingExtraError: the synthesizer is not installed (extra 'synth').
            DatasetError: a word or number can not be used.
            MltkError: the folder can not be written.

        """
        folder = self.folder(test)
        if folder.is_dir():
            return str(folder)
        resolve_engines(self.engines)
        with file_lock(folder):
            if not folder.is_dir():
                self._make(folder, test, show_progress)
        return str(folder)

    def folder(self, test: bool = False) -> Path:
        """Return where the data set lies, or will lie."""
        settings = asdict(self) | {
            "format": _FORMAT,
            "words": list(self.words),
            "engines": list(self.engines),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        shown = "-".join(folder_name(word) for word in self.words[:3])
        name = f"{shown}{'-and-more' if len(self.words) > 3 else ''}-{digest}"
        return user_dir() / SUBFOLDER / (f"{name}-test" if test else name)

    def _make(self, folder: Path, test: bool, show_progress: bool) -> None:
        """Make it under a hidden name (the lock is held: whatever lies there is a dead run's), then rename it."""
        unfinished = folder.with_name(f".making-{folder.name}")
        _remove(unfinished)
        make_folder(unfinished)
        count = min(self.count, _DRY_RUN_COUNT) if test else self.count
        unknown = min(self.unknown, 2 * _DRY_RUN_COUNT) if test else self.unknown
        get_mltk_logger().info(
            "No recordings are given (--dataset DIR): speaking %d clips with %s into %s",
            count * len(self.words) + unknown,
            ", ".join(self.engines),
            folder,
        )
        try:
            summary = synthesize_words(
                self.words,
                unfinished,
                count,
                seed=self.seed,
                engines=self.engines,
                language=self.language,
                unknown=unknown,
                progress=show_progress,
            )
            if self.noise:
                self._write_noise(unfinished / BACKGROUND_NOISE, test)
            _rename(unfinished, folder)
        except BaseException:
            _remove(unfinished)
            raise
        get_mltk_logger().info(
            "Made %d clips of %d speakers in %.0f s",
            sum(summary.counts.values()),
            summary.speakers,
            summary.elapsed_s,
        )

    def _write_noise(self, folder: Path, test: bool) -> None:
        if test:
            write_background_noise(folder, _DRY_RUN_NOISE_S, self.seed)
        else:
            write_background_noise(folder, seed=self.seed, engines=self.engines, language=self.language)


def _rename(source: Path, destination: Path) -> None:
    try:
        source.rename(destination)
    except OSError as error:
        raise MltkError(f"Can not rename {source} to {destination}: {error.strerror or error}") from error


def _remove(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise MltkError(f"Can not remove {folder}: {error.strerror or error}") from error
