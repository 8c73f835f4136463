"""A whole training by steps: checkpoints, going on, freezing, converting, testing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

from speech_commands_words import settings, write_words
from typer.testing import CliRunner

from mltk.cli.main import make_app
from mltk.cli.speech_commands import _fetch
from mltk.evaluation.evaluate import evaluate_model
from mltk.models.archive import ModelArchive
from mltk.tflite.micro import is_available
from mltk.tflite.model import TfliteModel
from mltk.training.speech_commands.checkpoints import KEPT, Checkpoint
from mltk.training.speech_commands.freeze import freeze
from mltk.training.speech_commands.frozen import convert
from mltk.training.speech_commands.score import score_tflite
from mltk.training.speech_commands.settings import TrainSettings
from mltk.training.speech_commands.train import TrainResults, train
from mltk.utils.errors import ArchiveError, MltkError, TrainingError


class Made:
    """A training and its frozen model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = write_words(folder / "words")
        self.settings: TrainSettings = settings(
            self.data, folder / "train", summaries_dir=str(folder / "logs"), save_step_interval=10
        )
        self.results: TrainResults = train(self.settings)
        self.checkpoint = str(self.results.checkpoint.with_suffix(""))
        self.archive = freeze(
            self.checkpoint, folder / "tiny_conv.pb", {"quantize": True, "wanted_words": ("yes", "no")}
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTK_CACHE_DIR", str(folder / "cache"))
        yield Made(folder)


def test_what_a_training_leaves(made: Made) -> None:
    names = {path.name for path in (made.folder / "train").iterdir()}
    assert {f"tiny_conv.ckpt-{step}.npz" for step in (60, 70, 80, 90, 100)} <= names
    assert not {"tiny_conv.ckpt-50.npz", "tiny_conv.ckpt-110.npz"} & names
    assert KEPT == 5
    assert (made.folder / "train" / "tiny_conv_labels.txt").read_text() == "_silence_\n_unknown_\nyes\nno\n"
    assert (made.results.step, made.results.checkpoint.name) == (100, "tiny_conv.ckpt-100.npz")
    assert len(made.results.history["val_accuracy"]) == 3
    assert made.results.test is not None
    assert made.results.test.overall_accuracy > 0.7


def test_summaries_are_counted_in_steps(made: Made) -> None:
    import tensorflow as tf

    found: dict[str, list[int]] = {}
    rates = []
    for path in sorted((made.folder / "logs").glob("*/events*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(f"{path.parent.name}/{value.tag}", []).append(event.step)
                if value.tag == "epoch_learning_rate":
                    rates.append(float(tf.make_ndarray(value.tensor)))
    assert found["validation/epoch_accuracy"] == [40, 80, 100]
    assert found["train/epoch_loss"] == [40, 80, 100]
    # The rate of the last step before each validation
    assert rates == pytest.approx([0.003, 0.003, 0.0003])


def test_a_training_that_goes_on_is_as_one_that_was_not_stopped(made: Made, tmp_path: Path) -> None:
    start = str(made.folder / "train" / "tiny_conv.ckpt-70")
    chosen = settings(made.data, tmp_path, start_checkpoint=start)
    results = train(chosen)
    assert results.step == 100
    resumed, whole = Checkpoint.load(str(results.checkpoint)), Checkpoint.load(made.checkpoint)
    assert resumed.state.arrays.keys() == whole.state.arrays.keys()
    for name, values in whole.state.arrays.items():
        np.testing.assert_allclose(resumed.state.arrays[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_training_that_is_done_is_only_tested(made: Made, tmp_path: Path) -> None:
    chosen = settings(made.data, tmp_path, start_checkpoint=made.checkpoint)
    results = train(chosen)
    assert (results.step, results.history, results.validation_accuracy) == (100, {}, None)
    assert results.test is not None
    assert results.test == made.results.test


def test_frozen_model_is_as_the_readmes_converter_makes_it(made: Made) -> None:
    assert made.archive == made.folder / "tiny_conv.mltk.zip"
    names = set(ModelArchive(made.archive).names)
    assert names == {
        "tiny_conv.keras",
        "tiny_conv.tflite",
        "tiny_conv.tflite.summary.txt",
        "tiny_conv.float32.tflite",
    }
    path = convert(
        made.folder / "tiny_conv.pb", made.folder / "tiny_conv.tflite", "QUANTIZED_UINT8", "1,12,16,1"
    )
    model = TfliteModel.load_flatbuffer_file(path)
    given, result = model.inputs[0], model.outputs[0]
    assert (given.type_name, given.shape, given.zero_point) == ("int8", (1, 12, 16, 1), -128)
    assert 1 / given.scale == pytest.approx(9.8077, abs=1e-4)
    assert (result.type_name, result.shape) == ("int8", (1, 4))
    assert [layer.name for layer in model.layers] == ["conv_2d", "reshape", "fully_connected", "softmax"]
    assert model.parameters["classes"] == ["_silence_", "_unknown_", "yes", "no"]
    assert model.parameters["fe.filterbank_n_channels"] == 16
    assert model.parameters["detection_threshold"] == 200
    assert (model.parameters["runtime_memory_size"] > 500) == is_available()
    float_path = convert(made.archive, made.folder / "float.tflite", "FLOAT")
    assert TfliteModel.load_flatbuffer_file(float_path).inputs[0].type_name == "float32"


def test_int8_and_float_model_score_alike(made: Made) -> None:
    int8 = score_tflite(made.archive, made.settings.data)
    native = score_tflite(made.archive, made.settings.data, "native")
    assert int8.confusion_matrix == native.confusion_matrix
    assert made.results.test is not None
    assert int8.overall_accuracy == pytest.approx(made.results.test.overall_accuracy, abs=0.1)


def test_the_archive_is_a_model_as_any(made: Made) -> None:
    # The float model takes the device's features, as the .tflite does
    scores = [
        evaluate_model(
            made.archive, tflite=tflite, dataset=str(made.data), update_archive=False
        ).overall_accuracy
        for tflite in (False, True)
    ]
    assert min(scores) > 0.6
    assert scores[0] == pytest.approx(scores[1], abs=0.1)


def test_commands_tell_the_accuracy(made: Made) -> None:
    shares = ["--silence_percentage=50", "--unknown_percentage", "50", "--validation_percentage=20"]
    arguments = ["speech_commands", "test", f"--data_dir={made.data}", *shares, "--testing_percentage=20"]
    by_checkpoint = CliRunner().invoke(make_app(), [*arguments, "--start_checkpoint", made.checkpoint])
    assert by_checkpoint.exit_code == 0
    assert made.results.test is not None
    told = f"Final test accuracy = {100 * made.results.test.overall_accuracy:.1f}% (N="
    assert told in by_checkpoint.output
    by_model = CliRunner().invoke(make_app(), [*arguments, f"--model_file={made.archive}"])
    assert by_model.exit_code == 0
    assert "Confusion Matrix:" in by_model.output


def test_other_flags_than_the_checkpoints_are_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"trained with other flags: give the same or none .*--preprocess=micro"
    ):
        freeze(made.checkpoint, tmp_path / "x.pb", {"preprocess": "average"})
    other = settings(
        made.data, tmp_path, start_checkpoint=made.checkpoint, features={"feature_bin_count": 20}
    )
    with pytest.raises(TrainingError, match=r"trained with other flags.*--feature_bin_count=16"):
        train(other)
    other = settings(made.data, tmp_path, start_checkpoint=made.checkpoint, optimizer="momentum")
    with pytest.raises(TrainingError, match="--optimizer=adam"):
        train(other)
    assert not (tmp_path / "x.mltk.zip").exists()


def test_checkpoints_that_can_not_be_used_are_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"there is tiny_conv\.ckpt-100"):
        Checkpoint.load(str(made.folder / "train" / "tiny_conv.ckpt-18000"))
    whole = Path(f"{made.checkpoint}.npz").read_bytes()
    damaged = tmp_path / "x.ckpt-1.npz"
    for size in (0, 10, len(whole) // 2, len(whole) - 20):
        damaged.write_bytes(whole[:size])
        with pytest.raises(TrainingError, match="damaged"):
            Checkpoint.load(str(damaged))
    state = made.folder / "train" / "checkpoint" / "state.npz"
    with pytest.raises(TrainingError, match="is no checkpoint of"):
        Checkpoint.load(str(state))
    lonely = tmp_path / "y.ckpt-100.npz"
    lonely.write_bytes(whole)
    with pytest.raises(TrainingError, match="give clips with --data_dir"):
        freeze(str(lonely), tmp_path / "y.mltk.zip")
    assert freeze(str(lonely), tmp_path / "y.tflite", data_dir=str(made.data)).is_file()


def test_frozen_models_that_can_not_be_converted_are_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the model takes 1,12,16,1"):
        convert(made.archive, tmp_path / "x.tflite", input_shapes="1,49,40,1")
    with pytest.raises(ArchiveError, match="no model archive at"):
        convert(tmp_path / "missing.pb", tmp_path / "x.tflite")
    bare = made.folder / "bare.tflite"
    model = TfliteModel(ModelArchive(made.archive).tflite_bytes())
    for name in list(model.parameters):
        if name.startswith("speech_commands."):
            del model.parameters[name]
    bare.write_bytes(model.parameters.add_to_tflite_flatbuffer(model.flatbuffer_data))
    with pytest.raises(MltkError, match="was not made by 'mltk speech_commands freeze'"):
        score_tflite(bare, made.settings.data)


@pytest.mark.parametrize(
    ("features", "optimizer"),
    [
        ({"preprocess": "average", "quantize": False}, "gradient_descent"),
        ({"preprocess": "mfcc", "quantize": True}, "momentum"),
        ({"preprocess": "micro", "quantize": False}, "adam"),
    ],
)
def test_every_kind_of_features_is_trained_and_frozen(
    made: Made, tmp_path: Path, features: dict[str, Any], optimizer: str
) -> None:
    chosen = settings(
        made.data,
        tmp_path / "train",
        features=features,
        optimizer=optimizer,
        model_architecture="single_fc",
        schedule=((4, 0.001),),
        eval_step_interval=2,
    )
    results = train(chosen)
    archive = freeze(str(results.checkpoint), tmp_path / "single_fc.mltk.zip")
    model = TfliteModel(ModelArchive(archive).tflite_bytes())
    assert model.inputs[0].type_name == ("int8" if features["quantize"] else "float32")
    assert model.inputs[0].shape == (1, *chosen.model.features.shape, 1)
    assert ("fe.sample_rate_hz" in model.parameters) == (features["preprocess"] == "micro")
    if features["preprocess"] == "micro":
        assert model.parameters["samplewise_norm.rescale"] == pytest.approx(10 / 256)
    scores = score_tflite(archive, chosen.data, part="training")
    assert sum(map(sum, scores.confusion_matrix)) > 50


def test_a_data_set_is_fetched_into_an_empty_folder_only(
    made: Made, tmp_path: Path, monkeypatch: Any
) -> None:
    import tarfile

    archive = tmp_path / "words.tar.gz"
    with tarfile.open(archive, "w:gz") as target:
        target.add(made.data, arcname=".")
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    arguments = [
        "speech_commands", "train", f"--data_url={archive.as_uri()}", f"--data_dir={tmp_path / 'data'}",
        f"--train_dir={tmp_path / 'train'}", "--summaries_dir=", "--wanted_words=yes,no", "--model_architecture=single_fc",
        "--clip_duration_ms=250", "--window_stride=20", "--preprocess=micro", "--quantize=1", "--feature_bin_count=16",
        "--how_many_training_steps=2", "--learning_rate=0.001", "--batch_size=8", "--eval_step_interval=1", "--cores=0",
        "--time_shift_ms=10", "--silence_percentage", "25", "--unknown_percentage", "25", "--verbosity=ERROR",
    ]  # fmt: skip
    result = CliRunner().invoke(make_app(), arguments)
    assert result.exit_code == 0, result.output
    assert "Final test accuracy" in result.output
    assert f"Checkpoint: {tmp_path / 'train' / 'single_fc.ckpt-2'}" in result.output
    assert len(list((tmp_path / "data" / "yes").iterdir())) == 40
    # What is there already is not fetched again
    _fetch("file:///missing.tar.gz", str(tmp_path / "data"))
    with pytest.raises(MltkError, match="missing"):
        _fetch("file:///missing.tar.gz", str(tmp_path / "empty"))
