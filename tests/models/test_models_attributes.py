"""Misspelt attributes and keys, and values that no training could use, are told at once."""

import copy
import pickle

import numpy as np
import pytest

from mltk.models.attributes import KnownKeys, UnknownAttributeError
from mltk.models.model import (
    AudioDatasetMixin,
    DatasetMixin,
    EvaluateClassifierMixin,
    MltkModel,
    SshMixin,
    TrainMixin,
)
from mltk.utils.errors import ModelError


class FullModel(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin, SshMixin):
    pass


@pytest.fixture
def model():
    return FullModel()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("epoch", "epochs"),
        ("batchsize", "batch_size"),
        ("reduce_lr_on_plateu", "reduce_lr_on_plateau"),
        ("early_stoping", "early_stopping"),
        ("build_model_functoin", "build_model_function"),
        ("datagn", "datagen"),
        ("clases", "classes"),
    ],
)
def test_misspelt_attribute_suggests_the_right_one(model, wrong, right):
    with pytest.raises(ModelError, match=f"no attribute '{wrong}'.*\"{right}\""):
        setattr(model, wrong, 1)
    with pytest.raises(AttributeError, match=right):
        getattr(model, wrong)
    assert not hasattr(model, wrong)


@pytest.mark.parametrize(
    ("attribute", "wrong", "right"),
    [
        ("tflite_converter", "optimisations", "optimizations"),
        ("tflite_converter", "inference_inputtype", "inference_input_type"),
        ("checkpoint", "moniter", "monitor"),
    ],
)
def test_misspelt_key_suggests_the_right_one(model, attribute, wrong, right):
    settings = getattr(model, attribute)
    for change in (
        lambda: settings.__setitem__(wrong, 1),
        lambda: settings.update({wrong: 1}),
        lambda: settings.setdefault(wrong, 1),
        lambda: settings[wrong],
        lambda: setattr(model, attribute, {wrong: 1}),
        lambda: settings.__ior__({wrong: 1}),
    ):
        with pytest.raises(ModelError, match=f"no key '{wrong}', did you mean \"{right}\""):
            change()
    assert wrong not in settings


def test_keys_of_assigned_dicts_are_checked_too(model):
    with pytest.raises(ModelError, match="early_stopping has no key 'patients', did you mean \"patience\""):
        model.early_stopping = {"patients": 3}
    model.early_stopping = {"patience": 3}
    with pytest.raises(ModelError, match="patients"):
        model.early_stopping["patients"] = 3
    model.early_stopping = None
    assert model.early_stopping is None


def test_far_off_key_lists_what_there_is(model):
    with pytest.raises(ModelError, match=r"it takes .*monitor, factor"):
        model.reduce_lr_on_plateau = {"zzz": 1}


def test_known_key_that_is_not_set_is_a_plain_key_error(model):
    with pytest.raises(KeyError, match="save_freq"):
        model.checkpoint["save_freq"]
    assert model.checkpoint.get("save_freq") is None


def test_attribute_of_a_missing_mixin_names_the_mixin():
    class Small(MltkModel, TrainMixin):
        pass

    with pytest.raises(ModelError, match="it comes with AudioDatasetMixin"):
        Small().datagen = None
    with pytest.raises(ModelError, match="it comes with DatasetMixin"):
        Small().class_weights = "balanced"


def test_own_attributes_are_declared_in_the_class_body():
    class Own(MltkModel, TrainMixin):
        table: dict[str, int]
        limit = 3

        def method(self):
            return self.limit

    own = Own()
    own.table = {"a": 1}
    own.limit = 4
    own._anything = 5
    assert (own.table, own.method(), own._anything) == ({"a": 1}, 4, 5)
    with pytest.raises(ModelError, match="declare your own attributes in the class body"):
        own.something_else = 1


def test_declared_attribute_without_value_says_so():
    class Own(MltkModel):
        table: dict[str, int]

    with pytest.raises(UnknownAttributeError, match="'table' of Own has no value yet"):
        Own().table  # noqa: B018


def test_error_inside_a_property_is_not_hidden(model):
    model.datagen = object()
    with pytest.raises(AttributeError, match="frontend_settings"):
        model.input_shape  # noqa: B018


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", -2),
        ("epochs", "3"),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_size", 0),
        ("batch_size", None),
        ("version", -1),
        ("description", None),
        ("classes", "yes"),
        ("classes", ["yes", "yes"]),
        ("classes", ["yes", ""]),
        ("classes", ["yes", 3]),
        ("input_shape", 49),
        ("input_shape", (49, 0, 1)),
        ("input_shape", (None, 40, 1)),
        ("class_weights", "balance"),
        ("class_weights", {"yes": float("nan")}),
        ("class_weights", {"yes": -1.0}),
        ("class_mode", "categorial"),
        ("build_model_function", "my_model_builder"),
        ("train_callbacks", object()),
        ("model_parameters", [1]),
        ("checkpoint", None),
        ("tflite_converter", "DEFAULT"),
        ("test_mode_enabled", 1),
        ("name", "../x"),
        ("name", ""),
        ("name", "a b"),
        ("name", "-rf"),
    ],
)
def test_illegal_values_are_refused_with_the_name(model, name, value):
    model.input_shape = (49, 40, 1)
    before = getattr(model, name)
    with pytest.raises(ModelError, match=f"^{name} can not be "):
        setattr(model, name, value)
    assert getattr(model, name) == before


def test_legal_values_are_kept(model):
    model.epochs = np.int64(5)
    model.classes = ("a", "b")
    model.input_shape = [49, np.int32(40), 1]
    model.class_weights = {"a": np.float32(1.0), "b": 2}
    assert model.epochs == 5
    assert type(model.epochs) is int
    assert model.classes == ["a", "b"]
    assert model.n_classes == 2
    assert model.input_shape == (49, 40, 1)
    model.class_weights = "none"
    assert model.class_weights is None


def test_two_models_share_nothing():
    one, two = FullModel(), FullModel()
    one.checkpoint["monitor"] = "loss"
    one.model_parameters["a"] = 1
    one.classes.append("x")
    one.class_counts["training"]["x"] = 1
    one.train_callbacks.append(object())
    assert two.checkpoint["monitor"] == "val_accuracy"
    assert (two.model_parameters, two.classes, two.class_counts, two.train_callbacks) == ({}, [], {}, [])


def test_class_counts_of_a_new_subset_can_be_filled_in_place(model):
    model.class_counts = {}
    model.class_counts["training"]["alexa"] = 3
    assert model.class_counts["training"] == {"alexa": 3}


def test_known_keys_survive_copies():
    settings = KnownKeys("checkpoint", ("monitor", "mode"), {"monitor": "loss"})
    for twin in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert twin == settings
        with pytest.raises(ModelError, match="mod"):
            twin["moed"] = 1
    settings |= {"mode": "min"}
    assert isinstance(settings, KnownKeys)


def test_models_can_be_copied(model):
    model.epochs = 7
    twin = copy.deepcopy(model)
    twin.epochs = 8
    assert (model.epochs, twin.epochs) == (7, 8)


def test_order_of_mixins_does_not_matter():
    class Reversed(EvaluateClassifierMixin, DatasetMixin, TrainMixin, MltkModel):
        pass

    model = Reversed()
    model.epochs = 3
    assert model.checkpoint["monitor"] == "val_accuracy"
    assert model.class_counts == {}


@pytest.mark.parametrize(
    "setting",
    [
        {"save_best_only": False},
        {"save_weights_only": False},
        {"save_freq": 100},
        {"filepath": "weights.h5"},
        {"mode": "large"},
        {"initial_value_threshold": 0.5},
    ],
    ids=str,
)
def test_checkpoint_says_what_a_training_does_or_is_refused(model, setting):
    (key,) = setting
    with pytest.raises(ModelError, match=rf"checkpoint\['{key}'\] can not be "):
        model.checkpoint = {"monitor": "val_loss", **setting}
    with pytest.raises(ModelError, match=rf"checkpoint\['{key}'\] can not be "):
        model.checkpoint[key] = setting[key]
    assert model.checkpoint == {"monitor": "val_accuracy"}
    said = {"monitor": "loss", "mode": "min", "save_best_only": True, "save_freq": "epoch", "verbose": 1}
    model.checkpoint = said
    assert copy.deepcopy(model.checkpoint) == said
