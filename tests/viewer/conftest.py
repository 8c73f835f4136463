"""An installed Chromium for the tests of the pages; models and sounds made by hand."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "detection"))

from detection_models import loud_model, noise_bursts

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """Recordings: bursts.wav (4 s, 16 kHz), bursts_44.wav (float, 44.1 kHz, stereo), text.wav (no audio)."""
    folder = tmp_path_factory.mktemp("sounds")
    samples = noise_bursts(4)
    soundfile.write(folder / "bursts.wav", samples, 16000)
    stereo = np.stack([noise_bursts(2, seed, 44100) for seed in (1, 2)], axis=1) / 32768
    soundfile.write(folder / "bursts_44.wav", stereo.astype(np.float32), 44100, subtype="FLOAT")
    (folder / "text.wav").write_text("no audio at all")
    return folder


@pytest.fixture(scope="session")
def loud(tmp_path_factory):
    """A .tflite that hears loudness."""
    path = tmp_path_factory.mktemp("model") / "loud.tflite"
    path.write_bytes(loud_model())
    return path


@pytest.fixture(scope="module")
def chromium(sounds):
    """A headless Chromium whose microphone hears bursts.wav again and again."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'dev')")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("MLTK_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium is installed (apt-get install chromium, or set MLTK_CHROMIUM)")
    microphone = f"--use-file-for-fake-audio-capture={sounds / 'bursts.wav'}"
    # A new, empty profile each time is playwright's own way.
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, microphone])
        yield browser
        browser.close()


class Tab:
    """A page with what went wrong in it and whom it asked."""

    def __init__(self, browser, url, **options):
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.page = self.context.new_page()
        self.errors, self.requests = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.set_default_timeout(15_000)
        self.page.goto(url)


@pytest.fixture
def open_tab(chromium):
    """Open pages; at the end no script may have failed and nobody but loopback may have been asked."""
    tabs = []

    def open_page(url, **options):
        tabs.append(Tab(chromium, url, **options))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        tab.context.close()
        assert tab.errors == []
        foreign = [url for url in tab.requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))]
        assert foreign == []
