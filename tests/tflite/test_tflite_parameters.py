"""Parameters inside .tflite files: read with their types, and written as the reference wrote them."""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from test_tflite_dictionary import walk
from tflite_models import pack, tiny_keyword_model, unpack

from mltk.tflite.parameters import TfliteModelParameters, utc_now
from mltk.utils.errors import MltkError, TfliteError


def params_of(data: bytes) -> list[tuple[str, int, Any]]:
    """Return (key, value type, value) of SL_PARAMSv1, by the walk of the page."""
    model = unpack(data)
    (entry,) = [entry for entry in model.metadata if entry.name == b"SL_PARAMSv1"]
    return walk(bytes(model.buffers[entry.buffer].data))[1]


def archived(shared_dir: Path, name: str) -> bytes:
    with zipfile.ZipFile(shared_dir / "models" / f"{name}.mltk.zip") as archive:
        return archive.read(f"{name}.tflite")


@pytest.fixture
def on_off(shared_dir: Path) -> bytes:
    return (shared_dir / "models" / "keyword_spotting_on_off.tflite").read_bytes()


def test_alexa_has_its_41_entries(shared_dir: Path) -> None:
    data = archived(shared_dir, "keyword_spotting_alexa")
    found = TfliteModelParameters.load_from_tflite_flatbuffer(data)
    entries = params_of(data)
    assert len(found) == len(entries) == 41
    assert dict(found) == {key: value for key, _, value in entries}
    kinds = {key: kind for key, kind, _ in entries}
    assert found["classes"] == ["alexa", "_unknown_"]
    assert (found["runtime_memory_size"], kinds["runtime_memory_size"]) == (54344, 5)
    assert (found["detection_threshold"], found["minimum_count"], found["suppression_ms"]) == (204, 2, 900)
    assert found["verbose_model_output_logs"] is False
    assert (found["fe.dc_notch_filter_enable"], kinds["fe.dc_notch_filter_enable"]) == (True, 1)


def test_micro_speech_has_its_34_entries(shared_dir: Path) -> None:
    data = archived(shared_dir, "tflite_micro_speech")
    found = TfliteModelParameters.load_from_tflite_flatbuffer(data)
    kinds = {key: kind for key, kind, _ in params_of(data)}
    assert len(found) == 34
    assert found["hash"] == "127279a057fbc17f3fc6cda82a8c8e4e"
    assert found["runtime_memory_size"] == 9032
    assert (found["samplewise_norm.rescale"], kinds["samplewise_norm.rescale"]) == (0.0, 11)
    assert (type(found["fe.pcan_offset"]), kinds["fe.pcan_offset"]) == (float, 10)


@pytest.mark.parametrize("name", ["keyword_spotting_alexa", "tflite_micro_speech"])
def test_read_parameters_are_written_with_the_same_types(shared_dir: Path, name: str) -> None:
    data = archived(shared_dir, name)
    found = TfliteModelParameters.load_from_tflite_flatbuffer(data)
    rewritten = found.add_to_tflite_flatbuffer(data)
    changed = {"hash", "date"}
    before, after = (
        [entry for entry in params_of(source) if entry[0] not in changed] for source in (data, rewritten)
    )
    assert before == after
    assert [key for key, _, _ in params_of(rewritten)] == [key for key, _, _ in params_of(data)]


class _SharedVtables(dict[tuple[int, ...], int]):
    """How flatbuffers 2.0, which wrote the models, shared vtables: without regard to the table's size."""

    def get(self, key: tuple[int, ...], default: int | None = None) -> int | None:  # type: ignore[override]
        return super().get(key[:-1], default)

    def __setitem__(self, key: tuple[int, ...], value: int) -> None:
        super().__setitem__(key[:-1], value)


@pytest.fixture
def flatbuffers_2_0(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Builder(flatbuffers.Builder):
        def __init__(self, size: int = 1024) -> None:
            super().__init__(size)
            self.vtables = _SharedVtables()

    monkeypatch.setattr(flatbuffers, "Builder", Builder)
    return


@pytest.mark.usefixtures("flatbuffers_2_0")
def test_files_of_the_reference_are_rewritten_byte_for_byte(shared_dir: Path, on_off: bytes) -> None:
    # Files, hashes and dates as published: our writer has to arrive at every byte, the MD5 among them.
    for data in (archived(shared_dir, "tflite_micro_speech"), on_off):
        published = TfliteModelParameters.load_from_tflite_flatbuffer(data)
        blank = TfliteModelParameters({**published, "hash": "", "date": ""})
        assert blank.add_to_tflite_flatbuffer(data, date=published["date"]) == data
        assert blank["hash"] == published["hash"]


@pytest.mark.usefixtures("flatbuffers_2_0")
def test_dictionaries_of_the_reference_are_rewritten_byte_for_byte(shared_dir: Path) -> None:
    model = unpack(archived(shared_dir, "keyword_spotting_alexa"))
    (entry,) = [entry for entry in model.metadata if entry.name == b"SL_PARAMSv1"]
    data = bytes(model.buffers[entry.buffer].data)
    assert TfliteModelParameters.deserialize(data).serialize() == data


def test_parameters_are_added_to_a_model_without_any() -> None:
    plain = tiny_keyword_model()
    parameters = TfliteModelParameters(name="tiny", version=1, classes=["a", "b", "c"], gain=0.5)
    data = parameters.add_to_tflite_flatbuffer(plain, date="2026-01-02T03:04:05.678Z")
    assert params_of(data)[:4] == [
        ("name", 12, "tiny"),
        ("version", 3, 1),
        ("classes", 13, ["a", "b", "c"]),
        ("gain", 10, 0.5),
    ]
    assert parameters["date"] == "2026-01-02T03:04:05.678Z"
    again = TfliteModelParameters.load_from_tflite_flatbuffer(data)
    assert again == parameters
    # Once more with the same date gives the same file: nothing piles up.
    assert again.add_to_tflite_flatbuffer(data, date=again["date"]) == data
    graph, before = unpack(data).subgraphs[0], unpack(plain).subgraphs[0]
    assert len(graph.tensors) == len(before.tensors)
    assert len(unpack(data).buffers) == len(unpack(plain).buffers) + 1


def test_the_hash_is_the_md5_of_the_file_with_empty_hash_and_date() -> None:
    parameters = TfliteModelParameters(name="tiny", hash="old", date="old")
    data = parameters.add_to_tflite_flatbuffer(tiny_keyword_model())
    model = unpack(data)
    blank = TfliteModelParameters({**parameters, "hash": "", "date": ""})
    model.buffers[model.metadata[0].buffer].data = list(blank.serialize())
    assert parameters["hash"] == hashlib.md5(pack(model)).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", parameters["date"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc_now())


def test_description_is_changed_only_when_given() -> None:
    parameters = TfliteModelParameters(name="tiny")
    assert unpack(parameters.add_to_tflite_flatbuffer(tiny_keyword_model())).description == b"made by hand"
    changed = parameters.add_to_tflite_flatbuffer(tiny_keyword_model(), description="hört")
    assert unpack(changed).description.decode() == "hört"


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_keyword_model())
    TfliteModelParameters(name="tiny").add_to_tflite_file(path)
    old = path.read_bytes()
    assert TfliteModelParameters.load_from_tflite_file(path)["name"] == "tiny"

    def no_space(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(MltkError, match=r"model\.tflite: No space left"):
        TfliteModelParameters(name="other").add_to_tflite_file(path)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["model.tflite"]


def test_output_leaves_the_file_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "model.tflite", tmp_path / "other.tflite"
    path.write_bytes(tiny_keyword_model())
    assert TfliteModelParameters(name="tiny").add_to_tflite_file(path, other) == other
    assert path.read_bytes() == tiny_keyword_model()
    assert TfliteModelParameters.load_from_tflite_file(str(other))["name"] == "tiny"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(MltkError, match="nowhere"):
        TfliteModelParameters.load_from_tflite_file(tmp_path / "nowhere.tflite")
    path = tmp_path / "plain.tflite"
    path.write_bytes(tiny_keyword_model())
    with pytest.raises(TfliteError, match=r"plain\.tflite carries no parameters"):
        TfliteModelParameters.load_from_tflite_file(path)
    path.write_bytes(b"hello")
    with pytest.raises(TfliteError, match=r"plain\.tflite is not a whole \.tflite file"):
        TfliteModelParameters.load_from_tflite_file(path)


def test_an_entry_that_points_nowhere_is_an_error() -> None:
    model = unpack(TfliteModelParameters(name="tiny").add_to_tflite_flatbuffer(tiny_keyword_model()))
    model.metadata[0].buffer = 99
    with pytest.raises(TfliteError, match="99"):
        TfliteModelParameters.load_from_tflite_flatbuffer(pack(model))


def test_put_checks_at_once() -> None:
    parameters = TfliteModelParameters()
    with pytest.raises(TfliteError, match="gain"):
        parameters.put("gain", {"a": 1})
    assert parameters == {}
    parameters.put("gain", (1, 2))
    assert parameters == {"gain": [1, 2]}
