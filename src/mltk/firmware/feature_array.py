"""A clip's spectrogram as a C array, as TensorFlow's wav_to_features.py wrote it."""

from pathlib import Path

import numpy as np

import mltk
from mltk.audio.convert import to_float32, to_int16
from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.firmware.c_source import identifier, number
from mltk.firmware.data_array import ArraySource, array_source
from mltk.training.speech_commands.features import compute_features, fit_length
from mltk.training.speech_commands.settings import FeatureSettings


def clip_features(path: str | Path, settings: FeatureSettings) -> np.ndarray:
    """Return the spectrogram of an audio file: [frames, width], int8 with `quantize`, else float32.

    Raises:
        AudioError: the file can not be read.

    """
    sample, rate = read_audio_file(str(path), return_sample_rate=True)
    sample = to_float32(resample(sample, rate, settings.sample_rate))
    clip = to_int16(fit_length(sample, settings.clip_length))
    features: np.ndarray = compute_features(clip[None], settings)[0]
    return features


def feature_array(path: str | Path, settings: FeatureSettings) -> ArraySource:
    """Return a clip's spectrogram as `g_NAME_data[]`, frame by frame, `g_NAME_width` and `g_NAME_height`.

    Quantized features of "micro" are `signed char`, what the frontend of the device gives a model; those of "average" and
    "mfcc" are `unsigned char`, as in the READMEs' recipe (an int8 model takes them less 128). Others are `float`.

    Args:
        path: the audio file; its name is the array's.
        settings: how to compute it.

    Raises:
        AudioError: the file can not be read.

    """
    features = clip_features(path, settings)
    if not settings.quantize:
        c_type, values = "float", features.reshape(-1)
        items = [number(value, "float") for value in values.tolist()]
    else:
        c_type = "signed char" if settings.preprocess == "micro" else "unsigned char"
        offset = 0 if settings.preprocess == "micro" else 128
        items = [str(int(value) + offset) for value in features.reshape(-1)]
    name = identifier(f"g_{Path(path).stem.lower()}")
    flags = "".join(
        f"\n--{field.removeprefix('speech_commands.')}={int(value) if isinstance(value, bool) else value}"
        for field, value in settings.to_parameters().items()
    )
    about = f"Spectrogram of {Path(path).name}, made by mltk {mltk.__version__}:\nmltk speech_commands wav_to_features{flags}"
    return array_source(
        f"{name}_data",
        c_type,
        items,
        {f"{name}_width": features.shape[1], f"{name}_height": features.shape[0]},
        about,
    )


def write_features(path: str | Path, settings: FeatureSettings, output: str | Path | None = None) -> Path:
    """Write a clip's spectrogram as C source, and its header beside it; return the source's path.

    Args:
        path: the audio file.
        settings: how to compute it.
        output: the C source; NAME_features_data.cc in the current folder without one.

    Raises:
        AudioError: the file can not be read.
        MltkError: the files can not be written.

    """
    source = feature_array(path, settings)
    return source.write(output or f"{Path(path).stem.lower()}_features_data.cc")[0]
