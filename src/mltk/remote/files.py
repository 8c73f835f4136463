"""Which files go to the other machine and which come back, as `ssh_upload_files` and `ssh_download_files` say."""

import glob
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mltk.remote.errors import RemoteError

MAX_DOWNLOAD = 2048 * 2**20


def uploads(patterns: Iterable[str], folder: Path) -> list[tuple[Path, str]]:
    """Return the files that are to be sent, as (path here, path there).

    Args:
        patterns: `a.csv`, `words/**/*.wav` or a folder, relative to the specification and to the working
            folder alike; or `here|there`, each of which may be absolute.
        folder: the specification's.

    Raises:
        RemoteError: nothing is found, or a path without `|` is absolute or leads out of the folder.

    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        local, separator, remote = pattern.partition("|")
        if separator:
            if not local.strip() or not remote.strip():
                raise RemoteError(f"'{pattern}' in upload_files can not be used: write FROM|TO")
            path = folder / Path(local).expanduser()
            found.update(_tree(path, remote.rstrip("/") or "/", pattern))
        else:
            _check_relative(pattern, "upload_files")
            names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - gives folders too
            if not names:
                raise RemoteError(f"'{pattern}' in upload_files finds nothing in {folder}: check the path")
            for name in names:
                found.update(_tree(folder / name, Path(name).as_posix(), pattern))
    return [(path, remote) for remote, path in found.items()]


def _tree(path: Path, remote: str, pattern: str) -> dict[str, Path]:
    if path.is_file():
        return {remote: path}
    if path.is_dir():
        return {
            f"{remote}/{file.relative_to(path).as_posix()}": file
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
    raise RemoteError(f"'{pattern}' in upload_files: there is no file or folder {path}")


def download_patterns(patterns: Iterable[str]) -> list[str]:
    """Return what the other machine is asked for.

    Raises:
        RemoteError: a pattern without `|` is absolute or leads out of the working folder.

    """
    asked = []
    for pattern in patterns:
        remote, separator, local = pattern.partition("|")
        if separator and (not local.strip() or not remote.strip()):
            raise RemoteError(f"'{pattern}' in download_files can not be used: write FROM|TO")
        if not separator:
            _check_relative(pattern, "download_files")
        asked.append(glob.escape(remote) if separator else pattern)
    return asked


def downloads(
    patterns: Iterable[str], entries: Iterable[dict[str, Any]], folder: Path
) -> list[tuple[dict[str, Any], Path]]:
    """Return where each file that the other machine has goes.

    Args:
        patterns: `ssh_download_files`.
        entries: what it found: pattern, name (relative to the working folder), size. Its names are not
            trusted: a file goes where a pattern of ours says, else below the specification's folder.
        folder: the specification's.

    Raises:
        RemoteError: a name leads out of the folder, or the file is too large.

    """
    targets = dict(zip(download_patterns(patterns), patterns, strict=True))
    chosen = []
    for entry in entries:
        pattern = targets.get(str(entry.get("pattern")))
        if pattern is None:
            raise RemoteError(f"The other machine sends '{entry.get('name')}', which was not asked for")
        if int(entry["size"]) > MAX_DOWNLOAD:
            raise RemoteError(
                f"{entry['path']} has {entry['size']} bytes: at most {MAX_DOWNLOAD} are fetched"
            )
        _, separator, local = pattern.partition("|")
        name = str(entry["name"])
        if not separator:
            _check_relative(name, "download_files", plain=True)
            if not _matches(name, pattern):
                raise RemoteError(f"The other machine sends '{name}', which '{pattern}' does not ask for")
        chosen.append((entry, folder / Path(local).expanduser() if separator else folder / name))
    return chosen


def _matches(name: str, pattern: str) -> bool:
    """Tell whether a glob pattern means a name; `**` means any number of folders."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", PurePosixPath(pattern).as_posix())
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(
        known.get(piece) or (piece.replace("[!", "[^", 1) if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )
    return re.fullmatch(regex, name) is not None


def _check_relative(name: str, where: str, plain: bool = False) -> None:
    path = PurePosixPath(name)
    bad = (
        not name.strip()
        or path.is_absolute()
        or Path(name).is_absolute()
        or ".." in path.parts
        or (plain and ("\\" in name or ":" in name or not name.isprintable()))
    )
    if bad:
        raise RemoteError(
            f"{name!r} in {where} leads out of the folder: give a path below it, or write FROM|TO"
        )
