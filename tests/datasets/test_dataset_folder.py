"""What counts as a clip of a word, and what is said when there is none."""

import logging
import os
from pathlib import Path

import pytest

from mltk.datasets.folder import find_audio_files, find_clips
from mltk.utils.errors import DatasetError


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(clips: dict[str, list[Path]], root: Path) -> dict[str, list[str]]:
    return {word: [path.relative_to(root).as_posix() for path in paths] for word, paths in clips.items()}


def test_words_and_their_clips_in_order(tmp_path: Path) -> None:
    put(tmp_path, "yes/b.wav", "yes/a.FLAC", "yes/deep/er/c.ogg", "no/d.mp3", "_unknown_/e.wav")
    put(
        tmp_path, "yes/notes.txt", "yes/.hidden.wav", "yes/.cache/x.wav", ".git/y.wav", "top.wav", "README.md"
    )
    put(tmp_path, "_background_noise_/rain.wav")
    assert names(find_clips(tmp_path), tmp_path) == {
        "_unknown_": ["_unknown_/e.wav"],
        "no": ["no/d.mp3"],
        "yes": ["yes/a.FLAC", "yes/b.wav", "yes/deep/er/c.ogg"],
    }
    assert list(find_clips(str(tmp_path))) == ["_unknown_", "no", "yes"]


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/words/a.wav", "elsewhere/b.wav", "set/no/c.wav")
    root = tmp_path / "set"
    try:
        (root / "yes").symlink_to(tmp_path / "elsewhere" / "words", target_is_directory=True)
    except OSError:
        pytest.skip("this system lets no links be made")
    (root / "no" / "linked.wav").symlink_to(tmp_path / "elsewhere" / "b.wav")
    (root / "no" / "broken.wav").symlink_to(tmp_path / "nowhere.wav")
    (root / "no" / "self.wav").symlink_to(root / "no" / "self.wav")
    (root / "no" / "circle").symlink_to(root, target_is_directory=True)
    (root / "no" / "again").symlink_to(root / "no", target_is_directory=True)
    found = names(find_clips(root), root)
    assert found["yes"] == ["yes/a.wav"]
    assert found["no"][:2] == ["no/c.wav", "no/linked.wav"]
    assert len(found["no"]) == len(set(found["no"])) <= 6


def test_empty_files_and_folders_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "yes/a.wav")
    (tmp_path / "yes" / "empty.wav").touch()
    (tmp_path / "no").mkdir()
    with caplog.at_level(logging.WARNING, "mltk"):
        assert names(find_clips(tmp_path), tmp_path) == {"yes": ["yes/a.wav"]}
    assert os.path.join("yes", "empty.wav") in caplog.text  # noqa: PTH118
    assert "without recordings" in caplog.text
    assert "no" in caplog.messages[-1]


@pytest.mark.parametrize("make", ["missing", "file", "empty", "flat", "zero"])
def test_a_folder_that_is_no_data_set(tmp_path: Path, make: str) -> None:
    root = tmp_path / "set"
    if make == "file":
        root.write_text("x")
    elif make != "missing":
        root.mkdir()
    if make == "flat":
        put(root, "a.wav", "b.wav")
    if make == "zero":
        (root / "yes").mkdir()
        (root / "yes" / "a.wav").touch()
    said = {"missing": "There is no data set folder", "file": "is a file where"}.get(
        make, "has no sub-folders"
    )
    with pytest.raises(DatasetError, match=said) as caught:
        find_clips(root)
    assert str(root) in str(caught.value)


def test_a_name_that_no_system_takes() -> None:
    with pytest.raises(DatasetError):
        find_clips("a\0b")


def test_audio_files_of_one_folder(tmp_path: Path) -> None:
    put(tmp_path, "b.wav", "a/c.flac", "README.md")
    assert [path.name for path in find_audio_files(tmp_path)] == ["b.wav", "c.flac"]
