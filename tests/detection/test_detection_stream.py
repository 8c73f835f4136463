"""The streaming detector: which windows are inferred, when, from what; and that chunks do not matter."""

import numpy as np
import pytest
from detection_models import DETECTION, FRONTEND, N_CHANNELS, N_FRAMES, loud_model, make_tflite, noise_bursts
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.detection.engine import to_scores
from mltk.detection.stream import KeywordDetector, amplify
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.quantize import to_int8
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import DetectionError, MltkError, TfliteError

AUDIO = noise_bursts(8)
FE = AudioFeatureGeneratorSettings(FRONTEND)


def chunked(detector, audio, size):
    return [
        event for start in range(0, len(audio), size) for event in detector.feed(audio[start : start + size])
    ]


def inferences(model, audio=AUDIO, **options):
    seen = []
    detector = KeywordDetector(model, on_inference=lambda i: seen.append((i, i.features.copy())), **options)
    events = detector.feed(audio)
    return seen, events, detector


def expected_windows(latency_ms, n_samples):
    """(time_ms, first frame) by stepping through the sample positions, without the package's formula."""
    rate, window, step = 16000, 480, 320
    times, due = [], None
    for frame in range((n_samples - window) // step + 1):
        end = frame * step + window
        if frame < N_FRAMES - 1:
            continue
        if due is None:
            due = end  # the first full ring
        if end < due:
            continue
        times.append((end * 1000 // rate, frame - N_FRAMES + 1))
        while due <= end:
            due += max(latency_ms * rate // 1000, 1)
    return times


@pytest.mark.parametrize("latency", [0, 1, 19, 20, 21, 37, 50, 100, 333])
def test_windows_and_times(latency):
    model = loud_model()
    seen, _, detector = inferences(model, latency_ms=latency, window_duration_ms=1000)
    assert [i.time_ms for i, _ in seen] == [time for time, _ in expected_windows(latency, len(AUDIO))]
    assert detector.n_inferences == len(seen)
    features = AudioFeatureGenerator(FE).process(AUDIO)
    tflite = TfliteModel(model)
    for (inference, window), (_, first) in zip(seen, expected_windows(latency, len(AUDIO)), strict=True):
        np.testing.assert_array_equal(window, features[first : first + N_FRAMES])
        whole = to_int8(features[first : first + N_FRAMES], FE).reshape(N_FRAMES, 1, N_CHANNELS)
        np.testing.assert_array_equal(inference.scores, tflite.predict(whole, np.int8).astype(int) + 128)


def test_latency_100_by_hand():
    # 500 ms of features end with window 23 at 23 * 20 + 30 = 490 ms; then every 100 ms, which is 5 windows.
    seen, _, _ = inferences(loud_model())
    assert [i.time_ms for i, _ in seen][:4] == [490, 590, 690, 790]
    # 50 ms is two and a half windows of 20 ms: 490, 540 -> 550, 590, 640 -> 650, 690.
    seen, _, _ = inferences(loud_model(), latency_ms=50)
    assert [i.time_ms for i, _ in seen][:5] == [490, 550, 590, 650, 690]


@pytest.mark.parametrize("latency", [0, 37, 100])
@pytest.mark.parametrize(
    "model",
    [
        loud_model(),
        loud_model(np.float32),
        loud_model(frontend={**FRONTEND, "fe.quantize_dynamic_scale_enable": True}, volume_gain=3),
    ],
    ids=["int8", "float32", "dynamic"],
)
def test_events_do_not_depend_on_chunks(model, latency):
    detector = KeywordDetector(model, latency_ms=latency, window_duration_ms=300, count=2, threshold=130)
    whole = detector.feed(AUDIO)
    assert len(whole) >= 2
    for size in (160, 592, 16000, 1, 100_000):
        detector.reset()
        part = AUDIO if size > 1 else AUDIO[:24000]
        assert chunked(detector, part, size) == [e for e in whole if e.time_ms <= len(part) // 16]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40_000), max_size=12), st.integers(0, 250))
def test_random_chunks(cuts, latency):
    options = {"latency_ms": latency, "window_duration_ms": 500, "count": 2}
    detector = KeywordDetector(MODEL, **options)
    events = [e for piece in np.split(AUDIO[:40_000], sorted(cuts)) for e in detector.feed(piece)]
    assert events == KeywordDetector(MODEL, **options).feed(AUDIO[:40_000])
    assert detector.time_ms == 2500


MODEL = loud_model()


def test_detections_by_hand():
    seen, events, _ = inferences(MODEL)
    scores = {i.time_ms: i.scores for i, _ in seen}
    # 300 ms of window: the results of now, -100, -200 and -300 ms.
    expected, previous = [], None
    for now in sorted(scores):
        kept = [scores[t].astype(int) for t in range(now - 300, now + 1, 100) if t in scores]
        if len(kept) < 2:
            continue
        average = sum(kept) // len(kept)
        if average[0] >= average[1] and average[0] > 150 and (previous is None or now - previous > 400):
            expected.append(("loud", int(average[0]), now, 0))
            previous = now
    assert [(e.label, e.score, e.time_ms, e.class_id) for e in events] == expected
    assert len(expected) > 5
    assert [i.detection for i, _ in seen if i.detection] == events


def test_reset_is_fresh():
    detector = KeywordDetector(MODEL)
    first = detector.feed(AUDIO)
    detector.feed(AUDIO[:1234])
    detector.reset()
    assert (detector.time_ms, detector.n_inferences) == (0, 0)
    assert detector.feed(AUDIO) == first


def test_nothing_is_inferred_before_the_ring_is_full():
    seen, events, detector = inferences(MODEL, AUDIO[: 490 * 16 - 1])
    assert (seen, events) == ([], [])
    detector.feed(AUDIO[490 * 16 - 1 : 490 * 16])
    assert len(seen) == 1


def test_empty_chunks_are_fine():
    assert KeywordDetector(MODEL).feed(np.zeros(0, np.int16)) == []


@pytest.mark.parametrize(
    "samples", [np.zeros(5), np.zeros((2, 5), np.int16), np.zeros(5, np.uint16), [1, 2], None, b"ab"]
)
def test_other_than_int16_rows_are_refused(samples):
    with pytest.raises(DetectionError, match="one-dimensional int16"):
        KeywordDetector(MODEL).feed(samples)


def test_input_layouts_are_the_same_values():
    layouts = [(1, N_FRAMES, 1, N_CHANNELS), (1, N_FRAMES, N_CHANNELS, 1), (1, N_FRAMES * N_CHANNELS)]
    weights = np.random.default_rng(1).normal(size=(2, N_FRAMES * N_CHANNELS)) / 30_000
    parameters = {**FRONTEND, **DETECTION, "detection_threshold": 100}
    models = [make_tflite(weights, [0.5, 0.5], np.int8, shape, parameters) for shape in layouts]
    all_scores = [np.array([i.scores for i, _ in inferences(model)[0]]) for model in models]
    assert all_scores[0].std(axis=0).min() > 0
    np.testing.assert_array_equal(all_scores[0], all_scores[1])
    np.testing.assert_array_equal(all_scores[0], all_scores[2])


def test_dynamic_scale_is_taken_from_each_window():
    frontend = {**FRONTEND, "fe.quantize_dynamic_scale_enable": True}
    model = loud_model(frontend=frontend)
    seen, _, _ = inferences(model)
    tflite = TfliteModel(model)
    for inference, window in seen:
        low = max(int(window.max()) - int(40.0 * 64 * 0.11512925465), 0)
        scaled = np.trunc((window.astype(float) - low) * 255 / max(int(window.max()) - low, 1)) - 128
        features = scaled.clip(-128, 127).astype(np.int8).reshape(N_FRAMES, 1, N_CHANNELS)
        np.testing.assert_array_equal(inference.scores, tflite.predict(features, np.int8).astype(int) + 128)


@pytest.mark.parametrize(
    ("norm", "expect"),
    [
        ({"samplewise_norm.rescale": 0.0, "samplewise_norm.mean_and_std": False}, lambda x: x),
        ({"samplewise_norm.rescale": 0.5}, lambda x: x * 0.5),
        ({"samplewise_norm.mean_and_std": True}, lambda x: (x - x.mean()) / (x.std() + 1e-6)),
    ],
)
def test_float_models_get_normalized_features(norm, expect):
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(2, N_FRAMES * N_CHANNELS)) / 5000
    parameters = {**FRONTEND, **DETECTION, **norm}
    model = make_tflite(weights, [0.4, 0.4], np.float32, (1, N_FRAMES, N_CHANNELS, 1), parameters)
    seen, _, _ = inferences(model)
    for inference, window in seen:
        output = weights.astype(np.float32) @ expect(window.astype(np.float64)).reshape(-1) + 0.4
        scores = np.floor(np.clip(output, 0, 1) * 255)
        assert (
            np.abs(inference.scores.astype(int) - scores).max() <= 1
        )  # truncation at a rounding error's edge


def test_scores():
    np.testing.assert_array_equal(to_scores(np.array([-128, -1, 0, 127], np.int8)), [0, 127, 128, 255])
    np.testing.assert_array_equal(to_scores(np.array([0, 255], np.uint8)), [0, 255])
    floats = np.array([0, 0.5, 0.999, 1.0, -0.1, 1.5, np.nan], np.float32)
    np.testing.assert_array_equal(to_scores(floats), [0, 127, 254, 255, 0, 255, 0])


def test_volume_saturates():
    samples = np.array([-32768, -20000, -1, 0, 1, 20000, 32767], np.int16)
    np.testing.assert_array_equal(amplify(samples, 2.0), [-32768, -32768, -2, 0, 2, 32767, 32767])
    np.testing.assert_array_equal(amplify(samples, 1.5), [-32768, -30000, -2, 0, 2, 30000, 32767])
    assert amplify(samples, 1.0) is samples


def test_volume_is_the_models_unless_given():
    loud = [e.time_ms for e in KeywordDetector(loud_model(volume_gain=2)).feed(AUDIO // 2)]
    even = AUDIO // 2 * 2
    assert loud == [e.time_ms for e in KeywordDetector(loud_model(volume_gain=0)).feed(even)]
    assert KeywordDetector(loud_model(volume_gain=2), volume=0).settings.volume_gain == 1


def test_features_are_offered():
    frames = []
    detector = KeywordDetector(MODEL, on_features=frames.append)
    detector.feed(AUDIO)
    np.testing.assert_array_equal(np.concatenate(frames), AudioFeatureGenerator(FE).process(AUDIO))


def test_the_model_may_come_as_bytes_object_or_path(tmp_path):
    path = tmp_path / "loud.tflite"
    path.write_bytes(MODEL)
    events = KeywordDetector(MODEL).feed(AUDIO)
    for source in (TfliteModel(MODEL), path, str(path)):
        detector = KeywordDetector(source)
        assert detector.name == "loud"
        assert detector.feed(AUDIO) == events


def test_settings_are_visible():
    detector = KeywordDetector(MODEL, threshold=99)
    assert detector.labels == ("loud", "_quiet_")
    assert detector.settings.thresholds == (99, 99)
    assert detector.sample_rate_hz == 16000
    assert detector.frontend_settings.window_step_ms == 20


def test_both_engines_agree():
    pytest.importorskip("tflite_micro", reason="tflite-micro has no wheel for this system")
    assert KeywordDetector(MODEL, engine="tflm").feed(AUDIO) == KeywordDetector(MODEL).feed(AUDIO)


def test_our_own_kernels_hear_what_litert_hears():
    assert KeywordDetector(MODEL, engine="native").feed(AUDIO) == KeywordDetector(MODEL).feed(AUDIO)


def test_two_windows_in_one_millisecond():
    # 1 ms at 22,050 Hz are 22 samples, 0.9977 ms: now and then two windows end in the same whole millisecond.
    frontend = {**FRONTEND, "fe.sample_rate_hz": 22050, "fe.window_step_ms": 1, "fe.sample_length_ms": 60}
    n_frames = (60 * 22050 // 1000 - 30 * 22050 // 1000) // 22 + 1
    model = loud_model(frontend=frontend, input_shape=(1, n_frames, N_CHANNELS, 1))
    seen, _, _ = inferences(model, AUDIO[:40_000], latency_ms=0)
    times = [i.time_ms for i, _ in seen]
    assert times == sorted(set(times))


def test_models_that_do_not_fit():
    size = N_FRAMES * N_CHANNELS
    weights, bias = np.ones((2, size)), np.zeros(2)
    parameters = {**FRONTEND, **DETECTION}
    with pytest.raises(DetectionError, match="frontend settings"):
        KeywordDetector(make_tflite(weights, bias))
    with pytest.raises(DetectionError, match=r"frontend settings"):
        KeywordDetector(make_tflite(weights, bias, parameters=DETECTION))
    with pytest.raises(DetectionError, match="classes"):
        KeywordDetector(make_tflite(weights, bias, parameters=FRONTEND))
    with pytest.raises(DetectionError, match="takes 230 values, but its frontend settings give 24 x 10"):
        KeywordDetector(make_tflite(weights[:, 10:], bias, parameters=parameters))
    with pytest.raises(DetectionError, match="3 outputs, but its parameters name 2 classes"):
        KeywordDetector(make_tflite(np.ones((3, size)), np.zeros(3), parameters=parameters))
    with pytest.raises(TfliteError, match="Engine 'tensorrt'"):
        KeywordDetector(MODEL, engine="tensorrt")
    with pytest.raises(MltkError, match=r"nowhere\.tflite"):
        KeywordDetector("nowhere.tflite")
    with pytest.raises(TfliteError):
        KeywordDetector(MODEL[:500])


# Models of others.


def test_models_of_others_run_as_they_are(shared_dir):
    alexa = KeywordDetector(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip")
    assert alexa.labels == ("alexa", "_unknown_")
    s = alexa.settings
    assert (s.thresholds, s.minimum_count, s.suppression_ms) == ((204, 204), 2, 900)
    assert (s.latency_ms, s.average_window_duration_ms, s.volume_gain) == (200, 440, 1.0)
    alexa.feed(AUDIO)
    assert alexa.n_inferences == (8000 - 1200) // 200 + 1


@pytest.mark.parametrize("name", ["keyword_spotting_alexa.mltk.zip", "tflite_micro_speech.mltk.zip"])
def test_scores_do_not_depend_on_how_many_windows_run_together(shared_dir, name):
    """10 ms give a window or none; a long piece many, which go through the model in batches."""
    seen = []
    detector = KeywordDetector(shared_dir / "models" / name, latency_ms=20, window_duration_ms=1000)
    detector.on_inference = lambda i: seen.append((i.time_ms, i.scores.tolist()))
    detector.feed(AUDIO)
    together = seen.copy()
    assert len(together) > 100
    seen.clear()
    detector.reset()
    chunked(detector, AUDIO, 160)
    assert seen == together


def test_words_are_heard_in_real_recordings(shared_dir, speech_dir):
    import soundfile

    clips = sorted((speech_dir / "commands" / "yes").glob("*.flac"))[:5]
    if len(clips) < 5:
        pytest.skip(f"no commands/yes recordings in {speech_dir}")
    rng = np.random.default_rng(0)
    stream, words = [], []
    for clip in clips:
        stream.append(rng.normal(0, 3, 24000).astype(np.int16))
        words.append(sum(map(len, stream)) // 16)
        stream.append(soundfile.read(clip, dtype="int16")[0])
    stream.append(stream[0])
    audio = np.concatenate(stream)
    detector = KeywordDetector(shared_dir / "models" / "tflite_micro_speech.mltk.zip")
    events = detector.feed(audio)
    # A network of others with 85 % accuracy: most are heard, within the second after they were said.
    heard = [any(e.label == "yes" and start < e.time_ms < start + 2000 for e in events) for start in words]
    assert sum(heard) >= 3
    for size in (160, 592, 16000):
        detector.reset()
        assert chunked(detector, audio, size) == events
