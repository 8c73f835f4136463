"""Models that others trained with the reference toolkit: everything under shared/models works, and none of their Python
runs.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from mltk.cli.main import main
from mltk.models.archive import ModelArchive
from mltk.models.loading import load_mltk_model
from mltk.tflite.model import TfliteModel
from mltk.tflite.parameters import TfliteModelParameters
from mltk.utils.errors import ModelError

ARCHIVES = ("keyword_spotting_alexa.mltk.zip", "tflite_micro_speech.mltk.zip")
BARE = ("keyword_spotting_on_off.tflite",)
FLOAT = (*ARCHIVES, "keyword_spotting_on_off.h5")
# Of the seeds' tables; on_off by its .h5: 3 convolutions, pooling, reshape, dense, softmax.
OPERATORS = {ARCHIVES[0]: 56, ARCHIVES[1]: 4, BARE[0]: 7}
# Words that each hears, in a folder of shared/speech.
WORDS = {
    ARCHIVES[0]: {"alexa": "alexa", "_unknown_": "words/happy"},
    ARCHIVES[1]: {"yes": "commands/yes", "no": "commands/no"},
    BARE[0]: {"on": "commands/on", "off": "commands/off"},
    FLOAT[2]: {"on": "commands/on", "off": "commands/off"},
}
TRAP = b"import pathlib\npathlib.Path('executed').write_text('')\n"


@pytest.fixture
def models(shared_dir, tmp_path, monkeypatch):
    """Copy the published models into the current folder; their specifications leave a mark when they run."""
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "user"))
    monkeypatch.delenv("MLTK_MODEL_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in (*ARCHIVES, *BARE, FLOAT[2]):
        shutil.copyfile(shared_dir / "models" / name, tmp_path / name)
    for name in ARCHIVES:
        archive = ModelArchive(tmp_path / name)
        member, source = archive.specification()
        archive.update({member: TRAP + source})
    yield tmp_path
    assert not (tmp_path / "executed").exists()


def run(monkeypatch, capsys, *arguments):
    """Run a command in this process; return its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["mltk", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    return stop.value.code or 0, printed.out, printed.err


def clips(speech_dir, folder, name, count=12):
    """Lay a few clips of each word into a folder."""
    for word, source in WORDS[name].items():
        (folder / word).mkdir(parents=True)
        for clip in sorted((speech_dir / source).glob("*.flac"))[:count]:
            shutil.copyfile(clip, folder / word / clip.name)
    return folder


@pytest.mark.parametrize("name", [*ARCHIVES, *BARE])
def test_summarize_and_profile(name, models, monkeypatch, capsys):
    code, summary, _ = run(monkeypatch, capsys, "summarize", name, "--tflite")
    assert code == 0
    data = models / name if name.endswith(".tflite") else ModelArchive(models / name).tflite_bytes()
    tflite = TfliteModel.load_flatbuffer_file(data) if isinstance(data, Path) else TfliteModel(data)
    assert summary.rstrip("\n") == tflite.summary().rstrip("\n")
    assert len(tflite.layers) == OPERATORS[name]
    code, text, _ = run(monkeypatch, capsys, "profile", name, "--json")
    assert code == 0
    profile = json.loads(text)
    assert len(profile["layers"]) == OPERATORS[name]
    assert profile["macs"] == tflite.macs


def test_float_summary_of_an_archive_is_the_published_one(models, monkeypatch, capsys):
    for name in ARCHIVES:
        code, summary, _ = run(monkeypatch, capsys, "summarize", name)
        published = ModelArchive(models / name).read(f"{name.removesuffix('.mltk.zip')}.h5.summary.txt")
        assert code == 0
        assert summary.split() == published.decode().split()


def test_float_summary_of_a_bare_h5(models, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    code, summary, errors = run(monkeypatch, capsys, "summarize", FLOAT[2])
    assert (code, errors) == (0, "")
    assert "conv2d_2 (Conv2D)" in summary
    assert "Total params: 6,628" in summary


def test_archive_without_its_summary_is_summarized_from_the_model(models, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    ModelArchive(models / ARCHIVES[1]).update({"tflite_micro_speech.h5.summary.txt": None})
    code, summary, _ = run(monkeypatch, capsys, "summarize", ARCHIVES[1])
    assert code == 0
    assert "Total params: 16,684" in summary


@pytest.mark.parametrize("name", [*ARCHIVES, *BARE])
def test_int8_is_scored(name, models, speech_dir, monkeypatch, capsys):
    folder = clips(speech_dir, models / "clips", name)
    code, text, _ = run(monkeypatch, capsys, "evaluate", name, "--tflite", "--dataset", folder)
    assert code == 0
    assert float(text.partition("Overall accuracy: ")[2].partition("%")[0]) > 70


@pytest.mark.parametrize("name", FLOAT)
def test_float_is_scored_without_running_the_specification(name, models, speech_dir, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    folder = clips(speech_dir, models / "clips", name)
    code, text, _ = run(monkeypatch, capsys, "evaluate", name, "--dataset", folder, "--no-update-archive")
    assert code == 0
    assert float(text.partition("Overall accuracy: ")[2].partition("%")[0]) > 70


@pytest.mark.parametrize("name", FLOAT)
def test_float_and_int8_agree(name, models, speech_dir):
    """The published int8 models were made of these weights: a weight in the wrong place would show."""
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    from mltk.evaluation.folder import samples_of_folder
    from mltk.models.float_model import load_float_model

    model = load_mltk_model(name)
    samples = samples_of_folder(model, clips(speech_dir, models / "clips", name))
    path = models / name if name.endswith(".h5") else Path(model.keras_archive_path)
    as_float = np.asarray(load_float_model(path)(samples.x.astype(np.float32)))
    data = (
        (models / BARE[0]).read_bytes()
        if name.endswith(".h5")
        else ModelArchive(models / name).tflite_bytes()
    )
    as_int8 = TfliteModel(data).predict_batch(samples.x)
    assert np.mean(np.abs(as_float - as_int8)) < 0.03
    assert np.mean(as_float.argmax(1) == as_int8.argmax(1)) > 0.9


@pytest.mark.parametrize(
    ("name", "word", "minimum"), [(ARCHIVES[0], "alexa", 2), (ARCHIVES[1], "yes", 1), (BARE[0], "on", 1)]
)
def test_classify_audio(name, word, minimum, models, speech_dir, monkeypatch, capsys):
    from mltk.audio.read import read_audio_file
    from mltk.audio.write import write_audio_file

    sources = sorted((speech_dir / WORDS[name][word]).glob("*.flac"))[:6]
    pause = np.zeros(16000, np.float32)
    parts = [pause]
    for source in sources:
        parts += [read_audio_file(str(source)), pause]
    write_audio_file(models / "words.wav", np.concatenate(parts), 16000)
    code, text, _ = run(
        monkeypatch, capsys, "classify_audio", name, "--audio", models / "words.wav", "--json"
    )
    assert code == 0
    heard = [json.loads(line) for line in text.splitlines()]
    assert sum(word in one.values() for one in heard) >= minimum


def test_what_is_missing_is_asked_for(models, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    (models / BARE[0]).unlink()
    for command in (["evaluate", "--dataset", "."], ["evaluate", "--tflite"], ["profile"]):
        code, _, errors = run(monkeypatch, capsys, command[0], FLOAT[2], *command[1:])
        assert code == 2
        assert "put its keyword_spotting_on_off.tflite beside it" in errors
    code, _, errors = run(monkeypatch, capsys, "evaluate", ARCHIVES[1])
    assert code == 2
    assert "--dataset DIR" in errors
    with pytest.raises(ModelError, match="has no specification"):
        load_mltk_model(models / FLOAT[2], execute_spec=True)


def test_specification_runs_only_when_it_is_asked_for(models, monkeypatch, capsys):
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    load_mltk_model(ARCHIVES[1])
    assert not Path("executed").exists()
    run(monkeypatch, capsys, "evaluate", ARCHIVES[1], "--trust", "--dataset", "missing")
    assert Path("executed").exists()
    Path("executed").unlink()


# --- the published hashes


class _OldBuilder(flatbuffers.Builder):
    """As flatbuffers was up to 24.3: tables of different sizes shared a vtable if their fields lay alike."""

    largest_alignment = 8

    def __init__(self, size):
        super().__init__(size)
        self.vtables = _VtablesWithoutSize()

    def Finish(self, root, file_identifier=None):
        self.minalign = min(self.minalign, self.largest_alignment)
        return super().Finish(root, file_identifier)


class _VtablesWithoutSize(dict):
    def get(self, key, default=None):
        return super().get(key[:-1], default)

    def __setitem__(self, key, value):
        super().__setitem__(key[:-1], value)


class _OlderBuilder(_OldBuilder):
    """The alexa archive's writer aligned the file's start to 4 bytes."""

    largest_alignment = 4


@pytest.mark.parametrize(
    ("name", "builder"), [(ARCHIVES[0], _OlderBuilder), (ARCHIVES[1], _OldBuilder), (BARE[0], _OldBuilder)]
)
def test_published_files_are_written_again_bit_for_bit(name, builder, shared_dir, monkeypatch):
    """What a published file differs in from ours is the version of flatbuffers: with the older one's tables the same
    parameters give the same bytes and the same hash.
    """
    path = shared_dir / "models" / name
    published = path.read_bytes() if name.endswith(".tflite") else ModelArchive(path).tflite_bytes()
    parameters = TfliteModelParameters.load_from_tflite_flatbuffer(published)
    stored = parameters["hash"]
    monkeypatch.setattr(flatbuffers, "Builder", builder)
    assert parameters.add_to_tflite_flatbuffer(published, date=parameters["date"]) == published
    assert parameters["hash"] == stored
    assert (
        hashlib.md5(published, usedforsecurity=False).hexdigest() != stored
    )  # of the file without hash and date
