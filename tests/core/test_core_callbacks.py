"""Rates by steps, and tf.data in the training's hands."""

import pytest

tf = pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from mltk.core import DatasetMixin, MltkDataset, MltkModel  # noqa: E402
from mltk.core.keras.callbacks import SteppedLearnRateScheduler  # noqa: E402
from mltk.models.dataset import TensorBatches, loaded_from  # noqa: E402
from mltk.training.data import TrainingStream  # noqa: E402
from mltk.utils.errors import ModelError, TrainingError  # noqa: E402


def net(optimizer):
    model = keras.Sequential([keras.layers.InputLayer((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer=optimizer)
    model.jit_compile = False
    return model


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(round(float(self.model.optimizer.learning_rate), 6))


def fit(model, schedule, epochs, **options):
    rates = Rates()
    callback = SteppedLearnRateScheduler(schedule)
    x = np.zeros((8, 2), np.float32)
    history = model.fit(
        x, x[:, :1], batch_size=2, epochs=epochs, verbose=0, callbacks=[callback, rates], **options
    )
    return rates.rates, len(history.epoch), callback


def test_rates_follow_the_steps_and_end_the_training():
    model = net(keras.optimizers.SGD(1.0))
    schedule = [(3, 0.1), (2, 0.2), (4, 0.05)]
    rates, epochs, callback = fit(model, schedule, 9999)
    assert rates == [0.1] * 3 + [0.2] * 2 + [0.05] * 4
    assert epochs == 3  # of four steps each, the last one cut
    assert callback.stopped_epoch == 3
    assert callback.total_steps == 9


def test_the_optimizer_tells_where_a_resumed_training_is():
    model = net(keras.optimizers.Adam(1.0))
    first, _, callback = fit(model, [(6, 0.1), (6, 0.2)], 1)
    assert first == [0.1] * 4
    assert callback.stopped_epoch == 0
    rest, _, _ = fit(model, [(6, 0.1), (6, 0.2)], 9999, initial_epoch=1)
    assert rest == [0.1] * 2 + [0.2] * 6


@pytest.mark.parametrize(
    "schedule", [[], [(0, 0.1)], [(5, 0.0)], [(5,)], [5], [("a", "b")], [(5, float("nan"))]]
)
def test_wrong_schedules(schedule):
    with pytest.raises(ModelError, match="number of steps, learning rate"):
        SteppedLearnRateScheduler(schedule)


def test_two_schedules_are_refused():
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
    with pytest.raises(ModelError, match="ExponentialDecay and train_callbacks a SteppedLearnRateScheduler"):
        fit(net(optimizer), [(5, 0.1)], 1)


def batches(n=6):
    x = np.arange(2 * n, dtype=np.int8).reshape(n, 2)
    return tf.data.Dataset.from_tensor_slices((x, np.eye(2, dtype=np.int32)[np.arange(n) % 2])).batch(4)


class Data(MltkDataset):
    def __init__(self, training, validation):
        super().__init__()
        self.parts = training, validation
        self.unloaded = 0

    def load_dataset(self, subset, test=False, **kwargs):
        if self.parts[0] is None:
            raise ModelError("no data")
        model.class_counts["training"].update(a=4, b=2)
        return (self.parts[0], None, self.parts[1]) if subset == "training" else self.parts[1]

    def unload_dataset(self):
        self.unloaded += 1


class Model(MltkModel, DatasetMixin):
    pass


model = Model()
model.classes = ["a", "b"]
model.class_weights = "balanced"


def test_tf_data_becomes_numpy_batches():
    model.dataset = Data(batches(), batches(5))
    loaded = model.load_dataset("training")
    assert loaded.class_weights == {0: 0.75, 1: 1.5}
    assert isinstance(loaded.training, TensorBatches)
    assert len(loaded.training) == 2
    (x, y), (rest, _) = list(loaded.training)
    assert (x.dtype, x.shape, y.shape, rest.shape) == (np.int8, (4, 2), (4, 2), (2, 2))
    assert len(model.load_dataset("evaluation").validation) == 2
    model.unload_dataset()
    assert model.dataset.unloaded == 1


@pytest.mark.parametrize("parts", [(None, None), (batches(), batches().repeat()), (batches(), 3)])
def test_a_data_set_that_fails_is_unloaded(parts):
    model.dataset = Data(*parts)
    with pytest.raises(ModelError):
        model.load_dataset("training")
    assert model.dataset.unloaded == 1


def test_endless_data_needs_a_number_of_steps():
    endless = loaded_from((batches().repeat(), None, batches()), "training", 4, 0).training
    with pytest.raises(TrainingError, match="set steps_per_epoch"):
        TrainingStream(endless)
    assert TrainingStream(endless, steps=7).steps == 7
