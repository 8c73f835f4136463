"""Which class a model should find in each clip of any folder."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from mltk.datasets.scoring import clips_for_scoring
from mltk.utils.errors import DatasetError

FOLDERS = {"yes": 3, "no": 2, "up": 4, "_unknown_": 5, "_silence_": 6, "_background_noise_": 7}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for word, count in FOLDERS.items():
        (tmp_path / word).mkdir()
        for i in range(count):
            (tmp_path / word / f"{i:08x}_nohash_0.wav").write_bytes(b"x")
    return tmp_path


def test_every_clip_has_its_class(dataset: Path) -> None:
    scoring = clips_for_scoring(dataset, ["no", "yes", "_silence_", "_unknown_"])
    assert scoring.counts() == {"no": 2, "yes": 3, "_silence_": 13, "_unknown_": 9}
    assert scoring.left_out == {}
    assert [clip.index for clip in scoring.clips] == list(range(27))
    found = Counter(
        (Path(clip.path or "").parent.name, scoring.classes[clip.class_id]) for clip in scoring.clips
    )
    assert found[("up", "_unknown_")] == 4
    assert found[("_background_noise_", "_silence_")] == 7
    assert {clip.speaker for clip in scoring.clips} == {f"{i:08x}" for i in range(7)}


def test_what_no_class_stands_for_is_left_out_and_told(
    dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mltk"):
        scoring = clips_for_scoring(dataset, ["yes", "no"])
    assert scoring.counts() == {"yes": 3, "no": 2}
    assert scoring.left_out == {"up": 4, "_unknown_": 5, "_silence_": 6, "_background_noise_": 7}
    assert "up (4)" in caplog.text
    # Silence is no unknown word.
    assert clips_for_scoring(dataset, ["yes", "_unknown_"]).left_out == {
        "_silence_": 6,
        "_background_noise_": 7,
    }


def test_classes_may_be_missing_but_not_all(dataset: Path) -> None:
    assert clips_for_scoring(dataset, ["yes", "stop"]).counts() == {"yes": 3, "stop": 0}
    with pytest.raises(DatasetError, match='"stop" has no clips'):
        clips_for_scoring(dataset, ["stop", "go"])


def test_noise_alone_is_silence(tmp_path: Path) -> None:
    (tmp_path / "_background_noise_").mkdir()
    (tmp_path / "_background_noise_" / "hum.wav").write_bytes(b"x")
    assert clips_for_scoring(tmp_path, ["yes", "_silence_"]).counts() == {"yes": 0, "_silence_": 1}
    with pytest.raises(DatasetError, match=r"no clips.*_background_noise_"):
        clips_for_scoring(tmp_path, ["yes", "no"])
