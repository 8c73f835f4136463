"""A listening session: samples through a detector, and what the user wants written along the way."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mltk.detection.events import Detection, Inference
from mltk.detection.outputs import file_name, output_folder, spectrogram_dump, wav_dump
from mltk.detection.picture import SpectrogramRecorder, check_picture_path, draw_stream
from mltk.detection.stream import KeywordDetector


@dataclass(frozen=True)
class SessionOutputs:
    """What a session leaves behind, each where it is not None.

    Attributes:
        audio_folder: what was heard, as MODEL-heard.wav, before the volume gain.
        spectrogram_folder: a PNG of the model's window at each detection.
        every_spectrogram: at each run of the model.
        picture: the whole spectrogram with the detections marked, .png, .svg or .pdf.
        on_inference: called after each run of the model.

    """

    audio_folder: str | os.PathLike[str] | None = None
    spectrogram_folder: str | os.PathLike[str] | None = None
    every_spectrogram: bool = False
    picture: str | os.PathLike[str] | None = None
    on_inference: Callable[[Inference], None] | None = None


def listen(
    detector: KeywordDetector,
    blocks: Iterator[npt.NDArray[np.int16]],
    report: Callable[[Detection], None],
    outputs: SessionOutputs,
) -> bool:
    """Feed blocks to a detector until they end or Ctrl-C is pressed; outputs are whole in both cases.

    Args:
        detector: at the start of its stream.
        blocks: int16 [n] at the detector's rate; closed at the end where it is a generator.
        report: called with each detection at once.
        outputs: what to write.

    Returns:
        Whether it was stopped by Ctrl-C.

    Raises:
        MltkError: an output can not be written (told before the first block where it can be known), or what
            `blocks` raises; then no output is left.

    """
    heard: list[Detection] = []
    recorder = SpectrogramRecorder(detector.frontend_settings.window_step_ms)
    with contextlib.ExitStack() as stack:
        if outputs.picture is not None:
            check_picture_path(outputs.picture)
            output_folder(Path(outputs.picture).parent)
            detector.on_features = recorder.add
        write = None
        if outputs.audio_folder is not None:
            path = output_folder(outputs.audio_folder) / f"{file_name(detector.name)}-heard.wav"
            write = stack.enter_context(wav_dump(path, detector.sample_rate_hz))
        detector.on_inference = _followers(outputs)
        stack.callback(getattr(blocks, "close", lambda: None))
        stopped = False
        try:
            for samples in blocks:
                if write is not None:
                    write(samples)
                for detection in detector.feed(samples):
                    report(detection)
                    if outputs.picture is not None:
                        heard.append(detection)
        except KeyboardInterrupt:
            stopped = True
    if outputs.picture is not None:
        draw_stream(outputs.picture, recorder, heard, detector.name)
    return stopped


def _followers(outputs: SessionOutputs) -> Callable[[Inference], None] | None:
    followers = [] if outputs.on_inference is None else [outputs.on_inference]
    if outputs.spectrogram_folder is not None:
        folder = output_folder(outputs.spectrogram_folder)
        followers.append(spectrogram_dump(folder, outputs.every_spectrogram))
    if not followers:
        return None

    def follow(inference: Inference) -> None:
        for follower in followers:
            follower(inference)

    return follow
