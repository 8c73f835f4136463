"""The oracles of the frontend's tests: TensorFlow's op, and plain Python integers for the blocks it lacks."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mltk.frontend.settings import AudioFeatureGeneratorSettings


def tensorflow_op() -> Any:
    """Return TensorFlow's microfrontend op, or skip the test where TensorFlow is not installed."""
    pytest.importorskip("tensorflow", reason="TensorFlow, the oracle, is not installed", exc_type=ImportError)
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    return audio_microfrontend_op.audio_microfrontend


def run_op(op: Any, samples: NDArray[np.int16], s: AudioFeatureGeneratorSettings) -> NDArray[np.uint16]:
    """Return the op's features. It can not leave the noise reduction out; coefficients of 0 still it."""
    import tensorflow as tf

    on = s.noise_reduction_enable
    features = op(
        tf.constant(samples),
        sample_rate=s.sample_rate_hz,
        window_size=s.window_size_ms,
        window_step=s.window_step_ms,
        num_channels=s.filterbank_n_channels,
        upper_band_limit=s.filterbank_upper_band_limit,
        lower_band_limit=s.filterbank_lower_band_limit,
        smoothing_bits=s.noise_reduction_smoothing_bits,
        even_smoothing=s.noise_reduction_even_smoothing if on else 0.0,
        odd_smoothing=s.noise_reduction_odd_smoothing if on else 0.0,
        min_signal_remaining=s.noise_reduction_min_signal_remaining,
        enable_pcan=s.pcan_enable,
        pcan_strength=s.pcan_strength,
        pcan_offset=s.pcan_offset,
        gain_bits=s.pcan_gain_bits,
        enable_log=s.log_scale_enable,
        scale_shift=s.log_scale_shift,
        out_scale=1,
        out_type=tf.uint16,
    )
    return np.asarray(features.numpy())


def int16(value: int) -> int:
    """Wrap to 16 bits."""
    return (value + 32768) % 65536 - 32768


def dc_notch(samples: NDArray[np.int16], coefficient: float) -> NDArray[np.int16]:
    """The DC notch filter of the reference page."""
    k = int16(int(coefficient * 32768))
    last_in = last_out = 0
    result = []
    for sample in samples.tolist():
        d = int16(sample - last_in)
        p = k * last_out
        last_out = int16(d + (((p >> 14) + 1) >> 1))
        last_in = sample
        result.append(last_out)
    return np.array(result, np.int16)


def activity(rows: NDArray[Any], s: AudioFeatureGeneratorSettings) -> list[bool]:
    """Return for each row of square-rooted channels whether the activity detection trips there."""
    shift = 0
    while 1 << shift < rows.shape[1]:
        shift += 1
    k_a, k_b = int(s.activity_detection_alpha_a * 256), int(s.activity_detection_alpha_b * 256)
    arm = int(s.activity_detection_arm_threshold * 4096)
    trip = int(s.activity_detection_trip_threshold * 4096)
    a = b = 0
    armed = False
    result = []
    for row in rows.tolist():
        x = sum(row) >> shift
        a = ((((256 - k_a) * x + k_a * a) >> 7) + 1) >> 1
        b = ((((256 - k_b) * x + k_b * b) >> 7) + 1) >> 1
        tripped = False
        if not armed:
            armed = a < (b * arm) >> 12
        elif a > (b * trip) >> 12:
            armed, tripped = False, True
        result.append(tripped)
    return result


def int8_static(features: NDArray[np.uint16]) -> NDArray[np.int8]:
    """The int8 form without dynamic scale."""
    values = [max(-128, min(127, (v * 256 + 333) // 666 - 128)) for v in features.reshape(-1).tolist()]
    return np.array(values, np.int8).reshape(features.shape)


def int8_dynamic(features: NDArray[np.uint16], s: AudioFeatureGeneratorSettings) -> NDArray[np.int8]:
    """The int8 form with dynamic scale, over one spectrogram."""
    values = features.reshape(-1).tolist()
    span = int(s.quantize_dynamic_scale_range_db * 2**s.log_scale_shift * 0.11512925465)
    highest = max(values)
    lowest = max(highest - span, 0)
    divisor = max(highest - lowest, 1)
    scaled = []
    for v in values:
        n = (v - lowest) * 255
        quotient = abs(n) // divisor * (1 if n >= 0 else -1)  # toward zero
        scaled.append(max(-128, min(127, quotient - 128)))
    return np.array(scaled, np.int8).reshape(features.shape)
