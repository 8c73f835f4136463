"""What a detector tells its caller."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.utils.text import printable


@dataclass(frozen=True)
class Detection:
    """A keyword was heard.

    Attributes:
        label: the class's label.
        score: its averaged score, 0 to 255.
        time_ms: milliseconds of audio since the start, at the end of the newest window that the model saw.
        class_id: the class's index.

    """

    label: str
    score: int
    time_ms: int
    class_id: int

    def __str__(self) -> str:
        """Return the line that micro_speech prints: `Heard yes (201) @4056ms`."""
        return f"Heard {printable(self.label)} ({self.score}) @{self.time_ms}ms"

    def to_json(self) -> str:
        """Return one line of JSON with the keys time_ms, label, score and class_id."""
        return json.dumps(
            {"time_ms": self.time_ms, "label": self.label, "score": self.score, "class_id": self.class_id},
            ensure_ascii=False,
        )


@dataclass(frozen=True)
class Inference:
    """One run of the model, for those who want to look closer (`KeywordDetector(on_inference=...)`).

    Attributes:
        time_ms: as in `Detection`.
        scores: uint8 [classes], the model's own scores before averaging.
        features: uint16 [frames, channels], what the frontend gave for the model's window, before it was
            turned into the model's data type; a view that is valid during the call only.
        detection: what was reported because of this run, if anything.
        model_input: [frames, channels], the same features in the model's data type, as the model got them.

    """

    time_ms: int
    scores: npt.NDArray[np.uint8]
    features: npt.NDArray[np.uint16]
    detection: Detection | None
    model_input: npt.NDArray[Any]
