"""Downloads against a server on this machine: whole, cut, changed, refused, absent."""

import errno
import hashlib
import io
import json
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from loopback import Loopback, loopback_server

from mltk.utils import download
from mltk.utils.archive_downloader import download_url, download_verify_extract
from mltk.utils.errors import ArchiveError, DownloadError, MltkError

DATA = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(40_000))  # 1.28 MB
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback_server() as state:
        state.files["/data.bin"] = DATA
        yield state


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "FIRST_WAIT_SECONDS", 0.001)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def archive_bytes(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def test_whole_download_and_no_second_one(server: Loopback, tmp_path: Path) -> None:
    path = download_url(server.url("/data.bin"), tmp_path / "sub" / "x.bin", file_hash=SHA256.upper())
    assert Path(path).read_bytes() == DATA
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["x.bin"]
    download_url(server.url("/data.bin"), tmp_path / "sub" / "x.bin", file_hash=SHA256)
    assert len(server.requests) == 1


def test_default_place_is_the_users_downloads(server: Loopback, tmp_path: Path) -> None:
    server.files["/a/b%20c.bin"] = b"x"
    assert (
        Path(download_url(server.url("/a/b%20c.bin?q=1/2"))) == tmp_path / "cache" / "downloads" / "b c.bin"
    )
    assert download_url(server.url("/data.bin")) == str(tmp_path / "cache" / "downloads" / "data.bin")
    assert download_url(server.url("/data.bin"), f"{tmp_path}/folder/") == str(
        tmp_path / "folder" / "data.bin"
    )


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_algorithm_by_the_hash_length(server: Loopback, tmp_path: Path, algorithm: str) -> None:
    digest = hashlib.new(algorithm, DATA).hexdigest()
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=digest)).read_bytes() == DATA
    wrong = ("0" if digest[0] != "0" else "1") + digest[1:]
    with pytest.raises(DownloadError, match="expected " + wrong):
        download_url(server.url("/data.bin"), tmp_path / "y", file_hash=wrong)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x"]


@pytest.mark.parametrize("bad", ["abc", "z" * 64, "0" * 63])
def test_a_bad_hash_is_told_before_anything_is_downloaded(server: Loopback, tmp_path: Path, bad: str) -> None:
    with pytest.raises(DownloadError, match="not an MD5, SHA-1 or SHA-256"):
        download_url(server.url("/data.bin"), tmp_path / "x", file_hash=bad)
    assert server.requests == []


@pytest.mark.parametrize("file_hash", [SHA256, None])
def test_a_cut_connection_goes_on_where_it_stopped(
    server: Loopback, tmp_path: Path, file_hash: str | None
) -> None:
    server.cut_after = [500_000, 300_000]
    path = download_url(server.url("/data.bin"), tmp_path / "x", file_hash=file_hash)
    assert Path(path).read_bytes() == DATA
    assert [asked for _, asked in server.requests] == [None, "bytes=500000-", "bytes=800000-"]


def test_a_later_call_goes_on_where_the_first_one_gave_up(server: Loopback, tmp_path: Path) -> None:
    server.cut_after = [600_000, 0, 0]
    with pytest.raises(DownloadError, match=r"600000 of 1280000 bytes.*put it at") as caught:
        download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)
    assert str(tmp_path / "x") in str(caught.value)
    assert not (tmp_path / "x").exists()
    before = len(server.requests)
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA
    assert [asked for _, asked in server.requests[before:]] == ["bytes=600000-"]


def test_a_file_that_changed_meanwhile_starts_anew(server: Loopback, tmp_path: Path) -> None:
    server.cut_after = [600_000, 0, 0]
    with pytest.raises(DownloadError):
        download_url(server.url("/data.bin"), tmp_path / "x")
    server.files["/data.bin"], server.etag = DATA[::-1], '"two"'
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x")).read_bytes() == DATA[::-1]


def test_pieces_of_different_files_are_noticed_by_the_hash(server: Loopback, tmp_path: Path) -> None:
    """A server without validators: only the hash can tell."""
    server.etag = None
    server.files["/data.bin"] = DATA[::-1]
    server.cut_after = [600_000, 0, 0]
    with pytest.raises(DownloadError):
        download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)
    server.files["/data.bin"] = DATA
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA


def test_without_validator_and_hash_nothing_is_pieced_together(server: Loopback, tmp_path: Path) -> None:
    server.etag = None
    server.cut_after = [600_000]
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x")).read_bytes() == DATA
    assert [asked for _, asked in server.requests] == [None, None]


def test_a_server_without_ranges_sends_all_again(server: Loopback, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [600_000]
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA


def test_a_server_that_does_not_tell_the_length(server: Loopback, tmp_path: Path) -> None:
    server.send_length = False
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA


def test_killed_between_the_last_byte_and_the_renaming(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / ".x.part").write_bytes(DATA)
    note = {"url": "http://elsewhere/data.bin", "hash": SHA256, "validator": ""}
    (tmp_path / ".x.part.json").write_text(json.dumps(note))
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA
    assert [asked for _, asked in server.requests] == ["bytes=1280000-"]
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("note", ["", "[]", "{", '{"hash": 1}', '{"hash": null, "validator": {}}'])
def test_a_damaged_note_starts_anew(server: Loopback, tmp_path: Path, note: str) -> None:
    (tmp_path / ".x.part").write_bytes(b"garbage")
    (tmp_path / ".x.part.json").write_text(note)
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA


def test_a_busy_server_is_asked_again(server: Loopback, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert Path(download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_told_at_once(server: Loopback, tmp_path: Path, status: int) -> None:
    server.statuses = [status] * 5
    with pytest.raises(DownloadError, match=f"the server says {status}.*put it at"):
        download_url(server.url("/data.bin"), tmp_path / "x", file_hash=SHA256)
    assert len(server.requests) == 1


def test_no_way_to_the_server_says_where_to_put_the_file(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}/data.bin"
    with pytest.raises(DownloadError, match=r"(?i)refused.*check the network") as caught:
        download_url(url, tmp_path / "x", file_hash=SHA256)
    for part in (url, SHA256, str(tmp_path / "x")):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_redirections_are_followed_but_not_out_of_http(server: Loopback, tmp_path: Path) -> None:
    with loopback_server() as other:
        other.redirect_to = server.url("/data.bin")
        assert (
            Path(download_url(other.url("/any.bin"), tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA
        )
        for place in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
            other.redirect_to = place
            with pytest.raises(DownloadError):
                download_url(other.url("/any.bin"), tmp_path / "y")
        other.redirect_to = other.url("/any.bin")
        with pytest.raises(DownloadError, match="302"):
            download_url(other.url("/any.bin"), tmp_path / "y")


@pytest.mark.parametrize(
    "url", ["", "data.bin", "ftp://host/x", "http://", "http://[::1/x", "javascript:1", "C:\\x"]
)
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="give a URL"):
        download_url(url, tmp_path / "x")


def test_a_local_file_can_be_the_mirror(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    url = (tmp_path / "data.bin").as_uri()
    assert Path(download_url(url, tmp_path / "x", file_hash=SHA256)).read_bytes() == DATA
    with pytest.raises(DownloadError, match="There is no file at"):
        download_url(url + ".none", tmp_path / "y")


def test_too_little_room_is_told_before_the_download(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(DownloadError, match="1 MB large, but only 0 MB"):
        download_url(server.url("/data.bin"), tmp_path / "x")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_a_part(source: Path, target: Path) -> None:
        target.write_bytes(DATA[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.shutil, "copyfile", copy_a_part)
    (tmp_path / "data.bin").write_bytes(DATA)
    with pytest.raises(MltkError, match="No space left"):
        download_url((tmp_path / "data.bin").as_uri(), tmp_path / "x")
    assert [file.name for file in tmp_path.iterdir()] == ["data.bin"]


def test_a_file_where_the_folder_should_be(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MltkError, match="file"):
        download_url(server.url("/data.bin"), tmp_path / "file" / "x")


class TestDownloadVerifyExtract:
    FILES: ClassVar = {"root/yes/a.wav": b"a" * 1000, "root/no/b.wav": b"b" * 1000}

    @pytest.fixture
    def archive(self, server: Loopback) -> bytes:
        data = archive_bytes(self.FILES)
        server.files["/set.tar.gz"] = data
        return data

    def test_names_of_the_seeds(self, server: Loopback, archive: bytes, tmp_path: Path) -> None:
        path = download_verify_extract(
            server.url("/set.tar.gz"),
            dest_dir=f"{tmp_path}/out",
            file_hash=hashlib.md5(archive).hexdigest(),
            show_progress=True,
            remove_root_dir=True,
            clean_dest_dir=False,
        )
        assert (Path(path) / "yes" / "a.wav").read_bytes() == b"a" * 1000

    def test_default_folder_and_no_second_time(
        self, server: Loopback, archive: bytes, tmp_path: Path
    ) -> None:
        for _ in range(2):
            path = download_verify_extract(server.url("/set.tar.gz"))
            assert path == str(tmp_path / "cache" / "set")
        assert len(server.requests) == 1
        assert (Path(path) / "root" / "yes" / "a.wav").is_file()

    def test_a_mirror_of_the_same_archive_is_not_unpacked_again(
        self, server: Loopback, archive: bytes, tmp_path: Path
    ) -> None:
        digest = hashlib.sha256(archive).hexdigest()
        download_verify_extract(server.url("/set.tar.gz"), tmp_path / "out", file_hash=digest)
        (tmp_path / "out" / "root" / "yes" / "a.wav").write_bytes(b"mine")
        download_verify_extract("http://127.0.0.1:1/set.tar.gz", tmp_path / "out", file_hash=digest)
        assert (tmp_path / "out" / "root" / "yes" / "a.wav").read_bytes() == b"mine"

    def test_another_archive_is_unpacked(self, server: Loopback, archive: bytes, tmp_path: Path) -> None:
        download_verify_extract(server.url("/set.tar.gz"), tmp_path / "out")
        changed = archive_bytes({"root/yes/a.wav": b"changed"})
        server.files["/set.tar.gz"] = changed
        digest = hashlib.sha1(changed).hexdigest()
        download_verify_extract(server.url("/set.tar.gz"), tmp_path / "out", file_hash=digest)
        assert (tmp_path / "out" / "root" / "yes" / "a.wav").read_bytes() == b"changed"
        assert (tmp_path / "out" / "root" / "no" / "b.wav").is_file()

    def test_a_folder_without_the_mark_is_not_whole(
        self, server: Loopback, archive: bytes, tmp_path: Path
    ) -> None:
        (tmp_path / "out" / "root" / "yes").mkdir(parents=True)
        download_verify_extract(server.url("/set.tar.gz"), tmp_path / "out")
        assert (tmp_path / "out" / "root" / "no" / "b.wav").is_file()

    def test_wrong_hash_unpacks_nothing(self, server: Loopback, archive: bytes, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match="not the file that was announced"):
            download_verify_extract(server.url("/set.tar.gz"), tmp_path / "out", file_hash="0" * 64)
        assert not (tmp_path / "out").exists()
        assert list((tmp_path / "cache" / "downloads").iterdir()) == []

    def test_hostile_archive_leaves_nothing(self, server: Loopback, tmp_path: Path) -> None:
        server.files["/set.tar.gz"] = archive_bytes({"yes/a.wav": b"a", "../../evil": b"x"})
        with pytest.raises(ArchiveError, match="evil"):
            download_verify_extract(server.url("/set.tar.gz"), tmp_path / "out")
        assert sorted(file.name for file in tmp_path.iterdir()) == ["cache"]

    def test_download_only(self, server: Loopback, archive: bytes, tmp_path: Path) -> None:
        path = download_verify_extract(server.url("/set.tar.gz"), extract=False, archive_fname="name.tgz")
        assert path == str(tmp_path / "cache" / "downloads" / "name.tgz")

    def test_a_url_without_a_name(self, server: Loopback) -> None:
        with pytest.raises(DownloadError, match="names no file"):
            download_verify_extract(server.url("/"))
