"""Model files made by hand, without Keras."""

import json
import zipfile


def keras_archive(path, **members):
    """A model archive with these members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def keras_bytes(folder):
    """A small Keras 3 model file: its configuration, without weights."""
    layers = [
        {
            "class_name": "InputLayer",
            "config": {"batch_shape": [None, 40], "dtype": "float32", "name": "features"},
        },
        {"class_name": "Dense", "config": {"name": "hidden_dense", "units": 8, "activation": "relu"}},
        {"class_name": "Softmax", "config": {"name": "scores"}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "spotter", "layers": layers}}
    path = folder / "made.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
        file.writestr("config.json", json.dumps(config))
    return path.read_bytes()
