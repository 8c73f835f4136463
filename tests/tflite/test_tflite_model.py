"""Running .tflite files: against the int8 arithmetic worked out in numpy, and with wrong inputs."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt
import pytest
from tflite_models import FLOAT32, INT32, Builder, pack, tiny_keyword_model, unpack

from mltk.tflite.model import TfliteModel
from mltk.tflite.runner import BATCH
from mltk.tflite.vetting import is_vetted
from mltk.utils.errors import MltkError, TfliteError


def posteriors_by_hand(data: bytes, x: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Compute the hand-made model in real numbers, rounding where the int8 graph rounds."""
    model = TfliteModel(data)
    weights, bias, dense, dense_bias = (model.constant(model.tensors[index]) for index in (1, 2, 6, 7))
    assert weights is not None
    assert bias is not None
    assert dense is not None
    assert dense_bias is not None
    # SAME with stride 2 on 5 x 4 and a 3 x 2 window: 3 x 2 out, one row of zeros above and below, no column.
    padded = np.zeros((7, 4))
    padded[1:6] = x[:, :, 0]
    hidden = np.zeros((3, 2, 2))
    for channel in range(2):
        for row in range(3):
            for column in range(2):
                window = padded[2 * row : 2 * row + 3, 2 * column : 2 * column + 2]
                total = np.sum(window * weights[channel, :, :, 0]) + bias[channel]
                hidden[row, column, channel] = total * (0.01, 0.02)[channel]
    quantized = np.clip(np.round(np.maximum(hidden, 0) / 0.05) - 128, -128, 127)
    logits = ((quantized.reshape(-1) + 128) @ dense.T.astype(float) + dense_bias) * 0.05 * 0.003
    logits = (np.clip(np.round(logits / 0.05) + 3, -128, 127) - 3) * 0.05
    exponents = np.exp(logits - logits.max())
    return np.asarray(exponents / exponents.sum())


@pytest.mark.parametrize("reference_kernels", [False, True])
def test_predictions_are_those_of_the_specification(reference_kernels: bool) -> None:
    data = tiny_keyword_model()
    model = TfliteModel(data, reference_kernels=reference_kernels)
    rng = np.random.default_rng(3)
    for _ in range(50):
        x = rng.integers(-128, 128, (5, 4, 1)).astype(np.int8)
        result = model.predict(x)
        assert result.shape == (3,)
        assert result.dtype == np.float32
        # One step of the posterior's scale: the kernels round the exponential in fixed point.
        np.testing.assert_allclose(result, posteriors_by_hand(data, x), atol=1.01 / 256)


def test_batches_are_their_samples_one_by_one() -> None:
    model = TfliteModel(tiny_keyword_model())
    x = np.random.default_rng(4).integers(-128, 128, (2 * BATCH + 7, 5, 4, 1)).astype(np.int8)
    one_by_one = np.stack([model.predict(sample) for sample in x])
    np.testing.assert_array_equal(model.predict_batch(x), one_by_one)
    np.testing.assert_array_equal(model.predict(x), one_by_one)
    fixed = TfliteModel(tiny_keyword_model(free_batch=False))
    np.testing.assert_array_equal(fixed.predict_batch(x), one_by_one)
    assert len(np.unique(one_by_one, axis=0)) > 10


def test_a_batch_that_the_graph_does_not_take_runs_sample_by_sample() -> None:
    # The signature promises any batch, but the reshape says 1.
    model = unpack(tiny_keyword_model())
    model.buffers[3].data = np.frombuffer(np.array([1, 12], np.int32).tobytes(), np.uint8)
    fixed = TfliteModel(pack(model))
    x = np.random.default_rng(5).integers(-128, 128, (BATCH + 3, 5, 4, 1)).astype(np.int8)
    np.testing.assert_array_equal(fixed.predict_batch(x), TfliteModel(tiny_keyword_model()).predict_batch(x))


def test_no_samples_give_no_posteriors() -> None:
    assert TfliteModel(tiny_keyword_model()).predict_batch(np.zeros((0, 5, 4, 1), np.int8)).shape == (0, 3)


def test_real_numbers_are_quantized_and_saturated() -> None:
    model = TfliteModel(tiny_keyword_model())
    x = np.random.default_rng(6).integers(-128, 128, (5, 4, 1)).astype(np.int8)
    expected = model.predict(x)
    np.testing.assert_array_equal(model.predict(x.astype(np.float64) + 0.4), expected)
    np.testing.assert_array_equal(model.predict(x.astype(np.float32).tolist()), expected)
    np.testing.assert_array_equal(
        model.predict(np.full((5, 4, 1), 1e9)), model.predict(np.full((5, 4, 1), 127, np.int8))
    )
    tensor = model.inputs[0]
    np.testing.assert_array_equal(tensor.quantize([0.5, -0.5, 1.5, 2.5, 0.49]), [1, -1, 2, 3, 0])


def test_output_types() -> None:
    model = TfliteModel(tiny_keyword_model())
    x = np.zeros((5, 4, 1), np.int8)
    raw = model.predict(x, np.int8)
    assert raw.dtype == np.int8
    np.testing.assert_array_equal((raw.astype(np.float32) + 128) / 256, model.predict(x))
    assert model.predict(x, np.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((4, 5, 1), np.int8), "4x5x1"),
        (np.zeros((5, 4), np.int8), "5x4"),
        (np.zeros((2, 5, 4, 2), np.int8), "2x5x4x2"),
        (np.zeros((), np.int8), "int8"),
        (np.zeros((5, 4, 1), np.uint16), "uint16"),
        (np.zeros((5, 4, 1), np.int64), "int64"),
        (np.zeros((5, 4, 1), np.complex64), "complex64"),
        (np.full((5, 4, 1), np.nan), "not a number"),
        (np.full((5, 4, 1), np.inf), "infinite"),
        (np.full((5, 4, 1), "a"), "<U1"),
    ],
)
def test_a_wrong_input_is_told_what_it_is(x: Any, words: str) -> None:
    with pytest.raises(TfliteError, match=r"keyword\.tflite") as caught:
        TfliteModel(tiny_keyword_model(), path="keyword.tflite").predict(x)
    assert words in str(caught.value)


def test_tensors_and_layers_are_records() -> None:
    model = TfliteModel(tiny_keyword_model())
    source, output = model.inputs[0], model.outputs[0]
    assert (source.shape, source.dtype, source.scale, source.zero_point) == ((1, 5, 4, 1), np.int8, 1.0, 0)
    assert (output.shape, output.scale, output.zero_point) == ((1, 3), 1 / 256, -128)
    conv = model.layers[0]
    assert (conv.name, conv.options["stride_w"], conv.options["padding"]) == ("conv_2d", 2, 0)
    assert [tensor.shape for tensor in conv.inputs if tensor] == [(1, 5, 4, 1), (2, 3, 2, 1), (2,)]
    # 3 x 2 x 2 outputs of 3 x 2 products; 3 outputs of 12 products.
    assert [layer.macs for layer in model.layers] == [72, 0, 36, 0]
    assert [layer.ops for layer in model.layers] == [2 * 72 + 12, 12, 2 * 36 + 3, 2 * 3]
    assert (model.macs, model.ops) == (108, 249)
    assert is_vetted(model.layers)


def test_a_float_model_takes_any_number() -> None:
    build = Builder()
    source, output = build.tensor((1, 3), FLOAT32), build.tensor((1, 3), FLOAT32)
    build.operator(25, [source], [output], schema.SoftmaxOptionsT(beta=1.0))
    model = TfliteModel(build.pack([source], [output]))
    expected = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    for x in ([1.0, 2.0, 3.0], np.array([1, 2, 3], np.int8)):
        np.testing.assert_allclose(model.predict(x), expected, atol=1e-6)


def test_an_operator_out_of_the_vetted_ones_is_tried_and_run() -> None:
    build = Builder()
    source, axes = build.tensor((1, 4, 2), FLOAT32), build.tensor((1,), INT32, data=[1])
    output = build.tensor((1, 2), FLOAT32)
    build.operator(40, [source, axes], [output], schema.ReducerOptionsT(keepDims=False))
    model = TfliteModel(build.pack([source], [output]))
    assert not is_vetted(model.layers)
    assert model.layers[0].name == "mean"
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_allclose(model.predict(x), x.mean(axis=0))


def test_two_inputs_are_refused() -> None:
    build = Builder()
    first, second, output = (build.tensor((1, 2), FLOAT32) for _ in range(3))
    build.operator(0, [first, second], [output], schema.AddOptionsT())
    with pytest.raises(TfliteError, match="2 inputs"):
        TfliteModel(build.pack([first, second], [output])).predict([1, 2])


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(MltkError, match="nowhere"):
        TfliteModel.load_flatbuffer_file(tmp_path / "nowhere.tflite")
    with pytest.raises(MltkError, match="folder"):
        TfliteModel.load_flatbuffer_file(tmp_path)


def test_real_models_agree_with_the_reference_kernels(shared_dir: Path) -> None:
    with zipfile.ZipFile(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip") as archive:
        data = archive.read("keyword_spotting_alexa.tflite")
    fast, plain = TfliteModel(data), TfliteModel(data, reference_kernels=True)
    assert (fast.inputs[0].shape, fast.inputs[0].dtype) == ((1, 118, 1, 108), np.int8)
    x = np.random.default_rng(7).integers(-128, 128, (5, 118, 1, 108)).astype(np.int8)
    np.testing.assert_allclose(fast.predict_batch(x), plain.predict_batch(x), atol=2 / 256)


def test_running_a_model_prints_nothing_and_loads_no_tensorflow(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_keyword_model())
    code = (
        "import sys, numpy as np\n"
        "from mltk.tflite.model import TfliteModel\n"
        "assert 'ai_edge_litert' not in sys.modules\n"
        "model = TfliteModel.load_flatbuffer_file(sys.argv[1])\n"
        "model.predict(np.zeros((5, 4, 1), np.int8))\n"
        "model.predict_batch(np.zeros((100, 5, 4, 1), np.int8))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
