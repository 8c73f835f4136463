"""Archives from strangers: what is good comes out whole, what is not leaves nothing behind."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mltk.utils import safe_extract
from mltk.utils.errors import ArchiveError, MltkError
from mltk.utils.safe_extract import extract_archive

FILES = {"yes/a.wav": b"RIFF" * 300, "no/deep/b.wav": b"\0" * 5000, "README.md": b"hello"}


def make_tar(
    path: Path, files: dict[str, bytes], mode: str = "w:gz", extra: tarfile.TarInfo | None = None
) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        if extra is not None:
            tar.addfile(extra)
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def assert_refused(archive: Path, match: str, **options: object) -> None:
    outside_before = sorted(archive.parent.iterdir())
    with pytest.raises(ArchiveError, match=match) as caught:
        extract_archive(archive, archive.parent / "out", **options)  # type: ignore[arg-type]
    assert str(archive) in str(caught.value)
    assert sorted(archive.parent.iterdir()) == outside_before, "something was left behind"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_comes_out_as_it_went_in(tmp_path: Path, mode: str) -> None:
    archive = make_tar(tmp_path / "any.name", FILES, mode)
    assert tree(extract_archive(archive, tmp_path / "out")) == FILES


def test_zip_comes_out_as_it_went_in(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "any.name", FILES)
    assert tree(extract_archive(archive, tmp_path / "out")) == FILES


def test_backslashes_separate_everywhere(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", {"yes\\a.wav": b"x"}, "w")
    assert tree(extract_archive(archive, tmp_path / "out")) == {"yes/a.wav": b"x"}


@pytest.mark.parametrize(
    "name", ["../evil", "yes/../../evil", "..\\evil", "/tmp/evil", "C:\\evil", "C:evil", "\\\\h\\s\\e"]
)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, make: Callable[..., Path]) -> None:
    archive = make(tmp_path / "archive", {"yes/a.wav": b"x", name: b"evil"})
    assert_refused(archive, "not safe to unpack")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("yes/link")
    member.type = kind
    member.linkname = "../../etc"
    assert_refused(make_tar(tmp_path / "archive", FILES, extra=member), "a link or a device")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w") as opened:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(member, "/etc")
    assert_refused(archive, "a link or a device")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_bombs_are_refused_by_their_announced_size(tmp_path: Path, make: Callable[..., Path]) -> None:
    archive = make(tmp_path / "archive", {"zeros": bytes(3_000_000)})
    assert_refused(archive, "more than 2000000 bytes", max_bytes=2_000_000)
    assert_refused(
        make(tmp_path / "many", {f"{i}": bytes(500_000) for i in range(6)}), "more than", max_bytes=2_000_000
    )


def test_default_limit_follows_the_archive_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_extract, "_ALWAYS_ALLOWED_BYTES", 1_000_000)
    archive = make_tar(tmp_path / "archive", {"zeros": bytes(20_000_000)})
    assert archive.stat().st_size < 100_000
    assert_refused(archive, "far more than its size")


def test_header_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type = tarfile.XHDTYPE
    header.size = (1 << 33) - 1
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(100_000)))
    assert_refused(archive, "a header in it claims")


def test_endless_tail_is_refused(tmp_path: Path) -> None:
    plain = make_tar(tmp_path / "plain", {"a": b"x"}, "w")
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(plain.read_bytes() + bytes(60_000_000), 1))
    plain.unlink()
    assert_refused(archive, "far more than its size", max_bytes=1_000_000)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_extract, "_MOST_MEMBERS", 2)
    assert_refused(make_zip(tmp_path / "archive", FILES), "more than 2 members")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_truncated_tar_is_refused(tmp_path: Path, mode: str) -> None:
    archive = make_tar(tmp_path / "archive", {f"{i}": bytes(range(256)) * 40 for i in range(20)}, mode)
    archive.write_bytes(archive.read_bytes()[:-20])
    assert_refused(archive, "damaged")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_every_flipped_byte_gives_the_files_or_an_archive_error(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    whole = make(tmp_path / "archive", {"yes/a.wav": b"abc" * 40, "no/b.wav": b"def"}).read_bytes()
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / "archive"
    for position in range(0, len(whole), 3):
        archive.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            extract_archive(archive, tmp_path / "in" / "out", clean_dest_dir=True)
        except ArchiveError:
            continue
        finally:
            assert not (tmp_path / "in" / ".out.extracting").exists()


@pytest.mark.parametrize(
    "content", [b"", b"not an archive at all", bytes(2000), b"7z\xbc\xaf\x27\x1c" + bytes(100)]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "archive").write_bytes(content)
    if content == bytes(2000):  # a tar may consist of end marks alone
        assert tree(extract_archive(tmp_path / "archive", tmp_path / "out")) == {}
    else:
        assert_refused(tmp_path / "archive", "damaged|7z")


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "archive", {"a": b"x"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert_refused(archive, "damaged.*(password|encrypted)")


def test_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="There is no archive"):
        extract_archive(tmp_path / "none", tmp_path / "out")


def test_root_folder_is_removed_on_wish(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", {"root/yes/a.wav": b"x", "root/no/b.wav": b"y"})
    assert tree(extract_archive(archive, tmp_path / "out", remove_root_dir=True)) == {
        "yes/a.wav": b"x",
        "no/b.wav": b"y",
    }
    archive = make_tar(tmp_path / "archive", {"root/yes/a.wav": b"x", "README": b"y"})
    assert "root/yes/a.wav" in tree(extract_archive(archive, tmp_path / "two", remove_root_dir=True))


def test_an_existing_folder_is_merged_or_cleaned(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "yes").mkdir(parents=True)
    (out / "yes" / "mine.wav").write_bytes(b"mine")
    (out / "yes" / "a.wav").write_bytes(b"old")
    archive = make_tar(tmp_path / "archive", FILES)
    extract_archive(archive, out, last_files={"mark": "whole"})
    assert tree(out) == {**FILES, "yes/mine.wav": b"mine", "mark": b"whole"}
    extract_archive(archive, out, clean_dest_dir=True)
    assert tree(out) == FILES


def test_a_failed_unpacking_leaves_the_old_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract_archive(make_tar(tmp_path / "archive", FILES), out)
    bad = make_tar(tmp_path / "bad", {"yes/a.wav": b"new", "../evil": b"x"})
    with pytest.raises(ArchiveError):
        extract_archive(bad, out, clean_dest_dir=True)
    assert tree(out) == FILES


def test_what_a_killed_process_left_does_not_disturb(tmp_path: Path) -> None:
    stale = tmp_path / ".out.extracting"
    (stale / "yes").mkdir(parents=True)
    (stale / "yes" / "stale.wav").write_bytes(b"stale")
    assert tree(extract_archive(make_tar(tmp_path / "archive", FILES), tmp_path / "out")) == FILES
    assert not stale.exists()


def test_home_and_the_current_folder_are_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_tar(tmp_path / "archive", FILES)
    inside = tmp_path / "project" / "inside"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    with pytest.raises(MltkError, match="Refused to empty"):
        extract_archive(archive, tmp_path / "project", clean_dest_dir=True)
    assert inside.is_dir()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MltkError, match="file"):
        extract_archive(make_tar(tmp_path / "archive", FILES), tmp_path / "file" / "out")
