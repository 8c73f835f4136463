"""7z archives of others: the same limits as for zip and tar."""

import io
import stat
import sys
from pathlib import Path

import pytest

from mltk.utils import safe_extract
from mltk.utils.errors import ArchiveError, MissingExtraError
from mltk.utils.safe_extract import extract_archive

py7zr = pytest.importorskip("py7zr", reason="the extra 'seeds' is not installed")

FILES = {"yes/a.wav": b"RIFF" * 300, "no/deep/b.wav": bytes(5000), "no/empty.wav": b"", "README.md": b"hello"}


def seven_zip(files: dict[str, bytes], **options: object) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return out.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def assert_refused(archive: Path, match: str, **options: object) -> None:
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ArchiveError, match=match) as caught:
        extract_archive(archive, archive.parent / "out", **options)  # type: ignore[arg-type]
    assert str(archive) in str(caught.value)
    assert sorted(archive.parent.rglob("*")) == before, "something was left behind"


@pytest.mark.parametrize(
    "filters", [None, [{"id": py7zr.FILTER_COPY}], [{"id": py7zr.FILTER_ZSTD, "level": 3}]]
)
def test_it_comes_out_as_it_went_in(tmp_path: Path, filters: object) -> None:
    archive = write(tmp_path / "any.name", seven_zip(FILES, filters=filters))
    assert tree(extract_archive(archive, tmp_path / "out")) == FILES


def test_folders_and_root(tmp_path: Path) -> None:
    (tmp_path / "root" / "word" / "nothing").mkdir(parents=True)
    (tmp_path / "root" / "word" / "a.wav").write_bytes(b"x")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(tmp_path / "root", "root")
    out = extract_archive(tmp_path / "a.7z", tmp_path / "out", remove_root_dir=True)
    assert (out / "word" / "nothing").is_dir()
    assert (out / "word" / "a.wav").read_bytes() == b"x"


def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    # py7zr does not write such names, so a harmless one of the same length is changed in the plain header.
    for name in ("../evil", "/a/evil", "C:\\evil", "a/../b."):
        with py7zr.SevenZipFile(tmp_path / "plain.7z", "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
            archive.encoded_header_mode = False
            archive.writestr(b"x", "aa/evil")
        data = (tmp_path / "plain.7z").read_bytes()
        changed = data.replace("aa/evil".encode("utf-16-le"), name.encode("utf-16-le"))
        assert changed != data
        (tmp_path / "plain.7z").unlink()
        archive_path = write(tmp_path / "bad.7z", _with_header_crc(changed))
        assert_refused(archive_path, "not safe to unpack|damaged")
        archive_path.unlink()


def _with_header_crc(data: bytes) -> bytes:
    """Make the check sums of a changed header right again."""
    import struct
    import zlib

    offset, size = struct.unpack("<QQ", data[12:28])
    header = data[32 + offset : 32 + offset + size]
    start = struct.pack("<QQI", offset, size, zlib.crc32(header))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32:]


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_links_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    (folder / "link").symlink_to("a.txt")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(folder, "in")
    assert stat.S_ISLNK((folder / "link").lstat().st_mode)
    assert_refused(tmp_path / "a.7z", "it is a link or a device")


def test_bombs_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write(tmp_path / "a.7z", seven_zip({"a.wav": bytes(2_000_000), "b.wav": bytes(2_000_000)}))
    monkeypatch.setattr(safe_extract.MemberWriter, "open", lambda *_: pytest.fail("a file was made"))
    assert_refused(archive, "unpacks to more than 3000000 bytes", max_bytes=3_000_000)


def test_encrypted(tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "a.7z", seven_zip(FILES, password="secret")), "encrypted|damaged")


def test_damage_is_an_archive_error(tmp_path: Path) -> None:
    whole = seven_zip(FILES)
    archive = tmp_path / "a.7z"
    for position in range(6, len(whole), 7):
        write(archive, whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :])
        try:
            found = tree(extract_archive(archive, tmp_path / "out", clean_dest_dir=True))
        except ArchiveError:
            continue
        assert set(found.values()) <= set(FILES.values())
    for length in range(6, len(whole), 11):
        assert_refused(write(archive, whole[:length]), "damaged")


def test_without_py7zr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(tmp_path / "a.7z", seven_zip(FILES))
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mltk-audio\[seeds\]'"):
        extract_archive(archive, tmp_path / "out")
