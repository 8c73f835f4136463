"""The stream, the state, the best weights and the progress, each alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

import keras

from mltk.evaluation.samples import Samples
from mltk.training.backend import turn_off_automatic_xla
from mltk.training.checkpoints import BestWeights, StateSaver, TrainingState
from mltk.training.data import TrainingStream, validation_dataset
from mltk.utils.errors import AudioError, ModelError, TrainingError

# Keras on numpy 2 warns of its own code; `fit` and its like keep that away, here its parts are called one by
# one.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Feed:
    """Two batches an epoch whose values tell epoch and batch."""

    def __init__(self, fail_in: int = -1) -> None:
        self.fail_in = fail_in
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 2

    def epoch(self, number: int) -> Any:
        self.asked.append(number)
        for batch in range(2):
            if number == self.fail_in:
                raise AudioError("clip.wav is damaged")
            yield np.full((3, 4), 10 * number + batch, np.int8), np.ones((3, 2), np.float32)


def small_model() -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.InputLayer((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse", metrics=["accuracy"])
    return model


def test_stream_goes_on_from_epoch_to_epoch() -> None:
    feed = Feed()
    stream = TrainingStream(feed, first_epoch=3)
    assert stream.steps == 2
    values = [int(x[0, 0]) for x, _ in stream.dataset().take(5).as_numpy_iterator()]
    assert values == [30, 31, 40, 41, 50]
    assert feed.asked[:3] == [3, 4, 5]


def test_stream_of_plain_batches_and_without_length() -> None:
    batches = [(np.ones((2, 3)), np.ones((2, 1)))] * 3
    assert TrainingStream(batches).steps == 3
    x, y = next(iter(TrainingStream(batches).dataset().as_numpy_iterator()))
    assert (x.dtype, y.dtype, x.shape) == (np.float32, np.float32, (2, 3))


@pytest.mark.parametrize(("steps", "sizes"), [(None, [2, 2, 1]), (9, [2, 2, 1]), (2, [2, 2])])
def test_validation_batches_are_the_samples_over_and_over(steps: int | None, sizes: list[int]) -> None:
    x = np.arange(-5, 5, dtype=np.int8).reshape(5, 2, 1)
    y = np.eye(5, dtype=np.float32)
    dataset, n_batches = validation_dataset(Samples(x, y), 2, steps)
    assert n_batches == len(sizes)
    batches = list(dataset.take(2 * n_batches).as_numpy_iterator())
    assert [len(part) for part, _ in batches] == 2 * sizes
    assert {part.dtype for batch in batches for part in batch} == {np.dtype(np.float32)}
    n = sum(sizes)
    np.testing.assert_array_equal(
        np.concatenate([part for part, _ in batches]), np.concatenate([x[:n], x[:n]])
    )
    np.testing.assert_array_equal(
        np.concatenate([part for _, part in batches]), np.concatenate([y[:n], y[:n]])
    )


def test_pipelines_have_no_thread_to_wait_for() -> None:
    validation, _ = validation_dataset(Samples(np.zeros((2, 3), np.int8), np.zeros((2, 1), np.float32)), 2)
    training = TrainingStream([(np.zeros((2, 3)), np.zeros((2, 1)))]).dataset()
    assert not validation.options().autotune.enabled
    assert not training.options().autotune.enabled


def test_error_of_the_data_set_is_kept() -> None:
    stream = TrainingStream(Feed(fail_in=1))
    with pytest.raises(Exception, match=r"clip\.wav is damaged"):
        list(stream.dataset().take(4).as_numpy_iterator())
    assert isinstance(stream.failure, AudioError)


def test_empty_data_set_is_refused_not_looped_over() -> None:
    class Empty:
        def __iter__(self) -> Any:
            return iter(())

    with pytest.raises(TrainingError, match="no training samples"):
        TrainingStream(Empty()).dataset()


@pytest.mark.parametrize(
    ("monitor", "mode", "values", "kept"),
    [
        ("val_accuracy", "auto", [0.5, 0.7, 0.6, 0.7], 1),
        ("val_loss", "auto", [3.0, 1.0, 2.0, 1.0], 1),
        ("val_accuracy", "min", [0.5, 0.7, 0.4], 2),
    ],
)
def test_best_weights(tmp_path: Path, monitor: str, mode: str, values: list[float], kept: int) -> None:
    callback = BestWeights(tmp_path / "weights" / "best.weights.h5", monitor, mode)
    model = small_model()
    callback.set_model(model)
    for epoch, value in enumerate(values):
        model.layers[0].bias.assign([epoch, epoch])
        callback.on_epoch_end(epoch, {monitor: value})
    model.load_weights(callback.path)
    assert model.layers[0].bias.numpy().tolist() == [kept, kept]
    assert (callback.best, callback.best_epoch) == (values[kept], kept)
    assert [file.name for file in callback.path.parent.iterdir()] == ["best.weights.h5"]


def test_unknown_monitor_is_told(tmp_path: Path) -> None:
    callback = BestWeights(tmp_path / "b.weights.h5", "val_acuracy")
    with pytest.raises(ModelError, match='did you mean "val_accuracy"'):
        callback.on_epoch_end(0, {"loss": 1.0, "val_accuracy": 0.5})


def test_state_brings_everything_back(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(32, 4)), np.zeros((32, 2))
    path = tmp_path / "state.npz"
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=3)
    model = small_model()
    saver = StateSaver(path, [plateau], {"seed": 4})
    model.fit(x, y, epochs=3, verbose=0, shuffle=False, callbacks=[plateau, saver])
    state = TrainingState.load(path)
    assert (state.epoch, state.run, len(state.history["loss"])) == (2, {"seed": 4}, 3)

    other = small_model()
    again = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=3)
    resumed = StateSaver(path, [again], {}, state)
    other.fit(x, y, epochs=5, initial_epoch=3, verbose=0, shuffle=False, callbacks=[again, resumed])
    model.fit(x, y, epochs=5, initial_epoch=3, verbose=0, shuffle=False, callbacks=[])
    for left, right in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)
    assert len(resumed.history["loss"]) == 5
    assert again.best == pytest.approx(min(resumed.history["loss"]))


def test_state_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    TrainingState(0, {}, [], {"model/0": np.zeros(3)}, {}).save(path)
    saver = StateSaver(path, [], {}, TrainingState.load(path))
    saver.set_model(small_model())
    with pytest.raises(TrainingError, match="of another model"):
        saver.on_train_begin()


def test_state_with_pickles_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    np.savez(path, meta=np.array([object()], dtype=object))
    with pytest.raises(TrainingError, match="damaged"):
        TrainingState.load(path)


def test_xla_is_off_unless_asked_for() -> None:
    model = small_model()
    turn_off_automatic_xla(model)
    assert model.jit_compile is False
    model.compile("adam", "mse", jit_compile=True)
    turn_off_automatic_xla(model)
    assert model.jit_compile is True


def test_bar_shows_on_a_terminal_and_log_lines_stay_whole(monkeypatch: Any) -> None:
    import io
    import logging

    from rich.console import Console

    from mltk.training import progress as module
    from mltk.utils.logging import get_mltk_logger

    screen = io.StringIO()
    monkeypatch.setattr(
        module, "stderr_console", lambda: Console(file=screen, force_terminal=True, width=120)
    )
    best = BestWeights(Path("unused.weights.h5"), "val_accuracy")
    shown = module.TrainingProgress(epochs=4, steps=10, best=best, open_end=False)
    shown.set_model(small_model())
    console = logging.StreamHandler(screen)
    console.mltk_console = True  # type: ignore[attr-defined]
    logger = get_mltk_logger()
    monkeypatch.setattr(logger, "handlers", [console])
    monkeypatch.setattr(logger, "level", logging.INFO)
    with shown.shown():
        shown.on_epoch_begin(0)
        shown._shown = 0.0
        shown.on_train_batch_end(4, {"loss": 0.5, "accuracy": 0.25})
        shown._bar.refresh()
        best.best, best.best_epoch = 0.75, 0
        shown.on_epoch_end(0, {"loss": 0.5, "val_accuracy": 0.75})
    text = screen.getvalue()
    assert "Epoch 1/4" in text
    assert "5/10" in text
    assert "loss 0.5000  accuracy 0.2500" in text
    assert "Epoch 1/4  loss 0.5000  val_accuracy 0.7500  best" in text
    assert console.stream is screen
    with pytest.raises(TrainingError, match="loss became nan"):
        shown.on_train_batch_end(0, {"loss": float("nan")})
