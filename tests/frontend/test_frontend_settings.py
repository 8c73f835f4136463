"""The settings: a dict as in model parameters, with attributes; what is legal and what is refused."""

import json
import math
import pickle
import pprint

import numpy as np
import pytest

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.native import native_frontend, native_settings
from mltk.frontend.settings import SETTINGS, AudioFeatureGeneratorSettings
from mltk.utils.errors import FrontendError, MltkError

# The parameters inside the shared archive of seed 2, in their order.
ALEXA = {
    "fe.sample_rate_hz": 16000,
    "fe.fft_length": 512,
    "fe.sample_length_ms": 1200,
    "fe.window_size_ms": 30,
    "fe.window_step_ms": 10,
    "fe.filterbank_n_channels": 108,
    "fe.filterbank_upper_band_limit": 7500.0,
    "fe.filterbank_lower_band_limit": 125.0,
}


def test_defaults():
    s = AudioFeatureGeneratorSettings()
    assert s.spectrogram_shape == (98, 32)
    assert (s.window_size_ms, s.fft_length, s["fe.fft_length"]) == (25, 512, 512)
    assert (s.pcan_enable, s.noise_reduction_enable, s.log_scale_enable) == (False, False, True)
    assert len(s) == len(SETTINGS) + 1 == 28
    s.validate()


def test_all_parameters_of_a_model():
    """Keys that are no settings stay, those that an old archive lacks have their defaults."""
    parameters = {"name": "alexa", "classes": ["alexa"], "detection_threshold": 204, "fe.new_one": 5, **ALEXA}
    s = AudioFeatureGeneratorSettings(**parameters)
    assert s.spectrogram_shape == (118, 108)
    assert s["classes"] == ["alexa"]
    assert s["detection_threshold"] == 204
    assert s["fe.new_one"] == 5
    assert s.dc_notch_filter_coefficient == 0.95
    assert [key for key in s if key in ALEXA] == list(ALEXA), "the archives' order"
    assert AudioFeatureGeneratorSettings(parameters) == s
    AudioFeatureGenerator(s)


def test_the_fft_length_follows_the_window():
    s = AudioFeatureGeneratorSettings(**{"fe.fft_length": 64, "fe.window_size_ms": 32})
    assert s["fe.fft_length"] == 512
    s.window_size_ms = 33
    assert (s["fe.fft_length"], s.fft_length) == (1024, 1024)
    s["fe.sample_rate_hz"] = 8000
    assert s.fft_length == 512
    s.update({"fe.sample_rate_hz": 44100})
    assert s.fft_length == 2048


def test_attributes_and_keys_are_the_same():
    s = AudioFeatureGeneratorSettings(window_size_ms=30)
    assert s["fe.window_size_ms"] == 30
    assert "window_size_ms" not in s
    for name, setting in SETTINGS.items():
        setattr(s, name, setting.default)
        assert s["fe." + name] == setting.default
        assert type(getattr(s, name)) is type(setting.default)
        assert setting.__doc__


def test_numpy_values_become_pythons():
    s = AudioFeatureGeneratorSettings()
    s.window_size_ms, s.pcan_enable = np.int64(20), np.bool_(True)
    s.pcan_offset = np.float32(3)
    s.sample_rate_hz = 8000.0
    assert [type(v) for v in (s.window_size_ms, s.pcan_enable, s.pcan_offset, s.sample_rate_hz)] == [
        int,
        bool,
        float,
        int,
    ]
    json.dumps(s)


def test_copies_are_deep_and_keep_the_type():
    s = AudioFeatureGeneratorSettings(classes=["a"], window_size_ms=20)
    for other in (s.copy(), pickle.loads(pickle.dumps(s))):
        assert isinstance(other, AudioFeatureGeneratorSettings)
        assert other == s
        assert list(other) == list(s)
        other["classes"].append("b")
        other.window_size_ms = 30
    assert s["classes"] == ["a"]
    assert s.window_size_ms == 20


def test_it_prints_as_a_dict():
    text = pprint.pformat(AudioFeatureGeneratorSettings())
    assert text.startswith("{'fe.activity_detection_alpha_a': 0.5,\n")
    assert "\n 'fe.window_step_ms': 10}" in text
    assert dict(AudioFeatureGeneratorSettings()) == AudioFeatureGeneratorSettings()


def test_a_misspelt_attribute_suggests_the_right_one():
    s = AudioFeatureGeneratorSettings()
    with pytest.raises(FrontendError, match='"filterbank_n_chanels", did you mean "filterbank_n_channels"'):
        s.filterbank_n_chanels = 4
    with pytest.raises(AttributeError, match="window_size_ms"):
        _ = s.windw_size_ms
    assert not hasattr(s, "nothing_like_it")
    with pytest.raises(AttributeError):
        s.fft_length = 3


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sample_rate_hz", 16000.5, "a whole number"),
        ("sample_rate_hz", "16000", "a whole number"),
        ("window_size_ms", None, "a whole number"),
        ("window_size_ms", math.nan, "a whole number"),
        ("pcan_enable", 2, "True or False"),
        ("pcan_enable", "yes", "True or False"),
        ("pcan_offset", [1], "a number"),
        ("pcan_offset", 1j, "a number"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(name, value, expected):
    s = AudioFeatureGeneratorSettings()
    with pytest.raises(FrontendError, match=rf"fe\.{name} must be {expected}, not"):
        setattr(s, name, value)
    with pytest.raises(FrontendError, match=name):
        AudioFeatureGeneratorSettings(**{"fe." + name: value})
    assert s == AudioFeatureGeneratorSettings()


ILLEGAL = [
    ({"sample_rate_hz": 0}, "sample_rate_hz", "1 to"),
    ({"sample_rate_hz": -16000}, "sample_rate_hz", "1 to"),
    ({"sample_length_ms": 0}, "sample_length_ms", "1 to"),
    ({"sample_length_ms": 24}, "sample_length_ms", "25 .the window.* or more"),
    ({"window_size_ms": 0}, "window_size_ms", "1 to"),
    ({"window_size_ms": 2049, "sample_length_ms": 9999}, "window_size_ms", "1 to 2048 at 16000 Hz"),
    ({"sample_rate_hz": 500, "window_size_ms": 5}, "window_size_ms", "6 to"),
    ({"window_step_ms": 0}, "window_step_ms", "1 to"),
    ({"window_step_ms": -10}, "window_step_ms", "1 to"),
    ({"window_step_ms": 26}, "window_step_ms", "1 to 25 .the window's size."),
    (
        {"sample_rate_hz": 900, "window_step_ms": 1, "filterbank_upper_band_limit": 400.0},
        "window_step_ms",
        "2 to 25",
    ),
    ({"filterbank_n_channels": 0}, "filterbank_n_channels", "1 to"),
    ({"filterbank_n_channels": 257}, "filterbank_n_channels", "1 to 256 .half the FFT"),
    (
        {"filterbank_upper_band_limit": 8000.5},
        "filterbank_upper_band_limit",
        "0 to 8000 .half the sample rate",
    ),
    ({"filterbank_upper_band_limit": -1.0}, "filterbank_upper_band_limit", "0 to"),
    ({"filterbank_upper_band_limit": math.nan}, "filterbank_upper_band_limit", "0 to"),
    ({"filterbank_upper_band_limit": math.inf}, "filterbank_upper_band_limit", "0 to"),
    ({"filterbank_lower_band_limit": -0.1}, "filterbank_lower_band_limit", "0 to"),
    ({"filterbank_lower_band_limit": 7500.0}, "filterbank_lower_band_limit", "0 to below 7500"),
    ({"filterbank_lower_band_limit": 7600.0}, "filterbank_lower_band_limit", "0 to below 7500"),
    ({"noise_reduction_smoothing_bits": 13}, "noise_reduction_smoothing_bits", "0 to 12"),
    ({"noise_reduction_smoothing_bits": -1}, "noise_reduction_smoothing_bits", "0 to 12"),
    ({"noise_reduction_even_smoothing": 1.01}, "noise_reduction_even_smoothing", "0 to 1"),
    ({"noise_reduction_odd_smoothing": -0.01}, "noise_reduction_odd_smoothing", "0 to 1"),
    ({"noise_reduction_min_signal_remaining": math.nan}, "noise_reduction_min_signal_remaining", "0 to 1"),
    ({"pcan_enable": True, "pcan_gain_bits": 14}, "pcan_gain_bits", "15 to 31 with PCAN and an FFT of 512"),
    ({"pcan_gain_bits": 32}, "pcan_gain_bits", "0 to 31"),
    ({"pcan_enable": True, "noise_reduction_smoothing_bits": 2}, "noise_reduction_smoothing_bits", "3 to 12"),
    ({"pcan_strength": -0.1}, "pcan_strength", "0 to 100"),
    ({"pcan_offset": math.inf}, "pcan_offset", "0 to"),
    ({"log_scale_shift": 13}, "log_scale_shift", "0 to 12"),
    ({"log_scale_shift": -1}, "log_scale_shift", "0 to 12"),
    ({"activity_detection_alpha_a": 1.1}, "activity_detection_alpha_a", "0 to 1"),
    ({"activity_detection_trip_threshold": 8.0}, "activity_detection_trip_threshold", "0 to 7.999"),
    ({"dc_notch_filter_coefficient": 1.0}, "dc_notch_filter_coefficient", "0 to 0.999969"),
    ({"quantize_dynamic_scale_range_db": -1.0}, "quantize_dynamic_scale_range_db", "0 to 1000"),
]


@pytest.mark.parametrize(("values", "name", "legal"), ILLEGAL)
def test_illegal_settings_are_refused_with_name_and_range(values, name, legal):
    s = AudioFeatureGeneratorSettings(**values)
    with pytest.raises(MltkError, match=rf"fe\.{name} is .*, the legal range is {legal}"):
        s.validate()
    with pytest.raises(FrontendError, match=name):
        AudioFeatureGenerator(s)


@pytest.mark.parametrize(
    "values",
    [
        {"filterbank_upper_band_limit": 8000.0},
        {"filterbank_lower_band_limit": 0.0},
        {"filterbank_upper_band_limit": 8000.0, "filterbank_lower_band_limit": 7999.0},
        {"window_step_ms": 25},
        {"sample_length_ms": 25},
        {
            "filterbank_n_channels": 256,
            "filterbank_upper_band_limit": 8000.0,
            "filterbank_lower_band_limit": 0.0,
        },
        {"filterbank_n_channels": 1},
        {"sample_rate_hz": 1000, "window_size_ms": 3, "window_step_ms": 1, "filterbank_n_channels": 2}
        | {"filterbank_upper_band_limit": 500.0},
        {"pcan_enable": True, "pcan_offset": 0.0, "pcan_strength": 100.0, "pcan_gain_bits": 31},
        {
            "noise_reduction_enable": True,
            "noise_reduction_even_smoothing": 1.0,
            "noise_reduction_odd_smoothing": 0.0,
        },
    ],
)
def test_the_ends_of_the_legal_ranges_work(values):
    s = AudioFeatureGeneratorSettings(**values)
    noise = np.random.default_rng(3).integers(-32768, 32768, s.sample_length).astype(np.int16)
    features = AudioFeatureGenerator(s).process_sample(noise, np.uint16)
    assert features.shape == s.spectrogram_shape
    # A band of a fraction of a bin, all taken for noise, or two bins: nothing is left.
    wide = s.filterbank_lower_band_limit < 7000 and s.fft_length > 4
    if wide and not s.noise_reduction_enable:
        assert features.any()


def test_the_upper_limit_may_be_half_the_rate():
    """TensorFlow's op refuses it, the reference toolkit takes it: the last bin counts too."""
    below = AudioFeatureGeneratorSettings(filterbank_upper_band_limit=7999.9, filterbank_n_channels=20)
    at = AudioFeatureGeneratorSettings(filterbank_upper_band_limit=8000.0, filterbank_n_channels=20)
    tone = (np.sin(np.arange(16000) * np.pi * 0.97) * 20000).astype(np.int16)
    a, b = (AudioFeatureGenerator(s).process_sample(tone) for s in (below, at))
    assert b[:, -1].min() > 100
    assert np.abs(a - b).max() <= 2


def test_the_core_refuses_by_itself():
    """Python's checks come first; the C core has its own, for a chip that has no Python."""
    from mltk.native._frontend import Frontend

    for name, value in (
        ("window_size", 2),
        ("window_size", 2**32 - 1),
        ("window_step", 0),
        ("window_step", 10**9),
        ("filterbank_n_channels", 0),
        ("filterbank_n_channels", 2**32 - 1),
        ("filterbank_upper_band_limit", math.nan),
        ("filterbank_upper_band_limit", 9000.0),
        ("filterbank_lower_band_limit", -1.0),
        ("noise_reduction_smoothing_bits", 32),
        ("noise_reduction_even_smoothing", math.nan),
        ("pcan_gain_bits", 40),
        ("pcan_gain_bits", 3),
        ("pcan_offset", -1.0),
        ("pcan_strength", math.nan),
        ("log_scale_shift", 32),
        ("activity_detection_alpha_b", 2.0),
        ("dc_notch_filter_coefficient", 1.0),
        ("quantize_dynamic_scale_range_db", 1e30),
    ):
        native = native_settings(AudioFeatureGeneratorSettings(pcan_enable=True))
        setattr(native, name, value)
        with pytest.raises(ValueError, match=r"illegal|out of range"):
            Frontend(native)
    native_frontend(native_settings(AudioFeatureGeneratorSettings()))
