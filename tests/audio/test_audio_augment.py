"""Augmentation: that each range does what its name says, and that the generator decides everything."""

import numpy as np
import pytest

from mltk.audio.augment import Augmentation, augment, make_silence, random_noise
from mltk.audio.stretch import stretch, warp_vocal_tract
from mltk.utils.errors import AudioError

RATE = 16000


def tone(hz, seconds=1.0, amplitude=0.25):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def loudest_hz(x):
    return np.abs(np.fft.rfft(x * np.hanning(len(x)))).argmax() * RATE / len(x)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_nothing_asked_nothing_changed():
    x = tone(440)
    np.testing.assert_array_equal(augment(x, RATE, Augmentation(), rng()), x)


@pytest.mark.parametrize(("offset", "start"), [(0.0, 0), (0.5, 4000), (1.0, 8000)])
def test_offset_and_lead_in(offset, start):
    x = np.ones(8000, np.float32)
    y = augment(x, RATE, Augmentation(offset_range=(offset, offset)), rng(), out_length=16000, lead_in=300)
    assert y.shape == (16300,)
    assert np.flatnonzero(y)[0] == 300 + start
    assert y.sum() == 8000


def test_offsets_fill_their_range():
    x = np.ones(100, np.float32)
    wanted = Augmentation(offset_range=(0.25, 0.75))
    starts = [np.flatnonzero(augment(x, RATE, wanted, rng(s), out_length=1100))[0] for s in range(200)]
    assert 250 <= min(starts) < 270
    assert 730 < max(starts) <= 750


def test_trim_then_length():
    x = np.concatenate((np.zeros(8000, np.float32), tone(500, 0.25), np.zeros(8000, np.float32)))
    y = augment(x, RATE, Augmentation(offset_range=(0, 0), trim_threshold_db=30), rng(), out_length=16000)
    assert np.flatnonzero(abs(y) > 0.01)[0] < 1600


def test_loudness_multiplies_and_saturates():
    x = tone(440)
    y = augment(x, RATE, Augmentation(loudness_range=(2.0, 2.0)), rng())
    np.testing.assert_array_equal(y, x * 2)
    assert abs(augment(x, RATE, Augmentation(loudness_range=(9.0, 9.0)), rng())).max() == 1.0


def test_background_noise_is_added_at_its_gain_also_in_the_lead_in():
    x = np.zeros(1000, np.float32)
    noise = np.full(50_000, 0.5, np.float32)
    wanted = Augmentation(bg_noise_range=(0.2, 0.2), loudness_range=(2.0, 2.0))
    y = augment(x, RATE, wanted, rng(), [noise], lead_in=10)
    np.testing.assert_allclose(y, np.full(1010, 0.2), atol=1e-7)


def test_random_noise_segments_and_repeats():
    ramp = np.arange(1000, dtype=np.float32)
    starts = set()
    for seed in range(300):
        part = random_noise(990, [ramp], rng(seed))
        np.testing.assert_array_equal(np.diff(part), np.ones(989))
        starts.add(int(part[0]))
    assert starts == set(range(11))
    part = random_noise(2500, [ramp], rng(1))
    np.testing.assert_array_equal(np.diff(part) % 1000, np.ones(2499))
    assert {int(random_noise(1, [ramp[:1], ramp[1:2]], rng(s))[0]) for s in range(50)} == {0, 1}


def test_noise_colors():
    wanted = Augmentation(noise_colors=("white",), noise_color_range=(0.05, 0.05))
    y = augment(np.zeros(16000, np.float32), RATE, wanted, rng())
    assert np.sqrt(np.mean(y**2)) == pytest.approx(0.05, rel=1e-3)
    both = Augmentation(noise_colors="all", noise_color_range=(0.05, 0.05), bg_noise_range=(1, 1))
    constant = [np.full(100, 0.5, np.float32)]
    ys = [augment(np.zeros(50, np.float32), RATE, both, rng(seed), constant) for seed in range(100)]
    with_background = sum(bool((y == 0.5).all()) for y in ys)
    assert 30 < with_background < 70


@pytest.mark.parametrize("speed", [0.6, 1.5, 1.9])
def test_speed_changes_the_length_and_not_the_pitch(speed):
    pytest.importorskip("python_stretch")
    y = stretch(tone(1000), RATE, speed, 1.0, 0)
    assert len(y) == round(16000 / speed)
    assert loudest_hz(y) == pytest.approx(1000, rel=0.01)
    # A click in the middle stays in the middle.
    x = np.zeros(16000, np.float32)
    x[8000:8160] = tone(1000, 0.01)
    y = stretch(x, RATE, speed, 1.0, 0)
    centre = (np.arange(len(y)) * y**2).sum() / (y**2).sum()
    assert centre == pytest.approx(8080 / speed, abs=80)


@pytest.mark.parametrize("pitch", [0.7, 1.4])
def test_pitch_changes_frequencies_and_not_the_length(pitch):
    pytest.importorskip("python_stretch")
    y = stretch(tone(1000), RATE, 1.0, pitch, 0)
    assert len(y) == 16000
    assert loudest_hz(y) == pytest.approx(1000 * pitch, rel=0.01)


def test_equalizer_is_a_smooth_response_within_its_limits():
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 0.1
    filtered = augment(click, RATE, Augmentation(equalizer_db=12.0), rng(3))
    response_db = 20 * np.log10(np.abs(np.fft.rfft(filtered)) / 0.1)
    assert np.abs(response_db).max() < 12.1
    assert response_db.max() - response_db.min() > 6
    assert np.abs(np.diff(response_db)).max() < 0.3
    # Zero phase: what a click becomes is symmetric, so that no word is moved.
    middle = RATE // 2
    np.testing.assert_allclose(
        filtered[middle - 900 : middle], filtered[middle + 900 : middle : -1], atol=1e-6
    )
    other = augment(click, RATE, Augmentation(equalizer_db=12.0), rng(4))
    assert np.abs(other - filtered).max() > 0.001


def test_equalizer_does_not_shift_the_draws_of_the_noise():
    quiet = np.zeros(1000, np.float32)
    noise = {"noise_colors": ["white"], "noise_color_range": (0.1, 0.1)}
    a = augment(quiet, RATE, Augmentation(**noise), rng(8))
    np.testing.assert_array_equal(a, augment(quiet, RATE, Augmentation(**noise, equalizer_db=6.0), rng(8)))


def test_vtlp_moves_the_formant_and_keeps_the_pitch():
    scipy_signal = pytest.importorskip("scipy.signal")
    pulses = np.zeros(RATE)
    pulses[::160] = 1.0  # a voice of 100 Hz
    pole = 0.97
    voice = scipy_signal.lfilter([1], [1, -2 * pole * np.cos(2 * np.pi * 1500 / RATE), pole**2], pulses)
    voice = (voice / abs(voice).max() * 0.3).astype(np.float32)
    for alpha in (0.8, 1.0, 1.25):
        warped = warp_vocal_tract(voice, RATE, alpha)
        assert warped.shape == voice.shape
        spectrum = np.abs(np.fft.rfft(warped))
        harmonics = spectrum[100:4000:100]  # one second: bin k is k Hz, and a voice of 100 Hz sits on these
        assert (harmonics.argmax() + 1) * 100 == pytest.approx(1500 * alpha, abs=100)
        assert (harmonics**2).sum() > 0.98 * (spectrum[:4000] ** 2).sum()


@pytest.mark.parametrize("rate_hz", [100, 8000, 11025, RATE, 44100])
@pytest.mark.parametrize("length", [1, 250, 5000])
def test_vtlp_with_a_factor_of_nearly_one_is_the_identity(rate_hz, length):
    x = (rng().standard_normal(length) * 0.1).astype(np.float32)
    y = warp_vocal_tract(x, rate_hz, 1 + 1e-9)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, x, atol=1e-6)


@pytest.mark.parametrize("length", [3840, 4000, 5000])
def test_vtlp_of_a_clip_does_not_depend_on_what_comes_after(length):
    # The frames are worked on some at a time: how many there are in the last turn must not be seen.
    x = (rng().standard_normal(8000) * 0.1).astype(np.float32)
    whole, part = warp_vocal_tract(x, RATE, 1.2), warp_vocal_tract(x[:length], RATE, 1.2)
    np.testing.assert_array_equal(whole[: length - 480], part[: length - 480])


@pytest.mark.parametrize("length", [0, 1, 7, 600])
def test_tiny_clips(length):
    pytest.importorskip("python_stretch")
    everything = Augmentation(
        trim_threshold_db=20,
        speed_range=(0.6, 1.9),
        pitch_range=(0.7, 1.4),
        vtlp_range=(0.7, 1.4),
        bg_noise_range=(0.0, 0.3),
    )
    x = np.full(length, 0.1, np.float32)
    y = augment(x, RATE, everything, rng(), [x[:1] if length else np.ones(1, np.float32)], out_length=1600)
    assert y.shape == (1600,)
    assert np.isfinite(y).all()


def test_the_generator_decides_everything():
    pytest.importorskip("python_stretch")
    everything = Augmentation(
        trim_threshold_db=20,
        speed_range=(0.6, 1.9),
        pitch_range=(0.7, 1.4),
        vtlp_range=(0.7, 1.4),
        bg_noise_range=(0.0, 0.3),
        noise_colors=("pink", "brown"),
        loudness_range=(0.6, 3.0),
    )
    x = tone(700) + (rng(9).standard_normal(16000) * 0.05).astype(np.float32)
    noises = [(rng(5).standard_normal(40_000) * 0.2).astype(np.float32)]
    np.random.seed(1)  # noqa: NPY002 - the global generator must not matter
    a = augment(x, RATE, everything, rng(3), noises)
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(a, augment(x, RATE, everything, rng(3), noises))
    assert (a != augment(x, RATE, everything, rng(4), noises)).any()


def test_one_augmentation_does_not_shift_the_draws_of_another():
    x = np.ones(100, np.float32)
    a = augment(x, RATE, Augmentation(), rng(8), out_length=1000)
    b = augment(x, RATE, Augmentation(loudness_range=(0.5, 0.5)), rng(8), out_length=1000)
    np.testing.assert_array_equal(a * np.float32(0.5), b)


def test_pitch_range_forms():
    assert Augmentation(pitch_range=(0.7, 1.4)).pitch_range == (0.7, 1.4)
    assert Augmentation(pitch_range=(-12, 12)).pitch_range == (0.5, 2.0)
    assert Augmentation(pitch_range=(-1.0, 1.0)).pitch_range == (0.5, 2.0)
    assert Augmentation(noise_colors="none").noise_colors == ()
    assert Augmentation(noise_colors=["Red"]).noise_colors == ("brown",)


@pytest.mark.parametrize(
    "bad",
    [
        {"speed_range": (1.9, 0.6)},
        {"speed_range": (0.0, 1.0)},
        {"speed_range": 1.0},
        {"offset_range": (0.0, 1.5)},
        {"loudness_range": (float("nan"), 1.0)},
        {"bg_noise_range": ("a", "b")},
        {"vtlp_range": (0.1, 1.0)},
        {"noise_colors": ["gray"]},
        {"trim_threshold_db": -3},
        {"equalizer_db": -1.0},
        {"equalizer_db": float("nan")},
    ],
)
def test_bad_ranges(bad):
    with pytest.raises(AudioError, match="noise colour" if "noise_colors" in bad else next(iter(bad))):
        Augmentation(**bad)


def test_without_variation():
    plain = Augmentation(offset_range=(0.2, 0.4), trim_threshold_db=20, speed_range=(0.6, 1.9))
    expected = Augmentation(offset_range=((0.2 + 0.4) / 2,) * 2, trim_threshold_db=20)
    assert plain.without_variation() == expected


def test_silence_covers_all_levels():
    noise = (rng(1).standard_normal(50_000) * 0.1).astype(np.float32)
    made = [make_silence(4000, Augmentation(), rng(s), [noise]) for s in range(300)]
    level_db = np.array([20 * np.log10(np.sqrt(np.mean(x**2)) + 1e-9) for x in made])
    assert (level_db < -170).mean() == pytest.approx(0.05, abs=0.04)
    for low, high in ((-70, -50), (-50, -30), (-30, -24), (-24, -12)):
        assert ((level_db >= low) & (level_db < high)).mean() > 0.05
    without_files = [make_silence(4000, Augmentation(), rng(s)) for s in range(50)]
    assert sum(bool(x.any()) for x in without_files) > 40
    np.testing.assert_array_equal(made[7], make_silence(4000, Augmentation(), rng(7), [noise]))
