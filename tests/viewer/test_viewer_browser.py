"""Both pages in headless Chromium, as a user sees and uses them."""

import json
import time

import numpy as np
import pytest
import soundfile
from detection_models import noise_bursts
from viewer_models import keras_archive, keras_bytes

from mltk.detection.stream import KeywordDetector
from mltk.frontend.apply import apply_frontend
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.viewer.analysis import Listener, clip_features
from mltk.viewer.audio_page import AudioPage
from mltk.viewer.clip import Clip
from mltk.viewer.graph import load_graph, serve_graph

READY = "document.body.dataset.state === 'ready'"
# Numbers that the page itself drew: asked again from within it, through the page's own module.
FETCH_FEATURES = """async ([settings, dtype]) => {
  const { postForArray } = await import("./api.js");
  const got = await postForArray("features", { settings, dtype });
  return { ...got, values: Array.from(got.values) };
}"""
PIXELS = """(id) => {
  const canvas = document.getElementById(id);
  // Within the axes.
  const [left, top, right, bottom] = [60, 20, canvas.width - 70, canvas.height - 24];
  const data = canvas.getContext("2d").getImageData(left, top, right - left, bottom - top).data;
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  const box = canvas.getBoundingClientRect();
  return { colours: colours.size, size: [canvas.width, canvas.height], shown: [box.width, box.height] };
}"""


@pytest.fixture
def serve():
    """Serve pages until the test ends."""
    servers = []

    def start(server):
        servers.append(server)
        return server.url

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def viewer(serve, open_tab, loud, sounds):
    """Open view_audio with the loud model and bursts.wav, ready."""

    def start(model=True, audio="bursts.wav", **options):
        page = AudioPage(
            Listener(str(loud)) if model else None, Clip.from_file(str(sounds / audio)) if audio else None
        )
        tab = open_tab(serve(page.serve()), **options).page
        until(tab, READY)
        return tab

    return start


def until(tab, expression, argument=None, seconds=15):
    """Wait for an expression to hold; playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not tab.evaluate(expression, argument):
        assert time.monotonic() < end, f"{expression} did not come true"
        time.sleep(0.03)


def drawn(tab):
    until(tab, READY)
    return json.loads(tab.evaluate("document.body.dataset.drawn"))


def wait_drawn(tab, frames, channels, dtype):
    wanted = json.dumps([frames, channels, dtype], separators=(",", ":"))
    until(tab, "wanted => document.body.dataset.drawn === wanted", wanted)


# mltk view


@pytest.mark.parametrize("flag", [False, True], ids=["keras", "tflite"])
def test_netron_shows_the_graph(serve, open_tab, tmp_path, loud, flag):
    pytest.importorskip("netron", reason="netron is not installed (extra 'view')")
    members = {"spotter.keras": keras_bytes(tmp_path), "spotter.tflite": loud.read_bytes()}
    graph = load_graph(str(keras_archive(tmp_path / "spotter.mltk.zip", **members)), flag)
    tab = open_tab(serve(serve_graph(graph))).page
    tab.wait_for_selector("svg .node")
    text = tab.text_content("svg")
    nodes = ("Reshape", "FullyConnected", "weights") if flag else ("features", "Dense", "Softmax")
    assert all(node in text for node in nodes), text
    end = time.monotonic() + 15  # it comes after the graph
    while "spotter" not in tab.title():
        assert time.monotonic() < end
        time.sleep(0.03)


def test_netron_shows_published_models(serve, open_tab, shared_dir):
    pytest.importorskip("netron", reason="netron is not installed (extra 'view')")
    path = shared_dir / "models" / "tflite_micro_speech.mltk.zip"
    tab = open_tab(serve(serve_graph(load_graph(str(path))))).page
    tab.wait_for_selector("svg .node")
    text = tab.text_content("svg")
    assert all(node in text for node in ("Conv2D", "BatchNormalization", "4000×4"))


# mltk view_audio: a recording


def test_a_dropped_recording_is_drawn(viewer, sounds):
    tab = viewer(model=False, audio=None)
    assert tab.is_visible("text=Drop a recording here")
    assert tab.evaluate(PIXELS, "spectrogram")["colours"] == 1
    tab.set_input_files("#file", sounds / "bursts.wav")
    wait_drawn(tab, 398, 32, "uint16")
    assert not tab.is_visible("text=Drop a recording here")
    for canvas, least in (("spectrogram", 100), ("wave", 2)):
        until(tab, f"id => ({PIXELS})(id).colours >= {least}", canvas)  # drawn with the next frame
        pixels = tab.evaluate(PIXELS, canvas)
        assert pixels["size"] == pytest.approx(pixels["shown"], abs=1)
    assert not tab.is_visible("#posteriors")
    assert not tab.is_visible("#heard")
    until(tab, "document.getElementById('audio').duration > 3.99")
    assert tab.evaluate("document.getElementById('audio').duration") == pytest.approx(4.0, abs=0.001)


@pytest.mark.parametrize("dtype", ["uint16", "int8"])
def test_values_are_the_frontends(viewer, loud, sounds, dtype):
    changes = {"fe.window_step_ms": 10, "pcan_enable": True}
    got = viewer().evaluate(FETCH_FEATURES, [changes, dtype])
    settings = AudioFeatureGeneratorSettings(Listener(str(loud)).settings, **changes)
    settings.sample_length_ms = 4000
    expected = apply_frontend(soundfile.read(sounds / "bursts.wav", dtype="int16")[0], settings, dtype)
    assert np.array_equal(np.reshape(got["values"], (got["frames"], -1)), expected)


def test_colours_follow_the_values(viewer, sounds):
    """Where the picture is brightest the values are largest: bursts of noise between near-silence."""
    tab = viewer(model=False, device_scale_factor=2)
    until(tab, f"id => ({PIXELS})(id).colours >= 100", "spectrogram")
    pixels = tab.evaluate(PIXELS, "spectrogram")
    assert pixels["size"] == pytest.approx([2 * side for side in pixels["shown"]], abs=2)
    columns = tab.evaluate(
        """() => {
          const canvas = document.getElementById("spectrogram");
          const row = canvas.getContext("2d").getImageData(108, canvas.height / 2, canvas.width - 108 - 124, 1).data;
          return Array.from({ length: row.length / 4 }, (_, i) => row[4 * i] + row[4 * i + 1] + row[4 * i + 2]);
        }"""
    )
    settings = AudioFeatureGeneratorSettings()
    features = clip_features(Clip.from_file(str(sounds / "bursts.wav")), settings)
    middle = features[:, features.shape[1] // 2 - 3 : features.shape[1] // 2 + 3].mean(axis=1)
    brightness = np.interp(np.linspace(0, 1, len(middle)), np.linspace(0, 1, len(columns)), columns)
    assert np.corrcoef(brightness, middle)[0, 1] > 0.9


def test_a_changed_control_is_shown_at_once(viewer):
    tab = viewer()
    assert drawn(tab) == [199, 10, "uint16"]
    before = tab.evaluate(PIXELS, "spectrogram")
    tab.fill("#filterbank_n_channels", "20")
    wait_drawn(tab, 199, 20, "uint16")
    assert (
        tab.evaluate("document.querySelector('#filterbank_n_channels').closest('.field').className")
        == "field changed"
    )
    # The model takes 10 channels: it says so, and the spectrogram is shown all the same.
    assert "these settings give 24 x 20" in tab.text_content("#heard-note")
    tab.evaluate("""() => {
      const slider = document.querySelector("#window_step_ms").closest(".field").querySelector("input[type=range]");
      slider.value = 10;
      slider.dispatchEvent(new Event("input"));
    }""")
    wait_drawn(tab, 398, 20, "uint16")
    assert tab.input_value("#window_step_ms") == "10"
    tab.click("#reset")
    wait_drawn(tab, 199, 10, "uint16")
    tab.uncheck("#log_scale_enable")
    until(tab, READY)
    until(tab, f"id => ({PIXELS})(id).colours !== {before['colours']}", "spectrogram")


def test_int8_and_back(viewer):
    tab = viewer()
    tab.click("#show-int8")
    wait_drawn(tab, 199, 10, "int8")
    assert "int8" in tab.text_content("#shape")
    tab.click("#show-uint16")
    wait_drawn(tab, 199, 10, "uint16")


def test_a_wrong_control_is_told_beside_it(viewer):
    tab = viewer()
    tab.fill("#window_step_ms", "31")
    error = tab.locator(".field:has(#window_step_ms) .error")
    error.wait_for()
    assert (
        error.text_content()
        == "fe.window_step_ms is 31, the legal range is 1 to 30 (the window's size) at 16000 Hz"
    )
    assert not tab.is_visible("#alert")
    tab.fill("#window_step_ms", "")
    until(tab, "document.querySelector('.field:has(#window_step_ms) .error').textContent.includes('must be')")
    tab.fill("#window_step_ms", "15")
    wait_drawn(tab, 265, 10, "uint16")
    assert not error.is_visible()


def test_detections_are_those_of_classify_audio(viewer, loud, sounds):
    tab = viewer()
    expected = KeywordDetector(loud).feed(soundfile.read(sounds / "bursts.wav", dtype="int16")[0])
    assert len(expected) >= 2
    rows = tab.locator("#detections tr")
    assert rows.all_inner_texts() == [
        f"{event.time_ms / 1000:.3f} s\t{event.label}\t{event.score}" for event in expected
    ]
    assert tab.text_content("#heard-count") == str(len(expected))
    assert tab.locator("#legend button").all_inner_texts() == ["loud", "_quiet_"]
    until(tab, f"id => ({PIXELS})(id).colours >= 5", "posteriors")
    # A click leads to the window in which it was heard.
    until(tab, "document.getElementById('audio').readyState >= 1")
    rows.nth(1).click()
    time_s = tab.evaluate("document.getElementById('audio').currentTime")
    assert time_s == pytest.approx(expected[1].time_ms / 1000 - 0.5, abs=0.01)


def test_readout_zoom_and_classes(viewer):
    tab = viewer()
    tab.hover("#spectrogram", position={"x": 300, "y": 120})
    assert "channel" in tab.text_content("#readout")
    whole = tab.evaluate(PIXELS, "spectrogram")
    for press in ("#zoom-in", "#zoom-in", "#zoom-out", "#legend button >> nth=0"):
        tab.click(press)
    tab.select_option("#palette", "Grey")
    until(tab, f"id => ({PIXELS})(id).colours !== {whole['colours']}", "spectrogram")
    assert tab.get_attribute("#legend button >> nth=0", "aria-pressed") == "false"


def test_settings_to_copy(viewer):
    tab = viewer(permissions=["clipboard-read", "clipboard-write"])
    tab.check("#changed-only")
    tab.fill("#window_size_ms", "40")
    tab.check("#pcan_enable")
    until(tab, "document.getElementById('text').textContent.includes('pcan')")
    lines = "frontend_settings.window_size_ms = 40\nfrontend_settings.pcan_enable = True"
    assert tab.text_content("#text") == lines
    tab.click("#copy-text")
    tab.wait_for_selector("#copy-text:has-text('Copied')")
    assert tab.evaluate("navigator.clipboard.readText()") == lines
    tab.click("#as-yaml")
    assert tab.text_content("#text") == "fe.fft_length: 1024\nfe.window_size_ms: 40\nfe.pcan_enable: true"
    assert "mltk update_params loud --params" in tab.text_content("#copy-note")
    tab.click("#as-json")
    assert json.loads(tab.text_content("#text")) == {
        "fe.fft_length": 1024, "fe.window_size_ms": 40, "fe.pcan_enable": True
    }  # fmt: skip
    tab.uncheck("#changed-only")
    until(tab, "document.getElementById('text').textContent.includes('sample_rate_hz')")


def test_a_bad_upload_is_one_sentence_and_the_page_lives(viewer, sounds):
    tab = viewer()
    tab.set_input_files("#file", sounds / "text.wav")
    tab.wait_for_selector("#alert")
    assert "text.wav is not audio that can be read" in tab.text_content("#alert")
    tab.set_input_files("#file", sounds / "bursts_44.wav")
    wait_drawn(tab, 99, 10, "uint16")
    assert not tab.is_visible("#alert")
    assert "44100 Hz" in tab.text_content("#clip")


def test_a_too_large_upload_is_not_even_sent(viewer):
    tab = viewer()
    tab.evaluate("""() => {
      const drop = new DataTransfer();
      drop.items.add(new File([new Uint8Array(100_000_001)], "large.wav"));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: drop, bubbles: true, cancelable: true }));
    }""")
    tab.wait_for_selector("#alert")
    assert tab.text_content("#alert") == "large.wav has 100 MB: files up to 100 MB are shown"
    assert drawn(tab) == [199, 10, "uint16"]


def test_the_page_says_when_the_viewer_was_ended(open_tab, loud):
    server = AudioPage().serve()
    tab = open_tab(server.url).page
    until(tab, READY)
    server.close()
    tab.fill("#window_size_ms", "40")
    tab.wait_for_selector("#alert")
    assert "start `mltk view_audio` again" in tab.text_content("#alert")


def test_the_page_says_when_the_viewer_was_ended_while_live(open_tab, loud, sounds):
    server = AudioPage(Listener(str(loud)), Clip.from_file(str(sounds / "bursts.wav"))).serve()
    tab = open_tab(server.url).page
    until(tab, READY)
    tab.click("#microphone")
    until(tab, "Number(document.body.dataset.live) > 200")
    server.close()
    tab.wait_for_selector("#alert")
    assert "start `mltk view_audio` again" in tab.text_content("#alert")
    assert tab.get_attribute("#microphone", "aria-pressed") == "false"


def test_another_site_can_not_use_it(viewer, open_tab, serve):
    """A page of another origin (another port is one) can neither read nor post."""
    url = viewer().url
    other = open_tab(serve(AudioPage().serve())).page
    until(other, READY)
    other.context.set_default_timeout(10_000)
    refused = other.evaluate(
        """async (url) => {
          const tries = [fetch(url + "state"), fetch(url + "clip?name=a.wav", { method: "POST", body: "x" })];
          return (await Promise.allSettled(tries)).map((result) => result.status);
        }""",
        url,
    )
    assert refused == ["rejected", "rejected"]


# mltk view_audio: the microphone


def test_the_microphone_live(viewer, loud):
    tab = viewer(audio=None)
    tab.click("#microphone")
    until(tab, "Number(document.body.dataset.live) > 3000")
    assert tab.get_attribute("#microphone", "aria-pressed") == "true"
    assert int(tab.text_content("#heard-count")) >= 1
    assert tab.text_content("#detections tr td:nth-child(2)") == "loud"
    until(tab, f"id => ({PIXELS})(id).colours > 50", "spectrogram")
    # A changed control starts the stream afresh with it.
    tab.fill("#window_step_ms", "10")
    until(tab, "Number(document.body.dataset.live) < 1500")
    assert "these settings give 48 x 10" in tab.text_content("#heard-note")
    until(tab, "Number(document.body.dataset.live) > 700")
    tab.click("#microphone")
    tab.wait_for_selector("#audio")
    frames, channels, dtype = drawn(tab)
    assert (channels, dtype) == (10, "uint16")
    assert frames > 50
    # What was recorded is the microphone's sound: noise bursts.
    got = tab.evaluate(FETCH_FEATURES, [{}, "uint16"])
    features = np.array(got["values"]).reshape(-1, 10)
    settings = Listener(str(loud)).settings
    settings.sample_length_ms = 1000
    reference = apply_frontend(noise_bursts(4)[8000:24000], settings, np.uint16)
    assert abs(np.percentile(features, 95) - np.percentile(reference, 95)) < 60
