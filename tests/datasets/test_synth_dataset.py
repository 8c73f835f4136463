"""The data set that makes itself: once, whole or not at all, with a synthesizer of the test's own."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from mltk.datasets.folder import find_clips
from mltk.datasets.selection import select_clips
from mltk.datasets.synthesis import dataset as dataset_module
from mltk.datasets.synthesis.dataset import SynthesizedWords
from mltk.datasets.synthesis.interface import VoiceSettings
from mltk.utils.errors import DatasetError, MissingExtraError

ENGINE = f"{__name__}:Beeper"


class Beeper:
    """A synthesizer that beeps: the word's length tells the pitch."""

    name = "beeper"

    def speakers(self, language):
        return {f"voice{i}": 1.0 for i in range(6)}

    def held_out(self):
        return frozenset({"voice5"})

    def draw(self, rng, language, speaker):
        return VoiceSettings(speaker, language, "", 100, int(rng.integers(100)), 0, 0)

    def speak(self, text, settings):
        t = np.arange(8000) / 16000
        return (0.5 * np.sin(2 * np.pi * (200 + 50 * len(text)) * t)).astype(np.float32), 16000


class Broken(Beeper):
    """A synthesizer that says nothing of one word."""

    def speak(self, text, settings):
        samples, rate_hz = super().speak(text, settings)
        return (samples[:0] if text == "no" else samples), rate_hz


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of its own; this file as a module that the workers find."""
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return tmp_path / "cache"


def words(**options):
    """A small data set."""
    return SynthesizedWords(
        **{"words": ["yes", "no"], "count": 9, "unknown": 12, "engines": [ENGINE], **options}
    )


def test_it_is_made_once_and_can_be_trained_with(cache, monkeypatch):
    data = words()
    folder = Path(data.load_data(show_progress=False))
    assert folder == data.folder()
    assert folder.parent == cache / "datasets" / "synthesized"
    assert folder.name.startswith("yes-no-")
    clips = find_clips(folder)
    assert (len(clips["yes"]), len(clips["no"])) == (9, 9)
    assert sum(len(found) for word, found in clips.items() if word not in ("yes", "no")) == 12
    assert list((folder / "_background_noise_").glob("*.wav"))
    selection = select_clips(folder, ["yes", "no", "_unknown_", "_silence_"], validation_split=0.2)
    assert not {c.speaker for c in selection.training if c.path} & {
        c.speaker for c in selection.validation if c.path
    }
    monkeypatch.setattr(dataset_module, "synthesize_words", None)
    assert data.load_data() == str(folder)


def test_other_arguments_are_another_data_set():
    folders = {
        words(**o).folder()
        for o in ({}, {"count": 8}, {"seed": 1}, {"words": ["no", "yes"]}, {"noise": False})
    }
    assert len(folders) == 5
    assert words(words=("yes", "no")).folder() == words().folder()


def test_a_dry_run_makes_a_few_clips_in_a_folder_of_its_own():
    data = words(count=500, unknown=900)
    folder = Path(data.load_data(test=True, show_progress=False))
    assert folder.name.endswith("-test")
    assert len(find_clips(folder)["yes"]) == 8
    assert not data.folder().exists()


def test_an_error_leaves_nothing(cache):
    data = words(engines=[f"{__name__}:Broken"])
    with pytest.raises(DatasetError, match="no"):
        data.load_data(show_progress=False)
    assert [path.name for path in (cache / "datasets" / "synthesized").iterdir()] == []


def test_what_a_killed_run_left_is_removed_and_made_anew(cache):
    data = words()
    left = data.folder().with_name(f".making-{data.folder().name}") / "yes" / "half.wav"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"RIFF")
    folder = Path(data.load_data(show_progress=False))
    assert not left.exists()
    assert not (folder / "yes" / "half.wav").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def _load(folder: str, cache_dir: str, results) -> None:
    import os
    import sys

    os.environ["MLTK_CACHE_DIR"] = cache_dir
    sys.path.insert(0, folder)
    results.put(words().load_data(show_progress=False))


def test_two_runs_at_a_time_make_it_once(cache):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (str(Path(__file__).parent), str(cache), results)
    runs = [context.Process(target=_load, args=arguments) for _ in range(2)]
    for run in runs:
        run.start()
    found = {results.get(timeout=60) for _ in runs}
    for run in runs:
        run.join(60)
    assert found == {str(words().folder())}
    assert len(find_clips(words().folder())["yes"]) == 9


def test_a_missing_synthesizer_is_one_sentence(cache, monkeypatch):
    monkeypatch.setattr("mltk.datasets.synthesis.registry.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="synth"):
        SynthesizedWords(["yes"]).load_data()
    assert not cache.exists()
