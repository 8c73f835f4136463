"""What the loaders hand to the training, from users' own data sets and from folders of recordings."""

import inspect
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.models.dataset import ArrayBatches, LoadedDataset, MltkDataset, balanced_weights
from mltk.models.model import AudioDatasetMixin, DatasetMixin, MltkModel, TrainMixin
from mltk.utils.errors import DatasetError, ModelError

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.eye(2, dtype=np.float32)[np.arange(10) % 2]


class OwnModel(MltkModel, TrainMixin, DatasetMixin):
    pass


class AudioModel(MltkModel, TrainMixin, AudioDatasetMixin):
    pass


class Words(MltkDataset):
    """A data set that notes how it was called."""

    def __init__(self, training, evaluation=None):
        self.results = {"training": training, "evaluation": evaluation}
        self.calls = []
        self.unloaded = 0

    def load_dataset(self, subset, test=False, **kwargs):
        self.calls.append((subset, test, kwargs))
        return self.results[subset]

    def unload_dataset(self):
        self.unloaded += 1


@pytest.fixture
def model():
    own = OwnModel()
    own.classes = ["a", "b"]
    own.batch_size = 4
    return own


def batches_of(n):
    return [(X[:4], Y[:4])] * n


def test_batches_pass_through_as_they_are(model):
    training, validation = batches_of(3), batches_of(1)
    model.dataset = Words((training, None, validation), validation)
    loaded = model.load_dataset("training")
    assert loaded.training is training
    assert loaded.validation is validation
    assert model.dataset.calls == [("training", False, {})]
    evaluation = model.load_dataset("evaluation", test=True)
    assert evaluation.training is None
    assert evaluation.validation is validation
    assert model.dataset.calls[1] == ("evaluation", True, {})
    model.unload_dataset()
    assert model.dataset.unloaded == 1


def test_dry_run_reaches_the_data_set(model):
    model.dataset = Words((batches_of(1), None, None))
    model.test_mode_enabled = True
    assert model.load_dataset("training").validation is None
    assert model.dataset.calls[0][1] is True


def test_arrays_become_batches(model):
    model.dataset = Words((X, Y, (X[:6], Y[:6])), (X[:5], Y[:5]))
    loaded = model.load_dataset("training", seed=1)
    assert len(loaded.training) == 3
    got = list(loaded.training)
    assert [len(x) for x, _ in got] == [4, 4, 2]
    assert sorted(np.concatenate([x for x, _ in got])[:, 0]) == sorted(X[:, 0])
    for x, y in got:
        assert np.array_equal(y, Y[(x[:, 0] / 2).astype(int)])
    assert np.array_equal(np.concatenate([x for x, _ in loaded.validation]), X[:6])
    evaluation = model.load_dataset("evaluation")
    assert np.array_equal(np.concatenate([x for x, _ in evaluation.validation]), X[:5])


def test_array_batches_are_in_another_order_every_epoch_and_the_same_every_run():
    one, two = ArrayBatches(X, Y, 4, seed=3), ArrayBatches(X, Y, 4, seed=3)
    orders = [np.concatenate([x for x, _ in one])[:, 0].tolist() for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert [np.concatenate([x for x, _ in two.epoch(i)])[:, 0].tolist() for i in range(3)] == orders


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (batches_of(1), "returned list: it must return"),
        (None, "returned NoneType"),
        ((batches_of(1), None), "returned tuple"),
        ((X, None, None), "without labels"),
        ((X, Y[:3], None), "10 samples and 3 labels"),
        ((X[:0], Y[:0], None), "0 samples and 0 labels"),
        ((3, None, None), "returned int without labels"),
    ],
)
def test_other_results_are_refused(model, training, message):
    model.dataset = Words(training)
    with pytest.raises(ModelError, match=message):
        model.load_dataset("training")


def test_missing_data_set(model):
    with pytest.raises(ModelError, match="has no data set"):
        model.load_dataset()
    model.dataset = MltkDataset()
    with pytest.raises(ModelError, match="define load_dataset"):
        model.load_dataset()


def test_module_is_a_data_set(model):
    model.dataset = ModuleType("words")
    model.dataset.load_dataset = lambda subset, test: (batches_of(2), None, batches_of(1))
    assert len(model.load_dataset().training) == 2
    model.unload_dataset()


def test_only_arguments_that_the_data_set_names_are_passed(model):
    class Named(Words):
        def load_dataset(self, subset, test=False, dataset_dir=None, seed=None):
            return super().load_dataset(subset, test, dataset_dir=dataset_dir, seed=seed)

    model.dataset = Named((batches_of(1), None, None))
    model.load_dataset(dataset_dir="d", seed=7, max_samples_per_class=3)
    assert model.dataset.calls == [("training", False, {"dataset_dir": "d", "seed": 7})]
    model.dataset = Words((batches_of(1), None, None))
    with pytest.raises(ModelError, match="takes no other folder"):
        model.load_dataset(dataset_dir="d")


def test_class_weights(model):
    model.dataset = Words((batches_of(1), None, None))
    assert model.load_dataset().class_weights is None
    model.class_weights = "balanced"
    assert model.load_dataset().class_weights is None  # nobody counted
    model.class_counts["training"] = {"a": 30, "b": 10}
    assert model.load_dataset().class_weights == pytest.approx({0: 40 / 60, 1: 2.0})
    model.class_weights = {"b": 3.0}
    assert model.load_dataset().class_weights == {0: 1.0, 1: 3.0}
    model.class_weights = {1: 3.0, 0: 2}
    assert model.load_dataset().class_weights == {0: 2.0, 1: 3.0}
    for wrong in ("c", 2, -1):
        model.class_weights = {wrong: 1.0}
        with pytest.raises(ModelError, match="is no class: the classes are a, b"):
            model.load_dataset()


def test_balanced_weights_make_classes_count_the_same():
    counts = {"a": 700, "b": 30, "c": 270}
    weights = balanced_weights(counts, list(counts))
    totals = [weights[index] * number for index, number in enumerate(counts.values())]
    assert totals == pytest.approx([1000 / 3] * 3)
    assert balanced_weights({"a": 3}, ["a", "b"]) == {0: 0.5, 1: 0.0}
    with pytest.raises(ModelError, match="none are counted"):
        balanced_weights({}, ["a"])


def test_summaries():
    counts = {"training": {"yes": 12, "_unknown_": 3}, "validation": {}}
    assert MltkDataset.summarize_class_counts(counts) == (
        "Training dataset: Found 15 samples belonging to 2 classes:\n       yes = 12\n _unknown_ = 3"
    )
    assert MltkDataset.summarize_class_counts({"yes": 2}) == (
        "Dataset: Found 2 samples belonging to 1 classes:\n       yes = 2"
    )
    assert MltkDataset.summarize_class_counts({}) == ""


def test_loaded_batches_are_closed_even_if_one_has_no_close():
    closed = []
    feed = SimpleNamespace(close=lambda: closed.append(1))
    LoadedDataset(feed, [1]).close()
    assert closed == [1]


# --- recordings


@pytest.fixture
def recordings(tmp_path):
    """Three words by six speakers, as noise bursts: what is in the clips does not matter here."""
    from mltk.audio.write import write_audio_file

    rng = np.random.default_rng(5)
    for word in ("yes", "no", "other"):
        for speaker in range(6):
            path = tmp_path / "words" / word / f"{speaker:08x}_nohash_0.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio_file(str(path), rng.normal(0, 0.1, 16000).astype(np.float32), 16000)
    return tmp_path / "words"


@pytest.fixture
def audio_model(recordings):
    settings = AudioFeatureGeneratorSettings()
    settings.sample_rate_hz, settings.sample_length_ms = 16000, 1000
    settings.window_size_ms, settings.window_step_ms = 30, 20
    settings.filterbank_n_channels = 40
    model = AudioModel()
    model.classes = ["yes", "no", "_unknown_"]
    model.class_weights = "balanced"
    model.batch_size = 8
    model.dataset = str(recordings)
    model.datagen = ParallelAudioDataGenerator(
        dtype="int8", frontend_settings=settings, validation_split=0.34, debug=True
    )
    return model


def test_input_shape_is_the_frontends(audio_model):
    assert audio_model.input_shape == (49, 40, 1)
    audio_model.input_shape = (49, 1, 40)
    assert audio_model.input_shape == (49, 1, 40)


def test_recordings_are_split_by_speaker_and_counted(audio_model):
    loaded = audio_model.load_dataset("training")
    assert audio_model.class_counts["training"] == {"yes": 4, "no": 4, "_unknown_": 4}
    assert audio_model.class_counts["validation"] == {"yes": 2, "no": 2, "_unknown_": 2}
    assert loaded.class_weights == {0: 1.0, 1: 1.0, 2: 1.0}
    assert [x.shape for x, _ in loaded.training] == [(8, 49, 40, 1), (4, 49, 40, 1)]
    ((x, y),) = list(loaded.validation)
    assert (x.dtype, x.shape, y.shape) == (np.int8, (6, 49, 40, 1), (6, 3))
    assert "yes = 4" in audio_model.summarize_dataset()
    audio_model.unload_dataset()


def test_same_seed_same_data(audio_model):
    one = [x for x, _ in audio_model.load_dataset("training", seed=1).training]
    two = [x for x, _ in audio_model.load_dataset("training", seed=1).training]
    other = [x for x, _ in audio_model.load_dataset("training", seed=2).training]
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_evaluation_is_of_the_speakers_kept_apart(audio_model):
    loaded = audio_model.load_dataset("evaluation")
    assert loaded.training is None
    assert sum(len(x) for x, _ in loaded.validation) == 6


def test_evaluation_of_a_folder_is_of_all_its_clips(audio_model, recordings):
    loaded = audio_model.load_dataset("evaluation", dataset_dir=str(recordings))
    assert sum(len(x) for x, _ in loaded.validation) == 18
    assert audio_model.class_counts["evaluation"] == {"yes": 6, "no": 6, "_unknown_": 6}
    few = audio_model.load_dataset("evaluation", dataset_dir=str(recordings), max_samples_per_class=2)
    assert sum(len(x) for x, _ in few.validation) == 6
    labels = np.concatenate([y for _, y in few.validation])
    assert labels.sum(axis=0).tolist() == [2, 2, 2]


def test_dry_run_takes_a_batch_of_each_class_at_most(audio_model):
    audio_model.batch_size = 2
    audio_model.load_dataset("training", test=True)
    assert audio_model.class_counts["training"] == {"yes": 2, "no": 2, "_unknown_": 2}


def test_folder_may_come_from_a_module_or_a_path(audio_model, recordings):
    audio_model.dataset = recordings
    assert audio_model.dataset_directory() == recordings
    audio_model.dataset = SimpleNamespace(load_data=lambda: str(recordings))
    assert audio_model.dataset_directory() == recordings
    assert audio_model.dataset_directory("other").name == "other"
    audio_model.dataset = 3
    with pytest.raises(ModelError, match="--dataset DIR"):
        audio_model.dataset_directory()


def test_audio_model_takes_a_data_set_that_loads_itself(audio_model, recordings):
    audio_model.dataset = Words((batches_of(1), None, None))
    assert len(audio_model.load_dataset().training) == 1
    audio_model.load_dataset(dataset_dir=str(recordings))
    assert len(audio_model.dataset.calls) == 1


def test_missing_folder_and_datagen(audio_model, tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        audio_model.load_dataset(dataset_dir=str(tmp_path / "nowhere"))
    audio_model.datagen = None
    with pytest.raises(ModelError, match="has no datagen"):
        audio_model.load_dataset()
    with pytest.raises(ModelError, match="has no datagen"):
        audio_model.input_shape  # noqa: B018


def test_parameters_end_with_the_frontends(audio_model):
    audio_model.name = "m"
    audio_model.model_parameters["latency_ms"] = 100
    keys = list(audio_model.tflite_parameters())
    assert keys[7:10] == ["latency_ms", "samplewise_norm.rescale", "samplewise_norm.mean_and_std"]
    assert all(key.startswith("fe.") for key in keys[10:])
    assert keys[10:] == list(audio_model.frontend_settings)
    audio_model.datagen.samplewise_std_normalization = True
    audio_model.datagen.samplewise_center = True
    audio_model.datagen.rescale = 0.5
    parameters = audio_model.tflite_parameters()
    assert parameters["samplewise_norm.mean_and_std"] is True
    assert parameters["samplewise_norm.rescale"] == 0.5


def test_loaders_agree_on_their_arguments():
    assert inspect.signature(DatasetMixin.load_dataset) == inspect.signature(AudioDatasetMixin.load_dataset)
