"""Time of the frontend beside its peers, on the same clips in the same run, one core.

    taskset -c 1 python benchmarks/frontend.py [--reference VENV/bin/python]

Peers: TensorFlow's microfrontend op (extra 'train'); pymicro-features from PyPI, streaming 10 ms chunks; with
--reference the reference toolkit in its own virtual environment (silabs-mltk==0.20.0 numpy==1.26.4 "click<8.2"
"typer<0.13" audiomentations==0.33.0). Rounds alternate; medians of the CPU time that the process takes, which other
programs on the machine change less than the time of day; ratios above 1 say that ours is faster.
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


def compare_clips(reference: Reference | None) -> None:
    """Clips, one by one and as a batch."""
    print(
        "| audio | ours, a batch | ours, clip by clip | TensorFlow's op | reference toolkit | batch, times faster than the "
        "faster peer | clip, times | values that differ from the op |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    rng = np.random.default_rng(1)
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
        differing = sum(int((batch[i] != op(clip)).sum()) for i, clip in enumerate(clips))
        differing += sum(
            int((batch[i] != ours.process_sample(clip, np.uint16)).sum()) for i, clip in enumerate(clips)
        )
        work: dict[str, Callable[[], float]] = {
            "batch": lambda ours=ours, clips=clips: milliseconds(
                lambda: ours.process_batch(clips, np.uint16)
            ),
            "single": lambda ours=ours, clips=clips: milliseconds(
                lambda: [ours.process_sample(clip, np.uint16) for clip in clips]
            ),
            "op": lambda op=op, clips=clips: milliseconds(lambda: [op(clip) for clip in clips]),
        }
        if reference is not None:
            reference.set_up(settings, clips)
            work["reference"] = reference.milliseconds
        times: dict[str, list[float]] = {key: [] for key in work}
        for _ in range(ROUNDS):
            for key, run in work.items():
                times[key].append(run())
        middle = {key: statistics.median(values) for key, values in times.items()}
        peer = min(middle[key] for key in ("op", "reference") if key in middle)
        beside = f"{middle['reference']:.3f} ms" if "reference" in middle else "-"
        print(
            f"| {name} | {middle['batch']:.4f} ms | {middle['single']:.4f} ms | {middle['op']:.3f} ms | {beside} "
            f"| {peer / middle['batch']:.1f} | {peer / middle['single']:.1f} | {differing} |",
            flush=True,
        )


def compare_streams() -> None:
    """10 ms chunks from Python, 30 ms windows, 40 channels, PCAN."""
    from pymicro_features import MicroFrontend

    samples = np.random.default_rng(2).integers(-9000, 9000, STREAM_CHUNK * STREAM_CHUNKS, dtype=np.int16)
    chunks = list(samples.reshape(STREAM_CHUNKS, STREAM_CHUNK))
    texts = [chunk.tobytes() for chunk in chunks]
    settings = AudioFeatureGeneratorSettings(
        window_size_ms=30, filterbank_n_channels=40, noise_reduction_enable=True, pcan_enable=True
    )

    def ours() -> list[NDArray[np.uint16]]:
        generator = AudioFeatureGenerator(settings)
        started = time.process_time()
        rows = [generator.process(chunk) for chunk in chunks]
        times[0].append(time.process_time() - started)
        return rows

    def peer() -> list[list[float]]:
        frontend = MicroFrontend()
        started = time.process_time()
        rows = [frontend.process_samples(text).features for text in texts]
        times[1].append(time.process_time() - started)
        return rows

    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        own, other = ours(), peer()
    # The peer gives the features times 10 / 256.
    mine = np.concatenate(own)
    theirs = np.rint(np.array([row for row in other if row]) * 25.6).astype(np.uint16)
    microseconds = [statistics.median(values) * 1e6 / STREAM_CHUNKS for values in times]
    print(
        f"\n10 ms chunks: ours {microseconds[0]:.2f} us a chunk, pymicro-features {microseconds[1]:.2f} us, "
        f"{microseconds[1] / microseconds[0]:.1f} times faster, {int((mine != theirs).sum())} values differ"
    )


def main() -> None:
    """Measure all settings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", metavar="PYTHON", help="the reference toolkit's Python")
    arguments = parser.parse_args()
    print(f"form: {AudioFeatureGenerator(AudioFeatureGeneratorSettings()).form}\n")
    with tempfile.TemporaryDirectory() as folder:
        compare_clips(Reference(arguments.reference, Path(folder)) if arguments.reference else None)
    compare_streams()


if __name__ == "__main__":
    main()
