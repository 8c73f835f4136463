"""From the settings' dict to the C core's."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.frontend.settings import SETTINGS, AudioFeatureGeneratorSettings
from mltk.native._frontend import Frontend, Settings
from mltk.utils.errors import FrontendError

# The core takes times in samples, not in ms.
_NAMES = [name for name in SETTINGS if hasattr(Settings, name)]


def native_settings(settings: AudioFeatureGeneratorSettings) -> Any:
    """Return the C core's settings.

    Raises:
        FrontendError: a setting is outside its legal range.

    """
    settings.validate()
    native = Settings()
    native.window_size = settings.window_size
    native.window_step = settings.window_step
    for name in _NAMES:
        setattr(native, name, getattr(settings, name))
    return native


def native_frontend(settings: Any, convert: Callable[[Any], NDArray[np.int16]] | None = None) -> Any:
    """Return the C core's frontend, its tables computed and its stream at rest.

    Args:
        settings: the C core's settings.
        convert: called with a stream's chunk that is no int16 [n] as it lies in memory; returns one that is.

    Raises:
        FrontendError: a setting is outside its legal range.

    """
    try:
        return Frontend(settings, convert=convert)
    except ValueError as error:
        raise FrontendError(f"The frontend can not be set up: {error}") from error
