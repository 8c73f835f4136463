"""A data set of tones for the Speech Commands trainer's tests, and short flags that train on it in seconds."""

from pathlib import Path
from typing import Any

import numpy as np

from mltk.audio.write import write_audio_file
from mltk.training.speech_commands.settings import DataSettings, FeatureSettings, ModelSettings, TrainSettings

RATE_HZ = 16000
WORDS = ("yes", "no")
# speaker, part with 10 % each: by the hash of Speech Commands, as its official lists have them
SPEAKERS = [f"{number:08x}" for number in range(40)]
FEATURES: dict[str, Any] = {
    "clip_duration_ms": 250,
    "window_stride_ms": 20.0,
    "feature_bin_count": 16,
    "preprocess": "micro",
    "quantize": True,
}


def write_words(folder: Path) -> Path:
    """Write "yes" and "no", other words, a noise: one clip of a quarter of a second a speaker."""
    rng = np.random.default_rng(5)
    time = np.arange(RATE_HZ // 4) / RATE_HZ
    for word, low_hz, high_hz in (
        ("yes", 2500, 3500),
        ("no", 250, 400),
        ("up", 900, 1100),
        ("cat", 1400, 1600),
    ):
        (folder / word).mkdir(parents=True)
        for speaker in SPEAKERS:
            # A short one in the middle: the frontend takes a steady tone for noise.
            swell = np.exp(-(((time - 0.125) / 0.03) ** 2))
            tone = 0.3 * swell * np.sin(2 * np.pi * rng.uniform(low_hz, high_hz) * time)
            tone += rng.normal(0, 1e-3, len(time))
            write_audio_file(str(folder / word / f"{speaker}_nohash_0.wav"), tone.astype(np.float32), RATE_HZ)
    (folder / "_background_noise_").mkdir()
    noise = rng.normal(0, 0.05, RATE_HZ).astype(np.float32)
    write_audio_file(str(folder / "_background_noise_" / "hum.wav"), noise, RATE_HZ)
    return folder


def settings(
    data: Path, folder: Path, *, features: dict[str, Any] | None = None, **flags: Any
) -> TrainSettings:
    """Return the settings of a short training."""
    return TrainSettings(
        model=ModelSettings(
            features=FeatureSettings(**{**FEATURES, **(features or {})}),
            wanted_words=WORDS,
            model_architecture=flags.pop("model_architecture", "tiny_conv"),
        ),
        data=DataSettings(
            data_dir=str(data),
            silence_percentage=50,
            unknown_percentage=50,
            validation_percentage=20,
            testing_percentage=20,
        ),
        train_dir=str(folder),
        **{
            "schedule": ((80, 0.003), (20, 0.0003)),
            "batch_size": 24,
            "time_shift_ms": 20.0,
            "eval_step_interval": 40,
            "save_step_interval": 20,
            "cores": 0,
            **flags,
        },
    )
