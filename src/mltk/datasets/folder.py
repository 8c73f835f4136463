"""A data set on disk: one sub-folder per word, with clips anywhere below it."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mltk.utils.errors import DatasetError
from mltk.utils.logging import get_mltk_logger
from mltk.utils.text import suggestion

AUDIO_EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3")

BACKGROUND_NOISE = "_background_noise_"
UNKNOWN = "_unknown_"
SILENCE = "_silence_"

_NAMES_SHOWN = 40


def find_clips(directory: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """List the clips of a data set.

    Every sub-folder is a word and every audio file below it, however deep, is a clip of that word. Links to
    files and folders are followed. Names that start with a dot, and the folder `_background_noise_`, are left
    out; so are empty files and sub-folders without clips, which the logger names.

    Args:
        directory: the data set's folder.

    Returns:
        word -> its clips, both in the order of their names; every list has at least one clip.

    Raises:
        DatasetError: there is no such folder, it can not be read, or there is no clip below it.

    """
    return {word: [Path(clip) for clip in clips] for word, clips in find_clip_texts(directory).items()}


def find_clip_texts(directory: str | os.PathLike[str]) -> dict[str, list[str]]:
    """List the clips of a data set as `find_clips` does, but as texts: of 100,000 clips, half the time and memory.

    Raises:
        DatasetError: there is no such folder, it can not be read, or there is no clip below it.

    """
    root = check_folder(directory)
    words: dict[str, list[str]] = {}
    empty_files: list[Path] = []
    empty_words: list[str] = []
    for entry in _sorted_entries(root):
        if entry.name == BACKGROUND_NOISE or not _is_folder(entry):
            continue
        clips = _audio_files(Path(entry.path), empty_files)
        if clips:
            words[entry.name] = clips
        else:
            empty_words.append(entry.name)
    _report_empty(root, empty_files, empty_words)
    if not words:
        raise DatasetError(
            f"The folder {root} has no sub-folders with recordings ({', '.join(AUDIO_EXTENSIONS)}): "
            "put the clips of each word into a sub-folder with the word's name"
        )
    return words


def find_audio_files(directory: str | os.PathLike[str]) -> list[Path]:
    """List all audio files below a folder, such as one of background noises, in the order of their names.

    Empty files are left out, and the logger names them.

    Raises:
        DatasetError: there is no such folder, or it can not be read.

    """
    root = check_folder(directory)
    empty_files: list[Path] = []
    files = _audio_files(root, empty_files)
    _report_empty(root, empty_files, [])
    return [Path(file) for file in files]


def check_folder(directory: str | os.PathLike[str]) -> Path:
    """Return the data set's folder as a path.

    Raises:
        DatasetError: it does not exist or is a file.

    """
    root = Path(directory)
    try:
        if root.is_dir():
            return root
        found = root.exists()
    except (OSError, ValueError) as error:  # ValueError: a zero character in the name
        raise DatasetError(f"Can not use {str(root)!r} as a data set folder: {error}") from error
    if found:
        raise DatasetError(f"{root} is a file where a folder with one sub-folder per word was expected")
    raise DatasetError(f"There is no data set folder at {root}: check the path")


def missing_class_error(name: str, directory: str | os.PathLike[str], words: Iterable[str]) -> DatasetError:
    """Make the error for a class without clips: it names what is there and what may have been meant."""
    known = sorted(words)
    shown = ", ".join(known[:_NAMES_SHOWN]) + (", ..." if len(known) > _NAMES_SHOWN else "")
    return DatasetError(
        f'The class "{name}" has no clips in {directory}{suggestion(name, known)} '
        f"There are: {shown}; add a sub-folder with that name or change the model's classes"
    )


def _audio_files(folder: Path, empty_files: list[Path]) -> list[str]:
    """List the audio files below a folder; zero-byte ones go to `empty_files`."""
    found: list[str] = []
    for entry in _walk(folder):
        if not entry.name.lower().endswith(AUDIO_EXTENSIONS):
            continue
        if entry.stat().st_size:
            found.append(entry.path)
        else:
            empty_files.append(Path(entry.path))
    return found


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Give all visible files below a folder; one that links lead to twice or in a circle is entered once."""
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        status = current.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in entered:
            continue
        entered.add(identity)
        folders = []
        for entry in _sorted_entries(current):
            if _is_folder(entry):
                folders.append(Path(entry.path))
            elif _is_file(entry):
                yield entry
        waiting.extend(reversed(folders))


def _sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
            )
    except OSError as error:
        raise DatasetError(f"Can not read the folder {folder}: {error.strerror or error}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _report_empty(root: Path, empty_files: list[Path], empty_words: list[str]) -> None:
    logger = get_mltk_logger()
    if empty_files:
        more = f" and {len(empty_files) - 1} more" if len(empty_files) > 1 else ""
        logger.warning("Left out empty files below %s: %s%s", root, empty_files[0].relative_to(root), more)
    if empty_words:
        logger.warning(
            "Sub-folders without recordings in %s: %s", root, ", ".join(empty_words[:_NAMES_SHOWN])
        )
