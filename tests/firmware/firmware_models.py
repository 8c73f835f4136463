"""A small keyword model made by hand, with all settings that firmware takes from a model, and sound for it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.detection.stream import KeywordDetector
from mltk.tflite.model import TfliteModel
from mltk.tflite.parameters import TfliteModelParameters

sys.path.insert(0, str(Path(__file__).parents[1] / "tflite"))
import tflite_models

# 5 frames of 4 channels go into the model.
PLAIN: dict[str, Any] = {
    "name": "tiny words",
    "classes": ["ja", "nein", "_other_"],
    "average_window_duration_ms": 200,
    "minimum_count": 2,
    "detection_threshold": 120,
    "suppression_ms": 300,
    "latency_ms": 40,
    "fe.sample_rate_hz": 16000,
    "fe.sample_length_ms": 110,
    "fe.window_size_ms": 30,
    "fe.window_step_ms": 20,
    "fe.filterbank_n_channels": 4,
    "fe.filterbank_upper_band_limit": 7000.0,
    "fe.filterbank_lower_band_limit": 125.0,
    "fe.noise_reduction_enable": True,
    "fe.pcan_enable": True,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "loud": {
        "volume_gain": 2.7,
        "latency_ms": 0,
        "fe.quantize_dynamic_scale_enable": True,
        "fe.dc_notch_filter_enable": True,
        "fe.activity_detection_enable": True,
        "fe.pcan_enable": False,
    },
    # Windows that do not end at whole milliseconds, a radix-2 first stage, a whole gain.
    "odd": {
        "volume_gain": 3,
        "latency_ms": 37,
        "classes": ['ä "\\ß"', "two words", "_other_"],
        "fe.sample_rate_hz": 11025,
        "fe.sample_length_ms": 173,
        "fe.window_size_ms": 61,
        "fe.window_step_ms": 28,
        "fe.filterbank_upper_band_limit": 5000.0,
        "fe.noise_reduction_enable": False,
        "fe.log_scale_enable": False,
        "fe.pcan_enable": False,
    },
}


def keyword_model(**parameters: Any) -> TfliteModel:
    """Return the model with `PLAIN`'s parameters, some replaced."""
    values = TfliteModelParameters({**PLAIN, **parameters})
    return TfliteModel(
        values.add_to_tflite_flatbuffer(tflite_models.tiny_keyword_model(seed=18)), path="tiny.tflite"
    )


def sound(seconds: float, rate_hz: int = 16000, seed: int = 3) -> npt.NDArray[np.int16]:
    """Return tones and noises of all loudnesses, int16."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(int(seconds * 4) + 1):
        n = rate_hz // 4
        time_s = np.arange(n) / rate_hz
        tone = np.sin(2 * np.pi * rng.uniform(100, rate_hz / 2) * time_s)
        loudness = 10 ** rng.uniform(1, 4.5)
        pieces.append(loudness * (tone + rng.normal(0, rng.uniform(0, 0.5), n)))
    return np.clip(np.concatenate(pieces), -32768, 32767).astype(np.int16)[: int(seconds * rate_hz)]


def heard_here(model: TfliteModel, samples: npt.NDArray[np.int16]) -> list[str]:
    """Return the lines that Python's detector prints."""
    return [str(event) for event in KeywordDetector(model, engine="native").feed(samples)]
