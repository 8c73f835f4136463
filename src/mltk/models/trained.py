"""A trained model as its .tflite tells it, without running its specification."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltk.models.archive import ModelArchive
from mltk.models.attributes import UnknownAttributeError, is_declared
from mltk.models.mixins.audio_dataset import AudioDatasetMixin
from mltk.models.mixins.train import TrainMixin
from mltk.models.model import RESERVED_PARAMETERS, MltkModel
from mltk.utils.errors import ModelError


class TrainedModel(MltkModel, AudioDatasetMixin):
    """A model out of an archive or a .tflite: name, classes, settings, files.

    The specification in the archive is a stranger's code and is not run; what only it knows (layers,
    training settings) is missing, and asking for it says so.

    Attributes:
        parameters: every entry of the .tflite's parameters, in their order; empty where it has none.

    """

    parameters: dict[str, Any]

    def __init__(self, name: str, tflite: bytes | None, archive: ModelArchive | None = None) -> None:
        """Read the model's settings.

        Args:
            name: the model's name.
            tflite: bytes of its .tflite; None where there is none yet.
            archive: where it comes from.

        Raises:
            TfliteError: the .tflite is damaged.

        """
        super().__init__()
        self.model_specification_path = None
        self.name = name
        self._tflite = tflite
        self.parameters = _parameters(tflite, f"The .tflite of {name if archive is None else archive.path}")
        self.archive_path = None if archive is None else archive.path
        self.test_mode_enabled = archive is not None and archive.is_test
        self.classes = list(self.parameters.get("classes", []))
        self.description = str(self.parameters.get("description", ""))
        version = self.parameters.get("version", 0)
        self.version = version if isinstance(version, int) and version >= 0 else 0
        self.model_parameters = {
            key: value for key, value in self.parameters.items() if key not in RESERVED_PARAMETERS
        }

    @classmethod
    def from_archive(cls, path: Path) -> "TrainedModel":
        """Read an archive. Nothing in it is executed.

        Raises:
            ArchiveError: it is damaged.
            TfliteError: its .tflite is damaged.

        """
        archive = ModelArchive(path)
        member = archive.tflite_member()
        return cls(archive.name, None if member is None else archive.read(member), archive)

    @property
    def frontend_settings(self) -> Any:
        """The frontend's settings out of the parameters.

        Raises:
            ModelError: the model is not one that hears.

        """
        if "fe.sample_rate_hz" not in self.parameters:
            raise ModelError(
                f"The model {self.name} has no frontend settings (fe.*): it is not one that hears"
            )
        from mltk.frontend.settings import AudioFeatureGeneratorSettings

        return AudioFeatureGeneratorSettings(**self.parameters)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the .tflite's first input, without the batch axis."""
        if self._tflite is None:
            return super().input_shape
        from mltk.tflite.model import TfliteModel

        return tuple(int(axis) for axis in TfliteModel(self._tflite).inputs[0].shape[1:])

    @input_shape.setter
    def input_shape(self, value: tuple[int, ...]) -> None:
        self._input_shape = value

    def checked_datagen(self) -> Any:
        """Return what turns clips into features, made when it is needed: most who read an archive load no data."""
        if self.datagen is None:
            self.datagen = _generator(self)
        return self.datagen

    def tflite_parameters(self, runtime_memory_size: int = 0) -> dict[str, Any]:
        """Return the parameters as they are in the .tflite."""
        return dict(self.parameters)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Tell which attributes only the specification knows."""
            if not name.startswith("_") and is_declared(TrainMixin, name):
                raise UnknownAttributeError(
                    f"'{name}' is known to the specification of the model {self.name} only, which is not run "
                    "when an archive is read: load it with load_mltk_model(..., execute_spec=True)"
                )
            return super().__getattr__(name)


def _parameters(tflite: bytes | None, source: str) -> dict[str, Any]:
    if tflite is None:
        return {}
    from mltk.tflite.parameters import TfliteModelParameters

    return dict(TfliteModelParameters.load_from_tflite_flatbuffer(tflite, source))


def _generator(model: TrainedModel) -> Any:
    """Return what turns clips into this model's input."""
    import numpy as np

    from mltk.datasets.feed import ParallelAudioDataGenerator

    normalized = model.parameters.get("samplewise_norm.mean_and_std") is True
    rescale = model.parameters.get("samplewise_norm.rescale") or None
    return ParallelAudioDataGenerator(
        dtype=np.float32 if normalized or rescale else np.int8,
        frontend_settings=model.frontend_settings,
        samplewise_center=normalized,
        samplewise_std_normalization=normalized,
        rescale=rescale,
        validation_augmentation_enabled=False,
    )
