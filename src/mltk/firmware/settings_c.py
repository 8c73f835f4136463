"""A model's settings as constant C: the frontend's tables, the recognizer's configuration, the stream's numbers."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mltk.detection.stream import KeywordDetector
from mltk.firmware.c_source import array, wrapped
from mltk.frontend.native import native_frontend, native_settings
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.native._detector import results_needed
from mltk.utils.text import printable

# Arrays of the frontend's tables -> their C type and, for pairs, the type of a pair.
_ARRAYS = {
    "window.coefficients": "int16_t",
    "fft.order": "uint16_t",
    "fft.twiddles": "mltk_fe_twiddle",
    "fft.split": "mltk_fe_twiddle",
    "filterbank.widths": "uint16_t",
    "filterbank.weights": "mltk_fe_weight",
    "pcan.gain_lut": "int16_t",
    "log.segments": "uint16_t",
}
_SIGNED = ("dc_notch.coefficient", "log.correction_bits")
# What a stage reads only if it is enabled: left out of the image otherwise.
_OPTIONAL = {"pcan.gain_lut": "pcan.enable", "log.segments": "log.enable"}


def frontend_tables(settings: AudioFeatureGeneratorSettings) -> dict[str, Any]:
    """Return the tables that the C frontend reads: "stage.field" -> a number, or a list of numbers.

    Raises:
        FrontendError: a setting is outside its legal range.

    """
    tables: dict[str, Any] = native_frontend(native_settings(settings)).tables()
    return tables


def frontend_source(tables: Mapping[str, Any], name: str) -> str:
    """Return the definition of a constant `mltk_fe_tables`, and of the arrays that it points to.

    Args:
        tables: of `frontend_tables`.
        name: the constant's.

    """
    text: list[str] = []
    stages: dict[str, list[str]] = {}
    for key, value in tables.items():
        stage, member = key.split(".")
        stages.setdefault(stage, []).append(f".{member} = {_member(key, value, tables, text)}")
    members = ",\n".join(
        f"    .{stage} = {{\n{wrapped(fields, indent=8)}    }}" for stage, fields in stages.items()
    )
    return "\n".join([*text, f"const mltk_fe_tables {name} = {{\n{members},\n}};\n"])


def frontend_state_bytes(tables: Mapping[str, Any]) -> str:
    """Return the C expression for the bytes of memory that a frontend with these tables needs."""
    sizes = ", ".join(f"{tables[key]}u" for key in ("window.size", "fft.half", "filterbank.n_channels"))
    return f"MLTK_FE_STATE_BYTES({sizes})"


def _member(key: str, value: Any, tables: Mapping[str, Any], arrays: list[str]) -> str:
    """Return a field's initializer; an array's definition goes into `arrays`."""
    if not isinstance(value, list):
        return str(value) if key in _SIGNED else f"{value}u"
    if key not in _ARRAYS:
        return f"{{{', '.join(f'{item}u' for item in value)}}}"
    if key in _OPTIONAL and not tables[_OPTIONAL[key]]:
        return "NULL"
    name = key.replace(".", "_")
    c_type = _ARRAYS[key]
    if c_type.endswith("_t"):
        arrays.append(array(name, c_type, np.array(value)))
    else:
        pairs = [f"{{{a}, {b}}}" for a, b in zip(value[::2], value[1::2], strict=True)]
        # An array of none is no C: band limits may leave no bin.
        pairs = pairs or ["{0, 0}"]
        arrays.append(f"static const {c_type} {name}[{len(pairs)}] = {{\n{wrapped(pairs)}}};\n")
    return name


def settings_header(detector: KeywordDetector, tables: Mapping[str, Any], score_offset: int) -> str:
    """Return `kws_settings.h`: the numbers that the stream is made of.

    Args:
        detector: the model as Python hears with it.
        tables: of `frontend_tables`.
        score_offset: what makes a score from 0 to 255 of the model's output.

    """
    frontend, settings = detector.frontend_settings, detector.settings
    n_frames, n_channels = frontend.spectrogram_shape
    rate = detector.sample_rate_hz
    multiplier, shift = gain_as_fraction(settings.volume_gain)
    latency, step = settings.latency_ms * rate, frontend.window_step * 1000
    common = math.gcd(latency, step)
    numbers = {
        "KWS_SAMPLE_RATE_HZ": f"{rate}u",
        "KWS_FRAMES": f"{n_frames}u",
        "KWS_CHANNELS": f"{n_channels}u",
        "KWS_CLASSES": f"{len(detector.labels)}u",
        "KWS_RESULTS": f"{_n_results(detector)}u",
        "KWS_SCORE_OFFSET": f"{score_offset}",
        "KWS_QUANTIZE_DYNAMIC": f"{int(tables['quantize.dynamic'])}",
        "KWS_GAIN_MULTIPLIER": f"{multiplier}",
        "KWS_GAIN_SHIFT": f"{shift}",
        "KWS_CHUNK": "64u",
        # The end of the first window and the step from one to the next, whole milliseconds and what is left.
        "KWS_FIRST_MS": f"{frontend.window_size * 1000 // rate}",
        "KWS_FIRST_REST": f"{frontend.window_size * 1000 % rate}u",
        "KWS_STEP_MS": f"{step // rate}",
        "KWS_STEP_REST": f"{step % rate}u",
        # Between inferences and between windows, in a common unit.
        "KWS_LATENCY": f"{latency // common}",
        "KWS_STEP": f"{step // common}",
    }
    lines = [f"#define {name} {value}" for name, value in numbers.items()]
    return "\n".join(
        [
            "/* The model's own settings; made by mltk, do not edit. */",
            "#ifndef KWS_SETTINGS_H_",
            "#define KWS_SETTINGS_H_",
            "",
            '#include "../detector/detector.h"',
            '#include "../frontend/mltk_fe.h"',
            "",
            *lines,
            f"#define KWS_FRONTEND_BYTES {frontend_state_bytes(tables)}",
            "",
            "extern const mltk_fe_tables kws_frontend_tables;",
            "extern const mltk_detector_config kws_detector_config;",
            "",
            "#endif /* KWS_SETTINGS_H_ */",
            "",
        ]
    )


def settings_source(detector: KeywordDetector, tables: Mapping[str, Any]) -> str:
    """Return `kws_settings.c`: the frontend's tables and the recognizer's configuration as constant data."""
    settings = detector.settings
    mode = {"toolkit": "MLTK_DETECTOR_TOOLKIT", "micro_speech": "MLTK_DETECTOR_MICRO_SPEECH"}[settings.mode]
    labels = [c_string(printable(label)) for label in detector.labels]
    return "\n".join(
        [
            "/* The model's own settings; made by mltk, do not edit. */",
            '#include "kws_settings.h"',
            "",
            frontend_source(tables, "kws_frontend_tables"),
            f"static const char *const labels[{len(labels)}] = {{\n{wrapped(labels)}}};\n",
            array("thresholds", "uint8_t", np.array(settings.thresholds)),
            "const mltk_detector_config kws_detector_config = {",
            "    .labels = labels,",
            "    .thresholds = thresholds,",
            f"    .n_classes = {len(labels)}u,",
            f"    .minimum_count = {settings.minimum_count}u,",
            f"    .average_window_ms = {settings.average_window_duration_ms}u,",
            f"    .suppression_ms = {settings.suppression_ms}u,",
            f"    .mode = {mode},",
            "};",
            "",
        ]
    )


def gain_as_fraction(gain: float) -> tuple[int, int]:
    """Return (m, s) with float32(gain) = m / 2^s, m odd or s = 0; (0, 0) for a gain of 1."""
    if gain == 1.0:
        return 0, 0
    numerator, denominator = float(np.float32(gain)).as_integer_ratio()
    return numerator, denominator.bit_length() - 1


def c_string(text: str) -> str:
    """Return a text as a C string literal: UTF-8, everything but plain ASCII in octal."""
    body = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "replace")
    )
    return f'"{body}"'


def _n_results(detector: KeywordDetector) -> int:
    settings = detector.settings
    return int(
        results_needed(
            settings.average_window_duration_ms, detector.shortest_interval_ms, settings.minimum_count
        )
    )
