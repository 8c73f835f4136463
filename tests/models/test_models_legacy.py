"""Float models that Keras 2 wrote: loaded by Keras 3 with the same results, and no code of strangers run."""

import base64
import json
import marshal
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

from legacy_files import functional, input_layer, layer, sequential, write_h5

from mltk.models.float_model import load_float_model, summary_of
from mltk.models.legacy_h5 import UntrustedCodeError
from mltk.utils.errors import MltkError, ModelError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 6, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 6, 5, 2)).astype(np.float32)
RECURRENT = {"time_major": False, "return_sequences": True, "go_backwards": False, "implementation": 2}
CONVOLUTION = {"strides": [1, 1], "data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1}


def weights(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    """The standard cell, gates in Keras' order: input, forget, candidate, output."""
    units = recurrent.shape[0]
    h = c = np.zeros((x.shape[0], units))
    outputs = []
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def depthwise(x, kernel):
    """A valid depthwise convolution, straight from its definition."""
    height, width = kernel.shape[:2]
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    out = np.zeros((x.shape[0], rows, columns, x.shape[3]))
    for row in range(height):
        for column in range(width):
            out += x[:, row : row + rows, column : column + columns] * kernel[row, column, :, 0]
    return out


def outputs_of(path, x, **options):
    return np.asarray(load_float_model(path, **options)(x))


LSTM = (weights(4, 12), weights(3, 12), weights(12))
KERNEL, POINT = weights(3, 3, 2, 1), weights(1, 1, 2, 3)
DENSE = weights(4, 3)
MEAN, VARIANCE = weights(4), np.abs(weights(4)) + 0.1

ONE_LAYER = {
    "lstm": (X, layer("LSTM", "l", units=3, unroll=False, **RECURRENT), LSTM, lambda x: lstm(x, *LSTM)),
    "bidirectional": (
        X,
        layer("Bidirectional", "l", layer=layer("LSTM", "inner", units=3, **RECURRENT), merge_mode="concat"),
        [*LSTM, *LSTM],
        lambda x: np.concatenate([lstm(x, *LSTM), lstm(x[:, ::-1], *LSTM)[:, ::-1]], axis=-1),
    ),
    "time_distributed": (
        X,
        layer(
            "TimeDistributed", "l", layer=layer("Dense", "d", units=3, activation="linear", use_bias=False)
        ),
        [DENSE],
        lambda x: x @ DENSE,
    ),
    "depthwise": (
        IMAGE,
        layer("DepthwiseConv2D", "l", kernel_size=[3, 3], padding="valid", use_bias=False, **CONVOLUTION),
        [KERNEL],
        lambda x: depthwise(x, KERNEL),
    ),
    "separable": (
        IMAGE,
        layer(
            "SeparableConv2D",
            "l",
            filters=3,
            kernel_size=[3, 3],
            padding="valid",
            use_bias=False,
            **CONVOLUTION,
        ),
        [KERNEL, POINT],
        lambda x: depthwise(x, KERNEL) @ POINT[0, 0],
    ),
    "batch_normalization": (
        X,
        layer(
            "BatchNormalization",
            "l",
            axis=[2],
            epsilon=1e-3,
            center=False,
            scale=False,
            renorm=False,
            fused=None,
        ),
        [MEAN, VARIANCE],
        lambda x: (x - MEAN) / np.sqrt(VARIANCE + 1e-3),
    ),
    "layer_normalization of two axes": (
        X,
        layer("LayerNormalization", "l", axis=[1, 2], epsilon=1e-3, center=True, scale=True),
        [np.ones((6, 4)), np.arange(24.0).reshape(6, 4)],
        lambda x: (
            (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-3)
            + np.arange(24.0).reshape(6, 4)
        ),
    ),
    "hard_sigmoid": (
        X,
        layer("Activation", "l", activation="hard_sigmoid"),
        [],
        lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    ),
    "thresholded relu": (X, layer("ThresholdedReLU", "l", theta=0.3), [], lambda x: np.where(x > 0.3, x, 0)),
    "leaky relu": (X, layer("LeakyReLU", "l", alpha=0.2), [], lambda x: np.where(x > 0, x, 0.2 * x)),
    "spatial dropout": (
        IMAGE,
        layer("SpatialDropout2D", "l", rate=0.5, noise_shape=None, seed=None),
        [],
        lambda x: x,
    ),
    "dtype policy": (
        X,
        layer(
            "Activation",
            "l",
            activation="relu",
            dtype={"class_name": "Policy", "config": {"name": "float32"}},
        ),
        [],
        lambda x: np.maximum(x, 0),
    ),
    "slash in its name": (
        X,
        layer("Dense", "block/dense", units=3, activation="linear", use_bias=False),
        [DENSE],
        lambda x: x @ DENSE,
    ),
}


@pytest.mark.parametrize("case", ONE_LAYER)
def test_layers_of_keras_2_compute_the_same(case, tmp_path):
    x, one, values, expected = ONE_LAYER[case]
    path = write_h5(tmp_path / "m.h5", sequential([input_layer(x.shape[1:]), one]), {one["name"]: values})
    np.testing.assert_allclose(outputs_of(path, x), expected(x), atol=2e-5)


def slices(*parts):
    return {"slice_spec": [dict(zip(("start", "stop", "step"), part, strict=True)) if isinstance(part, tuple) else part
                           for part in parts]}  # fmt: skip


FUNCTIONS = {
    "__operators__.getitem": (slices((None, None, None), -1, (0, 2, None)), lambda x: x[:, -1, 0:2]),
    "math.add": ({"y": ["d", 0, 0]}, lambda x: x + x @ np.eye(4)),
    "math.multiply": ({"y": 2.5, "name": None}, lambda x: 2.5 * x),
    "math.reduce_mean": ({"axis": [1], "keepdims": False}, lambda x: x.mean(1)),
    "reshape": ({"shape": [-1, 24]}, lambda x: x.reshape(-1, 24)),
    "expand_dims": ({"axis": 1}, lambda x: x[:, None]),
    "compat.v1.transpose": ({"perm": [0, 2, 1]}, lambda x: x.transpose(0, 2, 1)),
    "clip_by_value": ({"clip_value_min": -0.5, "clip_value_max": 0.5}, lambda x: np.clip(x, -0.5, 0.5)),
    "nn.softmax": ({"axis": -1}, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bare_tensorflow_functions(function, tmp_path):
    call, expected = FUNCTIONS[function]
    kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
    operation = {**layer(kind, f"tf.{function}", function=function), "inbound_nodes": [["x", 0, 0, call]]}
    dense = layer("Dense", "d", ["x"], units=4, activation="linear", use_bias=False)
    layers = [input_layer((6, 4)), *([dense] if function == "math.add" else []), operation]
    path = write_h5(tmp_path / "m.h5", functional(layers, [f"tf.{function}"]), {"d": [np.eye(4)]})
    np.testing.assert_allclose(outputs_of(path, X), expected(X), atol=1e-5)


def test_functions_of_a_list_and_of_a_constant(tmp_path):
    minus = {**layer("TFOpLambda", "tf.minus", function="math.subtract")}
    minus["inbound_nodes"] = [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0], "name": None}]]
    concat = layer("TFOpLambda", "tf.concat", ["x", "tf.minus"], {"axis": -1}, function="concat")
    path = write_h5(tmp_path / "m.h5", functional([input_layer((6, 4)), minus, concat], ["tf.concat"]))
    np.testing.assert_allclose(outputs_of(path, X), np.concatenate([X, 1 - X], -1), atol=1e-6)


def test_unknown_tensorflow_function_is_named(tmp_path):
    read = {**layer("TFOpLambda", "tf.read", function="io.read_file"), "inbound_nodes": [["x", 0, 0, {}]]}
    path = write_h5(tmp_path / "m.h5", functional([input_layer((6, 4)), read], ["tf.read"]))
    with pytest.raises(ModelError, match=r"calls the TensorFlow function tf\.io\.read_file"):
        load_float_model(path)


@pytest.mark.parametrize("kind", ["Model", "Functional", "Sequential"])
def test_model_inside_a_model(kind, tmp_path):
    dense = layer("Dense", "d", ["i"], units=3, activation="linear", use_bias=False)
    parts = [input_layer((6, 4), "i"), dense]
    inner = sequential(parts, "inner") if kind == "Sequential" else functional(parts, ["d"], "inner", kind)
    inner.update(name="inner", inbound_nodes=[[["x", 0, 0, {}]]])
    path = write_h5(
        tmp_path / "m.h5", functional([input_layer((6, 4)), inner], ["inner"]), {"inner": [DENSE]}
    )
    np.testing.assert_allclose(outputs_of(path, X), X @ DENSE, atol=1e-5)
    assert "inner" in summary_of(load_float_model(path))


# --- strangers


def lambda_layer(trap):
    code = compile(f"lambda x: open({str(trap)!r}, 'w').close() or x", "x", "eval").co_consts[0]
    text = base64.b64encode(marshal.dumps(code)).decode()
    settings = {
        "function": [text, None, None],
        "function_type": "lambda",
        "module": "__main__",
        "arguments": {},
    }
    return layer("Lambda", "evil", **settings, output_shape=None, output_shape_type="raw")


def test_lambda_of_a_stranger_does_not_run(tmp_path):
    trap = tmp_path / "executed"
    path = write_h5(tmp_path / "m.h5", sequential([input_layer((6, 4)), lambda_layer(trap)]))
    with pytest.raises(UntrustedCodeError, match="has a Lambda layer"):
        load_float_model(path)
    assert not trap.exists()
    np.testing.assert_array_equal(outputs_of(path, X, trusted=True), X)
    assert trap.exists()


def test_lambda_hidden_in_a_wrapper_does_not_run(tmp_path):
    trap = tmp_path / "executed"
    wrapper = layer("TimeDistributed", "t", layer=lambda_layer(trap))
    path = write_h5(tmp_path / "m.h5", sequential([input_layer((6, 4)), wrapper]))
    with pytest.raises(UntrustedCodeError, match="has a Lambda layer"):
        load_float_model(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "nested",
    [
        {"class_name": "system", "module": "os", "config": "true"},
        {
            "class_name": "Popen",
            "module": "subprocess",
            "config": {"args": ["true"]},
            "registered_name": None,
        },
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
        {"class_name": "Dense", "module": "evil", "config": {}, "registered_name": None},
        {"class_name": "Custom>Mine", "config": {}},
    ],
    ids=lambda nested: nested["class_name"],
)
def test_classes_from_elsewhere_are_refused(nested, tmp_path):
    one = layer("Dense", "d", units=3, kernel_initializer=nested)
    path = write_h5(tmp_path / "m.h5", sequential([input_layer((6, 4)), one]))
    with pytest.raises(UntrustedCodeError, match=r"m\.h5 has a "):
        load_float_model(path)


def test_lambda_in_a_keras_file_does_not_run(tmp_path):
    import keras

    path = tmp_path / "m.keras"
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(path)
    with pytest.raises(UntrustedCodeError, match="has a Lambda layer"):
        load_float_model(path)
    assert outputs_of(path, X[0], trusted=True) == pytest.approx(X[0] + 1)


def test_unknown_layer_with_and_without_its_class(tmp_path):
    import keras

    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    path = write_h5(tmp_path / "m.h5", sequential([input_layer((6, 4)), layer("Doubled", "l")]))
    with pytest.raises(UntrustedCodeError, match="of the class 'Doubled', which Keras does not have"):
        load_float_model(path)
    np.testing.assert_array_equal(outputs_of(path, X, custom_objects={"Doubled": Doubled}), 2 * X)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_our_own_layers_need_no_trust(suffix, tmp_path):
    """In a fresh process, as `mltk summarize` is: nothing has registered them yet."""
    import keras

    from mltk.models.shared.tenet import MultiScaleTemporalConvolution

    path = tmp_path / f"m{suffix}"
    layers = [keras.layers.Input((8, 1, 4)), MultiScaleTemporalConvolution(scales=[3, 5], stride=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras advises against .h5
        keras.Sequential(layers).save(path)
    code = f"""
import pathlib
from mltk.tflite.convert_quiet import load_tensorflow
load_tensorflow()
from mltk.models.float_model import load_float_model
print([type(one).__name__ for one in load_float_model(pathlib.Path({str(path)!r})).layers])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MultiScaleTemporalConvolution" in run.stdout, run.stderr


# --- damage


def test_damaged_files_are_one_sentence(tmp_path):
    good = write_h5(tmp_path / "good.h5", sequential([input_layer((6, 4)), layer("ReLU", "r")])).read_bytes()
    cases = {"empty.h5": b"", "text.h5": b"hello", "cut.h5": good[: len(good) // 2], "text.keras": b"hello"}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=name):
            load_float_model(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "no_config.keras", "w") as target:
        target.writestr("model.weights.h5", b"")
    with pytest.raises(ModelError, match="no_config"):
        load_float_model(tmp_path / "no_config.keras")
    with pytest.raises(MltkError, match="There is no model at"):
        load_float_model(tmp_path / "missing.h5")


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        "Sequential",
        {"class_name": "Sequential"},
        sequential([{"class_name": "Dense", "config": {"name": "d", "units": "many"}}]),
        sequential([input_layer((6, 4)), layer("Dense", "d", units=10**9)]),
        sequential([input_layer((6, 4)), layer("LSTM", "d", units=3, time_major=True)]),
        functional([input_layer((6, 4)), layer("ReLU", "r", ["missing"])], ["r"]),
    ],
    ids=str,
)
def test_settings_that_make_no_model(config, tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights").attrs["layer_names"] = []
    with pytest.raises(ModelError, match=r"m\.h5"):
        load_float_model(tmp_path / "m.h5")


def test_arrays_larger_than_any_model_are_not_read(tmp_path):
    path = write_h5(tmp_path / "m.h5", sequential([input_layer((6, 4)), layer("ReLU", "r")]))
    with h5py.File(path, "r+") as file:
        file.create_dataset("bomb", shape=(2**40,), dtype="f4", chunks=(1024,))
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match="its arrays take"):
        load_float_model(path)


def test_weights_of_another_model_are_refused(tmp_path):
    config = sequential(
        [input_layer((6, 4)), layer("Dense", "d", units=3, activation="linear", use_bias=False)]
    )
    path = write_h5(tmp_path / "m.h5", config, {"d": [weights(5, 5)]})
    with pytest.raises(ModelError, match=r"m\.h5"):
        load_float_model(path)
