"""What scripts of another time write: audiomentations' old arguments, numpy 1's arithmetic."""

import importlib.util

import numpy as np
import pytest

from mltk.core.preprocess.utils.audio import apply_frontend
from mltk.frontend import apply
from mltk.frontend.numpy1 import IntegerFeatures
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils import audiomentations_names, python


def features(dtype):
    sample = np.random.default_rng(3).normal(0, 0.1, 16000).astype(np.float32)
    return sample, apply_frontend(sample, AudioFeatureGeneratorSettings(), dtype=dtype)


def test_int8_features_calculate_as_in_numpy_1():
    sample, found = features(np.int8)
    plain = apply.apply_frontend(sample, AudioFeatureGeneratorSettings(), np.int8)
    np.testing.assert_array_equal(found, plain)
    assert found.dtype == np.int8
    part = np.transpose(np.squeeze(np.expand_dims(found[-20:, :], -2), -2))
    assert isinstance(part, IntegerFeatures)
    shifted = part + 128
    assert (shifted.dtype, type(shifted)) == (np.dtype(np.int16), np.ndarray)
    np.testing.assert_array_equal(shifted, plain[-20:].T.astype(int) + 128)
    np.testing.assert_array_equal(128 - part, 128 - plain[-20:].T.astype(int))
    np.testing.assert_array_equal(np.clip(part, 0, 255), np.clip(plain[-20:].T.astype(int), 0, 127))
    assert (part + 1).dtype == np.int8
    assert (part * 0.5).dtype == np.float64
    part += 1
    assert type(part) is IntegerFeatures
    assert type(features(np.float32)[1]) is np.ndarray


@pytest.mark.skipif(
    importlib.util.find_spec("audiomentations") is None, reason="the extra 'seeds' is not installed"
)
def test_old_arguments_of_audiomentations(monkeypatch, tmp_path):
    import audiomentations

    with pytest.raises(TypeError, match="min_gain_in_db"):
        audiomentations.Gain(min_gain_in_db=1.0)
    saved = {name: value.__init__ for name, value in vars(audiomentations).items() if isinstance(value, type)}
    python.install_pip_package("audiomentations")
    python.install_pip_package("audiomentations")
    try:
        assert audiomentations_names.are_accepted()
        gain = audiomentations.Gain(min_gain_in_db=1.0, max_gain_in_db=1.5, p=1.0)
        assert (gain.min_gain_db, gain.max_gain_db) == (1.0, 1.5)
        assert audiomentations.Gain(min_gain_db=2.0, max_gain_db=2.5).min_gain_db == 2.0
        noise = audiomentations.AddBackgroundNoise(
            _clip(tmp_path), min_snr_in_db=-2, max_snr_in_db=35, noise_rms="relative", lru_cache_size=50
        )
        assert (noise.min_snr_db, noise.max_snr_db) == (-2, 35)
        with pytest.raises(TypeError, match="min_loudness_in_db"):
            audiomentations.Gain(min_loudness_in_db=1.0)
    finally:
        for name, init in saved.items():
            getattr(audiomentations, name).__init__ = init
        delattr(audiomentations, audiomentations_names._MARK)
    assert not audiomentations_names.are_accepted()


def _clip(folder):
    from mltk.audio.write import write_audio_file

    write_audio_file(str(folder / "noise.wav"), np.zeros(1600, np.int16), 16000)
    return str(folder)


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("opencv-python-headless>=4.8", "cv2"),
        ("Opencv_Python", "cv2"),
        ("scikit-learn", "sklearn"),
        ("Pillow[x]", "PIL"),
        ("audiomentations==0.35", "audiomentations"),
        ("some-package; python_version > '3'", "some_package"),
        ("protobuf", "google.protobuf"),
    ],
)
def test_modules_of_packages(package, module):
    assert python._module_of(package) == module
