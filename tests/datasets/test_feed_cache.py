"""The decoded clips on disk: what comes out of it are the same bits, whatever happened to it."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mltk.datasets import cache as cache_module
from mltk.datasets.cache import ClipStore, cache_limit_bytes
from mltk.datasets.feed_recipe import CACHE_BYTES, ClipCache, decode_clip
from mltk.utils.errors import DatasetError

RATE = 16000


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "clip.wav"
    samples = np.random.default_rng(1).integers(-9000, 9000, 16000, dtype=np.int16)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return str(path)


@pytest.fixture
def decoded() -> list[str]:
    """The paths that were decoded."""
    return []


def get(store: ClipStore, path: str, rate: int, decoded: list[str]) -> np.ndarray:
    def decode(path: str, rate: int) -> np.ndarray:
        decoded.append(path)
        return decode_clip(path, rate)

    return store.get(path, rate, decode)


def cached_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "v1").rglob("*") if path.is_file()]


@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize("seconds", [1, 30])
def test_the_cache_gives_the_bits_of_the_decoder(tmp_path, decoded, rate, seconds):
    path = tmp_path / "clip.flac"
    samples = np.random.default_rng(2).integers(-9000, 9000, seconds * RATE, dtype=np.int16)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    first = get(ClipStore(tmp_path / "cache", 1 << 30), str(path), rate, decoded)
    again = get(ClipStore(tmp_path / "cache", 1 << 30), str(path), rate, decoded)
    assert len(decoded) == 1
    assert first.dtype == again.dtype == (np.int16 if rate == RATE else np.float32)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(again, decode_clip(str(path), rate))
    assert not again.flags.writeable


def test_a_changed_recording_is_read_anew_and_a_copy_is_not(recording, tmp_path, decoded):
    store = ClipStore(tmp_path / "cache", 1 << 30)
    get(store, recording, RATE, decoded)
    status = Path(recording).stat()
    other = np.random.default_rng(3).integers(-9000, 9000, 16000, dtype=np.int16)
    soundfile.write(recording, other, RATE, subtype="PCM_16")
    os.utime(recording, ns=(status.st_atime_ns, status.st_mtime_ns))  # as large and as old as before
    np.testing.assert_array_equal(get(store, recording, RATE, decoded), other)
    assert len(decoded) == 2
    copy = tmp_path / "copy.wav"
    copy.write_bytes(Path(recording).read_bytes())
    np.testing.assert_array_equal(get(store, str(copy), RATE, decoded), other)
    assert len(decoded) == 2


@pytest.mark.parametrize("damage", ["sample", "header", "cut", "empty", "long", "huge count"])
def test_a_damaged_file_is_noticed_and_made_again(recording, tmp_path, decoded, damage):
    folder = tmp_path / "cache"
    want = get(ClipStore(folder, 1 << 30), recording, RATE, decoded)
    (file,) = cached_files(folder)
    data = bytearray(file.read_bytes())
    if damage == "sample":
        data[1000] ^= 1
    elif damage == "header":
        data[3] ^= 1
    elif damage == "huge count":
        data[48:56] = b"\xff" * 8
    damaged = {"cut": data[:-2], "empty": b"", "long": data + b"\0\0"}.get(damage, data)
    file.write_bytes(damaged)
    np.testing.assert_array_equal(get(ClipStore(folder, 1 << 30), recording, RATE, decoded), want)
    assert len(decoded) == 2
    np.testing.assert_array_equal(get(ClipStore(folder, 1 << 30), recording, RATE, decoded), want)
    assert len(decoded) == 2


def test_a_folder_that_can_not_be_written_is_told_and_the_clip_read(recording, tmp_path, decoded):
    (tmp_path / "cache").write_text("a file where the folder should be")
    store = ClipStore(tmp_path / "cache", 1 << 30)
    np.testing.assert_array_equal(get(store, recording, RATE, decoded), decode_clip(recording, RATE))
    assert store.problem
    assert "cache" in store.problem
    memory = ClipCache(store=store)
    assert memory.samples(recording, RATE) is memory.samples(recording, RATE)


def test_a_full_disk_leaves_nothing_behind(recording, tmp_path, decoded, monkeypatch):
    def full(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.os, "fdopen", full)
    store = ClipStore(tmp_path / "cache", 1 << 30)
    get(store, recording, RATE, decoded)
    assert store.problem
    assert "No space left" in store.problem
    assert cached_files(tmp_path / "cache") == []


def test_the_cache_stays_within_its_limit(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(cache_module, "_LEAVE_FREE_BYTES", 0)
    folder, limit = tmp_path / "cache", 200_000
    rng = np.random.default_rng(4)
    for number in range(12):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.integers(-9, 9, 16000, dtype=np.int16), RATE, subtype="PCM_16")
        get(ClipStore(folder, limit), str(path), RATE, decoded)
        assert sum(file.stat().st_size for file in cached_files(folder)) <= limit
    newest_run = len(cached_files(folder))
    assert newest_run >= 4  # clips of a run that goes on are not thrown out for each other
    for file in cached_files(folder):
        os.utime(file, (1, 1))
    path = tmp_path / "later.wav"
    soundfile.write(path, rng.integers(-9, 9, 16000, dtype=np.int16), RATE, subtype="PCM_16")
    get(ClipStore(folder, limit), str(path), RATE, decoded)
    assert any(file.stat().st_mtime > 1 for file in cached_files(folder))


def test_many_at_once_see_whole_clips(tmp_path, recording):
    want = decode_clip(recording, RATE)
    wrong = []

    def run() -> None:
        for _ in range(30):
            store = ClipStore(tmp_path / "cache", 1 << 30)
            if not np.array_equal(store.get(recording, RATE, decode_clip), want) or store.problem:
                wrong.append(store.problem)
            for file in cached_files(tmp_path / "cache"):
                if not file.name.endswith(".part"):
                    file.unlink(missing_ok=True)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("text", ["-1", "many", "1e3", "9" * 13])
def test_a_wrong_limit_is_refused(monkeypatch, text):
    monkeypatch.setenv("MLTK_CLIP_CACHE_MB", text)
    with pytest.raises(DatasetError, match="MLTK_CLIP_CACHE_MB"):
        cache_limit_bytes()


def test_zero_switches_the_cache_off(monkeypatch):
    monkeypatch.setenv("MLTK_CLIP_CACHE_MB", "0")
    assert ClipStore.of_user() is None


def test_the_folder_is_looked_over_seldom_while_there_is_room(tmp_path, monkeypatch):
    looks = []
    files = cache_module._files
    monkeypatch.setattr(cache_module, "_files", lambda folder: looks.append(folder) or files(folder))
    monkeypatch.setattr(cache_module, "_LOOK_EVERY_BYTES", 1)
    monkeypatch.setattr(cache_module, "_LEAVE_FREE_BYTES", 0)
    store = ClipStore(tmp_path / "cache", 1_000_000)
    path = tmp_path / "clip.wav"
    for number in range(30):
        soundfile.write(path, np.full(RATE, number, np.int16), RATE, subtype="PCM_16")
        store.get(str(path), RATE, decode_clip)
        assert sum(file.stat().st_size for file in cached_files(tmp_path / "cache")) <= 1_000_000
    assert len(cached_files(tmp_path / "cache")) >= 25
    assert 3 <= len(looks) < 25  # after each eighth of the room that is left


def test_a_worker_with_a_full_cache_is_not_taken_for_a_leaking_one():
    from loky import process_executor

    assert 2 * CACHE_BYTES < process_executor._MAX_MEMORY_LEAK_SIZE
