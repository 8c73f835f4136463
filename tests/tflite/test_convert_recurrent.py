"""LSTM and LayerNormalization: the seed's operators, the trained numbers, no state from one clip to the next."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

import keras
from keras import layers
from test_tflite_summary import cells

from mltk.evaluation.quantization import compare
from mltk.models.shared.recurrent import lstm_head
from mltk.models.shared.tenet import TENet
from mltk.tflite.convert import ConverterOptions, convert
from mltk.tflite.convert_clone import export_clone
from mltk.tflite.micro import TfliteMicro, is_available
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import TrainingError

FLOAT_IN_AND_OUT = ConverterOptions(("DEFAULT",), ("TFLITE_BUILTINS_INT8",), "float32", "float32", True)


def trained(model: keras.Model) -> keras.Model:
    """Give every weight a value of its own: a gamma of one or a bias of zero drops out of the graph."""
    rng = np.random.default_rng(5)
    for weight in model.weights:
        scale = 0.1 if weight.path.endswith(("gamma", "moving_variance")) else 0.2
        first = 1.0 if scale == 0.1 else 0.0
        if "kernel" not in weight.path:
            weight.assign(rng.normal(first, scale, weight.shape))
    return model


def head_model(shape: tuple[int, ...] = (5, 1, 8), n_classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(4)
    inputs = keras.Input(shape)
    return trained(keras.Model(inputs, lstm_head(inputs, n_classes, units=6), name="head"))


def inputs_for(model: keras.Model, count: int = 40, seed: int = 0) -> np.ndarray:
    shape = model.inputs[0].shape[1:]
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def posteriors(model: Any, x: np.ndarray) -> np.ndarray:
    """Run the samples one by one: an export clone takes no more."""
    return np.concatenate([np.asarray(model(x[i : i + 1], training=False)) for i in range(len(x))])


@pytest.fixture(scope="module")
def head() -> tuple[keras.Model, TfliteModel]:
    model = head_model()
    return model, TfliteModel(convert(model, [inputs_for(model, 200, 7)], FLOAT_IN_AND_OUT))


@pytest.mark.slow
def test_numbers_has_the_118_operators_of_seed_1(shared_dir: Path) -> None:
    keras.utils.set_random_seed(4)
    backbone = TENet((98, 1, 40), 11, channels=40, blocks=4, block_depth=4, include_head=False)
    model = trained(keras.Model(backbone.input, lstm_head(backbone.output, 11), name="numbers"))
    converted = TfliteModel(convert(model, [inputs_for(model, 20)], FLOAT_IN_AND_OUT))
    seed = cells((shared_dir / "seeds" / "1-audio-feature-generator-example.txt").read_text())
    assert len([row for row in seed if row[0].isdigit()]) == 118
    assert cells(converted.summary()) == seed
    assert np.abs(posteriors(export_clone(model), x := inputs_for(model, 4, 1)) - model(x)).max() <= 1e-5


def _lstm(**settings: Any) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        keras.utils.set_random_seed(9)
        return trained(
            keras.Sequential([layers.InputLayer((4, 5)), layers.LSTM(3, name="memory", **settings)], name="m")
        )

    return build


def _stacked() -> keras.Model:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4, 5))
    x = layers.LSTM(6, return_sequences=True)(inputs)
    x = layers.LayerNormalization(center=False, epsilon=0.01)(x)
    x = layers.LSTM(3, return_sequences=True)(x)
    x = layers.LayerNormalization(scale=False)(x)
    x = layers.LayerNormalization(axis=1)(x)  # exported as it is
    return trained(keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(x)), name="m"))


EXPORTABLE = {
    "head": head_model,
    "last output": _lstm(),
    "all outputs, no bias, dropout": _lstm(return_sequences=True, use_bias=False, recurrent_dropout=0.5),
    "unrolled": _lstm(unroll=True),
    "stacked": _stacked,
}


@pytest.mark.parametrize("build", EXPORTABLE.values(), ids=EXPORTABLE)
def test_the_clone_computes_what_the_trained_model_computes(build: Callable[[], keras.Model]) -> None:
    model = build()
    clone = export_clone(model)
    x = inputs_for(model, 10)
    expected = posteriors(model, x)
    assert expected.std() > 0.02
    np.testing.assert_allclose(posteriors(clone, x), expected, atol=1e-5)
    for weight in model.weights:  # shared: what is trained on later is exported
        weight.assign(weight * 0.5)
    np.testing.assert_allclose(posteriors(clone, x), posteriors(model, x), atol=1e-5)


def test_two_lstms_become_two_operators() -> None:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4, 5))
    x = layers.LSTM(3)(layers.LSTM(6, return_sequences=True)(inputs))
    model = trained(keras.Model(inputs, layers.Dense(2, activation="softmax")(x), name="m"))
    samples = inputs_for(model, 100)
    converted = TfliteModel(convert(model, [samples], FLOAT_IN_AND_OUT))
    names = [layer.name for layer in converted.layers]
    assert names.count("unidirectional_sequence_lstm") == 2
    assert "while" not in names
    expected = posteriors(model, samples)
    assert expected.std() > 0.02
    np.testing.assert_allclose(converted.predict_batch(samples), expected, atol=0.03)


def test_int8_computes_what_the_float_model_computes(head: tuple[keras.Model, TfliteModel]) -> None:
    model, converted = head
    x = inputs_for(model, 50, 3)
    expected = posteriors(model, x)
    assert expected.std() > 0.05
    assert np.abs(converted.predict_batch(x) - expected).max() < 0.06
    float32 = TfliteModel(convert(model))
    np.testing.assert_allclose(float32.predict_batch(x), expected, atol=1e-5)
    report = compare("head", float32, converted, x)
    assert report.unmatched == []
    assert len(report.layers) == len(converted.layers) - 1  # all but DEQUANTIZE
    (lstm,) = [layer for layer in report.layers if layer.name == "unidirectional_sequence_lstm"]
    assert lstm.sqnr_db > 20
    assert report.agreement > 0.9


def test_every_clip_starts_from_a_fresh_state(head: tuple[keras.Model, TfliteModel]) -> None:
    model, converted = head
    first, second = inputs_for(model, 2, 11)
    assert any(tensor.is_variable for tensor in converted.tensors), "there is a state to be reset"
    for reference in (False, True):
        litert = TfliteModel(converted.flatbuffer_data, reference_kernels=reference)
        alone = litert.predict(first)
        other = litert.predict(second)
        assert not np.array_equal(alone, other)
        np.testing.assert_array_equal(litert.predict(first), alone)
        np.testing.assert_array_equal(litert.predict_batch(np.stack([second, first, first]))[1:], [alone] * 2)


@pytest.mark.skipif(not is_available(), reason="tflite-micro is not installed")
def test_every_clip_starts_from_a_fresh_state_on_a_device_too(head: tuple[keras.Model, TfliteModel]) -> None:
    model, converted = head
    micro = TfliteMicro.load_flatbuffer(converted.flatbuffer_data)
    litert = TfliteModel(converted.flatbuffer_data, reference_kernels=True)

    def run(x: np.ndarray) -> np.ndarray:
        micro.input(value=x)
        micro.invoke()
        return micro.output()[0]

    first, second = inputs_for(model, 2, 11)
    alone = run(first)
    run(second)
    np.testing.assert_array_equal(run(first), alone)
    np.testing.assert_array_equal(run(first), alone)
    for x in inputs_for(model, 20, 12):
        np.testing.assert_allclose(run(x), litert.predict(x), atol=0.04)


def test_conversions_are_equal(head: tuple[keras.Model, TfliteModel]) -> None:
    model, converted = head
    again = convert(model, [inputs_for(model, 200, 7)], FLOAT_IN_AND_OUT)
    assert again == converted.flatbuffer_data


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"activation": "relu"}, "memory.*activations are relu and sigmoid.*tanh and sigmoid"),
        ({"recurrent_activation": "hard_sigmoid"}, "tanh and hard_sigmoid"),
        ({"go_backwards": True}, "memory.*goes backwards"),
        ({"return_state": True}, "returns its state"),
    ],
)
def test_an_lstm_that_the_operator_can_not_compute(settings: dict[str, Any], told: str) -> None:
    inputs = keras.Input((4, 5))
    outputs = layers.LSTM(3, name="memory", **settings)(inputs)
    model = keras.Model(inputs, outputs[0] if isinstance(outputs, list | tuple) else outputs)
    with pytest.raises(TrainingError, match=told):
        convert(model)


def test_a_stateful_lstm_is_refused() -> None:
    inputs = keras.Input(batch_shape=(1, 4, 5))
    with pytest.raises(TrainingError, match="stateful"):
        convert(keras.Model(inputs, layers.LSTM(3, stateful=True)(inputs)))


@pytest.mark.parametrize(
    "layer",
    [
        layers.GRU(3, name="gate"),
        layers.SimpleRNN(3, name="gate"),
        layers.Bidirectional(layers.LSTM(3), name="gate"),
        layers.RNN(layers.LSTMCell(3), name="gate"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_recurrent_layers_are_refused_before_the_converter_dies(layer: Any) -> None:
    model = keras.Sequential([layers.InputLayer((4, 5)), layer])
    with pytest.raises(TrainingError, match=r"gate.*LSTM alone"):
        convert(model, [inputs_for(model)], FLOAT_IN_AND_OUT)


def test_hidden_and_masked_lstms_are_refused() -> None:
    inner = keras.Sequential([layers.InputLayer((4, 5)), layers.LSTM(3, name="memory")], name="inner")
    with pytest.raises(TrainingError, match="memory is inside inner"):
        convert(keras.Sequential([layers.InputLayer((4, 5)), inner]))
    masked = keras.Sequential([layers.InputLayer((4, 5)), layers.Masking(), layers.LSTM(3)])
    with pytest.raises(TrainingError, match="mask"):
        convert(masked)


def test_a_model_without_a_graph_is_refused() -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    model = Own(name="own")
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(TrainingError, match=r"own is a Own.*keras\.Sequential"):
        convert(model)
