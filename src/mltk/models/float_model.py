"""Load the float model of an archive, or a .h5 or .keras file: also of Keras 2, also a stranger's.

Call `mltk.tflite.convert_quiet.load_tensorflow` before. A stranger's file is loaded in Keras' safe mode, of known
layers only; code in it (Lambda layers) and classes of its specification need `trusted`.
"""

import contextlib
import importlib
import json
import pkgutil
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mltk.models import legacy_h5
from mltk.utils.errors import ModelError
from mltk.utils.text import printable

# How this package's own layers are registered with Keras.
_OWN_PREFIX = "mltk>"


@contextlib.contextmanager
def without_keras_warnings() -> Iterator[None]:
    """Drop the warnings that Keras raises of its own code, such as deprecations; they are not the user's to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(keras|tensorflow)\..*")
        yield


def load_float_model(
    path: Path, custom_objects: Mapping[str, Any] | None = None, trusted: bool = False
) -> Any:
    """Load a Keras model; it is not compiled.

    Args:
        path: a .keras or .h5 file, of Keras 3 or of Keras 2.
        custom_objects: name -> class or function that the model needs beside Keras' own.
        trusted: the user trusts who made the file: Lambda layers, which are Python code, may run.

    Raises:
        UntrustedCodeError: it brings code, or needs classes that only its specification has.
        ModelError: it is damaged, or Keras can not load it.

    """
    if not path.is_file():
        raise ModelError(f"There is no model at {path}: check the path")
    config = legacy_h5.read_config(path)
    objects = {**_own_layers(legacy_h5.class_names(path, config)), **(custom_objects or {})}
    if not trusted:
        legacy_h5.check_config(path, config, _keras_names() | frozenset(objects))
    if path.suffix == ".keras" or "module" in config:
        return _load(path, path, objects, trusted)
    from mltk.models.shared.legacy_layers import FUNCTIONS, LAYERS

    missing = sorted(legacy_h5.tensor_functions(path, config) - FUNCTIONS.keys())
    if missing:
        raise ModelError(
            f"{path} calls the TensorFlow function tf.{printable(missing[0])} as a layer, which Keras 3 can not and "
            f"mltk does only for {', '.join(sorted(FUNCTIONS))}: build the model of Keras layers and save it again"
        )
    with tempfile.TemporaryDirectory(prefix="mltk-h5-") as folder:
        copy = Path(folder) / "model.h5"
        shutil.copyfile(path, copy)
        _write_config(copy, legacy_h5.modernize(config))
        keras_model = _load(copy, path, {**LAYERS, **objects}, trusted)
        _check_weights(keras_model, copy, path)
    return keras_model


def summary_of(keras_model: Any) -> str:
    """Return Keras' table of a model's layers."""
    lines: list[str] = []
    keras_model.summary(print_fn=lambda line, line_break=True: lines.append(line), line_length=80)
    return "\n".join(lines)


def _load(file: Path, path: Path, objects: Mapping[str, Any], trusted: bool) -> Any:
    import keras
    import tensorflow as tf

    try:
        with without_keras_warnings():
            return keras.models.load_model(
                file, custom_objects=dict(objects), compile=False, safe_mode=not trusted
            )
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        EOFError,  # a Lambda's code of another Python
        RuntimeError,
        tf.errors.OpError,
    ) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"Keras can not load the float model {path}: {reason}") from error


def _own_layers(names: set[str]) -> dict[str, Any]:
    """Return the layers of this package's architectures, among them the reference toolkit's, if a model has others than
    Keras'.
    """
    import keras

    from mltk.models import shared

    if names <= _keras_names():
        return {}
    for module in pkgutil.iter_modules(shared.__path__):
        importlib.import_module(f"{shared.__name__}.{module.name}")
    own = {
        name: value
        for name, value in keras.saving.get_custom_objects().items()
        if name.startswith(_OWN_PREFIX)
    }
    return {**own, **{name.removeprefix(_OWN_PREFIX): value for name, value in own.items()}}


def _keras_names() -> frozenset[str]:
    """Return the names of everything that a model's settings may name."""
    import keras

    from mltk.models.shared.legacy_layers import LAYERS

    modules = (
        keras,
        keras.layers,
        keras.initializers,
        keras.regularizers,
        keras.constraints,
        keras.dtype_policies,
    )
    names = {name for module in modules for name in dir(module) if name[:1].isupper()}
    # "__keras_tensor__" is a place in the graph of any functional model of Keras 3, no code.
    others = {"Functional", "Model", "Policy", "TensorShape", "__keras_tensor__"}
    return frozenset(names | set(LAYERS) | others) - {"Lambda"}


def _write_config(file: Path, config: dict[str, Any]) -> None:
    import h5py

    with h5py.File(file, "r+") as target:
        target.attrs["model_config"] = json.dumps(config)


def _check_weights(keras_model: Any, file: Path, path: Path) -> None:
    """Make sure that each layer has its own weights: Keras gives them out in order, not by name."""
    import h5py
    import numpy as np

    with h5py.File(file, "r") as source:
        groups = source["model_weights"]
        by_name = {name.replace("/", "_"): name for name in map(_text, groups.attrs["layer_names"])}
        for layer in keras_model.layers:
            group = groups.get(by_name.get(layer.name, ""))
            weights = [weight for weight in layer.weights if "seed" not in weight.path.rsplit("/", 1)[-1]]
            if group is None or hasattr(layer, "layers") or not weights:
                continue  # no weights; or a model inside the model, which has layers of its own
            stored = [np.asarray(group[_text(name)]) for name in group.attrs.get("weight_names", [])]
            same = len(stored) == len(weights) and all(
                np.array_equal(value, weight.numpy(), equal_nan=True)
                for value, weight in zip(
                    sorted(stored, key=_order),
                    sorted(weights, key=lambda one: _order(one.numpy())),
                    strict=True,
                )
            )
            if not same:
                raise ModelError(
                    f"Keras can not load the float model {path}: the weights of its layer "
                    f"{layer.name} went to another one"
                )


def _order(values: Any) -> tuple[Any, ...]:
    return (values.shape, values.tobytes())


def _text(name: str | bytes) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)
