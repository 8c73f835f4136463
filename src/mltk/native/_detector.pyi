"""Types of the extension that bindings/detector.cpp makes."""

import numpy as np
import numpy.typing as npt

def results_needed(average_window_ms: int, interval_ms: int, minimum_count: int) -> int: ...

class Recognizer:
    def __init__(
        self,
        labels: list[str],
        thresholds: npt.NDArray[np.uint8],
        average_window_ms: int,
        minimum_count: int,
        suppression_ms: int,
        n_results: int,
        micro_speech: bool,
    ) -> None: ...
    def update(self, scores: npt.NDArray[np.uint8], time_ms: int) -> tuple[bool, bool, int, int]: ...
    def reset(self) -> None: ...
