"""What the attributes of a model may be set to: each check returns the value to keep or raises ModelError."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from mltk.tflite import convert_options
from mltk.utils.errors import ModelError

Check = Callable[[str, Any], Any]

# The keys that each of Keras' callbacks takes: https://keras.io/api/callbacks/
CHECKPOINT_KEYS = (
    "filepath",
    "monitor",
    "verbose",
    "save_best_only",
    "save_weights_only",
    "mode",
    "save_freq",
    "initial_value_threshold",
    "options",
)
# What a training does: after each epoch the weights are kept if they are the best. Historical specifications say so in
# the words of Keras' ModelCheckpoint; other words would not be followed.
CHECKPOINT_VALUES: dict[str, tuple[Any, ...]] = {
    "mode": ("auto", "min", "max"),
    "save_best_only": (True,),
    "save_weights_only": (True,),
    "save_freq": ("epoch",),
    "filepath": (None,),
    "initial_value_threshold": (None,),
    "options": (None,),
}
REDUCE_LR_KEYS = ("monitor", "factor", "patience", "verbose", "mode", "min_delta", "cooldown", "min_lr")
EARLY_STOPPING_KEYS = (
    "monitor",
    "min_delta",
    "patience",
    "verbose",
    "mode",
    "baseline",
    "restore_best_weights",
    "start_from_epoch",
)
TENSORBOARD_KEYS = (
    "log_dir",
    "histogram_freq",
    "write_graph",
    "write_images",
    "write_steps_per_second",
    "update_freq",
    "profile_batch",
    "embeddings_freq",
    "embeddings_metadata",
)
CLASS_MODES = ("categorical", "binary", "sparse")

# Also a file's name, a folder's name and a string in the .tflite: nothing that a shell or a file system
# takes amiss.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def _refuse(name: str, value: object, wanted: str) -> ModelError:
    return ModelError(f"{name} can not be {value!r}: it must be {wanted}")


def _whole(name: str, value: Any, wanted: str, low: int) -> int:
    # numpy integers are welcome; True and 3.5 are not.
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < low:
        raise _refuse(name, value, wanted)
    return int(value)


def check_name(name: str, value: Any) -> str:
    """Accept a model's name: letters, digits, '_', '-', '.', '+'."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _refuse(name, value, "made of letters, digits, '_', '-' and '.'")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _refuse(name, value, "a string")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(name, value, "True or False")
    return value


def _version(name: str, value: Any) -> int:
    return _whole(name, value, "a whole number, 0 or more", 0)


def _positive(name: str, value: Any) -> int:
    return _whole(name, value, "a whole number above 0", 1)


def _positive_or_none(name: str, value: Any) -> int | None:
    return None if value is None else _positive(name, value)


def _epochs(name: str, value: Any) -> int:
    wanted = "a whole number above 0, or -1 to train until a callback stops"
    epochs = _whole(name, value, wanted, -1)
    if epochs == 0:
        raise _refuse(name, value, wanted)
    return epochs


def _classes(name: str, value: Any) -> list[str]:
    wanted = "a list of different, non-empty strings"
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise _refuse(name, value, wanted)
    if not all(isinstance(label, str) and label for label in value) or len(set(value)) != len(value):
        raise _refuse(name, value, wanted)
    return list(value)


def _shape(name: str, value: Any) -> tuple[int, ...]:
    wanted = "a tuple of whole numbers above 0, without the batch axis"
    if not isinstance(value, list | tuple) or not value:
        raise _refuse(name, value, wanted)
    return tuple(_whole(name, axis, wanted, 1) for axis in value)


def _class_weights(name: str, value: Any) -> Any:
    """Accept 'balanced', None (or 'none') and a weight for each class, by label or by index."""
    if value is None or value == "none":
        return None
    if value == "balanced":
        return value
    if isinstance(value, Mapping) and all(
        isinstance(weight, Real) and math.isfinite(weight) and float(weight) >= 0 for weight in value.values()
    ):
        return dict(value)
    raise _refuse(name, value, "'balanced', None, or a dict of class -> weight")


def _class_mode(name: str, value: Any) -> str:
    if value not in CLASS_MODES:
        raise _refuse(name, value, "one of " + ", ".join(CLASS_MODES))
    return str(value)


def _dictionary(name: str, value: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _refuse(name, value, "a dict")
    return value if isinstance(value, dict) else dict(value)


def _counts(name: str, value: Any) -> defaultdict[Any, Any]:
    # Loaders fill class_counts['training'] in place: the inner dict has to be there when they ask for it.
    return defaultdict(dict, _dictionary(name, value))


def _callbacks(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise _refuse(name, value, "a list of Keras callbacks")
    return list(value)


def _function(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise _refuse(name, value, "a function")
    return value


def _keyed(
    known: tuple[str, ...], *, optional: bool, allowed: Mapping[str, tuple[Any, ...]] | None = None
) -> Check:
    def check(name: str, value: Any) -> Any:
        from mltk.models.attributes import KnownKeys

        if optional and value is None:
            return None
        if not isinstance(value, Mapping):
            raise _refuse(name, value, "a dict or None" if optional else "a dict")
        return KnownKeys(name, known, value, allowed)

    return check


CHECKS: dict[str, Check] = {
    "name": check_name,
    "version": _version,
    "description": _text,
    "classes": _classes,
    "input_shape": _shape,
    "keras_custom_objects": _dictionary,
    "model_parameters": _dictionary,
    "test_mode_enabled": _flag,
    "epochs": _epochs,
    "batch_size": _positive,
    "steps_per_epoch": _positive_or_none,
    "train_callbacks": _callbacks,
    "train_kwargs": _dictionary,
    "build_model_function": _function,
    "on_training_complete": _function,
    "checkpoint": _keyed(CHECKPOINT_KEYS, optional=False, allowed=CHECKPOINT_VALUES),
    "reduce_lr_on_plateau": _keyed(REDUCE_LR_KEYS, optional=True),
    "early_stopping": _keyed(EARLY_STOPPING_KEYS, optional=True),
    "tensorboard": _keyed(TENSORBOARD_KEYS, optional=True),
    "tflite_converter": _keyed(convert_options.KEYS, optional=False),
    "class_mode": _class_mode,
    "class_weights": _class_weights,
    "class_counts": _counts,
    "eval_max_samples_per_class": _positive_or_none,
}
