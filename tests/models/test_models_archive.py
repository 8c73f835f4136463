"""Archives: read, changed whole or not at all, and hostile ones refused before anything is unpacked."""

import io
import os
import stat
import struct
import zipfile

import pytest

from mltk.models import archive as archive_module
from mltk.models.archive import ModelArchive
from mltk.utils.errors import ArchiveError, MltkError

MEMBERS = {
    "m.py": b"raise SystemExit('executed')\n",
    "m.keras": b"keras",
    "m.tflite": bytes(range(256)) * 40,
    "m.tflite.summary.txt": b"summary",
    "train/log.txt": b"log\n" * 1000,
    "eval/tflite/eval-results.json": b"{}",
}


@pytest.fixture
def path(tmp_path):
    ModelArchive.create(tmp_path / "m.mltk.zip", MEMBERS)
    return tmp_path / "m.mltk.zip"


def write_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in members:
            target.writestr(name, data)
    return path


def test_created_archive_reads_back_with_any_zip_reader(path):
    with zipfile.ZipFile(path) as source:
        assert source.testzip() is None
        assert {name: source.read(name) for name in source.namelist()} == MEMBERS
        assert {info.compress_type for info in source.infolist()} == {zipfile.ZIP_DEFLATED}
    archive = ModelArchive.open(path)
    assert archive.names == list(MEMBERS)
    assert {name: archive.read(name) for name in archive.names} == MEMBERS
    assert "m.py" in archive
    assert "x.py" not in archive


def test_contents_by_role(path):
    archive = ModelArchive(path)
    assert archive.name == "m"
    assert archive.specification() == ("m.py", MEMBERS["m.py"])
    assert archive.tflite_bytes() == MEMBERS["m.tflite"]
    assert archive.keras_member() == "m.keras"
    assert not archive.is_test


def test_dry_run_archive_has_its_own_names(tmp_path):
    members = {"m.py": b"", "m.test.h5": b"h5", "m.test.tflite": b"t", "m.test.float32.tflite": b"f"}
    archive = ModelArchive.create(tmp_path / "m-test.mltk.zip", members)
    assert archive.is_test
    assert archive.name == "m"
    assert archive.tflite_bytes() == b"t"
    assert archive.keras_member() == "m.test.h5"


def test_renamed_archive_still_knows_its_model(path):
    renamed = path.rename(path.with_name("m (1).mltk.zip"))
    archive = ModelArchive(renamed)
    assert archive.name == "m"
    assert archive.tflite_bytes() == MEMBERS["m.tflite"]


def test_published_archives(shared_dir):
    for name, count, size in (("keyword_spotting_alexa", 25, 207460), ("tflite_micro_speech", 22, 21616)):
        archive = ModelArchive(shared_dir / "models" / f"{name}.mltk.zip")
        assert len(archive.names) == count
        assert archive.name == name
        assert len(archive.tflite_bytes()) == size
        assert archive.keras_member() == f"{name}.h5"


def test_update_changes_what_it_says_and_nothing_else(path):
    archive = ModelArchive(path)
    archive.update({"m.tflite": b"new", "eval/tflite/summary.txt": b"s", "m.keras": None})
    expected = {**MEMBERS, "m.tflite": b"new", "eval/tflite/summary.txt": b"s"}
    del expected["m.keras"]
    again = ModelArchive(path)
    assert {name: again.read(name) for name in again.names} == expected
    assert sorted(archive.names) == sorted(again.names)
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.mltk.zip"]


def test_update_keeps_dates_of_other_members(shared_dir, tmp_path):
    path = tmp_path / "tflite_micro_speech.mltk.zip"
    path.write_bytes((shared_dir / "models" / path.name).read_bytes())
    with zipfile.ZipFile(path) as source:
        before = {info.filename: (info.date_time, info.CRC) for info in source.infolist()}
    ModelArchive(path).update({"note.txt": b"n"})
    with zipfile.ZipFile(path) as source:
        after = {info.filename: (info.date_time, info.CRC) for info in source.infolist()}
    after.pop("note.txt")
    assert after == before


def test_update_that_fails_in_the_middle_leaves_the_old_file(path, monkeypatch):
    old = path.read_bytes()
    archive = ModelArchive(path)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(MltkError, match="No space left"):
        archive.update({"m.tflite": b"new"})
    assert path.read_bytes() == old
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.mltk.zip"]


@pytest.mark.skipif(os.name == "nt", reason="folders have no such permission bits")
def test_update_in_a_read_only_folder(path):
    path.parent.chmod(0o555)
    try:
        with pytest.raises(MltkError, match="Can not write"):
            ModelArchive(path).update({"m.tflite": b"new"})
        with pytest.raises(MltkError, match="Can not write"):
            ModelArchive.create(path, {"m.tflite": b"new"})
    finally:
        path.parent.chmod(0o755)


def test_extract_writes_below_the_folder(path, tmp_path):
    files = ModelArchive(path).extract(tmp_path / "out", ["train/log.txt", "m.tflite"])
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == ["train/log.txt", "m.tflite"]
    assert files[0].read_bytes() == MEMBERS["train/log.txt"]
    ModelArchive(path).extract(tmp_path / "all")
    found = {p.relative_to(tmp_path / "all").as_posix() for p in (tmp_path / "all").rglob("*") if p.is_file()}
    assert found == set(MEMBERS)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/etc/evil",
        "a/../../evil",
        "C:evil.txt",
        "C:/evil",
        "a//b",
        "./a",
        "..",
        "a/./b",
        "a\nb",
        "a\x1b[2Jb",
        "a\x9bb",
    ],
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    path = write_zip(tmp_path / "m.mltk.zip", [("m.py", b""), (name, b"x")])
    with pytest.raises(ArchiveError, match=r"m\.mltk\.zip has a member with the name"):
        ModelArchive(path)
    with pytest.raises(ArchiveError, match="leads out of a folder"):
        ModelArchive.create(tmp_path / "n.mltk.zip", {name: b""})
    assert not (tmp_path / "n.mltk.zip").exists()


def test_backslashes_are_refused(tmp_path):
    # zipfile turns the system's separator into '/' when it writes; a stranger's tool need not.
    path = write_zip(tmp_path / "m.mltk.zip", [("m.py", b""), ("a/evil.txt", b"x")])
    path.write_bytes(path.read_bytes().replace(b"a/evil.txt", b"a\\evil.txt"))
    if os.sep == "\\":
        pytest.skip("zipfile reads a backslash as '/' here")
    with pytest.raises(ArchiveError, match="leads out of a folder"):
        ModelArchive(path)


def test_links_and_devices_are_refused(tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        info = zipfile.ZipInfo("m.tflite")
        info.external_attr = (kind | 0o777) << 16
        info.create_system = 3
        path = write_zip(tmp_path / "m.mltk.zip", [(info, b"/etc/passwd")])
        with pytest.raises(ArchiveError, match="link or device"):
            ModelArchive(path)


def test_twice_the_same_name_is_refused(tmp_path):
    for second in ("m.tflite", "M.TFLITE"):
        with pytest.warns(UserWarning, match="Duplicate") if second == "m.tflite" else _nothing():
            path = write_zip(tmp_path / "m.mltk.zip", [("m.tflite", b"a"), (second, b"b")])
        with pytest.raises(ArchiveError, match="twice"):
            ModelArchive(path)


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = bytes(archive_module.RATIO_FREE_SIZE + 1)
    path = write_zip(tmp_path / "m.mltk.zip", [("m.tflite", bomb)])
    assert path.stat().st_size < 100_000
    with pytest.raises(ArchiveError, match="unpacks to far more"):
        ModelArchive(path)


def test_announced_sizes_above_the_limit_are_refused(path):
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, archive_module.MAX_MEMBER_SIZE + 1)
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="more than a model archive may hold"):
        ModelArchive(path)


def test_announced_size_that_is_a_lie_is_damage(path):
    for lie in (1, 100_000):
        data = bytearray(path.read_bytes())
        entry = data.index(b"PK\x01\x02")
        struct.pack_into("<I", data, entry + 24, lie)
        path.write_bytes(data)
        with pytest.raises(ArchiveError, match=r"damaged.*m\.py"):
            ModelArchive(path).read("m.py")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 3)
    path = write_zip(tmp_path / "m.mltk.zip", [(f"{i}.txt", b"") for i in range(4)])
    with pytest.raises(ArchiveError, match="4 members"):
        ModelArchive(path)


def test_other_compressions_and_encryption_are_refused(tmp_path):
    path = write_zip(tmp_path / "m.mltk.zip", [("m.tflite", b"x" * 100)], zipfile.ZIP_LZMA)
    with pytest.raises(ArchiveError, match="compression other than deflate"):
        ModelArchive(path)
    path = write_zip(tmp_path / "e.mltk.zip", [("m.tflite", b"x" * 100)])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="encrypted"):
        ModelArchive(path)


def test_damage_is_an_archive_error(path):
    """Any single damaged byte, and any truncation, gives the right bytes or an ArchiveError."""
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        _read_everything(path)
    for length in range(0, len(whole), 53):
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveError):
            ModelArchive(path)


def _read_everything(path):
    try:
        archive = ModelArchive(path)
        for name in archive.names:
            data = archive.read(name)
            assert name not in MEMBERS or data == MEMBERS[name]
    except ArchiveError:
        pass


def test_missing_and_wrong_files(tmp_path):
    with pytest.raises(ArchiveError, match="no model archive"):
        ModelArchive(tmp_path / "none.mltk.zip")
    with pytest.raises(ArchiveError, match="no model archive"):
        ModelArchive(tmp_path)
    (tmp_path / "text.mltk.zip").write_text("hello")
    with pytest.raises(ArchiveError, match="is not a model archive"):
        ModelArchive(tmp_path / "text.mltk.zip")


def test_missing_members_say_what_there_is(tmp_path):
    archive = ModelArchive.create(tmp_path / "m.mltk.zip", {"m.py": b""})
    with pytest.raises(ArchiveError, match=r"no 'm\.h5': it has m\.py"):
        archive.read("m.h5")
    with pytest.raises(ArchiveError, match=r"has no \.tflite: make it with 'mltk quantize m'"):
        archive.tflite_bytes()
    with pytest.raises(ArchiveError, match="no float model"):
        archive.keras_member()


def test_zip_without_a_specification_is_not_a_model(tmp_path):
    archive = ModelArchive.create(tmp_path / "m.mltk.zip", {"readme.txt": b""})
    with pytest.raises(ArchiveError, match=r"no 'm\.py'"):
        archive.specification()


def test_folders_in_the_index_are_no_members(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.mkdir("train")
        target.writestr("train/log.txt", b"x")
    (tmp_path / "m.mltk.zip").write_bytes(buffer.getvalue())
    assert ModelArchive(tmp_path / "m.mltk.zip").names == ["train/log.txt"]
