"""Generated background noise: colours, hum, clicks, babble."""

import wave
from pathlib import Path

import numpy as np
import pytest

from mltk.datasets import noise
from mltk.datasets.folder import find_audio_files
from mltk.utils.errors import DatasetError, MltkError

RATE = 16000


def spectrum_db(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Return the mean power density in a band."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(10 * np.log10(power[(frequencies >= low_hz) & (frequencies < high_hz)].mean()))


def samples_of(file: Path) -> np.ndarray:
    with wave.open(str(file)) as audio:
        assert (audio.getnchannels(), audio.getsampwidth(), audio.getframerate()) == (1, 2, RATE)
        return np.frombuffer(audio.readframes(audio.getnframes()), "<i2").astype(float) / 32768


@pytest.mark.parametrize(("make", "slope_db"), [(noise.white, 0.0), (noise.pink, -3.0), (noise.brown, -6.0)])
def test_colours_fall_by_their_slope_an_octave(make, slope_db):
    samples = make(20 * RATE, 1)
    octaves = [spectrum_db(samples, 100 * 2**i, 200 * 2**i) for i in range(6)]
    assert np.diff(octaves).mean() == pytest.approx(slope_db, abs=0.3)


@pytest.mark.parametrize("make", [noise.white, noise.pink, noise.brown, noise.hum, noise.clicks])
def test_noise_has_unit_power_and_follows_the_seed(make):
    samples = make(RATE, 5)
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    assert np.sqrt(np.mean(samples.astype(float) ** 2)) == pytest.approx(1.0, abs=0.02)
    assert np.array_equal(samples, make(RATE, 5))
    assert not np.array_equal(samples, make(RATE, 6))


def test_hum_has_its_power_at_multiples_of_the_mains():
    samples = noise.hum(10 * RATE, 2)
    power = np.abs(np.fft.rfft(samples)) ** 2
    strongest = np.fft.rfftfreq(len(samples), 1 / RATE)[np.argsort(power)[-5:]]
    assert all(min(f % 50, 50 - f % 50) < 0.2 or min(f % 60, 60 - f % 60) < 0.2 for f in strongest), strongest


def test_clicks_are_short_and_rare():
    samples = np.abs(noise.clicks(20 * RATE, 3))
    assert np.mean(samples > 1.0) < 0.2
    assert samples.max() > 6.0


def test_files_are_at_sensible_levels_that_wander(tmp_path):
    files = noise.write_background_noise(tmp_path / "_background_noise_", 20, seed=9)
    kinds = ("white", "pink", "brown", "hum", "clicks")
    assert [file.name for file in files] == [f"{kind}_{part}.wav" for kind in kinds for part in (0, 1)]
    assert find_audio_files(tmp_path / "_background_noise_") == sorted(files)
    assert len({file.read_bytes() for file in files}) == len(files)
    for file in files:
        samples = samples_of(file)
        assert len(samples) == 20 * RATE
        levels = 10 * np.log10(np.mean(samples.reshape(20, RATE) ** 2, axis=1) + 1e-12)
        assert levels.min() > -55, file
        assert levels.max() < -10, file
        assert levels.max() - levels.min() > 5, file
        assert np.abs(samples).max() < 1.0


def test_the_same_seed_gives_the_same_files(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        noise.write_background_noise(tmp_path / name, 0.5, seed=seed)
    a, b, c = ({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in "abc")
    assert a == b
    assert not set(a.values()) & set(c.values())


def test_babble_is_many_voices_at_once(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra 'synth'")
    files = noise.write_background_noise(tmp_path, 10, seed=4, engines=["espeak"], workers=2)
    assert files[-1].name == "babble_1.wav"
    samples = noise.babble(10 * RATE, 4, workers=1)
    frames = np.mean(samples.reshape(-1, RATE // 10) ** 2, axis=1)
    # One voice pauses between syllables and sentences; several fill each other's gaps.
    assert frames.min() > 0.02
    # It is speech: most of its power below 4 kHz, and not at the very bottom.
    assert spectrum_db(samples, 200, 1000) > spectrum_db(samples, 5000, 7000) + 10
    assert spectrum_db(samples, 200, 1000) > spectrum_db(samples, 10, 50) + 10


def test_babble_without_a_synthesizer_is_not_made(tmp_path):
    assert not [file for file in noise.write_background_noise(tmp_path, 0.1) if "babble" in file.name]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e9])
def test_a_senseless_length_is_refused(seconds, tmp_path):
    with pytest.raises(DatasetError, match="can not last"):
        noise.write_background_noise(tmp_path, seconds)


def test_a_negative_seed_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="seed"):
        noise.write_background_noise(tmp_path, 1, seed=-1)


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "noise").write_text("")
    with pytest.raises(MltkError, match="noise"):
        noise.write_background_noise(tmp_path / "noise", 0.1)
