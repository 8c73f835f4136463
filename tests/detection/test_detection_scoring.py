"""Heard, missed and false, by hand-worked streams."""

import random

import pytest

from mltk.detection.events import Detection
from mltk.detection.scoring import SpokenWord, score_stream
from mltk.utils.errors import DetectionError


def heard(label, time_ms):
    return Detection(label, 210, time_ms, 0)


def test_heard_missed_false():
    words = [SpokenWord("yes", 1000, 1600), SpokenWord("no", 5000, 5400), SpokenWord("yes", 9000, 9500)]
    events = [heard("yes", 1900), heard("yes", 5200), heard("yes", 9400), heard("no", 20_000)]
    score = score_stream(events, words, 1_800_000)
    assert [(w.start_ms, d.time_ms) for w, d in score.heard] == [(1000, 1900), (9000, 9400)]
    assert score.missed == (words[1],)
    assert [d.time_ms for d in score.false] == [5200, 20_000]
    assert score.heard_rate == pytest.approx(2 / 3)
    assert score.false_per_hour == 4
    assert str(score) == "2 of 3 words heard (0.667), 1 missed, 2 false in 30.0 min (4.00 an hour)"


@pytest.mark.parametrize(("time_ms", "is_heard"), [(899, False), (900, True), (1700, True), (1701, False)])
def test_both_ends_of_the_tolerance_count(time_ms, is_heard):
    score = score_stream(
        [heard("a", time_ms)], [SpokenWord("a", 1000, 1500)], 5000, before_ms=100, after_ms=200
    )
    assert len(score.heard) == is_heard
    assert len(score.false) == (not is_heard)


def test_a_second_detection_of_one_word_is_false():
    score = score_stream([heard("a", 1200), heard("a", 1400)], [SpokenWord("a", 1000, 1500)], 5000)
    assert len(score.heard) == 1
    assert [d.time_ms for d in score.false] == [1400]


def test_overlapping_tolerances_give_each_word_its_own():
    words = [SpokenWord("a", 0, 500), SpokenWord("a", 600, 1000)]
    assert len(score_stream([heard("a", 700), heard("a", 1100)], words, 5000).heard) == 2


def test_order_does_not_matter():
    rng = random.Random(1)
    words = [SpokenWord(rng.choice("ab"), t, t + 400) for t in range(0, 40_000, 700)]
    events = [heard(rng.choice("ab"), rng.randrange(40_000)) for _ in range(60)]
    once = score_stream(events, words, 40_000)
    rng.shuffle(words)
    rng.shuffle(events)
    again = score_stream(events, words, 40_000)
    assert (once.missed, len(once.heard), len(once.false)) == (
        again.missed,
        len(again.heard),
        len(again.false),
    )
    assert len(once.heard) + len(once.missed) == len(words)
    assert len(once.heard) + len(once.false) == len(events)


def test_no_words_and_no_events():
    score = score_stream([], [], 1000)
    assert (score.heard_rate, score.false_per_hour) == (1.0, 0.0)


def test_a_stream_has_a_length():
    with pytest.raises(DetectionError, match="duration"):
        score_stream([], [], 0)
