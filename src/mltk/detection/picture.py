"""Pictures of what a detector sees: a stream with its detections, and single windows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mltk.detection.events import Detection
from mltk.utils.errors import DetectionError
from mltk.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A picture needs no more columns than this; longer streams are thinned out as they grow.
_MAX_COLUMNS = 4096
_COLOURS = "magma"
_INCHES_HIGH = 3.2
_DOTS_PER_INCH = 150


class SpectrogramRecorder:
    """Keeps a stream's features for a picture, in memory that does not grow with the stream.

    Once there are too many frames, neighbours are merged two by two into their larger values.

    Args:
        window_step_ms: time between two frames.

    """

    def __init__(self, window_step_ms: float) -> None:
        self._step_ms = window_step_ms
        self._merged = 1
        self._columns: list[npt.NDArray[np.uint16]] = []
        self._waiting: list[npt.NDArray[np.uint16]] = []

    def add(self, features: npt.NDArray[np.uint16]) -> None:
        """Take the next frames, uint16 [frames, channels]."""
        for frame in features:
            self._waiting.append(frame)
            if len(self._waiting) < self._merged:
                continue
            self._columns.append(np.max(self._waiting, axis=0))
            self._waiting = []
            if len(self._columns) == 2 * _MAX_COLUMNS:
                pairs = np.array(self._columns).reshape(_MAX_COLUMNS, 2, -1)
                self._columns = list(pairs.max(axis=1))
                self._merged *= 2

    @property
    def column_ms(self) -> float:
        """Time between two columns of `features`."""
        return self._step_ms * self._merged

    @property
    def features(self) -> npt.NDArray[np.uint16]:
        """The columns so far, uint16 [columns, channels]."""
        return np.array(self._columns, np.uint16) if self._columns else np.zeros((0, 1), np.uint16)


def draw_stream(
    path: str | os.PathLike[str],
    recorder: SpectrogramRecorder,
    detections: Sequence[Detection],
    title: str = "",
) -> Path:
    """Write a picture of a stream's spectrogram with its detections marked.

    Args:
        path: a file that ends with .png, .svg or .pdf.
        recorder: what was recorded.
        detections: what was heard.
        title: stands above the picture.

    Raises:
        DetectionError: nothing was recorded, or the ending is another.
        MltkError: the file can not be written.

    """
    target = Path(path)
    check_picture_path(target)
    features = recorder.features
    if len(features) == 0:
        raise DetectionError(f"{target} can not be drawn: the sound is shorter than one window")
    from matplotlib.figure import Figure

    seconds = len(features) * recorder.column_ms / 1000
    figure = Figure(figsize=(float(np.clip(seconds * 0.7, 7.0, 16.0)), _INCHES_HIGH), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap=_COLOURS,
        extent=(0, seconds, 0, features.shape[1]),
        interpolation="antialiased",
    )
    axes.set_xlabel("seconds")
    axes.set_ylabel("mel channel")
    if title:
        # Names come from outside: a dollar sign in one must not start a formula.
        axes.set_title(title, loc="left", pad=24 if detections else 6, parse_math=False)
    _mark(axes, detections, seconds, figure.get_figwidth())
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH, format=target.suffix[1:].lower())
    return target


def _mark(axes: "Axes", detections: Sequence[Detection], seconds: float, inches: float) -> None:
    # A label takes about this much room; labels that would touch are left out, their lines stay.
    room = 0.75 * seconds / inches
    last = -np.inf
    for detection in detections:
        time = detection.time_ms / 1000
        axes.axvline(time, color="#35d0ff", linewidth=1.4)
        if time - last >= room:
            last = time
            text = f"{detection.label} ({detection.score})"
            axes.annotate(
                text,
                (time, 1.0),
                (0, 4),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=9,
                color="#00567a",
                fontweight="bold",
                parse_math=False,
            )


def check_picture_path(path: str | os.PathLike[str]) -> None:
    """Refuse a picture's file name that has no known ending.

    Raises:
        DetectionError: it does not end with .png, .svg or .pdf.

    """
    if Path(path).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise DetectionError(f"The picture {path} must end with .png, .svg or .pdf")


def write_window(path: str | os.PathLike[str], features: npt.NDArray[np.uint16]) -> Path:
    """Write one window as a plain PNG: time to the right, channels upwards, 4 x 4 pixels a value.

    Args:
        path: the file.
        features: uint16 [frames, channels].

    Raises:
        MltkError: the file can not be written.

    """
    from matplotlib.image import imsave

    with replacing(path) as temporary:
        imsave(
            temporary,
            np.kron(features.T, np.ones((4, 4), np.uint16)),
            origin="lower",
            cmap=_COLOURS,
            format="png",
        )
    return Path(path)
