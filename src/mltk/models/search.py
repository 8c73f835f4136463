"""Find what the user means by a model: a path, or a name that is looked for in a few folders."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mltk.models.archive import ARCHIVE_SUFFIX, TEST_SUFFIX, archive_stem
from mltk.models.legacy_h5 import FLOAT_SUFFIXES
from mltk.models.model import archive_folder, archive_name, not_trained_error
from mltk.utils.errors import ModelError
from mltk.utils.text import suggestion

MODEL_PATH_VARIABLE = "MLTK_MODEL_PATH"
SPECIFICATIONS = Path(__file__).resolve().parent / "specifications"

Kind = Literal["specification", "archive", "tflite", "keras"]


@dataclass(frozen=True)
class FoundModel:
    """A model on disk.

    Attributes:
        path: the file.
        kind: what the file is.
        name: the model's name, without '-test'.
        test: whether the dry run is meant.

    """

    path: Path
    kind: Kind
    name: str
    test: bool


def search_folders() -> list[Path]:
    """Return where a name is looked for: the current folder, $MLTK_MODEL_PATH, the package's own models."""
    configured = [
        Path(part).expanduser() for part in os.environ.get(MODEL_PATH_VARIABLE, "").split(os.pathsep) if part
    ]
    return [Path.cwd(), *configured, SPECIFICATIONS]


def find_model(model: str | os.PathLike[str], test: bool = False) -> FoundModel:
    """Find a model by path or name; of a specification and an archive of the same name, the specification.

    Args:
        model: path of a .py, .mltk.zip, .tflite, .h5 or .keras, or a name; with '-test' behind it the dry run is meant.
        test: the dry run is meant.

    Raises:
        ModelError: there is no such model; the sentence tells where it was looked for.

    """
    text, test = _without_test(os.fspath(model), test)
    if _is_path(text):
        return _found(Path(text), test)
    for folder in search_folders():
        for path in (folder / f"{text}.py", folder / archive_name(text, test)):
            if path.is_file():
                return _found(path, test)
    raise _unknown_name(text)


def find_archive(model: str | os.PathLike[str], test: bool = False) -> Path:
    """Find the archive of a trained model by its path, its specification's path or its name.

    Raises:
        ModelError: there is no such model, it is not trained yet, or it is a bare .tflite.

    """
    text, test = _without_test(os.fspath(model), test)
    if _is_path(text):
        found = _found(Path(text), test)
        if found.kind == "archive":
            return found.path
        if found.kind in ("tflite", "keras"):
            what = "a .tflite" if found.kind == "tflite" else "a float model"
            raise ModelError(f"{found.path} is {what}; a model archive (NAME{ARCHIVE_SUFFIX}) is needed here")
        folders = [archive_folder(found.path.resolve()), found.path.parent, Path.cwd()]
        text = found.name
    else:
        folders = search_folders()[:-1]
    looked = list(dict.fromkeys(folder / archive_name(text, test) for folder in folders))
    for path in looked:
        if path.is_file():
            return path
    find_model(text, test)  # says so where there is no such model at all
    raise not_trained_error(text, test, looked)


def _without_test(text: str, test: bool) -> tuple[str, bool]:
    """Take '-test' off, unless a file has just that name."""
    if text.endswith(TEST_SUFFIX) and not Path(text).exists():
        return text.removesuffix(TEST_SUFFIX), True
    return text, test


def _is_path(text: str) -> bool:
    return Path(text).suffix in (".py", ".zip", ".tflite", *FLOAT_SUFFIXES) or Path(text).name != text


def _found(path: Path, test: bool) -> FoundModel:
    if path.name.endswith(".zip"):
        stem = archive_stem(path)
        is_test = path.name.endswith(TEST_SUFFIX + ARCHIVE_SUFFIX)
        if test and not is_test:
            path = path.with_name(archive_name(stem, True))
        _check_file(path)
        return FoundModel(path, "archive", stem.removesuffix(".zip"), test or is_test)
    _check_file(path)
    if path.suffix == ".py":
        return FoundModel(path, "specification", path.stem, test)
    if path.suffix == ".tflite":
        return FoundModel(path, "tflite", path.stem, test)
    if path.suffix in FLOAT_SUFFIXES:
        return FoundModel(path, "keras", path.stem, test)
    raise ModelError(
        f"{path} is not a model: give a specification (.py), an archive ({ARCHIVE_SUFFIX}), or a .tflite, "
        ".h5 or .keras file"
    )


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ModelError(f"{path} is a folder: give a model's file or its name")
    if not path.is_file():
        raise ModelError(f"There is no model at {path}: check the path")


def _unknown_name(name: str) -> ModelError:
    folders = search_folders()
    known: set[str] = set()
    for folder in folders:
        if folder.is_dir():
            known.update(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))
            known.update(archive_stem(path) for path in folder.glob(f"*{ARCHIVE_SUFFIX}"))
    places = ", ".join(str(folder) for folder in folders)
    hint = suggestion(name, sorted(known))
    return ModelError(
        f"There is no model '{name}'{hint} (looked for {name}.py and {name}{ARCHIVE_SUFFIX} in {places})"
    )
