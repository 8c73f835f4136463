"""The forms for the host's vector units: every value that of the one-lane C, which is what a chip runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import frontend_cases as cases
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mltk.native._frontend import Frontend, forms

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.native import native_settings
from mltk.frontend.settings import AudioFeatureGeneratorSettings

SCALAR = "scalar"
VECTORS = [form for form in forms() if form != SCALAR]

if not VECTORS:
    pytest.skip("this machine has the one-lane form only", allow_module_level=True)


def run_clips(form, frontend_settings, clips, threads=1):
    """Return the features [n, frames, channels] and whether activity was detected."""
    features = np.full((len(clips), *frontend_settings.spectrogram_shape), 0xABCD, np.uint16)
    detected = Frontend(native_settings(frontend_settings), form).process_clips(clips, features, threads)
    return features, detected


def run_stream(form, frontend_settings, samples, rng):
    """Return the rows of a stream cut into chunks of random length, many of them completing several rows."""
    frontend = Frontend(native_settings(frontend_settings), form)
    rows, done = [], 0
    while done < len(samples):
        chunk = samples[done : done + int(rng.integers(1, 4 * frontend_settings.window_size))]
        rows.append(frontend.process(chunk))
        done += len(chunk)
    return np.concatenate(rows), frontend.activity_was_detected()


def make_clips(n, length, seed):
    return np.stack([cases.make_clip(seed + 5 * i, length, 17 * seed + i) for i in range(n)])


@pytest.mark.parametrize("form", VECTORS)
def test_golden_of_each_form(form):
    with np.load(Path(__file__).with_name("golden_frontend.npz"), allow_pickle=False) as golden:
        for number, case in enumerate(json.loads(str(golden["about"]))["cases"]):
            frontend_settings = AudioFeatureGeneratorSettings(**case["settings"])
            clip = cases.make_clip(case["kind"], frontend_settings.sample_length, case["seed"])
            features, _ = run_clips(form, frontend_settings, clip[np.newaxis])
            np.testing.assert_array_equal(features[0], golden[f"features_{number}"], str(number))


@pytest.mark.parametrize("form", VECTORS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31), n=st.integers(1, 9), threads=st.integers(1, 3), length_ms=st.integers(20, 220)
)
def test_random_settings(form, seed, n, threads, length_ms):
    """Clips whose windows are no multiple of the lanes, each block on and off, in a batch and as a stream."""
    rng = np.random.default_rng(seed)
    frontend_settings = cases.random_blocks(cases.random_settings(rng, length_ms), rng)
    clips = make_clips(n, frontend_settings.sample_length, seed % 1000)
    expected, detected = run_clips(SCALAR, frontend_settings, clips)
    features, also_detected = run_clips(form, frontend_settings, clips, threads)
    np.testing.assert_array_equal(features, expected)
    assert also_detected == detected
    rows, stream_detected = run_stream(form, frontend_settings, clips[0], rng)
    np.testing.assert_array_equal(rows, expected[0])
    assert stream_detected == run_clips(SCALAR, frontend_settings, clips[:1])[1]


@pytest.mark.parametrize("form", VECTORS)
@pytest.mark.parametrize("fft_length", [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 8192, 32768])
def test_each_fft_length(form, fft_length):
    rate = 1000 if fft_length < 64 else 16000
    window = fft_length if fft_length < 64 else fft_length * 1000 // rate
    frontend_settings = AudioFeatureGeneratorSettings(
        sample_rate_hz=rate,
        window_size_ms=window,
        window_step_ms=max(window * 2 // 3, 1),
        sample_length_ms=window * 4,
        filterbank_n_channels=min(fft_length // 2, 70),
        filterbank_lower_band_limit=0.0,
        filterbank_upper_band_limit=rate / 2,
        noise_reduction_enable=True,
    )
    assert frontend_settings.fft_length == fft_length
    clips = make_clips(3, frontend_settings.sample_length, fft_length)
    expected = run_clips(SCALAR, frontend_settings, clips)[0]
    np.testing.assert_array_equal(run_clips(form, frontend_settings, clips)[0], expected)
    # One window after the other, in a stream.
    frontend = Frontend(native_settings(frontend_settings), form)
    for clip, features in zip(clips, expected, strict=True):
        frontend.reset()
        chunks = np.array_split(clip, range(window // 3, len(clip), max(window // 3, 1)))
        np.testing.assert_array_equal(np.concatenate([frontend.process(chunk) for chunk in chunks]), features)


@pytest.mark.parametrize("form", VECTORS)
@pytest.mark.parametrize(
    "values",
    [
        {"filterbank_n_channels": 40, "noise_reduction_enable": True, "pcan_enable": True},
        {"filterbank_n_channels": 108, "noise_reduction_enable": True},
        {"filterbank_n_channels": 1},  # as wide as the band
        {"filterbank_n_channels": 1, "window_size_ms": 60},  # too wide for one window alone
        {"filterbank_n_channels": 33, "log_scale_enable": False},
        {
            "filterbank_n_channels": 256,
            "filterbank_lower_band_limit": 0.0,
            "filterbank_upper_band_limit": 8000.0,
        },
        {"window_size_ms": 27, "window_step_ms": 27, "dc_notch_filter_enable": True},
    ],
    ids=lambda values: "-".join(map(str, values.values())),
)
def test_one_window_at_a_time(form, values):
    """Streams of soft, loud and extreme audio, in chunks that complete one window each, broken off and begun anew."""
    frontend_settings = AudioFeatureGeneratorSettings(
        **{"window_size_ms": 30, "sample_length_ms": 400, "activity_detection_enable": True, **values}
    )
    step = frontend_settings.window_step
    frontend, scalar = (Frontend(native_settings(frontend_settings), name) for name in (form, SCALAR))
    for kind in range(cases.N_CLIPS):
        clip = cases.make_clip(kind, frontend_settings.sample_length, 91 + kind)
        for one in (frontend, scalar):
            one.process(clip[: len(clip) // 2 + kind])  # left behind
            one.reset()
        for start in range(0, len(clip), step):
            chunk = clip[start : start + step]
            np.testing.assert_array_equal(frontend.process(chunk), scalar.process(chunk), f"{kind} {start}")
        assert frontend.activity_was_detected() == scalar.activity_was_detected()


@pytest.mark.parametrize("form", VECTORS)
def test_nothing_behind_a_batch_is_touched(form):
    """The last window ends with the array, and the last row is narrower than a vector."""
    frontend_settings = AudioFeatureGeneratorSettings(window_size_ms=27, filterbank_n_channels=37)
    clips = make_clips(3, frontend_settings.sample_length, 1)
    shape = (3, *frontend_settings.spectrogram_shape)
    size = int(np.prod(shape))
    guarded = np.full(size + 64, 0xBEEF, np.uint16)
    features = guarded[:size].reshape(shape)
    Frontend(native_settings(frontend_settings), form).process_clips(clips, features, 1)
    assert (guarded[size:] == 0xBEEF).all()
    np.testing.assert_array_equal(features, run_clips(SCALAR, frontend_settings, clips)[0])


def test_a_generator_runs_the_form_that_the_environment_names():
    code = (
        "from mltk.frontend.generator import AudioFeatureGenerator as G\n"
        "from mltk.frontend.settings import AudioFeatureGeneratorSettings as S\n"
        "print(G(S()).form)"
    )
    for form in forms():
        environment = {**os.environ, "MLTK_FRONTEND": form}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == form
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MLTK_FRONTEND": "abacus"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FrontendError" in run.stderr
    assert 'not "abacus"' in run.stderr


def test_the_fastest_form_is_the_default(monkeypatch):
    monkeypatch.delenv("MLTK_FRONTEND", raising=False)
    assert AudioFeatureGenerator(AudioFeatureGeneratorSettings()).form == forms()[0]
