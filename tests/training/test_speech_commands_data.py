"""Which clips are in which part, and what becomes of them in training."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speech_commands_words import FEATURES, SPEAKERS, settings, write_words

from mltk.audio.read import read_audio_file
from mltk.audio.write import write_audio_file
from mltk.datasets.feed_recipe import ClipCache, Item
from mltk.datasets.selection import Clip
from mltk.frontend.apply import apply_frontend
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.training.speech_commands.data import (
    PARTS,
    StepFeed,
    find_parts,
    fixed_feed,
    make_recipe,
    part_of,
)
from mltk.training.speech_commands.settings import DataSettings, FeatureSettings
from mltk.utils.errors import DatasetError

CLASSES = ["_silence_", "_unknown_", "yes", "no"]
SHARED = Path(os.environ.get("MLTK_SHARED_DIR", Path(__file__).parents[3] / "shared"))
SPEECH = Path(os.environ.get("MLTK_SPEECH_DIR", SHARED / "speech"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words"))


def test_the_readmes_clips_are_of_the_test_set() -> None:
    # The first README takes them out of speech_commands_test_set_v0.02
    assert part_of("f2e59fea", 10, 10) == part_of("f9643d42", 10, 10) == "testing"


def test_parts_are_the_official_ones() -> None:
    manifest = SPEECH / "manifest.csv"
    if not manifest.is_file():
        pytest.skip(f"the recordings of {SPEECH} are not on this machine")
    counts: Counter[tuple[str, str]] = Counter()
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if "_nohash_" in row["path"]:
                counts[row["path"].split("/")[0], part_of(row["speaker"], 10, 10)] += 1
    # commands: out of the official test set; words: out of the other two
    assert (
        counts["commands", "testing"]
        == sum(n for (folder, _), n in counts.items() if folder == "commands")
        > 2000
    )
    assert counts["words", "testing"] == 0
    assert counts["words", "validation"] > 50


def data_settings(folder: Path, **flags: Any) -> DataSettings:
    shares = {"validation_percentage": 20, "testing_percentage": 20, **flags}
    return DataSettings(data_dir=str(folder), silence_percentage=25, unknown_percentage=30, **shares)


def test_parts_share_no_speaker_and_have_their_percentages(words: Path) -> None:
    parts = find_parts(CLASSES, data_settings(words))
    assert parts.noise == (str(words / "_background_noise_" / "hum.wav"),)
    speakers = {part: {clip.speaker for clip in parts.clips[part] if clip.path} for part in PARTS}
    assert not speakers["training"] & speakers["validation"]
    assert not speakers["training"] & speakers["testing"]
    assert not speakers["validation"] & speakers["testing"]
    assert set().union(*speakers.values()) <= set(SPEAKERS)
    n_words = 0
    for part in PARTS:
        counts = Counter(clip.class_id for clip in parts.clips[part])
        assert counts[2] == counts[3] >= 3
        n_words += counts[2]
        assert counts[0] == -(-2 * counts[2] * 25 // 100)
        assert counts[1] == -(-2 * counts[2] * 30 // 100)
        assert [clip.index for clip in parts.clips[part]] == list(range(sum(counts.values())))
    assert n_words == len(SPEAKERS)
    assert "training" in parts.summary()


def test_recorded_silence_and_unknown_words_are_what_they_are_called(words: Path, tmp_path: Path) -> None:
    for word in ("yes", "no"):
        (tmp_path / word).symlink_to(words / word)
    noise = np.zeros(4000, np.float32)
    for folder in ("_silence_", "_unknown_"):
        (tmp_path / folder).mkdir()
        for speaker in SPEAKERS:
            write_audio_file(str(tmp_path / folder / f"{speaker}_nohash_0.wav"), noise, 16000)
    parts = find_parts(CLASSES, data_settings(tmp_path))
    for part in PARTS:
        for clip in parts.clips[part]:
            assert clip.path is not None
            assert Path(clip.path).parent.name == CLASSES[clip.class_id]


def test_a_manifest_tells_speakers(words: Path, tmp_path: Path) -> None:
    rows = ["path,speaker"]
    for word in ("yes", "no", "up"):
        (tmp_path / word).symlink_to(words / word)
        rows += [f"{word}/{speaker}_nohash_0.wav,one person" for speaker in SPEAKERS]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    part = part_of("one person", 20, 20)
    assert part == "training"
    parts = find_parts(CLASSES, data_settings(tmp_path))
    assert not parts.clips["validation"]
    assert len(parts.clips["training"]) > 80


def test_missing_words_and_empty_parts_are_told(words: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='class "stop" has no clips'):
        find_parts([*CLASSES, "stop"], data_settings(words))
    (tmp_path / "yes").mkdir()
    tested = next(speaker for speaker in SPEAKERS if part_of(speaker, 20, 20) == "testing")
    write_audio_file(str(tmp_path / "yes" / f"{tested}_nohash_0.wav"), np.zeros(400, np.float32), 16000)
    with pytest.raises(DatasetError, match='"yes" has no clips to train with'):
        find_parts(CLASSES[:3], data_settings(tmp_path))
    with pytest.raises(DatasetError, match="no data set folder"):
        find_parts(CLASSES, data_settings(tmp_path / "missing"))


def test_clips_are_moved_and_noise_is_mixed_in(words: Path, tmp_path: Path) -> None:
    chosen = settings(words, tmp_path, background_frequency=0.5, background_volume=0.1, time_shift_ms=50.0)
    parts = find_parts(CLASSES, chosen.data)
    recipe = make_recipe(parts, chosen.model.features, 1, chosen)
    path = tmp_path / "click.wav"
    click = np.zeros(4000, np.float32)
    click[2000] = 0.9
    write_audio_file(str(path), click, 16000)
    cache = ClipCache()
    made = [recipe.make_sample(Item(str(path), 2, index), 0, 4000, cache) for index in range(300)]
    shifts = np.array([int(np.argmax(sample)) - 2000 for sample in made])
    assert -800 <= shifts.min() < -600
    assert 600 < shifts.max() <= 800
    noisy = [float(np.abs(np.delete(sample, np.argmax(sample))).max()) > 0 for sample in made]
    assert 0.4 < np.mean(noisy) < 0.6
    # The same clip and index: the same sample, whatever the epoch
    again = recipe.make_sample(Item(str(path), 2, 7), 3, 4000, cache)
    np.testing.assert_array_equal(again, made[7])
    measured = make_recipe(parts, chosen.model.features)
    np.testing.assert_allclose(measured.make_sample(Item(str(path), 2, 0), 0, 4000, cache), click, atol=1e-4)


@pytest.mark.parametrize("kind", ["micro", "average"])
def test_warm_up_is_heard_by_the_frontend_alone(words: Path, tmp_path: Path, kind: str) -> None:
    features = {"preprocess": kind, "quantize": True}
    none = {"background_volume": 0.0, "time_shift_ms": 0.0}
    chosen = settings(words, tmp_path, features=features, **none, warmup_ms=190)
    parts = find_parts(CLASSES, chosen.data)
    items = [Item(clip.path, 2, 0) for clip in parts.clips["training"] if clip.path is not None][:4]

    def made(**flags: Any) -> Any:
        told = settings(words, tmp_path, features=features, **{**none, **flags})
        return make_recipe(parts, told.model.features, 1, told).make_batch(items, 0, ClipCache())[0]

    plain, warm = made(), made(warmup_ms=190)
    assert warm.shape == plain.shape
    if kind == "average":
        np.testing.assert_array_equal(warm, plain)
        return
    # 190 ms are rounded up to whole steps of 20 ms; without noise they are zeros.
    clip, _ = read_audio_file(str(items[0].path), return_sample_rate=True)
    longer = np.concatenate([np.zeros(3200, np.float32), clip])
    told = AudioFeatureGeneratorSettings(**chosen.model.features.frontend_settings, sample_length_ms=450)
    np.testing.assert_array_equal(warm[0, ..., 0], apply_frontend(longer, told, np.int8)[-12:])
    noisy = {"background_volume": 0.1, "background_frequency": 1.0}
    differs = not np.array_equal(made(**noisy, warmup_ms=190), made(**noisy))
    assert differs


def test_steps_do_not_depend_on_where_a_training_began(words: Path, tmp_path: Path) -> None:
    chosen = settings(words, tmp_path)
    parts = find_parts(CLASSES, chosen.data)

    def feed(offset: int) -> StepFeed:
        recipe = make_recipe(parts, chosen.model.features, 9, chosen)
        clips = parts.clips["training"]
        return StepFeed(recipe, clips, batch_size=5, steps=3, offset=offset, n_workers=0)

    whole = feed(0)
    batches = [batch for epoch in range(3) for batch in whole.epoch(epoch)]
    assert len(batches) == 9
    late = list(feed(1).epoch(1))  # step 4 on
    for (x, y), (x_late, y_late) in zip(batches[4:7], late, strict=True):
        np.testing.assert_array_equal(x, x_late)
        np.testing.assert_array_equal(y, y_late)
    assert not np.array_equal(batches[0][0], batches[1][0])
    assert batches[0][0].shape == (5, *chosen.model.features.shape, 1)
    assert batches[0][0].dtype == np.int8


@pytest.mark.parametrize("kind", ["micro", "average", "mfcc"])
@pytest.mark.parametrize("quantize", [True, False])
def test_every_kind_of_features_is_fed(words: Path, kind: str, quantize: bool) -> None:
    features = FeatureSettings(**{**FEATURES, "preprocess": kind, "quantize": quantize})
    parts = find_parts(CLASSES, data_settings(words))
    with fixed_feed(parts, parts.clips["testing"], features) as feed:
        x, y = next(iter(feed))
    assert x.shape[1:] == (*features.shape, 1)
    assert x.dtype == (np.int8 if quantize else np.float32)
    assert y.shape == (len(x), 4)
    assert x.std() > 0


def test_silence_without_noise_recordings_is_made(tmp_path: Path) -> None:
    parts = find_parts(CLASSES, data_settings(write_words(tmp_path / "words")))
    quiet = type(parts)(parts.classes, parts.clips, ())
    silent = [Clip(None, 0, index, "") for index in range(8)]
    with fixed_feed(quiet, silent, FeatureSettings(**FEATURES)) as feed:
        x, _ = next(iter(feed))
    assert len(x) == 8
