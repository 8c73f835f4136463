"""The recognizer of the C99 core (`native/detector`), as Python sees it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mltk.detection.settings import DetectionSettings
from mltk.native._detector import Recognizer as Core
from mltk.native._detector import results_needed
from mltk.utils.errors import DetectionError

# Slots x classes; a model that asks for more is damaged.
_MAX_SCORES = 16_000_000


class Decision(NamedTuple):
    """What the recognizer makes of its results so far.

    Attributes:
        is_decided: there were enough results.
        is_detection: report it.
        class_id: the top class; 0 while nothing is decided.
        score: its averaged score, 0 to 255; 0 while nothing is decided.

    """

    is_decided: bool
    is_detection: bool
    class_id: int
    score: int


class Recognizer:
    """Average a model's scores over time and decide when a word was heard (rules 1 to 4 of detection.md).

    Args:
        settings: thresholds, averaging window, minimum count, suppression and mode; labels give the classes.
        interval_ms: the shortest time between two results, for the size of the memory.

    Raises:
        DetectionError: the settings need an absurd amount of memory.

    """

    def __init__(self, settings: DetectionSettings, interval_ms: int = 1) -> None:
        window_ms, count = settings.average_window_duration_ms, settings.minimum_count
        n_results = results_needed(window_ms, interval_ms, count)
        if n_results == 0 or n_results * len(settings.labels) > _MAX_SCORES:
            raise DetectionError(
                f"An averaging window of {window_ms} ms with a result every {interval_ms} ms is too large: "
                "lower the window duration or raise the latency"
            )
        self._core = Core(
            list(settings.labels),
            np.array(settings.thresholds, dtype=np.uint8),
            window_ms,
            count,
            settings.suppression_ms,
            n_results,
            settings.mode == "micro_speech",
        )

    def update(self, scores: npt.NDArray[np.uint8], time_ms: int) -> Decision:
        """Take one result.

        Args:
            scores: uint8 [classes], contiguous.
            time_ms: its time since the start; every result's must be larger than the one's before.

        Raises:
            DetectionError: another number of classes, or a time that does not rise.
            TypeError: not a uint8 array of one dimension.

        """
        try:
            return Decision(*self._core.update(scores, time_ms))
        except ValueError as error:
            raise DetectionError(f"The recognizer refused a result at {time_ms} ms: {error}") from error

    def reset(self) -> None:
        """Forget all results and the previous detection."""
        self._core.reset()
