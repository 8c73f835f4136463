"""Who speaks in which clip, as a manifest beside the clips tells it."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mltk.utils.errors import DatasetError
from mltk.utils.logging import get_mltk_logger

MANIFEST_NAMES = ("manifest.csv", "manifest.jsonl")

# Speech Commands' 105,829 clips need about 8 MB; a file far beyond that is not a manifest of clips.
_LARGEST_MANIFEST = 256 * 1024 * 1024


def read_speakers(directory: str | os.PathLike[str]) -> dict[str, str]:
    """Read the speakers from `manifest.csv` or `manifest.jsonl` in a data set's folder.

    The manifest has the columns (or keys) `path`, relative to the folder and with forward slashes or
    backslashes, and `speaker`; other columns are ignored, and so are rows without a speaker. A manifest that
    has no such columns is ignored, and the logger says so.

    Returns:
        path relative to the folder, with forward slashes -> speaker; empty where there is no manifest.

    Raises:
        DatasetError: the manifest is not UTF-8, not CSV or JSON, or too large.

    """
    root = Path(directory)
    for name in MANIFEST_NAMES:
        file = root / name
        if file.is_file():
            return _read(file, root)
    return {}


def _read(file: Path, root: Path) -> dict[str, str]:
    if file.stat().st_size > _LARGEST_MANIFEST:
        raise DatasetError(
            f"The manifest {file} is larger than {_LARGEST_MANIFEST >> 20} MB: is it the right file?"
        )
    speakers = {}
    has_columns = False
    try:
        for row in _csv_rows(file) if file.suffix == ".csv" else _json_rows(file):
            if "path" in row and "speaker" in row:
                has_columns = True
                path, speaker = row["path"], row["speaker"]
                if path and speaker not in (None, ""):
                    speakers[_relative(str(path), root)] = str(speaker)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DatasetError(f"Can not read the manifest {file}: {error}") from error
    if not has_columns:
        get_mltk_logger().warning("Ignored %s: it has no columns 'path' and 'speaker'", file)
    return speakers


def _csv_rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        yield from csv.DictReader(text)


def _json_rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"line {number} is not JSON") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            yield row


def _relative(path: str, root: Path) -> str:
    """Return a manifest's path as `find_clips` would have it below `root`."""
    clean = path.replace("\\", "/")
    prefix = root.absolute().as_posix() + "/"
    return clean.removeprefix(prefix).removeprefix("./")
