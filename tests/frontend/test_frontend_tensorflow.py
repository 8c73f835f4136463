"""The frontend against TensorFlow's op: random legal settings, real and made-up clips, no value differs."""

import frontend_cases as cases
import frontend_oracle as oracle
import numpy as np
import pytest

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

N_SETTINGS = 320
CLIPS_A_SETTING = 4
PARTS = 8


def differing(op, clip, settings):
    expected = oracle.run_op(op, clip, settings)
    got = AudioFeatureGenerator(settings).process_sample(clip, np.uint16)
    assert got.shape == expected.shape == settings.spectrogram_shape
    return int(np.count_nonzero(got != expected)), expected.size


@pytest.mark.parametrize("part", range(PARTS))
def test_random_settings(part):
    op = oracle.tensorflow_op()
    rng = np.random.default_rng(1000 + part)
    wrong, values = [], 0
    for number in range(N_SETTINGS // PARTS):
        settings = cases.random_settings(rng)
        for i in range(CLIPS_A_SETTING):
            kind = (number * CLIPS_A_SETTING + i + part) % cases.N_CLIPS
            clip = cases.make_clip(kind, settings.sample_length, int(rng.integers(1, 100000)))
            count, size = differing(op, clip, settings)
            values += size
            if count:
                wrong.append((count, size, kind, dict(settings)))
    print(f"compared {values} values")
    assert values > 10000
    assert not wrong


@pytest.fixture(scope="module")
def speech():
    folder = cases.SPEECH / "digits"
    if not folder.is_dir():
        pytest.skip(f"real speech is not at {folder} (set MLTK_SPEECH_DIR)")
    soundfile = pytest.importorskip("soundfile")
    files = sorted(folder.rglob("*.flac"))[::97][:40]
    assert files
    return [soundfile.read(file, dtype="int16")[0] for file in files]


def test_speech(speech):
    """Each recording as 16 kHz audio with the settings of known models, and with random ones."""
    op = oracle.tensorflow_op()
    rng = np.random.default_rng(7)
    wrong, values = 0, 0
    for samples in speech:
        for channels, step, enable in ((40, 20, True), (40, 10, True), (108, 10, False), (0, 0, False)):
            settings = AudioFeatureGeneratorSettings() if channels else cases.random_settings(rng)
            settings.sample_rate_hz = 16000
            if channels:
                settings.window_size_ms, settings.window_step_ms = 30, step
                settings.filterbank_n_channels = channels
                settings.noise_reduction_enable = True
                settings.pcan_enable = enable
            else:
                settings.filterbank_upper_band_limit = 7500.0
                settings.filterbank_lower_band_limit = 125.0
                settings.filterbank_n_channels = min(settings.filterbank_n_channels, settings.fft_length // 2)
                settings.pcan_gain_bits = 25
            settings.sample_length_ms = len(samples) * 1000 // 16000
            clip = samples[: settings.sample_length]
            count, size = differing(op, clip, settings)
            wrong += count
            values += size
    print(f"compared {values} values")
    assert wrong == 0


@pytest.mark.parametrize("length", [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768])
@pytest.mark.parametrize("short", [0, 1])
def test_every_fft_length(length, short):
    """Each power of two, with the window that fills it and one that is a sample shorter."""
    op = oracle.tensorflow_op()
    settings = AudioFeatureGeneratorSettings()
    settings.sample_rate_hz = 1000
    settings.window_size_ms = length - short
    settings.window_step_ms = max((length - short) // 3, 1)
    settings.sample_length_ms = (length - short) * 3 + 50
    settings.filterbank_n_channels = min(length // 2, 40)
    settings.filterbank_lower_band_limit = 5.0
    settings.filterbank_upper_band_limit = 490.0
    settings.noise_reduction_enable = True
    settings.pcan_enable = True
    settings.pcan_gain_bits = 24
    assert settings.fft_length == length
    for kind in range(cases.N_CLIPS):
        clip = cases.make_clip(kind, settings.sample_length, 77 + length)
        count, _ = differing(op, clip, settings)
        assert count == 0, kind
