"""Addresses that are written into a specification, fetched from a place of the user's own."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Loopback, loopback_server

from mltk.utils.archive_downloader import download_url, download_verify_extract
from mltk.utils.errors import DownloadError, MltkError

URL = "https://www.example.com/s/ab%20c/data.zip?dl=1"
PLACE = "www.example.com/s/ab c/data.zip"


def archive_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.wav", data)
    return out.getvalue()


DATA = archive_of(a=b"one", b=b"two")
OFFICIAL = hashlib.sha1(DATA).hexdigest().upper()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    file = tmp_path / "mirror" / PLACE
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    return tmp_path


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback_server() as state:
        state.files["/up/www.example.com/s/ab%20c/data.zip"] = DATA
        yield state


@pytest.mark.parametrize("as_url", [False, True])
def test_a_folder_as_a_mirror(folder: Path, monkeypatch: pytest.MonkeyPatch, as_url: bool) -> None:
    mirror = folder / "mirror"
    monkeypatch.setenv("MLTK_DOWNLOAD_MIRROR", mirror.as_uri() if as_url else str(mirror))
    out = Path(download_verify_extract(URL, folder / "out", file_hash=OFFICIAL))
    assert (out / "a.wav").read_bytes() == b"one"
    assert Path(download_url(URL)).name == "data.zip"


def test_a_server_as_a_mirror(folder: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTK_DOWNLOAD_MIRROR", server.url("/up/"))
    for _ in range(2):
        download_verify_extract(URL, folder / "out", file_hash=OFFICIAL)
    assert [path for path, _ in server.requests] == ["/up/www.example.com/s/ab%20c/data.zip"]
    with pytest.raises(DownloadError, match=r"/up/www\.example\.com/other\.zip: the server says 404"):
        download_url("https://www.example.com/other.zip")


def test_other_content_needs_a_hash_of_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTK_DOWNLOAD_MIRROR", str(folder / "mirror"))
    other = archive_of(c=b"three")
    (folder / "mirror" / PLACE).write_bytes(other)
    with pytest.raises(DownloadError, match=f"expected {OFFICIAL.lower()}"):
        download_verify_extract(URL, folder / "out", file_hash=OFFICIAL)
    sums = folder / "SHA256SUMS"
    sums.write_text(f"# of the mirror\n\n{hashlib.sha256(other).hexdigest()} *./{PLACE}\n")
    monkeypatch.setenv("MLTK_DOWNLOAD_HASHES", str(sums))
    out = Path(download_verify_extract(URL, folder / "out", file_hash=OFFICIAL))
    assert (out / "c.wav").read_bytes() == b"three"
    # Without the user's word for it, the folder is not what the specification asks for.
    monkeypatch.delenv("MLTK_DOWNLOAD_HASHES")
    with pytest.raises(DownloadError):
        download_verify_extract(URL, folder / "out", file_hash=OFFICIAL)


def test_several_archives_in_one_folder_and_below(folder: Path, server: Loopback) -> None:
    for name in ("one", "two", "three"):
        server.files[f"/{name}.zip"] = archive_of(**{name: b"x"})
    for _ in range(2):
        download_verify_extract(server.url("/two.zip?dl=1"), folder / "out" / "_below")
        for name in ("one", "three"):
            download_verify_extract(server.url(f"/{name}.zip?dl=1"), folder / "out", clean_dest_dir=False)
    found = {file.relative_to(folder / "out").as_posix() for file in (folder / "out").rglob("*.wav")}
    assert found == {"one.wav", "three.wav", "_below/two.wav"}
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("variable", "value", "match"),
    [
        ("MLTK_DOWNLOAD_MIRROR", "/not/there", "neither a URL nor a folder"),
        ("MLTK_DOWNLOAD_MIRROR", "ftp://host/x", "neither a URL nor a folder"),
        ("MLTK_DOWNLOAD_HASHES", "/not/there", "no file of hashes .* at /not/there"),
    ],
)
def test_wrong_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, match: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(MltkError, match=match):
        download_url(URL)


def test_wrong_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTK_DOWNLOAD_MIRROR", str(folder / "mirror"))
    sums = folder / "sums"
    monkeypatch.setenv("MLTK_DOWNLOAD_HASHES", str(sums))
    sums.write_text("0123\n")
    with pytest.raises(DownloadError, match="Line 1 of"):
        download_url(URL)
    sums.write_text(f"0123  {PLACE}\n")
    with pytest.raises(DownloadError, match="'0123' is not an MD5"):
        download_url(URL)
