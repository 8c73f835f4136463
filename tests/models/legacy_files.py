"""Write .h5 files as Keras 2 did, by h5py: settings as JSON, weights by layer."""

import json
from typing import Any

import h5py
import numpy as np


def layer(kind, name, inputs=(), call=None, **settings):
    """Return one layer's settings; `inputs` are names of layers, `call` the arguments of its call."""
    node = [[source, 0, 0, call or {}] for source in inputs]
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **settings},
        "name": name,
        "inbound_nodes": [node] if node else [],
    }


def input_layer(shape, name="x"):
    settings = {"batch_input_shape": [None, *shape], "sparse": False, "ragged": False}
    return {**layer("InputLayer", name), "config": {"name": name, "dtype": "float32", **settings}}


def functional(layers, outputs, name="m", kind="Functional"):
    ends = [[output, 0, 0] for output in outputs]
    inputs = [[layers[0]["name"], 0, 0]]
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": ends}
    return {"class_name": kind, "config": config}


def sequential(layers, name="m"):
    return {"class_name": "Sequential", "config": {"name": name, "layers": layers}}


def write_h5(path, config: Any, weights=None):
    """Write a model; `weights` are layer -> its arrays."""
    layers = config["config"]["layers"] if isinstance(config, dict) else []
    with h5py.File(path, "w") as file:
        file.attrs.update(
            keras_version="2.4.0", backend="tensorflow", model_config=json.dumps(config).encode()
        )
        group = file.create_group("model_weights")
        names = [one["config"]["name"].encode() for one in layers]
        group.attrs.update(layer_names=names, keras_version=b"2.4.0", backend=b"tensorflow")
        for one in layers:
            name = one["config"]["name"]
            values = (weights or {}).get(name, [])
            own = group.create_group(name)
            own.attrs["weight_names"] = [f"{name}/w{index}:0".encode() for index in range(len(values))]
            for index, value in enumerate(values):
                own.create_dataset(f"{name}/w{index}:0", data=np.asarray(value, np.float32))
    return path
