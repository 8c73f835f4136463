"""`mltk classify_audio`: hear keywords in a microphone's sound, in a recording or in a raw stream."""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mltk.detection.events import Inference
    from mltk.detection.stream import KeywordDetector


Model = Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")]
Audio = Annotated[
    str | None,
    typer.Option(
        "--audio",
        "-a",
        metavar="FILE",
        help="Listen to this recording of any length, format and rate instead of a microphone; '-' takes raw "
        "samples (16 bit, little-endian, mono, the model's rate) from standard input.",
    ),
]
Microphone = Annotated[
    str | None,
    typer.Option(
        "--microphone", "-m", metavar="NAME", help="Which microphone: a part of its name, or its number."
    ),
]
WindowDuration = Annotated[
    int | None,
    typer.Option(
        "--window_duration",
        "--window-duration",
        metavar="MS",
        help="Average the scores of the last MS milliseconds. Longer: fewer false ones, more missed.",
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        "--count",
        "-c",
        metavar="N",
        help="Decide only from N results or more within that window; 0: no averaging.",
    ),
]
Threshold = Annotated[
    int | None,
    typer.Option("--threshold", "-t", metavar="0-255", help="Report averages above this, for every class."),
]
Suppression = Annotated[
    int | None,
    typer.Option("--suppression", "-s", metavar="MS", help="Do not report the same keyword again for MS."),
]
Latency = Annotated[
    int | None,
    typer.Option(
        "--latency", "-l", metavar="MS", help="Run the model every MS of audio; 0: at every window."
    ),
]
Volume = Annotated[
    float | None,
    typer.Option(
        "--volume", "-u", metavar="GAIN", help="Multiply the samples, saturating; 0: leave them alone."
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="What runs the model: litert; tflm, what a device computes (Linux only); native, the same on every "
        "machine.",
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print every result's scores to standard error.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a detection.")]
DumpAudio = Annotated[
    str | None,
    typer.Option(
        "--dump-audio",
        "--dump_audio",
        "-x",
        metavar="DIR",
        help="Write what was heard to DIR/MODEL-heard.wav.",
    ),
]
DumpSpectrograms = Annotated[
    str | None,
    typer.Option(
        "--dump-spectrograms",
        "--dump_spectrograms",
        "-z",
        metavar="DIR",
        help="Write a PNG of the model's input to DIR at each detection; with --verbose at each result.",
    ),
]
Picture = Annotated[
    str | None,
    typer.Option(
        "--picture", metavar="FILE", help="Draw the spectrogram with the detections (.png, .svg, .pdf)."
    ),
]


def classify_audio(
    model: Model,
    *,
    audio: Audio = None,
    microphone: Microphone = None,
    window_duration: WindowDuration = None,
    count: Count = None,
    threshold: Threshold = None,
    suppression: Suppression = None,
    latency: Latency = None,
    volume: Volume = None,
    engine: Engine = "litert",
    verbose: Verbose = False,
    json: Json = False,
    dump_audio: DumpAudio = None,
    dump_spectrograms: DumpSpectrograms = None,
    picture: Picture = None,
) -> None:
    """Hear keywords: prints a line such as `Heard yes (201) @4056ms` (score 0 to 255, time in the audio).

    Without --audio a microphone is listened to until Ctrl-C.

    What the options do not say, the model's own parameters do.

    A recording is worked through as fast as the machine can; times are those of the audio.
    """
    from mltk.detection.session import SessionOutputs, listen
    from mltk.detection.stream import KeywordDetector
    from mltk.utils.errors import DetectionError
    from mltk.utils.logging import get_logger

    if audio is not None and microphone is not None:
        raise DetectionError("--audio and --microphone exclude each other: give one of them")
    get_logger(verbose)
    detector = KeywordDetector(
        model,
        window_duration_ms=window_duration,
        count=count,
        threshold=threshold,
        suppression_ms=suppression,
        latency_ms=latency,
        volume=volume,
        engine=engine,
    )
    tell_scores = verbose or detector.settings.verbose
    outputs = SessionOutputs(
        audio_folder=dump_audio,
        spectrogram_folder=dump_spectrograms,
        every_spectrogram=verbose,
        picture=picture,
        on_inference=_score_printer(detector.labels) if tell_scores else None,
    )
    stopped = listen(
        detector,
        _blocks(detector, audio, microphone),
        lambda detection: print(detection.to_json() if json else detection, flush=True),
        outputs,
    )
    if stopped and audio is not None:
        raise KeyboardInterrupt  # for a microphone it is how one stops listening, no error
    if not stopped:
        _warn_if_too_short(detector)


def _blocks(
    detector: "KeywordDetector", audio: str | None, microphone: str | None
) -> "Iterator[npt.NDArray[np.int16]]":
    from mltk.detection.microphone import microphone_blocks
    from mltk.detection.sources import file_blocks, raw_blocks
    from mltk.utils.errors import AudioError

    if audio == "-":
        if sys.stdin.isatty():
            raise AudioError("`--audio -` reads raw samples from standard input: pipe them in")
        return raw_blocks(sys.stdin.buffer, detector.sample_rate_hz)
    if audio is not None:
        # A detector takes some 10 ms for ten seconds of audio.
        return file_blocks(audio, detector.sample_rate_hz, block_s=10)
    return microphone_blocks(detector.sample_rate_hz, microphone)


def _score_printer(labels: tuple[str, ...]) -> "Callable[[Inference], None]":
    def print_scores(inference: "Inference") -> None:
        pairs = zip(labels, inference.scores, strict=True)
        scores = "  ".join(f"{printable(label)} {score:3d}" for label, score in pairs)
        print(f"@{inference.time_ms}ms  {scores}", file=sys.stderr, flush=True)

    from mltk.utils.text import printable

    return print_scores


def _warn_if_too_short(detector: "KeywordDetector") -> None:
    from mltk.utils.logging import get_mltk_logger

    needed = max(detector.settings.minimum_count, 1)
    if detector.n_inferences < needed:
        get_mltk_logger().warning(
            "Too short to hear anything: %d ms of sound gave %d results, a decision needs %d",
            detector.time_ms,
            detector.n_inferences,
            needed,
        )
