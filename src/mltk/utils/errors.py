"""The one exception tree of the package.

Everything that a user can cause (a missing file, a wrong setting, a damaged model) is an `MltkError` whose text is one
sentence that says what to do; the command line prints it and exits with 2. Anything else that escapes is a bug of ours.
"""


class MltkError(Exception):
    """Base of all errors that are the user's to mend."""


class AudioError(MltkError, ValueError):
    """An audio file or an array of samples can not be used."""


class FrontendError(MltkError, ValueError):
    """A frontend setting is illegal, or a clip does not fit the settings."""


class DatasetError(MltkError):
    """A folder of recordings can not be used as a data set."""


class DownloadError(MltkError):
    """A download failed, or what came is not what was announced."""


class ArchiveError(MltkError):
    """A zip, tar or 7z file is damaged or hostile."""


class ModelError(MltkError):
    """A model specification or a model archive can not be used."""


class TfliteError(MltkError, ValueError):
    """A .tflite file is damaged, unsupported, or was given data that does not fit it."""


class TrainingError(MltkError):
    """A training, a conversion or an evaluation can not go on."""


class DetectionError(MltkError):
    """The streaming detector can not be set up or fed."""


class DeviceError(MltkError):
    """A microphone or another device is missing or refuses."""


class MissingExtraError(MltkError, ImportError):
    """A part of the package needs an extra that is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra '{extra}': pip install 'mltk-audio[{extra}]'")
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """Let the error come back from a worker process."""
        return MissingExtraError, (self.extra, self.purpose)
