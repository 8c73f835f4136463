"""A stream with words at known times."""

import numpy as np
import pytest

from mltk.datasets.synthesis import synthesize_stream
from mltk.utils.errors import DatasetError

pytest.importorskip("espeakng_loader", reason="needs the extra 'synth'")

WORDS = ["yes", "no", "up", "yes"]


@pytest.fixture(scope="module")
def stream():
    return synthesize_stream(WORDS, seed=3, workers=1)


def test_the_words_are_where_they_are_said_to_be(stream):
    samples, spoken = stream
    assert samples.dtype == np.int16
    assert [word.word for word in spoken] == WORDS
    level = np.zeros(len(samples), bool)
    for word in spoken:
        part = samples[word.start_ms * 16 : word.end_ms * 16].astype(float)
        assert -26 <= 10 * np.log10(np.mean(part**2) / 32768**2) <= -18
        level[word.start_ms * 16 - 16 : word.end_ms * 16 + 16] = True
    quiet = samples[~level].astype(float)
    assert -60 <= 10 * np.log10(np.mean(quiet**2) / 32768**2) <= -50
    assert np.abs(quiet).max() < 2000


def test_the_pauses_are_as_long_as_asked(stream):
    samples, spoken = stream
    ends = [0, *(word.end_ms for word in spoken)]
    starts = [*(word.start_ms for word in spoken), len(samples) // 16]
    pauses = [start - end for start, end in zip(starts, ends, strict=True)]
    assert all(1498 <= pause <= 3002 for pause in pauses), pauses


def test_a_repeated_word_is_spoken_otherwise_and_the_stream_can_be_repeated(stream):
    samples, spoken = stream
    again, times = synthesize_stream(WORDS, seed=3, workers=2)
    assert np.array_equal(again, samples)
    assert times == spoken
    first, second = (samples[w.start_ms * 16 : w.end_ms * 16] for w in spoken if w.word == "yes")
    assert len(first) != len(second) or not np.array_equal(first, second)


def test_the_speakers_are_those_that_data_sets_leave_out(monkeypatch):
    from mltk.datasets.synthesis import stream as stream_module
    from mltk.datasets.synthesis.espeak import EspeakSynthesizer

    seen = []
    real = stream_module.speak_blocks

    def watching(blocks, workers):
        for index, utterances in real(blocks, workers):
            seen.extend(utterance.settings.speaker for utterance in utterances)
            yield index, utterances

    monkeypatch.setattr(stream_module, "speak_blocks", watching)
    synthesize_stream(["yes"] * 12, workers=1)
    kept = EspeakSynthesizer().held_out()
    assert set(seen) <= kept
    assert len(set(seen)) > 2
    seen.clear()
    synthesize_stream(["yes"] * 4, speakers=["f1", "m2"], workers=1)
    assert set(seen) == {"f1", "m2"}


def test_the_held_out_speakers_exist():
    from mltk.datasets.synthesis.espeak import EspeakSynthesizer

    synthesizer = EspeakSynthesizer()
    assert synthesizer.held_out() < set(synthesizer.speakers("en"))


@pytest.mark.parametrize(
    ("words", "changes", "message"),
    [
        ([], {}, "words, not 0"),
        (["../x"], {}, "can not be spoken"),
        (["yes"], {"pause_ms": (500, 100)}, "pauses"),
        (["yes"], {"noise_db": 3.0}, "noise"),
        (["yes"], {"noise_db": float("nan")}, "noise"),
        (["yes"], {"seed": -1}, "seed"),
        (["yes"], {"speakers": ["nobody"]}, "no speaker 'nobody'"),
    ],
)
def test_bad_arguments_are_one_sentence(words, changes, message):
    with pytest.raises(DatasetError, match=message):
        synthesize_stream(words, workers=1, **changes)
