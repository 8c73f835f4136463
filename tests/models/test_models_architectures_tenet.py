"""TENet: the published models' operators and weights, the fusion of its branches."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="the extra 'train' is not installed")

import keras

from mltk.models.shared import tenet
from mltk.tflite.convert import ConverterOptions, convert
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import ModelError

INT8 = ("DEFAULT",), ("TFLITE_BUILTINS_INT8",)
ALEXA = "keyword_spotting_alexa"


@pytest.fixture(scope="module")
def alexa(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alexa")
    with zipfile.ZipFile(shared_dir / "models" / f"{ALEXA}.mltk.zip") as archive:
        for suffix in (".tflite", ".float32.tflite", ".h5"):
            (folder / f"{ALEXA}{suffix}").write_bytes(archive.read(f"{ALEXA}{suffix}"))
    return folder / ALEXA


def table(data: bytes, last: str) -> list[str]:
    """Return the lines of a summary down to the one that begins with `last`."""
    lines = TfliteModel(data).summary().splitlines()
    return lines[: next(i for i, line in enumerate(lines) if line.startswith(last)) + 1]


def rows(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]


def randomize(model: keras.Model, seed: int = 0) -> None:
    """Give the weights values that a training could: no bias is zero, no variance is 1."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights(
            [w + rng.uniform(0.05, 0.2, w.shape) if w.ndim == 1 else w for w in layer.get_weights()]
        )


def test_tenet12_with_the_published_weights_is_the_published_model(alexa: Path) -> None:
    model = tenet.TENet12(input_shape=(118, 1, 108), classes=2)
    assert model.count_params() == 108_770
    model.load_weights(alexa.with_suffix(".h5"), by_name=True)
    samples = np.random.default_rng(0).integers(-128, 128, (8, 118, 1, 108)).astype(np.int8)
    published = TfliteModel.load_flatbuffer_file(alexa.with_suffix(".float32.tflite"))
    expected = np.stack([published.predict(sample.astype(np.float32)) for sample in samples])
    np.testing.assert_allclose(
        model.predict(samples.astype(np.float32), verbose=0), expected, rtol=0, atol=1e-5
    )
    data = convert(model, [samples], ConverterOptions(*INT8, "int8", "int8", True))
    ours = table(data, "Total OPs")
    assert ours == table(alexa.with_suffix(".tflite").read_bytes(), "Total OPs")
    assert len([row for row in rows(ours) if row[0].isdigit()]) == 56
    assert ours[-2:] == ["Total MACs: 4.562 M", "Total OPs: 9.247 M"]


def test_the_backbone_is_that_of_the_numbers_model(shared_dir: Path) -> None:
    seed = (shared_dir / "seeds" / "1-audio-feature-generator-example.txt").read_text()
    seed_rows = rows(seed[seed.index("| Index") :].splitlines())
    expected = seed_rows[1 : next(i for i, row in enumerate(seed_rows) if row[0] == "70")]
    model = tenet.TENet(
        (98, 1, 40), 11, channels=40, blocks=4, block_depth=4, include_head=False, name="numbers"
    )
    assert model.output_shape == (None, 7, 1, 40)
    samples = np.random.default_rng(0).normal(size=(2, 98, 1, 40)).astype(np.float32)
    data = convert(model, [samples], ConverterOptions(*INT8, "float32", "float32", True))
    ours = rows(table(data, "Total MACs"))[1:]
    end = next(i for i, row in enumerate(ours) if row[0] == "70")
    assert ours[:end] == expected
    assert len([row for row in expected if row[0].isdigit()]) == 70
    assert ours[end][1] == "dequantize"


@pytest.mark.parametrize("time", [16, 17])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_branches_fuse_into_one_kernel(time: int, stride: int) -> None:
    layer = tenet.MultiScaleTemporalConvolution(stride=stride, scales=[9, 7, 5, 3])
    model = keras.Sequential([keras.Input((time, 1, 6)), layer])
    randomize(model)
    fused = tenet.fuse(model)
    (only,) = fused.layers
    assert type(only) is keras.layers.DepthwiseConv2D
    assert only.name == layer.name
    assert only.kernel.shape == (9, 1, 6, 1)
    samples = np.random.default_rng(1).normal(size=(3, time, 1, 6)).astype(np.float32)
    expected = model.predict(samples, verbose=0)
    np.testing.assert_allclose(fused.predict(samples, verbose=0), expected, rtol=0, atol=2e-6)
    assert expected.shape == (3, -(-time // stride), 1, 6)


def test_a_multi_scale_net_trains_its_branches_and_exports_one_kernel() -> None:
    options: dict[str, Any] = {"channels": 8, "blocks": 1, "block_depth": 2}
    multi = tenet.TENet12((12, 5, 1), 3, mtconv=True, **options)
    single = tenet.TENet12((12, 5, 1), 3, **options)
    multi.compile("adam", "categorical_crossentropy")
    samples = np.random.default_rng(0).normal(size=(16, 12, 5, 1)).astype(np.float32)
    before = multi.get_layer("mtconv-1").get_weights()
    multi.train_on_batch(samples, np.eye(3)[np.arange(16) % 3])
    after = multi.get_layer("mtconv-1").get_weights()
    assert [w.shape for w in after[:1]] == [(9, 1, 24, 1)]
    assert len(after) == 4 + 4 * 4
    assert all(np.any(a != b) for a, b in zip(after, before, strict=True))
    randomize(multi)
    expected = multi.predict(samples, verbose=0)
    np.testing.assert_allclose(tenet.fuse(multi).predict(samples, verbose=0), expected, rtol=0, atol=1e-6)
    float32 = TfliteModel(convert(multi))
    np.testing.assert_allclose(np.stack([float32.predict(x) for x in samples]), expected, rtol=0, atol=1e-6)
    randomize(single)
    assert table(convert(multi), "Total OPs") == table(convert(single), "Total OPs")


# Keras 3.15 and TensorFlow 2.21 beside numpy 2
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_multi_scale_layer_is_saved_and_loaded(tmp_path: Path) -> None:
    model = tenet.TENet6Narrow((12, 1, 5), 2, mtconv=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("mtconv-0").get_config()["scales"] == [9, 7, 5, 3]
    samples = np.random.default_rng(0).normal(size=(2, 12, 1, 5)).astype(np.float32)
    assert np.array_equal(again.predict(samples, verbose=0), model.predict(samples, verbose=0))


def test_the_widths_of_the_named_nets() -> None:
    def widths(model: keras.Model) -> list[int]:
        return [layer.filters for layer in model.layers if layer.name.startswith("pointwise_contract")]

    shape = (20, 1, 4)
    assert widths(tenet.TENet6(shape, 2)) == [32] * 6
    assert widths(tenet.TENet12Narrow(shape, 2)) == [16] * 12
    assert widths(tenet.TENet6Narrow(shape, 2)) == [16] * 6
    assert widths(tenet.HFTENet12(shape, 2)) == [32] * 4 + [36] * 4 + [40] * 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"input_shape": (49, 40)}, r"\(frames, channels, 1\).*not \(49, 40\)"),
        ({"input_shape": (49, 40, 3)}, r"not \(49, 40, 3\)"),
        ({"classes": 0}, "number of classes"),
        ({"scales": [9, 4]}, r"odd numbers of frames.*\[9, 4\]"),
        ({"scales": []}, "odd numbers"),
        ({"scales": [1]}, "odd numbers"),
    ],
)
def test_what_can_not_be_is_refused_in_one_sentence(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says) as error:
        tenet.TENet(**({"input_shape": (49, 1, 40), "classes": 2} | arguments))
    assert "\n" not in str(error.value)


def test_a_layer_refuses_what_is_not_a_sequence() -> None:
    with pytest.raises(ModelError, match="time, 1, channels"):
        tenet.MultiScaleTemporalConvolution()(np.zeros((1, 8, 2, 3), np.float32))
