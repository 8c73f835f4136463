"""What the page of view_audio is told, against the frontend and the detector themselves."""

import json
import struct

import numpy as np
import pytest
import soundfile
import yaml
from detection_models import loud_model, noise_bursts

from mltk.detection.sources import file_blocks
from mltk.detection.stream import KeywordDetector
from mltk.frontend.apply import apply_frontend
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.quantize import to_int8
from mltk.frontend.settings import SETTINGS, AudioFeatureGeneratorSettings
from mltk.tflite.settings import read_settings_file
from mltk.utils.errors import AudioError, DetectionError, FrontendError, MltkError
from mltk.viewer.analysis import Listener, channel_centres_hz, clip_features
from mltk.viewer.audio_page import AudioPage, describe
from mltk.viewer.clip import Clip
from mltk.viewer.form import as_text, form, named_setting, read_settings
from mltk.viewer.live import LiveStream
from mltk.viewer.server import RefusedError, Request


def post(page, path, values=None, body=None, **query):
    data = json.dumps(values).encode() if body is None else body
    return page.answer(Request("POST", path, query, data))


def unframed(reply):
    length = struct.unpack_from("<I", reply.body)[0]
    head = json.loads(reply.body[4 : 4 + length])
    values = np.frombuffer(reply.body, np.dtype(head["dtype"]).newbyteorder("<"), offset=4 + length)
    return head, values.reshape(head["frames"], -1)


@pytest.fixture(scope="module")
def listener(loud):
    return Listener(str(loud))


@pytest.fixture
def page(listener, sounds):
    return AudioPage(listener, Clip.from_file(str(sounds / "bursts.wav")))


# the form


def test_the_form_has_every_setting_once():
    names = [setting["name"] for group in form() for setting in group["settings"]]
    assert sorted(names) == sorted(SETTINGS)


def test_sliders_stay_within_the_legal_range():
    for group in form():
        for setting in group["settings"]:
            legal = SETTINGS[setting["name"]]
            assert legal.low <= setting["low"] < setting["high"]
            assert setting["low"] <= legal.default <= setting["high"]
            assert setting["high"] <= max(legal.high, 1)


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"window_step_ms": 31}, "window_step_ms"),
        ({"fe.window_step_ms": None}, "window_step_ms"),
        ({"window_size_ms": 10.5}, "window_size_ms"),
        ({"pcan_strength": float("nan")}, "pcan_strength"),
        ({"sample_rate_hz": float("inf")}, "sample_rate_hz"),
        ({"log_scale_enable": "yes"}, "log_scale_enable"),
        ({"filterbank_upper_band_limit": 9000}, "filterbank_upper_band_limit"),
        ({"pcan_enable": True, "pcan_gain_bits": 2}, "pcan_gain_bits"),
    ],
)
def test_a_wrong_setting_is_named(values, setting):
    with pytest.raises(FrontendError) as told:
        read_settings({"window_size_ms": 30, **values})
    assert describe(told.value)["setting"] == setting


@pytest.mark.parametrize("values", [None, [], 5, {"classes": 1}, {"__class__": 1}, {"fe.": 1}])
def test_what_is_no_setting_is_refused(values):
    with pytest.raises(FrontendError) as told:
        read_settings(values)
    assert named_setting(str(told.value)) is None


def test_text_to_copy_gives_the_same_settings(tmp_path):
    settings = read_settings(
        {"window_size_ms": 40, "noise_reduction_even_smoothing": float(np.float32(0.03)), "pcan_enable": True,
         "pcan_offset": 1e-5, "dc_notch_filter_coefficient": 0.1 + 0.2}
    )  # fmt: skip
    text = as_text(settings)
    copied = AudioFeatureGeneratorSettings()
    exec(text["python"], {"frontend_settings": copied})
    for kind in ("yaml", "json"):
        path = tmp_path / f"params.{kind}"
        path.write_text(text[kind])
        assert AudioFeatureGeneratorSettings(**read_settings_file(path)) == copied
        assert read_settings_file(path)["fe.fft_length"] == 1024
    assert yaml.safe_load(text["yaml"]) == json.loads(text["json"])
    # What a model stores has 32 bits; the rest is exact.
    assert "noise_reduction_even_smoothing = 0.03\n" in text["python"]
    assert copied.dc_notch_filter_coefficient == 0.1 + 0.2
    sample = noise_bursts(1)
    assert np.array_equal(
        apply_frontend(sample, copied, np.uint16), apply_frontend(sample, settings, np.uint16)
    )


def test_changed_only():
    start = AudioFeatureGeneratorSettings()
    changed = read_settings({"window_size_ms": 40, "log_scale_shift": 6})
    assert as_text(changed, start) == {
        "python": "frontend_settings.window_size_ms = 40",
        "yaml": "fe.fft_length: 1024\nfe.window_size_ms: 40",
        "json": '{\n  "fe.fft_length": 1024,\n  "fe.window_size_ms": 40\n}',
    }
    assert as_text(start, start) == {"python": "", "yaml": "", "json": "{}"}


# features


@pytest.mark.parametrize("dtype", ["uint16", "int8"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window_step_ms": 10, "pcan_enable": True},
        {"quantize_dynamic_scale_enable": True},
        {"sample_rate_hz": 8000, "filterbank_upper_band_limit": 3800},
    ],
)
def test_features_are_the_frontends(page, listener, sounds, changes, dtype):
    head, shown = unframed(post(page, "features", {"settings": changes, "dtype": dtype}))
    settings = AudioFeatureGeneratorSettings(listener.settings, **changes)
    samples = np.concatenate(list(file_blocks(sounds / "bursts.wav", settings.sample_rate_hz)))
    settings.sample_length_ms = 4000
    expected = apply_frontend(samples, settings, dtype)
    assert np.array_equal(shown, expected)
    assert (head["frames"], head["channels"]) == expected.shape
    assert head["step_ms"] == settings.window_step_ms
    assert len(head["centres_hz"]) == head["channels"]


def test_a_tone_is_in_the_channel_of_its_frequency():
    settings = AudioFeatureGeneratorSettings()
    centres = channel_centres_hz(settings)
    assert centres == sorted(centres)
    for channel in (3, 12, 28):
        tone = 8000 * np.sin(2 * np.pi * centres[channel] * np.arange(16000) / 16000)
        features = apply_frontend(tone.astype(np.int16), settings, np.uint16)
        assert features.mean(axis=0).argmax() == channel


def test_a_bad_choice_leaves_the_page_alive(page):
    with pytest.raises(FrontendError, match="window_step_ms"):
        post(page, "features", {"settings": {"window_step_ms": 99}})
    with pytest.raises(FrontendError, match="int32"):
        post(page, "features", {"settings": {}, "dtype": "int32"})
    with pytest.raises(FrontendError, match="sample_rate_hz is 900"):
        post(page, "features", {"settings": {"sample_rate_hz": 900, "filterbank_upper_band_limit": 400}})
    assert unframed(post(page, "features", {"settings": {}}))[1].size


def test_no_unbounded_features(sounds):
    clip = Clip.from_file(str(sounds / "bursts.wav"))
    settings = read_settings(
        {"sample_rate_hz": 192000, "window_size_ms": 100, "window_step_ms": 1, "filterbank_n_channels": 16384}
    )
    with pytest.raises(FrontendError, match=r"fe\.window_step_ms of 1 gives .* too many to show"):
        clip_features(clip, settings)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_requests_that_are_no_json_object(page, body):
    with pytest.raises(RefusedError):
        post(page, "features", body=body)


def test_endless_numbers_are_refused(page):
    body = b'{"settings": {"window_size_ms": ' + b"9" * 5000 + b"}}"
    with pytest.raises(FrontendError, match="window_size_ms"):
        post(page, "features", body=body)


# recordings


def test_a_clip_is_played_as_it_was_read(sounds, tmp_path):
    clip = Clip.from_file(str(sounds / "bursts_44.wav"))
    (tmp_path / "played.wav").write_bytes(clip.wav())
    played, rate = soundfile.read(tmp_path / "played.wav", dtype="int16")
    stored, _ = soundfile.read(sounds / "bursts_44.wav")
    assert rate == clip.sample_rate_hz == 44100
    assert np.abs(played / 32768 - stored.mean(axis=1)).max() <= 1 / 32768
    low, high = clip.peaks(100)
    assert len(low) == len(high) == 100
    assert (min(low), max(high)) == (played.min(), played.max())


@pytest.mark.parametrize(
    "name", ["text.wav", "../../etc/passwd", "a\nb.wav", "x" * 3000, "", "nul\0.wav", "a.raw"]
)
def test_a_bad_upload_is_a_sentence(page, sounds, name):
    before = post(page, "features", {"settings": {}}).body
    with pytest.raises(AudioError) as told:
        post(page, "clip", body=(sounds / "text.wav").read_bytes(), name=name)
    assert "mltk-clip-" not in str(told.value)
    assert "\n" not in str(told.value)
    assert post(page, "features", {"settings": {}}).body == before


def test_uploads_leave_nothing_behind(page, sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    post(page, "clip", body=(sounds / "bursts_44.wav").read_bytes(), name="über uns.wav")
    post(page, "features", {"settings": {"sample_rate_hz": 32000}})
    assert list(tmp_path.iterdir()) == []


def test_a_cut_upload_and_an_empty_one(page, sounds):
    data = (sounds / "bursts.wav").read_bytes()
    with pytest.raises(AudioError, match=r"cut\.wav is damaged or cut short"):
        post(page, "clip", body=data[: len(data) // 2], name="cut.wav")
    with pytest.raises(AudioError, match="empty"):
        post(page, "clip", body=b"", name="nothing.wav")


def test_too_long_and_too_large(tmp_path, monkeypatch):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(8000 * 601, np.int16), 8000)
    with pytest.raises(AudioError, match="longer than 10 minutes"):
        Clip.from_file(str(path))
    monkeypatch.setattr("mltk.viewer.clip.MAX_FILE_BYTES", 1000)
    with pytest.raises(AudioError, match="files up to"):
        Clip.from_file(str(path))
    with pytest.raises(MltkError, match="There is no recording at"):
        Clip.from_file(str(tmp_path / "missing.wav"))


def test_a_clip_shorter_than_a_window(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.int16), 16000)
    with pytest.raises(AudioError, match="less than one window of 25 ms"):
        clip_features(Clip.from_file(str(tmp_path / "short.wav")), AudioFeatureGeneratorSettings())


def test_without_a_recording_or_a_model():
    page = AudioPage()
    for path in ("features", "live/feed", "live/stop"):
        with pytest.raises(AudioError):
            post(page, path, {"settings": {}})
    with pytest.raises(RefusedError):
        post(page, "detections", {"settings": {}})
    with pytest.raises(RefusedError):
        page.answer(Request("GET", "../server.py"))
    assert json.loads(page.answer(Request("GET", "state")).body)["model"] is None


# what the model hears


@pytest.mark.parametrize("name", ["bursts.wav", "bursts_44.wav"])
def test_detections_are_those_of_classify_audio(listener, loud, sounds, name):
    detector = KeywordDetector(loud)
    expected = [event for block in file_blocks(sounds / name, 16000) for event in detector.feed(block)]
    page = AudioPage(listener, Clip.from_file(str(sounds / name)))
    heard = json.loads(post(page, "detections", {"settings": {}}).body)
    assert expected
    assert heard["detections"] == [json.loads(event.to_json()) for event in expected]
    assert len(heard["times_ms"]) == len(heard["scores"]) == detector.n_inferences
    assert all(len(scores) == 2 for scores in heard["scores"])


def test_detections_follow_the_settings(page):
    start = json.loads(post(page, "detections", {"settings": {}}).body)
    other = json.loads(post(page, "detections", {"settings": {"log_scale_shift": 3}}).body)
    assert start["times_ms"] == other["times_ms"]
    assert start["scores"] != other["scores"]
    again = json.loads(post(page, "detections", {"settings": {}}).body)
    assert again == start


def test_settings_that_do_not_fit_the_model(page):
    with pytest.raises(DetectionError, match="loud takes 24 x 10 features, these settings give 24 x 12"):
        post(page, "detections", {"settings": {"filterbank_n_channels": 12}})


def test_real_archive(shared_dir, speech_dir):
    listener = Listener(str(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip"))
    path = sorted((speech_dir / "alexa").glob("*.flac"))[0]
    detector = KeywordDetector(str(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip"))
    expected = [event for block in file_blocks(path, 16000) for event in detector.feed(block)]
    assert listener.listen(Clip.from_file(str(path)), listener.settings).detections == expected


# the microphone


@pytest.mark.parametrize("sizes", [[1600], [7, 4801, 0, 333]])
def test_live_is_the_same_as_the_recording(listener, sizes):
    samples = noise_bursts(4)
    stream = LiveStream(listener.settings, 16000, listener)
    rows, detections, times, at, turn = [], [], [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        result = stream.feed(samples[at : at + size].astype(np.float32) / 32768, "uint16")
        rows.append(result.features)
        detections += result.heard.detections
        times += result.heard.times_ms
        at, turn = at + size, turn + 1
    detector = KeywordDetector(loud_model())
    assert detections == detector.feed(samples)
    assert len(times) == detector.n_inferences
    settings = listener.settings.copy()
    settings.sample_length_ms = 4000
    assert np.array_equal(np.concatenate(rows), apply_frontend(samples, settings, np.uint16))
    assert np.array_equal(stream.recording().samples_at(16000), samples)


def test_live_resamples_and_shows_int8(listener):
    stream = LiveStream(listener.settings, 48000, None)
    time = np.arange(48000) / 48000
    tone = (0.3 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    rows = [stream.feed(block, "int8") for block in np.array_split(tone, 10)]
    features = np.concatenate([row.features for row in rows])
    assert features.dtype == np.int8
    assert abs(rows[-1].time_ms - 1000) < 50
    centres = channel_centres_hz(listener.settings)
    assert abs(centres[features[20:].mean(axis=0).argmax()] - 1000) < 300
    assert all(row.heard is None for row in rows)


def test_live_int8_with_a_dynamic_scale_is_scaled_like_a_models_window(listener):
    settings = listener.settings.copy()
    settings.quantize_dynamic_scale_enable = True
    samples = noise_bursts(2)
    stream = LiveStream(settings, 16000, None)
    rows = [stream.feed(block.astype(np.float32) / 32768, "int8").features for block in np.split(samples, 20)]
    features = AudioFeatureGenerator(settings).process(samples)
    for end in (len(features), len(features) - len(rows[-1])):
        window = to_int8(features[end - 24 : end], settings)
        n_new = len(rows[-1] if end == len(features) else rows[-2])
        shown = np.concatenate(rows)[end - n_new : end]
        assert np.array_equal(shown, window[-n_new:])


def test_live_goes_on_without_detections_where_the_model_does_not_fit(listener):
    settings = listener.settings.copy()
    settings.filterbank_n_channels = 12
    stream = LiveStream(settings, 16000, listener)
    assert "loud takes 24 x 10" in stream.detection_error
    assert stream.feed(np.zeros(16000, np.float32), "uint16").features.shape[1] == 12


def test_live_keeps_the_newest_only(listener, monkeypatch):
    monkeypatch.setattr("mltk.viewer.live.MAX_SECONDS", 1)
    stream = LiveStream(listener.settings, 16000, None)
    for value in range(30):
        stream.feed(np.full(1600, value / 32768, np.float32), "uint16")
    kept = stream.recording().samples_at(16000)
    assert len(kept) == 16000
    assert (kept[0], kept[-1]) == (20, 29)


@pytest.mark.parametrize("rate", [0, 4000, 1e9, 16000.5, None, "16000", True])
def test_live_rates(page, rate):
    with pytest.raises(AudioError, match=r"rate|microphone"):
        post(page, "live/start", {"settings": {}, "rate_hz": rate})


def test_live_bad_chunks(page):
    post(page, "live/start", {"settings": {}, "rate_hz": 16000})
    with pytest.raises(RefusedError, match="32-bit"):
        post(page, "live/feed", body=b"12345")
    with pytest.raises(AudioError):
        post(page, "live/feed", body=np.full(100, np.nan, "<f4").tobytes())
    with pytest.raises(AudioError, match="gave no sound"):
        post(page, "live/stop", {})
