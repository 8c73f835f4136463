"""Keras -> .tflite: the ops, the quantization of the input, the numbers, the refusals, the silence."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

import keras
from keras import layers

from mltk.tflite.convert import ConverterOptions, convert, exact_int8_range
from mltk.tflite.convert_clone import export_clone
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import TrainingError

INT8 = ConverterOptions(("DEFAULT",), ("TFLITE_BUILTINS_INT8",), "int8", "int8", True)


def micro_speech(shape: tuple[int, ...] = (49, 40, 1)) -> keras.Model:
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            layers.InputLayer(shape),
            layers.Conv2D(8, (10, 8), padding="same", strides=(2, 2)),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ],
        name="micro_speech",
    )
    # A trained model has a bias and statistics; an all-zero bias would drop out of the ops' inputs.
    rng = np.random.default_rng(3)
    model.layers[0].set_weights([rng.normal(0, 0.02, w.shape) for w in model.layers[0].get_weights()])
    norm = model.layers[1]
    norm.set_weights([np.abs(rng.normal(1, 0.2, w.shape)) for w in norm.get_weights()])
    model.layers[-1].set_weights([rng.normal(0, 0.01, w.shape) for w in model.layers[-1].get_weights()])
    return model


def features(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-110, 90, (count, 49, 40, 1)).astype(np.int8)


@pytest.fixture(scope="module")
def converted() -> tuple[keras.Model, bytes]:
    model = micro_speech()
    return model, convert(model, [features(60), features(40, 1)], INT8)


def test_micro_speech_has_the_four_ops_of_the_published_model(converted: tuple[keras.Model, bytes]) -> None:
    names = [layer.name for layer in TfliteModel(converted[1]).layers]
    assert names == ["conv_2d", "reshape", "fully_connected", "softmax"]


def test_int8_features_go_in_as_they_are(converted: tuple[keras.Model, bytes]) -> None:
    (tensor,) = TfliteModel(converted[1]).inputs
    assert (tensor.dtype, tensor.scale, tensor.zero_point) == (np.dtype("int8"), 1.0, 0)
    (output,) = TfliteModel(converted[1]).outputs
    assert (output.dtype, output.scale, output.zero_point) == (np.dtype("int8"), 1 / 256, -128)


def test_int8_computes_what_the_float_model_computes(converted: tuple[keras.Model, bytes]) -> None:
    model, data = converted
    x = features(50, 2)
    expected = np.asarray(model(x.astype(np.float32), training=False))
    assert expected.std() > 0.05, "a model that always says the same would prove nothing"
    np.testing.assert_allclose(TfliteModel(data).predict_batch(x), expected, atol=0.04)


def test_float_conversion_is_exact() -> None:
    model = micro_speech()
    x = features(5, 4).astype(np.float32)
    data = convert(model)
    np.testing.assert_allclose(
        TfliteModel(data).predict_batch(x), np.asarray(model(x, training=False)), atol=1e-5
    )
    assert TfliteModel(data).inputs[0].dtype == np.float32


def test_export_clone_shares_the_weights() -> None:
    model = micro_speech()
    clone = export_clone(model)
    x = features(4).astype(np.float32)
    np.testing.assert_array_equal(model(x, training=False), clone(x, training=False))
    model.layers[-1].bias.assign([5.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(model(x, training=False), clone(x, training=False))
    assert not any(isinstance(layer, layers.Flatten) for layer in clone.layers)
    assert any(isinstance(layer, layers.Flatten) for layer in model.layers)


def test_functional_models_convert_too() -> None:
    inputs = keras.Input((12, 8, 1))
    x = layers.DepthwiseConv2D(3, padding="same")(inputs)
    x = layers.Add()([x, inputs])
    outputs = layers.Dense(2, activation="softmax")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs, name="functional")
    data = convert(model, [features(20)[:, :12, :8]], INT8)
    assert TfliteModel(data).predict_batch(features(3)[:, :12, :8]).shape == (3, 2)


def test_exact_range_moves_two_values_only() -> None:
    x = features(5)
    changed = exact_int8_range(x)
    assert (changed.min(), changed.max()) == (-128.0, 127.0)
    assert np.count_nonzero(changed != x) == 2
    assert changed.dtype == np.float32
    assert set(exact_int8_range(np.zeros((2, 3), np.int8)).ravel()) == {-128.0, 0.0, 127.0}


def test_refusals() -> None:
    model = micro_speech()
    with pytest.raises(TrainingError, match="data to measure the ranges on"):
        convert(model, None, INT8)
    with pytest.raises(TrainingError, match=r"shape \(49, 39, 1\).*wants \(49, 40, 1\)"):
        convert(model, [features(3)[:, :, :39]], INT8)
    unknown = keras.Sequential([layers.InputLayer((None, 4)), layers.GlobalAveragePooling1D()], name="open")
    with pytest.raises(TrainingError, match="all sizes"):
        convert(unknown)
    unbuilt = keras.Sequential([layers.Dense(1)], name="unbuilt")
    with pytest.raises(TrainingError, match="not built"):
        convert(unbuilt)


def test_the_converter_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    before = list(logging.getLogger().handlers)
    convert(micro_speech(), [features(5)], INT8)
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
    assert logging.getLogger().handlers == before
