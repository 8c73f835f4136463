"""Downloads that resume, are checked, and are unpacked safely (historical MLTK module and function names)."""

import json
import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mltk.utils.download import check_hash_text, check_url, fetch, has_hash
from mltk.utils.errors import DownloadError
from mltk.utils.files import file_hash as hash_of_file
from mltk.utils.lock import file_lock
from mltk.utils.logging import get_mltk_logger
from mltk.utils.mirror import mirrored
from mltk.utils.path import user_dir
from mltk.utils.safe_extract import extract_archive


def download_url(
    url: str,
    dst_path: str | os.PathLike[str] | None = None,
    show_progress: bool = False,
    file_hash: str | None = None,
) -> str:
    """Download a file, unless it is there already.

    A download that was cut goes on where it stopped, in the same call (three tries without a new byte end it)
    and in a later one. The file appears at its place only when it is whole and has the wanted hash.

    Args:
        url: http, https or file URL; `mltk.utils.mirror` tells how a user redirects it.
        dst_path: where to put it; a folder, or a file's name. Default: `downloads/` in the user's folder.
        show_progress: draw a progress bar if a terminal looks.
        file_hash: the file's MD5, SHA-1 or SHA-256 in hex; its length tells which.

    Returns:
        The path of the file.

    Raises:
        DownloadError: the URL is not usable, there is no way to the server, it refuses, or what came has
            another hash. The sentence says where a file that was fetched by other means has to be put.
        MltkError: the destination can not be written.

    """
    check_url(url)
    destination = _destination(url, dst_path)
    return str(_get(*mirrored(url, file_hash), destination, show_progress))


def download_verify_extract(
    url: str,
    dest_dir: str | os.PathLike[str] | None = None,
    dest_subdir: str | None = None,
    *,
    download_dir: str | os.PathLike[str] | None = None,
    archive_fname: str | None = None,
    show_progress: bool = False,
    file_hash: str | None = None,
    remove_root_dir: bool = False,
    clean_dest_dir: bool = False,
    update_onchange_only: bool = True,
    extract: bool = True,
) -> str:
    """Download an archive, check its hash and unpack it, unless that was done before.

    Args:
        url: http, https or file URL of a zip, tar (gz, bz2, xz) or 7z archive; see `download_url`.
        dest_dir: the folder to unpack into. Default: `dest_subdir` in the user's folder.
        dest_subdir: default: the archive's name without its ending.
        download_dir: where the archive is kept. Default: `downloads/` in the user's folder.
        archive_fname: the archive's name there. Default: the last part of the URL.
        show_progress: draw a progress bar if a terminal looks.
        file_hash: the archive's MD5, SHA-1 or SHA-256 in hex.
        remove_root_dir: where all is in one folder, unpack that folder's content.
        clean_dest_dir: remove what the destination holds before.
        update_onchange_only: do nothing if the destination was unpacked whole from the same archive before.
        extract: False: download only.

    Returns:
        The destination's path, or the archive's if `extract` is False.

    Raises:
        DownloadError: see `download_url`.
        MissingExtraError: it is a 7z archive, and the extra 'seeds' is not installed.
        ArchiveError: the archive is damaged, of another kind, or hostile: see `safe_extract.extract_archive`.
        MltkError: a file can not be written.

    """
    check_url(url)
    name = archive_fname or _name_of(url)
    archive = Path(download_dir or user_dir() / "downloads").expanduser() / name
    source, wanted_hash = mirrored(url, file_hash)
    if not extract:
        return str(_get(source, wanted_hash, archive, show_progress))
    default = user_dir() / (dest_subdir or _stem(name)).strip("/")
    destination = Path(dest_dir).expanduser() if dest_dir else default
    marker = f".{name}-mltk.json"
    wanted = {"url": url, "file_hash": (wanted_hash or "").lower(), "remove_root_dir": remove_root_dir}
    # Before the lock too: a folder that others prepared may be read-only.
    if update_onchange_only and _is_unpacked(destination / marker, wanted):
        return str(destination)
    with file_lock(destination):
        if update_onchange_only and _is_unpacked(destination / marker, wanted):
            return str(destination)
        _get(source, wanted_hash, archive, show_progress)
        get_mltk_logger().info("Unpacking %s to %s", archive, destination)
        text = json.dumps({**wanted, "sha256": hash_of_file(archive)}, indent=1)
        extract_archive(
            archive,
            destination,
            remove_root_dir=remove_root_dir,
            clean_dest_dir=clean_dest_dir,
            last_files={marker: text},
        )
    return str(destination)


def _get(url: str, file_hash: str | None, destination: Path, show_progress: bool) -> Path:
    """Fetch a file unless it is there with the right hash."""
    if file_hash:
        check_hash_text(file_hash)
    if _is_good(destination, file_hash):
        return destination
    with file_lock(destination):
        if _is_good(destination, file_hash):  # another process fetched it while we waited
            return destination
        if destination.exists():
            get_mltk_logger().warning(
                "The file at %s does not have the hash %s: downloading it again", destination, file_hash
            )
        fetch(url, destination, file_hash, show_progress)
    return destination


def _is_good(path: Path, expected_hash: str | None) -> bool:
    return path.is_file() and (expected_hash is None or has_hash(path, expected_hash))


def _is_unpacked(marker: Path, wanted: dict[str, object]) -> bool:
    """Tell whether the destination is whole and of this archive, by its hash if we know it, else its URL."""
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(found, dict) or found.get("remove_root_dir") != wanted["remove_root_dir"]:
        return False
    if wanted["file_hash"]:
        return wanted["file_hash"] in (found.get("file_hash"), found.get("sha256"))
    return found.get("url") == wanted["url"]


def _destination(url: str, dst_path: str | os.PathLike[str] | None) -> Path:
    if dst_path is None:
        return user_dir() / "downloads" / _name_of(url)
    path = Path(dst_path).expanduser()
    if path.is_dir() or os.fspath(dst_path).endswith(("/", os.sep)):
        return path / _name_of(url)
    return path


def _name_of(url: str) -> str:
    name = re.sub(r"[^\w.+=@ -]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)
    if name in ("", ".."):
        raise DownloadError(
            f"The URL {url} names no file: give a name to keep it under (dst_path or archive_fname)"
        )
    return name


def _stem(name: str) -> str:
    for ending in (".tar.gz", ".tar.bz2", ".tar.xz"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return PurePosixPath(name).stem
