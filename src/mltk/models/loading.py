"""From what the user names to a model."""

import os
from pathlib import Path

from mltk.models.archive import ModelArchive
from mltk.models.checks import check_name
from mltk.models.execute import execute_specification
from mltk.models.legacy_h5 import FLOAT_SUFFIXES
from mltk.models.model import MltkModel
from mltk.models.search import find_archive, find_model
from mltk.models.trained import TrainedModel
from mltk.utils.errors import ModelError
from mltk.utils.files import read_bytes, write_bytes
from mltk.utils.path import user_dir

__all__ = ["find_archive", "find_model", "load_mltk_model", "resolve_tflite"]


def load_mltk_model(
    model: str | os.PathLike[str] | MltkModel, test: bool = False, execute_spec: bool = False
) -> MltkModel:
    """Load a model.

    Args:
        model: a specification's path (.py), which is run; an archive's path (.mltk.zip) or a .tflite's, of
            which the settings are read and nothing is run; a .h5 or .keras beside a .tflite of the same name,
            which has them; or a name, looked for in the current folder, the
            folders of $MLTK_MODEL_PATH and the package's own models, the specification before the archive.
            With '-test' behind it the dry run is meant. A model that is loaded already is given back.
        test: the dry run is meant.
        execute_spec: run the specification in an archive too: it is Python code of whoever made the
            archive, needed to train, to quantize and to evaluate the float model.

    Returns:
        The model; a `TrainedModel` where no specification was run.

    Raises:
        ModelError: there is no such model, or its specification fails.
        ArchiveError: the archive is damaged.
        TfliteError: the .tflite is damaged.

    """
    if isinstance(model, MltkModel):
        model.test_mode_enabled = model.test_mode_enabled or test
        return model
    found = find_model(model, test)
    if found.kind in ("tflite", "keras"):
        if execute_spec:
            raise ModelError(
                f"{found.path} has no specification: give the model's archive (.mltk.zip) or its .py"
            )
        path = found.path if found.kind == "tflite" else _tflite_beside(found.path)
        return TrainedModel(found.name, read_bytes(path, "model"))
    if found.kind == "archive":
        return _execute_from_archive(found.path) if execute_spec else TrainedModel.from_archive(found.path)
    loaded = execute_specification(found.path)
    loaded.test_mode_enabled = found.test
    return loaded


def resolve_tflite(model: str | os.PathLike[str] | MltkModel, test: bool = False) -> tuple[bytes, str]:
    """Return the .tflite of a trained model without running any of its code.

    Args:
        model: a .tflite, a .h5 or .keras (the .tflite of the same name beside it is taken), an archive, a
            specification's path (its archive beside it or in the current folder is taken), a name, or a loaded
            model.
        test: the dry run is meant.

    Returns:
        The bytes of the .tflite and the model's name.

    Raises:
        ModelError: there is no such model, or it is not trained yet.
        ArchiveError: the archive is damaged or has no .tflite.

    """
    if isinstance(model, MltkModel):
        loaded = load_mltk_model(model, test)
        return Path(loaded.tflite_archive_path).read_bytes(), loaded.name
    path = Path(model)
    if path.suffix == ".tflite":
        found = find_model(path)
        return read_bytes(found.path, "model"), found.name
    if path.suffix in FLOAT_SUFFIXES:
        found = find_model(path)
        return read_bytes(_tflite_beside(found.path), "model"), found.name
    archive = ModelArchive(find_archive(model, test))
    return archive.tflite_bytes(), archive.name


def _tflite_beside(path: Path) -> Path:
    """Return the .tflite of a float model's file: only it tells classes and frontend settings."""
    beside = path.with_suffix(".tflite")
    if not beside.is_file():
        raise ModelError(
            f"{path} tells neither classes nor frontend settings: put its {beside.name} beside it, or give the "
            "model's archive (.mltk.zip)"
        )
    return beside


def _execute_from_archive(path: Path) -> MltkModel:
    archive = ModelArchive(path)
    name, source = archive.specification()
    # On disk, so that errors show their line and workers find it; a folder of its own per archive.
    model_name = check_name(f"The model's name in {path}", archive.name)
    folder = user_dir() / "models" / model_name / "archived_specification"
    loaded = execute_specification(write_bytes(folder / name, source))
    loaded.archive_path = path
    loaded.test_mode_enabled = archive.is_test
    return loaded
