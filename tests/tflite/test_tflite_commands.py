"""`mltk summarize` and `mltk update_params` on .tflite files and archives."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tflite_models import tiny_keyword_model, unpack

from mltk.models.archive import ModelArchive
from mltk.tflite.parameters import TfliteModelParameters
from mltk.tflite.settings import check_settings, parse_settings, read_settings_file
from mltk.utils.errors import MltkError, TfliteError

RUN = "import sys\nfrom mltk.cli.main import main\nsys.argv = ['mltk', *sys.argv[1:]]\nmain()\n"
PARAMETERS: dict[str, Any] = {
    "name": "tiny",
    "version": 1,
    "classes": ["yes", "no", "_unknown_"],
    "detection_threshold": 185,
    "volume_gain": 2.0,
    "verbose": False,
}


def mltk(*arguments: str, code: str = RUN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(TfliteModelParameters(PARAMETERS).add_to_tflite_flatbuffer(tiny_keyword_model()))
    return path


@pytest.fixture
def archive(tmp_path: Path, tflite: Path) -> Path:
    path = tmp_path / "tiny.mltk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("tiny.py", "raise SystemExit('an archive was executed')\n")
        target.writestr("tiny.h5", bytes(range(256)) * 40)
        target.write(tflite, "tiny.tflite")
        target.writestr("tiny.h5.summary.txt", "Model: tiny\x1b[31m\nTotal params: 41\n")
        target.writestr("eval/tflite/summary.txt", "Accuracy: 1.0\n")
    return path


def members(path: Path) -> dict[str, tuple[bytes, tuple[int, ...]]]:
    with zipfile.ZipFile(path) as source:
        return {info.filename: (source.read(info), info.date_time) for info in source.infolist()}


def test_summarize(tflite: Path, archive: Path) -> None:
    bare, zipped = mltk("summarize", str(tflite)), mltk("summarize", str(archive), "--tflite")
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == zipped.stdout
    assert "| 0     | conv_2d" in bare.stdout
    assert "Classes: yes, no, _unknown_" in bare.stdout
    keras = mltk("summarize", str(archive))
    # Nothing of a stranger's text reaches the terminal as a command.
    assert keras.stdout == "Model: tiny?[31m\nTotal params: 41\n"


def test_summarize_says_what_is_missing(tmp_path: Path, archive: Path) -> None:
    ModelArchive.open(archive).update({"tiny.h5.summary.txt": None})
    process = mltk("summarize", str(archive))
    assert process.returncode == 2
    assert "--tflite" in process.stderr
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(tiny_keyword_model()[:500])
    process = mltk("summarize", str(broken))
    assert (process.returncode, process.stdout) == (2, "")
    assert "broken.tflite is not a whole .tflite file" in process.stderr


@pytest.mark.parametrize("name", ["keyword_spotting_alexa.mltk.zip", "tflite_micro_speech.mltk.zip"])
def test_summarize_loads_no_tensorflow(shared_dir: Path, name: str) -> None:
    code = RUN.replace("main()\n", "try:\n    main()\nfinally:\n    assert 'tensorflow' not in sys.modules\n")
    process = mltk("summarize", str(shared_dir / "models" / name), "--tflite", code=code)
    assert process.returncode == 0, process.stderr


def test_update_changes_only_what_it_says(archive: Path) -> None:
    before = members(archive)
    process = mltk("update_params", str(archive), "detection_threshold=200", "suppression_ms=900")
    assert process.returncode == 0, process.stderr
    assert "detection_threshold: 185 -> 200" in process.stdout
    after = members(archive)
    assert set(after) == set(before)
    assert {name for name in before if before[name] != after[name]} == {"tiny.tflite"}
    old, new = (
        TfliteModelParameters.load_from_tflite_flatbuffer(found["tiny.tflite"][0])
        for found in (before, after)
    )
    assert {key for key in new if new[key] != old.get(key)} == {
        "hash",
        "date",
        "detection_threshold",
        "suppression_ms",
    }
    assert list(new) == [*old, "suppression_ms"]
    graphs = [unpack(found["tiny.tflite"][0]).subgraphs[0] for found in (before, after)]
    assert [list(t.shape) for t in graphs[0].tensors] == [list(t.shape) for t in graphs[1].tensors]


def test_update_a_bare_file_and_its_description(tflite: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    old = tflite.read_bytes()
    process = mltk(
        "update_params", str(tflite), "version=2", "--description", "hears, well", "-o", str(output)
    )
    assert process.returncode == 0, process.stderr
    assert tflite.read_bytes() == old
    assert unpack(output.read_bytes()).description == b"hears, well"
    found = TfliteModelParameters.load_from_tflite_file(output)
    assert found["version"] == 2
    assert "description" not in found
    # A model that keeps its description among the parameters too has it changed there as well.
    TfliteModelParameters({**found, "description": "old"}).add_to_tflite_file(output)
    assert mltk("update_params", str(output), "--description", "new").returncode == 0
    assert TfliteModelParameters.load_from_tflite_file(output)["description"] == "new"
    assert unpack(output.read_bytes()).description == b"new"


def test_update_into_another_archive(archive: Path, tmp_path: Path) -> None:
    before, output = archive.read_bytes(), tmp_path / "other" / "tiny.mltk.zip"
    assert mltk("update_params", str(archive), "version=3", "-o", str(output)).returncode == 0
    assert archive.read_bytes() == before
    found = TfliteModelParameters.load_from_tflite_flatbuffer(ModelArchive.open(output).tflite_bytes())
    assert found["version"] == 3
    assert ModelArchive.open(output).names == ModelArchive.open(archive).names


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_update_from_a_file(tflite: Path, tmp_path: Path, suffix: str) -> None:
    values = {"volume_gain": 0.5, "classes": ["a", "b", "c"], "verbose": True}
    file = tmp_path / f"values{suffix}"
    file.write_text(json.dumps(values))  # JSON is YAML
    assert mltk("update_params", str(tflite), "--params", str(file), "verbose=false").returncode == 0
    found = TfliteModelParameters.load_from_tflite_file(tflite)
    assert {key: found[key] for key in values} == {**values, "verbose": False}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Nothing to change"),
        (["gain"], "'gain' is not a setting"),
        (["=3"], "not a name"),
        (["hash=1"], "computed"),
        (["gain=99999999999999999999"], "64 bits"),
        (["--params", "nowhere.json"], "nowhere.json"),
    ],
)
def test_update_refuses_in_one_sentence(archive: Path, arguments: list[str], words: str) -> None:
    before = archive.read_bytes()
    process = mltk("update_params", str(archive), *arguments)
    assert process.returncode == 2
    assert words in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert archive.read_bytes() == before


KILLED = """
import os, sys, time
from pathlib import Path
from mltk.cli.main import main

def hang(self, target):
    print("READY", flush=True)
    time.sleep(60)

Path.replace = hang
sys.argv = ["mltk", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("which", ["archive", "tflite"])
def test_a_kill_in_the_middle_leaves_the_old_file(which: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(which)
    before = path.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, "update_params", str(path), "version=9"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"  # everything is written, only the rename is missing
        process.kill()
    assert path.read_bytes() == before


@pytest.mark.parametrize("which", ["archive", "tflite"])
def test_a_failing_disk_leaves_the_old_file_and_no_other(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltk.cli.update_params import update_params

    path: Path = request.getfixturevalue(which)
    before, names = path.read_bytes(), sorted(path.parent.iterdir())

    def fail(self: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(MltkError, match="Input/output error"):
        update_params(str(path), ["version=9"])
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("nan", "nan"),
        ("0x10", "0x10"),
        ("1.2.3", "1.2.3"),
        ("a b", "a b"),
        ("", ""),
        ('"12"', "12"),
        ("'true'", "true"),
        ("[]", []),
        ("[1, 2]", [1, 2]),
        ("[1, 2.5]", [1, 2.5]),
        ("[yes,'no', 3]", ["yes", "no", "3"]),
        ("a=b", "a=b"),
        ("x,y", "x,y"),
    ],
)
def test_the_form_of_a_value_tells_its_type(text: str, value: Any) -> None:
    parsed = parse_settings([f"key={text}"], {})["key"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_known_parameters_keep_their_type() -> None:
    settings = ["name=7", "volume_gain=3", "classes=on, off", "detection_threshold=0.5", "verbose=1"]
    parsed = parse_settings(settings, PARAMETERS)
    assert parsed == {
        "name": "7",
        "volume_gain": 3.0,
        "classes": ["on", "off"],
        "detection_threshold": 0.5,
        "verbose": 1,
    }
    assert type(parsed["volume_gain"]) is float


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b"{", "Can not read"),
        ("a.json", b"[1]", "table"),
        ("a.json", b"[" * 100_000, "Can not read"),
        ("a.json", b"\xff\xfe\x00", "Can not read"),
        ("a.yaml", b"a: [", "Can not read"),
        ("a.yaml", b"1: 2", "table"),
        ("a.yaml", b"!!python/object/apply:os.system [ls]", "Can not read"),
        ("a.yaml", b"a: {b: 1}", "Parameter a"),
        ("a.yaml", b"when: 2024-01-01", "Parameter when"),
        ("a.json", b'{"date": "x"}', "date is computed"),
        ("a.toml", b"", "not a parameter file"),
        ("a.json", b" " * (2**20 + 1), "too many"),
    ],
)
def test_parameter_files_are_checked(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(MltkError, match=words):
        read_settings_file(file)


def test_keys_are_checked() -> None:
    with pytest.raises(TfliteError, match="not a name"):
        check_settings({"a\x1b": 1})
