"""The frontend on emulated chips: Python's features to the last bit, few instructions, no floating point."""

import re

import firmware_models as models
import numpy as np
import pytest

from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.firmware.bench_frontend import ChipFrontend
from mltk.firmware.targets import find_target
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

pytestmark = pytest.mark.usefixtures("ziglang", "unicorn")

# TensorFlow's C code takes 84,610 instructions a window with these settings (gcc 12 -O2).
BASE = {
    "window_size_ms": 30,
    "window_step_ms": 20,
    "filterbank_n_channels": 40,
    "noise_reduction_enable": True,
    "pcan_enable": True,
}
FLOATS = re.compile(
    r"(log|exp|pow|sin|cos|tan|sqrt|floor|ceil|round)(1p|2|10|m1)?f?|__aeabi_([fd]|u?[il]2[fd]).*|__.*[sdt]f[2-9]?"
)


def chip(target, **settings):
    values = AudioFeatureGeneratorSettings(**settings)
    return ChipFrontend(values, find_target(target)), AudioFeatureGenerator(values)


@pytest.mark.parametrize(("target", "most"), [("m3", 0.6 * 84_610), ("m4", 0.6 * 84_739), ("m0", 120_000)])
def test_few_instructions_and_no_float(target, most):
    emulated, here = chip(target, **BASE)
    samples = models.sound(2.0)
    counted = emulated.run(samples[:8000], count=True)
    rest = emulated.run(samples[8000:])
    np.testing.assert_array_equal(np.concatenate((counted.features, rest.features)), here.process(samples))
    assert 20_000 < counted.instructions < most
    assert sum(counted.stages.values()) < counted.instructions
    assert counted.stages["fft"] > 10_000
    assert [name for name in emulated.symbols if FLOATS.fullmatch(name)] == []
    # Tables are constant: nothing is copied to RAM at the start.
    assert emulated.section_sizes.get(".data", 0) == 0
    assert emulated.symbols["tables"] < 0x2000_0000


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        # A radix-2 first stage and an odd window; small FFTs, down to one without further stages.
        ("m4", {"sample_rate_hz": 11025, "window_size_ms": 61, "window_step_ms": 28,
                "filterbank_upper_band_limit": 5000.0}),
        ("m3", {"sample_rate_hz": 8000, "window_size_ms": 2, "window_step_ms": 1, "filterbank_n_channels": 3,
                "filterbank_upper_band_limit": 4000.0, "dc_notch_filter_enable": True}),
        ("m4", {"sample_rate_hz": 1000, "window_size_ms": 7, "window_step_ms": 7, "filterbank_n_channels": 2,
                "filterbank_upper_band_limit": 500.0, "filterbank_lower_band_limit": 0.0}),
        ("m3", {"window_size_ms": 40, "window_step_ms": 10, "filterbank_n_channels": 108,
                "log_scale_enable": False, "dc_notch_filter_enable": True, "activity_detection_enable": True}),
    ],
)  # fmt: skip
def test_any_settings_give_the_same_bits(target, settings):
    emulated, here = chip(target, **settings)
    rng = np.random.default_rng(5)
    loud = rng.choice(np.array([-32768, 32767, 0], np.int16), 4000)
    samples = np.concatenate([models.sound(0.5), loud, np.full(2000, -32768, np.int16)])
    np.testing.assert_array_equal(emulated.run(samples).features, here.process(samples))


def test_real_speech(speech_dir):
    emulated, here = chip("m4", **BASE)
    clips = sorted((speech_dir / "negatives").rglob("*.flac"))[:2]
    samples = np.concatenate([to_int16(read_audio_file(path, return_numpy=True)) for path in clips])
    expected = here.process(samples)
    assert len(expected) > 200
    np.testing.assert_array_equal(emulated.run(samples).features, expected)
