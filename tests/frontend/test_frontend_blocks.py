"""The blocks that only the reference toolkit has, against plain Python integers."""

import frontend_cases as cases
import frontend_oracle as oracle
import numpy as np
import pytest

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.quantize import to_int8
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import FrontendError


def make_settings(**values):
    s = AudioFeatureGeneratorSettings(window_size_ms=30, filterbank_n_channels=40, sample_length_ms=1000)
    s.update(**values)
    return s


def dc_level(clip, window):
    """The mean of the clip's last windows, where the notch filter has settled."""
    return abs(float(clip[-window:].mean()))


@pytest.mark.parametrize("coefficient", [0.95, 0.0, 0.5, 0.999, 0.7310585])
@pytest.mark.parametrize("kind", [1, 3, 4, 6, 7, 8, 10])
def test_dc_notch(coefficient, kind):
    """The features are those of the filtered clip without the filter."""
    plain = make_settings()
    notched = make_settings(dc_notch_filter_enable=True, dc_notch_filter_coefficient=coefficient)
    clip = cases.make_clip(kind, plain.sample_length, 991)
    filtered = oracle.dc_notch(clip, coefficient)
    expected = AudioFeatureGenerator(plain).process_sample(filtered, np.uint16)
    got = AudioFeatureGenerator(notched)
    np.testing.assert_array_equal(got.process_sample(clip, np.uint16), expected)
    chunks = [got.process(part) for part in np.array_split(clip, [1, 2, 500, 501, 7777])]
    np.testing.assert_array_equal(np.concatenate(chunks), expected)


def test_dc_notch_by_hand():
    """The filter's own rule, worked out by hand: k = 16384, that is one half."""
    np.testing.assert_array_equal(
        oracle.dc_notch(np.array([100, 100, 100, -3, 0], np.int16), 0.5), [100, 50, 25, -90, -42]
    )
    # -32768 after 32767 wraps: the difference is 1.
    np.testing.assert_array_equal(oracle.dc_notch(np.array([32767, -32768], np.int16), 0.0), [32767, 1])


def test_dc_notch_removes_an_offset():
    clip = cases.noise(16000, 1, 100) + np.int16(2000)
    assert dc_level(clip, 8000) > 1990
    assert dc_level(oracle.dc_notch(clip, 0.95), 8000) < 5


def channels_before_noise_reduction(clip, s):
    """Return what the activity detection sees: the op with everything behind the square root switched off."""
    bare = AudioFeatureGeneratorSettings(**s)
    bare.noise_reduction_enable = bare.pcan_enable = bare.log_scale_enable = False
    rows = oracle.run_op(oracle.tensorflow_op(), clip, bare)
    assert rows.max() < 65535, "saturated: not what the detection sees"
    return rows


@pytest.mark.parametrize("channels", [1, 2, 3, 32, 33, 40, 108])
def test_activity_detection(channels):
    rng = np.random.default_rng(channels)
    trips = 0
    for seed in range(12):
        s = make_settings(filterbank_n_channels=channels, noise_reduction_enable=True, pcan_enable=True)
        cases.random_blocks(s, rng)
        s.activity_detection_enable, s.dc_notch_filter_enable = True, False
        quiet = cases.bursts(s.sample_length, seed) // 16
        expected = oracle.activity(channels_before_noise_reduction(quiet, s), s)
        generator = AudioFeatureGenerator(s)
        got, frames = [], 0
        for start in range(0, len(quiet), s.window_step):
            rows = generator.process(quiet[start : start + s.window_step])
            frames += len(rows)
            got += [generator.activity_was_detected()] if len(rows) else []
        assert frames == len(expected) == len(got)
        assert got == expected
        trips += sum(expected)
        generator.process_sample(quiet, np.uint16)
        assert generator.activity_was_detected() == any(expected)
        assert not generator.activity_was_detected(), "reading resets it"
    assert trips > 0


def test_a_trip_stays_until_it_is_read_and_a_reset_forgets_it():
    s = make_settings(activity_detection_enable=True, activity_detection_trip_threshold=0.8)
    loud, quiet = cases.noise(16000, 1, 8000), cases.noise(16000, 2, 10)
    generator = AudioFeatureGenerator(s)
    for part in (loud, quiet, loud, quiet):
        generator.process(part)
    assert generator.activity_was_detected()
    assert not generator.activity_was_detected()
    for part in (loud, quiet, loud, quiet):
        generator.process(part)
    generator.reset()
    assert not generator.activity_was_detected()


def test_activity_detection_off_never_trips_and_changes_no_feature():
    clip = cases.bursts(16000, 5)
    off, on = (
        AudioFeatureGenerator(make_settings()),
        AudioFeatureGenerator(make_settings(activity_detection_enable=True)),
    )
    np.testing.assert_array_equal(off.process_sample(clip), on.process_sample(clip))
    assert on.activity_was_detected()
    assert not off.activity_was_detected()


ALL_VALUES = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def test_int8_static_for_every_value():
    got = to_int8(ALL_VALUES, AudioFeatureGeneratorSettings())
    np.testing.assert_array_equal(got, oracle.int8_static(ALL_VALUES))
    assert (got[0, 0], got.max()) == (-128, 127)


@pytest.mark.parametrize("range_db", [0.0, 0.1, 13.7, 40.0, 96.0, 1000.0])
@pytest.mark.parametrize("shift", [0, 6, 12])
def test_int8_dynamic(range_db, shift):
    s = make_settings(
        quantize_dynamic_scale_enable=True, quantize_dynamic_scale_range_db=range_db, log_scale_shift=shift
    )
    spectrograms = [
        ALL_VALUES,
        ALL_VALUES[:3, :40],
        np.zeros((49, 40), np.uint16),
        np.full((49, 40), 65535, np.uint16),
        AudioFeatureGenerator(s).process_sample(cases.bursts(16000, 3), np.uint16),
    ]
    for features in spectrograms:
        np.testing.assert_array_equal(to_int8(features, s), oracle.int8_dynamic(features, s))
    batch = np.stack([spectrograms[2], spectrograms[3]])
    np.testing.assert_array_equal(to_int8(batch, s), np.stack([to_int8(one, s) for one in batch]))


def test_the_dtypes_agree():
    clip = cases.bursts(16000, 8)
    for dynamic in (False, True):
        s = make_settings(quantize_dynamic_scale_enable=dynamic)
        generator = AudioFeatureGenerator(s)
        raw = generator.process_sample(clip, np.uint16)
        assert generator.process_sample(clip).dtype == np.float32
        np.testing.assert_array_equal(generator.process_sample(clip), raw.astype(np.float32))
        expected = oracle.int8_dynamic(raw, s) if dynamic else oracle.int8_static(raw)
        np.testing.assert_array_equal(generator.process_sample(clip, np.int8), expected)


@pytest.mark.parametrize(
    "features",
    [np.zeros((3, 4), np.int16), np.zeros(4, np.uint16), [[1, 2]], np.zeros((1, 1, 1, 1), np.uint16)],
)
def test_to_int8_refuses(features):
    with pytest.raises(FrontendError, match="uint16"):
        to_int8(features, AudioFeatureGeneratorSettings())
