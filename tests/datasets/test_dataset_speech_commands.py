"""The official data set, from a mirror on this machine that serves a small archive of the same form."""

import hashlib
import io
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Loopback, loopback_server

from mltk.datasets.audio.speech_commands import speech_commands_v2
from mltk.datasets.selection import select_clips
from mltk.utils import download
from mltk.utils.errors import ArchiveError, DownloadError

WORDS = ("yes", "no", "up", "_background_noise_")


def archive_of(files: dict[str, bytes]) -> bytes:
    """Make an archive as the official one is: members start with ./, folders are members too."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for folder in sorted({str(Path(name).parent) for name in files}):
            member = tarfile.TarInfo(f"./{folder}")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


FILES = {
    f"{word}/{speaker:08x}_nohash_{i}.wav": hashlib.sha256(f"{word}{speaker}{i}".encode()).digest() * 40
    for word in WORDS
    for speaker in range(20)
    for i in range(2)
} | {"validation_list.txt": b"yes/00000000_nohash_0.wav\n", "README.md": b"text"}
ARCHIVE = archive_of(FILES)
HASH = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "FIRST_WAIT_SECONDS", 0.001)
    with loopback_server() as state:
        state.files["/mirror/sc.tgz"] = ARCHIVE
        monkeypatch.setenv("MLTK_SPEECH_COMMANDS_URL", state.url("/mirror/sc.tgz"))
        monkeypatch.setenv("MLTK_SPEECH_COMMANDS_HASH", HASH)
        yield state


def test_mirror_from_the_environment(server: Loopback, tmp_path: Path) -> None:
    folder = speech_commands_v2.load_data()
    assert folder == str(tmp_path / "cache" / "datasets" / "speech_commands" / "v2")
    selection = select_clips(folder, ["yes", "no", "_unknown_", "_silence_"])
    assert selection.counts("training")["yes"] + selection.counts("validation")["yes"] == 40
    assert len(selection.noise_training) + len(selection.noise_validation) == 40
    assert speech_commands_v2.download() == folder
    assert len(server.requests) == 1


def test_cut_connection(server: Loopback) -> None:
    server.cut_after = [len(ARCHIVE) // 3, len(ARCHIVE) // 3]
    folder = Path(speech_commands_v2.load_data())
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*.wav")} == {
        name for name in FILES if name.endswith(".wav")
    }
    assert [asked is None for _, asked in server.requests] == [True, False, False]


def test_a_mirror_with_another_archive_is_refused(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLTK_SPEECH_COMMANDS_HASH")
    with pytest.raises(
        DownloadError, match="expected af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
    ):
        speech_commands_v2.load_data()
    assert not (tmp_path / "cache" / "datasets" / "speech_commands" / "v2").exists()


def test_a_hostile_mirror_writes_nothing_outside(server: Loopback, tmp_path: Path) -> None:
    hostile = archive_of({**FILES, "yes/../../../../../evil.wav": b"x"})
    server.files["/mirror/sc.tgz"] = hostile
    with pytest.raises(ArchiveError, match="leads out of the folder"):
        speech_commands_v2.load_data(file_hash=hashlib.sha256(hostile).hexdigest())
    assert not list(tmp_path.rglob("evil.wav"))
    assert not (tmp_path / "cache" / "datasets" / "speech_commands" / "v2").exists()


def test_without_a_network_it_says_where_to_put_the_archive(server: Loopback, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/speech_commands_v0.02.tar.gz"
    place = tmp_path / "cache" / "downloads" / "speech_commands_v0.02.tar.gz"
    with pytest.raises(DownloadError, match="put it at") as caught:
        speech_commands_v2.load_data(url=url)
    assert str(place) in str(caught.value)
    assert HASH in str(caught.value)
    place.write_bytes(ARCHIVE)
    folder = speech_commands_v2.load_data(str(tmp_path / "mine"), url=url)
    assert (Path(folder) / "yes" / "00000000_nohash_0.wav").is_file()
    assert server.requests == []


def test_the_module_knows_the_official_archive() -> None:
    assert speech_commands_v2.URL == "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
    assert len(speech_commands_v2.SHA256) == 64
