"""Evaluation and quantization of a trained model."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

from mltk.evaluation.evaluate import evaluate_model
from mltk.evaluation.stored import stored_samples, training_run, validation_samples
from mltk.models.loading import load_mltk_model
from mltk.tflite.model import TfliteModel
from mltk.training.quantize import quantize_model
from mltk.utils.errors import MltkError, ModelError, TrainingError

LIGHT = """
import sys
from mltk.evaluation.evaluate import evaluate_model
results = evaluate_model({model!r}, tflite=True, dataset={dataset!r}, update_archive=False)
heavy = [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "keras", "tones")]
print(results.overall_accuracy, heavy)
"""


def copy_of(archive: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / archive.name
    target.write_bytes(archive.read_bytes())
    return target


def test_int8_of_a_folder_needs_no_tensorflow_and_runs_no_specification(trained: Any, tmp_path: Path) -> None:
    archive = copy_of(trained.archive, tmp_path)
    hostile = tmp_path / "hostile"
    with zipfile.ZipFile(archive) as source:
        members = {name: source.read(name) for name in source.namelist()}
    members["tones.py"] = f"open({str(hostile)!r}, 'w').close()".encode()
    with zipfile.ZipFile(archive, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    for dataset in (str(trained.dataset), None):
        code = LIGHT.format(model=str(archive), dataset=dataset)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        accuracy, heavy = run.stdout.splitlines()[-1].split(" ", 1)
        assert heavy == "[]"
        assert float(accuracy) > 0.5
    assert not hostile.exists()


def test_without_a_folder_the_clips_kept_apart_are_scored(trained: Any) -> None:
    results = evaluate_model(str(trained.archive), tflite=True, update_archive=False)
    assert results == trained.results.scores["tflite"]
    as_float = evaluate_model(str(trained.archive), update_archive=False)
    assert as_float.confusion_matrix == trained.results.scores["float"].confusion_matrix


def test_validation_clips_of_another_training_are_not_taken(trained: Any, tmp_path: Path) -> None:
    archive = copy_of(trained.archive, tmp_path)
    with zipfile.ZipFile(archive) as source:
        members = {name: source.read(name) for name in source.namelist()}
    history = json.loads(members["train/training-history.json"])
    assert training_run(archive)["run"] == history["params"]["run"]
    history["params"]["run"] = "another"
    members["train/training-history.json"] = json.dumps(history).encode()
    with zipfile.ZipFile(archive, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    assert stored_samples(load_mltk_model(trained.archive)) is not None
    assert stored_samples(load_mltk_model(archive)) is None
    with pytest.raises(ModelError, match=r"not on this machine.*--dataset DIR"):
        evaluate_model(str(archive), tflite=True)


def test_folder_counts_every_clip(trained: Any) -> None:
    results = evaluate_model(
        str(trained.archive), tflite=True, dataset=str(trained.dataset), update_archive=False
    )
    # Two noises of 0.5 s are four pieces of 0.25 s; 'other' is no class and there is no _unknown_.
    assert [sum(row) for row in results.confusion_matrix] == [16, 16, 4]
    some = evaluate_model(
        str(trained.archive),
        tflite=True,
        dataset=str(trained.dataset),
        max_samples_per_class=3,
        update_archive=False,
    )
    assert [sum(row) for row in some.confusion_matrix] == [3, 3, 3]


def test_noise_alone_can_be_scored(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "_background_noise_").mkdir()
    noise = next((trained.dataset / "_background_noise_").iterdir())
    (tmp_path / "_background_noise_" / noise.name).write_bytes(noise.read_bytes())
    samples = validation_samples(load_mltk_model(trained.archive), str(tmp_path))
    assert samples.class_ids.tolist() == [2, 2]


def test_folder_gives_the_features_that_the_specification_validates_with(trained: Any) -> None:
    without = load_mltk_model(trained.archive)
    with_spec = load_mltk_model(trained.archive, execute_spec=True)
    first = validation_samples(without, str(trained.dataset))
    second = validation_samples(with_spec, str(trained.dataset))
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.y, second.y)
    assert first.x.dtype == np.int8


def test_results_go_into_log_folder_and_archive(trained: Any, tmp_path: Path) -> None:
    archive = copy_of(trained.archive, tmp_path)
    before = archive.read_bytes()
    evaluate_model(str(archive), tflite=True, dataset=str(trained.dataset), update_archive=False)
    assert archive.read_bytes() == before
    results = evaluate_model(str(archive), tflite=True, dataset=str(trained.dataset))
    with zipfile.ZipFile(archive) as source:
        assert source.read("eval/tflite/summary.txt").decode() == results.summary()
        assert json.loads(source.read("eval/tflite/eval-results.json"))["name"] == "tones"
        h5 = source.read("eval/h5/eval-results.json")
    with zipfile.ZipFile(trained.archive) as source:
        assert h5 == source.read("eval/h5/eval-results.json")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_samples_per_class": 0}, "--count is 0"),
        ({"tflite": True, "weights": "w.weights.h5"}, "--weights is for the float model"),
        ({"weights": "missing.weights.h5"}, "no weights at missing"),
        ({"dataset": "/missing/folder"}, "/missing/folder"),
    ],
)
def test_evaluation_refusals(trained: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(MltkError, match=told):
        evaluate_model(str(trained.archive), **settings)


def test_a_bare_tflite(trained: Any) -> None:
    with pytest.raises(TrainingError, match="--tflite"):
        evaluate_model(str(trained.results.tflite_path))
    results = evaluate_model(
        str(trained.results.tflite_path), tflite=True, dataset=str(trained.dataset), update_archive=False
    )
    assert results.overall_accuracy > 0.5


def test_quantize_again_gives_the_same_graph(trained: Any, tmp_path: Path) -> None:
    output = tmp_path / "again.tflite"
    model = quantize_model(str(trained.archive), output=output)
    expected = TfliteModel.load_flatbuffer_file(trained.results.tflite_path)
    assert [layer.name for layer in model.layers] == [layer.name for layer in expected.layers]
    x = stored_samples(load_mltk_model(trained.archive)).x  # type: ignore[union-attr]
    np.testing.assert_array_equal(model.predict_batch(x), expected.predict_batch(x))
    assert output.read_bytes() == model.flatbuffer_data
    assert {**model.parameters, "date": "", "hash": ""} == {**expected.parameters, "date": "", "hash": ""}


def test_quantize_updates_the_archive_only(trained: Any, tmp_path: Path) -> None:
    archive = copy_of(trained.archive, tmp_path)
    quantize_model(
        str(archive), weights=str(trained.folder / "cache/models/tones/train/weights/best.weights.h5")
    )
    with zipfile.ZipFile(archive) as new, zipfile.ZipFile(trained.archive) as old:
        assert set(new.namelist()) == set(old.namelist())
        changed = {name for name in new.namelist() if new.read(name) != old.read(name)}
    assert changed <= {"tones.tflite", "tones.float32.tflite", "tones.tflite.summary.txt"}


def test_float32_model_and_own_representative_data(trained: Any) -> None:
    model = load_mltk_model(trained.archive, execute_spec=True)
    seen = []

    def representative() -> Any:
        for _ in range(4):
            seen.append(1)
            yield [np.zeros((1, *model.input_shape), np.float32) + 20.0 * len(seen)]

    model.tflite_converter["representative_dataset"] = representative  # type: ignore[attr-defined]
    model.tflite_converter["generate_unquantized"] = True  # type: ignore[attr-defined]
    from mltk.training.quantize import convert_samples

    converted = convert_samples(model, trained.results.keras_model, None)
    assert len(seen) == 4
    assert converted.float32 is not None
    assert TfliteModel(converted.float32).inputs[0].dtype == np.float32
    assert TfliteModel(converted.tflite).inputs[0].scale == pytest.approx(80 / 255)
    assert "tones.float32.tflite" in converted.members(model)


def test_published_h5_model_is_scored(shared_dir: Path, speech_dir: Path, tmp_path: Path) -> None:
    for word in ("yes", "no"):
        (tmp_path / "words" / word).mkdir(parents=True)
        for clip in sorted((speech_dir / "commands" / word).glob("*.flac"))[:10]:
            (tmp_path / "words" / word / clip.name).write_bytes(clip.read_bytes())
    archive = copy_of(shared_dir / "models" / "tflite_micro_speech.mltk.zip", tmp_path)
    results = evaluate_model(str(archive), dataset=str(tmp_path / "words"), update_archive=False)
    assert results.overall_accuracy > 0.75
