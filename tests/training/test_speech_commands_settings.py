"""The flags of the Speech Commands scripts: what they mean, and which are refused."""

from typing import Any

import pytest
from typer.testing import CliRunner

from mltk.cli.main import make_app
from mltk.training.speech_commands.settings import (
    DataSettings,
    FeatureSettings,
    ModelSettings,
    parse_schedule,
)
from mltk.utils.errors import MltkError, TrainingError


@pytest.mark.parametrize(
    ("flags", "shape"),
    [
        # The READMEs' tables, and the scripts' defaults: 98 x 40
        ({"preprocess": "average", "window_stride_ms": 20}, (49, 43)),
        ({"preprocess": "micro", "window_stride_ms": 20}, (49, 40)),
        ({}, (98, 40)),
        ({"preprocess": "average"}, (98, 43)),
        # 257 bins in means of 257 // 10 = 25: 11 of them
        ({"preprocess": "average", "feature_bin_count": 10}, (98, 11)),
        ({"sample_rate": 8000, "preprocess": "average"}, (98, 43)),
        ({"clip_duration_ms": 30}, (1, 40)),
    ],
)
def test_shapes_of_spectrograms(flags: dict[str, Any], shape: tuple[int, int]) -> None:
    assert FeatureSettings(**flags).shape == shape


def test_scale_is_that_of_the_readmes_converter() -> None:
    # --mean_values=0 --std_dev_values=9.8077 of an unsigned input
    features = FeatureSettings(preprocess="micro", quantize=True)
    assert 1 / features.scale == pytest.approx(9.8077, abs=1e-4)
    assert features.zero_point == -128


def test_stages() -> None:
    assert parse_schedule("15000,3000", "0.001,0.0001") == ((15000, 0.001), (3000, 0.0001))
    assert parse_schedule("7", "0.5") == ((7, 0.5),)


@pytest.mark.parametrize(
    ("steps", "rates", "told"),
    [
        ("15000,3000", "0.001", "has 2 stages and --learning_rate 1"),
        ("many", "0.001", "give numbers above 0"),
        ("0", "0.001", "give numbers above 0"),
        ("10", "nan", "give numbers above 0"),
        ("10", "-1", "give numbers above 0"),
        ("", "", "give numbers above 0"),
    ],
)
def test_wrong_stages_are_told(steps: str, rates: str, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        parse_schedule(steps, rates)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"preprocess": "mikro"}, 'did you mean "micro"'),
        ({"sample_rate": 0}, "--sample_rate is 0"),
        ({"clip_duration_ms": 20}, "does not fit into clips of 20 ms"),
        ({"window_size_ms": float("nan")}, "--window_size_ms is nan"),
        ({"window_stride_ms": 0.01}, "does not fit"),
        ({"feature_bin_count": 0}, "--feature_bin_count is 0"),
        ({"feature_bin_count": 258}, "--feature_bin_count is 258"),
        ({"sample_rate": 1_000_000, "clip_duration_ms": 600_000}, "does not fit"),
        ({"preprocess": "micro", "window_stride_ms": 12.5}, "takes whole milliseconds"),
        ({"preprocess": "micro", "window_stride_ms": 40}, "window_step_ms is 40"),
    ],
)
def test_features_that_can_not_be_are_told(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(MltkError, match=told):
        FeatureSettings(**flags)


@pytest.mark.parametrize("words", [(), ("",), ("yes", "yes"), ("../yes",), ("_silence_",), ("a\\b",)])
def test_words_that_are_no_folders_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(TrainingError, match="--wanted_words"):
        ModelSettings(features=FeatureSettings(), wanted_words=words)


def test_percentages_have_to_leave_something_to_train_with() -> None:
    with pytest.raises(TrainingError, match="leave nothing to train with"):
        DataSettings(data_dir="x", validation_percentage=60, testing_percentage=40)


def test_parameters_of_a_tflite_give_the_settings_back() -> None:
    features = FeatureSettings(preprocess="average", window_stride_ms=20, quantize=True)
    assert FeatureSettings.from_parameters(features.to_parameters(), "x.tflite") == features


@pytest.mark.parametrize(
    "damage",
    [{"preprocess": "x"}, {"sample_rate": "many"}, {"sample_rate": 10**30}, {"window_size_ms": float("inf")}],
)
def test_hostile_parameters_are_told(damage: dict[str, Any]) -> None:
    parameters = FeatureSettings().to_parameters()
    parameters.update({f"speech_commands.{name}": value for name, value in damage.items()})
    with pytest.raises(TrainingError):
        FeatureSettings.from_parameters(parameters, "x.tflite")


def test_settings_outlive_json() -> None:
    import json

    model = ModelSettings(features=FeatureSettings(preprocess="micro"), wanted_words=("yes", "no"))
    assert ModelSettings.from_dict(json.loads(json.dumps(model.to_dict()))) == model


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--quantize=2", "--data_url="], "--quantize is '2'"),
        (["train", "--verbosity", "LOUD"], "--verbosity is 'LOUD'"),
        (["train", "--optimizer=adams", "--data_url="], 'did you mean "adam"'),
        (["train", "--data_dir=/missing/words", "--data_url="], "no data set folder at"),
        (["test"], "Give either --start_checkpoint or --model_file"),
        (["test", "--model_file=x.tflite", "--part=all"], "--part is 'all'"),
        (
            ["freeze", "--start_checkpoint=/missing/x.ckpt-1", "--output_file=x.pb"],
            "There is no checkpoint at",
        ),
        (["convert", "--graph_def_file=/missing/x.pb", "--output_file=x.tflite"], "no model archive at"),
        (["wav_to_features", "--input_wav=/missing/x.wav"], "/missing/x.wav"),
    ],
)
def test_wrong_commands_are_told(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(make_app(), ["speech_commands", *arguments])
    assert isinstance(result.exception, MltkError)
    assert told in str(result.exception)
