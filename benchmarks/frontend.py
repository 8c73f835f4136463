"""Time of the frontend beside its peers, on the same clips in the same run, one core.

    python benchmarks/frontend.py

TensorFlow's microfrontend op (extra 'train'). Medians of alternating rounds; ratios above
1 say that ours is faster.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

CLIPS = 100
ROUNDS = 7
# name -> step in ms, channels, PCAN
SETTINGS = {
    "49x40, noise reduction, PCAN": (20, 40, True),
    "98x40, noise reduction, PCAN": (10, 40, True),
    "98x108, noise reduction": (10, 108, False),
}


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


def milliseconds(work: Callable[[], object]) -> float:
    """Return the time of one clip's work in milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000 / CLIPS


def main() -> None:
    """Measure all settings."""
    rng = np.random.default_rng(1)
    clips = rng.integers(-9000, 9000, (CLIPS, 16000), dtype=np.int16)
    print(
        "| 1 s of 16 kHz audio | ours, clip by clip | ours, a batch | TensorFlow's op | ratio (clip) | differing values |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (step_ms, channels, pcan) in SETTINGS.items():
        settings = AudioFeatureGeneratorSettings(
            window_size_ms=30,
            window_step_ms=step_ms,
            filterbank_n_channels=channels,
            noise_reduction_enable=True,
            pcan_enable=pcan,
        )
        ours = AudioFeatureGenerator(settings)
        op = tensorflow_op(settings)
        differing = sum(int((ours.process_sample(clip, np.uint16) != op(clip)).sum()) for clip in clips)
        work = {
            "single": lambda ours=ours: [ours.process_sample(clip, np.uint16) for clip in clips],
            "batch": lambda ours=ours: ours.process_batch(clips, np.uint16),
            "op": lambda op=op: [op(clip) for clip in clips],
        }
        times: dict[str, list[float]] = {key: [] for key in work}
        for _ in range(ROUNDS):
            for key, run in work.items():
                times[key].append(milliseconds(run))
        single, batch, peer = (statistics.median(times[key]) for key in work)
        print(
            f"| {name} | {single:.3f} ms | {batch:.3f} ms | {peer:.3f} ms | {peer / single:.2f} | {differing} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
