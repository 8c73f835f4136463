"""Conversion, resampling and length of clips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.audio.convert import to_float32, to_int16
from mltk.audio.length import adjust_length, trim_silence
from mltk.audio.resample import resample
from mltk.utils.errors import AudioError


def test_to_int16_saturates_and_rounds():
    x = np.float32([0, 1, -1, 2, -2, 0.5, 1 / 32768, 0.6 / 32768, 0.4 / 32768, 32767.4 / 32768])
    np.testing.assert_array_equal(to_int16(x), [0, 32767, -32768, 32767, -32768, 16384, 1, 1, 0, 32767])
    assert to_int16(x).dtype == np.int16
    np.testing.assert_array_equal(to_int16(x.astype(np.float64)), to_int16(x))


def test_every_int16_survives_the_way_there_and_back():
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(to_int16(to_float32(every)), every)
    assert to_float32(every).min() == -1.0


@pytest.mark.parametrize(
    "bad", [np.float32([0, np.nan]), np.float32([np.inf]), np.arange(3), np.array(["a"])]
)
@pytest.mark.parametrize("convert", [to_int16, to_float32])
def test_conversion_refusals(bad, convert):
    with pytest.raises(AudioError):
        convert(bad)


@pytest.mark.parametrize(("orig", "target"), [(8000, 16000), (44100, 16000), (48000, 16000), (16000, 8000)])
def test_resampled_sine_keeps_frequency_and_amplitude(orig, target):
    f = 1000.0
    x = (0.5 * np.sin(2 * np.pi * f * np.arange(orig) / orig)).astype(np.float32)
    y = resample(x, orig_sr=orig, target_sr=target)
    assert y.dtype == np.float32
    assert len(y) == target
    expected = 0.5 * np.sin(2 * np.pi * f * np.arange(target) / target)
    middle = slice(target // 10, -target // 10)
    np.testing.assert_allclose(y[middle], expected[middle], atol=1e-4)


def test_resample_takes_what_aliases_away():
    x = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000).astype(np.float32)
    y = resample(x, 16000, 8000)
    assert abs(y[800:-800]).max() < 1e-3


def test_resample_int16_and_equal_rates():
    x = np.int16([32767, -32768] * 4000)
    assert resample(x, 8000, 16000).dtype == np.int16
    np.testing.assert_array_equal(resample(x, 8000, 8000), x)
    assert resample(np.zeros(0, np.float32), 8000, 16000).shape == (0,)


def test_resample_refusals():
    x = np.zeros(100, np.float32)
    for rates in ((0, 16000), (16000, -1), (float("nan"), 8000), (8000, float("inf"))):
        with pytest.raises(AudioError, match="above 0 Hz"):
            resample(x, *rates)
    with pytest.raises(AudioError, match="too long"):
        resample(x, 1, 1e9)
    with pytest.raises(AudioError, match="mono"):
        resample(np.zeros((4, 2), np.float32), 8000, 16000)


RAMP = np.int16([1, 2, 3, 4, 5])


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize(
    ("length", "offset", "expected"),
    [
        (5, 0.7, [1, 2, 3, 4, 5]),
        (8, 0.0, [1, 2, 3, 4, 5, 0, 0, 0]),
        (8, 1.0, [0, 0, 0, 1, 2, 3, 4, 5]),
        (8, 0.5, [0, 1, 2, 3, 4, 5, 0, 0]),
        (2, 0.0, [1, 2]),
        (2, 1.0, [4, 5]),
        (2, 0.5, [2, 3]),
        (0, 0.5, []),
    ],
)
def test_adjust_length_exact(dtype, length, offset, expected):
    result = adjust_length(RAMP.astype(dtype), length, offset=offset)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, expected)


def test_adjust_length_gives_a_new_array_and_takes_the_empty_clip():
    x = np.ones(4, np.float32)
    adjust_length(x, 4)[0] = 9
    assert x[0] == 1
    np.testing.assert_array_equal(adjust_length(np.zeros(0, np.int16), 3, trim_threshold_db=20), [0, 0, 0])


def test_trim_by_hand():
    # One full-scale hop of 512 within silence touches the frames centred on 512*k for k = 8 ... 12: frame k
    # covers the samples 512*(k-2) up to 512*(k+2), the hop is at 512*10.
    x = np.zeros(512 * 30, np.float32)
    x[512 * 10 : 512 * 11] = 1.0
    trimmed = trim_silence(x, 40)
    assert len(trimmed) == 512 * 4
    np.testing.assert_array_equal(trimmed, x[512 * 9 : 512 * 13])
    np.testing.assert_array_equal(
        trim_silence((x * 16384).astype(np.int16), 40), (trimmed * 16384).astype(np.int16)
    )


def trim_by_definition(x, threshold_db):
    """librosa.effects.trim as its documentation defines it, frame by frame (equal to librosa 0.11 on 400
    random clips)."""
    padded = np.pad(x.astype(np.float64), 1024)
    rms = [np.sqrt(np.mean(padded[s : s + 2048] ** 2)) for s in range(0, len(padded) - 2047, 512)]
    level_db = 20 * np.log10(np.maximum(rms, 1e-5)) - 20 * np.log10(max(*rms, 1e-5))
    loud = [i for i, level in enumerate(level_db) if level > -threshold_db]
    return x[loud[0] * 512 : (loud[-1] + 1) * 512]


@settings(deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    length=st.integers(1, 20000),
    threshold_db=st.floats(1, 90),
    gain_db=st.floats(-80, 0),
)
def test_trim_is_that_of_librosa(seed, length, threshold_db, gain_db):
    rng = np.random.default_rng(seed)
    envelope = 10.0 ** np.interp(
        np.arange(length), np.sort(rng.integers(0, length, 6)), rng.uniform(-5, 0, 6)
    )
    x = (rng.standard_normal(length) * envelope * 0.2 * 10 ** (gain_db / 20)).astype(np.float32)
    np.testing.assert_array_equal(trim_silence(x, threshold_db), trim_by_definition(x, threshold_db))


def test_silence_is_not_trimmed_away():
    np.testing.assert_array_equal(trim_silence(np.zeros(5000, np.float32), 20), np.zeros(5000))


def test_length_refusals():
    x = np.zeros(10, np.float32)
    for call in (
        lambda: adjust_length(x, -1),
        lambda: adjust_length(x, 5, offset=1.01),
        lambda: adjust_length(x, 5, offset=float("nan")),
        lambda: adjust_length(x, 5, trim_threshold_db=0),
        lambda: adjust_length(np.float32([np.nan]), 5),
        lambda: adjust_length(np.zeros((2, 2), np.float32), 5),
    ):
        with pytest.raises(AudioError):
            call()


@pytest.mark.parametrize("x", [0.5, [[0.5, -2.0]], []])
def test_any_shape_is_converted(x):
    samples = np.array(x, np.float32)
    pcm = to_int16(samples)
    assert pcm.shape == samples.shape
    assert pcm.dtype == np.int16
    back = to_float32(pcm)
    assert back.shape == samples.shape
    np.testing.assert_allclose(back, samples.clip(-1, 1), atol=1 / 32768)
