"""The data sets that are some words of Speech Commands."""

import shutil
from pathlib import Path

import pytest

from mltk.datasets.audio import background_noise, on_off, ten_digits, yes_no
from mltk.datasets.audio.speech_commands import speech_commands_v2
from mltk.datasets.selection import select_clips
from mltk.utils.errors import DatasetError


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Speech Commands; load_data gives it as if it had been downloaded."""
    folder = tmp_path / "commands"
    for word in (*ten_digits.CLASSES, *yes_no.CLASSES, *on_off.CLASSES, "_background_noise_"):
        (folder / word).mkdir(parents=True)
        for speaker in range(10):
            (folder / word / f"{speaker:08x}_nohash_0.wav").write_bytes(word.encode())
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(speech_commands_v2, "load_data", lambda: str(folder))
    return folder


@pytest.mark.parametrize("module", [ten_digits, yes_no, on_off])
def test_words_others_and_noise(commands: Path, tmp_path: Path, module: object) -> None:
    folder = Path(module.load_data())  # type: ignore[attr-defined]
    classes = module.CLASSES  # type: ignore[attr-defined]
    assert folder.parent == tmp_path / "cache" / "datasets"
    assert {entry.name for entry in folder.iterdir() if entry.is_dir()} == {
        *classes,
        "_unknown_",
        "_background_noise_",
    }
    assert len(list((folder / "_unknown_").rglob("*.wav"))) == 10 * (14 - len(classes))
    selection = select_clips(folder, [*classes, "_unknown_"], validation_split=0.2)
    counts = selection.counts("training")
    assert all(counts[word] == 8 for word in classes)
    assert selection.noise_training
    assert not {c.speaker for c in selection.training} & {c.speaker for c in selection.validation}


def test_it_is_made_once_and_takes_no_room(commands: Path) -> None:
    folder = Path(yes_no.download())
    clip = folder / "yes" / "00000000_nohash_0.wav"
    assert clip.samefile(commands / "yes" / clip.name)
    clip.unlink()
    assert Path(yes_no.download()) == folder
    assert not clip.exists()
    shutil.rmtree(folder)
    assert Path(yes_no.load_data(str(folder.parent / "mine"))).name == "mine"


def test_copies_where_there_are_no_links(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert (Path(on_off.download()) / "on" / "00000000_nohash_0.wav").read_bytes() == b"on"


def test_a_word_is_missing(commands: Path, tmp_path: Path) -> None:
    shutil.rmtree(commands / "seven")
    with pytest.raises(DatasetError, match='The class "seven" has no clips'):
        ten_digits.download()
    assert not (tmp_path / "cache" / "datasets" / "ten_digits" / ".subset-mltk.json").exists()


def test_an_archive_of_ones_own(commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", commands)
    monkeypatch.setenv("MLTK_TEN_DIGITS_URL", Path(archive).as_uri())
    monkeypatch.setenv("MLTK_BACKGROUND_NOISE_URL", Path(archive).as_uri())
    assert (Path(ten_digits.download()) / "on" / "00000000_nohash_0.wav").is_file()
    assert Path(background_noise.download(str(tmp_path / "noise"))) == tmp_path / "noise"


def test_background_noise(commands: Path) -> None:
    assert Path(background_noise.load_data()) == commands / "_background_noise_"
    shutil.rmtree(commands / "_background_noise_")
    (commands / "_background_noise_").mkdir()
    with pytest.raises(DatasetError, match="no background noise"):
        background_noise.download()
