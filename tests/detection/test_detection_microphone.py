"""The microphone, with a stand-in for the sounddevice module: no machine that runs tests has one."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from detection_models import loud_model, noise_bursts

from mltk.detection.microphone import find_microphone, microphone_blocks
from mltk.detection.session import SessionOutputs, listen
from mltk.detection.stream import KeywordDetector
from mltk.utils.errors import DeviceError

DEVICES = [
    {"name": "HDMI output", "max_input_channels": 0},
    {"name": "USB Audio: webcam", "max_input_channels": 1},
    {"name": "Built-in Microphone", "max_input_channels": 2},
    {"name": "USB Audio: headset", "max_input_channels": 1},
]


class FakeSoundDevice:
    """Calls back as PortAudio would: as soon as it is started, from the same thread."""

    class PortAudioError(Exception):
        pass

    def __init__(self, blocks=(), devices=DEVICES, refuses=None, overflow_at=None):
        self.blocks, self.devices, self.refuses, self.overflow_at = blocks, devices, refuses, overflow_at
        self.opened = self.closed = 0

    def query_devices(self):
        return self.devices

    def RawInputStream(self, **arguments):
        if self.refuses:
            raise self.PortAudioError(self.refuses)
        self.opened += 1
        self.arguments = arguments
        return SimpleNamespace(active=False, start=self.start, close=self.close)

    def start(self):
        for i, block in enumerate(self.blocks):
            status = SimpleNamespace(input_overflow=i == self.overflow_at)
            self.arguments["callback"](memoryview(block.tobytes()), len(block), None, status)

    def close(self):
        self.closed += 1


def blocks(n, length=800):
    return [np.full(length, i, np.int16) for i in range(n)]


def test_samples_come_through_and_closing_closes_the_device():
    fake = FakeSoundDevice(blocks(3))
    stream = microphone_blocks(16000, None, fake)
    got = [next(stream) for _ in range(3)]
    assert all(block.dtype == np.int16 and (block == i).all() for i, block in enumerate(got))
    assert {k: fake.arguments[k] for k in ("samplerate", "blocksize", "device", "channels", "dtype")} == {
        "samplerate": 16000,
        "blocksize": 800,
        "device": None,
        "channels": 1,
        "dtype": "int16",
    }
    assert fake.closed == 0
    stream.close()
    assert fake.closed == 1


def test_ctrl_c_closes_the_device():
    fake = FakeSoundDevice(blocks(1))
    stream = microphone_blocks(16000, None, fake)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt)
    assert fake.closed == 1


def test_a_session_with_a_microphone_ends_with_ctrl_c(tmp_path):
    audio = noise_bursts(3)
    fake = FakeSoundDevice(np.split(audio, len(audio) // 800))
    detector = KeywordDetector(loud_model())
    events = []

    def hear(event):
        events.append(event)
        raise KeyboardInterrupt

    outputs = SessionOutputs(audio_folder=tmp_path)
    assert listen(detector, microphone_blocks(16000, None, fake), hear, outputs), "stopped by Ctrl-C"
    assert fake.closed == 1
    assert events == KeywordDetector(loud_model()).feed(audio)[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["loud-heard.wav"]


@pytest.mark.parametrize(
    ("name", "index"),
    [("2", 2), ("built-in microphone", 2), ("webcam", 1), ("HEADSET", 3), ("USB Audio: webcam", 1)],
)
def test_a_microphone_is_found_by_index_name_or_part(name, index):
    assert find_microphone(name, FakeSoundDevice()) == index


@pytest.mark.parametrize("name", ["kitchen", "0", "99", ""])
def test_a_bad_name_lists_the_microphones(name):
    with pytest.raises(DeviceError) as told:
        find_microphone(name, FakeSoundDevice())
    assert "1: USB Audio: webcam; 2: Built-in Microphone; 3: USB Audio: headset" in str(told.value)
    assert "HDMI" not in str(told.value)


def test_an_ambiguous_name_is_told():
    with pytest.raises(DeviceError, match="Several microphones match 'usb'"):
        find_microphone("usb", FakeSoundDevice())


def test_no_microphone_at_all():
    with pytest.raises(DeviceError, match="--audio FILE"):
        next(microphone_blocks(16000, None, FakeSoundDevice(devices=DEVICES[:1])))


def test_a_refused_rate_names_the_microphone():
    with pytest.raises(DeviceError, match=r"headset can not record at 16000 Hz: Invalid sample rate"):
        next(microphone_blocks(16000, "headset", FakeSoundDevice(refuses="Invalid sample rate")))


def test_lost_samples_are_told(caplog):
    stream = microphone_blocks(16000, None, FakeSoundDevice(blocks(2), overflow_at=1))
    with caplog.at_level(logging.WARNING, "mltk"):
        next(stream)
        next(stream)
    assert [record.getMessage() for record in caplog.records] == [
        "The sound device lost samples (overflow): times are late from here on"
    ]


def test_a_detector_that_falls_behind_is_told(caplog):
    stream = microphone_blocks(16000, None, FakeSoundDevice(blocks(204)))
    with caplog.at_level(logging.WARNING, "mltk"):
        next(stream)
    assert "200 ms of sound were lost" in caplog.text


def test_a_microphone_that_goes_away(monkeypatch):
    monkeypatch.setattr("mltk.detection.microphone._PATIENCE_S", 0.01)
    stream = microphone_blocks(16000, None, FakeSoundDevice(blocks(1)))
    next(stream)
    with pytest.raises(DeviceError, match="disconnected"):
        next(stream)
