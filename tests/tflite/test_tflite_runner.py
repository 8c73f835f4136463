"""Samples through LiteRT in batches: what they give must be what they give one by one."""

from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from tflite_models import FLOAT32, INT32, Builder, tiny_keyword_model

from mltk.tflite.engines import load_runner
from mltk.tflite.model import TfliteModel
from mltk.tflite.runner import BATCH, LiteRunner


def mixing_model() -> bytes:
    """Return x + the mean over the batch: a graph in which a sample's result depends on its neighbours."""
    build = Builder()
    source = build.tensor((1, 3), FLOAT32)
    axis = build.tensor((1,), INT32, data=[0])
    mean = build.tensor((1, 3), FLOAT32)
    result = build.tensor((1, 3), FLOAT32)
    for index in (source, result):
        build.graph.tensors[index].shapeSignature = [-1, 3]
    build.operator(40, [source, axis], [mean], schema.ReducerOptionsT(keepDims=True))
    build.operator(0, [source, mean], [result], schema.AddOptionsT())
    return build.pack([source], [result])


def test_a_graph_that_mixes_samples_runs_them_one_by_one() -> None:
    model = TfliteModel(mixing_model())
    x = np.random.default_rng(1).normal(size=(3 * BATCH, 3)).astype(np.float32)
    together = model.new_interpreter()
    together.resize_batch(BATCH)
    mixed = together.run(x[:BATCH])[0]
    np.testing.assert_allclose(mixed, x[:BATCH] + x[:BATCH].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(LiteRunner(model).run(x), 2 * x)


@pytest.mark.parametrize("free_batch", [True, False])
@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, 2 * BATCH + 3])
def test_raw_outputs_of_every_number_of_samples(free_batch: bool, count: int) -> None:
    model = TfliteModel(tiny_keyword_model(free_batch))
    x = np.random.default_rng(2).integers(-128, 128, (count, 5, 4, 1)).astype(np.int8)
    raw = LiteRunner(model).run(x)
    assert (raw.shape, raw.dtype) == ((count, 3), np.int8)
    single = model.new_interpreter()
    for sample, result in zip(x, raw, strict=True):
        np.testing.assert_array_equal(single.run(sample[np.newaxis])[0][0], result)


def test_batches_are_taken_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from mltk.tflite.interpreter import LiteInterpreter

    sizes: list[int] = []
    run = LiteInterpreter.run

    def counted(self: LiteInterpreter, *values: Any) -> Any:
        sizes.append(len(values[0]))
        return run(self, *values)

    monkeypatch.setattr(LiteInterpreter, "run", counted)
    runner = load_runner(TfliteModel(tiny_keyword_model()))
    x = np.zeros((2 * BATCH + 1, 5, 4, 1), np.int8)
    runner(x)
    sizes.clear()
    runner(x)
    assert sizes == [BATCH, BATCH, 1]


def test_engines_agree_on_shapes_of_samples() -> None:
    """A detector's windows have no trailing axis of one, or have it elsewhere: the values count."""
    model = TfliteModel(tiny_keyword_model())
    x = np.random.default_rng(3).integers(-128, 128, (BATCH + 1, 5, 1, 4)).astype(np.int8)
    expected = load_runner(model, "native")(x)
    assert expected.shape == (BATCH + 1, 3)
    assert np.abs(load_runner(model)(x).astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(load_runner(model)(x), load_runner(model)(x.reshape(-1, 5, 4, 1)))
    assert load_runner(model, "native")(x[:0]).shape == (0, 3)
