"""What every model specification has, whichever mixins it is made of."""

import inspect
from pathlib import Path
from typing import Any

from mltk.models.attributes import DeclaredAttributes
from mltk.models.checks import check_name
from mltk.utils.errors import ModelError


class ModelBase(DeclaredAttributes):
    """General settings: the common root of `MltkModel` and of the mixins.

    Attributes:
        version: the user's own count of changes, 0 or more.
        description: a sentence that goes into the .tflite.
        classes: labels in the order of the model's outputs.
        batch_size: samples a training step.
        keras_custom_objects: name -> class or function that Keras needs to load the model.
        model_parameters: settings of the application that go into the .tflite, in this order.
        model_specification_path: the .py file that the model was made in; None outside of a file.
        test_mode_enabled: a dry run: few samples, few epochs, its own file names.

    """

    version: int = 1
    description: str = ""
    classes: list[str]
    batch_size: int = 32
    keras_custom_objects: dict[str, Any]
    model_parameters: dict[str, Any]
    model_specification_path: Path | None = None
    test_mode_enabled: bool = False
    _name: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.classes = []
        self.keras_custom_objects = {}
        self.model_parameters = {}
        self.model_specification_path = _creating_file(self)

    @property
    def name(self) -> str:
        """The model's name: what was assigned, else the stem of the specification's file.

        Raises:
            ModelError: the model was not made in a file and has no name.

        """
        if self._name is None and self.model_specification_path is not None:
            return check_name("the model's name, taken from its file,", self.model_specification_path.stem)
        if self._name is None:
            raise ModelError(
                "The model has no name: set its attribute 'name', or make it in a file whose name it takes"
            )
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)


def _creating_file(model: object) -> Path | None:
    """Return the file of the code that makes the model: the first caller outside of its own __init__."""
    frame = inspect.currentframe()
    while frame is not None:
        own = frame.f_code is _creating_file.__code__ or frame.f_locals.get("self") is model
        if not own:
            file = frame.f_globals.get("__file__")
            return Path(file).resolve() if file else None
        frame = frame.f_back
    return None
