"""Clips of a folder as tf.data: classes, counts, splits that keep speakers apart, users' own functions."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

from mltk.audio.write import write_audio_file  # noqa: E402
from mltk.core.preprocess.utils.tf_dataset import load_audio_directory  # noqa: E402
from mltk.datasets.split import speaker_of  # noqa: E402
from mltk.utils.errors import DatasetError  # noqa: E402

N_SPEAKERS = 10


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    for word, value in (("yes", 1000), ("no", 2000), ("up", 3000), ("down", 4000)):
        for speaker in range(N_SPEAKERS):
            path = tmp_path / "data" / word / f"{speaker:08x}_nohash_0.wav"
            write_audio_file(str(path), np.full(80 + speaker, value, np.int16), 16000)
    (tmp_path / "data" / "empty").mkdir()
    return tmp_path / "data"


def listed(datasets):
    features, labels = datasets
    return [path.decode() for path in features.as_numpy_iterator()], list(labels.as_numpy_iterator())


def test_words_labels_and_counts(folder):
    counts = {}
    paths, labels = listed(load_audio_directory(folder, ["yes", "no"], class_counts=counts))
    assert counts == {"yes": 10, "no": 10}
    assert labels == [0] * 10 + [1] * 10
    assert all(f"/{['yes', 'no'][label]}/" in path for path, label in zip(paths, labels, strict=True))
    assert sorted(paths)[0] == (folder / "no" / "00000000_nohash_0.wav").as_posix()


def test_shuffled_one_hot_with_unknown_and_silence(folder):
    arguments = {
        "classes": ["yes", "_unknown_", "_silence_"],
        "unknown_class_percentage": 1.5,
        "silence_class_percentage": 0.5,
        "onehot_encode": True,
        "shuffle": True,
        "seed": 3,
        "class_counts": {},
    }
    paths, labels = listed(load_audio_directory(folder, **arguments))
    assert arguments["class_counts"] == {"yes": 10, "_unknown_": 15, "_silence_": 5}
    assert np.asarray(labels).dtype == np.int32
    assert np.asarray(labels).sum(axis=0).tolist() == [10, 15, 5]
    ids = np.argmax(labels, axis=1)
    assert sorted(ids) != list(ids)
    assert all("/yes/" in path for path, index in zip(paths, ids, strict=True) if index == 0)
    assert not any("/yes/" in path for path, index in zip(paths, ids, strict=True) if index > 0)
    assert listed(load_audio_directory(folder, **arguments))[0] == paths
    assert listed(load_audio_directory(folder, **{**arguments, "seed": 4}))[0] != paths


def test_a_speaker_is_on_one_side_for_all_words(folder):
    parts = [(0, 0.3), (0.3, 1)]
    speakers = []
    for part in parts:
        paths, _ = listed(load_audio_directory(folder, ["yes", "no", "_unknown_"], 5.0, split=part))
        speakers.append({speaker_of(path) for path in paths})
        for speaker in speakers[-1]:
            assert sum(speaker_of(path) == speaker for path in paths) == 4
    assert len(speakers[0]) == 3
    assert not speakers[0] & speakers[1]
    assert len(speakers[0] | speakers[1]) == N_SPEAKERS


def test_limit_and_samples(folder):
    features, _ = load_audio_directory(
        folder,
        ["yes", "_silence_"],
        max_samples_per_class=2,
        return_audio_data=True,
        silence_class_percentage=0.5,
    )
    samples = list(features.as_numpy_iterator())
    assert features.element_spec == tf.TensorSpec((None,), tf.float32)
    assert [sample.dtype for sample in samples] == [np.float32] * 3
    assert samples[0][0] == pytest.approx(1000 / 32768)
    assert samples[2].tolist() == [0.0] * 16000
    features, _ = load_audio_directory(
        folder,
        ["yes"],
        max_samples_per_class=1,
        sample_rate_hz=8000,
        return_audio_data=True,
        return_audio_sample_rate=True,
    )
    sample, rate = next(features.as_numpy_iterator())
    assert rate == 8000
    assert len(sample) < 50


def test_own_functions(folder):
    seen = []

    def listing(
        base_directory, search_class, white_list_formats, split, follow_links, shuffle_index_directory
    ):
        assert "x.wav".endswith(white_list_formats)
        assert (base_directory, split, follow_links) == (folder.as_posix(), (0, 0.5), False)
        assert shuffle_index_directory is None
        seen.append(search_class)
        return search_class, [f"{search_class}/{index:08x}_nohash_0.wav" for index in range(4)]

    def add_unknown(
        directory, sample_paths, split, follow_links, white_list_formats, shuffle, seed, **kwargs
    ):
        assert (directory, split, shuffle, seed) == (str(folder), (0, 0.5), False, 42)
        sample_paths["_unknown_"] = [""] * 6

    counts = {}
    paths, labels = listed(
        load_audio_directory(
            str(folder),
            ["yes", "_unknown_"],
            unknown_class_percentage=0,
            seed=42,
            split=(0, 0.5),
            max_samples_per_class=3,
            class_counts=counts,
            list_valid_filenames_in_directory_function=listing,
            process_samples_function=add_unknown,
        )
    )
    assert seen == ["yes"]
    assert counts == {"yes": 3, "_unknown_": 6}
    assert paths[:3] == [(folder / "yes" / f"{index:08x}_nohash_0.wav").as_posix() for index in range(3)]
    assert paths[3:] == [""] * 6
    assert labels == [0] * 3 + [1] * 6


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"directory": "/not/there"}, "no data set folder at /not/there"),
        ({"classes": ["yess"]}, 'The class "yess" has no clips in .*yes'),
        ({"classes": ["empty"]}, 'The class "empty" has no clips'),
        ({"classes": "yes"}, "list of different names"),
        ({"classes": ["yes", "yes"]}, "list of different names"),
        ({"split": (0.5, 0.2)}, "not a pair of fractions in order"),
        ({"split": (0, 1.5)}, "not a pair of fractions in order"),
        ({"split": 0.5}, "not a pair of fractions in order"),
        ({"split": (0.99, 1)}, 'The class "yes" has no clips in .* in the part'),
        ({"max_samples_per_class": 0}, 'The class "yes" has no clips'),
        ({"white_list_formats": (".mp3",)}, 'The class "yes" has no clips'),
        (
            {"process_samples_function": lambda sample_paths, **_: sample_paths.update(nope=["x"])},
            'added samples of "nope", which is no class',
        ),
    ],
)
def test_wrong_arguments(folder, arguments, match):
    with pytest.raises(DatasetError, match=match):
        load_audio_directory(**{"directory": folder, "classes": ["yes"], **arguments})
