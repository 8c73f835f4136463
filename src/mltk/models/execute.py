"""Run a model specification: a Python script of the user's that makes one model."""

import importlib
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from mltk.models.model import MltkModel
from mltk.utils.errors import MissingExtraError, MltkError, ModelError
from mltk.utils.files import read_bytes

_MODULE_PREFIX = "_mltk_specification_"
_TRAIN_PACKAGES = ("tensorflow", "keras")


def execute_specification(path: Path) -> MltkModel:
    """Run a specification and return its model.

    This executes the file: only for code that the user asked to be run.

    Args:
        path: the .py file.

    Returns:
        The one model that it makes.

    Raises:
        ModelError: the script fails (its own error is the cause), or makes no model or more than one.
        MissingExtraError: it needs TensorFlow or Keras, which are not installed.

    """
    path = path.resolve()
    source = read_bytes(path, "model specification")
    module = _run(path, source)
    _send_by_value(module)
    model = _only_model(path, module)
    model.model_specification_path = path
    if model.name != path.stem:
        raise ModelError(
            f"The model in {path} has the name '{model.name}': "
            f"name the file {model.name}.py, or do not set its name"
        )
    return model


def _run(path: Path, source: bytes) -> ModuleType:
    module = ModuleType(_MODULE_PREFIX + path.stem)
    module.__file__ = str(path)
    module.__spec__ = ModuleSpec(module.__name__, None, origin=str(path))
    folder = str(path.parent)
    # Classes look their module up by name; helper modules beside the script can be imported, as when it is
    # run directly.
    sys.modules[module.__name__] = module
    sys.path.insert(0, folder)
    try:
        # Compiled here and not by importlib, which would leave a __pycache__ beside the user's script.
        exec(compile(source, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise ModelError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except MltkError as error:
        if isinstance(error, ModelError):
            raise ModelError(f"{_where(path, error)}: {error}") from error
        raise
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _TRAIN_PACKAGES:
            raise MissingExtraError("train", f"The model specification {path}") from error
        raise _failure(path, error) from error
    except SystemExit as error:
        raise ModelError(
            f"{_where(path, error)}: the specification ends the program instead of making a model"
        ) from error
    except Exception as error:
        raise _failure(path, error) from error
    finally:
        # Functions of the script may import a helper later, but never instead of an installed package.
        sys.path.remove(folder)
        sys.path.append(folder)
    return module


def _failure(path: Path, error: BaseException) -> ModelError:
    text = str(error).strip().splitlines()
    return ModelError(
        f"{_where(path, error)}: {type(error).__name__}: {text[0] if text else 'without a message'}"
    )


def _where(path: Path, error: BaseException) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _send_by_value(module: ModuleType) -> None:
    """Let worker processes get the script's functions with their code: they can not import this module."""
    try:
        cloudpickle = importlib.import_module("cloudpickle")
    except ImportError:
        return
    cloudpickle.register_pickle_by_value(module)


def _only_model(path: Path, module: ModuleType) -> MltkModel:
    models: dict[int, tuple[str, MltkModel]] = {}
    for name, value in vars(module).items():
        if isinstance(value, MltkModel):
            models.setdefault(id(value), (name, value))
    # A script may import another one's model to build upon it.
    own = [entry for entry in models.values() if entry[1].model_specification_path == path] or list(
        models.values()
    )
    if not own:
        raise ModelError(f"{path} makes no model: it needs a line such as my_model = MyModel()")
    if len(own) > 1:
        raise ModelError(
            f"{path} makes {len(own)} models ({', '.join(name for name, _ in own)}): it must make one"
        )
    return own[0][1]
