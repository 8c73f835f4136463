"""Downloads from a place of the user's own: a mirror in the house, a disk that was carried behind an air gap.

Addresses that are written into a specification can not be changed by whoever runs it, so two environment variables redirect
them:

MLTK_DOWNLOAD_MIRROR: a URL or a folder. `https://host/path/file.zip?query` is fetched from
    `MIRROR/host/path/file.zip` instead.
MLTK_DOWNLOAD_HASHES: a text file as `sha256sum` (or `sha1sum`, `md5sum`) prints it, with names as below the
    mirror: `<hash>  host/path/file.zip`. Its hashes are asked for in place of the specification's.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mltk.utils.errors import DownloadError
from mltk.utils.files import read_bytes

MIRROR_VARIABLE = "MLTK_DOWNLOAD_MIRROR"
HASHES_VARIABLE = "MLTK_DOWNLOAD_HASHES"

_SCHEMES = ("http", "https", "file")


def mirrored(url: str, file_hash: str | None) -> tuple[str, str | None]:
    """Return where a file is to be fetched from, and the hash that it has to have.

    Args:
        url: a checked http, https or file URL; file URLs are left as they are.
        file_hash: the hash that the specification asks for.

    Raises:
        DownloadError: the mirror is no URL and no folder, or a line of the file of hashes is none.
        MltkError: the file of hashes can not be read.

    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url, file_hash
    host = parts.netloc.rpartition("@")[2]
    place = f"{host}/{parts.path.lstrip('/')}"
    hashes = os.environ.get(HASHES_VARIABLE)
    wanted = _hashes(Path(hashes)).get(unquote(place), file_hash) if hashes else file_hash
    mirror = os.environ.get(MIRROR_VARIABLE)
    return (f"{_base(mirror)}/{place}" if mirror else url), wanted


def _base(mirror: str) -> str:
    if urlsplit(mirror).scheme in _SCHEMES:
        return mirror.rstrip("/")
    folder = Path(mirror).expanduser()
    if not folder.is_dir():
        raise DownloadError(
            f"{MIRROR_VARIABLE} is {mirror!r}, which is neither a URL nor a folder: mend or unset it"
        )
    return folder.resolve().as_uri().rstrip("/")


def _hashes(path: Path) -> dict[str, str]:
    found = {}
    text = read_bytes(path, f"file of hashes ({HASHES_VARIABLE})").decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        digest, _, name = line.strip().partition(" ")
        name = name.strip().removeprefix("*").removeprefix("./")
        if not name:
            raise DownloadError(
                f"Line {number} of {path} is not '<hash>  <host/path>' as sha256sum prints it"
            )
        found[name] = digest
    return found
