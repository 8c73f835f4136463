"""Synthetic words with eSpeak NG: reproducible, listed, grouped, and safe against what users type."""

import csv
import hashlib
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from mltk.datasets.folder import find_clips
from mltk.datasets.manifest import read_speakers
from mltk.datasets.split import speaker_of
from mltk.datasets.synthesis import DISTRACTORS, SynthesisSummary, synthesize_words
from mltk.datasets.synthesis import pool as pool_module
from mltk.datasets.synthesis.vocabulary import distractors_for
from mltk.datasets.synthesis.words import folder_name
from mltk.utils.errors import DatasetError, MissingExtraError

pytest.importorskip("espeakng_loader", reason="needs the extra 'synth'")

COUNT = 55


def digests(folder: Path) -> dict[str, str]:
    """Return relative path -> hash, for all files."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def samples_of(file: Path) -> np.ndarray:
    with wave.open(str(file)) as audio:
        assert (audio.getnchannels(), audio.getsampwidth(), audio.getframerate()) == (1, 2, 16000)
        return np.frombuffer(audio.readframes(audio.getnframes()), "<i2")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SynthesisSummary]:
    """Two words and some distractors, spoken once for all tests that only look."""
    folder = tmp_path_factory.mktemp("words")
    return folder, synthesize_words(["yes", "no"], folder, COUNT, unknown=40, workers=2, progress=False)


def test_another_number_of_workers_gives_the_same_bytes(made, tmp_path):
    again = synthesize_words(["yes", "no"], tmp_path, COUNT, unknown=40, workers=1, progress=False)
    assert digests(tmp_path) == digests(made[0])
    assert again.counts == made[1].counts


def test_another_seed_gives_other_clips(made, tmp_path):
    synthesize_words(["yes"], tmp_path, 5, seed=43, workers=1, progress=False)
    assert not set(digests(tmp_path).values()) & set(digests(made[0]).values())


def test_a_words_clips_depend_neither_on_the_other_words_nor_on_the_count(made, tmp_path):
    synthesize_words(["no"], tmp_path, 10, workers=1, progress=False)
    first = {path: digest for path, digest in digests(tmp_path).items() if path != "manifest.csv"}
    assert len(first) == 10
    assert first.items() <= digests(made[0]).items()


def test_the_manifest_tells_the_truth(made):
    folder, summary = made
    rows = rows_of(folder)
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*.wav")}
    assert {row["path"] for row in rows} == files
    assert len(rows) == sum(summary.counts.values()) == 2 * COUNT + 40
    for row in rows:
        length = len(samples_of(folder / row["path"])) / 16000
        assert float(row["seconds"]) == pytest.approx(length, abs=0.001)
        assert row["path"].startswith(f"{row['word']}/{row['speaker']}_nohash_")
        assert row["text"].rstrip(".!?,") == row["word"]
        assert row["voice"].startswith("en-")
        assert 110 <= int(row["rate"]) <= 220
    for column in ("voice", "variant", "rate", "pitch", "pitch_range", "text"):
        assert len({row[column] for row in rows if row["word"] == "yes"}) >= 4, column


def test_one_voice_is_one_speaker_for_the_split(made):
    rows = rows_of(made[0])
    speakers = read_speakers(made[0])
    by_name: dict[str, set[str]] = {}
    by_variant: dict[str, set[str]] = {}
    for row in rows:
        assert speaker_of(row["path"]) == speakers[row["path"]] == row["speaker"]
        by_name.setdefault(row["speaker_name"], set()).add(row["speaker"])
        by_variant.setdefault(row["variant"], set()).add(row["speaker"])
    assert all(len(ids) == 1 for ids in (*by_name.values(), *by_variant.values()))
    assert made[1].speakers == len({row["speaker"] for row in rows}) >= 30


def test_versions_of_a_voice_are_one_speaker_and_people_are_not():
    from mltk.datasets.synthesis.espeak import _speaker_of

    assert _speaker_of("iven3") == _speaker_of("iven")
    assert _speaker_of("anikaRobot") == _speaker_of("anika")
    assert _speaker_of("adam") == _speaker_of("klatt6")
    assert _speaker_of("f1") != _speaker_of("f2")
    assert _speaker_of("m1") != _speaker_of("m2")


def test_clips_are_words_and_not_silence(made):
    lengths = []
    for clips in find_clips(made[0]).values():
        for clip in clips:
            samples = samples_of(clip).astype(float) / 32768
            lengths.append(len(samples) / 16000)
            assert 0.15 <= lengths[-1] <= 1.5, clip
            level_db = 10 * np.log10(np.mean(samples**2))
            assert -30 <= level_db <= -19.5, clip
            assert np.abs(samples).max() <= 0.91
            assert abs(samples.mean()) < 0.002, "a direct current"
    assert len(set(lengths)) > 10


def test_yes_hisses_at_its_end_and_no_does_not(made):
    """The share of the energy above 3 kHz in the second half: the s of yes against the vowel of no."""

    def hiss(word: str) -> float:
        shares = []
        for clip in find_clips(made[0])[word]:
            tail = samples_of(clip).astype(float)
            tail = tail[len(tail) // 2 :]
            power = np.abs(np.fft.rfft(tail)) ** 2
            shares.append(power[np.fft.rfftfreq(len(tail), 1 / 16000) > 3000].sum() / power.sum())
        return float(np.median(shares))

    assert hiss("yes") > 4 * hiss("no")


def test_a_repeated_run_replaces_its_own_clips_and_no_recordings(tmp_path):
    synthesize_words(["yes", "no"], tmp_path, 6, workers=1, progress=False)
    mine = tmp_path / "yes" / "me_01.wav"
    mine.write_bytes(b"a recording")
    before = digests(tmp_path)
    summary = synthesize_words(["yes"], tmp_path, 3, seed=7, workers=1, progress=False)
    after = digests(tmp_path)
    assert mine.read_bytes() == b"a recording"
    assert summary.foreign == 1
    assert len([path for path in after if path.startswith("yes/")]) == 3 + 1
    assert {p: d for p, d in after.items() if p.startswith("no/")} == {
        p: d for p, d in before.items() if p.startswith("no/")
    }
    assert {row["path"] for row in rows_of(tmp_path)} == set(after) - {"manifest.csv", "yes/me_01.wav"}


def test_a_run_that_was_stopped_leaves_whole_files_that_are_listed_and_can_be_repeated(tmp_path, monkeypatch):
    real = pool_module.speak_blocks

    def stopping(blocks, workers):
        for number, result in enumerate(real(blocks, workers)):
            if number == 1:
                raise KeyboardInterrupt
            yield result

    with monkeypatch.context() as patched:
        patched.setattr("mltk.datasets.synthesis.words.speak_blocks", stopping)
        with pytest.raises(KeyboardInterrupt):
            synthesize_words(["yes", "no"], tmp_path, 10, workers=1, progress=False)
    there = set(digests(tmp_path))
    assert {row["path"] for row in rows_of(tmp_path)} == there - {"manifest.csv"}
    assert len(there) == 11
    synthesize_words(["no"], tmp_path, 4, seed=1, workers=1, progress=False)
    synthesize_words(["yes"], tmp_path, 4, seed=1, workers=1, progress=False)
    assert len(digests(tmp_path)) == 9


@pytest.mark.parametrize(
    "word",
    ["", "  ", "../x", "a/b", "a\\b", "..", ".", "_unknown_", "-x", "[[jEs]]", "yes\0no", "<audio src='x'/>",
     "C:", "x" * 65, "yes\u202eno", "?", "\u0301"],
)  # fmt: skip
def test_hostile_words_are_refused_before_anything_is_written(word, tmp_path):
    with pytest.raises(DatasetError, match="can not be spoken as a word"):
        synthesize_words([word], tmp_path / "out", 1, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "folder"),
    [
        ("hey computer", "hey_computer"),
        ("  hey \t computer ", "hey_computer"),
        ("don't", "don't"),
        ("Über", "Über"),
    ],
)
def test_folder_names(word, folder):
    assert folder_name(word) == folder


def test_a_phrase_gets_a_folder(tmp_path):
    summary = synthesize_words(["hey computer"], tmp_path, 2, workers=1, progress=False)
    assert summary.counts == {"hey computer": 2}
    assert list(find_clips(tmp_path)) == ["hey_computer"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": []}, "name at least one"),
        ({"words": ["yes", "Yes"]}, "named twice"),
        ({"count": 0}, "0 clips"),
        ({"count": 10**9}, "1000000000 clips"),
        ({"unknown": -1}, "-1 clips"),
        ({"seed": -1}, "seed"),
        ({"workers": 0}, "worker"),
        ({"engines": []}, "No synthesizer"),
        ({"engines": ["espaek"]}, 'did you mean "espeak"'),
        ({"language": "xx"}, "does not speak 'xx'"),
        ({"language": "de", "unknown": 5}, "English"),
    ],
)
def test_bad_arguments_are_one_sentence(changes, message, tmp_path):
    arguments = {"words": ["yes"], "count": 1, "workers": 1, "progress": False, **changes}
    words, count = arguments.pop("words"), arguments.pop("count")
    with pytest.raises(DatasetError, match=message) as error:
        synthesize_words(words, tmp_path, count, **arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_another_language(tmp_path):
    synthesize_words(["ja"], tmp_path, 2, language="de", workers=1, progress=False)
    assert {row["voice"] for row in rows_of(tmp_path)} == {"de"}


@pytest.mark.parametrize(
    "text",
    [
        "path,speaker\nyes/1.wav,me\n",
        "path,word,speaker,engine,speaker_name,voice,variant,rate,pitch,pitch_range,text,seconds,seed,index\n"
        "../../precious.wav,yes,0011aabb,espeak,x,x,x,1,1,1,x,1,1,1\n",
    ],
)
def test_a_manifest_that_is_not_ours_is_not_touched(text, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text(text)
    precious = tmp_path / "precious.wav"
    precious.write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"manifest\.csv was not written by this command"):
        synthesize_words(["yes"], folder, 1, workers=1, progress=False)
    assert (folder / "manifest.csv").read_text() == text
    assert precious.exists()
    assert len(list(folder.iterdir())) == 1


def test_distractors_are_no_wanted_words_and_do_not_sound_like_them():
    assert len(DISTRACTORS) >= 30
    assert len(set(DISTRACTORS)) == len(DISTRACTORS)
    left = distractors_for(["Left", "to", "hey cat"])
    assert not {"left", "two", "cat"} & set(left)
    assert set(DISTRACTORS) - set(left) == {"left", "two", "cat"}


def test_distractors_get_equal_shares(made):
    shares = [count for word, count in made[1].counts.items() if word not in ("yes", "no")]
    assert sum(shares) == 40
    assert max(shares) - min(shares) <= 1


def test_a_missing_package_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mltk-audio\[synth\]'"):
        synthesize_words(["yes"], tmp_path / "out", 1, progress=False)
    assert not (tmp_path / "out").exists()


def test_the_command_line_prints_what_it_made(tmp_path):
    code = "import sys; from mltk.cli.main import main; main()"
    out = tmp_path / "out"
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "synthesize",
            "yes",
            "--out",
            str(out),
            "--count",
            "3",
            "--unknown",
            "4",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "7 clips" in run.stdout
    assert len(list(out.rglob("*.wav"))) == 7
    bad = subprocess.run(
        [sys.executable, "-c", code, "synthesize", "../x", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1


def test_the_parent_process_never_loads_the_gpl_library(tmp_path):
    code = (
        "import sys\n"
        "from mltk.datasets.synthesis import synthesize_words\n"
        f"synthesize_words(['yes'], {str(tmp_path / 'out')!r}, 1, workers=1, progress=False)\n"
        "assert 'espeakng_loader' not in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
