"""No speaker on both sides, whatever the clips and the numbers."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.datasets.split import shuffle_file_list_by_group, speaker_of, split_file_list, validation_speakers
from mltk.utils.errors import DatasetError


@pytest.mark.parametrize(
    ("path", "speaker"),
    [
        ("yes/3cfc6b3a_nohash_2.wav", "3cfc6b3a"),
        ("/data/no/3CFC6B3A_nohash_12.flac", "3cfc6b3a"),
        ("yes/anna_nohash_2.wav", "yes/anna_nohash_2.wav"),
        ("yes/3cfc6b3a_nohash_.wav", "yes/3cfc6b3a_nohash_.wav"),
        ("yes/001.wav", "yes/001.wav"),
    ],
)
def test_speaker_by_the_file_name(path: str, speaker: str) -> None:
    assert speaker_of(path) == speaker


def test_split_file_list_gives_disjoint_parts_that_make_the_whole() -> None:
    for n in range(40):
        items = list(range(n))
        first, rest = split_file_list(items, (0, 0.15)), split_file_list(items, (0.15, 1.0))
        assert first + rest == items
        assert len(first) == -(-15 * n // 100)
    assert split_file_list([1, 2, 3]) == [1, 2, 3]
    assert split_file_list([], (0, 0.5)) == []


@pytest.mark.parametrize("split", [(0.5, 0.2), (-0.1, 1), (0, 1.1), (0, float("nan"))])
def test_split_file_list_refuses_other_fractions(split: tuple[float, float]) -> None:
    with pytest.raises(DatasetError, match="fractions in order"):
        split_file_list([1], split)


def test_groups_stay_together_in_an_order_of_the_seed_alone() -> None:
    paths = [
        f"{word}/{speaker:x}_nohash_{i}.wav" for word in ("a", "b") for speaker in range(16) for i in range(3)
    ]
    shuffled = shuffle_file_list_by_group(paths, speaker_of)
    assert sorted(shuffled) == sorted(paths)
    assert shuffled != sorted(paths)
    order = [speaker_of(path) for path in shuffled]
    changes = sum(one != two for one, two in pairwise(order))
    assert changes == 15, "a group was torn apart"
    assert shuffle_file_list_by_group(paths[::-1], speaker_of, seed=42) == shuffled
    assert shuffle_file_list_by_group(paths, speaker_of, seed=43) != shuffled
    # As `printf "42\0a" | sha256sum` orders them: the same tomorrow and elsewhere.
    assert shuffle_file_list_by_group(["a", "b", "c", "d", "e"], str) == ["e", "d", "b", "c", "a"]


def test_each_class_gets_near_its_fraction() -> None:
    clips = {f"{i:04x}": {"yes": 1 + i % 3, "no": i % 2, f"rare{i % 5}": 1} for i in range(400)}
    chosen = validation_speakers(clips, 0.15)
    for name in ("yes", "no", *(f"rare{i}" for i in range(5))):
        total = sum(counts.get(name, 0) for counts in clips.values())
        taken = sum(clips[speaker].get(name, 0) for speaker in chosen)
        assert abs(taken / total - 0.15) < 0.03, name


def test_another_seed_gives_other_speakers() -> None:
    clips = {f"{i}": {"yes": 1} for i in range(100)}
    assert validation_speakers(clips, 0.15, 1) != validation_speakers(clips, 0.15, 2)
    assert validation_speakers(clips, 0.15, 1) == validation_speakers(dict(reversed(clips.items())), 0.15, 1)


@pytest.mark.parametrize("fraction", [0.01, 0.15, 0.5, 0.99])
def test_two_speakers_are_one_on_each_side(fraction: float) -> None:
    assert len(validation_speakers({"a": {"yes": 50, "no": 3}, "b": {"yes": 10, "no": 90}}, fraction)) == 1


def test_one_speaker_stays_in_training() -> None:
    assert validation_speakers({"a": {"yes": 5}}, 0.15) == set()
    assert validation_speakers({"a": {"yes": 5}}, 0.99) == set()
    assert validation_speakers({}, 0.15) == set()


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, float("nan")])
def test_other_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(DatasetError, match=re.escape("validation split")):
        validation_speakers({"a": {"yes": 1}}, fraction)


COUNTS = st.dictionaries(st.sampled_from(["yes", "no", "up"]), st.integers(0, 20), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), COUNTS, max_size=12), st.floats(0.01, 0.99))
def test_every_class_keeps_training_clips(clips: dict[str, dict[str, int]], fraction: float) -> None:
    chosen = validation_speakers(clips, fraction)
    assert chosen <= set(clips)
    speakers = {
        name: [speaker for speaker, counts in clips.items() if counts.get(name, 0)]
        for name in ("yes", "no", "up")
    }
    for having in speakers.values():
        assert not having or set(having) - chosen
    # A class with two speakers of whom one speaks nothing else can always be validated.
    for name, having in speakers.items():
        alone = [speaker for speaker in having if sum(map(bool, clips[speaker].values())) == 1]
        if len(having) > 1 and len(alone) == len(having):
            assert set(having) & chosen, name
