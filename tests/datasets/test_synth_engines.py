"""The interface of synthesizers: other engines, mixing, and engines that misbehave."""

import csv
import os
import time
from pathlib import Path

import numpy as np
import pytest

from mltk.datasets.synthesis import VoiceSettings, synthesize_words
from mltk.datasets.synthesis import pool as pool_module
from mltk.datasets.synthesis.interface import HELD_OUT, Request, pick_speaker
from mltk.datasets.synthesis.pool import deal, speak_blocks
from mltk.utils.errors import DatasetError

HERE = Path(__file__).stem


class Beeper:
    """A synthesizer that beeps: it loads by "module:Class" and needs nothing."""

    name = "beeper"

    def speakers(self, language: str) -> dict[str, float]:
        return {"low": 1.0, "high": 3.0, "kept": 1.0}

    def held_out(self) -> frozenset[str]:
        return frozenset({"kept"})

    def draw(self, rng: np.random.Generator, language: str, speaker: str) -> VoiceSettings:
        return VoiceSettings(speaker, "beep", speaker, int(rng.integers(100, 200)), 50, 0, 1)

    def speak(self, text: str, settings: VoiceSettings) -> tuple[np.ndarray, int]:
        t = np.arange(8000 * 100 // settings.rate) / 8000
        return (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), 8000


class Mute(Beeper):
    def speak(self, text, settings):
        return np.zeros(4000, np.float32), 8000


class Empty(Beeper):
    def speak(self, text, settings):
        return np.zeros(0, np.float32), 8000


class Hangs(Beeper):
    def speak(self, text, settings):
        time.sleep(60)
        return super().speak(text, settings)


class Crashes(Beeper):
    def speak(self, text, settings):
        os.abort()


class Talks(Beeper):
    """Prints to the standard output, as C libraries do."""

    def speak(self, text, settings):
        os.write(1, b"debug\n" * 20)
        return super().speak(text, settings)


class Breaks(Beeper):
    def speak(self, text, settings):
        raise ValueError("no such phoneme")


def engine(kind: type) -> str:
    return f"{HERE}:{kind.__name__}"


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", [Beeper, Talks])
def test_a_class_of_the_users_own_speaks(kind, tmp_path):
    summary = synthesize_words(["yes"], tmp_path, 10, engines=[engine(kind)], workers=1, progress=False)
    assert summary.counts == {"yes": 10}
    rows = rows_of(tmp_path)
    assert {row["speaker_name"] for row in rows} == {"low", "high"}  # never the one that is held out
    assert all(0.4 <= float(row["seconds"]) <= 1.0 for row in rows)


def test_speakers_are_drawn_by_their_weight():
    rng = np.random.default_rng(0)
    drawn = [pick_speaker(Beeper(), rng, "en", None) for _ in range(2000)]
    assert drawn.count("high") / len(drawn) == pytest.approx(0.75, abs=0.03)
    assert set(drawn) == {"low", "high"}
    assert {pick_speaker(Beeper(), rng, "en", HELD_OUT) for _ in range(50)} == {"kept"}
    assert pick_speaker(Beeper(), rng, "en", "low") == "low"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Mute, "gives no sound for 'yes"),
        (Empty, "gives no sound for 'yes"),
        (Crashes, "ended with code .* while it spoke 'yes'"),
        (Breaks, "ended with code 1 while it spoke 'yes': ValueError: no such phoneme"),
    ],
)
def test_an_engine_that_misbehaves_is_one_sentence(kind, message, tmp_path):
    with pytest.raises(DatasetError, match=message) as error:
        synthesize_words(["yes"], tmp_path, 3, engines=[engine(kind)], workers=1, progress=False)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_engine_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_module, "TIMEOUT_S", 1.5)
    start = time.monotonic()
    with pytest.raises(DatasetError, match=r"hangs: no sound for 'yes'"):
        synthesize_words(["yes"], tmp_path, 3, engines=[engine(Hangs)], workers=1, progress=False)
    assert time.monotonic() - start < 20


def test_a_missing_class_is_one_sentence(tmp_path):
    with pytest.raises(DatasetError, match="can not be loaded"):
        synthesize_words(["yes"], tmp_path, 1, engines=[f"{HERE}:Nobody"], workers=1, progress=False)


def test_engines_share_each_words_clips_equally():
    requests = [Request(word, index) for word in ("yes", "no") for index in range(101)]
    blocks = deal(requests, ["a", "b"], "en", 1)
    spoken = {engine: [r for b in blocks if b.engine == engine for r in b.requests] for engine in ("a", "b")}
    assert sorted(spoken["a"] + spoken["b"], key=repr) == sorted(requests, key=repr)
    for part in spoken.values():
        assert {sum(r.word == word for r in part) for word in ("yes", "no")} <= {50, 51}
    assert max(len(block.requests) for block in blocks) <= pool_module.BLOCK_SIZE


def test_a_reader_that_stops_early_leaves_no_process():
    blocks = deal([Request("yes", i) for i in range(150)], [engine(Hangs)], "en", 1)
    stream = speak_blocks([*deal([Request("no", 0)], [engine(Beeper)], "en", 1), *blocks], 2)
    next(stream)
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 10


def test_hibari_behind_the_same_interface_and_mixed(tmp_path):
    pytest.importorskip("hibari", reason="needs the extra 'synth'")
    pytest.importorskip("espeakng_loader", reason="needs the extra 'synth'")
    mixed, alone = tmp_path / "mixed", tmp_path / "alone"
    synthesize_words(["no"], mixed, 24, engines=["espeak", "hibari"], workers=2, progress=False)
    rows = rows_of(mixed)
    assert [row["engine"] for row in rows].count("hibari") == 12
    hibari = [row for row in rows if row["engine"] == "hibari"]
    assert len({row["speaker"] for row in hibari}) >= 3
    assert not {row["speaker"] for row in hibari} & {r["speaker"] for r in rows if r["engine"] == "espeak"}
    assert all(0.15 <= float(row["seconds"]) <= 1.5 for row in rows)
    synthesize_words(["no"], alone, 24, engines=["mixed"], workers=1, progress=False)
    assert {p.name: p.read_bytes() for p in alone.rglob("*.wav")} == {
        p.name: p.read_bytes() for p in mixed.rglob("*.wav")
    }


def test_hibari_speaks_english_only(tmp_path):
    pytest.importorskip("hibari", reason="needs the extra 'synth'")
    with pytest.raises(DatasetError, match="English only, not 'de'"):
        synthesize_words(["ja"], tmp_path, 1, engines=["hibari"], language="de", workers=1, progress=False)
