"""Features come back through shared memory: the same ones, and nothing of it stays."""

import itertools

import numpy as np
import pytest
import soundfile

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.feed_slots import SlotRing, write
from mltk.datasets.selection import Clip
from mltk.frontend.settings import AudioFeatureGeneratorSettings

RATE = 16000


def test_slots_carry_batches_and_are_given_back():
    ring = SlotRing(2, 100)
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    first, second = ring.take(), ring.take()
    assert first is not None
    assert second is not None
    assert ring.take() is None
    assert write(first, x)
    assert write(second, -x)
    np.testing.assert_array_equal(ring.copy(first, x.shape, x.dtype), x)
    np.testing.assert_array_equal(ring.copy(second, x.shape, x.dtype), -x)
    assert not write(first, np.zeros(26, np.float32))  # larger than the slot
    ring.give_back(first)
    assert ring.take() == first
    ring.close()
    ring.close()


def test_a_slot_that_is_gone_is_told():
    ring = SlotRing(1, 64)
    slot = ring.take()
    assert slot is not None
    ring.close()
    assert not write(slot, np.zeros(8))


def test_a_feed_with_a_cache_gives_what_one_without_workers_gives(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    clips = []
    for number in range(6):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.integers(-9000, 9000, RATE, dtype=np.int16), RATE, subtype="PCM_16")
        clips.append(Clip(str(path), number % 2, number, "someone"))
    settings = AudioFeatureGeneratorSettings(sample_length_ms=1000, window_size_ms=30, window_step_ms=20)

    def batches(**options):
        generator = ParallelAudioDataGenerator(frontend_settings=settings, dtype="int8", **options)
        with generator.feed(clips, n_classes=2, batch_size=4) as feed:
            made = [batch for epoch in range(3) for batch in feed]
            return [x for x, _ in made], [y for _, y in made], feed._ring is not None

    want_x, want_y, _ = batches(debug=True)
    monkeypatch.setenv("MLTK_CLIP_CACHE_MB", "10")
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "user"))
    for _ in range(2):  # filling the cache, and out of it
        x, y, shared = batches(cores=1, max_batches_pending=2)
        assert shared
        assert len(x) == 6
        for got, want in zip(x + y, want_x + want_y, strict=True):
            np.testing.assert_array_equal(got, want)
    assert len([path for path in (tmp_path / "user/clips/v1").rglob("*") if path.is_file()]) == 6


def test_no_shared_memory_is_no_obstacle(tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mltk.datasets.feed_epochs.SlotRing", none)
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(RATE, np.int16), RATE, subtype="PCM_16")
    settings = AudioFeatureGeneratorSettings(sample_length_ms=1000)
    generator = ParallelAudioDataGenerator(frontend_settings=settings, cores=1)
    with generator.feed([Clip(str(path), 0, 0, "someone")] * 5, n_classes=1, batch_size=2) as feed:
        assert [len(x) for x, _ in feed] == [2, 2, 1]


@pytest.mark.parametrize("n_bytes", [1, 64, 65])
def test_slots_do_not_overlap(n_bytes):
    ring = SlotRing(3, n_bytes)
    slots = sorted(slot.offset for _ in range(3) if (slot := ring.take()) is not None)
    ring.close()
    assert len(slots) == 3
    assert all(b - a >= n_bytes for a, b in itertools.pairwise(slots))
