"""Spectrograms of the three kinds, against computations of others."""

import cmath
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from mltk.training.speech_commands.features import compute_features, fit_length, quantized
from mltk.training.speech_commands.settings import FeatureSettings

FRONTEND_TESTS = Path(__file__).parents[1] / "frontend"


def clips(n: int = 16000) -> np.ndarray:
    """Return noise of several levels, and a tone: int16 [3, n]."""
    rng = np.random.default_rng(3)
    tone = 12000 * np.sin(2 * np.pi * 440 * np.arange(n) / 16000)
    return np.stack(
        [rng.integers(-30000, 30000, n), tone + rng.normal(0, 50, n), rng.integers(-40, 40, n)]
    ).astype(np.int16)


def averages_by_the_readme(clip: np.ndarray, frame: int) -> list[int]:
    """Compute one row of the READMEs' recipe with nothing but a Fourier sum: 43 values of 0 to 255."""
    window = clip[frame * 320 : frame * 320 + 480] / 32768
    weighted = [value * (0.5 - 0.5 * math.cos(2 * math.pi * i / 480)) for i, value in enumerate(window)]
    power = []
    for k in range(257):
        turn = cmath.exp(-2j * math.pi * k / 512)
        total, factor = 0j, 1 + 0j
        for value in weighted:
            total += value * factor
            factor *= turn
        power.append(abs(total) ** 2)
    row = []
    for first in range(0, 257, 6):
        part = power[first : first + 6]
        row.append(max(0, min(255, math.floor(sum(part) / len(part) * 255 / 127.5 + 0.5))))
    return row


def test_average_is_the_readmes_recipe() -> None:
    settings = FeatureSettings(preprocess="average", window_stride_ms=20, quantize=True)
    x = clips()
    features = compute_features(x, settings)
    assert (features.shape, features.dtype) == ((3, 49, 43), np.int8)
    for clip, frames in ((0, (0, 48)), (1, (17,)), (2, (3,))):
        for frame in frames:
            expected = averages_by_the_readme(x[clip], frame)
            np.testing.assert_array_equal(features[clip, frame].astype(int) + 128, expected)
    assert len(set(features[0].reshape(-1).tolist())) > 50


@pytest.mark.parametrize("stride_ms", [10.0, 20.0])
@pytest.mark.parametrize("kind", ["average", "mfcc"])
def test_like_tensorflows_ops(kind: str, stride_ms: float) -> None:
    tf = pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    settings = FeatureSettings(preprocess=kind, window_stride_ms=stride_ms)
    x = clips()
    features = compute_features(x, settings)
    for clip, own in zip(x, features, strict=True):
        samples = (clip / 32768).astype(np.float32)[:, None]
        spectrogram = tf.raw_ops.AudioSpectrogram(
            input=samples, window_size=480, stride=settings.stride, magnitude_squared=True
        )
        if kind == "average":
            ones = [1, 1, 6, 1]
            expected = tf.nn.avg_pool2d(spectrogram[..., None], ones, ones, "SAME")[0, ..., 0].numpy()
        else:
            expected = tf.raw_ops.Mfcc(
                spectrogram=spectrogram, sample_rate=16000, dct_coefficient_count=40,
                upper_frequency_limit=4000, lower_frequency_limit=20, filterbank_channel_count=40,
            )[0].numpy()  # fmt: skip
        np.testing.assert_allclose(
            own, expected, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(expected).max()))
        )


def test_micro_is_the_frontend() -> None:
    sys.path.insert(0, str(FRONTEND_TESTS))
    try:
        import frontend_cases as cases
    finally:
        sys.path.remove(str(FRONTEND_TESTS))
    # TensorFlow's op computed these, with the settings of the published micro_speech
    with np.load(FRONTEND_TESTS / "golden_frontend.npz", allow_pickle=False) as golden:
        about = json.loads(str(golden["about"]))["cases"][0]
        expected = golden["features_0"].astype(np.int64)
    clip = cases.make_clip(about["kind"], 16000, about["seed"])
    flags = {"preprocess": "micro", "window_stride_ms": 20.0}
    real = compute_features(clip[None], FeatureSettings(**flags))[0]
    np.testing.assert_array_equal(real, (expected * (10 / 256)).astype(np.float32))
    int8 = compute_features(clip[None], FeatureSettings(**flags, quantize=True))[0]
    np.testing.assert_array_equal(int8, np.clip((expected * 256 + 333) // 666 - 128, -128, 127))
    # What the steps stand for: within half a step, and 256 / 666 is not quite 255 / 26 * 10 / 256
    meant = (int8.astype(float) + 128) * FeatureSettings(**flags).scale
    inside = int8 < 127
    assert np.abs(meant - real)[inside].max() < 0.14


def test_quantized_ends_of_the_range() -> None:
    average = FeatureSettings(preprocess="average")
    values = np.array([-5.0, 0.0, 0.2, 0.3, 127.2, 127.5, 1e9])
    assert quantized(values, average).tolist() == [-128, -128, -128, -127, 126, 127, 127]
    mfcc = FeatureSettings(preprocess="mfcc")
    assert quantized(np.array([-247.0, 30.0, -300.0]), mfcc).tolist() == [-128, 127, -128]


def test_more_coefficients_than_filters_are_zero() -> None:
    features = compute_features(clips(), FeatureSettings(preprocess="mfcc", feature_bin_count=50))
    assert features.shape == (3, 98, 50)
    assert not features[..., 40:].any()
    assert features[..., 39].any()


def test_clips_are_cut_and_filled_up_at_their_end() -> None:
    assert fit_length(np.array([1, 2, 3]), 5).tolist() == [1, 2, 3, 0, 0]
    assert fit_length(np.array([1, 2, 3]), 2).tolist() == [1, 2]
