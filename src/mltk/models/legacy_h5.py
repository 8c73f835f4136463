"""The layers' settings in a .h5 or .keras file: read without Keras, checked, and brought to Keras 3's form.

Archives of the reference toolkit hold .h5 files of Keras 2.4 to 2.11. Keras 3 refuses several settings that Keras 2
wrote into every file, whatever their value, and drops one without a word (an axis that is a list of several). A file
may come from a stranger: nothing in it is executed, and sizes are bounded before anything is built.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mltk.utils.errors import MissingExtraError, ModelError
from mltk.utils.text import printable

FLOAT_SUFFIXES = (".h5", ".keras")

MAX_CONFIG_SIZE = 16 * 2**20
MAX_WEIGHTS_SIZE = 2**30
MAX_DEPTH = 64
LARGEST_LAYER = 2**20

# Keras 2 wrote these; Keras 3 has no such arguments. With any of these values they mean nothing; with another one
# Keras 3 can not compute the layer, and says so.
_MEANINGLESS: dict[str, tuple[Any, ...]] = {
    "time_major": (False,),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (None, 0.99),
    "fused": (None, True, False),  # how it is computed, not what
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "num_units": (None,),
    "input_length": (None,),
}
_UNGROUPED = ("DepthwiseConv", "SeparableConv", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
# Code out of the file, by whatever name Keras gave it.
_CODE = ("Lambda", "FunctionalLambda", "__lambda__", "function", "__function__")
TENSOR_OPS = ("TFOpLambda", "SlicingOpLambda")
# Settings that say how large a layer's weights are.
_SIZES = ("units", "filters", "input_dim", "output_dim", "key_dim", "value_dim", "depth_multiplier")


class UntrustedCodeError(ModelError):
    """The file holds code of whoever made it, or needs code that only its specification has."""


def read_config(path: Path) -> dict[str, Any]:
    """Return the model's settings as its file has them.

    Args:
        path: a .h5 or .keras file.

    Raises:
        ModelError: it is no such file, or damaged, or far too large.
        MissingExtraError: it is a .h5, and h5py (which comes with Keras) is not installed.

    """
    try:
        text = _keras_text(path) if path.suffix == ".keras" else _h5_text(path)
        config = json.loads(text)
    except (OSError, KeyError, ValueError, RuntimeError, RecursionError, zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} is not a whole Keras model ({reason}): get it again") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ModelError(f"{path} has no model in it, only weights: give the file of a whole model")
    return config


def _keras_text(path: Path) -> bytes:
    with zipfile.ZipFile(path) as source:
        info = source.getinfo("config.json")
        if info.file_size > MAX_CONFIG_SIZE:
            raise ValueError(f"its config.json has {info.file_size} bytes")
        if sum(member.file_size for member in source.infolist()) > MAX_WEIGHTS_SIZE:
            raise ValueError("it unpacks to more than 1 GiB")
        with source.open(info) as member:
            return member.read(MAX_CONFIG_SIZE)


def _h5_text(path: Path) -> str | bytes:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("train", f"Reading {path}") from error
    with h5py.File(path, "r") as file:
        size = 0

        def add(_: str, item: Any) -> None:
            nonlocal size
            size += item.nbytes if isinstance(item, h5py.Dataset) else 0

        file.visititems(add)
        if size > MAX_WEIGHTS_SIZE:
            raise ValueError(f"its arrays take {size >> 20} MiB")
        text = file.attrs.get("model_config", "null")
    if not isinstance(text, str | bytes) or len(text) > MAX_CONFIG_SIZE:
        raise ValueError("its model_config is not a text")
    return text


def class_names(path: Path, config: dict[str, Any]) -> set[str]:
    """Return the names of all classes that a model is made of.

    Raises:
        ModelError: it is nested too deeply.

    """
    return {str(item["class_name"]) for item in _objects(path, config)}


def tensor_functions(path: Path, config: dict[str, Any]) -> set[str]:
    """Return TensorFlow's names of the bare functions that a model calls, without 'tf.'."""
    settings = (item.get("config") for item in _objects(path, config) if item["class_name"] in TENSOR_OPS)
    return {str(one.get("function")) for one in settings if isinstance(one, dict)}


def check_config(path: Path, config: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse a stranger's model that brings or needs code.

    Args:
        path: the file, for the errors.
        config: what `read_config` gave.
        known: names of classes that Keras or this package has.

    Raises:
        UntrustedCodeError: it has a Lambda layer, or one that Keras does not have.
        ModelError: it is nested too deeply, or larger than any model.

    """
    for item in _objects(path, config):
        name = item["class_name"]
        if name in _CODE:
            raise UntrustedCodeError(
                f"{path} has a Lambda layer, Python code of whoever made the file, which is not run unasked"
            )
        module = item.get("module")
        if name not in known or not _is_of_keras(module):
            raise UntrustedCodeError(
                f"{path} has a layer of the class '{printable(str(name))}', which Keras does not have"
            )
    _check_sizes(path, config)


def _is_of_keras(module: Any) -> bool:
    """Tell whether a class is looked up in Keras, in this package, or (None) by its name alone."""
    if module is None:
        return True
    root = str(module).partition(".")[0]
    return root in ("keras", "mltk", "builtins")


def _check_sizes(path: Path, config: dict[str, Any]) -> None:
    for item in _objects(path, config):
        settings = item.get("config")
        if not isinstance(settings, dict):
            continue
        for key in _SIZES:
            value = settings.get(key)
            if isinstance(value, int) and value > LARGEST_LAYER:
                raise ModelError(f"{path} has a layer with {key} = {value}: no model is that large")


def _objects(path: Path, root: Any) -> Iterator[dict[str, Any]]:
    """Give all {"class_name": ...} of a configuration, outer ones first."""
    waiting = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ModelError(f"{path} is nested deeper than any model: get it again")
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            # How it was compiled is not read: nobody trains it further.
            waiting.extend((entry, depth + 1) for key, entry in value.items() if key != "compile_config")
        elif isinstance(value, list):
            waiting.extend((entry, depth + 1) for entry in value)


def modernize(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a Keras 2 model as Keras 3 takes them; what is Keras 3's already stays as it is."""
    if "module" in config:
        return config
    name, settings = str(config.get("class_name", "")), dict(config.get("config") or {})
    if isinstance(settings.get("layers"), list):
        settings["layers"] = [_layer(layer) for layer in settings["layers"] if isinstance(layer, dict)]
        for key in ("input_layers", "output_layers"):
            if isinstance(settings.get(key), list):
                ends = _renamed_references(settings[key])
                # Keras 2 called a model of one input with a tensor; Keras 3 would want a list of one.
                settings[key] = ends[0] if len(ends) == 1 and isinstance(ends[0], list) else ends
        settings["name"] = _name(settings.get("name", "model"))
        # A model inside a model was "Model" in older files.
        return {**config, "class_name": "Functional" if name == "Model" else name, "config": settings}
    return {**config, "config": _settings(name, settings)}


def _layer(layer: dict[str, Any]) -> dict[str, Any]:
    """Return one layer of a model: its settings, and where its inputs come from."""
    new = modernize(layer)
    if "name" in new:
        new["name"] = _name(new["name"])
    if isinstance(new.get("inbound_nodes"), list):
        new["inbound_nodes"] = [_renamed_references(node) for node in new["inbound_nodes"]]
        if new.get("class_name") in TENSOR_OPS:
            new = _tensor_op(new)
    return new


def _settings(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    kept = {
        key: value
        for key, value in settings.items()
        if not (key in _MEANINGLESS and any(value is one or value == one for one in _MEANINGLESS[key]))
        and not (key == "groups" and value == 1 and name.startswith(_UNGROUPED))
        and not (key in ("noise_shape", "trainable") and name.startswith("SpatialDropout"))
    }
    if "name" in kept:
        kept["name"] = _name(kept["name"])
    policy = kept.get("dtype")
    if isinstance(policy, dict):  # {"class_name": "Policy", "config": {"name": "float32"}}
        kept["dtype"] = (policy.get("config") or {}).get("name", "float32")
    axis = kept.get("axis")
    if name == "LayerNormalization" and isinstance(axis, list) and len(axis) > 1:
        kept["axes"] = kept.pop("axis")
    for key in ("layer", "backward_layer", "cell"):
        if isinstance(kept.get(key), dict):
            kept[key] = _nested(kept[key])
    return kept


def _nested(layer: dict[str, Any]) -> dict[str, Any]:
    """Return a layer inside a layer: Keras 3 finds those by module."""
    new = modernize(layer)
    settings = new.get("config")
    if isinstance(settings, dict) and "batch_input_shape" in settings:
        new["config"] = {key: value for key, value in settings.items() if key != "batch_input_shape"}
    return {"module": "keras.layers", "registered_name": None, **new}


def _name(name: Any) -> str:
    """Return a layer's name; Keras 3 takes no slashes."""
    return str(name).replace("/", "_")


def _renamed_references(value: Any) -> Any:
    """Return references such as ["layer", 0, 0, {...}] with the layers' new names."""
    if isinstance(value, list):
        if _is_reference(value):
            return [
                _name(value[0]),
                *value[1:3],
                *({k: _renamed_references(v) for k, v in m.items()} for m in value[3:]),
            ]
        return [_renamed_references(entry) for entry in value]
    return value


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 3 <= len(value) <= 4
        and isinstance(value[0], str)
        and all(isinstance(index, int) for index in value[1:3])
        and all(isinstance(arguments, dict) for arguments in value[3:])
    )


def _tensor_op(layer: dict[str, Any]) -> dict[str, Any]:
    """Return a bare TensorFlow function of a Keras 2 model as a layer of `mltk.models.shared.legacy_layers`.

    The call's arguments move into the layer's settings; tensors among them become further inputs.
    """
    call: dict[str, Any] = {"constants": {}, "tensors": []}
    inputs: list[Any] = []
    for node in layer["inbound_nodes"][:1]:
        # One call is written as a reference; one of a list of tensors (concat) as a list of references.
        entries = [node] if node and isinstance(node[0], str) else node
        for entry in entries:
            if entry[0] == "_CONSTANT_VALUE":  # as in 1 - x
                call["first"] = entry[2]
            else:
                inputs.append([*entry[:3], {}])
        first = entries[0] if entries else []
        for key, value in (first[3] if len(first) > 3 else {}).items():
            if _is_reference(value):
                call["tensors"].append(key)
                inputs.append([*value[:3], {}])
            elif key != "name":
                call["constants"][key] = value
    settings = layer["config"]
    own = {key: settings[key] for key in ("name", "trainable", "dtype", "function") if key in settings}
    return {**layer, "config": {**own, **call}, "inbound_nodes": [inputs]}
