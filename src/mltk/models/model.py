"""A model specification: what to train, on what, how to convert it, and where its files are."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from mltk.models.archive import ARCHIVE_SUFFIX, TEST_SUFFIX, ModelArchive
from mltk.models.base import ModelBase
from mltk.models.dataset import LoadedDataset, MltkDataset
from mltk.models.mixins import AudioDatasetMixin, DatasetMixin, EvaluateClassifierMixin, SshMixin, TrainMixin
from mltk.utils.errors import ModelError
from mltk.utils.files import is_writable_folder, make_folder, write_bytes
from mltk.utils.path import user_dir

__all__ = [
    "AudioDatasetMixin",
    "DatasetMixin",
    "EvaluateClassifierMixin",
    "LoadedDataset",
    "MltkDataset",
    "MltkModel",
    "SshMixin",
    "TrainMixin",
]

# Written by mltk itself in front of the model's own parameters, in this order (formats.md).
RESERVED_PARAMETERS = ("name", "version", "description", "classes", "hash", "date", "runtime_memory_size")

_PACKAGE = Path(__file__).resolve().parent.parent


class MltkModel(ModelBase):
    """A model specification, put together with mixins:

        class MyModel(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
            pass

        my_model = MyModel()

    Its name is that of the file in which it is made, unless `name` is set. An attribute that no class
    declares can not be set; your own go into the class body.
    """

    _archive_path: Path | None = None

    @property
    def log_dir(self) -> Path:
        """The model's folder for logs and checkpoints, below the user's folder; it need not exist."""
        return user_dir() / "models" / (self.name + (TEST_SUFFIX if self.test_mode_enabled else ""))

    def create_log_dir(self, name: str = "", delete_existing: bool = False) -> str:
        """Make a folder for logs: USER_DIR/models/MODEL/name.

        Args:
            name: path below the model's folder.
            delete_existing: empty it first.

        Returns:
            The folder's path with forward slashes.

        Raises:
            ModelError: `name` leads out of the model's folder.
            MltkError: the folder can not be made.

        """
        folder = self.log_dir / name
        if ".." in Path(name).parts or not folder.is_relative_to(self.log_dir):
            raise ModelError(f"The log folder '{name}' leads out of {self.log_dir}: give a path below it")
        if delete_existing and folder.exists():
            shutil.rmtree(folder)
        return make_folder(folder).as_posix()

    def file_name(self, suffix: str) -> str:
        """Return NAME<suffix>, in a dry run NAME.test<suffix>."""
        return f"{self.name}{'.test' if self.test_mode_enabled else ''}{suffix}"

    @property
    def archive_path(self) -> Path:
        """Where the model's archive is or will be written: NAME.mltk.zip, in a dry run NAME-test.mltk.zip.

        Beside the specification, or in the current folder where that one is not the user's to write in.
        """
        if self._archive_path is not None:
            return self._archive_path
        return archive_folder(self.model_specification_path) / archive_name(self.name, self.test_mode_enabled)

    @archive_path.setter
    def archive_path(self, value: str | Path | None) -> None:
        self._archive_path = None if value is None else Path(value)

    @property
    def archive(self) -> ModelArchive:
        """The model's archive.

        Raises:
            ModelError: the model has none yet.
            ArchiveError: it is damaged.

        """
        if not self.archive_path.is_file():
            raise not_trained_error(self.name, self.test_mode_enabled, [self.archive_path])
        return ModelArchive(self.archive_path)

    @property
    def tflite_archive_path(self) -> str:
        """Path of a copy, in the user's folder, of the .tflite in the archive.

        Raises:
            ModelError: the model has no archive.
            ArchiveError: the archive has no .tflite.

        """
        archive = self.archive
        data = archive.tflite_bytes(self.test_mode_enabled)
        return self._extracted(self.file_name(".tflite"), data)

    @property
    def keras_archive_path(self) -> str:
        """Path of a copy, in the user's folder, of the float model (.keras or .h5) in the archive.

        Raises:
            ModelError: the model has no archive.
            ArchiveError: the archive has no float model.

        """
        archive = self.archive
        member = archive.keras_member(self.test_mode_enabled)
        return self._extracted(member, archive.read(member))

    h5_archive_path = keras_archive_path

    def specification_source(self) -> bytes:
        """Return the text of the specification, as it goes into the archive.

        Raises:
            ModelError: the model was not made in a file, or the file is gone.

        """
        path = self.model_specification_path
        if path is None or not path.is_file():
            raise ModelError(
                f"The specification of the model {self.name} is no file: put it into {self.name}.py"
            )
        return path.read_bytes()

    def tflite_parameters(self, runtime_memory_size: int = 0) -> dict[str, Any]:
        """Return every setting that goes into the .tflite, in the order of the reference's files.

        Args:
            runtime_memory_size: bytes of the tensor arena.

        Raises:
            ModelError: `model_parameters` uses a name that mltk writes itself.

        """
        for key in RESERVED_PARAMETERS:
            if key in self.model_parameters:
                raise ModelError(f"model_parameters['{key}'] is written by mltk itself: choose another name")
        parameters: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "classes": list(self.classes),
            "hash": "",
            "date": "",
            "runtime_memory_size": runtime_memory_size,
            **self.model_parameters,
        }
        if isinstance(self, AudioDatasetMixin):
            parameters.update(self.frontend_parameters())
        return parameters

    def __str__(self) -> str:
        lines = [f"Name: {self.name}", f"Version: {self.version}"]
        if self.description:
            lines.append(f"Description: {self.description}")
        if self.classes:
            lines.append(f"Classes: {', '.join(self.classes)}")
        return "\n".join(lines)

    def _extracted(self, name: str, data: bytes) -> str:
        # A folder per content: two archives of one name do not overwrite each other's copy.
        path = self.log_dir / "extracted" / hashlib.sha256(data).hexdigest()[:16] / name
        if not path.is_file() or path.stat().st_size != len(data) or path.read_bytes() != data:
            write_bytes(path, data)
        return path.as_posix()


def archive_name(name: str, test: bool) -> str:
    """Return the file name of a model's archive."""
    return f"{name}{TEST_SUFFIX if test else ''}{ARCHIVE_SUFFIX}"


def archive_folder(specification: Path | None) -> Path:
    """Return the folder that a model's archive goes into."""
    if specification is not None:
        folder = specification.parent
        if not folder.is_relative_to(_PACKAGE) and is_writable_folder(folder):
            return folder
    return Path.cwd()


def not_trained_error(name: str, test: bool, looked: list[Path]) -> ModelError:
    """Return the error for a model without an archive."""
    argument = name + (TEST_SUFFIX if test else "")
    places = ", ".join(str(path) for path in looked)
    return ModelError(
        f"The model {argument} is not trained yet, there is no archive at {places}: "
        f"train it first: mltk train {argument}"
    )
