"""One contract for all architectures: builds, trains a step, exports to int8, agrees with float, runs on TFLM."""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="the extra 'train' is not installed")

import keras

from mltk.models.shared.architectures import ARCHITECTURES, build
from mltk.models.shared.bc_resnet import DilatedTemporalConvolution, SubSpectralNorm
from mltk.models.shared.multi_scale import MultiScaleTemporalConvolution
from mltk.tflite.convert import ConverterOptions, convert
from mltk.tflite.interpreter import LiteInterpreter
from mltk.tflite.micro import TfliteMicro, is_available
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import ModelError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"
SHAPE, CLASSES = (16, 40, 1), 4
INT8 = ConverterOptions(("DEFAULT",), ("TFLITE_BUILTINS_INT8",), "int8", "int8", True)
LARGEST_ERROR = 0.06  # of a posterior, int8 against float
# Some fifty layers of few channels: the noise of each adds up, and no other channel averages it out.
LARGER_ERRORS = {"tenet12_narrow": 0.2}
STEPS = 24
# Until then their few filters are less sure of a class than of their noise.
MORE_STEPS = {"bc_resnet": 96, "tenet12_narrow": 80}
SLOW = {"bc_resnet", "mobilenet_v2", "tenet12", "tenet6", "tenet12_narrow", "hf_tenet12"}


def names() -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ARCHITECTURES]


def count_macs(model: keras.Model) -> int:
    """Count from the Keras layers, apart from how .tflite files are counted."""
    total = 0
    for layer in model.layers:
        values = math.prod(layer.output.shape[1:])
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            total += values * math.prod(layer.kernel_size)
        elif isinstance(layer, keras.layers.Conv2D):
            total += values * math.prod(layer.kernel.shape[:3])
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
        elif isinstance(layer, MultiScaleTemporalConvolution):
            total += values * max(layer.scales)
        elif isinstance(layer, SubSpectralNorm):
            total += values
    return total


def clips(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 features that differ by class as words do, smooth in time and frequency, and one-hot labels."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 50, (CLASSES, 4, 5))
    words = np.repeat(np.repeat(coarse, SHAPE[0] // 4, axis=1), SHAPE[1] // 5, axis=2)[..., np.newaxis]
    labels = np.arange(count) % CLASSES
    features = words[labels] + rng.normal(0, 15, (count, *SHAPE))
    return features.clip(-128, 127).astype(np.int8), np.eye(CLASSES)[labels]


def settle_normalizations(model: keras.Model, samples: np.ndarray) -> None:
    """Give the normalizations the statistics of the samples: they follow slowly, and the training was short."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(samples, training=True)


@pytest.mark.parametrize("name", names())
def test_contract(name: str) -> None:
    keras.utils.set_random_seed(5)
    model = build(name, SHAPE, CLASSES)
    assert model.input_shape == (None, *SHAPE)
    assert model.output_shape == (None, CLASSES)
    assert not model.compiled
    features, labels = clips(48)
    samples = features.astype(np.float32)
    trained = 32  # the rest is new to the model

    # trains: a net whose weights are random tells nothing about int8, its noise drowns the little that differs
    model.compile(keras.optimizers.Adam(3e-3), "categorical_crossentropy")
    before = [weight.numpy() for weight in model.trainable_weights]
    halves = [slice(0, trained // 2), slice(trained // 2, trained)]
    halves *= MORE_STEPS.get(name, STEPS) // 2
    losses = [float(model.train_on_batch(samples[half], labels[half])) for half in halves]
    assert np.all(np.isfinite(losses))
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:2])
    for weight, then in zip(model.trainable_weights, before, strict=True):
        assert np.any(weight.numpy() != then), weight.path
    settle_normalizations(model, samples[:trained])

    # exports to int8
    data = convert(model, [features[:trained]], INT8)
    tflite = TfliteModel(data)
    assert tflite.macs == count_macs(model)
    assert (tflite.inputs[0].shape, tflite.inputs[0].type_name) == ((1, *SHAPE), "int8")

    # agrees with float
    expected = model(samples, training=False).numpy()
    assert (expected.argmax(1) == labels.argmax(1)).mean() > 0.9
    posteriors = tflite.predict_batch(features)
    largest_error = LARGER_ERRORS.get(name, LARGEST_ERROR)
    assert np.abs(posteriors - expected).max() <= largest_error
    clear = expected.max(1) > 0.5 + largest_error
    assert np.array_equal(posteriors.argmax(1)[clear], expected.argmax(1)[clear])

    # runs on TFLM
    if not is_available():
        pytest.skip("tflite-micro is not installed")
    micro, reference = TfliteMicro.load_flatbuffer(data), LiteInterpreter(data, reference_kernels=True)
    for one in features[:6]:
        micro.input(value=one)
        micro.invoke()
        (theirs,) = reference.run(one[np.newaxis])
        assert np.abs(micro.output().astype(int) - theirs.astype(int)).max() <= 1


def documented() -> dict[str, tuple[int, int]]:
    """Return the parameters and MACs of the table in docs/architectures.md."""
    found = re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d,]+) \| ([\d,]+) \|", DOCS.read_text(), re.MULTILINE)
    return {
        name: (int(parameters.replace(",", "")), int(macs.replace(",", "")))
        for name, parameters, macs in found
    }


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_documented_counts_are_those_of_the_model(name: str) -> None:
    model = build(name, (49, 40, 1), 12)
    parameters, macs = model.count_params(), count_macs(model)
    assert documented()[name] == (parameters, macs)
    docstring = " ".join((ARCHITECTURES[name].__doc__ or "").split())
    assert f"{parameters:,} parameters, {macs:,} MACs" in docstring


def test_ds_cnn_and_bc_resnet_are_of_the_published_size() -> None:
    assert build("ds_cnn", (49, 10, 1), 12).count_params() == 24_908  # MLPerf Tiny
    trained = {}
    for scale in (1, 1.5, 2, 3, 6, 8):
        model = build("bc_resnet", (101, 40, 1), 12, scale=scale)
        trained[scale] = round(sum(math.prod(w.shape) for w in model.trainable_weights) / 1000, 1)
    # The paper's table 2, in thousands: 9.2, 27.3 (BC-ResNet-2), 54.2, 188, 321
    assert trained[1] == 9.2
    assert trained[2] == 27.3
    assert trained[3] == 54.2
    assert round(trained[6]) == 188
    assert round(trained[8]) == 321


def test_tiny_conv_is_the_net_of_micro_speech() -> None:
    model = build("tiny_conv", (49, 40, 1), 4)
    assert model.count_params() == 16_652
    assert count_macs(model) == 336_000


@pytest.mark.parametrize("name", ["tiny_conv", "ds_cnn", "tenet6_narrow"])
def test_both_layouts_of_the_features_give_the_same(name: str) -> None:
    keras.utils.set_random_seed(5)
    spectrogram = build(name, (16, 10, 1), 3)
    sequence = build(name, (16, 1, 10), 3)
    sequence.set_weights(spectrogram.get_weights())
    samples = np.random.default_rng(0).normal(size=(4, 16, 10, 1)).astype(np.float32)
    expected = spectrogram(samples).numpy()
    np.testing.assert_allclose(sequence(samples.reshape(4, 16, 1, 10)).numpy(), expected, rtol=0, atol=1e-6)


def test_sub_spectral_norm_is_a_normalization_of_each_band() -> None:
    layer = SubSpectralNorm(2)
    samples = np.random.default_rng(0).normal(3.0, 2.0, (5, 7, 6, 4)).astype(np.float32)
    normalized = np.asarray(layer(samples, training=True))
    for band in (slice(0, 3), slice(3, 6)):
        part = samples[:, :, band]
        mean, variance = part.mean(axis=(0, 1, 2)), part.var(axis=(0, 1, 2))
        expected = (part - mean) / np.sqrt(variance + 1e-3)
        np.testing.assert_allclose(normalized[:, :, band], expected, rtol=0, atol=1e-5)
    layer.norm.set_weights([w + np.linspace(0.1, 0.9, 8) for w in layer.norm.get_weights()])
    exported = layer.export_layer()
    np.testing.assert_allclose(np.asarray(exported(samples)), np.asarray(layer(samples)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_a_dilated_convolution_is_exported_as_one_operator(dilation: int) -> None:
    layer = DilatedTemporalConvolution(3, dilation)
    model = keras.Sequential([keras.Input((12, 1, 5)), layer])
    samples = np.random.default_rng(0).normal(size=(1, 12, 1, 5)).astype(np.float32)
    tflite = TfliteModel(convert(model))
    assert [operator.name for operator in tflite.layers] == ["depthwise_conv_2d"]
    (output,) = LiteInterpreter(tflite.flatbuffer_data).run(samples)
    padded = np.pad(samples[0, :, 0], ((dilation, dilation), (0, 0)))
    kernel = layer.kernel.numpy()[:, 0, :, 0]
    expected = sum(kernel[tap] * padded[tap * dilation : tap * dilation + 12] for tap in range(3))
    np.testing.assert_allclose(output[0, :, 0], expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_bc_resnet_is_saved_and_loaded(tmp_path: Path) -> None:
    model = build("bc_resnet", (8, 16, 1), 2, sub_bands=2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    layer = again.get_layer("stage_3_block_0_time")
    assert isinstance(layer, DilatedTemporalConvolution)
    assert layer.dilation_rate == (8, 1)
    samples = np.random.default_rng(0).normal(size=(2, 8, 16, 1)).astype(np.float32)
    assert np.array_equal(again(samples).numpy(), model(samples).numpy())


@pytest.mark.parametrize(
    ("name", "shape", "options", "says"),
    [
        ("tiny_cov", SHAPE, {}, "no architecture 'tiny_cov', did you mean \"tiny_conv\""),
        ("ds_cnn", SHAPE, {"filter": 8}, "no option 'filter', did you mean \"filters\""),
        ("tenet6", SHAPE, {"chanels": 8}, 'did you mean "channels"'),
        ("single_fc", (49, 40), {}, r"\(frames, channels, 1\)"),
        ("low_latency_conv", (49, 7, 1), {}, "8 channels or more, not 7"),
        ("bc_resnet", (49, 30, 1), {}, r"\[15, 8, 4\], which 5 sub-bands do not divide"),
    ],
)
def test_what_can_not_be_is_refused_in_one_sentence(
    name: str, shape: tuple[int, ...], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says) as error:
        build(name, shape, 4, **options)
    assert "\n" not in str(error.value)


def test_names_are_listed_without_keras() -> None:
    code = (
        "import sys; from mltk.models.shared.architectures import ARCHITECTURES; "
        "assert len(list(ARCHITECTURES)) == 14; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
