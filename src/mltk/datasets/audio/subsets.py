"""Small data sets out of Speech Commands: some of its words, all others as `_unknown_`, and its noise.

Where a user has recordings in place of them, two environment variables name them, as for Speech Commands itself:
MLTK_TEN_DIGITS_URL and MLTK_TEN_DIGITS_HASH for `ten_digits`, and so on.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mltk.datasets.audio.speech_commands import speech_commands_v2
from mltk.datasets.folder import (
    BACKGROUND_NOISE,
    SILENCE,
    UNKNOWN,
    find_audio_files,
    find_clips,
    missing_class_error,
)
from mltk.utils.archive_downloader import download_verify_extract
from mltk.utils.errors import MltkError
from mltk.utils.files import make_folder, write_text
from mltk.utils.lock import file_lock
from mltk.utils.path import user_dir

_MARK = ".subset-mltk.json"


def load_subset(name: str, words: Sequence[str], dest_dir: str | None, with_unknown: bool = True) -> str:
    """Return the folder of a subset of Speech Commands; make it first if it is not there yet.

    Its clips are hard links to those of Speech Commands, copies where the system has no such links, so it needs little
    room. The clips of other words are in `_unknown_/<word>`.

    Args:
        name: the data set's name, such as 'ten_digits'.
        words: the sub-folders that it has.
        dest_dir: its folder. Default: `datasets/<name>` in the user's folder.
        with_unknown: take the other words and the background noise too.

    Raises:
        DownloadError, ArchiveError: see `speech_commands_v2.load_data`.
        DatasetError: the data set in place of Speech Commands has not all of the words.
        MltkError: a folder can not be written.

    """
    destination = Path(dest_dir).expanduser() if dest_dir else user_dir() / "datasets" / name
    url = os.environ.get(f"MLTK_{name.upper()}_URL")
    if url:
        own_hash = os.environ.get(f"MLTK_{name.upper()}_HASH")
        return download_verify_extract(url, destination, file_hash=own_hash, show_progress=True)
    source = Path(speech_commands_v2.load_data())
    wanted = {"source": str(source.resolve()), "words": list(words), "with_unknown": with_unknown}
    if _is_made(destination, wanted):
        return str(destination)
    with file_lock(destination):
        if not _is_made(destination, wanted):
            _make(source, destination, words, with_unknown)
            write_text(destination / _MARK, json.dumps(wanted))
    return str(destination)


def _is_made(folder: Path, wanted: dict[str, object]) -> bool:
    try:
        return bool(json.loads((folder / _MARK).read_text(encoding="utf-8")) == wanted)
    except (OSError, ValueError):
        return False


def _make(source: Path, destination: Path, words: Sequence[str], with_unknown: bool) -> None:
    clips_of = find_clips(source)
    for word in words:
        if word not in clips_of:
            raise missing_class_error(word, source, clips_of)
    for word, clips in clips_of.items():
        if word in words or (with_unknown and word in (UNKNOWN, SILENCE)):
            _link_all(clips, destination / word)
        elif with_unknown:
            _link_all(clips, destination / UNKNOWN / word)
    noise = source / BACKGROUND_NOISE
    if with_unknown and noise.is_dir():
        _link_all(find_audio_files(noise), destination / BACKGROUND_NOISE)


def _link_all(files: Sequence[Path], folder: Path) -> None:
    make_folder(folder)
    for file in files:
        target = folder / file.name
        try:
            target.unlink(missing_ok=True)
            try:
                os.link(file, target)
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(file, target)
        except OSError as error:
            raise MltkError(f"Can not write {target}: {error.strerror or error}") from error
