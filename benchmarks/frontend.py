"""Time of the frontend beside its peers, on the same clips in the same run, one core; and how many values differ.

    taskset -c 1 python benchmarks/frontend.py [--reference VENV/bin/python] [--output FOLDER]

Peers: TensorFlow's microfrontend op (extra 'train'); pymicro-features from PyPI, streaming 10 ms chunks; with
--reference the reference toolkit in its own virtual environment (silabs-mltk==0.20.0 numpy==1.26.4 "click<8.2"
"typer<0.13" audiomentations==0.33.0). Rounds alternate; medians of the CPU time that the process takes, which other
programs on the machine change less than the time of day; ratios above 1 say that ours is faster. With --output the table
is written to frontend.md and frontend.json too. MLTK_FRONTEND=avx2 (or scalar) measures another form.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from report import Figure, Report, against_peer, read, table

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

CLIPS = 100
ROUNDS = 9
# name -> clip in ms, step in ms, channels, PCAN
SETTINGS = {
    "49x40, 1 s, PCAN": (1000, 20, 40, True),
    "98x40, 1 s, PCAN": (1000, 10, 40, True),
    "118x108, 1.2 s": (1200, 10, 108, False),
}
BATCH_GOAL, CLIP_GOAL, STREAM_GOAL = 5.0, 2.0, 10.0
STREAM_CHUNK = 160  # 10 ms
STREAM_CHUNKS = 3000


def tensorflow_op(
    settings: AudioFeatureGeneratorSettings,
) -> Callable[[NDArray[np.int16]], NDArray[np.uint16]]:
    """Return TensorFlow's op with these settings."""
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def features(clip: NDArray[np.int16]) -> tf.Tensor:
        return audio_microfrontend_op.audio_microfrontend(
            tf.constant(clip),
            sample_rate=16000,
            window_size=settings.window_size_ms,
            window_step=settings.window_step_ms,
            num_channels=settings.filterbank_n_channels,
            upper_band_limit=settings.filterbank_upper_band_limit,
            lower_band_limit=settings.filterbank_lower_band_limit,
            smoothing_bits=settings.noise_reduction_smoothing_bits,
            even_smoothing=settings.noise_reduction_even_smoothing,
            odd_smoothing=settings.noise_reduction_odd_smoothing,
            min_signal_remaining=settings.noise_reduction_min_signal_remaining,
            enable_pcan=settings.pcan_enable,
            pcan_strength=settings.pcan_strength,
            pcan_offset=settings.pcan_offset,
            gain_bits=settings.pcan_gain_bits,
            enable_log=settings.log_scale_enable,
            scale_shift=settings.log_scale_shift,
            out_scale=1,
            out_type=tf.uint16,
        )

    return lambda clip: np.asarray(features(clip), np.uint16)


class Reference:
    """The reference toolkit in its own process."""

    def __init__(self, python: str, folder: Path) -> None:
        script = Path(__file__).with_name("frontend_reference.py")
        # It may not see this package, which has the same name.
        self._process = subprocess.Popen(
            [python, "-I", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._folder = folder

    def _ask(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the reference toolkit's process ended at: {command}")
        return answer

    def set_up(self, settings: AudioFeatureGeneratorSettings, clips: NDArray[np.int16]) -> None:
        """Take these settings and clips."""
        np.save(self._folder / "clips.npy", clips)
        names = "sample_length_ms window_size_ms window_step_ms filterbank_n_channels noise_reduction_enable pcan_enable"
        values = {name: getattr(settings, name) for name in names.split()}
        self._ask("settings " + json.dumps({**values, "clips": str(self._folder / "clips.npy")}))

    def milliseconds(self) -> float:
        """Return the CPU time of one clip."""
        return float(self._ask("time"))

    def features(self) -> NDArray[np.uint16]:
        """Return the features of all clips."""
        self._ask(f"features {self._folder / 'features.npy'}")
        return np.asarray(np.load(self._folder / "features.npy"), np.uint16)


def milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one clip's work in milliseconds."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000 / CLIPS


def medians(work: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Run all of them in turns and return the median of what each gives."""
    times: dict[str, list[float]] = {key: [] for key in work}
    for _ in range(ROUNDS):
        for key, run in work.items():
            times[key].append(run())
    return {key: statistics.median(values) for key, values in times.items()}


def count(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> str:
    """Return how many values differ, of how many."""
    return f"{int((a != b).sum())} of {a.size:,}"


def compare_clips(reference: Reference | None) -> tuple[list[Figure], list[str]]:
    """Clips, one by one and as a batch."""
    rng = np.random.default_rng(1)
    figures, notes = [], []
    for name, (length_ms, step_ms, channels, pcan) in SETTINGS.items():
        settings = AudioFeatureGeneratorSettings(
            sample_length_ms=length_ms,
            window_size_ms=30,
            window_step_ms=step_ms,
            filterbank_n_channels=channels,
            noise_reduction_enable=True,
            pcan_enable=pcan,
        )
        clips = rng.integers(-9000, 9000, (CLIPS, settings.sample_length), dtype=np.int16)
        ours = AudioFeatureGenerator(settings)
        op = tensorflow_op(settings)
        batch = ours.process_batch(clips, np.uint16)
        single = np.stack([ours.process_sample(clip, np.uint16) for clip in clips])
        standard = np.stack([op(clip) for clip in clips])
        note = f"{name}: values that differ from TensorFlow's op: ours {count(batch, standard)} as a batch, "
        note += f"{count(single, standard)} clip by clip"
        work: dict[str, Callable[[], float]] = {
            "batch": lambda ours=ours, clips=clips: milliseconds(
                lambda: ours.process_batch(clips, np.uint16)
            ),
            "single": lambda ours=ours, clips=clips: milliseconds(
                lambda: [ours.process_sample(clip, np.uint16) for clip in clips]
            ),
            "TensorFlow's op": lambda op=op, clips=clips: milliseconds(lambda: [op(clip) for clip in clips]),
        }
        if reference is not None:
            reference.set_up(settings, clips)
            note += f"; the reference toolkit's {count(reference.features(), standard)}"
            work["reference toolkit"] = reference.milliseconds
        middle = medians(work)
        peers = {key: value for key, value in middle.items() if key not in ("batch", "single")}
        peer = min(peers, key=lambda key: peers[key])
        figures += [
            against_peer(
                f"features of {name}, a batch", "ms", middle["batch"], peers[peer], peer, BATCH_GOAL
            ),
            against_peer(
                f"features of {name}, clip by clip", "ms", middle["single"], peers[peer], peer, CLIP_GOAL
            ),
        ]
        notes.append(note + "; CPU ms a clip: " + ", ".join(f"{who} {ms:.4f}" for who, ms in middle.items()))
        print(notes[-1], flush=True)
    return figures, notes


def compare_streams() -> tuple[list[Figure], list[str]]:
    """10 ms chunks from Python, 30 ms windows, 40 channels, PCAN."""
    from pymicro_features import MicroFrontend

    samples = np.random.default_rng(2).integers(-9000, 9000, STREAM_CHUNK * STREAM_CHUNKS, dtype=np.int16)
    chunks = list(samples.reshape(STREAM_CHUNKS, STREAM_CHUNK))
    texts = [chunk.tobytes() for chunk in chunks]
    settings = AudioFeatureGeneratorSettings(
        window_size_ms=30, filterbank_n_channels=40, noise_reduction_enable=True, pcan_enable=True
    )
    rows: dict[str, NDArray[np.uint16]] = {}

    def ours() -> float:
        generator = AudioFeatureGenerator(settings)
        started = time.process_time()
        got = [generator.process(chunk) for chunk in chunks]
        taken = time.process_time() - started
        rows["ours"] = np.concatenate(got)
        return taken * 1e6 / STREAM_CHUNKS

    def peer() -> float:
        frontend = MicroFrontend()
        started = time.process_time()
        got = [frontend.process_samples(text).features for text in texts]
        taken = time.process_time() - started
        # It gives the features times 10 / 256.
        rows["peer"] = np.rint(np.array([row for row in got if row]) * 25.6).astype(np.uint16)
        return taken * 1e6 / STREAM_CHUNKS

    middle = medians({"ours": ours, "pymicro-features": peer})
    standard = tensorflow_op(settings)(samples)
    note = (
        f"10 ms chunks: values that differ from TensorFlow's op over the same audio: ours {count(rows['ours'], standard)}, "
        f"pymicro-features' {count(rows['peer'], standard)} (one coefficient of its window, see docs/frontend.md)"
    )
    print(note, flush=True)
    return [
        against_peer(
            "features of a stream, 10 ms chunks from Python",
            "us",
            middle["ours"],
            middle["pymicro-features"],
            "pymicro-features",
            STREAM_GOAL,
        )
    ], [note]


def main() -> None:
    """Measure all settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", metavar="PYTHON", help="the reference toolkit's Python")
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="write frontend.json and frontend.md there"
    )
    arguments = parser.parse_args()
    form = AudioFeatureGenerator(AudioFeatureGeneratorSettings()).form
    with tempfile.TemporaryDirectory() as folder:
        figures, notes = compare_clips(
            Reference(arguments.reference, Path(folder)) if arguments.reference else None
        )
    more_figures, more_notes = compare_streams()
    title = (
        f"The frontend, one core, {form}: medians of {ROUNDS} rounds in turns, CPU time of a clip or a chunk"
    )
    report = Report("frontend", title, figures + more_figures, notes + more_notes)
    print("\n".join(["", title, "", *table(report.figures)]))
    if arguments.output:
        report.write(arguments.output)
        about = read(arguments.output / "frontend.json")[1]
        lines = [f"# {title}", "", *table(report.figures), "", *(f"- {note}" for note in report.notes), ""]
        lines += [f"`{about['command']}`, {about['date']}; {about['machine']}", ""]
        (arguments.output / "frontend.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
