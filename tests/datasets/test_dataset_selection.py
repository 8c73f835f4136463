"""The clips of a run: counts, `_unknown_`, `_silence_`, speakers, noise, and what is refused."""

import json
import logging
import math
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltk.datasets.selection import Selection, select_clips
from mltk.utils.errors import DatasetError

CLASSES = ["yes", "no", "_unknown_", "_silence_"]


def speakers(clips: tuple) -> set[str]:
    return {clip.speaker for clip in clips if clip.path is not None}


def words(selection: Selection, root: Path, name: str) -> Counter[str]:
    wanted = selection.classes.index(name)
    clips = [clip for clip in selection.training + selection.validation if clip.class_id == wanted]
    return Counter(Path(clip.path).relative_to(root).parts[0] for clip in clips if clip.path)


def make_words(root: Path, counts: dict[str, int], n_speakers: int = 50) -> Path:
    """Make a data set whose speakers say each word in turn."""
    for word, count in counts.items():
        (root / word).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / word / f"{i % n_speakers:08x}_nohash_{i // n_speakers}.wav").write_bytes(b"x")
    return root


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"yes": 200, "no": 180, "up": 120, "down": 120, "cat": 10, "wow": 60}
    root = make_words(tmp_path_factory.mktemp("set"), counts)
    noise = root / "_background_noise_"
    noise.mkdir()
    for i in range(6):
        (noise / f"noise{i}.wav").write_bytes(b"x")
    return root


def test_shares_and_sides(dataset: Path) -> None:
    selection = select_clips(dataset, CLASSES, unknown_class_percentage=1.0, silence_class_percentage=0.25)
    assert selection.classes == tuple(CLASSES)
    training, validation = selection.counts("training"), selection.counts("validation")
    assert training["yes"] + validation["yes"] == 200
    assert training["no"] + validation["no"] == 180
    for counts in (training, validation):
        mean = (counts["yes"] + counts["no"]) / 2
        assert counts["_unknown_"] == round(mean)
        assert counts["_silence_"] == round(mean / 4)
    assert validation["yes"] / 200 == pytest.approx(0.15, abs=0.03)
    assert not speakers(selection.training) & speakers(selection.validation)
    assert [clip.index for clip in selection.training + selection.validation] == list(
        range(len(selection.training) + len(selection.validation))
    )
    paths = [clip.path for clip in selection.training + selection.validation if clip.path]
    assert len(paths) == len(set(paths))
    for clip in selection.training + selection.validation:
        if clip.path is None:
            assert (clip.class_id, clip.speaker) == (3, "")
        elif clip.class_id < 2:
            assert Path(clip.path).parent.name == CLASSES[clip.class_id]


def test_unknown_is_drawn_evenly_and_at_most_what_is_there(dataset: Path) -> None:
    drawn = words(select_clips(dataset, CLASSES), dataset, "_unknown_")
    assert drawn["cat"] == 10
    assert (
        max(drawn[word] for word in ("up", "down", "wow"))
        - min(drawn[word] for word in ("up", "down", "wow"))
        <= 9
    )
    everything = words(select_clips(dataset, CLASSES, unknown_class_percentage=100), dataset, "_unknown_")
    assert everything == {"up": 120, "down": 120, "cat": 10, "wow": 60}


def test_the_reference_shares(tmp_path: Path) -> None:
    """Percentage 3.0 and 0.2 of the words' mean, as the reference's published counts have it."""
    root = make_words(tmp_path, {"yes": 40, "no": 20, "up": 100, "down": 100})
    counts = select_clips(
        root, CLASSES, validation_split=0, unknown_class_percentage=3.0, silence_class_percentage=0.2
    ).counts("training")
    assert counts == {"yes": 40, "no": 20, "_unknown_": 90, "_silence_": 6}


def test_labelled_unknown_and_silence_come_first(tmp_path: Path) -> None:
    root = make_words(tmp_path, {"yes": 40, "no": 40, "up": 100, "_unknown_": 100, "_silence_": 10})
    options = {"validation_split": 0, "silence_class_percentage": 0.5}
    assert words(select_clips(root, CLASSES, **options), root, "_unknown_") == {"_unknown_": 20, "up": 20}
    many = select_clips(root, CLASSES, unknown_class_percentage=4.5, **options)
    assert words(many, root, "_unknown_") == {"_unknown_": 90, "up": 90}
    shutil.rmtree(root / "up")
    alone = select_clips(root, CLASSES, **options)
    assert words(alone, root, "_unknown_") == {"_unknown_": 40}
    assert words(alone, root, "_silence_") == {"_silence_": 10}
    assert alone.counts("training")["_silence_"] == 20


def test_the_same_arguments_give_the_same_selection_anywhere(dataset: Path, tmp_path: Path) -> None:
    def relative(root: Path, seed: int = 42) -> list[tuple[int, str | None]]:
        selection = select_clips(root, CLASSES, seed=seed)
        return [
            (clip.class_id, clip.path and Path(clip.path).relative_to(root).as_posix())
            for clip in selection.training + selection.validation
        ]

    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    assert relative(dataset) == relative(copy)
    assert relative(dataset) != relative(dataset, seed=1)


def test_every_prefix_is_mixed(dataset: Path) -> None:
    """A representative data set takes the first validation batches: no class may be missing there."""
    first = select_clips(dataset, CLASSES).validation[:32]
    assert {clip.class_id for clip in first} == {0, 1, 2, 3}


def test_limit_for_dry_runs(dataset: Path) -> None:
    selection = select_clips(dataset, CLASSES, max_samples_per_class=3)
    for subset in ("training", "validation"):
        assert selection.counts(subset) == dict.fromkeys(CLASSES, 3)


def test_a_manifest_tells_the_speakers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for i in range(40):
            (tmp_path / word / f"{i}.wav").write_bytes(b"x")
    rows = [
        {"path": f"{word}/{i}.wav", "speaker": f"voice{i % 4}"} for word in ("yes", "no") for i in range(40)
    ]
    by_name = select_clips(tmp_path, ["yes", "no"])
    assert len(speakers(by_name.training) | speakers(by_name.validation)) == 80

    (tmp_path / "manifest.jsonl").write_text(
        "\n".join(json.dumps({**row, "rate": 1}) for row in rows) + "\n\n"
    )
    told = select_clips(tmp_path, ["yes", "no"])
    assert speakers(told.training) | speakers(told.validation) == {f"voice{i}" for i in range(4)}
    assert told.counts("validation") == {"yes": 10, "no": 10}

    windows = "\n".join(f"{row['path']},{row['speaker']}".replace("/", "\\") for row in rows[:-1])
    (tmp_path / "manifest.csv").write_text(
        f"path,speaker\r\n{windows}\r\nno/39.wav,\r\n", encoding="utf-8-sig"
    )
    told = select_clips(tmp_path, ["yes", "no"])
    assert speakers(told.training) | speakers(told.validation) == {f"voice{i}" for i in range(4)} | {
        "no/39.wav"
    }

    own = select_clips(tmp_path, ["yes", "no"], speaker_function=lambda path: str(int(Path(path).stem) % 2))
    assert speakers(own.training) | speakers(own.validation) == {"0", "1"}

    (tmp_path / "manifest.csv").write_text("file,who\na,b\n")
    with caplog.at_level(logging.WARNING, "mltk"):
        select_clips(tmp_path, ["yes", "no"])
    assert "no columns 'path' and 'speaker'" in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.jsonl", b"{"),
        ("manifest.jsonl", b"[1]"),
        ("manifest.csv", b"path,speaker\n\xff,\xfe\n"),
        ("manifest.jsonl", b"[" * 100_000),
        ("manifest.csv", b'path,speaker\n"' + b"x" * 200_000),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    make_words(tmp_path, {"yes": 4})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=name):
        select_clips(tmp_path, ["yes"])


def test_noise_is_split_by_file(dataset: Path, tmp_path: Path) -> None:
    selection = select_clips(dataset, CLASSES)
    assert (len(selection.noise_training), len(selection.noise_validation)) == (5, 1)
    assert not set(selection.noise_training) & set(selection.noise_validation)
    one = make_words(tmp_path, {"yes": 20, "no": 20, "rain": 1})
    selection = select_clips(one, ["yes", "no", "_silence_"], background_noise_dir="rain")
    assert selection.noise_training == selection.noise_validation
    assert len(selection.noise_training) == 1
    assert select_clips(one, ["yes", "no"], background_noise_dir=None).noise_training == ()
    assert select_clips(one, ["yes", "no"]).noise_training == ()
    absolute = select_clips(one, ["yes", "no"], background_noise_dir=str(dataset / "_background_noise_"))
    assert len(absolute.noise_training) == 5


def test_a_noise_folder_is_no_word(tmp_path: Path) -> None:
    root = make_words(tmp_path, {"yes": 20, "no": 20, "up": 20, "rain": 20})
    selection = select_clips(root, CLASSES, background_noise_dir="rain")
    assert words(selection, root, "_unknown_") == {"up": 20}


def test_a_missing_noise_folder_is_an_error_if_it_was_asked_for(dataset: Path) -> None:
    with pytest.raises(DatasetError, match="no folder of background noise"):
        select_clips(dataset, CLASSES, background_noise_dir="rian")


def test_summary_and_weights(tmp_path: Path) -> None:
    from sklearn.utils.class_weight import compute_class_weight

    root = make_words(tmp_path, {"yes": 40, "no": 20, "up": 100})
    selection = select_clips(root, CLASSES, validation_split=0.0, silence_class_percentage=0.2)
    assert selection.summary() == (
        "Training dataset: Found 96 samples belonging to 4 classes:\n"
        "       yes = 40\n        no = 20\n _unknown_ = 30\n _silence_ = 6\n"
        "Validation dataset: Found 0 samples belonging to 4 classes:\n"
        "       yes = 0\n        no = 0\n _unknown_ = 0\n _silence_ = 0"
    )
    labels = [clip.class_id for clip in selection.training]
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert list(selection.class_weights().values()) == pytest.approx(list(expected))
    assert selection.class_weights("none") == {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}
    with pytest.raises(DatasetError, match="balanced"):
        selection.class_weights("even")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="no subset"):
        selection.counts("test")  # type: ignore[arg-type]


def test_few_speakers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    two = make_words(tmp_path / "two", {"yes": 20, "no": 20}, n_speakers=2)
    selection = select_clips(two, ["yes", "no", "_silence_"])
    assert min(selection.counts("training").values()) > 0
    assert min(selection.counts("validation").values()) > 0
    one = make_words(tmp_path / "one", {"yes": 20, "no": 20}, n_speakers=1)
    with pytest.raises(DatasetError, match="validation_split to 0"):
        select_clips(one, ["yes", "no", "_silence_"])
    assert select_clips(one, ["yes", "no"], validation_split=0).counts("training") == {"yes": 20, "no": 20}
    shutil.rmtree(two / "no")
    make_words(two, {"no": 20}, n_speakers=1)
    with caplog.at_level(logging.WARNING, "mltk"):
        assert select_clips(two, ["yes", "no"]).counts("validation")["no"] == 0
    assert "No validation clips for no" in caplog.text


def test_a_tiny_data_set_keeps_its_classes(tmp_path: Path) -> None:
    root = make_words(tmp_path, {"yes": 2, "no": 2, "up": 2})
    selection = select_clips(root, CLASSES, unknown_class_percentage=0.1, silence_class_percentage=0.1)
    assert min(selection.counts("training").values()) == 1


@pytest.mark.parametrize(
    ("classes", "options", "said"),
    [
        (["yse", "no"], {}, 'The class "yse" has no clips in .*did you mean "yes".*cat, down'),
        (["yes", "yes"], {}, '"yes" twice'),
        ([], {}, "give a list of names"),
        ("yes", {}, "give a list of names"),
        (["yes", 3], {}, "give a list of names"),
        (["_unknown_", "_silence_"], {}, "name no word"),
        (CLASSES, {"unknown_class_percentage": -1}, "unknown_class_percentage is -1"),
        (CLASSES, {"silence_class_percentage": math.nan}, "silence_class_percentage is nan"),
        (CLASSES, {"silence_class_percentage": 0}, '"_silence_" gets no training clips'),
        (CLASSES, {"max_samples_per_class": 0}, "max_samples_per_class is 0"),
        (CLASSES, {"validation_split": 1.5}, "validation split is 1.5"),
        (["yes", "no", "up", "down", "cat", "wow", "_unknown_"], {}, "add sub-folders with other words"),
    ],
)
def test_refusals(dataset: Path, classes: list[str], options: dict, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        select_clips(dataset, classes, **options)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    split=st.floats(0.0, 0.9),
    unknown=st.floats(0.1, 5.0),
    silence=st.floats(0.1, 2.0),
    seed=st.integers(-5, 2**40),
    limit=st.sampled_from([-1, 1, 7]),
)
def test_no_speaker_is_ever_on_both_sides(
    dataset: Path, split: float, unknown: float, silence: float, seed: int, limit: int
) -> None:
    selection = select_clips(
        dataset,
        CLASSES,
        validation_split=split,
        unknown_class_percentage=unknown,
        silence_class_percentage=silence,
        seed=seed,
        max_samples_per_class=limit,
    )
    assert not speakers(selection.training) & speakers(selection.validation)
    assert min(selection.counts("training").values()) > 0
    if split > 0:
        assert min(selection.counts("validation").values()) > 0
    if limit > 0:
        assert max(selection.counts("training").values()) <= limit


def test_real_recordings(speech_dir: Path) -> None:
    root = speech_dir / "commands"
    if not root.is_dir():
        pytest.skip(f"no Speech Commands clips at {root}")
    selection = select_clips(root, CLASSES, unknown_class_percentage=1.0, silence_class_percentage=0.2)
    assert not speakers(selection.training) & speakers(selection.validation)
    for name in ("yes", "no"):
        total = len(list((root / name).glob("*.flac")))
        assert selection.counts("validation")[name] / total == pytest.approx(0.15, abs=0.03)
